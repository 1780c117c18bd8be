"""What `alliance scales new` asks, and what the answers mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from alliance.errors import StoreError, UsageError


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Answers from options, or from the person at the terminal."""

    interactive: bool

    def need(self, option: str, given: Any, question: str, *, kind: Callable[[str], Any] = str) -> Any:
        """Return what was given, or ask until something is."""
        if given is not None:
            return given
        if not self.interactive:
            message = f"{option} is missing, and there is no terminal to ask at"
            raise UsageError(message, hint="`alliance scales new --help` shows an example")
        return typer.prompt(question, type=kind)

    def may(self, given: str | None, question: str) -> str:
        """Return what was given, or ask once; empty is an answer."""
        if given is None and self.interactive:
            return str(typer.prompt(question, default="", show_default=False))
        return given or ""

    def several(self, given: list[str] | None, question: str) -> list[str]:
        """Return what was given, or ask until nothing more comes."""
        if given or not self.interactive:
            return given or []
        return list(iter(lambda: self.may(None, question), ""))


def item_numbers(option: str, text: str) -> list[int]:
    """Return item numbers such as 3,5."""
    try:
        return [int(cell) for cell in text.replace(" ", ",").split(",") if cell]
    except ValueError:
        message = f"{option} must be item numbers such as 3,5, got '{text}'"
        raise UsageError(message) from None


def subscales(texts: Sequence[str]) -> dict[str, list[int]]:
    """Return subscales from texts such as goal=4,6,8."""
    pairs = (text.partition("=") for text in texts)
    return {name.strip(): item_numbers("--subscale", items) for name, _, items in pairs}


def anchors(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the field of the printed answer words from texts such as 1=never; nothing if there are none."""
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (value, _, word) in zip(texts, pairs, strict=True) if not value or not word]
    if wrong:
        message = f"--anchor must be a number and its word, such as 1=never, got '{wrong[0]}'"
        raise UsageError(message)
    return {"anchors": {value.strip(): word.strip() for value, _, word in pairs}} if pairs else {}


def given(**options: tuple[float, float]) -> dict[str, float]:
    """Return the options that differ from their usual value."""
    from alliance.scale import plain

    return {name: plain(value) for name, (value, usual) in options.items() if value != usual}


def authority(
    asked: Asked, citation: str | None, licence: str | None, source: list[str] | None
) -> dict[str, Any]:
    """Return citation, licence and sources, as far as they are told."""
    told = {
        "citation": asked.may(citation, "Citation of the form (empty: own definition)"),
        "licence": asked.may(licence, "Licence, terms (empty: not stated)"),
        "sources": asked.several(source, "Where the key was seen (empty: no more)"),
    }
    return {name: value for name, value in told.items() if value}


def examples(asked: Asked, fields: Mapping[str, Any], texts: list[str] | None) -> list[dict[str, Any]]:
    """Return the forms scored by hand: those given, or those a person scores now, as far as they do."""
    from alliance.definition import read_example, telling_forms

    if texts or not asked.interactive:
        return [read_example(text) for text in texts or ()]
    typer.echo("Score these forms by hand, with the manual; empty: not now. They prove the key.")
    scored = []
    for form in telling_forms(**{name: fields[name] for name in ("items", "min", "max")}):
        typer.echo(f"answers {', '.join(map(str, form))}")
        said = {name: asked.may(None, f"  {name}") for name in (*fields["subscales"], "total")}
        scores = {name: hand_score(name, value) for name, value in said.items() if value}
        scored += [{"answers": form, "scores": scores}] if scores else []
    return scored


def hand_score(name: str, text: str) -> float:
    """Return a score that a person worked out; a fraction such as 19/3 keeps every digit."""
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below) if below else float(above)
    except (ValueError, ZeroDivisionError):
        message = f"the score {name} must be a number, such as 2.5 or 19/3, got '{text}'"
        raise UsageError(message) from None


def write_new(path: Path, text: str) -> None:
    """Write `text` to a file that only its owner can read, and never over another one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        message = (
            f"'{path}' is there already" if path.exists() else f"cannot write '{path}': {error.strerror}"
        )
        raise StoreError(message, hint="give another file with -o; nothing is overwritten") from None
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
