"""A study in the format of another program: one function for each format, found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from alliance.errors import UsageError, unknown_name
from alliance.writers.study import Study

__all__ = ["WRITERS", "Study", "Writer", "find_writer", "known_writers", "writer"]

Write = Callable[[Study], dict[str, bytes]]
WRITERS: dict[str, Writer] = {}


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A format: `write` returns file name → content of a study; `suffix` ends the name of its data files."""

    name: str
    title: str
    suffix: str
    write: Write


def writer(name: str, *, title: str, suffix: str) -> Callable[[Write], Write]:
    """Register a function that writes a study in one format.

    Equal studies must give equal bytes, and what was written must be read back as it was.
    """

    def register(write: Write) -> Write:
        WRITERS[name] = Writer(name=name, title=title, suffix=suffix, write=write)
        return write

    return register


def known_writers() -> dict[str, Writer]:
    """Return every writer by name; those of one module stand together."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    return WRITERS


def find_writer(name: str) -> Writer:
    """Return the writer called `name`; an unknown name is answered with the known ones."""
    known = known_writers()
    if name not in known:
        what, hint = unknown_name("format", name, known)
        raise UsageError(what, hint=hint)
    return known[name]
