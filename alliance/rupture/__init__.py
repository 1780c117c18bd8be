"""Courses → Flags, Episodes: ruptures, repairs, and what could not be said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.claims import Norm
from alliance.courses import Courses
from alliance.errors import UsageError
from alliance.frames import EPISODES, FLAGS, check_scores
from alliance.psychometrics import successive_spread
from alliance.rupture import change, predictive
from alliance.rupture.findings import Judged, episode_columns, flag_columns
from alliance.rupture.prior import Prior, estimate_prior
from alliance.rupture.registry import METHODS, Measure, Method, get_method, measure_of
from alliance.scale import Scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METHODS", "Group", "change", "flag", "get_method", "judge", "predictive"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """All courses of one rater, total and subscales; `place` is the number of the case of each series."""

    rater: str
    place: Array
    total: Courses
    parts: Mapping[str, Array]


def judge(group: Group, scale: Scale, method: Method, measure: Measure, **settings: Any) -> Judged:
    """Return what `method` says about the courses of one rater."""
    spans = {name: float(np.diff(scale.bounds(name))[0]) for name in group.parts}
    return Judged(
        courses=group.total,
        verdict=method.judge(group.total, measure, **settings),
        measure=measure,
        method=method,
        place=group.place,
        rater=group.rater,
        key=scale.status,
        parts={name: (values, spans[name]) for name, values in group.parts.items()},
    )


def flag(
    scores: pd.DataFrame,
    scale: Scale,
    *,
    method: str = "predictive-limit",
    norm: Norm | None = None,
    within_sd: float | None = None,
    prior: Mapping[str, Prior] | None = None,
    **settings: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return Flags and Episodes of every rater's total, by one method.

    Parameters
    ----------
    scores : DataFrame
        Scores: `case session date therapist rater`, one column per subscale, `total`. NaN = not scored.
    scale : Scale
        Must measure the alliance, higher = better.
    method : str
        Name of a registered method.
    norm : Norm, optional
        Spread and reliability of the total, where the definition has none.
    within_sd : float, optional
        Within-person standard deviation of the total, in score points.
    prior : mapping, optional
        Prior of each rater, frozen by an earlier run; estimated from `scores` if not given.
    **settings
        Parameters of the method, by its own names.

    Raises
    ------
    UsageError
        If the form does not measure the alliance, or the method is unknown or lacks what it needs.
    """
    import pandas as pd

    check_scores(scores, scale.scores)
    require_alliance(scale)
    chosen = get_method(method)
    base = replace(measure_of(scale, norm=norm), within_sd=within_sd)
    names = np.asarray(scores["case"].unique(), dtype=object)
    judged = []
    for group in groups(scores, scale):
        known = (prior or {}).get(group.rater)
        measure = replace(base, prior=known or caseload_prior(group.total, base))
        judged.append(judge(group, scale, chosen, measure, **settings))
    flags = pd.DataFrame(flag_columns(judged, names))[list(FLAGS)]
    episodes = pd.DataFrame(episode_columns(judged, names))[list(EPISODES)]
    for name in ("end", "lag"):
        episodes[name] = episodes[name].astype("Int64").mask(episodes[name] < 0)
    return flags, episodes


def require_alliance(scale: Scale) -> None:
    """Raise UsageError unless falls of this form's scores can mean a rupture."""
    if not scale.measures_alliance:
        message = f"'{scale.id}' measures {scale.construct}: a fall of its score is no rupture"
        if scale.total is None:
            message = f"'{scale.id}' has no total: a fall of its scores cannot be judged"
        raise UsageError(message, hint="flag an alliance form, such as wai-sr or srs")


def caseload_prior(courses: Courses, measure: Measure) -> Prior:
    """Return the prior that the courses themselves give."""
    return estimate_prior(successive_spread(courses), step=measure.step, within_sd=measure.within_sd)


def groups(scores: pd.DataFrame, scale: Scale) -> Iterator[Group]:
    """Yield the courses of each rater, cases in order of first appearance, sessions ascending."""
    case_code, _ = scores["case"].factorize()
    ordered = scores.assign(_case=case_code).sort_values(["_case", "rater", "session"], kind="stable")
    for rater, rows in ordered.groupby("rater", sort=True):
        code = rows["_case"].to_numpy()
        starts = np.flatnonzero(np.diff(code, prepend=-1))
        day = days(rows["date"].to_numpy())
        total = Courses(
            values=rows["total"].to_numpy(dtype=float),
            session=rows["session"].to_numpy(dtype=np.int64),
            starts=starts,
            day=day,
        )
        parts = {name: rows[name].to_numpy(dtype=float) for name in scale.subscales}
        yield Group(rater=str(rater), place=code[starts], total=total, parts=parts)


def days(date: Array) -> Array | None:
    """Return dates as day numbers, NaN where unknown; None if no date is known at all."""
    stamps = date.astype("datetime64[D]")
    unknown = np.isnat(stamps)
    return None if unknown.all() else np.where(unknown, np.nan, stamps.astype(np.int64).astype(float))
