"""LimeSurvey: one response a row; codes, question texts, or both in the header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from alliance.readers.export import Export, Opened
from alliance.readers.sources import system
from alliance.readers.sources.sheet import Sheet, sheet_of
from alliance.readers.text import Records

_OWN = {
    "id": ("id", "response_id", "antwort_id", "id_de_la_réponse", "id_de_respuesta", "id_risposta"),
    "submitdate": (
        "submitdate", "date_submitted", "datum_abgeschickt", "date_de_soumission", "fecha_de_envío",
        "data_invio",
    ),
    "lastpage": (
        "lastpage", "last_page", "letzte_seite", "dernière_page", "última_página", "ultima_pagina",
    ),
    "startlanguage": (
        "startlanguage", "start_language", "start_sprache", "langue_de_départ", "lenguaje_inicial",
        "lingua_iniziale",
    ),
    "startdate": (
        "startdate", "date_started", "datum_gestartet", "date_de_lancement", "fecha_de_inicio",
        "data_di_inizio",
    ),
    "datestamp": (
        "datestamp", "date_last_action", "datum_letzte_aktivität", "date_de_la_dernière_action",
        "fecha_de_la_última_acción", "data_dell_ultima_azione",
    ),
    "token": ("token", "access_code", "zugangscode", "zugangsschlüssel", "código_de_acceso"),
}  # fmt: skip
"""LimeSurvey's own columns: their codes, and their titles in English, German, French, Spanish and Italian."""
_BESIDE = ("id", "lastpage", "startlanguage")
_NO_DATE = "1980-01-01"
_ZEROS = "." + 10 * "0"


def _recognise(export: Export) -> str:
    own = _own_columns(sheet_of(export.records))
    beside = [own[role] for role in _BESIDE if role in own]
    if "submitdate" not in own or len(beside) + 1 < len(_BESIDE):
        return ""
    return f"columns {', '.join(beside)} and {own['submitdate']}"


@system("limesurvey", title="a LimeSurvey export", recognise=_recognise)
def read_limesurvey(export: Export, opened: Opened) -> Export:
    """Return the responses; those that were never submitted are unfinished, answer codes stay codes."""
    sheet = sheet_of(_without_zeros(export.records))
    own = _own_columns(sheet)
    date, notes = _date(sheet, own)
    usual = {"case": _token(sheet, own), "date": date, "language": own.get("startlanguage", "")}
    return Export(
        records=sheet.records,
        fallbacks={role: name for role, name in usual.items() if name},
        labels=_labels(sheet),
        unfinished=sheet.lines_blank(own.get("submitdate", "")),
        notes=notes,
    )


def _own_columns(sheet: Sheet) -> dict[str, str]:
    found = {role: sheet.named(*keys) for role, keys in _OWN.items()}
    return {role: name for role, name in found.items() if name}


def _without_zeros(records: Records) -> Records:
    """Return the records with numbers as they were typed: `7.0000000000` is how a database writes 7."""
    found = {n for row in records.rows for n, cell in enumerate(row) if cell.endswith(_ZEROS)}
    return replace(records, rows=[_tidied(row, found) for row in records.rows]) if found else records


def _tidied(row: list[str], places: Iterable[int]) -> list[str]:
    tidy = list(row)
    for place in places:
        if place < len(row) and row[place].endswith(_ZEROS) and _is_whole(row[place]):
            tidy[place] = row[place][: -len(_ZEROS)]
    return tidy


def _is_whole(cell: str) -> bool:
    digits = cell[: -len(_ZEROS)].strip().removeprefix("-")
    return digits.isascii() and digits.isdigit()


def _date(sheet: Sheet, own: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the column of the date, and a note if the survey keeps no dates and writes 1980 instead."""
    for role in ("startdate", "datestamp", "submitdate"):
        cells = [cell for cell in sheet.cells(own.get(role, "")) if cell]
        if cells and not all(cell.startswith(_NO_DATE) for cell in cells):
            return own[role], ()
        if cells and role == "submitdate":
            return "", (f"column '{own[role]}' says {_NO_DATE} throughout: the survey keeps no dates",)
    return "", ()


def _token(sheet: Sheet, own: dict[str, str]) -> str:
    """Return the column of the access code if codes are used again and again, so that one can be a case."""
    name = own.get("token", "")
    counts = Counter(cell for cell in sheet.cells(name) if cell)
    return name if any(number > 1 for number in counts.values()) else ""


def _labels(sheet: Sheet) -> dict[str, str]:
    """Return the text of each question where the header has it behind the code."""
    header = sheet.records.rows[sheet.top] if sheet.names else []
    written = (" ".join(cell.split()) for cell in header)
    pairs = zip(sheet.names, written, strict=False)
    return {name: text.removeprefix(f"{name}. ") for name, text in pairs if text.startswith(f"{name}. ")}
