"""Bytes → text → records of cells: encoding, delimiter, quoting, and the line each record starts in."""

from __future__ import annotations

import codecs
import csv
import gc
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alliance.cells import LONGEST
from alliance.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SNIFFED_CHARACTERS = 65_536
SNIFFED_RECORDS = 100
SNIFFED_BYTES = 200
FEWEST_ZEROS = 5
"""One in so many bytes is zero where text is UTF-16 without a byte order mark."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


@dataclass(frozen=True, kw_only=True)
class Records:
    """The cells of a file as text, row by row, with the line (or sheet row) each record starts in.

    `padded` says that every row was filled up to one width, as a spreadsheet does. `cell_lines` has the line
    of every cell, where a row was put together from several lines. `headed` says that the first row is the
    header, whatever stands in the others; `literal` that the cells are as they were meant, and none has an
    apostrophe that was put in front to make it safe.
    """

    rows: list[list[str]]
    lines: list[int]
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    padded: bool = False
    notes: tuple[str, ...] = ()
    cell_lines: tuple[tuple[int, ...], ...] = ()
    headed: bool = False
    literal: bool = False


def read_text(raw: bytes, *, encoding: str | None = None) -> Records:
    """Return the records of a delimited text file.

    Raises
    ------
    DataError
        If the bytes are in no encoding we try, or a quote is opened and not closed.
    """
    text, name = decode(raw, encoding=encoding)
    declared = _declared_delimiter(text)
    delimiter = declared or sniff_delimiter(text)
    rows, lines = parse(text, delimiter)
    if declared:
        rows, lines = rows[1:], lines[1:]
    notes = () if name == "UTF-8" else (f"the file is encoded in {name}",)
    return Records(rows=rows, lines=lines, encoding=name, delimiter=delimiter, notes=notes)


def decode(raw: bytes, *, encoding: str | None = None) -> tuple[str, str]:
    """Return the text and the name of its encoding: byte order mark, then UTF-8, then Windows-1252.

    >>> decode("größer".encode("cp1252"))
    ('größer', 'Windows-1252')
    """
    if encoding:
        return _decode_as(raw, encoding).removeprefix("\ufeff"), encoding
    for mark, codec, name in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            return _decode_as(raw, codec), name
    if codec := _unmarked_utf_16(raw[:SNIFFED_BYTES]):
        return _decode_as(raw, codec), "UTF-16"
    try:
        return raw.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return _decode_as(raw, "cp1252", "UTF-8 or Windows-1252"), "Windows-1252"


def _unmarked_utf_16(start: bytes) -> str:
    """Return the codec of text of which every second byte is often zero, and no other one; empty if none."""
    first, second = start[::2].count(0), start[1::2].count(0)
    if min(first, second) or max(first, second) * FEWEST_ZEROS < len(start[1::2]) or not max(first, second):
        return ""
    return "utf-16-le" if second else "utf-16-be"


def sniff_delimiter(text: str) -> str:
    """Return the delimiter that cuts most of the first records into equally many cells, at least two."""
    best, best_rank = ",", (0.0, 1)
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(text[:SNIFFED_CHARACTERS], newline=""), delimiter=delimiter)
        widths = Counter(len(row) for row, _ in zip(reader, range(SNIFFED_RECORDS), strict=False) if row)
        width, agreeing = widths.most_common(1)[0] if widths else (0, 0)
        rank = (agreeing / max(widths.total(), 1), width)
        if width > 1 and rank > best_rank:
            best, best_rank = delimiter, rank
    return best


def parse(text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the records and the line of the file each of them starts in; a blank line is an empty record."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    starts: list[int] = []
    start = 1
    try:
        with uncollected(), _long_cells():
            if '"' not in text:
                rows.extend(reader)
                return rows, list(range(1, len(rows) + 1))
            for row in reader:
                rows.append(row)
                starts.append(start)
                start = reader.line_num + 1
    except csv.Error as error:
        message, hint = _fault(str(error))
        start = max(start, len(rows) + 1)
        raise DataError(message, where=[f"line {start}: in the record that starts here"], hint=hint) from None
    return rows, starts


def _fault(said: str) -> tuple[str, str]:
    """Return what is wrong with a record, and what to do, from what the parser said."""
    if "field limit" in said:
        most = f"a cell holds more than {LONGEST} characters"
        return most, "look for a quotation mark that is opened and not closed, or shorten the cell"
    hint = "write a quotation mark inside a quoted cell twice, or save the file again from its program"
    return "a quotation mark is opened and not closed", hint


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module take cells of our own length; its limit holds for the whole process."""
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@contextmanager
def uncollected() -> Iterator[None]:
    """Leave the garbage collector out: it would look again and again through all rows, which are kept."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _decode_as(raw: bytes, codec: str, called: str = "") -> str:
    try:
        return raw.decode(codec)
    except (ValueError, LookupError):
        message = f"the file cannot be read as {called or codec}"
        raise DataError(message, hint="name its encoding with --encoding, such as --encoding cp850") from None


def _declared_delimiter(text: str) -> str:
    line = text[:8].splitlines()[0] if text.strip() else ""
    fits = len(line) == 5 and line[:4].casefold() == "sep=" and line[4] != '"'  # noqa: PLR2004
    return line[4] if fits else ""
