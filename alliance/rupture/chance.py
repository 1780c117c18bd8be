"""How many cases noise alone would flag: the number that belongs beside every prevalence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import Courses, TimeSteps
from alliance.psychometrics import successive_spread
from alliance.rupture.prior import shrink
from alliance.rupture.registry import Measure

if TYPE_CHECKING:
    from alliance.rupture.detection import Run

Array = np.ndarray[Any, Any]

REPLICATES = 999
MAX_FORMS = 200_000
FORMS_AT_ONCE = 50_000
MAX_PHI = 0.9


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Share of series flagged at least once among those with a verdict: observed, and under noise alone.

    `low` and `high` hold 95 % of the replicates; `finding` is what the method flags.
    """

    n_series: int
    observed: float
    expected: float
    low: float
    high: float
    replicates: int
    finding: str = "rupture"

    def __str__(self) -> str:
        """Return the comparison as a sentence."""
        flagged = round(self.observed * self.n_series)
        beyond = "more than chance" if self.observed > self.high else "no more than chance"
        found = f"{flagged} of {self.n_series} cases with enough data had a {self.finding}"
        noise = f"noise alone would flag {self.expected:.0%} (95 % range {self.low:.0%} to {self.high:.0%})"
        return f"{found} ({self.observed:.0%}); {noise}: {beyond}"


def chance(
    courses: Courses,
    measure: Measure,
    run: Run,
    *,
    seed: int = 1,
    replicates: int = REPLICATES,
) -> Chance:
    """Compare the share of flagged series with that of the same series without any rupture.

    Parametric bootstrap: every replicate keeps each series' sessions, gaps, mean and shrunk spread, draws
    first-order autocorrelated noise with the caseload's autocorrelation, rounds it to the steps of the score,
    cuts it off at the ends of the range, and judges it by the same method.

    Parameters
    ----------
    courses : Courses
    measure, run
        As the observed verdicts were made, prior included.
    seed : int
        Equal seeds give equal numbers.
    replicates : int
        At most; fewer for long courses, so that no more than 200,000 forms are drawn, but never below 20.
    """
    count = int(np.clip(MAX_FORMS // max(len(courses.values), 1), 20, replicates))
    observed, judged = _share(courses, 1, measure, run)
    noise = _Noise.of(courses, measure)
    rng = np.random.default_rng(seed)
    at_once = max(FORMS_AT_ONCE // max(len(courses.values), 1), 1)
    shares = np.concatenate(
        [
            _share(noise.draw(batch, rng), batch, measure, run)[0]
            for batch in [*[at_once] * (count // at_once), count % at_once]
            if batch
        ]
    )
    low, high = np.quantile(shares, [0.025, 0.975])
    return Chance(
        n_series=int(judged[0]),
        observed=float(observed[0]),
        expected=float(shares.mean()),
        low=float(low),
        high=float(high),
        replicates=count,
        finding=run.finding,
    )


def rupture_free(courses: Courses, measure: Measure, *, count: int, rng: np.random.Generator) -> Courses:
    """Return `count` replicates of courses, one behind the other, as noise alone would draw them.

    Each keeps the sessions, gaps, mean and shrunk spread of every series and the caseload's autocorrelation.
    """
    return _Noise.of(courses, measure).draw(count, rng)


def autocorrelation(courses: Courses) -> float:
    """Return the pooled correlation of neighbouring scores around their series' means, between 0 and 0.9."""
    centred = courses.values - _means(courses)[courses.series]
    paired = np.flatnonzero(np.isfinite(courses.change_from_neighbour()))
    scale = float(np.nansum(centred[paired] ** 2))
    return (
        float(np.clip(np.sum(centred[paired] * centred[paired - 1]) / scale, 0, MAX_PHI))
        if scale > 0
        else 0.0
    )


def _means(courses: Courses) -> Array:
    known = np.isfinite(courses.values)
    n_series = len(courses.starts)
    total = np.bincount(courses.series[known], weights=courses.values[known], minlength=n_series)
    return total / np.maximum(np.bincount(courses.series[known], minlength=n_series), 1)


@dataclass(frozen=True, kw_only=True)
class _Noise:
    """What courses without any rupture look like: level, spread and autocorrelation of the real ones."""

    courses: Courses
    measure: Measure
    level: Array
    sigma: Array
    phi: float

    @classmethod
    def of(cls, courses: Courses, measure: Measure) -> _Noise:
        spread = successive_spread(courses)
        variance = np.maximum(spread.variance, measure.step**2 / 12)
        sigma, _ = shrink(variance, np.maximum(spread.df, 1e-9), measure.prior)
        return cls(
            courses=courses, measure=measure, level=_means(courses), sigma=sigma, phi=autocorrelation(courses)
        )

    def draw(self, count: int, rng: np.random.Generator) -> Courses:
        """Return `count` replicates, one behind the other."""
        many = self._repeated(count)
        noise = self._autocorrelated(many, rng)
        raw = np.tile(self.level, count)[many.series] + np.tile(self.sigma, count)[many.series] * noise
        measure = self.measure
        values = np.clip(_on_steps(raw, measure), measure.low, measure.high)
        values[np.isnan(many.values)] = np.nan
        return Courses(values=values, session=many.session, starts=many.starts)

    def _repeated(self, count: int) -> Courses:
        courses = self.courses
        shift = np.repeat(np.arange(count) * len(courses.values), len(courses.starts))
        return Courses(
            values=np.tile(courses.values, count),
            session=np.tile(courses.clock, count),
            starts=np.tile(courses.starts, count) + shift,
        )

    def _autocorrelated(self, many: Courses, rng: np.random.Generator) -> Array:
        noise = rng.standard_normal(len(many.values))
        before: Array | None = None
        for rows in TimeSteps.of(many.starts, many.lengths):
            if before is not None:
                noise[rows] = self.phi * noise[before[: len(rows)]] + np.sqrt(1 - self.phi**2) * noise[rows]
            before = rows
        return noise


def _on_steps(values: Array, measure: Measure) -> Array:
    """Return values rounded to the steps of the score, counted from its lowest value."""
    if measure.step == 0:
        return values
    origin = measure.low if np.isfinite(measure.low) else 0.0
    rounded: Array = origin + np.rint((values - origin) / measure.step) * measure.step
    return rounded


def _share(courses: Courses, count: int, measure: Measure, run: Run) -> tuple[Array, Array]:
    """Return for each of `count` replicates the share of flagged series, and the number with a verdict."""
    met = run.verdict(courses, measure).met
    n_series = len(courses.starts)
    flagged = np.bincount(courses.series, weights=met == 1, minlength=n_series).reshape(count, -1) > 0
    judged = np.bincount(courses.series, weights=np.isfinite(met), minlength=n_series).reshape(count, -1) > 0
    total = judged.sum(axis=1)
    return flagged.sum(axis=1) / np.maximum(total, 1), total
