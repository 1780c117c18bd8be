"""What may be said of a form: truth tables by hand at every edge, and silence where nothing was published."""

from dataclasses import replace

import numpy as np
import pytest

from alliance.claims import Band, Bands, Criterion, Cutoff, Need, Norm
from alliance.interpretation import (
    band_of,
    beyond,
    criterion_met,
    derived_change,
    interpret,
    interpret_change,
    reliable_changes,
)
from alliance.places import bundled
from alliance.scale import load_scale, read_definition

NA = float("nan")
FILES = sorted(bundled("scales").glob("*.toml"))


def said(scale_id, scores, kind, **options):
    return [
        reading.text for reading in interpret(scores, load_scale(scale_id), **options) if reading.kind == kind
    ]


@pytest.mark.parametrize(
    ("op", "values"),
    [
        pytest.param("<", {24.9: True, 25.0: False, 25.1: False}, id="below"),
        pytest.param("<=", {24.9: True, 25.0: True, 25.1: False}, id="at or below"),
        pytest.param(">", {24.9: False, 25.0: False, 25.1: True}, id="above"),
        pytest.param(">=", {24.9: False, 25.0: True, 25.1: True}, id="at or above"),
    ],
)
def test_a_cutoff_keeps_its_edge(op, values):
    cutoff = Cutoff(score="total", op=op, value=25, label="x")
    assert {value: beyond(value, cutoff) for value in values} == values


def test_binary_rounding_moves_no_score_over_an_edge():
    # 0.1 + 0.2 is a little more than 0.3.
    assert not beyond(0.1 + 0.2, Cutoff(score="total", op=">", value=0.3, label="x"))
    assert beyond(0.1 + 0.2, Cutoff(score="total", op="<=", value=0.3, label="x"))


@pytest.mark.parametrize(
    ("form", "score", "text"),
    [
        pytest.param("ors", 25, "25 is not below 25, clinical range in adults; 25 itself does not count"),
        pytest.param("ors", 24.9, "24.9 is below 25, clinical range in adults; 25 itself does not count"),
        pytest.param(
            "srs", 36, "36 is at or below 36, discuss the alliance with the client; 36 itself counts"
        ),
        pytest.param(
            "srs", 36.1, "36.1 is not at or below 36, discuss the alliance with the client; 36 itself counts"
        ),
        pytest.param(
            "who-5", 48, "48 is below 50, poor well-being, assess further; 50 itself does not count"
        ),
        pytest.param(
            "who-5", 52, "52 is not below 50, poor well-being, assess further; 50 itself does not count"
        ),
    ],
)
def test_a_cutoff_is_told_with_population_and_edge(form, score, text):
    assert said(form, {"total": float(score)}, "cut-off") == [text]


@pytest.mark.parametrize(
    ("form", "scores", "texts"),
    [
        pytest.param("phq-9", {"total": 4.0}, ["4 is minimal, 0 to 4"], id="upper edge"),
        pytest.param("phq-9", {"total": 5.0}, ["5 is mild, 5 to 9"], id="lower edge"),
        pytest.param("phq-9", {"total": 27.0}, ["27 is severe, 20 to 27"], id="last band"),
        pytest.param("core-10", {"total": 10.0}, ["10 is low, 6 to 10"], id="CORE-10 has no cut at 10"),
        pytest.param("core-10", {"total": 25.0}, ["25 is severe, 25 to 40"], id="CORE-10 severe from 25"),
        pytest.param(
            "k10",
            {"total": 20.0},
            [
                "20 is moderate, 16 to 21 (Australian Bureau of Statistics)",
                "20 is mild, 20 to 24 (CRUfAD / Victoria 2001)",
            ],
            id="two sets disagree, each with its name",
        ),
        pytest.param("core-om", {"total": 9.94}, ["9.94 is healthy or low, 0 to below 10"], id="below ten"),
        pytest.param("core-om", {"total": 10.0}, ["10 is mild, 10 to below 15"], id="at ten"),
        pytest.param(
            "core-om", {"total": 24.999}, ["24.999 is moderate-to-severe, 20 to below 25"], id="24.999"
        ),
        pytest.param("core-om", {"total": 25.0}, ["25 is severe, 25 to 40"], id="at 25"),
        pytest.param(
            "scs", {"total": 3.5}, ["3.5 is moderate, 2.5 to 3.5 (author's rough guide)"], id="edge"
        ),
        pytest.param(
            "scs",
            {"total": 3.505},
            [
                "3.505 lies between the published bands moderate, 2.5 to 3.5 and high, 3.51 to 5 "
                "(author's rough guide)"
            ],
            id="a gap that the published bands leave is told, not filled",
        ),
        pytest.param("phq-9", {"total": NA}, [], id="not scored, not interpreted"),
        pytest.param(
            "dass-21", {"anxiety": 8.0, "total": 30.0}, ["8 is mild, 8 to 9"], id="no band of a total"
        ),
    ],
)
def test_a_band_is_told_with_its_edges_and_the_name_of_its_set(form, scores, texts):
    assert said(form, scores, "band") == texts


def test_a_band_without_an_upper_edge_ends_where_the_next_begins():
    bands = Bands(score="total", steps=(Band(low=0, label="low"), Band(low=10, label="high")))
    labels = [getattr(band_of(value, bands), "label", None) for value in (-1, 0, 9.99, 10, 1000)]
    assert labels == [None, "low", "low", "high", "high"]


def test_the_official_scorer_compares_after_rounding():
    # Eating concerns of 3 items: 5 / 3 = 1.6667 is 1.67 when rounded, the high cut of 2025.
    texts = said("ccaps-34", {"eating-concerns": 5 / 3}, "cut-off")
    high = [text for text in texts if "high cut" in text and "2025" in text]
    assert high == [
        "1.667, rounded to 1.67, is at or above 1.67, high cut in students, norm year 2025; "
        "1.67 itself counts"
    ]


def test_nothing_from_memory_is_said_unless_asked_and_then_it_is_marked():
    assert said("cors", {"total": 20.0}, "cut-off") == []
    assert said("cors", {"total": 20.0}, "cut-off", unverified=True) == [
        "20 is below 32, clinical range in child self-report 6-12; 32 itself does not count (UNVERIFIED)",
        "20 is below 28, clinical range in caregiver; 28 itself does not count (UNVERIFIED)",
    ]


def test_a_published_cutoff_of_a_score_that_is_switched_off_stays_silent():
    # The cut-off of 36 was seen, which items form the score was not.
    scores = {"symptom-distress": 40.0, "total": 70.0}
    assert said("oq-45", scores, "cut-off") == []
    assert [text[:26] for text in said("oq-45", scores, "cut-off", unverified=True)] == [
        "40 is at or above 36, clin",
        "70 is at or above 64, clin",
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_by_default_only_published_numbers_speak(path):
    scale = read_definition(path)
    level = {name: sum(scale.bounds(name)) / 2 for name in scale.scores}
    answers = [None] * scale.n_items
    readings = interpret(level, scale, answers=answers)
    assert all(reading.status == "published" for reading in readings)
    assert all(reading.source for reading in readings)
    changes = reliable_changes(scale)
    assert {row.status for row in changes} <= {"published", "derived"}


@pytest.mark.parametrize("path", [path for path in FILES if "wai" in path.stem], ids=lambda path: path.stem)
def test_of_the_wai_nothing_is_said_at_all(path):
    scale = read_definition(path)
    level = {name: scale.bounds(name)[0] for name in scale.scores}
    assert interpret(level, scale, answers=[scale.min] * scale.n_items, unverified=True) == []
    assert reliable_changes(scale, unverified=True) == []


def test_alerts_come_first_the_worst_first_and_an_unanswered_risk_item_is_never_silent():
    answers = [0.0] * 45
    answers[25], answers[43], answers[7] = 2.0, 1.0, None
    readings = interpret({"total": NA}, load_scale("oq-45"), answers=answers)
    assert [reading.text for reading in readings] == [
        "item 8 NOT ANSWERED: suicidal thoughts",
        "item 26 answered 2 (medium): substance use",
        "item 44 answered 1 (medium): anger or violence at work",
    ]


def test_an_alert_just_short_of_its_value_and_an_item_that_may_be_left_out_say_nothing():
    answers = [0.0] * 21
    answers[20] = None
    assert said("dass-21", {}, "alert", answers=answers) == []
    answers[20] = 1.0
    assert said("dass-21", {}, "alert", answers=answers) == ["item 21 answered 1 (info): meaninglessness"]


RULE = Criterion(
    label="x",
    needs=(
        Need(items=(1, 2), present_at=(2, 2), at_least=1, at_most=2),
        Need(items=(1, 2, 3, 4), present_at=(2, 2, 2, 1), at_least=2, at_most=3),
    ),
)


@pytest.mark.parametrize(
    ("answers", "met"),
    [
        pytest.param([2, 0, 2, 0], True, id="met"),
        pytest.param([1, 1, 2, 1], False, id="no core item"),
        pytest.param([2, 0, 0, 0], False, id="too few"),
        pytest.param([2, 0, 0, 1], True, id="an item that counts sooner"),
        pytest.param([2, 2, 2, 1], False, id="too many"),
        pytest.param([2, None, 2, 0], True, id="unanswered, and it does not matter"),
        pytest.param([None, 0, 2, 1], None, id="unanswered, and it decides"),
        pytest.param([2, 0, None, 0], None, id="enough only with the unanswered one"),
        pytest.param([2, 2, 2, None], None, id="too many only with the unanswered one"),
        pytest.param([0, 0, None, None], False, id="unanswered, and no core item all the same"),
        pytest.param([None, None, None, None], None, id="blank"),
    ],
)
def test_a_pattern_has_three_answers(answers, met):
    assert criterion_met(answers, RULE) is met


def test_the_patterns_of_the_phq_9_and_the_pcl_5():
    # Major: a core item at 2 and five in all, the risk item counting from 1.
    major, other = load_scale("phq-9").criteria
    five = [2, 0, 2, 2, 2, 0, 0, 0, 1]
    four = [2, 0, 2, 2, 2, 0, 0, 0, 0]
    assert [criterion_met(five, rule) for rule in (major, other)] == [True, False]
    assert [criterion_met(four, rule) for rule in (major, other)] == [False, True]
    (ptsd,) = load_scale("pcl-5").criteria
    pattern = np.zeros(20)
    pattern[[0, 5, 7, 8, 14, 15]] = 2
    assert criterion_met(list(pattern), ptsd) is True
    pattern[8] = 1
    assert criterion_met(list(pattern), ptsd) is False


@pytest.mark.parametrize(
    ("form", "before", "after", "texts"),
    [
        pytest.param(
            "core-10", 20, 14.1, ["change of -5.9: no reliable change by 6 (level: 90%)"], id="short"
        ),
        pytest.param("core-10", 20, 14, ["change of -6: reliable improvement by 6 (level: 90%)"], id="at it"),
        pytest.param(
            "core-10", 14, 20, ["change of +6: reliable deterioration by 6 (level: 90%)"], id="worse"
        ),
        pytest.param(
            "ors",
            20,
            25,
            ["change of +5: reliable improvement by 5 (level: confidence level not stated)"],
            id="higher is better",
        ),
        pytest.param(
            "pcl-5",
            50,
            34,
            [
                "change of -16: reliable improvement by 15 (level: confidence level not stated, "
                "male US veterans (samples 1 and 2))",
                "change of -16: no reliable change by 18 (level: confidence level not stated, "
                "male US veterans (samples 1 and 2))",
            ],
            id="two published values, both told",
        ),
        pytest.param("core-10", 20, NA, [], id="no score after"),
        pytest.param("srs", 40, 20, [], id="the value of the ORS is not that of the SRS"),
    ],
)
def test_a_change_is_reliable_by_a_published_value_with_its_level(form, before, after, texts):
    readings = interpret_change({"total": before}, {"total": after}, load_scale(form))
    assert [reading.text for reading in readings if reading.status == "published"] == texts


def test_a_remembered_reliable_change_speaks_only_when_asked():
    before, after, wsas = {"total": 30.0}, {"total": 20.0}, load_scale("wsas")
    assert interpret_change(before, after, wsas) == []
    (reading,) = interpret_change(before, after, wsas, unverified=True)
    assert reading.text == (
        "change of -10: reliable improvement by 8 (level: confidence level not stated) (UNVERIFIED)"
    )


def test_a_derived_reliable_change_says_so_and_from_what():
    # The sheet recomputes CORE-10 from alpha .90 and SD 7.7: 6.75 at 95 %.
    (derived,) = [row for row in reliable_changes(load_scale("core-10")) if row.status == "derived"]
    assert derived.value == pytest.approx(6.75, abs=0.005)
    assert derived.level == "95%"
    assert derived.source.startswith("computed from SD 7.7 and reliability 0.9 of clients of UK primary-care")
    (reading,) = interpret_change(
        {"total": 20.0}, {"total": 13.5}, replace(load_scale("core-10"), reliable_change=())
    )
    assert reading.text == "change of -6.5: no reliable change by 6.749 (level: 95%) (derived, not published)"


def test_a_norm_that_somebody_gives_is_used_and_named():
    # Jacobson & Truax (1991): 1.96 * sqrt(2) * 7.5 * sqrt(.2) = 9.297
    given = Norm(sd=7.5, reliability=0.8, status="derived", source="given on the command line")
    row = derived_change("total", given)
    assert row.value == pytest.approx(9.297, abs=0.0005)
    assert row.source == "computed from SD 7.5 and reliability 0.8 (given on the command line)"
    with pytest.raises(ValueError, match=r"^norm must have sd and reliability$"):
        derived_change("total", Norm(sd=7.5))


def test_a_change_in_a_score_that_is_neither_good_nor_bad_is_only_called_a_change():
    seq = load_scale("seq-5").with_unconfirmed()
    row = derived_change("arousal", Norm(sd=1, reliability=0.75, source="x"))
    scale = replace(seq, reliable_change=(row,))
    (reading,) = interpret_change({"arousal": 2.0}, {"arousal": 5.0}, scale)
    assert reading.text == "change of +3: a reliable change by 1.386 (level: 95%) (derived, not published)"


def test_the_direction_of_a_subscale_of_its_own_is_read():
    row = derived_change("isolation", Norm(sd=1, reliability=0.75, source="x"))
    scale = replace(load_scale("scs"), reliable_change=(row,))
    (reading,) = interpret_change({"isolation": 2.0}, {"isolation": 5.0}, scale)
    assert "reliable deterioration" in reading.text
