"""Predictions and what came → the smooth calibration curve, its errors, groups, and the decision curve."""

from __future__ import annotations

from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dropout.model.estimate import statsmodels

Array = np.ndarray[Any, Any]

FRAC = 0.75
"""Share of the predictions that each point of the smooth curve looks at."""

POINTS = 1000
"""Predictions up to which the smooth curve is exact."""

Z_95 = 1.959963984540054

THRESHOLDS = (*(step / 200 for step in range(1, 21)), *(step / 100 for step in range(11, 31)))
"""Thresholds of the decision curve: by half a percent to 10 %, by one percent to 30 % (by design)."""


def smooth(
    y: Array,
    p: Array,
    *,
    order: Array | None = None,
    weight: Array | None = None,
    points: int = POINTS,
) -> tuple[Array, Array]:
    """Return the smooth calibration curve: the observed share of events along the predictions.

    Lowess (statsmodels) with a span of 0.75 and no robustness steps: at each place a line through the nearest
    75 % of the predictions, weighted by the tricube of their distance. Exact for up to `points` predictions;
    with more, no two lines are fitted nearer than 1 / `points` of the range, and those between are drawn.

    Parameters
    ----------
    y : 0 or 1, shape (rows,)
    p : float, shape (rows,)
    order : int, shape (rows,), optional; places that sort `p`, if known already
    weight : int, shape (rows,), optional; how often each row counts
    points : int; lines at most, about

    Returns
    -------
    tuple of arrays, shape (places,)
        Predictions, ascending, each as often as it counts, and the curve's height there.

    Raises
    ------
    UsageError
        If statsmodels is not installed.

    References
    ----------
    Cleveland, W. S. (1979). https://doi.org/10.1080/01621459.1979.10481038
    Austin, P. C., & Steyerberg, E. W. (2019). https://doi.org/10.1002/sim.8281 (they use R's loess)
    """
    order = np.argsort(p, kind="stable") if order is None else order
    if weight is not None:
        order = np.repeat(order, np.asarray(weight)[order].astype(np.int64))
    at, outcome = np.asarray(p, dtype=float)[order], np.asarray(y, dtype=float)[order]
    reach = float(np.ptp(at)) if len(at) else 0.0
    if reach <= TOLERANCE:
        return at, np.full(len(at), outcome.mean() if len(at) else np.nan)
    lowess = statsmodels("nonparametric.smoothers_lowess", what="calibration").lowess
    delta = 0.0 if len(at) <= points else reach / points
    height = lowess(outcome, at, frac=FRAC, it=0, delta=delta, is_sorted=True, return_sorted=False)
    return at, np.asarray(height)


def calibration_errors(
    y: Array,
    p: Array,
    *,
    order: Array | None = None,
    weight: Array | None = None,
    points: int = POINTS,
) -> dict[str, float]:
    """Return ICI, E50 and E90: mean, median and 90th percentile of |smooth curve - prediction|.

    Parameters are those of `smooth`; 0 = perfectly calibrated. NaN without any row.

    Examples
    --------
    >>> y, p = np.array([0, 0, 1, 1]), np.array([0.2, 0.4, 0.6, 0.8])
    >>> sorted(calibration_errors(y, p))
    ['e50', 'e90', 'ici']
    """
    at, height = smooth(y, p, order=order, weight=weight, points=points)
    if not len(at):
        return dict.fromkeys(("ici", "e50", "e90"), float("nan"))
    error = np.abs(height - at)
    middle, most = np.quantile(error, [0.5, 0.9])
    return {"ici": float(error.mean()), "e50": float(middle), "e90": float(most)}


def calibration_groups(y: Array, p: Array, *, groups: int = 10) -> list[dict[str, float]]:
    """Return predicted and observed shares in groups of equally many rows, by rising prediction.

    Parameters
    ----------
    y : 0 or 1, shape (rows,)
    p : float, shape (rows,)
    groups : int; number of groups, fewer if there are fewer rows

    Returns
    -------
    list of dict
        `predicted` and `observed` mean, `n` rows, and Wilson's 95 % interval `low` to `high` of the observed
        share, which takes the rows as independent.

    References
    ----------
    Wilson, E. B. (1927). https://doi.org/10.1080/01621459.1927.10502953

    Examples
    --------
    >>> found = calibration_groups(np.array([0, 1]), np.array([0.2, 0.6]), groups=2)
    >>> [(each["predicted"], each["observed"], each["n"]) for each in found]
    [(0.2, 0.0, 1), (0.6, 1.0, 1)]
    """
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, groups) if len(part)]
    found = []
    for part in parts:
        low, high = wilson(float(y[part].sum()), len(part))
        found.append(
            {
                "predicted": float(p[part].mean()),
                "observed": float(y[part].mean()),
                "n": len(part),
                "low": low,
                "high": high,
            }
        )
    return found


def wilson(events: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of `events` among `n`.

    >>> [round(limit, 4) for limit in wilson(2, 10)]
    [0.0567, 0.5098]
    """
    share, square = events / n, Z_95**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z_95 / (1 + square / n) * np.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
