"""A plain file read at once in the fast lane: text or Parquet → Responses, as the tolerant lane gives them.

Columns are codes and different texts; what the tolerant lane asks of a cell is asked of each text once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance.errors import AllianceError
from alliance.frames import Coded
from alliance.readers.answers import Rules, rules_for
from alliance.readers.codes import ROLES as CODES
from alliance.readers.columns import SIDES, find_keys
from alliance.readers.identifiers import identifiers, named_kinds, use_of
from alliance.readers.layout import Layout, Odd, head_of_text, layout_of
from alliance.readers.mapping import Mapping
from alliance.readers.named import scale_called
from alliance.readers.options import ReadOptions
from alliance.readers.problems import Log, counted, places
from alliance.readers.table import TextTable
from alliance.readers.text import Records
from alliance.readers.times import read_dates, read_sessions
from alliance.readers.totals import compare_totals, total_columns
from alliance.readers.typed import (
    Cells,
    cells_of_table,
    coded,
    head_of_table,
    in_order,
    item_answers,
    ranks,
    read_at_once,
    require_blank_beyond,
    require_codes,
    table_of,
)
from alliance.scale import Scale, load_scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A plain file as read: the Responses of one form, client and episode behind each case, and notes."""

    scale: Scale
    responses: pd.DataFrame
    cases: pd.DataFrame
    notes: tuple[str, ...]
    synthetic: bool


@dataclass(frozen=True, kw_only=True)
class _Plain:
    """What the steps below have to know: the columns, their cells, and how answers are read."""

    layout: Layout
    cells: Cells
    rules: Rules
    mapping: Mapping
    n_rows: int

    @property
    def scale(self) -> Scale:
        """The form."""
        return self.rules.scale

    def texts(self, role: str) -> Coded:
        """Return the column with a role; without one, blank texts."""
        column = self.layout.keys.get(role)
        if column is not None:
            return self.cells.texts[column.place]
        return Coded(codes=np.zeros(self.n_rows, dtype=np.int32), texts=np.array([""], dtype=object))


def read_whole(path: Path, scale: Scale | None, options: ReadOptions, folders: Sequence[Path] = ()) -> Whole:
    """Return what is in a plain file with one row for each form.

    Raises
    ------
    Odd
        If the file, or how it is to be read, leaves anything to decide or to refuse.
    """
    mapping = options.mapping or Mapping()
    table = table_of(path, options)
    records = head_of_text(path, options) if table is None else head_of_table(table)
    form = scale or _scale_named(records, mapping, folders)
    layout = layout_of(records, form, options)
    cells = read_at_once(path, layout) if table is None else cells_of_table(table)
    n_rows = len(cells.texts[layout.keys["case"].place])
    rules = rules_for(form, mapping, options.missing)
    file = _Plain(layout=layout, cells=cells, rules=rules, mapping=mapping, n_rows=n_rows)
    require_blank_beyond(cells, layout)
    _require_known_columns(cells, records)
    for role in CODES:
        require_codes(file.texts(role).texts)
    _require_one_form(file, scale)
    if not options.allow_identifiers:
        _require_nobody(file)
    return _read(file, options)


def _scale_named(records: Records, mapping: Mapping, folders: Sequence[Path]) -> Scale:
    """Return the form that the scale column of the first rows names, or else the mapping."""
    column = find_keys(records.rows[0] if records.rows else [], mapping, log=Log()).get("scale")
    names, load = {mapping.scale}, load_scale
    if column is not None:
        load = scale_called
        names = {row[column.place].strip() for row in records.rows[1:] if len(row) > column.place}
    if len(names) != 1 or "" in names:
        raise Odd("several forms, or one that is not named")
    try:
        return load(names.pop(), folders=folders)
    except AllianceError:
        raise Odd("a form that is not known") from None


def _require_known_columns(cells: Cells, records: Records) -> None:
    """Raise Odd if a column of texts begins behind the first rows, by which a system would be told."""
    width = len(records.rows[0])
    rows = [row for row in records.rows[1:] if len(row) == width]
    for place, column in cells.texts.items():
        if any(column.texts) and not any(row[place].strip() for row in rows):
            raise Odd("a column that begins late")


def _require_one_form(file: _Plain, named: Scale | None) -> None:
    """Raise Odd if the scale column names another form than the one that is read."""
    if "scale" not in file.layout.keys:
        return
    names = file.texts("scale").texts
    if named is None:
        fits = set(names) == {names[0]}
    else:
        fits = {name.casefold() for name in names} <= {named.id, ""}
    if not fits:
        raise Odd("several forms, or one that is not named")


def _require_nobody(file: _Plain) -> None:
    """Raise Odd if a column may say who a person is; answers that are numbers can do so by its name only."""
    layout, texts = file.layout, file.cells.texts
    if any(place not in texts for place in named_kinds(layout.names)):
        raise Odd("columns that may say who a person is")
    columns = [texts[place].texts.tolist() if place in texts else [] for place in range(len(layout.names))]
    if identifiers(
        layout.names, columns, range(file.n_rows), use_of(layout.names, layout.keys, file.mapping)
    ):
        raise Odd("columns that may say who a person is")


def _read(file: _Plain, options: ReadOptions) -> Whole:
    log = Log()
    log.notes.extend(file.layout.notes)
    answers = [item_answers(file.cells, file.layout, file.rules, n) for n in range(file.scale.n_items)]
    keys = _keys(file, options)
    rater = _rater(file, [missing for _, missing in answers], log)
    order = in_order(keys["case"].codes, _ranks(rater), keys["session"])
    rows: Any = slice(None) if order is None else order
    frame = pd.DataFrame(
        {
            "case": _column(keys["case"][rows]),
            "session": keys["session"][rows],
            "date": keys["date"][rows],
            "therapist": _column(keys["therapist"][rows]),
            "rater": _column(rater[rows]),
        },
        copy=False,
    )
    values = pd.DataFrame(_matrix(answers, rows).T, columns=list(file.scale.items), copy=False)
    lines = pd.Index(np.arange(2, file.n_rows + 2)[rows], name="line")
    responses = pd.concat([frame, values], axis=1).set_index(lines)
    _tell_dates(responses, keys["case"].codes[rows], rater.codes[rows], log)
    if total_columns(file.layout.names, file.mapping) or file.mapping.total:
        compare_totals(_totals(file), responses, file.scale, file.mapping, log)
    return Whole(
        scale=file.scale,
        responses=responses,
        cases=_cases(keys["case"].texts),
        notes=tuple(log.notes),
        synthetic=_says_synthetic(file),
    )


def _keys(file: _Plain, options: ReadOptions) -> dict[str, Any]:
    """Return case and therapist as Coded, session and date as arrays; what is not there or unread is odd."""
    case, session, date = (file.texts(role) for role in ("case", "session", "date"))
    numbers, blank, wrong = read_sessions(session.texts)
    days = read_dates(date.texts, date_format=options.date_format or file.mapping.date_format)
    if "" in case.texts.tolist() or blank.any():
        raise Odd("rows without a case or a session number")
    if wrong.any():
        raise Odd("sessions that are no whole numbers")
    if days.unreadable.any() or days.ambiguous:
        raise Odd("dates that cannot be read")
    return {
        "case": case,
        "session": numbers[session.codes],
        "date": days.days[date.codes],
        "therapist": file.texts("therapist"),
    }


def _rater(file: _Plain, missing: Sequence[Array], log: Log) -> Coded:
    """Return who filled in each form; the usual rater where the cell is blank, which is told."""
    said, usual = file.texts("rater"), file.layout.default_rater
    texts = [name.casefold() if name.casefold() in SIDES else name for name in said.texts]
    if "rater" in file.layout.keys and "" in texts:
        answered = ~np.logical_and.reduce(missing)
        n_blank = int((answered & (said.codes == texts.index(""))).sum())
        if n_blank:
            log.note(f"{counted(n_blank, 'blank rater')} read as {usual}")
    return coded(said.codes, [name or usual for name in texts])


def _ranks(rater: Coded) -> Array:
    found: Array = ranks(rater.texts)[rater.codes]
    return found


def _column(column: Coded) -> pd.Series[Any]:
    return pd.Series(column.texts[column.codes], dtype=object)


def _matrix(answers: list[tuple[Array, Array]], rows: Any) -> Array:
    """Return the answers as numbers, shape (items, forms), NaN where none was given."""
    matrix = np.empty((len(answers), len(answers[0][0])))
    for place, (values, missing) in enumerate(answers):
        np.copyto(matrix[place], values[rows])
        np.putmask(matrix[place], missing[rows], np.nan)
    return matrix


def _tell_dates(responses: pd.DataFrame, case: Array, rater: Array, log: Log) -> None:
    date = responses["date"].to_numpy()
    dated = np.flatnonzero(~np.isnat(date))
    same = (np.diff(case[dated]) == 0) & (np.diff(rater[dated]) == 0)
    against = dated[1:][same & (np.diff(date[dated]).astype(np.int64) < 0)]
    if len(against):
        rows = responses.iloc[against][["case", "session", "rater"]].reset_index()
        rows = rows.sort_values(["case", "rater", "session"], kind="stable")
        what = f"{counted(len(rows), 'date runs', 'dates run')} against the session numbers"
        log.note(what, places(rows))


def _totals(file: _Plain) -> TextTable:
    """Return the file with its recorded totals only."""
    names, lines = file.layout.names, np.arange(2, file.n_rows + 2)
    told = set(total_columns(names, file.mapping))
    if not told <= file.cells.texts.keys():
        raise Odd("totals among the items")
    none = np.zeros(file.n_rows, dtype=bool)
    columns = ((file.cells.texts[place] if place in told else None) for place in range(len(names)))
    return TextTable(
        names=names,
        columns=tuple(none if each is None else each.texts[each.codes] for each in columns),
        lines=lines,
        tail=none,
        header_line=1,
        records=Records(rows=[], lines=[]),
        unfinished=none,
    )


def _cases(names: Array) -> pd.DataFrame:
    blank = np.full(len(names), "", dtype=object)
    return pd.DataFrame({"case": names, "client": names, "episode": blank})


def _says_synthetic(file: _Plain) -> bool:
    names = [name.casefold() for name in file.layout.names]
    column = file.cells.texts.get(names.index("synthetic")) if "synthetic" in names else None
    return column is not None and "true" in column.texts.tolist()
