"""Where a file is from: one function for each source system, recognised from the file or named by the user.

A *container* is told by the first bytes of a file and makes a table of text of it. A *system* wrote that
table in its own way; it sees the table and says what it knows about it.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace

from alliance.errors import UsageError, unknown_name
from alliance.readers.export import Export, Opened

CONTAINERS: dict[str, Container] = {}
SYSTEMS: dict[str, System] = {}


@dataclass(frozen=True, kw_only=True)
class Container:
    """A kind of file: `claims` says of its bytes whether it is one, `read` makes a table of it."""

    name: str
    title: str
    claims: Callable[[Opened], bool]
    read: Callable[[Opened], Export]


@dataclass(frozen=True, kw_only=True)
class System:
    """A system that writes tables in its own way.

    `recognise` returns what a table is seen by, or an empty text; `read` returns the table as forms.
    """

    name: str
    title: str
    recognise: Callable[[Export], str]
    read: Callable[[Export, Opened], Export]


def container(
    name: str, *, title: str, claims: Callable[[Opened], bool]
) -> Callable[[Callable[[Opened], Export]], Callable[[Opened], Export]]:
    """Register a function that makes a table of one kind of file."""

    def register(read: Callable[[Opened], Export]) -> Callable[[Opened], Export]:
        CONTAINERS[name] = Container(name=name, title=title, claims=claims, read=read)
        return read

    return register


def system(
    name: str, *, title: str, recognise: Callable[[Export], str]
) -> Callable[[Callable[[Export, Opened], Export]], Callable[[Export, Opened], Export]]:
    """Register a function that reads the tables of one system."""

    def register(read: Callable[[Export, Opened], Export]) -> Callable[[Export, Opened], Export]:
        SYSTEMS[name] = System(name=name, title=title, recognise=recognise, read=read)
        return read

    return register


def known_sources() -> dict[str, str]:
    """Return the name of every source that `--from` takes, and what it is called."""
    _load()
    return {name: each.title for name, each in (CONTAINERS | SYSTEMS).items()}


def open_export(opened: Opened) -> Export:
    """Return the table in a file, read as its source system means it.

    The source is the one that the user names, or else the first system that recognises the table. Naming a
    container, such as csv, reads the table as it stands.

    Raises
    ------
    UsageError
        If there is no such source.
    DataError
        If the file cannot be read as what it is, or as what it is said to be.
    """
    _load()
    wanted = _wanted(opened)
    if wanted and wanted not in CONTAINERS | SYSTEMS:
        what, hint = unknown_name("source", wanted, CONTAINERS | SYSTEMS)
        raise UsageError(what, hint=hint)
    export = open_container(opened)
    if wanted in CONTAINERS:
        return _with_line(export)
    found = SYSTEMS.get(wanted) if wanted else None
    evidence = "named by --from" if opened.options.source else "named in the mapping"
    if found is None:
        found, evidence = _recognised(export)
    if found is None:
        return _with_line(export)
    read = found.read(export, opened)
    of_file = (note for note in export.notes if note not in read.notes)
    return replace(
        read,
        source=found.name,
        evidence=evidence,
        levels={**export.levels, **read.levels},
        labels={**export.labels, **read.labels},
        notes=(_told(found, evidence), *of_file, *read.notes),
    )


def open_container(opened: Opened) -> Export:
    """Return the table in a file as it stands, whatever system it is from; raises as `open_export` does."""
    return CONTAINERS[claimed(opened)].read(opened)


def claimed(opened: Opened) -> str:
    """Return the name of the kind of file that the bytes are, or are said to be."""
    _load()
    wanted = _wanted(opened)
    if wanted in CONTAINERS:
        return wanted
    return next((name for name, each in sorted(CONTAINERS.items()) if each.claims(opened)), "csv")


def evidence_of_system(export: Export) -> str:
    """Return by what a table is seen to be from a system of its own, empty if it is from none."""
    _load()
    return _recognised(export)[1]


def _with_line(export: Export) -> Export:
    """Return the export with one line about its kind of file, where that has evidence to be told."""
    if not export.evidence:
        return export
    told = f"the file is read as {CONTAINERS[export.source].title} ({export.evidence})"
    return replace(export, notes=(told, *export.notes))


def _wanted(opened: Opened) -> str:
    return opened.options.source or opened.mapping.source


def _told(found: System, evidence: str) -> str:
    return f"the file is read as {found.title} ({evidence}); --from names another source"


def _recognised(export: Export) -> tuple[System | None, str]:
    for _, each in sorted(SYSTEMS.items()):
        evidence = each.recognise(export)
        if evidence:
            return each, evidence
    return None, ""


@functools.cache
def _load() -> None:
    """Import every module of this folder, each of which registers its sources."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
