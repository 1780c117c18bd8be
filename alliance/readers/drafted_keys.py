"""What cells of case, session and date may mean: lines of a draft, each with what was counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance.readers.answers import is_blank, number_of
from alliance.readers.candidates import session_number
from alliance.readers.mapping import plain
from alliance.readers.problems import counted, told
from alliance.readers.table import TextTable
from alliance.readers.times import read_dates, read_sessions
from alliance.readers.toml_text import asked, cut, listed_texts

Array = np.ndarray[Any, Any]

SUMMARY_WORDS = frozenset(
    (
        "mean", "means", "average", "sum", "total", "totals", "grand total", "median", "sd", "std", "min",
        "max", "n", "count", "mittelwert", "mittelwerte", "mw", "durchschnitt", "summe", "gesamt",
        "anzahl", "moyenne", "somme", "total général", "media", "promedio", "suma", "somma", "totale",
        "gemiddelde", "totaal", "som", "gesamtsumme",
    )
)  # fmt: skip
_LOOK_ALIKE = str.maketrans({"o": "0", "l": "1", "i": "1"})
_MOST_LINES, _LAST = 60, 10


def summary_rows(table: TextTable, case: int | None, session: int | None) -> Array:
    """Return the rows named like a sum or mean where a case is named: the last ones, or without a session."""
    n_rows = len(table.lines)
    if case is None:
        return np.zeros(n_rows, dtype=bool)
    named = [plain(cell).rstrip(":") in SUMMARY_WORDS for cell in table.columns[case]]
    last = np.arange(n_rows) >= n_rows - _LAST
    return np.array(named, dtype=bool) & (last | (session is not None and table.columns[session] == ""))


def skip_lines(table: TextTable, rows: Array, case: int, answers: Sequence[int]) -> Iterator[str]:
    """Yield the rows of sums or means, with what their answers are; `answers` are the places of the items."""
    found: dict[str, list[str]] = {}
    for row in np.flatnonzero(rows):
        cells = [table.columns[place][row] for place in answers]
        found.setdefault(table.columns[case][row], []).append(
            f"line {table.lines[row]}: {_answers_in_words(cells)}"
        )
    if found:
        where = [place for places in found.values() for place in places]
        yield asked(f"skip_cases = {listed_texts(list(found))}", told("rows that are no forms", where))


def _answers_in_words(cells: Sequence[str]) -> str:
    numbers = [number for cell in cells if (number := number_of(plain(cell))) is not None]
    if not numbers:
        return "no answers"
    broken = sum(not number.is_integer() for number in numbers)
    return f"{broken} of {counted(len(numbers), 'answer')} no whole number"


def fill_down_lines(table: TextTable, case: int | None) -> Iterator[str]:
    """Yield the case column if it is filled in on the first row of a block only."""
    if case is None:
        return
    blank = table.columns[case] == ""
    if blank.any() and not blank[0]:
        lines = [f"line {line}" for line in table.lines[blank]]
        evidence = told(counted(int(blank.sum()), "blank cell"), lines)
        yield asked(f"fill_down = {listed_texts([table.names[case]])}", evidence)


def date_format_lines(table: TextTable, date: int | None, case: int | None, session: int | None) -> list[str]:
    """Return both orders of day and month if the dates of the column can be read in either.

    The evidence is a line where they differ, and how many steps from one session to the next go on in time.
    """
    if date is None or not read_dates(table.columns[date]).ambiguous:
        return []
    days = {order: read_dates(table.columns[date], date_format=order).days for order in ("dmy", "mdy")}
    both = ~np.isnat(days["dmy"]) & ~np.isnat(days["mdy"])
    apart = np.flatnonzero(both & (days["dmy"] != days["mdy"]))
    line = table.lines[apart[0]] if len(apart) else table.lines[0]
    rising = {order: _rising(table, days[order], case, session) for order in days}
    words = {"dmy": "day first", "mdy": "month first"}
    lines = []
    for order in sorted(days, key=lambda order: -rising[order][0]):
        n_rising, n_steps = rising[order]
        evidence = f"{words[order]}; line {line} can be read both ways"
        evidence += f"; {n_rising} of {counted(n_steps, 'session')} later than the one before" * bool(n_steps)
        lines.append(asked(f'date_format = "{order}"', evidence))
    return lines


def _rising(table: TextTable, days: Array, case: int | None, session: int | None) -> tuple[int, int]:
    if case is None or session is None:
        return 0, 0
    numbers, _, _ = read_sessions(table.columns[session])
    frame = pd.DataFrame({"case": table.columns[case], "session": numbers, "day": days})
    frame = frame[(frame["session"] >= 0) & frame["day"].notna()].sort_values(["case", "session"])
    step = frame.groupby("case")["day"].diff().dropna()
    return int((step > pd.Timedelta(0)).sum()), len(step)


def alike_codes(cells: Array) -> dict[str, tuple[str, str]]:
    """Return code → usual code and evidence, for codes that are the same but for how they are typed.

    They differ in letter case, blanks, dashes, or letters that look like digits. The usual one is typed most
    often; whether it is the same person only a person knows.
    """
    counts = Counter(cell for cell in cells.tolist() if cell)
    alike: dict[str, list[str]] = {}
    for code in counts:
        alike.setdefault(_bare(code).translate(_LOOK_ALIKE), []).append(code)
    found: dict[str, tuple[str, str]] = {}
    for group in [group for group in alike.values() if len(group) > 1][:_MOST_LINES]:
        usual = max(group, key=lambda code: (counts[code], -group.index(code)))
        for code in (each for each in group if each != usual):
            rows = f"{counted(counts[code], 'row')}, '{cut(usual)}' in {counts[usual]}"
            found[code] = (usual, f"{_difference(code, usual)}; {rows}")
    return found


def _bare(code: str) -> str:
    return re.sub(r"[\s\-_.\u2010-\u2015]", "", code).casefold()


def _difference(code: str, usual: str) -> str:
    """Return in what a code differs from the usual one.

    >>> _difference("p 001", "P001"), _difference("PO01", "P001")
    ('differs in letter case, blanks or dashes', 'letter O for the digit 0: ask who this is')
    """
    bare, other = _bare(code), _bare(usual)
    if bare == other:
        parts = ["letter case"] * (code.casefold() == usual.casefold())
        same_case = re.sub(r"[\s\-_.\u2010-\u2015]", "", code) == re.sub(r"[\s\-_.\u2010-\u2015]", "", usual)
        parts += ["blanks or dashes"] * same_case
        return f"differs in {parts[0] if parts else 'letter case, blanks or dashes'}"
    pairs = [(mine, theirs) for mine, theirs in zip(bare, other, strict=True) if mine != theirs]
    mine, theirs = pairs[0]
    names = {"o": "letter O", "l": "letter l", "i": "letter I", "0": "digit 0", "1": "digit 1"}
    return f"{names[mine]} for the {names[theirs]}: ask who this is"


def worded_sessions(cells: Array) -> dict[str, tuple[int | None, int]]:
    """Return cell → number and count, of cells that are no plain numbers, if any of them cannot be read."""
    _, _, wrong = read_sessions(cells)
    if not wrong.any():
        return {}
    counts = Counter(cell for cell in cells[~is_blank(cells)].tolist() if number_of(plain(cell)) is None)
    first = {plain(cell): cell for cell in reversed(counts)}
    numbers = {cell: session_number(cell) for cell in first.values()}
    order = sorted(first.values(), key=lambda cell: (numbers[cell] is None, numbers[cell] or 0, cell))
    return {cell: (numbers[cell], counts[cell]) for cell in order[:_MOST_LINES]}


def keep_lines(doubles: pd.DataFrame) -> Iterator[str]:
    """Yield both choices for sessions that are there twice with different answers; rows as in REJECTED."""
    if doubles.empty:
        return
    n = len(doubles.drop_duplicates(["case", "session", "rater"]))
    where = [f"line {line}" for line in sorted(doubles["line"].unique())]
    evidence = told(f"{counted(n, 'session')} there twice with different answers", where)
    yield asked('keep = "first"', evidence)
    yield asked('keep = "last"', "the same sessions")


def unfinished_lines(table: TextTable) -> Iterator[str]:
    """Yield both choices for forms that were begun and not sent."""
    if table.unfinished.any():
        where = [f"line {line}" for line in table.lines[table.unfinished]]
        evidence = told(f"{counted(len(where), 'form')} begun and not sent", where)
        yield asked('unfinished = "use"', f"{evidence}; read as far as filled in, as without this line")
        yield asked('unfinished = "drop"', "they are left out")


def wide_columns(names: Sequence[str], sessions: Collection[int], taken: Collection[str]) -> list[str]:
    """Return how columns with one number each, those of the `sessions`, are called: `when_{session}`."""
    groups: dict[str, set[int]] = {}
    for name in names:
        match = re.fullmatch(r"(\D*)0*(\d{1,4})(\D*)", name)
        if match and name not in taken:
            groups.setdefault(f"{match[1]}{{session}}{match[3]}", set()).add(int(match[2]))
    wanted = set(sessions)
    return [
        called
        for called, numbers in groups.items()
        if numbers >= wanted and all(called.replace("{session}", str(n)) in names for n in wanted)
    ]
