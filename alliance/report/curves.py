"""The geometry of a chart of numbers: pure functions from points to SVG path strings.

A chart is a fixed drawing of `WIDTH` by `HEIGHT` units. What leaves the plot above or below is cut at
its edge, so that a curve that falls out of sight is seen to leave.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from alliance.report.chart import Point, dot_path, line_path, nice_step, project, px

WIDTH, HEIGHT = 440, 266
LEFT, RIGHT, TOP, BOTTOM = 62.0, 418.0, 28.0, 216.0
CAP = 3.0

Pair = tuple[float, float | None]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: what it shows, its two ends, and its ticks as (value, words)."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One series: points in order of x, None = no value; `style` 0 to 3 differ in colour and dashes.

    `bars` are intervals as (x, low, high); `stairs` keeps a value level until the next x.
    """

    label: str
    style: int
    points: tuple[Pair, ...]
    bars: tuple[tuple[float, float, float], ...] = ()
    line: bool = True
    dots: bool = False
    stairs: bool = False


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """One series as paths."""

    label: str
    style: int
    line: str
    dots: str
    bars: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Everything a template needs to draw one chart and to say what it shows."""

    title: str
    description: str
    x_label: str
    y_label: str
    x_ticks: tuple[tuple[str, str], ...]
    y_ticks: tuple[tuple[str, str], ...]
    strokes: tuple[Stroke, ...]
    guide: str
    guide_label: str


def axis(label: str, low: float, high: float, *, share: bool = False, most: int = 6) -> Axis:
    """Return an axis with round ticks from `low` to `high`; `share` writes them in percent.

    >>> axis("risk", 0, 0.2, share=True, most=2).ticks
    ((0.0, '0 %'), (0.1, '10 %'), (0.2, '20 %'))
    """
    step = nice_step(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(i * step, 10) + 0.0 for i in range(first, last + 1)]
    ticks = tuple((value, f"{100 * value:.4g} %" if share else f"{value:.4g}") for value in values)
    return Axis(label=label, low=low, high=high, ticks=ticks)


def sessions_axis(sessions: Sequence[int]) -> Axis:
    """Return an axis of whole sessions, with half a session free on both sides.

    >>> [words for _, words in sessions_axis([1, 2, 3]).ticks]
    ['1', '2', '3']
    """
    first, last = min(sessions, default=1), max(sessions, default=1)
    step = max(int(nice_step(last - first + 1, 12)), 1)
    ticks = range(math.ceil(first / step) * step, last + 1, step)
    return Axis(
        label="session", low=first - 0.5, high=last + 0.5, ticks=tuple((float(t), str(t)) for t in ticks)
    )


def ceiling(values: Iterable[float | None], *, least: float) -> float:
    """Return a round number that is no less than any of `values`, nor than `least`.

    >>> ceiling([0.13, None], least=0.05), ceiling([], least=0.05)
    (0.15, 0.05)
    """
    top = max((value for value in values if value is not None), default=least)
    top = max(top, least)
    step = nice_step(top, 5)
    return round(math.ceil(top / step - 1e-9) * step, 10)


def draw(
    title: str,
    description: str,
    *,
    x: Axis,
    y: Axis,
    curves: Sequence[Curve],
    guide: Sequence[tuple[float, float]] = (),
    guide_label: str = "",
) -> Drawing:
    """Return a chart as strings for an SVG.

    Parameters
    ----------
    title, description : str
        What it is called, and what it shows in words.
    x, y : Axis
        The axes; larger values lie further right and higher up.
    curves : sequence of Curve
        The series, first one below.
    guide : sequence of (x, y)
        Corners of one thin reference line, such as the diagonal; `guide_label` names it.
    """
    return Drawing(
        title=title,
        description=description,
        x_label=x.label,
        y_label=y.label,
        x_ticks=tuple((px(_across(value, x)), words) for value, words in x.ticks),
        y_ticks=tuple((px(_up(value, y)), words) for value, words in y.ticks),
        strokes=tuple(_stroke(curve, x, y) for curve in curves),
        guide=line_path((_across(a, x), _up(b, y)) for a, b in guide),
        guide_label=guide_label,
    )


def _stroke(curve: Curve, x: Axis, y: Axis) -> Stroke:
    """Return one series as paths."""
    points = tuple(_stairs(curve.points)) if curve.stairs else curve.points
    line = list(_clipped(points, y)) if curve.line else []
    dots = [(a, b) for a, b in curve.points if b is not None and y.low <= b <= y.high] if curve.dots else []
    return Stroke(
        label=curve.label,
        style=curve.style,
        line=line_path(_placed(point, x, y) for point in line),
        dots=dot_path(_placed(point, x, y) for point in dots),
        bars="".join(_bar(bar, x, y) for bar in curve.bars),
    )


def _across(value: float, axis: Axis) -> float:
    return project(value, axis.low, axis.high, LEFT, RIGHT)


def _up(value: float, axis: Axis) -> float:
    return project(value, axis.low, axis.high, BOTTOM, TOP)


def _placed(point: tuple[float, float] | None, x: Axis, y: Axis) -> Point:
    return None if point is None else (_across(point[0], x), _up(point[1], y))


def _stairs(points: Sequence[Pair]) -> Iterator[Pair]:
    """Yield the corners of a line that stays level up to the next point."""
    for (a, b), (c, _) in pairwise(points):
        yield a, b
        yield c, b
    yield from points[-1:]


def _clipped(points: Sequence[Pair], y: Axis) -> Iterator[tuple[float, float] | None]:
    """Yield the parts of a line that lie between the ends of an axis, None where it is broken."""
    last = None
    for one, other in pairwise(points):
        ends = _inside(one, other, y)
        if ends is None:
            continue
        if ends[0] != last:
            yield None
            yield ends[0]
        yield ends[1]
        last = ends[1]


def _inside(one: Pair, other: Pair, y: Axis) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the two ends of what a segment has within an axis; None if it has nothing there."""
    (a, b), (c, d) = one, other
    if b is None or d is None or max(b, d) < y.low or min(b, d) > y.high:
        return None
    ends = (_cut(b, y), _cut(d, y))
    if b == d:
        return (a, b), (c, d)
    across = [a + (c - a) * (end - b) / (d - b) for end in ends]
    return (across[0], ends[0]), (across[1], ends[1])


def _cut(value: float, axis: Axis) -> float:
    return min(max(value, axis.low), axis.high)


def _bar(bar: tuple[float, float, float], x: Axis, y: Axis) -> str:
    """Return an interval as an upright with two caps."""
    place, low, high = _across(bar[0], x), _up(_cut(bar[1], y), y), _up(_cut(bar[2], y), y)
    left, right = px(place - CAP), px(place + CAP)
    return f"M{px(place)} {px(low)}V{px(high)}M{left} {px(low)}H{right}M{left} {px(high)}H{right}"
