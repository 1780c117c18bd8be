"""The setting of a detector that gives a wished rate of false alarms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.courses import Courses
from alliance.evaluation.counting import alarm_counts
from alliance.evaluation.detectors import Detector, knob_of
from alliance.evaluation.figures import rate_of
from alliance.evaluation.truth import Truth

Array = np.ndarray[Any, Any]

STEPS = 24
CLOSE = 0.005
"""Distance from the wished rate, as a share of it, at which the search ends."""
REACHED = 0.1
"""Distance from the wished rate, as a share of it, from which on it counts as not reached."""
CURVE = 25
"""Points of the curve of each member of a union."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """A detector turned to a wished rate of false alarms.

    Attributes
    ----------
    wished : float; false alarms per 100 scored sessions that are free of rupture
    rate : float; the rate it has on the sessions it was tuned on; NaN without such a session
    knobs : value of each member's knob, None = as it was set
    tunable : bool; False if a member has nothing to turn: the detector is as it was set
    n_sessions : int; sessions the rate was taken over
    """

    wished: float
    rate: float
    knobs: tuple[float | None, ...]
    tunable: bool
    n_sessions: int

    @property
    def reached(self) -> bool:
        """Whether the rate is the wished one, or as close as a tenth of it."""
        return bool(abs(self.rate - self.wished) <= REACHED * self.wished)


def tune(detector: Detector, courses: Courses, truth: Truth, wished: float) -> Tuning:
    """Return the setting with the rate of false alarms that comes closest to the wished one.

    Parameters
    ----------
    detector : Detector
    courses, truth
        What it is tuned on; never what it is measured on.
    wished : float
        False alarms per 100 scored sessions that are free of rupture, above 0.

    Returns
    -------
    Tuning
        One method by bisection, on the logarithm of its knob. The members of a union are turned so that each
        alone has the same rate, and that rate is searched.
    """
    knobs = [knob_of(member.run) for member in detector.members]

    def rate(values: Sequence[float | None]) -> float:
        met = detector.with_values(values).judge(courses).met
        return rate_of(alarm_counts(courses, met, truth))

    values: tuple[float | None, ...] = tuple(None for _ in knobs)
    turnable = [knob for knob in knobs if knob is not None]
    tunable = len(turnable) == len(knobs)
    n_sessions = int((truth.quiet & np.isfinite(courses.values)).sum())
    if tunable and n_sessions:
        if len(turnable) == 1:
            values = _search(lambda share: (turnable[0].value(share),), rate, wished)
        else:
            values = _search(_equally_often(detector, courses, truth, wished), rate, wished)
    return Tuning(wished=wished, rate=rate(values), knobs=values, tunable=tunable, n_sessions=n_sessions)


def _search(
    setting: Callable[[float], tuple[float | None, ...]],
    rate: Callable[[Sequence[float | None]], float],
    wished: float,
) -> tuple[float | None, ...]:
    """Return the setting whose rate is closest to the wished one; of two as close, the stricter."""
    tried: list[tuple[float, float, tuple[float | None, ...]]] = []

    def too_many(share: float) -> bool:
        values = setting(share)
        found = rate(values)
        tried.append((abs(found - wished), found, values))
        return found > wished

    low, high = 0.0, 1.0
    if too_many(high) and not too_many(low):
        for _ in range(STEPS):
            share = (low + high) / 2
            low, high = (low, share) if too_many(share) else (share, high)
            if tried[-1][0] <= CLOSE * wished:
                break
    return min(tried, key=lambda each: each[:2])[2]


def _equally_often(
    detector: Detector, courses: Courses, truth: Truth, wished: float
) -> Callable[[float], tuple[float | None, ...]]:
    """Return share → settings at which every member alone has that share of the wished rate."""
    grid = np.linspace(0, 1, CURVE)
    curves = []
    for member in detector.members:
        knob = knob_of(member.run)
        if knob is None:
            continue
        mets = (replace(member, value=knob.value(share)).judge(courses).met for share in grid.tolist())
        rates = np.array([rate_of(alarm_counts(courses, met, truth)) for met in mets])
        curves.append((knob, np.maximum.accumulate(rates)))

    def setting(share: float) -> tuple[float | None, ...]:
        return tuple(knob.value(float(np.interp(share * wished, rates, grid))) for knob, rates in curves)

    return setting
