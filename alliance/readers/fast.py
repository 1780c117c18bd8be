"""The fast lane: a plain CSV file of one form goes through pyarrow's reader, typed on the way in.

It takes only what leaves nothing to decide. Whatever is odd raises `Odd`, and the tolerant lane reads the
file from its start; both give the same Responses.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alliance.arrow import nulls, numbers
from alliance.frames import Forms
from alliance.readers.columns import Column, find_items, find_keys
from alliance.readers.identifiers import identifiers, named_kinds, use_of
from alliance.readers.mapping import Mapping
from alliance.readers.problems import Log
from alliance.scale import Scale

Array = np.ndarray[Any, Any]

BLOCK_BYTES = 4 << 20
HEAD_BYTES = 1 << 16
MISSING_WORDS = ["", "NA", "N/A", "n/a", "#N/A", "nan", "NaN", "null", "NULL", "#NULL!"]
PLAIN_ROLES = {"case", "session", "date", "therapist", "rater"}
BYTE = np.iinfo(np.int8)


class Odd(Exception):
    """What the fast lane met and leaves to the tolerant one."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a plain file: role → column name, and the delimiter."""

    delimiter: str
    names: tuple[str, ...]
    roles: dict[str, str]
    items: tuple[str, ...]


def plain_layout(path: Path, scale: Scale, *, allow_identifiers: bool = False) -> Layout:
    """Return the layout of a plain CSV file with one row for each form.

    Columns that may say who a person is are told by their names and by the first rows only, those within
    HEAD_BYTES; the names of cases and therapists are looked at while they are read, for e-mail addresses.

    Raises
    ------
    Odd
        If a role or an item needs a guess, or a column is there that only the tolerant lane understands.
    """
    head = _head(path)
    header, delimiter = _header(head)
    log = Log()
    keys = find_keys(header, Mapping(), log=log)
    items = find_items(header, scale.n_items, Mapping(), log=log)
    if log.troubles or items is None or len(items.columns) != scale.n_items:
        raise Odd("columns that are not plain")
    guessed = any(column.guessed for column in (*keys.values(), *items.columns.values()))
    if guessed or not {"case", "session"} <= keys.keys() <= PLAIN_ROLES:
        raise Odd("columns that are not plain")
    if any(name.casefold().endswith(("total", "sum")) for name in header):
        raise Odd("columns that are not plain")
    if not allow_identifiers and _may_identify(head, header, delimiter, keys):
        raise Odd("columns that may say who a person is")
    return Layout(
        delimiter=delimiter,
        names=tuple(header),
        roles={role: column.name for role, column in keys.items()},
        items=tuple(items.columns[number].name for number in range(1, scale.n_items + 1)),
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")


def _may_identify(head: bytes, header: list[str], delimiter: str, keys: dict[str, Column]) -> bool:
    """Return whether a column is named like a person's detail, or holds one in the whole lines of `head`."""
    if named_kinds(header):
        return True
    whole = head[: head.rfind(b"\n") + 1].decode("utf-8", errors="replace").splitlines()
    rows = [row for row in csv.reader(whole[1:], delimiter=delimiter) if len(row) == len(header)]
    columns = list(map(list, zip(*rows, strict=True))) or [[] for _ in header]
    return bool(identifiers(header, columns, range(len(rows)), use_of(header, keys, Mapping())))


def _header(head: bytes) -> tuple[list[str], str]:
    line = head.split(b"\n", 1)[0]
    try:
        text = line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        raise Odd("an encoding other than UTF-8") from None
    delimiter = max(",;\t", key=text.count)
    header = next(csv.reader([text], delimiter=delimiter), [])
    if len(set(header)) != len(header) or any(name != name.strip() or not name for name in header):
        raise Odd("a header that is not plain")
    return header, delimiter


def plain_blocks(path: Path, scale: Scale, layout: Layout) -> Iterator[Forms]:
    """Yield the forms of a plain file in blocks of whole cases.

    Memory does not depend on the length of the file, apart from the names of the cases.

    Raises
    ------
    Odd
        At the first cell that is no plain answer, the first double, or where a case comes back later in the
        file. Blocks yielded before that must then be forgotten.
    """
    import pyarrow as pa

    try:
        carried: _Rows | None = None
        seen: set[str] = set()
        for batch in _open(path, scale, layout):
            rows = _rows(batch, layout, scale, carried)
            names = rows.cases.tolist()
            new = names if carried is None else names[1:]
            if len(set(new)) != len(new) or not seen.isdisjoint(new):
                raise Odd("cases whose rows do not stand together")
            seen.update(new)
            whole, carried = rows.split()
            if whole is not None:
                yield whole.forms()
        if carried is not None:
            yield carried.forms()
    except pa.ArrowInvalid:
        raise Odd("cells that are no plain answers") from None


def _open(path: Path, scale: Scale, layout: Layout) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    code = pa.dictionary(pa.int32(), pa.string())
    types = {name: code for role, name in layout.roles.items() if role != "session"}
    types[layout.roles["session"]] = pa.int32()
    types |= dict.fromkeys(layout.items, pa.int8() if _fits_a_byte(scale) else pa.float64())
    return arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=arrow_csv.ParseOptions(delimiter=layout.delimiter),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=[*layout.roles.values(), *layout.items],
            column_types=types,
            null_values=MISSING_WORDS,
            strings_can_be_null=False,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows of the file in file order, cases numbered as they appear."""

    case: Array
    cases: Array
    session: Array
    date: Array
    therapist: Array
    therapists: Array
    rater: Array
    raters: Array
    answers: Array
    missing: Array

    def split(self) -> tuple[_Rows | None, _Rows]:
        """Return the rows of all cases but the last, and those of the last, which may go on."""
        first = int(np.searchsorted(self.case, self.case[-1]))
        return (self._part(slice(0, first)) if first else None), self._part(slice(first, None))

    def _part(self, rows: slice) -> _Rows:
        start = int(self.case[rows][0])
        return _Rows(
            case=self.case[rows] - start,
            cases=self.cases[start : int(self.case[rows][-1]) + 1],
            session=self.session[rows],
            date=self.date[rows],
            therapist=self.therapist[rows],
            therapists=self.therapists,
            rater=self.rater[rows],
            raters=self.raters,
            answers=self.answers[:, rows],
            missing=self.missing[:, rows],
        )

    def _key(self) -> Array:
        """Return one number for each row that sorts like case, rater, session."""
        rank = np.argsort(np.argsort(self.raters.astype(str)))[self.rater]
        low, high = int(self.session.min()), int(self.session.max())
        series = self.case.astype(np.int64) * len(self.raters) + rank
        key: Array = series * (high - low + 1) + (self.session - low)
        return key

    def forms(self) -> Forms:
        """Return the rows as Forms, in the order case, rater, session; a double is odd."""
        key = self._key()
        if (np.diff(key) > 0).all():
            rows: Any = slice(None)
        else:
            rows = np.argsort(key, kind="stable")
            if (np.diff(key[rows]) == 0).any():
                raise Odd("doubled sessions")
        return Forms(
            case=self.case[rows],
            cases=self.cases,
            session=self.session[rows].astype(np.int64),
            date=self.date[rows],
            therapist=self.therapist[rows],
            therapists=self.therapists,
            rater=self.rater[rows],
            raters=self.raters,
            answers=self.answers[:, rows],
            missing=self.missing[:, rows],
        )


def _rows(batch: Any, layout: Layout, scale: Scale, carried: _Rows | None) -> _Rows:
    n_rows = len(batch)
    columns = {role: batch.column(name) for role, name in layout.roles.items()}
    if columns["session"].null_count or n_rows == 0:
        raise Odd("rows without a session number")
    case, cases = _coded(columns["case"])
    if (np.diff(case) < 0).any():
        raise Odd("cases whose rows do not stand together")
    rater, raters = _coded(columns.get("rater"), n_rows, default=scale.perspective)
    therapist, therapists = _coded(columns.get("therapist"), n_rows, default="")
    answers, missing = _answers([batch.column(name) for name in layout.items], scale)
    rows = _Rows(
        case=case,
        cases=cases,
        session=numbers(columns["session"]),
        date=_dates(columns.get("date"), n_rows),
        therapist=therapist,
        therapists=therapists,
        rater=rater,
        raters=raters,
        answers=answers,
        missing=missing,
    )
    return rows if carried is None else _joined(carried, rows)


def _coded(column: Any, n_rows: int = 0, *, default: str | None = None) -> tuple[Array, Array]:
    """Return codes and names of a text column; blanks around a name, or none at all, are odd."""
    if column is None:
        return np.zeros(n_rows, dtype=np.int32), np.array([default], dtype=object)
    names = column.dictionary.to_pylist()
    if list(map(str.strip, names)) != names or (default is None and "" in names):
        raise Odd("names with blanks around them")
    if any("@" in name for name in names):
        raise Odd("names that may be e-mail addresses")
    if default:
        names = [name or default for name in names]
        if len(set(names)) != len(names):
            raise Odd("names that are given and left out")
    return numbers(column.indices), np.array(names, dtype=object)


def _answers(columns: list[Any], scale: Scale) -> tuple[Array, Array]:
    shape = (len(columns), len(columns[0]))
    answers = np.empty(shape, dtype=np.int8 if _fits_a_byte(scale) else np.float64)
    missing = np.zeros(shape, dtype=bool)
    for place, column in enumerate(columns):
        answers[place] = numbers(column)
        if column.null_count:
            missing[place] = nulls(column)
            answers[place, missing[place]] = scale.item_bounds[place][0]
    if answers.size:
        low, high = np.array(scale.item_bounds).T
        if (answers.min(axis=1) < low).any() or (answers.max(axis=1) > high).any():
            raise Odd("answers outside the range")
    if scale.whole and answers.dtype == np.float64 and (answers % 1 != 0).any():
        raise Odd("answers that are no whole numbers")
    return answers, missing


def _fits_a_byte(scale: Scale) -> bool:
    ends = [end for bounds in scale.item_bounds for end in bounds]
    return scale.whole and BYTE.min <= min(ends) and max(ends) <= BYTE.max


def _dates(column: Any, n_rows: int) -> Array:
    if column is None:
        return np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[D]")
    import pyarrow.compute as pc

    texts = column.dictionary
    if not pc.all(pc.match_substring_regex(texts, r"^(\d{4}-\d{2}-\d{2})?$")).as_py():
        raise Odd("dates that are not plain")
    days = np.array([text or "NaT" for text in texts.to_pylist()], dtype="datetime64[D]")
    found: Array = days[numbers(column.indices)]
    return found


def _joined(carried: _Rows, rows: _Rows) -> _Rows:
    """Return the rows of the case carried over and, behind them, those of the next block."""
    goes_on = carried.cases[0] == rows.cases[0]
    cases = rows.cases if goes_on else np.concatenate([carried.cases, rows.cases])
    return _Rows(
        case=np.concatenate([carried.case, rows.case + (0 if goes_on else 1)]),
        cases=cases,
        session=np.concatenate([carried.session, rows.session]),
        date=np.concatenate([carried.date, rows.date]),
        **_recoded("therapist", carried, rows),
        **_recoded("rater", carried, rows),
        answers=np.concatenate([carried.answers, rows.answers], axis=1),
        missing=np.concatenate([carried.missing, rows.missing], axis=1),
    )


def _recoded(role: str, carried: _Rows, rows: _Rows) -> dict[str, Any]:
    before, after = getattr(carried, f"{role}s").tolist(), getattr(rows, f"{role}s").tolist()
    names = list(dict.fromkeys([*before, *after]))
    old, new = (np.array([names.index(name) for name in each]) for each in (before, after))
    joined = np.concatenate([old[getattr(carried, role)], new[getattr(rows, role)]])
    return {role: joined, f"{role}s": np.array(names, dtype=object)}
