"""Parquet and Arrow files: typed columns as text."""

from __future__ import annotations

import io
from typing import Any

from alliance.errors import DataError
from alliance.readers.export import Export, Opened
from alliance.readers.opening import cell_text
from alliance.readers.sources import container
from alliance.readers.text import Records

_PARQUET = b"PAR1"


def _is_parquet(opened: Opened) -> bool:
    return opened.raw.startswith(_PARQUET)


@container("parquet", title="Parquet", claims=_is_parquet)
def read_parquet(opened: Opened) -> Export:
    """Return the columns of a Parquet file as text; the header counts as line 1."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(opened.raw))
    except pa.ArrowInvalid:
        message = "the file looks like Parquet, and cannot be opened as such"
        raise DataError(message, hint="write it again from its program") from None
    return Export(records=_records(table))


def _records(table: Any) -> Records:
    columns = [[cell_text(cell) for cell in column.to_pylist()] for column in table.columns]
    rows = [list(map(str, table.column_names)), *map(list, zip(*columns, strict=True))]
    return Records(rows=rows, lines=list(range(1, len(rows) + 1)))
