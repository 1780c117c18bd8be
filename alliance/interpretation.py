"""Scores → what may be said of them: alerts, bands, cut-offs, patterns and reliable change.

Each reading has its source. Nothing is said that nobody published: a number tagged memory, or one of an
unconfirmed score, speaks only when asked for; what is computed here is called derived, and says from what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, sqrt
from typing import TypeVar

from alliance.claims import (
    DERIVED,
    LEVELS,
    MEMORY,
    Alert,
    Band,
    Bands,
    Claim,
    Criterion,
    Cutoff,
    Need,
    Norm,
    ReliableChange,
    ScoreClaim,
)
from alliance.courses import TOLERANCE
from alliance.scale import TOTAL, Scale

WORDS = {"<": "below", "<=": "at or below", ">": "above", ">=": "at or above"}
NO_CUTOFF = "no cut-off exists in this definition, and none is made up"
Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""

Answers = Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One thing that may be said of a form: `kind` is alert, band, cut-off, pattern or change."""

    kind: str
    score: str
    text: str
    status: str
    source: str


C = TypeVar("C", bound=Claim)


def spoken(claims: Sequence[C], scale: Scale, *, unverified: bool = False) -> list[C]:
    """Return the claims that may be printed; unless asked, none from memory, none of an unconfirmed score."""
    return [claim for claim in claims if unverified or not _silent(claim, scale)]


def _silent(claim: Claim, scale: Scale) -> bool:
    off = isinstance(claim, ScoreClaim) and claim.score in scale.unconfirmed
    return claim.status == MEMORY or off


def interpret(
    scores: Mapping[str, float], scale: Scale, *, answers: Answers = (), unverified: bool = False
) -> list[Reading]:
    """Return what may be said of one form, alerts first.

    Parameters
    ----------
    scores : name → value, in the metric of the definition; NaN = not scored, and nothing is said of it
    scale : Scale
        The definition; only what it publishes is used.
    answers : sequence of float or None, in item order
        The form as answered, None = not answered; without it alerts and patterns are not read.
    unverified : bool
        Use claims that no source was seen for, too; each says so.

    Examples
    --------
    >>> from alliance.scale import load_scale
    >>> [reading.text for reading in interpret({"total": 7.0}, load_scale("gad-7"))][0]
    '7 is not at or above 10, probable generalized anxiety disorder; 10 itself counts'
    """
    found = list(_alerts(answers, scale)) if answers else []
    for cutoff in spoken(scale.cutoffs, scale, unverified=unverified):
        found += _of_score(scores, cutoff)
    for bands in spoken(scale.bands, scale, unverified=unverified):
        found += _of_score(scores, bands)
    if answers:
        found += [_pattern(answers, row) for row in spoken(scale.criteria, scale, unverified=unverified)]
    return found


def reliable_changes(
    scale: Scale, *, norm: Norm | None = None, unverified: bool = False
) -> list[ReliableChange]:
    """Return the reliable-change values of every score: the published ones, then those derived from a norm.

    A derived value is 1.96 * sqrt(2) * sd * sqrt(1 - reliability), after Jacobson & Truax (1991); its source
    names the spread and the reliability it was computed from. A given `norm` of the total replaces the
    definition's.
    """
    published = spoken(scale.reliable_change, scale, unverified=unverified)
    known = {**scale.norms, **({TOTAL: norm} if norm is not None else {})}
    derived = [
        derived_change(name, each)
        for name, each in known.items()
        if each.sem is not None and (unverified or (each.status != MEMORY and name not in scale.unconfirmed))
    ]
    return [*published, *derived]


def derived_change(score: str, norm: Norm) -> ReliableChange:
    """Return the 95 % reliable-change value that a norm with spread and reliability gives."""
    if norm.sem is None:
        message = "norm must have sd and reliability"
        raise ValueError(message)
    basis = f"computed from SD {norm.sd:g} and reliability {norm.reliability:g}"
    about = f" of {norm.sample}" if norm.sample else ""
    return ReliableChange(
        score=score,
        value=Z_95 * sqrt(2) * norm.sem,
        level="95%",
        status=DERIVED,
        source=f"{basis}{about} ({norm.source})",
    )


def interpret_change(
    before: Mapping[str, float],
    after: Mapping[str, float],
    scale: Scale,
    *,
    norm: Norm | None = None,
    unverified: bool = False,
) -> list[Reading]:
    """Return what may be said of the change between two forms of one case, by every reliable-change value.

    Scores that are not there on both forms are left out. Whether a rise is an improvement is read from the
    direction of the score. Neither form may be prorated: a reliable change of such a score is not published.
    """
    found: list[Reading] = []
    for row in reliable_changes(scale, norm=norm, unverified=unverified):
        change = after.get(row.score, float("nan")) - before.get(row.score, float("nan"))
        if not isnan(change):
            text = _change_text(change, row, scale)
            found.append(_reading("change", row.score, text, row.status, row.source))
    return found


def _of_score(scores: Mapping[str, float], claim: Cutoff | Bands) -> list[Reading]:
    value = scores.get(claim.score, float("nan"))
    if isnan(value):
        return []
    if isinstance(claim, Cutoff):
        return [_reading("cut-off", claim.score, _cutoff_text(value, claim), claim.status, claim.source)]
    return [_reading("band", claim.score, _band_text(value, claim), claim.status, claim.source)]


def _reading(kind: str, score: str, text: str, status: str, source: str) -> Reading:
    mark = " (UNVERIFIED)" if status == MEMORY else " (derived, not published)" if status == DERIVED else ""
    return Reading(kind=kind, score=score, text=f"{text}{mark}", status=status, source=source)


def shown(value: float) -> str:
    """Return a score with at most three decimals.

    >>> shown(2.0), shown(10 / 3)
    ('2', '3.333')
    """
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _cutoff_text(value: float, cutoff: Cutoff) -> str:
    compared = value if cutoff.round is None else round(value, cutoff.round)
    rounded = f", rounded to {compared:g}," if abs(compared - value) > TOLERANCE else ""
    negated = "" if beyond(compared, cutoff) else "not "
    population = f" in {cutoff.population}" if cutoff.population else ""
    edge = f"{cutoff.value:g} itself {'counts' if cutoff.inclusive else 'does not count'}"
    side = f"{negated}{WORDS[cutoff.op]} {cutoff.value:g}"
    return f"{shown(value)}{rounded} is {side}, {cutoff.label}{population}; {edge}"


def beyond(value: float, cutoff: Cutoff) -> bool:
    """Return whether `value` is beyond the cut-off; on the cut-off (within 1e-9) its edge rule decides."""
    if abs(value - cutoff.value) <= TOLERANCE:
        return cutoff.inclusive
    return value < cutoff.value if cutoff.op in {"<", "<="} else value > cutoff.value


def _band_text(value: float, bands: Bands) -> str:
    names = ", ".join(filter(None, (bands.name, bands.population)))
    about = f" ({names})" if names else ""
    step = band_of(value, bands)
    if step is not None:
        return f"{shown(value)} is {step.label}, {_edges(step, bands)}{about}"
    around = " and ".join(f"{each.label}, {_edges(each, bands)}" for each in _around(value, bands))
    return f"{shown(value)} lies between the published bands {around}{about}"


def band_of(value: float, bands: Bands) -> Band | None:
    """Return the step that `value` lies in, both edges inside; None in a gap that the bands leave."""
    for number, step in enumerate(bands.steps):
        later = bands.steps[number + 1].low if number + 1 < len(bands.steps) else float("inf")
        below = value < later - TOLERANCE if step.high is None else value <= step.high + TOLERANCE
        if value >= step.low - TOLERANCE and below:
            return step
    return None


def _around(value: float, bands: Bands) -> list[Band]:
    lower = [step for step in bands.steps if step.low <= value]
    return [*lower[-1:], *bands.steps[len(lower) : len(lower) + 1]]


def _edges(step: Band, bands: Bands) -> str:
    if step.high is not None:
        return f"{step.low:g} to {step.high:g}"
    later = [each.low for each in bands.steps if each.low > step.low]
    return f"{step.low:g} to below {min(later):g}" if later else f"{step.low:g} or more"


def _alerts(answers: Answers, scale: Scale) -> Iterator[Reading]:
    ranked = sorted(scale.alerts, key=lambda alert: LEVELS.index(alert.level))
    for alert in ranked:
        for item in alert.items:
            text = _alert_text(answers[item - 1], item, alert)
            if text:
                yield Reading(kind="alert", score="", text=text, status="published", source=alert.source)


def _alert_text(answer: float | None, item: int, alert: Alert) -> str:
    if answer is None:
        return f"item {item} NOT ANSWERED: {alert.reason}" if alert.unanswered else ""
    return f"item {item} answered {answer:g} ({alert.level}): {alert.reason}" if answer >= alert.value else ""


def _pattern(answers: Answers, criterion: Criterion) -> Reading:
    met = criterion_met(answers, criterion)
    words = {True: "met", False: "not met", None: "not enough data: items not answered"}
    return _reading("pattern", "", f"{criterion.label}: {words[met]}", criterion.status, criterion.source)


def criterion_met(answers: Answers, criterion: Criterion) -> bool | None:
    """Return whether the pattern of answers meets the rule; None where unanswered items leave it open."""
    verdicts = [_need_met(answers, need) for need in criterion.needs]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _need_met(answers: Answers, need: Need) -> bool | None:
    given = [(answers[item - 1], at) for item, at in zip(need.items, need.present_at, strict=True)]
    sure = sum(answer is not None and answer >= at for answer, at in given)
    most = sure + sum(answer is None for answer, _ in given)
    if sure > need.at_most or most < need.at_least:
        return False
    return True if sure >= need.at_least and most <= need.at_most else None


def _change_text(change: float, row: ReliableChange, scale: Scale) -> str:
    direction = scale.formulas[row.score].direction if row.score in scale.formulas else scale.direction
    if abs(change) < row.value - TOLERANCE:
        verdict = "no reliable change"
    elif direction == "neither":
        verdict = "a reliable change"
    else:
        better = (change > 0) == (direction == "higher_is_better")
        verdict = "reliable improvement" if better else "reliable deterioration"
    population = f", {row.population}" if row.population else ""
    return f"change of {change:+.3g}: {verdict} by {shown(row.value)} (level: {row.level}{population})"


def at_level(row: ReliableChange) -> str:
    """Return a reliable-change value in words: its size, its level and whom it was found in."""
    population = f", {row.population}" if row.population else ""
    return f"{row.score} {shown(row.value)} or more; level: {row.level}{population}"
