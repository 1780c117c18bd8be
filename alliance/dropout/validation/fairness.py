"""Predictions by declared groups: whether the model is as right for some as for others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from alliance.dropout.model.rows import Rows
from alliance.dropout.validation.gates import DRAWS
from alliance.dropout.validation.metrics import Predictions, Ranking, flagging, oe, reaches
from alliance.dropout.validation.resampling import Groups, draws, percentile_limits
from alliance.errors import UsageError

Array = np.ndarray[Any, Any]

LEAST_EVENTS = 30
"""Events, and rows without one, below which nothing is said about a group."""

FEW_THERAPISTS = 2
"""Therapists up to which groups may agree with them by chance."""

TOO_FEW = "too few"
NOT_RECORDED = "not recorded"
MEASURES = ("oe", "auc", "flag_rate", "ppv", "miss_rate")

_JOB = 3


def fairness(
    predictions: Predictions,
    rows: Rows,
    groups: Mapping[str, Array],
    *,
    threshold: float,
    units: Groups,
    n_boot: int = DRAWS,
    seed: int = 1,
) -> list[dict[str, Any]]:
    """Return how the model does in every declared group.

    Parameters
    ----------
    predictions : Predictions
        For rows that their models did not see.
    rows : Rows
    groups : name → array, shape (cases,)
        Which group each case of the cohort belongs to; None, NaN or an empty text = not recorded.
    threshold : float
        Probability from which on a row is flagged.
    units : Groups
        What the bootstrap draws.
    n_boot, seed : int

    Returns
    -------
    list of dict
        `group`, `level`, `n` rows, `events`; observed over expected `oe`, headline `auc`, `flag_rate`,
        `ppv`, `miss_rate` (events not flagged), each with `…_low` and `…_high`; `note`. Fewer than 30 events
        or 30 rows without one give the note "too few" and no number at all, NaN instead.

    Raises
    ------
    UsageError
        If a group is the therapist: no table by therapist is made.

    Examples
    --------
    >>> from alliance.dropout.validation.fairness import MEASURES
    >>> MEASURES
    ('oe', 'auc', 'flag_rate', 'ppv', 'miss_rate')
    """
    weights = partial(draws, units, n_boot, seed, job=_JOB)
    found = []
    for name, label in labels_of(rows, groups).items():
        for level in np.unique(label.astype(str)).tolist():
            there = label == level
            record = {"group": name, "level": level, **_nothing()}
            if _enough(predictions.y[there]):
                record |= _measured(predictions, there, threshold, weights)
            found.append(record)
    return found


def labels_of(rows: Rows, groups: Mapping[str, Array]) -> dict[str, Array]:
    """Return the label of every row as a text, shape (rows,), by the name of the grouping.

    Raises
    ------
    UsageError
        If a group is the therapist, by name or because it names each therapist by another word.
    """
    found = {}
    for name, of_case in groups.items():
        found[name] = _texts(np.asarray(of_case, dtype=object))[rows.case]
        _refuse_therapists(name, found[name], rows)
    return found


def _texts(of_case: Array) -> Array:
    import pandas as pd

    code, kinds = pd.factorize(of_case)
    return np.array([*map(_label, kinds.tolist()), NOT_RECORDED], dtype=object)[code]


def _label(value: Any) -> str:
    text = str(value).strip()
    return NOT_RECORDED if text in {"", "<NA>"} else text


def _refuse_therapists(name: str, label: Array, rows: Rows) -> None:
    """Refuse a column that is the therapist by name, or that names each therapist by another word."""
    therapists = rows.therapist[rows.therapist >= 0]
    words, word = np.unique(label[rows.therapist >= 0].astype(str), return_inverse=True)
    n = len(np.unique(therapists))
    pairs = len(np.unique(np.stack([therapists, word]), axis=1).T) if n else 0
    if "therapist" in name.casefold() or (n > FEW_THERAPISTS and pairs == n == len(words)):
        message = f"'{name}' names the therapists: no table by therapist is made"
        raise UsageError(
            message, hint="rates of therapists differ by case mix and chance; name groups of clients"
        )


def _enough(y: Array) -> bool:
    events = int(y.sum())
    return events >= LEAST_EVENTS and len(y) - events >= LEAST_EVENTS


def _nothing() -> dict[str, Any]:
    names = [name + end for name in MEASURES for end in ("", "_low", "_high")]
    return {"n": math.nan, "events": math.nan, **dict.fromkeys(names, math.nan), "note": TOO_FEW}


def _measured(
    predictions: Predictions, there: Array, threshold: float, weights: Callable[[], Iterator[Array]]
) -> dict[str, Any]:
    y, p, session = predictions.y[there], predictions.p[there], predictions.session[there]
    made_by = None if predictions.made_by is None else predictions.made_by[there]
    ranking = Ranking.of(p, session, made_by)
    values = _values(y, p, ranking, threshold, None)
    drawn = np.array([_values(y, p, ranking, threshold, weight[there]) for weight in weights()])
    record: dict[str, Any] = {"n": len(y), "events": int(y.sum()), "note": ""}
    for place, name in enumerate(MEASURES):
        low, high = percentile_limits(drawn[:, place])
        record |= {name: values[place], f"{name}_low": low, f"{name}_high": high}
    return record


def _values(y: Array, p: Array, ranking: Ranking, threshold: float, weight: Array | None) -> list[float]:
    """Return the measures in the order of MEASURES; without a threshold nothing is known of flags."""
    flags = flagging(y, reaches(p, threshold), weight=weight)
    shares = [flags.flag_rate, flags.ppv, 1 - flags.sens] if math.isfinite(threshold) else [math.nan] * 3
    return [oe(y, p, weight=weight), ranking.aucs(y, weight).headline, *shares]
