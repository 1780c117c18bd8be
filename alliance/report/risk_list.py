"""The list of `alliance risk` as text: one block a case, the points of every rule before its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alliance.report.terminal import NARROWEST, STYLES, Item, hidden, split, styled_word, to_ascii, wrap
from alliance.report.view import CaseView
from alliance.report.words import FOOTER, LEVELS, basis, clean, counts, points, when

ROOM = 30
"""Columns that are kept for the words behind the head of a case."""


def risk_list(
    cases: Sequence[CaseView],
    *,
    notes: Sequence[str] = (),
    width: int = 80,
    colour: bool = False,
    unicode: bool = True,
    limit: int = 20,
) -> str:
    """Return the list of early dropout risk as text that ends with a newline.

    Parameters
    ----------
    cases : sequence of CaseView
        In the order in which they are listed.
    notes : sequence of str
        What must be known of the whole list.
    width : int
        Terminal cells a line may take; below 30 it counts as 30.
    colour : bool
        Style the level words with ANSI codes. Nothing is told by colour alone.
    unicode : bool
        False gives ASCII only.
    limit : int
        How many cases are listed. Cases to REVIEW always are; the others are counted.

    Returns
    -------
    str
        The text. Text from the data is printed as it is, without control characters.
    """
    width = max(width, NARROWEST)
    lines: list[str] = []
    for item in _items(cases, notes, limit, width):
        text, first = (clean(part) if unicode else to_ascii(clean(part)) for part in (item.text, item.first))
        wrapped = wrap(text, first, item.rest, width)
        if colour and item.level:
            head = f"[{LEVELS[item.level]}]"
            wrapped[0] = wrapped[0].replace(head, styled_word(head, STYLES[item.level]), 1)
        lines += wrapped
    return "\n".join(lines) + "\n"


def _items(cases: Sequence[CaseView], notes: Sequence[str], limit: int, width: int) -> Iterator[Item]:
    listed, more = split(cases, limit)
    for case in listed:
        yield _head(case, width)
        yield from _lines(case)
    if listed:
        yield Item("")
    yield from hidden(more, 0)
    yield Item(f"{counts(case.level for case in cases) or 'no case'}.", "Levels: ", "  ")
    yield from (Item(note, "Note: ", "  ") for note in notes)
    yield from (Item(line) for line in FOOTER)


def _head(case: CaseView, width: int) -> Item:
    """Return the first line of a case; its name moves into the text where it would leave no room."""
    lead = f"{case.case}  {when(case)}  [{LEVELS[case.level]}]  "
    text = f"{points(case)}; {basis(case)}"
    if len(lead) > width - ROOM or not lead.isascii():
        return Item(f"{lead}{text}", "", "    ", case.level)
    return Item(text, lead, "    ", case.level)


def _lines(case: CaseView) -> Iterator[Item]:
    yield from (Item(reason, "    ", "       ") for reason in case.reasons)
    if case.model:
        yield Item(case.model, "    ", "       ")
    if case.seen:
        yield Item(case.seen, "    ", "       ")
    yield from (Item(prompt, "     · prompt ", "       ") for prompt in case.prompts)
    if case.not_evaluable:
        yield Item("; ".join(case.not_evaluable), "    not evaluable: ", "       ")
    if case.basis:
        yield Item(case.basis, "    basis: ", "       ")
