"""What several commands do with a file: read it, score it, tell what must be told, and print its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from alliance.readers import Loaded
    from alliance.scale import Scale


def score_file(
    file: Path,
    form: Scale | None,
    options: Any,
    scales: list[Path] | None,
    *,
    unverified: bool = False,
    quiet: bool = False,
) -> tuple[Loaded, dict[str, pd.DataFrame]]:
    """Return what was read from a file and the Scores of each form in it; tell what must be told."""
    from alliance.readers import load
    from alliance.scoring import score

    loaded = load(file, form, options=options, folders=tuple(scales or ()))
    if unverified:
        loaded = replace(
            loaded, scales={name: each.with_unconfirmed() for name, each in loaded.scales.items()}
        )
    if not quiet:
        tell_notes(loaded.notes)
        tell_notes(_rejected(loaded))
        tell_notes(note for each in loaded.scales.values() for note in each.told)
    frames = {name: score(loaded.responses[name], loaded.scales[name]) for name in loaded.responses}
    return loaded, {name: frame.assign(scale=name) for name, frame in frames.items()}


def _rejected(loaded: Loaded) -> Iterator[str]:
    """Yield every cell that was left out, in the words of the error it would have been."""
    for row in loaded.rejected.to_dict("records"):
        item = f", {row['item']} = {row['value']}" if row["item"] else ""
        place = f"line {row['line']}: case {row['case']}, session {row['session']}"
        yield f"left out, {place}{item}: {row['problem']}"


def tell_notes(notes: Iterable[str]) -> None:
    """Print notes to standard error."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return rows as plain values; a date is its day."""
    shown = frame.copy()
    if "date" in shown.columns:
        shown["date"] = shown["date"].dt.strftime("%Y-%m-%d")
    return [{str(name): value for name, value in row.items()} for row in shown.to_dict("records")]
