"""`level-shift` against ruptures' KernelCPD case by case, on the same courses in one process, as ratios.

    python benchmarks/level_shift.py
    python benchmarks/level_shift.py --forms 100000

Both minimise squared deviations in units of the standard deviation plus 3 ln n for each change point, levels
of at least two scores. KernelCPD ("linear", jump 1) is given the scaled scores; `level-shift` as a whole
also finds the standard deviation, charges for the length of each level (MBIC), and gives every verdict.
Every round runs all three one after the other; ratios are taken inside the round. Partitions are compared by
what they cost.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ruptures import KernelCPD

from alliance.courses import Courses, TimeSteps
from alliance.rupture.levels import level_shift
from alliance.rupture.prior import given_prior
from alliance.rupture.registry import Measure
from alliance.rupture.segments import optimal_partition

Array = np.ndarray[Any, Any]

FORMS = 1_000_000
ROUNDS = 5
PHI = 0.3
SD = 2.0
PRICE = 3.0
EQUAL = 1e-9
"""Relative difference from which on a partition costs more than another."""


def courses_of(n_forms: int, seed: int = 1) -> Courses:
    """Return seeded courses of 5 to 40 sessions, autocorrelated (AR 1), a quarter with a lasting fall."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(5 + rng.gamma(2.0, 6.65, n_forms // 10 + 50).astype(int), 5, 40)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), n_forms)) + 1]
    starts = np.cumsum(lengths) - lengths
    noise = rng.standard_normal(lengths.sum())
    before: Array | None = None
    for rows in TimeSteps.of(starts, lengths):
        if before is not None:
            noise[rows] = PHI * noise[before[: len(rows)]] + (1 - PHI**2) ** 0.5 * noise[rows]
        before = rows
    session = np.arange(len(noise)) - np.repeat(starts, lengths) + 1
    onset = np.where(rng.random(len(lengths)) < 0.25, rng.integers(4, 20, len(lengths)), 99)
    fall = 8.0 * (session >= np.repeat(onset, lengths))
    level = np.repeat(rng.normal(46, 4, len(lengths)), lengths)
    values = np.clip(np.rint(level - fall + SD * noise), 12, 60)
    return Courses(values=values, session=session, starts=starts)


@dataclass(frozen=True, kw_only=True)
class Task:
    """The scaled scores of all courses, and the price of a change point in each."""

    courses: Courses
    scaled: Array
    paid: Array

    @classmethod
    def of(cls, n_forms: int) -> Task:
        """Return the task of a benchmark."""
        courses = courses_of(n_forms)
        return cls(courses=courses, scaled=vars(courses)["values"] / SD, paid=PRICE * np.log(courses.lengths))

    def kernel(self) -> Array:
        """Return our change points: places of the first score of every level but the first."""
        return optimal_partition(self.scaled, self.courses.lengths, penalty=self.paid).changes

    def method(self) -> Any:
        """Return the verdicts of the whole method, on courses with nothing worked out in advance."""
        measure = Measure(low=12, high=60, step=1, prior=given_prior(SD))
        return level_shift(replace(self.courses), measure)

    def peer(self) -> Array:
        """Return the change points of KernelCPD."""
        found: list[int] = []
        starts, ends = self.courses.starts.tolist(), (self.courses.starts + self.courses.lengths).tolist()
        for start, end, paid in zip(starts, ends, self.paid.tolist(), strict=True):
            signal = self.scaled[start:end, None]
            ends_of_levels = KernelCPD("linear", min_size=2, jump=1).fit(signal).predict(pen=paid)
            found += [start + place for place in ends_of_levels[:-1]]
        return np.array(found, dtype=np.int64)

    def costs(self, changes: Array) -> Array:
        """Return what the partition of each case costs, from its definition."""
        begins = np.sort(np.concatenate([self.courses.starts, changes]))
        level = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(self.scaled))))
        mean = np.bincount(level, weights=self.scaled) / np.bincount(level)
        cost = np.bincount(self.courses.series, weights=(self.scaled - mean[level]) ** 2)
        n_changes = np.bincount(self.courses.series[changes], minlength=len(cost))
        total: Array = cost + self.paid * n_changes
        return total


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def rows(n_forms: int = FORMS) -> list[str]:
    """Return the lines of the table: ours, against, ratio, our time, its time."""
    task = Task.of(n_forms)
    worse, better = compare(task)
    if worse:
        sys.exit(f"in {worse} cases a partition of ruptures costs less than ours")
    times = [tuple(timed(each) for each in (task.kernel, task.method, task.peer)) for _ in range(ROUNDS)]
    kernel, method, peer = (list(side) for side in zip(*times, strict=True))
    n_cases = len(task.courses.starts)
    against = f"ruptures KernelCPD, case by case; costs more in {better:,} of {n_cases:,} cases"
    return [
        _row(f"{name}, {len(task.scaled):,} sessions", against, ours, peer)
        for name, ours in (("partition alone", kernel), ("level-shift", method))
    ]


def compare(task: Task) -> tuple[int, int]:
    """Return in how many cases our partition costs more than the peer's, and in how many less."""
    ours, theirs = task.costs(task.kernel()), task.costs(task.peer())
    slack = EQUAL * (1 + theirs)
    return int((ours > theirs + slack).sum()), int((theirs > ours + slack).sum())


def _row(name: str, peer: str, ours: list[float], theirs: list[float]) -> str:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    cells = [name, peer, f"{statistics.median(ratios):.3f} [{min(ratios):.3f} to {max(ratios):.3f}]"]
    cells += [f"{statistics.median(side) * 1000:.0f} ms" for side in (ours, theirs)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the comparison and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--forms", type=int, default=FORMS)
    print("| ours | against | wall, ratio | ours | theirs |\n|---|---|---|---|---|")
    print("\n".join(rows(parser.parse_args().forms)))


if __name__ == "__main__":
    main()
