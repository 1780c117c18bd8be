"""Course shape, early window, growth: worked numbers, truth tables by hand, other programs, properties."""

import csv
import io
import json
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from steps_helpers import calls_of
from typer.testing import CliRunner

from alliance.courses import Courses
from alliance.errors import DataError, UsageError
from alliance.shape import course_shape, early_window, growth

NA = np.nan
CASE_A = [46, 47, 48, 47, 49, 48, 38, 41, 47, 49, 50, 49]
CASELOAD = {
    "C1": [44, 46, 47, 48, 37, 45, 49, 50],
    "C2": [50, 51, 50, 52, 53, 52, 54, 53],
    "C3": [38, 40, 39, 42, 43, 44, 45, 44],
    "C4": [55, 54, 53, 51, 49, 47, 46, 44],
    "C5": [47, 45, 48, 49, 50, 49, 51, 52],
    "C6": [57, 58, 57, 59, 58, 59, 60, 59],
}
COEFFICIENTS = ("level", "slope", "curvature")
NUMBERS = [
    *(f"{name}{end}" for name in (*COEFFICIENTS, "variability") for end in ("", "_low", "_high")),
    *(f"autocorrelation{end}" for end in ("", "_chance", "_low", "_high")),
]


def together(courses):
    """Return several (sessions, scores) as one Courses."""
    lengths = [len(scores) for _, scores in courses]
    return Courses(
        values=np.concatenate([np.asarray(scores, dtype=float) for _, scores in courses]),
        session=np.concatenate([np.asarray(sessions, dtype=np.int64) for sessions, _ in courses]),
        starts=np.cumsum([0, *lengths[:-1]]),
    )


def random_courses(n, *, seed, low=6, high=40):
    """Return courses with skipped sessions and unscored forms."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        length = int(rng.integers(low, high))
        sessions = np.cumsum(rng.integers(1, 3, size=length))
        scores = rng.normal(40, 5, size=length).round(2)
        scores[rng.random(length) < 0.1] = NA
        made.append((sessions, scores))
    return made


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The random part of a mixed model, as a test writes it."""

    covariance: list
    sigma: float


def of(shape, name):
    return getattr(shape, name)[0]


def caseload():
    cases = np.repeat(list(CASELOAD), 8)
    return cases, np.tile(np.arange(1, 9), 6), np.concatenate(list(CASELOAD.values())).astype(float)


def test_the_curve_reproduces_the_worked_numbers():
    shape = course_shape(Courses.of(CASE_A))
    assert of(shape, "centre") == 6.5
    assert of(shape, "level") == pytest.approx(45.008929, abs=5e-7)
    assert of(shape, "slope") == pytest.approx(0.115385, abs=5e-7)
    assert of(shape, "curvature") == pytest.approx(0.132118, abs=5e-7)
    assert of(shape, "variability") == pytest.approx(3.554591, abs=5e-7)
    assert (of(shape, "n_scored"), of(shape, "n_pairs")) == (12, 11)
    assert of(shape, "reason") == of(shape, "autocorrelation_reason") == ""


def test_the_slope_of_evenly_spaced_sessions_is_that_of_the_straight_line():
    # Worked: 45.833333 + .115385 session is the line of case A, 46.583333 its mean, at session 6.5.
    whole = early_window(Courses.of(CASE_A), last=12)
    assert whole.slope[0] == pytest.approx(0.115385, abs=5e-7)
    assert whole.level[0] == pytest.approx(46.583333, abs=5e-7)
    assert whole.level[0] - 6.5 * whole.slope[0] == pytest.approx(45.833333, abs=5e-7)
    assert of(course_shape(Courses.of(CASE_A)), "slope") == pytest.approx(whole.slope[0])


def test_a_parabola_of_seven_sessions_by_hand():
    # x -3 .. 3; scores 10 + x + x^2 with e = 3 * (1, -1, -1, 1, ...) would hide the sum; here e is orthogonal
    # to 1, x and x^2: the cubic contrast -1 1 1 0 -1 -1 1. Level 10, slope 1, curvature 1, RSS 6, df 4.
    x = np.arange(-3, 4)
    error = np.array([-1, 1, 1, 0, -1, -1, 1])
    shape = course_shape(Courses.of(10 + x + x**2 + error))
    assert of(shape, "level") == pytest.approx(10)
    assert of(shape, "slope") == pytest.approx(1)
    assert of(shape, "curvature") == pytest.approx(1)
    assert of(shape, "variability") == pytest.approx(1.5**0.5)
    # sum(x^2) 28, sum((x^2 - 4)^2) 84; t(.975, 4) 2.776445; chi-square(4) .484419 and 11.143287 (tables).
    reach = 2.776445 * 1.5**0.5
    assert of(shape, "slope_high") - 1 == pytest.approx(reach / 28**0.5, abs=5e-6)
    assert of(shape, "curvature_high") - 1 == pytest.approx(reach / 84**0.5, abs=5e-6)
    assert of(shape, "level_high") - 10 == pytest.approx(reach * (1 / 7 + 16 / 84) ** 0.5, abs=5e-6)
    assert of(shape, "level_low") == pytest.approx(20 - of(shape, "level_high"))
    assert of(shape, "variability_low") == pytest.approx((6 / 11.143287) ** 0.5, abs=5e-7)
    assert of(shape, "variability_high") == pytest.approx((6 / 0.484419) ** 0.5, abs=5e-6)
    # Neighbour products -1 1 0 0 1 -1, sum 0; so r is 0.
    assert of(shape, "autocorrelation") == pytest.approx(0, abs=1e-12)


def test_autocorrelation_is_burgs_over_neighbour_pairs_by_hand():
    # The same residuals, and a sign turned so that products no longer cancel: e = -1 1 1 0 -1 -1 1 is
    # orthogonal; leave session 4 (e = 0) unscored: x^2 and x stay orthogonal to e, the pairs are
    # (1,2) (2,3) (5,6) (6,7): products -1 1 1 -1, squares 2 2 2 2.
    x = np.arange(-3, 4)
    error = np.array([-1, 1, 1, 0, -1, -1, 1])
    scores = (20.0 + error + 2 * x - x**2).tolist()
    scores[3] = NA
    shape = course_shape(Courses.of(scores))
    assert of(shape, "n_pairs") == 4
    assert of(shape, "variability") == pytest.approx((6 / 3) ** 0.5)
    assert of(shape, "autocorrelation") == pytest.approx(0, abs=1e-12)
    assert of(shape, "curvature") == pytest.approx(-1)


@pytest.mark.parametrize("length", [6, 9, 12, 40])
def test_autocorrelation_is_that_of_statsmodels_where_there_is_no_gap(length):
    from statsmodels.regression.linear_model import burg

    scores = np.random.default_rng(length).normal(size=length)
    shape = course_shape(Courses.of(scores))
    t = np.arange(length)
    residual = scores - np.polyval(np.polyfit(t, scores, 2), t)
    assert of(shape, "autocorrelation") == pytest.approx(burg(residual, order=1)[0][0], abs=1e-10)


def test_the_chance_value_is_what_white_noise_gives():
    # 12 sessions: -.263; the mean over simulated white noise must agree within four standard errors.
    rng = np.random.default_rng(5)
    n = 20_000
    many = Courses(
        values=rng.normal(size=12 * n), session=np.tile(np.arange(1, 13), n), starts=12 * np.arange(n)
    )
    shape = course_shape(many)
    np.testing.assert_allclose(shape.autocorrelation_chance, -0.2632594, atol=5e-8)
    error = shape.autocorrelation.std() / n**0.5
    assert abs(shape.autocorrelation.mean() + 0.2632594) < 4 * error
    held = (shape.autocorrelation_low <= 0) & (shape.autocorrelation_high >= 0)
    assert 0.95 < held.mean() < 1
    for name, truth in (("level", 0), ("slope", 0), ("curvature", 0), ("variability", 1)):
        inside = (getattr(shape, f"{name}_low") <= truth) & (getattr(shape, f"{name}_high") >= truth)
        assert inside.mean() == pytest.approx(0.95, abs=0.008), name


def test_the_interval_of_the_autocorrelation_is_jenkins_angle_about_the_corrected_value():
    shape = course_shape(Courses.of(CASE_A))
    # r .275879, chance -.263259, 11 pairs: asin(.539139) = .569414; 1.959964 / 3 = .653321.
    assert of(shape, "autocorrelation") == pytest.approx(0.275879, abs=5e-7)
    assert of(shape, "autocorrelation_low") == pytest.approx(np.sin(0.569414 - 0.653321), abs=5e-6)
    assert of(shape, "autocorrelation_high") == pytest.approx(np.sin(0.569414 + 0.653321), abs=5e-6)


def test_random_courses_agree_with_polyfit_and_statsmodels():
    import statsmodels.api as sm

    made = random_courses(60, seed=11)
    shape = course_shape(together(made))
    for place, (sessions, scores) in enumerate(made):
        scored = np.isfinite(scores)
        if scored.sum() < 6:
            assert shape.reason[place] == f"not enough data: {scored.sum()} of 6 scores"
            continue
        x = sessions[scored] - sessions[scored].mean()
        fitted = sm.OLS(scores[scored], np.column_stack([np.ones(len(x)), x, x**2])).fit()
        interval = fitted.conf_int(0.05)
        for k, name in enumerate(COEFFICIENTS):
            assert getattr(shape, name)[place] == pytest.approx(fitted.params[k], abs=1e-9)
            assert getattr(shape, f"{name}_low")[place] == pytest.approx(interval[k, 0], abs=1e-8)
            assert getattr(shape, f"{name}_high")[place] == pytest.approx(interval[k, 1], abs=1e-8)
        np.testing.assert_allclose(np.polyfit(x, scores[scored], 2)[0], shape.curvature[place], atol=1e-9)
        assert shape.variability[place] == pytest.approx(fitted.mse_resid**0.5, abs=1e-9)


def test_the_confidence_moves_every_interval_as_statsmodels_says():
    import statsmodels.api as sm
    from scipy.stats import chi2

    x = np.arange(12) - 5.5
    fitted = sm.OLS(np.array(CASE_A, dtype=float), np.column_stack([np.ones(12), x, x**2])).fit()
    shape = course_shape(Courses.of(CASE_A), confidence=0.8)
    for k, name in enumerate(COEFFICIENTS):
        low, high = fitted.conf_int(0.2)[k]
        assert of(shape, f"{name}_low") == pytest.approx(low, abs=1e-9)
        assert of(shape, f"{name}_high") == pytest.approx(high, abs=1e-9)
    assert of(shape, "variability_low") == pytest.approx((fitted.ssr / chi2.ppf(0.9, 9)) ** 0.5)
    assert of(shape, "variability_high") == pytest.approx((fitted.ssr / chi2.ppf(0.1, 9)) ** 0.5)
    wide = course_shape(Courses.of(CASE_A))
    assert of(wide, "autocorrelation_high") > of(shape, "autocorrelation_high")
    assert of(wide, "autocorrelation_low") < of(shape, "autocorrelation_low")


def test_five_hundred_sessions_far_from_the_origin_stay_exact():
    t = np.arange(10_001, 10_501)
    x = t - t.mean()
    shape = course_shape(Courses.of(40 + 0.01 * x - 2e-4 * x**2 + (-1.0) ** t, sessions=t))
    # The alternating error is nearly orthogonal; numpy's QR is the judge.
    design = np.column_stack([np.ones(500), x, x**2 / 1e4])
    expected = np.linalg.lstsq(design, 40 + 0.01 * x - 2e-4 * x**2 + (-1.0) ** t, rcond=None)[0]
    np.testing.assert_allclose(
        [of(shape, name) for name in COEFFICIENTS], expected / [1, 1, 1e4], rtol=1e-10, atol=1e-13
    )
    assert of(shape, "autocorrelation") == pytest.approx(-1, abs=1e-3)


@pytest.mark.parametrize(
    ("sessions", "scores", "reason", "serial"),
    [
        pytest.param([], [], None, None, id="no session"),
        pytest.param([1], [5], "not enough data: 1 of 6 scores", None, id="one session"),
        pytest.param([1, 2], [5, 6], "not enough data: 2 of 6 scores", None, id="two sessions"),
        pytest.param(range(1, 6), [5, 6, 5, 6, 7], "not enough data: 5 of 6 scores", None, id="just short"),
        pytest.param(range(1, 9), [NA] * 8, "not enough data: 0 of 6 scores", None, id="nothing scored"),
        pytest.param(
            range(1, 9),
            [1, NA, 2, NA, 3, 4, NA, 5],
            "not enough data: 5 of 6 scores",
            None,
            id="mostly unscored",
        ),
        pytest.param(range(1, 7), [5, 6, 5, 6, 7, 5], "", "", id="just enough"),
        pytest.param(range(1, 9), [7] * 8, "", "no variation", id="all equal"),
        pytest.param(range(1, 9), [0.1] * 8, "", "no variation", id="equal, no binary fraction"),
        pytest.param(range(1, 9), [2 * s for s in range(8)], "", "no variation about the curve", id="a line"),
        pytest.param(
            range(1, 9), [s * s for s in range(8)], "", "no variation about the curve", id="a parabola"
        ),
        pytest.param(
            range(1, 13, 2),
            [5, 6, 5, 6, 7, 5],
            "",
            "not enough data: 0 of 4 neighbour pairs",
            id="no neighbours",
        ),
        pytest.param(
            [1, 2, 3, 4, 6, 8],
            [5, 6, 5, 6, 7, 5],
            "",
            "not enough data: 3 of 4 neighbour pairs",
            id="few neighbours",
        ),
        pytest.param([1, 2, 3, 4, 5, 7], [5, 6, 5, 6, 7, 5], "", "", id="just enough neighbours"),
        pytest.param(range(1, 9), [60, 60, 59, 60, 60, 60, 56, 60], "", "", id="ceiling"),
    ],
)
def test_what_cannot_be_said_is_missing_with_its_reason(sessions, scores, reason, serial):
    shape = course_shape(Courses.of(scores, sessions=list(sessions)))
    if reason is None:
        assert all(len(values) == 0 for values in vars(shape).values())
        return
    serial = reason if serial is None else serial
    assert of(shape, "reason") == reason
    assert of(shape, "autocorrelation_reason") == serial
    for name in NUMBERS:
        missing = serial != "" if name.startswith("autocorrelation") else reason != ""
        assert np.isnan(of(shape, name)) == missing, name


def test_equal_scores_have_no_slope_no_curvature_and_no_spread():
    shape = course_shape(Courses.of([4.1] * 9))
    for name in NUMBERS[3:12]:
        assert of(shape, name) == 0, name
    assert of(shape, "level") == of(shape, "level_low") == of(shape, "level_high") == 4.1


def test_a_perfect_curve_has_no_spread():
    x = np.arange(-4, 5)
    shape = course_shape(Courses.of(0.1 + 0.3 * x - 0.7 * x**2))
    assert of(shape, "variability") == of(shape, "variability_high") == 0
    assert of(shape, "curvature") == pytest.approx(-0.7)


def test_an_alternating_course_is_strongly_negative():
    shape = course_shape(Courses.of([40, 50] * 10))
    assert of(shape, "autocorrelation") < -0.95
    assert -1 <= of(shape, "autocorrelation_low") <= of(shape, "autocorrelation_high") < -0.4


def test_an_interval_that_reaches_an_end_of_the_scale_stops_there():
    # The angle and its reach pass pi/2, where the sine would turn back.
    falling = course_shape(Courses.of([40, 50] * 3), confidence=0.99)
    rising = course_shape(Courses.of(np.sin(np.arange(12) * np.pi / 3)), confidence=0.99)
    assert of(falling, "autocorrelation_low") == -1
    assert of(rising, "autocorrelation_high") == 1


def test_a_long_gap_in_days_parts_neighbours_but_not_the_curve():
    weekly = [7.0 * week for week in range(12)]
    gap = [day + (40 if place >= 6 else 0) for place, day in enumerate(weekly)]
    near, apart = (course_shape(Courses.of(CASE_A, days=days)) for days in (weekly, gap))
    assert (of(near, "n_pairs"), of(apart, "n_pairs")) == (11, 10)
    assert of(near, "slope") == of(apart, "slope")
    assert of(near, "autocorrelation") != of(apart, "autocorrelation")


def test_a_skipped_session_keeps_its_place_on_the_clock():
    x = np.array([-3, -2, -1, 1, 2, 3])
    shape = course_shape(Courses.of(5 + 2.0 * x, sessions=[1, 2, 3, 5, 6, 7]))
    assert of(shape, "slope") == pytest.approx(2)
    assert of(shape, "centre") == 4
    assert of(shape, "n_pairs") == 4


def test_an_infinite_score_is_no_score():
    assert of(course_shape(Courses.of([5, 6, 5, np.inf, 7, 5])), "reason") == "not enough data: 5 of 6 scores"


SCORES = st.lists(st.one_of(st.integers(12, 60).map(float), st.just(NA)), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(SCORES, st.integers(-50, 50))
def test_adding_a_constant_moves_only_the_level(scores, constant):
    one, moved = course_shape(Courses.of(scores)), course_shape(Courses.of(np.array(scores) + constant))
    for name in NUMBERS:
        expected = of(one, name) + (constant if name.startswith("level") else 0)
        np.testing.assert_allclose(of(moved, name), expected, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(SCORES, st.sampled_from([0.01, 0.5, 3.0, 1000.0]))
def test_scaling_scales_everything_but_the_autocorrelation(scores, factor):
    one, scaled = course_shape(Courses.of(scores)), course_shape(Courses.of(factor * np.array(scores)))
    for name in NUMBERS:
        expected = of(one, name) * (1 if name.startswith("autocorrelation") else factor)
        np.testing.assert_allclose(of(scaled, name), expected, rtol=1e-7, atol=1e-9)
    assert of(one, "autocorrelation_reason") == of(scaled, "autocorrelation_reason")


@settings(max_examples=60, deadline=None)
@given(SCORES)
def test_running_a_course_backwards_turns_only_the_slope(scores):
    one, back = course_shape(Courses.of(scores)), course_shape(Courses.of(scores[::-1]))
    np.testing.assert_allclose(of(back, "slope"), -of(one, "slope"), atol=1e-9)
    np.testing.assert_allclose(of(back, "slope_low"), -of(one, "slope_high"), atol=1e-9)
    if of(one, "centre") == (len(scores) + 1) / 2:
        np.testing.assert_allclose(of(back, "level"), of(one, "level"), atol=1e-9)
    for name in ("curvature", "variability", "autocorrelation", "autocorrelation_chance"):
        np.testing.assert_allclose(of(back, name), of(one, name), atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(SCORES)
def test_numbers_keep_their_bounds_and_order(scores):
    shape = course_shape(Courses.of(scores))
    if of(shape, "reason"):
        return
    for name in (*COEFFICIENTS, "variability"):
        assert of(shape, f"{name}_low") <= of(shape, name) <= of(shape, f"{name}_high")
    if not of(shape, "autocorrelation_reason"):
        assert -1 <= of(shape, "autocorrelation_low") <= of(shape, "autocorrelation_high") <= 1
        assert -1 <= of(shape, "autocorrelation") <= 1


def test_a_case_gives_the_same_whatever_stands_beside_it():
    made = [*random_courses(25, seed=3, low=1, high=20), ([1], [NA]), (range(1, 9), [7] * 8)]
    many = together(made)
    every, early = course_shape(many), early_window(many)
    for place, (sessions, scores) in enumerate(made):
        alone = Courses.of(scores, sessions=list(sessions))
        for name, values in vars(course_shape(alone)).items():
            np.testing.assert_array_equal(values, getattr(every, name)[place : place + 1])
        for name, values in vars(early_window(alone)).items():
            expected = getattr(early, name)
            np.testing.assert_array_equal(
                values, expected if name in {"first", "last"} else expected[[place]]
            )


def test_the_courses_stay_as_they_were():
    courses = Courses.of(CASE_A)
    course_shape(courses)
    early_window(courses)
    np.testing.assert_array_equal(courses.values, CASE_A)
    np.testing.assert_array_equal(courses.session, np.arange(1, 13))


def test_more_cases_are_no_more_steps():
    # A Python loop over cases would make calls in proportion to their number.
    def work(n):
        values = np.random.default_rng(1).normal(size=10 * n)
        many = Courses(values=values, session=np.tile(np.arange(1, 11), n), starts=10 * np.arange(n))
        return lambda: (course_shape(many), early_window(many))

    work(20)()
    assert calls_of(work(2000)) < 3 * calls_of(work(20))


@pytest.mark.parametrize(
    ("sessions", "scores", "last", "expected"),
    [
        pytest.param([1, 2, 3, 4], [4, 6, 5, 99], 3, [5, 1, 2, 0.5], id="later sessions stay out"),
        pytest.param([1, 2, 3, 4, 5, 6], [4, 6, 5, 7, 8, 0], 5, [6, 4, 4, 0.9], id="sessions 1 to 5"),
        pytest.param([1, 2, 3], [4, NA, 7], 3, [5.5, 3, 2, 1.5], id="unscored form"),
        pytest.param([2, 3, 4], [6, 4, 0], 3, [5, -2, 1, -2], id="session 1 not there"),
        pytest.param([3, 4], [6, 4], 3, [6, NA, NA, NA], id="one session in the window"),
        pytest.param([4, 5], [6, 4], 3, [NA, NA, NA, NA], id="starts after the window"),
        pytest.param([0, 1, 2], [99, 4, 5], 3, [4.5, 1, 1, 1], id="session 0 is before the window"),
        pytest.param([1, 2, 3], [NA, NA, NA], 3, [NA, NA, NA, NA], id="nothing scored"),
        pytest.param([1, 2, 3], [5, 5, 5], 3, [5, 0, 2, 0], id="all equal"),
        pytest.param([1], [5], 3, [5, NA, NA, NA], id="one session"),
    ],
)
def test_the_early_window_follows_the_truth_table(sessions, scores, last, expected):
    window = early_window(Courses.of(scores, sessions=sessions), last=last)
    found = [window.level[0], window.change[0], window.span[0], window.slope[0]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (window.reason[0] == "") == np.isfinite(window.level[0])
    assert (window.change_reason[0] == "") == np.isfinite(window.change[0])


def test_the_early_window_says_what_is_missing():
    window = early_window(together([([3], [6]), ([9], [6]), ([1, 2], [6, 7])]))
    assert window.n_scored.tolist() == [1, 0, 2]
    assert window.reason.tolist() == ["", "not enough data: 0 of 1 score in sessions 1 to 3", ""]
    assert window.change_reason.tolist() == [
        "not enough data: 1 of 2 scores in sessions 1 to 3",
        "not enough data: 0 of 2 scores in sessions 1 to 3",
        "",
    ]
    third = early_window(together([([1], [6])]), first=3, last=3)
    assert third.reason.tolist() == ["not enough data: 0 of 1 score in session 3"]


def test_later_sessions_do_not_move_the_early_window():
    whole = early_window(Courses.of(CASE_A), last=5)
    for end in range(5, 13):
        part = early_window(Courses.of(CASE_A[:end]), last=5)
        assert (part.level[0], part.change[0], part.slope[0]) == (
            whole.level[0], whole.change[0], whole.slope[0],
        )  # fmt: skip


def test_no_course_has_no_early_window():
    window = early_window(Courses.of([]))
    assert len(window.level) == len(window.reason) == 0


def test_random_intercept_reproduces_the_worked_numbers():
    model = growth(*caseload())
    assert (model.n_cases, model.n_scores, model.converged, model.reason) == (6, 48, True, "")
    assert model.intercept == pytest.approx(48.555556, abs=5e-7)
    assert model.slope == pytest.approx(0.251984, abs=5e-7)
    assert model.tau == pytest.approx(5.518819, abs=5e-7)
    assert model.sigma == pytest.approx(2.780042, abs=5e-7)
    assert model.criterion == pytest.approx(251.4202, abs=5e-5)
    assert np.isnan([model.slope_sd, model.correlation]).all()


def test_random_slope_reproduces_the_worked_numbers():
    model = growth(*caseload(), random="slope")
    assert model.intercept == pytest.approx(48.555556, abs=5e-7)
    assert model.slope == pytest.approx(0.251984, abs=5e-7)
    assert model.criterion == pytest.approx(230.6939, abs=5e-5)
    # lmer stopped a little before the optimum, where the criterion is flat: the SDs agree to 2e-5 only,
    # and ours have the lower criterion.
    assert model.tau == pytest.approx(7.041236, abs=2e-5)
    assert model.slope_sd == pytest.approx(0.907804, abs=2e-6)
    assert model.correlation == pytest.approx(-0.641186, abs=1e-6)
    assert model.sigma == pytest.approx(1.872861, abs=2e-6)
    cases, session, score = caseload()
    fixed = np.column_stack([np.ones(48), session - 1])
    cross = 7.041236 * 0.907804 * -0.641186
    lmer = Spread(covariance=[[7.041236**2, cross], [cross, 0.907804**2]], sigma=1.872861)
    assert restricted(score, fixed, cases, lmer)[2] >= model.criterion


def restricted(score, fixed, group, spread):
    """Return estimates, their covariance and -2 log restricted likelihood from the textbook formula."""
    part = fixed[:, : len(spread.covariance)]
    same = group[:, None] == group
    total = same * (part @ np.array(spread.covariance) @ part.T) + spread.sigma**2 * np.eye(len(score))
    weight = np.linalg.inv(total)
    information = fixed.T @ weight @ fixed
    beta = np.linalg.solve(information, fixed.T @ weight @ score)
    rest = score - fixed @ beta
    criterion = (
        np.linalg.slogdet(total)[1] + np.linalg.slogdet(information)[1] + rest @ weight @ rest
        + (len(score) - fixed.shape[1]) * np.log(2 * np.pi)
    )  # fmt: skip
    return beta, np.linalg.inv(information), criterion


@pytest.mark.parametrize("random", ["intercept", "slope"])
@pytest.mark.parametrize("clock", ["linear", "log"])
def test_a_model_is_that_of_the_textbook_formula(clock, random):
    cases, session, score = caseload()
    kept = np.random.default_rng(2).random(48) > 0.2
    model = growth(cases[kept], session[kept], score[kept], clock=clock, random=random)
    times = session[kept] - 1.0 if clock == "linear" else np.log(session[kept])
    fixed = np.column_stack([np.ones(kept.sum()), times])
    cross = model.tau * model.slope_sd * model.correlation
    covariance = (
        [[model.tau**2, cross], [cross, model.slope_sd**2]] if random == "slope" else [[model.tau**2]]
    )
    group = np.unique(cases[kept], return_inverse=True)[1]
    spread = Spread(covariance=covariance, sigma=model.sigma)
    beta, errors, criterion = restricted(score[kept], fixed, group, spread)
    assert [model.intercept, model.slope] == pytest.approx(beta.tolist(), abs=1e-6)
    assert [model.intercept_se, model.slope_se] == pytest.approx(np.sqrt(np.diag(errors)).tolist(), rel=1e-9)
    assert model.criterion == pytest.approx(criterion, abs=1e-6)
    assert model.slope_high == pytest.approx(model.slope + 1.959964 * model.slope_se, abs=1e-6)
    assert model.intercept_low == pytest.approx(model.intercept - 1.959964 * model.intercept_se, abs=1e-5)
    for worse in (0.98, 1.02):
        other = Spread(covariance=covariance, sigma=model.sigma * worse)
        assert restricted(score[kept], fixed, group, other)[2] > criterion


def test_the_two_clocks_are_told_apart():
    linear, log = (growth(*caseload(), clock=clock) for clock in ("linear", "log"))
    assert linear.slope == pytest.approx(0.251984, abs=5e-7)
    assert log.slope == pytest.approx(1.0067, abs=0.2)
    assert log.slope != linear.slope
    assert (linear.clock, log.clock) == ("linear", "log")


def test_growth_moves_and_scales_with_the_score():
    cases, session, score = caseload()
    one, other = (
        growth(cases, session, score, random="slope"),
        growth(cases, session, 100 + 10 * score, random="slope"),
    )
    assert other.intercept == pytest.approx(100 + 10 * one.intercept)
    for name in ("slope", "slope_se", "intercept_se", "tau", "slope_sd", "sigma"):
        assert getattr(other, name) == pytest.approx(10 * getattr(one, name), rel=1e-5)
    assert other.correlation == pytest.approx(one.correlation, abs=1e-5)
    assert other.criterion == pytest.approx(one.criterion + 2 * 46 * np.log(10), abs=1e-5)


def test_unscored_rows_and_the_order_of_rows_do_not_matter():
    cases, session, score = caseload()
    one = growth(cases, session, score)
    order = np.random.default_rng(4).permutation(48)
    more = growth(
        np.append(cases[order], ["C7", "C1"]),
        np.append(session[order], [1, 9]),
        np.append(score[order], [NA, NA]),
    )
    assert (more.n_cases, more.n_scores) == (6, 48)
    assert more.tau == pytest.approx(one.tau, abs=1e-6)
    assert more.slope == pytest.approx(one.slope, abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "random", "reason"),
    [
        pytest.param([], "intercept", "not enough data: 0 of 5 cases with at least 2 scores", id="nothing"),
        pytest.param(
            [(c, s, c + s) for c in range(4) for s in (1, 2, 3)],
            "intercept",
            "not enough data: 4 of 5 cases with at least 2 scores",
            id="too few cases",
        ),
        pytest.param(
            [(c, 1, c) for c in range(9)],
            "intercept",
            "not enough data: 0 of 5 cases with at least 2 scores",
            id="one score each",
        ),
        pytest.param(
            [(c, s, c + s) for c in range(9) for s in (1, 2)],
            "slope",
            "not enough data: 0 of 5 cases with at least 3 scores",
            id="two scores carry no random slope",
        ),
        pytest.param(
            [(c, 1, c + k) for c in range(9) for k in (1, 2)],
            "intercept",
            "not enough data: 1 of 2 different sessions",
            id="one session",
        ),
        pytest.param(
            [(c, s, 7) for c in range(9) for s in (1, 2, 3)], "intercept", "no variation", id="equal"
        ),
    ],
)
def test_a_study_that_carries_no_model_says_why(rows, random, reason):
    case, session, score = np.array(rows, dtype=float).reshape(-1, 3).T
    model = growth(case.astype(int), session.astype(int), score, random=random)
    assert model.reason == reason
    assert not model.converged
    assert np.isnan([model.intercept, model.slope, model.tau, model.sigma, model.criterion]).all()


def test_a_fit_that_does_not_converge_gives_no_number_and_no_warning(monkeypatch):
    from statsmodels.regression.mixed_linear_model import MixedLM

    class Stuck:
        converged = False

    def fit(self, **_):
        warnings.warn("Gradient optimization failed", stacklevel=1)
        return Stuck()

    monkeypatch.setattr(MixedLM, "fit", fit)
    model = growth(*caseload())
    assert model.reason == "the model did not converge"
    assert model.notes == ("6 cases: how they differ is uncertain", "Gradient optimization failed")
    assert np.isnan([model.intercept, model.tau]).all()


def test_a_fit_that_breaks_down_gives_no_number(monkeypatch):
    from statsmodels.regression.mixed_linear_model import MixedLM

    def fit(self, **_):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(MixedLM, "fit", fit)
    model = growth(*caseload())
    assert (model.reason, model.converged) == ("the model did not converge", False)
    assert model.notes[-1] == "Singular matrix"


def test_cases_that_do_not_differ_are_told_without_a_warning():
    # Every case has the same mean: the variance between cases is at its edge, 0.
    score = np.concatenate([np.roll([1.0, 5, 2, 6, 3, 4], k) for k in range(24)])
    model = growth(np.repeat(np.arange(24), 6), np.tile(np.arange(1, 7), 24), score)
    line = np.polyfit(np.tile(np.arange(6), 24), score, 1)
    assert model.converged
    assert model.tau == pytest.approx(0, abs=0.01)
    assert [model.slope, model.intercept] == pytest.approx(line.tolist(), abs=1e-6)
    assert model.slope_se == pytest.approx(model.sigma / (24 * 17.5) ** 0.5, rel=1e-3)
    assert "The MLE may be on the boundary of the parameter space." in model.notes


def test_a_random_slope_that_is_not_there_is_no_model_and_a_way_out():
    score = np.concatenate([np.roll([1.0, 5, 2, 6, 3, 4], k) for k in range(24)])
    model = growth(np.repeat(np.arange(24), 6), np.tile(np.arange(1, 7), 24), score, random="slope")
    assert model.reason == (
        "the model did not converge; cases may not differ in slope, try a random intercept"
    )
    assert np.isnan([model.slope, model.tau, model.slope_sd]).all()


@pytest.mark.parametrize("random", ["intercept", "slope"])
def test_cases_on_lines_without_any_scatter_carry_no_model(random):
    rng = np.random.default_rng(3)
    case, session = np.repeat(np.arange(30), 10), np.tile(np.arange(1, 11), 30)
    level, slope = rng.normal(size=(2, 30))
    score = level[case] + (2 + (slope[case] if random == "slope" else 0)) * session
    model = growth(case, session, score, random=random)
    assert model.reason.startswith(("no variation within cases", "the model did not converge"))
    assert np.isnan(model.tau)


def test_a_model_needs_statsmodels(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    with pytest.raises(UsageError) as caught:
        growth(*caseload())
    assert str(caught.value) == (
        "error: growth over a study needs statsmodels, which is not installed\n"
        'hint: pip install "alliance-toolkit[models]"'
    )


def test_many_cases_carry_no_doubt_about_their_number():
    cases, session, score = caseload()
    copies = [(np.char.add(cases, str(k)), session, score + k / 10) for k in range(4)]
    assert growth(*(np.concatenate(each) for each in zip(*copies, strict=True))).notes == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: course_shape(Courses.of(CASE_A), confidence=1.0),
            "confidence must lie between 0 and 1, got 1.0",
        ),
        (
            lambda: course_shape(Courses.of(CASE_A), confidence=0),
            "confidence must lie between 0 and 1, got 0",
        ),
        (
            lambda: course_shape(Courses.of([1, 2, 3], sessions=[1, 3, 3])),
            "sessions must rise within a series, got session 3 after 3",
        ),
        (
            lambda: early_window(Courses.of([1, 2], sessions=[2, 1])),
            "sessions must rise within a series, got session 1 after 2",
        ),
        (
            lambda: early_window(Courses.of(CASE_A), first=4, last=3),
            "first must be at least 1 and at most last, got first 4 and last 3",
        ),
        (
            lambda: early_window(Courses.of(CASE_A), first=0),
            "first must be at least 1 and at most last, got first 0 and last 3",
        ),
        (
            lambda: growth([1, 2], [1], [1.0, 2.0]),
            "case, session and score must be equally long, got 2, 1, 2",
        ),
    ],
)
def test_a_callers_mistake_is_named_with_bound_and_value(call, message):
    with pytest.raises(ValueError, match=r".") as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"clock": "lin"},
            "error: unknown clock 'lin'\nhint: did you mean 'linear'? known: linear, log",
        ),
        (
            {"random": "both"},
            "error: unknown random part 'both'\nhint: known: intercept, slope",
        ),
    ],
)
def test_an_unknown_choice_is_answered_with_the_known_ones(options, message):
    with pytest.raises(UsageError) as caught:
        growth(*caseload(), **options)
    assert str(caught.value) == message


def test_the_log_clock_has_no_session_zero():
    cases, session, score = caseload()
    assert growth(cases, session - 1, score).slope == pytest.approx(0.251984, abs=5e-7)
    with pytest.raises(UsageError) as caught:
        growth(cases, session - 1, score, clock="log")
    assert str(caught.value) == (
        "error: the log clock starts at session 1, got session 0\n"
        "hint: number the sessions from 1, or use the linear clock"
    )


@pytest.fixture
def scores_file(tmp_path):
    rows = [
        f"{case},{session},client,{score}"
        for case, scores in CASELOAD.items()
        for session, score in enumerate(scores, 1)
    ]
    rows += [f"C1,{session},therapist,50" for session in range(1, 8)]
    rows += ["C7,1,client,", "C7,2,client,44"]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["case,session,rater,score", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(monkeypatch):
    """Run the command by itself, at 80 columns."""
    from alliance.cli.shape import shape

    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(shape)

    def invoke(*arguments, **given):
        done = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=True, **given)
        if isinstance(done.exception, Exception):
            raise done.exception
        return done

    return invoke


def test_the_table_fits_eighty_columns_with_the_interval_below_each_number(run, scores_file):
    done = run(scores_file, "--column", "score")
    assert max(map(len, done.stdout.splitlines())) <= 80
    lines = done.stdout.splitlines()
    place = lines.index(next(line for line in lines if line.startswith("C1    client")))
    assert lines[place].split() == [
        "C1",
        "client",
        "8",
        "44.12",
        "0.48",
        "0.310",
        "4.24",
        "-0.16",
        "45.67",
        "44.40",
    ]
    assert lines[place + 1].split() == [
        "±5.86",
        "±1.68",
        "±0.841",
        "2.6..10.4",
        "-0.6..0.9",
        "+3.00",
        "-7.00",
    ]
    assert [line.split()[1] for line in lines if line.startswith("C1 ")] == ["client", "therapist"]
    assert lines[-2].split() == ["C7", "client", "1", "-", "-", "-", "-", "-", "44.00", "44.00"]
    assert lines[-1].split() == ["of", "6"]
    assert "no" in done.stdout
    assert "variation" in done.stdout
    assert done.stdout.startswith("Course shape, score\nBelow each number: its 95 % interval;")
    assert done.stderr == ""


def test_csv_and_json_hold_every_number_in_full(run, scores_file):
    rows = list(csv.DictReader(io.StringIO(run(scores_file, "--column", "score", "--format", "csv").stdout)))
    objects = json.loads(run(scores_file, "--column", "score", "--format", "json").stdout)
    assert len(rows) == len(objects) == 8
    first, constant, short = objects[0], objects[1], objects[-1]
    expected = course_shape(Courses.of(CASELOAD["C1"]))
    for name in NUMBERS:
        assert first[name] == of(expected, name)
        assert float(rows[0][name]) == of(expected, name)
    assert (first["case"], first["rater"], first["score"], first["scale"]) == ("C1", "client", "score", "")
    assert (first["early_1_3_level"], first["early_1_5_change"], first["early_1_5_slope"]) == (
        137 / 3,
        -7.0,
        -1.2,
    )
    assert (constant["rater"], constant["slope"], constant["autocorrelation"]) == ("therapist", 0.0, None)
    assert constant["autocorrelation_reason"] == "no variation"
    assert (short["level"], short["reason"]) == (None, "not enough data: 1 of 6 scores")
    assert (short["early_1_3_level"], short["early_1_3_change"]) == (44.0, None)
    assert rows[-1]["level"] == ""


def test_growth_is_printed_for_each_rater_apart(run, scores_file):
    done = run(scores_file, "--column", "score", "--growth", "--format", "json")
    client, therapist = json.loads(done.stdout)
    assert (client["rater"], client["n_cases"], client["clock"], client["random"]) == (
        "client", 7, "linear", "intercept",
    )  # fmt: skip
    assert client["notes"] == ["7 cases: how they differ is uncertain"]
    assert (therapist["slope"], therapist["reason"]) == (
        None,
        "not enough data: 1 of 5 cases with at least 2 scores",
    )


def test_the_table_of_growth_names_its_clock_and_its_units(run, scores_file):
    text = scores_file.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "therapist" not in line and "C7" not in line]
    scores_file.write_text("\n".join(kept) + "\n", encoding="utf-8")
    done = run(scores_file, "--column", "score", "--growth", "--random", "slope")
    assert done.stdout == (
        "Growth of score, client: 6 cases, 48 scores, REML\n"
        "time = session - 1; random slope; fixed effects with 95 % intervals\n"
        "note: 6 cases: how they differ is uncertain\n"
        "\n"
        "term                              estimate     se     low    high\n"
        "intercept, at session 1             48.556  2.917  42.839  54.272\n"
        "slope, per unit of time              0.252  0.389   -0.51   1.014\n"
        "tau, SD of the cases' intercepts     7.041      -       -       -\n"
        "SD of the cases' slopes              0.908      -       -       -\n"
        "their correlation                   -0.641      -       -       -\n"
        "sigma, SD within a case              1.873      -       -       -\n"
        "criterion, -2 log likelihood       230.694      -       -       -\n"
    )
    log = run(scores_file, "--column", "score", "--growth", "--clock", "log").stdout
    assert "time = ln(session); random intercept" in log


def test_a_file_of_answers_is_scored_first(run):
    from alliance.places import bundled

    study = bundled("data") / "wai-sr-study.csv"
    rows = json.loads(run(study, "--scale", "wai-sr", "--quiet", "--format", "json").stdout)
    assert {row["rater"] for row in rows} == {"client", "therapist"}
    assert {(row["scale"], row["score"]) for row in rows} == {("wai-sr", "total")}
    bond = json.loads(run(study, "--scale", "wai-sr", "--column", "bond", "-q", "--format", "json").stdout)
    assert bond[0]["score"] == "bond"
    assert bond[0]["level"] != rows[0]["level"]


def test_standard_input_is_read_once(run, scores_file):
    text = scores_file.read_text(encoding="utf-8")
    piped = run("-", "--column", "score", "--format", "csv", input=text)
    assert piped.stdout == run(scores_file, "--column", "score", "--format", "csv").stdout


def test_forms_named_in_the_file_are_told_apart(run):
    from alliance.places import bundled

    clinic = bundled("data") / "srs-ors-clinic.csv"
    rows = json.loads(run(clinic, "--quiet", "--format", "json").stdout)
    assert {row["scale"] for row in rows} == {"srs", "ors"}


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            [],
            UsageError,
            "error: no word on which column holds the score\n"
            "hint: --column NAME for a file of scores, --scale ID for a file of answers",
        ),
        (
            ["--column", "scores"],
            DataError,
            "error: the file has no column 'scores'\nhint: did you mean 'score'?",
        ),
        (
            ["--column", "score", "--clock", "log2"],
            UsageError,
            "error: --clock is one of linear, log, got 'log2'\nhint: see --help",
        ),
        (
            ["--column", "score", "--random", "both"],
            UsageError,
            "error: --random is one of intercept, slope, got 'both'\nhint: see --help",
        ),
        (
            ["--scale", "wai-sr", "--min", "1"],
            UsageError,
            "error: --min and --max belong to a plain file of scores: a form knows its range\n"
            "hint: leave them out",
        ),
    ],
)
def test_a_users_mistake_is_answered_in_words(run, scores_file, arguments, kind, message):
    with pytest.raises(kind) as caught:
        run(scores_file, *arguments)
    assert str(caught.value) == message


def test_a_subscale_the_form_does_not_have_is_answered_with_those_it_has(run):
    from alliance.places import bundled

    with pytest.raises(UsageError) as caught:
        run(bundled("data") / "wai-sr-study.csv", "--scale", "wai-sr", "--column", "bonds", "--quiet")
    assert str(caught.value) == (
        "error: unknown score of wai-sr 'bonds'\nhint: did you mean 'bond'? known: bond, goal, task, total"
    )


def test_a_score_outside_the_given_range_is_refused(run, scores_file):
    with pytest.raises(DataError, match=r"score outside the given range"):
        run(scores_file, "--column", "score", "--max", "59")


def test_a_file_of_scores_that_names_its_form_is_plain_where_the_column_is_there(run, tmp_path):
    path = tmp_path / "scores.csv"
    rows = [f"demo,A,{session},{40 + session % 3}" for session in range(1, 8)]
    path.write_text("\n".join(["scale,case,session,total", *rows]) + "\n", encoding="utf-8")
    done = run(path, "--column", "total", "--format", "csv")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].split(",")[:2] == ["A", "client"]
