"""What is well-formed field by field in a scale definition, and still cannot be true of one form."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

COLUMNS = ("total", "case", "session", "date", "therapist", "rater", "note", "line", "scale", "n_missing")

Table = Mapping[str, Any]


def contradictions(table: Table, *, broken: Collection[str]) -> Iterator[str]:
    """Yield one sentence for every contradiction in `table`, whose fields are each well-formed.

    What depends on a field that is itself `broken` is not looked at: it would be blamed for nothing.
    """
    named = not {"subscales", "total", "unconfirmed"} & set(broken)
    if named:
        yield from _wrong_scores(table)
        yield from _wrong_parts(table)
    if "items" in table:
        yield from _wrong_items(table)
        yield from _wrong_vectors(table)
    if named and "items" in table and "unscored" not in broken:
        yield from _wrong_tolerance(table)
        yield from _wrong_unscored(table)
    if {"min", "max"} <= table.keys() and not {"step", "item_ranges"} & set(broken):
        yield from _wrong_range(table)


def has_total(table: Table) -> bool:
    """Return whether the form has a total."""
    return bool(table.get("total", {}).get("method") != "none")


def own(entry: Any) -> Table:
    """Return a subscale as a table, however it is written."""
    return entry if isinstance(entry, Mapping) else {"items": entry}


def parts_of(table: Table, score: str) -> list[str]:
    """Return the names of the scores that `score` is formed of; empty if it is formed of items."""
    subscales = table.get("subscales", {})
    said = table.get("total", {}) if score == "total" else own(subscales[score])
    of = said.get("of", [])
    if of == "subscales":
        return [name for name in subscales if name != "total"]
    return [] if isinstance(of, str) else list(of)


def members(table: Table, score: str) -> list[int]:
    """Return the items that enter `score`, directly or through other scores."""
    parts = parts_of(table, score)
    if parts:
        known = [name for name in parts if name in table.get("subscales", {}) and name != score]
        return sorted({item for name in known for item in members(table, name)})
    if score != "total":
        return list(own(table["subscales"][score]).get("items", []))
    left = [item for item in range(1, table["items"] + 1) if item not in table.get("unscored", [])]
    return list(table.get("total", {}).get("items", left))


def _wrong_scores(table: Table) -> Iterator[str]:
    subscales = table.get("subscales", {})
    known = {*subscales, *(["total"] if has_total(table) else [])}
    for name in subscales:
        if name in COLUMNS or re.fullmatch(r"q[0-9]+", name):
            yield f"subscales.{name}: is the name of another column"
    for name in table.get("unconfirmed", []):
        if name not in subscales:
            yield f"unconfirmed: there is no subscale {name}; known: {', '.join(sorted(subscales))}"
    rows = ("references", "reliabilities", "cutoffs", "bands", "reliable_change")
    named = {"norms": list(table.get("norms", {}))}
    named |= {key: [row["score"] for row in table.get(key, [])] for key in rows}
    named |= {"vectors": [name for vector in table.get("vectors", []) for name in vector["scores"]]}
    for field, names in named.items():
        for name in dict.fromkeys(names):
            if name not in known:
                yield f"{field}: there is no score {name}; known: {', '.join(sorted(known))}"


def _wrong_parts(table: Table) -> Iterator[str]:
    """Yield where a score is formed of others that are not there, or that may not be looked at."""
    subscales, total = table.get("subscales", {}), table.get("total", {})
    if total.get("of") == "subscales" and not subscales:
        yield "total.of: there are no subscales to form the total of"
    if "items" in total and (total.get("of", "items") != "items"):
        yield "total.items: the total is formed of subscales, not of items"
    if not has_total(table) and (len(total) > 1 or "total_missing_max" in table):
        yield "total: a form without a total says nothing more about it"
    earlier: list[str] = []
    for name in [*(name for name in subscales if name != "total"), *(["total"] if has_total(table) else [])]:
        for part in parts_of(table, name):
            if part not in earlier:
                yield f"{name}: is formed of {part}, which is no subscale before it"
            elif part in table.get("unconfirmed", []) and name not in table["unconfirmed"]:
                yield f"{name}: is formed of {part}, which is unconfirmed"
        earlier.append(name)


def _wrong_items(table: Table) -> Iterator[str]:
    count = table["items"]
    subscales = {name: own(entry) for name, entry in table.get("subscales", {}).items()}
    lists = {f"subscales.{name}": entry.get("items", []) for name, entry in subscales.items()}
    lists |= {"total.items": table.get("total", {}).get("items", [])}
    lists |= {name: table.get(name, []) for name in ("reverse", "descending", "not_applicable", "unscored")}
    lists |= {name: [int(item) for item in table.get(name, {})] for name in ("labels", "item_ranges")}
    lists |= {"alerts": [item for alert in table.get("alerts", []) for item in alert["items"]]}
    needs = [need for row in table.get("criteria", []) for need in row["needs"]]
    lists |= {"criteria": [item for need in needs for item in need["items"]]}
    for field, items in lists.items():
        for item in dict.fromkeys(items):
            if item > count:
                yield f"{field}: item {item} is not one of the {count} items"


def _wrong_tolerance(table: Table) -> Iterator[str]:
    usual = table.get("missing_max", 0)
    subscales = table.get("subscales", {})
    for name, entry in subscales.items():
        tolerated = own(entry).get("missing_max", usual)
        if tolerated >= len(members(table, name)):
            yield f"missing_max: {tolerated} would let {name} be scored without an answer"
    if usual and not subscales:
        yield "missing_max: there are no subscales; the total has total_missing_max"
    if not has_total(table):
        return
    entering, tolerated = len(members(table, "total")), table.get("total_missing_max", 0)
    if tolerated and tolerated >= entering:
        yield f"total_missing_max: must be below the {entering} items, got {tolerated}"


def _wrong_unscored(table: Table) -> Iterator[str]:
    """Yield items that enter no score in silence, or that do although they are said not to."""
    scores = [*table.get("subscales", {}), *(["total"] if has_total(table) else [])]
    if not scores:
        yield "total: a form without subscales needs one"
    entering = {item for name in scores for item in members(table, name)}
    said = set(table.get("unscored", []))
    for item in sorted(said & entering):
        yield f"unscored: item {item} enters a score"
    for item in sorted(set(range(1, table["items"] + 1)) - said - entering) if scores else ():
        yield f"unscored: item {item} enters no score; list it there if that is meant"


def _wrong_vectors(table: Table) -> Iterator[str]:
    for place, vector in enumerate(table.get("vectors", []), 1):
        if len(vector["answers"]) != table["items"]:
            yield f"vectors[{place}]: has {len(vector['answers'])} answers for {table['items']} items"


def _wrong_range(table: Table) -> Iterator[str]:
    low, high, step = table["min"], table["max"], table.get("step", 1)
    if high <= low:
        yield f"max: must be above min {low}, got {high}"
        return
    if step > high - low or (step >= 1 and (high - low) % step):
        yield f"step: {step} does not lead from {low} to {high}"
    for value in table.get("anchors", {}):
        if not low <= float(value) <= high:
            yield f"anchors: {value} is outside {low} to {high}"
    yield from _wrong_presence(table)
    yield from _wrong_answers(table)
    yield from _wrong_limits(table)


def _item_range(table: Table, item: int) -> tuple[float, float]:
    low, high = table.get("item_ranges", {}).get(str(item), (table["min"], table["max"]))
    return low, high


def _wrong_presence(table: Table) -> Iterator[str]:
    """Yield values of alerts and criteria that none of their items can reach."""
    rows = [(f"alerts[{n}]", row["items"], row["value"]) for n, row in enumerate(table.get("alerts", []), 1)]
    for n, row in enumerate(table.get("criteria", []), 1):
        rows += [(f"criteria[{n}]", need["items"], row["present_at"]) for need in row["needs"]]
        rows += [(f"criteria[{n}]", [int(i)], v) for i, v in row.get("item_present_at", {}).items()]
    for field, items, value in rows:
        low, high = _item_range(table, items[0])
        if not low <= value <= high:
            yield f"{field}: {value} is outside {low} to {high}"


def _wrong_answers(table: Table) -> Iterator[str]:
    for place, vector in enumerate(table.get("vectors", []), 1):
        for item, answer in enumerate(vector["answers"], 1):
            if problem := _wrong_answer(answer, *_item_range(table, item), table.get("step", 1)):
                yield f"vectors[{place}]: answer {answer} {problem}"


def _wrong_answer(answer: Any, low: float, high: float, step: float) -> str:
    if answer == "":
        return ""
    if not low <= answer <= high:
        return f"is outside {low} to {high}"
    between = step >= 1 and (answer - low) % step
    return f"is no multiple of {step} from {low}" if between else ""


def _wrong_limits(table: Table) -> Iterator[str]:
    """Yield numbers with authority that their score cannot reach."""
    rows = [(f"cutoffs[{place}]", row) for place, row in enumerate(table.get("cutoffs", []), 1)]
    norms = table.get("norms", {})
    rows += [
        (f"norms.{name}", {"score": name, "value": row["mean"]})
        for name, row in norms.items()
        if "mean" in row
    ]
    rows += [(field, {"score": row["score"], "value": value}) for field, row, value in _means(table)]
    for field, row in rows:
        low, high = _span(table, row["score"])
        if not low <= row["value"] <= high:
            yield f"{field}: {row['value']} is outside {low:g} to {high:g}, the range of {row['score']}"
    for place, row in enumerate(table.get("reliable_change", []), 1):
        low, high = _span(table, row["score"])
        if row["value"] > high - low:
            yield f"reliable_change[{place}]: {row['value']} is more than the range of {row['score']} is wide"
    for place, row in enumerate(table.get("bands", []), 1):
        edges = [edge for step in row["steps"] for edge in step[:2] if edge != ""]
        if edges != sorted(edges):
            yield f"bands[{place}]: the steps overlap or do not rise"


def _means(table: Table) -> Iterator[tuple[str, Table, float]]:
    for place, row in enumerate(table.get("references", []), 1):
        if row.get("metric", "score") == "score":
            yield f"references[{place}]", row, row["mean"]
    for place, row in enumerate(table.get("bands", []), 1):
        for low, high, _ in row["steps"]:
            yield from ((f"bands[{place}]", row, edge) for edge in (low, high) if edge != "")


def _span(table: Table, score: str) -> tuple[float, float]:
    """Return the lowest and highest value of `score`; no bound where the table does not tell."""
    subscales = table.get("subscales", {})
    if not {"items", "method"} <= table.keys() or score not in {*subscales, "total"}:
        return -math.inf, math.inf
    said = table.get("total", {}) if score == "total" else own(subscales[score])
    names = [name for name in parts_of(table, score) if name in subscales and name != score]
    parts = [_span(table, name) for name in names]
    parts = parts or [(table["min"], table["max"])] * len(members(table, score))
    share = 1 if said.get("method", table["method"]) == "sum" else max(len(parts), 1)
    factor = said.get("factor", table.get("factor", 1)) / share
    low, high = (sum(part[side] for part in parts) * factor + said.get("offset", 0) for side in (0, 1))
    return low, high
