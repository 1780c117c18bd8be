"""A frozen model on data it never saw: metrics only, no gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alliance.dropout.model.bundle import Bundle, plain
from alliance.dropout.model.rows import Rows
from alliance.dropout.validation.curves import THRESHOLDS
from alliance.dropout.validation.decision import decision_curve
from alliance.dropout.validation.fairness import fairness
from alliance.dropout.validation.gates import DRAWS
from alliance.dropout.validation.metrics import Predictions
from alliance.dropout.validation.resampling import (
    THERAPISTS_FOR_DRAWS,
    Interval,
    Model,
    Progress,
    groups_of,
    intervals,
    quiet,
)
from alliance.dropout.validation.result import Threshold
from alliance.dropout.validation.validate import calibration, per_session, require_outcomes, threshold_of

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class External:
    """How good a frozen model is on new data.

    Attributes
    ----------
    n_boot, seed : int
    resampled_by : "therapist" or "client"; what the intervals draw
    rows : number of rows `n`, `events`, `cases`
    metrics : metric → Interval
    per_session, calibration, decision, threshold, fairness : as in Validation, `drf1` NaN in the decision
        curve
    """

    n_boot: int
    seed: int
    resampled_by: str
    rows: Mapping[str, int]
    metrics: Mapping[str, Interval]
    per_session: list[dict[str, Any]]
    calibration: Mapping[str, Any]
    decision: list[dict[str, float]]
    threshold: Threshold | None
    fairness: list[dict[str, Any]] | None

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values, NaN as None."""
        values: dict[str, Any] = plain(asdict(self))
        return {"method": f"external, intervals drawing {self.resampled_by}s", **values}


def evaluate_external(
    model: Model | Bundle,
    rows: Rows,
    *,
    threshold: float | None = None,
    groups: Mapping[str, Array] | None = None,
    n_boot: int = DRAWS,
    seed: int = 1,
    progress: Progress | None = None,
) -> External:
    """Judge a frozen model on rows it never saw. Nothing is fitted, no gate is asked.

    Parameters
    ----------
    model : Bundle, or anything with `hazard(rows)`
    rows : Rows
        With known outcomes; by the dropout definition and the form of the model, which is for the caller
        to make sure of.
    threshold : float, optional
        Probability from which on the model flags; that of the bundle if left out.
    groups : name → labels, shape (cases,), optional
        Declared groups for the fairness table.
    n_boot, seed : int
    progress : callable, optional

    Raises
    ------
    ValueError
        If a row's outcome is not known.
    DataError
        If not both outcomes are there.
    UsageError
        If a declared group is the therapist.
    """
    require_outcomes(rows)
    if isinstance(model, Bundle):
        threshold = model.threshold if threshold is None else threshold
        model = model.model
    found = Predictions(y=rows.y, p=np.asarray(model.hazard(rows), dtype=float), session=rows.session)
    units = groups_of(rows, least=THERAPISTS_FOR_DRAWS)
    limit = math.nan if threshold is None else threshold
    draw: dict[str, Any] = {"n_boot": n_boot, "seed": seed, "threshold": limit}
    thresholds = sorted({*THRESHOLDS, *([] if threshold is None else [threshold])})
    return External(
        n_boot=n_boot,
        seed=seed,
        resampled_by=units.unit,
        rows={"n": len(rows), "events": int(rows.y.sum()), "cases": len(np.unique(rows.case))},
        metrics=intervals(found, units, **draw, tell=progress or quiet),
        per_session=per_session(found),
        calibration=calibration(found),
        decision=decision_curve(rows.y, found.p, thresholds=thresholds),
        threshold=threshold_of(found, limit, budget=math.nan),
        fairness=None if groups is None else fairness(found, rows, groups, units=units, **draw),
    )
