"""`alliance outcome`: does alliance go with what follows, within and between persons."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.options import READING, GapOption, QuietOption, Source, one_of, positive, with_options
from alliance.cli.output import Format, FormatOption, emit
from alliance.cli.sides import Files, Side, better_of

if TYPE_CHECKING:
    from alliance.outcome import Association, Direction, Model

Row = dict[str, object]

COLUMNS = (
    "direction", "part", "name", "n", "estimate", "se", "df", "low", "high", "p", "per_sd", "standardised",
    "reads", "reason",
)  # fmt: skip
SPREAD_COLUMNS = ("score", "mean", "sd between", "sd within", "icc", "reliability of a mean")
CORRELATION_COLUMNS = ("correlation", "n", "r", "low", "high", "p")
TERM_COLUMNS = ("term", "points", "se", "low", "high", "p", "std", "reads")
LEGEND = (
    "within: a session against what is usual for its case. between: the usual levels of cases. std: in SDs "
    "of the same level. reads: which way it points, open where the 95 % interval holds 0."
)
CAUTION = "What goes together need not cause each other: whatever moves both stays unseen."

FilesArgument = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="One file with both, or several; - reads standard input."),
]


@with_options(READING)
def outcome(
    *,
    file: FilesArgument,
    source: Source,
    alliance: Annotated[
        str | None, typer.Option("--alliance", help="Id of the alliance form. [the only one there is]")
    ] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="Id of the outcome form. [the only one there is]")
    ] = None,
    column: Annotated[
        str | None,
        typer.Option("--column", help="Alliance: a column of a plain file, or a subscale. [total]"),
    ] = None,
    outcome_column: Annotated[str | None, typer.Option("--outcome-column", help="Outcome: the same.")] = None,
    rater: Annotated[str, typer.Option("--rater", help="Who rated the alliance.")] = "client",
    outcome_rater: Annotated[str, typer.Option("--outcome-rater", help="Who rated the outcome.")] = "client",
    better: Annotated[
        str | None, typer.Option("--better", help="Outcome of a plain file: higher or lower is better.")
    ] = None,
    lag: Annotated[
        int, typer.Option("--lag", min=0, help="Session numbers from alliance to outcome; 0 = same session.")
    ] = 1,
    reverse_lag: Annotated[
        int | None, typer.Option("--reverse-lag", min=0, help="From outcome to alliance. [lag - 1]")
    ] = None,
    no_reverse: Annotated[
        bool, typer.Option("--no-reverse", help="Leave out the direction from outcome to alliance.")
    ] = False,
    max_gap_days: GapOption = None,
    centre: Annotated[
        str,
        typer.Option(
            "--centre", help="Usual level of a case: mean of its pairs, or so-far, of earlier sessions."
        ),
    ] = "mean",
    detrend: Annotated[
        bool, typer.Option("--detrend", help="Take each case's own straight line out of both.")
    ] = False,
    no_autoregression: Annotated[
        bool, typer.Option("--no-autoregression", help="Leave the score before out of the model.")
    ] = False,
    random_slope: Annotated[
        bool, typer.Option("--random-slope", help="Let the within effect differ between cases.")
    ] = False,
    therapists: Annotated[
        bool, typer.Option("--therapists", help="Let therapists differ too; slow in large studies.")
    ] = False,
    correlations: Annotated[
        bool, typer.Option("--correlations", help="Correlations only, without models (and statsmodels).")
    ] = False,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say whether alliance goes with the next outcome, within and between persons, and the other way round.

    An outcome form such as the ORS is usually filled in at the start of a session, the alliance form at its
    end. So alliance at session t is held against outcome at session t + 1, given the outcome at session t;
    and the other way round, outcome at session t against alliance at the same session, given the alliance
    before (--reverse-lag 1 where the outcome form comes last). Session numbers differ by exactly the lag: a
    gap is never bridged. Within: more alliance than usual for this case. Between: cases with more of it.

    FILE holds answers with a `scale` column, or of one form: then the first FILE is --alliance, the second
    --outcome. Or scores: --column and --outcome-column name them, higher = stronger alliance. The models need
    statsmodels. An association is no cause.

    Example: alliance outcome study.csv

    Example: alliance outcome sessions.csv --column wai --outcome-column phq --better lower --detrend
    """
    from alliance.courses import MAX_GAP_DAYS
    from alliance.outcome import Settings, associate

    one_of("--centre", centre, ("mean", "so-far"))
    one_of("--better", better, ("higher", "lower"))
    settings = Settings(
        lag=lag,
        reverse_lag=reverse_lag,
        max_gap_days=positive("--max-gap-days", max_gap_days) or MAX_GAP_DAYS,
        centre=centre,
        detrend=detrend,
        autoregression=not no_autoregression,
        random_slope=random_slope,
        therapists=therapists,
    )
    files = Files.of(file, source, (alliance, outcome), (column, outcome_column), quiet=quiet)
    first = files.side("alliance", alliance, column, rater)
    second = files.side("outcome", outcome, outcome_column, outcome_rater)
    found = associate(
        first.scores,
        second.scores,
        column=first.column,
        outcome_column=second.column,
        settings=settings,
        better=better_of(second, better),
        reverse=not no_reverse,
        models=not correlations,
    )
    if format in {Format.CSV, Format.JSON}:
        emit([row for each in found.directions for row in _rows(each, found)], columns=COLUMNS, format=format)
    else:
        _print(found, (first, second), format)


def _rows(direction: Direction, found: Association) -> Iterator[Row]:
    """Yield all of one direction, for a program to read."""
    for row in (*_counts(direction), *_numbers(direction, found)):
        yield {"direction": direction.name, **row}


def _counts(direction: Direction) -> Iterator[Row]:
    pairs = direction.pairs
    yield {"part": "pairs", "name": "in a pair", "n": len(pairs.x)}
    yield {"part": "pairs", "name": "cases", "n": len(pairs.names)}
    for reason, n in pairs.lost.items():
        yield {"part": "lost", "name": reason, "n": n}


def _numbers(direction: Direction, found: Association) -> Iterator[Row]:
    from alliance.outcome import reading

    for name, each in direction.spreads.items():
        for what in ("mean", "between_sd", "within_sd", "icc", "mean_reliability"):
            value = getattr(each, what)
            yield {"part": what, "name": name, "n": each.n_scores, "estimate": value, "reason": each.reason}
    for r in direction.correlations:
        yield {
            "part": "correlation",
            "name": r.level,
            "estimate": r.r,
            **_fields(r, "n df low high p reason"),
        }
    model = direction.model
    if model is None:
        return
    yield {"part": "model", "name": "REML", "n": model.n_pairs, "reason": model.reason}
    for term in model.terms:
        numbers = _fields(term, "estimate se df low high p per_sd standardised")
        reads = reading(term, found.better, reverse=direction.reverse)
        yield {"part": "term", "name": term.name, "n": model.n_pairs, **numbers, "reads": reads}
    for name in (
        "case_sd", "therapist_sd", "slope_sd", "slope_correlation", "trend_sd", "sigma", "r2_within",
        "r2_between", "deviance", "second_deviance",
    ):  # fmt: skip
        yield {"part": "model", "name": name, "estimate": getattr(model, name)}
    for note in model.notes:
        yield {"part": "note", "reason": note}


def _fields(thing: Any, names: str) -> Row:
    return {name: getattr(thing, name) for name in names.split()}


def _print(found: Association, sides: tuple[Side, Side], format: Format) -> None:
    for place, direction in enumerate(found.directions):
        if place:
            typer.echo()
        first, second = sides[::-1] if direction.reverse else sides
        lag = direction.pairs.lag
        later = f"session t + {lag}" if lag else "the same session"
        _say(f"{direction.name.capitalize()}: {first.name} at session t, {second.name} at {later}")
        _say(_told_counts(direction))
        names = {"outcome": sides[1].name, "alliance": sides[0].name}
        typer.echo()
        emit(_spread_rows(direction, names), columns=SPREAD_COLUMNS, format=format)
        typer.echo()
        emit(_correlation_rows(direction), columns=CORRELATION_COLUMNS, format=format)
        _say_all([f"{r.level}: {r.reason}" for r in direction.correlations if r.reason])
        if direction.model is not None:
            typer.echo()
            _print_model(direction.model, direction, found, format)
    typer.echo()
    if any(each.model is not None for each in found.directions):
        _say(LEGEND)
    _say(CAUTION)


def _print_model(model: Model, direction: Direction, found: Association, format: Format) -> None:
    from alliance.outcome import sentence

    if model.reason:
        _say(f"no model: {model.reason}")
        _say_all([f"note: {note}" for note in model.notes])
        return
    emit(_term_rows(model, direction, found), columns=TERM_COLUMNS, format=format)
    typer.echo()
    lag = direction.pairs.lag
    lines = [sentence(each, found.better, lag=lag, reverse=direction.reverse) for each in model.terms]
    _say_all([line for line in lines if line])
    _say(_told_model(model))
    _say_all([f"note: {note}" for note in model.notes])


def _told_counts(direction: Direction) -> str:
    import numpy as np

    pairs = direction.pairs
    size = np.bincount(pairs.case) if len(pairs.case) else np.zeros(1, dtype=int)
    lost = "; ".join(f"{n} {reason}" for reason, n in pairs.lost.items())
    text = f"{len(pairs.x)} pairs of {len(pairs.names)} of {pairs.n_cases_seen} cases, "
    text += f"{size.min()} to {size.max()} each, from {pairs.n_ratings} ratings."
    return f"{text} Lost: {lost}." if lost else text


def _spread_rows(direction: Direction, names: dict[str, str]) -> list[Row]:
    rows: list[Row] = []
    for kind, each in direction.spreads.items():
        numbers = (each.mean, each.between_sd, each.within_sd, each.icc, each.mean_reliability)
        shown = (names[kind], *(_number(value) for value in numbers))
        rows.append(dict(zip(SPREAD_COLUMNS, shown, strict=True)))
    return rows


def _correlation_rows(direction: Direction) -> list[Row]:
    rows: list[Row] = []
    for each in direction.correlations:
        numbers = {name: _number(getattr(each, name)) for name in ("r", "low", "high")}
        rows.append({"correlation": each.level, "n": each.n, **numbers, "p": _p(each.p)})
    return rows


def _term_rows(model: Model, direction: Direction, found: Association) -> list[Row]:
    from alliance.outcome import reading

    first, second = ("outcome", "alliance") if direction.reverse else ("alliance", "outcome")
    labels = {"within": f"{first}, within", "between": f"{first}, between", "before": f"{second} before"}
    return [
        {
            "term": labels.get(each.name, each.name),
            "points": _number(each.estimate),
            "se": _number(each.se),
            "low": _number(each.low),
            "high": _number(each.high),
            "p": _p(each.p),
            "std": _number(each.standardised),
            "reads": reading(each, found.better, reverse=direction.reverse),
        }
        for each in model.terms
    ]


def _told_model(model: Model) -> str:
    """Return the rest of a model in a line or two."""
    parts = {
        "SD between therapists": model.therapist_sd,
        "SD between cases": model.case_sd,
        "of their within effects": model.slope_sd,
        "correlation of both": model.slope_correlation,
        "of their trends": model.trend_sd,
        "within cases": model.sigma,
    }
    text = ", ".join(f"{name} {_number(value)}" for name, value in parts.items() if not math.isnan(value))
    shares = [
        f"{level} {100 * value:.0f} %"
        for level, value in (("within", model.r2_within), ("between", model.r2_between))
        if not math.isnan(value)
    ]
    explained = f" Fixed effects explain {', '.join(shares)} of the variance." if shares else ""
    return f"{text}.{explained} REML, -2 log likelihood {model.deviance:.3f}; Student's t."


def _number(value: float) -> str | None:
    if math.isnan(value):
        return None
    return f"{round(value, 2) + 0.0:.2f}"


def _p(value: float) -> str | None:
    if math.isnan(value):
        return None
    return "<.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004  the usual way to write it


def _say_all(lines: Sequence[str]) -> None:
    for line in lines:
        _say(line)


def _say(text: str) -> None:
    width = shutil.get_terminal_size((80, 24)).columns
    typer.echo(textwrap.fill(text, width, break_on_hyphens=False))
