"""Scores, Treatments, Appointments → Cohort: how each treatment went, and how it ended by one definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dropout.ends.cohort import COMPETING, DROPOUT, ENDS, EXCLUDED, PLANNED, Cohort
from alliance.dropout.ends.covariates import CovariateSource, covariates_of
from alliance.dropout.ends.definitions import (
    DEFAULT,
    DEFINITIONS,
    NO_TREATMENT,
    NONE_ENDED,
    NONE_TOLD,
    Definition,
    ends_of,
    get_definition,
    lacks,
    settings_of,
)
from alliance.dropout.ends.facts import NO_DAY, Facts
from alliance.dropout.ends.outcomes import Outcome, improvement
from alliance.dropout.ends.presumed import TO_CONFIRM, presumed, settle_presumed
from alliance.dropout.ends.record import Record, record_of
from alliance.errors import DataError
from alliance.frames import check_appointments, check_scores, check_treatments

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Support:
    """What the data say by one definition of dropout.

    Attributes
    ----------
    definition : Definition
    lacks : what the data would need; empty = the definition is supported
    counts : place in `cohort.ENDS` by name → number of cases; empty where it is not supported
    excluded : reason → number of cases that are left out for it
    end : int8, shape (cases,); place in ENDS, or None
    """

    definition: Definition
    lacks: tuple[str, ...]
    counts: Mapping[str, int]
    excluded: Mapping[str, int]
    end: Array | None = None

    @property
    def supported(self) -> bool:
        """Whether the data can answer at all."""
        return not self.lacks


@dataclass(frozen=True, kw_only=True)
class Supports:
    """Which definitions the data support, and what does not depend on one.

    Attributes
    ----------
    definitions : one entry for each definition, in the order of the registry
    n_presumed : ongoing treatments that are presumed to be over, to be confirmed
    n_unclear : ongoing treatments of which that cannot be told
    n_cases : treatments in all
    observed_until : the day the data are taken to reach where no row says it, empty = not needed
    """

    definitions: tuple[Support, ...]
    n_presumed: int
    n_unclear: int
    n_cases: int
    observed_until: str

    @cached_property
    def kappas(self) -> tuple[tuple[str, str, int, float], ...]:
        """Agreement of every two supported definitions: ids, cases that both judge, Cohen's kappa."""
        known = [each for each in self.definitions if each.end is not None]
        pairs = [(a, b) for place, a in enumerate(known) for b in known[place + 1 :]]
        return tuple((a.definition.id, b.definition.id, *kappa(a.end, b.end)) for a, b in pairs)


def cohort_of(
    scores: pd.DataFrame,
    scale: Scale,
    *,
    treatments: pd.DataFrame,
    appointments: pd.DataFrame | None = None,
    definition: str = DEFAULT,
    settings: Mapping[str, Any] | None = None,
    covariates: Sequence[str] = (),
    others: Mapping[str, pd.DataFrame] | None = None,
    outcome: Outcome | None = None,
) -> Cohort:
    """Return all treatments with their visits, and their ends by one definition of dropout.

    Parameters
    ----------
    scores : DataFrame
        Scores of one alliance form, cases named as in `treatments`. Only the client's totals are ratings;
        higher = better, NaN = not scored. A form by anybody shows that the session was attended.
    scale : Scale
        The form's definition, for the side of an empty rater.
    treatments : DataFrame
        Treatments (`frames.TREATMENTS`), one row a case; further columns are baseline covariates. A case
        without a row here is excluded, since nothing says how it ended.
    appointments : DataFrame, optional
        Appointments, those of a case in order. Without them only session numbers on forms are counted.
    definition : str
        Id of the dropout definition; DEFINITIONS has them.
    settings : mapping, optional
        k, grace_days, presumed (exclude, dropout or censor).
    covariates : names
        A baseline column of `treatments`; a score column of `scores`; a form of `others`, by its id (its
        total) or as `id.column`. A text column becomes 0/1 columns `name=level` against the most frequent
        level; `name=level` asks for one of them alone. Values stand in `Cohort.covariates` at the session
        they were recorded at.
    others : scale id → Scores, optional
        Scores of other forms. They too show that a session was attended.
    outcome : Outcome, optional
        For the definition no_rci.

    Raises
    ------
    UsageError
        If the definition, a setting or a covariate is unknown.
    DataError
        If the data cannot answer at all, or a covariate tells no groups.
    ValueError
        If a frame is not what it should be.

    Examples
    --------
    >>> import pandas as pd
    >>> from alliance.scale import load_scale
    >>> scale = load_scale("srs")
    >>> form = {"case": "A", "date": pd.NaT, "therapist": "T", "rater": "client", "total": 38.0}
    >>> scores = pd.DataFrame([{**form, "session": 1}, {**form, "session": 2}])
    >>> scores = scores.assign(**dict.fromkeys(scale.subscales, 9.5))
    >>> row = dict.fromkeys(("episode", "end_reason_source"), "") | {"case": "A", "client": "A"}
    >>> row |= {"therapist": "T", "status": "ended", "end_reason": "client_unilateral"}
    >>> dates = dict.fromkeys(("start_date", "planned_end_date", "observed_until"), pd.NaT)
    >>> cohort = cohort_of(scores, scale, treatments=pd.DataFrame([{**row, **dates, "planned_sessions": 8}]))
    >>> cohort.end, cohort.visits.session, cohort.planned
    (array([1], dtype=int8), array([1, 2]), array([8.]))
    """
    chosen, told = get_definition(definition), settings_of(settings)
    source = CovariateSource(scores=scores, treatments=treatments, others=others or {})
    record, facts = _known(scores, scale, treatments, appointments, source, covariates, outcome)
    end, why = _ends(chosen, facts, record, told)
    if chosen.id == "no_rci" and outcome is not None:
        told |= outcome.named()
    return Cohort(
        cases=record.cases,
        client=record.client,
        therapist=record.therapist,
        end=end,
        why=why,
        planned=facts.planned,
        visits=record.visits,
        day=record.day,
        covariates=covariates_of(covariates, source, record),
        definition=chosen.id,
        settings=told,
    )


def require_ended(cohort: Cohort) -> None:
    """Raise DataError unless a treatment has ended of which it is known how.

    Nothing can be learned from others. A list of ongoing ones does without, so `cohort_of` does not ask.
    """
    if np.isin(cohort.end, (DROPOUT, PLANNED, COMPETING)).any():
        return
    why = cohort.why[cohort.end == EXCLUDED].astype(str)
    reasons, counts = np.unique(why, return_counts=True)
    raise DataError(
        NONE_ENDED if set(reasons.tolist()) <= {TO_CONFIRM} else NONE_TOLD,
        where=[f"{n} left out: {each}" for each, n in zip(reasons.tolist(), counts.tolist(), strict=True)],
        hint="a model of dropout is learned from treatments that have ended",
    )


def definitions_supported(
    scores: pd.DataFrame,
    scale: Scale,
    *,
    treatments: pd.DataFrame,
    appointments: pd.DataFrame | None = None,
    settings: Mapping[str, Any] | None = None,
    others: Mapping[str, pd.DataFrame] | None = None,
    outcome: Outcome | None = None,
) -> Supports:
    """Return for every definition whether the data can answer, why not, and how the treatments ended by it.

    Parameters are those of `cohort_of`.
    """
    told = settings_of(settings)
    source = CovariateSource(scores=scores, treatments=treatments, others=others or {})
    record, facts = _known(scores, scale, treatments, appointments, source, (), outcome)
    to_confirm = presumed(facts)
    return Supports(
        definitions=tuple(_support(each, facts, record, told) for each in DEFINITIONS.values()),
        n_presumed=int((to_confirm == 1).sum()),
        n_unclear=int(np.isnan(to_confirm).sum()),
        n_cases=len(record.cases),
        observed_until="" if record.reach == NO_DAY else str(np.datetime64(record.reach, "D")),
    )


def kappa(first: Array | None, second: Array | None) -> tuple[int, float]:
    """Return how many cases two definitions both judge, and Cohen's kappa of dropout against planned end.

    NaN without such a case, or if both say the same of every one.

    Examples
    --------
    >>> kappa(np.array([1, 1, 2, 2, 0]), np.array([1, 2, 2, 2, 0]))
    (4, 0.5)
    """
    judged = (ENDS.index("dropout"), ENDS.index("planned"))
    if first is None or second is None:
        return 0, float("nan")
    both = np.isin(first, judged) & np.isin(second, judged)
    n = int(both.sum())
    a, b = first[both] == judged[0], second[both] == judged[0]
    if not n or (a.all() and b.all()) or not (a.any() or b.any()):
        return n, float("nan")
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    excess = float((a == b).mean() - chance)
    return n, 0.0 if abs(excess) <= TOLERANCE else float(excess / (1 - chance))


def _known(  # noqa: PLR0917  two callers, below and above
    scores: pd.DataFrame,
    scale: Scale,
    treatments: pd.DataFrame,
    appointments: pd.DataFrame | None,
    source: CovariateSource,
    covariates: Sequence[str],
    outcome: Outcome | None,
) -> tuple[Record, Facts]:
    check_scores(scores, scale.scores)
    check_treatments(treatments)
    if appointments is not None:
        check_appointments(appointments)
    forms, columns = source.forms(covariates)
    record = record_of(forms, scale, treatments, appointments, columns)
    improved = None if outcome is None else improvement(outcome, record.cases)
    return record, record.facts(treatments, improved=improved)


def _ends(
    chosen: Definition, facts: Facts, record: Record, settings: Mapping[str, Any]
) -> tuple[Array, Array]:
    end, why = ends_of(chosen, facts, settings)
    end, why = settle_presumed(end, why, presumed(facts), policy=settings["presumed"])
    return end, np.where(record.treated, why, NO_TREATMENT).astype(object)


def _support(chosen: Definition, facts: Facts, record: Record, settings: Mapping[str, Any]) -> Support:
    missing = tuple(lacks(chosen, facts)) if facts.ended.any() else (NONE_ENDED,)
    if missing:
        return Support(definition=chosen, lacks=missing, counts={}, excluded={})
    end, why = _ends(chosen, facts, record, settings)
    reasons, n_cases = np.unique(why[end == ENDS.index("excluded")].astype(str), return_counts=True)
    return Support(
        definition=chosen,
        lacks=(),
        counts={name: int((end == place).sum()) for place, name in enumerate(ENDS)},
        excluded=dict(zip(reasons.tolist(), n_cases.tolist(), strict=True)),
        end=end,
    )
