"""`alliance methods`: the list with its rates, one method in full, every format."""

import csv
import io
import json

from alliance.rupture import METHODS
from alliance.rupture.handbook import handbook, simulation


def test_the_list_holds_every_method_at_80_columns(command):
    done = command("methods")
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[0] == "method            online  alarms  cases  v1  v3  step  ramp  delay"
    assert [line.split()[0] for line in lines[1 : len(METHODS) + 1]] == list(METHODS)
    (row,) = [row for row in simulation()["rows"] if row["detector"] == "predictive-limit .01"]
    told = lines[1].split()
    assert told[:3] == ["predictive-limit", "yes", f"{row['false_alarms']:.2f}".rstrip("0")]
    assert told[3:] == [f"{row[name]:.0f}" for name in ("cases_flagged", "v1", "v3", "step", "ramp")] + [
        f"{row['delay']:.1f}"
    ]
    assert max(map(len, lines)) <= 80
    assert "20,000 courses" in done.out


def test_a_method_is_explained_with_formulas_parameters_and_source(command):
    done = command("methods", "sudden-loss")
    assert done.code == 0
    assert done.out.startswith("sudden-loss: looks at the whole course, never at today alone\n")
    assert max(map(len, done.out.splitlines())) <= 80
    text = " ".join(done.out.split())
    method = METHODS["sudden-loss"]
    for part in (method.finds, method.needs, method.blind, method.source, *method.formula):
        assert " ".join(part.split()) in text
    for name in ("cut", "percent", "test"):
        assert f" {name}: " in text
    assert "simulated: alarms " in text


def test_a_warning_is_told(command):
    assert f"warning: {METHODS['own-mean'].warning[:40]}" in " ".join(
        command("methods", "own-mean").out.split()
    )


def test_an_unknown_method_is_answered_with_the_known_ones(command):
    done = command("methods", "cussum")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: unknown method 'cussum'\nhint: did you mean 'cusum'?")


def test_other_formats_hold_everything(command):
    rows = list(csv.DictReader(io.StringIO(command("methods", "--format", "csv").out)))
    assert [row["method"] for row in rows] == list(METHODS)
    told = json.loads(command("methods", "cusum", "--format", "json").out)
    assert [row["method"] for row in told] == ["cusum"]
    assert told[0]["online"] is True
    assert told[0]["parameters"][0].startswith("baseline (b): ")
    assert command("methods", "--format", "md").out == handbook()
