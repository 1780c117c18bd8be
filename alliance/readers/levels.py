"""What a file or its dictionary says of cells: codes and their words, items turned round, codes of cases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Table
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from alliance.readers.answers import ANSWER, OUTSIDE, Rules, read_answer
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
        found = (cells if role == "case" else cells.map(plain)).map(words)
        columns[column.place] = found.where(found.notna(), cells).to_numpy(dtype=object)
        log.note(f"{counted(int(found.notna().sum()), 'cell')} of '{column.name}' read as the mapping says")
    return replace(table, columns=tuple(columns))


def rules_of_file(rules: Rules, entries: Entries, export: Export, mapping: Mapping, log: Log) -> Rules:
    """Return the rules with what the file says of its items; a contradiction to the form is a trouble."""
    levels = {
        number: export.levels[column.name]
        for number, column in entries.columns.items()
        if column.name in export.levels
    }
    own = replace(rules, levels=levels, turned=frozenset(_turned(entries, export, mapping, log)))
    for number, told in levels.items():
        against = list(_contradictions(rules, told))
        if against:
            code, word, number_on_form = against[0]
            log.trouble(
                f"in column '{entries.columns[number].name}' {code} means '{word}', which is "
                f"{number_on_form:g} on '{rules.scale.id}'",
                hint="say in a mapping what the codes are: shift, or [answers] with a number for each code",
            )
            break
    return own


def _contradictions(rules: Rules, levels: Table[str, str]) -> Iterator[tuple[str, str, float]]:
    """Yield code, word and number on the form where the file means another number by the same word."""
    for code, word in levels.items():
        on_form = rules.anchors.get(plain(word))
        number, kind = read_answer(code, rules)
        if on_form is not None and (
            kind == OUTSIDE or (kind == ANSWER and abs(number - on_form) > TOLERANCE)
        ):
            yield code, word, on_form


def _turned(entries: Entries, export: Export, mapping: Mapping, log: Log) -> Iterator[int]:
    """Yield the numbers of the items whose cells were turned round; nobody having said so is a trouble."""
    names = {column.name.casefold(): number for number, column in entries.columns.items()}
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
