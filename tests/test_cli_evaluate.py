"""`alliance evaluate` from outside: the blocks at 80 columns, every format, labels, rates, refusals."""

import csv
import io
import json
from pathlib import Path

import pytest

from alliance.places import bundled

GOLDEN = Path(__file__).parent / "golden"
STUDY = bundled("data") / "wai-sr-study.csv"
TRUTH = bundled("data") / "wai-sr-study.truth.csv"
OK, USAGE, DATA, STORE = 0, 2, 3, 5


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def plain(tmp_path):
    """Plain scores of four cases with a column of labels; reliable-drop flags A 3, C 2 and D 4."""
    scores = {"A": [48, 48, 30, 48], "B": [48] * 4, "C": [48, 28, 48, 48], "D": [48, 48, 48, 20]}
    labels = {
        "A": ["0", "0", "1", "0"],
        "B": ["no"] * 4,
        "C": ["", "0", "0", "0"],
        "D": ["0", "0", "YES", "1"],
    }
    rows = [
        f"{case},{place},{score},{labels[case][place - 1]}"
        for case, many in scores.items()
        for place, score in enumerate(many, 1)
    ]
    return write(tmp_path / "plain.csv", "case,session,total,seen", *rows)


def numbers(done):
    """Return (figure, window) → row of CSV output."""
    return {(row["figure"], row["window"]): row for row in csv.DictReader(io.StringIO(done.out))}


PLAIN = ("--column", "total", "--min", 12, "--max", 60, "--step", 1, "--method", "reliable-drop")
WITH_SD = ("--sd", 9, "--reliability", 0.92)


def test_help_explains_itself_with_examples_at_eighty_columns(command):
    done = command("evaluate", "--help")
    assert done.code == OK
    text = " ".join(done.out.split())
    assert "Example: alliance evaluate study.csv --scale wai-sr --truth study.truth.csv" in text
    assert "Example: alliance evaluate study.csv --scale wai-sr --calibrate 1.0" in text
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_bundled_study_against_its_truth_is_golden(command):
    done = command("evaluate", STUDY, "--scale", "wai-sr", "--truth", TRUTH)
    assert done.code == OK
    assert done.out == (GOLDEN / "evaluate.txt").read_text(encoding="utf-8")
    assert max(map(len, done.out.splitlines())) <= 80


def test_equal_false_alarms_are_golden(command):
    done = command(
        "evaluate", STUDY, "--scale", "wai-sr", "--truth", TRUTH, "--at-rate", 2, "--within-sd", 0.3, "-q",
        "--method", "predictive-limit", "--method", "reliable-drop",
        "--method", "predictive-limit+reliable-drop",
    )  # fmt: skip
    assert done.code == OK
    assert done.out == (GOLDEN / "evaluate_at_rate.txt").read_text(encoding="utf-8")
    assert max(map(len, done.out.splitlines())) <= 80


def test_calibrations_are_golden(command):
    done = command(
        "evaluate", STUDY, "--scale", "wai-sr", "--calibrate", 1.0, "--within-sd", 0.3, "--quiet",
        "--method", "predictive-limit", "--method", "reliable-drop",
    )  # fmt: skip
    assert done.code == OK
    assert done.out == (GOLDEN / "evaluate_calibrate.txt").read_text(encoding="utf-8")
    assert max(map(len, done.out.splitlines())) <= 80


def test_labels_of_a_plain_file(command, plain):
    done = command("evaluate", plain, *PLAIN, *WITH_SD, "--labels", "seen", "--replicates", 0)
    assert done.code == OK
    assert done.err == "note: 1 session without a label left out\n"
    assert done.out == (GOLDEN / "evaluate_labels.txt").read_text(encoding="utf-8")


def test_labels_of_a_file_of_answers_are_those_of_its_sessions(command, tmp_path):
    answers = {"A": [9, 9, 2, 9, 9], "B": [9, 9, 9, 9, 1]}
    seen = {"A": ["0", "0", "1", "0", ""], "B": ["no", "no", "no", "no", "no"]}
    rows = [
        f"{case},{place},{score},{score},{score},{score},{seen[case][place - 1]}"
        for case, many in answers.items()
        for place, score in enumerate(many, 1)
    ]
    file = write(tmp_path / "srs.csv", "case,session,q1,q2,q3,q4,seen", *rows)
    done = command(
        "evaluate", file, "--scale", "srs", "--method", "reliable-drop", "--within-sd", 1,
        "--labels", "seen", "--format", "csv",
    )  # fmt: skip
    assert done.code == OK
    found = numbers(done)
    assert float(found["sensitivity", "exact"]["value"]) == 1
    assert float(found["ppv", "exact"]["value"]) == 0.5
    assert float(found["cases falsely flagged", "window"]["value"]) == 1
    assert found["sensitivity", "exact"]["of"] == "1.0"


def test_csv_and_json_say_the_same(command, plain):
    arguments = ("evaluate", plain, *PLAIN, *WITH_SD, "--labels", "seen", "--quiet")
    rows = json.loads(command(*arguments, "--format", "json").out)
    table = numbers(command(*arguments, "--format", "csv"))
    assert len(rows) == len(table)
    for row in rows:
        text = table[row["figure"], row["window"]]["value"]
        assert (text == "" and row["value"] is None) or float(text) == row["value"]
    assert command(*arguments, "--format", "md").out.startswith("| detector | rater | settings | figure |")


def test_the_window_of_labels_is_an_option_beside_the_window_of_a_method(command, plain):
    given = ("evaluate", plain, *PLAIN, *WITH_SD, "--labels", "seen", "--format", "csv")
    wide, narrow = (numbers(command(*given, "--within", within)) for within in (2, 0))
    assert float(wide["sensitivity", "window"]["value"]) == 1
    assert float(narrow["sensitivity", "window"]["value"]) == 0.5


def test_what_is_calibrated_can_be_given_to_flag(command, tmp_path):
    assert command("simulate", "--cases", 60, "--seed", 3, "-o", tmp_path / "s.csv").code == OK
    done = command(
        "evaluate", tmp_path / "s.csv", "--scale", "wai-sr", "--calibrate", 1.5, "--format", "json"
    )
    assert done.code == OK
    (row,) = json.loads(done.out)
    assert (row["method"], row["parameter"], row["basis"], row["reached"]) == (
        "predictive-limit",
        "alpha",
        "noise",
        True,
    )
    assert row["low"] < row["rate"] < row["high"]
    again = command("flag", tmp_path / "s.csv", "--scale", "wai-sr", "--alpha", row["value"], "--quiet")
    assert again.code == OK


def test_a_calibration_of_nothing_says_so(command, plain):
    done = command(
        "evaluate", plain, *PLAIN, "--within-sd", 2, "--calibrate", 1, "--labels", "seen", "--quiet"
    )
    assert done.code == OK
    assert done.out.splitlines()[0] == "reliable-drop, client"
    assert "on 11 sessions labelled free of rupture" in done.out
    assert "the closest to 1 there is" in done.out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        pytest.param(
            (),
            USAGE,
            "error: nothing to hold the detectors against\n"
            "hint: give --truth FILE or --labels COLUMN; --calibrate needs neither\n",
            id="no truth",
        ),
        pytest.param(
            ("--truth", "t.csv", "--labels", "seen"),
            USAGE,
            "error: --truth and --labels cannot be used at once\nhint: give the one that fits the file\n",
            id="two truths",
        ),
        pytest.param(
            ("--calibrate", 1, "--at-rate", 1),
            USAGE,
            "error: --calibrate and --at-rate cannot be used at once\n"
            "hint: --calibrate finds a setting, --at-rate compares detectors\n",
            id="two tasks",
        ),
        pytest.param(
            ("--labels", "sen"),
            DATA,
            "error: the file has no column 'sen'\nhint: it has case, session, total, seen\n",
            id="no such column",
        ),
        pytest.param(
            ("--truth", "nowhere.csv"),
            STORE,
            "error: cannot read 'nowhere.csv': No such file or directory\n"
            "hint: check the name and the folder\n",
            id="no such file",
        ),
        pytest.param(
            ("--labels", "seen", "--method", "reliable-drop+sorcery"),
            USAGE,
            "error: unknown method 'sorcery'\nhint: known: ",
            id="unknown method",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_words(command, plain, options, code, message):
    done = command("evaluate", plain, *PLAIN, *WITH_SD, *options)
    assert done.code == code
    assert done.out == ""
    assert done.err.startswith(message) if message.endswith(": ") else done.err == message


def test_labels_need_a_session_number_and_a_file(command, tmp_path, monkeypatch):
    dated = write(tmp_path / "d.csv", "case,date,total,seen", "A,2026-01-05,40,0", "A,2026-01-12,41,1")
    done = command("evaluate", dated, *PLAIN, *WITH_SD, "--labels", "seen", "--quiet")
    assert (done.code, done.err) == (
        DATA,
        "error: labels belong to sessions, and the file has no session number in its rows\n"
        "hint: give a file with one row a session, with case and session\n",
    )
    text = io.TextIOWrapper(io.BytesIO(b"case,session,total,seen\nA,1,40,0\nA,2,41,1\n"))
    monkeypatch.setattr("sys.stdin", text)
    done = command("evaluate", "-", *PLAIN, *WITH_SD, "--labels", "seen", "--quiet")
    assert (done.code, done.err) == (
        USAGE,
        "error: labels cannot be read from standard input\nhint: save it to a file first\n",
    )


def test_a_label_that_is_neither_yes_nor_no_is_told_with_its_line(command, tmp_path):
    file = write(tmp_path / "p.csv", "case,session,total,seen", "A,1,40,0", "A,2,41,2", "B,1,40,x")
    done = command("evaluate", file, *PLAIN, *WITH_SD, "--labels", "seen")
    assert (done.code, done.err) == (
        DATA,
        "error: 2 labels are neither yes nor no in 'seen'\n"
        "  line 3: case A, session 2, '2'\n"
        "  line 4: case B, session 1, 'x'\n"
        "hint: write 1 or 0, yes or no, true or false; blank = not observed\n",
    )


def test_a_truth_that_holds_nothing_or_the_wrong_thing_is_refused(command, tmp_path, plain):
    empty = write(tmp_path / "empty.csv", "case")
    done = command("evaluate", plain, *PLAIN, *WITH_SD, "--truth", empty)
    assert (done.code, done.err) == (
        DATA,
        "error: the truth has no column rupture and no column onset\n"
        "hint: it is written by `alliance simulate --with-truth`\n",
    )
    short = write(tmp_path / "short.csv", "case,rupture,onset", "A,v1,3", "", "B,crack,", "C")
    done = command("evaluate", plain, *PLAIN, *WITH_SD, "--truth", short)
    assert (done.code, done.err) == (
        DATA,
        "error: 2 rows of the truth: rupture is none of none, v1, v3, step, ramp\n"
        "  line 4: case B, rupture = crack\n"
        "  line 5: case C, rupture = \n"
        "hint: compare `alliance simulate --with-truth`\n",
    )
