"""REDCap: reports and API exports, raw or labelled, flat or one field a row, with the data dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Table
from dataclasses import replace

import numpy as np

from alliance.readers.answers import MISSING_WORDS, number_of
from alliance.readers.columns import key_of
from alliance.readers.export import Export, Opened
from alliance.readers.mapping import plain
from alliance.readers.problems import counted, listed, told
from alliance.readers.sources import system
from alliance.readers.sources.redcap_dictionary import (
    STATUS,
    SYSTEM_COLUMNS,
    TIMESTAMP,
    Field,
    Named,
    name_columns,
    read_dictionary,
    require_fit,
    shown,
)
from alliance.readers.sources.redcap_eav import RECORD, is_eav, side_by_side
from alliance.readers.sources.redcap_forms import (
    Cells,
    cells_of,
    empty_rows,
    form_lines,
    is_status,
    session_cells,
)
from alliance.readers.sources.sheet import Sheet, sheet_of, without

_INSTANCE, _EVENT = "redcap_repeat_instance", "redcap_event_name"
_REPEATED = (STATUS, TIMESTAMP)
_USUAL_CASE = "record_id"


def _recognise(export: Export) -> str:
    """Return the columns that only REDCap writes; a name such as record_id alone is none."""
    sheet = sheet_of(export.records)
    own = {key_of(name): name for name in sheet.names}
    if is_eav(sheet.names):
        return "one field a row, by the columns record, field_name and value"
    reserved = [own[key] for key in SYSTEM_COLUMNS if key in own]
    if reserved:
        return f"by the column {reserved[0]}"
    if {"repeat_instrument", "repeat_instance"} <= own.keys():
        return f"labelled, by the columns {own['repeat_instrument']} and {own['repeat_instance']}"
    return _by_status(sheet)


def _by_status(sheet: Sheet) -> str:
    """Return the status of a form that only REDCap writes: the last column, behind the record or a label."""
    last = sheet.names[-1] if sheet.names else ""
    labelled = plain(last) == STATUS
    if not (labelled or key_of(sheet.names[0] if last else "") == _USUAL_CASE):
        return ""
    cells = np.array(sheet.cells(last), dtype=object)
    if not is_status(last, cells) or not (cells != "").any():
        return ""
    return f"labelled, by the column {last}" if labelled else f"by the columns {sheet.names[0]} and {last}"


@system("redcap", title="a REDCap export", recognise=_recognise)
def read_redcap(export: Export, opened: Opened) -> Export:
    """Return one row for each record, event and instance, with what REDCap and its dictionary say of it.

    Raises
    ------
    DataError
        If the dictionary is none or belongs to another project, or a field of a form is there twice and
        differs.
    """
    path = opened.options.dictionary
    fields = read_dictionary(path) if path is not None else ()
    sheet = sheet_of(export.records)
    if not sheet.names or {"item", "value"} & opened.mapping.columns.keys():
        return export
    notes: tuple[str, ...] = ()
    by_field = is_eav(sheet.names)
    if by_field:
        sheet, notes = _flat(sheet, fields, opened)
    named = Named(names=sheet.names)
    if path is not None:
        named = name_columns(sheet.names, fields, kept=_mapped(opened))
        require_fit(named, fields, path)
    sheet = _with_header(sheet, _told_apart(named.names))
    case = sheet.named(RECORD) if by_field else _case(sheet.names, fields)
    cells = cells_of(sheet, case, named.fields)
    empty = cells.lines[empty_rows(cells)].tolist()
    words = _missing_words(sheet, named.fields, opened)
    notes = (*notes, *_notes(named, empty, words, opened))
    return replace(
        export,
        records=without(_with_sessions(sheet, cells, case, opened).records, empty),
        columns={"case": case} if case else {},
        fallbacks=_fallbacks(cells, named.fields),
        levels={name: each.levels for name, each in named.fields.items() if each.levels},
        labels={name: shown(each.label) for name, each in named.fields.items()},
        missing=words,
        forms=form_lines(cells),
        notes=(*export.notes, *notes),
    )


def _flat(sheet: Sheet, fields: Sequence[Field], opened: Opened) -> tuple[Sheet, tuple[str, ...]]:
    records, notes = side_by_side(
        sheet,
        checkboxes={each.name for each in fields if each.kind == "checkbox"},
        keep=opened.options.keep or opened.mapping.keep,
        drop=opened.options.on_error == "drop",
    )
    return sheet_of(records), notes


def _mapped(opened: Opened) -> set[str]:
    forms = (name for form in opened.mapping.forms for name in form.columns.values())
    return {name.casefold() for name in (*opened.mapping.columns.values(), *forms)}


def _told_apart(names: Sequence[str]) -> Iterator[str]:
    """Yield the names; of the headers that stand beside every form, all but the first with a number."""
    seen: dict[str, int] = {}
    for name in names:
        word = plain(name)
        seen[word] = seen.get(word, 0) + 1
        yield f"{name} ({seen[word]})" if word in _REPEATED and seen[word] > 1 else name


def _with_header(sheet: Sheet, names: Iterator[str]) -> Sheet:
    rows = list(sheet.records.rows)
    rows[sheet.top] = list(names)
    return sheet_of(replace(sheet.records, rows=rows))


def _case(names: Sequence[str], fields: Sequence[Field]) -> str:
    """Return the column of the record: the first field of the dictionary, or else the first column."""
    if fields and fields[0].name in names:
        return fields[0].name
    own = {*SYSTEM_COLUMNS, *(name.removeprefix("redcap_") for name in SYSTEM_COLUMNS)}
    return names[0] if names and key_of(names[0]) not in own else ""


def _fallbacks(cells: Cells, fields: Table[str, Field]) -> dict[str, str]:
    """Return the columns that usually have the session and the date."""
    usual = {"session": _session_column(cells.names), "date": _date_column(cells, fields)}
    return {role: name for role, name in usual.items() if name}


def _session_column(names: Sequence[str]) -> str:
    keys = (_INSTANCE, _INSTANCE.removeprefix("redcap_"), _EVENT, _EVENT.removeprefix("redcap_"))
    return next((name for key in keys for name in names if key_of(name) == key), "")


def _date_column(cells: Cells, fields: Table[str, Field]) -> str:
    """Return the one field that holds dates or is called a session date, or else the one time stamp."""
    dated = [name for name in cells.names if name in fields and fields[name].dated]
    called = [name for name in cells.names if "session_date" in key_of(name)]
    stamps = [name for name in cells.names if key_of(name).endswith("timestamp")]
    ordered = bool(_session_column(cells.names))
    found = (dated, called, [] if ordered else stamps)
    return next((names[0] for names in found if len(names) == 1), "")


def _with_sessions(sheet: Sheet, cells: Cells, case: str, opened: Opened) -> Sheet:
    """Return the sheet with what numbers the session of each row in the column that is read as it."""
    column = _session_column(sheet.names)
    if not column:
        return sheet
    place, rows = sheet.names.index(column), list(sheet.records.rows)
    found = session_cells(cells, case, opened.mapping.sessions)
    for at, (row, cell) in enumerate(zip(sheet.rows, found, strict=True), sheet.top + 1):
        if cell != "".join(row[place : place + 1]).strip():
            short = [""] * (place - len(row))
            rows[at] = [*row[:place], *short, cell, *row[place + 1 :]]
    return sheet_of(replace(sheet.records, rows=rows))


def _missing_words(sheet: Sheet, fields: Table[str, Field], opened: Opened) -> tuple[str, ...]:
    """Return words that are no choice of their field, where as many missing codes were declared.

    In a labelled export such a word is the label of a missing data code, which the dictionary does not have.
    """
    declared = {plain(code) for code in (*opened.options.missing, *opened.mapping.missing)}
    codes = [code for code in declared if number_of(code) is not None]
    found: dict[str, str] = {}
    labelled = False
    for name, each in fields.items():
        labels = {plain(label) for label in each.levels.values()}
        cells = {plain(cell): cell for cell in sheet.cells(name)} if labels else {}
        labelled |= bool(labels & cells.keys())
        found |= {
            word: cell for word, cell in cells.items() if word not in labels and number_of(word) is None
        }
    known = declared | MISSING_WORDS | opened.mapping.answers.keys()
    strange = [found[word] for word in sorted(found.keys() - known)]
    return tuple(strange) if labelled and len(strange) <= len(codes) else ()


def _notes(named: Named, empty: Sequence[int], words: Sequence[str], opened: Opened) -> Iterator[str]:
    if named.unclear:
        what = "headers that the dictionary has several fields for, not all of them in the file, were kept"
        yield told(what, named.unclear)
    if words:
        declared = (*opened.options.missing, *opened.mapping.missing)
        quoted = listed([f"'{word}'" for word in words])
        yield f"{quoted}: no choice in the data dictionary, read as missing ({listed(declared)} declared)"
    if empty:
        yield told(f"{counted(len(empty), 'row')} without any answer not read", _as_lines(empty))


def _as_lines(lines: Sequence[int]) -> list[str]:
    return [f"line {line}" for line in lines]
