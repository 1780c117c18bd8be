"""Every rule and prompt against a truth table worked by hand, and the contract each of them keeps."""

import dataclasses
import re

import numpy as np
import pytest

from alliance.courses import Courses
from alliance.dropout import (
    PROMPTS,
    RULES,
    Appointments,
    Instrument,
    Ratings,
    get_rule,
    local_sem,
    risk_arrays,
    risk_texts,
    visits_of,
)
from alliance.dropout.rules import Rule
from alliance.dropout.state import numbers, observe
from alliance.errors import UsageError
from alliance.frames import ATTENDANCE
from alliance.psychometrics import successive_spread

NA = np.nan
SRS = Instrument(id="srs", max=40, cutoff=36, sem=1.2)
BARE = Instrument(id="bare", max=5)


def form(**changes):
    return dataclasses.replace(SRS, **changes)


def visits(ratings, *, sessions=None, **more):
    """One case: ratings of attended sessions, or names of missed appointments among them."""
    if not any(isinstance(each, str) for each in ratings):
        session = np.arange(1, len(ratings) + 1) if sessions is None else np.array(sessions)
        rated = Ratings(
            case=np.zeros(len(ratings), int), session=session, rating=np.array(ratings, float), **more
        )
        return visits_of(rated, n_cases=1)
    status = [each if isinstance(each, str) else "attended" for each in ratings]
    rating = np.array([each for each in ratings if not isinstance(each, str)], float)
    number = iter(range(1, len(rating) + 1))
    session = [float(next(number)) if name == "attended" else NA for name in status]
    rated = Ratings(
        case=np.zeros(len(rating), int), session=np.arange(1, len(rating) + 1), rating=rating, **more
    )
    booked = Appointments(
        case=np.zeros(len(status), int),
        session=np.array(session),
        date=np.full(len(status), "NaT", "datetime64[D]"),
        status=np.array([ATTENDANCE.index(name) for name in status]),
    )
    return visits_of(rated, booked, n_cases=1)


def met(name, ratings, instrument=SRS, **more):
    """What the rule or prompt says after the last appointment."""
    state = observe(visits(ratings, **more), instrument, every=False)
    return get_rule(name).judge(state)[0]


def assert_same(got, expected):
    np.testing.assert_equal(float(got), float(expected))


REFERENCE = {3: 34.5}


@pytest.mark.parametrize(
    ("ratings", "reference", "expected"),
    [
        pytest.param([38, 37, 34.5], REFERENCE, 1, id="on the percentile"),
        pytest.param([38, 37, 34.6], REFERENCE, 0, id="just above"),
        pytest.param([38, 37, 34], REFERENCE, 1, id="below"),
        pytest.param([38, 37], REFERENCE, NA, id="no percentile for this session"),
        pytest.param([38, 37, 34, NA], REFERENCE, 1, id="the session of the rating counts, not today's"),
        pytest.param([38, 37, NA, 34], REFERENCE, NA, id="rated at another session"),
        pytest.param([38, 37, 34], {}, NA, id="no reference"),
        pytest.param([38, 37, 34, NA, NA, NA], REFERENCE, NA, id="three sessions old"),
        pytest.param([NA, NA, NA], REFERENCE, NA, id="missing"),
        pytest.param([30], {1: 30.0}, 1, id="one"),
        pytest.param([], REFERENCE, NA, id="none"),
        pytest.param([0.1 + 0.2], {1: 0.3 - 1e-16}, 1, id="binary rounding is no verdict"),
    ],
)
def test_very_low_follows_the_truth_table(ratings, reference, expected):
    assert_same(met("VERY_LOW", ratings, form(reference=reference)), expected)


@pytest.mark.parametrize(
    ("ratings", "instrument", "expected"),
    [
        pytest.param([36.0], SRS, 1, id="on the cut-off"),
        pytest.param([36.1], SRS, 0, id="just above"),
        pytest.param([35.9], SRS, 1, id="below"),
        pytest.param([36.0], form(inclusive=False), 0, id="on an exclusive cut-off"),
        pytest.param([35.9], form(inclusive=False), 1, id="below an exclusive cut-off"),
        pytest.param([36 + 1e-13], SRS, 1, id="on the cut-off but for rounding"),
        pytest.param([36 - 1e-13], form(inclusive=False), 0, id="on an exclusive cut-off but for rounding"),
        pytest.param([30, 38], SRS, 0, id="only the latest counts"),
        pytest.param([38, 30, NA, NA], SRS, 1, id="two sessions old"),
        pytest.param([38, 30, NA, NA, NA], SRS, NA, id="three sessions old"),
        pytest.param([30], BARE, NA, id="no cut-off"),
        pytest.param([30], form(reference={1: 31.0}), 0, id="very low already"),
        pytest.param([33], form(reference={1: 31.0}), 1, id="low, not very low"),
        pytest.param([33], form(reference={2: 31.0}), 1, id="no percentile for this session"),
        pytest.param([3.1], dataclasses.replace(BARE, reference={1: 3.0}), 0, id="a reference looks too"),
        pytest.param([NA], SRS, NA, id="missing"),
        pytest.param([], SRS, NA, id="none"),
    ],
)
def test_low_level_follows_the_truth_table(ratings, instrument, expected):
    assert_same(met("LOW_LEVEL", ratings, instrument), expected)


@pytest.mark.parametrize(
    ("ratings", "instrument", "expected"),
    [
        pytest.param([35, 35.5], SRS, 1, id="low twice"),
        pytest.param([36, 36], SRS, 1, id="on the cut-off twice"),
        pytest.param([36.1, 35.5], SRS, 0, id="not low before"),
        pytest.param([35, 36.1], SRS, 0, id="not low now"),
        pytest.param([35, 38, 35], SRS, 0, id="low with one between"),
        pytest.param([35, NA, 35.5], SRS, 1, id="a missing rating is skipped"),
        pytest.param([36, 36], form(inclusive=False), 0, id="exclusive"),
        pytest.param([35, 35.5], form(reference={2: 30.0}), 0, id="a reference replaces it"),
        pytest.param([35], SRS, NA, id="one, low"),
        pytest.param([38], SRS, 0, id="one, not low"),
        pytest.param([35, 35.5], BARE, NA, id="no cut-off"),
        pytest.param([35, 35, NA, NA, NA], SRS, NA, id="three sessions old"),
        pytest.param([NA], SRS, NA, id="missing"),
        pytest.param([], SRS, NA, id="none"),
    ],
)
def test_persistent_low_follows_the_truth_table(ratings, instrument, expected):
    assert_same(met("PERSISTENT_LOW", ratings, instrument), expected)


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        pytest.param([38, 34.67], 1, id="one earlier: a fall of 3.33"),
        pytest.param([38, 34.68], 0, id="one earlier: a fall of 3.32"),
        pytest.param([38, 37, 34.61], 1, id="two earlier: a fall of 2.89"),
        pytest.param([38, 37, 34.63], 0, id="two earlier: a fall of 2.87"),
        pytest.param([38, 37, 37.5, 34.78], 1, id="three earlier: a fall of 2.72"),
        pytest.param([38, 37, 37.5, 34.79], 0, id="three earlier: a fall of 2.71"),
        pytest.param([34, 38], 0, id="a rise"),
        pytest.param([38, NA, 34], 1, id="a missing rating is skipped"),
        pytest.param([38, 34, NA, NA], 1, id="two sessions old"),
        pytest.param([38, 34, NA, NA, NA], NA, id="three sessions old"),
        pytest.param([34], NA, id="one"),
        pytest.param([NA, NA], NA, id="missing"),
        pytest.param([], NA, id="none"),
    ],
)
def test_reliable_drop_follows_the_truth_table(ratings, expected):
    assert_same(met("RELIABLE_DROP", ratings), expected)


def test_reliable_drop_needs_an_error_of_measurement():
    assert_same(met("RELIABLE_DROP", [38, 20], form(sem=None)), NA)


def test_a_fall_exactly_on_the_limit_is_a_reliable_drop():
    # 1.96 * SEM * sqrt(1 + 1/3) with SEM = sqrt(3) / 1.96 is 2, which tenths meet only up to rounding.
    exact = form(sem=3**0.5 / 1.96)
    assert_same(met("RELIABLE_DROP", [30.3, 30.4, 30.5, 28.4], exact), 1)
    assert_same(met("RELIABLE_DROP", [30.3, 30.4, 30.5, 28.4 + 1e-6], exact), 0)


@pytest.mark.parametrize(("earlier", "limit"), [(1, 3.326), (2, 2.881), (3, 2.716)])
def test_limits_of_the_reliable_drop_are_the_published_ones(earlier, limit):
    state = observe(visits([38.0] * (earlier + 1)), SRS, every=False)
    assert -state.drop_limit[0] == pytest.approx(limit, abs=0.0005)


def test_the_fall_of_the_worked_example_is_three_and_a_half():
    assert observe(visits([38, 37, 34]), SRS, every=False).change[0] == pytest.approx(-3.5, abs=1e-9)


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        pytest.param([38, 37.5, 36.8], 1, id="falls by exactly one SEM"),
        pytest.param([30, 29, 28.8], 1, id="falls by one SEM but for rounding"),
        pytest.param([38, 37.5, 36.9], 0, id="falls by less"),
        pytest.param([38, 38, 34], 0, id="one step level"),
        pytest.param([38, 34, 34], 0, id="last step level"),
        pytest.param([38, 34, 35], 0, id="rises at the end"),
        pytest.param([34, 36, 38], 0, id="rises"),
        pytest.param([30, 38, 37, 36], 1, id="only the latest three count"),
        pytest.param([38, NA, 37, NA, 36], 1, id="missing ratings are skipped"),
        pytest.param([38, 37, 36, NA, NA, NA], NA, id="three sessions old"),
        pytest.param([38, 36], NA, id="two"),
        pytest.param([38], NA, id="one"),
        pytest.param([NA, NA, NA], NA, id="missing"),
        pytest.param([], NA, id="none"),
    ],
)
def test_steady_decline_follows_the_truth_table(ratings, expected):
    assert_same(met("STEADY_DECLINE", ratings), expected)
    assert_same(met("STEADY_DECLINE", ratings, form(sem=None)), NA)


NS = "no_show"


@pytest.mark.parametrize(
    ("course", "early", "recent"),
    [
        pytest.param([NS], 1, 0, id="nothing else"),
        pytest.param([38, NS, 38], 1, 0, id="two attended"),
        pytest.param([38, 38, NS], 1, 0, id="missed right after the second"),
        pytest.param([38, NS, 38, 38], 0, 1, id="three attended, two since"),
        pytest.param([NS, 38, 38, 38], 0, 0, id="three since"),
        pytest.param([38, 38, 38, NS], 0, 1, id="just now"),
        pytest.param([38, 38, NS, 38, NA], 0, 1, id="a session without a rating is a session"),
        pytest.param(
            [38, 38, NS, "cancel_client", "cancel_client_late"], 1, 0, id="cancellations count as dates"
        ),
        pytest.param(
            [38, 38, NS, "cancel_client", 38, "cancel_client_late"], 0, 0, id="pushed out of the window"
        ),
        pytest.param([38, 38, 38, NS, *["cancel_clinic"] * 4], 0, 1, id="the clinic's own do not"),
        pytest.param([38, "cancel_client", "cancel_clinic"], 0, 0, id="a cancellation is no no-show"),
        pytest.param([38, 38, 38, "cancel_client_late"], 0, 0, id="a late one neither"),
        pytest.param([38, NS, 38, NS], 1, 0, id="twice"),
        pytest.param(["cancel_clinic"], 0, 0, id="none scheduled but by the clinic"),
    ],
)
def test_no_shows_follow_the_truth_table(course, early, recent):
    assert_same(met("NO_SHOW_EARLY", course), early)
    assert_same(met("NO_SHOW_RECENT", course), recent)


@pytest.mark.parametrize(("number", "early", "recent"), [(3, 1, 0), (4, 0, 0)])
def test_sessions_attended_without_a_row_push_a_no_show_out_of_the_window(number, early, recent):
    # Missed first, then a form of appointment 3: attended 2 and 3, or of 4: attended 2 to 4.
    booked = Appointments(
        case=np.zeros(2, int),
        session=np.array([1.0, number]),
        date=np.full(2, "NaT", "datetime64[D]"),
        status=np.array([ATTENDANCE.index(NS), 0]),
    )
    rated = Ratings(case=np.array([0]), session=np.array([number]), rating=np.array([38.0]))
    state = observe(visits_of(rated, booked, n_cases=1), SRS, every=False)
    assert state.session.tolist() == [number - 1]
    assert_same(get_rule("NO_SHOW_EARLY").judge(state)[0], early)
    assert_same(get_rule("NO_SHOW_RECENT").judge(state)[0], recent)


def test_no_shows_are_not_evaluable_without_appointments():
    assert_same(met("NO_SHOW_EARLY", [38, 38]), NA)
    assert_same(met("NO_SHOW_RECENT", [38, 38, 38, 38]), NA)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param([0, 1], 1, id="at the latest session"),
        pytest.param([1, 0], 0, id="no longer"),
        pytest.param([1, NA], NA, id="not known at the latest session"),
        pytest.param(None, NA, id="none imported"),
    ],
)
def test_not_on_track_follows_the_truth_table(flags, expected):
    flags = None if flags is None else np.array(flags, float)
    assert_same(met("NOT_ON_TRACK", [38, 38], not_on_track=flags), expected)


def test_not_on_track_outlasts_a_missed_appointment():
    assert_same(met("NOT_ON_TRACK", [38, 38, NS], not_on_track=np.array([0.0, 1.0])), 1)


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        pytest.param([38, 37.0], 1, id="exactly one point"),
        pytest.param([32.3, 31.3], 1, id="one point but for rounding"),
        pytest.param([38, 37.1], 0, id="less"),
        pytest.param([37, 38], 0, id="a rise"),
        pytest.param([38, NA, 36], 1, id="a missing rating is skipped"),
        pytest.param([38], NA, id="one"),
        pytest.param([38, 36, NA, NA, NA], NA, id="three sessions old"),
    ],
)
def test_srs_drop_follows_the_truth_table(ratings, expected):
    assert_same(met("SRS_DROP_1PT", ratings), expected)
    assert_same(met("SRS_DROP_1PT", ratings, form(id="ors")), NA)


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        pytest.param([40, 40], 1, id="twice"),
        pytest.param([40, 39.9], 0, id="just below"),
        pytest.param([39.9, 40], 0, id="just below before"),
        pytest.param([40], NA, id="one"),
        pytest.param([40, 40, NA, NA, NA], NA, id="three sessions old"),
    ],
)
def test_ceiling_follows_the_truth_table(ratings, expected):
    assert_same(met("CEILING", ratings), expected)


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        pytest.param([38, NA], 1, id="missing now"),
        pytest.param([NA, 38], 0, id="missing before"),
        pytest.param([NA], 1, id="never any"),
        pytest.param([NA, NS], 1, id="missing, then missed"),
        pytest.param([38, NS], 0, id="a missed appointment has no rating"),
        pytest.param([NS], NA, id="nothing attended"),
        pytest.param([], NA, id="none"),
    ],
)
def test_data_gap_follows_the_truth_table(course, expected):
    assert_same(met("DATA_GAP", course), expected)


@pytest.mark.parametrize(
    ("ratings", "expected"), [([38], 1), ([NA, 38], 1), ([38, 38], 0), ([NA], 0), ([], 0)]
)
def test_one_rating_follows_the_truth_table(ratings, expected):
    assert_same(met("ONE_RATING", ratings), expected)


AREAS = {"goal": (6.0, 1.0), "bond": (8.0, 2.0)}


@pytest.mark.parametrize(
    ("goal", "bond", "area"),
    [
        pytest.param(5.5, 6.0, "bond", id="one SD below against half an SD"),
        pytest.param(4.5, 6.0, "goal", id="one and a half against one"),
        pytest.param(5.0, 6.0, "goal", id="a tie goes to the first"),
        pytest.param(NA, 6.0, "", id="an area not scored"),
    ],
)
def test_lowest_facet_is_the_one_furthest_below_its_norm(goal, bond, area):
    parts = {"goal": np.array([6.0, goal]), "bond": np.array([8.0, bond])}
    state = observe(visits([38, 38], parts=parts), form(areas=AREAS), every=False)
    assert state.lowest_area[0] == area
    assert_same(get_rule("LOWEST_FACET").judge(state)[0], 1 if area else NA)


def test_lowest_facet_is_not_shown_without_norms():
    parts = {"goal": np.array([6.0]), "bond": np.array([8.0])}
    assert_same(met("LOWEST_FACET", [38], SRS, parts=parts), NA)


def test_a_rating_after_skipped_sessions_counts_them():
    # Sessions 2 to 4 were attended without a form: the rating of session 1 is history, that of 5 is not.
    every = risk_arrays(visits([30, 34], sessions=[1, 5]), SRS, as_of="every")
    assert every.state.session.tolist() == [1, 5]
    assert every.state.age.tolist() == [0, 0]


def test_a_session_with_a_blank_form_after_a_gap_makes_the_last_rating_old():
    assert_same(met("LOW_LEVEL", [30, NA], sessions=[1, 3]), 1)
    assert_same(met("LOW_LEVEL", [30, NA], sessions=[1, 4]), NA)


KINDS = [*RULES.values(), *PROMPTS.values()]
EXAMPLES = [
    visits([38, 37, 34, NA, 30, 40, 40, NA, NA, NA]),
    visits([38, NS, 37, "cancel_clinic", 34]),
    visits([]),
    visits([NA]),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_rule_says_why_and_where_it_comes_from(kind):
    assert kind.text
    assert kind.source
    assert kind.judge.__doc__
    assert ";" not in kind.text
    assert not re.search(r"will drop|non-compliant|resistant|probab|likely|odds", kind.text, re.IGNORECASE)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_points_and_names_what_it_looks_at(rule):
    assert rule.points in {1, 2}
    assert rule.basis in {"ratings", "attendance", "imported flag"}
    assert bool(rule.needs) == rule.core


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("instrument", [SRS, BARE, form(reference=REFERENCE)], ids=["srs", "bare", "norms"])
@pytest.mark.parametrize("example", EXAMPLES, ids=["ratings", "attendance", "no row", "no rating"])
def test_every_rule_answers_yes_no_or_not_evaluable_and_changes_nothing(kind, instrument, example):
    state = observe(example, instrument, every=True)
    names = [each.name for each in dataclasses.fields(state) if each.name != "instrument"]
    before = {name: getattr(state, name).copy() for name in names}
    answer = kind.judge(state)
    assert answer.shape == state.last.shape
    assert set(answer[~np.isnan(answer)]) <= {0, 1}
    for name in names:
        np.testing.assert_array_equal(getattr(state, name), before[name])


def test_the_eight_rules_and_their_points():
    assert {name: rule.points for name, rule in RULES.items()} == {
        "VERY_LOW": 2,
        "LOW_LEVEL": 1,
        "PERSISTENT_LOW": 1,
        "RELIABLE_DROP": 2,
        "STEADY_DECLINE": 1,
        "NO_SHOW_EARLY": 2,
        "NO_SHOW_RECENT": 1,
        "NOT_ON_TRACK": 1,
    }
    assert [name for name, rule in RULES.items() if rule.core] == [
        "LOW_LEVEL",
        "RELIABLE_DROP",
        "STEADY_DECLINE",
    ]


def test_an_unknown_rule_is_answered_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        get_rule("LOW_LEVL")
    known = (
        "CEILING, CONFIRM_STATUS, DATA_GAP, LOWEST_FACET, LOW_LEVEL, NOT_ON_TRACK, NO_NEXT_APPOINTMENT, "
        "NO_SHOW_EARLY, NO_SHOW_RECENT, ONE_RATING, PERSISTENT_LOW, RELIABLE_DROP, SRS_DROP_1PT, "
        "STEADY_DECLINE, VERY_LOW"
    )
    assert (
        str(caught.value) == f"error: unknown rule 'LOW_LEVL'\nhint: did you mean 'LOW_LEVEL'? known: {known}"
    )


def test_a_new_rule_needs_nothing_but_its_function(monkeypatch):
    fresh = Rule(
        name="TOP",
        judge=lambda state: (state.last == state.instrument.max).astype(float),
        points=1,
        source="invented for this test",
        text="top of the scale ({last})",
    )
    monkeypatch.setitem(RULES, "TOP", fresh)
    verdicts = risk_arrays(visits([40.0]), SRS)
    assert verdicts.points.tolist() == [1]
    assert risk_texts(verdicts)["reasons"].tolist() == ["TOP: top of the scale (40)"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(34.0, "34"), (34.5, "34.5"), (2.8333333, "2.83"), (100.0, "100"), (0.0, "0"), (-3.5, "-3.5"), (NA, "")],
)
def test_numbers_are_printed_short(value, text):
    assert numbers(np.array([value])).tolist() == [text]


def test_numbers_far_apart_are_printed_alike():
    assert numbers(np.array([0.5, 1e6])).tolist() == ["0.5", "1000000"]


def many(n_cases, ratings):
    case = np.repeat(np.arange(n_cases), len(ratings))
    session = np.tile(np.arange(1, len(ratings) + 1), n_cases)
    return visits_of(Ratings(case=case, session=session, rating=np.tile(ratings, n_cases)), n_cases=n_cases)


def spread(visits):
    return successive_spread(Courses(values=visits.rating, session=visits.session, starts=visits.starts))


def test_local_sem_is_half_the_mean_squared_successive_difference():
    # Squared differences 4, 1, 1: mean 2, half 1.
    assert local_sem(spread(many(50, [30.0, 32.0, 31.0, 30.0]))) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("n_cases", "ratings"),
    [
        pytest.param(49, [30.0, 32.0, 31.0, 30.0, 31.0], id="49 cases"),
        pytest.param(50, [30.0, 32.0, 31.0], id="100 pairs"),
        pytest.param(60, [30.0, NA, 31.0, NA, 32.0, NA, 30.0], id="no neighbours"),
        pytest.param(0, [30.0], id="no case"),
    ],
)
def test_local_sem_is_not_made_up_from_little(n_cases, ratings):
    assert local_sem(spread(many(n_cases, ratings))) is None


def test_local_sem_never_pairs_two_cases():
    # Session numbers run on from case to case, so that only the case tells the last from the first.
    case = np.repeat(np.arange(60), 4)
    ratings = Ratings(case=case, session=np.arange(1, 241), rating=case.astype(float))
    assert local_sem(spread(visits_of(ratings, n_cases=60))) == 0.0
