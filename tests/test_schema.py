import copy

import pytest
from scale_helpers import DEMO, SOURCED

from alliance.schema import OPTIONAL, REQUIRED, breaches

GOOD = DEMO | {
    "reverse": [5],
    "vectors": [{"answers": [6, 5, 7, 5, 2, 5], "scores": {"bond": 6.333, "task": 5.0}}],
}
KNOWN = ", ".join([*REQUIRED, *OPTIONAL])


def found(**changes):
    table = copy.deepcopy(GOOD) | changes
    return breaches({key: value for key, value in table.items() if value is not ...})


def test_a_sound_definition_has_no_breach():
    assert found() == []


def test_every_optional_field_is_accepted_when_sound():
    assert (
        found(
            version="1",
            doi="10.1000/demo",
            step=1,
            anchors={"1": "never", "7": "always"},
            labels={"1": "first"},
            total={"method": "sum", "of": "subscales"},
            missing_max=1,
            total_missing_max=2,
            norms={"total": {"sd": 0.9, "reliability": 0.84, "mean": 10, "n": 50, "sample": "x", **SOURCED}},
            cutoffs=[{"score": "bond", "op": "<=", "value": 3, "label": "low", "population": "x", **SOURCED}],
            reliable_change=[{"score": "total", "value": 2, "level": "95%", **SOURCED}],
            alerts=[
                {"items": [5, 6], "value": 1, "reason": "risk", "source": "x"}
                | {"level": "medium", "unanswered": False}
            ],
            raters=["client", "caregiver"],
            loinc={"panel": "1-1", "total": "1-2"},
            item_ranges={"6": [0, 100]},
            descending=[1],
            not_applicable=[2],
            reverse_scope="total_only",
            factor=2,
            missing_rule="A rule.",
            unscorable={"missing_above": 3, "any_score": True, "all_alike": True},
            references=[
                {"score": "total", "sample": "x", "mean": 10, "sd": 1, "n": 9, **SOURCED}
                | {"metric": "item mean", "session": 3, "week": 4}
            ],
            reliabilities=[
                {"score": "bond", "statistic": "alpha", "value": 0.8, "high": 0.9, "sample": "x", **SOURCED}
            ],
            bands=[
                {"score": "bond", "steps": [[2, 4, "low"], [4.5, "", "high"]], "name": "x", **SOURCED}
                | {"population": "x"}
            ],
            criteria=[
                {"label": "x", "present_at": 2, "item_present_at": {"6": 50}, **SOURCED}
                | {"needs": [{"items": [1, 6], "at_least": 1, "at_most": 2}]}
            ],
            cautions=["A caution."],
            notes=["A note."],
        )
        == []
    )


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        pytest.param({"name": ...}, ["name: missing"], id="required field absent"),
        pytest.param({"colour": 1}, [f"colour: unknown field; known: {KNOWN}"], id="unknown field"),
        pytest.param({"name": " "}, ["name: must be a text that is not empty"], id="blank text"),
        pytest.param({"version": 3}, ["version: must be a text that is not empty"], id="number for a text"),
        pytest.param(
            {"id": "Demo_client"},
            ["id: must be lower-case words joined by hyphens, such as wai-sr"],
            id="id not kebab-case",
        ),
        pytest.param(
            {"perspective": "patient"},
            ["perspective: must be one of client, therapist, observer, got 'patient'"],
            id="unknown perspective",
        ),
        pytest.param(
            {"construct": "mood"},
            [
                "construct: must be one of alliance, outcome, relationship, satisfaction, session, "
                "expectancy, person, got 'mood'"
            ],
            id="unknown construct",
        ),
        pytest.param(
            {"direction": "up"},
            ["direction: must be one of higher_is_better, higher_is_worse, got 'up'"],
            id="unknown direction",
        ),
        pytest.param({"method": "median"}, ["method: must be one of sum, mean, got 'median'"], id="method"),
        pytest.param(
            {"status": "hold"}, ["status: must be one of verified, provisional, got 'hold'"], id="status"
        ),
        pytest.param({"items": 0}, ["items: must be a whole number of 1 or more, got 0"], id="no items"),
        pytest.param(
            {"items": True}, ["items: must be a whole number of 1 or more, got True"], id="true is no count"
        ),
        pytest.param({"min": "1"}, ["min: must be a finite number, got '1'"], id="text for a number"),
        pytest.param({"max": float("nan")}, ["max: must be a finite number, got nan"], id="not finite"),
        pytest.param({"step": 0}, ["step: must be above 0, got 0"], id="no step"),
        pytest.param({"sources": []}, ["sources: must not be empty"], id="no source"),
        pytest.param({"sources": "x"}, ["sources: must be a list"], id="text for a list"),
        pytest.param(
            {"notes": ["x", ""]}, ["notes: [2] must be a text that is not empty"], id="blank entry, numbered"
        ),
        pytest.param({"subscales": []}, ["subscales: must be a table"], id="list for a table"),
        pytest.param({"reverse": [5, 5]}, ["reverse: names item 5 twice"], id="reversed twice"),
        pytest.param(
            {"reverse": [0]}, ["reverse: [1] must be a whole number of 1 or more, got 0"], id="items from 1"
        ),
        pytest.param(
            {"anchors": {"one": "x"}}, ["anchors: one: must be a number, got 'one'"], id="anchor key"
        ),
        pytest.param(
            {"labels": {"1.5": "x"}}, ["labels: 1.5: must be an item number, got '1.5'"], id="label key"
        ),
        pytest.param(
            {"subscales": {"bond": [1, 2, 3, 4, 5, 6], "task": []}},
            ["subscales: task: has no item"],
            id="empty subscale",
        ),
        pytest.param({"total": {"items": []}}, ["total: items has no item"], id="total of nothing"),
        pytest.param({"total": {"form": "x"}}, ["total: unknown field form"], id="unknown inner field"),
        pytest.param(
            {"norms": {"total": {"sd": 0, "reliability": 1}}},
            [
                "norms: total: source is missing; sd must be above 0, got 0; "
                "reliability must be at least 0 and below 1, got 1"
            ],
            id="norm without source, impossible values",
        ),
        pytest.param(
            {"cutoffs": [{"score": "total", "op": "<", "value": 3, "label": "low"}]},
            ["cutoffs: [1] status is missing; source is missing"],
            id="cut-off without authority",
        ),
        pytest.param(
            {"cutoffs": [{"score": "total", "op": "=", "value": 3, "label": "low", **SOURCED}]},
            ["cutoffs: [1] op must be one of <, <=, >, >=, got '='"],
            id="unknown edge",
        ),
        pytest.param(
            {"vectors": [{"answers": [1, "x"], "scores": 3}]},
            ["vectors: [1] answers [2] must be a finite number, got 'x'; scores must be a table"],
            id="malformed vector",
        ),
    ],
)
def test_a_malformed_field_is_named_with_its_bound_and_value(changes, messages):
    assert found(**changes) == messages


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        pytest.param({"max": 1, "vectors": []}, ["max: must be above min 1, got 1"], id="no width"),
        pytest.param(
            {"step": 4, "vectors": []}, ["step: 4 does not lead from 1 to 7"], id="step misses the maximum"
        ),
        pytest.param(
            {"step": 0.1, "max": 1.05, "vectors": []},
            ["step: 0.1 does not lead from 1 to 1.05"],
            id="step wider than the range",
        ),
        pytest.param(
            {"reverse": [7]}, ["reverse: item 7 is not one of the 6 items"], id="reversed, no such item"
        ),
        pytest.param(
            {"labels": {"9": "x"}}, ["labels: item 9 is not one of the 6 items"], id="label, no such item"
        ),
        pytest.param(
            {"alerts": [{"items": [9], "value": 8, "reason": "risk"}]},
            ["alerts: item 9 is not one of the 6 items", "alerts[1]: 8 is outside 1 to 7"],
            id="alert that can never sound",
        ),
        pytest.param(
            {"subscales": {"bond": [1, 3, 8], "task": [2, 4, 6]}},
            ["subscales.bond: item 8 is not one of the 6 items"],
            id="subscale, no such item",
        ),
        pytest.param(
            {"subscales": {"bond": [1, 3, 5], "task": [2], "note": [4], "q7": [6]}},
            ["subscales.note: is the name of another column", "subscales.q7: is the name of another column"],
            id="subscale named like a column",
        ),
        pytest.param(
            {"subscales": {"bond": [1, 3, 5], "task": [2, 4, 6], "total": [1]}, "total": {"of": "subscales"}},
            ["subscales.total: is the name of another column"],
            id="the total listed as a subscale",
        ),
        pytest.param(
            {"subscales": ..., "vectors": [], "total": {"of": "subscales"}},
            ["total.of: there are no subscales to form the total of"],
            id="total of no subscales",
        ),
        pytest.param(
            {"total": {"of": "subscales", "items": [1]}},
            ["total.items: the total is formed of subscales, not of items"],
            id="total of two kinds",
        ),
        pytest.param(
            {"total": {"items": [1, 7]}}, ["total.items: item 7 is not one of the 6 items"], id="total item"
        ),
        pytest.param(
            {"missing_max": 3},
            [
                "missing_max: 3 would let bond be scored without an answer",
                "missing_max: 3 would let task be scored without an answer",
            ],
            id="a blank subscale tolerated",
        ),
        pytest.param(
            {"subscales": ..., "vectors": [], "missing_max": 1},
            ["missing_max: there are no subscales; the total has total_missing_max"],
            id="tolerance of nothing",
        ),
        pytest.param(
            {"total_missing_max": 2, "total": {"items": [1, 2]}},
            ["total_missing_max: must be below the 2 items, got 2"],
            id="a blank total tolerated",
        ),
        pytest.param(
            {
                "norms": {"goal": {"source": "x"}},
                "cutoffs": [{"score": "sum", "op": "<", "value": 3, "label": "l", **SOURCED}],
            },
            [
                "norms: there is no score goal; known: bond, task, total",
                "cutoffs: there is no score sum; known: bond, task, total",
            ],
            id="numbers of a score that is not there",
        ),
        pytest.param(
            {"vectors": [{"answers": [1, 2], "scores": {"goal": 1}}]},
            [
                "vectors: there is no score goal; known: bond, task, total",
                "vectors[1]: has 2 answers for 6 items",
            ],
            id="vector of another form",
        ),
        pytest.param(
            {"vectors": [{"answers": [0, 8, 1.5, "", 7, 1], "scores": {}}]},
            [
                "vectors[1]: answer 0 is outside 1 to 7",
                "vectors[1]: answer 8 is outside 1 to 7",
                "vectors[1]: answer 1.5 is no multiple of 1 from 1",
            ],
            id="answers nobody can give",
        ),
        pytest.param({"anchors": {"0": "never"}}, ["anchors: 0 is outside 1 to 7"], id="anchor outside"),
        pytest.param(
            {"cutoffs": [{"score": "total", "op": "<", "value": 36, "label": "low", **SOURCED}]},
            ["cutoffs[1]: 36 is outside 1 to 7, the range of total"],
            id="cut-off in another metric",
        ),
        pytest.param(
            {"method": "sum", "norms": {"bond": {"mean": 2.9, "source": "x"}}},
            ["norms.bond: 2.9 is outside 3 to 21, the range of bond"],
            id="norm in another metric",
        ),
        pytest.param(
            {
                "total": {"of": "subscales", "method": "sum"},
                "reliable_change": [{"score": "total", "value": 13, "level": "95%", **SOURCED}],
            },
            ["reliable_change[1]: 13 is more than the range of total is wide"],
            id="reliable change nobody can make",
        ),
    ],
)
def test_a_contradiction_between_fields_is_named(changes, messages):
    assert found(**changes) == messages


def test_every_breach_is_reported_at_once_malformed_fields_and_contradictions():
    assert found(method="median", items=5, licence=..., colour=1) == [
        "licence: missing",
        "method: must be one of sum, mean, got 'median'",
        f"colour: unknown field; known: {KNOWN}",
        "subscales.task: item 6 is not one of the 5 items",
        "vectors[1]: has 6 answers for 5 items",
    ]


def test_what_depends_on_a_broken_field_is_not_blamed():
    assert found(subscales="bond") == ["subscales: must be a table"]
    assert found(step="x", vectors=[{"answers": [1.5] * 6, "scores": {}}]) == [
        "step: must be a finite number, got 'x'"
    ]
    assert found(max=None, anchors={"0": "x"}) == ["max: must be a finite number, got None"]


def test_any_point_counts_below_a_step_of_one():
    assert found(step=0.1, vectors=[{"answers": [1.5] * 6, "scores": {}}]) == []


def test_an_empty_table_names_every_required_field():
    assert breaches({}) == [f"{name}: missing" for name in REQUIRED]
