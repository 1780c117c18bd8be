"""Cohort, Rows, settings → Validation: cross-validation, bootstrap, the rules beside it, the gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.dropout.ends.build import require_ended
from alliance.dropout.ends.cohort import COMPETING, DROPOUT, PLANNED, Cohort
from alliance.dropout.instrument import Instrument
from alliance.dropout.model.estimate import LEAST_THERAPISTS
from alliance.dropout.model.lifetable import DROPPED_OUT, ENDED_OTHERWISE, incidence_of, life_table_of
from alliance.dropout.model.rows import Rows
from alliance.dropout.validation.curves import THRESHOLDS, calibration_groups, smooth
from alliance.dropout.validation.decision import decision_curve
from alliance.dropout.validation.drf1 import RuleScores, rule_scores
from alliance.dropout.validation.fairness import fairness, labels_of
from alliance.dropout.validation.gates import DRAWS, DROPOUTS_RECOMMENDED, FOLDS, Evidence, gates, status
from alliance.dropout.validation.metrics import (
    Predictions,
    budget_threshold,
    flagging,
    net_benefit,
    reaches,
    session_aucs,
)
from alliance.dropout.validation.resampling import (
    THERAPISTS_FOR_DRAWS,
    Fit,
    Folds,
    Groups,
    Interval,
    Optimism,
    Progress,
    bootstrap_optimism,
    cross_validate,
    folds_of,
    groups_of,
    intervals,
    n_therapists,
    quiet,
)
from alliance.dropout.validation.result import Threshold, Validation
from alliance.dropout.validation.sensitivity import IMPUTATIONS, compare, missing_ratings, presumed_kinds
from alliance.dropout.validation.size import SampleSize, learning_curve, riley_size
from alliance.errors import DataError

if TYPE_CHECKING:
    from alliance.dropout.model.hazard import FitSettings

Array = np.ndarray[Any, Any]

BUDGET = 0.20
"""Share of the rows that the threshold flags (by design)."""

_PLACES = 100


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is done in a validation.

    Attributes
    ----------
    folds, n_boot, seed : int
    learning : bool; whether to draw the learning curve
    budget : float; share of rows that the threshold may flag
    imputations : int; of missing ratings, 0 = none
    """

    folds: int = FOLDS
    n_boot: int = DRAWS
    seed: int = 1
    learning: bool = True
    budget: float = BUDGET
    imputations: int = IMPUTATIONS

    def __post_init__(self) -> None:
        """Refuse numbers that make no plan; `folds` is checked where folds are made."""
        if self.n_boot < 1:
            message = f"n_boot must be at least 1, got {self.n_boot}"
            raise ValueError(message)
        if self.imputations < 0:
            message = f"imputations must be at least 0, got {self.imputations}"
            raise ValueError(message)
        if not 0 < self.budget < 1:
            message = f"budget must be above 0 and below 1, got {self.budget:g}"
            raise ValueError(message)


def validate(
    cohort: Cohort,
    rows: Rows,
    settings: FitSettings,
    instrument: Instrument,
    *,
    groups: Mapping[str, Array] | None = None,
    folds: int = FOLDS,
    n_boot: int = DRAWS,
    seed: int = 1,
    learning: bool = True,
    budget: float = BUDGET,
    imputations: int = IMPUTATIONS,
    allow_demographics: bool = False,
    presumed: Mapping[str, Rows] | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Validate the model that `settings` make of `rows`, within the data it is made of.

    Cross-validation by therapist (by client if fewer than 10 are known), bootstrap optimism drawing
    therapists (clients if fewer than 20 are known), the same metrics for the rules of DRF-1, a threshold, a
    learning curve, sensitivity to missing ratings, and the seven gates. The model is fitted anew in every
    fold and replicate, numbers of reference and scaling included. Classes are never re-balanced.

    Parameters
    ----------
    cohort : Cohort
    rows : Rows
        Rows of the cohort with known outcomes.
    settings : FitSettings
    instrument : Instrument
        For the rules; local norms it lacks are taken from training folds.
    groups : name → labels, shape (cases,), optional
        Declared groups for the fairness table.
    folds, n_boot, seed, learning, budget, imputations
        As in `Plan`.
    allow_demographics : bool
        As in `fit`.
    presumed : "exclude", "dropout" or "censor" → Rows, optional
        The rows of the same treatments under each way to count presumed dropouts; the coefficients that they
        give stand in `sensitivity`.
    progress : callable, optional
        Told the step, how many are done, and how many there are.

    Raises
    ------
    ValueError
        If a row's outcome is not known, or a number is out of range.
    DataError
        If no treatment has ended, there are not two clients or not both outcomes, or a fold leaves too little
        to train on.
    UsageError
        If the settings do not suit the data, or a declared group is the therapist.
    """
    from alliance.dropout.model.hazard import fit

    plan = Plan(
        folds=folds, n_boot=n_boot, seed=seed, learning=learning, budget=budget, imputations=imputations
    )
    require_ended(cohort)
    require_outcomes(rows)
    allow = {"allow_demographics": allow_demographics}
    lean = replace(settings, landmark=False, ipcw=False, competing=False)
    fit(rows, lean, **allow)
    some_lean = replace(lean, strict=False)
    some_ahead = replace(settings, competing=False, strict=False)
    return validate_fit(
        cohort,
        rows,
        lambda some: fit(some, some_lean, **allow),
        instrument,
        plan=plan,
        fit_ahead=lambda some: fit(some, some_ahead, **allow),
        groups=groups,
        otherwise=presumed_kinds(presumed or {}),
        tell=progress or quiet,
    )


def validate_fit(
    cohort: Cohort,
    rows: Rows,
    fit: Fit,
    instrument: Instrument,
    *,
    plan: Plan,
    fit_ahead: Fit | None = None,
    groups: Mapping[str, Array] | None = None,
    otherwise: Mapping[str, Rows] | None = None,
    tell: Progress = quiet,
) -> Validation:
    """Validate whatever `fit` makes of training rows; what `validate` does for a hazard model.

    `fit` returns a model with `hazard(rows)`, `terms` and `n_parameters`; `fit_ahead` one that may also have
    `risk(rows)`, for the folds. `otherwise` holds words → the rows had something been counted otherwise.
    """
    require_outcomes(rows)
    labels_of(rows, groups or {})
    held = folds_of(rows, groups_of(rows, least=LEAST_THERAPISTS), folds=plan.folds, seed=plan.seed)
    units = groups_of(rows, least=THERAPISTS_FOR_DRAWS)
    hazard, risk = cross_validate(rows, fit_ahead or fit, held, tell=tell)
    found = Predictions(y=rows.y, p=hazard, session=rows.session, made_by=held.fold)
    limit = budget_threshold(hazard, plan.budget)
    draw: dict[str, Any] = {"n_boot": plan.n_boot, "seed": plan.seed, "threshold": limit}
    rules = rule_scores(cohort, rows, instrument, held)
    optimism = bootstrap_optimism(rows, fit, units, **draw, tell=tell)
    judged = _Judged(
        cohort=cohort,
        rows=rows,
        found=found,
        rules=rules,
        folds=held,
        units=units,
        limit=limit,
        cv=intervals(found, units, **draw, tell=tell),
        optimism=optimism,
        size=_sample_size(cohort, fit(rows).n_parameters),
    )
    passed = gates(judged.evidence(plan.n_boot))
    return Validation(
        **judged.description(plan),
        learning=learning_curve(rows, fit, held, found, seed=plan.seed, tell=tell) if plan.learning else [],
        landmark=_landmark(rows, risk, held.fold),
        sensitivity=[
            *missing_ratings(rows, fit, imputations=plan.imputations, seed=plan.seed, tell=tell),
            *compare(otherwise or {}, fit),
        ],
        fairness=None if groups is None else fairness(found, rows, groups, units=units, **draw),
        gates=passed,
        status=status(passed),
    )


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """What the folds and the bootstrap gave."""

    cohort: Cohort
    rows: Rows
    found: Predictions
    rules: RuleScores
    folds: Folds
    units: Groups
    limit: float
    cv: Mapping[str, Interval]
    optimism: Optimism
    size: SampleSize

    @property
    def drf1(self) -> dict[str, float]:
        """The rules on the same rows, their ranks compared within the same folds."""
        y, score, review = self.rows.y, self.rules.score, self.rules.review
        fold = self.folds.fold
        return {
            "auc": session_aucs(y, score, self.rows.session, made_by=fold).headline,
            "auc_pooled": session_aucs(y, score, np.zeros_like(fold), made_by=fold).headline,
            **asdict(flagging(y, review)),
            "net_benefit": net_benefit(y, review, self.limit),
        }

    def evidence(self, n_boot: int) -> Evidence:
        """Return what the gates look at. The model is made of these very data, so they are the same."""
        everybody = np.ones(len(self.rows), dtype=bool)
        drf1, cv = self.drf1, self.cv
        return Evidence(
            n_closed=_closed(self.cohort, (DROPOUT, PLANNED, COMPETING)),
            n_dropouts=int(self.rows.y.sum()),
            n_events=int(self.rows.y.sum()),
            n_parameters=self.size.parameters,
            n_needed=self.size.riley,
            n_therapists=n_therapists(self.rows),
            grouped_by=self.folds.groups.unit,
            auc=cv["auc"].value,
            auc_low=cv["auc"].low,
            auc_drf1=drf1["auc"],
            slope=cv["slope"].value,
            citl=cv["citl"].value,
            nb=cv["nb"].value,
            nb_all=net_benefit(self.rows.y, everybody, self.limit),
            nb_drf1=drf1["net_benefit"],
            n_boot=n_boot,
            folds=self.folds.n,
            same=True,
        )

    def description(self, plan: Plan) -> dict[str, Any]:
        """Return the fields of a Validation that need nothing fitted again."""
        y, p = self.found.y, self.found.p
        thresholds = sorted({*THRESHOLDS, *([self.limit] if math.isfinite(self.limit) else [])})
        return {
            "folds": self.folds.n,
            "n_boot": plan.n_boot,
            "seed": plan.seed,
            "grouped_by": self.folds.groups.unit,
            "rows": {"n": len(y), "events": int(y.sum()), "cases": len(np.unique(self.rows.case))},
            "p": p,
            "fold": self.folds.fold,
            "optimism": self.optimism,
            "cv": self.cv,
            "per_session": per_session(self.found),
            "calibration": calibration(self.found),
            "decision": decision_curve(y, p, drf1=self.rules.review, thresholds=thresholds),
            "sample_size": self.size,
            "drf1": self.drf1,
            "threshold": threshold_of(self.found, self.limit, plan.budget),
            "life_table": _life_table(self.rows),
            "incidence": _incidence(self.rows),
            "warnings": tuple(self._warnings(plan.budget)),
        }

    def _warnings(self, budget: float) -> list[str]:
        events, lost = int(self.rows.y.sum()), self.optimism.n_failed
        therapists, straddling = n_therapists(self.rows), self.folds.straddling
        told = {
            f"validated by client: {therapists} of {LEAST_THERAPISTS} therapists are known, so how the "
            "model does with other therapists was not seen": self.folds.groups.unit == "client",
            f"{events} dropouts: at least {DROPOUTS_RECOMMENDED} are recommended": (
                events < DROPOUTS_RECOMMENDED
            ),
            f"clients seen by therapists of several folds: {straddling}; a fold is trained without the "
            "clients it tests": straddling > 0,
            f"no model could be fitted to {lost} of {self.optimism.n_boot} draws": lost > 0,
            f"no threshold flags {budget * 100:g} % of the rows or fewer: too many predictions are alike": (
                not math.isfinite(self.limit)
            ),
        }
        return [words for words, holds in told.items() if holds]


def require_outcomes(rows: Rows) -> None:
    """Raise ValueError where an outcome is not known, DataError where all are the same."""
    if np.isnan(rows.y).any():
        message = f"y must be known at every row, got {int(np.isnan(rows.y).sum())} unknown"
        raise ValueError(message)
    events = int(rows.y.sum())
    if not 0 < events < len(rows):
        message = f"a model cannot be judged by {events} dropouts in {len(rows)} sessions"
        raise DataError(message, hint="give closed cases, some with and some without dropout")


def _closed(cohort: Cohort, ends: tuple[int, ...]) -> int:
    """Return how many clients have a treatment that ended one of these ways."""
    return len(np.unique(cohort.client[np.isin(cohort.end, ends)]))


def _sample_size(cohort: Cohort, parameters: int) -> SampleSize:
    closed = _closed(cohort, (DROPOUT, PLANNED, COMPETING))
    dropped = _closed(cohort, (DROPOUT,))
    return riley_size(
        min(max(dropped, 0.5) / max(closed, 1), 1 - 0.5 / max(closed, 1)), parameters=parameters
    )


def per_session(predictions: Predictions) -> list[dict[str, Any]]:
    """Return session, n, events and auc of every session number."""
    found = predictions.within.aucs(predictions.y)
    columns = zip(
        found.session.tolist(), found.n.tolist(), found.events.tolist(), found.auc.tolist(), strict=True
    )
    return [
        {"session": session, "n": round(n), "events": round(events), "auc": value}
        for session, n, events, value in columns
    ]


def calibration(predictions: Predictions) -> dict[str, Any]:
    """Return calibration in groups, and the smooth curve at about a hundred places."""
    at, height = smooth(predictions.y, predictions.p, order=predictions.order)
    places = np.unique(np.linspace(0, len(at) - 1, min(_PLACES, len(at))).round().astype(np.int64))
    return {
        "groups": calibration_groups(predictions.y, predictions.p),
        "smooth": np.column_stack([at, height])[places].tolist(),
    }


def threshold_of(predictions: Predictions, limit: float, budget: float) -> Threshold | None:
    """Return what comes of flagging from `limit` on; None without a limit."""
    if not math.isfinite(limit):
        return None
    flagged = reaches(predictions.p, limit)
    return Threshold(
        value=limit,
        budget=budget,
        net_benefit=net_benefit(predictions.y, flagged, limit),
        **asdict(flagging(predictions.y, flagged)),
    )


def _landmark(rows: Rows, risk: Array, fold: Array) -> dict[str, Any] | None:
    """Return the metrics of the landmark risk on the rows with a known fate."""
    known = np.isfinite(rows.fate) & np.isfinite(risk)
    if not known.any():
        return None
    ahead = Predictions(y=rows.fate[known], p=risk[known], session=rows.session[known], made_by=fold[known])
    return {"n": int(known.sum()), "events": int(ahead.y.sum()), **ahead.measure()}


def _life_table(rows: Rows) -> list[dict[str, Any]]:
    table = life_table_of(rows)
    names = ("at_risk", "events", "hazard", "survival", "se_hazard")
    return _records({"session": table.period, **{name: getattr(table, name) for name in names}})


def _incidence(rows: Rows) -> list[dict[str, Any]]:
    found = incidence_of(rows)
    dropout, other = found.incidence[DROPPED_OUT], found.incidence[ENDED_OTHERWISE]
    return _records({"session": found.period, "dropout": dropout, "other": other})


def _records(columns: Mapping[str, Array]) -> list[dict[str, Any]]:
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, each, strict=True)) for each in values]
