"""Scores → Courses: one score of every case laid end to end, and the array steps all methods share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MAX_GAP_DAYS = 28
"""Sessions further apart than this are no neighbours, whatever their numbers say."""

TOLERANCE = 1e-9
"""Distance within which a score counts as lying on a limit, so that no verdict hangs on binary rounding."""


@dataclass(frozen=True, kw_only=True)
class Courses:
    """One score of many series, end to end. A series is one rater's course in one case.

    Attributes
    ----------
    values : float, shape (forms,)
        Score in the metric of the definition; NaN = not scored.
    session : int, shape (forms,)
        Session number, ascending within a series. A skipped number is a session without a form.
    starts : int, shape (series,)
        First row of each series.
    day : float, shape (forms,), or None
        Day of the session, counted from any origin; NaN = not known.
    max_gap_days : float
        Sessions further apart are no neighbours.
    """

    values: Array
    session: Array
    starts: Array
    day: Array | None = None
    max_gap_days: float = MAX_GAP_DAYS

    @classmethod
    def of(
        cls,
        values: Sequence[float],
        *,
        sessions: Sequence[int] | None = None,
        days: Sequence[float] | None = None,
    ) -> Courses:
        """Return the Courses of a single series; sessions are numbered from 1 if not given.

        Examples
        --------
        >>> Courses.of([6.0, 5.8, 4.5]).lengths
        array([3])
        """
        return cls(
            values=np.asarray(values, dtype=float),
            session=np.arange(1, len(values) + 1)
            if sessions is None
            else np.asarray(sessions, dtype=np.int64),
            starts=np.zeros(min(len(values), 1), dtype=np.int64),
            day=None if days is None else np.asarray(days, dtype=float),
        )

    @cached_property
    def lengths(self) -> Array:
        """Number of rows of each series, int, shape (series,)."""
        return np.diff(np.append(self.starts, len(self.values)))

    @cached_property
    def series(self) -> Array:
        """Number of the series each row belongs to, int, shape (forms,)."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @cached_property
    def clock(self) -> Array:
        """Session number, moved on by one after each gap of more than `max_gap_days`, int, shape (forms,).

        Only differences within a series mean something: two of its rows are neighbours if and only if their
        clocks differ by one.
        """
        if self.day is None or len(self.values) == 0:
            return self.session
        with np.errstate(invalid="ignore"):
            gap = np.diff(self.day, prepend=np.nan) > self.max_gap_days
        return self.session + np.cumsum(gap)

    @cached_property
    def scored(self) -> Array:
        """Rows that hold a score, ascending, int."""
        return np.flatnonzero(np.isfinite(self.values))

    @cached_property
    def scored_steps(self) -> TimeSteps:
        """Time-major steps over the scored rows only; a step yields places in `scored`."""
        return TimeSteps.of(self._scored_bounds[:-1], np.diff(self._scored_bounds))

    def scored_steps_of(self, wanted: Array) -> TimeSteps:
        """Return the same over some series only; `wanted` is bool, shape (series,)."""
        return TimeSteps.of(self._scored_bounds[:-1], np.where(wanted, np.diff(self._scored_bounds), 0))

    @cached_property
    def _scored_bounds(self) -> Array:
        """Place in `scored` of the first score of each series, and the end, shape (series + 1,)."""
        return np.searchsorted(self.scored, np.append(self.starts, len(self.values)))

    def change_from_neighbour(self) -> Array:
        """Return the change from the session directly before, shape (forms,); NaN where there is none."""
        change = np.full(len(self.values), np.nan)
        if len(self.values):
            change[1:] = np.where(np.diff(self.clock) == 1, np.diff(self.values), np.nan)
            change[self.starts[self.lengths > 0]] = np.nan
        return change


def three_valued(evaluable: Array, yes: Array) -> Array:
    """Return 1 where `yes`, 0 where not, NaN where not `evaluable`.

    >>> three_valued(np.array([True, True, False]), np.array([True, False, True]))
    array([ 1.,  0., nan])
    """
    return np.where(evaluable, np.where(yes, 1.0, 0.0), np.nan)


def cut(courses: Courses, row: int) -> Courses:
    """Return the course of a single series as it stood right after `row`."""
    day = None if courses.day is None else courses.day[: row + 1]
    return replace(courses, values=courses.values[: row + 1], session=courses.session[: row + 1], day=day)


@dataclass(frozen=True, kw_only=True)
class TimeSteps:
    """Time-major steps over series of unequal length, without padding.

    `order` lists the series, longest first. Iterating yields for each position the rows at that position, of
    the first series in `order` only: those that are long enough.

    Examples
    --------
    >>> steps = TimeSteps.of(np.array([0, 1]), np.array([1, 2]))
    >>> steps.order.tolist(), [rows.tolist() for rows in steps]
    ([1, 0], [[1, 0], [2]])
    """

    order: Array
    first_rows: Array
    lengths: Array

    @classmethod
    def of(cls, starts: Array, lengths: Array) -> TimeSteps:
        """Return the steps over series that start at `starts` and hold `lengths` rows."""
        short = int(lengths.max(initial=0)) < np.iinfo(np.int16).max
        shortness: Array = np.negative(lengths).astype(np.int16 if short else np.int64)
        order = np.argsort(shortness, kind="stable")
        return cls(order=order, first_rows=starts[order], lengths=lengths[order])

    def __iter__(self) -> Iterator[Array]:
        """Yield the rows of each position, shape (series still running,)."""
        for position in range(int(self.lengths.max(initial=0))):
            running = int(np.searchsorted(-self.lengths, -position, side="left"))
            yield self.first_rows[:running] + position
