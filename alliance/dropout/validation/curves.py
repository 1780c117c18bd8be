"""Predictions and what came → the smooth calibration curve, its errors, groups, and the decision curve."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FRAC = 0.75
"""Share of the predictions that each point of the smooth curve looks at."""

POINTS = 1000
"""Places the smooth curve is computed at, at most; with more predictions neighbours are averaged first."""

Z_95 = 1.959963984540054

THRESHOLDS = (*(step / 200 for step in range(1, 21)), *(step / 100 for step in range(11, 31)))
"""Thresholds of the decision curve: by half a percent to 10 %, by one percent to 30 % (by design)."""

_LEAST = 1e-12


def smooth(
    y: Array,
    p: Array,
    *,
    order: Array | None = None,
    weight: Array | None = None,
    points: int = POINTS,
) -> tuple[Array, Array]:
    """Return the smooth calibration curve: the observed share of events along the predictions.

    Lowess with a span of 0.75 and no robustness steps: at each place a line through the nearest 75 % of the
    predictions, weighted by the tricube of their distance. Exact for up to `points` different rows; more
    are first averaged in that many groups of neighbours, equally large.

    Parameters
    ----------
    y : 0 or 1, shape (rows,)
    p : float, shape (rows,)
    order : int, shape (rows,), optional; places that sort `p`, if known already
    weight : float, shape (rows,), optional; how often each row counts
    points : int; places at most

    Returns
    -------
    tuple of arrays, shape (places,)
        Predictions, ascending, and the curve's height there. A place may come twice.

    References
    ----------
    Cleveland, W. S. (1979). https://doi.org/10.1080/01621459.1979.10481038
    Austin, P. C., & Steyerberg, E. W. (2019). https://doi.org/10.1002/sim.8281 (they use R's loess)
    """
    at, height, mass = _condensed(y, p, order, weight, points)
    return at, _lowess(at, height, mass)


def _condensed(
    y: Array, p: Array, order: Array | None, weight: Array | None, points: int
) -> tuple[Array, Array, Array]:
    """Return mean prediction, mean outcome and weight of at most `points` groups of neighbours."""
    order = np.argsort(p, kind="stable") if order is None else order
    counts = np.ones(len(p)) if weight is None else np.asarray(weight, dtype=float)
    order = order[counts[order] > 0]
    x, z, mass = p[order], y[order].astype(float), counts[order]
    if len(x) <= points:
        return x, z, mass
    group = np.minimum((points * (np.cumsum(mass) - mass / 2) / mass.sum()).astype(np.int64), points - 1)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    total = np.add.reduceat(mass, first)
    return np.add.reduceat(mass * x, first) / total, np.add.reduceat(mass * z, first) / total, total


def _lowess(x: Array, y: Array, mass: Array) -> Array:
    """Return the local line at every x, ascending, each counted `mass` times."""
    if not len(x):
        return np.zeros(0)
    n = mass.sum()
    nearest = min(max(float(int(FRAC * n + 1e-10)), 2.0), n)
    distance = np.abs(x[:, None] - x)
    near = np.argsort(distance, axis=1, kind="stable")
    reached = np.cumsum(mass[near], axis=1) >= nearest - 1e-9
    last = near[np.arange(len(x)), reached.argmax(axis=1)]
    radius = np.abs(x - x[last])[:, None]
    share = np.where(radius > 0, distance / np.maximum(radius, _LEAST), distance > 0)
    kernel = mass * np.clip(1 - share**3, 0, None) ** 3
    kernel /= kernel.sum(axis=1, keepdims=True)
    centre = kernel @ x
    aside = x - centre[:, None]
    spread = np.maximum((kernel * aside**2).sum(axis=1), _LEAST)
    rise = (kernel * aside) @ y / spread
    line: Array = kernel @ y + (x - centre) * rise
    return line


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
    at, height, mass = _condensed(y, p, order, weight, points)
    if not len(at):
        return dict.fromkeys(("ici", "e50", "e90"), float("nan"))
    error = np.abs(_lowess(at, height, mass) - at)
    return {
        "ici": float((mass * error).sum() / mass.sum()),
        "e50": _quantile(error, mass, 0.5),
        "e90": _quantile(error, mass, 0.9),
    }


def _quantile(values: Array, mass: Array, share: float) -> float:
    """Return the quantile of `values` repeated `mass` times, by linear interpolation of order statistics."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(mass[order])
    place = share * (upto[-1] - 1)
    low = np.floor(place + 1e-9)
    ends = np.minimum(np.searchsorted(upto, [low + 0.5, low + 1.5]), len(values) - 1)
    below, above = values[order][ends]
    return float(below + max(place - low, 0.0) * (above - below))


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
