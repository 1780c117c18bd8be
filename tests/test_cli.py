"""The command line from outside: what is printed where, exit codes, errors as whole messages."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alliance.places import bundled

GOLDEN = Path(__file__).parent / "golden"
STUDY = bundled("data") / "wai-sr-study.csv"
CLINIC = bundled("data") / "srs-ors-clinic.csv"
OK, BUG, USAGE, DATA, SCALE, STORE = range(6)


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def small(tmp_path):
    forms = (f"C1,{session},9,9,9,{score}" for session, score in enumerate([9, 8, 9, 9, 9, 2, 9], 1))
    return write(tmp_path / "small.csv", "case,session,q1,q2,q3,q4", *forms)


def test_help_fits_eighty_columns_and_names_every_command(command):
    done = command("--help")
    assert done.code == OK
    for name in ("analyze", "check", "score", "flag", "risk", "simulate", "scales"):
        assert f"  {name} " in done.out
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("name", ["analyze", "check", "score", "flag", "risk", "simulate"])
def test_every_command_explains_itself_with_an_example(command, name):
    done = command(name, "--help")
    assert done.code == OK
    assert f"Example: alliance {name}" in " ".join(done.out.split())


def test_the_triage_list_of_the_clinic_is_golden(command, tmp_path):
    done = command("analyze", CLINIC, "-o", tmp_path / "out")
    assert done.code == OK
    assert done.out == (GOLDEN / "clinic.txt").read_text(encoding="utf-8")
    assert done.err == f"Results: {tmp_path / 'out'}\n"


def test_json_prints_the_same_as_the_table(command, tmp_path):
    table = command("analyze", CLINIC, "-o", tmp_path / "a").out
    found = json.loads(command("analyze", CLINIC, "-o", tmp_path / "b", "--format", "json").out)
    assert found["schema"] == 1
    assert found["counts"]["REVIEW"] == table.count("!! REVIEW")
    flat = " ".join(table.split())
    for case in found["cases"]:
        for reason in case["reasons"]:
            assert " ".join(reason.split()) in flat
    assert found["manifest"] == json.loads((tmp_path / "b" / "manifest.json").read_text(encoding="utf-8"))


def test_csv_of_the_triage_list_has_a_row_for_each_case(command, tmp_path):
    done = command("analyze", CLINIC, "-o", tmp_path, "--format", "csv")
    assert len(list(csv.DictReader(io.StringIO(done.out)))) == 12


def test_quiet_says_nothing_beside_the_result(command, tmp_path):
    assert command("analyze", CLINIC, "-o", tmp_path, "--quiet").err == ""


def test_one_form_with_a_wrong_answer_is_refused(command):
    done = command("score", "--scale", "wai-sr", "--answers", "9" + ",4" * 11)
    assert done.code == DATA
    assert done.err == (
        "error: answers that are no whole numbers from 1 to 5, the range of 'wai-sr'\n"
        "  q1 = 9\n"
        "hint: leave an unanswered item empty; do not code it 0, 9 or 99\n"
    )


def test_scores_go_to_standard_output_or_to_a_private_file(command, small, tmp_path):
    shown = command("score", small, "--scale", "srs", "--format", "csv").out
    target = tmp_path / "scores.csv"
    assert command("score", small, "--scale", "srs", "-o", target).out == ""
    assert target.read_text(encoding="utf-8") == shown
    if os.name != "nt":
        assert target.stat().st_mode & 0o777 == 0o600
    again = command("score", small, "--scale", "srs", "-o", target)
    assert again.code == USAGE
    assert again.err == f"error: '{target}' exists\nhint: choose another name, or replace it with --force\n"


def test_flag_prints_rupture_and_repair_with_their_reason(command, small):
    done = command("flag", small, "--scale", "srs", "--within-sd", "0.7", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["session"], row["finding"], row["severity"]) for row in found] == [
        ("6", "rupture", "strict"),
        ("7", "repair", "repaired"),
    ]
    assert found[0]["reason"].startswith("scored 29.00, below the limit ")
    episodes = command("flag", small, "--scale", "srs", "--within-sd", "0.7", "--episodes", "--format", "csv")
    (episode,) = csv.DictReader(io.StringIO(episodes.out))
    assert (episode["onset"], episode["end"], episode["outcome"], episode["lag"]) == (
        "6",
        "7",
        "repaired",
        "1",
    )


def test_reliable_drop_takes_its_numbers_from_the_command_line(command, small):
    options = ("--method", "reliable-drop", "--sd", "2", "--reliability", "0.8", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(command("flag", small, "--scale", "srs", *options).out)))
    assert [row["session"] for row in found if row["finding"] == "rupture"] == ["6"]


def test_risk_prints_the_list(command, small):
    done = command("risk", small, "--scale", "srs", "--sem", "1.2", "--format", "json")
    (row,) = json.loads(done.out)
    assert (row["client"], row["level"], row["score"]) == ("C1", "REVIEW", 2)
    assert row["fired"][0]["text"].startswith("latest rating is at or below 36")


def test_the_edge_of_the_srs_cut_off_can_be_that_of_openfit(command, tmp_path):
    file = write(tmp_path / "edge.csv", "case,session,q1,q2,q3,q4", "C1,1,9,9,9,9")
    levels = [
        json.loads(command("risk", file, "--scale", "srs", "--sem", "1.2", "--format", "json", *more).out)[0][
            "level"
        ]
        for more in ((), ("--srs-cutoff-style", "openfit"))
    ]
    assert levels == ["WATCH", "NO_FLAG"]
    done = command("risk", STUDY, "--scale", "wai-sr", "--srs-cutoff-style", "openfit")
    assert (done.code, done.err.splitlines()[-2:]) == (
        USAGE,
        ["error: --srs-cutoff-style belongs to srs, not to wai-sr", "hint: leave it out"],
    )


@pytest.mark.parametrize(("today", "prompted"), [("2026-01-26", False), ("2026-01-27", True)])
def test_a_missing_next_appointment_is_told_two_weeks_after_the_last(command, tmp_path, today, prompted):
    file = write(
        tmp_path / "dated.csv",
        "case,session,date,attendance,q1,q2,q3,q4",
        "C1,1,2026-01-12,attended,9,9,9,9.5",
    )
    done = command("analyze", file, "--scale", "srs", "-o", tmp_path / "out", "--today", today)
    assert ("NO_NEXT_APPOINTMENT" in done.out) is prompted
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["risk"]["today"], manifest["scales"][0]["latest_date"]) == (today, "2026-01-12")


def test_check_says_what_is_in_a_file_and_changes_nothing(command, small):
    done = command("check", small, "--scale", "srs")
    assert done.code == OK
    assert done.out.startswith("7 rows, 7 forms of 1 cases, 7 sessions\n")
    assert done.out.endswith("nothing is wrong with this file\n")


def test_check_names_the_source_system_and_what_it_was_seen_by(command):
    sample = Path(__file__).parent / "samples" / "qualtrics_choicetext.csv"
    done = command("check", sample, "--scale", "wai-sr")
    assert "source: qualtrics (a row of ImportIds under the column names)" in done.out.splitlines()
    done = command("check", sample, "--scale", "wai-sr", "--format", "json")
    found = json.loads(done.out)
    assert found["source"] == {"name": "qualtrics", "evidence": "a row of ImportIds under the column names"}
    assert found["problems"] == []


def test_check_gives_every_problem_as_json(command, tmp_path):
    file = write(tmp_path / "bad.csv", "case,session,q1,q2,q3,q4", "C1,x,11,2,3,4", "C1,2,1,x,3,4")
    done = command("check", file, "--scale", "srs", "--format", "json")
    assert done.code == DATA
    assert json.loads(done.out)["problems"] == [
        {
            "line": 2, "case": "C1", "session": None, "rater": "client", "item": "session", "value": "x",
            "problem": "no session number",
        },
        {
            "line": 3, "case": "C1", "session": 2, "rater": "client", "item": "q2", "value": "x",
            "problem": "no single answer",
        },
    ]  # fmt: skip


def test_check_drafts_a_mapping_that_loads_the_file(command, tmp_path):
    text = [
        "Client,Sitzung,a_1,a_2,a_3,a_4",
        *(f"K{case},{session},{session},2,3,4" for case in (1, 2) for session in (1, 2)),
    ]
    file, target = write(tmp_path / "foreign.csv", *text), tmp_path / "map.toml"
    done = command("check", file, "--scale", "srs", "--write-map", target)
    assert f"Mapping drafted: {target}" in done.err
    draft = target.read_text(encoding="utf-8").replace("#? session", "session")
    target.write_text(draft, encoding="utf-8")
    scored = command("score", file, "--scale", "srs", "--map", target, "--format", "csv")
    assert scored.code == OK, scored.err + draft
    assert [row["total"] for row in csv.DictReader(io.StringIO(scored.out))] == [
        "10.0",
        "11.0",
        "10.0",
        "11.0",
    ]


def test_check_ends_with_the_data_code_when_a_file_would_be_refused(command, tmp_path):
    file = write(tmp_path / "bad.csv", "case,session,q1,q2,q3,q4", "C1,1,11,2,3,4", "C1,2,1,x,3,4")
    done = command("check", file, "--scale", "srs", "--format", "csv")
    assert done.code == DATA
    listed = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["line"], row["value"]) for row in listed] == [("2", "11"), ("3", "x")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("score",),
            "error: give a file, or one form with --answers or --ask\nhint: see `alliance score --help`\n",
        ),
        (
            ("flag", "FILE", "--scale", "srs", "--method", "predictive"),
            "error: unknown method 'predictive'\n"
            "hint: did you mean 'predictive-limit'? known: best-drop, cusum, divergence, ewma, forecast, "
            "level-shift, moving-range, own-mean, pcoms, predictive-limit, reliable-drop, run-length, split, "
            "sudden-loss, trend-residual\n",
        ),
        (
            ("flag", "FILE", "--scale", "srs", "--sd", "2"),
            "error: --sd above 0 and --reliability from 0 to below 1 belong together\n"
            "hint: give both, or --within-sd alone\n",
        ),
        (
            ("flag", "FILE", "--scale", "srs", "--alpha", "0.7"),
            "error: alpha must be between 0 and 0.5, got 0.7\nhint: the default is 0.01\n",
        ),
        (
            ("score", "FILE", "--scale", "srs", "--keep", "best"),
            "error: --keep is one of first, last, got 'best'\nhint: see --help\n",
        ),
        (
            ("risk", "FILE", "--scale", "srs", "--today", "2.3.2026"),
            "error: --today must be a date such as 2026-03-02, got '2.3.2026'\nhint: year, month, day\n",
        ),
        (
            ("analyze", "-", "--scale", "srs", "-o", "OUT"),
            "error: analyze needs a file: its manifest names what was analysed\n"
            "hint: `alliance score -` reads standard input\n",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_call_is_told_in_words(command, small, tmp_path, arguments, message):
    places = {"FILE": small, "OUT": tmp_path / "out"}
    done = command(*(places.get(argument, argument) for argument in arguments))
    assert (done.code, done.out, done.err) == (USAGE, "", message)


def test_an_unknown_scale_ends_with_the_scale_code(command, small):
    done = command("score", small, "--scale", "wai-rs")
    assert done.code == SCALE
    assert done.err.startswith(
        "error: unknown scale 'wai-rs'\nhint: did you mean 'wai-s'? known: arm-5, authenticity"
    )


def test_a_missing_file_ends_with_the_store_code(command, tmp_path):
    for name in ("score", "analyze"):
        more = ("-o", tmp_path / "out") if name == "analyze" else ()
        done = command(name, tmp_path / "absent.csv", "--scale", "srs", *more)
        assert done.code == STORE
        assert "absent.csv" in done.err


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="needs a folder this user may not write to")
def test_a_folder_that_cannot_be_written_is_told(command, small, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = command("analyze", small, "--scale", "srs", "-o", locked / "out")
    assert done.code == STORE


def test_a_file_in_the_place_of_the_folder_is_told(command, small):
    done = command("analyze", small, "--scale", "srs", "-o", small)
    assert done.code == STORE
    assert done.err.startswith(f"error: cannot write '{small}': ")


def test_standard_input_is_read(small):
    line = [sys.executable, "-m", "alliance", "score", "-", "--scale", "srs", "--format", "csv"]
    done = subprocess.run(line, input=small.read_bytes(), capture_output=True, check=True)
    assert done.stdout.decode().splitlines()[1] == "srs,C1,1,,,client,36.0,0,"


def test_our_own_bug_shows_no_data(small):
    script = (
        "import alliance.scoring, sys\n"
        "def broken(*_): raise RuntimeError('case C1 answered 9')\n"
        "alliance.scoring.score = broken\n"
        f"sys.argv = ['alliance', 'score', {str(small)!r}, '--scale', 'srs']\n"
        "from alliance.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == BUG
    assert "RuntimeError" in done.stderr
    assert "C1" not in done.stderr
    assert "small" not in done.stderr


def test_nothing_is_drawn_when_output_is_piped(tmp_path):
    line = [
        sys.executable,
        "-m",
        "alliance",
        "analyze",
        str(STUDY),
        "--scale",
        "wai-sr",
        "-o",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(line, capture_output=True, check=True, env={**os.environ, "FORCE_COLOR": "1"})
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stderr


def test_redirected_output_is_utf_8_whatever_the_code_page(tmp_path):
    line = [sys.executable, "-m", "alliance", "analyze", str(CLINIC), "-o", str(tmp_path / "o")]
    done = subprocess.run(
        line, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "cp1252"}
    )
    assert "33.1 → 31" in done.stdout.decode("utf-8")
