"""Reliable improvement on an outcome measure, by a value that somebody published or named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dropout.triage import sides
from alliance.dropout.visits import CLIENT
from alliance.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

Array = np.ndarray[Any, Any]

ONE_SCORE = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Scores of an outcome measure, and the change of its total that is reliable.

    `value` replaces the published reliable-change value, in score points; it needs its `source`.
    """

    scores: pd.DataFrame
    scale: Scale
    value: float | None = None
    source: str = ""

    def reliable(self) -> tuple[float, str]:
        """Return the reliable-change value and where it comes from.

        Raises
        ------
        UsageError
            If there is no value, several published ones, or one without its source.
        """
        published = [
            (row.value, row.source)
            for row in self.scale.reliable_change
            if row.score == "total" and row.status == "published"
        ]
        if self.value is not None:
            return self.value, self._named_source(published)
        if len(published) == 1:
            return published[0]
        if not published:
            message = f"'{self.scale.id}' has no published reliable-change value of its total"
            raise UsageError(message, hint="give the value with its source")
        where = [f"{value:g}: {source}" for value, source in published]
        message = f"'{self.scale.id}' has {len(published)} published reliable-change values of its total"
        raise UsageError(message, where=where, hint="name one of them")

    def named(self) -> dict[str, Any]:
        """Return the measure, the value and its source, as plain values."""
        value, source = self.reliable()
        return {"outcome": self.scale.id, "reliable_change": float(value), "reliable_change_source": source}

    def _named_source(self, published: list[tuple[float, str]]) -> str:
        if self.value is None or not self.value > 0:
            message = f"a reliable-change value must be above 0, got {self.value:g}"
            raise UsageError(message, hint="in points of the total")
        same = [source for value, source in published if abs(value - self.value) <= TOLERANCE]
        source = self.source or next(iter(same), "")
        if not source:
            message = f"the reliable-change value {self.value:g} of '{self.scale.id}' has no source"
            raise UsageError(message, hint="name the paper or the manual it comes from")
        return source


def improvement(outcome: Outcome, cases: Array) -> Array:
    """Return whether each case improved reliably: 1, 0, NaN = fewer than two scores.

    The last score of the client's total is compared with the first; a change of just the value counts.

    Parameters
    ----------
    outcome : Outcome
    cases : object, shape (cases,)

    Returns
    -------
    float, shape (cases,)
    """
    import pandas as pd

    value, _ = outcome.reliable()
    scale = outcome.scale
    by_client = sides(
        outcome.scores["rater"].astype(object).fillna("").to_numpy().astype(str), scale.perspective
    )
    rows = outcome.scores[(by_client == CLIENT) & outcome.scores["total"].notna()]
    grouped = rows.sort_values("session", kind="stable").groupby("case")["total"]
    found = pd.DataFrame({"change": grouped.last() - grouped.first(), "n": grouped.size()}).reindex(cases)
    sign = -1.0 if scale.direction == "higher_is_worse" else 1.0
    change = sign * found["change"].to_numpy(dtype=float)
    enough = found["n"].fillna(0).to_numpy() > ONE_SCORE
    return np.where(enough, (change >= value - TOLERANCE).astype(float), np.nan)
