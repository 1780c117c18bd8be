"""Local norms: what a caseload's own clients scored at each session, exact and in little memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import floor, fsum, isfinite, sqrt
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE
from alliance.dropout.visits import Visits
from alliance.errors import DataError

Array = np.ndarray[Any, Any]
Area = tuple[float, float]

SCHEMA = 1
MIN_RATINGS = 50
"""Ratings of a session from which on it has norms."""

QUANTILE = 0.16
"""Share of ratings that counts as very low: about one standard deviation below the mean, by design."""

TOTAL = "total"
_DIGITS = 9
_SAMPLE = 4096


@dataclass(frozen=True, kw_only=True)
class Norms:
    """Local norms of one form, by the number of sessions attended.

    Attributes
    ----------
    form : str; id of the definition
    p16 : session → 16th percentile of the clients' totals, in score points
    n : session → ratings the norms of that session are from, one per case
    areas : session → subscale → (mean, standard deviation); a session has all subscales or none
    score : str; the score that `p16` is about
    """

    form: str
    p16: Mapping[int, float]
    n: Mapping[int, int]
    areas: Mapping[int, Mapping[str, Area]] = field(default_factory=dict)
    score: str = TOTAL

    def as_json(self) -> dict[str, Any]:
        """Return the content of a norms file."""
        sessions = sorted({*self.p16, *self.areas})
        return {
            "alliance_norms": SCHEMA,
            "form": self.form,
            "score": self.score,
            "quantile": QUANTILE,
            "sessions": {str(session): self._session(session) for session in sessions},
        }

    def _session(self, session: int) -> dict[str, Any]:
        areas = {name: list(area) for name, area in self.areas.get(session, {}).items()}
        return {"n": self.n[session], "p16": self.p16.get(session), "areas": areas}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Norms:
        """Return what a norms file, or the manifest of an analysis, holds.

        Raises
        ------
        DataError
            If it is neither, was written by a later version, or is damaged.
        """
        table = _norms_in(content)
        try:
            sessions = {int(session): entry for session, entry in table["sessions"].items()}
            norms = cls(
                form=str(table["form"]),
                score=str(table["score"]),
                p16={at: float(each["p16"]) for at, each in sessions.items() if each["p16"] is not None},
                n={at: int(each["n"]) for at, each in sessions.items()},
                areas={at: _areas(each["areas"]) for at, each in sessions.items() if each["areas"]},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise _damaged() from problem
        if not all(map(isfinite, norms.p16.values())):
            raise _damaged()
        return norms

    def require(self, form: str, score: str = TOTAL) -> None:
        """Raise DataError unless the norms are about this score of this form."""
        if (self.form, self.score) != (form, score):
            message = f"the norms are about the {self.score} of {self.form}"
            raise DataError(message, hint=f"this list judges the {score} of {form}")

    def __str__(self) -> str:
        """Return which sessions have norms, from how many ratings."""
        at_top = [session for session in self.n if session not in self.p16]
        told = [f"{_sessions(self.p16)}, from {_counts(self.n[at] for at in self.p16)} ratings each"]
        if at_top:
            told.append(f"none for {_sessions(at_top)}: there the lowest 16 % reach the top of the scale")
        return "; ".join(told if self.p16 else told[1:]) or f"none: no session has {MIN_RATINGS} ratings"


def _sessions(numbers: Collection[int]) -> str:
    return f"session{'s' * (len(numbers) != 1)} {spans(numbers)}"


def _counts(numbers: Iterable[int]) -> str:
    found = sorted(numbers) or [0]
    return f"{found[0]}" if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


def spans(numbers: Iterable[int]) -> str:
    """Return whole numbers as spans.

    >>> spans([1, 2, 3, 5, 8, 9])
    '1 to 3, 5, 8 to 9'
    """
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in found)


@dataclass(kw_only=True)
class NormTally:
    """How often each value of each score was given at each session, summed over blocks of cases.

    Scores lie on a grid, so there are few values: memory grows with sessions and values, not with cases.
    The sums are the same in whatever blocks the cases come.
    """

    parts: tuple[str, ...] = ()
    kinds: dict[str, Array] = field(default_factory=dict)
    counts: dict[str, dict[int, Counter[float]]] = field(default_factory=dict)

    def add(self, visits: Visits) -> None:
        """Count the clients' ratings; cases that somebody the rules do not know has rated are left out."""
        kept = np.ones(len(visits.rating), dtype=bool)
        if visits.mixed is not None:
            kept &= ~np.isin(visits.case, visits.case[visits.mixed])
        at, place = np.unique(visits.session[kept], return_inverse=True)
        self._count(TOTAL, at, place, visits.rating[kept])
        for name in self.parts:
            self._count(name, at, place, visits.parts[name][kept])

    def _count(self, name: str, at: Array, place: Array, values: Array) -> None:
        """Count values of one score; each belongs to the session `at` its `place`."""
        known = np.isfinite(values)
        if not known.any():
            return
        code = self._coded(name, np.round(values[known], _DIGITS))
        kinds = self.kinds[name].tolist()
        table = np.bincount(place[known] * len(kinds) + code, minlength=len(at) * len(kinds))
        sessions = self.counts.setdefault(name, {})
        for number, counts in zip(at.tolist(), table.reshape(len(at), -1), strict=True):
            there = np.flatnonzero(counts)
            found = zip(there.tolist(), counts[there].tolist(), strict=True)
            sessions.setdefault(number, Counter()).update({kinds[kind]: count for kind, count in found})

    def _coded(self, name: str, values: Array) -> Array:
        """Return each value's place among the values of this score met so far."""
        kinds = self.kinds.get(name)
        kinds = np.unique(values[:_SAMPLE]) if kinds is None else kinds
        code = np.searchsorted(kinds, values)
        new = kinds[np.minimum(code, len(kinds) - 1)] != values
        if new.any():
            kinds = np.union1d(kinds, values[new])
            code = np.searchsorted(kinds, values)
        self.kinds[name] = kinds
        return code

    def norms(self, form: str, *, high: float) -> Norms:
        """Return the norms of every session with at least 50 ratings.

        The 16th percentile lies between two order statistics, on the straight line from the one to the other:
        of n ratings in order, numbered from 0, at place 0.16 (n - 1) (definition 7 of Hyndman & Fan, the
        default of NumPy and R). Where it is the highest possible total, `high`, low ratings do not stand out
        and the session has none. The standard deviations have n - 1 below the line.

        References
        ----------
        Hyndman, R. J., & Fan, Y. (1996). https://doi.org/10.1080/00031305.1996.10473566
        """
        totals = self.counts.get(TOTAL, {})
        enough = [at for at in sorted(totals) if totals[at].total() >= MIN_RATINGS]
        limits = {at: quantile(totals[at], QUANTILE) for at in enough}
        p16 = {at: limit for at, limit in limits.items() if limit < high - TOLERANCE}
        areas = {at: found for at in enough if (found := self._areas(at))}
        n = {at: totals[at].total() for at in enough if at in p16 or at in areas}
        return Norms(form=form, p16=p16, n=n, areas=areas)

    def _areas(self, session: int) -> dict[str, Area]:
        found = {}
        for name in self.parts:
            values = self.counts.get(name, {}).get(session, Counter())
            area = spread(values) if values.total() >= MIN_RATINGS else (0.0, 0.0)
            if not area[1] > 0:
                return {}
            found[name] = area
        return found


def quantile(counts: Mapping[float, int], share: float) -> float:
    """Return a quantile of values that occur `counts` times each, by linear interpolation.

    >>> quantile({30.0: 1, 34.0: 1, 40.0: 1}, 0.25)
    32.0
    """
    values = np.array(sorted(counts))
    upto = np.cumsum([counts[value] for value in values.tolist()])
    place = share * (int(upto[-1]) - 1)
    below = floor(place + TOLERANCE)
    low, high = values[np.searchsorted(upto, [below, min(below + 1, int(upto[-1]) - 1)], side="right")]
    return round(float(low + (high - low) * max(place - below, 0.0)), _DIGITS)


def spread(counts: Mapping[float, int]) -> Area:
    """Return mean and standard deviation of values that occur `counts` times each.

    >>> spread({2.0: 2, 5.0: 1})
    (3.0, 1.732050808)
    """
    pairs = sorted(counts.items())
    n = sum(count for _, count in pairs)
    mean = fsum(value * count for value, count in pairs) / n
    squares = fsum(count * (value - mean) ** 2 for value, count in pairs)
    return round(mean, _DIGITS), round(sqrt(squares / (n - 1)), _DIGITS)


def _norms_in(content: Mapping[str, Any]) -> Mapping[str, Any]:
    table: Any = content
    if "alliance_version" in content:
        table = content.get("risk", {}).get("norms")
        if table is None:
            message = "this analysis had no local norms"
            raise DataError(message, hint=f"norms need {MIN_RATINGS} ratings of a session")
    if not isinstance(table, Mapping) or table.get("alliance_norms") != SCHEMA:
        message = "this is no norms file of this version"
        raise DataError(message, hint="give a file of --write-norms, or the manifest.json of an analysis")
    return table


def _areas(table: Mapping[str, Any]) -> dict[str, Area]:
    areas = {name: (float(mean), float(sd)) for name, (mean, sd) in table.items()}
    if not all(isfinite(mean) and isfinite(sd) and sd > 0 for mean, sd in areas.values()):
        message = "an area needs a mean and a standard deviation above 0"
        raise ValueError(message)
    return areas


def _damaged() -> DataError:
    return DataError("this norms file is damaged", hint="write it again with --write-norms")
