import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scale_helpers import DEMO

from alliance.errors import DataError
from alliance.places import bundled
from alliance.scale import load_scale, parse_definition
from alliance.scoring import alerts_in, note_codes, score, score_answers, score_form

NA = np.nan
TABLE = DEMO | {"reverse": [5]}
SHIPPED = sorted(path.stem for path in bundled("scales").glob("*.toml"))
# Items that differ in range: a whole number is no whole number on the range of the form.
PLAIN = [name for name in SHIPPED if name != "ceq"]


def form(**changes):
    return parse_definition(TABLE | changes, origin="demo.toml")


def scored(forms, scale):
    answers = np.array(forms, dtype=float).reshape(-1, scale.n_items).T
    return score_answers(answers, np.isnan(answers), scale)


def responses(forms, scale, *, rater="client"):
    n_forms = len(forms)
    keys = {"case": [f"C{number}" for number in range(n_forms)], "session": 1, "date": pd.NaT}
    frame = pd.DataFrame({**keys, "therapist": "T1", "rater": rater}, index=range(2, n_forms + 2))
    answers = np.array(forms, dtype=float).reshape(n_forms, scale.n_items)
    frame[list(scale.items)] = answers
    return frame


@pytest.mark.parametrize(
    ("changes", "answers", "expected"),
    [
        pytest.param({}, [6, 5, 7, 5, 2, 5], (19 / 3, 5.0, 34 / 6), id="means; 2 reversed counts 6"),
        pytest.param({"method": "sum"}, [6, 5, 7, 5, 2, 5], (19, 15, 34), id="sums"),
        pytest.param(
            {"total": {"method": "sum"}}, [6, 5, 7, 5, 2, 5], (19 / 3, 5, 34), id="means, summed total"
        ),
        pytest.param(
            {"total": {"of": "subscales"}}, [6, 5, 7, 5, 2, 5], (19 / 3, 5, 17 / 3), id="mean of subscales"
        ),
        pytest.param(
            {"total": {"of": "subscales", "method": "sum"}},
            [6, 5, 7, 5, 2, 5],
            (19 / 3, 5, 34 / 3),
            id="sum of subscales",
        ),
        pytest.param(
            {"total": {"items": [1, 5]}}, [6, 5, 7, 5, 2, 5], (19 / 3, 5, 6), id="total of two items"
        ),
        pytest.param({}, [NA] * 6, (NA, NA, NA), id="a blank form has no score"),
        pytest.param(
            {"missing_max": 2, "total_missing_max": 5}, [NA] * 6, (NA, NA, NA), id="blank, all tolerated"
        ),
        pytest.param({}, [NA, 5, 7, 5, 2, 5], (NA, 5, NA), id="none tolerated by default"),
        pytest.param(
            {"missing_max": 1}, [NA, 5, 7, 5, 2, 5], (6.5, 5, NA), id="subscale tolerates, total not"
        ),
        pytest.param(
            {"total_missing_max": 1}, [NA, 5, 7, 5, 2, 5], (NA, 5, 28 / 5), id="total tolerates alone"
        ),
        pytest.param(
            {"missing_max": 1, "total_missing_max": 1},
            [NA, 5, 7, NA, 2, 5],
            (6.5, 5, NA),
            id="one each, two in all",
        ),
        pytest.param({"missing_max": 1}, [NA, 5, NA, 5, 2, 5], (NA, 5, NA), id="two missing, one tolerated"),
        pytest.param(
            {"missing_max": 1, "total_missing_max": 1, "method": "sum"},
            [6, 5, 7, 5, NA, 5],
            (19.5, 15, 33.6),
            id="a sum is scaled up; the reversed item missing",
        ),
        pytest.param(
            {"missing_max": 1, "total_missing_max": 1, "total": {"of": "subscales"}},
            [6, 5, 7, 5, NA, 5],
            (6.5, 5, 5.75),
            id="total of subscales, tolerated",
        ),
        pytest.param(
            {"missing_max": 1, "total": {"of": "subscales"}},
            [6, 5, 7, 5, NA, 5],
            (6.5, 5, NA),
            id="total of subscales keeps its own limit",
        ),
        pytest.param(
            {"total_missing_max": 1, "total": {"of": "subscales"}},
            [6, 5, 7, 5, NA, 5],
            (NA, 5, NA),
            id="total of subscales needs every subscale",
        ),
    ],
)
def test_scores_follow_the_truth_table(changes, answers, expected):
    found = scored([answers], form(**changes)).scores
    np.testing.assert_allclose([found[name][0] for name in ("bond", "task", "total")], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "answers", "n_missing", "prorated"),
    [
        pytest.param({}, [6, 5, 7, 5, 2, 5], 0, False, id="whole"),
        pytest.param({}, [NA, 5, 7, 5, 2, 5], 1, False, id="missing, its scores are not there"),
        pytest.param(
            {"missing_max": 1}, [NA, 5, 7, 5, 2, 5], 1, True, id="a subscale stands on two of three"
        ),
        pytest.param(
            {"total_missing_max": 1}, [NA, 5, 7, 5, 2, 5], 1, True, id="the total stands on five of six"
        ),
        pytest.param({"missing_max": 1}, [NA] * 6, 6, False, id="blank"),
        pytest.param(
            {"subscales": {"bond": [1, 3]}, "total": {"items": [1, 3]}, "unscored": [2, 4, 5, 6]},
            [1, NA, 1, NA, NA, 1],
            3,
            False,
            id="unscored items are missed but prorate nothing",
        ),
    ],
)
def test_a_prorated_score_is_marked_and_missing_items_are_counted(changes, answers, n_missing, prorated):
    found = scored([answers], form(**changes))
    assert (found.n_missing.tolist(), found.prorated.tolist()) == ([n_missing], [prorated])


@pytest.mark.parametrize(
    ("changes", "answers", "expected"),
    [
        pytest.param(
            {"method": "sum", "factor": 2}, [6, 5, 7, 5, 2, 5], (38, 30, 68), id="every sum is doubled"
        ),
        pytest.param(
            {"total": {"factor": 10}}, [6, 5, 7, 5, 2, 5], (19 / 3, 5, 340 / 6), id="only the total times 10"
        ),
        pytest.param(
            {"total": {"method": "sum", "factor": 4, "offset": -24}},
            [1, 1, 1, 1, 7, 1],
            (1, 1, 0),
            id="times 4, minus 24",
        ),
        pytest.param(
            {"reverse_scope": "total_only"}, [6, 5, 7, 5, 2, 5], (5, 5, 34 / 6), id="turned in the total only"
        ),
        pytest.param(
            {"reverse_scope": "total_only", "total": {"of": "subscales"}},
            [6, 5, 7, 5, 2, 5],
            (5, 5, (19 / 3 + 5) / 2),
            id="a total of subscales as they would be if turned",
        ),
        pytest.param(
            {"total": {"of": ["task"]}}, [6, 5, 7, 5, 2, 5], (19 / 3, 5, 5), id="a total of one subscale"
        ),
        pytest.param({"total": {"method": "none"}}, [6, 5, 7, 5, 2, 5], (19 / 3, 5, NA), id="no total"),
        pytest.param(
            {"item_ranges": {"6": [0, 100]}},
            [6, 5, 7, 5, 2, 50],
            (19 / 3, (5 + 5 + 4) / 3, (19 + 14) / 6),
            id="50 of 0 to 100 is 4 of 1 to 7",
        ),
        pytest.param(
            {"item_ranges": {"5": [0, 10]}},
            [6, 5, 7, 5, 10, 5],
            ((6 + 7 + 1) / 3, 5, (14 + 15) / 6),
            id="a reversed item with a range of its own",
        ),
        pytest.param(
            {"subscales": {**TABLE["subscales"], "bond": {"items": [1, 3, 5], "method": "sum"}}},
            [6, 5, 7, 5, 2, 5],
            (19, 5, 34 / 6),
            id="one subscale on its own terms",
        ),
        pytest.param(
            {"unscorable": {"any_score": True}}, [NA, 5, 7, 5, 2, 5], (NA, NA, NA), id="one gone, all gone"
        ),
        pytest.param(
            {"unscorable": {"any_score": True}}, [6, 5, 7, 5, 2, 5], (19 / 3, 5, 34 / 6), id="none gone"
        ),
        pytest.param(
            {"unscorable": {"all_alike": True}}, [4, 4, 4, 4, 4, 4], (NA, NA, NA), id="all answers alike"
        ),
        pytest.param(
            {"unscorable": {"all_alike": True}}, [4, 4, 4, 4, 4, 5], (4, 13 / 3, 25 / 6), id="all but one"
        ),
        pytest.param(
            {"unscorable": {"all_alike": True}, "missing_max": 2, "total_missing_max": 4},
            [NA, 4, 4, 4, NA, 4],
            (NA, NA, NA),
            id="all that were given alike",
        ),
        pytest.param(
            {"unscorable": {"missing_above": 1}, "missing_max": 2, "total_missing_max": 4},
            [NA, 5, 7, 5, NA, 5],
            (NA, NA, NA),
            id="more unanswered than the form allows",
        ),
        pytest.param(
            {"unscorable": {"missing_above": 2}, "missing_max": 2, "total_missing_max": 4},
            [NA, 5, 7, 5, NA, 5],
            (7, 5, 5.5),
            id="just as many as the form allows",
        ),
    ],
)
def test_what_a_key_can_need_follows_the_truth_table(changes, answers, expected):
    found = scored([answers], form(**changes)).scores
    np.testing.assert_allclose([found[name][0] for name in ("bond", "task", "total")], expected, rtol=1e-12)


def test_a_form_that_is_unscorable_takes_no_other_with_it():
    scale = form(unscorable={"all_alike": True})
    found = scored([[4] * 6, [4, 4, 4, 4, 4, 5], [NA] * 6], scale)
    assert np.isfinite(found.scores["total"]).tolist() == [False, True, False]
    assert {reason: holds.tolist() for reason, holds in found.refused.items()} == {
        "all answers alike": [True, False, False]
    }
    assert scored([[4, 4, 4, 4, 4, 5]], scale).refused == {}


def test_a_score_of_scores_enters_another():
    parts = {**TABLE["subscales"], "all": {"of": ["bond", "task"], "method": "sum"}}
    found = scored([[6, 5, 7, 5, 2, 5]], form(subscales=parts, total={"of": ["all"], "factor": 3})).scores
    assert found["all"].tolist() == [pytest.approx(19 / 3 + 5)]
    assert found["total"].tolist() == [pytest.approx(19 + 15)]


def test_what_is_not_confirmed_is_scored_only_when_asked():
    scale = form(unconfirmed=["task"])
    assert list(scored([[6, 5, 7, 5, 2, 5]], scale).scores) == ["bond", "total"]
    assert list(scored([[6, 5, 7, 5, 2, 5]], scale.with_unconfirmed()).scores) == ["bond", "task", "total"]
    assert scale.told == ("demo: task not scored: not confirmed (--include-unverified)",)
    assert scale.with_unconfirmed().told == ()


def test_one_form_with_a_gap_changes_nothing_for_a_form_without():
    scale = form(missing_max=1)
    alone, beside = (
        scored([[6, 5, 7, 5, 2, 5]], scale),
        scored([[6, 5, 7, 5, 2, 5], [NA, 1, 1, 1, 1, 1]], scale),
    )
    assert [alone.scores[name][0] for name in scale.scores] == [
        beside.scores[name][0] for name in scale.scores
    ]
    assert beside.prorated.tolist() == [False, True]


def test_no_form_gives_no_score():
    found = scored([], form())
    assert {name: values.shape for name, values in found.scores.items()} == dict.fromkeys(form().scores, (0,))
    assert (found.n_missing.shape, found.prorated.shape) == ((0,), (0,))


def test_what_stands_where_an_answer_is_missing_is_not_looked_at():
    scale = form(missing_max=1, total_missing_max=1)
    missing = np.zeros((6, 1), dtype=bool)
    missing[0] = True
    answers = np.array([[99], [5], [7], [5], [2], [5]], dtype=np.int8)
    found = score_answers(answers, missing, scale).scores
    assert (found["bond"][0], found["total"][0]) == (6.5, 5.6)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("name", PLAIN)
def test_the_type_of_the_answers_does_not_change_a_score(name, dtype):
    scale = load_scale(name)
    answers = np.random.default_rng(7).integers(int(scale.min), int(scale.max) + 1, (scale.n_items, 50))
    missing = np.random.default_rng(8).random(answers.shape) < 0.02
    found, expected = (
        score_answers(kind, missing, scale) for kind in (answers.astype(dtype), answers.astype(float))
    )
    for score_name in scale.scores:
        assert found.scores[score_name].dtype == np.float64
        np.testing.assert_array_equal(found.scores[score_name], expected.scores[score_name])


def drawn_forms(scale):
    answer = st.one_of(st.none(), st.integers(int(scale.min), int(scale.max)))
    one = st.lists(answer, min_size=scale.n_items, max_size=scale.n_items)
    return st.lists(one, min_size=1, max_size=6).map(lambda forms: np.array(forms, dtype=float))


def mirror(value, scale, name):
    return sum(scale.bounds(name)) - value


@settings(max_examples=25, deadline=None)
@given(data=st.data(), name=st.sampled_from(PLAIN))
def test_mirroring_every_answer_mirrors_every_score(data, name):
    scale = load_scale(name)
    forms = data.draw(drawn_forms(scale))
    found, mirrored = scored(forms, scale), scored(scale.min + scale.max - forms, scale)
    for score_name in scale.scores:
        expected = mirror(found.scores[score_name], scale, score_name)
        np.testing.assert_allclose(mirrored.scores[score_name], expected, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), name=st.sampled_from(SHIPPED), tolerated=st.integers(0, 2))
def test_a_form_scores_the_same_whatever_stands_beside_it(data, name, tolerated):
    table = {"subscales": {"bond": [1, 3, 5], "task": [2, 4, 6]}, "missing_max": tolerated}
    for scale in (load_scale(name), form(**table, total_missing_max=tolerated)):
        forms = data.draw(drawn_forms(scale))
        together = scored(forms, scale)
        for place, alone in enumerate(scored(one, scale) for one in forms):
            for score_name in scale.scores:
                np.testing.assert_array_equal(together.scores[score_name][place], alone.scores[score_name][0])
            assert together.prorated[place] == alone.prorated[0]


@pytest.mark.parametrize(
    ("answers", "missing", "message"),
    [
        pytest.param((5, 3), (5, 3), "answers must have the shape (6, forms), got (5, 3)", id="another form"),
        pytest.param((6,), (6,), "answers must have the shape (6, forms), got (6,)", id="no second axis"),
        pytest.param(
            (6, 3), (6, 2), "missing must have the shape (6, forms), got (6, 2)", id="unlike shapes"
        ),
    ],
)
def test_arrays_of_the_wrong_shape_are_refused(answers, missing, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared whole below
        score_answers(np.zeros(answers), np.zeros(missing, dtype=bool), form())
    assert str(caught.value) == message


def test_the_frame_version_keeps_keys_rows_and_order_and_leaves_its_argument_alone():
    frame = responses([[6, 5, 7, 5, 2, 5], [1, 1, 1, 1, 7, 1]], form()).iloc[::-1]
    before = frame.copy(deep=True)
    found = score(frame, form())
    pd.testing.assert_frame_equal(frame, before)
    assert list(found.columns) == [*frame.columns[:5], "bond", "task", "total", "n_missing", "note"]
    pd.testing.assert_frame_equal(found[list(frame.columns[:5])], frame[list(frame.columns[:5])])
    assert found.index.tolist() == [3, 2]
    assert found["total"].tolist() == [1.0, pytest.approx(34 / 6)]


def test_a_frame_of_nullable_integers_scores_like_one_of_floats():
    frame = responses([[6, NA, 7, 5, 2, 5]], form())
    nullable = frame.astype(dict.fromkeys(form().items, "Int64"))
    pd.testing.assert_frame_equal(score(nullable, form()), score(frame, form()))


def test_a_frame_without_rows_gives_scores_without_rows():
    found = score(responses([[1] * 6], form()).iloc[:0], form())
    assert (len(found), list(found.columns[-2:])) == (0, ["n_missing", "note"])


ALERT = [{"items": [6], "value": 2, "reason": "risk"}]


@pytest.mark.parametrize(
    ("changes", "rater", "answers", "note"),
    [
        pytest.param({}, "client", [6, 5, 7, 5, 2, 5], "", id="nothing to say"),
        pytest.param({"status": "provisional"}, "client", [6] * 6, "provisional key", id="provisional"),
        pytest.param({}, "client", [NA] * 6, "blank form", id="blank"),
        pytest.param({}, "client", [NA, 5, 7, 5, 2, 5], "no total: too many unanswered items", id="no total"),
        pytest.param(
            {"total_missing_max": 1},
            "client",
            [NA, 5, 7, 5, 2, 5],
            "no bond: too many unanswered items; prorated",
            id="no subscale, but a total",
        ),
        pytest.param({}, "therapist", [6] * 6, "scored with the key of the client form", id="therapist"),
        pytest.param(
            {"raters": ["client", "therapist"]}, "therapist", [6] * 6, "", id="a form that both fill in"
        ),
        pytest.param(
            {"alerts": ALERT},
            "client",
            [NA] * 6,
            "item 6 not answered: risk; blank form",
            id="blank, and told",
        ),
        pytest.param(
            {"alerts": [{**ALERT[0], "unanswered": False}]},
            "client",
            [NA] * 6,
            "blank form",
            id="may be blank",
        ),
        pytest.param(
            {"alerts": [{**ALERT[0], "items": [2, 6]}]},
            "client",
            [1, 3, 1, 1, 7, 2],
            "item 2 answered 2 or more: risk; item 6 answered 2 or more: risk",
            id="each item of an alert",
        ),
        pytest.param(
            {"unscorable": {"all_alike": True}},
            "client",
            [6] * 6,
            "not scored: all answers alike",
            id="alike",
        ),
        pytest.param(
            {"unscorable": {"any_score": True}},
            "client",
            [NA, 5, 7, 5, 2, 5],
            "not scored: too many unanswered items in one of its subscales",
            id="one gone, all gone",
        ),
        pytest.param(
            {"total": {"method": "none"}},
            "client",
            [NA, 5, 7, 5, 2, 5],
            "no bond: too many unanswered items",
            id="a form without a total never lacks one",
        ),
        pytest.param({"perspective": "therapist"}, "therapist", [6] * 6, "", id="therapist form"),
        pytest.param({}, "partner-a", [6] * 6, "", id="a rater code is no other side"),
        pytest.param({"alerts": ALERT}, "client", [1, 1, 1, 1, 7, 1], "", id="just short of the alert"),
        pytest.param(
            {"alerts": ALERT}, "client", [1, 1, 1, 1, 7, 2], "item 6 answered 2 or more: risk", id="alert"
        ),
        pytest.param(
            {"alerts": ALERT, "total_missing_max": 1, "missing_max": 1},
            "client",
            [1, 1, 1, 1, 7, NA],
            "item 6 not answered: risk; prorated",
            id="the alert item not answered is never silent",
        ),
        pytest.param(
            {"alerts": ALERT},
            "client",
            [NA, 1, 1, 1, 7, 4],
            "item 6 answered 2 or more: risk; no total: too many unanswered items",
            id="the alert is read also when there is no total",
        ),
    ],
)
def test_the_note_says_what_a_reader_must_know(changes, rater, answers, note):
    scale = form(**changes)
    assert score(responses([answers], scale, rater=rater), scale)["note"].tolist() == [note]


def test_each_form_has_its_own_note():
    found = score(responses([[1] * 6, [NA] * 6, [2] * 6], form()), form())
    assert found["note"].tolist() == ["", "blank form", ""]


def test_a_form_with_more_alerts_than_fit_one_number_keeps_every_one():
    table = {"items": 70, "subscales": {}, "reverse": [], "alerts": [
        {"items": list(range(1, 71)), "value": 7, "reason": "risk"}]}  # fmt: skip
    scale = form(**table)
    answers = np.ones((2, 70))
    answers[0, [0, 40, 69]] = 7
    answers[1, 69] = NA
    notes = score(responses(answers, scale), scale)["note"].tolist()
    assert notes == [
        "item 1 answered 7 or more: risk; item 41 answered 7 or more: risk; item 70 answered 7 or more: risk",
        "item 70 not answered: risk; no total: too many unanswered items",
    ]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            lambda frame: frame.drop(columns="q3"),
            "Responses must have the column q3, got "
            "case, session, date, therapist, rater, q1, q2, q4, q5, q6",
            id="column absent",
        ),
        pytest.param(
            lambda frame: frame.assign(q2=8.0), "answers must lie in 1 to 7, got 8", id="above the range"
        ),
        pytest.param(
            lambda frame: frame.assign(q2=0.0), "answers must lie in 1 to 7, got 0", id="below the range"
        ),
        pytest.param(
            lambda frame: pd.concat([frame, frame]),
            "Responses must have one row for each case, rater, session, got 1 doubles",
            id="the same form twice",
        ),
    ],
)
def test_a_frame_that_cannot_be_scored_is_refused(spoil, message):
    frame = spoil(responses([[1] * 6], form()))
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared whole below
        score(frame, form())
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["phq-9", "core-10"])
def test_the_risk_item_is_read_from_the_shipped_definition(name):
    scale = load_scale(name)
    (alert,) = scale.alerts
    answers = np.zeros(scale.n_items)
    (item,) = alert.items
    answers[item - 1] = 1
    assert score(responses([answers], scale), scale)["note"].tolist() == [
        f"item {item} answered 1 or more: {alert.reason}"
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param(
            ["6", "5", "7", "5", "2", "5"],
            {"bond": 19 / 3, "task": 5.0, "total": 34 / 6, "n_missing": 0, "note": ""},
            id="whole",
        ),
        pytest.param(
            ["", "5", "7", "5", "2", "5"],
            {
                "bond": NA,
                "task": 5.0,
                "total": NA,
                "n_missing": 1,
                "note": "no total: too many unanswered items",
            },
            id="an empty cell is unanswered",
        ),
        pytest.param(
            [""] * 6, {"bond": NA, "task": NA, "total": NA, "n_missing": 6, "note": "blank form"}, id="blank"
        ),
    ],
)
def test_one_form_typed_in_is_scored_like_any_other(cells, expected):
    assert score_form(cells, form()) == pytest.approx(expected, nan_ok=True)


def test_one_form_of_another_length_is_refused():
    with pytest.raises(DataError) as caught:
        score_form(["1"], form())
    assert str(caught.value) == (
        "error: 1 answers given, 'demo' has 6 items\n"
        "hint: leave an unanswered item empty: 4,,5 skips the second one"
    )


@pytest.mark.parametrize(
    ("changes", "kind"), [({}, "whole numbers"), ({"step": 0.1}, "numbers")], ids=["whole", "a line"]
)
def test_every_cell_that_is_no_answer_is_named(changes, kind):
    bad = ["8", "0", "x", "nan"] + ([] if changes else ["1.5"])
    with pytest.raises(DataError) as caught:
        score_form([*bad, *["1"] * (6 - len(bad))], form(**changes))
    places = [f"  q{place} = {cell}" for place, cell in enumerate(bad, 1)]
    assert str(caught.value).splitlines() == [
        f"error: answers that are no {kind} from 1 to 7, the range of 'demo'",
        *places,
        "hint: leave an unanswered item empty; do not code it 0, 9 or 99",
    ]


def test_a_number_in_an_unanswered_cell_raises_no_alert():
    form = load_scale("phq-9")
    answers, missing = np.zeros((9, 2), dtype=np.int8), np.zeros((9, 2), dtype=bool)
    answers[8], missing[8, 1] = 3, True
    scored = score_answers(answers, missing, form)
    codes, texts = note_codes(scored, answers, missing, np.zeros(2, dtype=bool), form)
    told = [alerts_in(texts[code]) for code in codes]
    assert [text.split(":")[0] for text in (*told[0], *told[1])] == [
        "item 9 answered 1 or more",
        "item 9 not answered",
    ]
