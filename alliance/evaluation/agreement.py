"""Counts of right and wrong → coefficients of agreement: arrays in, arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def ratio(numerator: Array | float, denominator: Array | float) -> Array:
    """Return numerator / denominator, NaN where the denominator is 0: that is not enough data.

    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0]))
    array([0.25,  nan])
    """
    above, below = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below != 0, above / below, np.nan)


def coefficients(tp: Array, fp: Array, fn: Array, tn: Array) -> dict[str, Array]:
    """Return how well flags agree with the truth, from the four counts of their table.

    Parameters
    ----------
    tp, fp, fn, tn : array, any one shape
        Units that are ruptures and flagged, flagged only, ruptures only, neither.

    Returns
    -------
    dict of arrays of that shape
        `sensitivity`, `specificity`, `ppv`, `npv`: shares. `prevalence`: share of ruptures, the base rate at
        which `ppv` holds. `kappa` (Cohen), `ac1` (Gwet), `pabak`, `mcc` (Matthews): 1 = all agree, 0 = no
        better than chance as each defines it. NaN where a denominator is 0.

    Notes
    -----
    With n units, observed agreement o = (tp + tn) / n, p = share of ruptures, q = share flagged:
    kappa = (o - e) / (1 - e), e = p q + (1 - p)(1 - q); AC1 is the same with e = 2 m (1 - m),
    m = (p + q) / 2; PABAK = 2 o - 1; MCC = (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn)).
    Where ruptures are rare, kappa is low even if nearly all units agree: read it beside AC1 and prevalence.

    References
    ----------
    Gwet, K. L. (2008). https://doi.org/10.1348/000711006X126600

    Examples
    --------
    >>> found = coefficients(*np.array([[2], [1], [1], [16]]))
    >>> [round(float(found[name][0]), 6) for name in ("kappa", "ac1", "pabak", "mcc")]
    [0.607843, 0.865772, 0.8, 0.607843]
    """
    tp, fp, fn, tn = (np.asarray(each, dtype=float) for each in (tp, fp, fn, tn))
    total = tp + fp + fn + tn
    observed = ratio(tp + tn, total)
    truly, flagged = ratio(tp + fn, total), ratio(tp + fp, total)
    middle = (truly + flagged) / 2
    by_margins = truly * flagged + (1 - truly) * (1 - flagged)
    by_middle = 2 * middle * (1 - middle)
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "sensitivity": ratio(tp, tp + fn),
        "specificity": ratio(tn, tn + fp),
        "ppv": ratio(tp, tp + fp),
        "npv": ratio(tn, tn + fn),
        "prevalence": truly,
        "kappa": ratio(observed - by_margins, 1 - by_margins),
        "ac1": ratio(observed - by_middle, 1 - by_middle),
        "pabak": 2 * observed - 1,
        "mcc": ratio(tp * tn - fp * fn, np.sqrt(margins)),
    }
