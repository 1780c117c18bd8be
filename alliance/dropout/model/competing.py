"""Dropout beside other ends: the cumulative incidence of both from their hazards."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def incidence_of_hazards(h_dropout: Array, h_other: Array) -> tuple[Array, Array, Array]:
    """Return the cumulative incidence of dropout and of other ends, and the survival, after each session.

    For users of the library: it turns `HazardModel.hazard` and the hazard of its `competing` model into
    incidence. That of times comes from `alliance.dropout.ends.lifetable`.

    Parameters
    ----------
    h_dropout, h_other : float, shape (…, sessions)
        Cause-specific hazards at successive sessions; their sum is at most 1.

    Returns
    -------
    dropout, other, survival : float, shape (…, sessions)
        S(t) = S(t - 1)(1 - h_d - h_o); CIF_k(t) = CIF_k(t - 1) + S(t - 1) h_k(t). One minus the product of
        1 - h_d alone would overstate dropout.

    Examples
    --------
    >>> dropout, other, survival = incidence_of_hazards(np.array([0.1, 0.08]), np.array([0.0, 0.02]))
    >>> dropout.round(4), other.round(4), survival.round(4)
    (array([0.1  , 0.172]), array([0.   , 0.018]), array([0.9 , 0.81]))
    """
    h_dropout, h_other = np.asarray(h_dropout, dtype=float), np.asarray(h_other, dtype=float)
    total = h_dropout + h_other
    if ((h_dropout < 0) | (h_other < 0) | (total > 1 + 1e-9)).any():
        message = f"hazards must be at least 0 and sum to at most 1, got a sum of {total.max():g}"
        raise ValueError(message)
    survival = np.cumprod(1 - total, axis=-1)
    before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)
    return np.cumsum(before * h_dropout, axis=-1), np.cumsum(before * h_other, axis=-1), survival
