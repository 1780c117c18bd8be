"""Every rupture method by name: importing this module registers them all."""

from __future__ import annotations

from alliance.errors import UsageError, unknown_name
from alliance.rupture import (
    best,
    change,
    charts,
    forecast,
    levels,
    own,
    pairs,
    predictive,
    run_length,
    sudden,
    vendor,
)
from alliance.rupture.registry import METHODS, Method

__all__ = ["FAMILIES", "METHODS", "get_method"]

FAMILIES = (predictive, change, best, charts, sudden, levels, own, forecast, run_length, pairs, vendor)
"""The modules that hold the methods, in the order of the documentation."""

_BY_MODULE = [(method.judge.__module__, method) for method in METHODS.values()]
METHODS.clear()
METHODS.update(
    {method.name: method for family in FAMILIES for home, method in _BY_MODULE if home == family.__name__}
)


def get_method(name: str) -> Method:
    """Return the method called `name`; an unknown name is answered with the known ones."""
    if name not in METHODS:
        what, hint = unknown_name("method", name, METHODS)
        raise UsageError(what, hint=hint)
    return METHODS[name]
