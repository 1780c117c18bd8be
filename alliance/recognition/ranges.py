"""Whether the answers can be those of a form with its range, or are rather those of another one.

Only forms with one range for all their items are compared. The constants are design choices.
"""

from __future__ import annotations

from collections.abc import Sequence

from alliance.recognition.evidence import (
    CANNOT,
    MAY_NOT,
    TOLERANCE,
    Doubt,
    Seen,
    alike,
    by_range,
    ids,
    range_of,
)
from alliance.scale import Scale

BEYOND_SHARE = 0.05
"""Share of the answers beyond the range of the form from which another range is named."""
SLIP_SHARE = 0.01
"""Share of the answers that may lie beyond the other range too."""
ORIGIN_SHARE = 0.01
ORIGIN_COUNT = 3
"""Share and number of answers beyond the range from which a file may count from another number."""
MANY_ANSWERS = 200
"""Answers from which it is worth a question that one end of the range was never used."""


def counts_from_another_number(seen: Seen | None, scale: Scale, others: Sequence[Scale]) -> Doubt | None:
    """Doubt a form from 1 whose file seems to count from 0, and one from 0 whose file counts from 1."""
    step = {1.0: -1, 0.0: 1}.get(scale.min)
    if seen is None or step is None or not scale.whole:
        return None
    low, high = scale.min + step, scale.max + step
    if not (low - TOLERANCE <= seen.low and seen.high <= high + TOLERANCE):
        return None
    if seen.n_beyond(scale) < max(ORIGIN_COUNT, ORIGIN_SHARE * seen.n - TOLERANCE):
        return None
    text = (
        f"answers run from {seen.low:g} to {seen.high:g}, '{scale.id}' is answered {scale.range_text}: "
        f"the file may count from {low:g}. If so, put shift = {-step} into a mapping; nothing was shifted"
    )
    coded = [each for each in others if each.n_items == scale.n_items and range_of(each) == (low, high)]
    if coded:
        text += f". Forms of {scale.n_items} items answered {low:g} to {high:g}: {ids(coded)}"
    return Doubt(kind=CANNOT, text=text)


def has_another_range(seen: Seen | None, scale: Scale, others: Sequence[Scale]) -> Doubt | None:
    """Doubt a form beyond whose range many answers lie, all of them within that of other forms."""
    n_beyond = 0 if seen is None else seen.n_beyond(scale)
    if seen is None or not n_beyond or n_beyond < BEYOND_SHARE * seen.n - TOLERANCE:
        return None
    fitting = [each for each in others if each.n_items == scale.n_items and seen.fits(each, but=SLIP_SHARE)]
    narrowest = min((each.max - each.min for each in fitting), default=0.0)
    named = [each for each in fitting if each.max - each.min <= narrowest + TOLERANCE]
    if not named:
        return None
    told = "; ".join(f"{text}: {ids(group)}" for text, group in by_range(named).items())
    low, high = max(seen.low, named[0].min), min(seen.high, named[0].max)
    text = (
        f"answers run from {low:g} to {high:g}; '{scale.id}' is answered {scale.range_text}. "
        f"Forms of {scale.n_items} items answered {told}. "
        "Name the one that was printed with --scale"
    )
    return Doubt(kind=CANNOT, text=text)


def fits_two_ranges(seen: Seen | None, scale: Scale, others: Sequence[Scale]) -> Doubt | None:
    """Doubt a form of whose range an end was never used, where the answers use another form's to its ends.

    The lower end alone is enough: a lowest answer that nobody gave may be one that nobody could give.
    """
    if seen is None or seen.n < MANY_ANSWERS or not seen.fits(scale):
        return None
    below, above = seen.low > scale.min + TOLERANCE, seen.high < scale.max - TOLERANCE
    fitting = [
        each
        for each in alike(scale, others, seen)
        if seen.low <= each.min + TOLERANCE and (below or seen.high >= each.max - TOLERANCE)
    ]
    if not fitting or not (below or above):
        return None
    ends = [f"below {seen.low:g}"] * below + [f"above {seen.high:g}"] * above
    told = "; ".join(f"{ids(group)} ({text})" for text, group in by_range(fitting).items())
    text = f"no answer is {' or '.join(ends)} among {seen.n}; every answer also fits {told}"
    return Doubt(kind=MAY_NOT, text=f"{text}. Which form was printed?")
