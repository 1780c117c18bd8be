"""The list of `alliance model apply` as text: one block a case, the probability before its reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alliance.report.risk_list import ROOM
from alliance.report.terminal import NARROWEST, Item, to_ascii, wrap
from alliance.report.words import chances, clean

REVIEW = "REVIEW"


def applied_list(rows: Sequence[Mapping[str, Any]], *, width: int = 80, unicode: bool = True) -> str:
    """Return what a model says of each case as text that ends with a newline.

    Parameters
    ----------
    rows : sequence of mappings
        `case session p_next p_3 review why outside`, in the order in which they are listed. Probabilities
        from 0 to 1, NaN = none; `review` is None where the model may not order a list.
    width : int
        Terminal cells a line may take; below 30 it counts as 30.
    unicode : bool
        False gives ASCII only.

    Returns
    -------
    str
        Text from the data is printed as it is, without control characters.

    Examples
    --------
    >>> row = {"case": "C1", "session": 2, "p_next": 0.071, "p_3": 0.18, "review": True, "outside": ""}
    >>> print(applied_list([{**row, "why": "raises: session 2"}]), end="")
    C1  session 2  [REVIEW]  7 % before the next session, 18 % within three
        raises: session 2
    """
    lines: list[str] = []
    width = max(width, NARROWEST)
    for item in _items(rows, width):
        said = clean(item.text) if unicode else to_ascii(clean(item.text))
        lines += wrap(said, item.first, item.rest, width)
    return "\n".join(lines) + "\n"


def _items(rows: Sequence[Mapping[str, Any]], width: int) -> Iterator[Item]:
    if not rows:
        yield Item("no case: no treatment is ongoing, or none was attended")
    for row in rows:
        mark = f"[{REVIEW}]  " if row["review"] else ""
        head, said = f"{row['case']}  session {row['session']}  {mark}", chances(row["p_next"], row["p_3"])
        if len(head) > width - ROOM or not head.isascii():
            yield Item(f"{head}{said}", "", "    ")
        else:
            yield Item(said, clean(head), "    ")
        yield from (Item(text, "    ", "       ") for text in (row["why"], row["outside"]) if text)
