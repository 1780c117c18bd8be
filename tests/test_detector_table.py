"""The simulation table: made again from its seed, and beside an earlier one made with other code."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from alliance.places import bundled
from alliance.rupture import METHODS
from alliance.rupture.handbook import SHAPES, facts, handbook, simulation

ROOT = Path(__file__).parent.parent
EARLIER = json.loads((ROOT / "tests" / "reference" / "detectors.json").read_text(encoding="utf-8"))
TABLE = {row["detector"]: row for row in simulation()["rows"]}
FREE, RUPTURES = 2400, 400
"""Cases without a rupture, and cases with one of each kind, in the earlier run."""
SESSIONS, OVERDISPERSION = 34_500, 1.3
"""Scored sessions without a rupture in the earlier run; false alarms come in clusters of cases."""

READ_OTHERWISE = {
    "moving-range, whole, rule 1": "ours needs 10 scores and takes neighbours only",
    "moving-range, whole, rules 1-4": "ours needs 10 scores and takes neighbours only",
    "moving-range, baseline 5, rule 1": "ours takes the first 5 scores, not sessions, and neighbours only",
    "own-mean, 1 SD below the session before": "ours takes neighbours only, the earlier one the last score",
}
"""Rows whose earlier numbers were made by another reading of the rule; ours is that of the specification."""


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import detectors

    yield detectors
    sys.modules.pop("detectors", None)


def error_of(name, row):
    """Return the standard error of a rate of the earlier run, from its size, and of ours."""
    if name == "false_alarms":
        earlier = 100 * math.sqrt(OVERDISPERSION * row[name] / 100 / SESSIONS)
        return math.hypot(row["se"][name], earlier, 0.005)
    share = min(max(row[name], 1.0), 99.0)
    size = FREE if name == "cases_flagged" else RUPTURES
    return math.hypot(row["se"][name], math.sqrt(share * (100 - share) / size), 0.3)


@pytest.mark.parametrize("name", [name for name in EARLIER["rows"] if name not in READ_OTHERWISE])
def test_every_row_lies_within_monte_carlo_error_of_the_earlier_table(name):
    row = TABLE[name]
    distance = {
        column: (value - row[column]) / error_of(column, row)
        for column, value in zip(EARLIER["columns"], EARLIER["rows"][name], strict=True)
    }
    assert max(map(abs, distance.values())) < 3.9, distance


def test_together_the_rows_lie_as_far_apart_as_chance_puts_them():
    # The mean square of standard normal distances is 1; where an onset may lie was not told, so 3 is allowed.
    distances = [
        (value - TABLE[name][column]) / error_of(column, TABLE[name])
        for name, values in EARLIER["rows"].items()
        if name not in READ_OTHERWISE
        for column, value in zip(EARLIER["columns"], values, strict=True)
    ]
    assert np.mean(np.square(distances)) < 3.0


@pytest.mark.parametrize("name", READ_OTHERWISE)
def test_a_rule_read_otherwise_is_near_the_earlier_table(name):
    row = TABLE[name]
    for column, value in zip(EARLIER["columns"][2:], EARLIER["rows"][name][2:], strict=True):
        assert row[column] == pytest.approx(value, abs=17), column
    assert 0.6 * EARLIER["rows"][name][0] < row["false_alarms"] < 1.4 * EARLIER["rows"][name][0]


@pytest.mark.slow
def test_the_table_is_made_again_from_its_seed(benchmark):
    made = json.loads(json.dumps(benchmark.table()))
    assert made == simulation()


def test_a_smaller_table_from_another_seed_agrees(benchmark):
    chosen = [each for each in benchmark.DETECTORS if each.name in {"predictive-limit .01", "cusum .5/5"}]
    small = benchmark.table(seed=3, runs=1, cases=3000, detectors=chosen)
    for row in small["rows"][:2]:
        known = TABLE[row["detector"]]
        for shape in SHAPES:
            share = known[shape]
            assert row[shape] == pytest.approx(share, abs=4 * math.sqrt(share * (100 - share) / 300))
        assert row["false_alarms"] == pytest.approx(known["false_alarms"], abs=0.3)


def test_detected_ruptures_end_as_they_were_planted():
    ended = simulation()["outcomes"]
    assert ended["v1"]["repaired"] > 94
    assert ended["v3"]["repaired"] > 90
    for lasting in ("step", "ramp"):
        assert ended[lasting]["unrepaired"] + ended[lasting]["censored"] > 93


def test_every_method_of_one_course_has_its_rates():
    rated = {row["method"] for row in facts() if row["false_alarms"] is not None}
    single = {name for name, method in METHODS.items() if method.combine is None}
    assert rated == single - {"pcoms"}


def test_the_documentation_holds_the_handbook():
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert handbook() in text
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("predictive-limit .01", "level-shift MBIC", "cusum .5/5"):
        row = TABLE[name]
        assert f"| {name} | {row['false_alarms']:.2f} | {row['cases_flagged']:.0f} % |" in readme


def test_the_table_ships_with_the_package():
    assert (bundled("data") / "detectors.json").is_file()
