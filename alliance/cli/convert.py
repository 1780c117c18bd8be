"""`alliance convert`: a study in the format of another program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli.options import (
    READING,
    QuietOption,
    Source,
    TextsOption,
    UnverifiedOption,
    own_texts,
    with_options,
)
from alliance.errors import UsageError
from alliance.writers import Study, find_writer, known_writers

if TYPE_CHECKING:
    from alliance.readers import Loaded

FORMATS = ", ".join(known_writers())


@with_options(READING)
def convert(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file; - reads standard input.")],
    source: Source,
    to: Annotated[str, typer.Option("--to", help=f"{FORMATS}.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="OUT", help="The file to write, or the folder where it is several."
        ),
    ],
    with_scores: Annotated[
        bool, typer.Option("--with-scores/--answers-only", help="Write the scores beside the answers.")
    ] = False,
    include_unverified: UnverifiedOption = False,
    texts: TextsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Write the forms of any file in another format: for SPSS, a spreadsheet, R, FHIR, BIDS.

    What is written is read back as it was. Items are called by their number unless you give your own licensed
    texts. Files are readable by their owner only. A case in one row (wide) comes with the mapping that reads
    it.

    Example: alliance convert study.csv --scale wai-sr --to spss -o study.sav
    """
    from alliance.cli.loading import tell_loaded
    from alliance.readers import load

    chosen = find_writer(to)
    loaded = load(file, source.form, options=source.options, folders=tuple(source.scales or ()))
    study = _study(
        loaded, name=_name(file), texts=texts, with_scores=with_scores, unverified=include_unverified
    )
    targets = _targets(chosen.write(study), output)
    _write(targets, force=force)
    if not quiet:
        tell_loaded(loaded)
        _tell_missed(loaded)
        typer.echo("\n".join(f"wrote {target}" for target in targets), err=True)


def _study(loaded: Loaded, *, name: str, texts: Path | None, with_scores: bool, unverified: bool) -> Study:
    """Return what is written of a file that was read."""
    from alliance.scoring import score

    scales = {id: scale.with_unconfirmed() if unverified else scale for id, scale in loaded.scales.items()}
    own = {} if texts is None else _texts(texts, loaded)
    scores = {id: score(forms, scales[id]) for id, forms in loaded.responses.items()} if with_scores else {}
    return Study(
        name=name,
        scales=scales,
        responses=loaded.responses,
        scores=scores,
        texts=own,
        synthetic=loaded.synthetic,
    )


def _texts(path: Path, loaded: Loaded) -> dict[str, dict[int, str]]:
    if len(loaded.scales) > 1:
        message = f"--texts belongs to one form, and the file has {', '.join(loaded.scales)}"
        raise UsageError(message, hint="name the form with --scale")
    (id, scale), *_ = loaded.scales.items()
    return {id: own_texts(path, scale)}


def _name(file: Path) -> str:
    """Return what the files are called where the format does not say: the name of the file that was read."""
    return "study" if str(file) == "-" else file.stem


def _targets(files: Mapping[str, bytes], output: Path) -> dict[Path, bytes]:
    """Return path → content: one file is OUT itself, unless that is a folder; several go into a folder."""
    if len(files) == 1 and not output.is_dir():
        return dict.fromkeys([output], *files.values())
    if output.exists() and not output.is_dir():
        message = f"'{output}' is a file, and {len(files)} files need a folder"
        raise UsageError(message, hint="name a folder with -o")
    return {output / name: content for name, content in files.items()}


def _write(targets: Mapping[Path, bytes], *, force: bool) -> None:
    """Write all files or none, each owner-only; one that is there is replaced only with `force`."""
    import os

    from alliance.report.files import OutputFolder, cannot

    there = [str(path) for path in targets if path.exists()]
    if there and not force:
        message = f"{len(there)} file{'s' if len(there) > 1 else ''} would be replaced"
        raise UsageError(message, where=there, hint="choose another name, or replace with --force")
    folder = Path(os.path.commonpath([path.parent for path in targets]))
    with OutputFolder(folder) as out:
        for path, content in targets.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise cannot("write", path.parent, error) from None
            out.write(str(path.relative_to(folder)), content)
        out.publish()


def _tell_missed(loaded: Loaded) -> None:
    missed = int((loaded.appointments["attendance"] != "attended").sum())
    if missed:
        typer.echo(f"note: appointments without a form are not written ({missed})", err=True)
