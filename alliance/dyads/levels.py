"""A score taken apart by level: the session, the case, the therapist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.dyads.estimates import Estimates, as_labels, as_numbers, group_means

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The parts of a score, one entry per row, score points; shape (rows,).

    Attributes
    ----------
    case_mean : float; mean of the case's scores; NaN = the case has none
    deviation : float; score - case_mean, what changes within the case; NaN = not scored
    therapist_mean : float; mean of the case means of the therapist; None without therapists
    case_deviation : float; case_mean - therapist_mean; None without therapists
    """

    case_mean: Array
    deviation: Array
    therapist_mean: Array | None = None
    case_deviation: Array | None = None


def between_within(values: Any, case: Any, therapist: Any = None) -> Levels:
    """Split every score into what lies between and what lies within cases (person-mean centring).

    Parameters
    ----------
    values : float, shape (rows,); NaN = not scored
    case : shape (rows,); label of the case
    therapist : shape (rows,), or None; each case belongs to one therapist

    Returns
    -------
    Levels
        score = case_mean + deviation, and case_mean = therapist_mean + case_deviation. A therapist's mean is
        the plain mean of the case means: a long case counts as much as a short one.

    Examples
    --------
    >>> parts = between_within([4, 6, 9, np.nan], ["A", "A", "B", "B"])
    >>> parts.case_mean.tolist(), parts.deviation.tolist()
    ([5.0, 5.0, 9.0, 9.0], [-1.0, 1.0, 0.0, nan])
    """
    values = as_numbers("values", values)
    cases, code = np.unique(as_labels("case", case, len(values)), return_inverse=True)
    scored = np.isfinite(values)
    means = group_means(values[scored], code[scored], len(cases))
    if therapist is None:
        return Levels(case_mean=means[code], deviation=values - means[code])
    owners, owner = _owners(code, as_labels("therapist", therapist, len(values)), len(cases))
    there = np.isfinite(means)
    of_therapist = group_means(means[there], owner[there], len(owners))[owner]
    return Levels(
        case_mean=means[code],
        deviation=values - means[code],
        therapist_mean=of_therapist[code],
        case_deviation=(means - of_therapist)[code],
    )


def has_one_therapist(case: Any, therapist: Any) -> Array:
    """Return the rows whose case has one therapist throughout, bool, shape (rows,).

    >>> has_one_therapist(["A", "A", "B", "B"], ["T1", "T2", "T1", "T1"]).tolist()
    [False, False, True, True]
    """
    _, code = np.unique(np.asarray(case), return_inverse=True)
    _, owner = np.unique(as_labels("therapist", therapist, len(code)), return_inverse=True)
    n_cases = int(code.max(initial=-1)) + 1
    least, most = np.full(n_cases, len(code)), np.full(n_cases, -1)
    np.minimum.at(least, code, owner)
    np.maximum.at(most, code, owner)
    return np.asarray((least == most)[code])


def _owners(code: Array, therapist: Array, n_cases: int) -> tuple[Array, Array]:
    """Return the therapists' labels and, for each case, the place of its own."""
    n_crossed = len(np.unique(code[~has_one_therapist(code, therapist)]))
    if n_crossed:
        message = f"each case must have one therapist, got {n_crossed} with several"
        raise ValueError(message)
    labels, owner = np.unique(therapist, return_inverse=True)
    of_case = np.zeros(n_cases, dtype=np.int64)
    of_case[code] = owner
    return labels, of_case


@dataclass(frozen=True, kw_only=True)
class TherapistMeans:
    """One entry per therapist, in the order of their labels, which says nothing about them.

    Attributes
    ----------
    n_cases, n_scores : int, shape (therapists,); scored cases, and scores
    sd : float; standard deviation of the case means, NaN below two cases
    means : Estimates of the mean over cases, score points; Student's t with cases - 1 degrees of freedom
    """

    n_cases: Array
    n_scores: Array
    sd: Array
    means: Estimates


def therapist_means(values: Any, case: Any, therapist: Any) -> TherapistMeans:
    """Return what each therapist's cases have in common: the mean of the case means, with its interval.

    This describes, and does not rank: with few cases the intervals are wide, and who is assigned to whom is
    part of every mean.

    Parameters
    ----------
    values : float, shape (rows,); NaN = not scored
    case, therapist : shape (rows,); labels; each case belongs to one therapist

    Examples
    --------
    >>> found = therapist_means([4, 6, 9, 5], ["A", "A", "B", "C"], ["T1", "T1", "T1", "T2"])
    >>> found.means.names, found.n_cases.tolist(), found.means.estimate.tolist()
    (('T1', 'T2'), [2, 1], [7.0, 5.0])
    """
    values = as_numbers("values", values)
    cases, code = np.unique(as_labels("case", case, len(values)), return_inverse=True)
    labels, owner = _owners(code, as_labels("therapist", therapist, len(values)), len(cases))
    scored = np.isfinite(values)
    mean = group_means(values[scored], code[scored], len(cases))
    there = np.isfinite(mean)
    n = np.bincount(owner[there], minlength=len(labels))
    average = group_means(mean[there], owner[there], len(labels))
    squares = np.bincount(
        owner[there], weights=(mean[there] - average[owner[there]]) ** 2, minlength=len(labels)
    )
    sd = np.where(n > 1, np.sqrt(squares / np.maximum(n - 1, 1)), np.nan)
    names = tuple(str(label) for label in labels)
    return TherapistMeans(
        n_cases=n,
        n_scores=np.bincount(owner[code[scored]], minlength=len(labels)),
        sd=sd,
        means=Estimates.of(names, average, sd / np.sqrt(np.maximum(n, 1)), n - 1.0),
    )
