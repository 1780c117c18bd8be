"""Cells that are safe: nothing runs in a spreadsheet, nothing is obeyed by a terminal, nothing is markup."""

import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers_helpers import forms_of, read_demo, refusal, write

from alliance.cells import are_codes, has_control, is_code, neutral, restored, visible, visible_code
from alliance.cli.loading import tell_notes
from alliance.cli.output import csv_text, markdown_text, table_text
from alliance.errors import DataError, Trouble
from alliance.frames import Coded
from alliance.readers.text import read_text
from alliance.report.files import csv_rows

RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 -- what Excel takes for them
NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")
TEXTS = st.one_of(
    st.text(), st.text(st.sampled_from("'=+-@\t\r\n09.,eE\"＝")), st.from_regex(r"'*[=+@-].*", fullmatch=True)  # noqa: RUF001
)  # fmt: skip
HEADER = "case,session,q1,q2,q3\n"


@given(TEXTS)
def test_what_was_neutralised_comes_back_whatever_it_was(text):
    assert restored(neutral(text)) == text


@given(TEXTS)
def test_no_cell_runs_unless_it_is_a_number_or_a_lone_sign(text):
    cell = neutral(text)
    assert not cell.startswith(RUNS) or NUMBER.fullmatch(cell) or len(cell) == 1


@given(TEXTS)
def test_nothing_changes_but_an_apostrophe_in_front(text):
    assert neutral(text) in {text, f"'{text}"}


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        pytest.param("=1+1", "'=1+1", id="a formula"),
        pytest.param("+49 30 1234", "'+49 30 1234", id="a telephone number"),
        pytest.param("-x", "'-x", id="a minus and a text"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="an old formula"),
        pytest.param("\t=1", "'\t=1", id="behind a tab"),
        pytest.param("\r=1", "'\r=1", id="behind a carriage return"),
        pytest.param("\n=1", "'\n=1", id="behind a line break"),
        pytest.param("＝1", "'＝1", id="in full width"),  # noqa: RUF001
        pytest.param("'=1", "''=1", id="an apostrophe of its own"),
        pytest.param("'=", "''=", id="an apostrophe and a sign"),
        pytest.param("-1\n", "'-1\n", id="a number and a line break"),
        pytest.param("-4", "-4", id="a negative number"),
        pytest.param("-4,5", "-4,5", id="a decimal comma"),
        pytest.param("+1e-9", "+1e-9", id="an exponent"),
        pytest.param("-", "-", id="a lone sign"),
        pytest.param("'t Hart", "'t Hart", id="a name"),
        pytest.param("C-07", "C-07", id="a code"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_cell_is_neutralised_by_the_table(text, cell):
    assert neutral(text) == cell
    assert restored(cell) == text


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_every_way_of_writing_csv_neutralises_texts_alike(texts):
    column = np.array(texts, dtype=object)
    coded = Coded(codes=np.arange(len(texts)), texts=texts)
    wanted = [[neutral(text), neutral(text), neutral("=x"), "-1.5"] for text in texts]
    columns = {"a": column, "b": coded, "c": "=x", "d": np.full(len(texts), -1.5)}
    assert rows_in(bytes(csv_rows(columns)).decode()) == wanted
    rows = [{"a": text, "b": text, "c": "=x", "d": -1.5} for text in texts]
    assert rows_in(csv_text(rows, ["a", "b", "c", "d"]))[1:] == wanted


def rows_in(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_line_of_one_empty_cell_is_a_line():
    assert csv_text([{"a": None}, {"a": "x\ry"}], ["a"]) == 'a\n""\n"x\ry"\n'


def test_a_list_of_texts_in_a_cell_is_neutralised_and_a_truth_is_none():
    assert csv_text([{"a": ["=1", "x"], "b": True, "c": None}], ["a", "b", "c"]) == 'a,b,c\n"\'=1, x",yes,\n'


def test_codes_come_back_from_files_as_they_were_before(tmp_path):
    text = HEADER + "'=1+1,1,1,2,3\n''=1+1,1,1,2,3\n-4.5,1,1,2,3\n=1+1,2,1,2,3\n"
    assert forms_of(tmp_path, text)["case"].tolist() == ["=1+1", "=1+1", "'=1+1", "-4.5"]


def test_an_answer_is_read_without_its_apostrophe(tmp_path):
    assert forms_of(tmp_path, HEADER + "A,1,'+3,2,3\n")["q1"].tolist() == [3]


UNSEEN = [
    pytest.param("P\x1b[31m", r"P\x1b[31m", id="a terminal's escape"),
    pytest.param("P\x9b31m", r"P\x9b31m", id="the same in one character"),
    pytest.param("P\x00", r"P\x00", id="nothing"),
    pytest.param("P\x7f", r"P\x7f", id="delete"),
    pytest.param("P\u202e1", r"P\u202e1", id="turned reading direction"),
    pytest.param("P\u20281", r"P\u20281", id="another line break"),
    pytest.param("P\u200b", r"P\u200b", id="a blank of no width"),
    pytest.param("\ufeffP", r"\ufeffP", id="a byte order mark"),
]


@pytest.mark.parametrize(("text", "shown"), UNSEEN)
def test_what_is_not_seen_is_made_visible_and_no_code(text, shown):
    assert has_control(text)
    assert visible(text) == shown
    assert not is_code(text)


@pytest.mark.parametrize("text", ["P01", "Größe 3", "Zoë", "李", "مريم", "a\N{ZERO WIDTH JOINER}b", "-", ""])
def test_ordinary_codes_are_seen_as_they_are(text):
    assert is_code(text)
    assert visible(text) == text == visible_code(text)


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\rb"])
def test_a_code_stands_on_one_line_and_other_texts_need_not(text):
    assert not is_code(text)
    assert not has_control(text)
    assert visible(text) == text
    assert visible_code(text) == text.encode("unicode_escape").decode()


@pytest.mark.parametrize("text", ["#REF!", "#DIV/0!", "#N/A", "formula never calculated"])
def test_the_error_of_a_spreadsheet_is_no_code(text):
    assert not is_code(text)
    assert not are_codes(["P01", text])
    assert are_codes(["P01", f"{text}x"])


@pytest.mark.parametrize("role", ["case", "therapist", "rater"])
def test_codes_that_cannot_be_seen_are_refused_with_their_lines(tmp_path, role):
    keys = {"case": "A", "therapist": "T", "rater": "client"}
    bad = keys | {role: "x\x1b[31m"}
    rows = [f"{row['case']},{n},{row['therapist']},{row['rater']},1,2,3" for n, row in ((1, keys), (2, bad))]
    text = "\n".join(["case,session,therapist,rater,q1,q2,q3", *rows])
    case = r"x\x1b[31m" if role == "case" else "A"
    assert refusal(tmp_path, text) == (
        "error: 1 code holds a character that cannot be seen\n"
        f"  line 3: case {case}, session 2, {role} = x\\x1b[31m\n"
        "hint: type the code anew, on one line; no control characters, line breaks or tabs"
    )
    loaded = read_demo(tmp_path, text, on_error="drop")
    assert loaded.responses["demo"].index.tolist() == [2]
    assert loaded.rejected[["line", "item", "value", "problem"]].to_numpy().tolist() == [
        [3, role, r"x\x1b[31m", "code with characters that cannot be seen"]
    ]
    assert loaded.rejected["case"].tolist() == [case]


@pytest.mark.parametrize("code", ['"A\nB"', '"A\tB"', "A\u200b"])
def test_a_broken_or_padded_code_is_refused(tmp_path, code):
    told = refusal(tmp_path, f"{HEADER}{code},1,1,2,3\n{code},2,1,2,3\n")
    assert told.startswith("error: 2 codes hold characters that cannot be seen\n  line 2: ")
    assert has_control(told) is False


def test_the_error_of_a_spreadsheet_is_refused_as_a_case(tmp_path):
    assert refusal(tmp_path, HEADER + "#REF!,1,1,2,3\nA,1,1,2,3\n") == (
        "error: 1 code is a formula that gave no value\n"
        "  line 2: case #REF!, session 1, case = #REF!\n"
        "hint: correct the formula in the workbook and save it, or paste the codes as values"
    )
    assert forms_of(tmp_path, HEADER + "#REF!,1,1,2,3\nA,1,1,2,3\n", on_error="drop")["case"].tolist() == [
        "A"
    ]


def test_a_plain_file_of_scores_refuses_such_codes_too(tmp_path):
    from alliance.readers.plain import read_series

    path = write(tmp_path, "case,session,total\nA\x1b[2J,1,4\nB,1,4\n#REF!,1,3\n")
    with pytest.raises(DataError) as caught:
        read_series(path, ["total"])
    assert str(caught.value) == (
        "error: 1 code holds a character that cannot be seen\n"
        "  line 2: case = A\\x1b[2J\n"
        "hint: type the code anew, on one line; no control characters, line breaks or tabs\n"
        "error: 1 code is a formula that gave no value\n"
        "  line 4: case = #REF!\n"
        "hint: correct the formula in the workbook and save it, or paste the codes as values"
    )


@pytest.mark.parametrize("kind", ["attendance", "episodes"])
def test_files_of_appointments_and_treatments_refuse_such_codes_too(tmp_path, kind):
    from alliance.readers import read_attendance, read_treatments

    text = {
        "attendance": "case,session,date,attendance\nA\x1b,1,2026-01-05,attended\n",
        "episodes": "case,status,start_date\nA\x1b,open,2026-01-05\n",
    }[kind]
    read = {"attendance": read_attendance, "episodes": read_treatments}[kind]
    with pytest.raises(DataError) as caught:
        read(write(tmp_path, text))
    assert caught.value.troubles[0].what == "1 code holds a character that cannot be seen"


def test_errors_notes_and_tables_show_what_a_terminal_would_obey(capsys):
    trouble = Trouble(what="no \x1b[2J", where=("line 2: \x9b",), hint="\u202etxt")
    assert str(trouble) == "error: no \\x1b[2J\n  line 2: \\x9b\nhint: \\u202etxt"
    tell_notes(["column '\x1b]0;x\x07'"])
    assert capsys.readouterr().err == "note: column '\\x1b]0;x\\x07'\n"
    rows = [{"a\x1b": "b\x1b[31m"}]
    assert table_text(rows, ["a\x1b"]) == "a\\x1b\nb\\x1b[31m\n"
    assert markdown_text(rows, ["a\x1b"]) == "| a\\x1b |\n|---|\n| b\\x1b\\[31m |\n"


def test_check_shows_the_names_of_columns_and_does_not_obey_them(command, tmp_path):
    path = write(tmp_path, "case,session,q1,q2,q3,q4,x\x1b[2J\nA,1,9,9,9,9,1\nA,2,9,9,9,9,1\n")
    for format in ("table", "csv"):
        done = command("check", path, "--scale", "srs", "--format", format)
        assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("<script>", "&lt;script&gt;"),
        ("a & b", "a &amp; b"),
        ("a|b", "a\\|b"),
        ("`x`", "\\`x\\`"),
        ("[x](http://y)", "\\[x\\](http://y)"),
        ("a\\|b", "a\\\\\\|b"),
        ("a\nb", "a<br>b"),
        ("a\r\nb", "a<br>b"),
    ],
)
def test_a_cell_of_markdown_is_no_markup(text, cell):
    assert markdown_text([{"x": text}], ["x"]) == f"| x |\n|---|\n| {cell} |\n"


@pytest.fixture
def usual_limit():
    before = csv.field_size_limit(131_072)
    yield 131_072
    csv.field_size_limit(before)


def test_a_long_cell_is_read_and_one_beyond_a_million_characters_refused(usual_limit):
    assert len(read_text(f"a,b\n{'x' * (1 << 20)},1\n".encode()).rows[1][0]) == 1 << 20
    with pytest.raises(DataError) as caught:
        read_text(f'a,b\n1,2\n3,"{"x" * ((1 << 20) + 1)}"\n'.encode())
    assert str(caught.value) == (
        "error: a cell holds more than 1048576 characters\n"
        "  line 3: in the record that starts here\n"
        "hint: look for a quotation mark that is opened and not closed, or shorten the cell"
    )
    assert csv.field_size_limit() == usual_limit


HOSTILE = ("<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "=cmd|'/C calc'!A0", "{{7*7}}")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    from alliance.scale import load_scale
    from alliance.study import Request, analyze

    folder = tmp_path_factory.mktemp("hostile")
    with (folder / "study.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "session", "therapist", "rater", "q1", "q2", "q3", "q4"])
        for case in HOSTILE:
            for session, score in enumerate([9, 9, 8, 9, 9, 1, 1], 1):
                writer.writerow([case, session, f"T{case}", case, score, score, score, score])
    analyze(Request(path=folder / "study.csv", scale=load_scale("srs")), folder / "out")
    return folder / "out"


def test_a_report_shows_hostile_codes_and_runs_none(analysed):
    page = (analysed / "report.html").read_text(encoding="utf-8")
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
    assert "<script" not in page
    assert "{{7*7}}" in page


def test_every_table_of_a_run_is_safe_and_gives_the_codes_back(analysed):
    from alliance.readers.plain import read_series

    for path in analysed.glob("*.csv"):
        for row in rows_in(path.read_text(encoding="utf-8")):
            assert all(not cell.startswith(RUNS) or NUMBER.fullmatch(cell) for cell in row), path.name
    frame = read_series(analysed / "scores.csv", ["total"]).frame
    assert set(frame["case"]) == set(HOSTILE)


def test_both_lanes_read_the_same_from_codes_that_were_neutralised(tmp_path):
    from alliance.scale import load_scale
    from alliance.study import Request, analyze

    plain = "".join(f"=A,{n},9,9,9,{n}\n" for n in range(1, 7))
    written = plain.replace("=A", "'=A")
    for name, text in (("plain", plain), ("written", written)):
        path = write(tmp_path, "case,session,q1,q2,q3,q4\n" + text, name=f"{name}.csv")
        analyze(Request(path=path, scale=load_scale("srs")), tmp_path / name)
    tables = [(tmp_path / name / "scores.csv").read_bytes() for name in ("plain", "written")]
    assert tables[0] == tables[1]
    assert b"'=A,1," in tables[0]


def test_a_run_refuses_a_code_that_cannot_be_seen(tmp_path, command):
    path = write(tmp_path, "case,session,q1,q2,q3,q4\nA\x1b[2J,1,9,9,9,9\nB,1,9,9,9,9\n")
    done = command("analyze", path, "--scale", "srs", "-o", tmp_path / "out")
    assert done.code == 3
    assert done.err == (
        "error: 1 code holds a character that cannot be seen\n"
        "  line 2: case A\\x1b[2J, session 1, case = A\\x1b[2J\n"
        "hint: type the code anew, on one line; no control characters, line breaks or tabs\n"
    )
