"""A synthetic service: treatments with alliance ratings, missed appointments, and dropout of known hazard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.simulate.treatment import (
    DropoutSettings,
    blank_logit,
    happens,
    hazard_logit,
    logistic,
    no_show_logit,
)

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]

REASONS = ("", "mutual_planned", "client_unilateral", "therapist_ended", "external")
"""Recorded reasons of an end; a code is a place in this tuple, 0 = still in treatment."""

ONGOING, PLANNED, DROPOUT, THERAPIST_ENDED, EXTERNAL = range(len(REASONS))

THERAPIST_SD, CLIENT_SD = 0.35, 0.9
SLOPE_MEAN, SLOPE_SD = 0.04, 0.10
NOISE_SD, NOISE_PHI = 0.6, 0.3
RATING_MEAN, RATING_SD, RATING_MAX = 36.0, 2.6, 40.0
SHORTEST, LONGEST = 8, 20
THERAPIST_SHARE = 3 / 8
DATA_CUT = np.datetime64("2026-06-30")
SETTLED_DAYS = 35
INTAKE_DAYS = 400
ITEMS = ("q1", "q2", "q3", "q4")


@dataclass(frozen=True, kw_only=True)
class Service:
    """All treatments of a synthetic service and their truth, one treatment a client.

    Sessions are columns, the first one first; what stands after the last attended session was drawn too and
    means nothing. The alliance is in units of its spread between clients, of which 2.6 points make one.

    Attributes
    ----------
    therapist : int, shape (clients,); number of the therapist, from 0
    therapist_effect, frailty : float, shape (clients,); the therapist's share of the level; addition to the
        hazard logit
    level, slope : float, shape (clients,); at session 1, and a session
    planned, last : int, shape (clients,); planned sessions, last attended session
    end : int8, shape (clients,); place in REASONS
    last_missed : bool, shape (clients,); an appointment was missed without notice after the last session
    alliance, deviation : float, shape (clients, sessions); and its departure from level and slope
    no_show : bool, shape (clients, sessions); an appointment directly before this session was missed
    total : float, shape (clients, sessions); rating in points of 0 to 40, steps of 0.1
    blank : bool, shape (clients, sessions); this session has no rating
    hazard : float, shape (clients, sessions); probability of dropout after the session if one more is planned
    """

    therapist: Array
    therapist_effect: Array
    frailty: Array
    level: Array
    slope: Array
    planned: Array
    last: Array
    end: Array
    last_missed: Array
    alliance: Array
    deviation: Array
    no_show: Array
    total: Array
    blank: Array
    hazard: Array

    @cached_property
    def dropout(self) -> Array:
        """Whether the client dropped out after the last session, shape (clients,)."""
        return np.asarray(self.end == DROPOUT)

    @cached_property
    def ongoing(self) -> Array:
        """Whether observation ended before the treatment did, shape (clients,)."""
        return np.asarray(self.end == ONGOING)

    @cached_property
    def attended(self) -> Array:
        """Which sessions were attended, shape (clients, sessions)."""
        return np.asarray(np.arange(1, self.total.shape[1] + 1) <= self.last[:, None])


def service(
    n_clients: int,
    seed: int,
    *,
    frailty_sd: float = 0.45,
    clients_per_therapist: int = 8,
    frailty_of: str = "therapist",
    censored: float = 0.10,
    competing: float = 0.0,
    last_missed: float = DropoutSettings.last_missed,
) -> Service:
    """Draw a service.

    Therapist effect v ~ N(0, .35²); level u ~ N(v, .9²), slope g ~ N(.04, .10²), noise e AR(1) with phi .3
    and innovations N(0, .6²), stationary from the first session; alliance a = u + g(t - 1) + e; rating
    36 + 2.6a within 0 to 40. No-show logit -2.4 - .35a from session 2 on; planned sessions uniform on 8 to
    20; blank logit -2.6 - .5e + .6 no-show; hazard logit -2.9 - .55 log t - .45u - .60(a - u) + .80 no-show
    + w. All of it is assumed, and no evidence about anybody.

    Parameters
    ----------
    n_clients : int
        Number of clients, 0 or more. The first clients of a larger service are those of a smaller one.
    seed : int
        0 or more.
    frailty_sd : float
        SD of w, a logit.
    clients_per_therapist : int
        Caseload; the last therapist may have fewer.
    frailty_of : {"therapist", "client"}
        Whose w is.
    censored : float
        Share of clients whose observation ends after a session that is uniform on 1 to planned - 1, unless
        they have dropped out before; they are ongoing, whatever would have come after that session.
    competing : float
        Probability after each session of an end by the therapist (3 in 8 of them) or by circumstances.
    last_missed : float
        Share of dropouts who missed an appointment after their last session.

    Examples
    --------
    >>> drawn = service(3, seed=1)
    >>> drawn.total.shape, drawn.planned.min() >= 8
    ((3, 20), np.True_)
    """
    _require(frailty_of, clients_per_therapist)
    streams = np.random.default_rng(seed).spawn(9)
    therapist = np.arange(n_clients) // clients_per_therapist
    effect = THERAPIST_SD * _each(streams[0], therapist, "therapist")
    level = effect + CLIENT_SD * streams[1].standard_normal(n_clients)
    slope = SLOPE_MEAN + SLOPE_SD * streams[2].standard_normal(n_clients)
    frailty = frailty_sd * _each(streams[3], therapist, frailty_of)
    deviation = _noise(streams[4], n_clients)
    alliance = level[:, None] + slope[:, None] * np.arange(LONGEST) + deviation
    no_show = happens(streams[5], no_show_logit(alliance))
    no_show[:, 0] = False
    hazard = _hazard(alliance, level, no_show, frailty)
    return Service(
        therapist=therapist,
        therapist_effect=effect,
        frailty=frailty,
        level=level,
        slope=slope,
        alliance=alliance,
        deviation=deviation,
        no_show=no_show,
        total=np.round(np.clip(RATING_MEAN + RATING_SD * alliance, 0, RATING_MAX), 1),
        blank=happens(streams[6], blank_logit(deviation, no_show)),
        hazard=hazard,
        **_ends(streams[7], hazard, censored=censored, competing=competing, last_missed=last_missed),
    )


def _require(frailty_of: str, clients_per_therapist: int) -> None:
    if frailty_of not in {"therapist", "client"}:
        message = f"frailty_of must be 'therapist' or 'client', got '{frailty_of}'"
        raise ValueError(message)
    if clients_per_therapist < 1:
        message = f"clients_per_therapist must be 1 or more, got {clients_per_therapist}"
        raise ValueError(message)


def _each(rng: np.random.Generator, therapist: Array, whose: str) -> Array:
    """Return a standard normal number for each client, the same for all of a therapist if it is theirs."""
    if whose == "client":
        return rng.standard_normal(len(therapist))
    return rng.standard_normal(int(therapist.max(initial=-1)) + 1)[therapist]


def _noise(rng: np.random.Generator, n_clients: int) -> Array:
    noise = NOISE_SD * rng.standard_normal((n_clients, LONGEST))
    noise[:, 0] /= np.sqrt(1 - NOISE_PHI**2)
    for place in range(1, LONGEST):
        noise[:, place] += NOISE_PHI * noise[:, place - 1]
    return noise


def _hazard(alliance: Array, level: Array, no_show: Array, frailty: Array) -> Array:
    return logistic(
        hazard_logit(
            session=np.arange(1, LONGEST + 1),
            level=level[:, None],
            within=alliance - level[:, None],
            no_shows=no_show,
            frailty=frailty[:, None],
        )
    )


def _ends(
    rng: np.random.Generator, hazard: Array, *, censored: float, competing: float, last_missed: float
) -> dict[str, Array]:
    """Return planned sessions, last session, and why it was the last."""
    streams = rng.spawn(7)
    n_clients = len(hazard)
    planned = streams[0].integers(SHORTEST, LONGEST + 1, n_clients)
    open_ = np.arange(1, LONGEST + 1) < planned[:, None]
    drop = _first((streams[1].random(hazard.shape) < hazard) & open_, planned)
    other = _first((streams[2].random(hazard.shape) < competing) & open_, planned)
    cut = 1 + np.floor(streams[3].random(n_clients) * (planned - 1)).astype(np.int64)
    cut = np.where(streams[4].random(n_clients) < censored, cut, planned)
    last = np.minimum(np.minimum(drop, other), cut)
    by_therapist = streams[5].random(n_clients) < THERAPIST_SHARE
    end = np.select(
        [last == planned, cut == last, drop == last],
        [PLANNED, ONGOING, DROPOUT],
        np.where(by_therapist, THERAPIST_ENDED, EXTERNAL),
    )
    return {
        "planned": planned,
        "last": last,
        "end": end.astype(np.int8),
        "last_missed": (end == DROPOUT) & (streams[6].random(n_clients) < last_missed),
    }


def _first(event: Array, otherwise: Array) -> Array:
    """Return the session of the first event of each client, or `otherwise`."""
    return np.where(event.any(axis=1), event.argmax(axis=1) + 1, otherwise)


def service_frames(drawn: Service, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return a service as the three tables a clinic would export: treatments, appointments, ratings.

    Appointments are weekly; a missed one takes a week of its own. Data were cut off on one day. Who is
    ongoing attended the last session in the week before and has the next one booked; all others ended at
    least five weeks before.

    Parameters
    ----------
    drawn : Service
        What was drawn.
    seed : int
        Decides dates and the parts of each total.

    Returns
    -------
    treatments : `client_id episode_id therapist_id start_date status end_reason end_reason_source
        planned_sessions observed_until synthetic`, one row a client
    appointments : `case session date attendance synthetic`, in order; a missed one has no session number
    ratings : `case session date therapist rater q1 q2 q3 q4 synthetic`, one row per attended session, answers
        empty where there is no rating

    Examples
    --------
    >>> treatments, appointments, ratings = service_frames(service(2, seed=1))
    >>> treatments["client_id"].tolist()
    ['C01', 'C02']
    """
    dates = session_dates(drawn, seed)
    return _treatments(drawn, dates), _appointments(drawn, dates), _ratings(_stream(seed, 1), drawn, dates)


def service_truth(drawn: Service) -> pd.DataFrame:
    """Return what was drawn for each client and cannot be seen in the tables, one row a client."""
    import pandas as pd

    return pd.DataFrame(
        {
            "case": _codes("C", len(drawn.last)),
            "therapist_effect": drawn.therapist_effect,
            "frailty": drawn.frailty,
            "level": drawn.level,
            "slope": drawn.slope,
            "hazard_at_last": drawn.hazard[np.arange(len(drawn.last)), drawn.last - 1],
            "last_session": drawn.last,
            "planned_sessions": drawn.planned,
            "dropout": drawn.dropout,
            "end_reason": np.array(REASONS, dtype=object)[drawn.end],
            "synthetic": "true",
        }
    )


def _stream(seed: int, which: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(which,)))


def _codes(letter: str, count: int) -> Array:
    digits = max(2, len(str(count)))
    return np.array([f"{letter}{number:0{digits}d}" for number in range(1, count + 1)], dtype=object)


def session_dates(drawn: Service, seed: int = 0) -> Array:
    """Return the day of each session, datetime64[D], shape (clients, sessions), as in `service_frames`."""
    rng = _stream(seed, 0)
    n_clients = len(drawn.last)
    elapsed = 7 * (np.cumsum(1 + drawn.no_show, axis=1) - 1)
    lately = rng.integers(0, 7, n_clients)
    before = np.where(drawn.ongoing, lately, SETTLED_DAYS + lately + rng.integers(0, INTAKE_DAYS, n_clients))
    final = elapsed[np.arange(n_clients), drawn.last - 1]
    days: Array = DATA_CUT + (elapsed - (final + before)[:, None]).astype("timedelta64[D]")
    return days


def _treatments(drawn: Service, dates: Array) -> pd.DataFrame:
    import pandas as pd

    n_clients = len(drawn.last)
    therapists = _codes("T", int(drawn.therapist.max(initial=-1)) + 1)
    return pd.DataFrame(
        {
            "client_id": _codes("C", n_clients),
            "episode_id": "1",
            "therapist_id": therapists[drawn.therapist],
            "start_date": dates[:, 0].astype("datetime64[s]"),
            "status": np.where(drawn.ongoing, "ongoing", "ended").astype(object),
            "end_reason": np.array(REASONS, dtype=object)[drawn.end],
            "end_reason_source": np.where(drawn.ongoing, "", "therapist").astype(object),
            "planned_sessions": drawn.planned,
            "observed_until": np.full(n_clients, DATA_CUT).astype("datetime64[s]"),
            "synthetic": "true",
        }
    )


def _appointments(drawn: Service, dates: Array) -> pd.DataFrame:
    import pandas as pd

    week = np.timedelta64(7, "D")
    case, place = np.nonzero(drawn.attended)
    before_case, before = np.nonzero(drawn.attended & drawn.no_show)
    after = np.flatnonzero(drawn.last_missed | drawn.ongoing)
    day = np.concatenate(
        [dates[case, place], dates[before_case, before] - week, dates[after, drawn.last[after] - 1] + week]
    )
    kinds = [
        np.full(len(case), "attended", dtype=object),
        np.full(len(before), "no_show", dtype=object),
        np.where(drawn.ongoing[after], "scheduled", "no_show").astype(object),
    ]
    session = pd.array(
        np.concatenate([place + 1, np.zeros(len(before) + len(after), dtype=int)]), dtype="Int64"
    )
    session[len(case) :] = pd.NA
    who = np.concatenate([case, before_case, after])
    frame = pd.DataFrame(
        {
            "case": _codes("C", len(drawn.last))[who],
            "session": session,
            "date": day.astype("datetime64[s]"),
            "attendance": np.concatenate(kinds),
            "synthetic": "true",
        }
    )
    return frame.take(np.lexsort((day, who))).reset_index(drop=True)


def _ratings(rng: np.random.Generator, drawn: Service, dates: Array) -> pd.DataFrame:
    import pandas as pd

    case, place = np.nonzero(drawn.attended)
    answers = _parts(rng, np.rint(10 * drawn.total[case, place]).astype(np.int64)) / 10
    answers[:, drawn.blank[case, place]] = np.nan
    therapists = _codes("T", int(drawn.therapist.max(initial=-1)) + 1)
    return pd.DataFrame(
        {
            "case": _codes("C", len(drawn.last))[case],
            "session": place + 1,
            "date": dates[case, place].astype("datetime64[s]"),
            "therapist": therapists[drawn.therapist[case]],
            "rater": "client",
            **dict(zip(ITEMS, answers, strict=True)),
            "synthetic": "true",
        }
    )


def _parts(rng: np.random.Generator, tenths: Array) -> Array:
    """Return four answers of 0 to 100 that add up to each total of 0 to 400, shape (4, totals)."""
    pair = _half(rng, tenths, most=200, spread=6.0)
    first, third = (_half(rng, each, most=100, spread=5.0) for each in (pair, tenths - pair))
    return np.stack([first, pair - first, third, tenths - pair - third])


def _half(rng: np.random.Generator, whole: Array, *, most: int, spread: float) -> Array:
    """Return about half of each number, so that both halves lie within 0 and `most`."""
    near = np.rint(whole / 2 + spread * rng.standard_normal(len(whole))).astype(np.int64)
    return np.clip(near, np.maximum(0, whole - most), np.minimum(whole, most))
