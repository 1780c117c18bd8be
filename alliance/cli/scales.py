"""`alliance scales`: what is bundled, what a definition says, whether it holds, how to begin a new one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import exchange
from alliance.cli.options import ReliabilityOption, SdOption, TextsOption, UnverifiedOption, own_texts
from alliance.cli.output import Format, FormatOption, emit
from alliance.cli.questions import (
    Asked,
    anchors,
    authority,
    examples,
    given,
    item_numbers,
    subscales,
    write_new,
)
from alliance.errors import ScaleError

if TYPE_CHECKING:
    from alliance.scale import Scale

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Forms: list, show, check, new, export, import."
)

LIST = ("id", "name", "status", "construct", "items", "range", "direction", "licence", "n_sources")

ScalesOption = Annotated[
    list[Path] | None, typer.Option("--scales", help="A folder of definitions of your own; may be repeated.")
]


@app.command("list")
def list_scales(
    scales: ScalesOption = None,
    construct: Annotated[
        str | None, typer.Option(help="Only forms that measure this, such as alliance or outcome.")
    ] = None,
    held: Annotated[bool, typer.Option("--held", help="The forms on hold instead, and why.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """List every known form.

    Example: alliance scales list --construct alliance
    """
    from alliance.cli.options import one_of
    from alliance.scale import find_scales, read_definition
    from alliance.schema import CONSTRUCTS

    one_of("--construct", construct, CONSTRUCTS)
    if held:
        _list_held(construct, format)
        return
    known = [read_definition(path) for _, path in sorted(find_scales(scales or ()).items())]
    chosen = [scale for scale in known if construct in {None, scale.construct}]
    if format is Format.TABLE:
        emit(
            [{"id": scale.id, "form": _card(scale)} for scale in chosen],
            columns=("id", "form"),
            format=format,
        )
    else:
        emit([_list_row(scale) for scale in chosen], columns=LIST, format=format)


def _list_held(construct: str | None, format: Format) -> None:
    from alliance.held import held_forms

    rows = [
        {
            "ids": " ".join(form.ids),
            "name": form.name,
            "construct": form.construct,
            "on hold because": form.why,
        }
        for form in held_forms()
        if construct in {None, form.construct}
    ]
    emit(rows, columns=("ids", "name", "construct", "on hold because"), format=format)


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
    """Show the key, cut-offs and sources of a form.

    Of a form on hold: why it is, and how to write a definition of your own.

    Example: alliance scales show wai-sr
    """
    from alliance.cli.facts import facts_of, held_facts
    from alliance.held import find_held
    from alliance.rupture.subject import given_norm
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
    anchor: Annotated[
        list[str] | None, typer.Option(help="A printed answer word, such as 1=never; may be repeated.")
    ] = None,
    perspective: Annotated[str, typer.Option(help="client, therapist or observer.")] = "client",
    construct: Annotated[str, typer.Option(help="alliance, outcome, relationship, …")] = "alliance",
    direction: Annotated[str, typer.Option(help="higher_is_better or higher_is_worse.")] = "higher_is_better",
    step: Annotated[float, typer.Option(help="The smallest difference of two answers.")] = 1,
    missing_max: Annotated[int, typer.Option(help="Unanswered items a subscale may have.")] = 0,
    total_missing_max: Annotated[int, typer.Option(help="Unanswered items the total may have.")] = 0,
    citation: Annotated[str | None, typer.Option(help="The paper the form comes from.")] = None,
    licence: Annotated[str | None, typer.Option(help="The terms of the form.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Where the key was seen; may be repeated.")] = None,
    example: Annotated[
        list[str] | None,
        typer.Option(help="A form scored by hand, such as 1,2,3=total:6; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write.  [default: ID.toml in your folder]"),
    ] = None,
) -> None:
    """Begin a definition of your own form.

    What is not given is asked for, with forms to score by hand that prove the key. The file is readable by
    its owner only and replaces no other.

    Example: alliance scales new --id my-form --name "My form" --items 3 --min 1 --max 5 --method mean
    --reverse 3 --example "1,2,3=total:2" -o my-form.toml
    """
    from alliance import places
    from alliance.definition import definition_text, draft_definition
    from alliance.scale import plain

    asked = Asked(interactive=_at_terminal())
    fields: dict[str, Any] = {
        "id": asked.need("--id", id, "Id, lower-case words joined by hyphens"),
        "name": asked.need("--name", name, "Name as printed on the form"),
        "items": asked.need("--items", items, "Number of items", kind=int),
        "min": plain(asked.need("--min", min, "Lowest answer", kind=float)),
        "max": plain(asked.need("--max", max, "Highest answer", kind=float)),
        "method": asked.need("--method", method, "Score is the sum or the mean"),
        "reverse": item_numbers("--reverse", asked.may(reverse, "Reversed items, such as 3,5 (empty: none)")),
        "subscales": subscales(asked.several(subscale, "A subscale, such as goal=4,6,8 (empty: no more)")),
        "perspective": perspective,
        "construct": construct,
        "direction": direction,
        **given(step=(step, 1), missing_max=(missing_max, 0), total_missing_max=(total_missing_max, 0)),
        **anchors(asked.several(anchor, "An answer word, such as 1=never (empty: no more)")),
        **authority(asked, citation, licence, source),
    }
    table = draft_definition(**fields, examples=examples(asked, fields, example))
    path = output or places.user_folder() / f"{table['id']}.toml"
    write_new(path, definition_text(table))
    typer.echo(f"wrote {path}; now run: alliance scales check {path}")


app.command()(exchange.export)
app.command("import")(exchange.import_)


def _at_terminal() -> bool:
    return sys.stdin.isatty()


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
