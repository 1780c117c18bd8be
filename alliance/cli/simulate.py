"""`alliance simulate`: a synthetic study with planted ruptures and dropouts, or a synthetic service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from alliance.errors import UsageError

SYNTHETIC = "these data are synthetic: no client, no therapist and no session in them is real"
TABLES = ("episodes.csv", "appointments.csv", "ratings.csv", "truth.csv")


def simulate(
    *,
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of cases.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds give equal bytes.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write, or folder with --service; else standard output."),
    ] = None,
    with_truth: Annotated[
        bool,
        typer.Option(
            "--with-truth", help="Write what was planted beside it, to FILE's stem + .truth.csv or truth.csv."
        ),
    ] = False,
    service: Annotated[
        bool,
        typer.Option("--service", help="Episodes, appointments and SRS ratings of a service, in a folder."),
    ] = False,
    scale: Annotated[
        list[str] | None,
        typer.Option("--scale", help="Id or TOML file; repeat it for several forms. [wai-sr]"),
    ] = None,
    raters: Annotated[
        str | None, typer.Option("--raters", help="client, therapist, or both. [client]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Make a synthetic study with planted ruptures and dropouts, as a CSV file of answers.

    Example: alliance simulate --cases 200 --seed 7 -o study.csv --with-truth

    With --service, the tables a dropout model is fitted on: alliance simulate --service -o service
    """
    if service:
        _refuse_forms(scale, raters)
        _service(output, cases=cases, seed=seed, with_truth=with_truth, force=force)
    else:
        names = [name.strip() for name in (raters or "client").split(",")]
        files = _files(output, with_truth=with_truth)
        _study(files, cases=cases, seed=seed, scale=scale or ["wai-sr"], raters=names, force=force)
    typer.echo(SYNTHETIC, err=True)


def _study(
    files: list[Path], *, cases: int, seed: int, scale: Sequence[str], raters: Sequence[str], force: bool
) -> None:
    from alliance.report.files import write_file
    from alliance.simulate import simulate as make
    from alliance.simulate import to_csv

    _refuse_existing(files, force=force)
    study = make(cases=cases, seed=seed, scale=scale, raters=raters)
    if not files:
        typer.echo(to_csv(study.sessions), nl=False)
    for path, frame in zip(files, (study.sessions, study.truth), strict=False):
        write_file(path, to_csv(frame).encode(), force=force)


def _service(folder: Path | None, *, cases: int, seed: int, with_truth: bool, force: bool) -> None:
    """Write the tables of a service, all of them or none."""
    from alliance.report.files import OutputFolder
    from alliance.simulate import to_csv
    from alliance.simulate.service import service, service_frames, service_truth

    if folder is None or str(folder) == "-":
        message = "--service writes several files and needs a folder for them"
        raise UsageError(message, hint="add -o FOLDER")
    _refuse_existing([folder / name for name in TABLES], force=force)
    drawn = service(cases, seed)
    frames = [*service_frames(drawn, seed), *([service_truth(drawn)] if with_truth else [])]
    with OutputFolder(folder) as output:
        for name, frame in zip(TABLES, frames, strict=False):
            output.write(name, to_csv(frame).encode())
        output.publish(last=TABLES[0], stale=TABLES[len(frames) :])


def _refuse_forms(scale: Sequence[str] | None, raters: str | None) -> None:
    """Refuse options of a study: a service has one form, the SRS, and clients fill it in."""
    for option, value in (("--scale", scale), ("--raters", raters)):
        if value:
            message = f"{option} does not go with --service"
            raise UsageError(
                message, hint=f"leave {option} out: a service is simulated with the SRS of clients"
            )


def _files(output: Path | None, *, with_truth: bool) -> list[Path]:
    """Return the files to write: the study, then its truth if it is wanted."""
    if output is None or str(output) == "-":
        if with_truth:
            message = "--with-truth needs a file to put the truth beside"
            raise UsageError(message, hint="add -o FILE")
        return []
    return [output, output.with_name(f"{output.stem}.truth.csv")] if with_truth else [output]


def _refuse_existing(files: list[Path], *, force: bool) -> None:
    there = [str(path) for path in files if path.exists()]
    if there and not force:
        message = f"{len(there)} of the files to write exist"
        raise UsageError(message, where=there, hint="--force overwrites them")
