"""What a report shows, as plain values: filled by the study, drawn by every renderer."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SeriesView:
    """One score of one rater over the sessions of a case; None = not scored, or no limit yet.

    Series of the same `measure` (such as "WAI-SR total") and range share a chart.
    """

    label: str
    rater: str
    low: float
    high: float
    sessions: tuple[int, ...]
    values: tuple[float | None, ...]
    limits: tuple[float | None, ...] = ()
    ruptures: tuple[int, ...] = ()
    repairs: tuple[int, ...] = ()
    measure: str = ""


@dataclass(frozen=True, kw_only=True)
class FlagView:
    """One finding in words: at which session, by which method, of which rater, and why."""

    session: int
    rater: str
    method: str
    finding: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """One line of the triage list, with the course behind it.

    `level` is REVIEW, WATCH, INSUFFICIENT_DATA or NO_FLAG. `rupture` is one short sentence on the latest
    rupture or its absence ("rupture at session 7, repaired at session 9", "none", "not enough data: 2 of 3").
    `seen` says when somebody acknowledged what fired, and why; empty = nobody, or something new fired since.
    `model` is what a fitted model says, in one sentence; empty = there is none, or it has no answer.
    """

    case: str
    session: int | None
    level: str
    points: int
    reasons: tuple[str, ...]
    prompts: tuple[str, ...]
    not_evaluable: tuple[str, ...]
    basis: str
    last_rating: float | None
    n_ratings: int
    rating_age: int | None
    rupture: str
    flags: tuple[FlagView, ...] = ()
    series: tuple[SeriesView, ...] = ()
    missed_before: tuple[int, ...] = ()
    seen: str = ""
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """A whole study: counts, the triage list in its order, and what a reader must know.

    `n_hidden` is how many cases of the study are not among `cases`; `alerts` are items that are read before
    any total, counted over the forms.
    """

    source: str
    forms: str
    synthetic: bool
    n_cases: int
    n_forms: int
    counts: dict[str, int]
    prevalence: str
    methods: tuple[str, ...]
    notes: tuple[str, ...]
    cases: tuple[CaseView, ...]
    n_hidden: int = 0
    alerts: tuple[str, ...] = ()
    footer: tuple[str, ...] = field(default=())
