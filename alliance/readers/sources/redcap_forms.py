"""Which rows of a REDCap export hold which form, how far it was filled in, and which session a row is."""

from __future__ import annotations

import re
from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alliance.readers.columns import key_of
from alliance.readers.export import FormLines
from alliance.readers.mapping import plain
from alliance.readers.sources.redcap_dictionary import STATUS, SYSTEM_COLUMNS, TIMESTAMP, Field
from alliance.readers.sources.sheet import Sheet

Array = np.ndarray[Any, Any]

BEGUN = ("0", "Incomplete")
DONE = ("1", "2", "Unverified", "Complete")

_UNTICKED = ("0", "Unchecked")
_NOT_STAMPED = ("[not completed]",)
_RESERVED = {*SYSTEM_COLUMNS, *(name.removeprefix("redcap_") for name in SYSTEM_COLUMNS)}
_ARM = re.compile(r"(?:_arm_\d+|\s*\(arm \d+:.*\))$", re.IGNORECASE)
_NUMBERED = re.compile(r"\D*\d{1,4}")


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A table by columns: stripped texts.

    Attributes
    ----------
    names, columns : the header, and one array of texts for each name, shape (rows,)
    lines : int64, shape (rows,); line each row starts in
    statuses : columns that say how far a form was filled in
    filled : field → bool, shape (rows,); where somebody entered something
    status_of : field → the column with the status of its form, where one is known
    """

    names: tuple[str, ...]
    columns: tuple[Array, ...]
    lines: Array
    statuses: tuple[str, ...] = ()
    filled: Table[str, Array] = field(default_factory=dict)
    status_of: Table[str, str] = field(default_factory=dict)

    def column(self, name: str) -> Array:
        """Return the cells of one column; blank ones if it is not there."""
        if name not in self.names:
            return np.full(len(self.lines), "", dtype=object)
        return self.columns[self.names.index(name)]

    def system(self, name: str) -> Array:
        """Return the cells of one of REDCap's own columns, whether headers are names or labels."""
        keys = (name, name.removeprefix("redcap_"))
        return self.column(next((each for key in keys for each in self.names if key_of(each) == key), ""))

    def none(self) -> Array:
        """Return a new array that is true for no row."""
        return np.zeros(len(self.lines), dtype=bool)


def cells_of(sheet: Sheet, case: str, fields: Table[str, Field]) -> Cells:
    """Return the table by columns; `case` names the record, `fields` is what a dictionary says of columns."""
    from alliance.readers.table import stripped

    width = len(sheet.names)
    even = [row if len(row) == width else [*row, *[""] * width][:width] for row in sheet.rows]
    columns = tuple(map(stripped, np.array(even, dtype=object).reshape(-1, width).T.copy()))
    cells = Cells(names=sheet.names, columns=columns, lines=np.array(sheet.lines, dtype=np.int64))
    known = {f"{each.form}_complete" for each in fields.values()}
    statuses = tuple(
        name
        for name, column in zip(cells.names, columns, strict=True)
        if is_status(name, column) and (not known or name in known or plain(name).startswith(STATUS))
    )
    filled = {
        name: _filled(name, column)
        for name, column in zip(cells.names, columns, strict=True)
        if name and name not in {case, *statuses} and key_of(name) not in _RESERVED
        if name not in fields or fields[name].kind != "calc"
    }
    cells = replace(cells, statuses=statuses, filled=filled)
    return replace(cells, status_of=_status_of(cells, fields))


def is_status(name: str, cells: Array) -> bool:
    """Return whether a column says how far a form was filled in: 0, 1, 2 or their words."""
    named = name.casefold().endswith("_complete") or plain(name).startswith(STATUS)
    return named and set(cells) <= {"", *BEGUN, *DONE}


def _filled(name: str, cells: Array) -> Array:
    """Return where a field holds something that somebody entered; a box that is not ticked is nothing."""
    filled = cells != ""
    nothing: tuple[str, ...] = ()
    if "___" in name or "(choice=" in name:
        nothing = _UNTICKED
    elif name.casefold().endswith("_timestamp") or plain(name).startswith(TIMESTAMP):
        nothing = _NOT_STAMPED
    for word in nothing:
        filled &= cells != word
    return np.asarray(filled, dtype=bool)


def _status_of(cells: Cells, fields: Table[str, Field]) -> dict[str, str]:
    """Return each field with the status of its form: what the dictionary says, or the next one to its right.

    REDCap gives a form with any answer a status; one that is blank beside an answer is that of another form.
    """
    found: dict[str, str] = {}
    behind = ""
    for name in reversed(cells.names):
        behind = name if name in cells.statuses else behind
        own = f"{fields[name].form}_complete" if name in fields else behind
        if name in cells.filled and own in cells.statuses:
            alone = cells.filled[name] & (cells.column(own) == "")
            if not alone.any():
                found[name] = own
    return found


def _is_one_of(cells: Array, words: tuple[str, ...]) -> Array:
    return np.asarray(np.logical_or.reduce([cells == word for word in words]), dtype=bool)


def empty_rows(cells: Cells) -> Array:
    """Return where a row is not blank, and has neither an answer nor a form that was marked as done."""
    held, named = cells.none(), cells.none()
    for filled in cells.filled.values():
        held |= filled
    for status in cells.statuses:
        held |= _is_one_of(cells.column(status), DONE)
    for column in cells.columns:
        named |= column != ""
    return named & ~held


def form_lines(cells: Cells) -> dict[str, FormLines]:
    """Return for each field with an answer the lines that hold its form, and those where it was begun.

    A form stands in the rows of those events and instruments in which its field was answered at all. Where
    its status is known, it stands in the rows in which something of it was filled in, or it was marked as
    done.
    """
    kinds = _kinds(cells)
    entered: dict[str, Array] = {}
    for name, status in cells.status_of.items():
        entered[status] = entered.get(status, cells.none()) | cells.filled[name]
    found: dict[str, FormLines] = {}
    alike: dict[tuple[str, tuple[int, ...]], FormLines] = {}
    for name, filled in cells.filled.items():
        if filled.any():
            status = cells.status_of.get(name, "")
            own = () if status else tuple(np.unique(kinds[filled]).tolist())
            if (status, own) not in alike:
                held = np.isin(kinds, own)
                alike[status, own] = _by_status(cells, status, entered) if status else _lines(cells, held)
            found[name] = alike[status, own]
    return found


def _kinds(cells: Cells) -> Array:
    """Return one number for each event with its instrument, shape (rows,)."""
    events, instruments = cells.system("redcap_event_name"), cells.system("redcap_repeat_instrument")
    numbers: dict[tuple[str, str], int] = {}
    kinds = zip(events, instruments, strict=True)
    return np.array([numbers.setdefault(kind, len(numbers)) for kind in kinds], dtype=np.int64)


def _lines(cells: Cells, held: Array) -> FormLines:
    return FormLines(held=frozenset(cells.lines[held].tolist()))


def _by_status(cells: Cells, status: str, entered: Table[str, Array]) -> FormLines:
    said = cells.column(status)
    begun = _is_one_of(said, BEGUN) & entered[status]
    form = _lines(cells, begun | _is_one_of(said, DONE))
    return replace(form, unfinished=frozenset(cells.lines[begun].tolist()))


def session_cells(cells: Cells, case: str, said: Table[str, int]) -> Array:
    """Return what numbers the session of each row: its repeat instance, or else its event.

    An instance that counts anew in every event numbers nothing; where there is only one in each event, the
    event counts. Events such as `session_3_arm_1` lose their arm; those that the mapping numbers (`said`)
    stay as they are.
    """
    events, instances = cells.system("redcap_event_name"), cells.system("redcap_repeat_instance")
    instruments, records = cells.system("redcap_repeat_instrument"), cells.column(case)
    short = {event: without_arm(event, said) for event in set(events)}
    found = np.array([short[event] for event in events], dtype=object)
    for instrument in set(instruments[instances != ""]):
        rows = np.flatnonzero((instruments == instrument) & (instances != ""))
        place = set(zip(records[rows], events[rows], instances[rows], strict=True))
        if len({(record, instance) for record, _, instance in place}) == len(place):
            found[rows] = instances[rows]
        elif len({(record, event) for record, event, _ in place}) < len(place):
            found[rows] = ""
    return found


def without_arm(event: str, said: Table[str, int]) -> str:
    """Return an event without its arm, if the rest is a number or ends in one.

    >>> without_arm("session_3_arm_1", {}), without_arm("Session 3 (Arm 1: CBT)", {})
    ('session_3', 'Session 3')
    >>> without_arm("baseline_arm_1", {}), without_arm("session_3_arm_1", {"session_3_arm_1": 7})
    ('baseline_arm_1', 'session_3_arm_1')
    """
    short = _ARM.sub("", event)
    return short if _NUMBERED.fullmatch(short) and plain(event) not in said else event
