"""Castor: surveys, repeating data and study data, in the names of its versions."""

import pytest
from readers_helpers import DEMO, mapped, read_demo, write

from alliance.readers import ReadOptions, load
from alliance.readers.export import Export
from alliance.readers.sources import SYSTEMS, known_sources
from alliance.readers.text import read_text

SURVEY = (
    "Castor Participant ID;Participant Status;Site Abbreviation;Survey Instance ID;Survey Creation Date;"
    "Survey Sent Date;Survey Progress;Survey Completed On;Survey Parent;Survey Package Name;"
    "Survey Package ID;ali_1;ali_2;ali_3"
)
OLDER = (
    SURVEY.replace("Castor Participant ID", "Castor Record ID")
    .replace("Participant Status", "Record Status")
    .replace("Site", "Institute")
)
REPEATING = (
    "Participant Id;Participant Status;Repeating Data Creation Date;Repeating data Name Custom;"
    "Repeating data Parent;ali_1;ali_2;ali_3"
)
REPORT = "Record Id;Report Creation Date;Report Name Custom;Report Parent;ali_1;ali_2;ali_3"
STUDY = "Participant Id;Participant Status;Site Abbreviation;Participant Creation Date;ali_1;ali_2;ali_3"
OLDER_STUDY = "Record Id;Institute Abbreviation;Record Creation Date;ali_1;ali_2;ali_3"


def survey(
    number,
    *,
    case="N-1",
    sent="05-02-2026 09:00:00",
    done="06-02-2026 10:00:00",
    parent=None,
    answers="1;2;3",
):
    parent = f"Session {number}" if parent is None else parent
    created = "04-02-2026 08:00:00"
    return f"{case};Not Locked;N;I{number};{created};{sent};100;{done};{parent};Alliance;P1;{answers}"


def export(*rows, header=SURVEY):
    return "\n".join([header, *rows]) + "\n"


def read_export(text):
    known_sources()
    records = Export(records=read_text(text.encode()))
    assert SYSTEMS["castor"].recognise(records)
    return SYSTEMS["castor"].read(records, None)


@pytest.mark.parametrize(
    ("header", "kind", "case"),
    [
        pytest.param(SURVEY, "surveys", "Castor Participant ID", id="survey"),
        pytest.param(
            SURVEY.replace("ID", "Id"), "surveys", "Castor Participant Id", id="survey, other letters"
        ),
        pytest.param(OLDER, "surveys", "Castor Record ID", id="older survey"),
        pytest.param(REPEATING, "repeating data", "Participant Id", id="repeating data"),
        pytest.param(REPORT, "repeating data", "Record Id", id="report"),
        pytest.param(STUDY, "study data", "Participant Id", id="study"),
        pytest.param(OLDER_STUDY, "study data", "Record Id", id="older study"),
    ],
)
def test_every_kind_of_export_is_known_with_its_case(header, kind, case):
    text = export(";".join(["x"] * len(header.split(";"))), header=header)
    known_sources()
    evidence = SYSTEMS["castor"].recognise(Export(records=read_text(text.encode())))
    assert evidence.startswith(f"{kind}, by the columns {case}, ")
    read = read_export(text)
    assert read.columns == {"case": case}
    assert read.date_format == "dmy"


def test_a_survey_is_read_with_days_before_months(tmp_path):
    loaded = read_demo(tmp_path, export(survey(1), survey(2)))
    forms = loaded.responses["demo"]
    assert forms[["case", "session", "q1", "q3"]].to_numpy().tolist() == [["N-1", 1, 1, 3], ["N-1", 2, 1, 3]]
    assert forms["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-02-05", "2026-02-05"]
    assert loaded.notes == (
        "the file is read as a Castor export (surveys, by the columns Castor Participant ID, "
        "Survey Instance ID and Survey Progress); --from names another source",
        "column 'Castor Participant ID' is read as the case (as castor names it)",
        "column 'Survey Parent' is read as the session (as castor names it)",
        "column 'Survey Sent Date' is read as the date (as castor names it)",
        "columns ali_1 to ali_3 are read as the items of 'demo'",
    )


def test_a_survey_that_was_not_completed_is_unfinished(tmp_path):
    text = export(survey(1), survey(2, done=""), survey(3, done=" "))
    assert read_export(text).unfinished == {3, 4}
    loaded = read_demo(tmp_path, text, unfinished="drop")
    assert loaded.responses["demo"]["session"].tolist() == [1]
    assert loaded.notes[-1] == (
        "2 forms begun and not sent, not read: line 3: case N-1, session 2; line 4: case N-1, session 3"
    )


@pytest.mark.parametrize(
    ("parents", "session"),
    [
        pytest.param(["Session 1", "Session 2"], "Survey Parent", id="numbered"),
        pytest.param(["1", "2"], "Survey Parent", id="numbers"),
        pytest.param(["Session 1", "", "Session 2"], "Survey Parent", id="one blank"),
        pytest.param(["Session 1", "Session 1"], None, id="one number for all"),
        pytest.param(["Session 1", "Visit 2"], None, id="two words"),
        pytest.param(["Session 1", "Follow-up"], None, id="one without a number"),
        pytest.param(["", ""], None, id="blank"),
    ],
)
def test_the_parent_is_the_session_only_if_it_numbers_the_forms(parents, session):
    rows = [survey(number, parent=parent) for number, parent in enumerate(parents, 1)]
    assert read_export(export(*rows)).fallbacks.get("session") == session


def test_surveys_without_numbers_are_put_in_order_by_their_day(tmp_path):
    rows = [survey(1, parent="x", sent="09-02-2026 08:00:00"), survey(2, parent="x", answers="4;5;6")]
    forms = read_demo(tmp_path, export(*rows)).responses["demo"]
    assert forms[["session", "q1"]].to_numpy().tolist() == [[1, 4], [2, 1]]


@pytest.mark.parametrize(
    ("sent", "date"),
    [
        pytest.param("05-02-2026 09:00:00", "Survey Sent Date", id="all sent"),
        pytest.param("", "Survey Creation Date", id="one opened by hand"),
    ],
)
def test_the_date_is_when_all_were_sent_or_else_created(sent, date):
    assert read_export(export(survey(1), survey(2, sent=sent), "")).fallbacks["date"] == date


def test_repeating_data_are_forms_by_their_own_name_and_day(tmp_path):
    text = export(
        "N-1;Open;05-02-2026 09:00:00;Session - 1;No parent;1;2;3",
        "N-1;Open;12-02-2026 09:00:00;Session - 2;No parent;4;5;6",
        header=REPEATING,
    )
    forms = read_demo(tmp_path, text).responses["demo"]
    assert forms[["session", "q1"]].to_numpy().tolist() == [[1, 1], [2, 4]]
    assert forms["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-02-05", "2026-02-12"]


def test_study_data_are_wide_and_the_mapping_says_how(tmp_path):
    names = ";".join(f"s{session}_ali_{item}" for session in (1, 2) for item in (1, 2, 3))
    header = STUDY.replace("ali_1;ali_2;ali_3", names)
    text = export("N-1;Open;N;04-02-2026 08:00:00;1;2;3;4;5;6", header=header)
    loaded = read_demo(tmp_path, text, mapping=mapped("pattern = 's{session}_ali_{item}'"))
    forms = loaded.responses["demo"]
    assert forms[["case", "session", "q1"]].to_numpy().tolist() == [["N-1", 1, 1], ["N-1", 2, 4]]


@pytest.mark.parametrize("code", ["-95", "-96", "-97", "-98", "-99", "##USER_MISSING_97##"])
def test_its_own_codes_for_missing_need_no_declaration(tmp_path, code):
    forms = read_demo(tmp_path, export(survey(1, answers=f"1;{code};3"))).responses["demo"]
    assert forms[["q1", "q2", "q3"]].isna().to_numpy().tolist() == [[False, True, False]]


def test_check_boxes_are_left_alone(tmp_path):
    header = f"{SURVEY};med#None;med#Other_1;med#Other_2;med#Other_3"
    rows = [survey(number, answers="1;2;3;0;1;0;1") for number in (1, 2)]
    path = write(tmp_path, export(*rows, header=header))
    text = "[columns]\nq1 = 'ali_1'\nq2 = 'ali_2'\nq3 = 'ali_3'"
    forms = load(path, DEMO, options=ReadOptions(mapping=mapped(text))).responses["demo"]
    assert forms[["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("record_id;randomization_id;randomization_group;q1", id="a plain study"),
        pytest.param("Participant Id;Participant Status;session;q1", id="one column of its own"),
        pytest.param("Survey Instance ID;Survey Progress;Survey Parent;q1", id="no participant"),
        pytest.param("participant_id;session_id;ali_1;ali_2", id="BIDS"),
    ],
)
def test_fewer_of_its_columns_are_not_taken_for_castor(header):
    known_sources()
    records = Export(records=read_text(f"{header}\n1;2;3;4\n".encode()))
    assert SYSTEMS["castor"].recognise(records) == ""
