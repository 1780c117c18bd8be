"""Linear models with random intercepts, one or two levels deep, by restricted maximum likelihood.

With intercepts alone every step is a sum over units: a fit searches for one root at a time, and a variance of
0 is an answer like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.dyads.estimates import group_means

Array = np.ndarray[Any, Any]

LARGEST_RATIO = 1e12
"""A variance between units this many times that within them is taken for infinite."""

MOST_ROUNDS = 500
SETTLED = 1e-12


@dataclass(frozen=True, kw_only=True)
class MixedFit:
    """A linear model with random intercepts.

    Attributes
    ----------
    beta, se : float, shape (terms,); fixed effects and their standard errors
    group, nested, residual : float; variances of the group's intercept, of the unit's within the group, and
        of a single row, in squared units of the outcome
    deviance : float; -2 times the restricted log-likelihood, as lme4 counts it
    """

    beta: Array
    se: Array
    group: float
    nested: float
    residual: float
    deviance: float


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """What the data are to the model.

    `size`, `mean` : rows and means of every innermost unit, shape (units,) and (units, terms + 1); the last
    column is the outcome
    `inner` : cross-products within units, shape (terms + 1, terms + 1)
    `owner` : the group of each unit
    """

    size: Array
    mean: Array
    inner: Array
    owner: Array
    n_groups: int


@dataclass(frozen=True, kw_only=True)
class _At:
    """The model at given ratios of variances: cross-products, log-determinant, and slopes of the deviance."""

    cross: Array
    log_det: float
    slope: Array


def fit_intercepts(y: Array, x: Array, group: Array, nested: Array | None = None) -> MixedFit:
    """Fit y = x beta + u(group) [+ v(nested within group)] + e by REML.

    Parameters
    ----------
    y : float, shape (rows,)
    x : float, shape (rows, terms), of full rank
    group : shape (rows,); label
    nested : shape (rows,), or None; label of the unit, which belongs to one group

    Returns
    -------
    MixedFit
        Variances at or above 0. The search goes level by level to the ratio of variances at which the slope
        of the restricted likelihood is 0, or to 0 where it falls from there on, until nothing moves.

    References
    ----------
    Bates, D., Maechler, M., Bolker, B., & Walker, S. (2015). Fitting linear mixed-effects models using lme4.
    Journal of Statistical Software, 67(1), 1-48. https://doi.org/10.18637/jss.v067.i01
    """
    n, k = x.shape
    sums = _sums(np.column_stack([x, y]), group, nested)
    levels = (0,) if nested is None else (1, 0)
    ratios = np.zeros(2)
    for _ in range(MOST_ROUNDS):
        before = ratios.copy()
        for level in levels:
            ratios[level] = _best(sums, ratios, level, n)
        if np.abs(ratios - before).max() <= SETTLED * (1 + ratios.max()):
            break
    at = _model_at(sums, ratios, n)
    beta, left = _solve(at.cross)
    residual = left / (n - k)
    covariance = residual * np.linalg.inv(at.cross[:-1, :-1])
    deviance = (n - k) * (1 + np.log(2 * np.pi * residual)) + at.log_det
    return MixedFit(
        beta=beta,
        se=np.sqrt(np.diag(covariance)),
        group=float(ratios[0] * residual),
        nested=float(ratios[1] * residual),
        residual=float(residual),
        deviance=float(deviance + np.linalg.slogdet(at.cross[:-1, :-1])[1]),
    )


def _sums(data: Array, group: Array, nested: Array | None) -> _Sums:
    groups, owner = np.unique(group, return_inverse=True)
    units, unit = (groups, owner) if nested is None else np.unique(nested, return_inverse=True)
    mean = np.column_stack([group_means(column, unit, len(units)) for column in data.T])
    apart = data - mean[unit]
    of_unit = np.zeros(len(units), dtype=np.int64)
    of_unit[unit] = owner
    return _Sums(
        size=np.bincount(unit, minlength=len(units)).astype(float),
        mean=mean,
        inner=apart.T @ apart,
        owner=of_unit,
        n_groups=len(groups),
    )


def _best(sums: _Sums, ratios: Array, level: int, n: int) -> float:
    """Return the ratio of one level's variance to that of a single row, given that of the other level."""
    from scipy.optimize import brentq

    def slope(ratio: float) -> float:
        there = ratios.copy()
        there[level] = ratio
        return float(_model_at(sums, there, n).slope[level])

    if slope(0.0) >= 0:
        return 0.0
    low, high = 0.0, 1.0
    while slope(high) < 0:
        low, high = high, 4 * high
        if high > LARGEST_RATIO:
            return low
    return float(brentq(slope, low, high, xtol=1e-15, rtol=1e-14))


def _model_at(sums: _Sums, ratios: Array, n: int) -> _At:
    """Return the model where the variances are `ratios` (group, nested) times that of a single row.

    With W the covariance of the rows over the residual variance: cross = [x y]' W^-1 [x y], and the slopes
    are those of log|W| + log|x' W^-1 x| + (n - terms) log(residual sum of squares). No step subtracts what is
    nearly equal.
    """
    outer, inner = ratios
    weight = sums.size / (1 + sums.size * inner)
    total = np.bincount(sums.owner, weights=weight, minlength=sums.n_groups)
    level = np.column_stack(
        [
            np.bincount(sums.owner, weights=weight * column, minlength=sums.n_groups) / total
            for column in sums.mean.T
        ]
    )
    apart = sums.mean - level[sums.owner]
    shrunk = total / (1 + outer * total)
    cross = sums.inner + (apart.T * weight) @ apart + (level.T * shrunk) @ level
    log_det = np.log1p(sums.size * inner).sum() + np.log1p(outer * total).sum()
    beta, left = _solve(cross)
    at_group = shrunk[:, None] * level
    at_unit = weight[:, None] * (apart + level[sums.owner] / (1 + outer * total)[sums.owner, None])
    square_unit = weight - outer * weight**2 / (1 + outer * total)[sums.owner]
    slope = [
        _slope(projected, own, cross, beta, (n - len(beta)) / left)
        for projected, own in ((at_group, shrunk), (at_unit, square_unit))
    ]
    return _At(cross=cross, log_det=float(log_det), slope=np.array(slope))


def _solve(cross: Array) -> tuple[Array, float]:
    """Return the coefficients and the weighted residual sum of squares."""
    beta: Array = np.linalg.solve(cross[:-1, :-1], cross[:-1, -1])
    contrast = np.append(-beta, 1.0)
    return beta, float(contrast @ cross @ contrast)


def _slope(projected: Array, own: Array, cross: Array, beta: Array, precision: float) -> float:
    """Return the slope of the deviance along one ratio.

    `projected` is z' W^-1 [x y] of each unit with indicator z, shape (units, terms + 1); `own` is z' W^-1 z;
    `precision` is 1 / residual variance.
    """
    terms = projected[:, :-1]
    missed = projected[:, -1] - terms @ beta
    leverage = np.einsum("ij,ji->", terms, np.linalg.solve(cross[:-1, :-1], terms.T))
    return float(own.sum() - leverage - precision * (missed @ missed))
