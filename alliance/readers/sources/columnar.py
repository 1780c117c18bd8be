"""Parquet, Arrow and Feather files: typed columns as text, each different value put into words once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from alliance.cells import LONGEST
from alliance.errors import DataError
from alliance.readers.export import Export, Opened
from alliance.readers.opening import cell_text
from alliance.readers.problems import counted
from alliance.readers.sources import container
from alliance.readers.text import Records, uncollected

Array = np.ndarray[Any, Any]

MOST_CELLS = 200_000_000
_PARQUET = (b"PAR1", b"PARE")
_ARROW = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_OLD_FEATHER = b"FEA1"


def _is_parquet(opened: Opened) -> bool:
    return opened.raw.startswith(_PARQUET)


def _is_arrow(opened: Opened) -> bool:
    return opened.raw.startswith((_ARROW, _STREAM, _OLD_FEATHER))


@container("parquet", title="Parquet", claims=_is_parquet)
def read_parquet(opened: Opened) -> Export:
    """Return the columns of a Parquet file as text; the header counts as line 1."""
    return _export(opened.raw, parquet_table, called="Parquet")


@container("arrow", title="an Arrow file", claims=_is_arrow)
def read_arrow(opened: Opened) -> Export:
    """Return the columns of an Arrow or Feather file, or of an Arrow stream; the header counts as line 1."""
    return _export(opened.raw, arrow_table, called="Arrow")


def _export(raw: bytes, table_of: Callable[[bytes], Any], *, called: str) -> Export:
    try:
        table = table_of(raw)
        _refuse_nested(table)
        columns = [_texts(column) for column in table.columns]
    except unreadable():
        message = f"the file looks like {called}, and cannot be opened as such"
        raise DataError(message, hint="write it again from its program") from None
    return Export(records=_records(list(map(str, table.column_names)), columns))


def unreadable() -> tuple[type[Exception], ...]:
    """Return what is raised where bytes are no such table."""
    import pyarrow as pa

    return pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError


def parquet_table(raw: bytes) -> Any:
    """Return the table in the bytes of a Parquet file; raises what pyarrow does."""
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(raw))
    _refuse_large(file.metadata.num_rows, file.metadata.num_columns)
    return file.read()


def arrow_table(raw: bytes) -> Any:
    """Return the table in the bytes of an Arrow file or stream; raises what pyarrow does."""
    from pyarrow import ipc

    if raw.startswith(_OLD_FEATHER):
        message = "the file is Feather of version 1, which is read no longer"
        raise DataError(message, hint="write it again as version 2, or as Parquet")
    table = (ipc.open_file(raw) if raw.startswith(_ARROW) else ipc.open_stream(raw)).read_all()
    _refuse_large(table.num_rows, table.num_columns)
    table.validate(full=True)
    return table


def _refuse_large(n_rows: int, n_columns: int) -> None:
    if n_rows * n_columns > MOST_CELLS:
        what = f"the file has {n_rows} rows and {n_columns} columns, more than {MOST_CELLS} cells"
        raise DataError(what, hint="leave out columns that are not needed, or read it in parts")


def _refuse_nested(table: Any) -> None:
    import pyarrow as pa

    nested = [
        f"column '{each.name}': {'lists' if 'list' in str(each.type).partition('<')[0] else 'records'}"
        for each in table.schema
        if pa.types.is_nested(each.type) and not pa.types.is_run_end_encoded(each.type)
    ]
    if nested:
        what = f"{counted(len(nested), 'column')} with lists or records in a cell"
        raise DataError(what, where=nested, hint="leave them out, or give each of their values a column")


def _texts(column: Any) -> Array:
    codes, words = coded_texts(column)
    found: Array = np.array(words, dtype=object)[codes]
    return found


def coded_texts(column: Any) -> tuple[Array, list[str]]:
    """Return a column as codes and texts, as a person would have typed them; null and NaN are empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = _plain(column)
    if pa.types.is_null(values.type):
        return np.zeros(len(values), dtype=np.int32), [""]
    encoded = pc.dictionary_encode(values, null_encoding="encode").combine_chunks()
    words = [cell_text(value) for value in encoded.dictionary.to_pylist()]
    longest = max(map(len, words), default=0)
    if longest > LONGEST:
        raise DataError(f"a cell holds more than {LONGEST} characters", hint="shorten the cell")
    return encoded.indices.to_numpy(), words


def _plain(column: Any) -> Any:
    """Return a column without what only says how it is kept, in a type that Python can hold."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = column.cast(kind.storage_type)
    elif pa.types.is_run_end_encoded(kind):
        column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type)
    elif pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    elif pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return column.cast(pa.string()).cast(pa.float64())
    elif pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    elif pa.types.is_time64(kind) and kind.unit == "ns":
        return column.cast(pa.time64("us"), safe=False)
    else:
        return column
    return _plain(column)


def _records(names: list[str], columns: list[Array]) -> Records:
    with uncollected():
        rows = [names, *map(list, zip(*columns, strict=True))]
    return Records(rows=rows, lines=list(range(1, len(rows) + 1)), headed=True, literal=True)
