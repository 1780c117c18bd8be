"""A plain file of scores, one row a session → Scores: numbers as they are, no form to check them by."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import DataError
from alliance.frames import KEYS
from alliance.readers.answers import MISSING_WORDS, number_of
from alliance.readers.codes import refuse_unusable_codes
from alliance.readers.columns import NO_HINTS, SIDES, Column, Hints, find_keys
from alliance.readers.episodes import name_cases
from alliance.readers.forms import BAD_DATE, BAD_SESSION, CONFLICT, NO_CASE, NO_DATE, NO_SESSION
from alliance.readers.identifiers import refuse_identifiers
from alliance.readers.mapping import Mapping, plain
from alliance.readers.opening import read_export
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Kind, Log, counted, listed, places
from alliance.readers.table import TextTable, make_table
from alliance.readers.times import read_dates, read_sessions

Array = np.ndarray[Any, Any]

NO_NUMBER = Kind(
    label="no number",
    one="score is no number",
    many="scores are no numbers",
    hint="leave a session without a score empty, or declare the code with --missing, such as --missing -99",
)
OUTSIDE = Kind(
    label="out of range",
    one="score outside the given range",
    many="scores outside the given range",
    hint="correct the score, or --min and --max",
)


@dataclass(frozen=True, kw_only=True)
class PlainScores:
    """A plain file as read.

    Attributes
    ----------
    frame : DataFrame
        `case session date therapist rater` and the score columns (float, NaN = not scored), one row a session
        and rater, cases as they first appear, then rater, then session; labelled by the line of the file.
        Columns asked for as `texts` come along as text.
    notes : what must be told
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OpenFile:
    """A file as named columns of text, read once; `log` holds what was told on the way."""

    table: TextTable
    log: Log
    hints: Hints = NO_HINTS

    def has(self, column: str) -> bool:
        """Return whether the file has a column of that name."""
        return column in self.table.names


def open_file(path: str | Path, *, options: ReadOptions | None = None) -> OpenFile:
    """Read a file as it is, to see which columns it has."""
    options, log = options or ReadOptions(), Log()
    mapping = options.mapping or Mapping()
    export = read_export(path, options)
    log.notes.extend(export.notes)
    hints = Hints(source=export.source, columns=export.columns, fallbacks=export.fallbacks)
    return OpenFile(table=make_table(export.records, mapping, log=log), log=log, hints=hints)


def read_series(
    file: str | Path | OpenFile,
    columns: Sequence[str],
    *,
    texts: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    options: ReadOptions | None = None,
) -> PlainScores:
    """Return the score `columns` of a plain file.

    Parameters
    ----------
    file : str, Path or OpenFile
        CSV, TSV, Excel or Parquet with `case`, `session` (or `date`), one or more columns of scores, and
        where there are any `rater` (empty = client), `date` and `therapist`. `-` is standard input.
    columns : sequence of str
        Names of the score columns. An empty cell or a usual word for missing is NaN.
    texts : sequence of str
        Columns that come along as they are written, such as labels.
    low, high : float, optional
        Scores outside are refused.
    options : ReadOptions, optional
        Mapping, missing codes, date format, sheet, and what to do with problems.

    Raises
    ------
    DataError
        With every problem at once: no such column, no number (infinities are none), a session twice.
    """
    options = options or ReadOptions()
    mapping = options.mapping or Mapping()
    opened = file if isinstance(file, OpenFile) else open_file(file, options=options)
    table, log = opened.table, opened.log
    keys = find_keys(table.names, mapping, log=log, hints=opened.hints)
    places_of = {name: _place(table, name, log) for name in (*columns, *texts)}
    _require_keys(table, keys, log)
    refuse_unusable_codes(table, keys, log)
    used = (*columns, *texts)
    refuse_identifiers(table, keys, mapping, log, allow=options.allow_identifiers, used=used)
    if log.troubles:
        raise DataError.of(log.all_troubles())
    date_format = options.date_format or mapping.date_format
    if "episode" in keys and keys["episode"].name not in used:
        table = name_cases(table, keys, treatments=None, date_format=date_format, log=log).table
    rows = _keys(table, keys, date_format, mapping, log)
    missing = {plain(code) for code in (*mapping.missing, *options.missing)}
    for name in columns:
        cells = table.columns[places_of[name]]
        rows[name] = _numbers(cells, rows, name, missing, (low, high), log)
    for name in texts:
        rows[name] = table.columns[places_of[name]]
    rows = _settled(rows, used, keep=options.keep, log=log)
    if log.troubles or (options.on_error == "stop" and log.problems):
        raise DataError.of(log.all_troubles())
    return PlainScores(frame=_ordered(rows, columns, texts), notes=tuple(log.notes))


def _place(table: TextTable, name: str, log: Log) -> int:
    places = [place for place, known in enumerate(table.names) if known == name]
    if len(places) == 1:
        return places[0]
    if places:
        log.trouble(
            f"column '{name}' is there {len(places)} times", hint="rename or delete all but the right one"
        )
        return 0
    near = difflib.get_close_matches(name, [known for known in table.names if known], n=1)
    hint = (
        f"did you mean '{near[0]}'?" if near else f"it has {listed([each for each in table.names if each])}"
    )
    log.trouble(f"the file has no column '{name}'", hint=hint)
    return 0


def _require_keys(table: TextTable, keys: dict[str, Column], log: Log) -> None:
    known = {*keys, *log.contested}
    if "case" not in known:
        columns = listed([name for name in table.names if name])
        log.trouble(
            "no column says whose score it is", where=[f"columns: {columns}"], hint="name the column case"
        )
    if not {"session", "date"} & known:
        log.trouble(
            "no column says in which order the scores were made", hint="add a session number or a date"
        )


def _keys(
    table: TextTable, keys: dict[str, Column], date_format: str, mapping: Mapping, log: Log
) -> pd.DataFrame:
    """Return line, case, session, date, therapist and rater of every row that has them; the rest is noted."""
    blank = np.full(len(table.lines), "", dtype=object)
    cells = {role: table.columns[keys[role].place] if role in keys else blank for role in KEYS}
    numbers, no_session, bad_session = read_sessions(cells["session"])
    dates = read_dates(cells["date"], date_format=date_format)
    if dates.ambiguous:
        log.trouble(
            f"the dates in column '{keys['date'].name}' can be read day first and month first",
            hint="say --date-format dmy or --date-format mdy",
        )
    sides = pd.Series(cells["rater"], dtype=object)
    sides = sides.where(~sides.str.casefold().isin(SIDES), sides.str.casefold())
    rows = pd.DataFrame(
        {
            "line": table.lines,
            "case": cells["case"],
            "session": pd.Series(numbers, dtype="Int64").mask(numbers < 0),
            "date": dates.days,
            "therapist": cells["therapist"],
            "rater": sides.where(sides != "", mapping.rater or "client"),
        }
    )
    bad = [(NO_CASE, cells["case"] == "", "case"), (BAD_DATE, dates.unreadable, "date")]
    if "session" in keys:
        bad += [(NO_SESSION, no_session, "session"), (BAD_SESSION, bad_session, "session")]
    else:
        bad += [(NO_DATE, np.isnat(dates.days) & ~dates.unreadable, "date")]
    for kind, where, role in bad:
        column = keys[role].name if role in keys else role
        log.problem(kind, rows[where], item=role, value=cells[role][where], column=column)
    usable = ~np.any([where for _, where, _ in bad], axis=0)
    rows = rows.assign(usable=usable)
    return rows if "session" in keys else _numbered_by_date(rows, log)


def _numbered_by_date(rows: pd.DataFrame, log: Log) -> pd.DataFrame:
    log.note("there is no session number: sessions were numbered by date, within the case")
    rank = rows[rows["usable"]].groupby("case")["date"].rank("dense").astype("Int64")
    return rows.assign(session=rank)


def _numbers(  # noqa: PLR0917  one caller
    cells: Array,
    rows: pd.DataFrame,
    name: str,
    missing: set[str],
    ends: tuple[float | None, float | None],
    log: Log,
) -> Array:
    """Return the numbers of a column; what is no number, or lies outside, is noted down and NaN."""
    codes, words = pd.factorize(cells)
    numbers = np.full(len(words), np.nan)
    bad = np.zeros(len(words), dtype=bool)
    for place, word in enumerate(map(plain, words)):
        number = None if word in missing or word in MISSING_WORDS else number_of(word)
        if number is not None:
            numbers[place] = number
        else:
            bad[place] = word not in missing and word not in MISSING_WORDS
    low, high = ends
    with np.errstate(invalid="ignore"):
        outside = (numbers < (-np.inf if low is None else low)) | (
            numbers > (np.inf if high is None else high)
        )
    for kind, wrong in ((NO_NUMBER, bad), (OUTSIDE, outside)):
        where = wrong[codes] if len(words) else np.zeros(0, dtype=bool)
        log.problem(kind, rows[where], item=name, value=cells[where], column=name)
    numbers[outside] = np.nan
    return numbers[codes] if len(words) else np.zeros(0)


def _settled(rows: pd.DataFrame, content: Sequence[str], *, keep: str | None, log: Log) -> pd.DataFrame:
    """Return one row for each case, rater and session: equal doubles kept once, others refused or chosen."""
    rows = rows[rows["usable"]]
    by = ["case", "rater", "session"]
    equal = rows.duplicated([*by, *content])
    if equal.any():
        where = places(rows[equal][["line", "case", "session", "rater"]])
        log.note(f"{counted(int(equal.sum()), 'row')} there again with the same scores, kept once", where)
    rows = rows[~equal]
    differ = rows[rows.duplicated(by, keep=False)]
    if keep is None:
        log.problem(CONFLICT, differ)
        return rows.drop(index=differ.index)
    if len(differ):
        log.note(f"{counted(len(differ), 'row')} of sessions that are there twice: the {keep} kept")
    return rows.drop_duplicates(by, keep="first" if keep == "first" else "last")


def _ordered(rows: pd.DataFrame, columns: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    first = rows.groupby("case")["line"].transform("min")
    rows = rows.assign(first=first).sort_values(["first", "rater", "session"], kind="stable")
    frame = rows[[*KEYS, *columns, *texts]].astype({"session": "int64"})
    return frame.set_index(pd.Index(rows["line"].to_numpy(), name="line"))
