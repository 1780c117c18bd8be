"""Alliance and outcome: pairs by hand, parts by hand, closed forms, other programs, properties, recovery."""

import importlib
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.dyads.mixed import fit_intercepts
from alliance.errors import UsageError
from alliance.outcome import Ratings, Sessions, Settings, Term, associate, pair, reading, sentence
from alliance.outcome import second as second_opinion
from alliance.outcome.describe import between_correlation, spread, within_correlation
from alliance.outcome.model import model_of
from alliance.outcome.parts import case_means, detrended, deviations, split
from alliance.outcome.reml import Data, deviance_at, fit

NA = np.nan
NOT_SCORED, LAST, SKIPPED = "not scored", "no session later in the case", "session number skipped"
GAP, NO_TARGET = "sessions too far apart", "nothing scored at the later session"
NO_PRIOR = "no score of the session before to start from"
FIRST, NO_THERAPIST = "no earlier score to compare with", "no therapist, or several"


def ratings(courses, *, days=None, therapist=None):
    """Return {case: {session: value}} as Ratings."""
    rows = [(case, session, value) for case, course in courses.items() for session, value in course.items()]
    return Ratings(
        case=np.array([row[0] for row in rows], dtype=object),
        session=np.array([row[1] for row in rows], dtype=np.int64),
        value=np.array([row[2] for row in rows], dtype=float),
        day=None if days is None else np.array([days.get(row[1], NA) for row in rows], dtype=float),
        therapist=None if therapist is None else np.array([therapist[row[0]] for row in rows], dtype=object),
    )


def paired(alliance, outcome, *, days=None, max_gap_days=28, **options):
    """Return t, x, y, prior of the pairs of one case, and what was lost."""
    sessions = Sessions.of(
        ratings({"A": alliance}, days=days), ratings({"A": outcome}, days=days), max_gap_days=max_gap_days
    )
    found = pair(sessions, **options)
    rows = list(zip(found.session, found.x, found.y, found.prior, strict=True))
    return [tuple(map(float, row)) for row in rows], dict(found.lost)


WAI = {1: 10, 2: 20, 3: 30, 4: 40}
ORS = {1: 1, 2: 2, 3: 3, 4: 4}


@pytest.mark.parametrize(
    ("alliance", "outcome", "options", "pairs", "lost"),
    [
        pytest.param(WAI, ORS, {}, [(1, 10, 2, 1), (2, 20, 3, 2), (3, 30, 4, 3)], {LAST: 1}, id="all there"),
        pytest.param(
            {1: 10, 2: 20, 4: 40, 5: 50}, {1: 1, 2: 2, 4: 4, 5: 5}, {},
            [(1, 10, 2, 1), (4, 40, 5, 4)], {LAST: 1, SKIPPED: 1}, id="a skipped number is not bridged",
        ),
        pytest.param(
            WAI, ORS | {3: NA}, {}, [(1, 10, 2, 1)], {LAST: 1, NO_TARGET: 1, NO_PRIOR: 1}, id="outcome blank",
        ),
        pytest.param(
            WAI, {1: 1, 2: 2, 4: 4}, {}, [(1, 10, 2, 1)], {LAST: 1, NO_TARGET: 1, NO_PRIOR: 1},
            id="outcome form absent",
        ),
        pytest.param(
            WAI | {2: NA}, ORS, {}, [(1, 10, 2, 1), (3, 30, 4, 3)], {NOT_SCORED: 1, LAST: 1},
            id="alliance blank",
        ),
        pytest.param(
            WAI, {2: 2, 3: 3}, {"prior": False}, [(1, 10, 2, NA), (2, 20, 3, NA)], {LAST: 1, NO_TARGET: 1},
            id="without the outcome before",
        ),
        pytest.param(
            WAI, {2: 2, 3: 3}, {}, [(2, 20, 3, 2)], {LAST: 1, NO_TARGET: 1, NO_PRIOR: 1}, id="no start",
        ),
        pytest.param({3: 30}, {3: 3, 4: 4}, {}, [(3, 30, 4, 3)], {}, id="outcome goes on longer"),
        pytest.param(
            WAI, ORS, {"lag": 0}, [(2, 20, 2, 1), (3, 30, 3, 2), (4, 40, 4, 3)], {NO_PRIOR: 1},
            id="lag 0 starts from the session before",
        ),
        pytest.param(WAI, ORS, {"lag": 2}, [(1, 10, 3, 1), (2, 20, 4, 2)], {LAST: 2}, id="lag 2"),
        pytest.param(
            {1: 10, 3: 30}, {1: 1, 3: 3}, {"lag": 2}, [(1, 10, 3, 1)], {LAST: 1}, id="nothing between",
        ),
        pytest.param(
            WAI, ORS, {"reverse": True, "lag": 0}, [(2, 2, 20, 10), (3, 3, 30, 20), (4, 4, 40, 30)],
            {NO_PRIOR: 1}, id="outcome, then alliance of the same session",
        ),
        pytest.param(
            WAI, ORS, {"reverse": True}, [(1, 1, 20, 10), (2, 2, 30, 20), (3, 3, 40, 30)], {LAST: 1},
            id="outcome, then alliance of the next",
        ),
        pytest.param(
            WAI, ORS, {"so_far": True}, [(2, 20, 3, 2), (3, 30, 4, 3)], {LAST: 1, FIRST: 1}, id="so far",
        ),
        pytest.param({1: 10}, {1: 1}, {}, [], {LAST: 1}, id="one session"),
        pytest.param({}, {}, {}, [], {}, id="no session"),
        pytest.param({4: 40, 2: 20, 3: 30, 1: 10}, ORS, {}, [(1, 10, 2, 1), (2, 20, 3, 2), (3, 30, 4, 3)],
                     {LAST: 1}, id="unsorted"),
    ],
)  # fmt: skip
def test_pairs_follow_the_truth_table(alliance, outcome, options, pairs, lost):
    found, left_out = paired(alliance, outcome, **options)
    np.testing.assert_array_equal(np.array(found).reshape(-1, 4), np.array(pairs).reshape(-1, 4))
    assert left_out == lost


@pytest.mark.parametrize(
    ("days", "options", "kept", "lost"),
    [
        pytest.param({1: 0, 2: 28, 3: 35, 4: 42}, {}, [1, 2, 3], {LAST: 1}, id="28 days is no gap"),
        pytest.param({1: 0, 2: 29, 3: 36, 4: 43}, {}, [2, 3], {LAST: 1, GAP: 1}, id="29 days is one"),
        pytest.param(
            {1: 0, 2: 9, 3: 16, 4: 23}, {"max_gap_days": 8}, [2, 3], {LAST: 1, GAP: 1}, id="its limit"
        ),
        pytest.param({1: 0, 2: 29, 3: 36, 4: 43}, {"lag": 2}, [2], {LAST: 2, GAP: 1}, id="in the first step"),
        pytest.param({1: 0, 2: 7, 3: 36, 4: 43}, {"lag": 2}, [], {LAST: 2, GAP: 2}, id="in the second step"),
        pytest.param(
            {1: 0, 3: 36, 4: 80}, {}, [1, 2], {LAST: 1, GAP: 1}, id="a day not known breaks nothing"
        ),
        pytest.param(
            {1: 0, 3: 57, 4: 58}, {}, [1, 3], {LAST: 1, GAP: 1}, id="two steps in more than twice the time"
        ),
        pytest.param(
            {1: 0, 2: 29, 3: 36, 4: 43}, {"lag": 0}, [3, 4], {NO_PRIOR: 2}, id="no start over a gap"
        ),
        pytest.param({}, {}, [1, 2, 3], {LAST: 1}, id="no day at all"),
    ],
)
def test_a_long_gap_is_not_bridged(days, options, kept, lost):
    found, left_out = paired(WAI, ORS, days=days, **options)
    assert [row[0] for row in found] == kept
    assert left_out == lost


def test_a_gap_never_makes_neighbours_of_sessions_two_apart():
    # Counting the gap as a step would pair session 1 with session 2 at lag 2.
    found, _ = paired({1: 10, 2: 20}, {1: 1, 2: 2}, days={1: 0, 2: 99}, lag=2)
    assert found == []


def test_cases_stay_apart_and_keep_their_order():
    alliance = ratings({"Z": {1: 5, 2: 6}, "A": {1: 7, 2: 8, 3: 9}})
    outcome = ratings({"A": {1: 70, 2: 80, 3: 90}, "Z": {1: 50, 2: 60}, "Q": {3: 1}})
    found = pair(Sessions.of(alliance, outcome))
    assert found.names.tolist() == ["Z", "A"]
    assert found.case.tolist() == [0, 1, 1]
    assert (found.x.tolist(), found.y.tolist()) == ([5, 7, 8], [60, 80, 90])
    assert (found.n_ratings, found.n_cases_seen, dict(found.lost)) == (5, 2, {LAST: 2})


def test_in_reverse_the_ratings_are_those_of_the_outcome():
    sessions = Sessions.of(ratings({"A": {1: 1, 2: 2}}), ratings({"A": {1: 1, 2: NA, 3: 3}, "B": {1: 9}}))
    found = pair(sessions, reverse=True, prior=False)
    assert (found.n_ratings, found.n_cases_seen, dict(found.lost)) == (4, 2, {NOT_SCORED: 1, LAST: 2})
    found = pair(sessions, prior=False)
    assert (found.n_ratings, found.n_cases_seen, dict(found.lost)) == (2, 1, {NO_TARGET: 1})


def test_the_level_so_far_is_the_mean_of_earlier_scores_of_the_same_case():
    alliance = ratings({"A": {1: 2, 2: 4, 3: NA, 4: 9, 5: 1}, "B": {1: 100, 2: 50}})
    outcome = ratings({"A": dict.fromkeys(range(1, 7), 1.0), "B": dict.fromkeys(range(1, 4), 1.0)})
    found = pair(Sessions.of(alliance, outcome), so_far=True)
    assert found.session.tolist() == [2, 4, 5, 2]
    np.testing.assert_allclose(found.so_far, [2, 3, 5, 100])
    assert dict(found.lost) == {NOT_SCORED: 1, FIRST: 2}


def test_a_case_with_two_therapists_or_none_is_left_out_where_therapists_are_asked_for():
    courses = {name: {1: 1, 2: 2} for name in "ABC"}
    alliance = ratings(courses, therapist={"A": "T1", "B": "", "C": "T1"})
    outcome = ratings(courses, therapist={"A": "T1", "B": "", "C": "T2"})
    sessions = Sessions.of(alliance, outcome)
    assert sessions.therapist.tolist() == ["T1", "", ""]
    assert dict(pair(sessions, therapists=True).lost) == {LAST: 3, NO_THERAPIST: 2}
    assert pair(sessions).therapist.tolist() == ["T1", "", ""]


def test_the_days_of_either_form_tell_a_gap():
    known = ratings({"A": WAI}, days={1: 0, 2: 40, 3: 47, 4: 54})
    unknown = ratings({"A": ORS})
    for sessions in (Sessions.of(known, unknown), Sessions.of(unknown, known)):
        assert pair(sessions).session.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Sessions.of(
                Ratings(case=np.array(["A", "A"]), session=np.array([1, 1]), value=np.array([1.0, 2.0])),
                ratings({"A": ORS}),
            ),
            "alliance must have one rating for each case and session, got two or more",
        ),
        (
            lambda: Ratings(case=np.array(["A"]), session=np.array([1, 2]), value=np.array([1.0, 2.0])),
            "the arrays of Ratings must be equally long, got case 1, session 2, value 2",
        ),
        (
            lambda: Sessions.of(ratings({"A": WAI}), ratings({"A": ORS}), max_gap_days=0),
            "max_gap_days must be above 0, got 0",
        ),
        (lambda: pair(Sessions.of(ratings({}), ratings({})), lag=-1), "lag must be at least 0, got -1"),
        (lambda: Settings(lag=-1), "lag must be at least 0, got -1"),
        (lambda: Settings(reverse_lag=-2), "reverse_lag must be at least 0, got -2"),
        (lambda: Settings(centre="median"), "centre must be one of mean, so-far, got median"),
        (
            lambda: associate(ratings({}), ratings({}), better="up"),
            "better must be one of higher, lower, got up",
        ),
    ],
)
def test_a_caller_is_told_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"detrend": True, "centre": "so-far"},
            "error: a course is detrended by all its sessions, which 'so-far' rules out\n"
            "hint: leave out --detrend, or --centre so-far",
        ),
        (
            {"therapists": True, "random_slope": True},
            "error: therapists cannot be had together with a random slope or detrended courses\n"
            "hint: leave out --therapists, or --random-slope and --detrend",
        ),
        (
            {"therapists": True, "detrend": True},
            "error: therapists cannot be had together with a random slope or detrended courses\n"
            "hint: leave out --therapists, or --random-slope and --detrend",
        ),
    ],
)
def test_settings_that_rule_each_other_out_are_refused(given, message):
    with pytest.raises(UsageError) as error:
        Settings(**given)
    assert str(error.value) == message


def test_the_other_direction_starts_a_session_earlier_unless_told():
    assert [Settings(lag=lag).lag_back for lag in (0, 1, 2)] == [0, 0, 1]
    assert Settings(reverse_lag=3).lag_back == 3


# Parts of a score


def test_the_parts_of_a_score_by_hand():
    # Means 2, 6, 10: their mean is 6. Case 2 has one session and so no distance.
    case, values = np.array([0, 0, 0, 1, 1, 2]), np.array([1.0, 2, 3, 5, 7, 10])
    parts = split(values, case)
    assert parts.middle == 6
    np.testing.assert_allclose(parts.between, [-4, -4, -4, 0, 0, 4], atol=1e-12)
    np.testing.assert_allclose(parts.within, [-1, 0, 1, -1, 1, 0], atol=1e-12)


def test_the_parts_by_earlier_sessions_by_hand():
    case, values, so_far = np.array([0, 0, 1]), np.array([4.0, 6, 9]), np.array([2.0, 3, 7])
    parts = split(values, case, so_far=so_far)
    assert parts.middle == pytest.approx((2.5 + 7) / 2)
    np.testing.assert_allclose(parts.within, [2, 3, 2])
    np.testing.assert_allclose(parts.between, [2 - 4.75, 3 - 4.75, 7 - 4.75])


def test_a_line_is_taken_out_of_each_case_by_hand():
    # Case 0: 2 + session, then a bump of 3 at session 2: residuals of (1, 3, 2) are -0.5, 1, -0.5, times 2.
    case = np.array([0, 0, 0, 1, 1, 2])
    session = np.array([1, 2, 3, 1, 5, 4])
    values = np.array([2.0, 6, 4, 10, 20, 7])
    np.testing.assert_allclose(detrended(values, session, case), [-1, 2, -1, 0, 0, 0], atol=1e-12)


def test_detrended_parts_keep_the_mean_of_the_case():
    case, session = np.array([0, 0, 0, 1, 1, 1]), np.tile([1, 2, 3], 2)
    parts = split(np.array([2.0, 6, 4, 0, 1, 2]), case, session=session)
    np.testing.assert_allclose(parts.within, [-1, 2, -1, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(parts.between, [1.5] * 3 + [-1.5] * 3)


def test_means_of_large_numbers_lose_nothing():
    case = np.repeat([0, 1], 3)
    values = 1e9 + np.array([1.0, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(case_means(values, case) - 1e9, [2, 5], atol=1e-6)


# Without a model


def test_the_spread_of_a_score_by_hand():
    # Cases (1, 3) and (5, 7): MSB 16, MSW 2, so ICC 14 / 18 and 1 - 2 / 16.
    found = spread(np.array([1.0, 3, 5, 7]), np.array([0, 0, 1, 1]))
    assert found.mean == 4
    assert found.between_sd == pytest.approx(math.sqrt(8))
    assert found.within_sd == pytest.approx(math.sqrt(2))
    assert found.icc == pytest.approx(14 / 18)
    assert found.mean_reliability == pytest.approx(14 / 16)


def test_the_spread_of_unequal_cases_by_hand():
    # Sizes 1 and 3: k0 = (4 - 10 / 4) / 1 = 1.5. Means 0 and 4, grand mean 3: MSB 9 + 3 = 12, MSW 2 / 2 = 1.
    found = spread(np.array([0.0, 3, 4, 5]), np.array([0, 1, 1, 1]))
    assert found.icc == pytest.approx(11 / (12 + 0.5))
    assert found.mean_reliability == pytest.approx(11 / 12)


def test_cases_less_alike_than_chance_have_an_icc_below_0_and_a_mean_of_no_reliability():
    found = spread(np.array([0.0, 10, 1, 9]), np.array([0, 0, 1, 1]))
    assert found.icc == pytest.approx(-1)
    assert found.mean_reliability == pytest.approx(0)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ([], "not enough data: 0 cases of 2"),
        ([0, 0], "not enough data: 1 case of 2"),
        ([0, 1], "not enough data: one pair in each case"),
    ],
)
def test_a_spread_says_what_is_missing(case, reason):
    found = spread(np.arange(len(case), dtype=float), np.array(case, dtype=int))
    assert found.reason == reason
    assert math.isnan(found.icc)


def test_correlations_by_hand():
    # Deviations of x: -1 0 1 -1 0 1, of y: -1 1 0 -1 0 1: 3 / sqrt(4 * 4). Means (2, 12, 7), (6, 2, 4).
    case = np.array([0, 0, 0, 1, 1, 1, 2])
    x, y = np.array([1.0, 2, 3, 11, 12, 13, 7]), np.array([5.0, 7, 6, 1, 2, 3, 4])
    within, between = within_correlation(x, y, case), between_correlation(x, y, case)
    assert (within.r, within.df, within.n) == (pytest.approx(0.75), 3, 7)
    # t = .75 sqrt(3 / (1 - .5625)) = 1.963961, two-sided p with 3 df; z = .972955 -+ 1.959964 / sqrt(2)
    assert within.p == pytest.approx(0.14433, abs=5e-5)
    assert (within.low, within.high) == (pytest.approx(-0.391, abs=5e-4), pytest.approx(0.982, abs=5e-4))
    # Deviations (-5, 5, 0) and (2, -2, 0): exactly opposite.
    assert (between.r, between.df, between.n) == (pytest.approx(-1), 1, 3)
    assert math.isnan(between.low)


def test_a_within_correlation_is_that_of_residuals_from_a_dummy_for_every_case():
    rng = np.random.default_rng(3)
    case = np.repeat(np.arange(9), rng.integers(1, 8, size=9))
    x, y = rng.normal(size=(2, len(case))) + case
    dummies = np.eye(9)[case]
    left = [v - dummies @ np.linalg.lstsq(dummies, v, rcond=None)[0] for v in (x, y)]
    assert within_correlation(x, y, case).r == pytest.approx(np.corrcoef(*left)[0, 1])


@pytest.mark.parametrize(
    ("x", "y", "case", "reason"),
    [
        ([], [], [], "not enough data: 0 pairs"),
        ([1, 2, 3], [1, 2, 3], [0, 1, 2], "not enough data: 3 pairs"),
        ([1, 2], [1, 2], [0, 0], "not enough data: 2 pairs"),
        ([1, 1, 1, 2], [1, 2, 3, 4], [0, 0, 0, 1], "the first score does not vary within cases"),
        ([1, 2, 3, 2], [1, 1, 1, 4], [0, 0, 0, 1], "the second score does not vary within cases"),
    ],
)
def test_a_within_correlation_says_what_is_missing(x, y, case, reason):
    found = within_correlation(np.array(x, float), np.array(y, float), np.array(case, dtype=int))
    assert found.reason == reason
    assert math.isnan(found.r)


@pytest.mark.parametrize(
    ("x", "case", "reason"),
    [
        ([1, 2], [0, 1], "not enough data: 2 cases"),
        ([1], [0], "not enough data: 1 case"),
        ([5, 5, 5], [0, 1, 2], "the first score does not vary between cases"),
    ],
)
def test_a_between_correlation_says_what_is_missing(x, case, reason):
    found = between_correlation(np.array(x, float), np.arange(len(x), dtype=float), np.array(case))
    assert found.reason == reason


# The mixed model


def courses(n_cases, n_sessions, *, seed, within=0.4, between=0.9, spread_of_slopes=0.0, ragged=False):
    """Return alliance and outcome in which alliance(t) moves outcome(t + 1)."""
    rng = np.random.default_rng(seed)
    alliance, outcome = {}, {}
    for number in range(n_cases):
        name, length = f"C{number:03d}", int(rng.integers(3, n_sessions + 1)) if ragged else n_sessions
        level, own = rng.normal(30, 3), rng.normal(0, 2)
        slope = within + spread_of_slopes * rng.normal()
        x = level + rng.normal(0, 2, size=length + 1)
        y = (
            5
            + between * level
            + own
            + slope * np.append(0, x[:-1] - level)
            + rng.normal(0, 1.5, size=length + 1)
        )
        numbers = range(1, length + 2)
        alliance[name] = dict(zip(numbers, x, strict=True))
        outcome[name] = dict(zip(numbers, y, strict=True))
    return alliance, outcome


def study(*sizes, **given):
    return tuple(map(ratings, courses(*sizes, **given)))


def pairs_of(data, **options):
    return pair(Sessions.of(*data), **options)


def test_balanced_data_have_the_closed_forms_worked_by_hand():
    # Within: dx = (1, -2, 1) is at right angles to the session (-1, 0, 1); y = level + b dx + d (2, 0, -2):
    # the session takes d in full, so the within effect is the mean of b weighted by dx^2 = 6 each, here 2.
    # Between: means of x 1 3 5 7, of y 10 12 20 22: slope (9 + 2 + 2 + 9 + ... ) = 44 / 20 = 2.2.
    levels, results, effects = (1, 3, 5, 7), (10, 12, 20, 22), (1, 2, 3, 2)
    alliance, outcome = {}, {}
    for name, level, result, b in zip("ABCD", levels, results, effects, strict=True):
        alliance[name] = {1: level + 1, 2: level - 2, 3: level + 1}
        outcome[name] = {2: result + b, 3: result - 2 * b, 4: result + b}
    found = model_of(
        pairs_of((ratings(alliance), ratings(outcome)), prior=False), Settings(autoregression=False)
    )
    within, between = found.term("within"), found.term("between")
    assert within.estimate == pytest.approx(2, abs=1e-9)
    assert found.term("session").estimate == pytest.approx(0, abs=1e-9)
    assert between.estimate == pytest.approx(2.2, abs=1e-9)
    assert found.term("intercept").estimate == pytest.approx(16, abs=1e-9)
    # Residuals within: (b - 2) dx, squares 6 + 0 + 6 + 0 = 12 on 12 - 4 - 2 = 6 df: sigma^2 = 2.
    assert found.sigma == pytest.approx(math.sqrt(2), abs=1e-9)
    assert within.se == pytest.approx(math.sqrt(2 / 24), abs=1e-9)
    assert within.df == 6
    # Means about their line: 10 - 9.4, 12 - 13.8, 20 - 18.2, 22 - 22.6: squares 7.2 on 2, so 3.6 a mean.
    assert between.se == pytest.approx(math.sqrt(3.6 / 20), abs=1e-9)
    assert between.df == 2
    assert found.case_sd == pytest.approx(math.sqrt(3.6 - 2 / 3), abs=1e-7)
    # Difference 0.2, its error from both.
    contrast = found.term("between - within")
    assert contrast.estimate == pytest.approx(0.2, abs=1e-9)
    assert contrast.se == pytest.approx(math.sqrt(2 / 24 + 3.6 / 20), abs=1e-9)
    assert contrast.df == 2
    # Student's t, 97.5 %: 2.446912 with 6 and 4.302653 with 2 degrees of freedom.
    assert within.low == pytest.approx(2 - 2.446912 * math.sqrt(2 / 24), abs=1e-6)
    assert between.high == pytest.approx(2.2 + 4.302653 * math.sqrt(0.18), abs=1e-6)
    assert within.t == pytest.approx(2 / math.sqrt(2 / 24), abs=1e-8)
    # 24 / 8 = 3 within the cases' x, (24 * 4 + 12) / 8 = 13.5 within y; 20 / 3 and 104 / 3 between.
    assert within.per_sd == pytest.approx(2 * math.sqrt(3), abs=1e-9)
    assert within.standardised == pytest.approx(2 * math.sqrt(3 / 13.5), abs=1e-9)
    assert between.per_sd == pytest.approx(2.2 * math.sqrt(20 / 3), abs=1e-9)
    assert between.standardised == pytest.approx(2.2 * math.sqrt(20 / 104), abs=1e-9)
    # Rights and Sterba: 4 * 24 / 11 of fixed effects within beside 2; 4.84 * 60 / 11 between beside tau^2.
    assert found.r2_within == pytest.approx((96 / 11) / (96 / 11 + 2), abs=1e-9)
    assert found.r2_between == pytest.approx((290.4 / 11) / (290.4 / 11 + 3.6 - 2 / 3), abs=1e-7)


def test_the_within_effects_equal_those_with_a_fixed_effect_for_every_case():
    pairs = pairs_of(study(14, 9, seed=5, ragged=True))
    found = model_of(pairs, Settings())
    dummies = np.eye(len(pairs.names))[pairs.case]
    x = np.column_stack([pairs.x, pairs.prior, pairs.session, dummies])
    by_hand = np.linalg.lstsq(x, pairs.y, rcond=None)[0]
    estimates = [found.term(name).estimate for name in ("within", "before", "session")]
    np.testing.assert_allclose(estimates, by_hand[:3], rtol=1e-8)
    assert found.term("within").df == len(pairs.x) - len(pairs.names) - 3
    assert found.term("between").df == len(pairs.names) - 2


def test_detrended_effects_equal_those_with_a_line_for_every_case():
    pairs = pairs_of(study(12, 9, seed=6, ragged=True))
    found = model_of(pairs, Settings(detrend=True))
    dummies = np.eye(len(pairs.names))[pairs.case]
    x = np.column_stack([pairs.x, pairs.prior, dummies, dummies * pairs.session[:, None]])
    by_hand = np.linalg.lstsq(x, pairs.y, rcond=None)[0]
    estimates = [found.term(name).estimate for name in ("within", "before")]
    np.testing.assert_allclose(estimates, by_hand[:2], rtol=1e-7)
    spent = sum(min(int(n), 2) for n in np.bincount(pairs.case))
    assert found.term("within").df == len(pairs.x) - spent - 2
    assert found.term("session").df == len(pairs.names) - 1


def test_a_detrended_effect_has_the_standard_error_of_the_model_with_every_line():
    # Balanced: REML's sigma^2 is then the mean square of the least-squares fit with a line for every case.
    rng = np.random.default_rng(8)
    pairs = pairs_of(study(25, 8, seed=7), prior=False)
    y = pairs.y + rng.normal(0, 1, size=25)[pairs.case] * (pairs.session - 4)
    changed = SimpleNamespace(**{**vars(pairs), "y": y})
    found = model_of(changed, Settings(detrend=True, autoregression=False))
    dummies = np.eye(25)[pairs.case]
    x = np.column_stack([pairs.x, dummies, dummies * pairs.session[:, None]])
    coefficients, left = np.linalg.lstsq(x, y, rcond=None)[:2]
    error = math.sqrt(left[0] / (len(y) - 51) * np.linalg.inv(x.T @ x)[0, 0])
    assert found.term("within").estimate == pytest.approx(coefficients[0], rel=1e-8)
    assert found.term("within").se == pytest.approx(error, rel=1e-6)


def test_by_earlier_sessions_both_parts_stand_beside_each_other():
    pairs = pairs_of(study(30, 8, seed=9), so_far=True)
    found = model_of(pairs, Settings(centre="so-far"))
    x = np.column_stack(
        [
            np.ones(len(pairs.x)), pairs.x - pairs.so_far, pairs.so_far, deviations(pairs.prior, pairs.case),
            deviations(pairs.session.astype(float), pairs.case),
        ]
    )  # fmt: skip
    other = fit_intercepts(pairs.y, x, pairs.case)
    for name, place in (("within", 1), ("between", 2), ("before", 3), ("session", 4)):
        assert found.term(name).estimate == pytest.approx(other.beta[place], rel=1e-6)
        assert found.term(name).se == pytest.approx(other.se[place], rel=1e-6)
    assert math.isnan(found.r2_within)


def design(n_cases, n_rows, *, seed, slopes=0.5):
    rng = np.random.default_rng(seed)
    case = np.repeat(np.arange(n_cases), rng.integers(2, n_rows + 1, size=n_cases))
    x = np.column_stack([np.ones(len(case)), rng.normal(3, 2, size=len(case)), rng.normal(size=len(case))])
    own = rng.normal(size=(2, n_cases))
    y = 7 + x[:, 1:] @ [0.5, -1] + own[0, case] + slopes * own[1, case] * x[:, 1] + rng.normal(size=len(case))
    return y, x, case


def test_random_intercepts_are_those_of_the_other_search_in_the_house():
    y, x, case = design(20, 7, seed=1, slopes=0)
    ours, other = fit(Data(y=y, x=x, z=x[:, :1], case=case)), fit_intercepts(y, x, case)
    np.testing.assert_allclose(ours.beta, other.beta, rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance)), other.se, rtol=1e-7)
    assert ours.random[0, 0] == pytest.approx(other.group, rel=1e-6)
    assert ours.deviance == pytest.approx(other.deviance, abs=1e-8)
    assert ours.settled
    assert not ours.at_bound


def test_therapists_and_cases_are_those_of_the_other_search_in_the_house():
    y, x, case = design(40, 6, seed=2, slopes=0)
    owner = np.arange(40) % 6
    y = y + 1.5 * np.array([0.2, -1, 0.5, 1.4, -0.6, 0.1])[owner[case]]
    ours, other = (
        fit(Data(y=y, x=x, z=x[:, :1], case=case, therapist=owner)),
        fit_intercepts(y, x, owner[case], case),
    )
    np.testing.assert_allclose(ours.beta, other.beta, rtol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance)), other.se, rtol=1e-6)
    assert ours.random[0, 0] == pytest.approx(other.nested, rel=1e-5)
    assert ours.therapist == pytest.approx(other.group, rel=1e-5)
    assert ours.deviance == pytest.approx(other.deviance, abs=1e-8)


def dense_deviance(data, random, residual):
    """Return -2 log restricted likelihood from the whole covariance matrix, without any short cut."""
    y, x, z, case = data
    v = residual * np.eye(len(y)) + (z @ random @ z.T) * (case[:, None] == case)
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    left = y - x @ np.linalg.solve(information, x.T @ inverse @ y)
    terms = (np.linalg.slogdet(v)[1], np.linalg.slogdet(information)[1], left @ inverse @ left)
    return sum(terms) + (len(y) - x.shape[1]) * math.log(2 * math.pi), np.linalg.inv(information)


def test_random_slopes_are_at_the_lowest_point_of_the_whole_likelihood():
    y, x, case = design(18, 7, seed=3)
    z = x[:, :2]
    found = fit(Data(y=y, x=x, z=z, case=case))
    here, covariance = dense_deviance((y, x, z, case), found.random, found.residual)
    assert found.deviance == pytest.approx(here, abs=1e-8)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-7)
    for change in ([[0.02, 0], [0, 0]], [[0, 0.02], [0.02, 0]], [[0, 0], [0, 0.02]]):
        for side in (-1, 1):
            there, _ = dense_deviance((y, x, z, case), found.random + side * np.array(change), found.residual)
            assert there > here
    assert dense_deviance((y, x, z, case), found.random, 1.02 * found.residual)[0] > here
    assert dense_deviance((y, x, z, case), found.random, 0.98 * found.residual)[0] > here


@pytest.mark.parametrize("n_random", [1, 2])
def test_statsmodels_on_its_own_finds_the_same_model(n_random):
    module = importlib.import_module("statsmodels.regression.mixed_linear_model")
    y, x, case = design(30, 7, seed=4)
    ours = fit(Data(y=y, x=x, z=x[:, :n_random], case=case))
    theirs = module.MixedLM(y, x, groups=case, exog_re=x[:, :n_random]).fit(reml=True, method=["bfgs"])
    assert ours.deviance == pytest.approx(-2 * theirs.llf, abs=1e-5)
    np.testing.assert_allclose(ours.beta, theirs.fe_params, rtol=1e-4)
    np.testing.assert_allclose(ours.random, theirs.cov_re, rtol=5e-3, atol=1e-4)


def test_explained_variance_leaves_room_for_slopes_that_differ():
    # Rights and Sterba: beside the fixed effects stand the slopes' variance times that of x, and sigma^2.
    pairs = pairs_of(study(40, 9, seed=23, spread_of_slopes=0.8), prior=False)
    found = model_of(pairs, Settings(autoregression=False, random_slope=True))
    within, session = deviations(pairs.x, pairs.case), deviations(pairs.session.astype(float), pairs.case)
    fixed = found.term("within").estimate * within + found.term("session").estimate * session
    rest = found.slope_sd**2 * within.var(ddof=1) + found.sigma**2
    assert found.slope_sd > 0.3
    assert found.r2_within == pytest.approx(fixed.var(ddof=1) / (fixed.var(ddof=1) + rest), rel=1e-9)


def test_a_slope_that_differs_has_the_degrees_of_freedom_of_the_cases_that_show_it():
    alliance, outcome = courses(25, 7, seed=24, spread_of_slopes=0.5)
    for name in ("C000", "C001"):
        alliance[name] = dict.fromkeys(alliance[name], 30.0)
    found = model_of(pairs_of((ratings(alliance), ratings(outcome))), Settings(random_slope=True))
    assert found.term("within").df == 22
    assert found.term("between").df == 23
    assert found.term("before").df == found.n_pairs - 25 - 3


def test_a_variance_at_its_bound_is_told():
    rng = np.random.default_rng(6)
    pairs = pairs_of(study(24, 7, seed=10), prior=False)
    y = deviations(rng.normal(20, 1, size=len(pairs.x)), pairs.case) + 20
    found = model_of(SimpleNamespace(**{**vars(pairs), "y": y}), Settings(autoregression=False))
    assert found.case_sd == 0
    assert found.notes == (
        "cases do not differ beyond what their sessions explain: the variance between them is at 0",
    )


def test_therapists_are_a_level_of_their_own():
    alliance, outcome = study(36, 6, seed=11)
    therapist = np.array([f"T{int(name[1:]) % 4}" for name in alliance.case], dtype=object)
    shift = np.array([3.0 * int(name[1]) for name in therapist])
    alliance = Ratings(**{**vars(alliance), "therapist": therapist})
    outcome = Ratings(**{**vars(outcome), "value": outcome.value + shift})
    found = (
        associate(alliance, outcome, settings=Settings(therapists=True), reverse=False).directions[0].model
    )
    plain = associate(alliance, outcome, reverse=False).directions[0].model
    assert found.n_therapists == 4
    assert found.therapist_sd > 1.5
    assert found.case_sd < plain.case_sd
    assert found.term("within").estimate == pytest.approx(plain.term("within").estimate, rel=1e-6)
    assert math.isnan(found.r2_between)


@pytest.mark.parametrize(
    ("alliance", "outcome", "given", "reason"),
    [
        pytest.param({"A": WAI}, {"B": ORS}, {}, "not enough data: no pair", id="nothing meets"),
        pytest.param(
            {"A": WAI, "B": WAI}, {"A": ORS, "B": ORS}, {},
            "not enough data: the pairs are of 2 cases, of 3 needed", id="two cases",
        ),
        pytest.param(
            {name: {1: 5} for name in "ABCD"}, {name: {1: 1, 2: 2} for name in "ABCD"}, {},
            "not enough data: one pair in each case, so nothing varies within", id="one pair each",
        ),
        pytest.param(
            {name: dict.fromkeys(range(1, 5), level) for name, level in zip("ABC", (1, 2, 3), strict=True)},
            dict.fromkeys("ABC", ORS), {}, "the earlier score never varies within a case", id="no within",
        ),
        pytest.param(
            dict.fromkeys("ABC", WAI), {name: {1: 1, 2: 5, 3: 2, 4: 4} for name in "ABC"}, {},
            "the cases do not differ in their usual level", id="no between",
        ),
        pytest.param(
            {"A": WAI, "B": {1: 5, 2: 3, 3: 9}, "C": {1: 2, 2: 5, 3: 3}},
            {name: {1: 3, 2: 3, 3: 3, 4: 8} for name in "ABC"}, {},
            "the score before never varies within a case; leave it out (--no-autoregression)", id="no start",
        ),
        pytest.param(
            {"A": {1: 5, 2: 3}, "B": {1: 2, 2: 5}, "C": {1: 2, 2: 9}},
            {name: {1: 3, 2: 4, 3: 8} for name in "ABC"}, {},
            "not enough data: 6 pairs of 3 cases leave no degree of freedom within cases", id="nothing over",
        ),
        pytest.param(
            {"A": {1: 5, 2: 3}, "B": {1: 2, 2: 5}, "C": {1: 2, 2: 9, 3: 4}},
            {name: {1: 3, 2: 4, 3: 8, 4: 1} for name in "ABC"}, {"autoregression": False, "detrend": True},
            "not enough data: 7 pairs of 3 cases leave no degree of freedom within cases", id="lines",
        ),
        pytest.param(
            {"A": {1: 5, 2: 3}, "B": {1: 2, 2: 5}, "C": {1: 2, 2: 9}, "D": {1: 4, 2: 4.5}, "E": {1: 3, 2: 4}},
            {name: {1: 3, 2: 4, 3: 8} for name in "ABCDE"}, {"autoregression": False, "random_slope": True},
            "not enough data: 10 pairs for 2 random effects of each of 5 cases", id="slopes take all",
        ),
        pytest.param(
            {name: {t: 3 * t + ord(name) ** 2 for t in range(1, 6)} for name in "ABCD"},
            {name: {1: 3, 2: 4, 3: 8, 4: 1, 5: 9} for name in "ABCD"}, {},
            "the terms intercept, within, between, before, session cannot be told apart in these data",
            id="alliance is time",
        ),
    ],
)  # fmt: skip
def test_too_few_data_are_answered_in_words(alliance, outcome, given, reason):
    asked = Settings(**given)
    found = associate(ratings(alliance), ratings(outcome), settings=asked, reverse=False).directions[0].model
    assert found.reason == reason
    assert found.terms == ()
    assert math.isnan(found.sigma)


def test_an_outcome_that_follows_exactly_leaves_nothing_to_vary():
    alliance, _ = study(8, 6, seed=12)
    courses = {}
    for name, session, value in zip(alliance.case, alliance.session, alliance.value, strict=True):
        courses.setdefault(name, {})[session + 1] = 2 * value
    found = associate(alliance, ratings(courses), settings=Settings(autoregression=False), reverse=False)
    assert found.directions[0].model.reason == "nothing is left to vary within cases"


def test_one_therapist_is_no_level():
    alliance, outcome = study(12, 6, seed=13)
    alliance = Ratings(**{**vars(alliance), "therapist": np.full(len(alliance.case), "T1", dtype=object)})
    found = associate(alliance, outcome, settings=Settings(therapists=True), reverse=False)
    assert found.directions[0].model.reason == "not enough data: 1 therapist of 2"


@pytest.fixture
def ended_at(monkeypatch):
    """Let statsmodels end where cases differ by a share more (or less) than where we do, or fail."""

    def replace(share):
        def asked(module, data, found):
            return None if share is None else ((1 + share) * found.ratio @ found.ratio.T, 0.0)

        monkeypatch.setattr(second_opinion, "_asked", asked)

    return replace


def test_a_second_opinion_that_stopped_early_is_told_and_the_better_fit_shown(ended_at):
    pairs = pairs_of(study(25, 7, seed=14))
    plain = model_of(pairs, Settings(autoregression=True))
    ended_at(0.8)
    found = model_of(pairs, Settings())
    above = found.second_deviance - found.deviance
    assert above > 0.05
    assert found.notes[0] == (
        f"statsmodels stopped early, {above:.2g} above on -2 log likelihood; the lower is shown"
    )
    assert found.term("within") == plain.term("within")


def test_a_better_place_that_statsmodels_finds_is_taken(monkeypatch):
    pairs = pairs_of(study(25, 7, seed=14))
    plain = model_of(pairs, Settings())
    reml = sys.modules["alliance.outcome.reml"]
    search = reml._lowest
    shares = []

    def short_search(sums, n_random, also):
        shares.append(also)
        return (np.array([0.05, 0.0]), True) if also is None else search(sums, n_random, also)

    monkeypatch.setattr(reml, "_lowest", short_search)
    found = model_of(pairs, Settings())
    assert len(shares) == 2
    assert found.term("within").estimate == pytest.approx(plain.term("within").estimate, rel=1e-7)
    assert found.case_sd == pytest.approx(plain.case_sd, rel=1e-5)


def test_a_better_place_that_our_search_cannot_reach_leaves_no_model(monkeypatch):
    reml = sys.modules["alliance.outcome.reml"]
    monkeypatch.setattr(reml, "_lowest", lambda *_: (np.array([0.05, 0.0]), True))
    found = model_of(pairs_of(study(25, 7, seed=14)), Settings())
    assert found.reason == "the model did not converge."
    assert found.terms == ()


def test_a_model_with_a_random_slope_that_did_not_converge_says_what_to_try(monkeypatch):
    monkeypatch.setattr(sys.modules["alliance.outcome.reml"], "SETTLED", -1.0)
    found = model_of(pairs_of(study(25, 7, seed=14)), Settings(random_slope=True))
    assert found.reason == "the model did not converge. Try it without the random slope."


def test_a_second_opinion_that_fails_is_told(ended_at):
    ended_at(None)
    found = model_of(pairs_of(study(25, 7, seed=14)), Settings())
    assert (
        found.notes[0] == "statsmodels could not fit this model; the estimates are from our own search alone"
    )
    assert math.isnan(found.second_deviance)


def test_a_likelihood_is_the_same_by_the_whole_covariance_matrix():
    # The best residual variance for these ratios is the mean square of the whitened residuals.
    y, x, case = design(12, 6, seed=22)
    data = Data(y=y, x=x, z=x[:, :2], case=case)
    ratio = np.array([[0.8, 0.3], [0.3, 0.4]])
    v = np.eye(len(y)) + (x[:, :2] @ ratio @ x[:, :2].T) * (case[:, None] == case)
    root = np.linalg.inv(np.linalg.cholesky(v))
    left = np.linalg.lstsq(root @ x, root @ y, rcond=None)[1][0]
    best = left / (len(y) - x.shape[1])
    by_hand, _ = dense_deviance((y, x, x[:, :2], case), best * ratio, best)
    assert deviance_at(data, ratio) == pytest.approx(by_hand, abs=1e-6)


def test_a_second_opinion_that_would_take_minutes_is_not_asked_for_and_that_is_told(monkeypatch):
    monkeypatch.setattr(second_opinion, "LARGEST_THERAPIST", 35)
    monkeypatch.setattr(second_opinion, "LARGEST_AT_BOUND", 100)
    alliance, outcome = study(20, 6, seed=21)
    therapist = np.array([f"T{int(name[1:]) % 2}" for name in alliance.case], dtype=object)
    named = Ratings(**{**vars(alliance), "therapist": therapist})
    found = model_of(pairs_of((named, outcome), therapists=True), Settings(therapists=True))
    assert found.notes[0] == "not checked by statsmodels: a therapist has more than 35 pairs"
    assert found.term("within") is not None
    case = np.repeat(np.arange(20), 6)
    y = np.random.default_rng(1).normal(size=120)
    x = np.column_stack([np.ones(120), np.tile([-1, 2, -1, 1, -2, 1], 20)])
    y = deviations(y, case) - 0.1 * x[:, 1] * np.repeat(x[:20, 1], 6)
    checked = second_opinion.fit_checked(Data(y=y, x=x, z=x, case=case))
    assert checked.told == ("not checked by statsmodels: at a bound it is too slow for more than 100 pairs",)
    assert checked.found.at_bound


def test_the_second_opinion_agrees_on_ordinary_studies():
    for options in ({}, {"random_slope": True}, {"detrend": True}):
        found = model_of(pairs_of(study(25, 8, seed=15, spread_of_slopes=0.3)), Settings(**options))
        assert found.second_deviance == pytest.approx(found.deviance, abs=1e-4)
    y, x, case = design(40, 6, seed=2, slopes=0)
    owner = np.arange(40) % 6
    y = y + 1.5 * np.array([0.2, -1, 0.5, 1.4, -0.6, 0.1])[owner[case]]
    checked = second_opinion.fit_checked(Data(y=y, x=x, z=x[:, :1], case=case, therapist=owner))
    assert checked.deviance == pytest.approx(checked.found.deviance, abs=1e-4)
    assert checked.told == ()


def test_a_search_that_has_not_settled_shows_no_number(monkeypatch):
    monkeypatch.setattr(sys.modules["alliance.outcome.reml"], "SETTLED", -1.0)
    assert model_of(pairs_of(study(25, 7, seed=14)), Settings()).reason == "the model did not converge."


def test_few_cases_and_short_courses_are_told():
    found = model_of(pairs_of(study(19, 6, seed=16)), Settings())
    assert found.notes[0] == "19 cases: how they differ is uncertain (told below 20, by design)"
    off = (1 + found.term("before").estimate) / 5
    assert found.notes[1] == (
        f"6.0 pairs a case: the coefficient of the score before is too low by about {off:.2f} (Nickell 1981)"
    )
    assert model_of(pairs_of(study(20, 6, seed=16), prior=False), Settings(autoregression=False)).notes == ()


def test_detrended_short_cases_are_counted():
    data = courses(25, 6, seed=17)
    for each in data:
        each["short"] = {session: each["C000"][session] for session in (1, 2, 3)}
    found = model_of(pairs_of(tuple(map(ratings, data))), Settings(detrend=True))
    assert found.notes[-1] == "1 case with fewer than 3 pairs: detrended, nothing is left within"


# Words


def term(name, low, high):
    middle = (low + high) / 2
    return Term(name=name, estimate=middle, se=1.0, df=9, t=middle, p=0.1, low=low, high=high)


@pytest.mark.parametrize(
    ("low", "high", "better", "reverse", "word"),
    [
        pytest.param(0.1, 0.5, "higher", False, "better", id="ORS rises"),
        pytest.param(-0.5, -0.1, "higher", False, "worse", id="ORS falls"),
        pytest.param(0.1, 0.5, "lower", False, "worse", id="PHQ-9 rises"),
        pytest.param(-0.5, -0.1, "lower", False, "better", id="PHQ-9 falls"),
        pytest.param(0.1, 0.5, None, False, "higher", id="nobody said which way is better"),
        pytest.param(-0.5, -0.1, None, False, "lower", id="falls, nobody said"),
        pytest.param(-0.1, 0.5, "higher", False, "open", id="either way"),
        pytest.param(0.0, 0.5, "higher", False, "open", id="an end at 0 holds 0"),
        pytest.param(0.1, 0.5, "higher", True, "more", id="higher ORS, more alliance"),
        pytest.param(0.1, 0.5, "lower", True, "less", id="higher PHQ-9, more alliance: better, less"),
        pytest.param(-0.5, -0.1, "lower", True, "more", id="lower PHQ-9, more alliance"),
        pytest.param(-0.5, -0.1, None, True, "lower", id="reverse, nobody said"),
    ],
)
def test_which_way_a_term_points(low, high, better, reverse, word):
    assert reading(term("within", low, high), better, reverse=reverse) == word
    assert reading(term("between", low, high), better, reverse=reverse) == word
    assert reading(term("session", low, high), better, reverse=reverse) == ""
    assert reading(term("between - within", low, high), better, reverse=reverse) == ""


@pytest.mark.parametrize(
    ("name", "ends", "better", "options", "text"),
    [
        ("within", (0.1, 0.5), "higher", {"lag": 1},
         "A session with more alliance than usual goes with a better outcome at the next session."),
        ("within", (0.1, 0.5), "lower", {"lag": 0},
         "A session with more alliance than usual goes with a worse outcome at the same session."),
        ("within", (0.1, 0.5), None, {"lag": 3},
         "A session with more alliance than usual goes with a higher outcome 3 sessions later."),
        ("between", (0.1, 0.5), "higher", {"lag": 1},
         "Cases with more alliance on the whole go with a better outcome."),
        ("within", (0.1, 0.5), "lower", {"lag": 0, "reverse": True},
         "A session with a better outcome than usual goes with less alliance at the same session."),
        ("between", (0.1, 0.5), None, {"lag": 0, "reverse": True},
         "Cases with a higher outcome on the whole go with a higher alliance."),
        ("within", (-0.1, 0.5), "higher", {"lag": 1},
         "A session with more alliance than usual goes with neither a higher nor a lower outcome at the next "
         "session that could be told from chance."),
        ("before", (0.1, 0.5), "higher", {"lag": 1}, ""),
    ],
)  # fmt: skip
def test_a_term_in_a_sentence(name, ends, better, options, text):
    assert sentence(term(name, *ends), better, **options) == text


# The whole


def test_without_statsmodels_there_are_correlations_and_a_way_to_models(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    data = study(12, 6, seed=18)
    with pytest.raises(UsageError) as error:
        associate(*data)
    assert str(error.value) == (
        "error: the mixed models of alliance and outcome need statsmodels, which is not installed\n"
        'hint: pip install "alliance-toolkit[models]"; the correlations alone (--correlations) need it not'
    )
    found = associate(*data, models=False)
    assert found.correlations["r"].notna().all()
    assert found.terms.empty


def test_the_frames_hold_both_directions():
    found = associate(*study(25, 7, seed=19), better="lower")
    assert found.terms["direction"].drop_duplicates().tolist() == [
        "alliance, then outcome",
        "outcome, then alliance",
    ]
    assert found.terms["name"].tolist() == [
        "within", "between", "between - within", "before", "session", "intercept",
    ] * 2  # fmt: skip
    assert found.pairs["n"].tolist() == [175, 25, 175, 25]
    assert found.pairs["reason"].tolist() == ["", LAST, "", NO_PRIOR]
    assert found.pairs["lag"].tolist() == [1, 1, 0, 0]
    assert found.spreads["score"].tolist() == ["alliance", "outcome", "outcome", "alliance"]
    assert found.models["n_cases"].tolist() == [25, 25]
    assert found.terms["reads"].tolist()[:2] == ["worse", "worse"]


def test_an_outcome_turned_round_turns_every_effect_and_no_word():
    alliance, outcome = study(25, 7, seed=20)
    turned = Ratings(**{**vars(outcome), "value": 40 - outcome.value})
    for options in (Settings(), Settings(random_slope=True)):
        one = associate(alliance, outcome, better="higher", settings=options, reverse=False).terms
        other = associate(alliance, turned, better="lower", settings=options, reverse=False).terms
        assert one["reads"].tolist() == other["reads"].tolist()
        named = one["name"].isin(["within", "between", "between - within"])
        np.testing.assert_allclose(one["estimate"][named], -other["estimate"][named], rtol=1e-6)
        kept = one["name"] == "before"
        np.testing.assert_allclose(one["estimate"][kept], other["estimate"][kept], rtol=1e-5, atol=1e-7)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000), factor=st.floats(0.01, 100), shift=st.floats(-1000, 1000),
    order=st.randoms(use_true_random=False),
)  # fmt: skip
def test_units_and_order_mean_nothing(seed, factor, shift, order):
    alliance, outcome = study(12, 6, seed=seed, ragged=True)
    places = list(range(len(alliance.case)))
    order.shuffle(places)
    other = Ratings(
        case=alliance.case[places],
        session=alliance.session[places] + 7,
        value=factor * alliance.value[places] + shift,
    )
    moved = Ratings(**{**vars(outcome), "session": outcome.session + 7})
    one = associate(alliance, outcome, reverse=False).directions[0].model
    two = associate(other, moved, reverse=False).directions[0].model
    for name in ("within", "between", "before"):
        here, there = one.term(name), two.term(name)
        unit = 1 if name == "before" else factor
        assert there.estimate * unit == pytest.approx(here.estimate, rel=1e-5, abs=1e-7)
        assert there.p == pytest.approx(here.p, rel=1e-4, abs=1e-7)
        assert there.standardised == pytest.approx(here.standardised, rel=1e-5, abs=1e-7)
    assert two.sigma == pytest.approx(one.sigma, rel=1e-5)


@pytest.mark.slow
def test_the_effects_that_were_put_in_are_found_again():
    # The observed mean of 8 sessions is a blurred level: between = L .9 + (1 - L) .4, L = 9 / (9 + 4 / 8).
    within, between, covered = [], [], []
    for seed in range(300):
        pairs = pairs_of(study(40, 8, seed=1000 + seed), prior=False)
        found = model_of(pairs, Settings(autoregression=False))
        within.append(found.term("within").estimate)
        between.append(found.term("between").estimate)
        covered.append(found.term("within").low < 0.4 < found.term("within").high)
    reliability = 9 / (9 + 4 / 8)
    for values, truth in ((within, 0.4), (between, reliability * 0.9 + (1 - reliability) * 0.4)):
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        assert abs(np.mean(values) - truth) < 3 * error
    assert abs(np.mean(covered) - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 300)


@pytest.mark.slow
def test_slopes_that_differ_are_found_again():
    within, spreads, covered = [], [], []
    for seed in range(200):
        pairs = pairs_of(study(40, 10, seed=5000 + seed, spread_of_slopes=0.4), prior=False)
        found = model_of(pairs, Settings(autoregression=False, random_slope=True))
        within.append(found.term("within").estimate)
        spreads.append(found.slope_sd**2)
        covered.append(found.term("within").low < 0.4 < found.term("within").high)
    for values, truth in ((within, 0.4), (spreads, 0.16)):
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        assert abs(np.mean(values) - truth) < 3 * error
    assert abs(np.mean(covered) - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 200)
