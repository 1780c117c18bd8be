"""State → Verdicts: level, points and triage order of each case; its reasons in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from string import Formatter
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dropout.instrument import Instrument
from alliance.dropout.rules import PROMPTS, RULES, Prompt, Rule
from alliance.dropout.state import State, numbers, observe
from alliance.dropout.visits import Visits

Array = np.ndarray[Any, Any]

LEVELS = ("REVIEW", "WATCH", "INSUFFICIENT_DATA", "NO_FLAG")
"""Levels in the order of the triage list; a level code is a place in this tuple."""

REVIEW, WATCH, INSUFFICIENT_DATA, NO_FLAG = range(len(LEVELS))
REVIEW_POINTS = 2

MIN_EVALUATIONS = 100
"""Verdicts from which on the share of REVIEW is told."""

REVIEW_BUDGET = 0.25
"""Share of REVIEW above which a list is warned of, by design."""

NO_ATTENDANCE = "attendance is not known: NO_SHOW_EARLY and NO_SHOW_RECENT are not evaluable for any case"
"""What a reader must know of a list made without appointments."""

CAVEAT = "NO_FLAG does not mean low risk. Most clients flagged do not drop out."
"""Stands under every list of levels."""


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Verdicts as arrays, one entry per case, or per appointment.

    Attributes
    ----------
    state : State; what was known
    case : int, shape (entries,); code of the case
    met : float, shape (rules, entries); 1, 0, NaN = not evaluable, in the order of `rules`
    prompted : bool, shape (prompts, entries), in the order of `prompts`
    points : int, shape (entries,)
    blind : bool, shape (entries,); no core rule was evaluable
    level : int8, shape (entries,); place in LEVELS
    percentile : float, shape (entries,); of the latest rating among all latest ones, 0 to 100; NaN = none
    order : int, shape (entries,); entries in triage order, or as they stand if there is one per appointment
    """

    rules: Mapping[str, Rule]
    prompts: Mapping[str, Prompt]
    state: State
    case: Array
    met: Array
    prompted: Array
    points: Array
    blind: Array
    level: Array
    percentile: Array
    order: Array


def risk_arrays(
    visits: Visits, instrument: Instrument, *, as_of: str = "last", today: date | None = None
) -> Verdicts:
    """Judge every case by DRF-1, as of its last appointment or of every one.

    Parameters
    ----------
    visits : Visits
        All cases end to end. Ratings in score points, higher = better, NaN = none.
    instrument : Instrument
        What the form publishes; a rule whose number is not there is not evaluable.
    as_of : {"last", "every"}
        One verdict per case, or one per appointment. A verdict never uses what came after its appointment.
    today : date, optional
        Day of the verdicts, for the prompt NO_NEXT_APPOINTMENT; only with "last".

    Returns
    -------
    Verdicts
        Entries in the order of the cases, or of the rows of `visits`. With "last", `percentile` places each
        latest rating among all cases' latest ratings (mid-rank), and `order` is the triage order: level,
        points descending, percentile ascending with missing last, fewer sessions first, then cases as they
        stand. With "every", there is no percentile, since it would look ahead.

    Examples
    --------
    >>> from alliance.dropout.visits import Ratings, visits_of
    >>> session, rating = np.array([1, 2, 3]), np.array([38.0, 37.0, 34.0])
    >>> forms = Ratings(case=np.zeros(3, int), session=session, rating=rating)
    >>> form = Instrument(id="srs", max=40, cutoff=36, sem=1.2)
    >>> verdicts = risk_arrays(visits_of(forms, n_cases=1), form)
    >>> LEVELS[verdicts.level[0]], verdicts.points[0].item()
    ('REVIEW', 4)
    """
    every = _require_as_of(as_of, today)
    state = observe(
        visits, instrument, every=every, today=None if today is None else np.datetime64(today, "D")
    )
    n = len(state.last)
    met = _stack([each.judge(state) for each in RULES.values()], n)
    points = np.nan_to_num(met).T @ np.array([each.points for each in RULES.values()], dtype=float)
    core = [place for place, each in enumerate(RULES.values()) if each.core]
    blind: Array = np.asarray(np.isnan(met[core]).all(axis=0))
    level = _levels(points, blind & ~(met == 1).any(axis=0))
    case = visits.case if every else np.arange(n)
    percentile = np.full(n, np.nan) if every else percentiles(state.last)
    return Verdicts(
        rules=dict(RULES),
        prompts=dict(PROMPTS),
        state=state,
        case=case,
        met=met,
        prompted=_stack([each.judge(state) for each in PROMPTS.values()], n) == 1,
        points=points.astype(np.int64),
        blind=blind,
        level=level,
        percentile=percentile,
        order=np.arange(n) if every else triage_order(level, points, percentile, state.session),
    )


def percentiles(values: Array) -> Array:
    """Return the mid-rank percentile of each value among all that are not NaN, 0 to 100; NaN stays.

    >>> percentiles(np.array([3.0, 1.0, np.nan, 3.0]))
    array([66.66666667, 16.66666667,         nan, 66.66666667])
    """
    known = np.isfinite(values)
    _, place, count = np.unique(np.round(values[known], 9), return_inverse=True, return_counts=True)
    result = np.full(len(values), np.nan)
    result[known] = (100 * (np.cumsum(count) - count / 2) / max(int(known.sum()), 1))[place]
    return result


def risk_texts(verdicts: Verdicts, rows: Array | None = None) -> dict[str, Array]:
    """Return `reasons`, `not_evaluable`, `basis` and `prompts` in words, for the entries at `rows` only.

    Each is an object array of texts, shape (rows,). Several reasons are joined by semicolons; each starts
    with the name of its rule.
    """
    rows = np.arange(len(verdicts.level)) if rows is None else rows
    state, met = verdicts.state.take(rows), verdicts.met[:, rows]
    rules, prompts = verdicts.rules, verdicts.prompts
    return {
        "reasons": _joined(rules, met == 1, state),
        "not_evaluable": _not_evaluable(rules, met, state),
        "basis": _basis(rules, met == 1, verdicts.blind[rows]),
        "prompts": _joined(prompts, verdicts.prompted[:, rows], state),
    }


def risk_columns(verdicts: Verdicts, rows: Array | None = None) -> dict[str, Array]:
    """Return the columns of a Risk table for the entries at `rows`, all in triage order if left out.

    `case` holds codes. `rating_age` counts attended sessions since the latest rating; NaN = no rating.
    """
    rows = verdicts.order if rows is None else rows
    state, texts = verdicts.state, risk_texts(verdicts, rows)
    return {
        "case": verdicts.case[rows],
        "session": state.session[rows],
        "level": np.array(LEVELS, dtype=object)[verdicts.level[rows]],
        "points": verdicts.points[rows],
        "reasons": texts["reasons"],
        "not_evaluable": texts["not_evaluable"],
        "basis": texts["basis"],
        "prompts": texts["prompts"],
        "percentile": verdicts.percentile[rows],
        "last_rating": state.last[rows],
        "n_ratings": state.n_ratings[rows],
        "rating_age": state.age[rows],
    }


def fired_in(reasons: str) -> tuple[str, ...]:
    """Return the names of the rules in a text of reasons.

    >>> fired_in("LOW_LEVEL: latest rating is low; NOT_ON_TRACK: the outcome measure reports not on track")
    ('LOW_LEVEL', 'NOT_ON_TRACK')
    """
    return tuple(reason.split(":", 1)[0] for reason in reasons.split("; ") if reason)


def with_points(reason: str) -> str:
    """Return one reason with the points of its rule before it.

    >>> with_points("NOT_ON_TRACK: the outcome measure reports not on track")
    '+1 NOT_ON_TRACK: the outcome measure reports not on track'
    """
    return f"+{RULES[fired_in(reason)[0]].points} {reason}"


def told_budget(counts: Mapping[str, int]) -> str:
    """Return how many of a list's verdicts are REVIEW, and whether that is too many; empty below 100.

    A verdict is one case of the list with enough data: what a reader has to work through today. More than a
    quarter is warned of, by design; no REVIEW is ever left out for it.

    Parameters
    ----------
    counts : level → number of cases

    Examples
    --------
    >>> told_budget({"REVIEW": 12, "WATCH": 20, "NO_FLAG": 88, "INSUFFICIENT_DATA": 7})
    'alarm budget: 12 of 120 cases with enough data are REVIEW (10 %)'
    """
    n_review = counts.get(LEVELS[REVIEW], 0)
    n_verdicts = n_review + counts.get(LEVELS[WATCH], 0) + counts.get(LEVELS[NO_FLAG], 0)
    if n_verdicts < MIN_EVALUATIONS:
        return ""
    share = n_review / n_verdicts
    told = f"alarm budget: {n_review} of {n_verdicts} cases with enough data are REVIEW ({100 * share:.0f} %)"
    if share <= REVIEW_BUDGET + TOLERANCE:
        return told
    return (
        f"{told}, more than {100 * REVIEW_BUDGET:.0f} %: lists this long are soon passed over; look at the "
        "norms, the cut-off and the error of measurement they are made with"
    )


def _require_as_of(as_of: str, today: date | None) -> bool:
    if as_of not in {"last", "every"}:
        message = f"as_of must be 'last' or 'every', got '{as_of}'"
        raise ValueError(message)
    if as_of == "every" and today is not None:
        message = f"today must be left out with as_of 'every', got {today}"
        raise ValueError(message)
    return as_of == "every"


def _stack(rows: list[Array], n: int) -> Array:
    return np.stack(rows) if rows else np.zeros((0, n))


def _levels(points: Array, unknown: Array) -> Array:
    level = np.select(
        [unknown, points >= REVIEW_POINTS, points > 0], [INSUFFICIENT_DATA, REVIEW, WATCH], NO_FLAG
    )
    return level.astype(np.int8)


def triage_order(level: Array, points: Array, percentile: Array, session: Array) -> Array:
    """Return the entries in triage order.

    Level, points descending, percentile ascending with missing last, fewer attended sessions first, then as
    they stand.
    """
    placed = np.where(np.isnan(percentile), np.inf, percentile)
    return np.lexsort((session, placed, -points, level))


def _joined(kinds: Mapping[str, Rule | Prompt], holds: Array, state: State) -> Array:
    text = np.full(holds.shape[1], "", dtype=object)
    begun = np.zeros(holds.shape[1], dtype=bool)
    for (name, kind), where in zip(kinds.items(), holds, strict=True):
        rows = np.flatnonzero(where)
        if not len(rows):
            continue
        text[rows] += _lead(begun[rows], name) + _fill(kind.text, state.take(rows))
        begun |= where
    return text


def _lead(begun: Array, name: str) -> Array:
    leads = np.array([f"{name}: ", f"; {name}: "], dtype=object)
    return leads[begun.astype(np.int8)]


def _fill(template: str, state: State) -> Any:
    """Return `template` with the names in braces replaced by attributes of `state`, one text per entry.

    A template without names stays one text.
    """
    text: Any = ""
    for literal, name, _, _ in Formatter().parse(template):
        text = text + literal
        if name:
            value = getattr(state, name)
            text = text + (value if isinstance(value, str) or value.dtype == object else numbers(value))
    return text


def _not_evaluable(rules: Mapping[str, Rule], met: Array, state: State) -> Array:
    general = _general_lack(state)
    text = np.full(len(general), "", dtype=object)
    begun = np.zeros(len(general), dtype=bool)
    for each, verdict in zip(rules.values(), met, strict=True):
        rows = np.flatnonzero(np.isnan(verdict) & each.core)
        why = np.where(general[rows] == "", f"needs {each.needs}", general[rows])
        text[rows] += _lead(begun[rows], each.name) + why
        begun[rows] = True
    return text


def _general_lack(state: State) -> Array:
    """Return why the ratings of a case say nothing about today; empty where they do."""
    why = np.full(len(state.last), "", dtype=object)
    stale = np.flatnonzero(~state.usable)
    why[stale] = "latest rating is " + numbers(state.age[stale]) + " sessions old"
    why[state.n_ratings == 0] = "no client rating"
    why[state.mixed] = "rated by others than one client, a therapist or an observer"
    return why


def _basis(rules: Mapping[str, Rule], fired: Array, blind: Array) -> Array:
    """Return "ratings" where they were judged, else what the verdict stands on without them."""
    basis = np.where(blind, "", "ratings").astype(object)
    for kind in dict.fromkeys(each.basis for each in rules.values()):
        places = [place for place, each in enumerate(rules.values()) if each.basis == kind]
        rows = np.flatnonzero(fired[places].any(axis=0) & blind)
        basis[rows] += np.where(basis[rows] == "", "", " and ").astype(object) + kind
    return np.where(blind & (basis != ""), basis + " only", basis)
