"""Which column means what: the mapping, exact names, well-known names, and prefix + number for the items."""

from __future__ import annotations

import difflib
import functools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass, field

from alliance.readers.export import FormLines
from alliance.readers.mapping import ROLES, Mapping
from alliance.readers.problems import Log

Synonyms = Table[str, tuple[str, ...]]

SYNONYMS: dict[str, tuple[str, ...]] = {
    "case": (
        "client", "client_id", "client_code", "patient", "patient_id", "participant", "participant_id",
        "subject", "subject_id", "record", "record_id", "case_id", "case_code", "person", "person_id",
        "study_id",
    ),
    "episode": ("episode_id", "episode_no", "episode_number", "treatment_no", "treatment_number"),
    "session": ("session_no", "session_number", "session_nr", "session_id", "session_num"),
    "date": ("session_date", "date_of_session"),
    "therapist": ("therapist_id", "therapist_code", "clinician", "clinician_id"),
    "rater": ("rater_id", "rated_by", "respondent", "informant"),
    "scale": ("scale_id",),
    "attendance": ("attendance_status",),
    "item": ("item_id", "field_name"),
    "value": ("answer", "response"),
}  # fmt: skip

SIDES = ("client", "therapist", "observer")
"""Raters that are known in any case of letters."""
HEADER_WITHIN = 30
"""Rows that are not blank among which the header is."""

_CODE_AND_TEXT = re.compile(r"^(\w+(?:\[\w+\])*)\. .+")
_NUMBERED = re.compile(r"^(.*\D)(0*)(\d{1,9})(\]?)$", re.DOTALL)
_TWO_NUMBERS = re.compile(r"^(\D*)0*(\d{1,9})(\D+)0*(\d{1,9})(\D*)$")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column with a role: its place, its name as written, and how the role was found."""

    place: int
    name: str
    evidence: str

    @property
    def guessed(self) -> bool:
        """Whether neither the mapping nor an exact name gave the role."""
        return self.evidence not in {"mapping", "exact name"}


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What the source system of a file says of its columns, as in Export; `source` is its name."""

    source: str = ""
    columns: Table[str, str] = field(default_factory=dict)
    fallbacks: Table[str, str] = field(default_factory=dict)
    forms: Table[str, FormLines] = field(default_factory=dict)


NO_HINTS = Hints()


@dataclass(frozen=True, kw_only=True)
class Items:
    """The item columns by number, names of items without a column, and columns beyond the last item."""

    columns: dict[int, Column]
    absent: tuple[str, ...] = ()
    beyond: tuple[Column, ...] = ()


@functools.lru_cache(maxsize=4096)
def key_of(name: str) -> str:
    """Return a column name as it is compared: lower case, one underscore for all else but letters and digits.

    >>> key_of("Session no.")
    'session_no'
    """
    return re.sub(r"\W+", "_", name.casefold()).strip("_")


def recognised(cells: Sequence[str], mapping: Mapping, *, also: Collection[str] = ()) -> int:
    """Return how many cells of a row are names that a header would have; `also` are more such names."""
    names = header_names(cells)
    known = {
        *also,
        *ROLES,
        *(name for many in SYNONYMS.values() for name in many),
    }
    wanted = {name.casefold() for name in mapping.columns.values()} | {
        name.casefold() for name in mapping.fill_down
    }
    by_name = sum(bool(name) and (key_of(name) in known or name.casefold() in wanted) for name in names)
    groups = _groups(names)
    once = (sum(len(places) == 1 for places in numbers.values()) for numbers in groups.values())
    return by_name + max(once, default=0)


def header_names(cells: Sequence[str]) -> list[str]:
    """Return the names in a header row; of names that are all code and text (`Q1. How …`), the codes."""
    names = [" ".join(cell.split()) for cell in cells]
    while names and not names[-1]:
        names.pop()
    parts = [_CODE_AND_TEXT.match(name) for name in names]
    return [part[1] for part in parts if part] if len(names) > 1 and all(parts) else names


def guesses(keys: Table[str, Column], items: Table[int, Column], scale_id: str) -> Iterator[str]:
    """Yield what must be told of columns whose role neither the mapping nor an exact name gave."""
    for role, column in keys.items():
        if column.guessed:
            yield f"column '{column.name}' is read as the {role} ({column.evidence})"
    guessed = [column.name for column in items.values() if column.guessed]
    if guessed:
        yield f"columns {guessed[0]} to {guessed[-1]} are read as the items of '{scale_id}'"


def find_keys(
    names: Sequence[str],
    mapping: Mapping,
    *,
    log: Log,
    roles: Sequence[str] = ROLES,
    synonyms: Synonyms = SYNONYMS,
    hints: Hints = NO_HINTS,
) -> dict[str, Column]:
    """Return role → column for every role but the items; contested columns are troubles.

    The mapping comes first, then what the source system reserves for the role, the exact name, well-known
    names, and last what the system usually has it in.
    """
    found: dict[str, Column] = {}
    mapped = {name.casefold() for name in _mapped_columns(mapping)}
    hinted = {role: _hinted(names, name, hints, mapped) for role, name in hints.columns.items()}
    taken = mapped | {column.name.casefold() for column in hinted.values() if column}
    for role in roles:
        n_troubles = len(log.troubles)
        named = mapping.columns.get(role)
        if named is not None:
            column = None if "{session}" in named else _named(names, named, role, log)
        else:
            free = [place for place, name in enumerate(names) if name and name.casefold() not in taken]
            column = hinted.get(role) or _guessed(names, free, role, synonyms.get(role, ()), log)
        if column is None and named is None and len(log.troubles) == n_troubles:
            used = taken | {each.name.casefold() for each in found.values()}
            column = _hinted(names, hints.fallbacks.get(role, ""), hints, used)
        if column is not None:
            found[role] = column
        elif len(log.troubles) > n_troubles:
            log.contested.add(role)
    return found


def _mapped_columns(mapping: Mapping) -> list[str]:
    forms = (name for form in mapping.forms for name in form.columns.values())
    return [*mapping.columns.values(), *forms]


def _hinted(names: Sequence[str], name: str, hints: Hints, taken: Collection[str]) -> Column | None:
    """Return the column that the source system means, unless it is not there or has another role."""
    if not name or name not in names or name.casefold() in taken:
        return None
    return Column(place=list(names).index(name), name=name, evidence=f"as {hints.source} names it")


def find_items(
    names: Sequence[str], n_items: int, mapping: Mapping, *, log: Log, hints: Hints = NO_HINTS
) -> Items | None:
    """Return the item columns: the mapping's, q1 to qk, or one prefix with numbers 1 to k; else None.

    Columns that the mapping gives another role are no items.
    """
    others = {name.casefold() for role, name in mapping.columns.items() if not re.fullmatch(r"q\d+", role)}
    names = ["" if name.casefold() in others else name for name in names]
    mapped = {int(role[1:]): name for role, name in mapping.columns.items() if re.fullmatch(r"q\d+", role)}
    if mapped:
        _refuse_numbers([number for number in mapped if number > n_items], n_items, log)
        named = {number: _named(names, name, f"q{number}", log) for number, name in sorted(mapped.items())}
        columns = {
            number: column for number, column in named.items() if column is not None and number <= n_items
        }
        absent = [f"q{number}" for number in range(1, n_items + 1) if number not in mapped]
        return Items(columns=columns, absent=tuple(absent))
    hinted = _of_hints(names, n_items, hints)
    exact = _groups(names).get(("q", ""), {})
    if hinted is None and exact:
        return _of_group(names, ("q", ""), exact, n_items=n_items, evidence="exact name", log=log)
    return hinted or _find_prefix(names, n_items, log)


def _of_hints(names: Sequence[str], n_items: int, hints: Hints) -> Items | None:
    """Return the items as the source system names them, if it does, and they are items 1 to k."""
    named = {int(role[1:]): name for role, name in hints.columns.items() if re.fullmatch(r"q\d+", role)}
    if set(named) != set(range(1, n_items + 1)) or not set(named.values()) <= set(names):
        return None
    evidence = f"as {hints.source} names it"
    places = {number: list(names).index(name) for number, name in sorted(named.items())}
    return Items(columns={n: Column(place=at, name=names[at], evidence=evidence) for n, at in places.items()})


def items_called(names: Sequence[str], pattern: str) -> dict[str, str]:
    """Return role q1 to qk → name of the columns that are called like `pattern`, such as `wai_{item}`.

    >>> items_called(["wai_01", "wai_2", "phq_1"], "wai_{item}")
    {'q1': 'wai_01', 'q2': 'wai_2'}
    """
    number = re.escape(pattern).replace(r"\{item\}", r"0*(?P<item>[1-9]\d{0,3})")
    found = ((re.fullmatch(number, name, re.IGNORECASE), name) for name in names)
    return {f"q{match['item']}": name for match, name in found if match}


def number_items(ids: Sequence[str], n_items: int) -> dict[str, int]:
    """Return item id → number for ids in a column, such as wa1 or q1; ids that are no item are left out."""
    if all(re.fullmatch(r"0*[1-9]\d{0,8}", name) for name in ids):
        return {name: int(name) for name in ids if int(name) <= n_items}
    groups = _candidates(_groups(ids), n_items)
    chosen = ("q", "") if ("q", "") in groups else next(iter(groups), None) if len(groups) == 1 else None
    if chosen is None:
        return {}
    return {ids[place]: number for number, places in groups[chosen].items() for place in places}


def pattern_groups(names: Sequence[str], pattern: str) -> dict[tuple[int, int], list[int]]:
    """Return (session, item) → places of the columns that fit a pattern such as `wa{item}_s{session}`."""
    item = r"(?P<item>[A-Za-z_]*\d{1,9})" if pattern.startswith("{item}") else r"(?P<item>\d{1,9})"
    escaped = re.escape(pattern).replace(r"\{item\}", item).replace(r"\{session\}", r"(?P<session>\d{1,9})")
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        match = re.fullmatch(escaped, name, re.IGNORECASE)
        if match:
            number = re.sub(r"\D", "", match["item"])
            found[int(match["session"]), int(number)].append(place)
    return dict(found)


def guess_pattern(names: Sequence[str], n_items: int) -> str:
    """Return the wide pattern the names have: items 1 to k in two or more sessions; or an empty text."""
    groups: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for name in names:
        match = _TWO_NUMBERS.match(name)
        if match:
            groups[match[1], match[3], match[5]].append((int(match[2]), int(match[4])))
    whole = set(range(1, n_items + 1))
    for (before, between, after), pairs in groups.items():
        first, second = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
        if first == whole and len(second) > 1 and not (second == whole and _says_session(before)):
            return f"{before}{{item}}{between}{{session}}{after}"
        if second == whole and len(first) > 1:
            return f"{before}{{session}}{between}{{item}}{after}"
    return ""


def _says_session(text: str) -> bool:
    return bool(re.search(r"(^|[^a-z])(s|t|w|ses|session|time|week)[^a-z]?$", text.casefold()))


def _named(names: Sequence[str], wanted: str, role: str, log: Log) -> Column | None:
    places = [place for place, name in enumerate(names) if name == wanted]
    places = places or [place for place, name in enumerate(names) if name.casefold() == wanted.casefold()]
    if len(places) == 1:
        return Column(place=places[0], name=names[places[0]], evidence="mapping")
    if places:
        _refuse_doubled(names, places, log)
        return None
    near = difflib.get_close_matches(wanted, [name for name in names if name], n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    log.trouble(
        f"there is no column '{wanted}'", where=[f"mapping: {role}"], hint=f"{hint}correct the mapping"
    )
    return None


def _guessed(
    names: Sequence[str], free: list[int], role: str, known_names: Sequence[str], log: Log
) -> Column | None:
    exact = [place for place in free if key_of(names[place]) == role]
    known = [place for place in free if key_of(names[place]) in known_names]
    places, evidence = (exact, "exact name") if exact else (known, "well-known name")
    if len(places) > 1 and len({names[place].casefold() for place in places}) == 1:
        _refuse_doubled(names, places, log)
    elif len(places) > 1:
        claims = ", ".join(f"'{names[place]}'" for place in places)
        hint = f'say which in a mapping: [columns] {role} = "{names[places[0]]}"'
        hint = hint if role in ROLES else "rename all but the right one"
        log.trouble(f"{len(places)} columns could be the {role}: {claims}", hint=hint)
    elif places:
        return Column(place=places[0], name=names[places[0]], evidence=evidence)
    return None


def _refuse_doubled(names: Sequence[str], places: Iterable[int], log: Log) -> None:
    where = [f"column {place + 1}: {names[place]}" for place in places]
    name = where[0].split(": ", 1)[1]
    log.trouble(
        f"column '{name}' is there {len(where)} times",
        where=where,
        hint="rename or delete all but the right one",
    )


def _refuse_numbers(numbers: list[int], n_items: int, log: Log) -> None:
    if numbers:
        message = f"the mapping names item {numbers[0]}, and the form has {n_items} items"
        log.trouble(message, hint="correct the mapping, or name the right form with --scale")


def _groups(names: Sequence[str]) -> dict[tuple[str, str], dict[int, list[int]]]:
    """Return (prefix, suffix) → number → places of the names that end in a number."""
    groups: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, name in enumerate(names):
        match = _NUMBERED.match(name)
        if match:
            groups[match[1].casefold(), match[4]][int(match[3])].append(place)
    return dict(groups)


def _candidates(
    groups: dict[tuple[str, str], dict[int, list[int]]], n_items: int
) -> dict[tuple[str, str], dict[int, list[int]]]:
    """Return the groups that can be the items: numbers within 1 to k, at least half of them."""
    fits = {
        key: numbers
        for key, numbers in groups.items()
        if all(1 <= number <= n_items for number in numbers) and 2 * len(numbers) >= n_items
    }
    complete = {key: numbers for key, numbers in fits.items() if len(numbers) == n_items}
    return complete if len(complete) == 1 else fits


def _find_prefix(names: Sequence[str], n_items: int, log: Log) -> Items | None:
    groups = _candidates(_groups(names), n_items)
    if not groups or guess_pattern(names, n_items):
        return None
    if len(groups) > 1:
        claims = ", ".join(f"'{_first_name(names, numbers)}'" for numbers in groups.values())
        hint = 'say which in a mapping, one line for each item: [columns] q1 = "…"'
        log.trouble(
            f"{len(groups)} groups of columns could be the items; they start with {claims}", hint=hint
        )
        return Items(columns={})
    key, numbers = next(iter(groups.items()))
    return _of_group(names, key, numbers, n_items=n_items, evidence="prefix and number", log=log)


def _first_name(names: Sequence[str], numbers: dict[int, list[int]]) -> str:
    return names[numbers[min(numbers)][0]]


def _of_group(
    names: Sequence[str],
    key: tuple[str, str],
    numbers: dict[int, list[int]],
    *,
    n_items: int,
    evidence: str,
    log: Log,
) -> Items:
    for number in sorted(numbers):
        if len(numbers[number]) > 1:
            _refuse_doubled(names, numbers[number], log)
    found = {
        number: Column(place=places[0], name=names[places[0]], evidence=evidence)
        for number, places in sorted(numbers.items())
    }
    columns = {number: column for number, column in found.items() if 1 <= number <= n_items}
    beyond = tuple(column for number, column in found.items() if number not in columns)
    sample = _NUMBERED.match(_first_name(names, numbers))
    prefix = sample[1] if sample else key[0]
    digits = len(sample[2] + sample[3]) if sample and sample[2] else 0
    absent = [
        f"{prefix}{number:0{digits}d}{key[1]}" for number in range(1, n_items + 1) if number not in numbers
    ]
    return Items(columns=columns, absent=tuple(absent), beyond=beyond)
