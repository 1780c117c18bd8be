"""What a run found → the view that every report is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.dropout.verdicts import with_points
from alliance.report.view import CaseView, FlagView, SeriesView, StudyView
from alliance.report.words import chances
from alliance.rupture import Run
from alliance.rupture.chance import Chance
from alliance.rupture.findings import NOT_ENOUGH_DATA, Judged, flag_columns
from alliance.rupture.verdict import LATE, OUTCOMES
from alliance.scale import Scale
from alliance.study.passes import Block, Spill, chosen

if TYPE_CHECKING:
    from alliance.study.judging import Judge
    from alliance.study.risks import Booked, RiskList

Array = np.ndarray[Any, Any]

SHOWN = 100
"""Cases drawn in a report, in triage order; the tables hold all."""


BY_RULES = "Dropout risk: DRF-1, transparent rules; an ordinal level, never a probability."
BY_MODEL = (
    "Dropout risk: level and order by a fitted model where it has an answer, else by DRF-1; points and "
    "reasons are those of DRF-1, transparent rules."
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a report says about the study as a whole."""

    source: str
    n_forms: int
    scales: tuple[Scale, ...]
    synthetic: bool
    alerts: tuple[str, ...]
    notes: tuple[str, ...]
    chances: Mapping[str, Chance]


@dataclass(frozen=True, kw_only=True)
class Story:
    """What the method said about one case: its findings, its courses, and the latest in one line."""

    flags: tuple[FlagView, ...] = ()
    series: tuple[SeriesView, ...] = ()
    rupture: str = "not enough data: no form"


def view_of(
    facts: Facts, risks: RiskList, spill: Spill, judge: Judge, booked: Booked | None = None
) -> StudyView:
    """Return the view of a study: all counts, and its first cases in triage order with their courses."""
    columns = risks.columns
    shown = [risks.where[place] for place in risks.order[:SHOWN]]
    within = [place for place, where in enumerate(shown) if where[0] >= 0]
    stories: dict[int, Story] = {}
    for places, block in chosen(spill, [shown[place] for place in within]):
        found = _stories(judge(block), block, judge.scale)
        stories |= {within[place]: found[number] for number, place in enumerate(places)}
    general = lacking_everywhere(columns)
    return StudyView(
        source=facts.source,
        forms=", ".join(_form(scale) for scale in facts.scales),
        synthetic=facts.synthetic,
        n_cases=len(risks.where),
        n_forms=facts.n_forms,
        counts=risks.counts,
        prevalence=_prevalence(facts.chances),
        methods=(
            *(_method(run) for run in judge.runs),
            BY_MODEL if risks.orders else BY_RULES,
        ),
        notes=(*facts.notes, *told_lacking(general)),
        cases=tuple(
            case_view(columns, place, story=stories.get(place, Story()), general=general, booked=booked)
            for place in range(len(shown))
        ),
        n_hidden=len(risks.where) - len(shown),
        alerts=facts.alerts,
    )


def _form(scale: Scale) -> str:
    mark = " (provisional key)" if scale.status == "provisional" else ""
    return f"{scale.id}{mark}"


def _prevalence(chances: Mapping[str, Chance]) -> str:
    """Return what each method found beside what chance gives; its name where there are several."""
    if len(chances) == 1:
        return "".join(f"{chance}." for chance in chances.values())
    return " ".join(f"{name}: {chance}." for name, chance in chances.items())


def _method(run: Run) -> str:
    subject = run.subject
    settings = "".join(f", {name} {value}" for name, value in run.given.items())
    priors = "; ".join(f"{rater}: {measure.prior}" for rater, measure in run.measures.items())
    warning = f" {run.method.warning}" if run.method.warning else ""
    about = f"{run.method.name} on the {subject.column} of {subject.form}{settings}"
    return f"Ruptures: {about} ({priors}).{warning}"


def lacking_everywhere(columns: Mapping[str, Array]) -> tuple[str, ...]:
    """Return what could not be evaluated for any case with a rating: told once, not case by case."""
    rated = set(columns["not_evaluable"][columns["n_ratings"] > 0])
    lists = [_split(text) for text in sorted(rated)]
    return tuple(entry for entry in lists[0] if all(entry in each for each in lists)) if lists else ()


def told_lacking(general: tuple[str, ...]) -> list[str]:
    """Return the note on what could not be evaluated for any case, or none."""
    return [f"not evaluable for any case: {'; '.join(general)}"] if general else []


def case_view(
    columns: Mapping[str, Array],
    place: int,
    *,
    story: Story,
    general: tuple[str, ...] = (),
    booked: Booked | None = None,
) -> CaseView:
    """Return one row of a Risk table as reports show it; what is `general` is not told case by case."""
    row = {name: values[place] for name, values in columns.items()}
    age = row["rating_age"]
    return CaseView(
        case=str(row["case"]),
        session=int(row["session"]),
        level=str(row["level"]),
        points=int(row["points"]),
        reasons=tuple(map(with_points, _split(row["reasons"]))),
        prompts=_split(row["prompts"]),
        not_evaluable=tuple(entry for entry in _split(row["not_evaluable"]) if entry not in general),
        basis="" if row["basis"] == "ratings" else str(row["basis"]),
        last_rating=_number(row["last_rating"]),
        n_ratings=int(row["n_ratings"]),
        rating_age=None if np.isnan(age) else int(age),
        rupture=story.rupture,
        flags=story.flags,
        series=story.series,
        missed_before=() if booked is None else booked.missed(str(row["case"])),
        seen=str(row.get("seen", "")),
        model=model_words(row) if "model" in row else "",
    )


def model_words(row: Mapping[str, Any]) -> str:
    """Return what a model says of a case in one sentence; empty where it has no answer.

    >>> row = {"model": "validated", "p_next": 0.071, "p_3": 0.18, "model_why": "raises: session 2"}
    >>> model_words({**row, "outside": "", "level": "REVIEW", "rules_level": "REVIEW"})
    'model (validated): 7 % before the next session, 18 % within three; raises: session 2'
    """
    if not row["model"]:
        return ""
    parts = [chances(row["p_next"], row["p_3"])]
    parts += [text for text in (row["model_why"], row["outside"]) if text]
    if row["level"] != row["rules_level"]:
        parts.append(f"the rules alone: {row['rules_level']}")
    return f"model ({row['model']}): {'; '.join(parts)}"


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in str(text).split("; ") if part)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _stories(judged: list[Judged], block: Block, scale: Scale) -> dict[int, Story]:
    """Return the story of every case of a block, by its place."""
    flags = flag_columns(judged, block.cases)
    cases = flags["case"].tolist()
    found = {}
    for place, name in enumerate(block.cases.tolist()):
        found[place] = Story(
            flags=tuple(_flag(flags, row) for row, case in enumerate(cases) if case == name),
            series=tuple(series for each in judged for series in _series(each, place, scale)),
            rupture=_latest(judged, place, scale.perspective),
        )
    return found


def _flag(flags: Mapping[str, Any], row: int) -> FlagView:
    return FlagView(
        session=int(flags["session"][row]),
        rater=str(flags["rater"][row]),
        method=str(flags["method"][row]),
        finding=str(flags["finding"][row]),
        reason=str(flags["reason"][row]).removeprefix(f"{NOT_ENOUGH_DATA}: "),
    )


def _series(judged: Judged, place: int, scale: Scale) -> list[SeriesView]:
    series = np.flatnonzero(judged.place == place)
    if not len(series):
        return []
    start, length = judged.courses.starts[series[0]], judged.courses.lengths[series[0]]
    rows = slice(start, start + length)
    episodes = judged.verdict.episodes
    healed = episodes.end[(episodes.series == series[0]) & (episodes.outcome <= LATE)]
    sessions = judged.courses.session
    return [
        SeriesView(
            label=judged.rater,
            measure=f"{scale.id} total",
            rater=judged.rater,
            low=judged.measure.low,
            high=judged.measure.high,
            sessions=tuple(sessions[rows].tolist()),
            values=tuple(_number(value) for value in judged.courses.values[rows]),
            limits=tuple(_number(value) for value in judged.verdict.limit[rows]),
            ruptures=tuple(sessions[rows][judged.verdict.met[rows] == 1].tolist()),
            repairs=tuple(sessions[healed].tolist()),
        )
    ]


def _latest(judged: list[Judged], place: int, perspective: str) -> str:
    """Return the latest rupture of a case in one line: the client's own course first.

    A method that looks at whole courses does not speak about a case as of today.
    """
    if not judged[0].method.online:
        return f"not told: {judged[0].method.name} looks back on whole courses"
    told = sorted(judged, key=lambda each: each.rater != perspective)
    lines = [_line(each, series) for each in told for series in np.flatnonzero(each.place == place)]
    if not lines:
        return f"{NOT_ENOUGH_DATA}: no session that {judged[0].method.name} can judge"
    own, others = lines[0], [line for line in lines[1:] if line.startswith(judged[0].method.finding)]
    raters = [each.rater for each in told for _ in np.flatnonzero(each.place == place)]
    extra = [f"{rater}: {line}" for rater, line in zip(raters[1:], lines[1:], strict=True) if line in others]
    return "; ".join([own, *extra])


def _line(judged: Judged, series: Any) -> str:
    verdict, session = judged.verdict, judged.courses.session
    mine = np.flatnonzero(verdict.episodes.series == series)
    if len(mine):
        last = mine[-1]
        onset, end = session[verdict.episodes.onset[last]], verdict.episodes.end[last]
        outcome = OUTCOMES[verdict.episodes.outcome[last]]
        words = {"censored": "not repaired so far", "unrepaired": "not repaired"}
        after = words.get(outcome, f"repaired{' late' * (outcome == 'late')} at session {session[end]}")
        return f"{judged.method.finding} at session {onset}, {after}"
    rows = slice(
        judged.courses.starts[series], judged.courses.starts[series] + judged.courses.lengths[series]
    )
    if np.isfinite(verdict.met[rows]).any():
        return "none flagged"
    n_scored = int(np.isfinite(judged.courses.values[rows]).sum())
    return f"{NOT_ENOUGH_DATA}: {max(n_scored - 1, 0)} of {verdict.needed} earlier scores"
