"""How the items of a form look in another system: their answers in printed order, words and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from alliance.scale import plain

if TYPE_CHECKING:
    from alliance.exchange.envelope import Texts
    from alliance.scale import Scale

MOST_CHOICES = 11
"""The longest list of answers that is shown as such; a longer one is a number to be entered."""


def choices(scale: Scale, item: int) -> list[float]:
    """Return the answers of an item in the order printed; none for a line or a wide range."""
    low, high = scale.item_bounds[item - 1]
    n_steps = (high - low) / scale.step
    closed = scale.whole and low.is_integer() and n_steps.is_integer() and n_steps < MOST_CHOICES
    values = [low + scale.step * place for place in range(int(n_steps) + 1)] if closed else []
    return values[::-1] if item in scale.descending else values


def word(scale: Scale, item: int, value: float) -> str:
    """Return the printed word of an answer, or its number where it has none."""
    words = {} if item in scale.item_ranges else scale.anchors
    return words.get(value, shown(value))


def label(scale: Scale, item: int, texts: Texts | None) -> str:
    """Return what an item is called: the user's own text, its label, or its number."""
    return (texts or {}).get(item) or scale.labels.get(item) or f"Item {item}"


def decimals(step: float) -> int:
    """Return the decimals an answer has.

    >>> decimals(0.1), decimals(1.0), decimals(0.25)
    (1, 0, 2)
    """
    exponent = Decimal(str(step)).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def shown(value: float) -> str:
    """Return a number as it is printed on a form.

    >>> shown(5.0), shown(0.5)
    ('5', '0.5')
    """
    return str(plain(value))


def listed(names: Iterable[object]) -> str:
    """Return names in a row, by commas."""
    return ", ".join(map(str, names))


def several(noun: str, numbers: Sequence[object]) -> str:
    """Return a noun with what it counts.

    >>> several("item", [3]), several("item", [3, 5])
    ('item 3', 'items 3, 5')
    """
    return f"{noun}{'' if len(numbers) == 1 else 's'} {listed(numbers)}"
