"""BIDS phenotype tables: codes, visits, the file beside them that says what their columns mean."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from readers_helpers import DEMO, mapped, write

from alliance.errors import AllianceError, DataError, StoreError
from alliance.readers import ReadOptions, load
from alliance.readers.opening import read_export
from alliance.scale import load_scale

SAMPLES = Path(__file__).parent / "samples"
NA = np.nan
TABLE = "participant_id\tsession_id\tq1\tq2\tq3\nsub-P1\tses-01\t1\t2\t3\nsub-P1\tses-02\tn/a\t5\t6\n"


def read(folder, text=TABLE, sidecar=None, *, name="demo.tsv", **settings):
    if sidecar is not None:
        content = sidecar if isinstance(sidecar, str | bytes) else json.dumps(sidecar)
        write(folder, content, name="demo.json")
    return load(write(folder, text, name=name), DEMO, options=ReadOptions(**settings))


def export(folder, text=TABLE, sidecar=None):
    if sidecar is not None:
        write(folder, json.dumps(sidecar), name="demo.json")
    return read_export(write(folder, text, name="demo.tsv"))


def refused(folder, *content, **settings):
    with pytest.raises(DataError) as caught:
        read(folder, *content, **settings)
    return str(caught.value)


def forms(folder, *content, **settings):
    return read(folder, *content, **settings).responses["demo"]


def test_the_sample_equals_the_canonical_study_and_says_how_it_was_read():
    with (SAMPLES / "canonical.csv").open(encoding="utf-8", newline="") as file:
        truth = list(csv.DictReader(file))
    loaded = load(SAMPLES / "bids" / "phenotype" / "alliance.tsv", load_scale("wai-sr"))
    found = loaded.responses["wai-sr"]
    assert found["case"].tolist() == [row["client_id"] for row in truth]
    assert found["session"].tolist() == [int(row["session"]) for row in truth]
    wanted = [[float(row[f"ali_{n}"] or "nan") for n in range(1, 13)] for row in truth]
    np.testing.assert_array_equal(found[[f"q{n}" for n in range(1, 13)]].to_numpy(), wanted)
    assert loaded.notes == (
        "the file is read as a BIDS phenotype table (tab-separated, participant_id of sub-…); --from names "
        "another source",
        "prefixes of BIDS taken off: sub- in 'participant_id'; ses- in 'session_id'",
        "'alliance.json' says what the columns mean",
        "column 'participant_id' is read as the case (as bids names it)",
        "column 'session_id' is read as the session (as bids names it)",
        "columns ali_1 to ali_12 are read as the items of 'wai-sr'",
    )


def test_people_visits_and_missing_answers_are_read(tmp_path):
    found = forms(tmp_path)
    assert found[["case", "session"]].to_numpy().tolist() == [["P1", 1], ["P1", 2]]
    np.testing.assert_array_equal(found[["q1", "q2", "q3"]].to_numpy(), [[1, 2, 3], [NA, 5, 6]])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("participant_id,session_id,q1,q2,q3\nsub-P1,ses-01,1,2,3\n", id="commas"),
        pytest.param("case\tsession\tq1\tq2\tq3\nsub-P1\t1\t1\t2\t3\n", id="another first column"),
        pytest.param("session\tparticipant_id\tq1\tq2\tq3\n1\tsub-P1\t1\t2\t3\n", id="second column"),
        pytest.param(
            "participant_id\tsession\tq1\tq2\tq3\nsub-P1\t1\t1\t2\t3\nP2\t1\t1\t2\t3\n", id="no sub-"
        ),
        pytest.param("participant_id\tsession\tq1\n", id="no rows"),
    ],
)
def test_another_table_is_not_taken_for_bids(tmp_path, text):
    assert read_export(write(tmp_path, text, name="demo.tsv")).source == ""


def test_a_blank_line_above_is_passed_over(tmp_path):
    found = forms(tmp_path, "\t\t\t\t\n" + TABLE)
    assert found.index.tolist() == [3, 4]
    assert found["case"].tolist() == ["P1", "P1"]


def test_a_code_of_our_own_writer_comes_before_that_of_bids(tmp_path):
    lines = [line.split("\t") for line in TABLE.splitlines()]
    own = [["Case", "Session"], ["P 1", "4"], ["P 1", "7"]]
    text = "".join("\t".join([*line, *more]) + "\n" for line, more in zip(lines, own, strict=True))
    found = forms(tmp_path, text)
    assert found[["case", "session", "q3"]].to_numpy().tolist() == [["P 1", 4, 3], ["P 1", 7, 6]]


def test_a_subject_column_beside_it_is_not_the_case(tmp_path):
    text = TABLE.replace("session_id\t", "session_id\tsubject\t").replace("ses-01\t", "ses-01\tA\t")
    assert forms(tmp_path, text.replace("ses-02\t", "ses-02\tA\t"))["case"].tolist() == ["P1", "P1"]


@pytest.mark.parametrize(
    ("text", "cases", "sessions", "told"),
    [
        pytest.param(
            TABLE.replace("ses-", ""), ["P1", "P1"], [1, 2], "sub- in 'participant_id'", id="bare sessions"
        ),
        pytest.param(
            TABLE.replace("ses-01", "n/a"),
            ["P1"],
            [2],
            "sub- in 'participant_id'; ses- in 'session_id'",
            id="an answer without a session",
        ),
    ],
)
def test_prefixes_are_taken_off_only_where_every_code_has_them(tmp_path, text, cases, sessions, told):
    loaded = read(tmp_path, text, on_error="drop")
    found = loaded.responses["demo"]
    assert (found["case"].tolist(), found["session"].tolist()) == (cases, sessions)
    assert f"prefixes of BIDS taken off: {told}" in loaded.notes


def test_codes_are_left_as_they_are_where_some_have_no_prefix(tmp_path):
    text = TABLE.replace("ses-", "").replace("sub-P1\t02", "P1\t02")
    loaded = read(tmp_path, text, source="bids", on_error="drop")
    assert loaded.responses["demo"]["case"].tolist() == ["sub-P1", "P1"]
    assert not [note for note in loaded.notes if "prefixes" in note]


def test_visits_by_name_are_numbered_by_a_mapping(tmp_path):
    text = TABLE.replace("ses-01", "ses-intake").replace("ses-02", "ses-end")
    found = forms(tmp_path, text, mapping=mapped("sessions = { intake = 1, end = 9 }"))
    assert found["session"].tolist() == [1, 9]


def test_one_row_a_person_is_read_by_a_pattern(tmp_path):
    text = "participant_id\t" + "\t".join(f"d{i}_s{s}" for s in (1, 2) for i in (1, 2, 3))
    text += "\nsub-P1\t1\t2\t3\t4\tn/a\t6\nsub-P2\t7\t7\t7\tn/a\tn/a\tn/a\n"
    found = forms(tmp_path, text, mapping=mapped("pattern = 'd{item}_s{session}'"))
    assert found[["case", "session"]].to_numpy().tolist() == [["P1", 1], ["P1", 2], ["P2", 1]]
    np.testing.assert_array_equal(found[["q1", "q2", "q3"]].to_numpy(), [[1, 2, 3], [4, NA, 6], [7, 7, 7]])


def test_without_a_session_forms_are_numbered_by_the_time_of_the_visit(tmp_path):
    text = "participant_id\tacq_time\tq1\tq2\tq3\nsub-P1\t2026-01-12T10:00:00\t1\t2\t3\n"
    found = forms(tmp_path, text + "sub-P1\t2026-01-05T10:00:00\t4\t5\t6\n")
    assert found[["session", "q1"]].to_numpy().tolist() == [[1, 4], [2, 1]]


def test_empty_cells_are_told_and_unanswered(tmp_path):
    loaded = read(tmp_path, TABLE.replace("n/a", "") + "\n")
    assert "1 empty cell read as n/a, which BIDS asks for" in loaded.notes
    assert np.isnan(loaded.responses["demo"]["q1"].iloc[1])


# The sidecar


def test_words_and_texts_come_from_the_file_beside_it(tmp_path):
    sidecar = {
        "MeasurementToolMetadata": {"Description": "Demo"},
        "q1": {
            "LongName": "Item one",
            "Description": "Rating",
            "Levels": {
                "1": "never",
                "7": {"Description": "always"},
                "n/a": "not answered",
                "8": None,
                "9": 5,
            },
        },
        "q2": {"Description": "Rating"},
        "q3": {"Levels": ["never"]},
        "elsewhere": {"Levels": {"1": "x"}},
    }
    found = export(tmp_path, sidecar=sidecar)
    assert found.levels == {"q1": {"1": "never", "7": "always", "9": "5"}}
    assert found.labels == {"q1": "Item one", "q2": "Rating"}
    assert found.notes[-1] == "'demo.json' says what the columns mean"


def test_words_in_the_cells_are_read_by_the_levels(tmp_path):
    sidecar = {"q1": {"Levels": {"1": "low", "2": "high"}}}
    text = TABLE.replace("\t1\t2\t3", "\tHigh\t2\t3")
    assert forms(tmp_path, text, sidecar)["q1"].iloc[0] == 2


def test_levels_against_the_form_are_refused(tmp_path):
    assert refused(tmp_path, TABLE, {"q2": {"Levels": {"0": "never"}}}) == (
        "error: in column 'q2' 0 means 'never', which is 1 on 'demo'\n"
        "hint: say in a mapping what the codes are: shift, or [answers] with a number for each code"
    )


def test_derived_scores_are_no_items(tmp_path):
    text = "participant_id\tsession_id\td1\td2\tscore_1\td3\ttotal\nsub-P1\tses-1\t1\t2\t40\t3\t2\n"
    text = text.replace("score_1", "d4")
    sidecar = {"d4": {"Derivative": True}, "total": {"Derivative": True}, "d1": {"Derivative": False}}
    loaded = read(tmp_path, text, sidecar)
    assert loaded.responses["demo"][["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 2, 3]]
    assert "1 column of derived scores not read: d4" in loaded.notes


def test_without_the_sidecar_a_column_beyond_the_form_is_refused(tmp_path):
    text = "participant_id\tsession_id\tq1\tq2\tq3\tq4\nsub-P1\tses-1\t1\t2\t3\t40\n"
    assert refused(tmp_path, text).startswith(
        "error: the form 'demo' has 3 items, and the file also answers q4"
    )
    assert forms(tmp_path, text, {"q4": {"Derivative": True}})["q3"].tolist() == [3]


def test_a_row_that_is_too_long_stays_so(tmp_path):
    text = "participant_id\tsession_id\tq1\tq2\tq3\tq4\nsub-P1\tses-1\t1\t2\t3\t40\tx\nsub-P1\tses-2\t1\t2\n"
    told = refused(tmp_path, text, {"q4": {"Derivative": True}})
    assert told.splitlines()[:2] == [
        "error: 1 row with more cells than the header has columns",
        "  line 2: 6 cells for 5 columns",
    ]


def test_a_dictionary_comes_before_the_file_beside_it(tmp_path):
    other = write(tmp_path, json.dumps({"q1": {"LongName": "Other"}}), name="other.json")
    loaded = read(tmp_path, TABLE, {"q1": {"Levels": {"0": "never"}}}, dictionary=other)
    assert "'other.json' says what the columns mean" in loaded.notes


def test_a_dictionary_that_is_not_there_is_no_data_error(tmp_path):
    with pytest.raises(StoreError) as caught:
        read(tmp_path, dictionary=tmp_path / "no.json")
    assert str(caught.value).startswith(f"error: cannot read '{tmp_path / 'no.json'}'")


def test_standard_input_has_no_sidecar(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "no JSON", name="-.json")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TABLE.encode())))
    assert load("-", DEMO).responses["demo"]["case"].tolist() == ["P1", "P1"]


MEANS = "error: 'demo.json', which is to say what the columns mean, is no JSON object\n"
AWAY = "hint: correct it, or move it away to read the table without it"


@pytest.mark.parametrize(
    ("sidecar", "where"),
    [
        pytest.param("[]", "", id="a list"),
        pytest.param("7", "", id="a number"),
        pytest.param("null", "", id="nothing"),
        pytest.param(
            "{", "  Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n", id="cut"
        ),
        pytest.param('{"q1": NaN}', "  NaN is no number\n", id="NaN"),
        pytest.param('{"q1": 1, "q1": 2}', "  'q1' is there twice in one object\n", id="a column twice"),
    ],
)
def test_a_sidecar_that_is_no_object_is_named(tmp_path, sidecar, where):
    assert refused(tmp_path, TABLE, sidecar) == f"{MEANS}{where}{AWAY}"


def test_a_sidecar_nested_without_end_is_named(tmp_path):
    told = refused(tmp_path, TABLE, "[" * 100_000)
    assert told.startswith(MEANS)
    assert told.endswith(AWAY)


@pytest.mark.parametrize("column", [None, 5, "x", [], [1], {"Levels": 5}, {"Levels": {"1": []}}], ids=repr)
def test_a_column_that_is_not_described_as_it_should_be_is_not_described(tmp_path, column):
    assert export(tmp_path, sidecar={"q1": column}).levels == {}


def test_a_table_without_participant_id_is_refused_if_it_is_said_to_be_bids(tmp_path):
    assert refused(tmp_path, "case\tsession\tq1\tq2\tq3\nP1\t1\t1\t2\t3\n", source="bids") == (
        "error: there is no column participant_id, which every BIDS table has\n"
        "hint: name its source with --from, or take `from` out of the mapping"
    )


@pytest.mark.parametrize("length", range(1, len(TABLE), 3))
def test_a_table_that_ends_anywhere_is_read_or_refused(tmp_path, length):
    for source in (None, "bids"):
        try:
            read(tmp_path, TABLE[:length], source=source)
        except AllianceError as error:
            assert str(error).startswith("error: ")  # noqa: PT017 -- some tables are fine
