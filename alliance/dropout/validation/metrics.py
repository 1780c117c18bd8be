"""Predictions and what came → how well they rank, how well they are calibrated, what acting on them gains."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dropout.model.estimate import statsmodels
from alliance.dropout.validation.curves import calibration_errors

Array = np.ndarray[Any, Any]

METRICS = (
    "auc", "auc_pooled", "citl", "slope", "oe", "brier", "brier_scaled", "ici", "e50", "e90", "nb",
)  # fmt: skip

_EDGE = 1e-12
"""Closest a probability may come to 0 or 1 on the logit scale; also the distance of tied predictions."""

_STEPS, _CLOSE, _PERFECT = 100, 1e-10, 1e-6
"""Steps of the fit at most, the last one's size, and the misfit below which outcomes are separated."""


@dataclass(frozen=True, kw_only=True)
class SessionAucs:
    """The AUC of every session number, shape (sessions,) each.

    Attributes
    ----------
    session : int, ascending
    n, events : float; predictions and events, weights counted
    auc : float; share of the pairs of an event and a non-event that are ranked rightly, ties counted half;
        NaN where there is no pair
    """

    session: Array
    n: Array
    events: Array
    auc: Array

    @property
    def headline(self) -> float:
        """Event-weighted mean of the sessions' AUCs; sessions without both outcomes do not count."""
        both = np.isfinite(self.auc)
        return ratio((self.auc[both] * self.events[both]).sum(), self.events[both].sum())


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Scores in their order within groups, laid out once so that many weightings can be judged quickly.

    Scores closer than 1e-12 count as tied. Pairs are formed within a cell only: a group, or the part of it
    that one model has predicted.

    Attributes
    ----------
    order : int, shape (rows,); rows by cell, then by score ascending
    ties : int; first place of each run of tied scores in `order`
    runs : int; first run of each cell
    cells : int; first cell of each group
    groups : the groups, ascending
    """

    order: Array
    ties: Array
    runs: Array
    cells: Array
    groups: Array

    @classmethod
    def of(cls, score: Array, group: Array, made_by: Array | None = None) -> Ranking:
        """Return the ranking of `score`, shape (rows,), within each `group` and model, shape (rows,)."""
        by = np.zeros(len(group), dtype=np.int64) if made_by is None else made_by
        order = np.lexsort((score, by, group))
        value, maker, kind = np.asarray(score, dtype=float)[order], by[order], group[order]
        other = np.ones(len(order), dtype=bool)
        other[1:] = kind[1:] != kind[:-1]
        cell = other.copy()
        cell[1:] |= maker[1:] != maker[:-1]
        begin = cell.copy()
        begin[1:] |= np.diff(value) > _EDGE
        ties, firsts = np.flatnonzero(begin), np.flatnonzero(cell)
        return cls(
            order=order,
            ties=ties,
            runs=np.flatnonzero(cell[ties]),
            cells=np.flatnonzero(other[firsts]),
            groups=kind[other],
        )

    def aucs(self, y: Array, weight: Array | None = None) -> SessionAucs:
        """Return the AUC of every group for outcomes `y` (0 or 1), each row counted `weight` times."""
        if not len(self.order):
            empty = np.zeros(0)
            return SessionAucs(session=self.groups, n=empty, events=empty, auc=empty)
        counts = np.ones(len(y)) if weight is None else weight
        events = np.add.reduceat((counts * y)[self.order], self.ties)
        others = np.add.reduceat((counts * (1 - y))[self.order], self.ties)
        below = np.cumsum(others) - others
        below -= np.repeat(below[self.runs], np.diff(np.append(self.runs, len(self.ties))))
        wins = np.add.reduceat(events * (below + others / 2), self.runs)
        events, others = np.add.reduceat(events, self.runs), np.add.reduceat(others, self.runs)
        won, pairs = np.add.reduceat(wins, self.cells), np.add.reduceat(events * others, self.cells)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = won / pairs
        return SessionAucs(
            session=self.groups,
            n=np.add.reduceat(events + others, self.cells),
            events=np.add.reduceat(events, self.cells),
            auc=share,
        )


def auc(y: Array, score: Array, *, weight: Array | None = None) -> float:
    """Return the area under the ROC curve: how often an event has the higher score, ties counted half.

    Parameters
    ----------
    y : 0 or 1, shape (rows,); 1 = event
    score : float, shape (rows,); higher = more risk, no NaN
    weight : float, shape (rows,), optional; how often each row counts

    Returns
    -------
    float
        Mann-Whitney statistic with mid-ranks over events times non-events; NaN without both outcomes.

    Examples
    --------
    >>> auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.2, 0.4]))
    0.875
    """
    y = np.asarray(y, dtype=float)
    found = Ranking.of(np.asarray(score, dtype=float), np.zeros(len(y), dtype=np.int64)).aucs(y, weight)
    return float(found.auc[0]) if len(found.auc) else float("nan")


def session_aucs(
    y: Array, score: Array, session: Array, *, made_by: Array | None = None, weight: Array | None = None
) -> SessionAucs:
    """Return the AUC within every session number; `headline` of the result is their event-weighted mean.

    Parameters
    ----------
    y : 0 or 1, shape (rows,)
    score : float, shape (rows,); higher = more risk
    session : int, shape (rows,)
    made_by : int, shape (rows,), optional; model that gave the score. Scores of different models are not
        compared: a fold with many events leaves few to its model, whose predictions are then low where events
        are many, so that pooled folds rank worse than any of their models.
    weight : float, shape (rows,), optional; how often each row counts

    References
    ----------
    Forman, G., & Scholz, M. (2010). https://doi.org/10.1145/1882471.1882479

    Examples
    --------
    >>> y, session = np.array([0, 1, 0, 1, 1]), np.array([1, 1, 2, 2, 3])
    >>> found = session_aucs(y, np.array([0.1, 0.2, 0.4, 0.3, 0.5]), session)
    >>> found.auc, found.headline
    (array([ 1.,  0., nan]), 0.5)
    """
    return Ranking.of(score, session, made_by).aucs(np.asarray(y, dtype=float), weight)


def logit(p: Array) -> Array:
    """Return log(p / (1 - p)), shape as given; probabilities of 0 and 1 stand just inside."""
    inside = np.clip(np.asarray(p, dtype=float), _EDGE, 1 - _EDGE)
    odds: Array = np.log(inside / (1 - inside))
    return odds


def citl(y: Array, p: Array, *, weight: Array | None = None) -> float:
    """Return calibration in the large: the intercept a of logit P(y) = a + logit(p).

    Above 0: more events than predicted. NaN without both outcomes.

    Examples
    --------
    >>> round(citl(np.array([1, 1, 0, 1]), np.full(4, 0.5)), 4)
    1.0986
    """
    return _recalibrated(np.asarray(y, dtype=float), logit(p), weight, slope=False)


def slope(y: Array, p: Array, *, weight: Array | None = None) -> float:
    """Return the calibration slope: b of logit P(y) = a + b logit(p).

    Below 1: the predictions are too extreme. NaN without both outcomes, where all predictions are alike, or
    where they separate the outcomes completely.
    """
    return _recalibrated(np.asarray(y, dtype=float), logit(p), weight, slope=True)


def _recalibrated(y: Array, odds: Array, weight: Array | None, *, slope: bool) -> float:
    """Return the ML estimate of a with b held at 1, or of b (statsmodels)."""
    counts = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    kept = counts > 0
    y, odds, counts = y[kept], odds[kept], counts[kept]
    events = (counts * y).sum()
    if not 0 < events < counts.sum() or (slope and np.ptp(odds) <= TOLERANCE):
        return float("nan")
    constant = np.ones((len(y), 1))
    columns = np.column_stack([constant, odds - odds.mean()]) if slope else constant
    api = statsmodels("api", what="calibration")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = api.GLM(
            y,
            columns,
            family=api.families.Binomial(),
            offset=None if slope else odds,
            freq_weights=counts,
        )
        found = model.fit(tol=_CLOSE, tol_criterion="params", maxiter=_STEPS)
    line = np.asarray(found.params)
    far = not np.isfinite(line).all() or float(np.abs(model.endog - found.fittedvalues).max()) < _PERFECT
    return float("nan") if far or not found.converged else float(line[-1])


def oe(y: Array, p: Array, *, weight: Array | None = None) -> float:
    """Return observed over expected events: mean of y / mean of p; above 1 = more came than predicted."""
    counts = np.ones(len(y)) if weight is None else weight
    return ratio((counts * y).sum(), (counts * p).sum())


def brier(y: Array, p: Array, *, weight: Array | None = None) -> float:
    """Return the mean of (p - y)²; 0 is perfect."""
    counts = np.ones(len(y)) if weight is None else weight
    return ratio((counts * (p - y) ** 2).sum(), counts.sum())


def brier_scaled(y: Array, p: Array, *, weight: Array | None = None) -> float:
    """Return 1 - Brier / (ȳ (1 - ȳ)): 1 is perfect, 0 as good as the base rate, below 0 worse."""
    counts = np.ones(len(y)) if weight is None else weight
    base = ratio((counts * y).sum(), counts.sum())
    return 1 - ratio(brier(y, p, weight=weight), base * (1 - base))


def net_benefit(y: Array, flagged: Array, threshold: float, *, weight: Array | None = None) -> float:
    """Return TP / n - FP / n · pt / (1 - pt) of acting on the flagged ones.

    Parameters
    ----------
    y : 0 or 1, shape (rows,)
    flagged : bool, shape (rows,)
    threshold : float; probability pt from which on one would act, 0 < pt < 1; NaN gives NaN
    weight : float, shape (rows,), optional; how often each row counts

    References
    ----------
    Vickers, A. J., & Elkin, E. B. (2006). https://doi.org/10.1177/0272989X06295361

    Examples
    --------
    >>> net_benefit(np.array([0, 1, 0, 1]), np.array([False, True, True, True]), 0.2)
    0.4375
    """
    counts = np.ones(len(y)) if weight is None else weight
    acted = counts * flagged
    hits = (acted * y).sum()
    return ratio(hits - (acted.sum() - hits) * threshold / (1 - threshold), counts.sum())


def reaches(p: Array, threshold: float) -> Array:
    """Return which predictions reach the threshold, shape (rows,); the threshold itself does."""
    reached: Array = p >= threshold - TOLERANCE
    return reached


def budget_threshold(p: Array, budget: float) -> float:
    """Return the lowest prediction such that no more than the share `budget` of all reaches it.

    Ties are never split: where they would break the budget, the next higher prediction is taken. NaN where
    there is none, as when all predictions are alike.

    Examples
    --------
    >>> budget_threshold(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), 0.4)
    0.4
    """
    falling = np.sort(np.asarray(p, dtype=float))[::-1]
    allowed = int(budget * len(falling) + TOLERANCE)
    if not allowed:
        return float("nan")
    limit = float(falling[allowed - 1])
    if int(reaches(falling, limit).sum()) <= allowed:
        return limit
    higher = falling[falling > limit + TOLERANCE]
    return float(higher[-1]) if len(higher) else float("nan")


@dataclass(frozen=True, kw_only=True)
class Flagging:
    """Shares of a flag: of all rows, of the events, of the non-events, and events among the flagged."""

    flag_rate: float
    sens: float
    spec: float
    ppv: float


def flagging(y: Array, flagged: Array, *, weight: Array | None = None) -> Flagging:
    """Return how often a flag is raised and how often it is right; NaN where nothing can be counted."""
    counts = np.ones(len(y)) if weight is None else weight
    n, events, raised = counts.sum(), (counts * y).sum(), (counts * flagged).sum()
    hits = (counts * flagged * y).sum()
    return Flagging(
        flag_rate=ratio(raised, n),
        sens=ratio(hits, events),
        spec=ratio(n - events - raised + hits, n - events),
        ppv=ratio(hits, raised),
    )


def ratio(part: Any, whole: Any) -> float:
    """Return part / whole, NaN where the whole is 0 or NaN."""
    return float(part) / float(whole) if whole > 0 else float("nan")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predicted probabilities with what came, shape (rows,) each; ranks and logits are found once.

    Attributes
    ----------
    y : float; 1 = event, 0 = none
    p : float; predicted probability of the event
    session : int; session number
    made_by : int or None; fold whose model made the prediction, None = one model made all. Ranks are
        compared within a fold only, everything else over all
    """

    y: Array
    p: Array
    session: Array
    made_by: Array | None = None

    @cached_property
    def within(self) -> Ranking:
        """The ranking within every session number."""
        return Ranking.of(self.p, self.session, self.made_by)

    @cached_property
    def pooled(self) -> Ranking:
        """The ranking over all sessions."""
        return Ranking.of(self.p, np.zeros(len(self.p), dtype=np.int64), self.made_by)

    @cached_property
    def order(self) -> Array:
        """Places that sort the predictions."""
        return np.argsort(self.p, kind="stable")

    @cached_property
    def odds(self) -> Array:
        """The logit of each prediction."""
        return logit(self.p)

    def measure(
        self, weight: Array | None = None, *, threshold: float = float("nan"), points: int = 1000
    ) -> dict[str, float]:
        """Return every metric in METRICS, each row counted `weight` times; NaN where one cannot be had.

        `threshold` is that of the net benefit; `points` is how fine the smooth curve behind ICI is drawn.
        """
        y, p = self.y, self.p
        errors = calibration_errors(y, p, order=self.order, weight=weight, points=points)
        overall = self.pooled.aucs(y, weight).auc
        return {
            "auc": self.within.aucs(y, weight).headline,
            "auc_pooled": float(overall[0]) if len(overall) else float("nan"),
            "citl": _recalibrated(y, self.odds, weight, slope=False),
            "slope": _recalibrated(y, self.odds, weight, slope=True),
            "oe": oe(y, p, weight=weight),
            "brier": brier(y, p, weight=weight),
            "brier_scaled": brier_scaled(y, p, weight=weight),
            **errors,
            "nb": net_benefit(y, reaches(p, threshold), threshold, weight=weight),
        }
