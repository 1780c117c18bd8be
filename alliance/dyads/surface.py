"""Response surface: does an outcome go with agreement of two raters, or with their disagreement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from alliance.dyads.estimates import Estimates, as_labels, as_numbers, same_length

Array = np.ndarray[Any, Any]

MIN_ROWS = 20
"""Rows (cases, if not clustered; clusters otherwise) that are needed before a surface is fitted."""

COEFFICIENTS = ("b0", "b1", "b2", "b3", "b4", "b5")
SURFACE = ("a1", "a2", "a3", "a4")
CONTRASTS = np.array(
    [[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 1, -1, 0, 0, 0], [0, 0, 0, 1, -1, 1]], dtype=float
)
"""a1 to a4 as sums of b0 to b5: slope and curvature along agreement, then along disagreement."""

NO_VARIATION = "not enough data: the ratings do not vary enough for six coefficients"
CERTAIN = 1e-9


@dataclass(frozen=True, kw_only=True)
class ResponseSurface:
    """A second-degree surface over two ratings, by ordinary least squares.

    Attributes
    ----------
    by_error : mapping of a kind of standard error ("classical", "hc3", and "cluster" if rows are clustered)
        to the Estimates of b0 to b5 and a1 to a4; the estimates are the same in each
    centre : float; the common point both ratings are centred at, score points
    sigma : float; residual standard deviation, outcome units
    r_squared : float, 0 to 1
    n_rows, n_clusters : int; n_clusters is 0 if rows are not clustered
    reason : text; why there are no estimates, else empty
    """

    by_error: Mapping[str, Estimates]
    centre: float
    sigma: float
    r_squared: float
    n_rows: int
    n_clusters: int
    reason: str


def response_surface(
    client: Any,
    therapist: Any,
    outcome: Any,
    *,
    centre: float | None = None,
    cluster: Any = None,
    min_rows: int = MIN_ROWS,
) -> ResponseSurface:
    """Fit Z = b0 + b1 C + b2 T + b3 C^2 + b4 C T + b5 T^2 and the lines of agreement and disagreement on it.

    a1 = b1 + b2 and a2 = b3 + b4 + b5: slope and curvature along the line of agreement, C = T. a3 = b1 - b2
    and a4 = b3 - b4 + b5: the same along the line of disagreement, where C and T lie equally far on opposite
    sides of the centre. Slopes are those at the centre. Standard errors of a1 to a4 come from the covariance
    matrix of the b.

    Parameters
    ----------
    client, therapist : float, shape (rows,)
        Ratings in points of the same answer range: case means, one row for each case; or single sessions, if
        `cluster` names their case. NaN = not rated.
    outcome : float, shape (rows,); Z, in its own units and direction; rows with a missing value are left out
    centre : the one point at which both are centred, such as the middle of the scale; by default the mean of
        all ratings of both
    cluster : shape (rows,), or None; label of the case, for standard errors that allow for its repeated rows
    min_rows : rows, or clusters, that are needed; never less than 7

    Returns
    -------
    ResponseSurface
        NaN with a reason if there are too few rows or they do not vary enough. "classical": equal variances;
        "hc3": unequal ones; both with rows - 6 degrees of freedom. "cluster": sandwich summed over clusters,
        times G / (G - 1) * (n - 1) / (n - 6), with G - 1 degrees of freedom.

    References
    ----------
    Edwards, J. R., & Parry, M. E. (1993). On the use of polynomial regression equations as an alternative to
    difference scores in organizational research. Academy of Management Journal, 36(6), 1577-1613.
    MacKinnon, J. G., & White, H. (1985). Some heteroskedasticity-consistent covariance matrix estimators.
    Journal of Econometrics, 29(3), 305-325.
    """
    given = {
        "client": as_numbers("client", client),
        "therapist": as_numbers("therapist", therapist),
        "outcome": as_numbers("outcome", outcome),
    }
    same_length(**given)
    kept = np.isfinite(np.array([*given.values()])).all(axis=0)
    first, second, z = (values[kept] for values in given.values())
    groups = None if cluster is None else as_labels("cluster", cluster, len(kept))[kept]
    n_clusters = 0 if groups is None else len(np.unique(groups))
    needed = max(min_rows, len(COEFFICIENTS) + 1)
    n, noun = (len(z), "rows") if groups is None else (n_clusters, "clusters")
    if n < needed:
        return _unknown(f"not enough data: {n} of {needed} {noun}", len(z), n_clusters)
    middle = float(np.mean([first, second])) if centre is None else float(centre)
    design = _design(first - middle, second - middle)
    if np.linalg.matrix_rank(design / np.maximum(np.abs(design).max(axis=0), CERTAIN)) < len(COEFFICIENTS):
        return _unknown(NO_VARIATION, len(z), n_clusters)
    return _fit(design, z, groups, centre=middle, n_clusters=n_clusters)


def _design(first: Array, second: Array) -> Array:
    return np.column_stack([np.ones(len(first)), first, second, first**2, first * second, second**2])


def _unknown(reason: str, n_rows: int, n_clusters: int) -> ResponseSurface:
    kinds = ("classical", "hc3", "cluster") if n_clusters else ("classical", "hc3")
    blank = {kind: Estimates.unknown((*COEFFICIENTS, *SURFACE)) for kind in kinds}
    return ResponseSurface(
        by_error=MappingProxyType(blank), centre=np.nan, sigma=np.nan, r_squared=np.nan, n_rows=n_rows,
        n_clusters=n_clusters, reason=reason,
    )  # fmt: skip


def _fit(x: Array, z: Array, groups: Array | None, *, centre: float, n_clusters: int) -> ResponseSurface:
    n, k = x.shape
    q, r = np.linalg.qr(x)
    beta = np.linalg.solve(r, q.T @ z)
    residual = z - x @ beta
    free = float(n - k)
    variance = float(residual @ residual) / free
    root = np.linalg.inv(r)
    bread = root @ root.T
    leverage = (q**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(leverage < 1 - CERTAIN, residual / (1 - leverage), np.nan)
    covariance = {"classical": (variance * bread, free), "hc3": (_sandwich(bread, x * apart[:, None]), free)}
    if groups is not None:
        _, code = np.unique(groups, return_inverse=True)
        sums = np.array([np.bincount(code, weights=column * residual) for column in x.T]).T
        scale = n_clusters / (n_clusters - 1) * (n - 1) / free
        covariance["cluster"] = (scale * _sandwich(bread, sums), n_clusters - 1.0)
    spread = float(((z - z.mean()) ** 2).sum())
    return ResponseSurface(
        by_error=MappingProxyType({kind: _estimates(beta, *found) for kind, found in covariance.items()}),
        centre=centre,
        sigma=float(np.sqrt(variance)),
        r_squared=1 - float(residual @ residual) / spread if spread > 0 else np.nan,
        n_rows=n,
        n_clusters=n_clusters,
        reason="",
    )


def _sandwich(bread: Array, scores: Array) -> Array:
    covariance: Array = bread @ (scores.T @ scores) @ bread
    return covariance


def _estimates(beta: Array, covariance: Array, df: float) -> Estimates:
    """Return b0 to b5 and a1 to a4."""
    lines = np.vstack([np.eye(len(beta)), CONTRASTS])
    variance = np.einsum("ij,jk,ik->i", lines, covariance, lines)
    return Estimates.of((*COEFFICIENTS, *SURFACE), lines @ beta, np.sqrt(np.maximum(variance, 0)), df)
