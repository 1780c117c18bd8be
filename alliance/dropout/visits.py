"""Forms and appointments → Visits: every case's appointments in order, cases end to end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from alliance.dropout.keys import Keys, find, first_only, occurrence, rank
from alliance.frames import ATTENDANCE

Array = np.ndarray[Any, Any]

ATTENDED, NO_SHOW, CANCEL_CLINIC, SCHEDULED = (
    ATTENDANCE.index(name) for name in ("attended", "no_show", "cancel_clinic", "scheduled")
)
CLIENT, OTHER_SIDE, OUTSIDER = 0, 1, 2
"""Who filled in a form: the client, the therapist or an observer, or somebody the rules do not know."""

_NO_DAY = np.iinfo(np.int64).min
_FAR_DAY = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """Scored forms as arrays of shape (forms,), in any order.

    Attributes
    ----------
    case : int; code of the case, 0 to n_cases - 1
    session : int; session number of the form
    rating : float; total, higher = better; NaN = not scored
    side : int or None; CLIENT, OTHER_SIDE or OUTSIDER; None = all by clients
    date : datetime64[D] or None; NaT = not known
    not_on_track : float or None; 1 or 0 from an outcome system; NaN = not known
    parts : subscale → float
    """

    case: Array
    session: Array
    rating: Array
    side: Array | None = None
    date: Array | None = None
    not_on_track: Array | None = None
    parts: Mapping[str, Array] = field(default_factory=dict)

    def take(self, rows: Array) -> Ratings:
        """Return the forms at `rows` (places or a mask)."""
        return Ratings(
            case=self.case[rows],
            session=self.session[rows],
            rating=self.rating[rows],
            side=None if self.side is None else self.side[rows],
            date=None if self.date is None else self.date[rows],
            not_on_track=None if self.not_on_track is None else self.not_on_track[rows],
            parts={name: values[rows] for name, values in self.parts.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Appointments:
    """Appointments as arrays of shape (appointments,); those of one case stand in their order.

    Attributes
    ----------
    case : int; the same codes as in Ratings
    session : float; session number, NaN = not numbered
    date : datetime64[D]; NaT = not known
    status : int; place in `frames.ATTENDANCE`
    """

    case: Array
    session: Array
    date: Array
    status: Array


@dataclass(frozen=True, kw_only=True)
class Visits:
    """All cases end to end, one row per appointment that has taken place or was missed, in order.

    Attributes
    ----------
    rating : float, shape (visits,); the client's total, NaN = none
    status : int8, shape (visits,); place in `frames.ATTENDANCE`
    session : int64, shape (visits,); number of sessions attended so far, this one counted
    starts : int64, shape (cases,); first row of each case, which may have no row
    mixed : bool, shape (visits,), or None; somebody the rules do not know rated this session
    not_on_track : float, shape (visits,), or None; 1, 0, NaN = not known
    parts : subscale → float, shape (visits,)
    attendance_known : bool; whether appointments were given at all
    last_attended, next_booked : days since 1970, shape (cases,), or None
    day : int64, shape (visits,), or None; days since 1970, int64 minimum = not known
    ended : bool, shape (cases,), or None; the treatment has ended, as recorded
    to_confirm : bool, shape (cases,), or None; ongoing on record, but long not seen and nothing booked
    """

    rating: Array
    status: Array
    session: Array
    starts: Array
    mixed: Array | None = None
    not_on_track: Array | None = None
    parts: Mapping[str, Array] = field(default_factory=dict)
    attendance_known: bool = False
    last_attended: Array | None = None
    next_booked: Array | None = None
    day: Array | None = None
    ended: Array | None = None
    to_confirm: Array | None = None

    def with_fates(self, cases: Array, *, ended: Collection[str], to_confirm: Collection[str]) -> Visits:
        """Return the visits with some cases marked; `cases` are the names of all."""
        if not ended and not to_confirm:
            return self
        names = cases.astype(str)
        return replace(self, ended=np.isin(names, [*ended]), to_confirm=np.isin(names, [*to_confirm]))

    @cached_property
    def lengths(self) -> Array:
        """Number of rows of each case, shape (cases,)."""
        return np.diff(np.append(self.starts, len(self.rating)))

    @cached_property
    def case(self) -> Array:
        """Case each row belongs to, shape (visits,)."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)


def visits_of(
    ratings: Ratings,
    appointments: Appointments | None = None,
    *,
    n_cases: int,
    until: date | None = None,
) -> Visits:
    """Lay out the appointments of every case in order, each with the client's rating.

    Without appointments a session number counts attended sessions, so a skipped number is a session attended
    without a form. With appointments the missed ones are taken off: a session's count is its number minus the
    numbered appointments missed up to it, and at least one more than the count before. A form belongs to the
    attended appointment with its number, or with its date if that has no number; a form without one shows
    that the session was attended, unless it is blank and its number is that of a missed appointment.
    Appointments that are only scheduled are not there yet.

    Parameters
    ----------
    ratings : Ratings
        At most one form by the client for each session of a case.
    appointments : Appointments, optional
        None = attendance is not known.
    n_cases : int
        Number of cases; one without any form or appointment has no row.
    until : date, optional
        Nothing dated later is known: later forms are not there, later appointments are booked and no more.
        What has no date is taken as it is.

    Examples
    --------
    >>> ratings = Ratings(case=np.array([0, 0]), session=np.array([1, 3]), rating=np.array([38.0, 37.0]))
    >>> visits_of(ratings, n_cases=1).session
    array([1, 3])
    """
    if until is not None:
        ratings, appointments = _known_on(until, ratings, appointments)
    sessions = _sessions(ratings)
    if appointments is None:
        return _from_sessions(sessions, n_cases)
    return _merge(sessions, appointments, n_cases)


def _known_on(
    day: date, ratings: Ratings, appointments: Appointments | None
) -> tuple[Ratings, Appointments | None]:
    stamp = np.datetime64(day, "D")
    if ratings.date is not None:
        ratings = ratings.take(~(ratings.date > stamp))
    if appointments is None:
        return ratings, None
    later = appointments.date > stamp
    return ratings, replace(appointments, status=np.where(later, SCHEDULED, appointments.status))


@dataclass(frozen=True, kw_only=True)
class _Sessions:
    """One row per session of which there is a form by anybody, in the order case, session."""

    case: Array
    session: Array
    rating: Array
    scored: Array
    mixed: Array | None
    day: Array
    not_on_track: Array | None
    parts: Mapping[str, Array]


def _sessions(ratings: Ratings) -> _Sessions:
    keys = Keys.over(ratings.session)
    key = keys.of(ratings.case, ratings.session)
    order = np.arange(len(key)) if np.all(np.diff(key) > 0) else np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    client = _client_rows(ratings, order, first)
    mixed = None if ratings.side is None else ratings.side[order] == OUTSIDER
    flag = None if ratings.not_on_track is None else np.asarray(ratings.not_on_track, dtype=float)[order]
    return _Sessions(
        case=ratings.case[order][first].astype(np.int64),
        session=ratings.session[order][first].astype(np.int64),
        rating=_take(ratings.rating, client),
        scored=_per_group(np.logical_or, np.isfinite(ratings.rating[order]), first),
        mixed=None if mixed is None or not mixed.any() else _per_group(np.logical_or, mixed, first),
        day=_days(ratings.date, order, first),
        not_on_track=None if flag is None else _per_group(np.fmax, flag, first),
        parts={name: _take(values, client) for name, values in ratings.parts.items()},
    )


def _client_rows(ratings: Ratings, order: Array, first: Array) -> Array:
    """Return for each session the row of the client's form, or -1."""
    if ratings.side is None and len(first) == len(order):
        return order
    by_client = np.ones(len(order), dtype=bool) if ratings.side is None else ratings.side[order] == CLIENT
    group = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(order))))[by_client]
    if np.any(np.diff(group) == 0):
        message = "ratings must hold one client form for each case and session, got more"
        raise ValueError(message)
    rows = np.full(len(first), -1, dtype=np.int64)
    rows[group] = order[by_client]
    return rows


def _days(date: Array | None, order: Array, first: Array) -> Array:
    if date is None:
        return np.full(len(first), _NO_DAY)
    return _per_group(np.maximum, _day_numbers(date)[order], first)


def _day_numbers(date: Array) -> Array:
    """Return days since 1970; what is not known is `_NO_DAY`, as numpy itself stores it."""
    return date.astype("datetime64[D]").astype(np.int64)


def _per_group(step: np.ufunc, values: Array, first: Array) -> Array:
    result: Array = values if len(first) == len(values) else step.reduceat(values, first)
    return result


def _take(values: Array, rows: Array) -> Array:
    """Return `values` at `rows`, NaN where a row is -1."""
    if not len(values):
        return np.full(len(rows), np.nan)
    return np.where(rows >= 0, values[rows], np.nan)


def _from_sessions(sessions: _Sessions, n_cases: int) -> Visits:
    starts = _starts(sessions.case, n_cases)
    number = sessions.session
    if len(number) and number.min() < 1:
        held = np.ones(len(number), dtype=bool)
        number = _attended_count(sessions.case, starts, number.astype(float), held, ~held)
    return Visits(
        rating=sessions.rating,
        status=np.zeros(len(number), dtype=np.int8),
        session=number,
        starts=starts,
        mixed=sessions.mixed,
        not_on_track=sessions.not_on_track,
        parts=sessions.parts,
        day=sessions.day,
    )


def _starts(case: Array, n_cases: int) -> Array:
    counts = np.bincount(case, minlength=n_cases)
    return np.cumsum(counts) - counts


def _merge(sessions: _Sessions, appointments: Appointments, n_cases: int) -> Visits:
    given = _by_case(appointments)
    numbered = _number_attended(sessions, given)
    keys = Keys.over(numbered.session, sessions.session)
    rows = _rows(sessions, numbered, keys)
    starts = _starts(rows.case, n_cases)
    held = rows.status == ATTENDED
    key = keys.of(rows.case, rows.number)
    counted = ~held & np.isfinite(rows.number) & ~np.isin(key, key[held])
    day = np.where(rows.day == _NO_DAY, _take_days(sessions.day, rows.form), rows.day)
    flag = sessions.not_on_track
    return Visits(
        rating=_take(sessions.rating, rows.form),
        status=rows.status.astype(np.int8),
        session=_attended_count(rows.case, starts, rows.number, held, counted),
        starts=starts,
        mixed=None if sessions.mixed is None else _take(sessions.mixed, rows.form) == 1,
        not_on_track=None if flag is None else _take(flag, rows.form),
        parts={name: _take(values, rows.form) for name, values in sessions.parts.items()},
        attendance_known=True,
        last_attended=_latest(rows.case[held], day[held], n_cases),
        next_booked=_next_booked(given, n_cases),
        day=day,
    )


def _by_case(appointments: Appointments) -> Appointments:
    order = np.argsort(appointments.case, kind="stable")
    return Appointments(
        case=appointments.case[order].astype(np.int64),
        session=appointments.session[order].astype(float),
        date=appointments.date[order],
        status=appointments.status[order],
    )


def _number_attended(sessions: _Sessions, given: Appointments) -> Appointments:
    """Give attended appointments without a number that of the form of their day, or else their rank.

    The rank is used only where dates cannot tell: the appointment has none, or no form of the case has one.
    """
    number = given.session.copy()
    held = given.status == ATTENDED
    unnumbered = np.flatnonzero(held & np.isnan(number))
    if not len(unnumbered):
        return given
    keys = Keys.over(number, sessions.session)
    numbered = keys.of(given.case, number)[held & np.isfinite(number)]
    taken = np.isin(keys.of(sessions.case, sessions.session), numbered)
    day = _day_numbers(given.date)
    free = np.flatnonzero(~taken & (sessions.day != _NO_DAY))
    dated = unnumbered[day[unnumbered] != _NO_DAY]
    match = _match_days(sessions.case[free], sessions.day[free], given.case[dated], day[dated])
    number[dated] = _take(sessions.session[free].astype(float), match)
    timeless = (day == _NO_DAY) | ~np.isin(given.case, sessions.case[sessions.day != _NO_DAY])
    ranked = held & np.isnan(number) & timeless
    number[ranked] = rank(given.case, held)[ranked]
    return Appointments(case=given.case, session=number, date=given.date, status=given.status)


def _match_days(form_case: Array, form_day: Array, case: Array, day: Array) -> Array:
    """Return for each appointment the place of the form of the same case and day, or -1; k-th with k-th."""
    days = Keys.over(form_day.astype(float), day.astype(float))
    forms, wanted = days.of(form_case, form_day), days.of(case, day)
    twice = Keys.over(occurrence(forms), occurrence(wanted))
    return find(twice.of(forms, occurrence(forms)), twice.of(wanted, occurrence(wanted)))


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Appointments and the sessions known by a form only, in order; `form` is a place in _Sessions, or -1."""

    case: Array
    number: Array
    status: Array
    day: Array
    form: Array


def _rows(sessions: _Sessions, given: Appointments, keys: Keys) -> _Rows:
    key = keys.of(given.case, given.session)
    numbered = np.isfinite(given.session)
    held = (given.status == ATTENDED) & numbered
    form_key = keys.of(sessions.case, sessions.session)
    form = first_only(np.where(held, find(form_key, key), -1))
    absent = np.isin(form_key, key[numbered & ~held]) & ~sessions.scored
    lone = np.flatnonzero(~np.isin(form_key, key[held]) & ~absent)
    past = np.flatnonzero(given.status != SCHEDULED)
    last_number = np.maximum.accumulate(key)
    place = np.concatenate([np.where(numbered, key, last_number)[past], form_key[lone]])
    order = np.argsort(place, kind="stable")
    return _Rows(
        case=np.concatenate([given.case[past], sessions.case[lone]])[order],
        number=np.concatenate([given.session[past], sessions.session[lone].astype(float)])[order],
        status=np.concatenate([given.status[past], np.full(len(lone), ATTENDED)])[order],
        day=np.concatenate([_day_numbers(given.date)[past], sessions.day[lone]])[order],
        form=np.concatenate([form[past], lone])[order],
    )


def _attended_count(case: Array, starts: Array, number: Array, held: Array, counted: Array) -> Array:
    """Return the number of sessions attended up to each row.

    It is the rank among the rows that are `held`, moved up by the largest surplus of a number over rank and
    over the `counted` missed appointments so far.
    """
    count = rank(case, held)
    surplus = number - rank(case, counted) - count
    surplus = np.where(held & np.isfinite(number), np.maximum(np.nan_to_num(surplus), 0), 0).astype(np.int64)
    width = int(surplus.max(initial=0)) + 1
    reached: Array = np.maximum.accumulate(case * width + surplus) - case * width
    return count + reached


def _take_days(day: Array, form: Array) -> Array:
    return np.where(form >= 0, day[form], _NO_DAY) if len(day) else np.full(len(form), _NO_DAY)


def _latest(case: Array, day: Array, n_cases: int) -> Array:
    latest = np.full(n_cases, _NO_DAY)
    np.maximum.at(latest, case, day)
    return latest


def _next_booked(given: Appointments, n_cases: int) -> Array:
    """Return the last day booked for each case; a booking without a date counts as still to come."""
    booked = given.status == SCHEDULED
    day = _day_numbers(given.date)[booked]
    return _latest(given.case[booked], np.where(day == _NO_DAY, _FAR_DAY, day), n_cases)
