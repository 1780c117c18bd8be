"""Episodes: from a flagged session to its repair, or to the end of waiting for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.rupture.verdict import CENSORED, LATE, REPAIRED, UNREPAIRED, Episodes

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class RepairRule:
    """When an episode ends.

    Attributes
    ----------
    tolerance : float; a score within this many sigma of the reference, or above it, is a repair
    in_time : int; a repair within so many scored sessions is `repaired`, a later one `late`
    give_up : int; after so many scored sessions without a repair the episode ends `unrepaired`
    rise : float or None; if given, a repair is a rise of so many points from the lowest score instead
    """

    tolerance: float = 1.0
    in_time: int = 5
    give_up: int = 6
    rise: float | None = None


class Tracker:
    """The open episode of every series, moved on one scored session at a time.

    Places number the series in the order of the time steps. Rows are rows of the courses. The side of an
    episode is 1 where the score lies below the reference, -1 where it lies above: what follows is measured
    towards that side, so that a rise is followed as the fall of the turned scores. `across` is how far beyond
    the reference, on the other side, a score may lie and still be a repair.
    """

    def __init__(self, n_series: int, rule: RepairRule) -> None:
        self.rule = rule
        self.is_open = np.zeros(n_series, dtype=bool)
        self.reference, self.sigma, self.nadir, self.last = np.zeros((4, n_series))
        self.side, self.across = np.ones(n_series), np.full(n_series, np.inf)
        self.onset, self.nadir_row, self.n_after = np.zeros((3, n_series), dtype=np.int64)
        self.scores = np.zeros((rule.give_up + 1, n_series))
        self.rows = np.zeros((rule.give_up + 1, n_series), dtype=np.int64)
        self._closed: list[tuple[Array, ...]] = []

    def open(
        self,
        places: Array,
        rows: Array,
        scores: Array,
        reference: Array,
        sigma: Array,
        *,
        side: Array | float = 1.0,
        across: Array | float = np.inf,
    ) -> None:
        """Open an episode at `places` with a flagged score."""
        self.is_open[places], self.side[places], self.across[places] = True, side, across
        self.reference[places], self.sigma[places] = reference, sigma
        self.onset[places] = self.nadir_row[places] = self.rows[0, places] = rows
        self.nadir[places] = self.last[places] = self.scores[0, places] = scores
        self.n_after[places] = 0

    def follow(self, places: Array, rows: Array, scores: Array) -> tuple[Array, Array]:
        """Move the open episodes at `places` on by one score; return which are repaired, which given up."""
        self.n_after[places] += 1
        self.last[places] = scores
        turned = self.side[places] * scores
        farthest = self.side[places] * self.reference[places] + self.across[places]
        repaired = (turned >= self._repair_level(places) - TOLERANCE) & (turned <= farthest + TOLERANCE)
        self._deepen(places[~repaired], rows[~repaired], scores[~repaired])
        given_up = ~repaired & (self.n_after[places] >= self.rule.give_up)
        in_time = self.n_after[places] <= self.rule.in_time
        outcome = np.where(repaired, np.where(in_time, REPAIRED, LATE), UNREPAIRED)
        ended = repaired | given_up
        self._close(places[ended], rows[ended], outcome[ended])
        return repaired, given_up

    def finish(self, order: Array) -> Episodes:
        """Close what is still open at the end of its series, and return every episode by onset row."""
        still = np.flatnonzero(self.is_open)
        outcome = np.where(self.n_after[still] >= self.rule.in_time, UNREPAIRED, CENSORED)
        self._close(still, np.full(len(still), -1), outcome)
        place, onset, end, outcome, reference, sigma, nadir, nadir_row, last, n_after = (
            np.concatenate(parts) for parts in zip(*self._closed, strict=True)
        )
        by_onset = np.argsort(onset, kind="stable")
        lag = np.where(outcome <= LATE, n_after, -1)
        columns = (order[place], onset, end, outcome, reference, sigma, nadir, nadir_row, last, lag)
        names = (
            "series",
            "onset",
            "end",
            "outcome",
            "reference",
            "sigma",
            "nadir",
            "nadir_row",
            "last",
            "lag",
        )
        return Episodes(**{name: column[by_onset] for name, column in zip(names, columns, strict=True)})

    def _repair_level(self, places: Array) -> Array:
        """Return the least turned score that is a repair."""
        side = self.side[places]
        if self.rule.rise is not None:
            return side * self.nadir[places] + self.rule.rise
        return side * self.reference[places] - self.rule.tolerance * self.sigma[places]

    def _deepen(self, places: Array, rows: Array, scores: Array) -> None:
        count = self.n_after[places]
        self.scores[count, places], self.rows[count, places] = scores, rows
        side = self.side[places]
        deeper = side * scores < side * self.nadir[places]
        self.nadir[places[deeper]], self.nadir_row[places[deeper]] = scores[deeper], rows[deeper]

    def _close(self, places: Array, end: Array, outcome: Array) -> None:
        self.is_open[places] = False
        numbers = (self.reference, self.sigma, self.nadir, self.nadir_row, self.last, self.n_after)
        self._closed.append((places, self.onset[places], end, outcome, *(each[places] for each in numbers)))


def follow_flags(
    courses: Courses,
    met: Array,
    reference: Array,
    sigma: Array,
    rule: RepairRule,
    *,
    across: float | None = None,
) -> Episodes:
    """Return the episodes that flags open when the flags themselves do not depend on open episodes.

    Parameters
    ----------
    courses : Courses
    met : 1/0/NaN, shape (forms,); a 1 opens an episode unless one is open
    reference, sigma : float, shape (forms,); what an episode opened there is measured against
    rule : RepairRule
    across : float, optional
        For flags on both sides: an episode may open above its reference, too, and its nadir is the highest
        score then. A score more than `across` points beyond the reference on the other side is no repair.
    """
    wanted = np.zeros(len(courses.starts), dtype=bool)
    wanted[courses.series[np.flatnonzero(met == 1)]] = True
    steps = courses.scored_steps_of(wanted)
    tracker = Tracker(len(courses.starts), rule)
    for places_scored in steps:
        rows = courses.scored[places_scored]
        running = tracker.is_open[: len(rows)]
        follows, opens = np.flatnonzero(running), np.flatnonzero(~running & (met[rows] == 1))
        tracker.follow(follows, rows[follows], courses.values[rows[follows]])
        at = rows[opens]
        scores = courses.values[at]
        side, most = (1.0, np.inf) if across is None else (away_from(reference[at], scores), across)
        tracker.open(opens, at, scores, reference[at], sigma[at], side=side, across=most)
    return tracker.finish(steps.order)


def away_from(reference: Array, scores: Array) -> Array:
    """Return the side of each score: -1 above the reference, else 1.

    >>> away_from(np.array([2.0, 2.0]), np.array([5.0, -5.0])).tolist()
    [-1.0, 1.0]
    """
    return np.where(scores > reference, -1.0, 1.0)
