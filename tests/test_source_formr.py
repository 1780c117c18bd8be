"""formr: the token is the case, the order is that of time, and somebody must say what was turned round."""

import pytest
from readers_helpers import mapped, read_demo, refusal

from alliance.readers.export import Export
from alliance.readers.sources import SYSTEMS, known_sources
from alliance.readers.text import read_text

HEADER = "session,created,modified,ended,expired,ali_1,ali_2R,ali_3"
NONE = mapped("turned = []")


def row(token, day, *, ended=None, answers="1,2,3", expired=""):
    ended = f"2026-01-{day:02d} 15:06:00" if ended is None else ended
    return f"{token},2026-01-{day:02d} 15:04:00,2026-01-{day:02d} 15:06:00,{ended},{expired},{answers}"


def export(*rows, header=HEADER):
    return "\n".join([header, *rows]) + "\n"


def recognise(text):
    known_sources()
    return SYSTEMS["formr"].recognise(Export(records=read_text(text.encode())))


def read_export(text):
    return SYSTEMS["formr"].read(Export(records=read_text(text.encode())), None)


def test_the_token_is_the_case_and_sessions_are_numbered_by_time(tmp_path):
    text = export(row("tokA", 12, answers="4,5,6"), row("tokA", 5), row("tokB", 6))
    loaded = read_demo(tmp_path, text, mapping=NONE)
    forms = loaded.responses["demo"]
    assert forms[["case", "session", "q1"]].to_numpy().tolist() == [
        ["tokA", 1, 1],
        ["tokA", 2, 4],
        ["tokB", 1, 1],
    ]
    assert forms["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-01-05", "2026-01-12", "2026-01-06"]
    assert loaded.notes == (
        "the file is read as formr results (columns session, created, modified, ended); "
        "--from names another source",
        "column 'session' is read as the case (as formr names it)",
        "column 'created' is read as the date (as formr names it)",
        "columns ali_1 to ali_3 are read as the items of 'demo'",
        "there is no session number: sessions were numbered by date",
    )


def test_whether_items_were_turned_round_must_be_said(tmp_path):
    assert refusal(tmp_path, export(row("tokA", 5))) == (
        "error: items may have been turned round by formr before: ali_2R\n"
        'hint: say in a mapping which were: turned = ["ali_2R"], or turned = [] for none'
    )


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        pytest.param("turned = ['ali_2R']", [1, 6, 3], id="turned back: 1 + 7 - 2"),
        pytest.param("turned = ['q2']", [1, 6, 3], id="by number"),
        pytest.param("turned = []", [1, 2, 3], id="as answered"),
    ],
)
def test_answers_are_turned_back_as_the_mapping_says(tmp_path, said, answers):
    forms = read_demo(tmp_path, export(row("tokA", 5)), mapping=mapped(said)).responses["demo"]
    assert forms[["q1", "q2", "q3"]].to_numpy().tolist() == [answers]


def test_results_written_by_r_are_read_as_those_of_the_site(tmp_path):
    lines = [HEADER, row("tokA", 5), row("tokA", 12, ended="NA", expired="NA", answers="NA,4,5")]
    site = "\n".join(lines)
    written = "\n".join(f'"{number or ""}",{line}' for number, line in enumerate(lines))
    forms = read_demo(tmp_path, site, mapping=NONE).responses["demo"]
    assert read_demo(tmp_path, written, mapping=NONE).responses["demo"].equals(forms)
    assert forms["q1"].isna().tolist() == [False, True]


@pytest.mark.parametrize("ended", ["", "NA", "NULL"])
def test_a_form_that_has_no_end_is_unfinished(tmp_path, ended):
    text = export(row("tokA", 5), row("tokA", 12, ended=ended))
    assert read_export(text).unfinished == {3}
    loaded = read_demo(tmp_path, text, mapping=NONE, unfinished="drop")
    assert len(loaded.responses["demo"]) == 1
    assert "1 form begun and not sent, not read: line 3: case tokA" in loaded.notes


@pytest.mark.parametrize(
    ("items", "columns"),
    [
        pytest.param(["a_1", "a_2R", "a_3"], ["a_1", "a_2R", "a_3"], id="one form"),
        pytest.param(["a_3", "a_1R", "a_2"], ["a_1R", "a_2", "a_3"], id="in any order"),
        pytest.param(["a_01R", "a_02"], ["a_01R", "a_02"], id="zeros in front"),
        pytest.param(["a_1R", "a_2", "b_1", "b_2", "b_3"], ["a_1R", "a_2"], id="another without R"),
        pytest.param(["a_1R", "a_2", "b_1", "b_2"], [], id="another of the same length"),
        pytest.param(["a_1R", "a_2", "b_1R", "b_2", "b_3"], [], id="two with R"),
        pytest.param(["a_1", "a_2"], [], id="none with R"),
        pytest.param(["a_1R", "a_3"], [], id="a gap"),
        pytest.param(["a_2R", "a_3"], [], id="not from 1"),
        pytest.param(["a_1R"], [], id="a single one"),
        pytest.param(["a_1", "a_1R", "a_2"], [], id="an item twice"),
        pytest.param(["a_1r", "a_2"], [], id="a small r"),
        pytest.param(["a_0R", "a_1", "a_2"], [], id="nought is no item"),
    ],
)
def test_items_are_a_prefix_a_number_and_at_times_r(items, columns):
    text = export("x", header=f"session,created,modified,ended,age,{','.join(items)}")
    found = read_export(text).columns
    assert found == {"case": "session", **{f"q{number}": name for number, name in enumerate(columns, 1)}}


def test_every_column_that_ends_in_a_number_and_r_may_have_been_turned():
    header = "session,created,modified,ended,a_1R,a_2,b_10R,R,r2,4R,sector R"
    assert read_export(export("x", header=header)).may_be_turned == ("a_1R", "b_10R")


def test_items_called_q_are_found_with_their_r(tmp_path):
    text = export(row("tokA", 5), header=HEADER.replace("ali_", "q"))
    forms = read_demo(tmp_path, text, mapping=mapped("turned = ['q2R']")).responses["demo"]
    assert forms[["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 6, 3]]


def test_a_session_or_date_that_was_asked_for_counts(tmp_path):
    text = export(f"{row('tokA', 5)},2,2026-02-01", header=f"{HEADER},session_number,date")
    forms = read_demo(tmp_path, text, mapping=NONE).responses["demo"]
    assert forms["session"].tolist() == [2]
    assert forms["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-02-01"]


def test_what_look_like_test_users_is_read_and_told(tmp_path):
    tokens = ["joyousCoyoteXXXLk5ByctNPryS4k", "lazyKoalaXXX", "PJ_nACjFQDEBhx7pMUfZQz3mV", "tokP001XXXXXXXX"]
    text = export(*(row(token, 5) for token in tokens))
    loaded = read_demo(tmp_path, text, mapping=NONE)
    assert len(loaded.responses["demo"]) == 4
    assert loaded.notes[1] == (
        "2 rows of what look like formr's test users (leave out with skip_cases): line 2; line 3"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(export(row("1", 5)), id="numbered sessions"),
        pytest.param(export(row("tokA", 5), row("1.0", 5)), id="one number among tokens"),
        pytest.param(export(row("tokA", 5)).replace("modified", "changed"), id="a name missing"),
        pytest.param(
            export(row("tokA", 5)).replace("2026-01-05 15:04", "05.01.2026 15:04"), id="another stamp"
        ),
        pytest.param(
            export(row("tokA", 5), row("tokB", 6).replace("2026-01-06 15:04", "soon")), id="one other stamp"
        ),
        pytest.param(export(row("", 5)), id="no token"),
        pytest.param(export("tokA,,,,,1,2,3"), id="no stamp"),
        pytest.param(HEADER + "\n", id="no rows"),
    ],
)
def test_what_is_not_surely_formr_is_left_to_the_user(text):
    assert recognise(text) == ""
    assert recognise(export(row("tokA", 5)))
