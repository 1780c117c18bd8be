"""Where the bundled files are, in a wheel and in a checkout, and where a user's own definitions live."""

from __future__ import annotations

from pathlib import Path


def bundled(kind: str) -> Path:
    """Return the folder of the bundled `scales` or `data`, in a wheel or in a checkout."""
    package = Path(__file__).parent
    shipped = package / "bundled" / kind
    return shipped if shipped.is_dir() else package.parent / kind


def user_folder() -> Path:
    """Return the folder in which a user's own definitions live."""
    import platformdirs

    return Path(platformdirs.user_config_dir("alliance", appauthor=False)) / "scales"
