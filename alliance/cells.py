"""Texts in cells: what a spreadsheet would run stays a text, what a terminal would obey is made visible.

A cell that a spreadsheet takes for a formula gets an apostrophe in front of it, as spreadsheets do
themselves; `restored` takes it off again, so that what was written is what is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection

FORMULA = r"^'*[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""What a spreadsheet may run, with apostrophes that were put before it; written for RE2."""
NUMBER = r"^[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?$"
"""What begins like a formula, and is only a number."""
LONGEST = 1 << 20
"""The most characters a cell may hold."""
UNCALCULATED = "formula never calculated"
"""What is read for a formula that has no value."""
ERRORS = frozenset(
    {
        *("#REF!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#VALUE!", "#N/A", "#SPILL!", "#CALC!"),
        *("#GETTING_DATA", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "Err:502", UNCALCULATED),
    }
)
"""What stands in a cell whose formula gave no value."""

_FORMULA = re.compile(re.sub(r"\\x\{(\w+)\}", r"\\u\1", FORMULA))
_NUMBER = re.compile(NUMBER.removeprefix("^").removesuffix("$"))
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]"
)
_LINE = re.compile(r"[\t\r\n]")


def neutral(text: str) -> str:
    """Return a text as a cell of a CSV file or workbook may hold it.

    >>> neutral("=1+1"), neutral("-4.5"), neutral("C-07"), neutral("'=1")
    ("'=1+1", '-4.5', 'C-07', "''=1")
    """
    return f"'{text}" if len(text) > 1 and _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def restored(text: str) -> str:
    """Return the text that `neutral` made a cell of; other texts stay as they are.

    >>> restored("'=1+1"), restored("''=1"), restored("'til")
    ('=1+1', "'=1", "'til")
    """
    return text[1:] if text[:1] == "'" and len(text) > 2 and _FORMULA.match(text) else text  # noqa: PLR2004


def quoted(text: str) -> str:
    """Return a text as it stands in a line of CSV; the csv module leaves a lone carriage return unquoted.

    >>> quoted("a"), quoted("a,b"), quoted('a "b" c')
    ('a', '"a,b"', '"a ""b"" c"')
    """
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if any(sign in text for sign in ',"\r\n') else text


def has_control(text: str) -> bool:
    r"""Return whether a text holds controls, marks that turn the reading direction, or what nobody sees.

    >>> has_control("P01"), has_control("P\x1b[31m"), has_control("a\\nb")
    (False, True, False)
    """
    return _CONTROL.search(text) is not None


def is_code(text: str) -> bool:
    r"""Return whether a text can be the code of a person: seen as it is, on one line, no failed formula.

    >>> is_code("P 01"), is_code("P\t01"), is_code("#REF!")
    (True, False, False)
    """
    return text not in ERRORS and not has_control(text) and _LINE.search(text) is None


def are_codes(texts: Collection[str]) -> bool:
    """Return whether all texts can be codes of persons, as `is_code` says of one.

    >>> are_codes(["P01", "P02"]), are_codes(["P01", "#N/A"])
    (True, False)
    """
    return ERRORS.isdisjoint(texts) and is_code("".join(texts))


def visible(text: str) -> str:
    r"""Return a text that a terminal prints and does not obey; line breaks and tabs stay.

    >>> visible("P\x1b[31m")
    'P\\x1b[31m'
    """
    return _CONTROL.sub(_escaped, text)


def visible_code(text: str) -> str:
    r"""Return a text as `visible` does, its line breaks and tabs made visible too.

    >>> visible_code("a\tb\x1b")
    'a\\tb\\x1b'
    """
    return _LINE.sub(_escaped, visible(text))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
