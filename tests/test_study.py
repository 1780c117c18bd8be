"""The main job, end to end: files in, files out, on the bundled studies and on files made to be difficult."""

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from alliance.errors import DataError, UsageError
from alliance.places import bundled
from alliance.readers import ReadOptions, load
from alliance.report import files
from alliance.rupture import flag
from alliance.scale import load_scale
from alliance.scoring import score
from alliance.study import MANIFEST, Request, analyze, output_names

STUDY = bundled("data") / "wai-sr-study.csv"
CLINIC = bundled("data") / "srs-ors-clinic.csv"
WITHIN = {"v1": 0, "v3": 2, "step": 2, "ramp": 6}
"""Sessions after the onset of a planted rupture within which a flag counts as its detection."""


def run(path, folder, scale="wai-sr", **options):
    form = None if scale is None else load_scale(scale)
    return analyze(Request(path=path, scale=form, **options), folder)


def rows(folder, name):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


HEADER = "case,session," + ",".join(f"q{item}" for item in range(1, 13))


def answers(value):
    return ",".join([str(value)] * 12)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, run(STUDY, folder)


def test_a_run_writes_every_file_and_nothing_else(study):
    folder, _ = study
    assert sorted(path.name for path in folder.iterdir()) == [
        "episodes.csv", "flags.csv", "manifest.json", "report.html", "risk.csv", "scores.csv",
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_every_file_is_readable_by_its_owner_only(study):
    folder, _ = study
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_planted_ruptures_are_found_at_the_published_rate(study):
    # 78 to 85 % of deep ruptures are found in simulation; of the 12 planted here that is 8 or more, and a
    # rupture-free case is flagged in about one of ten.
    folder, _ = study
    truth = pd.read_csv(bundled("data") / "wai-sr-study.truth.csv")
    flags = [
        row for row in rows(folder, "flags.csv") if row["finding"] == "rupture" and row["rater"] == "client"
    ]
    planted = truth[(truth["rupture"] != "none") & truth["reached"]]
    hits = [
        any(
            row["case"] == case.case
            and case.onset <= int(row["session"]) <= case.onset + WITHIN[case.rupture]
            for row in flags
        )
        for case in planted.itertuples()
    ]
    assert len(hits) == 12
    assert sum(hits) >= 8
    false = {row["case"] for row in flags} - set(planted["case"])
    assert len(false) <= 4


def test_every_rupture_is_explained_in_one_sentence_with_its_numbers(study):
    folder, result = study
    for row in rows(folder, "flags.csv"):
        if row["finding"] == "rupture":
            assert f"below the limit {float(row['limit']):.2f}" in row["reason"]
            assert "prior SD" in row["reason"]
            assert "fell most: " in row["reason"]
    told = [flag.reason for case in result.view.cases for flag in case.flags if flag.finding == "rupture"]
    assert len(told) == sum(row["finding"] == "rupture" for row in rows(folder, "flags.csv"))


def test_courses_in_the_report_carry_the_marks_of_the_tables(study):
    folder, result = study
    healed = {
        (row["case"], row["rater"], int(row["end"]))
        for row in rows(folder, "episodes.csv")
        if row["outcome"] in {"repaired", "late"}
    }
    fallen = {
        (row["case"], row["rater"], int(row["session"]))
        for row in rows(folder, "flags.csv")
        if row["finding"] == "rupture"
    }
    drawn = [(case.case, series) for case in result.view.cases for series in case.series]
    assert {(case, each.rater, session) for case, each in drawn for session in each.repairs} == healed
    assert {(case, each.rater, session) for case, each in drawn for session in each.ruptures} == fallen
    outcomes = {row["outcome"] for row in rows(folder, "episodes.csv")}
    assert {"repaired", "unrepaired", "censored"} <= outcomes


def test_what_an_episode_does_not_have_is_an_empty_cell(study):
    folder, _ = study
    for row in rows(folder, "episodes.csv"):
        healed = row["outcome"] in {"repaired", "late"}
        assert (row["lag"] != "") is healed
        assert row["end"] == "" if row["outcome"] == "censored" else row["end"] != "" or not healed
        assert "-1" not in {row["end"], row["lag"]}


def test_a_late_repair_is_drawn_as_a_repair(tmp_path):
    scores = [5, 4, 5, 4, 5, 4, 1, 1, 1, 1, 1, 1, 5]
    lines = [f"C1,{session},{answers(score)}" for session, score in enumerate(scores, 1)]
    result = run(write(tmp_path / "late.csv", [HEADER, *lines]), tmp_path / "out")
    (episode,) = rows(tmp_path / "out", "episodes.csv")
    assert (episode["onset"], episode["end"], episode["outcome"], episode["lag"]) == ("7", "13", "late", "6")
    assert result.view.cases[0].series[0].repairs == (13,)
    assert result.view.cases[0].rupture == "rupture at session 7, repaired late at session 13"


def test_risk_is_listed_in_the_specified_order(study):
    folder, result = study
    listed = rows(folder, "risk.csv")
    levels = ["REVIEW", "WATCH", "INSUFFICIENT_DATA", "NO_FLAG"]
    keys = [
        (
            levels.index(row["level"]),
            -int(row["points"]),
            float(row["percentile"] or "inf"),
            int(row["session"]),
        )
        for row in listed
    ]
    assert keys == sorted(keys)
    assert [case.case for case in result.view.cases] == [row["case"] for row in listed]
    assert len({row["case"] for row in listed}) == 40


def test_prevalence_stands_beside_chance(study):
    _, result = study
    assert "noise alone would flag" in result.view.prevalence
    chance = result.manifest["methods"][0]["chance"]
    assert 0 <= chance["low"] <= chance["expected"] <= chance["high"] < chance["observed"]


def test_two_runs_give_equal_bytes(study, tmp_path):
    folder, _ = study
    run(STUDY, tmp_path / "again")
    assert bytes_of(tmp_path / "again") == bytes_of(folder)


def test_the_manifest_says_what_was_run_on_what(study):
    folder, _ = study
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    import hashlib

    assert manifest["inputs"] == [
        {
            "name": "wai-sr-study.csv",
            "bytes": STUDY.stat().st_size,
            "sha256": hashlib.sha256(STUDY.read_bytes()).hexdigest(),
        }
    ]
    written = {name: content for name, content in bytes_of(folder).items() if name != MANIFEST}
    assert manifest["outputs"] == {name: hashlib.sha256(text).hexdigest() for name, text in written.items()}
    assert (
        manifest["scales"][0]["sha256"]
        == hashlib.sha256((bundled("scales") / "wai-sr.toml").read_bytes()).hexdigest()
    )
    assert set(manifest["prior"]["priors"]) == {"client", "therapist"}
    assert manifest["prior"]["until"] == "2025-02-19"
    assert str(STUDY.parent) not in (folder / MANIFEST).read_text(encoding="utf-8")


def test_two_forms_in_one_file_are_scored_and_the_alliance_form_is_judged(tmp_path):
    result = run(CLINIC, tmp_path, scale=None)
    assert {row["scale"] for row in rows(tmp_path, "scores.csv")} == {"srs", "ors"}
    assert any("ors is scored only" in note for note in result.notes)
    assert result.view.synthetic
    assert result.view.n_cases == 12


def test_scores_in_the_file_equal_scores_of_the_library(study):
    folder, _ = study
    form = load_scale("wai-sr")
    library = score(load(STUDY, form).responses["wai-sr"], form)
    written = rows(folder, "scores.csv")
    assert [(row["case"], int(row["session"]), row["rater"]) for row in written] == list(
        zip(library["case"], library["session"], library["rater"], strict=True)
    )
    totals = np.array([float(row["total"] or "nan") for row in written])
    np.testing.assert_array_equal(totals, library["total"])


def test_flags_in_the_file_equal_flags_of_the_library(study):
    folder, _ = study
    form = load_scale("wai-sr")
    flags, episodes = flag(score(load(STUDY, form).responses["wai-sr"], form), form)
    written = rows(folder, "flags.csv")
    assert [row["reason"] for row in written] == list(flags["reason"])
    assert [int(row["session"]) for row in written] == list(flags["session"])
    assert [row["outcome"] for row in rows(folder, "episodes.csv")] == list(episodes["outcome"])


def plain_file(path, n_cases=30, seed=3):
    rng = np.random.default_rng(seed)
    lines = [HEADER]
    for case in range(n_cases):
        level = rng.normal(3.8, 0.5)
        for session in range(1, int(rng.integers(4, 16))):
            drop = 1.5 if case % 5 == 0 and session == 8 else 0
            given = np.clip(np.rint(level - drop + rng.normal(0, 0.6, 12)), 1, 5).astype(int).astype(str)
            given[rng.random(12) < 0.03] = ""
            lines.append(f"C{case:03d},{session}," + ",".join(given))
    return write(path, lines)


def test_the_fast_and_the_tolerant_lane_give_the_same_files(tmp_path):
    path = plain_file(tmp_path / "plain.csv")
    fast = run(path, tmp_path / "fast")
    tolerant = run(path, tmp_path / "tolerant", read=ReadOptions(encoding="utf-8"))
    assert fast.manifest["reader"] == "fast"
    assert tolerant.manifest["reader"].startswith("tolerant")
    for name in ("scores.csv", "flags.csv", "episodes.csv", "risk.csv"):
        assert (tmp_path / "fast" / name).read_bytes() == (tmp_path / "tolerant" / name).read_bytes()


def full_file(path, n_cases=25, seed=4):
    """Write every plain column: two raters, therapists, dates with gaps, rows of a case in any order."""
    rng = np.random.default_rng(seed)
    lines = [HEADER.replace("session,", "session,date,therapist,rater,")]
    for case in range(n_cases):
        day = np.datetime64("2026-01-05") + rng.integers(0, 90)
        rows_of_case = []
        for session in range(1, int(rng.integers(2, 14))):
            day = day + rng.choice([7, 7, 7, 14, 35])
            for rater in ("therapist", "client"):
                given = np.clip(np.rint(rng.normal(3.8, 0.8, 12)), 1, 5).astype(int).astype(str)
                given[rng.random(12) < 0.02] = ""
                head = f"C{case:03d},{session},{day},{'' if case % 7 == 0 else f'T{case % 3}'},{rater},"
                rows_of_case.append(head + ",".join(given))
        rng.shuffle(rows_of_case)
        lines += rows_of_case
    return write(path, lines)


@pytest.mark.parametrize("block_bytes", [600, 4 << 20])
def test_both_lanes_agree_on_raters_dates_and_therapists(tmp_path, monkeypatch, block_bytes):
    from alliance.readers import fast

    monkeypatch.setattr(fast, "BLOCK_BYTES", block_bytes)
    path = full_file(tmp_path / "full.csv")
    quick = run(path, tmp_path / "fast")
    tolerant = run(path, tmp_path / "tolerant", read=ReadOptions(encoding="utf-8"))
    assert quick.manifest["reader"] == "fast"
    assert tolerant.manifest["reader"] == "tolerant: options of its own"
    assert quick.manifest["methods"] == tolerant.manifest["methods"]
    assert quick.manifest["prior"] == tolerant.manifest["prior"]
    for name in ("scores.csv", "flags.csv", "episodes.csv", "risk.csv"):
        assert (tmp_path / "fast" / name).read_bytes() == (tmp_path / "tolerant" / name).read_bytes(), name
    assert {row["rater"] for row in rows(tmp_path / "fast", "flags.csv")} == {"client", "therapist"}


def test_the_size_of_the_blocks_changes_nothing(tmp_path, monkeypatch):
    from alliance.readers import fast

    path = plain_file(tmp_path / "plain.csv")
    whole = run(path, tmp_path / "whole")
    monkeypatch.setattr(fast, "BLOCK_BYTES", 700)
    small = run(path, tmp_path / "small")
    assert whole.manifest["reader"] == small.manifest["reader"] == "fast"
    for name in ("scores.csv", "flags.csv", "episodes.csv", "risk.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "small" / name).read_bytes()


PLAIN = [f"C{case:02d},{session},{answers(4)}" for case in (1, 9) for session in (1, 2)]


@pytest.mark.parametrize(
    ("lines", "lane"),
    [
        pytest.param([*PLAIN, "C09,3," + answers("3.0")], "fast", id="a decimal"),
        pytest.param([*PLAIN, " C10,1," + answers(4)], "fast", id="a blank before a name"),
        pytest.param(
            [*PLAIN, "C01,3," + answers(4)],
            "fast, at once: cases whose rows do not stand together",
            id="a case comes back",
        ),
        pytest.param([*PLAIN, "C09,2," + answers(4)], "tolerant: doubled sessions", id="an exact double"),
    ],
)
def test_what_is_odd_is_read_at_once_or_cell_by_cell(tmp_path, lines, lane):
    result = run(write(tmp_path / "odd.csv", [HEADER, *lines]), tmp_path / "out")
    assert result.manifest["reader"] == lane
    assert len(rows(tmp_path / "out", "scores.csv")) == len({line.strip() for line in lines})


def test_a_case_that_comes_back_many_blocks_later_is_noticed(tmp_path, monkeypatch):
    from alliance.readers import fast

    monkeypatch.setattr(fast, "BLOCK_BYTES", 200)
    forms = [f"C{case:02d},{session},{answers(4)}" for case in range(20) for session in (1, 2)]
    result = run(write(tmp_path / "apart.csv", [HEADER, *forms, "C00,3," + answers(4)]), tmp_path / "out")
    assert "do not stand together" in result.manifest["reader"]
    assert [row["session"] for row in rows(tmp_path / "out", "scores.csv")][:3] == ["1", "2", "3"]


def test_the_manifest_comes_last(tmp_path, monkeypatch):
    run(STUDY, tmp_path / "out")
    named = []
    give_name = files.give_name
    monkeypatch.setattr(files, "give_name", lambda *given: (named.append(given[2].name), give_name(*given)))
    run(STUDY, tmp_path / "out")
    assert named[-1] == MANIFEST
    assert len(named) == 6


def test_a_file_that_is_refused_leaves_no_output(tmp_path):
    path = write(tmp_path / "bad.csv", [HEADER, "C01,1," + answers(9)])
    with pytest.raises(DataError) as caught:
        run(path, tmp_path / "out")
    assert "answers outside 1 to 5, the range of 'wai-sr'" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_on_error_drop_scores_the_rest_and_lists_every_rejected_cell(tmp_path):
    path = write(
        tmp_path / "bad.csv",
        [HEADER, "C01,1," + answers(4), "C01,2,9," + ",".join(["4"] * 11), "C01,3," + answers(4)],
    )
    run(path, tmp_path / "out", read=ReadOptions(on_error="drop"))
    (rejected,) = rows(tmp_path / "out", "rejected.csv")
    assert (rejected["line"], rejected["case"], rejected["session"], rejected["value"]) == (
        "3",
        "C01",
        "2",
        "9",
    )
    assert [row["total"] for row in rows(tmp_path / "out", "scores.csv")] == ["4", "", "4"]


def test_results_that_are_not_ours_are_not_replaced(tmp_path):
    write(tmp_path / "scores.csv", ["somebody's own file"])
    with pytest.raises(UsageError) as caught:
        run(STUDY, tmp_path)
    assert str(caught.value) == (
        f"error: '{tmp_path}' holds files that are not the results of an earlier run\n"
        "  scores.csv\n"
        "hint: choose another folder, or replace them with --force"
    )
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8") == "somebody's own file\n"


def test_dropping_nothing_leaves_an_empty_list_of_what_was_dropped(tmp_path):
    result = run(plain_file(tmp_path / "plain.csv"), tmp_path / "out", read=ReadOptions(on_error="drop"))
    assert result.manifest["reader"] == "fast"
    assert (tmp_path / "out" / "rejected.csv").read_text(
        "utf-8"
    ) == "line,case,session,rater,item,value,problem\n"


def test_nothing_of_an_earlier_run_is_left_beside_a_new_manifest(tmp_path):
    path = plain_file(tmp_path / "plain.csv")
    run(path, tmp_path / "out", read=ReadOptions(on_error="drop"))
    assert (tmp_path / "out" / "rejected.csv").exists()
    write(tmp_path / "out" / "notes.txt", ["my own"])
    run(path, tmp_path / "out", to="parquet")
    assert sorted(bytes_of(tmp_path / "out")) == [
        "episodes.parquet", "flags.parquet", "manifest.json", "notes.txt", "report.html", "risk.parquet",
        "scores.parquet",
    ]  # fmt: skip


def test_parquet_holds_what_csv_holds(tmp_path):
    path = plain_file(tmp_path / "plain.csv")
    run(path, tmp_path / "csv")
    run(path, tmp_path / "parquet", to="parquet")
    for name in ("scores", "flags", "episodes", "risk"):
        texts = {"case": str, "date": str, "therapist": str, "note": str, "severity": str}
        as_csv = pd.read_csv(tmp_path / "csv" / f"{name}.csv", dtype=texts, keep_default_na=True)
        as_parquet = pd.read_parquet(tmp_path / "parquet" / f"{name}.parquet")
        assert list(as_csv.columns) == list(as_parquet.columns)
        assert len(as_csv) == len(as_parquet)
        for column in as_parquet.select_dtypes("number"):
            np.testing.assert_array_equal(
                as_csv[column].astype(float), as_parquet[column].astype(float), err_msg=column
            )


def test_attendance_comes_from_a_second_file_too(tmp_path):
    forms = write(tmp_path / "forms.csv", [HEADER, "C01,1," + answers(4), "C01,2," + answers(4)])
    dates = write(
        tmp_path / "dates.csv",
        ["case,session,attendance", "C01,1,attended", "C01,,no_show", "C01,2,attended", "C02,,no_show"],
    )
    result = run(forms, tmp_path / "out", attendance=(dates,))
    listed = {row["case"]: row for row in rows(tmp_path / "out", "risk.csv")}
    assert "NO_SHOW_EARLY" in listed["C01"]["reasons"]
    assert listed["C02"]["n_ratings"] == "0"
    assert {case.case: case.missed_before for case in result.view.cases} == {"C01": (2,), "C02": (1,)}


def test_an_error_of_measurement_made_from_the_data_is_told(tmp_path):
    few = run(plain_file(tmp_path / "few.csv", n_cases=30), tmp_path / "few")
    many = run(plain_file(tmp_path / "many.csv", n_cases=80), tmp_path / "many")
    given = run(tmp_path / "many.csv", tmp_path / "given", sem=0.4)
    assert few.manifest["risk"]["instrument"]["sem"] is None
    assert not any("standard error" in note for note in few.notes)
    frame = pd.read_csv(tmp_path / "many" / "scores.csv").set_index(["case", "session"])["total"]
    change = frame.groupby("case").diff().dropna()
    by_hand = (change**2).mean() / 2
    assert many.manifest["risk"]["instrument"]["sem"] == pytest.approx(by_hand**0.5, rel=1e-12)
    assert any("is derived from this caseload" in note for note in many.notes)
    assert given.manifest["risk"]["instrument"]["sem"] == 0.4
    assert not any("standard error" in note for note in given.notes)


def test_an_outcome_form_alone_cannot_be_flagged(tmp_path):
    path = write(
        tmp_path / "phq.csv", ["case,session," + ",".join(f"q{i}" for i in range(1, 10)), "C1,1" + ",1" * 9]
    )
    with pytest.raises(UsageError) as caught:
        run(path, tmp_path / "out", scale="phq-9")
    assert str(caught.value) == (
        "error: 'phq-9' measures outcome: a fall of its score is no rupture\n"
        "hint: flag an alliance form, such as wai-sr or srs"
    )


def test_a_provisional_key_is_marked_in_every_output(tmp_path):
    header = "case,session," + ",".join(f"q{i}" for i in range(1, 20))
    negative = (4, 8, 11, 16, 19)
    lowest = ",".join("6" if item in negative else "1" for item in range(1, 20))
    lines = [*(f"C1,{session}" + ",5" * 19 for session in range(1, 7)), f"C1,7,{lowest}"]
    result = run(write(tmp_path / "haq.csv", [header, *lines]), tmp_path / "out", scale="haq-2")
    assert all("provisional key" in row["note"] for row in rows(tmp_path / "out", "scores.csv"))
    for name in ("flags.csv", "episodes.csv", "risk.csv"):
        assert {row["key"] for row in rows(tmp_path / "out", name)} == {"provisional"}, name
    assert "provisional" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert result.manifest["scales"][0]["status"] == "provisional"
    assert any("provisional" in note for note in result.notes)


def test_a_course_too_short_is_not_called_free_of_ruptures(tmp_path):
    path = write(tmp_path / "short.csv", [HEADER, "C1,1," + answers(5), "C1,2," + answers(1)])
    result = run(path, tmp_path / "out")
    (row,) = rows(tmp_path / "out", "flags.csv")
    assert (row["finding"], row["reason"]) == ("not enough data", "not enough data: 1 of 5 earlier scores")
    assert result.view.cases[0].rupture == "not enough data: 1 of 5 earlier scores"
    assert result.view.prevalence == ""


@pytest.mark.parametrize("lines", [[HEADER], [HEADER, ""]], ids=["header only", "header and a blank line"])
def test_a_file_without_a_form_is_refused(tmp_path, lines):
    with pytest.raises(DataError) as caught:
        run(write(tmp_path / "empty.csv", lines), tmp_path / "out")
    assert str(caught.value) == (
        "error: the file has a header and no rows below it\nhint: export it again, with one row for each form"
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_forms_that_are_all_blank_are_no_reason_for_alarm_and_none_for_calm(tmp_path):
    path = write(tmp_path / "blank.csv", [HEADER, *(f"C1,{session}" + "," * 12 for session in range(1, 8))])
    result = run(path, tmp_path / "out")
    assert [row["note"] for row in rows(tmp_path / "out", "scores.csv")] == ["blank form"] * 7
    assert [row["total"] for row in rows(tmp_path / "out", "scores.csv")] == [""] * 7
    (case,) = result.view.cases
    assert (case.level, case.rupture) == ("INSUFFICIENT_DATA", "not enough data: 0 of 5 earlier scores")


def test_files_are_whole_and_private_where_they_cannot_be_without_a_name(tmp_path, monkeypatch):
    path = plain_file(tmp_path / "plain.csv")
    run(path, tmp_path / "unnamed")
    monkeypatch.setattr(files, "NAMELESS", None)
    (tmp_path / "named").mkdir()
    write(tmp_path / "named" / ".alliance-part-left", ["what a killed run left"])
    run(path, tmp_path / "named")
    assert bytes_of(tmp_path / "named") == bytes_of(tmp_path / "unnamed")


def test_excel_and_parquet_give_the_files_that_csv_gives(tmp_path):
    frame = pd.read_csv(plain_file(tmp_path / "plain.csv"))
    frame.to_excel(tmp_path / "plain.xlsx", index=False)
    frame.to_parquet(tmp_path / "plain.parquet")
    for name in ("plain.csv", "plain.xlsx", "plain.parquet"):
        run(tmp_path / name, tmp_path / name.replace(".", "_"))
    for name in ("scores.csv", "flags.csv", "episodes.csv", "risk.csv"):
        first = (tmp_path / "plain_csv" / name).read_bytes()
        assert (tmp_path / "plain_xlsx" / name).read_bytes() == first
        assert (tmp_path / "plain_parquet" / name).read_bytes() == first


def test_output_names_are_the_files_that_are_written(study):
    folder, _ = study
    request = Request(path=STUDY, scale=load_scale("wai-sr"))
    assert sorted(output_names(request)) == sorted(bytes_of(folder))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_run_leaves_no_output_or_whole_files(tmp_path):
    path = plain_file(tmp_path / "plain.csv", n_cases=3000)
    command = [sys.executable, "-m", "alliance", "analyze", str(path), "--scale", "wai-sr", "-q", "-o"]
    start = time.perf_counter()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    length = time.perf_counter() - start
    whole = bytes_of(tmp_path / "whole")
    outcomes = set()
    for place in range(12):
        folder = tmp_path / f"killed{place}"
        process = subprocess.Popen(
            [*command, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(length * (0.3 + 0.075 * place))
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = bytes_of(folder) if folder.exists() else {}
        assert all(whole[name] == content for name, content in left.items())
        outcomes.add(len(left))
    assert 0 in outcomes


SEVERAL = ("predictive-limit", "cusum", "forecast", "divergence", "reliable-drop")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    path = full_file(folder / "full.csv", n_cases=45)
    result = run(path, folder / "out", methods=SEVERAL, within_sd=0.4, settings={"h": 3.0})
    return path, folder / "out", result


def test_methods_side_by_side_give_what_each_gives_alone(several, tmp_path):
    path, folder, _ = several
    together = rows(folder, "flags.csv")
    assert {row["method"] for row in together} == set(SEVERAL)
    for method in SEVERAL:
        given = {"h": 3.0} if method == "cusum" else {}
        run(path, tmp_path / method, methods=(method,), within_sd=0.4, settings=given)
        assert [row for row in together if row["method"] == method] == rows(tmp_path / method, "flags.csv")


def test_methods_that_learn_from_the_caseload_do_not_depend_on_blocks(several, tmp_path, monkeypatch):
    from alliance.readers import fast

    path, folder, _ = several
    monkeypatch.setattr(fast, "BLOCK_BYTES", 900)
    run(path, tmp_path, methods=SEVERAL, within_sd=0.4, settings={"h": 3.0})
    assert bytes_of(tmp_path) == bytes_of(folder)


def test_flags_of_several_methods_equal_those_of_the_library(several):
    path, folder, _ = several
    form = load_scale("wai-sr")
    scores = score(load(path, form).responses["wai-sr"], form)
    flags, _ = flag(scores, form, method=SEVERAL, within_sd=0.4, h=3.0)
    written = rows(folder, "flags.csv")
    assert [(row["method"], row["reason"]) for row in written] == list(
        zip(flags["method"], flags["reason"], strict=True)
    )


def test_every_method_says_what_chance_gives(several):
    _, _, result = several
    told = {row["name"]: row["chance"] for row in result.manifest["methods"]}
    assert set(told) == set(SEVERAL)
    assert told["divergence"]["finding"] == "divergence"
    for method in SEVERAL:
        assert f"{method}: " in result.view.prevalence
        assert f"Ruptures: {method} on the total of wai-sr" in "\n".join(result.view.methods)
    assert result.manifest["methods"][1]["settings"] == {"h": 3.0}


def test_what_was_learned_is_frozen_with_the_prior_and_used_again(several, tmp_path):
    from alliance.rupture import Frozen

    path, folder, result = several
    frozen = Frozen.from_json(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    assert set(frozen.priors) == {"client", "therapist", "client/therapist"}
    assert ("forecast", "client") in frozen.lessons
    run(path, tmp_path, methods=SEVERAL, within_sd=0.4, settings={"h": 3.0}, prior=frozen)
    again = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert again["prior"] == result.manifest["prior"]


def test_a_method_for_two_raters_needs_both(tmp_path):
    path = plain_file(tmp_path / "one_rater.csv")
    with pytest.raises(UsageError) as caught:
        run(path, tmp_path / "out", methods=("divergence",))
    assert str(caught.value).startswith(
        "error: divergence has nothing to judge\nhint: it needs ratings of client and"
    )
    assert not (tmp_path / "out" / MANIFEST).exists()


@pytest.mark.parametrize("n_forms", [40, "all", 5])
def test_the_sample_for_chance_does_not_depend_on_blocks(tmp_path, monkeypatch, n_forms):
    from alliance import study
    from alliance.readers import fast

    path = plain_file(tmp_path / "study.csv")
    total = path.read_text(encoding="utf-8").count("\n") - 1
    monkeypatch.setattr(study, "CHANCE_FORMS", total if n_forms == "all" else n_forms)
    whole = run(path, tmp_path / "whole")
    monkeypatch.setattr(fast, "BLOCK_BYTES", 700)
    blocks = run(path, tmp_path / "blocks")
    chance = whole.manifest["methods"][0]["chance"]
    assert blocks.manifest["methods"][0]["chance"] == chance


def test_only_online_methods_speak_about_today(tmp_path):
    path = plain_file(tmp_path / "study.csv")
    back = run(path, tmp_path / "back", methods=("level-shift",))
    assert {case.rupture for case in back.view.cases} == {"not told: level-shift looks back on whole courses"}
    assert {row["method"] for row in rows(tmp_path / "back", "flags.csv")} == {"level-shift"}
    both = run(path, tmp_path / "both", methods=("level-shift", "predictive-limit"))
    alone = run(path, tmp_path / "alone")
    assert [case.rupture for case in both.view.cases] == [case.rupture for case in alone.view.cases]
    assert both.view.prevalence.startswith("level-shift: ")


def test_a_case_without_a_joint_session_has_no_divergence_to_tell(tmp_path):
    path = full_file(tmp_path / "full.csv", n_cases=8)
    lines = path.read_text(encoding="utf-8").splitlines()
    alone = [line for line in lines if not (line.startswith("C003,") and ",therapist," in line)]
    result = run(write(path, alone), tmp_path / "out", methods=("divergence",), within_sd=0.1)
    told = {case.case: case.rupture for case in result.view.cases}
    assert told["C003"] == "not enough data: no session that divergence can judge"
    assert not any(text.startswith("rupture") for text in told.values())
