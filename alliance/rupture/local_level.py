"""A level that drifts from session to session and is seen through noise: the Kalman filter over many courses.

score = level + e, e ~ N(0, noise); from one session to the next the level moves by N(0, drift). A session
without a score is only predicted through: after a gap of g sessions the level has moved by N(0, g * drift).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import Courses

Array = np.ndarray[Any, Any]

LOG_RATIOS = np.linspace(np.log(1e-6), np.log(1e4), 24)
"""Where the ratio drift / noise is looked for; 0 is tried as well."""
ZOOM, ROUNDS = 9, 6


@dataclass(frozen=True, kw_only=True)
class Level:
    """Variances of the model, in squared score points, the same for every series.

    Attributes
    ----------
    drift : variance of the level's move from one session to the next
    noise : variance of a score around the level
    """

    drift: float
    noise: float


def predict(
    courses: Courses, level: Level, *, start: float | None = None, variance: float | None = None
) -> tuple[Array, Array]:
    """Return what the earlier scores of the same series predict for every score, and its variance.

    Parameters
    ----------
    courses : Courses
        NaN = not scored.
    level : Level
    start, variance : float, optional
        Mean and variance of the level at the first score. Without them nothing is known of it before (a
        diffuse start): the first score is not predicted, and is where the level is thought to be after it.

    Returns
    -------
    expected, variance : float, shape (forms,); NaN where there is no score or no prediction
        The variance is that of the score, noise included.

    References
    ----------
    Durbin, J., & Koopman, S. J. (2012). Time series analysis by state space methods (2nd ed.). Oxford
    University Press. Chapter 2.

    Examples
    --------
    >>> expected, variance = predict(Courses.of([46, 48, 44]), Level(drift=0.5, noise=4.0))
    >>> expected.round(3), variance.round(3)
    (array([   nan, 46.   , 47.059]), array([  nan, 8.5  , 6.618]))
    """
    expected, spread = np.full((2, len(courses.values)), np.nan)
    state, state_variance = (np.full(len(courses.starts), np.nan) for _ in range(2))
    known = start is not None and variance is not None
    if known:
        state, state_variance = (np.full(len(courses.starts), each) for each in (start, variance))
    session: Array | None = None
    for scored in courses.scored_steps:
        rows = courses.scored[scored]
        score, now = courses.values[rows], courses.session[rows]
        if session is None and not known:
            state, state_variance, session = score, np.full(len(rows), level.noise), now
            continue
        gap = 0 if session is None else now - session[: len(rows)]
        state, ahead = state[: len(rows)], state_variance[: len(rows)] + gap * level.drift
        total = ahead + level.noise
        expected[rows], spread[rows] = state, total
        gain = np.divide(ahead, total, out=np.zeros_like(total), where=total > 0)
        state, state_variance, session = state + gain * (score - state), gain * level.noise, now
    return expected, spread


def fit_level(courses: Courses) -> Level:
    """Return the variances that make the scores of all series likeliest, from a diffuse start of each.

    The first score of a series says nothing about them. The noise has a closed form given the ratio drift /
    noise; the ratio is looked for from 1e-6 to 1e4, and 0. Without any second score both are 0.
    """
    steps = _Steps.of(courses)
    if steps.n_predicted == 0:
        return Level(drift=0.0, noise=0.0)
    ratios = np.append(0.0, np.exp(LOG_RATIOS))
    criterion, noise = steps.criterion(ratios)
    best = int(np.argmin(criterion))
    if best == 0:
        return Level(drift=0.0, noise=float(noise[0]))
    logs = LOG_RATIOS[[max(best - 2, 0), min(best, len(LOG_RATIOS) - 1)]]
    for _ in range(ROUNDS):
        nodes = np.linspace(logs[0], logs[1], ZOOM)
        criterion, _ = steps.criterion(np.exp(nodes))
        middle = int(np.clip(np.argmin(criterion), 1, ZOOM - 2))
        logs = nodes[[middle - 1, middle + 1]]
    ratio = np.exp(_lowest(nodes[middle - 1 : middle + 2], criterion[middle - 1 : middle + 2]))
    _, noise = steps.criterion(np.array([ratio]))
    return Level(drift=float(ratio * noise[0]), noise=float(noise[0]))


def _lowest(x: Array, y: Array) -> float:
    """Return where the parabola through three equally spaced points is lowest."""
    bend = y[0] - 2 * y[1] + y[2]
    if not bend > 0:
        return float(x[1])
    return float(x[1] + np.clip((y[0] - y[2]) / (2 * bend), -1, 1) * (x[1] - x[0]))


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """Scores and gaps of all series, one pair of arrays for each position, the first position included."""

    scores: list[Array]
    gaps: list[Array]

    @classmethod
    def of(cls, courses: Courses) -> _Steps:
        scores: list[Array] = []
        gaps: list[Array] = []
        before = np.zeros(0)
        for scored in courses.scored_steps:
            rows = courses.scored[scored]
            session = courses.session[rows]
            scores.append(courses.values[rows])
            gaps.append((session - before[: len(rows)]).astype(float) if scores[1:] else np.zeros(len(rows)))
            before = session
        return cls(scores=scores, gaps=gaps)

    @property
    def n_predicted(self) -> int:
        """Scores that have an earlier one in their series."""
        return sum(len(scores) for scores in self.scores[1:])

    def criterion(self, ratios: Array) -> tuple[Array, Array]:
        """Return -2 log-likelihood up to a constant, and the best noise variance, for each drift / noise."""
        ratio = ratios[:, None]
        state, ahead = self.scores[0][None, :], np.ones((1, 1))
        squares, logs = np.zeros((2, len(ratios)))
        for scores, gaps in zip(self.scores[1:], self.gaps[1:], strict=True):
            n = len(scores)
            total = ahead[:, :n] + gaps * ratio + 1
            error = scores - state[:, :n]
            share = error / total
            squares += (error * share).sum(axis=1)
            logs += np.log(total).sum(axis=1)
            ahead = 1 - 1 / total
            state = scores - share
        noise = squares / self.n_predicted
        return self.n_predicted * np.log(np.maximum(noise, 1e-300)) + logs, noise
