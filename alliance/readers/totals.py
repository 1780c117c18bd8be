"""Totals recorded beside the items: compared with the score of the items, never used in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance.readers.columns import key_of
from alliance.readers.mapping import Mapping
from alliance.readers.problems import Log, counted
from alliance.readers.table import TextTable
from alliance.scale import Scale
from alliance.scoring import score

Array = np.ndarray[Any, Any]

_SHARE_OF_A_TOTAL = 0.5
_TOLERANCE = 1e-6


def total_columns(names: tuple[str, ...], mapping: Mapping) -> list[int]:
    """Return the places of the recorded totals: the mapping's, else total, sum, *_total, *_sum."""
    if mapping.total:
        return [place for place, name in enumerate(names) if name == mapping.total]
    keys = [key_of(name) for name in names]
    return [
        place for place, key in enumerate(keys) if key in {"total", "sum"} or key.endswith(("_total", "_sum"))
    ]


def compare_totals(
    table: TextTable, responses: pd.DataFrame, scale: Scale, mapping: Mapping, log: Log
) -> None:
    """Tell where a recorded total of a complete form is not the score of its items, as a sum or as a mean."""
    if mapping.total and mapping.total not in table.names:
        log.note(f"there is no column '{mapping.total}', the total in the mapping")
    if scale.total is None:
        return
    rows = np.searchsorted(table.lines, responses.index.to_numpy())
    complete = responses[list(scale.items)].notna().all(axis=1).to_numpy()
    for place in total_columns(table.names, mapping):
        recorded = _read(table.columns[place][rows], complete)
        if recorded.looked.any():
            total = _nearer_metric(score(responses, scale)["total"].to_numpy(), recorded, scale)
            _tell(table.names[place], recorded, total, responses, log=log)


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    """The numbers in a column, half a unit of their last decimal, and the forms they can be compared in."""

    numbers: Array
    half_unit: Array
    looked: Array

    def differs(self, total: Array) -> Array:
        """Return where a recorded number is not the total, as far as it was written out."""
        apart = np.abs(total - self.numbers) > self.half_unit + _TOLERANCE
        return np.asarray(self.looked & apart)


def _read(texts: Array, complete: Array) -> _Recorded:
    """Return the recorded totals; a number without decimals is taken as exact."""
    codes, words = pd.factorize(texts)
    written = pd.Series(words, dtype=object).str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(written, errors="coerce").to_numpy(dtype=float)[codes]
    decimals = written.str.extract(r"\.(\d+)$")[0].str.len().fillna(0).to_numpy(dtype=float)
    half_unit = np.where(decimals > 0, 0.5 * 10.0**-decimals, 0.0)[codes]
    return _Recorded(numbers=numbers, half_unit=half_unit, looked=np.isfinite(numbers) & complete)


def _nearer_metric(total: Array, recorded: _Recorded, scale: Scale) -> Array:
    """Return the total as scored, as plain sum or as mean, whichever agrees with most recorded ones."""
    formula = scale.total
    if formula is None or formula.of:
        return total
    n_items = len(formula.items)
    raw = (total - formula.offset) / formula.factor
    other = (raw, raw / n_items if formula.method == "sum" else raw * n_items)
    return min((total, *other), key=lambda each: int(recorded.differs(each).sum()))


def _tell(name: str, recorded: _Recorded, total: Array, responses: pd.DataFrame, *, log: Log) -> None:
    differs = recorded.differs(total)
    n_looked = int(recorded.looked.sum())
    if differs.sum() > _SHARE_OF_A_TOTAL * n_looked:
        what = f"column '{name}' was not taken for a recorded total: it differs from the items"
        log.note(f"{what} in {differs.sum()} of {counted(n_looked, 'complete form')}")
    elif differs.any():
        rows = responses[differs]
        cells = zip(
            rows.index, rows["case"], rows["session"], recorded.numbers[differs], total[differs], strict=True
        )
        where = [
            f"line {line}: case {case}, session {n}: {told:g}, not {ours:g}"
            for line, case, n, told, ours in cells
        ]
        what = counted(len(where), "recorded total is", "recorded totals are")
        log.note(f"{what} not the score of the items, which was used instead (column '{name}')", where)
