"""Several forms side by side in a file, forms begun and not sent, and doubles: which become Responses."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
from readers_helpers import mapped, write

from alliance.errors import DataError
from alliance.frames import check_responses
from alliance.readers import ReadOptions, inspect, load
from alliance.readers.loading import Loaded
from alliance.readers.sources import SYSTEMS, known_sources, system
from alliance.scale import load_scale

FORM = """
id = "{id}"
name = "Demonstration form (3 items)"
perspective = "client"
construct = "{construct}"
direction = "higher_is_better"
citation = "Invented for tests; not a real instrument."
licence = "CC0-1.0"
status = "verified"
items = 3
min = {low}
max = {high}
method = "mean"
sources = ["invented for tests"]
vectors = [{{ answers = [1, 2, 3], scores = {{ total = 2.0 }} }}]
"""


@pytest.fixture
def forms(tmp_path):
    """Give a folder with two forms: `bond` answered 1 to 7, and `mood` answered 0 to 3."""
    folder = tmp_path / "forms"
    folder.mkdir()
    bond = FORM.format(id="bond", construct="alliance", low=1, high=7)
    mood = FORM.format(id="mood", construct="outcome", low=0, high=3)
    (folder / "bond.toml").write_text(bond + 'anchors = { 1 = "never", 7 = "always" }\n', encoding="utf-8")
    (folder / "mood.toml").write_text(mood, encoding="utf-8")
    return folder


@pytest.fixture
def read(tmp_path, forms):
    """Give a function that reads a text with a mapping, all forms of it or one that is named."""

    def read(text: str, mapping: str, *, scale: str = "", **options: object) -> Loaded:
        form = load_scale(scale, folders=[forms]) if scale else None
        given = ReadOptions(mapping=mapped(mapping), **options)
        return load(write(tmp_path, text), form, options=given, folders=[forms])

    return read


def rows(frame: pd.DataFrame, names: Iterable[str] = ("case", "session", "rater", "q1", "q2", "q3")) -> list:
    return frame[list(names)].to_numpy().tolist()


BOTH = """case,session,date,a1,a2,a3,m_1,m_2,m_3
C01,1,2026-01-05,5,6,7,0,1,2
C01,2,2026-01-12,4,4,4,,,
C02,1,2026-01-06,,,,3,3,3
C02,2,2026-01-13,,,,,,
"""
TWO = """
[[forms]]
scale = "bond"
items = "a{item}"
[[forms]]
scale = "mood"
items = "m_{item}"
"""


def test_two_forms_in_a_row_come_out_as_two_frames(read):
    loaded = read(BOTH, TWO)
    assert rows(loaded.responses["bond"]) == [["C01", 1, "client", 5, 6, 7], ["C01", 2, "client", 4, 4, 4]]
    assert rows(loaded.responses["mood"]) == [["C01", 1, "client", 0, 1, 2], ["C02", 1, "client", 3, 3, 3]]
    assert loaded.responses["bond"].index.tolist() == [2, 3]
    assert loaded.responses["mood"].index.tolist() == [2, 4]
    assert loaded.notes == ("4 blank forms in rows with several forms not read",)


@pytest.mark.parametrize("scale", ["bond", "mood"])
def test_a_form_that_is_named_is_read_as_if_beside_the_others_and_alone(read, scale):
    alone = read(BOTH, TWO, scale=scale).responses
    assert list(alone) == [scale]
    pd.testing.assert_frame_equal(alone[scale], read(BOTH, TWO).responses[scale])


@pytest.mark.parametrize("scale", ["bond", "mood"])
def test_sessions_numbered_by_date_are_the_same_for_a_form_alone(read, scale):
    text = BOTH.replace("session,", "").replace(",1,2026", ",2026").replace(",2,2026", ",2026")
    whole = read(text, TWO).responses[scale]
    assert whole["session"].tolist() == {"bond": [1, 2], "mood": [1, 1]}[scale]
    pd.testing.assert_frame_equal(read(text, TWO, scale=scale).responses[scale], whole)


def test_a_form_that_the_mapping_does_not_have_is_refused(read):
    with pytest.raises(DataError) as caught:
        read(BOTH, TWO, scale="srs")
    assert str(caught.value) == (
        "error: the mapping has no form 'srs' under [[forms]]\nhint: it has bond, mood"
    )


SIDES = """case,session,c1,c2,c3,t1,t2,t3
C02,1,5,5,5,6,6,6
C01,2,1,2,3,4,5,6
C01,1,3,3,3,,,
"""
SAME = """
[[forms]]
scale = "bond"
items = "t{item}"
rater = "Therapist"
[[forms]]
scale = "bond"
items = "c{item}"
rater = "client"
"""


def test_one_form_of_two_raters_side_by_side_comes_out_as_one_frame(read, forms):
    found = read(SIDES, SAME).responses["bond"]
    assert rows(found) == [
        ["C02", 1, "client", 5, 5, 5],
        ["C02", 1, "therapist", 6, 6, 6],
        ["C01", 1, "client", 3, 3, 3],
        ["C01", 2, "client", 1, 2, 3],
        ["C01", 2, "therapist", 4, 5, 6],
    ]
    assert found.index.tolist() == [2, 2, 4, 3, 3]
    check_responses(found, load_scale("bond", folders=[forms]))


def test_the_rater_of_a_form_stands_before_the_rater_column(read):
    text = "case,session,rater,c1,c2,c3,t1,t2,t3\nC01,1,observer,1,2,3,4,5,6\n"
    found = read(text, SAME.replace('rater = "client"', "")).responses["bond"]
    assert rows(found) == [["C01", 1, "observer", 1, 2, 3], ["C01", 1, "therapist", 4, 5, 6]]


def test_two_columns_of_forms_that_turn_out_as_one_rater_are_doubles(read):
    text = "case,session,rater,c1,c2,c3,t1,t2,t3\nC01,1,therapist,1,2,3,4,5,6\nC02,1,therapist,1,1,1,1,1,1\n"
    mapping = SAME.replace('rater = "client"', "")
    with pytest.raises(DataError) as caught:
        read(text, mapping)
    assert str(caught.value) == (
        "error: 2 rows give a session that is there twice, and differ\n"
        "  line 2: case C01, session 1\n"
        "  line 2: case C01, session 1\n"
        "hint: correct the file, or say --keep first or --keep last"
    )
    kept = read(text, mapping + "\n", keep="last")
    assert rows(kept.responses["bond"]) == [
        ["C01", 1, "therapist", 1, 2, 3],
        ["C02", 1, "therapist", 1, 1, 1],
    ]
    assert kept.notes[0] == "1 row there again with the same answers, kept once: line 3: case C02, session 1"


def test_forms_have_their_own_missing_codes_and_shift(read):
    text = "case,session,a1,a2,a3,m1,m2,m3\nC01,1,0,6,9,1,2,9\n"
    mapping = """
    missing = [9]
    [[forms]]
    scale = "bond"
    items = "a{item}"
    shift = 1
    [[forms]]
    scale = "mood"
    items = "m{item}"
    missing = ["1"]
    """
    found = read(text, mapping).responses
    np.testing.assert_array_equal(found["bond"][["q1", "q2", "q3"]], [[1, 7, np.nan]])
    np.testing.assert_array_equal(found["mood"][["q1", "q2", "q3"]], [[np.nan, 2, np.nan]])


def test_a_shift_at_the_top_counts_for_each_form_that_has_none_of_its_own(read):
    text = "case,session,a1,a2,a3,m1,m2,m3\nC01,1,1,2,3,1,2,3\n"
    found = read(
        text, "shift = -1\n" + TWO.replace("m_", "m").replace('"bond"', '"bond"\nshift = 0')
    ).responses
    assert rows(found["bond"], ["q1", "q2", "q3"]) == [[1, 2, 3]]
    assert rows(found["mood"], ["q1", "q2", "q3"]) == [[0, 1, 2]]


def test_forms_may_be_wide_and_number_their_sessions(read):
    text = "case,a1_1,a2_1,a3_1,a1_2,a2_2,a3_2,m1,m2,m3\nC01,1,2,3,4,5,6,9,9,9\nC02,7,7,7,,,,9,9,9\n"
    mapping = '[[forms]]\nscale = "bond"\npattern = "a{item}_{session}"\n'
    assert rows(read(text, mapping).responses["bond"]) == [
        ["C01", 1, "client", 1, 2, 3],
        ["C01", 2, "client", 4, 5, 6],
        ["C02", 1, "client", 7, 7, 7],
    ]


def test_the_columns_of_a_form_can_be_said_one_by_one(read):
    text = "case,session,x,y,z,m1,m2,m3\nC01,1,1,2,3,1,2,3\n"
    mapping = '[[forms]]\nscale = "bond"\ncolumns = { q1 = "z", q2 = "x", q3 = "y" }\n'
    assert rows(read(text, mapping).responses["bond"], ["q1", "q2", "q3"]) == [[3, 1, 2]]


ANSWERS = "case,session,item,value\n" + "".join(
    f"C01,{session},{name}_{item},{value}\n"
    for session, name, values in [(1, "a", (5, 6, 7)), (1, "m", (0, 1, 2)), (2, "m", (3, 2, 1))]
    for item, value in enumerate(values, 1)
)


def test_forms_with_one_answer_a_row_are_told_by_their_item_names(read):
    found = read(ANSWERS, TWO.replace("a{item}", "a_{item}")).responses
    assert rows(found["bond"]) == [["C01", 1, "client", 5, 6, 7]]
    assert rows(found["mood"]) == [["C01", 1, "client", 0, 1, 2], ["C01", 2, "client", 3, 2, 1]]
    assert found["mood"].index.tolist() == [5, 8]


def test_days_without_any_of_the_forms_stay_appointments(read):
    text = BOTH.replace("date,", "date,attendance,").replace("-05,", "-05,attended,")
    text = (
        text.replace("-12,", "-12,attended,").replace("-06,", "-06,attended,").replace("-13,", "-13,no_show,")
    )
    loaded = read(text, TWO)
    assert rows(loaded.appointments, ["case", "session", "attendance"]) == [
        ["C01", 1, "attended"],
        ["C01", 2, "attended"],
        ["C02", 1, "attended"],
        ["C02", 2, "no_show"],
    ]
    assert {name: len(frame) for name, frame in loaded.responses.items()} == {"bond": 2, "mood": 2}


def test_a_row_with_a_form_is_no_row_without_one(read):
    text = BOTH.replace("session,date", "date").replace(",1,2026", ",2026").replace(",2,2026", ",2026")
    loaded = read(text.replace("C02,2026-01-06", ",2026-01-06"), TWO, on_error="drop")
    assert "rows with neither a case nor an answer were not read: line 4" not in loaded.notes
    assert loaded.rejected[["line", "problem"]].to_numpy().tolist() == [[4, "no case"]]


def test_a_column_called_scale_does_not_stand_against_the_forms_of_the_mapping(read, tmp_path, forms):
    text = BOTH.replace("date,", "date,scale,").replace("-05,", "-05,x,")
    text = text.replace("-12,", "-12,x,").replace("-06,", "-06,x,").replace("-13,", "-13,x,")
    assert len(read(text, TWO).responses["bond"]) == 2


ADD = "hint: add the columns, or load the rest with --on-error drop: the items then count as unanswered"


@pytest.mark.parametrize(
    ("text", "mapping", "message"),
    [
        pytest.param(
            BOTH,
            TWO.replace("m_{item}", "n_{item}"),
            "error: no column is called like 'n_{item}', the items of 'mood'\n"
            "hint: correct it in the mapping",
            id="no such columns",
        ),
        pytest.param(
            BOTH.replace("m_3", "m_02"),
            TWO,
            "error: columns 'm_2' and 'm_02' are the same item of 'mood'\n"
            "hint: rename or delete all but the right one\n"
            f"error: 1 item has no column in the file: q3\n{ADD}",
            id="two columns of one item",
        ),
        pytest.param(
            BOTH.replace("m_3", "m_4"),
            TWO,
            "error: the mapping names item 4, and the form has 3 items\n"
            "hint: correct the mapping, or name the right form with --scale\n"
            f"error: 1 item has no column in the file: q3\n{ADD}",
            id="an item beyond the form",
        ),
        pytest.param(
            BOTH.replace("3,3,3", "3,3,4"),
            TWO,
            "error: 1 answer outside 0 to 3, the range of 'mood'\n"
            "  line 4: case C02, session 1, m_3 (q3) = 4\n"
            "hint: leave an unanswered item empty, or declare its code with --missing, such as --missing 99",
            id="an answer of one form",
        ),
    ],
)
def test_forms_that_do_not_fit_the_file_are_refused(read, text, mapping, message):
    with pytest.raises(DataError) as caught:
        read(text, mapping)
    assert str(caught.value) == message


WORDS = """case,session,lang,q1,q2,q3
C01,1,de,oft,nie,5
C01,2,FR,oft,jamais,5
C02,1,,oft,nie,5
"""
SPOKEN = """
language = "de"
[columns]
language = "lang"
[answers]
nie = 1
[answers.bond]
jamais = 2
[answers.bond.de]
oft = 6
[answers.bond.fr]
oft = 3
5 = 4
[answers.mood]
oft = 0
"""


def test_a_word_means_what_it_means_in_the_language_of_the_form(read):
    text = WORDS.replace("jamais", "Jamais")
    assert rows(
        read(text, SPOKEN, scale="bond").responses["bond"], ["case", "session", "q1", "q2", "q3"]
    ) == [
        ["C01", 1, 6, 1, 5],
        ["C01", 2, 3, 2, 4],
        ["C02", 1, 6, 1, 5],
    ]


def test_a_word_of_one_language_comes_before_the_same_word_for_all(read):
    mapping = SPOKEN.replace("nie = 1", "nie = 1\noft = 7\njamais = 2").replace(
        "[answers.bond]\njamais = 2\n", ""
    )
    found = read(WORDS, mapping, scale="bond").responses["bond"]
    assert found["q1"].tolist() == [6, 3, 6]


def test_a_language_without_words_needs_no_column(read):
    text = "case,session,q1,q2,q3\nC01,1,1,2,3\n"
    assert len(read(text, "[answers.bond.de]\n", scale="bond").responses["bond"]) == 1


def test_a_word_of_the_language_of_the_mapping_is_not_read_in_a_form_of_another_language(read):
    with pytest.raises(DataError) as caught:
        read(WORDS.replace("FR", "nl"), SPOKEN, scale="bond")
    assert str(caught.value) == (
        "error: 1 answer is no number and no known word\n"
        "  line 3: case C01, session 2, q1 = oft\n"
        "hint: give each word its number under [answers] in a mapping, or declare it with --missing"
    )


def test_answers_of_another_form_are_not_taken_for_this_one(read):
    text = "case,session,q1,q2,q3\nC01,1,1,2,3\n"
    mapping = "[answers.bond]\n1 = 7\n[answers.mood]\n1 = 0\n2 = 0\n"
    assert rows(read(text, mapping, scale="bond").responses["bond"], ["q1", "q2", "q3"]) == [[7, 2, 3]]


def test_answers_for_a_form_or_a_language_that_is_not_there_are_refused(read):
    text = "case,session,q1,q2,q3\nC01,1,1,2,3\n"
    with pytest.raises(DataError) as caught:
        read(text, "[answers.bnod]\n1 = 7\n", scale="bond")
    assert caught.value.troubles[0].what == "unknown form 'bnod' under [answers]"
    assert caught.value.troubles[0].hint.startswith("did you mean 'bond'? known: ")
    with pytest.raises(DataError) as caught:
        read(text, "[answers.bond.de]\n1 = 7\n", scale="bond")
    assert str(caught.value) == (
        "error: the mapping has answers for a language, and nothing says the language of a form: de\n"
        'hint: say it in the mapping: language = "…", or [columns] language = "…"'
    )


def test_turned_items_count_from_the_other_end(read):
    text = "case,session,x1,x2,x3\nC01,1,1,2,3\nC01,2,7,,9\n"
    found = read(text, 'turned = ["x1", "Q3", "q3"]\nmissing = [9]'.replace('"Q3", ', ""), scale="bond")
    np.testing.assert_array_equal(
        found.responses["bond"][["q1", "q2", "q3"]], [[7, 2, 5], [1, np.nan, np.nan]]
    )


def test_a_turned_item_is_shifted_first(read):
    text = "case,session,x1,x2,x3\nC01,1,0,2,3\n"
    found = read(text, 'turned = ["x1"]\nshift = 1', scale="bond")
    assert rows(found.responses["bond"], ["q1", "q2", "q3"]) == [[7, 3, 4]]


def test_each_form_says_its_own_turned_items(read):
    text = "case,session,a1,a2,a3,m_1,m_2,m_3\nC01,1,1,2,3,0,1,2\n"
    found = read(text, TWO.replace('"m_{item}"', '"m_{item}"\nturned = ["m_1", "q3"]')).responses
    assert rows(found["bond"], ["q1", "q2", "q3"]) == [[1, 2, 3]]
    assert rows(found["mood"], ["q1", "q2", "q3"]) == [[3, 1, 1]]


@pytest.mark.parametrize(
    ("turned", "message"),
    [
        pytest.param(
            '["x9"]',
            "error: turned names 'x9', which is no item column\nhint: correct the mapping",
            id="no such column",
        ),
        pytest.param(
            '["q4"]',
            "error: turned names 'q4', which is no item column\nhint: correct the mapping",
            id="no such item",
        ),
        pytest.param(
            '["x2"]',
            "error: turned names 'x2', where 2 answers are words\n"
            "hint: a word says what was ticked: take the item out of turned, or give its codes as numbers",
            id="answered in words",
        ),
    ],
)
def test_turned_items_that_cannot_be_turned_are_refused(read, turned, message):
    text = "case,session,x1,x2,x3\nC01,1,1,Always,3\nC01,2,1,never,3\nC01,3,1,2,3\n"
    with pytest.raises(DataError) as caught:
        read(text, f"turned = {turned}", scale="bond")
    assert str(caught.value) == message


CELLS = """code,visit,q1,q2,q3
p 1,first,1,2,3
P1,Second,4,5,6
PO1,3,7,7,7
"""
SAID = """
[columns]
case = "code"
session = "visit"
[cases]
"p 1" = "P1"
"PO1" = "P1"
"P9" = "P1"
[sessions]
first = 1
second = 2
fourth = 4
"""


def test_cells_of_case_and_session_are_read_as_the_mapping_says(read):
    loaded = read(CELLS, SAID, scale="bond")
    assert rows(loaded.responses["bond"]) == [
        ["P1", 1, "client", 1, 2, 3],
        ["P1", 2, "client", 4, 5, 6],
        ["P1", 3, "client", 7, 7, 7],
    ]
    assert loaded.notes[:4] == (
        "2 cells of 'code' read as the mapping says",
        "the mapping has cases that are in no cell of 'code': P9",
        "2 cells of 'visit' read as the mapping says",
        "the mapping has sessions that are in no cell of 'visit': fourth",
    )


def test_a_case_is_replaced_only_where_it_is_written_as_in_the_mapping(read):
    loaded = read(CELLS.replace("p 1", "P 1"), SAID, scale="bond")
    assert loaded.responses["bond"]["case"].tolist() == ["P 1", "P1", "P1"]


def test_cells_filled_down_are_read_as_the_mapping_says_too(read):
    text = 'code,visit,q1,q2,q3\n"p 1",first,1,2,3\n,second,4,5,6\n'
    loaded = read(text, 'fill_down = ["code"]\n' + SAID, scale="bond")
    assert loaded.responses["bond"]["case"].tolist() == ["P1", "P1"]


@pytest.fixture
def export(tmp_path, forms):
    """Give a function that reads a file as a system would, which knows what is passed for it."""

    def read(text: str, mapping: str = "", *, known: dict, scale: str = "bond", **options: object) -> Loaded:
        from dataclasses import replace

        known_sources()
        reader = system("trial", title="Trial", recognise=lambda _: "")
        reader(lambda table, _: replace(table, source="trial", **known))
        given = ReadOptions(mapping=mapped(mapping), source="trial", **options)
        return load(write(tmp_path, text), load_scale(scale, folders=[forms]), options=given, folders=[forms])

    yield read
    SYSTEMS.pop("trial", None)


TWICE = """case,session,q1,q2,q3
C01,1,1,2,3
C01,1,4,5,6
C01,2,1,1,1
C02,1,,,
"""


@pytest.mark.parametrize(
    ("mapping", "options", "first"),
    [
        pytest.param('keep = "first"', {}, [1, 2, 3], id="first"),
        pytest.param('keep = "last"', {}, [4, 5, 6], id="last"),
        pytest.param('keep = "last"', {"keep": "first"}, [1, 2, 3], id="the option comes first"),
    ],
)
def test_a_mapping_may_choose_between_doubles(read, mapping, options, first):
    found = read(TWICE, mapping, scale="bond", **options).responses["bond"]
    assert rows(found.iloc[:1], ["q1", "q2", "q3"]) == [first]
    assert len(found) == 3


BEGUN = {"unfinished": frozenset({2, 5})}


@pytest.mark.parametrize(
    ("mapping", "options", "sessions", "notes"),
    [
        pytest.param(
            "",
            {},
            [("C01", 1, 4), ("C01", 2, 1), ("C02", 1, 0)],
            [
                "1 unfinished form of a session with a finished one not read: line 2: case C01, session 1",
                "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
                "line 5: case C02, session 1",
            ],
            id="read as far as filled in",
        ),
        pytest.param(
            'unfinished = "drop"',
            {},
            [("C01", 1, 4), ("C01", 2, 1)],
            [
                "1 unfinished form of a session with a finished one not read: line 2: case C01, session 1",
                "1 form begun and not sent, not read: line 5: case C02, session 1",
            ],
            id="left out by the mapping",
        ),
        pytest.param(
            'unfinished = "drop"',
            {"unfinished": "use"},
            [("C01", 1, 4), ("C01", 2, 1), ("C02", 1, 0)],
            [
                "1 unfinished form of a session with a finished one not read: line 2: case C01, session 1",
                "1 form begun and not sent, read as far as filled in (--unfinished drop leaves it out): "
                "line 5: case C02, session 1",
            ],
            id="the option comes first",
        ),
    ],
)
def test_forms_begun_and_not_sent(export, mapping, options, sessions, notes):
    text = TWICE.replace("C02,1,,,", "C02,1,,2,")
    loaded = export(text, mapping, known=BEGUN, **options)
    found = loaded.responses["bond"].fillna({"q1": 0})
    assert [tuple(row) for row in rows(found, ["case", "session", "q1"])] == sessions
    assert list(loaded.notes[1:]) == notes


def test_a_finished_form_counts_whichever_comes_first_and_keep_is_not_asked(export):
    loaded = export(TWICE, known={"unfinished": frozenset({3})})
    assert rows(loaded.responses["bond"].iloc[:1], ["q1", "q2", "q3"]) == [[1, 2, 3]]


def test_an_unfinished_form_of_another_rater_or_session_is_its_own(export):
    text = "case,session,rater,q1,q2,q3\nC01,1,client,1,2,3\nC01,1,therapist,4,5,6\nC01,2,client,7,7,7\n"
    loaded = export(text, known={"unfinished": frozenset({3, 4})})
    assert len(loaded.responses["bond"]) == 3


def test_two_unfinished_forms_of_one_session_are_doubles(export):
    with pytest.raises(DataError) as caught:
        export(TWICE, known={"unfinished": frozenset({2, 3})})
    assert caught.value.troubles[0].what == "2 rows give a session that is there twice, and differ"


LEVELS = {"1": "Never", "4": "Now and then", "7": "Always", "9": "Refused"}
CODED = "case,session,q1,q2,q3\nC01,1,1,7,4\n"


def test_words_stand_for_the_numbers_of_their_codes(export):
    text = "case,session,q1,q2,q3\nC01,1,Now and then,always,Refused\n"
    known = {"levels": dict.fromkeys(["q1", "q2", "q3"], LEVELS), "missing": ("9",)}
    found = export(text, known=known).responses["bond"]
    np.testing.assert_array_equal(found[["q1", "q2", "q3"]], [[4, 7, np.nan]])


def test_words_of_codes_are_shifted_and_named_as_their_codes_are(export):
    levels = {"0": "Rarely", "5": "Mostly", "6": "Mostly"}
    known = {"levels": {"q1": levels}}
    text = "case,session,q1,q2,q3\nC01,1,rarely,1,1\n"
    assert rows(export(text, "shift = 1", known=known).responses["bond"], ["q1"]) == [[1]]
    assert rows(export(text, "[answers]\n0 = 7", known=known).responses["bond"], ["q1"]) == [[7]]
    with pytest.raises(DataError) as caught:
        export(text.replace("rarely", "mostly"), known=known)
    assert caught.value.troubles[0].what == "1 answer is no number and no known word"


def test_a_number_stands_for_itself_whatever_code_is_called_so(export):
    known = {"levels": {"q1": {"9": "1"}}, "missing": ("9",)}
    found = export("case,session,q1,q2,q3\nC01,1,1,2,3\n", known=known).responses["bond"]
    assert rows(found, ["q1"]) == [[1]]


def test_codes_that_are_no_numbers_stand_for_their_words_on_the_form(export):
    levels = {"A1": "Never", "A2": "Often", "A7": "Always"}
    known = {"levels": {"q1": levels, "q2": levels, "q3": levels}}
    found = export("case,session,q1,q2,q3\nC01,1,A1,a7,4\n", known=known).responses["bond"]
    assert rows(found, ["q1", "q2", "q3"]) == [[1, 7, 4]]


@pytest.mark.parametrize(
    ("text", "levels", "mapping", "said"),
    [
        pytest.param(CODED, LEVELS, "", "", id="the same words"),
        pytest.param(CODED, {"1": "Always"}, "", "1 means 'Always', which is 7", id="the other way round"),
        pytest.param(CODED, {"0": "Never"}, "", "0 means 'Never', which is 1", id="counted from 0"),
        pytest.param(CODED, {"0": "Never"}, "shift = 1", "", id="counted from 0, and said"),
        pytest.param(CODED, {"1": "2"}, "", "1 means '2', which is 2", id="a number for another number"),
        pytest.param(CODED, {"0": "1"}, "shift = 1", "", id="a number for another number, and said"),
        pytest.param(CODED, {"9": "Always"}, "missing = [9]", "", id="a missing code"),
        pytest.param(CODED, {"1": "Always"}, "[answers]\n1 = 7\n7 = 1\n4 = 4", "", id="said by code"),
        pytest.param(CODED, {"1": "Always"}, 'turned = ["q1"]', "", id="turned with its labels"),
        pytest.param(
            CODED, {"1": "Never"}, 'turned = ["q1"]', "1 means 'Never', which is 1", id="labels not turned"
        ),
        pytest.param(
            CODED.replace("1,1,7", "1,Never,7"), {"0": "Never"}, "", "", id="answered in words alone"
        ),
    ],
)
def test_labels_against_the_form_are_a_contradiction(export, text, levels, mapping, said):
    known = {"levels": {"q1": levels}}
    if not said:
        text = text.replace("1,1,7", "1,0,6") if "shift" in mapping else text
        assert len(export(text, mapping, known=known).responses["bond"]) == 1
        return
    with pytest.raises(DataError) as caught:
        export(text, mapping, known=known)
    assert str(caught.value) == (
        f"error: in column 'q1' {said} on 'bond'\n"
        "hint: say in a mapping what the codes are: shift, or [answers] with a number for each code"
    )


def test_labels_of_wide_columns_and_of_items_in_rows_are_used_too(export):
    wide = "case,a1_1,a2_1,a3_1,a1_2,a2_2,a3_2\nC01,Rarely,1,1,Rarely,2,2\n"
    known = {"levels": {name: {"2": "Rarely"} for name in ("a1_1", "a1_2")}}
    found = export(wide, 'pattern = "a{item}_{session}"', known=known).responses["bond"]
    assert found["q1"].tolist() == [2, 2]
    known["levels"]["a1_2"] = {"3": "Rarely"}
    with pytest.raises(DataError) as caught:
        export(wide, 'pattern = "a{item}_{session}"', known=known)
    assert caught.value.troubles[0].what == "2 answers are no number and no known word"
    known["levels"] = {"a1_1": {"2": "Rarely"}, "a1_2": {"2": "Often"}}
    with pytest.raises(DataError) as caught:
        export(wide.replace("Rarely,2,2", "Often,2,2"), 'pattern = "a{item}_{session}"', known=known)
    assert caught.value.troubles[0].what == "2 answers are no number and no known word"
    text = "case,session,item,value\nC01,1,a1,Rarely\nC01,1,a2,1\nC01,1,a3,1\n"
    found = export(text, known={"levels": {"a1": {"2": "Rarely"}}}).responses["bond"]
    assert rows(found, ["q1", "q2", "q3"]) == [[2, 1, 1]]


def test_items_that_a_system_may_have_turned_must_be_said(export):
    text = "case,session,x1,x2,x3\nC01,1,1,2,3\n"
    known = {"may_be_turned": ("x1", "x3", "other")}
    with pytest.raises(DataError) as caught:
        export(text, known=known)
    assert str(caught.value) == (
        "error: items may have been turned round by trial before: x1, x3\n"
        'hint: say in a mapping which were: turned = ["x1", "x3"], or turned = [] for none'
    )
    found = export(text, "turned = []", known=known).responses["bond"]
    assert rows(found, ["q1", "q2", "q3"]) == [[1, 2, 3]]
    found = export(text, 'turned = ["x1"]', known=known).responses["bond"]
    assert rows(found, ["q1", "q2", "q3"]) == [[7, 2, 3]]


def test_check_tells_of_every_form_in_a_row(tmp_path, forms):
    path = write(tmp_path, BOTH)
    found = inspect(path, None, options=ReadOptions(mapping=mapped(TWO)), folders=[forms])
    assert found.scales == ("bond", "mood")
    assert (found.forms, found.cases, found.troubles) == (4, 2, ())
    assert found.unused == ()
    assert [role.role for role in found.roles if role.column.startswith("m_")] == ["q1", "q2", "q3"]
