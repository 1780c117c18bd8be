"""A whole definition as JSON: a file of its own, and what the other formats carry for the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from alliance.errors import ScaleError, UsageError
from alliance.scale import parse_definition

SCHEMA = 1
Table = Mapping[str, Any]
Texts = Mapping[int, str]
Imported = tuple[dict[str, Any], tuple[str, ...]]


def to_json(table: Table, texts: Texts | None = None) -> str:
    """Return the definition `table` as JSON: the number of the schema, and the definition.

    Raises
    ------
    UsageError
        If there are `texts`: a definition holds no item wording.
    """
    if texts:
        message = "JSON holds the definition alone, no item texts"
        raise UsageError(message, hint="leave the texts out, or write fhir or redcap")
    return json.dumps(_enveloped(table), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def from_json(text: str, form: str | None = None) -> Imported:
    """Return the definition in `text`, written by `to_json`, as a table; there is nothing to be told.

    Raises
    ------
    ScaleError
        If the text is no such file, its schema is unknown, or the definition breaks the schema.
    """
    refuse_form(form)
    return unpack(text), ()


def pack(table: Table) -> str:
    """Return the definition `table` as JSON on one line, to be carried inside another file."""
    return json.dumps(_enveloped(table), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def unpack(text: str) -> dict[str, Any]:
    """Return the definition that `text`, written by `pack` or `to_json`, holds, checked."""
    found = json_object(text)
    schema = found.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        message = f"the definition has schema {schema!r}, not {SCHEMA}"
        raise ScaleError(message, hint="another version of alliance may have written it")
    strange = [f"{key}: unknown field" for key in found if key not in {"schema", "definition"}]
    if strange or not isinstance(found.get("definition"), dict):
        message = "the file must hold 'schema' and 'definition', a table, and nothing else"
        raise ScaleError(message, where=strange, hint="`alliance scales export ID --to json` writes one")
    table: dict[str, Any] = found["definition"]
    parse_definition(table, origin=str(table.get("id", "definition")))
    return table


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`; a byte order mark is passed over."""
    try:
        found = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        message = f"the file is no JSON: {error}"
        raise ScaleError(message, hint="give the file as it was exported") from None
    if not isinstance(found, dict):
        message = "the file holds no JSON object"
        raise ScaleError(message, hint="give the file as it was exported")
    return found


def refuse_form(form: str | None) -> None:
    """Raise UsageError if a form is named where a file holds one only."""
    if form is not None:
        message = f"the file holds one form only, no form is to be named, got '{form}'"
        raise UsageError(message, hint="--form belongs to redcap")


def _enveloped(table: Table) -> dict[str, Any]:
    return {"schema": SCHEMA, "definition": dict(table)}


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no number"
    raise ValueError(message)
