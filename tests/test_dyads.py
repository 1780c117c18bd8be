"""Two raters and therapists: worked numbers, truth tables by hand, other programs' answers, contracts."""

import json
import warnings
from dataclasses import fields

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alliance.cli import dyads as dyads_command
from alliance.courses import Courses
from alliance.dyads import (
    Estimates,
    between_within,
    difference_reliability,
    dyad_statistics,
    has_one_therapist,
    one_way_icc,
    pair_ratings,
    response_surface,
    summarise_dyads,
    therapist_means,
    truth_and_bias,
    variance_components,
)
from alliance.dyads.mixed import fit_intercepts
from alliance.psychometrics import successive_spread

NA = np.nan

# Six clients and their therapists, eight sessions, 12-item sums: the worked caseload of the fact sheet.
CLIENTS = {
    "C1": [44, 46, 47, 48, 37, 45, 49, 50],
    "C2": [50, 51, 50, 52, 53, 52, 54, 53],
    "C3": [38, 40, 39, 42, 43, 44, 45, 44],
    "C4": [55, 54, 53, 51, 49, 47, 46, 44],
    "C5": [47, 45, 48, 49, 50, 49, 51, 52],
    "C6": [57, 58, 57, 59, 58, 59, 60, 59],
}
THERAPISTS = {
    "C1": [42, 43, 45, 44, 43, 41, 46, 47],
    "C2": [45, 46, 47, 47, 48, 49, 49, 48],
    "C3": [40, 39, 41, 42, 41, 43, 44, 45],
    "C4": [49, 50, 49, 48, 47, 46, 44, 43],
    "C5": [44, 43, 45, 46, 45, 46, 47, 47],
    "C6": [50, 51, 50, 52, 51, 51, 52, 52],
}
CLIENT = np.array([*CLIENTS.values()], dtype=float).ravel()
THERAPIST = np.array([*THERAPISTS.values()], dtype=float).ravel()
DYAD = np.repeat([*CLIENTS], 8)
SESSION = np.tile(np.arange(1, 9), 6)


def fitted(model):
    """Fit with statsmodels; its search complains about precision it has already reached."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(reml=True, method="bfgs", gtol=1e-9)


def field(result, name):
    return dict(zip(result.names, result.estimate, strict=True))[name]


@pytest.mark.parametrize(
    ("dyad", "r", "gap", "gap_sd", "ccc"),
    [
        ("C1", 0.6017, 1.875, 3.2705, 0.4113),
        ("C2", 0.7918, 4.5, 0.9258, 0.1334),
        ("C3", 0.8120, 0, 1.5119, 0.7888),
        ("C4", 0.9649, 2.875, 1.7269, 0.6333),
        ("C5", 0.9262, 3.5, 1.0690, 0.3030),
        ("C6", 0.9078, 7.25, 0.4629, 0.0296),
    ],
)
def test_each_dyad_has_the_worked_statistics(dyad, r, gap, gap_sd, ccc):
    found = dyad_statistics(CLIENT, THERAPIST, DYAD)
    (place,) = np.flatnonzero(found.dyad == dyad)
    assert found.r[place] == pytest.approx(r, abs=5e-5)
    assert found.gap[place] == pytest.approx(gap, abs=5e-5)
    assert found.gap_sd[place] == pytest.approx(gap_sd, abs=5e-5)
    assert found.ccc[place] == pytest.approx(ccc, abs=5e-5)
    assert (found.n_paired[place], found.reason[place]) == (8, "")


ENOUGH = [5, 6, 7, 6, 5, 7]


@pytest.mark.parametrize(
    ("client", "therapist", "expected", "reason"),
    [
        pytest.param(ENOUGH, ENOUGH, (6, 0, 1), "", id="six sessions are enough"),
        pytest.param(
            ENOUGH[:5], ENOUGH[:5], (5, NA, NA), "not enough data: 5 of 6 paired sessions", id="five are not"
        ),
        pytest.param([*ENOUGH, 7], [*ENOUGH[:5], NA, 7], (6, 0, 1), "", id="unpaired sessions do not count"),
        pytest.param(
            [NA] * 7, [NA] * 7, (0, NA, NA), "not enough data: 0 of 6 paired sessions", id="nothing rated"
        ),
        pytest.param(
            ENOUGH, [NA] * 6, (0, NA, NA), "not enough data: 0 of 6 paired sessions", id="one rater only"
        ),
        pytest.param([5], [5], (1, NA, NA), "not enough data: 1 of 6 paired sessions", id="one session"),
        pytest.param([4.1] * 6, ENOUGH, (6, -1.9, NA), "the client's ratings never vary", id="flat client"),
        pytest.param(
            ENOUGH, [4.1] * 6, (6, 1.9, NA), "the therapist's ratings never vary", id="flat therapist"
        ),
        pytest.param([6] * 6, [4] * 6, (6, 2, NA), "neither rating ever varies", id="both flat"),
        pytest.param(ENOUGH, [-x for x in ENOUGH], (6, 12, -1), "", id="opposite"),
    ],
)
def test_dyad_statistics_follow_the_truth_table(client, therapist, expected, reason):
    n, gap, r = expected
    found = dyad_statistics(client, therapist, ["A"] * len(client))
    assert found.n_paired.tolist() == [n]
    assert found.gap[0] == pytest.approx(gap, nan_ok=True)
    assert found.r[0] == pytest.approx(r, nan_ok=True)
    assert np.isnan(found.ccc[0]) == np.isnan(r)
    assert np.isnan(found.gap_sd[0]) == np.isnan(gap)
    assert found.reason.tolist() == [reason]


def test_no_dyad_is_no_row():
    found = dyad_statistics([], [], [])
    assert [len(getattr(found, each.name)) for each in fields(found)] == [0] * 7


def test_perfect_tracking_at_another_level_is_no_concordance():
    found = dyad_statistics(ENOUGH, [x - 3 for x in ENOUGH], ["A"] * 6)
    # var 0.8 twice, gap 3: 1.6 / (1.6 + 9).
    assert found.r[0] == pytest.approx(1)
    assert found.ccc[0] == pytest.approx(1.6 / 10.6)


ratings = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.none(), st.integers(12, 60)),
        st.one_of(st.none(), st.integers(12, 60)),
    ),
    max_size=60,
)


def unpack(rows):
    dyad = [row[0] for row in rows]
    return (*(np.array([NA if row[k] is None else row[k] for row in rows], float) for k in (1, 2)), dyad)


@settings(deadline=None, max_examples=80)
@given(rows=ratings)
def test_a_dyad_is_described_the_same_whatever_stands_beside_it_and_as_scipy_would(rows):
    client, therapist, dyad = unpack(rows)
    found = dyad_statistics(client, therapist, dyad)
    for place, label in enumerate(found.dyad):
        mine = np.array(dyad) == label
        alone = dyad_statistics(client[mine], therapist[mine], np.array(dyad)[mine])
        np.testing.assert_array_equal(
            [alone.gap[0], alone.gap_sd[0], alone.r[0], alone.ccc[0]],
            [found.gap[place], found.gap_sd[place], found.r[place], found.ccc[place]],
        )
        assert alone.reason[0] == found.reason[place]
        both = mine & np.isfinite(client) & np.isfinite(therapist)
        if np.isfinite(found.r[place]):
            expected = stats.pearsonr(client[both], therapist[both]).statistic
            assert found.r[place] == pytest.approx(expected, abs=1e-9)
            assert abs(found.ccc[place]) <= abs(found.r[place]) + 1e-12
        if np.isfinite(found.gap[place]):
            assert found.gap_sd[place] == pytest.approx(np.std((client - therapist)[both], ddof=1), abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(rows=ratings)
def test_exchanging_the_raters_turns_the_gap_and_nothing_else(rows):
    client, therapist, dyad = unpack(rows)
    here, there = dyad_statistics(client, therapist, dyad), dyad_statistics(therapist, client, dyad)
    np.testing.assert_allclose(here.gap, -there.gap, atol=1e-12)
    for name in ("gap_sd", "r", "ccc", "n_paired"):
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), atol=1e-12)


def test_the_caseload_mean_counts_each_dyad_once():
    found = summarise_dyads(dyad_statistics(CLIENT, THERAPIST, DYAD))
    gaps = [1.875, 4.5, 0, 2.875, 3.5, 7.25]
    assert found.n_dyads.tolist() == [6, 6, 6, 6]
    assert field(found.means, "gap") == pytest.approx(np.mean(gaps))
    assert found.sd[0] == pytest.approx(np.std(gaps, ddof=1))
    interval = stats.t.interval(0.95, 5, loc=np.mean(gaps), scale=stats.sem(gaps))
    assert (found.means.low[0], found.means.high[0]) == pytest.approx(interval)
    assert found.means.p[0] == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)


def test_a_dyad_without_a_correlation_counts_for_the_gap_only():
    found = summarise_dyads(dyad_statistics([*ENOUGH, *[4] * 6], [*ENOUGH, *ENOUGH], [1] * 6 + [2] * 6))
    assert found.n_dyads.tolist() == [2, 2, 1, 1]
    assert field(found.means, "r") == pytest.approx(1)
    assert np.isnan(found.means.se[2])
    assert np.isnan(found.means.low[2])


def test_the_mean_over_no_dyad_is_missing():
    found = summarise_dyads(dyad_statistics([5], [5], ["A"]))
    assert found.n_dyads.tolist() == [0] * 4
    assert np.isnan(found.means.estimate).all()


@pytest.mark.parametrize(
    ("first", "second", "r12", "expected"),
    [(0.9, 0.9, 0.5, 0.8), (0.8, 0.8, 0.7, 0.33), (0.9, 0.7, 0.5, 0.6), (0.5, 0.5, 0.9, -4)],
)
def test_a_difference_is_less_reliable_than_its_parts(first, second, r12, expected):
    assert difference_reliability(first, second, r12) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1.2, 0.9, 0.5), "first must lie between 0 and 1, got 1.2"),
        ((0.9, -0.1, 0.5), "second must lie between 0 and 1, got -0.1"),
        ((0.9, 0.9, 1.0), "r12 must be at least -1 and below 1, got 1"),
        ((0.9, 0.9, NA), "r12 must be at least -1 and below 1, got nan"),
    ],
)
def test_impossible_reliabilities_are_refused(given, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared
        difference_reliability(*given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dyad_statistics([np.inf], [1], ["A"]), "client must be finite or missing, got inf"),
        (lambda: dyad_statistics([1], [-np.inf], ["A"]), "therapist must be finite or missing, got -inf"),
        (
            lambda: dyad_statistics([1, 2], [1], ["A", "A"]),
            "client and therapist must be equally long, got 2 and 1",
        ),
        (
            lambda: dyad_statistics([1], [1], []),
            "dyad must have one entry for each of 1 rows, got shape (0,)",
        ),
        (lambda: dyad_statistics([[1]], [1], ["A"]), "client must have one dimension, got 2"),
        (
            lambda: pair_ratings([1, 2], ["A", "A"], [1, 1], ["client", "client"]),
            "case, session and rater must name one row, got 1 doubles",
        ),
        (
            lambda: pair_ratings([1], ["A"], [1], ["x"], first="x", second="x"),
            "first and second must be two raters, got 'x' twice",
        ),
        (
            lambda: truth_and_bias([1], [1], ["A"], judge="x"),
            "judge must be one of therapist, client, got 'x'",
        ),
        (
            lambda: truth_and_bias([1], [1], ["A"], bias_force=True),
            "bias_force needs session, the number of each session",
        ),
        (
            lambda: truth_and_bias([1, 2], [1, 2], ["A", "A"], [3, 3], bias_force=True),
            "dyad and session must name one row, got 1 doubles",
        ),
        (lambda: response_surface([1], [1], [np.inf]), "outcome must be finite or missing, got inf"),
        (lambda: one_way_icc([np.inf], ["A"]), "values must be finite or missing, got inf"),
        (
            lambda: variance_components([1, 2], ["A", "A"], ["T", "U"]),
            "each case must have one therapist, got 1 with several",
        ),
        (
            lambda: variance_components([1], ["A"], ["T"], estimator="ml"),
            "estimator must be one of moments, reml, got 'ml'",
        ),
        (
            lambda: between_within([1, 2], ["A", "A"], ["T", "U"]),
            "each case must have one therapist, got 1 with several",
        ),
    ],
)
def test_a_callers_mistake_is_named(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared
        call()
    assert str(caught.value) == message


def test_ratings_are_paired_by_case_and_session_in_any_order():
    rows = [
        ("B", 2, "therapist", 30, 9), ("A", 1, "client", 10, NA), ("B", 2, "client", 31, NA),
        ("A", 2, "therapist", 20, 5), ("A", 1, "observer", 99, 1), ("A", 1, "therapist", 11, 4),
    ]  # fmt: skip
    case, session, rater, values, day = (list(column) for column in zip(*rows, strict=True))
    pairs = pair_ratings(values, case, session, rater, day=day)
    assert pairs.case.tolist() == ["A", "A", "B"]
    assert pairs.session.tolist() == [1, 2, 2]
    np.testing.assert_array_equal(pairs.client, [10, NA, 31])
    np.testing.assert_array_equal(pairs.therapist, [11, 20, 30])
    np.testing.assert_array_equal(pairs.day, [4, 5, 9])


def test_no_ratings_make_no_pairs():
    pairs = pair_ratings([], [], [], [])
    assert (len(pairs.case), len(pairs.client)) == (0, 0)


def test_truth_and_bias_reproduces_the_worked_example():
    # R, nlme::lme, random intercept, REML.
    found = truth_and_bias(CLIENT, THERAPIST, DYAD, min_dyads=6)
    np.testing.assert_allclose(found.estimates.estimate, [-3.333333, 0.510702], atol=5e-7)
    np.testing.assert_allclose(found.estimates.se, [1.002947, 0.059029], atol=5e-7)
    assert found.intercept_sd == pytest.approx(2.427021, abs=5e-7)
    assert found.sigma == pytest.approx(1.076983, abs=5e-7)
    assert (found.n_dyads, found.n_sessions, found.reason, found.notes) == (6, 48, "", ())
    assert found.estimates.names == ("directional bias", "truth force")
    margin = stats.t.ppf(0.975, 5) * found.estimates.se
    np.testing.assert_allclose(found.estimates.high - found.estimates.estimate, margin)


def test_a_mixed_model_reproduces_lme4():
    # lmer REML on the six clients, t = session - 1, random intercept; criterion as lme4 prints it.
    fit = fit_intercepts(CLIENT, np.column_stack([np.ones(48), SESSION - 1]), DYAD)
    np.testing.assert_allclose(fit.beta, [48.555556, 0.251984], atol=5e-7)
    assert fit.group**0.5 == pytest.approx(5.518819, abs=5e-7)
    assert fit.residual**0.5 == pytest.approx(2.780042, abs=5e-7)
    assert fit.deviance == pytest.approx(251.4202, abs=5e-5)
    assert fit.nested == 0


def test_the_roles_can_be_exchanged():
    here = truth_and_bias(THERAPIST, CLIENT, DYAD, min_dyads=6)
    there = truth_and_bias(CLIENT, THERAPIST, DYAD, min_dyads=6, judge="client")
    np.testing.assert_array_equal(here.estimates.estimate, there.estimates.estimate)
    assert there.judge == "client"
    assert field(there.estimates, "directional bias") == pytest.approx(10 / 3)


def test_fewer_than_twenty_dyads_are_not_enough_data():
    found = truth_and_bias(CLIENT, THERAPIST, DYAD)
    assert found.reason == "not enough data: 6 of 20 dyads with at least two usable sessions"
    assert np.isnan([*found.estimates.estimate, *found.estimates.se, found.sigma, found.intercept_sd]).all()
    assert (found.n_dyads, found.n_sessions) == (6, 48)


@pytest.mark.parametrize(
    ("client", "therapist", "reason"),
    [
        pytest.param(
            np.full(48, 50.1),
            THERAPIST,
            "not enough data: the ratings to explain by never vary within a dyad, or not on their own",
            id="flat truth",
        ),
        pytest.param(
            CLIENT,
            CLIENT / 3 + 0.1,
            "not enough data: within dyads the judge's rating is an exact function of the truth",
            id="exact function",
        ),
        pytest.param(
            CLIENT,
            np.full(48, 50.1),
            "not enough data: within dyads the judge's rating is an exact function of the truth",
            id="flat judge",
        ),
        pytest.param(
            np.full(48, NA),
            THERAPIST,
            "not enough data: 0 of 6 dyads with at least two usable sessions",
            id="nothing rated",
        ),
    ],
)
def test_a_model_that_cannot_be_fitted_says_why(client, therapist, reason):
    assert truth_and_bias(client, therapist, DYAD, min_dyads=6).reason == reason


def test_no_session_is_not_enough_data():
    found = truth_and_bias([], [], [], [], bias_force=True)
    assert found.reason == "not enough data: 0 of 20 dyads with at least two usable sessions"
    assert found.estimates.names == ("directional bias", "truth force", "bias force")


def test_a_dyad_with_one_paired_session_is_left_out_and_told():
    client, therapist = np.append(CLIENT, [50, 40]), np.append(THERAPIST, [40, NA])
    found = truth_and_bias(client, therapist, [*DYAD, "C7", "C7"], min_dyads=6)
    assert found.notes == ("left out: 1 with a single usable session",)
    assert field(found.estimates, "directional bias") == pytest.approx(-10 / 3)


def test_the_bias_force_looks_at_the_neighbouring_session_only():
    # Session 4 of C1 is missing: sessions 1 and 5 of it have no neighbour before them.
    kept = ~((DYAD == "C1") & (SESSION == 4))
    found = truth_and_bias(
        CLIENT[kept], THERAPIST[kept], DYAD[kept], SESSION[kept], bias_force=True, min_dyads=6
    )
    assert found.n_sessions == 48 - 1 - 6 - 1
    whole = truth_and_bias(CLIENT, THERAPIST, DYAD, SESSION, bias_force=True, min_dyads=6)
    assert whole.n_sessions == 42


def test_the_last_session_of_one_dyad_is_not_before_the_first_of_the_next():
    later = SESSION + 8 * np.repeat(np.arange(6), 8)
    found = truth_and_bias(CLIENT, THERAPIST, DYAD, later, bias_force=True, min_dyads=6)
    assert found.n_sessions == 42


def test_a_long_gap_makes_sessions_no_neighbours():
    day = np.where((DYAD == "C1") & (SESSION > 4), SESSION * 7.0 + 29, SESSION * 7.0)
    found = truth_and_bias(CLIENT, THERAPIST, DYAD, SESSION, day=day, bias_force=True, min_dyads=6)
    assert found.n_sessions == 41


def test_the_judges_own_rating_before_counts_even_if_the_truth_was_not_rated_then():
    client = np.where(SESSION == 3, NA, CLIENT)
    found = truth_and_bias(client, THERAPIST, DYAD, SESSION, bias_force=True, min_dyads=6)
    assert found.n_sessions == 48 - 6 - 6


def test_the_bias_force_equals_a_fit_by_hand():
    linear = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    client, therapist = CLIENT.reshape(6, 8), THERAPIST.reshape(6, 8)
    centre = client.mean(axis=1, keepdims=True)
    y, truth, own = (
        each.ravel()
        for each in ((therapist - centre)[:, 1:], (client - centre)[:, 1:], (therapist - centre)[:, :-1])
    )
    x = np.column_stack([np.ones(42), truth, own])
    other = fitted(linear.MixedLM(y, x, groups=np.repeat(range(6), 7)))
    shuffled = np.random.default_rng(3).permutation(48)
    found = truth_and_bias(
        CLIENT[shuffled], THERAPIST[shuffled], DYAD[shuffled], SESSION[shuffled], bias_force=True, min_dyads=6
    )
    np.testing.assert_allclose(found.estimates.estimate, other.fe_params, rtol=1e-6)
    assert found.sigma**2 == pytest.approx(other.scale, rel=1e-6)
    assert found.intercept_sd**2 == pytest.approx(float(other.cov_re[0, 0]), rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([0.0, 0.3, 2.0]),
    slope=st.sampled_from([-0.5, 0.0, 0.7]),
)
def test_truth_and_bias_follows_from_within_and_between(seed, spread, slope):
    random = np.random.default_rng(seed)
    n, size = 25, 6
    client = random.normal(50, 4, n)[:, None] + random.normal(0, 2, (n, size))
    centre = client.mean(axis=1, keepdims=True)
    bias = -3 + random.normal(0, 1, n)[:, None] * spread
    therapist = centre + bias + slope * (client - centre) + random.normal(0, 1, (n, size))
    dyad = np.repeat(np.arange(n), size)
    found = truth_and_bias(client.ravel(), therapist.ravel(), dyad)
    x, y = client - centre, therapist - therapist.mean(axis=1, keepdims=True)
    assert field(found.estimates, "truth force") == pytest.approx((x * y).sum() / (x**2).sum(), rel=1e-9)
    assert field(found.estimates, "directional bias") == pytest.approx((therapist - client).mean(), rel=1e-9)
    moved = truth_and_bias(10 * client.ravel() + 7, 10 * therapist.ravel() + 7, dyad)
    np.testing.assert_allclose(moved.estimates.estimate, found.estimates.estimate * [10, 1], rtol=1e-7)
    assert moved.sigma == pytest.approx(10 * found.sigma, rel=1e-7)
    assert moved.intercept_sd == pytest.approx(10 * found.intercept_sd, rel=1e-5, abs=1e-6)


def restricted_deviance(y, x, group, nested, variance):
    """-2 log of the restricted likelihood, written out with whole matrices."""
    same_group = (group[:, None] == group).astype(float)
    same_unit = (nested[:, None] == nested).astype(float)
    covariance = variance[0] * same_group + variance[1] * same_unit + variance[2] * np.eye(len(y))
    inverse = np.linalg.inv(covariance)
    inner = x.T @ inverse @ x
    residual = y - x @ np.linalg.solve(inner, x.T @ inverse @ y)
    dets = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(inner)[1]
    return dets + residual @ inverse @ residual + (len(y) - x.shape[1]) * np.log(2 * np.pi)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spread", [(1.0, 2.0), (0.0, 1.5), (1.5, 0.0), (0.0, 0.0)], ids=str)
def test_no_other_variances_are_more_likely(seed, spread):
    random = np.random.default_rng(seed)
    nested = np.sort(random.integers(0, 15, 70))
    group = nested % 4
    x = np.column_stack([np.ones(70), random.normal(size=70)])
    y = 3 + random.normal(0, spread[0] + 1e-9, 4)[group] + random.normal(0, spread[1] + 1e-9, 15)[nested]
    y = y + random.normal(size=70)
    fit = fit_intercepts(y, x, group, nested)
    best = np.array([fit.group, fit.nested, fit.residual])
    here = restricted_deviance(y, x, group, nested, best)
    assert fit.deviance == pytest.approx(here, abs=1e-8)
    for step in (*np.eye(3), *-np.eye(3)):
        near = best + 0.01 * step
        if (near >= 0).all():
            assert restricted_deviance(y, x, group, nested, near) >= here - 1e-9
    weight = np.linalg.inv(
        best[0] * (group[:, None] == group) + best[1] * (nested[:, None] == nested) + best[2] * np.eye(70)
    )
    np.testing.assert_allclose(fit.se, np.sqrt(np.diag(np.linalg.inv(x.T @ weight @ x))), rtol=1e-9)


def test_three_levels_equal_statsmodels():
    linear = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    values, case, therapist = clinic(seed=4, n_therapists=12, n_cases=5, n_sessions=6, keep=0.7)
    labels = np.unique(therapist)
    names = [np.unique(case[therapist == label]) for label in labels]
    matrices = [
        (case[therapist == label][:, None] == units).astype(float)
        for label, units in zip(labels, names, strict=True)
    ]
    parts = linear.VCSpec(["case"], [[list(map(str, units)) for units in names]], [matrices])
    ones = np.ones((len(values), 1))
    other = fitted(linear.MixedLM(values, ones, groups=therapist, exog_re=ones, exog_vc=parts))
    found = variance_components(values, case, therapist, estimator="reml")
    expected = [float(other.cov_re[0, 0]), float(other.vcomp[0]), float(other.scale)]
    np.testing.assert_allclose(found.variance, expected, rtol=1e-5)
    assert found.interval == "none with reml"
    assert np.isnan([*found.low, *found.high]).all()


B = np.array([1.0, 0.5, 0.3, -0.02, 0.04, -0.02])
SURFACE = {"a1": 0.8, "a2": 0.0, "a3": 0.2, "a4": -0.08}


def cases(seed=1, n=40, noise=0.0, centre=45.0):
    random = np.random.default_rng(seed)
    client, therapist = random.normal(centre, 5, n), random.normal(centre - 3, 4, n)
    c, t = client - centre, therapist - centre
    z = np.column_stack([np.ones(n), c, t, c**2, c * t, t**2]) @ B
    return client, therapist, z + random.normal(0, noise, n) * (1 + np.abs(c) / 5)


def test_the_surface_of_the_worked_example_is_found_again():
    found = response_surface(*cases(), centre=45)
    estimates = found.by_error["classical"]
    np.testing.assert_allclose(estimates.estimate[:6], B, atol=1e-9)
    for name, value in SURFACE.items():
        assert field(estimates, name) == pytest.approx(value, abs=1e-9)
    assert found.r_squared == pytest.approx(1)
    assert (found.centre, found.n_rows, found.n_clusters, found.reason) == (45, 40, 0, "")


def test_both_ratings_are_centred_at_one_common_point():
    client, therapist, z = cases(noise=1)
    found = response_surface(client, therapist, z)
    assert found.centre == pytest.approx(np.concatenate([client, therapist]).mean())


@pytest.mark.parametrize(("kind", "cov_type"), [("classical", "nonrobust"), ("hc3", "HC3")])
def test_the_surface_equals_statsmodels(kind, cov_type):
    api = pytest.importorskip("statsmodels.api")
    client, therapist, z = cases(noise=2)
    c, t = client - 44, therapist - 44
    x = np.column_stack([np.ones(40), c, t, c**2, c * t, t**2])
    other = api.OLS(z, x).fit(cov_type=cov_type, use_t=True)
    lines = np.array([[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 1, -1, 0, 0, 0], [0, 0, 0, 1, -1, 1]])
    contrast = other.t_test(lines)
    found = response_surface(client, therapist, z, centre=44)
    mine = found.by_error[kind]
    np.testing.assert_allclose(mine.estimate, [*other.params, *contrast.effect], rtol=1e-8)
    np.testing.assert_allclose(mine.se, [*other.bse, *contrast.sd.ravel()], rtol=1e-8)
    np.testing.assert_allclose(mine.p, [*other.pvalues, *contrast.pvalue.ravel()], rtol=1e-6)
    np.testing.assert_allclose(mine.t, [*other.tvalues, *contrast.tvalue.ravel()], rtol=1e-6)
    np.testing.assert_allclose(
        np.column_stack([mine.low, mine.high]),
        np.vstack([other.conf_int(), contrast.conf_int()]),
        rtol=1e-7,
        atol=1e-9,
    )
    assert found.r_squared == pytest.approx(other.rsquared)
    assert found.sigma == pytest.approx(other.mse_resid**0.5)


def test_errors_of_session_rows_allow_for_their_case():
    api = pytest.importorskip("statsmodels.api")
    client, therapist, z = cases(n=120, noise=2)
    case = np.random.default_rng(5).integers(0, 25, 120)
    c, t = client - 45, therapist - 45
    x = np.column_stack([np.ones(120), c, t, c**2, c * t, t**2])
    other = api.OLS(z, x).fit(cov_type="cluster", cov_kwds={"groups": case}, use_t=True)
    found = response_surface(client, therapist, z, centre=45, cluster=case)
    mine = found.by_error["cluster"]
    np.testing.assert_allclose(mine.se[:6], other.bse, rtol=1e-8)
    np.testing.assert_allclose(mine.p[:6], other.pvalues, rtol=1e-6)
    assert found.n_clusters == 25
    assert set(found.by_error) == {"classical", "hc3", "cluster"}


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        pytest.param(
            lambda c, t, z: (c[:19], t[:19], z[:19]), {}, "not enough data: 19 of 20 rows", id="few"
        ),
        pytest.param(
            lambda c, t, z: (c[:6], t[:6], z[:6]), {"min_rows": 1}, "not enough data: 6 of 7 rows", id="six"
        ),
        pytest.param(
            lambda c, t, z: (c, t, np.full(40, NA)), {}, "not enough data: 0 of 20 rows", id="no outcome"
        ),
        pytest.param(
            lambda c, t, z: (c, c, z),
            {},
            "not enough data: the ratings do not vary enough for six coefficients",
            id="both agree throughout",
        ),
        pytest.param(
            lambda c, t, z: (np.full(40, 4.1), t, z),
            {},
            "not enough data: the ratings do not vary enough for six coefficients",
            id="flat",
        ),
        pytest.param(
            lambda c, t, z: (c, t, z),
            {"cluster": ["A"] * 40},
            "not enough data: 1 of 20 clusters",
            id="one case",
        ),
    ],
)
def test_a_surface_that_cannot_be_fitted_says_why(change, options, reason):
    found = response_surface(*change(*cases(noise=1)), **options)
    assert found.reason == reason
    assert np.isnan(found.by_error["classical"].estimate).all()
    assert len(found.by_error["hc3"].names) == 10


def test_a_row_that_decides_a_coefficient_alone_has_no_hc3_error():
    # Therapist means of 44 and 46 only, so that one row at 50 alone tells the curve: its residual is 0.
    client = np.array([*np.tile([44.0, 45, 46], 7), 45])
    therapist = np.array([*np.repeat([44.0, 46], [11, 10]), 50])
    found = response_surface(client, therapist, np.arange(22.0) % 5)
    assert np.isfinite(found.by_error["classical"].se).all()
    assert np.isnan(found.by_error["hc3"].se).all()
    assert np.isnan(found.by_error["hc3"].p).all()


def test_an_outcome_that_never_varies_has_no_share_explained():
    client, therapist, _ = cases()
    found = response_surface(client, therapist, np.full(40, 3.0))
    assert np.isnan(found.r_squared)


def test_icc_and_spread_of_the_worked_caseload():
    # multilevel::ICC1; pooled successive-difference SD of the same data.
    found = one_way_icc(CLIENT, DYAD)
    assert found.icc == pytest.approx(0.793380, abs=5e-7)
    spread = successive_spread(Courses(values=CLIENT, session=SESSION, starts=np.arange(0, 48, 8)))
    pooled = np.sqrt((spread.variance * spread.pairs).sum() / spread.pairs.sum())
    assert pooled == pytest.approx(1.854852, abs=5e-7)


def test_the_interval_of_a_balanced_icc_is_exact():
    found = one_way_icc(CLIENT, DYAD)
    ratio = stats.f_oneway(*CLIENT.reshape(6, 8)).statistic
    below, above = ratio / stats.f.ppf(0.975, 5, 42), ratio * stats.f.ppf(0.975, 42, 5)
    assert found.interval == "exact F"
    assert found.low == pytest.approx((below - 1) / (below + 7))
    assert found.high == pytest.approx((above - 1) / (above + 7))


def test_an_unbalanced_icc_has_a_bootstrap_interval_that_depends_on_its_seed_alone():
    kept = np.arange(48) % 7 != 0
    found, again = (one_way_icc(CLIENT[kept], DYAD[kept]) for _ in range(2))
    other = one_way_icc(CLIENT[kept], DYAD[kept], seed=2)
    assert found.interval == "bootstrap over units, 999 samples, seed 1"
    assert (found.low, found.high) == (again.low, again.high) != (other.low, other.high)
    assert found.low < found.icc < found.high
    shuffled = np.random.default_rng(1).permutation(kept.sum())
    moved = one_way_icc(CLIENT[kept][shuffled], DYAD[kept][shuffled])
    assert (moved.icc, moved.low) == pytest.approx((found.icc, found.low), rel=1e-9)


def test_an_unbalanced_icc_by_hand():
    # Units 1 3 | 5 6 7: MSB 19.2, MSW 4/3, n0 = (5 - 13/5) / 1 = 2.4; between = (19.2 - 4/3) / 2.4.
    found = one_way_icc([1, 3, 5, 6, 7], [1, 1, 2, 2, 2])
    assert found.within == pytest.approx(4 / 3)
    assert found.between == pytest.approx((19.2 - 4 / 3) / 2.4)
    assert found.icc == pytest.approx(found.between / (found.between + 4 / 3))
    assert found.interval == "none: 2 of 5 units"


@pytest.mark.parametrize(
    ("values", "unit", "reason"),
    [
        pytest.param([], [], "not enough data: 0 of 2 units", id="nothing"),
        pytest.param([1, 2], ["A", "A"], "not enough data: 1 of 2 units", id="one unit"),
        pytest.param(
            [1, 2], ["A", "B"], "not enough data: every unit has a single score", id="one score each"
        ),
        pytest.param(
            [1, NA, 2], ["A", "A", "B"], "not enough data: every unit has a single score", id="missing"
        ),
        pytest.param(
            [4.1] * 4, ["A", "A", "B", "B"], "not enough data: the scores never vary", id="all alike"
        ),
    ],
)
def test_an_icc_that_cannot_be_told_says_why(values, unit, reason):
    found = one_way_icc(values, unit)
    assert found.reason == reason
    assert np.isnan([found.icc, found.low, found.high]).all()


def test_units_without_any_inner_variation_have_icc_1():
    found = one_way_icc([1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 3])
    assert (found.icc, found.low, found.high) == (1, 1, 1)


def test_units_that_differ_less_than_chance_have_an_icc_below_0():
    found = one_way_icc([1, 5, 1, 5, 1, 5], [1, 1, 2, 2, 3, 3])
    assert found.icc == pytest.approx(-1)


def test_a_score_is_taken_apart_and_put_together_again():
    case, therapist = ["A", "A", "B", "C", "C"], ["T", "T", "T", "U", "U"]
    parts = between_within([4, 6, 9, NA, NA], case, therapist)
    np.testing.assert_array_equal(parts.case_mean, [5, 5, 9, NA, NA])
    np.testing.assert_array_equal(parts.deviation, [-1, 1, 0, NA, NA])
    np.testing.assert_array_equal(parts.therapist_mean, [7, 7, 7, NA, NA])
    np.testing.assert_array_equal(parts.case_deviation, [-2, -2, 2, NA, NA])


@settings(deadline=None, max_examples=50)
@given(rows=ratings)
def test_the_parts_of_a_score_add_up_and_deviations_vanish_within_a_case(rows):
    values, _, case = unpack(rows)
    parts = between_within(values, case, [label % 2 for label in case])
    np.testing.assert_allclose(parts.therapist_mean + parts.case_deviation + parts.deviation, values)
    for label in set(case):
        mine = parts.deviation[np.array(case) == label]
        assert np.nansum(mine) == pytest.approx(0, abs=1e-9)


def test_a_case_with_two_therapists_is_found():
    rows = [("A", "T"), ("B", "T"), ("A", "U"), ("C", "U")]
    case, therapist = zip(*rows, strict=True)
    assert has_one_therapist(case, therapist).tolist() == [False, True, False, True]
    assert has_one_therapist([], []).tolist() == []


def test_therapists_are_described_by_the_means_of_their_cases():
    values = [4, 6, 9, 7, 3, NA]
    found = therapist_means(values, ["A", "A", "B", "C", "D", "E"], ["T", "T", "T", "T", "U", "U"])
    assert found.means.names == ("T", "U")
    assert found.n_cases.tolist() == [3, 1]
    assert found.n_scores.tolist() == [4, 1]
    assert found.means.estimate.tolist() == [7, 3]
    assert found.sd[0] == pytest.approx(2)
    assert np.isnan([found.sd[1], found.means.low[1]]).all()
    interval = stats.t.interval(0.95, 2, loc=7, scale=2 / 3**0.5)
    assert (found.means.low[0], found.means.high[0]) == pytest.approx(interval)


def clinic(*, seed=1, n_therapists=20, n_cases=6, n_sessions=8, keep=1.0, spread=(1.0, 2.0, 1.5)):
    random = np.random.default_rng(seed)
    therapist = np.repeat(np.arange(n_therapists), n_cases * n_sessions)
    case = np.repeat(np.arange(n_therapists * n_cases), n_sessions)
    values = 50 + random.normal(0, spread[0], n_therapists)[therapist]
    values = values + random.normal(0, spread[1], n_therapists * n_cases)[case]
    values = values + random.normal(0, spread[2], len(case))
    kept = random.random(len(case)) < keep
    return values[kept], case[kept], therapist[kept]


def test_balanced_components_are_those_of_the_analysis_of_variance():
    values, case, therapist = clinic()
    cube = values.reshape(20, 6, 8)
    ms_session = cube.var(axis=2, ddof=1).mean()
    ms_case = 8 * cube.mean(axis=2).var(axis=1, ddof=1).mean()
    ms_therapist = 48 * cube.mean(axis=(1, 2)).var(ddof=1)
    found = variance_components(values, case, therapist)
    expected = [(ms_therapist - ms_case) / 48, (ms_case - ms_session) / 8, ms_session]
    np.testing.assert_allclose(found.variance, expected)
    np.testing.assert_allclose(found.share, np.array(expected) / sum(expected))
    assert found.case_icc == pytest.approx(found.share[:2].sum())
    assert found.n.tolist() == [20, 120, 960]
    reml = variance_components(values, case, therapist, estimator="reml")
    np.testing.assert_allclose(reml.variance, expected, rtol=1e-9)


@pytest.mark.parametrize("size", [(3, 1, 2), (2, 5, 1)])
def test_unbalanced_moments_are_unbiased_in_every_component(size):
    """E(y y') is linear in the variances: fed with the exact moments, the equations give them back."""
    owner = np.repeat([0, 0, 1, 1, 1, 2], [4, size[0], 2, size[1] + 1, 3, 5])
    case = np.repeat(range(6), [4, size[0], 2, size[1] + 1, 3, 5])
    levels = [
        (owner[:, None] == owner).astype(float),
        (case[:, None] == case).astype(float),
        np.eye(len(case)),
    ]
    true = np.array([0.7, 1.9, 1.1])
    covariance = sum(each * part for each, part in zip(true, levels, strict=True))
    root = np.linalg.cholesky(covariance)
    # The sums of squares are quadratic forms: their expectation is the sum over the columns of the root.
    from alliance.dyads.components import _nested, _therapist_parts

    n = np.array([3, 6, len(case)])
    parts = np.array([_therapist_parts(column, case, owner, n).sum(axis=0) for column in root.T])
    sums = parts[0].copy()
    sums[[6, 7, 9]] = parts[:, [6, 7, 9]].sum(axis=0)
    # (sum of y)^2 / N is quadratic too; handed over through the column that is squared.
    sums[8] = np.sqrt((parts[:, 8] ** 2).sum())
    np.testing.assert_allclose(_nested(sums[None])[0], true)


def test_an_estimate_below_0_is_set_to_0_and_told():
    found = variance_components([1, 3, 2, 4, 6, 8, 9, 7], [1, 1, 2, 2, 3, 3, 4, 4], [1] * 4 + [2] * 4)
    # By hand: MS session 2, MS case 1, MS therapist 50: case (1 - 2) / 2, therapist (50 - 1) / 4.
    assert found.variance.tolist() == [12.25, 0, 2]
    assert found.notes == ("the variance between cases was estimated at -0.5 and set to 0",)
    assert found.share.tolist() == pytest.approx([12.25 / 14.25, 0, 2 / 14.25])
    assert found.interval == "none: 2 of 5 therapists"


def test_the_bootstrap_draws_whole_therapists():
    """Each replicate must equal the estimate from data in which the drawn therapists are written out."""
    values, case, therapist = clinic(seed=2, n_therapists=6, n_cases=3, n_sessions=4, keep=0.8)
    found = variance_components(values, case, therapist, replicates=40, seed=7)
    drawn = np.random.default_rng(7).integers(6, size=(40, 6))
    shares = []
    for sample in drawn:
        rows = [np.flatnonzero(therapist == label) for label in sample]
        new_case = np.concatenate([case[each] + 100 * place for place, each in enumerate(rows)])
        new_therapist = np.repeat(np.arange(6), [len(each) for each in rows])
        one = variance_components(values[np.concatenate(rows)], new_case, new_therapist, replicates=0)
        shares.append(one.share)
    limits = np.quantile(shares, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(np.array([found.low, found.high]), limits, atol=1e-9)
    assert found.interval == "bootstrap over therapists, 40 samples, seed 7"


def test_memory_does_not_decide_the_interval(monkeypatch):
    values, case, therapist = clinic(n_therapists=8)
    whole = variance_components(values, case, therapist)
    monkeypatch.setattr("alliance.dyads.components.MOST_DRAWN", 50)
    blocks = variance_components(values, case, therapist)
    np.testing.assert_allclose(blocks.low, whole.low, rtol=1e-12)


@pytest.mark.parametrize("estimator", ["moments", "reml"])
@pytest.mark.parametrize(
    ("values", "case", "therapist", "reason"),
    [
        pytest.param([], [], [], "not enough data: 0 of 2 therapists", id="nothing"),
        pytest.param([1, 2], [1, 2], [1, 1], "not enough data: 1 of 2 therapists", id="one therapist"),
        pytest.param(
            [1, 2, 3, 4], [1, 1, 2, 2], [1, 1, 2, 2], "not enough data: every therapist has a single case",
            id="one case each",
        ),
        pytest.param(
            [1, 2, 3], [1, 2, 3], [1, 1, 2], "not enough data: every case has a single score", id="one score"
        ),
        pytest.param(
            [4.1] * 6, [1, 1, 2, 2, 3, 3], [1, 1, 1, 1, 2, 2], "not enough data: the scores never vary",
            id="all alike",
        ),
    ],
)  # fmt: skip
def test_components_that_cannot_be_told_say_why(values, case, therapist, reason, estimator):
    found = variance_components(values, case, therapist, estimator=estimator)
    assert found.reason == reason
    assert np.isnan(found.variance).all()


def test_cases_that_never_vary_have_no_variance_within():
    case, therapist = np.repeat(range(6), 2), np.repeat([0, 1, 2], 4)
    values = np.repeat([1.0, 4, 2, 6, 9, 5], 2)
    assert variance_components(values, case, therapist).variance[2] == 0
    found = variance_components(values, case, therapist, estimator="reml")
    assert found.reason == "not enough data: the scores never vary within a case"


@pytest.mark.parametrize("estimator", ["moments", "reml"])
def test_no_variance_between_therapists_is_an_answer(estimator):
    values, case, therapist = clinic(seed=3, spread=(0.0, 0.0, 1.5))
    found = variance_components(values, case, therapist, estimator=estimator)
    assert found.share[0] < 0.02
    assert found.share.sum() == pytest.approx(1)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 9999),
    shift=st.sampled_from([-1000.0, 0.0, 5000.0]),
    factor=st.sampled_from([0.1, -3.0]),
)
def test_components_ignore_the_origin_and_square_with_the_unit(seed, shift, factor):
    values, case, therapist = clinic(seed=seed, n_therapists=5, n_cases=3, n_sessions=3, keep=0.9)
    for estimator in ("moments", "reml"):
        here = variance_components(values, case, therapist, estimator=estimator, replicates=0)
        there = variance_components(
            values * factor + shift, case, therapist, estimator=estimator, replicates=0
        )
        np.testing.assert_allclose(there.variance, here.variance * factor**2, rtol=1e-5, atol=1e-6)


def test_estimates_without_an_error_have_no_p():
    found = Estimates.of(["a", "b", "c"], np.array([1.0, 1.0, NA]), np.array([0.0, 1.0, 1.0]), 5.0)
    np.testing.assert_allclose(found.p, [NA, 2 * stats.t.sf(1, 5), NA])
    np.testing.assert_allclose(found.low, [1, 1 - stats.t.ppf(0.975, 5), NA])


@pytest.fixture
def run(command, monkeypatch):
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(dyads_command.dyads)
    app.command()(dyads_command.therapists)
    monkeypatch.setattr("alliance.cli.app", app)
    return command


def plain_file(tmp_path, rows, name="sessions.csv"):
    lines = [",".join(map(str, row)) for row in rows]
    path = tmp_path / name
    path.write_text("\n".join(["case,session,rater,therapist,score,change", *lines]) + "\n", encoding="utf-8")
    return path


def caseload(change=lambda case: 2 * int(case[1])):
    return [
        (case, session, rater, f"T{(int(case[1]) + 1) // 2}", score, change(case))
        for case in CLIENTS
        for rater, table in (("client", CLIENTS), ("therapist", THERAPISTS))
        for session, score in enumerate(table[case], 1)
    ]


def test_dyads_of_a_file_at_80_columns(run, tmp_path):
    done = run(
        "dyads", plain_file(tmp_path, [*caseload(), ("C7", 1, "client", "T1", 40, 1)]), "--column", "score"
    )
    assert done.out == (
        "case  n_paired    gap  gap_sd      r    ccc  reason\n"
        "C1           8  1.875   3.271  0.602  0.411  -\n"
        "C2           8    4.5   0.926  0.792  0.133  -\n"
        "C3           8      0   1.512  0.812  0.789  -\n"
        "C4           8  2.875   1.727  0.965  0.633  -\n"
        "C5           8    3.5   1.069  0.926  0.303  -\n"
        "C6           8   7.25   0.463  0.908   0.03  -\n"
        "C7           0      -       -      -      -  not enough data: 0 of 6 paired\n"
        "                                             sessions\n"
    )


def test_the_caseload_at_80_columns(run, tmp_path):
    done = run(
        "dyads", plain_file(tmp_path, caseload()), "--column", "score", "--caseload", "--min-dyads", "6",
        "--outcome", "change", "--reliabilities", "0.9,0.9",
    )  # fmt: skip
    assert done.out == (
        "means over dyads\n"
        "\n"
        "term    n  estimate     se    low   high  p\n"
        "gap     6     3.333  1.003  0.755  5.911  -\n"
        "gap_sd  6     1.495  0.399  0.469   2.52  -\n"
        "r       6     0.834  0.054  0.695  0.973  -\n"
        "ccc     6     0.383  0.119  0.078  0.688  -\n"
        "\n"
        "the gap of a session\n"
        "\n"
        "term          n  estimate  se  low  high  p  reason\n"
        "reliability  48    -0.982   -    -     -  -  the ratings correlate more than\n"
        "                                             their reliabilities allow\n"
        "\n"
        "truth and bias of therapist, client being the truth\n"
        "\n"
        "term                       n  estimate     se     low    high        p\n"
        "directional bias           6    -3.333  1.003  -5.911  -0.755    0.021\n"
        "truth force                6     0.511  0.059   0.359   0.662  3.4e-04\n"
        "sd of bias between dyads   6     2.427      -       -       -        -\n"
        "sd within dyads           48     1.077      -       -       -        -\n"
        "\n"
        "response surface, classical errors\n"
        "\n"
        "n  reason\n"
        "6  not enough data: 6 of 7 rows\n"
        "\n"
        "response surface, hc3 errors\n"
        "\n"
        "n  reason\n"
        "6  not enough data: 6 of 7 rows\n"
    )


def many_cases(n=30):
    random = np.random.default_rng(8)
    rows = []
    for number in range(n):
        client = random.normal(45, 5) + random.normal(0, 2, 4)
        therapist = random.normal(42, 4) + random.normal(0, 2, 4)
        z = round(float(client.mean() - therapist.mean() + random.normal()), 2)
        for session in range(4):
            rows.append((f"C{number}", session + 1, "client", "T", round(client[session], 2), z))
            rows.append((f"C{number}", session + 1, "therapist", "T", round(therapist[session], 2), ""))
    return rows


def test_a_surface_of_a_file_is_that_of_its_case_means(run, tmp_path):
    rows = many_cases()
    done = run(
        "dyads", plain_file(tmp_path, rows), "--column", "score", "--caseload", "--outcome", "change",
        "--centre", "44", "--format", "json",
    )  # fmt: skip
    told = {(row["model"], row["term"]): row for row in json.loads(done.out)}
    scores = {
        side: np.array([row[4] for row in rows if row[2] == side]).reshape(30, 4).mean(axis=1)
        for side in ("client", "therapist")
    }
    outcome = [row[5] for row in rows if row[2] == "client"][::4]
    found = response_surface(scores["client"], scores["therapist"], outcome, centre=44)
    for kind in ("classical", "hc3"):
        row = told[f"response surface, {kind} errors", "a3"]
        assert row["estimate"] == pytest.approx(field(found.by_error[kind], "a3"))
        assert row["se"] == pytest.approx(found.by_error[kind].se[8])
    assert told["response surface", "centre"]["estimate"] == 44
    assert told["means over dyads", "gap"]["reason"] == "not enough data: no dyad has it"


def test_the_judge_can_be_the_first_rater(run, tmp_path):
    done = run(
        "dyads", plain_file(tmp_path, caseload()), "--column", "score", "--caseload", "--min-dyads", "6",
        "--judge", "first", "--bias-force", "--format", "json",
    )  # fmt: skip
    rows = [row for row in json.loads(done.out) if row["model"].startswith("truth")]
    expected = truth_and_bias(
        CLIENT, THERAPIST, DYAD, SESSION, judge="client", bias_force=True, min_dyads=6
    ).estimates
    assert [row["estimate"] for row in rows[:3]] == pytest.approx(expected.estimate.tolist())
    assert rows[0]["model"] == "truth and bias of client, therapist being the truth"
    assert [row["n"] for row in rows] == [6, 6, 6, 6, 42]


def test_dates_far_apart_make_sessions_of_a_file_no_neighbours(run, tmp_path):
    lines = ["case,session,rater,score,date"]
    for case, session, rater, _, score, _ in caseload():
        weeks = session + (8 if case == "C1" and session > 4 else 0)
        lines.append(f"{case},{session},{rater},{score},{np.datetime64('2026-01-01') + 7 * weeks}")
    path = tmp_path / "dated.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = run(
        "dyads", path, "--column", "score", "--caseload", "--min-dyads", "6", "--bias-force",
        "--format", "json",
    )  # fmt: skip
    (row,) = [row for row in json.loads(done.out) if row["term"] == "sd within dyads"]
    assert row["n"] == 41


@pytest.mark.parametrize(
    ("rows", "options", "told"),
    [
        pytest.param(
            caseload,
            ["--outcome", "change"],
            (2, "error: --outcome belongs to --caseload\nhint: add --caseload, or leave it out\n"),
            id="no caseload",
        ),
        pytest.param(
            caseload,
            ["--raters", "client"],
            (
                2,
                "error: --raters are two different names, such as client,therapist, got 'client'\n"
                "hint: the gap is first - second\n",
            ),
            id="one rater",
        ),
        pytest.param(
            caseload,
            ["--raters", "client,observer"],
            (
                3,
                "error: no session was rated by both client and observer\n  raters: client, therapist\n"
                "hint: name them with --raters; "
                "two forms are compared only if their totals have the same range\n",
            ),
            id="an unknown rater",
        ),
        pytest.param(
            caseload,
            ["--judge", "third"],
            (2, "error: --judge is one of second, first, got 'third'\nhint: see --help\n"),
            id="an unknown judge",
        ),
        pytest.param(
            caseload,
            ["--caseload", "--reliabilities", "0.9"],
            (
                2,
                "error: --reliabilities are two numbers from 0 to 1, such as 0.9,0.85, got '0.9'\n"
                "hint: first rater, second rater\n",
            ),
            id="one reliability",
        ),
        pytest.param(
            lambda: caseload(lambda case: "good" if case == "C2" else 1),
            ["--caseload", "--outcome", "change"],
            (
                3,
                "error: 'change' must hold numbers\n  line 18: case C2, change = good\n"
                "hint: leave an unknown outcome empty\n",
            ),
            id="words",
        ),
        pytest.param(
            lambda: [*caseload(), ("C1", 9, "client", "T1", 40, 99)],
            ["--caseload", "--outcome", "change"],
            (
                3,
                "error: 'change' must be one number for each case\n  case C1: 2, 99\n"
                "hint: repeat it in each row of the case, or give it once\n",
            ),
            id="two outcomes of a case",
        ),
    ],
)
def test_what_cannot_be_described_is_told(run, tmp_path, rows, options, told):
    done = run("dyads", plain_file(tmp_path, rows()), "--column", "score", *options)
    assert (done.code, done.err) == told
    assert done.out == ""


def answers_file(tmp_path):
    lines = ["case,session,scale," + ",".join(f"q{k}" for k in range(1, 13))]
    random = np.random.default_rng(2)
    for session in range(1, 8):
        for form in ("wai-s", "wai-s-therapist"):
            cells = map(str, random.integers(1, 6, 12))
            lines.append(f"C1,{session},{form},{','.join(cells)}")
    path = tmp_path / "answers.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_two_forms_of_one_range_are_put_side_by_side(run, tmp_path):
    done = run("dyads", answers_file(tmp_path), "--format", "json", "--quiet")
    (row,) = json.loads(done.out)
    assert (row["case"], row["n_paired"], row["reason"]) == ("C1", 7, "")


def test_forms_of_different_ranges_are_refused(run, tmp_path):
    path = answers_file(tmp_path)
    text = path.read_text(encoding="utf-8").replace("wai-s-therapist", "haq-2-therapist")
    extra = ",".join(f"q{k}" for k in range(13, 20))
    head, *rows = text.splitlines()
    path.write_text("\n".join([f"{head},{extra}", *(row + "," * 7 for row in rows)]) + "\n", encoding="utf-8")
    done = run("dyads", path, "--quiet")
    assert (done.code, done.out, done.err) == (
        3,
        "",
        "error: no session was rated by both client and therapist\n  raters: client\n"
        "hint: name them with --raters; two forms are compared only if their totals have the same range\n",
    )


def test_therapists_of_a_file_at_80_columns(run, tmp_path):
    rows = [row for row in caseload() if row[2] == "client"]
    done = run("therapists", plain_file(tmp_path, rows), "--column", "score")
    assert done.out == (
        "rater   level           n  variance  share    low   high  interval\n"
        "client  therapists      3         0      0      -      -  none: 3 of 5\n"
        "                                                          therapists\n"
        "client  cases           6     30.97  0.796      -      -  none: 3 of 5\n"
        "                                                          therapists\n"
        "client  sessions       48     7.926  0.204      -      -  none: 3 of 5\n"
        "                                                          therapists\n"
        "client  ICC(1), cases   6         -  0.793  0.555  0.961  exact F\n"
    )
    assert done.err == "note: client: the variance between therapists was estimated at -0.6719 and set to 0\n"


def test_therapists_are_listed_by_name_and_not_ranked(run, tmp_path):
    rows = [row for row in caseload() if row[2] == "client"]
    done = run("therapists", plain_file(tmp_path, rows), "--column", "score", "--list")
    assert done.out == (
        "rater   therapist  n_cases  n_scores    mean     sd     low     high\n"
        "client  T1               2        16  48.812  4.331     9.9   87.725\n"
        "client  T2               2        16  45.875  5.657   -4.95     96.7\n"
        "client  T3               2        16  53.625  6.718  -6.729  113.979\n"
    )


def test_cases_without_one_therapist_are_left_out_and_told(run, tmp_path):
    rows = [row for row in caseload() if row[2] == "client"]
    rows[0] = (*rows[0][:3], "", *rows[0][4:])
    rows[9] = (*rows[9][:3], "T9", *rows[9][4:])
    done = run("therapists", plain_file(tmp_path, rows), "--column", "score", "--list", "--format", "json")
    assert done.err.splitlines() == [
        "note: left out: 1 rows without a therapist",
        "note: left out: 1 cases with several therapists",
    ]
    assert [row["n_scores"] for row in json.loads(done.out)] == [7, 16, 16]


def test_a_file_without_therapists_is_refused(run, tmp_path):
    rows = [(*row[:3], "", *row[4:]) for row in caseload()]
    done = run("therapists", plain_file(tmp_path, rows), "--column", "score")
    assert (done.code, done.err) == (
        3,
        "error: no row names a therapist\nhint: add a column therapist, with a code in every row\n",
    )


def test_the_table_of_levels_holds_the_components(run, tmp_path):
    values, case, therapist = clinic(seed=5, n_therapists=8, n_cases=3, n_sessions=4, keep=0.9)
    rows = [
        (f"C{c:02}", place, "client", f"T{t}", round(float(v), 3), "")
        for place, (v, c, t) in enumerate(zip(values, case, therapist, strict=True), 1)
    ]
    done = run(
        "therapists", plain_file(tmp_path, rows), "--column", "score", "--format", "json", "--seed", "3"
    )
    told = json.loads(done.out)
    expected = variance_components(np.round(values, 3), case, therapist, seed=3)
    assert [row["share"] for row in told[:3]] == pytest.approx(expected.share.tolist())
    assert [row["low"] for row in told[:3]] == pytest.approx(expected.low.tolist())
    assert [row["n"] for row in told] == [*expected.n.tolist(), 24]
    assert told[3]["share"] == pytest.approx(one_way_icc(np.round(values, 3), case).icc)
    again = run(
        "therapists",
        tmp_path / "sessions.csv",
        "--column",
        "score",
        "--estimator",
        "reml",
        "--format",
        "json",
    )
    assert json.loads(again.out)[0]["interval"] == "none with reml"
