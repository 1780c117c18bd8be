"""`alliance flag`: plain files, several methods, every parameter, prior files, chance beside prevalence."""

import csv
import io
import json
import stat

import pytest

from alliance.rupture.parameters import PARAMETERS

STEADY = [46, 47, 48, 47, 49, 48, 38, 41, 47, 49, 50, 49]
KNOWN = ("--column", "total", "--min", "12", "--max", "60", "--within-sd", "2")


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "scores.csv"
    rows = [f"A,{session},{score}" for session, score in enumerate(STEADY, 1)]
    path.write_text("\n".join(["case,session,total", *rows]) + "\n", encoding="utf-8")
    return path


def table(done):
    return list(csv.DictReader(io.StringIO(done.out)))


def test_a_plain_file_is_flagged_without_a_form(command, plain):
    done = command("flag", plain, *KNOWN)
    assert done.code == 0
    assert done.out == (
        "A  session 7  rupture (strict) client\n"
        "   scored 38.00, below the limit 42.50 from the 6 sessions before (mean 47.50,\n"
        "   SD 1.58, df 7.57); prior SD 2, df 4, from the given SD\n"
        "A  session 9  repair (repaired) client\n"
        "   back to 47.00, close to the 47.50 from before the rupture at session 7;\n"
        "   scored sessions until then: 2\n"
    )
    first, second = done.err.splitlines()
    assert first == "note: the step of the score is taken to be 1, the unit it is written in"
    assert second.startswith(
        "predictive-limit, client: 1 of 1 cases with enough data had a rupture (100%); noise alone would "
    )


def test_chance_is_the_same_for_the_same_seed(command, plain):
    told = [command("flag", plain, *KNOWN, "--seed", seed).err for seed in ("1", "1", "2")]
    assert told[0] == told[1] != told[2]


def test_quiet_says_nothing_beside_the_flags(command, plain):
    assert command("flag", plain, *KNOWN, "--quiet").err == ""


def test_several_methods_stand_side_by_side(command, plain):
    done = command(
        "flag", plain, *KNOWN, "--method", "reliable-drop", "--method", "predictive-limit", "--format", "csv"
    )
    assert [(row["method"], row["session"]) for row in table(done) if row["finding"] == "rupture"] == [
        ("reliable-drop", "7"),
        ("predictive-limit", "7"),
    ]
    shown = command("flag", plain, *KNOWN, "--method", "reliable-drop", "--method", "predictive-limit")
    assert "A  session 7  rupture (strict) client reliable-drop\n" in shown.out


def test_rises_are_flagged_on_request(command, plain):
    done = command(
        "flag", plain, *KNOWN, "--method", "reliable-drop", "--direction", "rise", "--format", "csv"
    )
    assert [(row["finding"], row["session"]) for row in table(done)] == [("rise", "9")]
    assert "had a rise" in done.err


def test_every_parameter_of_every_method_is_an_option(command):
    text = " ".join(command("flag", "--help").out.split())
    for parameter in PARAMETERS:
        assert f"{parameter.option} " in text, parameter.name


@pytest.mark.parametrize(
    ("options", "sessions"),
    [
        (["--alpha", "0.0001"], []),
        (["--min-ref", "6"], ["7"]),
        (["--min-ref", "7"], []),
        (["--min-drop", "20"], []),
        (["--method", "reliable-drop", "--criterion", "4"], []),
    ],
)
def test_parameters_reach_the_method(command, plain, options, sessions):
    done = command("flag", plain, *KNOWN, *options, "--format", "csv")
    assert [row["session"] for row in table(done) if row["finding"] == "rupture"] == sessions


def test_a_setting_of_no_chosen_method_is_refused(command, plain):
    done = command("flag", plain, *KNOWN, "--method", "reliable-drop", "--alpha", "0.01")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: reliable-drop has no parameter 'alpha'\n")


def test_a_prior_is_written_for_its_owner_only_and_used_again(command, plain, tmp_path):
    prior = tmp_path / "prior.json"
    assert command("flag", plain, *KNOWN, "--write-prior", prior).code == 0
    assert stat.S_IMODE(prior.stat().st_mode) == 0o600
    assert json.loads(prior.read_text(encoding="utf-8"))["priors"]["client"]["origin"] == "given"
    again = command("flag", plain, *KNOWN[:-2], "--prior", prior, "--format", "csv")
    assert [row["session"] for row in table(again)] == ["7", "9"]
    refused = command("flag", plain, *KNOWN, "--write-prior", prior)
    assert (refused.code, refused.err.splitlines()[-1]) == (2, "hint: --force replaces it")
    assert command("flag", plain, *KNOWN, "--write-prior", prior, "--force").code == 0


def test_a_manifest_is_a_prior_too(command, tmp_path):
    from alliance.places import bundled

    study = bundled("data") / "srs-ors-clinic.csv"
    assert command("analyze", study, "-o", tmp_path / "one").code == 0
    assert (
        command("analyze", study, "-o", tmp_path / "two", "--prior", tmp_path / "one" / "manifest.json").code
        == 0
    )
    one, two = ((tmp_path / name / "flags.csv").read_bytes() for name in ("one", "two"))
    assert one == two
    flagged = command("flag", study, "--prior", tmp_path / "one" / "manifest.json", "--format", "csv")
    assert flagged.code == 0
    assert flagged.out.encode() == one


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 5, "cannot be read: No such file or directory\nhint: check the name and who may read it\n"),
        ("not json", 3, "error: this is no prior file of this version\n"),
        ("[1]", 3, "error: this is no prior file of this version\n"),
    ],
)
def test_a_prior_that_cannot_be_used_says_why(  # noqa: PLR0917  fixtures and cases
    command, plain, tmp_path, content, code, message
):
    prior = tmp_path / "prior.json"
    if content is not None:
        prior.write_text(content, encoding="utf-8")
    done = command("flag", plain, *KNOWN, "--prior", prior)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_a_file_of_scores_of_a_form_takes_range_and_key_from_the_form(command, tmp_path):
    from alliance.places import bundled

    study = bundled("data") / "wai-sr-study.csv"
    scores = tmp_path / "scores.csv"
    assert command("score", study, "--scale", "wai-sr", "-o", scores).code == 0
    plain = command("flag", scores, "--scale", "wai-sr", "--column", "total", "--format", "csv")
    answers = command("flag", study, "--scale", "wai-sr", "--format", "csv")
    assert plain.code == answers.code == 0
    told = [
        [(row["case"], row["session"], row["finding"]) for row in table(done)] for done in (plain, answers)
    ]
    assert told[0] == told[1]
    bond = command("flag", study, "--scale", "wai-sr", "--column", "bond", "--format", "csv")
    assert {row["subscale"] for row in table(bond)} == {"bond"}


def test_a_column_is_needed_where_no_form_is_named(command, plain):
    done = command("flag", plain)
    assert done.code == 3
    assert "error: nothing says which form was filled in" in done.err


def test_scores_outside_the_given_range_are_refused(command, plain):
    done = command("flag", plain, "--column", "total", "--min", "12", "--max", "49", "--within-sd", "2")
    assert (done.code, done.out) == (3, "")
    assert done.err == (
        "error: 1 score outside the given range\n  line 12: case A, session 11, total = 50\n"
        "hint: correct the score, or --min and --max\n"
    )


def test_episodes_are_printed_on_request(command, plain):
    shown = command("flag", plain, *KNOWN, "--episodes")
    assert shown.out == (
        "case  rater   method            onset  end  outcome   lag  depth  depth_sigma\n"
        "A     client  predictive-limit      7    9  repaired    2    9.5         6.02\n"
    )
    (row,) = table(command("flag", plain, *KNOWN, "--episodes", "--format", "csv"))
    assert (row["onset"], row["end"], row["lag"], row["reference"]) == ("7", "9", "2", "47.5")


def test_a_caseload_without_a_flag_says_so(command, tmp_path):
    path = tmp_path / "calm.csv"
    rows = [f"A,{session},48" for session in range(1, 7)]
    path.write_text("\n".join(["case,session,total", *rows]) + "\n", encoding="utf-8")
    assert command("flag", path, *KNOWN).out == "nothing was flagged\n"


def test_a_column_beside_answers_is_refused_with_the_way_out(command):
    from alliance.places import bundled

    study = bundled("data") / "wai-sr-study.csv"
    done = command("dyads", study, "--scale", "wai-sr", "--caseload", "--outcome", "change")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: the column 'change' is read from a plain file of scores only\n"
        "hint: `alliance score FILE -o scores.csv`, put the column beside, add --column total\n"
    )
