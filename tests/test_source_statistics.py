"""Files of SPSS, Stata and SAS: values as they are kept, declared missing values told, labels along."""

import datetime
import importlib.util
import io
import sys
from pathlib import Path

import pyreadstat
import pytest
from readers_helpers import DEMO, mapped

from alliance.errors import DataError, UsageError
from alliance.readers import ReadOptions, load, read_mapping
from alliance.readers.opening import read_export
from alliance.scale import load_scale

SAMPLES = Path(__file__).parent / "samples"
FORMS = {
    "case": ["007", "7", "NA"],
    "session": [1.0, 1.0, 1.0],
    "q1": [1.0, 99.0, 7.0],
    "q2": [2.0, 97.0, None],
    "q3": [3.0, 5.5, 4.0],
}
CASES = [["007", "1", "1", "2", "3"], ["7", "1", "", "", "5.5"], ["NA", "1", "7", "", "4"]]
MISSING = {"q1": [99], "q2": [{"lo": 96, "hi": 98}]}


def sav(folder, columns=FORMS, *, name="study.sav", **options):
    path = folder / name
    pyreadstat.write_sav(framed(columns), path, **options)
    return path


def framed(columns):
    import pandas as pd

    return pd.DataFrame(columns)


def read(path, **options):
    return read_export(path, ReadOptions(**options))


def test_the_sample_tells_its_declared_missing_code():
    options = ReadOptions(mapping=read_mapping(SAMPLES / "maps" / "spss_long.toml"))
    loaded = load(SAMPLES / "spss_long.sav", load_scale("wai-sr"), options=options)
    assert loaded.notes == (
        "the file is read as an SPSS file (its first bytes; line 1 is its first case)",
        "6 cells with the declared missing code 99 ('no answer') read as unanswered",
        "columns ali01 to ali12 are read as the items of 'wai-sr'",
    )
    assert loaded.responses["wai-sr"].index.tolist() == list(range(1, 20))


@pytest.mark.parametrize("name", ["study.sav", "study.zsav"])
def test_the_cells_of_spss_are_texts_and_identifiers_stay(tmp_path, name):
    path = sav(tmp_path, name=name, missing_ranges=MISSING, compress=name.endswith("zsav"))
    export = read(path)
    assert export.records.rows == [list(FORMS), *CASES]
    assert export.records.lines == [0, 1, 2, 3]
    assert (export.source, export.evidence) == ("spss", "its first bytes; line 1 is its first case")
    assert export.notes[1:] == ("2 cells with declared missing codes read as unanswered: 99: 1; 97: 1",)


def test_a_problem_names_the_number_of_the_case(tmp_path):
    path = sav(tmp_path, FORMS | {"q1": [1.0, 8.0, 7.0]})
    with pytest.raises(DataError) as caught:
        load(path, DEMO)
    assert "\n  line 2: case 7, session 1, q1 = 8\n" in str(caught.value)


@pytest.mark.parametrize(
    ("ranges", "cells"),
    [
        pytest.param([{"lo": 2, "hi": 3}], ["1", "", "", "4"], id="both ends of a range"),
        pytest.param([{"lo": 2, "hi": 3}, 4], ["1", "", "", ""], id="a range and a code"),
        pytest.param([1, 3], ["", "2", "", "4"], id="two codes"),
        pytest.param([9], ["1", "2", "3", "4"], id="a code nobody used"),
    ],
)
def test_ranges_and_codes_declared_missing_are_empty(tmp_path, ranges, cells):
    path = sav(tmp_path, {"q1": [1.0, 2.0, 3.0, 4.0]}, missing_ranges={"q1": ranges})
    export = read(path)
    assert [row[0] for row in export.records.rows[1:]] == cells
    n_cells = cells.count("")
    assert (f"{n_cells} cell" in " ".join(export.notes)) == (n_cells > 0)


def test_texts_and_days_can_be_declared_missing(tmp_path):
    day, none = datetime.date(2026, 1, 5), datetime.date(1900, 1, 1)
    seconds = (none - datetime.date(1582, 10, 14)).days * 86_400
    path = sav(
        tmp_path,
        {"who": ["client", "xx", ""], "day": [day, none, None]},
        missing_ranges={"who": ["xx"], "day": [seconds]},
        variable_value_labels={"who": {"xx": "refused", "client": "Client"}},
    )
    export = read(path)
    assert export.records.rows[1:] == [["client", "2026-01-05"], ["", ""], ["", ""]]
    assert export.levels == {"who": {"client": "Client"}}
    assert export.notes[1:] == (
        "2 cells with declared missing codes read as unanswered: xx ('refused'): 1; 1900-01-01: 1",
    )


def test_labels_come_along_and_are_not_put_in_place_of_values(tmp_path):
    path = sav(
        tmp_path,
        {"aVeryLongName_OfAnItem_1": [1.0, 2.5, 9.0]},
        column_labels=["How was it?"],
        variable_value_labels={"aVeryLongName_OfAnItem_1": {1: "never", 2.5: "between", 9: "no answer"}},
        missing_ranges={"aVeryLongName_OfAnItem_1": [9]},
    )
    export = read(path)
    assert export.records.rows == [["aVeryLongName_OfAnItem_1"], ["1"], ["2.5"], [""]]
    assert export.levels == {"aVeryLongName_OfAnItem_1": {"1": "never", "2.5": "between"}}
    assert export.labels == {"aVeryLongName_OfAnItem_1": "How was it?"}


def test_days_and_times_are_written_year_first(tmp_path):
    columns = {
        "day": [datetime.date(2026, 1, 31), None],
        "moment": [datetime.datetime.fromisoformat("2026-01-31 23:05:09"), None],
    }
    assert read(sav(tmp_path, columns)).records.rows[1:] == [["2026-01-31", "2026-01-31 23:05:09"], ["", ""]]


def test_texts_in_an_old_encoding_are_read_and_told(tmp_path):
    path = sav(tmp_path, {"case": ["Gr??e"]})
    raw = path.read_bytes().replace(b"Gr??e", "Größe".encode("cp1252"))
    path.write_bytes(raw)
    export = read(path)
    assert export.records.rows[1] == ["Größe"]
    assert export.notes[1:] == ("the file is encoded in Windows-1252",)


def test_a_named_encoding_is_used_and_needs_no_telling(tmp_path):
    path = sav(tmp_path, {"case": ["Gr??e"]})
    path.write_bytes(path.read_bytes().replace(b"Gr??e", "Größe".encode("cp850")))
    export = read(path, encoding="cp850")
    assert export.records.rows[1] == ["Größe"]
    assert len(export.notes) == 1


@pytest.mark.parametrize("encoding", ["UTF-8", "no-such-encoding"])
def test_an_encoding_that_does_not_fit_is_refused(tmp_path, encoding):
    path = sav(tmp_path, {"case": ["Gr??e"]})
    path.write_bytes(path.read_bytes().replace(b"Gr??e", "Größe".encode("cp1252")))
    with pytest.raises(DataError) as caught:
        read(path, encoding=encoding)
    assert str(caught.value) == (
        f"error: the texts in the file cannot be read as {encoding}\n"
        "hint: name their encoding with --encoding, such as --encoding cp850"
    )


def test_a_portable_file_is_read(tmp_path):
    path = tmp_path / "study.por"
    pyreadstat.write_por(framed(FORMS), path)
    export = read(path)
    assert export.records.rows[:2] == [["CASE", "SESSION", "Q1", "Q2", "Q3"], CASES[0]]
    assert export.source == "spss"


@pytest.mark.parametrize("version", [8, 10, 12, 13, 14, 15])
def test_every_stata_file_is_known_by_its_first_bytes(tmp_path, version):
    path = tmp_path / "study"
    pyreadstat.write_dta(framed(FORMS), path, version=version)
    export = read(path)
    assert export.source == "stata"
    assert export.records.rows[1] == CASES[0]


def test_the_missing_values_of_stata_are_told_with_their_labels(tmp_path):
    path = tmp_path / "study.dta"
    labels = {"q1": {1: "never", "a": "refused"}}
    pyreadstat.write_dta(
        framed({"case": ["a", "b", "c"], "q1": [1.0, "a", "b"]}),
        path,
        missing_user_values={"q1": ["a", "b"]},
        variable_value_labels=labels,
    )
    export = read(path)
    assert export.records.rows[1:] == [["a", "1"], ["b", ""], ["c", ""]]
    assert export.levels == {"q1": {"1": "never"}}
    assert export.notes[1:] == (
        "2 cells with declared missing codes read as unanswered: .a ('refused'): 1; .b: 1",
    )


@pytest.mark.parametrize("version", [5, 8])
def test_a_transport_file_of_sas_is_read(tmp_path, version):
    path = tmp_path / "study"
    pyreadstat.write_xport(framed(FORMS), path, file_format_version=version)
    export = read(path)
    assert export.source == "sas"
    assert export.records.rows[:2] == [list(FORMS), CASES[0]]


def test_standard_input_is_read(tmp_path, monkeypatch):
    raw = sav(tmp_path).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert load("-", DEMO, options=ReadOptions(missing=("99", "97"), on_error="drop")).responses["demo"][
        "case"
    ].tolist() == ["007", "7", "NA"]


def test_a_source_that_is_named_need_not_be_seen(tmp_path):
    path = sav(tmp_path, missing_ranges=MISSING)
    assert read(path, source="spss").records.rows[1:] == CASES


@pytest.mark.parametrize(
    ("name", "program"),
    [("a.sav", "SPSS"), ("a.ZSAV", "SPSS"), ("a.por", "SPSS"), ("a.dta", "Stata"), ("a.sas7bdat", "SAS"),
     ("a.xpt", "SAS")],
)  # fmt: skip
def test_a_file_that_is_not_what_it_is_called_is_refused(tmp_path, name, program):
    path = tmp_path / name
    path.write_bytes(b"case,session,q1,q2,q3\nA,1,1,2,3\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        f"error: the file looks like one of {program}, and cannot be opened as such\n"
        f"hint: open it in {program} and save it anew, or save it as CSV"
    )


def test_a_damaged_file_is_refused_wherever_it_is_cut(tmp_path):
    whole = sav(tmp_path, missing_ranges=MISSING).read_bytes()
    for length in (4, 100, len(whole) // 2, len(whole) - 4):
        path = tmp_path / "cut.sav"
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="the file looks like one of SPSS, and cannot be opened as such"):
            read(path)


def test_a_date_that_no_calendar_has_is_refused(tmp_path):
    path = sav(tmp_path, {"day": [datetime.date(2026, 1, 5)], "q1": [1e15]})
    raw = bytearray(path.read_bytes())
    import struct

    day = struct.pack("<d", 13986950400.0)
    assert raw.count(day) == 1
    path.write_bytes(bytes(raw).replace(day, struct.pack("<d", 1e15)))
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        "error: a date in the file is beyond the year 9999\n"
        "hint: correct it in its program, or save the file as CSV"
    )


def test_a_text_beyond_a_million_characters_is_refused_with_its_case(tmp_path):
    path = tmp_path / "study.dta"
    pyreadstat.write_dta(framed({"case": ["a", "x" * ((1 << 20) + 1)]}), path)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        "error: a cell holds more than 1048576 characters\n  line 2\nhint: shorten the cell"
    )


def test_without_pyreadstat_one_command_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        load(SAMPLES / "spss_long.sav", DEMO)
    assert str(caught.value) == (
        'error: a file of SPSS cannot be read without pyreadstat\nhint: pip install "alliance-toolkit[spss]"'
    )


def test_value_labels_are_read_where_words_are_not_those_of_the_form(tmp_path):
    told = mapped("[columns]\ncase = 'case'\n")
    path = sav(tmp_path, missing_ranges=MISSING, variable_value_labels={"q1": {1: "gar nicht", 7: "sehr"}})
    loaded = load(path, DEMO, options=ReadOptions(mapping=told, on_error="drop"))
    assert loaded.responses["demo"]["q1"].tolist()[0] == 1


def test_what_a_file_says_is_kept_where_a_system_is_seen_in_it(tmp_path):
    columns = {"ResponseId": ["R_1"], "StartDate": ["2026-01-05"], "Finished": [1.0], "q1": [9.0]}
    path = sav(
        tmp_path,
        columns,
        column_labels=["Response", "Start", "Finished", "How was it?"],
        missing_ranges={"q1": [9]},
        variable_value_labels={"q1": {1: "never", 9: "no answer"}},
    )
    export = read(path)
    assert export.source == "qualtrics"
    assert export.levels == {"q1": {"1": "never"}}
    assert export.labels["q1"] == "How was it?"
    assert export.notes[1] == "1 cell with the declared missing code 9 ('no answer') read as unanswered"
