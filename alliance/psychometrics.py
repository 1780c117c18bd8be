"""Reliable change, standard errors and within-person spread: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import Courses

Array = np.ndarray[Any, Any]


def sem(sd: float, reliability: float) -> float:
    """Return the standard error of measurement, sd * sqrt(1 - reliability), in score points.

    >>> round(sem(9, 0.90), 6)
    2.84605
    """
    if not 0 <= reliability < 1:
        message = f"reliability must be at least 0 and below 1, got {reliability}"
        raise ValueError(message)
    if not sd > 0:
        message = f"sd must be above 0, got {sd}"
        raise ValueError(message)
    return float(sd * np.sqrt(1 - reliability))


def reliable_change(change: Array | float, *, sem: float) -> Array:
    """Return the reliable change index, change / (sqrt(2) * sem); NaN stays NaN.

    References
    ----------
    Jacobson, N. S., & Truax, P. (1991). https://doi.org/10.1037/0022-006X.59.1.12

    Examples
    --------
    >>> round(float(reliable_change(15, sem=7.5 * 0.2 ** 0.5)), 2)
    3.16
    """
    if not sem > 0:
        message = f"sem must be above 0, got {sem}"
        raise ValueError(message)
    index: Array = np.asarray(change, dtype=float) / (np.sqrt(2) * sem)
    return index


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Variance between neighbouring sessions, one entry per series.

    Attributes
    ----------
    variance : float; sum(d^2) / (2 k) in squared score points, 0 where k = 0
    df : float; effective degrees of freedom, 2 k^2 / (3 k - 1), 0 where k = 0
    pairs : int; number k of neighbour pairs
    """

    variance: Array
    df: Array
    pairs: Array


def effective_df(pairs: Array) -> Array:
    """Return the effective degrees of freedom of a variance from `pairs` successive differences.

    >>> effective_df(np.array([0, 4, 7])).round(4).tolist()
    [0.0, 2.9091, 4.9]
    """
    pairs = np.asarray(pairs, dtype=float)
    return np.where(pairs > 0, 2 * pairs**2 / np.maximum(3 * pairs - 1, 1), 0.0)


def successive_spread(courses: Courses) -> Spread:
    """Return von Neumann's successive-difference variance of every series.

    Only neighbours count: both sessions scored, their numbers one apart, no long gap between. A trend within
    a series hardly moves it.

    References
    ----------
    von Neumann, J., Kent, R. H., Bellinson, H. R., & Hart, B. I. (1941). The mean square
    successive difference. Annals of Mathematical Statistics, 12(2), 153-162.
    """
    change = courses.change_from_neighbour()
    paired = np.isfinite(change)
    n_series = len(courses.starts)
    series = courses.series[paired]
    pairs = np.bincount(series, minlength=n_series)
    squares = np.bincount(series, weights=change[paired] ** 2, minlength=n_series)
    return Spread(variance=squares / np.maximum(2 * pairs, 1), df=effective_df(pairs), pairs=pairs)
