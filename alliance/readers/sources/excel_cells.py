"""The cells of one sheet as text: dates as days, errors as they are seen, formulas never calculated named."""

from __future__ import annotations

import datetime
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from alliance.cells import LONGEST, UNCALCULATED
from alliance.errors import DataError
from alliance.readers.columns import key_of
from alliance.readers.opening import cell_text
from alliance.readers.problems import counted, told
from alliance.readers.sources import excel_parts
from alliance.readers.sources.excel_parts import Parts

ARCHIVE = b"PK\x03\x04"
SERIALS = (20_000, 80_000)
"""Numbers that may be days: from 1954 to 2119."""
MOST_CELLS = 25_000_000

Rows = list[list[Any]]
Place = tuple[int, int]

_PASSWORD = "EncryptedPackage".encode("utf-16-le")
_FORMULAS_OR_ERRORS = re.compile(rb"<(?:\w+:)?f[\s/>]|\bt=[\"']e[\"']")
_FAR = re.compile(rb"\br=\"(?:[A-Z]{0,3}[0-9]{6,}|[A-Z]{3}[0-9]+)\"")
_FILLED = re.compile(rb"<(?:\w+:)?c\b[^>]*?\br=\"([A-Z]{1,7})([0-9]{1,9})\"[^>]*(?<!/)>")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the XML of a sheet says that its values do not: (row, column) from 0."""

    formulas: set[Place] = field(default_factory=set)
    errors: dict[Place, str] = field(default_factory=dict)


def read_sheet(raw: bytes, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the rows, the name and the notes of one sheet.

    Parameters
    ----------
    raw : bytes
        The workbook.
    asked : dict
        `sheet`, the name of the sheet, empty = the first that is visible; `dates`, names of columns that hold
        dates.
    """
    import python_calamine

    parts = excel_parts.parts_of(raw) if raw.startswith(ARCHIVE) else {}
    excel_parts.refuse_links(parts)
    if _PASSWORD in raw and not parts:
        raise excel_parts.protected_workbook()
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(
            io.BytesIO(excel_parts.packed(parts) if parts else raw)
        )
        chosen, notes = _choose(book, asked["sheet"])
        content = excel_parts.sheet_of_book(parts, chosen)
        _refuse_far(content, chosen)
        rows: Rows = book.get_sheet_by_name(chosen).to_python(skip_empty_area=False)
    except python_calamine.PasswordError:
        raise excel_parts.protected_workbook() from None
    except python_calamine.CalamineError:
        raise excel_parts.broken_workbook() from None
    if content:
        notes += [*_overlay(rows, seen_in(content)), *_dated(rows, parts, asked["dates"])]
    texts = [[cell_text(cell) for cell in row] for row in rows]
    _refuse_long(texts)
    return {"rows": texts, "sheet": chosen, "notes": notes}


def _choose(book: Any, wanted: str) -> tuple[str, list[str]]:
    """Return the sheet to read, and what must be told of the others."""
    sheets = {entry.name: _hidden(entry.visible) for entry in book.sheets_metadata}
    if not sheets:
        raise excel_parts.broken_workbook()
    if wanted and wanted not in sheets:
        message = f"the workbook has no sheet '{wanted}'"
        raise DataError(message, hint=f"its sheets are {', '.join(sheets)}")
    chosen = wanted or next((name for name, kind in sheets.items() if not kind), next(iter(sheets)))
    others = [f"'{name}'{kind}" for name, kind in sheets.items() if name != chosen]
    notes = [f"sheet '{chosen}' was read, not {', '.join(others)}"] if others and not wanted else []
    if sheets[chosen]:
        notes.append(f"sheet '{chosen}' is hidden in the workbook")
    return chosen, notes


def _hidden(how: Any) -> str:
    from python_calamine import SheetVisibleEnum

    kinds = ((SheetVisibleEnum.Hidden, " (hidden)"), (SheetVisibleEnum.VeryHidden, " (very hidden)"))
    return next((told for kind, told in kinds if how == kind), "")


def _refuse_far(content: bytes, sheet: str) -> None:
    """Refuse a sheet in which a cell stands so far out that all in between would not fit into memory."""
    if not _FAR.search(content):
        return
    filled = _FILLED.findall(content)
    n_rows = max((int(row) for _, row in filled), default=0)
    n_columns = max((_number(letters.decode()) for letters, _ in filled), default=0)
    if n_rows * n_columns > MOST_CELLS:
        what = f"sheet '{sheet}' goes down to row {n_rows} and across {n_columns} columns"
        raise DataError(what, hint="delete what stands far away from the table, and save the workbook anew")


def seen_in(content: bytes) -> Seen:
    """Return formulas without a value, and cells that hold an error, from the XML of a sheet."""
    if not _FORMULAS_OR_ERRORS.search(content):
        return Seen()
    sheet = _Sheet()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = sheet.start
    parser.EndElementHandler = sheet.end
    parser.CharacterDataHandler = sheet.text
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError):
        raise excel_parts.broken_workbook() from None
    return sheet.seen


class _Sheet:
    """Where a parser stands in a sheet: the cell, its kind, and whether it has a formula and a value."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.row, self.column = -1, -1
        self.kind, self.formula, self.value = "", False, ""
        self.inside = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        match name.rpartition(":")[2]:
            case "c":
                self.row, self.column = _place(attributes.get("r", ""), self.row, self.column + 1)
                self.kind, self.formula, self.value = attributes.get("t", "n"), False, ""
            case "row":
                given = attributes.get("r", "")
                self.row = int(given) - 1 if given.isdecimal() else self.row + 1
                self.column = -1
            case "f":
                self.formula = True
            case "v":
                self.inside = True

    def text(self, text: str) -> None:
        if self.inside:
            self.value += text

    def end(self, name: str) -> None:
        match name.rpartition(":")[2]:
            case "v":
                self.inside = False
            case "c" if self.kind == "e":
                self.seen.errors[self.row, self.column] = self.value.strip()
            case "c" if self.formula and not self.value.strip() and self.kind != "str":
                self.seen.formulas.add((self.row, self.column))


def _place(reference: str, row: int, column: int) -> Place:
    found = re.fullmatch(r"([A-Z]{1,3})([0-9]{1,7})", reference)
    return (int(found[2]) - 1, _number(found[1]) - 1) if found else (row, column)


def _overlay(rows: Rows, seen: Seen) -> list[str]:
    """Write into the rows what has no value of its own, and return what must be told."""
    words = {**dict.fromkeys(seen.formulas, UNCALCULATED), **seen.errors}
    width = max([len(rows[0]) if rows else 0, *(column + 1 for _, column in words)])
    for (row, column), word in words.items():
        rows.extend([] for _ in range(row + 1 - len(rows)))
        rows[row].extend([""] * (width - len(rows[row])))
        rows[row][column] = word
    return [*_told_formulas(seen.formulas), *_told_errors(seen.errors)]


def _told_formulas(formulas: Iterable[Place]) -> list[str]:
    columns = Counter(column for _, column in formulas)
    n_formulas = columns.total()
    if not n_formulas:
        return []
    what = f"{counted(n_formulas, 'formula was', 'formulas were')} never calculated"
    hint = "open the workbook in the spreadsheet program and save it"
    return [told(f"{what} ({hint})", [f"column {letters(c)}: {columns[c]}" for c in sorted(columns)])]


def _told_errors(errors: Mapping[Place, str]) -> list[str]:
    if not errors:
        return []
    where = [f"{letters(column)}{row + 1}: {errors[row, column]}" for row, column in sorted(errors)]
    return [told(f"{counted(len(errors), 'cell holds', 'cells hold')} an error of the spreadsheet", where)]


def _dated(rows: Rows, parts: Parts, names: Iterable[str]) -> list[str]:
    """Turn numbers of days into dates in columns of dates, and return what must be told."""
    first = datetime.date(1904, 1, 1) if excel_parts.counts_from_1904(parts) else datetime.date(1899, 12, 30)
    known = frozenset(names)
    notes = []
    for column in range(max(map(len, rows), default=0)):
        cells = [row[column] if column < len(row) else "" for row in rows]
        for place in (serials := _serials(cells, known)):
            rows[place][column] = _day(first, cells[place])
        if serials:
            example = f"{cell_text(cells[serials[0]])} as {cell_text(rows[serials[0]][column])}"
            what = f"{counted(len(serials), 'number')} in column {letters(column)} read as days ({example})"
            notes.append(told(what, [f"line {place + 1}" for place in serials]))
    return notes


def _serials(cells: list[Any], names: frozenset[str]) -> list[int]:
    """Return where a column of dates holds numbers of days; none if it is no column of dates."""
    low, high = SERIALS
    found = [place for place, cell in enumerate(cells) if type(cell) in {int, float} and low <= cell < high]
    if not found:
        return []
    headers = (place for place, cell in enumerate(cells) if isinstance(cell, str) and key_of(cell) in names)
    header = next(headers, None)
    if header is not None:
        return [place for place in found if place > header]
    n_dates = sum(isinstance(cell, datetime.date) for cell in cells)
    return found if n_dates > len(found) else []


def _day(first: datetime.date, number: Any) -> datetime.date:
    whole = int(number)
    day = first + datetime.timedelta(days=whole)
    seconds = round((number - whole) * 86_400)
    midnight = datetime.datetime.combine(day, datetime.time())
    return midnight + datetime.timedelta(seconds=seconds) if seconds else day


def _refuse_long(rows: Iterable[list[str]]) -> None:
    lines = [line for line, row in enumerate(rows, 1) if max(map(len, row), default=0) > LONGEST]
    if lines:
        what = f"a cell holds more than {LONGEST} characters"
        raise DataError(what, where=[f"line {line}" for line in lines], hint="shorten the cell")


def letters(column: int) -> str:
    """Return a column, counted from 0, as a spreadsheet calls it.

    >>> letters(0), letters(25), letters(26), letters(701), letters(702)
    ('A', 'Z', 'AA', 'ZZ', 'AAA')
    """
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def _number(name: str) -> int:
    """Return the number of a column from its letters, counted from 1."""
    number = 0
    for letter in name:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
