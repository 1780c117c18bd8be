"""JSON of FHIR → its resources, numbered; what is broken is named, and numbers stay as they were written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from alliance.errors import DataError

Object = Mapping[str, Any]

RESPONSE = "QuestionnaireResponse"
FORM = "Questionnaire"
_MOST_DIGITS = 15
_BROKEN = "export it again from its system; a file that was cut off cannot be read"


class Numeral(str):
    """A JSON number, as it was written."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource of a file: its number (the line, where each has its own), its kind, and its fullUrl."""

    number: int
    kind: str
    body: Object
    url: str = ""

    @property
    def key(self) -> str:
        """What the versions of one resource have in common."""
        return said(self.body, "id") or self.url or f"number {self.number}"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The resources of a file in their order, filled while it is read.

    `shape` is Bundle, list, resource or lines; `breaches` are what is not as FHIR has it, by number (0: the
    file as a whole); `deleted` are ids that a history says are gone; `pages` are bundles with a next page.
    """

    shape: str
    resources: list[Resource] = field(default_factory=list)
    breaches: list[tuple[int, str]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    pages: list[Object] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """What the numbers of the resources count."""
        return "line" if self.shape == "lines" else "resource"

    def place(self, number: int) -> str:
        """Return a place as a person would look for it."""
        return f"{self.unit} {number}" if number else "the file"


def read_contents(text: str, *, name: str = "the file") -> Contents:
    """Return the resources in `text`: a Bundle, a list, one resource, or one a line; `name` is for errors.

    Raises
    ------
    DataError
        If the text is no JSON, says one thing twice, or is nested too deep.
    """
    text = text.removeprefix("\ufeff")
    try:
        whole = parse(text)
    except RecursionError:
        message = f"{name} is nested too deep for FHIR"
        raise DataError(message, hint=_BROKEN) from None
    except ValueError as error:
        if _in_lines(text):
            return _of_lines(text)
        raise _no_json(error, name) from None
    bundled = "Bundle" if said(whole, "resourceType") == "Bundle" else "resource"
    contents = Contents(shape="list" if isinstance(whole, list) else bundled)
    for number, (value, url) in enumerate(_flat(whole, contents), 1):
        _take(value, url, number, contents)
    return contents


def parse(text: str) -> Any:
    """Return the JSON value in `text` with numbers as Numeral; a key that is there twice is a ValueError."""
    return json.loads(
        text,
        parse_float=Numeral,
        parse_int=Numeral,
        parse_constant=_no_constant,
        object_pairs_hook=_object,
    )


def _no_json(error: ValueError, name: str) -> DataError:
    if isinstance(error, json.JSONDecodeError):
        place = f"line {error.lineno}, column {error.colno}"
        return DataError(f"{name} is no JSON: {error.msg}", where=[place], hint=_BROKEN)
    return DataError(f"{name} is no JSON: {error}", hint=_BROKEN)


def _in_lines(text: str) -> bool:
    """Return whether every line seems to be an object of its own: the first two begin as one."""
    filled = (line for line in text.split("\n") if line.strip())
    first = [line.lstrip() for line, _ in zip(filled, range(2), strict=False)]
    return len(first) > 1 and all(line.startswith("{") for line in first) and "}" in first[0] + first[1]


def _of_lines(text: str) -> Contents:
    contents = Contents(shape="lines")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            whole = parse(line)
        except RecursionError:
            contents.breaches.append((number, "nested too deep for FHIR"))
        except json.JSONDecodeError as error:
            contents.breaches.append((number, f"no JSON: {error.msg}, column {error.colno}"))
        except ValueError as error:
            contents.breaches.append((number, f"no JSON: {error}"))
        else:
            for value, url in _flat(whole, contents):
                _take(value, url, number, contents)
    return contents


def _flat(whole: Any, contents: Contents) -> Iterator[tuple[Any, str]]:
    """Yield each resource with its fullUrl; lists and bundles, also within bundles, are taken apart."""
    ahead: list[tuple[Any, str]] = [(whole, "")]
    while ahead:
        value, url = ahead.pop()
        if isinstance(value, list):
            ahead += [(each, "") for each in reversed(value)]
        elif isinstance(value, dict) and value.get("resourceType") == "Bundle":
            if any(said(link, "relation") == "next" for link in objects(value.get("link"))):
                contents.pages.append(value)
            ahead += list(_entries(value, contents))[::-1]
        else:
            yield value, url


def _entries(bundle: Object, contents: Contents) -> Iterator[tuple[Any, str]]:
    entries = bundle.get("entry")
    if not isinstance(entries, list):
        if entries is not None:
            contents.breaches.append((0, "entry of the Bundle is no list"))
        return
    for entry in entries:
        if not isinstance(entry, dict):
            yield None, ""
        elif entry.get("resource") is not None:
            yield entry["resource"], said(entry, "fullUrl")
        elif said(request := obj(entry.get("request")), "method") == "DELETE":
            contents.deleted.add(said(request, "url").rsplit("/", 1)[-1])


def _take(value: Any, url: str, number: int, contents: Contents) -> None:
    kind = value.get("resourceType") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind:
        contents.resources.append(Resource(number=number, kind=kind, body=value, url=url))
    elif isinstance(value, dict):
        contents.breaches.append((number, "no resourceType"))
    else:
        contents.breaches.append((number, "no object"))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"'{twice[:40]}' is there twice in one object"
        raise ValueError(message)
    return found


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no number"
    raise ValueError(message)


def said(place: object, key: str) -> str:
    """Return the text under `key`; an empty one if there is none. Half a character is a question mark."""
    value = place.get(key) if isinstance(place, dict) else None
    return clean(value) if isinstance(value, str) else ""


def clean(text: str) -> str:
    """Return the text without blanks around it, and with nothing that cannot be written to a file."""
    text = str(text).strip()
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")


def objects(value: object) -> list[Object]:
    """Return the objects of a list; anything else is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def obj(value: object) -> Object:
    """Return the object, or an empty one."""
    return value if isinstance(value, dict) else {}


def extension(place: Object, *urls: str) -> list[str]:
    """Return what the extensions called `urls` say, as text."""
    if "extension" not in place:
        return []
    found = [each for each in objects(place["extension"]) if said(each, "url") in urls]
    keys = [(each, key) for each in found for key in each if key.startswith("value")]
    return [text for each, key in keys if (text := said(each, key))]


def number_of(text: str) -> Decimal | None:
    """Return the number a text is, or None; infinities are none."""
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def shown(text: str) -> str:
    """Return a number as a person would write it, unless that would be very long.

    >>> shown("3.0"), shown("4E0"), shown("0.50"), shown("1e999")
    ('3', '4', '0.5', '1e999')
    """
    number = number_of(text)
    if number is None or abs(number.adjusted()) > _MOST_DIGITS or len(text) > _MOST_DIGITS:
        return text
    written = f"{number:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written
