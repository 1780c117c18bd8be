"""Every wrong key seen in public software: ours differs, and gives what was worked by hand."""

import numpy as np
import pytest

from alliance.errors import DataError, ScaleError
from alliance.interpretation import interpret
from alliance.scale import load_scale
from alliance.scoring import score_form

NA = float("nan")


def scored(name, answers, *, unconfirmed=False):
    scale = load_scale(name)
    scale = scale.with_unconfirmed() if unconfirmed else scale
    cells = ["" if answer is None else f"{answer:g}" for answer in answers]
    found = score_form(cells, scale)
    return {part: found[part] for part in scale.scores}, str(found["note"])


def answers_with(name, items, value, *, others=None):
    """Return a form that answers `items` with `value` and all others with the lowest answer, or `others`."""
    scale = load_scale(name)
    rest = scale.min if others is None else others
    return [value if item in items else rest for item in range(1, scale.n_items + 1)]


def bands(name, score, value):
    return [r.text for r in interpret({score: float(value)}, load_scale(name)) if r.kind == "band"]


def test_arm_5_counts_all_five_items_and_reverses_the_third():
    # One system sums items 1 to 4 (22 here) or averages five unreversed (5.8), or means of subscales (6).
    scores, _ = scored("arm-5", [7, 7, 1, 7, 7])
    assert scores == {"total": 7.0}
    assert scored("arm-5", [7, 7, 7, 7, 7])[0] == {"total": pytest.approx(5.8)}


@pytest.mark.parametrize("name", ["arm-5", "wai-sr", "wai-s", "wai", "haq-2", "tasc-r", "gsrs", "csrs"])
def test_bands_that_somebody_made_up_are_not_here(name):
    scale = load_scale(name)
    assert (scale.bands, scale.cutoffs) == ((), ())


def test_wai_36_keeps_the_subscales_of_the_client_form():
    # A public tool for observers swaps 21 and 35, moves 16, 18 and 24 to goal, and 9, 25 and 34 to task.
    scores, _ = scored("wai", answers_with("wai", {21, 9, 25, 34}, 7))
    assert scores == {"goal": 48 - 6 + 6 - 6, "task": 42, "bond": 30 + 6, "total": 120}


@pytest.mark.parametrize("name", ["wai-o", "wai-o-s"])
def test_observer_forms_give_the_total_only(name):
    assert load_scale(name).scores == ("total",)


def test_the_wai_reverses_fourteen_items():
    # A test site sums without reversing: 252 for all 7.
    assert scored("wai", [7] * 36)[0]["total"] == 168


def test_wai_s_is_not_scored_with_the_key_of_the_wai_sr():
    # A public platform prints the WAI-SR key for the WAI-S: nothing reversed, 8 under goal, 10 under task.
    answers = [5, 5, 3, 1, 3, 2, 3, 5, 3, 1, 2, 5]
    assert scored("wai-s", answers)[0] == {"goal": 18, "task": 20, "bond": 12, "total": 50}
    assert scored("wai-sr", answers)[0] == {
        "goal": 2.5, "task": 4.0, "bond": 3.0, "total": pytest.approx(38 / 12)
    }  # fmt: skip


def test_wai_sr_refuses_seven_point_answers():
    # A trial's code simulates the WAI-SR with totals of 12 to 84; a vendor gives it 1 to 7.
    with pytest.raises(DataError) as caught:
        score_form(["6"] * 12, load_scale("wai-sr"))
    assert str(caught.value).startswith("error: answers that are no whole numbers from 1 to 5")


def test_srs_lines_begin_at_0():
    # Several apps rate each item 1 to 10, for a total of 4 to 40.
    assert scored("srs", [0, 0, 0, 0])[0] == {"total": 0.0}
    assert load_scale("srs").bounds("total") == (0, 40)


def test_the_reliable_change_of_the_ors_is_not_that_of_the_srs():
    assert [row.value for row in load_scale("ors").reliable_change] == [5]
    assert load_scale("srs").reliable_change == ()


@pytest.mark.parametrize(("name", "low", "high"), [("wai", 1, 7), ("haq-2", 1, 6), ("tasc-r", 1, 4)])
def test_a_reversed_answer_is_the_sum_of_the_ends_minus_the_answer(name, low, high):
    # 8 - x, 7 - x and 5 - x: not max - x, which would lose a point an item.
    scale = load_scale(name)
    scores, _ = scored(name, answers_with(name, set(scale.reverse), high))
    assert scores["total"] == scale.n_items * low


def test_dass_21_does_not_swap_depression_and_anxiety():
    # Two public keys agree with each other, and are both wrong: this form would be anxiety 42 there.
    answers = answers_with("dass-21", {3, 5, 10, 13, 16, 17, 21}, 3)
    assert scored("dass-21", answers)[0] == {"depression": 42, "anxiety": 0, "stress": 0, "total": 42}
    regrouped = answers_with("dass-21", {1, 2, 3, 4, 5, 6, 7}, 3)
    assert scored("dass-21", regrouped)[0] == {"depression": 12, "anxiety": 18, "stress": 12, "total": 42}


@pytest.mark.parametrize(
    ("score", "value", "label"),
    [
        # A page has stress 0-10, 11-18, 19-26 and anxiety 0-6, 7-9; another prints the bands before doubling.
        ("stress", 14, "14 is normal, 0 to 14"),
        ("stress", 26, "26 is severe, 26 to 33"),
        ("anxiety", 7, "7 is normal, 0 to 7"),
        ("depression", 9, "9 is normal, 0 to 9"),
    ],
)
def test_dass_21_bands_are_those_of_doubled_scores(score, value, label):
    assert bands("dass-21", score, value) == [label]


def test_core_om_does_not_reverse_item_30():
    # A library with tests reverses nine items: this form would score 32 / 34 * 10 - 40 / 34 there.
    scores, _ = scored("core-om", answers_with("core-om", {30}, 4))
    assert scores["problems"] == pytest.approx(4 / 12)
    assert scores["total"] == pytest.approx(10 * (8 * 4 + 4) / 34)
    assert load_scale("core-om").reverse == (3, 4, 7, 12, 19, 21, 31, 32)


def test_core_om_divides_by_the_items_that_were_answered():
    # Dividing by the length of the form would give 10 * 32 * ... / 34 for three items left out.
    answers = answers_with("core-om", set(), 0, others=2)
    answers[0] = answers[13] = answers[29] = None
    scores, note = scored("core-om", answers)
    assert scores["total"] == pytest.approx(20.0)
    assert "prorated" in note


def test_oq_45_reverses_nine_items_and_its_risk_item_is_8():
    # Two public keys reverse 19 or more, one with the risk item at 7.
    reverse = (1, 12, 13, 20, 21, 24, 31, 37, 43)
    assert load_scale("oq-45").reverse == reverse
    assert scored("oq-45", [4] * 45)[0]["total"] == 36 * 4
    at_eight = answers_with("oq-45", {8}, 1)
    at_seven = answers_with("oq-45", {7}, 1)
    assert "item 8 answered 1 or more: suicidal thoughts" in scored("oq-45", at_eight)[1]
    assert scored("oq-45", at_seven)[1] == "provisional key"


def test_k10_bands_belong_to_answers_from_1_to_5():
    # A toolkit codes 0 to 4 and prints bands of 10 to 50: a client loses ten points and a band.
    with pytest.raises(DataError):
        score_form(["0"] * 10, load_scale("k10"))
    assert scored("k10", [3] * 10)[0] == {"total": 30}
    assert scored("k10-0-4", [2] * 10)[0] == {"total": 20}
    assert (load_scale("k10-0-4").bands, load_scale("k10-0-4").cutoffs) == ((), ())
    assert load_scale("k6-1-5").cutoffs == ()


def test_the_k6_is_never_taken_from_the_k10():
    # The items circulate in another order, where the K6 would be others.
    assert load_scale("k10").scores == ("total",)


def test_who_5_raw_13_is_52_and_not_poor():
    scores, _ = scored("who-5", [3, 3, 3, 2, 2])
    assert scores == {"total": 52}
    (reading,) = interpret({"total": 52.0}, load_scale("who-5"))
    assert reading.text.startswith("52 is not below 50")
    (reading,) = interpret({"total": 48.0}, load_scale("who-5"))
    assert reading.text.startswith("48 is below 50")


def test_who_5_places_are_another_definition():
    assert scored("who-5-position", [3, 3, 3, 4, 4])[0] == scored("who-5", [3, 3, 3, 2, 2])[0]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        # A page begins mild at 11, moderate at 16, moderate-to-severe at 21 and severe at 26.
        (15, "15 is moderate, 15 to 19"),
        (20, "20 is moderate-to-severe, 20 to 24"),
        (25, "25 is severe, 25 to 40"),
    ],
)
def test_core_10_bands(value, label):
    assert bands("core-10", "total", value) == [label]


def test_core_10_reverses_2_and_3_unlike_its_version_for_young_people():
    # YP-CORE reverses 3, 5 and 10.
    assert scored("core-10", [0, 4, 4, 0, 0, 0, 0, 0, 0, 0])[0] == {"total": 0.0}


def test_csq_8_printed_values_are_not_turned_again():
    # A page reverses 2, 4, 5 and 8. The form prints 1 3 6 7 from 4 to 1: only places need turning, and those.
    assert load_scale("csq-8").reverse == ()
    assert load_scale("csq-8").descending == (1, 3, 6, 7)
    best_printed, best_places = [4] * 8, [1, 4, 1, 4, 4, 1, 1, 4]
    assert scored("csq-8", best_printed)[0] == {"total": 32}
    assert scored("csq-8-position", best_places)[0] == {"total": 32}
    assert scored("csq-8", best_places)[0] == {"total": 20}


def test_ors_25_itself_is_not_clinical():
    (cutoff,) = [row for row in load_scale("ors").cutoffs if row.population == "adults"]
    assert (cutoff.op, cutoff.value, cutoff.inclusive) == ("<", 25, False)


def test_phq_9_caseness_begins_at_10():
    # A service's page puts it at 9.
    texts = [r.text for r in interpret({"total": 9.0}, load_scale("phq-9")) if r.kind == "cut-off"]
    assert [text[:27] for text in texts] == ["9 is not at or above 10, pr"]


def test_a_phq_9_file_with_an_item_too_many_is_refused(command, tmp_path):
    # A study's battery puts another item before the risk item: the ninth column is then not the ninth item.
    file = tmp_path / "battery.csv"
    header = ",".join(["case", "session", *(f"q{number}" for number in range(1, 11))])
    file.write_text(f"{header}\nC1,1,0,0,0,0,0,0,0,0,0,3\n", encoding="utf-8")
    done = command("score", file, "--scale", "phq-9")
    assert done.code == 3
    assert "the form 'phq-9' has 9 items, and the file also answers q10" in done.err


def test_gad_7_does_not_depend_on_its_anchors():
    # Many publications print the lowest answer wrongly: the number counts.
    assert scored("gad-7", [0, 1, 2, 3, 0, 1, 2])[0] == {"total": 9}
    assert load_scale("gad-7").anchors == {}


def test_scs_sf_is_not_scored_with_the_key_of_the_shuffled_form():
    # Course data list the items in another order, with 1 2 3 6 8 11 reversed: 1 for this form there.
    shuffled = answers_with("scs-sf", {1, 2, 3, 6, 8, 11}, 5)
    assert scored("scs-sf", shuffled)[0]["total"] == pytest.approx((3 * 1 + 3 * 5 + 3 * 5 + 3 * 1) / 12)
    ours = answers_with("scs-sf", {1, 4, 8, 9, 11, 12}, 5)
    assert scored("scs-sf", ours)[0]["total"] == 1.0


@pytest.mark.parametrize("name", ["scs", "scs-sf"])
def test_negative_subscales_are_given_as_answered_and_turned_in_the_total_only(name):
    scale = load_scale(name)
    scores, _ = scored(name, [5] * scale.n_items)
    assert scores["isolation"] == 5.0
    assert scores["total"] == 3.0
    assert scale.formulas["isolation"].direction == "higher_is_worse"


def test_wsas_without_work_has_no_total():
    # A public task sums items 2 to 5 and still prints it out of 40.
    scores, note = scored("wsas", [None, 8, 8, 8, 8])
    assert np.isnan(scores["total"])
    assert note == "no total: too many unanswered items"


def test_pcl_5_change_is_not_that_of_the_checklist_for_dsm_4():
    # A much copied text gives 5 and 10 points.
    assert [row.value for row in load_scale("pcl-5").reliable_change] == [15, 18]
    assert {row.population for row in load_scale("pcl-5").reliable_change} == {
        "male US veterans (samples 1 and 2)"
    }


def test_oq_30_with_its_two_reliable_changes_is_on_hold():
    with pytest.raises(ScaleError, match=r"^error: 'oq-30' is on hold"):
        load_scale("oq-30")


@pytest.mark.parametrize(
    ("name", "words"), [("core-10", "BY-ND 4.0"), ("core-om", "BY-ND 4.0"), ("who-5", "non-commercial")]
)
def test_the_licence_is_the_owners_own_or_the_stricter(name, words):
    assert words in load_scale(name).licence


def test_a_percentage_never_swamps_a_nine_point_answer():
    scores, _ = scored("ceq", [5, 5, 5, 100, 1, 100], unconfirmed=True)
    assert scores == {"credibility": 15, "expectancy": pytest.approx((9 + 1 + 9) / 3)}


def test_phq_8_says_that_it_has_no_risk_item():
    assert load_scale("phq-8").alerts == ()
    assert load_scale("phq-8").told == (
        "phq-8: has no risk item by design: that it reports none is no sign of safety",
    )


def test_a_missing_risk_item_is_told_and_never_made_up():
    scores, note = scored("phq-9", [3, 3, 3, 3, 3, 3, 3, 3, None])
    assert np.isnan(scores["total"])
    assert note.startswith("item 9 not answered: suicide or self-harm thoughts; ")


def test_identical_answers_on_the_ccaps_are_not_scored():
    scores, note = scored("ccaps-34", [2] * 34)
    assert all(np.isnan(value) for value in scores.values())
    assert note.endswith("not scored: all answers alike")
