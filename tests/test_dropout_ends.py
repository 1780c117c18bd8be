"""What counts as dropout: every definition by hand, what is presumed, and the life tables that follow."""

import csv
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_helpers import cohort_of_drawn

from alliance.dropout.ends.build import cohort_of, definitions_supported, kappa, require_ended
from alliance.dropout.ends.cohort import COMPETING, DROPOUT, ENDS, EXCLUDED, ONGOING, PLANNED
from alliance.dropout.ends.definitions import (
    DEFINITIONS,
    ends_of,
    get_definition,
    settings_of,
)
from alliance.dropout.ends.facts import NO_DAY, NOT_GIVEN, Facts
from alliance.dropout.ends.lifetable import (
    cumulative_incidence,
    life_table,
)
from alliance.dropout.ends.outcomes import Outcome
from alliance.dropout.ends.presumed import TO_CONFIRM, presumed, settle_presumed
from alliance.dropout.model.lifetable import incidence_of, life_table_of
from alliance.dropout.model.rows import rows_of
from alliance.errors import DataError, UsageError
from alliance.frames import END_REASONS, END_SOURCES, STATUSES, TREATMENTS
from alliance.scale import load_scale
from alliance.simulate.service import service, service_frames

NA = float("nan")
REFERENCE = Path(__file__).parent / "reference"
SRS = load_scale("srs")
ORS = load_scale("ors")

USUAL = {
    "status": "ended",
    "reason": "unknown",
    "source": "therapist",
    "planned": 10.0,
    "attended": 4,
    "attendance_known": True,
    "missed": 1.0,
    "missed_day": 100,
    "next_attended": NO_DAY,
    "observed_until": 200,
    "last_attended": 90,
    "median_gap": 7.0,
    "booked": 0.0,
}


def facts_of(*cases, improved=None):
    """Facts of some cases, each told as its differences from USUAL."""
    rows = [{**USUAL, **case} for case in cases]
    codes = {"status": STATUSES, "reason": END_REASONS, "source": END_SOURCES}
    columns = {
        name: [codes[name].index(row[name]) if row[name] else NOT_GIVEN for row in rows]
        if name in codes
        else [row[name] for row in rows]
        for name in USUAL
    }
    arrays = {name: np.array(values) for name, values in columns.items()}
    return Facts(**arrays, improved=None if improved is None else np.array(improved))


def told(definition, *cases, settings=None, improved=None):
    facts = facts_of(*cases, improved=improved)
    answer = get_definition(definition).judge(facts, settings_of(settings))
    return answer.dropout.tolist(), answer.why.tolist()


def one(definition, case, **more):
    dropout, why = told(definition, case, **more)
    return (None if np.isnan(dropout[0]) else dropout[0]), why[0]


def test_there_are_seven_definitions_each_with_words_needs_and_a_source():
    assert list(DEFINITIONS) == [
        "unilateral", "therapist", "missed_last", "lt_k", "incomplete", "no_rci", "median_split",
    ]  # fmt: skip
    assert all(each.words and each.note and each.source for each in DEFINITIONS.values())
    assert [each.id for each in DEFINITIONS.values() if each.warning] == ["no_rci", "median_split"]


@pytest.mark.parametrize(
    ("case", "dropout", "why"),
    [
        pytest.param({}, 1, "", id="missed, never seen again, the data reach far enough"),
        pytest.param({"missed": 0.0}, 0, "", id="the last one due was attended"),
        pytest.param({"missed": NA}, None, "no appointment is on record", id="nothing on record"),
        pytest.param(
            {"missed_day": NO_DAY}, None, "the appointment missed last has no date", id="no date, no grace"
        ),
        pytest.param({"next_attended": 101}, 0, "", id="back in another treatment the next day"),
        pytest.param({"next_attended": 130}, 0, "", id="back on the last day of grace"),
        pytest.param({"next_attended": 131}, 1, "", id="back a day too late"),
        pytest.param({"observed_until": 130}, 1, "", id="the data just reach"),
        pytest.param(
            {"observed_until": 129},
            None,
            "the data end within the grace period after the appointment missed last",
            id="the data end a day early",
        ),
        pytest.param(
            {"observed_until": NO_DAY},
            None,
            "the data end within the grace period after the appointment missed last",
            id="nobody says how far the data reach",
        ),
        pytest.param({"observed_until": 110, "next_attended": 105}, 0, "", id="back, though the data end"),
        pytest.param({"missed": 0.0, "observed_until": NO_DAY}, 0, "", id="attended last needs no reach"),
    ],
)
def test_missed_last_follows_the_truth_table(case, dropout, why):
    assert one("missed_last", case) == (dropout, why)


def test_the_grace_period_can_be_set():
    case = {"next_attended": 110}
    assert one("missed_last", case, settings={"grace_days": 9})[0] == 1
    assert one("missed_last", case, settings={"grace_days": 10})[0] == 0


@pytest.mark.parametrize(
    ("case", "dropout", "why"),
    [
        pytest.param({"reason": "client_unilateral", "missed": 0.0}, 1, "", id="the reason decides"),
        pytest.param({"reason": "mutual_planned"}, 0, "", id="agreed, whatever was missed"),
        pytest.param({"reason": "unknown"}, 1, "", id="unknown, missed last"),
        pytest.param({"reason": "unknown", "missed": 0.0}, 0, "", id="unknown, attended last"),
        pytest.param({"reason": ""}, 1, "", id="not given, missed last"),
        pytest.param(
            {"reason": "unknown", "missed": NA},
            None,
            "why the treatment ended is not known, and no appointment is on record",
            id="unknown, and no appointment",
        ),
        pytest.param({"reason": "client_unilateral", "source": "record"}, 1, "", id="whoever coded it"),
    ],
)
def test_unilateral_follows_the_truth_table(case, dropout, why):
    assert one("unilateral", case) == (dropout, why)


@pytest.mark.parametrize(
    ("case", "dropout", "why"),
    [
        pytest.param({"reason": "client_unilateral"}, 1, "", id="coded by the therapist"),
        pytest.param({"reason": "mutual_planned"}, 0, "", id="agreed"),
        pytest.param({"reason": "unknown"}, None, "why the treatment ended is not known", id="unknown"),
        pytest.param({"reason": ""}, None, "why the treatment ended is not known", id="not given"),
        pytest.param(
            {"reason": "client_unilateral", "source": "record"},
            None,
            "the end was not coded by the therapist",
            id="coded from the record",
        ),
        pytest.param(
            {"reason": "mutual_planned", "source": ""},
            None,
            "the end was not coded by the therapist",
            id="nobody says who coded it",
        ),
    ],
)
def test_therapist_follows_the_truth_table(case, dropout, why):
    assert one("therapist", case) == (dropout, why)


@pytest.mark.parametrize(
    ("case", "settings", "dropout", "why"),
    [
        pytest.param({"attended": 2}, None, 1, "", id="two of three"),
        pytest.param({"attended": 3}, None, 0, "", id="three are enough"),
        pytest.param({"attended": 0}, None, 1, "", id="never came"),
        pytest.param({"attended": 3}, {"k": 4}, 1, "", id="k is four"),
        pytest.param({"attended": 2, "reason": "mutual_planned"}, None, 1, "", id="a dose, not a choice"),
        pytest.param(
            {"attendance_known": False}, None, None, "no appointment is on record", id="attendance unknown"
        ),
    ],
)
def test_lt_k_follows_the_truth_table(case, settings, dropout, why):
    assert one("lt_k", case, settings=settings) == (dropout, why)


@pytest.mark.parametrize(
    ("case", "dropout", "why"),
    [
        pytest.param({"attended": 9}, 1, "", id="one short, reason unknown"),
        pytest.param({"attended": 10}, 0, "", id="all that were planned"),
        pytest.param({"attended": 11}, 0, "", id="more than planned"),
        pytest.param({"attended": 9, "reason": "mutual_planned"}, 0, "", id="short by agreement"),
        pytest.param({"attended": 9, "reason": "client_unilateral"}, 1, "", id="short by the client"),
        pytest.param({"attended": 9, "reason": ""}, 1, "", id="no reason counts as no agreement"),
        pytest.param({"planned": NA}, None, "the number of planned sessions is not known", id="no plan"),
        pytest.param({"planned": NA, "reason": "mutual_planned"}, 0, "", id="agreed needs no plan"),
    ],
)
def test_incomplete_follows_the_truth_table(case, dropout, why):
    assert one("incomplete", case) == (dropout, why)


def test_no_rci_is_dropout_without_reliable_improvement():
    assert told("no_rci", {}, {}, {}, improved=[0.0, 1.0, NA]) == (
        pytest.approx([1.0, 0.0, NA], nan_ok=True),
        ["", "", "fewer than two scores of the outcome measure"],
    )


def test_median_split_takes_the_median_over_what_it_splits():
    cases = [{"attended": n} for n in (2, 4, 6)]
    # Neither an ongoing treatment nor a competing end moves the median of 4.
    cases += [{"attended": 90, "status": "ongoing"}, {"attended": 80, "reason": "external"}]
    assert told("median_split", *cases)[0][:3] == [1, 0, 0]
    assert told("median_split", *cases[:2])[0] == [1, 0]


GENERAL = [
    pytest.param({"status": "ongoing", "reason": ""}, ONGOING, "", id="ongoing is censored"),
    pytest.param({"reason": "external", "attended": 1}, COMPETING, "", id="circumstances compete"),
    pytest.param({"reason": "therapist_ended", "attended": 1}, COMPETING, "", id="the therapist competes"),
    pytest.param(
        {"status": ""}, EXCLUDED, "whether the treatment has ended is not known", id="status not known"
    ),
]


@pytest.mark.parametrize("definition", list(DEFINITIONS))
@pytest.mark.parametrize(("case", "end", "why"), GENERAL)
def test_the_general_rules_hold_for_every_definition(definition, case, end, why):
    others = [{"reason": "client_unilateral"}, {"reason": "mutual_planned"}]
    facts = facts_of(case, *others, improved=[0.0, 0.0, 1.0])
    ends, whys = ends_of(get_definition(definition), facts, settings_of(None))
    assert (ends[0], whys[0]) == (end, why)


def test_a_competing_end_coded_by_anybody_competes():
    facts = facts_of({"reason": "external", "source": "client"}, {"reason": "mutual_planned"})
    assert ends_of(get_definition("therapist"), facts, settings_of(None))[0].tolist() == [COMPETING, PLANNED]


def test_what_cannot_be_told_is_excluded_with_its_reason():
    facts = facts_of({"missed": NA}, {"reason": "client_unilateral"}, {"missed": 0.0})
    ends, why = ends_of(get_definition("unilateral"), facts, settings_of(None))
    assert ends.tolist() == [EXCLUDED, DROPOUT, PLANNED]
    assert why.tolist() == ["why the treatment ended is not known, and no appointment is on record", "", ""]


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        pytest.param({"last_attended": 170}, 0, id="30 days are not more than 30"),
        pytest.param({"last_attended": 169}, 1, id="31 days"),
        pytest.param({"last_attended": 158, "median_gap": 14.0}, 0, id="three gaps of 14 days"),
        pytest.param({"last_attended": 157, "median_gap": 14.0}, 1, id="a day more than three gaps"),
        pytest.param({"last_attended": 169, "median_gap": NA}, 1, id="one session has no gap"),
        pytest.param({"booked": 1.0}, 0, id="something is booked"),
        pytest.param({"booked": NA}, None, id="bookings not known"),
        pytest.param({"booked": NA, "last_attended": 190}, 0, id="seen lately, whatever is booked"),
        pytest.param({"last_attended": NO_DAY}, None, id="no date"),
        pytest.param({"observed_until": NO_DAY}, None, id="no day of the data cut"),
        pytest.param({"last_attended": NO_DAY, "booked": 1.0}, 0, id="booked, whenever it was"),
        pytest.param({"status": "ended"}, 0, id="ended is not presumed"),
        pytest.param({"status": ""}, 0, id="status not known"),
    ],
)
def test_presumed_follows_the_truth_table(case, answer):
    found = presumed(facts_of({"status": "ongoing", "reason": "", **case}))[0]
    assert (None if np.isnan(found) else found) == answer


@pytest.mark.parametrize(
    ("policy", "ends", "why"),
    [
        ("exclude", [EXCLUDED, ONGOING, ONGOING, PLANNED], [TO_CONFIRM, "", "", ""]),
        ("dropout", [DROPOUT, ONGOING, ONGOING, PLANNED], ["", "", "", ""]),
        ("censor", [ONGOING, ONGOING, ONGOING, PLANNED], ["", "", "", ""]),
    ],
)
def test_presumed_treatments_are_settled_by_policy(policy, ends, why):
    end = np.array([ONGOING, ONGOING, ONGOING, PLANNED], dtype=np.int8)
    answers = np.array([1, 0, NA, 1])
    found, reasons = settle_presumed(end, np.full(4, "", dtype=object), answers, policy=policy)
    assert (found.tolist(), reasons.tolist()) == (ends, why)
    assert found.dtype == np.int8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"k": 0},
            "error: k must be a whole number of 1 or more, got 0\nhint: usual is 3",
        ),
        (
            {"grace_days": 2.5},
            "error: grace_days must be a whole number of 0 or more, got 2.5\nhint: usual is 30",
        ),
        (
            {"grace_days": -1},
            "error: grace_days must be a whole number of 0 or more, got -1\nhint: usual is 30",
        ),
        (
            {"k": True},
            "error: k must be a whole number of 1 or more, got True\nhint: usual is 3",
        ),
        (
            {"presumed": "drop"},
            "error: presumed is one of exclude, dropout, censor, got 'drop'\n"
            "hint: exclude leaves them out until their status is confirmed",
        ),
        (
            {"grace": 30},
            "error: unknown setting of a dropout definition 'grace'\n"
            "hint: did you mean 'grace_days'? known: grace_days, k, presumed",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UsageError) as caught:
        settings_of(settings)
    assert str(caught.value) == message


def test_a_grace_period_of_no_day_and_one_session_may_be_asked_for():
    assert settings_of({"grace_days": 0, "k": 1}) == {"k": 1, "grace_days": 0, "presumed": "exclude"}


def test_without_any_grace_a_return_on_the_next_day_comes_too_late():
    case = {"missed": 1.0, "missed_day": 100, "next_attended": 101, "observed_until": 100}
    assert one("missed_last", case, settings={"grace_days": 0})[0] == 1
    assert one("missed_last", case, settings={"grace_days": 1})[0] != 1


def test_every_definition_names_the_settings_that_it_uses():
    assert {name: each.uses for name, each in DEFINITIONS.items()} == {
        "unilateral": ("grace_days", "presumed"),
        "therapist": ("presumed",),
        "missed_last": ("grace_days", "presumed"),
        "lt_k": ("k", "presumed"),
        "incomplete": ("presumed",),
        "no_rci": ("outcome", "reliable_change", "reliable_change_source", "presumed"),
        "median_split": ("presumed",),
    }


def test_an_unknown_definition_is_answered_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        get_definition("unilateraly")
    assert str(caught.value) == (
        "error: unknown dropout definition 'unilateraly'\n"
        "hint: did you mean 'unilateral'? known: incomplete, lt_k, median_split, missed_last, no_rci, "
        "therapist, unilateral"
    )


@pytest.mark.parametrize(
    ("definition", "case", "lack"),
    [
        ("unilateral", {}, "no end has a reason (end_reason)"),
        ("therapist", {"reason": "external", "source": "record"}, "no end is coded by the therapist "
         "(end_reason_source)"),
        ("missed_last", {"attendance_known": False}, "no appointments on record"),
        ("lt_k", {"attendance_known": False}, "no appointments on record"),
        ("incomplete", {"planned": NA}, "no planned number of sessions (planned_sessions)"),
        ("no_rci", {}, "no outcome measure with a reliable-change value"),
    ],
)  # fmt: skip
def test_data_that_cannot_answer_are_refused_with_what_they_lack(definition, case, lack):
    with pytest.raises(DataError) as caught:
        ends_of(get_definition(definition), facts_of(case), settings_of(None))
    assert str(caught.value) == (
        f"error: the data cannot tell dropout by the definition '{definition}'\n"
        f"  {lack}\n"
        "hint: `alliance check` says which definitions they support"
    )


def treatments(*rows):
    usual = {
        **dict.fromkeys(TREATMENTS, ""),
        "start_date": pd.NaT,
        "planned_end_date": pd.NaT,
        "planned_sessions": pd.NA,
        "observed_until": "2026-06-30",
        "status": "ended",
        "end_reason": "unknown",
    }
    frame = pd.DataFrame([{**usual, "client": row["case"], **row} for row in rows])
    for name in ("start_date", "planned_end_date", "observed_until"):
        frame[name] = pd.to_datetime(frame[name])
    return frame.astype({"planned_sessions": "Int64"})


def scores(*rows, scale=SRS):
    usual = {
        "therapist": "",
        "rater": "client",
        "date": pd.NaT,
        "total": 36.0,
        **dict.fromkeys(scale.subscales, NA),
    }
    frame = pd.DataFrame([{**usual, **row} for row in rows])
    return frame.assign(date=pd.to_datetime(frame["date"]))


def appointments(*rows):
    frame = pd.DataFrame(rows, columns=["case", "session", "date", "attendance"])
    return frame.assign(
        session=frame["session"].astype("Int64"), date=pd.to_datetime(frame["date"]).astype("datetime64[s]")
    )


BOOK = appointments(
    ("A", 1, "2026-01-05", "attended"),
    ("A", None, "2026-01-12", "no_show"),
    ("B", 1, "2026-01-05", "attended"),
    ("B", None, "2026-01-12", "cancel_client_late"),
    ("B", None, "2026-01-19", "cancel_clinic"),
    ("C", 1, "2026-01-05", "attended"),
    ("C", None, "2026-01-12", "cancel_client"),
    ("C", None, "2026-02-20", "scheduled"),
    ("D", 1, "2026-01-05", "attended"),
    ("D", None, "2026-01-12", "cancel_clinic"),
    ("E", None, "2026-06-05", "no_show"),
)
FORMS = scores(
    {"case": "A", "session": 1, "date": "2026-01-05"}, {"case": "F", "session": 1, "date": "2026-01-05"}
)


def test_missed_last_looks_at_the_last_appointment_that_was_due():
    # D: only the clinic cancelled. E: missed 25 days before the data end. F: a form, and no appointment.
    table = treatments(*({"case": name} for name in "ABCDEF"))
    cohort = cohort_of(FORMS, SRS, treatments=table, appointments=BOOK, definition="missed_last")
    found = dict(zip(cohort.cases, zip(cohort.end.tolist(), cohort.why, strict=True), strict=True))
    assert found == {
        "A": (DROPOUT, ""),
        "B": (DROPOUT, ""),
        "C": (DROPOUT, ""),
        "D": (PLANNED, ""),
        "E": (EXCLUDED, "the data end within the grace period after the appointment missed last"),
        "F": (EXCLUDED, "no appointment is on record"),
    }


@pytest.mark.parametrize(
    ("back", "end"),
    [
        pytest.param("2026-02-11", PLANNED, id="the last day"),
        pytest.param("2026-02-12", DROPOUT, id="a day too late"),
        pytest.param("2026-01-13", PLANNED, id="the next day"),
        pytest.param("2026-01-12", DROPOUT, id="the day itself is not after it"),
    ],
)
def test_a_session_of_another_treatment_of_the_client_within_the_grace_period_is_a_return(back, end):
    book = appointments(
        ("X/1", 1, "2026-01-05", "attended"),
        ("X/1", None, "2026-01-12", "no_show"),
        ("X/2", 1, back, "attended"),
        ("Y", 1, "2026-01-20", "attended"),
    )
    table = treatments(
        {"case": "X/1", "client": "X"},
        {"case": "X/2", "client": "X", "status": "ongoing", "end_reason": ""},
        {"case": "Y"},
    )
    cohort = cohort_of(
        FORMS.iloc[:0],
        SRS,
        treatments=table,
        appointments=book,
        definition="missed_last",
        settings={"presumed": "censor"},
    )
    assert dict(zip(cohort.cases, cohort.end.tolist(), strict=True)) == {
        "X/1": end,
        "X/2": ONGOING,
        "Y": PLANNED,
    }
    assert cohort.client.tolist() == [0, 0, 1]


def test_without_a_day_of_the_data_cut_the_latest_date_in_the_data_stands_for_it():
    table = treatments({"case": "A", "observed_until": pd.NaT}, {"case": "E", "observed_until": pd.NaT})
    cohort = cohort_of(FORMS.iloc[:1], SRS, treatments=table, appointments=BOOK, definition="missed_last")
    found = dict(zip(cohort.cases, cohort.end.tolist(), strict=True))
    assert (found["A"], found["E"]) == (DROPOUT, EXCLUDED)
    assert (
        definitions_supported(FORMS.iloc[:1], SRS, treatments=table, appointments=BOOK).observed_until
        == "2026-06-05"
    )


def test_a_case_that_nothing_says_the_end_of_is_excluded():
    table = treatments({"case": "A", "end_reason": "client_unilateral", "therapist": "T1"})
    forms = FORMS.assign(therapist=["T9", "T2"])
    cohort = cohort_of(forms, SRS, treatments=table)
    assert cohort.cases.tolist() == ["A", "F"]
    assert cohort.end.tolist() == [DROPOUT, EXCLUDED]
    assert cohort.why.tolist() == ["", "no row says how this treatment ended"]
    assert cohort.therapist.tolist() == [0, 1]
    assert cohort.client.tolist() == [0, 1]


def test_a_treatment_without_any_session_is_a_case_without_visits():
    table = treatments({"case": "A"}, {"case": "Z", "end_reason": "client_unilateral"})
    cohort = cohort_of(FORMS.iloc[:1], SRS, treatments=table, appointments=BOOK.iloc[:2])
    assert cohort.visits.lengths.tolist() == [2, 0]
    assert cohort.therapist.tolist() == [-1, -1]
    assert cohort.end.tolist() == [DROPOUT, DROPOUT]


def test_the_presumed_of_a_cohort_count_from_the_median_gap_of_their_sessions():
    # Gaps 7, 7, 21: median 7, so 30 days hold; gaps 21 and 21: 63 days hold.
    days = {
        "P": ["2026-03-01", "2026-03-08", "2026-03-15", "2026-04-05"],
        "Q": ["2026-03-08", "2026-03-29", "2026-04-19"],
    }
    book = appointments(*((case, None, day, "attended") for case, all_ in days.items() for day in all_))
    table = treatments(
        *(
            {"case": case, "status": "ongoing", "end_reason": "", "observed_until": "2026-06-01"}
            for case in "PQ"
        ),
        {"case": "R", "end_reason": "client_unilateral"},
    )
    none = FORMS.iloc[:0]
    cohort = cohort_of(none, SRS, treatments=table, appointments=book)
    assert cohort.end.tolist() == [EXCLUDED, ONGOING, DROPOUT]
    assert cohort.why.tolist() == [TO_CONFIRM, "", ""]
    kept = cohort_of(none, SRS, treatments=table, appointments=book, settings={"presumed": "censor"})
    assert kept.end.tolist() == [ONGOING, ONGOING, DROPOUT]
    gone = cohort_of(none, SRS, treatments=table, appointments=book, settings={"presumed": "dropout"})
    assert gone.end.tolist() == [DROPOUT, ONGOING, DROPOUT]
    assert gone.settings == {"k": 3, "grace_days": 30, "presumed": "dropout"}
    booked = pd.concat([book, appointments(("P", None, "2026-06-01", "scheduled"))], ignore_index=True)
    assert cohort_of(none, SRS, treatments=table, appointments=booked).end[0] == ONGOING
    past = pd.concat([book, appointments(("P", None, "2026-05-31", "scheduled"))], ignore_index=True)
    assert cohort_of(none, SRS, treatments=table, appointments=past).end[0] == EXCLUDED


@pytest.mark.parametrize(("last", "end"), [("2026-02-02", ONGOING), ("2026-02-01", EXCLUDED)])
def test_the_median_of_two_gaps_is_their_mean(last, end):
    # Gaps of 7 and 21 days: 3 · 14 = 42 days before 2026-03-16 is 2026-02-02.
    days = pd.Timestamp(last) - pd.to_timedelta([28, 21, 0], unit="D")
    book = appointments(*(("P", None, day, "attended") for day in days))
    row = {"case": "P", "status": "ongoing", "end_reason": "", "observed_until": "2026-03-16"}
    table = treatments(row, {"case": "R", "end_reason": "client_unilateral"})
    assert cohort_of(FORMS.iloc[:0], SRS, treatments=table, appointments=book).end[0] == end


def test_only_an_end_competes():
    facts = facts_of({"status": "ongoing", "reason": "external"}, {"reason": "external"}, {})
    assert facts.competing.tolist() == [False, True, False]


def test_what_each_definition_can_tell_is_counted():
    table = treatments(
        {"case": "A", "end_reason": "client_unilateral"},
        {"case": "B", "end_reason": "mutual_planned"},
        {"case": "C", "end_reason": "external"},
        {"case": "D", "status": "ongoing", "end_reason": ""},
        {"case": "F"},
    )
    found = definitions_supported(FORMS, SRS, treatments=table, appointments=BOOK[BOOK["case"] != "E"])
    by_id = {each.definition.id: each for each in found.definitions}
    assert by_id["unilateral"].counts == {
        "ongoing": 0,
        "dropout": 1,
        "planned": 1,
        "competing": 1,
        "excluded": 2,
    }
    assert by_id["unilateral"].excluded == {
        "ongoing, but long not seen and nothing booked: to be confirmed": 1,
        "why the treatment ended is not known, and no appointment is on record": 1,
    }
    assert by_id["missed_last"].counts["dropout"] == 2
    assert by_id["incomplete"].lacks == ("no planned number of sessions (planned_sessions)",)
    assert [each.definition.id for each in found.definitions if each.supported] == [
        "unilateral", "missed_last", "lt_k", "median_split",
    ]  # fmt: skip
    assert (found.n_cases, found.n_presumed, found.n_unclear) == (5, 1, 0)
    # A: both say dropout. B: agreed, and cancelled last.
    assert found.kappas[0] == ("unilateral", "missed_last", 2, 0.0)


def test_no_definition_is_supported_while_nothing_has_ended():
    table = treatments({"case": "A", "status": "ongoing", "end_reason": ""})
    found = definitions_supported(FORMS.iloc[:1], SRS, treatments=table, appointments=BOOK.iloc[:2])
    assert {each.lacks for each in found.definitions} == {("no treatment has ended",)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param(
            {"status": "ongoing", "end_reason": "", "observed_until": "2026-01-06"},
            "error: no treatment has ended\n",
            id="ongoing",
        ),
        pytest.param(
            {"status": "ongoing", "end_reason": "", "observed_until": "2026-12-31"},
            "error: no treatment has ended\n"
            "  1 left out: ongoing, but long not seen and nothing booked: to be confirmed\n",
            id="ongoing, long not seen",
        ),
        pytest.param(
            {"status": "", "end_reason": ""},
            "error: of no treatment that has ended it can be told how\n"
            "  1 left out: whether the treatment has ended is not known\n",
            id="status not known",
        ),
    ],
)
def test_treatments_that_have_not_ended_make_a_list_but_no_model(row, message):
    table = treatments({"case": "A", **row})
    cohort = cohort_of(FORMS.iloc[:1], SRS, treatments=table, appointments=BOOK.iloc[:1])
    with pytest.raises(DataError) as caught:
        require_ended(cohort)
    assert str(caught.value) == (
        message + "hint: a model of dropout is learned from treatments that have ended"
    )


@pytest.mark.parametrize(
    ("reason", "end"),
    [("client_unilateral", DROPOUT), ("mutual_planned", PLANNED), ("external", COMPETING)],
)
def test_one_treatment_that_ended_in_any_way_is_something_to_learn_from(reason, end):
    table = treatments({"case": "A", "end_reason": reason}, {"case": "B", "status": "ongoing"})
    cohort = cohort_of(FORMS.iloc[:1], SRS, treatments=table)
    assert sorted(cohort.end.tolist()) == sorted([end, ONGOING])
    require_ended(cohort)
    with pytest.raises(DataError, match=r"^error: no treatment has ended"):
        require_ended(replace(cohort, end=np.full_like(cohort.end, ONGOING)))


def test_kappa_follows_a_table_worked_by_hand():
    # 10 cases: both dropout 3, first only 1, second only 2, neither 4: po = .7, pe = .4·.5 + .6·.5 = .5.
    first = np.array([DROPOUT] * 4 + [PLANNED] * 6 + [ONGOING, EXCLUDED])
    second = np.array([DROPOUT] * 3 + [PLANNED] + [DROPOUT] * 2 + [PLANNED] * 4 + [DROPOUT, PLANNED])
    assert kappa(first, second) == (10, pytest.approx(0.4))
    n, value = kappa(first[:3], second[:3])
    assert n == 3
    assert np.isnan(value)


@pytest.mark.parametrize(
    ("totals", "end"),
    [
        pytest.param([10.0, 14.9], DROPOUT, id="just short"),
        pytest.param([10.0, 15.0], PLANNED, id="just the value"),
        pytest.param([20.0, 10.0], DROPOUT, id="worse"),
        pytest.param([10.0, NA, 16.0, NA], PLANNED, id="the last one that was scored"),
        pytest.param([10.0], EXCLUDED, id="one score"),
        pytest.param([10.0, NA], EXCLUDED, id="one scored form"),
    ],
)
def test_no_rci_compares_the_last_score_with_the_first(totals, end):
    rows = [{"case": "A", "session": n, "total": total} for n, total in enumerate(totals, 1)]
    measure = Outcome(scores=scores(*rows, scale=ORS), scale=ORS, value=5.0, source="a manual")
    table = treatments({"case": "A"})
    cohort = cohort_of(FORMS.iloc[:1], SRS, treatments=table, definition="no_rci", outcome=measure)
    assert cohort.end.tolist() == [end]
    assert cohort.settings == {
        **settings_of(None),
        "outcome": "ors",
        "reliable_change": 5.0,
        "reliable_change_source": "a manual",
    }
    assert cohort.settings == {
        "k": 3, "grace_days": 30, "presumed": "exclude",
        "outcome": "ors", "reliable_change": 5.0, "reliable_change_source": "a manual",
    }  # fmt: skip


def test_a_fall_improves_where_higher_is_worse():
    phq = load_scale("phq-9")
    rows = [{"case": "A", "session": 1, "total": 18.0}, {"case": "A", "session": 2, "total": 12.0}]
    measure = Outcome(scores=scores(*rows, scale=phq), scale=phq)
    table = treatments({"case": "A"})
    cohort = cohort_of(FORMS.iloc[:1], SRS, treatments=table, definition="no_rci", outcome=measure)
    assert cohort.end.tolist() == [PLANNED]
    assert cohort.settings["reliable_change"] == 6.0


@pytest.mark.parametrize(
    ("scale", "given", "message"),
    [
        pytest.param(
            "srs",
            {},
            "error: 'srs' has no published reliable-change value of its total\n"
            "hint: give the value with its source",
            id="none is published",
        ),
        pytest.param(
            "ors",
            {"value": 4.0},
            "error: the reliable-change value 4 of 'ors' has no source\n"
            "hint: name the paper or the manual it comes from",
            id="no source",
        ),
        pytest.param(
            "ors",
            {"value": 0.0, "source": "nobody"},
            "error: a reliable-change value must be above 0, got 0\nhint: in points of the total",
            id="no change at all",
        ),
    ],
)
def test_a_reliable_change_value_that_nobody_named_is_refused(scale, given, message):
    with pytest.raises(UsageError) as caught:
        Outcome(scores=FORMS, scale=load_scale(scale), **given).reliable()
    assert str(caught.value) == message


def covariates_from(names, *, table=None, others=None, forms=None):
    forms = scores(
        {"case": "A", "session": 1, "relationship": 9.0},
        {"case": "A", "session": 2, "relationship": 7.5},
        {"case": "B", "session": 1, "relationship": 5.0},
    ) if forms is None else forms  # fmt: skip
    table = treatments(
        {"case": "A", "end_reason": "client_unilateral", "age": "31", "site": "north"},
        {"case": "B", "end_reason": "mutual_planned", "age": "", "site": "south"},
        {"case": "C", "end_reason": "mutual_planned", "age": "44,5", "site": "north"},
        {"case": "D", "end_reason": "mutual_planned", "age": "60", "site": ""},
    ) if table is None else table  # fmt: skip
    return cohort_of(forms, SRS, treatments=table, covariates=names, others=others)


def test_a_baseline_number_stands_at_every_row_of_its_case():
    assert covariates_from(["age"]).covariates["age"].tolist() == pytest.approx([31, 31, NA], nan_ok=True)


def test_a_baseline_text_becomes_columns_against_the_most_frequent_level():
    found = covariates_from(["site"]).covariates
    assert list(found) == ["site=south"]
    assert found["site=south"].tolist() == [0, 0, 1]


def test_a_session_score_stands_at_its_session():
    found = covariates_from(["relationship"])
    assert found.covariates["relationship"].tolist() == [9, 7.5, 5]


def test_the_total_of_another_form_stands_at_its_session_and_shows_a_session_of_its_own():
    ors = scores(
        {"case": "A", "session": 2, "total": 20.0},
        {"case": "A", "session": 3, "total": 21.0},
        {"case": "B", "session": 1, "total": 30.0, "rater": "therapist"},
        scale=ORS,
    )
    cohort = covariates_from(["ors", "ors.total"], others={"ors": ors})
    expected = pytest.approx([NA, 20, 21, NA], nan_ok=True)
    assert cohort.visits.session.tolist() == [1, 2, 3, 1]
    assert cohort.visits.rating.tolist() == pytest.approx([36, 36, NA, 36], nan_ok=True)
    assert cohort.covariates["ors"].tolist() == expected
    assert cohort.covariates["ors.total"].tolist() == expected


def test_an_unknown_covariate_is_answered_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        covariates_from(["relationships"])
    assert str(caught.value) == (
        "error: unknown covariate 'relationships'\n"
        "hint: did you mean 'relationship'? known: age, relationship, site"
    )


def test_without_any_further_column_there_is_no_covariate():
    with pytest.raises(UsageError) as caught:
        covariates_from(["age"], table=treatments({"case": "A"}), forms=FORMS)
    assert str(caught.value) == (
        "error: unknown covariate 'age'\nhint: the data hold no column beyond the ratings"
    )


def test_the_marker_of_synthetic_rows_is_no_covariate():
    table = treatments(
        *({"case": case, "end_reason": "mutual_planned", "synthetic": "true", "age": 30} for case in "AB")
    )
    with pytest.raises(UsageError) as caught:
        covariates_from(["synthetic"], table=table)
    assert str(caught.value) == "error: unknown covariate 'synthetic'\nhint: known: age, relationship"


def test_a_column_of_too_many_texts_is_refused():
    table = treatments(
        *({"case": f"C{n}", "end_reason": "mutual_planned", "site": f"site {n}"} for n in range(21))
    )
    with pytest.raises(DataError) as caught:
        covariates_from(["site"], table=table)
    assert str(caught.value).splitlines()[0] == "error: the covariate 'site' has 21 different texts"


def test_a_column_of_texts_that_are_no_groups_is_refused():
    table = treatments({"case": "A", "end_reason": "mutual_planned", "site": "north"})
    with pytest.raises(DataError) as caught:
        covariates_from(["site"], table=table)
    assert str(caught.value) == (
        "error: the covariate 'site' has only one text\n"
        "hint: a column of texts needs 2 to 20 of them to tell groups"
    )


def test_a_service_read_from_its_tables_is_the_cohort_that_was_drawn():
    drawn = service(150, 11, competing=0.02)
    table, book, answers = service_frames(drawn, 11)
    items = [name for name in answers if name.startswith("q")]
    forms = answers.assign(total=answers[items].sum(axis=1, skipna=False), **dict.fromkeys(SRS.subscales, NA))
    episodes = table.rename(
        columns={"client_id": "client", "episode_id": "episode", "therapist_id": "therapist"}
    ).assign(case=table["client_id"], planned_end_date=pd.NaT)
    found = cohort_of(
        forms, SRS, treatments=episodes.astype({"planned_sessions": "Int64"}), appointments=book
    )
    truth = cohort_of_drawn(drawn)
    for name in ("end", "planned", "therapist"):
        np.testing.assert_array_equal(getattr(found, name), getattr(truth, name), err_msg=name)
    assert len(found.visits.rating) == len(truth.visits.rating)
    np.testing.assert_array_equal(found.visits.session, truth.visits.session)
    np.testing.assert_array_equal(found.visits.status, truth.visits.status)
    np.testing.assert_allclose(found.visits.rating, truth.visits.rating, atol=1e-9)
    held = found.visits.status == 0
    shift = found.day[held] - truth.day[held]
    np.testing.assert_array_equal(np.diff(shift)[np.diff(found.visits.case[held]) == 0], 0)


def test_the_life_table_of_four_clients_is_the_one_worked_by_hand():
    # A completed 4 of 4, B dropped out after 2, C is ongoing at 3, D dropped out after 1.
    table = life_table([3, 2, 2, 1], [0, 1, 0, 1])
    assert table.period.tolist() == [1, 2, 3]
    assert table.at_risk.tolist() == [4, 3, 1]
    assert table.events.tolist() == [1, 1, 0]
    assert table.hazard == pytest.approx([0.25, 1 / 3, 0])
    assert table.survival == pytest.approx([0.75, 0.5, 0.5])
    # se(h) = sqrt(.25 · .75 / 4); Greenwood: .75 · sqrt(1 / (4 · 3)), then .5 · sqrt(1 / 12 + 1 / 6).
    assert table.se_hazard == pytest.approx([0.2165063509, 0.2721655270, 0])
    assert table.se_survival == pytest.approx([0.2165063509, 0.25, 0.25])


def test_the_life_table_of_those_clients_as_a_cohort_is_the_same():
    names = {
        "A": (4, "mutual_planned"),
        "B": (2, "client_unilateral"),
        "C": (3, ""),
        "D": (1, "client_unilateral"),
    }
    forms = scores(
        *({"case": case, "session": n + 1} for case, (last, _) in names.items() for n in range(last))
    )
    table = treatments(
        *(
            {
                "case": case,
                "planned_sessions": 4,
                "end_reason": reason,
                "status": "ended" if reason else "ongoing",
            }
            for case, (_, reason) in names.items()
        )
    )
    found = life_table_of(rows_of(cohort_of(forms, SRS, treatments=table)))
    assert (found.at_risk.tolist(), found.events.tolist()) == ([4, 3, 1], [1, 1, 0])
    assert found.survival == pytest.approx([0.75, 0.5, 0.5])


def test_a_case_that_never_attended_and_an_excluded_one_are_not_at_risk():
    forms = scores({"case": "A", "session": 1}, {"case": "A", "session": 2}, {"case": "X", "session": 1})
    table = treatments(
        {"case": "A", "end_reason": "client_unilateral"}, {"case": "N", "end_reason": "client_unilateral"}
    )
    found = life_table_of(rows_of(cohort_of(forms, SRS, treatments=table)))
    assert (found.at_risk.tolist(), found.events.tolist()) == ([1, 1], [0, 1])


def test_nobody_at_risk_gives_an_empty_table_and_nobody_left_no_error_of_survival():
    assert life_table([], []).period.tolist() == []
    found = life_table([1, 1], [1, 1])
    assert found.survival.tolist() == [0]
    assert np.isnan(found.se_survival[0])
    assert cumulative_incidence([], []).incidence == {}


def test_times_before_the_start_were_never_at_risk():
    found = life_table([0, 6, 7, 9], [1, 1, 1, 1], start=7)
    assert (found.period.tolist(), found.at_risk.tolist(), found.events.tolist()) == (
        [7, 8, 9],
        [2, 1, 1],
        [1, 0, 1],
    )


@pytest.mark.parametrize(
    "case",
    json.loads((REFERENCE / "lifetable.json").read_text("utf-8"))["cases"],
    ids=lambda case: case["id"],
)
def test_life_tables_reproduce_singer_and_willett(case):
    data, expected = case["data"], case["expected"]
    with (REFERENCE / "alda" / data["file"]).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    time = [int(row[data["time"]]) for row in rows]
    event = [1 - int(row[data["censor"]]) for row in rows]
    found = life_table(time, event, start=data.get("start", 1))
    for name in ("period", "at_risk", "events", "hazard", "survival", "se_hazard"):
        np.testing.assert_allclose(
            getattr(found, name), expected[name], atol=case["tolerance"]["default"]["abs"]
        )


FIRST_SEX = {
    0: [(72, 2), (70, 2), (68, 8), (60, 8), (52, 10), (42, 8)],
    1: [(108, 13), (95, 5), (90, 16), (74, 21), (53, 15), (38, 18)],
}


def test_the_first_sex_data_give_the_published_counts_in_both_groups():
    with (REFERENCE / "alda" / "first_sex.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for group, counts in FIRST_SEX.items():
        some = [row for row in rows if int(row["parental_transition"]) == group]
        table = life_table(
            [int(row["grade"]) for row in some], [1 - int(row["censor"]) for row in some], start=7
        )
        assert list(zip(table.at_risk.tolist(), table.events.tolist(), strict=True)) == counts
    whole = life_table([int(row["grade"]) for row in rows], [1 - int(row["censor"]) for row in rows], start=7)
    assert whole.hazard == pytest.approx([0.0833, 0.0424, 0.1519, 0.2164, 0.2381, 0.3250], abs=5e-5)
    assert whole.survival[-1] == pytest.approx(0.3, abs=5e-5)


TEACHERS = [
    (3941, 456), (3485, 384), (3101, 359), (2742, 295), (2447, 218), (2229, 184), (2045, 123), (1642, 79),
    (1256, 53), (948, 35), (648, 16), (391, 5),
]  # fmt: skip


def test_the_teachers_survive_as_published_from_counts_alone():
    time, event = [], []
    for year, (at_risk, events) in enumerate(TEACHERS, 1):
        following = TEACHERS[year][0] if year < len(TEACHERS) else 0
        time += [year] * (at_risk - following)
        event += [1] * events + [0] * (at_risk - following - events)
    found = life_table(time, event)
    assert list(zip(found.at_risk.tolist(), found.events.tolist(), strict=True)) == TEACHERS
    assert found.survival[-1] == pytest.approx(0.4123, abs=5e-5)


def test_cumulative_incidence_is_exact_with_ties():
    # t = 1: 6 at risk, 1 of each kind, one censored; t = 2: 3 at risk, 2 of kind 1; t = 3: 1 at risk, kind 2.
    found = cumulative_incidence([1, 1, 1, 2, 2, 3], [1, 2, 0, 1, 1, 2])
    first = [Fraction(1, 6), Fraction(1, 6) + Fraction(2, 3) * Fraction(2, 3), Fraction(11, 18)]
    second = [Fraction(1, 6), Fraction(1, 6), Fraction(1, 6) + Fraction(2, 9)]
    assert found.incidence[1] == pytest.approx([float(value) for value in first])
    assert found.incidence[2] == pytest.approx([float(value) for value in second])
    assert found.survival == pytest.approx([2 / 3, 2 / 9, 0])


def test_cumulative_incidence_follows_the_worked_hazards():
    # Of 1,000,000: hazards .10 .08 .06 .05 (dropout) and 0 .02 .05 .20 (planned end).
    time, event, left = [], [], 1_000_000
    for period, (dropped, planned) in enumerate(zip((100, 80, 60, 50), (0, 20, 50, 200), strict=True), 1):
        for kind, share in ((1, dropped), (2, planned)):
            n = round(left * share / 1000)
            time += [period] * n
            event += [kind] * n
        left -= round(left * dropped / 1000) + round(left * planned / 1000)
    found = cumulative_incidence(np.array(time + [4] * left), np.array(event + [0] * left))
    assert found.incidence[1] == pytest.approx([0.1000, 0.1720, 0.2206, 0.2566], abs=1e-4)
    assert found.incidence[2] == pytest.approx([0, 0.0180, 0.0585, 0.2027], abs=1e-4)
    assert found.survival[-1] == pytest.approx(0.5407, abs=1e-4)


def slow_incidence(time, event, kind):
    """The reference code of the specification's appendix, in fractions."""
    survival, total, found = Fraction(1), Fraction(0), {}
    for t in range(1, max(time) + 1):
        n = sum(one >= t for one in time)
        at = [e for one, e in zip(time, event, strict=True) if one == t]
        total += survival * Fraction(sum(e == kind for e in at), n)
        survival *= 1 - Fraction(sum(e > 0 for e in at), n)
        found[t] = float(total)
    return list(found.values())


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2)), min_size=1, max_size=40))
def test_cumulative_incidence_equals_a_slow_one_and_adds_up(cases):
    time, event = [t for t, _ in cases], [e for _, e in cases]
    found = cumulative_incidence(time, event)
    for kind, values in found.incidence.items():
        assert values == pytest.approx(slow_incidence(time, event, kind), abs=1e-12)
    total = sum(found.incidence.values(), np.zeros(len(found.period)))
    assert total + found.survival == pytest.approx(np.ones(len(total)), abs=1e-12)


def test_the_incidence_of_a_cohort_counts_dropout_and_competing_ends():
    forms = scores({"case": "A", "session": 1}, {"case": "B", "session": 1}, {"case": "C", "session": 1},
                   {"case": "C", "session": 2}, {"case": "C", "session": 3})  # fmt: skip
    table = treatments(
        {"case": "A", "end_reason": "client_unilateral"},
        {"case": "B", "end_reason": "external"},
        {"case": "C", "end_reason": "mutual_planned"},
    )
    found = incidence_of(rows_of(cohort_of(forms, SRS, treatments=table)))
    assert found.incidence[1] == pytest.approx([1 / 3, 1 / 3])
    assert found.incidence[2] == pytest.approx([1 / 3, 1 / 3])
    assert found.survival == pytest.approx([1 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        ([1, 2], [1], "time and event must have one entry each per case, got shapes (2,) and (1,)"),
        ([1.5], [1], "time must hold whole numbers, got 1.5"),
        ([1], [-1], "event must hold 0, 1, 2 …, got -1"),
    ],
)
def test_times_that_cannot_be_are_refused(time, event, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared
        life_table(time, event)
    assert str(caught.value) == message


def test_an_end_code_is_a_place_in_the_tuple_of_ends():
    assert ENDS == ("ongoing", "dropout", "planned", "competing", "excluded")
