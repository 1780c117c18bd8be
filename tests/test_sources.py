"""Every source system: its samples are seen by it and by no other, and a plain file by none."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers_helpers import DEMO, forms_of, read_demo, write

from alliance.errors import UsageError
from alliance.readers import ReadOptions, load
from alliance.readers.export import Export, Opened
from alliance.readers.sources import SYSTEMS, known_sources, open_container, open_export
from alliance.readers.sources.sheet import sheet_of, without
from alliance.readers.text import Records, read_text

SAMPLES = Path(__file__).parent / "samples"

SEEN_IN = {
    "bids": ["bids/phenotype/alliance.tsv"],
    "castor": ["castor_survey.csv"],
    "formr": ["formr_results.csv"],
    "google_forms": ["google_forms.csv"],
    "limesurvey": [
        "limesurvey_codes.csv",
        "limesurvey_full_answers.csv",
        "nasty/15_limesurvey_code_and_text/limesurvey.csv",
    ],
    "qualtrics": [
        "qualtrics_numeric.csv",
        "qualtrics_choicetext.csv",
        "nasty/09_qualtrics_three_headers/qualtrics.csv",
    ],
    "redcap": [
        "redcap_repeating_raw.csv",
        "redcap_repeating_labels.csv",
        "redcap_eav.csv",
        "redcap_longitudinal_events.csv",
    ],
}
PLAIN = [
    "canonical.csv",
    "items_long.csv",
    "osf_wide_zero_based.csv",
    "desktop_de_vas_cp1252.csv",
    "excel_unicode_text_utf16.txt",
    "excel_clinic.xlsx",
    "nasty/01_bom_crlf/sessions.csv",
    "nasty/35_two_raters/sessions.csv",
]
NEAR = [
    pytest.param("case,session,date,q1,q2,q3\nA,1,2026-01-05,1,2,3\n", id="plain names"),
    pytest.param("timestamp,case,session,q1,q2,q3\n2026-01-05 15:04:00,A,1,1,2,3\n", id="a stamp"),
    pytest.param(
        "Timestamp,Client code,Session no,Item 1,Item 2\n1/5/2026 15:04:00,A,1,4,5\n", id="short titles"
    ),
    pytest.param("id,token,startdate,case,session,q1\n1,x,2026-01-05,A,1,4\n", id="an id and a token"),
    pytest.param("StartDate,Status,Finished,case,session,q1\n2026-01-05,0,1,A,1,4\n", id="a start date"),
    pytest.param("session,created,case,q1,q2R\n1,2026-01-05,A,4,5\n", id="created, and an R"),
    pytest.param(
        "session,created,modified,ended,case,q1\n1,2026-01-05,2026-01-05,2026-01-05,A,4\n",
        id="stamps beside numbered sessions",
    ),
    pytest.param("participant_id,site_abbreviation,session,q1\nA,N,1,4\n", id="a participant and a site"),
    pytest.param("", id="nothing"),
    pytest.param("\n\n , \n", id="blank rows"),
]


def export_of(file):
    path = SAMPLES / file
    return open_container(Opened(raw=path.read_bytes(), path=path))


def seen_by(export):
    known_sources()
    return [name for name, each in SYSTEMS.items() if each.recognise(export)]


def test_every_system_has_a_sample():
    known_sources()
    assert set(SYSTEMS) == set(SEEN_IN)


@pytest.mark.parametrize(("name", "file"), [(name, file) for name in SEEN_IN for file in SEEN_IN[name]])
def test_a_sample_is_seen_by_its_own_system_and_no_other(name, file):
    assert seen_by(export_of(file)) == [name]


@pytest.mark.parametrize("file", PLAIN)
def test_a_file_of_no_particular_system_is_seen_by_none(file):
    assert seen_by(export_of(file)) == []


@pytest.mark.parametrize("text", NEAR)
def test_a_plain_file_with_a_name_or_two_of_a_system_is_seen_by_none(text):
    assert seen_by(Export(records=read_text(text.encode()))) == []


@pytest.mark.parametrize("name", sorted(SEEN_IN))
def test_the_system_is_told_with_what_it_was_seen_by(name):
    path = SAMPLES / SEEN_IN[name][0]
    export = open_export(Opened(raw=path.read_bytes(), path=path))
    evidence = SYSTEMS[name].recognise(export_of(SEEN_IN[name][0]))
    assert export.source == name
    assert export.notes[0] == (
        f"the file is read as {SYSTEMS[name].title} ({evidence}); --from names another source"
    )


SURVEYS = ["castor", "formr", "google_forms", "limesurvey", "qualtrics"]


@pytest.mark.parametrize("name", [name for name in SURVEYS if name != "formr"])
def test_a_plain_file_said_to_be_of_a_survey_system_reads_as_the_same_forms(tmp_path, name):
    text = "case,session,date,q1,q2,q3\n007,1,2026-01-05,1,2,3\n007,2,2026-01-12,4,,6\n"
    assert forms_of(tmp_path, text, source=name).equals(forms_of(tmp_path, text))


@pytest.mark.parametrize("name", SURVEYS)
@pytest.mark.parametrize("text", ["\n\n", "a\n", ",,\n,,\n", '"",x\n\n"1"\n'])
def test_a_survey_system_reads_a_table_of_nothing_without_a_trace(name, text):
    known_sources()
    export = Export(records=read_text(text.encode()))
    read = SYSTEMS[name].read(export, Opened(raw=b"", path=Path("study.csv")))
    assert read.records.rows == export.records.rows
    assert (read.columns, read.levels, read.labels, read.notes) == ({}, {}, {}, ())


def test_a_container_named_by_the_user_leaves_the_table_alone():
    path = SAMPLES / "qualtrics_numeric.csv"
    options = ReadOptions(source="csv")
    export = open_export(Opened(raw=path.read_bytes(), path=path, options=options))
    assert export.source == ""
    assert export.records.rows[1][0] == "Start Date"


def test_an_unknown_source_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UsageError) as caught:
        load(write(tmp_path, "case\n"), DEMO, options=ReadOptions(source="qualtrix"))
    assert str(caught.value).startswith("error: unknown source 'qualtrix'\nhint: did you mean 'qualtrics'?")


def test_rows_left_out_keep_the_lines_of_the_others():
    records = read_text(b"a,b\n1,2\n3,4\n5,6\n")
    left = without(records, [3])
    assert (left.rows, left.lines) == ([["a", "b"], ["1", "2"], ["5", "6"]], [1, 2, 4])
    assert without(records, []).rows == records.rows


def test_a_sheet_gives_columns_as_they_are_named_and_their_cells_stripped():
    rows = [["", ""], ["Start Date", "", "END-date", "End Date", " "], [" x ", "y"], [], ["z", "", "w"]]
    sheet = sheet_of(Records(rows=rows, lines=[1, 2, 3, 4, 5]))
    assert sheet.names == ("Start Date", "", "END-date", "End Date")
    assert sheet.named("date", "start_date") == "Start Date"
    assert sheet.named("end_date") == "END-date"
    assert sheet.named("other") == ""
    assert sheet.cells("Start Date") == ["x", "", "z"]
    assert sheet.cells("END-date") == ["", "", "w"]
    assert sheet.cells("") == sheet.cells("other") == []
    assert list(sheet.lines_where("Start Date", ("x", "z"))) == [3, 5]
    assert list(sheet.lines_where("other", ("",))) == []
    assert sheet.lines_blank("END-date") == {3, 4}
    assert sheet.lines_blank("other") == frozenset()


def test_a_file_of_a_system_is_read_like_any_other_where_the_mapping_says_more(tmp_path):
    text = "session,created,modified,ended,ali_1,ali_2,ali_3\ntok,2026-01-05,2026-01-05,2026-01-05,1,2,3\n"
    loaded = read_demo(tmp_path, text)
    assert loaded.responses["demo"][["case", "session", "q1"]].to_numpy().tolist() == [["tok", 1, 1.0]]


NAMES = [
    "StartDate", "ResponseId", "Status", "Finished", "Progress", "ExternalReference", "id", "submitdate",
    "lastpage", "startlanguage", "startdate", "token", "Timestamp", "Which session was it?", "Today [1]",
    "Castor Participant ID", "Survey Progress", "Survey Parent", "Survey Sent Date", "Survey Completed On",
    "session", "created", "modified", "ended", "ali_1", "ali_2R", "",
]  # fmt: skip
CELLS = [
    "", " ", "R_1", "0", "1", "False", "Spam", "2026-01-05 15:04:11", "05-01-2026", "1980-01-01", "NA", "N/A",
    "Session 1", "Session 2", "tokA", "1.0000000000", '{"ImportId":"x","timeZone":"Z"}', '{"ImportId":', "\n",
    "2026/01/05 3:06:01 PM GMT+1", "²", "0" * 40,
]  # fmt: skip


@given(
    header=st.lists(st.sampled_from(NAMES), max_size=8),
    rows=st.lists(st.lists(st.sampled_from(CELLS) | st.text(max_size=3), max_size=9), max_size=5),
)
def test_any_table_is_read_by_every_survey_system_and_keeps_its_rows_and_lines(header, rows):
    known_sources()
    table = [header, *rows]
    export = Export(records=Records(rows=table, lines=list(range(1, len(table) + 1))))
    for name in SURVEYS:
        assert isinstance(SYSTEMS[name].recognise(export), str)
        read = SYSTEMS[name].read(export, Opened(raw=b"", path=Path("study.csv")))
        assert len(read.records.rows) == len(read.records.lines)
        assert set(read.records.lines) <= set(export.records.lines)
        assert read.unfinished <= set(export.records.lines)
        assert set(read.columns.values()) | set(read.fallbacks.values()) | set(read.may_be_turned) <= set(
            sheet_of(export.records).names
        )
