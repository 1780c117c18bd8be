"""Control charts over the course of a case: `moving-range`, `cusum` and `ewma`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.psychometrics import successive_spread
from alliance.rupture.chart_parts import (
    LIMIT_SIGMAS,
    RULES,
    Chart,
    cusum,
    ewma,
    first_scores,
    individuals_chart,
    parse_rules,
    run_rules,
    scores_so_far,
)
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import Judged, join, number
from alliance.rupture.prior import shrink
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import (
    EVALUATED,
    NO_PRIOR,
    NO_VARIATION,
    NOT_ENOUGH,
    UNSCORED,
    Episodes,
    Verdict,
    constant,
)

Array = np.ndarray[Any, Any]

MIN_SCORES = 10
MIN_PAIRS = 3
"""Neighbour pairs a chart's spread needs, or all there are in a shorter baseline."""


def _explain_chart(judged: Judged, rows: Array) -> list[Array | str]:
    verdict = judged.verdict
    whole = verdict.counted == "scores"
    size = verdict.n_reference[rows]
    made = number(" of all ", size) if whole else number(" of the first ", size)
    return [
        number("scored ", judged.courses.values[rows]),
        join([" on a chart", made, " scores"]),
        number(" (centre ", verdict.reference[rows]),
        number(", SD ", verdict.sigma[rows]),
        "): ",
        _broken_rules(judged, rows),
    ]


def _broken_rules(judged: Judged, rows: Array) -> Array:
    """Return the rules each row broke, in words, one after the other."""
    text = np.full(len(rows), "", dtype=object)
    for name, met in judged.verdict.details.items():
        lead = np.where(text != "", "; ", "").astype(object)
        text = np.where(met[rows], join([text, lead, *_in_words(name, judged, rows)]), text)
    return text


def _in_words(name: str, judged: Judged, rows: Array) -> list[Array | str]:
    rule, verdict = RULES[name], judged.verdict
    beyond, going = ("above", "rising") if judged.rising else ("below", "falling")
    if rule.trend:
        return [f"{rule.of + 1} scores in a row {going} ({name})"]
    if rule.lines == 0:
        return [f"{rule.of} sessions in a row {beyond} the centre ({name})"]
    line = verdict.reference[rows] - judged.sign * rule.lines * verdict.sigma[rows]
    if rule.of == 1:
        return [number(f"{beyond} the limit ", line), f" ({name})"]
    return [number(f"{rule.at_least} of {rule.of} sessions {beyond} ", line), f" ({name})"]


@method(
    "moving-range",
    online=False,
    needs="10 scores; mode baseline: the first 5 scores, and its verdicts never change later on",
    finds="single deep falls; with rules 2 to 4 also lasting ones",
    blind="a lasting fall moves the centre of mode whole down with it; mode baseline: the first 5 sessions",
    source="Shewhart (1931); Western Electric (1956); Nelson (1984), "
    "https://doi.org/10.1080/00224065.1984.11978921",
    formula=(
        "MRbar = mean |y_j - y_(j-1)| over neighbouring sessions; sigma = MRbar / 1.128",
        "centre = mean score; limit = centre - 3 sigma; statistic = (y_j - centre) / sigma",
        "mode baseline: centre and MRbar from the first b scores",
    ),
    explain=_explain_chart,
)
def moving_range(
    courses: Courses,
    measure: Measure,
    *,
    mode: str = "whole",
    baseline: int = 5,
    rules: str = "1",
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag sessions that break a run rule on the lower side of an individuals (XmR) chart.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored.
    measure : Measure
        Only the direction is used.
    mode : str
        `whole`: centre and spread of the whole course, so a verdict can change when sessions are added;
        needs 10 scores. `baseline`: of the first `baseline` scores, then frozen; these are not judged
        themselves, but count in runs.
    baseline : int
        Scores of the baseline.
    rules : str
        Run rules, such as `1-4` or `WE1,N3`; a missing session never helps to meet one (see `run_rules`).
    repair : RepairRule, optional
        When an episode ends. A run of flags is one alarm and opens one episode.

    Returns
    -------
    Verdict
        `statistic` is (score - centre) / sigma; `limit` the lower 3-sigma limit, whatever the rules;
        `details` tells for each rule where it is met. NaN where the chart has too few scores, fewer than 3
        neighbour pairs, or no variation. Sessions that break a rule on the upper side are listed as `high`.

    Examples
    --------
    >>> verdict = moving_range(Courses.of([46, 47, 48, 47, 49, 48, 38, 41, 47, 49, 50, 49]), Measure())
    >>> verdict.flagged + 1
    array([7])
    """
    names = parse_rules(rules)
    chart = individuals_chart(courses, mode=mode, baseline=baseline)
    state = _chart_state(courses, chart, mode=mode, baseline=baseline)
    judged = state == EVALUATED
    centre, sigma = (np.where(judged, each, np.nan) for each in (chart.centre, chart.sigma))
    broken = partial(run_rules, courses, centre=chart.centre, sigma=chart.sigma)
    low = {name: judged & broken(name, side="lower") for name in names}
    high = [judged & broken(name, side="upper") for name in names]
    met = three_valued(judged, np.any(list(low.values()), axis=0))
    return Verdict(
        met=met,
        statistic=(courses.values - centre) / sigma,
        limit=centre - LIMIT_SIGMAS * sigma,
        reference=centre,
        sigma=sigma,
        df=constant(np.nan, len(met)),
        n_reference=np.where(judged, chart.n_scores, 0),
        state=state,
        needed=MIN_SCORES if mode == "whole" else baseline,
        counted="scores" if mode == "whole" else "earlier scores",
        follow=lambda: _follow(courses, met, centre, sigma, repair),
        compared=None if mode == "whole" else lambda: _baseline_rows(courses, met, baseline),
        listed={"low" if measure.rising else "high": np.flatnonzero(np.any(high, axis=0))},
        details=low,
    )


def _chart_state(courses: Courses, chart: Chart, *, mode: str, baseline: int) -> Array:
    """Return why each row has a verdict on a chart or none, int8, shape (forms,)."""
    if mode == "whole":
        enough, pairs = chart.n_scores >= MIN_SCORES, MIN_PAIRS
    else:
        enough, pairs = scores_so_far(courses) > baseline, min(MIN_PAIRS, baseline - 1)
    enough = enough & (chart.n_pairs >= pairs)
    flat = enough & (chart.moving_range <= TOLERANCE)
    state = np.where(flat, NO_VARIATION, np.where(enough, EVALUATED, NOT_ENOUGH))
    return np.where(np.isfinite(courses.values), state, UNSCORED).astype(np.int8)


def _follow(
    courses: Courses, met: Array, reference: Array, sigma: Array, repair: RepairRule | None
) -> Episodes:
    """Return the episodes; a run of flags over scored sessions opens only one."""
    rows, opens = courses.scored, met.copy()
    again = (met[rows[1:]] == 1) & (met[rows[:-1]] == 1)
    again &= courses.series[rows[1:]] == courses.series[rows[:-1]]
    opens[rows[1:][again]] = 0
    return follow_flags(courses, opens, reference, sigma, repair or RepairRule())


def _baseline_rows(courses: Courses, met: Array, baseline: int) -> Array:
    """Return the baseline rows of the series of every flag, shape (flags, baseline)."""
    series = courses.series[met == 1]
    known = courses.scored
    first = np.searchsorted(known, courses.starts[series])
    rows: Array = known[first[:, None] + np.arange(baseline)]
    return rows


@dataclass(frozen=True, kw_only=True)
class _Baseline:
    """What the first `count` scores of each series say of its later ones.

    `centre` and `sigma` (shrunk) have shape (series,), `state` has shape (forms,). `after` holds the courses
    without their baseline.
    """

    courses: Courses
    count: int
    centre: Array
    sigma: Array
    state: Array
    after: Courses

    @classmethod
    def of(cls, courses: Courses, measure: Measure, count: int) -> _Baseline:
        first = first_scores(courses, count)
        begun = replace(courses, values=np.where(first, courses.values, np.nan))
        spread = successive_spread(begun)
        variance = np.maximum(spread.variance, measure.step**2 / 12)
        sigma, _ = shrink(variance, spread.df, measure.prior)
        total = np.bincount(
            courses.series[first], weights=courses.values[first], minlength=len(courses.starts)
        )
        scored = np.isfinite(courses.values)
        flat = (sigma <= TOLERANCE)[courses.series]
        state = np.where(first, NOT_ENOUGH, np.where(flat, NO_VARIATION, EVALUATED))
        if measure.prior.df == 0:
            state = np.full(len(scored), NO_PRIOR)
        later = scored & (state == EVALUATED)
        return cls(
            courses=courses,
            count=count,
            centre=total / count,
            sigma=sigma,
            state=np.where(scored, state, UNSCORED).astype(np.int8),
            after=replace(courses, values=np.where(later, courses.values, np.nan)),
        )

    @cached_property
    def judged(self) -> Array:
        """Rows that get a verdict, bool."""
        judged: Array = self.state == EVALUATED
        return judged

    @cached_property
    def reference(self) -> Array:
        """The centre of each judged row, NaN elsewhere."""
        return np.where(self.judged, self.centre[self.courses.series], np.nan)

    @cached_property
    def spread(self) -> Array:
        """The SD of each judged row, NaN elsewhere."""
        return np.where(self.judged, self.sigma[self.courses.series], np.nan)

    def verdict(self, yes: Array, repair: RepairRule | None, **numbers: Any) -> Verdict:
        """Return the verdict with `yes` at the judged rows, and the numbers that differ between methods."""
        met = three_valued(self.judged, yes)
        return Verdict(
            met=met,
            reference=self.reference,
            sigma=self.spread,
            df=constant(np.nan, len(met)),
            n_reference=np.where(self.judged, self.count, 0),
            state=self.state,
            needed=self.count,
            follow=lambda: _follow(self.courses, met, self.reference, self.spread, repair),
            compared=lambda: _baseline_rows(self.courses, met, self.count),
            **numbers,
        )


def _explain_cusum(judged: Judged, rows: Array) -> list[Array | str]:
    details = judged.verdict.details
    onset = judged.courses.session[details["onset"][rows].astype(np.int64)]
    going = "rising" if judged.rising else "falling"
    return [
        number("scored ", judged.courses.values[rows]),
        number("; cumulative sum ", -judged.sign * judged.verdict.statistic[rows]),
        number(" above ", details["h"][rows], "%g"),
        number(f", {going} since session ", onset),
        *_from_baseline(judged, rows),
    ]


def _from_baseline(judged: Judged, rows: Array) -> list[Array | str]:
    verdict = judged.verdict
    return [
        number(" (first ", verdict.n_reference[rows]),
        number(" scores: mean ", verdict.reference[rows]),
        number(", SD ", verdict.sigma[rows]),
        f"); {judged.measure.prior}",
    ]


@method(
    "cusum",
    online=True,
    needs="5 earlier scores, and a caseload prior or a within-person SD",
    finds="slow declines, and lasting falls",
    blind="the first 5 sessions; a decline that begins there; a fall of a single session, unless it is deep",
    source="Page (1954), https://doi.org/10.1093/biomet/41.1-2.100; spread shrunk as in Smyth (2004)",
    formula=(
        "baseline: the first b scores; centre = their mean, sigma = their SD, shrunk towards the caseload's",
        "z_j = (y_j - centre) / sigma; C_j = max(0, C_(j-1) - z_j - k), C = 0 after the baseline",
        "flagged: C_j > h; statistic = -C_j",
    ),
    explain=_explain_cusum,
)
def cusum_alarm(
    courses: Courses,
    measure: Measure,
    *,
    baseline: int = 5,
    k: float = 0.5,
    h: float = 5.0,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session at which falls below the person's first sessions have added up.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored, and leaves the sum as it is.
    measure : Measure
        Step of the score, and the caseload prior. Without a prior nothing is judged: few scores alone say too
        little about their spread.
    baseline : int
        Scores of the baseline.
    k, h : float
        Allowance and decision interval, in SD.
    repair : RepairRule, optional
        When an episode ends. A run of flags is one alarm and opens one episode: the sum is not reset, and may
        stay above h after the score itself is back.

    Returns
    -------
    Verdict
        `statistic` is minus the cumulative sum, in SD. `limit` is the score below which this session is
        flagged, given the sum so far: a high one while the sum stays above h. `details` holds `onset`, the
        row of the first score since the sum was last 0 (-1 = it is 0), and `h`.

    Examples
    --------
    >>> from alliance.rupture.prior import given_prior
    >>> measure = Measure(low=12, high=60, step=1, prior=given_prior(2.0))
    >>> decline = Courses.of([50, 50, 49, 49, 48, 47, 46, 45, 44, 43, 42, 41])
    >>> cusum_alarm(decline, measure).flagged + 1
    array([ 9, 10, 11, 12])
    """
    base = _Baseline.of(courses, measure, baseline)
    centre, sigma = base.reference, base.spread
    in_sd = replace(base.after, values=(base.after.values - centre) / sigma)
    found = cusum(in_sd, target=0.0, k=k, h=h)
    return base.verdict(
        found.signal,
        repair,
        statistic=-found.sums,
        limit=centre + sigma * (found.before - k - h),
        details={"onset": found.onset, "h": constant(h, len(courses.values))},
    )


def _explain_ewma(judged: Judged, rows: Array) -> list[Array | str]:
    details = judged.verdict.details
    beyond = "above" if judged.rising else "below"
    return [
        number("scored ", judged.courses.values[rows]),
        number("; moving average ", judged.sign * details["average"][rows]),
        number(f" {beyond} its limit ", judged.sign * details["lower"][rows]),
        *_from_baseline(judged, rows),
    ]


@method(
    "ewma",
    online=True,
    needs="5 earlier scores, and a caseload prior or a within-person SD",
    finds="slow declines, and lasting falls",
    blind="the first 5 sessions; a decline that begins there; about half of the falls that heal at once",
    source="Roberts (1959), https://doi.org/10.1080/00401706.1959.10489860; spread shrunk as in Smyth (2004)",
    formula=(
        "baseline: the first b scores; centre = their mean, sigma = their SD, shrunk towards the caseload's",
        "E_i = λ y_i + (1 - λ) E_(i-1), E_0 = centre, i = scores since the baseline",
        "SE_i = sigma sqrt(λ / (2 - λ) (1 - (1 - λ)^(2i)) + (1 - (1 - λ)^i)^2 / b); the last term, for the "
        "estimated centre, is our addition",
        "flagged: E_i < centre - L SE_i; statistic = (E_i - centre) / SE_i",
    ),
    explain=_explain_ewma,
)
def ewma_alarm(
    courses: Courses,
    measure: Measure,
    *,
    baseline: int = 5,
    weight: float = 0.3,
    width: float = 2.7,
    known_centre: bool = False,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session at which the moving average has fallen below the level of the person's first sessions.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored, and leaves the average as
        it is.
    measure : Measure
        Step of the score, and the caseload prior. Without a prior nothing is judged: few scores alone say too
        little about their spread.
    baseline : int
        Scores of the baseline.
    weight : float
        Weight of the newest score, above 0 and at most 1.
    width : float
        Width of the limits, in standard errors of the average.
    known_centre : bool
        Leave the uncertainty of the centre out, as textbooks do.
    repair : RepairRule, optional
        When an episode ends. A run of flags is one alarm and opens one episode: the average may stay low
        after the score itself is back.

    Returns
    -------
    Verdict
        `statistic` is (average - centre) / its standard error. `limit` is the score below which this session
        is flagged, given the average so far. `details` holds the `average` and its `lower` limit.

    Examples
    --------
    >>> from alliance.rupture.prior import given_prior
    >>> measure = Measure(low=12, high=60, step=1, prior=given_prior(2.0))
    >>> decline = Courses.of([50, 50, 49, 49, 48, 47, 46, 45, 44, 43, 42, 41])
    >>> ewma_alarm(decline, measure).flagged + 1
    array([ 8,  9, 10, 11, 12])
    """
    base = _Baseline.of(courses, measure, baseline)
    n_target = np.inf if known_centre else baseline
    found = ewma(
        base.after, target=base.centre, sigma=base.sigma, weight=weight, width=width, n_target=n_target
    )
    return base.verdict(
        found.average < found.lower - TOLERANCE,
        repair,
        statistic=(found.average - base.reference) / found.error,
        limit=(found.lower - (1 - weight) * found.before) / weight,
        details={"average": found.average, "lower": found.lower},
    )
