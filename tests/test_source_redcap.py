"""REDCap exports: raw and labelled, flat and one field a row, repeated, longitudinal, with a dictionary."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readers_helpers import forms_of, mapped, read_demo, refusal, write

from alliance.errors import AllianceError, StoreError
from alliance.readers import ReadOptions, load
from alliance.readers.export import Export
from alliance.readers.sources import SYSTEMS, known_sources
from alliance.readers.sources.redcap_dictionary import name_columns, read_dictionary
from alliance.readers.text import Records, read_text
from alliance.scale import load_scale

SAMPLES = Path(__file__).parent / "samples"
DICTIONARY = SAMPLES / "redcap_dictionary.csv"
ITEMS = [f"q{number}" for number in range(1, 13)]

REPEATED = "record_id,redcap_repeat_instrument,redcap_repeat_instance"
EVENTS = "record_id,redcap_event_name"
BOTH = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance"
FIELDS = "record,redcap_repeat_instrument,redcap_repeat_instance,field_name,value"
HEADER = (
    "Variable / Field Name,Form Name,Field Type,Field Label,"
    '"Choices, Calculations, OR Slider Labels",Text Validation Type OR Show Slider Number,Identifier?'
)
FOR_PROGRAMS = (
    "field_name,form_name,field_type,field_label,select_choices_or_calculations,"
    "text_validation_type_or_show_slider_number,identifier"
)
WORDS = '"1, Never | 4, Sometimes | 7, Always"'


def canonical():
    with (SAMPLES / "canonical.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def keys_of(forms):
    """Return case, session and date of each form, as texts."""
    dates = forms["date"].dt.strftime("%Y-%m-%d").fillna("")
    return list(zip(forms["case"], forms["session"], dates, strict=True))


def dictionary(folder, *rows, header=HEADER, name="dictionary.csv"):
    return write(folder, "\n".join([header, "record_id,start,text,Study ID,,,", *rows]) + "\n", name=name)


def demo_dictionary(folder, *more, choices=WORDS, header=HEADER):
    items = [f"ali_{number},alliance,radio,Item {number},{choices},," for number in (1, 2, 3)]
    return dictionary(folder, *items, *more, header=header)


def answers(forms):
    return forms[["q1", "q2", "q3"]].to_numpy().tolist()


# ----------------------------------------------------------------------------------------------------------
# The samples


SAME = [
    pytest.param("redcap_repeating_raw.csv", ("-99",), None, id="raw"),
    pytest.param("redcap_repeating_raw.csv", ("-99",), DICTIONARY, id="raw, dictionary"),
    pytest.param("redcap_repeating_labels.csv", ("Refused",), None, id="labels"),
    pytest.param("redcap_repeating_labels.csv", ("Refused",), DICTIONARY, id="labels, dictionary"),
    pytest.param("redcap_repeating_labels.csv", ("-99",), DICTIONARY, id="labels, the word not declared"),
    pytest.param("redcap_eav.csv", ("-99",), None, id="one field a row"),
    pytest.param("redcap_eav.csv", ("-99",), DICTIONARY, id="one field a row, dictionary"),
    pytest.param("redcap_longitudinal_events.csv", (), None, id="events"),
    pytest.param("redcap_longitudinal_events.csv", (), DICTIONARY, id="events, dictionary"),
]


@pytest.mark.parametrize(("file", "missing", "path"), SAME)
def test_each_export_of_the_study_equals_it_cell_by_cell(file, missing, path):
    options = ReadOptions(missing=missing, dictionary=path)
    loaded = load(SAMPLES / file, load_scale("wai-sr"), options=options)
    forms = loaded.responses["wai-sr"]
    truth = canonical()
    assert keys_of(forms) == [(row["client_id"][-1], int(row["session"]), row["date"]) for row in truth]
    wanted = [[float(row[f"ali_{n}"] or "nan") for n in range(1, 13)] for row in truth]
    np.testing.assert_array_equal(forms[ITEMS].to_numpy(), np.array(wanted))
    assert set(forms["rater"]) == {"client"}
    assert loaded.rejected.empty


def test_what_was_recognised_and_left_out_is_told():
    options = ReadOptions(missing=("-99",), dictionary=DICTIONARY)
    notes = load(SAMPLES / "redcap_repeating_labels.csv", load_scale("wai-sr"), options=options).notes
    assert notes == (
        "the file is read as a REDCap export (labelled, by the columns Repeat Instrument and Repeat "
        "Instance); --from names another source",
        "'Refused': no choice in the data dictionary, read as missing (-99 declared)",
        "4 rows without this form not read: line 2; line 9; line 16; line 19",
        "column 'record_id' is read as the case (as redcap names it)",
        "column 'redcap_repeat_instance' is read as the session (as redcap names it)",
        "column 'session_date' is read as the date (well-known name)",
        "columns ali_1 to ali_12 are read as the items of 'wai-sr'",
    )


def test_events_without_any_answer_are_dropped_and_told():
    notes = load(SAMPLES / "redcap_longitudinal_events.csv", load_scale("wai-sr")).notes
    assert notes[:3] == (
        "the file is read as a REDCap export (by the column redcap_event_name); --from names another source",
        "5 rows without any answer not read: line 19; line 20; line 21; line 22; line 29",
        "4 rows without this form not read: line 2; line 9; line 16; line 23",
    )


def test_a_word_for_missing_must_be_declared_where_there_is_no_dictionary(tmp_path):
    with pytest.raises(AllianceError) as caught:
        load(SAMPLES / "redcap_repeating_labels.csv", load_scale("wai-sr"))
    assert str(caught.value).startswith(
        "error: 6 answers are no number and no known word\n"
        "  line 5: case 1, session 3, Alliance item 5 (q5) = Refused\n"
    )


# ----------------------------------------------------------------------------------------------------------
# Recognition


@pytest.mark.parametrize(
    ("rows", "evidence"),
    [
        pytest.param([EVENTS + ",q1"], "by the column redcap_event_name", id="events"),
        pytest.param([REPEATED + ",q1"], "by the column redcap_repeat_instrument", id="instruments"),
        pytest.param(
            ["id,redcap_data_access_group,q1"], "by the column redcap_data_access_group", id="groups"
        ),
        pytest.param(
            ["id,redcap_survey_identifier,q1"], "by the column redcap_survey_identifier", id="survey"
        ),
        pytest.param(["", REPEATED], "by the column redcap_repeat_instrument", id="blank line above"),
        pytest.param(
            ["Study ID,Repeat Instrument,Repeat Instance,Item 1"],
            "labelled, by the columns Repeat Instrument and Repeat Instance",
            id="labels",
        ),
        pytest.param(
            ["Study ID,Item 1,Complete?", "1,4,Unverified"],
            "labelled, by the column Complete?",
            id="labelled status",
        ),
        pytest.param(
            ["record_id,ali_1,alliance_complete", "1,4,2"],
            "by the columns record_id and alliance_complete",
            id="status at the end",
        ),
        pytest.param(
            ["record,field_name,value"],
            "one field a row, by the columns record, field_name and value",
            id="one field a row",
        ),
        pytest.param(
            ["record,redcap_event_name,field_name,value"],
            "one field a row, by the columns record, field_name and value",
            id="one field a row, with events",
        ),
        pytest.param(["case,session,q1"], "", id="plain"),
        pytest.param(["record_id,session,q1", "1,1,4"], "", id="a record alone"),
        pytest.param(["record_id,session,item,value"], "", id="one answer a row"),
        pytest.param(["record,field_name,value,session"], "", id="one answer a row, with a session"),
        pytest.param(["record_id,q1,homework_complete", "1,4,yes"], "", id="no status in it"),
        pytest.param(["record_id,q1,alliance_complete", "1,4,"], "", id="status never given"),
        pytest.param(["client,q1,alliance_complete", "1,4,2"], "", id="status without a record"),
        pytest.param(["record_id,alliance_complete,q1", "1,2,4"], "", id="status in the middle"),
        pytest.param(["Study ID,Repeat Instance,Item 1"], "", id="an instance alone"),
        pytest.param(["Study ID,Event Name,Item 1"], "", id="an event alone"),
        pytest.param([""], "", id="nothing"),
    ],
)
def test_only_what_redcap_alone_writes_is_recognised(rows, evidence):
    known_sources()
    records = read_text("\n".join(rows).encode())
    assert SYSTEMS["redcap"].recognise(Export(records=records)) == evidence


def test_a_table_without_rows_is_not_recognised():
    known_sources()
    assert SYSTEMS["redcap"].recognise(Export(records=Records(rows=[], lines=[]))) == ""


def test_an_export_without_a_mark_is_read_as_one_if_the_user_says_so(tmp_path):
    text = "pid,session,q1,q2,q3,ali_complete,note\nA,1,1,2,3,0,x\nA,2,4,5,6,2,\n"
    assert read_demo(tmp_path, text, source="redcap").notes == (
        "the file is read as a REDCap export (named by --from); --from names another source",
        "column 'pid' is read as the case (as redcap names it)",
        "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
        "line 2: case A, session 1",
    )


def test_a_record_is_not_the_first_column_where_that_is_one_of_redcap_s_own(tmp_path):
    text = "redcap_repeat_instance,client,q1,q2,q3\n1,A,1,2,3\n2,A,4,5,6\n"
    assert keys_of(forms_of(tmp_path, text)) == [("A", 1, ""), ("A", 2, "")]


# ----------------------------------------------------------------------------------------------------------
# Repeating instruments and events


def test_rows_of_another_instrument_and_of_the_record_itself_are_no_forms(tmp_path):
    text = (
        f"{REPEATED},redcap_data_access_group,sex,q1,q2,q3,ali_complete,bp,vitals_complete\n"
        "A,,,north,f,,,,,,\nA,ali,1,north,,1,2,3,2,,\nA,vitals,1,north,,,,,,120,2\n"
        "A,ali,2,north,,4,5,6,2,,\nA,vitals,2,north,,,,,,,2\n"
    )
    loaded = read_demo(tmp_path, text)
    assert keys_of(loaded.responses["demo"]) == [("A", 1, ""), ("A", 2, "")]
    assert answers(loaded.responses["demo"]) == [[1, 2, 3], [4, 5, 6]]
    assert loaded.notes[1] == "3 rows without this form not read: line 2; line 4; line 6"


def test_without_a_status_the_instrument_says_which_rows_hold_the_form(tmp_path):
    text = f"{REPEATED},q1,q2,q3,bp\nA,ali,1,1,2,3,\nA,vitals,1,,,,120\nA,ali,2,-99,,,\n"
    forms = forms_of(tmp_path, text, missing=("-99",))
    assert keys_of(forms) == [("A", 1, ""), ("A", 2, "")]
    assert np.isnan(forms.loc[4, ["q1", "q2", "q3"]].astype(float)).all()


def test_a_form_with_answers_and_no_instance_is_refused(tmp_path):
    text = f"{REPEATED},q1,q2,q3\nA,,,,,\nA,ali,1,1,2,3\nA,ali,,1,2,3\n"
    assert refusal(tmp_path, text) == (
        "error: 1 form without a session number\n  line 4: case A\n"
        "hint: number the session, or leave out rows that are no forms with skip_cases in a mapping"
    )


def test_a_session_that_the_form_itself_asks_for_is_stronger_than_its_instance(tmp_path):
    text = f"{REPEATED},session_number,q1,q2,q3\nA,ali,1,4,1,2,3\nA,ali,2,2,4,5,6\n"
    assert keys_of(forms_of(tmp_path, text)) == [("A", 2, ""), ("A", 4, "")]


def test_a_repeating_event_numbers_its_sessions_by_instance(tmp_path):
    text = (
        f"{BOTH},sex,q1,q2,q3,mood\n"
        "A,baseline_arm_1,,,f,,,,\nA,visit_arm_1,,1,,1,2,3,9\nA,visit_arm_1,,2,,4,5,6,9\n"
    )
    assert keys_of(forms_of(tmp_path, text)) == [("A", 1, ""), ("A", 2, "")]


def test_an_instrument_that_stands_once_in_each_event_is_numbered_by_event(tmp_path):
    text = f"{BOTH},q1,q2,q3\nA,session_1_arm_1,ali,1,1,2,3\nA,session_3_arm_1,ali,1,4,5,6\n"
    assert keys_of(forms_of(tmp_path, text)) == [("A", 1, ""), ("A", 3, "")]


def test_instances_of_different_instruments_do_not_get_into_each_other_s_way(tmp_path):
    text = (
        f"{BOTH},q1,q2,q3,bp\nA,acute_arm_1,ali,1,1,2,3,\nA,acute_arm_1,ali,2,4,5,6,\n"
        "A,later_arm_1,vitals,1,,,,120\n"
    )
    assert keys_of(forms_of(tmp_path, text)) == [("A", 1, ""), ("A", 2, "")]


def test_a_row_that_ends_early_keeps_its_answers_in_their_columns(tmp_path):
    text = (
        "record_id,q1,q2,q3,redcap_event_name,remark,redcap_repeat_instance\n"
        "A,1,2,3,session_4_arm_1\nA,4,5,6,session_5_arm_1,x,\n"
    )
    assert keys_of(forms_of(tmp_path, text)) == [("A", 4, ""), ("A", 5, "")]


def test_a_blank_line_is_not_told_as_a_row_without_answers(tmp_path):
    text = f"{REPEATED},q1,q2,q3\nA,ali,1,1,2,3\n,,,,,\n\nA,ali,2,4,5,6\n"
    assert not [note for note in read_demo(tmp_path, text).notes if "without" in note]


def test_a_blank_form_without_an_instance_does_not_turn_sessions_into_days(tmp_path):
    text = (
        f"{REPEATED},session_date,q1,q2,q3,ali_complete\n"
        "A,,,2026-01-02,,,,2\nA,ali,3,2026-01-05,1,2,3,2\nA,ali,4,2026-01-12,4,5,6,2\n"
    )
    assert keys_of(forms_of(tmp_path, text)) == [("A", 3, "2026-01-05"), ("A", 4, "2026-01-12")]


INSTANCES_ANEW = [
    "A,acute_arm_1,ali,1,2026-01-05,1,2,3",
    "A,acute_arm_1,ali,2,2026-01-12,2,3,4",
    "A,later_arm_1,ali,1,2026-03-02,3,4,5",
]


def test_instances_that_count_anew_in_each_event_number_nothing(tmp_path):
    text = "\n".join([f"{BOTH},session_date,q1,q2,q3", *INSTANCES_ANEW])
    loaded = read_demo(tmp_path, text)
    assert keys_of(loaded.responses["demo"]) == [
        ("A", 1, "2026-01-05"),
        ("A", 2, "2026-01-12"),
        ("A", 3, "2026-03-02"),
    ]
    assert loaded.notes[1:3] == (
        "column 'redcap_repeat_instance' does not number every form, and was not read as the session: "
        "line 2; line 3; line 4",
        "column 'record_id' is read as the case (as redcap names it)",
    )
    assert loaded.notes[-1] == "there is no session number: sessions were numbered by date"


def test_instances_that_count_anew_are_refused_where_there_is_no_date(tmp_path):
    text = "\n".join([f"{BOTH},remark,q1,q2,q3", *INSTANCES_ANEW])
    assert refusal(tmp_path, text).startswith("error: 3 forms without a session number\n  line 2: case A\n")


def test_a_row_pasted_twice_does_not_make_its_instance_count_anew(tmp_path):
    rows = ["A,acute_arm_1,ali,1,1,2,3", "A,acute_arm_1,ali,1,1,2,3", "A,acute_arm_1,ali,2,4,5,6"]
    forms = forms_of(tmp_path, "\n".join([f"{BOTH},q1,q2,q3", *rows]))
    assert keys_of(forms) == [("A", 1, ""), ("A", 2, "")]


def test_a_form_repeated_in_one_event_and_single_in_another_is_numbered_by_date(tmp_path):
    rows = [
        "A,baseline_arm_1,,,2026-01-02,1,2,3",
        "A,treatment_arm_1,ali,1,2026-01-05,2,3,4",
        "A,treatment_arm_1,ali,2,2026-01-12,3,4,5",
    ]
    forms = forms_of(tmp_path, "\n".join([f"{BOTH},session_date,q1,q2,q3", *rows]))
    assert keys_of(forms) == [("A", 1, "2026-01-02"), ("A", 2, "2026-01-05"), ("A", 3, "2026-01-12")]


def test_another_form_that_repeats_leaves_events_as_the_sessions(tmp_path):
    text = (
        f"{BOTH},q1,q2,q3,bp\n"
        "A,session_1_arm_1,,,1,2,3,\nA,session_1_arm_1,vitals,1,,,,120\nA,session_1_arm_1,vitals,2,,,,130\n"
        "A,session_2_arm_1,,,4,5,6,\n"
    )
    assert keys_of(forms_of(tmp_path, text)) == [("A", 1, ""), ("A", 2, "")]


# ----------------------------------------------------------------------------------------------------------
# Events


@pytest.mark.parametrize(
    ("events", "sessions"),
    [
        pytest.param(["session_2_arm_1", "session_10_arm_1"], [2, 10], id="names"),
        pytest.param(["session_2_arm_1", "session_3_arm_2"], [2, 3], id="two arms"),
        pytest.param(["1_arm_1", "2_arm_1"], [1, 2], id="numbers alone"),
        pytest.param(["t0_arm_1", "t1_arm_1"], [0, 1], id="no underscore"),
        pytest.param(["therapy_session_1_arm_1", "therapy_session_2_arm_1"], [1, 2], id="two words"),
        pytest.param(
            ["Session 2 (Arm 1: CBT (short))", "Session 3 (Arm 1: CBT (short))"], [2, 3], id="labels"
        ),
        pytest.param(["Session 2", "Session 3"], [2, 3], id="labels of a project with one arm"),
    ],
)
def test_events_of_one_shape_number_the_sessions(tmp_path, events, sessions):
    rows = [f'A,"{event}",2026-0{month}-01,1,2,3' for month, event in zip((5, 4), events, strict=True)]
    forms = forms_of(tmp_path, "\n".join([f"{EVENTS},session_date,q1,q2,q3", *rows]))
    assert forms["session"].tolist() == sessions


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(["baseline_arm_1", "session_1_arm_1"], id="one without a number"),
        pytest.param(["session_1_arm_1", "followup_1_arm_1"], id="two words"),
        pytest.param(["session_1_arm_1", "session_1_arm_1b"], id="names that REDCap told apart"),
        pytest.param(["1_month_arm_1", "3_month_arm_1"], id="number in front"),
        pytest.param(["28_day_3_arm_1", "28_day_4_arm_1"], id="two numbers"),
    ],
)
def test_events_of_no_single_shape_leave_the_order_to_dates(tmp_path, events):
    rows = [f"A,{event},2026-0{month}-01,1,2,3" for month, event in zip((5, 4), events, strict=True)]
    forms = forms_of(tmp_path, "\n".join([f"{EVENTS},session_date,q1,q2,q3", *rows]))
    assert keys_of(forms) == [("A", 1, "2026-04-01"), ("A", 2, "2026-05-01")]
    assert forms.index.tolist() == [3, 2]


def test_an_event_without_the_form_does_not_spoil_the_numbers(tmp_path):
    text = (
        f"{EVENTS},sex,q1,q2,q3,mood\nA,baseline_arm_1,f,,,,\nA,session_4_arm_1,,1,2,3,\nA,end_arm_1,,,,,9\n"
    )
    loaded = read_demo(tmp_path, text)
    assert keys_of(loaded.responses["demo"]) == [("A", 4, "")]
    assert loaded.notes[1] == "2 rows without this form not read: line 2; line 4"


def test_another_form_in_an_event_without_a_number_does_not_spoil_them_either(tmp_path):
    header = f"{EVENTS},q1,q2,q3,ali_complete,phq_1,phq_2,phq_complete"
    text = f"{header}\nA,baseline_arm_1,,,,0,1,1,2\nA,session_2_arm_1,1,2,3,2,1,1,2\n"
    assert keys_of(forms_of(tmp_path, text)) == [("A", 2, "")]


def test_events_without_numbers_and_without_dates_are_refused_and_can_be_numbered_in_a_mapping(tmp_path):
    text = f"{EVENTS},q1,q2,q3\nA,baseline_arm_1,1,2,3\nA,session_1_arm_1,4,5,6\n"
    assert refusal(tmp_path, text) == (
        "error: 2 sessions are no whole numbers\n"
        "  line 2: case A, redcap_event_name (session) = baseline_arm_1\n"
        "  line 3: case A, redcap_event_name (session) = session_1\n"
        "hint: number the sessions 1, 2, 3, or leave the column out of a mapping to number them by date"
    )
    numbered = mapped("[sessions]\nbaseline_arm_1 = 0\nsession_1_arm_1 = 5")
    assert forms_of(tmp_path, text, mapping=numbered)["session"].tolist() == [0, 5]


def test_a_row_that_says_how_an_appointment_went_is_kept_without_its_form(tmp_path):
    text = (
        f"{EVENTS},attendance,visit_complete,q1,q2,q3,ali_complete\n"
        "A,session_1_arm_1,attended,2,1,2,3,2\nA,session_2_arm_1,no_show,2,,,,0\n"
    )
    loaded = read_demo(tmp_path, text)
    assert keys_of(loaded.responses["demo"]) == [("A", 1, "")]
    assert loaded.appointments["attendance"].tolist() == ["attended", "no_show"]


# ----------------------------------------------------------------------------------------------------------
# How far a form was filled in


STATUS = f"{EVENTS},q1,q2,q3,ali_complete,phq_1,phq_complete"


@pytest.mark.parametrize(
    ("row", "n_forms", "unfinished"),
    [
        pytest.param("1,2,3,2,,", 1, False, id="complete"),
        pytest.param("1,2,3,1,,", 1, False, id="unverified"),
        pytest.param("1,2,3,0,,", 1, True, id="incomplete"),
        pytest.param("1,,,Incomplete,,", 1, True, id="incomplete, in words"),
        pytest.param("1,2,3,Unverified,,", 1, False, id="unverified, in words"),
        pytest.param(",,,2,,", 1, False, id="complete and blank"),
        pytest.param(",,,0,,", 0, False, id="never begun"),
        pytest.param(",,,,,", 0, False, id="not in this event"),
        pytest.param("1,2,3,2,1,0", 1, False, id="another form is incomplete"),
        pytest.param(",,,0,1,2", 0, False, id="another form is complete"),
        pytest.param("1,2,3,0,1,2", 1, True, id="incomplete beside a complete one"),
    ],
)
def test_the_status_of_the_form_itself_counts(tmp_path, row, n_forms, unfinished):
    text = f"{STATUS}\nA,session_1_arm_1,7,7,7,2,1,2\nA,session_2_arm_1,{row}\n"
    loaded = read_demo(tmp_path, text)
    assert loaded.responses["demo"]["session"].tolist() == [1, 2][: 1 + n_forms]
    told = (
        "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
        "line 3: case A, session 2"
    )
    assert (told in loaded.notes) == unfinished
    dropped = read_demo(tmp_path, text, unfinished="drop").responses["demo"]
    assert len(dropped) == 1 + n_forms - unfinished


def test_a_finished_form_wins_over_one_that_was_begun(tmp_path):
    text = f"{STATUS}\nA,session_1_arm_1,7,7,7,0,,\nA,session_1_arm_1,1,2,3,2,,\n"
    loaded = read_demo(tmp_path, text)
    assert answers(loaded.responses["demo"]) == [[1, 2, 3]]
    assert "1 unfinished form of a session with a finished one not read: line 2: case A, session 1" in (
        loaded.notes
    )


def test_a_status_that_is_blank_beside_answers_belongs_to_another_form(tmp_path):
    header = f"{EVENTS},q1,q2,q3,phq_1,phq_complete"
    text = f"{header}\nA,session_1_arm_1,1,2,3,,\nA,session_2_arm_1,4,5,6,1,0\n"
    loaded = read_demo(tmp_path, text)
    assert loaded.responses["demo"]["session"].tolist() == [1, 2]
    assert not [note for note in loaded.notes if "begun" in note]


def test_a_column_called_complete_with_other_words_is_no_status(tmp_path):
    text = f"{EVENTS},q1,q2,q3,homework_complete\nA,session_1_arm_1,1,2,3,0\nA,session_2_arm_1,4,5,6,half\n"
    notes = read_demo(tmp_path, text).notes
    assert not [note for note in notes if "begun" in note]


@pytest.mark.parametrize(
    ("name", "nothing", "something"),
    [
        pytest.param("mood___1", "0", "1", id="checkbox"),
        pytest.param("mood___1", "Unchecked", "Checked", id="checkbox in words"),
        pytest.param("Mood (choice=sad)", "Unchecked", "Checked", id="labelled checkbox"),
        pytest.param("ali_timestamp", "[not completed]", "2026-01-05 10:00:00", id="time stamp"),
        pytest.param("Survey Timestamp", "[not completed]", "2026-01-05 10:00:00", id="labelled time stamp"),
        pytest.param("remark", "", "0", id="a field that is 0"),
    ],
)
def test_a_box_not_ticked_and_a_survey_not_sent_are_nothing(tmp_path, name, nothing, something):
    header = f"{EVENTS},{name},q1,q2,q3,ali_complete"
    rows = [f"A,session_1_arm_1,{nothing},1,2,3,2", "A,session_2_arm_1,{},,,,0"]
    for cell, note in ((nothing, "1 row without any answer not read: line 3"), (something, "begun")):
        notes = read_demo(tmp_path, "\n".join([header, *rows]).format(cell)).notes
        assert [each for each in notes if note in each]


def test_a_time_stamp_that_says_not_completed_does_not_unfinish_a_form(tmp_path):
    text = f"{REPEATED},ali_timestamp,q1,q2,q3,ali_complete\nA,ali,1,[not completed],1,2,3,2\n"
    assert not [note for note in read_demo(tmp_path, text).notes if "begun" in note]


# ----------------------------------------------------------------------------------------------------------
# Labelled exports


def test_the_header_complete_of_every_form_is_told_apart(tmp_path):
    text = (
        "Study ID,Event Name,Item 1,Item 2,Item 3,Complete?,Mood,Complete?\n"
        "A,Session 1,never,sometimes,always,Complete,9,Incomplete\n"
        "A,Session 2,always,always,always,Incomplete,9,Complete\n"
    )
    loaded = read_demo(tmp_path, text, mapping=mapped('[columns]\nrater = "Complete? (2)"'))
    assert answers(loaded.responses["demo"]) == [[7, 7, 7], [1, 4, 7]]
    assert loaded.responses["demo"]["rater"].tolist() == ["Complete", "Incomplete"]
    begun = [note for note in loaded.notes if "begun" in note]
    assert len(begun) == 1
    assert begun[0].endswith("line 3: case A, session 2")


def test_a_doubled_header_that_is_no_status_is_still_refused(tmp_path):
    text = (
        "Study ID,Repeat Instrument,Repeat Instance,Session date,Session date,q1,q2,q3\nA,ali,1,x,y,1,2,3\n"
    )
    assert refusal(tmp_path, text) == (
        "error: column 'Session date' is there 2 times\n"
        "  column 4: Session date\n  column 5: Session date\n"
        "hint: rename or delete all but the right one"
    )


# ----------------------------------------------------------------------------------------------------------
# The data dictionary


LABELLED = "Study ID,Repeat Instrument,Repeat Instance,Item 1,Item 2,Item 3,Complete?"


@pytest.mark.parametrize("header", [HEADER, FOR_PROGRAMS], ids=["downloaded", "asked for by a program"])
def test_both_spellings_of_a_dictionary_name_columns_and_words(tmp_path, header):
    path = demo_dictionary(tmp_path, choices='"1, Low | 4, Fair, at times | 7, High"', header=header)
    text = f'{LABELLED}\nA,Alliance,1,High,"Fair, at times",Low,Complete\n'
    loaded = read_demo(tmp_path, text, dictionary=path)
    assert answers(loaded.responses["demo"]) == [[7, 4, 1]]
    assert loaded.notes[-1] == "columns ali_1 to ali_3 are read as the items of 'demo'"
    assert loaded.notes[1] == "column 'record_id' is read as the case (as redcap names it)"


def test_codes_of_a_raw_export_against_the_words_of_the_form_are_refused(tmp_path):
    path = demo_dictionary(tmp_path, choices='"0, Never | 3, Sometimes | 6, Always"')
    text = f"{REPEATED},ali_1,ali_2,ali_3\nA,alliance,1,0,3,6\n"
    assert refusal(tmp_path, text, dictionary=path).startswith(
        "error: in column 'ali_1' 0 means 'Never', which is 1 on 'demo'\n"
    )


@pytest.mark.parametrize(
    ("kind", "choices", "words"),
    [
        pytest.param("yesno", "", ["Yes", "No"], id="yes and no"),
        pytest.param("truefalse", "", ["True", "False"], id="true and false"),
        pytest.param("dropdown", '"1, On | 0, Off"', ["On", "Off"], id="dropdown"),
        pytest.param("yesno", '"2, Yes | 3, No"', ["Yes", "No"], id="choices of another kind do not count"),
    ],
)
def test_fields_with_fixed_choices_have_their_codes(tmp_path, kind, choices, words):
    rows = [f"ali_{n},alliance,{kind},Item {n},{choices},," for n in (1, 2, 3)]
    path = dictionary(tmp_path, *rows)
    text = f"{LABELLED}\nA,Alliance,1,{words[0]},{words[0]},{words[0]},Complete\n"
    assert answers(forms_of(tmp_path, text, dictionary=path)) == [[1, 1, 1]]


def test_the_words_of_a_text_field_or_a_slider_are_no_codes(tmp_path):
    path = demo_dictionary(tmp_path)
    fields = {each.name: each for each in read_dictionary(path)}
    assert fields["ali_1"].levels == {"1": "Never", "4": "Sometimes", "7": "Always"}
    rows = ['far,alliance,slider,Far,"Low | Mid | High",,', 'total,alliance,calc,Total,"sum([a], [b])",,']
    fields = {each.name: each for each in read_dictionary(dictionary(tmp_path, *rows))}
    assert [fields[name].levels for name in ("record_id", "far", "total")] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("label", "header"),
    [
        pytest.param("<p><b>We agree</b></p>", "We agree", id="markup"),
        pytest.param("We<br>agree", "Weagree", id="line break as markup"),
        pytest.param('"We\nagree"', "We agree", id="line break"),
        pytest.param("We  agree ", "we Agree", id="blanks and case"),
        pytest.param("Goals &amp; tasks", "Goals & tasks", id="entity"),
        pytest.param("Mood <5 or >3", "Mood <5 or >3", id="signs that are no markup"),
        pytest.param('"Yes, we agree"', '"Yes, we agree"', id="comma"),
    ],
)
def test_labels_are_matched_as_they_are_read(tmp_path, label, header):
    path = dictionary(tmp_path, f"agreed,alliance,text,{label},,,")
    names = read_text(header.encode()).rows[0]
    assert name_columns(names, read_dictionary(path)).names == ("agreed",)


NAMED = [
    pytest.param(["Study ID", "Item", "Item"], ["record_id", "a", "b"], [], id="in the order of the file"),
    pytest.param(["Study ID", "Item"], ["record_id", "Item"], ["Item"], id="one of two is left out"),
    pytest.param(
        ["Study ID", "Item", "Item", "Item"],
        ["record_id", "Item", "Item", "Item"],
        ["Item"],
        id="one too many",
    ),
    pytest.param(["Study ID", "b", "Item"], ["record_id", "b", "a"], [], id="one is called by its name"),
    pytest.param(["Other"], ["Other"], [], id="not in the dictionary"),
    pytest.param(["Mood (choice=Sad)", "Mood (choice=Not now)"], ["m___1", "m____9"], [], id="checkbox"),
    pytest.param(["Read this"], ["Read this"], [], id="a text on the page has no column"),
    pytest.param(
        ["Event Name", "Repeat Instrument", "Repeat Instance", "Data Access Group", "Survey Identifier"],
        [
            "redcap_event_name",
            "redcap_repeat_instrument",
            "redcap_repeat_instance",
            "redcap_data_access_group",
            "redcap_survey_identifier",
        ],
        [],
        id="columns of REDCap's own",
    ),
    pytest.param(
        ["Study ID", "Complete?", "Survey Timestamp", "Item", "Item", "Complete?", "Mood", "Complete?"],
        ["record_id", "start_complete", "one_timestamp", "a", "b", "two_complete", "Mood", "Complete?"],
        [],
        id="status behind, time stamp before its form",
    ),
    pytest.param(["Complete?", "Item", "Item"], ["Complete?", "a", "b"], [], id="status before any field"),
    pytest.param(
        ["Item", "Item", "Survey Timestamp"], ["a", "b", "Survey Timestamp"], [], id="stamp behind all fields"
    ),
]


@pytest.mark.parametrize(("header", "names", "unclear"), NAMED)
def test_headers_become_field_names(tmp_path, header, names, unclear):
    rows = [
        "a,one,text,Item,,,",
        "b,two,text,Item,,,",
        'm,two,checkbox,Mood,"1, Sad | -9, Not now",,',
        "read,two,descriptive,Read this,,,",
    ]
    found = name_columns(header, read_dictionary(dictionary(tmp_path, *rows)))
    assert found.names == tuple(names)
    assert found.unclear == tuple(unclear)


def test_a_label_of_several_fields_that_are_not_all_there_is_told(tmp_path):
    path = demo_dictionary(tmp_path, "m1,mood,text,Mood,,,", "m2,mood,text,Mood,,,")
    text = f"{LABELLED},Mood\nA,Alliance,1,Always,Always,Never,Complete,9\n"
    assert read_demo(tmp_path, text, dictionary=path).notes[1] == (
        "headers that the dictionary has several fields for, not all of them in the file, were kept: Mood"
    )


def test_a_header_that_the_mapping_names_stays_as_it_is(tmp_path):
    path = demo_dictionary(tmp_path)
    text = f"{LABELLED}\nA,Alliance,5,Always,Always,Never,Complete\n"
    said = mapped('[columns]\nsession = "Repeat Instance"\nq1 = "Item 3"\nq2 = "Item 2"\nq3 = "ali_1"')
    forms = forms_of(tmp_path, text, mapping=said, dictionary=path)
    assert forms["session"].tolist() == [5]
    assert answers(forms) == [[1, 7, 7]]


def test_the_first_field_of_the_dictionary_is_the_case_wherever_it_stands(tmp_path):
    path = demo_dictionary(tmp_path)
    text = "site,record_id,redcap_repeat_instance,ali_1,ali_2,ali_3\nX,A,1,1,2,3\nX,B,1,4,5,6\n"
    assert forms_of(tmp_path, text, dictionary=path)["case"].tolist() == ["A", "B"]


def test_the_dictionary_says_which_form_a_field_is_of(tmp_path):
    path = demo_dictionary(tmp_path, "phq_1,phq,text,Mood,,,")
    header = f"{EVENTS},ali_1,ali_2,ali_3,phq_1,phq_complete,alliance_complete"
    text = f"{header}\nA,session_1_arm_1,1,2,3,9,0,2\nA,session_2_arm_1,,,,9,2,0\n"
    loaded = read_demo(tmp_path, text, dictionary=path)
    assert keys_of(loaded.responses["demo"]) == [("A", 1, "")]
    assert not [note for note in loaded.notes if "begun" in note]


def test_a_field_called_complete_is_no_status_where_the_dictionary_knows_better(tmp_path):
    path = demo_dictionary(tmp_path, "homework_complete,alliance,yesno,Homework,,,")
    text = f"{EVENTS},ali_1,ali_2,ali_3,homework_complete,alliance_complete\nA,session_1_arm_1,1,2,3,0,2\n"
    assert not [note for note in read_demo(tmp_path, text, dictionary=path).notes if "begun" in note]


def test_such_a_field_is_an_answer_of_its_form(tmp_path):
    path = demo_dictionary(tmp_path, "homework_complete,alliance,yesno,Homework,,,")
    header = f"{EVENTS},ali_1,ali_2,ali_3,homework_complete,alliance_complete"
    text = f"{header}\nA,session_1_arm_1,1,1,1,0,2\nA,session_2_arm_1,,,,0,0\n"
    assert forms_of(tmp_path, text, dictionary=path)["session"].tolist() == [1, 2]


def test_a_calculated_field_alone_is_no_answer(tmp_path):
    path = demo_dictionary(tmp_path, 'ali_sum,alliance,calc,Sum,"sum([ali_1])",,')
    text = f"{REPEATED},ali_1,ali_2,ali_3,ali_sum,alliance_complete\nA,x,1,1,1,1,3,2\nA,x,2,,,,0,0\n"
    notes = read_demo(tmp_path, text, dictionary=path).notes
    assert notes[1] == "1 row without any answer not read: line 3"


def test_an_item_that_redcap_calculates_is_read_where_nothing_else_of_its_form_was_filled_in(tmp_path):
    rows = [f"q{n},alliance,{kind},Item {n},,," for n, kind in ((1, "text"), (2, "text"), (3, "calc"))]
    path = dictionary(tmp_path, *rows, "mood,diary,text,Mood,,,")
    text = (
        f"{EVENTS},q1,q2,q3,alliance_complete,mood\nA,session_1_arm_1,1,2,3,2,9\nA,session_2_arm_1,,,4,0,9\n"
    )
    forms = forms_of(tmp_path, text, dictionary=path)
    np.testing.assert_array_equal(np.array(answers(forms)), [[1, 2, 3], [np.nan, np.nan, 4]])


DATES = [
    pytest.param(["d1"], ["d1,x,text,Day,,date_dmy,"], "d1", id="one date"),
    pytest.param(["d1"], ["d1,x,text,Day,,datetime_ymd,"], "d1", id="one date with its time"),
    pytest.param(["d1"], ["d1,x,text,Day,,integer,"], "", id="no date"),
    pytest.param(["d1"], ["d1,x,text,Day,,date_dmy,y"], "", id="a date that tells who somebody is"),
    pytest.param(["d1", "d2"], ["d1,x,text,Day,,date_dmy,", "d2,x,text,Day,,date_dmy,"], "", id="two dates"),
    pytest.param(
        ["d1", "ali_session_date"],
        ["d1,x,text,Day,,date_dmy,", "ali_session_date,x,text,Day,,date_dmy,"],
        "ali_session_date",
        id="one of two is called so",
    ),
    pytest.param(["ali_session_date", "d1"], None, "ali_session_date", id="called so, no dictionary"),
    pytest.param(["a_session_date", "b_session_date"], None, "", id="two are called so"),
]


@pytest.mark.parametrize(("columns", "rows", "wanted"), DATES)
def test_the_date_is_the_one_field_that_holds_dates_or_is_called_so(tmp_path, columns, rows, wanted):
    days = [f"2026-01-0{number}" for number in range(1, len(columns) + 1)]
    path = None if rows is None else demo_dictionary(tmp_path, *rows)
    text = f"{REPEATED},{','.join(columns)},ali_1,ali_2,ali_3\nA,x,1,{','.join(days)},1,2,3\n"
    day = days[columns.index(wanted)] if wanted else ""
    assert keys_of(forms_of(tmp_path, text, dictionary=path)) == [("A", 1, day)]


def test_a_time_stamp_is_the_date_only_where_nothing_else_orders_the_forms(tmp_path):
    rows = ["2026-01-12 10:00:00,1,2,3,2", "2026-01-05 10:00:00,4,5,6,2"]
    text = "\n".join(["record_id,ali_timestamp,q1,q2,q3,ali_complete", *(f"A,{row}" for row in rows)])
    assert keys_of(forms_of(tmp_path, text)) == [("A", 1, "2026-01-05"), ("A", 2, "2026-01-12")]
    text = f"{REPEATED},ali_timestamp,q1,q2,q3\nA,x,1,2026-01-12 10:00:00,1,2,3\n"
    assert keys_of(forms_of(tmp_path, text)) == [("A", 1, "")]


UNKNOWN = [
    pytest.param(["Refused"], ("-99",), 1, id="one code, one word"),
    pytest.param(["Refused", "Skipped"], ("-99", "-98"), 2, id="two codes, two words"),
    pytest.param(["Refused", "Skipped"], ("-99",), 0, id="two words, one code"),
    pytest.param(["Refused"], (), 0, id="no code"),
    pytest.param(["Refused"], ("none at all",), 0, id="a declared word is no code"),
]


@pytest.mark.parametrize(("words", "missing", "n_read"), UNKNOWN)
def test_a_word_that_is_no_choice_is_the_label_of_a_declared_code(tmp_path, words, missing, n_read):
    path = demo_dictionary(tmp_path)
    cells = [*words, "Always"]
    text = f"{LABELLED}\nA,Alliance,1,{cells[0]},{cells[1]},Always,Complete\n"
    if n_read:
        forms = forms_of(tmp_path, text, dictionary=path, missing=missing)
        assert int(np.isnan(np.array(answers(forms))).sum()) == n_read
    else:
        what = "2 answers are no number" if len(words) > 1 else "1 answer is no number"
        assert refusal(tmp_path, text, dictionary=path, missing=missing).startswith(f"error: {what}")


def test_a_word_in_a_raw_export_is_not_taken_for_a_missing_code(tmp_path):
    text = f"{REPEATED},ali_1,ali_2,ali_3\nA,x,1,oops,1,4\nA,x,2,1,1,4\n"
    told = refusal(tmp_path, text, dictionary=demo_dictionary(tmp_path), missing=("-99",))
    assert told.startswith(
        "error: 1 answer is no number and no known word\n  line 2: case A, session 1, ali_1"
    )


def test_a_word_that_the_mapping_reads_is_not_taken_for_a_missing_code(tmp_path):
    text = f"{LABELLED}\nA,Alliance,1,Mostly,Always,Always,Complete\n"
    said = mapped("[answers]\nMostly = 6")
    forms = forms_of(tmp_path, text, dictionary=demo_dictionary(tmp_path), missing=("-99",), mapping=said)
    assert answers(forms) == [[6, 7, 7]]


def test_a_word_that_the_mapping_reads_uses_up_no_missing_code(tmp_path):
    text = f"{LABELLED}\nA,Alliance,1,Mostly,Refused,Always,Complete\n"
    said = mapped("[answers]\nMostly = 6")
    loaded = read_demo(tmp_path, text, dictionary=demo_dictionary(tmp_path), missing=("-99",), mapping=said)
    np.testing.assert_array_equal(np.array(answers(loaded.responses["demo"])), [[6, np.nan, 7]])
    assert loaded.notes[1] == "'Refused': no choice in the data dictionary, read as missing (-99 declared)"


NO_DICTIONARY = (
    "error: 'dictionary.csv' is no REDCap data dictionary\n"
    "hint: download it from REDCap as CSV: Project Setup, Download the current Data Dictionary"
)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"case,session\nA,1\n", id="another table"),
        pytest.param(b"field_name,form_name\na,b\n", id="columns absent"),
        pytest.param(f"{HEADER}\n".encode(), id="no field"),
        pytest.param(b"PK\x03\x04\x81\x00\xff\x90", id="a workbook"),
        pytest.param(b'field_name,field_type,field_label\n"a,text,b\n', id="a quote that is not closed"),
    ],
)
def test_what_is_no_dictionary_is_refused(tmp_path, content):
    path = write(tmp_path, content, name="dictionary.csv")
    assert refusal(tmp_path, f"{REPEATED},q1,q2,q3\nA,x,1,1,2,3\n", dictionary=path) == NO_DICTIONARY


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(f"{REPEATED},q1,q2,q3", id="the record alone is no sign"),
        pytest.param("Code,Repeat Instrument,Repeat Instance,q1,q2,q3", id="nothing at all"),
    ],
)
def test_the_dictionary_of_another_project_is_refused(tmp_path, header):
    told = refusal(tmp_path, f"{header}\nA,x,1,1,2,3\n", dictionary=demo_dictionary(tmp_path))
    assert told == (
        "error: the data dictionary 'dictionary.csv' does not fit the file: it has none of its columns\n"
        "hint: download the dictionary of the project that the file is from"
    )


def test_a_dictionary_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "nowhere.csv"
    with pytest.raises(StoreError) as caught:
        read_demo(tmp_path, f"{REPEATED},q1,q2,q3\nA,x,1,1,2,3\n", dictionary=path)
    assert str(caught.value) == (
        f"error: cannot read '{path}': No such file or directory\nhint: check the name and the folder"
    )


# ----------------------------------------------------------------------------------------------------------
# One field a row


FILLED = ["A,ali,1,q1,1", "A,ali,1,q2,2", "A,ali,1,q3,3"]


def by_field(*rows, header=FIELDS):
    return "\n".join([header, *rows]) + "\n"


def test_an_error_points_at_the_line_of_the_field(tmp_path):
    assert refusal(tmp_path, by_field("A,,,sex,f", "A,ali,1,q1,1", "A,ali,1,q3,99", "A,ali,1,q2,2")) == (
        "error: 1 answer outside 1 to 7, the range of 'demo'\n"
        "  line 4: case A, session 1, q3 = 99\n"
        "hint: leave an unanswered item empty, or declare its code with --missing, such as --missing 99"
    )


def test_rows_of_a_form_need_not_stand_together(tmp_path):
    rows = ["B,ali,1,q2,5", *FILLED, "", "B,ali,1,q3,6", "B,ali,1,q1,4", "B,vitals,1,bp,120"]
    loaded = read_demo(tmp_path, by_field(*rows))
    assert keys_of(loaded.responses["demo"]) == [("B", 1, ""), ("A", 1, "")]
    assert answers(loaded.responses["demo"]) == [[4, 5, 6], [1, 2, 3]]
    assert loaded.responses["demo"].index.tolist() == [2, 3]
    assert loaded.notes[1] == "1 row without this form not read: line 9"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        pytest.param("record,field_name,value", "A,{}", id="nothing repeats"),
        pytest.param("record,redcap_event_name,field_name,value", "A,session_4_arm_1,{}", id="events"),
        pytest.param("record,field_name,value,redcap_event_name", "A,{},session_4_arm_1", id="events last"),
    ],
)
def test_the_columns_of_what_repeats_may_be_absent(tmp_path, header, row):
    fields = ["session_date,2026-01-05", "q1,1", "q2,2", "q3,3"]
    forms = forms_of(tmp_path, by_field(*(row.format(each) for each in fields), header=header))
    assert keys_of(forms) == [("A", 4 if "event" in header else 1, "2026-01-05")]
    assert answers(forms) == [[1, 2, 3]]


def test_the_status_of_a_form_counts_here_too(tmp_path):
    rows = [*FILLED, "A,ali,1,ali_complete,0", "B,ali,1,q1,4", "B,ali,1,ali_complete,2"]
    notes = read_demo(tmp_path, by_field(*rows)).notes
    assert [note for note in notes if "begun" in note] == [
        "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
        "line 2: case A, session 1"
    ]


@pytest.mark.parametrize(
    ("first", "later"),
    [
        pytest.param(["q1", "ali_complete"], ["q1", "q2", "q3", "ali_complete"], id="in the middle"),
        pytest.param(["q3", "ali_complete"], ["q1", "q2", "ali_complete"], id="in front"),
        pytest.param(["q1"], ["q1", "q2", "q3", "ali_complete"], id="at the end"),
    ],
)
def test_a_field_first_seen_later_stands_with_those_of_its_form(tmp_path, first, later):
    rows = [
        *(f"A,ali,1,{name},2" for name in first),
        "A,vitals,1,bp,120",
        "A,vitals,1,vitals_complete,0",
        *(f"B,ali,1,{name},{0 if name == 'ali_complete' else 5}" for name in later),
        "C,ali,1,q2,5",
        "C,ali,1,ali_complete,0",
    ]
    begun_b, begun_c = len(first) + 4, len(first) + len(later) + 4
    notes = read_demo(tmp_path, by_field(*rows)).notes
    assert [note for note in notes if "begun" in note] == [
        "2 forms begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
        f"line {begun_b}: case B, session 1; line {begun_c}: case C, session 1"
    ]


def test_forms_that_were_never_begun_are_dropped_with_their_lines(tmp_path):
    rows = ["B,ali,1,ali_complete,0", *FILLED, "A,ali,1,ali_complete,2", "C,ali,1,q1,9"]
    assert refusal(tmp_path, by_field(*rows)).startswith(
        "error: 1 answer outside 1 to 7, the range of 'demo'\n  line 7: case C, session 1, q1 = 9\n"
    )
    assert "1 row without any answer not read: line 2" in read_demo(tmp_path, by_field(*rows[:-1])).notes


TWICE = by_field(*FILLED, "A,ali,1,q2,5")


def test_a_field_twice_with_different_values_is_refused(tmp_path):
    assert refusal(tmp_path, TWICE) == (
        "error: 1 field is there twice, and differs\n"
        "  lines 3 and 5: case A, q2\n"
        "hint: correct the file, or say --keep first or last; a checkbox needs the data dictionary "
        "(--dictionary)"
    )


@pytest.mark.parametrize(("keep", "answer"), [("first", 2), ("last", 5)])
def test_keep_chooses_between_fields_and_is_told(tmp_path, keep, answer):
    for options in ({"keep": keep}, {"mapping": mapped(f'keep = "{keep}"')}):
        loaded = read_demo(tmp_path, TWICE, **options)
        assert answers(loaded.responses["demo"]) == [[1, answer, 3]]
        assert loaded.notes[1] == (
            f"of 1 field there twice with different values the {keep} was kept: lines 3 and 5: case A, q2"
        )


def test_a_field_twice_with_different_values_is_rejected_on_drop(tmp_path):
    loaded = read_demo(tmp_path, TWICE, on_error="drop")
    np.testing.assert_array_equal(np.array(answers(loaded.responses["demo"])), [[1, np.nan, 3]])
    assert loaded.rejected[["line", "item", "value"]].to_numpy().tolist() == [[3, "q2", "2 / 5"]]


def test_a_field_twice_with_the_same_value_is_read_once(tmp_path):
    loaded = read_demo(tmp_path, by_field(*FILLED, "A,ali,1,q2,2"))
    assert answers(loaded.responses["demo"]) == [[1, 2, 3]]
    assert loaded.notes[1] == "1 field there again with the same value, read once: lines 3 and 5: case A, q2"


def test_a_checkbox_has_a_row_for_each_tick(tmp_path):
    rows = [f"q{n},alliance,radio,Item {n},{WORDS},," for n in (1, 2, 3)]
    path = dictionary(tmp_path, *rows, 'mood,alliance,checkbox,Mood,"1, Sad | 2, Tired",,')
    text = by_field(*FILLED, "A,ali,1,mood,1", "A,ali,1,mood,2")
    assert answers(forms_of(tmp_path, text, dictionary=path)) == [[1, 2, 3]]
    assert refusal(tmp_path, text).startswith("error: 1 field is there twice, and differs\n  lines 5 and 6")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        pytest.param(
            "A,ali,1,q3,3,4",
            "error: 1 row with more cells than the header has columns\n"
            "  line 5: 6 cells for 5 columns\n"
            "hint: put a cell that holds the delimiter in quotation marks",
            id="too long",
        ),
        pytest.param(
            "A,ali,1,,3",
            "error: a row names no field\n  line 5\nhint: export the file again",
            id="no field",
        ),
    ],
)
def test_a_row_that_is_no_field_is_refused(tmp_path, row, told):
    assert refusal(tmp_path, by_field(*FILLED, row)) == told


def test_a_row_may_be_shorter_or_end_in_blanks(tmp_path):
    forms = forms_of(tmp_path, by_field("A,ali,1,q1,1", "A,ali,1,q2,2,,", "A,ali,1,q3"))
    np.testing.assert_array_equal(np.array(answers(forms)), [[1, 2, np.nan]])


def test_the_record_as_a_field_of_its_own_is_not_there_twice(tmp_path):
    forms = forms_of(tmp_path, by_field("A,,,record,A", *FILLED))
    assert keys_of(forms) == [("A", 1, "")]


def test_a_mapping_that_names_item_and_value_is_obeyed(tmp_path):
    said = mapped('[columns]\nitem = "field_name"\nvalue = "value"\nsession = "redcap_repeat_instance"')
    forms = forms_of(tmp_path, by_field("A,,,sex,f", *FILLED), mapping=said)
    assert keys_of(forms) == [("A", 1, "")]
    assert answers(forms) == [[1, 2, 3]]


def test_an_export_without_a_field_has_no_rows(tmp_path):
    assert refusal(tmp_path, by_field()).startswith("error: ")


# ----------------------------------------------------------------------------------------------------------
# Properties


FORMS = st.dictionaries(
    st.tuples(st.sampled_from("AB"), st.integers(1, 4)),
    st.lists(st.sampled_from(["", "1", "4", "7"]), min_size=3, max_size=3).filter(any),
    min_size=1,
)


@given(forms=FORMS, order=st.randoms())
@settings(max_examples=40, deadline=None)
def test_one_field_a_row_in_any_order_gives_the_same_forms_as_a_flat_export(tmp_path_factory, forms, order):
    folder = tmp_path_factory.mktemp("redcap")
    flat = [f"{case},ali,{n},{','.join(cells)}" for (case, n), cells in forms.items()]
    rows = [
        f"{case},ali,{n},q{item},{cell}"
        for (case, n), cells in forms.items()
        for item, cell in enumerate(cells, 1)
        if cell
    ]
    order.shuffle(rows)
    kept = [name for name in ("q1", "q2", "q3") if any(f",{name}," in row for row in rows)]
    if len(kept) < 3:
        return
    one = forms_of(folder, "\n".join([f"{REPEATED},q1,q2,q3", *flat]))
    other = forms_of(folder, by_field(*rows))
    by = ["case", "session"]
    one, other = one.sort_values(by), other.sort_values(by)
    assert one[by].to_numpy().tolist() == other[by].to_numpy().tolist()
    np.testing.assert_array_equal(np.array(answers(one)), np.array(answers(other)))


CELLS = st.sampled_from(
    [
        *BOTH.split(","), "record", "field_name", "value", "Complete?", "ali_complete", "Event Name", "q1",
        "session_1_arm_1", "1", "2", "0", "", "A", "x___1", '"', "\x00", "Repeat Instance", "Item 1", "Never",
    ]
)  # fmt: skip
ROWS = st.lists(st.lists(CELLS, max_size=7), max_size=6)


def read_or_refused(folder, text, **options):
    """Return whether the file was read; what it is refused with has to be a sentence."""
    try:
        read_demo(folder, text, **options)
    except AllianceError as error:
        return bool(error.troubles[0].what)
    return True


@given(rows=ROWS, with_dictionary=st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_the_cells_the_file_is_read_or_refused(tmp_path_factory, rows, with_dictionary):
    folder = tmp_path_factory.mktemp("redcap")
    path = demo_dictionary(folder) if with_dictionary else None
    text = "\n".join(map(",".join, rows)) + "\n"
    assert read_or_refused(folder, text, source="redcap", dictionary=path)


@given(rows=ROWS)
@settings(max_examples=100, deadline=None)
def test_whatever_the_dictionary_it_is_read_or_refused(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("redcap")
    path = write(folder, "\n".join([FOR_PROGRAMS, *map(",".join, rows)]) + "\n", name="dictionary.csv")
    assert read_or_refused(folder, f"{REPEATED},q1,q2,q3\nA,x,1,1,2,3\n", dictionary=path)
