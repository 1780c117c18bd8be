"""`alliance evaluate`: detectors against planted truth or labels, at equal false alarms, and calibrated."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.flag import DEFAULT, judged_subject
from alliance.cli.loading import read_prior, scores_to_judge, tell_notes
from alliance.cli.options import (
    JUDGING,
    METHODS,
    READING,
    ColumnOption,
    FileArgument,
    GapOption,
    MethodsOption,
    PriorOption,
    QuietOption,
    SeedOption,
    Source,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit, table_text
from alliance.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from alliance.evaluation import Calibration, Evaluation, Figure, Result

NAMES = {
    "ppv": "PPV",
    "npv": "NPV",
    "prevalence": "base rate",
    "ac1": "Gwet AC1",
    "pabak": "PABAK",
    "mcc": "MCC",
}
DECIMALS = {"false alarms per 100 sessions": 2, "median delay": 1, "mean delay": 1}
CALIBRATED = (
    "detector", "rater", "method", "parameter", "value", "wished", "rate", "low", "high", "sessions",
    "basis", "reached",
)  # fmt: skip
BASES = {
    "noise": "drawn from this caseload's noise, without ruptures",
    "planted": "of cases without a planted rupture",
    "labels": "labelled free of rupture",
}
LEGEND = (
    "In brackets: 95 % intervals by bootstrap over cases; none if all samples agree. - is not enough data. "
    "False alarms are counted per 100 sessions with a score, {where}. {windows} "
    "Kappa is low where ruptures are rare: read it beside AC1 and the base rate."
)
WHERE = {"planted": "in cases without a rupture", "labels": "outside of every window"}
WINDOWS = {
    "planted": "Windows: v1 its onset, v3 and step 2 sessions more, ramp 6. Flagged sessions directly after "
    "one another are one alarm there.",
    "labels": "Flagged or labelled sessions directly after one another are one alarm or rupture there.",
}
WIDTH = 80
KIND_COLUMNS = ("kind", "planted", "no verdict", "found", "mean delay")


@with_options(JUDGING, READING, METHODS)
def evaluate(
    *,
    file: FileArgument,
    source: Source,
    facts: dict[str, Any],
    settings: dict[str, Any],
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="What was planted, as `alliance simulate --with-truth` writes it."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", help="Column of observed ruptures: 1 or 0, yes or no; blank = not observed."
        ),
    ] = None,
    within: Annotated[
        int,
        typer.Option("--within", min=0, help="Sessions after a labelled onset in which a flag still counts."),
    ] = 2,
    calibrate: Annotated[
        float | None,
        typer.Option("--calibrate", help="Find the setting with so many false alarms per 100 sessions."),
    ] = None,
    at_rate: Annotated[
        float | None,
        typer.Option("--at-rate", help="Compare at so many false alarms per 100 sessions."),
    ] = None,
    method: MethodsOption = None,
    column: ColumnOption = None,
    max_gap_days: GapOption = None,
    prior: PriorOption = None,
    seed: SeedOption = 1,
    replicates: Annotated[
        int, typer.Option("--replicates", min=0, help="Bootstrap samples of cases; 0 = no intervals.")
    ] = 999,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Hold detectors against planted ruptures or labels; find the setting for a rate of false alarms.

    Methods joined by + are one detector that flags where any of them does. With --at-rate each is turned to
    the same rate on one half of the cases and measured on the other half.

    Example: alliance evaluate study.csv --scale wai-sr --truth study.truth.csv --method predictive-limit

    Example: alliance evaluate study.csv --scale wai-sr --calibrate 1.0
    """
    from alliance import evaluation

    _require_one_task(truth, labels, calibrate, at_rate)
    methods = method or [DEFAULT]
    both, ends = _judges_both(methods), (facts["min"], facts["max"])
    found = scores_to_judge(file, source, column=column, ends=ends, both=both, quiet=quiet)
    subject = judged_subject(found, **facts)
    given: dict[str, Any] = {
        "truth": None if truth is None else _truth_of(truth),
        "labels": None if labels is None else _labels_of(file, labels, source.options),
        "within": within,
        "seed": seed,
        "replicates": replicates,
        "prior": read_prior(prior),
        **({} if max_gap_days is None else {"max_gap_days": max_gap_days}),
        **settings,
    }
    if calibrate is not None:
        _print_calibrations(evaluation.calibrate(found.scores, subject, calibrate, methods, **given), format)
        return
    result = evaluation.evaluate(found.scores, subject, methods, at_rate=at_rate, **given)
    _print_evaluation(result, format, quiet=quiet)


def _require_one_task(
    truth: Path | None, labels: str | None, calibrate: float | None, at_rate: float | None
) -> None:
    if calibrate is not None and at_rate is not None:
        message = "--calibrate and --at-rate cannot be used at once"
        raise UsageError(message, hint="--calibrate finds a setting, --at-rate compares detectors")
    if truth is not None and labels is not None:
        message = "--truth and --labels cannot be used at once"
        raise UsageError(message, hint="give the one that fits the file")
    if calibrate is None and truth is None and labels is None:
        message = "nothing to hold the detectors against"
        raise UsageError(message, hint="give --truth FILE or --labels COLUMN; --calibrate needs neither")


def _judges_both(methods: Sequence[str]) -> bool:
    """Return whether a method compares two raters; an unknown method is refused."""
    from alliance.evaluation.detectors import methods_of
    from alliance.rupture import get_method

    return any(get_method(part).combine is not None for name in methods for part in methods_of(name))


def _truth_of(path: Path) -> pd.DataFrame:
    """Return the truth table as texts, labelled by the line of the file."""
    import pandas as pd

    from alliance.readers.opening import read_records

    records = read_records(path)
    if len(records.rows) < 1:
        message = f"'{path}' holds no truth"
        raise DataError(message, hint="it is written by `alliance simulate --with-truth`")
    names = [name.strip() for name in records.rows[0]]
    filled = [place for place, row in enumerate(records.rows) if place and any(cell.strip() for cell in row)]
    rows = [[*records.rows[place], *[""] * len(names)][: len(names)] for place in filled]
    lines = pd.Index([records.lines[place] for place in filled], name="line")
    return pd.DataFrame(rows, columns=names, index=lines, dtype=object)


def _labels_of(file: Path, name: str, options: Any) -> pd.DataFrame:
    """Return case, session and label of every row of a file that has all three, labelled by its line."""
    import pandas as pd

    from alliance.readers.columns import find_keys
    from alliance.readers.mapping import Mapping
    from alliance.readers.opening import read_records
    from alliance.readers.problems import Log
    from alliance.readers.table import make_table
    from alliance.readers.times import read_sessions

    if str(file) == "-":
        message = "labels cannot be read from standard input"
        raise UsageError(message, hint="save it to a file first")
    log, mapping = Log(), options.mapping or Mapping()
    records = read_records(file, sheet=options.sheet or mapping.sheet, encoding=options.encoding)
    table = make_table(records, mapping, log=log)
    keys = find_keys(table.names, mapping, log=log)
    if name not in table.names:
        message = f"the file has no column '{name}'"
        raise DataError(message, hint=f"it has {', '.join(each for each in table.names if each)}")
    if not {"case", "session"} <= set(keys):
        message = "labels belong to sessions, and the file has no session number in its rows"
        raise DataError(message, hint="give a file with one row a session, with case and session")
    case = table.columns[keys["case"].place]
    session, _, _ = read_sessions(table.columns[keys["session"].place])
    label = table.columns[table.names.index(name)]
    frame = pd.DataFrame({"case": case, "session": session, name: label}, index=table.lines)
    kept: pd.DataFrame = frame.loc[(case != "") & (session >= 0)]
    return kept


def _print_evaluation(found: Evaluation, format: Format, *, quiet: bool) -> None:
    from alliance.evaluation import ROWS

    if not quiet:
        tell_notes(found.notes)
    if format is Format.TABLE:
        typer.echo("\n".join(_blocks(found)))
    else:
        emit(list(found.rows()), columns=ROWS, format=format)


def _print_calibrations(found: Sequence[Calibration], format: Format) -> None:
    if format is Format.TABLE:
        typer.echo("\n\n".join("\n".join(_calibration(each)) for each in found))
        return
    rows = [
        {
            "detector": each.detector,
            "rater": each.rater,
            "method": method,
            "parameter": parameter,
            "value": value,
            "wished": each.wished,
            "rate": each.rate,
            "low": each.low,
            "high": each.high,
            "sessions": each.n_sessions,
            "basis": each.basis,
            "reached": each.reached,
        }
        for each in found
        for method, parameter, value in each.settings or ((each.detector, "", math.nan),)
    ]
    emit(rows, columns=CALIBRATED, format=format)


def _calibration(found: Calibration) -> Iterator[str]:
    """Yield what a calibration found, a line each."""
    yield f"{found.detector}, {found.rater}"
    for method, parameter, value in found.settings:
        option = f"--{parameter.replace('_', '-')} {value:g}"
        yield f"  {option}" if " " not in parameter else f"  {method}: {parameter} {value:g}"
    if not found.settings:
        yield "  as it is set: it has nothing to turn"
    between = "" if math.isnan(found.low) else f" (95 % range {found.low:.2f} to {found.high:.2f})"
    rate = "not enough data" if math.isnan(found.rate) else f"{found.rate:.2f}{between}"
    yield f"  false alarms per 100 sessions: {rate}"
    if found.settings and not found.reached:
        yield f"  the closest to {found.wished:g} there is"
    yield f"  on {_many(found.n_sessions, 'session')} {BASES[found.basis]}"


def _blocks(found: Evaluation) -> Iterator[str]:
    """Yield the lines of the table form: a comparison, a block for each detector, what it all means."""
    if found.at_rate is not None:
        alarms = f"{found.at_rate:g} false alarm{'' if found.at_rate == 1 else 's'} per 100 sessions"
        yield f"Turned to {alarms} on {_many(found.n_tuned, 'case')},"
        yield f"measured on the other {found.n_tested:,} (seed {found.seed}).\n"
        yield _comparison(found)
    for result in found.results:
        yield from _block(result, found)
        yield ""
    yield textwrap.fill(LEGEND.format(where=WHERE[found.source], windows=WINDOWS[found.source]), WIDTH)


def _comparison(found: Evaluation) -> str:
    columns = {
        "alarms": "false alarms per 100 sessions",
        "found": "sensitivity",
        "PPV": "ppv",
        "kappa": "kappa",
        "delay": "mean delay",
    }
    sides = {each.rater for each in found.results}
    rows = [
        {
            "detector": (_title(each) if len(sides) > 1 else each.detector).replace("+", " + "),
            "setting": _setting(each).replace(", ", "\n"),
            **{name: _number(figure, each.figure(figure).value) for name, figure in columns.items()},
        }
        for each in found.results
    ]
    return table_text(rows, ["detector", "setting", *columns], width=WIDTH)


def _block(result: Result, found: Evaluation) -> Iterator[str]:
    planted = found.source == "planted"
    exact, window = (
        ("at the onset", "within its window") if planted else ("same session", f"within {found.within}")
    )
    setting = f": {_setting(result)}" if result.reached is not None else ""
    yield textwrap.fill(_title(result) + setting, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    yield (
        f"{_many(result.n_cases, 'case')}, {_many(result.n_sessions, 'session')} with a score, "
        f"{result.n_judged:,} with a verdict; {_many(result.n_ruptures, 'rupture')}"
    )
    yield from (
        textwrap.fill(f"note: {note}", WIDTH, subsequent_indent="  ") for note in _notes(result, found)
    )
    yield ""
    names = dict.fromkeys(each.name for each in result.figures)
    told = {(each.name, each.window): _cell(each) for each in result.figures}
    rows = [
        {
            "figure": NAMES.get(name, name),
            exact: told.get((name, "exact"), " "),
            window: told.get((name, "window"), " "),
        }
        for name in names
    ]
    yield table_text(rows, ["figure", exact, window], width=WIDTH).rstrip("\n")
    if result.kinds:
        yield ""
        yield table_text(list(_kind_rows(result)), KIND_COLUMNS, width=WIDTH).rstrip("\n")


def _kind_rows(result: Result) -> Iterator[dict[str, object]]:
    for kind, (planted, blind) in result.kinds.items():
        yield {
            "kind": kind,
            "planted": planted,
            "no verdict": blind,
            "found": _cell(result.figure("sensitivity", kind)),
            "mean delay": _cell(result.figure("mean delay", kind)),
        }


def _notes(result: Result, found: Evaluation) -> Iterator[str]:
    """Yield what was missed for lack of a verdict, left out, or not counted either way."""
    if result.n_blind:
        yield f"{_many(result.n_blind, 'rupture')} without any verdict in the window: missed"
    if result.n_left_out:
        ruptures = f", {result.n_left_out_ruptures} of them of rupture" if result.n_left_out_ruptures else ""
        column = "at the onset" if found.source == "planted" else "same session"
        yield f"{_many(result.n_left_out, 'session')} without a verdict left out of '{column}'{ruptures}"
    if result.n_other_alarms:
        yield f"{_many(result.n_other_alarms, 'alarm')} during or after a rupture: neither right nor false"
    if result.reached is False:
        why = "the closest there is" if result.settings else "it has nothing to turn"
        yield f"not turned to {found.at_rate:g}: {result.tuned_rate:.2f} on the other cases, {why}"
    from alliance.evaluation.figures import EXACT, MUCH_UNDEFINED, WINDOW

    names = [
        NAMES.get(each.name, each.name) + ("" if each.window in {EXACT, WINDOW} else f" of {each.window}")
        for each in result.figures
        if each.undefined > MUCH_UNDEFINED
    ]
    if names:
        yield f"intervals without the samples that have no value: {', '.join(dict.fromkeys(names))}"


def _title(result: Result) -> str:
    return f"{result.detector}, {result.rater}"


def _setting(result: Result) -> str:
    """Return what was turned; the method is named where there are several."""
    if not result.settings:
        return "as it is set"
    several = len(result.settings) > 1
    return ", ".join(
        f"{method if several else ''} {name} {value:g}".strip() for method, name, value in result.settings
    )


def _cell(figure: Figure) -> str:
    value = _number(figure.name, figure.value)
    if math.isnan(figure.low):
        return value
    return f"{value} ({_number(figure.name, figure.low)} to {_number(figure.name, figure.high)})"


def _number(name: str, value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.{DECIMALS.get(name, 3)}f}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
