"""The flag of an outcome system, imported as it is: words → 1 or 0, one for each case and session."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alliance.readers.answers import MISSING_WORDS
from alliance.readers.attendance import NO, YES
from alliance.readers.columns import Column
from alliance.readers.problems import Kind, Log

Array = np.ndarray[Any, Any]

ROLE = "external_not_on_track"

BAD_FLAG = Kind(
    label="unknown flag",
    one="flag of the outcome system is neither yes nor no",
    many="flags of the outcome system are neither yes nor no",
    hint="use yes or no, 1 or 0; leave the cell empty where it is not known",
)


def read_flags(texts: Array) -> tuple[Array, Array]:
    """Return the flag of each cell, 1 or 0, NaN = blank; and where it is no known word, NaN too."""
    codes, words = pd.factorize(texts)
    read = [_read_flag(word.casefold()) for word in words]
    if not read:
        return np.zeros(0), np.zeros(0, dtype=bool)
    flags = np.array([np.nan if flag is None else flag for flag in read])
    return flags[codes], np.array([flag is None for flag in read])[codes]


def _read_flag(word: str) -> float | None:
    if word in MISSING_WORDS:
        return np.nan
    return 1.0 if word in YES else 0.0 if word in NO else None


def note_flags(forms: pd.DataFrame, keys: dict[str, Column], log: Log) -> None:
    """Note down every cell of the flag's column that cannot be read."""
    if ROLE not in keys:
        return
    _, unknown = read_flags(forms[ROLE].to_numpy(dtype=object))
    bad = forms[unknown]
    rows = bad[["line", "case", "shown", "rater"]].rename(columns={"shown": "session"})
    log.problem(BAD_FLAG, rows, item=ROLE, value=bad[ROLE], column=keys[ROLE].name)


def flags_of(forms: pd.DataFrame) -> pd.DataFrame:
    """Return `case session not_on_track`, a row for each session that has a flag; 1 if any form says so."""
    flags, _ = read_flags(forms[ROLE].to_numpy(dtype=object))
    rows = pd.DataFrame(
        {"case": forms["case"].to_numpy(), "session": forms["shown"].to_numpy(), "not_on_track": flags}
    )
    rows = rows[np.isfinite(flags)].astype({"session": "int64"})
    return rows.groupby(["case", "session"], sort=False)["not_on_track"].max().reset_index()


def no_flags() -> pd.DataFrame:
    """Return a frame of no flags."""
    return pd.DataFrame(
        {
            "case": pd.Series(dtype=object),
            "session": pd.Series(dtype="int64"),
            "not_on_track": pd.Series(dtype=float),
        }
    )
