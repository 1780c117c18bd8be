"""Clients needed by formula, and the learning curve."""

import numpy as np
import pytest
from validation_helpers import base_rate, by_rating, rows_with

from alliance.dropout.validation.metrics import Predictions, session_aucs
from alliance.dropout.validation.resampling import cross_validate, folds_of, groups_of
from alliance.dropout.validation.size import curve_sizes, learning_curve, riley_size
from alliance.errors import DataError


@pytest.mark.parametrize(
    ("phi", "r2", "needed"), [(0.20, 0.11, 622), (0.20, 0.15, 449), (0.30, 0.11, 555), (0.30, 0.15, 400)]
)
def test_five_parameters_need_the_published_formulas_clients(phi, r2, needed):
    assert riley_size(phi, parameters=5, r2_nagelkerke=r2).riley == needed


def test_the_three_criteria_reproduce_riley_2019_on_chagas_disease():
    # 24 parameters, prevalence .174, Cox and Snell's R² .288 (of at most .60321): at least 4.8 events per
    # parameter, that is 662 people. By hand: 24 / (.1 · .38566) = 622.3; S = .288 / .31816 = .90520,
    # 24 / (.09480 · .38297) = 661.1; 39.2² · .174 · .826 = 220.9.
    found = riley_size(0.174, parameters=24, r2_nagelkerke=0.288 / 0.60321)
    assert found.r2_cox_snell == pytest.approx(0.288, abs=2e-6)
    assert [each["n"] for each in found.as_json()["criteria"]] == [623, 662, 221]
    assert found.riley == 662
    assert found.riley * 0.174 / 24 == pytest.approx(4.8, abs=0.05)


def test_the_size_says_what_it_was_made_of():
    values = riley_size(0.2).as_json()
    assert (values["phi"], values["r2_nagelkerke"], values["parameters"], values["shrinkage"]) == (
        0.2,
        0.11,
        5,
        0.9,
    )
    assert [each["what"] for each in values["criteria"]] == [
        "coefficients shrink by 10 % or less",
        "R² at most 0.05 too good",
        "overall risk known within 0.05",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phi": 0.0}, "phi must be above 0 and below 1, got 0"),
        ({"phi": 1.0}, "phi must be above 0 and below 1, got 1"),
        ({"phi": 0.2, "r2_nagelkerke": 1.0}, "r2_nagelkerke must be above 0 and below 1, got 1"),
        ({"phi": 0.2, "shrinkage": 1.0}, "shrinkage must be above 0 and below 1, got 1"),
        ({"phi": 0.2, "parameters": 0}, "parameters must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        riley_size(**options)


@pytest.mark.parametrize(
    ("clients", "sizes"),
    [
        (50, []),
        (51, [50]),
        (100, [50]),
        (101, [50, 100]),
        (3201, [50, 100, 200, 400, 800, 1600, 3200]),
        (99999, [50, 100, 200, 400, 800, 1600, 3200]),
    ],
)
def test_sizes_double_from_50_to_3200(clients, sizes):
    assert curve_sizes(clients) == sizes


def service(n=150, seed=4):
    rng = np.random.default_rng(seed)
    rating = rng.normal(5, 2, 2 * n)
    y = (rng.random(2 * n) < 1 / (1 + np.exp(rating - 4))).astype(float)
    return rows_with(y, np.repeat(np.arange(n), 2), session=np.tile([1, 2], n), rating=rating)


def judged(rows, fit, folds):
    hazard, _ = cross_validate(rows, fit, folds)
    return Predictions(y=rows.y, p=hazard, session=rows.session)


def test_the_learning_curve_trains_on_so_many_clients_and_ends_in_the_cross_validation():
    rows, sizes = service(), []

    def spy(some):
        sizes.append(len(np.unique(some.client)))
        return by_rating(some)

    folds = folds_of(rows, groups_of(rows, least=1), folds=5)
    whole = judged(rows, by_rating, folds)
    found = learning_curve(rows, spy, folds, whole)
    assert [each["cases"] for each in found] == [50, 100, 120]
    assert sizes == [50] * 25 + [100] * 25
    assert found[-1]["auc"] == session_aucs(rows.y, whole.p, rows.session).headline
    assert found[-1]["dropouts"] == pytest.approx(rows.y.sum() * 4 / 5)
    # A model that learns nothing predicts the same from any number of clients.
    for each in found:
        assert each["auc_low"] == pytest.approx(each["auc_high"])
        assert each["slope"] == pytest.approx(found[-1]["slope"])
    assert found[0]["dropouts"] == pytest.approx(50 * rows.y.sum() / 150, rel=0.15)


def test_more_clients_than_are_judged_leave_the_curve_nearly_as_it_is(monkeypatch):
    rows = service(600)
    folds = folds_of(rows, groups_of(rows, least=1), folds=5)
    whole = judged(rows, by_rating, folds)
    monkeypatch.setattr("alliance.dropout.validation.size.JUDGED", 500)
    found = learning_curve(rows, by_rating, folds, whole)
    assert found[0]["auc"] == pytest.approx(found[-1]["auc"], abs=0.06)
    assert found[0]["auc"] != found[-1]["auc"]


def test_sizes_that_give_no_model_are_not_known():
    def needs_a_hundred(some):
        if len(np.unique(some.client)) < 100:
            raise DataError("too few", hint="more")
        return base_rate(some)

    rows = service()
    folds = folds_of(rows, groups_of(rows, least=1), folds=5)
    found = learning_curve(rows, needs_a_hundred, folds, judged(rows, base_rate, folds))
    assert found[0]["cases"] == 50
    assert np.isnan([found[0][name] for name in ("dropouts", "auc", "auc_low", "auc_high", "slope")]).all()
    assert found[1]["dropouts"] > 0
