"""`reliable-drop`: a fall from the session directly before that measurement error does not explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.errors import UsageError
from alliance.psychometrics import reliable_change
from alliance.reliable import BY_CORRELATION, MIN_PAIRS, Moments, critical_value, expectation, moments
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import by_limit, number
from alliance.rupture.growth import WAVES, Growth, fit_growth, running_slopes
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import EVALUATED, NO_VARIATION, NOT_ENOUGH, UNSCORED, Verdict, constant

if TYPE_CHECKING:
    from alliance.rupture.findings import Judged

Array = np.ndarray[Any, Any]

BACK = "sessions back"
"""Detail of a verdict that compares with the last score: how long ago that was."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What the neighbouring sessions of a caseload look like, for the variants that stand on a sample.

    Attributes
    ----------
    moments : Moments; of all pairs of neighbouring sessions
    courses : Courses or None; what the slopes are learned from, once they are asked for
    known : Growth or None; the slopes, where they were learned before
    """

    moments: Moments
    courses: Courses | None = field(default=None, repr=False, compare=False)
    known: Growth | None = None

    @cached_property
    def growth(self) -> Growth:
        """How courses rise and fall, fitted on first use."""
        if self.known is not None:
            return self.known
        if self.courses is None:
            message = "the prior holds no slopes, and HLM needs them"
            raise UsageError(message, hint="write it with a run of --variant HLM")
        return fit_growth(self.courses)

    def as_json(self) -> dict[str, Any]:
        """Return the moments, and the slopes if anyone asked for them."""
        growth = self.known or self.__dict__.get("growth")
        numbers = {name: None if np.isnan(value) else value for name, value in asdict(self.moments).items()}
        return {"moments": numbers, "growth": None if growth is None else asdict(growth)}


def pairs_of(courses: Courses, _: Measure) -> Pairs:
    """Return the moments of all pairs of neighbouring sessions."""
    change = courses.change_from_neighbour()
    rows = np.flatnonzero(np.isfinite(change))
    return Pairs(moments=moments(courses.values[rows - 1], courses.values[rows]), courses=courses)


def pairs_from(content: Mapping[str, Any]) -> Pairs:
    """Return what a prior file holds."""
    numbers: dict[str, Any] = {
        name: np.nan if value is None else value for name, value in content["moments"].items()
    }
    growth = content["growth"]
    return Pairs(moments=Moments(**numbers), known=None if growth is None else Growth(**growth))


def _explain(judged: Judged, rows: Array) -> list[Array | str]:
    verdict = judged.verdict
    details = {name: values for name, values in verdict.details.items() if name != BACK}
    since: Array | str = " the session before"
    if BACK in verdict.details:
        since = number(" the last scored session (sessions back: ", verdict.details[BACK][rows]) + ")"
    scored = number("scored ", judged.courses.values[rows])
    below = f", {'above' if judged.rising else 'below'} the limit "
    index = number(", index ", verdict.statistic[rows], "%.3g")
    if "slope" in details:
        slope = number(": the course so far changes by ", judged.sign * details["slope"][rows], "%.3g")
        return [scored, slope, number(" a session (error ", details["error"][rows], "%.3g"), index, ")"]
    if not details and BACK not in verdict.details:
        return by_limit(judged, rows)
    limit = number(below, verdict.limit[rows])
    before = number(" (", verdict.reference[rows])
    if not details:
        return [scored, limit, " from", since, before, number(", SD ", verdict.sigma[rows]), ")"]
    ((variant, expected),) = details.items()
    gives = number(f": {variant} expects ", judged.sign * expected[rows])
    return [scored, limit, gives, " after", since, before, ")", index]


@method(
    "reliable-drop",
    online=True,
    needs="the session directly before, and a standard deviation with a reliability, or a within-person SD",
    finds="a fall since the session before",
    blind="a slow decline; and where the reliability is an alpha, a normal week already exceeds the limit",
    source="Jacobson & Truax (1991), https://doi.org/10.1037/0022-006X.59.1.12",
    formula=(
        "SEM = SD √(1 - r), or the within-person SD",
        "JT: index = (y - x) / (√2 SEM), x = score of the session before; flagged: index < -criterion",
        "other variants: index = (y - expected) / error; M1 S1 M2 S2 r12 n of all neighbouring sessions",
        "GLN: M1 + r (x - M1), error S1 √(1 - r²); HLL: M2 + r (x - M1), error as GLN",
        "EN: M1 + r (x - M1), error S1 √(1 - r); NK: the same, error S1 √(r² (1 - r) + 1 - r_post)",
        "HA: index = ((y - x) r_dd + (M2 - M1)(1 - r_dd)) / (√r_dd √2 S1 √(1 - r)), criterion 1.65",
        "HLM: empirical-Bayes slope of the course so far / its posterior SD, from 3 scores on",
        "Chelune: x + M2 - M1, error S1 √(2 (1 - r12)); Iverson: error √((S1² + S2²)(1 - r12))",
        "SRB: M2 + r12 S2/S1 (x - M1), error S2 √(1 - r12²)",
        "Crawford-Howell: as SRB, error S2 √((1 - r12²)(n - 1)/(n - 2)) √(1 + 1/n + (x - M1)²/(S1² (n - 1))) "
        "and t with n - 2 df",
        "Chelune, Iverson, SRB, Crawford-Howell: formulas from memory, not checked against the papers",
    ),
    explain=_explain,
    learn=pairs_of,
    learns=lambda settings: settings.get("variant", "JT") != "JT",
    recall=pairs_from,
)
def reliable_drop(
    courses: Courses,
    measure: Measure,
    *,
    criterion: float | None = None,
    last_scored: bool = False,
    variant: str = "JT",
    r_post: float | None = None,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session that scores reliably below the session directly before it.

    For courses of sessions only JT makes sense. The other variants are made for one score before and one
    after a treatment, and are here so that numbers can be compared with such papers: they expect scores to
    move towards the mean of the caseload from one session to the next, and take the caseload's pairs of
    neighbouring sessions for their sample.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored. A skipped session number is a
        session without a form.
    measure : Measure
        Must hold a norm with sd and reliability, or a within-person SD; the variants other than JT also
        what was learned of the caseload. Chelune, Iverson, SRB, Crawford-Howell and HLM need that alone.
    criterion : float, optional
        Two-sided 5 % by default: 1.96, for HA 1.65, for Crawford-Howell the t value of the same level.
        2.576 is kinder to series that are compared session after session.
    last_scored : bool
        Compare with the last score there is, however long ago, instead of the session directly before.
    variant : str
        Formula of the index, see `alliance.reliable.reliable_change_index`; or HLM, the slope of the course
        so far, shrunk towards the caseload's slopes, over its posterior standard deviation.
    r_post : float, optional
        Reliability of the later score, for NK; the same as of the earlier one if not given.
    repair : RepairRule, optional
        When an episode ends; its sigma is the standard error of measurement (HLM: the residual SD).

    Returns
    -------
    Verdict
        `statistic` is the reliable change index; JT: change / (sqrt(2) * SEM). `met` is 1 where it is below
        -criterion, 0 where it is not, and NaN where this session, or the one before it, has no score.
        `limit` is the score where the index is -criterion; HLM has none, and its `reference` is the height
        of the person's line at their first score.

    Raises
    ------
    UsageError
        If neither the definition nor the caller says how reliable the score is, or the variant lacks a
        sample.

    Examples
    --------
    >>> measure = Measure(low=1, high=7, step=1 / 6, within_sd=0.36)
    >>> reliable_drop(Courses.of([6.0, 5.8, 4.5]), measure).met
    array([nan,  0.,  1.])
    """
    cut = _criterion(measure, variant, criterion)
    rule = repair or RepairRule()
    if variant == "HLM":
        return _by_slope(courses, _lesson(measure, variant).growth, cut, rule)
    before = last_scored_rows(courses) if last_scored else np.arange(len(courses.values)) - 1
    change = _change_since(courses, before) if last_scored else courses.change_from_neighbour()
    if variant == "JT":
        by = _by_sem(courses, change, require_sem(measure, "reliable-drop"), cut)
    else:
        by = _by_sample(courses, change, measure, cut, variant=variant, r_post=r_post)
    details = dict(by.details)
    if last_scored:
        details[BACK] = np.where(before >= 0, courses.session - courses.session[before], 0)
    met = three_valued(np.isfinite(by.index), by.short)
    reference, sigma = courses.values - change, constant(by.sigma, len(met))
    return Verdict(
        met=met,
        statistic=by.index,
        limit=by.limit,
        reference=reference,
        sigma=sigma,
        df=constant(by.df, len(met)),
        n_reference=np.isfinite(by.index).astype(np.int64),
        state=state_of(courses, met),
        needed=1,
        follow=lambda: follow_flags(courses, met, reference, sigma, rule),
        compared=lambda: before[met == 1][:, None],
        details=details,
    )


@dataclass(frozen=True, kw_only=True)
class _Index:
    """What one variant says of every form; `limit` is the score where the index lies on the criterion."""

    index: Array
    short: Array
    limit: Array
    sigma: float
    df: float = np.inf
    details: Mapping[str, Array] = field(default_factory=dict)


def _by_sem(courses: Courses, change: Array, error: float, criterion: float) -> _Index:
    cut = criterion * np.sqrt(2) * error
    return _Index(
        index=reliable_change(change, sem=error),
        short=change < -cut - TOLERANCE,
        limit=courses.values - change - cut,
        sigma=error,
    )


def _by_sample(
    courses: Courses, change: Array, measure: Measure, criterion: float, *, variant: str, r_post: float | None
) -> _Index:
    by = _lesson(measure, variant).moments
    reliability = None if variant in BY_CORRELATION else _reliability(measure, by)
    try:
        expected, error = expectation(
            courses.values - change, variant, moments=by, reliability=reliability, reliability_post=r_post
        )
    except ValueError as problem:
        message = f"reliable-drop by {variant} is not possible here: {problem}"
        raise UsageError(message, hint="use another --variant") from problem
    limit = expected - criterion * error
    steady = by.r12 if reliability is None else reliability
    return _Index(
        index=(courses.values - expected) / error,
        short=courses.values < limit - TOLERANCE,
        limit=limit,
        sigma=float(by.s1 * np.sqrt(1 - steady)),
        df=by.n - 2.0 if variant == "Crawford-Howell" else np.inf,
        details={variant: expected},
    )


def _by_slope(courses: Courses, growth: Growth, criterion: float, rule: RepairRule) -> Verdict:
    """Judge by the slope of each course so far."""
    found = running_slopes(courses, growth)
    steady = np.isfinite(found.error) & ~(found.error > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        index = np.where(steady, np.nan, found.slope / found.error)
        short = found.slope < -criterion * found.error - TOLERANCE
    met = three_valued(np.isfinite(index), short)
    sigma = constant(growth.residual, len(met))
    return Verdict(
        met=met,
        statistic=index,
        limit=constant(np.nan, len(met)),
        reference=found.start,
        sigma=sigma,
        df=constant(np.inf, len(met)),
        n_reference=np.maximum(found.n - 1, 0),
        state=np.where(steady, NO_VARIATION, state_of(courses, met)).astype(np.int8),
        needed=WAVES - 1,
        follow=lambda: follow_flags(courses, met, found.start, sigma, rule),
        details={"slope": found.slope, "error": found.error},
    )


def state_of(courses: Courses, met: Array) -> Array:
    """Return why each form has its verdict: evaluated, not scored, or not enough data."""
    state = np.where(np.isnan(courses.values), UNSCORED, np.where(np.isnan(met), NOT_ENOUGH, EVALUATED))
    return state.astype(np.int8)


def _criterion(measure: Measure, variant: str, criterion: float | None) -> float:
    if variant != "Crawford-Howell":
        return critical_value(variant, criterion)
    return critical_value(variant, criterion, n=_lesson(measure, variant).moments.n)


def _lesson(measure: Measure, variant: str) -> Pairs:
    """Return what was learned of the caseload."""
    lesson = measure.caseload.get("reliable-drop")
    if not isinstance(lesson, Pairs):
        message = f"reliable-drop by {variant} stands on a caseload, and none was given"
        raise UsageError(message, hint="judge a whole caseload, or give --prior of one")
    if variant != "HLM" and lesson.moments.n < MIN_PAIRS:
        message = (
            f"reliable-drop by {variant} needs {MIN_PAIRS} pairs of neighbouring sessions in the caseload, "
            f"got {lesson.moments.n}"
        )
        raise UsageError(message, hint="judge a larger caseload, or give --prior of one")
    return lesson


def require_sem(measure: Measure, name: str) -> float:
    """Return the standard error of measurement, which the method called `name` needs."""
    if measure.sem is None:
        message = f"{name} needs the reliability of the score, and the definition has none"
        raise UsageError(message, hint="give --sd and --reliability, or --within-sd")
    return measure.sem


def _reliability(measure: Measure, by: Moments) -> float:
    """Return the reliability, or the one that a within-person SD means in this caseload."""
    error = require_sem(measure, "reliable-drop")
    if measure.within_sd is None and measure.norm is not None and measure.norm.reliability is not None:
        return measure.norm.reliability
    if not error < by.s1:
        message = f"the within-person SD {error:g} is not below the SD of the caseload's scores, {by.s1:.3g}"
        raise UsageError(message, hint="give --sd and --reliability instead, or use variant JT")
    return float(1 - (error / by.s1) ** 2)


def last_scored_rows(courses: Courses) -> Array:
    """Return the last scored row before each scored row of its series, int, shape (forms,); -1 = none."""
    before = np.full(len(courses.values), -1, dtype=np.int64)
    rows = courses.scored
    same = courses.series[rows[1:]] == courses.series[rows[:-1]]
    before[rows[1:]] = np.where(same, rows[:-1], -1)
    return before


def _change_since(courses: Courses, before: Array) -> Array:
    return np.where(before >= 0, courses.values - courses.values[before], np.nan)
