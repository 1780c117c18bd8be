"""TextTable → Entries: one entry a form, whether a row is a form, a case or an answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from alliance.readers.answers import ANSWER, UNREADABLE, Rules, convert, is_blank
from alliance.readers.columns import (
    NO_HINTS,
    Column,
    Hints,
    find_items,
    guess_pattern,
    number_items,
    pattern_groups,
)
from alliance.readers.mapping import Mapping
from alliance.readers.problems import Kind, Log, counted, places
from alliance.readers.table import TextTable
from alliance.readers.times import read_sessions

Array = np.ndarray[Any, Any]

KEY_ROLES = (
    "case",
    "session",
    "date",
    "therapist",
    "rater",
    "attendance",
    "attended",
    "external_not_on_track",
    "language",
)

ANSWER_TWICE = Kind(
    label="item answered twice",
    one="answer is there twice, and differs",
    many="answers are there twice, and differ",
    hint="correct the file, or say --keep first or --keep last",
)


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Forms as text.

    Attributes
    ----------
    keys : DataFrame, one row a form: KEY_ROLES as text, `line`, `tail`, `unfinished`
    texts : object array, shape (items, forms); "" where a form has no such cell
    lines : int64, shape (items, forms); line each answer stands in
    names : the file's own name of each item
    columns : item number → column, for the forms of one column an item
    called : item number → every name the item has in the file: its column, its columns, or its ids
    """

    keys: pd.DataFrame
    texts: Array
    lines: Array
    names: tuple[str, ...]
    columns: dict[int, Column]
    shape: str
    called: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def take(self, forms: Array) -> Entries:
        """Return the entries with only the `forms` (a bool array)."""
        keys = self.keys[forms].reset_index(drop=True)
        return replace(self, keys=keys, texts=self.texts[:, forms], lines=self.lines[:, forms])


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is known of a file before its answers are read."""

    table: TextTable
    keys: dict[str, Column]
    mapping: Mapping
    keep: Literal["first", "last"] | None
    hints: Hints = NO_HINTS


def entries_without_answers(layout: Layout) -> Entries:
    """Return one entry a row for rows that name no form: they can only be appointments."""
    none = np.zeros((0, len(layout.table.lines)), dtype=np.int64)
    keys = _keys(layout, layout.table)
    return Entries(keys=keys, texts=none.astype(object), lines=none, names=(), columns={}, shape="none")


def shape_entries(layout: Layout, rules: Rules, *, log: Log) -> Entries | None:
    """Return the forms of the scale in `rules`; None, with a trouble, if the file has no answers to it."""
    if layout.mapping.pattern:
        return _wide(layout, rules, log)
    table, k = layout.table, rules.scale.n_items
    items = find_items(table.names, k, layout.mapping, log=log, hints=layout.hints)
    if items is None and "item" in layout.keys and "value" in layout.keys:
        return _one_answer_a_row(layout, rules, log)
    if items is None:
        _no_items(layout.table, rules, log)
        return None
    return _long(layout, rules, items, log)


def _no_items(table: TextTable, rules: Rules, log: Log) -> None:
    k = rules.scale.n_items
    pattern = guess_pattern(table.names, k)
    hint = f"name them q1 to q{k}, or write a mapping; `alliance check FILE --write-map` drafts one"
    if pattern:
        hint = f'the file has one row for each case; say so in a mapping: pattern = "{pattern}"'
    log.trouble(f"no columns hold the {k} items of '{rules.scale.id}'", hint=hint)


def _keys(layout: Layout, table: TextTable) -> pd.DataFrame:
    blank = np.full(len(table.lines), "", dtype=object)
    named = {role: layout.keys.get(role) for role in KEY_ROLES}
    cells = {role: table.columns[column.place] if column else blank for role, column in named.items()}
    told = {"line": table.lines, "tail": table.tail, "unfinished": table.unfinished}
    kinds = {"line": "int64", "tail": "bool", "unfinished": "bool"}
    return pd.DataFrame({**cells, **told}, dtype=object).astype(kinds)


def _long(layout: Layout, rules: Rules, items: Any, log: Log) -> Entries:
    table, k = layout.table, rules.scale.n_items
    _refuse_beyond(table, items.beyond, rules, log)
    names = _names(items, k)
    if items.absent:
        what = counted(len(items.absent), "item has", "items have")
        log.absence(
            f"{what} no column in the file: {', '.join(items.absent)}",
            hint="add the columns, or load the rest with --on-error drop: the items then count as unanswered",
        )
    filled = [table.columns[items.columns[n].place] if n in items.columns else None for n in range(1, k + 1)]
    table, filled = _only_form_rows(layout, items.columns, filled, log)
    texts = np.full((k, len(table.lines)), "", dtype=object)
    for place, column in enumerate(filled):
        if column is not None:
            texts[place] = column
    keys = _keys(layout, table)
    return Entries(
        keys=keys,
        texts=texts,
        lines=_lines(table, items.columns, k),
        names=names,
        columns=items.columns,
        shape="long",
        called={number: (column.name,) for number, column in items.columns.items()},
    )


def _lines(table: TextTable, columns: dict[int, Column], k: int) -> Array:
    """Return the line of each answer: that of its cell where it is known, or else that of its row."""
    lines = np.broadcast_to(table.lines, (k, len(table.lines)))
    if table.cell_lines:
        lines = lines.copy()
        for number, column in columns.items():
            lines[number - 1] = table.cell_lines[column.place]
    return lines


def _names(items: Any, k: int) -> tuple[str, ...]:
    return tuple(items.columns[n].name if n in items.columns else f"q{n}" for n in range(1, k + 1))


def _refuse_beyond(table: TextTable, beyond: tuple[Column, ...], rules: Rules, log: Log) -> None:
    answered = [column.name for column in beyond if not is_blank(table.columns[column.place]).all()]
    if answered:
        scale, names = rules.scale, ", ".join(answered)
        log.trouble(
            f"the form '{scale.id}' has {scale.n_items} items, and the file also answers {names}",
            hint="name the right form with --scale, or rename the columns that are no items",
        )


def _only_form_rows(
    layout: Layout, items: dict[int, Column], columns: list[Array | None], log: Log
) -> tuple[TextTable, list[Array | None]]:
    """Return the table and the item columns without the rows that hold other forms, as far as that is known.

    A row that says of an appointment how it went stays. Rows in which the form of the items was begun and not
    sent are marked as unfinished.
    """
    table, known = layout.table, layout.hints.forms
    forms = [known[column.name] for column in items.values() if column.name in known]
    if not forms:
        return table, columns
    keep = np.isin(table.lines, sorted(set().union(*(form.held for form in forms))))
    for column in columns:
        keep |= False if column is None else ~is_blank(column)
    for role in {"attendance", "attended"} & layout.keys.keys():
        keep |= ~is_blank(table.columns[layout.keys[role].place])
    if not keep.all():
        n_others = int((~keep).sum())
        log.note(f"{counted(n_others, 'row')} without this form not read", _as_lines(table.lines[~keep]))
    begun = np.isin(table.lines, sorted(set().union(*(form.unfinished for form in forms))))
    table = replace(table, unfinished=table.unfinished | begun)
    return table.take(keep), [None if column is None else column[keep] for column in columns]


def _as_lines(lines: Array) -> list[str]:
    return [f"line {line}" for line in lines]


def _wide(layout: Layout, rules: Rules, log: Log) -> Entries | None:
    table, k = layout.table, rules.scale.n_items
    groups = pattern_groups(table.names, layout.mapping.pattern)
    beyond = sorted({table.names[found[0]] for (_, item), found in groups.items() if not 1 <= item <= k})
    doubled = sorted({table.names[found[0]] for found in groups.values() if len(found) > 1})
    if beyond:
        log.trouble(f"the form '{rules.scale.id}' has {k} items, and the pattern also finds {beyond[0]}")
    for name in doubled:
        log.trouble(f"column '{name}' is there twice", hint="rename or delete all but the right one")
    if not groups:
        log.trouble(
            f"no column fits the pattern '{layout.mapping.pattern}'", hint="correct it in the mapping"
        )
    if not groups or beyond:
        return None
    sessions = sorted({session for session, _ in groups})
    _tell_absent(groups, sessions, k, layout, log)
    parts = [_wide_session(layout, groups, session, k, log) for session in sessions]
    texts = np.concatenate([part.texts for part in parts], axis=1)
    keys = pd.concat([part.keys for part in parts])
    present = np.flatnonzero(~is_blank(texts).all(axis=0) | _rated(layout, keys))
    keys = keys.iloc[present].reset_index(drop=True)
    lines = np.broadcast_to(keys["line"].to_numpy(), (k, len(keys)))
    names = tuple(layout.mapping.pattern.replace("{item}", str(n)) for n in range(1, k + 1))
    called = {
        n: tuple(table.names[at[0]] for (_, item), at in groups.items() if item == n) for n in range(1, k + 1)
    }
    return Entries(
        keys=keys,
        texts=texts[:, present],
        lines=lines,
        names=names,
        columns={},
        shape="wide",
        called=called,
    )


def _rated(layout: Layout, keys: pd.DataFrame) -> Array:
    """Return the forms of which a column of their session says who filled them in: they are there."""
    by_session = "{session}" in layout.mapping.columns.get("rater", "")
    return (keys["rater"] != "").to_numpy(dtype=bool) & by_session


def _tell_absent(groups: Any, sessions: list[int], k: int, layout: Layout, log: Log) -> None:
    wanted = [(session, item) for session in sessions for item in range(1, k + 1)]
    pattern = layout.mapping.pattern
    absent = [
        pattern.replace("{item}", str(item)).replace("{session}", str(session))
        for session, item in wanted
        if (session, item) not in groups
    ]
    if absent:
        hint = "add the columns, or load the rest with --on-error drop: the items then count as unanswered"
        log.absence(
            f"{counted(len(absent), 'item column is', 'item columns are')} not in the file",
            where=absent,
            hint=hint,
        )


def _wide_session(layout: Layout, groups: Any, session: int, k: int, log: Log) -> Entries:
    table = layout.table
    texts = np.full((k, len(table.lines)), "", dtype=object)
    for item in range(1, k + 1):
        if (session, item) in groups:
            texts[item - 1] = table.columns[groups[session, item][0]]
    keys = _keys(layout, table).assign(session=str(session))
    for role, named in layout.mapping.columns.items():
        if "{session}" in named and role in KEY_ROLES:
            name = named.replace("{session}", str(session))
            if name in table.names:
                cells = table.columns[table.names.index(name)]
                keys[role] = pd.Series(cells, index=keys.index, dtype=object)
            else:
                log.trouble(
                    f"there is no column '{name}'", where=[f"mapping: {role}"], hint="correct the mapping"
                )
    return Entries(keys=keys, texts=texts, lines=texts, names=(), columns={}, shape="wide")


def _one_answer_a_row(layout: Layout, rules: Rules, log: Log) -> Entries | None:
    table, k = layout.table, rules.scale.n_items
    ids = table.columns[layout.keys["item"].place]
    codes, uniques = pd.factorize(ids)
    numbers = number_items(list(uniques), k)
    if not numbers:
        _no_item_ids(list(uniques), rules, log)
        return None
    others = [name for name in uniques if name not in numbers]
    if others:
        named = [name or "(blank)" for name in others]
        log.note(f"rows that answer no item of '{rules.scale.id}' were not read", named)
    item = np.array([numbers.get(name, 0) for name in uniques], dtype=np.int64)[codes]
    table, item = table.take(item > 0), item[item > 0]
    values = table.columns[layout.keys["value"].place]
    called = {n: tuple(name for name, number in numbers.items() if number == n) for n in numbers.values()}
    keys = _keys(layout, table)
    by = ["case", "rater", "session"] + ([] if "session" in layout.keys else ["date"])
    form = keys.groupby(by, sort=False, dropna=False).ngroup().to_numpy()
    rows = _AnswerRows(keys=keys, form=form, item=item, texts=values)
    return replace(_pivot(rows, layout, rules, log), called=called)


@dataclass(frozen=True, kw_only=True)
class _AnswerRows:
    """One answer a row: the keys of each row, the form it belongs to, its item number, and the cell."""

    keys: pd.DataFrame
    form: Array
    item: Array
    texts: Array


def _no_item_ids(ids: list[str], rules: Rules, log: Log) -> None:
    hint = f"name them q1 to q{rules.scale.n_items}, or by one prefix and a number"
    log.trouble(f"the item column names no items of '{rules.scale.id}'", where=ids, hint=hint)


def _pivot(rows: _AnswerRows, layout: Layout, rules: Rules, log: Log) -> Entries:
    """Return one entry for each case, rater and session (or date) with its answers side by side."""
    kept = _settle_doubles(rows, rules, layout.keep, log)
    n_forms, k = int(rows.form.max(initial=-1)) + 1, rules.scale.n_items
    texts = np.full((k, n_forms), "", dtype=object)
    lines = np.zeros((k, n_forms), dtype=np.int64)
    cell = rows.item[kept] - 1, rows.form[kept]
    texts[cell] = rows.texts[kept]
    lines[cell] = rows.keys["line"].to_numpy()[kept]
    _, first = np.unique(rows.form, return_index=True)
    keys = rows.keys.iloc[first].reset_index(drop=True).assign(tail=False)
    names = tuple(f"q{number}" for number in range(1, k + 1))
    return Entries(keys=keys, texts=texts, lines=lines, names=names, columns={}, shape="one answer a row")


def _settle_doubles(
    rows: _AnswerRows, rules: Rules, keep: Literal["first", "last"] | None, log: Log
) -> Array:
    """Return the rows to use, one for each form and item; exact doubles are told, others are problems."""
    cells = _comparable(rows, rules)
    group = cells.groupby(["form", "number"], sort=False)
    same = group["content"].transform("nunique") == 1
    repeats = cells.duplicated(["form", "number"]) & same
    if repeats.any():
        what = f"{counted(int(repeats.sum()), 'answer')} given twice in the same way, kept once"
        log.note(what, places(cells[repeats].assign(value="")))
    differ = ~same
    if keep is not None:
        _tell_kept(cells[differ], keep, log)
        return np.flatnonzero(~cells.duplicated(["form", "number"], keep=keep))
    log.problem(ANSWER_TWICE, cells[differ], item=cells.loc[differ, "item"], value=cells.loc[differ, "value"])
    return np.flatnonzero(same & ~repeats)


def _comparable(rows: _AnswerRows, rules: Rules) -> pd.DataFrame:
    """Return the rows with `content`: the number that was answered, or the text that is none."""
    answers = convert(rows.texts, rules)
    texts = pd.Series(rows.texts, dtype=object)
    numbers = pd.Series(answers.numbers).astype(object)
    content = numbers.where(answers.kinds == ANSWER, texts.where(answers.kinds >= UNREADABLE, ""))
    items = [f"q{number}" for number in rows.item]
    shown = _shown_session(rows.keys)
    return rows.keys.assign(
        session=shown, form=rows.form, number=rows.item, item=items, value=texts, content=content.astype(str)
    )


def _tell_kept(rows: pd.DataFrame, keep: str, log: Log) -> None:
    if len(rows):
        told = rows.drop_duplicates(["form", "number"]).assign(value="")
        log.note(
            f"of {counted(len(told), 'answer')} given twice in different ways the {keep} was kept",
            places(told),
        )


def _shown_session(keys: pd.DataFrame) -> pd.Series[Any]:
    numbers, _, _ = read_sessions(keys["session"].to_numpy(dtype=object))
    return pd.Series(numbers, index=keys.index, dtype="Int64").mask(numbers < 0)
