"""What is in a file and what is wrong with it, and a mapping drafted from it for a person to confirm."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from alliance.errors import AllianceError, StoreError, Trouble
from alliance.readers.answers import OUTSIDE, UNREADABLE
from alliance.readers.columns import Column, find_items, find_keys, guess_pattern, pattern_groups
from alliance.readers.loading import Reading, explore
from alliance.readers.mapping import Mapping
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, counted, empty_rejected
from alliance.readers.sheets import read_records
from alliance.readers.table import TextTable, make_table
from alliance.readers.text import DELIMITER_NAMES
from alliance.scale import Scale


@dataclass(frozen=True, kw_only=True)
class Role:
    """A column and what it was taken for; `evidence` says how that was found."""

    role: str
    column: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a file holds, and everything that is wrong with it.

    `problems` has the columns of REJECTED, one dict a cell or row; `troubles` is the same and the rest as an
    error would say it. The counts are of what could be read.
    """

    rows: int = 0
    forms: int = 0
    cases: int = 0
    raters: tuple[str, ...] = ()
    sessions: int = 0
    scales: tuple[str, ...] = ()
    shape: str = ""
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    header_line: int = 0
    roles: tuple[Role, ...] = ()
    unused: tuple[str, ...] = ()
    problems: tuple[dict[str, Any], ...] = ()
    troubles: tuple[Trouble, ...] = ()
    notes: tuple[str, ...] = ()


def inspect(
    path: str | Path,
    scale: Scale | None,
    *,
    options: ReadOptions | None = None,
    folders: Sequence[Path] = (),
) -> Inspection:
    """Return what is in the file `path`; what is wrong with the data is part of the answer, never raised.

    Raises
    ------
    StoreError
        If the file cannot be opened at all.
    """
    try:
        reading = explore(path, scale, options=options or ReadOptions(), folders=folders)
    except AllianceError as error:
        if isinstance(error, StoreError):
            raise
        return Inspection(troubles=error.troubles)
    return _inspection(reading)


def _inspection(reading: Reading) -> Inspection:
    table, log = reading.table, reading.log
    roles = tuple(_roles(reading))
    used = {role.column for role in roles}
    wide = bool(reading.mapping.pattern)
    forms = pd.DataFrame({"case": [], "rater": []}) if reading.settled is None else reading.settled.forms
    shapes = [part.entries.shape for part in reading.parts if part.scale is not None]
    return Inspection(
        rows=len(table.lines),
        forms=len(forms),
        cases=int(forms["case"].nunique()),
        raters=tuple(sorted(forms["rater"].unique())),
        sessions=0 if reading.settled is None else len(forms.drop_duplicates(["case", "shown"])),
        scales=tuple(part.scale.id for part in reading.parts if part.scale is not None),
        shape=shapes[0] if shapes else "",
        encoding=table.records.encoding,
        delimiter=DELIMITER_NAMES.get(table.records.delimiter, ""),
        sheet=table.records.sheet,
        header_line=table.header_line,
        roles=roles,
        unused=() if wide else tuple(name for name in table.names if name and name not in used),
        problems=tuple(_records(log)),
        troubles=tuple(log.all_troubles()),
        notes=tuple(log.notes),
    )


def _records(log: Log) -> list[dict[str, Any]]:
    frame = log.rejected() if log.problems else empty_rejected()
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _roles(reading: Reading) -> Iterator[Role]:
    for role, column in reading.keys.items():
        yield Role(role=role, column=column.name, evidence=column.evidence)
    seen: set[str] = set()
    for part in reading.parts:
        for number, column in part.entries.columns.items():
            if column.name not in seen:
                seen.add(column.name)
                yield Role(role=f"q{number}", column=column.name, evidence=column.evidence)


def draft_mapping(
    path: str | Path,
    scale: Scale | None,
    *,
    options: ReadOptions | None = None,
    folders: Sequence[Path] = (),
) -> str:
    """Return the TOML text of a mapping for the file `path`, each guess with its evidence beside it.

    A line that a person must decide is commented out with `#?`. Answer words nobody knows are listed under
    `[answers]` with their count.

    Raises
    ------
    AllianceError
        If the file cannot be opened, or is no table.
    """
    options = options or ReadOptions()
    mapping = options.mapping or Mapping()
    records = read_records(path, sheet=options.sheet or mapping.sheet, encoding=options.encoding)
    log = Log()
    table = make_table(records, mapping, log=log)
    head, columns = _draft_head(table, scale), _draft_columns(table, scale, mapping)
    try:
        reading = _explore_draft(path, scale, options, folders)
    except AllianceError:
        return "\n".join([*head, *columns, ""])
    return "\n".join([*head, *_draft_codes(reading), *columns, *_draft_answers(reading), ""])


def _explore_draft(
    path: str | Path, scale: Scale | None, options: ReadOptions, folders: Sequence[Path]
) -> Reading:
    """Read the file, in the wide shape if its names have one, to see which cells nobody can read."""
    reading = explore(path, scale, options=options, folders=folders)
    pattern = guess_pattern(reading.table.names, scale.n_items) if scale is not None else ""
    if not pattern or reading.mapping.pattern:
        return reading
    wide = replace(options, mapping=replace(reading.mapping, pattern=pattern))
    return explore(path, scale, options=wide, folders=folders)


def _draft_codes(reading: Reading) -> Iterator[str]:
    """Yield what the numbers outside the range may be: codes for no answer, or answers counted from 0."""
    counts = _cells(reading, OUTSIDE)
    told = ", ".join(f"{word} ({counted(n, 'time')})" for word, n in counts.items())
    codes = ", ".join(quoted(word) for word in counts) or '"99"'
    found = f"outside the range: {told}" if counts else "codes for an item that was not answered"
    yield f"#? missing = [{codes}]  # {found}"
    yield "#? shift = 1  # added to every number, if the file counts from 0 and the form from 1"


def _cells(reading: Reading, kind: int) -> dict[str, int]:
    """Return the cells of one kind with their counts, the most frequent first."""
    counts: Counter[str] = Counter()
    for part in reading.parts:
        counts.update(part.entries.texts[part.answers.kinds == kind].tolist())
    return dict(sorted(counts.items(), key=lambda cell: (-cell[1], cell[0])))


def _draft_head(table: TextTable, scale: Scale | None) -> Iterator[str]:
    yield "# A draft: look at every line, correct it, and delete what does not hold."
    if scale is not None:
        yield f"scale = {quoted(scale.id)}"
    if table.records.sheet:
        yield f"sheet = {quoted(table.records.sheet)}"
    yield f"header_row = {table.header_line}  # the line with the column names"
    pattern = guess_pattern(table.names, scale.n_items) if scale is not None else ""
    if pattern:
        yield f"pattern = {quoted(pattern)}  # the columns have an item and a session number each"
    yield _draft_fill_down(table)


def _draft_columns(table: TextTable, scale: Scale | None, mapping: Mapping) -> Iterator[str]:
    keys = find_keys(table.names, mapping, log=Log())
    yield from ("", "[columns]")
    for role, column in keys.items():
        yield f"{role} = {quoted(column.name)}  # {column.evidence}"
    wide = set(_wide_names(table, scale))
    for role in ("case", "session", "date", "therapist", "rater"):
        if role not in keys and not (wide and role == "session"):
            yield f'#? {role} = "…"'
    items = {} if wide or scale is None else _draft_items(table, scale, mapping)
    yield from (f"q{number} = {quoted(item.name)}  # {item.evidence}" for number, item in items.items())
    if scale is not None and not items and not wide and "item" not in keys:
        yield from (f'#? q{number} = "…"' for number in range(1, scale.n_items + 1))
    used = wide | {column.name for column in (*keys.values(), *items.values())}
    left = [name for name in table.names if name and name not in used]
    if left:
        yield f"# columns without a role: {', '.join(left)}"


def _draft_items(table: TextTable, scale: Scale, mapping: Mapping) -> dict[int, Column]:
    found = find_items(table.names, scale.n_items, mapping, log=Log())
    return found.columns if found is not None else {}


def _wide_names(table: TextTable, scale: Scale | None) -> list[str]:
    """Return the names of the item columns of a file with one row for each case."""
    pattern = guess_pattern(table.names, scale.n_items) if scale is not None else ""
    groups = pattern_groups(table.names, pattern) if pattern else {}
    return [table.names[place] for places in groups.values() for place in places]


def _draft_fill_down(table: TextTable) -> str:
    case = find_keys(table.names, Mapping(), log=Log()).get("case")
    n_blank = int((table.columns[case.place] == "").sum()) if case is not None else 0
    if case is None or not n_blank:
        return '#? fill_down = ["…"]  # columns filled in on the first row of a block only'
    return f"#? fill_down = [{quoted(case.name)}]  # {counted(n_blank, 'blank cell')}"


def _draft_answers(reading: Reading) -> Iterator[str]:
    counts = _cells(reading, UNREADABLE)
    if counts:
        yield from ("", "[answers]", "# words nobody knows: give each its number, or move it to missing")
        for word, n in counts.items():
            yield f"#? {quoted(word)} = {_number_in(word, counts)}  # {counted(n, 'time')}"


def _number_in(word: str, words: Iterable[str]) -> str:
    """Return the number at the end of a code such as A4 if all words are such codes, else dots to fill in."""
    codes = [re.fullmatch(r"([A-Za-z]+)(\d+)", each) for each in words]
    if all(codes) and len({code[1] for code in codes if code}) == 1:
        return re.sub(r"\D", "", word)
    return "…"


def quoted(text: str) -> str:
    r"""Return `text` as a TOML string.

    >>> quoted('a "b"')
    '"a \\"b\\""'
    """
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(sign, sign) for sign in text) + '"'
