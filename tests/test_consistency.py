"""What cannot be true of one form, although every field is well-formed: a sentence each."""

import copy

import pytest
from scale_helpers import DEMO, SOURCED

from alliance.schema import breaches


def found(**changes):
    return breaches(copy.deepcopy(DEMO) | changes)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"total": {"method": "none"}}, id="no total"),
        pytest.param({"min": 0, "max": 1}, id="yes and no"),
        pytest.param(
            {"step": 3, "vectors": [{"answers": [1, 4, 7, 1, 4, 7], "scores": {}}]}, id="every third number"
        ),
        pytest.param({"total": {"of": ["bond", "task"]}}, id="total of named subscales"),
        pytest.param({"unconfirmed": ["task"]}, id="a subscale switched off"),
        pytest.param(
            {"subscales": {**DEMO["subscales"], "both": {"of": ["bond", "task"], "method": "sum"}}},
            id="nested",
        ),
        pytest.param(
            {"subscales": {"bond": {"items": [1, 2], "factor": 10, "missing_max": 1}}}, id="on its own terms"
        ),
        pytest.param({"unscored": [6], "subscales": {"bond": [1, 2, 3, 4, 5]}}, id="an item in no score"),
        pytest.param(
            {"item_ranges": {"6": [0, 100]}, "vectors": [{"answers": [1, 2, 3, 4, 5, 55], "scores": {}}]},
            id="an answer in the range of its item",
        ),
        pytest.param(
            {"item_ranges": {"6": [0, 100]}, "alerts": [{"items": [6], "value": 50, "reason": "x"}]},
            id="an alert in the range of its item",
        ),
        pytest.param(
            {
                "method": "sum",
                "factor": 2,
                "bands": [{"score": "bond", "steps": [[6, 42, "all"]], **SOURCED}],
            },
            id="bands of a doubled sum",
        ),
        pytest.param(
            {
                "total": {"factor": 10, "offset": -10},
                "cutoffs": [{"score": "total", "op": ">=", "value": 60, "label": "x", **SOURCED}],
            },
            id="a cut-off at the end of a scaled and moved range",
        ),
        pytest.param(
            {"references": [{"score": "total", "sample": "x", "mean": 40, "metric": "item mean", **SOURCED}]},
            id="a reference in another metric is not compared with the range",
        ),
    ],
)
def test_what_a_key_can_need_is_accepted(changes):
    assert found(**changes) == []


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        pytest.param(
            {"unconfirmed": ["goal"]},
            ["unconfirmed: there is no subscale goal; known: bond, task"],
            id="an unknown subscale switched off",
        ),
        pytest.param(
            {"unconfirmed": ["task"], "total": {"of": "subscales"}},
            ["total: is formed of task, which is unconfirmed"],
            id="a total of what is switched off",
        ),
        pytest.param(
            {"subscales": {"both": {"of": ["bond"]}, "bond": [1, 2, 3, 4, 5, 6]}},
            ["both: is formed of bond, which is no subscale before it"],
            id="a score of a later one",
        ),
        pytest.param(
            {"total": {"of": ["goal"]}},
            ["total: is formed of goal, which is no subscale before it"],
            id="a total of a subscale that is not there",
        ),
        pytest.param(
            {"total": {"method": "none", "factor": 2}},
            ["total: a form without a total says nothing more about it"],
            id="a factor of no total",
        ),
        pytest.param(
            {"total": {"method": "none"}, "total_missing_max": 1},
            ["total: a form without a total says nothing more about it"],
            id="a tolerance of no total",
        ),
        pytest.param(
            {"total": {"method": "none"}, "subscales": {}},
            ["total: a form without subscales needs one"],
            id="no score at all",
        ),
        pytest.param(
            {"total": {"method": "none"}, "subscales": {"bond": [1, 2, 3, 4]}},
            [
                "unscored: item 5 enters no score; list it there if that is meant",
                "unscored: item 6 enters no score; list it there if that is meant",
            ],
            id="items forgotten",
        ),
        pytest.param({"unscored": [3]}, ["unscored: item 3 enters a score"], id="unscored, and scored"),
        pytest.param(
            {"subscales": {"bond": {"items": [1, 2], "missing_max": 2}}},
            ["missing_max: 2 would let bond be scored without an answer"],
            id="a subscale's own tolerance",
        ),
        pytest.param(
            {"subscales": {"bond": {"items": [1, 2], "of": ["task"]}}},
            ["subscales: bond: has both items and of"],
            id="two ways at once",
        ),
        pytest.param(
            {"subscales": {"bond": {"method": "sum"}}},
            ["subscales: bond: must say items, or of which scores it is formed"],
            id="no way at all",
        ),
        pytest.param(
            {"item_ranges": {"6": [100, 0]}},
            ["item_ranges: 6: must rise, got [100, 0]"],
            id="a range that falls",
        ),
        pytest.param(
            {"item_ranges": {"7": [0, 100]}},
            ["item_ranges: item 7 is not one of the 6 items"],
            id="a range of no item",
        ),
        pytest.param(
            {"item_ranges": {"6": [0, 100]}, "vectors": [{"answers": [1, 2, 3, 4, 101, 101], "scores": {}}]},
            ["vectors[1]: answer 101 is outside 1 to 7", "vectors[1]: answer 101 is outside 0 to 100"],
            id="each answer in the range of its item",
        ),
        pytest.param(
            {
                "criteria": [
                    {"label": "x", "present_at": 8, "needs": [{"items": [1], "at_least": 1}], **SOURCED}
                ]
            },
            ["criteria[1]: 8 is outside 1 to 7"],
            id="a criterion nobody can meet",
        ),
        pytest.param(
            {
                "criteria": [
                    {"label": "x", "present_at": 2, "item_present_at": {"2": 9}, **SOURCED}
                    | {"needs": [{"items": [1, 7], "at_least": 1}]}
                ]
            },
            ["criteria: item 7 is not one of the 6 items", "criteria[1]: 9 is outside 1 to 7"],
            id="a criterion on no item",
        ),
        pytest.param(
            {"bands": [{"score": "total", "steps": [[1, 3, "a"], [2, 7, "b"]], **SOURCED}]},
            ["bands[1]: the steps overlap or do not rise"],
            id="bands that overlap",
        ),
        pytest.param(
            {"bands": [{"score": "total", "steps": [[1, 8, "a"]], **SOURCED}]},
            ["bands[1]: 8 is outside 1 to 7, the range of total"],
            id="bands in another metric",
        ),
        pytest.param(
            {"references": [{"score": "total", "sample": "x", "mean": 40, **SOURCED}]},
            ["references[1]: 40 is outside 1 to 7, the range of total"],
            id="a reference in another metric",
        ),
        pytest.param(
            {"alerts": [{"items": [1], "value": 2, "reason": "one; two"}]},
            ["alerts: [1] reason must hold no semicolon: notes are joined by them"],
            id="a reason that cannot stand in a note",
        ),
    ],
)
def test_a_contradiction_is_named(changes, messages):
    assert found(**changes) == messages
