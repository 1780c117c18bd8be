"""A whole validation: its parts agree, its JSON is complete, and its warnings say what they must."""

import inspect
import json
from dataclasses import fields, replace

import numpy as np
import pytest
from service_helpers import service_cohort
from validation_helpers import BaseRate, ByRating, by_rating, rows_with

from alliance.dropout.ends.cohort import COMPETING, DROPOUT, EXCLUDED, ONGOING, PLANNED
from alliance.dropout.instrument import Instrument
from alliance.dropout.model.bundle import bundle_of
from alliance.dropout.model.hazard import FitSettings, fit
from alliance.dropout.model.rows import rows_of
from alliance.dropout.validation import Plan, evaluate_external, validate, validate_fit
from alliance.dropout.validation.metrics import METRICS, auc, net_benefit, session_aucs
from alliance.errors import DataError, UsageError

NA = np.nan
SRS = Instrument(id="srs", max=40, cutoff=36)
QUICK = Plan(folds=5, n_boot=8, learning=False, imputations=2)


@pytest.fixture(scope="module")
def study():
    cohort = service_cohort(260, 3)
    return cohort, rows_of(cohort)


@pytest.fixture(scope="module")
def found(study):
    return validate(
        *study,
        FitSettings(),
        SRS,
        groups={"half": np.where(np.arange(260) % 2, "odd", "even"), "rare": np.arange(260) < 5},
        folds=5,
        n_boot=10,
        imputations=2,
    )


def test_the_parts_agree_with_each_other(study, found):
    _, rows = study
    assert found.rows == {"n": len(rows), "events": int(rows.y.sum()), "cases": len(np.unique(rows.case))}
    assert found.cv["auc"].value == session_aucs(rows.y, found.p, rows.session, made_by=found.fold).headline
    one = np.ones(len(rows), dtype=int)
    assert found.cv["auc_pooled"].value == session_aucs(rows.y, found.p, one, made_by=found.fold).headline
    assert found.threshold.net_benefit == found.cv["nb"].value
    assert 0.19 < found.threshold.flag_rate <= 0.2
    assert found.cv["auc"].low < found.cv["auc"].value < found.cv["auc"].high
    assert found.per_session[0]["n"] == (rows.session == 1).sum()
    assert sum(each["events"] for each in found.per_session) == rows.y.sum()
    assert found.learning[-1]["auc"] == found.cv["auc"].value
    assert [each["cases"] for each in found.learning[:-1]] == [50, 100]
    at = next(each for each in found.decision if each["threshold"] == found.threshold.value)
    assert at["model"] == found.cv["nb"].value
    assert at["drf1"] == pytest.approx(found.drf1["net_benefit"])
    assert [each["threshold"] for each in found.decision] == sorted(
        each["threshold"] for each in found.decision
    )
    assert len(found.calibration["groups"]) == 10
    assert len(found.calibration["smooth"]) == 100
    assert found.sample_size.parameters == 5
    assert found.landmark["n"] == np.isfinite(rows.fate).sum()
    assert [each["level"] for each in found.fairness] == ["even", "odd", "False", "True"]
    assert len(found.sensitivity) == 4


def test_a_small_service_stays_exploratory_and_says_how_it_was_validated(study, found):
    passed = {gate.id: gate.passed for gate in found.gates}
    assert passed["G1"] is False
    assert passed["G7"] is True
    assert found.status == "exploratory"
    assert found.grouped_by == "therapist"
    assert found.method == (
        "5-fold cross-validation grouped by therapist; bootstrap optimism of 10 replicates drawing therapists"
    )
    events = found.rows["events"]
    assert events < 100
    assert found.warnings == (f"{events} dropouts: at least 100 are recommended",)


def test_the_gates_see_the_numbers_of_the_validation(study, found):
    cohort, rows = study
    said = {gate.id: gate.found for gate in found.gates}
    closed = np.isin(cohort.end, (DROPOUT, PLANNED, COMPETING)).sum()
    needed = found.sample_size.riley
    assert said["G1"] == f"{closed} clients of {max(300, needed)} needed, {int(rows.y.sum())} dropouts"
    assert said["G4"] == (
        "200 draws and 10 folds are needed, there were 10 and 5; "
        f"AUC {found.cv['auc'].value:.3f}, lower bound {found.cv['auc'].low:.3f}, DRF-1 "
        f"{found.drf1['auc']:.3f}"
    )
    everybody = net_benefit(rows.y, np.ones(len(rows), dtype=bool), found.threshold.value)
    assert said["G6"] == (
        f"net benefit {found.cv['nb'].value:.4f}, all {everybody:.4f}, none 0, DRF-1 "
        f"{found.drf1['net_benefit']:.4f}"
    )
    assert found.sample_size.phi == pytest.approx((cohort.end == DROPOUT).sum() / closed)


KEYS = {
    *("method", "folds", "n_boot", "seed", "grouped_by", "resampled_by", "rows", "apparent", "optimism"),
    *("corrected", "n_failed", "cv", "per_session", "calibration", "decision", "learning", "sample_size"),
    *("drf1", "threshold", "landmark", "sensitivity", "life_table", "incidence", "fairness", "gates"),
    *("status", "warnings"),
}


def test_the_json_is_complete_plain_and_without_nan(found):
    values = found.as_json()
    assert set(values) == KEYS
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert set(values["cv"]) == set(METRICS)
    assert set(values["cv"]["auc"]) == {"value", "low", "high"}
    assert set(values["apparent"]) == set(values["optimism"]) == set(values["corrected"]) == set(METRICS)
    assert set(values["threshold"]) == {
        *("value", "budget", "net_benefit", "flag_rate", "sens", "spec", "ppv"),
    }
    assert set(values["drf1"]) == {"auc", "auc_pooled", "flag_rate", "sens", "spec", "ppv", "net_benefit"}
    assert set(values["life_table"][0]) == {
        *("session", "at_risk", "events", "hazard", "survival", "se_hazard"),
    }
    assert set(values["incidence"][0]) == {"session", "dropout", "other"}
    assert set(values["learning"][0]) == {
        *("cases", "dropouts", "auc", "auc_low", "auc_high", "slope", "citl"),
    }
    assert values["fairness"][3]["note"] == "too few"
    assert values["fairness"][3]["n"] is None
    assert "p" not in values


def test_the_same_seed_gives_the_same_validation():
    cohort = service_cohort(110, 3)
    one, two, other = (
        validate(
            cohort,
            rows_of(cohort),
            FitSettings(landmark=False),
            SRS,
            folds=3,
            n_boot=2,
            imputations=1,
            seed=seed,
        )
        for seed in (1, 1, 2)
    )
    assert one.as_json() == two.as_json()
    assert one.cv["auc"].low != other.cv["auc"].low
    assert one.landmark is None
    assert one.fairness is None


def test_every_fold_and_replicate_is_fitted_anew_with_its_own_numbers_of_reference(study, monkeypatch):
    cohort, rows = study
    means, strict = [], []

    def spy(some, settings, **options):
        strict.append(settings.strict)
        model = fit(some, settings, **options)
        means.append(model.reference.mean)
        return model

    monkeypatch.setattr("alliance.dropout.model.hazard.fit", spy)
    validate(cohort, rows, FitSettings(), SRS, folds=4, n_boot=5, imputations=0, learning=False)
    # One as asked, four folds, the apparent one, five replicates, one for its size, one as fitted.
    assert len(means) == 13
    assert len(set(means)) == 10
    assert strict == [True] + [False] * 12


# Worked small


def test_the_life_table_and_incidence_are_worked_by_hand():
    # Sessions 1, 2, 3: 8, 6 and 2 at risk; 2, 1 and 0 dropouts; 0, 1 and 1 ended otherwise.
    session = np.repeat([1, 2, 3], [8, 6, 2])
    y = np.array([1, 1, *[0] * 6, 1, *[0] * 5, 0, 0])
    other = np.array([0] * 8 + [0, 1, 0, 0, 0, 0] + [1, 0])
    rows = replace(rows_with(y, np.arange(16), session=session), other=other.astype(float))
    result = toy(rows)
    assert [each["at_risk"] for each in result.life_table] == [8, 6, 2]
    assert [each["events"] for each in result.life_table] == [2, 1, 0]
    assert [each["hazard"] for each in result.life_table] == pytest.approx([1 / 4, 1 / 6, 0])
    assert [each["survival"] for each in result.life_table] == pytest.approx([3 / 4, 5 / 8, 5 / 8])
    assert result.life_table[0]["se_hazard"] == pytest.approx(np.sqrt(3 / 4 / 4 / 8))
    # Survival of both ends: 1, 3/4, 3/4 · 4/6 = 1/2.
    assert [each["dropout"] for each in result.incidence] == pytest.approx([1 / 4, 3 / 8, 3 / 8])
    assert [each["other"] for each in result.incidence] == pytest.approx([0, 1 / 8, 3 / 8])


def test_the_three_ways_to_count_presumed_dropouts_are_compared(study):
    cohort, rows = study
    late = rows.take(rows.session > 1)
    found = validate(
        cohort,
        rows,
        FitSettings(landmark=False),
        SRS,
        folds=2,
        n_boot=1,
        learning=False,
        imputations=0,
        presumed={"exclude": rows, "censor": late, "dropout": rows.take(rows.session < 9)},
    )
    fitted, *ways = found.sensitivity
    assert [each["what"] for each in ways] == [
        "presumed dropouts excluded",
        "presumed dropouts counted as dropouts",
        "presumed dropouts taken for ongoing",
    ]
    assert ways[0]["terms"] == fitted["terms"]
    assert ways[2]["terms"]["level"] == fit(late, FitSettings(landmark=False)).terms[1].coef
    assert ways[1]["terms"] != ways[2]["terms"] != fitted["terms"]


def test_one_draw_and_two_folds_validate_nothing(study):
    found = validate(
        *study, FitSettings(landmark=False), SRS, folds=2, n_boot=1, learning=False, imputations=0
    )
    g4 = found.gates[3]
    assert g4.passed is None
    assert g4.found.startswith("200 draws and 10 folds are needed, there were 1 and 2; AUC ")
    assert found.status == "exploratory"


def test_an_unknown_way_to_count_presumed_dropouts_is_refused_at_once(study):
    with pytest.raises(ValueError, match=r"^presumed must hold rows by exclude, dropout, censor, got drop$"):
        validate(*study, FitSettings(), SRS, presumed={"drop": study[1]})


def toy(rows, *, fitted=by_rating, plan=QUICK, end=PLANNED, **options):
    """Validate a toy model on rows whose visits are all one session of one case."""
    n = int(rows.case.max()) + 1
    cohort = replace(service_cohort(n, 1), end=np.full(n, end, dtype=np.int8), client=np.arange(n))
    return validate_fit(cohort, rows, fitted, SRS, plan=plan, **options)


def alike(rows):
    return BaseRate(share=0.34)


def mixed_rows(n=40, **columns):
    rating = np.linspace(1, 9, n)
    return rows_with(np.arange(n) % 3 == 0, np.arange(n), rating=rating, **columns)


def test_few_therapists_are_warned_of_and_pass_their_gate():
    result = toy(mixed_rows(therapist=np.arange(40) % 9))
    assert result.grouped_by == "client"
    assert result.gates[2].passed is True
    assert result.warnings[0] == (
        "validated by client: 9 of 10 therapists are known, so how the model does with other therapists was "
        "not seen"
    )


def test_ten_therapists_are_enough_for_folds_but_not_for_draws():
    result = toy(mixed_rows(therapist=np.arange(40) % 10))
    assert (result.grouped_by, result.optimism.unit) == ("therapist", "client")
    assert not any("validated by client" in each for each in result.warnings)
    assert toy(mixed_rows(therapist=np.arange(40) % 20)).optimism.unit == "therapist"


def test_clients_of_several_therapists_are_told():
    rows = mixed_rows(therapist=np.arange(40) % 10)
    rows = replace(rows, client=np.where(np.arange(40) == 1, 0, rows.client))
    result = toy(rows)
    assert (
        "clients seen by therapists of several folds: 1; a fold is trained without the clients it tests"
        in result.warnings
    )


def test_predictions_all_alike_have_no_threshold_and_leave_gates_open():
    result = toy(mixed_rows(), fitted=alike)
    assert result.threshold is None
    assert result.as_json()["threshold"] is None
    assert "no threshold flags 20 % of the rows or fewer: too many predictions are alike" in result.warnings
    passed = {gate.id: gate.passed for gate in result.gates}
    assert passed["G5"] is None
    assert passed["G6"] is None
    assert passed["G4"] is None
    assert len(result.decision) == 40


def test_draws_without_a_model_are_told():
    calls = iter(range(1000))

    def sometimes(_rows):
        # Five folds and the apparent model come first.
        if next(calls) in {7, 9}:
            raise DataError("nothing to learn from", hint="more")
        return ByRating()

    result = toy(mixed_rows(), fitted=sometimes)
    assert result.optimism.n_failed == 2
    assert "no model could be fitted to 2 of 8 draws" in result.warnings


def test_progress_names_every_step():
    steps = []
    toy(
        mixed_rows(200, therapist=np.arange(200) % 10),
        plan=replace(QUICK, learning=True),
        tell=lambda step, _done, _total: steps.append(step),
    )
    assert list(dict.fromkeys(steps)) == ["cross-validation", "bootstrap", "intervals", "learning curve"]


def test_only_clients_with_a_treatment_that_ended_count_as_closed():
    rows = mixed_rows()
    assert "40 clients of" in toy(rows).gates[0].found
    assert "40 clients of" in toy(rows, end=COMPETING).gates[0].found
    assert "40 clients of" in toy(rows, end=DROPOUT).gates[0].found
    assert "0 clients of" in toy(rows, end=ONGOING).gates[0].found
    assert "0 clients of" in toy(rows, end=EXCLUDED).gates[0].found


# What cannot be validated


def test_unknown_outcomes_are_refused(study):
    cohort, rows = study
    unknown = replace(rows, y=np.where(np.arange(len(rows)) < 3, NA, rows.y))
    with pytest.raises(ValueError, match=r"^y must be known at every row, got 3 unknown$"):
        validate(cohort, unknown, FitSettings(), SRS)


@pytest.mark.parametrize("value", [0, 1])
def test_one_outcome_only_cannot_be_validated(study, value):
    cohort, rows = study
    n = len(rows)
    with pytest.raises(DataError) as caught:
        validate(cohort, replace(rows, y=np.full(n, float(value))), FitSettings(), SRS)
    assert str(caught.value) == (
        f"error: a model cannot be judged by {n * value} dropouts in {n} sessions\n"
        "hint: give closed cases, some with and some without dropout"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_boot": 0}, "n_boot must be at least 1, got 0"),
        ({"imputations": -1}, "imputations must be at least 0, got -1"),
        ({"budget": 0.0}, "budget must be above 0 and below 1, got 0"),
        ({"budget": 1.0}, "budget must be above 0 and below 1, got 1"),
        ({"folds": 1}, "folds must be at least 2, got 1"),
    ],
)
def test_plans_that_make_no_sense_are_refused(study, options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        validate(*study, FitSettings(), SRS, **options)


def test_settings_that_do_not_suit_the_data_are_refused_at_once(study):
    cohort, rows = study
    rows = replace(rows, covariates={"age": np.zeros(len(rows))})
    with pytest.raises(UsageError) as caught:
        validate(cohort, rows, FitSettings(covariates=("age",)), SRS)
    assert str(caught.value).startswith("error: demographic covariates are no predictors by default\n  age")


def test_no_table_by_therapist_comes_out_of_a_validation(study):
    cohort, rows = study
    with pytest.raises(UsageError) as caught:
        validate(
            cohort, rows, FitSettings(), SRS, groups={"team": cohort.therapist}, n_boot=1, learning=False
        )
    assert str(caught.value).startswith("error: 'team' names the therapists: no table by therapist is made")


# No re-balancing


@pytest.mark.parametrize("named", [FitSettings, Plan])
def test_no_setting_rebalances_the_classes(named):
    words = ("sampl", "balanc", "smote", "class", "weight", "ratio", "over", "under")
    assert [each.name for each in fields(named) if any(word in each.name for word in words)] == []


@pytest.mark.parametrize("function", [fit, validate, validate_fit, evaluate_external])
def test_no_function_rebalances_the_classes(function):
    words = ("sampl", "balanc", "smote", "class", "weight", "ratio", "over", "under")
    assert [
        name for name in inspect.signature(function).parameters if any(word in name for word in words)
    ] == []


def test_undersampling_would_ruin_calibration_and_gain_nothing(study):
    # As many rows without as with the event: what the metrics say of a practice that is not on offer.
    _, rows = study
    events, others = np.flatnonzero(rows.y == 1), np.flatnonzero(rows.y == 0)
    chosen = np.random.default_rng(1).permutation(others)[: len(events)]
    model = fit(rows.take(np.sort(np.concatenate([events, chosen]))), FitSettings(landmark=False))
    whole = fit(rows, FitSettings(landmark=False))
    balanced, honest = (evaluate_external(each, rows, n_boot=2).metrics for each in (model, whole))
    assert balanced["citl"].value < -2.5
    assert balanced["oe"].value < 0.15
    assert balanced["ici"].value > 0.2
    assert balanced["auc"].value < honest["auc"].value + 0.01
    assert honest["citl"].value == pytest.approx(0, abs=1e-6)


# New data


def test_a_frozen_model_is_judged_on_new_data_without_any_gate():
    rows = mixed_rows()
    result = evaluate_external(ByRating(), rows, threshold=0.2, groups={"all": np.full(40, "x")}, n_boot=5)
    p = 10 / (20 + rows.rating * 10)
    assert result.metrics["auc"].value == auc(rows.y, p)
    assert result.metrics["nb"].value == pytest.approx(net_benefit(rows.y, p >= 0.2, 0.2))
    assert result.threshold.value == 0.2
    assert result.fairness[0]["note"] == "too few"
    values = result.as_json()
    assert values["method"] == "external, intervals drawing clients"
    assert values["threshold"]["budget"] is None
    assert not {"gates", "status"} & set(values)
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_without_a_threshold_there_is_no_flag():
    result = evaluate_external(ByRating(), mixed_rows(), n_boot=2)
    assert result.threshold is None
    assert np.isnan(result.metrics["nb"].value)
    assert result.fairness is None


def test_a_bundle_brings_its_model_and_threshold(study, found):
    cohort, rows = study
    bundle = bundle_of(
        fit(rows, FitSettings()),
        rows,
        cohort,
        instrument={"id": "srs", "scoring_version": "1", "low": 0, "high": 40},
        created="2026-01-01",
        tool_version="0",
        validation=found.as_json(),
    )
    assert bundle.status == "exploratory"
    result = evaluate_external(bundle, rows, n_boot=2)
    assert result.threshold.value == found.threshold.value
    assert result.metrics["auc"].value == pytest.approx(found.optimism.apparent["auc"])


def test_new_data_need_both_outcomes():
    rows = replace(mixed_rows(), y=np.zeros(40))
    with pytest.raises(DataError) as caught:
        evaluate_external(ByRating(), rows)
    assert str(caught.value) == (
        "error: a model cannot be judged by 0 dropouts in 40 sessions\n"
        "hint: give closed cases, some with and some without dropout"
    )
