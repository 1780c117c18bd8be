"""Workbooks: .xlsx, .xlsm, .xlsb, .xls and .ods, one sheet as it is seen."""

from __future__ import annotations

from alliance.readers.apart import read_apart
from alliance.readers.columns import SYNONYMS, key_of
from alliance.readers.export import Export, Opened
from alliance.readers.sources import container
from alliance.readers.sources.excel_parts import broken_workbook
from alliance.readers.text import Records

_MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_TASK = "alliance.readers.sources.excel_cells:read_sheet"


def _claims(opened: Opened) -> bool:
    return opened.raw.startswith(_MAGIC)


@container("excel", title="a workbook", claims=_claims)
def read_excel(opened: Opened) -> Export:
    """Return the cells of one sheet, the named or the first visible one; dates in the form 2026-01-31."""
    mapping = opened.mapping
    mapped = [key_of(name) for role, name in mapping.columns.items() if role == "date"]
    asked = {
        "sheet": opened.options.sheet or mapping.sheet,
        "dates": ["date", *SYNONYMS["date"], *mapped],
    }
    found = read_apart(_TASK, opened.raw, asked, broken=broken_workbook())
    rows = found["rows"]
    lines = list(range(1, len(rows) + 1))
    records = Records(rows=rows, lines=lines, sheet=found["sheet"], padded=True, notes=tuple(found["notes"]))
    return Export(records=records)
