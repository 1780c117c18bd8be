"""Six plain rules of the literature over an archive, all at once: a first look, much faster than methods."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.errors import UsageError
from alliance.rupture.registry import Measure

Array = np.ndarray[Any, Any]

RULES = ("chart", "chart 2 of 3", "mean drop", "reliable drop", "best drop", "repaired")
CHART, TWO_OF_THREE, MEAN_DROP, RELIABLE_DROP, BEST_DROP, REPAIRED = (1 << place for place in range(6))
D2 = 1.128
MIN_CHART = 10
MIN_MEAN = 3
REPAIRED_WITHIN = 3


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What six rules say of every form, as bits; bit i belongs to `RULES[i]`.

    Attributes
    ----------
    yes : uint8, shape (forms,)
    known : uint8, shape (forms,); 0 = not enough data, and then `yes` is 0 too
    """

    yes: Array
    known: Array

    def met(self, rule: str) -> Array:
        """Return 1, 0 or NaN = not enough data for one rule, shape (forms,)."""
        bit = 1 << RULES.index(rule)
        return np.where(self.known & bit, (self.yes & bit) > 0, np.nan)


def screen(courses: Courses, measure: Measure, *, criterion: float = 1.96) -> Screen:
    """Apply six plain rules to every scored form.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored.
    measure : Measure
        Must hold a norm with sd and reliability, or a within-person SD.
    criterion : float
        Of the reliable change index.

    Returns
    -------
    Screen
        `chart` and `chart 2 of 3` are the Western Electric rules 1 and 2 of `moving-range` on whole courses
        (10 scores and some variation needed), the second among three scores in a row, whatever lies between.
        `reliable drop` is that of the method: since the session directly before. `mean drop` and `best drop`
        compare with the mean (of 3 at least) and the highest of all earlier scores. `repaired` is known of
        reliable drops only: one of the next 3 scores lies within a standard error of measurement of the score
        before the drop; it looks ahead, as the charts do.

    Raises
    ------
    UsageError
        If neither the definition nor the caller says how reliable the score is.

    Examples
    --------
    >>> found = screen(Courses.of([48, 47, 48, 38, 48]), Measure(low=12, high=60, step=1, within_sd=2))
    >>> found.met("reliable drop").tolist(), found.met("repaired").tolist()
    ([nan, 0.0, 0.0, 1.0, 0.0], [nan, nan, nan, 1.0, nan])
    """
    error = measure.sem
    if error is None:
        message = "screening needs the reliability of the score, and the definition has none"
        raise UsageError(message, hint="give --sd and --reliability, or --within-sd")
    packed = _Packed.of(courses)
    walk = _Walk(packed, cut=criterion * np.sqrt(2) * error + TOLERANCE, error=error)
    for place in range(len(packed.bounds) - 1):
        walk.step(place)
    return walk.result(courses)


@dataclass(frozen=True, kw_only=True)
class _Packed:
    """Scored rows in time-major order: all first scores, longest course first, then all second ones.

    Attributes
    ----------
    rows : int; rows of the courses in that order
    bounds : first place of each position, and the end
    scores : float; `follows` : whether the session directly before is the score before
    """

    rows: Array
    bounds: list[int]
    scores: Array
    follows: Array

    @classmethod
    def of(cls, courses: Courses) -> _Packed:
        steps = courses.scored_steps
        lengths = steps.lengths
        longest = int(lengths.max(initial=0))
        running = np.searchsorted(-lengths, -np.arange(longest), side="left")
        bounds = np.concatenate([[0], np.cumsum(running)]).astype(np.int64)
        small = _small(courses)
        scored: Array = courses.scored.astype(small)
        first: Array = steps.first_rows.astype(small)
        follows = np.zeros(len(courses.values), dtype=bool)
        follows[1:] = (np.diff(courses.clock) == 1) & np.isfinite(courses.values[:-1])
        packed = cls(
            rows=np.empty(len(scored), dtype=small),
            bounds=bounds.tolist(),
            scores=np.empty(len(scored)),
            follows=np.empty(len(scored), dtype=bool),
        )
        for position, (start, end) in enumerate(pairwise(packed.bounds)):
            rows = packed.rows[start:end]
            np.take(scored, first[: end - start] + position, out=rows, mode="clip")
            np.take(courses.values, rows, out=packed.scores[start:end], mode="clip")
            np.take(follows, rows, out=packed.follows[start:end], mode="clip")
        return packed


def _small(courses: Courses) -> type[np.integer[Any]]:
    """Return the smallest type that numbers every row: half the memory to move."""
    return np.int32 if len(courses.values) < np.iinfo(np.int32).max else np.int64


class _Walk:
    """The state of every course after so many scores; series in the order of the packed rows."""

    def __init__(self, packed: _Packed, *, cut: float, error: float) -> None:
        self.packed, self.cut, self.error = packed, cut, error
        n_series = packed.bounds[1] if len(packed.bounds) > 1 else 0
        self.yes, self.known = np.zeros((2, len(packed.scores)), dtype=np.uint8)
        self.total, self.steps, self.best = np.zeros((3, n_series))
        self.pairs = np.zeros(n_series, dtype=np.int16)
        self.dropped = [np.zeros(0, dtype=np.int64)]

    def step(self, place: int) -> None:
        """Apply the rules that look back to the scores of one position."""
        start, end = self.packed.bounds[place : place + 2]
        count, now = end - start, self.packed.scores[start:end]
        if place:
            before = self.packed.bounds[place - 1]
            follows = self.packed.follows[start:end]
            change = now - self.packed.scores[before : before + count]
            self.steps[:count] += np.abs(change) * follows
            self.pairs[:count] += follows
            dropped = follows & (change < -self.cut)
            best = self.best[:count] - now > self.cut
            yes = dropped.view(np.uint8) * np.uint8(RELIABLE_DROP) | best.view(np.uint8) * np.uint8(BEST_DROP)
            known = follows.view(np.uint8) * np.uint8(RELIABLE_DROP) | np.uint8(BEST_DROP)
            if place >= MIN_MEAN:
                yes |= (self.total[:count] / place - now > self.cut) * np.uint8(MEAN_DROP)
                known |= np.uint8(MEAN_DROP)
            self.yes[start:end], self.known[start:end] = yes, known
            self.dropped.append(start + np.flatnonzero(dropped))
        np.maximum(self.best[:count], now, out=self.best[:count]) if place else np.copyto(self.best, now)
        self.total[:count] += now

    def result(self, courses: Courses) -> Screen:
        """Apply the rules that need the whole course, and return the answers row by row."""
        self._charts(courses.scored_steps.lengths)
        self._repairs()
        both = np.zeros((len(courses.values), 2), dtype=np.uint8)
        pairs = np.stack([self.yes, self.known], axis=1).view(np.uint16)[:, 0]
        both.view(np.uint16)[self.packed.rows, 0] = pairs
        return Screen(yes=both[:, 0], known=both[:, 1])

    def _charts(self, lengths: Array) -> None:
        n_series = len(self.total)
        lengths = lengths[:n_series]
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = self.total / lengths
            sigma = self.steps / self.pairs / D2
        charted = (lengths >= MIN_CHART) & (sigma > 0)
        low3, low2 = centre - 3 * sigma - TOLERANCE, centre - 2 * sigma - TOLERANCE
        low3[~charted] = low2[~charted] = -np.inf
        bits = charted * np.uint8(CHART | TWO_OF_THREE)
        twice = np.zeros((2, n_series), dtype=bool)
        for place, (start, end) in enumerate(pairwise(self.packed.bounds)):
            count, now = end - start, self.packed.scores[start:end]
            below = now < low2[:count]
            two = below & (twice[0, :count] | twice[1, :count]) & (place >= 2)  # noqa: PLR2004  a third score
            self.yes[start:end] |= (now < low3[:count]) * np.uint8(CHART) | two * np.uint8(TWO_OF_THREE)
            self.known[start:end] |= bits[:count]
            twice[1, :count] = twice[0, :count]
            twice[0, :count] = below

    def _repairs(self) -> None:
        """Look at the scores that follow on each reliable drop."""
        bounds, scores = np.array(self.packed.bounds), self.packed.scores
        dropped = np.concatenate(self.dropped)
        position = np.searchsorted(bounds, dropped, side="right") - 1
        series = dropped - bounds[position]
        wanted = scores[bounds[position - 1] + series] - self.error - TOLERANCE
        self.known[dropped] |= np.uint8(REPAIRED)
        sizes = np.append(np.diff(bounds), np.zeros(REPAIRED_WITHIN, dtype=np.int64))
        for ahead in range(1, REPAIRED_WITHIN + 1):
            there = np.flatnonzero(series < sizes[position + ahead])
            later = scores[bounds[position[there] + ahead] + series[there]]
            self.yes[dropped[there[later >= wanted[there]]]] |= np.uint8(REPAIRED)
