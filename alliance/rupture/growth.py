"""Straight lines of many courses at once: a mixed model, and each person's slope shrunk towards the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import Courses
from alliance.errors import UsageError

Array = np.ndarray[Any, Any]

WAVES = 3
"""Scores a course needs to say something about its slope."""
MIN_COURSES = 5
N_FIXED = 2
EXACT = 1e-10
"""Share of the variance below which what is left around the lines is rounding."""
START = (1.0, 0.0, 0.2)
"""Spread of intercepts, tilt and spread of slopes in residual SD, from where the fit sets out."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """A mixed model of scores on session - 1, with random intercept and random slope, fitted by REML.

    Attributes
    ----------
    intercept, slope : float; fixed effects, in score points and score points per session
    var_intercept, covariance, var_slope : float; of the persons' deviations from the fixed effects
    residual : float; standard deviation of the scores around their own person's line
    n_series : int; courses it was fitted to
    deviance : float; -2 times the restricted log-likelihood
    """

    intercept: float
    slope: float
    var_intercept: float
    covariance: float
    var_slope: float
    residual: float
    n_series: int
    deviance: float


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums of n, t, t^2, y, t y and y^2 over the scores of each course, t = session - 1; shape (courses,)."""

    n: Array
    t: Array
    tt: Array
    y: Array
    ty: Array
    yy: Array

    @classmethod
    def of(cls, courses: Courses, origin: float) -> Sums:
        """Return the sums of the series with at least 3 scores, `origin` taken off every score."""
        rows = courses.scored
        series = courses.series[rows]
        t, y = courses.session[rows] - 1.0, courses.values[rows] - origin
        n_series = len(courses.starts)
        enough = np.bincount(series, minlength=n_series) >= WAVES
        parts = {"n": np.ones_like(y), "t": t, "tt": t * t, "y": y, "ty": t * y, "yy": y * y}
        return cls(
            **{
                name: np.bincount(series, weights=each, minlength=n_series)[enough]
                for name, each in parts.items()
            }
        )


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A symmetric 2 x 2 matrix of every course."""

    a: Array
    b: Array
    c: Array

    def between(self, u: tuple[Array, Array], v: tuple[Array, Array]) -> Array:
        """Return u' M v of every course."""
        product: Array = u[0] * (self.a * v[0] + self.b * v[1]) + u[1] * (self.b * v[0] + self.c * v[1])
        return product


def _weights(relative: tuple[float, float, float], n: Array, t: Array, tt: Array) -> tuple[Array, _Block]:
    """Return det(I + R S) and W = (I + R S)^-1 R of every course, with S = [[n, t], [t, tt]].

    R is the covariance of the random effects in units of the residual variance. W exists where R has no
    inverse.
    """
    r11, r12, r22 = relative
    m11, m12 = 1 + r11 * n + r12 * t, r11 * t + r12 * tt
    m21, m22 = r12 * n + r22 * t, 1 + r12 * t + r22 * tt
    det = m11 * m22 - m12 * m21
    inverse = (m22 * r11 - m12 * r12) / det, (m22 * r12 - m12 * r22) / det, (m11 * r22 - m21 * r12) / det
    return det, _Block(a=inverse[0], b=inverse[1], c=inverse[2])


@dataclass(frozen=True, kw_only=True)
class _Profile:
    """The restricted likelihood at one shape of the random effects, fixed effects and residual solved for."""

    deviance: float
    fixed: Array
    residual_variance: float
    relative: tuple[float, float, float]

    @classmethod
    def at(cls, shape: Array, by: Sums) -> _Profile:
        """Return the profile at covariance residual^2 L L' of the random effects, L = [[a, 0], [b, c]]."""
        a, b, c = (float(each) for each in shape)
        relative = (a * a, a * b, b * b + c * c)
        det, weights = _weights(relative, by.n, by.t, by.tt)
        ones, time, score = (by.n, by.t), (by.t, by.tt), (by.y, by.ty)
        across = np.sum(by.t - weights.between(ones, time))
        information = np.array(
            [
                [np.sum(by.n - weights.between(ones, ones)), across],
                [across, np.sum(by.tt - weights.between(time, time))],
            ]
        )
        pull = np.array(
            [np.sum(by.y - weights.between(ones, score)), np.sum(by.ty - weights.between(time, score))]
        )
        fixed = np.linalg.solve(information, pull)
        squares = float(np.sum(by.yy - weights.between(score, score)) - fixed @ pull)
        free = float(np.sum(by.n)) - N_FIXED
        residual = max(squares, np.finfo(float).tiny) / free
        size = np.sum(np.log(det)) + np.linalg.slogdet(information)[1]
        deviance = float(free * (1 + np.log(2 * np.pi * residual)) + size)
        return cls(deviance=deviance, fixed=fixed, residual_variance=residual, relative=relative)


def fit_growth(courses: Courses) -> Growth:
    """Fit the mixed model to the series with at least 3 scores.

    The restricted likelihood needs six sums of each course only, so that its time does not grow with the
    sessions, and slopes that do not differ between persons are found to be just that.

    Parameters
    ----------
    courses : Courses
        NaN = not scored.

    Raises
    ------
    UsageError
        If there are fewer than 5 such series, or nothing varies around their lines.

    References
    ----------
    Laird, N. M., & Ware, J. H. (1982). https://doi.org/10.2307/2529876

    Examples
    --------
    >>> scores = [[50.0, 48, 49, 47], [30, 31, 33, 32], [40, 40, 42, 41], [44, 41, 42, 40], [35, 36, 35, 37]]
    >>> courses = Courses(
    ...     values=np.concatenate(scores), session=np.tile([1, 2, 3, 4], 5), starts=np.arange(0, 20, 4)
    ... )
    >>> found = fit_growth(courses)
    >>> round(found.intercept, 3), round(found.slope, 3), round(found.residual, 3)
    (39.68, -0.02, 0.964)
    """
    from scipy.optimize import minimize

    scored = courses.values[courses.scored]
    origin = float(scored.mean()) if len(scored) else 0.0
    by = Sums.of(courses, origin)
    if len(by.n) < MIN_COURSES:
        message = f"HLM needs {MIN_COURSES} courses of {WAVES} scores to learn slopes from, got {len(by.n)}"
        raise UsageError(message, hint="use a larger caseload, or --prior of one")
    if _on_lines(by):
        message = "HLM needs scores that vary around straight lines, and these do not"
        raise UsageError(message, hint="use another variant")
    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000, "maxfev": 4000}
    found = minimize(
        lambda shape: _Profile.at(shape, by).deviance, START, method="Nelder-Mead", options=options
    )
    best = _Profile.at(found.x, by)
    r11, r12, r22 = (each * best.residual_variance for each in best.relative)
    return Growth(
        intercept=float(best.fixed[0]) + origin,
        slope=float(best.fixed[1]),
        var_intercept=r11,
        covariance=r12,
        var_slope=r22,
        residual=float(np.sqrt(best.residual_variance)),
        n_series=len(by.n),
        deviance=best.deviance,
    )


def _on_lines(by: Sums) -> bool:
    """Return whether every course is a straight line, all courses equal included."""
    spread_t = by.tt - by.t**2 / by.n
    spread_y = by.yy - by.y**2 / by.n
    together = by.ty - by.t * by.y / by.n
    around = float(np.sum(spread_y - together**2 / spread_t))
    return not around > EXACT * max(float(np.sum(by.yy)), EXACT)


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Each person's line as of each form, shape (forms,); NaN before the third score.

    `slope` is the empirical-Bayes slope in points per session, `error` its posterior standard deviation,
    `start` the line's height at the person's first score, `n` the scores so far.
    """

    slope: Array
    error: Array
    start: Array
    n: Array


def running_slopes(courses: Courses, growth: Growth) -> Slopes:
    """Return each person's empirical-Bayes line after every score, from the scores so far.

    slope = fixed slope + posterior mean of the person's deviation from it. With P the covariance of the
    random effects, Z the person's rows (1, t) and e the scores less the fixed effects, the posterior
    covariance is (P^-1 + Z'Z / residual^2)^-1 and the mean that times Z'e / residual^2. The parameters stay
    as they were learned.

    Parameters
    ----------
    courses : Courses
        NaN = not scored; those forms, and the first two scores of a series, get NaN.
    growth : Growth

    Examples
    --------
    >>> growth = Growth(
    ...     intercept=46, slope=0, var_intercept=36, covariance=0, var_slope=0.25, residual=2,
    ...     n_series=9, deviance=0,
    ... )
    >>> running_slopes(Courses.of([46, 44, 42]), growth).slope.round(4).tolist()
    [nan, nan, -0.2327]
    """
    slope, error, start = np.full((3, len(courses.values)), np.nan)
    counts = np.zeros(len(courses.values), dtype=np.int64)
    variance = growth.residual**2
    relative = (growth.var_intercept / variance, growth.covariance / variance, growth.var_slope / variance)
    n, t, tt, e, te, first = np.zeros((6, len(courses.starts)))
    for places in courses.scored_steps:
        rows = courses.scored[places]
        here = slice(len(rows))
        time = courses.session[rows] - 1.0
        away = courses.values[rows] - (growth.intercept + growth.slope * time)
        first[here] = np.where(n[here] == 0, time, first[here])
        n[here] += 1
        for total, each in ((t, time), (tt, time * time), (e, away), (te, time * away)):
            total[here] += each
        counts[rows] = n[here].astype(np.int64)
        _, weights = _weights(relative, n[here], t[here], tt[here])
        tilt = weights.b * e[here] + weights.c * te[here]
        known = n[here] >= WAVES
        slope[rows] = np.where(known, growth.slope + tilt, np.nan)
        error[rows] = np.where(known, growth.residual * np.sqrt(np.maximum(weights.c, 0)), np.nan)
        shift = weights.a * e[here] + weights.b * te[here]
        start[rows] = np.where(known, growth.intercept + shift + (growth.slope + tilt) * first[here], np.nan)
    return Slopes(slope=slope, error=error, start=start, n=counts)
