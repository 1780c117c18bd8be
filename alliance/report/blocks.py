"""The parts a written report is made of: plain data, drawn by one template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alliance.report.curves import Drawing


@dataclass(frozen=True, kw_only=True)
class Link:
    """A cell that leads to a section of the same page."""

    words: str
    to: str


Cell = str | Link


@dataclass(frozen=True, kw_only=True)
class Text:
    """One paragraph; `tone` is empty, `soft` (beside the point) or `lead` (the point)."""

    kind: ClassVar[str] = "text"
    text: str
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, kw_only=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    items: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Formula:
    """Lines to calculate by, kept as they are."""

    kind: ClassVar[str] = "formula"
    label: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with a caption; the first cell of a row is its head.

    `stacked` is for tables of words: on a narrow page each row becomes a block. Others scroll.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    stacked: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One drawing with its numbers as tables."""

    drawing: Drawing
    table: Table
    note: str = ""
    more: tuple[Table, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Charts:
    """Charts that stand beside each other where there is room."""

    kind: ClassVar[str] = "charts"
    charts: tuple[Chart, ...]


Block = Text | Heading | Bullets | Formula | Table | Charts


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the page: its anchor, its title, what stands in it."""

    id: str
    title: str
    blocks: tuple[Block, ...]


def empty(anchor: str, title: str, why: str) -> Section:
    """Return a section that says why there is nothing to show."""
    return Section(id=anchor, title=title, blocks=(Text(text=f"Not enough data: {why}"),))
