"""A user's own item texts: three kinds of file, every problem at once, no text in any message."""

import pytest

from alliance.errors import DataError, StoreError
from alliance.texts import HINT, read_texts


def texts_of(folder, name, content, n_items=3):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_texts(path, n_items)


def refusal(folder, name, content, n_items=3):
    with pytest.raises(DataError) as caught:
        texts_of(folder, name, content, n_items)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.toml", '1 = "one"\n2 = "two"\n3 = "three"\n', id="TOML with numbers"),
        pytest.param("a.toml", 'q1 = "one"\nq3 = "three"\nq2 = " two "\n', id="TOML with columns"),
        pytest.param("a.toml", '[items]\nq1 = "one"\n2 = "two"\n3 = "three"\n', id="TOML with a table"),
        pytest.param("a.toml", '1 = "one"\n[items]\n2 = "two"\n3 = "three"\n', id="TOML with both"),
        pytest.param("a.csv", "item,text\n1,one\nq2,two\n3,three\n", id="CSV"),
        pytest.param("a.CSV", "Item; Text\r\n3;three\r\n\r\n1;one\r\nQ2;two\r\n", id="CSV with semicolons"),
        pytest.param("a.csv", b"\xef\xbb\xbfitem,text\n1,one\n2,two\n3,three\n", id="CSV with a mark"),
        pytest.param("a.txt", "one\ntwo\nthree", id="plain lines"),
        pytest.param("a.txt", "one\r\n two\r\nthree\r\n\r\n", id="plain lines with blank ones at the end"),
    ],
)
def test_texts_are_read_by_item_number(tmp_path, name, content):
    assert texts_of(tmp_path, name, content) == {1: "one", 2: "two", 3: "three"}


def test_an_item_may_be_missing_where_items_are_named(tmp_path):
    assert texts_of(tmp_path, "a.toml", 'q2 = "two"\n') == {2: "two"}
    assert texts_of(tmp_path, "a.csv", "item,text\n3,three\n") == {3: "three"}
    assert texts_of(tmp_path, "a.toml", "") == {}


def test_a_quoted_cell_keeps_commas_and_line_breaks(tmp_path):
    assert texts_of(tmp_path, "a.csv", 'item,text\n1,"one, or\nmore"\n') == {1: "one, or\nmore"}


def test_every_problem_of_a_csv_file_is_told_at_once_without_its_texts(tmp_path):
    content = "item,text\n1,secret\nq1,secret\n4,secret\n2,\n3\nsecret,x\n0,secret\n2,secret,secret\n"
    with pytest.raises(DataError) as caught:
        texts_of(tmp_path, "mine.csv", content)
    assert caught.value.troubles[0].what == "the item texts in 'mine.csv' cannot be used"
    assert caught.value.troubles[0].hint == HINT
    assert caught.value.troubles[0].where == (
        "line 3: item 1 is there already, in line 2",
        "line 4: item 4 is not one of the 3 items",
        "line 5: item 2 is empty",
        "line 6: item 3 is empty",
        "line 7: no item number such as 1 or q1",
        "line 8: no item number such as 1 or q1",
        "line 9: item 2 has no single text",
    )
    assert "secret" not in str(caught.value)


def test_the_same_item_in_two_spellings_is_told(tmp_path):
    assert refusal(tmp_path, "a.toml", '1 = "one"\nq1 = "secret"\n2 = 5\n') == (
        "error: the item texts in 'a.toml' cannot be used\n"
        "  entry 2: item 1 is there already, in entry 1\n"
        "  entry 3: item 2 has no single text\n"
        f"hint: {HINT}"
    )


@pytest.mark.parametrize(
    ("content", "where"),
    [
        pytest.param("a\nb\n", "  2 lines for 3 items\n", id="too few"),
        pytest.param("a\nb\nc\nd\n", "  line 4: item 4 is not one of the 3 items\n", id="too many"),
        pytest.param("a\n \nc\n", "  line 2: item 2 is empty\n", id="one empty"),
        pytest.param("", "  0 lines for 3 items\n", id="none"),
    ],
)
def test_plain_lines_must_be_one_for_each_item(tmp_path, content, where):
    assert refusal(tmp_path, "a.txt", content) == (
        f"error: the item texts in 'a.txt' cannot be used\n{where}hint: {HINT}"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param(
            "a.docx", "x", f"error: 'a.docx' is no file of item texts\nhint: {HINT}", id="another kind"
        ),
        pytest.param(
            "a.csv",
            "1,one\n",
            f"error: the first line of 'a.csv' is not item,text\nhint: {HINT}",
            id="no header",
        ),
        pytest.param(
            "a.csv", "", f"error: the first line of 'a.csv' is not item,text\nhint: {HINT}", id="empty CSV"
        ),
        pytest.param(
            "a.csv",
            'item,text\n1,"one"x\n',
            f"error: 'a.csv' is no CSV file: line 2: ',' expected after '\"'\nhint: {HINT}",
            id="broken quotes",
        ),
        pytest.param(
            "a.txt",
            b"gr\xfcn\n",
            "error: 'a.txt' is no UTF-8 text\nhint: save it with the encoding UTF-8",
            id="another encoding",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, name, content, message):
    assert refusal(tmp_path, name, content) == message


def test_a_broken_toml_file_is_refused_without_its_text(tmp_path):
    message = refusal(tmp_path, "a.toml", "1 = secret words\n")
    assert message.startswith("error: 'a.toml' is no TOML file: ")
    assert message.endswith(f"\nhint: {HINT}")
    assert "secret" not in message


def test_a_list_called_items_is_no_table_of_texts(tmp_path):
    assert refusal(tmp_path, "a.toml", 'items = ["one"]\n') == (
        "error: the item texts in 'a.toml' cannot be used\n"
        f"  entry 1: no item number such as 1 or q1\nhint: {HINT}"
    )


def test_a_file_that_is_not_there_is_an_error_of_the_file(tmp_path):
    with pytest.raises(StoreError) as caught:
        read_texts(tmp_path / "none.txt", 3)
    assert str(caught.value) == (
        f"error: cannot read '{tmp_path / 'none.txt'}': No such file or directory\n"
        "hint: check the name and the folder"
    )
