"""Rows → HazardModel: the probability of dropout before the next session, fitted to closed cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.dropout.model.design import (
    INDEPENDENT,
    Column,
    Design,
    Reference,
    dependence,
    design_of,
    is_demographic,
    matrix,
)
from alliance.dropout.model.estimate import Estimate, clusters_of, estimate, n_distinct
from alliance.dropout.model.landmark import inverse_known
from alliance.dropout.model.links import mean_of
from alliance.dropout.model.rows import Rows
from alliance.errors import UsageError

Array = np.ndarray[Any, Any]

RIDGE_ERRORS = (
    "Standard errors of the ridge estimates hold for the penalty as it is: they allow neither for its choice "
    "nor for the pull of the estimates towards 0."
)


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """What to fit.

    Attributes
    ----------
    link : "logit", or "cloglog" (proportional hazards in grouped time)
    time : "log", "linear", "quadratic", "cubic", or "dummies" (a term for each session)
    estimator : "firth" (penalised slopes, intercept refitted alone), "ml" (statsmodels), "ridge"
        (scikit-learn, logit only)
    covariates : names in Rows.covariates
    landmark : also fit the risk within the next three sessions
    ipcw : weight the landmark rows by the inverse probability that their fate is known
    competing : also fit the hazard of other ends
    penalty : of ridge, which alone takes one; None = chosen by cross-validation over therapists
    strict : refuse sessions with too few dropouts for dummies and covariates that say nothing new; a resample
        of rows that were accepted once sets it to False, and such terms are left out
    """

    link: str = "logit"
    time: str = "log"
    estimator: str = "firth"
    covariates: tuple[str, ...] = ()
    landmark: bool = True
    ipcw: bool = False
    competing: bool = False
    penalty: float | None = None
    strict: bool = True


@dataclass(frozen=True, kw_only=True)
class Term(Column):
    """One slope of a model: a column with its coefficient and cluster-robust standard error."""

    coef: float
    se: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class SideModel:
    """A further regression on terms of the model: the landmark risk, or the hazard of other ends."""

    intercept: float
    terms: tuple[Term, ...]
    link: str
    n_rows: int
    n_events: int
    n_unknown: int = 0
    ipcw: bool = False

    def linear(self, rows: Rows) -> Array:
        """Return the linear predictor, shape (rows,)."""
        return _linear(self.intercept, self.terms, rows)

    def risk(self, rows: Rows) -> Array:
        """Return the probability, shape (rows,)."""
        return mean_of(self.linear(rows), self.link)


@dataclass(frozen=True, kw_only=True)
class HazardModel:
    """A fitted model of dropout, with all it was fitted on.

    Attributes
    ----------
    settings : FitSettings
    reference : Reference; mean and standard deviation of the ratings it was trained on
    terms : one Term per slope
    intercept, intercept_se, before_flic : float; the last one is the intercept before it was refitted alone
    covariance : float, shape (1 + terms, 1 + terms); cluster-robust, the intercept first
    clustered_by : "therapist" or "client"
    log_likelihood : float
    n_rows, n_events, n_cases, n_clients, n_therapists : int; of the training rows
    sessions : first and last session number in the training rows
    landmark, competing : SideModel or None
    limits : what was left out, and why
    """

    settings: FitSettings
    reference: Reference
    terms: tuple[Term, ...]
    intercept: float
    intercept_se: float = float("nan")
    before_flic: float = float("nan")
    covariance: Array
    clustered_by: str = "client"
    log_likelihood: float = float("nan")
    penalty: float | None = None
    n_rows: int = 0
    n_events: int = 0
    n_cases: int = 0
    n_clients: int = 0
    n_therapists: int = 0
    sessions: tuple[int, int] = (1, 1)
    landmark: SideModel | None = None
    competing: SideModel | None = None
    limits: tuple[str, ...] = ()

    @property
    def n_parameters(self) -> int:
        """Number of slopes of the hazard model, the intercept not counted."""
        return len(self.terms)

    def linear(self, rows: Rows) -> Array:
        """Return the linear predictor, on the scale of the link, shape (rows,)."""
        return _linear(self.intercept, self.terms, rows)

    def hazard(self, rows: Rows) -> Array:
        """Return the probability of dropout before the next session, shape (rows,)."""
        return mean_of(self.linear(rows), self.settings.link)

    def risk(self, rows: Rows) -> Array | None:
        """Return the probability of dropout within the next three sessions, or those left if fewer.

        Shape (rows,); None without a landmark model.
        """
        return None if self.landmark is None else self.landmark.risk(rows)

    def contributions(self, rows: Rows) -> Array:
        """Return what each term adds to the linear predictor, shape (rows, terms); above 0 raises risk."""
        coef = np.array([each.coef for each in self.terms])
        return np.asarray(matrix(self.terms, rows)[:, 1:] * coef)


def fit(
    rows: Rows, settings: FitSettings = FitSettings(), *, allow_demographics: bool = False
) -> HazardModel:
    """Fit the hazard of dropout to person-session rows.

    link h(i, t) = intercept + time + level + change + no-shows + missing (+ covariates): the discrete-time
    hazard model, by default logit with log t, slopes by Firth's penalised likelihood and the intercept
    refitted alone (FLIC), so that the mean predicted hazard is the one observed. Rows are never re-balanced.

    Parameters
    ----------
    rows : Rows
        Training rows, all with a known y.
    settings : FitSettings
    allow_demographics : bool
        Accept covariates such as age or sex, which are refused otherwise; the model says so in its limits.

    Raises
    ------
    UsageError
        If a setting is unknown or does not suit the data, or a covariate is demographic.
    DataError
        If nothing can be learned from these rows.
    ValueError
        If y of some row is not known.

    References
    ----------
    Singer, J. D., & Willett, J. B. (2003). Applied Longitudinal Data Analysis; Firth, D. (1993).
    https://doi.org/10.1093/biomet/80.1.27; Puhr, R., et al. (2017). https://doi.org/10.1002/sim.7273
    """
    _require_known(rows)
    told = (*_demographics(settings.covariates, allowed=allow_demographics), *_shrunken(settings))
    design, columns = design_of(
        rows, time=settings.time, covariates=settings.covariates, strict=settings.strict
    )
    clusters, clustered_by = clusters_of(rows.therapist, rows.client)
    found = estimate(
        columns,
        rows.y,
        clusters,
        link=settings.link,
        estimator=settings.estimator,
        penalty=settings.penalty,
    )
    model = _model(rows, settings, design, found, clustered_by)
    model = replace(model, limits=(*told, *design.limits))
    return _with_sides(model, rows, columns, clusters)


def _with_sides(model: HazardModel, rows: Rows, columns: Array, clusters: Array) -> HazardModel:
    if model.settings.landmark:
        side, told = _landmark(model, rows, columns, clusters)
        model = replace(model, landmark=side, limits=(*model.limits, *told))
    if model.settings.competing:
        side, told = _competing(model, rows, columns, clusters)
        model = replace(model, competing=side, limits=(*model.limits, *told))
    return model


_Told = tuple[str, ...]


def _landmark(
    model: HazardModel, rows: Rows, columns: Array, clusters: Array
) -> tuple[SideModel | None, _Told]:
    """Return the logistic model of dropout within the window, over the rows whose fate in it is known."""
    known = np.isfinite(rows.fate)
    fate = rows.fate[known]
    if not 0 < fate.sum() < len(fate):
        return None, (f"no risk within three sessions: {int(fate.sum())} of {len(fate)} rows known drop out",)
    weights = inverse_known(rows)[known] if model.settings.ipcw else None
    side = _side(model, columns[known], fate, clusters[known], link="logit", weights=weights)
    return replace(side, n_unknown=int((~known).sum()), ipcw=model.settings.ipcw), ()


def _competing(
    model: HazardModel, rows: Rows, columns: Array, clusters: Array
) -> tuple[SideModel | None, _Told]:
    """Return the cause-specific hazard of other ends, with the model's link."""
    if not rows.other.any():
        return None, ("no hazard of other ends: no treatment ended otherwise while a session was on offer",)
    return _side(model, columns, rows.other, clusters, link=model.settings.link), ()


def _side(
    model: HazardModel,
    columns: Array,
    y: Array,
    clusters: Array,
    *,
    link: str,
    weights: Array | None = None,
) -> SideModel:
    """Fit a further regression on the columns of `model`, without those that say nothing new in its rows."""
    kept = dependence(columns) > INDEPENDENT
    found = estimate(
        columns[:, kept],
        y,
        clusters,
        link=link,
        estimator=model.settings.estimator,
        weights=weights,
        penalty=model.penalty,
    )
    terms = [each for each, keep in zip(model.terms, kept[1:], strict=True) if keep]
    return SideModel(
        intercept=float(found.coef[0]),
        terms=_terms(terms, found),
        link=link,
        n_rows=len(y),
        n_events=int(y.sum()),
    )


def _model(
    rows: Rows, settings: FitSettings, design: Design, found: Estimate, clustered_by: str
) -> HazardModel:
    return HazardModel(
        settings=settings,
        reference=design.reference,
        terms=_terms(design.columns, found),
        intercept=float(found.coef[0]),
        intercept_se=float(found.se[0]),
        before_flic=found.before,
        covariance=found.covariance,
        clustered_by=clustered_by,
        log_likelihood=found.log_likelihood,
        penalty=found.penalty,
        n_rows=len(rows),
        n_events=int(rows.y.sum()),
        n_cases=n_distinct(rows.case),
        n_clients=n_distinct(rows.client),
        n_therapists=n_distinct(rows.therapist[rows.therapist >= 0]),
        sessions=(int(rows.session.min()), int(rows.session.max())),
    )


def _terms(columns: Sequence[Column], found: Estimate) -> tuple[Term, ...]:
    return tuple(
        Term(
            name=each.name,
            words=each.words,
            centre=each.centre,
            scale=each.scale,
            low=each.low,
            high=each.high,
            coef=float(coef),
            se=float(se),
        )
        for each, coef, se in zip(columns, found.coef[1:], found.se[1:], strict=True)
    )


def _linear(intercept: float, terms: Sequence[Term], rows: Rows) -> Array:
    coef = np.array([intercept, *(each.coef for each in terms)])
    return np.asarray(matrix(terms, rows) @ coef)


def _require_known(rows: Rows) -> None:
    unknown = int((~np.isfinite(rows.y)).sum())
    if unknown:
        message = f"rows must all have a known y, got {unknown} without"
        raise ValueError(message)


def _shrunken(settings: FitSettings) -> tuple[str, ...]:
    """Return what has to be known of the standard errors of a penalised fit."""
    return (RIDGE_ERRORS,) if settings.estimator == "ridge" else ()


def _demographics(covariates: Sequence[str], *, allowed: bool) -> tuple[str, ...]:
    found = [name for name in covariates if is_demographic(name)]
    if found and not allowed:
        message = "demographic covariates are no predictors by default"
        raise UsageError(
            message,
            where=found,
            hint="leave them out, or decide for it with --allow-demographics; the model will say so",
        )
    return tuple(
        f"{name} is a demographic covariate, accepted on purpose when the model was fitted" for name in found
    )
