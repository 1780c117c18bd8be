"""`forecast`: each score against what the caseload's course and the case's earlier scores make one expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.rupture.change import state_of
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import number
from alliance.rupture.local_level import Level, fit_level, predict
from alliance.rupture.mixed import Line, fit_line, lines_without_each, unit_sums
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import NO_VARIATION, NOT_ENOUGH, UNSCORED, Verdict, constant

if TYPE_CHECKING:
    from alliance.rupture.findings import Judged

Array = np.ndarray[Any, Any]

MIN_CASES = 20
MIN_SCORES = 3
CLOCKS = ("linear", "log")
ENOUGH_CASES = f"cases with {MIN_SCORES} scores"


@dataclass(frozen=True, kw_only=True)
class Members:
    """Who is in the caseload, and what it would have taught without each of them.

    A case is known by its course: by every beginning of it that no other case shares.

    Attributes
    ----------
    beginnings : uint64, ascending; the beginnings that belong to one case only
    series : int, one for each beginning; the case it belongs to
    lines : clock → Line, shape (series,); the fit without each case
    """

    beginnings: Array
    series: Array
    lines: Mapping[str, Line]

    def among(self, beginnings: Array) -> Array:
        """Return which member each beginning belongs to, -1 = none."""
        if not len(self.beginnings):
            return np.full(len(beginnings), -1)
        place = np.minimum(np.searchsorted(self.beginnings, beginnings), len(self.beginnings) - 1)
        return np.where(self.beginnings[place] == beginnings, self.series[place], -1)


@dataclass(frozen=True, kw_only=True)
class Caseload:
    """What a caseload teaches about the expected course.

    Attributes
    ----------
    n_cases : int; cases with at least 3 scores
    lines : clock → Line; the mixed model, empty with too few cases
    level : Level or None; the local level model
    members : Members or None; None = read from a file, so that no case is left out
    """

    n_cases: int
    lines: Mapping[str, Line] = field(default_factory=dict)
    level: Level | None = None
    members: Members | None = field(default=None, repr=False, compare=False)

    @property
    def is_enough(self) -> bool:
        """Whether there are 20 cases to learn from."""
        return self.n_cases >= MIN_CASES and self.level is not None

    def as_json(self) -> dict[str, Any]:
        """Return all but the members."""
        return {
            "n_cases": self.n_cases,
            "lines": {clock: asdict(line) for clock, line in self.lines.items()},
            "level": None if self.level is None else asdict(self.level),
        }


def recall(content: Mapping[str, Any]) -> Caseload:
    """Return the caseload of a prior file.

    Raises
    ------
    KeyError, TypeError
        If something is missing or is no number.
    """
    n_cases = int(_numbers({"n_cases": content["n_cases"]})["n_cases"])
    if n_cases < MIN_CASES:
        return Caseload(n_cases=n_cases)
    lines = {clock: Line(**_numbers(content["lines"][clock])) for clock in CLOCKS}
    return Caseload(n_cases=n_cases, lines=lines, level=Level(**_numbers(content["level"])))


def _numbers(content: Mapping[str, Any]) -> dict[str, float]:
    for name, value in content.items():
        if not isinstance(value, int | float):
            message = f"{name} must be a number, got {value!r}"
            raise TypeError(message)
    return {name: float(value) for name, value in content.items()}


def learn(courses: Courses, measure: Measure) -> Caseload:
    """Fit the models to all courses, and the mixed model without each of them as well.

    Every scored session counts, those of cases with one or two scores too. With fewer than 20 cases of at
    least 3 scores nothing is fitted.
    """
    rows = courses.scored
    series, n_series = courses.series[rows], len(courses.starts)
    n_cases = int((np.bincount(series, minlength=n_series) >= MIN_SCORES).sum())
    if n_cases < MIN_CASES:
        return Caseload(n_cases=n_cases)
    lines, without = {}, {}
    for clock in CLOCKS:
        sums = unit_sums(_time(courses.session[rows], clock), courses.values[rows], series, n_series)
        fit = fit_line(sums)
        lines[clock], without[clock] = fit.line, lines_without_each(sums, fit)
    beginnings, first, count = np.unique(_beginnings(courses), return_index=True, return_counts=True)
    alone = count == 1
    members = Members(beginnings=beginnings[alone], series=series[first[alone]], lines=without)
    return Caseload(n_cases=n_cases, lines=lines, level=fit_level(courses), members=members)


def _time(session: Array, clock: str) -> Array:
    """Return the time of the mixed model; the logarithm counts from session 1, whatever comes before it."""
    return session - 1.0 if clock == "linear" else np.log(np.maximum(session, 1))


def _beginnings(courses: Courses) -> Array:
    """Return a number for each scored row that stands for the scores and sessions of its series up to it."""
    rows = courses.scored
    bits = (courses.values[rows] + 0.0).view(np.uint64)
    token = _mixed(bits ^ _mixed(courses.session[rows].astype(np.int64).view(np.uint64)))
    found = np.zeros(len(rows), dtype=np.uint64)
    so_far = np.zeros(len(courses.starts), dtype=np.uint64)
    for places in courses.scored_steps:
        so_far = _mixed(so_far[: len(places)] + token[places])
        found[places] = so_far
    return found


def _mixed(words: Array) -> Array:
    """Return 64-bit words, every bit of which hangs on all bits of the given ones: SplitMix64's finaliser."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = words ^ (words >> np.uint64(31))
    return mixed


@dataclass(frozen=True, kw_only=True)
class Forecasts:
    """What is expected of every form before it is scored; shape (forms,), NaN where nothing is.

    Attributes
    ----------
    expected : score points
    spread : standard deviation of the score around it
    n_earlier : int; earlier scores of the same series, 0 where the form is not scored
    """

    expected: Array
    spread: Array
    n_earlier: Array


def forecast_line(courses: Courses, line: Line, *, clock: str = "linear") -> Forecasts:
    """Forecast every score from a mixed model with random intercept and the earlier scores of its series.

    Parameters
    ----------
    courses : Courses
        NaN = not scored; such sessions only let time pass.
    line : Line
        Floats, or arrays of shape (scored forms,): the model each score is judged by.
    clock : str
        Time: "linear" counts sessions from 0, "log" takes the logarithm of the session number.

    Returns
    -------
    Forecasts
        Without an earlier score the mean course of the caseload. With k of them, weighted by w = between^2 /
        (between^2 + within^2 / k), their mean distance from that course is added. The variance is
        between^2 (1 - w) + within^2.

    Examples
    --------
    >>> line = Line(intercept=48.0, slope=0.0, between=6.0, within=3.0)
    >>> forecast_line(Courses.of([40.0, 41.0]), line).expected.round(2)
    array([48. , 41.6])
    """
    rows = courses.scored
    time = _time(courses.session[rows], clock)
    n, score_sum, time_sum = _earlier(courses, time)
    known = np.maximum(n, 1)
    own = score_sum / known - line.intercept - line.slope * (time_sum / known)
    noise, between = np.square(line.within) / known, np.square(line.between)
    with np.errstate(invalid="ignore"):
        weight = np.where((n > 0) & (between > 0), between / (between + noise), 0.0)
    expected, spread = np.full((2, len(courses.values)), np.nan)
    expected[rows] = line.intercept + line.slope * time + weight * own
    spread[rows] = np.sqrt(between * (1 - weight) + np.square(line.within))
    n_earlier = np.zeros(len(courses.values), dtype=np.int64)
    n_earlier[rows] = n
    return Forecasts(expected=expected, spread=spread, n_earlier=n_earlier)


def _earlier(courses: Courses, time: Array) -> tuple[Array, Array, Array]:
    """Return number, sum of scores and sum of times of the earlier scores of every scored row."""
    scores = courses.values[courses.scored]
    n, score_sum, time_sum = np.zeros((3, len(scores)))
    so_far = np.zeros((2, len(courses.starts)))
    for count, places in enumerate(courses.scored_steps):
        so_far = so_far[:, : len(places)]
        n[places], score_sum[places], time_sum[places] = count, *so_far
        so_far = so_far + np.stack([scores[places], time[places]])
    return n, score_sum, time_sum


def _forecast_level(courses: Courses, level: Level) -> Forecasts:
    expected, variance = predict(courses, level)
    n_earlier = np.zeros(len(expected), dtype=np.int64)
    n_earlier[courses.scored], _, _ = _earlier(courses, np.zeros(len(courses.scored)))
    return Forecasts(expected=expected, spread=np.sqrt(variance), n_earlier=n_earlier)


def _explain(judged: Judged, rows: Array) -> list[Array | str]:
    verdict = judged.verdict
    earlier = verdict.n_reference[rows]
    caseload = judged.measure.caseload["forecast"]
    return [
        number("scored ", judged.courses.values[rows]),
        number(f", {'above' if judged.rising else 'below'} the limit ", verdict.limit[rows]),
        number(": expected was ", verdict.reference[rows]),
        number(" (SD ", verdict.sigma[rows]),
        number("), from ", earlier),
        np.where(earlier == 1, " earlier score", " earlier scores").astype(object),
        f" and the courses of {caseload.n_cases} cases",
    ]


@method(
    "forecast",
    online=True,
    needs="one earlier score, and a caseload of 20 cases with 3 scores",
    finds="a score below the course that the caseload and the case's own earlier scores make one expect",
    blind="the first session, a fall that most of the caseload shares, and what follows a lasting fall",
    source="mixed model by restricted maximum likelihood as in Bates et al. (2015), "
    "https://doi.org/10.18637/jss.v067.i01; idea: expected treatment response, Finch et al. (2001)",
    formula=(
        "y = b0 + b1 t + a + e, a ~ N(0, τ²) per case, e ~ N(0, s²); fitted without the case itself",
        "w = τ² / (τ² + s²/k), k earlier scores",
        "expected = b0 + b1 t + w mean(y - b0 - b1 t), variance = τ² (1 - w) + s²",
        "flagged: (y - expected) / √variance < z(alpha)",
        "level: a local level, drift q per session and noise r the same for every case",
    ),
    explain=_explain,
    learn=learn,
    recall=recall,
)
def forecast(
    courses: Courses,
    measure: Measure,
    *,
    alpha: float = 0.01,
    model: str = "intercept",
    clock: str = "linear",
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session that scores below what the caseload and the earlier sessions make one expect.

    Only the intercept differs from case to case. A slope of its own would learn a client's decline, and
    excuse it.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored.
    measure : Measure
        Step of the score, and in `caseload["forecast"]` what `learn` made of the caseload. Without it the
        caseload counts as empty.
    alpha : float
        One-sided error rate of a single verdict; the standardised distance is compared with the normal
        distribution, as if the model were known.
    model : str
        "intercept": mixed model, fitted to the caseload without the case. It is left out where its scores so
        far are the beginning of one course of the caseload only; others, and every case where the caseload
        comes from a file, are judged by the fit to all. "level": local level, with the variances of the whole
        caseload.
    clock : str
        Time of the mixed model: "linear" or "log" of the session number.
    repair : RepairRule, optional
        When an episode ends; its reference and sigma are the forecast of the flagged session.

    Returns
    -------
    Verdict
        `reference` and `sigma` are the forecast. `met` is NaN at the first score, whatever the model expects
        of it: a low start is no fall. No spread within a case is taken below step / sqrt(12).

    References
    ----------
    Finch, A. E., Lambert, M. J., & Schaalje, B. G. (2001). Psychotherapy quality control. Clinical Psychology
    and Psychotherapy, 8(4), 231-242.

    Examples
    --------
    >>> line = Line(intercept=48.0, slope=0.0, between=6.0, within=3.0)
    >>> caseload = Caseload(n_cases=40, lines={"linear": line}, level=Level(drift=0.0, noise=9.0))
    >>> forecast(Courses.of([50, 51, 40]), Measure(caseload={"forecast": caseload})).met
    array([nan,  0.,  1.])
    """
    from statistics import NormalDist

    caseload = measure.caseload.get("forecast") or Caseload(n_cases=0)
    if not caseload.is_enough:
        return _unknown(courses, caseload)
    told = _forecasts(courses, caseload, model, clock, measure.step / np.sqrt(12))
    enough = (told.n_earlier > 0) & (told.spread > 0)
    expected, spread = (np.where(enough, each, np.nan) for each in (told.expected, told.spread))
    limit = expected + NormalDist().inv_cdf(alpha) * spread
    met = three_valued(enough, courses.values < limit - TOLERANCE)
    flat = (told.n_earlier > 0) & (told.spread == 0)
    return Verdict(
        met=met,
        statistic=(courses.values - expected) / spread,
        limit=limit,
        reference=expected,
        sigma=spread,
        df=constant(np.inf, len(met)),
        n_reference=told.n_earlier,
        state=np.where(flat, NO_VARIATION, state_of(courses, met)).astype(np.int8),
        needed=1,
        follow=lambda: follow_flags(courses, met, expected, spread, repair or RepairRule()),
    )


def _forecasts(courses: Courses, caseload: Caseload, model: str, clock: str, floor: float) -> Forecasts:
    if model == "level" and caseload.level is not None:
        told = _forecast_level(courses, caseload.level)
        return replace(told, spread=np.maximum(told.spread, floor))
    line = _line_of(courses, caseload, clock)
    return forecast_line(courses, replace(line, within=np.maximum(line.within, floor)), clock=clock)


def _line_of(courses: Courses, caseload: Caseload, clock: str) -> Line:
    """Return the model for each scored row: without the case if it is known who that is, else of all."""
    plain = caseload.lines[clock]
    if caseload.members is None:
        return plain
    who = caseload.members.among(_beginnings(courses))
    without = vars(caseload.members.lines[clock])
    return Line(**{name: np.append(values, vars(plain)[name])[who] for name, values in without.items()})


def _unknown(courses: Courses, caseload: Caseload) -> Verdict:
    """Return that nothing can be said, because the caseload is too small."""
    n_forms = len(courses.values)
    nothing = constant(np.nan, n_forms)
    state = np.where(np.isnan(courses.values), UNSCORED, NOT_ENOUGH)
    return Verdict(
        met=nothing,
        statistic=nothing,
        limit=nothing,
        reference=nothing,
        sigma=nothing,
        df=nothing,
        n_reference=np.zeros(n_forms, dtype=np.int64),
        state=state.astype(np.int8),
        needed=MIN_CASES,
        counted=ENOUGH_CASES,
        follow=lambda: follow_flags(courses, nothing, nothing, nothing, RepairRule()),
        details={"have": constant(caseload.n_cases, n_forms)},
    )
