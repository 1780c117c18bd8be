"""Planted ruptures: what `alliance simulate --with-truth` wrote about each case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import Courses
from alliance.errors import DataError, Trouble
from alliance.evaluation.truth import KINDS, WITHIN, Ruptures, Truth, last_sessions

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]

HEALS = {"v1": 1, "v3": 3}
"""Sessions after the onset at which the planted fall is over; a step and a ramp stay down."""
LASTING = ("step", "ramp")
YES_NO = {"true": 1, "yes": 1, "1": 1, "false": 0, "no": 0, "0": 0}


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What was planted in each case, shape (cases,).

    Attributes
    ----------
    case : object; case codes, each once
    kind : int; place in KINDS, 0 = nothing
    onset : int; session number, 0 = nothing
    reached : float; 1 if the treatment got as far as the onset, 0 if it ended before, NaN = not told
    """

    case: Array
    kind: Array
    onset: Array
    reached: Array

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Planted:
        """Return what a truth table says, texts or typed; the row labels are told as lines.

        Parameters
        ----------
        frame : DataFrame
            One row per case: `case`, `rupture` (none, v1, v3, step, ramp), `onset` (session, empty if none)
            and, if it is there, `reached`.

        Raises
        ------
        DataError
            With everything that is wrong: no such column, an unknown kind, no onset, a case twice.
        """
        absent = [name for name in ("case", "rupture", "onset") if name not in frame.columns]
        if absent:
            message = f"the truth has no column {' and no column '.join(absent)}"
            raise DataError(message, hint="it is written by `alliance simulate --with-truth`")
        kind, unknown = _codes(frame["rupture"], {name: place for place, name in enumerate(KINDS)})
        onset, no_session = _sessions(frame["onset"])
        reached, unclear = np.full(len(frame), np.nan), np.full(len(frame), False)
        if "reached" in frame.columns:
            reached, unclear = _codes(frame["reached"], YES_NO)
        case = frame["case"].astype(str).to_numpy(dtype=object)
        wrong = (
            ("rupture is none of none, v1, v3, step, ramp", unknown, "rupture"),
            ("onset is no session number", (kind > 0) & no_session, "onset"),
            ("reached is neither true nor false", unclear, "reached"),
            ("case is there twice", frame["case"].duplicated().to_numpy(), "case"),
        )
        troubles = [_trouble(frame, what, where, name) for what, where, name in wrong if where.any()]
        if troubles:
            raise DataError.of(troubles)
        ruptured = kind > 0
        return cls(case=case, kind=kind.astype(np.int64), onset=np.where(ruptured, onset, 0), reached=reached)

    def truth(self, courses: Courses, cases: Array) -> Truth:
        """Return the truth about courses whose series belong to `cases`.

        A rupture that the treatment did not reach is none. Sessions before the onset are free of rupture;
        what comes after it is not said. False alarms are counted in cases without a rupture.

        Raises
        ------
        DataError
            If a case has no truth.
        """
        place = self._places(cases)
        last = last_sessions(courses)
        kind, onset = self.kind[place], self.onset[place]
        reached = np.where(np.isnan(self.reached[place]), onset <= last, self.reached[place] == 1)
        ruptured = (kind > 0) & reached
        quiet = ~ruptured[courses.series]
        before = courses.session < onset[courses.series]
        free = quiet | before
        label = np.where(free, 0.0, np.nan)
        label[~quiet & (courses.session == onset[courses.series])] = 1.0
        return Truth(
            source="planted",
            ruptures=_ruptures(np.flatnonzero(ruptured), kind, onset, last),
            label=label,
            free=free,
            quiet=quiet,
            quiet_series=~ruptured,
        )

    def _places(self, cases: Array) -> Array:
        import pandas as pd

        place = pd.Index(self.case).get_indexer(pd.Index([str(case) for case in cases]))
        strangers = [f"case {cases[number]}" for number in np.flatnonzero(place < 0).tolist()]
        if strangers:
            message = f"{len(strangers)} {'case has' if len(strangers) == 1 else 'cases have'} no truth"
            hint = "the truth has one row for each case; rupture none if nothing was planted"
            raise DataError(message, where=strangers, hint=hint)
        return np.asarray(place, dtype=np.int64)


def _ruptures(series: Array, kind: Array, onset: Array, last: Array) -> Ruptures:
    kinds, onsets, ends = kind[series], onset[series], last[series]
    within = np.array(WITHIN)[kinds]
    heals = np.array([HEALS.get(name, 0) for name in KINDS])[kinds]
    lasting = np.isin(kinds, [KINDS.index(name) for name in LASTING])
    seen = onsets + heals <= ends
    return Ruptures(
        series=series,
        onset=onsets,
        within=within,
        until=np.where(lasting, np.maximum(ends, onsets + within), onsets + within),
        kind=kinds,
        repaired=np.where(lasting, 0.0, np.where(seen, 1.0, np.nan)),
    )


def _codes(column: pd.Series[Any], known: dict[str, int]) -> tuple[Array, Array]:
    """Return the number of each word, and where a word is not known."""
    texts = column.astype(str).str.strip().str.casefold()
    numbers = texts.map(known).to_numpy(dtype=float)
    return np.where(np.isnan(numbers), 0.0, numbers), np.isnan(numbers)


def _sessions(column: pd.Series[Any]) -> tuple[Array, Array]:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = ~np.isfinite(numbers) | (numbers % 1 != 0)
    return np.where(bad, 0.0, numbers).astype(np.int64), bad


def _trouble(frame: pd.DataFrame, what: str, where: Array, name: str) -> Trouble:
    rows = np.flatnonzero(where)
    cells = zip(frame.index[rows], frame["case"].iloc[rows], frame[name].iloc[rows], strict=True)
    places = tuple(f"line {line}: case {case}, {name} = {value}" for line, case, value in cells)
    n_rows = f"{len(rows)} row{'s' if len(rows) > 1 else ''} of the truth"
    return Trouble(what=f"{n_rows}: {what}", where=places, hint="compare `alliance simulate --with-truth`")
