"""`alliance shape`: level, slope, curvature, variability and autocorrelation of every course; growth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.loading import score_file, tell_notes
from alliance.cli.options import (
    READING,
    ColumnOption,
    FileArgument,
    MaxOption,
    MinOption,
    QuietOption,
    Source,
    one_of,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit
from alliance.errors import UsageError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from alliance.readers import ReadOptions
    from alliance.readers.plain import OpenFile
    from alliance.shape import Growth

WINDOWS = ((1, 3), (1, 5))
MEASURES = ("level", "slope", "curvature", "variability", "autocorrelation")
TABLE_COLUMNS = ("case", "rater", "n", "level", "slope", "curve", "sd", "lag 1", "1-3", "1-5")
SHAPE_COLUMNS = (
    "case", "rater", "scale", "key", "score", "n_scored", "centre",
    *(f"{name}{end}" for name in MEASURES[:4] for end in ("", "_low", "_high")),
    "n_pairs", "autocorrelation", "autocorrelation_chance", "autocorrelation_low", "autocorrelation_high",
    *(f"early_{first}_{last}_{name}" for first, last in WINDOWS
      for name in ("n_scored", "level", "change", "span", "slope")),
    "reason", "autocorrelation_reason",
)  # fmt: skip
GROWTH_COLUMNS = (
    "rater", "scale", "key", "score", "clock", "random", "n_cases", "n_scores",
    *(f"{name}{end}" for name in ("intercept", "slope") for end in ("", "_se", "_low", "_high")),
    "tau", "slope_sd", "correlation", "sigma", "criterion", "converged", "notes", "reason",
)  # fmt: skip
LEGEND = (
    "Below each number: its 95 % interval; below 1-3 and 1-5: last score minus first.\n"
    "curve is per session squared, sd about the fitted curve. lag 1 leans below 0 by\n"
    "chance, its interval is freed of that. A description, not a pattern."
)
TIMES = {"linear": "session - 1", "log": "ln(session)"}


@with_options(READING)
def shape(
    *,
    file: FileArgument,
    source: Source,
    column: ColumnOption = None,
    min: MinOption = None,
    max: MaxOption = None,
    growth: Annotated[
        bool, typer.Option("--growth", help="Print a mixed model of the whole study instead.")
    ] = False,
    clock: Annotated[
        str, typer.Option("--clock", help="--growth: linear (session - 1) or log (ln session).")
    ] = "linear",
    random: Annotated[
        str, typer.Option("--random", help="--growth: what differs between cases, intercept or slope.")
    ] = "intercept",
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Describe the course of every case and rater: level, slope, curvature, variability, early sessions.

    FILE holds scores, one row a session (--column), or answers (--scale). Intervals are at 95 %.

    Example: alliance shape scores.csv --column score
    """
    one_of("--clock", clock, ("linear", "log"))
    one_of("--random", random, ("intercept", "slope"))
    plain = _plain_file(file, source, column)
    if plain is not None:
        scored = _plain_scores(plain, column, (min, max), source.options, quiet=quiet)
    else:
        _refuse_range(min, max)
        loaded, frames = score_file(file, source, quiet=quiet)
        scored = [(frames[name], column or "total", loaded.scales[name]) for name in frames]
    for frame, name, form in scored:
        _require_score(frame, name, form)
    if growth:
        _print_growth([each for part in scored for each in _models(*part, clock, random)], format)
    else:
        _print_shapes([_rows(*part) for part in scored], format)


def _plain_file(file: Path, source: Source, column: str | None) -> Path | OpenFile | None:
    """Return the file if it has the column asked for, or names no form at all; None if it holds answers."""
    from alliance.readers.plain import open_file

    if str(file) == "-":
        return file if source.form is None else None
    opened = open_file(file, options=source.options)
    asked = column is not None and opened.has(column)
    return opened if asked or (source.form is None and not opened.has("scale")) else None


def _plain_scores(
    file: Path | OpenFile,
    column: str | None,
    ends: tuple[float | None, float | None],
    options: ReadOptions,
    *,
    quiet: bool,
) -> list[tuple[pd.DataFrame, str, Any]]:
    from alliance.readers.plain import read_series

    if column is None:
        message = "no word on which column holds the score"
        raise UsageError(message, hint="--column NAME for a file of scores, --scale ID for a file of answers")
    read = read_series(file, [column], low=ends[0], high=ends[1], options=options)
    if not quiet:
        tell_notes(read.notes)
    return [(read.frame, column, None)]


def _refuse_range(low: float | None, high: float | None) -> None:
    if low is not None or high is not None:
        message = "--min and --max belong to a plain file of scores: a form knows its range"
        raise UsageError(message, hint="leave them out")


def _require_score(frame: pd.DataFrame, name: str, form: Any) -> None:
    if form is not None and name not in (known := [*form.subscales, "total"]):
        what, hint = unknown_name(f"score of {form.id}", name, known)
        raise UsageError(what, hint=hint)


def _about(name: str, form: Any) -> dict[str, object]:
    """Return what the score is, and the status of its key."""
    return {"scale": form.id if form else "", "key": form.status if form else "", "score": name}


def _rows(frame: pd.DataFrame, name: str, form: Any) -> list[dict[str, object]]:
    """Return one row for each case and rater, cases as they first appear."""
    from alliance.rupture.groups import groups
    from alliance.shape import course_shape, early_window

    names = frame["case"].unique()
    found: list[tuple[int, str, dict[str, object]]] = []
    for group in groups(frame, [], name):
        columns = vars(course_shape(group.total)).copy()
        for first, last in WINDOWS:
            window = early_window(group.total, first=first, last=last)
            for field in ("n_scored", "level", "change", "span", "slope"):
                columns[f"early_{first}_{last}_{field}"] = getattr(window, field)
        about = {"rater": group.rater, **_about(name, form)}
        values = zip(*(each.tolist() for each in columns.values()), strict=True)
        for place, row in zip(group.place.tolist(), values, strict=True):
            described = dict(zip(columns, row, strict=True))
            found.append((place, group.rater, {"case": names[place], **about, **described}))
    return [row for _, _, row in sorted(found, key=lambda each: each[:2])]


def _print_shapes(forms: Sequence[list[dict[str, object]]], format: Format) -> None:
    if format not in {Format.TABLE, Format.MD}:
        emit([row for rows in forms for row in rows], columns=SHAPE_COLUMNS, format=format)
        return
    for place, rows in enumerate(forms):
        if place:
            typer.echo()
        title = f"{_subject(rows[0])}\n{LEGEND}" if rows else LEGEND
        emit([_shown(row) for row in rows], columns=TABLE_COLUMNS, format=format, title=title)


def _subject(about: dict[str, Any]) -> str:
    provisional = " (PROVISIONAL key)" if about["key"] == "provisional" else ""
    return f"Course shape, {about['scale']} {about['score']}{provisional}".replace(",  ", ", ")


def _shown(row: dict[str, Any]) -> dict[str, object]:
    """Return a row as the table shows it: two lines a case, the reason where there is no number."""
    enough = not row["reason"]
    count = str(row["n_scored"]) if enough else f"{row['n_scored']}\nof 6"
    early = {
        f"{first}-{last}": _stacked(
            _number(row[f"early_{first}_{last}_level"], 2),
            _number(row[f"early_{first}_{last}_change"], 2, signed=True),
        )
        for first, last in WINDOWS
    }
    serial = _spanned(row, "autocorrelation")
    return {
        "case": row["case"],
        "rater": row["rater"],
        "n": count,
        "level": _give_or_take(row, "level", 2),
        "slope": _give_or_take(row, "slope", 2),
        "curve": _give_or_take(row, "curvature", 3),
        "sd": _spanned(row, "variability"),
        "lag 1": row["autocorrelation_reason"] if enough and serial == "-" else serial,
        **early,
    }


def _number(value: float, decimals: int, *, signed: bool = False) -> str:
    if math.isnan(value):
        return "-"
    rounded = round(value, decimals) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.{decimals}f}"


def _stacked(top: str, below: str) -> str:
    return top if below == "-" else f"{top}\n{below}"


def _give_or_take(row: dict[str, Any], name: str, decimals: int) -> str:
    half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    below = _number(half, decimals)
    return _stacked(_number(row[name], decimals), below if below == "-" else f"±{below}")


def _spanned(row: dict[str, Any], name: str) -> str:
    low, high = (_number(row[f"{name}_{end}"], 1) for end in ("low", "high"))
    return _stacked(_number(row[name], 2), low if low == "-" else f"{low}..{high}")


def _models(
    frame: pd.DataFrame, name: str, form: Any, clock: str, random: str
) -> Iterator[tuple[dict[str, object], Growth]]:
    """Yield what was modelled and the model, one for each rater: raters are never mixed."""
    from alliance.shape import growth

    for rater, rows in frame.groupby("rater", sort=True):
        arrays = (rows[each].to_numpy() for each in ("case", "session", name))
        yield {"rater": rater, **_about(name, form)}, growth(*arrays, clock=clock, random=random)


def _print_growth(models: Sequence[tuple[dict[str, object], Growth]], format: Format) -> None:
    if format not in {Format.TABLE, Format.MD}:
        rows = [{**about, **vars(model)} for about, model in models]
        emit(rows, columns=GROWTH_COLUMNS, format=format)
        return
    for place, (about, model) in enumerate(models):
        if place:
            typer.echo()
        columns = ("term", "estimate", "se", "low", "high")
        emit(list(_terms(model)), columns=columns, format=format, title=_heading(about, model))


def _heading(about: dict[str, Any], model: Growth) -> str:
    score = " ".join(part for part in (about["scale"], about["score"]) if part)
    lines = [
        f"Growth of {score}, {about['rater']}: {model.n_cases} cases, {model.n_scores} scores, REML",
        f"time = {TIMES[model.clock]}; random {model.random}; fixed effects with 95 % intervals",
    ]
    if about["key"] == "provisional":
        lines.append("PROVISIONAL key")
    lines += [f"no model: {model.reason}"] if model.reason else []
    return "\n".join([*lines, *(f"note: {note}" for note in model.notes)])


def _terms(model: Growth) -> Iterator[dict[str, object]]:
    """Yield the terms of a model, one a row."""
    for name, label in (("intercept", "at session 1"), ("slope", "per unit of time")):
        values = {end: getattr(model, f"{name}_{end}") for end in ("se", "low", "high")}
        yield {"term": f"{name}, {label}", "estimate": getattr(model, name), **values}
    yield {"term": "tau, SD of the cases' intercepts", "estimate": model.tau}
    if model.random == "slope":
        yield {"term": "SD of the cases' slopes", "estimate": model.slope_sd}
        yield {"term": "their correlation", "estimate": model.correlation}
    yield {"term": "sigma, SD within a case", "estimate": model.sigma}
    yield {"term": "criterion, -2 log likelihood", "estimate": model.criterion}
