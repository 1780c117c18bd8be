"""Texts in cells: what a spreadsheet would run stays a text, what a terminal would obey is made visible.

A cell that a spreadsheet takes for a formula gets an apostrophe in front of it, as spreadsheets do
themselves; `restored` takes it off again, so that what was written is what is read.
"""

from __future__ import annotations

import re

FORMULA = r"^'*[=+\-@\t\r]"
"""What a spreadsheet may run, with apostrophes that were put before it."""
NUMBER = r"^[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?$"
"""What begins like a formula, and is only a number."""

_FORMULA, _NUMBER = re.compile(FORMULA), re.compile(NUMBER)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def neutral(text: str) -> str:
    """Return a text as a cell of a CSV file or workbook may hold it.

    >>> neutral("=1+1"), neutral("-4.5"), neutral("C-07"), neutral("'=1")
    ("'=1+1", '-4.5', 'C-07', "''=1")
    """
    return f"'{text}" if len(text) > 1 and _FORMULA.match(text) and not _NUMBER.match(text) else text


def restored(text: str) -> str:
    """Return the text that `neutral` made a cell of; other texts stay as they are.

    >>> restored("'=1+1"), restored("''=1"), restored("'til")
    ('=1+1', "'=1", "'til")
    """
    return text[1:] if text[:1] == "'" and len(text) > 2 and _FORMULA.match(text) else text  # noqa: PLR2004


def has_control(text: str) -> bool:
    r"""Return whether a text holds controls, or marks that turn the reading direction.

    >>> has_control("P01"), has_control("P\x1b[31m"), has_control("a\\nb")
    (False, True, False)
    """
    return _CONTROL.search(text) is not None


def visible(text: str) -> str:
    r"""Return a text that a terminal prints and does not obey; line breaks and tabs stay.

    >>> visible("P\x1b[31m")
    'P\\x1b[31m'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
