"""Any file → Responses of one or several scales, or every problem at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from alliance.errors import DataError, Trouble
from alliance.frames import KEYS
from alliance.readers.attendance import appointments_of, empty_appointments
from alliance.readers.episodes import no_cases, number_from_one
from alliance.readers.flags import ROLE as FLAG
from alliance.readers.flags import flags_of, no_flags
from alliance.readers.forms import Part, Settled
from alliance.readers.layout import FAST, TOLERANT, Odd
from alliance.readers.mapping import Mapping
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, stop_if_wrong
from alliance.readers.reading import Reading, explore
from alliance.readers.table import TextTable, says_synthetic
from alliance.readers.totals import compare_totals
from alliance.readers.treatments import treatment_cells
from alliance.readers.whole import read_whole
from alliance.scale import Scale


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A file as read: Responses by scale id, appointments, what was left out, and what must be told.

    `cases` has client and episode behind each case; `cells` are the columns that may say how treatments
    ended; `synthetic`: the file says that it is; `outcome_flags`: what an outcome system says of a session.
    `lane` is "fast", or "tolerant: " and what was odd.
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
    lane: str = FAST


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
    try:
        return _plain(path, scale, options, folders, treatments)
    except Odd as odd:
        why = str(odd)
    reading = explore(path, scale, options=options, folders=folders, treatments=treatments)
    stop_if_wrong(reading.log, options.on_error)
    if reading.settled is None:
        message = f"no form could be read from '{path}'"
        raise DataError(message, hint="`alliance check FILE` says what is in it")
    loaded = replace(_finish(reading, reading.settled), lane=f"{TOLERANT}: {why}")
    return _renumbered(loaded, treatments) if renumber else loaded


def _plain(
    path: str | Path,
    scale: Scale | None,
    options: ReadOptions,
    folders: Sequence[Path],
    treatments: pd.DataFrame | None,
) -> Loaded:
    """Return what the fast lane finds; Odd, with the reason, if it leaves the file to the tolerant one."""
    if str(path) == "-" or treatments is not None:
        raise Odd("standard input" if treatments is None else "treatments of their own")
    found = read_whole(Path(path), scale, options, folders)
    nothing = pd.DataFrame({"case": found.cases["case"].iloc[:1], "shown": 1, FLAG: ""})
    return Loaded(
        responses={found.scale.id: found.responses},
        scales={found.scale.id: found.scale},
        appointments=empty_appointments(),
        rejected=Log().rejected(),
        notes=found.notes,
        mapping=options.mapping or Mapping(),
        cases=found.cases,
        outcome_flags=flags_of(nothing),
        synthetic=found.synthetic,
    )


def lane_of(
    path: str | Path,
    scale: Scale | None,
    *,
    options: ReadOptions,
    folders: Sequence[Path] = (),
    treatments: pd.DataFrame | None = None,
) -> str:
    """Return the lane that `load` takes: "fast", or "tolerant: " and what is odd."""
    try:
        return _plain(path, scale, options, folders, treatments).lane
    except Odd as odd:
        return f"{TOLERANT}: {odd}"


def _renumbered(loaded: Loaded, treatments: pd.DataFrame | None) -> Loaded:
    known = loaded.cases if treatments is None else treatments
    if known["client"].is_unique:
        return loaded
    names = list(loaded.responses)
    frames = [*(loaded.responses[name] for name in names), loaded.appointments, loaded.outcome_flags]
    *forms, booked, flags = number_from_one(frames, known)
    responses = dict(zip(names, forms, strict=True))
    return replace(loaded, responses=responses, appointments=booked, outcome_flags=flags)


def _finish(reading: Reading, settled: Settled) -> Loaded:
    log = reading.log
    scales = {part.scale.id: part.scale for part in reading.parts if part.scale is not None}
    responses: dict[str, pd.DataFrame] = {}
    for number, part in enumerate(reading.parts):
        if part.scale is not None:
            own = _responses(settled.forms, number, part)
            before = responses.get(part.scale.id)
            responses[part.scale.id] = own if before is None else _together(before, own)
    long = {part.scale.id for part in reading.parts if part.scale and part.entries.shape == "long"}
    for name in (each for each in scales if each in long):
        compare_totals(reading.table, responses[name], scales[name], reading.mapping, log)
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


def _together(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return the Responses of two parts of one form, such as the same form for client and therapist."""
    both = pd.concat([before, after])
    lines = pd.Series(both.index, index=both.index)
    first = lines.groupby(both["case"].to_numpy()).transform("min")
    order = both.assign(first=first.to_numpy()).sort_values(["first", "rater", "session"], kind="stable")
    return order.drop(columns="first")


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
