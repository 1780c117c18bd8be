"""The mapping file: which column means what, which word which number. TOML, strict, kept beside the study."""

from __future__ import annotations

import re
import reprlib
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alliance.errors import DataError, StoreError, toml_fault, unknown_name

ROLES = (
    "case", "episode", "session", "date", "therapist", "rater", "scale", "attendance", "attended", "item",
    "value", "external_not_on_track", "language",
)  # fmt: skip
DATE_FORMATS = ("ymd", "dmy", "mdy")
Check = Callable[[Any], Iterator[str]]
KEEPS = ("first", "last")
UNFINISHED = ("use", "drop")


@dataclass(frozen=True, kw_only=True)
class FormMap:
    """One of several forms that stand side by side in a file.

    `items` is how its columns are called, with {item} for the number, such as `wai_{item}`; `columns` is q1
    to qk → column name instead. `rater` filled it in. The rest is as in Mapping, for this form only.
    """

    scale: str
    items: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    rater: str = ""
    missing: tuple[str, ...] = ()
    shift: float | None = None
    turned: tuple[str, ...] | None = None
    pattern: str = ""


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """What a person says about a foreign file.

    `columns` is role → column name (roles, and q1 to qk for the items); `answers` is word → number with the
    words in the form of `plain`, and form → language → word → number in `worded`; `shift` is added to every
    number in an answer cell. `cases` and `sessions` say what a cell of those columns stands for. `turned` are
    items whose cells were turned round before (None: nobody said). `forms` are several forms side by side,
    `source` is the system the file is from.
    """

    columns: dict[str, str] = field(default_factory=dict)
    answers: dict[str, float] = field(default_factory=dict)
    worded: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    turned: tuple[str, ...] | None = None
    forms: tuple[FormMap, ...] = ()
    keep: Literal["first", "last"] | None = None
    unfinished: Literal["use", "drop"] | None = None
    language: str = ""
    source: str = ""
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
    except (ValueError, RecursionError) as error:
        message = f"'{path.name}' is no TOML file: {toml_fault(error)}"
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
    return Mapping(**_fields(table))


def _fields(table: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a Mapping that a checked table describes."""
    fields = {NAMES.get(name, name): _frozen(value) for name, value in table.items()}
    words = table.get("answers", {})
    if words:
        fields["answers"] = _numbers_of(words)
        own = {plain(form): each for form, each in words.items() if isinstance(each, dict)}
        fields["worded"] = {form: _by_language(each) for form, each in own.items()}
    if "missing" in table:
        fields["missing"] = tuple(str(code) for code in table["missing"])
    if "sessions" in table:
        fields["sessions"] = {plain(word): number for word, number in table["sessions"].items()}
    fields["forms"] = tuple(FormMap(**_fields(entry)) for entry in table.get("forms", ()))
    return fields if fields["forms"] else {name: each for name, each in fields.items() if name != "forms"}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _numbers_of(words: dict[str, Any]) -> dict[str, float]:
    return {plain(word): float(number) for word, number in words.items() if not isinstance(number, dict)}


def _by_language(words: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return language → word → number; words of no one language stand under an empty text."""
    found = {plain(name): _numbers_of(own) for name, own in words.items() if isinstance(own, dict)}
    return {"": _numbers_of(words), **found}


def _breaches(table: dict[str, Any]) -> Iterator[str]:
    yield from _breaches_of(table, CHECKS)
    if table.get("forms"):
        columns = table.get("columns", {})
        roles = (
            [role for role in columns if re.fullmatch(f"scale|{ITEM}", role)]
            if isinstance(columns, dict)
            else []
        )
        named = [name for name in OF_ONE_FORM if name in table] + [f"columns.{role}" for role in roles[:1]]
        yield from (f"{name}: belongs under [[forms]], where there are several forms" for name in named)


def _breaches_of(table: dict[str, Any], checks: dict[str, Check]) -> Iterator[str]:
    for name, value in table.items():
        check = checks.get(name)
        if check is None:
            what, hint = unknown_name("field", name, checks)
            yield f"{what}: {hint}"
        else:
            yield from (f"{name}{problem}" for problem in check(value))


def _text(value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not value.strip():
        yield ": must be a text that is not empty"


def _number(value: Any) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST:
        yield f": must be a number, got {_shown(value)}"


def _shown(value: Any) -> str:
    """Return a value as an error quotes it, cut short where it is long."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) >= MOST:
        return "a number far too large"
    return reprlib.repr(value)


def _line(value: Any) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < MOST:
        yield f": must be a line of the file, 1 or more, got {_shown(value)}"


def _texts(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry.strip() for entry in value):
        yield ": must be a list of texts"


def _codes(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(map(_is_code, value)):
        yield ": must be a list of texts or numbers"


def _is_code(value: Any) -> bool:
    return isinstance(value, str | float) or (isinstance(value, int) and abs(value) < MOST)


def _pattern(value: Any) -> Iterator[str]:
    if not isinstance(value, str) or any(value.count(slot) != 1 for slot in ("{item}", "{session}")):
        yield ': must hold {item} and {session} once each, such as "wa{item}_s{session}"'


def _one_of(known: tuple[str, ...]) -> Check:
    def check(value: Any) -> Iterator[str]:
        if value not in known:
            yield f": must be one of {', '.join(known)}, got {_shown(value)}"

    return check


def _texts_by_text(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield ": must be a table of text = text"
        return
    yield from (f'."{name}"{problem}' for name, text in value.items() for problem in _text(text))


def _sessions(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield ": must be a table of word = session number"
        return
    for word, number in value.items():
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < MOST:
            yield f'."{word}": must be a session number, got {_shown(number)}'
    yield from _twice(value)


def _items(value: Any) -> Iterator[str]:
    if not isinstance(value, str) or value.count("{item}") != 1:
        yield ': must hold {item} once, such as "wai_{item}"'


def _forms(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        yield ": must be a list of tables, [[forms]]"
        return
    for number, entry in enumerate(value, 1):
        if "scale" not in entry:
            yield f" {number}: must say its scale"
        if sum(name in entry for name in ("items", "columns", "pattern")) != 1:
            yield f" {number}: must say which columns are its items: items, columns or pattern"
        yield from (f" {number}: {problem}" for problem in _breaches_of(entry, FORM_CHECKS))
    sides = [(entry.get("scale"), entry.get("rater", "")) for entry in value]
    for number, side in enumerate(sides, 1):
        if side in sides[: number - 1]:
            yield f" {number}: the same scale and rater as in an entry before; each needs its own rater"


def _item_columns(value: Any) -> Iterator[str]:
    yield from _columns(value)
    if isinstance(value, dict):
        others = [role for role in value if role in ROLES]
        yield from (f".{role}: belongs under [columns]; here are q1 and so on only" for role in others)


def _columns(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield ": must be a table of role = column"
        return
    for role, column in value.items():
        if role not in ROLES and not re.fullmatch(ITEM, role):
            yield f".{role}: unknown role; known: {', '.join(ROLES)}, q1 and so on"
        yield from (f".{role}{problem}" for problem in _text(column))
    counts = Counter(column for column in value.values() if isinstance(column, str))
    for column in sorted(name for name, n in counts.items() if n > 1):
        yield f": '{column}' is given two roles"


def _answers(value: Any, depth: int = 0) -> Iterator[str]:
    if not isinstance(value, dict):
        yield ": must be a table of word = number"
        return
    for word, number in value.items():
        inner = isinstance(number, dict) and depth < FORM_AND_LANGUAGE
        yield from (
            f'."{word}"{each}' for each in (_answers(number, depth + 1) if inner else _number(number))
        )
    yield from _twice(value)


def _twice(names: Iterable[str]) -> Iterator[str]:
    counts = Counter(plain(word) for word in names)
    for word in sorted(word for word, n in counts.items() if n > 1):
        yield f": '{word}' is there twice"


ITEM = r"q[1-9][0-9]{0,3}"
MOST = 10**15
"""No number of a mapping is as large: no line, session, answer or code."""
OF_ONE_FORM = ("scale", "pattern", "turned")
FORM_AND_LANGUAGE = 2
NAMES = {"from": "source"}
"""Fields that are called otherwise in Python."""
CHECKS: dict[str, Check] = {
    "columns": _columns,
    "answers": _answers,
    "missing": _codes,
    "shift": _number,
    "pattern": _pattern,
    "header_row": _line,
    "sheet": _text,
    "fill_down": _texts,
    "skip_cases": _texts,
    "date_format": _one_of(DATE_FORMATS),
    "scale": _text,
    "rater": _text,
    "total": _text,
    "cases": _texts_by_text,
    "sessions": _sessions,
    "turned": _texts,
    "forms": _forms,
    "keep": _one_of(KEEPS),
    "unfinished": _one_of(UNFINISHED),
    "language": _text,
    "from": _text,
}
FORM_CHECKS: dict[str, Check] = {
    "items": _items,
    "columns": _item_columns,
    **{name: CHECKS[name] for name in ("scale", "rater", "missing", "shift", "turned", "pattern")},
}
