"""Bundle, Cohort → Applied: the probability of dropout of each case today, and what it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dropout.ends.cohort import Cohort
from alliance.dropout.ends.definitions import get_definition
from alliance.dropout.model.bundle import VALIDATED, Bundle
from alliance.dropout.model.design import MISSING, POWERS, dummies_of, raw_of, session_of
from alliance.dropout.model.explain import explain
from alliance.dropout.model.hazard import HazardModel
from alliance.dropout.model.rows import Rows, latest_rows
from alliance.errors import UsageError

Array = np.ndarray[Any, Any]

OUTSIDE = "outside the data this model was built on"


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What a model says of rows, one entry each.

    Attributes
    ----------
    rows : Rows; what was predicted for; `rows.case` are places in the cohort
    status : "exploratory" or "validated"
    p_next : float; probability of dropout before the next session
    p_3 : float; of dropout within the next three sessions, or those left if fewer; NaN = no such model
    contributions : float, shape (rows, terms); on the scale of the link
    terms : names of the terms
    intercept : float
    words : object; the contributions in one line
    outside : object; which predictors lie outside the training data, empty = none
    order : int or None; rows from the highest probability down; None while the model is exploratory
    above : bool or None; whether `p_next` reaches the threshold; None while it is exploratory or without one
    """

    rows: Rows
    status: str
    p_next: Array
    p_3: Array
    contributions: Array
    terms: tuple[str, ...]
    intercept: float
    words: Array
    outside: Array
    order: Array | None
    above: Array | None


def apply(
    bundle: Bundle,
    data: Cohort | Rows,
    *,
    definition: str,
    instrument: str,
    scoring_version: str,
    rater: str = "client",
) -> Applied:
    """Return what the model says of each case at its latest attended session, or of given rows.

    An exploratory model gives probabilities, but never an order.

    Parameters
    ----------
    bundle : Bundle
    data : Cohort or Rows
        Of a Cohort, one entry per case that attended, also of those that have ended; its definition and
        settings are held against the model's.
    definition, instrument, scoring_version, rater : str
        Of the data; they must be those the model was built on.

    Raises
    ------
    UsageError
        If the definition of dropout, the form, its scoring version or the rater is another one, or a
        covariate of the model is not there.
    """
    require_same(
        bundle, definition=definition, instrument=instrument, scoring_version=scoring_version, rater=rater
    )
    if isinstance(data, Cohort):
        require_same(bundle, definition=data.definition, settings=data.settings)
    rows = latest_rows(data) if isinstance(data, Cohort) else data
    model = bundle.model
    _require_covariates(model, rows)
    p_next, p_3 = model.hazard(rows), model.risk(rows)
    active = bundle.status == VALIDATED
    limit = bundle.threshold if active else None
    return Applied(
        rows=rows,
        status=bundle.status,
        p_next=p_next,
        p_3=np.full(len(rows), np.nan) if p_3 is None else p_3,
        contributions=model.contributions(rows),
        terms=tuple(each.name for each in model.terms),
        intercept=model.intercept,
        words=explain(model, rows),
        outside=outside(model, rows),
        order=_order(p_next, rows) if active else None,
        above=None if limit is None else p_next >= limit - TOLERANCE,
    )


def require_same(bundle: Bundle, *, settings: Mapping[str, Any] | None = None, **given: str) -> None:
    """Raise UsageError unless the data are what the model was built for.

    Parameters
    ----------
    bundle : Bundle
    settings : mapping, optional
        `Cohort.settings` of the data. Those that the model's definition of dropout uses are compared.
    **given : str
        Any of definition, instrument, scoring_version, rater, of the data.
    """
    content = bundle.content
    built: Mapping[str, str] = {
        "definition": content["definition"]["id"],
        "instrument": content["instrument"]["id"],
        "scoring_version": content["instrument"]["scoring_version"],
        "rater": content["instrument"]["rater"],
    }
    other = [
        f"{name.replace('_', ' ')}: '{value}', the model has '{built[name]}'"
        for name, value in given.items()
        if value != built[name]
    ]
    if not other and settings is not None:
        other = _other_settings(content["definition"], settings)
    if other:
        message = "this model was not built for these data"
        raise UsageError(message, where=other, hint="use the model's definition and form, or fit a new model")


def _other_settings(definition: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return in words which settings that a definition uses are not those the model was built with."""
    built = definition["settings"]
    return [
        f"{name.replace('_', ' ')}: {_said(given.get(name))}, the model has {_said(built.get(name))}"
        for name in get_definition(definition["id"]).uses
        if given.get(name) != built.get(name)
    ]


def _said(value: Any) -> str:
    return "nothing" if value is None else f"'{value}'" if isinstance(value, str) else f"{value:g}"


def outside(model: HazardModel, rows: Rows) -> Array:
    """Return which predictors of each row lie outside the 1st to 99th percentile of the training data.

    Object array of texts, shape (rows,): the names, joined, and that they are outside; empty = none. A
    session number after the last one in the training data, and a covariate that was never missing there but
    is here, are outside too.
    """
    found = np.full(len(rows), "", dtype=object)
    dummies = dummies_of(model.terms)
    names = {each.name for each in model.terms}
    late = (rows.session > model.sessions[1]) | (rows.session < model.sessions[0])
    found = _noted(found, late, "session")
    for term in model.terms:
        if _is_switch(term.name):
            continue
        raw = raw_of(term, rows, dummies)
        strange = (raw < term.low - TOLERANCE) | (raw > term.high + TOLERANCE)
        if term.name in rows.covariates and f"{term.name}{MISSING}" not in names:
            strange = strange | np.isnan(raw)
        word = "session" if term.name in {"log_session", "session"} else term.name
        found = _noted(found, strange & ~late if word == "session" else strange, word)
    return np.where(found == "", "", found + f": {OUTSIDE}")


def _is_switch(name: str) -> bool:
    """Return whether a term only tells apart, so that nothing lies outside, or repeats the session number."""
    return session_of(name) is not None or name in {"missing", *POWERS[1:]} or name.endswith(MISSING)


def _noted(found: Array, where: Array, name: str) -> Array:
    return np.where(where, np.where(found == "", name, found + f", {name}"), found)


def _order(p: Array, rows: Rows) -> Array:
    """Return the rows from the highest probability down; ties by fewer sessions, then as they stand."""
    return np.lexsort((rows.session, -np.round(p, 9)))


def _require_covariates(model: HazardModel, rows: Rows) -> None:
    absent = [name for name in model.settings.covariates if name not in rows.covariates]
    if absent:
        message = "this model needs covariates that the data do not have"
        raise UsageError(message, where=absent, hint="add the columns the model was fitted with")
