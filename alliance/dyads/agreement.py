"""How two raters of one case go together over its sessions: gap, congruence, concordance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dyads.estimates import Estimates, as_labels, as_numbers, group_means, same_length

Array = np.ndarray[Any, Any]

MIN_PAIRED = 6
"""Paired sessions a dyad needs before anything is said of it."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Both ratings of every session that at least one of two raters rated, sorted by case and session.

    Attributes
    ----------
    case : shape (sessions,); label of the case
    session : int, shape (sessions,)
    client, therapist : float, shape (sessions,); score points, NaN = not rated by this one
    day : float, shape (sessions,), or None; day of the session, NaN = not known
    """

    case: Array
    session: Array
    client: Array
    therapist: Array
    day: Array | None = None


def pair_ratings(
    values: Any,
    case: Any,
    session: Any,
    rater: Any,
    *,
    first: str = "client",
    second: str = "therapist",
    day: Any = None,
) -> Pairs:
    """Put the ratings of two raters of the same session side by side; rows of other raters are left out.

    Parameters
    ----------
    values : float, shape (forms,); score points, NaN = not scored
    case, session, rater : shape (forms,); together they name one row
    first, second : the rater that becomes `client`, and the one that becomes `therapist`
    day : float, shape (forms,), or None; where the two differ, the first rater's is kept

    Examples
    --------
    >>> pairs = pair_ratings([50, 45, 48], ["A"] * 3, [1, 1, 2], ["client", "therapist", "client"])
    >>> pairs.session.tolist(), pairs.client.tolist(), pairs.therapist.tolist()
    ([1, 2], [50.0, 48.0], [45.0, nan])
    """
    values = as_numbers("values", values)
    case, session, rater = (
        as_labels(name, labels, len(values))
        for name, labels in (("case", case), ("session", session), ("rater", rater))
    )
    if first == second:
        message = f"first and second must be two raters, got '{first}' twice"
        raise ValueError(message)
    kept = np.flatnonzero((rater == first) | (rater == second))
    labels, code = np.unique(case[kept], return_inverse=True)
    order = np.lexsort((session[kept], code))
    kept, code, number = kept[order], code[order], session[kept][order]
    new = np.ones(len(kept), dtype=bool)
    new[1:] = (np.diff(code) != 0) | (number[1:] != number[:-1])
    place = np.cumsum(new) - 1
    is_first = rater[kept] == first
    client, therapist = (_spread(values[kept], place, mine) for mine in (is_first, ~is_first))
    days = None
    if day is not None:
        known = as_labels("day", np.asarray(day, dtype=float), len(values))[kept]
        days = _spread(known, place, ~is_first)
        own = _spread(known, place, is_first)
        days = np.where(np.isnan(own), days, own)
    return Pairs(case=labels[code[new]], session=number[new], client=client, therapist=therapist, day=days)


def _spread(values: Array, place: Array, mine: Array) -> Array:
    """Return one rater's values at their places, NaN elsewhere; two values at one place are refused."""
    n_places = int(place[-1]) + 1 if len(place) else 0
    n_double = int((np.bincount(place[mine], minlength=n_places) > 1).sum())
    if n_double:
        message = f"case, session and rater must name one row, got {n_double} doubles"
        raise ValueError(message)
    spread = np.full(n_places, np.nan)
    spread[place[mine]] = values[mine]
    return spread


@dataclass(frozen=True, kw_only=True)
class DyadStatistics:
    """What two raters have in common, one entry per dyad, dyads in the order of their labels; shape (dyads,).

    Attributes
    ----------
    dyad : label
    n_paired : int; sessions that both rated
    gap : float; mean of client - therapist ("directional discrepancy"), score points; above 0 = the client
        rates the alliance higher
    gap_sd : float; standard deviation of the gap over sessions (n - 1), score points
    r : float, -1 to 1; Pearson correlation over sessions ("temporal congruence")
    ccc : float, -1 to 1; Lin's concordance: 1 only if both say the same, not just move alike
    reason : text; why something is NaN, else empty
    """

    dyad: Array
    n_paired: Array
    gap: Array
    gap_sd: Array
    r: Array
    ccc: Array
    reason: Array


def dyad_statistics(client: Any, therapist: Any, dyad: Any) -> DyadStatistics:
    """Describe the gap and the congruence of the two ratings in every dyad.

    A large constant gap is no sign of trouble: each side has its own baseline. There is no cut-off.

    Parameters
    ----------
    client, therapist : float, shape (sessions,)
        The two ratings of a session, in points of the same answer range, higher = stronger alliance; NaN =
        not rated. A session counts only where both are there.
    dyad : shape (sessions,)
        Label of the dyad; rows may come in any order.

    Returns
    -------
    DyadStatistics
        Arrays of shape (dyads,). All NaN below 6 paired sessions. Where one rating never varies, `r` and
        `ccc` are NaN: ccc = r times a factor for level and spread, and there is no r.
        ccc = 2 cov / (var1 + var2 + gap^2), moments with n - 1.

    References
    ----------
    Lin, L. I.-K. (1989). A concordance correlation coefficient to evaluate reproducibility. Biometrics, 45,
    255-268.
    Atzil-Slonim, D., et al. (2015): directional discrepancy and temporal congruence.

    Examples
    --------
    >>> found = dyad_statistics([5, 6, 7, 6, 5, 6], [4, 5, 6, 5, 4, 5], ["A"] * 6)
    >>> found.gap.tolist(), found.r.round(6).tolist(), found.ccc.round(3).tolist()
    ([1.0], [1.0], [0.531])
    """
    client, therapist = as_numbers("client", client), as_numbers("therapist", therapist)
    same_length(client=client, therapist=therapist)
    labels, code = np.unique(as_labels("dyad", dyad, len(client)), return_inverse=True)
    paired = np.isfinite(client) & np.isfinite(therapist)
    code, ours, theirs = code[paired], client[paired], therapist[paired]
    n_dyads = len(labels)
    n = np.bincount(code, minlength=n_dyads)
    gap = group_means(ours - theirs, code, n_dyads)
    own, other, apart = (_deviation(each, code, n_dyads) for each in (ours, theirs, ours - theirs))
    var1, var2, cov, var_gap = (
        _moment(a, b, code, n) for a, b in ((own, own), (other, other), (own, other), (apart, apart))
    )
    enough = n >= MIN_PAIRED
    flat = [_is_flat(each, code, n_dyads) for each in (ours, theirs)]
    moves = enough & ~flat[0] & ~flat[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.clip(cov / np.sqrt(var1 * var2), -1, 1)
        ccc = 2 * cov / (var1 + var2 + gap**2)
    return DyadStatistics(
        dyad=labels,
        n_paired=n,
        gap=np.where(enough, gap, np.nan),
        gap_sd=np.where(enough, np.sqrt(var_gap), np.nan),
        r=np.where(moves, r, np.nan),
        ccc=np.where(moves, ccc, np.nan),
        reason=_reasons(n, *flat),
    )


def _deviation(values: Array, code: Array, n_groups: int) -> Array:
    deviation: Array = values - group_means(values, code, n_groups)[code]
    return deviation


def _moment(first: Array, second: Array, code: Array, n: Array) -> Array:
    """Return the covariance of two deviations in each group, with n - 1; NaN below two rows."""
    total = np.bincount(code, weights=first * second, minlength=len(n))
    return np.where(n > 1, total / np.maximum(n - 1, 1), np.nan)


def _is_flat(values: Array, code: Array, n_groups: int) -> Array:
    """Return where a group's values are all alike; exactly, because a variance of 1e-32 is rounding."""
    low, high = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
    np.minimum.at(low, code, values)
    np.maximum.at(high, code, values)
    flat: Array = high - low <= TOLERANCE
    return flat


def _reasons(n: Array, flat_client: Array, flat_therapist: Array) -> Array:
    short = np.array(
        [f"not enough data: {k} of {MIN_PAIRED} paired sessions" for k in range(MIN_PAIRED)], dtype=object
    )
    alike = np.array(
        [
            "",
            "the client's ratings never vary",
            "the therapist's ratings never vary",
            "neither rating ever varies",
        ],
        dtype=object,
    )
    reason: Array = alike[flat_client.astype(int) + 2 * flat_therapist.astype(int)]
    few = n < MIN_PAIRED
    reason[few] = short[n[few]]
    return reason


@dataclass(frozen=True, kw_only=True)
class CaseloadSummary:
    """Means over dyads, each dyad counting once.

    Attributes
    ----------
    n_dyads : int, shape (statistics,); dyads that have the statistic
    sd : float; standard deviation between dyads
    means : Estimates of the mean gap, SD of the gap, r and ccc; NaN below two dyads
    """

    n_dyads: Array
    sd: Array
    means: Estimates


SUMMARISED = ("gap", "gap_sd", "r", "ccc")


def summarise_dyads(statistics: DyadStatistics) -> CaseloadSummary:
    """Return the mean over dyads of gap, SD of the gap, r and ccc, with SE = SD / sqrt(dyads).

    A dyad without a statistic does not count for it. The mean of r is the plain mean, not Fisher's.

    Examples
    --------
    >>> two = dyad_statistics([1, 2, 3, 1, 2, 3] * 2, [0, 2, 2, 0, 1, 2, 1, 1, 1, 1, 1, 1], [1] * 6 + [2] * 6)
    >>> summarise_dyads(two).n_dyads.tolist()
    [2, 2, 1, 1]
    """
    columns = np.array([getattr(statistics, name) for name in SUMMARISED], dtype=float)
    there = np.isfinite(columns)
    n = there.sum(axis=1)
    filled = np.where(there, columns, 0.0)
    mean = np.where(n > 0, filled.sum(axis=1) / np.maximum(n, 1), np.nan)
    squares = np.where(there, (columns - mean[:, None]) ** 2, 0.0).sum(axis=1)
    sd = np.where(n > 1, np.sqrt(squares / np.maximum(n - 1, 1)), np.nan)
    means = Estimates.of(SUMMARISED, mean, sd / np.sqrt(np.maximum(n, 1)), n - 1.0)
    return CaseloadSummary(n_dyads=n, sd=sd, means=means)


def difference_reliability(first: float, second: float, r12: float) -> float:
    """Return the reliability of the difference of two scores, (mean reliability - r12) / (1 - r12).

    Both scores are taken to have the same variance.

    Parameters
    ----------
    first, second : 0 to 1; reliability of either score
    r12 : at least -1 and below 1; correlation of the two scores

    Returns
    -------
    float
        1 at most; below 0 where the scores correlate more than their reliabilities allow.

    Examples
    --------
    >>> round(difference_reliability(0.9, 0.9, 0.5), 2), round(difference_reliability(0.8, 0.8, 0.7), 2)
    (0.8, 0.33)
    """
    for name, value in (("first", first), ("second", second)):
        if not 0 <= value <= 1:
            message = f"{name} must lie between 0 and 1, got {value:g}"
            raise ValueError(message)
    if not -1 <= r12 < 1:
        message = f"r12 must be at least -1 and below 1, got {r12:g}"
        raise ValueError(message)
    return ((first + second) / 2 - r12) / (1 - r12)
