"""Detectors: one method with its settings, or several of which any may flag; and what makes each stricter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.errors import UsageError
from alliance.evaluation.truth import take_courses
from alliance.rupture.detection import Run
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import Judged
from alliance.rupture.flagging import Detection
from alliance.rupture.registry import Measure
from alliance.rupture.verdict import Verdict

Array = np.ndarray[Any, Any]

JOINT = "+"


@dataclass(frozen=True, kw_only=True)
class Knob:
    """What makes a method flag more or less.

    Attributes
    ----------
    parameter : the parameter, or what is said instead of one
    low, high : range that is searched, both above 0
    eager : whether a higher value flags more
    on_statistic : no parameter: the verdict is made again, yes where the statistic is below minus the value
    """

    parameter: str
    low: float
    high: float
    eager: bool = False
    on_statistic: bool = False

    def value(self, share: float) -> float:
        """Return the value at `share` of the range, 0 = strictest, 1 = most flags; four digits as printed."""
        strict, eager = (self.low, self.high) if self.eager else (self.high, self.low)
        return float(f"{strict * (eager / strict) ** share:.4g}")


_ALPHA = Knob(parameter="alpha", low=1e-9, high=0.4999, eager=True)
_CRITERION = Knob(parameter="criterion", low=0.01, high=100)
_OWN_SD = Knob(parameter="c", low=0.01, high=100)
KNOBS: Mapping[str, Knob] = {
    "predictive-limit": _ALPHA,
    "divergence": _ALPHA,
    "forecast": _ALPHA,
    "reliable-drop": _CRITERION,
    "best-drop": _CRITERION,
    "split": _CRITERION,
    "cusum": Knob(parameter="h", low=0.01, high=1000),
    "ewma": Knob(parameter="width", low=0.01, high=100),
    "own-mean": _OWN_SD,
    "trend-residual": _OWN_SD,
    "sudden-loss": Knob(parameter="cut", low=0.001, high=1000),
    "moving-range": Knob(parameter="sigmas of the limit", low=0.01, high=100, on_statistic=True),
}
"""What is turned to give a method a wished rate of false alarms; one that is not here has nothing to turn."""
ONE_POINT_RULES = ("1", "WE1", "N1")


def knob_of(run: Run) -> Knob | None:
    """Return what makes a run stricter, or None: a chart with run rules has no single limit."""
    if run.method.name == "moving-range" and run.settings.get("rules", "1") not in ONE_POINT_RULES:
        return None
    return KNOBS.get(run.method.name)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A method of a detector, what it was told of the courses, and what it said of them.

    `value` is that of its knob, None = as it is set.
    """

    run: Run
    measure: Measure
    verdict: Verdict
    value: float | None = None

    def judge(self, courses: Courses) -> Verdict:
        """Return what the method says about courses, with its knob at `value`."""
        knob = knob_of(self.run)
        if self.value is None or knob is None:
            verdict: Verdict = self.run.verdict(courses, self.measure)
            return verdict
        if knob.on_statistic:
            return _again(self.run, courses, self.run.verdict(courses, self.measure), self.value)
        settings = {**self.run.settings, knob.parameter: self.value}
        turned: Verdict = replace(self.run, settings=settings).verdict(courses, self.measure)
        return turned


@dataclass(frozen=True, kw_only=True)
class Detector:
    """One method, or several of which any may flag, on the courses of one rater.

    Attributes
    ----------
    name : as it was asked for, methods joined by +
    rater : whose courses
    courses : Courses
    place : int, shape (series,); number of the case
    members : the methods
    """

    name: str
    rater: str
    courses: Courses
    place: Array
    members: tuple[Member, ...]

    @property
    def verdict(self) -> Verdict:
        """What it said of the courses."""
        return self._joint(self.courses, [member.verdict for member in self.members])

    def judge(self, courses: Courses) -> Verdict:
        """Return what it says about other courses of the same caseload."""
        return self._joint(courses, [member.judge(courses) for member in self.members])

    def of(self, kept: Array) -> Courses:
        """Return the courses of the series where `kept` is True."""
        return take_courses(self.courses, kept)

    def turned_to(self, values: Sequence[float | None]) -> Detector:
        """Return the detector with the knob of each member at its value; its own verdict is made again."""
        members = tuple(
            replace(member, value=value) for member, value in zip(self.members, values, strict=True)
        )
        judged = tuple(replace(member, verdict=member.judge(self.courses)) for member in members)
        return replace(self, members=judged)

    def with_values(self, values: Sequence[float | None]) -> Detector:
        """Return the detector with the knob of each member at its value, for other courses only."""
        members = zip(self.members, values, strict=True)
        return replace(self, members=tuple(replace(member, value=value) for member, value in members))

    def _joint(self, courses: Courses, verdicts: Sequence[Verdict]) -> Verdict:
        return verdicts[0] if len(verdicts) == 1 else union(self.members[0].run, courses, verdicts)


def detectors(detection: Detection, asked: Sequence[str]) -> list[Detector]:
    """Return the detectors that were asked for, for every rater, in that order.

    Raises
    ------
    UsageError
        If methods are joined that do not judge the same courses.
    """
    runs = {run.method.name: run for run in detection.runs}
    found = []
    for name in asked:
        mine = [runs[part] for part in methods_of(name)]
        judged = [[each for each in detection.judged if each.method is run.method] for run in mine]
        _require_same_courses(name, mine)
        found += [_detector(name, mine, side) for side in zip(*judged, strict=True)]
    return found


def methods_of(name: str) -> list[str]:
    """Return the methods of a detector, each once.

    >>> methods_of("predictive-limit + cusum")
    ['predictive-limit', 'cusum']
    """
    return list(dict.fromkeys(part.strip() for part in name.split(JOINT)))


def _require_same_courses(name: str, runs: Sequence[Run]) -> None:
    both = [run.method.name for run in runs if run.method.combine is not None]
    if both and len(runs) > 1:
        message = f"'{name}': {both[0]} judges two raters together and cannot be joined with other methods"
        raise UsageError(message, hint=f"give --method {both[0]} by itself")


def _detector(name: str, runs: Sequence[Run], judged: Sequence[Judged]) -> Detector:
    members = tuple(
        Member(run=run, measure=each.measure, verdict=each.verdict)
        for run, each in zip(runs, judged, strict=True)
    )
    first = judged[0]
    joint = JOINT.join(run.method.name for run in runs)
    return Detector(
        name=joint if len(runs) > 1 else name.strip(),
        rater=first.rater,
        courses=first.courses,
        place=first.place,
        members=members,
    )


def union(run: Run, courses: Courses, verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict of several methods together: yes where any says yes.

    It is no where none says yes and at least one says no; not enough data only where none can say anything.
    What a flag is compared with is that of the first method that flagged; so are its episodes, of which a new
    one opens only when none is open.
    """
    met = np.stack([verdict.met for verdict in verdicts])
    yes, said = (met == 1).any(axis=0), np.isfinite(met).any(axis=0)
    spoke = np.where(yes, (met == 1).argmax(axis=0), np.isfinite(met).argmax(axis=0))
    rows = np.arange(len(spoke))
    picked = {
        name: np.stack([getattr(verdict, name) for verdict in verdicts])[spoke, rows]
        for name in ("statistic", "limit", "reference", "sigma", "df", "n_reference", "state")
    }
    joint = np.where(said, yes.astype(float), np.nan)
    follow = _follow(run, courses, joint, picked["reference"], picked["sigma"])
    needed = min(verdict.needed for verdict in verdicts)
    return Verdict(met=joint, needed=needed, follow=follow, **picked)


def _again(run: Run, courses: Courses, verdict: Verdict, value: float) -> Verdict:
    """Return the verdict made again: yes where the statistic is below -value, or above it for rises.

    As on a chart, a run of flags over scored sessions opens one episode.
    """
    statistic = -verdict.statistic if run.subject.rising else verdict.statistic
    with np.errstate(invalid="ignore"):
        yes = statistic < -value - TOLERANCE
    met = np.where(np.isnan(verdict.met), np.nan, yes.astype(float))
    rows, opens = courses.scored, met.copy()
    again = (met[rows[1:]] == 1) & (met[rows[:-1]] == 1)
    opens[rows[1:][again & (courses.series[rows[1:]] == courses.series[rows[:-1]])]] = 0
    follow = _follow(run, courses, opens, verdict.reference, verdict.sigma)
    return replace(verdict, met=met, follow=follow, compared=None, listed={})


def _follow(run: Run, courses: Courses, met: Array, reference: Array, sigma: Array) -> Any:
    """Return a function that follows the flags to their repair, whichever way they look."""
    rule = run.settings.get("repair") or RepairRule()
    if not run.subject.rising:
        return lambda: follow_flags(courses, met, reference, sigma, rule)
    seen = replace(courses, values=-courses.values)
    return lambda: follow_flags(seen, met, -reference, sigma, rule).turned()
