"""`alliance dyads, therapists`: two raters of one case, and the therapists of a caseload, for studies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.loading import scores_to_judge, tell_notes
from alliance.cli.options import (
    READING,
    ColumnOption,
    FileArgument,
    QuietOption,
    Source,
    one_of,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit
from alliance.errors import DataError, UsageError, unknown_name

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from alliance.dyads import DyadStatistics, Estimates, Pairs

Row = dict[str, object]

DYAD_COLUMNS = ("case", "n_paired", "gap", "gap_sd", "r", "ccc", "reason")
CASELOAD_COLUMNS = ("model", "term", "n", "estimate", "se", "low", "high", "p", "reason")
LEVEL_COLUMNS = ("rater", "level", "n", "variance", "share", "low", "high", "interval", "reason")
LIST_COLUMNS = ("rater", "therapist", "n_cases", "n_scores", "mean", "sd", "low", "high")


@with_options(READING)
def dyads(
    *,
    file: FileArgument,
    source: Source,
    column: ColumnOption = None,
    raters: Annotated[
        str, typer.Option("--raters", help="The two raters; the gap is first - second.")
    ] = "client,therapist",
    caseload: Annotated[
        bool, typer.Option("--caseload", help="Models over all dyads instead of a row for each.")
    ] = False,
    outcome: Annotated[
        str | None,
        typer.Option("--outcome", help="A column with one number for each case: adds the response surface."),
    ] = None,
    judge: Annotated[
        str, typer.Option("--judge", help="second or first: whose accuracy truth and bias is about.")
    ] = "second",
    bias_force: Annotated[
        bool, typer.Option("--bias-force", help="Truth and bias: add the judge's own rating before.")
    ] = False,
    min_dyads: Annotated[int, typer.Option("--min-dyads", min=2, help="Dyads that a model needs.")] = 20,
    centre: Annotated[
        float | None,
        typer.Option("--centre", help="Response surface: where both are centred. [mean of all ratings]"),
    ] = None,
    reliabilities: Annotated[
        str | None,
        typer.Option("--reliabilities", help="Of both raters, such as 0.9,0.85: adds that of the gap."),
    ] = None,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Describe how two raters of a case see the alliance: gap, congruence, concordance.

    Only sessions that both rated count, and a dyad needs 6. A large constant gap is no sign of trouble; there
    is no cut-off. With --caseload: means over dyads, truth and bias, and with --outcome the response surface.

    Example: alliance dyads sessions.csv --column score

    Example: alliance dyads sessions.csv --column score --caseload --outcome change
    """
    from alliance.dyads import dyad_statistics

    one_of("--judge", judge, ("second", "first"))
    pair = _two("--raters", raters)
    if outcome is not None and not caseload:
        message = "--outcome belongs to --caseload"
        raise UsageError(message, hint="add --caseload, or leave it out")
    texts = () if outcome is None else (outcome,)
    found = scores_to_judge(file, source, column=column, texts=texts, both=True, quiet=quiet)
    pairs = _paired(found.scores, _known(found.column, found.scores), pair)
    statistics = dyad_statistics(pairs.client, pairs.therapist, pairs.case)
    if not caseload:
        emit(_dyad_rows(statistics), columns=DYAD_COLUMNS, format=format)
        return
    rows = [*_mean_rows(statistics), *_difference_rows(pairs, reliabilities)]
    rows += _bias_rows(pairs, pair, judge, bias_force=bias_force, min_dyads=min_dyads, quiet=quiet)
    if outcome is not None:
        results = _one_number_a_case(found.scores, outcome, source.options.missing)
        rows += _surface_rows(pairs, results, centre=centre, min_rows=min_dyads)
    _emit_models(rows, format)


@with_options(READING)
def therapists(
    *,
    file: FileArgument,
    source: Source,
    column: ColumnOption = None,
    estimator: Annotated[
        str, typer.Option("--estimator", help="moments, with intervals, or reml, without.")
    ] = "moments",
    list: Annotated[bool, typer.Option("--list", help="A row for each therapist instead.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap intervals.")] = 1,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say how much of the alliance lies between therapists, between cases and within them.

    share: the part of the variance; of the therapists it is their intraclass correlation, and cases are those
    within therapists. The last row is ICC(1), of sessions within cases, whoever treats them. --list describes
    therapists in the order of their names, which ranks nobody: who is assigned to whom is part of every mean.

    Example: alliance therapists sessions.csv --column score
    """
    one_of("--estimator", estimator, ("moments", "reml"))
    found = scores_to_judge(file, source, column=column, both=True, quiet=quiet)
    score = _known(found.column, found.scores)
    scores = _with_therapist(found.scores, quiet=quiet)
    rows: Sequence[Row] = []
    for rater, each in scores.groupby("rater", sort=True):
        columns = (each[score].to_numpy(dtype=float), each["case"].to_numpy(), each["therapist"].to_numpy())
        if list:
            rows = [*rows, *_therapist_rows(str(rater), *columns)]
        else:
            rows = [*rows, *_level_rows(str(rater), *columns, estimator=estimator, seed=seed, quiet=quiet)]
    shown: Sequence[str] = LIST_COLUMNS if list else LEVEL_COLUMNS
    if format in {Format.TABLE, Format.MD} and not any(row.get("reason") for row in rows):
        shown = [name for name in shown if name != "reason"]
    emit(rows, columns=shown, format=format)


def _emit_models(rows: Sequence[Row], format: Format) -> None:
    """Print one table for each model; CSV and JSON hold all of them in one."""
    if format in {Format.CSV, Format.JSON}:
        emit(rows, columns=CASELOAD_COLUMNS, format=format)
        return
    models = dict.fromkeys(str(row["model"]) for row in rows)
    for place, model in enumerate(models):
        if place:
            typer.echo()
        lines = [row for row in rows if row["model"] == model]
        reasons = {row.get("reason") or "" for row in lines}
        columns: Sequence[str] = CASELOAD_COLUMNS[1:-1] if reasons == {""} else CASELOAD_COLUMNS[1:]
        if len(reasons) == 1 and not any(_is_there(row.get("estimate")) for row in lines):
            lines, columns = lines[:1], ("n", "reason")
        emit(lines, columns=columns, format=format, title=model)


def _is_there(value: object) -> bool:
    return isinstance(value, float) and value == value  # noqa: PLR0124  NaN is not itself


def _two(option: str, text: str) -> tuple[str, str]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:  # noqa: PLR2004  a pair
        message = f"{option} are two different names, such as client,therapist, got '{text}'"
        raise UsageError(message, hint="the gap is first - second")
    return parts[0], parts[1]


def _known(column: str, scores: pd.DataFrame) -> str:
    from alliance.frames import KEYS

    if column not in scores.columns:
        names = [name for name in scores.columns if name not in {*KEYS, "n_missing", "note", "scale"}]
        what, hint = unknown_name("score", column, names)
        raise UsageError(what, hint=hint)
    return column


def _paired(scores: pd.DataFrame, column: str, raters: tuple[str, str]) -> Pairs:
    """Return both ratings side by side; a file in which nothing can be paired is refused."""
    import numpy as np

    from alliance.dyads import pair_ratings

    date = scores["date"].to_numpy(dtype="datetime64[D]")
    day = np.where(np.isnat(date), np.nan, date.astype(float))
    pairs = pair_ratings(
        scores[column].to_numpy(dtype=float),
        *(scores[name].to_numpy() for name in ("case", "session", "rater")),
        first=raters[0],
        second=raters[1],
        day=day,
    )
    if not (np.isfinite(pairs.client) & np.isfinite(pairs.therapist)).any():
        known = ", ".join(sorted(map(str, scores["rater"].unique())))
        message = f"no session was rated by both {raters[0]} and {raters[1]}"
        hint = "name them with --raters; two forms are compared only if their totals have the same range"
        raise DataError(message, where=[f"raters: {known}"], hint=hint)
    return pairs


def _dyad_rows(found: DyadStatistics) -> list[Row]:
    columns = (found.dyad, found.n_paired, found.gap, found.gap_sd, found.r, found.ccc, found.reason)
    return [dict(zip(DYAD_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)]


def _estimate_rows(model: str, found: Estimates, n: Sequence[int], reason: str = "") -> Iterator[Row]:
    columns = (found.names, n, found.estimate, found.se, found.low, found.high, found.p)
    for values in zip(*columns, strict=True):
        yield dict(zip(CASELOAD_COLUMNS, (model, *values, reason), strict=True))


def _mean_rows(statistics: DyadStatistics) -> Iterator[Row]:
    """Yield the means over dyads; no p: that a gap or an r is 0 is nobody's question."""
    from alliance.dyads import summarise_dyads

    found = summarise_dyads(statistics)
    for row in _estimate_rows("means over dyads", found.means, found.n_dyads.tolist()):
        yield {**row, "p": None, "reason": "" if row["n"] else "not enough data: no dyad has it"}


def _difference_rows(pairs: Pairs, reliabilities: str | None) -> Iterator[Row]:
    """Yield the reliability of the gap, from the correlation of the two ratings over all paired sessions."""
    import numpy as np

    from alliance.dyads import difference_reliability

    if reliabilities is None:
        return
    try:
        first, second = (float(part) for part in reliabilities.split(","))
    except ValueError:
        first = second = np.nan
    if not (0 <= first <= 1 and 0 <= second <= 1):
        message = f"--reliabilities are two numbers from 0 to 1, such as 0.9,0.85, got '{reliabilities}'"
        raise UsageError(message, hint="first rater, second rater")
    both = np.isfinite(pairs.client) & np.isfinite(pairs.therapist)
    row: Row = {"model": "the gap of a session", "term": "reliability", "n": int(both.sum())}
    ratings = np.array([pairs.client[both], pairs.therapist[both]])
    if np.ptp(ratings, axis=1).min() == 0:
        yield {**row, "reason": "not enough data: one rating never varies"}
        return
    r12 = float(np.corrcoef(ratings)[0, 1])
    if r12 >= 1:
        yield {**row, "reason": "not enough data: both ratings move exactly alike"}
        return
    found = difference_reliability(first, second, r12)
    high = "the ratings correlate more than their reliabilities allow" if found < 0 else ""
    yield {**row, "estimate": found, "reason": high}


def _bias_rows(
    pairs: Pairs,
    raters: tuple[str, str],
    judge: str,
    *,
    bias_force: bool,
    min_dyads: int,
    quiet: bool,
) -> Iterator[Row]:
    from alliance.dyads import truth_and_bias

    found = truth_and_bias(
        pairs.client,
        pairs.therapist,
        pairs.case,
        pairs.session,
        day=pairs.day,
        judge="therapist" if judge == "second" else "client",
        bias_force=bias_force,
        min_dyads=min_dyads,
    )
    if not quiet:
        tell_notes(f"truth and bias: {note}" for note in found.notes)
    own, other = raters[::-1] if judge == "second" else raters
    model = f"truth and bias of {own}, {other} being the truth"
    n = found.n_dyads
    yield from _estimate_rows(model, found.estimates, [n] * len(found.estimates.names), found.reason)
    if not found.reason:
        yield {"model": model, "term": "sd of bias between dyads", "n": n, "estimate": found.intercept_sd}
        yield {"model": model, "term": "sd within dyads", "n": found.n_sessions, "estimate": found.sigma}


def _one_number_a_case(scores: pd.DataFrame, column: str, missing: Sequence[str]) -> dict[str, float]:
    """Return the outcome of each case that has one; two different ones, or no number, are refused."""
    from alliance.readers.answers import MISSING_WORDS, number_of
    from alliance.readers.mapping import plain

    blank = {*MISSING_WORDS, *(plain(code) for code in missing)}
    told: dict[str, dict[str, float]] = {}
    wrong = []
    distinct = scores[["case", column]].drop_duplicates()
    for line, case, text in zip(distinct.index, distinct["case"], distinct[column], strict=True):
        word = plain(text)
        number = None if word in blank else number_of(word)
        if number is not None:
            told.setdefault(str(case), {})[word] = number
        elif word not in blank:
            wrong.append(f"line {line}: case {case}, {column} = {text}")
    differ = [f"case {case}: {', '.join(each)}" for case, each in told.items() if len({*each.values()}) > 1]
    if wrong:
        raise DataError(f"'{column}' must hold numbers", where=wrong, hint="leave an unknown outcome empty")
    if differ:
        message = f"'{column}' must be one number for each case"
        raise DataError(message, where=differ, hint="repeat it in each row of the case, or give it once")
    return {case: next(iter(each.values())) for case, each in told.items()}


def _surface_rows(
    pairs: Pairs, results: dict[str, float], *, centre: float | None, min_rows: int
) -> Iterator[Row]:
    """Yield the surface over the mean ratings of each case, over the sessions that both rated."""
    import numpy as np

    from alliance.dyads import between_within, response_surface

    both = np.isfinite(pairs.client) & np.isfinite(pairs.therapist)
    case, first = np.unique(pairs.case[both], return_index=True)
    ours, theirs = (
        between_within(ratings[both], pairs.case[both]).case_mean[first]
        for ratings in (pairs.client, pairs.therapist)
    )
    z = np.array([results.get(str(name), np.nan) for name in case], dtype=float)
    found = response_surface(ours, theirs, z, centre=centre, min_rows=min_rows)
    for kind, estimates in found.by_error.items():
        model = f"response surface, {kind} errors"
        yield from _estimate_rows(model, estimates, [found.n_rows] * len(estimates.names), found.reason)
    if not found.reason:
        model = "response surface"
        yield {"model": model, "term": "centre", "n": found.n_rows, "estimate": found.centre}
        yield {"model": model, "term": "R squared", "n": found.n_rows, "estimate": found.r_squared}


def _with_therapist(scores: pd.DataFrame, *, quiet: bool) -> pd.DataFrame:
    """Return the rows of cases that have one therapist; what is left out is told."""
    from alliance.dyads import has_one_therapist

    named = scores[scores["therapist"].fillna("") != ""]
    if not len(named):
        message = "no row names a therapist"
        raise DataError(message, hint="add a column therapist, with a code in every row")
    single = has_one_therapist(named["case"].to_numpy(), named["therapist"].to_numpy())
    n_blank, n_several = len(scores) - len(named), named[~single]["case"].nunique()
    if not quiet:
        notes = [f"left out: {n_blank} rows without a therapist"] if n_blank else []
        notes += [f"left out: {n_several} cases with several therapists"] if n_several else []
        tell_notes(notes)
    return named[single]


def _level_rows(
    rater: str,
    values: np.ndarray[Any, Any],
    case: np.ndarray[Any, Any],
    therapist: np.ndarray[Any, Any],
    *,
    estimator: str,
    seed: int,
    quiet: bool,
) -> Iterator[Row]:
    from alliance.dyads import one_way_icc, variance_components

    found = variance_components(values, case, therapist, estimator=estimator, seed=seed)
    if not quiet:
        tell_notes(f"{rater}: {note}" for note in found.notes)
    names = ("therapists", "cases", "sessions")
    columns = (names, found.n.tolist(), found.variance, found.share, found.low, found.high)
    for entries in zip(*columns, strict=True):
        yield dict(zip(LEVEL_COLUMNS, (rater, *entries, found.interval, found.reason), strict=True))
    one = one_way_icc(values, case, seed=seed)
    last = ("ICC(1), cases", one.n_units, None, one.icc, one.low, one.high, one.interval, one.reason)
    yield dict(zip(LEVEL_COLUMNS, (rater, *last), strict=True))


def _therapist_rows(
    rater: str,
    values: np.ndarray[Any, Any],
    case: np.ndarray[Any, Any],
    therapist: np.ndarray[Any, Any],
) -> Iterator[Row]:
    from alliance.dyads import therapist_means

    found = therapist_means(values, case, therapist)
    means = found.means
    columns = (means.names, found.n_cases, found.n_scores, means.estimate, found.sd, means.low, means.high)
    for entries in zip(*columns, strict=True):
        yield dict(zip(LIST_COLUMNS, (rater, *entries), strict=True))
