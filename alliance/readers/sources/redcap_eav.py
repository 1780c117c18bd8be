"""REDCap's export with one field a row (EAV), put together into one row for each form."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from typing import Literal

from alliance.errors import DataError
from alliance.readers.problems import counted, told
from alliance.readers.sources.redcap_dictionary import checkbox_column
from alliance.readers.sources.sheet import Sheet
from alliance.readers.text import Records

FIELD, VALUE, RECORD = "field_name", "value", "record"
Key = tuple[str, ...]
Given = tuple[str, int]
"""A value, and the line it stands in."""


@dataclass(frozen=True, kw_only=True)
class _Gathered:
    """The first value of each field of each form, and all values of those that are there again."""

    forms: dict[Key, dict[str, Given]] = field(default_factory=dict)
    again: dict[tuple[Key, str], list[Given]] = field(default_factory=dict)


def is_eav(names: Sequence[str]) -> bool:
    """Return whether these are the columns of an export with one field a row, and no others."""
    own = {name.casefold() for name in names}
    others = own - {RECORD, FIELD, VALUE}
    return {RECORD, FIELD, VALUE} <= own and all(name.startswith("redcap_") for name in others)


def side_by_side(
    sheet: Sheet,
    *,
    checkboxes: Collection[str] = (),
    keep: Literal["first", "last"] | None = None,
    drop: bool = False,
) -> tuple[Records, tuple[str, ...]]:
    """Return one row for each record, event, instrument and instance, and what a person must be told.

    The columns are those of the export, then the fields, in an order that agrees with the file. A field of
    `checkboxes` has a row for each choice that was ticked, and gets a column for each.

    Raises
    ------
    DataError
        If a row is longer than the header or names no field, or a field is there twice with different
        values, unless `keep` chooses one or `drop` is to leave out what cannot be used.
    """
    places = [place for place, name in enumerate(sheet.names) if name.casefold() not in {FIELD, VALUE}]
    found = _gather(sheet, places, checkboxes)
    record = [sheet.names[place].casefold() for place in places].index(RECORD)
    lines = [next(iter(fields.values()))[1] for fields in found.forms.values()]
    notes = tuple(_settle(found, record, keep, drop=drop))
    order = _order(found.forms)
    rows = [[*(sheet.names[place] for place in places), *order]]
    cell_lines = [(0,) * len(rows[0])]
    for first, (key, fields) in zip(lines, found.forms.items(), strict=True):
        given = [fields.get(name, ("", first)) for name in order]
        rows.append([*key, *(value for value, _ in given)])
        cell_lines.append((*[first] * len(key), *(line for _, line in given)))
    lines = [sheet.records.lines[sheet.top], *lines]
    return replace(sheet.records, rows=rows, lines=lines, cell_lines=tuple(cell_lines)), notes


def _gather(sheet: Sheet, places: Sequence[int], checkboxes: Collection[str]) -> _Gathered:
    """Return the fields of each form, in the order of the file."""
    names = [name.casefold() for name in sheet.names]
    at_name, at_value = names.index(FIELD), names.index(VALUE)
    found = _Gathered()
    for line, cells in _whole_rows(sheet):
        name, value = cells[at_name], cells[at_value]
        if name in checkboxes:
            name, value = checkbox_column(name, value), "1"
        key = tuple([cells[place] for place in places])
        form = found.forms.setdefault(key, {})
        if name in form:
            found.again.setdefault((key, name), [form[name]]).append((value, line))
        else:
            form[name] = (value, line)
    return found


def _order(forms: Table[Key, Table[str, Given]]) -> list[str]:
    """Return all fields, each before the one that it stands before in a form; the others come last."""
    order: list[str] = []
    known: set[str] = set()
    for fields in forms.values():
        if not known.issuperset(fields):
            at = len(order)
            for name in reversed(list(fields)):
                if name in known:
                    at = order.index(name)
                else:
                    order.insert(at, name)
            known.update(fields)
    return order


def _whole_rows(sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """Yield line and cells of each row that is not blank, blanks around the cells taken off."""
    width = len(sheet.names)
    at_name = [name.casefold() for name in sheet.names].index(FIELD)
    for line, row in zip(sheet.lines, sheet.rows, strict=True):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if any(cells[width:]):
            what = "1 row with more cells than the header has columns"
            where = [f"line {line}: {len(cells)} cells for {width} columns"]
            raise DataError(what, where=where, hint="put a cell that holds the delimiter in quotation marks")
        cells = (cells + [""] * width)[:width] if len(cells) != width else cells
        if not cells[at_name]:
            raise DataError("a row names no field", where=[f"line {line}"], hint="export the file again")
        yield line, cells


def _settle(
    found: _Gathered, record: int, keep: Literal["first", "last"] | None, *, drop: bool
) -> Iterator[str]:
    """Yield what must be told of fields that are there twice, and leave one value of each."""
    differ = {at: given for at, given in found.again.items() if len({value for value, _ in given}) > 1}
    same = {at: given for at, given in found.again.items() if at not in differ}
    if same:
        what = f"{counted(len(same), 'field')} there again with the same value, read once"
        yield told(what, _places(same, record))
    if differ and keep is None and not drop:
        what = counted(len(differ), "field is there twice, and differs", "fields are there twice, and differ")
        hint = "correct the file, or say --keep first or last; a checkbox needs the data dictionary"
        raise DataError(what, where=_places(differ, record), hint=f"{hint} (--dictionary)")
    for (key, name), given in differ.items():
        unusable = " / ".join(dict.fromkeys(value for value, _ in given)), given[0][1]
        found.forms[key][name] = {"first": given[0], "last": given[-1]}.get(keep or "", unusable)
    if differ and keep:
        what = f"of {counted(len(differ), 'field')} there twice with different values the {keep} was kept"
        yield told(what, _places(differ, record))


def _places(fields: Table[tuple[Key, str], list[Given]], record: int) -> list[str]:
    """Return one place for each field: its lines, whose it is, and its name."""
    return [
        f"lines {' and '.join(str(line) for _, line in given)}: case {key[record]}, {name}"
        for (key, name), given in fields.items()
    ]
