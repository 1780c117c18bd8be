"""Rupture methods: worked numbers, truth tables by hand, contracts every registered method keeps."""

import json
from pathlib import Path

import numpy as np
import pytest

from alliance.claims import Norm
from alliance.courses import Courses
from alliance.errors import UsageError
from alliance.psychometrics import Spread, effective_df, reliable_change, sem, successive_spread
from alliance.rupture import Group, Run, get_method, subject_of
from alliance.rupture.change import reliable_drop
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import flag_columns
from alliance.rupture.predictive import predictive_limit
from alliance.rupture.prior import NO_PRIOR, Prior, estimate_prior, scaled_f, shrink
from alliance.rupture.registry import Measure
from alliance.rupture.verdict import NOT_ENOUGH, OUTCOMES
from alliance.scale import load_scale

NA = np.nan
WORKED = json.loads((Path(__file__).parent / "reference" / "rupture.json").read_text(encoding="utf-8"))
GIVEN = Prior(df=4, sd=2, n_series=0, origin="given")
SUM = Measure(low=12, high=60, step=1, prior=GIVEN)
NORM = Norm(sd=0.9, reliability=0.84, source="example")
SHORT = Measure(low=1, high=7, step=1 / 6, norm=NORM, prior=Prior(df=4, sd=0.36, n_series=0, origin="given"))


def course(case):
    return Courses.of([NA if score is None else score for score in WORKED["cases"][case]])


def judged(case):
    return predictive_limit(course(case), SUM, min_drop=2.5)


@pytest.mark.parametrize("row", WORKED["predictive_limit"]["rows"], ids=lambda row: f"{row[0]} {row[1]}")
def test_predictive_limit_reproduces_the_worked_numbers(row):
    case, session, mean, n, _, _, sigma, df, z, _, limit, met = row
    verdict = judged(case)
    place = session - 1
    assert verdict.reference[place] == pytest.approx(mean, abs=5e-5)
    assert verdict.n_reference[place] == n
    assert verdict.sigma[place] == pytest.approx(sigma, abs=5e-5)
    assert verdict.df[place] == pytest.approx(df, abs=5e-5)
    assert verdict.statistic[place] == pytest.approx(z, abs=5e-5)
    assert verdict.limit[place] == pytest.approx(limit, abs=5e-5)
    assert verdict.met[place] == met


@pytest.mark.parametrize("case", WORKED["predictive_limit"]["not_enough"])
def test_the_first_sessions_have_no_verdict(case):
    silent = np.flatnonzero(judged(case).state == NOT_ENOUGH) + 1
    assert silent.tolist() == WORKED["predictive_limit"]["not_enough"][case]
    assert np.isnan(judged(case).met[silent - 1]).all()


@pytest.mark.parametrize("case", WORKED["predictive_limit"]["episodes"])
def test_episodes_open_heal_and_end_as_worked_by_hand(case):
    found = judged(case).episodes
    session = course(case).session
    rows = [
        {
            "onset": int(session[onset]),
            "end": int(session[end]) if end >= 0 else None,
            "outcome": OUTCOMES[outcome],
            "reference": reference,
            "nadir": nadir,
            "nadir_session": int(session[nadir_row]),
            "lag": int(lag) if lag >= 0 else None,
        }
        for onset, end, outcome, reference, nadir, nadir_row, lag in zip(
            found.onset, found.end, found.outcome, found.reference, found.nadir, found.nadir_row, found.lag,
            strict=True,
        )
    ]  # fmt: skip
    assert rows == WORKED["predictive_limit"]["episodes"][case]


def test_without_a_prior_the_limit_stands_on_five_own_sessions():
    expected = WORKED["predictive_limit"]["no_prior"]
    alone = Measure(low=12, high=60, step=1, prior=NO_PRIOR)
    verdict = predictive_limit(Courses.of([*expected["reference"], 47]), alone)
    assert np.isnan(verdict.met[:5]).all()
    assert verdict.limit[5] == pytest.approx(expected["limit"], abs=5e-7)
    assert verdict.met[5] == 0


def test_without_a_prior_five_sessions_with_too_few_neighbours_are_not_enough():
    alone = Measure(low=12, high=60, step=1, prior=NO_PRIOR)
    verdict = predictive_limit(Courses.of([46, 47, 48, 47, 49, 20], sessions=[1, 2, 4, 5, 7, 8]), alone)
    assert np.isnan(verdict.met).all()


@pytest.mark.parametrize(
    ("sessions", "scores", "met"),
    [
        pytest.param([1, 2, 3, 4], [48, 48, 48, 43], [NA, NA, NA, 0], id="falls within the limit"),
        pytest.param([1, 2, 3, 4], [48, 48, 48, 40], [NA, NA, NA, 1], id="falls beyond the limit"),
        pytest.param([1, 2, 3, 4], [40, 40, 40, 60], [NA, NA, NA, 0], id="a rise is no rupture"),
        pytest.param([1, 2, 3, 4, 5], [48, NA, 48, 48, 30], [NA, NA, NA, NA, 1], id="unscored form"),
        pytest.param([1, 3, 4, 9], [48, 48, 48, 30], [NA, NA, NA, 1], id="skipped sessions"),
        pytest.param([1, 2, 3, 4, 5], [48, 48, 48, 30, 30], [NA, NA, NA, 1, 0], id="one alarm per episode"),
        pytest.param([1, 2, 3], [48, 48, 20], [NA, NA, NA], id="two earlier scores"),
        pytest.param([1], [48], [NA], id="one session"),
        pytest.param([], [], [], id="no session"),
        pytest.param([1, 2, 3, 4], [NA, NA, NA, NA], [NA, NA, NA, NA], id="nothing scored"),
    ],
)
def test_predictive_limit_follows_the_truth_table(sessions, scores, met):
    verdict = predictive_limit(Courses.of(scores, sessions=sessions), SUM)
    np.testing.assert_array_equal(verdict.met, met)


def test_a_fall_below_the_limit_but_smaller_than_min_drop_is_not_flagged():
    quiet = Measure(low=12, high=60, step=1, prior=Prior(df=20, sd=0.3, n_series=40, origin="caseload"))
    scores = Courses.of([48, 48, 48, 48, 48, 46])
    assert predictive_limit(scores, quiet, min_drop=2.5).met[5] == 0
    assert predictive_limit(scores, quiet, min_drop=2.0).met[5] == 1


def test_a_course_without_any_variation_still_has_a_limit():
    verdict = predictive_limit(Courses.of([60] * 6 + [50]), SUM)
    assert verdict.met[6] == 1
    assert np.isfinite(verdict.limit[3:]).all()


def test_sessions_more_than_28_days_apart_are_no_neighbours():
    near = Courses.of([46, 50, 46, 50], days=[0, 7, 14, 21])
    far = Courses.of([46, 50, 46, 50], days=[0, 29, 58, 87])
    at_limit = Courses.of([46, 50, 46, 50], days=[0, 28, 56, 84])
    assert successive_spread(near).pairs.tolist() == [3]
    assert successive_spread(far).pairs.tolist() == [0]
    assert successive_spread(at_limit).pairs.tolist() == [3]
    assert predictive_limit(far, SUM).df[3] == 4


def test_the_caseload_prior_equals_limma():
    expected = WORKED["caseload_prior"]
    variance, df = np.square(expected["s"]), np.array(expected["df"], dtype=float)
    d0, variance0 = scaled_f(variance, df)
    assert d0 == pytest.approx(expected["d0"], abs=5e-7)
    assert np.sqrt(variance0) == pytest.approx(expected["s0"], abs=5e-7)
    sigma, total = shrink(variance, df, Prior(df=d0, sd=variance0**0.5, n_series=10, origin="caseload"))
    np.testing.assert_allclose(sigma, expected["shrunk"], atol=5e-7)
    np.testing.assert_allclose(total, d0 + df)


def test_a_small_caseload_is_pooled():
    expected = WORKED["caseload_prior"]
    variance, df = np.square(expected["s"]), np.array(expected["df"], dtype=float)
    sigma, _ = shrink(variance, df, Prior(df=4, sd=expected["pooled_s"], n_series=9, origin="pooled"))
    np.testing.assert_allclose(sigma, expected["shrunk_pooled"], atol=5e-6)


def spread_of(variances, pairs):
    return Spread(
        variance=np.array(variances, float), df=effective_df(np.array(pairs)), pairs=np.array(pairs)
    )


@pytest.mark.parametrize(
    ("n_long", "within_sd", "origin"),
    [(10, None, "caseload"), (9, None, "pooled"), (5, None, "pooled"), (4, 1.5, "given"), (4, None, "none")],
)
def test_the_prior_comes_from_the_first_source_there_is(n_long, within_sd, origin):
    pairs = [4] * n_long + [3] * 20
    prior = estimate_prior(spread_of([1.0 + i % 3 for i in pairs], pairs), step=1, within_sd=within_sd)
    assert prior.origin == origin
    assert prior.n_series == (n_long if origin in {"caseload", "pooled"} else 0)


def test_alike_clients_give_the_largest_prior_df_allowed():
    prior = estimate_prior(spread_of([4.0] * 30, [10] * 30), step=1)
    assert (prior.df, prior.sd) == (20.0, pytest.approx(2.0, rel=0.1))


def test_reliable_change_reproduces_jacobson_and_truax_1991():
    # Worked example: a change of 15 with sd 7.5 and reliability .80 gives RC = 3.16.
    assert reliable_change(15, sem=sem(7.5, 0.80)) == pytest.approx(3.16, abs=0.005)


def test_reliable_change_equals_clinicalsignificance_and_suddengains():
    expected = WORKED["reliable_change"]
    error = sem(expected["sd"], expected["reliability"])
    assert error == pytest.approx(expected["sem"], abs=5e-7)
    assert error * np.sqrt(2) == pytest.approx(expected["sdiff"], abs=5e-7)
    assert 1.96 * error * np.sqrt(2) == pytest.approx(expected["cut_196"], abs=5e-7)
    assert 1.645 * error * np.sqrt(2) == pytest.approx(expected["cut_1645"], abs=5e-7)
    change = [later - earlier for earlier, later in expected["pairs"]]
    np.testing.assert_allclose(reliable_change(np.array(change), sem=error), expected["jt_index"], atol=5e-7)
    other = expected["suddengains"]
    cut_off = 1.96 * np.sqrt(2) * sem(other["sd"], other["reliability"])
    assert cut_off == pytest.approx(other["cut"], abs=5e-7)


@pytest.mark.parametrize("case", WORKED["reliable_change"]["flagged_sessions"])
def test_reliable_drop_flags_the_worked_sessions(case):
    measure = Measure(low=12, high=60, step=1, norm=Norm(sd=9, reliability=0.9, source="worked"))
    verdict = reliable_drop(course(case), measure)
    assert (verdict.flagged + 1).tolist() == WORKED["reliable_change"]["flagged_sessions"][case]
    missing = WORKED["reliable_change"]["missing_sessions"].get(case, [1])
    assert (np.flatnonzero(np.isnan(verdict.met)) + 1).tolist() == missing


@pytest.mark.parametrize(
    ("sessions", "scores", "met"),
    [
        pytest.param([1, 2, 3], [6.0, 5.1, 5.0], [NA, 0, 0], id="falls within noise"),
        pytest.param([1, 2, 3], [6.0, 5.0, 5.0], [NA, 1, 0], id="falls beyond noise"),
        pytest.param([1, 2, 3], [4.0, 6.5, 6.5], [NA, 0, 0], id="a rise is no rupture"),
        pytest.param([1, 2, 3], [6.0, NA, 3.0], [NA, NA, NA], id="unscored form"),
        pytest.param([1, 3, 4], [6.0, 3.0, 1.0], [NA, NA, 1], id="skipped session"),
        pytest.param([1], [6.0], [NA], id="one session"),
        pytest.param([], [], [], id="no session"),
    ],
)
def test_reliable_drop_follows_the_truth_table(sessions, scores, met):
    verdict = reliable_drop(Courses.of(scores, sessions=sessions), SHORT)
    np.testing.assert_array_equal(verdict.met, met)


def test_reliable_drop_can_look_back_to_the_last_score_there_is():
    verdict = reliable_drop(Courses.of([6.0, NA, 3.0, 3.0], sessions=[1, 2, 3, 7]), SHORT, last_scored=True)
    np.testing.assert_array_equal(verdict.met, [NA, NA, 1, 0])


def test_a_fall_that_lies_exactly_on_the_limit_is_no_flag():
    exact = 7.888848072 / 1.96 / np.sqrt(2)
    on_limit = Measure(low=12, high=60, step=1, within_sd=11 / 1.96 / np.sqrt(2))
    assert reliable_drop(Courses.of([49.0, 38.0]), on_limit).met[1] == 0
    assert (
        reliable_drop(Courses.of([49.0, 38.0]), Measure(low=12, high=60, step=1, within_sd=exact)).met[1] == 1
    )


def test_reliable_drop_without_reliability_says_what_it_needs():
    with pytest.raises(UsageError) as caught:
        reliable_drop(Courses.of([6.0, 5.0]), Measure(low=1, high=7, step=1))
    assert str(caught.value) == (
        "error: reliable-drop needs the reliability of the score, and the definition has none\n"
        "hint: give --sd and --reliability, or --within-sd"
    )


@pytest.mark.parametrize(
    ("after", "outcome", "lag"),
    [
        pytest.param([], "censored", -1, id="flagged at the last session"),
        pytest.param([47.9], "repaired", 1, id="exactly on the tolerance"),
        pytest.param([47.8], "censored", -1, id="just short of it"),
        pytest.param([40, 40, 40, 40, 50], "repaired", 5, id="the fifth session is in time"),
        pytest.param([40, 40, 40, 40, 40, 50], "late", 6, id="the sixth is late"),
        pytest.param([40, 40, 40, 40, 40], "unrepaired", -1, id="five sessions without repair"),
        pytest.param([40, 40, 40, 40, 40, 40, 50], "unrepaired", -1, id="given up after six"),
        pytest.param([NA, NA, 50], "repaired", 1, id="only scored sessions count"),
    ],
)
def test_repair_follows_the_truth_table(after, outcome, lag):
    # Opened at session 2 with reference 50 and sigma 2.1: a repair is 47.9 or more.
    scores = Courses.of([50, 40, *after])
    met = np.array([NA, 1.0, *[0.0] * len(after)])
    n = len(met)
    found = follow_flags(scores, met, np.full(n, 50.0), np.full(n, 2.1), RepairRule())
    assert [OUTCOMES[code] for code in found.outcome] == [outcome]
    assert found.lag.tolist() == [lag]


@pytest.mark.parametrize(
    ("after", "outcome"), [([44.9], "censored"), ([45.0], "repaired"), ([38, 43], "repaired")]
)
def test_a_repair_can_be_a_rise_from_the_lowest_score(after, outcome):
    met = np.array([NA, 1.0, *[0.0] * len(after)])
    n = len(met)
    rule = RepairRule(rise=5.0)
    found = follow_flags(Courses.of([50, 40, *after]), met, np.full(n, 50.0), np.full(n, 1.0), rule)
    assert [OUTCOMES[code] for code in found.outcome] == [outcome]


def test_a_score_on_the_predicted_limit_is_no_flag_and_one_below_it_is():
    reference = [46.0, 47.0, 48.0, 47.0]
    limit = predictive_limit(Courses.of([*reference, 30.0]), SUM).limit[4]
    for distance, met in ((0.0, 0), (-1e-10, 0), (-1e-6, 1)):
        assert predictive_limit(Courses.of([*reference, limit + distance]), SUM).met[4] == met


@pytest.mark.parametrize(("after", "partial"), [([], 0.0), ([5.75], 0.5), ([5.5, 5.6], 0.2), ([6.0], 1.0)])
def test_what_was_regained_is_told_as_a_share_of_the_fall(after, partial):
    met = np.array([NA, 1.0, *[0.0] * len(after)])
    n = len(met)
    found = follow_flags(Courses.of([6.0, 5.5, *after]), met, np.full(n, 6.0), np.full(n, 0.1), RepairRule())
    assert found.partial.tolist() == [pytest.approx(partial)]


def test_a_flag_inside_an_open_episode_opens_no_second_one():
    met = np.array([NA, 1.0, 1.0, 0.0, 1.0])
    found = follow_flags(
        Courses.of([50, 40, 30, 50, 30]), met, np.full(5, 50.0), np.full(5, 2.0), RepairRule()
    )
    assert found.onset.tolist() == [1, 4]
    assert found.nadir.tolist() == [30, 30]


def judged_by(name, group, measure, form):
    run = Run(subject=subject_of(form), method=get_method(name), measures={group.rater: measure})
    return run.judge(group)


@pytest.mark.parametrize("fallen", ["goal", "task", "bond"])
def test_the_reason_names_the_subscale_that_fell_most(fallen):
    form = load_scale("wai-sr")
    steady = [4.0, 4.25, 4.0, 4.25, 4.0]
    parts = {name: np.array([*steady, 1.5 if name == fallen else 3.0]) for name in form.subscales}
    total = Courses.of(np.mean([*parts.values()], axis=0))
    group = Group(rater="client", place=np.array([0]), total=total, parts=parts)
    measure = Measure(low=1, high=5, step=1 / 12, prior=Prior(df=4, sd=0.2, n_series=0, origin="given"))
    found = judged_by("predictive-limit", group, measure, form)
    (reason,) = flag_columns([found], np.array(["C1"], dtype=object))["reason"]
    assert f"; fell most: {fallen};" in reason


def test_a_rupture_at_the_ceiling_is_marked_as_such():
    scores = Courses.of([60, 60, 59, 60, 60, 60, 48])
    group = Group(rater="client", place=np.array([0]), total=scores, parts={})
    for high, marked in ((60, True), (70, False)):
        measure = Measure(low=12, high=high, step=1, prior=GIVEN)
        found = judged_by("predictive-limit", group, measure, load_scale("wai"))
        (reason,) = flag_columns([found], np.array(["C1"], dtype=object))["reason"]
        assert ("ceiling" in reason) is marked


def test_an_unknown_method_is_answered_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        get_method("predictive-limits")
    assert str(caught.value).startswith(
        "error: unknown method 'predictive-limits'\nhint: did you mean 'predictive-limit'? known: "
    )
