"""Forms that are known but not bundled: why their key is on hold, and what would release it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from alliance.errors import ScaleError
from alliance.places import bundled


@dataclass(frozen=True, kw_only=True)
class Held:
    """A family of forms on hold.

    Attributes
    ----------
    ids : the names under which somebody may ask for it
    known : what was found out, without a key
    why : what could not be confirmed
    release : what would have to be seen to bundle it
    scored : whether the form is meant to give a number at all
    """

    ids: tuple[str, ...]
    name: str
    perspective: str
    construct: str
    citation: str
    known: str
    why: str
    release: str
    sources: tuple[str, ...]
    scored: bool = True


def held_forms() -> tuple[Held, ...]:
    """Return every form on hold, in the order of their files."""
    return tuple(
        _held(tomllib.loads(path.read_text("utf-8")))
        for path in sorted((bundled("scales") / "held").glob("*.toml"))
    )


def find_held(name: str) -> Held | None:
    """Return the form on hold that is called `name`, or None."""
    return next((held for held in held_forms() if name.casefold() in held.ids), None)


def refusal(held: Held, name: str) -> ScaleError:
    """Return the error that says why `name` cannot be used, and how to use it all the same."""
    return ScaleError(
        f"'{name}' is on hold: {held.why}",
        where=[held.name],
        hint=f"{own_definition(held, name)}; more: {more(name)}",
    )


def own_definition(held: Held, name: str) -> str:
    """Return how somebody who owns the manual of a form on hold can use it; one never scored, nobody can."""
    if not held.scored:
        return "no definition can make a score of it"
    return f"if you own its manual, write a definition from it: `alliance scales new --id {name.casefold()}`"


def more(name: str) -> str:
    """Return the command that tells all about a form on hold."""
    return f"`alliance scales show {name.casefold()}`"


def _held(table: dict[str, Any]) -> Held:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    return Held(**fields)
