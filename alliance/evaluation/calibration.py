"""Which setting gives a caseload a wished rate of false alarms: under its own noise, or where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import Courses
from alliance.evaluation.counting import alarm_counts
from alliance.evaluation.detectors import Detector, knob_of
from alliance.evaluation.figures import REPLICATES, rate_interval
from alliance.evaluation.truth import Ruptures, Truth
from alliance.evaluation.tuning import Tuning, tune
from alliance.rupture.chance import rupture_free

Array = np.ndarray[Any, Any]

DRAWN = 200_000
"""Sessions that are drawn for a calibration, or one replicate of a larger caseload."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The setting of a detector that gives a wished rate of false alarms on a caseload.

    Attributes
    ----------
    detector, rater : str
    settings : (method, parameter, value) of each method; empty if one of them has nothing to turn
    wished, rate : float; false alarms per 100 scored sessions that are free of rupture
    low, high : float; 95 % range of that rate in a caseload of this size
    n_sessions : int; sessions the rate was taken over
    basis : `noise`: drawn without ruptures from the caseload's own noise. `planted`: cases without a planted
        rupture. `labels`: sessions labelled free of rupture
    reached : bool; whether the rate is the wished one, or as close as a tenth of it
    """

    detector: str
    rater: str
    settings: tuple[tuple[str, str, float], ...]
    wished: float
    rate: float
    low: float
    high: float
    n_sessions: int
    basis: str
    reached: bool


def calibrated(
    detector: Detector,
    truth: Truth | None,
    wished: float,
    *,
    seed: int = 1,
    replicates: int = REPLICATES,
) -> Calibration:
    """Return the setting that gives the wished rate: under noise alone if there is no truth.

    Parameters
    ----------
    detector : Detector
    truth : Truth or None
        About the detector's courses. With a truth the real courses are used, as far as they are free of
        rupture.
    wished : float
        False alarms per 100 scored sessions, above 0.
    seed : int
        Equal seeds give equal numbers.
    replicates : int
        Bootstrap samples of cases for the range.
    """
    if truth is None:
        courses = noise(detector, seed=seed)
        known = nothing_planted(courses)
    else:
        kept = truth.quiet_series if truth.source == "planted" else np.full(len(truth.quiet_series), True)
        courses, known = detector.of(kept), truth.take(detector.courses, kept)
    tuning = tune(detector, courses, known, wished)
    met = detector.with_values(tuning.knobs).judge(courses).met
    size = None if truth is not None else len(detector.courses.starts)
    counts = alarm_counts(courses, met, known)
    low, high = rate_interval(counts, replicates=replicates, seed=seed, size=size)
    return Calibration(
        detector=detector.name,
        rater=detector.rater,
        settings=settings_of(detector, tuning),
        wished=wished,
        rate=tuning.rate,
        low=low,
        high=high,
        n_sessions=tuning.n_sessions,
        basis="noise" if truth is None else truth.source,
        reached=tuning.reached,
    )


def noise(detector: Detector, *, seed: int) -> Courses:
    """Return courses without ruptures, drawn from the noise of the caseload: whole replicates of it."""
    courses = detector.courses
    count = max(DRAWN // max(len(courses.values), 1), 1)
    rng = np.random.default_rng(seed)
    return rupture_free(courses, detector.members[0].measure, count=count, rng=rng)


def nothing_planted(courses: Courses) -> Truth:
    """Return the truth about courses without any rupture."""
    n_forms, none = len(courses.values), np.zeros(0, dtype=np.int64)
    everywhere = np.full(n_forms, True)
    return Truth(
        source="planted",
        ruptures=Ruptures(series=none, onset=none, within=none, until=none, kind=none, repaired=np.zeros(0)),
        label=np.zeros(n_forms),
        free=everywhere,
        quiet=everywhere,
        quiet_series=np.full(len(courses.starts), True),
    )


def settings_of(detector: Detector, tuning: Tuning) -> tuple[tuple[str, str, float], ...]:
    """Return method, parameter and value of everything that was turned."""
    return tuple(
        (member.run.method.name, knob.parameter, value)
        for member, value in zip(detector.members, tuning.knobs, strict=True)
        if value is not None and (knob := knob_of(member.run)) is not None
    )
