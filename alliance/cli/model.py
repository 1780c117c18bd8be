"""`alliance model fit, validate, apply, show`: a model of dropout from a service's own closed cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance import __version__
from alliance.cli.modelling import (
    RiskSet,
    applied_to,
    covariates_asked,
    declared_groups,
    instrument_facts,
    load_rows,
    read_model,
    validated_elsewhere,
    validated_within,
)
from alliance.cli.options import (
    READING,
    TREATMENTS,
    QuietOption,
    SemOption,
    Source,
    one_of,
    positive,
    with_options,
)
from alliance.cli.output import Format, FormatOption, emit
from alliance.cli.screen import encodes, progress, width
from alliance.errors import DataError, UsageError

if TYPE_CHECKING:
    from alliance.dropout.ends.cohort import Cohort
    from alliance.dropout.model.apply import Applied
    from alliance.dropout.model.bundle import Bundle
    from alliance.dropout.model.drift import Drift

app = typer.Typer(
    help="A dropout model fitted to your own closed cases, validated, applied.", no_args_is_help=True
)

APPLIED = ("case", "session", "p_next", "p_3", "status", "review", "why", "outside")
REPORT, MODEL = "report.html", "model.json"
CAVEAT = (
    "A probability is about clients like this one in this service, not about this person. "
    "A low one does not mean low risk. Most clients flagged do not drop out. Risk of harm is not assessed."
)

FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Rating files, one or several.")]
ModelOption = Annotated[Path, typer.Option("--model", help="The model, as `alliance model fit` wrote it.")]
CovariateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--covariate",
        help="A predictor of your own: a column of the episodes, a subscale, or another form by its id; "
        "repeatable.",
    ),
]
DemographicsOption = Annotated[
    bool, typer.Option("--allow-demographics", help="Let age, sex and the like be predictors; it is logged.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]


@app.command()
@with_options(READING, TREATMENTS)
def fit(
    *,
    files: FilesArgument,
    source: Source,
    ends: dict[str, Any],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model to write, a JSON file.")],
    link: Annotated[str, typer.Option("--link", help="logit, or cloglog: proportional hazards.")] = "logit",
    time: Annotated[
        str, typer.Option("--time", help="log, linear, quadratic, cubic, or dummies for few sessions.")
    ] = "log",
    estimator: Annotated[str, typer.Option("--estimator", help="firth (with FLIC), ml, or ridge.")] = "firth",
    penalty: Annotated[
        float | None, typer.Option("--penalty", help="ridge: its penalty. [cross-validated]")
    ] = None,
    covariate: CovariateOption = None,
    allow_demographics: DemographicsOption = False,
    landmark: Annotated[
        bool, typer.Option("--landmark/--no-landmark", help="Fit the risk within three sessions too.")
    ] = True,
    ipcw: Annotated[
        bool, typer.Option("--ipcw", help="Weight sessions of known fate for those whose fate is not known.")
    ] = False,
    competing: Annotated[bool, typer.Option("--competing", help="Fit the hazard of other ends too.")] = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fit a model of dropout to closed cases; it stays exploratory until `alliance model validate` passes it.

    Example: alliance model fit ratings.csv --scale srs --episodes episodes.csv --attendance appointments.csv
    -o model.json
    """
    from alliance.dropout.ends.build import require_ended
    from alliance.dropout.model.bundle import bundle_of, to_bytes
    from alliance.dropout.model.hazard import FitSettings
    from alliance.dropout.model.hazard import fit as fit_model
    from alliance.report.files import write_file

    _refuse_existing(output, force=force)
    if penalty is not None and estimator != "ridge":
        message = f"--penalty belongs to --estimator ridge, not to {estimator}"
        raise UsageError(message, hint="leave it out, or choose ridge")
    settings = FitSettings(
        link=one_of("--link", link, ("logit", "cloglog")),
        time=one_of("--time", time, ("log", "linear", "quadratic", "cubic", "dummies")),
        estimator=one_of("--estimator", estimator, ("firth", "ml", "ridge")),
        landmark=landmark,
        ipcw=ipcw,
        competing=competing,
        penalty=positive("--penalty", penalty),
    )
    study = load_rows(files, source, ends, covariates=covariate or (), quiet=quiet)
    require_ended(study.cohort)
    settings = replace(settings, covariates=tuple(study.rows.covariates))
    model = fit_model(study.rows, settings, allow_demographics=allow_demographics)
    bundle = bundle_of(
        model,
        study.rows,
        study.cohort,
        instrument=instrument_facts(study.data.form),
        created=_today(),
        tool_version=__version__,
        synthetic=study.data.synthetic,
    )
    write_file(output, to_bytes(bundle), force=force)
    _print_summary(bundle)
    if not quiet:
        typer.echo(f"Model: {output}. Next: `alliance model validate` with the same files.", err=True)


@app.command()
@with_options(READING, TREATMENTS)
def validate(
    *,
    files: FilesArgument,
    source: Source,
    ends: dict[str, Any],
    model: ModelOption,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for report.html and model.json.")
    ],
    group: Annotated[
        list[str] | None,
        typer.Option("--group", help="A column of the episodes for the fairness table; repeatable."),
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Folds of the cross-validation.")] = 10,
    boot: Annotated[int, typer.Option("--boot", min=1, help="Bootstrap replicates.")] = 200,
    budget: Annotated[
        float, typer.Option("--budget", help="Share of sessions that the threshold may flag.")
    ] = 0.20,
    learning: Annotated[
        bool, typer.Option("--learning/--no-learning", help="Draw the learning curve, which takes longest.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of folds and replicates.")] = 1,
    sem: SemOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Validate a model on the data it was fitted to, or on new data; write a report and the model with it.

    On its own data: grouped cross-validation, bootstrap optimism, the gates that decide whether the model may
    order the triage list. On other data: how the model does there, as it is.

    Example: alliance model validate ratings.csv --scale srs --episodes episodes.csv
    --attendance appointments.csv --model model.json -o validated/
    """
    from alliance.dropout.model.bundle import data_digest
    from alliance.report.files import OutputFolder
    from alliance.report.validation import page

    bundle = read_model(model)
    if not 0 < budget < 1:
        message = f"--budget must be above 0 and below 1, got {budget:g}"
        raise UsageError(message, hint="0.2 flags a fifth of all sessions")
    sem = positive("--sem", sem)
    _refuse_foreign(output, force=force)
    study = load_rows(files, source, ends, covariates=covariates_asked(bundle), quiet=quiet, like=bundle)
    groups = declared_groups(study, group or ())
    own = data_digest(study.rows) == bundle.content["training"]["data_sha256"]
    with progress(quiet=quiet) as tell:
        if own:
            plan = {"folds": folds, "n_boot": boot, "budget": budget, "learning": learning, "seed": seed}
            found = validated_within(bundle, study, groups=groups, plan=plan, sem=sem, tell=tell)
        else:
            found = validated_elsewhere(bundle, study, groups=groups, n_boot=boot, seed=seed, tell=tell)
    with OutputFolder(output) as folder:
        folder.write(REPORT, page(found.as_json()).encode())
        folder.write(MODEL, _bytes(found))
        folder.publish(last=MODEL)
    _print_summary(found)
    if not quiet:
        typer.echo(f"Report: {output / REPORT}. Model: {output / MODEL}.", err=True)


@app.command()
@with_options(READING, TREATMENTS)
def apply(
    *,
    files: FilesArgument,
    source: Source,
    ends: dict[str, Any],
    model: ModelOption,
    recalibrate: Annotated[
        Path | None,
        typer.Option("--recalibrate", help="Refit the intercept to newer closed cases; write it here."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Every session of every case, not the latest of ongoing ones.")
    ] = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Print what a model says of each ongoing case at its latest session, and whether the model still fits.

    A model for another definition of dropout, another form or another scoring of it is refused.

    Example: alliance model apply ratings.csv --scale srs --episodes episodes.csv
    --attendance appointments.csv --model validated/model.json
    """
    from alliance.dropout.model.drift import DEACTIVATE, deactivated, drift

    bundle = read_model(model)
    if recalibrate is not None:
        _refuse_existing(recalibrate, force=force)
    study = load_rows(files, source, ends, covariates=covariates_asked(bundle), quiet=quiet, like=bundle)
    found = drift(bundle, study.rows)
    if found.action == DEACTIVATE:
        bundle = deactivated(bundle, found.text)
    applied = applied_to(bundle, study, every=every)
    _print_applied(_applied_rows(applied, study.cohort), format)
    if not quiet:
        typer.echo(f"status: {bundle.status}; drift: {found.text}", err=True)
        typer.echo(CAVEAT, err=True)
    if recalibrate is not None:
        _recalibrate(bundle, study, found, recalibrate, force=force)


@app.command()
def show(
    *,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model, a JSON file.")],
    report: Annotated[
        Path | None, typer.Option("--report", help="Write its report as an HTML page here.")
    ] = None,
    force: ForceOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say what a model is made of and whether it passed its gates; write its report again.

    Example: alliance model show validated/model.json --report report.html
    """
    bundle = read_model(model)
    if report is not None:
        _refuse_existing(report, force=force)
    if format is Format.JSON:
        import json

        typer.echo(json.dumps(bundle.as_json(), ensure_ascii=False, indent=2, allow_nan=False))
    elif format is Format.TABLE:
        _print_summary(bundle)
    else:
        columns = ("name", "words", "coef", "se", "centre", "scale", "low", "high")
        emit(bundle.content["terms"], columns=columns, format=format)
    if report is not None:
        from alliance.report.files import write_file
        from alliance.report.validation import page

        write_file(report, page(bundle.as_json()).encode(), force=force)


def _applied_rows(applied: Applied, cohort: Cohort) -> list[dict[str, Any]]:
    order = range(len(applied.p_next)) if applied.order is None else applied.order.tolist()
    return [
        {
            "case": cohort.cases[applied.rows.case[row]],
            "session": applied.rows.session[row],
            "p_next": applied.p_next[row],
            "p_3": applied.p_3[row],
            "status": applied.status,
            "review": None if applied.above is None else bool(applied.above[row]),
            "why": applied.words[row],
            "outside": applied.outside[row],
        }
        for row in order
    ]


def _print_applied(rows: list[dict[str, Any]], format: Format) -> None:
    if format is Format.TABLE:
        from alliance.report.applied import applied_list

        typer.echo(applied_list(rows, width=width(), unicode=encodes("→")), nl=False)
    else:
        emit(rows, columns=APPLIED, format=format)


def _recalibrate(bundle: Bundle, study: RiskSet, found: Drift, target: Path, *, force: bool) -> None:
    from alliance.dropout.model.drift import DEACTIVATE
    from alliance.dropout.model.drift import recalibrate as refit
    from alliance.report.files import write_file

    if found.action == DEACTIVATE:
        message = "the model no longer ranks well enough; a new intercept does not mend that"
        raise DataError(message, hint="fit a new model")
    write_file(target, _bytes(refit(bundle, study.rows)), force=force)
    typer.echo(f"Model with a new intercept: {target}", err=True)


def _bytes(bundle: Bundle) -> bytes:
    from alliance.dropout.model.bundle import to_bytes

    return to_bytes(bundle)


def _print_summary(bundle: Bundle) -> None:
    from alliance.report.validation import summary_text

    typer.echo(summary_text(bundle.as_json(), width=width(), unicode=encodes("→")), nl=False)


def _refuse_existing(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        message = f"'{path}' exists"
        raise UsageError(message, hint="choose another name, or replace it with --force")


def _refuse_foreign(folder: Path, *, force: bool) -> None:
    """Refuse to replace files that are not those of an earlier validation."""
    from alliance.dropout.model.bundle import KIND
    from alliance.report.validation import TITLE

    marks = ((REPORT, TITLE), (MODEL, KIND))
    there = [name for name, mark in marks if not _is_ours(folder / name, mark)]
    if there and not force:
        message = f"'{folder}' holds files that are not the results of an earlier validation"
        raise UsageError(message, where=there, hint="choose another folder, or replace them with --force")


def _is_ours(path: Path, mark: str) -> bool:
    return not path.exists() or mark.encode() in path.read_bytes()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
