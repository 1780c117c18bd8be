"""`alliance simulate`: a synthetic study with planted ruptures and dropouts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alliance.errors import UsageError


def simulate(
    *,
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of cases.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds give equal bytes.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; standard output without it.")
    ] = None,
    with_truth: Annotated[
        bool,
        typer.Option("--with-truth", help="Write what was planted beside it, to FILE's stem + .truth.csv."),
    ] = False,
    scale: Annotated[
        list[str] | None,
        typer.Option("--scale", help="Id or TOML file; repeat it for several forms. [wai-sr]"),
    ] = None,
    raters: Annotated[str, typer.Option("--raters", help="client, therapist, or both.")] = "client",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Make a synthetic study with planted ruptures and dropouts, as a CSV file of answers.

    Example: alliance simulate --cases 200 --seed 7 -o study.csv --with-truth
    """
    from alliance.report.files import write_file
    from alliance.simulate import simulate as make
    from alliance.simulate import to_csv

    files = _files(output, with_truth=with_truth)
    _refuse_existing(files, force=force)
    names = [name.strip() for name in raters.split(",")]
    study = make(cases=cases, seed=seed, scale=scale or "wai-sr", raters=names)
    if not files:
        typer.echo(to_csv(study.sessions), nl=False)
    for path, frame in zip(files, (study.sessions, study.truth), strict=False):
        write_file(path, to_csv(frame).encode(), force=force)
    typer.echo("these data are synthetic: no client, no therapist and no session in them is real", err=True)


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
