"""Risk and a model side by side: levels, order, who gets no answer; by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_helpers import GATES, SRS, expit, exploratory, hand_bundle

from alliance.dropout.ends.fates import NO_FATES, Fates, fates_of
from alliance.dropout.instrument import instrument_of
from alliance.dropout.model.bundle import changed
from alliance.dropout.model.listing import (
    MODEL_COLUMNS,
    Opinion,
    level_codes,
    listed,
    may_order,
    model_order,
    opinion,
    told,
    with_opinion,
)
from alliance.dropout.triage import judge
from alliance.dropout.verdicts import LEVELS
from alliance.dropout.visits import ATTENDED, NO_SHOW, Appointments, Ratings, visits_of
from alliance.errors import UsageError
from alliance.frames import RISK

NA = float("nan")
FORM = {"instrument": "srs", "scoring_version": SRS.sha256}
DAYS = np.datetime64("2026-01-05", "D")


def says(p_next, above, *, orders=True):
    """An opinion on several cases, of which only probability and threshold matter."""
    n = len(p_next)
    texts = np.full(n, "", dtype=object)
    return Opinion(
        orders=orders, status="validated" if orders else "exploratory",
        p_next=np.array(p_next), p_3=np.full(n, NA), above=np.array(above),
        why=texts, outside=texts, terms=(), contributions=np.zeros((n, 0)),
    )  # fmt: skip


def visits(*courses, **options):
    """Cases with the ratings given, session by session; NaN = a session without a rating."""
    case = np.repeat(np.arange(len(courses)), [len(each) for each in courses])
    session = np.concatenate([np.arange(1, len(each) + 1) for each in courses]).astype(np.int64)
    ratings = Ratings(
        case=case, session=session, rating=np.array([score for each in courses for score in each], float)
    )
    return replace(visits_of(ratings, n_cases=len(courses)), **options)


def levels(rules, said):
    return with_opinion({"level": np.array(rules, dtype=object)}, said)["level"].tolist()


# levels


@pytest.mark.parametrize(
    ("rules", "above", "below"),
    [
        ("REVIEW", "REVIEW", "WATCH"),
        ("WATCH", "REVIEW", "WATCH"),
        ("INSUFFICIENT_DATA", "REVIEW", "INSUFFICIENT_DATA"),
        ("NO_FLAG", "REVIEW", "NO_FLAG"),
    ],
)
def test_a_validated_model_sets_the_level_and_an_exploratory_one_never(rules, above, below):
    three = [rules] * 3
    answers = {"p_next": [0.3, 0.1, NA], "above": [True, False, False]}
    assert levels(three, says(**answers)) == [above, below, rules]
    assert levels(three, says(**answers, orders=False)) == three


def test_the_level_of_the_rules_is_kept_beside_it():
    columns = with_opinion(
        {"level": np.array(["REVIEW", "NO_FLAG"], dtype=object)}, says([0.1, NA], [False] * 2)
    )
    assert columns["rules_level"].tolist() == ["REVIEW", "NO_FLAG"]
    assert columns["level"].tolist() == ["WATCH", "NO_FLAG"]
    assert columns["model"].tolist() == ["validated", ""]
    assert set(columns) == {"level", *MODEL_COLUMNS}


@given(st.lists(st.tuples(st.sampled_from(LEVELS), st.one_of(st.just(NA), st.floats(0, 1)), st.booleans())))
def test_whatever_the_model_says_no_concern_of_the_rules_becomes_no_flag(rows):
    rules = [level for level, _, _ in rows]
    for orders in (True, False):
        said = says([p for _, p, _ in rows], [above for _, _, above in rows], orders=orders)
        for before, after in zip(rules, levels(rules, said), strict=True):
            assert after == before or (before, after) == ("REVIEW", "WATCH") or after == "REVIEW"
            assert (after == "NO_FLAG") <= (before == "NO_FLAG")


# order


@pytest.mark.parametrize(
    ("level", "p", "rank", "order"),
    [
        pytest.param([1, 0, 0], [0.9, 0.1, 0.2], [0, 1, 2], [2, 1, 0], id="level before probability"),
        pytest.param([0, 0, 0], [0.2, NA, 0.1], [0, 1, 2], [0, 2, 1], id="no answer last in its level"),
        pytest.param([0, 1, 0], [0.1, 0.9, NA], [2, 1, 0], [0, 2, 1], id="and before the next level"),
        pytest.param([0, 0, 0], [0.2, 0.2, 0.2], [2, 0, 1], [1, 2, 0], id="ties as the rules have them"),
        pytest.param([0, 0], [0.2, 0.2 + 1e-12], [0, 1], [0, 1], id="binary dust is a tie"),
        pytest.param([0, 0], [NA, NA], [1, 0], [1, 0], id="no answer at all"),
        pytest.param([], [], [], [], id="no case"),
    ],
)
def test_the_order_of_a_model_follows_the_truth_table(level, p, rank, order):
    found = model_order(np.array(level, int), np.array(p, float), np.array(rank, int))
    assert found.tolist() == order


def test_levels_have_their_place_in_the_list():
    assert level_codes(np.array([*LEVELS, "REVIEW"], dtype=object)).tolist() == [0, 1, 2, 3, 0]


# what a model says of a case


def test_probabilities_are_those_worked_by_hand():
    # A: logit -2. B: ratings 36, 32: mean 34, change -4. C: 40, then no rating.
    found = opinion(hand_bundle(), visits([36], [36, 32], [40, NA]), **FORM)
    expected = [expit(-2), expit(-2 - 0.5 * np.log(2) + 0.5 + 0.8), expit(-2 - 0.5 * np.log(2) - 1 + 0.25)]
    np.testing.assert_allclose(found.p_next, expected)
    np.testing.assert_allclose(found.p_3, [expit(-1), expit(-0.5), expit(-2)])
    np.testing.assert_allclose(found.contributions[1], [-0.5 * np.log(2), 0.5, 0.8, 0, 0])
    assert found.terms == ("log_session", "level", "change", "no_shows", "missing")
    assert found.above.tolist() == [False, True, False]
    assert found.why[1] == "raises: latest rating lower than before, ratings below average; lowers: session 2"


def test_the_threshold_itself_is_above():
    p = float(opinion(hand_bundle(), visits([36]), **FORM).p_next[0])
    assert opinion(hand_bundle(threshold=p), visits([36]), **FORM).above.tolist() == [True]
    assert opinion(hand_bundle(threshold=p + 1e-6), visits([36]), **FORM).above.tolist() == [False]


def test_an_exploratory_model_has_probabilities_and_reaches_no_threshold():
    found = opinion(exploratory(), visits([24]), **FORM)
    assert (found.orders, found.status, found.above.tolist()) == (False, "exploratory", [False])
    np.testing.assert_allclose(found.p_next, expit(-2 + 3))


def test_of_ended_mixed_and_never_attended_cases_there_is_no_answer():
    ended = np.array([False, True, False, False])
    ratings = Ratings(
        case=np.array([0, 1, 2, 2]), session=np.array([1, 1, 1, 2]), rating=np.full(4, 30.0),
        side=np.array([0, 0, 2, 0]),
    )  # fmt: skip
    missed = Appointments(
        case=np.array([0, 1, 2, 2, 3]), session=np.array([1.0, 1, 1, 2, NA]), date=np.full(5, DAYS),
        status=np.array([ATTENDED] * 4 + [NO_SHOW]),
    )  # fmt: skip
    some = replace(visits_of(ratings, missed, n_cases=4), ended=ended)
    found = opinion(hand_bundle(), some, **FORM)
    assert np.isfinite(found.p_next).tolist() == [True, False, False, False]
    assert np.isfinite(found.p_3).tolist() == [True, False, False, False]
    assert found.above.tolist() == [True, False, False, False]
    assert found.why.tolist()[1:] == ["", "", ""]
    assert np.isnan(found.contributions[1:]).all()
    assert found.record(1, "REVIEW") is None


def test_a_record_has_plain_values_and_the_level_of_the_rules():
    found = opinion(hand_bundle(), visits([20]), **FORM)
    record = found.record(0, "WATCH")
    assert record == {
        "status": "validated",
        "p_next": pytest.approx(expit(2)),
        "p_3": pytest.approx(expit(3)),
        "contributions": {"log_session": 0.0, "level": 4.0, "change": 0.0, "no_shows": 0.0, "missing": 0.0},
        "why": "raises: ratings below average",
        "outside": "level: outside the data this model was built on",
        "rules_level": "WATCH",
    }
    assert {type(value) for value in record["contributions"].values()} == {float}
    none = opinion(changed(hand_bundle(), landmark=None), visits([36]), **FORM).record(0, "WATCH")
    assert (none["p_3"], none["outside"]) == (None, None)


def test_planned_sessions_shorten_the_window(monkeypatch):
    seen = {}

    def spy(bundle, rows, **facts):
        seen["window"] = rows.window.tolist()
        return apply(bundle, rows, **facts)

    from alliance.dropout.model import listing
    from alliance.dropout.model.apply import apply

    monkeypatch.setattr(listing, "apply", spy)
    some = visits([36, 36], [36, 36], [36, 36], [36, 36])
    opinion(hand_bundle(), some, planned=np.array([NA, 3, 4, 9]), **FORM)
    assert seen["window"] == [3, 1, 2, 3]
    opinion(hand_bundle(), some, **FORM)
    assert seen["window"] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({"instrument": "wai-sr"}, "instrument: 'wai-sr', the model has 'srs'"),
        ({"scoring_version": "abc"}, f"scoring version: 'abc', the model has '{SRS.sha256}'"),
        ({"rater": "therapist"}, "rater: 'therapist', the model has 'client'"),
    ],
)
def test_a_model_of_another_form_is_refused(facts, where):
    with pytest.raises(UsageError) as refused:
        opinion(hand_bundle(), visits([36]), **(FORM | facts))
    assert str(refused.value) == (
        f"error: this model was not built for these data\n  {where}\n"
        "hint: use the model's definition and form, or fit a new model"
    )


def test_a_model_with_predictors_of_its_own_is_refused():
    covariate = {"name": "phq", "kind": "number", "demographic": False}
    with pytest.raises(UsageError) as refused:
        opinion(changed(hand_bundle(), covariates=[covariate]), visits([36]), **FORM)
    assert str(refused.value) == (
        "error: the model has covariates of its own, which the list does not read: phq\n"
        "hint: `alliance model apply` reads them and orders its own table"
    )


@pytest.mark.parametrize(
    ("bundle", "orders"),
    [
        (hand_bundle(), True),
        (exploratory(), False),
        (hand_bundle(threshold=None), False),
        (hand_bundle(gates=[]), False),
        (hand_bundle(gates=[*GATES[:-1], {**GATES[-1], "passed": None}]), False),
    ],
    ids=["validated", "a gate failed", "no threshold", "no gate", "a gate is open"],
)
def test_only_a_validated_model_with_a_threshold_may_order(bundle, orders):
    assert may_order(bundle) is orders
    lead = (
        "ordered by the model of 2026-01-02, validated on 400 cases with 80 dropouts (definition unilateral)"
        if orders
        else "the model of 2026-01-02 (400 cases with 80 dropouts, definition unilateral) is exploratory and "
        "orders nothing"
    )
    assert told(bundle) == (
        f"{lead}. A probability is about clients like this one in this service, not about this person; a low "
        "one does not mean low risk"
    )


# the table


def judged(*courses):
    rows = [
        {
            "case": f"C{case}", "session": session, "date": pd.NaT, "therapist": "", "rater": "client",
            "total": score, **dict.fromkeys(SRS.subscales, score / 4),
        }
        for case, course in enumerate(courses)
        for session, score in enumerate(course, 1)
    ]  # fmt: skip
    frame = pd.DataFrame(rows).astype({"date": "datetime64[ns]"})
    return judge(frame, SRS, instrument_of(SRS, sem=1.2))


def test_the_table_without_a_model_is_that_of_the_rules():
    some = judged([40], [38, 37, 34], [36])
    table = listed(some)
    assert table["case"].tolist() == ["C1", "C2", "C0"]
    assert list(table) == list(RISK)
    pd.testing.assert_frame_equal(
        pd.DataFrame(table).astype({"rating_age": "Int64"}), some.frame(), check_dtype=False
    )


def test_the_table_of_a_validated_model_is_in_its_order():
    # Rules: C1 REVIEW, C2 and C3 WATCH, C0 NO_FLAG. C3 has no answer.
    some = judged([40], [38, 37, 34], [36], [35])
    said = says([0.5, 0.1, 0.15, NA], [True, False, False, False])
    table = listed(some, said)
    assert table["case"].tolist() == ["C0", "C2", "C1", "C3"]
    assert table["level"].tolist() == ["REVIEW", "WATCH", "WATCH", "WATCH"]
    assert table["rules_level"].tolist() == ["NO_FLAG", "WATCH", "REVIEW", "WATCH"]
    assert table["points"].tolist() == [0, 1, 4, 1]
    np.testing.assert_array_equal(table["p_next"], [0.5, 0.15, 0.1, NA])


def test_the_table_of_an_exploratory_model_is_in_the_order_of_the_rules():
    some = judged([40], [38, 37, 34], [36])
    bare, table = listed(some), listed(some, says([0.9, 0.1, 0.2], [False] * 3, orders=False))
    for name in RISK:
        np.testing.assert_array_equal(table[name], bare[name])
    np.testing.assert_array_equal(table["p_next"], [0.1, 0.2, 0.9])


def test_ties_of_a_model_stand_in_the_order_of_the_rules():
    # Rules: C1 (4 points) before C2 and C0 (1 point each, C2 with the lower rating first).
    some = judged([36], [38, 37, 34], [35])
    assert listed(some)["case"].tolist() == ["C1", "C2", "C0"]
    assert listed(some, says([0.3] * 3, [True] * 3))["case"].tolist() == ["C1", "C2", "C0"]


# how treatments stand


def treatment(case, status, planned, until="2026-03-31"):
    return {
        "case": case, "client": case, "episode": "", "therapist": "",
        "start_date": pd.Timestamp("2026-01-05"), "status": status,
        "end_reason": "mutual_planned" if status == "ended" else "", "end_reason_source": "",
        "planned_sessions": planned, "planned_end_date": pd.NaT, "observed_until": pd.Timestamp(until),
    }  # fmt: skip


def test_fates_tell_who_has_ended_who_is_to_be_confirmed_and_the_plan():
    day = pd.Timestamp("2026-03-02")
    form = {"session": 1, "date": day, "therapist": "", "rater": "client", "total": 38.0}
    names = ["A", "B", "C", "D"]
    scores = pd.DataFrame([{**form, "case": case, **dict.fromkeys(SRS.subscales, 9.5)} for case in names])
    treatments = pd.DataFrame(
        [
            treatment("A", "ended", 8),
            treatment("B", "ongoing", pd.NA, until="2026-04-02"),
            treatment("C", "ongoing", 6, until="2026-04-01"),
            treatment("X", "ongoing", 5),
        ]
    )
    treatments["planned_sessions"] = treatments["planned_sessions"].astype("Int64")
    treatments["planned_end_date"] = pd.to_datetime(treatments["planned_end_date"])
    booked = pd.DataFrame({"case": names, "session": 1, "date": day, "attendance": "attended"})
    booked["session"] = booked["session"].astype("Int64")
    # B was last seen 31 days before its data end, C 30 days; nothing is known of D.
    found = fates_of(scores, SRS, treatments, booked)
    assert found == Fates(
        ended=frozenset({"A"}), to_confirm=frozenset({"B"}), planned={"A": 8.0, "C": 6.0, "X": 5.0}
    )
    assert fates_of(scores, SRS, treatments, None).to_confirm == frozenset()
    assert fates_of(scores, SRS, None, booked) is NO_FATES
    assert Fates() == NO_FATES
