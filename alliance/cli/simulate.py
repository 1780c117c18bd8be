"""`alliance simulate`: a synthetic study with planted ruptures and dropouts."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from alliance.errors import StoreError, UsageError


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
    from alliance.simulate import simulate as make
    from alliance.simulate import to_csv

    files = _files(output, with_truth=with_truth)
    _refuse_existing(files, force=force)
    names = [name.strip() for name in raters.split(",")]
    study = make(cases=cases, seed=seed, scale=scale or "wai-sr", raters=names)
    if not files:
        typer.echo(to_csv(study.sessions), nl=False)
    for path, frame in zip(files, (study.sessions, study.truth), strict=False):
        _write_private(path, to_csv(frame))
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


def _write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        message = f"cannot write '{path}': {error.strerror}"
        raise StoreError(message, hint="choose a folder that exists and that you may write to") from None
