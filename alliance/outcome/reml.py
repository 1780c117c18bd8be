"""Linear mixed models by restricted maximum likelihood: cases differing at random, in therapists at random.

Every step is a sum over cases of small matrices: a thousand cases cost as many steps of the optimiser as ten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

STARTS = (0.3, 1.0, 3.0)
"""SDs between cases, in SDs within them, from which the search sets out until two ends agree."""

THERAPISTS = 0.3
"""SD between therapists there, in SDs between cases."""

SETTLED = 1e-6
"""How far -2 log likelihood may still be from its lowest point, by Newton's reckoning."""

LEAST_RATIO = 1e-6
"""A variance between cases below this share of that within them is at its bound, 0."""

ROUNDING = 1e-9
"""Rise of the deviance, in its own size, and step of the search that are nothing but rounding."""

STEP = 2e-5
"""Distance of the differences by which slope and curvature are taken where the search ended."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A linear mixed model.

    Attributes
    ----------
    beta, covariance : float, shape (terms,) and (terms, terms); fixed effects and their sampling covariance
    random : float, shape (effects, effects); covariance of what differs between cases
    therapist : float; variance of the therapists' intercepts, 0 without therapists
    residual : float; variance within a case
    deviance : float; -2 log restricted likelihood
    settled : bool; whether the lowest point was reached
    at_bound : bool; whether a variance is 0, or a correlation -1 or 1
    ratio : float; the Cholesky factor of `random`, in residual SDs
    """

    beta: Array
    covariance: Array
    random: Array
    therapist: float
    residual: float
    deviance: float
    settled: bool
    at_bound: bool
    ratio: Array


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """What the data are to the model; d = [x, y, 1].

    `zz`, `zd`, `one` : z'z, z'd, d'1 of each case; `dd` : d'd of all rows; `owner` : therapist of the case
    """

    zz: Array
    zd: Array
    one: Array
    dd: Array
    owner: Array | None
    n: int


@dataclass(frozen=True, kw_only=True)
class _Units:
    """Units in which the search works: middle and SD of the outcome, size of every column."""

    middle: float
    y: float
    x: Array
    reach: Array
    of_deviance: float

    @classmethod
    def of(cls, data: Data) -> _Units:
        unit, columns = float(data.y.std()) or 1.0, _sizes(data.x)
        n, k = data.x.shape
        lost = 2 * (n - k) * math.log(unit) + 2 * float(np.log(columns).sum())
        return cls(middle=float(data.y.mean()), y=unit, x=columns, reach=_sizes(data.z), of_deviance=lost)


@dataclass(frozen=True, kw_only=True)
class _At:
    beta: Array
    information: Array
    residual: float
    deviance: float


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a model is fitted to.

    Attributes
    ----------
    y : float, shape (rows,)
    x : float, shape (rows, terms), of full rank; the first column is 1
    z : float, shape (rows, effects); the first column is 1
    case : int, shape (rows,); codes from 0, each of them used
    therapist : int, shape (cases,), or None; codes from 0, each of them used
    """

    y: Array
    x: Array
    z: Array
    case: Array
    therapist: Array | None = None


def fit(data: Data, *, start: tuple[Array, float] | None = None) -> Fit:
    """Fit y = x beta + z b(case) [+ t(therapist)] + e, b with any covariance, by REML.

    Parameters
    ----------
    data : Data
    start : covariance of what differs between cases and variance of therapists, optional
        In residual variances: a place from which the search sets out, too.

    Returns
    -------
    Fit
        By the profiled restricted likelihood of Bates et al. (2015). The search is unbounded over the
        Cholesky factor, whose sign means nothing, so that a variance of 0 is a point like any other; it sets
        out from several places and ends with Newton's steps.

    References
    ----------
    Bates, D., Maechler, M., Bolker, B., & Walker, S. (2015). https://doi.org/10.18637/jss.v067.i01

    Examples
    --------
    >>> case = np.array([0, 0, 1, 1])
    >>> one = np.ones((4, 1))
    >>> found = fit(Data(y=np.array([1.0, 3.0, 5.0, 7.0]), x=one, z=one, case=case))
    >>> found.beta.round(6).tolist(), round(found.residual, 6), round(float(found.random[0, 0]), 6)
    ([4.0], 2.0, 7.0)
    """
    sums, units = _sums(data)
    n_random = data.z.shape[1]
    place, settled = _lowest(sums, n_random, None if start is None else _place_of(*start, units.reach))
    place = _zero_where_no_worse(sums, place, n_random)
    at, factor, extra = _model_at(sums, place, n_random), _factor(place, n_random), place[-1] ** 2
    unit, reach, scale = units.y, units.reach, units.y / units.x
    in_units = (unit / reach)[:, None] * factor
    beta = at.beta * scale
    beta[0] += units.middle
    return Fit(
        beta=beta,
        covariance=at.residual * np.linalg.inv(at.information) * np.outer(scale, scale),
        random=at.residual * in_units @ in_units.T,
        therapist=float(extra * at.residual * unit**2) if data.therapist is not None else 0.0,
        residual=at.residual * unit**2,
        deviance=at.deviance + units.of_deviance,
        settled=settled,
        at_bound=_at_bound(factor, extra if data.therapist is not None else 1.0),
        ratio=factor / reach[:, None],
    )


def deviance_at(data: Data, covariance: Array, therapist: float = 0.0) -> float:
    """Return -2 log restricted likelihood where cases and therapists differ by so many residual variances.

    Fixed effects and residual variance are the best for that. What is no covariance is drawn to the next one.
    """
    sums, units = _sums(data)
    place = _place_of(covariance, therapist, units.reach)
    return _model_at(sums, place, data.z.shape[1]).deviance + units.of_deviance


def _place_of(covariance: Array, therapist: float, reach: Array) -> Array:
    """Return the place of the search that a covariance stands for."""
    values, vectors = np.linalg.eigh(covariance * np.outer(reach, reach))
    factor = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0))).T).R.T
    return np.append(factor[np.tril_indices(len(factor))], math.sqrt(max(therapist, 0)))


def _sizes(columns: Array) -> Array:
    size = np.sqrt((columns**2).mean(axis=0))
    return np.where(size > 0, size, 1.0)


def _sums(data: Data) -> tuple[_Sums, _Units]:
    units = _Units.of(data)
    case, z = data.case, data.z / units.reach
    d = np.column_stack([data.x / units.x, (data.y - units.middle) / units.y, np.ones(len(data.y))])
    n_cases = int(case.max()) + 1

    def per_case(left: Array, right: Array) -> Array:
        found = np.empty((n_cases, left.shape[1], right.shape[1]))
        for i in range(left.shape[1]):
            for j in range(right.shape[1]):
                found[:, i, j] = np.bincount(case, weights=left[:, i] * right[:, j], minlength=n_cases)
        return found

    sums = _Sums(
        zz=per_case(z, z),
        zd=per_case(z, d),
        one=per_case(d, d[:, -1:])[:, :, 0],
        dd=d.T @ d,
        owner=data.therapist,
        n=len(data.y),
    )
    return sums, units


def _factor(place: Array, n_random: int) -> Array:
    factor = np.zeros((n_random, n_random))
    factor[np.tril_indices(n_random)] = place[: n_random * (n_random + 1) // 2]
    return factor


def _model_at(sums: _Sums, place: Array, n_random: int) -> _At:
    """Return the model at a Cholesky factor of the cases; the last entry of `place` is the therapists' SD."""
    factor = _factor(place, n_random)
    inner = np.eye(n_random) + factor.T @ sums.zz @ factor
    turned = factor.T @ sums.zd
    solved = np.linalg.solve(inner, turned)
    cross = sums.dd - np.einsum("cqi,cqj->ij", turned, solved)
    log_det = float(np.linalg.slogdet(inner)[1].sum())
    if sums.owner is not None:
        own = sums.one - np.einsum("cqi,cq->ci", turned, solved[:, :, -1])
        of_therapist = np.column_stack([np.bincount(sums.owner, weights=column) for column in own.T])
        ratio = place[-1] ** 2
        weight = ratio / (1 + ratio * of_therapist[:, -1])
        cross = cross - (of_therapist.T * weight) @ of_therapist
        log_det += float(np.log1p(ratio * of_therapist[:, -1]).sum())
    k = len(cross) - 2
    information = cross[:k, :k]
    beta = np.linalg.solve(information, cross[:k, k])
    left = max(float(cross[k, k] - beta @ cross[:k, k]), 1e-300)
    residual = left / (sums.n - k)
    deviance = (sums.n - k) * (1 + math.log(2 * math.pi * residual)) + log_det
    deviance += float(np.linalg.slogdet(information)[1])
    return _At(beta=beta, information=information, residual=residual, deviance=deviance)


def _lowest(sums: _Sums, n_random: int, also: Array | None) -> tuple[Array, bool]:
    """Return the place of the lowest deviance that any start leads to, and whether it is a lowest point."""
    from scipy.optimize import minimize

    starts = [*([] if also is None else [also]), *(_apart(sd, n_random) for sd in STARTS)]
    size = len(starts[0])
    free = np.arange(size if sums.owner is not None else size - 1)

    def deviance(place: Array) -> float:
        return _model_at(sums, np.append(place, np.zeros(size - len(place))), n_random).deviance

    best, least = np.zeros(size), math.inf
    for start in starts:
        found = minimize(deviance, start[free], jac="3-point", method="BFGS", options={"gtol": 1e-6})
        agree = abs(found.fun - least) < SETTLED
        if found.fun < least:
            least = float(found.fun)
            best[free] = found.x
        if agree:
            break
    place, left = _polished(deviance, best[free])
    best[free] = place
    return best, left < SETTLED


def _apart(sd: float, n_random: int) -> Array:
    """Return the place where everything differs by `sd`, uncorrelated, and therapists by less."""
    return np.append((sd * np.eye(n_random))[np.tril_indices(n_random)], THERAPISTS * sd)


def _polished(deviance: Any, place: Array) -> tuple[Array, float]:
    """Return the place after Newton's steps, and how much lower the deviance could still be."""
    left = math.inf
    for _ in range(8):
        here = deviance(place)
        slope, curve = _derivatives(deviance, place, here)
        values, vectors = np.linalg.eigh(curve)
        along = vectors.T @ slope
        flat = values <= 1e-6 * max(1.0, float(np.abs(values).max()))
        if (values[flat] < -1e-3 * max(1.0, float(np.abs(values).max()))).any():
            return place, math.inf
        step = -np.where(flat, 0.0, along / np.where(flat, 1.0, values))
        left = float(-0.5 * (along * step).sum()) + float(np.abs(along[flat]).sum()) * STEP
        further = place + vectors @ step
        if deviance(further) > here + ROUNDING * max(1.0, abs(here)):
            break
        place = further
        if np.abs(step).max() < ROUNDING:
            break
    return place, left


def _derivatives(deviance: Any, place: Array, here: float) -> tuple[Array, Array]:
    """Return slope and curvature of the deviance by central differences."""
    n = len(place)
    steps = np.eye(n) * STEP * np.maximum(1.0, np.abs(place))
    up = np.array([deviance(place + step) for step in steps])
    down = np.array([deviance(place - step) for step in steps])
    size = np.diag(steps)
    slope = (up - down) / (2 * size)
    curve = np.diag((up - 2 * here + down) / size**2)
    for i in range(n):
        for j in range(i):
            both = deviance(place + steps[i] + steps[j]) + deviance(place - steps[i] - steps[j])
            mixed = (both - up[i] - up[j] - down[i] - down[j] + 2 * here) / (2 * size[i] * size[j])
            curve[i, j] = curve[j, i] = mixed
    return slope, curve


def _zero_where_no_worse(sums: _Sums, place: Array, n_random: int) -> Array:
    """Return the place with variances that make nothing better set to 0."""
    here = _model_at(sums, place, n_random).deviance
    for entry in range(len(place)):
        if abs(place[entry]) < math.sqrt(LEAST_RATIO):
            without = place.copy()
            without[entry] = 0.0
            if _model_at(sums, without, n_random).deviance <= here + SETTLED:
                place = without
    return place


def _at_bound(factor: Array, therapist: float) -> bool:
    least = float(np.linalg.eigvalsh(factor @ factor.T).min())
    return least < LEAST_RATIO or therapist < LEAST_RATIO
