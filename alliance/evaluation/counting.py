"""What is counted of each case, so that every figure is a function of sums over cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import Courses
from alliance.evaluation.matching import FALSE, NEITHER, RIGHT, Matches, match
from alliance.evaluation.truth import KINDS, Truth
from alliance.rupture.verdict import CENSORED, LATE, Verdict

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Named counts: `values` has shape (rows, names); a row is a case, or the sum over some cases."""

    names: tuple[str, ...]
    values: Array

    def __getitem__(self, name: str) -> Array:
        """Return the column called `name`, shape (rows,)."""
        column: Array = self.values[:, self.names.index(name)]
        return column

    def take(self, rows: Array) -> Counts:
        """Return some of the cases."""
        return Counts(names=self.names, values=self.values[rows])

    def total(self) -> Counts:
        """Return the sum over all cases, one row."""
        return Counts(names=self.names, values=self.values.sum(axis=0, keepdims=True))

    def delays(self) -> Array:
        """Return how many ruptures were found 0, 1, … sessions after their onset, shape (rows, delays)."""
        places = [place for place, name in enumerate(self.names) if name.startswith("delay ")]
        return self.values[:, places]


def count(courses: Courses, verdict: Verdict, truth: Truth) -> Counts:
    """Count, case by case, how a verdict agrees with the truth.

    Parameters
    ----------
    courses : Courses
        One series for each case.
    verdict : Verdict
        Of these courses; its episodes are followed only if a rupture was found.
    truth : Truth

    Returns
    -------
    Counts
        `exact tp` …: sessions by label and flag; those without a label or a verdict are left out (`left out`:
        labelled and scored, without a verdict). `tp`, `fn`: ruptures found within their window or not, those
        without any verdict there (`blind`) included; `fp`: false alarms; `tn`: sessions free of rupture, with
        a verdict and without a flag. `false alarms` in `quiet` scored sessions. `calm cases`: without a
        rupture and with a verdict at a session free of it, `calm flagged` of them.
    """
    matches = match(courses, verdict.met, truth)
    parts = (
        _sessions(courses, verdict.met, truth)
        | _events(courses, verdict.met, truth, matches)
        | _repairs(courses, verdict, truth, matches)
        | _kinds(courses, truth, matches)
    )
    values = np.stack([np.asarray(column, dtype=float) for column in parts.values()], axis=1)
    return Counts(names=tuple(parts), values=values)


def alarm_counts(courses: Courses, met: Array, truth: Truth) -> Counts:
    """Count, case by case, the false alarms in quiet sessions and the quiet sessions that were scored."""
    matches = match(courses, met, truth)
    false = matches.first[matches.verdict == FALSE]
    columns = _rate(courses, truth, false)
    return Counts(names=tuple(columns), values=np.stack(list(columns.values()), axis=1).astype(float))


def _per(courses: Courses, yes: Array) -> Array:
    """Return how many rows of each series are `yes`; `yes` is bool, or rows."""
    return np.bincount(courses.series[yes], minlength=len(courses.starts))


def _rate(courses: Courses, truth: Truth, false: Array) -> dict[str, Array]:
    return {
        "false alarms": _per(courses, false[truth.quiet[false]]),
        "quiet": _per(courses, truth.quiet & np.isfinite(courses.values)),
    }


def _sessions(courses: Courses, met: Array, truth: Truth) -> dict[str, Array]:
    scored, judged, flagged = np.isfinite(courses.values), np.isfinite(met), met == 1
    yes, no = truth.label == 1, truth.label == 0
    said = yes | no
    return {
        "sessions": _per(courses, scored),
        "judged": _per(courses, judged),
        "labelled": _per(courses, said & scored),
        "left out": _per(courses, said & scored & ~judged),
        "left out ruptures": _per(courses, yes & scored & ~judged),
        "exact tp": _per(courses, yes & flagged),
        "exact fp": _per(courses, no & flagged),
        "exact fn": _per(courses, yes & judged & ~flagged),
        "exact tn": _per(courses, no & judged & ~flagged),
        "exact free": _per(courses, no & scored),
    }


def _events(courses: Courses, met: Array, truth: Truth, matches: Matches) -> dict[str, Array]:
    flagged, judged = met == 1, np.isfinite(met)
    series, n_series = truth.ruptures.series, len(courses.starts)
    false = matches.first[matches.verdict == FALSE]
    calm = truth.quiet_series & (_per(courses, truth.free & judged) > 0)

    def of(which: Array) -> Array:
        return np.bincount(series[which], minlength=n_series)

    return {
        "tp": of(matches.alarm >= 0),
        "fp": _per(courses, false),
        "fn": of(matches.alarm < 0),
        "tn": _per(courses, truth.free & judged & ~flagged),
        **_rate(courses, truth, false),
        "right alarms": _per(courses, matches.first[matches.verdict == RIGHT]),
        "other alarms": _per(courses, matches.first[matches.verdict == NEITHER]),
        "calm cases": calm,
        "calm flagged": calm & (_per(courses, truth.free & flagged) > 0),
        "ruptures": of(np.ones(len(series), dtype=bool)),
        "blind": of(matches.blind),
        "never": of(matches.never),
        **{
            f"delay {sessions}": of(matches.delay == sessions)
            for sessions in range(int(truth.ruptures.within.max(initial=0)) + 1)
        },
    }


def _repairs(courses: Courses, verdict: Verdict, truth: Truth, matches: Matches) -> dict[str, Array]:
    """Count the ruptures found whose episode ended, and those of them that ended as they really did.

    An episode that is still open, or a rupture whose end is not known, says nothing.
    """
    found = np.flatnonzero(matches.alarm >= 0)
    ended, repaired = np.zeros(len(found), dtype=bool), np.zeros(len(found), dtype=bool)
    if len(found):
        episodes, rows = verdict.episodes, matches.row[found]
        at = np.searchsorted(episodes.onset, rows, side="right") - 1
        known = at >= 0
        if len(episodes.onset):
            same = episodes.series[at] == courses.series[rows]
            covers = known & same & ((episodes.end[at] < 0) | (episodes.end[at] >= rows))
            ended = covers & (episodes.outcome[at] != CENSORED)
            repaired = episodes.outcome[at] <= LATE
    truly = truth.ruptures.repaired[found]
    decided = ended & np.isfinite(truly)
    agreed = decided & (repaired == (truly == 1))
    series, n_series = truth.ruptures.series[found], len(courses.starts)
    return {
        "repair known": np.bincount(series[decided], minlength=n_series),
        "repair agreed": np.bincount(series[agreed], minlength=n_series),
    }


def _kinds(courses: Courses, truth: Truth, matches: Matches) -> dict[str, Array]:
    if truth.source != "planted":
        return {}
    columns: dict[str, Array] = {}
    for place, name in enumerate(KINDS[1:], 1):
        mine = truth.ruptures.kind == place
        found = mine & (matches.alarm >= 0)
        weights: Sequence[tuple[str, Array]] = (
            ("planted", mine),
            ("found", found),
            ("blind", mine & matches.blind),
            ("delay", np.where(found, matches.delay, 0)),
        )
        for what, amount in weights:
            series = truth.ruptures.series
            columns[f"{name} {what}"] = np.bincount(series, weights=amount, minlength=len(courses.starts))
    return columns
