"""Parquet and Arrow: every type as a person would have typed it, nothing nested, nothing damaged."""

import datetime
import decimal
import io

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import feather, ipc, parquet
from readers_helpers import DEMO

from alliance.errors import DataError
from alliance.readers import load
from alliance.readers.opening import read_export
from alliance.readers.sources import columnar

LATE = datetime.datetime(2026, 1, 5, 23, 30, tzinfo=datetime.UTC)
NOON = datetime.datetime.fromisoformat("2026-01-05 12:00:00")
FORMS = pa.table(
    {"case": ["007", "7"], "session": [1, 1], "q1": [1.0, None], "q2": [2, 3], "q3": ["sometimes", "7"]}
)


def as_parquet(table):
    target = io.BytesIO()
    parquet.write_table(table, target)
    return target.getvalue()


def as_file(table):
    target = io.BytesIO()
    with ipc.new_file(target, table.schema) as writer:
        writer.write_table(table)
    return target.getvalue()


def as_stream(table):
    target = io.BytesIO()
    with ipc.new_stream(target, table.schema) as writer:
        writer.write_table(table)
    return target.getvalue()


def as_feather(table):
    target = io.BytesIO()
    feather.write_feather(table, target, compression="zstd")
    return target.getvalue()


WAYS = [
    pytest.param(as_parquet, id="Parquet"),
    pytest.param(as_file, id="Arrow file"),
    pytest.param(as_stream, id="Arrow stream"),
    pytest.param(as_feather, id="Feather"),
]


def saved(folder, raw, name="study"):
    path = folder / name
    path.write_bytes(raw)
    return path


def cells(folder, column, way=as_file):
    rows = read_export(saved(folder, way(pa.table({"x": column})))).records.rows
    assert rows[0] == ["x"]
    return [row[0] for row in rows[1:]]


def refusal(folder, raw):
    with pytest.raises(DataError) as caught:
        read_export(saved(folder, raw))
    return str(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_each_kind_of_file_is_known_by_its_bytes_and_gives_the_same_forms(tmp_path, way):
    forms = load(saved(tmp_path, way(FORMS)), DEMO).responses["demo"]
    assert forms["case"].tolist() == ["007", "7"]
    assert forms.fillna({"q1": 0})[["q1", "q2", "q3"]].to_numpy().tolist() == [[1, 2, 4], [0, 3, 7]]
    assert forms.index.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        pytest.param(pa.array([1, None], pa.int8()), ["1", ""], id="whole numbers"),
        pytest.param(pa.array([1.0, 2.5, float("nan"), None]), ["1", "2.5", "", ""], id="numbers"),
        pytest.param(pa.array([8.3, 4.0, None], pa.float32()), ["8.3", "4", ""], id="short numbers"),
        pytest.param(pa.array([0.5], pa.float16()), ["0.5"], id="shorter numbers"),
        pytest.param(pa.array([decimal.Decimal("1.50")]), ["1.50"], id="decimals"),
        pytest.param(pa.array([True, False, None]), ["true", "false", ""], id="truths"),
        pytest.param(pa.array([datetime.date(2026, 1, 31), None]), ["2026-01-31", ""], id="days"),
        pytest.param(pa.array([NOON], pa.timestamp("s")), ["2026-01-05 12:00:00"], id="moments"),
        pytest.param(pa.array([1], pa.timestamp("ns")), ["1970-01-01 00:00:00"], id="finer than Python"),
        pytest.param(
            pa.array([LATE], pa.timestamp("us", "Europe/Berlin")), ["2026-01-06 00:30:00+01:00"], id="zone"
        ),
        pytest.param(pa.array([datetime.time(1, 2, 3)], pa.time64("ns")), ["01:02:03"], id="times"),
        pytest.param(pa.array(["a", None, "a"]).dictionary_encode(), ["a", "", "a"], id="categories"),
        pytest.param(pa.array([7, 8, 7]).dictionary_encode(), ["7", "8", "7"], id="categories of numbers"),
        pytest.param(pc.run_end_encode(pa.array([1, 1, 2])), ["1", "1", "2"], id="runs"),
        pytest.param(pa.array(["x", None], pa.string_view()), ["x", ""], id="views"),
        pytest.param(pa.array(["x"], pa.large_string()), ["x"], id="large texts"),
        pytest.param(pa.array([b"x", b"\xff"]), ["x", "\N{REPLACEMENT CHARACTER}"], id="bytes"),
        pytest.param(pa.array([b"0123456789abcdef"], pa.uuid()), ["0123456789abcdef"], id="extensions"),
        pytest.param(pa.nulls(2), ["", ""], id="nothing at all"),
        pytest.param(pa.array([], pa.string()), [], id="no rows"),
    ],
)
def test_a_value_is_written_as_a_person_would_have_typed_it(tmp_path, column, texts):
    assert cells(tmp_path, column) == texts


def test_several_chunks_are_one_column(tmp_path):
    column = pa.chunked_array([["a", "b"], ["b", None], []])
    assert cells(tmp_path, column) == ["a", "b", "b", ""]
    categories = pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()])
    assert cells(tmp_path, categories, as_parquet) == ["a", "b"]


@pytest.mark.parametrize("way", WAYS)
def test_lists_and_records_are_refused_by_name(tmp_path, way):
    table = pa.table({"case": ["A"], "answers": [[1, 2]], "who": [{"name": "x"}]})
    assert refusal(tmp_path, way(table)) == (
        "error: 2 columns with lists or records in a cell\n"
        "  column 'answers': lists\n"
        "  column 'who': records\n"
        "hint: leave them out, or give each of their values a column"
    )


def test_a_doubled_name_is_refused_where_it_has_a_role(tmp_path):
    table = pa.table([["A"], [1], [1], [2], [3], [4]], names=["case", "session", "q1", "q2", "q3", "q3"])
    with pytest.raises(DataError) as caught:
        load(saved(tmp_path, as_file(table)), DEMO)
    assert caught.value.troubles[0].what == "column 'q3' is there 2 times"


@pytest.mark.parametrize(
    ("way", "called"),
    [(as_parquet, "Parquet"), (as_file, "Arrow"), (as_stream, "Arrow"), (as_feather, "Arrow")],
)
def test_a_damaged_file_is_refused_wherever_it_is_cut(tmp_path, way, called):
    whole = way(FORMS)
    for length in (8, len(whole) // 3, len(whole) - 9):
        assert refusal(tmp_path, whole[:length]) == (
            f"error: the file looks like {called}, and cannot be opened as such\n"
            "hint: write it again from its program"
        )


def test_a_text_that_is_no_text_is_refused(tmp_path):
    buffers = [None, pa.py_buffer(b"\0\0\0\0\x01\0\0\0"), pa.py_buffer(b"\xff")]
    table = pa.table({"x": pa.StringArray.from_buffers(1, buffers[1], buffers[2])})
    assert refusal(tmp_path, as_stream(table)).startswith("error: the file looks like Arrow,")


def test_a_text_that_reaches_beyond_its_bytes_is_refused(tmp_path):
    raw, ends = as_stream(pa.table({"x": ["abcd"]})), b"\0\0\0\0\4\0\0\0"
    head, _, tail = raw.rpartition(ends)
    told = refusal(tmp_path, head + b"\0\0\0\0\6\0\0\0" + tail)
    assert told.startswith("error: the file looks like Arrow,")


def test_an_old_feather_is_refused_in_words(tmp_path):
    assert refusal(tmp_path, b"FEA1\0\0\0\0") == (
        "error: the file is Feather of version 1, which is read no longer\n"
        "hint: write it again as version 2, or as Parquet"
    )


@pytest.mark.parametrize("way", [as_parquet, as_file])
def test_a_few_bytes_that_stand_for_too_many_cells_are_refused(tmp_path, way, monkeypatch):
    monkeypatch.setattr(columnar, "MOST_CELLS", 10)
    assert refusal(tmp_path, way(pa.table({"a": range(6), "b": range(6)}))) == (
        "error: the file has 6 rows and 2 columns, more than 10 cells\n"
        "hint: leave out columns that are not needed, or read it in parts"
    )
    assert len(read_export(saved(tmp_path, way(pa.table({"a": range(5), "b": range(5)})))).records.rows) == 6


def test_a_text_beyond_a_million_characters_is_refused(tmp_path):
    assert cells(tmp_path, pa.array(["x" * (1 << 20)])) == ["x" * (1 << 20)]
    table = pa.table({"x": ["x" * ((1 << 20) + 1)]})
    assert refusal(tmp_path, as_file(table)) == (
        "error: a cell holds more than 1048576 characters\nhint: shorten the cell"
    )
