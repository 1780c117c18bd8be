"""`level-shift`: when did the level change? Exact change points of a whole course, looking back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.psychometrics import successive_spread
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import Judged, number
from alliance.rupture.prior import shrink
from alliance.rupture.registry import Measure, method
from alliance.rupture.segments import optimal_partition, segmentations
from alliance.rupture.verdict import (
    EVALUATED,
    NO_PRIOR,
    NO_VARIATION,
    NOT_ENOUGH,
    UNSCORED,
    Verdict,
    constant,
)

Array = np.ndarray[Any, Any]

MIN_SCORES = 8
MIN_PAIRS_ALONE = 3
LOOKED_BACK_ON = 8
"""Scores of the level before that a subscale's fall is measured against, as in predictive-limit."""

PENALTIES = {"MBIC": (3.0, True), "SIC": (2.0, False)}
"""Penalty → price of a change point in ln(scores), and whether each level also costs ln(its scores)."""


def explain(judged: Judged, rows: Array) -> list[Array | str]:
    """Return which level begins at each flagged session, and which one it follows."""
    verdict = judged.verdict
    distance, size = verdict.details["distance"][rows], verdict.details["size"][rows]
    sigma = verdict.sigma[rows]
    return [
        number("scored ", judged.courses.values[rows]),
        number(": looking back, a level of ", verdict.reference[rows] - judged.sign * distance),
        number(" begins here (", size),
        np.where(size == 1, " score), ", " scores), ").astype(object),
        number("", distance),
        number(f" {'above' if judged.rising else 'below'} the ", verdict.reference[rows]),
        number(" of the ", verdict.n_reference[rows]),
        np.where(verdict.n_reference[rows] == 1, " score before", " scores before").astype(object),
        np.where(np.isfinite(sigma), number("; SD ", sigma), "").astype(object),
    ]


@method(
    "level-shift",
    online=False,
    needs="8 scores, and a caseload prior or 3 neighbour pairs",
    finds="when the level changed, also slow declines",
    blind="a fall of one session: it takes 2 scores to make a level",
    source=(
        "optimal partitioning, Killick, Fearnhead & Eckley (2012), "
        "https://doi.org/10.1080/01621459.2012.737745; MBIC, Zhang & Siegmund (2007), "
        "https://doi.org/10.1111/j.1541-0420.2006.00662.x"
    ),
    formula=(
        "u = score / σ; σ the shrunk SD of the whole course",
        "MBIC: least Σ over levels of (SSE(u) + ln length) + 3 ln n for each change",
        "SIC: least Σ over levels of SSE(u) + 2 ln n for each change",
        "BIC: least n ln(RSS / n) + 2 (m + 1) ln n over m = 0 to max_shifts changes",
        "flagged: the first score of a level that lies min_drop or more below the one before",
        "statistic = (new level - old level) / σ",
    ),
    explain=explain,
    shrinks=True,
)
def level_shift(
    courses: Courses,
    measure: Measure,
    *,
    penalty: str = "MBIC",
    min_segment: int = 2,
    max_shifts: int = 5,
    min_drop: float | None = None,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag the first session of a level that lies below the level before it, looking back at whole courses.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored, and left out.
    measure : Measure
        Range and step of the score, and the caseload prior. Without a prior a verdict needs 3 pairs of
        neighbouring sessions (not with BIC).
    penalty : str
        How a further change point is paid for: `MBIC`, or for comparison `SIC` and `BIC`, which find changes
        in every third to ninth course of pure noise.
    min_segment : int
        Fewest scores of a level.
    max_shifts : int
        With BIC: most change points; the other two have no such bound.
    min_drop : float, optional
        Smallest distance of two levels that is told, in score points; by default `measure.min_drop`.
    repair : RepairRule, optional
        When an episode ends. Its reference is the level before, its sigma the shrunk SD.

    Returns
    -------
    Verdict
        `met` is 1 at the first score of a lower level, 0 at every other score of a course that could be
        judged, NaN where the course has fewer than 8 scores, or than two levels take. `statistic` is (new
        level - old level) / sigma at the first score of every level but the first, else NaN; it has no
        distribution.
        `reference` is the level before, in the first level that level itself. `limit` is NaN: levels are
        compared, not scores. Rises of the level are listed. `details`: `distance` of the two levels where one
        begins, in points without sign, and `size`, the scores of the level each score is part of.

    References
    ----------
    Killick, R., Fearnhead, P., & Eckley, I. A. (2012). https://doi.org/10.1080/01621459.2012.737745
    Zhang, N. R., & Siegmund, D. O. (2007). https://doi.org/10.1111/j.1541-0420.2006.00662.x
    Zeileis, A., et al. (2002), for BIC. https://doi.org/10.18637/jss.v007.i02

    Examples
    --------
    >>> from alliance.rupture.prior import given_prior
    >>> measure = Measure(low=12, high=60, step=1, prior=given_prior(2.0))
    >>> level_shift(Courses.of([48, 47, 49, 48, 38, 39, 40, 39]), measure).met
    array([0., 0., 0., 0., 1., 0., 0., 0.])
    """
    drop = measure.min_drop if min_drop is None else min_drop
    needed = max(MIN_SCORES, 2 * min_segment)
    spread = _Spread.of(courses, measure, needed=needed, scaled=penalty != "BIC")
    levels = _Levels.of(courses, spread, penalty, min_segment=min_segment, max_shifts=max_shifts)
    fallen = np.flatnonzero(levels.shift <= TOLERANCE - drop)
    risen = np.flatnonzero(levels.shift >= drop - TOLERANCE)
    met = levels.on_rows(np.zeros(len(levels.begins)), np.nan)
    met[levels.first_rows[fallen]] = 1.0
    reference, sigma = levels.on_rows(levels.before, np.nan), spread.sigma[courses.series]
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = levels.shift / np.where(levels.sigma > 0, levels.sigma, np.nan)
    state = spread.state[courses.series]
    state[np.isnan(courses.values)] = UNSCORED
    return Verdict(
        met=met,
        statistic=levels.at_first_rows(statistic),
        limit=constant(np.nan, len(met)),
        reference=reference,
        sigma=sigma,
        df=constant(np.nan, len(met)),
        n_reference=levels.on_rows(levels.n_before, 0),
        state=state,
        needed=needed,
        counted="scores",
        follow=lambda: follow_flags(courses, met, reference, sigma, repair or RepairRule()),
        compared=lambda: levels.looked_back_on(fallen),
        listed={"fall of level" if measure.rising else "rise of level": levels.first_rows[risen]},
        details={
            "distance": levels.at_first_rows(np.abs(levels.shift)),
            "size": levels.on_rows(levels.sizes, 0),
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Spread:
    """Standard deviation and state of every series, and how many scores it has; shape (series,)."""

    sigma: Array
    state: Array
    counts: Array

    @classmethod
    def of(cls, courses: Courses, measure: Measure, *, needed: int, scaled: bool) -> _Spread:
        """Return them; only where the penalty is `scaled` by it must the deviation be known, and not be 0."""
        own = successive_spread(courses)
        sigma, _ = shrink(np.maximum(own.variance, measure.step**2 / 12), own.df, measure.prior)
        counts = np.bincount(courses.series[courses.scored], minlength=len(courses.starts))
        state = np.where(counts < needed, NOT_ENOUGH, EVALUATED).astype(np.int8)
        if scaled:
            if measure.prior.df == 0:
                state[(state == EVALUATED) & (own.pairs < MIN_PAIRS_ALONE)] = NO_PRIOR
            if (sigma == 0).any():
                state[(state == EVALUATED) & (sigma == 0) & _varied(courses)] = NO_VARIATION
        return cls(sigma=sigma, state=state, counts=counts)


def _varied(courses: Courses) -> Array:
    """Return whether a series has two different scores; with a spread of 0 they lie apart in time."""
    rows = courses.scored
    series = courses.series[rows]
    differs = np.diff(courses.values[rows]) != 0
    within = series[1:][differs & (series[1:] == series[:-1])]
    return np.bincount(within, minlength=len(courses.starts)) > 0


@dataclass(frozen=True, kw_only=True)
class _Levels:
    """The levels of all courses that can be judged.

    `rows` are their scored rows. By row of the courses: `level`, the number of the level, -1 = none. By
    level: `begins`, the place of its first score in `rows`; `sizes`, its scores; `before`, `n_before`, mean
    and scores of the level before, or its own in the first of a course; `shift`, its mean less that of the
    level before, NaN in the first; `sigma` of the course.
    """

    rows: Array
    level: Array
    begins: Array
    sizes: Array
    before: Array
    n_before: Array
    shift: Array
    sigma: Array

    @classmethod
    def of(
        cls, courses: Courses, spread: _Spread, penalty: str, *, min_segment: int, max_shifts: int
    ) -> _Levels:
        judged = spread.state == EVALUATED
        rows = courses.scored[judged[courses.series[courses.scored]]]
        values, lengths, sigma = courses.values[rows], spread.counts[judged], spread.sigma[judged]
        if penalty == "BIC":
            found = segmentations(values, lengths, max_shifts=max_shifts, min_segment=min_segment)
            changes = found.breaks(found.chosen)
        else:
            scaled = values / np.repeat(np.where(sigma > 0, sigma, 1.0), lengths)
            changes = _scaled_changes(scaled, lengths, penalty, min_segment)
        follows = np.zeros(len(rows), dtype=bool)
        follows[changes] = True
        begin = follows.copy()
        begin[np.cumsum(lengths) - lengths] = True
        begins = np.flatnonzero(begin)
        follows, sizes = follows[begins], np.diff(np.append(begins, len(rows)))
        number_of = np.repeat(np.arange(len(begins)), sizes)
        level = np.full(len(courses.values), -1)
        level[rows] = number_of
        means = np.bincount(number_of, weights=values, minlength=len(begins)) / np.maximum(sizes, 1)
        earlier = np.arange(len(begins)) - follows
        return cls(
            rows=rows,
            level=level,
            begins=begins,
            sizes=sizes,
            before=means[earlier],
            n_before=sizes[earlier],
            shift=np.where(follows, means - means[earlier], np.nan),
            sigma=spread.sigma[courses.series[rows[begins]]],
        )

    @property
    def first_rows(self) -> Array:
        """Row of the first score of each level."""
        return self.rows[self.begins]

    def on_rows(self, by_level: Array, elsewhere: float) -> Array:
        """Return a number of each level at all its rows."""
        return np.append(by_level, elsewhere)[self.level]

    def at_first_rows(self, by_level: Array) -> Array:
        """Return a number of each level at its first row, NaN elsewhere."""
        array = np.full(len(self.level), np.nan)
        array[self.first_rows] = by_level
        return array

    def looked_back_on(self, levels: Array) -> Array:
        """Return the last rows of the level before each of `levels`, by level; -1 = none."""
        back = np.arange(1, LOOKED_BACK_ON + 1)
        places = self.begins[levels][:, None] - back
        known = back <= self.n_before[levels][:, None]
        return np.where(known, self.rows[np.maximum(places, 0)], -1)


def _scaled_changes(scores: Array, lengths: Array, penalty: str, min_segment: int) -> Array:
    if penalty not in PENALTIES:
        message = f"penalty must be MBIC, SIC or BIC, got {penalty}"
        raise ValueError(message)
    price, log_length = PENALTIES[penalty]
    paid = price * np.log(np.maximum(lengths, 1))
    found = optimal_partition(scores, lengths, penalty=paid, log_length=log_length, min_segment=min_segment)
    return found.changes
