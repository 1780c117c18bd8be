"""The mapping file: strict, every breach in one list; and what each of its fields does."""

import numpy as np
import pytest
from readers_helpers import DEMO, forms_of, mapped, read_demo, refusal, write

from alliance.errors import DataError, StoreError
from alliance.readers import Mapping, ReadOptions, load, read_mapping
from alliance.readers.mapping import FormMap


def test_every_field_is_read(tmp_path):
    path = write(
        tmp_path,
        """
        missing = [99, "refused"]
        shift = 1
        pattern = "a{item}_{session}"
        header_row = 4
        sheet = "Forms"
        fill_down = ["Client"]
        skip_cases = ["Mean"]
        date_format = "dmy"
        scale = "wai-sr"
        rater = "client"
        total = "Sum"
        [columns]
        case = "Client"
        q1 = "First item"
        [answers]
        "Very  Often" = 4
        """,
        name="map.toml",
    )
    assert read_mapping(path) == Mapping(
        columns={"case": "Client", "q1": "First item"},
        answers={"very often": 4.0},
        missing=("99", "refused"),
        shift=1,
        pattern="a{item}_{session}",
        header_row=4,
        sheet="Forms",
        fill_down=("Client",),
        skip_cases=("Mean",),
        date_format="dmy",
        scale="wai-sr",
        rater="client",
        total="Sum",
    )


def test_every_field_for_a_system_and_several_forms_is_read(tmp_path):
    path = write(
        tmp_path,
        """
        from = "qualtrics"
        language = "DE"
        keep = "last"
        unfinished = "drop"
        [columns]
        language = "UserLanguage"
        [cases]
        " p1 " = "P1"
        [sessions]
        "The  First" = 1
        [answers]
        Oft = 4
        [answers.WAI-SR]
        "Very Often" = 4
        [answers.wai-sr-b.DE]
        "Sehr  oft" = 4.5
        [[forms]]
        scale = "wai-sr"
        items = "wai_{item}"
        rater = "client"
        missing = [99]
        shift = 1
        turned = []
        [[forms]]
        scale = "wai-sr"
        rater = "therapist"
        pattern = "t{item}_{session}"
        [[forms]]
        scale = "phq-9"
        columns = { q1 = "p" }
        turned = ["p"]
        """,
        name="map.toml",
    )
    assert read_mapping(path) == Mapping(
        source="qualtrics",
        language="DE",
        keep="last",
        unfinished="drop",
        columns={"language": "UserLanguage"},
        cases={" p1 ": "P1"},
        sessions={"the first": 1},
        answers={"oft": 4.0},
        worded={"wai-sr": {"": {"very often": 4.0}}, "wai-sr-b": {"": {}, "de": {"sehr oft": 4.5}}},
        forms=(
            FormMap(scale="wai-sr", items="wai_{item}", rater="client", missing=("99",), shift=1, turned=()),
            FormMap(scale="wai-sr", rater="therapist", pattern="t{item}_{session}"),
            FormMap(scale="phq-9", columns={"q1": "p"}, turned=("p",)),
        ),
    )


def test_turned_is_not_said_where_it_is_not_there():
    assert mapped("shift = 1").turned is None
    assert mapped("turned = []").turned == ()
    assert mapped('turned = ["x1"]').turned == ("x1",)


BREACHES = [
    pytest.param("from = 3", "from: must be a text that is not empty", id="from"),
    pytest.param("language = ''", "language: must be a text that is not empty", id="language"),
    pytest.param("keep = 'both'", "keep: must be one of first, last, got 'both'", id="keep"),
    pytest.param("unfinished = 1", "unfinished: must be one of use, drop, got 1", id="unfinished"),
    pytest.param("turned = 'q1'", "turned: must be a list of texts", id="turned is one text"),
    pytest.param("turned = [4]", "turned: must be a list of texts", id="turned by number"),
    pytest.param("shift = nan", "shift: must be a number, got nan", id="no number"),
    pytest.param("shift = inf", "shift: must be a number, got inf", id="no end"),
    pytest.param("shift = true", "shift: must be a number, got True", id="a truth value"),
    pytest.param("cases = 'p'", "cases: must be a table of text = text", id="cases"),
    pytest.param("[cases]\np1 = 1", 'cases."p1": must be a text that is not empty', id="a case is a number"),
    pytest.param("sessions = 1", "sessions: must be a table of word = session number", id="sessions"),
    pytest.param(
        "[sessions]\nfirst = '1'",
        "sessions.\"first\": must be a session number, got '1'",
        id="session as text",
    ),
    pytest.param(
        "[sessions]\nfirst = -1", 'sessions."first": must be a session number, got -1', id="session below 0"
    ),
    pytest.param(
        "[sessions]\nfirst = true", 'sessions."first": must be a session number, got True', id="a truth"
    ),
    pytest.param(
        "[sessions]\nFirst = 1\n' first' = 2", "sessions: 'first' is there twice", id="a session twice"
    ),
    pytest.param("forms = 1", "forms: must be a list of tables, [[forms]]", id="forms is a number"),
    pytest.param("forms = [1]", "forms: must be a list of tables, [[forms]]", id="forms holds a number"),
    pytest.param("[[forms]]\nitems = 'a{item}'", "forms 1: must say its scale", id="a form without a scale"),
    pytest.param(
        "[[forms]]\nscale = 'srs'",
        "forms 1: must say which columns are its items: items, columns or pattern",
        id="a form without items",
    ),
    pytest.param(
        "[[forms]]\nscale = 'srs'\nitems = 'a{item}'\ncolumns = { q1 = 'a' }",
        "forms 1: must say which columns are its items: items, columns or pattern",
        id="a form with items twice",
    ),
    pytest.param(
        "[[forms]]\nscale = 'srs'\nitems = 'a'",
        'forms 1: items: must hold {item} once, such as "wai_{item}"',
        id="items without a place for the number",
    ),
    pytest.param(
        "[[forms]]\nscale = 'srs'\npattern = 'a{item}'",
        'forms 1: pattern: must hold {item} and {session} once each, such as "wa{item}_s{session}"',
        id="pattern without a session",
    ),
    pytest.param(
        "[[forms]]\nscale = 'srs'\nitems = 'a{item}'\nkeep = 'first'",
        "forms 1: unknown field 'keep': known: columns, items, missing, pattern, rater, scale, shift, turned",
        id="what is no field of a form",
    ),
    pytest.param(
        "[[forms]]\nscale = 'srs'\ncolumns = { case = 'a' }",
        "forms 1: columns.case: belongs under [columns]; here are q1 and so on only",
        id="a role in a form",
    ),
    pytest.param(
        "[[forms]]\nscale = 'srs'\nitems = 'a{item}'\n[[forms]]\nscale = 'srs'\nitems = 'b{item}'",
        "forms 2: the same scale and rater as in an entry before; each needs its own rater",
        id="a form twice",
    ),
    pytest.param(
        "scale = 'srs'\n[[forms]]\nscale = 'srs'\nitems = 'a{item}'",
        "scale: belongs under [[forms]], where there are several forms",
        id="a scale beside forms",
    ),
    pytest.param(
        "turned = []\n[[forms]]\nscale = 'srs'\nitems = 'a{item}'",
        "turned: belongs under [[forms]], where there are several forms",
        id="turned beside forms",
    ),
    pytest.param(
        "pattern = 'a{item}{session}'\n[[forms]]\nscale = 'srs'\nitems = 'a{item}'",
        "pattern: belongs under [[forms]], where there are several forms",
        id="a pattern beside forms",
    ),
    pytest.param(
        "[columns]\nq2 = 'x'\nq3 = 'y'\n[[forms]]\nscale = 'srs'\nitems = 'a{item}'",
        "columns.q2: belongs under [[forms]], where there are several forms",
        id="items beside forms",
    ),
    pytest.param(
        "[columns]\nscale = 'x'\n[[forms]]\nscale = 'srs'\nitems = 'a{item}'",
        "columns.scale: belongs under [[forms]], where there are several forms",
        id="a scale column beside forms",
    ),
    pytest.param(
        "[answers.srs.de.du]\noft = 1",
        'answers."srs"."de"."du": must be a number, got a table',
        id="answers too deep",
    ),
    pytest.param(
        "[answers.srs.de]\noft = 'vier'",
        'answers."srs"."de"."oft": must be a number, got \'vier\'',
        id="a word in a language",
    ),
    pytest.param(
        "[answers.srs]\nOft = 1\noft = 2",
        "answers.\"srs\": 'oft' is there twice",
        id="a word of a form twice",
    ),
    pytest.param(
        "[answers.srs.DE]\noft = 1\n[answers.srs.de]\nnie = 2",
        "answers.\"srs\": 'de' is there twice",
        id="a language twice",
    ),
]


@pytest.mark.parametrize(("text", "breach"), BREACHES)
def test_a_breach_of_the_schema_is_named(text, breach):
    with pytest.raises(DataError) as caught:
        mapped(text)
    assert str(caught.value) == (
        f"error: 'map.toml' is no valid mapping\n  {breach}\n"
        "hint: `alliance check FILE --write-map` drafts a mapping to start from"
    )


def test_all_breaches_are_listed_at_once(tmp_path):
    path = write(
        tmp_path,
        """
        collumns = 1
        shift = "one"
        pattern = "a{item}"
        header_row = 0
        fill_down = "Client"
        missing = 99
        date_format = "european"
        scale = ""
        [columns]
        client = "a"
        case = "b"
        session = "b"
        q0 = "c"
        [answers]
        Often = "four"
        often = 4
        """,
        name="map.toml",
    )
    with pytest.raises(DataError) as caught:
        read_mapping(path)
    assert str(caught.value) == (
        "error: 'map.toml' is no valid mapping\n"
        "  unknown field 'collumns': did you mean 'columns'? known: answers, cases, columns, date_format, "
        "fill_down, forms, from, header_row, keep, language, missing, pattern, rater, scale, sessions, "
        "sheet, shift, skip_cases, total, turned, unfinished\n"
        "  shift: must be a number, got 'one'\n"
        '  pattern: must hold {item} and {session} once each, such as "wa{item}_s{session}"\n'
        "  header_row: must be a line of the file, 1 or more, got 0\n"
        "  fill_down: must be a list of texts\n"
        "  missing: must be a list of texts or numbers\n"
        "  date_format: must be one of ymd, dmy, mdy, got 'european'\n"
        "  scale: must be a text that is not empty\n"
        "  columns.client: unknown role; known: case, episode, session, date, therapist, rater, scale, "
        "attendance, attended, item, value, external_not_on_track, language, q1 and so on\n"
        "  columns.q0: unknown role; known: case, episode, session, date, therapist, rater, scale, "
        "attendance, attended, item, value, external_not_on_track, language, q1 and so on\n"
        "  columns: 'b' is given two roles\n"
        "  answers.\"Often\": must be a number, got 'four'\n"
        "  answers: 'often' is there twice\n"
        "hint: `alliance check FILE --write-map` drafts a mapping to start from"
    )


def test_a_mapping_that_is_no_toml_is_named(tmp_path):
    path = write(tmp_path, "case: client\n", name="map.toml")
    with pytest.raises(DataError) as caught:
        read_mapping(path)
    assert caught.value.troubles[0].what.startswith("'map.toml' is no TOML file: Expected '=' after a key")


def test_a_mapping_that_is_not_there_cannot_be_opened(tmp_path):
    with pytest.raises(StoreError) as caught:
        read_mapping(tmp_path / "no.toml")
    assert caught.value.troubles[0].what.startswith("cannot read the mapping")


TEXT = "Client,No,A,B,C\nC01,1,5,6,7\n,2,1,2,99\nMean,,3,4,7\n"
MAP = """
fill_down = ["Client"]
skip_cases = ["mean"]
missing = [99]
rater = "partner-a"
[columns]
case = "Client"
session = "No"
q1 = "C"
q2 = "A"
q3 = "B"
"""


def test_the_fields_do_what_they_say(tmp_path):
    loaded = read_demo(tmp_path, TEXT, mapping=mapped(MAP))
    forms = loaded.responses["demo"]
    assert forms[["case", "session", "rater"]].to_numpy().tolist() == [
        ["C01", 1, "partner-a"],
        ["C01", 2, "partner-a"],
    ]
    np.testing.assert_array_equal(forms[["q1", "q2", "q3"]], [[7, 5, 6], [np.nan, 1, 2]])
    assert loaded.notes == (
        "column 'Client' was filled down over 1 blank cell",
        "1 row left out as the mapping says (skip_cases): line 4",
    )
    assert loaded.mapping == mapped(MAP)


def test_the_mapping_may_name_the_form(tmp_path):
    path = write(tmp_path, "case,session,q1,q2,q3,q4\nC01,1,5,6,7,8.5\n")
    loaded = load(path, None, options=ReadOptions(mapping=mapped('scale = "srs"')))
    assert list(loaded.responses) == ["srs"]
    assert loaded.responses["srs"]["q4"].tolist() == [8.5]


def test_the_header_row_can_be_said(tmp_path):
    text = "case,session,q1,q2,q3\nclient,visit,x,y,z\nC01,1,1,2,3\n"
    text_map = 'header_row = 2\n[columns]\nsession = "visit"\nq1 = "x"\nq2 = "y"\nq3 = "z"'
    loaded = read_demo(tmp_path, text, mapping=mapped(text_map))
    assert loaded.responses["demo"].index.tolist() == [3]
    told = refusal(tmp_path, text, mapping=mapped("header_row = 9"))
    assert told == (
        "error: no row starts in line 9, the header row of the mapping\n"
        "hint: correct header_row in the mapping"
    )


def test_mapped_items_that_are_not_all_there_are_absent(tmp_path):
    told = refusal(tmp_path, "case,session,a,b\nC01,1,1,2\n", mapping=mapped_columns("q1 = 'a'\nq3 = 'b'"))
    assert told.startswith("error: 1 item has no column in the file: q2\n")


def mapped_columns(text):
    return mapped(f"[columns]\n{text}")


def test_a_mapped_item_beyond_the_form_is_refused(tmp_path):
    mapping = mapped_columns("q1 = 'a'\nq2 = 'b'\nq3 = 'c'\nq4 = 'd'")
    told = refusal(tmp_path, "case,session,a,b,c,d\nC01,1,1,2,3,4\n", mapping=mapping)
    assert told == (
        "error: the mapping names item 4, and the form has 3 items\n"
        "hint: correct the mapping, or name the right form with --scale"
    )


def test_an_unknown_column_to_fill_down_is_refused(tmp_path):
    told = refusal(tmp_path, "case,session,q1,q2,q3\nC01,1,1,2,3\n", mapping=mapped("fill_down = ['Client']"))
    assert told == "error: there is no column 'Client' to fill down\nhint: correct fill_down in the mapping"


WIDE = """case,a1_s1,a2_s1,a3_s1,when_1,a1_s2,a2_s2,a3_s2,when_2
C01,1,2,3,2026-01-01,4,5,6,2026-01-08
C02,7,,1,2026-01-02,,NA,,
"""


def test_a_wide_file_gives_a_form_for_each_session_that_took_place(tmp_path):
    mapping = mapped('pattern = "a{item}_s{session}"\n[columns]\ndate = "when_{session}"')
    forms = forms_of(tmp_path, WIDE, mapping=mapping)
    assert forms[["case", "session"]].to_numpy().tolist() == [["C01", 1], ["C01", 2], ["C02", 1]]
    assert forms["date"].dt.day.tolist() == [1, 8, 2]
    np.testing.assert_array_equal(forms[["q1", "q2", "q3"]], [[1, 2, 3], [4, 5, 6], [7, np.nan, 1]])
    assert forms.index.tolist() == [2, 2, 3]


def test_a_bad_cell_of_a_wide_file_is_named_by_its_own_column(tmp_path):
    told = refusal(tmp_path, WIDE.replace("4,5,6", "4,9,6"), mapping=mapped('pattern = "a{item}_s{session}"'))
    assert "\n  line 2: case C01, session 2, a2_s2 (q2) = 9\n" in told


def test_item_columns_a_wide_file_lacks_are_named(tmp_path):
    told = refusal(tmp_path, "case,a1_s1,a2_s1,a3_s1,a1_s2,a3_s2\nC01,1,2,3,4,5\n", mapping=mapped(PATTERN))
    assert told == (
        "error: 1 item column is not in the file\n"
        "  a2_s2\n"
        "hint: add the columns, or load the rest with --on-error drop: the items then count as unanswered"
    )


PATTERN = 'pattern = "a{item}_s{session}"'


@pytest.mark.parametrize(
    ("header", "message"),
    [
        pytest.param("case,b1_s1", "no column fits the pattern 'a{item}_s{session}'", id="nothing fits"),
        pytest.param(
            "case,a1_s1,a2_s1,a3_s1,a4_s1",
            "the form 'demo' has 3 items, and the pattern also finds a4_s1",
            id="beyond",
        ),
        pytest.param("case,a1_s1,a1_s1,a2_s1,a3_s1", "column 'a1_s1' is there twice", id="doubled"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(tmp_path, header, message):
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, header + "\nC01\n"), DEMO, options=ReadOptions(mapping=mapped(PATTERN)))
    assert caught.value.troubles[0].what == message


def test_a_recorded_total_named_in_the_mapping_is_compared(tmp_path):
    text = "case,session,q1,q2,q3,Ergebnis\nC01,1,1,2,3,6\nC01,2,1,2,3,7\nC01,3,1,,3,4\nC01,4,2,2,2,6\n"
    notes = read_demo(tmp_path, text, mapping=mapped("total = 'Ergebnis'")).notes
    assert notes == (
        "1 recorded total is not the score of the items, which was used instead (column 'Ergebnis'): "
        "line 3: case C01, session 2: 7, not 6",
    )


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        pytest.param(["2", "4"], False, id="means"),
        pytest.param(["6", "12"], False, id="sums"),
        pytest.param(["2.00", "4,0"], False, id="decimals"),
        pytest.param(["", "NA"], False, id="none recorded"),
        pytest.param(["2", "3.9"], True, id="one is wrong"),
    ],
)
def test_a_recorded_total_may_be_a_sum_or_a_mean(tmp_path, recorded, told):
    text = f'case,session,q1,q2,q3,total\nC01,1,1,2,3,"{recorded[0]}"\nC01,2,3,4,5,"{recorded[1]}"\n'
    assert bool(read_demo(tmp_path, text).notes) is told


def test_a_total_that_agrees_nowhere_is_no_total_of_these_items(tmp_path):
    text = "case,session,q1,q2,q3,phq_total\nC01,1,1,2,3,17\nC01,2,3,4,5,11\n"
    assert read_demo(tmp_path, text).notes == (
        "column 'phq_total' was not taken for a recorded total: "
        "it differs from the items in 2 of 2 complete forms",
    )
