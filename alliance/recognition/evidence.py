"""What is known of a file, what a doubt is, and the answers that can be answers of a form at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from alliance.scale import Scale

Array = np.ndarray[Any, Any]

CANNOT: Literal["cannot"] = "cannot"
MAY_NOT: Literal["may not"] = "may not"

TOLERANCE = 1e-9
UNIT = 1.0
"""A value further than this from its neighbour does not belong to the answers: it is a code or a slip."""
SHOWN = 5
"""Forms named in one sentence; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of the answers of one form in a file.

    Attributes
    ----------
    names : the file's own name of each item that was read, or of the columns that look like items
    columns : every item the file has, the form's and those beyond it; empty = not known
    stated : what the file itself calls the form, where it does not call it by the id of this one
    observed : float, shape (items, forms); every number answered, also beyond the range; NaN = none
    answers : float, shape (items, forms); the usable answers as printed; NaN = unanswered or not usable
    cases : int, shape (forms,); number of the case; -1 = not known
    """

    names: tuple[str, ...]
    columns: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()
    observed: Array
    answers: Array
    cases: Array


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One sentence that speaks against the form named.

    `kind` is "cannot" where the data cannot be this form as it is printed, "may not" where it is a question.
    """

    kind: Literal["cannot", "may not"]
    text: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The different answers that hang together with the range of the form, and how often each was given."""

    values: Array
    counts: Array

    @property
    def low(self) -> float:
        """The lowest answer."""
        return float(self.values[0])

    @property
    def high(self) -> float:
        """The highest answer."""
        return float(self.values[-1])

    @property
    def n(self) -> int:
        """How many answers were given."""
        return int(self.counts.sum())

    def n_beyond(self, scale: Scale) -> int:
        """Return how many answers lie outside the range of `scale`."""
        beyond = (self.values < scale.min - TOLERANCE) | (self.values > scale.max + TOLERANCE)
        return int(self.counts[beyond].sum())

    def fits(self, scale: Scale, *, but: float = 0.0) -> bool:
        """Return whether the answers, but for a share of slips, can be those of a form of one range."""
        whole = not scale.whole or bool((np.abs(self.values - np.round(self.values)) <= TOLERANCE).all())
        return whole and not scale.item_ranges and self.n_beyond(scale) <= but * self.n


def seen_in(observed: Array, scale: Scale) -> Seen | None:
    """Return the answers that follow one another without a gap, from the range of the form outward."""
    values, counts = np.unique(observed[np.isfinite(observed)], return_counts=True)
    if not len(values) or scale.item_ranges:
        return None
    inside = (values >= scale.min - TOLERANCE) & (values <= scale.max + TOLERANCE)
    if not inside.any():
        return None
    apart = np.diff(values) > UNIT + TOLERANCE
    group = np.concatenate(([0], np.cumsum(apart)))
    keep = inside | np.isin(group, group[inside])
    return Seen(values=values[keep], counts=counts[keep])


def alike(scale: Scale, others: Iterable[Scale], seen: Seen | None) -> list[Scale]:
    """Return the forms of the same length and construct that could have every answer seen."""
    same = (each for each in others if (each.n_items, each.construct) == (scale.n_items, scale.construct))
    return [each for each in same if seen is not None and seen.fits(each)]


def range_of(scale: Scale) -> tuple[float, float]:
    """Return the lowest and the highest answer of a form with one range."""
    return scale.min, scale.max


def by_range(scales: Iterable[Scale]) -> dict[str, list[Scale]]:
    """Return the range in words → the forms that have it, each range once."""
    groups: dict[str, list[Scale]] = {}
    for each in scales:
        groups.setdefault(each.range_text, []).append(each)
    return groups


def ids(scales: Sequence[Scale]) -> str:
    """Return the ids of the first forms, and the number of the others."""
    more = f" and {len(scales) - SHOWN} more" if len(scales) > SHOWN else ""
    return ", ".join(each.id for each in scales[:SHOWN]) + more
