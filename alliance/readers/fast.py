"""The fast lane of a study: a plain text file of one form, typed on the way in, block by block.

It takes only what leaves nothing to decide. Whatever is odd raises `Odd`, and the file is read from its start
again, at once; both give the same Responses.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alliance.frames import Coded, Forms
from alliance.readers.answers import Rules, rules_for
from alliance.readers.columns import SIDES
from alliance.readers.layout import HEAD_BYTES, Layout, Odd, plain_layout
from alliance.readers.mapping import Mapping
from alliance.readers.options import ReadOptions
from alliance.readers.typed import (
    Cells,
    chunks_of,
    holds_hexadecimals,
    in_order,
    item_answers,
    n_lines,
    ranks,
    read_cells,
    require_blank_beyond,
    require_codes,
    require_plain_bytes,
)
from alliance.scale import Scale

__all__ = ["BLOCK_BYTES", "HEAD_BYTES", "Layout", "Odd", "plain_blocks", "plain_layout"]

Array = np.ndarray[Any, Any]

BLOCK_BYTES = 4 << 20
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SESSION = re.compile(r"[0-9]{1,9}")


def plain_blocks(
    path: Path, scale: Scale, layout: Layout, options: ReadOptions | None = None
) -> Iterator[Forms]:
    """Yield the forms of a plain file in blocks of whole cases.

    Memory does not depend on the length of the file, apart from the names of the cases.

    Raises
    ------
    Odd
        At the first cell that is no plain answer, the first double, or where a case comes back later in the
        file. Blocks yielded before that must then be forgotten.
    """
    options = options or ReadOptions()
    rules = rules_for(scale, options.mapping or Mapping(), options.missing)
    carried: _Rows | None = None
    seen: set[str] = set()
    for chunk in filter(n_lines, chunks_of(path, BLOCK_BYTES)):
        rows = _rows(chunk, layout, rules, carried)
        names = rows.cases.tolist()
        new = names if carried is None else names[1:]
        if len(set(new)) != len(new) or not seen.isdisjoint(new):
            raise Odd("cases whose rows do not stand together")
        seen.update(new)
        whole, carried = rows.split()
        if whole is not None:
            yield whole.forms()
    if carried is None:
        raise Odd("no rows")
    yield carried.forms()


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

    def forms(self) -> Forms:
        """Return the rows as Forms, in the order case, rater, session; a double is odd."""
        rank = ranks(self.raters)[self.rater]
        order = in_order(self.case, rank, self.session)
        rows: Any = slice(None) if order is None else order
        _require_days_in_order(self.case[rows], self.rater[rows], self.date[rows])
        return Forms(
            case=self.case[rows],
            cases=self.cases,
            session=self.session[rows],
            date=self.date[rows],
            therapist=self.therapist[rows],
            therapists=self.therapists,
            rater=self.rater[rows],
            raters=self.raters,
            answers=self.answers[:, rows],
            missing=self.missing[:, rows],
        )


def _require_days_in_order(case: Array, rater: Array, date: Array) -> None:
    dated = np.flatnonzero(~np.isnat(date))
    same = (np.diff(case[dated]) == 0) & (np.diff(rater[dated]) == 0)
    if (same & (np.diff(date[dated]).astype(np.int64) < 0)).any():
        raise Odd("dates that run against the session numbers")


def _rows(chunk: bytes, layout: Layout, rules: Rules, carried: _Rows | None) -> _Rows:
    require_plain_bytes(chunk, layout.delimiter)
    if layout.typed and holds_hexadecimals(chunk):
        raise Odd("cells that are no plain answers")
    places = {role: column.place for role, column in layout.keys.items()}
    texts = {*places.values(), *(column.place for column in layout.beyond)}
    cells = read_cells(chunk, layout, texts, typed=layout.typed)
    require_blank_beyond(cells, layout)
    columns = {role: cells.texts[place] for role, place in places.items()}
    case, cases = _names(columns["case"], "")
    if (np.diff(case) < 0).any():
        raise Odd("cases whose rows do not stand together")
    n_rows = len(case)
    rater, raters = _names(columns.get("rater", _alike(layout.default_rater, n_rows)), "")
    if any(name not in SIDES and name.casefold() in SIDES for name in raters):
        raise Odd("raters in capital letters")
    therapist, therapists = _names(columns.get("therapist", _alike("", n_rows)))
    answers, missing = _answers(cells, layout, rules)
    rows = _Rows(
        case=case,
        cases=cases,
        session=_sessions(columns["session"]),
        date=_dates(columns.get("date", _alike("", n_rows))),
        therapist=therapist,
        therapists=therapists,
        rater=rater,
        raters=raters,
        answers=answers,
        missing=missing,
    )
    return rows if carried is None else _joined(carried, rows)


def _alike(text: str, n_rows: int) -> Coded:
    return Coded(codes=np.zeros(n_rows, dtype=np.int32), texts=np.array([text], dtype=object))


def _names(column: Coded, odd: str | None = None) -> tuple[Array, Array]:
    """Return codes and names of a column of people, none of which may be the text `odd`."""
    names = column.texts.tolist()
    require_codes(column.texts)
    if odd in names:
        raise Odd("names that are left out")
    if any("@" in name for name in names):
        raise Odd("names that may be e-mail addresses")
    return column.codes, column.texts


def _sessions(column: Coded) -> Array:
    if not all(map(_SESSION.fullmatch, column.texts)):
        raise Odd("sessions that are no plain numbers")
    found: Array = np.array(list(map(int, column.texts)), dtype=np.int64)[column.codes]
    return found


def _dates(column: Coded) -> Array:
    if not all(text == "" or _DAY.fullmatch(text) for text in column.texts):
        raise Odd("dates that are not plain")
    try:
        days = [datetime.date.fromisoformat(text) if text else np.datetime64("NaT") for text in column.texts]
    except ValueError:
        raise Odd("dates that are not plain") from None
    found: Array = np.array(days, dtype="datetime64[D]")[column.codes]
    return found


def _answers(cells: Cells, layout: Layout, rules: Rules) -> tuple[Array, Array]:
    columns = [item_answers(cells, layout, rules, place) for place in range(len(layout.item_columns))]
    return np.stack([answers for answers, _ in columns]), np.stack([missing for _, missing in columns])


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
