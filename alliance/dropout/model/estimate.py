"""Columns and outcomes → coefficients, by one of three estimators, with cluster-robust covariance."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.dropout.model.firth import FirthFit, firth, flic
from alliance.dropout.model.links import FAR, WORKING, Working, blocks
from alliance.errors import DataError, UsageError, unknown_name

Array = np.ndarray[Any, Any]

ESTIMATORS = ("firth", "ml", "ridge")

LEAST_THERAPISTS = 10
"""With fewer therapists standard errors, folds and the gate on therapists go by client (by design)."""

PENALTIES = tuple(float(each) for each in np.logspace(-2, 3, 11))
"""Ridge penalties tried, on half the sum of squared standardised slopes."""

FOLDS = 5
SEPARATED = 15.0
"""A linear predictor this far out, with maximum likelihood, is taken for one on its way to infinity."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Coefficients of one regression.

    Attributes
    ----------
    coef : float, shape (1 + terms,); the intercept first
    before : float; the intercept before it was refitted alone, the same where it was not
    covariance : float, shape (1 + terms, 1 + terms); cluster-robust, NaN with fewer than two clusters; with
        the ridge penalty in its information, which is held at `penalty`
    log_likelihood : float; at `coef`, without penalty
    penalty : float or None; the ridge penalty used
    """

    coef: Array
    before: float
    covariance: Array
    log_likelihood: float
    penalty: float | None = None

    @property
    def se(self) -> Array:
        """Cluster-robust standard errors, shape (1 + terms,)."""
        errors: Array = np.sqrt(np.diag(self.covariance))
        return errors


def estimate(
    columns: Array,
    y: Array,
    clusters: Array,
    *,
    link: str,
    estimator: str,
    weights: Array | None = None,
    penalty: float | None = None,
) -> Estimate:
    """Return the coefficients of y on `columns`, whose first is the intercept.

    Parameters
    ----------
    columns : float, shape (rows, 1 + terms)
    y : float, shape (rows,); 1 or 0, both present
    clusters : int, shape (rows,); rows of one cluster are not independent
    estimator : {"firth", "ml", "ridge"}
    weights : float, shape (rows,), optional
    penalty : float, optional
        For ridge; chosen by cross-validation over clusters if left out.

    Raises
    ------
    UsageError
        If an unknown estimator is asked for, or one that is not installed, or a penalty for another one than
        ridge.
    DataError
        If y is the same everywhere, or there is no maximum of the likelihood.
    """
    _check(y, link, estimator, weights)
    _check_penalty(penalty, estimator)
    used, before = penalty, np.nan
    if estimator == "firth":
        fit = _firth(columns, y, link, weights)
        coef, before = fit.coef, float(fit.coef[0])
        offset = columns[:, 1:] @ coef[1:]
        coef[0] = flic(offset, y, link=link, weights=weights, start=before)
    elif estimator == "ml":
        coef = _maximum_likelihood(columns, y, link, weights)
    else:
        used = _choose_penalty(columns, y, clusters, weights) if penalty is None else penalty
        coef = _ridge(columns, y, used, weights)
    sums = _cluster_sums(columns, y, coef, clusters, link=link, weights=weights)
    if used is not None:
        sums = replace(sums, information=sums.information + np.diag(_penalty_curvature(columns, used)))
    return Estimate(
        coef=coef,
        before=before if estimator == "firth" else float(coef[0]),
        covariance=sums.sandwich,
        log_likelihood=sums.log_likelihood,
        penalty=used,
    )


def cluster_covariance(
    columns: Array,
    y: Array,
    coef: Array,
    clusters: Array,
    *,
    link: str = "logit",
    weights: Array | None = None,
) -> Array:
    """Return the sandwich covariance that allows for dependence within clusters.

    A^-1 B A^-1 with A the observed information and B the sum over clusters of the outer product of their
    scores, times G/(G - 1) · (n - 1)/(n - k) for G clusters, n rows, k columns.

    Parameters
    ----------
    columns : float, shape (rows, k)
    y, clusters : shape (rows,)
    coef : float, shape (k,)

    Returns
    -------
    array, shape (k, k)
        NaN with fewer than two clusters.

    References
    ----------
    Liang, K.-Y., & Zeger, S. L. (1986). https://doi.org/10.1093/biomet/73.1.13
    """
    return _cluster_sums(columns, y, coef, clusters, link=link, weights=weights).sandwich


@dataclass(frozen=True, kw_only=True)
class _ClusterSums:
    """Log-likelihood, observed information and the score of each cluster, at some coefficients."""

    n_rows: int
    n_clusters: int
    log_likelihood: float
    information: Array
    scores: Array

    @property
    def sandwich(self) -> Array:
        """The covariance that allows for dependence within clusters, NaN with fewer than two."""
        n, size, groups = self.n_rows, len(self.information), self.n_clusters
        if groups <= 1 or n <= size:
            return np.full((size, size), np.nan)
        bread = np.linalg.inv(self.information)
        factor = groups / (groups - 1) * (n - 1) / (n - size)
        return np.asarray(factor * bread @ (self.scores @ self.scores.T) @ bread)


def _cluster_sums(
    columns: Array, y: Array, coef: Array, clusters: Array, *, link: str, weights: Array | None
) -> _ClusterSums:
    """Return the sums of one pass over all rows, which are added up by runs of one cluster first."""
    n, size = columns.shape
    code = clusters - int(clusters.min())
    information, log_likelihood, scores = np.zeros((size, size)), 0.0, []
    for rows in blocks(n, size):
        across = np.ascontiguousarray(columns[rows].T)
        linear, some = coef @ across, None if weights is None else weights[rows]
        part = WORKING[link](linear, y[rows], some)
        residual, curvature = part.residual, _curvature(part, linear, y[rows], link)
        if some is not None:
            residual, curvature = residual * some, curvature * some
        log_likelihood += part.log_likelihood
        information += (across * curvature) @ across.T
        runs = np.flatnonzero(np.diff(code[rows], prepend=-1))
        scores.append((code[rows][runs], np.add.reduceat(across * residual, runs, axis=1)))
    place = np.concatenate([codes for codes, _ in scores])
    sums = np.concatenate([each for _, each in scores], axis=1)
    return _ClusterSums(
        n_rows=n,
        n_clusters=n_distinct(place),
        log_likelihood=log_likelihood,
        information=information,
        scores=np.stack([np.bincount(place, weights=each) for each in sums]),
    )


def n_distinct(codes: Array) -> int:
    """Return the number of different codes, which are small whole numbers from 0.

    >>> n_distinct(np.array([4, 0, 4]))
    2
    """
    return int(np.count_nonzero(np.bincount(codes)))


def clusters_of(therapist: Array, client: Array) -> tuple[Array, str]:
    """Return the cluster of each row, and what it is: the therapist, or with fewer than ten the client.

    Rows without a known therapist are clusters by client.
    """
    known = therapist >= 0
    if n_distinct(therapist[known]) < LEAST_THERAPISTS:
        return client, "client"
    return np.asarray(np.where(known, therapist, therapist.max() + 1 + client)), "therapist"


def _curvature(part: Working, linear: Array, y: Array, link: str) -> Array:
    """Return minus the second derivative of the log-likelihood in the linear predictor."""
    if link == "logit":
        return part.weight
    rate = np.exp(np.clip(linear, -FAR, FAR))
    odds = rate / -np.expm1(-rate)
    return np.asarray(np.where(y > 0, odds * np.exp(-rate) * (odds - 1), rate))


def _check(y: Array, link: str, estimator: str, weights: Array | None) -> None:
    if estimator not in ESTIMATORS:
        what, hint = unknown_name("estimator", estimator, ESTIMATORS)
        raise UsageError(what, hint=hint)
    if link not in WORKING:
        what, hint = unknown_name("link", link, WORKING)
        raise UsageError(what, hint=hint)
    if estimator == "ridge" and link != "logit":
        message = f"ridge is there for the logit link only, not for {link}"
        raise UsageError(message, hint="choose the estimator firth, or the link logit")
    if weights is not None and not (weights > 0).all():
        message = f"weights must be above 0, got {weights.min():g}"
        raise ValueError(message)
    n_events = int((y == 1).sum())
    if not 0 < n_events < len(y):
        message = f"nothing to learn from: {n_events} of {len(y)} rows are events"
        raise DataError(message, hint="a model needs rows with and without the event")


def _check_penalty(penalty: float | None, estimator: str) -> None:
    if penalty is not None and estimator != "ridge":
        message = f"a penalty is for the estimator ridge, not for {estimator}"
        raise UsageError(message, hint="leave the penalty out, or choose the estimator ridge")
    if penalty is not None and not penalty > 0:
        message = f"the penalty of ridge must be above 0, got {penalty:g}"
        raise UsageError(message, hint="leave it out to have it chosen by cross-validation")


def _firth(columns: Array, y: Array, link: str, weights: Array | None) -> FirthFit:
    try:
        return firth(columns, y, link=link, weights=weights)
    except (ValueError, np.linalg.LinAlgError) as failed:
        message = f"the model cannot be estimated from {len(y)} rows: {failed}"
        raise DataError(message, hint="use fewer terms, or more data") from None


def _maximum_likelihood(columns: Array, y: Array, link: str, weights: Array | None) -> Array:
    api = statsmodels("api", what="the estimator ml")
    families = api.families
    kind = families.links.Logit() if link == "logit" else families.links.CLogLog()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = api.GLM(y, columns, family=families.Binomial(link=kind), freq_weights=weights)
        result = model.fit(tol=1e-12, tol_criterion="params", maxiter=100)
    coef = np.asarray(result.params, dtype=float)
    if not result.converged or not np.isfinite(coef).all() or np.abs(columns @ coef).max() > SEPARATED:
        message = "there are no maximum-likelihood estimates: some terms separate events from the rest"
        raise DataError(message, hint="choose the estimator firth, whose estimates are always finite")
    return coef


def _ridge(columns: Array, y: Array, penalty: float, weights: Array | None) -> Array:
    """Return logistic coefficients with half `penalty` times the sum of squared standardised slopes."""
    linear_model = _sklearn("sklearn.linear_model")
    centre, scale = columns[:, 1:].mean(axis=0), _spread(columns)
    model = linear_model.LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-10, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit((columns[:, 1:] - centre) / scale, y, sample_weight=weights)
    slopes = model.coef_[0] / scale
    return np.concatenate([[float(model.intercept_[0]) - float(slopes @ centre)], slopes])


def _spread(columns: Array) -> Array:
    """Return the standard deviation of each column but the first, 1 for one that does not vary."""
    scale = columns[:, 1:].std(axis=0)
    return np.where(scale > 0, scale, 1.0)


def _penalty_curvature(columns: Array, penalty: float) -> Array:
    """Return the second derivative of the ridge penalty in each coefficient; 0 for the intercept."""
    return np.append(0.0, penalty * _spread(columns) ** 2)


def _choose_penalty(columns: Array, y: Array, clusters: Array, weights: Array | None) -> float:
    """Return the penalty with the least log-loss in folds that keep each cluster together.

    A tie goes to the stronger penalty.
    """
    folds = _folds(clusters, y)
    losses = [
        (sum(_loss(columns, y, fold, penalty, weights) for fold in folds), -penalty) for penalty in PENALTIES
    ]
    return -min(losses)[1]


def _loss(columns: Array, y: Array, fold: Array, penalty: float, weights: Array | None) -> float:
    kept = None if weights is None else weights[~fold]
    coef = _ridge(columns[~fold], y[~fold], penalty, kept)
    left = None if weights is None else weights[fold]
    return -WORKING["logit"](columns[fold] @ coef, y[fold], left).log_likelihood


def _folds(clusters: Array, y: Array) -> list[Array]:
    """Return up to five masks of rows: clusters dealt out by size, both outcomes among the rest."""
    _, place, count = np.unique(clusters, return_inverse=True, return_counts=True)
    dealt = np.empty(len(count), dtype=np.int64)
    dealt[np.lexsort((np.arange(len(count)), -count))] = np.arange(len(count)) % FOLDS
    masks = [dealt[place] == fold for fold in range(FOLDS)]
    return [each for each in masks if each.any() and 0 < y[~each].sum() < (~each).sum()]


def statsmodels(module: str, *, what: str = "this") -> Any:
    """Return a module of statsmodels by its name within the package; `what` is told to need it.

    Raises
    ------
    UsageError
        If statsmodels is not installed.
    """
    try:
        return importlib.import_module(f"statsmodels.{module}")
    except ImportError:
        message = f"{what} needs statsmodels, which is not installed"
        raise UsageError(message, hint='pip install "alliance-toolkit[models]"') from None


def _sklearn(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        message = "the estimator ridge needs scikit-learn, which is not installed"
        raise UsageError(message, hint='pip install "alliance-toolkit[models]"') from None
