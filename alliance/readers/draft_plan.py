"""What a draft of a mapping starts from: the columns taken for keys and items as long as nobody says more."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import AllianceError
from alliance.readers.candidates import ASKED_ROLES, Candidate, Known, candidates, is_named
from alliance.readers.columns import Column, find_items, guess_pattern, pattern_groups
from alliance.readers.forms import CONFLICT, Context, Part, settle
from alliance.readers.identifiers import Identifier, identifiers, use_of
from alliance.readers.item_groups import Group, columns_by_position, groups_of
from alliance.readers.levels import renamed
from alliance.readers.mapping import FormMap
from alliance.readers.mapping import Mapping as ColumnMapping
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, empty_rejected
from alliance.readers.reading import Reading, parts_of
from alliance.readers.shapes import ANSWER_TWICE
from alliance.readers.table import TextTable, fill_down
from alliance.scale import Scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Items:
    """Where the items seem to be.

    `columns` by number; `pattern` of a file with one row for each case; `groups` that could be forms side by
    side, in which `main` is the form that was named; `by_position`: columns that hold nothing but answers.
    """

    columns: Mapping[int, Column] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    pattern: str = ""
    groups: tuple[Group, ...] = ()
    main: Group | None = None
    by_position: tuple[str, ...] = ()

    def names(self, table: TextTable) -> set[str]:
        """Return the names of all columns that are items of any kind."""
        wide = pattern_groups(table.names, self.pattern) if self.pattern else {}
        return {
            *(column.name for column in self.columns.values()),
            *(table.names[place] for places in wide.values() for place in places),
            *(name for group in self.groups for name in group.columns),
            *self.by_position,
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A file as a draft sees it.

    `sure` are the keys that the file gives by itself; `asked` are the candidates for the others, best first,
    the first of which is taken for the key meanwhile, in `keys` and in `mapping`. `table` is filled down.
    """

    opened: Reading
    scale: Scale | None
    known: Mapping[str, Scale]
    table: TextTable
    hidden: tuple[Identifier, ...]
    sure: Mapping[str, Column]
    asked: Mapping[str, list[Candidate]]
    keys: Mapping[str, Column]
    items: Items
    mapping: ColumnMapping

    @property
    def side_by_side(self) -> bool:
        """Whether several forms seem to stand side by side, or one in several groups of columns."""
        return len(self.items.groups) > (self.scale is None)

    def place(self, role: str) -> int | None:
        """Return the place of the column that is taken for a key."""
        return self.keys[role].place if role in self.keys else None


def plan_of(opened: Reading, scale: Scale | None, known: Mapping[str, Scale]) -> Plan:
    """Return what a draft starts from."""
    sure = {role: column for role, column in opened.keys.items() if not _usual(role, column, opened)}
    items = _items(opened, scale, known, sure)
    table = opened.table
    use = use_of(table.names, opened.keys, opened.mapping, items.names(table))
    hidden = tuple(identifiers(table.names, table.columns, table.lines, use))
    away = {each.place for each in hidden}
    table = _filled(table, sure)
    if scale is not None and _is_open(items, opened):
        free = [
            place for place in _free(table, sure, items) if place not in away and not _is_key(table, place)
        ]
        items = replace(items, by_position=tuple(columns_by_position(table, free, scale)))
    free = [place for place in _free(table, sure, items) if place not in away]
    asked = _candidates(table, free, sure, opened)
    keys = {**opened.keys, **sure, **_best(asked)}
    plan = Plan(
        opened=opened,
        scale=scale,
        known=known,
        table=_filled(table, keys),
        hidden=hidden,
        sure=sure,
        asked=asked,
        keys=keys,
        items=items,
        mapping=opened.mapping,
    )
    return replace(plan, mapping=_provisional(plan))


def parts_as_planned(
    plan: Plan, mapping: ColumnMapping, rows: Array, options: ReadOptions, folders: Sequence[Path]
) -> tuple[tuple[Part, ...], pd.DataFrame]:
    """Return the forms in the `rows` as the mapping would have them, and the rows that are there twice."""
    log = Log()
    keys = dict(plan.keys)
    table = renamed(plan.table.take(rows), keys, mapping, log)
    reading = replace(plan.opened, log=log, mapping=mapping, table=table, keys=keys)
    parts = tuple(_parts(reading, plan, options, folders))
    if parts and "case" in keys:
        date_format = options.date_format or mapping.date_format or plan.opened.export.date_format
        context = Context(
            keys=keys, mapping=mapping, parts=parts, keep=None, date_format=date_format, one_scale=True
        )
        settle(context, log)
    doubles = [frame for kind, frame in log.problems if kind in {CONFLICT, ANSWER_TWICE}]
    return parts, pd.concat(doubles) if doubles else empty_rejected()


def _parts(reading: Reading, plan: Plan, options: ReadOptions, folders: Sequence[Path]) -> Iterator[Part]:
    """Yield the forms, each of several read on its own; what cannot be read at all is left out."""
    known = plan.known if plan.scale is None else {**plan.known, plan.scale.id: plan.scale}
    forms = reading.mapping.forms
    if not forms:
        with contextlib.suppress(AllianceError):
            yield from list(parts_of(reading, plan.scale, folders, options))
    for form in (each for each in forms if each.scale in known):
        own = replace(reading, mapping=replace(reading.mapping, forms=(form,)))
        with contextlib.suppress(AllianceError):
            found = list(parts_of(own, known[form.scale], folders, options))
            yield from (part for part in found if part.scale is not None)


def _usual(role: str, column: Column, opened: Reading) -> bool:
    """Return whether a column is merely where the source system has a key as a rule."""
    usual = opened.export.fallbacks.get(role)
    return column.guessed and column.name == usual and usual != opened.export.columns.get(role)


def _items(
    opened: Reading, scale: Scale | None, known: Mapping[str, Scale], sure: Mapping[str, Column]
) -> Items:
    names, mapping = opened.table.names, opened.mapping
    if mapping.forms or mapping.pattern:
        return Items(pattern=mapping.pattern)
    if {"item", "value"} <= set(opened.keys) or (scale is None and "scale" in sure):
        return Items()
    if scale is None:
        return _of_any_form(opened, known, sure)
    found = find_items(names, scale.n_items, mapping, log=Log(), hints=opened.hints)
    pattern = guess_pattern(names, scale.n_items)
    if pattern and not (found and found.columns):
        return Items(pattern=pattern)
    columns = found.columns if found is not None else {}
    groups = groups_of(opened.table, _free_names(opened, sure), {**known, scale.id: scale})
    main = next((each for each in groups if _holds(each, columns)), None)
    several = tuple(each for each in groups if each is main or (each.forms and not _overlaps(each, columns)))
    if len(several) > 1 and (main is not None or (found is not None and not columns)):
        return Items(groups=several, main=main)
    return Items(columns=columns, absent=found.absent if found is not None else ())


def _of_any_form(opened: Reading, known: Mapping[str, Scale], sure: Mapping[str, Column]) -> Items:
    groups = [each for each in groups_of(opened.table, _free_names(opened, sure), known) if each.forms]
    if groups:
        return Items(groups=tuple(groups))
    sizes = sorted({each.n_items for each in known.values()}, reverse=True)
    patterns = (guess_pattern(opened.table.names, size) for size in sizes)
    return Items(pattern=next(filter(None, patterns), ""))


def _holds(group: Group, columns: Mapping[int, Column]) -> bool:
    return bool(columns) and {column.name for column in columns.values()} == set(group.columns)


def _overlaps(group: Group, columns: Mapping[int, Column]) -> bool:
    return bool({column.name for column in columns.values()} & set(group.columns))


def _is_open(items: Items, opened: Reading) -> bool:
    said = opened.mapping.forms or {"item", "value"} <= set(opened.keys)
    return not (items.columns or items.pattern or items.groups or said)


def _free_names(opened: Reading, sure: Mapping[str, Column]) -> list[str]:
    taken = {column.place for column in sure.values()}
    return [name for place, name in enumerate(opened.table.names) if name and place not in taken]


def _free(table: TextTable, sure: Mapping[str, Column], items: Items) -> list[int]:
    taken, names = {column.place for column in sure.values()}, items.names(table)
    return [
        place
        for place, name in enumerate(table.names)
        if name and place not in taken and name not in names and table.names.count(name) == 1
    ]


def _is_key(table: TextTable, place: int) -> bool:
    return any(is_named(table.names[place], role) for role in ASKED_ROLES)


def _candidates(
    table: TextTable, free: Collection[int], sure: Mapping[str, Column], opened: Reading
) -> dict[str, list[Candidate]]:
    """Return role → candidates, for the keys that the file does not give by itself."""
    places = {role: column.place for role, column in sure.items()}
    asked: dict[str, list[Candidate]] = {}
    for role in ("session", "date", "case", *ASKED_ROLES[1:]):
        if role in sure or (role == "session" and opened.mapping.pattern):
            continue
        taken = {place for other, place in places.items() if other != role}
        left = [place for place in free if place not in taken]
        known = Known(**{name: places.get(name) for name in ("case", "session", "date")})
        asked[role] = _with_usual(role, candidates(table, role, left, known), opened)
        places.pop(role, None)
        if asked[role]:
            places[role] = asked[role][0].place
    return {role: asked[role] for role in ASKED_ROLES if role in asked}


def _with_usual(role: str, found: list[Candidate], opened: Reading) -> list[Candidate]:
    """Return the candidates with the column that the source system usually has the key in, and so named."""
    name = opened.export.fallbacks.get(role, "")
    if role not in opened.keys or opened.keys[role].name != name:
        return found
    why = f"where {opened.export.source} has it as a rule, and used if nothing else is said"
    usual = next((each for each in found if each.name == name), None)
    if usual is None:
        usual = Candidate(place=opened.keys[role].place, name=name, evidence="", rank=0)
    told = replace(usual, evidence=f"{why}; {usual.evidence}".removesuffix("; "), rank=usual.rank + 3)
    return sorted([*(each for each in found if each.name != name), told], key=lambda each: -each.rank)


def _best(asked: Mapping[str, list[Candidate]]) -> dict[str, Column]:
    best = {role: found[0] for role, found in asked.items() if found}
    return {role: Column(place=each.place, name=each.name, evidence="mapping") for role, each in best.items()}


def _filled(table: TextTable, keys: Mapping[str, Column]) -> TextTable:
    """Return the table with the case column filled down, if it is filled in on the first rows of blocks."""
    column = keys.get("case")
    if column is None or not len(table.lines) or table.columns[column.place][0] == "":
        return table
    return fill_down(table, (column.name,), Log())


def _provisional(plan: Plan) -> ColumnMapping:
    """Return the mapping by which a draft looks into the cells."""
    whole, items = plan.opened.mapping, plan.items
    columns = {role: each.name for role, each in plan.keys.items() if role in plan.asked}
    positions = dict(enumerate(items.by_position[: plan.scale.n_items if plan.scale else 0], 1))
    columns |= {f"q{number}": name for number, name in positions.items()}
    columns = {**columns, **whole.columns}
    if items.groups:
        columns = {role: name for role, name in columns.items() if not re.fullmatch(r"q\d+", role)}
    forms = whole.forms or tuple(_forms(plan))
    pattern = "" if forms else whole.pattern or items.pattern
    return replace(whole, columns=columns, pattern=pattern, forms=forms)


def _forms(plan: Plan) -> list[FormMap]:
    """Return a form for each group of columns, each scale and rater once."""
    found: dict[tuple[str, str], FormMap] = {}
    for number, group in enumerate(plan.items.groups, 1):
        scale = form_of(group, plan)
        rater = group.side or (f"rater {number}" if (scale.id, "") in found else "")
        found.setdefault((scale.id, rater), FormMap(scale=scale.id, items=group.items, rater=rater))
    return list(found.values())


def form_of(group: Group, plan: Plan) -> Scale:
    """Return the form that a group of columns is most likely: the one that was named, if it fits."""
    named = plan.scale
    if named is not None and (group is plan.items.main or named.id in {each.id for each in group.forms}):
        return named
    return group.forms[0]
