"""What a method answers for every session: yes, no, or not enough data, with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

EVALUATED, NOT_ENOUGH, UNSCORED, OPEN, REPAIR, NO_VARIATION, NO_PRIOR = range(7)
"""Why a session has the verdict it has: `Verdict.state`."""

REPAIRED, LATE, UNREPAIRED, CENSORED = range(4)
OUTCOMES = ("repaired", "late", "unrepaired", "censored")


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """Ruptures from onset to outcome, one entry each, in the order of their onset rows; shape (episodes,).

    Attributes
    ----------
    series : int; the series the episode is part of
    onset, end, nadir_row : int; rows of the courses; `end` is -1 while an episode is open
    outcome : int; place in OUTCOMES
    reference, sigma, nadir, last : float; score points
    lag : int; scored sessions from onset to repair, -1 if not repaired
    """

    series: Array
    onset: Array
    end: Array
    outcome: Array
    reference: Array
    sigma: Array
    nadir: Array
    nadir_row: Array
    last: Array
    lag: Array

    @property
    def depth(self) -> Array:
        """Distance from the reference to the lowest score (of a rise: the highest), in points."""
        depth: Array = np.abs(self.reference - self.nadir)
        return depth

    @property
    def partial(self) -> Array:
        """Share of the fall that the last score has regained."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.depth > 0, np.abs(self.last - self.nadir) / self.depth, np.nan)

    def turned(self) -> Episodes:
        """Return the same episodes of scores whose sign was turned."""
        return replace(self, reference=-self.reference, nadir=-self.nadir, last=-self.last)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One answer per form, in the order of the courses; every array has shape (forms,).

    Arrays may be read-only views: a spread that is the same everywhere takes no memory.

    Attributes
    ----------
    met : 1 yes, 0 no, NaN not enough data
    statistic : the method's z-like number, negative = worse
    limit : the score below which the method flags; NaN where it has none
    reference, sigma : what the score was compared with, and its spread, in score points
    df : degrees of freedom of `statistic`; infinite where it is compared with the normal distribution
    n_reference : scores the verdict stands on
    state : EVALUATED, NOT_ENOUGH, UNSCORED, OPEN, REPAIR, NO_VARIATION or NO_PRIOR
    needed : scores the method needs
    counted : what `needed` counts; "earlier scores" leaves out the one that is judged
    follow : function without arguments that returns the episodes, called once, when they are asked for
    compared : function without arguments that returns the rows each flagged score was compared with, shape
        (flagged forms, looked back on), -1 = none; None = not told
    listed : finding → rows that are listed without being flagged, such as points above a chart
    details : name → array, shape (forms,), for the method's own explanation
    """

    met: Array
    statistic: Array
    limit: Array
    reference: Array
    sigma: Array
    df: Array
    n_reference: Array
    state: Array
    needed: int
    follow: Callable[[], Episodes]
    counted: str = "earlier scores"
    compared: Callable[[], Array] | None = None
    listed: Mapping[str, Array] = field(default_factory=dict)
    details: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def episodes(self) -> Episodes:
        """Ruptures from onset to outcome."""
        return self.follow()

    @cached_property
    def window(self) -> Array:
        """Rows each flagged score was compared with, shape (flagged forms, looked back on); -1 = none."""
        if self.compared is None:
            return np.full((len(self.flagged), 0), -1, dtype=np.int64)
        return self.compared()

    @property
    def flagged(self) -> Array:
        """Rows whose verdict is yes, ascending."""
        return np.flatnonzero(self.met == 1)

    def turned(self) -> Verdict:
        """Return the same verdict on scores whose sign was turned."""
        return replace(
            self,
            statistic=-self.statistic,
            limit=-self.limit,
            reference=-self.reference,
            follow=lambda: self.episodes.turned(),  # noqa: PLW0108  the episodes are not followed before
        )


def constant(value: float, n_forms: int) -> Array:
    """Return an array that is `value` everywhere and takes no memory."""
    array: Array = np.broadcast_to(np.float64(value), (n_forms,))
    return array
