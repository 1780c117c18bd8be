"""What needs no model: how much of a score lies between cases, and both correlations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.outcome.parts import case_means, deviations
from alliance.special import t_share

Array = np.ndarray[Any, Any]

Z_95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How one score varies between and within cases.

    Attributes
    ----------
    n_scores, n_cases : int
    mean : float, score points; mean of all scores
    between_sd : float; SD of the cases' means, n - 1
    within_sd : float; SD about the cases' means, scores less cases as degrees of freedom
    icc : float; ICC(1), share of the variance that lies between cases; below 0: cases are no different
    mean_reliability : float; how reliable a case's mean is as its usual level, 1 - MSW / MSB; 0 if below
    reason : text; why there is none of it, empty where there is
    """

    n_scores: int
    n_cases: int
    mean: float = math.nan
    between_sd: float = math.nan
    within_sd: float = math.nan
    icc: float = math.nan
    mean_reliability: float = math.nan
    reason: str = ""


def spread(values: Array, case: Array) -> Spread:
    """Return how a score varies between and within cases, from the one-way analysis of variance.

    Parameters
    ----------
    values : float, shape (scores,); none missing
    case : int, shape (scores,); codes from 0, each of them used

    References
    ----------
    Shrout, P. E., & Fleiss, J. L. (1979). https://doi.org/10.1037/0033-2909.86.2.420
    Lüdtke, O., et al. (2008). https://doi.org/10.1037/a0012869

    Examples
    --------
    >>> found = spread(np.array([1.0, 3.0, 5.0, 7.0]), np.array([0, 0, 1, 1]))
    >>> round(found.icc, 6), found.mean_reliability
    (0.777778, 0.875)
    """
    count = np.bincount(case) if len(case) else np.zeros(0, dtype=np.int64)
    n, n_cases = len(values), len(count)
    basis: dict[str, Any] = {"n_scores": n, "n_cases": n_cases}
    if n_cases < 2:  # noqa: PLR2004  a spread between cases needs two
        return Spread(**basis, reason=f"not enough data: {counted(n_cases, 'case')} of 2")
    if n == n_cases:
        return Spread(**basis, reason="not enough data: one pair in each case")
    if np.ptp(values) <= TOLERANCE:
        return Spread(**basis, reason="the score never varies")
    means = case_means(values, case)
    msw = float((deviations(values, case) ** 2).sum() / (n - n_cases))
    msb = float((count * (means - values.mean()) ** 2).sum() / (n_cases - 1))
    size = (n - (count**2).sum() / n) / (n_cases - 1)
    whole = msb + (size - 1) * msw
    return Spread(
        **basis,
        mean=float(values.mean()),
        between_sd=float(means.std(ddof=1)),
        within_sd=math.sqrt(msw),
        icc=float((msb - msw) / whole),
        mean_reliability=max(0.0, 1 - msw / msb) if msb > 0 else 0.0,
    )


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """A correlation, 95 % interval (Fisher's z) and p (Student's t, `df`); NaN where `reason` says why."""

    level: str
    n: int
    r: float = math.nan
    df: int = 0
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    reason: str = ""


def within_correlation(x: Array, y: Array, case: Array) -> Correlation:
    """Return the correlation of deviations from the cases' own means, pooled over cases.

    Degrees of freedom: pairs less cases less 1; the interval takes df + 2 for the number of pairs.

    References
    ----------
    Bland, J. M., & Altman, D. G. (1995). https://doi.org/10.1136/bmj.310.6977.446
    Bakdash, J. Z., & Marusich, L. R. (2017). https://doi.org/10.3389/fpsyg.2017.00456

    Examples
    --------
    >>> case = np.array([0, 0, 0, 1, 1, 1])
    >>> x, y = np.array([1.0, 2, 3, 11, 12, 13]), np.array([5.0, 7, 6, 1, 2, 3])
    >>> within_correlation(x, y, case).r
    0.75
    """
    n_cases = len(np.unique(case))
    apart = (deviations(x, case), deviations(y, case)) if len(x) else (x, y)
    return _correlation("within", *apart, n=len(x), df=len(x) - n_cases - 1, what="pairs")


def between_correlation(x: Array, y: Array, case: Array) -> Correlation:
    """Return the correlation of the cases' means, each case counting once."""
    means = (case_means(x, case), case_means(y, case)) if len(x) else (x, y)
    apart = [each - each.mean() if len(each) else each for each in means]
    return _correlation("between", apart[0], apart[1], n=len(means[0]), df=len(means[0]) - 2, what="cases")


def _correlation(level: str, x: Array, y: Array, *, n: int, df: int, what: str) -> Correlation:
    """Return the correlation of two centred arrays."""
    basis: dict[str, Any] = {"level": level, "n": n, "df": max(df, 0)}
    if df < 1:
        return Correlation(**basis, reason=f"not enough data: {counted(n, what[:-1])}")
    norms = [math.sqrt(float(each @ each)) for each in (x, y)]
    for norm, which in zip(norms, ("first", "second"), strict=True):
        if norm <= TOLERANCE * math.sqrt(n):
            return Correlation(**basis, reason=f"the {which} score does not vary {level} cases")
    r = float(np.clip(x @ y / (norms[0] * norms[1]), -1, 1))
    t = r * math.sqrt(df / (1 - r * r)) if abs(r) < 1 else math.inf
    p = 2 * t_share(-abs(t), df) if math.isfinite(t) else 0.0
    if df < 2 or abs(r) == 1:  # noqa: PLR2004  Fisher's z has the variance 1 / (df - 1)
        return Correlation(**basis, r=r, p=p)
    half = Z_95 / math.sqrt(df - 1)
    low, high = (math.tanh(math.atanh(r) + side * half) for side in (-1, 1))
    return Correlation(**basis, r=r, low=low, high=high, p=p)


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "case"), counted(2, "case")
    ('1 case', '2 cases')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
