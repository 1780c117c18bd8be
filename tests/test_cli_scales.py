import json
import math
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import alliance.places
from alliance.cli import app
from alliance.cli import scales as command
from alliance.cli.output import RENDERERS, emit, markdown_text, table_text
from alliance.cli.questions import hand_score
from alliance.errors import AllianceError, ScaleError, StoreError, UsageError
from alliance.places import bundled

GOLDEN = Path(__file__).parent / "golden"
NEW = ["scales", "new", "--id", "mini", "--name", "Mini form", "--items", "4", "--min", "1", "--max", "5"]
NEW += ["--method", "mean"]


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Give every test its own folder of definitions and a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(alliance.places, "user_folder", lambda: tmp_path / "own")


def run(*arguments, code=0, **options):
    result = CliRunner().invoke(app, list(arguments), **options)
    if not isinstance(result.exception, SystemExit):
        assert result.exception is None, result.exception
    assert result.exit_code == code
    return result.stdout


def refused(kind, *arguments, **options):
    error = CliRunner().invoke(app, list(arguments), **options).exception
    assert isinstance(error, kind)
    return str(error)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("scales_list.txt", ["list"], id="list"),
        pytest.param("scales_list.csv", ["list", "--format", "csv"], id="list as CSV"),
        pytest.param("scales_show_wai-s.txt", ["show", "wai-s"], id="a form without a cut-off"),
        pytest.param("scales_show_haq-2.txt", ["show", "haq-2"], id="a provisional form"),
        pytest.param("scales_show_ors.txt", ["show", "ors"], id="unverified numbers are counted, not shown"),
        pytest.param(
            "scales_show_ors_unverified.txt",
            ["show", "ors", "--include-unverified"],
            id="and shown on request",
        ),
        pytest.param("scales_show_core-10.md", ["show", "core-10", "--format", "md"], id="as Markdown"),
        pytest.param("scales_show_core-om.txt", ["show", "core-om"], id="domains, bands, references, alerts"),
        pytest.param("scales_show_oq-45.txt", ["show", "oq-45"], id="subscales switched off"),
        pytest.param("scales_show_scs.txt", ["show", "scs"], id="subscales as answered, a nested total"),
        pytest.param("scales_show_csq-8.txt", ["show", "csq-8"], id="keyed as printed"),
        pytest.param("scales_check.txt", ["check", str(bundled("scales") / "wai.toml")], id="check"),
    ],
)
def test_the_output_at_80_columns_is_the_golden_one(name, arguments):
    assert run("scales", *arguments) == (GOLDEN / name).read_text("utf-8")


def test_no_table_is_wider_than_the_terminal_nor_drawn_with_boxes(monkeypatch):
    for width in (60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        for arguments in (["list"], ["show", "core-10"], ["show", "wai"]):
            text = run("scales", *arguments)
            assert max(map(len, text.splitlines())) <= width
            assert not re.search(r"[│─┃━┏┗|]", text)


def test_list_as_json_names_every_form_with_its_facts():
    listed = json.loads(run("scales", "list", "--format", "json"))
    assert [form["id"] for form in listed] == sorted(path.stem for path in bundled("scales").glob("*.toml"))
    assert next(form for form in listed if form["id"] == "phq-9") == {
        "id": "phq-9",
        "name": "Patient Health Questionnaire-9",
        "status": "verified",
        "construct": "outcome",
        "items": 9,
        "range": "0 to 3",
        "direction": "higher_is_worse",
        "licence": "public domain; no permission needed; items not shipped",
        "n_sources": 3,
    }


def test_a_remembered_number_appears_only_on_request():
    facts = json.loads(run("scales", "show", "ors", "--format", "json"))
    assert [fact["value"] for fact in facts if "28" in fact["value"]] == []
    assert {"field": "not shown", "value": "2 unverified; --include-unverified prints them"} in facts
    asked = json.loads(run("scales", "show", "ors", "--include-unverified", "--format", "json"))
    assert [fact["value"] for fact in asked if "28" in fact["value"]] == [
        "total below 28, ages 13 to 17: clinical range; 28 itself does not count "
        "(UNVERIFIED; Recalled; not seen in any source)"
    ]


@pytest.mark.parametrize("name", ["wai", "wai-therapist", "wai-s", "wai-sr", "arm-5", "haq-2"])
def test_where_no_cutoff_exists_show_says_so(name):
    facts = json.loads(run("scales", "show", name, "--format", "json"))
    assert [fact["value"] for fact in facts if fact["field"] == "cut-off"] == [
        "no cut-off exists in this definition, and none is made up"
    ]


def test_a_folder_of_ones_own_is_listed_and_shown(tmp_path):
    run(*NEW, "-o", str(tmp_path / "mine" / "mini.toml"))
    folder = ["--scales", str(tmp_path / "mine")]
    assert "mini" in [form["id"] for form in json.loads(run("scales", "list", *folder, "--format", "json"))]
    assert "Mini form" in run("scales", "show", "mini", *folder)


def test_the_tolerance_and_the_parts_of_a_total_are_told(tmp_path):
    run(*NEW, "--subscale", "bond=1,2", "--subscale", "task=3,4", "-o", str(tmp_path / "mini.toml"))
    text = (tmp_path / "mini.toml").read_text("utf-8")
    head, tables = text.split("\n[subscales]")
    text = f'{head}\nmissing_max = 1\ntotal_missing_max = 2\n[total]\nof = "subscales"\n\n[subscales]{tables}'
    (tmp_path / "mini.toml").write_text(text, "utf-8")
    facts = {row["field"]: row["value"] for row in json.loads(
        run("scales", "show", str(tmp_path / "mini.toml"), "--format", "json"))}  # fmt: skip
    assert facts["total"] == "mean of the subscales bond, task, 1 to 5"
    assert facts["subscale bond"] == "mean of items 1 2, 1 to 5"
    assert facts["unanswered items"] == (
        "up to 1 in bond, 1 in task, 2 in total; the others are scaled up, and marked prorated"
    )


def test_an_unknown_form_is_refused_with_the_nearest():
    assert refused(ScaleError, "scales", "show", "wai-srr").startswith(
        "error: unknown scale 'wai-srr'\nhint: did you mean 'wai-sr'? known: arm-5, authenticity, bsi-18,"
    )


def test_check_prints_every_problem_and_exits_with_4(tmp_path):
    path = tmp_path / "mini.toml"
    run(*NEW, "-o", str(path))
    path.write_text(
        path.read_text("utf-8").replace('"mean"', '"median"').replace("max = 5", "max = 1"), "utf-8"
    )
    assert run("scales", "check", str(path), code=4) == (
        "check   result  detail\n"
        "schema  wrong   method: must be one of sum, mean, got 'median'\n"
        "schema  wrong   max: must be above min 1, got 1\n"
    )


def test_check_lists_what_is_unproven_and_exits_with_0(tmp_path):
    run(*NEW, "-o", str(tmp_path / "mini.toml"))
    found = json.loads(run("scales", "check", str(tmp_path / "mini.toml"), "--format", "json"))
    assert [row["result"] for row in found] == ["ok", "ok", "unproven"]


def test_new_writes_a_file_only_its_owner_can_read(tmp_path):
    path = tmp_path / "forms" / "deep" / "mini.toml"
    options = ["--reverse", "4", "--subscale", "bond=1,2", "--subscale", "task=3,4", "--construct", "session"]
    text = run(*NEW, *options, "--example", "1,2,3,5=bond:1.5,task:2,total:1.75", "-o", str(path))
    assert text == f"wrote {path}; now run: alliance scales check {path}\n"
    table = tomllib.loads(path.read_text("utf-8"))
    assert (table["reverse"], table["subscales"]) == ([4], {"bond": [1, 2], "task": [3, 4]})
    assert (table["min"], table["max"], table["construct"]) == (1, 5, "session")
    assert table["vectors"][2] == {"answers": [1, 2, 3, 5], "scores": {"bond": 1.5, "task": 2, "total": 1.75}}
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_new_writes_to_the_users_folder_unless_told_otherwise(tmp_path):
    run(*NEW, "--step", "0.5")
    assert tomllib.loads((tmp_path / "own" / "mini.toml").read_text("utf-8"))["step"] == 0.5
    assert "Mini form" in run("scales", "show", "mini")


def test_new_never_overwrites(tmp_path):
    path = tmp_path / "mini.toml"
    path.write_text("mine", "utf-8")
    assert refused(StoreError, *NEW, "-o", str(path)) == (
        f"error: '{path}' is there already\nhint: give another file with -o; nothing is overwritten"
    )
    assert path.read_text("utf-8") == "mine"


def test_new_says_when_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    message = refused(StoreError, *NEW, "-o", str(tmp_path / "file" / "mini.toml"))
    assert message.startswith(f"error: cannot write '{tmp_path / 'file' / 'mini.toml'}': ")


def test_new_writes_nothing_when_the_hand_disagrees(tmp_path):
    path = tmp_path / "mini.toml"
    assert refused(ScaleError, *NEW, "--example", "1,2,3,5=total:3", "-o", str(path)) == (
        "error: the example scored by hand disagrees with 'mini'\n"
        "  vectors[3]: the key gives total 2.75, the vector 3\n"
        "hint: check the reversed items, the subscales and the method"
    )
    assert not path.exists()


@pytest.mark.parametrize("option", ["--id", "--name", "--items", "--min", "--max", "--method"])
def test_new_without_a_terminal_names_the_missing_option_instead_of_waiting(option):
    given = NEW[: NEW.index(option)] + NEW[NEW.index(option) + 2 :]
    assert refused(UsageError, *given) == (
        f"error: {option} is missing, and there is no terminal to ask at\n"
        "hint: `alliance scales new --help` shows an example"
    )
    assert UsageError.exit_code == 2


@pytest.mark.parametrize("options", [["--reverse", "3;5"], ["--reverse", "x"]])
def test_new_refuses_item_numbers_it_cannot_read(options):
    assert refused(UsageError, *NEW, *options) == (
        f"error: {options[0]} must be item numbers such as 3,5, got '{options[1]}'"
    )


def test_new_refuses_a_subscale_without_items():
    message = refused(ScaleError, *NEW, "--subscale", "bond")
    assert "  subscales: bond: has no item\n" in message


def test_new_asks_for_what_is_not_given(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_at_terminal", lambda: True)
    answers = ["mini", "Mini form", "4", "1", "3", "mean", "4", "bond=1,2", "task=3,4", ""]
    answers += ["1=never", "3=always", "", "Somebody (2020)", "", "the manual", "a page", ""]
    # The forms to score by hand: 1 2 3 1, then 1 1 1 2; the second task score is left out.
    answers += ["1.5", "3", "9/4", "1", "", "5/4"]
    text = run("scales", "new", "-o", str(tmp_path / "mini.toml"), input="\n".join(answers) + "\n")
    assert "answers 1, 2, 3, 1\n" in text
    table = tomllib.loads((tmp_path / "mini.toml").read_text("utf-8"))
    assert (table["method"], table["reverse"], table["anchors"]) == (
        "mean",
        [4],
        {"1": "never", "3": "always"},
    )
    assert table["subscales"] == {"bond": [1, 2], "task": [3, 4]}
    assert (table["citation"], table["licence"]) == ("Somebody (2020)", "not stated")
    assert table["sources"] == ["the manual", "a page"]
    assert table["vectors"][2:] == [
        {"answers": [1, 2, 3, 1], "scores": {"bond": 1.5, "task": 3, "total": 2.25}},
        {"answers": [1, 1, 1, 2], "scores": {"bond": 1, "total": 1.25}},
    ]


def test_new_refuses_what_the_hand_scored_otherwise(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_at_terminal", lambda: True)
    given = ["--citation", "x", "--licence", "x", "--source", "x", "--reverse", "", "--subscale", "a=1,2,3,4"]
    message = refused(
        ScaleError,
        *NEW,
        *given,
        "--anchor",
        "1=never",
        "-o",
        str(tmp_path / "x.toml"),
        input="2.5\n2.6\n",
    )
    assert "  vectors[3]: the key gives total 2.5, the vector 2.6\n" in message
    assert not (tmp_path / "x.toml").exists()


def test_new_does_not_ask_for_hand_scored_forms_that_are_given(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_at_terminal", lambda: True)
    given = ["--citation", "x", "--licence", "x", "--source", "x", "--reverse", "", "--subscale", "a=1,2,3,4"]
    given += ["--anchor", "1=never", "--example", "1,2,3,4=total:2.5"]
    run(*NEW, *given, "-o", str(tmp_path / "x.toml"), input="")
    assert len(tomllib.loads((tmp_path / "x.toml").read_text("utf-8"))["vectors"]) == 3


def test_a_remembered_norm_is_counted_and_not_shown(tmp_path):
    path = tmp_path / "mini.toml"
    run(*NEW, "-o", str(path))
    norm = '[norms.total]\nsd = 0.7\nreliability = 0.9\nstatus = "memory"\nsource = "Recalled."\n'
    path.write_text(f"{path.read_text('utf-8')}\n{norm}", "utf-8")
    hidden = run("scales", "show", str(path))
    assert "1 unverified; --include-unverified prints it" in hidden
    assert "0.7" not in hidden
    asked = run("scales", "show", str(path), "--include-unverified")
    # 1.96 * sqrt(2) * 0.7 * sqrt(0.1) = 0.6136
    assert "total 0.614 or more; level: 95% (derived" in " ".join(asked.split())
    assert "not shown" not in asked


@pytest.mark.parametrize("text", ["x", "1/0", "1/x"])
def test_a_score_that_is_no_number_is_refused(text):
    with pytest.raises(UsageError) as caught:
        hand_score("bond", text)
    assert str(caught.value) == f"error: the score bond must be a number, such as 2.5 or 19/3, got '{text}'"


@pytest.mark.parametrize("text", ["never", "=never", "1="])
def test_an_answer_word_without_its_number_is_refused(text):
    assert refused(UsageError, *NEW, "--anchor", text) == (
        f"error: --anchor must be a number and its word, such as 1=never, got '{text}'"
    )


def test_new_takes_tolerance_authority_and_several_examples(tmp_path):
    path = tmp_path / "mini.toml"
    options = ["--total-missing-max", "1", "--citation", "A (2020)", "--licence", "free", "--source", "A"]
    run(*NEW, *options, "--example", "1,2,3,4=total:2.5", "--example", "1,,3,5=total:3", "-o", str(path))
    table = tomllib.loads(path.read_text("utf-8"))
    assert (table["total_missing_max"], table["citation"], table["licence"]) == (1, "A (2020)", "free")
    assert [vector["scores"]["total"] for vector in table["vectors"]] == [1, 5, 2.5, 3]


@pytest.mark.parametrize(
    ("name", "raters"),
    [("seq-5", "client or therapist"), ("cors", "client or caregiver"), ("wai-o", "observer")],
)
def test_everybody_who_fills_in_a_form_is_named(name, raters):
    facts = {
        row["field"]: row["value"] for row in json.loads(run("scales", "show", name, "--format", "json"))
    }
    assert facts["filled in by"] == raters


def test_list_filters_by_construct_and_refuses_an_unknown_one():
    listed = json.loads(run("scales", "list", "--construct", "satisfaction", "--format", "json"))
    assert [form["id"] for form in listed] == ["csq-8", "csq-8-position"]
    message = refused(UsageError, "scales", "list", "--construct", "mood")
    assert message.startswith("error: --construct is one of alliance, outcome, relationship,")


def test_the_forms_on_hold_are_listed_with_the_reason():
    listed = json.loads(run("scales", "list", "--held", "--format", "json"))
    assert len(listed) >= 20
    assert all(row["on hold because"] for row in listed)
    assert "star-p" in " ".join(row["ids"] for row in listed).split()


def test_a_form_on_hold_is_shown_with_the_reason_and_the_way_out():
    facts = {
        row["field"]: row["value"] for row in json.loads(run("scales", "show", "star-p", "--format", "json"))
    }
    assert facts["status"] == "ON HOLD: not bundled, no score is given"
    assert facts["own definition"] == (
        "if you own its manual, write a definition from it: `alliance scales new --id star-p`"
    )
    assert facts["on hold because"]
    assert facts["would be released by"]


def test_an_own_definition_of_a_form_on_hold_is_shown_as_itself(tmp_path):
    arguments = [*NEW[:3], "star-p", *NEW[4:]]
    run(*arguments, "-o", str(tmp_path / "star-p.toml"))
    assert "Mini form" in run("scales", "show", "star-p", "--scales", str(tmp_path))


def test_a_derived_reliable_change_is_shown_from_what_is_given():
    facts = run("scales", "show", "srs", "--sd", "5", "--reliability", "0.84", "--format", "json")
    # 1.96 * sqrt(2) * 5 * 0.4 = 5.544
    assert [row["value"] for row in json.loads(facts) if row["field"] == "reliable change"] == [
        "total 5.544 or more; level: 95% (derived, not published; computed from SD 5 and reliability 0.84 "
        "(given by the user))"
    ]


def test_ones_own_texts_are_printed_and_go_nowhere_else(tmp_path):
    texts = tmp_path / "mine.txt"
    texts.write_text("first of mine\nsecond of mine\nthird of mine\nfourth of mine\n", encoding="utf-8")
    facts = json.loads(run("scales", "show", "srs", "--texts", str(texts), "--format", "json"))
    own = [row["value"] for row in facts if re.fullmatch(r"item \d+", row["field"])]
    assert own == ["first of mine", "second of mine", "third of mine", "fourth of mine"]
    assert "of mine" not in run("scales", "show", "srs")


def test_the_program_tells_a_users_mistake_on_stderr_with_its_exit_code():
    done = subprocess.run(
        [sys.executable, "-m", "alliance", "scales", "new"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --id is missing, and there is no terminal to ask at\n")


@pytest.mark.parametrize("arguments", [["list"], ["show"], ["check"], ["new"]])
def test_every_command_has_a_one_line_summary_and_an_example(arguments):
    lines = [line.strip() for line in run("scales", *arguments, "--help").splitlines()]
    text = " ".join(lines)
    assert f"Example: alliance scales {arguments[0]}" in text
    listed = run("scales", "--help")
    assert re.search(rf"^  {arguments[0]} +\S.*[^.]\.$", listed, re.MULTILINE)


def test_help_imports_nothing_heavy():
    heavy = "numpy pandas scipy pyarrow"
    code = (
        "import sys; from typer.testing import CliRunner; from alliance.cli.scales import app;"
        "import alliance.scale;"
        "assert CliRunner().invoke(app, ['list', '--help']).exit_code == 0;"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


ROWS = [
    {"case": "A|1", "score": 3.0833333333333335, "n": np.int64(12), "flag": True, "where": ["q1", "q2"]},
    {"case": "ü, \"b\"", "score": np.nan, "n": pd.NA, "flag": np.bool_(False)},
]  # fmt: skip
COLUMNS = ("case", "score", "n", "flag", "where")


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        pytest.param(
            "table",
            "Title\n\ncase    score   n  flag  where\nA|1     3.083  12  yes   q1, q2\n"
            "ü, \"b\"      -   -  no    -\n",
            id="a table rounds and aligns",
        ),
        pytest.param(
            "csv",
            "case,score,n,flag,where\nA|1,3.0833333333333335,12,yes,\"q1, q2\"\n\"ü, \"\"b\"\"\",,,no,\n",
            id="CSV is exact and quoted",
        ),
        pytest.param(
            "md",
            "## Title\n\n| case | score | n | flag | where |\n|---|---|---|---|---|\n"
            "| A\\|1 | 3.0833333333333335 | 12 | yes | q1, q2 |\n| ü, \"b\" |  |  | no |  |\n",
            id="Markdown escapes the bar",
        ),
    ],
)  # fmt: skip
def test_rows_are_printed_in_the_format_asked_for(format, expected, capsys):
    emit(ROWS, columns=COLUMNS, format=format, title="Title")
    assert capsys.readouterr().out == expected


def test_json_is_exact_has_null_for_missing_and_keeps_letters(capsys):
    emit(ROWS, columns=COLUMNS, format="json", title="Title")
    text = capsys.readouterr().out
    assert json.loads(text) == [
        {"case": "A|1", "score": 3.0833333333333335, "n": 12, "flag": True, "where": ["q1", "q2"]},
        {"case": 'ü, "b"', "score": None, "n": None, "flag": False, "where": None},
    ]
    assert "ü" in text


def test_json_knows_dates_infinity_and_nesting(capsys):
    row = {
        "date": pd.Timestamp("2026-01-12"),
        "none": pd.NaT,
        "limit": math.inf,
        "more": {"a": np.float64(0.5)},
    }
    emit([row], columns=tuple(row), format="json")
    assert json.loads(capsys.readouterr().out) == [
        {"date": "2026-01-12 00:00:00", "none": None, "limit": None, "more": {"a": 0.5}}
    ]


def test_no_row_leaves_the_header(capsys):
    for format, expected in {"table": "a  b\n", "csv": "a,b\n", "json": "[]\n"}.items():
        emit([], columns=("a", "b"), format=format)
        assert capsys.readouterr().out == expected


def test_an_unknown_format_is_refused():
    with pytest.raises(UsageError) as caught:
        emit([], columns=("a",), format="jsn")
    assert str(caught.value) == (
        "error: unknown format 'jsn'\nhint: did you mean 'json'? known: csv, json, md, table"
    )
    assert isinstance(caught.value, AllianceError)
    assert set(RENDERERS) == {"table", "csv", "json", "md"}


def test_a_long_cell_wraps_inside_its_column():
    rows = [{"id": "C-1", "text": "one two three four five"}]
    assert (
        table_text(rows, ("id", "text"), width=15) == "id   text\nC-1  one two\n     three four\n     five\n"
    )


def test_a_word_longer_than_its_column_is_broken_not_lost():
    rows = [{"id": "a", "text": "x" * 25}]
    lines = table_text(rows, ("id", "text"), width=14).splitlines()
    assert lines[1:] == ["a   " + "x" * 10, "    " + "x" * 10, "    " + "x" * 5]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2.0, "2"),
        (0.0005, "0.001"),
        (0.0001, "1.0e-04"),
        (0.0, "0"),
        (1234.5678, "1234.568"),
        (-0.25, "-0.25"),
    ],
)
def test_a_table_rounds_to_three_decimals_but_never_to_nothing(value, shown):
    assert table_text([{"x": value}], ("x",)).split() == ["x", shown]


def test_a_line_break_in_a_cell_is_kept():
    assert table_text([{"a": "x\ny"}], ("a",)) == "a\nx\ny\n"
    assert markdown_text([{"a": "x\ny"}], ("a",)) == "| a |\n|---|\n| x<br>y |\n"
