"""What is in a file and what is wrong with it, and a mapping drafted from it for a person to confirm."""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import AllianceError, ScaleError, StoreError, Trouble
from alliance.readers.answers import OUTSIDE, UNREADABLE, convert, is_blank, rules_for
from alliance.readers.columns import (
    Column,
    find_items,
    find_keys,
    guess_pattern,
    number_items,
    pattern_groups,
)
from alliance.readers.forms import Part
from alliance.readers.loading import lane_of
from alliance.readers.mapping import Mapping
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, counted, empty_rejected
from alliance.readers.reading import Reading, explore, open_reading
from alliance.readers.table import TextTable
from alliance.readers.text import DELIMITER_NAMES
from alliance.recognition import CANNOT, Doubt, Evidence, doubts, item_runs, run_of
from alliance.scale import Scale, find_scales, load_scale, read_definition


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
    error would say it. The counts are of what could be read. `doubts` is what speaks against the form named;
    `impossible`: the data cannot be that form as it is printed. `lane` is how the file is read for scores,
    "fast", or "tolerant: " and why.
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
    doubts: tuple[str, ...] = ()
    impossible: bool = False
    lane: str = ""


def inspect(
    path: str | Path,
    scale: Scale | None,
    *,
    options: ReadOptions | None = None,
    folders: Sequence[Path] = (),
    treatments: pd.DataFrame | None = None,
) -> Inspection:
    """Return what is in the file `path`; what is wrong with the data is part of the answer, never raised.

    Forms of a client with several `treatments` are given to one of them first.

    Raises
    ------
    StoreError
        If the file cannot be opened at all.
    """
    options = options or ReadOptions()
    try:
        reading = explore(path, scale, options=options, folders=folders, treatments=treatments)
    except AllianceError as error:
        if isinstance(error, StoreError):
            raise
        return Inspection(troubles=error.troubles)
    found = _doubts(reading, scale, folders)
    whole = reading.settled is not None and not reading.log.all_troubles()
    lane = lane_of(path, scale, options=options, folders=folders, treatments=treatments) if whole else ""
    return replace(
        _inspection(reading),
        lane=lane,
        doubts=tuple(doubt.text for doubt in found),
        impossible=any(doubt.kind == CANNOT for doubt in found),
    )


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


def _doubts(reading: Reading, scale: Scale | None, folders: Sequence[Path]) -> list[Doubt]:
    """Return what speaks against each form of the file; with several forms, each doubt says its form."""
    found = [
        (part.scale, _evidence(reading, part, part.scale)) for part in reading.parts if part.scale is not None
    ]
    if scale is None and reading.mapping.scale and "scale" not in reading.keys:
        scale = load_scale(reading.mapping.scale, folders=folders)
    if scale is not None and not found:
        found = [(scale, _evidence_of_columns(reading, scale))]
    known = _known_scales(folders) if found else {}
    told = [(each, doubt) for each, evidence in found for doubt in doubts(evidence, each, known)]
    if len(found) == 1:
        return [doubt for _, doubt in told]
    return [replace(doubt, text=f"{each.id}: {doubt.text}") for each, doubt in told]


def _known_scales(folders: Sequence[Path]) -> dict[str, Scale]:
    """Return every definition that can be read; a broken one is told where it is asked for."""
    known: dict[str, Scale] = {}
    with contextlib.suppress(ScaleError):
        for name, path in find_scales(folders).items():
            with contextlib.suppress(ScaleError):
                known[name] = read_definition(path)
    return known


def _evidence(reading: Reading, part: Part, scale: Scale) -> Evidence:
    """Return what a file says of the form it was read as, with the numbers beyond the range of that form."""
    rules = rules_for(scale, reading.mapping)
    unbounded = replace(rules, scale=replace(scale, min=-math.inf, max=math.inf, item_ranges={}))
    observed = part.answers.numbers.copy()
    outside = part.answers.kinds == OUTSIDE
    observed[outside] = convert(part.entries.texts[outside], unbounded).numbers
    case = part.entries.keys["case"]
    names, columns = _item_names(reading, part, scale)
    return Evidence(
        names=names,
        columns=columns,
        stated=_stated(reading, scale),
        observed=observed,
        answers=part.answers.numbers,
        cases=pd.factorize(case.mask(case == ""))[0],
    )


def _evidence_of_columns(reading: Reading, scale: Scale) -> Evidence:
    """Return what a file says by its columns alone, none of which could be read as the items of the form."""
    names, columns = _item_names(reading, None, scale)
    none, cases = np.zeros((scale.n_items, 0)), np.zeros(0, dtype=np.int64)
    stated = _stated(reading, scale)
    return Evidence(names=names, columns=columns, stated=stated, observed=none, answers=none, cases=cases)


def _stated(reading: Reading, scale: Scale) -> tuple[str, ...]:
    """Return what the scale column calls the forms, if none of them is the one that was named."""
    column = reading.keys.get("scale")
    words = () if column is None else tuple(filter(None, pd.unique(reading.table.columns[column.place])))
    return () if scale.id in {word.casefold() for word in words} else words


def _item_names(reading: Reading, part: Part | None, scale: Scale) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the items that were read, and of all the items of the file; empty = not known.

    A mapping says itself which columns are the items, and with a scale column several forms share them.
    """
    if reading.mapping.pattern:
        return _names_by_pattern(reading)
    by_row = part is not None and part.entries.shape == "one answer a row"
    candidates = _item_ids(reading) if by_row else _filled_columns(reading)
    runs = item_runs(candidates)
    if part is None:
        runs = runs or item_runs(_item_ids(reading))
        names = next(iter(runs.values())) if len(runs) == 1 else ()
    elif by_row:
        names = tuple(number_items(candidates, scale.n_items))
    else:
        names = tuple(column.name for column in part.entries.columns.values())
    mapped = any(re.fullmatch(r"q\d+", role) for role in reading.mapping.columns)
    unknown = mapped or "scale" in reading.keys or not names
    return names, () if unknown else run_of(names[0], runs)


def _names_by_pattern(reading: Reading) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pattern = reading.mapping.pattern
    numbers = sorted({number for _, number in pattern_groups(reading.table.names, pattern)})
    names = tuple(pattern.replace("{item}", str(number)) for number in numbers)
    return names, names if numbers == list(range(1, len(numbers) + 1)) else ()


def _item_ids(reading: Reading) -> list[str]:
    """Return the different cells of the item column of a file with one answer a row."""
    column = reading.keys.get("item")
    return [] if column is None else list(pd.unique(reading.table.columns[column.place]))


def _filled_columns(reading: Reading) -> list[str]:
    """Return the columns that hold anything and have no other role."""
    table, taken = reading.table, {column.place for column in reading.keys.values()}
    return [
        name
        for place, name in enumerate(table.names)
        if name and place not in taken and not is_blank(table.columns[place]).all()
    ]


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
    opened = open_reading(path, options)
    table, mapping = opened.table, opened.mapping
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
    told = _in_comment(", ".join(f"{word} ({counted(n, 'time')})" for word, n in counts.items()))
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
    if not table.records.headed:
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
        yield _in_comment(f"# columns without a role: {', '.join(left)}")


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


def _in_comment(text: str) -> str:
    """Return a text as a comment may hold it, controls made visible."""
    return "".join(_CONTROLS.get(sign, sign) for sign in text)


def quoted(text: str) -> str:
    r"""Return `text` as a TOML string.

    >>> quoted('a "b"')
    '"a \\"b\\""'
    """
    return '"' + "".join(_ESCAPES.get(sign, sign) for sign in text) + '"'


_CONTROLS = {chr(code): f"\\u{code:04x}" for code in (*range(32), 127)}
_ESCAPES = _CONTROLS | {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
