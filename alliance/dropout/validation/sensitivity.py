"""Rows → what the coefficients would be, had missing ratings been given, or presumed dropouts counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.dropout.model.rows import Rows
from alliance.dropout.validation.resampling import Fit, Progress, quiet
from alliance.errors import DataError

Array = np.ndarray[Any, Any]

IMPUTATIONS = 20
SHIFTS = (0.0, -0.5, -1.0)
"""Standard deviations of the ratings by which imputed ones are moved."""

PRESUMED = {
    "exclude": "presumed dropouts excluded",
    "dropout": "presumed dropouts counted as dropouts",
    "censor": "presumed dropouts taken for ongoing",
}
"""Policy for presumed dropouts → what it does."""


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Estimates over imputations by Rubin's rules, shape (terms,) each.

    Attributes
    ----------
    coef : float; mean of the estimates
    se : float; sqrt(W + (1 + 1/m) B), W = mean of the squared standard errors, B = variance of the estimates
    """

    coef: Array
    se: Array


def rubin(coefs: Array, ses: Array) -> Pooled:
    """Return the estimates pooled over imputations.

    Parameters
    ----------
    coefs, ses : float, shape (imputations, terms); estimates and their standard errors

    References
    ----------
    Rubin, D. B. (1987). https://doi.org/10.1002/9780470316696

    Examples
    --------
    >>> pooled = rubin(np.array([[1.0], [3.0]]), np.array([[0.5], [0.5]]))
    >>> pooled.coef, pooled.se.round(4)
    (array([2.]), array([1.8028]))
    """
    m = len(coefs)
    between = coefs.var(axis=0, ddof=1) if m > 1 else np.zeros(coefs.shape[1])
    return Pooled(
        coef=coefs.mean(axis=0), se=np.sqrt((np.asarray(ses) ** 2).mean(axis=0) + (1 + 1 / m) * between)
    )


def impute(rows: Rows, *, seed: Any, shift: float = 0.0) -> Rows:
    """Return the rows with every missing rating drawn, and mean and change made of the filled course.

    A missing rating of case i is drawn from a normal distribution around the mean of its n ratings, with SD
    s · sqrt(1 + 1/n), s = pooled SD within cases; for a case never rated around the mean of all ratings with
    their SD. It is then moved by `shift` SDs of all ratings. That it was missing stays a predictor.

    Parameters
    ----------
    rows : Rows
        In the order of cases, sessions ascending.
    seed : whatever numpy's default_rng takes
    shift : float; standard deviations of all ratings, below 0 = the missing ones are worse

    Returns
    -------
    Rows
        As given if there is no rating at all, or none is missing.
    """
    known = np.isfinite(rows.rating)
    if not known.any() or known.all():
        return rows
    first = np.flatnonzero(np.diff(rows.case, prepend=-1))
    lengths = np.diff(np.append(first, len(rows)))
    middle, spread = _around(rows.rating, known, first, lengths)
    drawn = middle + spread * np.random.default_rng(seed).standard_normal(len(rows))
    filled = np.where(known, rows.rating, drawn + shift * np.std(rows.rating[known]))
    place = np.arange(len(rows)) - np.repeat(first, lengths)
    total = np.cumsum(filled)
    before = total - filled - np.repeat((total - filled)[first], lengths)
    change = np.where(place > 0, filled - before / np.maximum(place, 1), 0.0)
    return replace(rows, rating=filled, mean_rating=(before + filled) / (place + 1), change=change)


def _around(rating: Array, known: Array, first: Array, lengths: Array) -> tuple[Array, Array]:
    """Return mean and SD that a missing rating of each row is drawn with."""
    values = np.where(known, rating, 0.0)
    n = np.add.reduceat(known.astype(float), first)
    mean = np.add.reduceat(values, first) / np.maximum(n, 1)
    squares = np.add.reduceat(np.where(known, (rating - np.repeat(mean, lengths)) ** 2, 0.0), first)
    within = np.sqrt(squares.sum() / max(float((n - 1).clip(0).sum()), 1.0))
    overall, spread = rating[known].mean(), np.std(rating[known])
    middle = np.where(n > 0, mean, overall)
    width = np.where(n > 0, within * np.sqrt(1 + 1 / np.maximum(n, 1)), spread)
    return np.repeat(middle, lengths), np.repeat(width, lengths)


def missing_ratings(
    rows: Rows,
    fit: Fit,
    *,
    imputations: int = IMPUTATIONS,
    seed: int = 1,
    tell: Progress = quiet,
) -> list[dict[str, Any]]:
    """Return the coefficients as fitted, with missing ratings imputed, and with these moved downwards.

    Parameters
    ----------
    rows : Rows
    fit : callable; training rows → model with `terms` (name, coef, se)
    imputations : int; 0 = only as fitted
    seed : int
    tell : callable, optional

    Returns
    -------
    list of dict
        `what` in words, `terms` name → coefficient, `se` name → standard error. Only the first entry if no
        rating is missing.
    """
    found = [_entry("as fitted: last mean carried forward, missing as a predictor", fit(rows))]
    incomplete = np.isnan(rows.rating).any() and np.isfinite(rows.rating).any()
    for shift in SHIFTS if imputations and incomplete else ():
        models = []
        for k in range(imputations):
            models.append(fit(impute(rows, seed=[seed, k], shift=shift)))
            tell("sensitivity", len(found) * imputations - imputations + k + 1, len(SHIFTS) * imputations)
        names = [term.name for term in models[0].terms]
        pooled = rubin(_column(models, names, "coef"), _column(models, names, "se"))
        found.append(
            {
                "what": _words(imputations, shift),
                "terms": dict(zip(names, pooled.coef.tolist(), strict=True)),
                "se": dict(zip(names, pooled.se.tolist(), strict=True)),
            }
        )
    return found


def presumed_kinds(rows: Mapping[str, Rows]) -> dict[str, Rows]:
    """Return in words the ways to count presumed dropouts: policy → Rows becomes words → Rows.

    Raises
    ------
    ValueError
        If a policy is none of "exclude", "dropout", "censor".
    """
    unknown = [policy for policy in rows if policy not in PRESUMED]
    if unknown:
        message = f"presumed must hold rows by {', '.join(PRESUMED)}, got {unknown[0]}"
        raise ValueError(message)
    return {words: rows[policy] for policy, words in PRESUMED.items() if policy in rows}


def compare(kinds: Mapping[str, Rows], fit: Fit) -> list[dict[str, Any]]:
    """Return the coefficients for several ways to make the rows, such as the fates of presumed dropouts.

    Parameters
    ----------
    kinds : words → Rows
    fit : callable; training rows → model

    Returns
    -------
    list of dict
        As `missing_ratings`; where no model could be fitted, `what` says why and there are no terms.
    """
    return [_entry_of(what, rows, fit) for what, rows in kinds.items()]


def _entry_of(what: str, rows: Rows, fit: Fit) -> dict[str, Any]:
    try:
        return _entry(what, fit(rows))
    except DataError as problem:
        return {"what": f"{what}: not fitted, {problem.troubles[0].what}", "terms": {}, "se": {}}


def _column(models: list[Any], names: list[str], which: str) -> Array:
    """Return coefficients or standard errors, shape (models, names); NaN where a model lacks the term."""
    of_model = [{term.name: getattr(term, which) for term in model.terms} for model in models]
    return np.array([[each.get(name, np.nan) for name in names] for each in of_model], dtype=float)


def _words(imputations: int, shift: float) -> str:
    moved = f", missing ones lower by {-shift:g} SD" if shift else ""
    return f"missing ratings imputed {imputations} times within client{moved}"


def _entry(what: str, model: Any) -> dict[str, Any]:
    return {
        "what": what,
        "terms": {term.name: float(term.coef) for term in model.terms},
        "se": {term.name: float(term.se) for term in model.terms},
    }
