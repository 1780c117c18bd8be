"""`alliance analyze` and `alliance risk` with a model and with episodes: one list in every output."""

import csv
import html
import io
import json
import re

import pytest
from model_helpers import content_of, expit, exploratory, hand_bundle, save, write

from alliance.dropout.model.bundle import changed
from alliance.dropout.model.listing import MODEL_COLUMNS
from alliance.frames import RISK

OK, USAGE = 0, 2
DAY = "2026-01-20"
ORDER = {
    # case: level, level of the rules, probability by hand (ratings in the comment), None = no answer
    "B": ("REVIEW", "REVIEW", 0.259884),  # 36, 32: -2 - .5 log 2 + .5 + .8
    "D": ("REVIEW", "INSUFFICIENT_DATA", 0.148047),  # attended, never rated: -2 + .25
    "A": ("REVIEW", "WATCH", 0.119203),  # 36: -2
    "G": ("REVIEW", "NO_FLAG", 0.106691),  # 36.5: -2 - .125
    "H": ("REVIEW", "REVIEW", None),  # a no-show, never attended
    "F": ("WATCH", "REVIEW", 0.080717),  # 40, 39, 36: -2 - .5 log 3 - 2.333 / 4 + .8 · 3.5 / 4
    "C": ("WATCH", "WATCH", None),  # 24; has ended
    "E": ("NO_FLAG", "NO_FLAG", 0.034008),  # 40, 40: -2 - .5 log 2 - 1
}
BY_RULES = ["B", "F", "H", "C", "A", "D", "G", "E"]
COURSES = {"A": [36], "B": [36, 32], "C": [24], "E": [40, 40], "F": [40, 39, 36], "G": [36.5]}
DATES = ("2026-01-05", "2026-01-12", "2026-01-19")


def forms(courses):
    return [
        f"{case},{place},{DATES[place - 1]}" + f",{score / 4}" * 4
        for case, course in courses.items()
        for place, score in enumerate(course, 1)
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Eight cases, two of them without any form."""
    folder = tmp_path_factory.mktemp("study")
    ratings = write(folder / "ratings.csv", "case,session,date,q1,q2,q3,q4", *forms(COURSES))
    episodes = write(
        folder / "episodes.csv",
        "client_id,episode_id,start_date,status,end_reason,planned_sessions,observed_until",
        *(
            f"{case},1,2026-01-05," + ("ended,mutual_planned" if case == "C" else "ongoing,") + f",8,{DAY}"
            for case in "ABCDEFGH"
        ),
    )
    booked = [
        f"{case},{day},attended"
        for case, n in [*((case, len(course)) for case, course in COURSES.items()), ("D", 1)]
        for day in DATES[:n]
    ]
    visits = write(folder / "visits.csv", "case,date,attendance", *booked, "H,2026-01-05,no_show")
    return (
        ratings, "--scale", "srs", "--sem", "1.2", "--episodes", episodes, "--attendance", visits,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model") / "model.json", hand_bundle(threshold=0.1))


def risk_rows(folder):
    with (folder / "risk.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def same(done, folder):
    """Whether a list printed as CSV says what a risk table says, numbers however they are written."""

    def values(rows):
        return [{name: number(cell) for name, cell in row.items()} for row in rows]

    return values(csv.DictReader(io.StringIO(done.out))) == values(risk_rows(folder))


def number(cell):
    try:
        return round(float(cell), 9)
    except ValueError:
        return cell


def test_the_probabilities_of_the_table_are_right():
    log2, log3 = 0.69314718056, 1.09861228867
    logits = {
        "B": -2 - 0.5 * log2 + 0.5 + 0.8, "D": -1.75, "A": -2, "G": -2.125,
        "F": -2 - 0.5 * log3 - 7 / 12 + 0.7, "E": -3 - 0.5 * log2,
    }  # fmt: skip
    assert {case: round(float(expit(logit)), 6) for case, logit in logits.items()} == {
        case: p for case, (_, _, p) in ORDER.items() if p is not None
    }


def test_a_validated_model_orders_every_output_alike(command, files, model, tmp_path):
    folder = tmp_path / "out"
    done = command("analyze", *files, "--risk-model", model, "-o", folder, "-q")
    assert done.code == OK, done.err
    rows = risk_rows(folder)
    assert list(rows[0]) == [*RISK, *MODEL_COLUMNS]
    assert {row["case"]: (row["level"], row["rules_level"]) for row in rows} == {
        case: (level, rules) for case, (level, rules, _) in ORDER.items()
    }
    assert [row["case"] for row in rows] == list(ORDER)
    for row in rows:
        p = ORDER[row["case"]][2]
        assert row["p_next"] == "" if p is None else float(row["p_next"]) == pytest.approx(p, abs=1e-6)
        assert row["model"] == ("" if p is None else "validated")
    words = {"REVIEW": "!! REVIEW", "WATCH": "! WATCH", "NO_FLAG": "- NO FLAG"}
    heads = re.findall(r"^(\S+ [A-Z ]+)  case ([A-H]),", done.out, flags=re.M)
    assert heads == [(words[level], case) for case, (level, _, _) in ORDER.items()]
    page = html.unescape((folder / "report.html").read_text(encoding="utf-8"))
    as_json = json.loads(
        command("analyze", *files, "--risk-model", model, "-o", folder, "--format", "json", "-q").out
    )
    assert [(each["case"], each["level"]) for each in as_json["cases"]] == [
        (case, level) for case, (level, _, _) in ORDER.items()
    ]
    said = {each["case"]: each["model"] for each in as_json["cases"]}
    assert said["F"] == (
        "model (validated): 8 % before the next session, 17 % within three; raises: latest rating lower than "
        "before; lowers: ratings above average, session 3; the rules alone: REVIEW"
    )
    assert said["H"] == said["C"] == ""
    for case, words in said.items():
        assert words in page, case
    assert as_json["counts"] == {"REVIEW": 5, "WATCH": 2, "INSUFFICIENT_DATA": 0, "NO_FLAG": 1}


def test_risk_lists_the_same_as_analyze(command, files, model, tmp_path):
    command("analyze", *files, "--risk-model", model, "-o", tmp_path / "out", "-q")
    done = command("risk", *files, "--risk-model", model, "--format", "csv", "-q")
    assert same(done, tmp_path / "out")
    as_text = command("risk", *files, "--risk-model", model).out
    words = {"REVIEW": "!! REVIEW", "WATCH": "! WATCH", "NO_FLAG": "- NO FLAG"}
    heads = re.findall(r"^([A-H])  session \d  \[(.*?)\]", as_text, flags=re.M)
    assert heads == [(case, words[level]) for case, (level, _, _) in ORDER.items()]
    assert max(map(len, as_text.splitlines())) <= 80


def test_where_a_model_tells_nobody_apart_the_rules_order_its_list(command, files, tmp_path):
    flat = hand_bundle(threshold=0.1)
    flat = changed(flat, terms=[{**each, "coef": 0.0} for each in flat.content["terms"]])
    model = save(tmp_path / "model.json", flat)
    command("analyze", *files, "--risk-model", model, "-o", tmp_path / "out", "-q")
    # All with an answer are REVIEW; of H and C there is none.
    assert [row["case"] for row in risk_rows(tmp_path / "out")] == ["B", "F", "A", "D", "G", "E", "H", "C"]
    done = command("risk", *files, "--risk-model", model, "--format", "csv", "-q")
    assert same(done, tmp_path / "out")


def test_the_record_of_a_case_says_what_the_model_says(command, files, model):
    records = json.loads(command("risk", *files, "--risk-model", model, "--format", "json", "-q").out)
    assert [record["client"] for record in records] == list(ORDER)
    assert {record["definition_id"] for record in records} == {"unilateral"}
    by_case = {record["client"]: record for record in records}
    for case, (level, rules, p) in ORDER.items():
        said = by_case[case]["model"]
        assert by_case[case]["level"] == level
        if p is None:
            assert said is None
        else:
            assert (said["p_next"], said["rules_level"]) == (pytest.approx(p, abs=1e-6), rules)
    assert by_case["A"]["model"]["p_3"] == pytest.approx(0.268941, abs=1e-6)
    assert by_case["A"]["model"]["status"] == "validated"
    bare = json.loads(command("risk", *files, "--format", "json", "-q").out)
    assert {(record["model"], record["definition_id"]) for record in bare} == {(None, None)}


def test_an_exploratory_model_changes_no_level_and_no_order(command, files, tmp_path):
    model = save(tmp_path / "model.json", exploratory())
    bare, beside = tmp_path / "bare", tmp_path / "beside"
    first = command("analyze", *files, "-o", bare, "-q")
    second = command("analyze", *files, "--risk-model", model, "-o", beside, "-q")
    assert (first.code, second.code) == (OK, OK)
    assert [row["case"] for row in risk_rows(bare)] == BY_RULES
    old = (bare / "risk.csv").read_text(encoding="utf-8").splitlines()
    new = (beside / "risk.csv").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith(f"{before},") for before, line in zip(old, new, strict=True))
    for name in ("scores.csv", "flags.csv", "episodes.csv"):
        assert (bare / name).read_bytes() == (beside / name).read_bytes()
    assert [row["rules_level"] for row in risk_rows(beside)] == [row["level"] for row in risk_rows(bare)]
    assert "is exploratory and orders nothing" in command("risk", *files, "--risk-model", model).out.replace(
        "\n  ", " "
    )


@pytest.mark.parametrize("orders", [True, False])
def test_a_report_says_what_orders_its_list(command, files, model, tmp_path, orders):
    path = model if orders else save(tmp_path / "model.json", exploratory())
    done = command("analyze", *files, "--risk-model", path, "-o", tmp_path / "out", "--format", "json", "-q")
    view = json.loads(done.out)
    by_rules = "Dropout risk: DRF-1, transparent rules; an ordinal level, never a probability."
    assert (view["methods"][-1] == by_rules) is not orders
    told = "ordered by the model of 2026-01-02" if orders else "the model of 2026-01-02 (400 cases"
    assert sum(note.startswith(told) for note in view["notes"]) == 1


def test_the_manifest_names_the_model(command, files, model, tmp_path):
    command("analyze", *files, "--risk-model", model, "-o", tmp_path / "out", "-q")
    manifest = content_of(tmp_path / "out" / "manifest.json")
    assert manifest["risk"]["model"] == {
        "sha256": content_of(model)["sha256"], "status": "validated", "created": "2026-01-02",
    }  # fmt: skip
    assert [each["name"] for each in manifest["inputs"]] == ["ratings.csv", "visits.csv", "episodes.csv"]
    assert manifest["risk"]["levels"] == {"REVIEW": 5, "WATCH": 2, "INSUFFICIENT_DATA": 0, "NO_FLAG": 1}
    command("analyze", *files, "-o", tmp_path / "bare", "-q")
    assert content_of(tmp_path / "bare" / "manifest.json")["risk"]["model"] is None


def test_a_table_of_analyze_has_a_column_of_the_model_if_there_is_one(command, files, model, tmp_path):
    out = command(
        "analyze", *files, "--risk-model", model, "-o", tmp_path / "out", "--format", "csv", "-q"
    ).out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows[0]["model"].startswith("model (validated): 26 % before the next session")
    out = command("analyze", *files, "-o", tmp_path / "bare", "--format", "csv", "-q").out
    assert "model" not in next(csv.DictReader(io.StringIO(out)))


@pytest.mark.parametrize("verb", ["analyze", "risk"])
def test_a_model_of_another_form_is_refused_and_nothing_is_written(command, model, tmp_path, verb):
    items = ",".join(f"q{item}" for item in range(1, 13))
    ratings = write(tmp_path / "wai.csv", f"case,session,{items}", "A,1," + ",".join(["5"] * 12))
    target = ["-o", tmp_path / "out"] if verb == "analyze" else []
    done = command(verb, ratings, "--scale", "wai-sr", "--risk-model", model, "-q", *target)
    assert done.code == USAGE
    assert re.sub(r"[0-9a-f]{64}", "SHA", done.err) == (
        "error: this model was not built for these data\n"
        "  instrument: 'wai-sr', the model has 'srs'\n"
        "  scoring version: 'SHA', the model has 'SHA'\n"
        "hint: use the model's definition and form, or fit a new model\n"
    )
    assert not (tmp_path / "out" / "risk.csv").exists()


# ended treatments


def test_ended_treatments_are_left_out_if_asked_for_and_told_otherwise(command, files):
    def cases(*options):
        done = command("risk", *files, "--format", "csv", *options)
        return [row["case"] for row in csv.DictReader(io.StringIO(done.out))], done.err

    everybody, told = cases()
    assert everybody == BY_RULES
    assert "note: 1 of 8 treatments have ended on record; --ongoing leaves them out\n" in told
    some, told = cases("--ongoing")
    assert some == [case for case in BY_RULES if case != "C"]
    assert "have ended on record" not in told
    records = json.loads(command("risk", *files, "--ongoing", "--format", "json", "-q").out)
    assert [record["client"] for record in records] == some
    assert (
        re.findall(
            r"^([A-H])  (?:session \d|no session)  ", command("risk", *files, "--ongoing").out, flags=re.M
        )
        == some
    )


def test_without_episodes_nobody_has_ended(command, files):
    alone = [*files[:5], *files[7:]]
    for options in ([], ["--ongoing"]):
        done = command("risk", *alone, "--format", "csv", *options)
        assert {row["case"] for row in csv.DictReader(io.StringIO(done.out))} == set(BY_RULES)
        assert "have ended on record" not in done.err


# episodes beside a study, or in it


TWICE = {"P": [38, 37], "Q": [38]}
BOOKED = (
    "case,date,attendance", "P,2025-09-01,attended", "P,2025-09-08,attended", "P,2026-01-05,attended",
    "P,2026-01-12,no_show", "Q,2026-01-05,attended",
)  # fmt: skip


@pytest.fixture
def twice(tmp_path):
    """P comes a second time; Q was last seen 46 days before the data end, with nothing booked."""
    ratings = write(
        tmp_path / "forms.csv",
        "case,session,date,q1,q2,q3,q4",
        "P,1,2025-09-01,9.5,9.5,9.5,9.5",
        "P,2,2025-09-08,9,9,9,9",
        "P,3,2026-01-05,9.75,9.75,9.75,9.75",
        "Q,1,2026-01-05,9.5,9.5,9.5,9.5",
    )
    episodes = write(
        tmp_path / "episodes.csv",
        "client_id,episode_id,start_date,status,end_reason,observed_until",
        "P,1,2025-09-01,ended,mutual_planned,2026-02-20",
        "P,2,2026-01-05,ongoing,,2026-02-20",
        "Q,1,2026-01-05,ongoing,,2026-02-20",
    )
    return ratings, episodes, write(tmp_path / "visits.csv", *BOOKED)


def found(rows):
    return {row["case"]: (row["session"], row["last_rating"], row["level"], row["prompts"]) for row in rows}


def test_second_treatments_are_cases_of_their_own_and_presumed_ends_are_asked_about(command, twice, tmp_path):
    ratings, episodes, visits = twice
    options = ("--scale", "srs", "--episodes", episodes, "--attendance", visits, "--today", "2026-02-20")
    done = command("analyze", ratings, *options, "-o", tmp_path / "out", "-q")
    assert done.code == OK, done.err
    rows = risk_rows(tmp_path / "out")
    listed = command("risk", ratings, *options, "--format", "csv", "-q")
    assert same(listed, tmp_path / "out")
    by_case = found(rows)
    assert set(by_case) == {"P/1", "P/2", "Q"}
    prompts = {
        case: [each.split(":")[0] for each in row[3].split("; ") if each] for case, row in by_case.items()
    }
    assert by_case["P/1"][:2] == ("2", "36")
    assert by_case["P/2"][:2] == ("1", "39")
    assert "CONFIRM_STATUS" not in prompts["P/1"]
    assert "NO_NEXT_APPOINTMENT" not in prompts["P/1"]
    assert "CONFIRM_STATUS" in prompts["P/2"]
    assert "CONFIRM_STATUS" in prompts["Q"]


def test_a_study_that_says_itself_how_treatments_went_reads_the_same_in_both(command, files, tmp_path):
    def own(line, case):
        status = "ended,mutual_planned" if case == "C" else "ongoing,"
        return f"{line},{status},8,2026-03-31,attended"

    lines = [own(line, line[0]) for line in forms(COURSES)]
    head = "case,session,date,q1,q2,q3,q4,status,end_reason,planned_sessions,observed_until,attendance"
    study = write(tmp_path / "study.csv", head, *lines)
    model = save(tmp_path / "model.json", hand_bundle(threshold=0.1))
    options = (study, "--scale", "srs", "--sem", "1.2", "--risk-model", model)
    done = command("analyze", *options, "-o", tmp_path / "out", "-q")
    assert done.code == OK, done.err
    rows = risk_rows(tmp_path / "out")
    listed = command("risk", *options, "--format", "csv", "-q")
    assert same(listed, tmp_path / "out")
    by_case = {row["case"]: row for row in rows}
    assert by_case["C"]["p_next"] == ""
    assert float(by_case["A"]["p_next"]) == pytest.approx(0.119203, abs=1e-6)
    # 71 days and more after the last session, nothing booked.
    assert {case: "CONFIRM_STATUS" in row["prompts"] for case, row in by_case.items()} == {
        case: case != "C" for case in COURSES
    }
    assert "1 of 6 treatments have ended on record" in command("risk", *options, "--format", "csv").err
