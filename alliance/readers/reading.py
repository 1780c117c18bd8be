"""A file as far as it can be read: its table, columns and forms, and everything found on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.readers.answers import Answers, convert_spoken, rules_for
from alliance.readers.columns import NO_HINTS, Column, Hints, find_keys, items_called
from alliance.readers.episodes import name_cases, no_cases
from alliance.readers.export import Export
from alliance.readers.forms import Context, Part, Settled, settle
from alliance.readers.identifiers import refuse_identifiers
from alliance.readers.levels import renamed, rules_of_file
from alliance.readers.mapping import ROLES, FormMap, Mapping
from alliance.readers.opening import read_export
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, counted, listed
from alliance.readers.shapes import Layout, entries_without_answers, shape_entries
from alliance.readers.table import TextTable, make_table
from alliance.scale import Scale, load_scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How far a file could be read, with all that was found; `settled` is None if it was not far enough."""

    log: Log
    mapping: Mapping
    table: TextTable
    keys: dict[str, Column]
    export: Export
    hints: Hints = NO_HINTS
    parts: tuple[Part, ...] = ()
    settled: Settled | None = None
    cases: pd.DataFrame = field(default_factory=no_cases)


def explore(
    path: str | Path,
    scale: Scale | None,
    *,
    options: ReadOptions,
    folders: Sequence[Path] = (),
    treatments: pd.DataFrame | None = None,
) -> Reading:
    """Read the file as far as it goes and note down everything; raises only if it is no table at all."""
    reading = open_reading(path, options)
    log, mapping, table, keys = reading.log, reading.mapping, reading.table, reading.keys
    require_case_and_order(reading)
    if refuse_identifiers(table, keys, mapping, log, allow=options.allow_identifiers):
        return reading
    date_format = options.date_format or mapping.date_format or reading.export.date_format
    named = name_cases(table, keys, treatments=treatments, date_format=date_format, log=log)
    reading = replace(reading, table=named.table, cases=named.cases)
    parts = tuple(_parts(reading, scale, folders, options))
    _tell_guesses(keys, parts, log)
    if log.troubles or not parts:
        return replace(reading, parts=parts)
    context = Context(
        keys=keys,
        mapping=mapping,
        parts=parts,
        keep=options.keep or mapping.keep,
        date_format=date_format,
        one_scale=scale is not None,
        unfinished=options.unfinished or mapping.unfinished or "use",
    )
    return replace(reading, parts=parts, settled=settle(context, log))


def open_reading(path: str | Path, options: ReadOptions) -> Reading:
    """Open a file, find its header and the columns of its keys, and read what the mapping says of cells."""
    log, mapping = Log(), options.mapping or Mapping()
    export = read_export(path, options)
    log.notes.extend(export.notes)
    table = make_table(export.records, mapping, log=log, unfinished=export.unfinished)
    hints = Hints(source=export.source, columns=export.columns, fallbacks=export.fallbacks)
    keys = find_keys(table.names, mapping, log=log, hints=hints)
    table = renamed(table, keys, mapping, log)
    return Reading(log=log, mapping=mapping, table=table, keys=keys, export=export, hints=hints)


def require_case_and_order(reading: Reading) -> None:
    """Note down a trouble unless columns say whose the forms are and in which order they were filled in."""
    keys, mapping, log = reading.keys, reading.mapping, reading.log
    known = {*keys, *log.contested}
    if "case" not in known:
        columns = listed([name for name in reading.table.names if name])
        hint = 'name the column case, or say which it is in a mapping: [columns] case = "…"'
        log.trouble("no column says whose form it is", where=[f"columns: {columns}"], hint=hint)
    wide = mapping.pattern or any(form.pattern for form in mapping.forms)
    if not wide and not {"session", "date"} & known:
        hint = "add a session number or a date, or say in a mapping which column it is"
        log.trouble("no column says in which order the forms were filled in", hint=hint)


def _scales(
    reading: Reading, scale: Scale | None, folders: Sequence[Path]
) -> list[tuple[Scale | None, Array]]:
    """Return each scale in the file with its rows; rows that name no form come with None."""
    table, log = reading.table, reading.log
    everything = np.ones(len(table.lines), dtype=bool)
    column = reading.keys.get("scale")
    if scale is None and column is None and reading.mapping.scale:
        scale = load_scale(reading.mapping.scale, folders=folders)
    if column is None:
        if scale is None:
            log.trouble(
                "nothing says which form was filled in",
                hint="name it with --scale, or add a column scale with its id",
            )
            return []
        return [(scale, everything)]
    ids = table.columns[column.place]
    if scale is not None:
        return _rows_of_scale(scale, ids, reading)
    named: list[tuple[Scale | None, Array]] = [
        (load_scale(name, folders=folders), ids == name) for name in pd.unique(ids) if name
    ]
    return named + ([(None, ids == "")] if (ids == "").any() else [])


def _rows_of_scale(scale: Scale, ids: Array, reading: Reading) -> list[tuple[Scale | None, Array]]:
    """Return the rows of one scale; those of others, with None, if they count as appointments or days."""
    log = reading.log
    own = np.array([name.casefold() in {scale.id, ""} for name in ids], dtype=bool)
    others = sorted(set(ids[~own]))
    if others and not (ids[own] != "").any():
        known = ", ".join(others)
        log.trouble(f"the file has no form '{scale.id}'", hint=f"its scale column says {known}")
    elif others:
        log.note(f"{counted(int((~own).sum()), 'row')} of other forms not read", others)
    needed = {"attendance", "attended"} & set(reading.keys) or "session" not in reading.keys
    return [(scale, own), (None, ~own)] if others and needed else [(scale, own)]


def _parts(
    reading: Reading, scale: Scale | None, folders: Sequence[Path], options: ReadOptions
) -> Iterator[Part]:
    """Yield the entries and answers of each form in the file."""
    if reading.mapping.forms and "scale" not in reading.keys:
        for form in reading.mapping.forms:
            if scale is None or scale.id == form.scale:
                known = scale or load_scale(form.scale, folders=folders)
                own = replace(reading, mapping=_mapping_of(form, reading))
                part = _part(own, known, reading.table, options)
                yield from [] if part is None else [replace(part, rater=form.rater)]
        return
    for each, rows in _scales(reading, scale, folders):
        part = _part(reading, each, reading.table.take(rows), options)
        yield from [] if part is None else [part]


def _mapping_of(form: FormMap, reading: Reading) -> Mapping:
    """Return the mapping of one of several forms that stand side by side."""
    whole, names = reading.mapping, reading.table.names
    keys = {role: name for role, name in whole.columns.items() if role in ROLES}
    items = items_called(names, form.items) if form.items else form.columns
    if form.items and not items:
        reading.log.trouble(
            f"no column is called like '{form.items}', the items of '{form.scale}'",
            hint="correct it in the mapping",
        )
    return replace(
        whole,
        columns={**keys, **items},
        missing=(*whole.missing, *form.missing),
        shift=whole.shift if form.shift is None else form.shift,
        turned=whole.turned if form.turned is None else form.turned,
        pattern=form.pattern,
        forms=(),
    )


def _part(reading: Reading, scale: Scale | None, table: TextTable, options: ReadOptions) -> Part | None:
    keep = options.keep or reading.mapping.keep
    layout = Layout(table=table, keys=reading.keys, mapping=reading.mapping, keep=keep, hints=reading.hints)
    if scale is None:
        entries = entries_without_answers(layout)
        return Part(scale=None, entries=entries, answers=_no_answers(len(table.lines)))
    rules = rules_for(scale, reading.mapping, (*options.missing, *reading.export.missing))
    found = shape_entries(layout, rules, log=reading.log)
    if found is None:
        return None
    rules = rules_of_file(rules, found, reading.export, reading.mapping, reading.log)
    answers = convert_spoken(found.texts, found.keys["language"].to_numpy(dtype=object), rules)
    return Part(scale=scale, entries=found, answers=answers)


def _no_answers(n_forms: int) -> Answers:
    return Answers(numbers=np.zeros((0, n_forms)), kinds=np.zeros((0, n_forms), dtype=np.int8))


def _tell_guesses(keys: dict[str, Column], parts: tuple[Part, ...], log: Log) -> None:
    for role, column in keys.items():
        if column.guessed:
            log.note(f"column '{column.name}' is read as the {role} ({column.evidence})")
    for part in parts:
        guessed = [column.name for column in part.entries.columns.values() if column.guessed]
        if guessed and part.scale is not None:
            log.note(f"columns {guessed[0]} to {guessed[-1]} are read as the items of '{part.scale.id}'")
