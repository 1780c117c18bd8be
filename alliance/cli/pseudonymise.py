"""`alliance pseudonymise`: files with codes in place of who is in them, and days in place of dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cells import neutral, quoted, restored
from alliance.cli.keyfile import make_key, read_key, refuse_existing, refuse_near
from alliance.cli.options import DateFormatOption, MapOption, QuietOption, SheetOption, read_options
from alliance.errors import UsageError

if TYPE_CHECKING:
    from alliance.cli.renaming import Plan


def pseudonymise(
    *,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, TSV, Excel or Parquet.")],
    key: Annotated[Path, typer.Option("--key", help="File with the key, outside the folders of the data.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="CSV file, or a folder for several files.")
    ],
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make the key first; never overwrites one.")
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="One more column to code, beside case, client and therapist."),
    ] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="One more column to leave out.")] = None,
    study_days: Annotated[
        bool, typer.Option("--study-days", help="Write dates as days since the first date of the case.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option("--table", help="Write who has which code into this file: it undoes all the rest."),
    ] = None,
    allow_identifiers: Annotated[
        bool, typer.Option("--allow-identifiers", help="Keep columns that may say who a person is.")
    ] = False,
    map: MapOption = None,
    date_format: DateFormatOption = None,
    sheet: SheetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Write files anew with codes in place of clients and therapists, to work with or to share.

    A code is a keyed hash: one client has one code in all files and runs with the same key. Columns that look
    like names, e-mail addresses, telephone numbers, birth dates or addresses are left out; all others stay as
    they are. Pseudonymised data are still personal data.

    Example: alliance pseudonymise study.csv --key ~/keys/study.key --new-key -o shared/study.csv --study-days
    """
    from alliance.cli.renaming import plan_files, renamed

    targets = _targets(files, output)
    folders = [*(file.parent for file in files), _folder(targets)]
    refuse_near(key, folders, called="the key")
    if table is not None:
        refuse_near(table, [_folder(targets)], called="the table of codes")
    _refuse_existing([*targets, *([table] if table else [])], force=force)
    if new_key:
        refuse_existing(key)
    secret = b"" if new_key else read_key(key)
    options = read_options(map=map, date_format=date_format, sheet=sheet)
    plans = plan_files(
        files, options, code=column or (), drop=drop or (), days=study_days, keep=allow_identifiers
    )
    secret = make_key(key) if new_key else secret
    result = renamed(plans, secret)
    _write(targets, [csv_bytes(rows) for rows in result.tables], table, result.codes)
    if not quiet:
        _tell(plans, result.codes, key if new_key else None)


def _targets(files: Sequence[Path], output: Path) -> list[Path]:
    """Return the file each input is written to."""
    if any(str(file) == "-" for file in files):
        message = "pseudonymise reads files, not standard input"
        raise UsageError(message, hint="save it to a file first")
    if len(files) == 1 and not output.is_dir():
        targets = [output]
    else:
        targets = [output / f"{file.stem}.csv" for file in files]
        if output.exists() and not output.is_dir():
            message = f"'{output}' is a file, and {len(files)} files need a folder"
            raise UsageError(message, hint="name a folder with -o")
    doubled = sorted({target.name for target in targets if targets.count(target) > 1})
    if doubled:
        message = f"several files would be written as {', '.join(doubled)}"
        raise UsageError(message, hint="write them one by one, each under its own name")
    for file, target in zip(files, targets, strict=True):
        if any(target.resolve() == each.resolve() for each in files):
            message = f"'{target}' would take the place of the file it is made from"
            raise UsageError(message, where=[str(file)], hint="choose another name or folder with -o")
    return targets


def _folder(targets: Sequence[Path]) -> Path:
    return targets[0].parent


def _refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    there = [str(path) for path in paths if path.exists()]
    if there and not force:
        message = f"{len(there)} file{'s' if len(there) > 1 else ''} would be replaced"
        raise UsageError(message, where=there, hint="choose another name, or replace with --force")


def csv_bytes(rows: Sequence[Sequence[str]]) -> bytes:
    r"""Return rows of cells as CSV in UTF-8: commas, line feeds, quotation marks only where they must be.

    >>> csv_bytes([["a", "b"], ["1,5", ""]])
    b'a,b\n"1,5",\n'
    """
    return "".join(f"{','.join(map(_written, row))}\n" for row in rows).encode()


def _written(cell: str) -> str:
    """Return a cell as it stands in a line; what was neutralised in the file before is so once."""
    return quoted(neutral(restored(cell)))


def _write(
    targets: Sequence[Path],
    contents: Sequence[bytes],
    table: Path | None,
    codes: Mapping[str, dict[str, str]],
) -> None:
    from alliance.report.files import OutputFolder, write_file

    with OutputFolder(_folder(targets)) as folder:
        for target, content in zip(targets, contents, strict=True):
            folder.write(target.name, content)
        if table is not None:
            write_file(table, csv_bytes([["kind", "code", "identifier"], *_reverse(codes)]), force=True)
        folder.publish()


def _reverse(codes: Mapping[str, dict[str, str]]) -> list[list[str]]:
    from alliance.pseudonyms import normalised

    rows = {
        (kind, code, normalised(name)) for kind, each in codes.items() for name, code in each.items() if code
    }
    return [list(row) for row in sorted(rows)]


def _tell(plans: Sequence[Plan], codes: Mapping[str, dict[str, str]], new_key: Path | None) -> None:
    """Say what was done to which column, and how many codes there are; no identifier and no code."""
    from alliance.readers.problems import counted

    for line in (line for plan in plans for line in _lines(plan)):
        typer.echo(line, err=True)
    counts = [counted(len(set(each.values()) - {""}), f"{kind} code") for kind, each in codes.items() if each]
    typer.echo(", ".join(counts), err=True)
    if new_key is not None:
        typer.echo(f"new key: {new_key}. Keep a copy: without it nobody gets these codes again.", err=True)


def _lines(plan: Plan) -> Iterator[str]:
    from alliance.readers.problems import listed

    yield f"{plan.path.name}:"
    yield f"  coded: {listed(plan.names_of(plan.coded))}"
    if plan.days:
        yield f"  dates as study days: {listed(plan.names_of(plan.days))}"
    yield from (f"  left out: {plan.shown(place)}, {why}" for place, why in plan.dropped.items())
    yield f"  kept as they are: {listed(plan.names_of(plan.kept)) or 'none'}"
    yield from (f"  note: {note}" for note in plan.notes)
