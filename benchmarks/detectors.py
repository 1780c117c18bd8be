"""Hold every rupture method against planted ruptures: false alarms, power by kind of rupture, delay.

    python benchmarks/detectors.py             the table on the terminal
    python benchmarks/detectors.py --write     also into data/detectors.json, docs/methods.md and README.md

4,000 courses a run, five runs from one seed: 8 to 24 sessions, 10 % of them missing at random, level
N(46, 7) on 12 to 60, rounded and clipped; within-person SD lognormal with median 2 and log-SD .4, that of
the innovations of autocorrelated noise with phi .2; slope N(.2, .25) over the first 10 sessions; 40 % of
the courses with one rupture, its onset from session 5 to 4 before the last, 3 to 6 own SD deep (an SD
counts at least 1.5 points): V1 one session, V3 three sessions (1, .67, .33 of the fall), a step for good,
a ramp over 5 sessions. The session of the onset is always rated. The prior is that of the same courses,
ruptures included. Falls are asked to be at least 3 points by the methods that have such a bound.

Found = a flag at the onset (V1), within two sessions of it (V3, step), within six (ramp). False alarms
are runs of flags per 100 sessions of cases without a rupture. Generator and detectors have the same
authors, effects are planted in own SD, and sessions are missing at random, which in real treatments they
are not: after a rupture clients stay away.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alliance.claims import Norm
from alliance.courses import Courses
from alliance.evaluation.counting import Counts, count
from alliance.evaluation.detectors import union
from alliance.evaluation.planted import Planted
from alliance.rupture import METHODS, Measure, Subject, run_of
from alliance.simulate import KINDS, CourseSettings, PlantedCourses, observe, rupture_courses

HERE = Path(__file__).parent
ROOT = HERE.parent
SEED = 20
RUNS = 5
CASES = 4000
MISSING = 0.10
PHI = 0.2
GENERATOR = CourseSettings(
    within_median=2 / math.sqrt(1 - PHI**2),
    within_cv=math.sqrt(math.expm1(0.4**2)),
    phi=PHI,
    room=4,
)
SUBJECT = Subject(
    measure=Measure(low=12, high=60, step=1, norm=Norm(sd=9, reliability=0.92, source="invented"))
)
ABOUT = (
    f"{RUNS * CASES:,} courses of 8 to 24 sessions, 40 % with one planted rupture 3 to 6 own SD deep; "
    f"`python benchmarks/detectors.py`, seed {SEED}"
)


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A row of the table: its name, the methods any of which may flag, their settings."""

    name: str
    settings: Mapping[str, Mapping[str, Any]]
    default: bool = False


def one(method: str, name: str, *, default: bool = False, **settings: Any) -> Detector:
    """Return a detector of a single method."""
    return Detector(name=name, settings={method: settings}, default=default)


LIMIT = {"alpha": 0.01, "min_drop": 3.0}
DETECTORS = (
    one("predictive-limit", "predictive-limit .01", default=True, **LIMIT),
    one("predictive-limit", "predictive-limit .005", alpha=0.005, min_drop=3.0),
    one("predictive-limit", "predictive-limit .025", alpha=0.025, min_drop=3.0),
    one("reliable-drop", "reliable-drop 1.96", default=True),
    one("reliable-drop", "reliable-drop 2.576", criterion=2.576),
    one("best-drop", "best-drop 1.96", default=True),
    one("own-mean", "own-mean, 1 SD", c=1.0),
    one("own-mean", "own-mean, 2 SD", default=True, c=2.0),
    one("own-mean", "own-mean, 1 SD below the session before", c=1.0, compare="previous"),
    one("trend-residual", "trend-residual, 2 SD", default=True, c=2.0),
    one("moving-range", "moving-range, whole, rule 1", default=True),
    one("moving-range", "moving-range, whole, rules 1-4", rules="1-4"),
    one("moving-range", "moving-range, baseline 5, rule 1", mode="baseline"),
    one("forecast", "forecast, random intercept", default=True),
    one("forecast", "forecast, local level", model="level"),
    one("cusum", "cusum .5/5", default=True),
    one("ewma", "ewma .3/2.7", default=True),
    Detector(name="predictive-limit or cusum", settings={"predictive-limit": LIMIT, "cusum": {}}),
    one("sudden-loss", "sudden-loss, as published", default=True),
    one("sudden-loss", "sudden-loss, corrected t", test="corrected"),
    one("level-shift", "level-shift MBIC", default=True, min_drop=3.0),
    one("level-shift", "level-shift MBIC, levels of one score too", min_segment=1, min_drop=0.0),
    one("level-shift", "level-shift SIC", penalty="SIC", min_drop=3.0),
    one("run-length", "run-length", default=True),
)
VARIANTS = (
    ("predictive-limit .01, falls of 1.5 to 3 SD", replace(GENERATOR, depth=(1.5, 3.0))),
    ("predictive-limit .01, autocorrelation .5", replace(GENERATOR, phi=0.5)),
    ("predictive-limit .01, level 56 of 60", replace(GENERATOR, level_mean=56.0)),
)


@dataclass(frozen=True, kw_only=True)
class Planting:
    """Courses with planted ruptures as the forms show them, and the truth."""

    courses: Courses
    truth: Any

    @classmethod
    def draw(cls, rng: np.random.Generator, settings: CourseSettings, n_cases: int = CASES) -> Planting:
        """Draw courses; the session of the onset is always rated."""
        planted = rupture_courses(rng, n_cases=n_cases, settings=settings)
        seen = observe(rng, planted, missing=MISSING)
        whole = observe(rng, planted, missing=0)
        rows = np.arange(n_cases)
        onset = np.maximum(planted.onset - 1, 0)
        seen[rows, onset] = whole[rows, onset]
        courses = laid_out(seen, planted.lengths)
        return cls(courses=courses, truth=_planted(planted).truth(courses, list(rows)))


def laid_out(seen: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any]) -> Courses:
    """Return courses of shape (cases, sessions) end to end."""
    there = np.arange(seen.shape[1]) < lengths[:, None]
    session = np.broadcast_to(np.arange(1, seen.shape[1] + 1), seen.shape)[there]
    return Courses(values=seen[there], session=session, starts=np.cumsum(lengths) - lengths)


def _planted(planted: PlantedCourses) -> Planted:
    names = np.array([str(place) for place in range(len(planted.kind))], dtype=object)
    return Planted(
        case=names, kind=planted.kind, onset=planted.onset, reached=np.full(len(planted.kind), np.nan)
    )


def counted(detector: Detector, planting: Planting) -> Counts:
    """Return how a detector agrees with the truth, summed over all cases."""
    runs = [run_of(SUBJECT, method, settings) for method, settings in detector.settings.items()]
    verdicts = [run.verdict(planting.courses, run.measure(planting.courses)) for run in runs]
    verdict = verdicts[0] if len(verdicts) == 1 else union(runs[0], planting.courses, verdicts)
    return count(planting.courses, verdict, planting.truth).total()


def rates(counts: Sequence[Counts]) -> dict[str, float]:
    """Return the figures of a row, from the sums over all runs."""
    total = {name: sum(float(each[name][0]) for each in counts) for name in counts[0].names}
    hits = sum(total[f"{kind} found"] for kind in KINDS[1:])
    return {
        "false_alarms": 100 * total["false alarms"] / total["quiet"],
        "cases_flagged": 100 * total["calm flagged"] / total["calm cases"],
        **{kind: 100 * total[f"{kind} found"] / total[f"{kind} planted"] for kind in KINDS[1:]},
        "delay": sum(total[f"{kind} delay"] for kind in KINDS[1:]) / hits if hits else math.nan,
    }


def spread(counts: Sequence[Counts]) -> dict[str, float]:
    """Return the standard error of each figure, from its spread over the runs."""
    each = [rates([one_run]) for one_run in counts]
    return {
        name: float(np.std([row[name] for row in each], ddof=1) / math.sqrt(len(each)))
        if len(each) > 1
        else math.nan
        for name in each[0]
    }


def outcomes(planting: Planting) -> dict[str, dict[str, float]]:
    """Return how the episodes of the ruptures that predictive-limit found ended, in percent by kind."""
    from alliance.evaluation.matching import match
    from alliance.rupture.verdict import OUTCOMES

    run = run_of(SUBJECT, "predictive-limit", LIMIT)
    verdict = run.verdict(planting.courses, run.measure(planting.courses))
    found = match(planting.courses, verdict.met, planting.truth)
    ruptures, hit = planting.truth.ruptures, found.alarm >= 0
    place = np.searchsorted(verdict.episodes.onset, found.row[hit])
    outcome, kind = verdict.episodes.outcome[place], ruptures.kind[hit]
    return {
        name: {word: 100 * float((outcome[kind == code] == at).mean()) for at, word in enumerate(OUTCOMES)}
        for code, name in enumerate(KINDS[1:], 1)
    }


def table(
    *, seed: int = SEED, runs: int = RUNS, cases: int = CASES, detectors: Sequence[Detector] = DETECTORS
) -> dict[str, Any]:
    """Return the table: its seed, its settings, one row a detector."""
    rows = []
    streams = np.random.SeedSequence(seed).spawn(runs)
    plantings = [Planting.draw(np.random.default_rng(each), GENERATOR, cases) for each in streams]
    for detector in detectors:
        counts = [counted(detector, planting) for planting in plantings]
        rows.append(_row(detector, counts))
        print(detector.name, file=sys.stderr)
    for name, settings in VARIANTS:
        others = [Planting.draw(np.random.default_rng(each), settings, cases) for each in streams]
        counts = [counted(DETECTORS[0], planting) for planting in others]
        rows.append(_row(replace(DETECTORS[0], name=name, default=False), counts))
    return {
        "about": ABOUT,
        "seed": seed,
        "runs": runs,
        "cases": cases,
        "missing": MISSING,
        "generator": asdict(GENERATOR),
        "rows": rows,
        "outcomes": outcomes(plantings[0]),
    }


def _row(detector: Detector, counts: Sequence[Counts]) -> dict[str, Any]:
    methods = list(detector.settings)
    return {
        "detector": detector.name,
        "method": methods[0] if len(methods) == 1 else "",
        "default": detector.default,
        "settings": {method: dict(settings) for method, settings in detector.settings.items()},
        **{name: round(value, 3) for name, value in rates(counts).items()},
        "se": {name: round(value, 3) for name, value in spread(counts).items()},
    }


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table as Markdown."""
    from alliance.rupture.handbook import rate_lines

    yield from rate_lines(found["rows"])


def write(found: Mapping[str, Any]) -> None:
    """Keep the table: as data, in the documentation, and its main rows in the README."""
    text = json.dumps(found, indent=1, allow_nan=False) + "\n"
    (ROOT / "data" / "detectors.json").write_text(text, encoding="utf-8")
    from alliance.rupture.handbook import handbook

    _between(ROOT / "docs" / "methods.md", "methods", handbook())
    defaults = [row for row in found["rows"] if row["default"] or row["detector"] in SHOWN]
    _between(ROOT / "README.md", "detectors", "\n".join(lines({"rows": defaults})) + "\n")


SHOWN = ("own-mean, 1 SD", "moving-range, whole, rules 1-4", "predictive-limit or cusum")


def _between(path: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of that name."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(start)
    after = rest.partition(end)[2]
    path.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Make the table, print it, and keep it if wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument(
        "--write", action="store_true", help="keep it in data/, docs/methods.md and README.md"
    )
    asked = parser.parse_args()
    there = [each for each in DETECTORS if set(each.settings) <= set(METHODS)]
    found = table(seed=asked.seed, runs=asked.runs, detectors=there)
    print("\n".join(lines(found)))
    print(json.dumps(found["outcomes"], indent=1))
    if asked.write:
        write(found)


if __name__ == "__main__":
    main()
