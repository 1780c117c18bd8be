"""Validation: everything that is known about how good a model is, and the same as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alliance.dropout.model.bundle import plain
from alliance.dropout.validation.gates import Gate
from alliance.dropout.validation.resampling import Interval, Optimism
from alliance.dropout.validation.size import SampleSize

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The probability from which on a row is flagged, and what comes of it in the cross-validation."""

    value: float
    budget: float
    net_benefit: float
    flag_rate: float
    sens: float
    spec: float
    ppv: float


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How good a model is, by data of the service it was made for.

    Attributes
    ----------
    folds, n_boot, seed : int
    grouped_by : "therapist" or "client"; what a fold holds whole
    rows : number of rows `n`, `events`, `cases`
    p : float, shape (rows,); cross-validated probability of dropout before the next session
    fold : int, shape (rows,); fold that tested the row
    optimism : Optimism; apparent, optimism, corrected
    cv : metric → Interval; cross-validated
    per_session : list of session, n, events, auc
    calibration : `groups` and the `smooth` curve of the cross-validated predictions
    decision : list of threshold, model, all, none, drf1
    learning : list of cases, dropouts, auc, auc_low, auc_high, slope, citl; empty if not asked for
    sample_size : SampleSize or None
    drf1 : auc, auc_pooled, flag_rate, sens, spec, ppv, net_benefit of the rules on the same rows
    threshold : Threshold or None; None where no prediction flags few enough
    landmark : metrics of the landmark risk against the known fates, or None
    sensitivity : list of what, terms, se
    life_table, incidence : lists by session
    fairness : list by declared group, or None if none was declared
    gates : the seven gates
    status : "validated" or "exploratory"
    warnings : sentences
    """

    folds: int
    n_boot: int
    seed: int
    grouped_by: str
    rows: Mapping[str, int]
    p: Array
    fold: Array
    optimism: Optimism
    cv: Mapping[str, Interval]
    per_session: list[dict[str, Any]]
    calibration: Mapping[str, Any]
    decision: list[dict[str, float]]
    learning: list[dict[str, float]]
    sample_size: SampleSize | None
    drf1: Mapping[str, float]
    threshold: Threshold | None
    landmark: Mapping[str, Any] | None
    sensitivity: list[dict[str, Any]]
    life_table: list[dict[str, Any]]
    incidence: list[dict[str, Any]]
    fairness: list[dict[str, Any]] | None
    gates: tuple[Gate, ...]
    status: str
    warnings: tuple[str, ...]

    @property
    def method(self) -> str:
        """What was done, in words."""
        return (
            f"{self.folds}-fold cross-validation grouped by {self.grouped_by}; bootstrap optimism of "
            f"{self.n_boot} replicates drawing {self.optimism.unit}s"
        )

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values, NaN as None; without the predictions."""
        size = self.sample_size
        values: dict[str, Any] = plain(
            {
                "method": self.method,
                "folds": self.folds,
                "n_boot": self.n_boot,
                "seed": self.seed,
                "grouped_by": self.grouped_by,
                "resampled_by": self.optimism.unit,
                "rows": self.rows,
                "apparent": self.optimism.apparent,
                "optimism": self.optimism.optimism,
                "corrected": self.optimism.corrected,
                "n_failed": self.optimism.n_failed,
                "cv": {name: asdict(each) for name, each in self.cv.items()},
                "per_session": self.per_session,
                "calibration": self.calibration,
                "decision": self.decision,
                "learning": self.learning,
                "sample_size": None if size is None else size.as_json(),
                "drf1": self.drf1,
                "threshold": None if self.threshold is None else asdict(self.threshold),
                "landmark": self.landmark,
                "sensitivity": self.sensitivity,
                "life_table": self.life_table,
                "incidence": self.incidence,
                "fairness": self.fairness,
                "gates": [gate.as_json() for gate in self.gates],
                "status": self.status,
                "warnings": list(self.warnings),
            }
        )
        return values
