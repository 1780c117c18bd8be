"""Treatments → Fates: what a list of today has to know of how each treatment stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from alliance.dropout.ends.presumed import presumed
from alliance.dropout.ends.record import record_of

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
