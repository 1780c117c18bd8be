"""`alliance flag`: ruptures, repairs and episodes, by one method or several side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.loading import Judgeable, read_prior, records, scores_to_judge
from alliance.cli.options import (
    JUDGING,
    METHODS,
    READING,
    ColumnOption,
    FileArgument,
    GapOption,
    MethodsOption,
    PriorOption,
    QuietOption,
    SeedOption,
    Source,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit
from alliance.errors import UsageError

if TYPE_CHECKING:
    from alliance.rupture import Detection, Subject

DEFAULT = "predictive-limit"
SHOWN_OF_EPISODES = ("case", "rater", "method", "onset", "end", "outcome", "lag", "depth", "depth_sigma")
"""Columns of a table on the terminal; the other formats have all."""


@with_options(JUDGING, READING, METHODS)
def flag(
    *,
    file: FileArgument,
    source: Source,
    facts: dict[str, Any],
    settings: dict[str, Any],
    method: MethodsOption = None,
    column: ColumnOption = None,
    max_gap_days: GapOption = None,
    prior: PriorOption = None,
    write_prior: Annotated[
        Path | None,
        typer.Option("--write-prior", help="Freeze what is known of the caseload into this file."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing prior file.")] = False,
    episodes: Annotated[bool, typer.Option("--episodes", help="Print episodes instead of flags.")] = False,
    seed: SeedOption = 1,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Flag ruptures and repairs in a file of answers, or in a plain file of scores.

    A plain file has the columns case, session, and the one that --column names. What noise alone would flag
    is told beside it.

    Example: alliance flag study.csv --scale wai-sr --method reliable-drop --within-sd 0.25

    Example: alliance flag scores.csv --column total --min 12 --max 60 --method cusum --h 4
    """
    from alliance.rupture import detect, get_method

    methods = [get_method(name) for name in method or [DEFAULT]]
    both = any(each.combine is not None for each in methods)
    ends = (facts["min"], facts["max"])
    found = scores_to_judge(file, source, column=column, ends=ends, both=both, quiet=quiet)
    subject = judged_subject(found, **facts)
    gap = {} if max_gap_days is None else {"max_gap_days": max_gap_days}
    names = [each.name for each in methods]
    told = detect(found.scores, subject, names, prior=read_prior(prior), **gap, **settings)
    if found.scale is None and facts["step"] is None and not quiet:
        unit = told.runs[0].subject.measure.step
        typer.echo(
            f"note: the step of the score is taken to be {unit:g}, the unit it is written in", err=True
        )
    if write_prior is not None:
        _write_prior(told, write_prior, force=force)
    _print(told, episodes=episodes, format=format)
    _tell_chance(told, seed, quiet=quiet)


def _print(told: Detection, *, episodes: bool, format: Format) -> None:
    from alliance import frames

    if episodes:
        shown = frames.EPISODES if format is not Format.TABLE else SHOWN_OF_EPISODES
        emit(records(told.episodes()), columns=shown, format=format)
    elif format is Format.TABLE:
        typer.echo(_listed(records(told.flags()), several=len(told.runs) > 1), nl=False)
    else:
        emit(records(told.flags()), columns=frames.FLAGS, format=format)


def judged_subject(found: Judgeable, **given: Any) -> Subject:
    """Return what is known about the scores of a file; falls are explained by subscales that are there."""
    from alliance.rupture import require_alliance, subject_of

    if found.scale is not None:
        require_alliance(found.scale)
    subject = subject_of(found.scale, column=found.column, **given)
    spans = {name: span for name, span in subject.spans.items() if name in found.scores.columns}
    return replace(subject, spans=spans)


def _listed(flags: list[dict[str, Any]], *, several: bool) -> str:
    """Return the flags as a list: whose, when and what on one line, the reason below it."""
    import textwrap

    from alliance.cli.screen import width

    lines = []
    for row in flags:
        words = [row["finding"], f"({row['severity']})" if row["severity"] else "", row["rater"]]
        words += [row["method"]] if several else []
        lines.append(f"{row['case']}  session {row['session']}  {' '.join(filter(None, words))}")
        lines += textwrap.wrap(row["reason"], width(), initial_indent="   ", subsequent_indent="   ")
    return "\n".join([*(lines or ["nothing was flagged"]), ""])


def _write_prior(told: Detection, path: Path, *, force: bool) -> None:
    import json

    from alliance.report.files import write_file

    if path.exists() and not force:
        message = f"'{path}' exists"
        raise UsageError(message, hint="--force replaces it")
    text = json.dumps(told.frozen().as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_file(path, text.encode(), force=force)


def _tell_chance(told: Detection, seed: int, *, quiet: bool) -> None:
    """Say how many cases noise alone would flag; of a method that comes with a warning always."""
    warned = set()
    for judged, chance in told.chances(seed=seed, loud_only=quiet):
        typer.echo(f"{judged.method.name}, {judged.rater}: {chance}", err=True)
        if judged.method.warning and judged.method.name not in warned:
            typer.echo(f"warning: {judged.method.name}: {judged.method.warning}", err=True)
            warned.add(judged.method.name)
