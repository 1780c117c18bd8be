"""The command line: parse, call one function, print, exit. One file per group of commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from alliance import __version__
from alliance.cli import (
    cite,
    convert,
    dyads,
    evaluate,
    flag,
    methods,
    model,
    outcome,
    pseudonymise,
    risk,
    scales,
    score,
    shape,
    simulate,
    study,
)
from alliance.errors import AllianceError

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done (a finding is no failure), 1 our own bug, 2 usage, 3 data, 4 scale, 5 store.",
)
app.command()(study.analyze)
app.command()(study.check)
app.command()(score.score)
app.command()(flag.flag)
app.command()(risk.risk)
app.command()(risk.acknowledge)
app.command()(shape.shape)
app.command()(dyads.dyads)
app.command()(dyads.therapists)
app.command()(outcome.outcome)
app.command()(methods.methods)
app.command()(evaluate.evaluate)
app.command()(simulate.simulate)
app.command()(convert.convert)
app.command()(cite.cite)
app.command()(pseudonymise.pseudonymise)
app.add_typer(model.app, name="model")
app.add_typer(scales.app, name="scales")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alliance {__version__}")
        raise typer.Exit


def _about(wanted: bool) -> None:
    if wanted:
        typer.echo((Path(__file__).parents[1] / "intended_use.md").read_text(encoding="utf-8"), nl=False)
        raise typer.Exit


@app.callback()
def about(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    _about: Annotated[
        bool,
        typer.Option("--about", callback=_about, is_eager=True, help="Show intended use, limits, privacy."),
    ] = False,
) -> None:
    """Score session-by-session alliance forms, flag ruptures and repairs, list early dropout risk.

    Example: alliance analyze study.csv --scale wai-sr -o out/
    """


def main() -> None:
    """Run the command line; a user's mistake is told in words, our own bug without any client's data."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except AllianceError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        sys.excepthook = _tell_bug


def _tell_bug(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """Print where our own bug is, without the message: it may quote a client's answer."""
    import traceback
    from types import TracebackType

    frames = traceback.extract_tb(trace) if isinstance(trace, TracebackType) else []
    places = "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    typer.echo(f"alliance {__version__} has a bug: {kind.__name__}\n{places}", err=True)
    typer.echo("hint: report these lines; they hold no client data", err=True)
