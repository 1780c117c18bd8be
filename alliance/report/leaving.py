"""Bundle → when clients leave: life table and cumulative incidence, without giving small counts away."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alliance.report.blocks import Chart, Charts, Section, Table, Text
from alliance.report.curves import Curve, axis, ceiling, draw, sessions_axis
from alliance.report.figures import NORMAL, at, fixed, percent, real, rows_at, small, whole

Bundle = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Span:
    """One row of a life table: one session, or several put together because too few left in one."""

    first: int
    last: int
    at_risk: float
    exposed: float
    events: float
    survival: float | None

    @property
    def hazard(self) -> float | None:
        """Return the dropouts for each session at risk."""
        return self.events / self.exposed if self.exposed else None

    @property
    def error(self) -> float | None:
        """Return the standard error of the hazard, binomial."""
        hazard = self.hazard
        return None if hazard is None else math.sqrt(hazard * (1 - hazard) / self.exposed)

    @property
    def shown(self) -> bool:
        """Tell whether no count of the row is 1 to 4."""
        return not small(self.events) and not small(self.at_risk)

    @property
    def name(self) -> str:
        """Return the session, or the first and the last."""
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


def joined(one: Span, other: Span) -> Span:
    """Return two neighbouring rows of a life table as one."""
    return Span(
        first=one.first,
        last=other.last,
        at_risk=one.at_risk,
        exposed=one.exposed + other.exposed,
        events=one.events + other.events,
        survival=other.survival,
    )


def spans(rows: Sequence[Any]) -> tuple[Span, ...]:
    """Return the life table with sessions put together until no count is 1 to 4; none if that cannot be.

    >>> seen = [(1, 40, 6), (2, 30, 2), (3, 20, 3)]
    >>> table = [{"session": t, "at_risk": n, "events": e} for t, n, e in seen]
    >>> [(span.name, span.events) for span in spans(table)]
    [('1', 6.0), ('2 to 3', 5.0)]
    """
    done: list[Span] = []
    open_span: Span | None = None
    for row in _rows(rows):
        open_span = row if open_span is None else joined(open_span, row)
        if open_span.shown:
            done.append(open_span)
            open_span = None
    while open_span is not None and not open_span.shown:
        if not done:
            return ()
        open_span = joined(done.pop(), open_span)
    return (*done, open_span) if open_span is not None else tuple(done)


def _rows(rows: Sequence[Any]) -> Iterator[Span]:
    """Yield the sessions of a life table that have counts."""
    for row in rows:
        session, n, events = (real(at(row, key)) for key in ("session", "at_risk", "events"))
        if session is not None and n is not None and events is not None:
            yield Span(
                first=int(session),
                last=int(session),
                at_risk=n,
                exposed=n,
                events=events,
                survival=real(at(row, "survival")),
            )


def lone_sessions(bundle: Bundle) -> frozenset[int] | None:
    """Return the sessions that stand alone in the life table shown; None without a life table.

    A count of any other session would give away the small count of a neighbour.
    """
    table = rows_at(bundle, "validation", "life_table")
    return frozenset(span.first for span in spans(table) if span.first == span.last) if table else None


def course_section(bundle: Bundle) -> Section:
    """Return when clients leave: hazard, survival, and dropout beside other ends."""
    table = spans(rows_at(bundle, "validation", "life_table"))
    if not table:
        words = "Not enough data: too few dropouts for a life table."
        return Section(id="course", title="When clients leave", blocks=(Text(text=words),))
    charts = (_hazard(table), _survival(table), *_incidence(bundle, table))
    blocks: list[Any] = [Charts(charts=charts)]
    if any(span.first != span.last for span in table):
        words = "Sessions are put together where fewer than 5 dropped out or were at risk."
        blocks.append(Text(text=words, tone="soft"))
    return Section(id="course", title="When clients leave", blocks=tuple(blocks))


def _middle(span: Span) -> float:
    return (span.first + span.last) / 2


def _life(table: Sequence[Span]) -> Table:
    """Return the life table as shown."""
    return Table(
        caption="Life table: dropouts for each session at risk, and the share still in treatment after it.",
        head=("Session", "At risk", "Dropouts", "Hazard", "SE", "Survival"),
        rows=tuple(
            (
                span.name,
                whole(span.at_risk),
                whole(span.events),
                fixed(span.hazard, 4),
                fixed(span.error, 4),
                fixed(span.survival, 4),
            )
            for span in table
        ),
    )


def _hazard(table: Sequence[Span]) -> Chart:
    """Return the hazard of dropout by session."""
    points = tuple((_middle(span), span.hazard) for span in table)
    known = [(span, span.hazard, span.error) for span in table]
    bars = tuple(
        (_middle(span), max(h - NORMAL * e, 0.0), h + NORMAL * e)
        for span, h, e in known
        if h is not None and e is not None
    )
    top = ceiling([bar[2] for bar in bars], least=0.01)
    (first, start), (last, end) = points[0], points[-1]
    drawing = draw(
        "Hazard of dropout by session",
        f"Hazard {percent(start)} at session {first:g}, {percent(end)} around session {last:g}.",
        x=sessions_axis([table[0].first, table[-1].last]),
        y=axis("dropouts for each session at risk", 0, top, share=True),
        curves=(Curve(label="hazard, 95 % interval", style=0, points=points, bars=bars, dots=True),),
    )
    return Chart(drawing=drawing, table=_life(table), note="Of the cases seen, before any model.")


def _survival(table: Sequence[Span]) -> Chart:
    """Return the share still in treatment by session."""
    end = table[-1]
    after = tuple((float(span.last), span.survival) for span in table)
    points = ((table[0].first - 0.5, 1.0), *after, (end.last + 0.5, end.survival))
    drawing = draw(
        "Survival: share that has not dropped out",
        f"{percent(end.survival)} have not dropped out after session {end.last}.",
        x=sessions_axis([table[0].first, end.last]),
        y=axis("not dropped out", 0, 1, share=True),
        curves=(Curve(label="survival", style=0, points=points, stairs=True),),
    )
    rows = tuple((span.name, fixed(span.survival, 4)) for span in table)
    numbers = Table(
        caption="Share that has not dropped out after a session, other ends taken out.",
        head=("Session", "Survival"),
        rows=rows,
    )
    note = "As if nobody ended otherwise: each session's hazard among those then at risk."
    return Chart(drawing=drawing, table=numbers, note=note)


def _incidence(bundle: Bundle, table: Sequence[Span]) -> tuple[Chart, ...]:
    """Return dropout beside other ends, at the ends of the life table's rows."""
    ends = {span.last for span in table}
    rows = [row for row in rows_at(bundle, "validation", "incidence") if real(at(row, "session")) in ends]
    if not rows:
        return ()
    names = {"dropout": "dropout", "other": "other ends"}
    start = table[0].first - 0.5
    curves = tuple(
        Curve(label=label, style=style, points=_grown(rows, name, start), stairs=True)
        for style, (name, label) in enumerate(names.items())
    )
    top = ceiling([y for curve in curves for _, y in curve.points], least=0.05)
    last = rows[-1]
    drawing = draw(
        "Cumulative incidence: dropout and other ends",
        f"By session {whole(at(last, 'session'))}: {percent(at(last, 'dropout'))} dropped out, "
        f"{percent(at(last, 'other'))} ended otherwise.",
        x=sessions_axis([table[0].first, table[-1].last]),
        y=axis("share of all cases", 0, top, share=True),
        curves=curves,
    )
    numbers = Table(
        caption="Share of all cases that had ended by a session, by kind of end.",
        head=("Session", "Dropout", "Other ends"),
        rows=tuple((whole(at(row, "session")), *(fixed(at(row, name), 4) for name in names)) for row in rows),
    )
    note = "One end rules out the other, so the two shares add up; 1 less survival would overstate dropout."
    return (Chart(drawing=drawing, table=numbers, note=note),)


def _grown(rows: Sequence[Any], name: str, start: float) -> tuple[tuple[float, float | None], ...]:
    """Return the points of one kind of end, from 0 and up to half a session past the last."""
    points = [(float(at(row, "session")), real(at(row, name))) for row in rows]
    return ((start, 0.0), *points, (points[-1][0] + 0.5, points[-1][1]))
