"""Scores and attendance → Risk: the rules of DRF-1, their points, levels and reasons."""

from __future__ import annotations

from alliance.dropout.instrument import Instrument, instrument_of, local_sem
from alliance.dropout.norms import Norms, NormTally
from alliance.dropout.rules import PROMPTS, RULES, get_rule
from alliance.dropout.triage import caseload_sem, judge, local_norms, risk, sides
from alliance.dropout.verdicts import CAVEAT, LEVELS, Verdicts, risk_arrays, risk_columns, risk_texts
from alliance.dropout.visits import Appointments, Ratings, Visits, visits_of

__all__ = [
    "CAVEAT",
    "LEVELS",
    "PROMPTS",
    "RULES",
    "Appointments",
    "Instrument",
    "NormTally",
    "Norms",
    "Ratings",
    "Verdicts",
    "Visits",
    "caseload_sem",
    "get_rule",
    "instrument_of",
    "judge",
    "local_norms",
    "local_sem",
    "risk",
    "risk_arrays",
    "risk_columns",
    "risk_texts",
    "sides",
    "visits_of",
]
