import tomllib

import pytest

from alliance.definition import (
    definition_text,
    disagreements,
    draft_definition,
    explain,
    read_example,
    telling_forms,
    unproven,
)
from alliance.errors import ScaleError, UsageError
from alliance.places import bundled
from alliance.scale import parse_definition, read_definition

KEY = {
    "id": "mini",
    "name": "Mini form",
    "items": 4,
    "min": 1,
    "max": 5,
    "method": "mean",
    "reverse": [4],
    "subscales": {"bond": [1, 2], "task": [3, 4]},
}
# bond (1 + 2) / 2, task (3 + 6 - 5) / 2, total (1 + 2 + 3 + 1) / 4
BY_HAND = {"answers": [1, 2, 3, 5], "scores": {"bond": 1.5, "task": 2, "total": 1.75}}
PROVEN = ("proof", "ok", "range, method, every reversal and every membership are told by a vector")


def written(tmp_path, table, name="mini.toml"):
    path = tmp_path / name
    path.write_text(definition_text(table), "utf-8")
    return path


def explained(path):
    return [tuple(finding.values()) for finding in explain(path)]


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        pytest.param(
            {},
            {"bond": 1, "task": 3, "total": 2},
            {"bond": 5, "task": 3, "total": 4},
            id="means, one reversed",
        ),
        pytest.param(
            {"method": "sum"},
            {"bond": 2, "task": 6, "total": 8},
            {"bond": 10, "task": 6, "total": 16},
            id="sums, one reversed",
        ),
        pytest.param({"subscales": None, "reverse": []}, {"total": 1}, {"total": 5}, id="total only"),
        pytest.param(
            {"total": {"method": "sum"}},
            {"bond": 1, "task": 3},
            {"bond": 5, "task": 3},
            id="a total of its own kind",
        ),
    ],
)
def test_a_draft_holds_the_forms_answered_all_low_and_all_high(changes, low, high):
    vectors = draft_definition(**KEY | changes)["vectors"]
    assert [vector["answers"] for vector in vectors] == [[1] * 4, [5] * 4]
    assert [vector["scores"] for vector in vectors] == [low, high]


def test_a_draft_is_provisional_and_claims_nothing():
    table = draft_definition(**KEY)
    assert (table["status"], table["licence"], table["sources"]) == (
        "provisional",
        "not stated",
        ["own definition"],
    )
    assert table["reverse"] == [4]
    assert draft_definition(**KEY, construct="outcome", direction="higher_is_worse")["construct"] == "outcome"


def test_a_draft_keeps_the_form_scored_by_hand():
    assert draft_definition(**KEY, examples=[BY_HAND])["vectors"][2] == BY_HAND


def test_a_draft_that_disagrees_with_the_hand_shows_both_numbers():
    wrong = {"answers": [1, 2, 3, 5], "scores": {"bond": 1.5, "task": 4, "total": ""}}
    with pytest.raises(ScaleError) as caught:
        draft_definition(**KEY, examples=[wrong])
    assert str(caught.value) == (
        "error: the example scored by hand disagrees with 'mini'\n"
        "  vectors[3]: the key gives task 2, the vector 4\n"
        "  vectors[3]: the key gives total 1.75, the vector not scored\n"
        "hint: check the reversed items, the subscales and the method"
    )


def test_a_draft_that_breaks_the_schema_names_every_breach():
    with pytest.raises(ScaleError) as caught:
        draft_definition(**KEY | {"id": "My Form", "method": "median", "reverse": [9]})
    assert str(caught.value) == (
        "error: 'My Form.toml' is no valid scale definition\n"
        "  id: must be lower-case words joined by hyphens, such as wai-sr\n"
        "  method: must be one of sum, mean, got 'median'\n"
        "  reverse: item 9 is not one of the 4 items\n"
        "hint: `alliance scales check FILE` explains the definition; docs/scales.md has the fields"
    )


def test_an_example_of_another_length_is_a_breach():
    with pytest.raises(ScaleError) as caught:
        draft_definition(**KEY, examples=[{"answers": [1, 2], "scores": {"total": 1}}])
    assert caught.value.troubles[0].where == ("vectors[3]: has 2 answers for 4 items",)


def test_a_draft_does_not_change_its_arguments():
    key = {**KEY, "reverse": [4, 3], "subscales": {"bond": [2, 1], "task": [4, 3]}}
    draft_definition(**key)
    assert key["reverse"] == [4, 3]
    assert key["subscales"] == {"bond": [2, 1], "task": [4, 3]}


def test_the_text_of_a_draft_reads_back_as_the_draft():
    example = {"answers": [1, "", 3, 5], "scores": {"bond": "", "task": 2}}
    table = draft_definition(**KEY | {"name": 'A "quoted" name, ü'}, examples=[example])
    text = definition_text(table)
    assert tomllib.loads(text) == table
    assert 'answers = [1, "", 3, 5]' in text
    assert text.startswith("# Fields: docs/scales.md.")
    assert parse_definition(tomllib.loads(text), origin="mini.toml").id == "mini"


@pytest.mark.parametrize(
    ("text", "example"),
    [
        pytest.param("1,2,3=total:6", {"answers": [1, 2, 3], "scores": {"total": 6}}, id="whole numbers"),
        pytest.param(
            "1.5, 2 = a:1.75, total:3.5",
            {"answers": [1.5, 2], "scores": {"a": 1.75, "total": 3.5}},
            id="decimals",
        ),
        pytest.param(
            "1,,3=total:", {"answers": [1, "", 3], "scores": {"total": ""}}, id="unanswered, not scored"
        ),
    ],
)
def test_an_example_is_read_from_one_line(text, example):
    assert read_example(text) == example


@pytest.mark.parametrize(
    "text", ["1,2,3", "1,2,3=", "1,2,3=6", "1,x,3=total:6", "1,2=total:6:7", "1;2=total:3"]
)
def test_a_line_that_is_no_example_is_refused(text):
    with pytest.raises(UsageError) as caught:
        read_example(text)
    assert str(caught.value) == (
        f"error: '{text}' is no scored example\nhint: write the answers, then the scores: 1,2,3=total:6"
    )


@pytest.mark.parametrize("path", sorted(bundled("scales").glob("*.toml")), ids=lambda path: path.stem)
def test_every_bundled_definition_is_proven(path):
    assert unproven(read_definition(path)) == []
    assert disagreements(read_definition(path)) == []


def test_explain_lists_every_breach(tmp_path):
    table = draft_definition(**KEY) | {"method": "median", "reverse": [9]}
    assert explained(written(tmp_path, table)) == [
        ("schema", "wrong", "method: must be one of sum, mean, got 'median'"),
        ("schema", "wrong", "reverse: item 9 is not one of the 4 items"),
    ]


def test_explain_checks_the_vectors_before_it_asks_what_they_prove(tmp_path):
    table = draft_definition(**KEY)
    table["vectors"][1]["scores"]["task"] = 5
    assert explained(written(tmp_path, table)) == [
        ("schema", "ok", "every field is known and well-formed"),
        ("vectors", "wrong", "vectors[2]: the key gives task 3, the vector 5"),
    ]


def test_explain_says_when_the_file_cannot_be_found_by_its_id(tmp_path):
    path = written(tmp_path, draft_definition(**KEY), name="other.toml")
    note = ("name", "note", "to be found by its id, the file must be called mini.toml")
    assert note in explained(path)


def test_explain_names_what_no_vector_can_tell(tmp_path):
    # All-low and all-high forms cannot tell items of the same polarity apart.
    assert explained(written(tmp_path, draft_definition(**KEY | {"reverse": []})))[2:] == [
        ("proof", "unproven", "no vector has an unanswered item: more or fewer could be tolerated"),
        ("proof", "unproven", "item 1 of bond could belong to task"),
        ("proof", "unproven", "item 2 of bond could belong to task"),
        ("proof", "unproven", "item 3 of task could belong to bond"),
        ("proof", "unproven", "item 4 of task could belong to bond"),
        ("proof", "to do", "score by hand, and add to the vectors: answers = [1, 2, 3, 4]"),
    ]


def test_a_score_of_one_item_is_a_sum_as_well_as_a_mean_and_leaves_nothing_open():
    table = draft_definition(**KEY | {"subscales": {"bond": [1, 2, 3], "task": [4]}})
    assert not [each for each in unproven(parse_definition(table, origin="x")) if "task could be" in each]


def test_forms_to_score_by_hand_tell_every_two_items_apart():
    assert telling_forms(items=4, min=0, max=1, step=0.5) == [[0, 0.5, 1, 0], [0, 0, 0, 0.5]]
    for items, low, high in ((12, 1, 7), (34, 0, 4), (45, 0, 1)):
        forms = telling_forms(items=items, min=low, max=high)
        assert len(set(zip(*forms, strict=True))) == items
        assert {answer for form in forms for answer in form} <= set(range(low, high + 1))


def test_explain_is_satisfied_by_one_form_that_tells_the_items_apart(tmp_path):
    table = draft_definition(**KEY, examples=[BY_HAND])
    table["vectors"].append({"answers": [1, "", 3, 5], "scores": {"bond": "", "total": ""}})
    assert explained(written(tmp_path, table))[2:] == [PROVEN]


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        pytest.param(
            [],
            [
                "no vector has every answer at the minimum, 1: the range could be another",
                "no vector has every answer at the maximum, 5: the range could be another",
                "bond could be a sum instead of a mean",
                "task could be a sum instead of a mean",
                "the total could be a sum instead of a mean",
                "no vector has an unanswered item: more or fewer could be tolerated",
                "item 1 could be reversed",
                "item 2 could be reversed",
                "item 3 could be reversed",
                "item 4 need not be reversed",
                "item 1 of bond could belong to task",
                "item 2 of bond could belong to task",
                "item 3 of task could belong to bond",
                "item 4 of task could belong to bond",
            ],
            id="no vector proves nothing",
        ),
        pytest.param(
            [
                {"answers": [3, 3, 3, 3], "scores": {"bond": 3, "task": 3, "total": 3}},
                {"answers": [1] * 4, "scores": {"total": 2}},
                {"answers": [5] * 4, "scores": {"total": 4}},
            ],
            [
                "no vector has an unanswered item: more or fewer could be tolerated",
                "item 1 of bond could belong to task",
                "item 2 of bond could belong to task",
                "item 3 of task could belong to bond",
                "item 4 of task could belong to bond",
            ],
            id="a form in the middle tells no reversal, and totals no membership",
        ),
    ],
)
def test_what_is_unproven_follows_from_the_vectors(vectors, expected):
    table = draft_definition(**KEY) | {"vectors": vectors}
    assert unproven(parse_definition(table, origin="mini.toml")) == expected


@pytest.mark.parametrize(
    ("subscales", "members"),
    [
        pytest.param(
            {"bond": [1], "task": [2, 3]},
            ["item 2 of task could belong to bond", "item 3 of task could belong to bond"],
            id="a subscale of one item is not emptied",
        ),
        pytest.param(
            {"bond": [1, 2], "task": [2, 3]},
            ["item 1 of bond could belong to task", "item 3 of task could belong to bond"],
            id="an item of both subscales is not moved",
        ),
    ],
)
def test_an_item_moves_only_where_the_definition_stays_sound(subscales, members):
    table = draft_definition(**KEY | {"subscales": subscales}) | {"vectors": []}
    found = unproven(parse_definition(table, origin="mini.toml"))
    assert [line for line in found if "belong" in line] == members


def test_explain_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ScaleError) as caught:
        explain(tmp_path / "none.toml")
    assert str(caught.value) == (
        f"error: cannot read the scale definition '{tmp_path / 'none.toml'}': No such file or directory\n"
        "hint: give an id from `alliance scales list`, or the path of a file"
    )
