"""How much of the variance of a score lies between therapists, between cases and within them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dyads.estimates import LEVEL, as_labels, as_numbers, group_means
from alliance.dyads.levels import has_one_therapist
from alliance.dyads.mixed import fit_intercepts

Array = np.ndarray[Any, Any]

REPLICATES = 999
MIN_UNITS = 5
"""Units of the highest level that a bootstrap interval needs."""

MOST_DRAWN = 2_000_000
"""Units drawn at a time, so that memory does not grow with the study."""

ENOUGH_REPLICATES = 0.95
LEVELS = ("therapist", "case", "session")
ESTIMATORS = ("moments", "reml")
UNITS = {"case": "cases", "therapist": "therapists"}


@dataclass(frozen=True, kw_only=True)
class OneWay:
    """Intraclass correlation of scores within units.

    Attributes
    ----------
    icc : float; share of the variance that lies between units; may be below 0
    between, within : float; variance components, squared score points; `between` may be below 0
    low, high : float; 95 % interval of `icc`, NaN where there is none
    interval : text; how the interval was made, or why there is none
    n_units, n_scores : int
    reason : text; why there is no estimate, else empty
    """

    icc: float
    between: float
    within: float
    low: float
    high: float
    interval: str
    n_units: int
    n_scores: int
    reason: str


def one_way_icc(values: Any, unit: Any, *, replicates: int = REPLICATES, seed: int = 1) -> OneWay:
    """Return ICC(1), the one-way intraclass correlation, from the analysis of variance.

    Parameters
    ----------
    values : float, shape (rows,); score points, NaN = not scored
    unit : shape (rows,); label of the unit, usually the case
    replicates, seed : of the bootstrap, which is used where units differ in size

    Returns
    -------
    OneWay
        icc = (MSB - MSW) / (MSB + (n0 - 1) MSW), n0 = (N - sum n_i^2 / N) / (k - 1). The interval is exact (F
        distribution) if all units have equally many scores; else the 2.5 and 97.5 percentiles over whole
        units drawn with replacement, if there are at least 5.

    References
    ----------
    Shrout, P. E., & Fleiss, J. L. (1979). Intraclass correlations. Psychological Bulletin, 86(2), 420-428.
    Searle, S. R. (1971). Topics in variance component estimation. Biometrics, 27, 1-76.

    Examples
    --------
    >>> found = one_way_icc([1, 2, 5, 6, 9, 10], ["A", "A", "B", "B", "C", "C"])
    >>> round(found.icc, 6), found.interval
    (0.969231, 'exact F')
    """
    values = as_numbers("values", values)
    labels = as_labels("unit", unit, len(values))
    scored = np.isfinite(values)
    units, code = np.unique(labels[scored], return_inverse=True)
    values, k = values[scored], len(units)
    reason = _why_no_icc(values, k)
    if reason:
        return OneWay(
            icc=np.nan, between=np.nan, within=np.nan, low=np.nan, high=np.nan, interval="none", n_units=k,
            n_scores=len(values), reason=reason,
        )  # fmt: skip
    parts = _unit_parts(values - values.mean(), code, k)
    (icc,), (between,), (within,) = _one_way(parts.sum(axis=0, keepdims=True))
    if len(set(parts[:, 1])) == 1:
        low, high, interval = *_exact_interval(float(between), float(within), int(parts[0, 1]), k), "exact F"
    else:
        shares, interval = _bootstrap(parts, lambda sums: _one_way(sums)[0], replicates, seed, noun="units")
        low, high = shares[0]
    return OneWay(
        icc=float(icc), between=float(between), within=float(within), low=float(low), high=float(high),
        interval=interval, n_units=k, n_scores=len(values), reason="",
    )  # fmt: skip


def _why_no_icc(values: Array, k: int) -> str:
    if k < 2:  # noqa: PLR2004  one unit has nobody to differ from
        return f"not enough data: {k} of 2 units"
    if len(values) == k:
        return "not enough data: every unit has a single score"
    if np.ptp(values) <= TOLERANCE:
        return "not enough data: the scores never vary"
    return ""


def _unit_parts(values: Array, code: Array, k: int) -> Array:
    """Return what the sums of squares are made of, shape (units, 6): 1, n, n^2, sum, n mean^2, SS within."""
    n = np.bincount(code, minlength=k).astype(float)
    mean = group_means(values, code, k)
    inner = np.bincount(code, weights=(values - mean[code]) ** 2, minlength=k)
    return np.column_stack([np.ones(k), n, n**2, n * mean, n * mean**2, inner])


def _one_way(sums: Array) -> tuple[Array, Array, Array]:
    """Return ICC, variance between and within for each row of sums, shape (rows,)."""
    k, n, squares, total, outer, inner = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        within = inner / (n - k)
        size = (n - squares / n) / (k - 1)
        between = ((outer - total**2 / n) / (k - 1) - within) / size
        return between / (between + within), between, within


def _exact_interval(between: float, within: float, size: int, k: int) -> tuple[float, float]:
    """Return the exact interval of ICC(1) where every one of `k` units has `size` scores."""
    if within == 0:
        return 1.0, 1.0
    from scipy.stats import f as f_distribution

    ratio = (size * between + within) / within
    outer, inner, tail = k - 1, k * (size - 1), (1 + LEVEL) / 2
    below = ratio / f_distribution.ppf(tail, outer, inner)
    above = ratio * f_distribution.ppf(tail, inner, outer)
    return (below - 1) / (below + size - 1), (above - 1) / (above + size - 1)


@dataclass(frozen=True, kw_only=True)
class VarianceComponents:
    """Variance by level, from the highest down; arrays of shape (3,): therapist, case, session.

    Attributes
    ----------
    variance : float; squared score points, never below 0
    share : float, 0 to 1; variance / sum of the three. Of the therapist: the therapist ICC
    low, high : float; 95 % interval of the share, NaN where there is none
    case_icc : float; (therapist + case) / sum, the correlation of two sessions of one case
    estimator : moments or reml
    interval : text; how the intervals were made, or why there are none
    n : int, shape (3,); therapists, cases, scores
    reason : text; why there is no estimate, else empty
    notes : what must be known about the estimate
    """

    variance: Array
    share: Array
    low: Array
    high: Array
    case_icc: float
    estimator: str
    interval: str
    n: Array
    reason: str
    notes: tuple[str, ...]


def variance_components(
    values: Any,
    case: Any,
    therapist: Any,
    *,
    estimator: str = "moments",
    replicates: int = REPLICATES,
    seed: int = 1,
) -> VarianceComponents:
    """Split the variance of a score over sessions within cases within therapists.

    Parameters
    ----------
    values : float, shape (rows,); score points, NaN = not scored
    case, therapist : shape (rows,); labels; each case belongs to one therapist
    estimator : "moments", the analysis of variance of a nested design with unequal numbers (Henderson's
        method 1), or "reml"
    replicates, seed : of the bootstrap

    Returns
    -------
    VarianceComponents
        An estimate below 0 is set to 0, with a note. Intervals are the 2.5 and 97.5 percentiles of the moment
        estimates over whole therapists drawn with replacement, if there are at least 5; none with "reml". A
        trend over sessions is part of the variance within cases.

    References
    ----------
    Henderson, C. R. (1953). Estimation of variance and covariance components. Biometrics, 9(2), 226-252.

    Examples
    --------
    >>> scores = [1, 3, 2, 4, 6, 8, 9, 7]
    >>> found = variance_components(scores, [1, 1, 2, 2, 3, 3, 4, 4], [1, 1, 1, 1, 2, 2, 2, 2])
    >>> found.variance.tolist(), found.n.tolist()
    ([12.25, 0.0, 2.0], [2, 4, 8])
    """
    if estimator not in ESTIMATORS:
        message = f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}"
        raise ValueError(message)
    values = as_numbers("values", values)
    case, therapist = as_labels("case", case, len(values)), as_labels("therapist", therapist, len(values))
    kept = np.isfinite(values)
    cases, code = np.unique(case[kept], return_inverse=True)
    owners, owner = np.unique(therapist[kept], return_inverse=True)
    values, n_crossed = values[kept], len(np.unique(code[~has_one_therapist(code, owner)]))
    if n_crossed:
        message = f"each case must have one therapist, got {n_crossed} with several"
        raise ValueError(message)
    n = np.array([len(owners), len(cases), len(values)])
    reason = _why_no_components(values, *n) or _why_no_reml(values, code, estimator)
    if reason:
        blank = np.full(3, np.nan)
        return VarianceComponents(
            variance=blank, share=blank, low=blank, high=blank, case_icc=np.nan, estimator=estimator,
            interval="none", n=n, reason=reason, notes=(),
        )  # fmt: skip
    values = values - values.mean()
    variance, limits, interval, notes = (
        _by_reml(values, code, owner)
        if estimator == "reml"
        else _by_moments(_therapist_parts(values, code, owner, n), replicates, seed)
    )
    share = _shares(variance[None])[0]
    return VarianceComponents(
        variance=np.maximum(variance, 0), share=share, low=limits[:, 0], high=limits[:, 1],
        case_icc=float(share[0] + share[1]), estimator=estimator, interval=interval, n=n, reason="",
        notes=notes,
    )  # fmt: skip


def _why_no_components(values: Array, n_therapists: int, n_cases: int, n_scores: int) -> str:
    if n_therapists < 2:  # noqa: PLR2004  one therapist has nobody to differ from
        return f"not enough data: {n_therapists} of 2 therapists"
    if n_cases == n_therapists:
        return "not enough data: every therapist has a single case"
    if n_scores == n_cases:
        return "not enough data: every case has a single score"
    if np.ptp(values) <= TOLERANCE:
        return "not enough data: the scores never vary"
    return ""


def _why_no_reml(values: Array, code: Array, estimator: str) -> str:
    """Return why there is no likelihood: it has no maximum where nothing varies within the cases."""
    apart = values - group_means(values, code, int(code.max()) + 1)[code]
    if estimator == "reml" and np.abs(apart).max() <= TOLERANCE:
        return "not enough data: the scores never vary within a case"
    return ""


Solved = tuple[Array, Array, str, tuple[str, ...]]


def _by_moments(parts: Array, replicates: int, seed: int) -> Solved:
    variance = _nested(parts.sum(axis=0, keepdims=True))[0]
    notes = tuple(
        f"the variance between {UNITS[level]} was estimated at {each:.4g} and set to 0"
        for level, each in zip(LEVELS, variance, strict=True)
        if each < 0
    )
    limits, interval = _bootstrap(
        parts, lambda sums: _shares(_nested(sums)), replicates, seed, noun="therapists"
    )
    return variance, limits, interval, notes


def _by_reml(values: Array, code: Array, owner: Array) -> Solved:
    fit = fit_intercepts(values, np.ones((len(values), 1)), owner, code)
    variance = np.array([fit.group, fit.nested, fit.residual])
    return variance, np.full((3, 2), np.nan), "none with reml", ()


def _therapist_parts(values: Array, code: Array, owner: Array, n: Array) -> Array:
    """Return what the nested sums of squares are made of, shape (therapists, 9)."""
    n_therapists, n_cases = int(n[0]), int(n[1])
    of_case = np.zeros(n_cases, dtype=np.int64)
    of_case[code] = owner
    size = np.bincount(code, minlength=n_cases).astype(float)
    mean = group_means(values, code, n_cases)
    total = np.bincount(owner, minlength=n_therapists).astype(float)
    level = group_means(values, owner, n_therapists)

    def over_cases(each: Array) -> Array:
        return np.bincount(of_case, weights=each, minlength=n_therapists)

    squares = over_cases(size**2)
    inner = np.bincount(owner, weights=(values - mean[code]) ** 2, minlength=n_therapists)
    middle = over_cases(size * (mean - level[of_case]) ** 2)
    return np.column_stack(
        [
            np.ones(n_therapists), total, total**2, over_cases(np.ones(n_cases)), squares, squares / total,
            inner, middle, total * level, total * level**2,
        ]
    )  # fmt: skip


def _nested(sums: Array) -> Array:
    """Return the variances of therapist, case and session for each row of sums, shape (rows, 3).

    Expected sums of squares: sessions (N - C) s; cases (C - T) s + (N - A) c; therapists (T - 1) s +
    (A - B) c + (N - D) t; A = sum over therapists of sum n_case^2 / n_therapist, B = sum n_case^2 / N,
    D = sum n_therapist^2 / N.
    """
    t, n, squares_t, c, squares_c, a, inner, middle, total, outer = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        session = inner / (n - c)
        case = (middle - (c - t) * session) / (n - a)
        top = outer - total**2 / n - (t - 1) * session - (a - squares_c / n) * case
        found = np.column_stack([top / (n - squares_t / n), case, session])
    return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, np.nan)


def _shares(variance: Array) -> Array:
    """Return each variance as a share of the sum, none counted below 0; shape as given."""
    positive = np.maximum(variance, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: Array = positive / positive.sum(axis=1, keepdims=True)
    return shares


def _bootstrap(
    parts: Array, solve: Callable[[Array], Array], replicates: int, seed: int, *, noun: str
) -> tuple[Array, str]:
    """Return the percentile interval of each statistic, shape (statistics, 2), and how it was made.

    A unit drawn twice counts as two units, so each replicate only sums the units' parts again.
    """
    k = len(parts)
    n_statistics = np.atleast_2d(solve(parts.sum(axis=0, keepdims=True))).shape[-1]
    none = np.full((n_statistics, 2), np.nan)
    if k < MIN_UNITS:
        return none, f"none: {k} of {MIN_UNITS} {noun}"
    if replicates < 1:
        return none, "none asked for"
    random = np.random.default_rng(seed)
    found = []
    done = 0
    while done < replicates:
        block = min(replicates - done, max(MOST_DRAWN // k, 1))
        places = random.integers(k, size=(block, k)) + k * np.arange(block)[:, None]
        weights = np.bincount(places.ravel(), minlength=block * k).reshape(block, k)
        found.append(np.reshape(solve(weights @ parts), (block, n_statistics)))
        done += block
    drawn = np.concatenate(found)
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if len(drawn) < ENOUGH_REPLICATES * replicates:
        return none, f"none: too many of {replicates} bootstrap samples could not be solved"
    tail = (1 - LEVEL) / 2
    limits: Array = np.quantile(drawn, [tail, 1 - tail], axis=0).T
    return limits, f"bootstrap over {noun}, {replicates} samples, seed {seed}"
