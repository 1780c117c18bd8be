"""LimeSurvey: codes, texts, or both; responses that were never submitted; its dates and access codes."""

import pytest
from readers_helpers import mapped, read_demo, refusal

from alliance.readers.export import Export
from alliance.readers.sources import SYSTEMS, known_sources
from alliance.readers.text import read_text

CODES = (
    "id,submitdate,lastpage,startlanguage,seed,startdate,datestamp,token,CODE,session,"
    "ALI[SQ001],ALI[SQ002],ALI[SQ003]"
)
BOTH = (
    "id. Response ID,submitdate. Date submitted,lastpage. Last page,startlanguage. Start language,seed. Seed,"
    "startdate. Date started,datestamp. Date last action,token. Access code,CODE. Your code,session. Which?,"
    "ALI[SQ001]. Rate. [A. b],ALI[SQ002]. Rate. [B],ALI[SQ003]. Rate. [C]"
)
ITEMS = "Please rate. [Item 1],Please rate. [Item 2],Please rate. [Item 3]"
ENGLISH = (
    "Response ID,Date submitted,Last page,Start language,Seed,Date started,"
    f"Date last action,Access code,CODE,session,{ITEMS}"
)
GERMAN = (
    "Antwort ID,Datum Abgeschickt,Letzte Seite,Start-Sprache,Zufallsstartwert,Datum gestartet,"
    f"Datum letzte Aktivität,Zugangscode,CODE,session,{ITEMS}"
)
FRENCH = (
    "ID de la réponse,Date de soumission,Dernière page,Langue de départ,Tête de série,Date de lancement,"
    f"Date de la dernière action,Code,CODE,session,{ITEMS}"
)
SPANISH = (
    "ID de respuesta,Fecha de envío,Última página,Lenguaje inicial,Semilla,Fecha de inicio,"
    f"Fecha de la última acción,Código de acceso,CODE,session,{ITEMS}"
)
ITALIAN = (
    "ID risposta,Data invio,Ultima pagina,Lingua iniziale,Seme,Data di inizio,"
    f"Data dell'ultima azione,Codice,CODE,session,{ITEMS}"
)
CASE = mapped("[columns]\ncase = 'CODE'")


def row(
    number,
    *,
    submitted="2026-01-05 15:06:00",
    started="2026-01-05 15:04:00",
    stamp="2026-01-05 15:05:00",
    token="t1",
    code="A",
    session="1.0000000000",
    answers="1,2,3",
):
    return f"{number},{submitted},2,en,10079,{started},{stamp},{token},{code},{session},{answers}"


def export(*rows, header=CODES):
    return "\n".join([header, *rows]) + "\n"


def read_export(text):
    known_sources()
    records = Export(records=read_text(text.encode()))
    assert SYSTEMS["limesurvey"].recognise(records)
    return SYSTEMS["limesurvey"].read(records, None)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(CODES, id="codes"),
        pytest.param(BOTH, id="code and text"),
        pytest.param(ENGLISH, id="English"),
        pytest.param(ENGLISH.replace(" ", "_"), id="blanks as underscores"),
        pytest.param(GERMAN, id="German"),
        pytest.param(FRENCH, id="French"),
        pytest.param(SPANISH, id="Spanish"),
        pytest.param(ITALIAN, id="Italian"),
    ],
)
def test_every_heading_gives_the_same_forms(tmp_path, header):
    text = export(row(1), row(2, submitted="", session="2.0000000000", token="t2"), header=header)
    loaded = read_demo(tmp_path, text, mapping=CASE)
    forms = loaded.responses["demo"]
    assert forms[["case", "session", "q1", "q2", "q3"]].to_numpy().tolist() == [
        ["A", 1, 1, 2, 3],
        ["A", 2, 1, 2, 3],
    ]
    assert forms["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-01-05", "2026-01-05"]
    assert forms.index.tolist() == [2, 3]
    assert loaded.notes[-1] == (
        "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
        "line 3: case A, session 2"
    )


def test_every_field_quoted_and_semicolons_make_no_difference(tmp_path):
    lines = export(row(1), header=ENGLISH).splitlines()
    quoted = "\n".join(";".join(f'"{cell}"' for cell in line.split(",")) for line in lines)
    assert read_demo(tmp_path, "\ufeff" + quoted, mapping=CASE).responses["demo"]["q3"].tolist() == [3]


def test_the_notes_say_what_was_seen_and_that_codes_were_used(tmp_path):
    loaded = read_demo(tmp_path, export(row(1), header=BOTH), mapping=CASE)
    assert loaded.notes == (
        "the file is read as a LimeSurvey export (columns id, lastpage, startlanguage and submitdate); "
        "--from names another source",
        "the column names are code and text: the code was used",
        "column 'startdate' is read as the date (as limesurvey names it)",
        "column 'startlanguage' is read as the language (as limesurvey names it)",
        "columns ALI[SQ001] to ALI[SQ003] are read as the items of 'demo'",
    )


def test_texts_behind_codes_become_labels():
    labels = read_export(export(row(1), header=BOTH)).labels
    assert labels["ALI[SQ001]"] == "Rate. [A. b]"
    assert labels["CODE"] == "Your code"
    assert read_export(export(row(1))).labels == {}
    assert read_export(export(row(1), header=ENGLISH)).labels == {}


@pytest.mark.parametrize("submitted", ["", " ", "N/A", "NULL"])
def test_a_response_without_a_day_of_submission_is_unfinished(submitted):
    assert read_export(export(row(1), row(2, submitted=submitted))).unfinished == {3}


def test_unfinished_responses_can_be_left_out(tmp_path):
    text = export(row(1), row(2, submitted="", session="2"))
    loaded = read_demo(tmp_path, text, mapping=CASE, unfinished="drop")
    assert loaded.responses["demo"]["session"].tolist() == [1]
    assert loaded.notes[-1] == "1 form begun and not sent, not read: line 3: case A, session 2"


@pytest.mark.parametrize(
    ("change", "date"),
    [
        pytest.param({}, "startdate", id="begun"),
        pytest.param({"started": ""}, "datestamp", id="last action"),
        pytest.param({"started": "", "stamp": ""}, "submitdate", id="submitted"),
        pytest.param({"started": "1980-01-01 00:00:00"}, "datestamp", id="no day of beginning kept"),
    ],
)
def test_the_date_is_the_first_that_the_survey_keeps(change, date):
    assert read_export(export(row(1, **change))).fallbacks["date"] == date


def test_one_response_without_a_date_of_its_own_does_not_take_the_column_away():
    rows = row(1, started="1980-01-01 00:00:00"), row(2)
    assert read_export(export(*rows)).fallbacks["date"] == "startdate"


def test_a_survey_that_keeps_no_dates_has_none_and_says_so(tmp_path):
    never = {"submitted": "1980-01-01 00:00:00", "started": "", "stamp": ""}
    text = export(row(1, **never), row(2, **never, session="2"))
    loaded = read_demo(tmp_path, text, mapping=CASE)
    assert loaded.responses["demo"]["date"].isna().all()
    assert loaded.notes[1] == "column 'submitdate' says 1980-01-01 throughout: the survey keeps no dates"
    assert "begun and not sent" not in " ".join(loaded.notes)


@pytest.mark.parametrize(
    ("tokens", "case"),
    [
        pytest.param(["t1", "t1", "t2"], "token", id="used again"),
        pytest.param(["t1", "t2", "t3"], None, id="one for each response"),
        pytest.param(["", "", "t3"], None, id="blank"),
    ],
)
def test_an_access_code_is_a_case_only_if_it_is_used_again(tokens, case):
    rows = [row(number, token=token) for number, token in enumerate(tokens, 1)]
    assert read_export(export(*rows)).fallbacks.get("case") == case


def test_a_column_named_case_comes_before_the_access_code(tmp_path):
    text = export(row(1), row(2, code="B"), header=CODES.replace("CODE", "client"))
    assert read_demo(tmp_path, text).responses["demo"]["case"].tolist() == ["A", "B"]


def test_without_a_case_the_id_of_a_response_is_not_taken_for_one(tmp_path):
    told = refusal(tmp_path, export(row(1, token="t1"), row(2, token="t2")))
    assert told.startswith("error: no column says whose form it is\n")


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        pytest.param("1.0000000000", "1", id="ten zeros"),
        pytest.param("-12.0000000000", "-12", id="below zero"),
        pytest.param("007.0000000000", "007", id="zeros in front"),
        pytest.param("3.5000000000", "3.5000000000", id="a fraction"),
        pytest.param("1.00000000000", "1.00000000000", id="eleven zeros"),
        pytest.param("1.000000000", "1.000000000", id="nine zeros"),
        pytest.param("x.0000000000", "x.0000000000", id="no number"),
        pytest.param(".0000000000", ".0000000000", id="nothing before"),
        pytest.param("²." + "0" * 10, "²." + "0" * 10, id="a raised digit"),
    ],
)
def test_numbers_lose_the_ten_zeros_of_the_database(cell, read):
    assert read_export(export(row(1, code=cell))).records.rows[1][8] == read


def test_a_numeric_code_of_a_client_is_the_same_in_old_and_new_exports(tmp_path):
    old = read_demo(tmp_path, export(row(1, code="12.0000000000")), mapping=CASE)
    new = read_demo(tmp_path, export(row(1, code="12")), mapping=CASE)
    assert old.responses["demo"].equals(new.responses["demo"])


def test_answer_codes_stay_codes_until_a_person_says_their_numbers(tmp_path):
    text = export(row(1, answers="A1,A4,N/A"))
    assert refusal(tmp_path, text, mapping=CASE).startswith(
        "error: 2 answers are no number and no known word\n"
    )
    said = mapped("[columns]\ncase = 'CODE'\n[answers]\nA1 = 1\nA4 = 4")
    forms = read_demo(tmp_path, text, mapping=said).responses["demo"]
    assert forms[["q1", "q2", "q3"]].fillna(0).to_numpy().tolist() == [[1, 4, 0]]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("submitdate,lastpage,CODE,session,q1", id="no id and no language"),
        pytest.param("id,lastpage,startlanguage,CODE,q1", id="no day of submission"),
        pytest.param("id,date,startdate,token,session,q1", id="an id, a date and a token"),
    ],
)
def test_fewer_of_its_columns_are_not_taken_for_limesurvey(header):
    known_sources()
    records = Export(records=read_text(f"{header}\n1,2,3,4,5\n".encode()))
    assert SYSTEMS["limesurvey"].recognise(records) == ""


@pytest.mark.parametrize("gone", ["id", "lastpage", "startlanguage"])
def test_one_of_its_columns_may_be_left_out_of_the_export(gone):
    assert read_export(export(row(1), header=CODES.replace(gone, "x", 1))).unfinished == frozenset()
