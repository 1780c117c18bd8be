"""What is in a file and what is wrong with it, and a mapping drafted from it for a person to confirm."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import AllianceError, ScaleError, StoreError, Trouble
from alliance.readers.answers import OUTSIDE, convert, is_blank, rules_for
from alliance.readers.columns import (
    number_items,
    pattern_groups,
)
from alliance.readers.forms import Part
from alliance.readers.loading import lane_of
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, empty_rejected
from alliance.readers.reading import Reading, explore
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
    `impossible`: the data cannot be that form as it is printed. `source` is the system the file is from and
    `evidence` what it was seen by; both are empty for a table of no particular system. `lane` is how the
    file is read for scores, "fast", or "tolerant: " and why.
    """

    rows: int = 0
    forms: int = 0
    cases: int = 0
    raters: tuple[str, ...] = ()
    sessions: int = 0
    scales: tuple[str, ...] = ()
    shape: str = ""
    source: str = ""
    evidence: str = ""
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
    used = {role.column for role in roles} | set(_used_names(reading))
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
        source=reading.export.source,
        evidence=reading.export.evidence,
        encoding=table.records.encoding,
        delimiter=DELIMITER_NAMES.get(table.records.delimiter, ""),
        sheet=table.records.sheet,
        header_line=table.header_line,
        roles=roles,
        unused=tuple(name for name in table.names if name and name not in used),
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


def _used_names(reading: Reading) -> Iterator[str]:
    """Yield the names of all columns that hold items, and of keys that have a column for each session."""
    for part in reading.parts:
        yield from (name for names in part.entries.called.values() for name in names)
    for called in reading.mapping.columns.values():
        number = re.escape(called).replace(r"\{session\}", r"\d+")
        yield from (name for name in reading.table.names if re.fullmatch(number, name))


def _doubts(reading: Reading, scale: Scale | None, folders: Sequence[Path]) -> list[Doubt]:
    """Return what speaks against each form of the file; with several forms, each doubt says its form."""
    found = [
        (part.scale, _evidence(reading, part, part.scale)) for part in reading.parts if part.scale is not None
    ]
    if scale is None and reading.mapping.scale and "scale" not in reading.keys:
        scale = load_scale(reading.mapping.scale, folders=folders)
    if scale is not None and not found:
        found = [(scale, _evidence_of_columns(reading, scale))]
    known = known_scales(folders) if found else {}
    told = [(each, doubt) for each, evidence in found for doubt in doubts(evidence, each, known)]
    if len(found) == 1:
        return [doubt for _, doubt in told]
    return [replace(doubt, text=f"{each.id}: {doubt.text}") for each, doubt in told]


def known_scales(folders: Sequence[Path]) -> dict[str, Scale]:
    """Return every definition that can be read; a broken one is told where it is asked for."""
    known: dict[str, Scale] = {}
    with contextlib.suppress(ScaleError):
        for name, path in find_scales(folders).items():
            with contextlib.suppress(ScaleError):
                known[name] = read_definition(path)
    return known


def _evidence(reading: Reading, part: Part, scale: Scale) -> Evidence:
    """Return what a file says of the form it was read as, with the numbers beyond the range of that form."""
    rules = part.rules or rules_for(scale, reading.mapping)
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
