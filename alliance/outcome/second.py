"""A second opinion on every model: statsmodels' MixedLM, sent out from where our own search ended."""

from __future__ import annotations

import importlib
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.errors import UsageError
from alliance.outcome.reml import Data, Fit, deviance_at, fit

Array = np.ndarray[Any, Any]

AGREE = 0.01
"""Two values of -2 log likelihood closer than this are the same fit."""

ROOM = 1e-4
"""Put beside a variance at its bound, from where statsmodels cannot set out."""

LARGEST_AT_BOUND = 20_000
"""Pairs above which statsmodels is not asked about a random slope at its bound, where its steps grow tiny."""

MOST_STEPS = 5
"""Steps of statsmodels: setting out from the lowest point it needs none, from elsewhere they show it."""

LARGEST_THERAPIST = 2000
"""Pairs of one therapist above which statsmodels is not asked: each step inverts a matrix of that size."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A fit and what the second opinion says of it.

    Attributes
    ----------
    found : Fit
    deviance : float; -2 log restricted likelihood where statsmodels ended, NaN without an answer
    converged : bool; whether our own search settled, and statsmodels found nothing better
    told : what must be said, in words
    """

    found: Fit
    deviance: float
    converged: bool
    told: tuple[str, ...]


def require_statsmodels() -> Any:
    """Return statsmodels' module of mixed models.

    Raises
    ------
    UsageError
        If statsmodels is not installed.
    """
    try:
        return importlib.import_module("statsmodels.regression.mixed_linear_model")
    except ImportError:
        message = "the mixed models of alliance and outcome need statsmodels, which is not installed"
        hint = 'pip install "alliance-toolkit[models]"; the correlations alone (--correlations) need it not'
        raise UsageError(message, hint=hint) from None


def fit_checked(data: Data) -> Checked:
    """Fit by our own search, let statsmodels look for something better from there, and take the better one.

    Where statsmodels ends is judged by our likelihood: at a bound its own can be far off.

    Raises
    ------
    UsageError
        If statsmodels is not installed.
    """
    module = require_statsmodels()
    found = fit(data)
    unasked = _too_slow(found, data)
    if unasked:
        told = (f"not checked by statsmodels: {unasked}",)
        return Checked(found=found, deviance=math.nan, converged=found.settled, told=told)
    end = _asked(module, data, found)
    if end is None:
        told = ("statsmodels could not fit this model; the estimates are from our own search alone",)
        return Checked(found=found, deviance=math.nan, converged=found.settled, told=told)
    deviance = deviance_at(data, *end)
    if deviance < found.deviance - AGREE:
        found = fit(data, start=end)
    above = deviance - found.deviance
    told = (f"statsmodels stopped early, {above:.2g} above on -2 log likelihood; the lower is shown",)
    return Checked(
        found=found,
        deviance=deviance,
        converged=found.settled and above > -AGREE,
        told=told if above > AGREE else (),
    )


def _too_slow(found: Fit, data: Data) -> str:
    """Return why statsmodels would take minutes, empty where it would not."""
    therapist, case = data.therapist, data.case
    if therapist is not None and np.bincount(therapist[case]).max() > LARGEST_THERAPIST:
        return f"a therapist has more than {LARGEST_THERAPIST} pairs"
    if found.at_bound and len(found.random) > 1 and len(case) > LARGEST_AT_BOUND:
        return f"at a bound it is too slow for more than {LARGEST_AT_BOUND} pairs"
    return ""


def _asked(module: Any, data: Data, found: Fit) -> tuple[Array, float] | None:
    """Return where statsmodels ended, as covariance and therapists' variance in residual variances.

    None if it has no result; its warnings are judged by the likelihood.
    """
    unit = float(data.y.std())
    start = found.ratio @ found.ratio.T
    start = start + ROOM * np.eye(len(start)) * float(np.diag(start).max() or 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if data.therapist is None:
                model = module.MixedLM(data.y / unit, data.x, groups=data.case, exog_re=data.z)
                parameters = {"cov_re": start}
            else:
                owner = data.therapist[data.case]
                cases = _cases(module, data.case, owner)
                model = module.MixedLM(data.y / unit, data.x, groups=owner, exog_re=data.z, exog_vc=cases)
                ratio = found.therapist / found.residual + ROOM
                parameters = {"cov_re": np.array([[ratio]]), "vcomp": np.diag(start)}
            first = module.MixedLMParams.from_components(fe_params=found.beta / unit, **parameters)
            result = model.fit(reml=True, start_params=first, method="bfgs", gtol=1e-6, maxiter=MOST_STEPS)
        except (np.linalg.LinAlgError, ValueError):
            return None
    ends = [np.asarray(each, dtype=float) / result.scale for each in (result.cov_re, result.vcomp)]
    if not all(np.isfinite(each).all() for each in ends):
        return None
    return (ends[0], 0.0) if data.therapist is None else (np.diag(ends[1]), float(ends[0][0, 0]))


def _cases(module: Any, case: Array, owner: Array) -> Any:
    """Return the cases of each therapist as statsmodels wants its variance components."""
    names, tables = [], []
    for each in range(int(owner.max()) + 1):
        own = case[owner == each]
        cases, place = np.unique(own, return_inverse=True)
        tables.append(np.eye(len(cases))[place])
        names.append([str(number) for number in cases])
    return module.VCSpec(["case"], [names], [tables])
