"""Castor: surveys and repeating data with one form a row, study data with one participant a row."""

from __future__ import annotations

from alliance.readers.export import Export, Opened
from alliance.readers.sources import system
from alliance.readers.sources.sheet import Sheet, sheet_of

_CASE = ("castor_participant_id", "castor_record_id", "participant_id", "record_id")
_COMPLETED = "survey_completed_on"
_KINDS = {
    "surveys": ("survey_instance_id", "survey_progress", _COMPLETED, "survey_parent", "survey_package_name"),
    "repeating data": (
        "repeating_data_creation_date", "repeating_data_name_custom", "repeating_data_parent",
        "report_creation_date", "report_name_custom", "report_parent",
    ),
    "study data": (
        "participant_status", "site_abbreviation", "participant_creation_date", "institute_abbreviation",
        "record_creation_date",
    ),
}  # fmt: skip
"""The columns that Castor itself adds, by kind of export."""
_FEWEST = 2
_SESSIONS = ("survey_parent", "repeating_data_name_custom", "report_name_custom")
_SENT = ("survey_sent_date",)
_CREATED = ("survey_creation_date", "repeating_data_creation_date", "report_creation_date")
_MISSING = ("-95", "-96", "-97", "-98", "-99", *(f"##USER_MISSING_{code}##" for code in range(95, 100)))
"""Castor's own codes of a value that is missing: failed, not applicable, not asked, unknown, not done."""


def _recognise(export: Export) -> str:
    sheet = sheet_of(export.records)
    case = sheet.named(*_CASE)
    if not case:
        return ""
    for kind, keys in _KINDS.items():
        own = [name for name in map(sheet.named, keys) if name]
        if len(own) >= _FEWEST:
            return f"{kind}, by the columns {case}, {own[0]} and {own[1]}"
    return ""


@system("castor", title="a Castor export", recognise=_recognise)
def read_castor(export: Export, opened: Opened) -> Export:
    """Return the forms; surveys that were not completed are unfinished, days come before months."""
    sheet = sheet_of(export.records)
    case = sheet.named(*_CASE)
    usual = {"session": _session(sheet), "date": _date(sheet)}
    return Export(
        records=export.records,
        columns={"case": case} if case else {},
        fallbacks={role: name for role, name in usual.items() if name},
        missing=_MISSING,
        date_format="dmy",
        unfinished=sheet.lines_blank(sheet.named(_COMPLETED)),
    )


def _session(sheet: Sheet) -> str:
    """Return the column that numbers the forms, such as `Session 3`, if one does."""
    import numpy as np

    from alliance.readers.times import read_sessions

    for name in filter(None, map(sheet.named, _SESSIONS)):
        cells = np.array([cell for cell in sheet.cells(name) if cell], dtype=object)
        numbers, blank, wrong = read_sessions(cells)
        if len(set(numbers[~blank].tolist())) > 1 and not wrong.any():
            return name
    return ""


def _date(sheet: Sheet) -> str:
    """Return the column of the day a survey was sent, if every row has it, or else of its creation."""
    sent = sheet.named(*_SENT)
    case = sheet.cells(sheet.named(*_CASE))
    all_sent = all(day for day, whose in zip(sheet.cells(sent), case, strict=False) if whose)
    return sent if sent and all_sent else sheet.named(*_CREATED)
