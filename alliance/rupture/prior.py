"""The caseload prior: how much scores usually vary within a person, and how far persons differ in that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.psychometrics import Spread
from alliance.special import digamma, tetragamma, trigamma

Array = np.ndarray[Any, Any]

MIN_PAIRS = 4
ESTIMATE_FROM = 10
POOL_FROM = 5
POOLED_DF = 4.0
DF_RANGE = (2.0, 20.0)
PRECISION = 1e-8
LEAST_STEP = 1e-6
"""Taken for the smallest change of a score of which none is known."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Spread towards which each person's own spread is shrunk.

    Attributes
    ----------
    df : float; weight in degrees of freedom, 0 = no prior
    sd : float; within-person standard deviation in score points
    n_series : int; series it was estimated from
    origin : str; `caseload`, `pooled`, `given` or `none`
    """

    df: float
    sd: float
    n_series: int
    origin: str

    @property
    def variance(self) -> float:
        """Squared within-person standard deviation."""
        return self.sd**2

    def __str__(self) -> str:
        """Return the prior in words, for reasons and manifests."""
        if self.origin == "none":
            return "no prior: own sessions only"
        source = {"caseload": f"{self.n_series} courses", "pooled": f"{self.n_series} courses, pooled"}
        return f"prior SD {self.sd:.3g}, df {self.df:.3g}, from {source.get(self.origin, 'the given SD')}"


NO_PRIOR = Prior(df=0.0, sd=0.0, n_series=0, origin="none")


def estimate_prior(spread: Spread, *, step: float, within_sd: float | None = None) -> Prior:
    """Return the prior of a caseload, from the spread of its series.

    Parameters
    ----------
    spread : Spread
        Successive-difference variance of every series; those with fewer than 4 neighbour pairs are left out.
    step : float
        Smallest change of the score, in points: no variance is taken below step^2 / 12.
    within_sd : float, optional
        Within-person standard deviation to use when fewer than 5 series qualify.

    Returns
    -------
    Prior
        From 10 series on, both numbers by the scaled-F method of moments, df held between 2 and 20. From 5
        series on, the pooled variance with df 4. With fewer, `within_sd` with df 4; without it no prior.

    References
    ----------
    Smyth, G. K. (2004). https://doi.org/10.2202/1544-6115.1027
    """
    used = spread.pairs >= MIN_PAIRS
    n_series = int(used.sum())
    variance = np.maximum(spread.variance[used], max(step, LEAST_STEP) ** 2 / 12)
    df = spread.df[used]
    if n_series >= ESTIMATE_FROM:
        prior_df, prior_variance = scaled_f(variance, df)
        prior_df = float(np.clip(prior_df, *DF_RANGE))
        return Prior(df=prior_df, sd=prior_variance**0.5, n_series=n_series, origin="caseload")
    if n_series >= POOL_FROM:
        pooled = float(np.sum(df * variance) / np.sum(df))
        return Prior(df=POOLED_DF, sd=pooled**0.5, n_series=n_series, origin="pooled")
    return given_prior(within_sd)


def given_prior(within_sd: float | None) -> Prior:
    """Return the prior of a within-person standard deviation taken from elsewhere, or none without one."""
    if within_sd is None:
        return NO_PRIOR
    if not within_sd > 0:
        message = f"within_sd must be above 0, got {within_sd}"
        raise ValueError(message)
    return Prior(df=POOLED_DF, sd=float(within_sd), n_series=0, origin="given")


def scaled_f(variance: Array, df: Array) -> tuple[float, float]:
    """Return prior df and variance of sample variances that follow a scaled F distribution.

    The df is infinite where the variances differ no more than sampling explains.
    """
    log_excess = np.log(variance) - digamma(df / 2) + np.log(df / 2)
    between = log_excess.var(ddof=1) - trigamma(df / 2).mean()
    centre = log_excess.mean()
    if between <= 0:
        return np.inf, float(np.exp(centre))
    prior_df = 2 * trigamma_inverse(between)
    half = np.array([prior_df / 2])
    return prior_df, float(np.exp(centre + digamma(half) - np.log(half))[0])


def trigamma_inverse(value: float) -> float:
    """Return y with trigamma(y) = value, by Newton's method on 1 / trigamma; value above 0.

    >>> round(trigamma_inverse(1.6449340668482264), 9)
    1.0
    """
    guess = np.array([0.5 + 1 / value])
    for _ in range(50):
        height = trigamma(guess)
        step = height * (1 - height / value) / tetragamma(guess)
        guess += step
        if -step[0] / guess[0] < PRECISION:
            break
    return float(guess[0])


def shrink(variance: Array, df: Array, prior: Prior) -> tuple[Array, Array]:
    """Return shrunk standard deviations and their t degrees of freedom.

    Where neither the person nor the caseload says anything, both are NaN.
    """
    total_df = prior.df + df
    with np.errstate(invalid="ignore", divide="ignore"):
        sigma = np.sqrt((prior.df * prior.variance + df * variance) / total_df)
    return np.where(total_df > 0, sigma, np.nan), np.where(total_df > 0, total_df, np.nan)
