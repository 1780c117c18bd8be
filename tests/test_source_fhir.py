"""FHIR QuestionnaireResponses: what is read of them, what is told, what is refused."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from fhir_helpers import (
    FORM,
    HL7,
    bundle,
    coding,
    item,
    items,
    lines_of,
    options,
    question,
    questionnaire,
    response,
    text_of,
    weight,
)
from readers_helpers import DEMO, mapped, write

from alliance.errors import AllianceError, DataError
from alliance.readers import ReadOptions, load
from alliance.readers.mapping import Mapping
from alliance.readers.opening import read_export
from alliance.readers.problems import Log
from alliance.readers.table import make_table
from alliance.scale import load_scale

SAMPLES = Path(__file__).parent / "samples"
NA = np.nan


def read(folder, value, *, name="study.json", scale=DEMO, **settings):
    """Return a file as loaded; `value` is a resource, or the text or the bytes of the file."""
    text = value if isinstance(value, str | bytes) else text_of(value)
    return load(write(folder, text, name=name), scale, options=ReadOptions(**settings))


def table(folder, value, *, name="study.json", **settings):
    """Return a file as the table the reader makes of it: line and cells, the header at line 0."""
    text = value if isinstance(value, str | bytes) else text_of(value)
    records = read_export(write(folder, text, name=name), ReadOptions(**settings)).records
    return dict(zip(records.lines, records.rows, strict=True))


def cells(folder, *answers, form=None, **settings):
    """Return the cell of one item with these answers."""
    answered = response(answers=[item("q1", *answers)])
    found = table(folder, bundle(answered, *([form] if form else [])), **settings)
    return dict(zip(found[0], found[1], strict=True))["q1"]


def forms(folder, value, **settings):
    loaded = read(folder, value, **settings)
    return next(iter(loaded.responses.values()))


def refused(folder, value, **settings):
    with pytest.raises(DataError) as caught:
        read(folder, value, **settings)
    return str(caught.value)


def notes(folder, value, **settings):
    """Return what is told, but for the first line (which file it is) and the numbering by date."""
    return list(read(folder, value, **settings).notes[1:-1])


# The samples


def canonical():
    with (SAMPLES / "canonical.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def truth():
    return [
        (row["client_id"], int(row["session"]), row["date"], [row[f"ali_{n}"] for n in range(1, 13)])
        for row in canonical()
    ]


def as_truth(responses):
    found = []
    for row in responses.to_dict("records"):
        answers = ["" if np.isnan(row[f"q{n}"]) else f"{row[f'q{n}']:g}" for n in range(1, 13)]
        found.append((row["case"], row["session"], f"{row['date']:%Y-%m-%d}", answers))
    return found


@pytest.mark.parametrize("dictionary", [None, SAMPLES / "fhir_questionnaire.json"], ids=["words", "weights"])
@pytest.mark.parametrize("file", ["fhir_bundle.json", "fhir_bulk.ndjson"])
def test_a_sample_equals_the_canonical_study_cell_by_cell(file, dictionary):
    settings = ReadOptions(keep="first", dictionary=dictionary)
    loaded = load(SAMPLES / file, load_scale("wai-sr"), options=settings)
    assert as_truth(loaded.responses["wai-sr"]) == truth()


@pytest.mark.parametrize("file", ["fhir_bundle.json", "fhir_bulk.ndjson"])
def test_an_amended_form_with_an_id_of_its_own_replaces_the_other_only_if_asked(file):
    wanted = [
        (case, session, day, ["3"] * 12 if (case, session) == ("P001", 5) else answers)
        for case, session, day, answers in truth()
    ]
    loaded = load(SAMPLES / file, load_scale("wai-sr"), options=ReadOptions(keep="last"))
    assert as_truth(loaded.responses["wai-sr"]) == wanted
    with pytest.raises(DataError) as caught:
        load(SAMPLES / file, load_scale("wai-sr"))
    assert str(caught.value) == (
        "error: 2 rows give a session that is there twice, and differ\n"
        "  line 5: case P001, date = 2026-02-02\n"
        "  line 20: case P001, date = 2026-02-02\n"
        "hint: correct the file, or say --keep first or --keep last"
    )


def test_everything_that_is_left_out_of_a_bundle_is_told():
    scale = load_scale(SAMPLES / "scales" / "wa12.toml")
    loaded = load(SAMPLES / "nasty" / "40_fhir_bundle" / "bundle.json", scale)
    assert loaded.notes == (
        "the file is read as FHIR QuestionnaireResponses (Bundle of 11 resources; a line is the number of a "
        "resource in the file)",
        "the file is one page of a search, with 9 responses; the search found 11 resources in all: load the "
        "pages behind its link 'next' too",
        "the server says of its answer (OperationOutcome): 1 warning",
        "nothing but their kind was read of other resources: 1 Patient",
        "2 responses not read, entered in error or deleted, with all versions: resource 2; resource 3",
        "1 response not read, replaced by a later version: resource 5",
        "columns g1.wa1 to g1.wa12 are read as the items of 'wa12'",
        "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
        "line 7: case C02",
        "there is no session number: sessions were numbered by date",
    )


def test_a_form_in_progress_is_left_out_where_that_is_wanted():
    scale = load_scale(SAMPLES / "scales" / "wa12.toml")
    settings = ReadOptions(unfinished="drop")
    loaded = load(SAMPLES / "nasty" / "40_fhir_bundle" / "bundle.json", scale, options=settings)
    assert loaded.responses["wa12"].index.tolist() == [1, 4, 6, 8, 9]


def test_what_the_tests_make_by_hand_is_valid_for_an_independent_model_of_fhir():
    from fhir.resources.R4B import bundle as model

    form = questionnaire(
        {"linkId": "g", "type": "group", "item": [question("q1", options("never", "always"))]},
        {"linkId": "q2", "type": "integer"},
    )
    answered = response(
        answers=[item("g", item=[item("q1", coding("a", "never", 1))]), item("q2", {"valueInteger": 3})],
        id="r1",
        meta={"versionId": "2", "lastUpdated": "2026-01-05T10:00:00Z"},
        source={"reference": "Practitioner/T1"},
        extension=[{"url": "urn:alliance:session", "valueInteger": 1}],
    )
    whole = bundle(form, answered, type="searchset", total=2, link=[{"relation": "next", "url": "urn:n"}])
    assert json.loads(model.Bundle.model_validate_json(text_of(whole)).model_dump_json()) == whole


# The kinds of file


TWO = (response("P1", "2026-01-05", (1, 2, 3)), response("P2", "2026-01-06", (4, None, 6)))


@pytest.mark.parametrize(
    ("content", "name", "evidence", "lines"),
    [
        pytest.param(
            text_of(bundle(*TWO)),
            "study.json",
            "Bundle of 2 resources; a line is the number of a resource in the file",
            [1, 2],
            id="Bundle",
        ),
        pytest.param(
            text_of(list(TWO)),
            "study.json",
            "list of 2 resources; a line is the number of a resource in the file",
            [1, 2],
            id="list",
        ),
        pytest.param(lines_of(*TWO), "study.ndjson", "2 resources, one a line", [1, 2], id="one a line"),
        pytest.param(
            "\n" + lines_of(TWO[0]) + " \n\n" + lines_of(TWO[1]).replace("\n", "\r\n"),
            "export",
            "2 resources, one a line",
            [2, 5],
            id="one a line, blank lines and no ending",
        ),
        pytest.param(
            text_of(bundle(bundle(TWO[0]), {"resourceType": "Patient"}, bundle(TWO[1]))),
            "study.json",
            "Bundle of 3 resources; a line is the number of a resource in the file",
            [1, 3],
            id="Bundles in a Bundle",
        ),
        pytest.param(
            '{"resourceType":"Bundle","type":"collection","entry":[\n'
            + ",\n".join(json.dumps({"resource": each}) for each in TWO)
            + "\n]}",
            "study.json",
            "Bundle of 2 resources; a line is the number of a resource in the file",
            [1, 2],
            id="Bundle with an entry a line",
        ),
    ],
)
def test_a_file_of_any_kind_gives_the_same_forms(tmp_path, content, name, evidence, lines):
    loaded = read(tmp_path, content, name=name)
    found = loaded.responses["demo"]
    assert loaded.notes[0] == f"the file is read as FHIR QuestionnaireResponses ({evidence})"
    assert found.index.tolist() == lines
    assert found["case"].tolist() == ["P1", "P2"]
    np.testing.assert_array_equal(found[["q1", "q2", "q3"]].to_numpy(), [[1, 2, 3], [4, NA, 6]])


def test_a_response_on_its_own_is_read(tmp_path):
    loaded = read(tmp_path, response(answers=(1, 2, 3)))
    assert loaded.notes[0] == (
        "the file is read as FHIR QuestionnaireResponses (resource of 1 resource; a line is the number of a "
        "resource in the file)"
    )
    assert loaded.responses["demo"][["case", "q1", "q2", "q3"]].to_numpy().tolist() == [["P1", 1, 2, 3]]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        pytest.param("utf-8", [], id="UTF-8"),
        pytest.param("utf-8-sig", [], id="byte order mark"),
        pytest.param("utf-16", ["the file is encoded in UTF-16"], id="UTF-16"),
        pytest.param("utf-16-le", ["the file is encoded in UTF-16"], id="UTF-16 without a mark"),
        pytest.param("cp1252", ["the file is encoded in Windows-1252"], id="Windows-1252"),
    ],
)
def test_the_encoding_is_seen_and_told(tmp_path, encoding, told):
    content = text_of(bundle(response("Müller-7", "2026-01-05"))).encode(encoding)
    loaded = read(tmp_path, content)
    assert loaded.responses["demo"]["case"].tolist() == ["Müller-7"]
    assert [note for note in loaded.notes if "encoded" in note] == told


def test_standard_input_is_read(monkeypatch):
    raw = lines_of(*TWO).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert load("-", DEMO).responses["demo"]["case"].tolist() == ["P1", "P2"]


def test_a_table_that_only_speaks_of_resource_types_stays_a_table(tmp_path):
    content = "case,session,q1,q2,q3,resourceType\nP1,1,1,2,3,Patient\n"
    assert read(tmp_path, content, name="study.csv").responses["demo"]["q3"].tolist() == [3]


# Items and answers


def test_items_are_found_however_deep_and_in_whatever_order(tmp_path):
    deep = response(
        answers=[
            item("q3", {"valueInteger": 3}),
            item("note", text="Think of the last session."),
            item(
                "g1",
                item=[
                    item("g1.text", text="These are about you."),
                    item(
                        "g2",
                        item=[item("q2", {"valueInteger": 2, "item": [item("q1", {"valueInteger": 1})]})],
                    ),
                ],
            ),
        ]
    )
    assert table(tmp_path, deep)[0] == ["case", "date", "q3", "note", "g1.text", "q2", "q1"]
    found = forms(tmp_path, deep)
    assert found[["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 2, 3]]


def test_a_group_is_no_column_and_an_unanswered_question_is(tmp_path):
    first = response(answers=[item("g"), item("q1", {"valueInteger": 1}), item("q2")])
    second = response("P2", answers=[item("g", item=items(2, None, 3))])
    assert table(tmp_path, bundle(first, second))[0] == ["case", "date", "q1", "q2", "q3"]


def test_what_is_a_group_in_one_response_and_answered_in_another_is_a_question(tmp_path):
    first = response(answers=[item("q1", item=items(None, 2))])
    second = response("P2", answers=[item("q1", {"valueInteger": 5}, item=items(None, 2))])
    found = table(tmp_path, bundle(first, second))
    assert [row[2:] for row in found.values()] == [["q2", "q1"], ["2", ""], ["2", "5"]]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({}, id="empty"),
        pytest.param({"valueInteger": None}, id="null"),
        pytest.param(
            {"_valueInteger": {"extension": [{"url": f"{HL7}/data-absent-reason", "valueCode": "unknown"}]}},
            id="absent with a reason",
        ),
        pytest.param({"valueString": "  "}, id="blanks"),
        pytest.param({"valueCoding": {"system": "urn:x"}}, id="coding without a code"),
    ],
)
def test_an_answer_without_a_value_is_unanswered(tmp_path, answer):
    assert cells(tmp_path, answer) == ""


@pytest.mark.parametrize(
    ("answer", "cell"),
    [
        pytest.param({"valueInteger": 4}, "4", id="integer"),
        pytest.param({"valueInteger": "4"}, "4", id="integer in quotes"),
        pytest.param({"valueDecimal": 4.0}, "4", id="whole decimal"),
        pytest.param({"valueDecimal": 7.35}, "7.35", id="decimal"),
        pytest.param({"valueDecimal": -0.5}, "-0.5", id="below zero"),
        pytest.param({"valueString": " very \u00fcppig "}, "very \u00fcppig", id="text"),
        pytest.param({"valueString": 5}, "5", id="text that is a number"),
        pytest.param({"valueBoolean": True}, "true", id="yes"),
        pytest.param({"valueBoolean": False}, "false", id="no"),
        pytest.param({"valueDate": "2026-01-05"}, "2026-01-05", id="date"),
        pytest.param({"valueQuantity": {"value": 7.5, "unit": "cm"}}, "7.5", id="quantity"),
        pytest.param({"valueReference": {"display": "Erika"}}, "[Reference]", id="reference"),
        pytest.param({"valueAttachment": {"data": "QUJD"}}, "[Attachment]", id="attachment"),
        pytest.param(coding("a2", "Sometimes", 2), "2", id="code, word and number"),
        pytest.param(coding("a2", "Sometimes", 2.50), "2.5", id="broken number"),
        pytest.param(coding("a2", "Sometimes", 0), "0", id="the number 0"),
        pytest.param(coding("a2", "Sometimes"), "Sometimes", id="code and word"),
        pytest.param(coding("a2"), "a2", id="code"),
        pytest.param(coding("", "Sometimes"), "Sometimes", id="word"),
        pytest.param({**coding("a2", "Sometimes"), "extension": weight(3)}, "3", id="weight on the answer"),
        pytest.param({"valueInteger": 3, "extension": weight(3.0)}, "3", id="number and the same weight"),
        pytest.param({"valueString": "so so", "extension": weight(3)}, "3", id="text with a weight"),
    ],
)
def test_an_answer_is_a_number_if_one_is_known_or_else_a_word_or_else_a_code(tmp_path, answer, cell):
    assert cells(tmp_path, answer) == cell


@pytest.mark.parametrize(
    "name",
    [
        "itemWeight",
        "ordinalValue",
        "questionnaire-ordinalValue",
        "valueset-ordinalValue",
        "codesystem-ordinalValue",
        "iso21090-CO-value",
    ],
)
def test_every_extension_for_a_weight_is_known(tmp_path, name):
    assert cells(tmp_path, coding("a2", "Sometimes", 5, name=name)) == "5"


def test_another_extension_is_no_weight(tmp_path):
    assert cells(tmp_path, coding("a2", "Sometimes", 5, name="ordinal")) == "Sometimes"


@pytest.mark.parametrize(
    ("answers", "cell"),
    [
        pytest.param([{"valueInteger": 4}, {"valueDecimal": 4.0}], "4", id="the same number"),
        pytest.param([coding("a", "x", 4), {"valueInteger": 4}], "4", id="the same by its weight"),
        pytest.param([{"valueInteger": 4}, {}], "4", id="one of them empty"),
        pytest.param([{"valueInteger": 4}, {"valueInteger": 5}], "4 | 5", id="different"),
    ],
)
def test_several_answers_to_an_item_are_one_only_if_they_are_equal(tmp_path, answers, cell):
    assert cells(tmp_path, *answers) == cell


def test_an_item_with_different_answers_is_refused_by_name(tmp_path):
    twice = [item("q1", {"valueInteger": 4}), *items(4, 2, 3)[1:], item("q1", {"valueInteger": 5})]
    assert refused(tmp_path, bundle(TWO[0], response("P3", answers=twice))) == (
        "error: 1 answer is no number and no known word\n"
        "  line 2: case P3, session 1, q1 = 4 | 5\n"
        "hint: give each word its number under [answers] in a mapping, or declare it with --missing"
    )


def test_a_question_beside_the_form_may_have_several_answers(tmp_path):
    beside = item("symptoms", {"valueString": "sleep"}, {"valueString": "appetite"})
    found = read(tmp_path, response(answers=[*items(1, 2, 3), beside]))
    assert found.responses["demo"][["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 2, 3]]


def test_numbers_of_items_are_items_and_a_question_called_date_is_not_the_date(tmp_path):
    named = [item(str(n), {"valueInteger": n}) for n in (3, 1, 2)]
    answered = response(answers=[*named, item("date", {"valueDate": "1999-12-31"})])
    assert table(tmp_path, answered)[0] == ["case", "date", "3", "1", "2", "date (item)"]
    found = forms(tmp_path, answered)
    assert found[["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 2, 3]]
    assert found["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-01-05"]


def test_codes_that_look_like_column_names_are_not_taken_for_the_header(tmp_path):
    links = ("mood", "trust", "warmth")
    answered = [item(link, coding(f"at{n}")) for n, link in enumerate(links, 1)]
    settings = mapped(
        "columns = { q1 = 'mood', q2 = 'trust', q3 = 'warmth' }\nanswers = { at1 = 1, at2 = 2, at3 = 3 }"
    )
    found = forms(tmp_path, bundle(response(answers=answered)), mapping=settings)
    assert found[["case", "q1", "q2", "q3"]].to_numpy().tolist() == [["P1", 1, 2, 3]]
    records = read_export(write(tmp_path, text_of(response(answers=answered)), name="b.json")).records
    assert make_table(records, Mapping(), log=Log()).names == ("case", "date", *links)


def test_half_a_character_does_not_stop_the_file_from_being_written(tmp_path):
    content = text_of(bundle(response("P1"))).replace("Patient/P1", "Patient/P\\ud800")
    assert forms(tmp_path, content)["case"].tolist() == ["P?"]


# What the Questionnaire says


SCORED = questionnaire(question("q1", options("Never", "Sometimes", "Always", first=1)))


@pytest.mark.parametrize(
    ("form", "answer", "cell"),
    [
        pytest.param(SCORED, coding("b", "Sometimes"), "2", id="weight of the coding"),
        pytest.param(SCORED, coding("b"), "2", id="by its code alone"),
        pytest.param(SCORED, coding("b", system=""), "2", id="answer without a system"),
        pytest.param(SCORED, coding("b", "Sometimes", 2.0), "2", id="the same in both"),
        pytest.param(SCORED, coding("b", "Sometimes", system="urn:y"), "Sometimes", id="another system"),
        pytest.param(SCORED, coding("z", "Rarely"), "Rarely", id="no such answer"),
        pytest.param(
            questionnaire(question("q1", [coding("b", "Sometimes")])),
            coding("b"),
            "Sometimes",
            id="no weight",
        ),
        pytest.param(
            questionnaire(question("q1", [{**coding("b"), "extension": weight(6)}])),
            coding("b"),
            "6",
            id="weight of the option",
        ),
        pytest.param(
            questionnaire(question("q1", [{"valueString": "so so", "extension": weight(6)}])),
            {"valueString": "so so"},
            "6",
            id="weight of a text",
        ),
        pytest.param(
            questionnaire(question("q1", [coding("b", number=2), coding("b", number=3, system="urn:y")])),
            coding("b", "Sometimes", system=""),
            "Sometimes",
            id="two answers of one code",
        ),
        pytest.param(
            questionnaire(
                {"linkId": "g", "type": "group", "item": [question("q1", options("x", "y", first=3))]}
            ),
            coding("b"),
            "4",
            id="in a group",
        ),
        pytest.param(
            questionnaire(
                question("q1", answerValueSet="#words"),
                contained=[
                    {
                        "resourceType": "ValueSet",
                        "id": "words",
                        "compose": {
                            "include": [
                                {"system": "urn:x", "concept": [{"code": "b", "extension": weight(5)}]}
                            ]
                        },
                    }
                ],
            ),
            coding("b"),
            "5",
            id="value set within",
        ),
    ],
)
def test_a_questionnaire_in_the_bundle_says_the_number_of_an_answer(tmp_path, form, answer, cell):
    assert cells(tmp_path, answer, form=form) == cell


def test_a_value_set_beside_the_questionnaire_says_the_number_too(tmp_path):
    form = questionnaire(question("q1", answerValueSet="urn:set|1"))
    concepts = [{"system": "urn:x", "code": "b", "extension": weight(6)}]
    words = {"resourceType": "ValueSet", "url": "urn:set", "expansion": {"contains": concepts}}
    answered = response(answers=[item("q1", coding("b"))])
    assert table(tmp_path, bundle(form, words, answered))[3][-1] == "6"


def test_a_questionnaire_within_the_response_says_the_number(tmp_path):
    inner = {**SCORED, "id": "form"}
    answered = response(answers=[item("q1", coding("c"))], questionnaire="#form", contained=[inner])
    assert table(tmp_path, answered)[1] == ["P1", "2026-01-05T10:00:00+01:00", "3"]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        pytest.param(SCORED, "study.json", id="a Questionnaire"),
        pytest.param(bundle(SCORED, {"resourceType": "Patient"}), "study.json", id="in a Bundle"),
        pytest.param({**SCORED, "url": ""}, "study.json", id="without a name"),
    ],
)
def test_a_dictionary_says_the_number(tmp_path, given, kind):
    path = write(tmp_path, text_of(given), name="form.json")
    assert cells(tmp_path, coding("b"), dictionary=path) == "2"


def test_items_of_the_questionnaire_that_nobody_answered_have_a_column_in_its_order(tmp_path):
    form = questionnaire(
        question("q1"), {"linkId": "intro", "type": "display"}, question("q2"), question("q3")
    )
    answered = response(answers=[item("intro"), *items(None, 5, 3)])
    assert table(tmp_path, bundle(form, answered))[0] == ["case", "date", "q1", "q2", "q3"]
    found = forms(tmp_path, bundle(form, answered))
    np.testing.assert_array_equal(found[["q1", "q2", "q3"]].to_numpy(), [[NA, 5, 3]])


@pytest.mark.parametrize(
    ("version", "cell", "told"),
    [
        pytest.param("2.0", "3", [], id="the same version"),
        pytest.param("", "3", [], id="none said"),
        pytest.param("1.0", "Always", [], id="another version"),
    ],
)
def test_a_questionnaire_of_another_version_is_not_used_by_itself(tmp_path, version, cell, told):
    form = {**SCORED, "version": "2.0"}
    name = f"{FORM}|{version}" if version else FORM
    answered = response(answers=[item("q1", coding("c", "Always"))], questionnaire=name)
    assert table(tmp_path, bundle(form, answered))[2][-1] == cell


def test_of_two_versions_the_one_that_was_answered_is_used(tmp_path):
    other = questionnaire(question("q1", options("Never", "Sometimes", "Always", first=5)), version="1.0")
    both = [{**SCORED, "version": "2.0"}, other]
    answers = [item("q1", coding("c", "Always"))]
    named = [response(answers=answers, questionnaire=f"{FORM}|{version}") for version in ("1.0", "2.0")]
    unnamed = response(answers=answers)
    found = table(tmp_path, bundle(*both, *named, unnamed))
    assert [found[line][-1] for line in (3, 4, 5)] == ["7", "3", "Always"]


def test_a_dictionary_of_another_version_is_used_and_told(tmp_path):
    path = write(tmp_path, text_of({**SCORED, "version": "2.0"}), name="form.json")
    answered = response(answers=[item("q1", coding("c"))], questionnaire=f"{FORM}|1.0")
    export = read_export(write(tmp_path, text_of(answered), name="a.json"), ReadOptions(dictionary=path))
    assert export.records.rows[1][-1] == "3"
    assert export.notes[-1] == (
        "1 response to another version of the questionnaire than is at hand: 1.0, read by 2.0"
    )
    unsaid = read_export(write(tmp_path, text_of(response()), name="b.json"), ReadOptions(dictionary=path))
    assert len(unsaid.notes) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            text_of({**SCORED, "url": "urn:other"}),
            "error: --dictionary is the Questionnaire 'urn:other', which no response answers\n"
            f"  {FORM}\n"
            "hint: give the one that was answered",
            id="another Questionnaire",
        ),
        pytest.param(
            text_of(response()),
            "error: 'form.json' holds no FHIR Questionnaire\n"
            "hint: give the Questionnaire that was answered, as JSON",
            id="answers",
        ),
        pytest.param(
            text_of([SCORED, SCORED]),
            "error: 'form.json' holds 2 FHIR Questionnaires\n"
            "hint: give the Questionnaire that was answered, as JSON",
            id="two of them",
        ),
        pytest.param(
            "linkId,text\nq1,x\n",
            "error: 'form.json' is no JSON: Expecting value\n"
            "  line 1, column 1\n"
            "hint: export it again from its system; a file that was cut off cannot be read",
            id="no JSON",
        ),
    ],
)
def test_a_dictionary_that_does_not_fit_is_refused(tmp_path, given, message):
    path = write(tmp_path, given, name="form.json")
    assert refused(tmp_path, response(), dictionary=path) == message


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(coding("b", "Sometimes", 3), id="answer and Questionnaire"),
        pytest.param({"valueCoding": {"code": "x", "extension": weight(3) + weight(2)}}, id="two weights"),
        pytest.param({"valueInteger": 3, "extension": weight(2)}, id="number and weight"),
    ],
)
def test_different_numbers_for_one_answer_are_refused(tmp_path, answer):
    answered = response(answers=[item("q1", answer), *items(None, 2, 3)])
    assert refused(tmp_path, bundle(SCORED, answered)) == (
        "error: 1 resource is not as FHIR R4 has it\n"
        "  resource 2: item q1: different numbers for one answer, 3 and 2\n"
        "hint: export it again, or load the rest with --on-error drop"
    )


def test_numbers_that_the_form_has_by_another_word_are_refused(tmp_path):
    words = {0: "never", 3: "sometimes", 6: "always"}
    answered = response(answers=[item(f"q{n}", coding(f"a{w}", words[w], w)) for n, w in enumerate(words, 1)])
    assert refused(tmp_path, answered) == (
        "error: in column 'q1' 0 means 'never', which is 1 on 'demo'\n"
        "hint: say in a mapping what the codes are: shift, or [answers] with a number for each code"
    )
    found = forms(tmp_path, answered, mapping=mapped("shift = 1"))
    assert found[["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 4, 7]]


def test_words_and_texts_of_the_items_go_along(tmp_path):
    answered = response(
        answers=[item("q1", coding("b", "Manchmal", 2), text="One"), item("q2", coding("u", "Oft", 4))]
    )
    form = questionnaire(question("q1", options("Never", "Sometimes"), text="Item one"), question("q2"))
    path = write(tmp_path, text_of(bundle(form, answered)))
    export = read_export(path)
    assert export.levels == {"q1": {"1": "Never", "2": "Sometimes"}, "q2": {"4": "Oft"}}
    assert export.labels == {"q1": "Item one"}


# Whose, when, by whom


@pytest.mark.parametrize(
    ("subject", "case"),
    [
        pytest.param({"reference": "Patient/P001"}, "P001", id="relative"),
        pytest.param({"reference": "Patient/007"}, "007", id="leading zeros"),
        pytest.param({"reference": "Patient/P001/_history/3"}, "P001", id="with its version"),
        pytest.param({"reference": "https://x.org/fhir/Patient/P001"}, "P001", id="absolute"),
        pytest.param(
            {"reference": "urn:uuid:11111111-2222-3333-4444-555555555555"},
            "11111111-2222-3333-4444-555555555555",
            id="uuid",
        ),
        pytest.param({"identifier": {"system": "urn:clinic", "value": "K-12"}}, "K-12", id="identifier"),
        pytest.param(
            {"reference": "Patient/P1", "identifier": {"value": "K-12"}}, "P1", id="reference and identifier"
        ),
        pytest.param(
            {"reference": "#me", "identifier": {"value": "K-12"}}, "K-12", id="contained, identifier"
        ),
        pytest.param({"reference": "#me"}, "M-1", id="contained"),
        pytest.param(
            {"reference": "Patient/91", "identifier": {"system": "urn:alliance:case", "value": "K 7"}},
            "K 7",
            id="our own identifier",
        ),
        pytest.param({"reference": "Patient/P1", "display": "Erika Mustermann"}, "P1", id="with a name"),
    ],
)
def test_the_case_is_the_code_of_the_subject(tmp_path, subject, case):
    inside = {
        "resourceType": "Patient",
        "id": "me",
        "identifier": [{"value": "M-1"}],
        "name": [{"text": "Erika"}],
    }
    answered = response(subject=subject, contained=[inside])
    assert forms(tmp_path, answered)["case"].tolist() == [case]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"subject": None}, id="no subject"),
        pytest.param({"subject": {"display": "Erika"}}, id="a name only"),
        pytest.param({"subject": {"reference": "#nobody"}}, id="contained nowhere"),
        pytest.param(
            {"subject": {"reference": "#me"}, "contained": [{"resourceType": "Patient", "id": "me"}]},
            id="contained without an identifier",
        ),
        pytest.param(
            {
                "subject": {"reference": "#me"},
                "contained": [
                    {"resourceType": "Patient", "id": "me", "identifier": [{"value": "1"}, {"value": "2"}]}
                ],
            },
            id="contained with two identifiers",
        ),
        pytest.param({"subject": "Patient/P1"}, id="a text"),
    ],
)
def test_a_form_of_nobody_is_refused(tmp_path, fields):
    assert refused(tmp_path, bundle(response(**fields))) == (
        "error: 1 form without a case\n"
        "  line 1: no case\n"
        "hint: say whose form it is; a mapping can fill a column down (fill_down)"
    )


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        pytest.param(
            {"reference": "http://a/Patient/1"},
            {"reference": "http://b/Patient/1"},
            "1: Patient, http://a, http://b",
            id="two servers",
        ),
        pytest.param(
            {"reference": "Patient/1"}, {"reference": "Group/1"}, "1: Group, Patient", id="two kinds"
        ),
        pytest.param(
            {"identifier": {"system": "urn:a", "value": "1"}},
            {"identifier": {"system": "urn:b", "value": "1"}},
            "1: urn:a, urn:b",
            id="two systems",
        ),
    ],
)
def test_one_code_for_two_subjects_is_refused(tmp_path, one, other, told):
    both = bundle(response(subject=one), response(subject=other, day="2026-01-12"))
    assert refused(tmp_path, both) == (
        "error: 1 code stands for more than one subject\n"
        f"  {told}\n"
        "hint: read what comes from one place, or is about one kind of subject, on its own"
    )


def test_one_subject_may_be_referred_to_in_two_ways(tmp_path):
    both = [response(subject={"reference": "http://a/Patient/1"}), response("1", "2026-01-12")]
    assert forms(tmp_path, bundle(*both))["session"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("source", "rater"),
    [
        pytest.param({"reference": "Patient/P1"}, "client", id="the subject"),
        pytest.param({"reference": "Patient/P2"}, "P2", id="another patient"),
        pytest.param({"reference": "Practitioner/T1"}, "therapist", id="practitioner"),
        pytest.param({"reference": "PractitionerRole/T1"}, "therapist", id="role of a practitioner"),
        pytest.param({"reference": "RelatedPerson/partner-a"}, "partner-a", id="related person"),
        pytest.param({"reference": "urn:uuid:t1"}, "therapist", id="kind of the resource in the file"),
        pytest.param(
            {"reference": "urn:uuid:t2", "type": "Practitioner"}, "therapist", id="kind that is said"
        ),
        pytest.param({"display": "Erika"}, "client", id="a name only"),
        pytest.param(None, "client", id="nobody said"),
    ],
)
def test_the_rater_is_the_source(tmp_path, source, rater):
    whole = bundle(response(source=source, author={"reference": "Practitioner/T9"}))
    whole["entry"].append({"fullUrl": "urn:uuid:t1", "resource": {"resourceType": "Practitioner"}})
    assert forms(tmp_path, whole)["rater"].tolist() == [rater]


def test_a_rater_of_our_own_comes_before_the_source(tmp_path):
    said = [{"url": "urn:alliance:rater", "valueString": "observer"}]
    answered = response(extension=said, source={"reference": "Practitioner/T1"})
    assert forms(tmp_path, answered)["rater"].tolist() == ["observer"]


def test_without_a_source_there_is_no_rater_column(tmp_path):
    assert table(tmp_path, response(author={"reference": "Practitioner/T9"}))[0][:3] == ["case", "date", "q1"]


def own(session, rater, therapist):
    said = (("session", "valueInteger", session), ("rater", "valueString", rater))
    said = (*said, ("therapist", "valueString", therapist))
    return [{"url": f"urn:alliance:{name}", key: value} for name, key, value in said]


def test_what_we_wrote_ourselves_comes_back(tmp_path):
    name = "urn:alliance:questionnaire:demo"
    written = [
        response("P1", day, answers, extension=own(session, rater, "T1"), questionnaire=name)
        for day, answers, session, rater in (
            ("2026-01-05", (1, 2, 3), 4, "client"),
            ("2026-01-05", (4, 5, 6), 4, "partner-b"),
            ("2026-01-12", (7, 7, 7), 6, "client"),
        )
    ]
    found = forms(tmp_path, bundle(*written))
    assert found[["case", "session", "therapist", "rater", "q1"]].to_numpy().tolist() == [
        ["P1", 4, "T1", "client", 1],
        ["P1", 6, "T1", "client", 7],
        ["P1", 4, "T1", "partner-b", 4],
    ]


def test_test_data_are_told_as_such(tmp_path):
    tag = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
    assert read(tmp_path, bundle(TWO[0], response("P2", meta={"tag": [tag]}))).synthetic
    for other in ({**tag, "code": "TREAT"}, {**tag, "system": "urn:x"}):
        assert not read(tmp_path, response(meta={"tag": [other]})).synthetic


def test_a_code_of_ours_and_a_reference_to_the_same_code_are_one_case(tmp_path):
    mine = {"identifier": {"system": "urn:alliance:case", "value": "P1"}}
    both = [response(subject=mine), response("P1", "2026-01-12")]
    assert forms(tmp_path, bundle(*both))["session"].tolist() == [1, 2]


@pytest.mark.parametrize("several", [False, True], ids=["R4", "R5"])
def test_a_session_may_be_an_identifier_of_ours(tmp_path, several):
    identifier = {"system": "urn:alliance:session", "value": "5"}
    answered = response(identifier=[identifier] if several else identifier)
    assert forms(tmp_path, answered)["session"].tolist() == [5]


def test_an_identifier_or_an_encounter_of_others_is_no_session(tmp_path):
    answered = response(identifier={"system": "urn:x", "value": "5"}, encounter={"reference": "Encounter/9"})
    assert forms(tmp_path, answered)["session"].tolist() == [1]


@pytest.mark.parametrize(
    ("authored", "message"),
    [
        pytest.param(
            None,
            "error: no column says in which order the forms were filled in\n"
            "hint: add a session number or a date, or say in a mapping which column it is",
            id="no date anywhere",
        ),
        pytest.param(
            "2026-01",
            "error: 1 cell is no date in the format of its column\n"
            "  line 1: case P1, date = 2026-01\n"
            "hint: write all dates of the column in one way, such as 2026-01-31, or say --date-format dmy or "
            "mdy",
            id="a month only",
        ),
        pytest.param(
            "05/01/2026",
            "error: 1 cell is no date in the format of its column\n"
            "  line 1: case P1, date = 05/01/2026\n"
            "hint: write all dates of the column in one way, such as 2026-01-31, or say --date-format dmy or "
            "mdy",
            id="not as FHIR writes it",
        ),
    ],
)
def test_a_form_without_a_day_is_refused(tmp_path, authored, message):
    assert refused(tmp_path, bundle(response(authored=authored))) == message


# Status and versions


@pytest.mark.parametrize(
    ("status", "kept", "told"),
    [
        pytest.param("completed", 2, [], id="completed"),
        pytest.param("amended", 2, [], id="amended"),
        pytest.param(
            "in-progress",
            2,
            [
                "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
                "line 1: case P1"
            ],
            id="in progress",
        ),
        pytest.param(
            "entered-in-error",
            1,
            ["1 response not read, entered in error or deleted, with all versions: resource 1"],
            id="entered in error",
        ),
        pytest.param("stopped", 1, ["1 response not read, stopped before the end: resource 1"], id="stopped"),
    ],
)
def test_the_status_says_what_counts(tmp_path, status, kept, told):
    whole = bundle(response("P1", status=status), response("P2"))
    assert len(forms(tmp_path, whole)) == kept
    assert notes(tmp_path, whole) == told


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        pytest.param({"status": "done"}, "status 'done' is none of FHIR", id="unknown"),
        pytest.param({"status": None}, "no status", id="none"),
        pytest.param({"status": 1}, "status '1' is none of FHIR", id="number"),
        pytest.param({"status": {"code": "completed"}}, "no status", id="object"),
    ],
)
def test_a_status_that_is_none_is_refused(tmp_path, fields, what):
    assert refused(tmp_path, bundle(TWO[0], response("P2", **fields))) == (
        "error: 1 resource is not as FHIR R4 has it\n"
        f"  resource 2: {what}\n"
        "hint: export it again, or load the rest with --on-error drop"
    )


def version(number=None, updated=None, **fields):
    meta = {"versionId": number, "lastUpdated": updated}
    meta = {key: value for key, value in meta.items() if value}
    return {"id": "r1", **({"meta": meta} if meta else {}), **fields}


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        pytest.param(version(), version(), 2, id="the last of the file"),
        pytest.param(version("2"), version("1"), 1, id="the highest version"),
        pytest.param(version("10"), version("9"), 1, id="versions are numbers"),
        pytest.param(version("1"), version("1"), 2, id="one version twice"),
        pytest.param(
            version(None, "2026-01-05T10:00:00Z"), version(None, "2026-01-05T09:00:00Z"), 1, id="the latest"
        ),
        pytest.param(
            version(None, "2026-01-05T10:30:00+01:00"),
            version(None, "2026-01-05T10:00:00Z"),
            2,
            id="the latest, in two time zones",
        ),
        pytest.param(
            version("a", "2026-01-06T10:00:00Z"),
            version("b", "2026-01-05T10:00:00Z"),
            1,
            id="versions that are no numbers",
        ),
        pytest.param(version("2"), version(), 2, id="a version for one only"),
        pytest.param(version(None, "soon"), version(None, "2026-01-05T10:00:00Z"), 2, id="no moment"),
        pytest.param(version("9" * 5000), version("1"), 2, id="a version without end"),
    ],
)
def test_of_several_versions_the_last_one_counts(tmp_path, one, other, line):
    whole = bundle(response(answers=(1, 1, 1), **one), response(answers=(2, 2, 2), **other))
    found = forms(tmp_path, whole)
    assert found.index.tolist() == [line]
    assert found["q1"].tolist() == [line]
    assert notes(tmp_path, whole) == [
        f"1 response not read, replaced by a later version: resource {3 - line}"
    ]


def test_one_error_takes_all_versions_away(tmp_path):
    whole = bundle(
        response(**version("1")), response("P2"), response(**version("2"), status="entered-in-error")
    )
    assert forms(tmp_path, whole).index.tolist() == [2]
    assert notes(tmp_path, whole) == [
        "2 responses not read, entered in error or deleted, with all versions: resource 1; resource 3"
    ]


def test_what_a_history_says_is_deleted_is_not_read(tmp_path):
    whole = bundle(response(**version("1")), response("P2"), type="history")
    whole["entry"].append({"request": {"method": "DELETE", "url": "QuestionnaireResponse/r1"}})
    assert forms(tmp_path, whole).index.tolist() == [2]


def test_responses_without_an_id_are_told_apart_by_their_url_or_not_at_all(tmp_path):
    whole = bundle(*(response("P1", f"2026-01-0{n}") for n in (1, 2, 3)))
    whole["entry"][0]["fullUrl"] = whole["entry"][2]["fullUrl"] = "urn:uuid:r"
    assert forms(tmp_path, whole).index.tolist() == [2, 3]


def test_one_id_for_two_subjects_is_refused_unless_they_are_versions(tmp_path):
    whole = bundle(response("P1", id="r1"), response("P2", id="r1"), response("P3"))
    assert refused(tmp_path, whole) == (
        "error: 1 id is given to responses of different subjects\n"
        "  resource 1, resource 2\n"
        "hint: export them with meta.versionId if these are versions, or else with an id for each"
    )
    corrected = bundle(response("P1", **version("1")), response("P2", **version("2")))
    assert forms(tmp_path, corrected)["case"].tolist() == ["P2"]


def test_a_file_in_which_nothing_counts_is_refused(tmp_path):
    assert refused(tmp_path, bundle(response(status="stopped"))) == (
        "error: no response in the file counts\n"
        "  1 response not read, stopped before the end: resource 1\n"
        "hint: export those that were completed"
    )


# Several questionnaires


PHQ = "http://example.org/Questionnaire/phq|2"
MIXED = bundle(TWO[0], response("P1", "2026-01-12", (7, 7, 7), questionnaire=PHQ), TWO[1])


def test_several_questionnaires_are_refused_and_named(tmp_path):
    assert refused(tmp_path, MIXED) == (
        "error: the file has responses to 2 questionnaires\n"
        "  http://example.org/Questionnaire/demo: 2 responses\n"
        "  http://example.org/Questionnaire/phq: 1 response\n"
        'hint: name one with --sheet, or in a mapping: sheet = "…"; read the others one by one'
    )


def test_responses_that_do_not_say_what_they_answer_are_another_questionnaire(tmp_path):
    assert refused(tmp_path, bundle(TWO[0], response("P2", questionnaire=None))).splitlines()[1:3] == [
        "  http://example.org/Questionnaire/demo: 1 response",
        "  (no questionnaire said): 1 response",
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param("http://example.org/Questionnaire/phq", id="without the version"),
        pytest.param(PHQ, id="with the version"),
        pytest.param("phq", id="the last part"),
    ],
)
def test_a_person_chooses_the_questionnaire(tmp_path, wanted):
    assert forms(tmp_path, MIXED, sheet=wanted)["q1"].tolist() == [7]
    assert forms(tmp_path, MIXED, mapping=mapped(f"sheet = '{wanted}'"))["q1"].tolist() == [7]
    assert notes(tmp_path, MIXED, sheet=wanted) == [
        "2 responses to other questionnaires not read: http://example.org/Questionnaire/demo"
    ]


def test_a_questionnaire_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    assert refused(tmp_path, MIXED, sheet="gad") == (
        "error: there is no response to the questionnaire 'gad'\n"
        "  http://example.org/Questionnaire/demo: 2 responses\n"
        "  http://example.org/Questionnaire/phq: 1 response\n"
        "hint: name one of these with --sheet"
    )


def test_two_versions_of_a_questionnaire_are_one(tmp_path):
    both = [response(day=f"2026-01-0{n}", questionnaire=f"http://example.org/q|{n}") for n in (1, 2)]
    assert forms(tmp_path, bundle(*both))["session"].tolist() == [1, 2]


def test_our_own_questionnaires_stand_together_and_name_the_form(tmp_path):
    mine, other = "urn:alliance:questionnaire:demo", "urn:alliance:questionnaire:srs"
    whole = bundle(
        response("P1", answers=(1, 2, 3), questionnaire=f"{mine}|1"),
        response("P1", answers=(5, 6, 7, 8), questionnaire=other),
    )
    assert table(tmp_path, whole)[0][:3] == ["case", "date", "scale"]
    found = read(tmp_path, whole)
    assert found.responses["demo"]["q1"].tolist() == [1]
    assert "1 row of other forms not read: srs" in found.notes
    srs = load_scale("srs")
    assert read(tmp_path, whole, scale=srs).responses["srs"]["q4"].tolist() == [8]


def test_a_questionnaire_of_ours_and_another_one_do_not_stand_together(tmp_path):
    whole = bundle(TWO[0], response(questionnaire="urn:alliance:questionnaire:demo"))
    assert refused(tmp_path, whole).startswith("error: the file has responses to 2 questionnaires\n")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"questionnaire": None}, id="none said"),
        pytest.param({"questionnaire": {"reference": FORM}}, id="as in an older FHIR"),
        pytest.param({"questionnaire": "#gone"}, id="contained nowhere"),
    ],
)
def test_a_single_questionnaire_may_be_named_in_any_way(tmp_path, fields):
    assert forms(tmp_path, response(**fields))["q1"].tolist() == [1]


# What else is in a file


def test_nothing_of_a_patient_is_read_or_told(tmp_path):
    patient = {
        "resourceType": "Patient",
        "id": "P1",
        "name": [{"text": "Erika Mustermann"}],
        "birthDate": "1980-02-03",
        "contact": "not even an object",
    }
    others = [patient, {"resourceType": "Encounter"}, {"resourceType": "Encounter"}]
    loaded = read(tmp_path, bundle(*others, response("P1")))
    assert loaded.notes[1] == "nothing but their kind was read of other resources: 2 Encounter, 1 Patient"
    shown = str(loaded.responses) + str(loaded.notes) + str(table(tmp_path, bundle(patient, response("P1"))))
    assert "Erika" not in shown
    assert "1980" not in shown


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param(
            {"link": [{"relation": "next", "url": "urn:n"}]},
            ["the file is one page of a search, with 1 response: load the pages behind its link 'next' too"],
            id="next, no total",
        ),
        pytest.param({"link": [{"relation": "self", "url": "urn:n"}], "total": 1}, [], id="the only page"),
        pytest.param({"link": "next"}, [], id="no link at all"),
    ],
)
def test_a_page_of_a_search_is_told(tmp_path, fields, told):
    assert notes(tmp_path, bundle(response(), **fields)) == told


def test_a_questionnaire_is_no_other_resource(tmp_path):
    assert notes(tmp_path, bundle(questionnaire(question("q1")), response())) == []


def test_a_web_page_is_no_fhir(tmp_path):
    told = refused(tmp_path, "<html><body>Sign in</body></html>", name="study.json")
    assert "FHIR in XML" not in told


def test_what_the_server_says_of_its_answer_is_counted(tmp_path):
    issues = [{"severity": each, "code": "x"} for each in ("warning", "information", "error", "warning")]
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    assert notes(tmp_path, bundle(response(), outcome)) == [
        "the server says of its answer (OperationOutcome): 1 error, 2 warnings"
    ]
    fine = {"resourceType": "OperationOutcome", "issue": issues[1:2]}
    assert notes(tmp_path, bundle(response(), fine)) == []


# What is no FHIR


CUT = "hint: export it again from its system; a file that was cut off cannot be read"
AGAIN = "hint: export it again, or load the rest with --on-error drop"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            '{"resourceType": "Bundle"}',
            "error: the file holds no QuestionnaireResponse\n"
            "hint: export the QuestionnaireResponses of the study",
            id="nothing in it",
        ),
        pytest.param(
            text_of([{"resourceType": "Patient"}, {"resourceType": "Patient"}, SCORED]),
            "error: the file holds no QuestionnaireResponse\n  2 Patient\n  1 Questionnaire\n"
            "hint: export the QuestionnaireResponses of the study",
            id="others only",
        ),
        pytest.param(
            text_of(SCORED),
            "error: the file holds a Questionnaire: it is the form, not its answers\n"
            "hint: export its QuestionnaireResponses; give the form with --dictionary, or to "
            "`alliance scales import`",
            id="the form",
        ),
        pytest.param(
            '<?xml version="1.0"?>\n<Bundle xmlns="http://hl7.org/fhir"/>',
            "error: FHIR in XML is not read\nhint: ask its server for JSON: Accept: application/fhir+json",
            id="XML",
        ),
        pytest.param(
            '{"resourceType": "Bundle",\n "entry": [',
            f"error: the file is no JSON: Expecting value\n  line 2, column 12\n{CUT}",
            id="cut off",
        ),
        pytest.param(
            '{"resourceType": "Bundle", "meta": {},\n "entry": [',
            f"error: the file is no JSON: Expecting value\n  line 2, column 12\n{CUT}",
            id="cut off, and not one a line",
        ),
        pytest.param(
            '{"resourceType": "Bundle", "total": NaN}',
            f"error: the file is no JSON: NaN is no number\n{CUT}",
            id="NaN",
        ),
        pytest.param(
            '{"resourceType": "Bundle", "total": -Infinity}',
            f"error: the file is no JSON: -Infinity is no number\n{CUT}",
            id="infinity",
        ),
        pytest.param(
            '{"resourceType": "Bundle", "type": "a", "type": "b"}',
            f"error: the file is no JSON: 'type' is there twice in one object\n{CUT}",
            id="a key twice",
        ),
        pytest.param(
            '{"resourceType": "Bundle", "entry": ' + "[" * 100_000 + "]" * 100_000 + "}",
            f"error: the file is nested too deep for FHIR\n{CUT}",
            id="nested without end",
        ),
        pytest.param(
            '{"resourceType": "Bundle", "entry": {"a": 1}}',
            "error: 1 resource is not as FHIR R4 has it\n"
            f"  the file: entry of the Bundle is no list\n{AGAIN}",
            id="entry is no list",
        ),
        pytest.param(
            text_of({"resourceType": "Bundle", "entry": [None, "x", {"resource": TWO[0]}]}),
            "error: 2 resources are not as FHIR R4 has it\n"
            f"  resource 1: no object\n  resource 2: no object\n{AGAIN}",
            id="entries that are nothing",
        ),
        pytest.param(
            text_of([TWO[0], {"a": 1}, {"resourceType": 5, "id": "x"}, {"resourceType": ["x"]}, 7]),
            "error: 3 resources are not as FHIR R4 has it\n"
            f"  resource 2: no resourceType\n  resource 4: no resourceType\n  resource 5: no object\n{AGAIN}",
            id="no resources",
        ),
    ],
)
def test_a_file_that_is_no_fhir_is_refused_in_words(tmp_path, content, message):
    assert refused(tmp_path, content) == message


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        pytest.param({"item": "q1"}, "item of the response is no list", id="item is a text"),
        pytest.param({"item": {"linkId": "q1"}}, "item of the response is no list", id="item is an object"),
        pytest.param(
            {"item": [None]}, "item of the response holds something that is no object", id="a null item"
        ),
        pytest.param({"item": [{"text": "x"}]}, "an item without linkId", id="no linkId"),
        pytest.param(
            {"item": [item("q1", 4)]}, "answer of item q1 holds something that is no object", id="bare"
        ),
        pytest.param(
            {"item": [{"linkId": "q1", "answer": {}}]}, "answer of item q1 is no list", id="no list"
        ),
        pytest.param(
            {"item": [item("q1", {"valueInteger": 1, "valueString": "x"})]},
            "item q1: 2 values in one answer",
            id="two values",
        ),
        pytest.param(
            {"item": [item("q1", {"valueCoding": "a1"})]}, "item q1: valueCoding is no object", id="no coding"
        ),
        pytest.param(
            {"item": [item("q1", {"valueInteger": [1]})]},
            "item q1: valueInteger is not of its kind",
            id="a list",
        ),
        pytest.param(
            {"item": [item("q1", {"valueInteger": True})]},
            "item q1: valueInteger is not of its kind",
            id="a yes for a number",
        ),
        pytest.param(
            {"item": [item("q1", {"valueBoolean": "yes"})]},
            "item q1: valueBoolean is not of its kind",
            id="a text for yes or no",
        ),
        pytest.param(
            {"item": [item("q1", {"valueQuantity": 5})]},
            "item q1: valueQuantity is not of its kind",
            id="no quantity",
        ),
        pytest.param(
            {"item": [item("q1", {"valueInteger": 1, "item": "x"})]}, "item of item q1 is no list", id="below"
        ),
    ],
)
def test_a_response_that_is_not_as_it_should_be_is_named_or_left_out(tmp_path, fields, what):
    whole = bundle(TWO[0], response("P2", **fields))
    assert refused(tmp_path, whole) == (
        f"error: 1 resource is not as FHIR R4 has it\n  resource 2: {what}\n{AGAIN}"
    )
    loaded = read(tmp_path, whole, on_error="drop")
    assert loaded.responses["demo"]["case"].tolist() == ["P1"]
    assert loaded.notes[1] == f"1 resource is not as FHIR R4 has it, left out: resource 2: {what}"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        pytest.param("1e999", "1e999", id="too big for a machine"),
        pytest.param("9" * 5000, "9" * 5000, id="5,000 digits"),
        pytest.param("1e99999999999999999999", "1e99999999999999999999", id="too big for anything"),
    ],
)
def test_a_number_beyond_all_bounds_is_no_answer(tmp_path, number, shown):
    content = text_of(bundle(response(answers=("?", 2, 3)))).replace('"?"', number)
    told = refused(tmp_path, content)
    assert told.splitlines()[1] == f"  line 1: case P1, session 1, q1 = {shown}"


def test_an_exponent_is_written_out(tmp_path):
    content = text_of(bundle(response(answers=("?", 2, 3)))).replace('"?"', "5E0")
    assert forms(tmp_path, content)["q1"].tolist() == [5]


def test_lines_that_are_broken_are_named_and_can_be_left_out(tmp_path):
    good, other = lines_of(*TWO).splitlines()
    content = "\n".join([good, "", good[:40], "[" * 100_000, good.replace(":", "::", 1), '{"a": NaN}', other])
    assert refused(tmp_path, content, name="bulk.ndjson") == (
        "error: 4 lines are not as FHIR R4 has it\n"
        "  line 3: no JSON: Expecting ',' delimiter, column 41\n"
        "  line 4: nested too deep for FHIR\n"
        "  line 5: no JSON: Expecting value, column 17\n"
        "  line 6: no JSON: NaN is no number\n"
        f"{AGAIN}"
    )
    found = forms(tmp_path, content, name="bulk.ndjson", on_error="drop")
    assert found.index.tolist() == [1, 7]


@pytest.mark.parametrize("place", [0, 1], ids=["first", "last"])
def test_a_broken_line_is_named_wherever_it_stands(tmp_path, place):
    lines = lines_of(*TWO).splitlines()
    lines[place] = lines[place][:-1]
    told = refused(tmp_path, "\n".join(lines), name="bulk.ndjson")
    assert told.splitlines()[1].startswith(f"  line {place + 1}: no JSON: ")


def test_a_file_that_is_said_to_be_fhir_and_is_not_is_refused(tmp_path):
    told = refused(tmp_path, "case,session,q1\nP1,1,1\n", name="study.csv", source="fhir")
    assert told == f"error: the file is no JSON: Expecting value\n  line 1, column 1\n{CUT}"


def nodes(value, path=()):
    """Yield the path to everything inside a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from nodes(each, (*path, key))


def replaced(value, path, new):
    whole = json.loads(json.dumps(value))
    if not path:
        return new
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return whole


RICH = bundle(
    {**SCORED, "contained": [{"resourceType": "ValueSet", "id": "v", "compose": {"include": [{}]}}]},
    response(
        answers=[item("g", item=[item("q1", coding("b", "Sometimes", 2))]), *items(None, 2, 3)],
        id="r1",
        meta={"versionId": "1"},
        source={"reference": "#s", "identifier": {"value": "S"}},
        extension=own(1, "client", "T"),
    ),
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]},
    link=[{"relation": "next"}],
    total=2,
)


@pytest.mark.parametrize("new", [None, "x", 7, True, [], {}, [None], {"x": []}, ["x"]], ids=repr)
def test_whatever_stands_anywhere_in_a_file_is_read_or_refused(tmp_path, new):
    n_read = 0
    for path in nodes(RICH):
        for on_error in ("stop", "drop"):
            try:
                table(tmp_path, replaced(RICH, path, new), on_error=on_error)
                n_read += 1
            except AllianceError as error:
                assert str(error).startswith("error: ")  # noqa: PT017 -- most places are fine either way
    assert n_read


@pytest.mark.parametrize(
    "key", ["status", "subject", "authored", "item", "extension", "meta", "source", "id"]
)
@pytest.mark.parametrize("new", [None, "x", [{}]], ids=repr)
def test_a_response_with_anything_in_it_is_loaded_or_refused(tmp_path, key, new):
    try:
        read(tmp_path, bundle(TWO[0], {**response("P2"), key: new}), on_error="drop")
    except AllianceError as error:
        assert str(error).startswith("error: ")  # noqa: PT017 -- most fields are fine either way


def test_a_file_that_ends_anywhere_is_read_or_refused(tmp_path):
    whole = text_of(RICH)
    for length in range(1, len(whole), 7):
        told = refused(tmp_path, whole[:length])
        assert told.startswith("error: ")
