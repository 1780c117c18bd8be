"""`alliance scales export` and `import`: a definition for another system, and from it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli.options import ScalesOption, TextsOption, own_texts
from alliance.errors import ScaleError

if TYPE_CHECKING:
    from alliance.exchange.envelope import Table
    from alliance.scale import Scale


def export(
    *,
    scale: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a form, or the path of a definition.")
    ],
    to: Annotated[str, typer.Option("--to", help="fhir, redcap or json.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.  [default: standard output]")
    ] = None,
    texts: TextsOption = None,
    scales: ScalesOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a definition for another system: FHIR, REDCap or JSON.

    Items are called by their number unless you give your own licensed texts. A file is readable by its owner
    only.

    Example: alliance scales export wai-sr --to fhir
    """
    from alliance.exchange import find_format
    from alliance.scale import find_definition, parse_definition, read_table

    system = find_format(to)
    path = find_definition(scale, folders=tuple(scales or ()))
    table, _ = read_table(path)
    form = parse_definition(table, origin=path.name)
    given = own_texts(texts, form)
    text = system.write(table, given)
    _tell([*form.told, *_untold(given, form)])
    if output is None:
        typer.echo(text, nl=False)
        return
    from alliance.report.files import write_file

    target = output / f"{form.id}{system.suffix}" if output.is_dir() else output
    write_file(target, text.encode(), force=force)
    typer.echo(f"wrote {target}", err=True)


def import_(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file of the other system; - reads standard input.")
    ],
    source: Annotated[
        str | None, typer.Option("--from", help="fhir, redcap or json.  [default: seen from the file]")
    ] = None,
    form: Annotated[str | None, typer.Option("--form", help="redcap: the form in the dictionary.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Another id for the definition.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write.  [default: ID.toml in your folder]"),
    ] = None,
) -> None:
    """Make a definition of a form kept in another system.

    What was exported from here comes back as it was. Of other files the items, ranges and words are taken; a
    key that is not in them is not guessed. The file is readable by its owner only and replaces no other.

    Example: alliance scales import dictionary.csv --form alliance -o my-form.toml
    """
    from alliance.cli.questions import write_new
    from alliance.definition import definition_text
    from alliance.exchange import find_format, guess_format

    text = _text(file)
    table, notes = find_format(source or guess_format(text)).read(text, form)
    table |= {"id": id} if id is not None else {}
    _check(table, file.name)
    target = output or _own_file(str(table["id"]))
    write_new(target, definition_text(table))
    _tell(notes)
    typer.echo(f"wrote {target}; now run: alliance scales check {target}")


def _text(file: Path) -> str:
    from alliance.readers.opening import read_bytes

    try:
        return read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        message = f"'{file.name}' is no UTF-8 text"
        raise ScaleError(message, hint="save it with the encoding UTF-8") from None


def _check(table: Table, origin: str) -> None:
    """Refuse a definition that breaks the schema, or whose hand-scored forms disagree with its key."""
    from alliance.definition import disagreements
    from alliance.scale import parse_definition

    wrong = disagreements(parse_definition(table, origin=origin))
    if wrong:
        message = f"the hand-scored forms in '{origin}' disagree with its key"
        raise ScaleError(message, where=wrong, hint="the key was changed after the export; export it again")


def _own_file(id: str) -> Path:
    """Return the file of a new form in the user's folder; an id that is known elsewhere is refused."""
    from alliance import places
    from alliance.scale import find_scales

    target = places.user_folder() / f"{id}.toml"
    if not target.exists() and id in find_scales():
        message = f"there is a form '{id}' already"
        raise ScaleError(message, hint="give this one another id with --id, or another file with -o")
    return target


def _untold(texts: Collection[int], form: Scale) -> list[str]:
    """Return the sentence about the items without a text, if some have one."""
    missing = [str(item) for item in range(1, form.n_items + 1) if item not in texts]
    return [f"no text for items {', '.join(missing)}"] if texts and missing else []


def _tell(notes: Collection[str]) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)
