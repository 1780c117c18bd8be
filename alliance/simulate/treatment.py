"""What happens around the forms: therapists, missed appointments, blank forms, dropout and other ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alliance.simulate.course import CourseSettings, PlantedCourses, rupture_courses

Array = np.ndarray[Any, Any]

ENDS = ("", "mutual_planned", "client_unilateral", "therapist_ended", "external", "unknown")
ABSENCES = ("", "no_show", "cancel_client", "cancel_client_late", "cancel_clinic")
THERAPIST_SD, CLIENT_SD = 0.35, 0.9


@dataclass(frozen=True, kw_only=True)
class DropoutSettings:
    """Attendance, missing ratings and ends. Logits are in between-person SDs of the alliance.

    Attributes
    ----------
    hazard : intercept and slopes on log session, level, deviation from the level, no-show before the session
    frailty_sd : SD of the case's own addition to the hazard logit, normal
    no_show : intercept and slope on the alliance; an appointment before the session, from session 2 on
    blank : intercept and slopes on the deviation from the trend and on the no-show
    censored : share of cases whose observation ends at random before the last planned session
    therapist_ended, external : probability per session of these ends, for those who do not drop out
    unknown : share of ended cases whose reason is recorded as unknown
    cancelled : probability that an appointment before the session was cancelled, if it was no no-show
    last_missed : share of dropouts with a no-show on record after their last session
    therapist_blank : probability that a therapist's form is blank
    cases_per_therapist : caseload of each therapist
    """

    hazard: tuple[float, float, float, float, float] = (-2.9, -0.55, -0.45, -0.60, 0.80)
    frailty_sd: float = 0.45
    no_show: tuple[float, float] = (-2.4, -0.35)
    blank: tuple[float, float, float] = (-2.6, -0.5, 0.6)
    censored: float = 0.10
    therapist_ended: float = 0.003
    external: float = 0.005
    unknown: float = 0.05
    cancelled: float = 0.04
    last_missed: float = 0.5
    therapist_blank: float = 0.05
    cases_per_therapist: int = 8


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a simulated study; see CourseSettings and DropoutSettings.

    `courses.shortest` and `courses.longest` are the planned numbers of sessions.
    """

    courses: CourseSettings = field(default_factory=lambda: CourseSettings(longest=20))
    dropout: DropoutSettings = field(default_factory=DropoutSettings)


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """The courses of a study, how they were attended, and how they ended.

    Attributes
    ----------
    courses : PlantedCourses
        As planned; `lengths` are the planned sessions.
    therapist : int, shape (cases,); therapist number, from 0
    therapist_effect, frailty, level : float, shape (cases,); between-person SDs, logits, between-person SDs
    alliance, deviation : float, shape (cases, sessions); between-person SDs: the alliance, and its departure
        from level and trend
    no_show : bool, shape (cases, sessions); an appointment directly before this session was not kept
    absence : int, shape (cases, sessions); place in ABSENCES of what came before this session
    blank, therapist_blank : bool, shape (cases, sessions); the form of that rater has no answer
    hazard : float, shape (cases, sessions); probability of dropout after this session, if one more is planned
    last : int, shape (cases,); last attended session
    dropout, ongoing, last_missed : bool, shape (cases,)
    end, recorded : int, shape (cases,); place in ENDS of the true and of the recorded reason
    """

    courses: PlantedCourses
    therapist: Array
    therapist_effect: Array
    frailty: Array
    level: Array
    alliance: Array
    deviation: Array
    no_show: Array
    absence: Array
    blank: Array
    therapist_blank: Array
    hazard: Array
    last: Array
    dropout: Array
    ongoing: Array
    last_missed: Array
    end: Array
    recorded: Array


def hazard_logit(
    *,
    session: Array,
    level: Array,
    within: Array,
    no_shows: Array,
    frailty: Array | float = 0.0,
    coefficients: tuple[float, ...] = DropoutSettings.hazard,
) -> Array:
    """Return the logit of dropping out directly after a session.

    Parameters
    ----------
    session : array
        Number of the session, from 1. All arguments are broadcast against each other.
    level, within : array
        The person's own level, and the alliance minus that level; between-person SDs.
    no_shows : array
        Appointments not kept since the session before.
    frailty : array
        The case's own addition, a logit.
    coefficients : tuple
        Intercept and slopes on log session, level, within, no-shows.

    Examples
    --------
    >>> round(float(hazard_logit(session=np.array(1), level=0, within=-1, no_shows=1)), 3)
    -1.5
    """
    constant, time, between, inner, missed = coefficients
    return np.asarray(
        constant + time * np.log(session) + between * level + inner * within + missed * no_shows + frailty
    )


def no_show_logit(alliance: Array, *, coefficients: tuple[float, float] = DropoutSettings.no_show) -> Array:
    """Return the logit of a missed appointment before a session; `alliance` in between-person SDs."""
    return np.asarray(coefficients[0] + coefficients[1] * alliance)


def blank_logit(
    deviation: Array, no_shows: Array, *, coefficients: tuple[float, float, float] = DropoutSettings.blank
) -> Array:
    """Return the logit of a blank client form; `deviation` from level and trend in between-person SDs."""
    return np.asarray(coefficients[0] + coefficients[1] * deviation + coefficients[2] * no_shows)


def treat(rng: np.random.Generator, *, n_cases: int, settings: Settings) -> Treatment:
    """Draw the treatments of a study: courses, attendance, blank forms and ends.

    Parameters
    ----------
    rng : Generator
        Every variable has a child stream of its own, so that more cases change none of the earlier ones.
    n_cases : int
        Number of cases.
    settings : Settings
        All distributions.

    Returns
    -------
    Treatment
        The alliance of a case is (course - mean level) / level SD, ruptures included. Sessions after the last
        attended one are drawn too and mean nothing.
    """
    streams = rng.spawn(7)
    therapist, effect, level = _levels(streams[0], n_cases, settings)
    points = settings.courses.level_mean + settings.courses.level_sd * level
    courses = rupture_courses(streams[1], n_cases=n_cases, settings=settings.courses, level=points)
    alliance = (courses.totals - settings.courses.level_mean) / settings.courses.level_sd
    deviation = (courses.noise + courses.rupture) / settings.courses.level_sd
    no_show, absence = _absences(streams[2], alliance, settings.dropout)
    blank = happens(streams[3], blank_logit(deviation, no_show, coefficients=settings.dropout.blank))
    frailty = settings.dropout.frailty_sd * streams[4].standard_normal(n_cases)
    hazard = logistic(
        hazard_logit(
            session=np.arange(1, alliance.shape[1] + 1),
            level=level[:, None],
            within=alliance - level[:, None],
            no_shows=no_show,
            frailty=frailty[:, None],
            coefficients=settings.dropout.hazard,
        )
    )
    ends = _ends(streams[5], hazard, courses.lengths, settings.dropout)
    return Treatment(
        courses=courses,
        therapist=therapist,
        therapist_effect=effect,
        frailty=frailty,
        level=level,
        alliance=alliance,
        deviation=deviation,
        no_show=no_show,
        absence=absence,
        blank=blank,
        therapist_blank=np.less(streams[6].random(blank.shape), settings.dropout.therapist_blank),
        hazard=hazard,
        **ends,
    )


def logistic(logit: Array) -> Array:
    """Return the probability of a logit."""
    return np.asarray(1 / (1 + np.exp(-logit)))


def happens(rng: np.random.Generator, logit: Array) -> Array:
    """Return where an event of that logit happens."""
    return rng.random(logit.shape) < logistic(logit)


def _levels(rng: np.random.Generator, n_cases: int, settings: Settings) -> tuple[Array, Array, Array]:
    """Return therapist number, therapist effect and level of each case; their joint SD is 1."""
    therapists, clients = rng.spawn(2)
    therapist = np.arange(n_cases) // settings.dropout.cases_per_therapist
    scale = np.hypot(THERAPIST_SD, CLIENT_SD)
    drawn = therapists.standard_normal(int(therapist.max(initial=-1)) + 1)
    effect = THERAPIST_SD / scale * drawn[therapist]
    return therapist, effect, effect + CLIENT_SD / scale * clients.standard_normal(n_cases)


def _absences(rng: np.random.Generator, alliance: Array, settings: DropoutSettings) -> tuple[Array, Array]:
    missed, cancelled, whose = rng.spawn(3)
    later = np.arange(alliance.shape[1]) > 0
    no_show = happens(missed, no_show_logit(alliance, coefficients=settings.no_show)) & later
    off = (cancelled.random(alliance.shape) < settings.cancelled) & later & ~no_show
    kind = whose.integers(2, len(ABSENCES), alliance.shape)
    return no_show, np.where(no_show, 1, np.where(off, kind, 0))


def _ends(
    rng: np.random.Generator, hazard: Array, planned: Array, settings: DropoutSettings
) -> dict[str, Array]:
    """Return when and why each case ended. Who is censored at a session is so whatever came next."""
    streams = rng.spawn(6)
    open_ = np.arange(1, hazard.shape[1] + 1) < planned[:, None]
    drop = _first((streams[0].random(hazard.shape) < hazard) & open_, planned)
    chance = np.asarray(streams[1].random(hazard.shape))
    compete = _first((chance < settings.therapist_ended + settings.external) & open_, planned)
    cut = 1 + np.floor(streams[2].random(len(planned)) * (planned - 1)).astype(int)
    censored = np.where(streams[3].random(len(planned)) < settings.censored, cut, planned)
    last = np.minimum(np.minimum(drop, compete), censored)
    ongoing = (censored == last) & (last < planned)
    dropout = (drop == last) & (last < planned) & ~ongoing
    by_therapist = chance[np.arange(len(last)), last - 1] < settings.therapist_ended
    other = np.where(by_therapist, ENDS.index("therapist_ended"), ENDS.index("external"))
    end = np.select([ongoing, last == planned, dropout], [0, 1, 2], other)
    unclear = (streams[4].random(len(last)) < settings.unknown) & ~ongoing
    missed = dropout & (streams[5].random(len(last)) < settings.last_missed)
    recorded = np.where(unclear, ENDS.index("unknown"), end)
    return {"last": last, "dropout": dropout, "ongoing": ongoing, "last_missed": missed} | {
        "end": end,
        "recorded": recorded,
    }


def _first(event: Array, otherwise: Array) -> Array:
    """Return the session of the first event of each case, or `otherwise`."""
    return np.where(event.any(axis=1), event.argmax(axis=1) + 1, otherwise)
