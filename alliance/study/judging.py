"""The methods of a run, told all they may know of the caseload: once, before any block is judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import Courses
from alliance.rupture import Group, Measure, Run, runs_of, subject_of
from alliance.rupture.findings import Judged
from alliance.rupture.prior import estimate_prior
from alliance.scale import Scale
from alliance.study.passes import Block, Spill

if TYPE_CHECKING:
    from alliance.study import Request, _Part

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The methods and all they are told, the same for every block; reports are drawn from one of them."""

    scale: Scale
    runs: tuple[Run, ...]
    max_gap_days: float

    @property
    def shown(self) -> Run:
        """The method that reports are drawn from: the first that may speak about today, if there is one."""
        return next((run for run in self.runs if run.method.online), self.runs[0])

    def __call__(self, block: Block) -> list[Judged]:
        """Return what the shown method says of every rater's courses."""
        return self.by(self.shown, block)

    def all(self, block: Block) -> list[Judged]:
        """Return what every method says of every rater's courses."""
        return [judged for run in self.runs for judged in self.by(run, block)]

    def by(self, run: Run, block: Block) -> list[Judged]:
        """Return what one method says of every rater's courses."""
        return [run.judge(group) for group in run.groups(list(self.groups(block)))]

    def groups(self, block: Block) -> Iterator[Group]:
        """Yield the courses of every rater in a block."""
        return block.groups(self.scale, self.max_gap_days)

    def sample(self, spill: Spill, n_forms: int) -> list[Group]:
        """Return the courses of the first cases, one at least, that have `n_forms` forms together at most."""
        parts: dict[str, list[Group]] = {}
        taken = n_cases = 0
        for number in range(len(spill)):
            block = spill.block(number)
            sample = block.first(n_forms - taken)
            if taken and len(sample.case) > n_forms - taken:
                break
            for group in self.groups(sample):
                moved = replace(group, place=group.place + n_cases)
                parts.setdefault(group.rater, []).append(moved)
            taken, n_cases = taken + len(sample.case), n_cases + len(sample.cases)
            if len(sample.cases) < len(block.cases):
                break
        return [together(found) for _, found in sorted(parts.items())]


def judge_of(request: Request, part: _Part) -> Judge:
    """Return the methods of a run with the measure of every rater.

    Raises
    ------
    UsageError
        If a method is unknown, or the data lack what it needs.
    """
    subject = subject_of(
        part.scale, sd=request.sd, reliability=request.reliability, within_sd=request.within_sd
    )
    bare = Judge(
        scale=part.scale,
        runs=tuple(runs_of(subject, request.methods, request.settings)),
        max_gap_days=request.max_gap_days,
    )
    return replace(bare, runs=tuple(run.learned(_measures(request, part, bare, run)) for run in bare.runs))


def _measures(request: Request, part: _Part, judge: Judge, run: Run) -> dict[str, Measure]:
    if run.method.combine is None and not run.learns:
        return {rater: _by_spread(request, part, run, rater) for rater in sorted(part.tally.spreads)}
    return run.measures_of(whole(part.spill, judge, run), request.prior)


def _by_spread(request: Request, part: _Part, run: Run, rater: str) -> Measure:
    base = run.subject.measure
    if request.prior is not None:
        return replace(base, prior=request.prior.prior(run, rater))
    prior = estimate_prior(part.tally.spread(rater), step=base.step, within_sd=base.within_sd)
    return replace(base, prior=prior)


def whole(spill: Spill, judge: Judge, run: Run) -> list[Group]:
    """Return the courses a method judges, of all blocks together: for what only a whole caseload knows."""
    parts: dict[str, list[Group]] = {}
    for number in range(len(spill)):
        for group in run.groups(list(judge.groups(spill.block(number)))):
            parts.setdefault(group.rater, []).append(group)
    return [together(found) for _, found in sorted(parts.items())]


def together(groups: Sequence[Group]) -> Group:
    """Return the courses of one rater, of several blocks, one behind the other; without their subscales."""
    courses = [group.total for group in groups]
    before = np.cumsum([0, *(len(each.values) for each in courses[:-1])])
    days = [np.full(len(each.values), np.nan) if each.day is None else each.day for each in courses]
    total = Courses(
        values=np.concatenate([each.values for each in courses]),
        session=np.concatenate([each.session for each in courses]),
        starts=np.concatenate([each.starts + shift for each, shift in zip(courses, before, strict=True)]),
        day=np.concatenate(days) if any(each.day is not None for each in courses) else None,
        max_gap_days=courses[0].max_gap_days,
    )
    return Group(rater=groups[0].rater, place=np.concatenate([each.place for each in groups]), total=total)
