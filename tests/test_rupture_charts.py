"""Control charts: worked numbers, truth tables by hand, other programs' numbers and their mistakes."""

import csv
import importlib.util
import io
import json
import math
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.courses import Courses, cut
from alliance.errors import UsageError
from alliance.rupture.chart_parts import RULES, cusum, ewma, individuals_chart, parse_rules, run_rules
from alliance.rupture.charts import cusum_alarm, ewma_alarm, moving_range
from alliance.rupture.detection import Group, Run, run_of
from alliance.rupture.episodes import RepairRule
from alliance.rupture.findings import flag_columns
from alliance.rupture.parameters import parameters_of
from alliance.rupture.prior import NO_PRIOR as WITHOUT_PRIOR
from alliance.rupture.prior import Prior
from alliance.rupture.registry import METHODS, Measure
from alliance.rupture.subject import Subject
from alliance.rupture.verdict import EVALUATED, NO_PRIOR, NO_VARIATION, NOT_ENOUGH, OUTCOMES, UNSCORED

NA = np.nan
REFERENCE = Path(__file__).parent / "reference"
CASES = json.loads((REFERENCE / "rupture.json").read_text("utf-8"))["cases"]
KNOWN = json.loads((REFERENCE / "charts.json").read_text("utf-8"))
WORKED = KNOWN["worked"]
SUM = Measure(low=12, high=60, step=1, prior=Prior(df=4, sd=2, n_series=0, origin="given"))
ALONE = Measure(low=12, high=60, step=1, prior=WITHOUT_PRIOR)
A, B, E, F = "A_V", "B_decline", "E_missing", "F_step"


def course(case):
    return Courses.of([NA if score is None else score for score in CASES[case]])


def laid_out(cases, sessions=None):
    """Return courses of several cases end to end; None = not scored."""
    lengths = np.array([len(case) for case in cases], dtype=np.int64)
    sessions = sessions or [list(range(1, len(case) + 1)) for case in cases]
    return Courses(
        values=np.array([NA if score is None else score for case in cases for score in case], dtype=float),
        session=np.array([number for each in sessions for number in each], dtype=np.int64),
        starts=np.cumsum(lengths) - lengths,
    )


def points(flags):
    return (np.flatnonzero(flags) + 1).tolist()


def met_rules(courses, rule, side, **chart):
    made = individuals_chart(courses, **chart)
    return points(run_rules(courses, rule, centre=made.centre, sigma=made.sigma, side=side))


def rows_of(verdict):
    found = verdict.episodes
    return [
        (int(onset) + 1, int(end) + 1 if end >= 0 else None, OUTCOMES[outcome], int(lag))
        for onset, end, outcome, lag in zip(found.onset, found.end, found.outcome, found.lag, strict=True)
    ]


def flags_of(method, courses, measure=SUM, direction="fall", **options):
    subject = Subject(measure=measure, direction=direction)
    run = run_of(subject, method, options)
    group = Group(rater="client", place=np.arange(len(courses.starts)), total=courses)
    judged = Run(subject=subject, method=run.method, settings=run.settings, measures={"client": measure})
    names = np.array([f"C{number}" for number in range(1, len(courses.starts) + 1)], dtype=object)
    flags = flag_columns([judged.judge(group)], names)
    return list(zip(*(flags[name].tolist() for name in ("session", "finding", "reason")), strict=True))


# The individuals chart


@pytest.mark.parametrize("case", WORKED["charts"])
def test_the_chart_reproduces_the_worked_numbers(case):
    chart = individuals_chart(course(case))
    for name, expected in zip(WORKED["charts_columns"], WORKED["charts"][case], strict=True):
        np.testing.assert_allclose(getattr(chart, name), expected, atol=5e-7)
    np.testing.assert_allclose(chart.upper, 2 * chart.centre - chart.lower, atol=1e-12)


@pytest.mark.parametrize("side", ["low", "high"])
@pytest.mark.parametrize("case", [A, B, F])
def test_the_run_rules_are_broken_where_qcc_says(case, side):
    for rule, expected in WORKED[side][case].items():
        assert met_rules(course(case), rule, {"low": "lower", "high": "upper"}[side]) == expected, rule


@pytest.mark.parametrize("case", WORKED["baseline_6"])
def test_a_chart_from_the_first_six_scores_reproduces_qcc(case):
    expected = WORKED["baseline_6"][case]
    chart = individuals_chart(course(case), mode="baseline", baseline=6)
    for name in ("centre", "sigma", "lower"):
        np.testing.assert_allclose(getattr(chart, name), expected[name], atol=5e-7)
    for rule in {"WE1", "WE4"} & set(expected):
        assert met_rules(course(case), rule, "lower", mode="baseline", baseline=6) == expected[rule]


def test_a_missing_score_neither_adds_nor_bridges_a_moving_range():
    # Where one score is missing, qcc counts its two moving ranges as 0: 1.576044. Bridging gives 3.166160.
    expected = WORKED["missing"]
    chart = individuals_chart(course(expected["case"]))
    np.testing.assert_allclose(chart.sigma, expected["sigma"], atol=5e-7)
    assert chart.n_pairs.tolist() == [5] * 10
    assert chart.n_scores.tolist() == [8] * 10
    assert chart.centre[0] == pytest.approx((46 + 47 + 47 + 49 + 48 + 38 + 47 + 49) / 8)
    skipped = Courses.of([46, 47, 47, 49, 48, 38, 47, 49], sessions=[1, 2, 4, 5, 6, 7, 9, 10])
    np.testing.assert_allclose(individuals_chart(skipped).sigma, expected["sigma"], atol=5e-7)
    bridged = Courses.of([46, 47, 47, 49, 48, 38, 47, 49])
    np.testing.assert_allclose(individuals_chart(bridged).sigma, expected["bridged"], atol=5e-7)


def test_sessions_more_than_28_days_apart_make_no_moving_range():
    values = [10, 12, 20, 21]
    near = individuals_chart(Courses.of(values, days=[0, 7, 35, 42]))
    far = individuals_chart(Courses.of(values, days=[0, 7, 36, 43]))
    np.testing.assert_allclose(near.moving_range, (2 + 8 + 1) / 3)
    np.testing.assert_allclose(far.moving_range, (2 + 1) / 2)


@pytest.mark.parametrize(
    ("n", "place", "expected"),
    [(7, 3, 2.901), (8, 3, 3.454), (10, 4, 4.568), (4, 3, 2.538), (5, 4, 3.610)],
)
def test_a_noise_free_drop_is_as_far_out_as_worked_by_hand(n, place, expected):
    values = np.full(n, 50.0)
    values[place] = 40
    chart = individuals_chart(Courses.of(values))
    assert ((chart.centre - values) / chart.sigma)[place] == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("n", "expected"), [(8, 2.961), (9, 3.509)])
def test_a_noise_free_trough_of_two_sessions_is_as_far_out_as_worked_by_hand(n, expected):
    values = np.full(n, 50.0)
    values[3:5] = 40
    chart = individuals_chart(Courses.of(values))
    assert ((chart.centre - values) / chart.sigma)[3] == pytest.approx(expected, abs=5e-4)


def test_a_series_without_scores_or_pairs_has_no_chart():
    chart = individuals_chart(laid_out([[None, None], [50], [50, None, 40], []]))
    np.testing.assert_array_equal(chart.centre, [NA, NA, 50, 45, 45, 45])
    assert np.isnan(chart.sigma).all()
    assert np.isnan(chart.lower).all()
    assert chart.n_scores.tolist() == [0, 0, 1, 2, 2, 2]


def test_a_baseline_that_is_not_full_makes_no_chart():
    short = individuals_chart(laid_out([[5, 6, 7, None], [5, 6, 7, 9]]), mode="baseline", baseline=4)
    np.testing.assert_array_equal(short.centre, [NA] * 4 + [6.75] * 4)
    np.testing.assert_array_equal(short.moving_range, [NA] * 4 + [4 / 3] * 4)


# Values of other programs and published tables


def values_of(case):
    """Return the series of a case: stored, in an installed package, or in a folder that is not ours."""
    if "values" in case:
        return case["values"]
    if "package" in case:
        found = importlib.util.find_spec(case["package"])
        with tarfile.open(Path(found.origin).parent / "resources.tar.gz") as packed:
            text = io.TextIOWrapper(packed.extractfile(case["path"]), encoding="utf-8").read()
    else:
        folder = os.environ.get(case["folder"])
        if not folder:
            pytest.skip(f"{case['licence']}; {case['folder']} names no folder with {case['file']}")
        text = (Path(folder) / case["file"]).read_text(encoding="utf-8")
    return [float(row[case["column"]]) for row in csv.DictReader(io.StringIO(text))]


@pytest.mark.parametrize("case", KNOWN["imr"], ids=lambda case: case["id"])
def test_the_chart_equals_published_and_recomputed_ones(case):
    courses = Courses.of(values_of(case))
    chart = individuals_chart(courses, d2=case["d2"])
    found = {
        "n": len(courses.values),
        "center": chart.centre[0],
        "mr_bar": chart.moving_range[0],
        "sigma": chart.sigma[0],
        "lcl": chart.lower[0],
        "ucl": chart.upper[0],
    }
    expected = dict(case["expected"])
    outside = points(run_rules(courses, "WE1", centre=chart.centre, sigma=chart.sigma))
    assert outside == expected.pop("outside")
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=case["tolerance"])


@pytest.mark.parametrize("case", KNOWN["rules"], ids=lambda case: case["rule"])
def test_run_rules_equal_those_of_qcc(case):
    assert points(run_rules(Courses.of(case["z"]), case["rule"])) == case["violations"]


def test_several_rules_at_once_equal_those_of_qcc():
    # luca-scr/qcc tests/testthat/test-rules.R, precedence test.
    z = Courses.of([2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 3.2])
    expected = {"WE4": [8], "WE3": [5, 6, 7, 8], "WE2": [3, 4, 5, 6, 7, 8], "WE1": [8], "N1": [8], "N2": []}
    assert {rule: points(run_rules(z, rule)) for rule in expected} == expected


def test_cusum_signals_where_nist_does():
    case = KNOWN["cusum_nist"]
    options = {name: case[name] for name in ("target", "k", "h")}
    values = Courses.of(case["values"])
    assert points(cusum(values, side="upper", **options).signal) == case["signal_high"]
    assert points(cusum(values, **options).signal) == case["signal_low"]


def test_ewma_equals_that_of_nist():
    case = KNOWN["ewma_nist"]
    options = {name: case[name] for name in ("target", "sigma", "weight", "width")}
    chart = ewma(Courses.of(case["values"]), **options)
    np.testing.assert_allclose(chart.average, case["expected"], atol=case["tolerance"])
    # NIST prints the limits far from the start, where they stand still.
    assert chart.lower[-1] == pytest.approx(case["lcl"], abs=case["tolerance_limits"])
    assert chart.upper[-1] == pytest.approx(case["ucl"], abs=case["tolerance_limits"])


def test_cusum_equals_that_of_qcc():
    expected = WORKED["qcc_cusum"]
    chart = individuals_chart(course(expected["case"]))
    centre, sigma = chart.centre[0], chart.sigma[0]
    found = cusum(course(expected["case"]), target=centre, k=sigma / 2, h=5 * sigma)
    np.testing.assert_allclose(-found.sums / sigma, expected["lower"], atol=5e-7)
    assert points(found.signal) == [8]


def test_ewma_equals_that_of_qcc():
    expected = WORKED["qcc_ewma"]
    courses = course(expected["case"])
    chart = individuals_chart(courses, mode="baseline", baseline=expected["baseline"])
    found = ewma(courses, target=chart.centre[0], sigma=chart.sigma[0], weight=expected["weight"], width=3.0)
    np.testing.assert_allclose(found.average, expected["average"], atol=5e-7)
    np.testing.assert_allclose(found.lower, expected["lower"], atol=5e-7)


# Run rules


@pytest.mark.parametrize(
    ("rule", "z", "met"),
    [
        pytest.param("WE1", [-3, -3 - 1e-10, -3 - 1e-6, 3, 4], [3], id="on the 3-sigma line is not beyond"),
        pytest.param("WE2", [-2.1, 0, -2.1], [3], id="2 of 3 with one between"),
        pytest.param("WE2", [-2.1, 0, 0, -2.1], [], id="2 of 4 is not 2 of 3"),
        pytest.param("WE2", [-2.1, -2.1, 0], [], id="this session must be one of the two"),
        pytest.param("WE2", [-2.1, -2.1], [], id="2 of 2 sessions are not yet 2 of 3"),
        pytest.param("WE2", [NA, -2.1, -2.1], [], id="sessions count from the first score on"),
        pytest.param("WE2", [0, -2.1, -2.1, 0], [3], id="2 in a row of 3"),
        pytest.param("WE2", [-2.1, 2.1, -1.9], [], id="both sides do not add up"),
        pytest.param("WE2", [-2, -2, -2], [], id="on the 2-sigma line"),
        pytest.param("WE2", [-2.1, NA, -2.1], [3], id="whatever the missing score was, 2 of 3 hold"),
        pytest.param("WE3", [-1.1, -1.1, 0, -1.1, -1.1], [5], id="4 of 5"),
        pytest.param("WE3", [-1.1, -1.1, -1.1, -1.1], [], id="4 of 4 sessions are not yet 4 of 5"),
        pytest.param("WE3", [0, -1.1, -1.1, -1.1, -1.1], [5], id="4 in a row of 5"),
        pytest.param("WE3", [-1.1, -1.1, 0, 0, -1.1, -1.1], [], id="4 of 6 is not 4 of 5"),
        pytest.param("WE3", [-1.1, -1.1, -1.1, 0, -0.9], [], id="3 of 5"),
        pytest.param("WE3", [-1, -1.1, -1.1, -1.1], [], id="on the 1-sigma line"),
        pytest.param("WE3", [-1.1, -1.1, NA, -1.1, -1.1], [5], id="4 of 5 with one missing"),
        pytest.param("WE4", [-0.1] * 7, [], id="7 in a row"),
        pytest.param("WE4", [-0.1] * 8, [8], id="8 in a row from the very start"),
        pytest.param("WE4", [0.1, *[-0.1] * 8], [9], id="8 in a row later"),
        pytest.param("WE4", [-0.1] * 10, [8, 9, 10], id="and on"),
        pytest.param("WE4", [*[-0.1] * 4, 0, *[-0.1] * 4], [], id="a score on the centre ends the run"),
        pytest.param("WE4", [*[-0.1] * 4, NA, *[-0.1] * 4], [], id="a missing score ends the run"),
        pytest.param("WE4", [*[-0.1] * 4, 0.1, *[-0.1] * 7], [], id="a score above the centre ends the run"),
        pytest.param("N1", [-3.1], [1], id="as WE1"),
        pytest.param("N2", [-0.1] * 9, [9], id="9 in a row"),
        pytest.param("N2", [-0.1] * 8, [], id="8 in a row"),
        pytest.param("N3", [5, 4, 3, 2, 1, 0, -1], [6, 7], id="6 steadily falling"),
        pytest.param("N3", [5, 4, 3, 2, 1], [], id="5 steadily falling"),
        pytest.param("N3", [5, 4, 3, 2, 2, 1, 0], [], id="a tie ends the trend"),
        pytest.param("N3", [5, 4, 3, NA, 2, 1, 0], [], id="a missing score ends the trend"),
        pytest.param("N3", [5, 4, 3, 2, 1, 1 - 1e-10], [], id="rounding is no fall"),
    ],
)
def test_run_rules_follow_the_truth_table_on_either_side(rule, z, met):
    z = np.array(z, dtype=float)
    upper = [4, 5] if rule == "WE1" and len(z) == 5 else []
    assert points(run_rules(Courses.of(z), rule, side="lower")) == met
    assert points(run_rules(Courses.of(-z), rule, side="upper")) == met
    if rule != "WE1":
        assert points(run_rules(Courses.of(z), rule, side="upper")) == []
    assert points(run_rules(Courses.of(z), rule)) == (met if not upper else [3, 5])


def test_skipped_sessions_and_long_gaps_take_their_place_in_a_run():
    low = [-2.1, -2.1]
    for sessions, met in (([1, 2], []), ([1, 3], [2]), ([1, 4], [])):
        assert points(run_rules(Courses.of(low, sessions=sessions), "WE2")) == met
    assert points(run_rules(Courses.of([-1.0] * 8, sessions=[1, 2, 3, 4, 6, 7, 8, 9]), "WE4")) == []
    days = [0, 7, 14, 21, 50, 57, 64, 71]
    assert points(run_rules(Courses.of([-1.0] * 8, days=days), "WE4")) == []
    assert points(run_rules(Courses.of([-1.0] * 8, days=[*days[:4], 49, 56, 63, 70]), "WE4")) == [8]


def test_a_run_does_not_go_on_from_one_case_to_the_next():
    two = laid_out([[-0.5] * 5, [-0.5] * 5], [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
    assert not run_rules(two, "WE4").any()
    skipped = laid_out([[-2.1], [0, -2.1]], [[5], [1, 3]])
    assert not run_rules(skipped, "WE2").any()
    falling = laid_out([[6, 5, 4], [3, 2, 1]], [[1, 2, 3], [4, 5, 6]])
    assert not run_rules(falling, "N3").any()


@settings(deadline=None, max_examples=80)
@given(z=st.lists(st.one_of(st.none(), st.integers(-8, 8)), max_size=25), rule=st.sampled_from(list(RULES)))
def test_run_rules_equal_a_reading_session_by_session(z, rule):
    found = run_rules(laid_out([[None if each is None else each / 2 for each in z]]), rule, side="lower")
    scores = [NA if each is None else each / 2 for each in z]
    assert points(found) == [
        n + 1 for n in range(len(z)) if slow_rule(dict(enumerate(scores)), n, rule, 0, 1)
    ]


def slow_rule(scores, now, rule, centre, sigma):
    """Tell from the words of a rule whether it is met at session `now`; `scores` by session."""

    def below(session, lines):
        return scores.get(session, NA) < centre - lines * sigma - 1e-9

    if rule in {"WE1", "N1"}:
        return below(now, 3)
    first = min((session for session, score in scores.items() if score == score), default=now)  # noqa: PLR0124
    if rule in {"WE2", "WE3"} and now - first < {"WE2": 2, "WE3": 4}[rule]:
        return False
    if rule == "WE2":
        return below(now, 2) and (below(now - 1, 2) or below(now - 2, 2))
    if rule == "WE3":
        return below(now, 1) and sum(below(now - back, 1) for back in (1, 2, 3, 4)) >= 3
    if rule == "N3":
        return all(scores.get(now - b, NA) < scores.get(now - b - 1, NA) - 1e-9 for b in range(5))
    return all(below(now - back, 0) for back in range(8 if rule == "WE4" else 9))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1", ["WE1"]),
        ("1-4", ["WE1", "WE2", "WE3", "WE4"]),
        ("1,2", ["WE1", "WE2"]),
        ("WE1,N3", ["WE1", "N3"]),
        ("1-4,N2", ["WE1", "WE2", "WE3", "WE4", "N2"]),
        ("n1-3", ["N1", "N2", "N3"]),
        ("WE2-WE3", ["WE2", "WE3"]),
        ("3-3", ["WE3"]),
        (" we4 , 1 ", ["WE4", "WE1"]),
        ("2,1-2,WE2", ["WE2", "WE1"]),
    ],
)
def test_rules_are_read_as_they_are_written(text, names):
    assert list(parse_rules(text)) == names


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("5", "5"),
        ("N4", "N4"),
        ("1-5", "1-5"),
        ("4-1", "4-1"),
        ("WE1-N3", "WE1-N3"),
        ("1;2", "1;2"),
        ("1,", ""),
        ("", ""),
        ("0", "0"),
        ("1,west", "WEST"),
    ],
)
def test_an_unknown_rule_is_answered_with_the_known_ones(text, part):
    with pytest.raises(UsageError) as caught:
        moving_range(Courses.of([1.0]), SUM, rules=text)
    assert str(caught.value) == (
        f"error: unknown run rule '{part}'\n"
        "hint: known: 1 to 4 or WE1 to WE4 (Western Electric), N1 to N3 (Nelson), such as 1-4 or WE1,N3"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: individuals_chart(c, mode="all"), "mode must be one of whole, baseline, got 'all'"),
        (
            lambda c: individuals_chart(c, mode="baseline", baseline=0),
            "baseline must be at least 1, got 0",
        ),
        (lambda c: individuals_chart(c, d2=0.0), "d2 must be above 0, got 0.0"),
        (
            lambda c: run_rules(c, "WE5"),
            "rule must be one of WE1, WE2, WE3, WE4, N1, N2, N3, got 'WE5'",
        ),
        (lambda c: run_rules(c, "WE1", side="left"), "side must be one of lower, upper, both, got 'left'"),
        (
            lambda c: cusum(c, target=0, k=1, h=1, side="both"),
            "side must be one of lower, upper, got 'both'",
        ),
        (
            lambda c: ewma(c, target=0, sigma=1, weight=0),
            "weight must be above 0 and at most 1, got 0",
        ),
        (
            lambda c: ewma(c, target=0, sigma=1, weight=1.1),
            "weight must be above 0 and at most 1, got 1.1",
        ),
    ],
)
def test_a_callers_mistake_names_argument_bound_and_value(call, message):
    with pytest.raises(ValueError, match="must be") as caught:
        call(Courses.of([1.0, 2.0]))
    assert str(caught.value) == message


# moving-range


def test_the_whole_chart_flags_the_worked_sessions():
    assert points(moving_range(course(A), SUM).met == 1) == [7]
    assert points(moving_range(course(B), SUM).met == 1) == [10, 11, 12]
    assert points(moving_range(course(F), SUM).met == 1) == []
    assert points(moving_range(course(F), SUM, rules="1-4").met == 1) == [8, 10, 11, 12]
    assert points(moving_range(course(B), SUM, rules="N3").met == 1) == [9, 10, 11, 12]


def test_the_baseline_chart_flags_the_worked_sessions_after_its_baseline():
    options = {"mode": "baseline", "baseline": 6}
    assert points(moving_range(course(A), SUM, **options).met == 1) == [7, 8]
    assert points(moving_range(course(B), SUM, **options).met == 1) == [7, 8, 9, 10, 11, 12]
    assert points(moving_range(course(B), SUM, rules="4", **options).met == 1) == [12]
    verdict = moving_range(course(F), SUM, **options)
    np.testing.assert_array_equal(verdict.met, [NA] * 6 + [1] * 6)
    np.testing.assert_allclose(verdict.limit[6:], 44.276596, atol=5e-7)
    assert np.isnan(verdict.limit[:6]).all()
    assert verdict.n_reference.tolist() == [0] * 6 + [6] * 6
    assert points(moving_range(course(B), SUM, **options).details["WE1"]) == [7, 8, 9, 10, 11, 12]
    assert points(moving_range(Courses.of([50, 51, 50, 40]), SUM, mode="baseline", baseline=3).met == 1) == [
        4
    ]


def test_the_numbers_of_a_verdict_are_those_of_the_chart():
    verdict = moving_range(course(A), SUM)
    centre, sigma = 46.583333, 2.337202
    np.testing.assert_allclose(
        verdict.statistic[[6, 10]], [(38 - centre) / sigma, (50 - centre) / sigma], atol=1e-6
    )
    np.testing.assert_allclose(verdict.limit, 39.571728, atol=5e-7)
    np.testing.assert_allclose(verdict.reference, centre, atol=5e-7)
    np.testing.assert_allclose(verdict.sigma, sigma, atol=5e-7)
    assert np.isnan(verdict.df).all()
    assert (verdict.needed, verdict.counted) == (10, "scores")
    assert verdict.n_reference.tolist() == [12] * 12


STEADY = [50, 51, 50, 51, 50]


@pytest.mark.parametrize(
    ("sessions", "scores", "met"),
    [
        # Baseline 50 51 50 51 50: centre 50.4, moving range 1, sigma 0.8865, limit 47.7404.
        pytest.param(None, [*STEADY, 47.75], [0], id="just above the limit"),
        pytest.param(None, [*STEADY, 47.73], [1], id="just below it"),
        pytest.param(None, [*STEADY, 60], [0], id="a rise is no rupture"),
        pytest.param(None, [*STEADY, NA, 40], [NA, 1], id="unscored form"),
        pytest.param([1, 2, 3, 4, 5, 9], [*STEADY, 40], [1], id="skipped sessions after the baseline"),
        pytest.param([1, 2, 3, 4, 6, 7], [*STEADY, 40], [1], id="three neighbour pairs are enough"),
        pytest.param([1, 2, 3, 5, 7, 8], [*STEADY, 40], [NA], id="two are not"),
        pytest.param(None, [50, 50, 50, 50, 50, 40], [NA], id="no variation"),
        pytest.param(None, [*STEADY], [], id="the baseline alone"),
        pytest.param(None, [50, NA, 51, 50, 51], [], id="four scores"),
    ],
)
def test_the_baseline_chart_follows_the_truth_table(sessions, scores, met):
    verdict = moving_range(Courses.of(scores, sessions=sessions), SUM, mode="baseline")
    np.testing.assert_array_equal(verdict.met[5:], met)
    assert np.isnan(verdict.met[:5]).all()


def test_the_baseline_is_the_first_scores_wherever_they_are():
    verdict = moving_range(Courses.of([NA, 50, 51, 50, NA, 51, 50, 51, NA, 40]), SUM, mode="baseline")
    np.testing.assert_array_equal(verdict.met, [NA] * 7 + [0, NA, 1])
    assert verdict.reference[9] == pytest.approx(50.4)


TEN = [50, 51, 50, 51, 50, 51, 50, 51, 50, 30]


@pytest.mark.parametrize(
    ("sessions", "scores", "met"),
    [
        # Mean 48.4, moving ranges 1 x 8 and 20: mean 28/9, sigma 2.7581, limit 40.13.
        pytest.param(None, TEN, [0] * 9 + [1], id="ten scores"),
        pytest.param(None, [*TEN[:9], NA], [NA] * 10, id="nine scores"),
        pytest.param(None, [*TEN, NA], [0] * 9 + [1, NA], id="unscored form"),
        pytest.param(list(range(1, 20, 2)), TEN, [NA] * 10, id="no neighbours"),
        pytest.param([1, 2, 3, 4, 6, 8, 10, 12, 14, 16], TEN, [0] * 9 + [1], id="three neighbour pairs"),
        pytest.param([1, 2, 3, 5, 7, 9, 11, 13, 15, 17], TEN, [NA] * 10, id="two neighbour pairs"),
        pytest.param(None, [50] * 10, [NA] * 10, id="no variation"),
        pytest.param([1, 2, 3, 4, 5, 7, 8, 9, 10, 11], [50] * 5 + [40] * 5, [NA] * 10, id="none in a row"),
        pytest.param([1], [6.0], [NA], id="one session"),
        pytest.param([1, 2], [6.0, 5.0], [NA, NA], id="two sessions"),
        pytest.param([], [], [], id="no session"),
        pytest.param(None, [NA] * 12, [NA] * 12, id="nothing scored"),
    ],
)
def test_the_whole_chart_follows_the_truth_table(sessions, scores, met):
    verdict = moving_range(Courses.of(scores, sessions=sessions), SUM)
    np.testing.assert_array_equal(verdict.met, met)


def test_a_score_on_the_limit_is_no_flag_and_one_below_it_is():
    limit = moving_range(Courses.of([*STEADY, 40]), SUM, mode="baseline").limit[5]
    assert limit == pytest.approx(50.4 - 3 / 1.128)
    for distance, met in ((0.0, 0), (-1e-10, 0), (-1e-6, 1)):
        assert moving_range(Courses.of([*STEADY, limit + distance]), SUM, mode="baseline").met[5] == met


def test_no_verdict_comes_with_its_reason():
    cases = [[50] * 10, TEN, TEN[:5], [None, *TEN[1:]], [None]]
    state = moving_range(laid_out(cases), SUM).state.tolist()
    nine = [UNSCORED] + [NOT_ENOUGH] * 9
    assert state == [NO_VARIATION] * 10 + [EVALUATED] * 10 + [NOT_ENOUGH] * 5 + nine + [UNSCORED]
    frozen = moving_range(
        laid_out([[50] * 5 + [40, None], [*STEADY, 50]]), SUM, mode="baseline"
    ).state.tolist()
    begun = [NOT_ENOUGH] * 5
    assert frozen == [*begun, NO_VARIATION, UNSCORED, *begun, EVALUATED]


def test_scores_that_differ_by_rounding_only_do_not_vary():
    values = np.tile([0.1 + 0.2, 0.3], 6)
    assert (moving_range(Courses.of(values), SUM).state == NO_VARIATION).all()
    assert (moving_range(Courses.of(values), SUM, mode="baseline").state[5:] == NO_VARIATION).all()


def test_points_above_the_chart_are_listed_and_not_flagged():
    verdict = moving_range(course(B), SUM)
    assert {name: (rows + 1).tolist() for name, rows in verdict.listed.items()} == {"high": [1, 2, 3, 4]}
    with_runs = moving_range(course(B), SUM, rules="1-3")
    assert (with_runs.listed["high"] + 1).tolist() == [1, 2, 3, 4, 5, 6]
    frozen = moving_range(Courses.of([60, 50, 51, 50, 51, 60, 99]), SUM, mode="baseline", baseline=5)
    assert (frozen.listed["high"] + 1).tolist() == [7]
    assert moving_range(Courses.of([50] * 9 + [60]), SUM).listed["high"].tolist() == [9]


def test_an_upper_run_in_a_series_without_a_verdict_is_not_listed():
    assert moving_range(Courses.of([10, *[50] * 8]), SUM, rules="1-4").listed["high"].tolist() == []


@settings(deadline=None, max_examples=60)
@given(case=st.lists(st.one_of(st.none(), st.integers(12, 60)), min_size=1, max_size=20))
def test_the_baseline_chart_never_changes_when_later_sessions_arrive(case):
    courses = laid_out([case])
    whole = moving_range(courses, SUM, mode="baseline", rules="1-4,N2-3")
    for row in range(len(case)):
        so_far = moving_range(cut(courses, row), SUM, mode="baseline", rules="1-4,N2-3")
        for field in ("met", "limit", "statistic", "state"):
            np.testing.assert_array_equal(getattr(so_far, field), getattr(whole, field)[: row + 1])


def test_the_whole_chart_does_change_when_later_sessions_arrive():
    values = [50, 51, 50, 51, 50, 51, 50, 51, 50, 46, *[40, 41] * 6]
    assert moving_range(Courses.of(values[:10]), SUM).met[9] == 1
    assert moving_range(Courses.of(values), SUM).met[9] == 0
    assert METHODS["moving-range"].online is False


# cusum and ewma


@pytest.mark.parametrize("case", [A, B, F])
def test_cusum_reproduces_the_worked_numbers(case):
    expected = WORKED["cusum"][case]
    verdict = cusum_alarm(course(case), SUM)
    sums = expected["sums"]
    np.testing.assert_allclose(-verdict.statistic[5 : 5 + len(sums)], sums, atol=5e-5)
    np.testing.assert_allclose(verdict.reference[5:], expected["centre"], atol=1e-12)
    np.testing.assert_allclose(verdict.sigma[5:], expected["sigma"], atol=5e-5)
    assert points(verdict.met == 1) == expected["flagged"]
    np.testing.assert_array_equal(verdict.met[:5], [NA] * 5)
    assert np.isnan(verdict.statistic[:5]).all()
    assert np.isnan(verdict.limit[:5]).all()


@pytest.mark.parametrize("case", [A, B, F])
def test_ewma_reproduces_the_worked_numbers(case):
    expected = WORKED["ewma"][case]
    verdict = ewma_alarm(course(case), SUM)
    assert points(verdict.met == 1) == expected["flagged"]
    assert np.isnan(verdict.met[:5]).all()
    average, limits = expected.get("average", []), expected.get("limits", [])
    np.testing.assert_allclose(verdict.details["average"][5 : 5 + len(average)], average, atol=5.1e-5)
    np.testing.assert_allclose(verdict.details["lower"][5 : 5 + len(limits)], limits, atol=5e-5)


def test_ewma_with_a_known_centre_has_the_narrower_limits_of_textbooks():
    # After one and two scores: weight .3, so .3 sigma and sqrt(.09 + .0441) sigma.
    verdict = ewma_alarm(course(B), SUM, known_centre=True)
    np.testing.assert_allclose(
        verdict.details["lower"][5:7], 49.2 - 2.7 * 1.5560 * np.sqrt([0.09, 0.1341]), atol=2e-4
    )
    assert points(verdict.met == 1) == [8, 9, 10, 11, 12]


@pytest.mark.parametrize("alarm", [cusum_alarm, ewma_alarm])
@pytest.mark.parametrize(
    ("sessions", "scores", "met"),
    [
        pytest.param(None, [*STEADY, 49], [0], id="falls within noise"),
        pytest.param(None, [*STEADY, 30], [1], id="falls far"),
        pytest.param(None, [*STEADY, 60], [0], id="a rise is no rupture"),
        pytest.param(None, [*STEADY, NA, 30], [NA, 1], id="unscored form"),
        pytest.param([1, 3, 5, 7, 9, 20], [*STEADY, 30], [1], id="skipped sessions: the prior alone tells"),
        pytest.param(None, [50] * 5 + [30], [1], id="no variation: the prior tells"),
        pytest.param(None, STEADY, [], id="the baseline alone"),
        pytest.param(None, [50, 20, NA], [], id="two scores"),
        pytest.param(None, [50], [], id="one session"),
        pytest.param(None, [], [], id="no session"),
        pytest.param(None, [NA] * 8, [NA] * 3, id="nothing scored"),
    ],
)
def test_cusum_and_ewma_follow_the_truth_table(alarm, sessions, scores, met):
    verdict = alarm(Courses.of(scores, sessions=sessions), SUM)
    np.testing.assert_array_equal(verdict.met[5:], met)
    assert np.isnan(verdict.met[:5]).all()


def test_the_sum_and_the_average_stay_as_they_are_over_a_missing_session():
    with_gap, without = Courses.of([*STEADY, 45, NA, 44, 43]), Courses.of([*STEADY, 45, 44, 43])
    for alarm in (cusum_alarm, ewma_alarm):
        found = alarm(with_gap, SUM).statistic
        assert np.isnan(found[6])
        np.testing.assert_array_equal(np.delete(found, 6), alarm(without, SUM).statistic)


@pytest.mark.parametrize(
    "alarm",
    [
        pytest.param(cusum_alarm, id="cusum"),
        pytest.param(ewma_alarm, id="ewma"),
    ],
)
def test_the_limit_is_the_score_below_which_a_session_is_flagged(alarm):
    before = [*STEADY, 48, 47]
    limit = alarm(Courses.of([*before, 30]), SUM).limit[7]
    for distance, met in ((1e-6, 0), (0.0, 0), (-1e-11, 0), (-1e-6, 1)):
        assert alarm(Courses.of([*before, limit + distance]), SUM).met[7] == met


def test_cusum_stops_at_h_and_not_before():
    chart = cusum(Courses.of([9, 9, 9]), target=10, k=0.5, h=1)
    np.testing.assert_array_equal(chart.sums, [0.5, 1.0, 1.5])
    np.testing.assert_array_equal(chart.before, [0, 0.5, 1.0])
    assert chart.signal.tolist() == [False, False, True]


def test_cusum_knows_where_a_decline_began():
    chart = cusum(Courses.of([10, 9, 9, 11, 9, NA, 9]), target=10, k=0, h=1)
    np.testing.assert_array_equal(chart.sums, [0, 1, 2, 1, 2, NA, 3])
    assert chart.onset.tolist() == [-1, 1, 1, 1, 1, -1, 1]
    again = cusum(Courses.of([9, 12, 9.9, 9]), target=10, k=0, h=1)
    assert again.onset.tolist() == [0, -1, 2, 2]
    at_once = cusum(Courses.of([9, 9]), target=10, k=0, h=1)
    assert at_once.onset.tolist() == [0, 0]
    rounded = cusum(Courses.of([10 - 0.3, 9]), target=10 - 0.1 - 0.2, k=0, h=1)
    assert rounded.sums[0] > 0
    assert rounded.onset.tolist() == [-1, 1]


def test_without_a_prior_cusum_and_ewma_say_nothing_however_many_scores_there_are():
    for alarm in (cusum_alarm, ewma_alarm):
        verdict = alarm(laid_out([CASES[B], [50, None]]), ALONE)
        assert np.isnan(verdict.met).all()
        assert verdict.state.tolist() == [NO_PRIOR] * 13 + [UNSCORED]
        assert np.isnan(verdict.limit).all()
        assert np.isnan(verdict.statistic).all()


def test_a_spread_of_zero_is_no_variation():
    flat = Measure(prior=Prior(df=4, sd=0.0, n_series=6, origin="pooled"))
    for alarm in (cusum_alarm, ewma_alarm):
        state = alarm(laid_out([[5] * 6, [5, 6, 5, 6, 5, 6]]), flat).state.tolist()
        assert state == [NOT_ENOUGH] * 5 + [NO_VARIATION] + [NOT_ENOUGH] * 5 + [EVALUATED]


def test_the_spread_has_a_floor_of_one_rounding_step():
    # Flat baseline: variance (4 * 4 + 32/11 * 1/12) / (4 + 32/11).
    expected = math.sqrt((16 + 32 / 11 / 12) / (4 + 32 / 11))
    for alarm in (cusum_alarm, ewma_alarm):
        assert alarm(Courses.of([50] * 6), SUM).sigma[5] == pytest.approx(expected, rel=1e-12)


# Episodes


def test_a_whole_chart_opens_and_heals_an_episode():
    assert rows_of(moving_range(course(A), SUM)) == [(7, 9, "repaired", 2)]
    found = moving_range(course(A), SUM).episodes
    assert found.reference.tolist() == [pytest.approx(46.583333, abs=5e-7)]
    assert found.sigma.tolist() == [pytest.approx(2.337202, abs=5e-7)]
    assert found.nadir.tolist() == [38]


def test_an_alarm_that_outlasts_its_repair_opens_no_second_episode():
    # The sum is above 5 from session 7 to 10; the score is back at session 9.
    assert rows_of(cusum_alarm(course(A), SUM)) == [(7, 9, "repaired", 2)]
    assert rows_of(ewma_alarm(course(A), SUM)) == [(7, 9, "repaired", 2)]
    runs = moving_range(Courses.of([*STEADY, *[50.3] * 9]), SUM, mode="baseline", rules="4")
    assert points(runs.met == 1) == [12, 13, 14]
    assert rows_of(runs) == [(12, 13, "repaired", 1)]


def test_a_lasting_fall_is_one_unrepaired_episode_and_a_new_alarm_a_second_one():
    lasting = [*STEADY, *[40] * 9]
    assert rows_of(moving_range(Courses.of(lasting), SUM, mode="baseline")) == [(6, 12, "unrepaired", -1)]
    healed = [*STEADY, 40, 50, None, 40, None, 40, 50]
    expected = [(6, 7, "repaired", 1), (9, 12, "repaired", 2)]
    assert rows_of(moving_range(laid_out([healed]), SUM, mode="baseline")) == expected


def test_alarms_of_one_case_do_not_join_those_of_the_next():
    two = laid_out([[*STEADY, 30], [*STEADY, 30]])
    for verdict in (moving_range(two, SUM, mode="baseline"), cusum_alarm(two, SUM), ewma_alarm(two, SUM)):
        assert rows_of(verdict) == [(6, None, "censored", -1), (12, None, "censored", -1)]
    short = laid_out([[30, *[50, 51] * 5], TEN, [30, *[50, 51] * 5]])
    assert rows_of(moving_range(short, SUM))[1:] == [(21, None, "censored", -1), (22, 23, "repaired", 1)]


def test_a_repair_rule_is_obeyed():
    late = RepairRule(in_time=1)
    for verdict in (
        moving_range(course(A), SUM, repair=late),
        cusum_alarm(course(A), SUM, repair=late),
        ewma_alarm(course(A), SUM, repair=late),
    ):
        assert rows_of(verdict) == [(7, 9, "late", 2)]


def test_a_flag_was_compared_with_the_baseline():
    courses = laid_out([[None, *STEADY, None, 30], [*STEADY, 30]])
    for verdict in (
        moving_range(courses, SUM, mode="baseline"),
        cusum_alarm(courses, SUM),
        ewma_alarm(courses, SUM),
    ):
        assert verdict.window.tolist() == [[1, 2, 3, 4, 5], [8, 9, 10, 11, 12]]
    assert moving_range(course(A), SUM).window.shape == (1, 0)


# What is told


def test_a_flag_on_a_chart_says_which_rules_it_breaks():
    chart = "on a chart of all 12 scores (centre 46.58, SD 2.34)"
    assert flags_of("moving-range", course(A), rules="1-4") == [
        (7, "rupture", f"scored 38.00 {chart}: below the limit 39.57 (WE1)"),
        (8, "rupture", f"scored 41.00 {chart}: 2 of 3 sessions below 41.91 (WE2)"),
        (9, "repair", "back to 47.00, close to the 46.58 from before the rupture at session 7; "
         "scored sessions until then: 2"),
    ]  # fmt: skip


def test_several_broken_rules_are_named_one_after_the_other():
    found = flags_of("moving-range", course(B), mode="baseline", baseline=6, rules="1,4,N3")
    assert found[-1] == (
        12,
        "rupture",
        "scored 41.00 on a chart of the first 6 scores (centre 48.83, SD 0.53): below the limit 47.24 (WE1); "
        "8 sessions in a row below the centre (WE4); 6 scores in a row falling (N3)",
    )


def test_a_point_above_the_chart_is_told_as_high():
    found = flags_of("moving-range", course(B))
    assert next(row for row in found if row[1] == "high") == (1, "high", "scored 50.00: listed, not flagged")


def test_rises_are_told_as_rises():
    turned = Courses.of(72 - np.array(CASES[A], dtype=float))
    first = flags_of("moving-range", turned, direction="rise")[0]
    assert first == (
        7,
        "rise",
        "scored 34.00 on a chart of all 12 scores (centre 25.42, SD 2.34): above the limit 32.43 (WE1)",
    )
    low = flags_of("moving-range", Courses.of(72 - np.array(CASES[B], dtype=float)), direction="rise")
    assert [session for session, finding, _ in low if finding == "low"] == [1, 2, 3, 4]
    prior = "prior SD 2, df 4, from the given SD"
    assert flags_of("cusum", turned, direction="rise")[0] == (
        7,
        "rise",
        "scored 34.00; cumulative sum 5.24 above 5, rising since session 7 "
        f"(first 5 scores: mean 24.60, SD 1.64); {prior}",
    )
    assert flags_of("ewma", turned, direction="rise")[0] == (
        7,
        "rise",
        "scored 34.00; moving average 27.29 above its limit 26.51 (first 5 scores: mean 24.60, SD 1.64); "
        f"{prior}",
    )


def test_a_cusum_flag_says_since_when_the_scores_fall():
    prior = "prior SD 2, df 4, from the given SD"
    assert flags_of("cusum", course(B))[0] == (
        9,
        "rupture",
        "scored 44.00; cumulative sum 7.51 above 5, falling since session 6 "
        f"(first 5 scores: mean 49.20, SD 1.56); {prior}",
    )
    gaps = Courses.of([*STEADY, 51, 30], sessions=[2, 3, 4, 5, 6, 9, 12])
    assert "above 2.5, falling since session 12 (" in flags_of("cusum", gaps, h=2.5)[0][2]


def test_an_ewma_flag_names_the_average_and_its_limit():
    assert flags_of("ewma", course(B))[0] == (
        8,
        "rupture",
        "scored 45.00; moving average 46.94 below its limit 47.13 (first 5 scores: mean 49.20, SD 1.56); "
        "prior SD 2, df 4, from the given SD",
    )


@pytest.mark.parametrize(
    ("method", "scores", "measure", "options", "reason"),
    [
        ("moving-range", [50] * 9, SUM, {}, "9 of 10 scores"),
        ("moving-range", [50] * 10, SUM, {}, "no variation"),
        ("moving-range", [50, 50, None] * 5, SUM, {}, "no variation"),
        (
            "moving-range",
            [50, 51, None] * 4,
            SUM,
            {"mode": "baseline", "baseline": 8},
            "7 of 8 earlier scores",
        ),
        ("moving-range", [50, None] * 7, SUM, {"mode": "baseline"}, "too few scored sessions in a row"),
        ("cusum", STEADY, SUM, {}, "4 of 5 earlier scores"),
        ("ewma", [None], SUM, {}, "0 of 5 earlier scores"),
        (
            "cusum",
            STEADY * 3,
            ALONE,
            {},
            "no caseload prior and no within-person SD, and own sessions alone are too few",
        ),
        (
            "ewma",
            STEADY,
            ALONE,
            {},
            "no caseload prior and no within-person SD, and own sessions alone are too few",
        ),
    ],
)
def test_a_series_without_a_verdict_is_told_why(method, scores, measure, options, reason):
    found = flags_of(method, laid_out([scores]), measure, **options)
    expected = [(len(scores), "not enough data", f"not enough data: {reason}")]
    assert found == expected


@pytest.mark.parametrize("name", ["moving-range", "cusum", "ewma"])
def test_the_parameters_are_those_of_the_table(name):
    judge = METHODS[name].judge
    own = [each for each in parameters_of(name) if each.methods]
    assert judge.__kwdefaults__ == {each.name: each.default for each in own} | {"repair": None}


# Against slow and independent readings of the formulas


def some_cases(seed, n_cases=150):
    """Return random cases with gaps and missing scores, their sessions, and the courses."""
    rng = np.random.default_rng(seed)
    cases, sessions = [], []
    for _ in range(n_cases):
        n = int(rng.integers(0, 30))
        level = np.cumsum(rng.normal(0, rng.choice([0.0, 1.0]), n)) + 45
        scores = np.rint(level + rng.normal(0, rng.choice([0.5, 2.0, 5.0]), n))
        cases.append([None if rng.random() < 0.15 else float(score) for score in scores])
        sessions.append(np.cumsum(1 + (rng.random(n) < 0.1)).tolist())
    return cases, sessions, laid_out(cases, sessions)


def slow_mean(values):
    return sum(values) / len(values)


def slow_chart(scores, mode, rules):
    """Return for each scored session its verdict, z and limit; `scores` by session, None = no chart."""
    known = {session: score for session, score in scores.items() if score is not None}
    used = dict(list(known.items())[: 5 if mode == "baseline" else None])
    ranges = [abs(used[s] - used[s - 1]) for s in used if s - 1 in used]
    short = len(known) < 10 if mode == "whole" else len(known) < 6
    if short or len(ranges) < 3 or slow_mean(ranges) == 0:
        return {}
    centre, sigma = slow_mean(list(used.values())), slow_mean(ranges) / 1.128
    told = {}
    for session in list(known)[5 if mode == "baseline" else 0 :]:
        met = any(slow_rule(known, session, rule, centre, sigma) for rule in rules)
        told[session] = (float(met), (known[session] - centre) / sigma, centre - 3 * sigma)
    return told


def slow_alarm(scores, method, centre_known=False):
    """Return for each scored session after the baseline its verdict, statistic and centre."""
    known = {session: score for session, score in scores.items() if score is not None}
    if len(known) < 6:
        return {}
    first = dict(list(known.items())[:5])
    changes = [first[s] - first[s - 1] for s in first if s - 1 in first]
    k = len(changes)
    own, nu = (sum(c * c for c in changes) / (2 * k), 2 * k * k / (3 * k - 1)) if k else (0.0, 0.0)
    sigma = math.sqrt((4 * 2**2 + nu * max(own, 1 / 12)) / (4 + nu))
    centre = slow_mean(list(first.values()))
    total, average, told = 0.0, centre, {}
    for i, session in enumerate(list(known)[5:], 1):
        total = max(0.0, total - (known[session] - centre) / sigma - 0.5)
        average = 0.3 * known[session] + 0.7 * average
        spread = 0.3 / 1.7 * (1 - 0.7 ** (2 * i)) + (0 if centre_known else (1 - 0.7**i) ** 2 / 5)
        error = sigma * math.sqrt(spread)
        if method == "cusum":
            told[session] = (float(total > 5 + 1e-9), -total, centre)
        else:
            told[session] = (float(average < centre - 2.7 * error - 1e-9), (average - centre) / error, centre)
    return told


def compare(told, verdict, third, cases, sessions):
    row = 0
    for case, numbers in zip(cases, sessions, strict=True):
        expected = told(dict(zip(numbers, case, strict=True)))
        for session in numbers:
            met, statistic, other = expected.get(session, (NA, NA, NA))
            np.testing.assert_equal(verdict.met[row], met)
            assert verdict.statistic[row] == pytest.approx(statistic, abs=1e-9, nan_ok=True)
            assert third[row] == pytest.approx(other, abs=1e-9, nan_ok=True)
            row += 1
    assert row == len(verdict.met)


@pytest.mark.parametrize("mode", ["whole", "baseline"])
@pytest.mark.parametrize("rules", ["1", "1-4", "N1-3"])
def test_moving_range_equals_a_slow_reading_of_the_formulas(mode, rules):
    cases, sessions, courses = some_cases(3)
    verdict = moving_range(courses, SUM, mode=mode, rules=rules)
    compare(
        lambda scores: slow_chart(scores, mode, parse_rules(rules)), verdict, verdict.limit, cases, sessions
    )
    assert (verdict.met == 1).sum() > 20


@pytest.mark.parametrize("method", ["cusum", "ewma", "ewma, known centre"])
def test_cusum_and_ewma_equal_a_slow_reading_of_the_formulas(method):
    cases, sessions, courses = some_cases(4)
    known = method.endswith("centre")
    verdict = cusum_alarm(courses, SUM) if method == "cusum" else ewma_alarm(courses, SUM, known_centre=known)
    compare(lambda scores: slow_alarm(scores, method, known), verdict, verdict.reference, cases, sessions)
    assert (verdict.met == 1).sum() > 20


@settings(deadline=None, max_examples=40)
@given(
    cases=st.lists(st.lists(st.one_of(st.none(), st.integers(12, 60)), max_size=16), min_size=1, max_size=4)
)
def test_a_case_is_judged_the_same_whatever_stands_beside_it(cases):
    for judge in (
        lambda courses: moving_range(courses, SUM, rules="1-4,N1-3"),
        lambda courses: moving_range(courses, SUM, mode="baseline", rules="1-4,N1-3"),
        lambda courses: cusum_alarm(courses, SUM),
        lambda courses: ewma_alarm(courses, SUM),
    ):
        together, apart = judge(laid_out(cases)), [judge(laid_out([case])) for case in cases]
        for field in ("met", "limit", "statistic", "reference", "sigma", "state"):
            separate = np.concatenate([getattr(verdict, field) for verdict in apart])
            np.testing.assert_array_equal(getattr(together, field), separate)
        assert len(together.episodes.onset) == sum(len(verdict.episodes.onset) for verdict in apart)


@settings(deadline=None, max_examples=40)
@given(case=st.lists(st.one_of(st.none(), st.integers(12, 60)), max_size=25), shift=st.integers(-40, 40))
def test_moving_every_score_by_as_much_changes_no_verdict(case, shift):
    moved = laid_out([[None if score is None else score + shift for score in case]])
    for judge in (
        lambda courses: moving_range(courses, SUM, rules="1-4,N1-3"),
        lambda courses: cusum_alarm(courses, SUM),
        lambda courses: ewma_alarm(courses, SUM),
    ):
        here, there = judge(laid_out([case])), judge(moved)
        np.testing.assert_array_equal(here.met, there.met)
        np.testing.assert_allclose(here.statistic, there.statistic, atol=1e-6)


@pytest.mark.parametrize("length", [500, 5000])
def test_a_very_long_course_is_judged(length):
    rng = np.random.default_rng(1)
    courses = Courses.of(rng.normal(46, 2, length).round())
    for verdict in (
        moving_range(courses, SUM, rules="1-4,N1-3"),
        cusum_alarm(courses, SUM),
        ewma_alarm(courses, SUM),
    ):
        assert np.isfinite(verdict.met[5:]).all()


# What noise does


@pytest.mark.slow
@pytest.mark.parametrize(
    ("m", "beyond_3", "beyond_2"), [(3, 5.6, 10.3), (5, 2.9, 7.1), (8, 1.5, 5.2), (20, 0.5, 3.5)]
)
def test_the_next_score_lies_below_a_short_baselines_limit_as_often_as_stated(m, beyond_3, beyond_2):
    n_cases = 100_000
    values = np.random.default_rng(m).standard_normal((n_cases, m + 1)).ravel()
    courses = Courses(
        values=values, session=np.tile(np.arange(m + 1), n_cases), starts=np.arange(n_cases) * (m + 1)
    )
    verdict = moving_range(courses, Measure(), mode="baseline", baseline=m)
    last = np.arange(m, len(values), m + 1)
    assert 100 * (verdict.met[last] == 1).mean() == pytest.approx(beyond_3, abs=0.25)
    assert 100 * (verdict.statistic[last] < -2).mean() == pytest.approx(beyond_2, abs=0.35)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("h", "shift", "expected"), [(4, 0, 335.4), (4, 1, 8.38), (4, 2, 3.34), (5, 1, 10.38), (5, 3, 2.57)]
)
def test_cusum_runs_as_long_as_stated_until_it_signals(h, shift, expected):
    n_cases, length = (3000, 3500) if shift == 0 else (20_000, 80)
    values = np.random.default_rng(h).standard_normal((n_cases, length)) - shift
    courses = Courses(
        values=values.ravel(), session=np.tile(np.arange(length), n_cases), starts=np.arange(n_cases) * length
    )
    signal = cusum(courses, target=0.0, k=0.5, h=h).signal.reshape(n_cases, length)
    first = np.where(signal.any(axis=1), signal.argmax(axis=1) + 1, length)
    assert first.mean() == pytest.approx(expected, rel=0.05 if shift == 0 else 0.02)
