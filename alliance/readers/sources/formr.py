"""formr: one form a row, the token of the participant under `session`, items to be turned ending in R."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from alliance.readers.export import Export, Opened
from alliance.readers.problems import counted, told
from alliance.readers.sources import system
from alliance.readers.sources.sheet import Sheet, sheet_of

_OWN = ("session", "created", "modified", "ended")
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T].*)?")
_ITEM = re.compile(r"(.*\D)0*([1-9]\d{0,2})(R?)", re.DOTALL)
_TEST_USER = re.compile(r"[a-z]+[A-Z][a-z]+XXX.*")
_FEWEST_ITEMS = 2


def _recognise(export: Export) -> str:
    sheet = sheet_of(export.records)
    if not set(_OWN) <= set(sheet.names):
        return ""
    tokens, created = _filled(sheet, "session"), _filled(sheet, "created")
    if not tokens or not created or any(re.fullmatch(r"[0-9.,]+", token) for token in tokens):
        return ""
    return f"columns {', '.join(_OWN)}" if all(map(_STAMP.fullmatch, created)) else ""


@system("formr", title="formr results", recognise=_recognise)
def read_formr(export: Export, opened: Opened) -> Export:
    """Return the forms: whose they are, when each was begun, and which items may have been turned round."""
    sheet = sheet_of(export.records)
    own = {"case": "session", **_items(sheet.names)}
    return Export(
        records=export.records,
        columns={role: name for role, name in own.items() if name in sheet.names},
        fallbacks={"date": "created"} if "created" in sheet.names else {},
        unfinished=sheet.lines_blank("ended"),
        may_be_turned=tuple(
            name for name in sheet.names if (match := _ITEM.fullmatch(name)) is not None and match[3]
        ),
        notes=_test_users(sheet),
    )


def _filled(sheet: Sheet, name: str) -> list[str]:
    """Return the cells of a column that hold anything; R writes NA where nothing is."""
    blank = sheet.lines_blank(name)
    return [cell for line, cell in zip(sheet.lines, sheet.cells(name), strict=False) if line not in blank]


def _items(names: Iterable[str]) -> dict[str, str]:
    """Return q1 to qk → column if the items of one form are called by a prefix, a number, and R at times.

    >>> _items(["ali_1", "ali_2R", "age"])
    {'q1': 'ali_1', 'q2': 'ali_2R'}
    """
    groups: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for name in names:
        match = _ITEM.fullmatch(name)
        if match:
            groups[match[1]].append((int(match[2]), name, match[3]))
    whole = [sorted(group) for group in groups.values() if _is_whole(group)]
    turned = [group for group in whole if any(letter for _, _, letter in group)]
    if len(turned) != 1 or sum(len(group) == len(turned[0]) for group in whole) > 1:
        return {}
    return {f"q{number}": name for number, name, _ in turned[0]}


def _is_whole(group: list[tuple[int, str, str]]) -> bool:
    numbers = sorted(number for number, _, _ in group)
    return len(numbers) >= _FEWEST_ITEMS and numbers == list(range(1, len(numbers) + 1))


def _test_users(sheet: Sheet) -> tuple[str, ...]:
    """Return a note if tokens look like those formr gives to test users: two words, then XXX."""
    lines = [
        line
        for line, token in zip(sheet.lines, sheet.cells("session"), strict=False)
        if _TEST_USER.fullmatch(token)
    ]
    if not lines:
        return ()
    what = f"{counted(len(lines), 'row')} of what look like formr's test users (leave out with skip_cases)"
    return (told(what, [f"line {line}" for line in lines]),)
