"""The mapping that `check` drafts: what is live, what is asked, in which order, and with what evidence."""

import tomllib

import numpy as np
import pandas as pd
import pytest
from draft_helpers import confirm, live, questions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readers_helpers import DEMO, mapped, write

from alliance.errors import DataError
from alliance.readers import ReadOptions, draft_mapping, load
from alliance.readers.candidates import Known, candidates, session_number
from alliance.readers.mapping import FormMap, Mapping, parse_mapping
from alliance.readers.mapping_text import form_entries, table_entries, top_entries, worded_entries
from alliance.readers.problems import Log
from alliance.readers.sources import SYSTEMS, known_sources, system
from alliance.readers.table import make_table
from alliance.readers.text import read_text
from alliance.readers.toml_text import cut, quoted, remark
from alliance.scale import load_scale

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HEAD = (
    "# A draft. Look at every line, correct it, and delete what does not hold.\n"
    '# Lines that begin with "#? " are questions: take the sign away where the answer is yes,\n'
    "# and fill in the dots.\n"
)
TEXT = "client;session;who;x1;x2;x3;note\nA;1;client;1;9;often;fine\n;2;client;1;7;1;\nB;1;client;99;1;8;\n"


def draft_of(folder, text, scale=DEMO, **options):
    return draft_mapping(write(folder, text), scale, options=ReadOptions(**options))


def lines_of(folder, text, start, scale=DEMO, **options):
    return [line for line in draft_of(folder, text, scale, **options).splitlines() if line.startswith(start)]


def test_a_draft_says_what_is_live_what_is_asked_and_why(tmp_path):
    assert draft_of(tmp_path, TEXT) == HEAD + (
        'scale = "demo"  # as named\n'
        "header_row = 1  # the line with the column names\n"
        '#? fill_down = ["client"]  # 1 blank cell: line 3\n'
        '#? missing = ["9", "99"]  # outside 1 to 7: 9 (1 time), 99 (1 time)\n'
        "# just outside 1 to 7: 8 (1 time); correct the file, or add them to missing\n"
        '#? rater = "therapist"  # if not the client filled in every form of this file\n'
        "\n"
        "[columns]\n"
        'case = "client"  # well-known name\n'
        'session = "session"  # exact name\n'
        '#? date = "…"  # no column looks like one\n'
        '#? rater = "who"  # 1 different value, the sides of a therapy\n'
        'q1 = "x1"  # prefix and number\n'
        'q2 = "x2"  # prefix and number\n'
        'q3 = "x3"  # prefix and number\n'
        "# columns without a role: note\n"
        "\n"
        "# words nobody knows: give each its number, or move it to missing\n"
        "\n"
        "[answers]\n"
        '#? "often" = …  # 1 time\n'
    )


def test_a_confirmed_draft_loads(tmp_path):
    path = write(tmp_path, TEXT.replace(";8;", ";1;"))
    switched = ['fill_down = ["client"]', 'missing = ["9", "99"]', 'rater = "who"']
    mapping = confirm(draft_mapping(path, DEMO), switched, {'"often"': 6})
    loaded = load(path, DEMO, options=ReadOptions(mapping=mapping))
    assert loaded.responses["demo"][["q1", "q2", "q3"]].fillna(0).to_numpy().tolist() == [
        [1, 0, 6],
        [1, 7, 1],
        [0, 1, 1],
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("3", 3, id="number"),
        pytest.param("3.0", 3, id="with decimals"),
        pytest.param("007", 7, id="leading zeros"),
        pytest.param("5th", 5, id="English ordinal"),
        pytest.param("3. Sitzung", 3, id="German ordinal"),
        pytest.param("Session 12", 12, id="word before"),
        pytest.param("#4", 4, id="sign before"),
        pytest.param("First session", 1, id="English word"),
        pytest.param("ZWEITE", 2, id="German word"),
        pytest.param("troisième séance", 3, id="French word"),
        pytest.param("cuarta", 4, id="Spanish word"),
        pytest.param("vijfde sessie", 5, id="Dutch word"),
        pytest.param("twelfth", 12, id="the last word"),
        pytest.param("first or second", None, id="two words"),
        pytest.param("first 2", None, id="a word against a number"),
        pytest.param("2/3", None, id="two numbers"),
        pytest.param("-1", None, id="below 0"),
        pytest.param("12345", None, id="no session of anybody"),
        pytest.param("last", None, id="no number"),
        pytest.param("", None, id="empty"),
    ],
)
def test_the_number_in_a_session_cell(text, number):
    assert session_number(text) == number


def table_of(text):
    return make_table(read_text(text.encode()), Mapping(header_row=1), log=Log())


JUDGED = """code,nr,when,who,lang,n,free,half
A,1,2026-01-05,client,de,1,a,0.5
A,2,2026-01-12,therapist,en,1,b,1.5
B,1,2026-01-06,client,de,2,c,2.5
B,2,2026-01-13,client,de,2,d,3.5
"""


@pytest.mark.parametrize(
    ("role", "known", "found"),
    [
        pytest.param(
            "case", Known(session=1), [("code", "2 different values in 4 rows, no session twice for one"),
                                       ("n", "2 different values in 4 rows, no session twice for one")],
            id="case, a name before contents",
        ),
        pytest.param("case", Known(), [("code", "2 different values in 4 rows")], id="case by name alone"),
        pytest.param(
            "session", Known(case=0), [("nr", "numbers 1 to 2, no session twice for a case")], id="session"
        ),
        pytest.param("session", Known(), [], id="numbers alone are no session"),
        pytest.param("date", Known(case=0), [("when", "4 of 4 cells are dates")], id="date"),
        pytest.param(
            "rater", Known(), [("who", "2 different values, the sides of a therapy")], id="rater"
        ),
        pytest.param("language", Known(), [("lang", "2 different values: de, en")], id="language"),
        pytest.param("therapist", Known(), [], id="nobody"),
    ],
)  # fmt: skip
def test_columns_are_judged_by_name_and_contents(role, known, found):
    table = table_of(JUDGED)
    judged = candidates(table, role, range(8), known)
    assert [(each.name, each.evidence) for each in judged] == found


@pytest.mark.parametrize(
    ("role", "name", "cells"),
    [
        pytest.param("case", "Kürzel", "A A B B", id="German case"),
        pytest.param("case", "Identifiant du sujet", "A A B B", id="French case"),
        pytest.param("case", "Código", "A A B B", id="Spanish case"),
        pytest.param("session", "Sitzung", "1 2 1 2", id="German session"),
        pytest.param(
            "session", "Welche Sitzung war das?", "erste zweite erste zweite", id="session in words"
        ),
        pytest.param("session", "séance", "1 2 1 2", id="French session"),
        pytest.param("session", "SessionNr", "1 2 1 2", id="camel case"),
        pytest.param("date", "Datum", "5.1.2026 6.1.2026 5.1.2026 7.1.2026", id="German date"),
        pytest.param("therapist", "Behandlerin", "T1 T1 T2 T2", id="German therapist"),
        pytest.param("rater", "Rolle", "x y x y", id="German rater"),
        pytest.param("language", "Sprache", "deutsch deutsch english english", id="German language"),
    ],
)
def test_names_in_other_languages_are_known(role, name, cells):
    table = table_of(f"{name}\n" + "\n".join(cells.split()))
    assert [each.name for each in candidates(table, role, [0], Known())] == [name]


@pytest.mark.parametrize(
    ("role", "column"),
    [
        pytest.param("case", ["code", "a long remark in words", "and another one of them"], id="sentences"),
        pytest.param("case", ["code", "2026-01-05", "2026-01-06"], id="dates"),
        pytest.param("case", ["code", "0.5", "0.5"], id="decimals"),
        pytest.param("case", ["code", "", ""], id="nothing"),
        pytest.param("session", ["session", "1", "800"], id="a number beyond all sessions"),
        pytest.param("session", ["session", "0.5", "1.5"], id="halves"),
        pytest.param("session", ["session", "2026-01-05", "2026-01-06"], id="dates for sessions"),
        pytest.param("session", ["session", "last", "1"], id="half of it without a number"),
        pytest.param("date", ["date", "2026-01-05", "soon"], id="half of it no date"),
        pytest.param("language", ["language", *map(str, range(11))], id="too many languages"),
        pytest.param("rater", ["rater", *map(str, range(11))], id="too many raters"),
    ],
)
def test_a_name_alone_is_not_enough_where_the_contents_speak_against_it(role, column):
    table = table_of("\n".join([f"{cell},x" for cell in column]))
    assert candidates(table, role, [0], Known()) == []


def test_four_candidates_are_named_at_most_the_best_first():
    names = [f"code {letter}" for letter in "abcde"]
    table = table_of(",".join(["client", *names]) + "\n" + "A,1,1,1,1,1\nA,2,2,2,2,2\nB,3,3,3,3,3\n")
    found = candidates(table, "case", range(6), Known())
    assert [each.name for each in found] == ["client", *names[:3]]


def test_a_name_comes_before_contents_and_both_before_where_a_day_was_changed_last():
    rows = ["A,K,1,2026-01-05,2026-01-05", "A,K,2,2026-01-06,2026-01-06", "B,L,1,2026-01-06,2026-01-06"]
    table = table_of("\n".join(["n,code,nr,modified on,day", *rows]) + "\n")
    found = candidates(table, "case", range(5), Known(session=2))
    assert [each.name for each in found] == ["code", "n"]
    found = candidates(table, "date", range(5), Known(case=1))
    assert [each.name for each in found] == ["day", "modified on"]


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        pytest.param("1 2 1 2", ["nr"], id="from 1 in every case"),
        pytest.param("0 1 0 1", ["nr"], id="from 0 in every case"),
        pytest.param("1 2 3 4", [], id="counted through all cases"),
        pytest.param("5 6 5 6", [], id="from 5"),
        pytest.param("1 1 1 1", [], id="always the same"),
        pytest.param("1 - - -", [], id="mostly blank"),
    ],
)
def test_numbers_without_a_name_are_sessions_if_they_start_anew_in_most_cases(numbers, found):
    rows = [f"{case},{number.strip('-')}" for case, number in zip("AABB", numbers.split(), strict=True)]
    table = table_of("code,nr\n" + "\n".join(rows) + "\n")
    assert [each.name for each in candidates(table, "session", [1], Known(case=0))] == found


def demo_rows(cells, *, header="case,session,x1,x2,x3", n=10):
    """Return a file of one case with as many sessions as there are triples, repeated."""
    triples = cells * n
    rows = (f"C01,{number},{','.join(triple)}" for number, triple in enumerate(triples, 1))
    return "\n".join([header, *rows]) + "\n"


def forms_with(values):
    return demo_rows([tuple(values.split())])


SHIFTS = [
    pytest.param("1 4 7", [], id="the whole range is used"),
    pytest.param("2 4 6", ["1", "-1"], id="neither end is used: both fit"),
    pytest.param("0 3 6", ["1"], id="counted from 0"),
    pytest.param("0 3 5", ["1", "2"], id="counted from 0, or from -1"),
    pytest.param("0 1 3", ["1"], id="four shifts would fit: the nearest"),
    pytest.param("21 24 27", ["-20"], id="recoded"),
    pytest.param("2 5 8", ["-1"], id="counted from 2"),
    pytest.param("0 4 7", [], id="wider than the form"),
    pytest.param("0 3 99", ["1"], id="a code stands apart"),
    pytest.param("1 1 1", ["1"], id="one answer only"),
    pytest.param("7 6 8", ["-1"], id="more fit when they are moved"),
    pytest.param("8 8 8", ["-1"], id="one answer only, beyond the form"),
    pytest.param("a b c", [], id="no numbers"),
]


@pytest.mark.parametrize(("values", "steps"), SHIFTS)
def test_shifts_are_asked_where_they_would_fit(tmp_path, values, steps):
    text = forms_with(values)
    asked = [line.split(" = ")[1].split("  #")[0] for line in lines_of(tmp_path, text, "#? shift")]
    assert asked == steps


def test_the_evidence_of_a_shift_is_counted(tmp_path):
    assert lines_of(tmp_path, forms_with("21 24 27"), "#? shift") == [
        "#? shift = -20  # 30 answers from 21 to 27, 30 of them not within 1 to 7 of 'demo'"
    ]
    assert lines_of(tmp_path, forms_with("0 3 5"), "#? shift") == [
        "#? shift = 1  # 30 answers from 0 to 5, 10 of them not within 1 to 7 of 'demo'; 2 shifts would fit",
        "#? shift = 2  # 30 answers from 0 to 5, 10 of them not within 1 to 7 of 'demo'; 2 shifts would fit",
    ]
    assert lines_of(tmp_path, forms_with("1 4 6"), "#? shift") == [
        "#? shift = 1  # no answer is 7 among 30: they fit as they are, and moved by 1 as well"
    ]
    assert lines_of(tmp_path, demo_rows([("1", "4", "6")], n=9), "#? shift") == []
    assert lines_of(tmp_path, forms_with("3 5 7"), "#? shift") == [
        "#? shift = -1  # no answer is 1 among 30: they fit as they are, and moved by -1 as well"
    ]
    assert lines_of(tmp_path, forms_with("3 5 7") + "C01,99,0,7,7\n", "#? shift") == []


def test_what_stands_near_the_moved_range_is_no_code(tmp_path):
    text = forms_with("21 24 27") + "C01,99,28,20,27\n"
    assert lines_of(tmp_path, text, ("#? missing", "# just")) == [
        "# just outside 1 to 7: 20 (1 time), 28 (1 time); correct the file, or add them to missing"
    ]
    drafted = draft_of(tmp_path, forms_with("21 24 27") + "C01,99,27,99,-99\n")
    assert '#? missing = ["-99", "99"]  # outside 1 to 7: -99 (1 time), 99 (1 time)' in drafted.splitlines()


@pytest.mark.parametrize(
    ("cells", "lines"),
    [
        pytest.param([("1", "7", "1")], [], id="nothing is outside"),
        pytest.param(
            [("1", "7", "9")],
            ['#? missing = ["9"]  # outside 1 to 7: 9 (10 times)'],
            id="two above the range",
        ),
        pytest.param(
            [("1", "7", "-1")], ['#? missing = ["-1"]  # outside 1 to 7: -1 (10 times)'], id="two below it"
        ),
        pytest.param(
            [("1", "7", "Refused"), ("1", "7", "k.A.")],
            ['#? missing = ["Refused"]  # words for no answer: Refused (10 times)'],
            id="a word that has to be confirmed, and one that is known",
        ),
        pytest.param(
            [("1", "7", "-99"), ("1", "7", "Weiß nicht")],
            [
                '#? missing = ["-99", "Weiß nicht"]  # outside 1 to 7: -99 (10 times); '
                "words for no answer: Weiß nicht (10 times)"
            ],
            id="codes and words",
        ),
    ],
)
def test_codes_and_words_for_no_answer_are_asked(tmp_path, cells, lines):
    assert lines_of(tmp_path, demo_rows(cells), "#? missing") == lines


@pytest.mark.parametrize(
    ("cells", "lines"),
    [
        pytest.param(
            [("A2", "A1", "A7")],
            ['#? "A1" = 1  # 10 times', '#? "A2" = 2  # 10 times', '#? "A7" = 7  # 10 times'],
            id="codes in the range, in order",
        ),
        pytest.param(
            [("A2", "A1", "A8")],
            ['#? "A1" = …  # 10 times', '#? "A2" = …  # 10 times', '#? "A8" = …  # 10 times'],
            id="a code beyond the range",
        ),
        pytest.param(
            [("A2", "B1", "4")],
            ['#? "A2" = …  # 10 times', '#? "B1" = …  # 10 times'],
            id="two kinds of codes",
        ),
        pytest.param(
            [("Oft", "oft ", "nie"), ("Oft", "nie", "Refused")],
            ['#? "Oft" = …  # 20 times', '#? "nie" = …  # 20 times', '#? "oft" = …  # 10 times'],
            id="words as they are written, the most frequent first",
        ),
    ],
)
def test_words_that_fit_no_anchor_are_named_with_their_count(tmp_path, cells, lines):
    draft = draft_of(tmp_path, demo_rows(cells))
    assert draft.split("[answers]\n")[1].splitlines() == lines


def test_words_are_asked_by_language_where_the_forms_have_several(tmp_path):
    text = "case,session,language,x1,x2,x3\nA,1,de,oft,nie,1\nA,2,en,oft,rarely,1\nA,3,,oft,1,1\n"
    draft = draft_of(tmp_path, text)
    assert draft.split("or move it to missing\n")[1] == (
        "\n"
        "[answers]\n"
        '#? "oft" = …  # 1 time\n'
        "\n"
        '[answers."demo"."de"]\n'
        '#? "oft" = …  # 1 time\n'
        '#? "nie" = …  # 1 time\n'
        "\n"
        '[answers."demo"."en"]\n'
        '#? "oft" = …  # 1 time\n'
        '#? "rarely" = …  # 1 time\n'
    )


def test_words_of_forms_in_one_language_say_which(tmp_path):
    text = "case,session,language,x1,x2,x3\nA,1,de,oft,nie,1\nA,2,de,oft,1,1\n"
    assert lines_of(tmp_path, text, '#? "') == [
        '#? "oft" = …  # 2 times, language de',
        '#? "nie" = …  # 1 time, language de',
    ]


BY_POSITION = """Klient,Sitzung,Nähe,Ziele,Weg,Bemerkung
A,1,1,2,3,gut
A,2,7,,5,
B,1,4,4,99,
"""


def test_items_without_a_number_are_asked_by_their_position(tmp_path):
    path = write(tmp_path, BY_POSITION)
    draft = draft_mapping(path, DEMO)
    assert questions(draft) == [
        'missing = ["99"]',
        'rater = "therapist"',
        'case = "Klient"',
        'session = "Sitzung"',
        'date = "…"',
        'q1 = "Nähe"',
        'q2 = "Ziele"',
        'q3 = "Weg"',
    ]
    assert '#? q2 = "Ziele"  # by position: check the order' in draft.splitlines()
    assert "# columns without a role: Bemerkung" in draft.splitlines()
    mapping = confirm(draft, [line for line in questions(draft) if "…" not in line and "rater" not in line])
    found = load(path, DEMO, options=ReadOptions(mapping=mapping)).responses["demo"]
    np.testing.assert_array_equal(found[["q1", "q2", "q3"]], [[1, 2, 3], [7, np.nan, 5], [4, 4, np.nan]])


@pytest.mark.parametrize(
    ("header", "row", "told"),
    [
        pytest.param(
            "case,session,a,b,c,d",
            "A,1,1,2,3,4",
            ["# 4 columns could be the 3 items: a, b, c, d", 'q1 = "a"', 'q2 = "b"', 'q3 = "c"'],
            id="more columns than items",
        ),
        pytest.param(
            "case,session,z,note,a,b,c",
            "A,1,1,x,1,2,3",
            ['q1 = "a"', 'q2 = "b"', 'q3 = "c"'],
            id="three side by side, and one apart",
        ),
        pytest.param(
            "case,session,a,b",
            "A,1,1,2",
            ["# no 3 columns hold answers of 'demo' and nothing else", 'q1 = "…"', 'q2 = "…"', 'q3 = "…"'],
            id="too few",
        ),
        pytest.param(
            "case,session,a,b,c",
            "A,1,1,2,8",
            ["# no 3 columns hold answers of 'demo' and nothing else", 'q1 = "…"', 'q2 = "…"', 'q3 = "…"'],
            id="out of range",
        ),
    ],
)
def test_columns_by_position(tmp_path, header, row, told):
    draft = draft_of(tmp_path, f"{header}\n{row}\n").split("[columns]")[1].splitlines()
    shown = [line for line in draft if line.startswith(("#? q", "# no", "# 4"))]
    assert [line.removeprefix("#? ").split("  # ")[0] for line in shown] == told


def two_forms(n=4, *, first="wai_", second="phq9_", sizes=(12, 9), tops=(5, 3)):
    names = [f"{first}{i}" for i in range(1, sizes[0] + 1)] + [f"{second}{i}" for i in range(1, sizes[1] + 1)]
    rows = [
        ",".join(
            [
                f"C0{case},{session}",
                *(str(1 + (case * session * i) % tops[0]) for i in range(1, sizes[0] + 1)),
                *(str((case + session + i) % (tops[1] + 1)) for i in range(1, sizes[1] + 1)),
            ]
        )
        for case in range(1, n + 1)
        for session in range(1, 6)
    ]
    return "\n".join([f"case,session,{','.join(names)}", *rows]) + "\n"


def test_several_forms_are_all_questions_where_none_is_named(tmp_path):
    path = write(tmp_path, two_forms())
    draft = draft_mapping(path, None)
    assert [line for line in live(draft) if "=" in line] == [
        "header_row = 1",
        'case = "case"',
        'session = "session"',
    ]
    assert [line for line in questions(draft) if not line.startswith("scale")] == [
        'date = "…"',
        "[[forms]]",
        'items = "wai_{item}"',
        'rater = "…"',
        "[[forms]]",
        'items = "phq9_{item}"',
        'rater = "…"',
    ]
    scales = [line for line in draft.splitlines() if line.startswith("#? scale")]
    assert scales[0] == '#? scale = "wai-sr"  # 12 columns, answers within 1 to 5'
    assert scales[-1] == '#? scale = "phq-9"  # 9 columns, answers within 0 to 3'
    switched = ["[[forms]]", 'scale = "wai-sr"', 'items = "wai_{item}"', "[[forms]]", 'scale = "phq-9"']
    mapping = confirm(draft, [*switched, 'items = "phq9_{item}"'])
    loaded = load(path, None, options=ReadOptions(mapping=mapping))
    assert {name: len(frame) for name, frame in loaded.responses.items()} == {"wai-sr": 20, "phq-9": 20}


def test_forms_that_could_not_have_the_answers_are_not_named(tmp_path):
    text = "\n".join(",".join(line.split(",")[:14]) for line in two_forms(tops=(7, 3)).splitlines())
    named = [line.split('"')[1] for line in questions(draft_of(tmp_path, text, None)) if "scale" in line]
    assert "wai-s" in named
    assert "wai-sr" not in named


def test_the_form_that_is_named_is_live_even_if_its_answers_do_not_fit_it(tmp_path):
    draft = draft_of(tmp_path, two_forms(tops=(5, 3)).replace(",5", ",8"), load_scale("wai-sr"))
    assert 'scale = "wai-sr"' in live(draft)
    assert '#? scale = "phq-9"  # 9 columns, answers within 0 to 3' in draft.splitlines()


def test_the_form_that_is_named_is_live_among_several(tmp_path):
    path = write(tmp_path, two_forms())
    draft = draft_mapping(path, load_scale("wai-sr"))
    assert live(draft) == [
        "header_row = 1",
        "[columns]",
        'case = "case"',
        'session = "session"',
        "[[forms]]",
        'scale = "wai-sr"',
        'items = "wai_{item}"',
    ]
    loaded = load(path, load_scale("wai-sr"), options=ReadOptions(mapping=confirm(draft)))
    plainly = load(path, load_scale("wai-sr"))
    pd.testing.assert_frame_equal(loaded.responses["wai-sr"], plainly.responses["wai-sr"])


def test_one_form_of_two_raters_side_by_side_is_asked_with_its_raters(tmp_path):
    text = two_forms(first="srs_c_", second="srs_t_", sizes=(4, 4), tops=(9, 10))
    path, scale = write(tmp_path, text), load_scale("srs")
    draft = draft_mapping(path, scale)
    assert questions(draft) == [
        'date = "…"',
        "[[forms]]",
        'scale = "srs"',
        'items = "srs_c_{item}"',
        'rater = "client"',
        "[[forms]]",
        'scale = "srs"',
        'items = "srs_t_{item}"',
        'rater = "therapist"',
    ]
    found = load(path, scale, options=ReadOptions(mapping=confirm(draft, questions(draft)[1:])))
    assert found.responses["srs"]["rater"].value_counts().to_dict() == {"client": 20, "therapist": 20}


def test_what_the_cells_of_each_form_may_mean_stands_in_its_block(tmp_path):
    text = two_forms() + "C09,1," + ",".join(["99"] * 12 + ["-7"] * 9) + "\n"
    blocks = draft_of(tmp_path, text, load_scale("wai-sr")).split("[[forms]]")
    assert '#? missing = ["99"]  # outside 1 to 5: 99 (12 times)' in blocks[1]
    assert '#? missing = ["-7"]  # outside 0 to 3: -7 (9 times)' in blocks[2]


def test_the_forms_that_the_only_columns_could_be_are_asked(tmp_path):
    text = "\n".join(",".join(line.split(",")[:14]) for line in two_forms().splitlines())
    draft = draft_of(tmp_path, text, None)
    assert draft.splitlines()[3] == '#? scale = "wai-sr"  # 12 items, wai_1 to wai_12; answers within 1 to 5'
    assert "[[forms]]" not in draft
    path = write(tmp_path, text)
    mapping = confirm(draft_mapping(path, None), ['scale = "wai-sr"'])
    assert len(load(path, None, options=ReadOptions(mapping=mapping)).responses["wai-sr"]) == 20


def test_codes_of_cases_that_look_alike_are_asked_one_by_one(tmp_path):
    codes = ["P001", "P001", "p001", "P-001", "P OO1", "PO01", "Pl01", "P101", "P002", "A1", "AI", "Al"]
    rows = [f"{code},{number},1,2,3" for number, code in enumerate(codes, 1)]
    text = "case,session,x1,x2,x3\n" + "\n".join(rows) + "\n"
    assert draft_of(tmp_path, text).split("[cases]\n")[1].splitlines() == [
        '#? "p001" = "P001"  # differs in letter case; 1 row, \'P001\' in 2',
        '#? "P-001" = "P001"  # differs in blanks or dashes; 1 row, \'P001\' in 2',
        '#? "P OO1" = "P001"  # letter O for the digit 0: ask who this is; 1 row, \'P001\' in 2',
        '#? "PO01" = "P001"  # letter O for the digit 0: ask who this is; 1 row, \'P001\' in 2',
        '#? "P101" = "Pl01"  # digit 1 for the letter l: ask who this is; 1 row, \'Pl01\' in 1',
        '#? "AI" = "A1"  # letter I for the digit 1: ask who this is; 1 row, \'A1\' in 1',
        '#? "Al" = "A1"  # letter l for the digit 1: ask who this is; 1 row, \'A1\' in 1',
    ]


def test_the_usual_code_is_the_one_that_is_typed_most_often(tmp_path):
    text = "case,session,x1,x2,x3\np1,1,1,2,3\nP1,2,1,2,3\nP1,3,1,2,3\n"
    assert lines_of(tmp_path, text, '#? "') == [
        '#? "p1" = "P1"  # differs in letter case; 1 row, \'P1\' in 2'
    ]


def test_blank_cases_are_filled_down_only_below_a_case(tmp_path):
    assert lines_of(tmp_path, "case,session,x1,x2,x3\n,1,1,2,3\nA,2,1,2,3\n", "#? fill") == []
    assert lines_of(tmp_path, "case,session,x1,x2,x3\nA,1,1,2,3\nA,2,1,2,3\n", "#? fill") == []


def test_a_code_that_differs_in_case_and_dashes_says_both(tmp_path):
    text = "case,session,x1,x2,x3\nP1,1,1,2,3\nP1,2,1,2,3\np-1,3,1,2,3\n"
    assert lines_of(tmp_path, text, '#? "p-1"') == [
        '#? "p-1" = "P1"  # differs in letter case, blanks or dashes; 1 row, \'P1\' in 2'
    ]


@pytest.mark.parametrize(
    ("cells", "asked"),
    [
        pytest.param(["1", "2", "3"], [], id="numbers"),
        pytest.param(["Session 1", "Session 2", "Session 3"], [], id="one prefix is read as it is"),
        pytest.param(
            ["first", "2", "Session 3", "FIRST", "last"],
            ['"first" = 1', '"Session 3" = 3', '"last" = …'],
            id="mixed",
        ),
    ],
)
def test_sessions_in_words_are_asked(tmp_path, cells, asked):
    rows = [f"C{n},{cell},1,2,3" for n, cell in enumerate(cells)]
    draft = draft_of(tmp_path, "case,session,x1,x2,x3\n" + "\n".join(rows) + "\n")
    assert [line for line in questions(draft) if line.startswith('"')] == asked


def test_sessions_that_are_there_twice_are_asked(tmp_path):
    text = "case,session,x1,x2,x3\nA,1,1,2,3\nA,1,3,2,1\nA,2,1,1,1\nA,2,1,1,1\nB,1,1,1,1\n"
    assert lines_of(tmp_path, text, "#? keep") == [
        '#? keep = "first"  # 1 session there twice with different answers: line 2; line 3',
        '#? keep = "last"  # the same sessions',
    ]


def test_sessions_that_are_there_twice_once_codes_are_one_case_are_asked_too(tmp_path):
    text = "case,session,x1,x2,x3\nA1,first,1,2,3\nA1,2,1,1,1\na1,1st,3,2,1\n"
    assert lines_of(tmp_path, text, '#? keep = "first"') == [
        '#? keep = "first"  # 1 session there twice with different answers: line 2; line 4'
    ]


def test_rows_of_means_are_asked_and_their_numbers_are_no_codes(tmp_path):
    text = "case,session,x1,x2,x3\nA,1,1,2,3\nA,2,7,6,5\nMittelwert:,,4.5,400,\nSumme,,8,8,8\n"
    draft = draft_of(tmp_path, text)
    assert [line for line in draft.splitlines() if "skip_cases" in line] == [
        '#? skip_cases = ["Mittelwert:", "Summe"]  # rows that are no forms: '
        "line 4: 1 of 2 answers no whole number; line 5: 0 of 3 answers no whole number"
    ]
    assert "missing" not in draft


@pytest.mark.parametrize(
    ("row", "below", "asked"),
    [
        pytest.param("Mean,9,4,4,4", 9, True, id="with a session, among the last ten"),
        pytest.param("Mean,9,4,4,4", 10, False, id="with a session, before the last ten"),
        pytest.param("Mean,,4,4,4", 10, True, id="without a session, anywhere"),
        pytest.param("Meana,,4,4,4", 0, False, id="another word"),
    ],
)
def test_a_row_is_one_of_means_by_its_name_and_place(tmp_path, row, below, asked):
    rows = [f"A,{number},1,2,3" for number in range(10, 10 + below)]
    draft = draft_of(tmp_path, "\n".join(["case,session,x1,x2,x3", "A,1,1,2,3", row, *rows]) + "\n")
    assert ("skip_cases" in draft) is asked


@pytest.mark.parametrize(
    ("dates", "lines"),
    [
        pytest.param(["13/01/2026", "05/01/2026"], [], id="one cell needs the day first"),
        pytest.param(["2026-01-05", "2026-01-12"], [], id="year first"),
        pytest.param(
            ["05/01/2026", "06/01/2026", "07/02/2026"],
            [
                '#? date_format = "dmy"  # day first; line 2 can be read both ways; 2 of 2 '
                "sessions later than the one before",
                '#? date_format = "mdy"  # month first; line 2 can be read both ways; 2 of 2 '
                "sessions later than the one before",
            ],
            id="both, and both rise",
        ),
        pytest.param(
            ["01/05/2026", "01/12/2026", "02/02/2026"],
            [
                '#? date_format = "mdy"  # month first; line 2 can be read both ways; 2 of 2 '
                "sessions later than the one before",
                '#? date_format = "dmy"  # day first; line 2 can be read both ways; 1 of 2 '
                "sessions later than the one before",
            ],
            id="month first rises more often",
        ),
    ],
)
def test_the_order_of_day_and_month_is_asked_with_a_line(tmp_path, dates, lines):
    rows = [f"A,{n},{date},1,2,3" for n, date in enumerate(dates, 1)]
    text = "case,session,date,x1,x2,x3\n" + "\n".join(rows) + "\n"
    assert lines_of(tmp_path, text, "#? date_format") == lines


def test_columns_that_say_who_a_person_is_are_no_candidates(tmp_path):
    text = "code,client email,session,x1,x2,x3\nA,a@b.example,1,1,2,3\nB,c@d.example,1,1,2,3\n"
    draft = draft_of(tmp_path, text)
    assert draft.splitlines()[3] == (
        "# column 'client email' looks like an e-mail address (line 2): delete it first, or write "
        "the file anew with `alliance pseudonymise`"
    )
    assert "client email" not in draft.split("[columns]")[1]
    assert "@" not in draft


WIDE = "case,a1_s1,a2_s1,a3_s1,when_1,a1_s2,a2_s2,a3_s2,when_2\nC01,1,2,3,2026-01-01,4,5,6,2026-01-08\n"


def test_a_wide_file_has_a_pattern_and_dates_by_session(tmp_path):
    path = write(tmp_path, WIDE)
    draft = draft_mapping(path, DEMO)
    assert (
        'pattern = "a{item}_s{session}"  # the columns have an item and a session number each: '
        "3 items in 2 sessions"
    ) in draft.splitlines()
    assert '#? date = "when_{session}"  # 2 of 2 cells are dates' in draft.splitlines()
    mapping = confirm(draft, ['date = "when_{session}"'])
    found = load(path, DEMO, options=ReadOptions(mapping=mapping)).responses["demo"]
    assert found["date"].dt.day.tolist() == [1, 8]


def test_a_pattern_that_can_be_read_both_ways_is_a_question(tmp_path):
    header = ",".join(f"a{item}_s{session}" for session in (1, 2, 3) for item in (1, 2, 3))
    draft = draft_of(tmp_path, f"case,{header}\nC01,1,2,3,4,5,6,7,1,2\n")
    assert [line for line in questions(draft) if "pattern" in line] == [
        'pattern = "a{item}_s{session}"',
        'pattern = "a{session}_s{item}"',
    ]
    assert not any("pattern" in line for line in live(draft))


@pytest.fixture
def export(tmp_path):
    """Give a function that drafts a mapping for a file as a system would know it."""

    def draft(text: str, *, known: dict, scale: object = DEMO) -> str:
        from dataclasses import replace

        known_sources()
        reader = system("trial", title="Trial", recognise=lambda _: "")
        reader(lambda table, _: replace(table, source="trial", **known))
        return draft_mapping(write(tmp_path, text), scale, options=ReadOptions(source="trial"))

    yield draft
    SYSTEMS.pop("trial", None)


PLAIN = (
    "pid,code,nr,day,x1,x2,x3\nA,K1,1,2026-01-05,1,2,3\nA,K1,2,2026-01-06,1,2,3\nB,K2,1,2026-01-06,1,7,3\n"
)


def test_what_a_system_reserves_is_live_and_where_it_has_a_key_as_a_rule_is_asked(export):
    draft = export(PLAIN, known={"columns": {"case": "pid"}, "fallbacks": {"session": "nr"}})
    assert draft.splitlines()[3] == 'from = "trial"  # named by --from'
    assert 'case = "pid"  # as trial names it' in draft.splitlines()
    assert (
        '#? session = "nr"  # where trial has it as a rule, and used if nothing else is said; '
        "numbers 1 to 2, no session twice for a case"
    ) in draft.splitlines()


def test_where_a_system_has_a_key_as_a_rule_comes_first(export):
    text = "case,session,begun,sent\nA,1,2026-01-05,2026-01-06\nA,2,2026-01-12,2026-01-12\n"
    draft = export(text, known={"fallbacks": {"date": "sent"}})
    assert [line for line in questions(draft) if line.startswith("date")] == [
        'date = "sent"',
        'date = "begun"',
    ]
    draft = export(text, known={"fallbacks": {"date": "begun"}})
    assert next(line for line in questions(draft) if line.startswith("date")) == 'date = "begun"'


def test_the_questions_of_an_export_stand_beside_its_columns_cut_to_sixty(export):
    known = {"labels": {"x1": "How  well\ndid you " + "really " * 10, "x2": "x2"}}
    draft = export(PLAIN.replace("pid", "case").replace("nr", "session"), known=known)
    assert (
        'q1 = "x1"  # prefix and number; How well did you really really really really really really …'
    ) in draft.splitlines()
    assert 'q2 = "x2"  # prefix and number' in draft.splitlines()


def test_labels_say_the_shift_and_stand_as_evidence(export):
    levels = {"0": "Never", "3": "Sometimes", "6": "Always"}
    known = {"levels": {"x1": levels, "x2": levels, "x3": levels}}
    draft = export("case,session,x1,x2,x3\nA,1,3,3,3\nA,2,3,3,0\n", known=known)
    assert "# the file says of x1, x2 and 1 more: 0 = Never, 3 = Sometimes, 6 = Always" in draft.splitlines()
    assert [line for line in draft.splitlines() if line.startswith("#? shift")] == [
        "#? shift = 1  # the file says that 0 means 'Never', which is 1 on the form"
    ]


def test_labels_that_agree_with_the_form_need_no_shift(export):
    known = {"levels": {"x1": {"1": "Never", "7": "Always"}}}
    assert "shift" not in export(demo_rows([("1", "2", "3")]), known=known)


def test_the_words_of_codes_stand_beside_them(export):
    known = {"levels": {"x1": {"A1": "Hardly", "A2": "Mostly"}}}
    draft = export("case,session,x1,x2,x3\nA,1,A1,3,3\nA,2,A2,3,2\n", known=known)
    assert [line for line in draft.splitlines() if line.startswith('#? "')] == [
        "#? \"A1\" = 1  # 1 time, the file calls it 'Hardly'",
        "#? \"A2\" = 2  # 1 time, the file calls it 'Mostly'",
    ]


def test_unfinished_forms_are_asked(export):
    draft = export(PLAIN.replace("pid", "case"), known={"unfinished": frozenset({2, 4})})
    assert [line for line in draft.splitlines() if line.startswith("#? unfinished")] == [
        '#? unfinished = "use"  # 2 forms begun and not sent: line 2; line 4; read as far as filled in, as '
        "without this line",
        '#? unfinished = "drop"  # they are left out',
    ]


def turned_rows(turn, n_cases=8):
    """Return forms of `n_cases` whose items rise together, those of `turn` against the others."""
    rows = []
    for case in range(n_cases):
        for session in (1, 2):
            high = 1 + (case + 3 * session) % 7
            cells = [str(8 - high if item in turn else high) for item in (1, 2, 3)]
            rows.append(f"C{case},{session},{','.join(cells)}")
    return "case,session,x1,x2R,x3\n" + "\n".join(rows) + "\n"


def test_items_a_system_may_have_turned_are_asked_what_the_answers_speak_for_first(export):
    known = {"may_be_turned": ("x2R", "other"), "columns": {"q1": "x1", "q2": "x2R", "q3": "x3"}}
    turned, as_ticked = (
        [line for line in export(turned_rows(turn), known=known).splitlines() if "turned" in line]
        for turn in ([2], [])
    )
    assert turned[0] == (
        '#? turned = ["x2R"]  # these count as 8 minus the cell; correlation with the other items: x2R -1.00'
    )
    assert as_ticked[1].startswith('#? turned = ["x2R"]  # these count as 8 minus the cell; correlation')
    for lines in (turned, as_ticked):
        assert "#? turned = []  # the cells are the answers as they were ticked" in lines
    assert as_ticked[0].startswith("#? turned = []")


def test_the_correlation_of_an_item_is_that_of_its_cells_as_they_stand(export):
    from dataclasses import replace

    known = {"may_be_turned": ("x2R",), "columns": {"q1": "x1", "q2": "x2R", "q3": "x3"}}
    draft = export(turned_rows([2]), known=known, scale=replace(DEMO, reverse=(2,)))
    assert [line for line in draft.splitlines() if "turned" in line] == [
        "#? turned = []  # the cells are the answers as they were ticked",
        '#? turned = ["x2R"]  # these count as 8 minus the cell; correlation with the other items: x2R -1.00',
    ]


def test_an_item_that_runs_against_the_others_is_asked_in_any_file(tmp_path):
    text = turned_rows([2]).replace("x2R", "x2")
    assert [line for line in questions(draft_of(tmp_path, text)) if "turned" in line] == [
        'turned = ["x2"]',
        "turned = []",
    ]
    assert "turned" not in draft_of(tmp_path, turned_rows([]).replace("x2R", "x2"))
    assert "turned" not in draft_of(tmp_path, turned_rows([2], n_cases=7).replace("x2R", "x2"))


def test_an_item_the_key_reverses_runs_against_the_others_as_it_should(tmp_path):
    from dataclasses import replace

    reversing = replace(DEMO, reverse=(2,))
    assert "turned" not in draft_of(tmp_path, turned_rows([2]).replace("x2R", "x2"), reversing)
    turned = draft_of(tmp_path, turned_rows([]).replace("x2R", "x2"), reversing)
    assert [line for line in questions(turned) if "turned" in line] == ['turned = ["x2"]', "turned = []"]


def test_what_a_mapping_says_already_stays_in_the_draft(tmp_path):
    mapping = mapped("""
        missing = [9, 99]
        turned = []
        date_format = "dmy"
        [columns]
        rater = "who"
        [cases]
        B = "A"
        [answers]
        often = 6
        [answers.demo]
        rarely = 2
    """)
    draft = draft_of(tmp_path, TEXT.replace("fine", "fine"), mapping=mapping)
    assert [line for line in live(draft) if line[0] != "[" and line[0] != "q"] == [
        'scale = "demo"',
        "header_row = 1",
        "turned = []",
        'missing = ["9", "99"]',
        'date_format = "dmy"',
        'case = "client"',
        'session = "session"',
        'rater = "who"',
        '"B" = "A"',
        '"often" = 6.0',
        '"rarely" = 2.0',
    ]
    assert 'missing = ["9", "99"]  # as the mapping has it' in draft.splitlines()
    said = parse_mapping(tomllib.loads(draft), origin="draft")
    assert (said.cases, said.answers, said.worded) == (mapping.cases, mapping.answers, mapping.worded)


def test_forms_of_a_mapping_stay_in_the_draft(tmp_path):
    mapping = mapped('[[forms]]\nscale = "phq-9"\nitems = "phq9_{item}"\nrater = "client"\n')
    draft = draft_of(tmp_path, two_forms(), load_scale("phq-9"), mapping=mapping)
    assert parse_mapping(tomllib.loads(draft), origin="draft").forms == mapping.forms


def test_a_table_without_anything_known_still_gets_a_draft(tmp_path):
    assert questions(draft_of(tmp_path, "name,age\nErika,40\n")) == [
        'rater = "therapist"',
        'case = "…"',
        'session = "…"',
        'date = "…"',
        'q1 = "…"',
        'q2 = "…"',
        'q3 = "…"',
    ]
    with pytest.raises(DataError) as caught:
        draft_of(tmp_path, "   \n")
    assert str(caught.value).startswith("error: the file is empty\n")


def test_names_with_every_sign_stay_valid(tmp_path):
    name = 'a "b" \\ # = [x] {item} \u2028'
    draft = draft_of(
        tmp_path, f'case,session,"{name.replace(chr(34), chr(34) * 2)}",x1,x2,x3\nA,1,z,1,2,\x7f\n'
    )
    assert parse_mapping(tomllib.loads(draft), origin="draft").columns["q3"] == "x3"


@given(st.text())
def test_any_text_is_quoted_as_toml(text):
    again = tomllib.loads(f"{remark(text)}\nx = {quoted(text)}")["x"]
    assert again == "".join("\ufffd" if "\ud800" <= sign <= "\udfff" else sign for sign in text)
    assert len(quoted(text).splitlines()) == 1


def test_a_label_of_sixty_characters_is_not_cut():
    assert cut("x" * 60) == "x" * 60
    assert cut("x" * 61) == "x" * 58 + " …"


WORDS = st.text('abXY 1"\\é', min_size=1, max_size=5).filter(str.strip)
CELLS = st.sampled_from(
    [
        "",
        "1",
        "2",
        "7",
        "8",
        "0",
        "99",
        "4.5",
        "A1",
        "oft",
        "Refused",
        "never",
        "2026-01-05",
        "05/06/2026",
        "x@y.de",
    ]
)


@given(st.data())
def test_a_mapping_is_written_as_it_was_read(data):
    text = data.draw(st.dictionaries(WORDS, WORDS, max_size=3))
    forms = data.draw(
        st.lists(
            st.builds(
                FormMap,
                scale=WORDS,
                items=st.just("a{item}"),
                rater=st.just(""),
                missing=st.lists(WORDS, max_size=2).map(tuple),
                shift=st.none() | st.integers(-3, 3),
                turned=st.none() | st.lists(WORDS, max_size=2).map(tuple),
            ),
            max_size=2,
            unique_by=lambda form: form.scale,
        )
    )
    mapping = Mapping(
        cases=text,
        forms=tuple(forms),
        missing=data.draw(st.lists(WORDS, max_size=2).map(tuple)),
        keep=data.draw(st.sampled_from([None, "first", "last"])),
        header_row=data.draw(st.none() | st.integers(1, 9)),
        source=data.draw(st.sampled_from(["", "qualtrics"])),
        shift=data.draw(st.integers(-2, 2)),
        answers={"oft": 4.0, "nie": 1.5},
        worded={"wai": {"": {"x": 1.0}, "de": {"y": 2.0}}},
        sessions={"first": 1},
    )
    lines = [*top_entries(mapping).values()]
    for name in ("cases", "sessions", "answers"):
        lines += [f"[{name}]", *table_entries(mapping, name)]
    for head, entries in worded_entries(mapping).items():
        lines += [head, *entries]
    again = parse_mapping(tomllib.loads("\n".join([*lines, *form_entries(mapping)])), origin="again")
    assert again == mapping


HEADER = ["case", "session", "date", "x1", "x2", "x3", "code", "nr", "lang", "y1", "y2", "y3"]


@QUICK
@given(
    st.lists(st.sampled_from(HEADER), min_size=1, max_size=9),
    st.lists(st.lists(CELLS, min_size=9, max_size=9), min_size=1, max_size=6),
    st.sampled_from([None, "demo", "srs"]),
)
def test_every_table_gets_a_valid_draft_that_changes_nothing_by_itself(
    tmp_path_factory, header, cells, scale
):
    rows = [",".join(row[: len(header)]) for row in cells]
    path = write(tmp_path_factory.mktemp("draft"), "\n".join([",".join(header), *rows]) + "\n")
    form = {None: None, "demo": DEMO}.get(scale) or (load_scale(scale) if scale == "srs" else None)
    draft = parse_mapping(tomllib.loads(draft_mapping(path, form)), origin="draft")
    if form is None or draft.forms:
        return
    try:
        plainly = load(path, form).responses[form.id]
    except DataError:
        with pytest.raises(DataError):
            load(path, form, options=ReadOptions(mapping=draft))
        return
    drafted = load(path, form, options=ReadOptions(mapping=draft)).responses[form.id]
    pd.testing.assert_frame_equal(drafted, plainly)
