"""Options that several commands share, and what they mean to the readers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.errors import UsageError
from alliance.rupture.parameters import PARAMETERS, Parameter

if TYPE_CHECKING:
    from alliance.readers import ReadOptions
from alliance.scale import Scale

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The file; - reads standard input.")]
ScaleOption = Annotated[
    str | None,
    typer.Option("--scale", help="Id of the form, or a TOML definition; not with a `scale` column."),
]
ScalesOption = Annotated[
    list[Path] | None, typer.Option("--scales", help="A folder of definitions of your own.")
]
MapOption = Annotated[
    Path | None, typer.Option("--map", help="A mapping file for foreign column names and words.")
]
MissingOption = Annotated[
    list[str] | None, typer.Option("--missing", help="Codes for an unanswered item, such as -99,999.")
]
OnErrorOption = Annotated[
    str,
    typer.Option(
        "--on-error", help="stop: refuse the file. drop: leave out what cannot be used, and list it."
    ),
]
KeepOption = Annotated[
    str | None, typer.Option("--keep", help="first or last, of forms that are there twice and differ.")
]
DateFormatOption = Annotated[str | None, typer.Option("--date-format", help="ymd, dmy or mdy.")]
AllowIdentifiersOption = Annotated[
    bool,
    typer.Option("--allow-identifiers", help="Read a file although columns of it may say who a person is."),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", help="System the file is from, such as redcap, qualtrics or spss. [seen from the file]"
    ),
]
DictionaryOption = Annotated[
    Path | None,
    typer.Option(
        "--dictionary", help="What its codes mean: REDCap data dictionary, FHIR Questionnaire, BIDS sidecar."
    ),
]
UnfinishedOption = Annotated[
    str | None, typer.Option("--unfinished", help="use or drop forms that were begun and not sent. [use]")
]
SheetOption = Annotated[str | None, typer.Option("--sheet", help="Sheet of a workbook.")]
AttendanceOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--attendance", help="A second file with the appointments: case, date, attendance; repeatable."
    ),
]
EpisodesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--episodes", help="A file of treatments: case, start_date, status, end_reason …; repeatable."
    ),
]
DropoutDefOption = Annotated[
    str,
    typer.Option(
        "--dropout-def",
        help="What counts as dropout: unilateral, therapist, missed_last, lt_k, incomplete, no_rci or "
        "median_split.",
    ),
]
PresumedOption = Annotated[
    str,
    typer.Option(
        "--presumed", help="Ongoing, but long not seen and nothing booked: exclude, dropout or censor."
    ),
]
KOption = Annotated[
    int, typer.Option("--k", min=1, help="lt_k: fewer attended sessions than this are dropout.")
]
GraceOption = Annotated[
    int,
    typer.Option(
        "--grace-days", min=0, help="missed_last: days without a session after the last appointment."
    ),
]
RciOption = Annotated[
    float | None,
    typer.Option("--rci", help="no_rci: reliable change of the outcome form, if none is published."),
]
RciSourceOption = Annotated[
    str | None, typer.Option("--rci-source", help="no_rci: where that value comes from.")
]
MethodOption = Annotated[str, typer.Option("--method", help="Rupture method; `alliance methods` lists them.")]
MethodsOption = Annotated[
    list[str] | None,
    typer.Option("--method", help="Rupture method; repeat it for several. [predictive-limit]"),
]
ColumnOption = Annotated[
    str | None, typer.Option("--column", help="The score to judge: a column of a plain file, or a subscale.")
]
DirectionOption = Annotated[
    str, typer.Option("--direction", help="fall or rise: the change that is flagged.")
]
MinOption = Annotated[float | None, typer.Option("--min", help="Plain file: lowest possible score.")]
MaxOption = Annotated[float | None, typer.Option("--max", help="Plain file: highest possible score.")]
StepOption = Annotated[
    float | None,
    typer.Option("--step", help="Plain file: smallest change of a score. [the unit it is written in]"),
]
PriorOption = Annotated[
    Path | None,
    typer.Option(
        "--prior", help="What an earlier run knew of the caseload: its prior file or manifest.json."
    ),
]
GapOption = Annotated[
    float | None, typer.Option("--max-gap-days", help="Sessions further apart are no neighbours. [28]")
]
RiskModelOption = Annotated[
    Path | None,
    typer.Option("--risk-model", help="A model of `alliance model validate`; it orders the list if it may."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of what chance gives.")]
SdOption = Annotated[
    float | None, typer.Option("--sd", help="Between-person standard deviation of the total.")
]
ReliabilityOption = Annotated[float | None, typer.Option("--reliability", help="Reliability of the total.")]
WithinSdOption = Annotated[float | None, typer.Option("--within-sd", help="Within-person SD of the total.")]
SemOption = Annotated[
    float | None,
    typer.Option("--sem", help="Standard error of measurement of the total, for the risk rules."),
]
NormsOption = Annotated[
    Path | None,
    typer.Option(
        "--norms", help="Local norms of an earlier caseload: a file of --write-norms, or manifest.json."
    ),
]
SeenOption = Annotated[
    Path | None,
    typer.Option("--seen", help="A log of `alliance acknowledge`: who has seen what, and why."),
]
LimitOption = Annotated[int, typer.Option("--limit", help="Cases listed on the terminal; REVIEW always is.")]
TodayOption = Annotated[
    str | None,
    typer.Option("--today", help="Day of the list, such as 2026-03-02: tells a missing next appointment."),
]
CutoffStyleOption = Annotated[
    str, typer.Option("--srs-cutoff-style", help="published: 36 itself is low. openfit: only below 36.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress.")]


TextsOption = Annotated[
    Path | None,
    typer.Option("--texts", help="A file with your own licensed item texts: TOML, CSV or plain lines."),
]
UnverifiedOption = Annotated[
    bool,
    typer.Option("--include-unverified", help="Use what no source was seen for, too; it is marked."),
]


def one_of(option: str, value: str | None, known: tuple[str, ...]) -> Any:
    """Return `value` if it is known; a wrong one is a usage error that names them all."""
    if value is not None and value not in known:
        message = f"{option} is one of {', '.join(known)}, got '{value}'"
        raise UsageError(message, hint="see --help")
    return value


def read_options(
    *,
    map: Path | None = None,
    missing: list[str] | None = None,
    on_error: str = "stop",
    keep: str | None = None,
    date_format: str | None = None,
    sheet: str | None = None,
    allow_identifiers: bool = False,
    system: str | None = None,
    dictionary: Path | None = None,
    unfinished: str | None = None,
) -> ReadOptions:
    """Return the options of the readers that a command line asks for."""
    from alliance.readers import ReadOptions, read_mapping

    return ReadOptions(
        mapping=None if map is None else read_mapping(map),
        missing=tuple(code.strip() for codes in missing or () for code in codes.split(",")),
        on_error=one_of("--on-error", on_error, ("stop", "drop")),
        keep=one_of("--keep", keep, ("first", "last")),
        date_format=one_of("--date-format", date_format, ("ymd", "dmy", "mdy")),
        sheet=sheet,
        allow_identifiers=allow_identifiers,
        source=system,
        dictionary=dictionary,
        unfinished=one_of("--unfinished", unfinished, ("use", "drop")),
    )


def find_scale(scale: str | None, scales: list[Path] | None) -> Scale | None:
    """Return the named form, or None where the file names its forms itself."""
    from alliance.scale import load_scale

    return None if scale is None else load_scale(scale, folders=tuple(scales or ()))


def own_texts(path: Path | None, form: Scale) -> dict[int, str]:
    """Return the user's own item texts, or none."""
    if path is None:
        return {}
    from alliance.texts import read_texts

    return read_texts(path, form.n_items)


def positive(option: str, value: float | None) -> float | None:
    """Return `value` if it is above 0 or not given."""
    if value is not None and not value > 0:
        message = f"{option} must be above 0, got {value:g}"
        raise UsageError(message, hint="see --help")
    return value


def read_day(option: str, text: str | None) -> date | None:
    """Return an ISO date, or None if none is given."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        message = f"{option} must be a date such as 2026-03-02, got '{text}'"
        raise UsageError(message, hint="year, month, day") from None


def cutoff_edge(style: str, form: Scale | None) -> bool | None:
    """Return whether the cut-off itself counts as low; None = as the definition says."""
    one_of("--srs-cutoff-style", style, ("published", "openfit"))
    if style == "published":
        return None
    if form is not None and form.id != "srs":
        message = f"--srs-cutoff-style belongs to srs, not to {form.id}"
        raise UsageError(message, hint="leave it out")
    return False


@dataclass(frozen=True, kw_only=True)
class Source:
    """How a file is to be read: the form it is from, folders of definitions, and the readers' options."""

    form: Scale | None
    scales: list[Path] | None
    options: ReadOptions


@dataclass(frozen=True, kw_only=True)
class Group:
    """Options that several commands have, told to them as one argument.

    `argument` is its name; `options` are names with annotation and default; `build` makes the argument of
    what was given.
    """

    argument: str
    options: tuple[inspect.Parameter, ...]
    build: Callable[[dict[str, Any]], Any]


def with_options(*groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of every group, which it gets as one argument each."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        names = {group.argument for group in groups}
        own = [each for each in signature.parameters.values() if each.name not in names]

        def run(**given: Any) -> None:
            built = {
                group.argument: group.build({each.name: given.pop(each.name) for each in group.options})
                for group in groups
            }
            command(**given, **built)

        functools.update_wrapper(run, command)
        del run.__dict__["__wrapped__"]
        parameters = [*own, *(option for group in groups for option in group.options)]
        run.__dict__["__signature__"] = signature.replace(parameters=parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _source(given: dict[str, Any]) -> Source:
    form = find_scale(given.pop("scale"), given["scales"])
    return Source(form=form, scales=given.pop("scales"), options=read_options(**given))


def _option_of(parameter: Parameter) -> inspect.Parameter:
    methods = ", ".join(parameter.methods)
    lead = f"{methods}: " if methods else ""
    default = "" if parameter.default in {None, False} else f" [{parameter.default}]"
    option = typer.Option(parameter.option, help=f"{lead}{parameter.help}.{default}")
    return _keyword(parameter.name, Annotated[parameter.kind | None, option])


READING = Group(
    argument="source",
    options=(
        _keyword("scale", ScaleOption),
        _keyword("scales", ScalesOption),
        _keyword("map", MapOption),
        _keyword("missing", MissingOption),
        _keyword("on_error", OnErrorOption, "stop"),
        _keyword("keep", KeepOption),
        _keyword("date_format", DateFormatOption),
        _keyword("sheet", SheetOption),
        _keyword("allow_identifiers", AllowIdentifiersOption, False),
        _keyword("system", FromOption),
        _keyword("dictionary", DictionaryOption),
        _keyword("unfinished", UnfinishedOption),
    ),
    build=_source,
)
"""How a file is read, told as `source`."""

CHECKING = replace(
    READING, options=tuple(each for each in READING.options if each.name not in {"on_error", "keep"})
)
"""The same for a file of which everything that is wrong is told."""

JUDGING = Group(
    argument="facts",
    options=(
        _keyword("direction", DirectionOption, "fall"),
        _keyword("sd", SdOption),
        _keyword("reliability", ReliabilityOption),
        _keyword("within_sd", WithinSdOption),
        _keyword("min", MinOption),
        _keyword("max", MaxOption),
        _keyword("step", StepOption),
    ),
    build=dict,
)
"""What is known of the score that is judged, told as `facts`."""

METHODS = Group(
    argument="settings",
    options=tuple(_option_of(parameter) for parameter in PARAMETERS),
    build=lambda given: {name: value for name, value in given.items() if value is not None},
)
"""The parameters of the rupture methods that were given, told as `settings`."""

TREATMENTS = Group(
    argument="ends",
    options=(
        _keyword("episodes", EpisodesOption),
        _keyword("attendance", AttendanceOption),
        _keyword("dropout_def", DropoutDefOption, "unilateral"),
        _keyword("presumed", PresumedOption, "exclude"),
        _keyword("k", KOption, 3),
        _keyword("grace_days", GraceOption, 30),
        _keyword("rci", RciOption),
        _keyword("rci_source", RciSourceOption),
    ),
    build=dict,
)
"""How treatments ended and what counts as dropout, told as `ends`."""
