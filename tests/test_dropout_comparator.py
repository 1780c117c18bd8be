"""The rules of DRF-1 on the rows of a model: order, flag, and norms that have not seen the client."""

from dataclasses import replace

import numpy as np
import pytest
from validation_helpers import NO_DAY, rows_with

from alliance.dropout.ends.cohort import PLANNED, Cohort
from alliance.dropout.instrument import Instrument
from alliance.dropout.validation.drf1 import local_instrument, rule_scores
from alliance.dropout.validation.metrics import session_aucs
from alliance.dropout.validation.resampling import folds_of, groups_of
from alliance.dropout.visits import Ratings, visits_of

NA = np.nan
SRS = Instrument(id="srs", max=40, cutoff=36, sem=1.2)


def cohort_with(*courses):
    """A cohort of one case per course of ratings, and a row for every session."""
    case = np.repeat(np.arange(len(courses)), [len(each) for each in courses])
    session = np.concatenate([np.arange(1, len(each) + 1) for each in courses])
    rating = np.concatenate([np.array(each, dtype=float) for each in courses])
    n = len(courses)
    cohort = Cohort(
        cases=np.array([f"C{number}" for number in range(n)], dtype=object),
        client=np.arange(n),
        therapist=np.full(n, -1),
        end=np.full(n, PLANNED, dtype=np.int8),
        why=np.full(n, "", dtype=object),
        planned=np.full(n, NA),
        visits=visits_of(Ratings(case=case, session=session, rating=rating), n_cases=n),
        day=np.full(len(case), NO_DAY),
    )
    rows = rows_with(np.zeros(len(case)), case, session=session, rating=rating)
    return cohort, rows


def scored(cohort, rows, instrument, *, folds=2):
    return rule_scores(cohort, rows, instrument, folds_of(rows, groups_of(rows, least=1), folds=folds))


def test_levels_and_points_are_those_of_the_worked_courses():
    # 38, 37, 34: REVIEW at session 3 (4 points); 36: WATCH; 35, 35.5: REVIEW at session 2; 38, 37: NO_FLAG.
    cohort, rows = cohort_with([38, 37, 34], [36], [35, 35.5], [38, 37], [NA])
    found = scored(cohort, rows, SRS)
    np.testing.assert_array_equal(found.review, [0, 0, 1, 0, 0, 1, 0, 0, 0])


def test_the_order_is_level_then_points_then_lower_rating_then_fewer_sessions():
    cohort, rows = cohort_with([38, 37, 34], [36], [35, 35.5], [38, 37], [NA], [35], [38])
    found = scored(cohort, rows, SRS)
    order = np.argsort(-found.score, kind="stable").tolist()
    named = [(rows.case[row], rows.session[row]) for row in order]
    assert named == [
        (0, 3),  # REVIEW, 4 points
        (2, 2),  # REVIEW, 2 points
        (2, 1), (5, 1),  # WATCH, 35
        (1, 1),  # WATCH, 36
        (4, 1),  # INSUFFICIENT_DATA
        (0, 2), (3, 2),  # NO_FLAG, 37
        (0, 1), (3, 1), (6, 1),  # NO_FLAG, 38
    ]  # fmt: skip
    score = dict(zip(named, found.score[order], strict=True))
    assert score[2, 1] == score[5, 1]
    assert score[0, 2] == score[3, 2]
    assert score[0, 1] == score[6, 1]
    assert len(set(score.values())) == 7
    assert min(score.values()) == 0


def test_fewer_sessions_come_first_among_equals():
    found = scored(*cohort_with([38, 38], [38]), SRS)
    assert found.score.tolist() == [1, 0, 1]


def test_a_higher_place_is_more_risk():
    found = scored(*cohort_with([34], [39]), SRS)
    assert session_aucs(np.array([1, 0]), found.score, np.ones(2, dtype=int)).headline == 1


def ladder(n=120, seed=1):
    rng = np.random.default_rng(seed)
    return [list(np.round(rng.normal(35, 3, 2), 1)) for _ in range(n)]


def test_local_norms_come_from_training_clients_only():
    courses = ladder()
    cohort, rows = cohort_with(*courses)
    train = np.flatnonzero(rows.client < 80)
    found = local_instrument(cohort, rows, replace(SRS, sem=None), train)
    ratings = np.array(courses)[:80]
    assert found.reference == pytest.approx(
        {1: np.percentile(ratings[:, 0], 16), 2: np.percentile(ratings[:, 1], 16)}
    )
    # Half the mean squared difference of neighbours, from 50 cases and 150 pairs on: 80 pairs are too few.
    assert found.sem is None


def test_a_local_error_of_measurement_comes_from_training_clients_only():
    rng = np.random.default_rng(2)
    courses = [list(np.round(rng.normal(35, 3, 4), 1)) for _ in range(80)]
    cohort, rows = cohort_with(*courses)
    found = local_instrument(cohort, rows, replace(SRS, sem=None), np.flatnonzero(rows.client >= 20))
    step = np.diff(np.array(courses)[20:], axis=1)
    assert found.sem == pytest.approx(np.sqrt(np.mean(step**2) / 2))


@pytest.mark.parametrize(("n", "sessions"), [(49, []), (50, [1, 2])])
def test_norms_need_fifty_ratings_of_a_session(n, sessions):
    cohort, rows = cohort_with(*ladder(n))
    found = local_instrument(cohort, rows, SRS, np.arange(len(rows)))
    assert sorted(found.reference) == sessions


def test_what_the_instrument_has_is_left_as_it_is():
    cohort, rows = cohort_with(*ladder())
    own = replace(SRS, reference={1: 30.0})
    assert local_instrument(cohort, rows, own, np.arange(len(rows))) == own
    found = scored(cohort, rows, own)
    np.testing.assert_array_equal(
        found.review[rows.session == 1], cohort.visits.rating[rows.session == 1] <= 30
    )


def test_ratings_of_the_fold_tested_never_move_the_norms_it_is_judged_by():
    cohort, rows = cohort_with(*ladder(400))
    folds = folds_of(rows, groups_of(rows, least=1), folds=2)
    watched = folds.fold == 0
    one = watched & (rows.client == rows.client[watched][0])
    lower = np.where(watched & ~one, cohort.visits.rating - 10, cohort.visits.rating)
    moved = replace(cohort, visits=replace(cohort.visits, rating=lower))
    before, after = (rule_scores(each, rows, SRS, folds).review for each in (cohort, moved))
    np.testing.assert_array_equal(after[one], before[one])
    # The other fold is judged by norms from this one: with these so low, hardly anybody is below them.
    assert after[~watched].sum() < before[~watched].sum()
