"""A model in use: whether the closed cases beside today's list still speak for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alliance.dropout.ends.build import cohort_of
from alliance.dropout.ends.definitions import SETTINGS
from alliance.dropout.model.bundle import Bundle
from alliance.dropout.model.drift import DEACTIVATE, deactivated, drift
from alliance.dropout.model.rows import rows_of
from alliance.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale


def kept_up(
    bundle: Bundle,
    scores: pd.DataFrame,
    scale: Scale,
    *,
    treatments: pd.DataFrame | None,
    appointments: pd.DataFrame | None = None,
) -> tuple[Bundle, str]:
    """Return a model as it may be used on these data, and what its reader must know of its drift.

    Where 50 or more dropouts have come since it was built, it is held against them (see `drift`); one that no
    longer ranks well enough is put out of use: it stays exploratory, and orders nothing.

    Parameters
    ----------
    bundle : Bundle
    scores : DataFrame
        Scores of the form `scale`, cases named as in `treatments`.
    treatments, appointments : DataFrame or None
        Without Treatments nothing is known of any end, and drift is not judged.
    """
    if treatments is None:
        return bundle, "drift is not judged: nothing says how treatments ended"
    definition = bundle.content["definition"]
    told = {name: value for name, value in definition["settings"].items() if name in SETTINGS}
    try:
        cohort = cohort_of(
            scores,
            scale,
            treatments=treatments,
            appointments=appointments,
            definition=definition["id"],
            settings=told,
        )
    except (UsageError, DataError) as lacking:
        return bundle, f"drift is not judged: {lacking.troubles[0].what}"
    found = drift(bundle, rows_of(cohort))
    if found.action == DEACTIVATE:
        bundle = deactivated(bundle, found.text)
    return bundle, f"drift: {found.text}"
