"""A line with a random intercept per unit, by restricted maximum likelihood: of all units, and without each.

score = intercept + slope * time + a_unit + e, with a ~ N(0, between^2) and e ~ N(0, within^2). Given the
ratio of the two variances everything is a sum of closed forms over units, so that leaving one unit out is a
subtraction. Units of equal size share their weight: the cost grows with the number of different sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

N_FIXED = 2
LOG_RATIOS = np.linspace(np.log(1e-8), np.log(1e8), 41)
"""Where the ratio between^2 / within^2 is looked for when nothing is known of it; 0 is tried as well."""
NEARBY = float(np.log(4))
PRECISION = 1e-11
MOST_STEPS = 80
CELLS_AT_ONCE = 1_000_000
TINY = 1e-300
EXACT = 1e-26
"""Share of the total sum of squares from which on a residual sum of squares is rounding error."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A fitted model: floats of one fit, or arrays of shape (units,) with the fit without each unit.

    Attributes
    ----------
    intercept : score expected at time 0
    slope : change of the expected score per unit of time
    between : standard deviation of the units' intercepts
    within : standard deviation of a score around its unit's line
    """

    intercept: Any
    slope: Any
    between: Any
    within: Any


@dataclass(frozen=True, kw_only=True)
class UnitSums:
    """What the likelihood needs of each unit; arrays of shape (units,), 0 where a unit has no score.

    Attributes
    ----------
    n : number of scores
    time, score : means, counted from `origin`
    tt, ty, yy : sums of squares and products around those means
    origin : mean time and mean score of everything
    """

    n: Array
    time: Array
    score: Array
    tt: Array
    ty: Array
    yy: Array
    origin: tuple[float, float]

    @property
    def moments(self) -> Array:
        """What a unit adds to the sums, apart from its weight; shape (6, units)."""
        t, y = self.time, self.score
        return np.stack([np.ones_like(t), t, t * t, y, t * y, y * y])

    @property
    def inner(self) -> Array:
        """What a unit adds to the sums whatever the ratio of the variances; shape (3, units)."""
        return np.stack([self.tt, self.ty, self.yy])


def unit_sums(time: Array, score: Array, unit: Array, n_units: int) -> UnitSums:
    """Return the sums of every unit.

    Parameters
    ----------
    time, score : float, shape (scores,); without missing values
    unit : int, shape (scores,); 0 to `n_units` - 1
    n_units : int
    """

    def total(values: Array) -> Array:
        return np.bincount(unit, weights=values, minlength=n_units)

    origin = (float(time.mean()), float(score.mean())) if len(time) else (0.0, 0.0)
    t, y = time - origin[0], score - origin[1]
    n = np.bincount(unit, minlength=n_units).astype(float)
    mean_t, mean_y = (total(values) / np.maximum(n, 1) for values in (t, y))
    dt, dy = t - mean_t[unit], y - mean_y[unit]
    return UnitSums(
        n=n, time=mean_t, score=mean_y, tt=total(dt * dt), ty=total(dt * dy), yy=total(dy * dy), origin=origin
    )


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The fit to all units.

    Attributes
    ----------
    line : Line
    ratio : float; between^2 / within^2
    criterion : float; -2 times the restricted log-likelihood
    """

    line: Line
    ratio: float
    criterion: float


def fit_line(sums: UnitSums) -> Fit:
    """Fit the line with random intercepts by restricted maximum likelihood.

    The ratio of the variances is found to about ten digits; a between-unit variance of 0 is possible. With
    too few scores for two coefficients and a variance, or without any variation, the spreads are 0.

    References
    ----------
    Bates, D., Mächler, M., Bolker, B., & Walker, S. (2015). Fitting linear mixed-effects models using lme4.
    Journal of Statistical Software, 67(1), 1-48. https://doi.org/10.18637/jss.v067.i01

    Examples
    --------
    >>> time, unit = np.tile(np.arange(4.0), 3), np.repeat(np.arange(3), 4)
    >>> score = np.array([1.0, 2, 2, 3, 5, 5, 6, 8, 0, 1, 2, 2])
    >>> line = fit_line(unit_sums(time, score, unit, 3)).line
    >>> [round(float(value), 3) for value in (line.intercept, line.slope, line.between, line.within)]
    [1.933, 0.767, 2.542, 0.492]
    """
    profile = _Profile(sums, np.array([-1]))
    ratio = _search(profile)
    at = profile.at(ratio)
    rest = max(float(profile.n[0]) - N_FIXED, 1.0)
    criterion = at.value + rest * (1 + np.log(2 * np.pi / rest))
    line = profile.line(ratio)
    plain = Line(**{name: float(values[0]) for name, values in vars(line).items()})
    return Fit(line=plain, ratio=float(ratio[0]), criterion=float(criterion[0]))


def lines_without_each(sums: UnitSums, fit: Fit) -> Line:
    """Return the fit to all other units, for each unit; shape (units,) each.

    Parameters
    ----------
    sums : UnitSums
    fit : Fit
        To all units: near its ratio that of the others is looked for first.
    """
    parts = []
    at_once = CELLS_AT_ONCE // max(len(np.unique(sums.n)), 1) + 1
    for first in range(0, len(sums.n), at_once):
        left_out = np.arange(first, min(first + at_once, len(sums.n)))
        profile = _Profile(sums, left_out)
        parts.append(profile.line(_search(profile, near=fit.ratio)))
    if not parts:
        return Line(**{name: np.zeros(0) for name in vars(fit.line)})
    names = vars(parts[0])
    return Line(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True, kw_only=True)
class _Point:
    """The profile at one ratio for every fit: value and slope, coefficients and residual sum of squares."""

    value: Array
    slope: Array
    level: Array
    rise: Array
    residual: Array


class _Profile:
    """-2 restricted log-likelihood of the ratio alone, up to a constant, for several fits at once.

    `left_out` is the unit each fit does without, -1 = none; arrays have the shape (fits,).
    """

    def __init__(self, sums: UnitSums, left_out: Array) -> None:
        self.sizes, place = np.unique(sums.n[sums.n > 0], return_inverse=True)
        moments, inner, used = sums.moments, sums.inner, sums.n > 0
        self.moments = np.stack([np.bincount(place, row[used], len(self.sizes)) for row in moments], axis=1)
        fits = np.flatnonzero(left_out >= 0)
        own = np.zeros((1 + len(moments) + len(inner), len(left_out)))
        own[:, fits] = np.vstack([sums.n, moments, inner])[:, left_out[fits]]
        self.own_n, self.own_moments = own[0], own[1 : 1 + len(moments)]
        self.inner = inner.sum(axis=1)[:, None] - own[1 + len(moments) :]
        self.n = sums.n.sum() - self.own_n
        self.origin = sums.origin
        self.least = EXACT * (self.inner[2] + (self.sizes @ self.moments[:, 5])) + TINY

    def take(self, fits: Array) -> _Profile:
        """Return the profile of some of the fits."""
        part = object.__new__(_Profile)
        part.sizes, part.moments, part.origin = self.sizes, self.moments, self.origin
        part.own_n, part.n, part.least = self.own_n[fits], self.n[fits], self.least[fits]
        part.own_moments, part.inner = self.own_moments[:, fits], self.inner[:, fits]
        return part

    def at(self, ratio: Array) -> _Point:
        """Return the profile at one ratio for every fit."""
        weight = self.sizes / (1 + ratio[:, None] * self.sizes)
        own = self.own_n / (1 + ratio * self.own_n)
        h = np.einsum("fs,sm->mf", weight, self.moments) - own * self.own_moments
        d = own**2 * self.own_moments - np.einsum("fs,sm->mf", weight**2, self.moments)
        scale = np.einsum("fs,s->f", np.log1p(ratio[:, None] * self.sizes), self.moments[:, 0])
        scale = scale - np.log1p(ratio * self.own_n)
        total = np.maximum(h[0], TINY)
        level, mean_t = h[3] / total, h[1] / total
        stt = np.maximum(self.inner[0] + h[2] - h[1] * mean_t, TINY)
        rise = (self.inner[1] + h[4] - h[1] * level) / stt
        residual = self.inner[2] + h[5] - h[3] * level - rise**2 * stt
        residual = np.maximum(residual, self.least)
        level = level - rise * mean_t
        change = d[5] - 2 * (level * d[3] + rise * d[4])
        change += level**2 * d[0] + 2 * level * rise * d[1] + rise**2 * d[2]
        log_change = d[0] / total + (d[2] - 2 * mean_t * d[1] + mean_t**2 * d[0]) / stt
        rest = np.maximum(self.n - N_FIXED, 1)
        value = rest * np.log(residual) + scale + np.log(total) + np.log(stt)
        slope = rest * change / residual + h[0] + log_change
        return _Point(value=value, slope=slope, level=level, rise=rise, residual=residual)

    def line(self, ratio: Array) -> Line:
        """Return the model that belongs to each ratio."""
        at = self.at(ratio)
        variance = at.residual / np.maximum(self.n - N_FIXED, 1)
        variance = np.where(at.residual > self.least, variance, 0.0)
        time, score = self.origin
        return Line(
            intercept=score + at.level - at.rise * time,
            slope=at.rise,
            between=np.sqrt(ratio * variance),
            within=np.sqrt(variance),
        )


def _search(profile: _Profile, near: float | None = None) -> Array:
    """Return the ratio with the smallest criterion, for every fit; first near a known one."""
    ratio = np.full(len(profile.n), np.nan)
    if near == 0:
        ratio[profile.at(np.zeros(len(ratio))).slope >= 0] = 0.0
    elif near is not None:
        around = np.log(near) + np.array([-NEARBY, NEARBY])
        low, high = (np.full(len(ratio), edge) for edge in around)
        inside = (profile.at(np.exp(low)).slope < 0) & (profile.at(np.exp(high)).slope > 0)
        found = np.flatnonzero(inside)
        ratio[found] = _root(profile.take(found), low[found], high[found])
    rest = np.flatnonzero(np.isnan(ratio))
    if len(rest):
        ratio[rest] = _search_widely(profile.take(rest))
    return ratio


def _search_widely(profile: _Profile) -> Array:
    """Return the ratio with the smallest criterion, for every fit, from a grid and from 0."""
    n_fits = len(profile.n)
    best = profile.at(np.zeros(n_fits)).value
    place = np.full(n_fits, -1)
    for node, log_ratio in enumerate(LOG_RATIOS):
        value = profile.at(np.full(n_fits, np.exp(log_ratio))).value
        better = value < best
        best, place = np.where(better, value, best), np.where(better, node, place)
    low, high = LOG_RATIOS[np.maximum(place - 1, 0)], LOG_RATIOS[np.minimum(place + 1, len(LOG_RATIOS) - 1)]
    ratio = np.where(place >= 0, np.exp(LOG_RATIOS[place]), 0.0)
    inside = (profile.at(np.exp(low)).slope < 0) & (profile.at(np.exp(high)).slope > 0) & (place >= 0)
    found = np.flatnonzero(inside)
    ratio[found] = _root(profile.take(found), low[found], high[found])
    return ratio


def _root(profile: _Profile, low: Array, high: Array) -> Array:
    """Return the ratio between two log ratios where the criterion stops falling: the Illinois method."""
    at_low, at_high = (np.exp(edge) * profile.at(np.exp(edge)).slope for edge in (low, high))
    middle, kept = low, np.zeros(len(low))
    for _ in range(MOST_STEPS):
        before = middle
        middle = np.clip((low * at_high - high * at_low) / (at_high - at_low), low, high)
        value = np.exp(middle) * profile.at(np.exp(middle)).slope
        falls = value < 0
        at_low = np.where(falls, value, np.where(kept < 0, at_low / 2, at_low))
        at_high = np.where(falls, np.where(kept > 0, at_high / 2, at_high), value)
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
        kept = np.where(falls, 1.0, -1.0)
        if np.abs(middle - before).max(initial=0) < PRECISION:
            break
    return np.exp(middle)
