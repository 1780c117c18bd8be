"""Counts of cases → figures with intervals: a bootstrap over cases, all replicates at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.evaluation.agreement import coefficients, ratio
from alliance.evaluation.counting import Counts
from alliance.evaluation.truth import KINDS

Array = np.ndarray[Any, Any]

REPLICATES = 999
AT_ONCE = 4_000_000
"""Weights drawn at once, replicates times kinds of cases."""
MUCH_UNDEFINED = 0.05
EXACT, WINDOW = "exact", "window"
"""A flag at the session itself, or within the window of a rupture."""

Figures = dict[tuple[str, str], tuple[Array, Array]]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure with its interval.

    Attributes
    ----------
    name : str
    window : `exact`, `window`, or the kind of planted rupture it is about
    value : float; NaN = not enough data
    low, high : float; 95 % interval by bootstrap over cases, NaN if every replicate gives the same: cases
        that all agree say nothing about how they might differ
    of : float; what it is a share of: the number of ruptures, sessions, alarms or cases
    undefined : float; share of the replicates without a value, left out of the interval
    """

    name: str
    window: str
    value: float
    low: float
    high: float
    of: float
    undefined: float


def figures_of(counts: Counts, *, replicates: int = REPLICATES, seed: int = 1) -> tuple[Figure, ...]:
    """Return every figure that the counts of a detector give.

    Parameters
    ----------
    counts : Counts
        One row per case.
    replicates : int
        Bootstrap samples of cases, at least 0; 0 = no intervals.
    seed : int
        Equal seeds give equal intervals, in whatever order the cases are.
    """
    samples = list(resampled(counts, replicates=replicates, seed=seed)) if len(counts.values) else []
    found = _all_figures(counts.total())
    drawn = [_all_figures(sample) for sample in samples]
    return tuple(
        _figure(key, value, of, [each[key][0] for each in drawn]) for key, (value, of) in found.items()
    )


def resampled(counts: Counts, *, replicates: int, seed: int, size: int | None = None) -> Iterator[Counts]:
    """Yield sums over `size` cases drawn with replacement, as many as there are if not given.

    Cases with equal counts are one kind: what is drawn is how often each kind comes up.
    """
    kinds, often = np.unique(counts.values, axis=0, return_counts=True)
    size = int(often.sum()) if size is None else size
    share = often / often.sum()
    rng = np.random.default_rng(seed)
    at_once = max(AT_ONCE // len(kinds), 1)
    for begin in range(0, replicates, at_once):
        weights = rng.multinomial(size, share, size=min(at_once, replicates - begin))
        yield Counts(names=counts.names, values=weights.astype(float) @ kinds)


def interval(replicates: Array) -> tuple[float, float, float]:
    """Return the ends of the 95 % range of the replicates that have a value, and the share that have none."""
    known = replicates[np.isfinite(replicates)]
    undefined = 1 - len(known) / len(replicates) if len(replicates) else 0.0
    if not len(known) or np.ptp(known) == 0:
        return np.nan, np.nan, undefined
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high), undefined


def rate_interval(
    counts: Counts, *, replicates: int, seed: int, size: int | None = None
) -> tuple[float, float]:
    """Return the 95 % range of the false alarms per 100 quiet sessions of `size` cases."""
    if not len(counts.values):
        return np.nan, np.nan
    samples = resampled(counts, replicates=replicates, seed=seed, size=size)
    low, high, _ = interval(
        np.concatenate([np.zeros(0), *(_per_100(each["false alarms"], each["quiet"])[0] for each in samples)])
    )
    return low, high


def rate_of(counts: Counts) -> float:
    """Return the false alarms per 100 quiet sessions, NaN without such a session."""
    total = counts.total()
    return float(_per_100(total["false alarms"], total["quiet"])[0][0])


def _figure(key: tuple[str, str], value: Array, of: Array, drawn: list[Array]) -> Figure:
    low, high, undefined = interval(np.concatenate(drawn) if drawn else np.zeros(0))
    defined = bool(np.isfinite(value[0]))
    return Figure(
        name=key[0],
        window=key[1],
        value=float(value[0]),
        low=low if defined else np.nan,
        high=high if defined else np.nan,
        of=float(of[0]),
        undefined=undefined,
    )


def _all_figures(counts: Counts) -> Figures:
    found = _agreement(counts, EXACT, "exact ") | _agreement(counts, WINDOW, "")
    found["false alarms per 100 sessions", EXACT] = _per_100(counts["exact fp"], counts["exact free"])
    found["false alarms per 100 sessions", WINDOW] = _per_100(counts["false alarms"], counts["quiet"])
    shares = (
        ("cases falsely flagged", "calm flagged", "calm cases"),
        ("ruptures never flagged", "never", "ruptures"),
        ("repair agreement", "repair agreed", "repair known"),
    )
    for name, some, all_of_them in shares:
        found[name, WINDOW] = ratio(counts[some], counts[all_of_them]), counts[all_of_them]
    delays = counts.delays()
    n_found = delays.sum(axis=1)
    found["median delay", WINDOW] = median(delays), n_found
    found["mean delay", WINDOW] = ratio(delays @ np.arange(delays.shape[1]), n_found), n_found
    for kind in KINDS[1:] if f"{KINDS[1]} planted" in counts.names else ():
        planted, hits = counts[f"{kind} planted"], counts[f"{kind} found"]
        found["sensitivity", kind] = ratio(hits, planted), planted
        found["mean delay", kind] = ratio(counts[f"{kind} delay"], hits), hits
    return found


def _agreement(counts: Counts, window: str, lead: str) -> Figures:
    tp, fp, fn, tn = (counts[f"{lead}{name}"] for name in ("tp", "fp", "fn", "tn"))
    units = {"sensitivity": tp + fn, "specificity": tn + fp, "ppv": tp + fp, "npv": tn + fn}
    total = tp + fp + fn + tn
    found = coefficients(tp, fp, fn, tn)
    return {(name, window): (value, units.get(name, total)) for name, value in found.items()}


def _per_100(alarms: Array, sessions: Array) -> tuple[Array, Array]:
    return 100 * ratio(alarms, sessions), sessions


def median(histogram: Array) -> Array:
    """Return the median of values 0, 1, … that occur so often, row by row; NaN for an empty row.

    >>> median(np.array([[1, 1, 2], [1, 0, 1], [0, 0, 0]]))
    array([1.5, 1. , nan])
    """
    upto = np.cumsum(histogram, axis=1)
    total = upto[:, -1:]
    lower, upper = np.floor((total - 1) / 2), np.floor(total / 2)
    middle = ((upto > lower).argmax(axis=1) + (upto > upper).argmax(axis=1)) / 2
    return np.where(total[:, 0] > 0, middle, np.nan)
