"""What is recorded of how each treatment went and ended: the arrays that definitions of dropout read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.frames import END_REASONS, END_SOURCES, STATUSES

Array = np.ndarray[Any, Any]

NO_DAY = np.iinfo(np.int64).min
NOT_GIVEN = -1

STATUS_ONGOING, STATUS_ENDED = (STATUSES.index(name) for name in ("ongoing", "ended"))
MUTUAL, UNILATERAL, BY_THERAPIST, EXTERNAL, UNKNOWN = (
    END_REASONS.index(name)
    for name in ("mutual_planned", "client_unilateral", "therapist_ended", "external", "unknown")
)
SAID_BY_THERAPIST = END_SOURCES.index("therapist")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of each treatment, shape (cases,) each; what is not known stays so.

    Attributes
    ----------
    status, reason, source : int; place in `frames.STATUSES`, `END_REASONS`, `END_SOURCES`, -1 = not given
    planned : float; planned number of sessions, NaN = not known
    attended : int; sessions attended
    attendance_known : bool; appointments of this case are on record
    missed : float; the last appointment that was due was missed or cancelled by the client: 1, else 0,
        NaN = no appointment is on record
    missed_day : int; day of that appointment, days since 1970, `NO_DAY` = not known
    next_attended : int; first day after `missed_day` on which this client attended a session of any
        treatment, `NO_DAY` = none on record
    observed_until : int; last day the data reach, `NO_DAY` = not known
    improved : float; reliable improvement on an outcome measure: 1, 0, NaN = fewer than two scores; None
        without an outcome measure
    last_attended : int; day of the last attended session, `NO_DAY` = not known
    median_gap : float; median number of days between attended sessions that follow each other, NaN = none
    booked : float; a further appointment is on record, 1 or 0, NaN = not known
    """

    status: Array
    reason: Array
    source: Array
    planned: Array
    attended: Array
    attendance_known: Array
    missed: Array
    missed_day: Array
    next_attended: Array
    observed_until: Array
    last_attended: Array
    median_gap: Array
    booked: Array
    improved: Array | None = None

    @property
    def ended(self) -> Array:
        """Whether the treatment has ended, as recorded."""
        return np.asarray(self.status == STATUS_ENDED)

    @property
    def competing(self) -> Array:
        """Whether the therapist or outside circumstances ended the treatment."""
        return self.ended & np.isin(self.reason, (BY_THERAPIST, EXTERNAL))
