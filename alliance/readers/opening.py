"""Path → bytes → Export or Records: what is no table we read is refused in words."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

from alliance.errors import DataError, StoreError
from alliance.readers.export import Export, Opened
from alliance.readers.options import ReadOptions
from alliance.readers.text import Records

_GZIP = b"\x1f\x8b"
_WHOLE_BELOW = 1e15


def read_export(path: str | Path, options: ReadOptions | None = None) -> Export:
    """Return the table in the file `path` (`-`: standard input), as its source system means it.

    Raises
    ------
    StoreError
        If the file cannot be opened.
    DataError
        If its format is not read, or it holds nothing.
    """
    from alliance.readers.sources import open_export

    return open_export(_opened(path, options or ReadOptions()))


def read_records(path: str | Path, *, sheet: str = "", encoding: str | None = None) -> Records:
    """Return the cells of a file as they stand, whatever system it is from; raises as `read_export` does."""
    from alliance.readers.sources import open_container

    options = ReadOptions(sheet=sheet or None, encoding=encoding)
    return open_container(_opened(path, options)).records


def read_bytes(path: str | Path) -> bytes:
    """Return the bytes of the file, or of standard input for `-`."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"cannot read '{path}': {error.strerror}"
        raise StoreError(message, hint="check the name and the folder") from None


def cell_text(cell: Any) -> str:
    """Return a typed cell as a person would have typed it.

    >>> cell_text(4.0), cell_text(8.25), cell_text(None), cell_text(datetime.date(2026, 1, 31))
    ('4', '8.25', '', '2026-01-31')
    """
    if cell is None or cell != cell:  # noqa: PLR0124 -- only a NaN differs from itself
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _WHOLE_BELOW:
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, bytes):
        return cell.decode("utf-8", errors="replace")
    return str(cell)


def _opened(path: str | Path, options: ReadOptions) -> Opened:
    raw = read_bytes(path)
    _refuse_foreign(raw)
    return Opened(raw=raw, path=Path(path), options=options)


def _refuse_foreign(raw: bytes) -> None:
    if not raw.strip():
        message = "the file is empty"
        raise DataError(message, hint="export it again, with a header and one row for each form")
    if raw.startswith(_GZIP):
        message = "the file is compressed"
        raise DataError(message, hint="unpack it first")
