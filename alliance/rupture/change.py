"""`reliable-drop`: a fall from the session directly before that measurement error does not explain."""

from __future__ import annotations

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.errors import UsageError
from alliance.psychometrics import reliable_change
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import EVALUATED, NOT_ENOUGH, UNSCORED, Verdict


@method(
    "reliable-drop",
    online=True,
    needs="the session directly before, and a standard deviation with a reliability, or a within-person SD",
    finds="a fall since the session before",
    source="Jacobson & Truax (1991), https://doi.org/10.1037/0022-006X.59.1.12",
)
def reliable_drop(
    courses: Courses,
    measure: Measure,
    *,
    criterion: float = 1.96,
    last_scored: bool = False,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session that scores reliably below the session directly before it.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored. A skipped session number is a
        session without a form.
    measure : Measure
        Must hold a norm with sd and reliability, or a within-person SD.
    criterion : float
        Two-sided 5 % by default; 2.576 is kinder to series that are compared session after session.
    last_scored : bool
        Compare with the last score there is, however long ago, instead of the session directly before.
    repair : RepairRule, optional
        When an episode ends; its sigma is the standard error of measurement.

    Returns
    -------
    Verdict
        `statistic` is the reliable change index, change / (sqrt(2) * SEM). `met` is 1 where it is below
        -criterion, 0 where it is not, and NaN where this session, or the one before it, has no score.

    Raises
    ------
    UsageError
        If neither the definition nor the caller says how reliable the score is.

    Examples
    --------
    >>> measure = Measure(low=1, high=7, step=1 / 6, within_sd=0.36)
    >>> reliable_drop(Courses.of([6.0, 5.8, 4.5]), measure).met
    array([nan,  0.,  1.])
    """
    error = measure.sem
    if error is None:
        message = "reliable-drop needs the reliability of the score, and the definition has none"
        raise UsageError(message, hint="give --sd and --reliability, or --within-sd")
    change = _since_last_score(courses) if last_scored else courses.change_from_neighbour()
    index = reliable_change(change, sem=error)
    cut = criterion * np.sqrt(2) * error
    met = three_valued(np.isfinite(index), change < -cut - TOLERANCE)
    reference = courses.values - change
    sigma = np.full(len(met), error)
    before = np.flatnonzero(met == 1)[:, None] - 1
    state = np.where(np.isnan(courses.values), UNSCORED, np.where(np.isnan(met), NOT_ENOUGH, EVALUATED))
    return Verdict(
        met=met,
        statistic=index,
        limit=reference - cut,
        reference=reference,
        sigma=sigma,
        df=np.full(len(met), np.inf),
        n_reference=np.isfinite(index).astype(np.int64),
        state=state.astype(np.int8),
        needed=1,
        episodes=follow_flags(courses, met, reference, sigma, repair or RepairRule()),
        window=before,
    )


def _since_last_score(courses: Courses) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    change = np.full(len(courses.values), np.nan)
    rows = courses.scored
    same = courses.series[rows[1:]] == courses.series[rows[:-1]]
    change[rows[1:]] = np.where(same, np.diff(courses.values[rows]), np.nan)
    return change
