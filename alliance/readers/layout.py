"""Which columns of a plain file mean what, told from its first rows; what leaves anything to decide is odd.

Both fast lanes ask here: the one that reads a study block by block, and the one that reads a file at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from alliance.errors import DataError
from alliance.readers.answers import MISSING_WORDS, Rules, number_of, rules_for
from alliance.readers.columns import (
    HEADER_WITHIN,
    Column,
    find_items,
    find_keys,
    guesses,
    header_names,
    recognised,
)
from alliance.readers.export import Export, Opened
from alliance.readers.identifiers import identifiers, named_kinds, use_of
from alliance.readers.mapping import Mapping
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log
from alliance.readers.text import Records, parse, sniff_delimiter
from alliance.readers.treatment_words import DATES, NAMES, WORDED
from alliance.scale import Scale

FAST, TOLERANT = "fast", "tolerant"
LARGE_BYTES = 10_000_000
"""Size of a file from which on it is told why it was read in the slow way, by design."""
HEAD_BYTES = 1 << 16
PLAIN_ROLES = {"case", "session", "date", "therapist", "rater"}
TEXT_SUFFIXES = {".csv", ".tsv", ".tab", ".txt"}
PLAIN_FIELDS = {
    "columns", "answers", "missing", "shift", "date_format", "rater", "scale", "total", "keep", "unfinished",
    "language", "header_row", "source",
}  # fmt: skip
"""What a mapping may say of a file that is read in a fast lane."""
NO_ANSWER = ["", "NA", "N/A", "n/a", "#N/A", "nan", "NaN", "null", "NULL", "#NULL!"]
BYTE = np.iinfo(np.int8)
_WHOLE = re.compile(r"-?[0-9]{1,3}")
_MARK = b"\xef\xbb\xbf"


class Odd(Exception):
    """What the fast lane met and leaves to the tolerant one."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a plain file, and what must be told of how they were found.

    Attributes
    ----------
    names : the header, as written
    keys : role → column
    item_columns : the columns of items 1 to k
    beyond : columns numbered on beyond the last item; they must be blank
    default_rater : who filled a form in where it does not say so
    typed : whether the first rows answer the items in whole numbers that mean themselves
    delimiter : of a text file
    """

    names: tuple[str, ...]
    keys: dict[str, Column]
    item_columns: tuple[Column, ...]
    beyond: tuple[Column, ...]
    default_rater: str
    typed: bool
    delimiter: str = ""
    notes: tuple[str, ...] = ()

    @property
    def items(self) -> tuple[str, ...]:
        """Return the names of the columns of items 1 to k."""
        return tuple(column.name for column in self.item_columns)


def plain_layout(path: Path, scale: Scale, options: ReadOptions | None = None) -> Layout:
    """Return the layout of a plain text file with one row for each form, to be read block by block.

    Columns that may say who a person is are told by their names and by the first rows only, those within
    HEAD_BYTES; the names of cases and therapists are looked at while they are read, for e-mail addresses.

    Raises
    ------
    Odd
        If the columns, their cells or the options leave something to decide.
    """
    options = options or ReadOptions()
    mapping = options.mapping or Mapping()
    if mapping.total:
        raise Odd("options of its own")
    records = head_of_text(path, options)
    layout = layout_of(records, scale, options)
    if not layout.keys.keys() <= PLAIN_ROLES:
        raise Odd("columns that are not plain")
    if any(name.casefold().endswith(("total", "sum")) for name in layout.names):
        raise Odd("columns that are not plain")
    if not options.allow_identifiers and _may_identify(records, layout, mapping):
        raise Odd("columns that may say who a person is")
    return layout


def require_plain_options(options: ReadOptions, container: str) -> None:
    """Raise Odd if the options, or the mapping, ask for what only the tolerant lane does."""
    mapping, usual = options.mapping or Mapping(), Mapping()
    said = {each.name for each in fields(Mapping) if getattr(mapping, each.name) != getattr(usual, each.name)}
    source = options.source or mapping.source
    own = options.encoding or options.dictionary or source not in {"", container}
    if own or not said <= PLAIN_FIELDS or mapping.header_row not in {None, 1}:
        raise Odd("options of its own")


def head_of_text(path: Path, options: ReadOptions) -> Records:
    """Return the header and the first rows of a text file.

    Raises
    ------
    Odd
        If it is another kind of file, is not in UTF-8, or its header is not its first line.
    """
    from alliance.readers.sources import claimed

    require_plain_options(options, "csv")
    raw = _start_of(path)
    opened = Opened(raw=raw, path=path, options=options)
    if path.suffix.casefold() not in TEXT_SUFFIXES or claimed(opened) != "csv" or b"\0" in raw:
        raise Odd("a file that is no plain text")
    lines = raw if len(raw) < HEAD_BYTES else raw[: raw.rfind(b"\n", 0, HEAD_BYTES) + 1]
    if b"\r" in lines.partition(b"\n")[0].removesuffix(b"\r"):
        raise Odd("line breaks that are not plain")
    try:
        head = lines.decode("utf-8")
        delimiter = sniff_delimiter(raw.decode("utf-8", errors="ignore"))
        rows, starts = parse(head, delimiter)
    except UnicodeDecodeError:
        raise Odd("an encoding other than UTF-8") from None
    except DataError:
        raise Odd("quotation marks that are not plain") from None
    return Records(rows=rows, lines=starts, encoding="UTF-8", delimiter=delimiter)


def _start_of(path: Path) -> bytes:
    """Return as many bytes as the delimiter is told by, without the mark of their encoding."""
    try:
        with path.open("rb") as file:
            return file.read(4 * HEAD_BYTES).removeprefix(_MARK)
    except OSError:
        raise Odd("a file that cannot be opened") from None


def layout_of(records: Records, scale: Scale, options: ReadOptions) -> Layout:
    """Return which column is what, by the header and first rows of a file.

    Raises
    ------
    Odd
        If the file is from a system of its own, or the columns leave something to decide.
    """
    mapping = options.mapping or Mapping()
    _require_header(records, mapping)
    names = records.rows[0]
    _require_no_system(records, options)
    _require_plain_names(names)
    log = Log()
    keys = find_keys(names, mapping, log=log)
    items = find_items(names, scale.n_items, mapping, log=log)
    if log.troubles or items is None or len(items.columns) != scale.n_items:
        raise Odd("columns that are not plain")
    if not {"case", "session"} <= keys.keys() <= PLAIN_ROLES | {"scale"}:
        raise Odd("columns that are not plain")
    columns = tuple(items.columns[number] for number in range(1, scale.n_items + 1))
    return Layout(
        names=tuple(names),
        keys=keys,
        item_columns=columns,
        typed=_mean_themselves(rules_for(scale, mapping, options.missing)) and _are_whole(records, columns),
        beyond=items.beyond,
        default_rater=mapping.rater or scale.perspective,
        delimiter=records.delimiter,
        notes=tuple(guesses(keys, items.columns, scale.id)),
    )


def _mean_themselves(rules: Rules) -> bool:
    """Return whether a whole number in a cell, if small enough, can only be that answer."""
    ends = [end for bounds in rules.scale.item_bounds for end in bounds]
    words = any(number_of(word) is not None or word in MISSING_WORDS for word in rules.anchors)
    own = rules.words or rules.missing or rules.shift or rules.spoken or words
    return rules.scale.whole and BYTE.min <= min(ends) <= max(ends) <= BYTE.max and not own


def _are_whole(records: Records, items: Sequence[Column]) -> bool:
    rows = [row for row in records.rows[1:] if len(row) == len(records.rows[0])]
    cells = {row[column.place] for row in rows for column in items}
    return all(cell in NO_ANSWER or _WHOLE.fullmatch(cell) for cell in cells)


def _require_header(records: Records, mapping: Mapping) -> None:
    """Raise Odd unless the first row is the header, and its names are as plain as they are written."""
    rows = [row for row in records.rows if any(cell.strip() for cell in row)][:HEADER_WITHIN]
    if not rows or rows[0] is not records.rows[0]:
        raise Odd("a header that is not plain")
    names = rows[0]
    known = [recognised(row, mapping) for row in rows]
    named = [name for name in names if name]
    plain = header_names(names) == names and len(set(named)) == len(named)
    first = records.headed or max(known) == known[0]
    if not (plain and first):
        raise Odd("a header that is not plain")


def _require_no_system(records: Records, options: ReadOptions) -> None:
    from alliance.readers.sources import evidence_of_system

    named = options.source or (options.mapping or Mapping()).source
    if not named and evidence_of_system(Export(records=records)):
        raise Odd("an export of a source system")


def _require_plain_names(names: list[str]) -> None:
    """Raise Odd if there are columns of how treatments ended."""
    ends = find_keys(names, Mapping(), log=Log(), roles=(*WORDED, *DATES, "planned_sessions"), synonyms=NAMES)
    if "status" in ends:
        raise Odd("columns that say how treatments ended")


def _may_identify(records: Records, layout: Layout, mapping: Mapping) -> bool:
    """Return whether a column is named like a person's detail, or holds one in the first rows."""
    if named_kinds(layout.names):
        return True
    rows = [row for row in records.rows[1:] if len(row) == len(layout.names)]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in layout.names]
    use = use_of(layout.names, layout.keys, mapping)
    return bool(identifiers(layout.names, columns, range(len(rows)), use))


def told_lane(path: Path, lane: str) -> tuple[str, ...]:
    """Return what to tell of the lane a file was read in: why a large one was read cell by cell."""
    name, _, why = lane.partition(": ")
    if name != TOLERANT or not path.is_file() or path.stat().st_size < LARGE_BYTES:
        return ()
    return (f"read cell by cell, which takes longer: {why}",)
