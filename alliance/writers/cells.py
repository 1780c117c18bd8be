"""Values → cells of text: numbers as short as they are exact, days as 2026-01-31, texts that nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alliance.cells import neutral

if TYPE_CHECKING:
    import pandas as pd


def delimited(frame: pd.DataFrame, *, delimiter: str = ",", blank: str = "") -> bytes:
    """Return a frame as delimited text in UTF-8, with a header; quotation marks only where they must be.

    What is missing is `blank`. A text that a spreadsheet would run gets an apostrophe in front.
    """
    columns = [[str(name), *_cells(frame[name], delimiter, blank)] for name in frame.columns]
    lines = map(delimiter.join, zip(*columns, strict=True))
    return ("\n".join(lines) + "\n").encode()


def number_text(value: float) -> str:
    """Return a number with no more digits than tell it from its neighbours, and no exponent.

    >>> number_text(4.0), number_text(8.25), number_text(0.00001)
    ('4', '8.25', '0.00001')
    """
    import numpy as np

    return str(np.format_float_positional(value, trim="-"))


def _cells(column: pd.Series[Any], delimiter: str, blank: str) -> list[str]:
    """Return one text a cell; each different value is put into words once."""
    import pandas as pd

    codes, values = pd.factorize(column)
    words = [_quoted(_shown(value) or blank, delimiter) for value in values]
    words.append(blank)
    return [words[code] for code in codes.tolist()]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return neutral(value)
    if hasattr(value, "date"):
        return str(value.date().isoformat())
    return number_text(value) if isinstance(value, float) else str(value)


def _quoted(cell: str, delimiter: str) -> str:
    if not any(sign in cell for sign in (delimiter, '"', "\r", "\n")):
        return cell
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'
