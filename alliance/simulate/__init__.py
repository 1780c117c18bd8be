"""Synthetic studies with planted ruptures and dropouts, as a user's file would hold them, and the truth."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.errors import UsageError, unknown_name
from alliance.scale import Scale, load_scale
from alliance.simulate.answers import alliance_share, answer_forms
from alliance.simulate.course import (
    DOMAINS,
    KINDS,
    CourseSettings,
    PlantedCourses,
    observe,
    outcome_shares,
    rupture_courses,
    therapist_courses,
)
from alliance.simulate.treatment import (
    ABSENCES,
    ENDS,
    DropoutSettings,
    Settings,
    Treatment,
    blank_logit,
    hazard_logit,
    no_show_logit,
    treat,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DOMAINS",
    "KINDS",
    "CourseSettings",
    "DropoutSettings",
    "PlantedCourses",
    "Settings",
    "Simulated",
    "Treatment",
    "blank_logit",
    "hazard_logit",
    "no_show_logit",
    "observe",
    "outcome_shares",
    "rupture_courses",
    "simulate",
    "therapist_courses",
    "to_csv",
    "treat",
]

Array = np.ndarray[Any, Any]

RATERS = ("client", "therapist")
FIRST_MONDAY = np.datetime64("2024-01-08")
INTAKE_WEEKS = 40
HOLIDAY = 0.05
DEFAULT = Settings()


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A synthetic study and its truth.

    Attributes
    ----------
    sessions : DataFrame
        One row per appointment and form, as a user's file: `case session date therapist rater attendance`,
        `scale` if there are several, `q1 … qk status end_reason synthetic`. A missed appointment has no
        session and no answers and is there once, for the client; a blank form has a session and no answers.
    truth : DataFrame
        One row per case: level, within-person SD, what was planted and when, how it really ended.
    latent : DataFrame
        One row per attended session: the alliance before rounding and clipping and its parts, the hazard.
    """

    sessions: pd.DataFrame
    truth: pd.DataFrame
    latent: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class _Study:
    """What all forms of a study share: dates, and the totals and their fall that each rater answers from."""

    treatment: Treatment
    days: Array
    holidays: Array
    client: tuple[Array, Array]
    therapist: tuple[Array, Array]
    outcome: Array


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Rows of one kind: answers are NaN where empty; `order` sorts the rows of one appointment."""

    case: Array
    session: Array
    day: Array
    attendance: Array
    rater: str
    scale: str
    order: int
    answers: Array


def simulate(
    *,
    cases: int = 200,
    seed: int = 0,
    scale: str | Scale | Sequence[str | Scale] = "wai-sr",
    raters: Sequence[str] = ("client",),
    settings: Settings = DEFAULT,
) -> Simulated:
    """Make a study with planted ruptures and dropouts, down to the answers of each item.

    Parameters
    ----------
    cases : int
        Number of cases, at least 1. The course of a case, its end and its answers do not change when cases
        are added (its code does once more digits are needed).
    seed : int
        0 or more; equal arguments give equal bytes.
    scale : str, Scale, or a sequence of them
        The forms, filled in at the same sessions. Several share one file with a `scale` column. A form whose
        construct is `outcome` gets a course of wellbeing and is filled in by clients only.
    raters : sequence of str
        `client` and `therapist`.
    settings : Settings
        All distributions.

    Returns
    -------
    Simulated
        The sessions, the truth of the cases, the truth of the sessions.

    Raises
    ------
    UsageError
        If a rater or scale is unknown, or `cases` or `seed` is out of range.

    Examples
    --------
    >>> study = simulate(cases=5, seed=1)
    >>> sorted(study.sessions["case"].unique())
    ['C01', 'C02', 'C03', 'C04', 'C05']
    """
    scales = _scales(scale)
    _check(cases, seed, raters)
    treatment = treat(_stream(seed, "treatment"), n_cases=cases, settings=settings)
    study = _study(seed, treatment, settings)
    blocks = [_missed(study, scales[0])]
    for form in scales:
        for rater in raters:
            if rater == "client" or form.construct != "outcome":
                rng = _stream(seed, f"{form.id}/{rater}")
                blocks.append(_filled(rng, study, form, rater=rater, order=len(blocks)))
    return Simulated(
        sessions=_sessions(blocks, treatment, scales),
        truth=_truth(treatment),
        latent=_latent(study),
    )


def to_csv(frame: pd.DataFrame) -> str:
    """Return a frame of a simulated study as CSV text: line feeds, ISO dates, truth to 4 decimals."""
    decimals = dict.fromkeys(frame.select_dtypes("float").columns, 4)
    text: str = frame.round(decimals).to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d")
    return text


def _scales(scale: str | Scale | Sequence[str | Scale]) -> list[Scale]:
    several = [scale] if isinstance(scale, str | Scale) else list(scale)
    forms = [form if isinstance(form, Scale) else load_scale(form) for form in several]
    mixed = [form.id for form in forms if form.item_ranges]
    if mixed:
        message = f"'{mixed[0]}' cannot be simulated: its items differ in range"
        raise UsageError(message, hint="simulate a form whose items are all answered alike")
    return forms


def _check(cases: int, seed: int, raters: Sequence[str]) -> None:
    for name, value, least in (("cases", cases, 1), ("seed", seed, 0)):
        if value < least:
            message = f"{name} must be {least} or more, got {value}"
            raise UsageError(message, hint="give a whole number")
    for rater in raters or [""]:
        if rater not in RATERS:
            what, hint = unknown_name("rater", rater, RATERS)
            raise UsageError(what, hint=hint)


def _stream(seed: int, name: str) -> np.random.Generator:
    """Return the child stream called `name`: a new stream changes none of the others."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),)))


def _study(seed: int, treatment: Treatment, settings: Settings) -> _Study:
    courses = treatment.courses
    days, holidays = _days(_stream(seed, "dates"), treatment)
    return _Study(
        treatment=treatment,
        days=days,
        holidays=holidays,
        client=(courses.totals, courses.rupture),
        therapist=therapist_courses(_stream(seed, "therapist"), courses, settings=settings.courses),
        outcome=outcome_shares(_stream(seed, "outcome"), treatment.deviation),
    )


def _attended(treatment: Treatment) -> Array:
    return np.asarray(np.arange(1, treatment.hazard.shape[1] + 1) <= treatment.last[:, None])


def _days(rng: np.random.Generator, treatment: Treatment) -> tuple[Array, Array]:
    """Return the date of each session, and where a week or two were left out before it.

    Appointments are weekly; one that was missed or cancelled takes a week of its own.
    """
    intake, weekday, gaps, longer = rng.spawn(4)
    shape = treatment.absence.shape
    start = 7 * intake.integers(0, INTAKE_WEEKS, shape[0]) + weekday.integers(0, 5, shape[0])
    holidays = (gaps.random(shape) < HOLIDAY) & (np.arange(shape[1]) > 0)
    weeks = 1 + (treatment.absence > 0) + holidays * longer.integers(1, 3, shape)
    elapsed = 7 * (np.cumsum(weeks, axis=1) - weeks[:, :1])
    return FIRST_MONDAY + (start[:, None] + elapsed).astype("timedelta64[D]"), holidays


def _missed(study: _Study, form: Scale) -> _Block:
    """Return one row for each appointment not kept: a week before a session, or a week after the last one."""
    treatment, days = study.treatment, study.days
    week = np.timedelta64(7, "D")
    before_case, before = np.nonzero(_attended(treatment) & (treatment.absence > 0))
    after_case = np.flatnonzero(treatment.last_missed)
    after_day = days[after_case, treatment.last[after_case] - 1] + week
    kinds = np.concatenate([treatment.absence[before_case, before], np.ones(len(after_case), dtype=int)])
    case = np.concatenate([before_case, after_case])
    return _Block(
        case=case,
        session=np.zeros(len(case), dtype=int),
        day=np.concatenate([days[before_case, before] - week, after_day]),
        attendance=np.array(ABSENCES, dtype=object)[kinds],
        rater="client",
        scale=form.id,
        order=0,
        answers=np.full((len(case), form.n_items), np.nan),
    )


def _filled(rng: np.random.Generator, study: _Study, form: Scale, *, rater: str, order: int) -> _Block:
    """Return one row for each attended session: the form that `rater` filled in, or left blank."""
    treatment = study.treatment
    present = _attended(treatment)
    share, fall = _shares(study, form, rater)
    domain = np.array(DOMAINS)[treatment.courses.domain]
    answers = answer_forms(rng, share=share, fall=fall, domain=domain, present=present, scale=form)
    blank = treatment.blank if rater == "client" else treatment.therapist_blank
    answers[blank[present]] = np.nan
    case, place = np.nonzero(present)
    return _Block(
        case=case,
        session=place + 1,
        day=study.days[case, place],
        attendance=np.full(len(case), "attended", dtype=object),
        rater=rater,
        scale=form.id,
        order=order,
        answers=answers,
    )


def _shares(study: _Study, form: Scale, rater: str) -> tuple[Array, Array]:
    if form.construct == "outcome":
        return study.outcome, np.zeros_like(study.outcome)
    total, rupture = study.client if rater == "client" else study.therapist
    share = alliance_share(total, form)
    return share, alliance_share(total - rupture, form) - share


def _sessions(blocks: list[_Block], treatment: Treatment, scales: list[Scale]) -> pd.DataFrame:
    import pandas as pd

    sizes = [len(block.case) for block in blocks]
    case = np.concatenate([block.case for block in blocks])
    day = np.concatenate([block.day for block in blocks])
    session = np.concatenate([block.session for block in blocks])
    rows = np.lexsort((np.repeat([block.order for block in blocks], sizes), day, case))
    rater = np.repeat(np.array([block.rater for block in blocks], dtype=object), sizes)
    columns: dict[str, Any] = {
        "case": _codes("C", len(treatment.last))[case],
        "session": pd.array(session, dtype="Int64"),
        "date": day.astype("datetime64[s]"),
        "therapist": _codes("T", int(treatment.therapist[-1]) + 1)[treatment.therapist[case]],
        "rater": rater,
        "attendance": np.concatenate([block.attendance for block in blocks]),
    }
    columns["session"][session == 0] = pd.NA
    if len(scales) > 1:
        columns["scale"] = np.repeat(np.array([block.scale for block in blocks], dtype=object), sizes)
    columns |= _answer_columns(blocks, whole=all(form.whole for form in scales))
    columns["status"] = np.where(treatment.ongoing, "ongoing", "ended").astype(object)[case]
    columns["end_reason"] = np.array(ENDS, dtype=object)[treatment.recorded[case]]
    columns["synthetic"] = "true"
    return pd.DataFrame(columns).take(rows).reset_index(drop=True)


def _answer_columns(blocks: list[_Block], *, whole: bool) -> dict[str, Any]:
    import pandas as pd

    widest = max(block.answers.shape[1] for block in blocks)
    padded = [
        np.pad(block.answers, ((0, 0), (0, widest - block.answers.shape[1])), constant_values=np.nan)
        for block in blocks
    ]
    answers = np.concatenate(padded)
    columns = {f"q{item + 1}": pd.Series(answers[:, item]) for item in range(widest)}
    return {name: column.astype("Int64") for name, column in columns.items()} if whole else columns


def _codes(letter: str, count: int) -> Array:
    """Return C01, C02, … with as many digits as the last one needs, two at least."""
    digits = max(2, len(str(count)))
    return np.array([f"{letter}{number:0{digits}d}" for number in range(1, count + 1)], dtype=object)


def _truth(treatment: Treatment) -> pd.DataFrame:
    import pandas as pd

    courses = treatment.courses
    n_cases = len(treatment.last)
    onset = pd.array(courses.onset, dtype="Int64")
    onset[courses.kind == 0] = pd.NA
    return pd.DataFrame(
        {
            "case": _codes("C", n_cases),
            "therapist": _codes("T", int(treatment.therapist[-1]) + 1)[treatment.therapist],
            "level": courses.level,
            "slope": courses.slope,
            "within_sd": courses.within_sd,
            "rupture": np.array(KINDS, dtype=object)[courses.kind],
            "onset": onset,
            "reached": (courses.kind > 0) & (courses.onset <= treatment.last),
            "depth_sd": courses.depth_sd,
            "depth": courses.depth,
            "domain": np.where(courses.kind > 0, np.array(DOMAINS, dtype=object)[courses.domain], ""),
            "dropout": treatment.dropout,
            "end_reason": np.array(ENDS, dtype=object)[treatment.end],
            "last_session": treatment.last,
            "planned_sessions": courses.lengths,
            "therapist_effect": treatment.therapist_effect,
            "frailty": treatment.frailty,
            "synthetic": "true",
        }
    )


def _latent(study: _Study) -> pd.DataFrame:
    """Return the truth of each attended session; `at_risk` is the risk set, `dropped` what happened there."""
    import pandas as pd

    treatment = study.treatment
    case, place = np.nonzero(_attended(treatment))
    at = (case, place)
    final = place + 1 == treatment.last[case]
    last_planned = place + 1 == treatment.courses.lengths[case]
    level = treatment.level[case]
    return pd.DataFrame(
        {
            "case": _codes("C", len(treatment.last))[case],
            "session": place + 1,
            "total": treatment.courses.totals[at],
            "trend": treatment.courses.trend[at],
            "noise": treatment.courses.noise[at],
            "fall": -treatment.courses.rupture[at],
            "level": level,
            "within": treatment.alliance[at] - level,
            "deviation": treatment.deviation[at],
            "no_show": treatment.no_show[at],
            "gap": study.holidays[at],
            "blank": treatment.blank[at],
            "hazard": treatment.hazard[at],
            "at_risk": ~last_planned & ~(final & treatment.ongoing[case]),
            "dropped": final & treatment.dropout[case],
            "therapist_total": study.therapist[0][at],
            "outcome": study.outcome[at],
            "synthetic": "true",
        }
    )
