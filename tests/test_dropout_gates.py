"""The seven gates: just below, at and just above every bound; missing evidence; the status."""

from dataclasses import replace

import pytest

from alliance.dropout.validation.gates import Evidence, all_of, gates, status

NA = float("nan")
GOOD = Evidence(
    n_closed=800,
    n_dropouts=210,
    n_events=210,
    n_parameters=5,
    n_needed=560,
    n_therapists=30,
    grouped_by="therapist",
    auc=0.70,
    auc_low=0.66,
    auc_drf1=0.64,
    slope=0.95,
    citl=0.01,
    nb=0.011,
    nb_all=-0.02,
    nb_drf1=0.006,
    n_boot=200,
    folds=10,
    same=True,
)


def gate(name, **evidence):
    return next(each for each in gates(replace(GOOD, **evidence)) if each.id == name)


def test_there_are_seven_gates_in_order_and_good_evidence_passes_them():
    found = gates(GOOD)
    assert [each.id for each in found] == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
    assert all(each.passed is True for each in found)
    assert status(found) == "validated"


@pytest.mark.parametrize(
    ("evidence", "passed"),
    [
        pytest.param({"n_closed": 299, "n_needed": 200}, False, id="one client short of 300"),
        pytest.param({"n_closed": 300, "n_needed": 200}, True, id="300 clients"),
        pytest.param({"n_closed": 559}, False, id="one short of Riley's number"),
        pytest.param({"n_closed": 560}, True, id="Riley's number"),
        pytest.param({"n_closed": 299, "n_needed": NA}, False, id="short, whatever Riley's number is"),
        pytest.param({"n_closed": 300, "n_needed": NA}, None, id="Riley's number not known"),
        pytest.param({"n_dropouts": 59}, False, id="one dropout short"),
        pytest.param({"n_dropouts": 60}, True, id="60 dropouts"),
        pytest.param({"n_dropouts": 99}, True, id="fewer than recommended is enough"),
    ],
)
def test_g1_asks_for_clients_and_dropouts(evidence, passed):
    assert gate("G1", **evidence).passed is passed


@pytest.mark.parametrize(("events", "passed"), [(49, False), (50, True), (51, True)])
def test_g2_asks_for_ten_events_per_parameter(events, passed):
    assert gate("G2", n_events=events).passed is passed


@pytest.mark.parametrize(
    ("n", "unit", "passed"),
    [(9, "therapist", False), (10, "therapist", True), (9, "client", True), (0, "client", True)],
)
def test_g3_asks_for_ten_therapists_or_grouping_by_client(n, unit, passed):
    assert gate("G3", n_therapists=n, grouped_by=unit).passed is passed


@pytest.mark.parametrize(
    ("evidence", "passed"),
    [
        pytest.param({"auc": 0.5999, "auc_low": 0.58, "auc_drf1": 0.5}, False, id="AUC just below .60"),
        pytest.param({"auc": 0.60, "auc_low": 0.58, "auc_drf1": 0.5}, True, id="AUC of .60"),
        pytest.param({"auc_low": 0.55}, False, id="lower bound at .55 is not above it"),
        pytest.param({"auc_low": 0.5501}, True, id="lower bound just above .55"),
        pytest.param({"auc_drf1": 0.70}, False, id="as good as the rules is not better"),
        pytest.param({"auc_drf1": 0.7 + 1e-12}, False, id="binary rounding decides nothing"),
        pytest.param({"auc_drf1": 0.6999}, True, id="better than the rules"),
        pytest.param({"auc_drf1": NA}, None, id="the rules not known"),
        pytest.param({"auc_low": NA}, None, id="the bound not known"),
        pytest.param({"auc": NA}, None, id="AUC not known"),
        pytest.param({"auc_low": 0.5, "auc_drf1": NA}, False, id="a no outweighs what is not known"),
    ],
)
def test_g4_asks_for_an_auc_above_the_rules(evidence, passed):
    assert gate("G4", **evidence).passed is passed


@pytest.mark.parametrize(
    ("n_boot", "folds", "passed"),
    [
        pytest.param(200, 10, True, id="200 draws and 10 folds"),
        pytest.param(199, 10, None, id="one draw short"),
        pytest.param(200, 9, None, id="one fold short"),
        pytest.param(1, 2, None, id="one draw and two folds"),
        pytest.param(1000, 20, True, id="more of both"),
    ],
)
def test_g4_is_open_while_there_are_too_few_draws_or_folds(n_boot, folds, passed):
    assert gate("G4", n_boot=n_boot, folds=folds).passed is passed
    assert gate("G4", n_boot=n_boot, folds=folds, auc=0.5).passed is (passed and False)


def test_g4_says_how_many_draws_and_folds_it_needs():
    assert gate("G4", n_boot=1, folds=2).found == (
        "200 draws and 10 folds are needed, there were 1 and 2; AUC 0.700, lower bound 0.660, DRF-1 0.640"
    )


@pytest.mark.parametrize(
    ("evidence", "passed"),
    [
        pytest.param({"slope": 0.7999}, False, id="slope just below .80"),
        pytest.param({"slope": 0.80}, True, id="slope of .80"),
        pytest.param({"slope": 1.20}, True, id="slope of 1.20"),
        pytest.param({"slope": 1.2001}, False, id="slope just above 1.20"),
        pytest.param({"slope": NA}, None, id="slope not known"),
        pytest.param({"citl": 0.20}, True, id="calibration in the large of .20"),
        pytest.param({"citl": 0.2001}, False, id="just above .20"),
        pytest.param({"citl": -0.20}, True, id="minus .20"),
        pytest.param({"citl": -0.2001}, False, id="just below minus .20"),
        pytest.param({"citl": NA}, None, id="calibration in the large not known"),
    ],
)
def test_g5_asks_for_calibration(evidence, passed):
    assert gate("G5", **evidence).passed is passed


@pytest.mark.parametrize(
    ("evidence", "passed"),
    [
        pytest.param({"nb": 0.0, "nb_drf1": -0.1}, False, id="as good as treating none"),
        pytest.param({"nb": 0.0001, "nb_drf1": -0.1}, True, id="better than treating none"),
        pytest.param({"nb_all": 0.011}, False, id="as good as treating all"),
        pytest.param({"nb_all": 0.0109}, True, id="better than treating all"),
        pytest.param({"nb_drf1": 0.011}, False, id="as good as the rules"),
        pytest.param({"nb_drf1": 0.0109}, True, id="better than the rules"),
        pytest.param({"nb": NA}, None, id="no threshold"),
        pytest.param({"nb_drf1": NA}, None, id="the rules not known"),
    ],
)
def test_g6_asks_for_a_net_benefit_above_every_other_way(evidence, passed):
    assert gate("G6", **evidence).passed is passed


@pytest.mark.parametrize("same", [True, False, None])
def test_g7_asks_for_the_same_definition_and_form(same):
    assert gate("G7", same=same).passed is same


BREAKING = {
    "G1": ({"n_dropouts": 59}, {"n_needed": NA}),
    "G2": ({"n_events": 49}, None),
    "G3": ({"n_therapists": 9}, None),
    "G4": ({"auc": 0.59}, {"n_boot": 199}),
    "G5": ({"slope": 0.7}, {"citl": NA}),
    "G6": ({"nb": 0.0}, {"nb": NA}),
    "G7": ({"same": False}, {"same": None}),
}


@pytest.mark.parametrize("name", BREAKING)
def test_one_gate_failed_or_open_leaves_a_model_exploratory(name):
    for evidence in filter(None, BREAKING[name]):
        found = gates(replace(GOOD, **evidence))
        assert [each.id for each in found if each.passed is not True] == [name]
        assert status(found) == "exploratory"


def test_no_gate_at_all_leaves_a_model_exploratory():
    assert status(()) == "exploratory"


@pytest.mark.parametrize(
    ("answers", "answer"),
    [((True, True), True), ((True, None), None), ((None, False), False), ((), True)],
)
def test_all_of_has_three_answers(answers, answer):
    assert all_of(*answers) is answer


def test_gates_say_what_they_ask_and_what_was_found():
    found = {each.id: (each.asks, each.found) for each in gates(GOOD)}
    assert found == {
        "G1": (
            "clients with closed treatments: 300, or the number by Riley et al. 2019 if that is larger; at "
            "least 60 dropouts (100 recommended)",
            "800 clients of 560 needed, 210 dropouts",
        ),
        "G2": ("at least 10 events per parameter", "210 events, 5 parameters"),
        "G3": (
            "at least 10 therapists, or a validation grouped by client, with a warning",
            "30 therapists, grouped by therapist",
        ),
        "G4": (
            "cross-validated AUC at least 0.60, its lower 95 % bound above 0.55, and above the AUC of the "
            "DRF-1 order on the same rows; 200 bootstrap draws and 10 folds",
            "AUC 0.700, lower bound 0.660, DRF-1 0.640",
        ),
        "G5": (
            "cross-validated calibration slope 0.80 to 1.20, calibration in the large at most 0.20 from 0",
            "slope 0.950, calibration in the large 0.010",
        ),
        "G6": (
            "net benefit at the threshold above that of treating all, of treating none, and of DRF-1 REVIEW",
            "net benefit 0.0110, all -0.0200, none 0, DRF-1 0.0060",
        ),
        "G7": (
            "the data in use have the model's dropout definition, instrument and scoring version",
            "the same",
        ),
    }
    assert gate("G4", auc=NA).found == "AUC not known, lower bound 0.660, DRF-1 0.640"
    assert gate("G7", same=None).found == "not known"
    assert gate("G7", same=False).found == "not the same"
    assert gate("G2").as_json() == {
        "id": "G2",
        "asks": "at least 10 events per parameter",
        "found": "210 events, 5 parameters",
        "passed": True,
    }
