"""numpy arrays and texts → Arrow arrays, straight from their memory.

pyarrow's own conversions look for pandas first, and its import costs more than writing a study.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def column(values: Array, missing: Array | None = None) -> Any:
    """Return numbers or days as an Arrow array; NaN, NaT and what is `missing` are null.

    >>> column(np.array([1.5, np.nan])).null_count
    1
    """
    import pyarrow as pa

    unknown = np.zeros(len(values), dtype=bool) if missing is None else missing
    kind: Any
    if values.dtype.kind == "M":
        unknown = unknown | np.isnat(values)
        values, kind = values.astype("datetime64[D]").astype(np.int64).astype(np.int32), pa.date32()
    elif values.dtype.kind == "f":
        unknown = unknown | np.isnan(values)
        values, kind = values.astype(np.float64, copy=False), pa.float64()
    else:
        values, kind = values.astype(np.int64, copy=False), pa.int64()
    valid = pa.py_buffer(np.packbits(~unknown, bitorder="little")) if unknown.any() else None
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))])


def texts(values: Sequence[str] | Array) -> Any:
    """Return texts as an Arrow array.

    >>> texts(["a", "ü", ""]).to_pylist()
    ['a', 'ü', '']
    """
    import pyarrow as pa

    joined = "".join(values)
    lengths = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
    if not joined.isascii():
        lengths = np.fromiter(map(len, map(str.encode, values)), dtype=np.int64, count=len(values))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(joined.encode()))


def one(text: str) -> Any:
    """Return one text as an Arrow scalar."""
    return texts([text])[0]


def numbers(array: Any) -> Array:
    """Return the values of an Arrow array of whole or real numbers; what is null holds anything.

    >>> numbers(column(np.array([3, 4])))
    array([3, 4])
    """
    kind = np.dtype(str(array.type).replace("double", "float64"))
    return np.frombuffer(array.buffers()[1], dtype=kind)[array.offset : array.offset + len(array)]


def nulls(array: Any) -> Array:
    """Return where an Arrow array is null, bool.

    >>> nulls(column(np.array([1.5, np.nan])))
    array([False,  True])
    """
    bits = array.buffers()[0]
    if bits is None or not array.null_count:
        return np.zeros(len(array), dtype=bool)
    valid = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")
    missing: Array = valid[array.offset : array.offset + len(array)] == 0
    return missing
