"""Columns that say who a person is: found by their names and by what is in them, and refused.

A name counts where the column holds anything; contents count in columns that have no other use. No cell
is ever quoted: an error names columns and lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alliance.readers.columns import Column, key_of, pattern_groups
from alliance.readers.mapping import Mapping as ColumnMapping
from alliance.readers.mapping import plain
from alliance.readers.personal_words import (
    BIRTH,
    COLUMN_WORDS,
    EMAIL,
    GIVEN_NAMES,
    NAME,
    PARTICLES,
    PHONE,
    QUALIFIERS,
    TITLES,
    YES_NO,
)
from alliance.readers.problems import Log, counted

if TYPE_CHECKING:
    from alliance.readers.table import TextTable

HINT = (
    "delete what is not needed, or write the file anew with `alliance pseudonymise`; "
    "--allow-identifiers reads it as it is"
)

_FAR_FROM_USE = frozenset(
    {"session", "date", "scale", "attendance", "attended", "item", "value", "external_not_on_track"}
)
"""Roles whose cells are read as numbers, dates or known words: a name is no evidence there."""

_ADDRESS_SIGN = re.compile(r"[\w.+-]@[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}")
_DIGITS = re.compile(r"\d")
_PHONE = re.compile(
    r"""(?:tel\.?:?\s*)?(?:
      \+[1-9][\d\s()/.-]{6,20}\d                              # +49 30 1234567
    | 00[1-9]\d{0,2}[\s(/][\d\s()/.-]{5,20}\d                 # 0049 30 1234567
    | \(?0[1-9]\d{0,4}\)?(?:\s?[/-]\s?|\s)\d[\d\s]*\d        # 030/1234567, 020 7946 0958
    | 0[1-9](?:[.-]\d\d){4}                                  # 01.23.45.67.89
    | 0[67]\d{8,9}                                           # 0612345678
    | \(\d{3}\)\s?\d{3}-\d{4} | \d{3}-\d{3}-\d{4}            # (212) 555-0142
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_DATE_START = re.compile(
    r"""\d{1,2}[-./\ ]\d{1,2}[-./\ ](?:(?:19|20)\d\d(?!\d) | \d\d(?!\d|[-./\ ]\d\d[-./\ ]))
      | \d{4}[-./]\d{1,2}[-./]\d{1,2}(?!\d)""",
    re.VERBOSE,
)
_FULL_DATE = re.compile(r"(?:(\d{4})[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}))(?:[ T].*)?")
_NOTHING = re.compile(
    r"(?:|n/?a|nan|none|null|missing|\[?(?:redacted|removed|deleted|anonym(?:ous|i[sz]ed))\]?|[-–.*#x?]+)"
)
_FEWEST_DIGITS, _MOST_DIGITS = 9, 15
_FEWEST_IN_A_COLUMN_OF_PHONES = 5
_BIRTH_STEMS = ("birth", "geburt", "naissance", "nacimiento", "geboorte")
_YEARS_BEFORE = 10
_NAME_PART = re.compile(r"[^\W\d_](?:['\u2019-]?[^\W\d_])+")
_SHARE_OF_NAMES = 0.2
_FEWEST_WORDS, _MOST_WORDS = 2, 4
_LONGEST = 500
"""Characters of a column name that are looked at."""
_NUMBERED_MOST = 3
"""More columns than this that differ in a number only are items of a form, and their name says nothing."""


@dataclass(frozen=True, kw_only=True)
class Identifier:
    """A column that may say who a person is: place, name, what it seems to hold, the first such line."""

    place: int
    column: str
    what: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Use:
    """What the columns of a file are used for, by place.

    `answers` are items, sessions, dates and known words; `people` are codes of cases, therapists and raters.
    """

    answers: frozenset[int] = frozenset()
    people: frozenset[int] = frozenset()
    items: int | None = None
    values: int | None = None
    dates: int | None = None


def refuse_identifiers(
    table: TextTable,
    keys: Mapping[str, Column],
    mapping: ColumnMapping,
    log: Log,
    *,
    allow: bool = False,
    used: Collection[str] = (),
) -> bool:
    """Note down a trouble if any column may say who a person is, and return whether there is one.

    A file without a case column is refused for that already, and nothing of it is shown.

    Parameters
    ----------
    table : TextTable
        The file; every cell of it is looked at.
    keys : mapping of role → Column
        As found in the header.
    mapping : Mapping
        What a person said about the columns.
    log : Log
        Gets the trouble: columns and the line of the first hit, never a cell.
    allow : bool
        Say nothing.
    used : collection of str
        Names of more columns that are read as answers or scores.
    """
    if allow or "case" not in {*keys, *log.contested}:
        return False
    use = use_of(table.names, keys, mapping, used)
    found = identifiers(table.names, table.columns, table.lines, use)
    if found:
        what = f"{counted(len({each.place for each in found}), 'column')} that may say who a person is"
        where = [f"line {each.line}: column {each.column} looks like {each.what}" for each in found]
        log.trouble(what, where=where, hint=HINT)
    return bool(found)


def use_of(
    names: Sequence[str], keys: Mapping[str, Column], mapping: ColumnMapping, used: Collection[str] = ()
) -> Use:
    """Return what the columns are used for, as far as the header and the mapping say."""
    roles = {role: column.place for role, column in keys.items()}
    places = {place for role, place in roles.items() if role in _FAR_FROM_USE}
    mapped = {name.casefold() for role, name in mapping.columns.items() if re.fullmatch(r"q\d+", role)}
    wanted = mapped | {name.casefold() for name in used}
    places |= {place for place, name in enumerate(names) if name.casefold() in wanted}
    if mapping.pattern:
        places |= {place for group in pattern_groups(names, mapping.pattern).values() for place in group}
    return Use(
        answers=frozenset(places),
        people=frozenset(roles.values()) - places,
        items=roles.get("item"),
        values=roles.get("value"),
        dates=roles.get("date"),
    )


def identifiers(
    names: Sequence[str], columns: Sequence[Any], lines: Sequence[int] | Any, use: Use
) -> list[Identifier]:
    """Return the columns that may say who a person is, in the order of the file, one entry each.

    Parameters
    ----------
    names : sequence of str
        The header, as written.
    columns : sequence of arrays or lists of str
        Cells of each column, shape (rows,), empty = nothing there.
    lines : sequence of int
        Line of the file each row starts in, shape (rows,).
    use : Use
        Columns that are answers, sessions or dates are looked at for e-mail addresses only.

    Examples
    --------
    >>> found = identifiers(["case", "E-Mail"], [["C1"], ["a@b.example"]], [2], Use())
    >>> [(each.place, each.what, each.line) for each in found]
    [(1, 'an e-mail address', 2)]
    """
    named = named_kinds(names)
    first_year = _first_year(_list(columns[use.dates])) if use.dates is not None else None
    found = []
    for place, name in enumerate(names):
        column = _list(columns[place])
        cells = list(dict.fromkeys(column))
        hit = _email(cells)
        if hit is None and place not in use.answers:
            hit = _hit(name, cells, named.get(place, ""), first_year, is_code=place in use.people)
        if hit is not None:
            line = int(lines[column.index(hit[1])])
            found.append(Identifier(place=place, column=_shown(place, name), what=hit[0], line=line))
    return found + list(_asked_items(names, columns, lines, use))


def _shown(place: int, name: str) -> str:
    """Return a column as an error names it: by number where its name is itself an e-mail address."""
    return f"{place + 1}" if _ADDRESS_SIGN.search(name) else f"'{name}'"


def named_kinds(names: Sequence[str]) -> dict[int, str]:
    """Return place → what the name of the column says it holds, for those that name a person's detail.

    >>> named_kinds(["case", "Vorname", "form_name", "RecipientEmail", "birth_year"])
    {1: "a person's name", 3: 'an e-mail address'}
    """
    bases = [_base(name) for name in names]
    usual = Counter(base for base in bases if base in _KINDS)
    numbered = [bool(re.search(r"\d\W*$", name)) for name in names]
    return {
        place: _KINDS[base]
        for place, base in enumerate(bases)
        if base in _KINDS and not (numbered[place] and usual[base] > _NUMBERED_MOST)
    }


def _base(name: str) -> str:
    """Return a column name without accents, qualifiers such as "client", blanks, and numbers at its end."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = key_of(_plain_letters(split)).split("_")
    kept = [word for word in words if word not in _PLAIN_QUALIFIERS]
    return re.sub(r"\d+$", "", "".join(kept))


def _plain_letters(word: str) -> str:
    parts = unicodedata.normalize("NFKD", word[:_LONGEST])
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


_PLAIN_QUALIFIERS = frozenset(map(_plain_letters, QUALIFIERS))
_KINDS = {_base(word): kind for kind, words in COLUMN_WORDS.items() for word in words.split()}


def _email(cells: Sequence[str]) -> tuple[str, str] | None:
    return next(((EMAIL, cell) for cell in cells if "@" in cell and _ADDRESS_SIGN.search(cell)), None)


def _hit(
    name: str, cells: Sequence[str], named: str, first_year: int | None, *, is_code: bool
) -> tuple[str, str] | None:
    """Return what a column with these different cells seems to hold, and the first cell that says so.

    The codes of cases, therapists and raters are looked at for the names of people only.
    """
    if is_code and not named and not any(" " in cell or "," in cell for cell in cells):
        return None
    cells = _filled(cells)
    if not cells:
        return None
    if named and not _harmless(named, cells):
        return named, cells[0]
    if is_code:
        people = _people(cells)
        return (NAME, people[0]) if people else None
    return _by_contents(name, cells, first_year)


def _harmless(named: str, cells: Sequence[str]) -> bool:
    """Return whether the cells of a column of that name only say yes or no, or are plainly something else.

    A name has no digits in it, a telephone number has more than a few.
    """
    if all(plain(cell) in YES_NO for cell in cells):
        return True
    n_digits = [len(_DIGITS.findall(cell)) for cell in cells]
    return (named == NAME and min(n_digits) > 0) or (
        named == PHONE and max(n_digits) < _FEWEST_IN_A_COLUMN_OF_PHONES
    )


def _by_contents(name: str, cells: Sequence[str], first_year: int | None) -> tuple[str, str] | None:
    people = _people(cells)
    if people:
        return NAME, people[0]
    phones = [cell for cell in cells if _is_phone(cell)]
    if 2 * len(phones) > len(cells):
        return PHONE, phones[0]
    if any(stem in key_of(_plain_letters(name)) for stem in _BIRTH_STEMS):
        early = [cell for cell in cells if _years_before(cell, first_year)]
        return (BIRTH, early[0]) if 2 * len(early) > len(cells) else None
    return None


def _is_phone(cell: str) -> bool:
    """Return whether a cell is written like a telephone number; dates and plain numbers are not.

    >>> [_is_phone(cell) for cell in ("+49 30 1234567", "05-01-2026", "0.123456789", "(212) 555-0142")]
    [True, False, False, True]
    """
    text = cell.strip()
    if len(text) < _FEWEST_DIGITS:
        return False
    n_digits = len(_DIGITS.findall(text))
    if not _FEWEST_DIGITS <= n_digits <= _MOST_DIGITS or _DATE_START.match(text):
        return False
    return _PHONE.fullmatch(text) is not None


def _people(cells: Sequence[str]) -> list[str]:
    """Return the cells with a known given name, if most cells are written like a person's full name.

    Two capitalised words alone are no evidence ("Blue Fox", "Site North"): a fifth of the cells must hold a
    frequent given name. Both shares are by design.
    """
    parts = {cell: _parts_of_name(cell) for cell in cells}
    shaped = [cell for cell in cells if parts[cell]]
    known = [cell for cell in shaped if not GIVEN_NAMES.isdisjoint(map(_plain_letters, parts[cell]))]
    enough = known and 2 * len(shaped) > len(cells) and len(known) >= _SHARE_OF_NAMES * len(cells)
    return known if enough else []


def _parts_of_name(cell: str) -> tuple[str, ...]:
    """Return the words of a full name in lower case, titles left out; nothing if the cell is none."""
    if " " not in cell and "," not in cell:
        return ()
    words = [word.rstrip(".,;") for word in cell.replace(",", ", ").split()]
    words = [word for word in words if word.casefold() not in TITLES]
    if not _FEWEST_WORDS <= len(words) <= _MOST_WORDS:
        return ()
    fits = all(_NAME_PART.fullmatch(word) and (word[0].isupper() or word in PARTICLES) for word in words)
    return tuple(part for word in words for part in word.casefold().split("-")) if fits else ()


def _years_before(cell: str, first_year: int | None) -> bool:
    year = _year(cell)
    return year is not None and (first_year is None or first_year - year >= _YEARS_BEFORE)


def _year(cell: str) -> int | None:
    match = _FULL_DATE.fullmatch(cell.strip())
    return int(match[1] or match[2]) if match else None


def _first_year(column: Sequence[str]) -> int | None:
    years = [year for cell in dict.fromkeys(column) if (year := _year(cell)) is not None]
    return min(years, default=None)


def _filled(cells: Iterable[str]) -> list[str]:
    return [cell for cell in cells if not _NOTHING.fullmatch(plain(cell))]


def _list(column: Any) -> list[str]:
    cells: list[str] = column if isinstance(column, list) else column.tolist()
    return cells


def _asked_items(
    names: Sequence[str], columns: Sequence[Any], lines: Sequence[int] | Any, use: Use
) -> Iterator[Identifier]:
    """Yield what a file with one answer a row asks for beside its items, such as `first_name`."""
    if use.items is None or use.values is None:
        return
    items, values = _list(columns[use.items]), _list(columns[use.values])
    ids = list(dict.fromkeys(items))
    for place, kind in named_kinds(ids).items():
        asked = {values[row]: row for row in range(len(items) - 1, -1, -1) if items[row] == ids[place]}
        cells = _filled(asked)
        if cells and not _harmless(kind, cells):
            name = f"'{names[use.values]}', item '{ids[place]}',"
            line = int(lines[min(asked[cell] for cell in cells)])
            yield Identifier(place=use.values, column=name, what=kind, line=line)
