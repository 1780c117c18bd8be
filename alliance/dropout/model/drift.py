"""Bundle, new Rows → Drift: whether a model still fits, and its intercept refitted where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dropout.model.bundle import EXPLORATORY, Bundle, changed, data_digest
from alliance.dropout.model.firth import flic
from alliance.dropout.model.hazard import HazardModel, SideModel
from alliance.dropout.model.rows import NO_DAY, Rows
from alliance.dropout.validation.metrics import budget_threshold, net_benefit, reaches
from alliance.dropout.validation.metrics import oe as observed_over_expected
from alliance.dropout.validation.metrics import slope as calibration_slope
from alliance.errors import DataError, UsageError

Array = np.ndarray[Any, Any]

LEAST_DROPOUTS = 50
"""New dropouts from which drift can be judged, by design."""

OE_LOW, OE_HIGH = 0.8, 1.25
LEAST_SLOPE = 0.7

EARLIER = "Gates and validation are those of the earlier intercept."

KEEP, RECALIBRATE, DEACTIVATE, UNKNOWN = "keep", "recalibrate", "deactivate", "not enough data"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How a model does on rows it was not built on.

    Attributes
    ----------
    action : "keep", "recalibrate", "deactivate" or "not enough data"
    text : the finding in words
    n_rows, n_dropouts : int; new ones
    oe : float; observed over expected dropouts, NaN = not judged
    slope : float; of the outcome on the logit of the prediction, NaN = not judged
    """

    action: str
    text: str
    n_rows: int
    n_dropouts: int
    oe: float = float("nan")
    slope: float = float("nan")


def new_rows(bundle: Bundle, rows: Rows) -> Rows:
    """Return the rows the model was not built on, with a known outcome.

    Those after the last date it has seen; where either side has no dates, all rows unless they are the very
    ones it was built on.
    """
    known = rows.take(np.isfinite(rows.y))
    last = _last_date(bundle)
    dated = known.day != NO_DAY
    if last is None or not dated.any():
        same = data_digest(known) in _seen(bundle)
        return known.take(np.full(len(known), not same))
    return known.take(dated & (known.day > int(np.datetime64(last, "D").astype(np.int64))))


def drift(bundle: Bundle, rows: Rows) -> Drift:
    """Return whether the model still fits rows it was not built on.

    From 50 new dropouts on: a calibration slope below 0.7 asks for the model to be put out of use; observed
    over expected dropouts outside 0.8 to 1.25 asks for a new intercept. All limits are by design. Nothing is
    judged without statsmodels, which the slope needs.

    Parameters
    ----------
    bundle : Bundle
    rows : Rows
        By the model's definition; those it was built on are passed over.
    """
    some = new_rows(bundle, rows)
    n_dropouts = int(some.y.sum())
    if n_dropouts < LEAST_DROPOUTS:
        text = f"not enough data: {n_dropouts} of {LEAST_DROPOUTS} dropouts"
        return Drift(action=UNKNOWN, text=text, n_rows=len(some), n_dropouts=n_dropouts)
    hazard = bundle.model.hazard(some)
    oe = observed_over_expected(some.y, hazard)
    try:
        slope = calibration_slope(some.y, hazard)
    except UsageError as lacking:
        text = f"not judged on {n_dropouts} new dropouts: {lacking.troubles[0].what}"
        return Drift(action=UNKNOWN, text=text, n_rows=len(some), n_dropouts=n_dropouts, oe=oe)
    action, text = _judged(oe, slope)
    return Drift(action=action, text=text, n_rows=len(some), n_dropouts=n_dropouts, oe=oe, slope=slope)


def recalibrate(bundle: Bundle, rows: Rows) -> Bundle:
    """Return the bundle with its intercepts refitted to new rows, all slopes as they were.

    The threshold is taken anew from the new predictions, at the share of rows it may flag. Gates, validation
    and status stay as they were, and the limits say so.

    Parameters
    ----------
    bundle : Bundle
    rows : Rows
        By the model's definition; those it was built on are passed over.

    Raises
    ------
    DataError
        If there are fewer than 50 new dropouts, or nothing but dropouts.
    """
    some = new_rows(bundle, rows)
    n_dropouts = int(some.y.sum())
    if n_dropouts < LEAST_DROPOUTS or n_dropouts == len(some):
        message = f"not enough data to recalibrate: {n_dropouts} of {LEAST_DROPOUTS} new dropouts"
        raise DataError(message, hint="wait for more closed treatments")
    model, content = bundle.model, bundle.content
    offset = model.linear(some) - model.intercept
    intercept = flic(offset, some.y, link=model.settings.link, start=model.intercept)
    threshold = _threshold(content["threshold"], replace(model, intercept=intercept), some)
    dated = some.day[some.day != NO_DAY]
    note = {
        "before": model.intercept,
        "after": intercept,
        "threshold_before": bundle.threshold,
        "threshold_after": threshold and threshold["value"],
        "n_rows": len(some),
        "n_events": n_dropouts,
        "last_date": str(np.datetime64(int(dated.max()), "D")) if len(dated) else None,
        "data_sha256": data_digest(some),
    }
    told = f"The intercept was refitted to {len(some)} newer rows with {n_dropouts} dropouts."
    return changed(
        bundle,
        intercept={**content["intercept"], "coef": intercept, "se": None, "before_flic": None},
        landmark=_refitted(content["landmark"], model.landmark, some, some.fate),
        competing=_refitted(content["competing"], model.competing, some, some.other),
        threshold=threshold,
        recalibrations=[*content.get("recalibrations", []), note],
        limits=[*(each for each in content["limits"] if each != EARLIER), EARLIER, told],
    )


def deactivated(bundle: Bundle, why: str) -> Bundle:
    """Return the bundle as exploratory, which gives no order, and why."""
    return changed(bundle, status=EXPLORATORY, limits=[*bundle.content["limits"], f"Put out of use: {why}."])


def _judged(oe: float, slope: float) -> tuple[str, str]:
    numbers = f"observed over expected {oe:.2f}, calibration slope {slope:.2f}"
    if slope < LEAST_SLOPE - TOLERANCE:
        return DEACTIVATE, f"{numbers}: the model no longer ranks well enough, put it out of use"
    if not OE_LOW - TOLERANCE <= oe <= OE_HIGH + TOLERANCE:
        return RECALIBRATE, f"{numbers}: probabilities are off, refit the intercept"
    return KEEP, f"{numbers}: the model still fits"


def _threshold(values: Mapping[str, Any] | None, model: HazardModel, rows: Rows) -> dict[str, Any] | None:
    """Return the threshold at the same budget from the model's predictions of new rows; None without one."""
    if values is None or values.get("budget") is None:
        return None
    hazard = model.hazard(rows)
    value = budget_threshold(hazard, values["budget"])
    gained = net_benefit(rows.y, reaches(hazard, value), value)
    return {**values, "value": value, "net_benefit": gained}


def _refitted(
    values: Mapping[str, Any] | None, side: SideModel | None, rows: Rows, y: Array
) -> Mapping[str, Any] | None:
    """Return a side model with its intercept refitted to `y`, as it was if the new outcomes cannot tell."""
    known = np.isfinite(y)
    if side is None or values is None or not 0 < y[known].sum() < known.sum():
        return values
    some = rows.take(known)
    offset = side.linear(some) - side.intercept
    return {**values, "intercept": flic(offset, y[known], link=side.link, start=side.intercept)}


def _last_date(bundle: Bundle) -> str | None:
    dates = [bundle.content["training"]["last_date"]]
    dates += [each["last_date"] for each in bundle.content.get("recalibrations", [])]
    return max((each for each in dates if each is not None), default=None)


def _seen(bundle: Bundle) -> set[str]:
    digests = {bundle.content["training"]["data_sha256"]}
    return digests | {each["data_sha256"] for each in bundle.content.get("recalibrations", [])}
