"""What speaks against the form that was named: truth tables by hand, then whole files through `alliance check`."""

import json
from pathlib import Path

import numpy as np
import pytest
from readers_helpers import mapped, write

from alliance.places import bundled
from alliance.readers import ReadOptions, inspect, read_mapping
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
    """Return what a file says that holds each value of `counts` so many times, or the `answers` as they are."""
    if answers is None:
        flat = [value for value, n in dict(counts).items() for _ in range(n)]
        flat += [NA] * (-len(flat) % scale.n_items)
        answers = np.array(flat, dtype=float).reshape(scale.n_items, -1)
    inside = (answers >= scale.min) & (answers <= scale.max)
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
        pytest.param({1: 1, 5: 10, 6: 20, 7: 69, 8: 1}, [SEVEN.replace("7;", "7;")], id="and a slip"),
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


def test_each_competing_range_is_told_once():
    known = library(form("a", 1, 5), form("b", 1, 5), form("c", 1, 6))
    told = texts(LONG, {1: 100, 5: 100}, known=known)
    assert told == [QUESTION.replace("short-r (1 to 5)", "a, b (1 to 5)")]


def test_a_form_whose_items_have_ranges_of_their_own_is_not_compared():
    own = form("own", 1, 5, item_ranges={"4": [0, 100]})
    assert texts(own, {1: 50, 5: 50, 6: 50, 7: 50}) == []
    assert texts(SHORT, {1: 50, 5: 50, 6: 50}, known=library(form("own", 1, 7, item_ranges={"4": [0, 9]}))) == []


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
    names = ["case", "Q1", "q2", "q3", "w2", "w3", "w4", "t1", "t2", "x[1]", "x[2]", "x[3]", "x[3]", "y1", "y3"]
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


def test_items_already_reversed_are_told():
    told = honest(LONG, library(SHORT), turned=[4, 10])
    assert len(told) == 1
    start, r, end = told[0].partition("-0.")[0], told[0][58:], told[0].partition(", 40 cases)")[2]
    assert start == "items 4 10, which the key reverses, run against the rest (item-rest r "
    assert r.startswith("")
    assert end == (
        ": the file may hold answers that are already reversed. Give the printed answers; nothing was turned"
    )
