"""DRF-1 as a whole: the worked vectors, levels, triage order, texts, and that no verdict looks ahead."""

import dataclasses
import itertools
import subprocess
import sys
from datetime import date
from math import isnan, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps_helpers import calls_of

from alliance.claims import Cutoff, Norm
from alliance.dropout import (
    CAVEAT,
    LEVELS,
    RULES,
    Appointments,
    Instrument,
    Ratings,
    instrument_of,
    risk,
    risk_arrays,
    risk_columns,
    risk_texts,
    visits_of,
)
from alliance.dropout.visits import CLIENT, OTHER_SIDE
from alliance.errors import UsageError
from alliance.frames import ATTENDANCE, RISK
from alliance.scale import load_scale

NA = np.nan
NS = "no_show"
CUTOFF = Cutoff(score="total", op="<=", value=36.0, label="invented for tests")
SRS = dataclasses.replace(
    load_scale("wai-sr"), id="srs", n_items=4, min=0.0, max=10.0, cutoffs=(CUTOFF,), norms={}
)
TOTAL = dataclasses.replace(SRS.total, method="sum", items=(1, 2, 3, 4))
SRS = dataclasses.replace(SRS, formulas={"total": TOTAL})
BARE = dataclasses.replace(SRS, id="bare", cutoffs=())
FORM = Instrument(id="srs", max=40, cutoff=36, sem=1.2)


def scores(courses, *, rater="client"):
    """Scores of cases: each course a list of totals of sessions 1, 2, …; None = a session without a form."""
    rows = [
        (case, session, total)
        for case, course in courses.items()
        for session, total in enumerate(course, start=1)
        if total is not None
    ]
    frame = pd.DataFrame(rows, columns=["case", "session", "total"])
    dates = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[s]")
    return frame.assign(date=dates, therapist="", rater=rater, n_missing=0, note="")


def split(course):
    """Return the ratings of a course and its attendance, which is None if nothing was missed."""
    names = [each if isinstance(each, str) else "attended" for each in course]
    ratings = [float(each) for each in course if not isinstance(each, str)]
    return ratings, names if set(names) != {"attended"} else None


def attendance(names, case="a"):
    count = itertools.count(1)
    session = [float(next(count)) if name == "attended" else NA for name in names]
    dates = pd.Series(pd.NaT, index=range(len(names)), dtype="datetime64[s]")
    return pd.DataFrame({"case": case, "session": session, "date": dates, "attendance": names})


def judge(course, scale=SRS, **options):
    ratings, names = split(course)
    booked = None if names is None else attendance(names)
    return risk(scores({"a": ratings}), scale, appointments=booked, **options).iloc[0]


def names_in(text):
    return [part.split(":")[0] for part in text.split("; ") if part]


CORE = ["LOW_LEVEL", "RELIABLE_DROP", "STEADY_DECLINE"]
TWO, THREE = ["RELIABLE_DROP", "STEADY_DECLINE"], ["STEADY_DECLINE"]
DROP = ["RELIABLE_DROP", "STEADY_DECLINE"]
STEADY_COURSE = [39, 38.5, 39, 38.8, 39, NS, 38.9]


VECTORS = [
    ([37.5], {}, ("NO_FLAG", 0, [], ["ONE_RATING"], TWO)),
    ([36.0], {}, ("WATCH", 1, ["LOW_LEVEL"], ["ONE_RATING"], TWO)),
    ([38, 37, 34], {}, ("REVIEW", 4, ["LOW_LEVEL", *DROP], ["SRS_DROP_1PT"], [])),
    ([38, 37, 34], {"reference": {3: 34.5}}, ("REVIEW", 5, ["VERY_LOW", *DROP], ["SRS_DROP_1PT"], [])),
    ([35, 35.5], {}, ("REVIEW", 2, ["LOW_LEVEL", "PERSISTENT_LOW"], [], THREE)),
    ([38, NS, 38.2], {}, ("REVIEW", 2, ["NO_SHOW_EARLY"], [], THREE)),
    (STEADY_COURSE, {}, ("WATCH", 1, ["NO_SHOW_RECENT"], [], [])),
    ([38, 37.0], {}, ("NO_FLAG", 0, [], ["SRS_DROP_1PT"], THREE)),
    ([40, 40, 40], {}, ("NO_FLAG", 0, [], ["CEILING"], [])),
    ([40, 40, 40, NA], {}, ("NO_FLAG", 0, [], ["CEILING", "DATA_GAP"], [])),
    ([NA, NA, NA], {}, ("INSUFFICIENT_DATA", 0, [], ["DATA_GAP"], CORE)),
    ([NA, NS], {}, ("REVIEW", 2, ["NO_SHOW_EARLY"], ["DATA_GAP"], CORE)),
    ([3.1, 2.9], {"sem": None}, ("INSUFFICIENT_DATA", 0, [], [], CORE)),
    ([3.1, 2.9], {"sem": None, "reference": {1: 3.0, 2: 3.1}}, ("REVIEW", 2, ["VERY_LOW"], [], TWO)),
]


@pytest.mark.parametrize(("course", "options", "expected"), VECTORS)
@pytest.mark.parametrize("as_of", ["last", "every"])
def test_worked_vectors(course, options, expected, as_of):
    ratings, names = split(course)
    booked = None if names is None else attendance(names)
    scale = BARE if "sem" in options else SRS
    known = {"sem": 1.2, "as_of": as_of} | options
    row = risk(scores({"a": ratings}), scale, appointments=booked, **known).iloc[-1]
    texts = [names_in(row[name]) for name in ("reasons", "prompts", "not_evaluable")]
    assert (row["level"], row["points"], *texts) == expected


def test_a_verdict_without_usable_ratings_says_what_it_stands_on():
    assert judge([NA, NS], sem=1.2)["basis"] == "attendance only"
    assert judge([38, NS], sem=1.2)["basis"] == "ratings"
    assert judge([NA], sem=1.2)["basis"] == ""
    assert judge([NA, NS], sem=1.2, not_on_track=[True])["basis"] == "attendance and imported flag only"


def test_one_rating_that_nothing_can_judge_is_not_enough_data():
    row = judge([2.0], BARE, sem=1.2)
    assert row["level"] == "INSUFFICIENT_DATA"
    assert row["not_evaluable"] == (
        "LOW_LEVEL: needs a cut-off or local norms; "
        "RELIABLE_DROP: needs a standard error of measurement and two ratings; "
        "STEADY_DECLINE: needs a standard error of measurement and three ratings"
    )


@pytest.mark.parametrize(
    ("course", "reason"),
    [
        pytest.param([NA, NA], "no client rating", id="never rated"),
        pytest.param([38, NA, NA, NA], "latest rating is 3 sessions old", id="stale"),
    ],
)
def test_not_enough_data_says_why(course, reason):
    row = judge(course, sem=1.2)
    assert row["level"] == "INSUFFICIENT_DATA"
    assert row["not_evaluable"] == "; ".join(f"{name}: {reason}" for name in CORE)


def test_reasons_are_words_with_their_numbers():
    assert judge([38, 37, 34], sem=1.2)["reasons"] == (
        "LOW_LEVEL: latest rating is at or below 36, the cut-off of this form (34); "
        "RELIABLE_DROP: latest rating fell more than measurement error can explain (38, 37 → 34); "
        "STEADY_DECLINE: three ratings in a row went down (38, 37 → 34)"
    )


FELL = "RELIABLE_DROP: latest rating fell more than measurement error can explain"
LOW = "LOW_LEVEL: latest rating is at or below 36, the cut-off of this form"
VERY_LOW = "VERY_LOW: latest rating is among the lowest 16 % at session 2"


@pytest.mark.parametrize(
    ("course", "options", "reasons"),
    [
        (
            [38, 34],
            {"inclusive": False},
            f"LOW_LEVEL: latest rating is below 36, the cut-off of this form (34); {FELL} (38 → 34)",
        ),
        ([40, 39, 38.25, 39, 36.4], {}, f"{FELL} (…, 38.25, 39 → 36.4)"),
        (
            [35, 35.5],
            {},
            f"{LOW} (35.5); PERSISTENT_LOW: the rating before was at or below 36 as well (35 → 35.5)",
        ),
        ([38, 34.2, NA], {"reference": {2: 34.5}}, f"{VERY_LOW} (34.2, limit 34.5); {FELL} (38 → 34.2)"),
        (
            [38, NS, 38],
            {},
            "NO_SHOW_EARLY: an appointment missed without notice before the third attended session",
        ),
        (
            [38, 38, 38, NS],
            {},
            "NO_SHOW_RECENT: one of the latest three appointments was missed without notice",
        ),
    ],
)
def test_each_reason_in_words(course, options, reasons):
    assert judge(course, sem=1.2, **options)["reasons"] == reasons


def test_prompts_in_words():
    assert judge([38, 36.5], sem=1.2)["prompts"] == (
        "SRS_DROP_1PT: SRS practice is to ask about a fall of 1 point or more (38 → 36.5)"
    )
    assert judge([40, 40, NA], sem=1.2)["prompts"] == (
        "CEILING: the latest two ratings are at the top of the scale and cannot show a rise "
        "(no sign of risk); "
        "DATA_GAP: no rating for session 3"
    )


def test_the_edge_of_the_cutoff_can_be_chosen():
    assert judge([36.0])["level"] == "WATCH"
    assert judge([36.0], inclusive=False)["level"] == "NO_FLAG"


def test_the_columns_hold_what_was_known():
    row = judge([38, 36.5, NA], sem=1.2)
    assert (row["session"], row["last_rating"], row["n_ratings"], row["rating_age"]) == (3, 36.5, 2, 1)
    assert row["percentile"] == 50
    row = judge([NA], sem=1.2)
    assert isnan(row["last_rating"])
    assert isnan(row["percentile"])
    assert row["rating_age"] is pd.NA


def test_the_frame_has_the_agreed_columns():
    assert list(risk(scores({"a": [38]}), SRS).columns) == list(RISK)
    assert list(risk(scores({"a": [38]}), SRS, as_of="every").columns) == list(RISK)


def test_percentiles_are_mid_ranks_among_the_latest_ratings():
    table = risk(scores({"a": [10, 38], "b": [38], "c": [37], "d": [NA], "e": [40, NA]}), SRS)
    place = table.set_index("case")["percentile"]
    # Of 37, 38, 38, 40: half of the first quarter, the middle of the next two, half of the last.
    assert place.drop("d").to_dict() == {"a": 50.0, "b": 50.0, "c": 12.5, "e": 87.5}
    assert isnan(place["d"])


def test_triage_goes_by_level_points_percentile_sessions_and_then_as_given():
    courses = {
        "unflagged": [38.0],
        "unknown": [NA],
        "watch, same, longer": [38, 36.0],
        "watch, same, shorter": [36.0],
        "watch, as the one before": [36.0],
        "watch, lower": [35.9],
        "review, 2 points": [35, 35.5],
        "review, 4 points": [38, 37, 34],
        "review, 2 points, higher": [35, 35.6],
        "unflagged, lower": [37],
    }
    expected = [
        "review, 4 points",
        "review, 2 points",
        "review, 2 points, higher",
        "watch, lower",
        "watch, same, shorter",
        "watch, as the one before",
        "watch, same, longer",
        "unknown",
        "unflagged, lower",
        "unflagged",
    ]
    assert risk(scores(courses), SRS, sem=1.2)["case"].tolist() == expected


def test_a_case_without_a_percentile_comes_after_those_with_one():
    booked = pd.concat(
        [attendance([NS], case="x"), attendance(["attended", NS], case="y")], ignore_index=True
    )
    table = risk(scores({"y": [39.0]}), SRS, appointments=booked, sem=1.2)
    assert table["case"].tolist() == ["y", "x"]
    assert table["points"].tolist() == [2, 2]


def test_every_has_one_row_per_appointment_in_order_and_no_percentile():
    table = risk(scores({"b": [38, 34], "a": [NA]}), SRS, sem=1.2, as_of="every")
    assert table[["case", "session", "level"]].to_numpy().tolist() == [
        ["b", 1, "NO_FLAG"],
        ["b", 2, "REVIEW"],
        ["a", 1, "INSUFFICIENT_DATA"],
    ]
    assert table["percentile"].isna().all()


@pytest.mark.parametrize(
    ("rater", "perspective", "level"),
    [
        pytest.param("client", "client", "WATCH", id="client"),
        pytest.param("", "client", "WATCH", id="nobody named on a client form"),
        pytest.param("", "therapist", "INSUFFICIENT_DATA", id="nobody named on a therapist form"),
        pytest.param("therapist", "client", "INSUFFICIENT_DATA", id="therapist"),
        pytest.param("observer", "client", "INSUFFICIENT_DATA", id="observer"),
        pytest.param("partner-a", "client", "INSUFFICIENT_DATA", id="partner"),
    ],
)
def test_only_one_clients_ratings_are_judged(rater, perspective, level):
    scale = dataclasses.replace(SRS, perspective=perspective)
    assert risk(scores({"a": [36]}, rater=rater), scale)["level"].tolist() == [level]


def test_a_case_rated_by_somebody_else_as_well_is_not_judged_from_there_on():
    partner = scores({"a": [None, 30]}, rater="partner-b")
    table = risk(pd.concat([scores({"a": [36, 30, 30]}), partner]), SRS, sem=1.2, as_of="every")
    assert table["level"].tolist() == ["WATCH", "INSUFFICIENT_DATA", "INSUFFICIENT_DATA"]
    why = "rated by others than one client, a therapist or an observer"
    assert table["not_evaluable"].iloc[-1] == "; ".join(f"{name}: {why}" for name in CORE)


def test_the_therapists_forms_change_no_rating():
    both = pd.concat([scores({"a": [38, 36]}, rater="therapist"), scores({"a": [38, 37]})])
    row = risk(both, SRS, sem=1.2).iloc[0]
    assert (row["last_rating"], row["n_ratings"], row["session"]) == (37, 2, 2)


def test_flags_of_an_outcome_system_are_taken_from_the_latest_session():
    table = scores({"a": [38, 38]})
    assert risk(table, SRS, not_on_track=[False, True])["reasons"].tolist() == [
        "NOT_ON_TRACK: the outcome measure reports not on track"
    ]
    assert risk(table, SRS, not_on_track=pd.Series([True, None]))["points"].tolist() == [0]
    assert risk(table, SRS, not_on_track=np.array([0.0, 1.0]))["points"].tolist() == [1]


BOOKED = [("2026-01-05", "attended"), ("2026-01-12", "attended")]


@pytest.mark.parametrize(
    ("more", "today", "shown"),
    [
        pytest.param([], date(2026, 1, 27), True, id="15 days"),
        pytest.param([], date(2026, 1, 26), False, id="14 days"),
        pytest.param([("2026-01-30", "scheduled")], date(2026, 1, 27), False, id="one booked"),
        pytest.param([("2026-01-27", "scheduled")], date(2026, 1, 27), False, id="one booked today"),
        pytest.param([("2026-01-20", "scheduled")], date(2026, 1, 27), True, id="one booked has passed"),
        pytest.param([(None, "scheduled")], date(2026, 1, 27), False, id="one booked without a date"),
        pytest.param([("2026-01-19", NS)], date(2026, 1, 27), True, id="missed since"),
        pytest.param([], None, False, id="today not given"),
    ],
)
def test_no_next_appointment_is_said_after_two_weeks(more, today, shown):
    day, names = zip(*BOOKED, *more, strict=True)
    booked = attendance(list(names)).assign(date=pd.to_datetime(pd.Series(day)))
    row = risk(scores({"a": [38, 38]}), SRS, appointments=booked, today=today).iloc[0]
    assert ("NO_NEXT_APPOINTMENT: no next appointment on record" in row["prompts"]) == shown


def test_no_next_appointment_needs_appointments_with_dates():
    assert "NO_NEXT" not in judge([38], today=date(2026, 1, 27))["prompts"]
    assert "NO_NEXT" not in judge([38, NS], today=date(2026, 1, 27))["prompts"]


def test_the_lowest_area_is_named_where_norms_are_published():
    wai = load_scale("wai-sr")
    norms = {name: Norm(mean=4.0, sd=0.5, reliability=0.8) for name in wai.subscales}
    table = scores({"a": [4.0]}).assign(goal=3.5, task=4.1, bond=4.4)
    row = risk(table, dataclasses.replace(wai, norms=norms), sem=0.3).iloc[0]
    assert "LOWEST_FACET: lowest area: goal" in row["prompts"]
    row = risk(table, dataclasses.replace(wai, norms=norms | {"bond": Norm(mean=4.0)}), sem=0.3).iloc[0]
    assert "LOWEST_FACET" not in row["prompts"]


def test_an_instrument_takes_only_what_is_published():
    norm = Norm(sd=3.0, reliability=0.84)
    known = instrument_of(dataclasses.replace(SRS, norms={"total": norm}))
    assert (known.id, known.max, known.cutoff, known.inclusive) == ("srs", 40.0, 36.0, True)
    assert known.sem == pytest.approx(1.2)
    assert instrument_of(dataclasses.replace(SRS, norms={"total": norm}), sem=2.0).sem == 2.0
    remembered = dataclasses.replace(norm, status="memory")
    assert instrument_of(dataclasses.replace(SRS, norms={"total": remembered})).sem is None
    assert instrument_of(dataclasses.replace(SRS, norms={"total": Norm(sd=3.0)})).sem is None


@pytest.mark.parametrize(
    ("op", "cutoff", "inclusive"),
    [("<=", 36.0, True), ("<", 36.0, False), (">=", None, True), (">", None, True)],
)
def test_a_cutoff_counts_only_if_low_scores_lie_beyond_it(op, cutoff, inclusive):
    known = instrument_of(dataclasses.replace(SRS, cutoffs=(dataclasses.replace(CUTOFF, op=op),)))
    assert (known.cutoff, known.inclusive) == (cutoff, inclusive)


def test_mistakes_of_the_caller_are_named():
    table = scores({"a": [38]})
    cases = [
        ({"as_of": "now"}, "as_of must be 'last' or 'every', got 'now'"),
        (
            {"as_of": "every", "today": date(2026, 1, 1)},
            "today must be left out with as_of 'every', got 2026-01-01",
        ),
        ({"sem": 0.0}, "sem must be a positive number, got 0"),
        ({"reference": {1: NA}}, "reference must hold finite numbers, got nan for session 1"),
        ({"not_on_track": [1, 0]}, "not_on_track must have one entry per row of scores (1), got 2"),
    ]
    for options, message in cases:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared below
            risk(table, SRS, **options)
        assert str(caught.value) == message
    twice = pd.concat([table, table.assign(rater="")])
    with pytest.raises(
        ValueError, match=r"^ratings must hold one client form for each case and session, got more$"
    ):
        risk(twice, SRS)


@pytest.mark.parametrize("change", [{"construct": "outcome"}, {"direction": "higher_is_worse"}])
def test_a_form_that_does_not_measure_the_alliance_is_refused(change):
    scale = dataclasses.replace(SRS, **change)
    with pytest.raises(UsageError) as caught:
        risk(scores({"a": [38]}), scale)
    assert str(caught.value) == (
        f"error: 'srs' measures {scale.construct}: the dropout rules do not read its scores\n"
        "hint: judge an alliance form, such as wai-sr or srs"
    )


@pytest.mark.parametrize("as_of", ["last", "every"])
@pytest.mark.parametrize("booked", [None, attendance([])], ids=["no appointments", "an empty list"])
def test_no_forms_give_no_rows(as_of, booked):
    table = risk(scores({}), SRS, appointments=booked, as_of=as_of, sem=1.2)
    assert list(table.columns) == list(RISK)
    assert len(table) == 0


def test_a_case_with_bookings_only_is_listed():
    table = risk(scores({}), SRS, appointments=attendance(["scheduled"], case="new"))
    assert table[["case", "session", "level"]].to_numpy().tolist() == [["new", 0, "INSUFFICIENT_DATA"]]


def test_the_caveat_is_there_for_every_list():
    assert CAVEAT == "NO_FLAG does not mean low risk. Most clients flagged do not drop out."


def test_importing_the_rules_is_light():
    code = "import sys, alliance.dropout; print(sorted({'pandas', 'scipy', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# An attended session (rated, blank, or seen only by the therapist's form or by no form), or an attendance.
TENTHS = st.integers(300, 400).map(lambda tenths: tenths / 10)
RATED = st.one_of(st.sampled_from([33.0, 34.5, 36.0, 37.0, 40.0]), TENTHS)
EVENT = st.one_of(RATED, RATED, st.sampled_from(["blank", "therapist", "unseen", *ATTENDANCE[1:5]]))
COURSE = st.lists(EVENT, max_size=9)
STYLES = st.sampled_from(["forms only", "attended numbered", "all numbered", "dated", "neither"])


def arrays(courses, style):
    """The forms and appointments of cases, in one of the ways in which files number them."""
    forms, booked = [], []
    for case, course in enumerate(courses):
        seen = held = 0
        for place, event in enumerate(course, start=1):
            missed = event in ATTENDANCE
            held += not missed
            with_form = not missed and event != "unseen"
            seen += with_form
            number = {"all numbered": place, "dated": seen, "neither": held}.get(style, held)
            if with_form:
                total = event if isinstance(event, float) else NA
                forms.append((case, number, total, OTHER_SIDE if event == "therapist" else CLIENT, place))
            own = number if style == "all numbered" or (style == "attended numbered" and not missed) else NA
            booked.append((case, own, place, ATTENDANCE.index(event) if missed else 0))
    return columns_of(forms, booked, style)


def columns_of(forms, booked, style):
    case, number, total, side, day = np.array(forms, float).reshape(-1, 5).T
    dates = day.astype(int).astype("datetime64[D]") if style == "dated" else None
    ratings = Ratings(case=case.astype(int), session=number.astype(int), rating=total, side=side, date=dates)
    case, number, day, status = np.array(booked, float).reshape(-1, 4).T
    dates = day.astype(int).astype("datetime64[D]")
    if style != "dated":
        dates = np.full(len(day), "NaT", "datetime64[D]")
    appointments = Appointments(case=case.astype(int), session=number, date=dates, status=status.astype(int))
    return ratings, None if style == "forms only" else appointments


def verdicts(courses, style, as_of):
    visits = visits_of(*arrays(courses, style), n_cases=len(courses))
    return risk_arrays(visits, REFERENCED, as_of=as_of)


REFERENCED = dataclasses.replace(FORM, reference={2: 34.5, 4: 33.0})


APART = {"case", "percentile"}


def told(found, rows):
    """All that is said of the entries at `rows`, one tuple each; the percentile apart, None = nothing."""
    columns = risk_columns(found, rows)
    kept = [np.where(pd.isna(values), None, values) for name, values in columns.items() if name not in APART]
    return list(zip(*kept, strict=True))


@settings(max_examples=60, deadline=None)
@given(course=COURSE, style=STYLES)
def test_no_verdict_changes_when_later_appointments_arrive(course, style):
    # "unseen" leaves no row of its own where there are only forms; "neither" numbers the unseen by rank.
    every = verdicts([course], style, "every")
    whole = told(every, np.arange(len(every.level)))
    has_row = [event not in {*ATTENDANCE, "unseen"} if style == "forms only" else True for event in course]
    cuts = [place for place, there in enumerate(has_row, start=1) if there]
    assert len(whole) == len(cuts)
    for row, place in enumerate(cuts):
        assert told(verdicts([course[:place]], style, "last"), np.array([0])) == [whole[row]]


@settings(max_examples=30, deadline=None)
@given(courses=st.lists(COURSE, min_size=1, max_size=5), style=STYLES)
def test_a_case_scores_the_same_whatever_stands_beside_it(courses, style):
    together = told(verdicts(courses, style, "last"), np.arange(len(courses)))
    for case, course in enumerate(courses):
        assert told(verdicts([course], style, "last"), np.array([0])) == [together[case]]


def by_hand(course, form):
    """DRF-1 written down once more, for one case, without arrays: level, points, rules that fired."""
    obs, t = [], 0
    for event in course:
        t += event not in ATTENDANCE
        if isinstance(event, float):
            obs.append((t, event))
    usable = bool(obs) and t - obs[-1][0] <= 2
    fired = (
        [*level_by_hand(obs, form), *change_by_hand([rating for _, rating in obs], form)] if usable else []
    )
    if NS in [event for event in course if event != "cancel_clinic"][-3:]:
        fired.append("NO_SHOW_EARLY" if t < 3 else "NO_SHOW_RECENT")
    points = sum({"VERY_LOW": 2, "RELIABLE_DROP": 2, "NO_SHOW_EARLY": 2}.get(name, 1) for name in fired)
    if not fired and not usable:
        return "INSUFFICIENT_DATA", 0, []
    return {0: "NO_FLAG", 1: "WATCH"}.get(points, "REVIEW"), points, fired


def level_by_hand(obs, form):
    session, last = obs[-1]
    p16 = form.reference.get(session)
    if p16 is not None and last <= p16 + 1e-9:
        return ["VERY_LOW"]
    if last > form.cutoff + 1e-9:
        return []
    again = p16 is None and len(obs) > 1 and obs[-2][1] <= form.cutoff + 1e-9
    return ["LOW_LEVEL", "PERSISTENT_LOW"] if again else ["LOW_LEVEL"]


def change_by_hand(ratings, form):
    *before, last = ratings
    fired = []
    if before and last - sum(before) / len(before) <= -1.96 * form.sem * sqrt(1 + 1 / len(before)) + 1e-9:
        fired.append("RELIABLE_DROP")
    if len(before) > 1 and before[-2] > before[-1] > last and before[-2] - last >= form.sem - 1e-9:
        fired.append("STEADY_DECLINE")
    return fired


@settings(max_examples=150, deadline=None)
@given(courses=st.lists(COURSE, max_size=6), style=st.sampled_from(["attended numbered", "all numbered"]))
def test_drf1_agrees_with_itself_written_for_one_case(courses, style):
    found = verdicts(courses, style, "last")
    reasons = risk_texts(found)["reasons"]
    got = [
        (LEVELS[found.level[case]], found.points[case].item(), names_in(reasons[case]))
        for case in range(len(courses))
    ]
    assert got == [by_hand(course, REFERENCED) for course in courses]


def test_texts_are_made_for_the_rows_asked_for():
    found = verdicts([[38.0], [36.0], [30.0, 30.0]], "forms only", "last")
    texts = risk_texts(found, np.array([2, 0]))
    assert [names_in(text) for text in texts["reasons"]] == [["VERY_LOW"], []]
    assert [len(column) for column in texts.values()] == [2, 2, 2, 2]


def test_met_has_one_row_per_rule_in_their_order():
    found = verdicts([[38.0], [36.0]], "forms only", "last")
    assert list(found.rules) == list(RULES)
    assert found.met.shape == (8, 2)
    np.testing.assert_array_equal(found.met[list(RULES).index("LOW_LEVEL")], [0, 1])


def test_more_cases_are_no_more_steps():
    # A Python loop over cases would make calls in proportion to their number.
    def work(repeated):
        lengths = np.repeat(np.arange(1, 20), repeated)
        case = np.repeat(np.arange(len(lengths)), lengths)
        session = np.arange(len(case)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
        rating = np.round(np.random.default_rng(1).normal(36.6, 2.9, len(case)), 1)
        ratings = Ratings(case=case, session=session, rating=rating)
        return lambda: risk_arrays(visits_of(ratings, n_cases=len(lengths)), FORM)

    work(3)()
    assert calls_of(work(60)) < 3 * calls_of(work(3))
