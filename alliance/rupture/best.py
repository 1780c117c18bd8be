"""`best-drop`: a fall from the best score so far that measurement error does not explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.psychometrics import reliable_change
from alliance.reliable import critical_value
from alliance.rupture.change import require_sem, state_of
from alliance.rupture.episodes import RepairRule, Tracker
from alliance.rupture.findings import number
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import REPAIR, Verdict, constant

if TYPE_CHECKING:
    from alliance.rupture.findings import Judged

Array = np.ndarray[Any, Any]


def _explain(judged: Judged, rows: Array) -> list[Array | str]:
    verdict = judged.verdict
    best = judged.courses.session[verdict.details["best row"][rows].astype(np.int64)]
    return [
        number("scored ", judged.courses.values[rows]),
        number(f", {'above' if judged.rising else 'below'} the limit ", verdict.limit[rows]),
        number(f" from the {'lowest' if judged.rising else 'best'} score so far (", verdict.reference[rows]),
        number(" at session ", best),
        number(", SD ", verdict.sigma[rows]),
        ")",
    ]


@method(
    "best-drop",
    online=True,
    needs="one earlier score, and a standard deviation with a reliability, or a within-person SD",
    finds="a fall from the best score so far, slow declines included",
    blind="the best of many scores lies high by chance: the longer the course, the more false alarms",
    source="criterion of Jacobson & Truax (1991), https://doi.org/10.1037/0022-006X.59.1.12",
    formula=(
        "SEM = SD √(1 - r), or the within-person SD",
        "index = (y - best) / (√2 SEM); flagged: index < -criterion",
        "best = highest earlier score since the last episode closed, the score that repaired it included; "
        "after an episode that was given up, of the scores in it",
    ),
    explain=_explain,
)
def best_drop(
    courses: Courses, measure: Measure, *, criterion: float | None = None, repair: RepairRule | None = None
) -> Verdict:
    """Flag every session that scores reliably below the best one since the last episode closed.

    Each session is judged on its own: in an open episode the reference stays what it was, and every further
    session below the limit is flagged too, but opens no second episode.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored, and left out.
    measure : Measure
        Must hold a norm with sd and reliability, or a within-person SD.
    criterion : float, optional
        1.96 by default. The best of several scores is no ordinary score, so that this is no 5 % rule.
    repair : RepairRule, optional
        When an episode ends; its sigma is the standard error of measurement.

    Returns
    -------
    Verdict
        `statistic` is change / (sqrt(2) * SEM). `met` is NaN where the session was not scored, or is the
        first.

    Raises
    ------
    UsageError
        If neither the definition nor the caller says how reliable the score is.

    Examples
    --------
    >>> measure = Measure(low=12, high=60, step=1, within_sd=2.0)
    >>> best_drop(Courses.of([48, 50, 46, 44, 43]), measure).met
    array([nan,  0.,  0.,  1.,  1.])
    """
    error = require_sem(measure, "best-drop")
    cut = critical_value("JT", criterion) * np.sqrt(2) * error
    walk = _BestWalk(courses, Tracker(len(courses.starts), repair or RepairRule()), sem=error, cut=float(cut))
    return walk.run()


class _BestWalk:
    """One pass over the sessions of all series, with the best score of each and the open episodes."""

    def __init__(self, courses: Courses, tracker: Tracker, *, sem: float, cut: float) -> None:
        self.courses, self.tracker, self.sem, self.cut = courses, tracker, sem, cut
        self.best = np.full(len(courses.starts), np.nan)
        self.best_row, self.count = np.zeros((2, len(courses.starts)), dtype=np.int64)
        n_forms = len(courses.values)
        self.reference, self.best_rows = np.full((2, n_forms), np.nan)
        self.n_reference = np.zeros(n_forms, dtype=np.int64)
        self.repairs: list[Array] = []

    def run(self) -> Verdict:
        for places in self.courses.scored_steps:
            self._step(self.courses.scored[places])
        change = self.courses.values - self.reference
        met = three_valued(np.isfinite(change), self._short(change))
        state = state_of(self.courses, met)
        state[np.concatenate([*self.repairs, np.zeros(0, dtype=np.int64)])] = REPAIR
        return Verdict(
            met=met,
            statistic=reliable_change(change, sem=self.sem),
            limit=self.reference - self.cut,
            reference=self.reference,
            sigma=constant(self.sem, len(met)),
            df=constant(np.nan, len(met)),
            n_reference=self.n_reference,
            state=state,
            needed=1,
            follow=lambda: self.tracker.finish(self.courses.scored_steps.order),
            compared=lambda: self.best_rows[met == 1].astype(np.int64)[:, None],
            details={"best row": self.best_rows},
        )

    def _short(self, change: Array) -> Array:
        return change < -self.cut - TOLERANCE

    def _step(self, rows: Array) -> None:
        scores, here = self.courses.values[rows], slice(len(rows))
        best = self.best[here]
        self.reference[rows], self.n_reference[rows] = best, self.count[here]
        self.best_rows[rows] = np.where(self.count[here] > 0, self.best_row[here], np.nan)
        running = self.tracker.is_open[here].copy()
        opens = np.flatnonzero(self._short(scores - best) & ~running)
        better = ~(scores <= best)
        self.best[here] = np.where(better, scores, best)
        self.best_row[here] = np.where(better, rows, self.best_row[here])
        self.count[here] += 1
        if running.any():
            self._follow(np.flatnonzero(running), rows, scores)
        if len(opens):
            at = rows[opens]
            self.tracker.open(opens, at, scores[opens], self.reference[at], np.full(len(at), self.sem))

    def _follow(self, places: Array, rows: Array, scores: Array) -> None:
        repaired, given_up = self.tracker.follow(places, rows[places], scores[places])
        healed, ended = places[repaired], places[given_up]
        self.repairs.append(rows[healed])
        self.best[healed], self.best_row[healed], self.count[healed] = scores[healed], rows[healed], 1
        if len(ended):
            within = np.argmax(self.tracker.scores[:, ended], axis=0)
            self.best[ended] = self.tracker.scores[within, ended]
            self.best_row[ended] = self.tracker.rows[within, ended]
            self.count[ended] = len(self.tracker.scores)
