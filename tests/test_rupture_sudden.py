"""`sudden-loss`: against suddengains, against a slow reading of the criteria, and by hand."""

import json
from dataclasses import replace
from math import isnan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.claims import Norm
from alliance.courses import Courses
from alliance.errors import UsageError
from alliance.rupture import METHODS, Group, Measure, Run, Subject, run_of
from alliance.rupture.episodes import RepairRule
from alliance.rupture.findings import flag_columns
from alliance.rupture.parameters import parameters_of
from alliance.rupture.sudden import describe, sudden_loss
from alliance.rupture.verdict import EVALUATED, NOT_ENOUGH, OUTCOMES, UNSCORED

NA = np.nan
REFERENCE = json.loads((Path(__file__).parent / "reference" / "sudden.json").read_text(encoding="utf-8"))
BDI = Measure(low=0, high=63, step=1)
SUM = Measure(low=12, high=60, step=1)
NORM = Norm(sd=9, reliability=0.9, source="worked")
WORKED_CUT = 7.888848
CASES = {
    "A": [46, 47, 48, 47, 49, 48, 38, 41, 47, 49, 50, 49],
    "B": [50, 50, 49, 49, 48, 47, 46, 45, 44, 43, 42, 41],
    "C2": [60, 60, 59, 60, 60, 60, 56, 60, 60, 60],
    "D": [45, 46, 38, 44],
    "E": [46, 47, NA, 47, 49, 48, 38, NA, 47, 49, NA, NA],
    "F": [48, 47, 49, 48, 47, 49, 39, 38, 40, 37, 39, 38],
    "F lowered": [48, 47, 49, 48, 47, 49, 33, 32, 34, 33, 35, 34],
}


def together(series, *, leave_out=False):
    """Return series of scores, None = missing, as one Courses; what is missing is unscored, or has no row."""
    values = [[NA if score is None else float(score) for score in scores] for scores in series]
    rows = [
        (place, session, score)
        for place, scores in enumerate(values)
        for session, score in enumerate(scores, 1)
        if not (leave_out and isnan(score))
    ]
    lengths = np.bincount([place for place, _, _ in rows], minlength=len(values)).astype(np.int64)
    return Courses(
        values=np.array([score for _, _, score in rows], dtype=float),
        session=np.array([session for _, session, _ in rows], dtype=np.int64),
        starts=np.cumsum(lengths) - lengths,
    )


def risen(courses, measure, **chosen):
    """Return the verdict on rises, in score points, as a run with the direction `rise` gives it."""
    subject = Subject(measure=measure, direction="rise")
    run = Run(subject=subject, method=METHODS["sudden-loss"], settings=chosen)
    return run.verdict(courses, measure)


def steps(courses, array, length):
    """Return an array of every form as rows of steps 2 to 3 until T - 2 to T - 1; NaN where no form is."""
    table = np.full((len(courses.starts), length + 1), NA)
    table[courses.series, courses.session] = array
    return table[:, 3:length]


def coded(row):
    return "".join("-" if isnan(each) else str(int(each)) for each in row)


def events(courses, verdict):
    rows = verdict.flagged
    pairs = zip(courses.series[rows] + 1, courses.session[rows] - 1, strict=True)
    return [f"{case}:{before}" for case, before in pairs]


@pytest.mark.parametrize("leave_out", [False, True], ids=["blank forms", "no forms"])
def test_the_example_data_of_suddengains_have_the_published_gains(leave_out):
    expected = REFERENCE["drop"]
    courses = together(REFERENCE["sgdata"], leave_out=leave_out)
    verdict = sudden_loss(courses, BDI, cut=expected["cut"], percent=25)
    found = steps(courses, verdict.met, 12)
    assert sorted(events(courses, verdict)) == sorted(expected["event_list"])
    assert (found == 1).sum() == expected["events"] == 24
    assert len(np.unique(courses.series[verdict.flagged])) == expected["persons"] == 15
    assert np.isnan(found).sum() == expected["not_evaluable"] == 89
    assert (found == 0).sum() == expected["evaluated_no"] == 274
    assert np.isfinite(verdict.met).sum() == 24 + 274


def test_the_example_data_of_suddengains_have_the_published_reversals_and_magnitudes():
    expected = REFERENCE["drop"]
    courses = together(REFERENCE["sgdata"])
    verdict = sudden_loss(courses, BDI, cut=expected["cut"], percent=25)
    found = describe(courses, verdict)
    reversed_ones = np.array(events(courses, verdict))[found.reversed]
    assert sorted(reversed_ones) == sorted(expected["reversal_list"])
    assert found.reversed.sum() == expected["reversals"] == 4
    assert found.mean == pytest.approx(expected["magnitude_mean"], abs=0.005)
    assert found.sd == pytest.approx(expected["magnitude_sd"], abs=0.005)


@pytest.mark.parametrize("percent", [None, 25], ids=["without criterion 2", "with criterion 2"])
def test_the_example_data_of_suddengains_have_the_published_losses(percent):
    # identify_sl cannot exclude anything by criterion 2; put right, it excludes none of these three either.
    expected = REFERENCE["rise"]
    courses = together(REFERENCE["sgdata"])
    verdict = risen(courses, BDI, cut=expected["cut"], percent=percent)
    assert sorted(events(courses, verdict)) == sorted(expected["event_list"])
    assert len(verdict.flagged) == expected["events"] == 3


@pytest.mark.parametrize("name", REFERENCE["rows_drop"]["series"])
def test_single_rows_are_judged_as_suddengains_judges_them(name):
    courses = together([REFERENCE["rows_drop"]["series"][name]])
    expected = [NA if met is None else met for met in REFERENCE["rows_drop"]["expected"][name]]
    verdict = sudden_loss(courses, BDI, cut=7, percent=25)
    np.testing.assert_array_equal(verdict.met, [NA, NA, *expected, NA])


@pytest.mark.parametrize("name", REFERENCE["rows_rise"]["series"])
def test_single_rows_rise_as_suddengains_judges_them(name):
    courses = together([REFERENCE["rows_rise"]["series"][name]])
    verdict = risen(courses, BDI, cut=7)
    np.testing.assert_array_equal(verdict.met, [NA, NA, *REFERENCE["rows_rise"]["expected"][name], NA])


RANDOM = REFERENCE["random"]


def test_every_criterion_equals_suddengains_on_random_series():
    courses = together([each["scores"] for each in RANDOM])
    both = sudden_loss(courses, BDI, cut=7, percent=25)
    plain = sudden_loss(courses, BDI, cut=7)
    told = {name: both.details[name] for name in ("first", "second", "third")}
    told |= {"all": both.met, "without_second": plain.met}
    for key, array in told.items():
        assert [coded(row) for row in steps(courses, array, 12)] == [each["fall"][key] for each in RANDOM], (
            key
        )


def test_a_session_without_a_form_is_as_missing_as_one_with_a_blank_form():
    courses = together([each["scores"] for each in RANDOM], leave_out=True)
    assert len(courses.values) < 12 * len(RANDOM)
    for percent, key in ((25, "all"), (None, "without_second")):
        met = sudden_loss(courses, BDI, cut=7, percent=percent).met
        assert [coded(row) for row in steps(courses, met, 12)] == [each["fall"][key] for each in RANDOM]


def test_rises_without_criterion_2_equal_suddengains_on_random_series():
    courses = together([each["scores"] for each in RANDOM])
    verdict = risen(courses, BDI, cut=7)
    told = {
        "first": verdict.details["first"],
        "third": verdict.details["third"],
        "without_second": verdict.met,
    }
    for key, array in told.items():
        assert [coded(row) for row in steps(courses, array, 12)] == [each["rise"][key] for each in RANDOM], (
            key
        )


@pytest.mark.parametrize("way", ["falls", "rises"])
def test_magnitudes_and_reversals_equal_suddengains_on_random_series(way):
    courses = together([each["scores"] for each in RANDOM])
    verdict = sudden_loss(courses, BDI, cut=7) if way == "falls" else risen(courses, BDI, cut=7)
    found = describe(courses, verdict)
    expected = sorted(REFERENCE[way])
    rows = found.rows
    assert (found.series + 1).tolist() == [series for series, _, _, _ in expected]
    assert (courses.session[rows] - 1).tolist() == [before for _, before, _, _ in expected]
    np.testing.assert_allclose(found.magnitude, [abs(size) for _, _, size, _ in expected], atol=1e-9)
    assert found.reversed.tolist() == [bool(back) for _, _, _, back in expected]
    assert 0 < found.reversed.sum() < len(expected)


def test_a_rise_is_held_to_the_percentage_which_the_oracle_forgets():
    # suddengains 0.7.2: identify_sl(cutoff -7, 25 percent) calls 60 to 69, 15 percent, a sudden loss.
    scores = Courses.of([60, 60, 60, 69, 69, 70, 69, 69])
    wide = Measure(low=0, high=100, step=1)
    np.testing.assert_array_equal(risen(scores, wide, cut=7).met, [NA, NA, 0, 1, 0, 0, 0, NA])
    np.testing.assert_array_equal(risen(scores, wide, cut=7, percent=25).met, [NA, NA, 0, 0, 0, 0, 0, NA])
    np.testing.assert_array_equal(risen(scores, wide, cut=7, percent=15).met, [NA, NA, 0, 1, 0, 0, 0, NA])


@pytest.mark.parametrize(
    ("case", "session", "first", "second", "third"),
    [
        pytest.param("A", 7, 1, 0, 0, id="a rupture repaired in three sessions"),
        pytest.param("F", 7, 1, 0, 1, id="a step of 20 percent"),
        pytest.param("F lowered", 7, 1, 1, 1, id="a step of 33 percent"),
        pytest.param("B", 5, 0, 0, 1, id="a steady decline"),
    ],
)
def test_the_criteria_of_the_worked_cases(case, session, first, second, third):
    # Worked with the raw score in criterion 2: the minimum is 0.
    verdict = sudden_loss(Courses.of(CASES[case]), replace(SUM, low=0), cut=WORKED_CUT, percent=25)
    told = tuple(verdict.details[name][session - 1] for name in ("first", "second", "third"))
    assert told == (first, second, third)


def test_a_steady_decline_meets_the_third_criterion_everywhere_and_the_first_nowhere():
    verdict = sudden_loss(Courses.of(CASES["B"]), SUM, cut=WORKED_CUT)
    assert np.nansum(verdict.details["first"]) == 0
    assert (np.flatnonzero(verdict.details["third"] == 1) + 1).tolist() == [5, 6, 7, 8, 9, 10]
    assert (verdict.flagged + 1).tolist() == []


@pytest.mark.parametrize("case", CASES)
def test_only_the_lasting_losses_of_the_worked_cases_are_flagged(case):
    verdict = sudden_loss(Courses.of(CASES[case]), replace(SUM, norm=NORM))
    assert (verdict.flagged + 1).tolist() == ([7] if case.startswith("F") else [])


def test_a_worked_case_with_missing_sessions():
    verdict = sudden_loss(Courses.of(CASES["E"]), SUM, cut=WORKED_CUT)
    np.testing.assert_array_equal(verdict.met, [NA, NA, NA, NA, 0, 0, 0, NA, NA, NA, NA, NA])
    np.testing.assert_array_equal(
        verdict.state,
        [NOT_ENOUGH if session not in {3, 5, 6, 7, 8, 11, 12} else
         (EVALUATED if session in {5, 6, 7} else UNSCORED) for session in range(1, 13)],
    )  # fmt: skip


def test_the_numbers_of_a_worked_loss():
    # sd 9, r .90: SEM 2.846050, Sdiff 4.024922, cut 7.888848.
    verdict = sudden_loss(Courses.of(CASES["F"]), replace(SUM, norm=NORM))
    assert verdict.statistic[6] == pytest.approx(-10 / 4.024922, abs=5e-7)
    assert verdict.limit[6] == pytest.approx(49 - 7.888848, abs=5e-7)
    assert verdict.reference[6] == 49
    assert verdict.sigma[6] == pytest.approx(2.846050, abs=5e-7)
    assert verdict.df[6] == np.inf
    assert verdict.n_reference.tolist() == [3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 5, 4]
    assert (verdict.needed, verdict.counted) == (4, "scores")
    assert verdict.window.tolist() == [[5, 4, 3]]
    nothing = [0, 1, 11]
    for array in (verdict.statistic, verdict.limit, verdict.reference):
        assert np.flatnonzero(np.isnan(array)).tolist() == nothing


def test_without_an_sem_the_given_cut_is_the_unit():
    verdict = sudden_loss(Courses.of(CASES["F"]), SUM, cut=9.8)
    assert verdict.statistic[6] == pytest.approx(-2.0)
    assert verdict.sigma[6] == pytest.approx(9.8 / (1.96 * sqrt(2)))
    assert np.isnan(verdict.df).all()
    assert verdict.limit[6] == pytest.approx(39.2)


def test_a_given_cut_replaces_that_of_the_norm_but_not_its_unit():
    courses = Courses.of(CASES["F"])
    assert sudden_loss(courses, replace(SUM, norm=NORM), cut=10.5).flagged.tolist() == []
    verdict = sudden_loss(courses, replace(SUM, norm=NORM), cut=9.5)
    assert verdict.flagged.tolist() == [6]
    assert verdict.statistic[6] == pytest.approx(-10 / 4.024922, abs=5e-7)
    assert verdict.limit[6] == 39.5
    assert verdict.df[6] == np.inf


LASTING = [0.5, -0.5, 0.5]


@pytest.mark.parametrize(
    ("sessions", "scores", "met"),
    [
        pytest.param(None, [40, 40, 40, 33, 33, 33], [NA, NA, 0, 1, 0, NA], id="falls by the cut exactly"),
        pytest.param(
            None, [40, 40, 40, 33.1, 33, 33], [NA, NA, 0, 0, 0, NA], id="falls just short of the cut"
        ),
        pytest.param(None, [33, 33, 33, 40, 40, 40], [NA, NA, 0, 0, 0, NA], id="a rise is no loss"),
        pytest.param(None, [40, 40, 40, 33, 40, 40], [NA, NA, 0, 0, 0, NA], id="repaired at once"),
        pytest.param(None, [40, 40, 33, 33, 33], [NA, NA, 1, 0, NA], id="at the second step"),
        pytest.param(None, [40, 40, 33, 33], [NA, NA, 1, NA], id="two and two scores"),
        pytest.param(None, [40, 33, 33, 33], [NA, NA, 0, NA], id="not at the first step"),
        pytest.param(None, [40, 40, 33], [NA, NA, NA], id="not at the last step"),
        pytest.param(None, [40, 40, 40, 33, NA, 33], [NA, NA, 0, 1, NA, NA], id="one later form unscored"),
        pytest.param(None, [40, 40, 40, 33, NA, NA], [NA, NA, 0, NA, NA, NA], id="all later forms unscored"),
        pytest.param(None, [NA, 40, 40, 33, 33, NA], [NA, NA, NA, 1, NA, NA], id="the ends unscored"),
        pytest.param(None, [40, NA, 40, 33, 33, 33], [NA, NA, NA, 1, 0, NA], id="one earlier form unscored"),
        pytest.param(None, [40, 40, NA, 33, 33, 33], [NA, NA, NA, NA, 0, NA], id="the form before unscored"),
        pytest.param(None, [40, 40, 40, NA, 33, 33], [NA, NA, 0, NA, NA, NA], id="the form after unscored"),
        pytest.param([1, 2, 4, 5, 7], [40, 40, 40, 33, 33], [NA, NA, NA, 1, NA], id="skipped sessions count"),
        pytest.param([1, 4, 5, 6], [40, 40, 33, 33], [NA, NA, NA, NA], id="four sessions back is too far"),
        pytest.param([2, 4, 5, 6], [40, 40, 33, 33], [NA, NA, 1, NA], id="three sessions back is not"),
        pytest.param([3, 4, 5, 8], [40, 40, 33, 33], [NA, NA, NA, NA], id="three sessions on is too far"),
        pytest.param([3, 4, 5, 7], [40, 40, 33, 33], [NA, NA, 1, NA], id="two sessions on is not"),
        pytest.param([1, 2, 4, 5], [40, 40, 33, 33], [NA, NA, NA, NA], id="a gap at the step itself"),
        pytest.param([0, 1, 2, 3], [40, 40, 33, 33], [NA, NA, 1, NA], id="a session 0 counts"),
        pytest.param(None, [40, 40, 40, 40, 40, 40], [NA, NA, 0, 0, 0, NA], id="all equal"),
        pytest.param(None, [60, 60, 60, 60, 53, 53], [NA, NA, 0, 0, 1, NA], id="from the ceiling"),
        pytest.param(None, [40, 30, 40, 30, 40, 30], [NA, NA, 0, 0, 0, NA], id="alternating"),
        pytest.param(None, [NA] * 6, [NA] * 6, id="nothing scored"),
        pytest.param(None, [40, 33], [NA, NA], id="two sessions"),
        pytest.param(None, [40], [NA], id="one session"),
        pytest.param(None, [], [], id="no session"),
    ],
)
def test_sudden_loss_follows_the_truth_table(sessions, scores, met):
    verdict = sudden_loss(Courses.of(scores, sessions=sessions), SUM, cut=7)
    np.testing.assert_array_equal(verdict.met, met)
    unscored = np.isnan(np.array(scores, dtype=float))
    assert (verdict.state[unscored] == UNSCORED).all()
    assert (verdict.state[~unscored & np.isnan(verdict.met)] == NOT_ENOUGH).all()
    assert (verdict.state[np.isfinite(verdict.met)] == EVALUATED).all()
    mirrored = risen(Courses.of(72 - np.array(scores, dtype=float), sessions=sessions), SUM, cut=7)
    np.testing.assert_array_equal(mirrored.met, met)


def test_a_criterion_that_cannot_be_computed_outweighs_one_that_fails():
    verdict = sudden_loss(Courses.of([40, 40, 40, 41, NA, NA]), SUM, cut=7)
    assert verdict.details["first"][3] == 0
    assert np.isnan(verdict.details["third"][3])
    assert np.isnan(verdict.met[3])


def test_a_long_gap_makes_the_sessions_on_either_side_no_neighbours():
    scores, weekly = [40, 40, 40, 33, 33, 33], [0, 7, 14, 21, 28, 35]
    at_the_step, after_it = [0, 7, 14, 43, 50, 57], [0, 7, 14, 21, 50, 79]
    found = [sudden_loss(Courses.of(scores, days=each), SUM, cut=7).met[3] for each in (weekly, at_the_step)]
    np.testing.assert_array_equal(found, [1, NA])
    # The first long gap moves the next session to place n + 3, the second one the last session out of reach.
    verdict = sudden_loss(Courses.of(scores, days=after_it), SUM, cut=7)
    assert verdict.met[3] == 1
    assert verdict.n_reference[3] == 5


def test_series_do_not_look_into_each_other():
    courses = together([[40, 40, 40], [33, 33, 33], [40, 40, 33], [33]])
    np.testing.assert_array_equal(sudden_loss(courses, SUM, cut=7).met, [NA] * 10)
    offset = replace(courses, session=np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
    np.testing.assert_array_equal(sudden_loss(offset, SUM, cut=7).met, [NA] * 10)


def test_no_series_at_all():
    no_rows = np.zeros(0, dtype=np.int64)
    nothing = Courses(values=np.zeros(0), session=no_rows, starts=no_rows)
    verdict = sudden_loss(nothing, SUM, cut=7, percent=25, test="corrected")
    assert len(verdict.met) == len(verdict.episodes.onset) == 0
    assert verdict.window.shape == (0, 3)
    found = describe(nothing, verdict)
    assert len(found.rows) == 0
    assert isnan(found.mean)
    assert isnan(found.sd)


@pytest.mark.parametrize(
    ("n_before", "n_after", "critical"),
    [(3, 3, 2.776), (2, 3, 3.182), (3, 2, 3.182), (2, 2, 4.303)],
)
def test_the_critical_value_is_that_of_the_number_of_scores(n_before, n_after, critical):
    # Each side has mean -+ shift and every score 1 from it, so that the pooled SD is known by hand.
    spread = {2: [1, -1], 3: [1, -1, 0]}
    pooled = sqrt(4 / (n_before + n_after - 2))
    for factor, met in ((0.999, 0), (1.001, 1)):
        fall = critical * pooled * factor
        before = [*[NA] * (3 - n_before), *(40 + each for each in spread[n_before][::-1])]
        after = [40 - fall + each for each in spread[n_after]]
        verdict = sudden_loss(Courses.of([*before, *after, *[NA] * (3 - n_after)]), SUM, cut=0.5)
        assert verdict.details["third"][3] == met


def test_the_corrected_test_is_a_two_sample_t_test():
    # 3 and 3 scores, sum of squares 4: t(.975, 4) 2.776445 times sqrt(4/4 * 2/3) 0.816497 = 2.266958.
    # 2 and 3 scores, sum of squares 2.5: t(.975, 3) 3.182446 times sqrt(2.5/3 * 5/6) 0.833333 = 2.652038.
    three, two = [41, 39, 40], [NA, 40.5, 39.5]
    for before, bar in ((three, 2.266958), (two, 2.652038)):
        for distance, met in ((-1e-5, 0), (1e-5, 1)):
            after = [40 - bar - distance + each for each in (1, -1, 0)]
            verdict = sudden_loss(Courses.of([*before, *after]), SUM, cut=0.5, test="corrected")
            assert verdict.details["third"][3] == met
    published = sudden_loss(Courses.of([*three, 38.5, 36.5, 37.5]), SUM, cut=0.5)
    corrected = sudden_loss(Courses.of([*three, 38.5, 36.5, 37.5]), SUM, cut=0.5, test="corrected")
    assert (published.met[3], corrected.met[3]) == (0, 1)


def test_equal_means_without_any_spread_are_no_loss_of_the_mean():
    # 23.1 three times has a mean that is not exactly 23.1 in binary.
    verdict = sudden_loss(Courses.of([23.1] * 6), BDI, cut=7)
    assert np.nansum(verdict.details["third"]) == 0


def test_means_apart_by_less_than_the_tolerance_are_equal():
    for distance, met in ((5e-10, 0), (5e-9, 1)):
        verdict = sudden_loss(Courses.of([40.0] * 3 + [40.0 - distance] * 3), SUM, cut=7)
        assert verdict.details["third"][3] == met


def test_a_missing_session_is_not_compared_with():
    blank = sudden_loss(Courses.of([40, NA, 40, 33, 33]), SUM, cut=7)
    assert blank.window.tolist() == [[2, -1, 0]]
    skipped = sudden_loss(Courses.of([50, 40, 40, 33, 33], sessions=[1, 3, 5, 6, 7]), SUM, cut=7)
    assert skipped.window.tolist() == [[2, 1, -1]]


@pytest.mark.parametrize(("low", "met"), [(0, 0), (9, 1), (8.9, 0)])
def test_the_percentage_counts_from_the_minimum(low, met):
    # 49 to 39 is 10 points: 20 percent of 49, 25 percent of the 40 above 9.
    scores = Courses.of([49, 49, 49, 39, 39, 39])
    verdict = sudden_loss(scores, Measure(low=low, high=60), cut=7, percent=25)
    assert verdict.met[3] == verdict.details["second"][3] == met
    assert np.isnan(sudden_loss(scores, Measure(low=low, high=60), cut=7).details["second"]).all()


@pytest.mark.parametrize(("low", "met"), [(0, 0), (9, 1), (8.9, 0)])
def test_the_percentage_of_a_rise_counts_from_the_minimum_too(low, met):
    scores = Courses.of([49, 49, 49, 59, 59, 59])
    assert risen(scores, Measure(low=low, high=60), cut=7, percent=25).met[3] == met


def test_a_rise_from_the_minimum_is_more_than_any_percentage():
    assert risen(Courses.of([12, 12, 12, 20, 20, 20]), SUM, cut=7, percent=100).met[3] == 1


def test_binary_rounding_decides_nothing():
    # 5.3 - 4.2 is 1.0999999999999996.
    scores = Courses.of([5.3, 5.3, 5.3, 4.2, 4.2, 4.2])
    assert sudden_loss(scores, Measure(low=1, high=7), cut=1.1).met[3] == 1
    assert sudden_loss(scores, Measure(low=0.9, high=7), cut=1, percent=25).met[3] == 1


def test_a_rise_is_told_in_score_points():
    verdict = risen(Courses.of([40, 41, 40, 50, 51, 50]), replace(SUM, norm=NORM))
    assert verdict.flagged.tolist() == [3]
    assert verdict.reference[3] == 40
    assert verdict.limit[3] == pytest.approx(47.888848, abs=5e-7)
    assert verdict.statistic[3] == pytest.approx(10 / 4.024922, abs=5e-7)
    found = describe(Courses.of([40, 41, 40, 50, 51, 50]), verdict)
    assert found.magnitude.tolist() == [10]


@pytest.mark.parametrize(
    ("later", "back"),
    [
        pytest.param([38, 40, 44], False, id="half the way exactly"),
        pytest.param([38, 40, 44.1], True, id="just beyond half"),
        pytest.param([38, 40, NA, NA, 60, 38], True, id="long after"),
        pytest.param([38, 40], False, id="never"),
        pytest.param([45, 39, 39], True, id="in the very next session"),
    ],
)
def test_a_loss_is_reversed_by_a_later_score_beyond_half_the_way(later, back):
    # 49 to 39: half the way back is 44. suddengains leaves the very next session out.
    scores = [49, 49, 49, 39, *later]
    followed = together([scores, [60, 60]])
    found = describe(followed, sudden_loss(followed, SUM, cut=7))
    assert found.rows.tolist() == [3]
    assert found.reversed.tolist() == [back]
    turned = together([[72 - score for score in scores], [12, 12]])
    assert describe(turned, risen(turned, SUM, cut=7)).reversed.tolist() == [back]


def test_what_suddengains_leaves_out_of_a_reversal():
    # Run: create_bysg on 20 20 20 10 16 9 9 9 has the reversal value 15 and no reversal.
    courses = Courses.of([20, 20, 20, 10, 16, 9, 9, 9])
    assert describe(courses, sudden_loss(courses, BDI, cut=7, percent=25)).reversed.tolist() == [True]


def test_the_standard_deviation_of_a_single_loss_is_not_known():
    courses = Courses.of(CASES["F"])
    found = describe(courses, sudden_loss(courses, SUM, cut=7))
    assert found.mean == 10
    assert isnan(found.sd)


def test_an_episode_is_measured_in_sem_from_the_score_before():
    scores = [48, 47, 49, 39, 38, 40, 45, 46.5]
    courses = Courses.of(scores)
    by_norm = sudden_loss(courses, replace(SUM, norm=NORM)).episodes
    assert by_norm.sigma.tolist() == pytest.approx([2.846050], abs=5e-7)
    assert [OUTCOMES[code] for code in by_norm.outcome] == ["repaired"]
    assert (by_norm.onset.tolist(), by_norm.end.tolist(), by_norm.lag.tolist()) == ([3], [7], [4])
    strict = sudden_loss(courses, replace(SUM, norm=NORM), repair=RepairRule(tolerance=0.5)).episodes
    assert [OUTCOMES[code] for code in strict.outcome] == ["censored"]


@pytest.mark.parametrize(
    ("measure", "chosen", "error"),
    [
        pytest.param(
            SUM,
            {},
            "error: sudden-loss needs the smallest loss that counts, or the reliability of the score to "
            "make it from\nhint: give --cut, or --sd and --reliability, or --within-sd",
            id="no cut",
        ),
        pytest.param(
            Measure(high=60),
            {"cut": 7, "percent": 25},
            "error: percent counts from the minimum of the score, which is not known\n"
            "hint: give --min and --max, or leave --percent out",
            id="no minimum",
        ),
        pytest.param(
            Measure(low=-60, rising=True),
            {"cut": 7, "percent": 25},
            "error: percent counts from the minimum of the score, which is not known\n"
            "hint: give --min and --max, or leave --percent out",
            id="no minimum of a rise",
        ),
    ],
)
def test_what_is_not_known_is_asked_for(measure, chosen, error):
    with pytest.raises(UsageError) as caught:
        sudden_loss(Courses.of(CASES["F"]), measure, **chosen)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("chosen", "error"),
    [
        ({"cut": 0}, "cut must be above 0, got 0"),
        ({"cut": NA}, "cut must be above 0, got nan"),
        ({"cut": 7, "percent": -1}, "percent must be from 0 to 100, got -1"),
        ({"cut": 7, "percent": 101}, "percent must be from 0 to 100, got 101"),
        ({"cut": 7, "test": "welch"}, "test must be one of published, corrected, got 'welch'"),
    ],
)
def test_a_parameter_out_of_bounds_is_named(chosen, error):
    with pytest.raises(ValueError, match="must be") as caught:
        sudden_loss(Courses.of(CASES["F"]), SUM, **chosen)
    assert str(caught.value) == error


def reasons(scores, *, direction="fall", measure=SUM, parts=None, **chosen):
    run = run_of(Subject(measure=measure, direction=direction, spans=dict.fromkeys(parts or {}, 16.0)),
                 "sudden-loss", chosen)  # fmt: skip
    group = Group(rater="client", place=np.array([0]), total=Courses.of(scores), parts=parts or {})
    known = run.learned({"client": run.measure(group.total)})
    columns = flag_columns([known.judge(group)], np.array(["C1"], dtype=object))
    return list(zip(columns["finding"], columns["severity"], columns["reason"], strict=True))


def test_the_reason_names_what_was_asked_and_found():
    ((finding, severity, reason), *rest) = reasons(CASES["F"], measure=replace(SUM, norm=NORM))
    assert (finding, severity, rest) == ("rupture", "signal", [])
    assert reason == (
        "scored 39.00, 10.00 below the 49.00 of the session before, where it takes at least 7.89 (1.96 √2 "
        "SEM); the mean fell from 48.00 (3 scores) to 39.00 (3 scores), where it takes more than 2.78 (t "
        "2.776 times the pooled SD, as published)"
    )


def test_the_reason_names_every_parameter():
    low = [NA, *CASES["F lowered"][4:9], NA]
    ((_, severity, reason),) = reasons(low, cut=9, percent=25, test="corrected")
    # Means 48 and 33; sum of squares 2 + 2, 3 degrees of freedom.
    assert severity == ""
    assert reason == (
        "scored 33.00, 16.00 below the 49.00 of the session before, where it takes at least 9.00 (as given) "
        "and 9.25 (25 % of the way to the minimum); the mean fell from 48.00 (2 scores) to 33.00 (3 "
        "scores), where it takes more than 3.35 (t 3.182 times the standard error, corrected test)"
    )


def test_the_reason_of_a_rise_is_turned_around():
    ((finding, _, reason),) = reasons([40, 41, 42, 50, 51, 52], direction="rise", cut=7, percent=20)
    assert finding == "rise"
    assert reason == (
        "scored 50.00, 8.00 above the 42.00 of the session before, where it takes at least 7.00 (as given) "
        "and 6.00 (20 % of the way to the minimum); the mean rose from 41.00 (3 scores) to 51.00 (3 "
        "scores), where it takes more than 2.78 (t 2.776 times the pooled SD, as published)"
    )


def test_the_subscale_that_fell_most_since_the_sessions_before_is_named():
    falling, steady = np.array([16.0, 16, 17, 7, 8, 8]), np.array([16.0, 17, 16, 15, 15, 16])
    parts = {"goal": steady, "task": falling, "bond": steady}
    measure = replace(SUM, within_sd=2.0)
    ((_, _, reason),) = reasons(sum(parts.values()), measure=measure, parts=parts, cut=7)
    assert "; fell most: task" in reason


def test_a_series_too_short_for_any_verdict_says_so():
    ((finding, _, reason),) = reasons([40, 40, 33], cut=7)
    assert (finding, reason) == ("not enough data", "not enough data: 3 of 4 scores")
    ((_, _, reason),) = reasons([40, NA, 40, NA, 33, NA, 33], cut=7)
    assert reason == "not enough data: too few scored sessions in a row"


def test_the_method_is_registered_with_its_parameters():
    entry = METHODS["sudden-loss"]
    assert entry.judge is sudden_loss
    assert not entry.online
    own = {each.name: each.default for each in parameters_of("sudden-loss") if each.methods}
    assert own == {name: sudden_loss.__kwdefaults__[name] for name in ("cut", "percent", "test")}
    assert own == {"cut": None, "percent": None, "test": "published"}


T = {2: 4.302653, 3: 3.182446, 4: 2.776445}


def slowly(scores, cut, percent, low, corrected):
    """Return the verdict at each session number of one series, by the formulas, one session at a time."""
    found = {}
    for session in scores:
        window = [scores.get(session + step, NA) for step in range(-3, 3)]
        a, b = window[2], window[3]
        before = [score for score in window[:3] if not isnan(score)]
        after = [score for score in window[3:] if not isnan(score)]
        if isnan(a) or isnan(b) or len(before) < 2 or len(after) < 2:
            found[session] = NA
            continue
        means = [sum(side) / len(side) for side in (before, after)]
        squares = sum((x - m) ** 2 for side, m in zip((before, after), means, strict=True) for x in side)
        df = len(before) + len(after) - 2
        bar = T[df] * sqrt(squares / df)
        if corrected:
            bar *= sqrt(1 / len(before) + 1 / len(after))
        enough = a - b >= cut and (percent is None or a - b >= percent / 100 * (a - low))
        found[session] = float(enough and means[0] - means[1] > bar)
    return found


a_series = st.dictionaries(
    st.integers(0, 14), st.one_of(st.just(NA), st.integers(12, 60).map(float)), max_size=14
).map(lambda series: dict(sorted(series.items())))


@settings(deadline=None, max_examples=150)
@given(
    cases=st.lists(a_series, max_size=5),
    cut=st.sampled_from([1, 4, 8]),
    percent=st.sampled_from([None, 0, 20, 50]),
    test=st.sampled_from(["published", "corrected"]),
)
def test_sudden_loss_equals_a_slow_reading_of_its_formulas(cases, cut, percent, test):
    courses = Courses(
        values=np.array([score for case in cases for score in case.values()], dtype=float),
        session=np.array([session for case in cases for session in case], dtype=np.int64),
        starts=np.cumsum([0, *(len(case) for case in cases)])[:-1].astype(np.int64),
    )
    expected = [
        met
        for case in cases
        for met in slowly(case, cut, percent, 12, corrected=test == "corrected").values()
    ]
    chosen = {"cut": cut, "percent": percent, "test": test}
    verdict = sudden_loss(courses, SUM, **chosen)
    np.testing.assert_array_equal(verdict.met, np.array(expected, dtype=float))
    if percent is None:
        mirrored = risen(replace(courses, values=-courses.values), SUM.turned(), **chosen)
        np.testing.assert_array_equal(mirrored.met, verdict.met)


def test_random_walks_equal_a_slow_reading_of_the_formulas():
    rng = np.random.default_rng(3)
    cases = []
    for _ in range(300):
        kept = np.flatnonzero(rng.random(20) > 0.15) + 1
        level = np.where(np.arange(1, 21) >= rng.integers(3, 18), 45 - rng.uniform(0, 20), 45)
        scores = np.clip(np.rint(rng.normal(level, 2)), 12, 60)
        scores[rng.random(20) < 0.1] = NA
        cases.append({int(session): float(scores[session - 1]) for session in kept})
    courses = Courses(
        values=np.array([score for case in cases for score in case.values()]),
        session=np.array([session for case in cases for session in case]),
        starts=np.cumsum([0, *(len(case) for case in cases)])[:-1],
    )
    for percent in (None, 25):
        for test in ("published", "corrected"):
            verdict = sudden_loss(courses, SUM, cut=6, percent=percent, test=test)
            expected = [
                each for case in cases for each in slowly(case, 6, percent, 12, test == "corrected").values()
            ]
            np.testing.assert_array_equal(verdict.met, expected)
            assert 20 < len(verdict.flagged) < 250
            found = describe(courses, verdict)
            for series, row, back in zip(found.series, found.rows, found.reversed, strict=True):
                case = cases[series]
                session = courses.session[row]
                middle = (case[session - 1] + case[session]) / 2
                assert back == any(score > middle for later, score in case.items() if later > session)
