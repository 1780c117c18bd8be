"""What the model commands do: study files → risk set; a model held against it, validated, applied."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance.cli.loading import tell_notes
from alliance.errors import DataError, StoreError, UsageError

if TYPE_CHECKING:
    from alliance.cli.options import Source
    from alliance.cli.treatments import StudyData
    from alliance.dropout.ends.cohort import Cohort
    from alliance.dropout.model.apply import Applied
    from alliance.dropout.model.bundle import Bundle
    from alliance.dropout.model.rows import Rows
    from alliance.scale import Scale


@dataclass(frozen=True, kw_only=True)
class RiskSet:
    """A study with the risk set that a definition of dropout makes of it."""

    data: StudyData
    cohort: Cohort
    rows: Rows
    presumed_as: Callable[[str], Rows]


def read_model(path: Path) -> Bundle:
    """Return the model in a file, if it is one and has not been changed."""
    from alliance.dropout.model.bundle import from_bytes

    try:
        content = path.read_bytes()
    except OSError as problem:
        message = f"'{path}' cannot be read: {problem.strerror}"
        raise StoreError(message, hint="check the name and who may read it") from problem
    return from_bytes(content, name=f"'{path.name}'")


def instrument_facts(form: Scale) -> dict[str, Any]:
    """Return what a bundle says of the form its ratings are from."""
    low, high = form.bounds("total")
    return {
        "id": form.id,
        "scoring_version": form.sha256,
        "score": "total",
        "rater": "client",
        "low": low,
        "high": high,
    }


def load_rows(
    files: Sequence[Path],
    source: Source,
    ends: dict[str, Any],
    *,
    covariates: Sequence[str],
    quiet: bool,
    like: Bundle | None = None,
) -> RiskSet:
    """Return the study of the files; `like` a model: by its definition, and refused if it is another's."""
    from alliance.cli.treatments import load_study, outcome_of
    from alliance.dropout.ends.build import cohort_of
    from alliance.dropout.ends.definitions import SETTINGS, get_definition, settings_of
    from alliance.dropout.model.apply import require_same
    from alliance.dropout.model.rows import rows_of

    definition = get_definition(ends["dropout_def"])
    settings = settings_of({name: ends[name] for name in SETTINGS})
    data = load_study(files, source, episodes=ends["episodes"], attendance=ends["attendance"], quiet=quiet)
    if data.treatments is None:
        message = "nothing says how treatments ended"
        raise DataError(
            message, hint="name a file that does with --episodes; docs/dropout-model.md has its columns"
        )
    if like is not None:
        facts = instrument_facts(data.form)
        same = {name: facts[name] for name in ("scoring_version", "rater")}
        require_same(like, definition=definition.id, instrument=facts["id"], **same)
    make = functools.partial(
        cohort_of,
        data.scores,
        data.form,
        treatments=data.treatments,
        appointments=data.appointments,
        definition=definition.id,
        covariates=covariates,
        others=data.others,
        outcome=outcome_of(data, value=ends["rci"], source=ends["rci_source"]),
    )
    cohort = make(settings=settings)
    if like is not None:
        require_same(like, settings=cohort.settings)
    if not quiet:
        _tell_cohort(cohort, definition)
    return RiskSet(
        data=data,
        cohort=cohort,
        rows=rows_of(cohort),
        presumed_as=lambda policy: rows_of(make(settings={**settings, "presumed": policy})),
    )


def _tell_cohort(cohort: Cohort, definition: Any) -> None:
    from collections import Counter

    left_out = Counter(why for why in cohort.why.tolist() if why)
    tell_notes(f"{n} of {len(cohort.cases)} treatments left out: {why}" for why, n in left_out.items())
    tell_notes(filter(None, [definition.warning]))


def covariates_asked(bundle: Bundle) -> list[str]:
    """Return the covariates of a model, each level of a text column by its own name."""
    return [each["name"] for each in bundle.content["covariates"]]


def declared_groups(study: RiskSet, names: Sequence[str]) -> dict[str, Any]:
    """Return the labels of every case by declared column of the episodes.

    Columns that name a case or say how it ended declare no group.
    """
    from alliance.dropout.ends.covariates import MARKER, MOST_LEVELS
    from alliance.errors import unknown_name
    from alliance.frames import TREATMENTS

    table = study.data.treatments
    if table is None or not names:
        return {}
    known = [str(name) for name in table.columns if name not in {*TREATMENTS, MARKER}]
    for name in names:
        if name not in known:
            what, hint = unknown_name("group", name, known)
            raise UsageError(what, hint=hint if known else "the episodes hold no column of groups")
        n_texts = table[name].nunique()
        if n_texts > MOST_LEVELS:
            message = f"the column '{name}' has {n_texts} different texts"
            raise UsageError(message, hint=f"groups are at most {MOST_LEVELS}; put numbers into bands")
    rows = table.set_index("case").reindex(study.cohort.cases)
    return {name: rows[name].astype(object).fillna("").to_numpy() for name in names}


def validated_within(
    bundle: Bundle,
    study: RiskSet,
    *,
    groups: dict[str, Any],
    plan: dict[str, Any],
    sem: float | None,
    tell: Any,
) -> Bundle:
    """Return the model with what validation within its own data found, and the status its gates give it."""
    from alliance.dropout.model.bundle import with_validation
    from alliance.dropout.validation import validate

    demographic = any(each["demographic"] for each in bundle.content["covariates"])
    found = validate(
        study.cohort,
        study.rows,
        bundle.model.settings,
        _instrument(study, sem),
        groups=groups or None,
        presumed=_by_policy(study),
        progress=tell,
        allow_demographics=demographic,
        **plan,
    )
    return with_validation(bundle, found.as_json(), seed=plan["seed"])


def _by_policy(study: RiskSet) -> dict[str, Rows] | None:
    """Return the risk set with presumed dropouts left out, counted, and censored; None if there are none."""
    from alliance.dropout.ends.definitions import PRESUMED_POLICIES

    ways = {policy: study.presumed_as(policy) for policy in PRESUMED_POLICIES}
    sizes = {(len(rows), float(rows.y.sum())) for rows in ways.values()}
    return ways if len(sizes) > 1 else None


def validated_elsewhere(
    bundle: Bundle, study: RiskSet, *, groups: dict[str, Any], n_boot: int, seed: int, tell: Any
) -> Bundle:
    """Return the model with how it does on data it was not made of; its status stays as it is."""
    from alliance.dropout.model.bundle import changed
    from alliance.dropout.validation import evaluate_external

    tell_notes(["these are not the data the model was fitted to: it is judged on them as it is (external)"])
    found = evaluate_external(
        bundle, study.rows, groups=groups or None, n_boot=n_boot, seed=seed, progress=tell
    )
    before = bundle.content.get("external", [])
    return changed(bundle, external=[*before, found.as_json()])


def _instrument(study: RiskSet, sem: float | None) -> Any:
    """Return what the rules, which the model is compared with, know of the form."""
    from alliance.dropout import instrument_of

    return instrument_of(study.data.form, sem=sem)


def applied_to(bundle: Bundle, study: RiskSet, *, every: bool) -> Applied:
    """Return what a model says of ongoing cases at their latest session, or of every row of the risk set."""
    from alliance.dropout.ends.cohort import ONGOING
    from alliance.dropout.model.apply import apply
    from alliance.dropout.model.rows import latest_rows

    rows = study.rows if every else latest_rows(study.cohort)
    if not every:
        rows = rows.take(study.cohort.end[rows.case] == ONGOING)
    facts = instrument_facts(study.data.form)
    return apply(
        bundle,
        rows,
        definition=study.cohort.definition,
        instrument=facts["id"],
        scoring_version=facts["scoring_version"],
        rater=facts["rater"],
    )
