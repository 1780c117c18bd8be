"""Item texts of one's own: three kinds of file, every problem at once, and no text in any message."""

import pytest

from alliance.errors import DataError, StoreError
from alliance.texts import missing_items, read_texts

HINT = 'hint: TOML (1 = "…"), CSV (item,text) or plain text, a line an item; an item is 1 or q1'


def written(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("mine.toml", '1 = "one of mine"\nq3 = "three  of\\nmine"\n', id="TOML"),
        pytest.param("mine.toml", '[items]\n1 = "one of mine"\n3 = "three of mine"\n', id="TOML, a table"),
        pytest.param("mine.csv", "text,item\none of mine,1\n\nthree of mine,Q3\n", id="CSV"),
        pytest.param(
            "mine.CSV", "\ufeffItem,Text,more\nq1,one of mine\n3,three of mine,x\n", id="CSV, a mark"
        ),
    ],
)
def test_texts_are_read_by_item(tmp_path, name, text):
    assert read_texts(written(tmp_path, name, text), 3) == {1: "one of mine", 3: "three of mine"}


def test_plain_text_has_a_line_an_item(tmp_path):
    path = written(tmp_path, "mine.txt", "one\ntwo\nthree\n")
    assert read_texts(path, 3) == {1: "one", 2: "two", 3: "three"}
    assert read_texts(path, 4) == {1: "one", 2: "two", 3: "three"}
    assert missing_items(read_texts(path, 4), 4) == [4]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param(
            "mine.csv",
            "item,text\n1,secret one\n1,secret two\n9,secret nine\n2,\nsome secret sentence,x\n",
            "error: entries that name none of the 3 items\n  line 4: '9'\n  line 6\n"
            f"{HINT}\nerror: items named twice\n  line 3: item 1\n{HINT}\n"
            f"error: items without a text\n  line 5: item 2\n{HINT}",
            id="everything at once, and no text told",
        ),
        pytest.param(
            "mine.txt",
            "one\n\nthree\nfour\n",
            "error: entries that name none of the 3 items\n  line 4: '4'\n"
            f"{HINT}\nerror: items without a text\n  line 2: item 2\n{HINT}",
            id="a line too many, and an empty one",
        ),
        pytest.param(
            "mine.toml",
            '1 = 2\n2 = "x"\n',
            f"error: items without a text\n  entry 1: item 1\n{HINT}",
            id="a number is no text",
        ),
        pytest.param(
            "mine.toml",
            "1 = secret\n",
            f"error: 'mine.toml' is no TOML file (at line 1, column 5)\n{HINT}",
            id="no TOML, and nothing of it quoted",
        ),
        pytest.param(
            "mine.csv", "a,b\n", f"error: 'mine.csv' has no columns item and text\n{HINT}", id="no columns"
        ),
        pytest.param(
            "mine.csv", "item,text\n", f"error: there is no item text in 'mine.csv'\n{HINT}", id="empty"
        ),
        pytest.param("mine.txt", "", f"error: there is no item text in 'mine.txt'\n{HINT}", id="nothing"),
        pytest.param(
            "mine.toml", "items = 3\n", f"error: there is no item text in 'mine.toml'\n{HINT}", id="no table"
        ),
    ],
)
def test_what_cannot_be_used_is_told_at_once(tmp_path, name, text, message):
    with pytest.raises(DataError) as caught:
        read_texts(written(tmp_path, name, text), 3)
    assert str(caught.value) == message
    assert "secret" not in str(caught.value)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        read_texts(written(tmp_path, "mine.txt", "für\n", "latin-1"), 1)
    assert str(caught.value) == "error: 'mine.txt' is not UTF-8\nhint: save it as UTF-8"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError) as caught:
        read_texts(tmp_path / "none.txt", 1)
    assert str(caught.value) == (
        f"error: cannot read the item texts '{tmp_path / 'none.txt'}': No such file or directory\n"
        "hint: give the path of a file"
    )
