"""Discrete life tables and cumulative incidence: exact where many end at the same session.

`life_table` and `cumulative_incidence` take times, for users of the library; those of a risk set are made in
`alliance.dropout.model.lifetable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class LifeTable:
    """A discrete life table, shape (periods,) each.

    Attributes
    ----------
    period : int64; sessions (or years …) from the first to the last with anybody at risk
    at_risk, events : int64; how many could have the event in the period, and how many had it
    hazard : float; events / at risk
    survival : float; product of 1 - hazard up to and with the period
    se_hazard : float; sqrt(h (1 - h) / n)
    se_survival : float; Greenwood; NaN once nobody is left
    """

    period: Array
    at_risk: Array
    events: Array
    hazard: Array
    survival: Array
    se_hazard: Array
    se_survival: Array


@dataclass(frozen=True, kw_only=True)
class Incidence:
    """Cumulative incidence of ends that compete.

    Attributes
    ----------
    period : int64, shape (periods,)
    incidence : event code → float, shape (periods,); probability to have had that event by the period
    survival : float, shape (periods,); probability to have had none
    """

    period: Array
    incidence: dict[int, Array]
    survival: Array


def life_table(time: Any, event: Any, *, start: int = 1) -> LifeTable:
    """Return the life table of times to an event.

    Parameters
    ----------
    time : whole numbers, shape (cases,)
        Last period in which a case was at risk. Times before `start` were never at risk and are left out.
    event : bool or 0/1, shape (cases,)
        Whether the event came in that period; otherwise the case was censored at its end.
    start : int
        First period.

    Returns
    -------
    LifeTable
        Every period from `start` to the longest time, those without an event included.

    References
    ----------
    Singer, J. D., & Willett, J. B. (2003). Applied Longitudinal Data Analysis, chapter 10.

    Examples
    --------
    >>> table = life_table([3, 2, 2, 1], [0, 1, 0, 1])
    >>> table.at_risk.tolist(), table.events.tolist(), table.survival.round(2).tolist()
    ([4, 3, 1], [1, 1, 0], [0.75, 0.5, 0.5])
    """
    time, event = _times(time, event, start)
    length = int(time.max(initial=start - 1)) - start + 1
    at_risk = np.cumsum(np.bincount(time - start, minlength=length)[::-1])[::-1]
    events = np.bincount(time[event > 0] - start, minlength=length)
    return table_of(np.arange(start, start + length), at_risk, events)


def table_of(period: Array, at_risk: Array, events: Array) -> LifeTable:
    """Return the life table of counts, shape (periods,) each; nobody at risk has a hazard of NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = events / at_risk
        survival = np.cumprod(1 - np.nan_to_num(hazard))
        steps = np.where(at_risk > 0, events / (at_risk * (at_risk - events).astype(float)), 0.0)
        return LifeTable(
            period=period.astype(np.int64),
            at_risk=at_risk.astype(np.int64),
            events=events.astype(np.int64),
            hazard=hazard,
            survival=survival,
            se_hazard=np.sqrt(hazard * (1 - hazard) / at_risk),
            se_survival=survival * np.sqrt(np.cumsum(steps)),
        )


def cumulative_incidence(time: Any, event: Any, *, start: int = 1) -> Incidence:
    """Return the cumulative incidence of each kind of event, exact where times are tied.

    CIF_k(t) = sum over s up to t of S(s - 1) · e_k(s) / n(s), S(s) = product of 1 - e(s) / n(s).

    Parameters
    ----------
    time : whole numbers, shape (cases,)
        Last period in which a case was at risk.
    event : whole numbers, shape (cases,)
        0 = censored at the end of that period, 1, 2, … = kind of event.
    start : int
        First period.

    Examples
    --------
    >>> found = cumulative_incidence([1, 2, 2, 3], [1, 2, 0, 1])
    >>> found.incidence[1].tolist(), found.incidence[2].tolist()
    ([0.25, 0.25, 0.75], [0.0, 0.25, 0.25])
    """
    time, event = _times(time, event, start)
    all_ends = life_table(time, event > 0, start=start)
    kinds = [int(kind) for kind in np.unique(event) if kind > 0]
    counts = {kind: _events(time, event == kind, all_ends.period) for kind in kinds}
    return incidence_table(all_ends.period, all_ends.at_risk, counts)


def _events(time: Array, event: Array, period: Array) -> Array:
    """Return how many events came in each of the periods, which follow each other."""
    first = int(period[0]) if len(period) else 0
    counts: Array = np.bincount(time[event] - first, minlength=len(period))
    return counts


def incidence_table(period: Array, at_risk: Array, ends: Mapping[int, Array]) -> Incidence:
    """Return the cumulative incidence of counts: kind of end → how many ended so, shape (periods,) each."""
    every = sum(ends.values(), np.zeros(len(period), dtype=np.int64))
    survival = table_of(period, at_risk, every).survival
    before = np.concatenate([[1.0], survival[:-1]])[: len(period)]
    share = before / np.maximum(at_risk, 1)
    return Incidence(
        period=np.asarray(period, dtype=np.int64),
        incidence={kind: np.cumsum(share * events) for kind, events in ends.items()},
        survival=survival,
    )


def _times(time: Any, event: Any, start: int) -> tuple[Array, Array]:
    time, event = np.asarray(time), np.asarray(event)
    if time.shape != event.shape or time.ndim != 1:
        message = (
            f"time and event must have one entry each per case, got shapes {time.shape} and {event.shape}"
        )
        raise ValueError(message)
    if np.any(np.mod(time, 1) != 0):
        message = f"time must hold whole numbers, got {time[np.mod(time, 1) != 0][0]:g}"
        raise ValueError(message)
    if np.any((event < 0) | (np.mod(event, 1) != 0)):
        message = f"event must hold 0, 1, 2 …, got {event[(event < 0) | (np.mod(event, 1) != 0)][0]:g}"
        raise ValueError(message)
    there = time >= start
    return time[there].astype(np.int64), event[there].astype(np.int64)
