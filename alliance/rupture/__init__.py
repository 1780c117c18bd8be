"""Courses → Flags, Episodes: ruptures, repairs, and what could not be said.

Names load on first use, so that the table of parameters can be read without numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alliance.rupture.catalogue import METHODS, get_method
    from alliance.rupture.detection import Run, run_of, runs_of
    from alliance.rupture.flagging import Detection, detect, flag
    from alliance.rupture.frozen import Frozen
    from alliance.rupture.groups import Group
    from alliance.rupture.prior import Prior
    from alliance.rupture.registry import Measure, Method, measure_of
    from alliance.rupture.subject import Subject, require_alliance, subject_of

__all__ = [
    "METHODS",
    "Detection",
    "Frozen",
    "Group",
    "Measure",
    "Method",
    "Prior",
    "Run",
    "Subject",
    "detect",
    "flag",
    "get_method",
    "measure_of",
    "require_alliance",
    "run_of",
    "runs_of",
    "subject_of",
]

_HOMES = {
    "METHODS": "catalogue",
    "get_method": "catalogue",
    "Detection": "flagging",
    "detect": "flagging",
    "flag": "flagging",
    "Frozen": "frozen",
    "Group": "groups",
    "Prior": "prior",
    "Measure": "registry",
    "Method": "registry",
    "measure_of": "registry",
    "Subject": "subject",
    "require_alliance": "subject",
    "subject_of": "subject",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module 'alliance.rupture' has no attribute '{name}'"
        raise AttributeError(message)
    home = importlib.import_module(f"alliance.rupture.{_HOMES.get(name, 'detection')}")
    return getattr(home, name)
