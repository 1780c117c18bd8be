"""`alliance model apply, show` and what `check` is told of the definitions, as a person uses them."""

import csv
import io
import json
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest
from model_helpers import (
    alliance,
    change,
    content_of,
    exploratory,
    hand_bundle,
    make_service,
    make_today,
    save,
    write,
)  # fmt: skip

from alliance.dropout.model.bundle import changed
from alliance.report.applied import applied_list

OK, USAGE, DATA = 0, 2, 3
GOLDEN = Path(__file__).parent / "golden"
NA = float("nan")
CAVEAT = (
    "A probability is about clients like this one in this service, not about this person. A low one does not "
    "mean low risk. Most clients flagged do not drop out. Risk of harm is not assessed.\n"
)


@pytest.fixture
def today(tmp_path):
    return make_today(tmp_path / "today")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_service(tmp_path_factory.mktemp("files") / "service", 100, 3)


@pytest.fixture(scope="module")
def fitted(files, tmp_path_factory):
    model = tmp_path_factory.mktemp("fitted") / "model.json"
    alliance("model", "fit", *files, "-o", model)
    return model


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    """A service that is large enough for drift to be judged."""
    return make_service(tmp_path_factory.mktemp("newer") / "service", 260, 9)


# apply


def test_what_a_model_says_reads_as_the_golden_file(command, today, tmp_path):
    done = command("model", "apply", *today, "--model", save(tmp_path / "m.json", hand_bundle()))
    assert done.code == OK
    assert done.out == (GOLDEN / "model_apply.txt").read_text(encoding="utf-8")
    assert done.err == f"status: validated; drift: not enough data: 0 of 50 dropouts\n{CAVEAT}"


def test_apply_prints_every_format(command, today, tmp_path):
    model = save(tmp_path / "m.json", hand_bundle())
    as_csv = list(
        csv.DictReader(
            io.StringIO(command("model", "apply", *today, "--model", model, "--format", "csv", "-q").out)
        )
    )
    as_json = json.loads(command("model", "apply", *today, "--model", model, "--format", "json", "-q").out)
    as_md = command("model", "apply", *today, "--model", model, "--format", "md", "-q").out
    names = ["case", "session", "p_next", "p_3", "status", "review", "why", "outside"]
    assert list(as_csv[0]) == names == list(as_json[0])
    assert as_md.splitlines()[0] == "| case | session | p_next | p_3 | status | review | why | outside |"
    # B: ratings 36 and 32, session 2; A: 36, session 1; D has no rating, so it stands at the mean.
    by_hand = {
        "B": (2, 1 / (1 + np.exp(2 + 0.5 * np.log(2) - 1.3)), 1 / (1 + np.exp(0.5)), True),
        "D": (1, 1 / (1 + np.exp(1.75)), 1 / (1 + np.exp(1)), False),
        "A": (1, 1 / (1 + np.exp(2)), 1 / (1 + np.exp(1)), False),
    }
    assert [row["case"] for row in as_json] == list(by_hand)
    for row, written in zip(as_json, as_csv, strict=True):
        session, p_next, p_3, review = by_hand[row["case"]]
        assert (row["session"], row["review"], row["status"]) == (session, review, "validated")
        assert (row["p_next"], row["p_3"]) == (pytest.approx(p_next), pytest.approx(p_3))
        assert float(written["p_next"]) == row["p_next"]
        assert written["review"] == ("yes" if review else "no")


def test_an_exploratory_model_lists_as_the_file_has_it_and_reviews_nobody(command, today, tmp_path):
    model = save(tmp_path / "m.json", exploratory())
    done = command("model", "apply", *today, "--model", model, "--format", "json")
    found = json.loads(done.out)
    assert [(row["case"], row["review"], row["status"]) for row in found] == [
        (case, None, "exploratory") for case in "ABD"
    ]
    assert done.err.startswith("status: exploratory; ")
    assert "REVIEW" not in command("model", "apply", *today, "--model", model).out


def test_every_session_is_listed_if_asked_for(command, today, tmp_path):
    model = save(tmp_path / "m.json", exploratory())
    rows = json.loads(command("model", "apply", *today, "--model", model, "--every", "--format", "json").out)
    # The risk set: sessions of which it is known what came next; C ended as planned, so its last is not in.
    assert [(row["case"], row["session"]) for row in rows] == [("B", 1)]


def test_no_ongoing_case_is_told(command, today, tmp_path):
    change(Path(today[4]), lambda row: {**row, "status": "ended", "end_reason": "mutual_planned"})
    done = command("model", "apply", *today, "--model", save(tmp_path / "m.json", hand_bundle()), "-q")
    assert (done.code, done.out) == (OK, "no case: no treatment is ongoing, or none was attended\n")


def test_apply_lists_ongoing_cases_only(command, fitted, files):
    with Path(files[4]).open(encoding="utf-8", newline="") as file:
        ongoing = [row["client_id"] for row in csv.DictReader(file) if row["status"] == "ongoing"]
    done = command("model", "apply", *files, "--model", fitted, "--format", "json", "-q")
    assert {row["case"] for row in json.loads(done.out)} <= set(ongoing)
    assert done.err == ""


def test_a_model_that_no_longer_ranks_orders_nothing(command, newer, tmp_path):
    turned = hand_bundle(last_date="2000-01-01")
    terms = [{**each, "coef": -each["coef"]} for each in turned.content["terms"]]
    model = save(tmp_path / "m.json", changed(turned, terms=terms))
    done = command("model", "apply", *newer, "--model", model, "--format", "json")
    rows = json.loads(done.out)
    assert {(row["status"], row["review"]) for row in rows} == {("exploratory", None)}
    cases = [row["case"] for row in rows]
    assert cases == sorted(cases)
    assert re.match(
        r"status: exploratory; drift: observed over expected \d\.\d\d, calibration slope -\d\.\d\d: the "
        r"model no longer ranks well enough, put it out of use\n",
        done.err,
    )
    target = tmp_path / "new.json"
    done = command("model", "apply", *newer, "--model", model, "--recalibrate", target, "-q")
    assert (done.code, done.err) == (
        DATA,
        "error: the model no longer ranks well enough; a new intercept does not mend that\n"
        "hint: fit a new model\n",
    )
    assert not target.exists()


def test_a_recalibrated_model_has_a_new_intercept_and_the_same_slopes(command, newer, tmp_path):
    old = hand_bundle(last_date="2000-01-01")
    model, target = save(tmp_path / "m.json", old), tmp_path / "new.json"
    done = command("model", "apply", *newer, "--model", model, "--recalibrate", target)
    assert done.code == OK
    assert done.err.endswith(f"Model with a new intercept: {target}\n")
    before, after = content_of(model), content_of(target)
    assert {key for key in after if before.get(key) != after[key]} == {
        "intercept", "landmark", "threshold", "recalibrations", "limits", "sha256",
    }  # fmt: skip
    assert before["intercept"]["coef"] == -2.0
    assert after["intercept"]["coef"] != -2.0
    assert after["landmark"]["terms"] == before["landmark"]["terms"]
    assert after["recalibrations"][0]["n_events"] >= 50
    if os.name != "nt":
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    done = command("model", "apply", *newer, "--model", model, "--recalibrate", target)
    assert (done.code, done.out, done.err) == (
        USAGE, "", f"error: '{target}' exists\nhint: choose another name, or replace it with --force\n",
    )  # fmt: skip


def test_too_few_new_dropouts_refit_nothing(command, today, tmp_path):
    model = save(tmp_path / "m.json", hand_bundle())
    done = command("model", "apply", *today, "--model", model, "--recalibrate", tmp_path / "n.json", "-q")
    assert (done.code, done.err) == (
        DATA,
        "error: not enough data to recalibrate: 0 of 50 new dropouts\n"
        "hint: wait for more closed treatments\n",
    )


# show


def test_show_prints_every_format(command, fitted):
    model = fitted
    assert json.loads(command("model", "show", model, "--format", "json").out) == content_of(model)
    lines = command("model", "show", model, "--format", "csv").out.splitlines()
    assert lines[0] == "name,words,coef,se,centre,scale,low,high"
    assert [line.split(",")[0] for line in lines[1:]] == [
        "log_session", "level", "change", "no_shows", "missing",
    ]  # fmt: skip
    assert command("model", "show", model, "--format", "md").out.startswith("| name | words |")
    assert command("model", "show", model).out.startswith("Exploratory: fitted, not validated yet.")


def test_an_existing_report_is_kept_without_force(command, fitted, tmp_path):
    report = write(tmp_path / "report.html", "mine")
    done = command("model", "show", fitted, "--report", report)
    assert (done.code, done.out, done.err) == (
        USAGE, "", f"error: '{report}' exists\nhint: choose another name, or replace it with --force\n",
    )  # fmt: skip
    assert report.read_text(encoding="utf-8") == "mine\n"
    assert command("model", "show", fitted, "--report", report, "--force").code == OK
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")


# how it reads


def row(**changes):
    usual = {
        "case": "C1", "session": 2, "p_next": 0.26, "p_3": 0.38, "review": None,
        "why": "raises: ratings below average", "outside": "",
    }  # fmt: skip
    return {**usual, **changes}


@pytest.mark.parametrize("width", [20, 30, 47, 80, 200])
def test_no_line_is_wider_than_asked(width):
    rows = [
        row(case="A-very-long-name-of-a-case-that-goes-on" * 2, why="lowers: session 2, " * 6),
        row(p_3=NA),
    ]
    said = applied_list(rows, width=width)
    assert max(map(len, said.splitlines())) <= max(width, 30)


def test_the_list_can_be_ascii_and_holds_no_control_characters():
    said = applied_list([row(case="Zoë\x1b[31m", why="lowers: session 2 …")], unicode=False)
    assert said == (
        "Zo\\xeb[31m session 2 26 % before the next session, 38 % within three\n    lowers: session 2 ...\n"
    )


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.0, "below 1 %"), (0.00999, "below 1 %"), (0.01, "1 %"), (0.0149, "1 %"), (0.5, "50 %"),
        (0.99, "99 %"), (0.9901, "above 99 %"), (1.0, "above 99 %"),
    ],
)  # fmt: skip
def test_a_probability_is_neither_none_nor_all(p, said):
    assert (
        applied_list([row(p_next=p, p_3=NA)]).splitlines()[0]
        == f"C1  session 2  {said} before the next session"
    )


# the options of the definition in `check`


LICENCE = (
    "note: ors: the form is licensed by ICCE; the definition holds numbers only, and using the form needs a "
    "licence\n"
)
CHECK = ("--dropout-def", "no_rci", "--format", "json")


@pytest.fixture
def outcomes(tmp_path):
    """Two ended treatments with an outcome form that has no published value here: +6 and +2 points."""
    ratings = write(
        tmp_path / "ratings.csv",
        "case,session,scale,q1,q2,q3,q4",
        *(f"{case},{session},srs,9,9,9,9" for case in "AB" for session in (1, 2)),
        "A,1,ors,5,5,5,5", "A,2,ors,6.5,6.5,6.5,6.5", "B,1,ors,5,5,5,5", "B,2,ors,5.5,5.5,5.5,5.5",
    )  # fmt: skip
    episodes = write(
        tmp_path / "episodes.csv",
        "client_id,episode_id,start_date,status,end_reason,observed_until",
        *(f"{case},1,2026-01-05,ended,mutual_planned,2026-06-30" for case in "AB"),
    )
    return ratings, "--episodes", episodes


def counts(done, name="no_rci"):
    found = json.loads(done.out)["dropout"]["definitions"]
    return next(each["counts"] for each in found if each["id"] == name)


@pytest.mark.parametrize(("value", "dropouts"), [("2", 0), ("2.1", 1), ("6.1", 2)])
def test_the_reliable_change_that_is_given_decides(command, outcomes, value, dropouts):
    done = command("check", *outcomes, *CHECK, "--rci", value, "--rci-source", "our manual")
    assert done.code == OK
    assert counts(done)["dropout"] == dropouts


def test_a_reliable_change_without_a_source_is_refused(command, outcomes):
    done = command("check", *outcomes, *CHECK, "--rci", "3.3")
    assert (done.code, done.out, done.err) == (
        USAGE,
        "",
        f"{LICENCE}error: the reliable-change value 3.3 of 'ors' has no source\n"
        "hint: name the paper or the manual it comes from\n",
    )
    done = command("check", *outcomes, *CHECK, "--rci", "-1", "--rci-source", "x")
    assert (done.code, done.err) == (
        USAGE,
        f"{LICENCE}error: a reliable-change value must be above 0, got -1\nhint: in points of the total\n",
    )


def test_the_number_of_sessions_that_counts_as_dropout_is_told_to_check(command, today):
    ended = Path(today[4])
    change(ended, lambda row: {**row, "status": "ended", "end_reason": "mutual_planned"})
    # A, C and D attended one session, B two.
    for k, dropouts in (("1", 0), ("2", 3), ("3", 4)):
        done = command("check", *today, "--format", "json", "--k", k)
        assert counts(done, "lt_k")["dropout"] == dropouts


def test_the_grace_period_is_told_to_check(command, today):
    change(
        Path(today[4]),
        lambda row: {**row, "status": "ended", "end_reason": "unknown", "observed_until": "2026-06-30"},
    )
    book = Path(today[6])
    text = book.read_text(encoding="utf-8")
    write(book, text + "A,2026-02-02,no_show\nD,2026-02-02,no_show")
    write(
        Path(today[4]),
        Path(today[4]).read_text(encoding="utf-8") + "A,2,2026-02-22,ended,unknown,4,2026-06-30",
    )
    change(Path(today[0]), lambda row: {**row, "case": {"A": "A/1"}.get(row["case"], row["case"])})
    change(book, lambda row: {**row, "case": {"A": "A/1"}.get(row["case"], row["case"])})
    write(book, book.read_text(encoding="utf-8").strip(), "A/2,2026-02-22,attended")
    # A came back 20 days after the appointment that was missed, D did not.
    for days, dropouts in (("19", 2), ("20", 1)):
        done = command("check", *today, "--format", "json", "--grace-days", days)
        assert counts(done, "missed_last")["dropout"] == dropouts


@pytest.mark.parametrize(("option", "value", "least"), [("--k", "0", 1), ("--grace-days", "-1", 0)])
def test_a_count_that_is_too_small_is_refused_where_it_is_given(command, today, option, value, least):
    done = command("check", *today, option, value)
    assert done.code == USAGE
    assert done.err.endswith(
        f"Error: Invalid value for '{option}': Input should be greater than or equal to {least}\n"
    )
