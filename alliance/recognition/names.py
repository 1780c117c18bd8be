"""Whether the columns of a file, their number and their names, are those of a form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from alliance.recognition.evidence import CANNOT, MAY_NOT, Doubt, Evidence, ids
from alliance.scale import Scale

FEWEST_ITEMS = 3
"""Columns numbered 1, 2, 3 without a gap from which they are taken for items; a design choice."""

_NUMBERED = re.compile(r"(.*?)(?<![0-9])([0-9]{1,9})\]?", re.DOTALL)


def item_runs(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return prefix → names of the columns that are numbered 1, 2, 3 … without a gap, in order.

    >>> item_runs(["case", "q1", "q2", "q3", "t1", "t3"])
    {'q': ('q1', 'q2', 'q3')}
    """
    groups: dict[str, dict[int, str]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match:
            groups.setdefault(match[1].casefold(), {}).setdefault(int(match[2]), name)
    return {
        prefix: tuple(group[number] for number in sorted(group))
        for prefix, group in groups.items()
        if len(group) >= FEWEST_ITEMS and sorted(group) == list(range(1, len(group) + 1))
    }


def run_of(name: str, runs: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the run of item columns that `name` belongs to; empty if it belongs to none."""
    return next((run for run in runs.values() if name in run), ())


def has_another_length(evidence: Evidence, scale: Scale, others: Sequence[Scale]) -> Doubt | None:
    """Doubt a form that has more or fewer items than the file."""
    columns = evidence.columns
    if not columns or len(columns) == scale.n_items:
        return None
    text = (
        f"the file has {len(columns)} items, {columns[0]} to {columns[-1]}; '{scale.id}' has {scale.n_items}"
    )
    named = [each for each in others if each.n_items == len(columns)]
    if named:
        text += f". Forms of {len(columns)} items: {ids(named)}"
    return Doubt(kind=CANNOT if len(columns) > scale.n_items else MAY_NOT, text=text)


def is_named_otherwise(evidence: Evidence, scale: Scale, others: Sequence[Scale]) -> Iterator[Doubt]:
    """Doubt a form where most item columns, or the file itself, carry the id of another one.

    The first words of its own id do not count: `wai_1` may be an item of wai-sr.
    """
    words = scale.id.split("-")
    own = {_letters("".join(words[:n])) for n in range(1, len(words))}
    by_name = {_letters(each.id): each.id for each in others if _letters(each.id) not in own}
    prefixes = Counter(by_name.get(_letters(_prefix(name))) for name in evidence.names)
    named, n = next(((id_, n) for id_, n in prefixes.most_common(1) if id_), ("", 0))
    if 2 * n > len(evidence.names):
        shown = [name for name in evidence.names if by_name.get(_letters(_prefix(name))) == named]
        what = f"the items are called {shown[0]} to {shown[-1]}, after '{named}' and not after '{scale.id}'"
        yield Doubt(kind=MAY_NOT, text=f"{what}. Which form was printed?")
    for word in evidence.stated:
        if _letters(word) in by_name:
            what = f"the file calls the form {word}; that is '{by_name[_letters(word)]}', not '{scale.id}'"
            yield Doubt(kind=MAY_NOT, text=what)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def _prefix(name: str) -> str:
    """Return what stands before the number of an item; a session in a pattern does not count."""
    return re.sub(r"(?<!\d)\d+\D*$", "", re.sub(r"(?<![A-Za-z])[A-Za-z]*\{session\}", "", name))
