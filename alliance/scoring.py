"""Responses + Scale → Scores: reversal, subscales, total, unanswered items; nothing is rounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.errors import DataError
from alliance.frames import KEYS, check_responses
from alliance.scale import TOTAL

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Formula, Scale

Array = np.ndarray[Any, Any]

BITS = 60
"""Conditions that fit into one integer for each form."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of many forms as arrays.

    Attributes
    ----------
    scores : name → float, shape (forms,); NaN = not scored. `total` is there also where the form has none.
    n_missing : int, shape (forms,); unanswered items of the whole form
    prorated : bool, shape (forms,); a printed score stands on fewer answers than items
    refused : reason → bool, shape (forms,); nothing of these forms is scored, for that reason
    """

    scores: dict[str, Array]
    n_missing: Array
    prorated: Array
    refused: dict[str, Array]


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
        of items for a sum). A score of other scores needs every one of them, and tolerates as many unanswered
        items in all of them together as it says. A blank form has no score, nor has one that its definition
        calls unscorable.

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
    _require_shape(answers, missing, scale)
    form = _Form.of(answers, missing, scale)
    scores: dict[str, Array] = {}
    for name, formula in scale.formulas.items():
        scores[name] = form.score(formula, scores)
    n_missing = form.n_missing(range(1, scale.n_items + 1)).astype(np.int64)
    refused = _refused(form, scores, n_missing, answers, missing)
    for holds in refused.values():
        scores = {name: np.where(holds, np.nan, values) for name, values in scores.items()}
    prorated = form.prorated(scores)
    scores.setdefault(TOTAL, np.full(len(n_missing), np.nan))
    return Scored(scores=scores, n_missing=n_missing, prorated=prorated, refused=refused)


def _refused(
    form: _Form, scores: Mapping[str, Array], n_missing: Array, answers: Array, missing: Array
) -> dict[str, Array]:
    """Return where the definition calls a form unscorable, by reason; only reasons that hold somewhere."""
    rule, blank = form.scale.unscorable, n_missing == form.scale.n_items
    found: dict[str, Array] = {}
    if rule.any_score:
        lacking = np.any([np.isnan(values) for values in scores.values()], axis=0)
        found["too many unanswered items in one of its subscales"] = lacking & ~blank
    if rule.missing_above is not None:
        found["too many unanswered items"] = (n_missing > rule.missing_above) & ~blank
    if rule.all_alike:
        high = np.where(missing, -np.inf, answers).max(axis=0)
        low = np.where(missing, np.inf, answers).min(axis=0)
        found["all answers alike"] = (high <= low) & ~blank
    return {reason: holds for reason, holds in found.items() if holds.any()}


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
    for name in (*scale.subscales, TOTAL):
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
    wrong = [f"q{place} = {cell}" for place, cell in enumerate(cells, 1) if not is_answer(cell, scale, place)]
    if wrong:
        kind = "whole numbers" if scale.whole else "numbers"
        message = f"answers that are no {kind} from {scale.range_text}, the range of '{scale.id}'"
        raise DataError(
            message, where=wrong, hint="leave an unanswered item empty; do not code it 0, 9 or 99"
        )
    answers = np.array([[float(cell) if cell else np.nan] for cell in cells])
    missing = np.isnan(answers)
    scored = score_answers(answers, missing, scale)
    _, texts = note_codes(scored, answers, missing, np.zeros(1, dtype=bool), scale)
    found: dict[str, object] = {name: float(scored.scores[name][0]) for name in scale.scores}
    return found | {"n_missing": int(scored.n_missing[0]), "note": texts[0]}


def is_answer(cell: str, scale: Scale, item: int) -> bool:
    """Return whether a typed cell is an answer of the item, or empty."""
    if not cell:
        return True
    try:
        value = float(cell)
    except ValueError:
        return False
    low, high = scale.item_bounds[item - 1]
    return low <= value <= high and (not scale.whole or value.is_integer())


def note_codes(
    scored: Scored, answers: Array, missing: Array, differs: Array, scale: Scale
) -> tuple[Array, list[str]]:
    """Return what a reader of each form's scores must know: a code for every form, and the text of each code.

    Alerts come first: a risk item is read before any total, and one that was not answered is told as well.
    `differs` is True where the form was filled in by another side than its key is for.
    """
    blank = scored.n_missing == scale.n_items
    told = blank.copy()
    for holds in scored.refused.values():
        told |= holds
    gone = {name: np.isnan(scored.scores[name]) & ~told for name in scale.scores}
    unscored = gone.get(TOTAL, np.zeros(len(blank), dtype=bool))
    parts = [
        *_alert_notes(answers, missing, scale),
        (np.full(len(blank), scale.status == "provisional"), "provisional key"),
        (blank, "blank form"),
        *((holds, f"not scored: {reason}") for reason, holds in scored.refused.items()),
        (unscored, "no total: too many unanswered items"),
        *((gone[name] & ~unscored, f"no {name}: too many unanswered items") for name in scale.subscales),
        (scored.prorated, "prorated"),
        (differs, f"scored with the key of the {scale.perspective} form"),
    ]
    return join_notes(parts, len(blank))


def _alert_notes(answers: Array, missing: Array, scale: Scale) -> Iterator[tuple[Array, str]]:
    for alert in scale.alerts:
        for item in alert.items:
            given = ~missing[item - 1] & (answers[item - 1] >= alert.value)
            yield given, f"item {item} answered {alert.value:g} or more: {alert.reason}"
            if alert.unanswered:
                yield missing[item - 1], f"item {item} not answered: {alert.reason}"


def alerts_in(note: str) -> list[str]:
    """Return the alerts in the note of a form.

    >>> alerts_in("item 6 not answered: suicide plans; no total: too many unanswered items")
    ['item 6 not answered: suicide plans']
    """
    return [part for part in note.split("; ") if part.startswith("item ")]


def join_notes(parts: Sequence[tuple[Array, str]], n_rows: int) -> tuple[Array, list[str]]:
    """Return a code per row and the text of each code: the texts of the `parts` that hold, by semicolons."""
    if len(parts) > BITS:
        codes, texts = join_notes(parts[:BITS], n_rows)
        rest, more = join_notes(parts[BITS:], n_rows)
        pairs, joined = np.unique(codes.astype(np.int64) * len(more) + rest, return_inverse=True)
        halves = [(texts[pair // len(more)], more[pair % len(more)]) for pair in pairs.tolist()]
        return joined.astype(np.int32), ["; ".join(filter(None, half)) for half in halves]
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
    sides = {"client", "therapist", "observer"} - {scale.perspective, *scale.raters}
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
        answers = _on_one_range(answers, scale)
        if not missing.any():
            return cls(answers=answers, missing=None, scale=scale)
        whole = np.issubdtype(answers.dtype, np.integer)
        kept = answers * ~missing if whole else np.where(missing, answers.dtype.type(0), answers)
        return cls(answers=kept, missing=missing, scale=scale)

    def score(self, formula: Formula, scores: Mapping[str, Array]) -> Array:
        """Return one score of every form; `scores` holds those before it."""
        value = self._of_scores(formula, scores) if formula.of else self._of_items(formula)
        if (formula.factor, formula.offset) == (1.0, 0.0):
            return value
        return value * formula.factor + formula.offset

    def _of_items(self, formula: Formula) -> Array:
        value, n_items = self._sum_of(formula), len(formula.items)
        if self.missing is None:
            return value / n_items if formula.method == "mean" else value.astype(np.float64)
        n_missing = self.n_missing(formula.items)
        if not formula.missing_max:
            score: Array = value / n_items if formula.method == "mean" else value.astype(np.float64)
            np.putmask(score, n_missing > 0, np.nan)
            return score
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: Array = value / (n_items - n_missing)
        if formula.method == "sum":
            mean = np.where(n_missing == 0, value, mean * n_items)
        np.putmask(mean, n_missing > formula.missing_max, np.nan)
        return mean

    def _of_scores(self, formula: Formula, scores: Mapping[str, Array]) -> Array:
        parts = np.stack([self._part(name, formula, scores) for name in formula.of])
        value: Array = parts.sum(axis=0) if formula.method == "sum" else parts.mean(axis=0)
        return np.where(self.n_missing(formula.items) <= formula.missing_max, value, np.nan)

    def _part(self, name: str, whole: Formula, scores: Mapping[str, Array]) -> Array:
        """Return a score as it enters another one: turned, where that one counts reversed items turned."""
        formula = self.scale.formulas[name]
        if formula.keyed == whole.keyed:
            return scores[name]
        return self.score(replace(formula, keyed=whole.keyed), scores)

    def prorated(self, scores: Mapping[str, Array]) -> Array:
        """Return where a score that is there stands on fewer answers than it has items."""
        touched = np.zeros(self.answers.shape[1], dtype=bool)
        if self.missing is None:
            return touched
        for name, formula in self.scale.formulas.items():
            if formula.missing_max and not formula.of:
                touched |= np.isfinite(scores[name]) & (self.n_missing(formula.items) > 0)
        return touched

    def n_missing(self, items: Iterable[int]) -> Array:
        if self.missing is None:
            return np.zeros(self.answers.shape[1], dtype=np.int32)
        items = list(items)
        count: Array = np.zeros(self.answers.shape[1], dtype=_narrowest(len(items)))
        for item in items:
            count += self.missing[item - 1].view(np.int8)
        return count

    def _sum_of(self, formula: Formula) -> Array:
        turned = sorted(set(formula.items) & set(self.scale.reverse)) if formula.keyed else []
        total: Array = self._sum(self.answers, [item for item in formula.items if item not in turned])
        if not turned:
            return total
        n_answered = len(turned) - self.n_missing(turned).astype(np.int32)
        mirrors: Array = (self.scale.min + self.scale.max) * n_answered
        return total - self._sum(self.answers, turned) + mirrors

    def _sum(self, rows: Array, items: list[int]) -> Array:
        """Return the sum of some items, in the narrowest type that holds it: less memory to move."""
        if not np.issubdtype(rows.dtype, np.integer):
            kind: Any = np.float64
        else:
            kind = _narrowest(len(items) * max(abs(self.scale.min), abs(self.scale.max)))
        total: Array = np.zeros(rows.shape[1], dtype=kind)
        for item in items:
            total += rows[item - 1].astype(kind, copy=False)
        return total


def _narrowest(most: float) -> Any:
    """Return the smallest whole-number type that holds `most` and twice of it."""
    return next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if 2 * most <= np.iinfo(kind).max)


def _require_shape(answers: Array, missing: Array, scale: Scale) -> None:
    for name, array in (("answers", answers), ("missing", missing)):
        if array.shape != (scale.n_items, answers.shape[-1]):
            message = f"{name} must have the shape ({scale.n_items}, forms), got {array.shape}"
            raise ValueError(message)


def _on_one_range(answers: Array, scale: Scale) -> Array:
    """Return the answers with every item that has a range of its own laid onto the range of the form."""
    if not scale.item_ranges:
        return answers
    laid = answers.astype(np.float64)
    for item, (low, high) in scale.item_ranges.items():
        laid[item - 1] = scale.min + (scale.max - scale.min) * (laid[item - 1] - low) / (high - low)
    return laid
