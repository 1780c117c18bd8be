"""`divergence` and `split`: two raters of the same sessions, both ways, joined without guessing."""

# ruff: noqa: PD011  the values are those of Courses

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alliance.claims import Norm
from alliance.courses import Courses, cut
from alliance.errors import UsageError
from alliance.rupture import METHODS, Frozen, Group, Measure, Prior, detect, flag, subject_of
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.pairs import (
    PairCourses,
    client_and_therapist,
    clients_in_pairs,
    divergence,
    joint,
    of_a_difference,
    of_a_gap,
    split,
)
from alliance.rupture.predictive import predictive_limit
from alliance.rupture.verdict import CENSORED, EVALUATED, NOT_ENOUGH, REPAIRED, UNREPAIRED, UNSCORED

NA = np.nan
GIVEN = Prior(df=4, sd=2, n_series=0, origin="given")
GAP = Measure(low=-48, high=48, step=1, prior=GIVEN)
NORM = Norm(sd=9, reliability=0.9, source="worked")
SDIFF = math.sqrt(2) * 9 * math.sqrt(0.1)
PARTNERS = Measure(low=-48, high=48, step=1, norm=NORM)
C1 = {"client": [44, 46, 47, 48, 37, 45, 49, 50], "therapist": [42, 43, 45, 44, 43, 41, 46, 47]}
COUPLE = {"partner-a": [48, 49, 50, 47, 46], "partner-b": [47, 44, 41, 38, 36]}


def some_courses(cases):
    lengths = np.array([len(case) for case in cases], dtype=np.int64)
    values = np.array([NA if score is None else score for case in cases for score in case], dtype=float)
    session = np.array([place for case in cases for place in range(1, len(case) + 1)], dtype=np.int64)
    return Courses(values=values, session=session, starts=np.cumsum(lengths) - lengths)


def ratings(case, **raters):
    """Return Scores of one case: rater → scores from session 1 on."""
    rows = [
        (case, session, rater.replace("_", "-"), score)
        for rater, scores in raters.items()
        for session, score in enumerate(scores, 1)
    ]
    made = pd.DataFrame(rows, columns=["case", "session", "rater", "total"]).astype({"total": float})
    return made.assign(date=pd.NaT, therapist="").astype({"date": "datetime64[s]"})


def group(rater, cases, **facts):
    """Return a rater's courses: case → session → score."""
    forms = [(session, score) for sessions in cases.values() for session, score in sessions.items()]
    lengths = np.array([len(sessions) for sessions in cases.values()], dtype=np.int64)
    courses = Courses(
        values=np.array([score for _, score in forms], dtype=float),
        session=np.array([session for session, _ in forms], dtype=np.int64),
        starts=np.cumsum(lengths) - lengths,
        **facts,
    )
    return Group(rater=rater, place=np.array([*cases], dtype=np.int64), total=courses)


# The gaps 2 2 2 have mean 2; their spread is (4 * 4 + 1.6 * step^2 / 12) / 5.6 with 5.6 degrees of freedom.
REACH = -stats.t.ppf(0.005, 5.6) * math.sqrt((16 + 1.6 / 12) / 5.6) * math.sqrt(1 + 1 / 3)


def test_divergence_reproduces_the_worked_dyad():
    gaps = np.subtract(C1["client"], C1["therapist"])
    assert gaps.tolist() == [2, 3, 2, 4, -6, 4, 3, 3]
    verdict = divergence(Courses.of(gaps), GAP)
    np.testing.assert_array_equal(verdict.met, [NA, NA, NA, 0, 1, 0, 0, 0])
    assert verdict.reference[4] == 2.75
    assert verdict.sigma[4] == pytest.approx(1.7088, abs=5e-5)
    assert verdict.statistic[4] == pytest.approx(-4.5800, abs=5e-5)
    assert verdict.df[4] == pytest.approx(6.25)
    # The worked p is that of one side.
    assert stats.t.cdf(verdict.statistic[4], verdict.df[4]) == pytest.approx(0.0017, abs=5e-5)
    found = verdict.episodes
    assert (found.onset.tolist(), found.end.tolist(), found.lag.tolist()) == ([4], [5], [1])
    assert (found.outcome.tolist(), found.nadir.tolist()) == ([REPAIRED], [-6.0])


@pytest.mark.parametrize(
    ("sessions", "gaps", "met"),
    [
        pytest.param([1, 2, 3, 4], [2, 2, 2, 2 - REACH + 0.001], [NA, NA, NA, 0], id="falls within"),
        pytest.param([1, 2, 3, 4], [2, 2, 2, 2 - REACH - 0.001], [NA, NA, NA, 1], id="falls beyond"),
        pytest.param([1, 2, 3, 4], [2, 2, 2, 2 + REACH - 0.001], [NA, NA, NA, 0], id="rises within"),
        pytest.param([1, 2, 3, 4], [2, 2, 2, 2 + REACH + 0.001], [NA, NA, NA, 1], id="rises beyond"),
        pytest.param([1, 2, 3, 4, 5], [2, NA, 2, 2, 20], [NA, NA, NA, NA, 1], id="one did not score"),
        pytest.param([1, 3, 4, 9], [2, 2, 2, -20], [NA, NA, NA, 1], id="skipped sessions"),
        pytest.param([1, 2, 3, 4, 5], [2, 2, 2, 20, -20], [NA, NA, NA, 1, 0], id="one alarm an episode"),
        pytest.param([1, 2, 3, 4], [30, 30, 30, 30], [NA, NA, NA, 0], id="always far apart"),
        pytest.param([1, 2, 3], [2, 2, 20], [NA, NA, NA], id="two earlier gaps"),
        pytest.param([1], [2], [NA], id="one session"),
        pytest.param([], [], [], id="no session"),
        pytest.param([1, 2, 3, 4], [NA, NA, NA, NA], [NA, NA, NA, NA], id="nothing scored"),
    ],
)
def test_divergence_follows_the_truth_table(sessions, gaps, met):
    verdict = divergence(Courses.of(gaps, sessions=sessions), GAP)
    np.testing.assert_array_equal(verdict.met, met)


@pytest.mark.parametrize("side", [-1, 1])
def test_the_limit_is_the_one_on_the_side_of_the_gap(side):
    verdict = divergence(Courses.of([2, 2, 2, 2 + side]), GAP)
    assert verdict.limit[3] == pytest.approx(2 + side * REACH)
    assert verdict.statistic[3] == pytest.approx(side * -stats.t.ppf(0.005, 5.6) / REACH)
    on_it = divergence(Courses.of([2, 2, 2, verdict.limit[3]]), GAP)
    just_on_it = divergence(Courses.of([2, 2, 2, verdict.limit[3] + side * 1e-10]), GAP)
    assert (on_it.met[3], just_on_it.met[3]) == (0, 0)


def test_a_gap_that_is_what_it_was_is_judged_by_the_lower_limit():
    assert divergence(Courses.of([2, 2, 2, 2]), GAP).limit[3] == pytest.approx(2 - REACH)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_change_smaller_than_min_drop_is_not_flagged_on_either_side(side):
    quiet = replace(GAP, prior=Prior(df=20, sd=0.3, n_series=40, origin="caseload"))
    gaps = Courses.of([2, 2, 2, 2, 2, 2 + side * 2])
    assert divergence(gaps, quiet, min_drop=2.5).met[5] == 0
    assert divergence(gaps, quiet, min_drop=2.0).met[5] == 1


@pytest.mark.parametrize(
    ("known", "least"),
    [({}, 3.0), ({"norm": NORM}, 9 * math.sqrt(0.1)), ({"norm": Norm(sd=9, source="x")}, 3.0)],
    ids=["a share of the single range", "SEM of a single score", "no reliability"],
)
def test_the_smallest_change_is_that_of_a_single_score(known, least):
    # Of the range 12 to 60 of one score 6.25 % are 3 points; the range of a difference is twice as wide.
    single = Measure(low=12, high=60, step=1, **known)
    still = replace(of_a_difference(single), prior=Prior(df=20, sd=0.1, n_series=40, origin="caseload"))
    for distance, met in ((least - 0.001, 0), (least + 0.001, 1)):
        assert divergence(Courses.of([2, 2, 2, 2 - distance]), still).met[3] == met


def test_without_a_range_the_smallest_change_must_be_given():
    boundless = of_a_difference(Measure(step=1, prior=GIVEN))
    with pytest.raises(UsageError) as caught:
        divergence(Courses.of([2, 2, 2, 20]), boundless)
    assert str(caught.value) == (
        "error: the smallest fall worth a flag is not known: the range of the score is not given\n"
        "hint: give --min and --max, or --min-drop"
    )
    assert divergence(Courses.of([2, 2, 2, 20]), boundless, min_drop=3).met[3] == 1


def test_the_gap_of_two_raters_varies_as_two_courses_do():
    single = Measure(low=12, high=60, step=1, within_sd=2.0)
    assert of_a_gap(single).within_sd == pytest.approx(2.828427, abs=5e-7)
    assert of_a_gap(Measure(low=12, high=60, step=1)).within_sd is None
    assert METHODS["divergence"].adapt is of_a_gap
    assert METHODS["split"].adapt is of_a_difference


def test_the_measure_of_a_difference_keeps_what_belongs_to_a_single_score():
    single = Measure(low=12, high=60, step=1, norm=NORM, within_sd=2.0, cutoff=36, prior=GIVEN)
    found = of_a_difference(single)
    assert (found.low, found.high, found.step, found.within_sd) == (-48, 48, 1, 2.0)
    assert (found.norm, found.cutoff, found.prior) == (NORM, None, GIVEN)
    assert of_a_difference(Measure(low=12)).high == np.inf


def slow_divergence(session, gaps, *, d0, s02, step, alpha=0.01, window=8, min_ref=3, drop=3.0):
    """One case, gap by gap: prediction limit on both sides, and the episodes, without any array."""
    found, reference, episode = [], [], None
    for j, y in enumerate(gaps):
        if math.isnan(y):
            found.append((NA, NA))
            continue
        if episode is not None:
            found.append((0.0, NA))
            episode["rows"].append(j)
            side, mean = episode["side"], episode["mean"]
            back = side * (y - mean) >= -episode["sigma"] - 1e-9
            if back and side * (y - mean) <= episode["reach"] + 1e-9:
                episode, _ = None, reference.append(j)
            elif len(episode["rows"]) > 6:
                reference, episode = episode["rows"], None
            continue
        used = reference[-window:]
        if len(used) < min_ref:
            found.append((NA, NA))
            reference.append(j)
            continue
        mean = sum(gaps[i] for i in used) / len(used)
        squares = [(gaps[b] - gaps[a]) ** 2 for a, b in pairwise(used) if session[b] - session[a] == 1]
        k = len(squares)
        variance = max(sum(squares) / (2 * k), step**2 / 12) if k else 0.0
        nu = 2 * k**2 / (3 * k - 1) if k else 0.0
        sigma = math.sqrt((d0 * s02 + nu * variance) / (d0 + nu))
        error = sigma * math.sqrt(1 + 1 / len(used))
        reach = -stats.t.ppf(alpha / 2, d0 + nu) * error
        flagged = abs(y - mean) > reach + 1e-9 and abs(y - mean) >= drop - 1e-9
        found.append((float(flagged), (y - mean) / error))
        if flagged:
            side = 1 if y < mean else -1
            episode = {"rows": [j], "mean": mean, "sigma": sigma, "side": side, "reach": reach}
        else:
            reference.append(j)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_divergence_equals_a_slow_walk_over_every_gap(seed):
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(25):
        n = int(rng.integers(0, 40))
        gap = rng.normal(3, 3) + rng.normal(0, 2, n) + 8 * rng.choice([-1, 0, 0, 0, 0, 1], n)
        cases.append((np.cumsum(rng.integers(1, 3, n)), np.where(rng.random(n) < 0.15, NA, np.rint(gap))))
    lengths = np.array([len(gap) for _, gap in cases])
    courses = Courses(
        values=np.concatenate([gap for _, gap in cases]),
        session=np.concatenate([session for session, _ in cases]),
        starts=np.cumsum(lengths) - lengths,
    )
    verdict = divergence(courses, GAP)
    slow = [row for session, gap in cases for row in slow_divergence(session, gap, d0=4, s02=4, step=1)]
    met, z = np.array(slow).T
    np.testing.assert_array_equal(verdict.met, met)
    np.testing.assert_allclose(verdict.statistic, z, rtol=1e-9)
    assert np.nansum(met) > 10


gaps_of_a_case = st.lists(st.one_of(st.none(), st.integers(-20, 20)), max_size=25)


@settings(deadline=None, max_examples=60)
@given(case=gaps_of_a_case)
def test_turning_the_raters_around_turns_the_numbers_around(case):
    courses = some_courses([case])
    turned = replace(courses, values=-courses.values)
    one, other = divergence(courses, GAP), divergence(turned, GAP)
    np.testing.assert_array_equal(one.met, other.met)
    np.testing.assert_array_equal(one.statistic, -other.statistic)
    np.testing.assert_array_equal(one.episodes.outcome, other.episodes.outcome)
    np.testing.assert_array_equal(one.episodes.nadir, -other.episodes.nadir)
    np.testing.assert_array_equal(one.episodes.depth, other.episodes.depth)
    a, b = split(courses, PARTNERS), split(turned, PARTNERS)
    np.testing.assert_array_equal(a.met, b.met)
    np.testing.assert_array_equal(a.episodes.end, b.episodes.end)


def test_one_side_alone_is_the_predictive_limit_of_half_the_error():
    falls = Courses.of([5, 6, 5, 4, 5, -9, -8, 5, 5, -9])
    both, one = divergence(falls, GAP, min_drop=3), predictive_limit(falls, GAP, alpha=0.005, min_drop=3)
    for name in ("met", "reference", "sigma", "statistic", "n_reference", "state"):
        np.testing.assert_array_equal(getattr(both, name), getattr(one, name))
    below = falls.values <= both.reference
    np.testing.assert_array_equal(both.limit[below], one.limit[below])
    np.testing.assert_array_equal(both.window, one.window)


@pytest.mark.parametrize("turn", [1, -1], ids=["above", "below"])
@pytest.mark.parametrize(
    ("after", "outcome", "nadir"),
    [
        pytest.param([], CENSORED, 10, id="flagged at the last session"),
        pytest.param([2.1], REPAIRED, 10, id="exactly on the tolerance"),
        pytest.param([2.2], CENSORED, 10, id="just short of it"),
        pytest.param([12, 0], REPAIRED, 12, id="farther, then back"),
        pytest.param([-5], REPAIRED, 10, id="past the reference, within what is usual"),
        pytest.param([-6], CENSORED, 10, id="as far away on the other side"),
        pytest.param([-6, -7, -6, -7, -6], UNREPAIRED, 10, id="for good on the other side"),
        pytest.param([-6, 1], REPAIRED, 10, id="on the other side, then back"),
    ],
)
def test_an_episode_ends_where_it_began_from(turn, after, outcome, nadir):
    # Opened at session 2 from the reference 0 with sigma 2.1; up to 5 points beyond it are no other flag.
    courses = Courses.of(turn * np.array([0, 10, *after], dtype=float))
    met = np.array([NA, 1.0, *[0.0] * len(after)])
    n = len(met)
    found = follow_flags(courses, met, np.zeros(n), np.full(n, 2.1), RepairRule(), across=5.0)
    assert found.outcome.tolist() == [outcome]
    assert found.nadir.tolist() == [turn * nadir]


def test_a_repair_by_drop_counts_from_the_farthest_gap():
    courses = Courses.of([0, 10, 12, 8, 7])
    met = np.array([NA, 1.0, 0, 0, 0])
    found = follow_flags(courses, met, np.zeros(5), np.ones(5), RepairRule(rise=5.0), across=5.0)
    assert (found.end.tolist(), found.outcome.tolist()) == ([4], [REPAIRED])


def test_an_episode_of_a_divergence_knows_the_limit_on_the_other_side():
    # The limit lies about 8 below 2: a gap of -5 is back, one of -15 is not, and is no reference later on.
    for gap, end in ((-5, 4), (-15, -1)):
        found = divergence(Courses.of([2, 2, 2, 20, gap]), GAP).episodes
        assert found.end.tolist() == [end]
    assert 7 < REACH < 17


CLIENT = {0: {1: 48, 2: 47, 4: 46}, 1: {1: 30}, 3: {2: 50, 3: NA, 5: 52}}
THERAPIST = {0: {2: 44, 3: 43, 4: 40}, 2: {1: 20}, 3: {1: 41, 2: 45, 3: 44, 5: 51}}


def test_ratings_are_joined_by_case_and_session():
    found = joint(group("client", CLIENT), group("therapist", THERAPIST))
    assert found.rater == "client/therapist"
    assert found.place.tolist() == [0, 3]
    assert found.total.starts.tolist() == [0, 4]
    assert found.total.session.tolist() == [1, 2, 3, 4, 1, 2, 3, 5]
    np.testing.assert_array_equal(found.total.values, [NA, 3, NA, 6, NA, 5, NA, 1])
    np.testing.assert_array_equal(found.total.first, [48, 47, NA, 46, NA, 50, NA, 52])
    np.testing.assert_array_equal(found.total.second, [NA, 44, 43, 40, 41, 45, 44, 51])
    assert found.total.day is None
    assert dict(found.parts) == {}


def test_the_date_is_the_first_raters_or_else_the_seconds():
    client = group("client", {0: {1: 4, 2: 5, 4: 6}}, day=np.array([0.0, NA, 30.0]), max_gap_days=14)
    therapist = group("therapist", {0: {2: 3, 3: 3, 4: 3}}, day=np.array([7.0, 14.0, 31.0]))
    found = joint(client, therapist).total
    assert found.day.tolist() == [0, 7, 14, 30]
    assert found.max_gap_days == 14
    undated = group("therapist", {0: {2: 3}})
    np.testing.assert_array_equal(joint(client, undated).total.day, [0, NA, 30])


def test_huge_session_numbers_are_joined_too():
    big = 2**62
    client, therapist = (
        group("client", {0: {-5: 4, big: 5}, 7: {1: 9}}),
        group("therapist", {0: {big: 3}, 7: {1: 1}}),
    )
    found = joint(client, therapist)
    assert found.total.session.tolist() == [-5, big, 1]
    np.testing.assert_array_equal(found.total.values, [NA, 2, 8])
    assert found.place.tolist() == [0, 7]


@pytest.mark.parametrize(
    "raters",
    [
        pytest.param([], id="no rater"),
        pytest.param([group("client", CLIENT)], id="no therapist"),
        pytest.param([group("therapist", THERAPIST)], id="no client"),
        pytest.param([group("client", {0: {1: 4}}), group("therapist", {1: {1: 4}})], id="no case of both"),
        pytest.param([group("client", {}), group("therapist", {})], id="no forms"),
    ],
)
def test_without_ratings_of_both_there_is_nothing_to_judge(raters):
    assert client_and_therapist(raters) == []
    assert clients_in_pairs(raters) == []


def test_every_two_clients_of_a_case_are_a_pair():
    raters = [
        group(name, cases)
        for name, cases in {
            "therapist": {0: {1: 1}, 1: {1: 1}},
            "partner-b": {0: {1: 40}, 1: {1: 41}},
            "observer": {0: {1: 2}},
            "observer-2": {0: {1: 2}},
            "child": {0: {1: 30}},
            "partner-a": {0: {1: 44}, 1: {1: 47}},
            "uncle": {2: {1: 50}},
        }.items()
    ]
    found = clients_in_pairs(raters)
    assert [each.rater for each in found] == ["child/partner-a", "child/partner-b", "partner-a/partner-b"]
    assert [each.total.values.tolist() for each in found] == [[-14], [-10], [4, 6]]
    assert [each.place.tolist() for each in found] == [[0], [0], [0, 1]]


def test_split_reproduces_the_worked_couple():
    courses = Courses.of(np.subtract(COUPLE["partner-a"], COUPLE["partner-b"]))
    verdict = split(courses, PARTNERS)
    index = courses.values / SDIFF
    np.testing.assert_allclose(index, [0.2485, 1.2423, 2.2361, 2.2361, 2.4845], atol=5e-5)
    np.testing.assert_allclose(verdict.statistic[1:], index[1:], rtol=1e-12)
    np.testing.assert_array_equal(verdict.met, [NA, 0, 0, 1, 1])
    assert verdict.sigma[0] == pytest.approx(SDIFF)
    np.testing.assert_allclose(verdict.limit[1:], 1.96 * SDIFF)


FAR, NEAR = 1.96 * SDIFF + 0.001, 1.96 * SDIFF - 0.001


@pytest.mark.parametrize(
    ("gaps", "met"),
    [
        pytest.param([FAR, FAR], [NA, 1], id="two of two"),
        pytest.param([-FAR, -FAR], [NA, 1], id="the other is lower"),
        pytest.param([FAR, -FAR], [NA, 1], id="one, then the other"),
        pytest.param([FAR, NEAR], [NA, 0], id="just short of the cut"),
        pytest.param([NEAR, FAR], [NA, 0], id="once only"),
        pytest.param([FAR, NEAR, FAR], [NA, 0, 1], id="two of the last three"),
        pytest.param([FAR, NEAR, NEAR, FAR], [NA, 0, 0, 0], id="the first is too long ago"),
        pytest.param([FAR, FAR, 0], [NA, 1, 0], id="a session in agreement is no alarm"),
        pytest.param([FAR, NA, NA, FAR], [NA, NA, NA, 1], id="only joint sessions count"),
        pytest.param([1.96 * SDIFF] * 2, [NA, 0], id="on the cut"),
        pytest.param([1.96 * SDIFF + 1e-10] * 2, [NA, 0], id="on the cut but for rounding"),
        pytest.param([-1.96 * SDIFF - 1e-10] * 2, [NA, 0], id="on the lower cut but for rounding"),
        pytest.param([FAR], [NA], id="one session"),
        pytest.param([NA, NA], [NA, NA], id="nothing scored"),
        pytest.param([], [], id="no session"),
    ],
)
def test_split_follows_the_truth_table(gaps, met):
    np.testing.assert_array_equal(split(Courses.of(gaps), PARTNERS).met, met)


def test_the_window_of_a_split_is_the_callers():
    gaps = Courses.of([FAR, 0, 0, FAR, FAR])
    np.testing.assert_array_equal(split(gaps, PARTNERS, at_least=1).met, [1, 0, 0, 1, 1])
    np.testing.assert_array_equal(split(gaps, PARTNERS, of_last=4).met, [NA, 0, 0, 1, 1])
    np.testing.assert_array_equal(split(gaps, PARTNERS, of_last=5, at_least=3).met, [NA, NA, 0, 0, 1])
    np.testing.assert_array_equal(split(gaps, PARTNERS, criterion=2.0).met, [NA, 0, 0, 0, 0])
    given_error = Measure(within_sd=FAR / 1.96 / math.sqrt(2))
    np.testing.assert_array_equal(split(gaps, given_error).met, [NA, 0, 0, 0, 0])


def test_the_numbers_of_a_split_are_those_worked_by_hand():
    verdict = split(Courses.of([9, NA, -9, 1]), PARTNERS)
    assert verdict.state.tolist() == [NOT_ENOUGH, UNSCORED, EVALUATED, EVALUATED]
    assert verdict.n_reference.tolist() == [1, 0, 2, 3]
    assert verdict.details["apart"].tolist() == [1, 0, 2, 2]
    assert (verdict.needed, verdict.counted) == (2, "joint sessions")
    np.testing.assert_allclose(verdict.limit, [NA, NA, -1.96 * SDIFF, 1.96 * SDIFF])
    np.testing.assert_allclose(verdict.statistic, [NA, NA, -9 / SDIFF, 1 / SDIFF])
    assert (verdict.reference == 0).all()
    found = verdict.episodes
    assert (found.onset.tolist(), found.end.tolist(), found.nadir.tolist()) == ([2], [3], [-9.0])


def test_a_couple_that_changes_sides_is_still_split():
    found = split(Courses.of([9, 9, -9, 9]), PARTNERS).episodes
    assert (found.onset.tolist(), found.end.tolist()) == ([1], [-1])


def test_several_couples_are_counted_each_on_its_own():
    both = split(some_courses([[9, 9], [], [9, 1], [9]]), PARTNERS)
    np.testing.assert_array_equal(both.met, [NA, 1, NA, 0, NA])


@pytest.mark.parametrize(
    ("measure", "settings_", "message"),
    [
        (
            Measure(low=-48, high=48),
            {},
            "error: split needs the reliability of the score, and the definition has none\n"
            "hint: give --sd and --reliability, or --within-sd",
        ),
        (
            PARTNERS,
            {"of_last": 2, "at_least": 3},
            "error: at_least must be at most of_last, got 3 of 2\n"
            "hint: the default is 2 of the last 3 joint sessions",
        ),
    ],
)
def test_a_split_that_cannot_be_judged_says_why(measure, settings_, message):
    with pytest.raises(UsageError) as caught:
        split(Courses.of([9, 9]), measure, **settings_)
    assert str(caught.value) == message


def slow_split(gaps, *, of_last, at_least):
    found, seen = [], []
    for y in gaps:
        if math.isnan(y):
            found.append(NA)
            continue
        seen.append(abs(y) / SDIFF > 1.96)
        enough = len(seen) >= at_least
        found.append(float(seen[-1] and sum(seen[-of_last:]) >= at_least) if enough else NA)
    return found


@settings(deadline=None, max_examples=60)
@given(
    cases=st.lists(gaps_of_a_case, max_size=4),
    window=st.integers(1, 5).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
)
def test_split_equals_a_slow_count(cases, window):
    courses = some_courses(cases)
    of_last, at_least = window
    met = split(courses, PARTNERS, of_last=of_last, at_least=at_least).met
    slow = [
        answer
        for case in cases
        for answer in slow_split([NA if y is None else y for y in case], of_last=of_last, at_least=at_least)
    ]
    np.testing.assert_array_equal(met, slow)


@pytest.mark.parametrize("judge", [divergence, split])
@settings(deadline=None, max_examples=40)
@given(case=gaps_of_a_case.filter(len), other=gaps_of_a_case)
def test_a_pair_is_judged_by_its_own_earlier_sessions_alone(judge, case, other):
    measure = replace(GAP, norm=NORM)
    together = judge(some_courses([other, case]), measure)
    for row in range(len(case)):
        so_far = judge(cut(some_courses([case]), row), measure)
        for name in ("met", "limit", "statistic"):
            whole = getattr(together, name)[len(other) : len(other) + row + 1]
            np.testing.assert_array_equal(getattr(so_far, name), whole)


def test_a_divergence_tells_which_way_the_gap_went_and_who_moved():
    flags, episodes = flag(ratings("C1", **C1), method="divergence", within_sd=math.sqrt(2), min=12, max=60)
    assert flags["rater"].tolist() == ["client/therapist"] * 2
    assert flags["finding"].tolist() == ["divergence", "repair"]
    assert flags["session"].tolist() == [5, 6]
    # The client's mean before is 46.25, the therapist's 43.5.
    assert flags["reason"].iloc[0] == (
        "client - therapist is -6.00, below the limit -4.22 from the 4 joint sessions before (mean 2.75, "
        "SD 1.71, df 6.25); mostly the client moved: client -9.25, therapist -0.50; prior SD 2, df 4, from "
        "the given SD"
    )
    assert flags["severity"].iloc[0] == "strict"
    assert episodes["outcome"].tolist() == ["repaired"]


def test_a_gap_that_opens_is_told_with_the_one_who_fell():
    apart = {"client": [40, 41, 40, 41], "therapist": [40, 41, 40, 25]}
    flags, _ = flag(ratings("C1", **apart), method="divergence", within_sd=math.sqrt(2), min=12, max=60)
    reason = flags["reason"].iloc[0]
    assert reason.startswith("client - therapist is 16.00, above the limit 7.")
    assert "; mostly the therapist moved: client +0.67, therapist -15.33; prior" in reason


def test_a_plain_course_of_gaps_is_explained_without_the_raters():
    found = METHODS["divergence"].explain
    verdict = divergence(Courses.of([2, 2, 2, 20]), GAP)

    class Plain:
        courses, rater = Courses.of([2, 2, 2, 20]), "client/therapist"

    Plain.verdict = verdict
    text = "".join(part if isinstance(part, str) else part[0] for part in found(Plain, np.array([3])))
    assert text.startswith("client - therapist is 20.00, above the limit 9.")
    assert text.endswith("(mean 2.00, SD 1.70, df 5.6)")


@pytest.mark.parametrize(
    ("couple", "reason"),
    [
        (
            {"partner_a": COUPLE["partner-a"], "partner_b": COUPLE["partner-b"]},
            [
                "partner-b scored 9.00 below partner-a (index 2.24, cut 1.96): so far apart in 2 of the "
                "last 3 joint sessions",
                "partner-b scored 10.00 below partner-a (index 2.48, cut 1.96): so far apart in 3 of the "
                "last 3 joint sessions",
            ],
        ),
        (
            {"mother": [30, 30], "father": [40, 40]},
            [
                "mother scored 10.00 below father (index 2.48, cut 1.96): so far apart in 2 of the last 2 "
                "joint sessions"
            ],
        ),
    ],
    ids=["worked couple", "the second is lower"],
)
def test_a_split_tells_who_is_lower(couple, reason):
    flags, episodes = flag(ratings("K", **couple), method="split", sd=9, reliability=0.9, min=12, max=60)
    assert flags["reason"].tolist() == reason
    assert set(flags["finding"]) == {"split"}
    assert episodes["outcome"].tolist() == ["censored"]


def test_a_pair_with_too_few_joint_sessions_is_told():
    few = ratings("C1", client=[40, 41, 42, NA], therapist=[NA, NA, 40, 41])
    flags, _ = flag(few, method=["divergence"], within_sd=math.sqrt(2), min=12, max=60)
    assert flags["reason"].tolist() == ["not enough data: 0 of 3 earlier scores"]
    couple = ratings("K", a=[40, 41], b=[40, NA])
    flags, _ = flag(couple, method="split", within_sd=2, min=12, max=60)
    assert flags["reason"].tolist() == ["not enough data: 1 of 2 joint sessions"]


@pytest.mark.parametrize("method", ["divergence", "split"])
def test_ratings_of_one_rater_are_nothing_to_judge(method):
    with pytest.raises(UsageError) as caught:
        flag(ratings("C1", client=[40, 41, 42]), method=method, within_sd=2, min=12, max=60)
    assert str(caught.value) == (
        f"error: {method} has nothing to judge\nhint: it needs {METHODS[method].needs}"
    )


@pytest.mark.parametrize("method", ["divergence", "split"])
def test_a_direction_cannot_be_chosen(method):
    with pytest.raises(UsageError) as caught:
        flag(ratings("C1", **C1), method=method, direction="rise", within_sd=2, min=12, max=60)
    assert str(caught.value) == f"error: {method} looks both ways by itself\nhint: leave --direction out"


def test_the_prior_is_that_of_the_gaps_and_can_be_frozen():
    rng = np.random.default_rng(3)
    frames = []
    for case in range(12):
        client = rng.integers(40, 50, 12)
        frames.append(ratings(f"C{case}", client=client, therapist=client - rng.integers(2, 5, 12)))
    scores = pd.concat(frames)
    subject = subject_of(None, min=12, max=60, step=1)
    found = detect(scores, subject, ["divergence"])
    (run,) = found.runs
    prior = run.measures["client/therapist"].prior
    # Gaps are even over 2 to 4, with variance 2/3; the client's scores are even over 40 to 49: 8.25.
    assert prior.origin == "caseload"
    assert 0.5 < prior.sd < 1.2
    assert isinstance(found.judged[0].courses, PairCourses)
    frozen = Frozen.from_json(json.loads(json.dumps(found.frozen().as_json())))
    again = detect(scores, subject, ["divergence"], prior=frozen)
    pd.testing.assert_frame_equal(again.flags(), found.flags())


def test_a_pair_is_the_same_whoever_comes_first_in_the_file():
    scores = pd.concat([ratings("B", **C1), ratings("A", client=[40] * 6, therapist=[38] * 5 + [12])])
    known = {"method": "divergence", "within_sd": math.sqrt(2), "min": 12, "max": 60}
    flags, _ = flag(scores, **known)
    shuffled, _ = flag(scores.sample(frac=1, random_state=4), **known)
    keys = ["case", "session"]
    pd.testing.assert_frame_equal(
        flags.sort_values(keys, ignore_index=True), shuffled.sort_values(keys, ignore_index=True)
    )
    assert set(flags["case"]) == {"A", "B"}
