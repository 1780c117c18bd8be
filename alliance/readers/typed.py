"""Bytes of a plain file → columns of texts, each different text once, and answers as small whole numbers.

What pyarrow would read otherwise than the tolerant lane, or leave unsaid, is odd.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from alliance.arrow import nulls, numbers
from alliance.cells import LONGEST, are_codes, restored
from alliance.errors import AllianceError
from alliance.frames import Coded
from alliance.readers.answers import (
    ANSWER,
    MISSING_WORDS,
    OUTSIDE,
    UNREADABLE,
    Rules,
    read_answer,
    rules_of_item,
)
from alliance.readers.export import Opened
from alliance.readers.layout import HEAD_BYTES, NO_ANSWER, Layout, Odd, require_plain_options
from alliance.readers.mapping import plain
from alliance.readers.options import ReadOptions
from alliance.readers.text import Records

Array = np.ndarray[Any, Any]

HEAD_ROWS = 100
PIECE_BYTES = 16 << 20
BLOCK_BYTES = 1 << 20
_MARK = b"\xef\xbb\xbf"
_HEX = re.compile(rb"0[xX]")
_QUOTE, _BREAKS = ord('"'), (ord("\r"), ord("\n"))


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The columns of some rows.

    Attributes
    ----------
    texts : place of a column → its texts without the blanks around them
    answers : int8, shape (rows,), one for each item; empty where the items are among the texts
    missing : where they are not given, alike
    """

    texts: dict[int, Coded]
    answers: tuple[Array, ...] = ()
    missing: tuple[Array, ...] = ()


def chunks_of(path: Path, n_bytes: int) -> Iterator[bytes]:
    """Yield the lines below the header, about `n_bytes` at a time, each chunk whole lines.

    Raises
    ------
    Odd
        If the file cannot be opened.
    """
    with _below_header(path) as file:
        yield from _whole_lines(file, n_bytes)


@contextlib.contextmanager
def _below_header(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            file.seek(len(_MARK) if file.read(len(_MARK)) == _MARK else 0)
            file.readline()
            yield file
    except OSError:
        raise Odd("a file that cannot be opened") from None


def _whole_lines(file: IO[bytes], n_bytes: int) -> Iterator[bytes]:
    kept = b""
    while more := file.read(n_bytes):
        end = more.rfind(b"\n") + 1
        if end:
            yield kept + more[:end]
            kept = more[end:]
        else:
            kept += more
    if kept:
        yield kept


def read_at_once(path: Path, layout: Layout) -> Cells:
    """Return all columns of a text file; the items as small whole numbers if they all are.

    Raises
    ------
    Odd
        If pyarrow and the tolerant lane could understand the file differently.
    """
    with _below_header(path) as file:
        start = file.tell()
        with path.open("rb", buffering=0) as whole:
            whole.seek(start)
            lines = whole.readall()
    require_plain_bytes(lines, layout.delimiter)
    items = {column.place for column in layout.item_columns}
    others = [place for place in range(len(layout.names)) if place not in items]
    if layout.typed and not holds_hexadecimals(lines):
        with contextlib.suppress(Odd):
            return read_cells(lines, layout, others, typed=True, block=BLOCK_BYTES)
    return read_cells(lines, layout, others, typed=False, block=BLOCK_BYTES)


def require_plain_bytes(chunk: bytes, delimiter: str) -> None:
    """Raise Odd if pyarrow and the tolerant lane could understand the lines differently."""
    if chunk.startswith(_MARK):
        raise Odd("a byte order mark among the rows")
    if not chunk.isascii():
        try:
            decode = codecs.getincrementaldecoder("utf-8")().decode
            for start in range(0, len(chunk), PIECE_BYTES):
                decode(chunk[start : start + PIECE_BYTES])
            decode(b"", final=True)
        except UnicodeDecodeError:
            raise Odd("an encoding other than UTF-8") from None
    if b"\r" in chunk and chunk.count(b"\r") != chunk.count(b"\r\n"):
        raise Odd("line breaks that are not plain")
    if b'"' in chunk:
        _require_plain_quotes(np.frombuffer(chunk, dtype=np.uint8), ord(delimiter))


def _require_plain_quotes(signs: Array, delimiter: int) -> None:
    """Raise Odd unless each quotation mark opens or closes a whole cell, or is written twice inside one."""
    at = np.flatnonzero(signs == _QUOTE)
    opens, closes = at[::2], at[1::2]
    if len(opens) != len(closes):
        raise Odd("quotation marks that are not plain")
    twice = closes[:-1] + 1 == opens[1:]
    opens, closes = opens[np.r_[True, ~twice]], closes[np.r_[~twice, True]]
    before = signs[opens[opens > 0] - 1]
    after = signs[closes[closes < len(signs) - 1] + 1]
    if not (np.isin(before, (delimiter, _BREAKS[1])).all() and np.isin(after, (delimiter, *_BREAKS)).all()):
        raise Odd("quotation marks that are not plain")


def holds_hexadecimals(chunk: bytes) -> bool:
    """Return whether a cell may be a number such as 0x1F, which pyarrow reads as one."""
    return (b"x" in chunk or b"X" in chunk) and _HEX.search(chunk) is not None


def read_cells(chunk: bytes, layout: Layout, texts: Collection[int], *, typed: bool, block: int = 0) -> Cells:
    """Return the columns at the places `texts`, and the items, of whole lines of a file.

    Parameters
    ----------
    chunk : bytes
        Lines below the header; blank lines at their end do not count.
    layout : Layout
    texts : places of columns
    typed : bool
        Whether the items are read as small whole numbers.
    block : int
        Bytes that one thread reads at a time; 0 = all in one.

    Raises
    ------
    Odd
        If a cell is no such number, or the rows are not one line each and of one length.
    """
    import pyarrow as pa

    items = [column.place for column in layout.item_columns]
    wanted = sorted({*texts, *([] if typed else items)})
    try:
        table = _table(chunk, layout, wanted, items if typed else [], block)
    except pa.ArrowInvalid:
        raise Odd("cells that are no plain answers" if typed else "rows that are not plain") from None
    if not table.num_rows or table.num_rows != n_lines(chunk):
        raise Odd("rows that are not plain")
    columns = {place: _one(table.column(str(place))) for place in wanted}
    given = [_one(table.column(str(place))) for place in items] if typed else []
    return Cells(
        texts={place: texts_of(column) for place, column in columns.items()},
        answers=tuple(map(numbers, given)),
        missing=tuple(map(nulls, given)),
    )


def _table(chunk: bytes, layout: Layout, texts: Sequence[int], items: Sequence[int], block: int) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    code = pa.dictionary(pa.int32(), pa.string())
    types = {str(place): code for place in texts} | {str(place): pa.int8() for place in items}
    return arrow_csv.read_csv(
        pa.BufferReader(pa.py_buffer(chunk)),
        read_options=arrow_csv.ReadOptions(
            block_size=block or len(chunk) + 1,
            column_names=[str(place) for place in range(len(layout.names))],
            use_threads=bool(block),
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=layout.delimiter),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=list(types),
            column_types=types,
            null_values=NO_ANSWER,
            strings_can_be_null=False,
        ),
    )


def _one(column: Any) -> Any:
    """Return a column that was read in parts as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if hasattr(whole, "num_chunks") else whole


def n_lines(chunk: bytes) -> int:
    """Return the number of lines in a chunk, those that are blank at its end left out."""
    end = len(chunk)
    while end and chunk[end - 1] in _BREAKS:
        end -= 1
    return chunk.count(b"\n", 0, end) + (end > 0)


def texts_of(column: Any) -> Coded:
    """Return a column of an Arrow dictionary type without blanks around its texts, each text once."""
    texts = column.dictionary.to_pylist()
    return coded(numbers(column.indices), texts)


def coded(codes: Array, texts: Sequence[str], *, literal: bool = False) -> Coded:
    """Return codes and texts without blanks around them, and as they were before they were made safe.

    Texts that are `literal` were not made safe.
    """
    if max(map(len, texts), default=0) > LONGEST:
        raise Odd("cells that are too long")
    plain = [text.strip() if literal else restored(text.strip()) for text in texts]
    places = {text: place for place, text in enumerate(dict.fromkeys(plain))}
    if len(places) < len(texts):
        codes = np.array([places[text] for text in plain], dtype=np.int32)[codes]
    return Coded(codes=codes, texts=np.array([*places], dtype=object))


def table_of(path: Path, options: ReadOptions) -> Any:
    """Return the Arrow table in a Parquet or Arrow file, None if it is a file of another kind.

    Raises
    ------
    Odd
        If it cannot be opened.
    """
    from alliance.readers.sources import claimed

    try:
        with path.open("rb") as file:
            start = file.read(HEAD_BYTES)
            kind = claimed(Opened(raw=start, path=path))
            raw = b"" if kind not in {"parquet", "arrow"} else start + file.read()
    except OSError:
        raise Odd("a file that cannot be opened") from None
    if not raw:
        return None
    from alliance.readers.sources.columnar import arrow_table, parquet_table

    require_plain_options(options, kind)
    try:
        return (parquet_table if kind == "parquet" else arrow_table)(raw)
    except _unreadable():
        raise Odd("a file that cannot be opened") from None


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what is raised where bytes are no table, or not one that is read."""
    from alliance.readers.sources.columnar import unreadable

    return (*unreadable(), AllianceError)


def head_of_table(table: Any) -> Records:
    """Return the names and the first rows of an Arrow table as text, the names as the first line."""
    cells = cells_of_table(table.slice(0, HEAD_ROWS)).texts
    columns = [cells[place].texts[cells[place].codes].tolist() for place in range(table.num_columns)]
    rows = [list(map(str, table.column_names)), *map(list, zip(*columns, strict=True))]
    return Records(rows=rows, lines=list(range(1, len(rows) + 1)), headed=True)


def cells_of_table(table: Any) -> Cells:
    """Return the columns of an Arrow table as text.

    Raises
    ------
    Odd
        If there are no rows, or a column cannot be put into words.
    """
    import pyarrow as pa

    from alliance.readers.sources.columnar import coded_texts

    if not table.num_rows or any(pa.types.is_nested(each.type) for each in table.schema):
        raise Odd("columns that are not plain")
    try:
        texts = {
            place: coded(*coded_texts(column), literal=True) for place, column in enumerate(table.columns)
        }
    except _unreadable():
        raise Odd("columns that are not plain") from None
    return Cells(texts=texts)


def require_codes(texts: Array) -> None:
    """Raise Odd unless all texts can be the codes of cases, therapists or raters."""
    if not are_codes(texts.tolist()):
        raise Odd("codes that are not plain")


def require_blank_beyond(cells: Cells, layout: Layout) -> None:
    """Raise Odd if a column beyond the last item holds an answer."""
    for column in layout.beyond:
        if not set(map(plain, cells.texts[column.place].texts)) <= MISSING_WORDS:
            raise Odd("answers beyond the last item")


def item_answers(cells: Cells, layout: Layout, rules: Rules, place: int) -> tuple[Array, Array]:
    """Return the answers to the item at `place` (from 0), int8 or float, and where none was given.

    Where none was given, the answer is the lowest one.

    Raises
    ------
    Odd
        If a cell cannot be read as an answer.
    """
    low, high = rules.scale.item_bounds[place]
    if not cells.answers:
        return _read(cells.texts[layout.item_columns[place].place], rules, place)
    answers, missing = cells.answers[place], cells.missing[place]
    if missing.any():
        answers = np.where(missing, np.int8(low), answers)
    if answers.min() < low or answers.max() > high:
        raise Odd("answers outside the range")
    return answers, missing


def _read(column: Coded, rules: Rules, place: int) -> tuple[Array, Array]:
    own = rules_of_item(rules, place + 1) if rules.scale.item_ranges else rules
    read = [read_answer(text, own) for text in column.texts]
    kinds = {kind for _, kind in read}
    if OUTSIDE in kinds:
        raise Odd("answers outside the range")
    if max(kinds) >= UNREADABLE:
        raise Odd("cells that are no plain answers")
    given = np.array([kind == ANSWER for _, kind in read])
    values = np.where(given, [number for number, _ in read], rules.scale.item_bounds[place][0])
    return values[column.codes], ~given[column.codes]


def ranks(texts: Array) -> Array:
    """Return the place of each different text in their order."""
    found = np.empty(len(texts), dtype=np.int64)
    found[sorted(range(len(texts)), key=texts.tolist().__getitem__)] = np.arange(len(texts))
    return found


def in_order(case: Array, rater: Array, session: Array) -> Array | None:
    """Return the places of rows in the order case, rater, session, each a whole number; None: as they are.

    Raises
    ------
    Odd
        If a row is there twice.
    """
    low, span = int(session.min()), int(session.max()) - int(session.min()) + 1
    n_raters = int(rater.max()) + 1
    if (int(case.max()) + 1) * n_raters * span > np.iinfo(np.int64).max:
        raise Odd("session numbers too far apart")
    key = (case.astype(np.int64) * n_raters + rater) * span + (session - low)
    if (np.diff(key) > 0).all():
        return None
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) == 0).any():
        raise Odd("doubled sessions")
    return order
