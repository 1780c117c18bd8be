"""Definitions in and out of other systems: FHIR R4 Questionnaire, REDCap data dictionary, JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from alliance.errors import ScaleError, UsageError, unknown_name
from alliance.exchange.dictionary import COLUMNS, FIELDS, is_dictionary, to_redcap
from alliance.exchange.envelope import Imported, Table, Texts, from_json, json_object, to_json
from alliance.exchange.fhir import from_fhir, to_fhir
from alliance.exchange.redcap import from_redcap

__all__ = [
    "COLUMNS",
    "FIELDS",
    "FORMATS",
    "Exchange",
    "find_format",
    "from_fhir",
    "from_json",
    "from_redcap",
    "guess_format",
    "to_fhir",
    "to_json",
    "to_redcap",
]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A system that definitions come from and go to.

    `write` takes a definition table and the user's own item texts or None; `read` takes the text of a file
    and the form in it or None, and returns the table with what a person must be told. `suffix` ends the name
    of a file.
    """

    write: Callable[[Table, Texts | None], str]
    read: Callable[[str, str | None], Imported]
    suffix: str


FORMATS: dict[str, Exchange] = {
    "fhir": Exchange(write=to_fhir, read=from_fhir, suffix=".fhir.json"),
    "redcap": Exchange(write=to_redcap, read=from_redcap, suffix=".redcap.csv"),
    "json": Exchange(write=to_json, read=from_json, suffix=".json"),
}


def find_format(name: str) -> Exchange:
    """Return the format called `name`; an unknown one is answered with those there are."""
    if name not in FORMATS:
        what, hint = unknown_name("format", name, FORMATS)
        raise UsageError(what, hint=hint)
    return FORMATS[name]


def guess_format(text: str) -> str:
    """Return the name of the format in which `text` is written.

    Raises
    ------
    ScaleError
        If it is none of them.

    Examples
    --------
    >>> guess_format('{"resourceType": "Questionnaire"}')
    'fhir'
    """
    if is_dictionary(text):
        return "redcap"
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        found = json_object(text)
        for key, name in (("resourceType", "fhir"), ("definition", "json")):
            if key in found:
                return name
    message = "the file is no definition in a known format"
    raise ScaleError(message, hint=f"known: {', '.join(sorted(FORMATS))}; say which with --from")
