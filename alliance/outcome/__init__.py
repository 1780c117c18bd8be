"""Alliance and outcome: what goes with what, within and between persons, and what comes first."""

from __future__ import annotations

from alliance.outcome.associate import Association, Direction, associate
from alliance.outcome.describe import Correlation, Spread
from alliance.outcome.model import Model, Settings, Term
from alliance.outcome.pairing import LOSSES, Pairs, Ratings, Sessions, pair
from alliance.outcome.words import reading, sentence

__all__ = [
    "LOSSES",
    "Association",
    "Correlation",
    "Direction",
    "Model",
    "Pairs",
    "Ratings",
    "Sessions",
    "Settings",
    "Spread",
    "Term",
    "associate",
    "pair",
    "reading",
    "sentence",
]
