"""The metrics of a validation: worked rows, ties, weights, limits, other programs."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.nonparametric.smoothers_lowess import lowess

from alliance.dropout.validation.curves import (
    THRESHOLDS,
    calibration_errors,
    calibration_groups,
    smooth,
    wilson,
)
from alliance.dropout.validation.decision import decision_curve
from alliance.dropout.validation.metrics import (
    METRICS,
    Predictions,
    Ranking,
    auc,
    brier,
    brier_scaled,
    budget_threshold,
    citl,
    flagging,
    logit,
    net_benefit,
    oe,
    ratio,
    reaches,
    session_aucs,
    slope,
)

NA = np.nan
Y = np.array([0, 0, 0, 1, 0, 1, 0, 1, 1, 0], dtype=float)
P = np.array([0.05, 0.10, 0.12, 0.20, 0.22, 0.30, 0.35, 0.45, 0.60, 0.08])
ONE = np.ones(10, dtype=int)


def drawn(n, seed, *, sessions=12, ties=False):
    """Outcomes from predictions that are a little too extreme."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-2.5, 1.0, n)
    p = 1 / (1 + np.exp(-odds))
    y = (rng.random(n) < 1 / (1 + np.exp(-(0.2 + 0.8 * odds)))).astype(float)
    return y, np.round(p, 2) if ties else p, rng.integers(1, sessions, n)


# The ten rows


@pytest.mark.parametrize(
    ("name", "value", "half_digit"),
    [
        ("auc", 0.875, 5e-13),
        ("auc_pooled", 0.875, 5e-13),
        ("brier", 0.17967, 5e-6),
        ("brier_scaled", 0.251375, 5e-7),
        ("citl", 0.8568, 5e-5),
        ("slope", 2.3332, 5e-5),
        ("oe", 1.6194, 5e-5),
        ("nb", 0.35, 5e-13),
    ],
)
def test_the_ten_worked_rows_come_out_to_every_printed_digit(name, value, half_digit):
    found = Predictions(y=Y, p=P, session=ONE).measure(threshold=0.2)
    assert found[name] == pytest.approx(value, abs=half_digit)


def test_treating_all_ten_rows_gains_a_quarter_and_treating_none_nothing():
    assert net_benefit(Y, np.ones(10, dtype=bool), 0.2) == pytest.approx(0.25)
    assert net_benefit(Y, np.zeros(10, dtype=bool), 0.2) == 0


def test_measure_names_every_metric_in_order():
    assert tuple(Predictions(y=Y, p=P, session=ONE).measure()) == METRICS


def test_net_benefit_without_a_threshold_is_not_known():
    assert np.isnan(Predictions(y=Y, p=P, session=ONE).measure()["nb"])


# AUC


@pytest.mark.parametrize(
    ("y", "score", "value"),
    [
        pytest.param([0, 1], [1, 2], 1.0, id="right order"),
        pytest.param([0, 1], [2, 1], 0.0, id="wrong order"),
        pytest.param([0, 1], [1, 1], 0.5, id="a tie is half"),
        pytest.param([0, 1, 0, 1], [0.1, 0.2, 0.2, 0.4], 0.875, id="3.5 of 4 pairs"),
        pytest.param([1, 0, 0, 1, 1], [3, 3, 1, 1, 2], 0.5, id="1.5 + .5 + 1 of 6 pairs"),
        pytest.param([0, 1], [1, 1 + 5e-13], 0.5, id="closer than rounding is a tie"),
        pytest.param([0, 1], [1, 1 + 1e-11], 1.0, id="further apart is not"),
        pytest.param([1, 1], [1, 2], NA, id="no event-free row"),
        pytest.param([0, 0], [1, 2], NA, id="no event"),
        pytest.param([], [], NA, id="no row"),
    ],
)
def test_auc_follows_the_truth_table(y, score, value):
    assert auc(np.array(y), np.array(score, dtype=float)) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_auc_is_that_of_scikit_learn(ties, weighted):
    y, p, _ = drawn(400, 5, ties=ties)
    weight = np.random.default_rng(6).integers(0, 4, 400).astype(float) if weighted else None
    assert auc(y, p, weight=weight) == pytest.approx(roc_auc_score(y, p, sample_weight=weight), abs=1e-12)


def test_the_headline_weighs_sessions_by_their_events():
    y = np.array([1, 1, 0, 1, 0, 0, 1, 0])
    score = np.array([5, 4, 3, 1, 2, 3, 9, 1])
    session = np.array([1, 1, 1, 2, 2, 2, 3, 4])
    found = session_aucs(y, score, session)
    np.testing.assert_array_equal(found.session, [1, 2, 3, 4])
    np.testing.assert_array_equal(found.n, [3, 3, 1, 1])
    np.testing.assert_array_equal(found.events, [2, 1, 1, 0])
    np.testing.assert_array_equal(found.auc, [1.0, 0.0, NA, NA])
    assert found.headline == pytest.approx(2 / 3)


def test_scores_of_different_models_are_not_compared():
    # Session 1: model 0 ranks its pair rightly, model 1 one of its two; across them nothing counts.
    y = np.array([1, 0, 1, 0, 0, 1, 0])
    score = np.array([2, 1, 6, 7, 5, 9, 8])
    session, made_by = np.array([1, 1, 1, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 0, 1])
    found = session_aucs(y, score, session, made_by=made_by)
    np.testing.assert_array_equal(found.session, [1, 2])
    np.testing.assert_array_equal(found.n, [5, 2])
    np.testing.assert_array_equal(found.events, [2, 1])
    np.testing.assert_allclose(found.auc, [2 / 3, NA])
    assert found.headline == pytest.approx(2 / 3)
    whole = Predictions(y=y.astype(float), p=score / 10, session=session, made_by=made_by).measure()
    # Over both sessions: model 0 ranks 2 of 2, model 1 1 of 3.
    assert (whole["auc"], whole["auc_pooled"]) == pytest.approx((2 / 3, 3 / 5))


def test_pooling_folds_of_a_model_that_learns_nothing_would_rank_worse_than_chance():
    # Three folds, the share of events elsewhere predicted: many events here, few there.
    fold = np.repeat([0, 1, 2], 20)
    y = np.concatenate([np.arange(20) < n for n in (2, 6, 10)]).astype(float)
    p = np.array([y[fold != k].mean() for k in range(3)])[fold]
    one = np.ones(60, dtype=int)
    assert session_aucs(y, p, one).headline < 0.35
    assert session_aucs(y, p, one, made_by=fold).headline == 0.5


def test_no_session_with_both_outcomes_has_no_headline():
    assert np.isnan(session_aucs(np.array([1, 0]), np.array([1, 2]), np.array([1, 2])).headline)
    assert np.isnan(session_aucs(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int)).headline)


def pairs_won(y, score, session, weight):
    """Count pairs one by one."""
    total, events = 0.0, 0.0
    for number in set(session.tolist()):
        won = n_pairs = 0.0
        rows = [row for row in range(len(y)) if session[row] == number]
        for one in rows:
            for other in rows:
                if y[one] == 1 and y[other] == 0:
                    n_pairs += weight[one] * weight[other]
                    better = 0.5 * (score[one] == score[other]) + (score[one] > score[other])
                    won += weight[one] * weight[other] * better
        here = sum(weight[row] * y[row] for row in rows)
        if n_pairs:
            total += here * won / n_pairs
            events += here
    return total / events if events else NA


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(1, 3), st.integers(0, 2)), max_size=25
    )
)
def test_the_headline_is_what_counting_pairs_gives(rows):
    y, score, session, weight = np.array(rows, dtype=float).reshape(-1, 4).T
    found = session_aucs(y, score, session.astype(int), weight=weight).headline
    assert found == pytest.approx(pairs_won(y, score, session, weight), nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=2, max_size=30))
def test_turning_the_scores_round_turns_the_auc_round(rows):
    y, score = np.array(rows, dtype=float).T
    assert auc(y, -score) == pytest.approx(1 - auc(y, score), nan_ok=True)


def test_a_ranking_is_laid_out_once_and_asked_often():
    ranking = Ranking.of(P, ONE)
    for weight in (None, ONE * 2.0):
        assert ranking.aucs(Y, weight).headline == pytest.approx(0.875)


# Calibration


def peers_line(y, p, weight=None):
    """Return CITL and slope as statsmodels' GLM has them."""
    odds = np.log(p / (1 - p))
    ones = np.ones((len(y), 1))
    both = np.column_stack([ones, odds])
    intercept = GLM(y, ones, family=Binomial(), offset=odds, freq_weights=weight).fit(tol=1e-12)
    line = GLM(y, both, family=Binomial(), freq_weights=weight).fit(tol=1e-12)
    return intercept.params[0], line.params[1]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_is_that_of_statsmodels(seed, weighted):
    y, p, _ = drawn(300, seed)
    weight = np.random.default_rng(seed).integers(0, 3, 300).astype(float) if weighted else None
    in_the_large, line = peers_line(y, p, weight)
    assert citl(y, p, weight=weight) == pytest.approx(in_the_large, abs=1e-7)
    assert slope(y, p, weight=weight) == pytest.approx(line, abs=1e-7)


@pytest.mark.parametrize("moved", [-8, 0, 8])
@pytest.mark.parametrize("stretch", [0.02, 0.3, 1, 3, -1])
def test_calibration_is_found_however_wrong_the_predictions_are(stretch, moved):
    y, p, _ = drawn(300, 4)
    wrong = np.clip(1 / (1 + np.exp(-(moved + stretch * np.log(p / (1 - p))))), 1e-12, 1 - 1e-12)
    in_the_large, line = peers_line(y, wrong)
    assert citl(y, wrong) == pytest.approx(in_the_large, abs=1e-6)
    assert slope(y, wrong) == pytest.approx(line, rel=1e-5)


@pytest.mark.parametrize(
    ("y", "p"),
    [
        pytest.param([0, 0], [0.2, 0.4], id="no event"),
        pytest.param([1, 1], [0.2, 0.4], id="only events"),
        pytest.param([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], id="outcomes separated"),
        pytest.param([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3], id="predictions alike"),
        pytest.param([], [], id="no row"),
    ],
)
def test_a_slope_that_cannot_be_had_is_not_known(y, p):
    assert np.isnan(slope(np.array(y, dtype=float), np.array(p)))


@pytest.mark.parametrize("y", [[0, 0], [1, 1], []])
def test_calibration_in_the_large_needs_both_outcomes(y):
    assert np.isnan(citl(np.array(y, dtype=float), np.full(len(y), 0.3)))


def test_calibration_in_the_large_of_alike_predictions_is_the_distance_of_the_logits():
    # Half of four came, a fifth was predicted: log(1) - log(1/4).
    assert citl(np.array([0, 1, 0, 1.0]), np.full(4, 0.2)) == pytest.approx(np.log(4))


def test_certain_predictions_stand_just_inside():
    np.testing.assert_allclose(logit(np.array([0.0, 1.0])), [-27.631021, 27.631021], atol=1e-4)


def test_brier_is_that_of_scikit_learn():
    y, p, _ = drawn(200, 8)
    assert brier(y, p) == pytest.approx(brier_score_loss(y, p))


@pytest.mark.parametrize(
    ("share", "scaled"),
    [pytest.param(0.25, 0.0, id="the base rate"), pytest.param(0.5, -1 / 3, id="worse than it")],
)
def test_scaled_brier_compares_with_the_base_rate(share, scaled):
    # Base rate 1/4: ȳ(1 - ȳ) = .1875; (p - y)² of one half is .25 everywhere.
    y = np.array([1, 0, 0, 0.0])
    assert brier_scaled(y, np.full(4, share)) == pytest.approx(scaled)


def test_observed_over_expected_counts_weights():
    assert oe(np.array([1, 0.0]), np.array([0.5, 0.25]), weight=np.array([1.0, 2])) == pytest.approx(1)
    assert np.isnan(oe(np.zeros(0), np.zeros(0)))


def test_nothing_over_nothing_is_not_known():
    assert np.isnan(ratio(0, 0))
    assert np.isnan(ratio(1, NA))


# The smooth curve


def peers_errors(y, p):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = lowess(y, p, frac=0.75, it=0, delta=0.0, return_sorted=False)
    error = np.abs(curve - p)
    return [error.mean(), np.median(error), np.quantile(error, 0.9)]


@pytest.mark.parametrize(("n", "ties"), [(10, False), (97, False), (400, True), (800, False)])
def test_calibration_errors_are_those_of_statsmodels_lowess(n, ties):
    y, p, _ = drawn(n, 11, ties=ties)
    found = calibration_errors(y, p)
    np.testing.assert_allclose([found["ici"], found["e50"], found["e90"]], peers_errors(y, p), atol=1e-9)


def test_the_ten_rows_have_the_lowess_errors_of_statsmodels():
    # statsmodels 0.15.0 lowess(y, p, frac=.75, it=0): mean, median, 90th percentile of the distance.
    found = calibration_errors(Y, P)
    assert [found[name] for name in ("ici", "e50", "e90")] == pytest.approx(
        [0.2083881119, 0.2248982957, 0.3383308637], abs=5e-11
    )


@pytest.mark.parametrize(("points", "close"), [(1000, 2e-4), (200, 1e-3)])
def test_averaging_neighbours_first_moves_the_errors_little(points, close):
    y, p, _ = drawn(3000, 12)
    found = calibration_errors(y, p, points=points)
    np.testing.assert_allclose([found["ici"], found["e50"], found["e90"]], peers_errors(y, p), atol=close)


def test_the_smooth_curve_of_alike_predictions_is_the_share_of_events():
    at, height = smooth(np.array([0, 1, 0, 0.0]), np.full(4, 0.4))
    np.testing.assert_allclose(at, 0.4)
    np.testing.assert_allclose(height, 0.25)


def test_no_prediction_has_no_smooth_curve():
    at, height = smooth(np.zeros(0), np.zeros(0))
    assert len(at) == len(height) == 0
    assert np.isnan(list(calibration_errors(np.zeros(0), np.zeros(0)).values())).all()


@pytest.mark.parametrize("n", [60, 300])
def test_a_weight_counts_a_row_as_often_as_repeating_it_does(n):
    y, p, session = drawn(n, 13)
    weight = np.random.default_rng(14).integers(0, 4, n)
    again = np.repeat(np.arange(n), weight)
    found = Predictions(y=y, p=p, session=session).measure(weight.astype(float), threshold=0.15)
    repeated = Predictions(y=y[again], p=p[again], session=session[again]).measure(threshold=0.15)
    assert found == pytest.approx(repeated, abs=1e-9)


def test_calibration_groups_are_equally_large_and_worked_by_hand():
    found = calibration_groups(Y, P, groups=2)
    assert [each["n"] for each in found] == [5, 5]
    assert [each["predicted"] for each in found] == pytest.approx([0.11, 0.384])
    assert [each["observed"] for each in found] == pytest.approx([0.2, 0.6])
    # Wilson's interval, as R's prop.test(c(1, 3), 5, correct = FALSE) has it one by one.
    assert [each["low"] for each in found] == pytest.approx([0.0362, 0.2307], abs=5e-5)
    assert [each["high"] for each in found] == pytest.approx([0.6245, 0.8824], abs=5e-5)


def test_fewer_rows_than_groups_make_fewer_groups():
    assert len(calibration_groups(Y[:3], P[:3])) == 3


@pytest.mark.parametrize(
    ("events", "n", "limits"),
    [(0, 10, (0, 0.2775)), (2, 10, (0.0567, 0.5098)), (10, 10, (0.7225, 1))],
)
def test_wilson_intervals_are_those_of_prop_test(events, n, limits):
    assert wilson(events, n) == pytest.approx(limits, abs=5e-5)


# Acting on a threshold


@pytest.mark.parametrize(
    ("flagged", "threshold", "value"),
    [
        pytest.param([0, 0, 1, 1], 0.5, 1 / 4 - 1 / 4, id="one hit, one false alarm, even odds"),
        pytest.param([0, 0, 1, 1], 0.2, 1 / 4 - 1 / 4 / 4, id="a false alarm costs a quarter"),
        pytest.param([0, 1, 0, 1], 0.2, 2 / 4, id="hits only"),
        pytest.param([1, 0, 1, 0], 0.2, -2 / 4 / 4, id="false alarms only"),
        pytest.param([1, 1, 1, 1], 0.75, 2 / 4 - 2 / 4 * 3, id="everybody, at a high threshold"),
    ],
)
def test_net_benefit_follows_the_truth_table(flagged, threshold, value):
    y = np.array([0, 1, 0, 1.0])
    assert net_benefit(y, np.array(flagged, dtype=bool), threshold) == pytest.approx(value)


def test_a_prediction_on_the_threshold_reaches_it():
    np.testing.assert_array_equal(reaches(np.array([0.2, 0.2 - 5e-10, 0.2 - 2e-9]), 0.2), [True, True, False])


def test_the_decision_curve_is_worked_by_hand():
    drf1 = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    low, high = decision_curve(Y, P, drf1=drf1, thresholds=[0.2, 0.5])
    # At .2 six are flagged, four of them rightly; the rule has two of three.
    assert low == pytest.approx({"threshold": 0.2, "model": 0.35, "all": 0.25, "none": 0, "drf1": 0.175})
    assert high == pytest.approx({"threshold": 0.5, "model": 0.1, "all": -0.2, "none": 0, "drf1": 0.1})


def test_the_decision_curve_is_drawn_from_half_a_percent_to_thirty():
    assert len(THRESHOLDS) == 40
    assert (THRESHOLDS[0], THRESHOLDS[19], THRESHOLDS[20], THRESHOLDS[-1]) == (0.005, 0.1, 0.11, 0.3)
    assert np.isnan([each["drf1"] for each in decision_curve(Y, P)]).all()


@pytest.mark.parametrize(
    ("p", "budget", "value"),
    [
        pytest.param([0.1, 0.2, 0.3, 0.4, 0.5], 0.2, 0.5, id="one of five"),
        pytest.param([0.1, 0.2, 0.3, 0.4, 0.5], 0.39, 0.5, id="just short of two"),
        pytest.param([0.1, 0.2, 0.3, 0.4, 0.5], 0.4, 0.4, id="two of five"),
        pytest.param([0.1, 0.2, 0.4, 0.4, 0.5], 0.4, 0.5, id="a tie is not split"),
        pytest.param([0.1, 0.2, 0.4, 0.4, 0.5], 0.6, 0.4, id="unless it fits in whole"),
        pytest.param([0.1, 0.3, 0.3, 0.4, 0.5], 0.6, 0.4, id="the next higher, not the highest"),
        pytest.param([0.1, 0.2, 0.3, 0.5, 0.5], 0.2, NA, id="the highest tie breaks the budget"),
        pytest.param([0.3] * 5, 0.2, NA, id="all alike"),
        pytest.param([0.1, 0.2, 0.3, 0.4], 0.2, NA, id="too few for one"),
        pytest.param([], 0.2, NA, id="none"),
    ],
)
def test_the_budget_threshold_follows_the_truth_table(p, budget, value):
    assert budget_threshold(np.array(p), budget) == pytest.approx(value, nan_ok=True)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.floats(0.05, 0.9))
def test_the_budget_is_never_broken(percents, budget):
    p = np.array(percents) / 100
    limit = budget_threshold(p, budget)
    assert np.isnan(limit) or reaches(p, limit).mean() <= budget + 1e-9


def test_flagging_is_worked_by_hand():
    found = flagging(Y, P >= 0.2)
    # Six flagged, four of four events, two of six others.
    assert (found.flag_rate, found.sens, found.spec, found.ppv) == pytest.approx((0.6, 1, 4 / 6, 4 / 6))


def test_flagging_nobody_has_no_precision():
    found = flagging(Y, np.zeros(10, dtype=bool))
    assert np.isnan(found.ppv)
    assert (found.flag_rate, found.sens, found.spec) == (0, 0, 1)
