"""The early window of every course: its level, change and slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import Courses
from alliance.shape.sums import Sums, check_sessions, ratio, shortage

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class EarlyWindow:
    """The first sessions of every series, arrays of shape (series,); NaN where a reason says why.

    Attributes
    ----------
    first, last : int; the window in session numbers, both ends in it
    n_scored : int; scored sessions in the window
    level : mean of the scores in the window, score points
    change : last score in the window minus the first one, score points, above 0 = rising
    span : sessions between these two scores
    slope : least-squares slope in the window, score points per session
    reason : text; why there is no level, empty where there is one
    change_reason : text; why there is neither change nor slope, empty where there are
    """

    first: int
    last: int
    n_scored: Array
    level: Array
    change: Array
    span: Array
    slope: Array
    reason: Array
    change_reason: Array


def early_window(courses: Courses, *, first: int = 1, last: int = 3) -> EarlyWindow:
    """Return level, change and slope of every series in sessions `first` to `last`.

    The alliance is most often related to outcome from its early level: one of the first three sessions, or
    the mean of sessions 1 to 5. Online from session `last` on: later sessions do not move it.

    Parameters
    ----------
    courses : Courses
        Scores in points, sessions rising; NaN = not scored, and left out of the window.
    first, last : int
        Session numbers, both in the window; 1 <= first <= last. A course whose numbers start later, because
        its first sessions are not in the file, has no early window: none is made up from what is there.

    Returns
    -------
    EarlyWindow
        Level is NaN without a score in the window; change and slope are NaN below two.

    Raises
    ------
    ValueError
        If the window is no window or the sessions of a series do not rise.

    References
    ----------
    Horvath, A. O., Del Re, A. C., Flückiger, C., & Symonds, D. (2011). https://doi.org/10.1037/a0022186

    Examples
    --------
    >>> window = early_window(Courses.of([46, 47, 51, 20]))
    >>> window.level, window.change, window.slope
    (array([48.]), array([5.]), array([2.5]))
    """
    if not 1 <= first <= last:
        message = f"first must be at least 1 and at most last, got first {first} and last {last}"
        raise ValueError(message)
    check_sessions(courses)
    session = courses.session[courses.scored]
    sums = Sums.of(courses, courses.scored[(session >= first) & (session <= last)])
    times, scores = courses.session[sums.row].astype(float), courses.values[sums.row]
    level, score = sums.centred(scores)
    _, time = sums.centred(times)
    several = sums.n > 1
    where = f"in session {first}" if first == last else f"in sessions {first} to {last}"
    return EarlyWindow(
        first=first,
        last=last,
        n_scored=sums.n,
        level=level,
        change=np.where(several, sums.last(scores) - sums.first(scores), np.nan),
        span=np.where(several, sums.last(times) - sums.first(times), np.nan),
        slope=ratio(sums.total(time * score), sums.total(time**2)),
        reason=shortage(sums.n, 1, f"score {where}"),
        change_reason=shortage(sums.n, 2, f"scores {where}"),
    )
