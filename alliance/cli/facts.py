"""What `alliance scales show` says of a form, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from alliance.claims import Claim
from alliance.interpretation import NO_CUTOFF, WORDS, at_level, reliable_changes, spoken

if TYPE_CHECKING:
    from alliance.claims import Bands, Criterion, Cutoff, Norm, Reference, Reliability
    from alliance.held import Held
    from alliance.scale import Formula, Scale

Fact = tuple[str, str]
C = TypeVar("C", bound=Claim)


def facts_of(
    scale: Scale,
    *,
    norm: Norm | None = None,
    texts: Mapping[int, str] | None = None,
    unverified: bool = False,
) -> Iterator[Fact]:
    """Yield field and text; `norm` adds a derived reliable change, `texts` the user's own item texts."""
    yield from _identity(scale)
    yield from _key(scale)
    yield from _authority(scale, norm=norm, unverified=unverified)
    yield from _alerts(scale)
    yield from (("told once", caution) for caution in scale.cautions)
    yield from (("note", note) for note in scale.notes)
    yield from (("source", source) for source in scale.sources)
    yield "hand-scored forms", str(len(scale.vectors))
    yield from ((f"item {item}", text) for item, text in (texts or {}).items())


def held_facts(held: Held, name: str) -> Iterator[Fact]:
    """Yield field and text of a form on hold: why it is, and how to use it all the same."""
    from alliance.held import own_definition

    yield "id", name
    yield "name", held.name
    yield "status", "ON HOLD: not bundled, no score is given"
    yield "filled in by", held.perspective
    yield "measures", held.construct
    yield "citation", held.citation
    yield "known", held.known
    yield "on hold because", held.why
    yield "would be released by", held.release
    yield "own definition", own_definition(held, name)
    yield from (("source", source) for source in held.sources)


def _identity(scale: Scale) -> Iterator[Fact]:
    yield "id", scale.id
    yield "name", scale.name
    provisional = "PROVISIONAL: the key is not fully confirmed; every score says so"
    yield "status", provisional if scale.status == "provisional" else scale.status
    yield "version", scale.version or "not stated"
    yield "filled in by", " or ".join(scale.raters)
    yield "measures", f"{scale.construct}, {_words(scale.direction)}"
    yield "citation", f"{scale.citation} doi:{scale.doi}" if scale.doi else scale.citation
    yield "licence", scale.licence
    yield from ((f"LOINC {kind}", code) for kind, code in scale.loinc.items())


def _key(scale: Scale) -> Iterator[Fact]:
    kind = f"in steps of {scale.step:g}" if scale.whole else "any point of the line"
    yield "items", str(scale.n_items)
    yield "answers", f"{scale.range_text}, {kind}"
    if scale.anchors:
        yield "anchors", ", ".join(f"{value:g} {text}" for value, text in scale.anchors.items())
    if scale.labels:
        yield "item labels", ", ".join(f"{item} {text}" for item, text in scale.labels.items())
    yield from _odd_items(scale)
    turned = f"{_listed(scale.reverse)}, counted as {scale.min + scale.max:g} minus the answer"
    yield "reversed items", f"{turned}{_scope(scale)}" if scale.reverse else "none"
    for name, formula in scale.formulas.items():
        yield "total" if name == "total" else f"subscale {name}", _formed(scale, name, formula)
    if scale.total is None:
        yield "total", "none: its scores are not added"
    if scale.unconfirmed:
        names = ", ".join(scale.unconfirmed)
        yield "switched off", f"{names}: not confirmed; --include-unverified scores them"
    yield "unanswered items", _tolerance(scale)


def _odd_items(scale: Scale) -> Iterator[Fact]:
    if scale.descending:
        printed = f"{_listed(scale.descending)}, printed from {scale.max:g} down to {scale.min:g}"
        yield "keyed as printed", f"{printed}: enter the printed number, nothing is turned"
    if scale.not_applicable:
        yield "may not apply", f"{_listed(scale.not_applicable)}: an answer of not applicable is unanswered"
    if scale.unscored:
        yield "in no score", _listed(scale.unscored)


def _scope(scale: Scale) -> str:
    kept = any(not formula.keyed for formula in scale.formulas.values())
    return " in the total; subscales are given as answered" if kept else ""


def _formed(scale: Scale, name: str, formula: Formula) -> str:
    factor = f", times {formula.factor:g}" if formula.factor != 1 else ""
    sign = "plus" if formula.offset > 0 else "minus"
    offset = f", {sign} {abs(formula.offset):g}" if formula.offset else ""
    low, high = scale.bounds(name)
    other = f", {_words(formula.direction)}" if formula.direction != scale.direction else ""
    return f"{formula.method} of {_entering(scale, formula)}{factor}{offset}, {low:g} to {high:g}{other}"


def _entering(scale: Scale, formula: Formula) -> str:
    if formula.of:
        return f"the subscales {', '.join(formula.of)}"
    whole = len(formula.items) == scale.n_items
    return f"all {scale.n_items} items" if whole else f"items {_listed(formula.items)}"


def _tolerance(scale: Scale) -> str:
    if scale.missing_rule:
        return f"{scale.missing_rule}; a score from fewer answers is marked prorated"
    tolerant = {name: each.missing_max for name, each in scale.formulas.items() if each.missing_max}
    if not tolerant:
        return "none tolerated: a score needs every one of its items"
    parts = ", ".join(f"{count} in {name}" for name, count in tolerant.items())
    return f"up to {parts}; the others are scaled up, and marked prorated"


def _authority(scale: Scale, *, norm: Norm | None, unverified: bool) -> Iterator[Fact]:
    """Yield the numbers that claim authority, each with its source; unverified ones only when asked for."""
    changes = reliable_changes(scale, norm=norm, unverified=unverified)
    cutoffs = spoken(scale.cutoffs, scale, unverified=unverified)
    if not cutoffs:
        yield "cut-off", NO_CUTOFF
    yield from _sourced("cut-off", cutoffs, _cutoff)
    yield from _sourced("bands", spoken(scale.bands, scale, unverified=unverified), _bands)
    yield from _sourced("pattern", spoken(scale.criteria, scale, unverified=unverified), _pattern)
    yield from _sourced("reliable change", changes, at_level)
    yield from _sourced("reference", spoken(scale.references, scale, unverified=unverified), _reference)
    reliabilities = spoken(scale.reliabilities, scale, unverified=unverified)
    yield from _sourced("reliability", reliabilities, _reliability)
    yield from _norms(scale, unverified=unverified)
    n_hidden = _n_hidden(scale)
    if n_hidden and not unverified:
        them = "it" if n_hidden == 1 else "them"
        yield "not shown", f"{n_hidden} unverified; --include-unverified prints {them}"


def _sourced(field: str, rows: Sequence[C], text: Callable[[C], str]) -> Iterator[Fact]:
    for row in rows:
        yield field, f"{text(row)} ({_status_word(row.status)}; {row.source})"


def _n_hidden(scale: Scale) -> int:
    claims: list[Claim] = [*scale.cutoffs, *scale.bands, *scale.criteria, *scale.reliable_change]
    claims += [*scale.references, *scale.reliabilities]
    hidden = len(claims) - len(spoken(claims, scale))
    return hidden + sum(norm.status == "memory" for norm in scale.norms.values())


def _cutoff(row: Cutoff) -> str:
    edge = f"{row.value:g} itself {'counts' if row.inclusive else 'does not count'}"
    population = f", {row.population}" if row.population else ""
    rounded = f", after rounding to {row.round} decimals" if row.round is not None else ""
    return f"{row.score} {WORDS[row.op]} {row.value:g}{population}: {row.label}; {edge}{rounded}"


def _bands(row: Bands) -> str:
    steps = [
        f"{step.low:g} to {step.high:g} {step.label}"
        if step.high is not None
        else f"from {step.low:g} {step.label}"
        for step in row.steps
    ]
    named = ", ".join(filter(None, (row.name, row.population)))
    edges = "both edges count" if all(step.high is not None for step in row.steps) else "lower edges count"
    return f"{row.score}{f', {named}' if named else ''}: {', '.join(steps)}; {edges}"


def _pattern(row: Criterion) -> str:
    return row.label


def _reference(row: Reference) -> str:
    metric = "" if row.metric == "score" else f" ({row.metric})"
    numbers = {"mean": row.mean, "SD": row.sd, "n": row.n}
    told = ", ".join(f"{name} {value:g}" for name, value in numbers.items() if value is not None)
    when = "".join(
        f", {name} {value}" for name, value in (("session", row.session), ("week", row.week)) if value
    )
    return f"{row.score}{metric} {told}: {row.sample}{when}; a study's values, no norm"


def _reliability(row: Reliability) -> str:
    value = f"{row.value:g}" if row.high is None else f"{row.value:g} to {row.high:g}"
    return f"{row.score}, {row.statistic} {value}{f': {row.sample}' if row.sample else ''}"


def _norms(scale: Scale, *, unverified: bool) -> Iterator[Fact]:
    for score, norm in scale.norms.items():
        if norm.status == "memory" and not unverified:
            continue
        known = {"mean": norm.mean, "sd": norm.sd, "reliability": norm.reliability, "n": norm.n}
        numbers = ", ".join(f"{name} {value:g}" for name, value in known.items() if value is not None)
        sample = f"; {norm.sample}" if norm.sample else ""
        yield "norm", f"{score} {numbers}{sample} ({_status_word(norm.status)}; {norm.source})"


def _alerts(scale: Scale) -> Iterator[Fact]:
    for alert in scale.alerts:
        items = f"item{'s' if len(alert.items) > 1 else ''} {_listed(alert.items)}"
        unanswered = ", or not answered" if alert.unanswered else ""
        yield f"alert on {items}", f"at {alert.value:g} or more{unanswered}: {alert.reason} ({alert.level})"


def _status_word(status: str) -> str:
    return {"memory": "UNVERIFIED", "derived": "derived, not published"}.get(status, status)


def _words(name: str) -> str:
    return {"neither": "neither way is better"}.get(name, name.replace("_", " "))


def _listed(items: tuple[int, ...]) -> str:
    return " ".join(map(str, items))
