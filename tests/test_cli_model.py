"""`alliance model fit, validate, apply, show`, as a person uses them, on small synthetic services."""

import contextlib
import csv
import io
import json
import os
import re
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from model_helpers import content_of, exploratory, hand_bundle, save, write

from alliance.cli import main
from alliance.dropout.model.bundle import changed, from_bytes
from alliance.report.applied import applied_list
from alliance.simulate import to_csv
from alliance.simulate.service import service, service_frames

OK, USAGE, DATA, STORE = 0, 2, 3, 5
GOLDEN = Path(__file__).parent / "golden"
NA = float("nan")
QUICK = ("--folds", "3", "--boot", "3", "--no-learning")
TABLES = ("episodes.csv", "appointments.csv", "ratings.csv")
CAVEAT = (
    "A probability is about clients like this one in this service, not about this person. A low one does not "
    "mean low risk. Most clients flagged do not drop out. Risk of harm is not assessed.\n"
)


def alliance(*arguments):
    """Run the command line outside a test function; it has to succeed."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(sys, "argv", ["alliance", *map(str, arguments)])
        hook = sys.excepthook
        with contextlib.redirect_stderr(io.StringIO()) as err, pytest.raises(SystemExit) as ended:
            main()
        sys.excepthook = hook
    assert not ended.value.code, err.getvalue()
    return out.getvalue()


def make_service(folder, n, seed, **options):
    """Write the tables of a service and return the arguments that name them."""
    folder.mkdir(exist_ok=True)
    for name, frame in zip(TABLES, service_frames(service(n, seed, **options), seed), strict=True):
        (folder / name).write_text(to_csv(frame), encoding="utf-8")
    return arguments_of(folder)


def arguments_of(folder):
    return (
        folder / "ratings.csv", "--scale", "srs", "--episodes", folder / "episodes.csv",
        "--attendance", folder / "appointments.csv",
    )  # fmt: skip


def change(path, edit):
    """Write the rows of a CSV file anew, each as `edit` returns it."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [edit(row) for row in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


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
def newer(tmp_path_factory):
    """Another service that is large enough for drift to be judged."""
    return make_service(tmp_path_factory.mktemp("newer") / "service", 260, 9)


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """A service with another form at every session, a column of texts and one of ages; its arguments."""
    folder = tmp_path_factory.mktemp("rich") / "service"
    make_service(folder, 160, 5)
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


@pytest.fixture
def today(tmp_path):
    """A list of today that can be worked by hand: A and B are ongoing, C has ended, D was never rated."""
    folder = tmp_path / "today"
    folder.mkdir()
    write(
        folder / "ratings.csv",
        "case,session,date,q1,q2,q3,q4",
        "A,1,2026-01-05,9,9,9,9",
        "B,1,2026-01-05,9,9,9,9",
        "B,2,2026-01-12,8,8,8,8",
        "C,1,2026-01-05,6,6,6,6",
    )
    write(
        folder / "episodes.csv",
        "client_id,episode_id,start_date,status,end_reason,planned_sessions,observed_until",
        "A,1,2026-01-05,ongoing,,8,2026-01-20",
        "B,1,2026-01-05,ongoing,,8,2026-01-20",
        "C,1,2026-01-05,ended,mutual_planned,8,2026-01-20",
        "D,1,2026-01-05,ongoing,,8,2026-01-20",
    )
    write(
        folder / "appointments.csv",
        "case,date,attendance",
        "A,2026-01-05,attended",
        "B,2026-01-05,attended",
        "B,2026-01-12,attended",
        "C,2026-01-05,attended",
        "D,2026-01-05,attended",
    )
    return arguments_of(folder)


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
    assert command("model", "validate", *files, *options, "--force", "-q").code == OK
    assert content_of(tmp_path / "model.json")["kind"] == "alliance-dropout-model"


@pytest.mark.parametrize("budget", ["0", "1", "1.5", "nan"])
def test_a_budget_is_a_share(command, home, files, tmp_path, budget):
    done = command(
        "model", "validate", *files, "--model", home / "model.json", "-o", tmp_path / "v", "--budget", budget
    )
    assert (done.code, done.err) == (
        USAGE,
        f"error: --budget must be above 0 and below 1, got {budget}\n"
        "hint: 0.2 flags a fifth of all sessions\n",
    )


def test_groups_are_columns_of_the_episodes_that_tell_groups(command, rich, tmp_path):
    model = tmp_path / "model.json"
    alliance("model", "fit", *rich, "-o", model)
    options = ("--model", model, "-o", tmp_path / "v", *QUICK, "-q")
    done = command("model", "validate", *rich, *options, "--group", "sight")
    assert (done.code, done.err) == (
        USAGE, "error: unknown group 'sight'\nhint: did you mean 'site'? known: age, site, synthetic\n",
    )  # fmt: skip
    # A case, a client or a therapist is no group: their names would stand in the report.
    for name in ("case", "client", "therapist", "end_reason"):
        done = command("model", "validate", *rich, *options, "--group", name)
        assert (done.code, done.err) == (
            USAGE, f"error: unknown group '{name}'\nhint: known: age, site, synthetic\n",
        )  # fmt: skip
    done = command("model", "validate", *rich, *options, "--group", "age")
    assert done.code == USAGE
    assert re.sub(r"has \d+", "has N", done.err) == (
        "error: the column 'age' has N different texts\nhint: groups are at most 20; put numbers into bands\n"
    )
    assert not (tmp_path / "v").exists()
    assert command("model", "validate", *rich, *options, "--group", "site").code == OK
    found = content_of(tmp_path / "v" / "model.json")["fairness"]
    assert {(each["group"], each["level"]) for each in found} == {
        ("site", "north"), ("site", "south"), ("site", "east"),
    }  # fmt: skip


def test_on_other_data_a_model_is_judged_as_it_is(command, home, newer, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    done = command(
        "model", "validate", *newer, "--model", home / "valid" / "model.json", "-o", first, "--boot", "3"
    )
    assert done.code == OK
    assert (
        "note: these are not the data the model was fitted to: it is judged on them as it is (external)\n"
        in done.err
    )
    before, after = content_of(home / "valid" / "model.json"), content_of(first / "model.json")
    assert {key for key in after if before.get(key) != after[key]} == {"external", "sha256"}
    assert len(after["external"]) == 1
    assert after["external"][0]["method"].startswith("external")
    command("model", "validate", *newer, "--model", first / "model.json", "-o", second, "--boot", "3", "-q")
    assert len(content_of(second / "model.json")["external"]) == 2
    assert content_of(second / "model.json")["external"][0] == after["external"][0]


def test_a_validated_model_stays_validated_on_other_data(command, newer, tmp_path):
    model = save(tmp_path / "hand.json", hand_bundle())
    command("model", "validate", *newer, "--model", model, "-o", tmp_path / "v", "--boot", "3", "-q")
    assert content_of(tmp_path / "v" / "model.json")["status"] == "validated"


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


def test_a_demographic_covariate_is_refused_or_logged(command, rich, tmp_path):
    target = tmp_path / "model.json"
    done = command("model", "fit", *rich, "-o", target, "--covariate", "age", "-q")
    assert (done.code, done.out, done.err) == (
        USAGE,
        "",
        "error: demographic covariates are no predictors by default\n  age\n"
        "hint: leave them out, or decide for it with --allow-demographics; the model will say so\n",
    )
    done = command("model", "fit", *rich, "-o", target, "--covariate", "age", "--allow-demographics", "-q")
    assert done.code == OK
    found = content_of(target)
    assert found["covariates"] == [{"name": "age", "kind": "number", "demographic": True}]
    told = "age is a demographic covariate, accepted on purpose when the model was fitted"
    assert found["limits"].count(told) == 1
    options = ("--model", target, "-o", tmp_path / "v", *QUICK, "-q")
    assert command("model", "validate", *rich, *options).code == OK
    assert content_of(tmp_path / "v" / "model.json")["limits"].count(told) == 1


def test_a_covariate_that_is_nowhere_is_refused_with_those_that_are_there(command, rich, tmp_path):
    done = command("model", "fit", *rich, "-o", tmp_path / "m.json", "--covariate", "sight", "-q")
    assert done.code == USAGE
    assert done.err.startswith("error: unknown covariate 'sight'\nhint: did you mean 'site'? known: age, ")
    done = command("model", "fit", *rich, "-o", tmp_path / "m.json", "--covariate", "sight=north", "-q")
    assert done.err.startswith("error: unknown covariate 'sight=north'\n")


def test_covariates_survive_from_fit_to_validate_to_apply(command, rich, tmp_path):
    target = tmp_path / "model.json"
    options = ("--covariate", "ors", "--covariate", "site")
    assert command("model", "fit", *rich, "-o", target, *options, "-q").code == OK
    named = [each["name"] for each in content_of(target)["covariates"]]
    assert named == ["ors", "site=east", "site=south"]
    done = command("model", "validate", *rich, "--model", target, "-o", tmp_path / "v", *QUICK)
    assert "external" not in done.err
    valid = tmp_path / "v" / "model.json"
    assert [each["name"] for each in content_of(valid)["covariates"]] == named
    first, second = (
        command("model", "apply", *rich, "--model", path, "--format", "csv", "-q").out
        for path in (target, valid)
    )
    assert first == second
    assert first.count("\n") > 5


def test_a_text_means_the_same_whatever_stands_beside_it(command, rich, tmp_path):
    """A list of today may hold fewer sites, others, or the rare ones most often."""
    target, folder = tmp_path / "model.json", tmp_path / "today"
    alliance("model", "fit", *rich, "-o", target, "--covariate", "site", "-q")
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
        done = command("model", "apply", *arguments, "--model", target, "--format", "json", "-q")
        assert done.code == OK, done.err
        return {row["case"]: row["p_next"] for row in json.loads(done.out)}

    whole, part = applied(rich), applied(today)
    assert part
    assert part == {case: whole[case] for case in part}


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


def test_apply_lists_ongoing_cases_only(command, home, files):
    with (home / "service" / "episodes.csv").open(encoding="utf-8", newline="") as file:
        ongoing = [row["client_id"] for row in csv.DictReader(file) if row["status"] == "ongoing"]
    done = command("model", "apply", *files, "--model", home / "model.json", "--format", "json", "-q")
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


def test_show_prints_every_format(command, home):
    model = home / "model.json"
    assert json.loads(command("model", "show", model, "--format", "json").out) == content_of(model)
    lines = command("model", "show", model, "--format", "csv").out.splitlines()
    assert lines[0] == "name,words,coef,se,centre,scale,low,high"
    assert [line.split(",")[0] for line in lines[1:]] == [
        "log_session", "level", "change", "no_shows", "missing",
    ]  # fmt: skip
    assert command("model", "show", model, "--format", "md").out.startswith("| name | words |")
    assert command("model", "show", model).out.startswith("Exploratory: fitted, not validated yet.")


def test_an_existing_report_is_kept_without_force(command, home, tmp_path):
    report = write(tmp_path / "report.html", "mine")
    done = command("model", "show", home / "model.json", "--report", report)
    assert (done.code, done.out, done.err) == (
        USAGE, "", f"error: '{report}' exists\nhint: choose another name, or replace it with --force\n",
    )  # fmt: skip
    assert report.read_text(encoding="utf-8") == "mine\n"
    assert command("model", "show", home / "model.json", "--report", report, "--force").code == OK
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


@pytest.mark.parametrize(("value", "dropouts"), [("2", 0), ("2.1", 1), ("6", 1), ("6.1", 2)])
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
