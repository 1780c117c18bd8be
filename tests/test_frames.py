"""The checkers of the frames, the arrays behind them, and the doors of the small numeric functions."""

import numpy as np
import pandas as pd
import pytest

from alliance import arrow
from alliance.claims import Norm
from alliance.frames import check_appointments, check_responses, check_scores
from alliance.psychometrics import reliable_change, sem
from alliance.rupture.prior import given_prior
from alliance.rupture.registry import Measure, measure_of
from alliance.scale import load_scale

SRS = load_scale("srs")


def responses(**changes):
    keys = {"case": ["A", "A"], "session": [1, 2], "date": pd.NaT, "therapist": "", "rater": "client"}
    answers = {f"q{item}": [9.0, 8.0] for item in range(1, 5)}
    return pd.DataFrame({**keys, **answers, **changes})


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (responses().drop(columns="q4"), "Responses must have the column q4, got case, session, date"),
        (responses(q2=[9.0, 11.0]), "answers must lie in 0 to 10, got 11"),
        (responses(q2=[9.0, np.inf]), "answers must lie in 0 to 10, got inf"),
        (
            responses(session=[1, 1]),
            "Responses must have one row for each case, rater, session, got 1 doubles",
        ),
    ],
)
def test_responses_that_are_none_are_refused(frame, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared
        check_responses(frame, SRS)
    assert str(caught.value).startswith(message)


def test_half_answers_are_refused_on_a_form_of_whole_numbers():
    form = load_scale("arm-5")
    frame = responses(q1=[4.0, 4.0], q2=[4.0, 3.5], q3=[4.0, np.nan], q4=[4.0, 4.0], q5=[4.0, 4.0])
    with pytest.raises(ValueError, match=r"^answers must be whole numbers, got 3\.5$"):
        check_responses(frame, form)
    check_responses(frame.assign(q2=[4.0, 3.0]), form)


def test_scores_must_be_finite_or_missing():
    scores = responses().assign(total=[36.0, np.inf])
    with pytest.raises(ValueError, match=r"^scores must be finite or missing, got inf$"):
        check_scores(scores, ("total",))
    check_scores(scores.assign(total=[36.0, np.nan]), ("total",))


def test_attendance_words_are_checked():
    table = pd.DataFrame({"case": ["A"], "session": [1], "date": [pd.NaT], "attendance": ["maybe"]})
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_appointments(table)
    assert str(caught.value) == (
        "attendance must be one of attended, no_show, cancel_client_late, cancel_client, cancel_clinic, "
        "scheduled, got maybe"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sem(9, 1.2), "reliability must be at least 0 and below 1, got 1.2"),
        (lambda: sem(0, 0.9), "sd must be above 0, got 0"),
        (lambda: reliable_change(1.0, sem=0), "sem must be above 0, got 0"),
        (lambda: given_prior(-1.0), "within_sd must be above 0, got -1.0"),
    ],
)
def test_a_number_out_of_bounds_is_named_with_its_bound(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    assert str(caught.value) == message


def test_the_smallest_fall_is_the_published_error_or_a_sixteenth_of_the_range():
    assert measure_of(load_scale("wai-sr")).min_drop == 0.25
    assert measure_of(SRS).min_drop == 2.5
    assert Measure(low=12, high=60, step=1, norm=Norm(sd=9, reliability=0.75)).min_drop == 4.5
    assert Measure(low=12, high=60, step=1, within_sd=2.0).min_drop == 3.0


def test_a_remembered_norm_is_never_used():
    from dataclasses import replace

    remembered = replace(SRS, norms={"total": Norm(sd=4.0, reliability=0.64, status="memory")})
    assert measure_of(remembered).sem is None
    given = Norm(sd=4.0, reliability=0.64, status="derived")
    assert measure_of(remembered, norm=given).sem == pytest.approx(2.4)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, np.nan, -3.0]),
        np.array([1, 2, 3], dtype=np.int8),
        np.array(["2026-01-31", "NaT"], dtype="datetime64[D]"),
        np.array([], dtype=float),
    ],
    ids=["numbers", "small whole numbers", "days", "nothing"],
)
def test_arrays_reach_arrow_unchanged(values):
    import pyarrow as pa

    expected = pa.array(values, from_pandas=True).to_pylist()
    assert arrow.column(values).to_pylist() == expected
    assert arrow.nulls(arrow.column(values)).tolist() == [value is None for value in expected]


def test_slices_of_arrow_arrays_come_back_right():
    import pyarrow as pa

    part = pa.array([1, None, 3, 4, None], pa.int8())[1:4]
    assert arrow.nulls(part).tolist() == [True, False, False]
    assert arrow.numbers(part)[1:].tolist() == [3, 4]
    assert arrow.texts(np.array(["ü", "", "a,b"], dtype=object)).to_pylist() == ["ü", "", "a,b"]
