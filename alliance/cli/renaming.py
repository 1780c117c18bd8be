"""What is done to each column of a file that is pseudonymised, and the file that comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alliance.errors import DataError, Trouble, UsageError, unknown_name
from alliance.pseudonyms import CASE, THERAPIST, codes, first_days, study_days
from alliance.readers import ReadOptions
from alliance.readers.columns import SYNONYMS, find_keys, key_of
from alliance.readers.identifiers import identifiers, use_of
from alliance.readers.mapping import Mapping as ColumnMapping
from alliance.readers.opening import read_records
from alliance.readers.problems import Log, listed
from alliance.readers.table import TextTable, make_table
from alliance.readers.times import read_dates

Array = np.ndarray[Any, Any]

CASE_NAMES = {"case", "client", *SYNONYMS["case"]}
THERAPIST_NAMES = {"therapist", *SYNONYMS["therapist"]}
NETWORK_NAMES = {
    "ip", "ip_address", "ipaddress", "ipaddr", "location_latitude", "location_longitude", "latitude",
    "longitude", "locationlatitude", "locationlongitude",
}  # fmt: skip
_WHOLE_DATE = re.compile(r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?:[ T].*)?")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A file and what is done to its columns, by place.

    `coded` is place → kind of person; `days` are dates to be written as study days, as datetime64[D];
    `dropped` is place → why; all other columns stay as they are. `case` is the column study days are
    counted in, `main` the date they are counted from.
    """

    path: Path
    table: TextTable
    coded: dict[int, str]
    days: dict[int, Array]
    dropped: dict[int, str]
    case: int | None = None
    main: int | None = None
    hidden: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> list[int]:
        """Places of the columns that stay as they are."""
        changed = {*self.coded, *self.days, *self.dropped}
        return [place for place in range(len(self.table.names)) if place not in changed]

    def names_of(self, places: Iterable[int]) -> list[str]:
        """Return column names."""
        return [self.shown(place) for place in sorted(places)]

    def shown(self, place: int) -> str:
        """Return a column name, or the number of the column where the name itself may be a person's."""
        return f"column {place + 1}" if place in self.hidden else self.table.names[place]


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """The cells of each file, header first, and the codes: kind → identifier → code."""

    tables: list[list[list[str]]]
    codes: dict[str, dict[str, str]] = field(default_factory=dict)


def plan_files(
    files: Sequence[Path],
    options: ReadOptions,
    *,
    code: Sequence[str] = (),
    drop: Sequence[str] = (),
    days: bool = False,
    keep: bool = False,
) -> list[Plan]:
    """Read the files and return what is to be done to each column.

    Parameters
    ----------
    files : sequence of Path
    options : ReadOptions
        Mapping, sheet and date format.
    code, drop : sequences of str
        Columns to code, beside those of case, client and therapist, and to leave out; in any of the files.
    days : bool
        Write dates as study days.
    keep : bool
        Keep columns that may say who a person is.

    Raises
    ------
    UsageError
        If none of the files has a column that is named.
    DataError
        If a file has no column to code, or its dates cannot be read.
    """
    opened = [(file, *_open(file, options)) for file in files]
    _require_known([*code, *drop], [table.names for _, table, _ in opened])
    return [
        _plan(file, table, log, options, code=code, drop=drop, days=days, keep=keep)
        for file, table, log in opened
    ]


def _open(file: Path, options: ReadOptions) -> tuple[TextTable, Log]:
    mapping, log = options.mapping or ColumnMapping(), Log()
    records = read_records(file, sheet=options.sheet or mapping.sheet, encoding=options.encoding)
    table = make_table(records, mapping, log=log)
    if log.troubles:
        raise DataError.of(_in_file(file, log.all_troubles()))
    return table, log


def _in_file(file: Path, troubles: Sequence[Trouble]) -> list[Trouble]:
    return [
        Trouble(what=f"'{file.name}': {each.what}", where=each.where, hint=each.hint) for each in troubles
    ]


def _require_known(wanted: Sequence[str], headers: Sequence[Sequence[str]]) -> None:
    known = list(dict.fromkeys(name for names in headers for name in names if name))
    for name in wanted:
        if name not in known:
            what, hint = unknown_name("column", name, known)
            raise UsageError(what, hint=hint)


def _plan(
    file: Path,
    table: TextTable,
    log: Log,
    options: ReadOptions,
    *,
    code: Sequence[str],
    drop: Sequence[str],
    days: bool,
    keep: bool,
) -> Plan:
    mapping = options.mapping or ColumnMapping()
    dropped = {place: "as you asked" for place, name in enumerate(table.names) if name in drop}
    coded = {place: kind for place, kind in _coded(table, mapping, code).items() if place not in dropped}
    if not coded:
        message = f"'{file.name}': no column says who is who"
        columns = listed([name for name in table.names if name])
        raise DataError(message, where=[f"columns: {columns}"], hint="name it with --column")
    unnamed = {place: "it has no name" for place, name in enumerate(table.names) if not name}
    found = {} if keep else _identifying(file, table, mapping, coded)
    dropped = {**unnamed, **found, **dropped}
    case = min((place for place, kind in coded.items() if kind == CASE), default=None)
    dates: dict[int, Array] = {}
    if days:
        busy = {*coded, *dropped}
        dates, unread = _dates(file, table, busy, options.date_format or mapping.date_format)
        dropped |= unread
    return Plan(
        path=file,
        table=table,
        coded=coded,
        days=dates,
        dropped=dict(sorted(dropped.items())),
        case=case,
        main=_main_date(table, mapping, dates),
        hidden=frozenset(place for place, name in enumerate(table.names) if "@" in name),
        notes=tuple(_notes(table, log)),
    )


def _coded(table: TextTable, mapping: ColumnMapping, more: Sequence[str]) -> dict[int, str]:
    """Return place → kind of the columns of cases, clients and therapists, and of those asked for."""
    wanted = {role: (mapping.columns.get(role) or "").casefold() for role in (CASE, THERAPIST)}
    found = {}
    for place, name in enumerate(table.names):
        key = key_of(name)
        if key in THERAPIST_NAMES or (name and name.casefold() == wanted[THERAPIST]):
            found[place] = THERAPIST
        elif key in CASE_NAMES or name in more or (name and name.casefold() == wanted[CASE]):
            found[place] = CASE
    return found


def _identifying(
    file: Path, table: TextTable, mapping: ColumnMapping, coded: Mapping[int, str]
) -> dict[int, str]:
    """Return place → what it looks like, of the columns that may say who a person is and are not coded."""
    keys = find_keys(table.names, mapping, log=Log())
    use = use_of(table.names, keys, mapping)
    found = identifiers(table.names, table.columns, table.lines, use)
    asked = [each for each in found if each.place == use.values]
    if asked:
        message = f"'{file.name}': answers that may say who a person is"
        where = [f"line {each.line}: column {each.column} looks like {each.what}" for each in asked]
        raise DataError(message, where=where, hint="delete these rows from the file first")
    network = {
        place: "it looks like a place on the net or the map"
        for place, name in enumerate(table.names)
        if key_of(name) in NETWORK_NAMES
    }
    looks = {each.place: f"it looks like {each.what}" for each in found}
    return {place: why for place, why in (network | looks).items() if place not in coded}


def _dates(
    file: Path, table: TextTable, busy: set[int], date_format: str
) -> tuple[dict[int, Array], dict[int, str]]:
    """Return the columns of dates as days, and those with a date in some cell that cannot all be read."""
    days, unread, ambiguous = {}, {}, []
    for place, column in enumerate(table.columns):
        words = [word for word in dict.fromkeys(column.tolist()) if _WHOLE_DATE.fullmatch(word)]
        if place in busy or not words:
            continue
        read = read_dates(column, date_format=date_format)
        if read.ambiguous:
            ambiguous.append(f"column '{table.names[place]}'")
        elif read.unreadable.any():
            line = int(table.lines[np.flatnonzero(read.unreadable)[0]])
            unread[place] = f"not all of it can be read as dates, first in line {line}"
        else:
            days[place] = read.days.astype("datetime64[D]")
    if ambiguous:
        message = f"'{file.name}': dates that can be read day first and month first"
        raise DataError(message, where=ambiguous, hint="say --date-format dmy or --date-format mdy")
    return days, unread


def _main_date(table: TextTable, mapping: ColumnMapping, days: Mapping[int, Array]) -> int | None:
    """Return the date that study days are counted from: that of the session, a start date, or the first."""
    date = find_keys(table.names, mapping, log=Log()).get("date")
    if date is not None and date.place in days:
        return date.place
    starts = [place for place in days if key_of(table.names[place]) == "start_date"]
    return next(iter([*starts, *days]), None)


def _notes(table: TextTable, log: Log) -> Iterator[str]:
    yield from log.notes
    n_tail = int(table.tail.sum())
    if n_tail:
        yield f"{n_tail} short row{'s' if n_tail > 1 else ''} behind a blank line at the end left out"


def renamed(plans: Sequence[Plan], key: bytes) -> Renamed:
    """Return the cells of every file with codes and study days in their places.

    Study days are counted from the first main date a case has in any of the files.
    """
    found = {
        kind: codes(
            [
                name
                for plan in plans
                for place, each in plan.coded.items()
                if each == kind
                for name in plan.table.columns[place].tolist()
            ],
            key,
            kind=kind,
        )
        for kind in (CASE, THERAPIST)
    }
    first = _first(plans)
    return Renamed(tables=[_cells(plan, found, first) for plan in plans], codes=found)


def _first(plans: Sequence[Plan]) -> dict[str, np.datetime64]:
    first: dict[str, np.datetime64] = {}
    for plan in plans:
        if plan.case is not None and plan.main is not None:
            cases = plan.table.columns[plan.case].tolist()
            for case, day in first_days(cases, plan.days[plan.main]).items():
                first[case] = min(first.get(case, day), day)
    return first


def _cells(
    plan: Plan, found: Mapping[str, Mapping[str, str]], first: Mapping[str, np.datetime64]
) -> list[list[str]]:
    """Return header and rows of a file; a cell that is not changed is as it was written, blanks and all."""
    table, records = plan.table, plan.table.records
    at = {line: row for row, line in enumerate(records.lines)}
    rows = np.flatnonzero(~table.tail)
    raw = [records.rows[at[int(line)]] for line in table.lines[rows]]
    cases = [""] * len(rows) if plan.case is None else table.columns[plan.case][rows].tolist()
    columns: list[list[str]] = []
    for place in range(len(table.names)):
        if place in plan.coded:
            code = found[plan.coded[place]]
            cells = [code[text] for text in table.columns[place][rows].tolist()]
        elif place in plan.days:
            cells = study_days(cases, plan.days[place][rows], first)
        else:
            cells = [row[place] if place < len(row) else "" for row in raw]
        if place not in plan.dropped:
            columns.append([_new_name(plan, place), *cells])
    return list(map(list, zip(*columns, strict=True)))


def _new_name(plan: Plan, place: int) -> str:
    """Return the name of a column; the main date becomes `day`, and `start_date` becomes `start_day`."""
    name = plan.table.names[place]
    if place not in plan.days:
        return name
    changed = re.sub("date", "day", name, flags=re.IGNORECASE)
    return "day" if place == plan.main else changed if changed != name else f"{name}_day"
