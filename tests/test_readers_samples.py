"""Real shapes of files: each must come out as its notes say, cell by cell."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from readers_helpers import mapped

from alliance.errors import DataError
from alliance.readers import ReadOptions, load, read_mapping
from alliance.scale import load_scale
from alliance.scoring import score

SAMPLES = Path(__file__).parent / "samples"
NASTY = SAMPLES / "nasty"
EXPECT = json.loads((NASTY / "EXPECT.json").read_text(encoding="utf-8"))


def definition(name):
    return load_scale(SAMPLES / "scales" / f"{name.lower()}.toml")


def mapping(name):
    path = SAMPLES / "maps" / f"{name}.toml"
    return read_mapping(path) if path.exists() else None


def load_nasty(case, file, **options):
    scale = definition(EXPECT[case]["scale"])
    loaded = load(NASTY / file, scale, options=ReadOptions(mapping=mapping(f"nasty_{case[:2]}"), **options))
    return loaded, score(loaded.responses[scale.id], scale)


def assert_scores(scores, expected):
    for key, wanted in expected.items():
        case, session, *rater = key.split("|")
        row = scores[(scores["case"] == case) & (scores["session"] == int(session))]
        row = row[row["rater"] == rater[0]] if rater else row
        assert len(row) == 1, key
        for name, value in wanted.items():
            assert row[name].iloc[0] == pytest.approx(
                np.nan if value is None else value, abs=1e-6, nan_ok=True
            ), key


LOADING = [
    pytest.param("01_bom_crlf", 0, "stop", id="byte order mark and CRLF"),
    pytest.param("03_utf16_tabs", 0, "stop", id="UTF-16 and tabs"),
    pytest.param("07_line_breaks_in_cells", 0, "stop", id="line breaks in cells"),
    pytest.param("08_sep_line_preamble_footer", 0, "stop", id="sep line, title and footer"),
    pytest.param("09_qualtrics_three_headers", 0, "stop", id="three header rows"),
    pytest.param("13_absent_items", 0, "drop", id="items without a column"),
    pytest.param("15_limesurvey_code_and_text", 0, "stop", id="code and text"),
    pytest.param("16_missing_codes", 0, "drop", id="twenty ways to be missing"),
    pytest.param("19_number_and_word_halves", 0, "drop", id="numbers and words"),
    pytest.param("22_straight_lining", 0, "stop", id="straight-lining"),
    pytest.param("24_recorded_total_disagrees", 0, "stop", id="recorded totals"),
    pytest.param("25_ids_are_text", 0, "stop", id="ids are text"),
    pytest.param("27_doubled_sessions", 0, "stop", id="exact doubles"),
    pytest.param("28_no_session_number_unsorted", 0, "stop", id="numbered by date"),
    pytest.param("33_wide_ragged", 0, "stop", id="wide"),
    pytest.param("34_long_and_redcap_repeating", 0, "stop", id="one answer a row"),
    pytest.param("34_long_and_redcap_repeating", 1, "stop", id="repeating instruments"),
    pytest.param("35_two_raters", 0, "stop", id="two raters"),
    pytest.param("37_ceiling_and_short_series", 0, "stop", id="lines of ten centimetres"),
    pytest.param("40_fhir_bundle", 0, "stop", id="FHIR"),
]


@pytest.mark.parametrize(("case", "number", "on_error"), LOADING)
def test_a_nasty_file_gives_the_scores_worked_out_beforehand(case, number, on_error):
    expected = EXPECT[case]
    loaded, scores = load_nasty(case, expected["files"][number], on_error=on_error)
    assert len(scores) == expected["rows"]
    assert scores["case"].nunique() == expected["persons"]
    assert_scores(scores, expected["scores_file_2" if number else "scores"])
    for name in expected.get("must_name", []):
        assert name in " ".join(loaded.notes)


REFUSED = [
    pytest.param("11_doubled_column", 0, ["wa5"], id="doubled column"),
    pytest.param("13_absent_items", 0, ["wa7", "wa8", "wa11"], id="items without a column"),
    pytest.param("16_missing_codes", 0, ["-99", "99", "999", "-7", "weiß nicht"], id="undeclared codes"),
    pytest.param(
        "19_number_and_word_halves", 0, ["2-3", "3?", "3/4", "3 4", "zwischen 3 und 4"], id="no single answer"
    ),
    pytest.param("27_doubled_sessions", 1, ["C02", "session 3"], id="conflicting doubles"),
]


@pytest.mark.parametrize(("case", "number", "named"), REFUSED)
def test_a_nasty_file_is_refused_and_what_is_wrong_is_named(case, number, named):
    with pytest.raises(DataError) as caught:
        load_nasty(case, EXPECT[case]["files"][number])
    told = "\n".join((str(t) + "\n" + "\n".join(t.where)) for t in caught.value.troubles)
    for name in named:
        assert name in told


def test_absent_items_are_named_once_and_not_as_incomplete_forms():
    loaded, _ = load_nasty("13_absent_items", "13_absent_items/sessions.csv", on_error="drop")
    assert loaded.notes[-1] == "3 items have no column in the file: wa7, wa8, wa11"
    assert loaded.rejected.empty


def test_declared_codes_are_missing_and_nothing_is_rejected():
    loaded, scores = load_nasty(
        "16_missing_codes", "16_missing_codes/sessions.csv", missing=("-99", "99", "999", "-7", "weiß nicht")
    )
    assert loaded.rejected.empty
    assert_scores(scores, EXPECT["16_missing_codes"]["scores"])


def test_a_conflicting_session_is_left_out_and_listed_on_drop():
    loaded, scores = load_nasty("27_doubled_sessions", "27_doubled_sessions/conflicting.csv", on_error="drop")
    assert len(scores) == 14
    assert ("C02", 3) not in set(zip(scores["case"], scores["session"], strict=True))
    assert loaded.rejected["line"].tolist() == [9, 10]
    assert loaded.rejected["problem"].tolist() == ["form there twice", "form there twice"]


@pytest.mark.parametrize(("keep", "first_answer"), [("first", 4.0), ("last", 2.0)])
def test_keep_chooses_between_conflicting_rows_and_says_so(keep, first_answer):
    loaded, _ = load_nasty("27_doubled_sessions", "27_doubled_sessions/conflicting.csv", keep=keep)
    forms = loaded.responses["wa12"]
    row = forms[(forms["case"] == "C02") & (forms["session"] == 3)]
    assert row["q1"].tolist() == [first_answer]
    line = {"first": 9, "last": 10}[keep]
    assert loaded.notes[-1] == (
        f"1 session there twice with different answers, the {keep} kept: line {line}: case C02, session 3"
    )


def test_ids_come_back_as_they_were_typed():
    loaded, _ = load_nasty("25_ids_are_text", "25_ids_are_text/sessions.csv")
    assert loaded.responses["wa12"]["case"].unique().tolist() == [
        "007",
        "7",
        "07",
        "1E5",
        "100000",
        "2024-03",
    ]


def test_lines_are_those_of_the_file_where_the_record_starts():
    loaded, _ = load_nasty("07_line_breaks_in_cells", "07_line_breaks_in_cells/sessions.csv")
    lines = (NASTY / "07_line_breaks_in_cells" / "sessions.csv").read_text(encoding="utf-8").split("\n")
    for line, case, session in loaded.responses["wa12"][["case", "session"]].itertuples():
        assert lines[line - 1].startswith(f"{case},{session},")


def canonical():
    with (SAMPLES / "canonical.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def truth(column):
    return [row[column] for row in canonical()]


def true_answers():
    rows = [[row[f"ali_{item}"] for item in range(1, 13)] for row in canonical()]
    return np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])


DAYS = truth("date")
PERSONS = truth("client_id")
RECORDS = [person[-1] for person in PERSONS]
SITES = [f"NL-00{record}" for record in RECORDS]
TOKENS = [f"tok{person}XXXXXXXX" for person in PERSONS]

SAME_AS_CANONICAL = [
    pytest.param("canonical.csv", "", PERSONS, DAYS, id="canonical"),
    pytest.param("items_long.csv", "", PERSONS, DAYS, id="one answer a row"),
    pytest.param("osf_wide_zero_based.csv", "osf_wide_zero_based", PERSONS, None, id="wide, counted from 0"),
    pytest.param(
        "excel_unicode_text_utf16.txt", "excel_unicode_text_utf16", PERSONS, DAYS, id="UTF-16, month first"
    ),
    pytest.param("excel_clinic.xlsx", "excel_clinic", PERSONS, DAYS, id="Excel"),
    pytest.param("spss_long.sav", "spss_long", PERSONS, DAYS, id="SPSS"),
    pytest.param("castor_survey.csv", "", SITES, DAYS, id="Castor"),
    pytest.param("castor_survey.csv", "castor_survey", SITES, DAYS, id="Castor, with a mapping"),
    pytest.param("bids/phenotype/alliance.tsv", "", PERSONS, None, id="BIDS"),
    pytest.param("redcap_repeating_raw.csv", "redcap_repeating", RECORDS, DAYS, id="REDCap, raw"),
    pytest.param("redcap_repeating_labels.csv", "redcap_repeating", RECORDS, DAYS, id="REDCap, labels"),
    pytest.param("redcap_eav.csv", "redcap_repeating", RECORDS, DAYS, id="REDCap, one field a row"),
    pytest.param("redcap_longitudinal_events.csv", "", RECORDS, DAYS, id="REDCap, events"),
    pytest.param(
        "limesurvey_full_answers.csv", "limesurvey_full_answers", PERSONS, DAYS, id="LimeSurvey, words"
    ),
    pytest.param("limesurvey_codes.csv", "limesurvey_codes", PERSONS, DAYS, id="LimeSurvey, codes"),
    pytest.param("qualtrics_numeric.csv", "qualtrics_numeric", PERSONS, DAYS, id="Qualtrics, recoded"),
    pytest.param("qualtrics_choicetext.csv", "", PERSONS, DAYS, id="Qualtrics, words"),
    pytest.param("google_forms.csv", "google_forms", PERSONS, DAYS, id="Google Forms"),
    pytest.param("formr_results.csv", "formr_results", TOKENS, DAYS, id="formr"),
]


@pytest.mark.parametrize(("file", "map_name", "cases", "dates"), SAME_AS_CANONICAL)
def test_a_sample_equals_the_canonical_study_cell_by_cell(file, map_name, cases, dates):
    scale = load_scale("wai-sr")
    options = ReadOptions(mapping=mapping(map_name), missing=("-99",) if "redcap" in file else ())
    responses = load(SAMPLES / file, scale, options=options).responses["wai-sr"]
    assert responses["case"].tolist() == cases
    assert responses["session"].tolist() == [int(number) for number in truth("session")]
    np.testing.assert_array_equal(responses[list(scale.items)].to_numpy(), true_answers())
    if dates is None:
        assert responses["date"].isna().all()
    else:
        assert responses["date"].dt.strftime("%Y-%m-%d").tolist() == dates


def left_out(file, map_name):
    loaded = load(
        SAMPLES / file,
        load_scale("wai-sr"),
        options=ReadOptions(mapping=mapping(map_name), unfinished="drop"),
    )
    pairs = loaded.responses["wai-sr"][["case", "session"]].to_numpy().tolist()
    sessions = zip(PERSONS, map(int, truth("session")), strict=True)
    return [pair for pair in sessions if list(pair) not in pairs], loaded


@pytest.mark.parametrize(
    ("file", "map_name", "gone"),
    [
        pytest.param("limesurvey_codes.csv", "limesurvey_codes", [("P002", 2)], id="LimeSurvey, codes"),
        pytest.param(
            "limesurvey_full_answers.csv", "limesurvey_full_answers", [("P002", 2)], id="LimeSurvey, words"
        ),
        pytest.param("qualtrics_numeric.csv", "qualtrics_numeric", [], id="Qualtrics has a finished one"),
    ],
)
def test_what_was_begun_and_not_sent_can_be_left_out(file, map_name, gone):
    assert left_out(file, map_name)[0] == gone


def test_a_preview_a_partial_and_a_double_of_qualtrics_are_told():
    _, loaded = left_out("qualtrics_numeric.csv", "qualtrics_numeric")
    for note in [
        "rows of question texts and ImportIds not read: line 2; line 3",
        "1 row of previews, tests or spam not read: line 4: Status 1",
        "1 unfinished form of a session with a finished one not read: line 25: case P002, session 2",
        "1 row there again with the same answers, kept once: line 24: case P001, session 2",
    ]:
        assert note in loaded.notes


def test_decimal_commas_of_a_desktop_export_are_read():
    options = ReadOptions(mapping=mapping("desktop_de_vas_cp1252"))
    loaded = load(SAMPLES / "desktop_de_vas_cp1252.csv", definition("SR4"), options=options)
    forms = loaded.responses["sr4"].set_index(["case", "session"])
    assert forms.loc[("P001", 1), ["q1", "q2", "q3", "q4"]].tolist() == [8.3, 9.2, 7.5, 7.5]
    assert forms.loc[("P002", 4), ["q1", "q2", "q3", "q4"]].tolist() == [3.3, 3.3, 5.0, 5.0]
    assert np.isnan(forms.loc[("P002", 5), "q4"])
    assert forms[["q1", "q2", "q3", "q4"]].isna().sum().sum() == 1
    assert forms.loc[("P002", 4), "date"] == pd.Timestamp("2026-01-27")
    assert loaded.notes == ("the file is encoded in Windows-1252",)


def test_ids_and_sessions_of_google_forms_are_left_alone_unless_a_mapping_says_more():
    names = "[columns]\ncase = 'Your code (from your therapist)'"
    options = ReadOptions(mapping=mapped(names))
    responses = load(SAMPLES / "google_forms.csv", load_scale("wai-sr"), options=options).responses["wai-sr"]
    assert set(responses["case"]) == {
        "P001", "P002", "P003", "P004", "p001", "p003", "P-001", "P 002", "PO04",
    }  # fmt: skip
    assert len(responses) == 19


def test_items_turned_round_by_the_program_are_not_taken_for_the_items():
    with pytest.raises(DataError) as caught:
        load(SAMPLES / "formr_results.csv", load_scale("wai-sr"))
    assert str(caught.value) == (
        "error: items may have been turned round by formr before: ali_4R, ali_10R\n"
        'hint: say in a mapping which were: turned = ["ali_4R", "ali_10R"], or turned = [] for none'
    )


@pytest.mark.parametrize("name", ["wa12", "ws12", "sr4"])
def test_the_definitions_of_the_samples_give_their_hand_worked_scores(name):
    scale = definition(name)
    for vector in scale.vectors:
        answers = pd.DataFrame(
            [[np.nan if a is None else a for a in vector.answers]], columns=list(scale.items)
        )
        form = answers.assign(case="C01", session=1, date=pd.NaT, therapist="", rater="client")
        for score_name, value in vector.scores.items():
            found = score(form, scale)[score_name].iloc[0]
            assert found == pytest.approx(np.nan if value is None else value, nan_ok=True)
