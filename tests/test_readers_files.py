"""Bytes → table: encodings, delimiters, headers, footers, Excel, Parquet, standard input."""

import datetime
import io
import sys

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from readers_helpers import DEMO, forms_of, read_demo, refusal, write

from alliance.errors import DataError
from alliance.readers import ReadOptions, load
from alliance.readers.text import read_text, sniff_delimiter

ROWS = "case,session,q1,q2,q3\nGröße,1,1,2,3\nB,1,4,5,6\n"


@pytest.mark.parametrize(
    ("encoding", "notes"),
    [
        pytest.param("utf-8", (), id="UTF-8"),
        pytest.param("utf-8-sig", (), id="UTF-8 with a mark"),
        pytest.param("utf-16", ("the file is encoded in UTF-16",), id="UTF-16 with a mark"),
        pytest.param("utf-16-le", ("the file is encoded in UTF-16",), id="UTF-16 without a mark"),
        pytest.param("utf-16-be", ("the file is encoded in UTF-16",), id="UTF-16, the other way round"),
        pytest.param("cp1252", ("the file is encoded in Windows-1252",), id="Windows-1252"),
    ],
)
def test_an_encoding_is_found_and_told_if_it_is_not_utf_8(tmp_path, encoding, notes):
    loaded = load(write(tmp_path, ROWS, encoding=encoding), DEMO)
    assert loaded.responses["demo"]["case"].tolist() == ["Größe", "B"]
    assert loaded.notes == notes


def test_a_named_encoding_is_used(tmp_path):
    path = write(tmp_path, ROWS, encoding="cp850")
    loaded = load(path, DEMO, options=ReadOptions(encoding="cp850"))
    assert loaded.responses["demo"]["case"].tolist() == ["Größe", "B"]


def test_an_encoding_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, ROWS, encoding="cp1252"), DEMO, options=ReadOptions(encoding="utf-8"))
    assert str(caught.value) == (
        "error: the file cannot be read as utf-8\n"
        "hint: name its encoding with --encoding, such as --encoding cp850"
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_make_no_difference(tmp_path, delimiter, newline):
    forms = forms_of(tmp_path, ROWS.replace(",", delimiter).replace("\n", newline))
    assert forms[["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 2, 3], [4, 5, 6]]
    assert forms.index.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        pytest.param("a;b;c\n1,5;2,5;3,5\n", ";", id="decimal commas"),
        pytest.param("a,b\n1,x;y\n2,x;y;z\n", ",", id="semicolons in a comment"),
        pytest.param('a,b\n1,"x;y;z"\n', ",", id="semicolons in quotes"),
        pytest.param("a\n1\n", ",", id="one column"),
        pytest.param("", ",", id="nothing"),
    ],
)
def test_a_delimiter_is_what_cuts_the_rows_evenly(text, delimiter):
    assert sniff_delimiter(text) == delimiter


def test_a_record_knows_the_line_it_starts_in():
    records = read_text(b'a,b\n"1\n2",3\n\n4,"5\r\n6"\n7,8\n')
    assert records.rows == [["a", "b"], ["1\n2", "3"], [], ["4", "5\r\n6"], ["7", "8"]]
    assert records.lines == [1, 2, 4, 5, 7]


def test_a_declared_delimiter_is_obeyed_and_its_line_counted():
    records = read_text(b"sep=|\r\na|b\r\n1,2|3\r\n")
    assert records.rows == [["a", "b"], ["1,2", "3"]]
    assert records.lines == [2, 3]


def test_title_lines_above_the_header_are_told(tmp_path):
    loaded = read_demo(tmp_path, "Practice North,exported today\n\n" + ROWS)
    assert loaded.responses["demo"].index.tolist() == [4, 5]
    assert loaded.notes == ("the header was found in line 3; what stands above it was not read",)


def test_blank_lines_between_rows_are_skipped(tmp_path):
    assert forms_of(tmp_path, "\n" + ROWS.replace("\nB", "\n,,,,\n\nB")).index.tolist() == [3, 6]


@pytest.mark.parametrize(
    "footer",
    [
        pytest.param("Sum,2\n", id="short row"),
        pytest.param("Sum,2\n\nprinted today\n", id="two blocks"),
    ],
)
def test_a_footer_is_no_case(tmp_path, footer):
    loaded = read_demo(tmp_path, ROWS + "\n" + footer)
    assert loaded.responses["demo"]["case"].tolist() == ["Größe", "B"]
    assert loaded.notes[0].startswith("a footer below the data was not read: line 5")


def test_a_short_row_with_answers_is_no_footer(tmp_path):
    assert forms_of(tmp_path, ROWS + "\nC,1,7\n")["case"].tolist() == ["Größe", "B", "C"]


def test_a_doubled_column_nobody_needs_does_no_harm(tmp_path):
    forms = forms_of(tmp_path, "case,session,Complete?,q1,q2,q3,Complete?\nA,1,2,1,2,3,2\n")
    assert forms["q1"].tolist() == [1]


@pytest.mark.parametrize("name", ["q2", "case", "session"])
def test_a_doubled_column_with_a_role_is_refused(tmp_path, name):
    told = refusal(tmp_path, f"case,session,q1,q2,q3,{name}\nA,1,1,2,3,2\n")
    place = ["case", "session", "q1", "q2"].index(name) + 1
    assert told == (
        f"error: column '{name}' is there 2 times\n"
        f"  column {place}: {name}\n"
        f"  column 6: {name}\n"
        "hint: rename or delete all but the right one"
    )


def test_several_forms_in_one_file_are_told_apart_by_the_scale_column(tmp_path):
    text = "case,session,scale,q1,q2,q3,q4\nA,1,srs,1,2,3,4\nA,1,ors,5,6,7,8.5\nA,2,srs,1,2,3,\n"
    loaded = load(write(tmp_path, text), None)
    assert list(loaded.responses) == ["srs", "ors"]
    assert list(loaded.scales) == ["srs", "ors"]
    assert loaded.responses["srs"].index.tolist() == [2, 4]
    assert loaded.responses["ors"]["q4"].tolist() == [8.5]


def test_one_form_of_several_can_be_read(tmp_path):
    text = "case,session,scale,q1,q2,q3,q4\nA,1,demo,1,2,3,\nA,1,ors,5,6,7,8.5\n"
    loaded = read_demo(tmp_path, text)
    assert len(loaded.responses["demo"]) == 1
    assert loaded.notes == ("1 row of other forms not read: ors",)


def test_a_row_that_names_no_form_is_refused_where_there_are_several(tmp_path):
    text = "case,session,scale,q1,q2,q3,q4\nA,1,srs,1,2,3,4\nA,2,,1,2,3,4\n"
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, text), None)
    assert str(caught.value) == (
        "error: 1 row does not say which form it is\n"
        "  line 3: case A, session 2\n"
        "hint: fill in the scale column, or name the form with --scale"
    )


def test_parquet_is_read_as_text_and_identifiers_stay(tmp_path):
    table = pa.table(
        {
            "case": ["007", "7"],
            "session": [1, 1],
            "date": [datetime.date(2026, 1, 5), None],
            "q1": [1.0, None],
            "q2": [2, 3],
            "q3": ["sometimes", "7"],
        }
    )
    path = tmp_path / "study.parquet"
    parquet.write_table(table, path)
    forms = load(path, DEMO).responses["demo"]
    assert forms["case"].tolist() == ["007", "7"]
    assert forms["date"].tolist() == [pd.Timestamp("2026-01-05"), pd.NaT]
    assert forms.fillna({"q1": 0})[["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 2, 4], [0, 3, 7]]
    assert forms.index.tolist() == [2, 3]


def workbook(folder, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    path = folder / "study.xlsx"
    book.save(path)
    return path


FORMS = [["case", "session", "date", "q1", "q2", "q3"], ["007", 1, datetime.date(2026, 1, 5), 1, 2.0, "3"]]
OTHER = [["case", "session", "q1", "q2", "q3"], [7, 1, 7, 7, 7]]


def test_the_first_visible_sheet_is_read_and_the_others_told(tmp_path):
    loaded = load(workbook(tmp_path, Forms=FORMS, Other=OTHER), DEMO)
    forms = loaded.responses["demo"]
    assert forms[["case", "q1", "q2", "q3"]].to_numpy().tolist() == [["007", 1, 2, 3]]
    assert forms["date"].tolist() == [pd.Timestamp("2026-01-05")]
    assert loaded.notes == ("sheet 'Forms' was read, not 'Other'",)


def test_a_named_sheet_is_read(tmp_path):
    path = workbook(tmp_path, Forms=FORMS, Other=OTHER)
    loaded = load(path, DEMO, options=ReadOptions(sheet="Other"))
    assert loaded.responses["demo"]["case"].tolist() == ["7"]
    assert loaded.notes == ()


def test_an_unknown_sheet_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(DataError) as caught:
        load(workbook(tmp_path, Forms=FORMS, Other=OTHER), DEMO, options=ReadOptions(sheet="Formz"))
    assert str(caught.value) == "error: the workbook has no sheet 'Formz'\nhint: its sheets are Forms, Other"


def test_standard_input_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ROWS.encode()), encoding="utf-8"))
    assert load("-", DEMO).responses["demo"]["case"].tolist() == ["Größe", "B"]


def test_the_frame_has_the_promised_types(tmp_path):
    forms = forms_of(tmp_path, "case,session,date,q1,q2,q3\nA,1,2026-01-05,1,,3\n")
    assert list(forms) == ["case", "session", "date", "therapist", "rater", "q1", "q2", "q3"]
    assert forms.index.name == "line"
    assert [str(kind) for kind in forms.dtypes] == [
        "object", "int64", "datetime64[s]", "object", "object", "float64", "float64", "float64",
    ]  # fmt: skip
    assert forms[["therapist", "rater"]].to_numpy().tolist() == [["", "client"]]


def test_raters_are_kept_and_the_known_sides_written_in_one_way(tmp_path):
    text = "case,session,rater,q1,q2,q3\nA,1,Client,1,2,3\nA,1,partner-A,1,2,3\nA,1,,3,3,3\n"
    told = refusal(tmp_path, text)
    assert told.startswith(
        "error: 2 rows give a session that is there twice, and differ\n  line 2: case A, session 1\n"
    )
    loaded = read_demo(tmp_path, text, keep="first")
    assert loaded.responses["demo"]["rater"].tolist() == ["client", "partner-A"]
    assert loaded.notes[0] == "1 blank rater read as client"


def test_a_header_alone_in_excel_has_no_rows(tmp_path):
    with pytest.raises(DataError) as caught:
        load(workbook(tmp_path, Forms=FORMS[:1]), DEMO)
    assert caught.value.troubles[0].what == "the file has a header and no rows below it"


def test_bytes_in_no_known_encoding_are_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, b"case,session,q1,q2,q3\nA\x81\xff,1,1,2,3\n"), DEMO)
    assert caught.value.troubles[0].what == "the file cannot be read as UTF-8 or Windows-1252"


def test_rows_without_a_form_are_appointments_where_the_file_names_its_forms(tmp_path):
    text = (
        "case,session,scale,attendance,q1,q2,q3,q4\nA,1,srs,attended,1,2,3,4\nA,1,ors,attended,1,2,3,4\n"
        "A,2,,no_show,,,,\nA,3,ors,attended,1,2,3,4\n"
    )
    loaded = load(write(tmp_path, text), None)
    assert loaded.appointments["session"].tolist() == [1, 2, 3]
    assert loaded.appointments["attendance"].tolist() == ["attended", "no_show", "attended"]
    assert {name: len(forms) for name, forms in loaded.responses.items()} == {"srs": 1, "ors": 2}


def test_one_form_of_several_is_numbered_by_the_dates_of_all(tmp_path):
    rows = ["A,2026-01-01,demo,1,2,3,", "A,2026-01-08,ors,1,2,3,4", "A,2026-01-15,demo,1,2,3,"]
    text = "\n".join(["case,date,scale,q1,q2,q3,q4", *rows])
    assert forms_of(tmp_path, text)["session"].tolist() == [1, 3]


def test_one_answer_a_row_can_be_numbered_by_date(tmp_path):
    rows = [f"A,2026-01-{day},q{item},{item}" for day in ("08", "01") for item in (1, 2, 3)]
    forms = forms_of(tmp_path, "\n".join(["case,date,item,value", *rows]))
    assert forms[["session", "q1", "q2", "q3"]].to_numpy().tolist() == [[1, 1, 2, 3], [2, 1, 2, 3]]
    assert forms.index.tolist() == [5, 2]


def test_dropping_every_row_leaves_empty_frames(tmp_path):
    loaded = read_demo(tmp_path, "case,session,attendance,q1,q2,q3\n,1,attended,1,2,3\n", on_error="drop")
    assert loaded.responses["demo"].empty
    assert loaded.appointments.empty
    assert len(loaded.rejected) == 1
    assert str(loaded.responses["demo"]["session"].dtype) == "int64"


def test_a_short_blank_form_between_full_rows_is_no_footer(tmp_path):
    text = "case,session,q1,q2,q3\nA,1,1,2,3\n\nA,2\nA,3,1,2,3\n"
    assert forms_of(tmp_path, text)["session"].tolist() == [1, 2, 3]


def test_fewer_than_half_of_the_items_are_not_taken_for_them(tmp_path):
    told = refusal(tmp_path, "case,session,room1,note\nA,1,4,x\n")
    assert told.startswith("error: no columns hold the 3 items of 'demo'\n")


def test_a_repeating_row_with_answers_and_no_instance_is_named(tmp_path):
    text = (
        "record_id,redcap_repeat_instrument,redcap_repeat_instance,q1,q2,q3\n"
        "1,,,,,\n1,alliance,1,1,2,3\n1,alliance,,1,2,3\n1,vitals,1,,,\n"
    )
    assert refusal(tmp_path, text).startswith("error: 1 form without a session number\n  line 4: case 1\n")
    loaded = read_demo(tmp_path, text, on_error="drop")
    assert loaded.responses["demo"].index.tolist() == [3]
    assert loaded.notes[1] == "2 rows without any answer not read: line 2; line 5"


def test_rows_come_by_case_as_first_seen_then_rater_then_session(tmp_path):
    keys = ["Z,2,therapist", "A,1,client", "Z,1,therapist", "Z,9,client", "Z,10,client", "A,1,therapist"]
    text = "\n".join(["case,session,rater,q1,q2,q3", *(f"{key},1,2,3" for key in keys)])
    forms = forms_of(tmp_path, text)
    assert forms[["case", "session", "rater"]].to_numpy().tolist() == [
        ["Z", 9, "client"],
        ["Z", 10, "client"],
        ["Z", 1, "therapist"],
        ["Z", 2, "therapist"],
        ["A", 1, "client"],
        ["A", 1, "therapist"],
    ]


def test_a_contested_column_hides_no_other_trouble(tmp_path):
    told = refusal(tmp_path, "session,session,q1,q2,q3\n1,1,1,2,3\n")
    assert [line for line in told.splitlines() if line.startswith("error")] == [
        "error: column 'session' is there 2 times",
        "error: no column says whose form it is",
    ]
