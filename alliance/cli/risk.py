"""`alliance risk, acknowledge`: the list of early dropout risk, and who has seen what of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.loading import records, tell_notes
from alliance.cli.options import (
    READING,
    AttendanceOption,
    CutoffStyleOption,
    EpisodesOption,
    FileArgument,
    LimitOption,
    NormsOption,
    QuietOption,
    RiskModelOption,
    SeenOption,
    SemOption,
    Source,
    TodayOption,
    positive,
    read_day,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit
from alliance.cli.screen import colour, encodes, width
from alliance.cli.verdicts import Found, of_today, read_norms, risk_of, with_model
from alliance.errors import DataError, UsageError

if TYPE_CHECKING:
    from alliance.dropout import Norms
    from alliance.dropout.seen import Entry


@with_options(READING)
def risk(
    *,
    file: FileArgument,
    source: Source,
    attendance: AttendanceOption = None,
    episodes: EpisodesOption = None,
    sem: SemOption = None,
    norms: NormsOption = None,
    write_norms: Annotated[
        Path | None, typer.Option("--write-norms", help="Write the local norms into this file, for --norms.")
    ] = None,
    seen: SeenOption = None,
    risk_model: RiskModelOption = None,
    ongoing: Annotated[
        bool, typer.Option("--ongoing", help="Leave out treatments that have ended on record.")
    ] = False,
    today: TodayOption = None,
    srs_cutoff_style: CutoffStyleOption = "published",
    limit: LimitOption = 20,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing norms file.")] = False,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """List early dropout risk by transparent rules, or a validated model of your own, in triage order.

    Local norms (from 50 ratings of a session on) and the error of measurement come from the caseload where
    nothing else is known; that is told.

    Example: alliance risk study.csv --scale srs --attendance visits.csv --today 2026-03-02
    """
    day = read_day("--today", today)
    found = risk_of(
        file,
        source,
        attendance=attendance,
        episodes=episodes,
        sem=positive("--sem", sem),
        norms=read_norms(norms),
        style=srs_cutoff_style,
        today=day,
        quiet=quiet,
    )
    if write_norms is not None:
        _write_norms(write_norms, found.norms, force=force)
    if risk_model is not None:
        found = with_model(found, risk_model)
    found = of_today(found, ongoing=ongoing)
    held, told = _holding(found, seen, day)
    _print(replace(found, notes=(*found.notes, *told)), held, day, format, limit=limit, quiet=quiet)


@with_options(READING)
def acknowledge(
    *,
    file: FileArgument,
    case: Annotated[str, typer.Argument(metavar="CASE", help="The case that was looked at.")],
    source: Source,
    log: Annotated[
        Path, typer.Option("--log", help="The log it is added to; made if it is not there, for you only.")
    ],
    reason: Annotated[
        str, typer.Option("--reason", help="What was done or found, in a few words; no ratings.")
    ],
    until: Annotated[
        str | None, typer.Option("--until", help="Day from which on it no longer counts as seen.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who has seen it.")] = "",
    attendance: AttendanceOption = None,
    episodes: EpisodesOption = None,
    sem: SemOption = None,
    norms: NormsOption = None,
    risk_model: RiskModelOption = None,
    today: Annotated[
        str | None, typer.Option("--today", help="Day of the acknowledgement. [the day of the computer]")
    ] = None,
    srs_cutoff_style: CutoffStyleOption = "published",
    quiet: QuietOption = False,
) -> None:
    """Log that what fires for a case now has been seen, with the reason; show it with --seen LOG.

    It counts as seen until a rule fires that does not fire now, or until a day. Each line of the log is bound
    to the one before; it holds no ratings. Give the options the list was made with.

    Example: alliance acknowledge study.csv C07 --scale srs --log seen.jsonl --reason "spoke about goals"
    """
    from alliance.dropout.seen import Entry, append

    on = read_day("--today", today) or datetime.now().astimezone().date()
    end = read_day("--until", until)
    _require_reason(reason, on, end)
    found = risk_of(
        file,
        source,
        attendance=attendance,
        episodes=episodes,
        sem=positive("--sem", sem),
        norms=read_norms(norms),
        style=srs_cutoff_style,
        today=on,
        quiet=quiet,
    )
    if risk_model is not None:
        found = with_model(found, risk_model)
    session, rules = _firing(found, case, file)
    entry = Entry(
        case=case, session=session, rules=rules, on=on, reason=reason.strip(), by=by.strip(), until=end
    )
    append(log, entry)
    typer.echo(f"{case}, session {session}: {', '.join(rules)}: {entry}")


def _write_norms(path: Path, norms: Norms | None, *, force: bool) -> None:
    from alliance.dropout.norms import MIN_RATINGS
    from alliance.report.files import write_file

    if norms is None:
        message = "there are no norms to write"
        raise DataError(message, hint=f"norms need {MIN_RATINGS} ratings of a session")
    text = json.dumps(norms.as_json(), indent=2, allow_nan=False) + "\n"
    write_file(path, text.encode(), force=force)
    typer.echo(f"Norms written: {path}", err=True)


def _holding(
    found: Found, path: Path | None, today: date | None
) -> tuple[dict[str, Entry] | None, list[str]]:
    """Return the acknowledgements that hold, by case, and what must be told of them; None without a log."""
    if path is None:
        return None, []
    from alliance.dropout.model.listing import firing
    from alliance.dropout.seen import read_log, seen, told_snoozes

    log, table = read_log(path), found.table()
    rows = zip(table["case"].astype(str).tolist(), firing(table), strict=True)
    held = {case: seen(log, case, fired, today) for case, fired in rows}
    return {case: entry for case, entry in held.items() if entry is not None}, told_snoozes(log, today)


def _require_reason(reason: str, on: date, end: date | None) -> None:
    if not reason.strip():
        message = "--reason is empty"
        raise UsageError(message, hint="say in a few words what was done or found")
    if end is not None and end <= on:
        message = f"--until must be after {on}, the day of the acknowledgement, got {end}"
        raise UsageError(message, hint="leave it out, or name a later day")


def _firing(found: Found, case: str, file: Path) -> tuple[int, tuple[str, ...]]:
    """Return the session a case stands at and what fires; refuse a case for which nothing does."""
    import difflib

    from alliance.dropout.model.listing import firing

    table = found.table()
    names = table["case"].astype(str).tolist()
    if case not in names:
        near = difflib.get_close_matches(case, names, n=1)
        message = f"there is no case '{case}' in '{file.name}'"
        raise UsageError(message, hint=f"did you mean '{near[0]}'?" if near else "see `alliance risk`")
    place = names.index(case)
    rules = firing(table)[place]
    if not rules:
        message = f"no rule fires for case '{case}': there is nothing to acknowledge"
        hint = "`alliance risk` says what fires; what only a model says needs --risk-model here too"
        raise UsageError(message, hint=hint)
    return int(table["session"][place]), rules


def _print(
    found: Found,
    held: Mapping[str, Entry] | None,
    today: date | None,
    format: Format,
    *,
    limit: int,
    quiet: bool,
) -> None:
    from alliance.dropout.verdicts import told_budget
    from alliance.report.words import FOOTER

    columns = _columns(found, held)
    budget = told_budget(Counter(columns["level"].tolist()))
    notes = [*found.notes, *filter(None, [budget])]
    if format is Format.TABLE:
        _print_list(columns, notes, limit)
        return
    if not quiet:
        tell_notes(notes)
        typer.echo("\n".join(FOOTER), err=True)
    if format is Format.JSON:
        typer.echo(json.dumps(_json(found, held, today), ensure_ascii=False, indent=2, allow_nan=False))
        return
    import pandas as pd

    frame = pd.DataFrame(columns).astype({"rating_age": "Int64"})
    emit(records(frame), columns=list(columns), format=format)


def _columns(found: Found, held: Mapping[str, Entry] | None) -> dict[str, Any]:
    """Return the table of the list, cases in their order; with what was seen if there is a log."""
    import numpy as np

    from alliance.dropout.model.listing import MODEL_COLUMNS
    from alliance.frames import RISK

    table = found.table()
    columns = {name: table[name] for name in (*RISK, *(MODEL_COLUMNS if found.said is not None else ()))}
    if held is not None:
        seen = [str(held.get(str(case), "")) for case in columns["case"]]
        columns["seen"] = np.array(seen, dtype=object)
    return columns


def _json(found: Found, held: Mapping[str, Entry] | None, today: date | None) -> list[dict[str, Any]]:
    from alliance import __version__
    from alliance.dropout.records import risk_records

    form = found.data.form
    about = {
        "tool_version": __version__,
        "registry_version": form.sha256,
        "instrument_id": form.id,
        "definition_id": found.definition,
    }
    by_case = {
        record["client"]: record for record in risk_records(found.judged, about=about, today=today, seen=held)
    }
    table = found.table()
    if found.said is None:
        return [by_case[case] for case in table["case"].astype(str).tolist()]
    place = {case: number for number, case in enumerate(found.judged.cases.astype(str).tolist())}
    rows = zip(table["case"].astype(str), table["level"], table["rules_level"], strict=True)
    return [
        {**by_case[case], "level": level, "model": found.said.record(place[case], rules)}
        for case, level, rules in rows
    ]


def _print_list(columns: dict[str, Any], notes: Sequence[str], limit: int) -> None:
    from alliance.report.risk_list import risk_list
    from alliance.study.summary import Story, case_view, lacking_everywhere, told_lacking

    general = lacking_everywhere(columns)
    nothing = Story(rupture="")
    cases = [
        case_view(columns, place, story=nothing, general=general) for place in range(len(columns["case"]))
    ]
    plain = not encodes("→")
    text = risk_list(
        cases,
        notes=[*notes, *told_lacking(general)],
        width=width(),
        colour=colour(),
        unicode=not plain,
        limit=limit,
    )
    typer.echo(text, nl=False)
