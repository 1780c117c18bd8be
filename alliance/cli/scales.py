"""`alliance scales`: what is bundled, what a definition says, whether it holds, how to begin a new one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.options import ReliabilityOption, SdOption, TextsOption, UnverifiedOption, own_texts
from alliance.cli.output import Format, FormatOption, emit
from alliance.errors import ScaleError, StoreError, UsageError

if TYPE_CHECKING:
    from alliance.scale import Scale

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Forms: list, show, check, new.")

LIST = ("id", "name", "status", "construct", "items", "range", "direction", "licence", "n_sources")

ScalesOption = Annotated[
    list[Path] | None, typer.Option("--scales", help="A folder of definitions of your own; may be repeated.")
]


@app.command("list")
def list_scales(scales: ScalesOption = None, format: FormatOption = Format.TABLE) -> None:
    """List every known form.

    Example: alliance scales list --format json
    """
    from alliance.scale import find_scales, read_definition

    known = [read_definition(path) for _, path in sorted(find_scales(scales or ()).items())]
    if format is Format.TABLE:
        emit(
            [{"id": scale.id, "form": _card(scale)} for scale in known], columns=("id", "form"), format=format
        )
    else:
        emit([_list_row(scale) for scale in known], columns=LIST, format=format)


@app.command()
def show(
    *,
    scale: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a form, or the path of a definition.")
    ],
    scales: ScalesOption = None,
    include_unverified: UnverifiedOption = False,
    texts: TextsOption = None,
    sd: SdOption = None,
    reliability: ReliabilityOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the key, range, cut-offs and sources of a form; of a form on hold, why it is.

    Example: alliance scales show wai-sr
    """
    from alliance.cli.facts import facts_of, held_facts
    from alliance.cli.options import given_norm
    from alliance.held import find_held
    from alliance.scale import find_scales, load_scale

    held = None if scale in find_scales(scales or ()) else find_held(scale)
    if held is not None:
        rows = list(held_facts(held, scale))
    else:
        found = load_scale(scale, folders=scales or ())
        found = found.with_unconfirmed() if include_unverified else found
        norm = given_norm(sd, reliability)
        rows = list(facts_of(found, norm=norm, texts=own_texts(texts, found), unverified=include_unverified))
    emit(
        [{"field": field, "value": value} for field, value in rows], columns=("field", "value"), format=format
    )


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML definition.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Check a definition, every problem at once.

    Lists every breach of the schema, whether the hand-scored forms agree, and what they leave open. Exits
    with 4 if something is wrong; what is merely unproven is listed and no failure.

    Example: alliance scales check my-form.toml
    """
    from alliance.definition import explain

    findings = explain(file)
    emit(findings, columns=("check", "result", "detail"), format=format)
    if any(finding["result"] == "wrong" for finding in findings):
        raise typer.Exit(ScaleError.exit_code)


@app.command()
def new(
    *,
    id: Annotated[str | None, typer.Option("--id", help="Lower-case words joined by hyphens.")] = None,
    name: Annotated[str | None, typer.Option(help="The name as printed on the form.")] = None,
    items: Annotated[int | None, typer.Option(help="The number of items.")] = None,
    min: Annotated[float | None, typer.Option(help="The lowest answer.")] = None,
    max: Annotated[float | None, typer.Option(help="The highest answer.")] = None,
    method: Annotated[str | None, typer.Option(help="How a score is formed: sum or mean.")] = None,
    reverse: Annotated[str | None, typer.Option(help="Reversed items, such as 3,5.")] = None,
    subscale: Annotated[
        list[str] | None, typer.Option(help="A subscale, such as goal=4,6,8; may be repeated.")
    ] = None,
    perspective: Annotated[str, typer.Option(help="client, therapist or observer.")] = "client",
    construct: Annotated[str, typer.Option(help="alliance, outcome, relationship, …")] = "alliance",
    direction: Annotated[str, typer.Option(help="higher_is_better or higher_is_worse.")] = "higher_is_better",
    step: Annotated[float, typer.Option(help="The smallest difference of two answers.")] = 1,
    example: Annotated[str | None, typer.Option(help="A form scored by hand, such as 1,2,3=total:6.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write.  [default: ID.toml in your folder]"),
    ] = None,
) -> None:
    """Begin a definition of your own form.

    What is not given is asked for. The file is readable by its owner only and replaces no other.

    Example: alliance scales new --id my-form --name "My form" --items 3 --min 1 --max 5 --method mean
    --reverse 3 --example "1,2,3=total:2" -o my-form.toml
    """
    from alliance import places
    from alliance.definition import definition_text, draft_definition, read_example

    asked = _Asked(interactive=_at_terminal())
    fields: dict[str, Any] = {
        "id": asked.need("--id", id, "Id, lower-case words joined by hyphens"),
        "name": asked.need("--name", name, "Name as printed on the form"),
        "items": asked.need("--items", items, "Number of items", kind=int),
        "min": _tidy(asked.need("--min", min, "Lowest answer", kind=float)),
        "max": _tidy(asked.need("--max", max, "Highest answer", kind=float)),
        "method": asked.need("--method", method, "Score is the sum or the mean"),
        "reverse": _numbers("--reverse", asked.may(reverse, "Reversed items, such as 3,5 (empty: none)")),
        "subscales": _subscales(asked.several(subscale, "A subscale, such as goal=4,6,8 (empty: no more)")),
        "perspective": perspective,
        "construct": construct,
        "direction": direction,
        **({"step": step} if step != 1 else {}),
    }
    scored = asked.may(example, "A form scored by hand, such as 1,2,3=total:6 (empty: none)")
    table = draft_definition(**fields, example=read_example(scored) if scored else None)
    path = output or places.user_folder() / f"{table['id']}.toml"
    _write_new(path, definition_text(table))
    typer.echo(f"wrote {path}; now state its source and licence, and run: alliance scales check {path}")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Answers from options, or from the person at the terminal."""

    interactive: bool

    def need(self, option: str, given: Any, question: str, *, kind: Callable[[str], Any] = str) -> Any:
        if given is not None:
            return given
        if not self.interactive:
            message = f"{option} is missing, and there is no terminal to ask at"
            raise UsageError(message, hint="`alliance scales new --help` shows an example")
        return typer.prompt(question, type=kind)

    def may(self, given: str | None, question: str) -> str:
        if given is None and self.interactive:
            return str(typer.prompt(question, default="", show_default=False))
        return given or ""

    def several(self, given: list[str] | None, question: str) -> list[str]:
        if given or not self.interactive:
            return given or []
        return list(iter(lambda: self.may(None, question), ""))


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(cell) for cell in text.replace(" ", ",").split(",") if cell]
    except ValueError:
        message = f"{option} must be item numbers such as 3,5, got '{text}'"
        raise UsageError(message) from None


def _subscales(texts: list[str]) -> dict[str, list[int]]:
    return {
        name.strip(): _numbers("--subscale", items) for name, _, items in (t.partition("=") for t in texts)
    }


def _tidy(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _write_new(path: Path, text: str) -> None:
    """Write `text` to a file that only its owner can read, and never over another one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        message = (
            f"'{path}' is there already" if path.exists() else f"cannot write '{path}': {error.strerror}"
        )
        raise StoreError(message, hint="give another file with -o; nothing is overwritten") from None
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def _list_row(scale: Scale) -> dict[str, object]:
    return {
        "id": scale.id,
        "name": scale.name,
        "status": scale.status,
        "construct": scale.construct,
        "items": scale.n_items,
        "range": scale.range_text,
        "direction": scale.direction,
        "licence": scale.licence,
        "n_sources": len(scale.sources),
    }


def _card(scale: Scale) -> str:
    """Return what a list says of a form, in three lines: a table of nine columns fits no terminal."""
    sources = "1 source" if len(scale.sources) == 1 else f"{len(scale.sources)} sources"
    parts = (_status(scale), scale.construct, f"{scale.n_items} items", scale.range_text)
    facts = ", ".join((*parts, scale.direction.replace("_", " "), sources))
    return f"{scale.name}\n{facts}\nlicence: {scale.licence}"


def _status(scale: Scale) -> str:
    return scale.status.upper() if scale.status == "provisional" else scale.status
