"""`sudden-loss`: a large fall between two sessions that the sessions after it do not take back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.errors import UsageError
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import Judged, number
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import EVALUATED, NOT_ENOUGH, UNSCORED, Verdict, constant
from alliance.special import t_quantile

Array = np.ndarray[Any, Any]

SIDE = 3
"""Sessions looked at before the loss, and from the loss on."""

FEWEST = 2
"""Scores that each side must have, for it to have a spread."""

RELIABLE = 1.96
LEVEL = 0.975
TESTS = ("published", "corrected")


def _reason(judged: Judged, rows: Array) -> list[Array | str]:
    """Return the change between sessions and between means, and what each had to reach."""
    side, way = ("above", "rose") if judged.rising else ("below", "fell")
    scores, before = judged.courses.values[rows], judged.verdict.reference[rows]
    told = {name: array[rows] for name, array in judged.verdict.details.items()}
    sides = _Sides.of(judged.courses).at(rows)
    corrected = bool(told["corrected"].any())
    bar, critical = sides.bar(corrected=corrected)
    asked: list[Array | str] = [number(" and ", told["share"]), number(" (", told["percent"], "%g")]
    asked.append(" % of the way to the minimum)")
    return [
        number("scored ", scores),
        number(", ", np.abs(before - scores)),
        number(f" {side} the ", before),
        number(" of the session before, where it takes at least ", told["cut"]),
        " (as given)" if told["given"].any() else " (1.96 √2 SEM)",
        *(asked if np.isfinite(told["percent"]).any() else []),
        number(f"; the mean {way} from ", sides.mean_before),
        number(" (", sides.n_before),
        number(" scores) to ", sides.mean_after),
        number(" (", sides.n_after),
        number(" scores), where it takes more than ", bar),
        number(" (t ", critical, "%.3f"),
        " times the standard error, corrected test)" if corrected else " times the pooled SD, as published)",
    ]


@method(
    "sudden-loss",
    online=False,
    needs="2 scores in the 3 sessions before the loss and 2 in the 3 sessions from it on; a smallest loss, "
    "or a standard deviation with a reliability, or a within-person SD",
    finds="a sudden loss that lasts",
    blind="a rupture repaired within two sessions; the first two sessions and the last. The third criterion "
    "takes the scores of a case as independent, which sessions in a row are not (from memory: Vittengl et "
    "al. 2005), and a steady decline meets it everywhere. As published it is no t test: with 3 and 3 scores "
    "it asks for a t of 3.40, not 2.776 (derived). The percentage depends on where the scale starts, so it "
    "is off unless asked for",
    source="Tang & DeRubeis (1999), https://doi.org/10.1037/0022-006X.67.6.894; critical values by the "
    "number of scores, as in the R package suddengains 0.7.2",
    formula=(
        "a, b = scores of sessions n and n + 1",
        "first: a - b ≥ cut, where cut = 1.96 √2 SEM unless given",
        "second, only with a percentage p: a - b ≥ p/100 (a - minimum)",
        "before = scores of sessions n - 2 to n, after = scores of n + 1 to n + 3, S = their pooled SD",
        "third: mean(before) - mean(after) > t(.975, n₁ + n₂ - 2) S e",
        "e = 1 as published, √(1/n₁ + 1/n₂) corrected",
        "statistic = (b - a) / (√2 SEM)",
    ),
    explain=_reason,
)
def sudden_loss(
    courses: Courses,
    measure: Measure,
    *,
    cut: float | None = None,
    percent: float | None = None,
    test: str = "published",
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session that scores far below the session before it, if the loss lasts.

    All criteria asked for must hold. One that cannot be computed makes the verdict missing, whatever the
    others say. Sessions count by their number: one without a form, or with a form that is not scored, is
    missing. The steps that can have a verdict are those of the literature, from 2 to 3 until T - 2 to T - 1
    of T sessions. T need not be known: at any other step one side has a single score. So an unscored end of
    a course has no verdict either, and T is in effect the last session that was scored.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored. A skipped session number is a
        session without a form.
    measure : Measure
        Holds the reliability that `cut` is made from, unless `cut` is given. With `percent`: the minimum.
    cut : float, optional
        Smallest loss that counts, in score points, itself included; by default 1.96 * sqrt(2) * SEM.
    percent : float, optional
        Second criterion: the loss is at least so many percent of the distance between the score before it and
        the minimum of the score. For rises it is the minimum too, not the maximum. Off by default.
    test : str
        Third criterion: `published`, or `corrected` to a two-sample t test with pooled variance and a
        two-sided error rate of 5 %.
    repair : RepairRule, optional
        When an episode ends; its sigma is the SEM, or cut / (1.96 * sqrt(2)) where there is none.

    Returns
    -------
    Verdict
        `met` is 1 at the session after the loss. `statistic` is the change since the session before in
        standard errors of a difference, negative = worse; `df` is infinite if the SEM is known, and NaN if it
        is not: the unit is cut / 1.96 then. `limit` is the score before minus `cut`; a score on it counts.
        Both are NaN without a verdict. `n_reference` is the number of scores on both sides. `details` holds
        the criteria as 1/0/NaN: `first`, `second` (NaN if not asked for) and `third`.

    Raises
    ------
    UsageError
        If neither `cut` nor a reliability is known, or `percent` is asked for and the minimum is not known.
    ValueError
        If a parameter is out of bounds.

    References
    ----------
    Tang, T. Z., & DeRubeis, R. J. (1999). https://doi.org/10.1037/0022-006X.67.6.894

    Examples
    --------
    >>> measure = Measure(low=12, high=60, step=1)
    >>> sudden_loss(Courses.of([48, 47, 49, 39, 38, 40]), measure, cut=7.9).met
    array([nan, nan,  0.,  1.,  0., nan])
    """
    _check(cut, percent, test)
    least, sigma = _sizes(measure, cut)
    sides = _Sides.of(courses)
    details = _criteria(courses, measure, sides, least=least, percent=percent, corrected=test == "corrected")
    met = details["first"] * details["third"] * (1.0 if percent is None else details["second"])
    n_forms, known = len(met), np.isfinite(met)
    details["given"] = constant(cut is not None, n_forms)
    reference = np.where(known, sides.previous, np.nan)
    spread = constant(sigma, n_forms)
    state = np.where(np.isnan(courses.values), UNSCORED, np.where(known, EVALUATED, NOT_ENOUGH))
    return Verdict(
        met=met,
        statistic=(courses.values - reference) / (np.sqrt(2) * sigma),
        limit=reference - least,
        reference=reference,
        sigma=spread,
        df=constant(np.nan if measure.sem is None else np.inf, n_forms),
        n_reference=sides.n_before + sides.n_after,
        state=state.astype(np.int8),
        needed=2 * FEWEST,
        counted="scores",
        follow=lambda: follow_flags(courses, met, reference, spread, repair or RepairRule()),
        compared=lambda: _window(courses, np.flatnonzero(met == 1)),
        details=details,
    )


def _check(cut: float | None, percent: float | None, test: str) -> None:
    if cut is not None and not cut > 0:
        message = f"cut must be above 0, got {cut}"
        raise ValueError(message)
    if percent is not None and not 0 <= percent <= 100:  # noqa: PLR2004  percent
        message = f"percent must be from 0 to 100, got {percent}"
        raise ValueError(message)
    if test not in TESTS:
        message = f"test must be one of {', '.join(TESTS)}, got '{test}'"
        raise ValueError(message)


def _sizes(measure: Measure, cut: float | None) -> tuple[float, float]:
    """Return the smallest loss that counts and the SEM, each made from the other if that is all there is."""
    error, ratio = measure.sem, RELIABLE * np.sqrt(2)
    if error is not None:
        return float(ratio * error) if cut is None else cut, error
    if cut is not None:
        return cut, float(cut / ratio)
    message = (
        "sudden-loss needs the smallest loss that counts, or the reliability of the score to make it from"
    )
    raise UsageError(message, hint="give --cut, or --sd and --reliability, or --within-sd")


def _criteria(
    courses: Courses, measure: Measure, sides: _Sides, *, least: float, percent: float | None, corrected: bool
) -> dict[str, Array]:
    """Return the three criteria as 1/0/NaN, with what the first two ask for."""
    loss = sides.previous - courses.values
    there = np.isfinite(loss)
    nothing = constant(np.nan, len(loss))
    share = nothing if percent is None else percent / 100 * _distance(sides.previous, measure)
    bar, _ = sides.bar(corrected=corrected)
    return {
        "first": three_valued(there, loss >= least - TOLERANCE),
        "second": nothing if percent is None else three_valued(there, loss >= share - TOLERANCE),
        "third": three_valued(np.isfinite(bar), sides.mean_before - sides.mean_after > bar + TOLERANCE),
        "cut": constant(least, len(loss)),
        "share": share,
        "percent": constant(np.nan if percent is None else percent, len(loss)),
        "corrected": constant(corrected, len(loss)),
    }


def _distance(scores: Array, measure: Measure) -> Array:
    """Return how far scores lie above the minimum, whichever way they are turned."""
    distance: Array = measure.high - scores if measure.rising else scores - measure.low
    if not np.isfinite(measure.high if measure.rising else measure.low):
        message = "percent counts from the minimum of the score, which is not known"
        raise UsageError(message, hint="give --min and --max, or leave --percent out")
    return distance


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """The scores around the step to each row from the session before, shape (forms,).

    `previous` is the score of the session directly before, NaN where there is none; `squares` the sum of the
    squared distances of all scores from the mean of their side.
    """

    previous: Array
    mean_before: Array
    mean_after: Array
    n_before: Array
    n_after: Array
    squares: Array

    @classmethod
    def of(cls, courses: Courses) -> _Sides:
        """Return the sides of every row."""
        before = [_beside(courses, -steps, reach=SIDE) for steps in range(1, SIDE + 1)]
        after = [_beside(courses, steps, reach=SIDE - 1) for steps in range(SIDE)]
        (mean_before, n_before, spread_before), (mean_after, n_after, spread_after) = map(
            _moments, (before, after)
        )
        return cls(
            previous=_beside(courses, -1, reach=1),
            mean_before=mean_before,
            mean_after=mean_after,
            n_before=n_before,
            n_after=n_after,
            squares=spread_before + spread_after,
        )

    def at(self, rows: Array) -> _Sides:
        """Return the sides of some rows."""
        return _Sides(**{name: array[rows] for name, array in vars(self).items()})

    def bar(self, *, corrected: bool) -> tuple[Array, Array]:
        """Return what the fall of the mean must exceed, and the t quantile in it."""
        enough = (self.n_before >= FEWEST) & (self.n_after >= FEWEST)
        df = np.where(enough, self.n_before + self.n_after - 2, 0)
        quantiles = np.array([np.nan, *(t_quantile(LEVEL, each) for each in range(1, 2 * SIDE - 1))])
        critical = quantiles[df]
        bar = critical * np.sqrt(self.squares / np.maximum(df, 1))
        if corrected:
            bar = bar * np.sqrt(1 / np.maximum(self.n_before, 1) + 1 / np.maximum(self.n_after, 1))
        return bar, critical


def _beside(courses: Courses, steps: int, *, reach: int) -> Array:
    """Return the score `steps` rows on (negative = back), NaN if more than `reach` sessions away."""
    values = courses.values
    if steps == 0:
        return values
    size = abs(steps)
    same = courses.series[size:] == courses.series[:-size]
    near = same & (courses.clock[size:] - courses.clock[:-size] <= reach)
    found = np.full(len(values), np.nan)
    if steps > 0:
        found[:-size] = np.where(near, values[size:], np.nan)
    else:
        found[size:] = np.where(near, values[:-size], np.nan)
    return found


def _moments(scores: list[Array]) -> tuple[Array, Array, Array]:
    """Return mean, number and sum of squared distances from the mean of the scores there are, row by row."""
    there = [np.isfinite(each) for each in scores]
    count = sum(each.astype(np.int64) for each in there)
    total = sum(np.where(known, each, 0.0) for known, each in zip(there, scores, strict=True))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    squares = sum(np.where(known, each - mean, 0.0) ** 2 for known, each in zip(there, scores, strict=True))
    return mean, np.asarray(count), np.asarray(squares)


def _window(courses: Courses, rows: Array) -> Array:
    """Return the scored rows in the sessions before each of `rows`, -1 = none."""
    steps = range(1, SIDE + 1)
    before = np.stack([_beside(courses, -each, reach=SIDE)[rows] for each in steps], axis=1)
    return np.where(np.isfinite(before), rows[:, None] - np.array(steps), -1)


@dataclass(frozen=True, kw_only=True)
class SuddenLosses:
    """The sudden losses of a caseload, shape (losses,), in the order of their rows.

    Attributes
    ----------
    series : int; the series of each
    rows : int; the first row after the loss
    magnitude : float; points lost in that one step, above 0 (of a rise: points gained)
    reversed : bool; whether a later score lies more than half the way back
    """

    series: Array
    rows: Array
    magnitude: Array
    reversed: Array

    @property
    def mean(self) -> float:
        """Mean magnitude; NaN without any loss."""
        return float(self.magnitude.mean()) if len(self.rows) else np.nan

    @property
    def sd(self) -> float:
        """Standard deviation of the magnitudes, divisor n - 1; NaN with fewer than two losses."""
        return float(self.magnitude.std(ddof=1)) if len(self.rows) > 1 else np.nan


def describe(courses: Courses, verdict: Verdict) -> SuddenLosses:
    """Return how large each sudden loss was, and whether it was reversed.

    Parameters
    ----------
    courses : Courses
        In score points, as judged.
    verdict : Verdict
        What `sudden_loss` said of them, in score points too.

    Returns
    -------
    SuddenLosses
        A loss from a to b is reversed where a later session of the series, the very next one included, scores
        above b + (a - b) / 2; a rise, where one scores below. suddengains 0.7.2 documents no start and leaves
        out the very next session, n + 2.

    Examples
    --------
    >>> courses = Courses.of([48, 47, 49, 39, 38, 40, 45])
    >>> found = describe(courses, sudden_loss(courses, Measure(), cut=7.9))
    >>> found.magnitude, found.reversed
    (array([10.]), array([ True]))
    """
    rows = verdict.flagged
    before, after = verdict.reference[rows], courses.values[rows]
    sign = -1.0 if (before < after).any() else 1.0
    middle = sign * (before + after) / 2
    return SuddenLosses(
        series=courses.series[rows],
        rows=rows,
        magnitude=np.abs(before - after),
        reversed=_highest_from(courses, sign)[rows] > middle + TOLERANCE,
    )


def _highest_from(courses: Courses, sign: float) -> Array:
    """Return the highest of `sign * values` from each row to the end of its series, -inf without a score.

    Ranks instead of scores give each series keys of its own, above those of all series behind it, so that one
    running maximum from the end serves them all.
    """
    scores = np.where(np.isfinite(courses.values), sign * courses.values, -np.inf)
    kinds, rank = np.unique(scores, return_inverse=True)
    first_key = len(kinds) * (len(courses.starts) - courses.series)
    highest: Array = kinds[np.maximum.accumulate((first_key + rank)[::-1])[::-1] - first_key]
    return highest
