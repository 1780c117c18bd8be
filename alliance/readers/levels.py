"""What a file or its dictionary says of cells: codes and their words, items turned round, codes of cases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Table
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from alliance.readers.answers import ANSWER, OUTSIDE, Rules, is_number, number_of, read_answer, rules_of_item
from alliance.readers.columns import Column
from alliance.readers.export import Export
from alliance.readers.mapping import Mapping, plain
from alliance.readers.problems import Log, counted
from alliance.readers.shapes import Entries
from alliance.readers.table import TextTable

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-9


def renamed(table: TextTable, keys: Table[str, Column], mapping: Mapping, log: Log) -> TextTable:
    """Return the table with the cells of case and session replaced as the mapping says (cases, sessions)."""
    sessions = {word: str(number) for word, number in mapping.sessions.items()}
    columns = list(table.columns)
    for role, words in (("case", mapping.cases), ("session", sessions)):
        column = keys.get(role)
        if column is None or not words:
            continue
        cells = pd.Series(table.columns[column.place], dtype=object)
        cells_as_said = cells if role == "case" else cells.map(plain)
        found = cells_as_said.map(words)
        columns[column.place] = found.where(found.notna(), cells).to_numpy(dtype=object)
        log.note(f"{counted(int(found.notna().sum()), 'cell')} of '{column.name}' read as the mapping says")
        unused = [word for word in words if not (cells_as_said == word).any()]
        if unused:
            log.note(f"the mapping has {role}s that are in no cell of '{column.name}'", unused)
    return replace(table, columns=tuple(columns))


def rules_of_file(rules: Rules, entries: Entries, export: Export, mapping: Mapping, log: Log) -> Rules:
    """Return the rules with what the file says of its items; a contradiction to the form is a trouble."""
    levels = {number: told for number in entries.called if (told := _levels(number, entries, export))}
    turned = frozenset(_turned(entries, export, mapping, log))
    own = replace(rules, levels=levels, turned=turned)
    for number in levels:
        against = next(_contradictions(own, number, entries.texts[number - 1]), None)
        if against is not None:
            code, word, on_form = against
            name = entries.called[number][0]
            log.trouble(
                f"in column '{name}' {code} means '{word}', which is {on_form:g} on '{rules.scale.id}'",
                hint="say in a mapping what the codes are: shift, or [answers] with a number for each code",
            )
            break
    for number in sorted(turned):
        _refuse_turned_words(own, number, entries, log)
    return own


def _levels(number: int, entries: Entries, export: Export) -> dict[str, str]:
    """Return code → word of one item; codes on which its columns do not agree are left out."""
    tables = [export.levels[name] for name in entries.called[number] if name in export.levels]
    words = {code: {each[code] for each in tables if code in each} for table in tables for code in table}
    return {code: found.pop() for code, found in words.items() if len(found) == 1}


def _contradictions(rules: Rules, number: int, cells: Array) -> Iterator[tuple[str, str, float]]:
    """Yield code, word and number on the form where the file means another number by the same word.

    A column that holds words only is read by its words.
    """
    if not is_number(cells).any():
        return
    own = replace(rules_of_item(rules, number), codes={})
    around = own.scale.min + own.scale.max
    for code, word in rules.levels[number].items():
        on_form, known = read_answer(word, replace(own, shift=0.0))
        value, kind = read_answer(code, own)
        value = around - value if own.turned and number_of(plain(code)) is not None else value
        if known == ANSWER and (kind == OUTSIDE or (kind == ANSWER and abs(value - on_form) > TOLERANCE)):
            yield code, word, on_form


def _turned(entries: Entries, export: Export, mapping: Mapping, log: Log) -> Iterator[int]:
    """Yield the numbers of the items whose cells were turned round; nobody having said so is a trouble."""
    names = {name.casefold(): number for number, called in entries.called.items() for name in called}
    if mapping.turned is None:
        asked = [name for name in export.may_be_turned if name.casefold() in names]
        if asked:
            listed = ", ".join(f'"{name}"' for name in asked)
            log.trouble(
                f"items may have been turned round by {export.source} before: {', '.join(asked)}",
                hint=f"say in a mapping which were: turned = [{listed}], or turned = [] for none",
            )
        return
    for name in mapping.turned:
        number = names.get(name.casefold()) or _number(name, len(entries.texts))
        if number is None:
            log.trouble(f"turned names '{name}', which is no item column", hint="correct the mapping")
        else:
            yield number


def _number(name: str, n_items: int) -> int | None:
    match = re.fullmatch(r"q([1-9]\d*)", name)
    return int(match[1]) if match and int(match[1]) <= n_items else None


def _refuse_turned_words(rules: Rules, number: int, entries: Entries, log: Log) -> None:
    """Note down a trouble if a turned item is answered in words: a word is what was ticked."""
    cells, own = entries.texts[number - 1], rules_of_item(rules, number)
    words = {cell for cell in pd.unique(cells[~is_number(cells)]) if read_answer(cell, own)[1] == ANSWER}
    if words:
        n_cells = sum(cell in words for cell in cells)
        log.trouble(
            f"turned names '{entries.called.get(number, (f'q{number}',))[0]}', where "
            f"{counted(n_cells, 'answer is a word', 'answers are words')}",
            hint="a word says what was ticked: take the item out of turned, or give its codes as numbers",
        )
