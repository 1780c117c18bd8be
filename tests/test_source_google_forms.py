"""Google Forms: stamps in every writing, question texts as names, ids and sessions as they were typed."""

import pytest
from readers_helpers import mapped, read_demo, refusal

from alliance.readers.export import Export
from alliance.readers.sources import SYSTEMS, known_sources
from alliance.readers.text import read_text

HEADER = "Timestamp,Your code,Which session?,Today: [Item 1],Today: [Item 2],Today: [Item 3],Anything to add?"
NAMED = mapped("[columns]\ncase = 'Your code'\nsession = 'Which session?'")
DAY_FIRST = "2026/01/05 3:06:01 PM GMT+1"


def export(*stamps, header=HEADER):
    rows = [f"{stamp},A,{number},1,2,3," for number, stamp in enumerate(stamps, 1)]
    return "\r\n".join([header, *rows]) + "\r\n"


def seen(text):
    known_sources()
    return SYSTEMS["google_forms"].recognise(Export(records=read_text(text.encode())))


def days(loaded):
    return loaded.responses["demo"]["date"].dt.strftime("%Y-%m-%d").tolist()


@pytest.mark.parametrize(
    ("stamp", "order"),
    [
        pytest.param("2026/01/05 3:06:01 PM GMT+1", None, id="twelve hours, ahead of Greenwich"),
        pytest.param("2026/01/05 11:59:59 PM GMT-8", None, id="the day as it is written"),
        pytest.param("2026/01/05 12:00:01 AM GMT+13", None, id="just after midnight"),
        pytest.param("2026/01/05 3:06:01 p. m. GMT+1", None, id="Spanish"),
        pytest.param("2026/01/05 3:06:01 PM MEZ", None, id="a zone by name"),
        pytest.param("2026-01-05 15:06:01", None, id="from a workbook"),
        pytest.param("05.01.2026 15:06:01", None, id="German sheet"),
        pytest.param("05/01/2026 15:06:01", "dmy", id="British sheet"),
        pytest.param("1/5/2026 15:06:01", "mdy", id="American sheet"),
        pytest.param("05/01/2026 15.06.01", "dmy", id="Italian sheet"),
    ],
)
def test_the_day_is_the_one_that_is_written(tmp_path, stamp, order):
    text = export(stamp)
    assert seen(text)
    assert days(read_demo(tmp_path, text, mapping=NAMED, date_format=order)) == ["2026-01-05"]


def test_a_sheet_that_can_be_read_day_first_and_month_first_is_asked_about(tmp_path):
    told = refusal(tmp_path, export("1/5/2026 15:06:01", "2/5/2026 15:06:01"), mapping=NAMED)
    assert told == (
        "error: the dates in column 'Timestamp' can be read day first and month first\n"
        "  line 2: case A, session 1\n"
        "hint: say --date-format dmy or --date-format mdy"
    )


@pytest.mark.parametrize(
    "title",
    [
        "Timestamp",
        "Zeitstempel",
        "Horodateur",
        "Marca temporal",
        "Informazioni cronologiche",
        "Tijdstempel",
        "Carimbo de data/hora",
        "Sygnatura czasowa",
        "Časová značka",
        "Tidstämpel",
        "Отметка времени",
    ],
)
def test_the_first_column_is_known_in_many_languages(tmp_path, title):
    text = export(DAY_FIRST, header=HEADER.replace("Timestamp", title))
    loaded = read_demo(tmp_path, text, mapping=NAMED)
    assert days(loaded) == ["2026-01-05"]
    assert loaded.notes == (
        f"the file is read as responses of a Google form (stamps in the first column '{title}', "
        "and questions as column names); --from names another source",
        f"column '{title}' is read as the date (as google_forms names it)",
        "columns Today: [Item 1] to Today: [Item 3] are read as the items of 'demo'",
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(export(DAY_FIRST, header=HEADER.replace("Timestamp", "When")), id="another title"),
        pytest.param(export(DAY_FIRST, header="Code," + HEADER), id="not the first column"),
        pytest.param(export("2026/01/05"), id="a day without a time"),
        pytest.param(export("1736089561"), id="seconds since 1970"),
        pytest.param(export("2026-01/05 15:06"), id="two separators"),
        pytest.param(export(DAY_FIRST, "yesterday"), id="one cell that is no stamp"),
        pytest.param(export(""), id="no stamp at all"),
        pytest.param(
            export(DAY_FIRST, header="Timestamp,a,b,c,d,e,Anything to add?"), id="one question of six"
        ),
        pytest.param(export(DAY_FIRST, header="timestamp,case,session,q1,q2,q3,note"), id="plain names"),
        pytest.param(HEADER + "\r\n", id="no responses"),
        pytest.param(f"Timestamp\r\n{DAY_FIRST}\r\n", id="nothing but stamps"),
        pytest.param(f"Timestamp,Mood [1] now\r\n{DAY_FIRST},4\r\n", id="a bracket within a title"),
    ],
)
def test_what_is_not_surely_a_google_form_is_left_to_the_user(text):
    assert seen(text) == ""


@pytest.mark.parametrize("question", ["Your code:", "Which session?", "Mood [today]", "How are you today"])
def test_a_question_is_known_by_how_it_is_written(question):
    assert seen(f"Timestamp,{question}\r\n{DAY_FIRST},4\r\n")


def test_half_of_the_columns_must_be_questions_and_its_own_columns_do_not_count():
    header = "Timestamp,Email Address,Score,a,b,Who are you?,Which session was this"
    assert seen(export(DAY_FIRST, header=header))
    assert not seen(export(DAY_FIRST, header=header.replace("Score", "c")))


def test_rows_may_lack_a_stamp_and_cells_may_hold_line_breaks(tmp_path):
    text = (
        export(DAY_FIRST)
        + '"2026/01/12 3:06:01 PM GMT+1",A,2,4,5,6,"too fast;\n""slow down"""\r\n,A,3,1,1,1,\r\n'
    )
    loaded = read_demo(tmp_path, text, mapping=NAMED)
    assert loaded.responses["demo"].index.tolist() == [2, 3, 5]
    assert loaded.responses["demo"]["date"].isna().tolist() == [False, False, True]


def test_a_date_that_was_asked_for_comes_before_the_stamp(tmp_path):
    text = export(DAY_FIRST, header=HEADER.replace("Anything to add?", "Date")).replace(
        "3,\r", "3,2026-01-04\r"
    )
    assert days(read_demo(tmp_path, text, mapping=NAMED)) == ["2026-01-04"]


def test_typed_ids_and_sessions_are_what_the_mapping_says(tmp_path):
    text = export(DAY_FIRST, DAY_FIRST).replace("A,1,", " a-1 ,first,").replace("A,2,", "A1,Session 2,")
    said = mapped(
        "[columns]\ncase = 'Your code'\nsession = 'Which session?'\n"
        "[cases]\n'a-1' = 'A1'\n[sessions]\nFirst = 1\n'Session 2' = 2"
    )
    forms = read_demo(tmp_path, text, mapping=said).responses["demo"]
    assert forms[["case", "session"]].to_numpy().tolist() == [["A1", 1], ["A1", 2]]


@pytest.mark.parametrize("title", ["Email Address", "Username"])
def test_an_e_mail_address_is_refused(tmp_path, title):
    text = export(DAY_FIRST, header=HEADER.replace("Anything to add?", title)).replace(
        "3,\r", "3,a@b.example\r"
    )
    assert refusal(tmp_path, text, mapping=NAMED).startswith(
        "error: 1 column that may say who a person is\n"
        f"  line 2: column '{title}' looks like an e-mail address\n"
    )
