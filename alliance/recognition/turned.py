"""Whether items run against the rest of their score, as they do if they were turned before.

The constants are design choices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from alliance.recognition.evidence import MAY_NOT, TOLERANCE, Array, Doubt, Evidence, Seen, alike, ids
from alliance.scale import TOTAL, Formula, Scale

FEWEST_CASES = 20
AGAINST = -0.2
NORMAL_95 = 1.96
"""An item runs against the rest if r is below -0.2 and its 95 % interval, by Fisher's z, below 0."""


def is_turned(
    evidence: Evidence, scale: Scale, others: Sequence[Scale], seen: Seen | None
) -> Iterator[Doubt]:
    """Doubt answers whose items do not run the way the key says: in the total, or else in every subscale."""
    for name, formula in ({TOTAL: scale.total} if scale.total else scale.formulas).items():
        keyed, n_cases = _keyed(evidence, scale, formula)
        if n_cases < FEWEST_CASES:
            continue
        reverse = set(scale.reverse) if formula.keyed else set()
        turned, strays = _running_against(keyed, formula.items, reverse, n_cases)
        texts = [*_turned_text(turned, n_cases), *_stray_text(strays, n_cases)]
        key = (set(scale.reverse) - set(turned)) ^ set(strays)
        fitting = [each for each in alike(scale, others, seen) if set(each.reverse) == key]
        if texts and fitting:
            texts[-1] += f". Keys of other forms that would fit: {ids(fitting)}"
        where = "" if name == TOTAL else f"in '{name}' "
        yield from (Doubt(kind=MAY_NOT, text=where + text) for text in texts)


def _keyed(evidence: Evidence, scale: Scale, formula: Formula) -> tuple[Array, int]:
    """Return the items of one score, keyed, on 0 to 1, of forms that answer them all; and how many cases."""
    rows = [item - 1 for item in formula.items]
    answers = evidence.answers[rows]
    complete = np.isfinite(answers).all(axis=0) & (evidence.cases >= 0)
    low, high = (np.array(scale.item_bounds)[rows, side, np.newaxis] for side in (0, 1))
    keyed = (answers[:, complete] - low) / (high - low)
    turn = np.isin(formula.items, scale.reverse if formula.keyed else ())
    keyed[turn] = 1 - keyed[turn]
    return keyed, len(np.unique(evidence.cases[complete]))


def _running_against(
    keyed: Array, items: Sequence[int], reverse: Collection[int], n_cases: int
) -> tuple[dict[int, float], dict[int, float]]:
    """Return item → r of the items that run against the others: those turned already, and single ones.

    A reversed item is compared with the items the key leaves as they are, so that reversed items do not hide
    one another where they are half of the form; they count as turned if at least half of them run against
    these. Then every item is compared with the rest, corrected for itself and with the turned ones put right.
    """
    turn = np.isin(items, list(reverse))
    first = _correlation(keyed, keyed[~turn].sum(axis=0))
    turned = turn & _against(first, n_cases)
    turned &= 2 * turned.sum() >= turn.sum()
    right = np.where(turned[:, np.newaxis], 1 - keyed, keyed)
    rest = _correlation(right, right.sum(axis=0) - right)
    strays = ~turned & _against(rest, n_cases)
    return (
        {item: r for item, r, holds in zip(items, first.tolist(), turned, strict=True) if holds},
        {item: r for item, r, holds in zip(items, rest.tolist(), strays, strict=True) if holds},
    )


def _correlation(rows: Array, others: Array) -> Array:
    """Return the correlation of every row with the row of `others` beside it; NaN where one does not vary."""
    rows, others = (each - each.mean(axis=-1, keepdims=True) for each in (rows, others))
    spread = np.sqrt((rows**2).sum(axis=-1) * (others**2).sum(axis=-1))
    together = (rows * others).sum(axis=-1)
    r: Array = np.divide(together, spread, out=np.full(len(rows), np.nan), where=spread > TOLERANCE)
    return r


def _against(r: Array, n_cases: int) -> Array:
    """Return where r is well below 0; sessions of one case are not independent, so that cases count."""
    upper = np.arctanh(np.clip(r, TOLERANCE - 1, 1 - TOLERANCE)) + NORMAL_95 / np.sqrt(n_cases - 3)
    return np.asarray((r < AGAINST - TOLERANCE) & (upper < -TOLERANCE))


def _turned_text(found: Mapping[int, float], n_cases: int) -> Iterator[str]:
    if found:
        yield (
            f"{_named(found)}, which the key reverses, {_run(found)} against the rest "
            f"({_told(found, n_cases)}): the file may hold answers that are already reversed. "
            "Give the printed answers; nothing was turned"
        )


def _stray_text(found: Mapping[int, float], n_cases: int) -> Iterator[str]:
    if found:
        was = "it was" if len(found) == 1 else "they were"
        yield (
            f"{_named(found)} {_run(found)} against the rest ({_told(found, n_cases)}): look whether {was} "
            "reversed by hand, or whether the columns are in another order"
        )


def _named(found: Mapping[int, float]) -> str:
    return f"item{'s' * (len(found) > 1)} {' '.join(map(str, found))}"


def _run(found: Mapping[int, float]) -> str:
    return "runs" if len(found) == 1 else "run"


def _told(found: Mapping[int, float], n_cases: int) -> str:
    return f"item-rest r {' '.join(f'{r:.2f}' for r in found.values())}, {n_cases} cases"
