"""Evidence of a validation → seven gates: whether the model may order the list or stays exploratory."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from alliance.courses import TOLERANCE
from alliance.dropout.model.bundle import status_of
from alliance.dropout.model.estimate import LEAST_THERAPISTS

CLOSED_CLIENTS = 300
DROPOUTS = 60
DROPOUTS_RECOMMENDED = 100
EVENTS_PER_PARAMETER = 10
DRAWS, FOLDS = 200, 10
"""Bootstrap draws and folds from which the interval of the AUC is taken for known."""

AUC, AUC_LOW = 0.60, 0.55
SLOPE_LOW, SLOPE_HIGH = 0.80, 1.20
CITL = 0.20


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the gates look at; NaN or None where it cannot be had.

    Attributes
    ----------
    n_closed : int; clients with a treatment that ended
    n_dropouts : int; treatments that ended by dropout and have a row
    n_events : int; rows with an event
    n_parameters : int; slopes of the model
    n_needed : float; clients needed by Riley et al. 2019
    n_therapists : int; known ones
    grouped_by : "therapist" or "client"; what a fold holds whole
    auc, auc_low : float; cross-validated headline AUC and its lower 95 % bound
    auc_drf1 : float; the same of the DRF-1 order on the same rows
    slope, citl : float; cross-validated
    nb, nb_all, nb_drf1 : float; net benefit at the threshold: model, treating all, DRF-1 REVIEW
    n_boot, folds : int; bootstrap draws and folds that the numbers are from
    same : bool or None; the data in use have the model's definition, instrument and scoring version
    """

    n_closed: int
    n_dropouts: int
    n_events: int
    n_parameters: int
    n_needed: float
    n_therapists: int
    grouped_by: str
    auc: float
    auc_low: float
    auc_drf1: float
    slope: float
    citl: float
    nb: float
    nb_all: float
    nb_drf1: float
    n_boot: int
    folds: int
    same: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate: what it asks, what was found, and whether it is passed; None = not enough data to tell."""

    id: str
    asks: str
    found: str
    passed: bool | None

    def as_json(self) -> dict[str, Any]:
        """Return the gate as plain values."""
        return asdict(self)


def gates(evidence: Evidence) -> tuple[Gate, ...]:
    """Return the gates G1 to G7. All thresholds are by design, none is published.

    Parameters
    ----------
    evidence : Evidence
        A number that is NaN leaves its gate open (`passed` is None) unless another part fails it. With fewer
        than 200 draws or 10 folds the gate on the AUC is open whatever was found.

    Examples
    --------
    >>> evidence = Evidence(
    ...     n_closed=800, n_dropouts=210, n_events=210, n_parameters=5, n_needed=560, n_therapists=30,
    ...     grouped_by="therapist", auc=0.70, auc_low=0.66, auc_drf1=0.64, slope=0.95, citl=0.01,
    ...     nb=0.011, nb_all=-0.02, nb_drf1=0.006, n_boot=200, folds=10, same=True)
    >>> [gate.passed for gate in gates(evidence)], status(gates(evidence))
    ([True, True, True, True, True, True, True], 'validated')
    """
    return (
        _size(evidence),
        _events(evidence),
        _therapists(evidence),
        _ranking(evidence),
        _calibration(evidence),
        _gain(evidence),
        _same(evidence),
    )


def status(passed: tuple[Gate, ...]) -> str:
    """Return "validated" if every gate is passed, else "exploratory"."""
    return status_of([gate.passed for gate in passed])


def all_of(*answers: bool | None) -> bool | None:
    """Return False if one answer is no, else None if one is not known, else True."""
    if any(answer is False for answer in answers):
        return False
    return None if any(answer is None for answer in answers) else True


def at_least(value: float, bound: float) -> bool | None:
    """Return whether `value` reaches `bound`, which counts as reached; None if either is NaN."""
    return None if math.isnan(value) or math.isnan(bound) else bool(value >= bound - TOLERANCE)


def above(value: float, bound: float) -> bool | None:
    """Return whether `value` lies above `bound`, which itself does not; None if either is NaN."""
    return None if math.isnan(value) or math.isnan(bound) else bool(value > bound + TOLERANCE)


def _size(evidence: Evidence) -> Gate:
    needed = max(float(CLOSED_CLIENTS), evidence.n_needed) if not math.isnan(evidence.n_needed) else math.nan
    return Gate(
        id="G1",
        asks=f"clients with closed treatments: {CLOSED_CLIENTS}, or the number by Riley et al. 2019 if that "
        f"is larger; at least {DROPOUTS} dropouts ({DROPOUTS_RECOMMENDED} recommended)",
        found=f"{evidence.n_closed} clients of {_number(needed, 0)} needed, {evidence.n_dropouts} dropouts",
        passed=all_of(
            False if evidence.n_closed < CLOSED_CLIENTS else at_least(evidence.n_closed, needed),
            at_least(evidence.n_dropouts, DROPOUTS),
        ),
    )


def _events(evidence: Evidence) -> Gate:
    return Gate(
        id="G2",
        asks=f"at least {EVENTS_PER_PARAMETER} events per parameter",
        found=f"{evidence.n_events} events, {evidence.n_parameters} parameters",
        passed=evidence.n_events >= EVENTS_PER_PARAMETER * evidence.n_parameters,
    )


def _therapists(evidence: Evidence) -> Gate:
    return Gate(
        id="G3",
        asks=f"at least {LEAST_THERAPISTS} therapists, or a validation grouped by client, with a warning",
        found=f"{evidence.n_therapists} therapists, grouped by {evidence.grouped_by}",
        passed=evidence.n_therapists >= LEAST_THERAPISTS or evidence.grouped_by == "client",
    )


def _ranking(evidence: Evidence) -> Gate:
    draws, folds = evidence.n_boot, evidence.folds
    enough = draws >= DRAWS and folds >= FOLDS
    few = f"{DRAWS} draws and {FOLDS} folds are needed, there were {draws} and {folds}; "
    passed = all_of(
        at_least(evidence.auc, AUC),
        above(evidence.auc_low, AUC_LOW),
        above(evidence.auc, evidence.auc_drf1),
    )
    return Gate(
        id="G4",
        asks=f"cross-validated AUC at least {AUC:.2f}, its lower 95 % bound above {AUC_LOW:.2f}, and above "
        f"the AUC of the DRF-1 order on the same rows; {DRAWS} bootstrap draws and {FOLDS} folds",
        found=f"{'' if enough else few}AUC {_number(evidence.auc)}, lower bound "
        f"{_number(evidence.auc_low)}, DRF-1 {_number(evidence.auc_drf1)}",
        passed=passed if enough else None,
    )


def _calibration(evidence: Evidence) -> Gate:
    return Gate(
        id="G5",
        asks=f"cross-validated calibration slope {SLOPE_LOW:.2f} to {SLOPE_HIGH:.2f}, calibration in the "
        f"large at most {CITL:.2f} from 0",
        found=f"slope {_number(evidence.slope)}, calibration in the large {_number(evidence.citl)}",
        passed=all_of(
            at_least(evidence.slope, SLOPE_LOW),
            at_least(-evidence.slope, -SLOPE_HIGH),
            at_least(-abs(evidence.citl), -CITL),
        ),
    )


def _gain(evidence: Evidence) -> Gate:
    return Gate(
        id="G6",
        asks="net benefit at the threshold above that of treating all, of treating none, and of DRF-1 REVIEW",
        found=f"net benefit {_number(evidence.nb, 4)}, all {_number(evidence.nb_all, 4)}, none 0, DRF-1 "
        f"{_number(evidence.nb_drf1, 4)}",
        passed=all_of(
            above(evidence.nb, evidence.nb_all),
            above(evidence.nb, 0.0),
            above(evidence.nb, evidence.nb_drf1),
        ),
    )


def _same(evidence: Evidence) -> Gate:
    found = {True: "the same", False: "not the same", None: "not known"}[evidence.same]
    return Gate(
        id="G7",
        asks="the data in use have the model's dropout definition, instrument and scoring version",
        found=found,
        passed=evidence.same,
    )


def _number(value: float, digits: int = 3) -> str:
    return "not known" if math.isnan(value) else f"{value:.{digits}f}"
