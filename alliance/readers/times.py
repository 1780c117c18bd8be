"""Date and session columns: one format for a column as a whole, or a refusal that says why."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance.readers.answers import MISSING_WORDS
from alliance.readers.mapping import plain

Array = np.ndarray[Any, Any]

NOT_A_SESSION = -1

_TIME = r"(?:[ T][^\d\n]*\d.*)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([./-])(\d{{1,2}})\2(\d{{4}}){_TIME}")
_SESSION = re.compile(r"(\D*?)0*(\d{1,9})(?:[.,]0*)?")


@dataclass(frozen=True, kw_only=True)
class Dates:
    """A date column read: days as datetime64[s], cells that are no date, and whether the order is open."""

    days: Array
    unreadable: Array
    ambiguous: bool = False


def read_dates(texts: Array, *, date_format: str = "") -> Dates:
    """Return the dates of a column whose cells follow one order of day and month.

    A cell that begins with the year cannot be mistaken and may stand beside the others. The column is
    ambiguous if both orders fit and give different dates, or if some cells need the one and some the other.
    """
    codes, words = pd.factorize(texts)
    if not len(words):
        return Dates(days=np.array([], dtype="datetime64[s]"), unreadable=np.zeros(0, dtype=bool))
    blank = np.array([plain(word) in MISSING_WORDS for word in words], dtype=bool)
    day_first, month_first = (_days(words, order) for order in ("dmy", "mdy"))
    only_day, only_month = (~np.isnat(day_first), ~np.isnat(month_first))
    differ = bool((only_day & only_month & (day_first != month_first)).any())
    needs_day, needs_month = bool((only_day & ~only_month).any()), bool((only_month & ~only_day).any())
    ambiguous = not date_format and ((differ and needs_day == needs_month) or (needs_day and needs_month))
    chosen = month_first if date_format == "mdy" or (needs_month and not date_format) else day_first
    unreadable = np.isnat(chosen) & ~blank
    if date_format == "ymd":
        unreadable |= np.array([not _YEAR_FIRST.fullmatch(word) for word in words], dtype=bool) & ~blank
    chosen = np.where(unreadable, np.datetime64("NaT"), chosen).astype("datetime64[s]")
    return Dates(days=chosen[codes], unreadable=unreadable[codes], ambiguous=ambiguous)


def _days(words: Array, order: str) -> Array:
    return np.array([_date(word, order) for word in words], dtype="datetime64[s]")


def read_sessions(texts: Array) -> tuple[Array, Array, Array]:
    """Return session numbers (-1 where there is none), where the cell is blank, and where it is no number.

    `3`, `3.0` and `003` are numbers. `Session 3` and `ses-03` are, if every cell has that one prefix.
    """
    codes, words = pd.factorize(texts)
    blank = np.array([plain(word) in MISSING_WORDS for word in words], dtype=bool)
    parts = [_SESSION.fullmatch(plain(word)) for word in words]
    prefixes = {part[1] for part, empty in zip(parts, blank, strict=True) if part and not empty}
    common = prefixes.pop() if len(prefixes) == 1 else ""
    fits = [part is not None and part[1] == common and not common.endswith(("-", "+")) for part in parts]
    if re.fullmatch(r"[^\W\d_]+[-_ ]?", common):
        fits = [part is not None and part[1] == common for part in parts]
    found = [int(part[2]) if part and fit else NOT_A_SESSION for part, fit in zip(parts, fits, strict=True)]
    numbers = np.array(found, dtype=np.int64)
    wrong = (numbers == NOT_A_SESSION) & ~blank
    if not len(words):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    return numbers[codes], blank[codes], wrong[codes]


def _date(word: str, order: str) -> np.datetime64:
    match = _YEAR_FIRST.fullmatch(word)
    if match:
        return _day(match[1], match[3], match[4])
    match = _YEAR_LAST.fullmatch(word)
    if match is None:
        return np.datetime64("NaT")
    day, month = (match[1], match[3]) if order == "dmy" or match[2] == "." else (match[3], match[1])
    return _day(match[4], month, day)


def _day(year: str, month: str, day: str) -> np.datetime64:
    try:
        return np.datetime64(datetime.date(int(year), int(month), int(day)), "s")
    except ValueError:
        return np.datetime64("NaT")
