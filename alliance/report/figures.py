"""Numbers of a bundle as people read them: what is missing is said, small counts are not given away."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NONE = "not enough data"
FEW = "fewer than 5"
LEAST = 5
"""Smallest count of cases that is shown; 0 is shown, as it stands for nobody."""
NORMAL = 1.959963984540054
LARGEST = 700.0
"""Largest number whose exponential is taken: beyond it there is no finite one."""


def at(value: Any, *path: str) -> Any:
    """Return what lies at a path of keys, None where the path ends early.

    >>> at({"cv": {"auc": {"value": 0.7}}}, "cv", "auc", "value"), at({"cv": None}, "cv", "auc")
    (0.7, None)
    """
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def rows_at(value: Any, *path: str) -> tuple[Any, ...]:
    """Return the list at a path of keys, empty where there is none.

    >>> rows_at({"limits": ["one site"]}, "limits"), rows_at({}, "limits")
    (('one site',), ())
    """
    found = at(value, *path)
    return tuple(found) if isinstance(found, list | tuple) else ()


def recorded(value: Any) -> str:
    """Return a text or a number as it is recorded.

    >>> recorded("srs"), recorded(None)
    ('srs', 'not recorded')
    """
    return "not recorded" if value is None or value == "" else str(value)


def real(value: Any) -> float | None:
    """Return a finite number, None for anything else.

    >>> real(2), real(float("nan")), real(None), real(True)
    (2.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def fixed(value: Any, digits: int = 3) -> str:
    """Return a number with a fixed number of decimals.

    >>> fixed(0.72345), fixed(-0.0001), fixed(None)
    ('0.723', '0.000', 'not enough data')
    """
    number = real(value)
    return NONE if number is None else f"{round(number, digits) + 0.0:.{digits}f}"


def signed(value: Any, digits: int = 3) -> str:
    """Return a number with its sign; zero has none.

    >>> signed(0.5), signed(-0.5), signed(0.0001)
    ('+0.500', '-0.500', '0.000')
    """
    text = fixed(value, digits)
    number = real(value)
    return f"+{text}" if number is not None and round(number, digits) > 0 else text


def percent(value: Any, digits: int = 1) -> str:
    """Return a share in percent.

    >>> percent(0.0714), percent(None)
    ('7.1 %', 'not enough data')
    """
    number = real(value)
    return NONE if number is None else f"{fixed(100 * number, digits)} %"


def exact(value: Any) -> str:
    """Return a number with six significant digits, for calculating by hand.

    >>> exact(-2.68912345), exact(36), exact(None)
    ('-2.68912', '36', 'not enough data')
    """
    number = real(value)
    return NONE if number is None else f"{number + 0.0:.6g}"


def whole(value: Any) -> str:
    """Return a count, with a mark at the thousands.

    >>> whole(5910), whole(None)
    ('5,910', 'not enough data')
    """
    number = real(value)
    return NONE if number is None else f"{round(number):,}"


def spread(value: Any, low: Any, high: Any, digits: int = 3) -> str:
    """Return a number with its 95 % interval.

    >>> spread(0.72, 0.69, 0.75), spread(0.72, None, None), spread(None, None, None)
    ('0.720 [0.690, 0.750]', '0.720 (no interval)', 'not enough data')
    """
    if real(value) is None:
        return NONE
    if real(low) is None or real(high) is None:
        return f"{fixed(value, digits)} (no interval)"
    return f"{fixed(value, digits)} [{fixed(low, digits)}, {fixed(high, digits)}]"


def small(value: Any) -> bool:
    """Tell whether a count of cases is too small to be shown: 1 to 4.

    >>> small(0), small(1), small(4), small(5), small(None)
    (False, True, True, False, False)
    """
    number = real(value)
    return number is not None and 0 < number < LEAST


def tally(value: Any) -> str:
    """Return a count of cases, hidden if it is 1 to 4.

    >>> tally(158), tally(3)
    ('158', 'fewer than 5')
    """
    return FEW if small(value) else whole(value)


def counts(values: Sequence[Any]) -> tuple[str, ...]:
    """Return counts that belong to one whole, without giving a small one away.

    Where one of them is 1 to 4, or withheld, the others are rounded to tens: it
    cannot be had by subtraction from the whole.

    >>> counts([120, 37, 0]), counts([123, 3, 0]), counts([123, None])
    (('120', '37', '0'), ('about 120', 'fewer than 5', '0'), ('about 120', 'not enough data'))
    """
    hide = any(small(value) or real(value) is None for value in values)
    return tuple(FEW if small(value) else _about(value) if hide else whole(value) for value in values)


def _about(value: Any) -> str:
    """Return a count rounded to tens."""
    number = real(value)
    return whole(value) if not number else f"about {max(round(number / 10) * 10, 10):,}"
