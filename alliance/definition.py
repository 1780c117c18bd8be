"""A definition of one's own: drafting it, writing it as TOML, and proving that its vectors pin it down."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alliance.errors import ScaleError, UsageError
from alliance.scale import Scale, parse_definition, plain, read_definition
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
    examples: Sequence[Mapping[str, Any]] = (),
    **fields: Any,
) -> dict[str, Any]:
    """Return a definition as a table, with vectors: all at the minimum, all at the maximum, the examples.

    Parameters
    ----------
    id, name, items, min, max, method, reverse, subscales
        The fields of the definition; `method` is "sum" or "mean", items are numbered from 1.
    examples : sequence of mappings
        Forms scored by hand: `answers` in item order ("" = unanswered) and the `scores` they must give.
    **fields
        Any other field of the definition; unless given, the form is a provisional client form of the
        alliance, higher is better, with no licence stated.

    Raises
    ------
    ScaleError
        If the definition breaks the schema, every breach at once; or if it gives another score than an
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
    table["vectors"] += [
        {"answers": list(example["answers"]), "scores": dict(example["scores"])} for example in examples
    ]
    _refuse_disagreement(parse_definition(table, origin=f"{id}.toml"))
    return table


def telling_forms(*, items: int, min: float, max: float, step: float = 1) -> list[list[float]]:
    """Return forms to be scored by hand that tell every two items apart: no two answer alike in all of them.

    >>> telling_forms(items=5, min=1, max=3)
    [[1, 2, 3, 1, 2], [1, 1, 1, 2, 2]]
    """
    points = math.floor((max - min) / step + TOLERANCE) + 1
    width, forms = 1, []
    while width < items:
        levels = [item // width % points for item in range(items)]
        forms.append([plain(round(min + step * level, 9)) for level in levels])
        width *= points
    return forms


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
    return found + (_proof(scale) or [_finding("proof", "ok", _PROVEN)])


def _proof(scale: Scale) -> list[Finding]:
    """Return what no vector tells, and the forms to score by hand that would."""
    proof = [_finding("proof", "unproven", each) for each in unproven(scale)]
    if not any(word in each["detail"] for each in proof for word in ("reversed", "belong")):
        return proof
    forms = telling_forms(items=scale.n_items, min=scale.min, max=scale.max, step=scale.step)
    told = [f"score by hand, and add to the vectors: answers = {form}" for form in forms]
    return [*proof, *(_finding("proof", "to do", each) for each in told)]


def disagreements(scale: Scale) -> list[str]:
    """Return one sentence for every score that the key gives and a vector of `scale` says otherwise."""
    if not scale.vectors:
        return []
    answers = np.array([vector.answers for vector in scale.vectors], dtype=float).T
    scores = score_answers(answers, np.isnan(answers), scale.with_unconfirmed()).scores
    return [
        f"vectors[{place + 1}]: the key gives {name} {_shown(scores[name][place])}, the vector {_shown(said)}"
        for place, vector in enumerate(scale.vectors)
        for name, said in vector.scores.items()
        if not _same(scores[name][place], said)
    ]


def unproven(scale: Scale) -> list[str]:
    """Return what could be different in the key of `scale` without any of its vectors noticing."""
    whole = scale.with_unconfirmed()
    return [
        *_open_range(whole),
        *_open_method(whole),
        *_open_missing(whole),
        *_open_reversals(whole),
        *_open_members(whole),
    ]


def _with_formula(scale: Scale, name: str, **changes: Any) -> Scale:
    return replace(scale, formulas={**scale.formulas, name: replace(scale.formulas[name], **changes)})


def _open_range(scale: Scale) -> Iterator[str]:
    for word, side in (("minimum", 0), ("maximum", 1)):
        level = tuple(bounds[side] for bounds in scale.item_bounds)
        if not any(vector.answers == level for vector in scale.vectors):
            value = f", {level[0]:g}" if len(set(level)) == 1 else ""
            yield f"no vector has every answer at the {word}{value}: the range could be another"


def _open_method(scale: Scale) -> Iterator[str]:
    for name, formula in scale.formulas.items():
        if len(formula.of or formula.items) == 1:
            continue
        other = {"sum": "mean", "mean": "sum"}[formula.method]
        if not disagreements(_with_formula(scale, name, method=other)):
            yield f"{_named(name)} could be a {other} instead of a {formula.method}"


def _named(score: str) -> str:
    return "the total" if score == "total" else score


def _open_missing(scale: Scale) -> Iterator[str]:
    if not any(None in vector.answers for vector in scale.vectors):
        yield "no vector has an unanswered item: more or fewer could be tolerated"


def _open_reversals(scale: Scale) -> Iterator[str]:
    for item in sorted({item for formula in scale.formulas.values() for item in formula.items}):
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
    formed = scale.formulas[home].of or scale.formulas[other].of
    if not left or formed or item in scale.subscales[other]:
        return False
    moved = _with_formula(scale, home, items=left)
    return not disagreements(_with_formula(moved, other, items=(*scale.subscales[other], item)))


def _refuse_disagreement(scale: Scale) -> None:
    wrong = disagreements(scale)
    if wrong:
        message = f"the example scored by hand disagrees with '{scale.id}'"
        raise ScaleError(message, where=wrong, hint="check the reversed items, the subscales and the method")


def _level_vector(table: Mapping[str, Any], end: str) -> dict[str, Any]:
    """Return the form that answers every item with `end`: by its closed form, not by the scoring code."""
    subscales = table.get("subscales", {})
    scores = {name: _level_score(table, end, items) for name, items in subscales.items()}
    if not table.get("total"):
        scored = [item for item in range(1, table["items"] + 1) if item not in table.get("unscored", ())]
        scores["total"] = _level_score(table, end, scored)
    return {"answers": [table[end]] * table["items"], "scores": scores}


def _level_score(table: Mapping[str, Any], end: str, items: Sequence[int]) -> float:
    n_reversed = len(set(items) & set(table.get("reverse", ())))
    far = table["max"] if end == "min" else table["min"]
    value = (len(items) - n_reversed) * table[end] + n_reversed * far
    share = 1 if table["method"] == "sum" else len(items)
    return float(value * table.get("factor", 1) / share)


def _on_one_line(array: re.Match[str]) -> str:
    return f"= [{', '.join(line.strip(' ,') for line in array[1].splitlines())}]"


def _number_or_blank(text: str) -> float | str:
    if not text.strip():
        return ""
    return plain(float(text))


def _same(value: float, said: float | None) -> bool:
    return math.isnan(value) if said is None else abs(value - said) <= TOLERANCE


def _shown(value: float | None) -> str:
    return "not scored" if value is None or math.isnan(value) else f"{value:.10g}"


def _finding(check: str, result: str, detail: str) -> Finding:
    return {"check": check, "result": result, "detail": detail}


_PROVEN = "range, method, every reversal and every membership are told by a vector"
_DEFAULTS = {
    "perspective": "client",
    "construct": "alliance",
    "direction": "higher_is_better",
    "citation": "own definition",
    "licence": "not stated",
    "status": "provisional",
    "sources": ["own definition"],
}
