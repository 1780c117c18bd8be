"""Predictors of the user's own: baseline columns of Treatments, and scores recorded session by session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.errors import DataError, UsageError, unknown_name
from alliance.frames import KEYS, TREATMENTS

if TYPE_CHECKING:
    import pandas as pd

    from alliance.dropout.ends.record import Record

Array = np.ndarray[Any, Any]

MARKER = "synthetic"
"""A column that says that rows were made up; no predictor."""

MOST_LEVELS = 20
"""Different texts a baseline column may hold; more are no groups."""


@dataclass(frozen=True, kw_only=True)
class CovariateSource:
    """Where covariates are looked up: Treatments first, then the alliance form, then other forms."""

    scores: pd.DataFrame
    treatments: pd.DataFrame
    others: Mapping[str, pd.DataFrame]

    @cached_property
    def baseline(self) -> tuple[str, ...]:
        """Names of the baseline columns."""
        return tuple(str(name) for name in self.treatments.columns if name not in {*TREATMENTS, MARKER})

    @cached_property
    def by_session(self) -> dict[str, tuple[str, str]]:
        """Return name → (form, column) of everything recorded by session; form "" is the alliance form."""
        own = {name: ("", name) for name in _numeric(self.scores) if name != "total"}
        of_others = {
            f"{form}.{name}": (form, name) for form, frame in self.others.items() for name in _numeric(frame)
        }
        totals = {form: (form, "total") for form in self.others if f"{form}.total" in of_others}
        return {**of_others, **totals, **own}

    def require(self, names: Sequence[str]) -> None:
        """Raise UsageError for a covariate that is nowhere."""
        known = [*self.baseline, *self.by_session]
        for name in names:
            if name not in known and self.level_of(name) is None:
                what, hint = unknown_name("covariate", name, known)
                raise UsageError(what, hint=hint if known else "the data hold no column beyond the ratings")

    def level_of(self, name: str) -> tuple[str, str] | None:
        """Return column and text where a name such as `site=north` asks for one text of a baseline column."""
        column, _, level = name.partition("=")
        return (column, level) if level and column in self.baseline and name not in self.baseline else None

    def forms(self, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
        """Return the alliance forms with the session covariates beside them, and the names of those.

        A session of which there is only another form gets a row of its own, without a rating.
        """
        self.require(names)
        wanted = [
            name for name in dict.fromkeys(names) if name not in self.baseline and self.level_of(name) is None
        ]
        frame = self.scores.reset_index(drop=True)
        for form, other in self.others.items():
            frame = _beside(
                frame,
                other,
                {name: self.by_session[name][1] for name in wanted if self.by_session[name][0] == form},
            )
        return frame, wanted


def covariates_of(names: Sequence[str], source: CovariateSource, record: Record) -> dict[str, Array]:
    """Return the values of each covariate at every visit, NaN = not recorded."""
    found: dict[str, Array] = {}
    for name in dict.fromkeys(names):
        level = source.level_of(name)
        if level is None and name not in source.baseline:
            found[name] = record.visits.parts[name]
            continue
        columns = {} if level else _columns(name, source.treatments[name])
        if level is not None:
            columns[name] = _is_level(source.treatments[level[0]], level[1])
        for column, values in columns.items():
            found[column] = record.of_treatment(values, np.nan)[record.visits.case]
    return found


def _columns(name: str, column: pd.Series[Any]) -> dict[str, Array]:
    """Return a baseline column as numbers, or as one 0/1 column for each text but the most frequent one."""
    texts = _texts(column)
    numbers = [_number(text) for text in texts]
    if all(number is not None for number in numbers):
        return {name: np.array(numbers, dtype=float)}
    counts = Counter(text for text in texts if text)
    if not 1 < len(counts) <= MOST_LEVELS:
        held = "only one text" if len(counts) == 1 else f"{len(counts)} different texts"
        message = f"the covariate '{name}' has {held}"
        raise DataError(message, hint=f"a column of texts needs 2 to {MOST_LEVELS} of them to tell groups")
    usual = min(counts, key=lambda text: (-counts[text], text))
    return {f"{name}={level}": _is_level(column, level) for level in sorted(counts) if level != usual}


def _is_level(column: pd.Series[Any], level: str) -> Array:
    """Return 1 where a baseline column has the text `level`, 0 where another one, NaN where none."""
    words = np.array(_texts(column), dtype=object)
    return np.where(words == "", np.nan, (words == level).astype(float))


def _texts(column: pd.Series[Any]) -> list[str]:
    return ["" if cell is None or cell != cell else str(cell).strip() for cell in column.tolist()]  # noqa: PLR0124 -- only a NaN differs from itself


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", ".")) if text else float("nan")
    except ValueError:
        return None
    return number if not text or np.isfinite(number) else None


def _numeric(frame: pd.DataFrame) -> list[str]:
    return [
        str(name)
        for name, kind in frame.dtypes.items()
        if name not in {*KEYS, "n_missing"} and kind.kind in "iuf"
    ]


def _beside(frame: pd.DataFrame, other: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return `frame` with the client's scores of another form beside it, and its lone sessions below."""
    import pandas as pd

    by = ["case", "session"]
    client = other["rater"].astype(object).fillna("").isin(["", "client"])
    rows = other.loc[client, [*by, "date", "therapist", *dict.fromkeys(columns.values())]]
    rows = rows.assign(**{name: rows[column] for name, column in columns.items()})
    mine = frame["rater"].astype(object).fillna("").isin(["", "client"])
    joined = frame.merge(rows[[*by, *columns]], on=by, how="left", validate="many_to_one")
    there = pd.MultiIndex.from_frame(frame.loc[mine, by])
    lone = rows[~pd.MultiIndex.from_frame(rows[by]).isin(there)]
    if lone.empty:
        return joined
    added = lone[[*by, "date", "therapist", *columns]].assign(rater="client", total=np.nan)
    return pd.concat([joined, added], ignore_index=True)
