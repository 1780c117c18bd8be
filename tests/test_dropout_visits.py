"""How forms and appointments become one row per appointment, and how attended sessions are counted."""

import numpy as np
import pytest

from alliance.dropout import Appointments, Ratings, visits_of
from alliance.dropout.visits import CLIENT, OTHER_SIDE, OUTSIDER
from alliance.frames import ATTENDANCE

NA = np.nan


def ratings(session, rating, case=None, **more):
    code = np.zeros(len(session), int) if case is None else np.array(case, int)
    return Ratings(case=code, session=np.array(session, int), rating=np.array(rating, float), **more)


def appointments(rows, case=None):
    """Rows of (session or NaN, attendance) or (session, attendance, day of January)."""
    dates = [f"2026-01-{row[2]:02d}" if len(row) > 2 else "NaT" for row in rows]
    return Appointments(
        case=np.zeros(len(rows), int) if case is None else np.array(case, int),
        session=np.array([row[0] for row in rows], float),
        date=np.array(dates, "datetime64[D]"),
        status=np.array([ATTENDANCE.index(row[1]) for row in rows], int),
    )


def days(*numbers):
    return np.array([f"2026-01-{day:02d}" if day else "NaT" for day in numbers], "datetime64[D]")


def rows(visits):
    """The rows as (attendance, sessions attended, rating), None = no rating."""
    names = [ATTENDANCE[code] for code in visits.status]
    scores = [None if np.isnan(rating) else rating for rating in visits.rating]
    return list(zip(names, visits.session.tolist(), scores, strict=True))


def attended(*pairs):
    return [("attended", count, rating) for count, rating in pairs]


def test_without_appointments_the_session_number_counts_attended_sessions():
    got = visits_of(ratings([1, 2, 5], [38, NA, 37]), n_cases=1)
    assert rows(got) == attended((1, 38), (2, None), (5, 37))
    assert not got.attendance_known


def test_a_session_zero_counts_as_the_first():
    assert rows(visits_of(ratings([0, 1, 4], [38, 37, 36]), n_cases=1)) == attended((1, 38), (2, 37), (4, 36))


def test_forms_in_any_order_are_laid_out_by_case_and_session():
    got = visits_of(ratings([2, 1, 2, 1], [22, 11, 20, 10], case=[1, 1, 0, 0]), n_cases=3)
    assert rows(got) == attended((1, 10), (2, 20), (1, 11), (2, 22))
    assert got.starts.tolist() == [0, 2, 4]
    assert got.lengths.tolist() == [2, 2, 0]


def test_a_form_by_another_side_shows_that_the_session_was_attended():
    side = np.array([CLIENT, OTHER_SIDE, OTHER_SIDE])
    got = visits_of(ratings([1, 1, 2], [38, 30, 31], side=side), n_cases=1)
    assert rows(got) == attended((1, 38), (2, None))
    assert got.mixed is None


def test_a_session_rated_by_an_outsider_is_marked():
    got = visits_of(ratings([1, 2, 2], [38, 37, 36], side=np.array([CLIENT, CLIENT, OUTSIDER])), n_cases=1)
    assert got.mixed.tolist() == [False, True]
    assert rows(got) == attended((1, 38), (2, 37))


@pytest.mark.parametrize("side", [None, np.array([CLIENT, CLIENT])], ids=["no raters", "two clients"])
def test_two_client_forms_of_one_session_are_refused(side):
    message = "ratings must hold one client form for each case and session, got more"
    with pytest.raises(ValueError, match=f"^{message}$"):
        visits_of(ratings([1, 1], [38, 37], side=side), n_cases=1)


ALL_NUMBERED = [(1, "attended"), (2, "no_show"), (3, "attended")]
ATTENDED_NUMBERED = [(1, "attended"), (NA, "no_show"), (2, "attended")]
REBOOKED = [(1, "attended"), (2, "no_show"), (2, "attended")]
NONE_NUMBERED = [(NA, "attended"), (NA, "no_show"), (NA, "attended")]
TWO_AND_ONE_MISSED = [("attended", 1, 38), ("no_show", 1, None), ("attended", 2, 37)]


@pytest.mark.parametrize(
    ("booked", "sessions"),
    [
        pytest.param(ALL_NUMBERED, [1, 3], id="missed ones are numbered too"),
        pytest.param(ATTENDED_NUMBERED, [1, 2], id="only attended ones are numbered"),
        pytest.param(REBOOKED, [1, 2], id="a missed one passes its number on"),
        pytest.param(NONE_NUMBERED, [1, 2], id="none is numbered"),
    ],
)
def test_missed_appointments_do_not_count_however_they_are_numbered(booked, sessions):
    got = visits_of(ratings(sessions, [38, 37]), appointments(booked), n_cases=1)
    assert rows(got) == TWO_AND_ONE_MISSED
    assert got.attendance_known


def test_a_number_left_out_is_a_session_attended_without_a_row():
    got = visits_of(
        ratings([1, 4], [38, 37]), appointments([(1, "attended"), (2, "no_show"), (4, "attended")]), n_cases=1
    )
    assert [count for _, count, _ in rows(got)] == [1, 1, 3]


def test_a_rebooked_appointment_takes_nothing_off_later_numbers():
    booked = appointments([*REBOOKED, (4, "attended")])
    got = visits_of(ratings([1, 2, 4], [38, 37, 36]), booked, n_cases=1)
    assert [count for _, count, _ in rows(got)] == [1, 1, 2, 4]


def test_an_appointment_attended_without_a_form_has_no_rating():
    got = visits_of(
        ratings([2], [37]), appointments([(1, "attended"), (2, "attended"), (3, "attended")]), n_cases=1
    )
    assert rows(got) == attended((1, None), (2, 37), (3, None))


def test_a_form_without_an_appointment_counts_as_attended():
    booked = appointments([(1, "attended"), (2, "no_show"), (4, "attended")])
    got = visits_of(ratings([1, 3, 4, 5], [38, 37, 36, 35]), booked, n_cases=1)
    assert rows(got) == [("attended", 1, 38), ("no_show", 1, None), *attended((2, 37), (3, 36), (4, 35))]


def test_a_blank_form_at_a_missed_appointment_is_no_session():
    got = visits_of(ratings([1, 2, 3], [38, NA, 37]), appointments(ALL_NUMBERED), n_cases=1)
    assert rows(got) == TWO_AND_ONE_MISSED


def test_a_scored_form_at_a_missed_appointment_is_a_session():
    got = visits_of(ratings([1, 2, 3], [38, 36, 37]), appointments(ALL_NUMBERED), n_cases=1)
    assert rows(got) == [("attended", 1, 38), ("no_show", 1, None), ("attended", 2, 36), ("attended", 3, 37)]


def test_forms_find_their_unnumbered_appointment_by_date():
    booked = appointments(
        [(NA, "attended", 5), (NA, "attended", 12), (NA, "no_show", 19), (NA, "attended", 26)]
    )
    got = visits_of(ratings([1, 2], [38, 37], date=days(5, 26)), booked, n_cases=1)
    expected = [*attended((1, 38), (2, None)), ("no_show", 2, None), ("attended", 3, 37)]
    assert rows(got) == expected


def test_two_sessions_on_one_day_are_matched_in_order():
    booked = appointments([(NA, "attended", 5), (NA, "attended", 5)])
    got = visits_of(ratings([1, 2], [38, 37], date=days(5, 5)), booked, n_cases=1)
    assert rows(got) == attended((1, 38), (2, 37))


def test_a_form_found_by_number_is_not_found_again_by_date():
    booked = appointments([(1, "attended", 5), (NA, "attended", 5)])
    got = visits_of(ratings([1, 2], [38, 37], date=days(5, 5)), booked, n_cases=1)
    assert rows(got) == attended((1, 38), (2, 37))


def test_dates_of_another_case_match_nothing():
    booked = appointments([(NA, "attended", 5), (NA, "attended", 12)], case=[0, 1])
    got = visits_of(ratings([1, 1], [38, 37], case=[0, 1], date=days(5, 12)), booked, n_cases=2)
    assert rows(got) == attended((1, 38), (1, 37))


def test_dated_appointments_are_counted_where_the_forms_have_no_dates():
    booked = appointments([(NA, "attended", 5), (NA, "no_show", 12), (NA, "attended", 19)])
    assert rows(visits_of(ratings([1, 2], [38, 37]), booked, n_cases=1)) == TWO_AND_ONE_MISSED


def test_an_appointment_on_record_twice_takes_the_form_once():
    got = visits_of(ratings([1], [38]), appointments([(1, "attended"), (1, "attended")]), n_cases=1)
    assert rows(got) == attended((1, 38), (2, None))


def test_scheduled_appointments_are_not_there_yet():
    booked = appointments([(1, "attended", 5), (2, "scheduled", 12), (3, "scheduled", 19)])
    got = visits_of(ratings([1, 2], [38, NA]), booked, n_cases=1)
    assert rows(got) == attended((1, 38))
    assert got.next_booked.astype("datetime64[D]").tolist() == days(19).tolist()
    assert got.last_attended.astype("datetime64[D]").tolist() == days(5).tolist()


def test_cases_may_have_appointments_only_or_forms_only():
    booked = appointments([(NA, "no_show"), (1, "attended")], case=[1, 2])
    got = visits_of(ratings([1], [38]), booked, n_cases=4)
    assert rows(got) == [("attended", 1, 38), ("no_show", 0, None), ("attended", 1, None)]
    assert got.lengths.tolist() == [1, 1, 1, 0]


def test_appointments_of_cases_may_be_interleaved():
    booked = appointments(
        [(1, "attended"), (1, "attended"), (NA, "no_show"), (2, "attended")], case=[1, 0, 0, 1]
    )
    got = visits_of(ratings([1, 1, 2], [10, 20, 21], case=[0, 1, 1]), booked, n_cases=2)
    assert rows(got) == [("attended", 1, 10), ("no_show", 1, None), ("attended", 1, 20), ("attended", 2, 21)]


def test_small_code_types_do_not_overflow():
    code = np.array([0, 2_000_000], np.int32)
    number = np.array([1, 20_260_101])
    booked = Appointments(
        case=code, session=number.astype(float), date=days(5, 5), status=np.zeros(2, np.int8)
    )
    got = visits_of(
        Ratings(case=code, session=number, rating=np.array([1.0, 2.0])), booked, n_cases=2_000_001
    )
    assert rows(got) == attended((1, 1), (20_260_101, 2))


def test_nothing_at_all_gives_no_row():
    empty = ratings([], [])
    assert rows(visits_of(empty, n_cases=0)) == []
    assert rows(visits_of(empty, appointments([]), n_cases=0)) == []
