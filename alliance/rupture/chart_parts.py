"""The parts of control charts: centre and limits, run rules, cumulative sums, moving averages."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.errors import UsageError

Array = np.ndarray[Any, Any]

D2 = 1.128
"""Mean moving range of two normal values in SD, to the three decimals that qcc and other programs use."""

LIMIT_SIGMAS = 3.0
MODES = ("whole", "baseline")
SIDES = ("lower", "upper", "both")


@dataclass(frozen=True, kw_only=True)
class Chart:
    """An individuals chart, one entry per form, the same within a series; NaN where a series has no chart.

    Attributes
    ----------
    centre : float; mean score
    moving_range : float; mean distance between neighbouring scores
    sigma : float; moving_range / d2
    lower, upper : float; centre -/+ 3 sigma
    n_scores, n_pairs : int; scores and neighbour pairs that the chart was made from
    """

    centre: Array
    moving_range: Array
    sigma: Array
    lower: Array
    upper: Array
    n_scores: Array
    n_pairs: Array


def individuals_chart(courses: Courses, *, mode: str = "whole", baseline: int = 5, d2: float = D2) -> Chart:
    """Return centre, spread and limits of an individuals (XmR) chart for every series.

    Parameters
    ----------
    courses : Courses
        One score of every series; NaN = not scored. Every score counts for the centre; only neighbours (both
        scored, session numbers one apart) count for the moving range.
    mode : str
        `whole`: from all scores of a series. `baseline`: from its first `baseline` scores; a series with
        fewer has no chart.
    baseline : int
        Scores of the baseline.
    d2 : float
        Mean moving range of two normal values, in SD. 1.128 equals qcc and other programs; without rounding
        it is 2 / sqrt(pi) = 1.128379.

    Returns
    -------
    Chart
        Arrays of shape (forms,), in score points.

    References
    ----------
    Shewhart, W. A. (1931). Economic control of quality of manufactured product. Van Nostrand.

    Examples
    --------
    >>> chart = individuals_chart(Courses.of([46, 47, 48, 47, 49, 48, 38, 41, 47, 49, 50, 49]))
    >>> chart.centre[0].round(6), chart.sigma[0].round(6), chart.lower[0].round(6)
    (np.float64(46.583333), np.float64(2.337202), np.float64(39.571728))
    """
    _one_of("mode", mode, MODES)
    if baseline < 1:
        message = f"baseline must be at least 1, got {baseline}"
        raise ValueError(message)
    if not d2 > 0:
        message = f"d2 must be above 0, got {d2}"
        raise ValueError(message)
    used = np.isfinite(courses.values)
    if mode == "baseline":
        used = first_scores(courses, baseline)
    n_scores, centre = _means(courses, courses.values, used)
    n_pairs, moving_range = _means(courses, *_moving_ranges(courses, used))
    if mode == "baseline":
        centre = np.where(n_scores == baseline, centre, np.nan)
    sigma = np.where(np.isfinite(centre), moving_range / d2, np.nan)
    of = courses.series
    return Chart(
        centre=centre[of],
        moving_range=np.where(np.isfinite(centre), moving_range, np.nan)[of],
        sigma=sigma[of],
        lower=(centre - LIMIT_SIGMAS * sigma)[of],
        upper=(centre + LIMIT_SIGMAS * sigma)[of],
        n_scores=n_scores[of],
        n_pairs=n_pairs[of],
    )


def first_scores(courses: Courses, count: int) -> Array:
    """Return which rows hold one of the first `count` scores of their series, bool, shape (forms,)."""
    first = np.zeros(len(courses.values), dtype=bool)
    first[courses.scored] = _rank(courses) < count
    return first


def scores_so_far(courses: Courses) -> Array:
    """Return how many scores a series has up to and with each scored row, int; 0 where it is not scored."""
    count = np.zeros(len(courses.values), dtype=np.int64)
    count[courses.scored] = _rank(courses) + 1
    return count


def _rank(courses: Courses) -> Array:
    """Return the place of every scored row among the scored rows of its series, from 0."""
    series = courses.series[courses.scored]
    lengths = np.bincount(series, minlength=len(courses.starts))
    rank: Array = np.arange(len(series)) - (np.cumsum(lengths) - lengths)[series]
    return rank


def _moving_ranges(courses: Courses, used: Array) -> tuple[Array, Array]:
    """Return the distance of each used score from the session before, and where there is one.

    The first scores of a series are used, or all: where a score is, the one before it is too.
    """
    distance = np.abs(courses.change_from_neighbour())
    return distance, np.isfinite(distance) & used


def _means(courses: Courses, values: Array, used: Array) -> tuple[Array, Array]:
    """Return number and mean of the used rows of every series; NaN where there are none."""
    series, n_series = courses.series[used], len(courses.starts)
    count = np.bincount(series, minlength=n_series)
    total = np.bincount(series, weights=values[used], minlength=n_series)
    return count, np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """At least so many of the last `of` sessions lie beyond `lines` sigma, this one included.

    With `trend` they are falls from the session before instead.
    """

    at_least: int
    of: int
    lines: float = 0.0
    trend: bool = False


RULES = {
    "WE1": Rule(at_least=1, of=1, lines=3),
    "WE2": Rule(at_least=2, of=3, lines=2),
    "WE3": Rule(at_least=4, of=5, lines=1),
    "WE4": Rule(at_least=8, of=8),
    "N1": Rule(at_least=1, of=1, lines=3),
    "N2": Rule(at_least=9, of=9),
    "N3": Rule(at_least=5, of=5, trend=True),
}
"""Run rules of the Western Electric handbook (1956) and of Nelson (1984)."""

_PART = re.compile(r"(WE|N)?([1-9])(?:-(WE|N)?([1-9]))?")


def parse_rules(text: str) -> tuple[str, ...]:
    """Return the names of the run rules in `text`, each once, in the order given.

    A bare number is a Western Electric rule. Upper and lower case are the same.

    Raises
    ------
    UsageError
        If a part of `text` names no rule.

    Examples
    --------
    >>> parse_rules("1-3,N2")
    ('WE1', 'WE2', 'WE3', 'N2')
    """
    names = [name for part in text.upper().split(",") for name in _names(part.strip())]
    return tuple(dict.fromkeys(names))


def _names(part: str) -> list[str]:
    found = _PART.fullmatch(part)
    if found is not None:
        family, first, other, last = found.groups()
        family = family or "WE"
        numbers = range(int(first), int(last or first) + 1)
        names = [f"{family}{number}" for number in numbers]
        if names and (other or family) == family and all(name in RULES for name in names):
            return names
    message = f"unknown run rule '{part}'"
    hint = "known: 1 to 4 or WE1 to WE4 (Western Electric), N1 to N3 (Nelson), such as 1-4 or WE1,N3"
    raise UsageError(message, hint=hint)


def run_rules(
    courses: Courses,
    rule: str,
    *,
    centre: Array | float = 0.0,
    sigma: Array | float = 1.0,
    side: str = "both",
) -> Array:
    """Return at which sessions a run rule is met.

    Parameters
    ----------
    courses : Courses
        Scores, or z values with centre 0 and sigma 1; NaN = not scored.
    rule : str
        WE1: beyond 3 sigma. WE2: 2 of 3 sessions beyond 2 sigma. WE3: 4 of 5 beyond 1 sigma. WE4: 8 in a row
        on one side of the centre. N1 = WE1. N2: 9 in a row. N3: 6 scores in a row steadily falling (or
        rising). The session itself is always one of those that count.
    centre, sigma : float or array of shape (forms,)
        NaN = no verdict, False.
    side : str
        `lower`, `upper` or `both`.

    Returns
    -------
    bool, shape (forms,)
        A score on a line does not count. A session without a score does not count either, but takes its
        place among the 3, 5, 8 or 9, and a long gap takes one: a rule is met only where it holds whatever
        the missing scores were. It is not met before there have been that many sessions since the first
        score.

    References
    ----------
    Nelson, L. S. (1984). https://doi.org/10.1080/00224065.1984.11978921

    Examples
    --------
    >>> np.flatnonzero(run_rules(Courses.of([0, 2.5, 1.0, 2.6, 0]), "WE2")) + 1
    array([4])
    """
    if rule not in RULES:
        message = f"rule must be one of {', '.join(RULES)}, got '{rule}'"
        raise ValueError(message)
    _one_of("side", side, SIDES)
    met = np.zeros(len(courses.values), dtype=bool)
    if side != "upper":
        met |= _met_below(courses, RULES[rule], courses.values - centre, sigma)
    if side != "lower":
        mirrored = replace(courses, values=-courses.values)
        met |= _met_below(mirrored, RULES[rule], centre - courses.values, sigma)
    return met


def _met_below(courses: Courses, rule: Rule, deviation: Array, sigma: Array | float) -> Array:
    known = np.isfinite(deviation) & np.isfinite(sigma)
    counts: Array
    if rule.trend:
        counts = known & (courses.change_from_neighbour() < -TOLERANCE)
    else:
        counts = known & (deviation < -rule.lines * sigma - TOLERANCE)
    if rule.of == 1:
        return counts
    met: Array = counts & (_of_last(courses, counts, rule.of) >= rule.at_least)
    return met & (_sessions_so_far(courses) >= rule.of)


def _sessions_so_far(courses: Courses) -> Array:
    """Return the sessions from the first score of a series to each row, both included, on the clock."""
    first = np.zeros(len(courses.starts), dtype=np.int64)
    begins = np.flatnonzero(first_scores(courses, 1))
    first[courses.series[begins]] = courses.clock[begins]
    return courses.clock - first[courses.series] + 1


def _of_last(courses: Courses, counts: Array, of: int) -> Array:
    """Return how many of the last `of` sessions count, by their place on the clock."""
    total = counts.astype(np.int8)
    for back in range(1, of):
        same = courses.series[back:] == courses.series[:-back]
        near = courses.clock[back:] - courses.clock[:-back] < of
        total[back:] += counts[:-back] & same & near
    return total


@dataclass(frozen=True, kw_only=True)
class Cusum:
    """A one-sided cumulative sum, one entry per form.

    Attributes
    ----------
    sums : float; 0 or above, NaN where not scored
    before : float; the sum that this score was added to
    signal : bool; whether the sum is above h
    onset : int; row of the first score since the sum was last 0, -1 where it is 0
    """

    sums: Array
    before: Array
    signal: Array
    onset: Array


def cusum(courses: Courses, *, target: float, k: float, h: float, side: str = "lower") -> Cusum:
    """Return the one-sided cumulative sum of every series.

    Lower side: C_j = max(0, C_(j-1) + (target - k) - y_j), from C = 0 on; there is no reset after a signal.

    Parameters
    ----------
    courses : Courses
        Scores; a session without a score leaves the sum as it is.
    target : float
        Level the scores are held against, in score points.
    k : float
        Allowance, in score points: a shift of 2 k is found quickest.
    h : float
        Decision interval, in score points; a sum above it is a signal.
    side : str
        `lower`: scores below the target add up. `upper`: scores above it.

    References
    ----------
    Page, E. S. (1954). https://doi.org/10.1093/biomet/41.1-2.100

    Examples
    --------
    >>> cusum(Courses.of([10, 8, 8, 10]), target=10, k=0.5, h=2).sums
    array([0. , 1.5, 3. , 2.5])
    """
    _one_of("side", side, SIDES[:2])
    sign = 1.0 if side == "lower" else -1.0
    n_forms = len(courses.values)
    sums, before = np.full((2, n_forms), np.nan)
    onset = np.full(n_forms, -1, dtype=np.int64)
    gains = sign * (target - courses.values) - k
    running, since = np.zeros(len(courses.starts)), np.full(len(courses.starts), -1)
    for places in courses.scored_steps:
        rows = courses.scored[places]
        n = len(rows)
        before[rows] = running[:n]
        running[:n] = np.maximum(0.0, running[:n] + gains[rows])
        since[:n] = np.where(since[:n] < 0, rows, since[:n])
        since[:n][running[:n] <= TOLERANCE] = -1
        sums[rows], onset[rows] = running[:n], since[:n]
    return Cusum(sums=sums, before=before, signal=sums > h + TOLERANCE, onset=onset)


@dataclass(frozen=True, kw_only=True)
class Ewma:
    """An exponentially weighted moving average and its limits, one entry per form.

    Attributes
    ----------
    average : float; NaN where not scored
    before : float; the average before this score
    error : float; standard error of the average
    lower, upper : float; target -/+ width * error
    """

    average: Array
    before: Array
    error: Array
    lower: Array
    upper: Array


def ewma(
    courses: Courses,
    *,
    target: float | Array,
    sigma: float | Array,
    weight: float = 0.3,
    width: float = 2.7,
    n_target: float = np.inf,
) -> Ewma:
    """Return the exponentially weighted moving average of every series, with its limits.

    E_i = weight * y_i + (1 - weight) * E_(i-1), from E_0 = target on; its variance is sigma^2 times
    weight / (2 - weight) * (1 - (1 - weight)^(2 i)) + (1 - (1 - weight)^i)^2 / n_target.
    The last term, for a target that is itself a mean of `n_target` scores, is our addition.

    Parameters
    ----------
    courses : Courses
        Scores; a session without a score leaves the average as it is, and is not counted by i.
    target, sigma : float, or array of shape (series,)
        Level the scores are held against and their SD, in score points.
    weight : float
        Weight of the newest score, above 0 and at most 1.
    width : float
        Width of the limits in standard errors.
    n_target : float
        Scores the target was estimated from; infinite = it is known.

    References
    ----------
    Roberts, S. W. (1959). https://doi.org/10.1080/00401706.1959.10489860

    Examples
    --------
    >>> chart = ewma(Courses.of([10, 8]), target=10.0, sigma=1.0, weight=0.5, width=3.0)
    >>> chart.average, chart.lower.round(4)
    (array([10.,  9.]), array([8.5   , 8.3229]))
    """
    if not 0 < weight <= 1:
        message = f"weight must be above 0 and at most 1, got {weight}"
        raise ValueError(message)
    target, sigma = (np.broadcast_to(each, (len(courses.starts),)) for each in (target, sigma))
    average, before = np.full((2, len(courses.values)), np.nan)
    running = target[courses.scored_steps.order].astype(float)
    for places in courses.scored_steps:
        rows = courses.scored[places]
        n = len(rows)
        before[rows] = running[:n]
        running[:n] = average[rows] = weight * courses.values[rows] + (1 - weight) * running[:n]
    count = scores_so_far(courses)
    powers = np.cumprod(np.append(1.0, np.full(count.max(initial=0), 1 - weight)))
    faded = powers[count]
    variance = weight / (2 - weight) * (1 - faded**2) + (1 - faded) ** 2 / n_target
    error = np.where(np.isfinite(average), np.sqrt(variance) * sigma[courses.series], np.nan)
    centre = target[courses.series]
    return Ewma(
        average=average,
        before=before,
        error=error,
        lower=centre - width * error,
        upper=centre + width * error,
    )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        message = f"{name} must be one of {', '.join(known)}, got '{value}'"
        raise ValueError(message)
