"""A mapping as TOML, as `read_mapping` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from alliance.readers.mapping import FormMap, Mapping
from alliance.readers.toml_text import listed_texts, quoted

_NAMES = {"source": "from"}
_TABLES = ("columns", "cases", "sessions")
_APART = (*_TABLES, "answers", "worded", "forms")


def top_entries(mapping: Mapping) -> dict[str, str]:
    """Return name → line of every field at the top of a mapping that says something."""
    said = {each.name: getattr(mapping, each.name) for each in fields(mapping) if each.name not in _APART}
    return {
        _NAMES.get(name, name): f"{_NAMES.get(name, name)} = {_value(value)}"
        for name, value in said.items()
        if value is not None and (value not in ("", (), 0.0) or (name == "turned"))
    }


def table_entries(mapping: Mapping, name: str) -> list[str]:
    """Return the lines of one table of the mapping: cases, sessions or answers (those for every form)."""
    return [f"{quoted(word)} = {_value(value)}" for word, value in getattr(mapping, name).items()]


def worded_entries(mapping: Mapping) -> dict[str, list[str]]:
    """Return head → lines of the tables of answers for one form, and for one language of it."""
    return {
        f"[answers.{quoted(form)}{f'.{quoted(language)}' if language else ''}]": [
            f"{quoted(word)} = {_value(number)}" for word, number in words.items()
        ]
        for form, languages in mapping.worded.items()
        for language, words in languages.items()
        if words
    }


def form_entries(mapping: Mapping) -> Iterator[str]:
    """Yield the tables of several forms side by side."""
    for form in mapping.forms:
        yield "[[forms]]"
        yield from (f"{name} = {value}" for name, value in _fields_of(form))


def _fields_of(form: FormMap) -> Iterator[tuple[str, str]]:
    for each in fields(form):
        value = getattr(form, each.name)
        if value is None or value in ("", {}) or (value == () and each.name != "turned"):
            continue
        yield each.name, _value(value)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return listed_texts(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(name)} = {_value(each)}" for name, each in value.items()) + " }"
    return repr(value)
