"""What several commands do with a file: read it, score it, tell what must be told, and print its rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from alliance.cells import visible
from alliance.errors import StoreError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from alliance.cli.options import Source
    from alliance.readers import Loaded
    from alliance.readers.plain import OpenFile
    from alliance.rupture import Frozen
    from alliance.scale import Scale


def score_file(
    file: Path,
    source: Source,
    *,
    unverified: bool = False,
    quiet: bool = False,
) -> tuple[Loaded, dict[str, pd.DataFrame]]:
    """Return what was read from a file and the Scores of each form in it; tell what must be told."""
    from alliance.readers import load
    from alliance.readers.layout import told_lane
    from alliance.scoring import score

    loaded = load(file, source.form, options=source.options, folders=tuple(source.scales or ()))
    if unverified:
        loaded = replace(
            loaded, scales={name: each.with_unconfirmed() for name, each in loaded.scales.items()}
        )
    if not quiet:
        tell_loaded(loaded)
        tell_notes(told_lane(file, loaded.lane))
    frames = {name: score(loaded.responses[name], loaded.scales[name]) for name in loaded.responses}
    return loaded, {name: frame.assign(scale=name) for name, frame in frames.items()}


def tell_loaded(loaded: Loaded) -> None:
    """Tell what must be told of a file: its notes, what was left out, and the cautions of its forms."""
    tell_notes(loaded.notes)
    tell_notes(_rejected(loaded))
    tell_notes(note for each in loaded.scales.values() for note in each.told)


@dataclass(frozen=True, kw_only=True)
class Judgeable:
    """Scores that can be judged, and the form they are from.

    `scale` is None for a plain file of scores.
    """

    scores: pd.DataFrame
    scale: Scale | None
    column: str


def scores_to_judge(
    file: Path,
    source: Source,
    *,
    column: str | None = None,
    texts: Sequence[str] = (),
    ends: tuple[float | None, float | None] = (None, None),
    both: bool = False,
    quiet: bool = False,
) -> Judgeable:
    """Return the scores of a file of answers, or of a plain file of scores.

    A file is plain if it has the column that is asked for. `both` puts the forms of all raters together, for
    methods that compare them. `texts` are columns of the file that come along as they are written.

    Raises
    ------
    UsageError
        If neither a form nor a column is named, or the forms cannot stand side by side.
    """
    if column is not None and (plain := _plain_file(file, source, column)) is not None:
        return _plain_scores(plain, source, column, texts, ends, quiet=quiet)
    if texts:
        message = f"the column '{texts[0]}' is read from a plain file of scores only"
        hint = "`alliance score FILE -o scores.csv`, put the column beside, add --column total"
        raise UsageError(message, hint=hint)
    loaded, scored = score_file(file, source, quiet=quiet)
    chosen = alliance_form(loaded)
    frame = together(loaded, scored, chosen) if both else scored[chosen.id]
    return Judgeable(scores=frame, scale=chosen, column=column or "total")


def _plain_file(file: Path, source: Source, column: str) -> Path | OpenFile | None:
    """Return the file if it holds scores, opened where it had to be looked into; None if it holds answers."""
    from alliance.readers.plain import open_file

    if source.form is None or str(file) == "-":
        return file
    opened = open_file(file, options=source.options)
    return opened if opened.has(column) else None


def _plain_scores(
    file: Path | OpenFile,
    source: Source,
    column: str,
    texts: Sequence[str],
    ends: tuple[float | None, float | None],
    *,
    quiet: bool,
) -> Judgeable:
    from alliance.readers.plain import read_series

    form = source.form
    low, high = ends if form is None or column not in form.scores else form.bounds(column)
    found = read_series(file, [column], texts=texts, low=low, high=high, options=source.options)
    if not quiet:
        tell_notes(found.notes)
    return Judgeable(scores=found.frame, scale=form, column=column)


def alliance_form(loaded: Loaded) -> Scale:
    """Return the first form of a file that measures the alliance."""
    from alliance.rupture import require_alliance

    forms = list(loaded.scales.values())
    for form in forms:
        with contextlib.suppress(UsageError):
            require_alliance(form)
            return form
    require_alliance(forms[0])
    return forms[0]


def together(loaded: Loaded, scored: dict[str, pd.DataFrame], chosen: Scale) -> pd.DataFrame:
    """Return the Scores of every alliance form with the same range, raters side by side.

    Raises
    ------
    UsageError
        If the same rater filled in two of them at one session.
    """
    import pandas as pd

    names = [
        name
        for name, each in loaded.scales.items()
        if each.measures_alliance
        and each.bounds("total") == chosen.bounds("total")
        and set(chosen.scores) <= set(each.scores)
    ]
    frame = pd.concat([scored[name] for name in names], ignore_index=True)
    if frame.duplicated(["case", "rater", "session"]).any():
        message = f"the same rater filled in several of the forms {', '.join(names)} at one session"
        raise UsageError(message, hint="name one form with --scale, or give each its own rater")
    return frame


def read_prior(path: Path | None) -> Frozen | None:
    """Return what a prior file holds, or None without one."""
    if path is None:
        return None
    from alliance.rupture import Frozen

    return Frozen.from_json(read_values(path))


def read_values(path: Path) -> dict[str, Any]:
    """Return the values in a JSON file of ours, none where it holds anything else."""
    import json

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        message = f"'{path}' cannot be read: {problem.strerror}"
        raise StoreError(message, hint="check the name and who may read it") from problem
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {}


def _rejected(loaded: Loaded) -> Iterator[str]:
    """Yield every cell that was left out, in the words of the error it would have been."""
    for row in loaded.rejected.to_dict("records"):
        item = f", {row['item']} = {row['value']}" if row["item"] else ""
        place = f"line {row['line']}: case {row['case']}, session {row['session']}"
        yield f"left out, {place}{item}: {row['problem']}"


def tell_notes(notes: Iterable[str]) -> None:
    """Print notes to standard error."""
    for note in notes:
        typer.echo(visible(f"note: {note}"), err=True)


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return rows as plain values; a date is its day."""
    shown = frame.copy()
    if "date" in shown.columns:
        shown["date"] = shown["date"].dt.strftime("%Y-%m-%d")
    return [{str(name): value for name, value in row.items()} for row in shown.to_dict("records")]
