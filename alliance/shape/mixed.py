"""Growth of a score over a study, by a linear mixed model."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.errors import UsageError, unknown_name
from alliance.shape.sums import ratio

Array = np.ndarray[Any, Any]

CLOCKS = ("linear", "log")
RANDOM_PARTS = {"intercept": 2, "slope": 3}
"""What may differ between cases, and the scores a case needs to say anything about it."""

CASES_NEEDED = 5
"""Below five groups a variance between groups is hardly estimated (Gelman & Hill 2007, section 12.9)."""

FEW_CASES = 20
Z_95 = 1.959963984540054
WAYS: dict[int, tuple[dict[str, Any], ...]] = {
    1: ({"method": "bfgs", "gtol": 1e-8}, {"method": "bfgs", "gtol": 1e-6}, {"method": "powell"}),
    2: ({"method": "bfgs", "gtol": 1e-8}, {"method": "bfgs", "gtol": 1e-6}),
}
"""Number of random effects → optimisers in turn: the sharp gradient, the usual one where rounding forbids it.

Where cases do not differ, tau is at its edge and the gradient fails; Powell's search, without one, finds it.
In more than one dimension it stops elsewhere and says that it arrived, so a random slope has to do without.
"""
LEAST_SIGMA = 1e-5
"""Share of the spread of all scores below which sigma is 0, and the likelihood without a highest point."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Growth over a study by a linear mixed model; every number NaN where `reason` says why.

    Attributes
    ----------
    clock : `linear`, time = session - 1, or `log`, time = ln(session): 0 at session 1 either way
    random : `intercept` or `slope` (intercept and slope, correlated): what differs between cases
    n_cases, n_scores : int; what the model was fitted to
    intercept, slope : fixed effects, score points at session 1 and per unit of time, each with its standard
        error and a 95 % interval of the normal distribution, which is narrow where cases are few
    tau : SD of the cases' intercepts, score points
    slope_sd : SD of the cases' slopes; NaN without a random slope
    correlation : of a case's intercept and slope; NaN without a random slope or where an SD is 0
    sigma : residual SD within a case, score points
    criterion : -2 log restricted likelihood
    converged : whether the optimiser arrived
    notes : what the optimiser had to say, and doubts about the size of the study
    reason : text; why there is no model, empty where there is one
    """

    clock: str
    random: str
    n_cases: int
    n_scores: int
    intercept: float = math.nan
    intercept_se: float = math.nan
    intercept_low: float = math.nan
    intercept_high: float = math.nan
    slope: float = math.nan
    slope_se: float = math.nan
    slope_low: float = math.nan
    slope_high: float = math.nan
    tau: float = math.nan
    slope_sd: float = math.nan
    correlation: float = math.nan
    sigma: float = math.nan
    criterion: float = math.nan
    converged: bool = False
    notes: tuple[str, ...] = ()
    reason: str = ""


def growth(
    case: Array, session: Array, score: Array, *, clock: str = "linear", random: str = "intercept"
) -> Growth:
    """Fit the growth of a score over a study: score on time, cases differing at random, by REML.

    Retrospective, and about the study, not about a case in it. One score of one rater only.

    Parameters
    ----------
    case : names or numbers, shape (forms,)
    session : int, shape (forms,); session number, 1 = the first
    score : float, shape (forms,); points. NaN = not scored: the row is left out.
    clock : `linear`, time = session - 1, or `log`, time = ln(session), steep at first
    random : `intercept`, or `slope` for intercept and slope, correlated

    Returns
    -------
    Growth
        score = intercept + slope time + a + b time + error, a ~ tau, b ~ slope_sd, error ~ sigma. A fit that
        did not converge gives no number but the reason. Needs 5 cases with 2 scores each, with 3 for a random
        slope.

    Raises
    ------
    UsageError
        If the clock or the random part is unknown, a session has no time, or statsmodels is not installed.
    ValueError
        If the arrays differ in length.

    References
    ----------
    Laird, N. M., & Ware, J. H. (1982). https://doi.org/10.2307/2529876; fitted by statsmodels' MixedLM.
    """
    _check_choice("clock", clock, CLOCKS)
    _check_choice("random part", random, RANDOM_PARTS)
    case, session, score = np.asarray(case), np.asarray(session), np.asarray(score, dtype=float)
    if not len(case) == len(session) == len(score):
        message = (
            f"case, session and score must be equally long, got {len(case)}, {len(session)}, {len(score)}"
        )
        raise ValueError(message)
    scored = np.isfinite(score)
    group, score = np.unique(case[scored], return_inverse=True)[1], score[scored]
    time = _time(session[scored], clock)
    n_cases = len(np.unique(group))
    basis: dict[str, Any] = {"clock": clock, "random": random, "n_cases": n_cases, "n_scores": len(score)}
    reason = _too_little(group, time, score, RANDOM_PARTS[random])
    if reason:
        return Growth(**basis, reason=reason)
    return _fitted(group, time, score, basis)


def _time(session: Array, clock: str) -> Array:
    if clock == "linear":
        return session.astype(float) - 1
    if len(session) and session.min() < 1:
        message = f"the log clock starts at session 1, got session {session.min()}"
        raise UsageError(message, hint="number the sessions from 1, or use the linear clock")
    time: Array = np.log(session.astype(float))
    return time


def _too_little(group: Array, time: Array, score: Array, scores_needed: int) -> str:
    """Return why these data carry no model, empty where they carry one."""
    able = int((np.bincount(group) >= scores_needed).sum()) if len(group) else 0
    if able < CASES_NEEDED:
        return f"not enough data: {able} of {CASES_NEEDED} cases with at least {scores_needed} scores"
    if (n_times := len(np.unique(time))) < scores_needed:
        return f"not enough data: {n_times} of {scores_needed} different sessions"
    return "no variation" if np.ptp(score) <= TOLERANCE else ""


def _fitted(group: Array, time: Array, score: Array, basis: dict[str, Any]) -> Growth:
    """Return the model; the optimiser sees scores in units of their SD and time in units of its largest."""
    middle, unit, stretch = float(score.mean()), float(score.std()), float(np.abs(time).max())
    fixed = np.column_stack([np.ones(len(time)), time / stretch])
    n_random = 2 if basis["random"] == "slope" else 1
    result, told = _optimised((score - middle) / unit, fixed, group, n_random)
    few = f"{basis['n_cases']} cases: how they differ is uncertain"
    notes = (*((few,) if basis["n_cases"] < FEW_CASES else ()), *told)
    if result is None:
        way_out = "; cases may not differ in slope, try a random intercept" if n_random > 1 else ""
        return Growth(**basis, notes=notes, reason=f"the model did not converge{way_out}")
    if math.sqrt(result.scale) < LEAST_SIGMA:
        return Growth(**basis, notes=notes, reason="no variation within cases")
    scales = np.array([unit, unit / stretch])
    effects = np.asarray(result.fe_params) * scales + [middle, 0]
    errors = _standard_errors(fixed, group, np.asarray(result.cov_re), result.scale) * scales
    covariance = np.asarray(result.cov_re) * np.outer(scales, scales)[:n_random, :n_random]
    spread = np.sqrt(np.diag(covariance))
    units = 2 * (len(score) - len(scales)) * math.log(unit) + 2 * math.log(stretch)
    return Growth(
        **basis,
        **_effect("intercept", effects[0], errors[0]),
        **_effect("slope", effects[1], errors[1]),
        tau=float(spread[0]),
        slope_sd=float(spread[1]) if n_random > 1 else math.nan,
        correlation=float(ratio(covariance[0, -1], spread[0] * spread[-1])) if n_random > 1 else math.nan,
        sigma=math.sqrt(result.scale) * unit,
        criterion=-2 * float(result.llf) + units,
        converged=True,
        notes=notes,
    )


def _effect(name: str, value: float, error: float) -> dict[str, Any]:
    numbers = {"": value, "_se": error, "_low": value - Z_95 * error, "_high": value + Z_95 * error}
    return {name + end: float(number) for end, number in numbers.items()}


def _standard_errors(fixed: Array, group: Array, covariance: Array, variance: float) -> Array:
    """Return the standard errors of the fixed effects, from the inverse of the sum of X' V^-1 X over cases.

    statsmodels takes them from the Hessian of all parameters instead, which differs where cases are unequally
    long. V^-1 needs no inverse of `covariance`, which may be singular.
    """
    cross = fixed[:, :, None] * fixed[:, None, :]
    squares = np.zeros((group.max() + 1, *cross.shape[1:]))
    np.add.at(squares, group, cross)
    size = len(covariance)
    inner = variance * np.eye(size) + covariance @ squares[:, :size, :size]
    shrunk = np.linalg.solve(inner, covariance @ squares[:, :size, :])
    information = (squares - squares[:, :, :size] @ shrunk).sum(axis=0) / variance
    errors: Array = np.sqrt(np.diag(np.linalg.inv(information)))
    return errors


def _optimised(score: Array, fixed: Array, group: Array, n_random: int) -> tuple[Any, tuple[str, ...]]:
    """Return the first fit that converged, or None; and what statsmodels had to say of it."""
    try:
        mixed = importlib.import_module("statsmodels.regression.mixed_linear_model")
    except ImportError:
        message = "growth over a study needs statsmodels, which is not installed"
        raise UsageError(message, hint='pip install "alliance-toolkit[models]"') from None
    told: tuple[str, ...] = ()
    for way in WAYS[n_random]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                model = mixed.MixedLM(score, fixed, groups=group, exog_re=fixed[:, :n_random])
                result = model.fit(reml=True, **way)
            except (np.linalg.LinAlgError, ValueError) as failed:
                told = (str(failed),)
                continue
        told = tuple(dict.fromkeys(str(each.message) for each in caught))
        if result.converged and math.isfinite(result.llf):
            return result, told
    return None, told


def _check_choice(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        what, hint = unknown_name(kind, name, known)
        raise UsageError(what, hint=hint)
