"""Google Forms: a stamp in the first column, then one column for each question or row of a grid."""

from __future__ import annotations

import re

from alliance.readers.columns import key_of
from alliance.readers.export import Export, Opened
from alliance.readers.sources import system
from alliance.readers.sources.sheet import Sheet, sheet_of

_STAMP_TITLES = frozenset(
    (
        "timestamp", "zeitstempel", "horodateur", "marca_temporal", "informazioni_cronologiche",
        "tijdstempel", "carimbo_de_data_hora", "sygnatura_czasowa", "časová_značka", "tidstämpel",
        "отметка_времени",
    )
)  # fmt: skip
"""What the first column is called in English, German, French, Spanish, Italian, Dutch, Portuguese, Polish,
Czech, Swedish and Russian."""
_ASKED_ALONGSIDE = frozenset(("email_address", "username", "score"))
_STAMP = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}[ T]\D*\d{1,2}[:.]\d{2}(?!\d).*", re.DOTALL)
_GRID = re.compile(r"\S \[.")
_FEWEST_WORDS = 4


def _recognise(export: Export) -> str:
    sheet = sheet_of(export.records)
    if not sheet.names or key_of(sheet.names[0]) not in _STAMP_TITLES:
        return ""
    others = [name for name in sheet.names[1:] if name and key_of(name) not in _ASKED_ALONGSIDE]
    asked = sum(map(_is_question, others))
    stamps = [cell for cell in sheet.cells(sheet.names[0]) if cell]
    if not asked or 2 * asked < len(others) or not stamps or not all(map(_STAMP.fullmatch, stamps)):
        return ""
    return f"stamps in the first column '{sheet.names[0]}', and questions as column names"


@system("google_forms", title="responses of a Google form", recognise=_recognise)
def read_google_forms(export: Export, opened: Opened) -> Export:
    """Return the responses as they stand, dated by their stamp: the day that is written, in no other zone."""
    return Export(records=export.records, fallbacks=_fallbacks(sheet_of(export.records)))


def _fallbacks(sheet: Sheet) -> dict[str, str]:
    stamp = sheet.named(*sorted(_STAMP_TITLES))
    return {"date": stamp} if stamp else {}


def _is_question(name: str) -> bool:
    """Return whether a column name is a question, the row of a grid, or a sentence.

    >>> [_is_question(name) for name in ("Today: [I was heard]", "Which session?", "q1", "Item 1")]
    [True, True, False, False]
    """
    in_grid = name.endswith("]") and _GRID.search(name) is not None
    return in_grid or name.endswith(("?", ":")) or len(name.split()) >= _FEWEST_WORDS
