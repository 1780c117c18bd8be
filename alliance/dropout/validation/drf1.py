"""The rules of DRF-1 on the rows of a model: the comparator that a model has to beat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.dropout.ends.cohort import Cohort
from alliance.dropout.instrument import Instrument, local_sem
from alliance.dropout.model.rows import Rows
from alliance.dropout.norms import NormTally
from alliance.dropout.validation.resampling import Folds
from alliance.dropout.verdicts import REVIEW, risk_arrays
from alliance.dropout.visits import Visits
from alliance.psychometrics import successive_spread

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class RuleScores:
    """What DRF-1 says at every row, shape (rows,) each.

    Attributes
    ----------
    score : float; place in the order of the triage list, higher = nearer its top, ties equal
    review : bool; level REVIEW
    """

    score: Array
    review: Array


def rule_scores(cohort: Cohort, rows: Rows, instrument: Instrument, folds: Folds) -> RuleScores:
    """Judge every row by DRF-1, as of its session, with local norms that have not seen its client.

    The order is that of the triage list: level, points, latest rating (lower first, none last), sessions
    attended (fewer first). The rating stands in for its percentile, which would look ahead.

    Parameters
    ----------
    cohort : Cohort
        Holds the visits that `rows` points into.
    rows : Rows
    instrument : Instrument
        Numbers it has are used as they are. A 16th percentile by session, and an error of measurement, that
        it lacks are taken from the training side of each fold, if there are ratings enough.
    folds : Folds
    """
    level, points = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    last = np.full(len(rows), np.nan)
    whole = instrument.sem is not None and bool(instrument.reference)
    splits = [(None, np.arange(len(rows)))] if whole else list(folds)
    for train, test in splits:
        local = instrument if train is None else local_instrument(cohort, rows, instrument, train)
        verdicts = risk_arrays(cohort.visits, local, as_of="every")
        visit = rows.visit[test]
        level[test], points[test] = verdicts.level[visit], verdicts.points[visit]
        last[test] = verdicts.state.last[visit]
    return RuleScores(score=_placed(level, points, last, rows.session), review=level == REVIEW)


def _placed(level: Array, points: Array, last: Array, session: Array) -> Array:
    """Return the place of each row in the order of the triage list, from 0 at its end, equal keys equal."""
    keys = np.stack([session, np.where(np.isnan(last), np.inf, last), -points, level])
    order = np.lexsort(keys)
    fresh = np.any(keys[:, order][:, 1:] != keys[:, order][:, :-1], axis=0)
    place = np.empty(len(order))
    place[order] = -np.concatenate([[0], np.cumsum(fresh)])[: len(order)]
    lowest = place.min() if len(place) else 0.0
    return np.asarray(place - lowest)


def local_instrument(cohort: Cohort, rows: Rows, instrument: Instrument, train: Array) -> Instrument:
    """Return the instrument with what it lacks taken from the ratings of the cases trained on."""
    trained = np.zeros(len(cohort.visits.starts), dtype=bool)
    trained[rows.case[train]] = True
    visits = cohort.visits
    rating = np.where(trained[visits.case], visits.rating, np.nan)
    reference = dict(instrument.reference)
    if not reference:
        tally = NormTally()
        tally.add(replace(visits, rating=rating))
        reference = dict(tally.norms(instrument.id, high=instrument.max).p16)
    sem = instrument.sem if instrument.sem is not None else _sem(rating, visits)
    return replace(instrument, reference=reference, sem=sem)


def _sem(rating: Array, visits: Visits) -> float | None:
    kept = np.flatnonzero(np.isfinite(rating))
    starts = np.flatnonzero(np.diff(visits.case[kept], prepend=-1))
    spread = successive_spread(Courses(values=rating[kept], session=visits.session[kept], starts=starts))
    sem = local_sem(spread)
    return sem if sem is not None and sem > TOLERANCE else None
