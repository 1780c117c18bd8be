"""Two raters of one case, and the therapists of a caseload: statistics for studies, none of them an alarm."""

from __future__ import annotations

from alliance.dyads.agreement import (
    CaseloadSummary,
    DyadStatistics,
    Pairs,
    difference_reliability,
    dyad_statistics,
    pair_ratings,
    summarise_dyads,
)
from alliance.dyads.bias import TruthAndBias, truth_and_bias
from alliance.dyads.components import OneWay, VarianceComponents, one_way_icc, variance_components
from alliance.dyads.estimates import Estimates
from alliance.dyads.levels import (
    Levels,
    TherapistMeans,
    between_within,
    has_one_therapist,
    therapist_means,
)
from alliance.dyads.surface import ResponseSurface, response_surface

__all__ = [
    "CaseloadSummary",
    "DyadStatistics",
    "Estimates",
    "Levels",
    "OneWay",
    "Pairs",
    "ResponseSurface",
    "TherapistMeans",
    "TruthAndBias",
    "VarianceComponents",
    "between_within",
    "difference_reliability",
    "dyad_statistics",
    "has_one_therapist",
    "one_way_icc",
    "pair_ratings",
    "response_surface",
    "summarise_dyads",
    "therapist_means",
    "truth_and_bias",
    "variance_components",
]
