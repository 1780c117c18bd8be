"""Truth and bias: how well one rater follows the other, and how far above or below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.dyads.estimates import Estimates, as_labels, as_numbers, group_means, same_length
from alliance.dyads.mixed import fit_intercepts

Array = np.ndarray[Any, Any]

MIN_DYADS = 20
"""Dyads a caseload needs before the model is fitted."""

JUDGES = ("therapist", "client")
TERMS = ("directional bias", "truth force", "bias force")


@dataclass(frozen=True, kw_only=True)
class TruthAndBias:
    """How one rater's view follows the other's.

    Attributes
    ----------
    judge : whose accuracy is judged, therapist or client; the other one's rating is the truth
    estimates : Estimates of directional bias (points; below 0 = the judge rates lower), truth force (points
        of the judge for one point of the truth, within a dyad) and, if asked for, bias force (points for one
        point of the judge's own rating the session before)
    intercept_sd, sigma : float; spread of the bias between dyads, and of what is left within them, points
    n_dyads, n_sessions : int; what the model was fitted on, or what there is if it was not
    reason : text; why there are no estimates, else empty
    notes : what must be known about the fit
    """

    judge: str
    estimates: Estimates
    intercept_sd: float
    sigma: float
    n_dyads: int
    n_sessions: int
    reason: str
    notes: tuple[str, ...]


def truth_and_bias(
    client: Any,
    therapist: Any,
    dyad: Any,
    session: Any = None,
    *,
    day: Any = None,
    judge: str = "therapist",
    bias_force: bool = False,
    min_dyads: int = MIN_DYADS,
) -> TruthAndBias:
    """Fit the truth-and-bias model to a caseload of dyads, by REML with a random intercept for each dyad.

    Both ratings are centred on the dyad's own mean of the truth variable, over the sessions that both rated:
    the intercept is the bias. With the therapist as the judge, and the term in brackets only if asked for:
    (T_ij - Cbar_i) = b0 + b1 (C_ij - Cbar_i) [+ b2 (T_i,j-1 - Cbar_i)] + u_i + e_ij.
    `judge="client"` exchanges the roles.

    Parameters
    ----------
    client, therapist : float, shape (sessions,)
        Both ratings of a session, in points of the same answer range, higher = stronger alliance; NaN = not
        rated. Only sessions that both rated are used.
    dyad : shape (sessions,); label of the dyad
    session : int, shape (sessions,); session number, needed for the bias force
    day : float, shape (sessions,), or None; sessions more than 28 days apart are no neighbours
    judge : "therapist" or "client"
    bias_force : whether the judge's own rating at the session directly before is in the model; sessions
        without a rated neighbour before them are then left out
    min_dyads : dyads with at least two usable sessions that are needed

    Returns
    -------
    TruthAndBias
        NaN with a reason where there are too few dyads, the truth never varies within any, or nothing is left
        to explain. p and intervals use Student's t with dyads - 1 degrees of freedom: exact for the bias in a
        balanced study, cautious for the forces.

    References
    ----------
    West, T. V., & Kenny, D. A. (2011). The truth and bias model of judgment. Psychological Review, 118(2),
    357-378.
    """
    if judge not in JUDGES:
        message = f"judge must be one of {', '.join(JUDGES)}, got {judge!r}"
        raise ValueError(message)
    if bias_force and session is None:
        message = "bias_force needs session, the number of each session"
        raise ValueError(message)
    ratings = {"client": as_numbers("client", client), "therapist": as_numbers("therapist", therapist)}
    same_length(**ratings)
    judged = ratings.pop(judge)
    (truth,) = ratings.values()
    labels = as_labels("dyad", dyad, len(judged))
    before = _own_before(judged, labels, session, day) if bias_force else None
    y, slopes, group, notes = _centred(truth, judged, labels, before)
    return _fit(y, slopes, group, judge=judge, min_dyads=min_dyads, notes=notes)


def _own_before(judged: Array, dyad: Array, session: Any, day: Any) -> Array:
    """Return the judge's rating at the session directly before, NaN where there is none."""
    number = as_labels("session", session, len(judged))
    _, code = np.unique(dyad, return_inverse=True)
    order = np.lexsort((number, code))
    code = code[order]
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    days = None if day is None else as_labels("day", np.asarray(day, dtype=float), len(judged))[order]
    courses = Courses(values=judged[order], session=number[order], starts=starts, day=days)
    _refuse_doubles(courses)
    before = np.full(len(judged), np.nan)
    near = np.flatnonzero((np.diff(courses.clock) == 1) & (np.diff(code) == 0)) + 1
    before[order[near]] = courses.values[near - 1]
    return before


def _refuse_doubles(courses: Courses) -> None:
    doubled = (np.diff(courses.session) == 0) & (np.diff(courses.series) == 0)
    if doubled.any():
        message = f"dyad and session must name one row, got {int(doubled.sum())} doubles"
        raise ValueError(message)


def _centred(
    truth: Array, judged: Array, dyad: Array, before: Array | None
) -> tuple[Array, Array, Array, tuple[str, ...]]:
    """Return rating, slopes and dyads of the usable rows, centred on the truth; and what was left out."""
    labels, code = np.unique(dyad, return_inverse=True)
    paired = np.isfinite(truth) & np.isfinite(judged)
    centre = group_means(truth[paired], code[paired], len(labels))[code]
    usable = paired if before is None else paired & np.isfinite(before)
    count = np.bincount(code[usable], minlength=len(labels))
    n_single = int((count == 1).sum())
    notes = (f"left out: {n_single} with a single usable session",) if n_single else ()
    kept = usable & (count[code] > 1)
    columns = [truth] if before is None else [truth, before]
    slopes = np.column_stack([(column - centre)[kept] for column in columns])
    return (judged - centre)[kept], slopes, code[kept], notes


def _fit(
    y: Array, slopes: Array, group: Array, *, judge: str, min_dyads: int, notes: tuple[str, ...]
) -> TruthAndBias:
    names = TERMS[: slopes.shape[1] + 1]
    n_dyads = len(np.unique(group))
    reason = _why_not(y, slopes, group, n_dyads=n_dyads, min_dyads=min_dyads)
    if reason:
        return TruthAndBias(
            judge=judge, estimates=Estimates.unknown(names), intercept_sd=np.nan, sigma=np.nan,
            n_dyads=n_dyads, n_sessions=len(y), reason=reason, notes=notes,
        )  # fmt: skip
    fit = fit_intercepts(y, np.column_stack([np.ones(len(y)), slopes]), group)
    return TruthAndBias(
        judge=judge,
        estimates=Estimates.of(names, fit.beta, fit.se, n_dyads - 1.0),
        intercept_sd=float(np.sqrt(fit.group)),
        sigma=float(np.sqrt(fit.residual)),
        n_dyads=n_dyads,
        n_sessions=len(y),
        reason="",
        notes=notes,
    )


def _why_not(y: Array, slopes: Array, group: Array, *, n_dyads: int, min_dyads: int) -> str:
    """Return why the model cannot be fitted, or nothing."""
    needed = max(min_dyads, 2)
    if n_dyads < needed:
        return f"not enough data: {n_dyads} of {needed} dyads with at least two usable sessions"
    _, code = np.unique(group, return_inverse=True)
    within = np.column_stack([each - group_means(each, code, n_dyads)[code] for each in (y, *slopes.T)])
    left, right = within[:, 0], within[:, 1:]
    if np.linalg.matrix_rank(right, tol=TOLERANCE * np.sqrt(len(y))) < right.shape[1]:
        return "not enough data: the ratings to explain by never vary within a dyad, or not on their own"
    beta = np.linalg.lstsq(right, left, rcond=None)[0]
    if np.abs(left - right @ beta).max() <= TOLERANCE:
        return "not enough data: within dyads the judge's rating is an exact function of the truth"
    if len(y) <= n_dyads + right.shape[1]:
        return f"not enough data: {len(y)} sessions for {n_dyads} dyads"
    return ""
