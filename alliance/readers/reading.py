"""A file as far as it can be read: its table, columns and forms, and everything found on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import unknown_name
from alliance.readers.answers import Answers, convert_spoken, rules_for
from alliance.readers.columns import NO_HINTS, Column, Hints, find_keys, guesses, items_called
from alliance.readers.episodes import name_cases, no_cases
from alliance.readers.export import Export
from alliance.readers.forms import Context, Part, Settled, numbered, settle
from alliance.readers.identifiers import refuse_identifiers
from alliance.readers.levels import renamed, rules_of_file
from alliance.readers.mapping import ROLES, FormMap, Mapping
from alliance.readers.named import scale_called
from alliance.readers.opening import read_export
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, counted, listed
from alliance.readers.shapes import Layout, entries_without_answers, shape_entries
from alliance.readers.table import TextTable, make_table
from alliance.readers.times import read_sessions
from alliance.scale import Scale, find_scales, load_scale

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
    parts = tuple(parts_of(reading, scale, folders, options))
    keys = _numbering_keys(reading, parts)
    reading = replace(reading, keys=keys)
    _tell_guesses(keys, parts, log)
    if log.troubles or not parts:
        return replace(reading, parts=parts)
    context = Context(
        keys=keys,
        mapping=mapping,
        parts=parts,
        keep=options.keep or mapping.keep,
        date_format=date_format,
        one_scale=scale is not None or bool(mapping.forms),
        unfinished=options.unfinished or mapping.unfinished or "use",
    )
    return replace(reading, parts=parts, settled=settle(context, log))


def open_reading(path: str | Path, options: ReadOptions) -> Reading:
    """Open a file, find its header and the columns of its keys, and read what the mapping says of cells."""
    log, mapping = Log(), options.mapping or Mapping()
    export = read_export(path, options)
    log.notes.extend(export.notes)
    table = make_table(export.records, mapping, log=log, unfinished=export.unfinished)
    hints = Hints(
        source=export.source, columns=export.columns, fallbacks=export.fallbacks, forms=export.forms
    )
    keys = find_keys(table.names, mapping, log=log, roles=_roles(mapping), hints=hints)
    table = renamed(table, keys, mapping, log)
    return Reading(log=log, mapping=mapping, table=table, keys=keys, export=export, hints=hints)


def _roles(mapping: Mapping) -> tuple[str, ...]:
    """Return the roles to look for; where forms stand side by side, no column says which one a row is."""
    return tuple(role for role in ROLES if not (mapping.forms and role == "scale"))


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
        (scale_called(name, folders), ids == name) for name in pd.unique(ids) if name
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


def parts_of(
    reading: Reading, scale: Scale | None, folders: Sequence[Path], options: ReadOptions
) -> Iterator[Part]:
    """Yield the entries and answers of each form in the file; what is wrong goes into the log."""
    _refuse_strange_words(reading, scale, folders)
    if reading.mapping.forms:
        yield from side_by_side(reading, scale, folders, options)
        return
    for each, rows in _scales(reading, scale, folders):
        part = part_of(reading, each, reading.table.take(rows), options)
        yield from [] if part is None else [part]


def part_of(reading: Reading, scale: Scale | None, table: TextTable, options: ReadOptions) -> Part | None:
    """Return the entries and answers of one form in the rows of `table`; None where it has no items there."""
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
    return Part(scale=scale, entries=found, answers=answers, rules=rules)


def side_by_side(
    reading: Reading, scale: Scale | None, folders: Sequence[Path], options: ReadOptions
) -> Iterator[Part]:
    """Yield each form that stands beside others in a row, as [[forms]] of the mapping says.

    A form that nobody began is none. The rows without any form come last, with no scale, if they can be
    appointments, or days by which sessions are numbered.
    """
    forms = [form for form in reading.mapping.forms if scale is None or scale.id == form.scale]
    if not forms and scale is not None:
        named = ", ".join(dict.fromkeys(form.scale for form in reading.mapping.forms))
        message = f"the mapping has no form '{scale.id}' under [[forms]]"
        reading.log.trouble(message, hint=f"it has {named}")
        return
    began = np.zeros(len(reading.table.lines), dtype=bool)
    n_blank = 0
    for form in forms:
        known = scale or load_scale(form.scale, folders=folders)
        own = _reading_of(form, reading)
        part = part_of(own, known, own.table, options) if own is not None else None
        if part is not None:
            given = np.asarray(part.answers.given.any(axis=0))
            n_blank += int((~given).sum())
            began |= np.isin(reading.table.lines, part.entries.keys["line"].to_numpy()[given])
            yield _only(part, given, form.rater)
    if n_blank:
        reading.log.note(f"{counted(n_blank, 'blank form')} in rows with several forms not read")
    if {"attendance", "attended"} & set(reading.keys) or not numbered(reading.keys, reading.mapping):
        rest = part_of(reading, None, reading.table.take(~began), options)
        yield from [] if rest is None or began.all() else [rest]


def _only(part: Part, forms: Array, rater: str) -> Part:
    """Return the part with only the `forms` (a bool array), filled in by `rater` if anyone is named."""
    answers = Answers(numbers=part.answers.numbers[:, forms], kinds=part.answers.kinds[:, forms])
    return replace(part, entries=part.entries.take(forms), answers=answers, rater=rater)


def _reading_of(form: FormMap, reading: Reading) -> Reading | None:
    """Return the reading as one of several forms sees it: its own mapping, and its own rows."""
    whole, table, log = reading.mapping, reading.table, reading.log
    items = form.columns
    if form.items:
        by_row = {"item", "value"} <= set(reading.keys) and not items_called(table.names, form.items)
        names = _item_ids(reading) if by_row else list(table.names)
        items = items_called(names, form.items)
        if not items:
            what = f"no column is called like '{form.items}', the items of '{form.scale}'"
            log.trouble(what, hint="correct it in the mapping")
            return None
        _refuse_two_of_an_item(names, form, items, log)
        if by_row:
            table, items = _rows_of(reading, items), {}
    mapping = replace(
        whole,
        columns={**{role: name for role, name in whole.columns.items() if role in ROLES}, **items},
        missing=(*whole.missing, *form.missing),
        shift=whole.shift if form.shift is None else form.shift,
        turned=form.turned,
        pattern=form.pattern,
        forms=(),
    )
    return replace(reading, mapping=mapping, table=table)


def _item_ids(reading: Reading) -> list[str]:
    return [str(name) for name in pd.unique(reading.table.columns[reading.keys["item"].place])]


def _refuse_two_of_an_item(names: Sequence[str], form: FormMap, items: dict[str, str], log: Log) -> None:
    """Note down a trouble if two differently written columns are the same item, such as q1 and q01."""
    for name in names:
        for role, own in items_called([name], form.items).items():
            if items[role] != own:
                what = f"columns '{own}' and '{items[role]}' are the same item of '{form.scale}'"
                log.trouble(what, hint="rename or delete all but the right one")


def _rows_of(reading: Reading, items: dict[str, str]) -> TextTable:
    """Return the rows that answer the `items` (role → id) of one form, with their ids as q1 to qk."""
    table, place = reading.table, reading.keys["item"].place
    roles = {name: role for role, name in items.items()}
    own = np.array([name in roles for name in table.columns[place]], dtype=bool)
    rows = table.take(own)
    ids = np.array([roles[name] for name in rows.columns[place]], dtype=object)
    columns = (*rows.columns[:place], ids, *rows.columns[place + 1 :])
    return replace(rows, columns=columns)


def _refuse_strange_words(reading: Reading, scale: Scale | None, folders: Sequence[Path]) -> None:
    """Note down answers of the mapping that no form could ever use, for a slip in a form or a language."""
    mapping, log = reading.mapping, reading.log
    known = {*(find_scales(folders) if mapping.worded else ()), *([] if scale is None else [scale.id])}
    for form, languages in mapping.worded.items():
        if form not in known:
            what, hint = unknown_name("form", form, known)
            log.trouble(f"{what} under [answers]", hint=hint)
        spoken = sorted(language for language, words in languages.items() if language and words)
        if spoken and "language" not in reading.keys and not mapping.language:
            log.trouble(
                f"the mapping has answers for a language, and nothing says the language of a form: "
                f"{', '.join(spoken)}",
                hint='say it in the mapping: language = "…", or [columns] language = "…"',
            )


def _no_answers(n_forms: int) -> Answers:
    return Answers(numbers=np.zeros((0, n_forms)), kinds=np.zeros((0, n_forms), dtype=np.int8))


def _numbering_keys(reading: Reading, parts: tuple[Part, ...]) -> dict[str, Column]:
    """Return the keys without a session column that does not number every form, if dates can do so.

    That is for a column that the source system merely suggests.
    """
    keys = reading.keys
    column = keys.get("session")
    if column is None or column.name != reading.hints.fallbacks.get("session") or not column.guessed:
        return keys
    if "date" not in keys or not parts:
        return keys
    forms = pd.concat([part.entries.keys for part in parts])
    given = np.concatenate([part.answers.given.any(axis=0) for part in parts])
    _, blank, wrong = read_sessions(forms["session"].to_numpy(dtype=object))
    odd = wrong | (blank & given)
    if not odd.any():
        return keys
    what = f"column '{column.name}' does not number every form, and was not read as the session"
    reading.log.note(what, [f"line {line}" for line in forms["line"][odd]])
    return {role: each for role, each in keys.items() if role != "session"}


def _tell_guesses(keys: dict[str, Column], parts: tuple[Part, ...], log: Log) -> None:
    log.notes.extend(guesses(keys, {}, ""))
    for part in parts:
        if part.scale is not None:
            log.notes.extend(guesses({}, part.entries.columns, part.scale.id))
