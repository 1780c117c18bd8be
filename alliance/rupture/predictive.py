"""`predictive-limit`: each score against a one-sided limit predicted from the same person's past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.psychometrics import effective_df
from alliance.rupture.episodes import RepairRule, Tracker, away_from
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import EVALUATED, NOT_ENOUGH, OPEN, REPAIR, UNSCORED, Verdict
from alliance.special import t_quantile

Array = np.ndarray[Any, Any]

MIN_PAIRS_ALONE = 3
MIN_REFERENCE_ALONE = 5


@method(
    "predictive-limit",
    online=True,
    needs="3 earlier scores and a caseload prior, or 5 earlier scores alone",
    finds="sudden falls, and most slow ones",
    blind="the first three sessions; falls of less than 3 own SD, mostly; a decline slower than about 1 SD a "
    "session drags the reference down and is seen late",
    source="one-sided prediction limit; spread shrunk as in Smyth (2004), "
    "https://doi.org/10.2202/1544-6115.1027",
    formula=(
        "mean, m: of the last 8 (window) earlier scores, without flagged ones and those of an open episode",
        "s² = Σd² / 2k, ν = 2k² / (3k - 1), d = change between neighbours among them; s² >= step² / 12",
        "σ² = (d0 s0² + ν s²) / (d0 + ν), df = d0 + ν",
        "limit = mean + t(df, α) σ √(1 + 1/m); statistic = (y - mean) / (σ √(1 + 1/m))",
        "flagged: y < limit and mean - y >= min_drop",
    ),
    shrinks=True,
)
def predictive_limit(
    courses: Courses,
    measure: Measure,
    *,
    alpha: float = 0.01,
    window: int = 8,
    min_ref: int = 3,
    min_drop: float | None = None,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session that scores below what the same person's earlier sessions predict.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored.
    measure : Measure
        Range and step of the score, and the caseload prior. Without a prior a verdict needs 5 earlier scores
        with 3 neighbour pairs.
    alpha : float
        One-sided error rate of a single verdict.
    window : int
        Latest reference scores looked back on. Flagged sessions and sessions of an open episode are no
        reference; after an episode that was not repaired its own scores become the reference.
    min_ref : int
        Reference scores needed with a prior.
    min_drop : float, optional
        Smallest fall below the reference mean that is flagged, in score points; by default
        `measure.min_drop`.
    repair : RepairRule, optional
        When an episode ends; while one is open nothing new is flagged.

    Returns
    -------
    Verdict
        `statistic` is (score - mean) / (sigma * sqrt(1 + 1/m)); `limit` is mean + t(df, alpha) * sigma *
        sqrt(1 + 1/m). Both are NaN where the session was not scored, the reference is too small, or an
        episode is open.

    Examples
    --------
    >>> from alliance.rupture.prior import given_prior
    >>> measure = Measure(low=12, high=60, step=1, prior=given_prior(2.0))
    >>> predictive_limit(Courses.of([46, 47, 48, 38]), measure).met
    array([nan, nan, nan,  1.])
    """
    return walk_limits(
        courses,
        measure,
        alpha=alpha,
        window=window,
        min_ref=min_ref,
        drop=measure.min_drop if min_drop is None else min_drop,
        rule=repair or RepairRule(),
    )


def walk_limits(
    courses: Courses,
    measure: Measure,
    *,
    alpha: float,
    window: int,
    min_ref: int,
    drop: float,
    rule: RepairRule,
    two_sided: bool = False,
) -> Verdict:
    """Return the verdicts of a prediction limit on every score, in one pass over the sessions.

    Parameters
    ----------
    courses, measure, window, min_ref, rule
        As for `predictive_limit`.
    alpha : float
        Error rate of a single verdict at one limit.
    drop : float
        Smallest distance from the reference mean that is flagged, in score points.
    two_sided : bool
        Judge a score above the reference mean by an upper limit, at the same distance; both limits have the
        error rate `alpha`. `limit` is the one on the side of the score.
    """
    alone = measure.prior.df == 0
    needed = max(min_ref, MIN_REFERENCE_ALONE) if alone else min_ref
    reference = _Reference(len(courses.starts), window, measure)
    reference.set_tables(alpha, min_pairs=MIN_PAIRS_ALONE if alone else 0, needed=needed)
    tracker = Tracker(len(courses.starts), rule)
    walk = _Walk(courses=courses, reference=reference, tracker=tracker, drop=drop, two_sided=two_sided)
    return walk.run(needed)


class _Reference:
    """The last `window` reference scores of every series, as rings: one row per slot, one column per series.

    `squares` and `pairs` hold, beside each score, its squared difference from the score before it in the list
    where the two are neighbours and the one before is still in the window. A spare column keeps sums running
    slot by slot, so that they do not depend on how many series there are.
    """

    def __init__(self, n_series: int, window: int, measure: Measure) -> None:
        self.window, self.measure = window, measure
        self.width = n_series + 1
        self.scores, self.squares, self.pairs = np.zeros((3, window, self.width))
        self.rows = np.full((window, self.width), -1, dtype=np.int64)
        self.count, self.last_clock = np.zeros((2, self.width), dtype=np.int64)
        self.last_score = np.zeros(self.width)

    def set_tables(self, alpha: float, *, min_pairs: int, needed: int) -> None:
        """Prepare what depends on the number of neighbour pairs, or of scores, only: 0 to `window` each.

        A t quantile is NaN where there are too few pairs, an error factor where there are too few scores.
        """
        pairs, sizes = np.arange(self.window), np.arange(self.window + 1)
        self.own_df = effective_df(pairs)
        self.df = self.measure.prior.df + self.own_df
        quantiles = np.array([t_quantile(alpha, df) if df > 0 else np.nan for df in self.df.tolist()])
        self.quantiles = np.where(pairs >= min_pairs, quantiles, np.nan)
        factors = np.sqrt(1 + 1 / np.maximum(sizes, 1))
        self.factors = np.where(sizes >= needed, factors, np.nan)

    def push(self, places: Array, rows: Array, scores: Array, clock: Array) -> None:
        """Append one score to the reference lists at `places`."""
        count = self.count[places]
        known = (count > 0) & (clock - self.last_clock[places] == 1)
        cells = (count % self.window) * self.width + places
        self.scores.reshape(-1)[cells], self.rows.reshape(-1)[cells] = scores, rows
        self.squares.reshape(-1)[cells] = np.where(known, (scores - self.last_score[places]) ** 2, 0.0)
        self.pairs.reshape(-1)[cells] = known
        full = count + 1 >= self.window
        oldest = (((count + 1) % self.window) * self.width + places)[full]
        self.squares.reshape(-1)[oldest] = self.pairs.reshape(-1)[oldest] = 0
        self.last_clock[places], self.last_score[places], self.count[places] = clock, scores, count + 1

    def restart(self, places: Array, scores: Array, rows: Array, clock: Array) -> None:
        """Replace the reference lists at `places` by `scores`, shape (new scores, places)."""
        self.count[places] = 0
        for ring in (self.scores, self.squares, self.pairs):
            ring[:, places] = 0
        self.rows[:, places] = -1
        for row, score, tick in zip(rows, scores, clock, strict=True):
            self.push(places, row, score, tick)

    def limits(self, running: int) -> _Limits:
        """Return what the first `running` series are judged by."""
        total, squares, pairs = (
            ring[:, : running + 1].sum(axis=0)[:running] for ring in (self.scores, self.squares, self.pairs)
        )
        n_pairs = pairs.astype(np.int64)
        floor = self.measure.step**2 / 12
        variance = np.maximum(squares / np.maximum(2 * pairs, 1), floor)
        own_df, df = self.own_df[n_pairs], self.df[n_pairs]
        with np.errstate(invalid="ignore", divide="ignore"):
            sigma = np.sqrt((self.measure.prior.df * self.measure.prior.variance + own_df * variance) / df)
        sizes = np.minimum(self.count[:running], self.window)
        mean = total / np.maximum(sizes, 1)
        error = sigma * self.factors[sizes]
        reach = self.quantiles[n_pairs] * error
        return _Limits(mean=mean, sigma=sigma, df=df, error=error, reach=reach, sizes=sizes)


@dataclass(frozen=True, kw_only=True)
class _Limits:
    """What each series is judged by at one session.

    `reach` is how far the lower limit lies from the mean, below 0; NaN where that is not enough data.
    """

    mean: Array
    sigma: Array
    df: Array
    error: Array
    reach: Array
    sizes: Array


@dataclass(kw_only=True)
class _Walk:
    """One pass over the sessions of all series: judge, open, follow, remember."""

    courses: Courses
    reference: _Reference
    tracker: Tracker
    drop: float
    two_sided: bool = False

    def run(self, needed: int) -> Verdict:
        n_forms = len(self.courses.values)
        self.met, self.statistic, self.limit, self.mean, self.sigma, self.df = np.full((6, n_forms), np.nan)
        self.n_reference = np.zeros(n_forms, dtype=np.int64)
        self.state = np.full(n_forms, UNSCORED, dtype=np.int8)
        self.flagged: list[tuple[Array, Array]] = []
        for places in self.courses.scored_steps:
            self._step(self.courses.scored[places])
        return Verdict(
            met=self.met,
            statistic=self.statistic,
            limit=self.limit,
            reference=self.mean,
            sigma=self.sigma,
            df=self.df,
            n_reference=self.n_reference,
            state=self.state,
            needed=needed,
            follow=lambda: self.tracker.finish(self.courses.scored_steps.order),
            compared=self._windows,
        )

    def _step(self, rows: Array) -> None:
        scores = self.courses.values[rows]
        running = self.tracker.is_open[: len(rows)].copy()
        flags = self._judge(rows, scores, running)
        if running.any():
            self._follow(np.flatnonzero(running), rows, scores)
        opened, quiet = np.flatnonzero(flags), np.flatnonzero(~flags & ~running)
        if len(opened):
            at = rows[opened]
            self.flagged.append((at, self.reference.rows[:, opened].T.copy()))
            self._open(opened, at, scores[opened])
        self._remember(quiet, rows, scores)

    def _judge(self, rows: Array, scores: Array, running: Array) -> Array:
        by = self.reference.limits(len(rows))
        side: Array | float = away_from(by.mean, scores) if self.two_sided else 1.0
        limit = by.mean + side * by.reach
        judged = np.isfinite(limit) & ~running
        beyond = side * scores < side * limit - TOLERANCE
        flags: Array = judged & beyond & (side * (by.mean - scores) >= self.drop - TOLERANCE)
        told = np.flatnonzero(judged)
        at = rows[told]
        self.met[at], self.df[at], self.limit[at] = flags[told], by.df[told], limit[told]
        self.mean[at], self.sigma[at] = by.mean[told], by.sigma[told]
        self.statistic[at] = ((scores - by.mean) / by.error)[told]
        self.n_reference[rows] = by.sizes
        self.state[rows] = np.where(judged, EVALUATED, NOT_ENOUGH)
        return flags

    def _open(self, places: Array, rows: Array, scores: Array) -> None:
        mean, sides = self.mean[rows], {}
        if self.two_sided:
            sides = {"side": away_from(mean, scores), "across": np.abs(self.limit[rows] - mean)}
        self.tracker.open(places, rows, scores, mean, self.sigma[rows], **sides)

    def _follow(self, places: Array, rows: Array, scores: Array) -> None:
        repaired, given_up = self.tracker.follow(places, rows[places], scores[places])
        self.met[rows[places]] = 0.0
        self.state[rows[places]] = np.where(repaired, REPAIR, OPEN)
        self._remember(places[repaired], rows, scores)
        ended = places[given_up]
        if len(ended):
            rows_of = self.tracker.rows[:, ended]
            self.reference.restart(ended, self.tracker.scores[:, ended], rows_of, self.courses.clock[rows_of])

    def _remember(self, places: Array, rows: Array, scores: Array) -> None:
        self.reference.push(places, rows[places], scores[places], self.courses.clock[rows[places]])

    def _windows(self) -> Array:
        """Return the reference rows behind every flag, by flagged row; -1 = empty slot."""
        if not self.flagged:
            return np.zeros((0, self.reference.window), dtype=np.int64)
        rows = np.concatenate([rows for rows, _ in self.flagged])
        windows: Array = np.concatenate([windows for _, windows in self.flagged])[np.argsort(rows)]
        return windows
