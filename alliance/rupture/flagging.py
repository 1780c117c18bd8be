"""A caseload, judged by one method or several side by side: Scores → Flags, Episodes, chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import MAX_GAP_DAYS
from alliance.frames import EPISODES, FLAGS, check_scores
from alliance.rupture.chance import Chance, chance
from alliance.rupture.detection import Run, runs_of
from alliance.rupture.findings import Judged, episode_columns, flag_columns
from alliance.rupture.frozen import Frozen
from alliance.rupture.groups import groups
from alliance.rupture.subject import Subject, require_alliance, subject_of, unit_of

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What one or more methods said about a caseload.

    Attributes
    ----------
    runs : the methods, with the prior of each rater
    judged : what each said of each rater's courses
    names : case of each place, object, shape (cases,)
    until : ISO date of the latest session, empty = no dates
    """

    runs: tuple[Run, ...]
    judged: tuple[Judged, ...]
    names: Array
    until: str

    def flags(self) -> pd.DataFrame:
        """Return Flags."""
        import pandas as pd

        return pd.DataFrame(flag_columns(self.judged, self.names))[list(FLAGS)]

    def episodes(self) -> pd.DataFrame:
        """Return Episodes; `end` and `lag` are missing where there is none."""
        import pandas as pd

        episodes = pd.DataFrame(episode_columns(self.judged, self.names))[list(EPISODES)]
        for name in ("end", "lag"):
            episodes[name] = episodes[name].astype("Int64").mask(episodes[name] < 0)
        return episodes

    def chances(
        self, *, seed: int = 1, loud_only: bool = False, **options: Any
    ) -> Iterator[tuple[Judged, Chance]]:
        """Yield for every method and rater how many cases noise alone would flag.

        `loud_only` leaves out the methods that come without a warning.
        """
        for run in self.runs:
            for each in self.judged:
                if each.method is run.method and (run.method.warning or not loud_only):
                    yield each, chance(each.courses, each.measure, run, seed=seed, **options)

    def frozen(self) -> Frozen:
        """Return what was learned of the caseload, to be used again."""
        return Frozen.of(self.runs, until=self.until)


def detect(
    scores: pd.DataFrame,
    subject: Subject,
    methods: Sequence[str] = ("predictive-limit",),
    *,
    prior: Frozen | None = None,
    max_gap_days: float = MAX_GAP_DAYS,
    **settings: Any,
) -> Detection:
    """Judge the courses of every rater by one or more methods.

    Parameters
    ----------
    scores : DataFrame
        Scores: `case session date therapist rater`, the judged column and the subscales. NaN = not scored.
    subject : Subject
        The score that is judged.
    methods : sequence of str
        Names of registered methods.
    prior : Frozen, optional
        Of an earlier run; estimated from `scores` if not given.
    max_gap_days : float
        Sessions further apart are no neighbours.
    **settings
        Parameters of the methods, by their own names.

    Raises
    ------
    UsageError
        If a method is unknown, or lacks what it needs.
    """
    check_scores(scores, (subject.column, *subject.spans))
    if not subject.measure.step:
        subject = subject.with_step(unit_of(scores[subject.column].to_numpy(dtype=float)))
    found = list(groups(scores, tuple(subject.spans), subject.column, max_gap_days=max_gap_days))
    runs, judged = [], []
    for bare in runs_of(subject, methods, settings):
        mine = bare.groups(found)
        run = bare.learned(bare.measures_of(mine, prior) if found else {})
        runs.append(run)
        judged += [run.judge(group) for group in mine]
    known = scores["date"].dropna()
    return Detection(
        runs=tuple(runs),
        judged=tuple(judged),
        names=np.asarray(scores["case"].unique(), dtype=object),
        until=str(known.max().date()) if len(known) else "",
    )


def flag(
    scores: pd.DataFrame,
    scale: Scale | None = None,
    *,
    method: str | Sequence[str] = "predictive-limit",
    column: str = "total",
    direction: str = "fall",
    sd: float | None = None,
    reliability: float | None = None,
    within_sd: float | None = None,
    min: float | None = None,
    max: float | None = None,
    step: float | None = None,
    prior: Frozen | Mapping[str, Any] | None = None,
    max_gap_days: float = MAX_GAP_DAYS,
    **settings: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return Flags and Episodes of every rater's course, by one method or several side by side.

    Parameters
    ----------
    scores : DataFrame
        Scores: `case session date therapist rater`, one column per score. NaN = not scored.
    scale : Scale, optional
        Must measure the alliance, higher = better. Without it `scores` is judged as plain numbers.
    method : str or sequence of str
        Names of registered methods.
    column, direction, sd, reliability, within_sd, min, max, step
        What is judged, and what is known about it; see `subject_of`.
    prior : Frozen or mapping, optional
        What an earlier run knew of the caseload (`Detection.frozen`, or the JSON of `--prior`); estimated
        from `scores` if not given.
    max_gap_days : float
        Sessions further apart are no neighbours.
    **settings
        Parameters of the methods, by their own names.

    Raises
    ------
    UsageError
        If the form does not measure the alliance, or a method is unknown or lacks what it needs.
    """
    if scale is not None:
        require_alliance(scale)
    subject = subject_of(
        scale,
        column=column,
        direction=direction,
        sd=sd,
        reliability=reliability,
        within_sd=within_sd,
        min=min,
        max=max,
        step=step,
    )
    known = prior if prior is None or isinstance(prior, Frozen) else Frozen.from_json(prior)
    methods = [method] if isinstance(method, str) else list(method)
    found = detect(scores, subject, methods, prior=known, max_gap_days=max_gap_days, **settings)
    return found.flags(), found.episodes()
