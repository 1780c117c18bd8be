"""Is a fitted hazard model good enough to order the list? Metrics, resampling, comparator, size, gates."""

from __future__ import annotations

from alliance.dropout.validation.external import External, evaluate_external
from alliance.dropout.validation.gates import Evidence, Gate, gates, status
from alliance.dropout.validation.metrics import METRICS, Predictions
from alliance.dropout.validation.result import Validation
from alliance.dropout.validation.sensitivity import compare
from alliance.dropout.validation.size import SampleSize, riley_size
from alliance.dropout.validation.validate import Plan, validate, validate_fit

__all__ = [
    "METRICS",
    "Evidence",
    "External",
    "Gate",
    "Plan",
    "Predictions",
    "SampleSize",
    "Validation",
    "compare",
    "evaluate_external",
    "gates",
    "riley_size",
    "status",
    "validate",
    "validate_fit",
]
