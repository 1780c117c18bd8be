"""Both lanes: a plain file is read by pyarrow, and what comes out is what reading cell by cell gives."""

import csv
import io
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from readers_helpers import DEMO, mapped, refusal, write

from alliance.cells import LONGEST
from alliance.errors import AllianceError, DataError
from alliance.readers import ReadOptions, fast, load, loading, read_mapping, typed
from alliance.readers import layout as layout_module
from alliance.readers.fast import plain_blocks, plain_layout
from alliance.readers.layout import HEAD_BYTES, Odd, told_lane
from alliance.readers.loading import lane_of
from alliance.readers.text import parse
from alliance.readers.typed import require_plain_bytes
from alliance.scale import load_scale
from alliance.study.passes import forms_of

SAMPLES = Path(__file__).parent / "samples"
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def cell_by_cell(path, scale, options=None):
    """Return what the tolerant lane alone gives, or the text of its refusal."""

    def closed(*_):
        raise Odd("the test says so")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "read_whole", closed)
        try:
            return load(path, scale, options=options)
        except AllianceError as error:
            return str(error)


def assert_same(fast, tolerant):
    assert fast.lane == "fast"
    assert not isinstance(tolerant, str), tolerant
    assert tolerant.lane == "tolerant: the test says so"
    assert list(fast.responses) == list(tolerant.responses)
    for name, frame in fast.responses.items():
        pd.testing.assert_frame_equal(frame, tolerant.responses[name], check_exact=True)
        assert type(frame.index) is type(tolerant.responses[name].index)
    for name in ("appointments", "rejected", "cases", "outcome_flags"):
        pd.testing.assert_frame_equal(getattr(fast, name), getattr(tolerant, name), check_exact=True)
    for name in ("scales", "notes", "mapping", "cells", "synthetic"):
        assert getattr(fast, name) == getattr(tolerant, name), name


def assert_lanes_agree(path, scale, options=None):
    """Compare both lanes, and return the lane that the file takes."""
    lane = lane_of(path, scale, options=options or ReadOptions())
    if lane == "fast":
        assert_same(load(path, scale, options=options), cell_by_cell(path, scale, options))
    return lane


# what comes out, worked by hand

PLAIN = "case,session,date,therapist,rater,q1,q2,q3\n"


def test_a_plain_file_comes_out_by_case_rater_and_session(tmp_path):
    text = PLAIN + (
        "P2,2,2026-01-12,T1,client,7,6,5\n"
        "P1,1,,T2,therapist,1,,3\n"
        "P2,1,2026-01-05,T1,client,NA,2,1\n"
        "P1,1,2026-02-01,T2,client,4,4,4\n"
    )
    loaded = load(write(tmp_path, text), DEMO)
    forms = loaded.responses["demo"]
    assert loaded.lane == "fast"
    assert forms.index.tolist() == [4, 2, 5, 3]
    assert forms["case"].tolist() == ["P2", "P2", "P1", "P1"]
    assert forms["session"].tolist() == [1, 2, 1, 1]
    assert forms["rater"].tolist() == ["client", "client", "client", "therapist"]
    assert forms["therapist"].tolist() == ["T1", "T1", "T2", "T2"]
    days = ["2026-01-05", "2026-01-12", "2026-02-01", ""]
    assert forms["date"].dt.strftime("%Y-%m-%d").fillna("").tolist() == days
    np.testing.assert_array_equal(
        forms[["q1", "q2", "q3"]].to_numpy(), [[np.nan, 2, 1], [7, 6, 5], [4, 4, 4], [1, np.nan, 3]]
    )
    assert loaded.cases["case"].tolist() == ["P2", "P1"]


def test_lines_are_those_of_the_file_as_it_stands(tmp_path):
    path = write(tmp_path, "case,session,q1,q2,q3\nB,1,1,1,1\nA,1,2,2,2\nB,2,3,3,3\n")
    assert load(path, DEMO).responses["demo"].index.tolist() == [2, 4, 3]


# samples

WAI = load_scale("wai-sr")


def sample(file, lane, *, form=WAI, id, **options):
    return pytest.param(file, form, options, lane, id=id)


def of_study(name):
    return load_scale(SAMPLES / "scales" / f"{name}.toml")


SYSTEM, OPTIONS = "tolerant: an export of a source system", "tolerant: options of its own"
COLUMNS, HEADER = "tolerant: columns that are not plain", "tolerant: a header that is not plain"
LANES = [
    sample("canonical.csv", "fast", id="the canonical study"),
    sample("nasty/01_bom_crlf/sessions.csv", "fast", form=of_study("wa12"), id="byte order mark and CRLF"),
    sample("nasty/22_straight_lining/sessions.csv", "fast", form=of_study("wa12"), id="straight-lining"),
    sample(
        "nasty/24_recorded_total_disagrees/sessions.csv", "fast", form=of_study("sr4"), id="recorded totals"
    ),
    sample("nasty/25_ids_are_text/sessions.csv", "fast", form=of_study("wa12"), id="ids are text"),
    sample("nasty/35_two_raters/sessions.csv", "fast", form=of_study("wa12"), id="two raters"),
    sample("nasty/37_ceiling_and_short_series/sessions.csv", "fast", form=of_study("sr4"), id="lines"),
    sample(
        "nasty/07_line_breaks_in_cells/sessions.csv",
        "tolerant: rows that are not plain",
        form=of_study("wa12"),
        id="breaks",
    ),
    sample("nasty/08_sep_line_preamble_footer/export.csv", HEADER, id="title and footer"),
    sample("nasty/11_doubled_column/sessions.csv", HEADER, form=of_study("wa12"), id="a column twice"),
    sample("nasty/13_absent_items/sessions.csv", COLUMNS, form=of_study("wa12"), id="items without a column"),
    sample(
        "nasty/27_doubled_sessions/exact.csv",
        "tolerant: doubled sessions",
        form=of_study("wa12"),
        id="exact doubles",
    ),
    sample("nasty/28_no_session_number_unsorted/sessions.csv", COLUMNS, id="numbered by date"),
    sample("items_long.csv", COLUMNS, id="one answer a row"),
    sample("osf_wide_zero_based.csv", OPTIONS, map="osf_wide_zero_based", id="one case a row"),
    sample("desktop_de_vas_cp1252.csv", "tolerant: an encoding other than UTF-8", id="Windows-1252"),
    sample("excel_unicode_text_utf16.txt", "tolerant: a file that is no plain text", id="UTF-16"),
    sample("redcap_repeating_raw.csv", SYSTEM, id="REDCap"),
    sample("qualtrics_numeric.csv", SYSTEM, id="Qualtrics"),
    sample("castor_survey.csv", SYSTEM, id="Castor"),
]


@pytest.mark.parametrize(("file", "form", "options", "lane"), LANES)
def test_a_sample_is_read_alike_in_both_lanes(file, form, options, lane):
    name = options.get("map")
    options = ReadOptions(mapping=read_mapping(SAMPLES / "maps" / f"{name}.toml") if name else None)
    assert assert_lanes_agree(SAMPLES / file, form, options) == lane


@pytest.mark.parametrize("name", ["wai-sr-study.csv", "srs-ors-clinic.csv"])
def test_the_example_studies_are_read_alike_in_both_lanes(name):
    path = Path(__file__).parent.parent / "data" / name
    assert_lanes_agree(path, load_scale(name.rsplit("-", 1)[0] if "wai" in name else "srs"))


# what the fast lane takes

HEAD = "case,session,q1,q2,q3\n"
TWO = HEAD + "C1,1,1,2,3\nC1,2,4,5,6\n"

TAKEN = [
    pytest.param(TWO, {}, id="plain"),
    pytest.param(TWO[:-1], {}, id="no line break at the end"),
    pytest.param(TWO + "\n\n", {}, id="blank lines at the end"),
    pytest.param("\ufeff" + TWO, {}, id="byte order mark"),
    pytest.param(TWO.replace("\n", "\r\n"), {}, id="CRLF"),
    pytest.param(TWO.replace(",", ";"), {}, id="semicolons"),
    pytest.param(TWO.replace(",", "\t"), {}, id="tabs"),
    pytest.param(TWO.replace(",", "|"), {}, id="bars"),
    pytest.param('"","case","session","q1","q2","q3"\n"1","C1",1,1,2,NA\n', {}, id="as R writes it"),
    pytest.param('case,session,q1,q2,q3,note\nC1,1,1,2,3,"say ""x"", please"\n', {}, id="quotes inside"),
    pytest.param('case,session,q1,q2,q3,note\nC1,1,1,2,3,""""\n', {}, id="a quote alone in quotes"),
    pytest.param(HEAD + " C1 ,1,1,2,3\nC1,2, 4,5 ,6\n", {}, id="blanks around cells"),
    pytest.param(HEAD + "C1, 1,1,2,3\nC1,02,4,5,6\nC1,3.0,4,5,6\n", {}, id="sessions written in many ways"),
    pytest.param(HEAD + "C1,Session 1,1,2,3\nC1,Session 2,4,5,6\n", {}, id="sessions with a word"),
    pytest.param(HEAD + "C2,1,1,2,3\nC1,1,4,5,6\nC2,2,3,3,3\n", {}, id="a case that comes back"),
    pytest.param(HEAD + "'=C1,1,1,2,3\n'+C2,1,4,5,6\n", {}, id="codes made safe to write"),
    pytest.param(HEAD + "0x1F,1,1,2,3\n1E5,1,1,2,3\nNA,1,1,2,3\n007,1,1,2,3\n", {}, id="codes like numbers"),
    pytest.param(
        HEAD + "C1,1,1.0,2,3\nC1,2,often,never,\n", {"mapping": "answers = {often = 5}"}, id="words"
    ),
    pytest.param(HEAD + "C1,1,1,2,3\nC1,2,2,always,4 - sometimes\n", {}, id="words of the form"),
    pytest.param("case;session;q1;q2;q3\nC1;1;2,0;3,;3\n", {}, id="decimal commas"),
    pytest.param(HEAD + "C1,1,-99,2,99\n", {"missing": ("-99", "99")}, id="missing codes"),
    pytest.param(HEAD + "C1,1,0,2,6\n", {"mapping": "shift = 1"}, id="counted from 0"),
    pytest.param(HEAD + "C1,1,,,\n", {}, id="a blank form"),
    pytest.param(
        HEAD + "C1,1,1,2,3\n", {"on_error": "drop", "keep": "last", "unfinished": "drop"}, id="drop"
    ),
    pytest.param(HEAD + "C1,1,1,2,3\n", {"source": "csv"}, id="said to be plain"),
    pytest.param(
        HEAD + "C1,1,1,2,3\n", {"mapping": "header_row = 1\nscale = 'demo'"}, id="a drafted mapping"
    ),
    pytest.param("client_id,Session no.,wa1,wa2,wa3\nC1,1,1,2,3\n", {}, id="columns guessed"),
    pytest.param(
        "a,b,x,y,z\nC1,1,1,2,3\n",
        {"mapping": '[columns]\ncase="a"\nsession="b"\nq1="z"\nq2="y"\nq3="x"'},
        id="columns mapped",
    ),
    pytest.param("case,session,q1,q2,q3,q4\nC1,1,1,2,3,\nC1,2,1,2,3,n/a\n", {}, id="a blank column beyond"),
    pytest.param("case,session,rater,q1,q2,q3\nC1,1,,1,2,3\nC1,2,Client,1,2,3\nC1,3,,,,\n", {}, id="raters"),
    pytest.param(TWO, {"mapping": "rater = 'observer'"}, id="the rater in the mapping"),
    pytest.param("case,session,scale,q1,q2,q3\nC1,1,demo,1,2,3\nC1,2,,1,2,3\n", {}, id="a scale column"),
    pytest.param("case,session,q1,q2,q3,total\nC1,1,1,2,3,2\nC1,2,1,1,1,3\nC1,3,2,2,2,2\n", {}, id="totals"),
    pytest.param(
        "case,session,q1,q2,q3,mean\nC1,1,1,2,3,2\n", {"mapping": "total = 'mean'"}, id="a total named"
    ),
    pytest.param(
        "case,session,q1,q2,q3\nC1,1,1,2,3\n", {"mapping": "total = 'mean'"}, id="a total not there"
    ),
    pytest.param("case,session,q1,q2,q3,Synthetic\nC1,1,1,2,3,true\n", {}, id="synthetic"),
    pytest.param(
        "case,session,q1,q2,q3,e-mail\nC1,1,1,2,3,a@b.example\n", {"allow_identifiers": True}, id="as asked"
    ),
    pytest.param(
        "case,session,date,q1,q2,q3\nC1,1,31.01.2026,1,2,3\nC1,2,7.2.2026,1,2,3\n", {}, id="days first"
    ),
    pytest.param(
        "case,session,date,q1,q2,q3\nC1,1,01/02/2026,1,2,3\n", {"date_format": "dmy"}, id="order said"
    ),
    pytest.param(
        "case,session,date,q1,q2,q3\n"
        "C2,1,2026-02-01,1,2,3\nC2,2,,1,2,3\nC2,3,2026-01-01,1,2,3\nC1,4,2025-01-01,1,2,3\n"
        "C1,3,2025-01-02,1,2,3\n",
        {},
        id="dates against sessions",
    ),
    pytest.param(
        "case,session,date,q1,q2,q3\nC1,1,2026-01-05,1,2,3\nC1,2,2026-01-05,1,2,3\n", {}, id="two on a day"
    ),
    pytest.param("q1,case,q3,note,q2,session\n1,Ü,3,größer,2,1\n", {}, id="columns in any order"),
]


def options_of(given):
    said = given.get("mapping")
    return ReadOptions(**{**given, "mapping": mapped(said) if said else None})


@pytest.mark.parametrize(("text", "given_options"), TAKEN)
def test_the_fast_lane_reads_what_the_tolerant_one_reads(tmp_path, text, given_options):
    assert assert_lanes_agree(write(tmp_path, text), DEMO, options_of(given_options)) == "fast"


def test_the_form_may_be_named_in_the_file_or_the_mapping(tmp_path):
    head = "case,session,scale," + ",".join(f"q{n}" for n in range(1, 5))
    named = write(tmp_path, f"{head}\nC1,1,srs,9,9.5,8,7\n", name="named.csv")
    assert assert_lanes_agree(named, None) == "fast"
    assert list(load(named, None).responses) == ["srs"]
    said = ReadOptions(mapping=mapped("scale = 'srs'"))
    path = write(tmp_path, "case,session,q1,q2,q3,q4\nC1,1,9,9.5,8,7\n")
    assert assert_lanes_agree(path, None, said) == "fast"
    assert load(path, None, options=said).responses["srs"]["q2"].tolist() == [9.5]


def test_notes_are_told_in_the_same_words(tmp_path):
    text = (
        "client_id,session,date,rater,wa1,wa2,wa3,total\n"
        "C1,1,2026-02-01,,1,2,3,2\nC1,2,2026-01-01,client,1,1,1,7\nC1,3,2026-03-01,client,1,1,1,1\n"
    )
    assert load(write(tmp_path, text), DEMO).notes == (
        "column 'client_id' is read as the case (well-known name)",
        "columns wa1 to wa3 are read as the items of 'demo'",
        "1 blank rater read as client",
        "1 date runs against the session numbers: line 3: case C1, session 2",
        "1 recorded total is not the score of the items, which was used instead (column 'total'): "
        "line 3: case C1, session 2: 7, not 1",
    )


# what it leaves to the tolerant lane, and why

LEFT = [
    pytest.param(HEAD, {}, "rows that are not plain", id="no rows"),
    pytest.param(HEAD + "C1,1,1,2,3\n\nC1,2,1,2,3\n", {}, "rows that are not plain", id="a blank line"),
    pytest.param(HEAD + "C1,1,1,2,3\nend\n", {}, "rows that are not plain", id="a footer"),
    pytest.param(HEAD + "C1,1,1,2,3,4\n", {}, "rows that are not plain", id="a cell too many"),
    pytest.param('case,session,q1,q2,q3,x\nC1,1,1,2,3,"a\nb"\n', {}, "rows that are not plain", id="a break"),
    pytest.param("\n" + TWO, {}, "a header that is not plain", id="a blank line first"),
    pytest.param("My study\n" + TWO, {}, "a header that is not plain", id="a title"),
    pytest.param(
        "case,session,q1,q2,q3,\nC1,1,1,2,3,\n", {}, "a header that is not plain", id="a column more"
    ),
    pytest.param("case ,session,q1,q2,q3\nC1,1,1,2,3\n", {}, "a header that is not plain", id="a blank"),
    pytest.param(
        "case,session,q1,q2,q3,x,x\nC1,1,1,2,3,,\n", {}, "a header that is not plain", id="a name twice"
    ),
    pytest.param(
        "a,b,c,d,e\ncase,session,q1,q2,q3\nC1,1,1,2,3\n", {}, "a header that is not plain", id="later"
    ),
    pytest.param("case,session,q1,q2\nC1,1,1,2\n", {}, "columns that are not plain", id="an item absent"),
    pytest.param("case,q1,q2,q3\nC1,1,2,3\n", {}, "columns that are not plain", id="no session"),
    pytest.param(
        "case,session,episode,q1,q2,q3\nC1,1,1,1,2,3\n", {}, "columns that are not plain", id="episodes"
    ),
    pytest.param(
        "case,session,attended,q1,q2,q3\nC1,1,1,1,2,3\n", {}, "columns that are not plain", id="missed"
    ),
    pytest.param(
        "case,session,q1,q2,q3,status\nC1,1,1,2,3,open\n",
        {},
        "columns that say how treatments ended",
        id="ends",
    ),
    pytest.param(
        "case,session,q1,q2,q3,q4\nC1,1,1,2,3,4\n", {}, "answers beyond the last item", id="a fourth"
    ),
    pytest.param(HEAD + "C1,1,8,2,3\n", {}, "answers outside the range", id="out of range"),
    pytest.param(HEAD + "C1,1,999,2,3\n", {}, "answers outside the range", id="far out of range"),
    pytest.param(HEAD + "C1,1,8.5,2,3\n", {}, "answers outside the range", id="a broken number out of range"),
    pytest.param(HEAD + "C1,1,1.5,2,3\n", {}, "cells that are no plain answers", id="a broken number"),
    pytest.param(HEAD + "C1,1,0x3,2,3\n", {}, "cells that are no plain answers", id="a hexadecimal number"),
    pytest.param(HEAD + "C1,1,1e0,2,3\n", {}, "cells that are no plain answers", id="a power of ten"),
    pytest.param(HEAD + "C1,1,2-3,2,3\n", {}, "cells that are no plain answers", id="two answers"),
    pytest.param(HEAD + ",1,1,2,3\n", {}, "rows without a case or a session number", id="no case"),
    pytest.param(HEAD + "C1,NA,1,2,3\n", {}, "rows without a case or a session number", id="no number"),
    pytest.param(HEAD + "C1,-1,1,2,3\n", {}, "sessions that are no whole numbers", id="a negative session"),
    pytest.param(
        HEAD + "C1,0x1,1,2,3\n", {}, "sessions that are no whole numbers", id="a hexadecimal session"
    ),
    pytest.param(HEAD + "C1,1,1,2,3\nC1,1,1,2,3\n", {}, "doubled sessions", id="a double"),
    pytest.param(
        HEAD + "C\u200b1,1,1,2,3\n", {}, "codes that are not plain", id="a code with what nobody sees"
    ),
    pytest.param(HEAD + "#REF!,1,1,2,3\n", {}, "codes that are not plain", id="a failed formula"),
    pytest.param(HEAD + "C1,1,1,2,3\rC1,2,1,2,3\n", {}, "line breaks that are not plain", id="a return"),
    pytest.param(HEAD + 'C"1",1,1,2,3\n', {}, "quotation marks that are not plain", id="a quote inside"),
    pytest.param(
        HEAD + '"C1"x,1,1,2,3\n', {}, "quotation marks that are not plain", id="text behind a quote"
    ),
    pytest.param(HEAD + 'C1,1,1,2,"3\n', {}, "quotation marks that are not plain", id="a quote left open"),
    pytest.param(
        "case,session,date,q1,q2,q3\nC1,1,01/02/2026,1,2,3\n", {}, "dates that cannot be read", id="open"
    ),
    pytest.param(
        "case,session,date,q1,q2,q3\nC1,1,2026-02-30,1,2,3\n", {}, "dates that cannot be read", id="day"
    ),
    pytest.param(
        "case,session,scale,q1,q2,q3\nC1,1,demo,1,2,3\nC1,2,srs,1,2,3\n",
        {},
        "several forms, or one that is not named",
        id="two forms",
    ),
    pytest.param(
        "case,session,q1,q2,q3,Vorname\nC1,1,1,2,3,Greta\n",
        {},
        "columns that may say who a person is",
        id="a first name",
    ),
    pytest.param(
        "case,session,name1,name2,name3\nC1,1,1,2,3\n",
        {},
        "columns that may say who a person is",
        id="items called like names",
    ),
    pytest.param(
        "case,session,q1,q2,q3,x\nC1,1,1,2,3,a\nC1,2,1,2,3,g@clinic.example\n",
        {},
        "columns that may say who a person is",
        id="an address in the last row",
    ),
    pytest.param(TWO, {"encoding": "utf-8"}, "options of its own", id="an encoding"),
    pytest.param(TWO, {"source": "redcap"}, "options of its own", id="a system named"),
    pytest.param(TWO, {"mapping": "from = 'redcap'"}, "options of its own", id="a system in the mapping"),
    pytest.param(
        TWO, {"dictionary": SAMPLES / "redcap_dictionary.csv"}, "options of its own", id="a dictionary"
    ),
    pytest.param(TWO, {"mapping": "header_row = 2"}, "options of its own", id="another header"),
    pytest.param(TWO, {"mapping": "skip_cases = ['C1']"}, "options of its own", id="cases left out"),
    pytest.param(TWO, {"mapping": "fill_down = ['case']"}, "options of its own", id="filled down"),
    pytest.param(TWO, {"mapping": "turned = ['q1']"}, "options of its own", id="turned"),
    pytest.param(TWO, {"mapping": "cases = {C1 = 'D1'}"}, "options of its own", id="cases renamed"),
    pytest.param(
        TWO, {"mapping": "[answers.demo.de]\noft = 5"}, "options of its own", id="words of a language"
    ),
]


@pytest.mark.parametrize(("text", "given_options", "why"), LEFT)
def test_the_fast_lane_says_what_is_odd(tmp_path, text, given_options, why):
    path, options = write(tmp_path, text), options_of(given_options)
    assert lane_of(path, DEMO, options=options) == f"tolerant: {why}"


@pytest.mark.parametrize(("text", "given_options", "why"), LEFT)
def test_an_odd_file_is_read_or_refused_as_ever(tmp_path, text, given_options, why):
    path, options = write(tmp_path, text), options_of(given_options)
    tolerant = cell_by_cell(path, DEMO, options)
    if isinstance(tolerant, str):
        with pytest.raises(AllianceError) as caught:
            load(path, DEMO, options=options)
        assert str(caught.value) == tolerant
    else:
        loaded = load(path, DEMO, options=options)
        assert loaded.lane == f"tolerant: {why}"
        pd.testing.assert_frame_equal(loaded.responses["demo"], tolerant.responses["demo"])
        assert loaded.notes == tolerant.notes


OTHER_FILES = [
    pytest.param(
        "study.csv", (TWO + "Ü,1,1,2,3\n").encode("cp1252"), "an encoding other than UTF-8", id="late"
    ),
    pytest.param(
        "study.csv",
        "case,session,q1,q2,q3,Größe\nC1,1,1,2,3,\n".encode("cp1252"),
        "an encoding other than UTF-8",
        id="in the header",
    ),
    pytest.param("study.csv", TWO.encode("utf-16"), "a file that is no plain text", id="UTF-16"),
    pytest.param("study.json", TWO.encode(), "a file that is no plain text", id="called JSON"),
    pytest.param("study.csv", b"PK\x03\x04" + TWO.encode(), "a file that is no plain text", id="a workbook"),
    pytest.param("study.csv", b"PAR1" + TWO.encode(), "a file that cannot be opened", id="no Parquet"),
    pytest.param("study.csv", b"", "a header that is not plain", id="empty"),
]


@pytest.mark.parametrize(("name", "raw", "why"), OTHER_FILES)
def test_other_kinds_of_files_are_left_to_the_tolerant_lane(tmp_path, name, raw, why):
    path = write(tmp_path, raw, name=name)
    assert lane_of(path, DEMO, options=ReadOptions()) == f"tolerant: {why}"


def test_a_file_that_is_not_there_is_refused_as_ever(tmp_path):
    with pytest.raises(AllianceError) as caught:
        load(tmp_path / "none.csv", DEMO)
    assert str(caught.value) == (
        f"error: cannot read '{tmp_path / 'none.csv'}': No such file or directory\n"
        "hint: check the name and the folder"
    )


def test_a_refusal_names_the_same_cells(tmp_path):
    assert refusal(tmp_path, HEAD + "C1,1,1,2,3\nC1,2,8,2,3\n") == (
        "error: 1 answer outside 1 to 7, the range of 'demo'\n"
        "  line 3: case C1, session 2, q1 = 8\n"
        "hint: leave an unanswered item empty, or declare its code with --missing, such as --missing 99"
    )


def test_an_address_in_the_last_row_is_refused_in_the_same_words(tmp_path):
    text = "case,session,q1,q2,q3,x\n" + "".join(f"C1,{n},1,2,3,a\n" for n in range(1, 400))
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, text + "C2,1,1,2,3,greta@clinic.example\n"), DEMO)
    assert str(caught.value).splitlines()[:2] == [
        "error: 1 column that may say who a person is",
        "  line 401: column 'x' looks like an e-mail address",
    ]


def test_a_file_that_begins_in_whole_numbers_may_go_on_otherwise(tmp_path):
    text = HEAD + "".join(f"C1,{n},1,2,3\n" for n in range(1, 9000)) + "C2,1,1.0,never,7\n"
    assert len(text) > HEAD_BYTES
    assert assert_lanes_agree(write(tmp_path, text), DEMO) == "fast"


# Parquet and Arrow

FRAME = pd.DataFrame(
    {
        "case": ["C2", "C1", "C2"],
        "session": [1, 1, 2],
        "date": pd.to_datetime(["2026-01-05", None, "2026-01-12"]),
        "rater": pd.Categorical(["therapist", "client", "client"], ["client", "nobody", "therapist"]),
        "q1": [1.0, None, 3.0],
        "q2": ["2", "always", None],
        "q3": pd.array([3, None, 7], dtype="Int8"),
        "sure": [True, False, None],
    }
)


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_typed_columns_are_read_alike_in_both_lanes(tmp_path, kind):
    path = tmp_path / f"study.{kind}"
    getattr(FRAME, f"to_{kind}")(path)
    assert assert_lanes_agree(path, DEMO) == "fast"
    forms = load(path, DEMO).responses["demo"]
    assert forms.index.tolist() == [4, 2, 3]
    np.testing.assert_array_equal(forms["q2"], [np.nan, 2, 7])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"q1": [[1], [2], [3]]}, "columns that are not plain", id="a list in a cell"),
        pytest.param({"q1": [1.5, 2.0, 3.0]}, "cells that are no plain answers", id="a broken number"),
        pytest.param(
            {"session": [1.0, 1.0, None]}, "rows without a case or a session number", id="no number"
        ),
    ],
)
def test_typed_columns_that_are_odd_are_left_to_the_tolerant_lane(tmp_path, change, why):
    path = tmp_path / "study.parquet"
    FRAME.assign(**change).to_parquet(path)
    assert lane_of(path, DEMO, options=ReadOptions()) == f"tolerant: {why}"


def test_a_table_without_rows_is_left_to_the_tolerant_lane(tmp_path):
    path = tmp_path / "study.parquet"
    FRAME.iloc[:0].to_parquet(path)
    assert lane_of(path, DEMO, options=ReadOptions()) == "tolerant: columns that are not plain"


# any study

IDS = st.one_of(
    st.sampled_from(["007", "7", "1E5", "NA", "null", "'=A1", "-", "a,b", 'say "x"', "Ü", " C1", "0x1F"]),
    st.text(st.characters(categories=("L", "N", "P"), codec="utf-8"), min_size=1, max_size=4),
)
ANSWERS = st.sampled_from(
    [*map(str, range(1, 8)), "", "NA", "n/a", "often", "never", "4,0", "03", "8", "0x3", "+3"]
)
USUAL = st.sampled_from([*map(str, range(1, 8)), ""])
SESSIONS = st.one_of(st.integers(0, 99).map(str), st.sampled_from(["03", "4.0", " 5", "NA", "-1", "no 2"]))
DAYS = st.sampled_from(["2026-01-05", "2026-02-05", "2025-12-24", "", "5.1.2026", "01/02/2026", "2026-02-30"])
RATERS = st.sampled_from(["client", "therapist", "", "Client", "partner-a"])
WRITTEN = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from([",", ";", "\t"]),
        "lineterminator": st.sampled_from(["\n", "\r\n"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    }
)
HEADER_NAMES = ["case", "session", "date", "therapist", "rater", "q1", "q2", "q3"]


SMALL = st.none() | st.integers(1, 7)


def rows(*, answers, sessions, days, raters):
    cells = st.tuples(
        IDS, sessions, days, st.sampled_from(["T1", "T2", ""]), raters, answers, answers, answers
    )
    return st.lists(cells, min_size=1, max_size=12, unique_by=lambda row: (row[0], row[1], row[4]))


def written(table, how):
    out = io.StringIO()
    csv.writer(out, **how).writerows([HEADER_NAMES, *table])
    return out.getvalue()


def in_file(text):
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "study.csv"
    path.write_bytes(text.encode("utf-8"))
    return folder, path


@QUICK
@given(table=rows(answers=ANSWERS, sessions=SESSIONS, days=DAYS, raters=RATERS), how=WRITTEN)
def test_both_lanes_agree_on_any_study(table, how):
    folder, path = in_file(written(table, how))
    with folder:
        assert_lanes_agree(path, DEMO)
        assert_lanes_agree(path, DEMO, ReadOptions(missing=("8",), date_format="dmy"))


PLAINER = rows(
    answers=USUAL,
    sessions=st.integers(0, 9).map(str),
    days=st.sampled_from(["2026-01-05", "2026-02-05", ""]),
    raters=st.sampled_from(["client", "therapist"]),
)


@QUICK
@given(table=PLAINER, how=WRITTEN, size=st.sampled_from([1, 60, 1 << 20]))
@example(table=[["B", "1", "", "", "client", "1", "2", "3"]], how={"delimiter": ","}, size=1)
def test_blocks_put_together_are_the_forms_of_the_whole_file(table, how, size):
    folder, path = in_file(written(sorted(table, key=lambda row: row[0].strip()), how))
    with folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "BLOCK_BYTES", size)
        try:
            layout = plain_layout(path, DEMO)
            blocks = list(plain_blocks(path, DEMO, layout))
        except Odd:
            return
        whole = cell_by_cell(path, DEMO)
    assert_blocks_are(blocks, forms_of(whole.responses["demo"], DEMO))
    assert layout.notes == whole.notes


def assert_blocks_are(blocks, forms):
    for names, codes in (("cases", "case"), ("raters", "rater"), ("therapists", "therapist")):
        read = [getattr(block, names)[getattr(block, codes)] for block in blocks]
        assert np.concatenate(read).tolist() == getattr(forms, names)[getattr(forms, codes)].tolist()
    for name in ("session", "date"):
        read = np.concatenate([getattr(block, name) for block in blocks])
        np.testing.assert_array_equal(read, getattr(forms, name))
    answers = [np.where(block.missing, np.nan, block.answers) for block in blocks]
    np.testing.assert_array_equal(np.concatenate(answers, axis=1), forms.answers)


@QUICK
@given(
    table=st.lists(
        st.tuples(st.sampled_from("ABC"), st.integers(1, 50), SMALL, SMALL, st.floats(1, 8)),
        min_size=1,
        max_size=10,
        unique_by=lambda row: row[:2],
    )
)
def test_both_lanes_agree_on_typed_columns(table):
    frame = pd.DataFrame(table, columns=["case", "session", "q1", "q2", "q3"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.parquet"
        frame.to_parquet(path)
        assert_lanes_agree(path, DEMO)
        frame.assign(q3=frame["q3"].round().clip(1, 7)).to_parquet(path)
        assert assert_lanes_agree(path, DEMO) == "fast"


# block by block

STREAMED = [
    pytest.param(HEAD + "C1,1,0x3,2,3\n", "cells that are no plain answers", id="a hexadecimal number"),
    pytest.param(HEAD + "C1,0x3,1,2,3\n", "cells that are no plain answers", id="a hexadecimal session"),
    pytest.param(HEAD + "C1,-3,1,2,3\n", "sessions that are no plain numbers", id="a negative session"),
    pytest.param(HEAD + "C1,1234567890,1,2,3\n", "sessions that are no plain numbers", id="ten digits"),
    pytest.param(HEAD + "C1,,1,2,3\n", "sessions that are no plain numbers", id="no session"),
    pytest.param(HEAD + "C1,1,8,2,3\n", "answers outside the range", id="out of range"),
    pytest.param(HEAD + "C1,1,0,2,3\n", "answers outside the range", id="below the range"),
    pytest.param(HEAD + "C1,1,1,2,3\n\nC1,2,1,2,3\n", "rows that are not plain", id="a blank line"),
    pytest.param(HEAD + ",1,1,2,3\n", "names that are left out", id="no case"),
    pytest.param(HEAD + "C\u200b,1,1,2,3\n", "codes that are not plain", id="a code with what nobody sees"),
    pytest.param(
        HEAD + "C1,1,1,2,3\nC2,1,1,2,3\nC1,2,1,2,3\n",
        "cases whose rows do not stand together",
        id="a case that comes back",
    ),
    pytest.param(
        "case,session,rater,q1,q2,q3\nC1,1,Client,1,2,3\n", "raters in capital letters", id="capital letters"
    ),
    pytest.param("case,session,rater,q1,q2,q3\nC1,1,,1,2,3\n", "names that are left out", id="no rater"),
    pytest.param("case,session,date,q1,q2,q3\nC1,1,2026-02-30,1,2,3\n", "dates that are not plain", id="day"),
    pytest.param("case,session,date,q1,q2,q3\nC1,1,5.1.2026,1,2,3\n", "dates that are not plain", id="dots"),
    pytest.param(
        "case,session,date,q1,q2,q3\nC1,1,2026-02-01,1,2,3\nC1,2,2026-01-01,1,2,3\n",
        "dates that run against the session numbers",
        id="dates against sessions",
    ),
    pytest.param("case,session,q1,q2,q3,q4\nC1,1,1,2,3,4\n", "answers beyond the last item", id="a fourth"),
    pytest.param("case,session,scale,q1,q2,q3\nC1,1,demo,1,2,3\n", "columns that are not plain", id="form"),
    pytest.param("case,session,q1,q2,q3,total\nC1,1,1,2,3,4\n", "columns that are not plain", id="a total"),
    pytest.param(
        "case,session,q1,q2,q3,status\nC1,1,1,2,3,open\n",
        "columns that say how treatments ended",
        id="ends",
    ),
]


@pytest.mark.parametrize(("text", "why"), STREAMED)
def test_a_file_read_in_blocks_says_what_is_odd(tmp_path, text, why):
    path = write(tmp_path, text)
    with pytest.raises(Odd) as caught:
        list(plain_blocks(path, DEMO, plain_layout(path, DEMO)))
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("cells", "answers"),
    [
        pytest.param("9,8.5,.5,NA", [9, 8.5, 0.5, np.nan], id="points of a line"),
        pytest.param("9,10,0,7", [9, 10, 0, 7], id="whole numbers"),
    ],
)
def test_a_form_answered_on_a_line_is_read_in_blocks(tmp_path, cells, answers):
    path, form = write(tmp_path, f"case,session,q1,q2,q3,q4\nC1,1,{cells}\n"), load_scale("srs")
    (block,) = plain_blocks(path, form, plain_layout(path, form))
    np.testing.assert_array_equal(np.where(block.missing, np.nan, block.answers)[:, 0], answers)


def test_blocks_follow_the_mapping(tmp_path):
    path = write(tmp_path, "who,no,a,b,c\nC1,1,0,99,6\n")
    text = 'shift = 1\nmissing = [99]\n[columns]\ncase="who"\nsession="no"\nq1="c"\nq2="b"\nq3="a"'
    options = ReadOptions(mapping=mapped(text))
    (block,) = plain_blocks(path, DEMO, plain_layout(path, DEMO, options), options)
    np.testing.assert_array_equal(np.where(block.missing, np.nan, block.answers)[:, 0], [7, np.nan, 1])


# what is told of the lane


def test_a_large_file_tells_why_it_was_read_cell_by_cell(tmp_path, monkeypatch):
    path = write(tmp_path, TWO)
    monkeypatch.setattr(layout_module, "LARGE_BYTES", len(TWO))
    assert told_lane(path, "tolerant: doubled sessions") == (
        "read cell by cell, which takes longer: doubled sessions",
    )
    assert told_lane(path, "fast") == ()
    assert told_lane(path, "fast, at once: doubled sessions") == ()
    assert told_lane(Path("-"), "tolerant: standard input") == ()
    monkeypatch.setattr(layout_module, "LARGE_BYTES", len(TWO) + 1)
    assert told_lane(path, "tolerant: doubled sessions") == ()


@pytest.mark.parametrize("words", [["score"], ["analyze", "-o", "out"]])
def test_commands_tell_it_too(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(layout_module, "LARGE_BYTES", 1)
    head = "case,session,q1,q2,q3,q4\n"
    again = write(tmp_path, head + "C1,1,9,9,9,9\nC1,2,9,9,8,9\nC1,2,9,9,8,9\n", name="again.csv")
    done = command(words[0], again, "--scale", "srs", *words[1:])
    told = "note: read cell by cell, which takes longer: doubled sessions"
    assert told in " ".join(done.err.split())
    plain = write(tmp_path, head + "C1,1,9,9,9,9\nC1,2,9,9,8,9\n", name="plain.csv")
    assert "cell by cell" not in command(words[0], plain, "--scale", "srs", *words[1:]).err


def test_check_tells_the_lane(command, tmp_path):
    head = "case,session,q1,q2,q3,q4\n"
    plain = write(tmp_path, head + "C1,1,9,9,9,9\nC1,2,9,9,8,9\n")
    assert "\nlane: fast\n" in command("check", plain, "--scale", "srs").out
    again = write(tmp_path, head + "C1,1,9,9,9,9\nC1,1,9,9,9,9\n")
    assert "\nlane: tolerant: doubled sessions\n" in command("check", again, "--scale", "srs").out
    wrong = write(tmp_path, head + "C1,1,99,9,9,9\n")
    assert "lane" not in command("check", wrong, "--scale", "srs").out


def test_a_column_that_begins_behind_the_first_rows_is_left_to_the_tolerant_lane(tmp_path):
    early = "".join(f"C1,{n},1,2,3,\n" for n in range(1, 9000))
    assert len(early) > HEAD_BYTES
    path = write(tmp_path, "record_id,session,q1,q2,q3,form_complete\n" + early + "C2,1,1,2,3,2\n")
    assert lane_of(path, DEMO, options=ReadOptions()) == "tolerant: a column that begins late"


def test_the_line_of_a_cell_that_is_too_long_is_told_without_quotes_too(tmp_path):
    long = "x" * (LONGEST + 1)
    assert refusal(tmp_path, f"{HEAD}C1,1,1,2,3\nC1,2,1,2,{long}\n").splitlines()[:2] == [
        f"error: a cell holds more than {LONGEST} characters",
        "  line 3: in the record that starts here",
    ]
    path = write(tmp_path, f"case,session,q1,q2,q3,x\nC1,1,1,2,3,\nC1,2,1,2,3,{'x' * (LONGEST + 1)}\n")
    assert lane_of(path, DEMO, options=ReadOptions()) == "tolerant: cells that are too long"


@pytest.mark.parametrize("quote", ["", '"'])
def test_lines_are_counted_with_and_without_quotes(quote):
    rows, lines = parse(f"a,b\n\n{quote}c{quote},d\re,f\r\n", ",")
    assert rows == [["a", "b"], [], ["c", "d"], ["e", "f"]]
    assert lines == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("lines", "plain"),
    [
        pytest.param('"a","b"\n"c","d"\n', True, id="all quoted"),
        pytest.param('a,"b"\r\n"c",d', True, id="some quoted"),
        pytest.param('"","a""b"\n"""",""""""\n', True, id="quotes inside quotes"),
        pytest.param('"a","b"c\n"d","e"\n', False, id="text behind a quote"),
        pytest.param('"a","b"\n"d",e"f"\n', False, id="text before a quote"),
        pytest.param('"a","b"\n"c","d\n', False, id="a quote left open"),
        pytest.param("a,b\rc,d\r\n", False, id="a return alone"),
        pytest.param("ü,ß\n" * 9, True, id="letters"),
    ],
)
def test_bytes_are_plain_where_both_readers_must_agree_on_them(lines, plain):
    if plain:
        require_plain_bytes(lines.encode(), ",")
        return
    with pytest.raises(Odd):
        require_plain_bytes(lines.encode(), ",")


def test_letters_of_another_encoding_are_odd_wherever_they_stand(monkeypatch):
    monkeypatch.setattr(typed, "PIECE_BYTES", 3)
    require_plain_bytes("aüaüaü\n".encode(), ",")
    for raw in (b"abcdef\xfc\n", b"abcde\xc3"):
        with pytest.raises(Odd, match=r"^an encoding other than UTF-8$"):
            require_plain_bytes(raw, ",")


RANGES = replace(DEMO, item_ranges={2: (0.0, 3.0), 3: (1.0, 20.0)})


@pytest.mark.parametrize(
    ("cells", "lane"),
    [
        pytest.param("7,0,20", "fast", id="whole numbers"),
        pytest.param("7,3.0,1", "fast", id="decimals"),
        pytest.param("7,4,1", "tolerant: answers outside the range", id="beyond the second"),
        pytest.param("7,4.0,1", "tolerant: answers outside the range", id="beyond the second, decimal"),
        pytest.param("8,0,1", "tolerant: answers outside the range", id="beyond the first"),
        pytest.param("7.0,0,21", "tolerant: answers outside the range", id="beyond the third"),
        pytest.param("7,0,0", "tolerant: answers outside the range", id="below the third"),
    ],
)
def test_each_item_has_its_own_range(tmp_path, cells, lane):
    assert assert_lanes_agree(write(tmp_path, f"{HEAD}C1,1,{cells}\n"), RANGES) == lane


def test_blanks_around_texts_of_a_table_are_taken_off_and_nothing_else(tmp_path):
    path = tmp_path / "study.parquet"
    cells = {"case": [" C1", "'=C2"], "session": ["1 ", " 2"], "q1": [" 1", "2"], "q2": [1, 2], "q3": [1, 2]}
    pd.DataFrame(cells).to_parquet(path)
    assert assert_lanes_agree(path, DEMO) == "fast"
    assert load(path, DEMO).responses["demo"]["case"].tolist() == ["C1", "'=C2"]


def test_treatments_and_standard_input_are_left_to_the_tolerant_lane(tmp_path):
    path, options = write(tmp_path, TWO), ReadOptions()
    known = pd.DataFrame({"case": ["C1"], "client": ["C1"], "episode": [""]})
    assert lane_of(path, DEMO, options=options, treatments=known) == "tolerant: treatments of their own"
    assert lane_of("-", DEMO, options=options) == "tolerant: standard input"
