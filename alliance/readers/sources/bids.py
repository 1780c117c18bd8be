"""BIDS: a table of the folder `phenotype`, with the JSON of the same name that says what its columns mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from alliance.errors import DataError
from alliance.readers.columns import key_of
from alliance.readers.export import Export, Opened
from alliance.readers.opening import read_bytes
from alliance.readers.problems import counted, listed, told
from alliance.readers.sources import system
from alliance.readers.sources.fhir_json import obj, parse, said
from alliance.readers.text import Records, decode

_PERSON, _VISIT = "participant_id", "session_id"
_PREFIXES = {_PERSON: "sub-", _VISIT: "ses-"}
_ROLES = {"case": _PERSON, "session": _VISIT}
_ENDS_IN_NUMBER = re.compile(r".*\d\]?", re.DOTALL)
_NOTHING = "n/a"


def _recognise(export: Export) -> str:
    records = export.records
    if records.delimiter != "\t":
        return ""
    rows = [row for row in records.rows if row and any(cell.strip() for cell in row)]
    if len(rows) < 2 or rows[0][0].strip() != _PERSON:  # noqa: PLR2004
        return ""
    sub = all(row[0].strip().startswith(_PREFIXES[_PERSON]) for row in rows[1:])
    return "tab-separated, participant_id of sub-…" if sub else ""


@system("bids", title="a BIDS phenotype table", recognise=_recognise)
def read_bids(export: Export, opened: Opened) -> Export:
    """Return the table with bare codes of people and visits, and what its sidecar says of the columns.

    Raises
    ------
    DataError
        If there is no participant_id, or the sidecar is no JSON object.
    """
    start = next((at for at, row in enumerate(export.records.rows) if any(map(str.strip, row))), 0)
    rows = export.records.rows[start:]
    header = [cell.strip() for cell in rows[0]] if rows else []
    if _PERSON not in header:
        message = f"there is no column {_PERSON}, which every BIDS table has"
        raise DataError(message, hint="name its source with --from, or take `from` out of the mapping")
    sidecar, notes = _sidecar(opened)
    derived = [
        name
        for name in header
        if obj(sidecar.get(name)).get("Derivative") is True and _ENDS_IN_NUMBER.fullmatch(name)
    ]
    if derived:
        notes.append(f"{counted(len(derived), 'column')} of derived scores not read: {listed(derived)}")
    empty = sum(not cell.strip() for row in rows[1:] if any(map(str.strip, row)) for cell in row)
    if empty:
        notes.append(f"{counted(empty, 'empty cell')} read as {_NOTHING}, which BIDS asks for")
    records = replace(export.records, rows=rows, lines=export.records.lines[start:])
    bare, taken = _bare(_without(records, header, derived), [n for n in header if n not in derived])
    return replace(
        export,
        records=bare,
        columns={role: name for role, name in _ROLES.items() if role not in map(key_of, header)},
        fallbacks={"date": "acq_time"},
        levels=_levels(sidecar, header),
        labels={name: text for name in header if (text := _label(obj(sidecar.get(name))))},
        notes=(*export.notes, *taken, *notes),
    )


def _sidecar(opened: Opened) -> tuple[Mapping[str, Any], list[str]]:
    """Return what the file beside the table says, or the one that --dictionary names; and what is told."""
    path = opened.options.dictionary or _beside(opened.path)
    if path is None:
        return {}, []
    text, _ = decode(read_bytes(path))
    where: list[str] = []
    try:
        found = parse(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        found, where = None, [str(error)]
    if not isinstance(found, dict):
        message = f"'{path.name}', which is to say what the columns mean, is no JSON object"
        hint = "correct it, or move it away to read the table without it"
        raise DataError(message, where=where, hint=hint)
    return found, [f"'{path.name}' says what the columns mean"]


def _beside(path: Path) -> Path | None:
    found = path.with_suffix(".json") if path.name and str(path) != "-" else None
    return found if found is not None and found.is_file() else None


def _levels(sidecar: Mapping[str, Any], header: list[str]) -> dict[str, dict[str, str]]:
    """Return column → code → word; a level may be an object that describes it."""
    found: dict[str, dict[str, str]] = {}
    for name in header:
        levels = obj(obj(sidecar.get(name)).get("Levels"))
        words = {code: said(levels, code) or said(levels[code], "Description") for code in levels}
        words = {code: word for code, word in words.items() if word and code.strip() != _NOTHING}
        if words:
            found[name] = words
    return found


def _label(column: Mapping[str, Any]) -> str:
    return said(column, "LongName") or said(column, "Description")


def _without(records: Records, header: list[str], names: list[str]) -> Records:
    """Return the records without the columns called `names`."""
    kept = [place for place, name in enumerate(header) if name not in names]
    if len(kept) == len(header):
        return records
    width = len(header)
    rows = [[row[place] for place in kept if place < len(row)] + row[width:] for row in records.rows]
    return replace(records, rows=rows)


def _bare(records: Records, header: list[str]) -> tuple[Records, list[str]]:
    """Return the records without the prefixes that every code of a column has; and what is told."""
    rows = [["" if cell.strip() == _NOTHING else cell for cell in row] for row in records.rows]
    taken = []
    for name, prefix in _PREFIXES.items():
        place = header.index(name) if name in header else -1
        cells = [
            row[place]
            for row in rows[1:]
            if 0 <= place < len(row) and row[place].strip() not in {"", _NOTHING}
        ]
        if cells and all(cell.strip().startswith(prefix) for cell in cells):
            for row in rows[1:]:
                if place < len(row):
                    row[place] = row[place].strip().removeprefix(prefix)
            taken.append(f"{prefix} in '{name}'")
    notes = [told("prefixes of BIDS taken off", taken)] if taken else []
    return replace(records, rows=rows), notes
