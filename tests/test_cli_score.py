"""`alliance score`: one form with what may be said of it, and files with what must be told of their forms."""

import json
import sys

import pytest

from alliance.cli import score as score_command

WHOLE = ",".join(["1"] * 45)


def one(command, scale, answers, *options):
    return command("score", "--scale", scale, "--answers", answers, *options)


def test_one_form_is_scored_with_its_readings(command):
    done = one(command, "srs", "9.1,8.7,9,8.8", "--format", "json")
    (row,) = json.loads(done.out)
    assert {name: row[name] for name in ("total", "n_missing", "note")} == {
        "total": pytest.approx(35.6),
        "n_missing": 0,
        "note": "",
    }
    assert row["readings"] == [
        {
            "kind": "cut-off",
            "score": "total",
            "text": "35.6 is at or below 36, discuss the alliance with the client; 36 itself counts",
            "status": "published",
            "source": "Developers' scoring manual (Miller & Duncan); repeated by several guides",
        }
    ]


def test_the_readings_of_a_phq_9_at_80_columns(command):
    done = one(command, "phq-9", "1,2,0,3,1,0,2,1,1")
    assert done.out == (
        "total  n_missing  note\n"
        "   11          0  item 9 answered 1 or more: suicide or self-harm thoughts\n"
        "\n"
        "about          reading\n"
        "alert          item 9 answered 1 (high): suicide or self-harm thoughts (Kroenke\n"
        "               et al. (2001); two public implementations)\n"
        "cut-off total  11 is at or above 10, probable major depression; caseness in NHS\n"
        "               Talking Therapies; 10 itself counts (Kroenke et al. (2001); two\n"
        "               public implementations; NHS Talking Therapies manual)\n"
        "band total     11 is moderate, 10 to 14 (CamCOPS, University of Cambridge\n"
        "               (public implementation); awell-health/awell-score (public\n"
        "               implementation))\n"
        "pattern        major depressive syndrome by the pattern of answers: not met\n"
        "               (CamCOPS, University of Cambridge (public implementation))\n"
        "pattern        other depressive syndrome by the pattern of answers: met\n"
        "               (CamCOPS, University of Cambridge (public implementation))\n"
    )


@pytest.mark.parametrize("scale", ["wai-sr", "s-wai-6"])
def test_where_no_cutoff_exists_that_is_said(command, scale):
    done = one(command, scale, ",".join(["1"] * {"wai-sr": 12, "s-wai-6": 6}[scale]))
    assert done.out.endswith("cut-off  no cut-off exists in this definition, and none is made up\n")


def test_csv_holds_the_scores_alone(command):
    done = one(command, "gad-7", "0,1,2,3,0,1,2", "--format", "csv")
    assert done.out == "total,n_missing,note\n9.0,0,\n"


def test_what_must_be_told_goes_to_standard_error_once_and_not_when_quiet(command):
    assert one(command, "phq-8", "0,0,0,0,0,0,0,0").err == (
        "note: phq-8: has no risk item by design: that it reports none is no sign of safety\n"
    )
    assert one(command, "phq-8", "0,0,0,0,0,0,0,0", "--quiet").err == ""


def test_an_unconfirmed_subscale_is_scored_only_when_asked(command):
    done = one(command, "oq-45", WHOLE, "--format", "json")
    (row,) = json.loads(done.out)
    assert set(row) == {"total", "n_missing", "note", "readings"}
    assert "oq-45: symptom-distress, interpersonal-relations, social-role not scored" in done.err
    asked = one(command, "oq-45", WHOLE, "--include-unverified", "--format", "json")
    (row,) = json.loads(asked.out)
    # All 1 on 0 to 4: 25, 11 and 9 items, of which 4, 3 and 2 are reversed and count 3.
    assert (row["symptom-distress"], row["interpersonal-relations"], row["social-role"]) == (31, 19, 13)
    assert any(reading["text"].endswith("(UNVERIFIED)") for reading in row["readings"])


def test_the_form_before_tells_whether_a_change_is_reliable(command):
    done = one(
        command, "core-10", "0,4,4,0,0,0,0,0,0,0", "--previous", "1,3,3,1,1,0,1,1,1,0", "--format", "json"
    )
    (row,) = json.loads(done.out)
    changes = [reading["text"] for reading in row["readings"] if reading["kind"] == "change"]
    assert changes == [
        "change of -8: reliable improvement by 6 (level: 90%)",
        "change of -8: reliable improvement by 6.749 (level: 95%) (derived, not published)",
    ]


def test_spread_and_reliability_that_are_given_make_a_derived_change(command):
    spread = ["--sd", "5", "--reliability", "0.84"]
    done = one(command, "srs", "5,5,5,5", "--previous", "9,9,9,9", *spread, "--format", "json")
    (row,) = json.loads(done.out)
    (change,) = [reading for reading in row["readings"] if reading["kind"] == "change"]
    assert change["text"] == (
        "change of -16: reliable deterioration by 5.544 (level: 95%) (derived, not published)"
    )
    assert change["source"] == "computed from SD 5 and reliability 0.84 (given by the user)"


def test_a_prorated_form_has_no_reliable_change(command):
    done = one(command, "care", "5,,5,5,5,5,5,5,5,5", "--previous", "1,1,1,1,1,1,1,1,1,1")
    assert (done.code, done.err) == (
        3,
        "error: a prorated score has no published reliable change\n"
        "hint: leave out --previous, or fill in the unanswered items\n",
    )


def test_a_file_is_scored_with_alerts_first_in_the_note(command, tmp_path):
    file = tmp_path / "phq.csv"
    items = ",".join(f"q{number}" for number in range(1, 10))
    file.write_text(f"case,session,{items}\nC1,1,0,0,0,0,0,0,0,0,2\nC2,1,0,,0,0,0,0,0,0,\n", encoding="utf-8")
    rows = json.loads(command("score", file, "--scale", "phq-9", "--format", "json").out)
    assert [row["note"] for row in rows] == [
        "item 9 answered 1 or more: suicide or self-harm thoughts",
        "item 9 not answered: suicide or self-harm thoughts; no total: too many unanswered items",
    ]


def test_a_form_without_a_total_has_its_scores_and_an_empty_total(command, tmp_path):
    file = tmp_path / "seq.csv"
    items = ",".join(f"q{number}" for number in range(1, 22))
    answers = ",".join(["4"] * 21)
    file.write_text(f"case,session,{items}\nC1,1,{answers}\n", encoding="utf-8")
    (row,) = json.loads(command("score", file, "--scale", "seq-5", "--format", "json").out)
    assert (row["smoothness"], row["total"], row["note"]) == (4.0, None, "provisional key")
    (row,) = json.loads(
        command("score", file, "--scale", "seq-5", "--include-unverified", "--format", "json").out
    )
    assert (row["depth"], row["arousal"]) == (4.0, 4.0)


def test_answers_in_percent_are_read_in_their_own_range(command, tmp_path):
    file = tmp_path / "ceq.csv"
    file.write_text(
        "case,session,q1,q2,q3,q4,q5,q6\nC1,1,9,8,7,80,5,100\nC2,1,9,8,10,80,5,101\n", encoding="utf-8"
    )
    done = command("score", file, "--scale", "ceq")
    assert done.code == 3
    assert "error: 2 answers outside 1 to 9; items 4 6: 0 to 100, the range of 'ceq'\n" in done.err
    kept = command("score", file, "--scale", "ceq", "--on-error", "drop", "--format", "json")
    assert [row["credibility"] for row in json.loads(kept.out)] == [24.0, None]


def test_a_form_without_a_total_cannot_be_judged(command, tmp_path):
    file = tmp_path / "seq.csv"
    items = ",".join(f"q{number}" for number in range(1, 22))
    file.write_text(f"case,session,{items}\nC1,1,{','.join(['4'] * 21)}\n", encoding="utf-8")
    done = command("analyze", file, "--scale", "seq-5", "-o", tmp_path / "out")
    assert (done.code, done.err) == (
        2,
        "error: 'seq-5' has no total: a fall of its scores cannot be judged\n"
        "hint: flag an alliance form, such as wai-sr or srs\n",
    )


def test_asking_needs_a_terminal(command):
    done = command("score", "--scale", "srs", "--ask")
    assert (done.code, done.err) == (
        2,
        "error: --ask needs a terminal\nhint: give the answers with --answers\n",
    )


def test_each_answer_is_asked_for_and_an_impossible_one_again(command, monkeypatch, tmp_path):
    typed = iter(["9", "11", "8.5", "", "7"])
    asked = []

    def answer(question, **_):
        asked.append(question)
        return next(typed)

    texts = tmp_path / "mine.csv"
    texts.write_text("item,text\n2,my own text\n", encoding="utf-8")
    monkeypatch.setattr(score_command.typer, "prompt", answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    done = command("score", "--scale", "srs", "--ask", "--texts", texts, "--format", "json")
    assert asked == [
        "1. relationship (0 to 10, empty: not answered)",
        "2. my own text (0 to 10, empty: not answered)",
        "2. my own text (0 to 10, empty: not answered)",
        "3. approach or method (0 to 10, empty: not answered)",
        "4. overall (0 to 10, empty: not answered)",
    ]
    assert json.loads(done.out)[0]["n_missing"] == 1
    assert "'11' is no answer of this item" in done.err


def test_analyze_tells_alerts_before_anything_else(command, tmp_path):
    rows = ["case,session,scale,q1,q2,q3,q4,q5,q6,q7,q8,q9"]
    rows += [f"C1,{session},srs,9,9,9,9,,,,," for session in (1, 2)]
    rows += ["C1,1,phq-9,0,0,0,0,0,0,0,0,1", "C1,2,phq-9,0,0,0,0,0,0,0,0,"]
    file = tmp_path / "both.csv"
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = command("analyze", file, "-o", tmp_path / "out", "--format", "json")
    alerts = json.loads(done.out)["alerts"]
    assert alerts == [
        "phq-9, item 9 answered 1 or more: suicide or self-harm thoughts: 1 form, named in the note column "
        "of the scores",
        "phq-9, item 9 not answered: suicide or self-harm thoughts: 1 form, named in the note column of "
        "the scores",
    ]
    shown = command("analyze", file, "-o", tmp_path / "out").out.splitlines()
    place = next(number for number, line in enumerate(shown) if line.startswith("Read first: "))
    assert shown[place : place + 2] == [
        "Read first: phq-9, item 9 answered 1 or more: suicide or self-harm thoughts: 1",
        "  form, named in the note column of the scores",
    ]
    assert place < next(number for number, line in enumerate(shown) if "case C1" in line)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.index("<h3>Read first</h3>") < page.index("<h3>Notes</h3>") < page.index('id="list"')
    assert "<li>phq-9, item 9 not answered: suicide or self-harm thoughts: 1 form" in page
