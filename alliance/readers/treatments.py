"""Treatments: when each began, whether and why it ended; from files of their own, or from a study itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance.errors import DataError, Trouble
from alliance.frames import STATUSES, TREATMENTS
from alliance.readers.answers import MISSING_WORDS
from alliance.readers.codes import refuse_unusable_codes
from alliance.readers.columns import Column, find_keys, key_of
from alliance.readers.episodes import case_names
from alliance.readers.forms import BAD_DATE
from alliance.readers.identifiers import refuse_identifiers
from alliance.readers.mapping import Mapping as ColumnMapping
from alliance.readers.mapping import plain
from alliance.readers.opening import read_records
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Kind, Log, counted, in_file, listed, places
from alliance.readers.table import TextTable, make_table
from alliance.readers.times import read_dates
from alliance.readers.treatment_words import (
    BAD_PLAN,
    DATES,
    EARLY_CUT,
    EARLY_END,
    EXPECTED,
    NAMES,
    NO_CASE,
    NO_EPISODE_ID,
    ONGOING_REASON,
    ROLES,
    UNKNOWN_WORD,
    WORDED,
    WORDS,
)

if TYPE_CHECKING:
    from alliance.readers.loading import Loaded

Array = np.ndarray[Any, Any]


def read_treatments(
    paths: str | Path | Sequence[str | Path], *, options: ReadOptions | None = None
) -> pd.DataFrame:
    """Return the Treatments in one or several files.

    Parameters
    ----------
    paths : path or sequence of paths
        CSV, TSV, Excel or Parquet with case (or client_id), episode_id, therapist, start_date, status,
        end_reason, end_reason_source, planned_sessions, planned_end_date, observed_until; case and status are
        needed. Rows of one treatment may be repeated if they agree.
    options : ReadOptions, optional
        `date_format`, `sheet`, `encoding`, `allow_identifiers`, `on_error`, and the mapping of case and
        therapist.

    Returns
    -------
    DataFrame
        Columns `frames.TREATMENTS`, one row a treatment, then all further columns as texts: baseline
        covariates. `case` is the client, or CLIENT/EPISODE for every client with several treatments. What a
        file does not say is empty, NaT or <NA>.

    Raises
    ------
    DataError
        With every problem of all files at once, file and line; with `on_error="drop"` rows that cannot be
        used are left out.
    """
    options = options or ReadOptions()
    many = [paths] if isinstance(paths, str | Path) else list(paths)
    troubles: list[Trouble] = []
    parts: list[pd.DataFrame] = []
    for path in many:
        log = Log()
        part = _file(path, options, log)
        parts.append(part.assign(file=Path(path).name, order=len(parts)))
        stopping = log.all_troubles() if options.on_error == "stop" else [*log.troubles, *log.absences]
        troubles += [in_file(trouble, Path(path).name) for trouble in stopping]
    rows = pd.concat(parts, ignore_index=True)
    found, conflicts = _settled(rows, one_therapist=True)
    troubles += conflicts
    if troubles:
        raise DataError.of(troubles)
    return found


def treatments_of(loaded: Loaded, *, name: str = "", date_format: str = "") -> pd.DataFrame | None:
    """Return the Treatments that a study file says itself, or None where it does not.

    It does if it has a column `status` whose words are all known, or one `end_reason` beside it. Rows of one
    case must agree; the first therapist named stands for the case.

    Raises
    ------
    DataError
        With every problem of these columns, `name` of the file before the line.
    """
    cells = loaded.cells
    keys = {} if cells is None else _keys_of(cells, ColumnMapping(), Log())
    if cells is None or "status" not in keys or not _speaks_of_ends(cells, keys):
        return None
    log = Log()
    rows = _typed(cells, keys, date_format, log)
    behind = loaded.cases.set_index("case")
    for column in ("client", "episode"):
        rows[column] = rows["case"].map(behind[column]).fillna(rows[column])
    found, conflicts = _settled(rows.assign(file=name, order=0), one_therapist=False)
    problems = log.all_troubles()
    troubles = [*([in_file(each, name) for each in problems] if name else problems), *conflicts]
    if troubles:
        raise DataError.of(troubles)
    return found


def carries_treatments(names: Sequence[str]) -> bool:
    """Return whether a header has columns for the status of treatments and the reason of their end."""
    return {"status", "end_reason"} <= set(
        find_keys(names, ColumnMapping(), log=Log(), roles=ROLES, synonyms=NAMES)
    )


def _speaks_of_ends(table: TextTable, keys: Mapping[str, Column]) -> bool:
    words = {key_of(word) for word in pd.unique(table.columns[keys["status"].place])}
    return "end_reason" in keys or words <= {*WORDS["status"], *map(key_of, MISSING_WORDS), ""}


def treatment_cells(table: TextTable, keys: Mapping[str, Column]) -> TextTable | None:
    """Return the columns of a study file that may say how its treatments ended, or None."""
    found = find_keys(
        table.names, ColumnMapping(), log=Log(), roles=(*WORDED, *DATES, "planned_sessions"), synonyms=NAMES
    )
    if "status" not in found or "case" not in keys:
        return None
    chosen = [("case", keys["case"].place)]
    chosen += [("therapist", keys["therapist"].place)] if "therapist" in keys else []
    chosen += [(role, column.place) for role, column in found.items()]
    return replace(
        table,
        names=tuple(role for role, _ in chosen),
        columns=tuple(table.columns[place] for _, place in chosen),
    )


def _keys_of(table: TextTable, mapping: ColumnMapping, log: Log) -> dict[str, Column]:
    return find_keys(table.names, mapping, log=log, roles=ROLES, synonyms=NAMES)


def _file(path: str | Path, options: ReadOptions, log: Log) -> pd.DataFrame:
    """Return the rows of one file, typed; everything that is wrong with them is noted down."""
    mapping = options.mapping or ColumnMapping()
    records = read_records(path, sheet=options.sheet or mapping.sheet, encoding=options.encoding)
    table = make_table(records, mapping, log=log, names=EXPECTED)
    keys = _keys_of(table, mapping, log)
    known = {*keys, *log.contested}
    columns = listed([name for name in table.names if name])
    if "case" not in known:
        hint = "name the column case or client_id"
        log.trouble("no column says whose treatment it is", where=[f"columns: {columns}"], hint=hint)
    if "status" not in known:
        hint = f"add a column status, with {' or '.join(STATUSES)}"
        log.trouble("no column says whether a treatment has ended", where=[f"columns: {columns}"], hint=hint)
    numbers = [column.name for role, column in keys.items() if role in {*DATES, "planned_sessions", *WORDED}]
    refuse_unusable_codes(table, keys, log)
    refuse_identifiers(table, keys, mapping, log, allow=options.allow_identifiers, used=numbers)
    if log.troubles:
        return _no_rows()
    return _typed(table, keys, options.date_format or mapping.date_format, log)


def _no_rows() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in ("line", "client", *TREATMENTS)})


def _typed(table: TextTable, keys: Mapping[str, Column], date_format: str, log: Log) -> pd.DataFrame:
    """Return the rows that can be used: `line client episode …`, words as codes, dates as days."""
    cells = _Cells(table=table, keys=keys, log=log)
    rows = pd.DataFrame({"line": table.lines, "client": cells.of("case"), "episode": cells.of("episode")})
    rows["case"] = rows["client"]
    rows["therapist"] = cells.of("therapist")
    bad = [cells.refuse(NO_CASE, rows["client"].to_numpy() == "", "case")]
    for role in WORDED:
        rows[role], unknown = _read_words(cells.of(role), WORDS[role])
        bad.append(cells.refuse(UNKNOWN_WORD[role], unknown, role))
    for role in DATES:
        rows[role], wrong = cells.dates(role, date_format)
        bad.append(wrong)
    rows["planned_sessions"], wrong = _whole(cells.of("planned_sessions"))
    bad.append(cells.refuse(BAD_PLAN, wrong, "planned_sessions"))
    for name, values in cells.further().items():
        rows[name] = values
    rows = rows.assign(**_implied(rows))
    bad += [cells.refuse(kind, where, role) for kind, where, role in _contradictions(rows)]
    usable: pd.DataFrame = rows[~np.any(bad, axis=0)]
    return usable


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """The columns of a table by role, and where problems with them are noted down."""

    table: TextTable
    keys: Mapping[str, Column]
    log: Log

    def of(self, role: str) -> Array:
        """Return the cells of a role, all empty where the file has no such column."""
        if role not in self.keys:
            return np.full(len(self.table.lines), "", dtype=object)
        return self.table.columns[self.keys[role].place]

    def further(self) -> dict[str, Array]:
        """Return the columns without a role, as written."""
        taken = {column.place for column in self.keys.values()}
        return {
            name: column
            for place, (name, column) in enumerate(zip(self.table.names, self.table.columns, strict=True))
            if name and place not in taken and name not in {*TREATMENTS, "line", "file", "order"}
        }

    def dates(self, role: str, date_format: str) -> tuple[Array, Array]:
        """Return the days of a date column, and the cells that are none."""
        read = read_dates(self.of(role), date_format=date_format)
        if read.ambiguous:
            self.log.trouble(
                f"the dates in column '{self.keys[role].name}' can be read day first and month first",
                hint="say --date-format dmy or --date-format mdy",
            )
        return read.days, self.refuse(BAD_DATE, read.unreadable, role)

    def refuse(self, kind: Kind, where: Array, role: str) -> Array:
        """Note down the rows `where` the cell of a role is wrong, and return them."""
        cells = self.of("case")
        rows = pd.DataFrame({"line": self.table.lines, "case": cells, "session": pd.NA, "rater": ""})
        name = self.keys[role].name if role in self.keys else role
        self.log.problem(
            kind,
            rows[where],
            item="" if role == "case" else role,
            value=self.of(role)[where],
            column=name,
        )
        return np.asarray(where)


def _read_words(texts: Array, known: Mapping[str, str]) -> tuple[Array, Array]:
    """Return the code of each cell, empty where it is blank, and where it is no known word."""
    codes, words = pd.factorize(texts)
    if not len(words):
        return np.array([], dtype=object), np.zeros(0, dtype=bool)
    blank = [plain(word) in MISSING_WORDS for word in words]
    read = [
        "" if empty and key_of(word) not in known else known.get(key_of(word), "")
        for word, empty in zip(words, blank, strict=True)
    ]
    unknown = [not code and not empty for code, empty in zip(read, blank, strict=True)]
    return np.array(read, dtype=object)[codes], np.array(unknown, dtype=bool)[codes]


def _whole(texts: Array) -> tuple[Any, Array]:
    """Return whole numbers of 1 or more, <NA> where the cell is blank, and where it is no such number."""
    codes, words = pd.factorize(texts)
    blank = np.array([plain(word) in MISSING_WORDS for word in words], dtype=bool)
    numbers = np.array([_whole_number(word) for word in words], dtype=np.int64)
    wrong = (numbers < 1) & ~blank
    if not len(words):
        return pd.array([], dtype="Int64"), np.zeros(0, dtype=bool)
    return pd.Series(numbers[codes], dtype="Int64").mask(numbers[codes] < 1).array, wrong[codes]


def _whole_number(word: str) -> int:
    text = word.strip().removesuffix(".0").removesuffix(",0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0  # noqa: PLR2004  no plan is longer


def _implied(rows: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Return what follows from other columns: an end with a reason has come; `unknown` says nothing yet."""
    open_, blank = rows["status"] == "ongoing", rows["status"] == ""
    reason = rows["end_reason"].mask(open_ & (rows["end_reason"] == "unknown"), "")
    return {"end_reason": reason, "status": rows["status"].mask(blank & (reason != ""), "ended")}


def _contradictions(rows: pd.DataFrame) -> list[tuple[Kind, Array, str]]:
    start = rows["start_date"]
    return [
        (
            ONGOING_REASON,
            ((rows["status"] == "ongoing") & (rows["end_reason"] != "")).to_numpy(),
            "end_reason",
        ),
        (EARLY_CUT, (rows["observed_until"] < start).to_numpy(), "observed_until"),
        (EARLY_END, (rows["planned_end_date"] < start).to_numpy(), "planned_end_date"),
    ]


def _settled(rows: pd.DataFrame, *, one_therapist: bool) -> tuple[pd.DataFrame, list[Trouble]]:
    """Return one row for each treatment, and a trouble where rows of one treatment differ.

    What one row says and another leaves empty is no difference. Without `one_therapist` the first one named
    stands for the treatment.
    """
    extra = [name for name in rows.columns if name not in {*TREATMENTS, "line", "file", "order"}]
    by, said = ["client", "episode"], [*WORDED, *DATES, "planned_sessions", *extra]
    rows = rows.sort_values(["order", "line"], kind="stable", ignore_index=True)
    texts = ["therapist", *WORDED, *extra]
    known = rows.assign(**{name: rows[name].astype(object).where(rows[name] != "") for name in texts})
    grouped = known.groupby(by, sort=False)
    different = grouped[[*said, *(["therapist"] if one_therapist else [])]].nunique()
    differ = (different > 1).any(axis=1)
    first = grouped[["therapist", *said]].first().reset_index()
    several = (first.groupby("client")["episode"].transform("size") > 1).to_numpy(dtype=bool)
    troubles = [*_conflicts(rows, differ), *_nameless(rows, first[several])]
    named = case_names(first["client"].to_numpy(), first["episode"].to_numpy())
    first["case"] = np.where(several, named, first["client"])
    return _finished(first, extra), troubles


def _conflicts(rows: pd.DataFrame, differ: pd.Series[Any]) -> list[Trouble]:
    if not differ.any():
        return []
    keys = pd.MultiIndex.from_frame(rows[["client", "episode"]])
    where = rows[keys.isin(differ[differ].index)]
    what = counted(
        int(differ.sum()),
        "treatment is there more than once, and the rows differ",
        "treatments are there more than once, and their rows differ",
    )
    hint = "correct the file; a second treatment of a client needs an episode_id of its own"
    return [Trouble(what=what, where=_in_files(where), hint=hint)]


def _nameless(rows: pd.DataFrame, several: pd.DataFrame) -> list[Trouble]:
    nameless = several[several["episode"] == ""]["client"]
    where = rows[rows["client"].isin(nameless) & (rows["episode"] == "")]
    if where.empty:
        return []
    what = counted(len(where), NO_EPISODE_ID.one, NO_EPISODE_ID.many)
    return [Trouble(what=what, where=_in_files(where), hint=NO_EPISODE_ID.hint)]


def _in_files(rows: pd.DataFrame) -> tuple[str, ...]:
    shown = rows.assign(case=rows["client"], session=None)[["line", "case", "session"]]
    named = zip(rows["file"], places(shown), strict=True)
    return tuple(f"{name}, {place}" if name else place for name, place in named)


def _finished(rows: pd.DataFrame, extra: Sequence[str]) -> pd.DataFrame:
    texts = ("case", "client", "episode", "therapist", *WORDED, *extra)
    frame = rows[[*TREATMENTS, *extra]].copy()
    for name in texts:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "")
    kinds: dict[str, Callable[[pd.Series[Any]], pd.Series[Any]]] = {
        **dict.fromkeys(DATES, lambda column: column.astype("datetime64[s]")),
        "planned_sessions": lambda column: column.astype("Int64"),
    }
    return frame.assign(**{name: convert(frame[name]) for name, convert in kinds.items()})
