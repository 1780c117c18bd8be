"""Series → levels: exact least-squares segmentation of many series at once, by dynamic programming.

The cost of a level is the sum of squared deviations from its mean. All arrays are float64: in float32 some
partitions of real courses are not the best ones any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CELLS = 1 << 16
"""Cells of a block: small enough for the cache, and the most that one long series can add to memory."""
FEWEST_COLUMNS = 16
"""Where fewer series fit into a block, a block holds one: narrow ones are slower than one after the other."""
TIE = 1e-11
"""Costs this close, relative to 1 + the sum of squares of the whole series, are equal."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """The best segmentation of every series.

    Attributes
    ----------
    changes : int, shape (changes,)
        Places in `values` of the first score of each segment but the first of a series, ascending.
    cost : float, shape (series,)
        What the segmentation costs, in squared units of the values, penalties included.
    """

    changes: Array
    cost: Array


@dataclass(frozen=True, kw_only=True)
class Segmentations:
    """The best segmentation of every series for each number of change points.

    Attributes
    ----------
    rss : float, shape (series, max_shifts + 1)
        Residual sum of squares with 0, 1, … change points; NaN where the segments would be too short, exactly
        0 where nothing but rounding is left.
    bic : float, shape (series, max_shifts + 1)
        Its Bayesian information criterion; -inf where the residual sum of squares is 0.
    chosen : int, shape (series,)
        Number of change points with the lowest criterion; among equal ones the smallest.
    """

    rss: Array
    bic: Array
    chosen: Array
    _solved: list[tuple[_Block, Array]]

    def breaks(self, n_shifts: Array | int) -> Array:
        """Return the places where segments begin, as `Partition.changes`, with so many change points each.

        Parameters
        ----------
        n_shifts : int or int array of shape (series,)

        Raises
        ------
        ValueError
            If a series has no segmentation with so many.
        """
        level = np.broadcast_to(np.asarray(n_shifts, dtype=np.int64), self.chosen.shape)
        inside = (level >= 0) & (level < self.rss.shape[1])
        known = np.take_along_axis(self.rss, np.where(inside, level, 0)[:, None], axis=1)[:, 0]
        if not (inside & (np.isfinite(known) | (level == 0))).all():
            message = f"n_shifts must be possible in every series, got {n_shifts}"
            raise ValueError(message)
        found = [block.trace_layers(layers, level[block.series]) for block, layers in self._solved]
        return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *found]))


def optimal_partition(
    values: Array,
    lengths: Array,
    *,
    penalty: Array | float,
    log_length: bool = False,
    min_segment: int = 2,
) -> Partition:
    """Return the segmentation of every series that costs least.

    The cost is the sum over segments of SSE, plus ln(segment length) with `log_length`, plus `penalty` for
    every change point. With values divided by their standard deviation, `log_length` and a penalty of 3 ln n
    it is the modified BIC; without `log_length` and with 2 ln n it is the Schwarz criterion.

    Parameters
    ----------
    values : float, shape (scores,)
        All series end to end, nothing missing.
    lengths : int, shape (series,)
        Number of values of each series; may be 0.
    penalty : float, or float array of shape (series,)
        Price of one change point, in squared units of the values.
    log_length : bool
        Whether each segment also costs the logarithm of its length.
    min_segment : int
        Fewest values of a segment. A series shorter than two of them stays whole.

    Returns
    -------
    Partition
        Exact: no other segmentation costs less. Among equal ones the last segment is as long as possible,
        then the one before it, and so on. Time grows with the square of the longest series, memory does not.

    References
    ----------
    Jackson, B., et al. (2005). An algorithm for optimal partitioning of data on an interval. IEEE Signal
    Processing Letters, 12(2), 105-108. https://doi.org/10.1109/LSP.2001.838216

    Examples
    --------
    >>> scores = np.array([5.0, 6.0, 5.0, 1.0, 2.0, 1.0])
    >>> optimal_partition(scores, np.array([6]), penalty=3.0).changes
    array([3])
    """
    values, lengths = _checked(values, lengths, min_segment)
    centred, squares = _centred(values, lengths)
    paid = np.broadcast_to(np.asarray(penalty, dtype=float), lengths.shape)
    if not (paid >= 0).all():
        message = f"penalty must be at least 0, got {penalty}"
        raise ValueError(message)
    toll = np.log(np.maximum(np.arange(lengths.max(initial=0) + 1), 1)) * float(log_length)
    cost = squares + toll[lengths]
    changes = [np.zeros(0, dtype=np.int64)]
    for block in _blocks(centred, lengths, squares, toll, min_segment):
        best = block.partition(paid[block.series])
        cost[block.series] = squares[block.series] + best[block.lengths, block.columns]
        changes.append(block.trace(best, paid[block.series]))
    return Partition(changes=np.sort(np.concatenate(changes)), cost=cost)


def segmentations(
    values: Array, lengths: Array, *, max_shifts: int = 5, min_segment: int = 2
) -> Segmentations:
    """Return the best segmentation of every series with 0, 1, … `max_shifts` change points.

    BIC(m) = n (ln(RSS(m) / n) + ln(2 pi) + 1) + 2 (m + 1) ln n for m change points in n values: m + 1 means,
    m places and one variance.

    Parameters
    ----------
    values : float, shape (scores,)
        All series end to end, nothing missing.
    lengths : int, shape (series,)
        Number of values of each series; may be 0.
    max_shifts : int
        Most change points.
    min_segment : int
        Fewest values of a segment.

    Returns
    -------
    Segmentations
        Exact, with the tie rule of `optimal_partition`.

    References
    ----------
    Bai, J., & Perron, P. (2003). Computation and analysis of multiple structural change models. Journal of
    Applied Econometrics, 18(1), 1-22. https://doi.org/10.1002/jae.659

    Examples
    --------
    >>> scores = np.array([5.0, 6.0, 5.0, 1.0, 2.0, 1.0])
    >>> found = segmentations(scores, np.array([6]), max_shifts=2)
    >>> found.rss.round(3).tolist(), found.breaks(1).tolist()
    ([[25.333, 1.333, 9.0]], [3])
    """
    values, lengths = _checked(values, lengths, min_segment)
    if max_shifts < 0:
        message = f"max_shifts must be at least 0, got {max_shifts}"
        raise ValueError(message)
    centred, squares = _centred(values, lengths)
    rss = np.full((len(lengths), max_shifts + 1), np.nan)
    rss[:, 0] = np.where(lengths > 0, squares, np.nan)
    toll = np.zeros(int(lengths.max(initial=0)) + 1)
    solved = []
    for block in _blocks(centred, lengths, squares, toll, min_segment):
        layers = block.layers(max_shifts)
        rss[block.series] = (squares[block.series] + layers[:, block.lengths, block.columns]).T
        solved.append((block, layers))
    rss[np.isinf(rss)] = np.nan
    rss[rss <= _tie(squares)[:, None]] = 0.0
    bic = _bic(rss, lengths)
    chosen = np.argmin(np.where(np.isnan(bic), np.inf, bic), axis=1)
    return Segmentations(rss=rss, bic=bic, chosen=chosen, _solved=solved)


def _bic(rss: Array, lengths: Array) -> Array:
    n = lengths[:, None].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        bic: Array = n * (np.log(rss / n) + np.log(2 * np.pi) + 1)
        bic += 2 * (np.arange(rss.shape[1]) + 1) * np.log(n)
    return bic


def _tie(squares: Array) -> Array:
    return TIE * (1 + squares)


def _checked(values: Array, lengths: Array, min_segment: int) -> tuple[Array, Array]:
    values, lengths = np.asarray(values, dtype=float), np.asarray(lengths, dtype=np.int64)
    if lengths.sum() != len(values) or (lengths < 0).any():
        message = f"lengths must add up to the number of values, {len(values)}, got {lengths.sum()}"
        raise ValueError(message)
    if not np.isfinite(values).all():
        message = f"values must be finite, got {values[~np.isfinite(values)][0]}"
        raise ValueError(message)
    if min_segment < 1:
        message = f"min_segment must be at least 1, got {min_segment}"
        raise ValueError(message)
    return values, lengths


def _centred(values: Array, lengths: Array) -> tuple[Array, Array]:
    """Return values less the mean of their series, and the sum of squares of each series.

    Without this step a high level would eat the digits of the sums.
    """
    series = np.repeat(np.arange(len(lengths)), lengths)
    totals = np.bincount(series, weights=values, minlength=len(lengths))
    centred = values - (totals / np.maximum(lengths, 1))[series]
    return centred, np.bincount(series, weights=centred**2, minlength=len(lengths))


def _blocks(
    centred: Array, lengths: Array, squares: Array, toll: Array, min_segment: int
) -> Iterator[_Block]:
    """Yield the series that can be cut at all, longest first, in blocks of nearly the same length."""
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(-lengths, kind="stable")
    order = order[: int(np.count_nonzero(lengths >= 2 * min_segment))]
    share = 1 / np.maximum(np.arange(len(toll)), 1)
    done = 0
    while done < len(order):
        fitting = CELLS // (int(lengths[order[done]]) + 1)
        series = order[done : done + (fitting if fitting >= FEWEST_COLUMNS else 1)]
        done += len(series)
        yield _Block(
            series=series,
            starts=starts[series],
            lengths=lengths[series],
            sums=_running_sums(centred, starts[series], lengths[series]),
            tie=_tie(squares[series]),
            share=share,
            toll=toll,
            min_segment=min_segment,
        )


def _running_sums(centred: Array, starts: Array, lengths: Array) -> Array:
    """Return the sum of the first t values, shape (longest + 1, series); past the end it means nothing."""
    longest = int(lengths[0])
    rows = np.minimum(starts + np.arange(longest)[:, None], len(centred) - 1)
    sums = np.zeros((longest + 1, len(starts)))
    np.cumsum(centred[rows], axis=0, out=sums[1:])
    return sums


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Some series as columns, longest first.

    What is minimised leaves the sum of squares of the whole series out, which no segmentation changes: a
    segment of L values with sum S then costs toll(L) - S^2 / L. `share` is 1 / L and `toll` the extra cost,
    by the length of a segment.
    """

    series: Array
    starts: Array
    lengths: Array
    sums: Array
    tie: Array
    share: Array
    toll: Array
    min_segment: int

    @property
    def columns(self) -> Array:
        return np.arange(len(self.series))

    def partition(self, penalty: Array) -> Array:
        """Return the least cost of the first t values of each series, shape (longest + 1, series).

        The first segment is no change, so the cost of nothing is minus one penalty.
        """
        best = np.full(self.sums.shape, np.inf)
        best[0] = -penalty
        for end, n_running, n_cuts, gain in self._ends():
            costs = np.subtract(best[:n_cuts, :n_running], gain, out=gain)
            costs += self.toll[end : self.min_segment - 1 : -1, None]
            best[end, :n_running] = np.minimum.reduce(costs, axis=0) + penalty[:n_running]
        return best

    def layers(self, max_shifts: int) -> Array:
        """Return the same without penalty for exactly 0, 1, … change points, as the first axis."""
        best = np.full((max_shifts + 1, *self.sums.shape), np.inf)
        for end, n_running, n_cuts, gain in self._ends():
            best[0, end, :n_running] = -gain[0]
            for n_shifts in range(1, min(max_shifts, end // self.min_segment - 1) + 1):
                costs = best[n_shifts - 1, :n_cuts, :n_running] - gain
                best[n_shifts, end, :n_running] = np.minimum.reduce(costs, axis=0)
        return best

    def _ends(self) -> Iterator[tuple[int, int, int, Array]]:
        """Yield each end of a last segment, with what it may begin with.

        That is the number of columns that reach it, the number of places where the segment may begin, and
        S^2 / L for each of them, shape (places, columns).
        """
        spare = np.empty(self.sums.size)
        running = np.searchsorted(-self.lengths, -np.arange(len(self.sums)), side="right")
        for end in range(self.min_segment, len(self.sums)):
            n_running, n_cuts = int(running[end]), end - self.min_segment + 1
            gain = spare[: n_cuts * n_running].reshape(n_cuts, n_running)
            np.subtract(self.sums[end, :n_running], self.sums[:n_cuts, :n_running], out=gain)
            np.multiply(gain, gain, out=gain)
            gain *= self.share[end : self.min_segment - 1 : -1, None]
            yield end, n_running, n_cuts, gain

    def trace(self, best: Array, penalty: Array) -> Array:
        """Return the places where segments begin, walking back from the end of each series."""
        columns, ends = self.columns, self.lengths
        places = []
        while len(columns):
            ends = self._last_cut(best, best[ends, columns] - penalty[columns], columns, ends)
            columns, ends = columns[ends > 0], ends[ends > 0]
            places.append(self.starts[columns] + ends)
        return np.concatenate(places)

    def trace_layers(self, layers: Array, n_shifts: Array) -> Array:
        """Return the same for so many change points each."""
        ends = self.lengths.copy()
        places = [np.zeros(0, dtype=np.int64)]
        for level in range(int(n_shifts.max()), 0, -1):
            columns = np.flatnonzero(n_shifts >= level)
            goal = layers[level, ends[columns], columns]
            ends[columns] = self._last_cut(layers[level - 1], goal, columns, ends[columns])
            places.append((self.starts + ends)[columns])
        return np.concatenate(places)

    def _last_cut(self, before: Array, goal: Array, columns: Array, ends: Array) -> Array:
        """Return the earliest beginning of the last segment with which the cost of `ends` values is `goal`.

        Most series are one segment, so that is tried first. Beginnings too near to the end need no mask: they
        come after one that reaches the goal.
        """
        goal = goal + self.tie[columns]
        whole = before[0, columns] - self.sums[ends, columns] ** 2 * self.share[ends] + self.toll[ends]
        begin = np.zeros_like(ends)
        cut = np.flatnonzero(whole > goal)
        columns, ends, goal = columns[cut], ends[cut], goal[cut]
        lag = np.maximum(ends - np.arange(int(ends.max(initial=0)))[:, None], 0)
        gain = (self.sums[ends, columns] - self.sums[: len(lag), columns]) ** 2 * self.share[lag]
        costs = before[: len(lag), columns] - gain + self.toll[lag]
        begin[cut] = np.argmax(costs <= goal, axis=0) if len(cut) else 0
        return begin
