"""The mapping file: which column means what, which word which number. TOML, strict, kept beside the study."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alliance.errors import DataError, StoreError, unknown_name

ROLES = (
    "case", "episode", "session", "date", "therapist", "rater", "scale", "attendance", "attended", "item",
    "value", "external_not_on_track",
)  # fmt: skip
DATE_FORMATS = ("ymd", "dmy", "mdy")


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """What a person says about a foreign file.

    `columns` is role → column name (roles, and q1 to qk for the items); `answers` is word → number with the
    words in the form of `plain`; `shift` is added to every number in an answer cell.
    """

    columns: dict[str, str] = field(default_factory=dict)
    answers: dict[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    shift: float = 0.0
    pattern: str = ""
    header_row: int | None = None
    sheet: str = ""
    fill_down: tuple[str, ...] = ()
    skip_cases: tuple[str, ...] = ()
    date_format: str = ""
    scale: str = ""
    rater: str = ""
    total: str = ""


def plain(text: str) -> str:
    """Return `text` without case and with single blanks, the form in which words are compared.

    >>> plain("  Very  OFTEN ")
    'very often'
    """
    return " ".join(text.split()).casefold()


def read_mapping(path: str | Path) -> Mapping:
    """Return the mapping in the TOML file `path`.

    Raises
    ------
    StoreError
        If the file cannot be opened.
    DataError
        If it is no TOML, or breaks the schema; every breach is listed.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        message = f"cannot read the mapping '{path}': {error.strerror}"
        raise StoreError(message, hint="`alliance check FILE --write-map` drafts one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"'{path.name}' is no TOML file: {error}"
        raise DataError(
            message, hint="`alliance check FILE --write-map` drafts a mapping to start from"
        ) from None
    return parse_mapping(table, origin=path.name)


def parse_mapping(table: dict[str, Any], *, origin: str) -> Mapping:
    """Return the mapping that `table`, a parsed TOML file, describes; raise DataError with every breach."""
    found = list(_breaches(table))
    if found:
        message = f"'{origin}' is no valid mapping"
        hint = "`alliance check FILE --write-map` drafts a mapping to start from"
        raise DataError(message, where=found, hint=hint, shown=len(found))
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    if "answers" in fields:
        fields["answers"] = {plain(word): float(number) for word, number in table["answers"].items()}
    if "missing" in fields:
        fields["missing"] = tuple(str(code) for code in table["missing"])
    return Mapping(**fields)


def _breaches(table: dict[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        check = CHECKS.get(name)
        if check is None:
            what, hint = unknown_name("field", name, CHECKS)
            yield f"{what}: {hint}"
        else:
            yield from (f"{name}{problem}" for problem in check(value))


def _text(value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not value.strip():
        yield ": must be a text that is not empty"


def _number(value: Any) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield f": must be a number, got {value!r}"


def _line(value: Any) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        yield f": must be a line of the file, 1 or more, got {value!r}"


def _texts(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry.strip() for entry in value):
        yield ": must be a list of texts"


def _codes(value: Any) -> Iterator[str]:
    allowed = str | int | float
    if not isinstance(value, list) or not all(isinstance(entry, allowed) for entry in value):
        yield ": must be a list of texts or numbers"


def _pattern(value: Any) -> Iterator[str]:
    if not isinstance(value, str) or any(value.count(slot) != 1 for slot in ("{item}", "{session}")):
        yield ': must hold {item} and {session} once each, such as "wa{item}_s{session}"'


def _date_format(value: Any) -> Iterator[str]:
    if value not in DATE_FORMATS:
        yield f": must be one of {', '.join(DATE_FORMATS)}, got {value!r}"


def _columns(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield ": must be a table of role = column"
        return
    for role, column in value.items():
        if role not in ROLES and not re.fullmatch(r"q[1-9]\d*", role):
            yield f".{role}: unknown role; known: {', '.join(ROLES)}, q1 and so on"
        yield from (f".{role}{problem}" for problem in _text(column))
    named = [column for column in value.values() if isinstance(column, str)]
    for column in sorted({name for name in named if named.count(name) > 1}):
        yield f": '{column}' is given two roles"


def _answers(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield ": must be a table of word = number"
        return
    yield from (f'."{word}"{problem}' for word, number in value.items() for problem in _number(number))
    words = [plain(word) for word in value]
    for word in sorted({word for word in words if words.count(word) > 1}):
        yield f": '{word}' is there twice"


CHECKS: dict[str, Callable[[Any], Iterator[str]]] = {
    "columns": _columns,
    "answers": _answers,
    "missing": _codes,
    "shift": _number,
    "pattern": _pattern,
    "header_row": _line,
    "sheet": _text,
    "fill_down": _texts,
    "skip_cases": _texts,
    "date_format": _date_format,
    "scale": _text,
    "rater": _text,
    "total": _text,
}
