"""Treatments → Fates: what a list of today has to know of how each treatment stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from alliance.dropout.ends.facts import STATUS_ONGOING
from alliance.dropout.ends.presumed import presumed
from alliance.dropout.ends.record import record_of
from alliance.dropout.visits import SCHEDULED
from alliance.frames import ATTENDANCE, STATUSES

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale


@dataclass(frozen=True, kw_only=True)
class Fates:
    """How treatments stand, by the name of the case.

    Attributes
    ----------
    ended : cases whose treatment has ended, as recorded
    to_confirm : cases that are ongoing on record, but long not seen, with nothing booked
    planned : case → planned number of sessions, where it is known
    """

    ended: frozenset[str] = frozenset()
    to_confirm: frozenset[str] = frozenset()
    planned: Mapping[str, float] = field(default_factory=dict)


NO_FATES = Fates()
"""Nothing is known of any treatment."""


def known_on(
    day: date, scores: pd.DataFrame, treatments: pd.DataFrame | None, appointments: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame | None]:
    """Return Scores, Treatments and Appointments as they were known on a day.

    Forms dated later are not there, and later appointments are booked and no more. A treatment with either
    was not over yet: it is ongoing. The data reach no further than the day. What has no date is taken as it
    is.
    """
    import pandas as pd

    stamp = pd.Timestamp(day)
    later = scores["date"] > stamp
    if treatments is None:
        return scores[~later], None, _booked(appointments, stamp)
    open_still = set(scores.loc[later, "case"])
    if appointments is not None:
        open_still |= set(appointments.loc[appointments["date"] > stamp, "case"])
    running = treatments["case"].isin(open_still)
    reach = pd.to_datetime(treatments["observed_until"]).fillna(stamp)
    known = treatments.assign(
        status=treatments["status"].mask(running, STATUSES[STATUS_ONGOING]),
        end_reason=treatments["end_reason"].mask(running, ""),
        end_reason_source=treatments["end_reason_source"].mask(running, ""),
        observed_until=reach.where(reach <= stamp, stamp),
    )
    return scores[~later], known, _booked(appointments, stamp)


def _booked(appointments: pd.DataFrame | None, stamp: pd.Timestamp) -> pd.DataFrame | None:
    if appointments is None:
        return None
    later = appointments["date"] > stamp
    return appointments.assign(attendance=appointments["attendance"].mask(later, ATTENDANCE[SCHEDULED]))


def fates_of(
    scores: pd.DataFrame, scale: Scale, treatments: pd.DataFrame | None, appointments: pd.DataFrame | None
) -> Fates:
    """Return how the treatments of a study stand; nothing is known without Treatments.

    Parameters
    ----------
    scores : DataFrame
        Scores of the alliance form `scale`, cases named as in `treatments`.
    treatments, appointments : DataFrame or None
    """
    if treatments is None:
        return NO_FATES
    record = record_of(scores, scale, treatments, appointments, ())
    facts = record.facts(treatments)
    names = record.cases.astype(str)
    known = np.isfinite(facts.planned)
    return Fates(
        ended=frozenset(names[facts.ended].tolist()),
        to_confirm=frozenset(names[presumed(facts) == 1].tolist()),
        planned=dict(zip(names[known].tolist(), facts.planned[known].tolist(), strict=True)),
    )
