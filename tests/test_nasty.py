"""Files that are hard to read, through the command line: each behaves as its sheet says."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent / "samples"
EXPECT = json.loads((SAMPLES / "nasty" / "EXPECT.json").read_text(encoding="utf-8"))
HELP = {
    "09_qualtrics_three_headers": ["--map", SAMPLES / "maps" / "nasty_09.toml"],
    "13_absent_items": ["--on-error", "drop"],
    "15_limesurvey_code_and_text": ["--map", SAMPLES / "maps" / "nasty_15.toml"],
    "16_missing_codes": ["--missing", "-99,99,999,-7,weiß nicht"],
    "19_number_and_word_halves": ["--on-error", "drop"],
    "33_wide_ragged": ["--map", SAMPLES / "maps" / "nasty_33.toml"],
}
"""What a person has to say before a file of outcome "either" can be read."""

OK, DATA = 0, 3


def files_of(case):
    return [SAMPLES / "nasty" / name for name in EXPECT[case]["files"]]


def scale_of(case):
    return SAMPLES / "scales" / f"{EXPECT[case]['scale'].lower()}.toml"


def score(command, case, file, *more):
    return command("score", file, "--scale", scale_of(case), "--format", "csv", *more)


def scored(text):
    found = {}
    for row in csv.DictReader(io.StringIO(text)):
        key = f"{row['case']}|{row['session']}"
        found[key] = found[f"{key}|{row['rater']}"] = {
            name: float(value) if value else None
            for name, value in row.items()
            if name in {"total", "task", "goal", "bond"}
        }
    return found


def assert_scores(text, expected):
    found = scored(text)
    for key, scores in expected.items():
        for name, value in scores.items():
            assert found[key][name] == (None if value is None else pytest.approx(value, abs=1e-6)), (
                key,
                name,
            )


READ = [
    (case, number)
    for case, sheet in EXPECT.items()
    if sheet["outcome"] != "refuse"
    for number in range(len(sheet["files"]))
    if not (case == "27_doubled_sessions" and number == 1)
]


@pytest.mark.parametrize(("case", "number"), READ)
def test_a_file_that_can_be_read_gives_the_scores_worked_out_beforehand(command, case, number):
    sheet = EXPECT[case]
    done = score(command, case, files_of(case)[number], *HELP.get(case, []))
    assert done.code == OK, done.err
    first = number == 0
    expected = sheet["scores"] if first else sheet.get("scores_file_2", {})
    assert_scores(done.out, expected)
    table = list(csv.DictReader(io.StringIO(done.out)))
    if first:
        assert len(table) == sheet["rows"]
        assert len({row["case"] for row in table}) == sheet["persons"]
    for name in sheet.get("must_name", []):
        assert name in done.err
    assert not {"inf", "nan", "Summe"} & {value for row in table for value in row.values()}


@pytest.mark.parametrize(
    ("case", "number", "named"),
    [
        ("11_doubled_column", 0, ["wa5"]),
        ("13_absent_items", 0, ["wa7", "wa8", "wa11"]),
        ("16_missing_codes", 0, ["-99", "999", "-7", "weiß nicht"]),
        ("19_number_and_word_halves", 0, ["2-3", "3?", "3/4", "3 4", "zwischen 3 und 4"]),
        ("27_doubled_sessions", 1, ["C02", "session 3"]),
    ],
)
def test_a_file_that_cannot_be_known_is_refused_and_named(command, case, number, named):
    done = score(command, case, files_of(case)[number])
    assert done.code == DATA
    assert done.out == ""
    for name in named:
        assert name in done.err
    assert "hint: " in done.err


def test_a_recorded_total_that_disagrees_is_named_and_not_used(command):
    done = score(command, "24_recorded_total_disagrees", files_of("24_recorded_total_disagrees")[0])
    for mismatch in EXPECT["24_recorded_total_disagrees"]["mismatches"]:
        case, session = mismatch.split("|")
        assert f"case {case}, session {session}" in done.err


def test_an_exact_double_is_kept_once_and_said_so(command):
    done = score(command, "27_doubled_sessions", files_of("27_doubled_sessions")[0])
    assert len(done.out.splitlines()) == 1 + 15
    assert "case C01, session 3" in done.err


def test_straight_lining_gives_no_rupture_and_no_number_out_of_nothing(command, tmp_path):
    for file in files_of("22_straight_lining"):
        done = command("analyze", file, "--scale", scale_of("22_straight_lining"), "-o", tmp_path / file.stem)
        assert done.code == OK
        for text in (done.out, *(path.read_text("utf-8") for path in (tmp_path / file.stem).glob("*.csv"))):
            assert not re.search(r"\b(inf|nan)\b", text, re.IGNORECASE)
        flags = (tmp_path / file.stem / "flags.csv").read_text("utf-8")
        assert not any(line.startswith("C01") and "rupture," in line for line in flags.splitlines())


def test_ceiling_and_short_series_are_told_apart(command, tmp_path):
    (file,) = files_of("37_ceiling_and_short_series")
    done = command("analyze", file, "--scale", scale_of("37_ceiling_and_short_series"), "-o", tmp_path)
    assert done.code == OK
    flags = list(csv.DictReader(io.StringIO((tmp_path / "flags.csv").read_text("utf-8"))))
    silent = {row["case"]: row["reason"] for row in flags if row["finding"] == "not enough data"}
    assert silent["D02"] == "not enough data: 0 of 5 earlier scores"
    assert silent["D03"] == "not enough data: 1 of 5 earlier scores"
    assert silent["D04"] == "not enough data: 2 of 5 earlier scores"
    assert not [row for row in flags if row["finding"] == "rupture" and row["case"] in {"D01", "D06"}]
    pooled = command(
        "flag",
        file,
        "--scale",
        scale_of("37_ceiling_and_short_series"),
        "--within-sd",
        "1",
        "--format",
        "csv",
    )
    found = list(csv.DictReader(io.StringIO(pooled.out)))
    ruptures = [(row["case"], row["session"]) for row in found if row["finding"] == "rupture"]
    assert ruptures == [("D05", "4")]
    assert ("D05", "7") in [(row["case"], row["session"]) for row in found if row["finding"] == "repair"]


def test_two_raters_are_two_courses_and_not_one_saw_tooth(command):
    (file,) = files_of("35_two_raters")
    done = command(
        "flag", file, "--scale", scale_of("35_two_raters"), "--within-sd", "0.4", "--format", "csv"
    )
    assert done.code == OK
    found = list(csv.DictReader(io.StringIO(done.out)))
    # Interleaved, the raters' different levels would be ruptures everywhere; only C03 falls, in both eyes.
    assert {row["case"] for row in found if row["finding"] == "rupture"} == {"C03"}
    assert {row["rater"] for row in found} == {"client", "therapist"}
