"""Regression of a yes/no outcome by Firth's penalised likelihood, in row blocks that stay in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.dropout.model.links import WORKING, block_length, blocks, mean_of

Array = np.ndarray[Any, Any]

FEW_ROWS = 20_000
"""Up to this many rows the hat diagonal comes from the information of the same step, else of the last one."""

LONGEST_STEP = 5.0
HALVINGS = 30
SLACK = 1e-12
EVEN, FINE = 1e-4, 4e-7
"""With many rows the climb also ends before a step this short, in standard errors and in itself."""

STILL = 1e-13
"""Square of the last step of an intercept; a Newton step, as of the logit, leaves half of that."""

PATIENCE = 25
"""Passes after which a Newton step replaces the Fisher step."""

NUDGE = 1e-4
STRIDES = (1024, 64, 8)
"""With many rows the climb begins at the estimate from every so many of them, one after the other."""

NEAR = 1.0
"""Longest last step, in standard errors, of an estimate that only says where to begin."""


@dataclass(frozen=True, kw_only=True)
class FirthFit:
    """A fit by Firth's penalised likelihood.

    Attributes
    ----------
    coef : float, shape (columns,)
    covariance : float, shape (columns, columns); inverse of the expected information at the estimate
    log_likelihood, penalised : float; without and with half the log determinant of the information
    n_iter : int; passes over all rows
    """

    coef: Array
    covariance: Array
    log_likelihood: float
    penalised: float
    n_iter: int

    @property
    def se(self) -> Array:
        """Standard errors of the model, shape (columns,)."""
        errors: Array = np.sqrt(np.diag(self.covariance))
        return errors


def firth(
    columns: Array,
    y: Array,
    *,
    link: str = "logit",
    weights: Array | None = None,
    start: Array | None = None,
    tolerance: float = 1e-9,
    max_iter: int = 200,
) -> FirthFit:
    """Return the estimates that maximise the likelihood times the square root of the information.

    They are finite even where the outcome is separated. Each Fisher step is halved until the penalised
    likelihood does not fall. With many rows the steps begin at the estimate from every eighth row.

    Parameters
    ----------
    columns : array, shape (rows, columns)
        The design, with its column of ones if there is to be an intercept. Finite, linearly independent.
    y : array, shape (rows,)
        1 or 0.
    link : {"logit", "cloglog"}
    weights : array, shape (rows,), optional
        Number of times that each row counts, above 0.
    start : array, shape (columns,), optional
    tolerance : float
        Longest last step, in standard errors.
    max_iter : int

    Raises
    ------
    ValueError
        If the link is unknown, columns are linearly dependent, or there is no convergence.

    References
    ----------
    Firth, D. (1993). https://doi.org/10.1093/biomet/80.1.27; Heinze, G., & Schemper, M. (2002).
    https://doi.org/10.1002/sim.1047

    Examples
    --------
    A group with 3 of 10: log((3 + .5)/(7 + .5)).

    >>> firth(np.ones((10, 1)), np.repeat([1.0, 0.0], [3, 7])).coef
    array([-0.76214005])
    """
    _check_link(link)
    problem = _Problem(columns=columns, y=np.asarray(y, dtype=float), link=link, weights=weights)
    return _climb(problem, _start(problem, start), tolerance=tolerance, max_iter=max_iter)


def flic(
    offset: Array,
    y: Array,
    *,
    link: str = "logit",
    weights: Array | None = None,
    start: float = 0.0,
) -> float:
    """Return the intercept by maximum likelihood, with the linear predictor of all slopes as `offset`.

    With the logit link the mean predicted probability is then the share observed.

    Parameters
    ----------
    offset, y : array, shape (rows,)
        y is 1 or 0 and not the same everywhere.

    References
    ----------
    Puhr, R., Heinze, G., Nold, M., Lusa, L., & Geroldinger, A. (2017). https://doi.org/10.1002/sim.7273

    Examples
    --------
    >>> round(flic(np.zeros(10), np.repeat([1.0, 0.0], [3, 7])), 6)
    -0.847298
    """
    _check_link(link)
    y = np.asarray(y, dtype=float)
    if not 0 < y.mean() < 1:
        message = f"y must hold both 0 and 1, got a mean of {y.mean():g}"
        raise ValueError(message)
    intercept, before = float(start), np.inf
    for _ in range(100):
        score, information = _intercept_sums(offset, intercept, y, link, weights)
        step = float(np.clip(score / max(information, 1e-300), -LONGEST_STEP, LONGEST_STEP))
        intercept += step
        if step * step <= STILL * (1.0 if link == "logit" else min(before, 1.0)):
            return intercept
        before = abs(step)
    message = f"the intercept must converge, got a last step of {step:g}"
    raise ValueError(message)


def _intercept_sums(
    offset: Array, intercept: float, y: Array, link: str, weights: Array | None
) -> tuple[float, float]:
    """Return the score and the information of the intercept."""
    score = information = 0.0
    for rows in blocks(len(y)):
        linear = offset[rows] + intercept
        if link == "logit" and weights is None:
            mean = mean_of(linear, link)
            total = float(mean.sum())
            score += float(y[rows].sum()) - total
            information += total - float(mean @ mean)
            continue
        part = WORKING[link](linear, y[rows])
        weight = np.ones(len(linear)) if weights is None else weights[rows]
        score += float(weight @ part.residual)
        information += float(weight @ part.weight)
    return score, information


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """The data of one fit."""

    columns: Array
    y: Array
    link: str
    weights: Array | None = None

    @property
    def lag(self) -> float:
        """Least share of a step that the next one is taken to have, the hat diagonal being one step behind.

        By design, from simulations: it lies above what remains of a step near the end.
        """
        n_events = float(self.y.sum())
        fewer = max(min(n_events, len(self.y) - n_events), 1.0)
        return float(self.columns.shape[1] / np.sqrt(fewer))

    def part(self, rows: slice) -> _Problem:
        """Return some rows."""
        weights = None if self.weights is None else self.weights[rows]
        return _Problem(columns=self.columns[rows], y=self.y[rows], link=self.link, weights=weights)


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """Penalised score, information and log-likelihood at one vector of coefficients."""

    score: Array
    information: Array
    log_likelihood: float

    @property
    def penalised(self) -> float:
        """The log-likelihood plus half the log determinant of the information, -inf where it has none."""
        sign, size = np.linalg.slogdet(self.information)
        return self.log_likelihood + 0.5 * float(size) if sign > 0 else -np.inf

    @property
    def step(self) -> Array:
        """The Fisher step, no coefficient further than LONGEST_STEP."""
        return _limited(np.linalg.solve(self.information, self.score))


def _limited(step: Array) -> Array:
    return step * (LONGEST_STEP / max(float(np.abs(step).max()), LONGEST_STEP))


def _whiten(information: Array) -> Array | None:
    """Return the inverse Cholesky factor of the information, None where it is singular."""
    try:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(information)))
    except np.linalg.LinAlgError:
        return None


def _sums(problem: _Problem, coef: Array, whiten: Array | None) -> _Sums:
    """Return the sums at `coef`; the hat diagonal comes from `whiten`, else from the same information."""
    if whiten is None:
        whiten = _whiten(_pass(problem, coef, np.zeros((len(coef),) * 2)).information)
        whiten = np.zeros((len(coef),) * 2) if whiten is None else whiten
    return _pass(problem, coef, whiten)


def _pass(problem: _Problem, coef: Array, whiten: Array) -> _Sums:
    """Return the sums of one pass over all rows, block by block in two products each."""
    n, size = problem.columns.shape
    lead = np.vstack([whiten, coef])
    length = min(block_length(size), n)
    copied, scratch = np.empty((size, length)), np.empty((size + 1, length))
    products, log_likelihood = np.zeros((size + 1, size)), 0.0
    for rows in blocks(n, size):
        some = problem.part(rows)
        m = len(some.y)
        across = some.columns.T
        if not across.flags.c_contiguous and across.strides[1] != across.itemsize:
            across = copied[:, :m]
            np.copyto(across, some.columns.T)
        log_likelihood += _fill(some, across, lead, scratch[:, :m])
        products += scratch[:, :m] @ across.T
    return _Sums(score=products[-1], information=products[:-1], log_likelihood=log_likelihood)


def _fill(some: _Problem, across: Array, lead: Array, scratch: Array) -> float:
    """Fill `scratch` with the weighted columns and the penalised residual; return the log-likelihood.

    `across` holds the columns, shape (columns, rows); `lead` the inverse Cholesky factor, then the
    coefficients.
    """
    np.matmul(lead, across, out=scratch)
    residual = np.einsum("ij,ij->j", scratch[:-1], scratch[:-1])
    part = WORKING[some.link](scratch[-1], some.y, some.weights)
    residual *= part.weight
    residual *= part.pull
    residual += part.residual
    weight = part.weight
    if some.weights is not None:
        residual *= some.weights
        weight = weight * some.weights
    np.multiply(across, weight, out=scratch[:-1])
    scratch[-1] = residual
    return part.log_likelihood


def _climb(problem: _Problem, begin: _Start, *, tolerance: float, max_iter: int) -> FirthFit:
    coef, whiten, before = begin.coef, begin.whiten, 0.0
    now, n_iter, length = _sums(problem, coef, whiten), 1, np.inf
    _require_independent(now)
    while n_iter < max_iter:
        step = now.step if n_iter < PATIENCE else _sharp_step(problem, coef, now)
        length = float(np.sqrt(max(float(step @ now.information @ step), 0.0)))
        share = max(length / before, problem.lag) if before else 1.0
        settled = share * length < EVEN and share * float(np.abs(step).max()) < FINE
        if length < tolerance or (whiten is not None and settled):
            return _fit(coef + step, now, n_iter)
        whiten = None if whiten is None or n_iter >= PATIENCE else _whiten(now.information)
        now, step, n_tries = _halved(problem, coef, step, whiten, least=now.penalised)
        coef, before, n_iter = coef + step, length, n_iter + n_tries
    message = f"the estimates must converge within {max_iter} passes, got a last step of {length:g}"
    raise ValueError(message)


def _sharp_step(problem: _Problem, coef: Array, now: _Sums) -> Array:
    """Return the Newton step with the slope of the penalised score itself, from differences.

    Where the penalty weighs much the information is no good slope, and Fisher steps approach slowly.
    """
    moves = np.diag(NUDGE / np.sqrt(np.diag(now.information)))
    change = [
        _sums(problem, coef + each, None).score - _sums(problem, coef - each, None).score for each in moves
    ]
    slope = np.array(change).T / (2 * np.diag(moves))
    step = np.linalg.solve(-(slope + slope.T) / 2, now.score)
    uphill = np.isfinite(step).all() and float(step @ now.score) > 0
    return _limited(step) if uphill else now.step


def _halved(
    problem: _Problem, coef: Array, step: Array, whiten: Array | None, *, least: float
) -> tuple[_Sums, Array, int]:
    """Return the sums after the step, halved until the penalised likelihood is at `least` what it was."""
    least -= SLACK * (1 + abs(least))
    n_tries = 1
    after = _sums(problem, coef + step, whiten)
    while after.penalised < least and n_tries < HALVINGS:
        step, n_tries = step / 2, n_tries + 1
        after = _sums(problem, coef + step, whiten)
    return after, step, n_tries


def _fit(coef: Array, sums: _Sums, n_iter: int) -> FirthFit:
    return FirthFit(
        coef=coef,
        covariance=np.linalg.inv(sums.information),
        log_likelihood=sums.log_likelihood,
        penalised=sums.penalised,
        n_iter=n_iter,
    )


def _require_independent(sums: _Sums) -> None:
    if not np.isfinite(sums.penalised):
        message = "columns must be linearly independent, got a singular information"
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class _Start:
    """Where to begin; `whiten` is the inverse factor of the information there, where there are many rows."""

    coef: Array
    whiten: Array | None


def _start(problem: _Problem, coef: Array | None) -> _Start:
    """Return the estimate from ever more of the rows, each begun at the one before."""
    n, size = problem.columns.shape
    start, information = np.zeros(size) if coef is None else np.asarray(coef, dtype=float), None
    if n <= FEW_ROWS:
        return _Start(coef=start, whiten=None)
    for stride in STRIDES:
        some = problem.part(slice(None, None, stride))
        whiten = None if information is None else _whiten(information / stride)
        try:
            fit = _climb(some, _Start(coef=start, whiten=whiten), tolerance=NEAR, max_iter=100)
        except (ValueError, np.linalg.LinAlgError):
            continue
        start, information = fit.coef, np.linalg.inv(fit.covariance) * stride
    whiten = np.zeros((size, size)) if information is None else _whiten(information)
    return _Start(coef=start, whiten=whiten)


def _check_link(link: str) -> None:
    if link not in WORKING:
        message = f"link must be one of {', '.join(WORKING)}, got '{link}'"
        raise ValueError(message)
