"""Cohort: treatments with their appointments, and how each of them ended by one definition of dropout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alliance.dropout.visits import Visits

Array = np.ndarray[Any, Any]

ENDS = ("ongoing", "dropout", "planned", "competing", "excluded")
"""How a treatment ended, as a model sees it; an end code is a place in this tuple.

ongoing: not ended when the data were cut off (censored). planned: ended without dropout. competing: ended by
the therapist or by outside circumstances. excluded: whether it was dropout is not known.
"""

ONGOING, DROPOUT, PLANNED, COMPETING, EXCLUDED = range(len(ENDS))


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """All treatments of a study, end to end, with their ends by one definition.

    A case is one treatment episode; a client with a second episode is there twice, under one client code.

    Attributes
    ----------
    cases : object, shape (cases,); name of each case, in the order of `visits.starts`
    client : int, shape (cases,); code of the client
    therapist : int, shape (cases,); code of the therapist, -1 = not known
    end : int8, shape (cases,); place in ENDS
    why : object, shape (cases,); why a case is excluded, empty for all others
    planned : float, shape (cases,); planned number of sessions, NaN = not known
    visits : Visits; every appointment that took place or was missed, in order, cases end to end
    day : int64, shape (visits,); days since 1970 of each row of `visits`, int64 minimum = not known
    covariates : name → float, shape (visits,); predictors of the user's own, as recorded at that session,
        NaN = not recorded; a baseline value stands at every row of its case
    definition : str; id of the dropout definition
    settings : what the definition was told (k, grace_days, presumed …), as plain values
    """

    cases: Array
    client: Array
    therapist: Array
    end: Array
    why: Array
    planned: Array
    visits: Visits
    day: Array
    covariates: Mapping[str, Array] = field(default_factory=dict)
    definition: str = "unilateral"
    settings: Mapping[str, Any] = field(default_factory=dict)
