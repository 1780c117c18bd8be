"""A mapping drafted from a file for a person to confirm, every guess with what speaks for it.

What the file says by itself is a live line. What changes an answer, or a person has to decide, is a question:
a line behind `#? ` that is switched on by taking the sign away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alliance.readers.candidates import ASKED_ROLES
from alliance.readers.check import known_scales
from alliance.readers.columns import guess_pattern, pattern_groups
from alliance.readers.draft_plan import Plan, form_of, parts_as_planned, plan_of
from alliance.readers.drafted_answers import (
    level_lines,
    missing_lines,
    shifts,
    turned_lines,
    word_lines,
)
from alliance.readers.drafted_keys import (
    alike_codes,
    date_format_lines,
    fill_down_lines,
    keep_lines,
    skip_lines,
    summary_rows,
    unfinished_lines,
    wide_columns,
    worded_sessions,
)
from alliance.readers.forms import Part
from alliance.readers.item_groups import Group
from alliance.readers.mapping import Mapping, plain
from alliance.readers.mapping_text import form_entries, table_entries, top_entries, worded_entries
from alliance.readers.options import ReadOptions
from alliance.readers.problems import counted, listed
from alliance.readers.reading import open_reading
from alliance.readers.times import read_dates
from alliance.readers.toml_text import asked, cut, quoted, remark, said
from alliance.scale import Scale

Array = np.ndarray[Any, Any]

_SAID = "as the mapping has it"
_MOST_IN_ONE_LINE, _MOST_FORMS = 40, 8


def draft_mapping(
    path: str | Path,
    scale: Scale | None,
    *,
    options: ReadOptions | None = None,
    folders: Sequence[Path] = (),
) -> str:
    """Return the TOML text of a mapping for the file `path`, each guess with its evidence beside it.

    A line that a person must decide is commented out with `#? `; where a column or a word could be several
    things there is one such line for each, the best first. What `options.mapping` says stays as it is.

    Raises
    ------
    AllianceError
        If the file cannot be opened, or is no table.
    """
    options = options or ReadOptions()
    opened = open_reading(path, options)
    draft = _look(plan_of(opened, scale, known_scales(folders)), options, folders)
    top = list(_without_said(_top(draft), opened.mapping))
    return "\n".join([*top, *_columns(draft.plan), *_tables(draft), *_forms(draft), ""])


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A plan, and what the cells of the file are as it has them: codes that are alike, sessions in words."""

    plan: Plan
    parts: tuple[Part, ...]
    summary: Array
    alike: dict[str, tuple[str, str]]
    sessions: dict[str, tuple[int | None, int]]
    moved: dict[int, list[tuple[int, str]]]
    doubles: Any

    def shift(self, number: int) -> int:
        """Return the shift that is most likely for a part, 0 if none is."""
        found = self.moved.get(number, [])
        return found[0][0] if found else 0


def _look(plan: Plan, options: ReadOptions, folders: Sequence[Path]) -> _Draft:
    """Return the draft of a plan: the file is read as planned, and once more as the draft would have it."""
    summary = summary_rows(plan.table, plan.place("case"), plan.place("session"))
    parts, _ = parts_as_planned(plan, plan.mapping, ~summary, options, folders)
    case, session = plan.place("case"), plan.place("session")
    alike = {} if case is None else alike_codes(plan.table.columns[case][~summary])
    sessions = {} if session is None else worded_sessions(_sessions_of(parts))
    moved = {
        number: shifts(part, part.scale, part.rules)
        for number, part in enumerate(parts)
        if part.scale is not None and part.rules is not None
    }
    draft = _Draft(
        plan=plan, parts=parts, summary=summary, alike=alike, sessions=sessions, moved=moved, doubles=None
    )
    again = replace(
        plan.mapping,
        cases={**{code: usual for code, (usual, _) in alike.items()}, **plan.mapping.cases},
        sessions={plain(cell): number for cell, (number, _) in sessions.items() if number is not None},
        date_format=plan.mapping.date_format or "dmy" * bool(date_format_lines(plan.table, *_order(plan))),
    )
    _, doubles = parts_as_planned(plan, again, ~summary, options, folders)
    return replace(draft, doubles=doubles)


def _sessions_of(parts: Sequence[Part]) -> Array:
    """Return the session cells of the forms that were begun."""
    cells = [
        part.entries.keys["session"].to_numpy(dtype=object)[part.answers.given.any(axis=0)] for part in parts
    ]
    return np.concatenate([np.array([], dtype=object), *cells])


def _order(plan: Plan) -> tuple[int | None, int | None, int | None]:
    return plan.place("date"), plan.place("case"), plan.place("session")


def _without_said(lines: Iterator[str], mapping: Mapping) -> Iterator[str]:
    """Yield the lines of a draft, and what a mapping said already in place of what would be drafted."""
    entries = top_entries(mapping)
    for line in lines:
        name = line.removeprefix("#? ").split(" = ")[0]
        if name not in entries:
            yield line
    yield from (said(entry, _SAID) for entry in entries.values())


def _top(draft: _Draft) -> Iterator[str]:
    plan, table = draft.plan, draft.plan.table
    yield remark("A draft. Look at every line, correct it, and delete what does not hold.")
    yield remark('Lines that begin with "#? " are questions: take the sign away where the answer is yes,')
    yield remark("and fill in the dots.")
    yield from (
        remark(
            f"column {each.column} looks like {each.what} (line {each.line}): delete it first, or write"
            " the file anew with `alliance pseudonymise`"
        )
        for each in plan.hidden
    )
    yield from _where(draft)
    case = plan.place("case")
    yield from fill_down_lines(plan.opened.table, case)
    if case is not None:
        yield from skip_lines(table, draft.summary, case, _item_places(plan))
    if not plan.opened.export.date_format:
        yield from date_format_lines(table, *_order(plan))
    if len(draft.parts) == 1 and not plan.side_by_side:
        yield from _of_cells(draft, 0)
    if plan.scale is not None and not plan.side_by_side and "rater" not in plan.sure:
        other = "client" if plan.scale.perspective == "therapist" else "therapist"
        whom = plan.scale.perspective or "client"
        yield asked(f'rater = "{other}"', f"if not the {whom} filled in every form of this file")
    yield from keep_lines(draft.doubles)
    yield from unfinished_lines(table)


def _where(draft: _Draft) -> Iterator[str]:
    """Yield what the file is, where its table is, and which form it holds."""
    plan = draft.plan
    export, table, items = plan.opened.export, plan.table, plan.items
    if export.source:
        yield said(f"from = {quoted(export.source)}", export.evidence)
    if plan.scale is not None and not plan.side_by_side and not plan.opened.mapping.forms:
        yield said(f"scale = {quoted(plan.scale.id)}", "as named")
    elif items.groups and not plan.side_by_side:
        yield from _scale_lines(items.groups[0])
    if table.records.sheet:
        yield said(f"sheet = {quoted(table.records.sheet)}", "the sheet that was read")
    if table.header_line >= 1 and (table.records.encoding or table.records.sheet):
        yield said(f"header_row = {table.header_line}", "the line with the column names")
    if items.pattern and not plan.opened.mapping.pattern:
        yield from _pattern_lines(plan)


def _scale_lines(group: Group) -> Iterator[str]:
    """Yield the forms that the only group of items could be."""
    found = f"{group.columns[0]} to {group.columns[-1]}"
    for form in group.forms:
        evidence = f"{counted(form.n_items, 'item')}, {found}; answers within {form.range_text}"
        yield asked(f"scale = {quoted(form.id)}", evidence)


def _pattern_lines(plan: Plan) -> Iterator[str]:
    """Yield the pattern of the item columns; a question where item and session could change places."""
    pattern, names = plan.items.pattern, plan.table.names
    groups = pattern_groups(names, pattern)
    sessions, items = {session for session, _ in groups}, {item for _, item in groups}
    found = f"{counted(len(items), 'item')} in {counted(len(sessions), 'session')}"
    other = pattern.replace("{item}", "{}").replace("{session}", "{item}").replace("{}", "{session}")
    evidence = f"the columns have an item and a session number each: {found}"
    if plan.scale is None:
        forms = [each for each in plan.known.values() if guess_pattern(names, each.n_items) == pattern]
        for each in forms[:_MOST_FORMS]:
            yield asked(f"scale = {quoted(each.id)}", f"{each.n_items} items")
    if sessions >= set(range(1, len(items) + 1)) and len(items) > 1:
        yield asked(f"pattern = {quoted(pattern)}", evidence)
        yield asked(f"pattern = {quoted(other)}", "or the other way round")
    else:
        yield said(f"pattern = {quoted(pattern)}", evidence)


def _item_places(plan: Plan) -> list[int]:
    names = plan.items.names(plan.table)
    return [place for place, name in enumerate(plan.table.names) if name in names]


def _of_cells(draft: _Draft, number: int) -> Iterator[str]:
    """Yield what the answer cells of one form may mean: missing codes, a shift, items turned round."""
    part = draft.parts[number]
    if part.scale is None:
        return
    yield from level_lines([part])
    for step, evidence in draft.moved.get(number, []):
        yield asked(f"shift = {step}", evidence)
    yield from missing_lines(part, part.scale, draft.shift(number))
    yield from turned_lines(part, part.scale, draft.plan.opened.export.may_be_turned)


def _columns(plan: Plan) -> Iterator[str]:
    """Yield the table of columns: keys, items, and the columns that are neither."""
    yield from ("", "[columns]")
    sure = {role: column for role, column in plan.sure.items() if not (plan.side_by_side and role == "scale")}
    for role, column in sure.items():
        yield said(f"{role} = {quoted(column.name)}", _with_label(column.evidence, column.name, plan))
    for role in (role for role in ASKED_ROLES if role not in sure):
        yield from _asked_key(role, plan)
    for number, column in plan.items.columns.items():
        yield said(f"q{number} = {quoted(column.name)}", _with_label(column.evidence, column.name, plan))
    if plan.items.absent:
        yield remark(f"items without a column: {listed(plan.items.absent)}")
    yield from _by_position(plan)
    used = {column.name for column in sure.values()} | plan.items.names(plan.table)
    used |= {plan.table.names[each.place] for each in plan.hidden}
    used |= {each.name for found in plan.asked.values() for each in found}
    left = [name for name in plan.table.names if name and name not in used]
    if left:
        yield remark(f"columns without a role: {listed(left, most=_MOST_IN_ONE_LINE)}")


def _asked_key(role: str, plan: Plan) -> Iterator[str]:
    if role in {"session", "date"} and plan.mapping.pattern:
        yield from _wide_key(role, plan)
        return
    found = plan.asked.get(role, [])
    for each in found:
        yield asked(f"{role} = {quoted(each.name)}", _with_label(each.evidence, each.name, plan))
    if not found and role in {"case", "session", "date"}:
        by_date = role == "session" and "date" in plan.keys
        numbered = ": sessions are numbered by date" if by_date else ""
        yield asked(f'{role} = "…"', f"no column looks like one{numbered}")


def _wide_key(role: str, plan: Plan) -> Iterator[str]:
    """Yield columns of dates, one for each session of a file with one row for each case."""
    table = plan.table
    sessions = {session for session, _ in pattern_groups(table.names, plan.mapping.pattern)}
    if role == "session" or not sessions:
        return
    for called in wide_columns(table.names, sessions, plan.items.names(table)):
        names = [called.replace("{session}", str(session)) for session in sorted(sessions)]
        cells = np.concatenate([table.columns[table.names.index(name)] for name in names])
        filled = cells[cells != ""]
        n_dates = int((~np.isnat(read_dates(filled, date_format="dmy").days)).sum())
        if n_dates and 2 * n_dates > len(filled):
            evidence = f"{n_dates} of {counted(len(filled), 'cell')} are dates"
            yield asked(f"{role} = {quoted(called)}", evidence)


def _by_position(plan: Plan) -> Iterator[str]:
    if plan.scale is None or plan.opened.mapping.forms:
        return
    n_items, names = plan.scale.n_items, plan.items.by_position
    if not names and not (plan.items.columns or plan.items.pattern or plan.items.groups):
        if not {"item", "value"} <= set(plan.keys):
            yield remark(f"no {n_items} columns hold answers of '{plan.scale.id}' and nothing else")
            yield from (asked(f'q{number} = "…"', "") for number in range(1, n_items + 1))
        return
    if len(names) > n_items:
        yield remark(f"{len(names)} columns could be the {n_items} items: {listed(names, most=20)}")
    for number, name in enumerate(names[:n_items], 1):
        evidence = _with_label("by position: check the order", name, plan)
        yield asked(f"q{number} = {quoted(name)}", evidence)


def _with_label(evidence: str, name: str, plan: Plan) -> str:
    label = plan.opened.export.labels.get(name, "")
    return f"{evidence}; {cut(label)}" if label and label != name else evidence


def _tables(draft: _Draft) -> Iterator[str]:
    """Yield the tables of cells: cases, sessions and answers."""
    mapping = draft.plan.opened.mapping
    cases = [
        asked(f"{quoted(code)} = {quoted(usual)}", evidence)
        for code, (usual, evidence) in draft.alike.items()
        if code not in mapping.cases
    ]
    sessions = [
        asked(f"{quoted(cell)} = {'…' if number is None else number}", counted(n, "cell"))
        for cell, (number, n) in draft.sessions.items()
        if plain(cell) not in mapping.sessions
    ]
    yield from _table("[cases]", [*table_entries(mapping, "cases"), *cases])
    yield from _table("[sessions]", [*table_entries(mapping, "sessions"), *sessions])
    yield from _answers(draft)


def _table(head: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", head, *lines)


def _answers(draft: _Draft) -> Iterator[str]:
    """Yield the words that fit no anchor: for all forms, for one of several, or for one language of it."""
    mapping = draft.plan.opened.mapping
    tables = {"[answers]": table_entries(mapping, "answers"), **worded_entries(mapping)}
    several = len([part for part in draft.parts if part.scale is not None]) > 1
    unread: list[tuple[str, list[str]]] = []
    for part in draft.parts:
        for language, lines in ({} if part.scale is None else word_lines(part)).items():
            form = f".{quoted(part.scale.id)}" if part.scale is not None and (several or language) else ""
            unread.append((f"[answers{form}{f'.{quoted(language)}' if language else ''}]", lines))
    for head, lines in unread:
        words = {line.split(" = ")[0] for line in tables.get(head, [])}
        tables.setdefault(head, []).extend(line for line in lines if line.split(" = ")[0] not in words)
    if unread:
        yield from ("", remark("words nobody knows: give each its number, or move it to missing"))
    for head, lines in tables.items():
        yield from _table(head, lines)


def _forms(draft: _Draft) -> Iterator[str]:
    """Yield forms that stand side by side: the one that was named is live, all others are questions."""
    plan = draft.plan
    said_before = list(form_entries(plan.opened.mapping))
    yield from ("", *said_before) if said_before else ()
    if said_before or not plan.side_by_side:
        return
    yield from ("", remark("Several forms seem to stand side by side: these columns are numbered from 1."))
    numbers = {part.entries.called.get(1): number for number, part in enumerate(draft.parts) if part.scale}
    for group in plan.items.groups:
        yield from ("", *_form(group, draft, numbers.get((group.columns[0],))))


def _form(group: Group, draft: _Draft, number: int | None) -> Iterator[str]:
    plan, live = draft.plan, group is draft.plan.items.main
    write = said if live else asked
    yield write("[[forms]]", "")
    likely = form_of(group, plan)
    forms = [likely, *(each for each in group.forms if each.id != likely.id and plan.scale is None)]
    for form in forms:
        evidence = f"{counted(len(group.columns), 'column')}, answers within {form.range_text}"
        yield write(f"scale = {quoted(form.id)}", evidence)
    yield write(f"items = {quoted(group.items)}", f"{group.columns[0]} to {group.columns[-1]}")
    if group.side:
        yield asked(f"rater = {quoted(group.side)}", "as the columns are called")
    else:
        yield asked('rater = "…"', f"if not the {likely.perspective or 'client'}")
    if number is not None:
        yield from _of_cells(draft, number)
