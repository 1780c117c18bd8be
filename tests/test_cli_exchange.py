"""`alliance scales export` and `import` as a user runs them."""

import json
import stat
import subprocess
import sys
import tomllib

import pytest
import typer
from typer.testing import CliRunner

import alliance.places
from alliance.cli.exchange import export, import_
from alliance.errors import ScaleError, StoreError, UsageError
from alliance.exchange import to_json, to_redcap
from alliance.exchange.foreign import CAUTION, KEY
from alliance.places import bundled
from alliance.scale import read_table

app = typer.Typer(rich_markup_mode=None)
app.command()(export)
app.command("import")(import_)


@pytest.fixture(autouse=True)
def own(monkeypatch, tmp_path):
    """Give every test its own folder of definitions and a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(alliance.places, "user_folder", lambda: tmp_path / "own")
    return tmp_path / "own"


def run(*arguments, **options):
    result = CliRunner().invoke(app, list(map(str, arguments)), **options)
    assert result.exception is None, result.exception
    return result.stdout, result.stderr


def refused(kind, *arguments, **options):
    error = CliRunner().invoke(app, list(map(str, arguments)), **options).exception
    assert isinstance(error, kind)
    return str(error)


def table_of(name):
    return read_table(bundled("scales") / f"{name}.toml")[0]


def saved(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["fhir", "redcap", "json"])
def test_a_form_goes_out_and_comes_back_under_another_id(tmp_path, own, name):
    out, err = run("export", "wai-sr", "--to", name)
    assert err == ""
    file = saved(tmp_path / "out", out)
    out, err = run("import", file, "--id", "my-wai")
    path = own / "my-wai.toml"
    assert (out, err) == (f"wrote {path}; now run: alliance scales check {path}\n", "")
    assert tomllib.loads(path.read_text("utf-8")) == {**table_of("wai-sr"), "id": "my-wai"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_written_for_its_owner_only_and_replaced_only_on_demand(tmp_path):
    target = tmp_path / "srs.json"
    out, err = run("export", "srs", "--to", "json", "-o", target)
    assert (out, err.splitlines()[-1]) == ("", f"wrote {target}")
    assert target.read_text("utf-8") == to_json(table_of("srs"))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.write_text("mine", encoding="utf-8")
    assert refused(UsageError, "export", "srs", "--to", "json", "-o", target) == (
        f"error: '{target}' exists\nhint: choose another name, or replace it with --force"
    )
    assert target.read_text("utf-8") == "mine"
    run("export", "srs", "--to", "json", "-o", target, "--force")
    assert target.read_text("utf-8") == to_json(table_of("srs"))


def test_a_folder_receives_a_file_named_after_form_and_system(tmp_path):
    for name, file in {
        "fhir": "wai-sr.fhir.json",
        "redcap": "wai-sr.redcap.csv",
        "json": "wai-sr.json",
    }.items():
        run("export", "wai-sr", "--to", name, "-o", tmp_path)
        assert (tmp_path / file).is_file()


def test_a_path_and_a_folder_of_ones_own_are_exported(tmp_path):
    folder = tmp_path / "mine"
    run(
        "import",
        saved(tmp_path / "a", to_json(table_of("gad-7"))),
        "--id",
        "mine",
        "-o",
        folder / "mine.toml",
    )
    by_id, _ = run("export", "mine", "--to", "json", "--scales", folder)
    by_path, _ = run("export", folder / "mine.toml", "--to", "json")
    assert by_id == by_path == to_json({**table_of("gad-7"), "id": "mine"})


def test_what_must_be_told_of_a_form_is_told_beside_the_result():
    out, err = run("export", "ceq", "--to", "json")
    assert err == "note: ceq: expectancy not scored: not confirmed (--include-unverified)\n"
    assert json.loads(out)["definition"] == table_of("ceq")


def test_ones_own_texts_go_into_the_file_and_missing_ones_are_told(tmp_path):
    texts = saved(tmp_path / "mine.toml", 'q1 = "first of mine"\nq12 = "last of mine"\n')
    out, err = run("export", "wai-sr", "--to", "redcap", "--texts", texts)
    assert ",first of mine," in out
    assert ",last of mine," in out
    assert err == "note: no text for items 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"


def test_json_takes_no_texts(tmp_path):
    texts = saved(tmp_path / "mine.toml", 'q1 = "first of mine"\n')
    assert refused(UsageError, "export", "wai-sr", "--to", "json", "--texts", texts) == (
        "error: JSON holds the definition alone, no item texts\n"
        "hint: leave the texts out, or write fhir or redcap"
    )


def test_an_unknown_system_and_an_unknown_form_are_answered_with_the_known_ones():
    assert refused(UsageError, "export", "wai-sr", "--to", "redcab") == (
        "error: unknown format 'redcab'\nhint: did you mean 'redcap'? known: fhir, json, redcap"
    )
    assert refused(ScaleError, "export", "wai-rs", "--to", "fhir").startswith(
        "error: unknown scale 'wai-rs'\n"
    )


def test_a_foreign_file_is_taken_with_what_must_be_told(tmp_path):
    head = to_redcap(table_of("wai-sr")).splitlines()[0]
    rows = [f'a_{n},bond,,radio,,"1, rarely | 2, mostly"{"," * 12}' for n in (1, 2)]
    file = saved(tmp_path / "dictionary.csv", "\n".join([head, *rows]) + "\n")
    target = tmp_path / "bond.toml"
    out, err = run("import", file, "--form", "bond", "-o", target)
    assert out == f"wrote {target}; now run: alliance scales check {target}\n"
    assert err.splitlines() == [
        f"note: {KEY}",
        "note: whether a score is the sum or the mean is not said: the sum is taken",
        "note: who fills the form in, what it measures and which way is better are not said: client, "
        "alliance and higher is better are taken",
        "note: the item texts stay in the file: a definition holds no item wording",
    ]
    table = tomllib.loads(target.read_text("utf-8"))
    assert (table["id"], table["items"], table["status"]) == ("bond", 2, "provisional")
    assert table["cautions"] == [CAUTION]


def test_standard_input_is_read():
    out, _ = run("import", "-", "--id", "mine", input=to_json(table_of("wai-sr")))
    assert out.startswith("wrote ")


def test_no_file_is_ever_replaced(tmp_path):
    target = saved(tmp_path / "mine.toml", "mine")
    file = saved(tmp_path / "a.json", to_json(table_of("wai-sr")))
    assert refused(StoreError, "import", file, "-o", target) == (
        f"error: '{target}' is there already\nhint: give another file with -o; nothing is overwritten"
    )
    run("import", file, "--id", "mine")
    message = refused(StoreError, "import", file, "--id", "mine")
    assert message.endswith("is there already\nhint: give another file with -o; nothing is overwritten")
    assert target.read_text("utf-8") == "mine"


def test_a_second_form_of_a_bundled_id_is_not_put_into_the_users_folder(tmp_path, own):
    file = saved(tmp_path / "a.json", to_json(table_of("wai-sr")))
    assert refused(ScaleError, "import", file) == (
        "error: there is a form 'wai-sr' already\n"
        "hint: give this one another id with --id, or another file with -o"
    )
    assert not own.exists()


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        pytest.param(
            [],
            "a,b\n",
            "error: the file is no definition in a known format\n"
            "hint: known: fhir, json, redcap; say which with --from",
            id="no known format",
        ),
        pytest.param(
            ["--from", "redcap"],
            "a,b\n",
            "error: the file is no REDCap data dictionary\n"
            "hint: a dictionary is a CSV file whose first column is 'Variable / Field Name' or 'field_name'",
            id="not the format said",
        ),
        pytest.param(
            ["--id", "My Form"],
            to_json(table_of("wai-sr")),
            "error: 'file' is no valid scale definition\n"
            "  id: must be lower-case words joined by hyphens, such as wai-sr\n"
            "hint: `alliance scales check FILE` explains the definition; docs/scales.md has the fields",
            id="an id that is none",
        ),
        pytest.param(
            ["--id", "mine"],
            to_json({**table_of("srs"), "reverse": [1]}),
            "error: the hand-scored forms in 'file' disagree with its key\n"
            "  vectors[1]: the key gives total 10, the vector 0\n"
            "  vectors[2]: the key gives total 30, the vector 40\n"
            "  vectors[3]: the key gives total 24.9, the vector 19.9\n"
            "hint: the key was changed after the export; export it again",
            id="a key changed by hand",
        ),
    ],
)
def test_a_wrong_file_is_refused_and_nothing_written(tmp_path, own, arguments, content, message):
    assert refused(ScaleError, "import", saved(tmp_path / "file", content), *arguments) == message
    assert not own.exists()


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    assert refused(StoreError, "import", tmp_path / "none.json") == (
        f"error: cannot read '{tmp_path / 'none.json'}': No such file or directory\n"
        "hint: check the name and the folder"
    )
    (tmp_path / "latin").write_bytes(b"\xfc")
    assert refused(ScaleError, "import", tmp_path / "latin") == (
        "error: 'latin' is no UTF-8 text\nhint: save it with the encoding UTF-8"
    )


def test_a_mistake_in_the_file_ends_with_the_exit_code_of_a_scale():
    assert (ScaleError.exit_code, UsageError.exit_code, StoreError.exit_code) == (4, 2, 5)


@pytest.mark.parametrize("name", ["export", "import"])
def test_help_has_a_summary_and_an_example(name):
    text = " ".join(run(name, "--help")[0].split())
    assert f"Example: alliance scales {name} " in text


def test_help_imports_nothing_heavy():
    script = (
        "import sys, typer; from typer.testing import CliRunner; from alliance.cli import exchange;"
        "app = typer.Typer(); app.command()(exchange.export); app.command('import')(exchange.import_);"
        "assert CliRunner().invoke(app, ['import', '--help']).exit_code == 0;"
        "print([name for name in ('numpy', 'pandas', 'scipy', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
