"""The bundle and what is done with it: round trip, tampering, application, words, drift."""

import hashlib
import json
from dataclasses import replace
from datetime import date
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service_helpers import service_cohort
from test_dropout_model import cohort, rows_like, worked_model

from alliance.dropout.ends.cohort import COMPETING, DROPOUT, EXCLUDED, ONGOING, PLANNED
from alliance.dropout.model.apply import apply, outside, require_same
from alliance.dropout.model.bundle import (
    KEYS,
    Bundle,
    bundle_of,
    changed,
    checksum,
    data_digest,
    from_bytes,
    plain,
    to_bytes,
    with_validation,
)
from alliance.dropout.model.drift import deactivated, drift, new_rows, recalibrate
from alliance.dropout.model.explain import NOTHING, explain
from alliance.dropout.model.hazard import FitSettings, Term, fit
from alliance.dropout.model.rows import NO_DAY, latest_rows, rows_of
from alliance.errors import DataError, StoreError, UsageError

NA = float("nan")
FORM = {"id": "srs", "scoring_version": "1", "low": 0, "high": 40}
SAME = {"definition": "unilateral", "instrument": "srs", "scoring_version": "1"}
GATES = [{"id": f"G{place}", "asks": "a", "found": "b", "passed": True} for place in range(1, 8)]


def bundled(model, rows, some, **options):
    values = {"instrument": FORM, "created": "2026-11-24", "tool_version": "1.2.3"}
    return bundle_of(model, rows, some, **(values | options))


@pytest.fixture(scope="module")
def some():
    return service_cohort(300, 1)


@pytest.fixture(scope="module")
def rows(some):
    return rows_of(some)


@pytest.fixture(scope="module")
def model(rows):
    return fit(rows)


@pytest.fixture(scope="module")
def bundle(model, rows, some):
    return bundled(model, rows, some)


def validated(bundle, threshold=0.05):
    return changed(
        bundle, gates=GATES, status="validated",
        threshold={"value": threshold, "budget": 0.2, "net_benefit": 0.01},
    )  # fmt: skip


# Round trip


def test_a_bundle_read_back_predicts_to_the_last_bit(bundle, model, rows):
    read = from_bytes(to_bytes(bundle))
    assert read.model.hazard(rows).tobytes() == model.hazard(rows).tobytes()
    assert read.model.risk(rows).tobytes() == model.risk(rows).tobytes()
    assert read.model.contributions(rows).tobytes() == model.contributions(rows).tobytes()
    assert to_bytes(read) == to_bytes(bundle)
    assert read.sha256 == bundle.sha256
    assert read.model.n_parameters == 5
    assert [each.se for each in read.model.terms] == [each.se for each in model.terms]


@pytest.mark.parametrize(
    "chosen",
    [
        FitSettings(link="cloglog", time="cubic"),
        FitSettings(landmark=False),
        FitSettings(time="linear", ipcw=True),
        FitSettings(time="dummies", strict=False),
        FitSettings(estimator="ridge", penalty=30.0),
    ],
    ids=["cloglog, cubic", "no landmark", "weighted", "dummies", "ridge"],
)
def test_every_kind_of_model_survives_the_round_trip(some, rows, chosen):
    fitted = fit(rows, chosen)
    read = from_bytes(to_bytes(bundled(fitted, rows, some))).model
    np.testing.assert_array_equal(read.hazard(rows), fitted.hazard(rows))
    assert read.settings == replace(chosen, strict=True)
    assert (read.penalty, read.log_likelihood) == (fitted.penalty, fitted.log_likelihood)
    assert (read.landmark is None) is not chosen.landmark
    if chosen.landmark:
        np.testing.assert_array_equal(read.risk(rows), fitted.risk(rows))
        assert read.settings.ipcw is chosen.ipcw


def test_covariates_and_other_ends_survive_the_round_trip(rows, some):
    rng = np.random.default_rng(1)
    more = replace(
        rows,
        covariates={
            "phq": np.where(rng.random(len(rows)) < 0.1, NA, rng.normal(10, 3, len(rows))),
            "group=b": (rng.random(len(rows)) < 0.3) * 1.0, "age": rng.normal(40, 9, len(rows)),
        },
        other=((rows.y == 0) & (rng.random(len(rows)) < 0.05)).astype(float),
    )  # fmt: skip
    fitted = fit(
        more, FitSettings(covariates=("phq", "group=b", "age"), competing=True), allow_demographics=True
    )
    found = bundled(fitted, more, some)
    assert found.content["covariates"] == [
        {"name": "phq", "kind": "number", "demographic": False},
        {"name": "group=b", "kind": "binary", "demographic": False},
        {"name": "age", "kind": "number", "demographic": True},
    ]
    assert any("age is a demographic covariate" in each for each in found.content["limits"])
    read = from_bytes(to_bytes(found)).model
    np.testing.assert_array_equal(read.hazard(more), fitted.hazard(more))
    np.testing.assert_array_equal(read.competing.risk(more), fitted.competing.risk(more))


def test_the_bundle_says_what_it_was_made_of(some, rows, model):
    ends = some.end.copy()
    ends[0] = EXCLUDED
    why = some.why.copy()
    why[0] = "nobody knows"
    part = replace(some, end=ends, why=why)
    content = bundled(model, rows, part, synthetic=True, seed=7, limits=["One clinic."]).as_json()
    assert set(KEYS) | {"sha256"} <= set(content)
    assert (content["schema"], content["kind"], content["model"]) == (1, "alliance-dropout-model", "dt-logit")
    assert (content["created"], content["tool_version"], content["seed"]) == ("2026-11-24", "1.2.3", 7)
    assert content["definition"] == {"id": "unilateral", "settings": {}}
    assert content["instrument"] == {"score": "total", "rater": "client", **FORM}
    training = content["training"]
    assert training["n_cases"] == 299
    assert training["n_excluded"] == {"nobody knows": 1}
    assert training["n_rows"] == len(rows)
    assert training["n_events"] == training["n_dropouts"] == int(rows.y.sum())
    assert training["n_closed"] == int(np.isin(ends, (1, 2, 3)).sum())
    assert training["first_date"] == str(np.datetime64(int(rows.day.min()), "D"))
    assert training["last_date"] == str(np.datetime64(int(rows.day.max()), "D"))
    assert training["synthetic"] is True
    assert content["status"] == "exploratory"
    assert content["limits"][-3:] == [
        "It was built on synthetic data and says nothing about real clients.",
        "It has not been validated.",
        "One clinic.",
    ]
    assert content["intercept"]["before_flic"] == model.before_flic
    assert content["landmark"]["horizon"] == 3


def test_a_validation_brings_threshold_fairness_gates_and_status(some, rows, model):
    validation = {
        "method": "grouped", "gates": GATES, "fairness": [{"group": "a"}],
        "threshold": {"value": 0.06, "budget": 0.2, "net_benefit": 0.01, "sens": 0.4}, "cv": {"auc": NA},
    }  # fmt: skip
    found = bundled(model, rows, some, validation=validation)
    assert found.status == "validated"
    assert found.gates == GATES
    assert found.threshold == 0.06
    assert found.content["threshold"] == {"value": 0.06, "budget": 0.2, "net_benefit": 0.01}
    assert found.content["fairness"] == [{"group": "a"}]
    assert found.content["validation"]["cv"] == {"auc": None}
    assert "It has not been validated." not in found.content["limits"]
    assert "gates" in validation


@pytest.mark.parametrize("passed", [False, None])
def test_one_gate_not_passed_leaves_it_exploratory(some, rows, model, passed):
    gates = [*GATES[:-1], {**GATES[-1], "passed": passed}]
    assert bundled(model, rows, some, validation={"gates": gates}).status == "exploratory"


def test_the_checksum_is_that_of_the_canonical_json():
    text = '{"a":[0.5,null],"b":{"c":"ü"}}'
    assert checksum({"b": {"c": "ü"}, "a": [0.5, None]}) == hashlib.sha256(text.encode()).hexdigest()


def test_plain_values():
    found = plain({"a": np.array([1, 2]), 3: (np.float64("inf"), True), "c": None, "d": "text"})
    assert json.dumps(found) == '{"a": [1, 2], "3": [null, true], "c": null, "d": "text"}'


# What is refused


CHANGED = (
    "error: model.json has been changed: its content does not have the checksum it states\n"
    "hint: use the file as `alliance model fit` wrote it, or fit the model again"
)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["terms"][0].update(coef=0.0),
        lambda values: values.update(status="validated"),
        lambda values: values["training"].update(n_rows=1),
        lambda values: values.update(extra=1),
        lambda values: values.update(sha256="0" * 64),
        lambda values: values.pop("sha256"),
    ],
    ids=["a coefficient", "the status", "a count", "a further key", "the checksum", "no checksum"],
)
def test_changed_content_is_refused(bundle, change):
    values = json.loads(to_bytes(bundle))
    change(values)
    with pytest.raises(DataError) as caught:
        from_bytes(json.dumps(values).encode(), name="model.json")
    assert str(caught.value) == CHANGED


@pytest.mark.parametrize("key", [key for key in KEYS if key not in {"schema", "kind"}])
def test_a_bundle_that_lacks_something_is_refused(bundle, key):
    content = {name: value for name, value in bundle.content.items() if name != key}
    with pytest.raises(DataError) as caught:
        Bundle.from_json({**content, "sha256": checksum(content)})
    assert str(caught.value) == (
        f"error: the model is not complete\n  {key} is not there\nhint: fit the model again"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"\xff\xfe", "error: m.json cannot be read: it is no JSON file\n"
            "hint: give the .json file that `alliance model fit` wrote",
        ),
        (
            b"{", "error: m.json cannot be read: it is no JSON file\n"
            "hint: give the .json file that `alliance model fit` wrote",
        ),
        (
            b"[1]", "error: m.json is no dropout model\n"
            "hint: give the .json file that `alliance model fit` wrote",
        ),
        (
            b'{"kind": "other", "schema": 1}', "error: m.json is no dropout model\n"
            "hint: give the .json file that `alliance model fit` wrote",
        ),
        (
            b'{"kind": "alliance-dropout-model", "schema": 2}',
            "error: m.json has schema 2, this version reads schema 1\n"
            "hint: update alliance, or fit the model again",
        ),
    ],
    ids=["bytes", "broken", "a list", "another kind", "a newer schema"],
)  # fmt: skip
def test_what_is_no_bundle_is_refused(content, message):
    with pytest.raises(StoreError) as caught:
        from_bytes(content, name="m.json")
    assert str(caught.value) == message


# Application


@pytest.mark.parametrize(
    ("given_", "where"),
    [
        ({"definition": "lt_k"}, "definition: 'lt_k', the model has 'unilateral'"),
        ({"instrument": "wai-sr"}, "instrument: 'wai-sr', the model has 'srs'"),
        ({"scoring_version": "2"}, "scoring version: '2', the model has '1'"),
        ({"rater": "therapist"}, "rater: 'therapist', the model has 'client'"),
    ],
)
def test_other_data_are_refused(bundle, rows, given_, where):
    with pytest.raises(UsageError) as caught:
        apply(bundle, rows, **(SAME | given_))
    assert str(caught.value) == (
        f"error: this model was not built for these data\n  {where}\n"
        "hint: use the model's definition and form, or fit a new model"
    )


@pytest.mark.parametrize(
    ("definition", "given_", "where"),
    [
        pytest.param("lt_k", {"k": 6}, ["k: 6, the model has 3"], id="k counts for lt_k"),
        pytest.param("lt_k", {"grace_days": 5}, [], id="the grace period does not"),
        pytest.param("missed_last", {"grace_days": 5}, ["grace days: 5, the model has 30"], id="here"),
        pytest.param("unilateral", {"grace_days": 0}, ["grace days: 0, the model has 30"], id="and here"),
        pytest.param("unilateral", {"k": 6}, [], id="k does not count for unilateral"),
        pytest.param("incomplete", {"k": 6, "grace_days": 5}, [], id="neither for incomplete"),
        pytest.param(
            "incomplete", {"presumed": "censor"}, ["presumed: 'censor', the model has 'exclude'"], id="always"
        ),
        pytest.param(
            "no_rci",
            {"reliable_change": 8.0, "reliable_change_source": "B", "outcome": "oq"},
            ["outcome: 'oq', the model has 'ors'", "reliable change: 8, the model has 5",
             "reliable change source: 'B', the model has 'A'"],
            id="all of the outcome measure",
        ),
        pytest.param("no_rci", {"outcome": None}, ["outcome: nothing, the model has 'ors'"], id="no measure"),
        pytest.param("unilateral", {"outcome": "oq"}, [], id="an outcome measure that is not looked at"),
    ],
)  # fmt: skip
def test_settings_that_the_definition_uses_are_compared(bundle, some, definition, given_, where):
    built = {
        "k": 3,
        "grace_days": 30,
        "presumed": "exclude",
        "outcome": "ors",
        "reliable_change": 5.0,
        "reliable_change_source": "A",
    }
    model = changed(bundle, definition={"id": definition, "settings": built})
    same = SAME | {"definition": definition}
    told = replace(some, definition=definition, settings=built | given_)
    require_same(model, settings=built)
    assert len(apply(model, replace(told, settings=built), **same).p_next)
    if not where:
        require_same(model, settings=built | given_)
        assert len(apply(model, told, **same).p_next)
        return
    for refused in (
        lambda: require_same(model, settings=built | given_),
        lambda: apply(model, told, **same),
    ):
        with pytest.raises(UsageError) as caught:
            refused()
        assert str(caught.value) == (
            "error: this model was not built for these data\n"
            + "".join(f"  {each}\n" for each in where)
            + "hint: use the model's definition and form, or fit a new model"
        )


def test_another_definition_is_told_before_its_settings(bundle):
    with pytest.raises(UsageError) as caught:
        require_same(bundle, definition="lt_k", settings={"presumed": "censor"})
    assert "presumed" not in str(caught.value)


def test_a_cohort_by_another_definition_is_refused(bundle, some):
    with pytest.raises(
        UsageError, match=r"^error: this model was not built for these data\n  definition: 'lt_k'"
    ):
        apply(bundle, replace(some, definition="lt_k"), **SAME)


def test_an_exploratory_model_gives_probabilities_and_no_order(bundle, some, model):
    found = apply(changed(bundle, threshold={"value": 0.05, "budget": 0.2, "net_benefit": 0}), some, **SAME)
    latest = latest_rows(some)
    assert found.status == "exploratory"
    np.testing.assert_array_equal(found.p_next, model.hazard(latest))
    np.testing.assert_array_equal(found.p_3, model.risk(latest))
    assert found.order is None
    assert found.above is None
    assert found.rows.case.tolist() == latest.case.tolist()
    assert found.contributions.shape == (len(latest), 5)
    linear = found.intercept + found.contributions.sum(axis=1)
    np.testing.assert_allclose(found.p_next, 1 / (1 + np.exp(-linear)), atol=1e-12)
    assert found.terms == ("log_session", "level", "change", "no_shows", "missing")


def test_a_validated_model_orders_and_compares_with_the_threshold(bundle, model):
    some = rows_like(
        [NA] * 5, [1, 2, 2, 1, 3], mean_rating=np.array([36.0, 30, 39, 36, 25]),
        rating=np.array([36.0, 30, 39, 36, 25]),
    )  # fmt: skip
    p = model.hazard(some)
    found = apply(validated(bundle, threshold=p[1]), some, **SAME)
    assert found.status == "validated"
    assert found.order.tolist() == [4, 1, 0, 3, 2]
    assert found.above.tolist() == [False, True, False, False, True]
    barely = apply(validated(bundle, threshold=p[1] + 1e-6), some, **SAME)
    assert not barely.above[1]
    nowhere = changed(validated(bundle), threshold=None)
    assert apply(nowhere, some, **SAME).above is None


def test_equal_probabilities_are_ordered_by_fewer_sessions(bundle, some, rows):
    flat = changed(validated(bundle), terms=[{**each, "coef": 0.0} for each in bundle.content["terms"]])
    found = apply(flat, rows_like([NA] * 4, [3, 1, 2, 1]), **SAME)
    assert found.order.tolist() == [1, 3, 2, 0]


def test_without_a_landmark_model_the_three_session_risk_is_not_known(some, rows):
    found = apply(bundled(fit(rows, FitSettings(landmark=False)), rows, some), some, **SAME)
    assert np.isnan(found.p_3).all()


def test_absent_covariates_are_told(some, rows):
    more = replace(rows, covariates={"phq": np.arange(len(rows)) % 7.0})
    found = bundled(fit(more, FitSettings(covariates=("phq",))), more, some)
    with pytest.raises(UsageError) as caught:
        apply(found, some, **SAME)
    assert str(caught.value) == (
        "error: this model needs covariates that the data do not have\n  phq\n"
        "hint: add the columns the model was fitted with"
    )


def ranged(**values):
    """A model with plain slopes and the training ranges given."""
    terms = tuple(
        replace(each, low=values.get(each.name, (-9, 9))[0], high=values.get(each.name, (-9, 9))[1])
        for each in worked_model().terms
    )
    return replace(worked_model(), terms=terms, sessions=(1, 10))


OUT = ": outside the data this model was built on"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param({}, "", id="inside"),
        pytest.param({"mean_rating": 2.0}, "", id="at the edge"),
        pytest.param({"mean_rating": 2.01}, f"level{OUT}", id="above"),
        pytest.param({"mean_rating": -2.01}, f"level{OUT}", id="below"),
        pytest.param({"mean_rating": NA}, "", id="never rated"),
        pytest.param({"session": 8}, "", id="at the 99th percentile"),
        pytest.param({"session": 9}, f"session{OUT}", id="beyond the 99th percentile"),
        pytest.param({"session": 11}, f"session{OUT}", id="beyond the last session, told once"),
        pytest.param({"no_shows": 2.0, "mean_rating": 5.0}, f"level, no_shows{OUT}", id="two"),
        pytest.param({"missing": 1.0}, "", id="no rating"),
    ],
)
def test_what_lies_outside_the_training_data(row, expected):
    model = ranged(level=(-2.0, 2.0), log_session=(0.0, log(8)), no_shows=(0, 1), missing=(0, 0))
    session = [row.get("session", 1)]
    columns = {name: np.array([value]) for name, value in row.items() if name != "session"}
    assert outside(model, rows_like([NA], session, **columns)).tolist() == [expected]


def test_with_a_term_for_each_session_a_later_one_is_outside():
    terms = tuple(Term(name=f"session_{t}", words="s", coef=0.1) for t in (2, 3))
    model = replace(worked_model(), terms=terms, sessions=(2, 3))
    assert outside(model, rows_like([NA] * 4, [1, 2, 3, 4])).tolist() == [
        f"session{OUT}",
        "",
        "",
        f"session{OUT}",
    ]


def test_a_covariate_may_be_called_like_a_session():
    long = Term(name="session_length", words="session_length", coef=1.0, low=40, high=60)
    model = replace(worked_model(), terms=(long, Term(name="4", words="4", coef=1.0, low=0, high=1)))
    rows = rows_like([NA], covariates={"session_length": np.array([90.0]), "4": np.array([1.0])})
    assert outside(model, rows).tolist() == [f"session_length{OUT}"]
    assert explain(model, rows)[0] == "raises: session_length above average, 4 above average"


def test_a_covariate_never_missing_before_is_outside_where_it_is(some, rows):
    phq = Term(name="phq", words="phq", coef=1.0, low=0, high=20)
    gap = Term(name="phq_missing", words="phq not recorded", coef=1.0)
    lacking = rows_like([NA, NA, NA], covariates={"phq": np.array([NA, 5.0, 21.0])})
    model = replace(worked_model(), terms=(phq,))
    assert outside(model, lacking).tolist() == [f"phq{OUT}", "", f"phq{OUT}"]
    assert outside(replace(model, terms=(phq, gap)), lacking).tolist() == ["", "", f"phq{OUT}"]


# Words


@pytest.mark.parametrize(
    ("session", "row", "expected"),
    [
        pytest.param(2, {"mean_rating": -1.0, "change": -0.8},
                     "lowers: session 2; raises: ratings below average, latest rating lower than before",
                     id="the worked client"),
        pytest.param(1, {}, NOTHING, id="nothing to say"),
        pytest.param(1, {"mean_rating": 1.0}, "lowers: ratings above average", id="a high level"),
        pytest.param(1, {"change": 1.0}, "lowers: latest rating higher than before", id="a rise"),
        pytest.param(1, {"no_shows": 1.0}, "raises: missed appointment", id="a missed appointment"),
        pytest.param(1, {"missing": 1.0}, "raises: no rating this session", id="no rating"),
        pytest.param(4, {"no_shows": 1.0, "mean_rating": -0.5, "missing": 1.0},
                     "raises: missed appointment, no rating this session, ratings below average; "
                     "lowers: session 4", id="biggest first"),
        pytest.param(1, {"mean_rating": 0.111}, NOTHING, id="too slight"),
        pytest.param(1, {"mean_rating": 0.112}, "lowers: ratings above average", id="just worth it"),
    ],
)  # fmt: skip
def test_contributions_in_words(session, row, expected):
    columns = {name: np.array([value]) for name, value in row.items()}
    assert explain(worked_model(), rows_like([NA], [session], **columns)).tolist() == [expected]


def test_a_line_is_cut_at_a_hundred_characters():
    names = [f"a rather long name of a covariate {place}" for place in range(4)]
    terms = tuple(Term(name=name, words=name, coef=4.0 - place) for place, name in enumerate(names))
    model = replace(worked_model(), terms=terms)
    rows = rows_like([NA], covariates={name: np.ones(1) for name in names})
    line = explain(model, rows)[0]
    assert line == f"raises: {names[0]} above average …"
    assert len(line) <= 100
    assert explain(replace(model, terms=()), rows)[0] == NOTHING


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 400),
    st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    st.integers(0, 2),
    st.booleans(),
    st.text("abcdefgh ", min_size=1, max_size=60).filter(str.strip),
)
def test_no_line_is_longer_or_judges_people(session, numbers, missed, gap, name):
    level, change, value = numbers
    terms = (
        *worked_model().terms,
        Term(name=name, words=name, coef=1.0),
    )
    rows = rows_like(
        [NA], [session], mean_rating=np.array([level]), change=np.array([change]),
        no_shows=np.array([float(missed)]), missing=np.array([float(gap)]),
        covariates={name: np.array([value])},
    )  # fmt: skip
    line = explain(replace(worked_model(), terms=terms), rows)[0]
    assert 0 < len(line) <= 100
    for word in ("will drop out", "resistant", "compliant", "because"):
        assert word not in line


def test_terms_of_the_session_count_as_one():
    terms = (
        Term(name="session", words="s", coef=1.0), Term(name="session_squared", words="s", coef=-1.0),
        Term(name="level", words="l", coef=-0.2),
    )  # fmt: skip
    model = replace(worked_model(), terms=terms)
    assert explain(model, rows_like([NA], [1], mean_rating=np.ones(1)))[0] == "lowers: ratings above average"
    assert explain(model, rows_like([NA], [3], mean_rating=np.ones(1)))[0] == (
        "lowers: session 3, ratings above average"
    )


# Drift


def flat_bundle(rows, some, hazard=0.1, *, slope=0.0):
    """A model that gives everybody the same hazard, or one that depends on the level alone."""
    fitted = fit(rows)
    terms = tuple(
        replace(each, coef=slope if each.name == "level" else 0.0, centre=0.0, scale=1.0)
        for each in fitted.terms
    )
    return bundled(replace(fitted, terms=terms, intercept=log(hazard / (1 - hazard))), rows, some)


@pytest.fixture(scope="module")
def bundle_of_one_tenth(rows, some):
    return flat_bundle(rows, some)


def later(n, n_dropouts, level=0.0, day=40_000):
    y = np.arange(n) < n_dropouts
    return rows_like(y, day=np.full(n, day), mean_rating=np.broadcast_to(level, n))


@pytest.mark.parametrize(
    ("n", "n_dropouts", "action"),
    [
        pytest.param(490, 49, "not enough data", id="49 dropouts"),
        pytest.param(500, 50, "keep", id="50 dropouts as expected"),
        pytest.param(1000, 125, "keep", id="observed 1.25 times the expected, at the edge"),
        pytest.param(1000, 126, "recalibrate", id="more than 1.25 times"),
        pytest.param(1000, 80, "keep", id="observed .8 times the expected, at the edge"),
        pytest.param(1000, 79, "recalibrate", id="less than .8 times"),
    ],
)
def test_drift_of_calibration(bundle_of_one_tenth, n, n_dropouts, action):
    found = drift(bundle_of_one_tenth, later(n, n_dropouts))
    assert found.action == action
    assert (found.n_rows, found.n_dropouts) == (n, n_dropouts)
    if action == "not enough data":
        assert found.text == "not enough data: 49 of 50 dropouts"
        assert np.isnan(found.oe)
    else:
        assert found.oe == pytest.approx(n_dropouts / n / 0.1)


def test_drift_of_the_slope(rows, some):
    # Level 0 and 1 with hazards .1 and .2 by the model.
    steep = log(0.2 / 0.8) - log(0.1 / 0.9)
    model = flat_bundle(rows, some, slope=steep)
    level = np.repeat([0.0, 1.0], 1000)

    def new(n_low, n_high):
        y = np.concatenate([np.arange(1000) < n_low, np.arange(1000) < n_high])
        return replace(later(2000, 0, level), y=y.astype(float))

    kept = drift(model, new(100, 200))
    assert kept.action == "keep"
    assert kept.slope == pytest.approx(1.0, abs=1e-6)
    assert kept.text == "observed over expected 1.00, calibration slope 1.00: the model still fits"
    worse = drift(model, new(120, 170))
    odds = log(0.17 / 0.83) - log(0.12 / 0.88)
    assert worse.slope == pytest.approx(odds / steep, abs=1e-6)
    assert worse.action == "deactivate"
    assert worse.text == (
        "observed over expected 0.97, calibration slope 0.50: the model no longer ranks well enough, "
        "put it out of use"
    )
    both = drift(model, new(240, 300))
    assert both.action == "deactivate"
    off = drift(model, new(200, 360))
    assert off.action == "recalibrate"
    assert off.text.endswith("probabilities are off, refit the intercept")


def test_new_rows_come_after_the_last_date(bundle, rows):
    last = (
        date.fromisoformat(bundle.content["training"]["last_date"]).toordinal() - date(1970, 1, 1).toordinal()
    )
    some = rows_like([0, 1, 0, NA], day=np.array([last, last + 1, NO_DAY, last + 2]))
    assert new_rows(bundle, some).case.tolist() == [1]
    assert len(new_rows(bundle, rows)) == 0


def test_without_dates_all_rows_are_new_unless_they_are_the_same(some, rows):
    timeless = replace(rows, day=np.full(len(rows), NO_DAY))
    found = bundled(fit(timeless), timeless, some)
    assert found.content["training"]["last_date"] is None
    assert found.content["training"]["first_date"] is None
    assert len(new_rows(found, timeless)) == 0
    part = timeless.take(np.arange(10, len(rows)))
    assert len(new_rows(found, part)) == len(part)
    assert len(new_rows(found, rows.take(np.arange(10, len(rows))))) == len(part)


def test_recalibration_moves_the_intercept_alone(bundle, rows):
    new = replace(rows, day=rows.day + 5000, y=np.where(np.arange(len(rows)) % 9 == 0, 1.0, rows.y))
    found = recalibrate(validated(bundle), new)
    assert found.model.hazard(new).mean() == pytest.approx(new.y.mean(), abs=1e-12)
    assert found.content["terms"] == bundle.content["terms"]
    assert found.content["landmark"]["terms"] == bundle.content["landmark"]["terms"]
    known = np.isfinite(new.fate)
    assert found.model.risk(new)[known].mean() == pytest.approx(new.fate[known].mean(), abs=1e-12)
    assert found.status == "validated"
    assert found.content["gates"] == GATES
    assert found.content["limits"][-2] == "Gates and validation are those of the earlier intercept."
    assert found.content["limits"][-1] == (
        f"The intercept was refitted to {len(new)} newer rows with {int(new.y.sum())} dropouts."
    )
    (note,) = found.content["recalibrations"]
    assert note["before"] == bundle.content["intercept"]["coef"]
    assert note["after"] == found.content["intercept"]["coef"]
    assert (note["n_rows"], note["n_events"]) == (len(new), int(new.y.sum()))
    assert note["last_date"] == str(np.datetime64(int(new.day.max()), "D"))
    assert from_bytes(to_bytes(found)).sha256 == found.sha256
    # Rows that the intercept was refitted to are new no longer.
    assert len(new_rows(found, new)) == 0


def spread_out(n, n_dropouts, day=40_000):
    """Later rows of which the first 20 % have the highest hazard in a model with a level below 0."""
    y = np.zeros(n)
    y[np.linspace(0, n - 1, n_dropouts).astype(int)] = 1
    return rows_like(y, day=np.full(n, day), mean_rating=np.linspace(-2.0, 2.0, n))


def test_recalibration_takes_the_threshold_anew_at_the_same_budget(rows, some):
    model = validated(flat_bundle(rows, some, slope=-1.0), threshold=0.3)
    new = spread_out(1000, 100)
    found = recalibrate(model, new)
    hazard = found.model.hazard(new)
    value = found.content["threshold"]["value"]
    # A fifth of a thousand rows: the 200th highest hazard, which belongs to row 199.
    assert value == pytest.approx(hazard[199], abs=1e-12)
    assert (hazard >= value - 1e-9).sum() == 200
    hits = new.y[:200].sum()
    gained = hits / 1000 - (200 - hits) / 1000 * value / (1 - value)
    assert found.content["threshold"] == {
        "value": value, "budget": 0.2, "net_benefit": pytest.approx(gained, abs=1e-12)
    }  # fmt: skip
    assert found.threshold == value
    (note,) = found.content["recalibrations"]
    assert (note["threshold_before"], note["threshold_after"]) == (0.3, value)
    assert from_bytes(to_bytes(found)).content == found.content


def test_recalibration_knows_no_error_of_its_intercept(bundle, rows):
    new = replace(rows, day=rows.day + 5000)
    found = recalibrate(validated(bundle), new)
    assert found.content["intercept"]["se"] is None
    assert found.content["intercept"]["before_flic"] is None
    assert np.isnan(found.model.intercept_se)
    assert np.isnan(found.model.before_flic)


def test_without_a_threshold_or_with_predictions_all_alike_there_is_none_after(rows, some):
    never = recalibrate(flat_bundle(rows, some), later(1000, 100))
    assert never.content["threshold"] is None
    assert never.content["recalibrations"][0]["threshold_after"] is None
    alike = recalibrate(validated(flat_bundle(rows, some)), later(1000, 100))
    assert alike.content["threshold"] == {"value": None, "budget": 0.2, "net_benefit": None}
    assert alike.threshold is None


def test_recalibration_refits_the_hazard_of_other_ends_where_there_are_some(rows, some):
    ended = ((rows.y == 0) & (np.arange(len(rows)) % 11 == 0)).astype(float)
    model = bundled(fit(replace(rows, other=ended), FitSettings(competing=True, landmark=False)), rows, some)
    new = replace(later(1000, 100), other=(np.arange(1000) >= 800).astype(float))
    found = recalibrate(model, new)
    assert found.model.competing.risk(new).mean() == pytest.approx(0.2, abs=1e-12)
    assert found.content["competing"]["terms"] == model.content["competing"]["terms"]
    assert found.content["competing"]["intercept"] != model.content["competing"]["intercept"]
    none = recalibrate(model, later(1000, 100))
    assert none.content["competing"] == model.content["competing"]


def test_a_second_recalibration_says_once_that_the_gates_are_older(bundle, rows):
    once = recalibrate(validated(bundle), replace(rows, day=rows.day + 5000))
    twice = recalibrate(once, replace(rows, day=rows.day + 50_000))
    assert twice.content["limits"].count("Gates and validation are those of the earlier intercept.") == 1
    assert len(twice.content["recalibrations"]) == 2
    assert twice.content["recalibrations"][1]["before"] == once.content["intercept"]["coef"]


def test_a_validation_after_a_recalibration_leaves_its_threshold(bundle, rows):
    found = recalibrate(validated(bundle), replace(rows, day=rows.day + 5000))
    threshold = {"value": 0.9, "budget": 0.1, "net_benefit": 0.0}
    again = with_validation(found, {"gates": GATES, "threshold": threshold}, seed=1)
    assert again.content["threshold"] == found.content["threshold"]
    assert with_validation(bundle, {"gates": GATES, "threshold": threshold}, seed=1).threshold == 0.9


def test_a_recalibrated_model_is_shown_and_reported(bundle, rows):
    from alliance.report.validation import page, summary_text

    found = recalibrate(validated(bundle), replace(rows, day=rows.day + 5000))
    html, text = page(found.as_json()), summary_text(found.as_json())
    assert "refitted to newer rows, without a standard error" in html
    assert "Gates and validation are those of the earlier intercept." in html
    assert "nan" not in text.lower().split()


def test_recalibration_of_cloglog_shifts_by_the_log_of_the_ratio(rows, some):
    # With one hazard for all: log(-log(1 - h)).
    fitted = fit(rows, FitSettings(link="cloglog", landmark=False))
    flat = replace(fitted, terms=tuple(replace(each, coef=0.0) for each in fitted.terms), intercept=-2.0)
    found = recalibrate(bundled(flat, rows, some), later(1000, 200))
    assert found.model.intercept == pytest.approx(log(-log(0.8)), abs=1e-9)
    assert found.content["landmark"] is None


def test_too_few_new_dropouts_recalibrate_nothing(bundle):
    with pytest.raises(DataError) as caught:
        recalibrate(bundle, later(1000, 49))
    assert str(caught.value) == (
        "error: not enough data to recalibrate: 49 of 50 new dropouts\nhint: wait for more closed treatments"
    )


def test_a_model_put_out_of_use_gives_no_order(bundle, some):
    found = deactivated(validated(bundle), "calibration slope 0.50")
    assert found.content["limits"][-1] == "Put out of use: calibration slope 0.50."
    assert apply(found, some, **SAME).order is None


# Digest


def test_the_digest_depends_on_every_array_but_the_place_of_a_visit(rows):
    few = rows.take(np.arange(6))
    first = data_digest(few)
    assert first == data_digest(rows.take(np.arange(6)))
    for name in ("case", "client", "therapist", "session", "day", "y", "other", "fate", "window", "rating",
                 "mean_rating", "change", "no_shows", "missing"):  # fmt: skip
        values = getattr(few, name).copy()
        values[3] = 1 if np.isnan(values[3]) else values[3] + 1
        assert data_digest(replace(few, **{name: values})) != first
    assert data_digest(replace(few, visit=few.visit + 9)) == first
    assert data_digest(replace(few, covariates={"phq": np.zeros(6)})) != first
    assert data_digest(rows.take(np.arange(5))) != first


def test_the_digest_does_not_see_how_a_number_is_stored():
    one = rows_like([0, 1], change=np.array([0.0, NA]), session=np.array([1, 2], dtype=np.int32))
    two = rows_like([0, 1], change=np.array([-0.0, -NA]), session=np.array([1, 2], dtype=np.int64))
    assert data_digest(one) == data_digest(two)
    digest = hashlib.sha256()
    for name in ("case", "change", "client", "day", "fate", "mean_rating", "missing", "no_shows", "other",
                 "rating", "session", "therapist", "window", "y"):  # fmt: skip
        values = getattr(one, name)
        digest.update(
            f"{name}:2;".encode() + values.astype("<i8" if values.dtype.kind == "i" else "<f8").tobytes()
        )
    assert data_digest(one) == digest.hexdigest()


def test_hazards_of_a_bundle_are_those_of_its_numbers(bundle):
    # By hand from the JSON: intercept + sum of coef (raw - centre)/scale.
    values = json.loads(to_bytes(bundle))
    raw = {"log_session": log(3), "level": 35.0, "change": -1.5, "no_shows": 1.0, "missing": 0.0}
    eta = values["intercept"]["coef"] + sum(
        each["coef"] * (raw[each["name"]] - each["centre"]) / each["scale"] for each in values["terms"]
    )
    rows = rows_like(
        [NA],
        [3],
        mean_rating=np.array([35.0]),
        change=np.array([-1.5]),
        no_shows=np.ones(1),
        missing=np.zeros(1),
    )
    assert bundle.model.hazard(rows)[0] == pytest.approx(1 / (1 + exp(-eta)), abs=1e-12)


def test_the_ends_of_small_cohorts_are_counted_by_client():
    small = cohort(
        [[5, 4], [5, 3, 2], [4], [3, 3], [4, 2]],
        [PLANNED, DROPOUT, ONGOING, DROPOUT, COMPETING],
        clients=[0, 0, 1, 2, 3],
    )
    found = bundled(fit(rows_of(small), FitSettings(landmark=False)), rows_of(small), small).content[
        "training"
    ]
    assert (found["n_cases"], found["n_clients"], found["n_closed"], found["n_dropouts"]) == (5, 4, 3, 2)
