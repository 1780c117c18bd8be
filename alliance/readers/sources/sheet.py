"""What the systems share: the header of a table and the columns below it, as the cells stand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from alliance.readers.columns import header_names, key_of
from alliance.readers.mapping import plain
from alliance.readers.text import Records


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table whose header is its first row that is not blank.

    Attributes
    ----------
    records : the cells as text
    top : place of the header among the rows
    names : the header as columns are called, without blank names at its end
    """

    records: Records
    top: int
    names: tuple[str, ...]

    @property
    def rows(self) -> list[list[str]]:
        """The rows below the header."""
        return self.records.rows[self.top + 1 :]

    @property
    def lines(self) -> list[int]:
        """The line each row below the header starts in."""
        return self.records.lines[self.top + 1 :]

    def named(self, *keys: str) -> str:
        """Return the first column with the first of the `keys` that is there, or an empty text."""
        found: dict[str, str] = {}
        for name in self.names:
            found.setdefault(key_of(name), name)
        return next((found[key] for key in keys if key in found), "")

    def cells(self, name: str) -> list[str]:
        """Return the cells of a column, blanks around them taken off; none if there is no such column."""
        if not name or name not in self.names:
            return []
        place = self.names.index(name)
        return [row[place].strip() if place < len(row) else "" for row in self.rows]

    def lines_where(self, name: str, cells: Collection[str]) -> Iterable[int]:
        """Yield the lines in which a column holds one of the `cells`, written in lower case."""
        return (
            line for line, cell in zip(self.lines, self.cells(name), strict=False) if cell.casefold() in cells
        )

    def lines_blank(self, name: str) -> frozenset[int]:
        """Return the lines in which a column holds nothing, or a usual word for missing."""
        from alliance.readers.answers import MISSING_WORDS

        cells = self.cells(name)
        blank = {cell for cell in set(cells) if plain(cell) in MISSING_WORDS}
        return frozenset(line for line, cell in zip(self.lines, cells, strict=False) if cell in blank)


def sheet_of(records: Records) -> Sheet:
    """Return the table in `records`; one without any cell has no names and no rows."""
    filled = (place for place, row in enumerate(records.rows) if any(cell.strip() for cell in row))
    top = next(filled, len(records.rows))
    header = records.rows[top] if top < len(records.rows) else []
    return Sheet(records=records, top=top, names=tuple(header_names(header)))


def without(records: Records, lines: Collection[int]) -> Records:
    """Return the records without the rows that start in one of the `lines`."""
    gone = frozenset(lines)
    kept = [place for place, line in enumerate(records.lines) if line not in gone]
    return replace(
        records,
        rows=[records.rows[place] for place in kept],
        lines=[records.lines[place] for place in kept],
        cell_lines=tuple(records.cell_lines[place] for place in kept) if records.cell_lines else (),
    )
