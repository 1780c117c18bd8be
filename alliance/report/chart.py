"""The geometry of a course chart: pure functions from views to numbers and SVG path strings.

A chart is a fixed drawing of `WIDTH` by `HEIGHT` units. Above the plot stand three rows, one for
each kind of event, so that a mark has a shape and a word and never hides a rating.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from alliance.report.view import CaseView, SeriesView
from alliance.report.words import clean, number

WIDTH, HEIGHT = 440, 236
LEFT, RIGHT, TOP, BOTTOM = 62.0, 430.0, 68.0, 200.0
ROWS = {"rupture": 14.0, "repair": 33.0, "missed": 52.0}
MARK = 5.0
NICE = (1.0, 2.0, 5.0, 10.0)

Point = tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series as paths; `style` counts the lines of a chart from 0."""

    label: str
    style: int
    path: str
    dots: str
    limit: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One event: its kind (rupture, repair, missed), where it stands, its path, and in words."""

    kind: str
    x: str
    path: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """The numbers behind a chart: a head, and one row for each session."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Column(NamedTuple):
    """One column of a table: its head, its cells by session, and what stands where there is none."""

    head: str
    cells: dict[int, str]
    absent: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Everything a template needs to draw one chart and to say what it shows."""

    title: str
    description: str
    low: str
    high: str
    y_ticks: tuple[tuple[str, str], ...]
    x_ticks: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    table: Table

    @property
    def has_limit(self) -> bool:
        """Tell whether any line has a limit to draw."""
        return any(line.limit for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class Plane:
    """From sessions and scores to drawing units; x keeps half a session free on both sides."""

    first: int
    last: int
    low: float
    high: float

    def x(self, session: float) -> float:
        """Return the horizontal place of a session."""
        return project(session, self.first - 0.5, self.last + 0.5, LEFT, RIGHT)

    def y(self, score: float) -> float:
        """Return the vertical place of a score; a higher score is higher up."""
        return project(score, self.low, self.high, BOTTOM, TOP)

    @property
    def step(self) -> float:
        """Return the width of one session."""
        return (RIGHT - LEFT) / (self.last - self.first + 1)


def project(value: float, low: float, high: float, start: float, end: float) -> float:
    """Map `low` to `start` and `high` to `end`, linearly; an empty range maps to the middle.

    >>> project(3, 1, 5, 0, 100), project(3, 3, 3, 0, 100)
    (50.0, 50.0)
    """
    if high == low:
        return (start + end) / 2
    return start + (value - low) / (high - low) * (end - start)


def px(value: float) -> str:
    """Return a length to a tenth of a unit, as short as it can be written.

    >>> px(12.04), px(12.06), px(-0.01)
    ('12', '12.1', '0')
    """
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def nice_step(span: float, most: int) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that cuts `span` into at most `most` parts.

    >>> nice_step(40, 5), nice_step(4, 5), nice_step(0.7, 5)
    (10.0, 1.0, 0.2)
    """
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(nice * power for nice in NICE if nice * power * most >= span * (1 - 1e-9))


def score_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return both ends of a score's range and the round numbers that keep clear of them.

    >>> score_ticks(1, 5), score_ticks(12, 84)
    ((1.0, 2.0, 3.0, 4.0, 5.0), (12.0, 40.0, 60.0, 84.0))
    """
    step = nice_step(high - low, 6)
    inner = (i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1))
    clear = (tick for tick in inner if min(tick - low, high - tick) > 0.6 * step)
    return (float(low), *clear, float(high)) if high > low else (float(low),)


def session_ticks(first: int, last: int) -> tuple[int, ...]:
    """Return the sessions that get a number: all of them up to 12, else round ones.

    >>> session_ticks(1, 4), session_ticks(1, 30)
    ((1, 2, 3, 4), (5, 10, 15, 20, 25, 30))
    """
    step = max(int(nice_step(last - first + 1, 12)), 1)
    return tuple(range(math.ceil(first / step) * step, last + 1, step))


def line_path(points: Iterable[Point]) -> str:
    """Return a path through `points` that breaks where there is none; a lone point draws no line.

    >>> line_path([(0, 0), (1, 2), None, (3, 3), None, (5, 5), (6, 5)])
    'M0 0L1 2M5 5L6 5'
    """
    runs = (list(run) for scored, run in groupby(points, lambda point: point is not None) if scored)
    return "".join("M" + "L".join(_at(*point) for point in run if point) for run in runs if len(run) > 1)


def dot_path(points: Iterable[Point]) -> str:
    """Return a path of one dot for each point: the line cap is what shows.

    >>> dot_path([(0, 0), None, (1, 2)])
    'M0 0h0M1 2h0'
    """
    return "".join(f"M{_at(*point)}h0" for point in points if point)


def limit_path(points: Iterable[Point], half: float) -> str:
    """Return a path of one level dash for each limit: a limit holds for its session alone.

    >>> limit_path([None, (10, 5)], 4)
    'M6 5H14'
    """
    return "".join(f"M{_at(x - half, y)}H{px(x + half)}" for x, y in filter(None, points))


def mark_path(kind: str, x: float) -> str:
    """Return the shape of an event: down for a rupture, up for a repair, a cross for a missed appointment.

    >>> mark_path("rupture", 20), mark_path("missed", 20)
    ('M15 9H25L20 19Z', 'M15.5 47.5L24.5 56.5M15.5 56.5L24.5 47.5')
    """
    y, half = ROWS[kind], 4.5 if kind == "missed" else MARK
    left, right, top, bottom = x - half, x + half, y - half, y + half
    if kind == "rupture":
        return f"M{_at(left, top)}H{px(right)}L{_at(x, bottom)}Z"
    if kind == "repair":
        return f"M{_at(left, bottom)}H{px(right)}L{_at(x, top)}Z"
    return f"M{_at(left, top)}L{_at(right, bottom)}M{_at(left, bottom)}L{_at(right, top)}"


def charts(case: CaseView) -> tuple[Chart, ...]:
    """Return the charts of a case: one for each measure and range, over the same sessions."""
    first, last = session_range(case)
    groups: dict[tuple[str, float, float], list[SeriesView]] = {}
    for series in case.series:
        groups.setdefault((series.measure, series.low, series.high), []).append(series)
    return tuple(
        _chart(case, group, Plane(first=first, last=last, low=low, high=high))
        for (_, low, high), group in groups.items()
    )


def session_range(case: CaseView) -> tuple[int, int]:
    """Return the first and the last session of a case, with room for its missed appointments."""
    seen = [session for series in case.series for session in series.sessions]
    reached = [*seen, *(before - 1 for before in case.missed_before if before - 1 > max(seen, default=0))]
    return min(reached, default=1), max(reached, default=1)


def _chart(case: CaseView, group: Sequence[SeriesView], plane: Plane) -> Chart:
    """Return one chart of the series that share a measure."""
    measure = clean(group[0].measure)
    marks = tuple(_marks(case, group, plane))
    return Chart(
        title=f"Case {clean(case.case)}: {measure or 'course over the sessions'}",
        description=_describe(group, marks),
        low=f"{plane.low:g}",
        high=f"{plane.high:g}",
        y_ticks=tuple((px(plane.y(tick)), f"{tick:g}") for tick in score_ticks(plane.low, plane.high)),
        x_ticks=tuple((px(plane.x(tick)), str(tick)) for tick in session_ticks(plane.first, plane.last)),
        lines=tuple(_line(series, style, plane) for style, series in enumerate(group)),
        marks=marks,
        table=_table(case, group),
    )


def _line(series: SeriesView, style: int, plane: Plane) -> Line:
    """Return one series as paths."""
    points = list(_points(series.sessions, series.values, plane))
    return Line(
        label=clean(series.label),
        style=style % 4,
        path=line_path(_with_gaps(series.sessions, points)),
        dots=dot_path(points),
        limit=limit_path(_limits(series, plane), min(plane.step / 2, 12.0)),
    )


def _points(sessions: Sequence[int], values: Sequence[float | None], plane: Plane) -> Iterator[Point]:
    for session, value in zip(sessions, values, strict=True):
        yield None if not number(value) or value is None else (plane.x(session), plane.y(value))


def _with_gaps(sessions: Sequence[int], points: Sequence[Point]) -> Iterator[Point]:
    """Yield the points, and none for a stretch of sessions without a form."""
    before = None
    for session, point in zip(sessions, points, strict=True):
        if before is not None and session > before + 1:
            yield None
        before = session
        yield point


def _limits(series: SeriesView, plane: Plane) -> Iterator[Point]:
    """Yield the limits inside the range; one below the lowest score cannot be reached and is not drawn."""
    for point in _points(series.sessions, series.limits or (None,) * len(series.sessions), plane):
        yield point if point and TOP <= point[1] <= BOTTOM else None


def _events(case: CaseView, group: Sequence[SeriesView]) -> Iterator[tuple[str, float, str]]:
    """Yield every event as kind, place on the session axis, and words; raters at one session share one."""
    for kind in ("rupture", "repair"):
        raters: dict[int, list[str]] = {}
        for series in group:
            for session in series.ruptures if kind == "rupture" else series.repairs:
                raters.setdefault(session, []).append(clean(series.label))
        for session in sorted(raters):
            yield kind, float(session), f"{kind} at session {session} ({', '.join(raters[session])})"
    for before in sorted(set(case.missed_before)):
        times = case.missed_before.count(before)
        what = "missed appointment" if times == 1 else f"{times} missed appointments"
        yield "missed", before - 0.5, f"{what} before session {before}"


def _marks(case: CaseView, group: Sequence[SeriesView], plane: Plane) -> Iterator[Mark]:
    for kind, session, words in _events(case, group):
        x = plane.x(session)
        yield Mark(kind=kind, x=px(x), path=mark_path(kind, x), words=words)


def _describe(group: Sequence[SeriesView], marks: Sequence[Mark]) -> str:
    """Say in words what the chart shows."""
    courses = (_describe_series(series) for series in group)
    events = "; ".join(mark.words for mark in marks) or "no rupture, repair or missed appointment"
    return f"{' '.join(courses)} Marked: {events}."


def _describe_series(series: SeriesView) -> str:
    """Say where a series starts and ends."""
    pairs = zip(series.sessions, series.values, strict=True)
    scored = [(session, number(value)) for session, value in pairs if number(value)]
    label = clean(series.label)
    if not scored:
        return f"{label}: no scored form."
    (first, start), (last, end) = scored[0], scored[-1]
    if len(scored) == 1:
        return f"{label}: {start} at session {first}, the only scored form."
    return f"{label}: {start} at session {first}, {end} at session {last}, {len(scored)} scored forms."


def _table(case: CaseView, group: Sequence[SeriesView]) -> Table:
    """Return the numbers of a chart: scores and limits by session, and the events in words."""
    events: dict[int, list[str]] = {}
    for _, session, words in _events(case, group):
        events.setdefault(math.ceil(session), []).append(words)
    columns = [column for series in group for column in _columns(series)]
    sessions = sorted(events.keys() | {session for series in group for session in series.sessions})
    return Table(
        head=("Session", *(column.head for column in columns), "Events"),
        rows=tuple(
            (
                str(session),
                *(column.cells.get(session, column.absent) for column in columns),
                "; ".join(events.get(session, ())) or "none",
            )
            for session in sessions
        ),
    )


def _columns(series: SeriesView) -> Iterator[Column]:
    """Yield the columns of a series: its scores, and its limits if it has any."""
    label = clean(series.label)
    scores = (number(value) or "not scored" for value in series.values)
    yield Column(label, dict(zip(series.sessions, scores, strict=True)), "no form")
    if any(number(limit) for limit in series.limits):
        limits = (number(limit) or "no limit" for limit in series.limits)
        yield Column(f"{label}, limit", dict(zip(series.sessions, limits, strict=True)), "no limit")


def _at(x: float, y: float) -> str:
    return f"{px(x)} {px(y)}"
