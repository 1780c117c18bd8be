"""Any file → Responses: the tolerant lane, which says what it found and refuses what it cannot know.

Names load on first use, so that the fast lane does not wait for pandas.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alliance.readers.appointments import read_attendance
    from alliance.readers.check import Inspection, inspect
    from alliance.readers.drafting import draft_mapping
    from alliance.readers.episodes import assign_episodes
    from alliance.readers.loading import Loaded, load, read
    from alliance.readers.mapping import Mapping, read_mapping
    from alliance.readers.options import ReadOptions
    from alliance.readers.treatments import read_treatments, treatments_of

__all__ = [
    "Inspection",
    "Loaded",
    "Mapping",
    "ReadOptions",
    "assign_episodes",
    "draft_mapping",
    "inspect",
    "load",
    "read",
    "read_attendance",
    "read_mapping",
    "read_treatments",
    "treatments_of",
]

_HOMES = {
    "Inspection": "check",
    "Mapping": "mapping",
    "ReadOptions": "options",
    "assign_episodes": "episodes",
    "draft_mapping": "drafting",
    "inspect": "check",
    "read_attendance": "appointments",
    "read_mapping": "mapping",
    "read_treatments": "treatments",
    "treatments_of": "treatments",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module 'alliance.readers' has no attribute '{name}'"
        raise AttributeError(message)
    home = importlib.import_module(f"alliance.readers.{_HOMES.get(name, 'loading')}")
    return getattr(home, name)
