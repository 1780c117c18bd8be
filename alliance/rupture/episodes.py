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

    Places number the series in the order of the time steps. Rows are rows of the courses.
    """

    def __init__(self, n_series: int, rule: RepairRule) -> None:
        self.rule = rule
        self.is_open = np.zeros(n_series, dtype=bool)
        self.reference, self.sigma, self.nadir, self.last = np.zeros((4, n_series))
        self.onset, self.nadir_row, self.n_after = np.zeros((3, n_series), dtype=np.int64)
        self.scores = np.zeros((rule.give_up + 1, n_series))
        self.rows = np.zeros((rule.give_up + 1, n_series), dtype=np.int64)
        self._closed: list[tuple[Array, ...]] = []

    def open(self, places: Array, rows: Array, scores: Array, reference: Array, sigma: Array) -> None:
        """Open an episode at `places` with a flagged score."""
        self.is_open[places] = True
        self.reference[places], self.sigma[places] = reference, sigma
        self.onset[places] = self.nadir_row[places] = self.rows[0, places] = rows
        self.nadir[places] = self.last[places] = self.scores[0, places] = scores
        self.n_after[places] = 0

    def follow(self, places: Array, rows: Array, scores: Array) -> tuple[Array, Array]:
        """Move the open episodes at `places` on by one score; return which are repaired, which given up."""
        self.n_after[places] += 1
        self.last[places] = scores
        repaired = scores >= self._repair_level(places) - TOLERANCE
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
        if self.rule.rise is not None:
            return self.nadir[places] + self.rule.rise
        return self.reference[places] - self.rule.tolerance * self.sigma[places]

    def _deepen(self, places: Array, rows: Array, scores: Array) -> None:
        count = self.n_after[places]
        self.scores[count, places], self.rows[count, places] = scores, rows
        deeper = scores < self.nadir[places]
        self.nadir[places[deeper]], self.nadir_row[places[deeper]] = scores[deeper], rows[deeper]

    def _close(self, places: Array, end: Array, outcome: Array) -> None:
        self.is_open[places] = False
        numbers = (self.reference, self.sigma, self.nadir, self.nadir_row, self.last, self.n_after)
        self._closed.append((places, self.onset[places], end, outcome, *(each[places] for each in numbers)))


def follow_flags(courses: Courses, met: Array, reference: Array, sigma: Array, rule: RepairRule) -> Episodes:
    """Return the episodes that flags open when the flags themselves do not depend on open episodes.

    Parameters
    ----------
    courses : Courses
    met : 1/0/NaN, shape (forms,); a 1 opens an episode unless one is open
    reference, sigma : float, shape (forms,); what an episode opened there is measured against
    rule : RepairRule
    """
    steps = courses.scored_steps
    tracker = Tracker(len(courses.starts), rule)
    for places_scored in steps:
        rows = courses.scored[places_scored]
        running = tracker.is_open[: len(rows)]
        follows, opens = np.flatnonzero(running), np.flatnonzero(~running & (met[rows] == 1))
        tracker.follow(follows, rows[follows], courses.values[rows[follows]])
        at = rows[opens]
        tracker.open(opens, at, courses.values[at], reference[at], sigma[at])
    return tracker.finish(steps.order)
