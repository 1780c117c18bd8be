"""What every registered rupture method keeps, whatever it computes."""

# ruff: noqa: PD011  the values are those of Courses

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps_helpers import calls_of

from alliance.claims import Norm
from alliance.courses import Courses, cut
from alliance.rupture import METHODS, Measure, Prior, flag
from alliance.rupture.verdict import EVALUATED, OPEN, REPAIR, UNSCORED

NA = np.nan
GIVEN = Prior(df=4, sd=2, n_series=0, origin="given")
PLAIN = Measure(
    low=12,
    high=60,
    step=1,
    norm=Norm(sd=9, reliability=0.9, source="x"),
    prior=GIVEN,
    cutoff=36,
    at_cutoff=True,
)
SPOKEN = {EVALUATED, OPEN, REPAIR}

scores_of_a_case = st.lists(st.one_of(st.none(), st.integers(12, 60)), max_size=30)
few_sessions = st.lists(st.one_of(st.none(), st.integers(12, 60)), min_size=1, max_size=16)


def some_courses(cases):
    lengths = np.array([len(case) for case in cases], dtype=np.int64)
    values = np.array([NA if score is None else score for case in cases for score in case], dtype=float)
    session = np.array([place for case in cases for place in range(1, len(case) + 1)], dtype=np.int64)
    return Courses(values=values, session=session, starts=np.cumsum(lengths) - lengths)


def noise(n_cases, n_sessions, seed=1):
    rng = np.random.default_rng(seed)
    level = 46 + 4 * rng.standard_normal((n_cases, 1))
    return np.clip(np.rint(level + 2 * rng.standard_normal((n_cases, n_sessions))), 12, 60).tolist()


CASELOAD = some_courses(noise(40, 10))


def measure_for(name):
    """Return a measure with all a method may need, what it learns of a caseload included."""
    learn = METHODS[name].learn
    return PLAIN if learn is None else replace(PLAIN, caseload={name: recalled(name, learn(CASELOAD, PLAIN))})


def recalled(name, lesson):
    """Return what was learned as a later run finds it: frozen, of a caseload that may not hold the case."""
    import json

    return METHODS[name].recall(json.loads(json.dumps(lesson.as_json())))


MEASURES = {name: measure_for(name) for name in METHODS}


def judge(name, courses, **parameters):
    return METHODS[name].judge(courses, MEASURES[name], **parameters)


@pytest.mark.parametrize("name", METHODS)
@settings(deadline=None, max_examples=60)
@given(cases=st.lists(scores_of_a_case, max_size=6))
def test_every_method_answers_yes_no_or_not_enough_data_for_every_form(name, cases):
    courses = some_courses(cases)
    before = courses.values.copy()
    verdict = judge(name, courses)
    np.testing.assert_array_equal(courses.values, before)
    for array in (
        verdict.met, verdict.statistic, verdict.limit, verdict.reference, verdict.sigma, verdict.df,
        verdict.n_reference, verdict.state,
    ):  # fmt: skip
        assert array.shape == courses.values.shape
    assert set(verdict.met[np.isfinite(verdict.met)]) <= {0.0, 1.0}
    assert np.isnan(verdict.met[np.isnan(courses.values)]).all()
    assert (verdict.state[np.isnan(courses.values)] == UNSCORED).all()
    assert np.isin(verdict.state[np.isfinite(verdict.met)], list(SPOKEN)).all()
    assert not np.isin(verdict.state[np.isnan(verdict.met)], list(SPOKEN)).any()
    assert len(verdict.window) == len(verdict.flagged)
    assert np.isin(verdict.flagged, courses.scored).all()
    assert np.isfinite(verdict.statistic[verdict.flagged]).all()


@pytest.mark.parametrize("name", METHODS)
@settings(deadline=None, max_examples=40)
@given(cases=st.lists(scores_of_a_case, max_size=5))
def test_every_rupture_has_an_outcome_and_only_flags_open_one(name, cases):
    courses = some_courses(cases)
    verdict = judge(name, courses)
    found = verdict.episodes
    assert np.isin(found.onset, verdict.flagged).all()
    assert (np.diff(found.onset) > 0).all()
    assert (courses.series[found.onset] == found.series).all()
    assert np.isin(found.outcome, range(4)).all()
    assert ((found.end < 0) | (found.end > found.onset)).all()
    assert (found.depth >= 0).all()
    np.testing.assert_array_equal(found.lag > 0, found.outcome <= 1)
    opened = set(courses.series[verdict.flagged])
    assert opened == set(found.series)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.online])
@settings(deadline=None, max_examples=40)
@given(case=scores_of_a_case.filter(len))
def test_an_online_verdict_never_changes_when_later_sessions_arrive(name, case):
    courses = some_courses([case])
    whole = judge(name, courses)
    for row in range(len(case)):
        so_far = judge(name, cut(courses, row))
        np.testing.assert_array_equal(so_far.met, whole.met[: row + 1])
        np.testing.assert_array_equal(so_far.limit, whole.limit[: row + 1])
        np.testing.assert_array_equal(so_far.statistic, whole.statistic[: row + 1])


def test_methods_that_look_at_the_whole_course_say_so():
    # A course that falls for good at its seventh session: what is said of the sessions before changes.
    fallen = some_courses([[48, 47, 49, 48, 47, 49, 39, 38, 40, 37, 39, 38]])
    retrospective = {name for name, method in METHODS.items() if not method.online}
    assert retrospective == {"moving-range", "sudden-loss", "level-shift", "own-mean", "trend-residual"}
    for name in retrospective:
        whole, so_far = judge(name, fallen), judge(name, cut(fallen, 6))
        assert not np.array_equal(whole.met[:7], so_far.met, equal_nan=True), name


@pytest.mark.parametrize("name", METHODS)
@settings(deadline=None, max_examples=40)
@given(cases=st.lists(scores_of_a_case, min_size=1, max_size=5))
def test_a_case_is_judged_the_same_whatever_stands_beside_it(name, cases):
    together = judge(name, some_courses(cases))
    apart = [judge(name, some_courses([case])) for case in cases]
    for field in ("met", "limit", "statistic", "reference", "sigma", "state"):
        separate = np.concatenate([getattr(verdict, field) for verdict in apart])
        np.testing.assert_array_equal(getattr(together, field), separate)
    assert len(together.episodes.onset) == sum(len(verdict.episodes.onset) for verdict in apart)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_needs_and_where_it_comes_from(name):
    method = METHODS[name]
    assert method.name == name
    for text in (method.needs, method.finds, method.blind, method.source):
        assert text
        assert "\n" not in text
        assert not text.endswith(".")
    assert method.formula
    assert method.judge.__doc__.count("Parameters")


ADVERSARIAL = {
    "all equal": [48] * 12,
    "all missing": [None] * 12,
    "one session": [48],
    "two sessions": [48, 30],
    "ceiling": [60, 60, 59, 60, 60, 60, 60, 60, 60, 60, 60, 60],
    "alternating": [40, 50] * 8,
    "gaps": [48, None, None, 47, None, 30, None, None, None, 49, None, 48],
    "500 sessions": (noise(1, 500)[0]),
    "a fall from a flat course": [48] * 11 + [30],
}


@pytest.mark.parametrize("shape", ADVERSARIAL)
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.combine is None])
def test_a_difficult_course_gets_an_answer_or_the_reason_why_not(name, shape):
    scores = [NA if score is None else score for score in ADVERSARIAL[shape]]
    frame = pd.DataFrame(
        {"case": "A", "session": range(1, len(scores) + 1), "total": scores, "therapist": ""}
    )
    frame = pd.concat([frame, caseload_frame()]).assign(date=pd.NaT, rater="client")
    known = {"sd": 9, "reliability": 0.9, "min": 12, "max": 60}
    extra = {"cutoff": 36} if name == "pcoms" else {}
    flags, _ = flag(frame.astype({"date": "datetime64[s]"}), method=name, **known, **extra)
    mine = flags[flags["case"] == "A"]
    reasons = mine.loc[mine["finding"] == "not enough data", "reason"]
    verdict = judge(name, some_courses([ADVERSARIAL[shape]]))
    if np.isfinite(verdict.met).any():
        assert reasons.empty
    else:
        assert len(reasons) == 1
        assert reasons.str.startswith("not enough data: ").all()
    assert mine["reason"].str.len().gt(0).all()


def caseload_frame():
    rows = [
        (f"B{case}", session, score, "")
        for case, scores in enumerate(noise(30, 10, seed=3))
        for session, score in enumerate(scores, 1)
    ]
    return pd.DataFrame(rows, columns=["case", "session", "total", "therapist"])


@pytest.mark.parametrize("name", METHODS)
def test_infinite_scores_are_refused(name):
    frame = pd.DataFrame(
        {"case": "A", "session": [1, 2], "total": [48, np.inf], "therapist": "", "rater": "client"}
    )
    with pytest.raises(ValueError, match="scores must be finite or missing, got inf"):
        flag(frame.assign(date=pd.NaT), method=name, min=12, max=60)


@pytest.mark.parametrize("name", METHODS)
def test_more_cases_are_no_more_steps(name):
    # A Python loop over cases would make a call at least for each of them.
    few, many = (some_courses(noise(count, 14, seed=8)) for count in (300, 3000))

    def work(courses):
        return lambda: judge(name, courses).episodes

    work(few)()
    assert calls_of(work(many)) - calls_of(work(few)) < (3000 - 300) / 2


@pytest.mark.parametrize("name", METHODS)
@settings(deadline=None, max_examples=20)
@given(cases=st.lists(few_sessions, min_size=1, max_size=4))
def test_a_blank_form_says_the_same_as_no_form(name, cases):
    with_blanks = some_courses(cases)
    kept = np.isfinite(with_blanks.values)
    series = with_blanks.series[kept]
    starts = np.flatnonzero(np.diff(series, prepend=-1))
    without = Courses(values=with_blanks.values[kept], session=with_blanks.session[kept], starts=starts)
    one, other = judge(name, with_blanks), judge(name, without)
    np.testing.assert_array_equal(one.met[kept], other.met)
    np.testing.assert_array_equal(one.statistic[kept], other.statistic)
