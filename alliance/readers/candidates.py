"""Which columns could be the case, session, date, therapist, rater or language: by name and by contents.

A candidate is a question for a person. The words are those of English, German, French, Spanish, Dutch and
Italian exports; the shares are design choices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance.readers.answers import is_blank, number_of
from alliance.readers.columns import key_of
from alliance.readers.mapping import plain
from alliance.readers.problems import counted
from alliance.readers.table import TextTable
from alliance.readers.times import read_dates

Array = np.ndarray[Any, Any]

ASKED_ROLES = ("case", "session", "date", "therapist", "rater", "language")
MOST = 4
"""Candidates that are named for one role."""

_WORDS = {
    "case": "case fall client klient klientin cliente patient patientin paziente paciente proband probandin "
    "participant participante teilnehmer deelnemer subject sujet vp code kürzel kuerzel chiffre pseudonym "
    "pseudonyme id token person record codice codigo código dossier",
    "session": "session sess sitzung séance seance sesión sesion sessie seduta visit visite termin stunde "
    "week woche wave zeitpunkt instance",
    "date": "date datum fecha data day tag jour stamp timestamp zeitstempel created started sent",
    "therapist": "therapist therapeut therapeutin thérapeute terapeuta behandler behandlerin clinician "
    "counsellor counselor psychologist",
    "rater": "rater role rolle respondent informant perspective perspektive beurteiler evaluador rôle ruolo "
    "who wer",
    "language": "language sprache langue idioma lingua taal locale lang startlanguage userlanguage",
}
WORDS = {role: frozenset(words.split()) for role, words in _WORDS.items()}
_LATER = ("modified", "submit", "ended", "expired", "completed", "last", "updated", "birth", "geburt")
_SIDES = frozenset(
    (
        "client", "klient", "klientin", "patient", "patientin", "therapist", "therapeut", "therapeutin",
        "observer", "beobachter", "c", "t", "o",
    )
)  # fmt: skip
_LANGUAGES = re.compile(
    r"(?:ar|cs|da|de|el|en|es|fi|fr|he|hu|it|ja|nb|nl|no|pl|pt|ro|ru|sv|tr|uk|zh)(?:[-_]\w+)?"
)
_CODE_LENGTH, _CODE_WORDS = 40, 3
_LONG_WORD = 5
_MOST_SESSIONS, _MOST_VALUES = 200, 10
_MOST_OF_THEM, _HALF, _SLIPS = 0.9, 0.5, 0.1
_ONE_NUMBER = re.compile(r"\D*?0*(\d{1,4})(?:[.,]0*)?\D*")
_ORDINALS = (
    "first erste erster erstes premier première primera primero prima primo eerste one eins",
    "second zweite zweiter zweites deuxième seconde segunda segundo seconda secondo tweede two zwei",
    "third dritte dritter drittes troisième tercera tercero terza terzo derde three drei",
    "fourth vierte vierter viertes quatrième cuarta cuarto quarta quarto vierde four vier",
    "fifth fünfte fünfter fünftes cinquième quinta quinto vijfde five fünf",
    "sixth sechste sechster sechstes sixième sexta sexto sesta sesto zesde six sechs",
    "seventh siebte siebter siebtes septième séptima séptimo settima settimo zevende seven sieben",
    "eighth achte achter achtes huitième octava octavo ottava ottavo achtste eight acht",
    "ninth neunte neunter neuntes neuvième novena noveno nona nono negende nine neun",
    "tenth zehnte zehnter zehntes dixième décima décimo decima decimo tiende ten zehn",
    "eleventh elfte elfter elftes onzième eleven elf",
    "twelfth zwölfte zwölfter zwölftes douzième twelve zwölf",
)
_NUMBER_WORDS = {word: number for number, words in enumerate(_ORDINALS, 1) for word in words.split()}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A column that could have a role, with what speaks for it; a higher rank comes first."""

    place: int
    name: str
    evidence: str
    rank: float


@dataclass(frozen=True, kw_only=True)
class Known:
    """Places of the columns that are taken for case, session and date as yet; None = no column is."""

    case: int | None = None
    session: int | None = None
    date: int | None = None


def candidates(table: TextTable, role: str, free: Sequence[int], known: Known) -> list[Candidate]:
    """Return the columns among the places `free` that could have the role, best first, four at most."""
    found = []
    for place in free:
        cells = table.columns[place]
        filled = ~is_blank(cells)
        if table.names[place] and filled.any():
            judged = _JUDGES[role](table, place, filled, known)
            found += [] if judged is None else [judged]
    return sorted(found, key=lambda each: (-each.rank, each.place))[:MOST]


def is_named(name: str, role: str) -> bool:
    """Return whether a column name has a word of the role.

    >>> is_named("Which session was this?", "session"), is_named("UserLanguage", "language")
    (True, True)
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words, key = set(key_of(split).split("_")), key_of(name)
    return bool(words & WORDS[role]) or any(word in key for word in WORDS[role] if len(word) > _LONG_WORD)


def session_number(text: str) -> int | None:
    """Return the number of a session in words or with a word beside it; None where there is not one.

    >>> [session_number(text) for text in ("first", "5th", "Session 3", "3. Sitzung", "2/3", "-1")]
    [1, 5, 3, 3, None, None]
    """
    word = plain(text)
    numbers = {_NUMBER_WORDS[each] for each in re.findall(r"\w+", word) if each in _NUMBER_WORDS}
    match = _ONE_NUMBER.fullmatch(word)
    if match and not word.startswith(("-", "+")):
        numbers.add(int(match[1]))
    elif re.search(r"\d", word):
        return None
    return numbers.pop() if len(numbers) == 1 else None


def _judge_case(table: TextTable, place: int, filled: Array, known: Known) -> Candidate | None:
    name, cells = table.names[place], table.columns[place][filled]
    values = pd.unique(cells)
    if _is_prose(values) or _share_of_dates(cells) >= _HALF or _are_decimals(values):
        return None
    named, n, n_values = is_named(name, "case"), len(cells), len(values)
    order = known.date if known.session is None else known.session
    share = _share_twice(table, place, order, filled)
    comes_back = 1 < n_values < n
    alone = share is not None and share <= _SLIPS
    if not named and (not comes_back or not alone or filled.mean() < _HALF):
        return None
    evidence = f"{counted(n_values, 'different value')} in {counted(n, 'row')}{_twice_told(share, 'one')}"
    return _candidate(table, place, evidence, 2 * named + 2 * comes_back + alone - (share or 0))


def _judge_session(table: TextTable, place: int, filled: Array, known: Known) -> Candidate | None:
    cells = table.columns[place][filled]
    codes, values = pd.factorize(cells)
    numbers = [session_number(cell) if not _are_decimals([cell]) else None for cell in values]
    read = [number for number in numbers if number is not None]
    share = float(np.array([number is not None for number in numbers])[codes].mean())
    named = is_named(table.names[place], "session")
    if share < _MOST_OF_THEM or max(read) > _MOST_SESSIONS or _share_of_dates(cells) >= _HALF:
        return None
    twice = _share_twice(table, known.case, place, filled)
    from_one = _share_from_one(table, known.case, np.array(numbers, dtype=float)[codes], filled)
    alone = twice is not None and twice <= _SLIPS
    if not named and (not alone or from_one <= _HALF or filled.mean() < _HALF or len(set(read)) == 1):
        return None
    plainly = all(number_of(cell) is not None for cell in values)
    evidence = f"numbers {min(read)} to {max(read)}{'' if plainly else ', some in words'}"
    rank = 2 * named + alone + 2 * from_one + plainly
    return _candidate(table, place, evidence + _twice_told(twice, "a case"), rank)


def _judge_date(table: TextTable, place: int, filled: Array, known: Known) -> Candidate | None:
    name, cells = table.names[place], table.columns[place][filled]
    share = _share_of_dates(cells)
    if share < _MOST_OF_THEM:
        return None
    alone = (_share_twice(table, known.case, place, filled) or 0) <= _SLIPS
    later = any(word in key_of(name) for word in _LATER)
    evidence = f"{round(share * len(cells))} of {counted(len(cells), 'cell')} are dates"
    missing = int((~filled).sum())
    evidence += f", {counted(missing, 'row')} without" if missing else ""
    rank = 2 * is_named(name, "date") + alone - 2 * later + float(filled.mean())
    return _candidate(table, place, evidence, rank)


def _judge_therapist(table: TextTable, place: int, filled: Array, known: Known) -> Candidate | None:
    if not is_named(table.names[place], "therapist") or _is_prose(pd.unique(table.columns[place])):
        return None
    n_values = len(pd.unique(table.columns[place][filled]))
    return _candidate(table, place, counted(n_values, "different value"), 1)


def _judge_rater(table: TextTable, place: int, filled: Array, known: Known) -> Candidate | None:
    values = pd.unique(table.columns[place][filled])
    sides = {plain(value) for value in values} <= _SIDES
    if (
        len(values) > _MOST_VALUES
        or not (sides or is_named(table.names[place], "rater"))
        or _is_prose(values)
    ):
        return None
    evidence = f"{counted(len(values), 'different value')}{', the sides of a therapy' if sides else ''}"
    return _candidate(table, place, evidence, 2 * sides + 1)


def _judge_language(table: TextTable, place: int, filled: Array, known: Known) -> Candidate | None:
    values = pd.unique(table.columns[place][filled])
    codes = all(_LANGUAGES.fullmatch(plain(value)) for value in values)
    if len(values) > _MOST_VALUES or not (codes or is_named(table.names[place], "language")):
        return None
    told = f": {', '.join(values)}" if codes else ""
    return _candidate(table, place, counted(len(values), "different value") + told, 1 + codes)


def _candidate(table: TextTable, place: int, evidence: str, rank: float) -> Candidate:
    return Candidate(place=place, name=table.names[place], evidence=evidence, rank=rank)


def _share_twice(table: TextTable, case: int | None, order: int | None, filled: Array) -> float | None:
    """Return the share of rows whose session, or day, is there twice for one case; None = not known."""
    if case is None or order is None or case == order:
        return None
    days = read_dates(table.columns[order][filled], date_format="dmy").days
    cells = table.columns[order][filled]
    shown = np.where(np.isnat(days), cells, days.astype(str).astype(object))
    pairs = pd.DataFrame({"case": table.columns[case][filled], "order": shown})
    pairs = pairs[(pairs["case"] != "") & (pairs["order"] != "")]
    return None if pairs.empty else float(pairs.duplicated().mean())


def _twice_told(share: float | None, whom: str) -> str:
    if share is None:
        return ""
    found = "no session" if share == 0 else "few sessions" if share <= _SLIPS else "many sessions"
    return f", {found} twice for {whom}"


def _share_from_one(table: TextTable, case: int | None, numbers: Array, filled: Array) -> float:
    """Return the share of cases whose lowest number is 0 or 1."""
    if case is None:
        return 0.0
    lowest = pd.Series(numbers).groupby(table.columns[case][filled]).min()
    return float((lowest <= 1).mean()) if len(lowest) else 0.0


def _is_prose(values: Sequence[str] | Array) -> bool:
    """Return whether cells are sentences rather than codes."""
    long = [cell for cell in values if len(cell) > _CODE_LENGTH or len(cell.split()) > _CODE_WORDS]
    return 2 * len(long) > len(values)


def _are_decimals(values: Sequence[str] | Array) -> bool:
    numbers = [number_of(plain(cell)) for cell in values]
    return any(number is not None and not number.is_integer() for number in numbers)


def _share_of_dates(cells: Array) -> float:
    """Return the share of cells that are dates, in the order of day and month that reads more of them."""
    read = [(~np.isnat(read_dates(cells, date_format=order).days)).mean() for order in ("dmy", "mdy")]
    return float(max(read))


_JUDGES: dict[str, Callable[[TextTable, int, Array, Known], Candidate | None]] = {
    "case": _judge_case,
    "session": _judge_session,
    "date": _judge_date,
    "therapist": _judge_therapist,
    "rater": _judge_rater,
    "language": _judge_language,
}
