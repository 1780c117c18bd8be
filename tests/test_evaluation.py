"""Detectors against the truth: matching by hand, coefficients, counts against a slow twin, intervals."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.courses import Courses
from alliance.evaluation.agreement import coefficients, ratio
from alliance.evaluation.counting import Counts, alarm_counts, count
from alliance.evaluation.figures import figures_of, interval, median, rate_interval, rate_of, resampled
from alliance.evaluation.labels import labelled
from alliance.evaluation.matching import FALSE, NEITHER, RIGHT, match
from alliance.evaluation.planted import Planted
from alliance.evaluation.truth import KINDS, WITHIN, last_sessions, neighbours, runs, take_courses
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.verdict import EVALUATED, Verdict, constant

NA = np.nan
VALUES = {"0": 0.0, "1": 1.0, ".": NA}


def read(text):
    """Return 0, 1 and NaN for a text such as 0110.1, where . is missing."""
    return np.array([VALUES[letter] for letter in text])


def course(text, sessions=None):
    return Courses.of([50.0] * len(text), sessions=sessions)


def said(courses, met, *, reference=50.0, sigma=2.0):
    """Return a verdict that says `met`; episodes follow from it."""
    n_forms = len(met)
    return Verdict(
        met=met,
        statistic=np.zeros(n_forms),
        limit=np.zeros(n_forms),
        reference=constant(reference, n_forms),
        sigma=constant(sigma, n_forms),
        df=constant(np.inf, n_forms),
        n_reference=np.zeros(n_forms, dtype=np.int64),
        state=np.full(n_forms, EVALUATED, dtype=np.int8),
        needed=1,
        follow=lambda: follow_flags(
            courses, met, constant(reference, n_forms), constant(sigma, n_forms), RepairRule()
        ),
    )


def joined(*series):
    """Return the courses of several series of one score each session."""
    lengths = np.array([len(each) for each in series])
    return Courses(
        values=np.concatenate([np.asarray(each, dtype=float) for each in series]),
        session=np.concatenate([np.arange(1, len(each) + 1) for each in series]),
        starts=np.cumsum(lengths) - lengths,
    )


def figure(found, name, window="window"):
    (one,) = [each for each in found if (each.name, each.window) == (name, window)]
    return one


# Coefficients


def worked():
    """Truth at sessions 5, 11 and 12 of 20, flags at 5, 8 and 12."""
    label, met = np.zeros(20), np.zeros(20)
    label[[4, 10, 11]] = 1
    met[[4, 7, 11]] = 1
    return course("0" * 20), label, met


def test_the_worked_example_of_agreement_by_session():
    courses, label, met = worked()
    found = figures_of(count(courses, said(courses, met), labelled(courses, label)), replicates=0)
    numbers = {each.name: each.value for each in found if each.window == "exact"}
    assert numbers == {
        "sensitivity": pytest.approx(0.6667, abs=5e-5),
        "specificity": pytest.approx(0.9412, abs=5e-5),
        "ppv": pytest.approx(0.6667, abs=5e-5),
        "npv": pytest.approx(16 / 17),
        "prevalence": pytest.approx(3 / 20),
        "kappa": pytest.approx(0.607843, abs=5e-7),
        "ac1": pytest.approx(0.865772, abs=5e-7),
        "pabak": pytest.approx(0.8),
        "mcc": pytest.approx(0.607843, abs=5e-7),
        "false alarms per 100 sessions": pytest.approx(5.88, abs=5e-3),
    }


def test_the_worked_example_within_two_sessions():
    # Ruptures 5 and 11-12 with windows 5-7 and 11-13: found at once and a session late. Session 8 is the only
    # false alarm among 14 sessions outside of the windows.
    courses, label, met = worked()
    found = figures_of(count(courses, said(courses, met), labelled(courses, label)), replicates=0)
    numbers = {each.name: each.value for each in found if each.window == "window"}
    assert numbers["sensitivity"] == 1
    assert numbers["ppv"] == pytest.approx(2 / 3)
    assert numbers["specificity"] == pytest.approx(13 / 14)
    assert numbers["npv"] == 1
    assert numbers["prevalence"] == pytest.approx(2 / 16)
    assert numbers["false alarms per 100 sessions"] == pytest.approx(100 / 14)
    assert numbers["median delay"] == 0.5
    assert numbers["mean delay"] == 0.5
    assert numbers["ruptures never flagged"] == 0
    assert np.isnan(numbers["cases falsely flagged"])


def test_kappa_equals_statsmodels():
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    rng = np.random.default_rng(1)
    for _ in range(50):
        tp, fp, fn, tn = rng.integers(1, 40, 4)
        expected = inter_rater.cohens_kappa(np.array([[tp, fn], [fp, tn]])).kappa
        assert coefficients(tp, fp, fn, tn)["kappa"] == pytest.approx(expected, abs=1e-12)


def test_coefficients_without_a_denominator_are_missing():
    nothing = {name: float(value) for name, value in coefficients(0, 0, 0, 0).items()}
    assert all(np.isnan(value) for value in nothing.values())
    quiet = {name: float(value) for name, value in coefficients(0, 0, 0, 9).items()}
    assert [name for name, value in quiet.items() if np.isnan(value)] == [
        "sensitivity",
        "ppv",
        "kappa",
        "mcc",
    ]
    assert (quiet["specificity"], quiet["npv"], quiet["ac1"], quiet["pabak"]) == (1, 1, 1, 1)


def test_swapping_truth_and_flags_swaps_sensitivity_and_ppv_only():
    one, other = coefficients(7, 3, 2, 40), coefficients(7, 2, 3, 40)
    assert one["sensitivity"] == other["ppv"] == 7 / 9
    assert one["specificity"] == other["npv"] == 40 / 43
    assert one["prevalence"] == 9 / 52
    for name in ("kappa", "ac1", "pabak", "mcc"):
        assert one[name] == pytest.approx(other[name], abs=1e-15)


def test_a_ratio_is_missing_only_where_its_denominator_is_zero():
    np.testing.assert_array_equal(ratio([0.0, 3.0, 0.0], [2.0, 0.0, 0.0]), [0, NA, NA])


# Runs and windows


@pytest.mark.parametrize(
    ("yes", "sessions", "expected"),
    [
        pytest.param("0110", None, [(1, 2)], id="one run"),
        pytest.param("1101", None, [(0, 1), (3, 3)], id="two runs"),
        pytest.param("111", None, [(0, 2)], id="all"),
        pytest.param("000", None, [], id="none"),
        pytest.param("111", [1, 2, 4], [(0, 1), (2, 2)], id="a skipped session ends a run"),
        pytest.param("1.1", None, [(0, 0), (2, 2)], id="a session without a verdict ends a run"),
        pytest.param("", None, [], id="no session"),
        pytest.param("1", None, [(0, 0)], id="one session"),
    ],
)
def test_runs_are_sessions_directly_after_one_another(yes, sessions, expected):
    first, last = runs(course(yes, sessions), read(yes) == 1)
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == expected


def test_a_run_ends_with_its_series_and_at_a_long_gap():
    both = joined([1, 1], [1, 1])
    first, last = runs(both, np.full(4, True))
    assert (first.tolist(), last.tolist()) == ([0, 2], [1, 3])
    apart = Courses.of([1, 1, 1], days=[0, 7, 40])
    assert runs(apart, np.full(3, True))[0].tolist() == [0, 2]
    assert neighbours(apart).tolist() == [False, True, False]


def test_last_sessions_of_empty_series_are_minus_one():
    gappy = Courses(values=np.ones(3), session=np.array([1, 4, 2]), starts=np.array([0, 2, 2, 3]))
    assert last_sessions(gappy).tolist() == [4, -1, 2, -1]


def test_taking_series_keeps_their_rows_sessions_and_days():
    both = Courses(
        values=np.arange(5.0),
        session=np.array([1, 2, 1, 3, 4]),
        starts=np.array([0, 2]),
        day=np.array([0.0, 7, 1, 2, 3]),
    )
    one = take_courses(both, np.array([False, True]))
    assert one.values.tolist() == [2, 3, 4]
    assert one.session.tolist() == [1, 3, 4]
    assert one.starts.tolist() == [0]
    assert one.day.tolist() == [1, 2, 3]


# Labels


@pytest.mark.parametrize(
    ("label", "within", "free"),
    [
        pytest.param("0010000", 2, "1100011", id="onset and two sessions"),
        pytest.param("0010000", 0, "1101111", id="the session only"),
        pytest.param("0011111000", 2, "1100000111", id="as long as it lasts"),
        pytest.param("00100100", 2, "11000000", id="windows that touch"),
        pytest.param("0.10.000", 2, "10000111", id="what is not observed is not free"),
        pytest.param("0000", 2, "1111", id="no rupture"),
        pytest.param("....", 2, "0000", id="nothing observed"),
    ],
)
def test_free_of_rupture_is_what_lies_outside_of_every_window(label, within, free):
    truth = labelled(course(label), read(label), within=within)
    np.testing.assert_array_equal(truth.free, read(free) == 1)
    np.testing.assert_array_equal(truth.quiet, truth.free)


def test_windows_count_sessions_not_rows_and_stop_at_the_end_of_a_series():
    skipped = labelled(course("1000", [1, 3, 4, 5]), read("1000"))
    assert skipped.free.tolist() == [False, False, True, True]
    both = labelled(joined([0, 0], [0, 0]), read("0100"))
    assert both.free.tolist() == [True, False, True, True]
    assert both.quiet_series.tolist() == [False, True]


def test_series_without_any_label_are_not_quiet():
    truth = labelled(joined([0, 0], [0, 0], [0, 0]), read("..0.01"))
    assert truth.quiet_series.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("label", "repaired"),
    [
        pytest.param("0100", [1], id="over at the next session"),
        pytest.param("0111111000", [1], id="over six sessions after the onset"),
        pytest.param("0111111100", [0], id="still there six sessions after the onset"),
        pytest.param("01111111", [0], id="still there at the end"),
        pytest.param("0111", [NA], id="the end comes first"),
        pytest.param("01.0", [NA], id="what follows is not observed"),
        pytest.param("010010", [1, 1], id="two ruptures"),
        pytest.param("000", [], id="none"),
    ],
)
def test_a_labelled_rupture_is_repaired_if_the_next_session_is_free(label, repaired):
    np.testing.assert_array_equal(labelled(course(label), read(label)).ruptures.repaired, repaired)


def test_a_skipped_session_after_a_rupture_leaves_its_repair_open():
    truth = labelled(course("010", [1, 2, 4]), read("010"))
    np.testing.assert_array_equal(truth.ruptures.repaired, [NA])
    ends_with_series = labelled(joined([0, 0], [0, 0]), read("0100"))
    np.testing.assert_array_equal(ends_with_series.ruptures.repaired, [NA])


def test_a_window_below_zero_is_refused():
    with pytest.raises(ValueError, match=r"^within must be at least 0, got -1$"):
        labelled(course("01"), read("01"), within=-1)


# Matching


@pytest.mark.parametrize(
    ("label", "met", "delays", "verdicts"),
    [
        pytest.param("0000100000", "0001000000", [-1], [FALSE], id="one before the onset"),
        pytest.param("0000100000", "0000100000", [0], [RIGHT], id="at the onset"),
        pytest.param("0000100000", "0000001000", [2], [RIGHT], id="two sessions later"),
        pytest.param("0000100000", "0000000100", [-1], [FALSE], id="three sessions later"),
        pytest.param("0000100000", "0000111000", [0], [RIGHT], id="a run is one alarm"),
        pytest.param("0000100000", "0111100000", [0], [RIGHT], id="a run that began before"),
        pytest.param("0000100000", "0000001111", [2], [RIGHT], id="a run that goes on"),
        pytest.param("0000100000", "0000101000", [0], [RIGHT, NEITHER], id="a second alarm in the window"),
        pytest.param("0000100000", "0100101010", [0], [FALSE, RIGHT, NEITHER, FALSE], id="all sorts"),
        pytest.param("0001010000", "0000010000", [2, -1], [RIGHT], id="two ruptures, one flag"),
        pytest.param("0001010000", "0001010000", [0, 0], [RIGHT, RIGHT], id="two ruptures, two flags"),
        pytest.param("0001010000", "0000010100", [2, 2], [RIGHT, RIGHT], id="the second takes the next"),
        pytest.param("0001010000", "0001111000", [0, -1], [RIGHT], id="two ruptures, one run"),
        pytest.param("0001111100", "0000001000", [-1], [NEITHER], id="too late, while it lasts"),
        pytest.param("0001111100", "0000000010", [-1], [FALSE], id="after it is over"),
        pytest.param("0000000001", "0000000001", [0], [RIGHT], id="label at the last session"),
        pytest.param("0000000001", "0000000010", [-1], [FALSE], id="label at the last session, flag before"),
        pytest.param("1000000000", "1000000000", [0], [RIGHT], id="label at the first session"),
        pytest.param("0000100000", "0000.01000", [2], [RIGHT], id="no verdict at the onset"),
        pytest.param("0000100000", "0000...000", [-1], [], id="no verdict in the window"),
        pytest.param("00..1.0000", "0010010000", [1], [NEITHER, RIGHT], id="alarm on an unlabelled session"),
        pytest.param("0000000000", "0100010000", [], [FALSE, FALSE], id="no rupture"),
        pytest.param("0000100000", "0000000000", [-1], [], id="no flag"),
        pytest.param("..........", "0100000000", [], [NEITHER], id="no label"),
        pytest.param("", "", [], [], id="no session"),
    ],
)
def test_alarms_are_matched_by_hand(label, met, delays, verdicts):
    courses = course(label)
    found = match(courses, read(met), labelled(courses, read(label)))
    assert found.delay.tolist() == delays
    assert found.verdict.tolist() == verdicts
    assert (found.alarm >= 0).tolist() == [delay >= 0 for delay in delays]


def test_windows_of_the_matching_count_sessions_not_rows():
    courses = course("0100", [1, 2, 4, 5])
    near, far = (match(courses, read(met), labelled(courses, read("0100"))) for met in ("0010", "0001"))
    assert near.delay.tolist() == [2]
    assert far.delay.tolist() == [-1]


def test_a_flag_belongs_to_its_own_series():
    courses = joined([0] * 3, [0] * 3)
    found = match(courses, read("000100"), labelled(courses, read("001000")))
    assert found.delay.tolist() == [-1]
    assert found.verdict.tolist() == [FALSE]


@pytest.mark.parametrize(
    ("label", "met", "blind", "never"),
    [
        pytest.param("000100000", "000..0000", False, True, id="one verdict in the window"),
        pytest.param("000100000", "000...000", True, True, id="no verdict in the window"),
        pytest.param("000100000", "000...100", True, True, id="flag behind the window"),
        pytest.param("000111110", "000000010", False, False, id="flag while it lasts"),
        pytest.param("000111110", "000000001", False, True, id="flag after it is over"),
        pytest.param("000100000", "000001000", False, False, id="flag in the window"),
    ],
)
def test_ruptures_without_a_verdict_and_those_never_flagged(label, met, blind, never):
    courses = course(label)
    found = match(courses, read(met), labelled(courses, read(label)))
    assert found.blind.tolist() == [blind]
    assert found.never.tolist() == [never]


def slow_alarms(sessions, met):
    """Return alarms as lists of sessions, written down one session after the other."""
    alarms = []
    for session, verdict in zip(sessions, met, strict=True):
        if verdict == 1 and alarms and alarms[-1][-1] == session - 1:
            alarms[-1].append(session)
        elif verdict == 1:
            alarms.append([session])
    return alarms


def slow_counts(sessions, label, met, within):
    """Return what is counted of one series, in plain Python."""
    alarms = slow_alarms(sessions, met)
    ruptures = slow_alarms(sessions, label)
    taken, delays = set(), []
    for rupture in ruptures:
        window = range(rupture[0], rupture[0] + within + 1)
        fits = [n for n, alarm in enumerate(alarms) if n not in taken and set(alarm) & set(window)]
        if fits:
            taken.add(fits[0])
            delays.append(min(set(alarms[fits[0]]) & set(window)) - rupture[0])
    covered = {session for rupture in ruptures for session in range(rupture[0], rupture[0] + within + 1)}
    free = {
        session
        for session, value in zip(sessions, label, strict=True)
        if value == 0 and session not in covered
    }
    judged = {session for session, value in zip(sessions, met, strict=True) if value in {0, 1}}
    flags = {session for session, value in zip(sessions, met, strict=True) if value == 1}
    false = [alarm for n, alarm in enumerate(alarms) if n not in taken and alarm[0] in free]
    return {
        "tp": len(delays),
        "fn": len(ruptures) - len(delays),
        "fp": len(false),
        "tn": len((free & judged) - flags),
        "right alarms": len(taken),
        "other alarms": len(alarms) - len(taken) - len(false),
        **{f"delay {late}": delays.count(late) for late in range(within + 1)},
    }


WORDS = st.lists(st.sampled_from("000011."), min_size=0, max_size=14).map("".join)


@settings(max_examples=150, deadline=None)
@given(
    series=st.lists(st.tuples(WORDS, st.randoms(use_true_random=False)), min_size=1, max_size=5),
    within=st.integers(0, 3),
)
def test_counts_equal_a_slow_twin_on_random_series_with_gaps(series, within):
    drawn = []
    for met, random in series:
        label = "".join(random.choice("000011.") for _ in met)
        sessions = list(itertools.accumulate(random.choice([1, 1, 1, 2, 4]) for _ in met))
        drawn.append((sessions, read(label), read(met)))
    lengths = np.array([len(each[0]) for each in drawn])
    courses = Courses(
        values=np.full(lengths.sum(), 50.0),
        session=np.concatenate([np.array(each[0], dtype=np.int64) for each in drawn]),
        starts=np.cumsum(lengths) - lengths,
    )
    label, met = (np.concatenate([each[place] for each in drawn]) for place in (1, 2))
    found = count(courses, said(courses, met), labelled(courses, label, within=within))
    for place, (sessions, own_label, own_met) in enumerate(drawn):
        expected = slow_counts(sessions, own_label, own_met, within)
        got = {name: int(found[name][place]) for name in expected if name in found.names}
        assert got == {name: value for name, value in expected.items() if name in found.names}
        assert all(value == 0 for name, value in expected.items() if name not in found.names)


def most_matches(windows, alarms):
    """Return how many ruptures can be matched at most, by trying everything."""
    if not windows:
        return 0
    best = most_matches(windows[1:], alarms)
    for place, alarm in enumerate(alarms):
        if set(alarm) & set(windows[0]):
            best = max(best, 1 + most_matches(windows[1:], alarms[:place] + alarms[place + 1 :]))
    return best


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("0001"), st.sampled_from("0011")), min_size=1, max_size=12))
def test_matching_finds_as_many_ruptures_as_can_be_found(pairs):
    label, met = ("".join(letters) for letters in zip(*pairs, strict=True))
    courses = course(label)
    found = match(courses, read(met), labelled(courses, read(label)))
    sessions = courses.session.tolist()
    windows = [range(each[0], each[0] + 3) for each in slow_alarms(sessions, read(label))]
    assert int((found.alarm >= 0).sum()) == most_matches(windows, slow_alarms(sessions, read(met)))
    taken = found.alarm[found.alarm >= 0]
    assert len(set(taken.tolist())) == len(taken)


def test_a_single_long_case_with_thousands_of_ruptures_is_matched_quickly():
    label = np.tile([1.0, 0.0, 0.0, 0.0], 2500)
    courses = course("0" * len(label))
    found = match(courses, np.roll(label, 1), labelled(courses, label))
    assert (found.delay == 1).all()
    assert (found.verdict == RIGHT).all()


# Sessions without a verdict or a label


def test_sessions_without_a_verdict_are_left_out_and_counted():
    courses = Courses.of([50, 50, NA, 50, 50, 50, 50, 50])
    found = count(courses, said(courses, read("1.." + "01.00")), labelled(courses, read("1100110.")))
    numbers = {name: int(found[name][0]) for name in found.names}
    assert {
        name: numbers[name] for name in ("sessions", "judged", "labelled", "left out", "left out ruptures")
    } == {
        "sessions": 7,
        "judged": 5,
        "labelled": 6,
        "left out": 2,
        "left out ruptures": 2,
    }
    assert [numbers[f"exact {name}"] for name in ("tp", "fp", "fn", "tn", "free")] == [2, 0, 0, 2, 2]


def test_a_rupture_without_any_verdict_counts_as_missed_and_is_counted_apart():
    courses = course("000100000")
    found = count(courses, said(courses, read("000...000")), labelled(courses, read("000100000")))
    assert (found["tp"][0], found["fn"][0], found["blind"][0], found["ruptures"][0]) == (0, 1, 1, 1)


def test_rates_are_per_scored_session_also_without_a_verdict():
    courses = Courses.of([50, 50, NA, 50, 50])
    found = count(courses, said(courses, read("...01")), labelled(courses, read("00000")))
    assert (found["quiet"][0], found["false alarms"][0], found["tn"][0]) == (4, 1, 1)
    assert rate_of(found) == 25
    slim = alarm_counts(courses, read("...01"), labelled(courses, read("00000")))
    assert rate_of(slim) == 25


def test_calm_cases_need_a_verdict():
    courses = joined([0] * 3, [0] * 3, [0] * 3, [0] * 3)
    found = count(courses, said(courses, read("...00.01011.")), labelled(courses, read("000000000010")))
    assert found["calm cases"].tolist() == [0, 1, 1, 0]
    assert found["calm flagged"].tolist() == [0, 0, 1, 0]


def test_a_flag_on_a_session_nobody_labelled_flags_no_case_falsely():
    courses = joined([0] * 3, [0] * 3)
    found = count(courses, said(courses, read("010" + "01.")), labelled(courses, read("0.0" + ".10")))
    assert (found["calm cases"].tolist(), found["calm flagged"].tolist()) == ([1, 0], [0, 0])
    unseen = count(courses, said(courses, read(".1." + "000")), labelled(courses, read("0.0" + "...")))
    assert unseen["calm cases"].tolist() == [0, 0]


# Planted ruptures


def planted(kind, onset, reached=None):
    n_cases = len(kind)
    return Planted(
        case=np.array([f"C{place}" for place in range(n_cases)], dtype=object),
        kind=np.array([KINDS.index(name) for name in kind]),
        onset=np.array(onset),
        reached=np.full(n_cases, NA) if reached is None else np.array(reached, dtype=float),
    )


def test_the_kinds_are_those_of_the_simulation():
    from alliance.simulate import KINDS as SIMULATED

    assert KINDS == SIMULATED
    assert dict(zip(KINDS[1:], WITHIN[1:], strict=True)) == {"v1": 0, "v3": 2, "step": 2, "ramp": 6}


def test_the_truth_about_planted_ruptures_by_hand():
    courses = joined(*[[0] * 8] * 6)
    what = planted(["none", "v1", "v3", "step", "ramp", "v1"], [0, 5, 6, 5, 3, 9], [1, 1, 1, 1, 1, 0])
    truth = what.truth(courses, what.case)
    assert truth.quiet_series.tolist() == [True, False, False, False, False, True]
    ruptures = truth.ruptures
    assert ruptures.series.tolist() == [1, 2, 3, 4]
    assert ruptures.onset.tolist() == [5, 6, 5, 3]
    assert ruptures.within.tolist() == [0, 2, 2, 6]
    assert ruptures.until.tolist() == [5, 8, 8, 9]
    np.testing.assert_array_equal(ruptures.repaired, [1, NA, 0, 0])
    np.testing.assert_array_equal(truth.label[8:16], [0, 0, 0, 0, 1, NA, NA, NA])
    np.testing.assert_array_equal(truth.free[8:16], [True] * 4 + [False] * 4)
    assert not truth.quiet[8:40].any()
    assert truth.quiet[:8].all()
    assert truth.quiet[40:].all()
    np.testing.assert_array_equal(truth.label[40:], np.zeros(8))


@pytest.mark.parametrize(
    ("kind", "onset", "n_sessions", "repaired"),
    [
        pytest.param("v1", 5, 6, 1, id="v1 back at the next session"),
        pytest.param("v1", 5, 5, NA, id="v1 at the last session"),
        pytest.param("v3", 5, 8, 1, id="v3 back after three"),
        pytest.param("v3", 5, 7, NA, id="v3 not yet back"),
        pytest.param("step", 5, 5, 0, id="a step stays"),
    ],
)
def test_the_repair_of_a_planted_rupture_follows_from_its_kind(kind, onset, n_sessions, repaired):
    what = planted([kind], [onset])
    np.testing.assert_array_equal(
        what.truth(joined([0] * n_sessions), what.case).ruptures.repaired, [repaired]
    )


def test_without_reached_an_onset_behind_the_last_session_is_no_rupture():
    what = planted(["v1", "v1"], [4, 5])
    truth = what.truth(joined([0] * 4, [0] * 4), what.case)
    assert truth.quiet_series.tolist() == [False, True]


def test_planted_ruptures_count_by_kind():
    courses = joined(*[[50] * 12] * 5)
    what = planted(["v1", "v1", "v3", "ramp", "none"], [5, 5, 5, 5, 0])
    met = ["000010000000", "000001000000", "000000100000", "000000000010", "010000000110"]
    met[3] = "000...000010"
    found = count(courses, said(courses, read("".join(met))), what.truth(courses, what.case)).total()
    got = {name: int(found[name][0]) for name in found.names}
    assert [got[f"{kind} found"] for kind in KINDS[1:]] == [1, 1, 0, 1]
    assert [got[f"{kind} planted"] for kind in KINDS[1:]] == [2, 1, 0, 1]
    assert [got[f"{kind} delay"] for kind in KINDS[1:]] == [0, 2, 0, 6]
    assert [got[f"delay {late}"] for late in range(7)] == [1, 0, 1, 0, 0, 0, 1]
    assert (got["false alarms"], got["quiet"], got["fp"]) == (2, 12, 2)
    assert (got["other alarms"], got["right alarms"]) == (1, 3)


def test_false_alarms_before_an_onset_count_against_ppv_not_against_the_rate():
    courses = joined([50] * 10, [50] * 10)
    what = planted(["step", "none"], [6, 0])
    met = read("0010010000" + "0" * 10)
    found = count(courses, said(courses, met), what.truth(courses, what.case)).total()
    assert (found["tp"][0], found["fp"][0], found["false alarms"][0], found["quiet"][0]) == (1, 1, 0, 10)
    assert found["exact fp"][0] == 1


# Repairs


@pytest.mark.parametrize(
    ("scores", "kind", "known", "agreed"),
    [
        pytest.param([50, 50, 50, 30, 50, 50], "v1", 1, 1, id="repaired, as it was"),
        pytest.param([50, 50, 50, 30, 50, 50], "step", 1, 0, id="repaired, and it was not"),
        pytest.param([50, 50, 50, *[30] * 8], "step", 1, 1, id="not repaired, as it was"),
        pytest.param([50, 50, 50, *[30] * 8], "v1", 1, 0, id="not repaired, and it was"),
        pytest.param([50, 50, 50, *[30] * 6, 50], "v1", 1, 1, id="repaired late is repaired"),
        pytest.param([50, 50, 50, 30, 30], "step", 0, 0, id="censored says nothing"),
        pytest.param([50, 50, 50, 30], "v1", 0, 0, id="flag at the last session"),
    ],
)
def test_repairs_are_compared_where_both_sides_know(scores, kind, known, agreed):
    courses = joined(scores)
    met = np.zeros(len(scores))
    met[3] = 1
    what = planted([kind], [4])
    found = count(courses, said(courses, met), what.truth(courses, what.case))
    assert (found["repair known"][0], found["repair agreed"][0]) == (known, agreed)


def test_a_flag_within_an_open_episode_is_judged_by_that_episode():
    # An alarm at session 3 opens the episode that the flag at the onset (session 5) belongs to.
    scores = [50, 50, 30, 30, 30, 50, 50, 50]
    courses = joined(scores)
    what = planted(["v1"], [5])
    found = count(courses, said(courses, read("00101000")), what.truth(courses, what.case))
    assert (found["tp"][0], found["repair known"][0], found["repair agreed"][0]) == (1, 1, 1)


def test_an_episode_that_was_over_before_says_nothing():
    courses = joined([50, 30, 50, 30, 30, 30, 30, 30, 30, 30, 30])
    met = read("01010000000")
    found = count(courses, said(courses, met), labelled(courses, read("00010000000")))
    assert (found["repair known"][0], found["repair agreed"][0]) == (1, 0)


def test_a_flag_that_belongs_to_no_episode_says_nothing():
    # The method opens an episode at its first flag only; that was over at session 3.
    courses = joined([50, 30, 50, 50, 30, 50])
    first_only = said(courses, read("010000"))
    verdict = said(courses, read("010010"))
    object.__setattr__(verdict, "follow", first_only.follow)
    found = count(courses, verdict, labelled(courses, read("000010")))
    assert (found["tp"][0], found["repair known"][0]) == (1, 0)


def test_repairs_of_labelled_ruptures():
    courses = joined([50, 50, 50, 30, 50, 50], [50, 50, 50, *[30] * 9])
    met = read("000100" + "000100000000")
    truth = labelled(courses, read("000100" + "000111111111"))
    found = count(courses, said(courses, met), truth)
    assert found["repair known"].tolist() == [1, 1]
    assert found["repair agreed"].tolist() == [1, 1]


def test_episodes_are_not_followed_where_nothing_was_found():
    courses = course("000")

    def never():
        raise AssertionError

    verdict = said(courses, read("100"))
    object.__setattr__(verdict, "follow", never)
    found = count(courses, verdict, labelled(courses, read("000")))
    assert found["repair known"][0] == 0


# Figures and their intervals


def counted(**columns):
    return Counts(names=tuple(columns), values=np.array(list(columns.values()), dtype=float).T)


@pytest.mark.parametrize(
    ("histogram", "expected"),
    [
        pytest.param([1, 0, 0], 0, id="one"),
        pytest.param([1, 1, 0], 0.5, id="between two"),
        pytest.param([1, 1, 1], 1, id="the middle one"),
        pytest.param([3, 0, 3], 1, id="half way"),
        pytest.param([2, 0, 3], 2, id="the larger half"),
        pytest.param([0, 0, 0], NA, id="none"),
    ],
)
def test_median_of_a_histogram(histogram, expected):
    np.testing.assert_array_equal(median(np.array([histogram])), [expected])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_median_equals_that_of_the_values(values):
    histogram = np.bincount(values, minlength=7)[None, :]
    assert median(histogram)[0] == np.median(values)


def test_intervals_leave_undefined_replicates_out_and_say_how_many():
    low, high, undefined = interval(np.array([NA, *np.arange(1.0, 100.0)]))
    assert (low, high) == pytest.approx((3.45, 96.55))
    assert undefined == pytest.approx(0.01)


@pytest.mark.parametrize(
    "replicates", [[], [NA, NA], [0.5, 0.5, 0.5], [1.0]], ids=["none", "undefined", "all alike", "one"]
)
def test_there_is_no_interval_where_replicates_do_not_differ(replicates):
    low, high, _ = interval(np.array(replicates))
    assert np.isnan(low)
    assert np.isnan(high)


def test_every_sample_draws_as_many_cases_as_there_are():
    counts = counted(cases=np.ones(30), other=np.arange(30) % 3)
    samples = np.concatenate([each["cases"] for each in resampled(counts, replicates=50, seed=1)])
    np.testing.assert_array_equal(samples, np.full(50, 30.0))
    fewer = np.concatenate([each["cases"] for each in resampled(counts, replicates=5, seed=1, size=7)])
    np.testing.assert_array_equal(fewer, np.full(5, 7.0))


def test_samples_do_not_depend_on_the_order_of_the_cases_but_on_the_seed():
    rng = np.random.default_rng(2)
    values = rng.integers(0, 4, (60, 3)).astype(float)
    one, other = (
        Counts(names=("a", "b", "c"), values=values),
        Counts(names=("a", "b", "c"), values=values[::-1]),
    )
    first, again, changed = (
        np.concatenate([each.values for each in resampled(counts, replicates=20, seed=seed)])
        for counts, seed in ((one, 1), (other, 1), (one, 2))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != changed).any()


def test_samples_drawn_in_parts_are_as_many_as_asked_for(monkeypatch):
    from alliance.evaluation import figures as module

    counts = counted(a=np.arange(10))
    monkeypatch.setattr(module, "AT_ONCE", 30)
    parts = list(resampled(counts, replicates=8, seed=1))
    assert [len(part.values) for part in parts] == [3, 3, 2]


def test_the_interval_of_a_share_of_independent_cases_is_that_of_the_binomial():
    # 400 cases with one rupture each, 30 % found: standard error sqrt(.3 * .7 / 400) = .0229.
    courses = joined(*[[50] * 6] * 400)
    met = np.zeros((400, 6))
    met[:120, 4] = 1
    what = planted(["v1"] * 400, [5] * 400)
    counts = count(courses, said(courses, met.ravel()), what.truth(courses, what.case))
    found = figure(figures_of(counts, replicates=4000, seed=3), "sensitivity", "v1")
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - 1.96 * 0.0229, abs=0.006)
    assert found.high == pytest.approx(0.3 + 1.96 * 0.0229, abs=0.006)
    assert found.of == 400


def test_cases_that_hang_together_widen_the_interval():
    # The same 120 of 400 sessions flagged, spread over cases or all in 30 of 100 cases.
    spread, together = np.zeros((100, 4)), np.zeros((100, 4))
    spread[:, 0], spread[:20, 2] = 1, 1
    together[:30] = 1
    courses = joined(*[[50] * 4] * 100)
    label = np.ones(400)
    widths = []
    for met in (spread, together):
        found = figures_of(
            count(courses, said(courses, met.ravel()), labelled(courses, label)), replicates=999
        )
        share = figure(found, "sensitivity", "exact")
        assert share.value == pytest.approx(0.3)
        widths.append(share.high - share.low)
    assert widths[1] > 2 * widths[0]


def test_figures_that_no_sample_can_give_are_missing():
    courses = course("0000")
    found = figures_of(count(courses, said(courses, read("0000")), labelled(courses, read("0000"))))
    sensitivity = figure(found, "sensitivity")
    assert np.isnan(sensitivity.value)
    assert np.isnan(sensitivity.low)
    assert sensitivity.of == 0
    assert figure(found, "specificity").value == 1
    assert np.isnan(figure(found, "specificity").low)


def test_the_share_of_undefined_samples_is_told():
    # One case of five has the only rupture: (4/5)^5 = 33 % of the samples have none.
    courses = joined(*[[50] * 4] * 5)
    label = read("0100" + "0" * 16)
    found = figures_of(
        count(courses, said(courses, read("0100" + "0" * 16)), labelled(courses, label)), replicates=4000
    )
    assert figure(found, "sensitivity", "exact").undefined == pytest.approx(0.328, abs=0.03)


def test_no_case_at_all_gives_figures_that_are_all_missing():
    nothing = Courses(
        values=np.zeros(0), session=np.zeros(0, dtype=np.int64), starts=np.zeros(0, dtype=np.int64)
    )
    found = figures_of(count(nothing, said(nothing, np.zeros(0)), labelled(nothing, np.zeros(0))))
    assert all(np.isnan(each.value) for each in found)
    assert all(each.of == 0 for each in found)


def test_the_range_of_a_rate_belongs_to_the_size_asked_for():
    counts = counted(**{"false alarms": np.arange(400) % 2, "quiet": np.full(400, 10)})
    small = rate_interval(counts, replicates=999, seed=1, size=40)
    large = rate_interval(counts, replicates=999, seed=1, size=4000)
    assert small[0] < large[0] < 5 < large[1] < small[1]
    assert np.isnan(rate_interval(counts, replicates=0, seed=1)[0])


def test_figures_can_be_written_as_json():
    courses, label, met = worked()
    found = figures_of(count(courses, said(courses, met), labelled(courses, label)), replicates=9)
    assert json.loads(json.dumps([vars(each) for each in found]))[0]["name"] == "sensitivity"
