"""Alliance courses with planted ruptures: what a detector is scored against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

KINDS = ("none", "v1", "v3", "step", "ramp")
DOMAINS = ("whole", "goal", "task", "bond")
LOWEST, HIGHEST = 12.0, 60.0


@dataclass(frozen=True, kw_only=True)
class CourseSettings:
    """The planted-rupture generator, in points of a 12-item total of 12 to 60, higher = stronger alliance.

    The defaults are those of the evaluation of the rupture methods. They are assumptions, not estimates.

    Attributes
    ----------
    level_mean, level_sd : between-person distribution of the level, normal
    slope_mean, slope_sd, slope_sessions : points per session, normal; the course is flat after that session
    within_median, within_cv : within-person SD, lognormal; its stationary value, whatever `phi`
    phi : autocorrelation of the noise at lag 1 session
    shortest, longest : number of sessions, uniform on the whole numbers between, both included
    ruptured : share of cases with one rupture; the four kinds are equally likely
    first_onset, room : onset is uniform from `first_onset` to `room` sessions before the last; in a course
        too short for both it is `first_onset`
    depth : fall in own within-person SDs, uniform
    least_sd : points that one SD of depth counts at least
    """

    level_mean: float = 46.0
    level_sd: float = 7.0
    slope_mean: float = 0.2
    slope_sd: float = 0.25
    slope_sessions: int = 10
    within_median: float = 2.0
    within_cv: float = 0.4
    phi: float = 0.2
    shortest: int = 8
    longest: int = 24
    ruptured: float = 0.4
    first_onset: int = 5
    room: int = 6
    depth: tuple[float, float] = (3.0, 6.0)
    least_sd: float = 1.5


@dataclass(frozen=True, kw_only=True)
class PlantedCourses:
    """Courses and what was planted in them; `totals` is level + trend + noise + rupture.

    Attributes
    ----------
    totals, trend, noise, rupture : float, shape (cases, longest); points of 12 to 60, neither rounded nor
        clipped, session 1 first. Sessions after `lengths` are there and mean nothing.
    lengths : int, shape (cases,); number of sessions
    level, slope, within_sd : float, shape (cases,); points, points per session, points
    kind : int, shape (cases,); place in KINDS
    onset : int, shape (cases,); session number, 0 = no rupture
    depth_sd, depth : float, shape (cases,); fall in own SDs and in points, 0 = no rupture
    domain : int, shape (cases,); place in DOMAINS, "whole" if there is no rupture
    """

    totals: Array
    trend: Array
    noise: Array
    rupture: Array
    lengths: Array
    level: Array
    slope: Array
    within_sd: Array
    kind: Array
    onset: Array
    depth_sd: Array
    depth: Array
    domain: Array


@dataclass(frozen=True, kw_only=True)
class _Rupture:
    kind: Array
    onset: Array
    depth_sd: Array
    domain: Array


def rupture_courses(
    rng: np.random.Generator,
    *,
    n_cases: int,
    settings: CourseSettings,
    level: Array | None = None,
) -> PlantedCourses:
    """Draw alliance courses, some with one planted rupture.

    Parameters
    ----------
    rng : Generator
        Each part of a course is drawn from a child stream of its own, case by case: the first cases of a
        larger study are the cases of a smaller one.
    n_cases : int
        Number of cases, 0 or more.
    settings : CourseSettings
        The distributions.
    level : array, shape (cases,), optional
        Levels in points of 12 to 60, drawn from the settings if not given.

    Returns
    -------
    PlantedCourses
        Nothing is missing, rounded or clipped; `observe` does that. A one-session V falls by the whole depth
        and is back at the next session, a three-session V falls by 1, .67 and .33 of it, a step stays down, a
        ramp falls over 5 sessions and stays down.

    Examples
    --------
    >>> courses = rupture_courses(np.random.default_rng(1), n_cases=3, settings=CourseSettings())
    >>> courses.totals.shape
    (3, 24)
    """
    streams = rng.spawn(10)
    drawn = settings.level_mean + settings.level_sd * streams[0].standard_normal(n_cases)
    level = drawn if level is None else level
    slope = settings.slope_mean + settings.slope_sd * streams[1].standard_normal(n_cases)
    spread = np.sqrt(np.log1p(settings.within_cv**2))
    within_sd = settings.within_median * np.exp(spread * streams[2].standard_normal(n_cases))
    lengths = streams[3].integers(settings.shortest, settings.longest + 1, n_cases)
    planted = _plant(streams[4:9], lengths, settings)
    elapsed = np.minimum(np.arange(settings.longest), settings.slope_sessions - 1)
    trend = slope[:, None] * elapsed
    noise = within_sd[:, None] * autoregressive(streams[9], n_cases, settings.longest, phi=settings.phi)
    depth = planted.depth_sd * np.maximum(within_sd, settings.least_sd)
    rupture = -depth[:, None] * _shape(planted, settings.longest)
    return PlantedCourses(
        totals=level[:, None] + trend + noise + rupture,
        trend=trend,
        noise=noise,
        rupture=rupture,
        lengths=lengths,
        level=level,
        slope=slope,
        within_sd=within_sd,
        kind=planted.kind,
        onset=planted.onset,
        depth_sd=planted.depth_sd,
        depth=depth,
        domain=planted.domain,
    )


def observe(rng: np.random.Generator, courses: PlantedCourses, *, missing: float = 0.10) -> Array:
    """Return the totals as a form shows them: whole points, 12 to 60, some missing at random.

    Parameters
    ----------
    rng : Generator
        Decides what is missing.
    courses : PlantedCourses
        The courses to look at.
    missing : float
        Probability that a session has no form, whatever happened in it.

    Returns
    -------
    array, shape (cases, longest)
        NaN where there is no form, and after the last session.
    """
    seen = np.clip(np.rint(courses.totals), LOWEST, HIGHEST)
    after = np.arange(seen.shape[1]) >= courses.lengths[:, None]
    seen[after | (rng.random(seen.shape) < missing)] = np.nan
    return seen


def autoregressive(rng: np.random.Generator, n_cases: int, n_sessions: int, *, phi: float) -> Array:
    """Return stationary AR(1) noise of mean 0 and SD 1, shape (cases, sessions)."""
    noise = rng.standard_normal((n_cases, n_sessions))
    fresh = np.sqrt(1 - phi**2)
    for place in range(1, n_sessions):
        noise[:, place] = phi * noise[:, place - 1] + fresh * noise[:, place]
    return noise


def _plant(streams: list[np.random.Generator], lengths: Array, settings: CourseSettings) -> _Rupture:
    n_cases = len(lengths)
    ruptured = streams[0].random(n_cases) < settings.ruptured
    kind = np.where(ruptured, streams[1].integers(1, len(KINDS), n_cases), 0)
    first = settings.first_onset
    latest = np.maximum(first, lengths - settings.room)
    onset = first + np.floor(streams[2].random(n_cases) * (latest - first + 1)).astype(int)
    depth_sd = streams[3].uniform(*settings.depth, n_cases)
    domain = streams[4].integers(0, len(DOMAINS), n_cases)
    return _Rupture(
        kind=kind,
        onset=np.where(ruptured, onset, 0),
        depth_sd=np.where(ruptured, depth_sd, 0.0),
        domain=np.where(ruptured, domain, 0),
    )


def _shape(planted: _Rupture, n_sessions: int) -> Array:
    """Return the share of the depth that is lost at each session, shape (cases, sessions)."""
    since = np.arange(1, n_sessions + 1) - planted.onset[:, None]
    lags = np.arange(n_sessions + 1)
    shapes = np.zeros((len(KINDS), n_sessions + 2))
    shapes[KINDS.index("v1"), 0] = 1
    shapes[KINDS.index("v3"), :3] = 1, 0.67, 0.33
    shapes[KINDS.index("step"), :-1] = 1
    shapes[KINDS.index("ramp"), :-1] = np.minimum((lags + 1) / 5, 1)
    before = since < 0
    return shapes[planted.kind[:, None], np.where(before, n_sessions + 1, since)]


def therapist_courses(
    rng: np.random.Generator, courses: PlantedCourses, *, settings: CourseSettings
) -> tuple[Array, Array]:
    """Return how the therapists see the same courses: totals and the fall they see.

    Parameters
    ----------
    rng : Generator
        Child streams for level, noise and insight.
    courses : PlantedCourses
        The clients' courses.
    settings : CourseSettings
        Those the courses were drawn with.

    Returns
    -------
    totals, rupture : array, shape (cases, longest)
        Points of 12 to 60, neither rounded nor clipped. The level lies 0.5 between-person SDs lower and
        correlates .5 with the client's, the noise .4; of a rupture a therapist sees a share that is uniform
        from 0 to 1. All of this is assumed.
    """
    own, noise, insight = rng.spawn(3)
    n_cases, n_sessions = courses.totals.shape
    client = (courses.level - settings.level_mean) / settings.level_sd
    level = -0.5 + 0.5 * client + np.sqrt(0.75) * own.standard_normal(n_cases)
    fresh = autoregressive(noise, n_cases, n_sessions, phi=settings.phi) * courses.within_sd[:, None]
    rupture = courses.rupture * insight.random(n_cases)[:, None]
    base = settings.level_mean + settings.level_sd * level[:, None] + courses.trend
    return base + 0.4 * courses.noise + np.sqrt(0.84) * fresh + rupture, rupture


def outcome_shares(rng: np.random.Generator, deviation: Array) -> Array:
    """Return a course of wellbeing for each case: 0 = worst answers, 1 = best answers, not clipped.

    Parameters
    ----------
    rng : Generator
        Child streams for start, gain and noise.
    deviation : array, shape (cases, sessions)
        Departure of the alliance from its level and trend, between-person SDs; it moves the outcome of the
        next session by 0.03 for each.

    Returns
    -------
    array, shape (cases, sessions)
        Start N(.50, .15²), gain N(.012, .012²) a session, AR(1) noise with phi .4 and SD .05. All assumed.
    """
    start, gain, noise = rng.spawn(3)
    n_cases, n_sessions = deviation.shape
    begin = 0.50 + 0.15 * start.standard_normal((n_cases, 1))
    slope = 0.012 + 0.012 * gain.standard_normal((n_cases, 1))
    carried = np.zeros_like(deviation)
    carried[:, 1:] = 0.03 * deviation[:, :-1]
    random = 0.05 * autoregressive(noise, n_cases, n_sessions, phi=0.4)
    return np.asarray(begin + slope * np.arange(n_sessions) + carried + random)
