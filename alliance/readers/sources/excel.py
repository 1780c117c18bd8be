"""Workbooks: .xlsx, .xls and .ods, one sheet as it is seen."""

from __future__ import annotations

import io

from alliance.errors import DataError
from alliance.readers.export import Export, Opened
from alliance.readers.opening import cell_text
from alliance.readers.sources import container
from alliance.readers.text import Records

_MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def _claims(opened: Opened) -> bool:
    return opened.raw.startswith(_MAGIC)


@container("excel", title="a workbook", claims=_claims)
def read_excel(opened: Opened) -> Export:
    """Return the cells of one sheet, the named or the first visible one; dates in the form 2026-01-31."""
    import python_calamine

    sheet = opened.options.sheet or opened.mapping.sheet
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(opened.raw))
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
    lines = list(range(1, len(rows) + 1))
    return Export(records=Records(rows=texts, lines=lines, sheet=chosen, padded=True, notes=notes))


def _choose_sheet(sheet: str, names: list[str], visible: list[str]) -> str:
    if sheet and sheet not in names:
        message = f"the workbook has no sheet '{sheet}'"
        raise DataError(message, hint=f"its sheets are {', '.join(names)}")
    return sheet or (visible or names)[0]
