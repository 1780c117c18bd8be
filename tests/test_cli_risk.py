"""`alliance risk` and `alliance acknowledge`, as a person uses them: lists, norms, logs, imported flags."""

import csv
import io
import json
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest

from alliance import __version__
from alliance.frames import RISK
from alliance.places import bundled
from alliance.report.risk_list import risk_list
from alliance.report.terminal import NARROWEST
from alliance.report.view import CaseView
from alliance.scale import load_scale

OK, USAGE, DATA, STORE = 0, 2, 3, 5
GOLDEN = Path(__file__).parent / "golden"
CLINIC = bundled("data") / "srs-ors-clinic.csv"
HEADER = "case,session,q1,q2,q3,q4"
CLOSING = (
    "NO FLAG does not mean low risk. Most clients flagged do not drop out.\n"
    "A level is a reason for a conversation about how the work is going, not a forecast about a person.\n"
    "Possible topics: goals; practical barriers; expectations. What is done is for the clinician to choose.\n"
    "Risk of harm is not assessed here. Not for diagnosis, treatment selection or crisis detection.\n"
)
NO_ATTENDANCE = "attendance is not known: NO_SHOW_EARLY and NO_SHOW_RECENT are not evaluable for any case"


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def forms(case, totals, extra=""):
    return [
        f"{case},{session},{total / 4},{total / 4},{total / 4},{total / 4}{extra}"
        for session, total in enumerate(totals, start=1)
    ]


@pytest.fixture
def small(tmp_path):
    return write(
        tmp_path / "small.csv",
        HEADER,
        *forms("C1", [38, 37, 34]),
        *forms("C2", [36]),
        *forms("C3", [40, 40]),
    )


def caseload(path, n=120, seed=7):
    """Several sessions of many cases, on the grid of the form."""
    rng = np.random.default_rng(seed)
    lines = [HEADER]
    for case in range(n):
        level = rng.normal(9.2, 0.5)
        for session in range(1, 4):
            given = np.clip(np.round(level + rng.normal(0, 0.4, 4), 1), 0, 10)
            lines.append(f"C{case:03d},{session}," + ",".join(map(str, given)))
    return write(path, *lines)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return caseload(tmp_path_factory.mktemp("risk") / "many.csv")


def as_json(done):
    assert done.code == OK, done.err
    return {row["client"]: row for row in json.loads(done.out)}


def as_csv(done):
    assert done.code == OK, done.err
    return {row["case"]: row for row in csv.DictReader(io.StringIO(done.out))}


# the list


def test_the_list_reads_as_the_golden_file(command, tmp_path):
    table = write(
        tmp_path / "clinic.csv",
        "case,session,attendance,q1,q2,q3,q4",
        "c-0412,1,attended,9.5,9.5,9.5,9.5",
        "c-0412,2,attended,9.25,9.25,9.25,9.25",
        "c-0412,3,attended,8.5,8.5,8.5,8.5",
        "c-0077,1,attended,9.5,9.5,9.5,9.5",
        "c-0077,,no_show,,,,",
        "c-0077,2,attended,9.55,9.55,9.55,9.55",
        "c-0133,1,attended,9,9,9,9",
        "c-0205,1,attended,,,,",
        "c-0205,2,attended,,,,",
        "c-0205,3,attended,,,,",
        "c-0301,1,attended,10,10,10,10",
        "c-0301,2,attended,10,10,10,10",
        "c-0301,3,attended,10,10,10,10",
    )
    done = command("risk", table, "--scale", "srs", "--sem", "1.2")
    assert (done.code, done.err) == (OK, "")
    assert done.out == (GOLDEN / "risk.txt").read_text(encoding="utf-8")


def test_the_list_fits_eighty_columns_without_colour(command):
    done = command("risk", CLINIC)
    assert max(map(len, done.out.splitlines())) <= 80
    assert "\x1b" not in done.out
    assert done.out.replace("\n", " ").endswith("treatment selection or crisis detection. ")


@pytest.mark.parametrize("format", ["table", "csv", "json", "md"])
def test_no_output_gives_a_probability_or_blames_a_person(command, many, format):
    done = command("risk", many, "--scale", "srs", "--format", format)
    for text in (done.out, done.err):
        assert not re.search(r"probab|will drop out|complian|resistan|likel", text, re.IGNORECASE)
        assert not re.search(r"risk[^.(]{0,20}\d+ ?%|\d+ ?% ?(risk|dropout)", text, re.IGNORECASE)


@pytest.mark.parametrize("format", ["csv", "json", "md"])
def test_other_formats_end_with_the_same_sentences_on_standard_error(command, small, format):
    done = command("risk", small, "--scale", "srs", "--sem", "1.2", "--format", format)
    assert done.err == f"note: {NO_ATTENDANCE}\n{CLOSING}"
    quiet = command("risk", small, "--scale", "srs", "--sem", "1.2", "--format", format, "--quiet")
    assert (quiet.out, quiet.err) == (done.out, "")


def test_csv_keeps_the_columns_of_the_frame(command, small):
    done = command("risk", small, "--scale", "srs", "--sem", "1.2", "--format", "csv")
    assert done.out.splitlines()[0] == ",".join(RISK)
    assert as_csv(done)["C1"]["points"] == "4"


def test_json_names_the_versions_it_was_made_with(command, small):
    row = as_json(command("risk", small, "--scale", "srs", "--today", "2026-03-02", "--format", "json"))["C1"]
    assert (row["as_of"], row["tool_version"]) == ("2026-03-02", __version__)
    assert (row["registry_version"], row["instrument_id"]) == (load_scale("srs").sha256, "srs")
    assert (row["model"], row["definition_id"], row["seen"]) == (None, None, None)


@pytest.mark.parametrize(("limit", "listed"), [(0, 1), (1, 1), (2, 2), (3, 3), (20, 3)])
def test_a_case_to_review_is_always_listed_and_the_others_are_counted(command, small, limit, listed):
    text = command("risk", small, "--scale", "srs", "--sem", "1.2", "--limit", str(limit)).out
    assert len(re.findall(r"^C\d  ", text, re.MULTILINE)) == listed
    assert "[!! REVIEW]" in text
    told = {1: "2 more cases not listed: 1 WATCH, 1 NO FLAG.", 2: "1 more case not listed: 1 NO FLAG."}
    assert ("not listed" in text) is (listed < 3)
    assert told.get(listed, "") in text


def test_a_long_name_leaves_room_for_the_words():
    case = CaseView(
        case="x" * 60,
        session=1,
        level="REVIEW",
        points=2,
        reasons=("+2 VERY_LOW: " + "low " * 40,),
        prompts=("A: " + "b " * 60,),
        not_evaluable=("C: d",),
        basis="attendance only",
        last_rating=None,
        n_ratings=0,
        rating_age=None,
        rupture="",
        seen="seen on 2026-03-02: " + "word " * 30,
    )
    for width in (10, 40, 80):
        for line in risk_list([case], width=width).splitlines():
            assert len(line) <= max(width, NARROWEST)
    assert risk_list([case], unicode=False).isascii()
    plain, styled = risk_list([case], width=120), risk_list([case], width=120, colour=True)
    assert "\x1b[" in styled
    assert re.sub(r"\x1b\[[0-9;]*m", "", styled) == plain
    assert "no case" in risk_list([])


@pytest.mark.parametrize(("setting", "wanted"), [("1", False), ("", True)])
def test_colour_is_left_out_where_it_is_not_wanted(monkeypatch, setting, wanted):
    from alliance.cli import screen

    monkeypatch.setenv("NO_COLOR", setting)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(screen.sys, "stdout", type("Tty", (), {"isatty": lambda self: True})())
    assert screen.colour() is wanted


# what the caseload gives


def test_norms_and_the_error_of_measurement_are_taken_up_and_told(command, many):
    done = command("risk", many, "--scale", "srs", "--format", "csv")
    notes = [line for line in done.err.splitlines() if line.startswith("note: ")]
    assert re.fullmatch(
        r"note: the standard error of measurement for the risk rules, [\d.]+, is derived from this "
        "caseload's neighbouring sessions; it holds real change, so the limits are wide",
        notes[0],
    )
    assert notes[1] == (
        "note: local norms for the risk rules (lowest 16 % at each session) are derived from this caseload: "
        "sessions 1 to 3, from 120 ratings each"
    )
    assert notes[2] == f"note: {NO_ATTENDANCE}"
    assert re.fullmatch(
        r"note: alarm budget: \d+ of 120 cases with enough data are REVIEW \(\d+ %\)(, .*)?", notes[3]
    )
    rows = as_csv(done)
    very_low = [row for row in rows.values() if "VERY_LOW" in row["reasons"]]
    totals = np.sort([float(row["last_rating"]) for row in rows.values()])
    assert len(very_low) == np.sum(totals <= np.quantile(totals, 0.16) + 1e-9)


def test_risk_and_analyze_list_the_same(command, many, tmp_path):
    alone = as_csv(command("risk", many, "--scale", "srs", "--format", "csv"))
    command("analyze", many, "--scale", "srs", "-o", tmp_path / "out")
    text = (tmp_path / "out" / "risk.csv").read_text(encoding="utf-8")
    whole = {row["case"]: row for row in csv.DictReader(io.StringIO(text))}
    assert list(alone) == list(whole)
    for case, row in alone.items():
        for name in ("level", "points", "reasons", "prompts", "not_evaluable", "session"):
            assert row[name] == whole[case][name]


def test_norms_are_frozen_by_a_file_or_a_manifest(command, many, small, tmp_path):
    path = tmp_path / "norms.json"
    done = command("risk", many, "--scale", "srs", "--write-norms", path)
    assert f"Norms written: {path}\n" in done.err
    command("analyze", many, "--scale", "srs", "-o", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert json.loads(path.read_text(encoding="utf-8")) == manifest["risk"]["norms"]
    limits = {at: each["p16"] for at, each in manifest["risk"]["norms"]["sessions"].items()}
    assert manifest["risk"]["instrument"]["reference"] == limits
    taken = "local norms for the risk rules (lowest 16 % at each session) are taken from a file: "
    lists = [
        command("risk", small, "--scale", "srs", "--norms", file, "--format", "csv")
        for file in (path, tmp_path / "out" / "manifest.json")
    ]
    assert lists[0].out == lists[1].out
    assert taken in lists[0].err
    assert "VERY_LOW" in as_csv(lists[0])["C1"]["reasons"]
    again = command(
        "analyze", small, "--scale", "srs", "--norms", path, "-o", tmp_path / "small", "--format", "json"
    )
    found = json.loads(again.out)
    assert found["manifest"]["risk"]["norms"] == manifest["risk"]["norms"]
    assert any(note.startswith(taken) for note in found["notes"])
    assert found["cases"][0]["reasons"][0].startswith("+2 VERY_LOW: ")


def test_an_analysis_without_norms_says_so_in_its_manifest(command, small, tmp_path):
    command("analyze", small, "--scale", "srs", "-o", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["risk"]["norms"], manifest["risk"]["instrument"]["reference"]) == (None, {})
    assert manifest["risk"]["levels"] == {"REVIEW": 0, "WATCH": 2, "INSUFFICIENT_DATA": 0, "NO_FLAG": 1}


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (
            '{"alliance_norms": 1, "form": "wai-sr", "score": "total", "sessions": {}}',
            DATA,
            "error: the norms are about the total of wai-sr\nhint: this list judges the total of srs\n",
        ),
        (
            "{",
            DATA,
            "error: this is no norms file of this version\n"
            "hint: give a file of --write-norms, or the manifest.json of an analysis\n",
        ),
        (
            None,
            STORE,
            "error: 'FILE' cannot be read: No such file or directory\n"
            "hint: check the name and who may read it\n",
        ),
    ],
    ids=["of another form", "no JSON", "no file"],
)
def test_norms_that_cannot_be_used_are_refused(  # noqa: PLR0917  a table of cases
    command, small, tmp_path, content, code, message
):
    path = tmp_path / "norms.json"
    if content is not None:
        sessions = '"sessions": {"1": {"n": 50, "p16": 3.0, "areas": {}}}'
        write(path, content.replace('"sessions": {}', sessions))
    for more in (("risk", small), ("analyze", small, "-o", tmp_path / "out")):
        done = command(*more, "--scale", "srs", "--norms", path)
        assert (done.code, done.err) == (code, message.replace("FILE", str(path)))


def test_norms_are_not_written_where_there_are_none_nor_over_another_file(command, small, many, tmp_path):
    path = tmp_path / "norms.json"
    done = command("risk", small, "--scale", "srs", "--write-norms", path)
    assert (done.code, done.err) == (
        DATA,
        "error: there are no norms to write\nhint: norms need 50 ratings of a session\n",
    )
    assert not path.exists()
    command("risk", many, "--scale", "srs", "--write-norms", path)
    done = command("risk", many, "--scale", "srs", "--write-norms", path)
    assert (done.code, done.err) == (
        USAGE,
        f"error: '{path}' exists\nhint: choose another name, or replace it with --force\n",
    )
    assert command("risk", many, "--scale", "srs", "--write-norms", path, "--force").code == OK


@pytest.mark.parametrize("block_bytes", [400, 4 << 20])
def test_norms_do_not_depend_on_the_blocks_of_a_run(command, many, tmp_path, monkeypatch, block_bytes):
    from alliance.readers import fast

    monkeypatch.setattr(fast, "BLOCK_BYTES", block_bytes)
    command("analyze", many, "--scale", "srs", "-o", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert found["reader"] == "fast"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "scores.csv").read_text(encoding="utf-8"))))
    for session, each in found["risk"]["norms"]["sessions"].items():
        totals = [float(row["total"]) for row in rows if row["session"] == session]
        assert each["n"] == len(totals) == 120
        assert each["p16"] == pytest.approx(np.quantile(totals, 0.16), abs=2e-9)


# acknowledging


@pytest.fixture
def log(command, small, tmp_path):
    path = tmp_path / "seen.jsonl"
    done = acknowledge(command, small, path, "C1")
    assert (done.code, done.err) == (OK, "")
    assert done.out == (
        "C1, session 3: LOW_LEVEL, RELIABLE_DROP, STEADY_DECLINE: seen on 2026-03-02: spoke about goals\n"
    )
    return path


def acknowledge(command, file, log, case, *more, reason="spoke about goals", today="2026-03-02"):
    return command(
        "acknowledge", file, case, "--scale", "srs", "--sem", "1.2", "--log", log, "--reason", reason,
        "--today", today, *more,
    )  # fmt: skip


def seen_in(command, file, log, *more, **known):
    known = {"sem": "1.2"} | known
    done = command(
        "risk", file, "--scale", "srs", "--sem", known["sem"], "--seen", log, "--format", "csv", *more
    )
    return {case: row["seen"] for case, row in as_csv(done).items()}


def test_what_was_acknowledged_is_shown_as_seen(command, small, log):
    assert seen_in(command, small, log) == {"C1": "seen on 2026-03-02: spoke about goals", "C2": "", "C3": ""}
    text = command("risk", small, "--scale", "srs", "--sem", "1.2", "--seen", log).out
    assert "    seen on 2026-03-02: spoke about goals\n" in text
    assert text.startswith("C1  session 3  [!! REVIEW]  4 points")
    listed = as_json(
        command("risk", small, "--scale", "srs", "--sem", "1.2", "--seen", log, "--format", "json")
    )
    assert listed["C1"]["seen"] == {
        "case": "C1",
        "session": 3,
        "rules": ["LOW_LEVEL", "RELIABLE_DROP", "STEADY_DECLINE"],
        "on": "2026-03-02",
        "by": "",
        "reason": "spoke about goals",
        "until": None,
    }
    assert listed["C2"]["seen"] is None


def test_the_order_of_the_list_does_not_depend_on_what_was_seen(command, many, tmp_path):
    options = ("--scale", "srs", "--format", "csv", "--quiet")
    plain = as_csv(command("risk", many, *options))
    first = next(iter(plain))
    path = tmp_path / "seen.jsonl"
    done = command("acknowledge", many, first, "--scale", "srs", "--log", path, "--reason", "seen", "--quiet")
    assert (done.code, done.err) == (OK, "")
    seen = as_csv(command("risk", many, *options, "--seen", path))
    assert list(seen) == list(plain)
    assert seen[first]["seen"].endswith(": seen")


def test_it_is_shown_until_a_new_rule_fires(command, small, log, tmp_path):
    assert seen_in(command, small, log, sem="9")["C1"] == "seen on 2026-03-02: spoke about goals"
    fallen = write(tmp_path / "fallen.csv", HEADER, *forms("C1", [38, 37, 34, 33]))
    # The rating before is low as well now: PERSISTENT_LOW is new.
    assert seen_in(command, fallen, log)["C1"] == ""
    missed = write(
        tmp_path / "missed.csv", "case,session,attendance", "C1,1,attended", "C1,2,attended",
        "C1,3,attended", "C1,,no_show",
    )  # fmt: skip
    assert seen_in(command, small, log, "--attendance", missed)["C1"] == ""


def test_it_is_shown_until_its_day_has_come(command, small, tmp_path):
    log = tmp_path / "seen.jsonl"
    acknowledge(command, small, log, "C2", "--until", "2026-03-30", "--by", "JR")
    told = "seen on 2026-03-02, until 2026-03-30: spoke about goals"
    assert seen_in(command, small, log, "--today", "2026-03-29")["C2"] == told
    assert seen_in(command, small, log, "--today", "2026-03-30")["C2"] == ""
    assert seen_in(command, small, log)["C2"] == ""
    done = command("risk", small, "--scale", "srs", "--sem", "1.2", "--seen", log, "--format", "csv")
    note = "not shown as seen: 1 case is acknowledged until a day, and the day of this list is not given"
    assert f"note: {note}\n" in done.err
    listed = " ".join(command("risk", small, "--scale", "srs", "--sem", "1.2", "--seen", log).out.split())
    assert note in listed


def test_analyze_shows_it_in_every_output(command, small, log, tmp_path):
    options = ("analyze", small, "--scale", "srs", "--sem", "1.2", "--seen", log, "-o", tmp_path / "out")
    told = "seen on 2026-03-02: spoke about goals"
    assert f"   {told}\n" in command(*options).out
    text = (tmp_path / "out" / "risk.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join((*RISK, "seen"))
    assert [row["seen"] for row in csv.DictReader(io.StringIO(text))] == [told, "", ""]
    assert f"<p>{told}</p>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    found = json.loads(command(*options, "--format", "json").out)
    assert [case["seen"] for case in found["cases"]] == [told, "", ""]
    assert [each["name"] for each in found["manifest"]["inputs"]] == ["small.csv", "seen.jsonl"]
    printed = as_csv(command(*options, "--format", "csv"))
    assert printed["C1"]["seen"] == told
    assert "seen" not in as_csv(command(*options[:6], "-o", tmp_path / "out", "--format", "csv"))["C1"]
    import pandas as pd

    command(*options, "--to", "parquet")
    assert pd.read_parquet(tmp_path / "out" / "risk.parquet")["seen"].tolist() == [told, "", ""]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_the_log_is_for_its_owner_and_grows(command, small, log):
    before = log.read_bytes()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    acknowledge(command, small, log, "C2", "--by", " JR ", reason=" phoned ")
    assert log.read_bytes().startswith(before)
    added = json.loads(log.read_text(encoding="utf-8").splitlines()[1])
    assert (added["by"], added["reason"]) == ("JR", "phoned")


def test_a_log_that_was_changed_ends_with_the_code_of_the_store(command, small, log, tmp_path):
    log.write_bytes(log.read_bytes().replace(b"goals", b"tasks"))
    message = (
        "error: the log 'seen.jsonl' was changed after it was written, or is not whole\n"
        "  line 1 does not follow from the lines before\n"
        "hint: go back to a copy of it, or begin a new one; nothing is added to a broken log\n"
    )
    for more in (("risk", small), ("analyze", small, "-o", tmp_path / "out")):
        done = command(*more, "--scale", "srs", "--sem", "1.2", "--seen", log)
        assert (done.code, done.err) == (STORE, message)
    done = acknowledge(command, small, log, "C1")
    assert (done.code, done.err) == (STORE, message)


@pytest.mark.parametrize(
    ("case", "more", "message"),
    [
        (
            "C11",
            {},
            "error: there is no case 'C11' in 'small.csv'\nhint: did you mean 'C1'?\n",
        ),
        ("Q", {}, "error: there is no case 'Q' in 'small.csv'\nhint: see `alliance risk`\n"),
        (
            "C3",
            {},
            "error: no rule fires for case 'C3': there is nothing to acknowledge\n"
            "hint: `alliance risk` says what fires; what only a model says needs --risk-model here too\n",
        ),
        (
            "C1",
            {"reason": "  "},
            "error: --reason is empty\nhint: say in a few words what was done or found\n",
        ),
        (
            "C1",
            {"until": "2026-03-02"},
            "error: --until must be after 2026-03-02, the day of the acknowledgement, got 2026-03-02\n"
            "hint: leave it out, or name a later day\n",
        ),
        (
            "C1",
            {"until": "soon"},
            "error: --until must be a date such as 2026-03-02, got 'soon'\nhint: year, month, day\n",
        ),
    ],
    ids=lambda value: str(value) if not isinstance(value, str) or "\n" not in value else "",
)
def test_an_acknowledgement_that_means_nothing_is_refused(  # noqa: PLR0917  a table of cases
    command, small, tmp_path, case, more, message
):
    until = ("--until", more["until"]) if "until" in more else ()
    reason = more.get("reason", "spoke about goals")
    done = acknowledge(command, small, tmp_path / "seen.jsonl", case, *until, reason=reason)
    assert (done.code, done.out, done.err) == (USAGE, "", message)
    assert not (tmp_path / "seen.jsonl").exists()


def test_the_day_of_an_acknowledgement_is_that_of_the_computer_if_none_is_given(command, small, tmp_path):
    from datetime import datetime

    log = tmp_path / "seen.jsonl"
    options = ("--scale", "srs", "--sem", "1.2", "--log", log, "--reason", "seen", "--quiet")
    days = [datetime.now().astimezone().date().isoformat()]
    assert command("acknowledge", small, "C2", *options).code == OK
    days.append(datetime.now().astimezone().date().isoformat())
    assert json.loads(log.read_text(encoding="utf-8"))["on"] in days


def test_acknowledge_explains_itself_with_an_example(command):
    done = command("acknowledge", "--help")
    assert "Example: alliance acknowledge" in " ".join(done.out.split())


# the imported flag


FLAGGED = f"{HEADER},external_not_on_track"


@pytest.mark.parametrize(
    ("words", "fires"),
    [
        (["no", "yes"], True),
        (["yes", "no"], False),
        (["0", "1"], True),
        (["yes", ""], False),
        (["", "TRUE"], True),
    ],
)
def test_the_imported_flag_of_the_latest_session_fires(command, tmp_path, words, fires):
    lines = [f"C1,{session},9.5,9.5,9.5,9.5,{word}" for session, word in enumerate(words, start=1)]
    file = write(tmp_path / "flagged.csv", FLAGGED, *lines)
    listed = as_json(command("risk", file, "--scale", "srs", "--sem", "1.2", "--format", "json"))["C1"]
    assert (["NOT_ON_TRACK"] if fires else []) == [each["id"] for each in listed["fired"]]
    done = command("analyze", file, "--scale", "srs", "--sem", "1.2", "-o", tmp_path / "out")
    assert ("+1 NOT_ON_TRACK: the outcome measure reports not on track" in done.out) is fires


def test_the_flag_may_stand_on_the_form_of_the_outcome_system(command, tmp_path):
    file = write(
        tmp_path / "both.csv",
        "case,session,scale,q1,q2,q3,q4,external_not_on_track",
        "C1,1,srs,9.5,9.5,9.5,9.5,no",
        "C1,1,ors,5,5,5,5,yes",
    )
    listed = as_json(command("risk", file, "--sem", "1.2", "--format", "json"))["C1"]
    assert [each["id"] for each in listed["fired"]] == ["NOT_ON_TRACK"]
    done = command("analyze", file, "--sem", "1.2", "-o", tmp_path / "out")
    assert "NOT_ON_TRACK" in done.out


def test_the_flag_stays_with_its_session_where_treatments_are_numbered_anew(command, tmp_path):
    file = write(
        tmp_path / "twice.csv",
        "case,episode,session,q1,q2,q3,q4,external_not_on_track",
        "C1,1,1,9.5,9.5,9.5,9.5,",
        "C1,1,2,9.5,9.5,9.5,9.5,no",
        "C1,2,3,9.5,9.5,9.5,9.5,",
        "C1,2,4,9.5,9.5,9.5,9.5,yes",
    )
    listed = as_json(command("risk", file, "--scale", "srs", "--sem", "1.2", "--format", "json"))
    assert {case: (row["session"], row["score"]) for case, row in listed.items()} == {
        "C1/1": (2, 0),
        "C1/2": (2, 1),
    }


def test_a_flag_that_is_no_yes_and_no_no_is_a_problem_of_the_file(command, tmp_path):
    file = write(tmp_path / "odd.csv", FLAGGED, *forms("C1", [38], ",maybe"), *forms("C2", [38], ",?"))
    done = command("risk", file, "--scale", "srs")
    assert (done.code, done.err) == (
        DATA,
        "error: 2 flags of the outcome system are neither yes nor no\n"
        "  line 2: case C1, session 1, external_not_on_track = maybe\n"
        "  line 3: case C2, session 1, external_not_on_track = ?\n"
        "hint: use yes or no, 1 or 0; leave the cell empty where it is not known\n",
    )
    dropped = command("risk", file, "--scale", "srs", "--on-error", "drop", "--format", "json")
    assert len(json.loads(dropped.out)) == 2


# how treatments stand


def test_treatments_presumed_over_are_asked_about(command, tmp_path):
    file = write(
        tmp_path / "forms.csv",
        "case,session,date,q1,q2,q3,q4",
        *(f"{case},1,2026-01-05,9.5,9.5,9.5,9.5" for case in ("C1", "C2", "C3")),
    )
    episodes = write(
        tmp_path / "episodes.csv",
        "client_id,episode_id,start_date,status,end_reason,observed_until",
        "C1,1,2026-01-05,ongoing,,2026-02-05",
        "C2,1,2026-01-05,ongoing,,2026-02-04",
        "C3,1,2026-01-05,ended,mutual_planned,2026-03-01",
    )
    visits = write(
        tmp_path / "visits.csv",
        "case,session,date,attendance",
        *(f"{case},1,2026-01-05,attended" for case in ("C1", "C2", "C3")),
    )
    options = ("--scale", "srs", "--episodes", episodes, "--attendance", visits, "--today", "2026-02-05")
    listed = as_json(command("risk", file, *options, "--format", "json"))
    prompts = {case: [each["id"] for each in row["prompts"]] for case, row in listed.items()}
    # C1: 31 days; C2: 30 days; C3 has ended, so nothing is missing.
    assert prompts == {
        "C1": ["NO_NEXT_APPOINTMENT", "CONFIRM_STATUS", "ONE_RATING"],
        "C2": ["NO_NEXT_APPOINTMENT", "ONE_RATING"],
        "C3": ["ONE_RATING"],
    }
