"""Result tables as they grow: rows appended as columns, to CSV or Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import IO, Any, Self

import numpy as np

from alliance import arrow
from alliance.errors import UsageError, unknown_name
from alliance.frames import Coded
from alliance.report.files import OutputFolder, chunks, csv_header, csv_rows

ROWS_AT_ONCE = 1 << 16
TEXTS = frozenset(
    {
        *("scale", "case", "therapist", "rater", "note", "subscale", "method", "finding", "severity"),
        *("reason", "outcome", "level", "reasons", "not_evaluable", "basis", "prompts", "seen"),
        *("item", "value", "problem", "key"),
    }
)
WHOLE = frozenset(
    {
        *("session", "n_missing", "onset", "end", "lag", "nadir_session"),
        *("points", "n_ratings", "rating_age", "line"),
    }
)
NO_NUMBER = -1
"""Stands for "there is none" in whole-number columns that count from 0 or 1."""


class TableFile:
    """One result table of a run; columns that a write leaves out are empty."""

    def __init__(self, out: OutputFolder, name: str, columns: Sequence[str], *, to: str = "csv") -> None:
        if to not in WRITERS:
            what, hint = unknown_name("output format", to, WRITERS)
            raise UsageError(what, hint=hint)
        self.columns = tuple(columns)
        self._writer = WRITERS[to](out.open(f"{name}.{to}"), self.columns)
        self._pool = out.pool
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        """Return the table itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the last rows, and write what a format needs at its end."""
        self._wait()
        self._writer.close()

    def write(self, columns: Mapping[str, Any]) -> None:
        """Append rows given as columns, arrays or one text for all rows.

        They are written in the background while the next ones are made; the arrays must not change after.
        """
        self._wait()
        self._pending = self._pool.submit(self._append, columns)

    def _append(self, columns: Mapping[str, Any]) -> None:
        arrays = [len(values) for values in columns.values() if not isinstance(values, str)]
        for rows in chunks(arrays[0] if arrays else 0, ROWS_AT_ONCE):
            self._writer.write({name: _part(columns.get(name, ""), rows) for name in self.columns})

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()


class _Csv:
    def __init__(self, file: IO[bytes], columns: tuple[str, ...]) -> None:
        self._file = file
        file.write(csv_header(columns))

    def write(self, columns: Mapping[str, Any]) -> None:
        self._file.write(csv_rows({name: _counted(name, values) for name, values in columns.items()}))

    def close(self) -> None:
        self._file.flush()


class _Parquet:
    def __init__(self, file: IO[bytes], columns: tuple[str, ...]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._schema = pa.schema([(name, _arrow_type(name)) for name in columns])
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, columns: Mapping[str, Any]) -> None:
        import pyarrow as pa

        n_rows = next(len(values) for values in columns.values() if not isinstance(values, str))
        arrays = [
            _arrow(name, values, n_rows).cast(self._schema.field(name).type)
            for name, values in columns.items()
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


WRITERS: dict[str, Any] = {"csv": _Csv, "parquet": _Parquet}


def _part(values: Any, rows: slice) -> Any:
    return values if isinstance(values, str) else values[rows]


def _counted(name: str, values: Any) -> Any:
    """Return a column with what is missing from whole-number columns as null, not as -1 or a decimal."""
    if isinstance(values, str | Coded) or name not in WHOLE:
        return values
    missing = values == NO_NUMBER if name in {"end", "lag"} else np.isnan(values.astype(float))
    return arrow.column(np.where(missing, 0, values).astype(np.int64), missing)


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    if name in TEXTS:
        return pa.string()
    return pa.date32() if name == "date" else pa.int64() if name in WHOLE else pa.float64()


def _arrow(name: str, values: Any, n_rows: int) -> Any:
    import pyarrow as pa

    if isinstance(values, str):
        empty = values == "" and name not in TEXTS
        return pa.nulls(n_rows, _arrow_type(name)) if empty else pa.repeat(arrow.one(values), n_rows)
    if isinstance(values, Coded):
        return arrow.texts(values.texts).take(arrow.column(values.codes))
    if name in WHOLE:
        return _counted(name, values)
    return arrow.texts(values) if values.dtype == object else arrow.column(values)
