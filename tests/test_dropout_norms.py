"""Local norms: exact, the same in whatever blocks the cases come, frozen and brought back, never ahead."""

import dataclasses
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.claims import Norm
from alliance.dropout import (
    Appointments,
    Instrument,
    Norms,
    NormTally,
    Ratings,
    caseload_sem,
    instrument_of,
    local_norms,
    local_sem,
    risk,
    visits_of,
)
from alliance.dropout.instrument import taken_up
from alliance.dropout.norms import quantile, spans, spread
from alliance.errors import DataError, UsageError
from alliance.frames import ATTENDANCE
from alliance.psychometrics import successive_spread
from alliance.rupture.groups import groups
from alliance.scale import load_scale

NA = np.nan
SRS = load_scale("srs")
WAI = load_scale("wai-sr")


def scores(ratings, *, rater="client", **parts):
    """Scores of one form a case and session: `ratings` is a list of (case, session, total)."""
    case, session, total = map(list, zip(*ratings, strict=True))
    return pd.DataFrame(
        {
            "case": case,
            "session": session,
            "date": pd.Series(pd.NaT, index=range(len(case)), dtype="datetime64[s]"),
            "therapist": "",
            "rater": rater,
            "total": total,
            **parts,
        }
    )


def at_session(values, session=1):
    return [(f"C{case}", session, float(value)) for case, value in enumerate(values)]


def tally(values, session=None, parts=None, **options):
    n = len(values)
    ratings = Ratings(
        case=np.arange(n),
        session=np.ones(n, dtype=int) if session is None else np.array(session),
        rating=np.array(values, dtype=float),
        parts={name: np.array(each, dtype=float) for name, each in (parts or {}).items()},
        **options,
    )
    found = NormTally(parts=tuple(parts or ()))
    found.add(visits_of(ratings, n_cases=n))
    return found


# the quantile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        # Ratings numbered from 0: 0.16 · 50 = 8 exactly; 0.16 · 49 = 7.84, so 8 and 84 hundredths of a step.
        pytest.param(range(1, 52), 0.16, 9.0, id="on a rating"),
        pytest.param(range(1, 51), 0.16, 8.84, id="between two"),
        pytest.param([30] * 8 + [34] * 42, 0.16, 33.36, id="between two that are far apart"),
        pytest.param([30] * 8 + [34] * 43, 0.16, 34.0, id="on the first of the higher ones"),
        pytest.param([30] * 10 + [34] * 40, 0.16, 30.0, id="within equal ones"),
        pytest.param([36], 0.16, 36.0, id="one rating"),
        pytest.param([30, 40], 0.0, 30.0, id="lowest"),
        pytest.param([30, 40], 1.0, 40.0, id="highest"),
    ],
)
def test_the_quantile_lies_on_the_line_between_two_ratings(values, share, expected):
    assert quantile(Counter(map(float, values)), share) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=300))
def test_the_quantile_is_that_of_numpy_on_the_pooled_ratings(tenths):
    values = np.array(tenths) / 10
    assert quantile(Counter(values.tolist()), 0.16) == pytest.approx(np.quantile(values, 0.16), abs=2e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(4, 20), min_size=2, max_size=100))
def test_mean_and_spread_are_those_of_numpy_on_the_pooled_ratings(quarters):
    values = np.array(quarters) / 4
    mean, sd = spread(Counter(values.tolist()))
    assert mean == pytest.approx(values.mean(), abs=2e-9)
    assert sd == pytest.approx(values.std(ddof=1), abs=2e-9)


# which ratings


def test_fifty_ratings_of_a_session_give_norms_and_forty_nine_do_not():
    values = [30.0] * 10 + [38.0] * 40
    assert tally(values).norms("srs", high=40).p16 == {1: 30.0}
    assert tally(values[1:]).norms("srs", high=40) == Norms(form="srs", p16={}, n={}, areas={})


def test_only_scored_forms_count():
    assert tally([*[30.0] * 49, NA]).norms("srs", high=40).n == {}
    assert tally([*[30.0] * 50, NA, NA]).norms("srs", high=40).n == {1: 50}


def test_a_session_whose_lowest_ratings_reach_the_top_has_no_limit():
    # Place 0.16 · 49 = 7.84 lies among the 40s if at most 7 of 50 are lower.
    values = [30.0] * 7 + [40.0] * 43
    assert tally(values).norms("srs", high=40).p16 == {}
    assert tally([*values[1:], 30.0, 30.0, 30.0]).norms("srs", high=40).p16 == {1: 30.0 + 10 * 0.16}


def test_norms_go_by_sessions_attended_and_cases_may_skip():
    first = at_session([30.0] * 10 + [38.0] * 40, session=1)
    third = at_session([31.0] * 10 + [39.0] * 41, session=3)
    norms = local_norms(scores([*first, *third]), SRS)
    assert (norms.p16, norms.n) == ({1: 30.0, 3: 31.0}, {1: 50, 3: 51})


def test_missed_appointments_with_numbers_are_taken_off():
    table = scores(at_session([30.0] * 10 + [38.0] * 40, session=2))
    missed = pd.DataFrame({"case": table["case"].unique(), "session": 1, "attendance": "no_show"})
    missed = missed.assign(date=pd.Series(pd.NaT, index=missed.index, dtype="datetime64[s]"))
    assert local_norms(table, SRS).p16 == {2: 30.0}
    assert local_norms(table, SRS, appointments=missed).p16 == {1: 30.0}


def test_only_the_clients_own_ratings_count_and_nobody_elses_case():
    own = scores(at_session([30.0] * 10 + [38.0] * 41))
    therapist = scores(at_session([0.0] * 51), rater="therapist")
    assert local_norms(pd.concat([own, therapist]), SRS).n == {1: 51}
    partner = scores([("C0", 1, 2.0)], rater="partner-a")
    assert local_norms(pd.concat([own, partner]), SRS).n == {1: 50}
    partners = scores([("C0", 2, 2.0), ("C1", 5, 2.0)], rater="partner-a")
    assert local_norms(pd.concat([own, partners]), SRS).n == {}


def test_a_form_that_does_not_measure_the_alliance_has_no_norms():
    with pytest.raises(UsageError) as caught:
        local_norms(scores(at_session([30.0])), dataclasses.replace(SRS, construct="outcome"))
    assert str(caught.value) == (
        "error: 'srs' measures outcome: the dropout rules do not read its scores\n"
        "hint: judge an alliance form, such as wai-sr or srs"
    )


BLOCK = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 40)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(BLOCK, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_blocks_in_which_cases_come_change_nothing(blocks, order):
    def norms(parts):
        found = NormTally(parts=("bond",))
        for part in parts:
            session, quarters = np.array(part, dtype=int).reshape(-1, 2).T
            ratings = Ratings(
                case=np.arange(len(part)),
                session=session,
                rating=quarters / 4,
                parts={"bond": quarters / 3},
            )
            found.add(visits_of(ratings, n_cases=len(part)))
        return found.norms("x", high=20.0)

    blocks = [*blocks, [(1, 3)] * 30, [(1, 9)] * 25]
    whole = norms([[row for block in blocks for row in block]])
    assert norms(blocks) == whole
    order.shuffle(blocks)
    assert norms(blocks) == whole
    assert 1 in whole.n
    pooled = np.array([quarters for block in blocks for session, quarters in block if session == 1])
    assert whole.n[1] == len(pooled)
    assert whole.p16[1] == pytest.approx(np.quantile(pooled / 4, 0.16), abs=2e-9)
    assert whole.areas[1]["bond"] == pytest.approx(((pooled / 3).mean(), (pooled / 3).std(ddof=1)), abs=2e-9)


def test_values_are_counted_by_kind_and_not_kept():
    found = NormTally()
    for _ in range(20):
        found.add(
            visits_of(
                Ratings(case=np.arange(500), session=np.ones(500, int), rating=np.arange(500) % 7 / 2),
                n_cases=500,
            )
        )
    assert len(found.counts["total"][1]) == 7
    assert found.counts["total"][1].total() == 10_000


# what the rules make of them


def caseload(n=60, low=31.0):
    values = [low] * 12 + [37.5] * (n - 12)
    return scores(at_session(values))


def test_local_norms_are_taken_as_reference():
    table = caseload()
    norms = local_norms(table, SRS)
    assert norms.p16 == {1: 31.0}
    found = risk(table, SRS, reference=norms).set_index("case")
    assert found.loc["C0", "reasons"] == (
        "VERY_LOW: latest rating is among the lowest 16 % at session 1 (31, limit 31)"
    )
    assert (found["level"] == "REVIEW").sum() == 12
    assert (risk(table, SRS)["level"] == "WATCH").sum() == 12


def test_verdicts_of_the_past_know_no_norms_of_the_whole_caseload():
    # Norms are not made by the rules: the past is judged without, unless they are given.
    table = caseload()
    assert not risk(table, SRS, as_of="every")["reasons"].str.contains("VERY_LOW").any()
    frozen = Norms(form="srs", p16={1: 31.0}, n={1: 50})
    assert risk(table, SRS, as_of="every", reference=frozen)["reasons"].str.contains("VERY_LOW").sum() == 12


def test_norms_of_another_form_or_score_are_refused():
    norms = Norms(form="wai-sr", p16={1: 3.0}, n={1: 50})
    with pytest.raises(DataError) as caught:
        instrument_of(SRS, reference=norms)
    assert str(caught.value) == (
        "error: the norms are about the total of wai-sr\nhint: this list judges the total of srs"
    )
    with pytest.raises(DataError) as caught:
        instrument_of(SRS, reference=Norms(form="srs", p16={}, n={}, score="bond"))
    assert str(caught.value) == (
        "error: the norms are about the bond of srs\nhint: this list judges the total of srs"
    )


AREAS = {"goal": (4.0, 0.5), "task": (4.0, 0.5), "bond": (4.0, 0.5)}


def facet(instrument, session, **parts):
    from alliance.dropout import risk_arrays, risk_texts

    ratings = Ratings(
        case=np.zeros(len(session), int),
        session=np.array(session),
        rating=np.full(len(session), 3.5),
        parts={name: np.array(values, dtype=float) for name, values in parts.items()},
    )
    texts = risk_texts(risk_arrays(visits_of(ratings, n_cases=1), instrument))["prompts"][0]
    return [text for text in texts.split("; ") if text.startswith("LOWEST_FACET")]


def test_the_lowest_area_is_lowest_against_the_norms_of_its_session():
    # Session 2: goal 3.5 is 1 SD below 4.0; bond 4.4 is 2 SD below 4.8: bond is named, though it is higher.
    local = {2: {"goal": (4.0, 0.5), "task": (4.0, 0.5), "bond": (4.8, 0.2)}}
    form = Instrument(id="wai-sr", max=5.0, areas=AREAS, local_areas=local)
    given_ratings = {"goal": [3.5, 3.5], "task": [4.1, 4.1], "bond": [4.4, 4.4]}
    assert facet(form, [1, 2], **given_ratings) == ["LOWEST_FACET: lowest area: bond"]
    # At session 3 there are no local norms: the published ones hold, and goal is lowest.
    assert facet(form, [1, 3], **given_ratings) == ["LOWEST_FACET: lowest area: goal"]
    nothing_published = dataclasses.replace(form, areas={})
    assert facet(nothing_published, [1, 2], **given_ratings) == ["LOWEST_FACET: lowest area: bond"]
    assert facet(nothing_published, [1, 3], **given_ratings) == []
    assert facet(form, [1, 2], **(given_ratings | {"task": [4.1, NA]})) == []


def test_areas_need_fifty_ratings_and_a_spread_in_every_subscale():
    values = [3.0] * 25 + [4.0] * 25
    parts = {"goal": values, "bond": values}
    found = tally(values, parts=parts).norms("x", high=5.0)
    # Sum of squares 50 · 0.25 = 12.5, over 49.
    assert found.areas == {1: {"goal": (3.5, 0.505076272), "bond": (3.5, 0.505076272)}}
    one_less = tally(values, parts=parts | {"bond": [NA, *values[1:]]}).norms("x", high=5.0)
    assert (one_less.areas, one_less.n) == ({}, {1: 50})
    assert tally(values, parts=parts | {"bond": [4.0] * 50}).norms("x", high=5.0).areas == {}


def test_areas_of_a_caseload_reach_the_list():
    n = 60
    levels = np.where(np.arange(n) % 2 == 0, 3.0, 4.0)
    table = scores(at_session(levels), goal=levels, task=levels, bond=np.where(levels == 3.0, 4.5, 5.0))
    table.loc[0, ["goal", "task", "bond"]] = [4.0, 4.0, 4.5]
    norms = local_norms(table, WAI)
    assert set(norms.areas[1]) == {"goal", "task", "bond"}
    row = risk(table, WAI, reference=norms).set_index("case").loc["C0"]
    assert "LOWEST_FACET: lowest area: bond" in row["prompts"]
    published = {name: Norm(mean=4.6, sd=0.5, reliability=0.8) for name in ("goal", "task")}
    published["bond"] = Norm(mean=4.0, sd=0.5, reliability=0.8)
    with_norms = dataclasses.replace(WAI, norms=published)
    assert "lowest area: goal" in risk(table, with_norms).set_index("case").loc["C0", "prompts"]
    assert (
        "lowest area: bond" in risk(table, with_norms, reference=norms).set_index("case").loc["C0", "prompts"]
    )


# told, frozen, brought back


@pytest.mark.parametrize(
    ("norms", "text"),
    [
        (Norms(form="srs", p16={1: 30.0}, n={1: 50}), "session 1, from 50 ratings each"),
        (
            Norms(form="srs", p16={1: 30.0, 2: 31.0, 4: 32.0}, n={1: 70, 2: 61, 4: 50}),
            "sessions 1 to 2, 4, from 50 to 70 ratings each",
        ),
        (
            Norms(form="srs", p16={1: 30.0}, n={1: 70, 2: 61, 3: 60}),
            "session 1, from 70 ratings each; none for sessions 2 to 3: there the lowest 16 % reach the top "
            "of the scale",
        ),
        (
            Norms(form="srs", p16={}, n={2: 61}),
            "none for session 2: there the lowest 16 % reach the top of the scale",
        ),
        (Norms(form="srs", p16={}, n={}), "none: no session has 50 ratings"),
    ],
)
def test_norms_say_which_sessions_they_are_for(norms, text):
    assert str(norms) == text


def test_numbers_in_a_row_are_spans():
    assert spans([]) == ""
    assert spans([3, 1, 2, 7]) == "1 to 3, 7"


NORMS = Norms(
    form="srs", p16={1: 33.4, 3: 31.0}, n={1: 120, 3: 50}, areas={1: {"bond": (4.0, 0.5)}}, score="total"
)


def test_norms_come_back_from_their_file_and_from_a_manifest():
    content = NORMS.as_json()
    assert content == {
        "alliance_norms": 1,
        "form": "srs",
        "score": "total",
        "quantile": 0.16,
        "sessions": {
            "1": {"n": 120, "p16": 33.4, "areas": {"bond": [4.0, 0.5]}},
            "3": {"n": 50, "p16": 31.0, "areas": {}},
        },
    }
    assert Norms.from_json(content) == NORMS
    assert Norms.from_json({"alliance_version": "0.1.0", "risk": {"norms": content}}) == NORMS
    only_areas = Norms(form="x", p16={}, n={2: 60}, areas={2: {"bond": (4.0, 0.5)}})
    assert Norms.from_json(only_areas.as_json()) == only_areas


NO_FILE = (
    "error: this is no norms file of this version\n"
    "hint: give a file of --write-norms, or the manifest.json of an analysis"
)
DAMAGED = "error: this norms file is damaged\nhint: write it again with --write-norms"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param({}, NO_FILE, id="nothing"),
        pytest.param(NORMS.as_json() | {"alliance_norms": 2}, NO_FILE, id="a later version"),
        pytest.param(
            {"alliance_version": "0.1.0", "risk": {"norms": None}},
            "error: this analysis had no local norms\nhint: norms need 50 ratings of a session",
            id="an analysis without",
        ),
        pytest.param({"alliance_norms": 1}, DAMAGED, id="half of it"),
        pytest.param(NORMS.as_json() | {"sessions": {"one": {}}}, DAMAGED, id="no session"),
        pytest.param(
            NORMS.as_json() | {"sessions": {"1": {"n": 50, "p16": float("nan"), "areas": {}}}},
            DAMAGED,
            id="no number",
        ),
        pytest.param(
            NORMS.as_json() | {"sessions": {"1": {"n": 50, "p16": 1.0, "areas": {"bond": [4.0, 0.0]}}}},
            DAMAGED,
            id="no spread",
        ),
    ],
)
def test_what_is_no_norms_file_is_refused(content, message):
    with pytest.raises(DataError) as caught:
        Norms.from_json(content)
    assert str(caught.value) == message


def test_what_a_caseload_gives_is_taken_only_where_nothing_else_is_known_and_told():
    bare = Instrument(id="srs", max=40, cutoff=36)
    sem = (
        "the standard error of measurement for the risk rules, 1.23, is derived from this caseload's "
        "neighbouring sessions; it holds real change, so the limits are wide"
    )
    norms = (
        "local norms for the risk rules (lowest 16 % at each session) are derived from this caseload: "
        "sessions 1, 3, from 50 to 120 ratings each"
    )
    instrument, notes = taken_up(bare, sem=1.23456, norms=NORMS, frozen=False)
    assert notes == [sem, norms]
    assert (instrument.sem, instrument.reference) == (1.23456, {1: 33.4, 3: 31.0})
    assert instrument.local_areas == {1: {"bond": (4.0, 0.5)}}
    instrument, notes = taken_up(dataclasses.replace(bare, sem=2.0), sem=1.2, norms=NORMS, frozen=True)
    assert notes == [norms.replace("derived from this caseload", "taken from a file")]
    assert instrument.sem == 2.0
    assert taken_up(bare, sem=None, norms=None, frozen=False) == (bare, [])
    assert taken_up(bare, sem=None, norms=Norms(form="srs", p16={}, n={}), frozen=False) == (bare, [])


def test_the_sem_of_a_frame_is_that_of_its_courses():
    rng = np.random.default_rng(5)
    rows = [
        (f"C{case}", session, round(float(value), 1))
        for case in range(60)
        for session, value in enumerate(rng.normal(36, 1.5, 5), start=1)
    ]
    table = scores(rows).sample(frac=1, random_state=1)
    (group,) = groups(table.sort_values(["case", "session"]), ())
    assert caseload_sem(table, SRS) == pytest.approx(local_sem(successive_spread(group.total)))
    both = pd.concat([table, scores([(*row[:2], 0.0) for row in rows], rater="therapist")])
    assert caseload_sem(both, SRS) == pytest.approx(caseload_sem(table, SRS))
    assert caseload_sem(table[table["case"] < "C5"], SRS) is None
    dated = table.assign(date=pd.Timestamp("2026-01-05") + pd.to_timedelta(table["session"] * 29, unit="D"))
    assert caseload_sem(dated, SRS) is None
    assert caseload_sem(dated, SRS, max_gap_days=29) == pytest.approx(caseload_sem(table, SRS))


def test_appointments_without_any_form_count_nothing():
    booked = Appointments(
        case=np.zeros(1, int),
        session=np.array([NA]),
        date=np.array(["NaT"], "datetime64[D]"),
        status=np.array([ATTENDANCE.index("no_show")]),
    )
    nothing = np.zeros(0, dtype=int)
    found = NormTally()
    found.add(visits_of(Ratings(case=nothing, session=nothing, rating=np.zeros(0)), booked, n_cases=1))
    assert found.norms("srs", high=40).n == {}
