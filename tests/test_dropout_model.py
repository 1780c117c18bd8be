"""The risk set and the hazard model: truth tables, published models, other programs."""

import sys
from dataclasses import fields, replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service_helpers import service_rows

from alliance.dropout.ends.cohort import COMPETING, DROPOUT, ENDS, EXCLUDED, ONGOING, PLANNED, Cohort
from alliance.dropout.model.competing import incidence_of_hazards
from alliance.dropout.model.design import Reference, design_of, is_demographic, is_therapist, matrix
from alliance.dropout.model.estimate import cluster_covariance, clusters_of, estimate
from alliance.dropout.model.hazard import FitSettings, HazardModel, Term, fit
from alliance.dropout.model.landmark import inverse_known
from alliance.dropout.model.rows import HORIZON, NO_DAY, Rows, latest_rows, rows_of
from alliance.dropout.visits import ATTENDED, NO_SHOW, Appointments, Ratings, Visits, visits_of
from alliance.errors import DataError, UsageError

NA = float("nan")


def cohort(courses, ends, *, planned=None, covariates=None, clients=None, therapists=None):
    """Cases with a rating for each attended session; `courses` lists them."""
    n = len(courses)
    case = np.repeat(np.arange(n), [len(each) for each in courses])
    session = np.concatenate([np.arange(1, len(each) + 1) for each in courses] or [[]]).astype(int)
    rating = np.concatenate([np.asarray(each, dtype=float) for each in courses] or [[]])
    visits = visits_of(Ratings(case=case, session=session, rating=rating), n_cases=n)
    return of_visits(visits, ends, planned, covariates=covariates, clients=clients, therapists=therapists)


def of_visits(visits, ends, planned=None, *, covariates=None, clients=None, therapists=None):
    n = len(visits.starts)
    return Cohort(
        cases=np.arange(n).astype(object),
        client=np.arange(n) if clients is None else np.array(clients),
        therapist=np.full(n, -1) if therapists is None else np.array(therapists),
        end=np.array(ends, dtype=np.int8),
        why=np.full(n, "", dtype=object),
        planned=np.full(n, NA) if planned is None else np.array(planned, dtype=float),
        visits=visits,
        day=np.full(len(visits.rating), NO_DAY),
        covariates={} if covariates is None else covariates,
    )


def rows_like(y, session=None, **columns):
    """Rows with everything else plain: one case each, rating 0, nothing missing."""
    n = len(y)
    zero, place = np.zeros(n), np.arange(n)
    values = {
        "case": place, "client": place, "therapist": np.full(n, -1),
        "session": np.ones(n, dtype=np.int64) if session is None else np.asarray(session),
        "visit": place, "day": np.full(n, NO_DAY), "y": np.asarray(y, dtype=float), "other": zero,
        "fate": np.asarray(y, dtype=float), "window": np.full(n, HORIZON), "rating": zero,
        "mean_rating": zero, "change": zero, "no_shows": zero, "missing": zero, "covariates": {},
    }  # fmt: skip
    return Rows(**(values | columns))


# The risk set


def test_the_risk_set_of_four_cases():
    # A completed 4 of 4; B dropped after 2; C ongoing at 3; D dropped after 1.
    four = cohort(
        [[5] * 4, [5] * 2, [5] * 3, [5]], [PLANNED, DROPOUT, ONGOING, DROPOUT], planned=[4, 8, 8, 8]
    )
    rows = rows_of(four)
    found = [f"{'ABCD'[case]}{t} {y:.0f}" for case, t, y in zip(rows.case, rows.session, rows.y, strict=True)]
    assert found == ["A1 0", "A2 0", "A3 0", "B1 0", "B2 1", "C1 0", "C2 0", "D1 1"]
    at_risk = [int((rows.session == t).sum()) for t in (1, 2, 3)]
    events = [int(rows.y[rows.session == t].sum()) for t in (1, 2, 3)]
    assert (at_risk, events) == ([4, 3, 1], [1, 1, 0])
    assert np.cumprod(1 - np.array(events) / at_risk).tolist() == pytest.approx([0.75, 0.50, 0.50])


DROPPED, OTHERWISE, NO_ROW = (1, 0), (0, 1), None
LAST_ROW = {
    DROPOUT: {"below": DROPPED, "at": DROPPED, "above": DROPPED, "unknown": DROPPED},
    COMPETING: {"below": OTHERWISE, "at": NO_ROW, "above": NO_ROW, "unknown": OTHERWISE},
    PLANNED: {"below": NO_ROW, "at": NO_ROW, "above": NO_ROW, "unknown": NO_ROW},
    ONGOING: {"below": NO_ROW, "at": NO_ROW, "above": NO_ROW, "unknown": NO_ROW},
}
"""Outcome (y, other) after the third and last session by kind of end, and by where it stands to the plan.

After dropout a further session was on offer, whatever the plan was; after another end only if one was
planned, or nobody knows; after an agreed end none was; and while a treatment runs it is not known what comes.
"""
PLANS = {"below": 4, "at": 3, "above": 2, "unknown": NA}


@pytest.mark.parametrize("end", [*LAST_ROW, EXCLUDED], ids=lambda end: ENDS[end])
@pytest.mark.parametrize("stands", PLANS)
def test_which_sessions_are_rows_by_the_end_and_the_plan(end, stands):
    rows = rows_of(cohort([[5] * 3], [end], planned=[PLANS[stands]]))
    found = list(zip(rows.session.tolist(), rows.y.tolist(), rows.other.tolist(), strict=True))
    if end == EXCLUDED:
        assert found == []
        return
    last = LAST_ROW[end][stands]
    assert found == [(1, 0, 0), (2, 0, 0)] + ([] if last is None else [(3, *last)])


@pytest.mark.parametrize("end", range(5))
def test_cases_excluded_or_never_attended_have_no_rows(end):
    visits = visits_of(
        Ratings(case=np.array([1, 1]), session=np.array([1, 2]), rating=np.array([5.0, 5])),
        Appointments(
            case=np.array([0]), session=np.array([NA]), date=np.array(["NaT"], dtype="datetime64[D]"),
            status=np.array([NO_SHOW]),
        ), n_cases=2,
    )  # fmt: skip
    assert len(rows_of(of_visits(visits, [end, EXCLUDED]))) == 0
    assert len(rows_of(cohort([], []))) == 0
    assert len(latest_rows(cohort([], []))) == 0


@pytest.mark.parametrize(
    ("end", "total", "planned", "expected"),
    [
        pytest.param(DROPOUT, 5, NA, [(3, 0), (3, 0), (3, 1), (3, 1), (3, 1)], id="dropout, no plan"),
        pytest.param(DROPOUT, 4, 5, [(3, 0), (3, 1), (2, 1), (1, 1)], id="dropout: the plan cuts the window"),
        pytest.param(DROPOUT, 4, 4, [(3, 0), (2, 0), (1, 0), (1, 1)], id="dropout at the end of the plan"),
        pytest.param(DROPOUT, 3, 2, [(1, 0), (1, 0), (1, 1)], id="dropout past the plan"),
        pytest.param(ONGOING, 5, NA, [(3, 0), (3, 0), (3, NA), (3, NA)], id="cut inside the window"),
        pytest.param(ONGOING, 3, 4, [(3, NA), (2, NA)], id="running: window shortened by the plan"),
        pytest.param(ONGOING, 3, 3, [(2, 0), (1, 0)], id="running at the end of the plan"),
        pytest.param(PLANNED, 3, 3, [(2, 0), (1, 0)], id="planned end"),
        pytest.param(PLANNED, 3, NA, [(3, 0), (3, 0)], id="ended by agreement inside the window"),
        pytest.param(COMPETING, 2, NA, [(3, 0), (3, 0)], id="ended otherwise inside the window"),
    ],
)
def test_the_fate_within_the_window(end, total, planned, expected):
    rows = rows_of(cohort([[5] * total], [end], planned=[planned]))
    assert rows.window.tolist() == [window for window, _ in expected]
    np.testing.assert_array_equal(rows.fate, [fate for _, fate in expected])


def test_predictors_by_hand():
    rows = rows_of(cohort([[6.0, 4.0, NA, 5.0]], [DROPOUT]))
    np.testing.assert_array_equal(rows.rating, [6, 4, NA, 5])
    np.testing.assert_array_equal(rows.mean_rating, [6, 5, 5, 5])
    np.testing.assert_array_equal(rows.change, [0, -2, 0, 0])
    np.testing.assert_array_equal(rows.missing, [0, 0, 1, 0])
    rows = rows_of(cohort([[NA, 4.0, 1.0]], [DROPOUT]))
    np.testing.assert_array_equal(rows.mean_rating, [NA, 4, 2.5])
    np.testing.assert_array_equal(rows.change, [0, 0, -3])


def attendance(statuses, ratings):
    """Visits of one case: attended sessions take the ratings in turn."""
    status = np.array([{"a": ATTENDED, "n": NO_SHOW, "c": 4}[each] for each in statuses], dtype=np.int8)
    rating = np.full(len(status), NA)
    rating[status == ATTENDED] = ratings
    return Visits(
        rating=rating, status=status, session=np.cumsum(status == ATTENDED), starts=np.array([0]),
        attendance_known=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        pytest.param("aaa", [0, 0, 0], id="none missed"),
        pytest.param("anaa", [0, 1, 0], id="counted once, at the session after"),
        pytest.param("annnaa", [0, 2, 0], id="two at most"),
        pytest.param("nana", [1, 1], id="also before the first session"),
        pytest.param("acaa", [0, 0, 0], id="a cancellation by the clinic is none"),
        pytest.param("aan", [0, 0], id="one after the last session is not known there"),
    ],
)
def test_no_shows_since_the_session_before(statuses, expected):
    visits = attendance(statuses, 5.0)
    assert rows_of(of_visits(visits, [DROPOUT])).no_shows.tolist() == expected
    assert latest_rows(of_visits(visits, [ONGOING])).no_shows.tolist() == expected[-1:]


def test_a_skipped_session_is_a_row_without_rating_and_sessions_ahead_of_the_first_are_none():
    visits = visits_of(
        Ratings(case=np.zeros(2, int), session=np.array([2, 5]), rating=np.array([5.0, 3])), n_cases=1
    )
    rows = rows_of(of_visits(visits, [DROPOUT]))
    assert rows.session.tolist() == [2, 3, 4, 5]
    assert rows.visit.tolist() == [0, 0, 0, 1]
    assert rows.y.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(rows.rating, [5, NA, NA, 3])
    np.testing.assert_array_equal(rows.mean_rating, [5, 5, 5, 4])
    assert rows.missing.tolist() == [0, 1, 1, 0]
    assert rows.change.tolist() == [0, 0, 0, -2]


def test_covariates_carry_on_within_a_case_and_never_into_the_next():
    values = np.array([NA, 2.0, NA, 7.0, NA, NA])
    rows = rows_of(cohort([[5] * 4, [5] * 2], [DROPOUT, DROPOUT], covariates={"phq": values}))
    np.testing.assert_array_equal(rows.covariates["phq"], [NA, 2, 2, 7, NA, NA])
    np.testing.assert_array_equal(rows.take(rows.case == 0).covariates["phq"], [NA, 2, 2, 7])


def test_codes_days_and_visits_come_from_the_cohort():
    two = cohort([[5], [5, 4]], [DROPOUT, DROPOUT], clients=[7, 7], therapists=[-1, 3])
    two = replace(two, day=np.array([10, 20, 27]))
    rows = rows_of(two)
    assert rows.client.tolist() == [7, 7, 7]
    assert rows.therapist.tolist() == [-1, 3, 3]
    assert rows.day.tolist() == [10, 20, 27]
    assert rows.visit.tolist() == [0, 1, 2]


def test_the_latest_row_of_each_case_that_attended():
    many = cohort([[5, 4], [], [6]], [ONGOING, ONGOING, EXCLUDED], planned=[3, 8, NA])
    rows = latest_rows(many)
    assert rows.case.tolist() == [0, 2]
    assert rows.session.tolist() == [2, 1]
    assert rows.window.tolist() == [1, 3]
    for name in ("y", "other", "fate"):
        assert np.isnan(getattr(rows, name)).all()


def slow_rows(some):
    """The risk set case by case, session by session."""
    found = []
    visits = some.visits
    for case, start in enumerate(visits.starts):
        stop = start + visits.lengths[case]
        held = [row for row in range(start, stop) if visits.status[row] == ATTENDED]
        if some.end[case] == EXCLUDED:
            continue
        for place, row in enumerate(held):
            t, total, planned = place + 1, len(held), some.planned[case]
            end = some.end[case]
            dropped = t == total and end == DROPOUT
            other = t == total and end == COMPETING and (np.isnan(planned) or t < planned)
            if t == total and not (dropped or other):
                continue
            ratings = [visits.rating[r] for r in held[: place + 1] if not np.isnan(visits.rating[r])]
            now = visits.rating[row]
            earlier = ratings if np.isnan(now) else ratings[:-1]
            before = held[place - 1] if place else start - 1
            missed = sum(visits.status[r] == NO_SHOW for r in range(before + 1, row))
            window = 3 if np.isnan(planned) else max(1, min(3, int(planned) - t))
            fate = 0.0 if total >= t + window else {DROPOUT: 1.0, ONGOING: NA}.get(end, 0.0)
            found.append((
                case, t, float(dropped), float(other), fate, window, now,
                np.mean(ratings) if ratings else NA,
                now - np.mean(earlier) if earlier and not np.isnan(now) else 0.0,
                min(missed, 2), float(np.isnan(now)), row,
            ))  # fmt: skip
    return np.array(found, dtype=float).reshape(-1, 12)


def random_cohort(seed, n=12):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, n)
    status = rng.choice([ATTENDED, ATTENDED, NO_SHOW, 4], lengths.sum()).astype(np.int8)
    rating = np.where(
        (status == ATTENDED) & (rng.random(len(status)) < 0.8), rng.integers(0, 9, len(status)), NA
    )
    starts = np.cumsum(lengths) - lengths
    case, held = np.repeat(np.arange(n), lengths), status == ATTENDED
    session = np.array([held[: row + 1][case[: row + 1] == case[row]].sum() for row in range(len(held))], int)
    visits = Visits(rating=rating, status=status, session=session, starts=starts, attendance_known=True)
    planned = np.where(rng.random(n) < 0.3, NA, rng.integers(1, 9, n))
    return of_visits(visits, rng.integers(0, 5, n), planned)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_the_risk_set_is_that_of_a_plain_loop(seed):
    some = random_cohort(seed)
    rows = rows_of(some)
    found = np.column_stack([
        rows.case, rows.session, rows.y, rows.other, rows.fate, rows.window, rows.rating, rows.mean_rating,
        rows.change, rows.no_shows, rows.missing, rows.visit,
    ])  # fmt: skip
    np.testing.assert_allclose(found, slow_rows(some), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_a_case_has_the_same_rows_whatever_stands_beside_it(seed):
    some = random_cohort(seed, n=4)
    rows = rows_of(some)
    start, stop = some.visits.starts[2], some.visits.starts[3]
    alone = of_visits(
        Visits(
            rating=some.visits.rating[start:stop], status=some.visits.status[start:stop],
            session=some.visits.session[start:stop], starts=np.array([0]), attendance_known=True,
        ), some.end[2:3], some.planned[2:3],
    )  # fmt: skip
    expected, found = rows_of(alone), rows.take(rows.case == 2)
    for name in ("session", "y", "other", "fate", "window", "rating", "mean_rating", "change", "no_shows"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_what_is_known_at_a_session_does_not_change_with_later_ones(seed, n_kept):
    some = random_cohort(seed, n=1)
    cut = np.flatnonzero(some.visits.session <= n_kept)
    early = replace(
        some.visits, rating=some.visits.rating[cut], status=some.visits.status[cut],
        session=some.visits.session[cut],
    )  # fmt: skip
    whole = rows_of(of_visits(some.visits, [DROPOUT], some.planned))
    part = rows_of(of_visits(early, [DROPOUT], some.planned))
    for name in ("session", "window", "rating", "mean_rating", "change", "no_shows", "missing"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[: len(part)])


# Published models


PT_0 = [(72, 2), (70, 2), (68, 8), (60, 8), (52, 10), (42, 8)]
PT_1 = [(108, 13), (95, 5), (90, 16), (74, 21), (53, 15), (38, 18)]
# Singer & Willett 2003, Table 11.3 (data CC0, R package alda): D7 to D12, parental transition, deviance.
MODEL_A = [-2.3979, -3.1167, -1.7198, -1.2867, -1.1632, -0.7309]
MODEL_B = [-2.9943, -3.7001, -2.2811, -1.8226, -1.6542, -1.1791, 0.8736]
MODEL_B_CLOGLOG = [-2.9733, -3.6592, -2.3156, -1.9001, -1.7621, -1.3426, 0.7854]


def of_counts(*groups):
    """Group, period and outcome of each row, from (at risk, events) of each period of each group."""
    group = [np.full(n, place) for place, counts in enumerate(groups) for n, _ in counts]
    period = [np.full(n, t) for counts in groups for t, (n, _) in enumerate(counts, start=1)]
    y = [np.arange(n) < events for counts in groups for n, events in counts]
    return tuple(np.concatenate(each) for each in (group, period, np.array(y, dtype=object)))


def first_sex():
    group, period, y = of_counts(PT_0, PT_1)
    return rows_like(y.astype(float), period + 6, covariates={"transition": group.astype(float)})


def by_period(model):
    """One coefficient per period, as published: the intercept and dummies added, covariates at 0."""
    slopes = {each.name: each for each in model.terms}
    shift = sum(
        -each.coef * each.centre / each.scale for name, each in slopes.items() if name == "transition"
    )
    start = model.intercept + shift
    return [start, *(start + slopes[f"session_{grade}"].coef for grade in range(8, 13))]


def deviance(model):
    return -2 * model.log_likelihood


def test_first_sex_model_a():
    rows = first_sex()
    assert (len(rows), rows.y.sum()) == (822, 126)
    model = fit(rows, FitSettings(time="dummies", estimator="ml", strict=False))
    np.testing.assert_allclose(by_period(model), MODEL_A, atol=5e-5)
    assert deviance(model) == pytest.approx(651.96, abs=0.005)
    hazard = [model.hazard(rows)[rows.session == grade][0] for grade in range(7, 13)]
    np.testing.assert_allclose(hazard, [0.0833, 0.0424, 0.1519, 0.2164, 0.2381, 0.3250], atol=5e-5)
    assert np.prod(1 - np.array(hazard)) == pytest.approx(0.3000, abs=5e-5)


@pytest.mark.parametrize(
    ("link", "expected", "fitted"),
    [("logit", MODEL_B, 634.66), ("cloglog", MODEL_B_CLOGLOG, 634.50)],
)
def test_first_sex_model_b(link, expected, fitted):
    rows = first_sex()
    model = fit(
        rows,
        FitSettings(time="dummies", estimator="ml", link=link, covariates=("transition",), strict=False),
    )
    transition = model.terms[-1]
    assert transition.name == "transition"
    np.testing.assert_allclose([*by_period(model), transition.coef / transition.scale], expected, atol=5e-5)
    assert deviance(model) == pytest.approx(fitted, abs=0.005)
    if link == "logit":
        survival = [
            np.prod([1 - model.hazard(rows)[(rows.session == t) & (group == rows.covariates["transition"])][0]
                     for t in range(7, 13)]) for group in (0, 1)
        ]  # fmt: skip
        assert survival == pytest.approx([0.4660, 0.1928], abs=5e-5)


def test_first_sex_by_firth_has_the_published_slope_and_flic_the_share_observed():
    rows = first_sex()
    model = fit(rows, FitSettings(time="dummies", covariates=("transition",), strict=False))
    transition = model.terms[-1]
    assert transition.coef / transition.scale == pytest.approx(0.8597, abs=5e-5)
    before = model.before_flic - transition.coef * transition.centre / transition.scale
    assert before == pytest.approx(-2.9507, abs=5e-5)
    assert model.hazard(rows).mean() == pytest.approx(126 / 822, abs=1e-12)


def test_a_dummy_needs_ten_dropouts():
    with pytest.raises(DataError) as caught:
        fit(first_sex(), FitSettings(time="dummies"))
    assert str(caught.value) == (
        "error: a term for each session needs at most 8 sessions with at least 10 dropouts each\n"
        "  session 8: 7 dropouts\n"
        "hint: choose log, linear, quadratic or cubic time"
    )


@pytest.mark.parametrize(("n_sessions", "n_events", "fine"), [(8, 10, True), (9, 10, False), (8, 9, False)])
def test_dummies_up_to_eight_sessions_with_ten_dropouts(n_sessions, n_events, fine):
    session = np.repeat(np.arange(1, n_sessions + 1), 20)
    rows = rows_like(np.arange(20 * n_sessions) % 20 < n_events, session)
    if fine:
        assert fit(rows, FitSettings(time="dummies")).n_parameters == n_sessions - 1
        return
    with pytest.raises(DataError, match=r"^error: a term for each session needs at most 8 sessions"):
        fit(rows, FitSettings(time="dummies"))


MEN = [(1875, 222), (1460, 403), (924, 171), (446, 147), (132, 39)]
WOMEN = [(1915, 260), (1510, 554), (832, 217), (374, 174), (90, 39)]
# Singer & Willett 2003, dropping mathematics (data CC0): by term, women against men.


@pytest.mark.parametrize(
    ("slopes", "expected", "fitted"),
    [
        pytest.param(
            lambda term, woman: [woman],
            [-2.1308, -0.9425, -1.4495, -0.6176, -0.7716, 0.3786], 9804.31, id="main effect",
        ),
        pytest.param(
            lambda term, woman: [woman * (term == t) for t in range(1, 6)],
            [None] * 5 + [0.1568, 0.4187, 0.4407, 0.5707, 0.6008], 9796.27, id="another one each term",
        ),
        pytest.param(
            lambda term, woman: [woman, woman * (term - 1)],
            [None] * 5 + [0.2275, 0.1198], 9797.81, id="linear in the term",
        ),
    ],
)  # fmt: skip
def test_mathematics_dropout(slopes, expected, fitted):
    woman, term, y = of_counts(MEN, WOMEN)
    assert len(y) == 9558
    columns = np.column_stack([*(term == t for t in range(1, 6)), *slopes(term, woman)]).astype(float)
    found = estimate(columns, y.astype(float), np.arange(len(y)), link="logit", estimator="ml")
    for value, coef in zip(expected, found.coef, strict=True):
        assert value is None or coef == pytest.approx(value, abs=5e-5)
    assert -2 * found.log_likelihood == pytest.approx(fitted, abs=0.005)


# Worked numbers


def worked_model():
    slopes = {
        "log_session": -0.491 / log(2),
        "level": -0.450,
        "change": -0.384,
        "no_shows": 0.995,
        "missing": 0.289,
    }
    terms = tuple(Term(name=name, words=name, coef=coef) for name, coef in slopes.items())
    return HazardModel(
        settings=FitSettings(), reference=Reference(mean=0, sd=1), terms=terms, intercept=-2.689,
        covariance=np.zeros((6, 6)),
    )  # fmt: skip


def test_contributions_hazards_and_their_chain_of_one_client():
    # t = 2, level -1, change -.8.
    rows = rows_like([NA], [2], mean_rating=np.array([-1.0]), change=np.array([-0.8]))
    model = worked_model()
    np.testing.assert_allclose(model.contributions(rows)[0], [-0.491, 0.450, 0.307, 0, 0], atol=5e-4)
    hazards = [model.hazard(replace(rows, session=np.array([t])))[0] for t in (2, 3, 4)]
    np.testing.assert_allclose(hazards, [0.0814, 0.0624, 0.0515], atol=1e-4)
    assert 1 - np.prod(1 - np.array(hazards)) == pytest.approx(0.183, abs=5e-4)
    assert model.risk(rows) is None


def test_survival_and_incidence_follow_the_worked_hazards():
    h_d, h_c = np.array([0.10, 0.08, 0.06, 0.05]), np.array([0, 0.02, 0.05, 0.20])
    dropout, other, survival = incidence_of_hazards(h_d, h_c)
    np.testing.assert_allclose(dropout, [0.1000, 0.1720, 0.2206, 0.2566], atol=5e-5)
    np.testing.assert_allclose(other, [0, 0.0180, 0.0585, 0.2027], atol=5e-5)
    assert survival[-1] == pytest.approx(0.5407, abs=5e-5)
    np.testing.assert_allclose(dropout + other + survival, 1, atol=1e-15)
    alone, nothing, _ = incidence_of_hazards(h_d, np.zeros(4))
    assert alone[2] == pytest.approx(0.22168, abs=1e-12)
    assert alone[3] == pytest.approx(0.2606, abs=5e-5)
    assert not nothing.any()
    both = incidence_of_hazards(np.stack([h_d, h_d]), np.stack([h_c, h_c]))
    np.testing.assert_array_equal(both[0][1], dropout)


@pytest.mark.parametrize(
    ("h_d", "h_c", "total"), [([0.6], [0.5], "1.1"), ([-0.1], [0.2], "0.1"), ([0.2], [-0.1], "0.1")]
)
def test_hazards_that_are_none_are_refused(h_d, h_c, total):
    with pytest.raises(
        ValueError, match=rf"^hazards must be at least 0 and sum to at most 1, got a sum of {total}$"
    ):
        incidence_of_hazards(np.array(h_d), np.array(h_c))


# Columns


def test_columns_by_hand():
    rows = rows_like(
        [0, 0, 1], [1, 2, 4], rating=np.array([4.0, 6.0, NA]), mean_rating=np.array([4.0, 5.0, NA]),
        change=np.array([0.0, 2.0, 0.0]), no_shows=np.array([0.0, 2.0, 1.0]), missing=np.array([0.0, 0, 1]),
        covariates={"phq": np.array([1.0, 5.0, NA])},
    )  # fmt: skip
    design, _ = design_of(rows, time="log", strict=False)
    assert (design.reference.mean, design.reference.sd) == (5.0, pytest.approx(2**0.5))
    from alliance.dropout.model.design import _covariate_columns, _own_columns, _time_columns

    wanted = [
        *_time_columns("log", rows),
        *_own_columns(design.reference),
        *_covariate_columns(["phq"], rows),
    ]
    assert [each.name for each in wanted] == [
        "log_session", "level", "change", "no_shows", "missing", "phq", "phq_missing"
    ]  # fmt: skip
    root = 2**0.5
    expected = [
        [1, 0, -1 / root, 0, 0, 0, -2 / 8**0.5, 0],
        [1, log(2), 0, 2 / root, 2, 0, 2 / 8**0.5, 0],
        [1, log(4), 0, 0, 1, 1, 0, 1],
    ]
    np.testing.assert_allclose(matrix(wanted, rows), expected, atol=1e-12)


def test_polynomials_of_the_session():
    session = np.tile([1, 2, 3, 4, 5], 8)
    rows = rows_like(np.arange(40) % 4 == 0, session)
    design, columns = design_of(rows, time="cubic")
    z = (session - 3) / 2**0.5
    assert [each.name for each in design.columns] == ["session", "session_squared", "session_cubed"]
    np.testing.assert_allclose(columns, np.column_stack([z**0, z, z**2, z**3]), atol=1e-12)
    assert len(design_of(rows, time="quadratic")[0].columns) == 2
    assert len(design_of(rows, time="linear")[0].columns) == 1


def test_a_session_without_a_term_counts_as_the_last_one_that_has_one():
    session = np.repeat([1, 2, 4], 30)
    model = fit(
        rows_like(np.arange(90) % 30 < np.repeat([10, 12, 15], 30), session), FitSettings(time="dummies")
    )
    hazard = model.hazard(rows_like([NA] * 5, [1, 2, 3, 4, 9]))
    assert hazard[0] < hazard[1] == hazard[2] < hazard[3] == hazard[4]
    np.testing.assert_allclose(hazard[[0, 1, 3]], [1 / 3, 12 / 30, 15 / 30], atol=0.01)


def test_what_cannot_tell_anything_is_left_out_and_told():
    rows = rows_like(
        np.arange(20) % 2, np.tile([1, 2], 10), rating=np.arange(20.0), mean_rating=np.arange(20.0) ** 2
    )
    model = fit(rows, FitSettings(landmark=False))
    assert [each.name for each in model.terms] == ["log_session", "level"]
    assert model.limits == (
        "change (latest rating against the mean of the earlier ones) is left out: the same in all rows",
        "no_shows (appointments missed without notice since the session before) is left out: "
        "the same in all rows",
        "missing (no rating for this session) is left out: the same in all rows",
    )


def test_a_term_that_follows_from_others_is_told():
    rng = np.random.default_rng(1)
    level = rng.normal(size=60)
    rows = rows_like(
        rng.random(60) < 0.3, rng.integers(1, 5, 60), rating=level, mean_rating=level, change=level - 1.0
    )
    model = fit(rows)
    assert [each.name for each in model.terms] == ["log_session", "level"]
    assert model.limits[0].endswith("is left out: it follows from the other terms")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros(40), "the same in all rows"),
        (np.log(np.tile([1, 2], 20)) * 3, "it follows from the other terms"),
    ],
    ids=["constant", "collinear"],
)
def test_a_covariate_that_tells_nothing_is_refused_by_name(values, why):
    rows = rows_like(np.arange(40) % 3 == 0, np.tile([1, 2], 20), covariates={"phq": values})
    with pytest.raises(DataError) as caught:
        fit(rows, FitSettings(covariates=("phq",)))
    assert str(caught.value) == (
        f"error: covariates from which nothing can be learned\n  phq: {why}\nhint: leave them out"
    )
    lenient = fit(rows, FitSettings(covariates=("phq",), strict=False))
    assert "phq (phq) is left out: " + why in lenient.limits


def test_a_covariate_that_some_lack_has_a_term_for_that():
    rng = np.random.default_rng(2)
    values = np.where(rng.random(200) < 0.3, NA, rng.normal(3, 2, 200))
    rows = rows_like(rng.random(200) < 0.3, rng.integers(1, 5, 200), covariates={"phq": values})
    model = fit(rows, FitSettings(covariates=("phq",)))
    assert [each.name for each in model.terms] == ["log_session", "phq", "phq_missing"]
    phq = model.terms[1]
    assert phq.centre == pytest.approx(np.nanmean(values))
    assert phq.scale == pytest.approx(np.nanstd(values, ddof=1))
    at_mean = rows_like([NA] * 2, [1, 1], covariates={"phq": np.array([NA, phq.centre])})
    linear = model.linear(at_mean)
    assert linear[0] - linear[1] == pytest.approx(model.terms[2].coef)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("phw",),
            "error: unknown covariate 'phw'\nhint: did you mean 'phq'? known: age, level, phq, "
            "therapist_sex, therapist_years",
        ),
        (
            ("level",),
            "error: a covariate may not be called 'level', the name of a term of the model\n"
            "hint: rename the column",
        ),
        (
            ("therapist_years",),
            "error: 'therapist_years' says who treats, which is never a predictor of dropout here\n"
            "hint: leave it out; standard errors allow for therapists",
        ),
        (
            ("phq", "phq"),
            "error: the covariate 'phq' is given more than once\nhint: name each covariate once",
        ),
        (
            ("phq", "age"),
            "error: demographic covariates are no predictors by default\n  age\nhint: leave them out, or "
            "decide for it with --allow-demographics; the model will say so",
        ),
    ],
    ids=["unknown", "a term's name", "therapist", "twice", "demographic"],
)
def test_covariates_that_are_refused(names, message):
    values = np.arange(30.0)
    known = dict.fromkeys(("phq", "age", "level", "therapist_years", "therapist_sex"), values)
    rows = rows_like(np.arange(30) % 3 == 0, covariates=known)
    with pytest.raises(UsageError) as caught:
        fit(rows, FitSettings(covariates=names))
    assert str(caught.value) == message


def test_a_demographic_covariate_accepted_on_purpose_stands_in_the_limits():
    rows = rows_like(np.arange(30) % 3 == 0, covariates={"age": np.arange(30.0) % 7})
    model = fit(rows, FitSettings(covariates=("age",)), allow_demographics=True)
    assert model.limits[0] == (
        "age is a demographic covariate, accepted on purpose when the model was fitted"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("age", True), ("Age", True), ("client_age", True), ("sex=male", True), ("maritalStatus", True),
     ("education-years", True), ("income", True), ("phq-9", False), ("average", False), ("package", False),
     ("message", False), ("essex", False)],
)  # fmt: skip
def test_which_names_are_demographic(name, expected):
    assert is_demographic(name) is expected


def test_which_names_say_who_treats():
    assert is_therapist("therapist")
    assert is_therapist("clinician_id")
    assert not is_therapist("therapy_type")


def test_percentiles_of_the_training_rows_are_kept():
    values = np.arange(1.0, 201.0)
    rows = rows_like(np.arange(200) % 4 == 0, covariates={"phq": values})
    phq = fit(rows, FitSettings(covariates=("phq",))).terms[-1]
    assert (phq.low, phq.high) == (2.0, 198.0)


# Estimators


@pytest.fixture(scope="module")
def service():
    return service_rows(500, 3)


def test_the_mean_predicted_hazard_is_the_one_observed(service):
    model = fit(service)
    assert model.hazard(service).mean() == pytest.approx(service.y.mean(), abs=1e-12)
    known = np.isfinite(service.fate)
    assert model.risk(service)[known].mean() == pytest.approx(service.fate[known].mean(), abs=1e-12)
    assert model.before_flic > model.intercept
    assert [each.name for each in model.terms] == ["log_session", "level", "change", "no_shows", "missing"]
    assert model.n_parameters == 5
    assert model.landmark.n_unknown == int((~known).sum())
    assert model.landmark.n_rows == int(known.sum())
    assert (model.n_rows, model.n_events) == (len(service), int(service.y.sum()))
    assert model.sessions == (1, int(service.session.max()))
    assert model.n_cases == len(set(service.case.tolist()))
    assert model.n_therapists == len(set(service.therapist.tolist()))


@pytest.mark.parametrize("link", ["logit", "cloglog"])
@pytest.mark.parametrize("by", ["therapist", "client"])
def test_cluster_covariance_is_that_of_statsmodels(service, link, by):
    import statsmodels.api as sm

    _, columns = design_of(service, time="log")
    kind = sm.families.links.Logit() if link == "logit" else sm.families.links.CLogLog()
    model = sm.GLM(service.y, columns, family=sm.families.Binomial(link=kind))
    groups = getattr(service, by)
    peer = model.fit(tol=1e-14, maxiter=200, cov_type="cluster", cov_kwds={"groups": groups})
    found = cluster_covariance(columns, service.y, peer.params, groups, link=link)
    np.testing.assert_allclose(found, peer.cov_params(), atol=1e-8)
    ours = estimate(columns, service.y, groups, link=link, estimator="ml")
    np.testing.assert_allclose(ours.coef, peer.params, atol=1e-6)
    np.testing.assert_allclose(ours.se, peer.bse, atol=1e-6)
    assert ours.before == ours.coef[0]


def test_weights_in_the_covariance_count_rows():
    rng = np.random.default_rng(4)
    columns = np.column_stack([np.ones(60), rng.normal(size=60)])
    y, groups, counts = rng.random(60) < 0.4, np.arange(60) % 12, rng.integers(1, 4, 60)
    coef = np.array([-0.4, 0.3])
    often = cluster_covariance(
        np.repeat(columns, counts, axis=0), np.repeat(y, counts) * 1.0, coef, np.repeat(groups, counts)
    )
    once = cluster_covariance(columns, y * 1.0, coef, groups, weights=counts * 1.0)
    n = counts.sum()
    np.testing.assert_allclose(once * (n - 1) / (n - 2), often * 59 / 58, rtol=0.05)
    np.testing.assert_allclose(once / (59 / 58), often / ((n - 1) / (n - 2)), atol=1e-12)


def test_ten_therapists_make_clusters_and_unknown_ones_are_clients():
    client = np.arange(12)[::-1]
    few, by = clusters_of(np.arange(12) % 9, client)
    assert (few.tolist(), by) == (client.tolist(), "client")
    therapist = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -1])
    many, by = clusters_of(therapist, client)
    assert by == "therapist"
    assert many[:10].tolist() == list(range(10))
    assert len(set(many.tolist())) == 12


def test_one_cluster_has_no_standard_errors():
    found = cluster_covariance(np.ones((5, 1)), np.array([0.0, 1, 0, 1, 1]), np.zeros(1), np.zeros(5, int))
    assert np.isnan(found).all()


def test_maximum_likelihood_that_does_not_exist_is_told():
    rows = rows_like(np.arange(40) < 20, covariates={"phq": np.arange(40) < 20})
    with pytest.raises(DataError) as caught:
        fit(rows, FitSettings(estimator="ml", covariates=("phq",)))
    assert str(caught.value) == (
        "error: there are no maximum-likelihood estimates: some terms separate events from the rest\n"
        "hint: choose the estimator firth, whose estimates are always finite"
    )
    assert fit(rows, FitSettings(covariates=("phq",))).terms[0].coef > 1


def test_ridge_is_the_penalised_maximum(service):
    from scipy.optimize import minimize

    model = fit(service, FitSettings(estimator="ridge", penalty=50.0, landmark=False))
    _, columns = design_of(service, time="log")
    spread = columns[:, 1:].std(axis=0)

    def loss(coef):
        eta = columns @ coef
        return np.logaddexp(0, eta).sum() - service.y @ eta + 25.0 * ((coef[1:] * spread) ** 2).sum()

    best = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-4})
    found = np.r_[model.intercept, [each.coef for each in model.terms]]
    np.testing.assert_allclose(found, best.x, atol=1e-3)
    assert loss(found) <= best.fun + 1e-9
    assert model.penalty == 50.0


def test_errors_of_ridge_have_the_penalty_in_their_information(service):
    # (A + P)^-1 B (A + P)^-1 by numerical derivatives and a loop over clusters.
    model = fit(service, FitSettings(estimator="ridge", penalty=50.0, landmark=False))
    _, columns = design_of(service, time="log")
    coef = np.r_[model.intercept, [each.coef for each in model.terms]]
    spread = columns[:, 1:].std(axis=0)

    def slope_of_loss(at):
        p = 1 / (1 + np.exp(-columns @ at))
        return columns.T @ (p - service.y) + np.r_[0, 50.0 * at[1:] * spread**2]

    step = 1e-5
    hessian = np.array(
        [(slope_of_loss(coef + move) - slope_of_loss(coef - move)) / (2 * step) for move in np.eye(6) * step]
    )
    residual = service.y - 1 / (1 + np.exp(-columns @ coef))
    unit = service.therapist if model.clustered_by == "therapist" else service.client
    meat = np.zeros((6, 6))
    for each in np.unique(unit):
        score = columns[unit == each].T @ residual[unit == each]
        meat += np.outer(score, score)
    n, groups = len(service), len(np.unique(unit))
    bread = np.linalg.inv(hessian)
    expected = groups / (groups - 1) * (n - 1) / (n - 6) * bread @ meat @ bread
    np.testing.assert_allclose(model.covariance, expected, rtol=1e-5, atol=1e-9)
    plain = fit(service, FitSettings(estimator="ml", landmark=False))
    assert all(one.se < other.se for one, other in zip(model.terms, plain.terms, strict=True))


def test_a_ridge_model_says_what_its_errors_leave_out(service):
    told = (
        "Standard errors of the ridge estimates hold for the penalty as it is: they allow neither for its "
        "choice nor for the pull of the estimates towards 0."
    )
    assert told in fit(service, FitSettings(estimator="ridge", penalty=5.0)).limits
    assert told not in fit(service, FitSettings()).limits


def test_ridge_shrinks_and_chooses_the_same_penalty_twice():
    rows = service_rows(150, 4)
    one = fit(rows, FitSettings(estimator="ridge", landmark=False))
    two = fit(rows, FitSettings(estimator="ridge", landmark=False))
    assert one.penalty == two.penalty
    assert one.linear(rows).tobytes() == two.linear(rows).tobytes()
    strong = fit(rows, FitSettings(estimator="ridge", penalty=1e9, landmark=False))
    assert max(abs(each.coef) for each in strong.terms) < 1e-4
    assert strong.hazard(rows).mean() == pytest.approx(rows.y.mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("estimator", "module", "package"),
    [("ml", "statsmodels.api", "statsmodels"), ("ridge", "sklearn.linear_model", "scikit-learn")],
)
def test_what_an_estimator_needs_is_told(monkeypatch, service, estimator, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as caught:
        fit(service, FitSettings(estimator=estimator))
    assert str(caught.value) == (
        f"error: the estimator {estimator} needs {package}, which is not installed\n"
        'hint: pip install "alliance-toolkit[models]"'
    )
    assert fit(service).n_parameters == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            FitSettings(estimator="ols"),
            "error: unknown estimator 'ols'\nhint: known: firth, ml, ridge",
        ),
        (FitSettings(link="probit"), "error: unknown link 'probit'\nhint: known: cloglog, logit"),
        (
            FitSettings(time="logs"),
            "error: unknown time 'logs'\n"
            "hint: did you mean 'log'? known: cubic, dummies, linear, log, quadratic",
        ),
        (
            FitSettings(estimator="ridge", link="cloglog"),
            "error: ridge is there for the logit link only, not for cloglog\n"
            "hint: choose the estimator firth, or the link logit",
        ),
        (
            FitSettings(penalty=5.0),
            "error: a penalty is for the estimator ridge, not for firth\n"
            "hint: leave the penalty out, or choose the estimator ridge",
        ),
        (
            FitSettings(estimator="ml", penalty=5.0),
            "error: a penalty is for the estimator ridge, not for ml\n"
            "hint: leave the penalty out, or choose the estimator ridge",
        ),
        (
            FitSettings(estimator="ridge", penalty=0.0),
            "error: the penalty of ridge must be above 0, got 0\n"
            "hint: leave it out to have it chosen by cross-validation",
        ),
    ],
    ids=["estimator", "link", "time", "ridge with cloglog", "firth, penalty", "ml, penalty", "no penalty"],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(UsageError) as caught:
        fit(rows_like(np.arange(30) % 3 == 0, np.arange(30) % 4 + 1), settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(("y", "n"), [(np.zeros(9), 0), (np.ones(9), 9)], ids=["no dropout", "nothing else"])
def test_one_outcome_teaches_nothing(y, n):
    with pytest.raises(DataError) as caught:
        fit(rows_like(y, np.arange(9) + 1))
    assert str(caught.value) == (
        f"error: nothing to learn from: {n} of 9 rows are events\n"
        "hint: a model needs rows with and without the event"
    )


def test_unknown_outcomes_are_refused():
    with pytest.raises(ValueError, match=r"^rows must all have a known y, got 2 without$"):
        fit(rows_like([0, 1, NA, NA]))


def test_links_agree_where_hazards_are_small(service):
    logit, cloglog = fit(service), fit(service, FitSettings(link="cloglog"))
    for a, b in zip(logit.terms, cloglog.terms, strict=True):
        assert a.coef == pytest.approx(b.coef, abs=0.06)
    small = logit.hazard(service) < 0.1
    np.testing.assert_allclose(cloglog.hazard(service)[small], logit.hazard(service)[small], atol=0.005)


def test_a_model_does_not_depend_on_the_unit_of_the_rating(service):
    other = replace(
        service,
        rating=10 * service.rating + 3,
        mean_rating=10 * service.mean_rating + 3,
        change=10 * service.change,
    )
    np.testing.assert_allclose(fit(other).hazard(other), fit(service).hazard(service), atol=1e-9)


def test_a_model_is_a_function_of_its_training_rows_alone(service):
    half = service.take(service.client % 2 == 0)
    model = fit(half)
    assert model.reference.mean == pytest.approx(np.nanmean(half.rating))
    assert model.reference.sd == pytest.approx(np.nanstd(half.rating, ddof=1))
    again = fit(service.take(service.client % 2 == 0))
    assert model.hazard(service).tobytes() == again.hazard(service).tobytes()
    for each in fields(HazardModel):
        one = getattr(model, each.name)
        assert each.name in {"covariance"} or one == getattr(again, each.name)


# Landmark and other ends


def test_weights_of_known_fates_by_hand():
    # Case 0 is cut off at session 3, cases 1 to 3 drop out after session 5.
    rows = rows_of(cohort([[5] * 3, *[[5] * 5] * 3], [ONGOING, DROPOUT, DROPOUT, DROPOUT]))
    weight = inverse_known(rows)
    # Session 3 is reached by four, one is cut off: 3/4 escape. Only rows 1 and 2 have to.
    np.testing.assert_allclose(weight[rows.case == 0], [NA, NA])
    np.testing.assert_allclose(weight[rows.case == 1], [4 / 3, 4 / 3, 1, 1, 1])


def test_an_end_at_the_session_of_a_cut_is_known_by_luck_and_an_earlier_one_is_not():
    # Case 0 is cut off at session 3, which three cases reach: 2/3 escape.
    rows = rows_of(cohort([[5] * 3, [5] * 2, [5] * 3, [5] * 9], [ONGOING, DROPOUT, DROPOUT, DROPOUT]))
    weight = inverse_known(rows)
    np.testing.assert_allclose(weight[rows.case == 1], [1, 1])
    np.testing.assert_allclose(weight[rows.case == 2], [1.5, 1.5, 1])
    np.testing.assert_allclose(weight[rows.case == 3], [1.5, 1.5] + [1] * 7)


def test_a_case_drawn_twice_counts_twice():
    rows = rows_of(cohort([[5] * 3, [5] * 5], [ONGOING, DROPOUT]))
    twice = rows.take(np.array([0, 1, 0, 1, 2, 3, 4, 5, 6]))
    # Session 3 is reached by three, two are cut off: 1/3 escape.
    np.testing.assert_allclose(inverse_known(twice)[4:], [3, 3, 1, 1, 1])


def test_inverse_weights_undo_censoring():
    # Dropout after each session with probability .2; treatments are cut off after sessions 1 to 6 at random,
    # before it is known whether a next session takes place.
    rng = np.random.default_rng(12)
    n = 20_000
    total, cut = rng.geometric(0.2, n), rng.integers(1, 7, n)
    ended = total < cut
    seen = np.minimum(total, cut)
    starts = np.cumsum(seen) - seen
    session = np.arange(seen.sum()) - np.repeat(starts, seen) + 1
    visits = Visits(
        rating=np.full(len(session), 5.0),
        status=np.zeros(len(session), np.int8),
        session=session,
        starts=starts,
    )
    rows = rows_of(of_visits(visits, np.where(ended, DROPOUT, ONGOING)))
    first = (rows.session == 1) & np.isfinite(rows.fate)
    weight = inverse_known(rows)[first]
    truth = 1 - 0.8**3
    assert rows.fate[first].mean() > truth + 0.04
    assert (weight @ rows.fate[first]) / weight.sum() == pytest.approx(truth, abs=0.015)


def test_weighted_fates_make_the_landmark_model(service):
    weighted, plain = fit(service, FitSettings(ipcw=True)).landmark, fit(service).landmark
    assert (weighted.ipcw, plain.ipcw) == (True, False)
    known = np.isfinite(service.fate)
    weight, fate = inverse_known(service)[known], service.fate[known]
    expected = (weight @ fate) / weight.sum()
    assert expected != pytest.approx(fate.mean(), abs=1e-6)
    assert (weight @ weighted.risk(service)[known]) / weight.sum() == pytest.approx(expected, abs=1e-10)


def test_rows_with_unknown_fate_do_not_touch_the_landmark_model(service):
    known = np.isfinite(service.fate)
    whole, part = fit(service).landmark, fit(service.take(known)).landmark
    assert (whole.n_unknown, part.n_unknown) == (int((~known).sum()), 0)
    shifted = replace(service, y=np.where(known, service.y, 1 - service.y))
    other = fit(shifted).landmark
    assert other.intercept == whole.intercept
    assert [each.coef for each in other.terms] == [each.coef for each in whole.terms]


def test_without_known_fates_there_is_no_landmark_model():
    rows = rows_like(np.arange(30) % 3 == 0, np.arange(30) % 4 + 1, fate=np.full(30, NA))
    model = fit(rows)
    assert model.landmark is None
    assert model.risk(rows) is None
    assert model.limits[-1] == "no risk within three sessions: 0 of 0 rows known drop out"


def test_other_ends_have_a_hazard_of_their_own():
    rng = np.random.default_rng(5)
    session = rng.integers(1, 6, 600)
    kind = rng.random(600)
    rows = rows_like(kind < 0.1, session, other=((kind > 0.8) & (session > 1)).astype(float))
    model = fit(rows, FitSettings(competing=True))
    assert model.competing.risk(rows).mean() == pytest.approx(rows.other.mean(), abs=1e-12)
    assert model.competing.n_events == int(rows.other.sum())
    assert model.competing.terms[0].coef > 0.5
    assert fit(rows).competing is None


def test_without_other_ends_that_is_told():
    rows = rows_like(np.arange(30) % 3 == 0, np.arange(30) % 4 + 1)
    model = fit(rows, FitSettings(competing=True, landmark=False))
    assert model.competing is None
    assert model.limits[-1] == (
        "no hazard of other ends: no treatment ended otherwise while a session was on offer"
    )


def test_the_hazard_of_cloglog_is_one_minus_exp_of_minus_exp():
    model = replace(worked_model(), settings=FitSettings(link="cloglog"))
    rows = rows_like([NA], [1])
    assert model.hazard(rows)[0] == pytest.approx(1 - exp(-exp(-2.689)), abs=1e-12)
