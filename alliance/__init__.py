"""Score session-by-session alliance forms, flag ruptures and repairs, list early dropout risk.

Names load on first use, so that `import alliance` is quick.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "load_scale": "alliance.scale",
    "read": "alliance.readers",
    "score": "alliance.scoring",
    "flag": "alliance.rupture",
    "risk": "alliance.dropout",
    "local_norms": "alliance.dropout",
    "analyze": "alliance.study",
}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  the names are the keys above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module 'alliance' has no attribute '{name}'"
        raise AttributeError(message)
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
