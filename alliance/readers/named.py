"""The form that a cell names by its id: a cell of a file is never the path of another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alliance.errors import ScaleError, unknown_name
from alliance.scale import Scale, find_scales, load_scale


def scale_called(name: str | Path, folders: Sequence[Path] = ()) -> Scale:
    """Return the scale with the id in a cell.

    Raises
    ------
    ScaleError
        If there is none with that id.
    """
    text = str(name)
    if text.endswith(".toml") or "/" in text or "\\" in text:
        what, hint = unknown_name("scale", text, find_scales(folders))
        raise ScaleError(what, hint=hint)
    return load_scale(text, folders=folders)
