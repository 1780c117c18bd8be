"""Files that once stopped the readers, hung them, or were read as what they are not."""

import signal
import subprocess
import sys
import tomllib

import pandas as pd
import pytest
from readers_helpers import DEMO, read_demo, refusal, write

from alliance.cells import visible
from alliance.errors import DataError, ScaleError
from alliance.readers import ReadOptions, draft_mapping, inspect, load, read_mapping
from alliance.readers.fast import plain_blocks
from alliance.readers.layout import Odd, plain_layout
from alliance.scale import load_scale
from alliance.texts import read_texts

PLAIN = "case,session,q1,q2,q3\nC1,1,2,3,4\n"
LONG = 200_000


@pytest.fixture
def in_no_time():
    """Fail where a file of some hundred kilobytes takes the processor five seconds: more would hang it."""

    def stop(*_):
        pytest.fail("hangs")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 5)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def only_form(loaded):
    return loaded.responses["demo"][["case", "session", "q1", "q2", "q3"]].to_numpy().tolist()


LONG_NAMES = [
    pytest.param("q" + "1" * 5000, id="a number of more digits than Python turns into one"),
    pytest.param("x" + "0" * LONG + "y", id="zeros that no number follows"),
    pytest.param("1" * LONG + "x", id="digits that are not at the end"),
    pytest.param("0" * LONG, id="zeros alone"),
    pytest.param("x1x" + "1" * LONG + "x", id="digits in the middle"),
    pytest.param("a" * LONG, id="letters"),
    pytest.param("e" + "\u0345\u0315" * (LONG // 2), id="accents out of order"),
    pytest.param("@" * LONG, id="signs of addresses"),
]


@pytest.mark.usefixtures("in_no_time")
@pytest.mark.parametrize("name", LONG_NAMES)
def test_a_column_with_a_long_name_is_read_past_in_no_time(tmp_path, name):
    text = f"case,session,q1,q2,q3,{name}\nC1,1,2,3,4,x\n"
    assert only_form(read_demo(tmp_path, text)) == [["C1", 1, 2, 3, 4]]
    assert inspect(write(tmp_path, text), DEMO).unused == (name,)
    assert draft_mapping(write(tmp_path, text), DEMO)


def test_a_long_item_id_is_no_item(tmp_path):
    rows = "".join(f"C1,1,q{n},{n}\n" for n in (1, 2, 3))
    text = f"case,session,item,value\n{rows}C1,1,{'1' * 5000},4\nC1,1,q{'1' * 5000},4\n"
    assert only_form(read_demo(tmp_path, text)) == [["C1", 1, 1, 2, 3]]


LONG_CELLS = [
    pytest.param("2026-01-05 " + "1" * LONG + "\n1", id="a time on two lines"),
    pytest.param("2026-01-05 " + "1" * LONG, id="a time"),
    pytest.param("0" * LONG + "x", id="zeros"),
]


@pytest.mark.usefixtures("in_no_time")
@pytest.mark.parametrize("cell", LONG_CELLS)
def test_a_long_date_is_read_or_named_in_no_time(tmp_path, cell):
    text = f'case,session,date,q1,q2,q3\nC1,1,"{cell}",2,3,4\n'
    found = read_demo(tmp_path, text, on_error="drop")
    assert only_form(found) == [["C1", 1, 2, 3, 4]]


def test_numbers_beyond_all_bounds_are_out_of_range_and_nothing_more(tmp_path):
    path = write(tmp_path, f"case,session,q1,q2,q3\nC1,1,1{'0' * 400},-{'9' * 308},{'9' * 308}\nC1,2,1,2,3\n")
    found = inspect(path, DEMO)
    assert [problem["problem"] for problem in found.problems] == ["out of range"] * 3


def test_an_answer_a_hair_from_a_whole_number_is_that_number(tmp_path):
    text = "case,session,q1,q2,q3\nC1,1,3.0000000004,0.9999999999,7.0000000004\nC1,2,3.00000001,4,4\n"
    loaded = read_demo(tmp_path, text, on_error="drop")
    assert loaded.responses["demo"].loc[2, ["q1", "q2", "q3"]].tolist() == [3.0, 1.0, 7.0]
    assert loaded.rejected[["session", "item", "problem"]].to_numpy().tolist() == [
        [2, "q1", "no whole number"]
    ]


def test_one_rater_with_a_long_name_takes_no_memory_for_all(tmp_path):
    rows = "".join(f"C{n},1,r{n},1,2,3\n" for n in range(60_000))
    text = f"case,session,rater,q1,q2,q3\n{rows}C,1,{'r' * 1_000_000},1,2,3\n"
    assert len(read_demo(tmp_path, text).responses["demo"]) == 60_001


def test_a_draft_is_toml_whatever_stands_in_the_file(tmp_path):
    path = write(tmp_path, 'case,session,q1,q2,q3,a\x00b\x1b\x7f\nC1,1,"x\x00\x0b""\\",3,4,5\n')
    draft = draft_mapping(path, DEMO)
    assert tomllib.loads(draft)["columns"] == {
        "case": "case",
        "session": "session",
        "q1": "q1",
        "q2": "q2",
        "q3": "q3",
    }
    assert "a\\u0000b\\u001b\\u007f" in draft


DRAFTS_A_MAPPING = "\nhint: `alliance check FILE --write-map` drafts a mapping to start from"
MAPPINGS = [
    pytest.param("a = " + "[" * 5000, "'m.toml' is no TOML file: it is nested too deeply", id="brackets"),
    pytest.param(
        f"shift = {'1' * 5000}", "'m.toml' is no TOML file: it has a number with too many digits", id="digits"
    ),
    pytest.param(
        f"shift.{'a.' * 5000}b = 1",
        "'m.toml' is no valid mapping\n  shift: must be a number, got a table",
        id="a deep table",
    ),
    pytest.param(
        f"shift = 0x{'f' * 5000}",
        "'m.toml' is no valid mapping\n  shift: must be a number, got a number far too large",
        id="a number that is none to Python's float",
    ),
    pytest.param(
        f"missing = [0x{'f' * 5000}]",
        "'m.toml' is no valid mapping\n  missing: must be a list of texts or numbers",
        id="a code that cannot be written out",
    ),
    pytest.param(
        f"header_row = 0x{'f' * 5000}",
        "'m.toml' is no valid mapping\n"
        "  header_row: must be a line of the file, 1 or more, got a number far too large",
        id="a line",
    ),
    pytest.param(
        "keep = [['first']]",
        "'m.toml' is no valid mapping\n  keep: must be one of first, last, got a list",
        id="a list",
    ),
    pytest.param(
        f"sessions = {{ first = {10**15} }}",
        "'m.toml' is no valid mapping\n"
        '  sessions."first": must be a session number, got a number far too large',
        id="a session",
    ),
]


@pytest.mark.parametrize(("text", "what"), MAPPINGS)
def test_a_mapping_that_no_program_wrote_is_refused_in_words(tmp_path, text, what):
    with pytest.raises(DataError) as caught:
        read_mapping(write(tmp_path, text, name="m.toml"))
    assert str(caught.value) == f"error: {what}{DRAFTS_A_MAPPING}"


def test_a_mapping_does_not_number_items_beyond_all_forms(tmp_path):
    with pytest.raises(DataError) as caught:
        read_mapping(write(tmp_path, f'columns = {{ q{"1" * 5000} = "x" }}', name="m.toml"))
    assert "unknown role; known: case, " in str(caught.value)


def test_a_definition_and_texts_nested_too_deeply_are_refused_in_words(tmp_path):
    path = write(tmp_path, "a = " + "[" * 5000, name="deep.toml")
    with pytest.raises(ScaleError) as caught:
        load_scale(path)
    assert str(caught.value).startswith("error: 'deep.toml' is no TOML file: it is nested too deeply\n")
    with pytest.raises(DataError) as caught:
        read_texts(path, 3)
    assert str(caught.value).startswith("error: 'deep.toml' is no TOML file: it is nested too deeply\n")


@pytest.mark.parametrize("cell", ["/dev/zero", "own.toml", "..\\own", "folder/demo"])
def test_a_cell_that_names_a_form_is_never_a_path(tmp_path, cell):
    with pytest.raises(ScaleError) as caught:
        load(write(tmp_path, f"case,session,scale,q1,q2,q3\nC1,1,{cell},2,3,4\n"), None)
    assert str(caught.value).startswith(f"error: unknown scale '{cell}'\nhint: ")


@pytest.mark.parametrize("encoding", ["utf-32", "utf-16", "utf-8-sig"])
def test_marked_encodings_are_told_from_one_another(tmp_path, encoding):
    path = write(tmp_path, PLAIN, encoding=encoding)
    assert only_form(load(path, DEMO)) == [["C1", 1, 2, 3, 4]]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_seen_by_its_zeros(tmp_path, encoding):
    path = write(tmp_path, PLAIN + "Jürgen,2,1,1,1\n", encoding=encoding)
    assert only_form(load(path, DEMO)) == [["C1", 1, 2, 3, 4], ["Jürgen", 2, 1, 1, 1]]


def test_one_zero_byte_does_not_make_a_file_utf_16(tmp_path):
    told = refusal(tmp_path, "case,session,q1,q2,q3\nC1,1,2,3\0,4\n")
    assert told == (
        "error: 1 answer is no number and no known word\n"
        "  line 2: case C1, session 1, q2 = 3\\x00\n"
        "hint: give each word its number under [answers] in a mapping, or declare it with --missing"
    )


@pytest.mark.parametrize("encoding", ["undefined", "a\0b", "hex", "no such"])
def test_an_encoding_that_cannot_be_is_refused_in_words(tmp_path, encoding):
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, PLAIN.encode() + b".."), DEMO, options=ReadOptions(encoding=encoding))
    assert str(caught.value) == (
        f"error: the file cannot be read as {visible(encoding)}\n"
        "hint: name its encoding with --encoding, such as --encoding cp850"
    )


def test_a_quotation_mark_is_no_delimiter(tmp_path):
    assert only_form(read_demo(tmp_path, f'sep="\n{PLAIN}')) == [["C1", 1, 2, 3, 4]]


def test_a_cell_without_end_is_told_from_a_quotation_mark_without_one(tmp_path):
    told = refusal(tmp_path, f'{PLAIN}C1,2,"{"x" * (1 << 20)}y",3,4\n')
    assert told == (
        "error: a cell holds more than 1048576 characters\n"
        "  line 3: in the record that starts here\n"
        "hint: look for a quotation mark that is opened and not closed, or shorten the cell"
    )


def test_a_row_behind_a_lone_line_break_in_the_header_is_not_lost(tmp_path):
    loaded = read_demo(tmp_path, "case,session,q1,q2,q3\rC1,1,2,3,4\nC1,2,5,6,7\n")
    assert only_form(loaded) == [["C1", 1, 2, 3, 4], ["C1", 2, 5, 6, 7]]
    assert loaded.lane == "tolerant: line breaks that are not plain"


def test_a_byte_order_mark_among_the_rows_is_part_of_a_code(tmp_path):
    told = refusal(tmp_path, "case,session,q1,q2,q3\n\ufeffC1,1,2,3,4\n")
    assert told == (
        "error: 1 code holds a character that cannot be seen\n"
        "  line 2: case \\ufeffC1, session 1, case = \\ufeffC1\n"
        "hint: type the code anew, on one line; no control characters, line breaks or tabs"
    )


def test_a_file_without_rows_is_left_to_the_lane_that_refuses_it(tmp_path):
    path = write(tmp_path, "case,session,q1,q2,q3\n")
    with pytest.raises(Odd):
        list(plain_blocks(path, DEMO, plain_layout(path, DEMO)))


def test_every_source_is_known_whichever_was_imported_first(tmp_path):
    path = write(tmp_path, PLAIN)
    script = (
        "import alliance.readers.sources.columnar\n"
        "from alliance.readers.opening import read_records\n"
        f"print(read_records({str(path)!r}).rows[1])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "['C1', '1', '2', '3', '4']\n"


def test_a_draft_for_a_file_without_lines_names_no_header_row(tmp_path):
    answers = [{"linkId": f"q{n}", "answer": [{"valueInteger": n}]} for n in (1, 2, 3)]
    form = {"resourceType": "QuestionnaireResponse", "id": "r1", "status": "completed", "item": answers}
    form |= {"subject": {"reference": "Patient/C1"}, "authored": "2026-01-05"}
    path = tmp_path / "one.json"
    pd.Series(form).to_json(path)
    assert "header_row" not in tomllib.loads(draft_mapping(path, DEMO))
