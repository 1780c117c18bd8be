"""Flags against ruptures: which alarm found which rupture, how late, and which were false."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import Courses
from alliance.evaluation.truth import Ruptures, Truth, runs

Array = np.ndarray[Any, Any]

RIGHT, FALSE, NEITHER = range(3)
"""What an alarm is."""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Which alarm found which rupture. An alarm is a run of flagged sessions directly after one another.

    Attributes
    ----------
    first, last : int, shape (alarms,); first and last row of every alarm
    verdict : int, shape (alarms,); RIGHT, FALSE or NEITHER
    alarm : int, shape (ruptures,); the alarm that found it, -1 = none
    row : int, shape (ruptures,); the first flagged row within the window, -1 = none
    delay : int, shape (ruptures,); sessions from onset to that row, -1 = none
    blind : bool, shape (ruptures,); no verdict within the window
    never : bool, shape (ruptures,); no flag while it lasted, nor within the window
    """

    first: Array
    last: Array
    verdict: Array
    alarm: Array
    row: Array
    delay: Array
    blind: Array
    never: Array


def match(courses: Courses, met: Array, truth: Truth) -> Matches:
    """Match alarms to ruptures, one to one.

    Parameters
    ----------
    courses : Courses
    met : 1/0/NaN, shape (forms,)
    truth : Truth

    Returns
    -------
    Matches
        A rupture is found by an alarm with a flagged session from the onset to `within` sessions later. In
        the order of their onsets, each rupture takes the first such alarm that no earlier one has taken: that
        finds as many as can be found. An alarm that found nothing is false if its first session is free of
        rupture; else (a second alarm within a window, one too late, one on a session nothing is said of) it
        is neither right nor false. An alarm that began before the onset and goes on finds the rupture at its
        onset.
    """
    flagged = met == 1
    first, last = runs(courses, flagged)
    ruptures = truth.ruptures
    begin, end = _window(courses, ruptures, ruptures.within)
    alarm = _taken(ruptures, *_candidates(flagged, first, begin, end))
    found = alarm >= 0
    row = np.full(len(alarm), -1, dtype=np.int64)
    row[found] = np.maximum(first[alarm[found]], begin[found])
    delay = np.where(found, courses.session[row] - ruptures.onset, -1) if len(row) else row
    verdict = np.where(truth.free[first], FALSE, NEITHER)
    verdict[alarm[found]] = RIGHT
    return Matches(
        first=first,
        last=last,
        verdict=verdict,
        alarm=alarm,
        row=row,
        delay=delay,
        blind=_none_within(np.isfinite(met), begin, end),
        never=_none_within(flagged, begin, _window(courses, ruptures, ruptures.until - ruptures.onset)[1]),
    )


def _window(courses: Courses, ruptures: Ruptures, within: Array) -> tuple[Array, Array]:
    """Return the first row of each rupture's window, and the row behind its last one."""
    if not len(ruptures.onset) or not len(courses.session):
        nothing = np.zeros(len(ruptures.onset), dtype=np.int64)
        return nothing, nothing
    closing = ruptures.onset + within
    low = min(int(courses.session.min()), int(ruptures.onset.min()))
    span = max(int(courses.session.max()), int(closing.max())) - low + 1
    rows = courses.series * span + courses.session - low
    base = ruptures.series * span - low
    return np.searchsorted(rows, base + ruptures.onset), np.searchsorted(rows, base + closing, side="right")


def _candidates(flagged: Array, first: Array, begin: Array, end: Array) -> tuple[Array, Array]:
    """Return the first and the last alarm with a flagged row in each window; first > last if none has."""
    rows = np.flatnonzero(flagged)
    number = np.searchsorted(first, rows, side="right") - 1
    low, high = np.searchsorted(rows, begin), np.searchsorted(rows, end) - 1
    any_flag = high >= low
    earliest, latest = np.zeros(len(begin), dtype=np.int64), np.full(len(begin), -1, dtype=np.int64)
    earliest[any_flag], latest[any_flag] = number[low[any_flag]], number[high[any_flag]]
    return earliest, latest


def _taken(ruptures: Ruptures, earliest: Array, latest: Array) -> Array:
    """Return the alarm of each rupture, -1 = none: the first, second … rupture of all series at a time."""
    taken = np.full(len(earliest), -1, dtype=np.int64)
    if not len(taken):
        return taken
    _, start, place = np.unique(ruptures.series, return_index=True, return_inverse=True)
    rank = np.arange(len(taken)) - start[place]
    by_rank = np.argsort(rank, kind="stable")
    used = np.full(len(start), -1, dtype=np.int64)
    for these in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):
        choice = np.maximum(earliest[these], used[place[these]] + 1)
        fits = choice <= latest[these]
        taken[these[fits]] = used[place[these[fits]]] = choice[fits]
    return taken


def _none_within(yes: Array, begin: Array, end: Array) -> Array:
    count = np.append(0, np.cumsum(yes))
    none: Array = count[end] == count[begin]
    return none
