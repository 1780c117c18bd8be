"""One cell → one answer: by hand, each kind just inside and just outside."""

import math

import numpy as np
import pytest
from readers_helpers import DEMO, mapped
from scale_helpers import DEMO as MIXED

from alliance.readers.answers import (
    ANSWER,
    BLANK,
    BROKEN,
    MISSING,
    OUTSIDE,
    UNREADABLE,
    convert,
    read_answer,
    rules_for,
)
from alliance.readers.mapping import Mapping
from alliance.scale import parse_definition

NA = math.nan


@pytest.mark.parametrize(
    ("text", "number", "kind"),
    [
        pytest.param("1", 1, ANSWER, id="lowest"),
        pytest.param("7", 7, ANSWER, id="highest"),
        pytest.param("0", NA, OUTSIDE, id="just below"),
        pytest.param("8", NA, OUTSIDE, id="just above"),
        pytest.param("-1", NA, OUTSIDE, id="negative"),
        pytest.param(" 3 ", 3, ANSWER, id="blanks around"),
        pytest.param("03", 3, ANSWER, id="leading zero"),
        pytest.param("3.0", 3, ANSWER, id="decimal point"),
        pytest.param("3,0", 3, ANSWER, id="decimal comma"),
        pytest.param("1.0000000000", 1, ANSWER, id="ten zeros"),
        pytest.param("3.5", NA, BROKEN, id="half an answer"),
        pytest.param("Always", 7, ANSWER, id="anchor in another case"),
        pytest.param("  some  times ", NA, UNREADABLE, id="anchor cut in two"),
        pytest.param("4 - sometimes", 4, ANSWER, id="number and its word"),
        pytest.param("Sometimes (4)", 4, ANSWER, id="word and its number"),
        pytest.param("4 \u2013 sometimes", 4, ANSWER, id="long dash"),
        pytest.param("4=sometimes", 4, ANSWER, id="equals sign"),
        pytest.param("(4) sometimes", 4, ANSWER, id="number in brackets"),
        pytest.param("5 - often", 5, ANSWER, id="number and a word of no anchor"),
        pytest.param("5 - sometimes", NA, UNREADABLE, id="number against its word"),
        pytest.param("always (4)", NA, UNREADABLE, id="word against its number"),
        pytest.param("9 - often", NA, OUTSIDE, id="number out of range beside a word"),
        pytest.param("4 - na", NA, UNREADABLE, id="number beside a word for missing"),
        pytest.param("2-3", NA, UNREADABLE, id="two numbers"),
        pytest.param("3?", NA, UNREADABLE, id="doubtful number"),
        pytest.param("3/4", NA, UNREADABLE, id="fraction"),
        pytest.param("3 4", NA, UNREADABLE, id="two numbers with a blank"),
        pytest.param("zwischen 3 und 4", NA, UNREADABLE, id="between two"),
        pytest.param("4 sometimes", NA, UNREADABLE, id="number and word side by side"),
        pytest.param("1e0", NA, UNREADABLE, id="exponent"),
        pytest.param("inf", NA, UNREADABLE, id="infinity"),
        pytest.param("1,234.5", NA, UNREADABLE, id="thousands"),
        pytest.param("٣", NA, UNREADABLE, id="digits of another script"),
        pytest.param("true", NA, UNREADABLE, id="truth value"),
        pytest.param("", NA, BLANK, id="empty"),
        pytest.param("\u00a0", NA, BLANK, id="no-break space"),
        *[
            pytest.param(word, NA, BLANK, id=f"missing word {word}")
            for word in [
                "NA",
                "N/A",
                "n/a",
                "#N/A",
                "nan",
                "NULL",
                "#NULL!",
                "None",
                ".",
                "-",
                "\u2013",
                "\u2014",
                "k.A.",
            ]
        ],
        pytest.param("[not completed]", NA, BLANK, id="not completed"),
        pytest.param("99", NA, MISSING, id="declared code"),
        pytest.param("99.0", NA, MISSING, id="declared code as a decimal"),
        pytest.param("REFUSED", NA, MISSING, id="declared word"),
        pytest.param("-99", NA, OUTSIDE, id="code that was not declared"),
    ],
)
def test_a_cell_is_read_by_the_truth_table(text, number, kind):
    rules = rules_for(DEMO, Mapping(), ("99", "refused"))
    assert read_answer(text, rules) == (pytest.approx(number, nan_ok=True), kind)


def test_words_of_the_mapping_come_before_everything_else():
    rules = rules_for(DEMO, mapped('missing = ["x"]\n[answers]\n"x" = 5\n"NA" = 6\n"Always" = 1\n"9" = 2'))
    assert [read_answer(text, rules)[0] for text in ["X", "na", "always", "9"]] == [5, 6, 1, 2]


def test_a_word_of_the_mapping_must_lie_in_the_range():
    rules = rules_for(DEMO, mapped("[answers]\nhuge = 70"))
    assert read_answer("huge", rules)[1] == OUTSIDE


def test_a_shift_moves_numbers_and_leaves_words_alone():
    rules = rules_for(DEMO, mapped("shift = 1\n[answers]\ntop = 7"))
    assert [read_answer(text, rules)[0] for text in ["0", "6", "always", "top"]] == [1, 7, 7, 7]
    assert read_answer("7", rules)[1] == OUTSIDE


def test_a_missing_code_is_compared_before_the_shift():
    rules = rules_for(DEMO, mapped("shift = 1\nmissing = [-9]"))
    assert read_answer("-9", rules)[1] == MISSING


def test_an_array_keeps_its_shape():
    texts = np.array([["1", "x"], ["", "7"], ["9", "1"]], dtype=object)
    answers = convert(texts, rules_for(DEMO, Mapping()))
    np.testing.assert_array_equal(answers.numbers, [[1, NA], [NA, 7], [NA, 1]])
    np.testing.assert_array_equal(answers.kinds, [[ANSWER, UNREADABLE], [BLANK, ANSWER], [OUTSIDE, ANSWER]])
    np.testing.assert_array_equal(answers.given, [[True, True], [False, True], [True, True]])


def test_each_item_is_read_in_its_own_range_and_words_belong_to_the_range_of_the_form():
    table = MIXED | {"items": 3, "max": 9, "item_ranges": {"2": [1, 100], "3": [0, 9]}}
    table |= {"anchors": {"1": "never"}, "subscales": {}}
    scale = parse_definition(table, origin="mixed.toml")
    texts = np.array([["never", "50", "0", "9"], ["never", "50", "100", "101"], ["never", "0", "9", "10"]])
    found = convert(texts.astype(object), rules_for(scale, Mapping()))
    assert found.kinds.tolist() == [
        [ANSWER, OUTSIDE, OUTSIDE, ANSWER],
        [UNREADABLE, ANSWER, ANSWER, OUTSIDE],
        [UNREADABLE, ANSWER, ANSWER, OUTSIDE],
    ]
    assert found.numbers[1, 1] == 50
    assert found.numbers[2, 1] == 0
