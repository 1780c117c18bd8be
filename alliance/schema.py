"""The strict schema of a scale definition: every breach in one list, in words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

PERSPECTIVES = ("client", "therapist", "observer")
CONSTRUCTS = ("alliance", "outcome", "relationship", "satisfaction", "session")
DIRECTIONS = ("higher_is_better", "higher_is_worse")
METHODS = ("sum", "mean")
STATUSES = ("verified", "provisional")
NUMBER_STATUSES = ("published", "derived", "memory")
OPERATORS = ("<", "<=", ">", ">=")
COLUMNS = ("total", "case", "session", "date", "therapist", "rater", "note", "line", "scale")

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
    return [*found, *_contradictions(sound, broken=table.keys() - sound.keys())]


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


_SOURCED: dict[str, Check] = {"status": _one_of(*NUMBER_STATUSES), "source": _text}

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
    "step": _positive,
    "anchors": _table_of(_text, key=_numeral),
    "labels": _table_of(_text, key=_item_number),
    "subscales": _table_of(_some_items, key=_kebab),
    "reverse": _items,
    "total": _fields(
        {}, {"method": _one_of(*METHODS), "of": _one_of("items", "subscales"), "items": _some_items}
    ),
    "missing_max": _count,
    "total_missing_max": _count,
    "norms": _table_of(
        _fields(
            {"source": _text},
            {"sd": _positive, "reliability": _share, "mean": _number, "n": _positive_count, "sample": _text}
            | {"status": _one_of(*NUMBER_STATUSES)},
        )
    ),
    "cutoffs": _list_of(
        _fields(
            {"score": _text, "op": _one_of(*OPERATORS), "value": _number, "label": _text, **_SOURCED},
            {"population": _text},
        )
    ),
    "reliable_change": _list_of(
        _fields({"score": _text, "value": _positive, "level": _text, **_SOURCED}, {})
    ),
    "alerts": _list_of(
        _fields({"item": _positive_count, "value": _number, "reason": _text}, {"source": _text})
    ),
    "notes": _list_of(_text),
}


def _contradictions(table: Mapping[str, Any], *, broken: Collection[str]) -> Iterator[str]:
    """Yield what is well-formed field by field but cannot be true of one form.

    What depends on a field that is itself `broken` is not looked at: it would be blamed for nothing.
    """
    named = not {"subscales", "total"} & set(broken)
    if named:
        yield from _wrong_scores(table)
    if "items" in table:
        yield from _wrong_items(table)
        yield from _wrong_vectors(table)
    if named and "items" in table:
        yield from _wrong_tolerance(table)
    if {"min", "max"} <= table.keys() and "step" not in broken:
        yield from _wrong_range(table)


def _wrong_scores(table: Mapping[str, Any]) -> Iterator[str]:
    subscales = table.get("subscales", {})
    known = {*subscales, "total"}
    for name in subscales:
        if name in COLUMNS or re.fullmatch(r"q[0-9]+", name):
            yield f"subscales.{name}: is the name of another column"
    if table.get("total", {}).get("of") == "subscales" and not subscales:
        yield "total.of: there are no subscales to form the total of"
    if table.get("total", {}).get("of") == "subscales" and "items" in table["total"]:
        yield "total.items: the total is formed of subscales, not of items"
    named = {"norms": list(table.get("norms", {}))}
    named |= {key: [row["score"] for row in table.get(key, [])] for key in ("cutoffs", "reliable_change")}
    named |= {"vectors": [name for vector in table.get("vectors", []) for name in vector["scores"]]}
    for field, names in named.items():
        for name in dict.fromkeys(names):
            if name not in known:
                yield f"{field}: there is no score {name}; known: {', '.join(sorted(known))}"


def _wrong_items(table: Mapping[str, Any]) -> Iterator[str]:
    count = table["items"]
    lists = {f"subscales.{name}": items for name, items in table.get("subscales", {}).items()}
    lists |= {"reverse": table.get("reverse", []), "total.items": table.get("total", {}).get("items", [])}
    lists |= {"labels": [int(item) for item in table.get("labels", {})]}
    lists |= {"alerts": [alert["item"] for alert in table.get("alerts", [])]}
    for field, items in lists.items():
        for item in items:
            if item > count:
                yield f"{field}: item {item} is not one of the {count} items"


def _wrong_tolerance(table: Mapping[str, Any]) -> Iterator[str]:
    tolerated = table.get("missing_max", 0)
    subscales = table.get("subscales", {})
    for name, items in subscales.items():
        if tolerated >= len(items):
            yield f"missing_max: {tolerated} would let {name} be scored without an answer"
    if tolerated and not subscales:
        yield "missing_max: there are no subscales; the total has total_missing_max"
    entering = len(table.get("total", {}).get("items", range(table["items"])))
    if table.get("total_missing_max", 0) >= entering:
        yield f"total_missing_max: must be below the {entering} items, got {table['total_missing_max']}"


def _wrong_vectors(table: Mapping[str, Any]) -> Iterator[str]:
    for place, vector in enumerate(table.get("vectors", []), 1):
        if len(vector["answers"]) != table["items"]:
            yield f"vectors[{place}]: has {len(vector['answers'])} answers for {table['items']} items"


def _wrong_range(table: Mapping[str, Any]) -> Iterator[str]:
    low, high, step = table["min"], table["max"], table.get("step", 1)
    if high <= low:
        yield f"max: must be above min {low}, got {high}"
        return
    if step > high - low or (step >= 1 and (high - low) % step):
        yield f"step: {step} does not lead from {low} to {high}"
    yield from _wrong_values(table, low, high)
    yield from _wrong_answers(table, low, high)
    yield from _wrong_limits(table)


def _wrong_values(table: Mapping[str, Any], low: float, high: float) -> Iterator[str]:
    for value in table.get("anchors", {}):
        if not low <= float(value) <= high:
            yield f"anchors: {value} is outside {low} to {high}"
    for place, alert in enumerate(table.get("alerts", []), 1):
        if not low <= alert["value"] <= high:
            yield f"alerts[{place}]: {alert['value']} is outside {low} to {high}"


def _wrong_answers(table: Mapping[str, Any], low: float, high: float) -> Iterator[str]:
    for place, vector in enumerate(table.get("vectors", []), 1):
        for answer in vector["answers"]:
            if problem := _wrong_answer(answer, low, high, table.get("step", 1)):
                yield f"vectors[{place}]: answer {answer} {problem}"


def _wrong_answer(answer: Any, low: float, high: float, step: float) -> str:
    if answer == "":
        return ""
    if not low <= answer <= high:
        return f"is outside {low} to {high}"
    between = step >= 1 and (answer - low) % step
    return f"is no multiple of {step} from {low}" if between else ""


def _wrong_limits(table: Mapping[str, Any]) -> Iterator[str]:
    rows = [(f"cutoffs[{place}]", row) for place, row in enumerate(table.get("cutoffs", []), 1)]
    norms = table.get("norms", {})
    rows += [
        (f"norms.{name}", {"score": name, "value": row["mean"]})
        for name, row in norms.items()
        if "mean" in row
    ]
    for field, row in rows:
        low, high = _span(table, row["score"])
        if not low <= row["value"] <= high:
            yield f"{field}: {row['value']} is outside {low:g} to {high:g}, the range of {row['score']}"
    for place, row in enumerate(table.get("reliable_change", []), 1):
        low, high = _span(table, row["score"])
        if row["value"] > high - low:
            yield f"reliable_change[{place}]: {row['value']} is more than the range of {row['score']} is wide"


def _span(table: Mapping[str, Any], score: str) -> tuple[float, float]:
    """Return the lowest and highest value of `score`; no bound where the table does not tell."""
    total, subscales = table.get("total", {}), table.get("subscales", {})
    if not {"items", "method"} <= table.keys() or score not in {*subscales, "total"}:
        return -math.inf, math.inf
    if score != "total":
        return _stretch([(table["min"], table["max"])] * len(subscales[score]), table["method"])
    parts = [(table["min"], table["max"])] * len(total.get("items", range(table["items"])))
    if total.get("of") == "subscales":
        parts = [_span(table, name) for name in subscales if name != "total"]
    return _stretch(parts, total.get("method", table["method"]))


def _stretch(parts: list[tuple[float, float]], method: str) -> tuple[float, float]:
    share = 1 if method == "sum" else max(len(parts), 1)
    return sum(low for low, _ in parts) / share, sum(high for _, high in parts) / share
