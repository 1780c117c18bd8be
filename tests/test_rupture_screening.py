"""Six plain rules at once: the same answers as the methods, and as a plain loop written from their words."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.courses import Courses
from alliance.errors import UsageError
from alliance.rupture import METHODS, Measure
from alliance.rupture.screening import RULES, screen

NA = np.nan
MEASURE = Measure(low=12, high=60, step=1, within_sd=2.0)
CUT = 1.96 * 2**0.5 * 2.0


def laid_out(cases):
    lengths = np.array([len(case) for case in cases], dtype=np.int64)
    rows = [(place, score) for case in cases for place, score in case]
    return Courses(
        values=np.array([NA if score is None else score for _, score in rows], dtype=float),
        session=np.array([place for place, _ in rows], dtype=np.int64),
        starts=np.cumsum(lengths) - lengths,
    )


scores = st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.integers(40, 60))), max_size=25)
cases = st.lists(
    scores.map(
        lambda rows: list(
            zip(np.cumsum([1 + gap for gap, _ in rows]).tolist(), [s for _, s in rows], strict=True)
        )
    ),
    max_size=5,
)


def plain(case):
    """Return rule → answers of one case, row by row, by the words of the rules."""
    answers = {rule: [NA] * len(case) for rule in RULES}
    kept = [(row, session, score) for row, (session, score) in enumerate(case) if score is not None]
    values = [score for _, _, score in kept]
    steps = [b[2] - a[2] for a, b in pairwise(kept) if b[1] - a[1] == 1]
    sigma = sum(map(abs, steps)) / len(steps) / 1.128 if steps else 0
    centre = sum(values) / len(values) if values else 0
    below = [score < centre - 2 * sigma - 1e-9 for score in values]
    for place, (row, session, score) in enumerate(kept):
        if len(kept) >= 10 and sigma > 0:
            answers["chart"][row] = float(score < centre - 3 * sigma - 1e-9)
            answers["chart 2 of 3"][row] = float(
                place >= 2 and below[place] and any(below[place - 2 : place])
            )
        if not place:
            continue
        earlier = values[:place]
        answers["best drop"][row] = float(max(earlier) - score > CUT + 1e-9)
        if place >= 3:
            answers["mean drop"][row] = float(sum(earlier) / place - score > CUT + 1e-9)
        if session - kept[place - 1][1] == 1:
            drop = values[place - 1] - score > CUT + 1e-9
            answers["reliable drop"][row] = float(drop)
            if drop:
                healed = any(later >= values[place - 1] - 2 - 1e-9 for later in values[place + 1 : place + 4])
                answers["repaired"][row] = float(healed)
    return answers


@settings(deadline=None, max_examples=150)
@given(cases=cases)
def test_the_rules_equal_a_plain_loop(cases):
    found = screen(laid_out(cases), MEASURE)
    for rule in RULES:
        expected = [answer for case in cases for answer in plain(case)[rule]]
        np.testing.assert_array_equal(found.met(rule), np.array(expected, dtype=float), err_msg=rule)


@settings(deadline=None, max_examples=60)
@given(cases=st.lists(st.lists(st.integers(40, 60), max_size=25), max_size=4))
def test_on_complete_courses_the_rules_are_those_of_the_methods(cases):
    courses = laid_out([list(enumerate(case, 1)) for case in cases])
    found = screen(courses, MEASURE)
    drops = METHODS["reliable-drop"].judge(courses, MEASURE)
    np.testing.assert_array_equal(found.met("reliable drop"), drops.met)
    for rule, name in (("chart", "WE1"), ("chart 2 of 3", "WE2")):
        chart = METHODS["moving-range"].judge(courses, MEASURE, rules=name)
        np.testing.assert_array_equal(found.met(rule), chart.met)


def test_two_of_three_takes_three_scores():
    # Mean 40.2, mean moving range 1/9, sigma .0985: every 40 lies below 40.2 - 2 sigma = 40.003.
    found = screen(Courses.of([40.0] * 8 + [41.0] * 2), MEASURE)
    assert found.met("chart 2 of 3").tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_said_of_a_blank_form_or_a_single_one(rule):
    for values in ([], [NA], [48.0], [NA, NA]):
        assert np.isnan(screen(Courses.of(values), MEASURE).met(rule)).all()


def test_a_drop_on_the_limit_is_none_and_one_below_it_is():
    for distance, met in ((0.0, 0), (1e-10, 0), (1e-6, 1)):
        found = screen(Courses.of([50.0, 50.0 - CUT - distance]), MEASURE)
        assert found.met("reliable drop")[1] == met
        assert found.met("best drop")[1] == met


def test_without_a_reliability_it_says_what_it_needs():
    with pytest.raises(UsageError) as caught:
        screen(Courses.of([50.0, 40.0]), Measure(low=12, high=60, step=1))
    assert str(caught.value) == (
        "error: screening needs the reliability of the score, and the definition has none\n"
        "hint: give --sd and --reliability, or --within-sd"
    )
