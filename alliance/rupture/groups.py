"""Scores → the courses of each rater."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import MAX_GAP_DAYS, Courses

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """All courses of one rater, and their subscales; `place` is the number of the case of each series."""

    rater: str
    place: Array
    total: Courses
    parts: Mapping[str, Array] = field(default_factory=dict)


def groups(
    scores: pd.DataFrame,
    columns: Sequence[str],
    column: str = "total",
    *,
    max_gap_days: float = MAX_GAP_DAYS,
) -> Iterator[Group]:
    """Yield the courses of each rater, cases in order of first appearance, sessions ascending.

    Parameters
    ----------
    scores : DataFrame
        Scores.
    columns : sequence of str
        Subscales that come along as parts.
    column : str
        The score that is judged.
    max_gap_days : float
        Sessions further apart are no neighbours.
    """
    case_code, _ = scores["case"].factorize()
    ordered = scores.assign(_case=case_code).sort_values(["_case", "rater", "session"], kind="stable")
    for rater, rows in ordered.groupby("rater", sort=True):
        code = rows["_case"].to_numpy()
        starts = np.flatnonzero(np.diff(code, prepend=-1))
        total = Courses(
            values=rows[column].to_numpy(dtype=float),
            session=rows["session"].to_numpy(dtype=np.int64),
            starts=starts,
            day=days(rows["date"].to_numpy()),
            max_gap_days=max_gap_days,
        )
        parts = {name: rows[name].to_numpy(dtype=float) for name in columns}
        yield Group(rater=str(rater), place=code[starts], total=total, parts=parts)


def days(date: Array) -> Array | None:
    """Return dates as day numbers, NaN where unknown; None if no date is known at all."""
    stamps = date.astype("datetime64[D]")
    unknown = np.isnat(stamps)
    return None if unknown.all() else np.where(unknown, np.nan, stamps.astype(np.int64).astype(float))
