"""Keys of case and number: which rows of two tables belong together, and what stands before each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Packs a case and a number into one integer that sorts like the two; numbers from `low` on."""

    low: int
    width: int

    @classmethod
    def over(cls, *numbers: Array) -> Keys:
        """Return keys wide enough for all of `numbers`."""
        known = np.concatenate(numbers)
        known = known[np.isfinite(known)]
        low = int(known.min(initial=0))
        return cls(low=low, width=int(known.max(initial=0)) - low + 2)

    def of(self, case: Array, number: Array) -> Array:
        """Return the keys; a number of NaN sorts before all others of its case."""
        place = np.nan_to_num(number - self.low + 1, nan=0).astype(np.int64)
        key: Array = case.astype(np.int64) * self.width + place
        return key


def find(known: Array, wanted: Array) -> Array:
    """Return the place of each of `wanted` in `known`, whose values differ, or -1."""
    if not len(known):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(known, kind="stable")
    place = order[np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)]
    return np.where(known[place] == wanted, place, -1)


def occurrence(key: Array) -> Array:
    """Return how many equal keys stand before each one."""
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=key[order][:1] - 1))
    count = np.empty(len(key), dtype=np.int64)
    count[order] = np.arange(len(key)) - np.repeat(first, np.diff(np.append(first, len(key))))
    return count


def rank(case: Array, counted: Array) -> Array:
    """Return the number of `counted` rows of the case up to each row; rows of a case stand together."""
    total = np.cumsum(counted)
    first = np.flatnonzero(np.diff(case, prepend=-1))
    before = np.repeat((total - counted)[first], np.diff(np.append(first, len(case))))
    rank: Array = total - before
    return rank


def first_only(form: Array) -> Array:
    """Return `form` with every second use of a form replaced by -1."""
    kinds, first = np.unique(form, return_index=True)
    result = np.full(len(form), -1, dtype=np.int64)
    result[first[kinds >= 0]] = kinds[kinds >= 0]
    return result
