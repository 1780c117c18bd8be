"""A score against its own whole course, and the vendor's rule: worked numbers, truth tables, noise."""

import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.courses import Courses, cut
from alliance.errors import UsageError
from alliance.rupture.detection import Run
from alliance.rupture.episodes import RepairRule
from alliance.rupture.findings import flag_columns
from alliance.rupture.groups import Group
from alliance.rupture.own import line_of, own_mean, trend_residual
from alliance.rupture.registry import METHODS, Measure, measure_of
from alliance.rupture.subject import subject_of
from alliance.rupture.vendor import pcoms
from alliance.rupture.verdict import EVALUATED, NO_VARIATION, NOT_ENOUGH, OUTCOMES, UNSCORED
from alliance.scale import load_scale

NA = np.nan
CASES = json.loads((Path(__file__).parent / "reference" / "rupture.json").read_text(encoding="utf-8"))[
    "cases"
]
SUM = Measure(low=12, high=60, step=1)
SRS = Measure(low=0, high=40, step=0.1, cutoff=36, at_cutoff=True)


def course(case):
    return Courses.of([NA if score is None else score for score in CASES[case]])


def laid(cases, sessions=None):
    lengths = np.array([len(case) for case in cases], dtype=np.int64)
    numbers = sessions or [range(1, len(case) + 1) for case in cases]
    return Courses(
        values=np.array([NA if score is None else score for case in cases for score in case], dtype=float),
        session=np.array([number for each in numbers for number in each], dtype=np.int64),
        starts=np.cumsum(lengths) - lengths,
    )


def flagged(verdict):
    return (np.flatnonzero(verdict.met == 1) + 1).tolist()


@pytest.mark.parametrize(
    ("case", "mean", "sd", "one", "two"),
    [("A_V", 46.583333, 3.553701, [7, 8], [7]), ("F_step", 43.25, 5.047502, [8, 10, 12], [])],
)
def test_own_mean_reproduces_the_worked_numbers(case, mean, sd, one, two):
    verdict = own_mean(course(case), SUM)
    np.testing.assert_allclose(verdict.reference, mean, atol=5.1e-7)
    np.testing.assert_allclose(verdict.sigma, sd, atol=5.1e-7)
    assert flagged(verdict) == one
    assert flagged(own_mean(course(case), SUM, c=1.0)) == one
    assert flagged(own_mean(course(case), SUM, c=2.0)) == two


def test_trend_residual_reproduces_the_worked_numbers():
    verdict = trend_residual(course("A_V"), SUM)
    slope = np.diff(verdict.reference)
    np.testing.assert_allclose(slope, 0.115385, atol=5.1e-7)
    # 45.833333 at the intercept of sessions counted from 1.
    assert verdict.reference[0] - slope[0] == pytest.approx(45.833333, abs=5.1e-7)
    assert verdict.sigma[0] == pytest.approx(3.701524, abs=5.1e-7)
    assert verdict.statistic[6] == pytest.approx(-2.3345, abs=5.1e-5)
    assert flagged(verdict) == [7]
    fall = trend_residual(course("B_decline"), SUM)
    assert np.diff(fall.reference)[0] == pytest.approx(-0.867133, abs=5.1e-7)
    assert fall.reference[0] + 0.867133 == pytest.approx(51.803030, abs=1.1e-6)
    assert fall.sigma[0] == pytest.approx(0.462838, abs=5.1e-7)
    assert fall.statistic[0] == pytest.approx(-2.0221, abs=5.1e-5)
    assert flagged(fall) == [1]


@pytest.mark.parametrize("n", [6, 10, 11])
def test_no_score_lies_further_from_its_own_mean_than_shiffler_says(n):
    printed = {6: 2.04, 10: 2.85, 11: 3.02}
    bound = (n - 1) / math.sqrt(n)
    assert bound == pytest.approx(printed[n], abs=0.005)
    deepest = own_mean(Courses.of([*[50.0] * (n - 1), 0.0]), SUM)
    assert deepest.statistic[-1] == pytest.approx(-bound, abs=1e-12)
    assert own_mean(Courses.of([*[50.0] * (n - 1), 0.0]), SUM, c=bound - 1e-6).met[-1] == 1
    assert own_mean(Courses.of([*[50.0] * (n - 1), 0.0]), SUM, c=bound + 1e-6).met[-1] == 0


@given(st.lists(st.integers(0, 60), min_size=6, max_size=30))
def test_every_statistic_stays_within_the_bound(scores):
    statistic = own_mean(Courses.of(scores), SUM).statistic
    bound = (len(scores) - 1) / math.sqrt(len(scores))
    assert not (np.abs(statistic) > bound + 1e-9).any()


@pytest.mark.parametrize(
    ("scores", "met"),
    [
        # 50 five times and 44 once: mean 49, SD sqrt(6), 1 SD below is 46.55.
        pytest.param([50, 50, 50, 50, 50, 44], [0, 0, 0, 0, 0, 1], id="far below"),
        pytest.param([44, 44, 44, 44, 44, 50], [0, 0, 0, 0, 0, 0], id="a rise"),
        pytest.param([1, -1, 1, -1, 1, -1, 0], [0, 0, 0, 0, 0, 0, 0], id="on 1 SD exactly"),
        pytest.param([1, -1.01, 1, -1, 1, -1, 0], [0, 1, 0, 0, 0, 0, 0], id="just past it"),
        pytest.param([50, 50, 50, 50, 44], [NA] * 5, id="five scores"),
        pytest.param([50, 50, NA, 50, 50, 50, 44], [0, 0, NA, 0, 0, 0, 1], id="unscored form"),
        pytest.param([50, 50, NA, 50, 50, 44], [NA] * 6, id="five scores and an unscored form"),
        pytest.param([50] * 8, [NA] * 8, id="no variation"),
        pytest.param([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3, 0.3], [NA] * 6, id="no variation but rounding"),
        pytest.param([50], [NA], id="one session"),
        pytest.param([], [], id="no session"),
        pytest.param([NA] * 7, [NA] * 7, id="nothing scored"),
    ],
)
def test_own_mean_follows_the_truth_table(scores, met):
    np.testing.assert_array_equal(own_mean(Courses.of(scores), SUM).met, met)


def test_a_silent_course_says_why():
    assert own_mean(Courses.of([50] * 6 + [NA]), SUM).state.tolist() == [NO_VARIATION] * 6 + [UNSCORED]
    assert own_mean(Courses.of([50, 40, NA]), SUM).state.tolist() == [NOT_ENOUGH, NOT_ENOUGH, UNSCORED]
    line = Courses.of([40.1, 40.2, 40.3, 40.4, 40.5, 40.6, 40.7, 40.8])
    assert trend_residual(line, SUM).state.tolist() == [NO_VARIATION] * 8
    assert own_mean(line, SUM).state.tolist() == [EVALUATED] * 8
    for judge, needed in ((own_mean, 6), (trend_residual, 8)):
        verdict = judge(Courses.of([50.0]), SUM)
        assert (verdict.needed, verdict.counted) == (needed, "scores")


@pytest.mark.parametrize(
    ("scores", "sessions", "c", "met"),
    [
        # 0 0 0 4 4 4 has SD sqrt(4.8) = 2.19.
        pytest.param([4, 0, 4, 0, 4, 0], [1, 2, 3, 4, 5, 6], 1, [NA, 1, 0, 1, 0, 1], id="drops of 4"),
        pytest.param([4, 0, 4, 0, 4, 0], [1, 2, 3, 4, 5, 6], 2, [NA, 0, 0, 0, 0, 0], id="less than 2 SD"),
        pytest.param(
            [4, 0, 4, 0, 4, 0], [1, 2, 4, 5, 7, 9], 1, [NA, 1, NA, 1, NA, NA], id="skipped sessions"
        ),
        pytest.param([4, 0, NA, 0, 4, 4, 0], None, 1, [NA, 1, NA, NA, 0, 0, 1], id="unscored form"),
        pytest.param([4, 0, 4, 0, 4], None, 1, [NA] * 5, id="five scores"),
        pytest.param([4] * 7, None, 1, [NA] * 7, id="no variation"),
        pytest.param([], None, 1, [], id="no session"),
    ],
)
def test_a_drop_of_own_sd_follows_the_truth_table(scores, sessions, c, met):
    verdict = own_mean(Courses.of(scores, sessions=sessions), SUM, c=c, compare="previous")
    np.testing.assert_array_equal(verdict.met, met)


def test_a_drop_on_the_cut_is_no_flag():
    scores = [4, 0, 4, 0, 4, 0]
    exact = 4 / statistics.stdev(scores)
    for c, met in ((exact, 0), (exact - 1e-11, 0), (exact - 1e-6, 1)):
        assert own_mean(Courses.of(scores), SUM, c=c, compare="previous").met[1] == met


def test_the_session_before_is_the_reference_of_a_drop():
    verdict = own_mean(course("E_missing"), SUM, compare="previous")
    np.testing.assert_array_equal(verdict.reference, [NA, 46, NA, NA, 47, 49, 48, NA, NA, 47])
    assert flagged(verdict) == [7]
    assert verdict.state.tolist() == [
        NOT_ENOUGH, EVALUATED, UNSCORED, NOT_ENOUGH, EVALUATED, EVALUATED, EVALUATED, UNSCORED, NOT_ENOUGH,
        EVALUATED,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "sessions", "met"),
    [
        pytest.param([1, 2, 3, 4, -5, 6, 7, 8], None, [0, 0, 0, 0, 1, 0, 0, 0], id="below its line"),
        pytest.param([1, 2, 3, 4, 20, 6, 7, 8], None, [0, 0, 0, 0, 0, 0, 0, 0], id="above it"),
        pytest.param([1, 2, 3, -5, 5, 6, 7], None, [NA] * 7, id="seven scores"),
        pytest.param([1, 2, NA, 4, -5, 6, 7, 8, 9], None, [0, 0, NA, 0, 1, 0, 0, 0, 0], id="unscored form"),
        pytest.param([1, 2, 3, 4, 5, 6, 7, 8], None, [NA] * 8, id="on a line"),
        pytest.param([5] * 9, None, [NA] * 9, id="no variation"),
        pytest.param(
            [1, 2, 4, 5, 7, 8, 9, 10], [1, 2, 4, 5, 7, 8, 9, 10], [NA] * 8, id="on a line, sessions skipped"
        ),
        pytest.param([], None, [], id="no session"),
    ],
)
def test_trend_residual_follows_the_truth_table(scores, sessions, met):
    np.testing.assert_array_equal(trend_residual(Courses.of(scores, sessions=sessions), SUM).met, met)


def test_a_residual_on_the_cut_is_no_flag():
    scores = Courses.of([1, 2, 3, 4, -5, 6, 7, 8])
    deepest = -float(trend_residual(scores, SUM).statistic[4])
    for c, met in ((deepest, 0), (deepest + 1e-6, 0), (deepest - 1e-6, 1)):
        assert trend_residual(scores, SUM, c=c).met[4] == met


@pytest.mark.parametrize(("n", "seen"), [(8, False), (9, True)])
def test_the_last_of_eight_scores_cannot_reach_two_residual_sd(n, seen):
    # A lone fall lies sqrt((n - 2) (1 - h)) SD from its line, h = 1 / n + (t - mean t)^2 / squares of t.
    leverage = 1 / n + ((n - 1) / 2) ** 2 / (n * (n * n - 1) / 12)
    verdict = trend_residual(Courses.of([*range(50, 50 + n - 1), 0]), SUM)
    assert verdict.statistic[-1] == pytest.approx(-math.sqrt((n - 2) * (1 - leverage)), abs=1e-12)
    assert bool(verdict.met[-1] == 1) is seen
    assert METHODS["trend-residual"].blind.endswith(
        "of 8 scores a fall at the first or last is out of its reach"
    )


def slow_own(case, sessions, method, c, compare="mean"):
    """Return statistic and met of one case with the statistics module, score by score."""
    known = [(number, score) for number, score in zip(sessions, case, strict=True) if score is not None]
    values = [score for _, score in known]
    needed = 8 if method == "trend-residual" else 6
    if len(values) < needed or len(set(values)) == 1:
        return [(NA, NA)] * len(case)
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    slope, level = 0.0, mean
    if method == "trend-residual":
        slope, level = statistics.linear_regression([number for number, _ in known], values)
        left = [score - level - slope * number for number, score in known]
        spread = math.sqrt(math.fsum(each * each for each in left) / (len(values) - 2))
    at = dict(known)
    answers = []
    for number, score in zip(sessions, case, strict=True):
        expected = at.get(number - 1) if compare == "previous" else level + slope * number
        if score is None or expected is None:
            answers.append((NA, NA))
        else:
            answers.append(((score - expected) / spread, float(score - expected < -c * spread - 1e-9)))
    return answers


def random_cases(seed, n_cases=120):
    rng = np.random.default_rng(seed)
    cases, sessions = [], []
    for _ in range(n_cases):
        length = int(rng.integers(0, 20))
        gaps = rng.choice([1, 1, 1, 1, 2, 4], size=length)
        scores = np.clip(np.rint(44 + 7 * rng.standard_normal() + 3 * rng.standard_normal(length)), 12, 60)
        missing = rng.random(length) < 0.15
        cases.append([None if gone else float(score) for score, gone in zip(scores, missing, strict=True)])
        sessions.append(np.cumsum(gaps).tolist())
    return cases, sessions


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("own-mean", {"c": 1.0}),
        ("own-mean", {"c": 2.0}),
        ("own-mean", {"c": 1.0, "compare": "previous"}),
        ("own-mean", {"c": 2.0, "compare": "previous"}),
        ("trend-residual", {"c": 1.0}),
        ("trend-residual", {"c": 2.0}),
    ],
)
def test_both_methods_equal_a_slow_loop_over_scores(name, options):
    cases, sessions = random_cases(4)
    verdict = METHODS[name].judge(laid(cases, sessions), SUM, **options)
    slow = [
        answer
        for case, numbers in zip(cases, sessions, strict=True)
        for answer in slow_own(case, numbers, name, **options)
    ]
    statistic, met = np.array(slow).T
    assert np.nansum(met) > 5
    np.testing.assert_allclose(verdict.statistic, statistic, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(verdict.met, met)


scores_of_a_case = st.lists(st.one_of(st.none(), st.integers(12, 60)), max_size=14)


@pytest.mark.parametrize("name", ["own-mean", "trend-residual", "pcoms"])
@settings(deadline=None, max_examples=30)
@given(cases=st.lists(scores_of_a_case, min_size=1, max_size=5))
def test_a_case_is_judged_the_same_whatever_stands_beside_it(name, cases):
    together = METHODS[name].judge(laid(cases), SRS)
    apart = [METHODS[name].judge(laid([case]), SRS) for case in cases]
    for field in ("met", "limit", "statistic", "reference", "sigma", "state"):
        np.testing.assert_array_equal(
            getattr(together, field), np.concatenate([getattr(verdict, field) for verdict in apart])
        )
    assert len(together.episodes.onset) == sum(len(verdict.episodes.onset) for verdict in apart)


def test_lines_are_exact_far_from_zero():
    far = line_of(Courses.of(np.array(CASES["A_V"], dtype=float) + 1e6), sloping=True)
    near = line_of(course("A_V"), sloping=True)
    np.testing.assert_allclose(far.spread, near.spread, rtol=1e-12)


def test_both_methods_warn_that_they_are_no_alarm():
    assert METHODS["own-mean"].warning == (
        "noise alone flags most cases: without any rupture, 1 SD below the own mean flags 99 % of cases of "
        "12 sessions, 2 SD 17 %; a drop of 1 own SD since the session before flags 99.6 %, of 2 own SD 72 %"
    )
    assert "not for a case that is still running" in METHODS["trend-residual"].warning
    assert not METHODS["own-mean"].online
    assert not METHODS["trend-residual"].online
    assert METHODS["pcoms"].online


# The vendor's rule.


@pytest.mark.parametrize(
    ("scores", "met"),
    [
        pytest.param([40, 39], [0, 1], id="a fall of exactly 1 point"),
        pytest.param([40, 39.1], [0, 0], id="just short of it"),
        pytest.param([37.3, 36.3], [0, 1], id="a fall of 1 point in tenths"),
        pytest.param([37, 36.4, 36.1], [0, 0, 0], id="slow, and not low"),
        pytest.param([37, 36.1, 36], [0, 0, 1], id="on the cut-off"),
        pytest.param([35, 35.5, 36], [1, 1, 1], id="rising, but low"),
        pytest.param([35, 36.1, 39], [1, 0, 0], id="up from low"),
        pytest.param([40, NA, 39], [0, NA, 1], id="unscored form"),
        pytest.param([NA, 40], [NA, 0], id="first form unscored"),
        pytest.param([36], [1], id="one low session"),
        pytest.param([38], [0], id="one session"),
        pytest.param([], [], id="no session"),
        pytest.param([NA, NA], [NA, NA], id="nothing scored"),
    ],
)
def test_pcoms_follows_the_truth_table(scores, met):
    np.testing.assert_array_equal(pcoms(Courses.of(scores), SRS).met, met)


def test_the_session_before_is_the_last_one_with_a_score():
    verdict = pcoms(Courses.of([39, 37.9], sessions=[1, 8], days=[0, 200]), SRS)
    np.testing.assert_array_equal(verdict.met, [0, 1])
    np.testing.assert_array_equal(pcoms(laid([[39, None], [38]]), SRS).met, [0, NA, 0])


def test_a_given_cutoff_is_strict_as_the_vendor_has_it_and_the_forms_own_has_its_edge():
    scores = Courses.of([36.5, 36, 35.9])
    np.testing.assert_array_equal(pcoms(scores, SRS).met, [0, 1, 1])
    np.testing.assert_array_equal(pcoms(scores, SRS, cutoff=36).met, [0, 0, 1])
    strict = Measure(low=0, high=40, step=0.1, cutoff=36)
    np.testing.assert_array_equal(pcoms(scores, strict).met, [0, 0, 1])
    np.testing.assert_array_equal(pcoms(scores, Measure(), cutoff=36).met, [0, 0, 1])
    np.testing.assert_array_equal(pcoms(scores, SRS, fall=0.5, cutoff=30).met, [0, 1, 0])


def test_a_cutoff_missed_by_rounding_is_met():
    scores = Courses.of([12.1 + 12.1 + 11.8, 36 - 1e-12, 36 + 1e-12])
    np.testing.assert_array_equal(pcoms(scores, SRS).met, [1, 1, 1])
    np.testing.assert_array_equal(pcoms(scores, SRS, cutoff=36).met, [0, 0, 0])


def test_the_cutoff_of_the_srs_is_the_published_one():
    measure = measure_of(load_scale("srs"))
    np.testing.assert_array_equal(pcoms(Courses.of([36.1, 36.0]), measure).met, [0, 1])


def test_pcoms_without_a_cutoff_asks_for_one():
    with pytest.raises(UsageError) as caught:
        pcoms(Courses.of([50.0, 40.0]), SUM)
    assert str(caught.value) == (
        "error: pcoms needs the score below which a rating is low, and the definition has none\n"
        "hint: give --cutoff"
    )
    with pytest.raises(UsageError) as caught:
        pcoms(Courses.of([-30.0, -40.0]), SRS.turned())
    assert str(caught.value) == (
        "error: pcoms needs the score above which a rating is high, and the definition has none\n"
        "hint: give --cutoff"
    )


def test_rises_beyond_a_cutoff_are_the_falls_of_the_mirrored_scores():
    subject = subject_of(None, direction="rise", min=0.0, max=40.0, step=0.1)
    run = Run(subject=subject, method=METHODS["pcoms"], settings={"cutoff": 20.0})
    scores = Courses.of([19, 20, 19.5, 20.1, 10, 10.5, 11.5])
    verdict = run.verdict(scores, run.measure(scores))
    np.testing.assert_array_equal(verdict.met, [0, 1, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(verdict.limit, [20, 20, 20, 20, 20, 11, 11.5])


@pytest.mark.parametrize(
    ("scores", "rule", "outcome", "lag"),
    [
        pytest.param([39, 37, 38], RepairRule(), "censored", -1, id="still 1 point below"),
        pytest.param([39, 37, 38.1], RepairRule(), "repaired", 1, id="less than 1 point below"),
        pytest.param([39, 38, 38], RepairRule(), "censored", -1, id="a fall of 1 point heals not by itself"),
        pytest.param([39, 37, 38.4], RepairRule(tolerance=0.5), "censored", -1, id="stricter, not yet"),
        pytest.param([39, 37, 38.5], RepairRule(tolerance=0.5), "repaired", 1, id="stricter"),
        pytest.param([39, 37, 38.9], RepairRule(tolerance=0), "censored", -1, id="all the way, not yet"),
        pytest.param([39, 37, 39], RepairRule(tolerance=0), "repaired", 1, id="all the way"),
        pytest.param([39, 37, 38], RepairRule(tolerance=3), "censored", -1, id="never while the rule holds"),
        pytest.param([37, 35, 36], RepairRule(), "censored", -1, id="still on the cut-off"),
        pytest.param([37, 35, 36.1], RepairRule(), "repaired", 1, id="above it and within 1 point"),
        pytest.param([36.9, 35.9, 36], RepairRule(), "censored", -1, id="within 1 point, but low"),
        pytest.param([36, 36, 36.1], RepairRule(), "repaired", 2, id="low from the start"),
        pytest.param([35, 35.5, 35.9], RepairRule(tolerance=9), "censored", -1, id="low is no repair"),
        pytest.param([39, 34, 35, 34.5, 39], RepairRule(rise=5), "repaired", 3, id="by a rise"),
    ],
)
def test_an_episode_of_pcoms_ends_when_the_rule_no_longer_holds(scores, rule, outcome, lag):
    found = pcoms(Courses.of(scores), SRS, repair=rule).episodes
    assert [OUTCOMES[code] for code in found.outcome] == [outcome]
    assert found.lag.tolist() == [lag]
    assert found.sigma.tolist() == [1.0]
    fell = scores[0] > 36
    assert found.reference.tolist() == [scores[0] if fell else 36]


@settings(deadline=None, max_examples=40)
@given(case=scores_of_a_case.filter(len))
def test_pcoms_never_changes_its_mind(case):
    courses = laid([case])
    whole = pcoms(courses, SRS)
    for row in range(len(case)):
        so_far = pcoms(cut(courses, row), SRS)
        for field in ("met", "limit", "statistic", "reference"):
            np.testing.assert_array_equal(getattr(so_far, field), getattr(whole, field)[: row + 1])


def slow_pcoms(case, cutoff, fall):
    """Return met of one case, score by score."""
    met, before = [], None
    for score in case:
        if score is None:
            met.append(NA)
            continue
        low = score <= cutoff
        fell = before is not None and round(before - score, 6) >= fall
        met.append(float(low or fell))
        before = score
    return met


def test_pcoms_equals_a_slow_loop_over_scores():
    rng = np.random.default_rng(8)
    cases = []
    for length in rng.integers(0, 15, 60):
        scores = np.round(np.clip(38 + rng.standard_normal(length), 0, 40), 1)
        gone = rng.random(length) < 0.2
        cases.append([None if away else score for score, away in zip(scores.tolist(), gone, strict=True)])
    verdict = pcoms(laid(cases), SRS)
    slow = [answer for case in cases for answer in slow_pcoms(case, 36, 1)]
    assert np.nansum(slow) > 50
    np.testing.assert_array_equal(verdict.met, slow)
    scored = np.isfinite(verdict.limit)
    gap = verdict.statistic[scored]
    np.testing.assert_array_equal((gap < -1e-9)[verdict.met[scored] == 0], False)


def reasons(name, scores, *, direction="fall", scale=None, **settings):
    courses = Courses.of(scores)
    plain = {} if scale is not None else {"min": 0.0, "max": 60.0, "step": 1.0}
    subject = subject_of(scale, direction=direction, **plain)
    bare = Run(subject=subject, method=METHODS[name], settings=settings)
    run = bare.learned({"client": bare.measure(courses)})
    judged = run.judge(Group(rater="client", place=np.array([0]), total=courses, parts={}))
    table = flag_columns([judged], np.array(["C1"], dtype=object))
    kinds = {"rupture", "rise"}
    return [reason for reason, kind in zip(table["reason"], table["finding"], strict=True) if kind in kinds]


def test_reasons_say_what_a_score_was_compared_with():
    assert reasons("own-mean", CASES["A_V"], c=2.0) == [
        "scored 38.00, below the limit 39.48, 2 own SD (3.55) below the mean 46.58 of all 12 scores"
    ]
    assert reasons("own-mean", [4, 0, 4, 4, 4, 4], compare="previous") == [
        "scored 0.00, below the limit 2.37, 1 own SD (1.63) below the session before (4.00); "
        "SD of all 6 scores"
    ]
    assert reasons("own-mean", [4, 0, 0, 0, 0, 0], direction="rise") == [
        "scored 4.00, above the limit 2.30, 1 own SD (1.63) above the mean 0.67 of all 6 scores"
    ]
    assert reasons("trend-residual", CASES["A_V"]) == [
        "scored 38.00, below the limit 39.24, 2 own SD (3.70) below the own straight line, here 46.64; "
        "line and SD of all 12 scores"
    ]


def test_the_reason_of_the_vendors_rule_says_which_of_the_two_it_was():
    form = load_scale("srs")
    assert reasons("pcoms", [39, 37.5, 37, 36.4, 36, 34], scale=form) == [
        "scored 37.50, fell 1.50 points since the score before (39.00)",
        "scored 36.00, on the cut-off 36.00",
        "scored 34.00, below the cut-off 36.00, fell 2.00 points since the score before (36.00)",
    ]
    assert reasons("pcoms", [20, 31, 33], direction="rise", cutoff=30) == [
        "scored 31.00, above the cut-off 30.00, rose 11.00 points since the score before (20.00)",
        "scored 33.00, above the cut-off 30.00, rose 2.00 points since the score before (31.00)",
    ]


def share_flagged(name, n_sessions, **settings):
    # Scores without any rupture: independent normal.
    rng = np.random.default_rng(n_sessions)
    n_cases = 40_000
    courses = Courses(
        values=rng.standard_normal(n_cases * n_sessions),
        session=np.tile(np.arange(1, n_sessions + 1), n_cases),
        starts=np.arange(0, n_cases * n_sessions, n_sessions),
    )
    met = METHODS[name].judge(courses, Measure(), **settings).met
    return float(np.mean((met == 1).reshape(n_cases, n_sessions).any(axis=1)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_sessions", "settings", "share"),
    [
        (8, {"c": 1.0}, 0.95),
        (12, {"c": 1.0}, 0.99),
        (20, {"c": 1.0}, 1.00),
        (8, {"c": 2.0}, 0.06),
        (12, {"c": 2.0}, 0.17),
        (20, {"c": 2.0}, 0.35),
        (30, {"c": 2.0}, 0.52),
        (8, {"c": 1.0, "compare": "previous"}, 0.97),
        (12, {"c": 1.0, "compare": "previous"}, 0.996),
        (8, {"c": 2.0, "compare": "previous"}, 0.56),
        (12, {"c": 2.0, "compare": "previous"}, 0.72),
        (20, {"c": 2.0, "compare": "previous"}, 0.89),
    ],
)
def test_noise_alone_flags_the_stated_shares_of_cases(n_sessions, settings, share):
    # Printed to the percent; 40,000 cases leave a standard error of .25 percent.
    assert share_flagged("own-mean", n_sessions, **settings) == pytest.approx(share, abs=0.011)


@pytest.mark.slow
@pytest.mark.parametrize(("within_sd", "share"), [(0.5, 0.36), (1.0, 0.83), (1.5, 0.94), (2.0, 0.97)])
def test_noise_alone_sets_the_vendors_rule_off(within_sd, share):
    # Six sessions are five chances to fall; the share of cases that fall 1 point or more at least once.
    rng = np.random.default_rng(1)
    courses = Courses(
        values=within_sd * rng.standard_normal(240_000),
        session=np.tile(np.arange(1, 7), 40_000),
        starts=np.arange(0, 240_000, 6),
    )
    met = pcoms(courses, Measure(), cutoff=-1e9).met.reshape(-1, 6)
    assert np.mean((met == 1).any(axis=1)) == pytest.approx(share, abs=0.012)
