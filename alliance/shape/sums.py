"""Sums over every series at once, and the sentence for too few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import Courses

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Some rows of all series, and how to add up over each series.

    `row` lists the rows, ascending, `series` the series of each, `n` the number of rows of each series.
    """

    row: Array
    series: Array
    n: Array

    @classmethod
    def of(cls, courses: Courses, rows: Array) -> Sums:
        """Return the sums over `rows`, which ascend."""
        series = courses.series[rows]
        return cls(row=rows, series=series, n=np.bincount(series, minlength=len(courses.starts)))

    def total(self, weights: Array) -> Array:
        """Return the sum of `weights`, one of each row, over each series."""
        return np.bincount(self.series, weights=weights, minlength=len(self.n))

    def first(self, values: Array) -> Array:
        """Return the first value of each series, NaN for one without rows."""
        return self._at(values, np.cumsum(self.n) - self.n)

    def last(self, values: Array) -> Array:
        """Return the last value of each series, NaN for one without rows."""
        return self._at(values, np.cumsum(self.n) - 1)

    def _at(self, values: Array, places: Array) -> Array:
        found = np.full(len(self.n), np.nan)
        found[self.n > 0] = values[places[self.n > 0]]
        return found

    def centred(self, values: Array) -> tuple[Array, Array]:
        """Return the mean of each series and the distances from it; equal values are exactly 0 apart."""
        first = self.first(values)
        distance = values - first[self.series]
        mean = ratio(self.total(distance), self.n)
        return first + mean, distance - mean[self.series]


def check_sessions(courses: Courses) -> None:
    """Refuse a series whose session numbers do not rise: its time would run backwards."""
    falling = np.flatnonzero((np.diff(courses.session) <= 0) & (np.diff(courses.series) == 0))
    if len(falling):
        before, after = courses.session[falling[0]], courses.session[falling[0] + 1]
        message = f"sessions must rise within a series, got session {after} after {before}"
        raise ValueError(message)


def shortage(found: Array, needed: int, what: str) -> Array:
    """Return `not enough data: 2 of 6 scores` where fewer than `needed` were found, else an empty text."""
    texts = [f"not enough data: {count} of {needed} {what}" for count in range(needed)]
    return np.array([*texts, ""], dtype=object)[np.minimum(found, needed)]


def ratio(value: Array | float, by: Array | float) -> Array:
    """Return value / by, NaN where `by` is not above 0."""
    value, by = np.broadcast_arrays(np.asarray(value, dtype=float), np.asarray(by, dtype=float))
    quotient: Array = np.divide(value, by, out=np.full(by.shape, np.nan), where=by > 0)
    return quotient
