"""Rows → their life table, and the cumulative incidence of the ends that compete in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from alliance.dropout.ends.lifetable import Incidence, LifeTable, incidence_table, table_of
from alliance.dropout.model.rows import Rows

Array = np.ndarray[Any, Any]

DROPPED_OUT, ENDED_OTHERWISE = 1, 2
"""Kinds of end in an Incidence."""


def life_table_of(rows: Rows) -> LifeTable:
    """Return the life table of dropout over the sessions of a risk set.

    Parameters
    ----------
    rows : Rows
        With known outcomes; an empty risk set has an empty table.
    """
    period, at_risk = _at_risk(rows)
    return table_of(period, at_risk, _per_session(rows, rows.y))


def incidence_of(rows: Rows) -> Incidence:
    """Return the cumulative incidence of dropout (1) and of other, competing ends (2) by session.

    Parameters
    ----------
    rows : Rows
        With known outcomes.
    """
    period, at_risk = _at_risk(rows)
    ends = {
        DROPPED_OUT: _per_session(rows, rows.y),
        ENDED_OTHERWISE: _per_session(rows, np.nan_to_num(rows.other)),
    }
    return incidence_table(period, at_risk, ends)


def _at_risk(rows: Rows) -> tuple[Array, Array]:
    at_risk = _per_session(rows, np.ones(len(rows)))
    return np.arange(1, len(at_risk) + 1), at_risk


def _per_session(rows: Rows, weight: Array) -> Array:
    """Return the sum of the weights at each session number, from 1 to the last one."""
    sums = np.bincount(rows.session - 1, weights=weight, minlength=int(rows.session.max(initial=0)))
    return np.rint(sums).astype(np.int64)
