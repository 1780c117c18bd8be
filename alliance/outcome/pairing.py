"""Alliance and outcome of one case side by side, and pairs of sessions a fixed number apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import MAX_GAP_DAYS

Array = np.ndarray[Any, Any]

NOT_SCORED = "not scored"
LAST = "no session later in the case"
SKIPPED = "session number skipped"
GAP = "sessions too far apart"
NO_TARGET = "nothing scored at the later session"
NO_PRIOR = "no score of the session before to start from"
FIRST = "no earlier score to compare with"
NO_THERAPIST = "no therapist, or several"
LOSSES = (NOT_SCORED, LAST, SKIPPED, GAP, NO_TARGET, NO_PRIOR, FIRST, NO_THERAPIST)
"""Why a rating is in no pair; the first that applies counts."""


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """One score of one rater, one entry for each form: arrays of one length, in any order.

    Attributes
    ----------
    case : names
    session : int; number of the session
    value : float, score points; NaN = not scored
    day : float, day of the session from any origin, NaN = not known; or None if none is known
    therapist : names, empty = not known; or None
    """

    case: Array
    session: Array
    value: Array
    day: Array | None = None
    therapist: Array | None = None

    def __post_init__(self) -> None:
        """Check that all arrays are equally long."""
        given = {name: len(values) for name, values in vars(self).items() if values is not None}
        if len(set(given.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in given.items())
            message = f"the arrays of Ratings must be equally long, got {told}"
            raise ValueError(message)

    @classmethod
    def of_frame(cls, scores: Any, column: str) -> Ratings:
        """Return one column of a Scores frame, which must hold one rater."""
        stamps = scores["date"].to_numpy().astype("datetime64[D]")
        day = np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64).astype(float))
        therapist = scores["therapist"].astype(object)
        return cls(
            case=scores["case"].to_numpy(dtype=object),
            session=scores["session"].to_numpy(dtype=np.int64),
            value=scores[column].to_numpy(dtype=float),
            day=day,
            therapist=therapist.where(therapist.notna(), "").to_numpy(dtype=object),
        )


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Every session of every case with both scores: cases end to end, sessions rising.

    Attributes
    ----------
    case : int, shape (sessions,); code into `names`, in order of first appearance
    session : int
    alliance, outcome : float, score points; NaN = not scored, or no form
    stretch : int; sessions of a case without a long gap between them share a number
    therapist : names, shape (cases,); empty where the case has none or several
    n_alliance, n_outcome : int; forms that came in, scored or not
    """

    names: Array
    case: Array
    session: Array
    alliance: Array
    outcome: Array
    stretch: Array
    therapist: Array
    n_alliance: int
    n_outcome: int

    @classmethod
    def of(cls, alliance: Ratings, outcome: Ratings, *, max_gap_days: float = MAX_GAP_DAYS) -> Sessions:
        """Put alliance and outcome of one session side by side.

        Two sessions in a row, both with a day, break the stretch where they are further apart than
        `max_gap_days` for each step of their numbers. A session without a day breaks nothing.

        Raises
        ------
        ValueError
            If one case has two ratings of one kind at one session, or the gap is not above 0.
        """
        import pandas as pd

        if not max_gap_days > 0:
            message = f"max_gap_days must be above 0, got {max_gap_days}"
            raise ValueError(message)
        code, names = pd.factorize(np.concatenate([alliance.case, outcome.case]))
        session = np.concatenate([alliance.session, outcome.session]).astype(np.int64)
        order = np.lexsort((session, code))
        new = (np.diff(code[order], prepend=-1) != 0) | (np.diff(session[order], prepend=-1) != 0)
        row = np.empty(len(order), dtype=np.int64)
        row[order] = np.cumsum(new) - 1
        at, n = order[new], int(new.sum())
        here, there = row[: len(alliance.case)], row[len(alliance.case) :]
        day = np.full(n, np.nan)
        for rows, ratings in ((there, outcome), (here, alliance)):
            if ratings.day is not None:
                known = np.isfinite(ratings.day)
                day[rows[known]] = ratings.day[known]
        return cls(
            names=np.asarray(names, dtype=object),
            case=code[at],
            session=session[at],
            alliance=_placed(alliance.value, here, n, "alliance"),
            outcome=_placed(outcome.value, there, n, "outcome"),
            stretch=_stretches(code[at], session[at], day, max_gap_days),
            therapist=_one_therapist(code, len(names), alliance, outcome),
            n_alliance=len(here),
            n_outcome=len(there),
        )

    def row_at(self, step: int) -> Array:
        """Return the row of the session `step` numbers later in the same case, -1 where there is none."""
        if not len(self.case):
            return np.zeros(0, dtype=np.int64)
        least = int(self.session.min())
        room = int(self.session.max()) - least + 1 + abs(step)
        key = self.case * (2 * room) + (self.session - least)
        place = np.minimum(np.searchsorted(key, key + step), len(key) - 1)
        return np.where(key[place] == key + step, place, -1)


def _placed(values: Array, rows: Array, n: int, kind: str) -> Array:
    if len(rows) and np.bincount(rows, minlength=1).max() > 1:
        message = f"{kind} must have one rating for each case and session, got two or more"
        raise ValueError(message)
    placed = np.full(n, np.nan)
    placed[rows] = values
    return placed


def _stretches(case: Array, session: Array, day: Array, max_gap_days: float) -> Array:
    """Return a number that moves on by one at each long gap."""
    known = np.flatnonzero(np.isfinite(day))
    same = np.diff(case[known]) == 0
    far = np.diff(day[known]) > max_gap_days * np.diff(session[known])
    broken = np.zeros(len(case), dtype=np.int64)
    broken[known[1:][same & far]] = 1
    return np.cumsum(broken)


def _one_therapist(code: Array, n_cases: int, *ratings: Ratings) -> Array:
    """Return the therapist of every case, empty where none is named or several are."""
    import pandas as pd

    blank = [np.full(len(each.case), "", dtype=object) for each in ratings]
    pairs = zip(ratings, blank, strict=True)
    named = np.concatenate([none if each.therapist is None else each.therapist for each, none in pairs])
    number, texts = pd.factorize(named)
    told = named != ""
    low = np.full(n_cases, len(texts), dtype=np.int64)
    high = np.full(n_cases, -1, dtype=np.int64)
    np.minimum.at(low, code[told], number[told])
    np.maximum.at(high, code[told], number[told])
    found = np.full(n_cases, "", dtype=object)
    single = (low == high) & (high >= 0)
    found[single] = np.asarray(texts, dtype=object)[high[single]]
    return found


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What is told (`x`, session t) with what follows (`y`, session t + lag), one entry for each pair.

    Attributes
    ----------
    lag : int
    names : the cases that have a pair, in order of first appearance
    case : int, shape (pairs,); code into `names`
    session : int; t
    x, y : float, score points
    prior : float; the score of y's kind at the session before: t, or t - 1 where lag is 0. NaN if not needed
    so_far : float; mean of the case's scores of x's kind at earlier sessions, NaN at the first
    therapist : names, shape (cases,)
    n_ratings, n_cases_seen : int; ratings of x's kind that came in, and cases they are of
    lost : reason → number of those ratings in no pair
    """

    lag: int
    names: Array
    case: Array
    session: Array
    x: Array
    y: Array
    prior: Array
    so_far: Array
    therapist: Array
    n_ratings: int
    n_cases_seen: int
    lost: Mapping[str, int]


def pair(
    sessions: Sessions,
    *,
    lag: int = 1,
    reverse: bool = False,
    prior: bool = True,
    so_far: bool = False,
    therapists: bool = False,
) -> Pairs:
    """Pair alliance at session t with outcome at session t + lag, or outcome with alliance.

    Parameters
    ----------
    sessions : Sessions
    lag : int
        Session numbers differ by exactly that, without a long gap between; 0 = same session. No gap is ever
        bridged.
    reverse : bool
        Outcome at session t with alliance at session t + lag.
    prior : bool
        Keep only pairs with a score of y's kind one session before, never later than t.
    so_far : bool
        Keep only pairs with an earlier score of x's kind.
    therapists : bool
        Keep only cases with one therapist.

    Examples
    --------
    >>> a = np.array(["A", "A", "A"])
    >>> wai = Ratings(case=a, session=np.array([1, 2, 3]), value=np.array([5.0, 6.0, 4.0]))
    >>> ors = Ratings(case=a, session=np.array([1, 2, 4]), value=np.array([20.0, 22.0, 30.0]))
    >>> pairs = pair(Sessions.of(wai, ors))
    >>> pairs.x.tolist(), pairs.y.tolist(), pairs.prior.tolist()
    ([5.0], [22.0], [20.0])
    >>> pairs.lost
    {'nothing scored at the later session': 1, 'no score of the session before to start from': 1}
    """
    if lag < 0:
        message = f"lag must be at least 0, got {lag}"
        raise ValueError(message)
    x, y = sessions.alliance, sessions.outcome
    n_ratings = sessions.n_alliance
    if reverse:
        x, y, n_ratings = y, x, sessions.n_outcome
    target = sessions.row_at(lag)
    before = _reachable(sessions, sessions.row_at(min(0, lag - 1)))
    earlier = _mean_so_far(sessions.case, x)
    beyond = sessions.session + lag > _last_session(sessions)
    scored = np.isfinite(x)
    tests = {
        LAST: beyond,
        SKIPPED: target < 0,
        GAP: _reachable(sessions, target) < 0,
        NO_TARGET: ~np.isfinite(y[target]),
        NO_PRIOR: prior & ((before < 0) | ~np.isfinite(y[before])),
        FIRST: so_far & ~np.isfinite(earlier),
        NO_THERAPIST: therapists & (sessions.therapist[sessions.case] == ""),
    }
    lost, kept = {NOT_SCORED: n_ratings - int(scored.sum())}, scored
    for reason, fails in tests.items():
        lost[reason] = int((kept & fails).sum())
        kept = kept & ~fails
    case, code = np.unique(sessions.case[kept], return_inverse=True)
    return Pairs(
        lag=lag,
        names=sessions.names[case],
        case=code,
        session=sessions.session[kept],
        x=x[kept],
        y=y[target][kept],
        prior=y[before][kept] if prior else np.full(int(kept.sum()), np.nan),
        so_far=earlier[kept],
        therapist=sessions.therapist[case],
        n_ratings=n_ratings,
        n_cases_seen=len(np.unique(sessions.case[scored])),
        lost={reason: n for reason, n in lost.items() if n},
    )


def _reachable(sessions: Sessions, row: Array) -> Array:
    """Return `row`, -1 where a long gap lies between."""
    return np.where((row >= 0) & (sessions.stretch[row] == sessions.stretch), row, -1)


def _last_session(sessions: Sessions) -> Array:
    """Return the number of the last session of the case of each row."""
    ends = np.flatnonzero(np.diff(sessions.case, append=-1))
    return np.repeat(sessions.session[ends], np.diff(ends, prepend=-1))


def _mean_so_far(case: Array, values: Array) -> Array:
    """Return the mean of the earlier scores of the case, NaN where there is none."""
    scored = np.isfinite(values)
    middle = values[scored].mean() if scored.any() else 0.0
    above = np.where(scored, values - middle, 0.0)
    first = np.flatnonzero(np.diff(case, prepend=-1))
    lengths = np.diff(np.append(first, len(case)))
    before_total, before_n = np.cumsum(above) - above, np.cumsum(scored) - scored
    total = before_total - np.repeat(before_total[first], lengths)
    n = before_n - np.repeat(before_n[first], lengths)
    return np.where(n > 0, middle + total / np.maximum(n, 1), np.nan)
