"""`run-length`: Bayesian online change points, for comparison with `predictive-limit`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import Judged, number
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import EVALUATED, NO_PRIOR, NOT_ENOUGH, UNSCORED, Verdict, constant

Array = np.ndarray[Any, Any]

MAX_RUN = 256
"""Scores of a run that are told apart. Courses of up to so many scores are exact; a longer run is treated as
one of so many, with older scores fading."""
LOOKED_BACK_ON = 8
"""Scores of the run before that a subscale's fall is measured against, as in predictive-limit."""


def explain(judged: Judged, rows: Array) -> list[Array | str]:
    """Return how likely a new level begins at each flagged session, and which level it leaves."""
    verdict = judged.verdict
    return [
        number("scored ", judged.courses.values[rows]),
        number(f", {'above' if judged.rising else 'below'} the ", verdict.reference[rows]),
        number(" of the ", verdict.n_reference[rows]),
        np.where(verdict.n_reference[rows] == 1, " score", " scores").astype(object),
        number(" before (SD ", verdict.sigma[rows]),
        number("); a new level begins here with probability ", verdict.details["probability"][rows]),
        np.where(verdict.details["given"][rows] == 1, "", f"; {judged.measure.prior}").astype(object),
    ]


@method(
    "run-length",
    online=True,
    needs="1 earlier score, and a caseload prior or beta0",
    finds="sudden changes of the level",
    blind="slow declines",
    source="Adams & MacKay (2007), https://doi.org/10.48550/arXiv.0710.3742",
    formula=(
        "r: scores since the level last changed; a change has probability hazard before every score",
        "level and variance: normal-inverse-gamma, μ0 = first score, κ0, α0, β0 = α0 · prior variance",
        "P(score | r): Student t, df 2α, location μ, scale² β(κ + 1) / (ακ)",
        "after each score: κ + 1, α + ½, β + κ(score - μ)² / (2(κ + 1)), μ + (score - μ) / (κ + 1)",
        "flagged: P(r = 1 | scores so far) > threshold, and the score lies below the likeliest run's mean",
    ),
    explain=explain,
    warning="for comparison: at equal false alarms no better than predictive-limit on sudden falls, worse "
    "on slow ones",
)
def run_length(
    courses: Courses,
    measure: Measure,
    *,
    hazard: float = 0.05,
    alpha0: float = 2.0,
    beta0: float | None = None,
    kappa0: float = 0.25,
    threshold: float = 0.5,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session at which a new, lower level probably begins, judged by earlier sessions and this one.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored, and left out.
    measure : Measure
        Its caseload prior gives `beta0`. Without both there is no verdict: priors made for other data see
        nothing here.
    hazard : float
        Probability that the level changes before a score; 0.05 is once in 20 sessions.
    alpha0, beta0 : float
        Shape and rate of the inverse gamma prior of the variance within a level; `beta0` in squared score
        points, by default alpha0 times the prior variance.
    kappa0 : float
        Scores that the prior of a level, the first score of the course, is worth.
    threshold : float
        Probability above which a session is flagged; it never exceeds 1 - hazard.
    repair : RepairRule, optional
        When an episode ends; its reference and sigma are those below.

    Returns
    -------
    Verdict
        `reference` is the posterior mean of the run that was likeliest before the score, `sigma` its
        sqrt(beta / alpha), `n_reference` its scores, `statistic` (score - reference) / sigma, which has no
        known distribution. `details["probability"]` is the probability that the score is the first of a run,
        at the first score 1 - hazard. `limit` is NaN, and at the first score all others are.
        `details["given"]` tells whether beta0 was given.

    References
    ----------
    Adams, R. P., & MacKay, D. J. C. (2007). Bayesian online changepoint detection.
    https://doi.org/10.48550/arXiv.0710.3742

    Examples
    --------
    >>> from alliance.rupture.prior import given_prior
    >>> measure = Measure(low=12, high=60, step=1, prior=given_prior(2.0))
    >>> verdict = run_length(Courses.of([48, 47, 49, 48, 47, 49, 39]), measure)
    >>> verdict.met[-2:], verdict.details["probability"][-1:].round(3)
    (array([0., 1.]), array([0.806]))
    """
    spread = alpha0 * measure.prior.variance if beta0 is None else beta0
    believed = _Beliefs(hazard=hazard, alpha0=alpha0, beta0=spread, kappa0=kappa0)
    found, silent = _nothing(len(courses.values)), NO_PRIOR
    if spread > 0:
        found, silent = _walk(courses, believed), NOT_ENOUGH
    below = courses.values < found.mean - TOLERANCE
    known = np.isfinite(found.mean)
    met = three_valued(known, below & (found.probability > threshold + TOLERANCE))
    return Verdict(
        met=met,
        statistic=(courses.values - found.mean) / found.sigma,
        limit=constant(np.nan, len(met)),
        reference=found.mean,
        sigma=found.sigma,
        df=constant(np.nan, len(met)),
        n_reference=found.n_scores,
        state=np.where(known, EVALUATED, np.where(np.isnan(courses.values), UNSCORED, silent)).astype(
            np.int8
        ),
        needed=1,
        follow=lambda: follow_flags(courses, met, found.mean, found.sigma, repair or RepairRule()),
        compared=lambda: _looked_back_on(courses, np.flatnonzero(met == 1), found.n_scores),
        details={"probability": found.probability, "given": constant(beta0 is not None, len(met))},
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    """By row: the probability of a new run, and mean, deviation and scores of the likeliest run before."""

    probability: Array
    mean: Array
    sigma: Array
    n_scores: Array


def _nothing(n_forms: int) -> _Found:
    probability, mean, sigma = np.full((3, n_forms), np.nan)
    return _Found(probability=probability, mean=mean, sigma=sigma, n_scores=np.zeros(n_forms, dtype=np.int64))


def _looked_back_on(courses: Courses, rows: Array, n_scores: Array) -> Array:
    """Return the last rows of the run before each of `rows`, shape (rows, looked back on); -1 = none."""
    back = np.arange(1, LOOKED_BACK_ON + 1)
    places = np.searchsorted(courses.scored, rows)[:, None] - back
    return np.where(back <= n_scores[rows][:, None], courses.scored[np.maximum(places, 0)], -1)


@dataclass(frozen=True, kw_only=True)
class _Beliefs:
    """What is believed before the first score, and what follows for each run length, shape (lengths, 1)."""

    hazard: float
    alpha0: float
    beta0: float
    kappa0: float

    @cached_property
    def alpha(self) -> Array:
        """Shape of the posterior of the variance."""
        return self.alpha0 + np.arange(MAX_RUN + 1)[:, None] / 2

    @cached_property
    def kappa(self) -> Array:
        """Scores that the posterior of the level is worth."""
        return self.kappa0 + np.arange(MAX_RUN + 1)[:, None]

    @cached_property
    def height(self) -> Array:
        """Predictive density at its centre, for beta 1, without the factor that all lengths share."""
        gamma = [math.lgamma(alpha + 0.5) - math.lgamma(alpha) for alpha in self.alpha[:, 0].tolist()]
        height: Array = np.exp(gamma)[:, None] * np.sqrt(self.kappa / (self.kappa + 1))
        return height


def _walk(courses: Courses, believed: _Beliefs) -> _Found:
    """Move all courses on by one scored session at a time."""
    found = _nothing(len(courses.values))
    runs: _Runs | None = None
    for places in courses.scored_steps:
        rows = courses.scored[places]
        scores = courses.values[rows]
        if runs is None:
            runs = _Runs.start(believed, scores)
        else:
            runs = runs.of_first(len(rows))
            found.mean[rows], found.sigma[rows], found.n_scores[rows] = runs.likeliest()
        runs = runs.after(scores)
        found.probability[rows] = runs.weight[1]
    return found


@dataclass(frozen=True, kw_only=True)
class _Runs:
    """Every run length that each series may have, shape (run lengths, series still running).

    `weight` is its probability, `mean` and `beta` are the posterior of its level and variance. `first` is the
    first score of each series.
    """

    believed: _Beliefs
    first: Array
    weight: Array
    mean: Array
    beta: Array

    @classmethod
    def start(cls, believed: _Beliefs, first: Array) -> _Runs:
        """Return the runs before any score: of length 0, around the first score of each series."""
        shape = (1, len(first))
        return cls(
            believed=believed,
            first=first,
            weight=np.ones(shape),
            mean=first[None].copy(),
            beta=np.full(shape, believed.beta0),
        )

    def of_first(self, n_series: int) -> _Runs:
        """Return the runs of the first series only: the others have ended."""
        if n_series == len(self.first):
            return self
        weight, mean, beta = (
            np.ascontiguousarray(each[:, :n_series]) for each in (self.weight, self.mean, self.beta)
        )
        return _Runs(believed=self.believed, first=self.first[:n_series], weight=weight, mean=mean, beta=beta)

    def likeliest(self) -> tuple[Array, Array, Array]:
        """Return mean, deviation and length of the likeliest run with a score; the shortest of equals."""
        length = 1 + np.argmax(self.weight[1:], axis=0)
        at = (length, np.arange(len(length)))
        return self.mean[at], np.sqrt(self.beta[at] / self.believed.alpha[length, 0]), length

    def after(self, scores: Array) -> _Runs:
        """Return the runs after one more score of every series."""
        kappa = self.believed.kappa[: len(self.weight)]
        off = scores - self.mean
        excess = off**2 * (kappa / (2 * (kappa + 1))) / self.beta
        joint = self.weight * self._density(excess)
        grown = joint * ((1 - self.believed.hazard) / _total(joint))
        runs = _Runs(
            believed=self.believed,
            first=self.first,
            weight=_below(self.believed.hazard, grown),
            mean=_below(self.first, self.mean + off / (kappa + 1)),
            beta=_below(self.believed.beta0, self.beta * (1 + excess)),
        )
        return runs if len(runs.weight) <= MAX_RUN + 1 else runs._merged()

    def _density(self, excess: Array) -> Array:
        """Return the predictive density of the scores, without the factor all run lengths share."""
        alpha, height = (each[: len(excess)] for each in (self.believed.alpha, self.believed.height))
        density: Array = height / np.sqrt(self.beta) * np.exp(-(alpha + 0.5) * np.log1p(excess))
        return density

    def _merged(self) -> _Runs:
        """Return the runs with the longest two as one: the likelier gives its mean and variance.

        The longest keeps the weight of its length, so that its oldest scores fade.
        """
        longest = self.believed.alpha0 + MAX_RUN / 2
        self.beta[-1] *= longest / (longest + 0.5)
        likelier = self.weight[-1] > self.weight[-2]
        for each in (self.mean, self.beta):
            each[-2] = np.where(likelier, each[-1], each[-2])
        self.weight[-2] += self.weight[-1]
        weight, mean, beta = (each[:-1] for each in (self.weight, self.mean, self.beta))
        return _Runs(believed=self.believed, first=self.first, weight=weight, mean=mean, beta=beta)


def _below(top: Array | float, rows: Array) -> Array:
    """Return `rows` with `top` as a further row above them."""
    array = np.empty((len(rows) + 1, rows.shape[1]))
    array[0], array[1:] = top, rows
    return array


def _total(joint: Array) -> Array:
    """Return the sum over run lengths, added up one after the other however many series there are.

    A single column would be summed pairwise, with other last digits than beside other columns.
    """
    wide = joint if joint.shape[1] > 1 else np.repeat(joint, 2, axis=1)
    total: Array = np.add.reduce(wide, axis=0)
    return total[: joint.shape[1]]
