"""The triage list as text: words before colour, nothing that depends on a column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from alliance.report.view import CaseView, StudyView
from alliance.report.words import (
    FOOTER,
    LEVELS,
    Level,
    basis,
    clean,
    count,
    counts,
    points,
    rupture,
    size,
    when,
)

NARROWEST = 30
STYLES = {"REVIEW": "bold red", "WATCH": "yellow", "INSUFFICIENT_DATA": "cyan", "NO_FLAG": "dim"}
ASCII = str.maketrans(
    {
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{LEFTWARDS ARROW}": "<-",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{MIDDLE DOT}": "-",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{PLUS-MINUS SIGN}": "+/-",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{ALMOST EQUAL TO}": "~",
    }
)


class Item(NamedTuple):
    """One wrapped entry: its text, what stands before the first line, and before the others."""

    text: str
    first: str = ""
    rest: str = ""
    level: str = ""


def triage(
    view: StudyView, *, width: int = 80, colour: bool = False, unicode: bool = True, limit: int = 20
) -> str:
    """Return the triage list as text that ends with a newline.

    Parameters
    ----------
    view : StudyView
        The study; its cases are listed in the order given.
    width : int
        Terminal cells a line may take; below 30 it counts as 30.
    colour : bool
        Style the level words with ANSI codes. Nothing is told by colour alone.
    unicode : bool
        False gives ASCII only: known signs are spelled (`→` becomes `->`), any
        other character from the data becomes its Python escape.
    limit : int
        How many cases are listed. Cases to REVIEW are always listed, also
        beyond the limit; the others are counted.

    Returns
    -------
    str
        The text. Text from the data is printed as it is, without control characters.
    """
    lines: list[str] = []
    for item in _items(view, limit):
        text, first = clean(item.text), clean(item.first)
        wrapped = wrap(text if unicode else to_ascii(text), first, item.rest, max(width, NARROWEST))
        lines += _styled(wrapped, item.level) if colour and item.level else wrapped
    return "\n".join(lines) + "\n"


def to_ascii(text: str) -> str:
    r"""Return `text` in ASCII, each character outside it spelled or escaped.

    >>> to_ascii("38 → 34 ≤ Zoë")
    '38 -> 34 <= Zo\\xeb'
    """
    return text.translate(ASCII).encode("ascii", "backslashreplace").decode("ascii")


def wrap(text: str, first: str, rest: str, width: int) -> list[str]:
    """Break `text` into lines of at most `width` cells; `first` and `rest` stand before them.

    >>> wrap("one two three", "- ", "  ", 9)
    ['- one two', '  three']
    """
    room = width - max(len(first), len(rest))
    lines: list[str] = []
    words: list[str] = []
    prefix, used = first, len(first)
    for piece, cells in _pieces(text, room):
        if words and used + 1 + cells > width:
            lines.append(prefix + " ".join(words))
            words, prefix, used = [], rest, len(rest)
        used += cells + bool(words)
        words.append(piece)
    return [*lines, (prefix + " ".join(words)).rstrip()]


def _pieces(text: str, room: int) -> Iterator[tuple[str, int]]:
    """Yield the words of `text`, long ones cut, each with the cells it takes."""
    for word in text.split():
        if word.isascii():
            yield from ((word[i : i + room], len(word[i : i + room])) for i in range(0, len(word), room))
        else:
            yield from _wide_pieces(word, room)


def _wide_pieces(word: str, room: int) -> Iterator[tuple[str, int]]:
    """Yield a word that may hold characters of no cell or of two."""
    from rich.cells import cell_len, chop_cells

    whole = cell_len(word) <= room
    yield from ((piece, cell_len(piece)) for piece in ([word] if whole else chop_cells(word, room)))


def _styled(lines: list[str], level: str) -> list[str]:
    """Colour the mark and the word of a level at the start of its first line."""
    head = str(LEVELS[level])
    return [styled_word(head, STYLES[level]) + lines[0].removeprefix(head), *lines[1:]]


def styled_word(text: str, style: str) -> str:
    """Return `text` with the ANSI codes of a style around it."""
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def _items(view: StudyView, limit: int) -> Iterator[Item]:
    """Yield everything there is to print, in order; an empty item is an empty line."""
    listed, more = split(view.cases, limit)
    yield from _header(view)
    for case in listed:
        yield Item("")
        yield from _case(case)
    yield Item("")
    yield from hidden(more, view.n_hidden)
    yield from (Item(note, "Note: ", "  ") for note in view.notes)
    yield from (Item(line) for line in view.footer or FOOTER)


def _header(view: StudyView) -> Iterator[Item]:
    """Yield what was read, the counts by level, and ruptures beside chance."""
    yield Item(view.source, "Alliance triage: ", "  ")
    yield Item(size(view), "", "  ")
    if view.synthetic:
        yield Item("Synthetic data: no real person.", "", "  ")
    yield Item(", ".join(_level_count(level, view) for level in LEVELS.values()) + ".", "Levels: ", "  ")
    if view.prevalence:
        yield Item(view.prevalence, "", "  ")
    yield from (Item(alert, "Read first: ", "  ") for alert in view.alerts)


def _level_count(level: Level, view: StudyView) -> str:
    return f"{view.counts.get(level.name, 0):,} {level.word}"


def split(cases: Iterable[CaseView], limit: int) -> tuple[list[CaseView], list[CaseView]]:
    """Split the cases into listed and counted: every REVIEW is listed, others while there is room."""
    everyone = list(cases)
    room = max(limit - sum(case.level == "REVIEW" for case in everyone), 0)
    others = [case for case in everyone if case.level != "REVIEW"]
    counted = {id(case) for case in others[room:]}
    return [case for case in everyone if id(case) not in counted], others[room:]


def _case(case: CaseView) -> Iterator[Item]:
    """Yield one case: level, where it stands, its rupture, and one entry for each reason."""
    about = f"case {case.case}, {when(case)}: {basis(case)}, {points(case)}"
    yield Item(about, f"{LEVELS[case.level]}  ", "   ", case.level)
    if case.seen:
        yield Item(case.seen, "   ", "     ")
    if case.model:
        yield Item(case.model, "   ", "     ")
    yield Item(rupture(case), "   ", "   ")
    latest = {flag.rater: flag for flag in case.flags if flag.finding == "rupture"}
    for rater, flag in latest.items():
        yield Item(flag.reason, f"   - session {flag.session}, {rater}: ", "     ")
    yield from (
        Item(reason, "   " if reason.startswith("+") else "   - ", "     ") for reason in case.reasons
    )
    yield from (Item(prompt, "   prompt: ", "     ") for prompt in case.prompts)
    if case.not_evaluable:
        yield Item("; ".join(case.not_evaluable), "   not evaluable: ", "     ")
    if case.basis:
        yield Item(case.basis, "   basis: ", "     ")


def hidden(more: list[CaseView], n_elsewhere: int) -> Iterator[Item]:
    """Yield how many cases are not listed, never leaving one uncounted."""
    if more:
        yield Item(f"{count(len(more), 'more case')} not listed: {counts(c.level for c in more)}.")
        unhealed = [case.case for case in more if "so far" in case.rupture]
        if unhealed:
            yield Item(f"{', '.join(unhealed)}.", "Ruptures not repaired so far among them: ", "  ")
    if n_elsewhere:
        yield Item(f"{count(n_elsewhere, 'further case')} in the study, outside this list.")
    if more or n_elsewhere:
        yield Item("")
