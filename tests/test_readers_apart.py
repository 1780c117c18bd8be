"""A process of its own: its answer comes back, its refusal too, and whatever ends it ends no run."""

import sys

import pytest

from alliance.errors import DataError
from alliance.readers import apart

TASKS = """
import os, sys
from alliance.errors import DataError

def answer(raw, asked):
    print("noise", file=sys.stderr)
    return {"bytes": len(raw), "asked": asked, "text": "größer \\x1b"}

def refuse(raw, asked):
    raise DataError("no table", where=["line 2"], hint="look again")

def fail(raw, asked):
    raise KeyError("ours")

def die(raw, asked):
    os.abort()

def say_nothing(raw, asked):
    os._exit(0)

def babble(raw, asked):
    print("no JSON")
    return {}

def eat(raw, asked):
    return {"bytes": len(bytearray(1 << 40))}

def wait(raw, asked):
    import time
    time.sleep(60)

def limits(raw, asked):
    import resource
    return {"limits": [resource.getrlimit(each)[0] for each in (resource.RLIMIT_AS, resource.RLIMIT_CORE)]}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "tasks_apart.py").write_text(TASKS, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def run(name, raw=b"abc", **asked):
        return apart.read_apart(f"tasks_apart:{name}", raw, asked, broken=DataError("broken", hint="mend it"))

    return run


def test_the_answer_comes_back_as_it_was(run):
    found = run("answer", b"\x00\xff\n", sheet="Blatt 'ä'", names=["a", None])
    assert found == {"bytes": 3, "asked": {"sheet": "Blatt 'ä'", "names": ["a", None]}, "text": "größer \x1b"}


def test_a_refusal_comes_back_whole(run):
    with pytest.raises(DataError) as caught:
        run("refuse")
    assert str(caught.value) == "error: no table\n  line 2\nhint: look again"


@pytest.mark.parametrize("name", ["fail", "die", "say_nothing", "babble", "eat", "no_such_function"])
def test_whatever_ends_the_process_is_told_as_a_broken_file(run, name, capfd):
    with pytest.raises(DataError) as caught:
        run(name)
    assert str(caught.value) == "error: broken\nhint: mend it"
    assert capfd.readouterr() == ("", "")


def test_a_process_that_never_ends_is_ended(run, monkeypatch):
    monkeypatch.setattr(apart, "LONGEST_SECONDS", 0.5)
    with pytest.raises(DataError, match="broken"):
        run("wait")


def test_no_interpreter_is_told_as_a_broken_file(run, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(DataError, match="broken"):
        run("answer")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems limit memory in other ways")
def test_memory_is_limited_by_the_size_of_the_file_and_no_image_is_left(run):
    assert run("limits")["limits"] == [3 << 30, 0]


def test_modules_of_the_folder_one_stands_in_are_not_taken(run, tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit(3)", encoding="utf-8")
    monkeypatch.chdir(folder)
    assert run("answer")["bytes"] == 3
