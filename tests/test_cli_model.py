"""`alliance model fit, validate, apply, show`, as a person uses them, on small synthetic services."""

import csv
import json
import os
import re
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from model_helpers import alliance, arguments_of, change, content_of, hand_bundle, make_service, save, write

from alliance.dropout.model.bundle import from_bytes

OK, USAGE, DATA, STORE = 0, 2, 3, 5
GOLDEN = Path(__file__).parent / "golden"
QUICK = ("--folds", "3", "--boot", "3", "--no-learning")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A service whose model is fitted and validated once."""
    folder = tmp_path_factory.mktemp("model")
    files = make_service(folder / "service", 200, 3)
    alliance("model", "fit", *files, "-o", folder / "model.json")
    alliance(
        "model", "validate", *files, "--model", folder / "model.json", "-o", folder / "valid", *QUICK,
        "--seed", "4",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def files(home):
    return arguments_of(home / "service")


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """A service with another form at every session, a column of texts and one of ages; its arguments."""
    folder = tmp_path_factory.mktemp("rich") / "service"
    make_service(folder, 110, 5)
    rng = np.random.default_rng(1)
    sites = ("north", "south", "east")
    change(
        folder / "episodes.csv",
        lambda row: {
            **row, "site": sites[int(row["client_id"][1:]) % 4 % 3], "age": int(rng.integers(20, 70)),
        },
    )  # fmt: skip
    with (folder / "ratings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    others = [
        {**row, "scale": "ors", **{f"q{item}": round(rng.uniform(2, 9), 1) for item in range(1, 5)}}
        for row in rows
    ]
    with (folder / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "scale"])
        writer.writeheader()
        writer.writerows([*({**row, "scale": "srs"} for row in rows), *others])
    return tuple(each for each in arguments_of(folder) if each not in {"--scale", "srs"})


@pytest.fixture(scope="module")
def named(rich, tmp_path_factory):
    """A model with predictors of its own: another form, a column of texts, an age."""
    model = tmp_path_factory.mktemp("named") / "model.json"
    alliance(
        "model", "fit", *rich, "-o", model, "--covariate", "ors", "--covariate", "site", "--covariate", "age",
        "--allow-demographics",
    )  # fmt: skip
    return model


# fit


def test_the_summary_of_a_fit_reads_as_the_golden_file(command, home, files, tmp_path):
    done = command("model", "fit", *files, "-o", tmp_path / "again.json")
    assert done.code == OK
    assert re.sub(r"model of\s+\d{4}-\d\d-\d\d", "model of\n  DAY", done.out) == (
        GOLDEN / "model_fit.txt"
    ).read_text(encoding="utf-8")
    assert (
        done.err
        == f"Model: {tmp_path / 'again.json'}. Next: `alliance model validate` with the same files.\n"
    )
    assert max(map(len, done.out.splitlines())) <= 80
    again, first = content_of(tmp_path / "again.json"), content_of(home / "model.json")
    assert {key for key in first if first[key] != again[key]} <= {"created", "sha256"}


def test_fitting_quietly_says_nothing_beside_the_summary(command, files, tmp_path):
    done = command("model", "fit", *files, "-o", tmp_path / "model.json", "--quiet")
    assert (done.code, done.err) == (OK, "")


def test_a_fit_takes_the_settings_it_is_given(command, files, tmp_path):
    target = tmp_path / "model.json"
    done = command(
        "model", "fit", *files, "-o", target, "--link", "cloglog", "--time", "quadratic", "--no-landmark",
        "--estimator", "firth", "-q",
    )  # fmt: skip
    assert done.code == OK
    found = content_of(target)
    assert (found["link"], found["time"], found["estimator"], found["landmark"]) == (
        "cloglog", "quadratic", "firth", None,
    )  # fmt: skip
    assert [each["name"] for each in found["terms"]][:2] == ["session", "session_squared"]
    done = command(
        "model", "fit", *files, "-o", target, "--estimator", "ridge", "--penalty", "2.5", "--ipcw", "--force",
        "--competing", "-q",
    )  # fmt: skip
    found = content_of(target)
    assert (found["penalty"], found["penalty_given"], found["landmark"]["ipcw"]) == (2.5, 2.5, True)
    assert from_bytes(target.read_bytes()).model.settings.penalty == 2.5
    assert found["competing"] is None
    assert any("no hazard of other ends" in each for each in found["limits"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--link", "probit"], "error: --link is one of logit, cloglog, got 'probit'\nhint: see --help\n"),
        (
            ["--time", "sqrt"],
            "error: --time is one of log, linear, quadratic, cubic, dummies, got 'sqrt'\nhint: see --help\n",
        ),
        (
            ["--estimator", "lasso"],
            "error: --estimator is one of firth, ml, ridge, got 'lasso'\nhint: see --help\n",
        ),
        (
            ["--penalty", "0", "--estimator", "ridge"],
            "error: --penalty must be above 0, got 0\nhint: see --help\n",
        ),
        (
            ["--penalty", "2"],
            "error: --penalty belongs to --estimator ridge, not to firth\n"
            "hint: leave it out, or choose ridge\n",
        ),
    ],
)
def test_a_wrong_setting_is_told_before_anything_is_read(command, tmp_path, options, said):
    done = command("model", "fit", tmp_path / "nothing.csv", "-o", tmp_path / "m.json", *options)
    assert (done.code, done.out, done.err) == (USAGE, "", said)


def test_a_definition_that_is_not_known_is_a_mistake_of_usage(command, files, tmp_path):
    done = command("model", "fit", *files, "-o", tmp_path / "m.json", "--dropout-def", "unilatral", "-q")
    assert (done.code, done.err) == (
        USAGE,
        "error: unknown dropout definition 'unilatral'\n"
        "hint: did you mean 'unilateral'? known: incomplete, lt_k, median_split, missed_last, no_rci, "
        "therapist, unilateral\n",
    )


def test_an_existing_model_is_kept_without_force(command, home, files):
    before = (home / "model.json").read_bytes()
    done = command("model", "fit", *files, "-o", home / "model.json")
    assert (done.code, done.out, done.err) == (
        USAGE,
        "",
        f"error: '{home / 'model.json'}' exists\nhint: choose another name, or replace it with --force\n",
    )
    assert (home / "model.json").read_bytes() == before
    # It is told before anything is read.
    done = command("model", "fit", home / "nothing.csv", "-o", home / "model.json")
    assert done.err.startswith(f"error: '{home / 'model.json'}' exists\n")


@pytest.mark.parametrize("command_line", [("fit",), ("validate", "--model"), ("apply", "--model")])
def test_ratings_alone_say_nothing_of_ends(command, home, tmp_path, command_line):
    verb, *model = command_line
    given = [*model, home / "model.json"] if model else []
    target = [] if verb == "apply" else ["-o", tmp_path / "out"]
    done = command("model", verb, home / "service" / "ratings.csv", "--scale", "srs", *given, *target, "-q")
    assert (done.code, done.out, done.err) == (
        DATA,
        "",
        "error: nothing says how treatments ended\n"
        "hint: name a file that does with --episodes; docs/dropout-model.md has its columns\n",
    )
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_and_what_a_definition_warns_of_is_told(command, home, files, tmp_path):
    episodes = tmp_path / "episodes.csv"
    episodes.write_text((home / "service" / "episodes.csv").read_text(encoding="utf-8"), encoding="utf-8")
    change(
        episodes,
        lambda row: {
            **row,
            "status": "" if row["client_id"] == "C001" else row["status"],
            "end_reason": "" if row["client_id"] == "C001" else row["end_reason"],
        },
    )
    given = [episodes if str(each).endswith("episodes.csv") else each for each in files]
    done = command("model", "fit", *given, "-o", tmp_path / "m.json", "--dropout-def", "median_split")
    assert "note: 1 of 200 treatments left out: whether the treatment has ended is not known\n" in done.err
    assert "note: median_split calls about half of any sample dropouts" in done.err


# validate


def test_a_validation_writes_report_and_model_for_their_owner_only(home):
    folder = home / "valid"
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "report.html"]
    if os.name != "nt":
        paths = [home / "model.json", *folder.iterdir()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_a_validation_adds_to_the_model_and_changes_no_number_of_it(home):
    before, after = content_of(home / "model.json"), content_of(home / "valid" / "model.json")
    same = set(before) - {
        "validation",
        "gates",
        "fairness",
        "threshold",
        "status",
        "limits",
        "seed",
        "sha256",
    }
    assert {key for key in same if before[key] != after[key]} == set()
    assert before["log_likelihood"] is not None
    assert [gate["id"] for gate in after["gates"]] == [f"G{place}" for place in range(1, 8)]
    # 200 clients are fewer than the 300 that G1 asks for.
    assert (after["gates"][0]["passed"], after["status"]) == (False, "exploratory")
    assert (after["seed"], after["validation"]["seed"]) == (4, 4)
    assert (after["validation"]["folds"], after["validation"]["n_boot"]) == (3, 3)
    assert (after["threshold"]["budget"], after["validation"]["learning"]) == (0.2, [])


def test_limits_are_stated_once_and_no_longer_say_that_it_was_not_validated(home):
    before, after = content_of(home / "model.json"), content_of(home / "valid" / "model.json")
    assert before["limits"][-1] == "It has not been validated."
    assert after["limits"] == before["limits"][:-1]
    assert len(set(after["limits"])) == len(after["limits"])
    assert after["limits"][-1] == "It was built on synthetic data and says nothing about real clients."


def test_nothing_that_is_written_names_a_case_or_a_therapist(home):
    for path in (home / "model.json", home / "valid" / "model.json", home / "valid" / "report.html"):
        text = re.sub(r"[0-9a-f]{64}|#[0-9A-Fa-f]{3,8}\b", "", path.read_text(encoding="utf-8"))
        assert re.findall(r"\b[CT]\d{2,}\b", text) == []


def test_a_report_and_the_summary_come_from_the_model_alone(command, home, tmp_path):
    done = command("model", "show", home / "valid" / "model.json", "--report", tmp_path / "report.html")
    assert done.code == OK
    assert (tmp_path / "report.html").read_bytes() == (home / "valid" / "report.html").read_bytes()
    assert done.out.startswith("Exploratory: gates not passed: G1")
    assert done.out.endswith("do not drop out.\n")


@pytest.mark.slow
def test_a_second_validation_replaces_the_first_and_gives_the_same_bytes(command, home, files, tmp_path):
    folder = tmp_path / "valid"
    options = ("--model", home / "model.json", "-o", folder, *QUICK, "--seed", "4", "-q")
    for _ in range(2):
        assert command("model", "validate", *files, *options).code == OK
    assert (folder / "model.json").read_bytes() == (home / "valid" / "model.json").read_bytes()


def test_files_that_are_not_those_of_a_validation_are_kept(command, home, files, tmp_path):
    write(tmp_path / "report.html", "<title>Alliance report</title>")
    write(tmp_path / "model.json", "{}")
    options = ("--model", home / "model.json", "-o", tmp_path, *QUICK)
    done = command("model", "validate", *files, *options)
    assert (done.code, done.out, done.err) == (
        USAGE,
        "",
        f"error: '{tmp_path}' holds files that are not the results of an earlier validation\n"
        "  report.html\n  model.json\n"
        "hint: choose another folder, or replace them with --force\n",
    )
    assert (tmp_path / "model.json").read_text(encoding="utf-8") == "{}\n"
    forced = command("model", "validate", tmp_path / "none.csv", *options, "--force")
    assert "none.csv" in forced.err


@pytest.mark.parametrize("budget", ["0", "1", "nan"])
def test_a_budget_is_a_share(command, home, files, tmp_path, budget):
    done = command(
        "model", "validate", *files, "--model", home / "model.json", "-o", tmp_path / "v", "--budget", budget
    )
    assert (done.code, done.err) == (
        USAGE,
        f"error: --budget must be above 0 and below 1, got {budget}\n"
        "hint: 0.2 flags a fifth of all sessions\n",
    )


@pytest.mark.parametrize("name", ["sight", "case", "therapist"])
def test_groups_are_columns_of_the_episodes_that_tell_groups(command, rich, named, tmp_path, name):
    # A case, a client or a therapist is no group: their names would stand in the report.
    done = command("model", "validate", *rich, "--model", named, "-o", tmp_path / "v", "-q", "--group", name)
    guess = "did you mean 'site'? " if name == "sight" else ""
    assert (done.code, done.out, done.err) == (
        USAGE, "", f"error: unknown group '{name}'\nhint: {guess}known: age, site\n",
    )  # fmt: skip


def test_a_column_of_numbers_is_no_group(command, rich, named, tmp_path):
    done = command("model", "validate", *rich, "--model", named, "-o", tmp_path / "v", "-q", "--group", "age")
    assert (done.code, re.sub(r"has \d+", "has N", done.err)) == (
        USAGE,
        "error: the column 'age' has N different texts\n"
        "hint: groups are at most 20; put numbers into bands\n",
    )
    assert not (tmp_path / "v").exists()


def test_on_other_data_a_model_is_judged_as_it_is(command, files, tmp_path):
    model, first, second = save(tmp_path / "hand.json", hand_bundle()), tmp_path / "1", tmp_path / "2"
    done = command("model", "validate", *files, "--model", model, "-o", first, "--boot", "3")
    assert done.code == OK
    assert (
        "note: these are not the data the model was fitted to: it is judged on them as it is (external)\n"
        in done.err
    )
    before, after = content_of(model), content_of(first / "model.json")
    assert {key for key in after if before.get(key) != after[key]} == {"external", "sha256"}
    assert after["status"] == "validated"
    assert len(after["external"]) == 1
    assert after["external"][0]["method"].startswith("external")
    command("model", "validate", *files, "--model", first / "model.json", "-o", second, "--boot", "3", "-q")
    assert len(content_of(second / "model.json")["external"]) == 2
    assert content_of(second / "model.json")["external"][0] == after["external"][0]


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (["--presumed", "censor"], "  presumed: 'censor', the model has 'exclude'\n"),
        (["--grace-days", "60"], "  grace days: 60, the model has 30\n"),
    ],
)
def test_a_definition_told_something_else_is_another_definition(command, home, files, options, where):
    done = command("model", "apply", *files, "--model", home / "model.json", "-q", *options)
    assert (done.code, done.out, done.err) == (
        USAGE,
        "",
        f"error: this model was not built for these data\n{where}"
        "hint: use the model's definition and form, or fit a new model\n",
    )
    # What the definition does not look at makes no difference.
    done = command("model", "apply", *files, "--model", home / "model.json", "-q", "--k", "5")
    assert done.code == OK


@pytest.mark.parametrize("verb", ["validate", "apply"])
def test_another_definition_or_form_is_refused(command, home, files, tmp_path, verb):
    target = ["-o", tmp_path / "v"] if verb == "validate" else []
    done = command(
        "model", verb, *files, "--model", home / "model.json", "--dropout-def", "missed_last", "-q", *target
    )
    assert (done.code, done.out, done.err) == (
        USAGE,
        "",
        "error: this model was not built for these data\n"
        "  definition: 'missed_last', the model has 'unilateral'\n"
        "hint: use the model's definition and form, or fit a new model\n",
    )
    ratings = write(
        tmp_path / "cs.csv",
        "case,session," + ",".join(f"q{each}" for each in range(1, 13)),
        "C001,1," + ",".join(["5"] * 12),
    )
    done = command(
        "model", verb, ratings, "--scale", "wai-sr", "--episodes", home / "service" / "episodes.csv",
        "--model", home / "model.json", "-q", *target,
    )  # fmt: skip
    assert done.code == USAGE
    assert re.sub(r"[0-9a-f]{64}", "SHA", done.err) == (
        "error: this model was not built for these data\n"
        "  instrument: 'wai-sr', the model has 'srs'\n"
        "  scoring version: 'SHA', the model has 'SHA'\n"
        "hint: use the model's definition and form, or fit a new model\n"
    )


@pytest.mark.parametrize("verb", ["validate", "apply", "show"])
def test_a_model_that_was_changed_or_is_none_is_refused(command, home, files, tmp_path, verb):
    def run(path):
        if verb == "show":
            return command("model", "show", path)
        target = ["-o", tmp_path / "v"] if verb == "validate" else []
        return command("model", verb, *files, "--model", path, *target)

    text = (home / "model.json").read_text(encoding="utf-8")
    done = run(write(tmp_path / "m.json", text.replace('"n_rows": ', '"n_rows": 1', 1)))
    assert (done.code, done.out, done.err) == (
        DATA,
        "",
        "error: 'm.json' has been changed: its content does not have the checksum it states\n"
        "hint: use the file as `alliance model fit` wrote it, or fit the model again\n",
    )
    done = run(write(tmp_path / "m.json", "no json"))
    assert (done.code, done.err) == (
        STORE,
        "error: 'm.json' cannot be read: it is no JSON file\n"
        "hint: give the .json file that `alliance model fit` wrote\n",
    )
    done = run(tmp_path / "none.json")
    assert (done.code, done.err) == (
        STORE,
        f"error: '{tmp_path / 'none.json'}' cannot be read: No such file or directory\n"
        "hint: check the name and who may read it\n",
    )


def test_without_statsmodels_fit_and_apply_work_and_validate_says_what_it_needs(
    command, files, tmp_path, monkeypatch
):
    for name in [name for name in sys.modules if name.split(".")[0] == "statsmodels"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    model = tmp_path / "model.json"
    assert command("model", "fit", *files, "-o", model).code == OK
    assert command("model", "apply", *files, "--model", model).code == OK
    done = command("model", "validate", *files, "--model", model, "-o", tmp_path / "v", *QUICK)
    assert (done.code, done.out, done.err) == (
        USAGE,
        "",
        "error: calibration needs statsmodels, which is not installed\n"
        'hint: pip install "alliance-toolkit[models]"\n',
    )
    assert not (tmp_path / "v").exists()
    done = command("model", "fit", *files, "-o", model, "--estimator", "ml", "--force")
    assert (done.code, done.err) == (
        USAGE,
        "error: the estimator ml needs statsmodels, which is not installed\n"
        'hint: pip install "alliance-toolkit[models]"\n',
    )


# covariates


def test_a_demographic_covariate_is_refused(command, rich, tmp_path):
    target = tmp_path / "model.json"
    done = command("model", "fit", *rich, "-o", target, "--covariate", "age", "-q")
    assert (done.code, done.out, done.err) == (
        USAGE,
        "",
        "error: demographic covariates are no predictors by default\n  age\n"
        "hint: leave them out, or decide for it with --allow-demographics; the model will say so\n",
    )


def test_a_covariate_that_is_nowhere_is_refused_with_those_that_are_there(command, rich, tmp_path):
    done = command("model", "fit", *rich, "-o", tmp_path / "m.json", "--covariate", "sight", "-q")
    assert done.code == USAGE
    assert done.err.startswith("error: unknown covariate 'sight'\nhint: did you mean 'site'? known: age, ")
    done = command("model", "fit", *rich, "-o", tmp_path / "m.json", "--covariate", "sight=north", "-q")
    assert done.err.startswith("error: unknown covariate 'sight=north'\n")


def test_covariates_and_groups_survive_from_fit_to_validate_to_apply(command, rich, named, tmp_path):
    fitted = content_of(named)
    assert fitted["covariates"] == [
        {"name": "ors", "kind": "number", "demographic": False},
        {"name": "site=east", "kind": "binary", "demographic": False},
        {"name": "site=south", "kind": "binary", "demographic": False},
        {"name": "age", "kind": "number", "demographic": True},
    ]
    told = "age is a demographic covariate, accepted on purpose when the model was fitted"
    assert fitted["limits"].count(told) == 1
    done = command("model", "validate", *rich, "--model", named, "-o", tmp_path, *QUICK, "--group", "site")
    assert done.code == OK
    assert "external" not in done.err
    valid = content_of(tmp_path / "model.json")
    assert valid["covariates"] == fitted["covariates"]
    assert valid["limits"].count(told) == 1
    assert {(each["group"], each["level"]) for each in valid["fairness"]} == {
        ("site", "north"), ("site", "south"), ("site", "east"),
    }  # fmt: skip
    first, second = (
        command("model", "apply", *rich, "--model", path, "--format", "csv", "-q").out
        for path in (named, tmp_path / "model.json")
    )
    assert first == second
    assert first.count("\n") > 5


def test_a_text_means_the_same_whatever_stands_beside_it(command, rich, named, tmp_path):
    """A list of today may hold fewer sites, others, or the rare ones most often."""
    folder = tmp_path / "today"
    with Path(rich[2]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ongoing = {row["client_id"]: row["site"] for row in rows if row["status"] == "ongoing"}
    assert set(ongoing.values()) > {"south"}
    folder.mkdir()
    today = list(rich)
    for place in (0, 2, 4):
        with Path(rich[place]).open(encoding="utf-8", newline="") as file:
            kept = [
                row for row in csv.DictReader(file)
                if ongoing.get(row.get("case") or row.get("client_id")) == "south"
            ]  # fmt: skip
        today[place] = folder / Path(rich[place]).name
        with today[place].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(kept[0]))
            writer.writeheader()
            writer.writerows(kept)

    def applied(arguments):
        done = command("model", "apply", *arguments, "--model", named, "--format", "json", "-q")
        assert done.code == OK, done.err
        return {row["case"]: row["p_next"] for row in json.loads(done.out)}

    whole, part = applied(rich), applied(today)
    assert part
    assert part == {case: whole[case] for case in part}
