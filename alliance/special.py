"""Quantiles of Student's t, and the digamma family, in numpy and the standard library alone.

They are all that a verdict needs of scipy, whose import takes longer than judging a caseload, and far longer
than scoring the one form somebody waits for.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ENOUGH = 10.0
"""From here on the asymptotic series is exact to the last digits."""

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
TINY = 1e-300
PRECISION = 1e-15
MOST_STEPS = 200


def digamma(values: Array) -> Array:
    """Return the logarithmic derivative of the gamma function, for values above 0.

    >>> digamma(np.array([1.0])).round(12).tolist()
    [-0.577215664902]
    """
    far, shift = _far(values, lambda x: -1 / x)
    series = sum(b / (2 * k * far ** (2 * k)) for k, b in enumerate(BERNOULLI, 1))
    return shift + np.log(far) - 1 / (2 * far) - series


def trigamma(values: Array) -> Array:
    """Return the derivative of `digamma`, for values above 0.

    >>> trigamma(np.array([1.0])).round(12).tolist()
    [1.644934066848]
    """
    far, shift = _far(values, lambda x: 1 / x**2)
    series = sum(b / far ** (2 * k + 1) for k, b in enumerate(BERNOULLI, 1))
    return shift + 1 / far + 1 / (2 * far**2) + series


def tetragamma(values: Array) -> Array:
    """Return the derivative of `trigamma`, for values above 0.

    >>> tetragamma(np.array([1.0])).round(12).tolist()
    [-2.404113806319]
    """
    far, shift = _far(values, lambda x: -2 / x**3)
    series = sum((2 * k + 1) * b / far ** (2 * k + 2) for k, b in enumerate(BERNOULLI, 1))
    return shift - 1 / far**2 - 1 / far**3 - series


def _far(values: Array, term: Any) -> tuple[Array, Array]:
    """Move every value up to where the series holds; return it, and the sum of `term` over the way."""
    far = np.array(values, dtype=float)
    shift = np.zeros_like(far)
    while (near := far < ENOUGH).any():
        shift[near] += term(far[near])
        far[near] += 1
    return far, shift


@lru_cache(maxsize=4096)
def t_quantile(p: float, df: float) -> float:
    """Return the value below which a share `p` of Student's t distribution lies; `df` above 0.

    >>> round(t_quantile(0.01, 5.6), 6), round(t_quantile(0.975, 1e9), 6)
    (-3.219307, 1.959964)
    """
    if not 0 < p < 1 or not df > 0:
        message = f"p must lie between 0 and 1 and df above 0, got p {p} and df {df}"
        raise ValueError(message)
    if p > 0.5:  # noqa: PLR2004  the upper half mirrors the lower one
        return -t_quantile(1 - p, df)
    if p == 0.5:  # noqa: PLR2004
        return 0.0
    low, high = -1.0, 0.0
    while t_share(low, df) > p:
        low, high = 2 * low, low
    while high - low > PRECISION * max(1.0, -low):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if t_share(middle, df) < p else (low, middle)
    return (low + high) / 2


def t_share(value: float, df: float) -> float:
    """Return the share of Student's t distribution below `value`, which must not be above 0.

    >>> t_share(0.0, 3.0), round(t_share(-1.0, 1.0), 12)
    (0.5, 0.25)
    """
    square = value * value
    inner, outer = square / (df + square), df / (df + square)
    if inner == 0:
        return 0.5
    front = math.exp(_log_ratio(df / 2) - math.log(math.pi) / 2)
    log_outer = math.log1p(-inner) if inner < outer else math.log(outer)
    power = math.exp(0.5 * math.log(inner) + df / 2 * log_outer)
    if inner < 1.5 / (df / 2 + 2.5):
        return 0.5 - front * power * _fraction(inner, 0.5, df / 2)
    return front * power * _fraction(outer, df / 2, 0.5) / df


def _log_ratio(a: float) -> float:
    """Return log(gamma(a + 1/2) / gamma(a)), by its series where the difference would lose digits."""
    if a < 50:  # noqa: PLR2004  from here on the series is exact to the last digits
        return math.lgamma(a + 0.5) - math.lgamma(a)
    return math.log(a) / 2 - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function I_x(a, b), by Lentz's method."""
    numerator, denominator = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = denominator
    for m in range(1, MOST_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            denominator = 1 / _not_zero(1 + term * denominator)
            numerator = _not_zero(1 + term / numerator)
            change = denominator * numerator
            value *= change
        if abs(change - 1) < PRECISION:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
