"""Cohort → Rows: the person-session risk set, one row for each session after which dropout could happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from alliance.courses import TimeSteps
from alliance.dropout.ends.cohort import COMPETING, DROPOUT, EXCLUDED, ONGOING, Cohort
from alliance.dropout.visits import ATTENDED, NO_SHOW, Visits

Array = np.ndarray[Any, Any]

HORIZON = 3
"""Sessions that the landmark risk looks ahead."""

MOST_NO_SHOWS = 2
"""No-shows before a session are counted up to this many, by design."""

NO_DAY = np.iinfo(np.int64).min


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Person-session rows as arrays of shape (rows,), ordered by case and session.

    A row is an attended session after which a further one was planned or offered. Predictors hold nothing
    dated after the end of the session. They are kept in score points; a model standardises them by numbers
    of its own training data.

    Attributes
    ----------
    case : int64; place of the case in its cohort
    client, therapist : int64; codes, therapist -1 = not known
    session : int64; number of sessions attended, from 1
    visit : int64; row of this session in the cohort's Visits
    day : int64; days since 1970, int64 minimum = not known
    y : float; 1 = dropped out after this session, 0 = did not, NaN = not known (rows to predict for)
    other : float; 1 = ended otherwise after this session (a competing end), 0 = did not, NaN = not known
    fate : float; 1 = dropped out within the window after this session, 0 = did not, NaN = not known
    window : int64; sessions the window holds: HORIZON, or the planned sessions that are left if fewer
    rating : float; rating of this session, NaN = none
    mean_rating : float; mean of all ratings up to this session, NaN = none yet
    change : float; this rating minus the mean of the earlier ones; 0 at the first one and where it is missing
    no_shows : float; appointments missed without notice since the session before, at most 2
    missing : float; 1 = this session has no rating
    covariates : name → float; the latest value recorded up to this session, NaN = none yet
    """

    case: Array
    client: Array
    therapist: Array
    session: Array
    visit: Array
    day: Array
    y: Array
    other: Array
    fate: Array
    window: Array
    rating: Array
    mean_rating: Array
    change: Array
    no_shows: Array
    missing: Array
    covariates: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.session)

    def take(self, rows: Array | slice) -> Rows:
        """Return the rows at `rows` (places, a mask or a slice)."""
        arrays = {
            each.name: getattr(self, each.name)[rows] for each in fields(self) if each.name != "covariates"
        }
        return replace(
            self, **arrays, covariates={name: values[rows] for name, values in self.covariates.items()}
        )


def rows_of(cohort: Cohort) -> Rows:
    """Return the risk set: attended sessions with a further one on offer, where what came next is known.

    Sessions before a case's last attended one are always in, since a further one took place. The last one
    is in after dropout (y = 1; an end without agreement implies that a further session was on offer), and
    after a competing end if a further session was planned or the plan is not known (y = 0, other = 1). It
    is not in after a planned end or while the treatment runs. A session skipped between two known ones was
    attended without a form: a row without rating whose `visit` is the row before. Sessions ahead of the
    first known one are not in (delayed entry). Excluded cases have no rows.

    Parameters
    ----------
    cohort : Cohort
        Ratings in score points, higher = better, NaN = none.

    Returns
    -------
    Rows
        In the order of the cases, sessions ascending. Nothing in a predictor is dated after its session.

    References
    ----------
    Singer, J. D., & Willett, J. B. (2003). Applied Longitudinal Data Analysis, chapters 10 and 11.

    Examples
    --------
    >>> from alliance.dropout.ends.cohort import DROPOUT, PLANNED
    >>> from alliance.dropout.visits import Ratings, visits_of
    >>> forms = Ratings(case=np.array([0, 0, 1]), session=np.array([1, 2, 1]), rating=np.array([5.0, 4, 3]))
    >>> no_day, two = np.full(3, np.iinfo(np.int64).min), np.arange(2)
    >>> rows = rows_of(
    ...     Cohort(
    ...         cases=two,
    ...         client=two,
    ...         therapist=two,
    ...         end=np.array([PLANNED, DROPOUT]),
    ...         why=np.array(["", ""], dtype=object),
    ...         planned=np.array([2.0, 8.0]),
    ...         visits=visits_of(forms, n_cases=2),
    ...         day=no_day,
    ...     )
    ... )
    >>> rows.case, rows.session, rows.y
    (array([0, 1]), array([1, 1]), array([0., 1.]))
    """
    known = _known_rows(cohort)
    end, planned = cohort.end[known.case], cohort.planned[known.case]
    dropped, other = known.last & (end == DROPOUT), known.last & (end == COMPETING)
    offered = np.isnan(planned) | (known.session < planned)
    kept = (end != EXCLUDED) & (~known.last | dropped | (other & offered))
    window, fate = _fates(known, end, planned)
    rows = replace(known.rows, y=dropped.astype(float), other=other.astype(float), fate=fate, window=window)
    return rows.take(kept)


def latest_rows(cohort: Cohort) -> Rows:
    """Return one row per case at its latest attended session, to predict for: y, other and fate are NaN.

    Cases that never attended have no row. Whether a case is still running is for the caller to look up in
    `cohort.end[rows.case]`.
    """
    known = _known_rows(cohort)
    window, _ = _fates(known, cohort.end[known.case], cohort.planned[known.case])
    return replace(known.rows, window=window).take(known.last)


@dataclass(frozen=True, kw_only=True)
class _Known:
    """Every attended session, with the number of sessions its case attended in all."""

    rows: Rows
    total: Array

    @property
    def case(self) -> Array:
        return self.rows.case

    @property
    def session(self) -> Array:
        return self.rows.session

    @property
    def last(self) -> Array:
        return np.asarray(self.session == self.total)


def _known_rows(cohort: Cohort) -> _Known:
    visits = cohort.visits
    seen = _predictors(visits)
    held = np.flatnonzero(visits.status == ATTENDED)
    first = np.flatnonzero(np.diff(visits.case[held], prepend=-1))
    before = np.concatenate([[0], visits.session[held][:-1]]).astype(np.int64)
    before[first] = visits.session[held][first] - 1
    copies = visits.session[held] - before
    at = np.repeat(np.arange(len(held)), copies)
    session = before[at] + _place(copies) + 1
    real = session == visits.session[held][at]
    visit = held[np.where(real, at, at - 1)]
    case = visits.case[held][at]
    n, unknown = len(session), np.full(len(session), np.nan)
    latest = np.zeros(len(visits.starts), dtype=np.int64)
    np.maximum.at(latest, case, session)
    rating = np.where(real, visits.rating[visit], np.nan)
    rows = Rows(
        case=case,
        client=cohort.client[case].astype(np.int64),
        therapist=cohort.therapist[case].astype(np.int64),
        session=session,
        visit=visit,
        day=np.where(real, cohort.day[visit], NO_DAY),
        y=unknown,
        other=unknown,
        fate=unknown,
        window=np.full(n, HORIZON),
        rating=rating,
        mean_rating=seen["mean"][visit],
        change=np.where(np.isfinite(rating), seen["change"][visit], 0.0),
        no_shows=np.where(real, seen["no_shows"][visit], 0.0),
        missing=np.isnan(rating).astype(float),
        covariates={name: _carried(visits, values)[visit] for name, values in cohort.covariates.items()},
    )
    return _Known(rows=rows, total=latest[case])


def _place(counts: Array) -> Array:
    """Return 0, 1, … within each group of `counts` members, groups end to end."""
    place: Array = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return place


def _predictors(visits: Visits) -> dict[str, Array]:
    """Return for each visit the mean rating so far, its change from the mean before, and recent no-shows."""
    n_cases, n_visits = len(visits.starts), len(visits.rating)
    count, total, missed = np.zeros(n_cases), np.zeros(n_cases), np.zeros(n_cases)
    seen = {name: np.zeros(n_visits) for name in ("mean", "change", "no_shows")}
    for rows in TimeSteps.of(visits.starts, visits.lengths):
        rating, held = visits.rating[rows], visits.status[rows] == ATTENDED
        n, sums, absent = count[: len(rows)], total[: len(rows)], missed[: len(rows)]
        rated = np.isfinite(rating)
        again = rated & (n > 0)
        seen["change"][rows] = np.where(again, rating - sums / np.maximum(n, 1), 0.0)
        n += rated
        np.add(sums, rating, out=sums, where=rated)
        seen["mean"][rows] = np.where(n > 0, sums / np.maximum(n, 1), np.nan)
        absent += visits.status[rows] == NO_SHOW
        seen["no_shows"][rows] = np.minimum(absent, MOST_NO_SHOWS)
        absent[held] = 0
    return seen


def _carried(visits: Visits, values: Array) -> Array:
    """Return the latest value of the case up to each visit, NaN = none yet."""
    place = np.where(np.isfinite(values), np.arange(len(values)), -1)
    latest = np.maximum.accumulate(place) if len(place) else place
    known = latest >= visits.starts[visits.case]
    return np.where(known, values[latest], np.nan)


def _fates(known: _Known, end: Array, planned: Array) -> tuple[Array, Array]:
    """Return the sessions each window holds, and whether dropout happened within it (NaN = not known)."""
    left = np.where(np.isnan(planned), HORIZON, planned - known.session)
    window = np.clip(left, 1, HORIZON).astype(np.int64)
    reached = known.total >= known.session + window
    fate = np.where(reached, 0.0, np.where(end == DROPOUT, 1.0, 0.0))
    return window, np.where(~reached & np.isin(end, (ONGOING, EXCLUDED)), np.nan, fate)
