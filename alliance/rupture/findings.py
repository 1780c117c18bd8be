"""Verdicts → Flags and Episodes: one row per finding, with one sentence of reason and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, Courses
from alliance.frames import EPISODES, FLAGS
from alliance.psychometrics import effective_df
from alliance.rupture.prior import Prior, shrink
from alliance.rupture.registry import Measure, Method
from alliance.rupture.verdict import LATE, NO_PRIOR, NO_VARIATION, OUTCOMES, Verdict
from alliance.special import t_quantile

Array = np.ndarray[Any, Any]

NOT_ENOUGH_DATA = "not enough data"
EARLIER = "earlier scores"
HAVE = "have"
"""The detail that says how much there is of what a method needs, where that is no number of scores."""
WHATEVER_THE_SCORES = {
    NO_VARIATION: "no variation",
    NO_PRIOR: "no caseload prior and no within-person SD, and own sessions alone are too few",
}
"""State → why there is no verdict however many scores there are."""
CEILING_SHARE = 0.5
MANY = 1e9
"""Degrees of freedom from which on the t and the normal distribution are one."""
SEVERITIES = ((0.005, "strict"), (0.01, "signal"), (0.025, "watch"))
"""One-sided chance of a fall this deep, and the word for it."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The courses of one rater, what a method said of them, and what belongs to an explanation.

    `courses`, `verdict` and `measure` are in score points, whichever way was looked. `place` is the number of
    the case of each series; `parts` the subscale values, one for each row, and the width of their range;
    `key` the status of the scoring key; `rising` whether rises are flagged instead of falls.
    """

    courses: Courses
    verdict: Verdict
    measure: Measure
    method: Method
    place: Array
    rater: str
    key: str
    subscale: str = "total"
    rising: bool = False
    parts: Mapping[str, tuple[Array, float]] = field(default_factory=dict)

    @property
    def sign(self) -> int:
        """1 where falls are flagged, -1 where rises are."""
        return -1 if self.rising else 1


def flag_columns(judged: Sequence[Judged], names: Array) -> dict[str, Array]:
    """Return the Flags of all raters as columns: ruptures, repairs, and series nothing could be said of.

    `names` holds the name of every case by its place. Rows are in the order of the cases, raters, sessions.
    """
    found = [
        _with_constants(rows, each)
        for each in judged
        for rows in (_ruptures(each), _repairs(each), *_listed(each), _silent(each))
    ]
    return _in_order(found, FLAGS, names, "session")


def episode_columns(judged: Sequence[Judged], names: Array) -> dict[str, Array]:
    """Return the Episodes of all raters as columns; `end` and `lag` are -1 where there is none."""
    return _in_order([_with_constants(_episodes(each), each) for each in judged], EPISODES, names, "onset")


def _with_constants(rows: dict[str, Array], judged: Judged) -> dict[str, Array]:
    constant = {
        "rater": judged.rater,
        "subscale": judged.subscale,
        "method": judged.method.name,
        "key": judged.key,
    }
    n_rows = len(rows["place"])
    return rows | {name: np.full(n_rows, text, dtype=object) for name, text in constant.items()}


def _in_order(
    parts: list[dict[str, Array]], names: Sequence[str], cases: Array, time: str
) -> dict[str, Array]:
    if not parts:
        return {name: np.zeros(0, dtype=object) for name in names}
    merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rater = np.unique(merged["rater"].astype(str), return_inverse=True)[1]
    order = np.lexsort((merged[time], rater, merged["place"]))
    columns = {name: values[order] for name, values in merged.items()}
    columns["case"] = cases[columns.pop("place")]
    return {name: columns[name] for name in names}


def _episodes(judged: Judged) -> dict[str, Array]:
    episodes = judged.verdict.episodes
    session = judged.courses.session
    with np.errstate(invalid="ignore", divide="ignore"):
        depth_sigma = episodes.depth / episodes.sigma
    return {
        "place": judged.place[episodes.series],
        "onset": session[episodes.onset],
        "end": np.where(episodes.end >= 0, session[episodes.end], -1),
        "outcome": np.array(OUTCOMES, dtype=object)[episodes.outcome],
        "depth": episodes.depth,
        "nadir": episodes.nadir,
        "lag": episodes.lag,
        "reference": episodes.reference,
        "nadir_session": session[episodes.nadir_row],
        "depth_sigma": depth_sigma,
        "partial": episodes.partial,
    }


def _rows(
    judged: Judged, rows: Array, *, finding: str, severity: Array, limit: Array, reason: Array
) -> dict[str, Array]:
    series = judged.courses.series[rows]
    return {
        "place": judged.place[series],
        "session": judged.courses.session[rows],
        "finding": np.full(len(rows), finding, dtype=object),
        "severity": severity,
        "statistic": judged.verdict.statistic[rows],
        "limit": limit,
        "reason": reason,
    }


def _ruptures(judged: Judged) -> dict[str, Array]:
    verdict, rows = judged.verdict, judged.verdict.flagged
    explain = judged.method.explain or by_limit
    reason: list[Array | str] = [
        *explain(judged, rows),
        _largest_fall(judged),
        _ceiling(judged, rows),
        f"; {judged.measure.prior}" if judged.method.shrinks else "",
    ]
    return _rows(
        judged,
        rows,
        finding=_name(judged),
        severity=_severity(judged, rows),
        limit=verdict.limit[rows],
        reason=join([np.full(len(rows), "", dtype=object), *reason]),
    )


def by_limit(judged: Judged, rows: Array) -> list[Array | str]:
    """Return that each score lies beyond its limit, and what the limit was made from."""
    verdict = judged.verdict
    several = join([number(" from the ", verdict.n_reference[rows]), " sessions before (mean "])
    return [
        number("scored ", judged.courses.values[rows]),
        number(f", {'above' if judged.rising else 'below'} the limit ", verdict.limit[rows]),
        np.where(verdict.n_reference[rows] > 1, several, " from the session before (").astype(object),
        number("", verdict.reference[rows]),
        number(", SD ", verdict.sigma[rows]),
        np.where(np.isfinite(verdict.df[rows]), number(", df ", verdict.df[rows], "%.3g"), "").astype(object),
        ")",
    ]


def _listed(judged: Judged) -> list[dict[str, Array]]:
    """Return what a method lists without flagging it."""
    return [
        _rows(
            judged,
            rows,
            finding=finding,
            severity=np.full(len(rows), "", dtype=object),
            limit=np.full(len(rows), np.nan),
            reason=join([number("scored ", judged.courses.values[rows]), ": listed, not flagged"]),
        )
        for finding, rows in judged.verdict.listed.items()
    ]


def _repairs(judged: Judged) -> dict[str, Array]:
    episodes = judged.verdict.episodes
    healed = np.flatnonzero(episodes.outcome <= LATE)
    rows = episodes.end[healed]
    below = np.sign(episodes.reference - episodes.nadir)[healed]
    texts = [
        ("back to ", judged.courses.values[rows]),
        (", close to the ", episodes.reference[healed]),
        (f" from before the {_name(judged)} at session ", judged.courses.session[episodes.onset[healed]]),
        ("; scored sessions until then: ", episodes.lag[healed]),
    ]
    return _rows(
        judged,
        rows,
        finding="reversal" if judged.rising else "repair",
        severity=np.array(OUTCOMES, dtype=object)[episodes.outcome[healed]],
        limit=episodes.reference[healed] - below * episodes.sigma[healed],
        reason=join([number(lead, values) for lead, values in texts]),
    )


def _name(judged: Judged) -> str:
    return "rise" if judged.rising else judged.method.finding


def _silent(judged: Judged) -> dict[str, Array]:
    """Return one row for every series without a single verdict: that is no `no rupture`."""
    courses, verdict = judged.courses, judged.verdict
    spoken = np.bincount(courses.series, weights=np.isfinite(verdict.met), minlength=len(courses.starts))
    series = np.flatnonzero((spoken == 0) & (courses.lengths > 0))
    rows = courses.starts[series] + courses.lengths[series] - 1
    scored = np.bincount(courses.series, weights=np.isfinite(courses.values), minlength=len(courses.starts))
    have = scored[series].astype(np.int64)
    if verdict.counted == EARLIER:
        have = np.maximum(have - 1, 0)
    if HAVE in verdict.details:
        have = verdict.details[HAVE][rows].astype(np.int64)
    short = join([number(f"{NOT_ENOUGH_DATA}: ", have), f" of {verdict.needed} {verdict.counted}"])
    sparse = f"{NOT_ENOUGH_DATA}: too few scored sessions in a row"
    reason = np.where(have < verdict.needed, short, sparse).astype(object)
    for state, why in WHATEVER_THE_SCORES.items():
        found = np.bincount(courses.series, weights=verdict.state == state, minlength=len(courses.starts))
        reason[found[series] > 0] = f"{NOT_ENOUGH_DATA}: {why}"
    nothing = np.full(len(rows), "", dtype=object)
    return _rows(
        judged,
        rows,
        finding=NOT_ENOUGH_DATA,
        severity=nothing,
        limit=np.full(len(rows), np.nan),
        reason=reason,
    )


def _severity(judged: Judged, rows: Array) -> Array:
    """Return the word for how unlikely each change is, by the quantiles of its own distribution.

    Empty where the statistic has no such distribution: its degrees of freedom are NaN.
    """
    df = judged.verdict.df[rows]
    kinds, place = np.unique(np.where(df > MANY, MANY, df), return_inverse=True)
    change = judged.sign * judged.verdict.statistic[rows]
    sides = 1
    if judged.method.two_sided:
        change, sides = -np.abs(change), 2
    words = np.full(len(rows), "", dtype=object)
    for level, word in reversed(SEVERITIES):
        limits = np.array([t_quantile(level / sides, df) if df > 0 else np.nan for df in kinds.tolist()])
        words[change <= limits[place]] = word
    return words


def _ceiling(judged: Judged, rows: Array) -> Array:
    """Return a warning where at least half of the scores so far lie at the top of the range."""
    courses, measure = judged.courses, judged.measure
    near = courses.values >= measure.high - measure.step - TOLERANCE
    first = courses.starts[courses.series[rows]]
    n_near, n_scored = (
        np.cumsum(each)[rows] - np.cumsum(each)[first] + each[first]
        for each in (near, np.isfinite(courses.values))
    )
    at_top = n_near >= CEILING_SHARE * n_scored
    return np.where(at_top, "; ceiling: most scores lie at the top, so a repair says little", "").astype(
        object
    )


def _largest_fall(judged: Judged) -> Array:
    """Return which subscale fell most, in its own within-person SD."""
    rows, window = judged.verdict.flagged, judged.verdict.window
    if not judged.parts or not len(rows) or not window.shape[1]:
        return np.full(len(rows), "", dtype=object)
    falls = np.stack([_fall(judged, values, span, rows, window) for values, span in judged.parts.values()])
    known = np.isfinite(falls).any(axis=0)
    most = "; rose most: " if judged.rising else "; fell most: "
    names = np.array(list(judged.parts), dtype=object)[np.argmax(np.nan_to_num(falls, nan=-np.inf), axis=0)]
    return np.where(known, join([most, names]), "").astype(object)


def _fall(judged: Judged, values: Array, span: float, rows: Array, window: Array) -> Array:
    ordered = np.sort(window, axis=1)
    before = np.where(ordered >= 0, values[ordered], np.nan)
    clock = judged.courses.clock[ordered]
    change = np.where((np.diff(clock, axis=1) == 1) & (ordered[:, :-1] >= 0), np.diff(before, axis=1), np.nan)
    pairs = np.isfinite(change).sum(axis=1)
    variance = np.nansum(change**2, axis=1) / np.maximum(2 * pairs, 1)
    total = judged.measure
    ratio = span / (total.high - total.low)
    prior = Prior(df=total.prior.df, sd=total.prior.sd * ratio, n_series=0, origin="given")
    sigma, _ = shrink(variance, effective_df(pairs), prior)
    n_before = np.isfinite(before).sum(axis=1)
    mean = np.nansum(before, axis=1) / np.maximum(n_before, 1)
    floor = total.step * ratio / np.sqrt(12)
    fall = judged.sign * (mean - values[rows]) / np.fmax(sigma, floor)
    return np.where(n_before > 0, fall, np.nan)


def number(lead: str, values: Array, form: str = "") -> Array:
    """Return `lead` and each value as text: two decimals, whole numbers as they are.

    Each different text is made once.
    """
    if not len(values):
        return np.zeros(0, dtype=object)
    form = form or ("%d" if np.issubdtype(values.dtype, np.integer) else "%.2f")
    kinds, place = np.unique(values, return_inverse=True)
    texts: Array = np.char.mod(lead.replace("%", "%%") + form, kinds).astype(object)
    return texts[place]


def join(parts: list[Array | str]) -> Array:
    """Return the texts of all parts, row by row, one after the other."""
    rows: Any = next((part for part in parts if not isinstance(part, str)), np.zeros(0, dtype=object))
    text = np.full(len(rows), "", dtype=object)
    for part in parts:
        text = text + part
    return text
