"""Entries → forms: whose, which session, when, by whom; doubles settled, everything unusable named."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from alliance.readers.answers import UNREADABLE, Answers, Rules, answer_kinds
from alliance.readers.attendance import read_words
from alliance.readers.codes import with_usable_codes
from alliance.readers.columns import SIDES, Column
from alliance.readers.flags import note_flags
from alliance.readers.mapping import Mapping, plain
from alliance.readers.problems import Kind, Log, counted, places
from alliance.readers.shapes import Entries
from alliance.readers.times import read_dates, read_sessions
from alliance.scale import Scale

Array = np.ndarray[Any, Any]

NO_CASE = Kind(
    label="no case",
    one="form without a case",
    many="forms without a case",
    hint="say whose form it is; a mapping can fill a column down (fill_down)",
)
NO_SESSION = Kind(
    label="no session number",
    one="form without a session number",
    many="forms without a session number",
    hint="number the session, or leave out rows that are no forms with skip_cases in a mapping",
)
BAD_SESSION = Kind(
    label="no session number",
    one="session is no whole number",
    many="sessions are no whole numbers",
    hint="number the sessions 1, 2, 3, or leave the column out of a mapping to number them by date",
)
NO_DATE = Kind(
    label="no date",
    one="form has no date to number its session by",
    many="forms have no date to number their session by",
    hint="add the date or a session number",
)
BAD_DATE = Kind(
    label="no date",
    one="cell is no date in the format of its column",
    many="cells are no dates in the format of their column",
    hint="write all dates of the column in one way, such as 2026-01-31, or say --date-format dmy or mdy",
)
CONFLICT = Kind(
    label="form there twice",
    one="row gives a session that is there twice, and differs",
    many="rows give a session that is there twice, and differ",
    hint="correct the file, or say --keep first or --keep last",
)
BAD_ATTENDANCE = Kind(
    label="unknown attendance",
    one="attendance is no known word",
    many="attendances are no known words",
    hint="use attended, no_show, cancel_client_late, cancel_client, cancel_clinic or scheduled",
)
MISSED_WITH_ANSWERS = Kind(
    label="answers without attendance",
    one="appointment was not attended, and has answers",
    many="appointments were not attended, and have answers",
    hint="correct the attendance, or take the answers out",
)
NO_SCALE = Kind(
    label="no scale",
    one="row does not say which form it is",
    many="rows do not say which form they are",
    hint="fill in the scale column, or name the form with --scale",
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The entries of one scale with their answers; `scale` is None for rows that name no form.

    `rater` filled in this form, where the mapping says so of one of several forms; `rules` are those its
    cells were read by.
    """

    scale: Scale | None
    entries: Entries
    answers: Answers
    rater: str = ""
    rules: Rules | None = None


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the steps below have to know beside the forms."""

    keys: dict[str, Column]
    mapping: Mapping
    parts: tuple[Part, ...]
    keep: Literal["first", "last"] | None
    date_format: str
    one_scale: bool
    unfinished: Literal["use", "drop"] = "use"


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Attended forms and missed appointments: one row each, typed, with `part` and `place` in its entries."""

    forms: pd.DataFrame
    missed: pd.DataFrame


def settle(context: Context, log: Log) -> Settled:
    """Return the forms of all parts with their keys read; rows that cannot be used are noted down."""
    forms = pd.concat([_start(number, part) for number, part in enumerate(context.parts)], ignore_index=True)
    forms = forms.sort_values("line", kind="stable", ignore_index=True)
    forms = _leave_out_strangers(forms, context, log)
    forms = _with_rater(forms, context, log)
    forms = with_usable_codes(_with_case(_with_session(forms), log), context.keys, log)
    forms = _with_attendance(forms, context, log)
    forms = _with_date(forms, context, log)
    if numbered(context.keys, context.mapping):
        _refuse_sessions(forms, context, log)
    missed = _missed(forms, log)
    forms = _attended(forms, context, log)
    forms = _without_unfinished(forms, context, log)
    forms = _without_doubles(forms, context, log)
    if not _numbered(context):
        forms = _number_by_date(forms, log)
    else:
        _tell_dates_against_sessions(forms, log)
    note_flags(forms, context.keys, log)
    _name_answers(forms, context.parts, log)
    return Settled(forms=forms, missed=missed)


def numbered(keys: Table[str, Column], mapping: Mapping) -> bool:
    """Return whether the file itself numbers the sessions, in a column or in the names of columns."""
    return "session" in keys or bool(mapping.pattern) or any(form.pattern for form in mapping.forms)


def _numbered(context: Context) -> bool:
    return numbered(context.keys, context.mapping)


def _start(number: int, part: Part) -> pd.DataFrame:
    given = part.answers.given.sum(axis=0)
    return part.entries.keys.assign(
        part=number,
        place=np.arange(len(given)),
        form="" if part.scale is None else part.scale.id,
        given=given,
        shown=pd.array([pd.NA] * len(given), dtype="Int64"),
    )


def _rows(forms: pd.DataFrame) -> pd.DataFrame:
    """Return line, case, session and rater as problems and places want them."""
    return forms[["line", "case", "shown", "rater"]].rename(columns={"shown": "session"})


def _leave_out_strangers(forms: pd.DataFrame, context: Context, log: Log) -> pd.DataFrame:
    footer = forms["tail"] & (forms["given"] == 0)
    if footer.any():
        log.note(
            "a footer below the data was not read", [f"line {line}" for line in forms.loc[footer, "line"]]
        )
    skipped = {plain(case) for case in context.mapping.skip_cases}
    named = forms["case"].map(plain).isin(skipped) if skipped else pd.Series(False, index=forms.index)
    if named.any():
        what = f"{counted(int(named.sum()), 'row')} left out as the mapping says (skip_cases)"
        log.note(what, [f"line {line}" for line in forms.loc[named, "line"]])
    return forms[~footer & ~named]


def _with_rater(forms: pd.DataFrame, context: Context, log: Log) -> pd.DataFrame:
    perspectives = [part.scale.perspective if part.scale else "" for part in context.parts]
    default = context.mapping.rater or next(filter(None, perspectives), "")
    sides = [context.mapping.rater or side or default for side in perspectives]
    usual = pd.Series(np.array(sides, dtype=object)[forms["part"]], index=forms.index, dtype=object)
    said = np.array([part.rater for part in context.parts], dtype=object)[forms["part"]]
    rater = forms["rater"].where(said == "", said)
    rater = rater.map({name: _side(name) for name in rater.unique()}).astype(object)
    blank = rater == ""
    told = blank & (forms["given"] > 0)
    if "rater" in context.keys and told.any():
        log.note(f"{counted(int(told.sum()), 'blank rater')} read as {usual[told].iloc[0]}")
    return forms.assign(rater=rater.where(~blank, usual))


def _side(rater: str) -> str:
    return rater.casefold() if rater.casefold() in SIDES else rater


def _with_case(forms: pd.DataFrame, log: Log) -> pd.DataFrame:
    absent = forms["case"] == ""
    log.problem(NO_CASE, _rows(forms[absent & (forms["given"] > 0)]))
    empty = absent & (forms["given"] == 0)
    if empty.any():
        log.note(
            "rows with neither a case nor an answer were not read",
            [f"line {n}" for n in forms.loc[empty, "line"]],
        )
    return forms[~absent]


def _with_attendance(forms: pd.DataFrame, context: Context, log: Log) -> pd.DataFrame:
    role = "attendance" if "attendance" in context.keys else "attended"
    codes, unknown = read_words(forms[role].to_numpy(dtype=object), yes_no=role == "attended")
    name = context.keys[role].name if role in context.keys else role
    log.problem(BAD_ATTENDANCE, _rows(forms[unknown]), item=role, value=forms.loc[unknown, role], column=name)
    if role == "attended" and (codes == "no_show").any():
        log.note(
            f"column '{name}' says yes or no: a no is counted as a no-show, though it may be a cancellation"
        )
    return forms.assign(attendance=codes)[~unknown]


def _with_session(forms: pd.DataFrame) -> pd.DataFrame:
    numbers, blank, wrong = read_sessions(forms["session"].to_numpy(dtype=object))
    shown = pd.Series(numbers, index=forms.index, dtype="Int64").mask(numbers < 0)
    return forms.assign(shown=shown, no_session=blank, bad_session=wrong)


def _refuse_sessions(forms: pd.DataFrame, context: Context, log: Log) -> None:
    bad = forms[forms["bad_session"]]
    name = context.keys["session"].name if "session" in context.keys else "session"
    log.problem(BAD_SESSION, _rows(bad), item="session", value=bad["session"], column=name)


def _with_date(forms: pd.DataFrame, context: Context, log: Log) -> pd.DataFrame:
    date_format = context.date_format or context.mapping.date_format
    dates = read_dates(forms["date"].to_numpy(dtype=object), date_format=date_format)
    name = context.keys["date"].name if "date" in context.keys else "date"
    if dates.ambiguous:
        what = f"the dates in column '{name}' can be read day first and month first"
        log.trouble(
            what, where=places(_rows(forms.head(1))), hint="say --date-format dmy or --date-format mdy"
        )
    bad = forms[dates.unreadable]
    log.problem(BAD_DATE, _rows(bad), item="date", value=bad["date"], column=name)
    return forms.assign(date=dates.days, bad_date=dates.unreadable)


def _missed(forms: pd.DataFrame, log: Log) -> pd.DataFrame:
    missed = forms[forms["attendance"] != "attended"]
    log.problem(MISSED_WITH_ANSWERS, _rows(missed[missed["given"] > 0]))
    placed = missed["shown"].notna() | missed["date"].notna()
    again = missed.duplicated(["case", "shown", "date", "attendance"]) & placed
    return missed[~again]


def _attended(forms: pd.DataFrame, context: Context, log: Log) -> pd.DataFrame:
    """Return the rows that are a form: attended, of a known scale, with a session number or date."""
    forms = forms[forms["attendance"] == "attended"]
    unnamed = _of_no_scale(forms, context)
    if not context.one_scale:
        log.problem(NO_SCALE, _rows(forms[unnamed]))
        forms = forms[~unnamed]
    if _numbered(context):
        absent, bad, kind = forms["no_session"], forms["bad_session"], NO_SESSION
    else:
        absent, bad, kind = forms["date"].isna() & ~forms["bad_date"], forms["bad_date"], NO_DATE
    log.problem(kind, _rows(forms[absent & (forms["given"] > 0)]))
    empty = absent & (forms["given"] == 0) & ~_of_no_scale(forms, context)
    if empty.any():
        lacking = "session number" if _numbered(context) else "date"
        what = f"rows with neither a {lacking} nor an answer were not read as forms"
        log.note(what, [f"line {line}" for line in forms.loc[empty, "line"]])
    return forms[~absent & ~bad]


def _without_unfinished(forms: pd.DataFrame, context: Context, log: Log) -> pd.DataFrame:
    """Return the forms without those that were begun and not sent, if they are not wanted.

    Where a finished form of the same rater and session is there, it always counts instead.
    """
    begun = forms["unfinished"] & ~_of_no_scale(forms, context)
    if not begun.any():
        return forms
    by = _names_of_form(context)
    finished = (~begun).groupby([forms[name] for name in by], dropna=False).transform("any")
    instead = begun & finished
    if instead.any():
        what = f"{counted(int(instead.sum()), 'unfinished form')} of a session with a finished one not read"
        log.note(what, _told(forms[instead]))
    alone = begun & ~finished
    dropped = alone & (context.unfinished == "drop")
    if alone.any():
        done = "not read" if dropped.any() else "read as far as filled in (--unfinished drop leaves it out)"
        log.note(f"{counted(int(alone.sum()), 'form')} begun and not sent, {done}", _told(forms[alone]))
    return forms[~instead & ~dropped]


def _names_of_form(context: Context) -> list[str]:
    return ["form", "case", "rater", "shown" if _numbered(context) else "date"]


def _without_doubles(forms: pd.DataFrame, context: Context, log: Log) -> pd.DataFrame:
    """Return one row for each form: equal doubles kept once, others refused or chosen by --keep."""
    by = _names_of_form(context)
    doubled = forms[forms.duplicated(by, keep=False) & ~_of_no_scale(forms, context)]
    if doubled.empty:
        return forms
    content = _contents(doubled, context.parts)
    group = doubled.groupby(by, sort=False, dropna=False).ngroup()
    same = content.groupby(group).transform("nunique") == 1
    repeats = doubled.duplicated(by) & same
    if repeats.any():
        log.note(
            f"{counted(int(repeats.sum()), 'row')} there again with the same answers, kept once",
            _told(doubled[repeats]),
        )
    differ = doubled[~same]
    if context.keep is None:
        shown = differ["date"].dt.strftime("%Y-%m-%d") if not _numbered(context) else ""
        log.problem(CONFLICT, _rows(differ), item="" if _numbered(context) else "date", value=shown)
        return forms.drop(index=[*differ.index, *doubled.index[repeats]])
    kept = differ.drop_duplicates(by, keep=context.keep)
    if len(kept):
        what = f"{counted(len(kept), 'session')} there twice with different answers, the {context.keep} kept"
        log.note(what, _told(kept))
    return forms.drop(index=[*differ.index.difference(kept.index), *doubled.index[repeats]])


def _of_no_scale(forms: pd.DataFrame, context: Context) -> Array:
    """Return the rows that name no form, or another one than the one that is read."""
    return np.array([part.scale is None for part in context.parts], dtype=bool)[forms["part"]]


def _told(forms: pd.DataFrame) -> tuple[str, ...]:
    return places(_rows(forms))


def _contents(forms: pd.DataFrame, parts: tuple[Part, ...]) -> pd.Series[Any]:
    """Return one comparable value a form: its answers, what was wrong with them, and its date."""
    found = pd.Series("", index=forms.index, dtype=object)
    for _, own in forms.groupby("form", sort=False):
        numbers = own["part"].unique().tolist()
        cells = pd.concat([_cells(own[own["part"] == number], parts[number]) for number in numbers])
        group = cells.groupby(list(cells.columns), dropna=False, sort=False).ngroup()
        found[group.index] = group.astype(str)
    return found


def _cells(rows: pd.DataFrame, part: Part) -> pd.DataFrame:
    place = rows["place"].to_numpy()
    texts = np.where(part.answers.kinds >= UNREADABLE, part.entries.texts, "")[:, place]
    cells = [*part.answers.numbers[:, place], *part.answers.kinds[:, place], *texts]
    return pd.DataFrame(dict(enumerate(cells)), index=rows.index).assign(date=rows["date"])


def _number_by_date(forms: pd.DataFrame, log: Log) -> pd.DataFrame:
    """Return the forms numbered by date: in the case if one rater was there every day, else by rater."""
    log.note("there is no session number: sessions were numbered by date")
    by_case, by_rater = forms.groupby("case")["date"], forms.groupby(["case", "rater"])["date"]
    days_of_rater = by_rater.transform("nunique")
    shared = by_case.transform("nunique") == days_of_rater.groupby(forms["case"]).transform("max")
    rank = by_case.rank("dense").where(shared, by_rater.rank("dense"))
    apart = forms.loc[~shared, "case"].unique()
    if len(apart):
        log.note(
            "raters answered on different days, so their sessions were numbered apart",
            [f"case {c}" for c in apart],
        )
    return forms.assign(shown=rank.astype("Int64"))


def _tell_dates_against_sessions(forms: pd.DataFrame, log: Log) -> None:
    ordered = forms[forms["date"].notna()].sort_values(["part", "case", "rater", "shown"], kind="stable")
    before = ordered.groupby(["part", "case", "rater"])["date"].shift()
    against = ordered[ordered["date"] < before]
    if len(against):
        log.note(
            f"{counted(len(against), 'date runs', 'dates run')} against the session numbers", _told(against)
        )


def _name_answers(forms: pd.DataFrame, parts: tuple[Part, ...], log: Log) -> None:
    """Note down every answer of the `forms` that cannot be used."""
    for number, part in enumerate(parts):
        if part.scale is None:
            continue
        rows = forms[forms["part"] == number]
        place = rows["place"].to_numpy()
        kinds = part.answers.kinds[:, place]
        for code, kind in answer_kinds(part.scale).items():
            form, item = np.nonzero(np.equal(kinds, code).T)
            cells = _rows(rows.iloc[form]).assign(line=part.entries.lines[item, place[form]])
            names = _own_names(part.entries.names, item, cells["session"])
            value = part.entries.texts[item, place[form]]
            log.problem(kind, cells, item=[f"q{n + 1}" for n in item], value=value, column=names)


def _own_names(names: tuple[str, ...], item: Array, session: pd.Series[Any]) -> list[str]:
    return [names[n].replace("{session}", str(s)) for n, s in zip(item, session, strict=True)]
