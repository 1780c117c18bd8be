"""Folds that no client straddles, draws of whole groups, optimism worked by hand, intervals."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from validation_helpers import base_rate, by_rating, rows_with

from alliance.dropout.model.estimate import LEAST_THERAPISTS
from alliance.dropout.validation import resampling
from alliance.dropout.validation.metrics import METRICS, Predictions
from alliance.dropout.validation.resampling import (
    Groups,
    bootstrap_optimism,
    cross_validate,
    draws,
    folds_of,
    groups_of,
    intervals,
    n_therapists,
    percentile_limits,
)
from alliance.errors import DataError

NA = np.nan


def random_rows(clients, therapists):
    return rows_with(np.zeros(len(clients)), clients, therapist=therapists)


# Groups


@pytest.mark.parametrize(
    ("n", "least", "unit"),
    [
        pytest.param(9, 10, "client", id="one therapist short"),
        pytest.param(10, 10, "therapist", id="just enough"),
        pytest.param(19, 20, "client", id="one short for draws"),
        pytest.param(20, 20, "therapist", id="just enough for draws"),
    ],
)
def test_groups_are_therapists_if_enough_are_known(n, least, unit):
    rows = random_rows(np.arange(2 * n), np.append(np.repeat(np.arange(n), 2)[:-1], -1))
    assert n_therapists(rows) == n
    found = groups_of(rows, least=least)
    assert found.unit == unit
    assert found.n == (n + 1 if unit == "therapist" else 2 * n)


def test_clients_without_a_known_therapist_are_groups_of_their_own():
    rows = random_rows([0, 0, 1, 2, 3], [5, 5, 5, -1, -1])
    assert groups_of(rows, least=1).code.tolist() == [0, 0, 0, 1, 2]
    assert groups_of(rows, least=2).code.tolist() == [0, 0, 1, 2, 3]


def test_the_limits_are_10_therapists_for_folds_and_20_for_draws():
    assert (LEAST_THERAPISTS, resampling.THERAPISTS_FOR_DRAWS) == (10, 20)


# Folds

SEEN = st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 6)), min_size=2, max_size=60)


@given(SEEN, st.integers(2, 12), st.integers(0, 3), st.sampled_from([1, 100]))
def test_no_client_and_no_group_is_ever_on_both_sides(pairs, k, seed, least):
    client, therapist = np.array(pairs).T
    rows = random_rows(client, therapist)
    groups = groups_of(rows, least=least)
    if groups.n < 2:
        return
    folds = folds_of(rows, groups, folds=k, seed=seed)
    tested = np.zeros(len(rows), dtype=int)
    for train, test in folds:
        tested[test] += 1
        assert not set(client[train]) & set(client[test])
        assert not set(groups.code[train]) & set(groups.code[test])
        assert len(test)
    np.testing.assert_array_equal(tested, 1)
    for group in range(groups.n):
        assert len(set(folds.fold[groups.code == group])) == 1


@given(SEEN, st.integers(0, 5))
def test_the_same_seed_makes_the_same_folds(pairs, seed):
    client, therapist = np.array(pairs).T
    rows = random_rows(client, therapist)
    if len(set(client)) < 2:
        return
    one, two = (folds_of(rows, groups_of(rows, least=100), folds=5, seed=seed) for _ in range(2))
    np.testing.assert_array_equal(one.fold, two.fold)


@pytest.mark.parametrize("sizes", [np.ones(60, dtype=int), np.arange(1, 61)], ids=["alike", "different"])
def test_another_seed_makes_other_folds(sizes):
    client = np.repeat(np.arange(60), sizes)
    rows = random_rows(client, np.full(len(client), -1))
    one, two = (folds_of(rows, groups_of(rows, least=1), seed=seed).fold for seed in (1, 2))
    assert [set(client[one == k]) for k in range(10)] != [set(client[two == k]) for k in range(10)]
    together = [frozenset(client[fold == k]) for fold in (one, two) for k in range(10)]
    assert len(set(together)) > 10


def test_folds_hold_about_equally_many_rows():
    client = np.repeat(np.arange(40), np.arange(1, 41))
    rows = random_rows(client, np.full(len(client), -1))
    size = np.bincount(folds_of(rows, groups_of(rows, least=1), folds=10).fold)
    # 820 rows: dealt there and back twice, each fold gets 61 + 21 of 4 clients.
    np.testing.assert_array_equal(size, 82)


def test_a_client_of_two_therapists_is_trained_on_in_neither_fold():
    rows = random_rows([0, 1, 1, 2], [0, 0, 1, 1])
    folds = folds_of(rows, groups_of(rows, least=2), folds=2)
    assert folds.straddling == 1
    for train, test in folds:
        assert len(train) == 1
        assert len(test) == 2
        assert 1 not in rows.client[train]


def test_fewer_groups_make_fewer_folds():
    rows = random_rows([0, 1, 2], [-1, -1, -1])
    folds = folds_of(rows, groups_of(rows, least=1), folds=10)
    assert folds.n == 3
    assert sorted(folds.fold) == [0, 1, 2]
    assert folds.straddling == 0


def test_one_fold_is_none():
    rows = random_rows([0, 1], [-1, -1])
    with pytest.raises(ValueError, match=r"^folds must be at least 2, got 1$"):
        folds_of(rows, groups_of(rows, least=1), folds=1)


def test_one_client_cannot_be_divided():
    rows = random_rows([3, 3], [-1, -1])
    with pytest.raises(DataError) as caught:
        folds_of(rows, groups_of(rows, least=1))
    assert str(caught.value) == (
        "error: a model cannot be validated on 1 client\nhint: give the closed cases of more clients"
    )


# Cross-validation


def test_every_row_is_predicted_by_a_model_that_did_not_see_it():
    # Leave-one-out: the share of events among the other three clients.
    rows = rows_with([1, 0, 0, 1], [0, 1, 2, 3])
    folds = folds_of(rows, groups_of(rows, least=1), folds=4)
    hazard, risk = cross_validate(rows, base_rate, folds)
    np.testing.assert_allclose(hazard, [1 / 3, 2 / 3, 2 / 3, 1 / 3])
    np.testing.assert_array_equal(risk, NA)


def test_a_landmark_risk_is_kept_where_there_is_one():
    @dataclass
    class Ahead:
        share: float

        def hazard(self, rows):
            return np.full(len(rows), self.share)

        def risk(self, rows):
            return np.full(len(rows), 2 * self.share)

    rows = rows_with([1, 0, 0, 1], [0, 1, 2, 3])
    folds = folds_of(rows, groups_of(rows, least=1), folds=4)
    hazard, risk = cross_validate(rows, lambda some: Ahead(float(some.y.mean())), folds)
    np.testing.assert_allclose(risk, 2 * hazard)


def test_progress_is_told_after_every_fold():
    told = []
    rows = rows_with([1, 0, 0, 1], [0, 1, 2, 3])
    folds = folds_of(rows, groups_of(rows, least=1), folds=2)
    cross_validate(rows, base_rate, folds, tell=lambda *step: told.append(step))
    assert told == [("cross-validation", 1, 2), ("cross-validation", 2, 2)]


def refuse(rows):
    raise DataError(f"nothing to learn from: 0 of {len(rows)} rows are events", hint="more")


def test_a_fold_that_trains_nothing_says_so():
    rows = rows_with([1, 0, 0, 1], [0, 1, 2, 3])
    with pytest.raises(DataError) as caught:
        cross_validate(rows, refuse, folds_of(rows, groups_of(rows, least=1), folds=4))
    assert str(caught.value) == (
        "error: fold 1 of 4 leaves too little to train a model: nothing to learn from: 0 of 3 rows are "
        "events\nhint: give the closed cases of more clients"
    )


# Draws


def test_draws_take_whole_groups_as_often_as_there_are_groups():
    groups = Groups(unit="client", code=np.array([0, 0, 1, 2, 2, 2]), n=3)
    drawn = list(draws(groups, 50, 7))
    assert len(drawn) == 50
    for weight in drawn:
        assert weight[0] == weight[1]
        assert weight[3] == weight[4] == weight[5]
        assert weight[0] + weight[2] + weight[3] == 3
    assert len({tuple(weight) for weight in drawn}) > 5


def test_the_same_seed_draws_the_same():
    groups = Groups(unit="client", code=np.arange(8), n=8)
    np.testing.assert_array_equal(list(draws(groups, 4, 1)), list(draws(groups, 4, 1)))
    assert np.any(np.array(list(draws(groups, 4, 1))) != np.array(list(draws(groups, 4, 2))))


# Optimism

TWO_CLIENTS = rows_with([1, 0, 0, 0, 1, 1, 0, 0], np.repeat([0, 1], 4))


def test_optimism_is_worked_by_hand_for_two_clients():
    # A has 1 of 4 events, B 2 of 4, and the model is the share it was trained on.
    #   draws   p     O/E drawn, all   Brier drawn, all
    #   A A     .25   1, 1.5           .1875, .25
    #   A B     .375  1, 1             .234375, .234375
    #   B B     .5    1, .75           .25, .25
    groups = groups_of(TWO_CLIENTS, least=1)
    often = np.array([weight[0] for weight in draws(groups, 40, 1)])
    both_a, both_b = (often == 2).sum(), (often == 0).sum()
    assert min(both_a, both_b, (often == 1).sum()) > 3
    found = bootstrap_optimism(TWO_CLIENTS, base_rate, groups, n_boot=40, seed=1)
    assert found.optimism["oe"] == pytest.approx((-0.5 * both_a + 0.25 * both_b) / 40)
    assert found.optimism["brier"] == pytest.approx(-0.0625 * both_a / 40)
    assert found.apparent["oe"] == pytest.approx(1)
    assert found.apparent["brier"] == pytest.approx(0.375 * 0.625)
    assert found.corrected["brier"] == pytest.approx(0.234375 + 0.0625 * both_a / 40)
    assert (found.unit, found.n_boot, found.n_failed) == ("client", 40, 0)
    assert list(found.optimism) == list(found.corrected) == list(METRICS)


def test_a_model_that_learns_nothing_has_optimism_by_chance_only():
    rng = np.random.default_rng(3)
    rating = rng.normal(5, 1, 300)
    y = (rng.random(300) < by_rating(None).hazard(rows_with(rating, rating, rating=rating))).astype(float)
    rows = rows_with(y, np.arange(300), rating=rating)
    found = bootstrap_optimism(rows, by_rating, groups_of(rows, least=1), n_boot=60, threshold=0.15)
    assert abs(found.optimism["auc"]) < 0.01
    assert abs(found.optimism["nb"]) < 0.01
    assert found.corrected["auc"] == pytest.approx(found.apparent["auc"] - found.optimism["auc"])


def test_a_replicate_is_trained_on_rows_as_often_as_they_were_drawn():
    seen = []

    def spy(rows):
        seen.append(np.bincount(rows.client, minlength=2))
        return base_rate(rows)

    groups = groups_of(TWO_CLIENTS, least=1)
    bootstrap_optimism(TWO_CLIENTS, spy, groups, n_boot=10, seed=1)
    expected = [[4, 4], *([weight[0] * 4, weight[4] * 4] for weight in draws(groups, 10, 1))]
    np.testing.assert_array_equal(seen, expected)


def test_replicates_without_both_outcomes_or_without_a_model_are_counted():
    rows = rows_with([1, 1, 0, 0], [0, 0, 1, 1])
    groups = groups_of(rows, least=1)
    mixed = sum(weight[0] == 1 for weight in draws(groups, 30, 1))
    found = bootstrap_optimism(rows, base_rate, groups, n_boot=30, seed=1)
    assert found.n_failed == 30 - mixed
    assert found.optimism["brier"] == pytest.approx(0)

    fits = iter([base_rate])

    def fit_once(some):
        return next(fits, refuse)(some)

    none = bootstrap_optimism(TWO_CLIENTS, fit_once, groups_of(TWO_CLIENTS, least=1))
    assert none.n_failed == 200
    assert np.isnan(none.optimism["brier"])
    assert np.isnan(none.corrected["brier"])


# Intervals


def test_intervals_are_percentiles_over_draws_of_whole_groups():
    rng = np.random.default_rng(5)
    client = np.repeat(np.arange(30), 3)
    y, p = (rng.random(90) < 0.4).astype(float), rng.random(90)
    groups = Groups(unit="client", code=client, n=30)
    found = intervals(Predictions(y=y, p=p, session=np.ones(90, dtype=int)), groups, n_boot=40, seed=2)
    aucs = []
    for weight in draws(groups, 40, 2, job=resampling._INTERVALS):
        again = np.repeat(np.arange(90), weight.astype(int))
        aucs.append(roc_auc_score(y[again], p[again]))
    assert found["auc"].value == pytest.approx(roc_auc_score(y, p))
    assert (found["auc"].low, found["auc"].high) == pytest.approx(tuple(np.percentile(aucs, [2.5, 97.5])))
    assert list(found) == list(METRICS)
    assert np.isnan([found["nb"].value, found["nb"].low]).all()


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        pytest.param([NA, NA, 0, 1], (0.025, 0.975), id="half are known"),
        pytest.param([NA, NA, NA, 1], (NA, NA), id="fewer than half"),
        pytest.param([], (NA, NA), id="none"),
    ],
)
def test_an_interval_needs_half_the_draws(values, limits):
    np.testing.assert_allclose(percentile_limits(np.array(values, dtype=float)), limits)
