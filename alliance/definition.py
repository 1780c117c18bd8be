"""A definition of one's own: drafting it, writing it as TOML, and proving that its vectors pin it down."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alliance.errors import ScaleError, UsageError
from alliance.scale import Scale, parse_definition, read_definition
from alliance.scoring import score_answers

TOLERANCE = 1e-9
_NUMBERS = re.compile(r'= \[\n((?: +(?:-?[0-9][0-9.e+-]*|""),\n)+)\]')
Finding = dict[str, str]


def draft_definition(
    *,
    id: str,
    name: str,
    items: int,
    min: float,
    max: float,
    method: str,
    reverse: Sequence[int] = (),
    subscales: Mapping[str, Sequence[int]] | None = None,
    example: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Return a definition as a table, with vectors: all at the minimum, all at the maximum, the example.

    Parameters
    ----------
    id, name, items, min, max, method, reverse, subscales
        The fields of the definition; `method` is "sum" or "mean", items are numbered from 1.
    example : mapping, optional
        A form scored by hand: `answers` in item order ("" = unanswered) and the `scores` they must give.
    **fields
        Any other field of the definition; unless given, the form is a provisional client form of the
        alliance, higher is better, with no licence stated.

    Raises
    ------
    ScaleError
        If the definition breaks the schema, every breach at once; or if it gives another score than the
        example says, with both numbers.

    Examples
    --------
    >>> table = draft_definition(id="mini", name="Mini", items=3, min=1, max=5, method="mean", reverse=[3])
    >>> [vector["scores"]["total"] for vector in table["vectors"]]
    [2.3333333333333335, 3.6666666666666665]
    """
    table = {"id": id, "name": name, **_DEFAULTS, **fields}
    table |= {"items": items, "min": min, "max": max, "method": method}
    table |= {"reverse": sorted(reverse)} if reverse else {}
    table |= (
        {"subscales": {part: sorted(numbers) for part, numbers in subscales.items()}} if subscales else {}
    )
    table["vectors"] = []
    parse_definition(table, origin=f"{id}.toml")
    table["vectors"] = [_level_vector(table, "min"), _level_vector(table, "max")]
    table["vectors"] += (
        [{"answers": list(example["answers"]), "scores": dict(example["scores"])}] if example else []
    )
    _refuse_disagreement(parse_definition(table, origin=f"{id}.toml"))
    return table


def definition_text(table: Mapping[str, Any]) -> str:
    """Return the definition `table` as TOML, ready to be saved as `<id>.toml`."""
    import tomli_w

    head = "# Fields: docs/scales.md. Check after every change: alliance scales check FILE\n"
    return head + _NUMBERS.sub(_on_one_line, tomli_w.dumps(dict(table)))


def read_example(text: str) -> dict[str, Any]:
    """Return the hand-scored form that `text` describes: answers, an equals sign, scores by name.

    Raises
    ------
    UsageError
        If the text is not of that shape.

    Examples
    --------
    >>> read_example("1, 2, , 4 = total: 2.5")
    {'answers': [1, 2, '', 4], 'scores': {'total': 2.5}}
    """
    answers, _, scores = text.partition("=")
    try:
        pairs = [pair.split(":") for pair in scores.split(",")]
        return {
            "answers": [_number_or_blank(cell) for cell in answers.split(",")],
            "scores": {name.strip(): _number_or_blank(value) for name, value in pairs},
        }
    except ValueError:
        message = f"'{text}' is no scored example"
        raise UsageError(message, hint="write the answers, then the scores: 1,2,3=total:6") from None


def explain(path: Path) -> list[Finding]:
    """Return everything there is to say about the definition in `path`, one finding after the other.

    Returns
    -------
    list of dict
        `check` (schema, name, vectors, proof), `result` (ok, note, wrong, unproven) and `detail`. Wrong is a
        breach of the schema, each one listed, or a vector that disagrees with the key. Unproven is a part of
        the key that could be otherwise without any vector noticing.

    Raises
    ------
    ScaleError
        If there is no such file, or it is no TOML.
    """
    try:
        scale = read_definition(path)
    except ScaleError as error:
        places = error.troubles[0].where
        if not places:
            raise
        return [_finding("schema", "wrong", place) for place in places]
    found = [_finding("schema", "ok", "every field is known and well-formed")]
    if path.stem != scale.id:
        found.append(
            _finding("name", "note", f"to be found by its id, the file must be called {scale.id}.toml")
        )
    wrong = disagreements(scale)
    if wrong:
        return [*found, *(_finding("vectors", "wrong", each) for each in wrong)]
    found.append(_finding("vectors", "ok", f"{len(scale.vectors)} hand-scored forms agree with the key"))
    open_ends = unproven(scale)
    proof = [_finding("proof", "unproven", each) for each in open_ends]
    return found + (
        proof
        or [
            _finding("proof", "ok", "range, method, every reversal and every membership are told by a vector")
        ]
    )


def disagreements(scale: Scale) -> list[str]:
    """Return one sentence for every score that the key gives and a vector of `scale` says otherwise."""
    if not scale.vectors:
        return []
    answers = np.array([vector.answers for vector in scale.vectors], dtype=float).T
    scores = score_answers(answers, np.isnan(answers), scale).scores
    return [
        f"vectors[{place + 1}]: the key gives {name} {_shown(scores[name][place])}, the vector {_shown(said)}"
        for place, vector in enumerate(scale.vectors)
        for name, said in vector.scores.items()
        if not _same(scores[name][place], said)
    ]


def unproven(scale: Scale) -> list[str]:
    """Return what could be different in the key of `scale` without any of its vectors noticing."""
    return [
        *_open_range(scale),
        *_open_method(scale),
        *_open_missing(scale),
        *_open_reversals(scale),
        *_open_members(scale),
    ]


def _open_range(scale: Scale) -> Iterator[str]:
    for word, value in (("minimum", scale.min), ("maximum", scale.max)):
        if not any(set(vector.answers) == {value} for vector in scale.vectors):
            yield f"no vector has every answer at the {word}, {value:g}: the range could be another"


def _open_method(scale: Scale) -> Iterator[str]:
    other = {"sum": "mean", "mean": "sum"}
    if scale.subscales and not disagreements(replace(scale, method=other[scale.method])):
        yield f"subscales could be a {other[scale.method]} instead of a {scale.method}"
    total = replace(scale.total, method=other[scale.total.method])
    if not disagreements(replace(scale, total=total)):
        yield f"the total could be a {total.method} instead of a {scale.total.method}"


def _open_missing(scale: Scale) -> Iterator[str]:
    if not any(None in vector.answers for vector in scale.vectors):
        yield "no vector has an unanswered item: more or fewer could be tolerated"


def _open_reversals(scale: Scale) -> Iterator[str]:
    for item in _entering(scale):
        turned = set(scale.reverse) ^ {item}
        if not disagreements(replace(scale, reverse=tuple(sorted(turned)))):
            yield f"item {item} {'need not' if item in scale.reverse else 'could'} be reversed"


def _open_members(scale: Scale) -> Iterator[str]:
    for home, items in scale.subscales.items():
        for item in items:
            others = [
                name for name in scale.subscales if name != home and _could_move(scale, item, home, name)
            ]
            if others:
                yield f"item {item} of {home} could belong to {' or '.join(others)}"


def _could_move(scale: Scale, item: int, home: str, other: str) -> bool:
    left = tuple(number for number in scale.subscales[home] if number != item)
    if not left or item in scale.subscales[other]:
        return False
    moved = {**scale.subscales, home: left, other: (*scale.subscales[other], item)}
    return not disagreements(replace(scale, subscales=moved))


def _entering(scale: Scale) -> Collection[int]:
    """Return the items that enter any score."""
    members = {item for items in scale.subscales.values() for item in items}
    return sorted(members | set(scale.total.items if scale.total.of == "items" else ()))


def _refuse_disagreement(scale: Scale) -> None:
    wrong = disagreements(scale)
    if wrong:
        message = f"the example scored by hand disagrees with '{scale.id}'"
        raise ScaleError(message, where=wrong, hint="check the reversed items, the subscales and the method")


def _level_vector(table: Mapping[str, Any], end: str) -> dict[str, Any]:
    """Return the form that answers every item with `end`: by its closed form, not by the scoring code."""
    groups = {**table.get("subscales", {}), "total": range(1, table["items"] + 1)}
    scores = {name: _level_score(table, end, list(items)) for name, items in groups.items()}
    if table.get("total", {}):
        del scores["total"]
    return {"answers": [table[end]] * table["items"], "scores": scores}


def _level_score(table: Mapping[str, Any], end: str, items: list[int]) -> float:
    n_reversed = len(set(items) & set(table.get("reverse", ())))
    far = table["max"] if end == "min" else table["min"]
    value = (len(items) - n_reversed) * table[end] + n_reversed * far
    return float(value if table["method"] == "sum" else value / len(items))


def _on_one_line(array: re.Match[str]) -> str:
    return f"= [{', '.join(line.strip(' ,') for line in array[1].splitlines())}]"


def _number_or_blank(text: str) -> float | str:
    if not text.strip():
        return ""
    value = float(text)
    return int(value) if value.is_integer() else value


def _same(value: float, said: float | None) -> bool:
    return math.isnan(value) if said is None else abs(value - said) <= TOLERANCE


def _shown(value: float | None) -> str:
    return "not scored" if value is None or math.isnan(value) else f"{value:.10g}"


def _finding(check: str, result: str, detail: str) -> Finding:
    return {"check": check, "result": result, "detail": detail}


_DEFAULTS = {
    "perspective": "client",
    "construct": "alliance",
    "direction": "higher_is_better",
    "citation": "own definition",
    "licence": "not stated",
    "status": "provisional",
    "sources": ["own definition"],
}
