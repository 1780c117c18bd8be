"""A user's own licensed item texts, from a file: read when asked for, quoted in no message."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alliance.errors import DataError, StoreError, toml_fault

HINT = 'TOML has lines such as q1 = "…", CSV the columns item and text, .txt a line for each item'


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One text with the place it stands at, and its item as it is written there."""

    where: str
    item: str
    text: object


def read_texts(path: Path, n_items: int) -> dict[int, str]:
    """Return the item texts in the file `path`, by item number; an item may be missing.

    Parameters
    ----------
    path : Path
        `.toml`: `1 = "…"` or `q1 = "…"`, at the top or in a table `[items]`. `.csv`: the columns `item` (1 or
        q1) and `text`. `.txt`: one line for each item.
    n_items : int
        The number of items of the form.

    Raises
    ------
    StoreError
        If the file cannot be read.
    DataError
        If it is of another kind, or a text has no item, comes twice or is empty, or a line is missing;
        all at once, with their places. No message holds a text.
    """
    kind = path.suffix.lower()
    if kind not in READERS:
        message = f"'{path.name}' is no file of item texts"
        raise DataError(message, hint=HINT)
    entries = READERS[kind](_read(path), path.name)
    wrong = _wrong(entries, n_items)
    if kind == ".txt" and len(entries) < n_items:
        wrong.append(f"{len(entries)} lines for {n_items} items")
    if wrong:
        message = f"the item texts in '{path.name}' cannot be used"
        raise DataError(message, where=wrong, hint=HINT)
    return {_number(entry.item): str(entry.text).strip() for entry in entries}


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"cannot read '{path}': {error.strerror}"
        raise StoreError(message, hint="check the name and the folder") from None
    except UnicodeDecodeError:
        message = f"'{path.name}' is no UTF-8 text"
        raise DataError(message, hint="save it with the encoding UTF-8") from None


def _of_toml(text: str, name: str) -> list[_Entry]:
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"'{name}' is no TOML file: {toml_fault(error)}"
        raise DataError(message, hint=HINT) from None
    inner = table.pop("items", {})
    if not isinstance(inner, dict):
        inner = {"items": inner}
    return [_Entry(where="", item=key, text=value) for part in (table, inner) for key, value in part.items()]


def _of_csv(text: str, name: str) -> list[_Entry]:
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines = []
    try:
        lines = [(reader.line_num, line) for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        message = f"'{name}' is no CSV file: line {reader.line_num}: {error}"
        raise DataError(message, hint=HINT) from None
    if not lines or [cell.strip().lower() for cell in lines[0][1]] != ["item", "text"]:
        message = f"the first line of '{name}' is not item,text"
        raise DataError(message, hint=HINT)
    return [_of_cells(f"line {line}", cells) for line, cells in lines[1:]]


def _of_cells(where: str, cells: Sequence[str]) -> _Entry:
    item, text, *more = [*cells, ""] if len(cells) == 1 else cells
    return _Entry(where=where, item=item.strip(), text=None if more else text)


def _of_lines(text: str, name: str) -> list[_Entry]:
    lines = text.rstrip().splitlines()
    return [_Entry(where=f"line {n}", item=str(n), text=line) for n, line in enumerate(lines, 1)]


READERS: dict[str, Callable[[str, str], list[_Entry]]] = {
    ".toml": _of_toml,
    ".csv": _of_csv,
    ".txt": _of_lines,
}
"""End of a file name → how its texts are read."""


def _wrong(entries: Sequence[_Entry], n_items: int) -> list[str]:
    """Return a sentence for every entry that is no text of an item."""
    seen: dict[int, str] = {}
    found = []
    for place, entry in enumerate(entries, 1):
        where = entry.where or f"entry {place}"
        number = _number(entry.item)
        if problem := _problem(entry, number, n_items):
            found.append(f"{where}: {problem}")
        elif number in seen:
            found.append(f"{where}: item {number} is there already, in {seen[number]}")
        seen.setdefault(number, where)
    return found


def _problem(entry: _Entry, number: int, n_items: int) -> str:
    if not number:
        return "no item number such as 1 or q1"
    if number > n_items:
        return f"item {number} is not one of the {n_items} items"
    if not isinstance(entry.text, str):
        return f"item {number} has no single text"
    return "" if entry.text.strip() else f"item {number} is empty"


def _number(item: str) -> int:
    """Return the number of an item written as 1 or q1; 0 if it is none."""
    found = re.fullmatch(r"q?([1-9][0-9]{0,5})", item, re.IGNORECASE)
    return int(found[1]) if found else 0
