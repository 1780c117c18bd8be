"""Kernels against the peers a researcher would use, on the same seeded courses in one process, as ratios.

    python benchmarks/rules.py                 the table on the terminal
    python benchmarks/rules.py --forms 100000

* Six plain rules (chart, two of three, drop below the mean so far, since the session before, below the
  best so far, repair within three) against vectorised pandas and against pandas groupby.apply, a sample
  of cases scaled.
* predictive-limit with its episodes against plain loops over cases, a sample of cases scaled.
* Scoring a form of twelve items against pandas and polars.

Every round runs ours and the peer one after the other; ratios are taken inside the round. Answers are
compared.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from alliance.courses import Courses
from alliance.psychometrics import successive_spread
from alliance.rupture import METHODS, Measure
from alliance.rupture.prior import estimate_prior
from alliance.rupture.screening import RULES, screen
from alliance.scale import Scale, load_scale
from alliance.scoring import score_answers

Array = np.ndarray[Any, Any]

ROUNDS = 9
SEM = 2.5
CUT = 1.96 * 2**0.5 * SEM
SAMPLE = 1500
"""Cases that are timed and multiplied, where a peer loops over cases."""


def courses_of(n_forms: int, seed: int = 1) -> Courses:
    """Return seeded courses: 5 to 40 sessions, autocorrelated noise, 3 % not scored, a fall in a quarter."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(5 + rng.gamma(2.0, 6.65, n_forms // 10 + 50).astype(int), 5, 40)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), n_forms)) + 1]
    lengths[-1] -= lengths.sum() - n_forms
    starts = np.cumsum(lengths) - lengths
    session = np.arange(n_forms) - np.repeat(starts, lengths) + 1
    fresh = rng.normal(0, 2, n_forms)
    noise = fresh.copy()
    noise[1:] += 0.3 * fresh[:-1] * (session[1:] > 1)
    onset = np.repeat(
        np.where(rng.random(len(lengths)) < 0.25, rng.integers(4, 20, len(lengths)), 99), lengths
    )
    fall = 9.0 * ((session >= onset) & (session < onset + 2))
    level = np.repeat(rng.normal(46, 7, len(lengths)), lengths)
    values = np.clip(np.rint(level + noise - fall), 12, 60)
    values[rng.random(n_forms) < 0.03] = np.nan
    return Courses(values=values, session=session, starts=starts)


def fresh(courses: Courses) -> Courses:
    """Return the same courses without anything remembered of them."""
    return replace(courses)


def frame_of(courses: Courses) -> pd.DataFrame:
    """Return courses as a frame, one row a form."""
    return pd.DataFrame(
        {"case": courses.series, "session": courses.session, "total": vars(courses)["values"]}
    )


def pandas_rules(frame: pd.DataFrame) -> pd.DataFrame:
    """Apply the six rules with grouped, vectorised pandas."""
    scored = frame.dropna(subset="total")
    case, total = scored["case"], scored["total"]
    grouped = scored.groupby("case", sort=False)["total"]
    before = grouped.shift()
    follows = scored.groupby("case", sort=False)["session"].diff() == 1
    change = (total - before).where(follows)
    n, mean = grouped.transform("size"), grouped.transform("mean")
    sigma = change.abs().groupby(case, sort=False).transform("mean") / 1.128
    charted = (n >= 10) & (sigma > 0)
    below = (total < mean - 2 * sigma - 1e-9) & charted
    earlier = below.astype("int8").groupby(case, sort=False)
    place = grouped.cumcount()
    so_far = (grouped.cumsum() - total) / place
    best = grouped.cummax().groupby(case, sort=False).shift()
    dropped = change < -CUT - 1e-9
    ahead = pd.concat([grouped.shift(-step) for step in (1, 2, 3)], axis=1).max(axis=1)
    return pd.DataFrame(
        {
            "chart": (total < mean - 3 * sigma - 1e-9) & charted,
            "chart 2 of 3": below & (place >= 2) & ((earlier.shift(1) == 1) | (earlier.shift(2) == 1)),
            "mean drop": (so_far - total > CUT + 1e-9) & (place >= 3),
            "reliable drop": dropped,
            "best drop": best - total > CUT + 1e-9,
            "repaired": dropped & (ahead >= before - SEM - 1e-9),
        }
    )


def case_rules(rows: pd.DataFrame) -> pd.DataFrame:
    """Apply the six rules to one case, as a function for groupby.apply."""
    return pandas_rules(rows.assign(case=0))


def loop_over_cases(courses: Courses, cases: int, prior: Any) -> int:
    """Run predictive-limit with its episodes by a plain Python loop; return the number of flags."""
    return sum(plain_limit(*_case(courses, place), prior) for place in range(cases))


def loop_with_numpy(courses: Courses, cases: int, prior: Any) -> int:
    """Run predictive-limit by a loop over cases with numpy and scipy inside, as one writes it first."""
    return sum(numpy_limit(*map(np.array, _case(courses, place)), prior) for place in range(cases))


def numpy_limit(scores: Array, sessions: Array, prior: Any) -> int:
    """Return the flags of one case, straight from the formulas."""
    from scipy import stats

    flags, reference, episode = 0, [], None
    for row in np.flatnonzero(np.isfinite(scores)):
        if episode is not None:
            episode["rows"].append(row)
            if scores[row] >= episode["level"] - 1e-9:
                reference, episode = [*reference, row], None
            elif len(episode["rows"]) > 6:
                reference, episode = list(episode["rows"]), None
            continue
        used = np.array(reference[-8:], dtype=int)
        if len(used) >= 3:
            change = np.diff(scores[used])[np.diff(sessions[used]) == 1]
            k = len(change)
            variance = max(np.sum(change**2) / (2 * k), 1 / 12) if k else 0.0
            own = 2 * k**2 / (3 * k - 1) if k else 0.0
            mean, df = scores[used].mean(), prior.df + own
            sigma = np.sqrt((prior.df * prior.variance + own * variance) / df)
            limit = mean + stats.t.ppf(0.01, df) * sigma * np.sqrt(1 + 1 / len(used))
            if scores[row] < limit - 1e-9 and mean - scores[row] >= 3 - 1e-9:
                flags, episode = flags + 1, {"level": mean - sigma, "rows": [row]}
                continue
        reference.append(row)
    return flags


def _case(courses: Courses, place: int) -> tuple[list[float], list[int]]:
    start = courses.starts[place]
    rows = slice(start, start + courses.lengths[place])
    return vars(courses)["values"][rows].tolist(), courses.session[rows].tolist()


def plain_limit(scores: list[float], sessions: list[int], prior: Any) -> int:
    """Return the flags of one case: the limit of eight earlier scores, one open episode at a time."""
    flags, open_since, level, kept, inside = 0, 0, 0.0, [], []
    for score, session in zip(scores, sessions, strict=True):
        if math.isnan(score):
            continue
        if open_since:
            inside.append((score, session))
            if score >= level - 1e-9:
                open_since, kept = 0, [*kept, (score, session)]
            elif len(inside) > 6:
                open_since, kept = 0, list(inside)
            continue
        used = kept[-8:]
        if len(used) >= 3:
            mean, sigma, df = _spread(used, prior)
            error = sigma * (1 + 1 / len(used)) ** 0.5
            if score < mean + quantile(df) * error - 1e-9 and mean - score >= 3 - 1e-9:
                flags, open_since, level, inside = flags + 1, session, mean - sigma, [(score, session)]
                continue
        kept.append((score, session))
    return flags


def _spread(used: list[tuple[float, int]], prior: Any) -> tuple[float, float, float]:
    pairs = [(b - a) ** 2 for (a, s), (b, t) in pairwise(used) if t - s == 1]
    k = len(pairs)
    variance = max(sum(pairs) / (2 * k), 1 / 12) if k else 0.0
    own = 2 * k * k / (3 * k - 1) if k else 0.0
    df = prior.df + own
    sigma = ((prior.df * prior.variance + own * variance) / df) ** 0.5
    return sum(score for score, _ in used) / len(used), sigma, df


_KNOWN: dict[float, float] = {}


def quantile(df: float) -> float:
    """Return the 1 % quantile of t, each computed once."""
    if df not in _KNOWN:
        from scipy import stats

        _KNOWN[df] = float(stats.t.ppf(0.01, df))
    return _KNOWN[df]


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and answer of an action."""
    start = time.perf_counter()
    answer = action()
    return time.perf_counter() - start, answer


def ratio(
    name: str, peer: str, ours: Callable[[], Any], theirs: Callable[[], Any], *, times: float = 1.0
) -> str:
    """Return one line of the table: ours against a peer whose time is multiplied."""
    ours(), theirs()
    pairs = [(timed(ours)[0], timed(theirs)[0] * times) for _ in range(ROUNDS)]
    ratios = [a / b for a, b in pairs]
    cells = [name, peer, f"{statistics.median(ratios):.4f} [{min(ratios):.4f} to {max(ratios):.4f}]"]
    cells += [f"{statistics.median(side) * 1000:.0f} ms" for side in zip(*pairs, strict=True)]
    return f"| {' | '.join(cells)} |"


def rules(n_forms: int) -> list[str]:
    """Compare the six rules."""
    courses, measure = courses_of(n_forms), Measure(low=12, high=60, step=1, within_sd=SEM)
    frame = frame_of(courses)
    answer, found = pandas_rules(frame), screen(courses, measure)
    for rule in RULES:
        mine = np.flatnonzero(found.met(rule) == 1)
        if not np.array_equal(mine, answer.index[answer[rule].to_numpy(dtype=bool)].to_numpy()):
            sys.exit(f"the answers of rule '{rule}' differ")
    few = frame[frame["case"] < SAMPLE]
    name = f"six rules, {n_forms:,} sessions"

    def ours() -> Any:
        return screen(fresh(courses), measure)

    def apply() -> Any:
        return few.groupby("case", sort=False)[["session", "total"]].apply(case_rules)

    return [
        ratio(name, "pandas, vectorised", ours, lambda: pandas_rules(frame)),
        ratio(name, f"pandas groupby.apply ({SAMPLE} cases, scaled)", ours, apply, times=n_forms / len(few)),
    ]


def limits(n_forms: int) -> list[str]:
    """Compare predictive-limit with a loop over cases."""
    courses = courses_of(n_forms)
    prior = estimate_prior(successive_spread(courses), step=1)
    measure = Measure(low=12, high=60, step=1, prior=prior)
    cases = min(SAMPLE, len(courses.starts))
    forms = int(courses.lengths[:cases].sum())
    verdict = METHODS["predictive-limit"].judge(courses, measure, min_drop=3.0)
    n_flags = (verdict.flagged < forms).sum()
    if {n_flags} != {loop(courses, cases, prior) for loop in (loop_over_cases, loop_with_numpy)}:
        sys.exit("the flags of predictive-limit and the plain loops differ")

    def ours() -> Any:
        return METHODS["predictive-limit"].judge(fresh(courses), measure, min_drop=3.0).episodes

    few = min(SAMPLE // 5, cases)
    few_forms = int(courses.lengths[:few].sum())
    name = f"predictive-limit with episodes, {n_forms:,} sessions"
    return [
        ratio(
            name,
            f"loop over cases, numpy and scipy inside ({few} cases, scaled)",
            ours,
            lambda: loop_with_numpy(courses, few, prior),
            times=n_forms / few_forms,
        ),
        ratio(
            name,
            f"loop over cases, pure Python, quantiles remembered ({cases} cases, scaled)",
            ours,
            lambda: loop_over_cases(courses, cases, prior),
            times=n_forms / forms,
        ),
    ]


def tolerant() -> Scale:
    """Return a form of twelve items in three subscales, each scored with one unanswered item."""
    scale = load_scale("wai-sr")
    most = {name: 3 if name == "total" else 1 for name in scale.formulas}
    formulas = {name: replace(each, missing_max=most[name]) for name, each in scale.formulas.items()}
    return replace(scale, formulas=formulas)


def scoring(n_forms: int) -> list[str]:
    """Compare scoring a form of twelve items: three means and a total, one unanswered item allowed."""
    scale = tolerant()
    rng = np.random.default_rng(1)
    missing = rng.random((12, n_forms)) < 0.02
    answers = np.where(missing, 0, rng.integers(1, 6, (12, n_forms))).astype(np.int8)
    frame = pd.DataFrame(
        {name: np.where(missing[at], np.nan, answers[at]) for at, name in enumerate(scale.items)}
    )
    parts = {name: [f"q{item}" for item in items] for name, items in scale.subscales.items()}
    parts["total"] = list(scale.items)
    most = {name: scale.formulas[name].missing_max for name in parts}

    def ours() -> Any:
        return score_answers(answers, missing, scale).scores

    def theirs() -> Any:
        absent = {name: frame[columns].isna().sum(axis=1) for name, columns in parts.items()}
        scores = {name: frame[columns].mean(axis=1) for name, columns in parts.items()}
        return {name: scores[name].where(absent[name] <= most[name]) for name in parts}

    found, known = ours(), theirs()
    for name in parts:
        np.testing.assert_allclose(found[name], known[name], rtol=1e-14)
    name = f"scoring, {n_forms:,} forms of 12 items"
    lines = [ratio(name, "pandas, mean by row and a count of what is missing", ours, theirs)]
    try:
        import polars
    except ImportError:
        return lines
    table = polars.DataFrame(
        {name: polars.Series(frame[name].to_numpy(), nan_to_null=True) for name in scale.items}
    )

    def mean(name: str) -> Any:
        columns = [polars.col(column) for column in parts[name]]
        n_missing = polars.sum_horizontal([column.is_null() for column in columns])
        return polars.when(n_missing <= most[name]).then(polars.mean_horizontal(columns)).alias(name)

    def engine() -> Any:
        return table.select([mean(name) for name in parts])

    return [*lines, ratio(name, "polars", ours, engine)]


def table(n_forms: int) -> list[str]:
    """Return every line of the table."""
    head = ["| ours | against | wall, ratio | ours | theirs |", "|---|---|---|---|---|"]
    return [*head, *rules(n_forms), *limits(n_forms), *scoring(n_forms)]


def main() -> None:
    """Run all comparisons and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--forms", type=int, default=1_000_000)
    print("\n".join(table(parser.parse_args().forms)))


if __name__ == "__main__":
    main()
