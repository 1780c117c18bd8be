"""A score in two parts: how a case usually is, and how far a session is from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE

Array = np.ndarray[Any, Any]

CENTRES = ("mean", "so-far")


def case_means(values: Array, case: Array) -> Array:
    """Return the mean of every case, shape (cases,); `case` holds codes from 0, each of them used."""
    count = np.bincount(case)
    middle = values.mean() if len(values) else 0.0
    mean: Array = middle + np.bincount(case, weights=values - middle) / count
    return mean


def deviations(values: Array, case: Array) -> Array:
    """Return values less the mean of their case.

    >>> deviations(np.array([1.0, 3.0, 7.0]), np.array([0, 0, 1])).tolist()
    [-1.0, 1.0, 0.0]
    """
    apart: Array = values - case_means(values, case)[case]
    return apart


def detrended(values: Array, session: Array, case: Array) -> Array:
    """Return values less the straight line over the sessions of their case; 0 for a case with two or fewer.

    >>> detrended(np.array([1.0, 3.0, 2.0]), np.array([1, 2, 3]), np.zeros(3, dtype=int)).tolist()
    [-0.5, 1.0, -0.5]
    """
    apart, time = deviations(values, case), deviations(session.astype(float), case)
    power = np.bincount(case, weights=time**2)
    slope = np.bincount(case, weights=time * apart) / np.where(power > 0, power, 1.0)
    left: Array = apart - slope[case] * time
    return np.where(np.abs(left) < TOLERANCE, 0.0, left)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The two parts of a score, one entry for each pair.

    Attributes
    ----------
    between : float; the usual level of the case, less the mean of the cases' usual levels
    within : float; the session's own distance from the usual level
    middle : float; what was taken from `between`
    """

    between: Array
    within: Array
    middle: float


def split(
    values: Array,
    case: Array,
    *,
    session: Array | None = None,
    so_far: Array | None = None,
) -> Parts:
    """Split a score into its two parts.

    Parameters
    ----------
    values : float, shape (pairs,)
    case : int, shape (pairs,); codes from 0, each of them used
    session : int; take each case's own straight line over these out of the within part
    so_far : float; the usual level is this, which no later session moves, instead of the mean over the pairs

    Returns
    -------
    Parts
        With the mean over the pairs, the within part sums to 0 in every case: the parts are uncorrelated.

    References
    ----------
    Curran, P. J., & Bauer, D. J. (2011). https://doi.org/10.1146/annurev.psych.093008.100356

    Examples
    --------
    >>> parts = split(np.array([1.0, 3.0, 6.0, 8.0]), np.array([0, 0, 1, 1]))
    >>> parts.within.tolist(), parts.between.tolist(), parts.middle
    ([-1.0, 1.0, -1.0, 1.0], [-2.5, -2.5, 2.5, 2.5], 4.5)
    """
    usual = case_means(values, case)[case] if so_far is None else so_far
    middle = float(case_means(usual, case).mean())
    within = values - usual if session is None else detrended(values, session, case)
    return Parts(between=usual - middle, within=within, middle=middle)
