"""Estimates with their standard errors, and the checks that every statistic of this package begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.special import t_quantile, t_share

Array = np.ndarray[Any, Any]

LEVEL = 0.95
"""Coverage of every interval of this package."""


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Estimates of one model, one entry per term; NaN = not estimated.

    Attributes
    ----------
    names : the terms
    estimate, se : float; in the units of the outcome for one unit of the term
    df : float; degrees of freedom of Student's t behind `p` and the interval
    t, p : float; estimate / se, and its two-sided p; NaN where the standard error is 0
    low, high : float; 95 % interval
    """

    names: tuple[str, ...]
    estimate: Array
    se: Array
    df: Array
    t: Array
    p: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, names: Sequence[str], estimate: Array, se: Array, df: Array | float) -> Estimates:
        """Return the estimates with t, p and interval; NaN where the standard error or `df` is NaN or 0.

        >>> Estimates.of(["mean"], np.array([2.0]), np.array([1.0]), 10.0).p.round(4).tolist()
        [0.0734]
        """
        estimate, se = np.asarray(estimate, dtype=float), np.asarray(se, dtype=float)
        df = np.broadcast_to(np.asarray(df, dtype=float), estimate.shape)
        known = np.isfinite(estimate) & np.isfinite(se) & (df > 0)
        testable = known & (se > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.where(testable, estimate / se, np.nan)
        p = [
            2 * t_share(-abs(float(x)), float(k)) if ok else np.nan
            for x, k, ok in zip(t, df, testable, strict=True)
        ]
        margin = se * np.array(
            [half_width(float(k)) if ok else np.nan for k, ok in zip(df, known, strict=True)]
        )
        return cls(
            names=tuple(names), estimate=estimate, se=se, df=df, t=t, p=np.array(p, dtype=float),
            low=estimate - margin, high=estimate + margin,
        )  # fmt: skip

    @classmethod
    def unknown(cls, names: Sequence[str]) -> Estimates:
        """Return estimates that could not be made: NaN throughout."""
        blank = np.full(len(names), np.nan)
        return cls.of(names, blank, blank, blank)


def half_width(df: float) -> float:
    """Return how many standard errors a 95 % interval reaches to either side.

    >>> round(half_width(10), 6)
    2.228139
    """
    return t_quantile((1 + LEVEL) / 2, df)


def as_numbers(name: str, values: Any) -> Array:
    """Return a flat array of floats; NaN = missing. An infinity is refused."""
    numbers = np.asarray(values, dtype=float)
    if numbers.ndim != 1:
        message = f"{name} must have one dimension, got {numbers.ndim}"
        raise ValueError(message)
    if np.isinf(numbers).any():
        message = f"{name} must be finite or missing, got {numbers[np.isinf(numbers)][0]:g}"
        raise ValueError(message)
    return numbers


def as_labels(name: str, values: Any, length: int) -> Array:
    """Return labels (any values that can be sorted), as many as there are ratings."""
    labels = np.asarray(values)
    if labels.shape != (length,):
        message = f"{name} must have one entry for each of {length} rows, got shape {labels.shape}"
        raise ValueError(message)
    return labels


def same_length(**arrays: Array) -> None:
    """Raise ValueError unless all arrays are equally long."""
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        message = (
            f"{' and '.join(lengths)} must be equally long, got {' and '.join(map(str, lengths.values()))}"
        )
        raise ValueError(message)


def group_means(values: Array, code: Array, n_groups: int) -> Array:
    """Return the mean of each group, shape (n_groups,); NaN where a group is empty."""
    count = np.bincount(code, minlength=n_groups)
    with np.errstate(invalid="ignore"):
        mean: Array = np.bincount(code, weights=values, minlength=n_groups) / count
    return mean
