"""`alliance cite`: what to cite, and the paragraph that says what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli.options import ScalesOption
from alliance.errors import UsageError

if TYPE_CHECKING:
    from alliance.citations import Entry
    from alliance.citations.manifest import Manifest
    from alliance.scale import Scale


class CiteFormat(StrEnum):
    """What is printed: the bibliography, or the paragraph in a language of manuscripts."""

    BIBTEX = "bibtex"
    MARKDOWN = "markdown"
    LATEX = "latex"


def cite(
    manifest: Annotated[
        Path | None, typer.Argument(metavar="[MANIFEST]", help="The manifest.json of `alliance analyze`.")
    ] = None,
    *,
    scale: Annotated[
        list[str] | None, typer.Option("--scale", help="Without a manifest: a form; may be repeated.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Without a manifest: a rupture method; may be repeated."),
    ] = None,
    scales: ScalesOption = None,
    format: Annotated[
        CiteFormat,
        typer.Option("--format", help="bibtex: the works. markdown, latex: a paragraph about what was done."),
    ] = CiteFormat.BIBTEX,
) -> None:
    """Print what to cite of an analysis as BibTeX, or the paragraph for the manuscript.

    Authors, years and numbers come from the manifest and the definitions alone; what these do not say, such
    as the title of an article, has to be added by hand. The paragraph cites the keys of the bibliography.

    Example: alliance cite out/manifest.json > alliance.bib

    Example: alliance cite out/manifest.json --format markdown
    """
    if manifest is not None and (scale or method):
        message = "a manifest names its own forms and methods"
        raise UsageError(message, hint="leave out --scale and --method, or the manifest")
    if manifest is None:
        if format is not CiteFormat.BIBTEX:
            message = f"--format {format} tells of an analysis"
            raise UsageError(message, hint="give its manifest.json, or use --format bibtex")
        _print_works(scale or (), method or (), tuple(scales or ()))
        return
    _print_analysis(manifest, tuple(scales or ()), format)


def _print_works(ids: Sequence[str], methods: Sequence[str], folders: Sequence[Path]) -> None:
    from alliance.citations import bibliography, method_entries, scale_entry, software_entry
    from alliance.rupture import get_method
    from alliance.scale import load_scale

    forms = [load_scale(id, folders=folders) for id in ids]
    chosen = [get_method(name) for name in methods]
    works = [entry for each in chosen for entry in method_entries(each.name, each.source)]
    typer.echo(bibliography([software_entry(), *map(scale_entry, forms), *works]), nl=False)
    _tell_provisional(forms)


def _print_analysis(path: Path, folders: Sequence[Path], format: CiteFormat) -> None:
    from alliance.citations import MARKUPS, bibliography, methods_text, parse_manifest, scales_of
    from alliance.readers.opening import read_bytes
    from alliance.scale import load_scale

    text = read_bytes(path).decode("utf-8", errors="replace")
    manifest = parse_manifest(text, origin=path.name)
    forms = scales_of(manifest, lambda id: load_scale(id, folders=folders))
    if format is CiteFormat.BIBTEX:
        typer.echo(bibliography(_entries(manifest, list(forms.values()))), nl=False)
        _tell_provisional(list(forms.values()))
    else:
        typer.echo(methods_text(manifest, forms, MARKUPS[format]), nl=False)


def _entries(manifest: Manifest, forms: Sequence[Scale]) -> Iterator[Entry]:
    from alliance.citations import method_entries, scale_entry, software_entry

    yield software_entry(manifest["alliance_version"])
    yield from map(scale_entry, forms)
    for each in manifest["methods"]:
        yield from method_entries(each["name"], each["source"])


def _tell_provisional(forms: Sequence[Scale]) -> None:
    for form in forms:
        if form.status != "verified":
            typer.echo(
                f"note: the key of '{form.id}' is provisional; say so where its scores are used", err=True
            )
