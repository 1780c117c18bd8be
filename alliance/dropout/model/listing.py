"""Risk and a fitted model side by side: what the model says of each case, and the list it may order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.dropout.ends.cohort import ENDS, ONGOING, Cohort
from alliance.dropout.model.apply import apply
from alliance.dropout.model.bundle import VALIDATED, Bundle
from alliance.dropout.model.rows import NO_DAY, latest_rows
from alliance.dropout.verdicts import LEVELS, REVIEW, WATCH, fired_in, risk_columns
from alliance.dropout.visits import Visits
from alliance.errors import UsageError

if TYPE_CHECKING:
    from alliance.dropout.triage import Judged

Array = np.ndarray[Any, Any]

MODEL_COLUMNS = ("rules_level", "p_next", "p_3", "model", "model_why", "outside")
"""Columns that a model adds to a Risk table."""

MODEL_RULE = "MODEL"
"""Stands among the rules that fired where a model that may order puts a case under REVIEW."""

MODEL_CAVEAT = (
    "A probability is about clients like this one in this service, not about this person; a low one does not "
    "mean low risk"
)
"""Stands under every list that shows probabilities."""


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What a model says of each case today, arrays of shape (cases,).

    Attributes
    ----------
    orders : bool; whether the model passed its gates, so that it may order the list
    status : str; "validated" or "exploratory"
    p_next, p_3 : float; probability of dropout before the next session, within three; NaN = no answer
    above : bool; `p_next` reaches the threshold of a model that may order; False for all others
    why, outside : object; what raises and lowers it; which predictors the model has not been built on
    terms : names of the terms
    contributions : float, shape (cases, terms); on the scale of the link, NaN = no answer
    """

    orders: bool
    status: str
    p_next: Array
    p_3: Array
    above: Array
    why: Array
    outside: Array
    terms: tuple[str, ...]
    contributions: Array

    def record(self, case: int, rules_level: str) -> dict[str, Any] | None:
        """Return what is said of one case as plain JSON values, None where there is no answer."""
        if np.isnan(self.p_next[case]):
            return None
        p_3 = float(self.p_3[case])
        return {
            "status": self.status,
            "p_next": float(self.p_next[case]),
            "p_3": None if np.isnan(p_3) else p_3,
            "contributions": dict(zip(self.terms, self.contributions[case].tolist(), strict=True)),
            "why": self.why[case],
            "outside": self.outside[case] or None,
            "rules_level": rules_level,
        }


def opinion(
    bundle: Bundle,
    visits: Visits,
    *,
    instrument: str,
    scoring_version: str,
    planned: Array | None = None,
    rater: str = "client",
) -> Opinion:
    """Return what a model says of each case at its latest attended session.

    Parameters
    ----------
    bundle : Bundle
    visits : Visits
        All cases, end to end. Of a case that never attended, has ended on record, or was rated by somebody
        the rules do not know, there is no answer.
    instrument, scoring_version, rater : str
        Of the ratings; they must be those of the model.
    planned : float, shape (cases,), optional
        Planned number of sessions, NaN = not known.

    Raises
    ------
    UsageError
        If the model was built for another form or another scoring of it, or has covariates.
    """
    own = [each["name"] for each in bundle.content["covariates"]]
    if own:
        message = f"the model has covariates of its own, which the list does not read: {', '.join(own)}"
        raise UsageError(message, hint="`alliance model apply` reads them and orders its own table")
    n = len(visits.starts)
    applied = apply(
        bundle,
        latest_rows(_as_cohort(visits, planned)),
        definition=bundle.content["definition"]["id"],
        instrument=instrument,
        scoring_version=scoring_version,
        rater=rater,
    )
    silent = np.zeros(n, dtype=bool) if visits.ended is None else visits.ended.copy()
    if visits.mixed is not None:
        silent[visits.case[visits.mixed]] = True
    kept = ~silent[applied.rows.case]
    place = applied.rows.case[kept]
    numbers = {name: np.full(n, np.nan) for name in ("p_next", "p_3")}
    texts = {name: np.full(n, "", dtype=object) for name in ("why", "outside")}
    above = np.zeros(n, dtype=bool)
    contributions = np.full((n, len(applied.terms)), np.nan)
    contributions[place] = applied.contributions[kept]
    numbers["p_next"][place], numbers["p_3"][place] = applied.p_next[kept], applied.p_3[kept]
    texts["why"][place], texts["outside"][place] = applied.words[kept], applied.outside[kept]
    if applied.above is not None:
        above[place] = applied.above[kept]
    return Opinion(
        orders=may_order(bundle),
        status=bundle.status,
        above=above,
        terms=applied.terms,
        contributions=contributions,
        **numbers,
        **texts,
    )


def may_order(bundle: Bundle) -> bool:
    """Return whether a model passed its gates and has a threshold, so that it may order a list."""
    return bundle.status == VALIDATED and bundle.threshold is not None


def told(bundle: Bundle) -> str:
    """Return what the reader of a list must know of the model beside it."""
    training = bundle.content["training"]
    made = f"{training['n_cases']} cases with {training['n_dropouts']} dropouts"
    date, definition = bundle.content["created"], bundle.content["definition"]["id"]
    if may_order(bundle):
        lead = f"ordered by the model of {date}, validated on {made} (definition {definition})"
    else:
        lead = f"the model of {date} ({made}, definition {definition}) is exploratory and orders nothing"
    return f"{lead}. {MODEL_CAVEAT}"


def with_opinion(columns: Mapping[str, Array], said: Opinion) -> dict[str, Array]:
    """Return the columns of a Risk table with the model's beside them, cases in the order they stand in.

    A model that may order sets the level: REVIEW from its threshold on; below it, what the rules alone would
    review is WATCH, since a disagreement is shown and not hidden. Where it has no answer the rules' level
    stays, as everywhere with an exploratory model.

    Parameters
    ----------
    columns : name → array
        With `level`, by the rules.
    said : Opinion
        Of the same cases.
    """
    rules = columns["level"]
    level = rules
    if said.orders:
        known = np.isfinite(said.p_next)
        lowered = np.where(rules == LEVELS[REVIEW], LEVELS[WATCH], rules)
        level = np.where(known, np.where(said.above, LEVELS[REVIEW], lowered), rules).astype(object)
    return {
        **columns,
        "level": level,
        "rules_level": rules,
        "p_next": said.p_next,
        "p_3": said.p_3,
        "model": np.where(np.isfinite(said.p_next), said.status, "").astype(object),
        "model_why": said.why,
        "outside": said.outside,
    }


def listed(judged: Judged, said: Opinion | None = None) -> dict[str, Array]:
    """Return a Risk table with names of cases, in the order of the list: the rules', or that of a model.

    Parameters
    ----------
    judged : Judged
        As of the last appointment of each case.
    said : Opinion, optional
        Of the same cases; its columns (MODEL_COLUMNS) stand beside the rules'.
    """
    verdicts = judged.verdicts
    columns = risk_columns(verdicts, np.arange(len(verdicts.level)))
    columns = {**columns, "case": judged.cases[columns["case"]]}
    columns["key"] = np.full(len(judged.cases), judged.scale.status, dtype=object)
    order = verdicts.order
    if said is not None:
        columns = with_opinion(columns, said)
        if said.orders:
            rank = np.empty(len(order), dtype=np.int64)
            rank[order] = np.arange(len(order))
            order = model_order(level_codes(columns["level"]), said.p_next, rank)
    return {name: values[order] for name, values in columns.items()}


def firing(columns: Mapping[str, Array]) -> list[tuple[str, ...]]:
    """Return what fires for each row of a Risk table: the rules by name, and MODEL_RULE."""
    rules = [fired_in(reasons) for reasons in columns["reasons"].tolist()]
    if "model" not in columns:
        return rules
    by_model = (columns["model"] == VALIDATED) & (columns["level"] == LEVELS[REVIEW])
    return [(*names, MODEL_RULE) if said else names for names, said in zip(rules, by_model, strict=True)]


def level_codes(levels: Array) -> Array:
    """Return the place of each level in LEVELS.

    >>> level_codes(np.array(["WATCH", "REVIEW"], dtype=object)).tolist()
    [1, 0]
    """
    code = np.zeros(len(levels), dtype=np.int64)
    for place, name in enumerate(LEVELS):
        code[levels == name] = place
    return code


def model_order(level: Array, p_next: Array, rank: Array) -> Array:
    """Return the cases in the order of a model's list: level, probability descending, then the rules' order.

    Parameters
    ----------
    level : int, shape (cases,); place in LEVELS
    p_next : float, shape (cases,); NaN, which comes last within its level, = no answer
    rank : int, shape (cases,); place in the order of the rules

    Examples
    --------
    >>> model_order(np.array([1, 0, 0]), np.array([0.3, 0.1, 0.2]), np.array([0, 1, 2])).tolist()
    [2, 1, 0]
    """
    sought = np.where(np.isnan(p_next), np.inf, -np.round(p_next, 9))
    return np.lexsort((rank, sought, level))


def _as_cohort(visits: Visits, planned: Array | None) -> Cohort:
    n = len(visits.starts)
    nobody = np.zeros(n, dtype=np.int64)
    return Cohort(
        cases=np.arange(n),
        client=np.arange(n),
        therapist=nobody - 1,
        end=np.full(n, ONGOING, dtype=np.int8),
        why=np.full(n, "", dtype=object),
        planned=np.full(n, np.nan) if planned is None else planned,
        visits=visits,
        day=np.full(len(visits.rating), NO_DAY) if visits.day is None else visits.day,
        definition=ENDS[ONGOING],
    )
