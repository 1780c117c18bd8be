import re
import shlex
import stat
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from scale_helpers import DEMO

from alliance.cli.simulate import simulate as command
from alliance.errors import StoreError, UsageError
from alliance.frames import check_responses
from alliance.places import bundled
from alliance.scale import find_scales, load_scale, parse_definition
from alliance.scoring import score
from alliance.simulate import (
    DOMAINS,
    KINDS,
    CourseSettings,
    DropoutSettings,
    Settings,
    blank_logit,
    hazard_logit,
    no_show_logit,
    observe,
    outcome_shares,
    rupture_courses,
    simulate,
    therapist_courses,
    to_csv,
    treat,
)
from alliance.simulate.answers import answer_forms, printed, spread

N = 40_000
COURSES = rupture_courses(np.random.default_rng(20), n_cases=N, settings=CourseSettings())
WAI_ITEMS = [f"q{item}" for item in range(1, 13)]


def expit(logit):
    return 1 / (1 + np.exp(-logit))


def within_error(draws, expected, *, errors=4.0):
    """Whether the mean of `draws` lies within `errors` standard errors of `expected`."""
    return abs(np.mean(draws) - expected) < errors * np.std(draws) / np.sqrt(len(draws))


@pytest.fixture(scope="module")
def large():
    return simulate(cases=6000, seed=11, raters=("client", "therapist"))


@pytest.fixture(scope="module")
def clinic():
    return simulate(cases=30, seed=4, scale=["srs", "ors"])


def definition(**changes):
    table = DEMO | {"method": "sum", "subscales": {}}
    return parse_definition(table | changes, origin="demo.toml")


def keyed(answers, scale):
    """Sum of the answers in the direction of the form's total."""
    turned = [item - 1 for item in scale.reverse]
    flipped = np.array(answers, dtype=float)
    flipped[:, turned] = scale.min + scale.max - flipped[:, turned]
    return flipped.sum(axis=1)


# The courses


def test_levels_slopes_and_spreads_have_the_stated_distributions():
    assert within_error(COURSES.level, 46)
    assert COURSES.level.std() == pytest.approx(7, rel=4 / np.sqrt(2 * N))
    assert within_error(COURSES.slope, 0.2)
    assert COURSES.slope.std() == pytest.approx(0.25, rel=4 / np.sqrt(2 * N))
    assert np.median(COURSES.within_sd) == pytest.approx(2, rel=0.01)
    assert COURSES.within_sd.std() / COURSES.within_sd.mean() == pytest.approx(0.4, abs=0.01)


def test_four_in_ten_cases_have_a_rupture_of_equally_likely_kinds():
    share = np.bincount(COURSES.kind, minlength=5) / N
    assert share[0] == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / N))
    np.testing.assert_allclose(share[1:], 0.1, atol=4 * np.sqrt(0.09 / N))


def test_lengths_are_uniform_from_8_to_24():
    share = np.bincount(COURSES.lengths)[8:] / N
    assert len(share) == 17
    np.testing.assert_allclose(share, 1 / 17, atol=4 * np.sqrt(1 / 17 / N))


def test_depth_is_3_to_6_own_sd_of_at_least_one_and_a_half_points():
    planted = COURSES.kind > 0
    depth = COURSES.depth_sd[planted]
    assert depth.min() >= 3
    assert depth.max() <= 6
    assert within_error(depth, 4.5)
    points = COURSES.depth[planted]
    sd = COURSES.within_sd[planted]
    np.testing.assert_allclose(points, depth * np.where(sd < 1.5, 1.5, sd))
    assert points.min() >= 4.5


def test_onset_lies_between_session_5_and_six_before_the_last():
    planted = COURSES.kind > 0
    onset, lengths = COURSES.onset[planted], COURSES.lengths[planted]
    assert onset.min() == 5
    assert (onset <= np.where(lengths < 11, 5, lengths - 6)).all()
    assert set(onset[lengths == 24]) == set(range(5, 19))
    assert (COURSES.onset[~planted] == 0).all()


def test_noise_is_autoregressive_with_the_own_spread():
    unit = COURSES.noise / COURSES.within_sd[:, None]
    assert unit.std(axis=0) == pytest.approx(np.ones(24), abs=4 / np.sqrt(2 * N))
    for lag, expected in ((1, 0.2), (2, 0.04)):
        products = unit[:, lag:] * unit[:, :-lag]
        assert products.mean() == pytest.approx(expected, abs=0.006)


def test_trend_ends_at_session_10():
    np.testing.assert_allclose(COURSES.trend[:, 9], 9 * COURSES.slope)
    np.testing.assert_array_equal(COURSES.trend[:, 9:], COURSES.trend[:, [9]] * np.ones(15))
    assert (COURSES.trend[:, 0] == 0).all()


@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        pytest.param("v1", [0, 1, 0, 0, 0, 0, 0], id="one session"),
        pytest.param("v3", [0, 1, 0.67, 0.33, 0, 0, 0], id="three sessions"),
        pytest.param("step", [0, 1, 1, 1, 1, 1, 1], id="stays down"),
        pytest.param("ramp", [0, 0.2, 0.4, 0.6, 0.8, 1, 1], id="falls over five sessions"),
    ],
)
def test_a_rupture_has_the_shape_of_its_kind(kind, lost):
    chosen = np.flatnonzero((KINDS.index(kind) == COURSES.kind) & (COURSES.lengths > 14))
    for case in chosen[:50]:
        first = COURSES.onset[case] - 2
        seen = -COURSES.rupture[case, first : first + 7] / COURSES.depth[case]
        np.testing.assert_allclose(seen, lost, atol=1e-12)
        assert (COURSES.rupture[case, :first] == 0).all()


def test_totals_are_the_sum_of_their_parts():
    parts = COURSES.level[:, None] + COURSES.trend + COURSES.noise + COURSES.rupture
    np.testing.assert_allclose(COURSES.totals, parts)


def test_observed_totals_are_whole_in_range_and_missing_at_random():
    seen = observe(np.random.default_rng(1), COURSES)
    inside = np.arange(24) < COURSES.lengths[:, None]
    assert np.isnan(seen[~inside]).all()
    assert within_error(np.isnan(seen[inside]), 0.10)
    there = np.isfinite(seen)
    exact = np.clip(COURSES.totals[there], 12, 60)
    assert (np.abs(seen[there] - exact) <= 0.5).all()
    assert (seen[there] == np.floor(seen[there])).all()


def test_more_cases_change_no_earlier_course():
    few = rupture_courses(np.random.default_rng(20), n_cases=100, settings=CourseSettings())
    np.testing.assert_array_equal(few.totals, COURSES.totals[:100])
    np.testing.assert_array_equal(few.onset, COURSES.onset[:100])


def test_therapists_see_a_uniform_share_of_a_rupture_and_some_of_the_noise():
    totals, fall = therapist_courses(np.random.default_rng(2), COURSES, settings=CourseSettings())
    planted = COURSES.kind > 0
    share = fall[planted].min(axis=1) / COURSES.rupture[planted].min(axis=1)
    assert within_error(share, 0.5)
    assert share.std() == pytest.approx(1 / np.sqrt(12), rel=0.02)
    noise = totals - fall - COURSES.trend
    noise -= noise.mean(axis=1, keepdims=True)
    client = COURSES.noise - COURSES.noise.mean(axis=1, keepdims=True)
    assert np.corrcoef(noise.ravel(), client.ravel())[0, 1] == pytest.approx(0.4, abs=0.01)


def test_the_alliance_moves_the_outcome_of_the_next_session():
    deviation = np.array([[0.0, -2.0, 0.0, 1.0]])
    flat, moved = (outcome_shares(np.random.default_rng(2), part) for part in (0 * deviation, deviation))
    np.testing.assert_allclose(moved - flat, [[0, 0, -0.06, 0]], atol=1e-12)


# Attendance, blank forms and ends


@pytest.mark.parametrize(
    ("given_", "logit"),
    [
        pytest.param(
            {"session": 1, "level": 0, "within": 0, "no_shows": 0}, -2.9, id="average first session"
        ),
        pytest.param({"session": 1, "level": -2, "within": 0, "no_shows": 0}, -2.0, id="low level"),
        pytest.param({"session": 1, "level": 0, "within": -2, "no_shows": 0}, -1.7, id="fell by two"),
        pytest.param({"session": 1, "level": 0, "within": 0, "no_shows": 1}, -2.1, id="after a no-show"),
        pytest.param({"session": np.e, "level": 0, "within": 0, "no_shows": 0}, -3.45, id="later"),
        pytest.param(
            {"session": 1, "level": 0, "within": 0, "no_shows": 0, "frailty": 0.5}, -2.4, id="frail"
        ),
    ],
)
def test_hazard_logit_by_hand(given_, logit):
    assert float(hazard_logit(**given_)) == pytest.approx(logit)


def test_no_show_and_blank_logits_by_hand():
    assert float(no_show_logit(np.array(2.0))) == pytest.approx(-3.1)
    assert float(blank_logit(np.array(-2.0), np.array(1))) == pytest.approx(-1.0)


def test_levels_have_sd_1_and_the_share_of_the_therapist():
    drawn = treat(np.random.default_rng(5), n_cases=80_000, settings=Settings())
    assert drawn.level.std() == pytest.approx(1, abs=0.02)
    assert drawn.therapist_effect.var() == pytest.approx(0.1225 / 0.9325, rel=0.06)
    client = drawn.level - drawn.therapist_effect
    assert client.var() == pytest.approx(0.81 / 0.9325, rel=0.02)
    assert np.corrcoef(client, drawn.therapist_effect)[0, 1] == pytest.approx(0, abs=0.02)
    assert drawn.frailty.std() == pytest.approx(0.45, rel=0.02)
    np.testing.assert_allclose(drawn.courses.level, 46 + 7 * drawn.level)


def test_no_shows_come_at_the_stated_rate(large):
    latent = large.latent[large.latent["session"] > 1]
    expected = expit(-2.4 - 0.35 * (latent["total"] - 46) / 7)
    assert within_error(latent["no_show"] - expected, 0)
    assert not large.latent.loc[large.latent["session"] == 1, "no_show"].any()


def test_no_shows_come_more_often_where_the_alliance_is_low(large):
    latent = large.latent[large.latent["session"] > 1]
    low = latent["total"] < 39
    expected = expit(-2.4 - 0.35 * (latent.loc[low, "total"] - 46) / 7)
    assert within_error(latent.loc[low, "no_show"] - expected, 0)


def test_blank_forms_come_at_the_stated_rate(large):
    latent = large.latent
    expected = expit(-2.6 - 0.5 * (latent["noise"] - latent["fall"]) / 7 + 0.6 * latent["no_show"])
    assert within_error(latent["blank"] - expected, 0)
    fallen = latent["fall"] > 0
    assert within_error((latent["blank"] - expected)[fallen], 0)


def test_dropouts_come_at_the_stated_rate(large):
    rows = large.latent[large.latent["at_risk"]].merge(large.truth[["case", "frailty"]], on="case")
    expected = expit(
        -2.9
        - 0.55 * np.log(rows["session"])
        - 0.45 * rows["level"]
        - 0.60 * ((rows["total"] - 46) / 7 - rows["level"])
        + 0.80 * rows["no_show"]
        + rows["frailty"]
    )
    np.testing.assert_allclose(rows["hazard"], expected)
    for part in (
        rows.index >= 0,
        rows["session"] == 1,
        rows["session"] > 8,
        rows["level"] < -1,
        rows["no_show"],
    ):
        assert within_error((rows["dropped"] - expected)[part], 0)


def test_dropouts_are_about_three_in_ten(large):
    closed = large.truth[large.truth["end_reason"] != ""]
    assert 0.25 < closed["dropout"].mean() < 0.36


def test_truth_of_the_ends_is_consistent(large):
    truth = large.truth.set_index("case")
    early = truth["last_session"] < truth["planned_sessions"]
    assert (truth["dropout"] == (truth["end_reason"] == "client_unilateral")).all()
    assert early[truth["dropout"]].all()
    assert (early == (truth["end_reason"] != "mutual_planned")).all()
    status = large.sessions.groupby("case")["status"].first()
    assert ((status == "ongoing") == (truth["end_reason"] == "")).all()
    last = large.sessions.groupby("case")["session"].max()
    assert (last == truth["last_session"]).all()
    assert truth["planned_sessions"].between(8, 20).all()


def test_the_recorded_reason_is_the_true_one_or_unknown(large):
    recorded = large.sessions.groupby("case")["end_reason"].first()
    true = large.truth.set_index("case")["end_reason"]
    unknown = recorded == "unknown"
    assert (recorded[~unknown] == true[~unknown]).all()
    assert within_error(unknown[true != ""], 0.05)
    assert not unknown[true == ""].any()


def test_one_in_ten_is_censored_at_random():
    calm = DropoutSettings(hazard=(-50.0, 0, 0, 0, 0), therapist_ended=0, external=0)
    drawn = treat(np.random.default_rng(3), n_cases=20_000, settings=Settings(dropout=calm))
    assert within_error(drawn.ongoing, 0.10)
    assert not drawn.dropout.any()
    cut = (drawn.last / drawn.courses.lengths)[drawn.ongoing]
    assert 0.45 < cut.mean() < 0.55


def test_truth_of_the_rupture_is_consistent(large):
    truth = large.truth
    planted = truth["rupture"] != "none"
    assert (truth["onset"].notna() == planted).all()
    assert (truth["reached"] <= planted).all()
    assert (truth.loc[planted, "reached"] == (truth["onset"] <= truth["last_session"])[planted]).all()
    fallen = large.latent[large.latent["fall"] > 0].groupby("case")["session"].min()
    reached = truth[truth["reached"]].set_index("case")["onset"]
    assert (fallen.sort_index() == reached.sort_index().astype(int)).all()
    assert set(truth.loc[planted, "domain"]) == set(DOMAINS)


@pytest.mark.slow
def test_hazard_coefficients_are_recovered_without_frailty():
    # 40 replicates of 600 cases, plain maximum likelihood on the latent predictors.
    truth = np.array([-2.9, -0.55, -0.45, -0.60, 0.80])
    quiet = Settings(dropout=DropoutSettings(frailty_sd=0.0))
    fits = np.array([logistic_fit(*risk_set(seed, quiet)) for seed in range(40)])
    error = fits.std(axis=0, ddof=1) / np.sqrt(len(fits))
    assert (np.abs(fits.mean(axis=0) - truth) < 3 * error + 0.03).all()


def risk_set(seed, settings_):
    drawn = treat(np.random.default_rng(seed), n_cases=600, settings=settings_)
    session = np.arange(1, drawn.alliance.shape[1] + 1) * np.ones((600, 1))
    last, planned = drawn.last[:, None], drawn.courses.lengths[:, None]
    known = ~(drawn.ongoing[:, None] & (session == last))
    rows = (session <= last) & (session < planned) & known
    level = drawn.level[:, None] * np.ones_like(session)
    columns = [np.ones_like(session), np.log(session), level, drawn.alliance - level, drawn.no_show]
    dropped = drawn.dropout[:, None] & (session == last)
    return np.column_stack([column[rows] for column in columns]).astype(float), dropped[rows].astype(float)


def logistic_fit(x, y):
    beta = np.zeros(x.shape[1])
    for _ in range(25):
        p = expit(x @ beta)
        beta += np.linalg.solve((x.T * (p * (1 - p))) @ x, x.T @ (y - p))
    return beta


# The answers


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_spread_sums_to_its_target_inside_the_range(data):
    items = data.draw(st.integers(1, 12))
    most = data.draw(st.sampled_from([1, 3, 4, 6, 100]))
    target = data.draw(st.lists(st.integers(0, items * most), min_size=1, max_size=6))
    seed = data.draw(st.integers(0, 10_000))
    width = data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    lean = most * width * np.random.default_rng(seed).standard_normal((len(target), items))
    steps = spread(np.array(target), lean, most=most)
    np.testing.assert_array_equal(steps.sum(axis=1), target)
    assert steps.min() >= 0
    assert steps.max() <= most


def test_a_spread_follows_the_lean_until_the_range_cuts_it():
    lean = np.array([[1.0, 0.0, -1.0], [1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    steps = spread(np.array([6, 11, 5]), lean, most=4)
    np.testing.assert_array_equal(steps, [[3, 2, 1], [4, 4, 3], [2, 2, 1]])


@pytest.mark.parametrize(
    ("direction", "answers"),
    [
        pytest.param("higher_is_better", [7, 1, 4], id="reversed item mirrored"),
        pytest.param("higher_is_worse", [1, 7, 4], id="counts problems, mirrored twice"),
    ],
)
def test_answers_are_printed_with_reversed_items_mirrored(direction, answers):
    scale = definition(items=3, reverse=[2], direction=direction)
    np.testing.assert_array_equal(printed(np.array([[6, 6, 3]]), scale), [answers])


@given(
    items=st.integers(1, 20),
    bounds=st.sampled_from([(1, 5, 1), (1, 7, 1), (0, 4, 1), (0, 10, 0.1), (1, 6, 1)]),
    turned=st.sets(st.integers(1, 20)),
    worse=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_keyed_answers_sum_to_the_rounded_and_clipped_target(items, bounds, turned, worse, seed):
    low, high, step = bounds
    reverse = sorted(item for item in turned if item <= items)
    direction = "higher_is_worse" if worse else "higher_is_better"
    scale = definition(items=items, min=low, max=high, step=step, reverse=reverse, direction=direction)
    rng = np.random.default_rng(seed)
    share = rng.uniform(-0.2, 1.2, (5, 4))
    everyone = np.ones((5, 4), dtype=bool)
    whole = np.full(5, "whole")
    answers = answer_forms(
        rng, share=share, fall=np.zeros((5, 4)), domain=whole, present=everyone, scale=scale
    )
    assert answers.min() >= low
    assert answers.max() <= high
    np.testing.assert_allclose(answers, low + step * np.rint((answers - low) / step), atol=1e-9)
    good = low + (high - low) * np.clip(share.ravel(), 0, 1)
    expected = items * (low + high - good if worse else good)
    assert np.abs(keyed(answers, scale) - expected).max() <= step / 2 + 1e-9


def test_wai_sr_answers_sum_to_the_rounded_and_clipped_latent_total(large):
    forms = answered(large.sessions, "client")
    expected = forms.merge(large.latent, on=["case", "session"])["total"].round().clip(12, 60)
    np.testing.assert_array_equal(forms[WAI_ITEMS].sum(axis=1), expected)


def test_srs_answers_sum_to_36_and_2_6_points_for_each_sd(clinic):
    forms = answered(clinic.sessions[clinic.sessions["scale"] == "srs"], "client")
    latent = forms.merge(clinic.latent, on=["case", "session"])["total"]
    expected = (36 + 2.6 * (latent - 46) / 7).clip(0, 40).round(1)
    np.testing.assert_allclose(forms[["q1", "q2", "q3", "q4"]].sum(axis=1), expected, atol=1e-6)


@pytest.mark.parametrize("name", sorted(find_scales().keys() - {"ceq"}))
def test_every_bundled_form_is_answered_in_its_range_and_on_its_grid(name):
    scale = load_scale(name)
    study = simulate(cases=15, seed=2, scale=name)
    forms = answered(study.sessions, "client")
    values = forms[list(scale.items)].to_numpy(dtype=float)
    assert values.min() >= scale.min
    assert values.max() <= scale.max
    np.testing.assert_allclose(values, np.round(values / scale.step) * scale.step, atol=1e-9)
    check_responses(forms, scale)
    scored = score(forms, scale)
    alike = (values.min(axis=1) == values.max(axis=1)) & scale.unscorable.all_alike
    assert np.isfinite(scored.loc[~alike, list(scale.scores)]).all(axis=None)
    assert scored["total"].notna().any() == (scale.total is not None)


def test_a_form_whose_items_differ_in_range_is_not_simulated():
    with pytest.raises(UsageError) as caught:
        simulate(cases=5, seed=1, scale="ceq")
    assert str(caught.value) == (
        "error: 'ceq' cannot be simulated: its items differ in range\n"
        "hint: simulate a form whose items are all answered alike"
    )


def test_items_of_one_form_differ_and_hang_together(large):
    items = answered(large.sessions, "client")[WAI_ITEMS].to_numpy(dtype=float)
    assert items.mean(axis=0).std() > 0.1
    alpha = 12 / 11 * (1 - items.var(axis=0).sum() / items.sum(axis=1).var())
    assert 0.85 < alpha < 0.97
    assert (items.min(axis=1) == items.max(axis=1)).mean() < 0.10


def test_the_items_of_the_ruptured_domain_fall_more(large):
    scale = load_scale("wai-sr")
    forms = answered(large.sessions, "client").merge(large.latent[["case", "session", "fall"]])
    scored = score(forms, scale).join(forms["fall"]).merge(large.truth[["case", "domain", "rupture"]])
    deep = scored["fall"] > 5
    for name in ("goal", "task", "bond"):
        gap = scored[name] - scored["total"]
        hit = scored["domain"] == name
        assert gap[hit & deep].mean() - gap[hit & (scored["fall"] == 0)].mean() < -0.15
        spared = (scored["domain"] == "whole") & deep
        assert abs(gap[spared].mean() - gap[(scored["domain"] == "whole") & ~deep].mean()) < 0.1


def test_therapists_rate_lower_and_see_part_of_it(large):
    latent = large.latent
    first = latent[latent["session"] == 1]
    assert (first["total"] - first["therapist_total"]).mean() == pytest.approx(3.5, abs=0.4)
    assert 0.4 < np.corrcoef(first["total"], first["therapist_total"])[0, 1] < 0.6
    forms = answered(large.sessions, "therapist")
    expected = forms.merge(latent, on=["case", "session"])["therapist_total"].round().clip(12, 60)
    np.testing.assert_array_equal(forms[WAI_ITEMS].sum(axis=1), expected)


def test_wellbeing_rises_whichever_way_the_form_counts():
    for name, sign in (("ors", 1), ("phq-9", -1)):
        scale = load_scale(name)
        forms = answered(simulate(cases=300, seed=6, scale=name).sessions, "client")
        total = score(forms, scale)["total"]
        low, high = scale.bounds("total")
        early, late = total[forms["session"] <= 2].mean(), total[forms["session"] >= 9].mean()
        assert sign * (late - early) / (high - low) > 0.05


# The file


def answered(sessions, rater):
    forms = sessions[(sessions["rater"] == rater) & sessions["q1"].notna()]
    return forms.reset_index(drop=True)


def test_sessions_have_the_columns_of_a_users_file():
    columns = list(simulate(cases=3, seed=0).sessions.columns)
    keys = ["case", "session", "date", "therapist", "rater", "attendance"]
    assert columns == [*keys, *WAI_ITEMS, "status", "end_reason", "synthetic"]


def test_several_forms_share_one_file_with_a_scale_column(clinic):
    kept = clinic.sessions[clinic.sessions["attendance"] == "attended"]
    assert list(clinic.sessions.columns[5:11]) == ["attendance", "scale", "q1", "q2", "q3", "q4"]
    assert (kept.groupby(["case", "session"])["scale"].agg(list).map(lambda x: x == ["srs", "ors"])).all()


def test_each_rater_has_one_row_for_each_attended_session(large):
    kept = large.sessions[large.sessions["attendance"] == "attended"]
    assert not kept.duplicated(["case", "rater", "session"]).any()
    count = kept.groupby(["case", "rater"])["session"].agg(["count", "max"])
    assert (count["count"] == count["max"]).all()
    assert (kept.groupby("rater").size() == len(large.latent)).all()


def test_a_missed_appointment_is_one_empty_row_of_the_client(large):
    missed = large.sessions[large.sessions["attendance"] != "attended"]
    assert missed["session"].isna().all()
    assert missed[WAI_ITEMS].isna().all(axis=None)
    assert (missed["rater"] == "client").all()
    assert set(missed["attendance"]) == {"no_show", "cancel_client", "cancel_client_late", "cancel_clinic"}
    no_shows = (missed["attendance"] == "no_show").sum()
    after_end = missed.groupby("case")["date"].max() > large.sessions[
        large.sessions["session"].notna()
    ].groupby("case")["date"].max().reindex(missed["case"].unique())
    assert no_shows == large.latent["no_show"].sum() + after_end.sum()
    dropouts = large.truth.set_index("case")["dropout"]
    assert dropouts[after_end[after_end].index].all()
    assert within_error(after_end.reindex(dropouts[dropouts].index, fill_value=False), 0.5)


def test_a_blank_form_has_a_session_and_no_answers(large):
    kept = large.sessions[
        (large.sessions["attendance"] == "attended") & (large.sessions["rater"] == "client")
    ]
    empty = kept[WAI_ITEMS].isna()
    assert (empty.all(axis=1) == empty.any(axis=1)).all()
    assert empty.all(axis=1).sum() == large.latent["blank"].sum()
    assert within_error(large.sessions.loc[large.sessions["rater"] == "therapist", "q1"].isna(), 0.05)


def test_a_case_begins_with_an_attended_session(large):
    first = large.sessions.drop_duplicates("case")
    assert (first["session"] == 1).all()


def test_appointments_are_weekly_with_some_gaps(large):
    client = large.sessions[large.sessions["rater"] == "client"]
    weeks = client.groupby("case")["date"].diff().dropna().dt.days / 7
    assert set(weeks) == {1, 2, 3}
    assert (weeks == 1).mean() > 0.9
    assert (client["date"].dt.day_of_week < 5).all()


def test_every_row_says_that_it_is_synthetic(large):
    for frame in (large.sessions, large.truth, large.latent):
        assert (frame["synthetic"] == "true").all()


def test_equal_seeds_give_equal_bytes():
    first, again, other = (
        simulate(cases=20, seed=seed, raters=("client", "therapist")) for seed in (8, 8, 9)
    )
    assert to_csv(first.sessions) == to_csv(again.sessions)
    assert to_csv(first.truth) == to_csv(again.truth)
    assert to_csv(first.sessions) != to_csv(other.sessions)


def test_more_cases_raters_or_forms_change_no_earlier_answer(clinic):
    few, many = simulate(cases=9, seed=8).sessions, simulate(cases=33, seed=8).sessions
    kept = many[many["case"].isin(few["case"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, kept)
    both = simulate(cases=9, seed=8, raters=("client", "therapist")).sessions
    pd.testing.assert_frame_equal(few, both[both["rater"] == "client"].reset_index(drop=True))
    alone = simulate(cases=30, seed=4, scale="srs").sessions
    srs = clinic.sessions[clinic.sessions["scale"] == "srs"].drop(columns="scale")
    pd.testing.assert_frame_equal(alone, srs.reset_index(drop=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            {"raters": ("clients",)},
            "error: unknown rater 'clients'\nhint: did you mean 'client'? known: client, therapist",
            id="misspelt rater",
        ),
        pytest.param(
            {"cases": 0}, "error: cases must be 1 or more, got 0\nhint: give a whole number", id="no case"
        ),
        pytest.param(
            {"seed": -1},
            "error: seed must be 0 or more, got -1\nhint: give a whole number",
            id="negative seed",
        ),
    ],
)
def test_impossible_arguments_are_refused_in_words(arguments, message):
    with pytest.raises(UsageError) as caught:
        simulate(**arguments)
    assert str(caught.value) == message


# The command and the shipped studies


def run(*arguments):
    app = typer.Typer()
    app.command()(command)
    app([str(argument) for argument in arguments], standalone_mode=False)


def test_the_command_writes_the_study_and_its_truth(tmp_path, capsys):
    target = tmp_path / "study.csv"
    run("--cases", 5, "--seed", 7, "-o", target, "--with-truth")
    study = simulate(cases=5, seed=7)
    assert target.read_bytes() == to_csv(study.sessions).encode()
    assert (tmp_path / "study.truth.csv").read_bytes() == to_csv(study.truth).encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.csv", "study.truth.csv"]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "these data are synthetic: no client, no therapist and no session in them is real\n"


def test_the_command_prints_the_study_without_a_file(capsys):
    run("--cases", 2, "--seed", 7)
    assert capsys.readouterr().out == to_csv(simulate(cases=2, seed=7).sessions)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file modes")
def test_written_files_are_the_owners_alone(tmp_path):
    run("--cases", 2, "-o", tmp_path / "a.csv", "--with-truth")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}


def test_the_command_overwrites_only_when_told_to(tmp_path):
    target = tmp_path / "a.csv"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        run("--cases", 2, "-o", target, "--with-truth")
    assert str(caught.value) == (
        f"error: 1 of the files to write exist\n  {target}\nhint: --force overwrites them"
    )
    assert target.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "a.truth.csv").exists()
    run("--cases", 2, "-o", target, "--force")
    assert target.read_text(encoding="utf-8").startswith("case,session,")


def test_the_command_names_a_folder_it_cannot_write_to(tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        run("--cases", 2, "-o", tmp_path / "file" / "a.csv")
    assert str(caught.value).startswith(f"error: cannot write '{tmp_path / 'file'}': ")


def test_a_truth_needs_a_file_to_stand_beside():
    with pytest.raises(UsageError) as caught:
        run("--cases", 2, "--with-truth")
    assert str(caught.value) == "error: --with-truth needs a file to put the truth beside\nhint: add -o FILE"


def commands():
    text = (bundled("data") / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^alliance simulate (.*)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("line", commands())
def test_the_shipped_studies_are_reproduced_byte_for_byte(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(*shlex.split(line))
    made = sorted(Path().iterdir())
    assert len(made) == 2
    for path in made:
        assert path.read_bytes() == (bundled("data") / path.name).read_bytes()


def test_every_shipped_file_has_its_command():
    shipped = {path.name for path in bundled("data").glob("*.csv")}
    named = {name for line in commands() for name in re.findall(r"[\w-]+\.csv", line)}
    assert shipped == named | {name.replace(".csv", ".truth.csv") for name in named}


def test_the_shipped_wai_sr_study_holds_what_it_is_for():
    sessions = pd.read_csv(bundled("data") / "wai-sr-study.csv")
    truth = pd.read_csv(bundled("data") / "wai-sr-study.truth.csv")
    assert set(truth.loc[truth["reached"], "rupture"]) == {"v1", "v3", "step", "ramp"}
    assert truth["dropout"].sum() >= 5
    forms = answered(sessions, "client")
    near = (forms[WAI_ITEMS].sum(axis=1) >= 59).groupby(forms["case"]).mean()
    assert (near >= 0.5).sum() >= 1
    assert set(sessions["status"]) == {"ongoing", "ended"}


def test_the_shipped_clinic_has_ratings_on_both_sides_of_36():
    sessions = pd.read_csv(bundled("data") / "srs-ors-clinic.csv")
    forms = answered(sessions[sessions["scale"] == "srs"], "client")
    total = forms[["q1", "q2", "q3", "q4"]].sum(axis=1).round(6)
    assert 0.2 < (total <= 36).mean() < 0.8
    assert sessions["case"].nunique() == 12
