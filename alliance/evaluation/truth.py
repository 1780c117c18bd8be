"""What a detector is held against: where ruptures began, and which sessions are free of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.courses import Courses

Array = np.ndarray[Any, Any]

KINDS = ("none", "v1", "v3", "step", "ramp")
"""Kinds of planted ruptures; 0 also stands for a labelled one."""

WITHIN = (2, 0, 2, 2, 6)
"""Sessions after the onset within which a flag counts as a detection, by kind; first that of a label."""


@dataclass(frozen=True, kw_only=True)
class Ruptures:
    """True ruptures, one entry each, ordered by series and onset; shape (ruptures,).

    Attributes
    ----------
    series : int; the series of the courses it is part of
    onset : int; session number
    within : int; a flag counts as a detection from the onset to so many sessions later
    until : int; session up to which a flag still belongs to it, if too late for a detection
    kind : int; place in KINDS, 0 = labelled
    repaired : float; 1 repaired, 0 not, NaN not known
    """

    series: Array
    onset: Array
    within: Array
    until: Array
    kind: Array
    repaired: Array

    def take(self, kept: Array) -> Ruptures:
        """Return the ruptures of the series where `kept` is True, the series numbered anew."""
        mine = kept[self.series]
        number = np.cumsum(kept) - 1
        columns = {name: values[mine] for name, values in vars(self).items()}
        return Ruptures(**columns | {"series": number[columns["series"]]})


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The truth about every session of some courses.

    Attributes
    ----------
    source : str; `planted` or `labels`
    ruptures : Ruptures
    label : float, shape (forms,); 1 = a session of rupture, 0 = free of rupture, NaN = not said. Of planted
        ruptures only the onset is 1, and the sessions after it are not said
    free : bool, shape (forms,); a flag here is a false alarm
    quiet : bool, shape (forms,); sessions that false alarms are counted per 100 of
    quiet_series : bool, shape (series,); series without any rupture
    """

    source: str
    ruptures: Ruptures
    label: Array
    free: Array
    quiet: Array
    quiet_series: Array

    def take(self, courses: Courses, kept: Array) -> Truth:
        """Return the truth about the series where `kept` is True."""
        rows = kept[courses.series]
        return replace(
            self,
            ruptures=self.ruptures.take(kept),
            label=self.label[rows],
            free=self.free[rows],
            quiet=self.quiet[rows],
            quiet_series=self.quiet_series[kept],
        )


def take_courses(courses: Courses, kept: Array) -> Courses:
    """Return the series where `kept` is True, bool of shape (series,).

    >>> both = Courses(values=np.arange(5.0), session=np.array([1, 2, 1, 2, 3]), starts=np.array([0, 2]))
    >>> take_courses(both, np.array([False, True])).values
    array([2., 3., 4.])
    """
    rows = kept[courses.series]
    lengths = courses.lengths[kept]
    return replace(
        courses,
        values=courses.values[rows],
        session=courses.session[rows],
        starts=np.cumsum(lengths) - lengths,
        day=None if courses.day is None else courses.day[rows],
    )


def last_sessions(courses: Courses) -> Array:
    """Return the last session number of every series, -1 for a series without rows."""
    last = np.full(len(courses.starts), -1, dtype=np.int64)
    filled = courses.lengths > 0
    last[filled] = courses.session[(courses.starts + courses.lengths - 1)[filled]]
    return last


def neighbours(courses: Courses) -> Array:
    """Return whether each row's session follows directly on the row before, bool, shape (forms,)."""
    follows = np.zeros(len(courses.values), dtype=bool)
    if len(follows):
        same = courses.series[1:] == courses.series[:-1]
        follows[1:] = same & (np.diff(courses.clock) == 1)
    return follows


def runs(courses: Courses, yes: Array) -> tuple[Array, Array]:
    """Return first and last row of every run of `yes`: sessions that follow directly on one another.

    A session without a row, one that is not `yes`, or a gap of more than `max_gap_days` ends a run.

    >>> gap = Courses.of([5, 5, 5, 5], sessions=[1, 2, 3, 5])
    >>> first, last = runs(gap, np.array([False, True, True, True]))
    >>> first.tolist(), last.tolist()
    ([1, 3], [2, 3])
    """
    goes_on = np.zeros(len(yes), dtype=bool)
    goes_on[1:] = yes[1:] & yes[:-1] & neighbours(courses)[1:]
    first = np.flatnonzero(yes & ~goes_on)
    rows = np.flatnonzero(yes)
    ends = np.searchsorted(rows, first)
    last = rows[np.append(ends[1:], len(rows)) - 1] if len(first) else first
    return first, last
