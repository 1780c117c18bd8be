"""Qualtrics: header rows, previews, unfinished responses, and the columns it always has."""

import openpyxl
import pytest
from readers_helpers import DEMO, mapped, read_demo, refusal

from alliance.readers import load
from alliance.readers.export import Export
from alliance.readers.sources import SYSTEMS, known_sources
from alliance.readers.text import read_text

NAMES = (
    "StartDate,EndDate,Status,Finished,RecordedDate,ResponseId,ExternalReference,UserLanguage,session,"
    "Q1_1,Q1_2,Q1_3"
)
TEXTS = (
    "Start Date,End Date,Response Type,Finished,Recorded Date,Response ID,External Data Reference,"
    'User Language,Which session?,"How? - A, b",How? - B,'
)
SEEN = (
    "the file is read as a Qualtrics export (a row of ImportIds under the column names); "
    "--from names another source"
)


def imports(zone="", names=NAMES):
    extra = f',""timeZone"":""{zone}""' if zone else ""
    return ",".join(f'"{{""ImportId"":""{name}""{extra}}}"' for name in names.split(","))


def row(number, *, case="A", status="0", finished="1", session=1, answers="1,2,3", day="2026-01-05"):
    start, end = f"{day} 15:04:11", f"{day} 15:06:41"
    return f"{start},{end},{status},{finished},{end},R_{number},{case},EN,{session},{answers}"


def export(*rows, header=None):
    header = [NAMES, TEXTS, imports()] if header is None else header
    return "\n".join([*header, *rows]) + "\n"


def read_export(text):
    known_sources()
    records = Export(records=read_text(text.encode()))
    return SYSTEMS["qualtrics"].read(records, None)


def test_the_header_rows_are_no_responses_and_lines_are_those_of_the_file(tmp_path):
    loaded = read_demo(tmp_path, export(row(1), row(2, session=2, answers="4,,6")))
    forms = loaded.responses["demo"]
    assert forms.index.tolist() == [4, 5]
    assert forms["case"].tolist() == ["A", "A"]
    assert forms["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-01-05", "2026-01-05"]
    assert loaded.notes == (
        SEEN,
        "rows of question texts and ImportIds not read: line 2; line 3",
        "column 'ExternalReference' is read as the case (as qualtrics names it)",
        "column 'StartDate' is read as the date (as qualtrics names it)",
        "column 'UserLanguage' is read as the language (as qualtrics names it)",
        "columns Q1_1 to Q1_3 are read as the items of 'demo'",
    )


LEGACY = (
    "ResponseID,ResponseSet,Name,ExternalDataReference,Status,StartDate,EndDate,Finished,session,"
    "Q1_1,Q1_2,Q1_3"
)
LEGACY_ROW = "R_1,Default Response Set,,A,0,2014-01-05 15:04:11,2014-01-05 15:06:41,1,1,4,5,6"


@pytest.mark.parametrize(
    ("header", "first", "below"),
    [
        pytest.param([NAMES], row(1), 0, id="texts and ImportIds deleted"),
        pytest.param([NAMES, TEXTS], row(1), 1, id="ImportIds deleted"),
        pytest.param([NAMES, imports()], row(1), 1, id="texts deleted"),
        pytest.param([NAMES, TEXTS, imports()], row(1), 2, id="all there"),
        pytest.param(
            [NAMES, TEXTS.replace("Start Date", "Startdatum").replace("Response ID", "Antwort-ID")],
            row(1),
            1,
            id="texts in German",
        ),
        pytest.param([LEGACY, LEGACY], LEGACY_ROW, 1, id="legacy, names twice"),
        pytest.param([LEGACY], LEGACY_ROW, 0, id="legacy, names once"),
        pytest.param([NAMES + ",", TEXTS + ",", imports() + ","], row(1) + ",", 2, id="an empty last column"),
        pytest.param(["", NAMES, TEXTS, imports()], row(1), 2, id="a blank line above"),
        pytest.param([NAMES, "", imports().replace('""', "'")], row(1), 2, id="saved again by a program"),
    ],
)
def test_one_two_or_three_header_rows_make_no_difference(tmp_path, header, first, below):
    forms = read_demo(tmp_path, export(first, header=header)).responses["demo"]
    assert forms["case"].tolist() == ["A"]
    assert forms.index.tolist() == [len(header) + 1]
    read = read_export(export(first, header=header))
    assert len(read.records.rows) == len(header) + 1 - below


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_and_a_byte_order_mark_make_no_difference(tmp_path, delimiter):
    header = [NAMES, TEXTS.replace('"How? - A, b"', "How? - A")]
    text = "\ufeff" + export(row(1), header=header).replace(",", delimiter)
    assert read_demo(tmp_path, text).responses["demo"]["q1"].tolist() == [1]


def test_a_workbook_is_read_as_the_text_file_is(tmp_path):
    book = openpyxl.Workbook()
    for line in (
        NAMES,
        TEXTS.replace('"How? - A, b"', "How? - A"),
        row(1, finished="True"),
        row(2, session=2),
    ):
        book.active.append(line.split(","))
    path = tmp_path / "study.xlsx"
    book.save(path)
    loaded = load(path, DEMO)
    assert loaded.responses["demo"].index.tolist() == [3, 4]
    assert loaded.notes[0] == (
        "the file is read as a Qualtrics export (columns ResponseId, StartDate and Finished); "
        "--from names another source"
    )


@pytest.mark.parametrize(
    "status",
    ["1", "2", "8", "9", "12", "17", "40", "Survey Preview", "Survey Test", "Spam", "Imported Spam", "SPAM"],
)
def test_previews_tests_and_spam_are_left_out_and_told(tmp_path, status):
    loaded = read_demo(tmp_path, export(row(1), row(2, status=status, session=2)))
    assert loaded.responses["demo"]["session"].tolist() == [1]
    assert loaded.notes[2] == f"1 row of previews, tests or spam not read: line 5: Status {status}"


@pytest.mark.parametrize("status", ["0", "4", "16", "IP Address", "Imported", "Offline", ""])
def test_responses_of_people_are_read_and_nothing_is_told(tmp_path, status):
    loaded = read_demo(tmp_path, export(row(1, status=status)))
    assert len(loaded.responses["demo"]) == 1
    assert not any("Status" in note or "spam" in note for note in loaded.notes)


def test_a_status_in_another_language_is_read_and_told_once(tmp_path):
    text = export(row(1, status="IP-Adresse"), row(2, status="IP-Adresse", session=2), row(3, status="18"))
    read = read_export(text)
    assert len(read.records.rows) == 4
    assert read.notes[-1] == "rows with a Status that is not known here were read: IP-Adresse; 18"


@pytest.mark.parametrize("finished", ["0", "False", "false", "FALSE"])
def test_a_response_that_was_not_finished_is_read_as_far_as_filled_in(tmp_path, finished):
    loaded = read_demo(tmp_path, export(row(1), row(2, finished=finished, session=2, answers="4,,")))
    assert loaded.responses["demo"]["q1"].tolist() == [1, 4]
    assert loaded.notes[-1] == (
        "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
        "line 5: case A, session 2"
    )


@pytest.mark.parametrize("finished", ["1", "True", "true", ""])
def test_a_finished_response_is_no_unfinished_one(finished):
    assert read_export(export(row(1, finished=finished))).unfinished == frozenset()


def test_progress_says_it_where_finished_is_not_exported():
    names = NAMES.replace("Finished", "Progress")
    rows = [row(n, finished=done) for n, done in enumerate(["99", "100", "", "0", "half"], 1)]
    assert read_export(export(*rows, header=[names, imports(names=names)])).unfinished == {3, 6}


def test_the_finished_response_of_a_session_counts_and_not_the_one_begun(tmp_path):
    text = export(row(1, answers="4,4,4", finished="0"), row(2, answers="5,5,5"))
    loaded = read_demo(tmp_path, text)
    assert loaded.responses["demo"]["q1"].tolist() == [5]
    assert loaded.notes[-1] == (
        "1 unfinished form of a session with a finished one not read: line 4: case A, session 1"
    )


def test_question_texts_become_labels():
    labels = read_export(export(row(1))).labels
    assert labels["Q1_1"] == "How? - A, b"
    assert labels["session"] == "Which session?"
    assert "Q1_3" not in labels
    assert read_export(export(row(1), header=[NAMES, imports()])).labels == {}


def test_a_time_zone_is_told_as_the_dates_are_not_converted(tmp_path):
    text = export(row(1, day="2026-01-05"), header=[NAMES, TEXTS, imports("America/Denver")])
    loaded = read_demo(tmp_path, text)
    assert loaded.notes[1] == "the dates are those of the time zone America/Denver"
    assert loaded.responses["demo"]["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-01-05"]


def test_a_column_named_for_its_role_comes_before_what_qualtrics_usually_has(tmp_path):
    names = NAMES.replace("Q1_1", "case").replace("EndDate", "date")
    text = export(
        row(1, case="other", answers="C7,2,3,1"),
        header=[f"{names},Q1_1", imports(names=f"{names},Q1_1")],
    )
    keys = read_demo(tmp_path, text, mapping=mapped("[columns]\nq1='Q1_1'\nq2='Q1_2'\nq3='Q1_3'"))
    assert keys.responses["demo"]["case"].tolist() == ["C7"]


def test_an_empty_reference_is_no_case(tmp_path):
    assert "case" not in read_export(export(row(1, case=""))).fallbacks
    assert refusal(tmp_path, export(row(1, case=""))).startswith("error: no column says whose form it is\n")


@pytest.mark.parametrize(
    ("names", "column"),
    [
        pytest.param(NAMES, "StartDate", id="begun"),
        pytest.param(NAMES.replace("StartDate", "Begin"), "RecordedDate", id="recorded"),
    ],
)
def test_the_date_is_the_day_it_was_begun_or_else_recorded(names, column):
    assert read_export(export(row(1), header=[names, imports(names=names)])).fallbacks["date"] == column


def test_recode_values_beyond_the_form_are_the_users_to_explain(tmp_path):
    text = export(row(1, answers="21,24,27"))
    assert refusal(tmp_path, text).startswith("error: 3 answers outside 1 to 7, the range of 'demo'\n")
    loaded = read_demo(tmp_path, text, mapping=mapped("shift = -20"))
    assert loaded.responses["demo"][["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 4, 7]]


def test_words_are_read_in_the_language_of_each_response(tmp_path):
    text = export(row(1, answers="nie,nie,nie"), row(2, session=2, answers="nie,nie,nie").replace("EN", "DE"))
    spoken = mapped("[answers.demo.de]\nnie = 1\n[answers.demo.en]\nnie = 2\n")
    loaded = read_demo(tmp_path, text, mapping=spoken)
    assert loaded.responses["demo"]["q1"].tolist() == [2, 1]


def test_an_e_mail_of_a_recipient_is_refused(tmp_path):
    text = export(row(1), header=[NAMES, imports()]).replace("RecordedDate", "RecipientEmail")
    told = refusal(tmp_path, text.replace("1,2026-01-05 15:06:41,R_1", "1,a@b.example,R_1"))
    assert "column 'RecipientEmail' looks like an e-mail address" in told


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(export(row(1), header=[NAMES.replace("Finished", "Done")]), id="a name missing"),
        pytest.param(export(row(1).replace("R_1", "17"), header=[NAMES]), id="other ids of responses"),
        pytest.param(export(header=[NAMES]), id="no responses"),
        pytest.param(
            export(row(1), row(2), imports(), header=[NAMES.replace("Id", "No")]), id="too far down"
        ),
    ],
)
def test_what_is_not_surely_from_qualtrics_is_left_to_the_user(text):
    known_sources()
    assert SYSTEMS["qualtrics"].recognise(Export(records=read_text(text.encode()))) == ""
