"""Which treatment a form or an appointment belongs to: by an episode column, or by its date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import DataError
from alliance.frames import TREATMENTS
from alliance.readers.columns import Column
from alliance.readers.problems import Kind, Log, counted, listed
from alliance.readers.table import TextTable
from alliance.readers.times import read_dates

Array = np.ndarray[Any, Any]

NO_EPISODE = Kind(
    label="no episode",
    one="row of a client with several treatments says neither which one nor when",
    many="rows of clients with several treatments say neither which one nor when",
    hint="add a column episode, or the date",
)
BLANK_EPISODE = Kind(
    label="no episode",
    one="row of a client with several treatments does not say which one",
    many="rows of clients with several treatments do not say which one",
    hint="fill in the column episode, or give start dates with --episodes",
)
UNKNOWN_EPISODE = Kind(
    label="unknown episode",
    one="row names an episode that is not among the treatments of its client",
    many="rows name episodes that are not among the treatments of their clients",
    hint="correct the episode, or add the treatment to the episodes file",
)
NO_START = Kind(
    label="no episode",
    one="row of a client whose treatments have no start_date to tell them apart",
    many="rows of clients whose treatments have no start_date to tell them apart",
    hint="add start_date to the episodes file, or a column episode here",
)
BEFORE_START = Kind(
    label="before the treatment",
    one="row is dated before the treatment starts",
    many="rows are dated before the treatment starts",
    hint="correct the date, or start_date: the day of the first appointment of the treatment",
)
BEFORE_FIRST = Kind(
    label="before the treatment",
    one="form is dated before the first attended session",
    many="forms are dated before the first attended session",
    hint="correct the date of the form, or that of the appointment",
)


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Rows with their treatment: `case` names it, `kind` is a place in a tuple of Kinds, -1 = all is well."""

    case: Array
    kind: Array


KINDS = (NO_EPISODE, NO_START, UNKNOWN_EPISODE, BEFORE_START)


def place_rows(client: Array, episode: Array, day: Array, treatments: pd.DataFrame) -> Placed:
    """Return the case each row belongs to.

    A client with one treatment is the case. Of several, the row's own episode says which; without one it is
    the latest that had started by the day of the row.

    Parameters
    ----------
    client, episode : object, shape (rows,); texts, an empty episode is not given
    day : datetime64, shape (rows,); NaT = not known
    treatments : Treatments

    Returns
    -------
    Placed
        A row of a client without a treatment keeps its name.
    """
    rows = pd.DataFrame({"client": client, "episode": episode, "day": day.astype("datetime64[s]")})
    known = treatments[list(TREATMENTS)].astype({"client": object, "episode": object, "case": object})
    several = known.groupby("client")["case"].transform("size") > 1
    asks = rows["client"].isin(known.loc[several, "client"]).to_numpy()
    case, kind = rows["client"].to_numpy(dtype=object).copy(), np.full(len(rows), -1, dtype=np.int64)
    named = rows["episode"].ne("").to_numpy()
    joined = rows.merge(known[["client", "episode", "case"]], on=["client", "episode"], how="left")["case"]
    by_name = joined.where(joined.notna(), "").to_numpy(dtype=object)
    case = np.where(asks & named, by_name, case)
    by_day = asks & ~named
    case = np.where(by_day, _case_by_day(rows, known[several]), case)
    undated_starts = known[several & known["start_date"].isna()]["client"]
    kind[by_day & (case == "")] = KINDS.index(BEFORE_START)
    kind[by_day & rows["day"].isna().to_numpy()] = KINDS.index(NO_EPISODE)
    kind[by_day & rows["client"].isin(undated_starts).to_numpy()] = KINDS.index(NO_START)
    kind[asks & named & (case == "")] = KINDS.index(UNKNOWN_EPISODE)
    kind = np.where((kind < 0) & _contradicts(rows, case, known), KINDS.index(UNKNOWN_EPISODE), kind)
    kind = np.where((kind < 0) & _too_early(rows, case, known), KINDS.index(BEFORE_START), kind)
    return Placed(case=np.where(case == "", rows["client"], case), kind=kind)


def _case_by_day(rows: pd.DataFrame, known: pd.DataFrame) -> Array:
    """Return the latest case of each row's client that had started by its day, empty without one."""
    starts = known[known["start_date"].notna()].sort_values("start_date", kind="stable")
    dated = rows[rows["day"].notna()].sort_values("day", kind="stable")
    found = pd.Series("", index=rows.index, dtype=object)
    if starts.empty or dated.empty:
        return found.to_numpy()
    right = starts[["client", "case", "start_date"]].astype({"client": object})
    right = right.astype({"start_date": "datetime64[s]"})
    left = dated[["client", "day"]].astype({"client": object})
    joined = pd.merge_asof(left, right, left_on="day", right_on="start_date", by="client")["case"]
    found[dated.index] = joined.where(joined.notna(), "").to_numpy(dtype=object)
    return found.to_numpy()


def _contradicts(rows: pd.DataFrame, case: Array, known: pd.DataFrame) -> Array:
    """Return the rows whose own episode is not that of the only treatment of their client."""
    episode = known.drop_duplicates("case").set_index("case")["episode"].reindex(case).fillna("").to_numpy()
    return np.asarray((rows["episode"] != "") & (episode != "") & (rows["episode"] != episode))


def _too_early(rows: pd.DataFrame, case: Array, known: pd.DataFrame) -> Array:
    start = known.drop_duplicates("case").set_index("case")["start_date"].reindex(case)
    return np.asarray(rows["day"].to_numpy() < start.to_numpy().astype("datetime64[s]"))


@dataclass(frozen=True, kw_only=True)
class Named:
    """A table whose case column names treatments, and the client and episode behind each name."""

    table: TextTable
    cases: pd.DataFrame


def name_cases(
    table: TextTable,
    keys: dict[str, Column],
    *,
    treatments: pd.DataFrame | None,
    date_format: str,
    log: Log,
) -> Named:
    """Return the table with the case of each row named after its treatment; what cannot be placed is noted.

    Without Treatments the episode column alone decides: a client with several episodes becomes as many cases,
    named CLIENT/EPISODE, and that is told.
    """
    blank = np.full(len(table.lines), "", dtype=object)
    client, episode, dates = (
        table.columns[keys[role].place] if role in keys else blank for role in ("case", "episode", "date")
    )
    if "case" not in keys or (treatments is None and "episode" not in keys):
        return Named(table=table, cases=_behind(client, client, episode))
    if treatments is None:
        kinds: tuple[Kind, ...] = (BLANK_EPISODE,)
        found = _by_column(client, episode, log)
    else:
        read = read_dates(dates, date_format=date_format)
        found, kinds = place_rows(client, episode, read.days, treatments), KINDS
    rows = pd.DataFrame({"line": table.lines, "case": client, "session": pd.NA, "rater": ""})
    for code, each in enumerate(kinds):
        at = found.kind == code
        name, cells = _pointed(each, keys, episode, dates)
        log.problem(each, rows[at], item=name, value=cells[at])
    keep = found.kind < 0
    columns = list(table.columns)
    columns[keys["case"].place] = found.case
    named = replace(table, columns=tuple(columns)).take(keep)
    return Named(table=named, cases=_behind(found.case[keep], client[keep], episode[keep]))


def _pointed(kind: Kind, keys: dict[str, Column], episode: Array, dates: Array) -> tuple[str, Array]:
    """Return the column to point at, and its cells."""
    if kind is UNKNOWN_EPISODE:
        return "episode", episode
    blank = np.full(len(dates), "", dtype=object)
    return ("date", dates) if kind is BEFORE_START and "date" in keys else ("", blank)


def _by_column(client: Array, episode: Array, log: Log) -> Placed:
    named = pd.DataFrame({"client": client, "episode": episode})
    pairs = named[(named["episode"] != "") & (named["client"] != "")].drop_duplicates()
    several = pairs["client"][pairs["client"].duplicated()].unique()
    asks = named["client"].isin(several).to_numpy()
    kind = np.where(asks & (episode == ""), 0, -1)
    if len(several):
        what = counted(len(several), "client has", "clients have")
        log.note(
            f"{what} more than one episode, each a case of its own, such as "
            f"{case_name(several[0], pairs.loc[pairs['client'] == several[0], 'episode'].iloc[0])}"
        )
    return Placed(case=np.where(asks, case_names(client, episode), client), kind=kind)


def case_name(client: str, episode: str) -> str:
    """Return the name of one of several treatments of a client.

    >>> case_name("C01", "2")
    'C01/2'
    """
    return f"{client}/{episode}"


def case_names(client: Array, episode: Array) -> Array:
    """Return the names of treatments of clients with several, shape as given."""
    names: Array = client.astype(object) + "/" + episode.astype(object)
    return names


def _behind(case: Array, client: Array, episode: Array) -> pd.DataFrame:
    frame = pd.DataFrame({"case": case, "client": client, "episode": episode})
    return frame.drop_duplicates("case", ignore_index=True)


def no_cases() -> pd.DataFrame:
    """Return a frame of no cases: `case client episode`."""
    return _behind(*(np.array([], dtype=object) for _ in range(3)))


def assign_episodes(frames: Sequence[pd.DataFrame], treatments: pd.DataFrame) -> list[pd.DataFrame]:
    """Return frames of forms or appointments with `case` named after the treatment each row belongs to.

    Clients with one treatment are left as they are. Of several, a column `episode` says which, else the date:
    the latest treatment that had started by then. Numbers of sessions that run on from one treatment to the
    next start from 1 in each; all frames are looked at together for that.

    Parameters
    ----------
    frames : sequence of DataFrame
        Responses, Scores or Appointments: `case session date`, with or without `episode`; the row label is
        the line of the file. `case` is the client, or already the name of a treatment.
    treatments : DataFrame
        Treatments; `case` is CLIENT/EPISODE where the client has several.

    Returns
    -------
    list of DataFrame
        The same rows in the same order, without the column `episode`.

    Raises
    ------
    DataError
        With every row that cannot be placed, or is dated before its treatment.

    Examples
    --------
    >>> rows = [("C1/1", "C1", "1", "2026-01-05"), ("C1/2", "C1", "2", "2026-05-04")]
    >>> treatments = pd.DataFrame(rows, columns=["case", "client", "episode", "start_date"])
    >>> treatments = treatments.astype({"start_date": "datetime64[s]"}).reindex(columns=list(TREATMENTS))
    >>> dates = pd.to_datetime(["2026-01-05", "2026-01-12", "2026-05-04"])
    >>> forms = pd.DataFrame({"case": "C1", "session": [1, 2, 3], "date": dates})
    >>> assign_episodes([forms], treatments)[0][["case", "session"]].to_numpy().tolist()
    [['C1/1', 1], ['C1/1', 2], ['C1/2', 1]]
    """
    log, named = Log(), []
    for frame in frames:
        client = frame["case"].to_numpy(dtype=object)
        blank = np.full(len(frame), "", dtype=object)
        episode = frame["episode"].astype(str).to_numpy(dtype=object) if "episode" in frame else blank
        day = pd.to_datetime(frame["date"]).to_numpy()
        found = place_rows(client, episode, day, treatments)
        rows = pd.DataFrame({"line": frame.index, "case": client, "session": frame["session"].to_numpy()})
        dates = np.datetime_as_string(day.astype("datetime64[D]")).astype(object)
        for code, kind in enumerate(KINDS):
            at = found.kind == code
            name, cells = ("episode", episode) if kind is UNKNOWN_EPISODE else ("", blank)
            name, cells = ("date", dates) if kind is BEFORE_START else (name, cells)
            log.problem(kind, rows[at].assign(rater=""), item=name, value=cells[at])
        named.append(frame.assign(case=found.case).drop(columns="episode", errors="ignore"))
    if log.problems:
        raise DataError.of(log.all_troubles())
    return number_from_one(named, treatments)


def number_from_one(frames: Sequence[pd.DataFrame], treatments: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the frames with sessions numbered from 1 in each treatment of a client with several.

    That is done where the numbers of a treatment all lie beyond those of the earlier ones: the file numbers
    them on through. Treatments are in the order of their start, or else of their numbers.

    Parameters
    ----------
    frames : sequence of DataFrame
        `case session`; cases are named as in `treatments`.
    treatments : DataFrame
        At least `case client start_date`, or as `Loaded.cases` has it, without dates.
    """
    numbers = pd.concat([frame[["case", "session"]] for frame in frames], ignore_index=True).dropna()
    ends = numbers.astype({"session": "int64"}).groupby("case")["session"].agg(["min", "max"])
    behind = treatments.drop_duplicates("case").set_index("case")
    order = ends.join(behind, how="inner")
    by = ["client", "start_date", "min"] if "start_date" in order else ["client", "min"]
    order = order.sort_values(by, kind="stable")
    before = order.groupby("client")["max"].cummax().groupby(order["client"]).shift()
    shift = (order["min"] - 1).where(order["min"] > before, 0)
    if not (shift > 0).any():
        return list(frames)
    return [_moved(frame, shift) for frame in frames]


def _moved(frame: pd.DataFrame, shift: pd.Series[Any]) -> pd.DataFrame:
    moved = frame["case"].map(shift).fillna(0).astype("int64")
    return frame.assign(session=frame["session"] - moved.to_numpy())


def dated_before_first(forms: pd.DataFrame, appointments: pd.DataFrame) -> Array:
    """Return the rows of `forms` that are dated before the first attended appointment of their case."""
    held = appointments[appointments["attendance"] == "attended"]
    dated = held["date"].notna().groupby(held["case"]).all()
    if not dated.any():
        return np.zeros(len(forms), dtype=bool)
    first = held.groupby("case")["date"].min()[dated]
    return np.asarray(forms["date"].to_numpy() < forms["case"].map(first).to_numpy())


def unplaced(cases: Sequence[str], treatments: pd.DataFrame) -> str:
    """Return what to tell of cases that have forms or appointments and no row in Treatments."""
    strange = sorted(set(cases) - set(treatments["case"]))
    if not strange:
        return ""
    what = counted(len(strange), "case has", "cases have")
    return f"{what} no row in the episodes file: {listed(strange, most=5)}"
