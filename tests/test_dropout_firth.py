"""Firth's penalised likelihood: closed forms, another program, brute force, and large data in blocks."""

import warnings
from math import log, sqrt

import numpy as np
import pytest
from firthmodels import FirthLogisticRegression
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from alliance.dropout.model import firth as module
from alliance.dropout.model import links
from alliance.dropout.model.firth import firth, flic
from alliance.dropout.model.links import WORKING, mean_of

# Singer & Willett 2003, first sexual intercourse: published (at risk, events) of grades 7 to 12.
PT_0 = [(72, 2), (70, 2), (68, 8), (60, 8), (52, 10), (42, 8)]
PT_1 = [(108, 13), (95, 5), (90, 16), (74, 21), (53, 15), (38, 18)]


def expanded(counts):
    """Columns of ones and zeros for each group of (at risk, events), and the outcomes."""
    at_risk, events = np.array(counts).T
    group = np.repeat(np.arange(len(counts)), at_risk)
    place = np.arange(len(group)) - np.repeat(np.cumsum(at_risk) - at_risk, at_risk)
    return np.eye(len(counts))[group], (place < events[group]).astype(float)


def grades():
    """Design and outcomes of the twelve groups: six period columns and the parental transition."""
    columns, y = expanded(PT_0 + PT_1)
    group = columns.argmax(axis=1)
    return np.column_stack([np.eye(6)[group % 6], group >= 6]), y


def appendix_firth(X, y, tol=1e-9, maxit=200):
    """A plain implementation by other means: inverse information, one step at a time."""
    b = np.zeros(X.shape[1])

    def pll(b):
        e = X @ b
        p = 1 / (1 + np.exp(-e))
        return (y * e - np.logaddexp(0, e)).sum() + 0.5 * np.linalg.slogdet((X.T * (p * (1 - p))) @ X)[1]

    cur = pll(b)
    for _ in range(maxit):
        p = 1 / (1 + np.exp(-(X @ b)))
        w = p * (1 - p)
        c = np.linalg.inv((X.T * w) @ X)
        h = np.einsum("ij,jk,ik->i", X, c, X) * w
        u = X.T @ (y - p + h * (0.5 - p))
        step = c @ u
        step *= min(1, 5 / np.abs(step).max())
        k = 0
        while pll(b + step) < cur and k < 25:
            step /= 2
            k += 1
        b = b + step
        new = pll(b)
        if np.abs(u).max() < tol or abs(new - cur) < 1e-13:
            break
        cur = new
    return b, np.sqrt(np.diag(c))


def penalised(coef, columns, y, link):
    """The penalised log-likelihood from its definition, the information from mu'^2 / (mu (1 - mu))."""
    eta = np.clip(columns @ coef, -30, 30 if link == "logit" else 6)
    left = 1 / (1 + np.exp(eta)) if link == "logit" else np.exp(-np.exp(eta))
    mu = 1 - left
    slope = mu * left if link == "logit" else np.exp(eta) * left
    information = (columns.T * (slope**2 / (mu * left))) @ columns
    return np.log(np.where(y == 1, mu, left)).sum() + 0.5 * np.linalg.slogdet(information)[1]


def drawn(seed, *, n=200, separated=False, rate=-1.0):
    rng = np.random.default_rng(seed)
    n_terms = int(rng.integers(1, 5))
    columns = np.column_stack([np.ones(n), rng.normal(size=(n, n_terms))])
    linear = columns @ np.r_[rate, rng.normal(0, 0.8, n_terms)]
    y = (rng.random(n) < 1 / (1 + np.exp(-linear))).astype(float)
    if separated:
        y = (columns[:, 1] > np.quantile(columns[:, 1], 0.8)).astype(float)
    return columns, y


@pytest.mark.parametrize("link", ["logit", "cloglog"])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_coefficients_have_a_higher_penalised_likelihood(seed, link):
    columns, y = drawn(seed, n=60)
    fit = firth(columns, y, link=link)
    found = minimize(lambda coef: -penalised(coef, columns, y, link), np.zeros(columns.shape[1]))
    np.testing.assert_allclose(fit.coef, found.x, atol=1e-4)
    assert fit.penalised == pytest.approx(penalised(fit.coef, columns, y, link), abs=1e-8)
    assert fit.penalised >= -found.fun - 1e-12
    step = 1e-5 * np.eye(columns.shape[1])
    up = [penalised(fit.coef + each, columns, y, link) for each in step]
    down = [penalised(fit.coef - each, columns, y, link) for each in step]
    np.testing.assert_allclose((np.array(up) - down) / 2e-5, 0, atol=1e-6)


@pytest.mark.parametrize("separated", [False, True], ids=["overlapping", "separated"])
@pytest.mark.parametrize("seed", range(12))
def test_the_estimates_are_those_of_firthmodels(seed, separated):
    columns, y = drawn(seed, separated=separated)
    fit = firth(columns, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = FirthLogisticRegression(backend="numpy", max_iter=1000, gtol=1e-8, xtol=1e-8)
        peer.fit(columns[:, 1:], y)
    # The peer stops by the size of the score, so it is as exact as its standard errors are small.
    far = np.abs(fit.coef - np.r_[peer.intercept_, peer.coef_]) / np.maximum(fit.se, 1)
    assert far.max() < 1e-6
    # firthmodels' loglik_ is the penalised one.
    assert fit.penalised == pytest.approx(peer.loglik_, abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_the_estimates_and_errors_are_those_of_a_plain_implementation(seed):
    columns, y = drawn(seed, n=80)
    coef, errors = appendix_firth(columns, y)
    fit = firth(columns, y)
    np.testing.assert_allclose(fit.coef, coef, atol=1e-8)
    np.testing.assert_allclose(fit.se, errors, atol=1e-7)


def test_periods_alone_have_a_closed_form():
    # log((e + .5)/(n - e + .5)): grade 7 log(15.5/165.5), grade 12 log(26.5/54.5).
    columns, y = expanded([(a + c, b + d) for (a, b), (c, d) in zip(PT_0, PT_1, strict=True)])
    coef = firth(columns, y).coef
    assert coef[0] == pytest.approx(log(15.5 / 165.5), abs=1e-9)
    assert coef[[0, 5]].round(4).tolist() == [-2.3681, -0.7211]


def test_perfect_separation_of_four_and_four():
    columns = np.repeat([[1.0, 0.0], [1.0, 1.0]], 4, axis=0)
    fit = firth(columns, np.repeat([0.0, 1.0], 4))
    np.testing.assert_allclose(fit.coef, [-log(9), 2 * log(9)], atol=1e-8)
    assert fit.coef.round(4).tolist() == [-2.1972, 4.3944]


def test_published_counts_give_model_b_by_firth():
    coef = firth(*grades()).coef
    expected = [-2.9507, -3.6202, -2.2512, -1.7981, -1.6295, -1.1600, 0.8597]
    np.testing.assert_allclose(coef, expected, atol=5e-5)


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_a_weight_counts_as_so_many_equal_rows(link):
    columns, y = drawn(3, n=40)
    counts = np.random.default_rng(3).integers(1, 5, 40)
    once = firth(columns, y, link=link, weights=counts.astype(float))
    often = firth(np.repeat(columns, counts, axis=0), np.repeat(y, counts), link=link)
    np.testing.assert_allclose(once.coef, often.coef, atol=1e-8)
    np.testing.assert_allclose(once.covariance, often.covariance, atol=1e-8)
    assert once.log_likelihood == pytest.approx(often.log_likelihood, abs=1e-8)
    offset = columns[:, 1:] @ once.coef[1:]
    expected = flic(np.repeat(offset, counts), np.repeat(y, counts), link=link)
    assert flic(offset, y, link=link, weights=counts.astype(float)) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("link", ["logit", "cloglog"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_many_rows_in_blocks_give_the_same_as_few_rows_at_once(monkeypatch, order, link):
    columns, y = drawn(5, n=3001, rate=-3.0)
    exact = firth(columns, y, link=link)
    monkeypatch.setattr(module, "FEW_ROWS", 1000)
    monkeypatch.setattr(module, "STRIDES", (16, 4))
    monkeypatch.setattr(links, "BLOCK", 97)
    lagged = firth(np.asarray(columns, order=order), y, link=link)
    np.testing.assert_allclose(lagged.coef, exact.coef, atol=1e-6)
    np.testing.assert_allclose(lagged.se, exact.se, rtol=1e-4)
    assert lagged.penalised == pytest.approx(exact.penalised, abs=1e-6)


def test_few_events_among_many_rows_are_estimated_as_among_few(monkeypatch):
    columns, y = drawn(6, n=2000, rate=-6.5)
    y[:3] = 1.0
    exact = firth(columns, y)
    monkeypatch.setattr(module, "FEW_ROWS", 500)
    np.testing.assert_allclose(firth(columns, y).coef, exact.coef, atol=2e-6)


def test_a_subsample_without_a_term_is_no_start(monkeypatch):
    # No row of the subsample has the second column.
    columns, y = drawn(7, n=2000)
    columns = np.column_stack([columns, np.arange(2000) % 4 == 1])
    exact = firth(columns, y)
    monkeypatch.setattr(module, "FEW_ROWS", 600)
    monkeypatch.setattr(module, "STRIDES", (4,))
    np.testing.assert_allclose(firth(columns, y).coef, exact.coef, atol=1e-6)


@pytest.mark.parametrize(("seed", "rate", "most"), [(8, -3.0, 4), (9, -6.0, 7)])
def test_many_rows_need_few_passes(monkeypatch, seed, rate, most):
    columns, y = drawn(seed, n=40_000, rate=rate)
    fit = firth(columns, y)
    assert fit.n_iter <= most
    monkeypatch.setattr(module, "FEW_ROWS", len(y))
    np.testing.assert_allclose(fit.coef, firth(columns, y).coef, atol=1e-6)


def test_two_runs_give_the_same_bits():
    columns, y = drawn(9, n=25_000)
    assert firth(columns, y).coef.tobytes() == firth(columns, y).coef.tobytes()


def test_the_refitted_intercept_makes_the_mean_prediction_the_share_observed():
    columns, y = drawn(10, n=400, rate=-3.0)
    fit = firth(columns, y)
    offset = columns[:, 1:] @ fit.coef[1:]
    plain = mean_of(offset + fit.coef[0], "logit").mean()
    refitted = mean_of(offset + flic(offset, y, start=fit.coef[0]), "logit").mean()
    assert plain > y.mean() + 1e-3
    assert refitted == pytest.approx(y.mean(), abs=1e-12)


@pytest.mark.parametrize("link", ["logit", "cloglog"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_refitted_intercept_is_that_of_statsmodels_with_an_offset(link, weighted):
    import statsmodels.api as sm

    columns, y = drawn(12, n=500, rate=-2.0)
    offset = columns[:, 1:] @ np.linspace(-0.6, 0.8, columns.shape[1] - 1)
    weights = np.random.default_rng(5).uniform(0.5, 3, len(y)) if weighted else None
    kind = sm.families.links.Logit() if link == "logit" else sm.families.links.CLogLog()
    model = sm.GLM(
        y, np.ones((len(y), 1)), family=sm.families.Binomial(link=kind), offset=offset, freq_weights=weights
    )
    expected = model.fit(tol=1e-14, tol_criterion="params", maxiter=200).params[0]
    assert flic(offset, y, link=link, weights=weights) == pytest.approx(expected, abs=1e-8)


def test_the_refitted_intercept_of_cloglog_is_the_most_likely_one():
    columns, y = drawn(11, n=300)
    offset = columns[:, 1:] @ np.full(columns.shape[1] - 1, 0.7)
    best = flic(offset, y, link="cloglog")
    top, above, below = (
        WORKING["cloglog"](offset + best + move, y).log_likelihood for move in (0, 1e-4, -1e-4)
    )
    assert top > max(above, below)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["logit", "cloglog"]))
def test_moving_and_stretching_a_column_changes_no_prediction(seed, link):
    columns, y = drawn(seed, n=50)
    moved = columns.copy()
    moved[:, 1] = 3.0 * columns[:, 1] - 7.0
    one, other = firth(columns, y, link=link), firth(moved, y, link=link)
    np.testing.assert_allclose(columns @ one.coef, moved @ other.coef, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_exchanging_yes_and_no_mirrors_the_coefficients(seed):
    columns, y = drawn(seed, n=40)
    np.testing.assert_allclose(firth(columns, 1 - y).coef, -firth(columns, y).coef, atol=1e-7)


@pytest.mark.parametrize("link", ["logit", "cloglog"])
@pytest.mark.parametrize("linear", [-800.0, -40.0, 0.0, 40.0, 800.0])
def test_far_linear_predictors_stay_finite(linear, link):
    part = WORKING[link](np.array([linear]), np.array([0.0]))
    for value in (part.residual, part.weight, part.pull):
        assert np.isfinite(value).all()
    assert part.weight[0] >= 0
    assert 0 <= mean_of(np.array([linear]), link)[0] <= 1


def test_far_logit_weights_keep_their_relative_precision():
    part = WORKING["logit"](np.array([40.0, -40.0]), np.array([1.0, 0.0]))
    np.testing.assert_allclose(part.weight, np.exp(-40.0), rtol=1e-12)
    np.testing.assert_allclose(part.pull, [-0.5, 0.5])
    assert part.log_likelihood == pytest.approx(-2 * np.exp(-40.0), rel=1e-12, abs=1e-14)


def test_standard_errors_of_one_group_are_those_of_its_share():
    # Information n p (1 - p) at p = 3.5/11.
    p = 3.5 / 11
    fit = firth(np.ones((10, 1)), np.repeat([1.0, 0.0], [3, 7]))
    assert fit.se[0] == pytest.approx(1 / sqrt(10 * p * (1 - p)), abs=1e-9)
    assert fit.log_likelihood == pytest.approx(3 * log(p) + 7 * log(1 - p), abs=1e-9)


def test_dependent_columns_are_refused():
    with pytest.raises(
        ValueError, match=r"^columns must be linearly independent, got a singular information$"
    ):
        firth(np.ones((6, 2)), np.array([0.0, 1, 0, 1, 0, 1]))


def test_an_unknown_link_is_refused():
    with pytest.raises(ValueError, match=r"^link must be one of logit, cloglog, got 'probit'$"):
        firth(np.ones((2, 1)), np.array([0.0, 1.0]), link="probit")


def test_too_few_passes_are_told():
    columns, y = drawn(1)
    with pytest.raises(
        ValueError, match=r"^the estimates must converge within 2 passes, got a last step of "
    ):
        firth(columns, y, max_iter=2)


def test_an_intercept_needs_both_outcomes():
    with pytest.raises(ValueError, match=r"^y must hold both 0 and 1, got a mean of 0$"):
        flic(np.zeros(3), np.zeros(3))
