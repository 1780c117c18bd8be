"""Rows → folds that no client straddles, draws of whole groups; predictions, optimism, intervals by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from alliance.dropout.model.rows import Rows
from alliance.dropout.validation.gates import DRAWS, FOLDS
from alliance.dropout.validation.metrics import METRICS, Predictions
from alliance.errors import AllianceError, DataError

Array = np.ndarray[Any, Any]
Progress = Callable[[str, int, int], None]

THERAPISTS_FOR_DRAWS = 20
"""Therapists from which on the bootstrap draws therapists, not clients."""

FEWEST = 2
"""Folds, and groups to make them of, that a cross-validation needs."""

COARSE = 200
"""How fine the smooth calibration curve is drawn in a replicate."""

_FOLDS, _DRAWS, _INTERVALS = range(3)


class Model(Protocol):
    """Anything fitted that gives a probability of dropout before the next session, shape (rows,)."""

    def hazard(self, rows: Rows) -> Array:
        """Return the probability of dropout before the next session, shape (rows,)."""
        ...


Fit = Callable[[Rows], Any]


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Which rows belong together.

    Attributes
    ----------
    unit : "therapist" or "client"
    code : int, shape (rows,); 0 to n - 1
    n : int; number of groups
    """

    unit: str
    code: Array
    n: int


def n_therapists(rows: Rows) -> int:
    """Return the number of known therapists among the rows."""
    return len(np.unique(rows.therapist[rows.therapist >= 0]))


def groups_of(rows: Rows, *, least: int) -> Groups:
    """Return the therapists as groups, or the clients if fewer than `least` therapists are known.

    A client whose therapist is not known is a group of its own.

    Parameters
    ----------
    rows : Rows
    least : int; therapists needed
    """
    by_therapist = n_therapists(rows) >= least
    key = rows.client
    if by_therapist:
        key = np.where(rows.therapist >= 0, rows.therapist, rows.therapist.max(initial=-1) + 1 + rows.client)
    kinds, code = np.unique(key, return_inverse=True)
    return Groups(unit="therapist" if by_therapist else "client", code=code, n=len(kinds))


@dataclass(frozen=True, kw_only=True)
class Folds:
    """A division of the rows for cross-validation: each row is tested once.

    Attributes
    ----------
    groups : Groups; no group is in two folds
    fold : int, shape (rows,); fold that tests the row
    client : int, shape (rows,); code of the client, 0 to the number of clients - 1
    n : int; number of folds
    """

    groups: Groups
    fold: Array
    client: Array
    n: int

    @cached_property
    def straddling(self) -> int:
        """Number of clients with rows in more than one fold, as after a change of therapist."""
        most, least = np.full(self.n_clients, -1), np.full(self.n_clients, self.n)
        np.maximum.at(most, self.client, self.fold)
        np.minimum.at(least, self.client, self.fold)
        return int((most > least).sum())

    @property
    def n_clients(self) -> int:
        """Number of clients."""
        return int(self.client.max(initial=-1)) + 1

    def split(self, k: int) -> tuple[Array, Array]:
        """Return the rows to train on and the rows to test in fold `k`.

        Nothing of a client who is tested is trained on, not even rows with another therapist.
        """
        test = self.fold == k
        touched = np.zeros(self.n_clients, dtype=bool)
        touched[self.client[test]] = True
        return np.flatnonzero(~test & ~touched[self.client]), np.flatnonzero(test)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Give (train, test) of every fold."""
        return (self.split(k) for k in range(self.n))


def folds_of(rows: Rows, groups: Groups, *, folds: int = FOLDS, seed: int = 1) -> Folds:
    """Return folds of whole groups, about equally many rows each; the same for the same seed.

    Groups in random order are sorted by their rows, most first, and dealt out to the folds there and back;
    then the folds change places at random. With fewer groups than `folds` there are as many folds as groups.

    Parameters
    ----------
    rows : Rows
    groups : Groups; from `groups_of`
    folds : int; at least 2
    seed : int

    Raises
    ------
    ValueError
        If `folds` is below 2.
    DataError
        If there is only one group.
    """
    if folds < FEWEST:
        message = f"folds must be at least {FEWEST}, got {folds}"
        raise ValueError(message)
    if groups.n < FEWEST:
        message = f"a model cannot be validated on {groups.n} {groups.unit}{'' if groups.n == 1 else 's'}"
        raise DataError(message, hint="give the closed cases of more clients")
    n = min(folds, groups.n)
    source = np.random.default_rng([seed, _FOLDS])
    shuffled = source.permutation(groups.n)
    size = np.bincount(groups.code, minlength=groups.n)[shuffled]
    dealt = shuffled[np.argsort(-size, kind="stable")]
    turn, place = np.divmod(np.arange(groups.n), 2 * n)
    seat = np.where(place < n, place, 2 * n - 1 - place)
    fold = source.permuted(np.tile(np.arange(n), (int(turn[-1]) + 1, 1)), axis=1)
    of_group = np.empty(groups.n, dtype=np.int64)
    of_group[dealt] = fold[turn, seat]
    client = np.unique(rows.client, return_inverse=True)[1]
    return Folds(groups=groups, fold=of_group[groups.code], client=client, n=n)


def draws(groups: Groups, n_boot: int, seed: int, *, job: int = _DRAWS) -> Iterator[Array]:
    """Give `n_boot` times how often each row counts when whole groups are drawn with replacement.

    Each is a whole number, float, shape (rows,); groups are drawn as often as there are groups.
    """
    source = np.random.default_rng([seed, job])
    for _ in range(n_boot):
        drawn = np.bincount(source.integers(0, groups.n, groups.n), minlength=groups.n)
        yield drawn[groups.code].astype(float)


def quiet(_step: str, _done: int, _total: int) -> None:
    """Tell nobody about progress."""


def cross_validate(rows: Rows, fit: Fit, folds: Folds, *, tell: Progress = quiet) -> tuple[Array, Array]:
    """Return every row's predictions by the model of its fold, which saw nothing of its group or client.

    Parameters
    ----------
    rows : Rows
    fit : callable; training rows → model
    folds : Folds
    tell : callable, optional; told the step, how many are done and how many there are

    Returns
    -------
    tuple of float arrays, shape (rows,)
        Probability of dropout before the next session; landmark risk, NaN if the model has none.
    """
    hazard, risk = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for k, (train, test) in enumerate(folds):
        held_out = rows.take(test)
        model = _trained(rows.take(train), fit, k + 1, folds.n)
        hazard[test] = model.hazard(held_out)
        ahead = model.risk(held_out) if hasattr(model, "risk") else None
        risk[test] = np.nan if ahead is None else ahead
        tell("cross-validation", k + 1, folds.n)
    return hazard, risk


def _trained(rows: Rows, fit: Fit, number: int, n: int) -> Any:
    try:
        return fit(rows)
    except DataError as problem:
        message = f"fold {number} of {n} leaves too little to train a model: {problem.troubles[0].what}"
        raise DataError(message, hint="give the closed cases of more clients") from problem


@dataclass(frozen=True, kw_only=True)
class Optimism:
    """How much better a model looks on the data it was fitted to.

    Attributes
    ----------
    apparent : metric → value of the model on its own data
    optimism : metric → mean over the replicates of (on the drawn data - on all data)
    corrected : metric → apparent - optimism
    unit : "therapist" or "client"; what was drawn
    n_boot, n_failed : int; replicates, and those in which no model could be fitted
    """

    apparent: dict[str, float]
    optimism: dict[str, float]
    corrected: dict[str, float]
    unit: str
    n_boot: int
    n_failed: int


def bootstrap_optimism(
    rows: Rows,
    fit: Fit,
    groups: Groups,
    *,
    n_boot: int = DRAWS,
    seed: int = 1,
    threshold: float = float("nan"),
    tell: Progress = quiet,
) -> Optimism:
    """Return apparent, optimism and corrected value of every metric, by drawing whole groups.

    Everything a model learns from data (numbers of reference, scaling, coefficients) is learnt anew from each
    draw; the threshold of the net benefit is held.

    Parameters
    ----------
    rows : Rows
    fit : callable; training rows → model
    groups : Groups; what is drawn
    n_boot : int; replicates
    seed : int
    threshold : float; for the net benefit, NaN = none
    tell : callable, optional

    References
    ----------
    Harrell, F. E., Lee, K. L., & Mark, D. B. (1996).
    https://doi.org/10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4
    """
    apparent = _predicted(rows, fit(rows)).measure(threshold=threshold)
    found, failed = [], 0
    for k, weight in enumerate(draws(groups, n_boot, seed)):
        made = _replicate(rows, fit, weight)
        failed += made is None
        if made is not None:
            seen = made.measure(weight, threshold=threshold, points=COARSE)
            there = made.measure(threshold=threshold, points=COARSE)
            found.append([seen[name] - there[name] for name in METRICS])
        tell("bootstrap", k + 1, n_boot)
    lost = dict(zip(METRICS, _means(np.array(found).reshape(-1, len(METRICS))), strict=True))
    return Optimism(
        apparent=apparent,
        optimism=lost,
        corrected={name: apparent[name] - lost[name] for name in METRICS},
        unit=groups.unit,
        n_boot=n_boot,
        n_failed=failed,
    )


def _predicted(rows: Rows, model: Model) -> Predictions:
    return Predictions(y=rows.y, p=np.asarray(model.hazard(rows), dtype=float), session=rows.session)


def _replicate(rows: Rows, fit: Fit, weight: Array) -> Predictions | None:
    """Return the predictions for all rows of a model fitted to a draw; None if none can be fitted to it."""
    drawn = rows.take(np.repeat(np.arange(len(rows)), weight.astype(np.int64)))
    if not 0 < drawn.y.sum() < len(drawn):
        return None
    try:
        return _predicted(rows, fit(drawn))
    except (AllianceError, np.linalg.LinAlgError):
        return None


def _means(values: Array) -> list[float]:
    """Return the mean of each column over its finite entries, NaN where it has none."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return [float(value) for value in np.where(count > 0, total / np.maximum(count, 1), np.nan)]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its 95 % interval, NaN where it cannot be had."""

    value: float
    low: float
    high: float


def intervals(
    predictions: Predictions,
    groups: Groups,
    *,
    n_boot: int = DRAWS,
    seed: int = 1,
    threshold: float = float("nan"),
    tell: Progress = quiet,
) -> dict[str, Interval]:
    """Return every metric with the 2.5th and 97.5th percentile over draws of whole groups.

    The predictions stand: nothing is fitted again, so what training on other data would change is not in it.

    Parameters
    ----------
    predictions : Predictions; made for rows that their models did not see
    groups : Groups; what is drawn
    n_boot : int; draws
    seed : int
    threshold : float; for the net benefit, NaN = none
    tell : callable, optional
    """
    values = predictions.measure(threshold=threshold)
    found = np.full((n_boot, len(METRICS)), np.nan)
    for k, weight in enumerate(draws(groups, n_boot, seed, job=_INTERVALS)):
        measured = predictions.measure(weight, threshold=threshold, points=COARSE)
        found[k] = [measured[name] for name in METRICS]
        tell("intervals", k + 1, n_boot)
    return {
        name: Interval(value=values[name], low=limits[0], high=limits[1])
        for name, limits in zip(METRICS, (percentile_limits(column) for column in found.T), strict=True)
    }


def percentile_limits(values: Array) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the finite values, NaN if fewer than half are finite.

    >>> percentile_limits(np.arange(101.0))
    (2.5, 97.5)
    """
    known = values[np.isfinite(values)]
    if not len(known) or 2 * len(known) < len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
