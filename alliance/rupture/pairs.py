"""`divergence` and `split`: two raters of the same sessions, and the difference between their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.errors import UsageError
from alliance.rupture.change import require_sem, state_of
from alliance.rupture.episodes import RepairRule, away_from, follow_flags
from alliance.rupture.findings import number
from alliance.rupture.groups import Group
from alliance.rupture.predictive import walk_limits
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import Verdict, constant

if TYPE_CHECKING:
    from alliance.rupture.findings import Judged

Array = np.ndarray[Any, Any]

CLIENT, THERAPIST, OBSERVER = "client", "therapist", "observer"
CRITERION = 1.96


@dataclass(frozen=True, kw_only=True)
class PairCourses(Courses):
    """Differences first - second of two raters' scores; NaN where one of them did not score.

    Attributes
    ----------
    raters : tuple of str; who `first` and `second` are
    first, second : float, shape (forms,); their scores, NaN = not scored
    """

    raters: tuple[str, str]
    first: Array
    second: Array


def joint(first: Group, second: Group) -> Group:
    """Return the differences first - second of two raters, in the cases that both of them rated.

    Sessions that only one of them has a form of stay in, not scored. The date is that of `first`, or else of
    `second`.
    """
    cases = np.intersect1d(first.place, second.place)
    parts = [_forms_of(each, cases) for each in (first, second)]
    sessions, rank = np.unique(np.concatenate([session for _, session, _ in parts]), return_inverse=True)
    key = np.concatenate([place for place, _, _ in parts]) * max(len(sessions), 1) + rank
    keys, row = np.unique(key, return_inverse=True)
    cuts = len(parts[0][0])
    values, days = np.full((2, 2, len(keys)), np.nan)
    for which, (rows, (_, _, forms), group) in enumerate(
        zip((row[:cuts], row[cuts:]), parts, (first, second), strict=True)
    ):
        values[which, rows] = group.total.values[forms]
        if group.total.day is not None:
            days[which, rows] = group.total.day[forms]
    place, at = np.divmod(keys, max(len(sessions), 1))
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    courses = PairCourses(
        values=values[0] - values[1],
        session=sessions[at],
        starts=starts,
        day=np.where(np.isnan(days[0]), days[1], days[0]) if np.isfinite(days).any() else None,
        max_gap_days=first.total.max_gap_days,
        raters=(first.rater, second.rater),
        first=values[0],
        second=values[1],
    )
    return Group(rater=f"{first.rater}/{second.rater}", place=place[starts], total=courses)


def _forms_of(group: Group, cases: Array) -> tuple[Array, Array, Array]:
    """Return case, session and row of the forms in some cases."""
    place = group.place[group.total.series]
    rows = np.flatnonzero(np.isin(place, cases))
    return place[rows], group.total.session[rows], rows


def client_and_therapist(groups: Sequence[Group]) -> list[Group]:
    """Return the differences between client and therapist; nothing if no case has ratings of both."""
    named = {group.rater: group for group in groups}
    if CLIENT not in named or THERAPIST not in named:
        return []
    return _rated(joint(named[CLIENT], named[THERAPIST]))


def clients_in_pairs(groups: Sequence[Group]) -> list[Group]:
    """Return the differences of every two clients of a case, by name; without therapist and observers."""
    clients = [each for each in groups if each.rater != THERAPIST and not each.rater.startswith(OBSERVER)]
    pairs = combinations(sorted(clients, key=lambda each: each.rater), 2)
    return [group for first, second in pairs for group in _rated(joint(first, second))]


def _rated(group: Group) -> list[Group]:
    return [group] if len(group.place) else []


def of_a_difference(measure: Measure) -> Measure:
    """Return the measure of a difference of two scores: its range is twice as wide, around 0.

    Norm, within-person SD and step stay those of a single score.
    """
    width = measure.high - measure.low
    return replace(measure, low=-width, high=width, cutoff=None)


def of_a_gap(measure: Measure) -> Measure:
    """Return the measure of the gap between two raters: a difference that varies as two courses do.

    A within-person SD is that of a single rater; the gap of two that vary independently has √2 times as much.
    """
    within = None if measure.within_sd is None else float(np.sqrt(2) * measure.within_sd)
    return replace(of_a_difference(measure), within_sd=within)


def _least_change(measure: Measure) -> float:
    """Return `min_drop` of a single score: a share of the range is halved: a difference has twice of it."""
    by_norm = measure.norm is not None and measure.norm.sem is not None
    return measure.min_drop if by_norm else measure.min_drop / 2


def _names(judged: Judged) -> tuple[str, str]:
    if isinstance(judged.courses, PairCourses):
        return judged.courses.raters
    first, _, second = judged.rater.partition("/")
    return first, second or "the other"


def _explain_divergence(judged: Judged, rows: Array) -> list[Array | str]:
    verdict = judged.verdict
    above = judged.courses.values[rows] > verdict.reference[rows]
    return [
        number(f"{' - '.join(_names(judged))} is ", judged.courses.values[rows]),
        np.where(above, ", above the limit ", ", below the limit ").astype(object),
        number("", verdict.limit[rows]),
        number(" from the ", verdict.n_reference[rows]),
        number(" joint sessions before (mean ", verdict.reference[rows]),
        number(", SD ", verdict.sigma[rows]),
        number(", df ", verdict.df[rows], "%.3g"),
        ")",
        *_who_moved(judged, rows),
    ]


def _who_moved(judged: Judged, rows: Array) -> list[Array | str]:
    """Return how far each of the two moved from the mean of the sessions before."""
    courses = judged.courses
    if not isinstance(courses, PairCourses):
        return []
    window = judged.verdict.window[np.searchsorted(judged.verdict.flagged, rows)]
    before = np.maximum((window >= 0).sum(axis=1), 1)
    moves = [
        scores[rows] - np.where(window >= 0, scores[window], 0.0).sum(axis=1) / before
        for scores in (courses.first, courses.second)
    ]
    told = [number(f"{name} ", move, "%+.2f") for name, move in zip(courses.raters, moves, strict=True)]
    mover = np.where(np.abs(moves[1]) > np.abs(moves[0]), courses.raters[1], courses.raters[0])
    return ["; mostly the ", mover.astype(object), " moved: ", told[0], ", ", told[1]]


@method(
    "divergence",
    online=True,
    shrinks=True,
    needs="ratings of client and therapist in the same sessions: 3 earlier joint sessions and a caseload "
    "prior, or 5 alone",
    finds="a sudden change of the distance between client and therapist, either way",
    blind="a distance that has always been large, a slow drift apart, and both falling together",
    source="two-sided prediction limit on client - therapist; spread shrunk as in Smyth (2004), "
    "https://doi.org/10.2202/1544-6115.1027; sense of the difference: Atzil-Slonim et al. (2015)",
    formula=(
        "gap = client - therapist, same session",
        "z = (gap - mean) / (sigma √(1 + 1/m)), from the last m gaps as for predictive-limit",
        "flagged: |z| > t(df, 1 - alpha/2) and |gap - mean| >= min_drop",
        "an episode ends when the gap is back within tol sigma of the mean, or past it but within the limit",
    ),
    explain=_explain_divergence,
    finding="divergence",
    combine=client_and_therapist,
    adapt=of_a_gap,
    two_sided=True,
)
def divergence(
    courses: Courses,
    measure: Measure,
    *,
    alpha: float = 0.01,
    window: int = 8,
    min_ref: int = 3,
    min_drop: float | None = None,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session in which the gap between client and therapist is not what it was.

    A large gap is no problem as such: therapists rate lower than their clients. A changed one is information.

    Parameters
    ----------
    courses : Courses
        client - therapist of every case, in score points; NaN = not both scored.
    measure : Measure
        Of the difference (`of_a_gap`): range, step, and the prior of the gaps.
    alpha : float
        Two-sided error rate of a single verdict: half of it on each side.
    window, min_ref : int
        As for `predictive-limit`: gaps looked back on, and gaps needed with a prior.
    min_drop : float, optional
        Smallest change of the gap that is flagged, in score points; by default that of a single score.
    repair : RepairRule, optional
        When an episode ends; while one is open nothing new is flagged.

    Returns
    -------
    Verdict
        `statistic` is below 0 where the gap fell: the client lower, or the therapist higher, than before.
        `limit` is the one on the side of the gap.

    Examples
    --------
    >>> from alliance.rupture.prior import given_prior
    >>> measure = Measure(low=-48, high=48, step=1, prior=given_prior(2.0))
    >>> divergence(Courses.of([2, 3, 2, 4, -6]), measure).met
    array([nan, nan, nan,  0.,  1.])
    """
    return walk_limits(
        courses,
        measure,
        alpha=alpha / 2,
        window=window,
        min_ref=min_ref,
        drop=_least_change(measure) if min_drop is None else min_drop,
        rule=repair or RepairRule(),
        two_sided=True,
    )


def _explain_split(judged: Judged, rows: Array) -> list[Array | str]:
    verdict, values = judged.verdict, judged.courses.values[rows]
    first, second = _names(judged)
    lower = np.where(values > 0, second, first).astype(object)
    other = np.where(values > 0, first, second).astype(object)
    return [
        lower,
        number(" scored ", np.abs(values)),
        " below ",
        other,
        number(" (index ", np.abs(verdict.statistic[rows])),
        number(", cut ", np.abs(verdict.limit[rows] / verdict.sigma[rows])),
        number("): so far apart in ", verdict.details["apart"][rows]),
        number(" of the last ", verdict.n_reference[rows]),
        " joint sessions",
    ]


@method(
    "split",
    online=True,
    needs="ratings of two clients of a case, such as partner-a and partner-b, in 2 joint sessions, and a "
    "standard deviation with a reliability, or a within-person SD",
    finds="partners or relatives who see their alliance with the therapist differently, more than once",
    blind="two partners who are both low, and how each of them changes",
    source="index of Jacobson & Truax (1991), https://doi.org/10.1037/0022-006X.59.1.12, on the difference "
    "of two clients; split alliance and outcome: Friedlander et al. (2018), https://doi.org/10.1037/pst0000161",
    formula=(
        "index = (first - second) / Sdiff, Sdiff = √2 SEM",
        "flagged: |index| > criterion in this session, and in at_least of the of_last joint ones up to it",
        "an episode ends when the two are within tol Sdiff, or the other way round within the cut",
    ),
    explain=_explain_split,
    finding="split",
    combine=clients_in_pairs,
    adapt=of_a_difference,
    two_sided=True,
)
def split(
    courses: Courses,
    measure: Measure,
    *,
    criterion: float | None = None,
    of_last: int = 3,
    at_least: int = 2,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session in which two clients of one case are reliably apart, and were so shortly before.

    Parameters
    ----------
    courses : Courses
        Difference first - second of two clients, in score points; NaN = not both scored.
    measure : Measure
        Must hold a norm with sd and reliability, or a within-person SD, of a single score.
    criterion : float, optional
        Cut of the index, 1.96 by default.
    of_last : int
        Joint sessions looked at, this one included, however far apart in time.
    at_least : int
        Of these, sessions that must lie beyond the criterion, this one included. So many joint sessions are
        needed for a verdict.
    repair : RepairRule, optional
        When an episode ends; its reference is 0 and its sigma is Sdiff.

    Returns
    -------
    Verdict
        `statistic` is the index: above 0 where the first of the two is higher. `limit` is the difference at
        which the cut lies on the side of this one. `details["apart"]` counts the sessions beyond it.

    Raises
    ------
    UsageError
        If the reliability of the score is not known, or `at_least` is larger than `of_last`.

    Examples
    --------
    >>> from alliance.claims import Norm
    >>> measure = Measure(norm=Norm(sd=9, reliability=0.9, source="example"))
    >>> split(Courses.of([1, 5, 9, 9, 10]), measure).met
    array([nan,  0.,  0.,  1.,  1.])
    """
    if at_least > of_last:
        message = f"at_least must be at most of_last, got {at_least} of {of_last}"
        raise UsageError(message, hint="the default is 2 of the last 3 joint sessions")
    spread = float(np.sqrt(2) * require_sem(measure, "split"))
    cut = (CRITERION if criterion is None else criterion) * spread
    values, n_forms = courses.values, len(courses.values)
    reference, sigma = constant(0.0, n_forms), constant(spread, n_forms)
    beyond = np.abs(values) > cut + TOLERANCE
    apart, looked_at = _counts(courses, beyond, of_last)
    met = three_valued(looked_at >= at_least, beyond & (apart >= at_least))
    judged = np.isfinite(met)
    return Verdict(
        met=met,
        statistic=np.where(judged, values / spread, np.nan),
        limit=np.where(judged, -away_from(reference, values) * cut, np.nan),
        reference=reference,
        sigma=sigma,
        df=constant(np.inf, n_forms),
        n_reference=looked_at,
        state=state_of(courses, met),
        needed=at_least,
        counted="joint sessions",
        follow=lambda: follow_flags(courses, met, reference, sigma, repair or RepairRule(), across=cut),
        details={"apart": apart},
    )


def _counts(courses: Courses, beyond: Array, of_last: int) -> tuple[Array, Array]:
    """Return how many of the last scored rows lie beyond the cut, and how many there are; 0 if not scored."""
    rows = courses.scored
    apart, looked_at = np.zeros((2, len(beyond)), dtype=np.int64)
    series = courses.series[rows]
    place = np.arange(len(rows))
    first = np.searchsorted(series, series)
    oldest = np.maximum(place - of_last + 1, first)
    so_far = np.concatenate([[0], np.cumsum(beyond[rows])])
    apart[rows], looked_at[rows] = so_far[place + 1] - so_far[oldest], place + 1 - oldest
    return apart, looked_at
