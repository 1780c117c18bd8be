"""Who came and who did not: in the study, and in a file of its own."""

import pandas as pd
import pytest
from readers_helpers import DEMO, read_demo, refusal, write

from alliance.errors import DataError
from alliance.frames import APPOINTMENTS, check_appointments
from alliance.readers import ReadOptions, load, read_attendance

HEADER = "case,session,date,attendance,q1,q2,q3\n"
STUDY = (
    HEADER
    + "A,1,2026-01-01,attended,1,2,3\nA,2,2026-01-15,attended,1,2,3\nA,,2026-01-08,no-show,,,\n"
    + "B,1,2026-01-02,attended,1,2,3\nB,,2026-01-09,Cancelled by client,,,\n"
)


def rows(appointments):
    return (
        appointments.astype({"session": "float"})
        .fillna({"session": 0})[["case", "session", "attendance"]]
        .to_numpy()
        .tolist()
    )


def test_a_missed_appointment_is_no_form_and_stands_where_its_date_puts_it(tmp_path):
    loaded = read_demo(tmp_path, STUDY)
    assert loaded.responses["demo"]["session"].tolist() == [1, 2, 1]
    assert rows(loaded.appointments) == [
        ["A", 1, "attended"],
        ["A", 0, "no_show"],
        ["A", 2, "attended"],
        ["B", 1, "attended"],
        ["B", 0, "cancel_client"],
    ]
    check_appointments(loaded.appointments)


def test_without_dates_the_order_of_the_file_holds(tmp_path):
    text = "case,session,attendance,q1,q2,q3\nA,1,attended,1,2,3\nA,,no_show,,,\nA,2,attended,1,2,3\n"
    assert [row[2] for row in rows(read_demo(tmp_path, text).appointments)] == [
        "attended",
        "no_show",
        "attended",
    ]


def test_two_raters_of_a_session_are_one_appointment(tmp_path):
    text = (
        "case,session,rater,attendance,q1,q2,q3\nA,1,client,attended,1,2,3\nA,1,therapist,attended,1,2,3\n"
        "A,2,client,no_show,,,\nA,2,therapist,no_show,,,\n"
    )
    assert rows(read_demo(tmp_path, text).appointments) == [["A", 1, "attended"], ["A", 2, "no_show"]]


def test_no_attendance_column_gives_an_empty_frame(tmp_path):
    appointments = read_demo(tmp_path, "case,session,q1,q2,q3\nA,1,1,2,3\n").appointments
    assert appointments.empty
    assert list(appointments) == list(APPOINTMENTS)


def test_yes_and_no_are_read_and_the_doubt_is_told(tmp_path):
    text = "case,session,attended,q1,q2,q3\nA,1,yes,1,2,3\nA,2,no,,,\nA,3,1,1,2,3\n"
    loaded = read_demo(tmp_path, text)
    assert rows(loaded.appointments) == [["A", 1, "attended"], ["A", 2, "no_show"], ["A", 3, "attended"]]
    assert loaded.notes == (
        "column 'attended' says yes or no: a no is counted as a no-show, though it may be a cancellation",
    )


def test_an_attended_row_without_answers_is_a_blank_form(tmp_path):
    loaded = read_demo(tmp_path, HEADER + "A,1,2026-01-01,attended,,,\n")
    assert loaded.responses["demo"][["q1", "q2", "q3"]].isna().all(axis=None)
    assert rows(loaded.appointments) == [["A", 1, "attended"]]


def test_answers_on_a_missed_appointment_are_refused(tmp_path):
    told = refusal(tmp_path, HEADER + "A,1,2026-01-01,no_show,1,2,3\n")
    assert told == (
        "error: 1 appointment was not attended, and has answers\n"
        "  line 2: case A, session 1\n"
        "hint: correct the attendance, or take the answers out"
    )


def test_an_unknown_word_is_refused_with_the_known_ones(tmp_path):
    told = refusal(tmp_path, HEADER + "A,1,2026-01-01,perhaps,1,2,3\n")
    assert told == (
        "error: 1 attendance is no known word\n"
        "  line 2: case A, session 1, attendance = perhaps\n"
        "hint: use attended, no_show, cancel_client_late, cancel_client, cancel_clinic or scheduled"
    )


def test_appointments_of_other_forms_in_the_file_count_too(tmp_path):
    text = (
        "case,session,scale,attendance,q1,q2,q3\nA,1,demo,attended,1,2,3\nA,1,ors,attended,1,2,3\n"
        "A,,ors,no_show,,,\nA,2,ors,attended,1,2,3\n"
    )
    loaded = load(write(tmp_path, text), DEMO)
    assert loaded.responses["demo"]["session"].tolist() == [1]
    assert [row[2] for row in rows(loaded.appointments)] == ["attended", "no_show", "attended"]
    assert loaded.notes == ("3 rows of other forms not read: ors",)


def test_a_file_of_its_own_gives_the_appointments(tmp_path):
    path = write(
        tmp_path, "client;date;attendance\nA;08.01.2026;no-show\nA;01.01.2026;attended\nB;02.01.2026;DNA\n"
    )
    appointments = read_attendance(path)
    assert appointments["case"].tolist() == ["A", "A", "B"]
    assert appointments["date"].tolist() == [pd.Timestamp(f"2026-01-0{day}") for day in (1, 8, 2)]
    assert appointments["attendance"].tolist() == ["attended", "no_show", "no_show"]
    assert appointments["session"].isna().all()
    check_appointments(appointments)


def test_a_file_of_its_own_names_every_problem(tmp_path):
    path = write(tmp_path, "case,session,date,attendance\n,1,2026-01-01,attended\nA,x,soon,perhaps\n")
    with pytest.raises(DataError) as caught:
        read_attendance(path)
    assert [trouble.what for trouble in caught.value.troubles] == [
        "1 form without a case",
        "1 attendance is no known word",
        "1 session is no whole number",
        "1 cell is no date in the format of its column",
    ]
    assert read_attendance(path, options=ReadOptions(on_error="drop")).empty


def test_a_file_that_says_of_nobody_whether_they_came_is_refused(tmp_path):
    path = write(tmp_path, "case,session\nA,1\n")
    with pytest.raises(DataError) as caught:
        read_attendance(path)
    assert str(caught.value) == (
        f"error: '{path}' has no column attendance or attended\n"
        "hint: add one, with attended, no_show, cancel_client_late, cancel_client, cancel_clinic, scheduled"
    )
