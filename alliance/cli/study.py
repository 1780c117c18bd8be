"""`alliance analyze, check`: from a file to findings and reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from alliance.cells import visible
from alliance.cli.ends import ends_of_study, ends_text, episodes_of, says_ends
from alliance.cli.loading import read_prior, tell_notes
from alliance.cli.modelling import read_model
from alliance.cli.options import (
    CHECKING,
    METHODS,
    READING,
    TREATMENTS,
    AttendanceOption,
    CutoffStyleOption,
    EpisodesOption,
    FileArgument,
    GapOption,
    LimitOption,
    MethodsOption,
    NormsOption,
    PriorOption,
    QuietOption,
    ReliabilityOption,
    RiskModelOption,
    SdOption,
    SeenOption,
    SemOption,
    Source,
    TodayOption,
    WithinSdOption,
    cutoff_edge,
    one_of,
    positive,
    read_day,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit, json_text
from alliance.cli.screen import colour, encodes, progress, width
from alliance.cli.verdicts import read_norms
from alliance.errors import UsageError

DATA_EXIT = 3
NO_ENDS = "nothing says how treatments ended: --episodes FILE names a file that does"


@with_options(READING, METHODS)
def analyze(
    *,
    file: FileArgument,
    source: Source,
    settings: dict[str, Any],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the result files.")
    ],
    attendance: AttendanceOption = None,
    episodes: EpisodesOption = None,
    method: MethodsOption = None,
    prior: PriorOption = None,
    max_gap_days: GapOption = None,
    sd: SdOption = None,
    reliability: ReliabilityOption = None,
    within_sd: WithinSdOption = None,
    sem: SemOption = None,
    norms: NormsOption = None,
    seen: SeenOption = None,
    risk_model: RiskModelOption = None,
    today: TodayOption = None,
    srs_cutoff_style: CutoffStyleOption = "published",
    to: Annotated[str, typer.Option("--to", help="Format of the result tables: csv or parquet.")] = "csv",
    limit: LimitOption = 20,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are not ours.")] = False,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Score a study, flag ruptures, list early dropout risk, write files and a report: the main job.

    Writes scores, flags, episodes, risk, report.html and manifest.json, all or none; prints the triage list.

    Example: alliance analyze study.csv --scale wai-sr -o out/
    """
    from alliance.readers.layout import told_lane
    from alliance.study import Request, analyze

    if str(file) == "-":
        message = "analyze needs a file: its manifest names what was analysed"
        raise UsageError(message, hint="`alliance score -` reads standard input")
    request = Request(
        path=file,
        scale=source.form,
        folders=tuple(source.scales or ()),
        read=source.options,
        attendance=tuple(attendance or ()),
        episodes=tuple(episodes or ()),
        methods=tuple(method or ["predictive-limit"]),
        settings=settings,
        prior=read_prior(prior),
        **({} if max_gap_days is None else {"max_gap_days": max_gap_days}),
        sd=sd,
        reliability=reliability,
        within_sd=within_sd,
        sem=positive("--sem", sem),
        norms=read_norms(norms),
        seen=seen,
        model=None if risk_model is None else read_model(risk_model),
        inclusive=cutoff_edge(srs_cutoff_style, source.form),
        today=read_day("--today", today),
        to=one_of("--to", to, ("csv", "parquet")),
    )
    with progress(quiet=quiet) as tell:
        result = analyze(request, output, force=force, progress=tell)
    tell_notes(() if quiet else told_lane(file, result.manifest["reader"]))
    if format is Format.TABLE:
        _print_triage(result, limit)
        if not quiet:
            typer.echo(f"Results: {output}", err=True)
        return
    _emit_triage(result, format, seen=seen is not None, model=risk_model is not None)


def _print_triage(result: Any, limit: int) -> None:
    from alliance.report.terminal import triage

    shown = triage(result.view, width=width(), colour=colour(), unicode=encodes("→"), limit=limit)
    typer.echo(shown, nl=False)


def _emit_triage(result: Any, format: Format, *, seen: bool, model: bool) -> None:
    from dataclasses import asdict

    if format is Format.JSON:
        import json

        view = asdict(result.view)
        typer.echo(
            json.dumps({"schema": 1, **view, "manifest": result.manifest}, ensure_ascii=False, indent=2)
        )
        return
    columns = (
        "case",
        "session",
        "level",
        "points",
        "last_rating",
        "rupture",
        "reasons",
        "prompts",
        "not_evaluable",
        *(["model"] if model else []),
        *(["seen"] if seen else []),
    )
    rows = [asdict(case) for case in result.view.cases]
    joined = [
        {name: "; ".join(row[name]) if isinstance(row[name], tuple) else row[name] for name in columns}
        for row in rows
    ]
    emit(joined, columns=columns, format=format)


@with_options(CHECKING, TREATMENTS)
def check(
    *,
    file: FileArgument,
    source: Source,
    ends: dict[str, Any],
    write_map: Annotated[
        Path | None, typer.Option("--write-map", help="Draft a mapping into this file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing mapping.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say what is in a file and everything that is wrong with it; change nothing.

    Ends with exit code 3 if the file would be refused. Every problem cell: --format csv. Where something says
    how treatments ended, it tells which definitions of dropout the data support.

    Example: alliance check export.csv --scale wai-sr --write-map map.toml
    """
    from alliance.readers import draft_mapping, inspect

    form, options, folders = source.form, source.options, tuple(source.scales or ())
    if write_map is not None:
        from alliance.report.files import write_file

        text = draft_mapping(file, form, options=options, folders=folders)
        write_file(write_map, text.encode(), force=force)
        typer.echo(f"Mapping drafted: {write_map}. Look at every line, then use it with --map.", err=True)
    treatments = episodes_of(ends, options)
    found = inspect(file, form, options=options, folders=folders, treatments=treatments)
    told = None
    if not found.troubles and (ends["episodes"] or ends["attendance"] or says_ends(file, source, found)):
        told = ends_of_study(file, source, ends)
        if told is None:
            typer.echo(f"note: {NO_ENDS}", err=True)
    _print_inspection(found, told, format)


def _print_inspection(found: Any, ends: dict[str, Any] | None, format: Format) -> None:
    from alliance.frames import REJECTED

    if format is Format.TABLE:
        typer.echo(visible("\n".join(_summary(found))))
        for paragraph in () if ends is None else ends_text(ends):
            typer.echo(f"\n{paragraph}")
    elif format is Format.JSON:
        typer.echo(_inspection_json(found, ends))
    else:
        emit(found.problems, columns=REJECTED, format=format)
    if format is not Format.TABLE:
        for doubt in found.doubts:
            typer.echo(visible(f"doubt: {doubt}"), err=True)
    if found.troubles:
        typer.echo("\n".join(str(trouble) for trouble in found.troubles), err=True)
        raise typer.Exit(DATA_EXIT)


def _inspection_json(found: Any, ends: dict[str, Any] | None) -> str:
    import json

    from alliance.frames import REJECTED

    source = {"name": found.source, "evidence": found.evidence} if found.source else None
    problems = json.loads(json_text(found.problems, REJECTED))
    whole = {"schema": 1, "source": source, "lane": found.lane, "problems": problems}
    dropout = {} if ends is None else {"dropout": ends}
    return json.dumps({**whole, **dropout}, ensure_ascii=False, indent=2, allow_nan=False)


def _summary(found: Any) -> Iterator[str]:
    """Yield what a file holds, a line each."""
    yield f"{found.rows} rows, {found.forms} forms of {found.cases} cases, {found.sessions} sessions"
    facts = (
        ("forms", ", ".join(found.scales)),
        ("raters", ", ".join(found.raters)),
        ("shape", found.shape),
        ("source", f"{found.source} ({found.evidence})" if found.source else ""),
        ("encoding", found.encoding),
        ("delimiter", found.delimiter),
        ("sheet", found.sheet),
        ("header", f"line {found.header_line}" if found.header_line else ""),
        ("lane", found.lane),
    )
    yield from (f"{name}: {value}" for name, value in facts if value)
    yield from (f"column {role.column}: {role.role} ({role.evidence})" for role in found.roles)
    if found.unused:
        yield f"not used: {', '.join(found.unused)}"
    yield from (f"note: {note}" for note in found.notes)
    yield from (f"doubt: {doubt}" for doubt in found.doubts)
    if found.troubles or found.impossible:
        yield ""
    else:
        yield f"nothing {'else ' if found.doubts else ''}is wrong with this file"
