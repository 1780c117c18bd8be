"""What speaks against the form named: truth tables by hand, then whole files through `alliance check`."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from readers_helpers import mapped, write

from alliance.cli.study import _summary
from alliance.places import bundled
from alliance.readers import Inspection, ReadOptions, inspect, read_mapping
from alliance.recognition import Doubt, Evidence, doubts, item_runs, run_of
from alliance.scale import find_scales, load_scale, parse_definition, read_definition

SAMPLES = Path(__file__).parent / "samples"
EXPECT = json.loads((SAMPLES / "nasty" / "EXPECT.json").read_text(encoding="utf-8"))
FINE = "nothing is wrong with this file"
NA = np.nan


def form(id_, low, high, *, items=12, reverse=(), construct="alliance", **fields):
    table = {
        "id": id_,
        "name": f"Form {id_}",
        "perspective": "client",
        "construct": construct,
        "direction": "higher_is_better",
        "citation": "Invented for tests; not a real instrument.",
        "licence": "CC0-1.0",
        "status": "verified",
        "items": items,
        "min": low,
        "max": high,
        "method": "mean",
        "sources": ["invented for tests"],
        "vectors": [{"answers": [low] * items, "scores": {}}],
        **({"reverse": list(reverse)} if reverse else {}),
        **fields,
    }
    return parse_definition(table, origin=f"{id_}.toml")


def library(*forms):
    return {each.id: each for each in forms}


SHORT = form("short-r", 1, 5)
LONG = form("short", 1, 7, reverse=[4, 10])
LONG_TOO = form("short-therapist", 1, 7, reverse=[4, 10])
KNOWN = library(
    SHORT,
    LONG,
    LONG_TOO,
    form("wide", 1, 10),
    form("mood", 1, 7, construct="outcome"),
    form("other", 1, 7, items=9, construct="outcome"),
)


def evidence(scale, counts=(), *, answers=None, cases=None, **known):
    """Return what a file says that holds each value of `counts` so many times, or the `answers` given."""
    if answers is None:
        flat = [value for value, n in dict(counts).items() for _ in range(n)]
        flat += [NA] * (-len(flat) % scale.n_items)
        answers = np.array(flat, dtype=float).reshape(scale.n_items, -1)
    low, high = np.array(scale.item_bounds).T[:, :, None]
    inside = (answers >= low) & (answers <= high)
    return Evidence(
        **{"names": scale.items, **known},
        observed=answers,
        answers=np.where(inside, answers, NA),
        cases=np.zeros(answers.shape[1], dtype=int) if cases is None else np.asarray(cases),
    )


def texts(*arguments, **known):
    scale, *rest = arguments
    forms = known.pop("known", KNOWN)
    return [each.text for each in doubts(evidence(scale, *rest, **known), scale, forms)]


SEVEN = (
    "answers run from 1 to 7; 'short-r' is answered 1 to 5. Forms of 12 items answered 1 to 7: short, "
    "short-therapist, mood. Name the one that was printed with --scale"
)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        pytest.param({1: 1, 5: 94, 7: 4, 6: 1}, [SEVEN], id="5 in 100 answers lie beyond"),
        pytest.param({1: 1, 5: 95, 7: 3, 6: 1}, [], id="4 in 100 answers lie beyond"),
        pytest.param({1: 1, 5: 10, 6: 20, 7: 69, 8: 1}, [SEVEN], id="and a slip"),
        pytest.param({1: 50, 5: 50, 99: 30, -9: 30}, [], id="codes far off"),
        pytest.param({1: 50, 4: 20, 5: 50, 9: 30}, [], id="a code 9 with nothing between"),
        pytest.param({1: 1, 5: 94, 6: 1, 7: 4, 99: 30}, [SEVEN], id="codes beside another range"),
        pytest.param({1: 50, 5: 50, 6: 1}, [], id="one slip"),
        pytest.param({1: 50, 5: 50}, [], id="within the range"),
        pytest.param({0: 20, 1: 50, 5: 20, 6: 10, 7: 10}, [], id="no form known goes from 0 to 7"),
        pytest.param({1: 50, 5: 20, 6: 20, 6.5: 2, 7: 10}, [], id="halves fit no form of whole numbers"),
        pytest.param({20: 30, 100: 30}, [], id="nothing near the range"),
        pytest.param({}, [], id="no answer"),
    ],
)
def test_a_range_is_named_if_a_share_of_the_answers_lies_beyond_the_one_printed(counts, found):
    assert texts(SHORT, counts) == found


def test_of_the_ranges_that_fit_the_narrowest_is_named():
    told = texts(SHORT, {1: 10, 5: 10, 6: 5, 7: 5, 8: 5, 9: 5})
    assert told == [
        "answers run from 1 to 9; 'short-r' is answered 1 to 5. Forms of 12 items answered 1 to 10: wide. "
        "Name the one that was printed with --scale"
    ]


def test_a_slip_in_100_is_forgiven_and_two_are_not():
    counts = {1: 10, 5: 10, 6: 20, 7: 59}
    known = library(LONG)
    assert len(texts(SHORT, {**counts, 8: 1}, known=known)) == 1
    assert texts(SHORT, {**counts, 8: 2}, known=known) == []


def test_of_many_forms_five_are_named():
    many = library(*(form(f"f{n}", 1, 7) for n in range(7)))
    assert "1 to 7: f0, f1, f2, f3, f4 and 2 more. " in texts(SHORT, {1: 9, 5: 9, 6: 9, 7: 9}, known=many)[0]


def test_a_range_beyond_is_a_cannot():
    assert doubts(evidence(SHORT, {1: 1, 5: 94, 7: 4, 6: 1}), SHORT, KNOWN) == [
        Doubt(kind="cannot", text=SEVEN)
    ]


FROM_0 = (
    "answers run from 0 to 4, 'short-r' is answered 1 to 5: the file may count from 0. "
    "If so, put shift = 1 into a mapping; nothing was shifted"
)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        pytest.param({0: 3, 1: 47, 4: 50}, [FROM_0], id="3 in 100"),
        pytest.param({0: 2, 1: 48, 4: 50}, [], id="2 are too few"),
        pytest.param({0: 4, 1: 196, 4: 200}, [FROM_0], id="4 in 400"),
        pytest.param({0: 3, 1: 197, 4: 200}, [], id="3 in 400 are less than 1 %"),
        pytest.param({0: 30, 1: 20, 4: 49, 5: 1}, [], id="a 5 was answered"),
        pytest.param({0: 30, 1: 20, 4: 50, 99: 9}, [FROM_0], id="codes beside them"),
        pytest.param({-1: 30, 0: 30, 4: 50}, [], id="lower still"),
        pytest.param({0: 30, 1: 40, 3: 30}, [FROM_0.replace("to 4,", "to 3,")], id="no 4"),
    ],
)
def test_a_file_that_counts_from_0_is_told_and_not_shifted(counts, found):
    assert texts(SHORT, counts) == found


def test_a_file_that_counts_from_1_is_told_with_the_definition_that_does():
    from_0, from_1 = form("k-0-4", 0, 4), form("k", 1, 5)
    told = texts(from_0, {1: 50, 4: 47, 5: 3}, known=library(from_0, from_1))
    assert told == [
        "answers run from 1 to 5, 'k-0-4' is answered 0 to 4: the file may count from 1. "
        "If so, put shift = -1 into a mapping; nothing was shifted. Forms of 12 items answered 1 to 5: k"
    ]
    assert texts(from_0, {1: 50, 4: 48, 5: 2}, known=library(from_0, from_1)) == []
    assert texts(from_0, {0: 1, 1: 49, 4: 40, 5: 4}, known={}) == []


@pytest.mark.parametrize(
    ("low", "high", "counts"),
    [
        pytest.param(0, 3, {-1: 30, 0: 30, 2: 40}, id="nobody counts from -1"),
        pytest.param(1, 5, {2: 50, 5: 30, 6: 20}, id="nobody counts from 2"),
        pytest.param(2, 6, {1: 30, 2: 30, 5: 40}, id="a form from 2"),
    ],
)
def test_only_0_and_1_are_numbers_to_count_from(low, high, counts):
    assert texts(form("one", low, high), counts, known={}) == []


def test_half_points_on_a_line_count_from_nowhere():
    line = form("line", 1, 5, step=0.1)
    assert texts(line, {0.4: 30, 1: 30, 3.9: 40}, known={}) == []


QUESTION = "no answer is above 5 among 200; every answer also fits short-r (1 to 5). Which form was printed?"


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        pytest.param({1: 1, 3: 100, 5: 99}, [QUESTION], id="200 answers from 1 to 5"),
        pytest.param({1: 1, 3: 100, 5: 98}, [], id="199 answers"),
        pytest.param({1: 1, 3: 100, 5: 98, 6: 1}, [], id="one 6"),
        pytest.param({2: 1, 3: 100, 5: 99}, [], id="neither form is used to its lower end"),
        pytest.param({1: 1, 3: 100, 4: 99}, [], id="neither form is used to its upper end"),
        pytest.param({1: 1, 3: 100, 5: 99, 99: 30}, [QUESTION], id="codes are no answers"),
    ],
)
def test_data_that_fit_both_codings_are_asked_about(counts, found):
    assert texts(LONG, counts) == found


def test_a_lowest_answer_that_nobody_gave_is_asked_about():
    from_0, from_1 = form("k-0-4", 0, 4), form("k", 1, 5)
    known = library(from_0, from_1)
    assert doubts(evidence(from_0, {1: 100, 3: 100}), from_0, known) == [
        Doubt(
            kind="may not",
            text="no answer is below 1 or above 3 among 200; every answer also fits k (1 to 5). "
            "Which form was printed?",
        )
    ]
    assert texts(from_0, {0: 1, 1: 100, 3: 100}, known=known) == []
    assert texts(from_1, {1: 100, 3: 100}, known=known) == []


def test_a_form_of_another_construct_is_not_asked_about():
    known = library(LONG, form("mood", 1, 5, construct="outcome"))
    assert texts(LONG, {1: 100, 5: 100}, known=known) == []


def test_a_few_answers_beyond_the_range_end_the_question():
    known = library(form("from-2", 2, 6))
    assert len(texts(SHORT, {2: 100, 5: 100}, known=known)) == 1
    assert texts(SHORT, {2: 100, 5: 100, 6: 2}, known=known) == []


def test_each_competing_range_is_told_once():
    known = library(form("a", 1, 5), form("b", 1, 5), form("c", 1, 6))
    told = texts(LONG, {1: 100, 5: 100}, known=known)
    assert told == [QUESTION.replace("short-r (1 to 5)", "a, b (1 to 5)")]


def test_a_form_whose_items_have_ranges_of_their_own_is_not_compared():
    own = form("own", 1, 5, item_ranges={"4": [0, 100]})
    assert texts(own, {1: 50, 5: 50, 6: 50, 7: 50}) == []
    assert (
        texts(SHORT, {1: 50, 5: 50, 6: 50}, known=library(form("own", 1, 7, item_ranges={"4": [0, 9]}))) == []
    )


def columns(n, prefix="q"):
    return tuple(f"{prefix}{number}" for number in range(1, n + 1))


@pytest.mark.parametrize(
    ("n", "found"),
    [
        pytest.param(12, [], id="as many"),
        pytest.param(0, [], id="not known"),
        pytest.param(
            13, [("cannot", "the file has 13 items, q1 to q13; 'short-r' has 12")], id="one too many"
        ),
        pytest.param(
            9,
            [("may not", "the file has 9 items, q1 to q9; 'short-r' has 12. Forms of 9 items: other")],
            id="too few",
        ),
    ],
)
def test_the_number_of_items_is_told_with_the_forms_that_have_it(n, found):
    told = doubts(evidence(SHORT, columns=columns(n)), SHORT, KNOWN)
    assert [(each.kind, each.text) for each in told] == found


IDS = ("wai", "wai-s", "wai-sr", "phq-9", "k10", "k10-0-4")


@pytest.mark.parametrize(
    ("scale", "name", "other"),
    [
        pytest.param("wai-sr", "WAIS_{}", "wai-s", id="compact"),
        pytest.param("wai-sr", "wai_s_{}", "wai-s", id="words"),
        pytest.param("wai-sr", "WAI-S[{}]", "wai-s", id="LimeSurvey"),
        pytest.param("wai-sr", "phq9_{}", "phq-9", id="a number in the id"),
        pytest.param("wai-sr", "s{{session}}_wais{}", "wai-s", id="a session before the item"),
        pytest.param("wai-sr", "wais{}_t{{session}}", "wai-s", id="a session after the item"),
        pytest.param("wai-s", "waisr{}", "wai-sr", id="the other way"),
        pytest.param("wai", "wai_s_{}", "wai-s", id="a longer id"),
        pytest.param("wai-sr", "wai_{}", "", id="its own family"),
        pytest.param("wai-sr", "waisr_{}", "", id="its own id"),
        pytest.param("k10-0-4", "k10_{}", "", id="its own family with a number"),
        pytest.param("wai-sr", "q{}", "", id="neutral"),
        pytest.param("wai-sr", "my_wais_{}", "", id="more than the id"),
    ],
)
def test_columns_called_after_another_form_are_told(scale, name, other):
    known = library(*(form(each, 1, 5) for each in IDS))
    names = tuple(name.format(number) for number in range(1, 13))
    found = [
        f"the items are called {names[0]} to {names[-1]}, after '{other}' and not after '{scale}'. "
        "Which form was printed?"
    ]
    assert texts(known[scale], names=names, known=known) == (found if other else [])


@pytest.mark.parametrize(("n", "told"), [(6, 0), (7, 1)])
def test_most_of_the_columns_must_be_called_so(n, told):
    known = library(*(form(each, 1, 5) for each in IDS))
    names = (*columns(n, "wais"), *columns(12 - n, "x"))
    assert len(texts(known["wai-sr"], names=names, known=known)) == told


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        (("WAI_S",), ["the file calls the form WAI_S; that is 'wai-s', not 'wai-sr'"]),
        (("WAI SR",), []),
        (("session form",), []),
    ],
)
def test_what_the_file_calls_the_form_is_told(stated, found):
    known = library(*(form(each, 1, 5) for each in IDS))
    assert texts(known["wai-sr"], stated=stated, known=known) == found


def test_item_runs_are_numbered_from_1_without_a_gap():
    names = [
        "case",
        "Q1",
        "q2",
        "q3",
        "w2",
        "w3",
        "w4",
        "t1",
        "t2",
        "x[1]",
        "x[2]",
        "x[3]",
        "x[3]",
        "y1",
        "y3",
    ]
    runs = item_runs(names)
    assert runs == {"q": ("Q1", "q2", "q3"), "x[": ("x[1]", "x[2]", "x[3]")}
    assert run_of("q2", runs) == ("Q1", "q2", "q3")
    assert run_of("case", runs) == ()
    assert item_runs(["3", "1", "2"]) == {"": ("1", "2", "3")}


def pair(r, n, *, seed=5):
    """Return two rows of `n` answers from 0 to 10 with the correlation `r` to the last digit."""
    rows = np.random.default_rng(seed).normal(size=(2, n))
    rows -= rows.mean(axis=1, keepdims=True)
    first = rows[0] / np.linalg.norm(rows[0])
    second = rows[1] - first * (rows[1] @ first)
    second /= np.linalg.norm(second)
    both = np.stack([first, r * first + np.sqrt(1 - r * r) * second])
    return 5 + 4.9 * both / np.abs(both).max()


TWO = form("two", 0, 10, items=2, step=0.01)


# With 20 cases the upper bound is 0 at r = -tanh(1.96 / sqrt(17)) = -0.4425, with 400 at -0.098.
@pytest.mark.parametrize(
    ("r", "forms", "cases", "told"),
    [
        pytest.param(-0.45, 20, 20, True, id="interval below 0"),
        pytest.param(-0.44, 20, 20, False, id="interval around 0"),
        pytest.param(-0.45, 19, 19, False, id="19 cases"),
        pytest.param(-0.9, 19, 19, False, id="19 cases, whatever r"),
        pytest.param(-0.21, 400, 400, True, id="r below -0.2"),
        pytest.param(-0.19, 400, 400, False, id="r above -0.2"),
        pytest.param(-0.44, 400, 20, False, id="400 sessions of 20 cases"),
        pytest.param(-0.45, 400, 20, True, id="400 sessions of 20 cases, just past"),
        pytest.param(0.9, 400, 400, False, id="with the rest"),
        pytest.param(-1.0, 20, 20, True, id="mirrored"),
    ],
)
def test_an_item_runs_against_the_rest_if_r_and_its_interval_say_so(r, forms, cases, told):
    answers = pair(r, forms)
    found = texts(TWO, answers=answers, cases=np.arange(forms) % cases, known={})
    assert found == (
        [
            f"items 1 2 run against the rest (item-rest r {r:.2f} {r:.2f}, {cases} cases): look whether they "
            "were reversed by hand, or whether the columns are in another order"
        ]
        if told
        else []
    )


def test_forms_without_a_case_or_with_an_open_item_do_not_count():
    answers, cases = pair(-0.9, 20), np.arange(20)
    assert len(texts(TWO, answers=answers, cases=cases)) == 1
    assert texts(TWO, answers=answers, cases=np.where(cases == 7, -1, cases)) == []
    answers[1, 7] = NA
    assert texts(TWO, answers=answers, cases=cases) == []
    answers, cases = np.hstack([pair(-0.9, 20), [[4.0], [NA]]]), np.arange(21)
    assert len(texts(TWO, answers=answers, cases=cases)) == 1


def test_an_item_that_does_not_vary_says_nothing():
    answers = np.vstack([pair(0.5, 40), np.full(40, 3.0)])
    assert texts(form("three", 0, 10, items=3, step=0.01), answers=answers, cases=np.arange(40)) == []


def study(scale, *, n_cases=40, n_sessions=6, seed=1, noise=0.5, turned=()):
    """Return answers (items, forms) as printed, and cases: one factor, a course for each case; by hand."""
    rng = np.random.default_rng(seed)
    cases = np.repeat(np.arange(n_cases), n_sessions)
    level = 0.7 * rng.normal(size=n_cases)[cases] + 0.3 * rng.normal(size=len(cases))
    felt = 0.55 + 0.25 * (level + noise * rng.normal(size=(scale.n_items, len(cases))))
    turn = [item - 1 for item in scale.reverse if item not in turned]
    felt[turn] = 1 - felt[turn]
    low, high = np.array(scale.item_bounds).T[:, :, None]
    raw = low + (high - low) * np.clip(felt, 0, 1)
    return np.clip(np.round(np.round(raw / scale.step) * scale.step, 6), low, high), cases


def honest(scale, known, **settings):
    answers, cases = study(scale, **settings)
    return texts(scale, answers=answers, cases=cases, known=known)


def without_numbers(told):
    return [re.sub(r"-0[.][0-9]{2}", "R", text) for text in told]


ALREADY = (
    "items 4 10, which the key reverses, run against the rest (item-rest r R R, 40 cases): the file may hold "
    "answers that are already reversed. Give the printed answers; nothing was turned"
)


@pytest.mark.parametrize(
    ("turned", "found"),
    [
        pytest.param([], [], id="as printed"),
        pytest.param([4, 10], [ALREADY], id="both"),
        pytest.param(
            [10],
            [ALREADY.replace("items 4 10,", "item 10,").replace(" run ", " runs ").replace("R R", "R")],
            id="one of two",
        ),
    ],
)
def test_items_already_reversed_are_told(turned, found):
    assert without_numbers(honest(LONG, library(SHORT), turned=turned)) == found


def test_a_key_that_would_fit_items_already_reversed_is_named():
    plain = form("plain", 1, 7)
    assert without_numbers(honest(LONG, library(plain, SHORT), turned=[4, 10])) == [
        f"{ALREADY}. Keys of other forms that would fit: plain"
    ]


def test_items_that_the_key_should_reverse_are_told_with_the_key_that_does():
    plain = form("plain", 1, 7)
    answers, cases = study(LONG)
    told = texts(
        plain, answers=answers, cases=cases, known=library(LONG, LONG_TOO, form("no", 1, 7, reverse=[4]))
    )
    assert without_numbers(told) == [
        "items 4 10 run against the rest (item-rest r R R, 40 cases): look whether they were reversed by "
        "hand, or whether the columns are in another order. Keys of other forms that would fit: short, "
        "short-therapist"
    ]


def test_an_item_turned_by_hand_is_told_beside_those_already_reversed():
    answers, cases = study(LONG, turned=[4, 10])
    answers[6] = 8 - answers[6]
    assert without_numbers(texts(LONG, answers=answers, cases=cases, known={})) == [
        ALREADY,
        "item 7 runs against the rest (item-rest r R, 40 cases): look whether it was reversed by hand, or "
        "whether the columns are in another order",
    ]


@pytest.mark.parametrize(
    ("reverse", "turned", "named"),
    [
        pytest.param(range(1, 7), range(1, 7), "items 1 2 3 4 5 6, which the key", id="half of the form"),
        pytest.param(range(1, 11), range(1, 11), "items 1 2 3 4 5 6 7 8 9 10, which", id="most of the form"),
        pytest.param([1, 2, 3], [1, 2], "items 1 2, which the key reverses", id="most of the key"),
        pytest.param([1, 2, 3], [2], "item 2 runs against the rest", id="less than half of the key"),
    ],
)
def test_reversed_items_do_not_hide_one_another(reverse, turned, named):
    told = honest(form("f", 1, 7, reverse=reverse), {}, turned=turned)
    assert len(told) == 1
    assert told[0].startswith(named)
    assert honest(form("f", 1, 7, reverse=reverse), {}) == []


def test_a_form_that_reverses_every_item_looks_the_same_turned():
    whole = form("f", 1, 7, reverse=range(1, 13))
    assert honest(whole, {}, turned=whole.reverse) == []


def test_a_form_without_a_total_is_looked_at_subscale_by_subscale():
    scales = {"bond": [1, 2, 3, 4], "task": [5, 6, 7, 8, 9]}
    parts = form("f", 1, 7, items=9, reverse=[3, 5], subscales=scales, total={"method": "none"})
    assert without_numbers(honest(parts, {}, turned=[5])) == [
        "in 'task' item 5, which the key reverses, runs against the rest (item-rest r R, 40 cases): the file "
        "may hold answers that are already reversed. Give the printed answers; nothing was turned"
    ]


def test_a_score_that_turns_nothing_is_judged_as_it_is_formed():
    scales = {"warm": [1, 2, 3, 4, 5], "cold": [6, 7, 8]}
    total = {"method": "none"}
    parts = form(
        "f", 1, 7, items=8, reverse=[5, 6, 7, 8], reverse_scope="total_only", subscales=scales, total=total
    )
    assert without_numbers(honest(parts, {})) == [
        "in 'warm' item 5 runs against the rest (item-rest r R, 40 cases): look whether it was reversed by "
        "hand, or whether the columns are in another order"
    ]


def test_an_item_with_a_longer_range_weighs_no_more_than_another():
    own = form("own", 1, 5, item_ranges={"4": [0, 100]})
    answers, cases = study(own)
    answers[3] = np.random.default_rng(3).integers(0, 101, size=len(cases))
    answers[4] = 6 - answers[4]
    assert without_numbers(texts(own, answers=answers, cases=cases)) == [
        "item 5 runs against the rest (item-rest r R, 40 cases): look whether it was reversed by hand, or "
        "whether the columns are in another order"
    ]


def test_items_are_not_correlated_where_the_range_does_not_fit():
    answers, cases = study(LONG)
    told = texts(SHORT, answers=answers, cases=cases)
    assert told == [SEVEN]


def test_an_honest_small_study_seldom_has_items_that_run_against_the_rest():
    told = [
        honest(LONG, {}, n_cases=20 + seed % 21, n_sessions=1 + seed % 6, seed=seed, noise=1.0)
        for seed in range(200)
    ]
    assert sum(map(bool, told)) <= 2


BUNDLED = {name: read_definition(path) for name, path in find_scales().items()}


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_honest_data_of_every_form_raise_no_doubt(name):
    assert honest(BUNDLED[name], BUNDLED) == []


def partly_reversed(scale):
    formulas = [scale.total] if scale.total else list(scale.formulas.values())
    keyed = [set(each.items) for each in formulas if each.keyed]
    return any(items & set(scale.reverse) and items - set(scale.reverse) for items in keyed)


@pytest.mark.parametrize("name", sorted(name for name, scale in BUNDLED.items() if partly_reversed(scale)))
def test_data_already_reversed_are_told_for_every_form_that_reverses_some_items(name):
    told = honest(BUNDLED[name], BUNDLED, turned=BUNDLED[name].reverse)
    assert "which the key reverses" in told[0]


def table(answers, cases, *, prefix="q", name="study.csv", folder):
    rows = [",".join(["case", "session", *(f"{prefix}{n}" for n in range(1, len(answers) + 1))])]
    session = 0
    for place, form_ in enumerate(answers.T):
        session = session + 1 if place and cases[place] == cases[place - 1] else 1
        cells = ["" if np.isnan(value) else f"{value:g}" for value in form_]
        rows.append(",".join([f"C{cases[place]:02d}", str(session), *cells]))
    return write(folder, "\n".join(rows) + "\n", name=name)


def checked(command, file, scale, *more):
    """Return the exit code, the doubts and the last line of what `alliance check` says of the forms."""
    done = command("check", file, "--scale", scale, *more)
    lines = re.split(r"\n\n\d+ treatments? of", done.out)[0].splitlines()
    return done.code, [line for line in lines if line.startswith("doubt: ")], lines[-1]


@pytest.mark.parametrize("name", ["wai-s", "wai-sr"])
def test_honest_data_pass_the_check(command, tmp_path, name):
    file = table(*study(BUNDLED[name]), folder=tmp_path)
    assert checked(command, file, name) == (0, [], FINE)


def test_wai_s_data_checked_as_wai_sr_cannot_be_it(command, tmp_path):
    file = table(*study(BUNDLED["wai-s"]), folder=tmp_path)
    code, told, last = checked(command, file, "wai-sr")
    assert (code, len(told), last) == (3, 1, "")
    start = "doubt: answers run from 1 to 7; 'wai-sr' is answered 1 to 5. Forms of 12 items answered 1 to 7: "
    assert told[0].startswith(start)
    assert "wai-s," in told[0]
    assert told[0].endswith("Name the one that was printed with --scale")


def test_wai_sr_data_checked_as_wai_s_raise_two_questions_and_no_refusal(command, tmp_path):
    file = table(*study(BUNDLED["wai-sr"]), folder=tmp_path)
    code, told, last = checked(command, file, "wai-s")
    assert (code, len(told), last) == (0, 2, "nothing else is wrong with this file")
    assert told[0].startswith("doubt: no answer is above 5 among 2880; every answer also fits wai-sr")
    assert told[1].startswith(
        "doubt: items 4 10, which the key reverses, run against the rest (item-rest r -0."
    )


def test_wai_sr_data_that_count_from_0_are_told_and_a_shift_settles_it(command, tmp_path):
    answers, cases = study(BUNDLED["wai-sr"])
    file = table(answers - 1, cases, folder=tmp_path)
    told = "doubt: " + FROM_0.replace("short-r", "wai-sr")
    assert checked(command, file, "wai-sr") == (3, [told], "")
    shift = write(tmp_path, "shift = 1\n", name="map.toml")
    assert checked(command, file, "wai-sr", "--map", shift) == (0, [], FINE)


def test_k10_data_from_1_checked_as_the_form_from_0_name_the_other_definition(command, tmp_path):
    file = table(*study(BUNDLED["k10"]), folder=tmp_path)
    code, told, _ = checked(command, file, "k10-0-4")
    assert (code, len(told)) == (3, 1)
    assert re.search(r"put shift = -1 into a mapping.* answered 1 to 5: .*\bk10\b", told[0])


def test_wai_s_data_with_items_turned_before_are_told(command, tmp_path):
    file = table(*study(BUNDLED["wai-s"], turned=[4, 10]), folder=tmp_path)
    code, told, last = checked(command, file, "wai-s")
    assert (code, len(told), last) == (0, 1, "nothing else is wrong with this file")
    assert without_numbers(told)[0].startswith(f"doubt: {ALREADY}")


@pytest.mark.parametrize("format", ["csv", "json", "md"])
def test_a_doubt_is_never_lost_to_the_format(command, tmp_path, format):
    file = table(*study(BUNDLED["wai-s"], turned=[4, 10]), folder=tmp_path)
    done = command("check", file, "--scale", "wai-s", "--format", format)
    assert (done.code, "doubt" in done.out) == (0, False)
    assert done.err.startswith("doubt: items 4 10, which the key reverses, run against the rest (")


def test_slips_and_codes_raise_no_doubt(command, tmp_path):
    answers, cases = study(BUNDLED["wai-sr"])
    answers[3, 7] = 44
    assert checked(command, table(answers, cases, folder=tmp_path), "wai-sr") == (3, [], "")
    answers[3, 7] = 6
    assert checked(command, table(answers, cases, folder=tmp_path), "wai-sr") == (3, [], "")
    answers[:, ::9] = 99
    file = table(answers, cases, folder=tmp_path)
    assert checked(command, file, "wai-sr") == (3, [], "")
    answers[3, 7] = 4
    file = table(answers, cases, folder=tmp_path)
    assert checked(command, file, "wai-sr", "--missing", "99") == (0, [], FINE)


def test_declared_codes_are_no_answers(command, tmp_path):
    answers, cases = study(BUNDLED["k10"])
    file = table(np.where(answers == 5, 0, answers), cases, folder=tmp_path)
    assert len(checked(command, file, "k10")[1]) == 1
    assert checked(command, file, "k10", "--missing", "0") == (0, [], FINE)


def test_columns_of_phq_9_checked_as_gad_7_are_told_although_the_file_is_refused(command, tmp_path):
    file = table(*study(BUNDLED["phq-9"], n_cases=3), prefix="phq9_", folder=tmp_path)
    code, told, _ = checked(command, file, "gad-7")
    assert (code, len(told)) == (3, 2)
    assert told[0].startswith(
        "doubt: the file has 9 items, phq9_1 to phq9_9; 'gad-7' has 7. Forms of 9 items: "
    )
    assert told[1] == (
        "doubt: the items are called phq9_1 to phq9_9, after 'phq-9' and not after 'gad-7'. "
        "Which form was printed?"
    )
    assert checked(command, file, "phq-9") == (0, [], FINE)


@pytest.mark.parametrize(
    ("text", "scale", "mapping", "found"),
    [
        pytest.param(
            "case,session,q1,q2,q3,q4,q5\nA,1,1,1,1,1,9\n",
            "srs",
            "",
            ["the file has 5 items, q1 to q5; 'srs' has 4. Forms of 5 items: …"],
            id="a column beyond",
        ),
        pytest.param("case,session,q1,q2,q3,q4,q5\nA,1,1,1,1,1,\n", "srs", "", [], id="an empty one beyond"),
        pytest.param(
            "case,session,q1,q2,q3\nA,1,1,1,1\n",
            "srs",
            "",
            ["the file has 3 items, q1 to q3; 'srs' has 4"],
            id="a column too few",
        ),
        pytest.param(
            "case,session,q1,q2,q3\nA,1,1,1,1\n",
            "srs",
            'columns = {q1 = "q1", q2 = "q2", q3 = "q3"}',
            [],
            id="the mapping says which",
        ),
        pytest.param(
            "case,session,item,value\n" + "".join(f"A,1,ors_{n},5\n" for n in (1, 2, 3, 4)),
            "srs",
            "",
            ["the items are called ors_1 to ors_4, after 'ors' and not after 'srs'. Which form was printed?"],
            id="one answer a row",
        ),
        pytest.param(
            "case,session,item,value\n" + "".join(f"A,1,gad7_{n},1\n" for n in range(1, 8)),
            "srs",
            "",
            [
                "the file has 7 items, gad7_1 to gad7_7; 'srs' has 4. Forms of 7 items: …",
                "the items are called gad7_1 to gad7_7, after 'gad-7' and not after 'srs'. "
                "Which form was printed?",
            ],
            id="one answer a row, too many items",
        ),
        pytest.param(
            "case," + ",".join(f"ors{n}_s{s}" for n in (1, 2, 3, 4, 5) for s in (1, 2)) + "\nA" + ",5" * 10,
            "srs",
            'pattern = "ors{item}_s{session}"',
            [
                "the file has 5 items, ors1_s{session} to ors5_s{session}; 'srs' has 4. Forms of 5 items: …",
                "the items are called ors1_s{session} to ors5_s{session}, after 'ors' and not after 'srs'. "
                "Which form was printed?",
            ],
            id="wide",
        ),
        pytest.param(
            "case,session,scale,q1,q2,q3,q4,q5\nA,1,SEQ_5,1,1,1,1,1\n",
            "srs",
            "",
            ["the file calls the form SEQ_5; that is 'seq-5', not 'srs'"],
            id="the scale column",
        ),
        pytest.param(
            "id1,id2,id3," + ",".join(columns(13, "x")) + "\nA,1,2026-01-31" + ",1" * 13 + "\n",
            "wai-sr",
            'columns = {case = "id1", session = "id2", date = "id3"}',
            ["the file has 13 items, x1 to x13; 'wai-sr' has 12. Forms of 13 items: …"],
            id="columns with another role are no items",
        ),
        pytest.param(
            "case,session,x1,x2,x3,x4,x5,y1,y2,y3,y4,y5\nA,1,1,1,1,1,1,1,1,1,1,1\n",
            "srs",
            "",
            [],
            id="two groups that could be items",
        ),
        pytest.param(
            "case,x1_s1,x2_s1,x3_s1,x6_s1,x7_s1\nA,1,1,1,1,1\n",
            "srs",
            'pattern = "x{item}_s{session}"',
            [],
            id="wide with gaps",
        ),
        pytest.param("name,age\nErika,40\n", "srs", "", [], id="no items at all"),
    ],
)
def test_columns_speak_even_where_the_file_is_refused(tmp_path, text, scale, mapping, found):
    options = ReadOptions(mapping=mapped(mapping) if mapping else None)
    inspection = inspect(write(tmp_path, text), load_scale(scale), options=options)
    told = [re.sub(r"(Forms of [0-9]+ items: ).*", r"\1…", doubt) for doubt in inspection.doubts]
    assert told == found


def test_with_several_forms_in_a_file_each_doubt_says_its_form(tmp_path):
    file = table(*study(BUNDLED["phq-9"], n_cases=19), folder=tmp_path)
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    rows = [f"{line},{['phq-9', 'csq-8'][place % 2]}" for place, line in enumerate(lines)]
    rows = [re.sub(r",[0-9](,csq-8)$", r",\1", row) for row in rows]
    found = inspect(write(tmp_path, "\n".join([f"{head},scale", *rows])), None)
    assert [doubt.partition(": the file may count from 0")[0] for doubt in found.doubts] == [
        "csq-8: answers run from 0 to 3, 'csq-8' is answered 1 to 4"
    ]
    assert found.impossible


def test_the_form_a_mapping_names_is_doubted_too(tmp_path):
    file = table(*study(BUNDLED["phq-9"], n_cases=3), prefix="phq9_", folder=tmp_path)
    found = inspect(file, None, options=ReadOptions(mapping=mapped('scale = "gad-7"')))
    assert len(found.doubts) == 2
    assert found.impossible


def test_with_a_scale_column_the_form_a_mapping_names_is_not_asked_for(tmp_path):
    file = write(tmp_path, "case,session,scale,q1,q2,q3\nA,1,srs,1,1,1\n")
    found = inspect(file, None, options=ReadOptions(mapping=mapped('scale = "no-such-form"')))
    assert (found.scales, found.doubts) == (("srs",), ())


def test_forms_of_no_case_do_not_count(tmp_path):
    file = table(*study(BUNDLED["wai-s"], n_cases=20, turned=[4, 10]), folder=tmp_path)
    assert len(inspect(file, BUNDLED["wai-s"]).doubts) == 1
    text = file.read_text(encoding="utf-8").replace("\nC07,", "\n,")
    assert inspect(write(tmp_path, text), BUNDLED["wai-s"]).doubts == ()


def test_a_definition_of_ones_own_is_among_the_forms_named_and_a_broken_one_is_not(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    own = (bundled("scales") / "k10.toml").read_text(encoding="utf-8")
    (folder / "a-broken-one.toml").write_text("items = 3", encoding="utf-8")
    (folder / "distress.toml").write_text(own.replace('"k10"', '"distress"'), encoding="utf-8")
    file = table(*study(BUNDLED["k10"]), folder=tmp_path)
    assert "distress" in inspect(file, BUNDLED["k10-0-4"], folders=[folder]).doubts[0]


@pytest.mark.parametrize(
    ("doubted", "impossible", "last"),
    [
        ((), False, FINE),
        (("why?",), False, "nothing else is wrong with this file"),
        (("no.",), True, ""),
    ],
)
def test_a_file_that_cannot_be_the_form_is_never_called_fine(doubted, impossible, last):
    lines = list(_summary(Inspection(doubts=doubted, impossible=impossible)))
    assert lines[1:] == [*(f"doubt: {text}" for text in doubted), last]


@pytest.mark.parametrize(
    ("file", "scale"),
    [("wai-sr-study.csv", "wai-sr"), ("srs-ors-clinic.csv", "srs"), ("srs-ors-clinic.csv", "ors")],
)
def test_the_bundled_studies_raise_no_doubt(command, file, scale):
    assert checked(command, bundled("data") / file, scale) == (0, [], FINE)


def read_with(name):
    path = SAMPLES / "maps" / f"{name}.toml"
    return ReadOptions(mapping=read_mapping(path) if path.exists() else None)


SHARED = sorted(path.name for path in SAMPLES.iterdir() if path.is_file() and path.suffix != ".md")
NASTY = [(case, file) for case, told in EXPECT.items() for file in told["files"]]


@pytest.mark.parametrize("file", SHARED)
def test_the_samples_raise_no_doubt(file):
    assert inspect(SAMPLES / file, BUNDLED["wai-sr"], options=read_with(Path(file).stem)).doubts == ()


@pytest.mark.parametrize(("case", "file"), NASTY, ids=[file for _, file in NASTY])
def test_the_nasty_samples_raise_no_doubt(case, file):
    scale = load_scale(SAMPLES / "scales" / f"{EXPECT[case]['scale'].lower()}.toml")
    options = read_with(f"nasty_{case[:2]}")
    assert inspect(SAMPLES / "nasty" / file, scale, options=options).doubts == ()
