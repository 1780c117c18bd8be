"""One way to print rows: as a plain table, CSV, JSON or Markdown, to stdout."""

from __future__ import annotations

import json
import math
import re
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from itertools import zip_longest
from typing import Annotated, Any

import typer

from alliance.cells import neutral, quoted, visible
from alliance.errors import UsageError, unknown_name

GAP = 2
NARROWEST = 6
Row = Mapping[str, object]
_BLANK = '""'
"""A line of one cell with nothing in it; without the marks it would be no line."""


class Format(StrEnum):
    """The ways in which rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MD = "md"


FormatOption = Annotated[Format, typer.Option("--format", help="How to print it.", show_default=True)]


def emit(rows: Sequence[Row], *, columns: Sequence[str], format: str, title: str = "") -> None:
    """Print `rows` to stdout.

    Parameters
    ----------
    rows : sequence of mappings
        One row each; a column that is absent from a row is a missing value.
    columns : names, in the order printed
    format : table, csv, json or md
        A table is aligned and wrapped to the width of the terminal, 80 if that is unknown, and rounds numbers
        to three decimals; the others round nothing. A missing value is - in a table, empty in CSV and
        Markdown, null in JSON.
    title : a line above a table or a Markdown table; CSV and JSON have none

    Raises
    ------
    UsageError
        If the format is unknown.
    """
    if format not in RENDERERS:
        what, hint = unknown_name("format", format, RENDERERS)
        raise UsageError(what, hint=hint)
    typer.echo(RENDERERS[format](rows, columns, title), nl=False)


def table_text(rows: Sequence[Row], columns: Sequence[str], title: str = "", *, width: int = 0) -> str:
    """Return `rows` as aligned plain text of at most `width` characters a line; long cells wrap."""
    width = width or shutil.get_terminal_size((80, 24)).columns
    body = ([visible(_cell(row.get(name), blank="-")) for name in columns] for row in rows)
    cells = [list(map(visible, columns)), *body]
    widths = _fit([_widest(column) for column in zip(*cells, strict=True)], width)
    right = [all(_is_number(row.get(name)) for row in rows) and bool(rows) for name in columns]
    lines = [line for row in cells for line in _wrapped(row, widths, right)]
    return "\n".join([title, "", *lines] if title else lines) + "\n"


def csv_text(rows: Sequence[Row], columns: Sequence[str], title: str = "") -> str:
    """Return `rows` as CSV with a header, no text of which a spreadsheet runs; `title` is not printed."""
    lines = [
        map(neutral, columns),
        *([neutral(_cell(row.get(name), exact=True)) for name in columns] for row in rows),
    ]
    return "".join(f"{','.join(map(quoted, line)) or _BLANK}\n" for line in lines)


def json_text(rows: Sequence[Row], columns: Sequence[str], title: str = "") -> str:
    """Return `rows` as a JSON list of objects; `title` is not printed."""
    objects = [{name: _plain(row.get(name)) for name in columns} for row in rows]
    return json.dumps(objects, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def markdown_text(rows: Sequence[Row], columns: Sequence[str], title: str = "") -> str:
    """Return `rows` as a Markdown table."""
    body = [[_cell(row.get(name), exact=True) for name in columns] for row in rows]
    lines = [f"| {' | '.join(map(_md_cell, line))} |" for line in [list(columns), *body]]
    lines.insert(1, f"|{'---|' * len(columns)}")
    return "\n".join([f"## {title}", "", *lines] if title else lines) + "\n"


RENDERERS: dict[str, Callable[[Sequence[Row], Sequence[str], str], str]] = {
    Format.TABLE: table_text,
    Format.CSV: csv_text,
    Format.JSON: json_text,
    Format.MD: markdown_text,
}


def _plain(value: Any) -> Any:
    """Return `value` as JSON knows it: NumPy and pandas scalars unpacked, every missing value None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, str | int | bool) else str(value)


def _cell(value: object, *, blank: str = "", exact: bool = False) -> str:
    plain = _plain(value)
    if plain is None or plain == "":
        return blank
    if isinstance(plain, list):
        return ", ".join(_cell(entry, exact=exact) for entry in plain)
    if isinstance(plain, float) and not exact:
        return _rounded(plain)
    return {True: "yes", False: "no"}[plain] if isinstance(plain, bool) else str(plain)


def _rounded(value: float) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{value:.1e}" if value and not text.strip("-0") else text


def _is_number(value: object) -> bool:
    plain = _plain(value)
    return plain is None or (isinstance(plain, int | float) and not isinstance(plain, bool))


def _md_cell(text: str) -> str:
    """Return a cell that is read as it stands: neither markup nor the end of the cell."""
    escaped = re.sub(r"[\\|`\[\]]", r"\\\g<0>", text)
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r\n", "<br>"), ("\n", "<br>")):
        escaped = escaped.replace(sign, name)
    return visible(escaped)


def _widest(texts: Sequence[str]) -> int:
    return max((len(line) for text in texts for line in text.split("\n")), default=0)


def _fit(widths: list[int], room: int) -> list[int]:
    """Return the column widths, the widest ones narrowed until they share the room."""
    room -= GAP * (len(widths) - 1)
    fitted = list(widths)
    while sum(fitted) > room and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _wrapped(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    columns = [_lines(text, width) for text, width in zip(row, widths, strict=True)]
    lines = []
    for parts in zip_longest(*columns, fillvalue=""):
        padded = [
            part.rjust(width) if to_right else part.ljust(width)
            for part, width, to_right in zip(parts, widths, right, strict=True)
        ]
        lines.append((" " * GAP).join(padded).rstrip())
    return lines


def _lines(text: str, width: int) -> list[str]:
    wrapped = [
        textwrap.wrap(line, max(width, 1), break_on_hyphens=False) or [""] for line in text.split("\n")
    ]
    return [line for lines in wrapped for line in lines]
