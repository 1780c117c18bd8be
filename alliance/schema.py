"""The strict schema of a scale definition: every breach in one list, in words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from alliance.claims import LEVELS
from alliance.claims import STATUSES as NUMBER_STATUSES
from alliance.consistency import contradictions

PERSPECTIVES = ("client", "therapist", "observer")
CONSTRUCTS = ("alliance", "outcome", "relationship", "satisfaction", "session", "expectancy", "person")
DIRECTIONS = ("higher_is_better", "higher_is_worse")
SCOPES = ("every_score", "total_only")
METHODS = ("sum", "mean")
METRICS = ("score", "item mean")
STATUSES = ("verified", "provisional")
OPERATORS = ("<", "<=", ">", ">=")

Check = Callable[[Any], str]


def breaches(table: Mapping[str, Any]) -> list[str]:
    """Return one sentence for every way in which `table` breaks the schema; an empty list if it does not."""
    found = [f"{key}: missing" for key in REQUIRED if key not in table]
    sound = {}
    for key, value in table.items():
        check = {**REQUIRED, **OPTIONAL}.get(key)
        if check is None:
            found.append(f"{key}: unknown field; known: {', '.join([*REQUIRED, *OPTIONAL])}")
        elif problem := check(value):
            found.append(f"{key}: {problem}")
        else:
            sound[key] = value
    return [*found, *contradictions(sound, broken=table.keys() - sound.keys())]


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and value.strip() else "must be a text that is not empty"


def _kebab(value: Any) -> str:
    fits = isinstance(value, str) and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value)
    return "" if fits else "must be lower-case words joined by hyphens, such as wai-sr"


def _number(value: Any) -> str:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return "" if fits else f"must be a finite number, got {value!r}"


def _count(value: Any, *, least: int = 0) -> str:
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return "" if fits else f"must be a whole number of {least} or more, got {value!r}"


def _positive_count(value: Any) -> str:
    return _count(value, least=1)


def _positive(value: Any) -> str:
    return _number(value) or ("" if value > 0 else f"must be above 0, got {value}")


def _share(value: Any) -> str:
    return _number(value) or ("" if 0 <= value < 1 else f"must be at least 0 and below 1, got {value}")


def _one_of(*names: str) -> Check:
    def check(value: Any) -> str:
        return "" if value in names else f"must be one of {', '.join(names)}, got {value!r}"

    return check


def _list_of(each: Check) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, list):
            return "must be a list"
        problems = [
            f"[{place}] {problem}" for place, entry in enumerate(value, 1) if (problem := each(entry))
        ]
        return "; ".join(problems)

    return check


def _some(each: Check) -> Check:
    def check(value: Any) -> str:
        return "must not be empty" if value == [] else _list_of(each)(value)

    return check


def _items(value: Any) -> str:
    problem = _list_of(_positive_count)(value)
    if problem:
        return problem
    doubled = sorted({item for item in value if value.count(item) > 1})
    return f"names item {doubled[0]} twice" if doubled else ""


def _some_items(value: Any) -> str:
    return "has no item" if value == [] else _items(value)


def _table_of(each: Check, *, key: Check | None = None) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, dict):
            return "must be a table"
        problems = [f"{name}: {problem}" for name in value if key and (problem := key(name))]
        problems += [f"{name}: {problem}" for name, entry in value.items() if (problem := each(entry))]
        return "; ".join(problems)

    return check


def _fields(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, dict):
            return "must be a table"
        problems = [f"{name} is missing" for name in required if name not in value]
        for name, entry in value.items():
            each = {**required, **optional}.get(name)
            if each is None:
                problems.append(f"unknown field {name}")
            elif problem := each(entry):
                problems.append(f"{name} {problem}")
        return "; ".join(problems)

    return check


def _numeral(value: Any) -> str:
    return "" if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", str(value)) else f"must be a number, got {value!r}"


def _item_number(value: Any) -> str:
    return "" if re.fullmatch(r"[1-9][0-9]*", str(value)) else f"must be an item number, got {value!r}"


def _answer_or_blank(value: Any) -> str:
    return "" if value == "" else _number(value)


def _truth(value: Any) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, got {value!r}"


def _reason(value: Any) -> str:
    return _text(value) or ("must hold no semicolon: notes are joined by them" if ";" in value else "")


def _need(value: Any) -> str:
    return _fields({"items": _some_items, "at_least": _count}, {"at_most": _count})(value)


def _range(value: Any) -> str:
    if not isinstance(value, list) or len(value) != 2 or any(_number(end) for end in value):  # noqa: PLR2004
        return f"must be two numbers, the lowest and the highest answer, got {value!r}"
    return "" if value[0] < value[1] else f"must rise, got {value!r}"


def _band(value: Any) -> str:
    if not isinstance(value, list) or len(value) != 3:  # noqa: PLR2004  from, to, label
        return f"must be [from, to, label], got {value!r}"
    return _number(value[0]) or _answer_or_blank(value[1]) or _text(value[2])


def _formula(value: Any) -> str:
    """Check a subscale: the list of its items, or a table that says how it is formed."""
    if not isinstance(value, dict):
        return _some_items(value)
    problem = _fields({}, _FORMULA)(value)
    if problem or ("items" in value) != ("of" in value):
        return problem
    return "must say items, or of which scores it is formed" if "of" not in value else "has both items and of"


def _total_of(value: Any) -> str:
    if isinstance(value, list):
        return _some(_kebab)(value)
    known = isinstance(value, str) and value in {"items", "subscales"}
    return "" if known else f"must be items, subscales, or a list of subscales, got {value!r}"


_SOURCED: dict[str, Check] = {"status": _one_of(*NUMBER_STATUSES), "source": _text}
_OF: dict[str, Check] = {"population": _text}
_FORMULA: dict[str, Check] = {
    "items": _some_items,
    "of": _some(_kebab),
    "method": _one_of(*METHODS),
    "factor": _positive,
    "offset": _number,
    "missing_max": _count,
    "direction": _one_of(*DIRECTIONS, "neither"),
}
_TOTAL: dict[str, Check] = {
    **{name: check for name, check in _FORMULA.items() if name not in {"missing_max", "direction"}},
    "method": _one_of(*METHODS, "none"),
    "of": _total_of,
}

REQUIRED: dict[str, Check] = {
    "id": _kebab,
    "name": _text,
    "perspective": _one_of(*PERSPECTIVES),
    "construct": _one_of(*CONSTRUCTS),
    "direction": _one_of(*DIRECTIONS),
    "citation": _text,
    "licence": _text,
    "status": _one_of(*STATUSES),
    "items": _positive_count,
    "min": _number,
    "max": _number,
    "method": _one_of(*METHODS),
    "sources": _some(_text),
    "vectors": _list_of(
        _fields({"answers": _list_of(_answer_or_blank), "scores": _table_of(_answer_or_blank)}, {})
    ),
}

OPTIONAL: dict[str, Check] = {
    "version": _text,
    "doi": _text,
    "raters": _some(_kebab),
    "loinc": _fields({}, {"panel": _text, "total": _text}),
    "step": _positive,
    "item_ranges": _table_of(_range, key=_item_number),
    "anchors": _table_of(_text, key=_numeral),
    "labels": _table_of(_text, key=_item_number),
    "descending": _items,
    "not_applicable": _items,
    "subscales": _table_of(_formula, key=_kebab),
    "unconfirmed": _some(_kebab),
    "unscored": _items,
    "reverse": _items,
    "reverse_scope": _one_of(*SCOPES),
    "factor": _positive,
    "total": _fields({}, _TOTAL),
    "missing_max": _count,
    "total_missing_max": _count,
    "missing_rule": _text,
    "unscorable": _fields({}, {"missing_above": _count, "any_score": _truth, "all_alike": _truth}),
    "norms": _table_of(
        _fields(
            {"source": _text},
            {"sd": _positive, "reliability": _share, "mean": _number, "n": _positive_count, "sample": _text}
            | {"status": _one_of(*NUMBER_STATUSES)},
        )
    ),
    "references": _list_of(
        _fields(
            {"score": _text, "sample": _text, "mean": _number, **_SOURCED},
            {"sd": _positive, "n": _positive_count, "metric": _one_of(*METRICS)}
            | {"session": _positive_count, "week": _positive_count},
        )
    ),
    "reliabilities": _list_of(
        _fields(
            {"score": _text, "statistic": _text, "value": _share, **_SOURCED},
            {"high": _share, "sample": _text},
        )
    ),
    "cutoffs": _list_of(
        _fields(
            {"score": _text, "op": _one_of(*OPERATORS), "value": _number, "label": _text, **_SOURCED},
            _OF | {"round": _count},
        )
    ),
    "bands": _list_of(_fields({"score": _text, "steps": _some(_band), **_SOURCED}, _OF | {"name": _text})),
    "reliable_change": _list_of(
        _fields({"score": _text, "value": _positive, "level": _text, **_SOURCED}, _OF)
    ),
    "alerts": _list_of(
        _fields(
            {"items": _some_items, "value": _number, "reason": _reason},
            {"level": _one_of(*LEVELS), "unanswered": _truth, "source": _text},
        )
    ),
    "criteria": _list_of(
        _fields(
            {"label": _text, "present_at": _number, "needs": _some(_need), **_SOURCED},
            {"item_present_at": _table_of(_number, key=_item_number)},
        )
    ),
    "cautions": _list_of(_text),
    "notes": _list_of(_text),
}
