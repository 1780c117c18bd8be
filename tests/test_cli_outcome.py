"""`alliance outcome`: the table of the bundled clinic, every format, files of every kind, whole errors."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from alliance.cli.outcome import outcome
from alliance.errors import AllianceError
from alliance.scale import load_scale

GOLDEN = Path(__file__).parent / "golden"
CLINIC = Path(__file__).parent.parent / "data" / "srs-ors-clinic.csv"
STUDY = Path(__file__).parent.parent / "data" / "wai-sr-study.csv"

# Outcome(t + 1) is 2 alliance(t) within a case and 3 alliance between cases, and a little else.
SCORES = {
    "A": ([4, 6, 5, 3, 5], [0, 16, 21, 18, 15]),
    "B": ([6, 5, 8, 7, 6], [0, 25, 22, 27, 26]),
    "C": ([2, 1, 3, 4, 1], [0, 8, 7, 10, 13]),
    "D": ([9, 7, 8, 9, 7], [0, 34, 28, 31, 33]),
}


@pytest.fixture
def run(monkeypatch):
    """Run the command by itself, at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(outcome)

    def invoke(*arguments, **given):
        done = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=True, **given)
        if isinstance(done.exception, Exception):
            raise done.exception
        return done

    return invoke


@pytest.fixture
def refused(run):
    """Run the command and return the whole error."""

    def invoke(*arguments):
        with pytest.raises(AllianceError) as error:
            run(*arguments)
        return str(error.value)

    return invoke


def write(path, header, rows):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def sessions(alliance=True, outcome=True):
    for case, (wai, phq) in SCORES.items():
        for session, pair in enumerate(zip(wai, phq, strict=True), 1):
            yield (
                case,
                session,
                *(value for value, wanted in zip(pair, (alliance, outcome), strict=True) if wanted),
            )


@pytest.fixture
def plain(tmp_path):
    return write(tmp_path / "sessions.csv", "case,session,wai,phq", sessions())


PLAIN = ("--column", "wai", "--outcome-column", "phq")


def rows_of(done):
    return json.loads(done.stdout)


def value(rows, part, name, field="estimate", direction="alliance, then outcome"):
    (row,) = [r for r in rows if (r["part"], r["name"], r["direction"]) == (part, name, direction)]
    return row[field]


def test_the_table_of_the_clinic_is_golden(run):
    done = run(CLINIC, "--quiet")
    assert done.stdout == (GOLDEN / "outcome_clinic.txt").read_text(encoding="utf-8")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_plain_file_gives_the_numbers_of_a_fit_by_hand(run, plain):
    # Least squares on deviations from the cases' means; numpy's, in the test's own words.
    import numpy as np

    x, y, t, case = [], [], [], []
    for number, (wai, phq) in enumerate(SCORES.values()):
        x += wai[:-1]
        y += phq[1:]
        t += [1, 2, 3, 4]
        case += [number] * 4
    dummies = np.eye(4)[case]
    by_hand = np.linalg.lstsq(np.column_stack([x, t, dummies]), np.array(y, float), rcond=None)[0]
    rows = rows_of(run(plain, *PLAIN, "--no-autoregression", "--format", "json"))
    assert value(rows, "term", "within") == pytest.approx(by_hand[0], rel=1e-8)
    assert value(rows, "term", "session") == pytest.approx(by_hand[1], rel=1e-8)
    assert value(rows, "pairs", "in a pair", "n") == 16
    assert value(rows, "lost", "no session later in the case", "n") == 4
    assert value(rows, "pairs", "in a pair", "n", "outcome, then alliance") == 20


@pytest.mark.parametrize(
    ("better", "reads"),
    [((), "higher"), (("--better", "higher"), "better"), (("--better", "lower"), "worse")],
    ids=["nobody said", "higher", "lower"],
)
def test_a_plain_outcome_is_better_as_the_user_says(run, plain, better, reads):
    rows = rows_of(run(plain, *PLAIN, "--no-autoregression", *better, "--format", "json"))
    assert value(rows, "term", "within", "reads") == reads
    assert value(rows, "term", "between", "reads") == reads


def test_two_plain_files_say_the_same_as_one(run, plain, tmp_path):
    one = write(tmp_path / "wai.csv", "case,session,wai", sessions(outcome=False))
    other = write(tmp_path / "phq.csv", "case,session,phq", sessions(alliance=False))
    for files in ((one, other), (other, one)):
        assert run(*files, *PLAIN).stdout == run(plain, *PLAIN).stdout


def test_standard_input_holds_scores_where_two_columns_are_named(run, plain):
    assert run("-", *PLAIN, input=plain.read_text(encoding="utf-8")).stdout == run(plain, *PLAIN).stdout


def test_standard_input_holds_answers_otherwise(run):
    asked = ("--quiet", "--correlations")
    assert run("-", *asked, input=CLINIC.read_text(encoding="utf-8")).stdout == run(CLINIC, *asked).stdout


def split_clinic(tmp_path):
    """Return the clinic's SRS and ORS answers as two files without a scale column."""
    with CLINIC.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    files = []
    for form in ("srs", "ors"):
        keys = ("case", "session", "date", "q1", "q2", "q3", "q4")
        own = [[row[key] for key in keys] for row in rows if row["scale"] == form and row["session"]]
        files.append(write(tmp_path / f"{form}.csv", ",".join(keys), own))
    return files


def test_answers_in_two_files_are_told_apart_by_their_order(run, tmp_path):
    asked = ("--alliance", "srs", "--outcome", "ors", "--quiet", "--correlations", "--format", "csv")
    assert run(*split_clinic(tmp_path), *asked).stdout == run(CLINIC, *asked).stdout


def answers_of(form, levels, *, sessions=5):
    """Yield case, session and equal answers to every item, higher where `levels` says."""
    for case, level in levels.items():
        for session in range(1, sessions + 1):
            yield (case, session, form, *([(level + session * (1 + level) % 3) % 4] * 9))


def test_the_direction_comes_with_the_form(run, tmp_path):
    # The ORS answers again, written on the PHQ-9's line of symptoms: higher is now worse, so the words turn.
    with CLINIC.open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["session"]]
    for row in rows:
        answers = [row[f"q{number}"] for number in range(1, 5)]
        if row["scale"] == "ors" and all(answers):
            total = sum(map(float, answers))
            counts = [int(total * 27 / 40)] * 1
            row["items"] = [min(3, max(0, counts[0] - 3 * place)) for place in range(9)]
        elif row["scale"] == "ors":
            row["items"] = [""] * 9
        else:
            row["items"] = [*answers, "", "", "", "", ""]
        row["form"] = {"ors": "phq-9", "srs": "srs"}[row["scale"]]
    header = "case,session,scale," + ",".join(f"q{number}" for number in range(1, 10))
    file = write(
        tmp_path / "both.csv", header, [(r["case"], r["session"], r["form"], *r["items"]) for r in rows]
    )
    turned = rows_of(run(file, "--quiet", "--no-reverse", "--format", "json"))
    straight = rows_of(run(CLINIC, "--quiet", "--no-reverse", "--format", "json"))
    assert value(straight, "term", "within") > 0
    assert value(turned, "term", "within") > 0
    assert value(straight, "term", "within", "reads") == "better"
    assert value(turned, "term", "within", "reads") == "worse"


def test_a_rater_is_chosen(run, tmp_path):
    rows = [(*row, "therapist") for row in sessions()] + [
        (case, session, wai + 1, phq, "client") for case, session, wai, phq in sessions()
    ]
    file = write(tmp_path / "raters.csv", "case,session,wai,phq,rater", rows)
    asked = ("--correlations", "--format", "json")
    means = {
        rater: value(rows_of(run(file, *PLAIN, *asked, "--rater", rater)), "mean", "alliance")
        for rater in ("client", "therapist")
    }
    assert means["client"] == pytest.approx(means["therapist"] + 1)


def test_a_long_gap_is_told(run, tmp_path):
    rows = [(*row, f"2026-0{1 + row[1] // 3 * 3}-{10 + row[1]}") for row in sessions()]
    file = write(tmp_path / "dates.csv", "case,session,wai,phq,date", rows)
    asked = (*PLAIN, "--correlations", "--no-autoregression", "--format", "json")
    assert value(rows_of(run(file, *asked)), "lost", "sessions too far apart", "n") == 4
    wide = rows_of(run(file, *asked, "--max-gap-days", "100"))
    assert value(wide, "pairs", "in a pair", "n") == 16


@pytest.mark.parametrize(
    ("option", "part", "name"),
    [
        (("--random-slope",), "model", "slope_sd"),
        (("--detrend",), "model", "trend_sd"),
        (("--therapists",), "model", "therapist_sd"),
    ],
    ids=lambda each: each if isinstance(each, str) else each[0],
)
def test_an_option_adds_what_it_says(run, option, part, name):
    plain, more = (rows_of(run(CLINIC, "-q", "--no-reverse", *o, "--format", "json")) for o in ((), option))
    assert value(plain, part, name) is None
    assert value(more, part, name) >= 0


def test_earlier_sessions_stand_for_the_usual_level_if_asked(run):
    rows = rows_of(run(CLINIC, "-q", "--centre", "so-far", "--format", "json"))
    assert value(rows, "lost", "no earlier score to compare with", "n") > 0
    assert value(rows, "model", "r2_within") is None


def test_lags_and_directions(run, plain):
    rows = rows_of(run(plain, *PLAIN, "--lag", "2", "--correlations", "--format", "json"))
    assert value(rows, "pairs", "in a pair", "n") == 12
    assert value(rows, "pairs", "in a pair", "n", "outcome, then alliance") == 16
    rows = rows_of(run(plain, *PLAIN, "--reverse-lag", "2", "--correlations", "--format", "json"))
    assert value(rows, "pairs", "in a pair", "n", "outcome, then alliance") == 12
    rows = rows_of(run(plain, *PLAIN, "--no-reverse", "--correlations", "--format", "json"))
    assert {row["direction"] for row in rows} == {"alliance, then outcome"}
    assert "session t, phq at the same session" in run(plain, *PLAIN, "--lag", "0", "--no-reverse").stdout


def test_csv_and_json_hold_the_same(run, plain):
    table = list(csv.DictReader(io.StringIO(run(plain, *PLAIN, "--format", "csv").stdout)))
    objects = rows_of(run(plain, *PLAIN, "--format", "json"))
    assert len(table) == len(objects)
    for line, thing in zip(table, objects, strict=True):
        assert list(line) == list(thing)
        assert line["estimate"] == ("" if thing["estimate"] is None else str(thing["estimate"]))


def test_markdown_has_the_same_cells(run, plain):
    assert "| alliance, within | " in run(plain, *PLAIN, "--format", "md").stdout


def test_a_study_too_small_for_a_model_says_so(run, tmp_path):
    rows = [row for row in sessions() if row[0] in "AB"]
    done = run(write(tmp_path / "two.csv", "case,session,wai,phq", rows), *PLAIN, "--no-reverse")
    assert "no model: not enough data: the pairs are of 2 cases, of 3 needed" in done.stdout
    assert "between: not enough data: 2 cases" in done.stdout


def test_without_statsmodels_correlations_are_left(run, refused, plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    assert refused(plain, *PLAIN) == (
        "error: the mixed models of alliance and outcome need statsmodels, which is not installed\n"
        'hint: pip install "alliance-toolkit[models]"; the correlations alone (--correlations) need it not'
    )
    assert "within" in run(plain, *PLAIN, "--correlations").stdout


def test_what_cannot_be_asked_is_refused(refused, plain):
    assert refused(plain, *PLAIN, "--centre", "median") == (
        "error: --centre is one of mean, so-far, got 'median'\nhint: see --help"
    )
    assert refused(plain, *PLAIN, "--better", "up") == (
        "error: --better is one of higher, lower, got 'up'\nhint: see --help"
    )
    assert refused(plain, *PLAIN, "--max-gap-days", "0") == (
        "error: --max-gap-days must be above 0, got 0\nhint: see --help"
    )
    assert refused(plain, *PLAIN, "--therapists", "--detrend") == (
        "error: therapists cannot be had together with a random slope or detrended courses\n"
        "hint: leave out --therapists, or --random-slope and --detrend"
    )
    assert refused(CLINIC, "-q", "--better", "lower") == (
        "error: --better belongs to a plain column: a form knows its direction\nhint: leave it out"
    )


def test_a_form_or_score_nobody_knows_is_answered_with_the_known(refused):
    assert refused(CLINIC, "-q", "--alliance", "wai") == (
        "error: unknown form in these files, --alliance 'wai'\nhint: known: ors, srs"
    )
    assert refused(CLINIC, "-q", "--outcome-column", "risk") == (
        "error: unknown score of ors 'risk'\nhint: known: " + ", ".join(sorted(load_scale("ors").scores))
    )


def test_a_form_on_which_more_is_worse_is_no_alliance(refused, tmp_path):
    rows = [(case, session, "phq-9", *[session % 4] * 9) for case in "ABC" for session in (1, 2, 3)]
    header = "case,session,scale," + ",".join(f"q{number}" for number in range(1, 10))
    file = write(tmp_path / "phq.csv", header, rows)
    assert refused(file, "-q", "--alliance", "phq-9") == (
        "error: total of phq-9 is no alliance: a higher score is not a stronger one\n"
        "hint: --alliance names the alliance form, --outcome the other one"
    )
    assert refused(file, "-q") == (
        "error: no alliance form in these files\n  forms: phq-9\n"
        "hint: name a form with --alliance ID, or a column with --column"
    )


def test_a_file_without_outcome_is_refused(refused, plain):
    assert refused(STUDY, "-q", "--scale", "wai-sr") == (
        "error: no outcome form in these files\n  forms: wai-sr\n"
        "hint: name a form with --outcome ID, or a column with --outcome-column"
    )
    assert refused(plain, "--column", "wai") == (
        "error: no outcome form in these files\n  no file with answers to a form\n"
        "hint: name a form with --outcome ID, or a column with --outcome-column"
    )


def test_several_outcome_forms_are_not_chosen_between(refused, tmp_path):
    rows = [(c, s, form, *[s % 4] * 9) for form in ("phq-9", "gad-7", "srs") for c in "AB" for s in (1, 2)]
    rows = [row[:10] + ("",) * 2 if row[2] == "gad-7" else row for row in rows]
    rows = [row[:7] + ("",) * 5 if row[2] == "srs" else row for row in rows]
    header = "case,session,scale," + ",".join(f"q{number}" for number in range(1, 10))
    file = write(tmp_path / "many.csv", header, rows)
    assert refused(file, "-q") == (
        "error: several outcome forms: gad-7, phq-9\nhint: say which with --outcome ID"
    )


def test_a_rater_who_is_not_there_is_answered_with_those_who_are(refused, plain):
    assert refused(plain, *PLAIN, "--rater", "observer") == (
        "error: no alliance rated by 'observer'\n  raters: client\nhint: name one with --rater"
    )
    assert refused(plain, *PLAIN, "--outcome-rater", "observer") == (
        "error: no outcome rated by 'observer'\n  raters: client\nhint: name one with --outcome-rater"
    )


def test_a_session_in_two_files_is_refused(refused, plain, tmp_path):
    again = write(tmp_path / "again.csv", "case,session,wai,phq", list(sessions())[:2])
    assert refused(plain, again, *PLAIN) == (
        "error: the same session stands in several files\n"
        "  case A, session 1, client\n  case A, session 2, client\nhint: give each session once"
    )


def test_the_help_tells_the_timing(run):
    text = " ".join(run("--help").stdout.split())
    assert (
        "alliance at session t is held against outcome at session t + 1, given the outcome at session t"
        in text
    )
    assert "a gap is never bridged" in text
    assert "An association is no cause" in text
