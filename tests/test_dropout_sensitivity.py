"""Missing ratings drawn within client, moved downwards, and pooled by Rubin's rules."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from validation_helpers import Slope, by_rating, rows_with

from alliance.dropout.validation.sensitivity import compare, impute, missing_ratings, presumed_kinds, rubin
from alliance.errors import DataError

NA = np.nan


def course(*ratings, case=None):
    n = len(ratings)
    case = np.zeros(n, dtype=int) if case is None else case
    return rows_with(np.zeros(n), case, rating=ratings, session=np.arange(1, n + 1))


def test_rubins_rules_are_worked_by_hand():
    # Mean 2; within (.25 + 1) / 2 = .625; between ((1-2)² + (3-2)²) / 1 = 2; total .625 + 1.5 · 2.
    found = rubin(np.array([[1.0], [3.0]]), np.array([[0.5], [1.0]]))
    assert found.coef == pytest.approx([2])
    assert found.se == pytest.approx([np.sqrt(3.625)])


def test_one_imputation_adds_no_variance():
    found = rubin(np.array([[1.0, 2.0]]), np.array([[0.5, 0.1]]))
    np.testing.assert_allclose([found.coef, found.se], [[1, 2], [0.5, 0.1]])


def test_where_nothing_is_missing_nothing_is_drawn():
    rows = course(4.0, 5.0, 3.0)
    assert impute(rows, seed=1) is rows
    empty = course(NA, NA)
    assert impute(empty, seed=1) is empty


def test_mean_and_change_are_made_of_the_filled_course():
    rows = course(4.0, NA, 6.0, 2.0, NA, case=np.array([0, 0, 0, 1, 1]))
    found = impute(rows, seed=1)
    drawn, last = found.rating[[1, 4]]
    np.testing.assert_allclose(found.rating[[0, 2, 3]], [4, 6, 2])
    assert np.isfinite([drawn, last]).all()
    np.testing.assert_allclose(
        found.mean_rating, [4, (4 + drawn) / 2, (4 + drawn + 6) / 3, 2, (2 + last) / 2]
    )
    np.testing.assert_allclose(found.change, [0, drawn - 4, 6 - (4 + drawn) / 2, 0, last - 2])
    np.testing.assert_array_equal(found.missing, [0, 1, 0, 0, 1])
    assert len(found) == len(rows)


def test_draws_lie_around_the_clients_own_mean_with_the_spread_within_clients():
    # Ratings ±1 around 3 and around 7, 100 clients each, three rated and one missing session.
    rating = np.tile([1.0, -1.0, 0.0, NA], 2000) + np.repeat([3.0, 7.0], 4000)
    rows = course(*rating, case=np.repeat(np.arange(2000), 4))
    drawn = impute(rows, seed=2).rating[3::4]
    # Pooled within: (1 + 1 + 0) / (3 - 1) = 1; of one more rating sqrt(1 + 1/3).
    for middle, some in ((3, drawn[:1000]), (7, drawn[1000:])):
        assert some.mean() == pytest.approx(middle, abs=0.15)
        assert some.std() == pytest.approx(np.sqrt(4 / 3), abs=0.1)


def test_a_client_never_rated_is_drawn_around_all_ratings():
    rating = np.concatenate([np.tile([2.0, 6.0], 500), np.full(2000, NA)])
    rows = course(*rating, case=np.concatenate([np.arange(1000), np.arange(1000, 3000)]))
    drawn = impute(rows, seed=3).rating[1000:]
    assert drawn.mean() == pytest.approx(4, abs=0.15)
    assert drawn.std() == pytest.approx(2, abs=0.12)


@pytest.mark.parametrize("shift", [-0.5, -1.0])
def test_a_shift_moves_only_the_missing_ones_by_sds_of_all_ratings(shift):
    # 2, 6: SD 2.
    rows = course(2.0, 6.0, NA)
    still, moved = impute(rows, seed=4), impute(rows, seed=4, shift=shift)
    np.testing.assert_allclose(moved.rating - still.rating, [0, 0, 2 * shift])


@given(st.lists(st.one_of(st.none(), st.floats(1, 7)), min_size=1, max_size=12), st.integers(0, 5))
def test_what_was_rated_is_never_changed_and_earlier_sessions_do_not_know_later_draws(ratings, seed):
    rows = course(*[NA if each is None else each for each in ratings])
    known = np.isfinite(rows.rating)
    found = impute(rows, seed=seed)
    np.testing.assert_array_equal(found.rating[known], rows.rating[known])
    if known.any() and not known.all():
        first = int(np.argmax(~known))
        np.testing.assert_allclose(
            found.mean_rating[:first], [rows.rating[: place + 1].mean() for place in range(first)]
        )
        assert np.isfinite(found.rating).all()


@dataclass(frozen=True)
class MeanRating:
    """A model whose one coefficient is the mean rating of its rows."""

    terms: tuple


def mean_rating(rows):
    return MeanRating(terms=(Slope(name="level", coef=float(np.nanmean(rows.rating)), se=0.1),))


def test_the_analysis_is_told_as_fitted_imputed_and_shifted():
    rows = course(2.0, 6.0, NA, NA)
    told = []
    found = missing_ratings(rows, mean_rating, imputations=20, tell=lambda *step: told.append(step))
    assert [each["what"] for each in found] == [
        "as fitted: last mean carried forward, missing as a predictor",
        "missing ratings imputed 20 times within client",
        "missing ratings imputed 20 times within client, missing ones lower by 0.5 SD",
        "missing ratings imputed 20 times within client, missing ones lower by 1 SD",
    ]
    levels = [each["terms"]["level"] for each in found]
    assert levels[0] == 4
    # Half of the four ratings are moved by .5 and by 1 SD of 2 points.
    assert levels[2] - levels[1] == pytest.approx(-0.5)
    assert levels[3] - levels[1] == pytest.approx(-1.0)
    assert found[0]["se"]["level"] == 0.1
    assert found[1]["se"]["level"] > 0.1
    assert told[0] == ("sensitivity", 1, 60)
    assert told[-1] == ("sensitivity", 60, 60)
    assert [step[1] for step in told] == list(range(1, 61))


@pytest.mark.parametrize(
    ("ratings", "imputations"),
    [
        pytest.param((4.0, 5.0), 20, id="nothing missing"),
        pytest.param((NA, NA), 20, id="nothing rated"),
        pytest.param((4.0, NA), 0, id="not asked for"),
    ],
)
def test_without_need_there_is_only_the_model_as_fitted(ratings, imputations):
    found = missing_ratings(course(*ratings), by_rating, imputations=imputations)
    assert len(found) == 1
    assert found[0]["terms"] == {"level": -0.5}


def test_a_term_that_an_imputed_model_lacks_is_not_known():
    names = iter([("level",), ("level", "change"), ("level",)] + [("level",)] * 4)

    def dropping(_rows):
        return MeanRating(terms=tuple(Slope(name=name, coef=1.0, se=0.1) for name in next(names)))

    found = missing_ratings(course(2.0, NA), dropping, imputations=2)
    assert found[1]["terms"] == {"level": 1.0, "change": pytest.approx(NA, nan_ok=True)}
    assert found[2]["terms"] == {"level": 1.0}


def test_several_ways_to_make_the_rows_are_compared():
    one = course(2.0, 6.0)
    two = replace(one, rating=one.rating + 1)
    found = compare({"presumed dropouts excluded": one, "counted as dropout": two}, mean_rating)
    assert found == [
        {"what": "presumed dropouts excluded", "terms": {"level": 4.0}, "se": {"level": 0.1}},
        {"what": "counted as dropout", "terms": {"level": 5.0}, "se": {"level": 0.1}},
    ]


def test_presumed_dropouts_are_named_in_words_in_one_order():
    one, two, three = course(1.0), course(2.0), course(3.0)
    found = presumed_kinds({"censor": one, "dropout": two, "exclude": three})
    assert list(found.items()) == [
        ("presumed dropouts excluded", three),
        ("presumed dropouts counted as dropouts", two),
        ("presumed dropouts taken for ongoing", one),
    ]
    assert presumed_kinds({}) == {}
    with pytest.raises(ValueError, match=r"^presumed must hold rows by exclude, dropout, censor, got drop$"):
        presumed_kinds({"drop": one})


def test_where_one_way_gives_no_model_the_others_are_still_compared():
    def strict(rows):
        if len(rows) < 2:
            message = "nothing to learn from: 0 of 1 rows are events"
            raise DataError(message, hint="more")
        return mean_rating(rows)

    found = compare({"one": course(2.0), "two": course(2.0, 6.0)}, strict)
    assert found == [
        {"what": "one: not fitted, nothing to learn from: 0 of 1 rows are events", "terms": {}, "se": {}},
        {"what": "two", "terms": {"level": 4.0}, "se": {"level": 0.1}},
    ]
