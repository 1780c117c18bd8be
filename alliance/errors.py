"""Every error a user can cause: what is wrong, where, what to do; and its exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from alliance.cells import visible

PLACES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One thing that is wrong: a sentence, the places it is wrong at, and the way out.

    The first `shown` places are printed, the others counted.
    """

    what: str
    where: tuple[str, ...] = ()
    hint: str = ""
    shown: int = PLACES_SHOWN

    def __str__(self) -> str:
        """Return the trouble as the user reads it, with nothing that a terminal would obey."""
        lines = [f"error: {self.what}", *(f"  {place}" for place in self.where[: self.shown])]
        if len(self.where) > self.shown:
            lines.append(f"  and {len(self.where) - self.shown} more")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return visible("\n".join(lines))


class AllianceError(Exception):
    """A user's mistake, with every trouble found in one go."""

    exit_code = 1

    def __init__(
        self, what: str, *, where: Iterable[str] = (), hint: str = "", shown: int = PLACES_SHOWN
    ) -> None:
        self.troubles: tuple[Trouble, ...] = (Trouble(what=what, where=tuple(where), hint=hint, shown=shown),)
        super().__init__(what)

    @classmethod
    def of(cls, troubles: Sequence[Trouble]) -> Self:
        """Return one error that carries all `troubles`, in order."""
        error = cls(troubles[0].what)
        error.troubles = tuple(troubles)
        return error

    def __str__(self) -> str:
        """Return all troubles, one block each."""
        return "\n".join(str(trouble) for trouble in self.troubles)


class UsageError(AllianceError):
    """The command was called in a way that cannot work."""

    exit_code = 2


class DataError(AllianceError):
    """The data are not what they are said to be."""

    exit_code = 3


class ScaleError(AllianceError):
    """A scale definition is unknown or broken."""

    exit_code = 4


class StoreError(AllianceError):
    """A file or the store cannot be opened, read or written."""

    exit_code = 5


def toml_fault(error: ValueError | RecursionError) -> str:
    """Return why a text could not be read as TOML.

    >>> toml_fault(RecursionError("maximum recursion depth exceeded"))
    'it is nested too deeply'
    """
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it has a number with too many digits" if type(error) is ValueError else str(error)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    """Return the sentence and the hint for a name nobody knows: the nearest one, and all known.

    >>> unknown_name("scale", "wai-rs", ["srs", "wai-sr"])
    ("unknown scale 'wai-rs'", "did you mean 'wai-sr'? known: srs, wai-sr")
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {kind} '{name}'", f"{guess}known: {', '.join(names)}"
