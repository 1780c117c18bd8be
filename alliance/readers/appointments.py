"""Files of appointments → Appointments: who came and who did not, from one or several files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from alliance.errors import DataError, Trouble
from alliance.readers.attendance import appointments_twice, in_order, read_words, refuse_without_attendance
from alliance.readers.codes import refuse_unusable_codes
from alliance.readers.columns import Column
from alliance.readers.episodes import name_cases
from alliance.readers.forms import BAD_ATTENDANCE, BAD_DATE, BAD_SESSION, NO_CASE
from alliance.readers.identifiers import refuse_identifiers
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, in_file, stop_if_wrong
from alliance.readers.reading import open_reading, require_case_and_order
from alliance.readers.shapes import KEY_ROLES
from alliance.readers.table import TextTable
from alliance.readers.times import read_dates, read_sessions


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
    reading = open_reading(path, options)
    log, mapping, table, keys = reading.log, reading.mapping, reading.table, reading.keys
    if "attendance" not in keys and "attended" not in keys:
        raise refuse_without_attendance(path)
    require_case_and_order(reading)
    refuse_unusable_codes(table, keys, log)
    refuse_identifiers(table, keys, mapping, log, allow=options.allow_identifiers)
    if log.troubles:
        raise DataError.of(log.all_troubles())
    date_format = options.date_format or mapping.date_format
    table = name_cases(table, keys, treatments=treatments, date_format=date_format, log=log).table
    rows = _appointment_rows(table, keys, date_format, log)
    stop_if_wrong(log, options.on_error)
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
