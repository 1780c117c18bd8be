"""`alliance risk, acknowledge`: the list of early dropout risk, and who has seen what of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.loading import records, tell_notes
from alliance.cli.modelling import read_model
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
    cutoff_edge,
    positive,
    read_day,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit
from alliance.cli.screen import colour, encodes, width
from alliance.errors import DataError, StoreError, UsageError

if TYPE_CHECKING:
    from alliance.cli.treatments import StudyData
    from alliance.dropout import Norms
    from alliance.dropout.ends.fates import Fates
    from alliance.dropout.model.listing import Opinion
    from alliance.dropout.seen import Entry
    from alliance.dropout.triage import Judged


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
        found = _with_model(found, risk_model)
    found = _of_today(found, ongoing=ongoing)
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
    session, rules = _firing(found, case, file)
    entry = Entry(
        case=case, session=session, rules=rules, on=on, reason=reason.strip(), by=by.strip(), until=end
    )
    append(log, entry)
    typer.echo(f"{case}, session {session}: {', '.join(rules)}: {entry}")


@dataclass(frozen=True, kw_only=True)
class Found:
    """The verdicts on a file, the local norms they were made with, and what must be told of the list.

    `said` is what a model says of the cases, `definition` the dropout definition it was built on. `left_out`
    are cases that are not listed.
    """

    data: StudyData
    judged: Judged
    norms: Norms | None
    notes: tuple[str, ...]
    fates: Fates
    said: Opinion | None = None
    definition: str | None = None
    left_out: frozenset[str] = frozenset()

    def table(self) -> dict[str, Any]:
        """Return the list, cases in its order."""
        from alliance.dropout.model.listing import listed

        columns = listed(self.judged, self.said)
        kept = [case not in self.left_out for case in columns["case"].astype(str).tolist()]
        return {name: values[kept] for name, values in columns.items()}


def risk_of(
    file: Path,
    source: Source,
    *,
    attendance: Sequence[Path] | None = None,
    episodes: Sequence[Path] | None = None,
    sem: float | None = None,
    norms: Norms | None = None,
    style: str = "published",
    today: date | None = None,
    quiet: bool = False,
) -> Found:
    """Return the verdicts on the cases of a file; what is taken up from the caseload is among the notes."""
    from alliance.cli.treatments import load_study
    from alliance.dropout import caseload_sem, instrument_of, judge, local_norms
    from alliance.dropout.ends.fates import fates_of
    from alliance.dropout.instrument import taken_up
    from alliance.dropout.verdicts import NO_ATTENDANCE

    data = load_study([file], source, episodes=episodes, attendance=attendance, quiet=quiet)
    form = data.form
    known = norms or local_norms(data.scores, form, appointments=data.appointments)
    instrument, notes = taken_up(
        instrument_of(form, sem=sem, inclusive=cutoff_edge(style, form)),
        sem=caseload_sem(data.scores, form),
        norms=known,
        frozen=norms is not None,
    )
    fates = fates_of(data.scores, form, data.treatments, data.appointments)
    judged = judge(
        data.scores,
        form,
        instrument,
        appointments=data.appointments,
        not_on_track=_flags(data),
        today=today,
        ended=fates.ended,
        to_confirm=fates.to_confirm,
    )
    told = [*notes, *([] if data.appointments is not None else [NO_ATTENDANCE])]
    return Found(data=data, judged=judged, norms=known if known.n else None, notes=tuple(told), fates=fates)


def _with_model(found: Found, path: Path) -> Found:
    """Return the verdicts with what a model says beside them."""
    import numpy as np

    from alliance.dropout.model.listing import opinion, told

    bundle, form, judged = read_model(path), found.data.form, found.judged
    planned = [found.fates.planned.get(case, np.nan) for case in judged.cases.astype(str).tolist()]
    said = opinion(
        bundle,
        judged.visits,
        instrument=form.id,
        scoring_version=form.sha256,
        planned=np.array(planned, dtype=float),
    )
    definition = bundle.content["definition"]["id"]
    return replace(found, said=said, definition=definition, notes=(*found.notes, told(bundle)))


def _of_today(found: Found, *, ongoing: bool) -> Found:
    """Return the verdicts without treatments that have ended on record, or a note that they are in."""
    ended = found.fates.ended & frozenset(found.judged.cases.astype(str).tolist())
    if ongoing:
        return replace(found, left_out=ended)
    if not ended:
        return found
    n = len(found.judged.cases)
    note = f"{len(ended)} of {n} treatments have ended on record; --ongoing leaves them out"
    return replace(found, notes=(*found.notes, note))


def read_norms(path: Path | None) -> Norms | None:
    """Return the norms of a file of --write-norms, or of the manifest of an analysis; None without one."""
    if path is None:
        return None
    from alliance.dropout import Norms

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        message = f"'{path}' cannot be read: {problem.strerror}"
        raise StoreError(message, hint="check the name and who may read it") from problem
    except ValueError:
        content = None
    return Norms.from_json(content if isinstance(content, dict) else {})


def _write_norms(path: Path, norms: Norms | None, *, force: bool) -> None:
    from alliance.dropout.norms import MIN_RATINGS
    from alliance.report.files import write_file

    if norms is None:
        message = "there are no norms to write"
        raise DataError(message, hint=f"norms need {MIN_RATINGS} ratings of a session")
    text = json.dumps(norms.as_json(), indent=2, allow_nan=False) + "\n"
    write_file(path, text.encode(), force=force)
    typer.echo(f"Norms written: {path}", err=True)


def _flags(data: StudyData) -> Any:
    """Return the imported flag of each form, or None where there is none at all."""
    if not len(data.outcome_flags):
        return None
    keys = ["case", "session"]
    return data.scores[keys].merge(data.outcome_flags, on=keys, how="left")["not_on_track"].to_numpy()


def _holding(
    found: Found, path: Path | None, today: date | None
) -> tuple[dict[str, Entry] | None, list[str]]:
    """Return the acknowledgements that hold, by case, and what must be told of them; None without a log."""
    if path is None:
        return None, []
    from alliance.dropout.seen import read_log, seen, told_snoozes

    log, frame = read_log(path), found.judged.frame()
    rows = zip(frame["case"].astype(str), frame["reasons"], strict=True)
    held = {case: seen(log, case, _fired(reasons), today) for case, reasons in rows}
    return {case: entry for case, entry in held.items() if entry is not None}, told_snoozes(log, today)


def _fired(reasons: str) -> tuple[str, ...]:
    from alliance.dropout.verdicts import fired_in

    return fired_in(reasons)


def _require_reason(reason: str, on: date, end: date | None) -> None:
    if not reason.strip():
        message = "--reason is empty"
        raise UsageError(message, hint="say in a few words what was done or found")
    if end is not None and end <= on:
        message = f"--until must be after {on}, the day of the acknowledgement, got {end}"
        raise UsageError(message, hint="leave it out, or name a later day")


def _firing(found: Found, case: str, file: Path) -> tuple[int, tuple[str, ...]]:
    """Return the session a case stands at and the rules that fire; refuse a case without any."""
    import difflib

    frame = found.judged.frame()
    names = frame["case"].astype(str)
    if case not in set(names):
        near = difflib.get_close_matches(case, names, n=1)
        message = f"there is no case '{case}' in '{file.name}'"
        raise UsageError(message, hint=f"did you mean '{near[0]}'?" if near else "see `alliance risk`")
    row = frame[names == case].iloc[0]
    rules = _fired(row["reasons"])
    if not rules:
        message = f"no rule fires for case '{case}': there is nothing to acknowledge"
        raise UsageError(message, hint="`alliance risk` says what fires")
    return int(row["session"]), rules


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
