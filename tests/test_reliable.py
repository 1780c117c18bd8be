"""Reliable change: every published formula, cut-offs and outcomes, against other programs and by hand."""

import csv
import json
import math
import os
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance.psychometrics import reliable_change, sem
from alliance.reliable import (
    FORMULAS,
    Moments,
    classify,
    critical_value,
    cutoffs,
    difference_reliability,
    expectation,
    moments,
    outcomes,
    reliable_change_index,
)

NA = np.nan
REFERENCE = json.loads((Path(__file__).parent / "reference" / "reliable.json").read_text(encoding="utf-8"))
VARIANTS = REFERENCE["variants"]
PRACTICE = VARIANTS["practice"]
PAIRS = np.array(VARIANTS["pairs"], dtype=float)
BY = Moments(**PRACTICE["moments"])
FOLDER = "ALLIANCE_REFERENCE_DATA"


@pytest.mark.parametrize("variant", VARIANTS["rows"])
def test_every_variant_equals_clinicalsignificance(variant):
    expected = VARIANTS["rows"][variant]
    index = reliable_change_index(
        PAIRS[:, 0],
        PAIRS[:, 1],
        variant,
        moments=Moments(**VARIANTS["moments"] | {"r12": statistics.correlation(*PAIRS.T.tolist())}),
        reliability=0.9,
        reliability_post=0.88 if variant == "NK" else None,
    )
    np.testing.assert_allclose(index, expected["index"], rtol=0, atol=5.1e-7)
    change = classify(index, criterion=critical_value(variant))
    assert (np.flatnonzero(change == -1) + 1).tolist() == expected["deteriorated"]
    assert (np.flatnonzero(change == 1) + 1).tolist() == expected["improved"]


def test_the_correlation_of_the_five_pairs_is_the_one_hageman_and_arrindell_were_worked_with():
    assert moments(PAIRS[:, 0], PAIRS[:, 1]).r12 == pytest.approx(-0.494966, abs=5e-7)


@pytest.mark.parametrize("variant", PRACTICE["index"])
def test_the_practice_and_regression_variants_reproduce_the_worked_pair(variant):
    index = reliable_change_index(np.array([49.0]), np.array([38.0]), variant, moments=BY)
    assert index[0] == pytest.approx(PRACTICE["index"][variant], abs=5e-7)


def test_variants_follow_their_formulas_written_out():
    # x 40, y 30, M1 50 S1 10 M2 52 S2 8 r12 .6 n 20, r .8 and .7; every value worked by hand.
    by = Moments(m1=50, s1=10, m2=52, s2=8, r12=0.6, n=20)
    true = 50 + 0.8 * (40 - 50)
    r_dd = (100 * 0.8 + 64 * (64 - 20) / 64 - 2 * 80 * 0.6) / (100 + 64 - 2 * 80 * 0.6)
    see = 8 * math.sqrt(1 - 0.36)
    predicted = 52 + 0.6 * 8 / 10 * (40 - 50)
    expected = {
        "JT": (30 - 40) / (10 * math.sqrt(0.4)),
        "GLN": (30 - 50 - 0.8 * (40 - 50)) / (10 * math.sqrt(1 - 0.64)),
        "HLL": (30 - 52 - 0.8 * (40 - 50)) / (10 * math.sqrt(1 - 0.64)),
        "EN": (30 - true) / (10 * math.sqrt(0.2)),
        "NK": (30 - true) / math.sqrt(0.64 * 100 * 0.2 + 100 * 0.3),
        "HA": ((30 - 40) * r_dd + (52 - 50) * (1 - r_dd))
        / (math.sqrt(r_dd) * math.sqrt(2) * 10 * math.sqrt(0.2)),
        "Chelune": (30 - 40 - 2) / (10 * math.sqrt(2 * 0.4)),
        "Iverson": (30 - 40 - 2) / math.sqrt(164 * 0.4),
        "SRB": (30 - predicted) / see,
        "Crawford-Howell": (30 - predicted)
        / (see * math.sqrt(19 / 18) * math.sqrt(1 + 1 / 20 + 100 / (100 * 19))),
    }
    assert set(expected) == set(FORMULAS)
    for variant, value in expected.items():
        (index,) = reliable_change_index(
            np.array([40.0]), np.array([30.0]), variant, moments=by, reliability=0.8, reliability_post=0.7
        )
        assert index == pytest.approx(value, rel=1e-12), variant


def test_the_reliability_of_the_later_score_is_that_of_the_earlier_one_unless_given():
    pair = np.array([40.0]), np.array([30.0])
    both = reliable_change_index(*pair, "NK", moments=BY, reliability=0.8)
    given_too = reliable_change_index(*pair, "NK", moments=BY, reliability=0.8, reliability_post=0.8)
    lower = reliable_change_index(*pair, "NK", moments=BY, reliability=0.8, reliability_post=0.5)
    assert both == given_too
    assert both < lower < 0


@pytest.mark.parametrize("case", REFERENCE["rci_point"], ids=lambda case: case["id"])
def test_single_changes_and_cutoffs_equal_papers_and_other_programs(case):
    given_, exact = case["input"], statistics.NormalDist().inv_cdf(0.975)
    error = sem(given_["sd"], given_["reliability"])
    found = {
        "sem": error,
        "s_diff": math.sqrt(2) * error,
        "rc_raw": critical_value("JT") * math.sqrt(2) * error,
        "rc_raw_exact": critical_value("JT", exact) * math.sqrt(2) * error,
    }
    if "pre" in given_:
        found["rci"] = reliable_change(given_["post"] - given_["pre"], sem=error)
        cut = cutoffs(
            m_clinical=given_["m"],
            sd_clinical=given_["sd"],
            m_functional=given_["mf"],
            sd_functional=given_["sdf"],
        )
        found |= {"cut_a": cut.a, "cut_b": cut.b, "cut_c": cut.c}
    for name, value in case["expected"].items():
        assert found[name] == pytest.approx(value, abs=case["tolerance"]), name


def test_the_index_of_the_printed_example_is_the_same_by_either_function():
    by = Moments(m1=40, s1=7.5, m2=50, s2=7.5, r12=0.5, n=50)
    (index,) = reliable_change_index(np.array([32.5]), np.array([47.5]), moments=by, reliability=0.8)
    assert index == pytest.approx(3.16, abs=0.005)
    assert index == pytest.approx(float(reliable_change(15, sem=sem(7.5, 0.8))), rel=1e-15)


def claus(value):
    folder = os.environ.get(FOLDER)
    if not folder:
        pytest.skip(f"scores of real patients are not kept here: name their folder in {FOLDER}")
    with (Path(folder) / REFERENCE["rci_classify"]["file"]).open(encoding="utf-8", newline="") as file:
        rows = {(row["id"], row["time"]): float(row[value] or "nan") for row in csv.DictReader(file)}
    persons = sorted({person for person, _ in rows})
    return tuple(np.array([rows.get((person, time), NA) for person in persons]) for time in "14")


@pytest.mark.parametrize("row", REFERENCE["rci_classify"]["rows"], ids=lambda row: row["id"])
def test_patients_are_classified_as_by_clinicalsignificance(row):
    x, y = claus(row["value"])
    by = moments(x, y)
    index = reliable_change_index(
        x, y, row["variant"], reliability=row["reliability"], reliability_post=row.get("reliability_post")
    )
    change = classify(index, criterion=critical_value(row["variant"]), direction=-1)
    cut = cutoffs(
        m_clinical=by.m1, sd_clinical=by.s1, m_functional=row["mf"], sd_functional=row["sdf"], direction=-1
    ).c
    words = Counter(outcomes(x, y, change, cutoff=cut, direction=-1).tolist())
    found = {
        "n_all": len(x),
        "n": by.n,
        "improved": int(np.sum(change == 1)),
        "unchanged": words["unchanged"],
        "recovered": words["recovered"],
        "improved_only": words["improved"],
        "deteriorated": int(np.sum(change == -1)),
        "deteriorated_only": words["deteriorated"],
        "harmed": words["harmed"],
    }
    for name in set(found) & set(row):
        assert found[name] == row[name], name
    if "cutoff" in row:
        assert cut == pytest.approx(row["cutoff"], abs=0.005)
        assert by.s1 == pytest.approx(row["sd_pre"], abs=0.005)


def test_invented_patients_are_classified_as_worked_by_hand():
    # Symptoms, lower is better. The eight complete pairs have M1 24 and S1 4 (squares 112 of 7). With r .875
    # the SEM is sqrt(2), Sdiff 2 and a reliable change more than 3.92; cut-off c against M 8 and SD 4 is 16.
    before = np.array([18, 20, 22, 24, 24, 26, 28, 30, NA, 20], dtype=float)
    after = np.array([14, 16.5, 12, 16, 28, 29, 10, 30, 10, NA], dtype=float)
    by = moments(before, after)
    assert (by.m1, by.s1, by.n) == (24.0, 4.0, 8)
    index = reliable_change_index(before, after, reliability=0.875)
    np.testing.assert_allclose(index[:8], [-2, -1.75, -5, -4, 2, 1.5, -9, 0], atol=1e-12)
    cut = cutoffs(m_clinical=24, sd_clinical=4, m_functional=8, sd_functional=4, direction=-1)
    assert cut == (16.0, 16.0, 16.0)
    change = classify(index, direction=-1)
    np.testing.assert_array_equal(change, [1, 0, 1, 1, -1, 0, 1, 0, NA, NA])
    words = outcomes(before, after, change, cutoff=cut.c, direction=-1)
    assert words.tolist() == [
        "recovered", "unchanged", "recovered", "improved", "deteriorated", "unchanged", "recovered",
        "unchanged", "", "",
    ]  # fmt: skip


def test_cutoff_b_takes_the_functional_spread():
    # clinicalsignificance 863dc77 takes the clinical one there: 60 - 2 * 7.5 = 45.
    cut = cutoffs(m_clinical=40, sd_clinical=7.5, m_functional=60, sd_functional=5)
    assert cut.b == 50.0
    assert cut.a == 55.0
    assert cut.c == pytest.approx(52.0)


def test_cutoffs_mirror_where_lower_is_better():
    cut = cutoffs(m_clinical=20, sd_clinical=4, m_functional=8, sd_functional=2, direction=-1)
    assert cut == (12.0, 12.0, 12.0)
    other = cutoffs(m_clinical=20, sd_clinical=5, m_functional=8, sd_functional=3, direction=-1)
    assert other == (10.0, 14.0, 12.5)


def test_higher_is_better_unless_said_otherwise():
    # clinicalsignificance 863dc77 takes lower to be better unless told: a rise of the alliance would be harm.
    rise = np.array([2.5])
    assert classify(rise).tolist() == [1.0]
    assert classify(rise, direction=-1).tolist() == [-1.0]
    assert outcomes(np.array([40.0]), np.array([60.0]), np.array([1.0]), cutoff=50).tolist() == ["recovered"]
    assert cutoffs(m_clinical=40, sd_clinical=5, m_functional=60, sd_functional=5).a == 50.0


def test_the_error_of_an_index_is_that_of_a_difference():
    # scan 0.67.1 divides by SEM in its "jacobson" variant, and only the second summand of the Hageman term.
    pair = np.array([30.0]), np.array([40.0])
    by = Moments(m1=30, s1=10, m2=35, s2=10, r12=0.5, n=30)
    assert reliable_change_index(*pair, moments=by, reliability=0.5)[0] == pytest.approx(1.0)
    # r_dd = (100 - 2 * 20) / 100 = .6 with SEM^2 20: (10 * .6 + 5 * .4) / sqrt(.6 * 40).
    index = reliable_change_index(*pair, "HA", moments=by, reliability=0.8)
    assert index[0] == pytest.approx(8 / math.sqrt(24), rel=1e-12)


@pytest.mark.parametrize(
    ("index", "change"),
    [
        pytest.param(1.96, 0, id="on the criterion"),
        pytest.param(1.96 + 1e-10, 0, id="on it but for rounding"),
        pytest.param(1.961, 1, id="beyond it"),
        pytest.param(-1.96, 0, id="on the lower criterion"),
        pytest.param(-1.961, -1, id="below it"),
        pytest.param(0.0, 0, id="no change"),
        pytest.param(NA, NA, id="missing"),
    ],
)
def test_a_change_counts_strictly_beyond_the_criterion(index, change):
    np.testing.assert_array_equal(classify(np.array([index])), [change])


@pytest.mark.parametrize(
    ("before", "after", "change", "word"),
    [
        pytest.param(40, 51, 1, "recovered", id="crossed over"),
        pytest.param(40, 50, 1, "improved", id="only as far as the cut-off"),
        pytest.param(50, 60, 1, "improved", id="from the cut-off"),
        pytest.param(55, 65, 1, "improved", id="never clinical"),
        pytest.param(40, 51, 0, "unchanged", id="crossed over, not reliably"),
        pytest.param(60, 49, -1, "harmed", id="fell across"),
        pytest.param(60, 51, -1, "deteriorated", id="fell, still functional"),
        pytest.param(49, 40, -1, "deteriorated", id="fell, clinical before"),
        pytest.param(50, 40, -1, "harmed", id="fell from the cut-off"),
        pytest.param(60, 50, -1, "harmed", id="fell onto the cut-off"),
        pytest.param(NA, 40, -1, "", id="no first score"),
        pytest.param(40, NA, 1, "", id="no last score"),
        pytest.param(40, 60, NA, "", id="no index"),
    ],
)
def test_outcomes_follow_the_truth_table(before, after, change, word):
    found = outcomes(np.array([before]), np.array([after]), np.array([change]), cutoff=50.0)
    assert found.tolist() == [word]
    mirrored = outcomes(
        np.array([-before]), np.array([-after]), np.array([change]), cutoff=-50.0, direction=-1
    )
    assert mirrored.tolist() == [word]


@pytest.mark.parametrize(
    ("variant", "criterion", "n", "value"),
    [
        ("JT", None, 0, 1.96),
        ("GLN", None, 0, 1.96),
        ("HA", None, 0, 1.65),
        ("HA", 1.96, 0, 1.96),
        ("JT", 2.576, 0, 2.576),
    ],
)
def test_the_criterion_is_two_sided_but_for_hageman_and_arrindell(variant, criterion, n, value):
    assert critical_value(variant, criterion, n=n) == value


@pytest.mark.parametrize(
    ("df", "level", "value"), [(10, 0.975, 2.228), (30, 0.975, 2.042), (60, 0.95, 1.671), (98, 0.975, 1.984)]
)
def test_crawford_and_howell_use_the_printed_t_value_of_the_same_level(df, level, value):
    normal = statistics.NormalDist().inv_cdf(level)
    assert critical_value("Crawford-Howell", normal, n=df + 2) == pytest.approx(value, abs=5.1e-4)


def test_moments_leave_incomplete_pairs_out_and_are_those_of_the_sample():
    x, y = np.array([1.0, 2, NA, 4, 5]), np.array([2.0, NA, 7, 3, 7])
    found = moments(x, y)
    assert found.n == 3
    assert (found.m1, found.m2) == (pytest.approx(10 / 3), 4.0)
    assert found.s1 == pytest.approx(math.sqrt(13 / 3))
    assert found.s2 == pytest.approx(math.sqrt(7))
    assert found.r12 == pytest.approx(statistics.correlation([1, 4, 5], [2, 3, 7]))


def test_moments_of_too_few_or_equal_scores_are_missing_without_any_warning():
    assert moments(np.zeros(0), np.zeros(0)).n == 0
    few = moments(np.array([1.0, 2.0]), np.array([2.0, 1.0]))
    assert few.n == 2
    assert np.isnan([few.m1, few.s1, few.m2, few.s2, few.r12]).all()
    flat = moments(np.full(4, 5.0), np.array([1.0, 2, 3, 4]))
    assert flat.s1 == 0
    assert np.isnan(flat.r12)


@pytest.mark.parametrize("variant", FORMULAS)
def test_a_missing_score_has_a_missing_index(variant):
    index = reliable_change_index(
        np.array([NA, 50.0, 50.0]), np.array([50.0, NA, 40.0]), variant, moments=BY, reliability=0.9
    )
    np.testing.assert_array_equal(np.isnan(index), [True, True, False])


scores = st.floats(0, 100)


@pytest.mark.parametrize("variant", FORMULAS)
@given(x=scores, y=scores, shift=st.floats(-50, 50), factor=st.floats(0.1, 10))
def test_an_index_does_not_depend_on_the_unit_of_the_score(variant, x, y, shift, factor):
    m1, m2 = shift + factor * BY.m1, shift + factor * BY.m2
    other = Moments(m1=m1, s1=factor * BY.s1, m2=m2, s2=factor * BY.s2, r12=BY.r12, n=BY.n)
    (first,) = reliable_change_index(np.array([x]), np.array([y]), variant, moments=BY, reliability=0.85)
    (second,) = reliable_change_index(
        np.array([shift + factor * x]),
        np.array([shift + factor * y]),
        variant,
        moments=other,
        reliability=0.85,
    )
    assert second == pytest.approx(first, abs=1e-9, rel=1e-9)


@pytest.mark.parametrize("variant", FORMULAS)
@given(x=scores, y=scores)
def test_mirroring_every_score_mirrors_the_index(variant, x, y):
    mirror = Moments(m1=-BY.m1, s1=BY.s1, m2=-BY.m2, s2=BY.s2, r12=BY.r12, n=BY.n)
    (first,) = reliable_change_index(np.array([x]), np.array([y]), variant, moments=BY, reliability=0.85)
    (second,) = reliable_change_index(
        np.array([-x]), np.array([-y]), variant, moments=mirror, reliability=0.85
    )
    assert second == pytest.approx(-first, abs=1e-12, rel=1e-12)


@pytest.mark.parametrize("variant", FORMULAS)
def test_the_index_is_the_distance_from_what_is_expected_in_its_error(variant):
    x, y = np.array([30.0, 49.0, 60.0]), np.array([35.0, 38.0, 60.0])
    expected, error = expectation(x, variant, moments=BY, reliability=0.9)
    index = reliable_change_index(x, y, variant, moments=BY, reliability=0.9)
    np.testing.assert_array_equal(index, (y - expected) / error)
    assert (error > 0).all()
    farthest = np.argmax(np.abs(x - BY.m1))
    assert np.argmax(error) == (farthest if variant == "Crawford-Howell" else 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            lambda: reliable_change_index(PAIRS[:, 0], PAIRS[:, 1], "HLM", reliability=0.9),
            "variant must be one of JT, GLN, HLL, EN, NK, HA, Chelune, Iverson, SRB, Crawford-Howell, "
            "got 'HLM'",
            id="HLM stands on courses",
        ),
        pytest.param(
            lambda: reliable_change_index(PAIRS[:, 0], PAIRS[:, 1]),
            "reliability must be at least 0 and below 1, got None",
            id="no reliability",
        ),
        pytest.param(
            lambda: reliable_change_index(PAIRS[:, 0], PAIRS[:, 1], reliability=1.0),
            "reliability must be at least 0 and below 1, got 1.0",
            id="perfect reliability",
        ),
        pytest.param(
            lambda: reliable_change_index(*PAIRS.T, "NK", reliability=0.9, reliability_post=1.2),
            "reliability_post must be at least 0 and below 1, got 1.2",
            id="impossible later reliability",
        ),
        pytest.param(
            lambda: reliable_change_index(np.array([5.0, 5, 5]), np.array([5.0, 6, 7]), reliability=0.9),
            "moments must be those of scores that vary, got "
            "Moments(m1=5.0, s1=0.0, m2=6.0, s2=1.0, r12=nan, n=3)",
            id="no variation",
        ),
        pytest.param(
            lambda: reliable_change_index(np.array([5.0, 6]), np.array([5.0, 6]), "SRB"),
            "moments must be those of scores that vary, got "
            "Moments(m1=nan, s1=nan, m2=nan, s2=nan, r12=nan, n=2)",
            id="two pairs",
        ),
        pytest.param(
            lambda: reliable_change_index(np.array([1.0, 2, 3]), np.array([2.0, 3, 4]), "SRB"),
            "moments must be those of scores that vary, got "
            "Moments(m1=2.0, s1=1.0, m2=3.0, s2=1.0, r12=1.0, n=3)",
            id="nothing left to predict",
        ),
        pytest.param(
            lambda: reliable_change_index(
                PAIRS[:, 0], PAIRS[:, 1], "HA", moments=Moments(m1=45, s1=9, m2=46, s2=9, r12=0.95, n=9),
                reliability=0.9,
            ),
            "r_dd, the reliability of the changes, must be above 0, got -1",
            id="changes below measurement error",
        ),
        pytest.param(lambda: critical_value("JT", 0), "criterion must be above 0, got 0", id="no criterion"),
        pytest.param(
            lambda: critical_value("Crawford-Howell", n=2), "n must be at least 3, got 2", id="no t value"
        ),
        pytest.param(
            lambda: classify(PAIRS[:, 0], criterion=-1), "criterion must be above 0, got -1", id="negative"
        ),
        pytest.param(
            lambda: classify(PAIRS[:, 0], direction=0), "direction must be 1 or -1, got 0", id="no direction"
        ),
        pytest.param(
            lambda: outcomes(PAIRS[:, 0], PAIRS[:, 1], PAIRS[:, 1], cutoff=50, direction=2),
            "direction must be 1 or -1, got 2",
            id="other direction",
        ),
        pytest.param(
            lambda: cutoffs(m_clinical=1, sd_clinical=0, m_functional=2, sd_functional=1),
            "sd_clinical must be above 0, got 0",
            id="no clinical spread",
        ),
        pytest.param(
            lambda: cutoffs(m_clinical=1, sd_clinical=1, m_functional=2, sd_functional=-1),
            "sd_functional must be above 0, got -1",
            id="negative functional spread",
        ),
    ],
)  # fmt: skip
def test_impossible_numbers_are_named(call, message):
    with pytest.raises(ValueError, match=r".") as caught:
        call()
    assert str(caught.value) == message


def test_the_reliability_of_changes_may_be_negative_and_is_missing_where_nothing_changes():
    assert difference_reliability(Moments(m1=0, s1=9, m2=0, s2=9, r12=0.95, n=9), 0.9) == pytest.approx(-1.0)
    # Equal reliabilities of .8 and a correlation of .5, equal spreads: (.8 - .5) / (1 - .5).
    assert difference_reliability(Moments(m1=0, s1=3, m2=0, s2=3, r12=0.5, n=9), 0.8) == pytest.approx(0.6)
    assert np.isnan(difference_reliability(Moments(m1=0, s1=3, m2=0, s2=3, r12=1.0, n=9), 0.8))
