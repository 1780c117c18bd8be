"""`own-mean`, `trend-residual`: a score against the whole course it is part of, as papers have done it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import number
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import EVALUATED, NO_VARIATION, NOT_ENOUGH, UNSCORED, Verdict, constant

if TYPE_CHECKING:
    from alliance.rupture.findings import Judged

Array = np.ndarray[Any, Any]

OWN_MEAN_SCORES, TREND_SCORES = 6, 8
OWN_MEAN_CUT, TREND_CUT = 1.0, 2.0
PREVIOUS = "previous"

NOISE = (
    "noise alone flags most cases: without any rupture, 1 SD below the own mean flags 99 % of cases of 12 "
    "sessions, 2 SD 17 %; a drop of 1 own SD since the session before flags 99.6 %, of 2 own SD 72 %"
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A straight line through each whole series, shape (forms,); `fitted` is NaN where there is no score.

    `spread` is the standard deviation around the line, `n` the number of scores of the series.
    """

    fitted: Array
    spread: Array
    n: Array


def line_of(courses: Courses, *, sloping: bool) -> Line:
    """Return the mean of each series, or its least-squares line on the session number.

    Every sum runs over the rows of its own series in their order, so that a series is fitted the same
    whatever stands beside it. Scores are counted from the first one of their series: equal scores have a
    spread of 0.

    Parameters
    ----------
    courses : Courses
        NaN = not scored, and left out.
    sloping : bool
        Fit a slope too; the spread then has n - 2 degrees of freedom instead of n - 1.
    """
    rows = courses.scored
    series, n_series = courses.series[rows], len(courses.starts)
    first = np.full(n_series, np.nan)
    first[series[::-1]] = courses.values[rows][::-1]

    def total(values: Array) -> Array:
        return np.bincount(series, weights=values, minlength=n_series)

    n = total(np.ones(len(rows)))
    score = courses.values[rows] - first[series]
    with np.errstate(invalid="ignore", divide="ignore"):
        fitted = (total(score) / n)[series]
        if sloping:
            time = courses.session[rows] - (total(courses.session[rows].astype(float)) / n)[series]
            slope = total(time * score) / total(time * time)
            fitted = fitted + slope[series] * time
        spread = np.sqrt(total((score - fitted) ** 2) / (n - (2 if sloping else 1)))
    height = np.full(len(courses.values), np.nan)
    height[rows] = first[series] + fitted
    return Line(fitted=height, spread=spread[courses.series], n=n[courses.series].astype(np.int64))


def _verdict(
    courses: Courses, line: Line, reference: Array, *, cut: float, needed: int, repair: RepairRule | None
) -> Verdict:
    """Judge every score by its distance from `reference` in spreads around the own line."""
    scored, enough = np.isfinite(courses.values), line.n >= needed
    varies = line.spread > TOLERANCE
    judged = scored & enough & varies & np.isfinite(reference)
    reference = np.where(judged, reference, np.nan)
    sigma = np.where(judged, line.spread, np.nan)
    limit = reference - cut * sigma
    met = three_valued(judged, courses.values < limit - TOLERANCE)
    state = np.select(
        [~scored, judged, enough & ~varies], [UNSCORED, EVALUATED, NO_VARIATION], default=NOT_ENOUGH
    )
    return Verdict(
        met=met,
        statistic=(courses.values - reference) / sigma,
        limit=limit,
        reference=reference,
        sigma=sigma,
        df=constant(np.nan, len(met)),
        n_reference=np.where(judged, line.n, 0),
        state=state.astype(np.int8),
        needed=needed,
        counted="scores",
        follow=lambda: follow_flags(courses, met, reference, sigma, repair or RepairRule()),
    )


def _far(judged: Judged, rows: Array) -> list[Array | str]:
    """Return score and limit, and how many spreads that is, the spread not named yet."""
    verdict = judged.verdict
    times = np.abs(verdict.reference[rows] - verdict.limit[rows]) / verdict.sigma[rows]
    side = "above" if judged.rising else "below"
    return [
        number("scored ", judged.courses.values[rows]),
        number(f", {side} the limit ", verdict.limit[rows]),
        number(", ", times, "%.3g"),
        number(" own SD (", verdict.sigma[rows]),
        f") {side} ",
    ]


def _explain_mean(judged: Judged, rows: Array) -> list[Array | str]:
    verdict = judged.verdict
    scores = number(" of all ", verdict.n_reference[rows])
    if PREVIOUS in verdict.details:
        before = number("the session before (", verdict.reference[rows])
        return [*_far(judged, rows), before, "); SD", scores, " scores"]
    return [*_far(judged, rows), number("the mean ", verdict.reference[rows]), scores, " scores"]


def _explain_trend(judged: Judged, rows: Array) -> list[Array | str]:
    verdict = judged.verdict
    line = number("the own straight line, here ", verdict.reference[rows])
    return [*_far(judged, rows), line, number("; line and SD of all ", verdict.n_reference[rows]), " scores"]


@method(
    "own-mean",
    online=False,
    needs="6 scores of the course that differ",
    finds="scores far below the mean of their own whole course; for comparison with papers",
    blind="with 2 SD a lasting loss: it moves the mean and widens the SD",
    source="bound of |z|: Shiffler (1988), https://doi.org/10.1080/00031305.1988.10475530",
    formula=(
        "mean: y < M - c s; M, s = mean and SD (n - 1) of all scores of the course; c = 1",
        "previous: y - y_before < -c s, y_before = score of the session directly before",
        "largest possible |y - M| / s = (n - 1) / √n",
    ),
    explain=_explain_mean,
    warning=NOISE,
)
def own_mean(
    courses: Courses,
    measure: Measure,
    *,
    c: float | None = None,
    compare: str = "mean",
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session that scores more than c of its own course's SD below the course's mean.

    Retrospective: mean and SD are those of the whole course, later sessions included. In the n scores of a
    course no score can lie further than (n - 1) / sqrt(n) SD from the mean, so that 3 SD cannot be reached
    with fewer than 11 scores.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored, and left out.
    measure : Measure
        Not used.
    c : float, optional
        Cut in own SD, 1 by default.
    compare : str
        `mean`: with the mean of the course. `previous`: with the session directly before, a drop of c own
        SD; a session without a scored one directly before has no verdict.
    repair : RepairRule, optional
        When an episode ends; its sigma is the own SD.

    Returns
    -------
    Verdict
        `statistic` is the distance from the reference in own SD. `met` is NaN in a course of fewer than 6
        scores, or without variation.

    Examples
    --------
    >>> own_mean(Courses.of([47, 48, 47, 49, 48, 38]), Measure()).met
    array([0., 0., 0., 0., 0., 1.])
    """
    line = line_of(courses, sloping=False)
    before = courses.values - courses.change_from_neighbour() if compare == PREVIOUS else line.fitted
    cut = OWN_MEAN_CUT if c is None else c
    verdict = _verdict(courses, line, before, cut=cut, needed=OWN_MEAN_SCORES, repair=repair)
    return replace(verdict, details={PREVIOUS: before}) if compare == PREVIOUS else verdict


@method(
    "trend-residual",
    online=False,
    needs="8 scores of the course that do not lie on a straight line",
    finds="scores far below the straight line through their own whole course; for comparison with papers",
    blind="a lasting loss and a slow decline: the line follows them; of 8 scores a fall at the first or last "
    "is out of its reach",
    source="least squares; bound of |z|: Shiffler (1988), https://doi.org/10.1080/00031305.1988.10475530",
    formula=(
        "ŷ = least-squares line of all scores of the course on the session number",
        "s = √(Σ (y - ŷ)² / (n - 2)); flagged: (y - ŷ) / s < -c, c = 2",
    ),
    explain=_explain_trend,
    warning="looks at the whole course, later sessions included: not for a case that is still running",
)
def trend_residual(
    courses: Courses,
    measure: Measure,
    *,
    c: float | None = None,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session that scores more than c residual SD below the straight line through its own course.

    Retrospective: the line is that of the whole course, later sessions included.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored, and left out.
    measure : Measure
        Not used.
    c : float, optional
        Cut in residual SD (n - 2 degrees of freedom), 2 by default.
    repair : RepairRule, optional
        When an episode ends; its sigma is the residual SD.

    Returns
    -------
    Verdict
        `statistic` is the residual in residual SD, `reference` the line. `met` is NaN in a course of fewer
        than 8 scores, or of scores that all lie on a line.

    Examples
    --------
    >>> trend_residual(Courses.of([46, 47, 48, 47, 49, 48, 38, 47]), Measure()).met
    array([0., 0., 0., 0., 0., 0., 1., 0.])
    """
    line = line_of(courses, sloping=True)
    cut = TREND_CUT if c is None else c
    return _verdict(courses, line, line.fitted, cut=cut, needed=TREND_SCORES, repair=repair)
