"""The log of acknowledgements: what holds until when, that it only grows, and that a change is noticed."""

import json
import os
import stat
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.dropout.seen import FIRST, Entry, append, read_log, seen, told_snoozes
from alliance.errors import StoreError

DAY = date(2026, 3, 2)
LATER = date(2026, 3, 30)


def entry(case="C7", rules=("LOW_LEVEL",), on=DAY, until=None, reason="spoke about goals", **more):
    return Entry(case=case, session=3, rules=tuple(rules), on=on, until=until, reason=reason, **more)


def broken(path, line):
    return (
        f"error: the log '{path.name}' was changed after it was written, or is not whole\n"
        f"  line {line} does not follow from the lines before\n"
        "hint: go back to a copy of it, or begin a new one; nothing is added to a broken log"
    )


# what holds


@pytest.mark.parametrize(
    ("log", "fired", "today", "holds"),
    [
        pytest.param([entry()], ["LOW_LEVEL"], DAY, 0, id="the same rule"),
        pytest.param([entry()], ["LOW_LEVEL"], None, 0, id="no day is needed without an end"),
        pytest.param([entry()], ["LOW_LEVEL", "NO_SHOW_RECENT"], DAY, None, id="a new rule beside it"),
        pytest.param([entry()], ["VERY_LOW"], DAY, None, id="another rule instead"),
        pytest.param([entry(rules=["LOW_LEVEL", "NOT_ON_TRACK"])], ["LOW_LEVEL"], DAY, 0, id="fewer rules"),
        pytest.param([entry()], [], DAY, None, id="nothing fires"),
        pytest.param([], ["LOW_LEVEL"], DAY, None, id="an empty log"),
        pytest.param([entry(case="C8")], ["LOW_LEVEL"], DAY, None, id="another case"),
        pytest.param([entry(until=LATER)], ["LOW_LEVEL"], date(2026, 3, 29), 0, id="the day before its end"),
        pytest.param([entry(until=LATER)], ["LOW_LEVEL"], LATER, None, id="the day of its end"),
        pytest.param([entry(until=LATER)], ["LOW_LEVEL"], None, None, id="an end, and no day known"),
        pytest.param([entry(until=LATER)], ["VERY_LOW"], DAY, None, id="an end, and a new rule before"),
        pytest.param([entry(), entry(rules=["VERY_LOW"])], ["VERY_LOW"], DAY, 1, id="the latest counts"),
        pytest.param([entry(), entry(rules=["VERY_LOW"])], ["LOW_LEVEL"], DAY, None, id="only the latest"),
        pytest.param([entry(), entry(case="C8")], ["LOW_LEVEL"], DAY, 0, id="of this case"),
        pytest.param([entry(until=DAY), entry()], ["LOW_LEVEL"], DAY, 1, id="acknowledged again"),
    ],
)
def test_an_acknowledgement_holds_until_a_new_rule_fires_or_its_day_has_come(log, fired, today, holds):
    assert seen(log, "C7", fired, today) is (None if holds is None else log[holds])


def test_it_is_shown_in_one_line():
    assert str(entry()) == "seen on 2026-03-02: spoke about goals"
    assert str(entry(until=LATER)) == "seen on 2026-03-02, until 2026-03-30: spoke about goals"


def test_ends_without_a_day_to_compare_with_are_told():
    one = "not shown as seen: 1 case is acknowledged until a day, and the day of this list is not given"
    log = [entry(until=LATER), entry(until=LATER), entry(case="C9")]
    assert told_snoozes(log, None) == [one]
    assert told_snoozes([*log, entry(case="C8", until=LATER)], None) == [
        one.replace("1 case is", "2 cases are")
    ]
    assert told_snoozes(log, DAY) == []
    assert told_snoozes([entry()], None) == []


# the file


def test_what_is_added_comes_back_in_order(tmp_path):
    path = tmp_path / "seen.jsonl"
    entries = [entry(), entry(case="Zoë", by="JR", until=LATER), entry(reason='two\nlines "quoted"')]
    for each in entries:
        append(path, each)
    assert read_log(path) == tuple(entries)
    assert path.read_bytes().count(b"\n") == 3


def test_a_line_holds_no_rating_and_is_bound_to_the_one_before(tmp_path):
    path = tmp_path / "seen.jsonl"
    append(path, entry(by="JR", until=LATER))
    append(path, entry(case="C8"))
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert second.pop("prev") == first["hash"]
    assert first.pop("prev") == FIRST == "0" * 64
    assert len(first.pop("hash")) == 64
    assert first == {
        "case": "C7",
        "session": 3,
        "rules": ["LOW_LEVEL"],
        "on": "2026-03-02",
        "by": "JR",
        "reason": "spoke about goals",
        "until": "2026-03-30",
    }
    assert set(second) == {*first, "hash"}


def test_the_hash_can_be_checked_with_other_tools(tmp_path):
    import hashlib

    path = tmp_path / "seen.jsonl"
    append(path, entry())
    line = (
        '{"by":"","case":"C7","on":"2026-03-02","prev":"' + "0" * 64 + '","reason":"spoke about goals",'
        '"rules":["LOW_LEVEL"],"session":3,"until":null}'
    )
    assert json.loads(path.read_text(encoding="utf-8"))["hash"] == hashlib.sha256(line.encode()).hexdigest()


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_new_log_is_for_its_owner_only(tmp_path):
    path = tmp_path / "seen.jsonl"
    before = os.umask(0)
    try:
        append(path, entry())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def log_of(path, n=3):
    for number in range(n):
        append(path, entry(case=f"C{number}"))
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        pytest.param(lambda lines: [lines[0].replace(b"goals", b"tasks"), *lines[1:]], 1, id="a word"),
        pytest.param(lambda lines: [*lines[:2], lines[2].replace(b"C2", b"C9")], 3, id="a word in the last"),
        pytest.param(lambda lines: lines[1:], 1, id="the first taken out"),
        pytest.param(lambda lines: [lines[0], lines[2]], 2, id="one taken out"),
        pytest.param(lambda lines: [lines[1], lines[0], lines[2]], 1, id="two exchanged"),
        pytest.param(lambda lines: [*lines, lines[2]], 4, id="one doubled"),
        pytest.param(lambda lines: [*lines[:2], lines[2][:40]], 3, id="cut off"),
        pytest.param(lambda lines: [*lines[:2], lines[2].rstrip(b"\n")], 3, id="no end of line"),
        pytest.param(lambda lines: [lines[0], b"\n", *lines[1:]], 2, id="an empty line"),
        pytest.param(lambda lines: [lines[0], b"[]\n"], 2, id="no object"),
        pytest.param(lambda lines: [lines[0], b"\xff\n"], 2, id="no text"),
        pytest.param(lambda lines: [b"{}\n"], 1, id="no entry"),
    ],
)
def test_a_log_that_was_changed_is_noticed_and_not_added_to(tmp_path, change, line):
    path = tmp_path / "seen.jsonl"
    path.write_bytes(b"".join(change(log_of(path))))
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        read_log(path)
    assert str(caught.value) == broken(path, line)
    assert caught.value.exit_code == 5
    with pytest.raises(StoreError) as caught:
        append(path, entry())
    assert str(caught.value) == broken(path, line)
    assert path.read_bytes() == before


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_no_byte_can_be_exchanged_unnoticed(tmp_path_factory, place, byte):
    path = tmp_path_factory.getbasetemp() / "exchanged.jsonl"
    path.unlink(missing_ok=True)
    content = bytearray(b"".join(log_of(path)))
    place %= len(content)
    changed = content[place] != byte
    content[place] = byte
    path.write_bytes(bytes(content))
    if not changed:
        assert len(read_log(path)) == 3
        return
    with pytest.raises(StoreError) as caught:
        read_log(path)
    assert str(caught.value).startswith("error: the log 'exchanged.jsonl' was changed after it was written")


def test_an_empty_file_is_an_empty_log(tmp_path):
    path = tmp_path / "seen.jsonl"
    path.touch()
    assert read_log(path) == ()
    append(path, entry())
    assert read_log(path) == (entry(),)


def test_a_log_that_cannot_be_used_is_told(tmp_path):
    with pytest.raises(StoreError) as caught:
        read_log(tmp_path / "none.jsonl")
    assert str(caught.value) == (
        f"error: the log '{tmp_path / 'none.jsonl'}' cannot be read: No such file or directory\n"
        "hint: check the name and who may use it"
    )
    with pytest.raises(StoreError) as caught:
        append(tmp_path / "none" / "seen.jsonl", entry())
    assert str(caught.value) == (
        f"error: the log '{tmp_path / 'none' / 'seen.jsonl'}' cannot be written: No such file or directory\n"
        "hint: check the name and who may use it"
    )


def test_adding_keeps_every_byte_that_was_there(tmp_path):
    path = Path(tmp_path / "seen.jsonl")
    append(path, entry())
    before = path.read_bytes()
    append(path, entry(case="C9"))
    assert path.read_bytes().startswith(before)
