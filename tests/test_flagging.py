"""A caseload judged: subjects, several methods side by side, rises, frozen priors, settings."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import alliance
from alliance.courses import Courses
from alliance.errors import DataError, UsageError
from alliance.rupture import (
    METHODS,
    Frozen,
    Group,
    Measure,
    Prior,
    Subject,
    detect,
    flag,
    run_of,
    runs_of,
    subject_of,
)
from alliance.rupture.parameters import BY_NAME, PARAMETERS, parameters_of
from alliance.rupture.subject import unit_of
from alliance.scale import load_scale

NA = np.nan
STEADY = [46, 47, 48, 47, 49, 48, 38, 41, 47, 49, 50, 49]


def frame(cases, **columns):
    """Return plain Scores: case → scores, sessions from 1, one client a case."""
    rows = [
        (case, session, score) for case, scores in cases.items() for session, score in enumerate(scores, 1)
    ]
    made = pd.DataFrame(rows, columns=["case", "session", "total"]).astype({"total": float})
    keys = {"date": pd.NaT, "therapist": "", "rater": "client", **columns}
    return made.assign(**keys).astype({"date": "datetime64[s]"})


def caseload(n=14, seed=5):
    rng = np.random.default_rng(seed)
    return {f"C{case}": np.rint(46 + 2 * rng.standard_normal(12)) for case in range(n)}


def test_a_plain_column_needs_no_form():
    flags, episodes = flag(frame({"A": STEADY}), within_sd=2, min=12, max=60)
    assert list(flags["finding"]) == ["rupture", "repair"]
    assert list(flags["session"]) == [7, 9]
    assert list(flags["key"]) == ["", ""]
    assert list(flags["subscale"]) == ["total", "total"]
    assert list(episodes["outcome"]) == ["repaired"]


def test_a_plain_column_of_any_name_is_judged_and_named():
    scores = frame({"A": STEADY}).rename(columns={"total": "bond"})
    flags, _ = flag(scores, column="bond", within_sd=2, min=12, max=60)
    assert set(flags["subscale"]) == {"bond"}


def test_a_subscale_of_a_form_is_judged_by_its_own_range():
    form = load_scale("wai-sr")
    subject = subject_of(form, column="bond", within_sd=0.2)
    assert (subject.measure.low, subject.measure.high) == form.bounds("bond")
    assert subject.measure.step == form.score_step("bond")
    assert subject.spans == {}
    assert set(subject_of(form).spans) == {"goal", "task", "bond"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"direction": "down"},
            "error: direction is fall or rise, got 'down'\nhint: fall: a fall of the score is flagged",
        ),
        (
            {"min": 5.0, "max": 5.0},
            "error: min must lie below max, got 5 and 5\nhint: give the ends of the score's range",
        ),
        ({"step": 0.0}, "error: step must be above 0, got 0\nhint: leave it out if it is not known"),
        (
            {"within_sd": float("inf")},
            "error: within_sd must be above 0, got inf\nhint: leave it out if it is not known",
        ),
        (
            {"sd": 9.0},
            "error: --sd above 0 and --reliability from 0 to below 1 belong together\n"
            "hint: give both, or --within-sd alone",
        ),
    ],
)
def test_impossible_facts_about_a_score_are_refused(given, message):
    with pytest.raises(UsageError) as caught:
        subject_of(None, **given)
    assert str(caught.value) == message


def test_a_form_knows_its_own_range_and_scores():
    with pytest.raises(UsageError) as caught:
        subject_of(load_scale("srs"), min=0)
    assert str(caught.value).startswith("error: the range and step of 'srs' are those of its definition")
    with pytest.raises(UsageError) as caught:
        subject_of(load_scale("wai-sr"), column="bonds")
    assert str(caught.value) == "error: 'wai-sr' has no score 'bonds'\nhint: it has goal, task, bond, total"


def test_without_a_range_the_smallest_fall_must_be_given():
    with pytest.raises(UsageError) as caught:
        flag(frame({"A": STEADY}), within_sd=2)
    assert str(caught.value) == (
        "error: the smallest fall worth a flag is not known: the range of the score is not given\n"
        "hint: give --min and --max, or --min-drop"
    )
    flags, _ = flag(frame({"A": STEADY}), within_sd=2, min_drop=3)
    assert list(flags["session"]) == [7, 9]


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([48, 47], 1),
        ([48, 47.5, NA], 0.1),
        ([3.25], 0.01),
        ([1 / 3], 1e-6),
        ([], 1),
        ([NA], 1),
        ([0.3, 0.7], 0.1),
    ],
)
def test_the_unit_of_a_plain_column_is_the_one_it_is_written_in(values, unit):
    assert unit_of(np.array(values, dtype=float)) == pytest.approx(unit, rel=1e-12)


ONE_RATER = [name for name, method in METHODS.items() if method.combine is None]
TURNABLE = [name for name in ONE_RATER if not METHODS[name].two_sided and name not in {"pcoms", "forecast"}]
KNOWN = {"sd": 9.0, "reliability": 0.9, "min": 12.0, "max": 60.0}


@pytest.mark.parametrize("name", TURNABLE)
@settings(deadline=None, max_examples=25)
@given(cases=st.lists(st.lists(st.integers(12, 60), min_size=1, max_size=14), min_size=1, max_size=4))
def test_a_rise_is_the_fall_of_the_mirrored_scores(name, cases):
    up = frame({f"C{place}": scores for place, scores in enumerate(cases)})
    down = up.assign(total=72 - up["total"])
    fallen, fallen_episodes = flag(down, method=name, **KNOWN)
    risen, risen_episodes = flag(up, method=name, direction="rise", **KNOWN)
    kept = np.isfinite(fallen["limit"]).to_numpy()
    names = {"rupture": "rise", "repair": "reversal", "high": "low", "rise of level": "fall of level"}
    assert list(fallen["finding"].replace(names)) == list(risen["finding"])
    assert list(fallen["session"]) == list(risen["session"])
    assert list(fallen["severity"]) == list(risen["severity"])
    np.testing.assert_allclose(fallen["statistic"], -risen["statistic"], atol=1e-9)
    np.testing.assert_allclose(72 - fallen["limit"][kept], risen["limit"][kept], atol=1e-9)
    assert list(fallen_episodes["outcome"]) == list(risen_episodes["outcome"])
    np.testing.assert_allclose(fallen_episodes["depth"], risen_episodes["depth"], atol=1e-9)
    np.testing.assert_allclose(fallen_episodes["partial"], risen_episodes["partial"], atol=1e-9)


def test_a_rise_says_so_in_its_reason():
    flags, episodes = flag(
        frame({"A": [72 - score for score in STEADY]}), within_sd=2, min=12, max=60, direction="rise"
    )
    first, second = flags.to_dict("records")
    assert (first["finding"], second["finding"]) == ("rise", "reversal")
    assert first["reason"].startswith("scored 34.00, above the limit ")
    assert "from before the rise at session 7" in second["reason"]
    assert episodes["nadir"].tolist() == [34]


def test_a_method_that_looks_both_ways_cannot_be_turned():
    for name in [name for name, method in METHODS.items() if method.two_sided]:
        with pytest.raises(UsageError, match="looks both ways by itself"):
            run_of(Subject(measure=Measure(), direction="rise"), name, {})


def test_methods_stand_side_by_side_each_with_its_own_settings():
    names = ["predictive-limit", "reliable-drop", "predictive-limit"]
    runs = runs_of(Subject(measure=Measure()), names, {"alpha": 0.02, "criterion": 2.576, "tol": 0.5})
    assert [run.method.name for run in runs] == names[:2]
    assert runs[0].given == {"alpha": 0.02, "tol": 0.5}
    assert runs[1].given == {"criterion": 2.576, "tol": 0.5}
    flags, _ = flag(frame({"A": STEADY}), method=names[:2], within_sd=2, min=12, max=60)
    assert set(flags["method"]) == set(names[:2])
    assert list(flags["session"]) == sorted(flags["session"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"h": 4.0}, "error: predictive-limit has no parameter 'h'\nhint: it takes alpha, window, "),
        ({"alpha": 0.5}, "error: alpha must be between 0 and 0.5, got 0.5\nhint: the default is 0.01"),
        (
            {"alpha": float("nan")},
            "error: alpha must be between 0 and 0.5, got nan\nhint: the default is 0.01",
        ),
        ({"window": 1}, "error: window must be at least 2, got 1\nhint: the default is 8"),
        ({"tol": -0.1}, "error: tol must be at least 0, got -0.1\nhint: the default is 1.0"),
        (
            {"repair_by": "luck"},
            "error: repair_by is one of level, drop, got 'luck'\nhint: see `alliance methods`",
        ),
    ],
)
def test_settings_that_are_not_allowed_are_refused(given, message):
    with pytest.raises(UsageError) as caught:
        run_of(Subject(measure=Measure()), "predictive-limit", given)
    assert str(caught.value).startswith(message)


def test_a_repair_by_drop_is_a_rise_of_the_reliable_change():
    low = [50, 50, 50, 50, 36]
    scores = frame({"A": [*low, 43.8], "B": [*low, 43.9]})
    _, episodes = flag(
        scores, sd=9, reliability=0.9, min=12, max=60, method="reliable-drop", repair_by="drop"
    )
    assert list(episodes["outcome"]) == ["censored", "repaired"]
    with pytest.raises(UsageError) as caught:
        flag(scores, min=12, max=60, repair_by="drop")
    assert str(caught.value).startswith("error: a repair by drop needs the reliability of the score")


def test_every_parameter_of_the_repair_reaches_the_episodes():
    scores = frame({"A": [50, 50, 50, 50, 36, 40, 49]})
    known = {"within_sd": 3, "min": 12, "max": 60, "method": "reliable-drop"}
    outcome = {
        name: flag(scores, **known, **given)[1]["outcome"].tolist()
        for name, given in {
            "": {},
            "strict": {"tol": 0.1},
            "late": {"in_time": 1},
            "gave up": {"give_up": 1},
        }.items()
    }
    assert outcome == {"": ["repaired"], "strict": ["censored"], "late": ["late"], "gave up": ["unrepaired"]}


def test_sessions_far_apart_are_no_neighbours_as_the_user_says():
    days = pd.to_datetime(["2026-01-05", "2026-01-26", "2026-02-02"])
    scores = frame({"A": [50, 30, 30]}).assign(date=days)
    met = [
        len(flag(scores, method="reliable-drop", within_sd=2, min=12, max=60, max_gap_days=gap)[1])
        for gap in (28, 20, 21)
    ]
    assert met == [1, 0, 1]


def test_next_months_data_do_not_rewrite_last_months_verdicts():
    first = caseload()
    early = detect(frame(first), subject_of(None, min=12, max=60))
    frozen = json.loads(json.dumps(early.frozen().as_json()))
    later = frame(first | {f"N{case}": 46 + 12 * (np.arange(12) % 2) for case in range(12)})
    same = detect(later, subject_of(None, min=12, max=60), prior=Frozen.from_json(frozen))
    other = detect(later, subject_of(None, min=12, max=60))
    old = [place for place, name in enumerate(same.names) if name in first]
    rows = np.isin(same.judged[0].courses.series, old)
    np.testing.assert_array_equal(early.judged[0].verdict.limit, same.judged[0].verdict.limit[rows])
    assert not np.array_equal(
        early.judged[0].verdict.limit, other.judged[0].verdict.limit[rows], equal_nan=True
    )
    assert same.frozen().as_json() == frozen | {"until": ""}


def test_a_prior_says_what_it_is_about_and_when_it_ends():
    dated = frame({"A": STEADY}).assign(date=pd.date_range("2026-01-05", periods=12, freq="7D"))
    frozen = detect(dated, subject_of(None, within_sd=2, min=12, max=60)).frozen().as_json()
    assert frozen == {
        "alliance_prior": 1,
        "form": "",
        "column": "total",
        "direction": "fall",
        "until": "2026-03-23",
        "priors": {"client": {"df": 4.0, "sd": 2.0, "n_series": 0, "origin": "given"}},
        "lessons": {},
    }


def test_a_prior_about_something_else_is_refused():
    frozen = detect(frame({"A": STEADY}), subject_of(None, within_sd=2, min=12, max=60)).frozen()
    with pytest.raises(DataError) as caught:
        flag(
            frame({"A": STEADY}).rename(columns={"total": "bond"}),
            column="bond",
            min=12,
            max=60,
            prior=frozen,
        )
    assert str(caught.value) == (
        "error: the prior is about falls of total\nhint: this run judges falls of bond"
    )
    with pytest.raises(DataError) as caught:
        flag(frame({"A": STEADY}, rater="therapist"), min=12, max=60, prior=frozen)
    assert str(caught.value) == (
        "error: the prior holds no courses of the rater 'therapist'\nhint: it holds client"
    )


@pytest.mark.parametrize(
    "content", [{}, {"alliance_prior": 2}, {"prior": []}, {"prior": {"alliance_prior": 9}}]
)
def test_what_is_no_prior_is_refused(content):
    with pytest.raises(DataError, match="this is no prior file of this version"):
        Frozen.from_json(content)


@pytest.mark.parametrize("broken", ["priors", "lessons", "column"])
def test_a_damaged_prior_is_refused(broken):
    whole = detect(frame({"A": STEADY}), subject_of(None, within_sd=2, min=12, max=60)).frozen().as_json()
    for content in (
        {name: value for name, value in whole.items() if name != broken},
        whole | {"priors": {"client": {"df": 4.0, "sdd": 2.0}}},
    ):
        with pytest.raises(DataError, match="this prior file is damaged"):
            Frozen.from_json(content)


@pytest.mark.parametrize("name", METHODS)
def test_the_table_of_parameters_is_the_signature_of_every_method(name):
    import inspect

    keywords = {
        each.name: each.default
        for each in inspect.signature(METHODS[name].judge).parameters.values()
        if each.kind is inspect.Parameter.KEYWORD_ONLY and each.name != "repair"
    }
    table = {each.name: each for each in parameters_of(name) if each.methods}
    assert set(table) == set(keywords)
    for parameter, default in keywords.items():
        told = table[parameter].default
        assert told is None or told == default, parameter


def test_every_parameter_belongs_to_methods_that_are_there():
    assert {name for each in PARAMETERS for name in each.methods} <= set(METHODS)
    assert len(BY_NAME) == len(PARAMETERS)
    assert all(each.help for each in PARAMETERS)


def test_the_library_and_its_lazy_names_agree():
    import alliance.rupture as package

    assert alliance.flag is flag
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match=r"module 'alliance\.rupture' has no attribute 'flags'"):
        package.flags  # noqa: B018  the attribute is the point


def test_a_series_without_a_verdict_says_why():
    flags, _ = flag(frame({"A": [46, 47], "B": [NA, NA], "C": [46]}), within_sd=2, min=12, max=60)
    assert dict(zip(flags["case"], flags["reason"], strict=True)) == {
        "A": "not enough data: 1 of 3 earlier scores",
        "B": "not enough data: 0 of 3 earlier scores",
        "C": "not enough data: 0 of 3 earlier scores",
    }


def test_groups_carry_the_courses_of_each_rater_apart():
    scores = pd.concat([frame({"A": [1, 2], "B": [3]}), frame({"B": [4, 5]}, rater="therapist")])
    found = detect(
        scores,
        Subject(measure=Measure(low=0, high=9, step=1, prior=Prior(df=4, sd=1, n_series=0, origin="given"))),
    )
    assert [each.rater for each in found.judged] == ["client", "therapist"]
    scored = [list(vars(each.courses)["values"]) for each in found.judged]
    assert scored == [[1, 2, 3], [4, 5]]
    assert [each.place.tolist() for each in found.judged] == [[0, 1], [1]]
    assert isinstance(Group(rater="x", place=np.zeros(1, int), total=Courses.of([1.0])), Group)


def test_a_caseload_that_is_too_small_is_counted_in_cases():
    flags, _ = flag(frame(caseload(n=7)), method="forecast", min=12, max=60)
    assert set(flags["reason"]) == {"not enough data: 7 of 20 cases with 3 scores"}


def test_the_limit_of_a_repair_lies_on_the_side_the_gap_came_from():
    gap = [2, 3, 2, 3, 12, 3]
    both = pd.concat([frame({"A": [48] * 6}), frame({"A": [48 - step for step in gap]}, rater="therapist")])
    flags, episodes = flag(both, method="divergence", within_sd=1, min=12, max=60)
    assert list(flags["finding"]) == ["divergence", "repair"]
    reference, sigma = episodes["reference"][0], episodes["depth"][0] / episodes["depth_sigma"][0]
    assert flags["limit"][1] == pytest.approx(reference + sigma)


def test_a_spread_below_one_point_is_a_spread():
    subject = subject_of(None, sd=0.6, reliability=0.0, within_sd=0.2, step=0.1)
    assert (subject.measure.norm.sd, subject.measure.within_sd, subject.measure.step) == (0.6, 0.2, 0.1)


def refused(parameter, value):
    try:
        parameter.check(value)
    except UsageError as error:
        return str(error).startswith(f"error: {parameter.name} ")
    return False


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_a_parameter_allows_its_default_and_its_bounds_and_nothing_beyond(parameter):
    if parameter.default is not None:
        assert not refused(parameter, parameter.default)
    for bound, beyond in ((parameter.least, -1e-9), (parameter.most, 1e-9)):
        if bound is not None:
            assert refused(parameter, bound) is parameter.open_ends
            assert refused(parameter, bound + beyond)
    if parameter.choices:
        assert not any(refused(parameter, choice) for choice in parameter.choices)
        assert refused(parameter, "luck")


@pytest.mark.parametrize(
    ("given", "ends"),
    [({}, (-np.inf, np.inf)), ({"min": 1.0}, (1.0, np.inf)), ({"max": 9.0}, (-np.inf, 9.0))],
)
def test_an_end_of_the_range_that_is_not_known_is_open(given, ends):
    measure = subject_of(None, **given).measure
    assert (measure.low, measure.high) == ends


@pytest.mark.parametrize(("usual", "marked"), [(59, True), (58, False)])
def test_one_step_below_the_top_is_still_the_ceiling(usual, marked):
    flags, _ = flag(frame({"A": [usual] * 6 + [45]}), within_sd=2, min=12, max=60, step=1)
    assert ("ceiling" in flags["reason"][0]) is marked
