"""Who came and who did not: words → codes, and Appointments from a study or from a file of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import DataError, Trouble
from alliance.frames import APPOINTMENTS, ATTENDANCE
from alliance.readers.answers import MISSING_WORDS
from alliance.readers.columns import key_of
from alliance.readers.problems import places

Array = np.ndarray[Any, Any]

WORDS: dict[str, str] = {
    **{code: code for code in ATTENDANCE},
    "present": "attended", "came": "attended", "completed": "attended", "kept": "attended",
    "noshow": "no_show", "dna": "no_show", "did_not_attend": "no_show", "missed": "no_show",
    "absent": "no_show",
    "cancelled_late": "cancel_client_late", "late_cancel": "cancel_client_late",
    "late_cancellation": "cancel_client_late", "cancelled_late_by_client": "cancel_client_late",
    "cancelled_by_client": "cancel_client", "canceled_by_client": "cancel_client",
    "client_cancelled": "cancel_client", "client_canceled": "cancel_client",
    "cancelled_by_clinic": "cancel_clinic", "canceled_by_clinic": "cancel_clinic",
    "clinic_cancelled": "cancel_clinic", "clinic_canceled": "cancel_clinic",
    "cancelled_by_therapist": "cancel_clinic", "canceled_by_therapist": "cancel_clinic",
    "planned": "scheduled", "booked": "scheduled",
}  # fmt: skip
YES = frozenset(("yes", "y", "1", "true", "t", "ja"))
NO = frozenset(("no", "n", "0", "false", "f", "nein"))


def read_words(texts: Array, *, yes_no: bool = False) -> tuple[Array, Array]:
    """Return the attendance code of each cell, and where it is no known word; blank counts as attended."""
    codes, words = pd.factorize(texts)
    read = [_read_word(word, yes_no=yes_no) for word in words]
    found = np.array([code or "attended" for code in read], dtype=object)
    unknown = np.array([not code for code in read], dtype=bool)
    if not len(words):
        return np.array([], dtype=object), np.zeros(0, dtype=bool)
    return found[codes], unknown[codes]


def _read_word(word: str, *, yes_no: bool) -> str:
    text = word.casefold()
    if text in MISSING_WORDS or (yes_no and text in YES):
        return "attended"
    if yes_no and text in NO:
        return "no_show"
    return WORDS.get(key_of(word), "")


def appointments_of(forms: pd.DataFrame, missed: pd.DataFrame) -> pd.DataFrame:
    """Return Appointments: one row for each session somebody filled a form in at, and each missed one."""
    return in_order(pd.concat([forms.drop_duplicates(["case", "shown"]), missed]))


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return Appointments in order: by date in cases whose dates are all known, else as in the file."""
    first = rows.groupby("case")["line"].transform("min")
    dated = rows["date"].notna().groupby(rows["case"]).transform("all")
    day = rows["date"].where(dated)
    ordered = rows.assign(first=first, day=day).sort_values(
        ["first", "day", "line"], kind="stable", ignore_index=True
    )
    ordered["session"] = ordered["shown"].astype("Int64")
    return ordered[list(APPOINTMENTS)]


def appointments_twice(rows: pd.DataFrame) -> list[Trouble]:
    """Return a trouble if several files hold one appointment; `rows` say their file and their line in it."""
    placed = rows["date"].notna() | rows["shown"].notna()
    by = ["case", "shown", "date"]
    files = rows[placed].groupby(by, dropna=False)["file"].transform("nunique")
    twice = rows.loc[files.index[files > 1]]
    if twice.empty:
        return []
    shown = twice.assign(line=twice["of_file"], session=twice["shown"])[["line", "case", "session"]]
    where = [f"{name}, {place}" for name, place in zip(twice["file"], places(shown), strict=True)]
    what = "appointments are there in more than one file"
    return [Trouble(what=what, where=tuple(where), hint="leave out one of the files, or the rows they share")]


def empty_appointments() -> pd.DataFrame:
    """Return Appointments without rows."""
    kinds = {"session": "Int64", "date": "datetime64[s]"}
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "object")) for name in APPOINTMENTS})


def refuse_without_attendance(path: str | Path) -> DataError:
    """Return the error for an attendance file that says of nobody whether they came."""
    message = f"'{path}' has no column attendance or attended"
    return DataError(message, hint=f"add one, with {', '.join(ATTENDANCE)}")
