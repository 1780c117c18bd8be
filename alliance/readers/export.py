"""A file as its source system wrote it: cells as text, and what the system says about them."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from pathlib import Path

from alliance.readers.mapping import Mapping
from alliance.readers.options import ReadOptions
from alliance.readers.text import Records

Levels = Table[str, Table[str, str]]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The bytes of a file, its path (`-`: standard input), and how it is to be read."""

    raw: bytes
    path: Path
    options: ReadOptions = field(default_factory=ReadOptions)

    @property
    def mapping(self) -> Mapping:
        """What a person said about the file."""
        return self.options.mapping or Mapping()


@dataclass(frozen=True, kw_only=True)
class FormLines:
    """Lines of the file that hold one of its forms, and those of them where it was begun and not sent."""

    held: frozenset[int]
    unfinished: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Export:
    """The table in a file, and what its source system says about it.

    Attributes
    ----------
    records : the cells as text, header first; rows that are no data of a form are gone, each kind told in
        `notes`
    source, evidence : name of the system ("" = no particular one), and what it was seen by
    columns : role → column name that the system itself reserves for it; stronger than a well-known name, and
        than an exact one. Also q1 to qk, where the system's own way of naming items needs it
    fallbacks : role → column name, used where neither the mapping nor a name says which column it is
    levels : column name → code as it stands in a cell → its word, from value labels or a dictionary
    labels : column name → what is printed at the question
    missing : codes that the system itself declares as missing
    date_format : the order of day, month and year the system always writes; "" = not known
    unfinished : lines of responses that were begun and not sent
    forms : column name → the lines that hold its form, where other rows hold other forms
    may_be_turned : columns whose answers the system may have turned round; somebody must say so
    notes : what a person must be told
    """

    records: Records
    source: str = ""
    evidence: str = ""
    columns: Table[str, str] = field(default_factory=dict)
    fallbacks: Table[str, str] = field(default_factory=dict)
    levels: Levels = field(default_factory=dict)
    labels: Table[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    date_format: str = ""
    unfinished: frozenset[int] = frozenset()
    forms: Table[str, FormLines] = field(default_factory=dict)
    may_be_turned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
