"""Cohort → Rows: the person-session risk set, one row for each session after which dropout could happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

HORIZON = 3
"""Sessions that the landmark risk looks ahead."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Person-session rows as arrays of shape (rows,), ordered by case and session.

    A row is an attended session after which a further one was planned or offered. Predictors hold nothing
    dated after the end of the session. They are kept in score points; a model standardises them by numbers
    of its own training data.

    Attributes
    ----------
    case : int64; place of the case in its cohort
    client, therapist : int64; codes, therapist -1 = not known
    session : int64; number of sessions attended, from 1
    visit : int64; row of this session in the cohort's Visits
    day : int64; days since 1970, int64 minimum = not known
    y : float; 1 = dropped out after this session, 0 = did not, NaN = not known (rows to predict for)
    other : float; 1 = ended otherwise after this session (a competing end), 0 = did not, NaN = not known
    fate : float; 1 = dropped out within the window after this session, 0 = did not, NaN = not known
    window : int64; sessions the window holds: HORIZON, or the planned sessions that are left if fewer
    rating : float; rating of this session, NaN = none
    mean_rating : float; mean of all ratings up to this session, NaN = none yet
    change : float; this rating minus the mean of the earlier ones; 0 at the first one and where it is missing
    no_shows : float; appointments missed without notice since the session before, at most 2
    missing : float; 1 = this session has no rating
    covariates : name → float; the latest value recorded up to this session, NaN = none yet
    """

    case: Array
    client: Array
    therapist: Array
    session: Array
    visit: Array
    day: Array
    y: Array
    other: Array
    fate: Array
    window: Array
    rating: Array
    mean_rating: Array
    change: Array
    no_shows: Array
    missing: Array
    covariates: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.session)

    def take(self, rows: Array) -> Rows:
        """Return the rows at `rows` (places or a mask)."""
        arrays = {
            each.name: getattr(self, each.name)[rows] for each in fields(self) if each.name != "covariates"
        }
        return replace(
            self, **arrays, covariates={name: values[rows] for name, values in self.covariates.items()}
        )
