"""Ongoing on paper, but not seen for long and nothing booked: treatments whose status is to be confirmed."""

from __future__ import annotations

from typing import Any

import numpy as np

from alliance.dropout.ends.cohort import DROPOUT, EXCLUDED, ONGOING
from alliance.dropout.ends.facts import NO_DAY, STATUS_ONGOING, Facts

Array = np.ndarray[Any, Any]

IDLE_DAYS = 30
GAPS = 3
"""Days, and the client's usual gaps between sessions, after which an ongoing treatment is presumed over."""

TO_CONFIRM = "ongoing, but long not seen and nothing booked: to be confirmed"


def presumed(facts: Facts) -> Array:
    """Return which treatments are presumed to have ended, on the day the data were cut off.

    Ongoing, no further appointment on record, and more than max(30, 3 times the median gap between this
    client's sessions) days since the last attended one. With one session there is no gap, and 30 days hold.
    Both numbers are design choices.

    Parameters
    ----------
    facts : Facts

    Returns
    -------
    float, shape (cases,)
        1 = presumed, 0 = not (or not ongoing), NaN = an ongoing treatment of which it cannot be told:
        bookings are not known, or a date is missing.
    """
    open_ = facts.status == STATUS_ONGOING
    dated = (facts.last_attended != NO_DAY) & (facts.observed_until != NO_DAY)
    idle = np.where(dated, facts.observed_until, 0) - np.where(dated, facts.last_attended, 0)
    limit = np.fmax(IDLE_DAYS, GAPS * facts.median_gap)
    long_ago = np.where(dated, (idle > limit).astype(float), np.nan)
    free = 1 - facts.booked
    both = np.where((long_ago == 0) | (free == 0), 0.0, long_ago * free)
    return np.where(open_, both, 0.0)


def settle_presumed(end: Array, why: Array, told: Array, *, policy: str) -> tuple[Array, Array]:
    """Return ends and reasons with the presumed treatments excluded, counted as dropouts, or left ongoing."""
    there = (told == 1) & (end == ONGOING)
    if policy == "censor":
        return end, why
    if policy == "dropout":
        return np.where(there, DROPOUT, end).astype(np.int8), why
    return np.where(there, EXCLUDED, end).astype(np.int8), np.where(there, TO_CONFIRM, why).astype(object)
