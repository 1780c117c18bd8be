"""Records → TextTable: where the header is, what stands above and below the data, one array a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from alliance.cells import restored
from alliance.errors import DataError
from alliance.readers.columns import HEADER_WITHIN, header_names, recognised
from alliance.readers.mapping import Mapping
from alliance.readers.problems import Log, counted
from alliance.readers.text import Records

Array = np.ndarray[Any, Any]

_SURE_HEADER = 2


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A file as named columns of text, blanks around every cell taken off.

    Attributes
    ----------
    names : the header, as written
    columns : one object array of texts for each name, shape (rows,)
    lines : int64, shape (rows,); line of the file each row starts in
    tail : bool, shape (rows,); a short row behind a blank line at the end
    unfinished : bool, shape (rows,); a response that was begun and not sent
    cell_lines : one int64 array for each name, where the cells of a row stand in different lines; or empty
    """

    names: tuple[str, ...]
    columns: tuple[Array, ...]
    lines: Array
    tail: Array
    header_line: int
    records: Records
    unfinished: Array
    cell_lines: tuple[Array, ...] = ()

    def take(self, rows: Array) -> TextTable:
        """Return the table with only the `rows` (a bool array)."""
        columns = tuple(column[rows] for column in self.columns)
        return replace(
            self,
            columns=columns,
            lines=self.lines[rows],
            tail=self.tail[rows],
            unfinished=self.unfinished[rows],
            cell_lines=tuple(lines[rows] for lines in self.cell_lines),
        )


def make_table(
    records: Records,
    mapping: Mapping,
    *,
    log: Log,
    names: Collection[str] = (),
    unfinished: Collection[int] = (),
) -> TextTable:
    """Return the table in `records`: header found, title lines and blank rows left out.

    `names` are names of columns that are to be expected, beside those of forms; `unfinished` are lines of
    responses that were not sent.
    """
    log.notes.extend(records.notes)
    place = _header_place(records, mapping, names)
    header = tuple(header_names(records.rows[place]))
    if header and not records.rows[place][0].strip().endswith(header[0]):
        log.note("the column names are code and text: the code was used")
    if any(any(cell.strip() for cell in row) for row in records.rows[:place]):
        log.note(f"the header was found in line {records.lines[place]}; what stands above it was not read")
    first = place + 1
    rows, lines = records.rows[first:], np.array(records.lines[first:], dtype=np.int64)
    widths = _widths(rows, padded=records.padded)
    _refuse_long_rows(rows, widths, lines, len(header), log)
    columns = tuple(stripped(column, literal=records.literal) for column in _transpose(rows, len(header)))
    blank = _blank_rows(columns, len(rows))
    table = TextTable(
        names=header,
        columns=columns,
        lines=lines,
        tail=_tail(widths < len(header), blank),
        header_line=records.lines[place],
        records=records,
        unfinished=np.isin(lines, list(unfinished)),
        cell_lines=_cell_lines(records, first, len(header)),
    )
    if blank.all():
        what = "the file has a header and no rows below it"
        log.trouble(what, hint="export it again, with one row for each form")
    return fill_down(table.take(~blank), mapping.fill_down, log)


def _cell_lines(records: Records, first: int, width: int) -> tuple[Array, ...]:
    if not records.cell_lines:
        return ()
    return tuple(np.array(records.cell_lines[first:], dtype=np.int64).reshape(-1, width).T)


def says_synthetic(table: TextTable) -> bool:
    """Return whether a column `synthetic` of the file says that its rows are."""
    names = [name.casefold() for name in table.names]
    return "synthetic" in names and bool((table.columns[names.index("synthetic")] == "true").any())


def stripped(column: Array, *, literal: bool = False) -> Array:
    """Return the texts without blanks around them, and as they were before they were made safe to write.

    Texts that are `literal` were not made safe. Each different text is looked at once.
    """
    codes, texts = pd.factorize(column)
    if not len(texts):
        return column
    plain = [text.strip() if literal else restored(text.strip()) for text in texts]
    return np.array(plain, dtype=object)[codes]


def fill_down(table: TextTable, names: tuple[str, ...], log: Log) -> TextTable:
    """Return the table with blank cells of the columns `names` filled from the row above."""
    columns = list(table.columns)
    for name in names:
        if name not in table.names:
            log.trouble(f"there is no column '{name}' to fill down", hint="correct fill_down in the mapping")
            continue
        place = table.names.index(name)
        cells = pd.Series(columns[place], dtype=object)
        filled = cells.where(cells != "").ffill().fillna("").to_numpy(dtype=object)
        n_filled = int((cells == "").sum() - (filled == "").sum())
        log.note(f"column '{name}' was filled down over {counted(n_filled, 'blank cell')}")
        columns[place] = filled
    return replace(table, columns=tuple(columns))


def _header_place(records: Records, mapping: Mapping, expected: Collection[str]) -> int:
    if mapping.header_row is not None:
        return _place_of_line(records, mapping.header_row)
    if records.headed:
        return 0
    nonblank = (place for place, row in enumerate(records.rows) if any(cell.strip() for cell in row))
    filled = list(islice(nonblank, HEADER_WITHIN))
    if not filled:
        message = "the file holds no rows"
        raise DataError(message, hint="export it again, with a header and one row for each form")
    counts = {place: recognised(records.rows[place], mapping, also=expected) for place in filled}
    best = max(counts, key=lambda place: (counts[place], -place))
    if counts[best] >= _SURE_HEADER:
        return best
    widths = {place: sum(bool(cell.strip()) for cell in records.rows[place]) for place in counts}
    usual = Counter(widths.values()).most_common(1)[0][0]
    return next(place for place in counts if widths[place] >= usual)


def _place_of_line(records: Records, line: int) -> int:
    if line not in records.lines:
        message = f"no row starts in line {line}, the header row of the mapping"
        raise DataError(message, hint="correct header_row in the mapping")
    return records.lines.index(line)


def _widths(rows: list[list[str]], *, padded: bool) -> Array:
    if padded:
        ends = (max((place for place, cell in enumerate(row, 1) if cell.strip()), default=0) for row in rows)
        return np.fromiter(ends, dtype=np.int64, count=len(rows))
    return np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))


def _refuse_long_rows(rows: list[list[str]], widths: Array, lines: Array, width: int, log: Log) -> None:
    long = [
        place for place in np.flatnonzero(widths > width) if any(cell.strip() for cell in rows[place][width:])
    ]
    if long:
        log.trouble(
            f"{counted(len(long), 'row')} with more cells than the header has columns",
            where=[f"line {lines[place]}: {widths[place]} cells for {width} columns" for place in long],
            hint="put a cell that holds the delimiter in quotation marks",
        )


def _transpose(rows: list[list[str]], width: int) -> list[Array]:
    even = [row if len(row) == width else (row + [""] * width)[:width] for row in rows]
    if not even:
        return [np.array([], dtype=object) for _ in range(width)]
    return list(np.array(even, dtype=object).T.copy())


def _blank_rows(columns: tuple[Array, ...], n_rows: int) -> Array:
    blank = np.ones(n_rows, dtype=bool)
    for column in columns:
        if not blank.any():
            break
        blank &= column == ""
    return blank


def _tail(short: Array, blank: Array) -> Array:
    """Return the short rows behind a blank line, with nothing but such rows below them."""
    full = np.flatnonzero(~short & ~blank)
    end = np.arange(len(short)) > (full[-1] if len(full) else -1)
    behind_blank = np.cumsum(end & blank) > 0
    return np.asarray(end & behind_blank & ~blank)
