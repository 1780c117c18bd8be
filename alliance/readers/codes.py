"""Codes of cases, therapists and raters: what nobody sees, or no formula gave, is the code of no person."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from alliance.cells import ERRORS, are_codes, is_code, visible_code
from alliance.readers.columns import Column
from alliance.readers.problems import Kind, Log, counted
from alliance.readers.table import TextTable

ROLES = ("case", "therapist", "rater")
UNSEEN = Kind(
    label="code with characters that cannot be seen",
    one="code holds a character that cannot be seen",
    many="codes hold characters that cannot be seen",
    hint="type the code anew, on one line; no control characters, line breaks or tabs",
)
FAILED = Kind(
    label="code is a formula without a value",
    one="code is a formula that gave no value",
    many="codes are formulas that gave no value",
    hint="correct the formula in the workbook and save it, or paste the codes as values",
)


def with_usable_codes(forms: pd.DataFrame, keys: Mapping[str, Column], log: Log) -> pd.DataFrame:
    """Return the forms whose case, therapist and rater are codes; the others are noted down."""
    usable = np.ones(len(forms), dtype=bool)
    for role in ROLES:
        words = forms[role].unique().tolist()
        if are_codes(words):
            continue
        failed = forms[role].isin(ERRORS).to_numpy()
        unseen = forms[role].isin([word for word in words if not is_code(word)]).to_numpy() & ~failed
        name = keys[role].name if role in keys else role
        for kind, wrong in ((UNSEEN, unseen), (FAILED, failed)):
            rows = _shown(forms[wrong & usable])
            log.problem(kind, rows, item=role, value=rows[role], column=name)
        usable &= ~(unseen | failed)
    return forms[usable]


def _shown(forms: pd.DataFrame) -> pd.DataFrame:
    """Return the keys of forms as problems want them, with every character to be seen."""
    rows = forms[["line", "shown", *ROLES]].rename(columns={"shown": "session"})
    return rows.assign(**{role: rows[role].map(visible_code) for role in ROLES})


def refuse_unusable_codes(table: TextTable, keys: Mapping[str, Column], log: Log) -> None:
    """Note down as a trouble every line of a table whose case, therapist or rater is no code."""
    for role in ROLES:
        column = keys.get(role)
        if column is None or are_codes(pd.unique(table.columns[column.place]).tolist()):
            continue
        cells = pd.Series(table.columns[column.place], index=table.lines, dtype=object)
        failed = cells[cells.isin(ERRORS)]
        unseen = cells[[not is_code(cell) and cell not in ERRORS for cell in cells]]
        for kind, wrong in ((UNSEEN, unseen), (FAILED, failed)):
            where = [f"line {line}: {column.name} = {visible_code(cell)}" for line, cell in wrong.items()]
            if where:
                log.trouble(counted(len(where), kind.one, kind.many), where=where, hint=kind.hint)
