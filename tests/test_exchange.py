"""Definitions in other systems: what goes out comes back, a foreign file is not guessed at, scores agree."""

import contextlib
import csv
import io
import json
import math
import re
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliance.definition import disagreements
from alliance.errors import ScaleError, UsageError
from alliance.exchange import (
    COLUMNS,
    FIELDS,
    FORMATS,
    find_format,
    from_fhir,
    from_json,
    from_redcap,
    guess_format,
    to_fhir,
    to_json,
    to_redcap,
)
from alliance.exchange.foreign import CAUTION, CHANGED, KEY, UNSAID
from alliance.places import bundled
from alliance.scale import parse_definition, read_table
from alliance.scoring import score_answers

BUNDLED = sorted(bundled("scales").glob("*.toml"))
WORDS = ("rarely", "at times", "mostly")
TOLD = (KEY, *UNSAID)
NO_ITEM = "hint: every answer needs its number: an ordinal value, a numeric code, or a lowest and highest one"


def definition(**fields):
    """Return a small definition, invented."""
    table = {
        "id": "mini-form", "name": "Mini form", "perspective": "client", "construct": "alliance",
        "direction": "higher_is_better", "citation": "invented", "licence": "CC0-1.0", "status": "verified",
        "items": 4, "min": 1, "max": 5, "method": "sum", "sources": ["invented"], "vectors": [],
    }  # fmt: skip
    return {**table, **fields}


def refusal(read, *arguments, kind=ScaleError):
    with pytest.raises(kind) as caught:
        read(*arguments)
    return str(caught.value)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


# What goes out comes back


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_a_definition_comes_back_exactly_as_it_went_out(path, name):
    table, _ = read_table(path)
    text = FORMATS[name].write(table, None)
    assert guess_format(text) == name
    back, notes = FORMATS[name].read(text, None)
    assert (back, notes) == (table, ())
    assert json.dumps(back) == json.dumps(table)


@pytest.mark.parametrize("name", ["fhir", "redcap"])
def test_texts_go_out_and_never_come_back_into_the_definition(name):
    table = definition(labels={"2": "second"})
    text = FORMATS[name].write(table, {1: "a licensed sentence", 4: "another one"})
    assert [text.count(label) for label in ("a licensed sentence", "second", "Item 3")] == [1, 2, 1]
    back, notes = FORMATS[name].read(text, None)
    assert (back, notes) == (table, ())


@pytest.mark.parametrize("name", FORMATS)
def test_signs_that_mean_something_elsewhere_come_back(name):
    table = definition(
        anchors={"1": 'a | b, "c"'}, notes=["@HIDDEN <b>&amp;</b> [mini_form_1] = 'x'", "one\ntwo ü 語"]
    )
    assert FORMATS[name].read(FORMATS[name].write(table, None), None) == (table, ())


@pytest.mark.parametrize("name", FORMATS)
def test_writing_leaves_the_definition_as_it_is(name):
    table = definition(item_ranges={"2": [0, 100]})
    before = json.dumps(table)
    FORMATS[name].write(table, None)
    assert json.dumps(table) == before


@pytest.mark.parametrize("write", [to_fhir, to_redcap])
def test_a_broken_definition_does_not_go_out(write):
    assert refusal(write, definition(max=1)) == (
        "error: 'mini-form' is no valid scale definition\n"
        "  max: must be above min 1, got 1\n"
        "hint: `alliance scales check FILE` explains the definition; docs/scales.md has the fields"
    )


def test_an_unknown_format_is_answered_with_the_known_ones():
    assert refusal(find_format, "fihr", kind=UsageError) == (
        "error: unknown format 'fihr'\nhint: did you mean 'fhir'? known: fhir, json, redcap"
    )
    assert find_format("redcap").suffix == ".redcap.csv"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param(f"{','.join(COLUMNS)}\n", "redcap", id="dictionary"),
        pytest.param(f'\ufeff"{COLUMNS[0]}","Form Name"\n', "redcap", id="dictionary, quoted, with a mark"),
        pytest.param(f"{','.join(FIELDS)}\n", "redcap", id="dictionary for programs"),
        pytest.param('\ufeff {"resourceType": "Bundle"}', "fhir", id="FHIR"),
        pytest.param('{"definition": 1}', "json", id="JSON"),
    ],
)
def test_the_format_is_seen_from_the_text(text, name):
    assert guess_format(text) == name


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "{}", '{"a": 1}', "[1]"])
def test_a_text_in_no_known_format_is_refused(text):
    assert refusal(guess_format, text) == (
        "error: the file is no definition in a known format\n"
        "hint: known: fhir, json, redcap; say which with --from"
    )


# JSON


def test_json_holds_the_schema_and_the_definition():
    assert json.loads(to_json(definition())) == {"schema": 1, "definition": definition()}


def test_json_has_no_place_for_texts_and_no_forms():
    assert refusal(to_json, definition(), {1: "mine"}, kind=UsageError) == (
        "error: JSON holds the definition alone, no item texts\n"
        "hint: leave the texts out, or write fhir or redcap"
    )
    for read, text in ((from_json, to_json(definition())), (from_fhir, to_fhir(definition()))):
        assert refusal(read, text, "mine", kind=UsageError) == (
            "error: the file holds one form only, no form is to be named, got 'mine'\n"
            "hint: --form belongs to redcap"
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '{"schema": 2, "definition": {}}',
            "error: the definition has schema 2, not 1\n"
            "hint: another version of alliance may have written it",
            id="later schema",
        ),
        pytest.param(
            '{"schema": true, "definition": {}}',
            "error: the definition has schema True, not 1\n"
            "hint: another version of alliance may have written it",
            id="a truth is no schema",
        ),
        pytest.param(
            '{"definition": {}}',
            "error: the definition has schema None, not 1\n"
            "hint: another version of alliance may have written it",
            id="no schema",
        ),
        pytest.param(
            '{"schema": 1, "definition": {}, "extra": 1}',
            "error: the file must hold 'schema' and 'definition', a table, and nothing else\n"
            "  extra: unknown field\n"
            "hint: `alliance scales export ID --to json` writes one",
            id="unknown field",
        ),
        pytest.param(
            '{"schema": 1, "definition": []}',
            "error: the file must hold 'schema' and 'definition', a table, and nothing else\n"
            "hint: `alliance scales export ID --to json` writes one",
            id="definition is no table",
        ),
        pytest.param(
            "[1]",
            "error: the file holds no JSON object\nhint: give the file as it was exported",
            id="no object",
        ),
        pytest.param(
            '{"schema": NaN}',
            "error: the file is no JSON: NaN is no number\nhint: give the file as it was exported",
            id="not a number",
        ),
        pytest.param(
            "{",
            "error: the file is no JSON: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)\nhint: give the file as it was exported",
            id="cut off",
        ),
    ],
)
def test_another_json_file_is_refused(text, message):
    assert refusal(from_json, text) == message


def test_a_definition_in_json_is_checked():
    text = to_json(definition(min=7))
    assert refusal(from_json, text).startswith("error: 'mini-form' is no valid scale definition\n")


# FHIR out


def fhir(**fields):
    return json.loads(to_fhir(definition(**fields)))


def test_a_questionnaire_says_what_r4_has_a_place_for():
    resource = fhir(version="second printing", loinc={"panel": "44249-1"})
    assert list(resource) == [
        "resourceType", "id", "extension", "url", "version", "name", "title", "status", "copyright", "code",
        "item",
    ]  # fmt: skip
    assert (resource["resourceType"], resource["id"]) == ("Questionnaire", "mini-form")
    assert (resource["url"], resource["name"]) == ("urn:alliance:questionnaire:mini-form", "FormMiniForm")
    assert (resource["version"], resource["title"]) == ("second printing", "Mini form")
    assert (resource["status"], resource["copyright"]) == ("active", "CC0-1.0")
    assert resource["code"] == [{"system": "http://loinc.org", "code": "44249-1"}]
    assert [item["linkId"] for item in resource["item"]] == ["q1", "q2", "q3", "q4"]
    assert not {"version", "code"} & set(fhir())


def test_a_provisional_definition_is_a_draft():
    assert fhir(status="provisional")["status"] == "draft"


def test_few_whole_answers_are_options_with_their_number_on_the_coding():
    item = fhir(max=2, anchors={"1": "rarely"})["item"][0]
    weight = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
    assert item == {
        "linkId": "q1",
        "text": "Item 1",
        "type": "choice",
        "answerOption": [
            {
                "valueCoding": {
                    "extension": [{"url": weight, "valueDecimal": 1}],
                    "code": "1",
                    "display": "rarely",
                }
            },
            {"valueCoding": {"extension": [{"url": weight, "valueDecimal": 2}], "code": "2", "display": "2"}},
        ],
    }


def codes(item):
    return [option["valueCoding"]["code"] for option in item["answerOption"]]


def test_options_stand_in_the_order_printed():
    items = fhir(descending=[2])["item"]
    assert codes(items[0]) == ["1", "2", "3", "4", "5"]
    assert codes(items[1]) == ["5", "4", "3", "2", "1"]


def test_an_item_that_may_not_apply_need_not_be_answered():
    items = fhir(not_applicable=[3])["item"]
    assert [item.get("required") for item in items] == [None, None, False, None]


@pytest.mark.parametrize(
    ("fields", "kind", "ends", "places"),
    [
        pytest.param({"min": 0, "max": 10}, "choice", [], None, id="eleven answers"),
        pytest.param({"min": 0, "max": 11}, "integer", [0, 11], None, id="twelve answers"),
        pytest.param({"min": -3, "max": 3}, "choice", [], None, id="below nought"),
        pytest.param({"min": 0, "max": 10, "step": 0.1}, "decimal", [0, 10], 1, id="a line"),
        pytest.param({"min": 0, "max": 1, "step": 0.25}, "decimal", [0, 1], 2, id="quarters"),
        pytest.param({"min": 0.5, "max": 2.5}, "decimal", [0.5, 2.5], 1, id="whole steps from a half"),
        pytest.param({"min": 0, "max": 100, "step": 10}, "choice", [], None, id="tens"),
    ],
)
def test_anything_but_few_whole_answers_is_a_number_with_its_range(fields, kind, ends, places):
    item = fhir(**fields)["item"][0]
    assert item["type"] == kind
    found = {each["url"].rpartition("/")[2]: each for each in item.get("extension", [])}
    value = f"value{kind.title()}"
    assert [found[end][value] for end in ("minValue", "maxValue") if end in found] == ends
    assert found.get("maxDecimalPlaces", {}).get("valueInteger") == places


def test_an_item_with_a_range_of_its_own_is_shown_with_it():
    items = fhir(item_ranges={"2": [0, 100], "3": [1, 3]}, anchors={"1": "rarely"})["item"]
    assert [item["type"] for item in items] == ["choice", "integer", "choice", "choice"]
    assert codes(items[2]) == ["1", "2", "3"]
    displays = [items[n]["answerOption"][0]["valueCoding"]["display"] for n in (0, 2)]
    assert displays == ["rarely", "1"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        pytest.param({"item_ranges": {"1": [0.5, 2.5]}}, "decimal", id="whole steps from a half"),
        pytest.param({"step": 2, "item_ranges": {"1": [0, 3]}}, "integer", id="steps that miss the end"),
    ],
)
def test_an_own_range_that_the_steps_do_not_fill_is_a_number(fields, kind):
    assert [item["type"] for item in fhir(**fields)["item"][:2]] == [kind, "choice"]


def test_every_questionnaire_is_valid_for_an_independent_model_of_fhir():
    from fhir.resources.R4B import questionnaire as model

    for path in BUNDLED:
        text = to_fhir(read_table(path)[0])
        resource = model.Questionnaire.model_validate_json(text)
        assert json.loads(resource.model_dump_json()) == json.loads(text)


# FHIR in


def options(*words, first=1, url="ordinalValue", on="coding"):
    found = []
    for number, word in enumerate(words, first):
        extension = [{"url": f"http://hl7.org/fhir/StructureDefinition/{url}", "valueDecimal": number}]
        coding = {"code": f"a{number}", "display": word}
        if on == "coding":
            found.append({"valueCoding": {**coding, "extension": extension}})
        else:
            found.append({"valueCoding": coding, "extension": extension})
    return found


def question(name, *words, **kind):
    return {"linkId": name, "type": "choice", "text": "invented", "answerOption": options(*words, **kind)}


def line(name, low, high, *, places=None, kind="decimal"):
    url = "http://hl7.org/fhir/StructureDefinition"
    value = f"value{kind.title()}"
    extension = [{"url": f"{url}/minValue", value: low}, {"url": f"{url}/maxValue", value: high}]
    if places is not None:
        extension.append({"url": f"{url}/maxDecimalPlaces", "valueInteger": places})
    return {"linkId": name, "type": kind, "extension": extension}


def questionnaire(*items, **fields):
    return json.dumps({"resourceType": "Questionnaire", "id": "Other_Form", "item": list(items), **fields})


def test_a_foreign_questionnaire_gives_range_and_words_and_no_key():
    items = [question(name, *WORDS) for name in ("a", "b", "c")]
    table, notes = from_fhir(questionnaire(*items, title="Other form", copyright="(c) somebody"))
    assert table == {
        "id": "other-form", "name": "Other form", "perspective": "client", "construct": "alliance",
        "direction": "higher_is_better", "citation": "FHIR Questionnaire other-form",
        "licence": "(c) somebody", "status": "provisional", "sources": ["FHIR Questionnaire other-form"],
        "cautions": [CAUTION], "anchors": {"1": "rarely", "2": "at times", "3": "mostly"},
        "items": 3, "min": 1, "max": 3, "method": "sum",
        "vectors": [
            {"answers": [1, 1, 1], "scores": {"total": 3}}, {"answers": [3, 3, 3], "scores": {"total": 9}},
        ],
    }  # fmt: skip
    assert notes == (
        "the file holds no scoring key: state reversed items, subscales and method",
        "whether a score is the sum or the mean is not said: the sum is taken",
        "who fills the form in, what it measures and which way is better are not said: client, alliance and "
        "higher is better are taken",
        "the item texts stay in the file: a definition holds no item wording",
    )


@pytest.mark.parametrize("on", ["coding", "option"])
@pytest.mark.parametrize("url", ["ordinalValue", "itemWeight", "questionnaire-ordinalValue"])
def test_the_number_of_an_answer_is_found_wherever_it_is_written(url, on):
    table, _ = from_fhir(questionnaire(question("a", *WORDS, first=0, url=url, on=on)))
    assert (table["items"], table["min"], table["max"]) == (1, 0, 2)


@pytest.mark.parametrize("kind", ["integer", "choice", "coding", "open-choice"])
def test_plain_numbers_are_answers(kind):
    item = {"linkId": "a", "type": kind, "answerOption": [{"valueInteger": n} for n in (0, 1, 2)]}
    table, _ = from_fhir(questionnaire(item))
    assert (table["min"], table["max"]) == (0, 2)
    assert "anchors" not in table


def test_answers_in_a_value_set_of_the_same_file_are_found():
    concepts = [each["valueCoding"] for each in options(*WORDS)]
    for content in ({"compose": {"include": [{"concept": concepts}]}}, {"expansion": {"contains": concepts}}):
        item = {"linkId": "a", "type": "choice", "answerValueSet": "#words"}
        contained = [{"resourceType": "ValueSet", "id": "words", **content}]
        table, notes = from_fhir(questionnaire(item, contained=contained))
        assert table["anchors"] == {"1": "rarely", "2": "at times", "3": "mostly"}
        assert notes == TOLD


@pytest.mark.parametrize("value", [True, "1", None, [1], 1e300, 10**40, 1e-300])
def test_what_is_no_number_of_a_form_is_no_answer(value):
    strange = {"valueInteger": value, "valueCoding": {"display": "strange"}}
    item = {"linkId": "a", "type": "choice", "answerOption": [strange]}
    item["answerOption"] += [{"valueInteger": number} for number in (2, 3)]
    table, notes = from_fhir(questionnaire(item))
    assert (table["min"], table["max"]) == (2, 3)
    assert notes == (*TOLD, "item 1 (a): not taken for answers: 'strange'")


def test_groups_are_taken_apart_and_what_is_no_item_is_passed_over():
    items = [
        {"linkId": "intro", "type": "display", "text": "invented"},
        {
            "linkId": "g", "type": "group", "item": [
                question("first", *WORDS),
                {"linkId": "h", "type": "group", "item": [question("second", *WORDS, "always")]},
                {**question("third", *WORDS), "item": [question("fourth", *WORDS)]},
            ],
        },
        {"linkId": "sum", "type": "integer", "readOnly": True},
        {"linkId": "comment", "type": "string"},
        {**question("several", *WORDS), "repeats": True},
        {"linkId": "codes", "type": "choice", "answerOption": [{"valueCoding": {"code": "1"}}] * 2},
        {"linkId": "endless", "type": "integer"},
    ]  # fmt: skip
    table, notes = from_fhir(questionnaire(*items))
    assert table["items"] == 4
    assert table["item_ranges"] == {"2": [1, 4]}
    assert notes[-1] == "left out, no numeric answers: comment, several, codes, endless"


def test_items_with_another_range_have_one_of_their_own():
    items = [question("a", *WORDS), line("b", 0, 100, kind="integer"), question("c", *WORDS)]
    table, notes = from_fhir(questionnaire(*items))
    assert (table["min"], table["max"], table["item_ranges"]) == (1, 3, {"2": [0, 100]})
    assert table["vectors"] == [
        {"answers": [1, 0, 1], "scores": {"total": 3}},
        {"answers": [3, 100, 3], "scores": {"total": 9}},
    ]
    assert disagreements(parse_definition(table, origin="x")) == []
    assert notes == (
        *TOLD,
        "item 2: another range; before a score is formed, their answers are laid onto 1 to 3, the range of "
        "most items",
    )


@pytest.mark.parametrize(
    ("places", "step", "told"),
    [
        pytest.param(1, 0.1, (), id="said"),
        pytest.param(2, 0.01, (), id="finer"),
        pytest.param(0, None, (), id="whole"),
        pytest.param(
            None,
            0.1,
            ("items 1, 2: how fine the answers are is not said: steps of 0.1 are taken",),
            id="not said",
        ),
    ],
)
def test_a_line_has_its_range_and_its_step(places, step, told):
    table, notes = from_fhir(questionnaire(*(line(name, 0, 10, places=places) for name in "ab")))
    assert (table["min"], table["max"], table.get("step")) == (0, 10, step)
    assert notes == (*TOLD, *told)


def test_a_line_without_two_ends_apart_is_no_item():
    lines = [line("level", 3, 3), line("falling", 5, 1), line("short", 0, 0.05)]
    table, notes = from_fhir(questionnaire(question("a", *WORDS), *lines))
    assert table["items"] == 1
    assert notes == (*TOLD, "left out, no numeric answers: level, falling, short")


def test_half_points_are_the_step():
    halves = [{"valueCoding": {"extension": [{**each, "valueDecimal": n / 2}]}} for n in range(4)
              for each in options("x")[0]["valueCoding"]["extension"]]  # fmt: skip
    table, _ = from_fhir(questionnaire({"linkId": "a", "type": "choice", "answerOption": halves}))
    assert (table["min"], table["max"], table["step"]) == (0, 1.5, 0.5)


def mirrored(name):
    entry = question(name, *WORDS)
    for number, option in zip((3, 2, 1), entry["answerOption"], strict=True):
        option["valueCoding"]["extension"][0]["valueDecimal"] = number
    return entry


def test_an_item_whose_numbers_run_the_other_way_is_told_and_not_turned():
    items = [question("a", *WORDS), mirrored("b"), question("c", *WORDS)]
    table, notes = from_fhir(questionnaire(*items))
    assert table["anchors"] == {"1": "rarely", "2": "at times", "3": "mostly"}
    assert "reverse" not in table
    assert table["descending"] == [2]
    assert notes == (
        *TOLD,
        "item 2: their words have the numbers of most items the other way round; if these are keyed already, "
        "do not reverse them again",
    )


def test_items_with_words_of_their_own_give_no_anchors():
    items = [question("a", *WORDS), question("b", *WORDS), question("c", "one", "two", "three")]
    table, notes = from_fhir(questionnaire(*items))
    assert "anchors" not in table
    assert notes == (*TOLD, "item 3: other words than most items, no anchors are taken over")


def test_choices_that_are_no_answers_are_told():
    entry = question("a", *WORDS, "not asked")
    entry["answerOption"][3]["valueCoding"]["extension"][0]["valueDecimal"] = 99
    entry["answerOption"].append({"valueCoding": {"display": "rather not"}})
    table, notes = from_fhir(questionnaire(entry))
    assert (table["min"], table["max"]) == (1, 3)
    assert notes == (*TOLD, "item 1 (a): not taken for answers: 99, 'rather not'")


@pytest.mark.parametrize(
    ("numbers", "ends", "dropped"),
    [
        pytest.param([1, 2, 3, 4, 5, 9], (1, 5), "9", id="nine after five"),
        pytest.param([*range(1, 10)], (1, 9), None, id="nine after eight"),
        pytest.param([*range(11)], (0, 10), None, id="nought to ten"),
        pytest.param([*range(7), 10], (0, 10), None, id="codes inside the row"),
        pytest.param([-9, 0, 1, 2], (0, 2), "-9", id="minus nine"),
        pytest.param([-99, 99, 0, 1], (0, 1), "-99, 99", id="either side"),
        pytest.param([*range(-7, 8)], (-7, 7), None, id="minus seven to seven"),
        pytest.param([6, 7], (6, 7), None, id="nothing else"),
        pytest.param([0, 1, 2, 3, 8, 9], (0, 3), "8, 9", id="eight and nine"),
    ],
)
def test_codes_of_a_missing_answer_stand_apart_from_the_row(numbers, ends, dropped):
    item = {"linkId": "a", "type": "choice", "answerOption": [{"valueInteger": n} for n in numbers]}
    table, notes = from_fhir(questionnaire(item))
    assert (table["min"], table["max"]) == ends
    found = [note for note in notes if "not taken" in note]
    assert found == ([f"item 1 (a): not taken for answers: {dropped}"] if dropped else [])


def test_a_number_between_the_answers_that_is_none_is_told():
    item = {"linkId": "a", "type": "choice", "answerOption": [{"valueInteger": n} for n in (0, 1, 3)]}
    _, notes = from_fhir(questionnaire(item))
    assert notes == (*TOLD, "item 1 (a): there is no answer 2, which the range allows")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '{"resourceType": "Bundle"}',
            "error: the file is no FHIR Questionnaire but a Bundle\n"
            "hint: give the Questionnaire itself, as JSON",
            id="another resource",
        ),
        pytest.param(
            '{"id": "x"}',
            "error: the file is no FHIR Questionnaire but no FHIR resource at all\n"
            "hint: give the Questionnaire itself, as JSON",
            id="no resource",
        ),
        pytest.param(
            questionnaire({"linkId": "a", "type": "string"}),
            "error: the file holds no item with numeric answers\n"
            "  left out, no numeric answers: a\n" + NO_ITEM,
            id="no item",
        ),
    ],
)
def test_another_fhir_file_is_refused(text, message):
    assert refusal(from_fhir, text) == message


def test_a_questionnaire_changed_after_the_export_is_told():
    resource = fhir()
    del resource["item"][1]
    assert from_fhir(json.dumps(resource)) == (definition(), (CHANGED,))
    assert CHANGED == (
        "the items of the file are not those of the definition in it: they were changed after the export, "
        "and the definition was taken as it is"
    )


def test_a_definition_inside_a_questionnaire_is_checked():
    resource = fhir()
    resource["extension"][0]["valueString"] = "{"
    assert refusal(from_fhir, json.dumps(resource)).startswith("error: the file is no JSON: ")


# REDCap out


def test_a_dictionary_has_the_columns_of_redcap_and_a_row_for_each_item_and_score():
    table = definition(subscales={"one-two": [1, 2]}, notes=["@NOW <b>this & that</b>"])
    rows = rows_of(to_redcap(table, {1: "mine"}))
    assert list(rows[0]) == list(COLUMNS)
    assert len(COLUMNS) == len(FIELDS) == 18
    names = [row["Variable / Field Name"] for row in rows]
    assert names == [
        "mini_form_definition", "mini_form_1", "mini_form_2", "mini_form_3", "mini_form_4",
        "mini_form_one_two", "mini_form_total",
    ]  # fmt: skip
    assert {row["Form Name"] for row in rows} == {"mini_form"}
    assert [row["Field Type"] for row in rows] == ["descriptive", *["radio"] * 4, "calc", "calc"]
    assert [row["Field Label"] for row in rows[1:3]] == ["mine", "Item 2"]
    assert rows[0]["Field Annotation"].startswith("@HIDDEN alliance-definition: {")
    assert not re.search("[@<>&]", rows[0]["Field Annotation"].removeprefix("@HIDDEN"))


def test_choices_stand_in_the_order_printed_and_hold_no_bar_of_their_own():
    rows = rows_of(to_redcap(definition(max=3, anchors={"1": "a|b", "2": "c, d"}, descending=[2])))
    column = "Choices, Calculations, OR Slider Labels"
    assert [row[column] for row in rows[1:3]] == ["1, a/b | 2, c, d | 3, 3", "3, 3 | 2, c, d | 1, a/b"]


@pytest.mark.parametrize(
    ("fields", "cells"),
    [
        ({"min": 0, "max": 10, "step": 0.1}, ["text", "number_1dp", "0.0", "10.0"]),
        ({"min": 0, "max": 1, "step": 0.25}, ["text", "number_2dp", "0.00", "1.00"]),
        ({"min": 0, "max": 100}, ["text", "integer", "0", "100"]),
        ({"min": 0, "max": 1, "step": 0.00001}, ["text", "number", "0.00000", "1.00000"]),
    ],
)
def test_a_line_is_a_checked_number(fields, cells):
    row = rows_of(to_redcap(definition(**fields)))[1]
    assert [row[COLUMNS[place]] for place in (3, 7, 8, 9)] == cells


def test_names_that_redcap_would_refuse_or_mix_up_are_told_apart():
    subscales = {"1": [1], "definition": [2]}
    rows = rows_of(to_redcap(definition(id="4-items", subscales=subscales)))
    names = [row["Variable / Field Name"] for row in rows]
    assert names[:2] == ["form_4_items_definition", "form_4_items_1"]
    assert names[5:] == ["form_4_items_1_score", "form_4_items_definition_score", "form_4_items_total"]
    assert len(set(names)) == len(names)


def facts_of(**fields):
    return rows_of(to_redcap(definition(**fields)))[0]["Field Label"].splitlines()


def test_the_descriptive_row_says_what_must_be_known():
    fields = {"status": "provisional", "cautions": ["needs a permission"]}
    assert facts_of(**fields, subscales={"a": [1, 2]}, unconfirmed=["a"]) == [
        "Mini form. Scoring key: definition 'mini-form' of alliance; do not edit the annotation.",
        "Licence: CC0-1.0",
        "needs a permission",
        "The key is provisional.",
        "Not calculated, since not confirmed: a.",
    ]


def test_a_form_that_can_be_unscorable_as_a_whole_has_no_calculation_and_says_so():
    for rule in ({"missing_above": 1}, {"any_score": True}, {"all_alike": True}):
        assert facts_of(unscorable=rule)[2] == (
            "No score is calculated: when nothing of this form may be scored depends on all of its answers, "
            "which no calculation can say."
        )
        rows = rows_of(to_redcap(definition(unscorable=rule)))
        assert [row["Field Type"] for row in rows] == ["descriptive", *["radio"] * 4]


# REDCap's calculations, worked by an evaluator of their syntax that knows nothing of the scoring


class Calculator:
    """Works out `[field]`, numbers, texts, + - * / ( ), = <= and, if(…); a blank in a sum leaves it blank."""

    TOKEN = re.compile(r'\s*(\[[a-z0-9_]+\]|[0-9.]+|""|<=|and\b|if\b|[-+*/()=,])')

    def __init__(self, text, values):
        self.tokens, place = [], 0
        while place < len(text):
            found = self.TOKEN.match(text, place)
            assert found, text[place:]
            self.tokens.append(found[1])
            place = found.end()
        self.values = values

    def result(self):
        value = self.compared()
        assert not self.tokens
        return value

    def take(self, *wanted):
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else None

    def compared(self):
        value = self.equal()
        while self.take("and"):
            other = self.equal()
            value = value and other
        return value

    def equal(self):
        left = self.added()
        sign = self.take("=", "<=")
        if not sign:
            return left
        right = self.added()
        return left == right if sign == "=" else left <= right

    def added(self):
        value = self.multiplied()
        while sign := self.take("+", "-"):
            other = self.multiplied()
            value = "" if "" in (value, other) else value + other if sign == "+" else value - other
        return value

    def multiplied(self):
        value = self.single()
        while sign := self.take("*", "/"):
            other = self.single()
            if "" in (value, other):
                value = ""
            elif sign == "*":
                value *= other
            else:
                value = value / other if other else ""
        return value

    def single(self):
        token = self.tokens.pop(0)
        if token == "if":
            return self.chosen()
        if token == "(":
            value = self.compared()
            assert self.take(")")
            return value
        if token == "-":
            return -self.single()
        if token.startswith("["):
            return self.values[token[1:-1]]
        return "" if token == '""' else float(token)

    def chosen(self):
        assert self.take("(")
        condition = self.compared()
        assert self.take(",")
        first = self.compared()
        assert self.take(",")
        second = self.compared()
        assert self.take(")")
        return first if condition else second


def calculated(rows, answers):
    """Return field → value of every calculated field, as REDCap would fill them in from top to bottom."""
    items = [row["Variable / Field Name"] for row in rows if row["Field Type"] in {"radio", "text"}]
    values = dict(zip(items, answers, strict=True))
    for row in rows:
        if row["Field Type"] == "calc":
            name = row["Variable / Field Name"]
            values[name] = Calculator(row["Choices, Calculations, OR Slider Labels"], values).result()
    return values


def same(value, said):
    return value == said if "" in (value, said) else math.isclose(value, said, abs_tol=1e-9)


def test_the_calculator_knows_the_trap_it_is_for():
    assert Calculator("[a]+[b]", {"a": 1, "b": ""}).result() == ""
    assert Calculator('if([b]="",1,0)+2*3', {"b": ""}).result() == 7
    assert Calculator('if((1)<=0 and (0)<=1, 5, "")', {}).result() == ""
    assert Calculator("(1+5-[a])/2", {"a": 2}).result() == 2


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_calculations_agree_with_the_forms_scored_by_hand(path):
    table, _ = read_table(path)
    rows = rows_of(to_redcap(table))
    calcs = [row for row in rows if row["Field Type"] == "calc"]
    assert not any(re.search(r"\b(sum|mean)\(", row[COLUMNS[5]]) for row in calcs)
    confirmed = set(parse_definition(table, origin="x").scores) if "unscorable" not in table else set()
    form = rows[0]["Form Name"]
    assert {row["Variable / Field Name"] for row in calcs} == {
        f"{form}_{name.replace('-', '_')}" for name in confirmed
    }
    for vector in table["vectors"] if calcs else []:
        values = calculated(rows, vector["answers"])
        for name, said in vector["scores"].items():
            if name in confirmed:
                assert same(values[f"{form}_{name.replace('-', '_')}"], said)


MIXED = definition(
    min=0, max=4, method="mean", reverse=[2, 4], item_ranges={"4": [0, 100]}, total_missing_max=1,
    subscales={
        "a": {"items": [1, 2], "method": "sum", "missing_max": 1},
        "b": {"items": [3, 4], "factor": 2, "offset": -1},
    },
    total={"of": "subscales", "method": "sum"},
)  # fmt: skip
TURNED = definition(
    method="mean", reverse=[2], reverse_scope="total_only", total={"of": "subscales"}, total_missing_max=1,
    subscales={"p": {"items": [1, 2], "missing_max": 1}, "q": [3, 4]},
)  # fmt: skip


@pytest.mark.parametrize(
    ("table", "answers", "scores"),
    [
        # a = 1 + (4 - 3); item 4 is laid onto 1, turned to 3; b = 2 * (2 + 3) / 2 - 1
        pytest.param(MIXED, [1, 3, 2, 25], {"a": 2, "b": 4, "total": 6}, id="all answered"),
        pytest.param(MIXED, [1, "", 2, 25], {"a": 2, "b": 4, "total": 6}, id="one tolerated, one item twice"),
        pytest.param(MIXED, ["", 3, 2, 25], {"a": 2, "b": 4, "total": 6}, id="one tolerated, turned twice"),
        pytest.param(MIXED, ["", "", 2, 25], {"a": "", "b": 4, "total": ""}, id="one too many"),
        pytest.param(MIXED, [1, 3, "", 25], {"a": 2, "b": "", "total": ""}, id="none tolerated"),
        pytest.param(
            {**MIXED, "total_missing_max": 0},
            [1, "", 2, 25],
            {"a": 2, "b": 4, "total": ""},
            id="tolerated in the subscale, not in the total",
        ),
        # p as answered (1 + 2) / 2, in the total (1 + 4) / 2
        pytest.param(TURNED, [1, 2, 3, 4], {"p": 1.5, "q": 3.5, "total": 3}, id="turned in the total only"),
        pytest.param(TURNED, [1, "", 3, 4], {"p": 1, "q": 3.5, "total": 2.25}, id="turned, one tolerated"),
        pytest.param(TURNED, ["", 2, 3, 4], {"p": 2, "q": 3.5, "total": 3.75}, id="turned, the other one"),
        pytest.param(
            {**TURNED, "total_missing_max": 0},
            [1, "", 3, 4],
            {"p": 1, "q": 3.5, "total": ""},
            id="turned, not tolerated in the total",
        ),
        pytest.param(TURNED, [1, 2, "", ""], {"p": 1.5, "q": "", "total": ""}, id="turned, one part missing"),
        pytest.param(TURNED, ["", "", "", ""], {"p": "", "q": "", "total": ""}, id="blank"),
        pytest.param(
            {
                **TURNED,
                "total_missing_max": 2,
                "subscales": {"p": {"items": [1, 2, 3], "missing_max": 1}, "q": [4]},
            },
            ["", "", 3, 4],
            {"p": "", "q": 4, "total": ""},
            id="tolerated in the total, not in a turned subscale",
        ),
        # -3 + 3 - 2 = -2, and 1
        pytest.param(
            definition(items=2, min=-3, max=3, reverse=[1]), [2, 1], {"total": -1}, id="below nought"
        ),
        pytest.param(
            definition(items=2, min=-3, max=-1, reverse=[1], total={"factor": 0.5, "offset": 10}),
            [-3, -2],
            {"total": 8.5},
            id="all below nought, scaled",
        ),
        pytest.param(
            definition(total_missing_max=2), [5, "", 3, ""], {"total": 16}, id="a sum of two of four"
        ),
    ],
)
def test_calculations_follow_the_truth_table(table, answers, scores):
    values = calculated(rows_of(to_redcap(table)), answers)
    assert {name: values[f"mini_form_{name}"] for name in scores} == pytest.approx(scores)
    vectors = [{"answers": answers, "scores": scores}]
    assert disagreements(parse_definition({**table, "vectors": vectors}, origin="x")) == []


def test_a_number_below_nought_is_bracketed():
    rows = rows_of(to_redcap(definition(items=2, min=-3, max=-1, reverse=[1], total={"offset": -2})))
    assert rows[-1]["Choices, Calculations, OR Slider Labels"] == (
        "(((-3)+(-1)-[mini_form_1])+[mini_form_2])+(-2)"
    )


def test_the_calculations_are_plain_additions():
    rows = rows_of(to_redcap(definition(items=2, reverse=[2], total_missing_max=1)))
    assert rows[-1]["Choices, Calculations, OR Slider Labels"] == (
        'if((if([mini_form_1]="",1,0)+if([mini_form_2]="",1,0))<=1, '
        '(if([mini_form_1]="",0,[mini_form_1])+if([mini_form_2]="",0,(1+5-[mini_form_2])))*2'
        '/(2-(if([mini_form_1]="",1,0)+if([mini_form_2]="",1,0))), "")'
    )
    assert rows[-1]["Field Note"] == "unanswered items it may have: 1"


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_calculation_gives_what_the_scoring_gives(data):
    table, _ = read_table(data.draw(st.sampled_from(BUNDLED)))
    scale = parse_definition(table, origin="x")
    bounds = [(int(low), int(high)) for low, high in scale.item_bounds]
    answers = [data.draw(st.one_of(st.integers(low, high), st.just(""))) for low, high in bounds]
    rows = rows_of(to_redcap(table))
    values = calculated(rows, answers)
    column = np.array([[math.nan if answer == "" else float(answer)] for answer in answers])
    scores = score_answers(column, np.isnan(column), scale).scores
    form = rows[0]["Form Name"]
    for score in scale.scores if rows[-1]["Field Type"] == "calc" else []:
        expected = scores[score][0]
        found = values[f"{form}_{score.replace('-', '_')}"]
        assert same(found, "" if math.isnan(expected) else expected)


# REDCap in


def dictionary(*rows, columns=COLUMNS, delimiter=","):
    """Return a dictionary with rows of name, form, type, choices, and perhaps validation, min, max."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(columns)
    for name, form, kind, choices, *check in rows:
        cells = [name, form, "", kind, "invented", choices, "", *check]
        writer.writerow([*cells, *[""] * (18 - len(cells))])
    return stream.getvalue()


def radios(form, n_items, choices="1, rarely | 2, at times | 3, mostly", kind="radio"):
    return [(f"{form}_{n}", form, kind, choices) for n in range(1, n_items + 1)]


def test_a_foreign_dictionary_gives_the_neighbours_that_share_their_choices():
    rows = [
        ("record_id", "start", "text", ""),
        ("arm", "start", "radio", "1, first | 2, second"),
        ("day", "bond", "text", "", "date_dmy"),
        *radios("bond", 2),
        ("between", "bond", "descriptive", ""),
        ("bond_3", "bond", "dropdown", "1, Rarely|2, at  times|3, mostly"),
        ("sure", "bond", "radio", "0, no | 1, yes"),
        ("bond_sum", "bond", "calc", "sum([bond_1],[bond_2],[bond_3])"),
    ]
    table, notes = from_redcap(dictionary(*rows))
    assert (table["id"], table["name"], table["items"]) == ("bond", "bond", 3)
    assert (table["min"], table["max"], table["method"]) == (1, 3, "sum")
    assert table["anchors"] == {"1": "rarely", "2": "at times", "3": "mostly"}
    assert table["sources"] == ["REDCap data dictionary, form bond"]
    assert notes == (
        *TOLD,
        "left out, no neighbour has the same answers: sure",
        "calculated fields are not taken over: bond_sum; "
        "REDCap's sum() and mean() pass over unanswered items",
    )


SAMPLE = dictionary(
    ("record_id", "enrolment", "text", ""),
    ("arm", "enrolment", "radio", "1, first | 2, second"),
    *radios("alliance", 12, "1, Seldom | 2, Sometimes | 3, Fairly often | 4, Very often | 5, Always"),
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SAMPLE, id="as downloaded"),
        pytest.param(f"\ufeff{SAMPLE}", id="with a mark"),
        pytest.param(SAMPLE.replace(",".join(COLUMNS), ",".join(f'"{c}"' for c in COLUMNS)), id="quoted"),
    ],
)
def test_twelve_items_from_one_to_five_come_in_with_their_words(text):
    table, _ = from_redcap(text)
    assert (table["items"], table["min"], table["max"]) == (12, 1, 5)
    assert list(table["anchors"].values()) == ["Seldom", "Sometimes", "Fairly often", "Very often", "Always"]


@pytest.mark.parametrize(
    ("columns", "delimiter"), [(FIELDS, ","), (COLUMNS, ";"), (FIELDS, "\t")], ids=["programs", ";", "tab"]
)
def test_a_dictionary_for_programs_or_with_another_delimiter_is_read(columns, delimiter):
    table, _ = from_redcap(dictionary(*radios("bond", 3), columns=columns, delimiter=delimiter))
    assert table["items"] == 3


@pytest.mark.parametrize(
    ("check", "ends", "step"),
    [
        pytest.param(["number_1dp", "0", "10"], (0, 10), 0.1, id="one decimal"),
        pytest.param(["number_2dp_comma_decimal", "0,5", "2,5"], (0.5, 2.5), 0.01, id="decimal comma"),
        pytest.param(["integer", "0", "100"], (0, 100), None, id="whole"),
        pytest.param(["number", "0", "10"], (0, 10), 0.1, id="any"),
    ],
)
def test_a_checked_number_is_an_item(check, ends, step):
    table, notes = from_redcap(dictionary(*((f"x{n}", "f", "text", "", *check) for n in (1, 2))))
    assert (table["min"], table["max"], table.get("step")) == (*ends, step)
    assert ("not said: steps" in notes[-1]) == (check[0] == "number")


@pytest.mark.parametrize(
    ("check", "ends"), [([], (0, 100)), (["number", "0", "10"], (0, 10))], ids=["usual", "own"]
)
def test_a_slider_is_an_item(check, ends):
    rows = [(f"x{n}", "f", "slider", "never | | always", *check) for n in (1, 2)]
    table, _ = from_redcap(dictionary(*rows))
    assert (table["min"], table["max"]) == ends
    assert "anchors" not in table


def test_a_number_without_a_range_is_no_item():
    rows = [
        ("age", "bond", "text", "", "integer"),
        ("year", "bond", "text", "", "integer"),
        *radios("bond", 2),
    ]
    assert from_redcap(dictionary(*rows))[0]["items"] == 2


def test_items_numbered_the_other_way_stay_neighbours_and_are_told():
    rows = radios("bond", 3)
    rows[1] = ("bond_2", "bond", "radio", "3, rarely | 2, at times | 1, mostly")
    table, notes = from_redcap(dictionary(*rows))
    assert (table["items"], table["descending"]) == (3, [2])
    assert notes[-1].startswith("item 2: their words have the numbers of most items the other way round;")


def test_codes_of_a_missing_answer_are_no_answers():
    choices = "1, rarely | 2, mostly | -99, not asked | DK, unknown"
    table, notes = from_redcap(dictionary(*radios("bond", 2, choices)))
    assert (table["min"], table["max"]) == (1, 2)
    assert notes[len(TOLD) :] == (
        "item 1 (bond_1): not taken for answers: -99, DK",
        "item 2 (bond_2): not taken for answers: -99, DK",
    )


def test_two_blocks_of_one_form_are_told_apart_by_their_ranges():
    rows = [*radios("bond", 3), *((f"pain_{n}", "bond", "radio", "0, no | 1, yes") for n in (1, 2))]
    table, notes = from_redcap(dictionary(*rows))
    assert (table["items"], table["item_ranges"]) == (5, {"4": [0, 1], "5": [0, 1]})
    assert notes[len(TOLD)] == (
        "items 4, 5: another range; before a score is formed, their answers are laid onto 1 to 3, the range "
        "of most items"
    )


def test_calculated_fields_without_a_trap_are_told_without_it():
    rows = [*radios("bond", 2), ("bond_total", "bond", "calc", "[bond_1]+[bond_2]+[checksum_1]")]
    assert from_redcap(dictionary(*rows))[1][-1] == "calculated fields are not taken over: bond_total"


def test_several_forms_with_items_are_for_the_caller_to_choose_from():
    text = dictionary(*radios("bond", 3), *radios("task", 4))
    assert refusal(from_redcap, text) == (
        "error: 2 forms of the dictionary hold items\n  bond\n  task\nhint: name one with --form"
    )
    assert from_redcap(text, "task")[0]["items"] == 4


def test_several_definitions_of_ours_are_for_the_caller_to_choose_from():
    first, second = definition(), definition(id="other-form", reverse=[1])
    text = to_redcap(first) + to_redcap(second).partition("\n")[2]
    assert refusal(from_redcap, text) == (
        "error: 2 forms of the dictionary hold items\n  mini_form\n  other_form\nhint: name one with --form"
    )
    assert from_redcap(text, "other_form") == (second, ())
    assert from_redcap(text, "mini_form") == (first, ())


def test_our_form_is_found_inside_the_dictionary_of_a_project():
    ours = to_redcap(definition()).partition("\n")[2]
    text = dictionary(("record_id", "start", "text", ""), *radios("task", 4)) + ours
    assert from_redcap(text) == (definition(), ())
    assert from_redcap(text, "task")[0]["id"] == "task"


def test_a_form_changed_after_the_export_is_told():
    text = to_redcap(definition())
    shorter = "".join(line for line in text.splitlines(True) if not line.startswith("mini_form_3,"))
    wider = text.replace("5, 5", "5, 5 | 6, 6", 1)
    for changed in (shorter, wider):
        assert changed != text
        assert from_redcap(changed) == (definition(), (CHANGED,))


def test_single_fields_are_items_where_the_form_is_named():
    rows = [("a", "f", "radio", "1, x | 2, y | 3, z"), ("b", "f", "radio", "1, u | 2, v | 3, w")]
    assert refusal(from_redcap, dictionary(*rows)) == (
        "error: no form of the dictionary holds items: neighbouring fields with the same choices or range\n"
        "hint: name the form with --form to take every field with numeric answers"
    )
    table, notes = from_redcap(dictionary(*rows), "f")
    assert (table["items"], "anchors" in table) == (2, False)
    assert notes == (*TOLD, "item 2: other words than most items, no anchors are taken over")


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        pytest.param(
            "a,b\n",
            None,
            "error: the file is no REDCap data dictionary\n"
            "hint: a dictionary is a CSV file whose first column is 'Variable / Field Name' or 'field_name'",
            id="another file",
        ),
        pytest.param(
            "field_name,form_name,field_type\n",
            None,
            "error: the columns of the dictionary are not the 18 of REDCap\n"
            "  column 3: must be 'section_header'\n  column 4: must be 'field_type'\n"
            "  column 5: must be 'field_label'\n  column 6: must be 'select_choices_or_calculations'\n"
            "  column 7: must be 'field_note'\n  and 11 more\n"
            "hint: give the file as REDCap wrote it",
            id="other columns",
        ),
        pytest.param(
            f"{','.join(COLUMNS)}\n{'x' * 200_000}\n",
            None,
            "error: the dictionary is no CSV file: field larger than field limit (131072)\n"
            "hint: give the file as REDCap wrote it",
            id="an endless cell",
        ),
        pytest.param(
            dictionary(*radios("bond", 3)),
            "task",
            "error: there is no form 'task' in the dictionary\nhint: known: bond",
            id="no such form",
        ),
        pytest.param(
            dictionary(("a", "f", "text", "")),
            "f",
            "error: the file holds no item with numeric answers\n" + NO_ITEM,
            id="no item",
        ),
    ],
)
def test_another_dictionary_is_refused(text, form, message):
    assert refusal(from_redcap, text, form) == message


# Whatever comes in


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from(["choice", "integer", "decimal", "group", "http://loinc.org"]),
)  # fmt: skip
KEYS = st.sampled_from([
    "item", "type", "linkId", "answerOption", "valueCoding", "valueInteger", "extension", "url",
    "valueDecimal", "contained", "answerValueSet", "id", "title", "code", "system", "display", "readOnly",
])  # fmt: skip
RESOURCES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=30,
)


@given(
    fields=st.dictionaries(KEYS, RESOURCES, max_size=4), numbers=st.lists(st.integers() | st.floats(-9, 9))
)
@settings(max_examples=200, deadline=None)
def test_whatever_a_questionnaire_holds_is_taken_or_refused_in_words(fields, numbers):
    item = {"linkId": "a", "type": "integer", "answerOption": [{"valueInteger": n} for n in numbers]}
    for text in (json.dumps({"resourceType": "Questionnaire", **fields}), questionnaire(item)):
        with contextlib.suppress(ScaleError):
            table, _ = from_fhir(text)
            assert disagreements(parse_definition(table, origin="x")) == []


@given(
    cells=st.lists(
        st.lists(st.text(string.printable, max_size=12) | st.sampled_from(["radio", "text", "1, a | 2, b"])),
        max_size=4,
    ),
    choices=st.lists(st.integers(-100, 100) | st.floats(-9, 9).map(lambda x: round(x, 3)), max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_whatever_a_dictionary_holds_is_taken_or_refused_in_words(cells, choices):
    codes = " | ".join(f"{code}, word" for code in choices)
    stream = io.StringIO()
    csv.writer(stream).writerows([COLUMNS, *cells])
    for text in (stream.getvalue(), dictionary(*radios("f", 2, codes))):
        with contextlib.suppress(ScaleError):
            table, _ = from_redcap(text)
            assert disagreements(parse_definition(table, origin="x")) == []


def test_deep_nesting_is_refused_or_read_but_never_a_fall():
    item = '{"linkId": "a", "type": "group", "item": [' * 300 + "]}" * 300
    text = f'{{"resourceType": "Questionnaire", "item": [{item}]}}'
    assert refusal(from_fhir, text).startswith("error: the file holds no item with numeric answers\n")
    assert refusal(from_json, "[" * 100_000).startswith("error: the file is no JSON: ")
