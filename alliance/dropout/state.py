"""Visits → State: what is known of each case after an appointment, by time-major steps."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, TimeSteps
from alliance.dropout.instrument import Instrument
from alliance.dropout.visits import ATTENDED, CANCEL_CLINIC, NO_SHOW, Visits

Array = np.ndarray[Any, Any]

MAX_AGE = 2
"""Attended sessions after which a rating says nothing about today."""

_TABLE = 1_000_000

WINDOW = 3
"""Scheduled appointments among which a missed one still counts."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What the rules may know: one entry per verdict, the case as it stood after one appointment.

    Attributes
    ----------
    instrument : Instrument; the same for all entries
    session : int; sessions attended so far
    n_ratings : int; ratings so far
    total : float; their sum
    last, previous, third : float; the latest three ratings, latest first; NaN = there are not as many
    rated_session : int; session of the latest rating, 0 = none
    rated_row : int; its row in Visits, -1 = none
    since_no_show : float; scheduled appointments since the latest no-show, inf = none
    off_track : float; 1, 0 or NaN; the imported flag at the latest session
    mixed : bool; somebody the rules do not know has rated a session
    attendance_known : bool; appointments were given
    idle_days : float; days since the last attended session, NaN = not known, or the treatment has ended
    booked : bool; a further appointment is on record
    to_confirm : bool; ongoing on record, but long not seen and nothing booked
    lowest_area : str; the subscale furthest below its reference, empty = not known
    """

    instrument: Instrument
    session: Array
    n_ratings: Array
    total: Array
    last: Array
    previous: Array
    third: Array
    rated_session: Array
    rated_row: Array
    since_no_show: Array
    off_track: Array
    mixed: Array
    attendance_known: Array
    idle_days: Array
    booked: Array
    to_confirm: Array
    lowest_area: Array

    @cached_property
    def age(self) -> Array:
        """Attended sessions since the latest rating; NaN = no rating."""
        return np.where(self.n_ratings > 0, self.session - self.rated_session, np.nan)

    @cached_property
    def usable(self) -> Array:
        """Whether the ratings say something about today: one client's, and not too old."""
        return (self.age <= MAX_AGE) & ~self.mixed

    @cached_property
    def p16(self) -> Array:
        """16th percentile for the session of the latest rating; NaN = not known."""
        reference = self.instrument.reference
        if not reference:
            return np.full(len(self.last), np.nan)
        sessions = np.array(sorted(reference))
        limits = np.array([reference[int(session)] for session in sessions], dtype=float)
        place = np.minimum(np.searchsorted(sessions, self.rated_session), len(sessions) - 1)
        return np.where(sessions[place] == self.rated_session, limits[place], np.nan)

    @cached_property
    def recent_no_show(self) -> Array:
        """Whether one of the latest three scheduled appointments was missed without notice."""
        return self.since_no_show < WINDOW

    @property
    def drop_limit(self) -> Array:
        """Change from the mean of the earlier ratings beyond measurement error, below 0; NaN = not known."""
        n_before = np.where(self.n_ratings > 1, self.n_ratings - 1, np.nan)
        sem = np.nan if self.instrument.sem is None else self.instrument.sem
        return -1.96 * sem * np.sqrt(1 + 1 / n_before)

    @property
    def change(self) -> Array:
        """Latest rating minus the mean of the earlier ones; NaN = there is none."""
        n_before = np.where(self.n_ratings > 1, self.n_ratings - 1, np.nan)
        return self.last - (self.total - self.last) / n_before

    @property
    def sem(self) -> Array:
        """Standard error of measurement; NaN = not known."""
        return np.full(len(self.last), np.nan if self.instrument.sem is None else self.instrument.sem)

    @property
    def cutoff(self) -> Array:
        """Cut-off of the form; NaN = there is none."""
        return np.full(len(self.last), np.nan if self.instrument.cutoff is None else self.instrument.cutoff)

    @property
    def edge(self) -> str:
        """The cut-off in words."""
        return f"{'at or below' if self.instrument.inclusive else 'below'} {self.instrument.cutoff:g}"

    @property
    def course(self) -> Array:
        """The latest ratings in words: `38, 37 → 34`."""
        more = np.where(self.n_ratings > WINDOW, "…, ", "").astype(object)
        third = np.where(self.n_ratings >= WINDOW, numbers(self.third) + ", ", "")
        return more + third + numbers(self.previous) + " → " + numbers(self.last)

    def low(self, rating: Array) -> Array:
        """Return whether `rating` is on the low side of the cut-off; False where there is none."""
        limit = np.nan if self.instrument.cutoff is None else self.instrument.cutoff
        return rating <= limit + TOLERANCE if self.instrument.inclusive else rating < limit - TOLERANCE

    def take(self, rows: Array) -> State:
        """Return the entries at `rows`."""
        arrays = {
            each.name: getattr(self, each.name)[rows] for each in fields(self) if each.name != "instrument"
        }
        return replace(self, **arrays)


def numbers(values: Array) -> Array:
    """Return numbers as texts with at most two decimals, shape as given; NaN becomes an empty text.

    >>> numbers(np.array([34.0, 2.8333])).tolist()
    ['34', '2.83']
    """
    known = np.isfinite(values)
    cents = np.rint(np.where(known, values, 0) * 100).astype(np.int64)
    low, high = int(cents.min(initial=0)), int(cents.max(initial=0))
    if high - low > _TABLE:
        return np.array([_number(cent) for cent in cents.tolist()], dtype=object)
    texts = np.full(high - low + 1, "", dtype=object)
    used = np.flatnonzero(np.bincount(cents - low))
    texts[used] = [_number(cent) for cent in (used + low).tolist()]
    return np.where(known, texts[cents - low], "")


def _number(cents: int) -> str:
    return f"{cents / 100:.2f}".rstrip("0").rstrip(".")


def observe(
    visits: Visits, instrument: Instrument, *, every: bool, today: np.datetime64 | None = None
) -> State:
    """Return the State of each case after its last appointment, or after `every` appointment in turn.

    Entries are in the order of the cases, or of the rows of Visits. The State after an appointment knows
    nothing of later ones. `today` matters only for the last State: it dates the wait for a next appointment.
    """
    seen = _trace(visits, every=every)
    n = len(seen["last"])
    return State(
        instrument=instrument,
        **seen,
        attendance_known=np.full(n, visits.attendance_known),
        **_wait(visits, None if every else today, n),
        to_confirm=np.zeros(n, dtype=bool) if every or visits.to_confirm is None else visits.to_confirm,
        lowest_area=_lowest_area(visits, instrument, seen["rated_row"], seen["rated_session"]),
    )


_BLANK: dict[str, Any] = {
    "session": 0,
    "n_ratings": 0,
    "total": 0.0,
    "last": np.nan,
    "previous": np.nan,
    "third": np.nan,
    "rated_session": 0,
    "rated_row": -1,
    "since_no_show": np.inf,
    "off_track": np.nan,
    "mixed": False,
}


def _trace(visits: Visits, *, every: bool) -> dict[str, Array]:
    steps = TimeSteps.of(visits.starts, visits.lengths)
    now = {name: np.full(len(visits.starts), value) for name, value in _BLANK.items()}
    kept = {name: np.full(len(visits.rating) if every else 0, value) for name, value in _BLANK.items()}
    for rows in steps:
        running = {name: values[: len(rows)] for name, values in now.items()}
        _advance(running, visits, rows)
        if every:
            for name, values in running.items():
                kept[name][rows] = values
    return kept if every else {name: _scatter(values, steps.order) for name, values in now.items()}


def _scatter(values: Array, order: Array) -> Array:
    result = np.empty_like(values)
    result[order] = values
    return result


def _advance(now: dict[str, Array], visits: Visits, rows: Array) -> None:
    """Bring the running cases from one appointment to the next, in place."""
    session = visits.session[rows]
    if visits.attendance_known:
        status = visits.status[rows]
        now["since_no_show"] += np.where(
            status == ATTENDED, session - now["session"], status != CANCEL_CLINIC
        )
        now["since_no_show"][status == NO_SHOW] = 0
    if visits.not_on_track is not None:
        attended = visits.status[rows] == ATTENDED
        np.copyto(now["off_track"], visits.not_on_track[rows], where=attended)
    if visits.mixed is not None:
        now["mixed"] |= visits.mixed[rows]
    now["session"][:] = session
    _rate(now, visits.rating[rows], session, rows)


def _rate(now: dict[str, Array], rating: Array, session: Array, rows: Array) -> None:
    rated = np.isfinite(rating)
    np.copyto(now["third"], now["previous"], where=rated)
    np.copyto(now["previous"], now["last"], where=rated)
    np.copyto(now["last"], rating, where=rated)
    np.add(now["total"], rating, out=now["total"], where=rated)
    np.copyto(now["rated_session"], session, where=rated)
    np.copyto(now["rated_row"], rows, where=rated)
    now["n_ratings"] += rated


def _wait(visits: Visits, today: np.datetime64 | None, n: int) -> dict[str, Array]:
    """Return the days since the last attended session, and whether a further one is booked."""
    idle, booked = np.full(n, np.nan), np.zeros(n, dtype=bool)
    if today is None or visits.last_attended is None or visits.next_booked is None:
        return {"idle_days": idle, "booked": booked}
    day = today.astype("datetime64[D]").astype(np.int64)
    dated = visits.last_attended != np.iinfo(np.int64).min
    if visits.ended is not None:
        dated &= ~visits.ended
    idle[dated] = day - visits.last_attended[dated]
    return {"idle_days": idle, "booked": visits.next_booked >= day}


def _lowest_area(visits: Visits, instrument: Instrument, rated_row: Array, rated_session: Array) -> Array:
    """Return the subscale furthest below its mean, in standard deviations: local ones before published."""
    names = [name for name in instrument.compared if name in visits.parts]
    if not names or len(names) < len(instrument.compared) or not len(visits.rating):
        return np.full(len(rated_row), "", dtype=object)
    mean, sd = _areas_at(instrument, names, rated_session)
    ratings = np.stack([visits.parts[name][rated_row] for name in names])
    index = (ratings - mean) / sd
    known = (rated_row >= 0) & np.isfinite(index).all(axis=0)
    lowest = np.argmin(np.round(index, 9), axis=0)
    return np.where(known, np.array(names, dtype=object)[lowest], "")


def _areas_at(instrument: Instrument, names: list[str], session: Array) -> Array:
    """Return means and standard deviations at each of `session`, shape (2, areas, sessions); NaN = none."""
    nothing = (np.nan, np.nan)
    local = sorted(instrument.local_areas)
    tables = [instrument.areas, *(instrument.local_areas[at] for at in local)]
    known = np.array([[table.get(name, nothing) for name in names] for table in tables], dtype=float)
    place = np.searchsorted(local, session)
    there = np.isin(session, local)
    found: Array = known[np.where(there, place + 1, 0)].T
    return found
