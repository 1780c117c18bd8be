"""Qualtrics: one response a row below the names, the question texts and the ImportIds."""

from __future__ import annotations

import re

from alliance.readers.export import Export, Opened
from alliance.readers.mapping import plain
from alliance.readers.problems import counted, told
from alliance.readers.sources import system
from alliance.readers.sources.sheet import Sheet, sheet_of, without
from alliance.readers.text import Records

_IMPORT_ID = re.compile(r"""\s*\{\s*["']ImportId["']\s*:""")
_TIME_ZONE = re.compile(r"""["']timeZone["']\s*:\s*["']([\w/+-]{1,60})["']""")
_RESPONSE_ID = re.compile(r"R_\w+")
_NO_RESPONSE = re.compile(r"1|2|8|9|12|17|40|.*\b(?:preview|test|spam)\b.*")
_RESPONSE = frozenset(
    ("", "0", "4", "16", "32", "48", "ip address", "imported", "offline", "ex", "ex offline")
)
_NOT_FINISHED = frozenset(("0", "false"))
_HEADER_ROWS = 2
_ALL_OF_IT = 100


def _recognise(export: Export) -> str:
    sheet = sheet_of(export.records)
    if any(map(_is_import_row, sheet.rows[:_HEADER_ROWS])):
        return "a row of ImportIds under the column names"
    ids = sheet.named("responseid")
    named = ids and sheet.named("startdate") and sheet.named("finished")
    if named and any(map(_RESPONSE_ID.fullmatch, sheet.cells(ids))):
        return f"columns {ids}, {sheet.named('startdate')} and {sheet.named('finished')}"
    return ""


@system("qualtrics", title="a Qualtrics export", recognise=_recognise)
def read_qualtrics(export: Export, opened: Opened) -> Export:
    """Return the responses: question texts as labels; previews, tests and spam left out and told."""
    sheet = sheet_of(export.records)
    below = _header_rows(sheet)
    header = [sheet.records.lines[sheet.top + 1 + number] for number in range(below)]
    labels, zone = _labels(sheet, below), _time_zone(sheet, below)
    sheet = sheet_of(without(sheet.records, header))
    notes = [f"the dates are those of the time zone {zone}"] if zone else []
    if below:
        notes.append(told("rows of question texts and ImportIds not read", [f"line {n}" for n in header]))
    records, more = _only_responses(sheet)
    return Export(
        records=records,
        fallbacks=_fallbacks(sheet),
        labels=labels,
        unfinished=_unfinished(sheet),
        notes=(*notes, *more),
    )


def _is_import_row(row: list[str]) -> bool:
    return any(map(_IMPORT_ID.match, row))


def _header_rows(sheet: Sheet) -> int:
    """Return how many rows below the names belong to the header: none, the texts, or the ImportIds too."""
    for number, row in enumerate(sheet.rows[:_HEADER_ROWS], 1):
        if _is_import_row(row):
            return number
    ids, starts = sheet.cells(sheet.named("responseid")), sheet.cells(sheet.named("startdate"))
    texts = starts and starts[0] and not re.search(r"\d", starts[0])
    return int(bool(texts) and not (ids and _RESPONSE_ID.fullmatch(ids[0])))


def _labels(sheet: Sheet, below: int) -> dict[str, str]:
    texts = sheet.rows[0] if below and not _is_import_row(sheet.rows[0]) else []
    return {
        name: text.strip() for name, text in zip(sheet.names, texts, strict=False) if name and text.strip()
    }


def _time_zone(sheet: Sheet, below: int) -> str:
    """Return the time zone that the ImportIds say the stamps are in, or an empty text."""
    cells = sheet.rows[below - 1] if below else []
    found = (_TIME_ZONE.search(cell) for cell in cells if _IMPORT_ID.match(cell))
    return next((match[1] for match in found if match), "")


def _only_responses(sheet: Sheet) -> tuple[Records, list[str]]:
    """Return the rows that are responses of people, and what is told of the others."""
    kinds = sheet.cells(sheet.named("status"))
    other = {
        line: kind
        for line, kind in zip(sheet.lines, kinds, strict=False)
        if _NO_RESPONSE.fullmatch(plain(kind))
    }
    strange = dict.fromkeys(
        kind for kind in kinds if plain(kind) not in _RESPONSE and not _NO_RESPONSE.fullmatch(plain(kind))
    )
    notes = []
    if other:
        what = f"{counted(len(other), 'row')} of previews, tests or spam not read"
        notes.append(told(what, [f"line {line}: Status {kind}" for line, kind in other.items()]))
    if strange:
        notes.append(told("rows with a Status that is not known here were read", strange))
    return without(sheet.records, other), notes


def _unfinished(sheet: Sheet) -> frozenset[int]:
    finished = sheet.named("finished")
    if finished:
        return frozenset(sheet.lines_where(finished, _NOT_FINISHED))
    progress = sheet.cells(sheet.named("progress"))
    return frozenset(
        line
        for line, cell in zip(sheet.lines, progress, strict=False)
        if re.fullmatch(r"[0-9]{1,3}", cell) and int(cell) < _ALL_OF_IT
    )


def _fallbacks(sheet: Sheet) -> dict[str, str]:
    """Return the columns that usually hold case, date and language, as far as anything is in them."""
    usual = {
        "case": ("externalreference", "externaldatareference"),
        "date": ("startdate", "recordeddate"),
        "language": ("userlanguage",),
    }
    found = {role: [sheet.named(key) for key in keys] for role, keys in usual.items()}
    filled = {role: [name for name in names if any(sheet.cells(name))] for role, names in found.items()}
    return {role: names[0] for role, names in filled.items() if names}
