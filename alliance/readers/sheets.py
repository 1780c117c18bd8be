"""Any file → Records: text, Excel or Parquet by its first bytes; what is not read is refused in words."""

from __future__ import annotations

import datetime
import io
import sys
from pathlib import Path
from typing import Any

from alliance.errors import DataError, StoreError
from alliance.readers.text import Records, read_text

_SPSS = (b"$FL2", b"$FL3")
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_PARQUET = b"PAR1"
_GZIP = b"\x1f\x8b"
_WHOLE_BELOW = 1e15


def read_records(path: str | Path, *, sheet: str = "", encoding: str | None = None) -> Records:
    """Return the cells of the file `path` (`-`: standard input) as text.

    Raises
    ------
    StoreError
        If the file cannot be opened.
    DataError
        If its format is not read, or it holds nothing.
    """
    raw = read_bytes(path)
    _refuse_foreign(raw, Path(path).suffix.casefold())
    if raw.startswith(_PARQUET):
        return read_parquet(raw)
    if raw.startswith(_EXCEL):
        return read_excel(raw, sheet=sheet)
    return read_text(raw, encoding=encoding)


def read_bytes(path: str | Path) -> bytes:
    """Return the bytes of the file, or of standard input for `-`."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"cannot read '{path}': {error.strerror}"
        raise StoreError(message, hint="check the name and the folder") from None


def read_excel(raw: bytes, *, sheet: str = "") -> Records:
    """Return the cells of one sheet, the named or the first visible one; dates in the form 2026-01-31."""
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw))
        visible = [
            entry.name
            for entry in book.sheets_metadata
            if entry.visible == python_calamine.SheetVisibleEnum.Visible
        ]
        chosen = _choose_sheet(sheet, book.sheet_names, visible)
        rows = book.get_sheet_by_name(chosen).to_python(skip_empty_area=False)
    except python_calamine.CalamineError:
        message = "the file looks like a workbook, and cannot be opened as one"
        raise DataError(message, hint="take off its password, or save it as .xlsx or .csv") from None
    others = [f"'{name}'" for name in visible if name != chosen]
    notes = (f"sheet '{chosen}' was read, not {', '.join(others)}",) if others and not sheet else ()
    texts = [[cell_text(cell) for cell in row] for row in rows]
    return Records(rows=texts, lines=list(range(1, len(rows) + 1)), sheet=chosen, padded=True, notes=notes)


def read_parquet(raw: bytes) -> Records:
    """Return the columns of a Parquet file as text; the header counts as line 1."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(raw))
    except pa.ArrowInvalid:
        message = "the file looks like Parquet, and cannot be opened as such"
        raise DataError(message, hint="write it again from its program") from None
    columns = [[cell_text(cell) for cell in column.to_pylist()] for column in table.columns]
    rows = [list(map(str, table.column_names)), *map(list, zip(*columns, strict=True))]
    return Records(rows=rows, lines=list(range(1, len(rows) + 1)))


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


def _choose_sheet(sheet: str, names: list[str], visible: list[str]) -> str:
    if sheet and sheet not in names:
        message = f"the workbook has no sheet '{sheet}'"
        raise DataError(message, hint=f"its sheets are {', '.join(names)}")
    return sheet or (visible or names)[0]


def _refuse_foreign(raw: bytes, suffix: str) -> None:
    if not raw.strip():
        message = "the file is empty"
        raise DataError(message, hint="export it again, with a header and one row for each form")
    start = raw[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if raw.startswith(_GZIP):
        message = "the file is compressed"
        raise DataError(message, hint="unpack it first")
    if raw.startswith(_SPSS) or suffix in {".sav", ".zsav", ".por"}:
        message = "SPSS files are not read yet"
        raise DataError(message, hint="save it as CSV from SPSS, PSPP or R")
    if start.startswith(b"{") and (b'"resourceType"' in start):
        message = "FHIR is not read yet"
        raise DataError(message, hint="export the answers as CSV, one row for each form")
    if start.startswith((b"{", b"[{")) or suffix in {".json", ".ndjson"}:
        message = "JSON is not read"
        raise DataError(message, hint="export the answers as CSV, one row for each form")
