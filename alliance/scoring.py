"""Responses + Scale → Scores: reversal, subscales, total, unanswered items; nothing is rounded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.errors import DataError
from alliance.frames import KEYS, check_responses

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of many forms as arrays.

    Attributes
    ----------
    scores : name → float, shape (forms,); NaN = not scored
    n_missing : int, shape (forms,); unanswered items of the whole form
    prorated : bool, shape (forms,); a printed score stands on fewer answers than items
    """

    scores: dict[str, Array]
    n_missing: Array
    prorated: Array


def score_answers(answers: Array, missing: Array, scale: Scale) -> Scored:
    """Score many forms at once.

    Parameters
    ----------
    answers : array, shape (items, forms)
        Answers as printed on the form, inside the range of the definition. Small integers stay integers,
        so that a sum is exact.
    missing : bool array, shape (items, forms)
        True where an item was not answered; `answers` is not looked at there.
    scale : Scale
        The scoring definition.

    Returns
    -------
    Scored
        Every subscale and `total`, in the metric of the definition. A score with more unanswered items than
        the definition tolerates is NaN; one with fewer is the mean of the answered items (times the number
        of items for a sum). A total of subscales needs every subscale, and tolerates as many unanswered items
        in all of them together as the definition says for the total. A blank form has no score.

    Raises
    ------
    ValueError
        If the arrays do not have one row for each item of the form, or differ in shape.

    Examples
    --------
    >>> from alliance.scale import load_scale
    >>> blank = np.zeros((12, 1), dtype=bool)
    >>> score_answers(np.full((12, 1), 4), blank, load_scale("wai-sr")).scores["total"]
    array([4.])
    """
    form = _Form.of(answers, missing, scale)
    scores = {
        name: form.score(items, scale.method, scale.missing_max) for name, items in scale.subscales.items()
    }
    scores["total"] = form.total_of(scores) if scale.total.of == "subscales" else form.total()
    n_missing = form.n_missing(range(1, scale.n_items + 1)).astype(np.int64)
    return Scored(scores=scores, n_missing=n_missing, prorated=form.prorated(scores))


def score(responses: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Return Scores: the same keys and rows, one column per subscale, `total`, `n_missing`, `note`.

    Parameters
    ----------
    responses : DataFrame
        Responses: `case session date therapist rater q1 … qk`, missing answers NaN.
    scale : Scale
        The scoring definition; its direction says which way is better.

    Raises
    ------
    ValueError
        If a column is absent, an answer lies outside the range, or a form is there twice.
    """
    check_responses(responses, scale)
    answers = responses[list(scale.items)].to_numpy(dtype=float).T
    missing = np.isnan(answers)
    scored = score_answers(answers, missing, scale)
    result = responses[list(KEYS)].copy()
    for name in scale.scores:
        result[name] = scored.scores[name]
    result["n_missing"] = scored.n_missing
    differs = rater_differs(responses["rater"].to_numpy(dtype=object), scale)
    codes, texts = note_codes(scored, answers, missing, differs, scale)
    result["note"] = np.array(texts, dtype=object)[codes]
    return result


def score_form(cells: Sequence[str], scale: Scale) -> dict[str, object]:
    """Return the scores of one form typed in as text: every score, `n_missing` and `note`.

    Parameters
    ----------
    cells : sequence of str
        One cell for each item, in item order; an empty cell is an unanswered item.
    scale : Scale
        The scoring definition.

    Raises
    ------
    DataError
        If there are more or fewer cells than items, or a cell is no answer of the form; all at once.
    """
    if len(cells) != scale.n_items:
        message = f"{len(cells)} answers given, '{scale.id}' has {scale.n_items} items"
        raise DataError(message, hint="leave an unanswered item empty: 4,,5 skips the second one")
    wrong = [f"q{place} = {cell}" for place, cell in enumerate(cells, 1) if not _is_answer(cell, scale)]
    if wrong:
        kind = "whole numbers" if scale.whole else "numbers"
        message = f"answers that are no {kind} from {scale.min:g} to {scale.max:g}, the range of '{scale.id}'"
        raise DataError(
            message, where=wrong, hint="leave an unanswered item empty; do not code it 0, 9 or 99"
        )
    answers = np.array([[float(cell) if cell else np.nan] for cell in cells])
    missing = np.isnan(answers)
    scored = score_answers(answers, missing, scale)
    _, texts = note_codes(scored, answers, missing, np.zeros(1, dtype=bool), scale)
    found: dict[str, object] = {name: float(scored.scores[name][0]) for name in scale.scores}
    return found | {"n_missing": int(scored.n_missing[0]), "note": texts[0]}


def _is_answer(cell: str, scale: Scale) -> bool:
    if not cell:
        return True
    try:
        value = float(cell)
    except ValueError:
        return False
    return scale.min <= value <= scale.max and (not scale.whole or value.is_integer())


def note_codes(
    scored: Scored, answers: Array, missing: Array, differs: Array, scale: Scale
) -> tuple[Array, list[str]]:
    """Return what a reader of each form's scores must know: a code for every form, and the text of each code.

    `differs` is True where the form was filled in by another side than its key is for.
    """
    blank = scored.n_missing == scale.n_items
    unscored = np.isnan(scored.scores["total"]) & ~blank
    hollow = [(name, np.isnan(scored.scores[name]) & ~unscored & ~blank) for name in scale.subscales]
    parts = [
        (np.full(len(blank), scale.status == "provisional"), "provisional key"),
        (blank, "blank form"),
        (unscored, "no total: too many unanswered items"),
        *((holds, f"no {name}: too many unanswered items") for name, holds in hollow),
        (scored.prorated, "prorated"),
        (differs, f"scored with the key of the {scale.perspective} form"),
    ]
    for alert in scale.alerts:
        answered = ~missing[alert.item - 1] & (answers[alert.item - 1] >= alert.value)
        parts.append((answered, f"item {alert.item} answered {alert.value:g} or more: {alert.reason}"))
        parts.append((missing[alert.item - 1] & ~blank, f"item {alert.item} not answered: {alert.reason}"))
    return join_notes(parts, len(blank))


def join_notes(parts: list[tuple[Array, str]], n_rows: int) -> tuple[Array, list[str]]:
    """Return a code per row and the text of each code: the texts of the `parts` that hold, by semicolons."""
    mask = np.zeros(n_rows, dtype=np.int64)
    for place, (holds, _) in enumerate(parts):
        mask |= holds.astype(np.int64) << place
    if not mask.any():
        return np.zeros(n_rows, dtype=np.int32), [""]
    kinds, codes = np.unique(mask, return_inverse=True)
    texts = ["; ".join(text for place, (_, text) in enumerate(parts) if kind >> place & 1) for kind in kinds]
    return codes.astype(np.int32), texts


def rater_differs(rater: Array, scale: Scale) -> Array:
    """Return where the form was filled in by another side of the therapy than its key is for."""
    sides = {"client", "therapist", "observer"} - {scale.perspective}
    return np.isin(rater.astype(str), sorted(sides))


@dataclass(frozen=True, kw_only=True)
class _Form:
    """Answers with 0 where one is missing, so that a sum needs no test.

    Reversal is folded into the sum: sum of (min + max - x) = count * (min + max) - sum of x.
    `missing` is None when nothing is missing, and then costs nothing.
    """

    answers: Array
    missing: Array | None
    scale: Scale

    @classmethod
    def of(cls, answers: Array, missing: Array, scale: Scale) -> _Form:
        for name, array in (("answers", answers), ("missing", missing)):
            if array.shape != (scale.n_items, answers.shape[-1]):
                message = f"{name} must have the shape ({scale.n_items}, forms), got {array.shape}"
                raise ValueError(message)
        if not missing.any():
            return cls(answers=answers, missing=None, scale=scale)
        whole = np.issubdtype(answers.dtype, np.integer)
        kept = answers * ~missing if whole else np.where(missing, answers.dtype.type(0), answers)
        return cls(answers=kept, missing=missing, scale=scale)

    def score(self, items: Collection[int], method: str, missing_max: int) -> Array:
        value = self._keyed_sum(items)
        if self.missing is None:
            return value / len(items) if method == "mean" else value.astype(np.float64)
        n_missing = self.n_missing(items)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = value / (len(items) - n_missing)
        if method == "sum":
            mean = np.where(n_missing == 0, value, mean * len(items))
        return np.where(n_missing <= missing_max, mean, np.nan)

    def total(self) -> Array:
        return self.score(self.scale.total.items, self.scale.total.method, self.scale.total_missing_max)

    def total_of(self, scores: Mapping[str, Array]) -> Array:
        parts = np.stack([scores[name] for name in self.scale.subscales])
        value: Array = parts.sum(axis=0) if self.scale.total.method == "sum" else parts.mean(axis=0)
        items = {item for name in self.scale.subscales for item in self.scale.subscales[name]}
        return np.where(self.n_missing(items) <= self.scale.total_missing_max, value, np.nan)

    def prorated(self, scores: Mapping[str, Array]) -> Array:
        """Return where a score that is there stands on fewer answers than it has items."""
        touched = np.zeros(self.answers.shape[1], dtype=bool)
        tolerant = self.scale.missing_max or self.scale.total_missing_max
        if self.missing is None or not tolerant:
            return touched
        parts = dict(self.scale.subscales)
        if self.scale.total.of == "items":
            parts["total"] = self.scale.total.items
        for name, items in parts.items():
            touched |= np.isfinite(scores[name]) & (self.n_missing(items) > 0)
        return touched

    def n_missing(self, items: Iterable[int]) -> Array:
        if self.missing is None:
            return np.zeros(self.answers.shape[1], dtype=np.int32)
        count: Array = self.missing[[item - 1 for item in items]].sum(axis=0, dtype=np.int16)
        return count

    def _keyed_sum(self, items: Collection[int]) -> Array:
        turned = sorted(set(items) & set(self.scale.reverse))
        total = self._sum(self.answers, [item for item in items if item not in turned])
        if not turned:
            return total
        mirrors = (self.scale.min + self.scale.max) * (len(turned) - self.n_missing(turned))
        return total - self._sum(self.answers, turned) + mirrors

    @staticmethod
    def _sum(rows: Array, items: Iterable[int]) -> Array:
        whole = np.issubdtype(rows.dtype, np.integer)
        total = np.zeros(rows.shape[1], dtype=np.int32 if whole else np.float64)
        for item in items:
            total += rows[item - 1]
        return total
