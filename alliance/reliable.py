"""Reliable change between two scores by every published formula, cut-offs, outcomes; arrays in and out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from alliance.courses import TOLERANCE
from alliance.special import t_quantile

Array = np.ndarray[Any, Any]

CRITERION = 1.96
HA_CRITERION = 1.65
MIN_PAIRS = 3
"""Pairs from which on all moments exist; how stable they are is another matter: under 30 they are not."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What a sample of pairs of scores looks like; all NaN where there are too few pairs.

    Attributes
    ----------
    m1, s1, m2, s2 : float; mean and standard deviation (n - 1) of the earlier and the later score
    r12 : float; their correlation
    n : int; number of pairs
    """

    m1: float
    s1: float
    m2: float
    s2: float
    r12: float
    n: int


def moments(earlier: Array, later: Array) -> Moments:
    """Return the moments of pairs of scores; pairs with a missing score are left out.

    Examples
    --------
    >>> found = moments(np.array([1.0, 2.0, 3.0, np.nan]), np.array([2.0, 2.0, 5.0, 4.0]))
    >>> found.n, found.m1, found.s1, found.m2, round(found.r12, 6)
    (3, 2.0, 1.0, 3.0, 0.866025)
    """
    x, y = (np.asarray(scores, dtype=float) for scores in (earlier, later))
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < MIN_PAIRS:
        return Moments(m1=np.nan, s1=np.nan, m2=np.nan, s2=np.nan, r12=np.nan, n=len(x))
    s1, s2 = float(x.std(ddof=1)), float(y.std(ddof=1))
    together = float(np.sum((x - x.mean()) * (y - y.mean())) / (len(x) - 1))
    r12 = together / (s1 * s2) if s1 > 0 and s2 > 0 else np.nan
    return Moments(m1=float(x.mean()), s1=s1, m2=float(y.mean()), s2=s2, r12=r12, n=len(x))


@dataclass(frozen=True, kw_only=True)
class Reliabilities:
    """Reliability of the earlier and of the later score."""

    earlier: float
    later: float


Formula = Callable[[Array, Moments, Reliabilities], tuple[Array, Array]]
"""Earlier scores → what the later score is expected to be, and the standard error of that."""


def _jt(x: Array, by: Moments, r: Reliabilities) -> tuple[Array, Array]:
    return x, np.full_like(x, by.s1 * np.sqrt(2 * (1 - r.earlier)))


def _true_score(x: Array, by: Moments, r: Reliabilities) -> Array:
    return by.m1 + r.earlier * (x - by.m1)


def _gln(x: Array, by: Moments, r: Reliabilities) -> tuple[Array, Array]:
    return _true_score(x, by, r), np.full_like(x, by.s1 * np.sqrt(1 - r.earlier**2))


def _hll(x: Array, by: Moments, r: Reliabilities) -> tuple[Array, Array]:
    return by.m2 + r.earlier * (x - by.m1), np.full_like(x, by.s1 * np.sqrt(1 - r.earlier**2))


def _en(x: Array, by: Moments, r: Reliabilities) -> tuple[Array, Array]:
    return _true_score(x, by, r), np.full_like(x, by.s1 * np.sqrt(1 - r.earlier))


def _nk(x: Array, by: Moments, r: Reliabilities) -> tuple[Array, Array]:
    error = by.s1 * np.sqrt(r.earlier**2 * (1 - r.earlier) + (1 - r.later))
    return _true_score(x, by, r), np.full_like(x, error)


def _ha(x: Array, by: Moments, r: Reliabilities) -> tuple[Array, Array]:
    r_dd = difference_reliability(by, r.earlier)
    if not r_dd > 0:
        message = f"r_dd, the reliability of the changes, must be above 0, got {r_dd:.3g}"
        raise ValueError(message)
    error = by.s1 * np.sqrt(2 * (1 - r.earlier)) / np.sqrt(r_dd)
    return x - (by.m2 - by.m1) * (1 - r_dd) / r_dd, np.full_like(x, error)


def _chelune(x: Array, by: Moments, _: Reliabilities) -> tuple[Array, Array]:
    return x + (by.m2 - by.m1), np.full_like(x, by.s1 * np.sqrt(2 * (1 - by.r12)))


def _iverson(x: Array, by: Moments, _: Reliabilities) -> tuple[Array, Array]:
    return x + (by.m2 - by.m1), np.full_like(x, np.sqrt((by.s1**2 + by.s2**2) * (1 - by.r12)))


def _srb(x: Array, by: Moments, _: Reliabilities) -> tuple[Array, Array]:
    slope = by.r12 * by.s2 / by.s1
    return by.m2 + slope * (x - by.m1), np.full_like(x, by.s2 * np.sqrt(1 - by.r12**2))


def _crawford_howell(x: Array, by: Moments, r: Reliabilities) -> tuple[Array, Array]:
    expected, error = _srb(x, by, r)
    unbiased = error * np.sqrt((by.n - 1) / (by.n - 2))
    away = (x - by.m1) ** 2 / (by.s1**2 * (by.n - 1))
    return expected, unbiased * np.sqrt(1 + 1 / by.n + away)


FORMULAS: dict[str, Formula] = {
    "JT": _jt,
    "GLN": _gln,
    "HLL": _hll,
    "EN": _en,
    "NK": _nk,
    "HA": _ha,
    "Chelune": _chelune,
    "Iverson": _iverson,
    "SRB": _srb,
    "Crawford-Howell": _crawford_howell,
}
BY_CORRELATION = ("Chelune", "Iverson", "SRB", "Crawford-Howell")
"""Variants that stand on the correlation of the two scores; the others stand on a reliability."""


def difference_reliability(by: Moments, reliability: float) -> float:
    """Return r_dd, the reliability of change scores after Hageman & Arrindell (1999); it may be negative.

    r_dd = (S1^2 r11 + S2^2 r22 - 2 S1 S2 r12) / (S1^2 + S2^2 - 2 S1 S2 r12), r_ii = (S_i^2 - SEM^2) / S_i^2.

    Examples
    --------
    >>> by = Moments(m1=45, s1=9, m2=46, s2=8.5, r12=0.75, n=100)
    >>> round(difference_reliability(by, 0.9), 6)
    0.579221
    """
    noise = by.s1**2 * (1 - reliability)
    change = by.s1**2 + by.s2**2 - 2 * by.s1 * by.s2 * by.r12
    return (change - 2 * noise) / change if change > 0 else float("nan")


def expectation(
    earlier: Array,
    variant: str,
    *,
    moments: Moments,
    reliability: float | None = None,
    reliability_post: float | None = None,
) -> tuple[Array, Array]:
    """Return which later score is expected after each earlier one, and the standard error of that.

    Every variant of the reliable change index is (later - expected) / error.

    Parameters
    ----------
    earlier : float, shape (pairs,)
        Earlier scores; where one is NaN, what is expected is NaN.
    variant : str
        A key of `FORMULAS`. HLM is none of them: it stands on whole courses, see `alliance.rupture.growth`.
    moments : Moments
        Of the sample the formula refers to.
    reliability, reliability_post : float, optional
        Of the earlier score, for the variants not in `BY_CORRELATION`; of the later one, for NK only, where
        it is taken to be the same if not given.

    Raises
    ------
    ValueError
        If the variant is unknown, or a number it needs is missing or impossible.

    Notes
    -----
    Chelune, Iverson, SRB and Crawford-Howell: formulas from memory, not checked against the papers.
    """
    if variant not in FORMULAS:
        message = f"variant must be one of {', '.join(FORMULAS)}, got '{variant}'"
        raise ValueError(message)
    if variant in BY_CORRELATION:
        by = Reliabilities(earlier=np.nan, later=np.nan)
    else:
        first = _share("reliability", reliability)
        second = first if reliability_post is None else _share("reliability_post", reliability_post)
        by = Reliabilities(earlier=first, later=second)
    needs_r12 = variant in {*BY_CORRELATION, "HA"}
    if not moments.s1 > 0 or (needs_r12 and not abs(moments.r12) < 1):
        message = f"moments must be those of scores that vary, got {moments}"
        raise ValueError(message)
    return FORMULAS[variant](np.asarray(earlier, dtype=float), moments, by)


def _share(name: str, value: float | None) -> float:
    if value is None or not 0 <= value < 1:
        message = f"{name} must be at least 0 and below 1, got {value}"
        raise ValueError(message)
    return float(value)


def reliable_change_index(
    earlier: Array,
    later: Array,
    variant: str = "JT",
    *,
    moments: Moments | None = None,
    reliability: float | None = None,
    reliability_post: float | None = None,
) -> Array:
    """Return the reliable change index of each pair of scores by one of the published formulas.

    Parameters
    ----------
    earlier, later : float, shape (pairs,)
        Scores in the same unit; a pair with a missing score gets NaN. A positive index is a rise.
    variant : str
        JT Jacobson & Truax (1991), GLN Gulliksen-Lord-Novick (Hsu 1989), HLL Hsu-Linn-Lord, EN
        Edwards-Nunnally (Speer 1992), NK Nunnally & Kotsch (1983), HA Hageman & Arrindell (1999), Chelune
        (1993), Iverson (2001), SRB (McSweeny), Crawford-Howell (a t value with n - 2 degrees of freedom).
    moments : Moments, optional
        Of a reference sample; by default those of the pairs themselves.
    reliability, reliability_post : float, optional
        See `expectation`.

    Raises
    ------
    ValueError
        If a number the variant needs is missing or impossible.

    References
    ----------
    Jacobson, N. S., & Truax, P. (1991). https://doi.org/10.1037/0022-006X.59.1.12
    Hageman, W. J. J. M., & Arrindell, W. A. (1999). https://doi.org/10.1016/S0005-7967(99)00032-7

    Examples
    --------
    >>> by = Moments(m1=45, s1=9, m2=46, s2=8.5, r12=0.75, n=100)
    >>> pair = np.array([49.0]), np.array([38.0])
    >>> reliable_change_index(*pair, moments=by, reliability=0.9).round(6).tolist()
    [-2.732972]
    >>> reliable_change_index(*pair, "SRB", moments=by).round(6).tolist()
    [-1.926878]
    """
    x, y = (np.asarray(scores, dtype=float) for scores in (earlier, later))
    by = moments if moments is not None else _moments(x, y)
    expected, error = expectation(
        x, variant, moments=by, reliability=reliability, reliability_post=reliability_post
    )
    index: Array = (y - expected) / error
    return index


_moments = moments


def critical_value(variant: str, criterion: float | None = None, *, n: int = 0) -> float:
    """Return the index beyond which a change counts as reliable.

    Parameters
    ----------
    variant : str
    criterion : float, optional
        Of the normal distribution; 1.96 by default (two-sided 5 %), 1.65 for HA (one-sided 5 %).
    n : int
        Pairs of the reference sample. For Crawford-Howell the criterion becomes the quantile of Student's t
        with n - 2 degrees of freedom at the same level.

    Examples
    --------
    >>> critical_value("JT"), critical_value("HA"), round(critical_value("Crawford-Howell", n=100), 6)
    (1.96, 1.65, 1.984505)
    """
    chosen = criterion if criterion is not None else HA_CRITERION if variant == "HA" else CRITERION
    if not chosen > 0:
        message = f"criterion must be above 0, got {chosen}"
        raise ValueError(message)
    if variant != "Crawford-Howell":
        return chosen
    if n < MIN_PAIRS:
        message = f"n must be at least {MIN_PAIRS}, got {n}"
        raise ValueError(message)
    return -t_quantile(math.erfc(chosen / math.sqrt(2)) / 2, n - 2)


class Cutoffs(NamedTuple):
    """Cut-offs between a clinical and a functional population, in score points.

    `a` lies two clinical standard deviations from the clinical mean, `b` two functional ones from the
    functional mean, `c` where both are equally far away in their own standard deviations.
    """

    a: float
    b: float
    c: float


def cutoffs(
    *,
    m_clinical: float,
    sd_clinical: float,
    m_functional: float,
    sd_functional: float,
    direction: int = 1,
) -> Cutoffs:
    """Return the cut-offs a, b and c of Jacobson & Truax (1991).

    Parameters
    ----------
    m_clinical, sd_clinical, m_functional, sd_functional : float
        Mean and standard deviation of both populations, in score points.
    direction : int
        1 = higher is better, -1 = lower is better.

    Examples
    --------
    >>> cutoffs(m_clinical=40, sd_clinical=7.5, m_functional=60, sd_functional=7.5)
    Cutoffs(a=55.0, b=45.0, c=50.0)
    """
    _above_zero("sd_clinical", sd_clinical)
    _above_zero("sd_functional", sd_functional)
    _sign(direction)
    between = (sd_clinical * m_functional + sd_functional * m_clinical) / (sd_clinical + sd_functional)
    return Cutoffs(
        a=float(m_clinical + direction * 2 * sd_clinical),
        b=float(m_functional - direction * 2 * sd_functional),
        c=float(between),
    )


CHANGES = ("deteriorated", "unchanged", "improved")
OUTCOMES = ("recovered", *reversed(CHANGES), "harmed")


def classify(index: Array, *, criterion: float = CRITERION, direction: int = 1) -> Array:
    """Return for each index whether the change is reliable: 1 improved, 0 unchanged, -1 deteriorated.

    Parameters
    ----------
    index : float, shape (pairs,)
        Reliable change index; NaN stays NaN. An index on the criterion is no reliable change.
    criterion : float
        See `critical_value`.
    direction : int
        1 = higher is better, -1 = lower is better.

    Examples
    --------
    >>> classify(np.array([-2.7, 1.96, 2.5, np.nan]))
    array([-1.,  0.,  1., nan])
    """
    _above_zero("criterion", criterion)
    _sign(direction)
    values = direction * np.asarray(index, dtype=float)
    change = np.where(np.abs(values) > criterion + TOLERANCE, np.sign(values), 0.0)
    return np.where(np.isnan(values), np.nan, change)


def outcomes(earlier: Array, later: Array, change: Array, *, cutoff: float, direction: int = 1) -> Array:
    """Return what became of each person, in words, object, shape (pairs,); empty where a score is missing.

    Parameters
    ----------
    earlier, later : float, shape (pairs,)
    change : float, shape (pairs,)
        As `classify` gives it.
    cutoff : float
        One of `cutoffs`. A score on it lies on neither side.
    direction : int
        1 = higher is better, -1 = lower is better.

    Returns
    -------
    array
        recovered: reliably improved from the clinical side to the functional one. improved: reliably, but not
        across. harmed: reliably deteriorated, at first not on the clinical side and at last not on the
        functional one. deteriorated, unchanged.

    Examples
    --------
    >>> pairs = np.array([30.0, 30.0, 60.0]), np.array([55.0, 45.0, 40.0])
    >>> outcomes(*pairs, np.array([1.0, 1.0, -1.0]), cutoff=50).tolist()
    ['recovered', 'improved', 'harmed']
    """
    _sign(direction)
    first, last = (direction * (np.asarray(scores, dtype=float) - cutoff) for scores in (earlier, later))
    change = np.where(np.isfinite(first) & np.isfinite(last), np.asarray(change, dtype=float), np.nan)
    words = np.full(len(change), "", dtype=object)
    for code, word in enumerate(CHANGES, -1):
        words[change == code] = word
    words[(change == 1) & (first < -TOLERANCE) & (last > TOLERANCE)] = "recovered"
    words[(change == -1) & ~(first < -TOLERANCE) & ~(last > TOLERANCE)] = "harmed"
    return words


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        message = f"{name} must be above 0, got {value}"
        raise ValueError(message)


def _sign(direction: int) -> None:
    if direction not in {1, -1}:
        message = f"direction must be 1 or -1, got {direction}"
        raise ValueError(message)
