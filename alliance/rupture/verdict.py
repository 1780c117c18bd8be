"""What a method answers for every session: yes, no, or not enough data, with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

EVALUATED, NOT_ENOUGH, UNSCORED, OPEN, REPAIR = range(5)
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
        """Fall from the reference to the lowest score, in points."""
        return self.reference - self.nadir

    @property
    def partial(self) -> Array:
        """Share of the fall that the last score has regained."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.depth > 0, (self.last - self.nadir) / self.depth, np.nan)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One answer per form, in the order of the courses; every array has shape (forms,).

    Attributes
    ----------
    met : 1 yes, 0 no, NaN not enough data
    statistic : the method's z-like number, negative = worse
    limit : the score below which the method flags
    reference, sigma : what the score was compared with, and its spread, in score points
    df : degrees of freedom of `statistic`; infinite where it is compared with the normal distribution
    n_reference : earlier scores the verdict stands on
    state : EVALUATED, NOT_ENOUGH, UNSCORED, OPEN or REPAIR
    needed : earlier scores the method needs
    window : rows the score was compared with, shape (flagged forms, looked back on); -1 = none
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
    episodes: Episodes
    window: Array

    @property
    def flagged(self) -> Array:
        """Rows whose verdict is yes, ascending."""
        return np.flatnonzero(self.met == 1)
