"""Predictions and flags → the decision curve: what acting from each threshold on would gain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from alliance.dropout.validation.curves import THRESHOLDS
from alliance.dropout.validation.metrics import net_benefit, reaches

Array = np.ndarray[Any, Any]


def decision_curve(
    y: Array, p: Array, *, drf1: Array | None = None, thresholds: Iterable[float] = THRESHOLDS
) -> list[dict[str, float]]:
    """Return the net benefit at every threshold: the model, treating all, treating none, the rule flag.

    Parameters
    ----------
    y : 0 or 1, shape (rows,)
    p : float, shape (rows,); predicted probability
    drf1 : bool, shape (rows,), optional; rows that the rules flag REVIEW
    thresholds : probabilities above 0 and below 1

    Returns
    -------
    list of dict
        `threshold`, `model`, `all`, `none` (always 0), `drf1` (NaN if there is no flag).

    Examples
    --------
    >>> decision_curve(np.array([0, 1]), np.array([0.1, 0.4]), thresholds=[0.2])
    [{'threshold': 0.2, 'model': 0.5, 'all': 0.375, 'none': 0.0, 'drf1': nan}]
    """
    everybody = np.ones(len(y), dtype=bool)
    return [
        {
            "threshold": float(limit),
            "model": net_benefit(y, reaches(p, limit), limit),
            "all": net_benefit(y, everybody, limit),
            "none": 0.0,
            "drf1": float("nan") if drf1 is None else net_benefit(y, drf1, limit),
        }
        for limit in thresholds
    ]
