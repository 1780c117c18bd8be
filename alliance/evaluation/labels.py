"""Labels: sessions in which somebody saw a rupture, or said there was none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import Courses
from alliance.errors import DataError
from alliance.evaluation.truth import Ruptures, Truth, neighbours, runs

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]

WINDOW = 2
STAYED = 6
"""Sessions after which a rupture that is still labelled counts as not repaired, as episodes end."""
WORDS = {"1": 1.0, "yes": 1.0, "true": 1.0, "0": 0.0, "no": 0.0, "false": 0.0, "": np.nan}


def label_values(cells: pd.Series[Any], keys: pd.DataFrame) -> Array:
    """Return labels as 1, 0, or NaN where there is none.

    Parameters
    ----------
    cells : Series
        Texts (1 or 0, yes or no, true or false, in any case; blank = not observed), or numbers and truth
        values.
    keys : DataFrame
        `case` and `session` of the same rows, labelled by the line of the file.

    Raises
    ------
    DataError
        With every line whose cell is none of these.
    """
    codes, words = cells.factorize(use_na_sentinel=True)
    values = np.array([WORDS.get(_word(word), np.inf) for word in words] + [np.nan])
    found: Array = values[codes]
    wrong = np.flatnonzero(np.isinf(found))
    if len(wrong):
        cells_of = zip(keys["case"].iloc[wrong], keys["session"].iloc[wrong], cells.iloc[wrong], strict=True)
        lines = zip(keys.index[wrong], cells_of, strict=True)
        verb = "labels are" if len(wrong) > 1 else "label is"
        message = f"{len(wrong)} {verb} neither yes nor no in '{cells.name}'"
        raise DataError(
            message,
            where=[f"line {line}: case {case}, session {at}, '{cell}'" for line, (case, at, cell) in lines],
            hint="write 1 or 0, yes or no, true or false; blank = not observed",
        )
    return found


def _word(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip().casefold()


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The label of some sessions, one entry each, shape (sessions,), ordered by case and session.

    Attributes
    ----------
    place : int; number of the case
    session : int
    value : 1 rupture, 0 none, NaN not observed
    """

    place: Array
    session: Array
    value: Array

    @classmethod
    def of(cls, keys: pd.DataFrame, place: Array, value: Array) -> Labels:
        """Return one label for each session: what the rows of several raters say of it must not differ.

        Parameters
        ----------
        keys : DataFrame
            `case` and `session`, labelled by the line of the file.
        place : int, shape (rows,)
            Number of the case.
        value : 1/0/NaN, shape (rows,)

        Raises
        ------
        DataError
            If a session is labelled both ways.
        """
        session = keys["session"].to_numpy(dtype=np.int64)
        said = np.flatnonzero(np.isfinite(value))
        rows = said[np.lexsort((said, session[said], place[said]))]
        again = np.zeros(len(rows), dtype=bool)
        again[1:] = (np.diff(place[rows]) == 0) & (np.diff(session[rows]) == 0)
        group = np.cumsum(~again) - 1
        first = rows[~again]
        torn = np.flatnonzero(value[rows] != value[first][group]) if len(rows) else rows
        if len(torn):
            both = [(keys.index[first[group[row]]], rows[row]) for row in torn.tolist()]
            cases, at = keys["case"].to_numpy(dtype=object), session
            where = [f"lines {a} and {keys.index[b]}: case {cases[b]}, session {at[b]}" for a, b in both]
            message = f"{len(torn)} session{'s are' if len(torn) > 1 else ' is'} labelled both ways"
            raise DataError(message, where=where, hint="give the labels of each judge a column of their own")
        return cls(place=place[first], session=session[first], value=value[first])

    def rows(self, courses: Courses, place: Array) -> Array:
        """Return the label of every row of courses whose series are the cases `place`, shape (forms,)."""
        label = np.full(len(courses.values), np.nan)
        if not len(self.session) or not len(label):
            return label
        low = min(int(self.session.min()), int(courses.session.min()))
        span = max(int(self.session.max()), int(courses.session.max())) - low + 1
        known = self.place * span + self.session - low
        wanted = place[courses.series] * span + courses.session - low
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        found = known[at] == wanted
        label[found] = self.value[at[found]]
        return label


def labelled(courses: Courses, label: Array, *, within: int = WINDOW) -> Truth:
    """Return the truth that labels tell about courses.

    Parameters
    ----------
    courses : Courses
    label : 1/0/NaN, shape (forms,)
        NaN = not observed; such a session is neither a rupture nor free of one.
    within : int
        Sessions after the onset within which a flag counts as a detection.

    Returns
    -------
    Truth
        Labelled sessions that follow directly on one another are one rupture. Free of rupture are sessions
        labelled 0 outside the window of every rupture. A rupture is repaired if the session directly after
        its last one is labelled 0, at most 6 sessions after its onset; not repaired if it is still labelled
        then; else that is not known. Series without any label are no quiet series.
    """
    if within < 0:
        message = f"within must be at least 0, got {within}"
        raise ValueError(message)
    first, last = runs(courses, label == 1)
    onset = courses.session[first]
    free = (label == 0) & (_since_onset(courses, first) > within)
    n_series = len(courses.starts)
    observed, seen = (
        np.bincount(courses.series[rows], minlength=n_series) for rows in (np.isfinite(label), label == 1)
    )
    ruptures = Ruptures(
        series=courses.series[first],
        onset=onset,
        within=np.full(len(first), within),
        until=np.maximum(courses.session[last], onset + within),
        kind=np.zeros(len(first), dtype=np.int64),
        repaired=_repaired(courses, label, first, last),
    )
    quiet = (observed > 0) & (seen == 0)
    return Truth(source="labels", ruptures=ruptures, label=label, free=free, quiet=free, quiet_series=quiet)


def _since_onset(courses: Courses, first: Array) -> Array:
    """Return the sessions since the latest onset in the same series, infinite where there is none."""
    since = np.full(len(courses.values), np.inf)
    if not len(first):
        return since
    at = np.searchsorted(first, np.arange(len(since)), side="right") - 1
    latest = first[at]
    known = (at >= 0) & (courses.series[latest] == courses.series)
    since[known] = (courses.session - courses.session[latest])[known]
    return since


def _repaired(courses: Courses, label: Array, first: Array, last: Array) -> Array:
    after = np.minimum(last + 1, len(label) - 1)
    clear = (after > last) & neighbours(courses)[after] & (label[after] == 0)
    in_time = courses.session[after] - courses.session[first] <= STAYED
    stayed = courses.session[last] - courses.session[first] >= STAYED
    return np.where(stayed, 0.0, np.where(clear & in_time, 1.0, np.nan))
