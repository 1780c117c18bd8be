"""A user's own licensed item texts: read from their file, printed beside the numbers, kept nowhere."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from alliance.errors import DataError, StoreError, Trouble

HINT = 'TOML (1 = "…"), CSV (item,text) or plain text, a line an item; an item is 1 or q1'
Entry = tuple[str, str, str]
"""Where an entry stands, the item it names, and its text."""


def read_texts(path: str | Path, n_items: int) -> dict[int, str]:
    """Return item number → text from the file `path`; items it leaves out are absent.

    Parameters
    ----------
    path : str or Path
        TOML (`1 = "…"`, also under `[items]`), CSV with the columns item and text, or plain text with one
        line for each item. Which one follows from the name of the file.
    n_items : int
        The number of items of the form.

    Raises
    ------
    DataError
        If an entry names no item, an item is named twice or has no text, or plain text has another number of
        lines than the form has items; all at once, and never with a text in the message.
    StoreError
        If the file cannot be read.
    """
    path = Path(path)
    raw = _read(path)
    reader = {".toml": _toml, ".csv": _csv}.get(path.suffix.lower(), _plain)
    return _numbered(list(reader(raw, path)), n_items, path)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"cannot read the item texts '{path}': {error.strerror}"
        raise StoreError(message, hint="give the path of a file") from None
    except UnicodeDecodeError:
        message = f"'{path.name}' is not UTF-8"
        raise DataError(message, hint="save it as UTF-8") from None


def _toml(raw: str, path: Path) -> Iterator[Entry]:
    try:
        table = tomllib.loads(raw)
    except tomllib.TOMLDecodeError as error:
        # The reason of the parser may quote the file: only the place is told.
        place = re.search(r"\(at .*\)", str(error))
        message = f"'{path.name}' is no TOML file {place[0] if place else ''}".rstrip()
        raise DataError(message, hint=HINT) from None
    items = table.get("items", table)
    for name, text in items.items() if isinstance(items, dict) else ():
        yield f"entry {name}", name, text if isinstance(text, str) else ""


def _csv(raw: str, path: Path) -> Iterator[Entry]:
    rows = list(csv.reader(raw.splitlines()))
    header = [cell.strip().casefold() for cell in rows[0]] if rows else []
    if not {"item", "text"} <= set(header):
        message = f"'{path.name}' has no columns item and text"
        raise DataError(message, hint=HINT)
    item, text = header.index("item"), header.index("text")
    for line, row in enumerate(rows[1:], start=2):
        cells = [*row, *[""] * (len(header) - len(row))]
        if any(cell.strip() for cell in cells):
            yield f"line {line}", cells[item].strip(), cells[text]


def _plain(raw: str, path: Path) -> Iterator[Entry]:
    lines = raw.rstrip("\n").split("\n") if raw.strip() else []
    for number, text in enumerate(lines, start=1):
        yield f"line {number}", str(number), text


def _numbered(entries: list[Entry], n_items: int, path: Path) -> dict[int, str]:
    """Return the texts by item, or every problem at once."""
    known = {name: number for number in range(1, n_items + 1) for name in (str(number), f"q{number}")}
    found: dict[int, str] = {}
    unknown, doubled, empty = [], [], []
    for place, name, text in entries:
        number = known.get(name.casefold())
        if number is None:
            unknown.append(f"{place}: '{name}'" if re.fullmatch(r"\w{1,8}", name) else place)
        elif number in found:
            doubled.append(f"{place}: item {number}")
        elif not text.strip():
            empty.append(f"{place}: item {number}")
        else:
            found[number] = " ".join(text.split())
    _refuse(
        (f"entries that name none of the {n_items} items", unknown),
        ("items named twice", doubled),
        ("items without a text", empty),
    )
    if not found:
        message = f"there is no item text in '{path.name}'"
        raise DataError(message, hint=HINT)
    return found


def _refuse(*problems: tuple[str, list[str]]) -> None:
    troubles = [Trouble(what=what, where=tuple(where), hint=HINT) for what, where in problems if where]
    if troubles:
        raise DataError.of(troubles)


def missing_items(texts: Iterable[int], n_items: int) -> list[int]:
    """Return the items without a text."""
    return sorted(set(range(1, n_items + 1)) - set(texts))
