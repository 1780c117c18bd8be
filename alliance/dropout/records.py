"""Verdicts → one record per client, as plain JSON values: what fired, on which numbers, by which source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from alliance.dropout.seen import Entry
from alliance.dropout.state import State
from alliance.dropout.triage import Judged
from alliance.dropout.verdicts import LEVELS, Verdicts, risk_texts

Array = np.ndarray[Any, Any]

NO_DAY = np.iinfo(np.int64).min


def risk_records(
    judged: Judged,
    *,
    about: Mapping[str, Any],
    today: date | None = None,
    seen: Mapping[str, Entry] | None = None,
    model: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return one record per case, in triage order, of plain JSON values; what is not known is None.

    Parameters
    ----------
    judged : Judged
        Verdicts as of the last appointment of each case.
    about : mapping
        What stands in every record: versions, checksums, definitions.
    today : date, optional
        Day of the list. Without it `as_of` is the day of the case's latest appointment, if that is known.
    seen : case → Entry, optional
        The acknowledgements that hold.
    model : case → JSON values, optional
        What a fitted model says of the case.

    Returns
    -------
    list of dict
        `client as_of session level score basis fired prompts not_evaluable n_ratings
        last_rating_age_sessions percentile model seen`, then `about`. `score` is the sum of points: an order,
        no probability. `percentile` places the latest rating among the clients' latest ratings.
    """
    verdicts = judged.verdicts
    texts = risk_texts(verdicts)
    days = _days(judged, today)
    found = []
    for row in verdicts.order.tolist():
        case = str(judged.cases[verdicts.case[row]])
        entry = (seen or {}).get(case)
        found.append(
            {
                "client": case,
                "as_of": days[row],
                **_verdict(verdicts, row),
                "basis": texts["basis"][row] or None,
                "fired": _fired(verdicts, texts["reasons"][row], row),
                "prompts": [{"id": name, "text": text} for name, text in _split(texts["prompts"][row])],
                "not_evaluable": [
                    {"id": name, "why": why} for name, why in _split(texts["not_evaluable"][row])
                ],
                **_ratings(verdicts, row),
                "model": (model or {}).get(case),
                "seen": None if entry is None else entry.as_json(),
                **about,
            }
        )
    return found


def _verdict(verdicts: Verdicts, row: int) -> dict[str, Any]:
    return {
        "session": int(verdicts.state.session[row]),
        "level": LEVELS[verdicts.level[row]],
        "score": int(verdicts.points[row]),
    }


def _ratings(verdicts: Verdicts, row: int) -> dict[str, Any]:
    state = verdicts.state
    return {
        "n_ratings": int(state.n_ratings[row]),
        "last_rating_age_sessions": _whole(state.age[row]),
        "percentile": _known(verdicts.percentile[row]),
    }


def _fired(verdicts: Verdicts, reasons: str, row: int) -> list[dict[str, Any]]:
    found = []
    for name, text in _split(reasons):
        rule = verdicts.rules[name]
        found.append(
            {
                "id": name,
                "points": rule.points,
                "text": text,
                "values": {each: _value(verdicts.state, each, row) for each in rule.values},
                "cite": rule.source,
            }
        )
    return found


def _split(text: str) -> list[tuple[str, str]]:
    pairs = (part.split(": ", 1) for part in text.split("; ") if part)
    return [(name, said) for name, said in pairs]


def _value(state: State, name: str, row: int) -> float | int | None:
    value = getattr(state, name)[row]
    return int(value) if isinstance(value, np.integer) else _known(value)


def _known(value: Any) -> float | None:
    """Return a number without binary dust, None if there is none."""
    return round(float(value), 9) if np.isfinite(value) else None


def _whole(value: Any) -> int | None:
    return int(value) if np.isfinite(value) else None


def _days(judged: Judged, today: date | None) -> list[str | None]:
    """Return the day each verdict stands for."""
    verdicts, visits = judged.verdicts, judged.visits
    n = len(verdicts.level)
    if today is not None:
        return [today.isoformat()] * n
    if visits.day is None or not len(visits.day):
        return [None] * n
    last = np.maximum(visits.starts + visits.lengths - 1, 0)
    stamps = np.where(visits.lengths > 0, visits.day[last], NO_DAY).astype("datetime64[D]")
    return [None if np.isnat(stamp) else str(stamp) for stamp in stamps]
