"""Scores as REDCap calculations: plain additions, unanswered items counted, none passed over in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from alliance.exchange.items import shown
from alliance.scale import Unscorable

if TYPE_CHECKING:
    from alliance.scale import Formula, Scale

Fields = Callable[[int | str], str]
Parts = tuple[list[str], str]


def can_be_calculated(scale: Scale) -> bool:
    """Return whether calculations can say when the form is scored: not where it is unscorable as a whole."""
    return scale.unscorable == Unscorable()


def calculations(scale: Scale, field: Fields) -> dict[str, str]:
    """Return score → its calculation in REDCap's syntax.

    An addition of fields has no result where one of them is blank, as a score has none without all of its
    answers; REDCap's sum() and mean() pass over blanks instead. Where unanswered items are tolerated, they
    are counted.

    Parameters
    ----------
    scale : Scale
        The scoring definition; its unconfirmed subscales are left out.
    field : callable
        The field name of an item number, or of the name of a score.

    Examples
    --------
    >>> from alliance.scale import load_scale
    >>> calculations(load_scale("srs"), lambda part: f"srs_{part}")
    {'total': '[srs_1]+[srs_2]+[srs_3]+[srs_4]'}
    """
    return {name: _guarded(*_score(scale, formula, field)) for name, formula in scale.formulas.items()}


def _guarded(guards: Sequence[str], value: str) -> str:
    return f'if({" and ".join(guards)}, {value}, "")' if guards else value


def _score(scale: Scale, formula: Formula, field: Fields) -> Parts:
    """Return what must hold for a score to stand, and its value where it does."""
    formed = _of_scores if formula.of else _of_items
    guards, value = formed(scale, formula, field)
    if formula.factor != 1:
        value = f"({value})*{shown(formula.factor)}"
    if formula.offset:
        value = f"({value})+{_number(formula.offset)}"
    return guards, value


def _of_items(scale: Scale, formula: Formula, field: Fields) -> Parts:
    values = [_item(scale, item, field, keyed=formula.keyed) for item in formula.items]
    n_items = len(values)
    if not formula.missing_max:
        return [], _joined(values, formula)
    names = [field(item) for item in formula.items]
    blanks = _n_blank(names)
    zeroed = [f'if([{name}]="",0,{value})' for name, value in zip(names, values, strict=True)]
    share = "" if formula.method == "mean" else f"*{n_items}"
    value = f"({'+'.join(zeroed)}){share}/({n_items}-{blanks})"
    return [f"{blanks}<={formula.missing_max}"], value


def _of_scores(scale: Scale, formula: Formula, field: Fields) -> Parts:
    """Return a score of scores: it refers to their fields, unless they turn other items than it does."""
    guards: list[str] = []
    values: list[str] = []
    for name in formula.of:
        part = scale.formulas[name]
        if part.keyed == formula.keyed:
            values.append(f"[{field(name)}]")
        else:
            more, value = _score(scale, replace(part, keyed=formula.keyed), field)
            guards += more
            values.append(f"({value})")
    if _tolerant(scale, formula):
        guards.append(f"{_n_blank(field(item) for item in formula.items)}<={formula.missing_max}")
    return guards, _joined(values, formula)


def _tolerant(scale: Scale, formula: Formula) -> bool:
    """Return whether one of the scores a score is formed of stands with unanswered items."""
    if not formula.of:
        return formula.missing_max > 0
    return any(_tolerant(scale, scale.formulas[name]) for name in formula.of)


def _item(scale: Scale, item: int, field: Fields, *, keyed: bool) -> str:
    value = f"[{field(item)}]"
    low, high = _number(scale.min), _number(scale.max)
    if item in scale.item_ranges:
        own = scale.item_ranges[item]
        span = f"{_number(scale.max - scale.min)}*({value}-{_number(own[0])})/{_number(own[1] - own[0])}"
        value = f"({low}+{span})"
    return f"({low}+{high}-{value})" if keyed and item in scale.reverse else value


def _joined(values: Sequence[str], formula: Formula) -> str:
    total = "+".join(values)
    return f"({total})/{len(values)}" if formula.method == "mean" else total


def _n_blank(names: Iterable[str]) -> str:
    blanks = [f'if([{name}]="",1,0)' for name in names]
    return f"({'+'.join(blanks)})"


def _number(value: float) -> str:
    return shown(value) if value >= 0 else f"({shown(value)})"
