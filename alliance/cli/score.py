"""`alliance score`: the forms of a file, or one form with what may be said of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.loading import records, score_file, tell_notes
from alliance.cli.options import (
    READING,
    QuietOption,
    ReliabilityOption,
    SdOption,
    Source,
    TextsOption,
    UnverifiedOption,
    own_texts,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit
from alliance.errors import DataError, UsageError

if TYPE_CHECKING:
    from alliance.claims import Norm
    from alliance.interpretation import Reading
    from alliance.scale import Scale


@with_options(READING)
def score(
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file; - reads standard input.")
    ] = None,
    source: Source,
    answers: Annotated[
        str | None,
        typer.Option("--answers", help="One form: its answers in item order, empty = not answered."),
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="One form: ask for each answer.")] = False,
    texts: TextsOption = None,
    previous: Annotated[
        str | None,
        typer.Option("--previous", help="The same case's form before, to tell whether a change is reliable."),
    ] = None,
    sd: SdOption = None,
    reliability: ReliabilityOption = None,
    include_unverified: UnverifiedOption = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="CSV file to write instead.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Score the forms of a file, or one form with what its numbers mean.

    Only published bands, cut-offs and patterns are printed, each with its source; a derived reliable change
    says from what it was computed.

    Example: alliance score study.csv --scale wai-sr --format csv

    Example: alliance score --scale phq-9 --answers 1,2,0,3,1,0,2,1,0
    """
    if answers is not None or ask:
        one = _need(source.form)
        one = one.with_unconfirmed() if include_unverified else one
        cells = _asked(one, own_texts(texts, one)) if answers is None else _cells(answers)
        before = None if previous is None else _cells(previous)
        from alliance.rupture.subject import given_norm

        norm = given_norm(sd, reliability)
        _score_one(one, cells, before, norm=norm, unverified=include_unverified, quiet=quiet, format=format)
        return
    if file is None:
        message = "give a file, or one form with --answers or --ask"
        raise UsageError(message, hint="see `alliance score --help`")
    loaded, frames = score_file(file, source, unverified=include_unverified, quiet=quiet)
    names = list(dict.fromkeys(name for each in loaded.scales.values() for name in each.subscales))
    columns = ("scale", "case", "session", "date", "therapist", "rater", *names, "total", "n_missing", "note")
    rows = [row for each in frames.values() for row in records(each)]
    if output is None:
        emit(rows, columns=columns, format=format)
        return
    from alliance.cli.output import csv_text
    from alliance.report.files import write_file

    write_file(output, csv_text(rows, columns).encode(), force=force)


def _need(form: Scale | None) -> Scale:
    if form is None:
        message = "--scale is missing"
        raise UsageError(message, hint="`alliance scales list` names the forms")
    return form


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.split(",")]


def _asked(form: Scale, texts: Mapping[int, str]) -> list[str]:
    """Return the answers that a person types in, item by item; an impossible one is asked for again."""
    from alliance.scoring import is_answer

    if not sys.stdin.isatty():
        message = "--ask needs a terminal"
        raise UsageError(message, hint="give the answers with --answers")
    cells = []
    for item, bounds in enumerate(form.item_bounds, 1):
        about = texts.get(item) or form.labels.get(item) or ""
        question = f"{item}. {about} ({bounds[0]:g} to {bounds[1]:g}, empty: not answered)".replace("  ", " ")
        cell = _prompt(question)
        while not is_answer(cell, form, item):
            typer.echo(f"'{cell}' is no answer of this item", err=True)
            cell = _prompt(question)
        cells.append(cell)
    return cells


def _prompt(question: str) -> str:
    return str(typer.prompt(question, default="", show_default=False, err=True)).strip()


def _score_one(
    form: Scale,
    cells: Sequence[str],
    before: Sequence[str] | None,
    *,
    norm: Norm | None,
    unverified: bool,
    quiet: bool,
    format: Format,
) -> None:
    from alliance.interpretation import interpret, interpret_change
    from alliance.scoring import score_form

    found = score_form(cells, form)
    answers = [float(cell) if cell else None for cell in cells]
    readings = interpret(_numbers(found), form, answers=answers, unverified=unverified)
    if before is not None:
        earlier = score_form(before, form)
        _refuse_prorated(found, earlier)
        readings += interpret_change(
            _numbers(earlier), _numbers(found), form, norm=norm, unverified=unverified
        )
    if not quiet:
        tell_notes(form.told)
    _print_one(found, readings, form, unverified=unverified, format=format)


def _numbers(found: Mapping[str, object]) -> dict[str, float]:
    return {name: value for name, value in found.items() if isinstance(value, float)}


def _refuse_prorated(*forms: Mapping[str, object]) -> None:
    if any("prorated" in str(found["note"]) for found in forms):
        message = "a prorated score has no published reliable change"
        raise DataError(message, hint="leave out --previous, or fill in the unanswered items")


def _print_one(
    found: Mapping[str, object],
    readings: Sequence[Reading],
    form: Scale,
    *,
    unverified: bool,
    format: Format,
) -> None:
    if format is Format.JSON:
        told = [vars(reading) for reading in readings]
        emit([{**found, "readings": told}], columns=(*found, "readings"), format=format)
        return
    emit([found], columns=tuple(found), format=format)
    lines = list(_lines(readings, form, unverified=unverified))
    if lines and format is not Format.CSV:
        typer.echo()
        emit(lines, columns=("about", "reading"), format=format)


def _lines(readings: Sequence[Reading], form: Scale, *, unverified: bool) -> Iterator[dict[str, Any]]:
    """Yield one row for each reading; where the form has no cut-off, that is said."""
    from alliance.interpretation import NO_CUTOFF, spoken

    for reading in readings:
        about = " ".join(filter(None, (reading.kind, reading.score)))
        source = f" ({reading.source})" if reading.source else ""
        yield {"about": about, "reading": f"{reading.text}{source}"}
    if not spoken(form.cutoffs, form, unverified=unverified):
        yield {"about": "cut-off", "reading": NO_CUTOFF}
