"""One run of one or more methods over the courses of a caseload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import Courses
from alliance.errors import UsageError
from alliance.psychometrics import successive_spread
from alliance.rupture.catalogue import get_method
from alliance.rupture.episodes import RepairRule
from alliance.rupture.findings import Judged
from alliance.rupture.groups import Group
from alliance.rupture.parameters import REPAIR, check_settings, parameters_of
from alliance.rupture.prior import Prior, estimate_prior
from alliance.rupture.registry import Measure, Method
from alliance.rupture.subject import Subject

if TYPE_CHECKING:
    from alliance.rupture.frozen import Frozen

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A method, its settings, and what it was told about each rater's courses, the same for every block.

    Attributes
    ----------
    subject : Subject
    method : Method
    given : parameter → value, as a user gave them
    settings : the same as `METHODS[name].judge` takes them
    measures : rater → Measure, prior and what was learned of the caseload included
    """

    subject: Subject
    method: Method
    given: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)

    @property
    def finding(self) -> str:
        """What a flag is called."""
        return "rise" if self.subject.rising else self.method.finding

    @property
    def learns(self) -> bool:
        """Whether the method, as it is set, wants to know more of the caseload than its prior."""
        method = self.method
        return method.learn is not None and (method.learns is None or method.learns(self.settings))

    def groups(self, groups: Sequence[Group]) -> Sequence[Group]:
        """Return the courses the method judges: those of each rater, or those of two together."""
        return groups if self.method.combine is None else self.method.combine(groups)

    def learned(self, known: Mapping[str, Measure]) -> Run:
        """Return the run with the measure of every rater."""
        return replace(self, measures=known)

    def measure(self, courses: Courses, prior: Prior | None = None, caseload: Any = None) -> Measure:
        """Return the measure of one rater: with the given prior, or the one the courses give."""
        base = self.subject.measure
        if self.method.adapt is not None:
            base = self.method.adapt(base)
        prior = prior or estimate_prior(successive_spread(courses), step=base.step, within_sd=base.within_sd)
        measure = replace(base, prior=prior)
        if self.method.learn is None or not self.learns:
            return measure
        turned = measure.turned() if self.subject.rising else measure
        lesson = caseload if caseload is not None else self.method.learn(self._seen(courses), turned)
        return replace(measure, caseload={self.method.name: lesson})

    def measures_of(self, groups: Sequence[Group], prior: Frozen | None) -> dict[str, Measure]:
        """Return the measure of every rater, by what an earlier run knew or by the courses themselves.

        Raises
        ------
        UsageError
            If there are no courses the method can judge.
        """
        if not groups:
            message = f"{self.method.name} has nothing to judge"
            raise UsageError(message, hint=f"it needs {self.method.needs}")

        def known(rater: str) -> tuple[Any, ...]:
            return () if prior is None else (prior.prior(self, rater), prior.lesson(self, rater))

        return {group.rater: self.measure(group.total, *known(group.rater)) for group in groups}

    def judge(self, group: Group) -> Judged:
        """Return what the method says about the courses of one rater."""
        measure = self.measures[group.rater]
        return Judged(
            courses=group.total,
            verdict=self.verdict(group.total, measure),
            measure=measure,
            method=self.method,
            place=group.place,
            rater=group.rater,
            key=self.subject.key,
            subscale=self.subject.column,
            rising=self.subject.rising,
            parts={name: (values, self.subject.spans[name]) for name, values in group.parts.items()},
        )

    def verdict(self, courses: Courses, measure: Measure) -> Any:
        """Return the verdict on courses in score points, whichever way they are judged."""
        if not self.subject.rising:
            return self.method.judge(courses, measure, **self.settings)
        return self.method.judge(self._seen(courses), measure.turned(), **self.settings).turned()

    def _seen(self, courses: Courses) -> Courses:
        return replace(courses, values=-courses.values) if self.subject.rising else courses


def run_of(subject: Subject, method: str, settings: Mapping[str, Any]) -> Run:
    """Return a run of `method`, its settings checked; those of the repair become a rule.

    Raises
    ------
    UsageError
        If the method is unknown, a setting is not one of its own or is out of range, or the method looks both
        ways and is asked for rises.
    """
    chosen = get_method(method)
    given = {name: value for name, value in settings.items() if value is not None}
    check_settings(method, given)
    if chosen.two_sided and subject.rising:
        message = f"{method} looks both ways by itself"
        raise UsageError(message, hint="leave --direction out")
    own = {name: value for name, value in given.items() if name not in REPAIR}
    repair = repair_rule(subject.measure, {name: given[name] for name in REPAIR if name in given})
    ready = own if repair is None else own | {"repair": repair}
    return Run(subject=subject, method=chosen, given=given, settings=ready)


def runs_of(subject: Subject, methods: Sequence[str], settings: Mapping[str, Any]) -> list[Run]:
    """Return a run of each method, each with those of the settings that it takes.

    Raises
    ------
    UsageError
        If a setting belongs to none of the methods.
    """
    known = {name: {each.name for each in parameters_of(name)} for name in map(_known, methods)}
    for name, value in settings.items():
        if value is not None and not any(name in names for names in known.values()):
            check_settings(next(iter(known)), {name: value})
    return [
        run_of(subject, method, {name: value for name, value in settings.items() if name in names})
        for method, names in known.items()
    ]


def _known(method: str) -> str:
    return get_method(method).name


def repair_rule(measure: Measure, given: Mapping[str, Any]) -> RepairRule | None:
    """Return when an episode ends, or None if nothing about it was said."""
    if not given:
        return None
    rise = None
    if given.get("repair_by") == "drop":
        if measure.sem is None:
            message = "a repair by drop needs the reliability of the score"
            raise UsageError(message, hint="give --sd and --reliability, or --within-sd")
        rise = float(1.96 * np.sqrt(2) * measure.sem)
    plain = {name: value for name, value in given.items() if name != "repair_by"}
    names = {"tol": "tolerance"}
    return RepairRule(**{names.get(name, name): value for name, value in plain.items()}, rise=rise)
