"""Dates, session numbers, and the order in which forms were filled in."""

import numpy as np
import pandas as pd
import pytest
from readers_helpers import forms_of, read_demo, refusal

from alliance.readers.times import read_dates, read_sessions


def column(*texts):
    return np.array(texts, dtype=object)


@pytest.mark.parametrize(
    ("texts", "days"),
    [
        pytest.param(["2026-01-05"], ["2026-01-05"], id="ISO"),
        pytest.param(["2026-01-05T10:00:00Z"], ["2026-01-05"], id="ISO with T and zone"),
        pytest.param(["2026-01-05 23:59:59.999"], ["2026-01-05"], id="ISO with time"),
        pytest.param(["2026/1/5"], ["2026-01-05"], id="year first with slashes"),
        pytest.param(["2026/01/05 3:06:01 PM GMT+1"], ["2026-01-05"], id="twelve hours and a zone"),
        pytest.param(["05.01.2026", "12.01.2026"], ["2026-01-05", "2026-01-12"], id="dots are day first"),
        pytest.param(
            ["05-01-2026", "19-01-2026"], ["2026-01-05", "2026-01-19"], id="day first as 19 is no month"
        ),
        pytest.param(
            ["01/05/2026", "01/19/2026"], ["2026-01-05", "2026-01-19"], id="month first as 19 is no month"
        ),
        pytest.param(["5/5/2026"], ["2026-05-05"], id="both orders give one day"),
        pytest.param(["2026-01-05", "06.01.2026"], ["2026-01-05", "2026-01-06"], id="ISO beside day first"),
        pytest.param(["", "NA", "[not completed]"], [None, None, None], id="missing"),
        pytest.param([], [], id="no row"),
    ],
)
def test_dates_are_read_in_one_order(texts, days):
    dates = read_dates(column(*texts))
    np.testing.assert_array_equal(dates.days, np.array(days, dtype="datetime64[s]"))
    assert not dates.unreadable.any()
    assert not dates.ambiguous


@pytest.mark.parametrize(
    "text", ["30.02.2026", "2026-13-01", "05.01.26", "yesterday", "2026", "45000", "1/2/3"]
)
def test_what_is_no_date_is_named(text):
    dates = read_dates(column(text))
    assert np.isnat(dates.days).all()
    assert dates.unreadable.all()


@pytest.mark.parametrize(
    ("texts", "ambiguous"),
    [
        pytest.param(["01/02/2026"], True, id="both orders fit and differ"),
        pytest.param(["01/02/2026", "13/02/2026"], False, id="one cell decides"),
        pytest.param(["13/02/2026", "02/13/2026"], True, id="cells that contradict each other"),
        pytest.param(["01/02/2026", "soon"], True, id="a cell that is no date decides nothing"),
        pytest.param(["01.02.2026"], False, id="dots are day first"),
    ],
)
def test_an_open_order_of_day_and_month_is_ambiguous(texts, ambiguous):
    assert read_dates(column(*texts)).ambiguous is ambiguous


@pytest.mark.parametrize(("order", "day"), [("dmy", "2026-02-01"), ("mdy", "2026-01-02")])
def test_a_date_format_settles_the_order(order, day):
    dates = read_dates(column("01/02/2026"), date_format=order)
    assert dates.days[0] == np.datetime64(day)
    assert not dates.ambiguous


def test_year_first_refuses_the_other_orders():
    dates = read_dates(column("2026-02-01", "01.02.2026"), date_format="ymd")
    assert dates.unreadable.tolist() == [False, True]


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        pytest.param(["1", "02", "3.0", "4,0", "5.0000000000"], [1, 2, 3, 4, 5], id="whole numbers"),
        pytest.param(["0"], [0], id="intake"),
        pytest.param(["Session 1", "session 12"], [1, 12], id="one prefix"),
        pytest.param(["ses-01", "ses-02"], [1, 2], id="prefix with a hyphen"),
        pytest.param(["T1"], [1], id="one letter"),
    ],
)
def test_session_numbers_are_read(texts, numbers):
    found, blank, wrong = read_sessions(column(*texts))
    assert found.tolist() == numbers
    assert not blank.any()
    assert not wrong.any()


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        pytest.param(["1", "Session 2"], [False, True], id="prefix in some cells only"),
        pytest.param(["ses-1", "visit-2"], [True, True], id="two prefixes"),
        pytest.param(["-1"], [True], id="negative"),
        pytest.param(["1.5"], [True], id="half a session"),
        pytest.param(["first"], [True], id="a word"),
        pytest.param(["5th"], [True], id="an ordinal"),
        pytest.param(["1234567890"], [True], id="no session number"),
    ],
)
def test_what_is_no_session_number_is_named(texts, wrong):
    assert read_sessions(column(*texts))[2].tolist() == wrong


def test_sessions_are_numbered_by_date_within_the_case(tmp_path):
    text = (
        "case,date,q1,q2,q3\nB,2026-01-08,2,2,2\nA,2026-01-08,4,4,4\nB,2026-01-01,1,1,1\nA,2026-01-01,3,3,3\n"
    )
    loaded = read_demo(tmp_path, text)
    forms = loaded.responses["demo"]
    assert forms[["case", "session", "q1"]].to_numpy().tolist() == [
        ["B", 1, 1],
        ["B", 2, 2],
        ["A", 1, 3],
        ["A", 2, 4],
    ]
    assert forms.index.tolist() == [4, 2, 5, 3]
    assert loaded.notes == ("there is no session number: sessions were numbered by date",)


def test_raters_of_one_day_share_the_session_number(tmp_path):
    text = (
        "case,date,rater,q1,q2,q3\nA,2026-01-01,client,1,1,1\nA,2026-01-08,client,1,1,1\n"
        "A,2026-01-08,therapist,2,2,2\n"
    )
    forms = forms_of(tmp_path, text)
    assert forms[["rater", "session"]].to_numpy().tolist() == [["client", 1], ["client", 2], ["therapist", 2]]


def test_raters_of_different_days_are_numbered_apart_and_told(tmp_path):
    text = (
        "case,date,rater,q1,q2,q3\nA,2026-01-01,client,1,1,1\nA,2026-01-08,client,1,1,1\n"
        "A,2026-01-02,therapist,2,2,2\nA,2026-01-09,therapist,2,2,2\n"
    )
    loaded = read_demo(tmp_path, text)
    forms = loaded.responses["demo"]
    assert forms["session"].tolist() == [1, 2, 1, 2]
    assert (
        loaded.notes[-1] == "raters answered on different days, so their sessions were numbered apart: case A"
    )


def test_one_day_twice_without_a_number_is_refused(tmp_path):
    told = refusal(tmp_path, "case,date,q1,q2,q3\nA,2026-01-01,1,1,1\nA,2026-01-01,2,2,2\n")
    assert told == (
        "error: 2 rows give a session that is there twice, and differ\n"
        "  line 2: case A, date = 2026-01-01\n"
        "  line 3: case A, date = 2026-01-01\n"
        "hint: correct the file, or say --keep first or --keep last"
    )


def test_a_form_without_the_date_it_is_numbered_by_is_refused(tmp_path):
    told = refusal(tmp_path, "case,date,q1,q2,q3\nA,2026-01-01,1,1,1\nA,,2,2,2\n")
    assert told == (
        "error: 1 form has no date to number its session by\n"
        "  line 3: case A\n"
        "hint: add the date or a session number"
    )


def test_ambiguous_dates_ask_for_the_format(tmp_path):
    text = "case,session,date,q1,q2,q3\nA,1,01/02/2026,1,1,1\n"
    assert refusal(tmp_path, text) == (
        "error: the dates in column 'date' can be read day first and month first\n"
        "  line 2: case A, session 1\n"
        "hint: say --date-format dmy or --date-format mdy"
    )
    assert forms_of(tmp_path, text, date_format="mdy")["date"].tolist() == [pd.Timestamp("2026-01-02")]


def test_dates_that_run_against_the_numbers_are_told(tmp_path):
    text = "case,session,date,q1,q2,q3\nA,1,2026-01-08,1,1,1\nA,2,2026-01-01,1,1,1\nA,3,2026-01-15,1,1,1\n"
    notes = read_demo(tmp_path, text).notes
    assert notes == ("1 date runs against the session numbers: line 3: case A, session 2",)


def test_a_bad_date_is_dropped_and_the_form_kept(tmp_path):
    text = "case,session,date,q1,q2,q3\nA,1,soon,1,1,1\n"
    loaded = read_demo(tmp_path, text, on_error="drop")
    assert loaded.responses["demo"]["date"].isna().all()
    assert loaded.rejected[["item", "value", "problem"]].to_numpy().tolist() == [["date", "soon", "no date"]]
