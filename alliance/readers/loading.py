"""Any file → Responses of one or several scales, or every problem at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import DataError, Trouble
from alliance.frames import KEYS
from alliance.readers.answers import Answers, convert, rules_for
from alliance.readers.attendance import (
    appointments_of,
    appointments_twice,
    empty_appointments,
    in_order,
    read_words,
    refuse_without_attendance,
)
from alliance.readers.columns import Column, find_keys
from alliance.readers.episodes import name_cases, no_cases, number_from_one
from alliance.readers.flags import flags_of, no_flags
from alliance.readers.forms import (
    BAD_ATTENDANCE,
    BAD_DATE,
    BAD_SESSION,
    NO_CASE,
    Context,
    Part,
    Settled,
    settle,
)
from alliance.readers.identifiers import refuse_identifiers
from alliance.readers.mapping import Mapping
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, counted, in_file, listed
from alliance.readers.shapes import KEY_ROLES, Layout, entries_without_answers, shape_entries
from alliance.readers.sheets import read_records
from alliance.readers.table import TextTable, make_table, says_synthetic
from alliance.readers.times import read_dates, read_sessions
from alliance.readers.totals import compare_totals
from alliance.readers.treatments import treatment_cells
from alliance.scale import Scale, load_scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A file as read: Responses by scale id, appointments, what was left out, and what must be told.

    `cases` has client and episode behind each case; `cells` are the columns that may say how treatments
    ended; `synthetic`: the file says that it is; `outcome_flags`: what an outcome system says of a session.
    """

    responses: dict[str, pd.DataFrame]
    scales: dict[str, Scale]
    appointments: pd.DataFrame
    rejected: pd.DataFrame
    notes: tuple[str, ...]
    mapping: Mapping
    cases: pd.DataFrame = field(default_factory=no_cases)
    cells: TextTable | None = None
    outcome_flags: pd.DataFrame = field(default_factory=no_flags)
    synthetic: bool = False


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How far a file could be read, with all that was found; `settled` is None if it was not far enough."""

    log: Log
    mapping: Mapping
    table: TextTable
    keys: dict[str, Column]
    parts: tuple[Part, ...] = ()
    settled: Settled | None = None
    cases: pd.DataFrame = field(default_factory=no_cases)


def read(path: str | Path, scale: Scale, **options: Any) -> pd.DataFrame:
    """Return the Responses of one scale in the file `path`.

    Parameters
    ----------
    path : str or Path
        CSV, TSV, Excel or Parquet; one row a form, a case or an answer. `-` is standard input.
    scale : Scale
        The scoring definition; its range says which answers are possible, and missing ones are NaN.
    **options
        The fields of ReadOptions: mapping, missing, on_error, keep, date_format, sheet, encoding,
        allow_identifiers.

    Returns
    -------
    DataFrame
        `case session date therapist rater q1 … qk`, one row a form, labelled by its line in the file. A blank
        form is kept, with no answers.

    Raises
    ------
    DataError
        With every problem of the file at once.
    """
    return load(path, scale, options=ReadOptions(**options)).responses[scale.id]


def load(
    path: str | Path,
    scale: Scale | None,
    *,
    options: ReadOptions | None = None,
    folders: Sequence[Path] = (),
    treatments: pd.DataFrame | None = None,
    renumber: bool = True,
) -> Loaded:
    """Return everything in the file `path`: Responses by scale, appointments, rejected cells, notes.

    Parameters
    ----------
    path : str or Path
        CSV, TSV, Excel or Parquet; `-` is standard input.
    scale : Scale or None
        The form that was filled in. None: the file has a `scale` column, or the mapping names the form.
    options : ReadOptions, optional
        Mapping, missing codes, and what to do with problems.
    folders : sequence of Path
        Folders with more scale definitions.
    treatments : Treatments, optional
        Forms of a client with several treatments are given to one by their episode column or their date.
    renumber : bool
        Number sessions from 1 in each treatment of a client where the file numbers them on through.

    Raises
    ------
    DataError
        With every problem at once; with `on_error="drop"` only if nothing can be read.
    """
    options = options or ReadOptions()
    reading = explore(path, scale, options=options, folders=folders, treatments=treatments)
    _stop_if_wrong(reading.log, options)
    if reading.settled is None:
        message = f"no form could be read from '{path}'"
        raise DataError(message, hint="`alliance check FILE` says what is in it")
    loaded = _finish(reading, reading.settled)
    return _renumbered(loaded, treatments) if renumber else loaded


def _renumbered(loaded: Loaded, treatments: pd.DataFrame | None) -> Loaded:
    names = list(loaded.responses)
    frames = [*(loaded.responses[name] for name in names), loaded.appointments, loaded.outcome_flags]
    *forms, booked, flags = number_from_one(frames, loaded.cases if treatments is None else treatments)
    responses = dict(zip(names, forms, strict=True))
    return replace(loaded, responses=responses, appointments=booked, outcome_flags=flags)


def _stop_if_wrong(log: Log, options: ReadOptions) -> None:
    """Raise DataError with all that is wrong, or only if the file as a whole is, under "drop"."""
    if log.troubles or (options.on_error == "stop" and (log.absences or log.problems)):
        raise DataError.of(log.all_troubles())


def explore(
    path: str | Path,
    scale: Scale | None,
    *,
    options: ReadOptions,
    folders: Sequence[Path] = (),
    treatments: pd.DataFrame | None = None,
) -> Reading:
    """Read the file as far as it goes and note down everything; raises only if it is no table at all."""
    log = Log()
    mapping = options.mapping or Mapping()
    records = read_records(path, sheet=options.sheet or mapping.sheet, encoding=options.encoding)
    table = make_table(records, mapping, log=log)
    keys = find_keys(table.names, mapping, log=log)
    reading = Reading(log=log, mapping=mapping, table=table, keys=keys)
    _require_case_and_order(reading)
    if refuse_identifiers(table, keys, mapping, log, allow=options.allow_identifiers):
        return reading
    date_format = options.date_format or mapping.date_format
    named = name_cases(table, keys, treatments=treatments, date_format=date_format, log=log)
    reading = replace(reading, table=named.table, cases=named.cases)
    table = named.table
    scales = _scales(reading, scale, folders)
    parts = tuple(
        part for each, rows in scales if (part := _part(reading, each, table.take(rows), options)) is not None
    )
    _tell_guesses(keys, parts, log)
    if log.troubles or not parts:
        return replace(reading, parts=parts)
    context = Context(
        keys=keys,
        mapping=mapping,
        parts=parts,
        keep=options.keep,
        date_format=options.date_format or "",
        one_scale=scale is not None,
    )
    return replace(reading, parts=parts, settled=settle(context, log))


def read_attendance(
    paths: str | Path | Sequence[str | Path],
    *,
    options: ReadOptions | None = None,
    treatments: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return Appointments from files with case, date or session, and attendance (or attended: yes or no).

    Parameters
    ----------
    paths : path or sequence of paths
        Several files are put together; of each case the appointments are ordered by date where all have one.
    options : ReadOptions, optional
        Mapping, date format, sheet, and what to do with problems.
    treatments : Treatments, optional
        Appointments of a client with several treatments are given to one by their episode column or date.

    Raises
    ------
    DataError
        With every problem of all files at once; `on_error="drop"` leaves out the rows instead.
    """
    options = options or ReadOptions()
    many = [paths] if isinstance(paths, str | Path) else list(paths)
    if len(many) == 1:
        return in_order(_attendance_rows(many[0], options, treatments))
    troubles: list[Trouble] = []
    parts: list[pd.DataFrame] = []
    for path in many:
        try:
            rows = _attendance_rows(path, options, treatments)
        except DataError as error:
            troubles += [in_file(trouble, Path(path).name) for trouble in error.troubles]
            continue
        offset = max((int(part["line"].max()) for part in parts if len(part)), default=0)
        parts.append(rows.assign(file=Path(path).name, of_file=rows["line"], line=rows["line"] + offset))
    if not troubles:
        troubles = appointments_twice(pd.concat(parts, ignore_index=True))
    if troubles:
        raise DataError.of(troubles)
    return in_order(pd.concat(parts, ignore_index=True))


def _attendance_rows(path: str | Path, options: ReadOptions, treatments: pd.DataFrame | None) -> pd.DataFrame:
    log, mapping = Log(), options.mapping or Mapping()
    records = read_records(path, sheet=options.sheet or mapping.sheet, encoding=options.encoding)
    table = make_table(records, mapping, log=log)
    keys = find_keys(table.names, mapping, log=log)
    if "attendance" not in keys and "attended" not in keys:
        raise refuse_without_attendance(path)
    _require_case_and_order(Reading(log=log, mapping=mapping, table=table, keys=keys))
    refuse_identifiers(table, keys, mapping, log, allow=options.allow_identifiers)
    if log.troubles:
        raise DataError.of(log.all_troubles())
    date_format = options.date_format or mapping.date_format
    table = name_cases(table, keys, treatments=treatments, date_format=date_format, log=log).table
    rows = _appointment_rows(table, keys, date_format, log)
    _stop_if_wrong(log, options)
    return rows


def _appointment_rows(table: TextTable, keys: dict[str, Column], date_format: str, log: Log) -> pd.DataFrame:
    blank = np.full(len(table.lines), "", dtype=object)
    cells = {role: table.columns[keys[role].place] if role in keys else blank for role in KEY_ROLES}
    role = "attendance" if "attendance" in keys else "attended"
    codes, unknown = read_words(cells[role], yes_no=role == "attended")
    numbers, _, bad_session = read_sessions(cells["session"])
    dates = read_dates(cells["date"], date_format=date_format)
    session = pd.Series(numbers, dtype="Int64").mask(numbers < 0)
    rows = pd.DataFrame({"line": table.lines, "case": cells["case"], "session": session, "rater": ""})
    if dates.ambiguous:
        log.trouble(
            f"the dates in column '{keys['date'].name}' can be read day first and month first",
            hint="say --date-format dmy or --date-format mdy",
        )
    bad = [(NO_CASE, cells["case"] == "", "case"), (BAD_ATTENDANCE, unknown, role)]
    bad += [(BAD_SESSION, bad_session, "session"), (BAD_DATE, dates.unreadable, "date")]
    for kind, where, name in bad:
        column = keys[name].name if name in keys else name
        log.problem(kind, rows[where], item=name, value=cells[name][where], column=column)
    keep = np.flatnonzero(~np.any([where for _, where, _ in bad], axis=0))
    return rows.assign(shown=session, date=dates.days, attendance=codes).iloc[keep]


def _require_case_and_order(reading: Reading) -> None:
    keys, mapping, log = reading.keys, reading.mapping, reading.log
    known = {*keys, *log.contested}
    if "case" not in known:
        columns = listed([name for name in reading.table.names if name])
        hint = 'name the column case, or say which it is in a mapping: [columns] case = "…"'
        log.trouble("no column says whose form it is", where=[f"columns: {columns}"], hint=hint)
    if not mapping.pattern and not {"session", "date"} & known:
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


def _part(reading: Reading, scale: Scale | None, table: TextTable, options: ReadOptions) -> Part | None:
    layout = Layout(table=table, keys=reading.keys, mapping=reading.mapping, keep=options.keep)
    if scale is None:
        entries = entries_without_answers(layout)
        return Part(scale=None, entries=entries, answers=_no_answers(len(table.lines)))
    rules = rules_for(scale, reading.mapping, options.missing)
    found = shape_entries(layout, rules, log=reading.log)
    return None if found is None else Part(scale=scale, entries=found, answers=convert(found.texts, rules))


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


def _finish(reading: Reading, settled: Settled) -> Loaded:
    log = reading.log
    scales = {part.scale.id: part.scale for part in reading.parts if part.scale is not None}
    responses = {
        part.scale.id: _responses(settled.forms, number, part)
        for number, part in enumerate(reading.parts)
        if part.scale is not None
    }
    for part in reading.parts:
        if part.scale is not None and part.entries.shape == "long":
            compare_totals(reading.table, responses[part.scale.id], part.scale, reading.mapping, log)
    log.notes.extend(_as_note(trouble) for trouble in log.absences)
    told = "attendance" in reading.keys or "attended" in reading.keys
    return Loaded(
        responses=responses,
        scales=scales,
        appointments=appointments_of(settled.forms, settled.missed) if told else empty_appointments(),
        rejected=log.rejected(),
        notes=tuple(log.notes),
        mapping=reading.mapping,
        cases=reading.cases,
        cells=treatment_cells(reading.table, reading.keys),
        outcome_flags=flags_of(settled.forms),
        synthetic=says_synthetic(reading.table),
    )


def _as_note(trouble: Trouble) -> str:
    places = f": {', '.join(trouble.where)}" if trouble.where else ""
    return f"{trouble.what}{places}"


def _responses(forms: pd.DataFrame, number: int, part: Part) -> pd.DataFrame:
    """Return the Responses of one part: cases as they first appear, then rater, then session."""
    first = forms.groupby("case")["line"].transform("min")
    rows = forms.assign(first=first)[forms["part"] == number]
    rows = rows.sort_values(["first", "rater", "shown"], kind="stable")
    scale = part.scale
    items = scale.items if scale is not None else ()
    values = pd.DataFrame(part.answers.numbers[:, rows["place"].to_numpy()].T, columns=list(items))
    keys = rows.assign(session=rows["shown"].astype("int64"))[list(KEYS)].reset_index(drop=True)
    frame = pd.concat([keys, values], axis=1)
    return frame.set_index(pd.Index(rows["line"].to_numpy(), name="line"))
