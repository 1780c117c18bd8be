"""Bundle → what the report says of the model itself: verdict, gates, terms, data, limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from alliance.report.blocks import Bullets, Heading, Section, Table, Text
from alliance.report.equation import link, period_of, with_interval
from alliance.report.figures import (
    LARGEST,
    NONE,
    NORMAL,
    at,
    counts,
    exact,
    fixed,
    percent,
    real,
    recorded,
    rows_at,
    spread,
    tally,
    whole,
)
from alliance.report.words import clean

Bundle = Mapping[str, Any]

MENDS = {
    "G1": "More closed cases: fit again when the service has them.",
    "G2": "Fewer terms, or more cases that ended in dropout.",
    "G3": "Cases of more therapists; until then a validation grouped by client, with its warning.",
    "G4": "No setting mends this: the terms do not tell these clients apart well enough. "
    "More cases may; until then the rules (DRF-1) order the list.",
    "G5": "Forecasts too extreme or off in size: more cases, fewer terms, or a refitted intercept.",
    "G6": "Another alarm budget, or the rules (DRF-1), which do no worse here.",
    "G7": "Fit and apply with one definition of dropout, one instrument and one scoring version.",
}
OPEN = "Validate again with 200 draws and 10 folds, and enough cases that an AUC can be had."
"""What closes the gate on the AUC where it is open."""

UNITS = {
    "log_session": "one unit of ln(session), about 2.7 times as many sessions",
    "session_squared": "one unit of the square",
    "session_cubed": "one unit of the cube",
    "no_shows": "one more appointment missed",
    "missing": "no rating, against a rating",
}
SCALED = {
    "session": "{} sessions more",
    "level": "{} points higher (one SD)",
    "change": "{} points above the mean of the earlier ratings (one SD)",
}
ESTIMATORS = {
    "firth": "Firth's penalised likelihood, intercept refitted (FLIC)",
    "ml": "maximum likelihood",
    "ridge": "ridge penalty, chosen by grouped cross-validation",
}


def verdict(bundle: Bundle) -> str:
    """Return in one sentence whether the model may order a triage list.

    >>> verdict({"status": "validated", "validation": {}, "gates": []})
    'Validated: every gate is passed, so the model may order the triage list.'
    """
    if at(bundle, "validation") is None:
        return "Exploratory: fitted, not validated yet. It may be shown, and orders nothing."
    names = ", ".join(clean(str(at(gate, "id"))) for gate in unmet(bundle)) or "none recorded"
    if status(bundle) == "validated" and unmet(bundle):
        return f"Validated: no gate failed, so the model may order the triage list; not yet tried: {names}."
    if status(bundle) == "validated":
        return "Validated: every gate is passed, so the model may order the triage list."
    if rows_at(bundle, "gates") and not unmet(bundle):
        return "Exploratory: put out of use though it had passed its gates; the limits say why."
    return f"Exploratory: gates not passed: {names}. The model may be shown, and orders nothing."


def status(bundle: Bundle) -> str:
    """Return `validated` or `exploratory`; without a validation, or with a failed gate, it is exploratory.

    >>> status({"status": "validated", "validation": None})
    'exploratory'
    """
    failed = any(at(gate, "passed") is False for gate in rows_at(bundle, "gates"))
    validated = at(bundle, "status") == "validated" and at(bundle, "validation") is not None and not failed
    return "validated" if validated else "exploratory"


def unmet(bundle: Bundle) -> tuple[Any, ...]:
    """Return the gates that are not passed: failed, or not enough data to tell."""
    return tuple(gate for gate in rows_at(bundle, "gates") if at(gate, "passed") is not True)


def answer(passed: Any) -> str:
    """Return a gate's answer in words.

    >>> answer(True), answer(False), answer(None)
    ('passed', 'failed', 'not enough data')
    """
    return {True: "passed", False: "failed"}.get(passed, NONE) if isinstance(passed, bool) else NONE


def headline(bundle: Bundle) -> str:
    """Return the headline AUC with its interval, and the one of DRF-1."""
    auc = at(bundle, "validation", "cv", "auc")
    model = spread(at(auc, "value"), at(auc, "low"), at(auc, "high"))
    return f"model {model}, DRF-1 {fixed(at(bundle, 'validation', 'drf1', 'auc'))}"


def verdict_section(bundle: Bundle) -> Section:
    """Return the answer first: may this model be used, what stands against it, what would mend it."""
    blocks: list[Any] = [Text(text=verdict(bundle), tone="lead")]
    if at(bundle, "validation") is None:
        blocks.append(Text(text="Next: alliance model validate, on the data it was fitted on."))
    else:
        blocks.append(
            Text(text=f"Told apart, within sessions (cross-validated AUC, headline): {headline(bundle)}.")
        )
        blocks.append(Text(text=_trust(bundle), tone="soft"))
    mends = tuple(_mend(gate) for gate in unmet(bundle))
    if mends:
        blocks += [Heading(text="What stands against it, and what would mend it"), Bullets(items=mends)]
    warnings = tuple(str(warning) for warning in rows_at(bundle, "validation", "warnings"))
    if warnings:
        blocks += [Heading(text="Read first"), Bullets(items=warnings)]
    return Section(id="verdict", title="Verdict", blocks=tuple(blocks))


def _trust(bundle: Bundle) -> str:
    """Say how far the validation reaches."""
    whom = clean(str(at(bundle, "validation", "grouped_by") or "client"))
    other = "No data of another service or a later time were used."
    if rows_at(bundle, "external"):
        other = "How it does on other data stands apart, under On other data."
    return (
        "Validated here means: tested on cases the model was not fitted on, of the same service and period, "
        f"kept apart by {whom}. {other}"
    )


def _mend(gate: Any) -> str:
    """Return one gate that is not passed with the way out."""
    name = str(at(gate, "id"))
    said = f"{name}, {answer(at(gate, 'passed'))}: asks {at(gate, 'asks')}; found {at(gate, 'found')}."
    if name == "G4" and at(gate, "passed") is None:
        return f"{said} {OPEN}"
    return f"{said} {MENDS.get(name, '')}".strip()


def gates_section(bundle: Bundle) -> Section:
    """Return every gate with what it asks and what was found."""
    rows = tuple(
        (str(at(gate, "id")), str(at(gate, "asks")), str(at(gate, "found")), answer(at(gate, "passed")))
        for gate in rows_at(bundle, "gates")
    )
    note = Text(text="The limits are set by design; none is published.", tone="soft")
    caption = "All gates must be passed before a model may order the triage list."
    head = ("Gate", "Asks", "Found", "Answer")
    table = Table(caption=caption, head=head, rows=rows, stacked=True)
    blocks = (table, note) if rows else (Text(text="No gate was tried: not validated yet."),)
    return Section(id="gates", title="Gates", blocks=blocks)


def unit(term: Any) -> str:
    """Return what one unit of a term is.

    >>> unit({"name": "no_shows"}), unit({"name": "session_3"}), unit({"name": "level", "scale": 2.9})
    ('one more appointment missed', 'after session 3, against the first', '2.9 points higher (one SD)')
    """
    name, scale = str(at(term, "name")), f"{real(at(term, 'scale')) or 1.0:.3g}"
    if name in UNITS:
        return UNITS[name]
    if period_of(term) is not None:
        return f"after session {period_of(term)}, against the first"
    if name.endswith("_missing"):
        return "not recorded, against recorded"
    return SCALED.get(name, "{} more").format(scale)


def seen(term: Any) -> str:
    """Return the range of a term in training, sessions as sessions.

    >>> seen({"name": "level", "low": 29.1, "high": 40}), seen({"name": "log_session", "low": 0, "high": 3})
    ('29.10 to 40.00', '1 to 20 sessions')
    """
    low, high = real(at(term, "low")), real(at(term, "high"))
    if low is None or high is None:
        return NONE
    if at(term, "name") == "log_session":
        return f"{whole(_exp(low))} to {whole(_exp(high))} sessions"
    return f"{fixed(low, 2)} to {fixed(high, 2)}"


def direction(term: Any) -> str:
    """Say which way a term goes, and whether its interval leaves that open.

    >>> direction({"coef": -0.45, "se": 0.08}), direction({"coef": 0.29, "se": 0.27})
    ('lowers the risk', 'raises the risk; the other way not ruled out')
    """
    coef, error = real(at(term, "coef")), real(at(term, "se"))
    if coef is None:
        return NONE
    way = "raises the risk" if coef > 0 else "lowers the risk" if coef < 0 else "changes nothing"
    if error is None:
        return f"{way}; how surely is not known"
    return way if abs(coef) > NORMAL * error else f"{way}; the other way not ruled out"


def ratio(term: Any) -> str:
    """Return exp(coefficient) with its 95 % interval.

    >>> ratio({"coef": 0.0, "se": 0.5})
    '1.00 [0.38, 2.66]'
    """
    coef, error = real(at(term, "coef")), real(at(term, "se"))
    if coef is None:
        return NONE
    if error is None:
        return spread(_exp(coef), None, None, 2)
    return spread(_exp(coef), _exp(coef - NORMAL * error), _exp(coef + NORMAL * error), 2)


def _exp(value: float) -> float | None:
    return None if value > LARGEST else math.exp(value)


def terms_section(bundle: Bundle) -> Section:
    """Return what the model says, one term a row, in words and in numbers."""
    called = link(bundle)[0]
    rows = tuple(
        (
            str(at(term, "words") or at(term, "name")),
            direction(term),
            unit(term),
            ratio(term),
            with_interval(term),
            fixed(at(term, "se")),
            seen(term),
        )
        for term in rows_at(bundle, "terms")
    )
    head = (
        "Term",
        "In words",
        "One unit is",
        f"{called.capitalize()} per unit, 95 %",
        "Coefficient, 95 %",
        "Cluster-robust SE",
        "Seen in training (1 to 99 %)",
    )
    caption = f"A unit more of a term, the others equal. {called.capitalize()} above 1: more dropout."
    return Section(
        id="terms",
        title="What the model says",
        blocks=(
            Table(caption=caption, head=head, rows=rows, stacked=True),
            Text(text="A term goes with dropout or against it; none is shown to cause it.", tone="soft"),
        ),
    )


def data_section(bundle: Bundle) -> Section:
    """Return what the model was fitted on, and with what."""
    rows = tuple((name, value) for name, value in _facts(bundle))
    table = Table(
        caption="What the model was fitted on. No client code is kept.", head=("What", "Value"), rows=rows
    )
    return Section(id="data", title="Data, definition, instrument", blocks=(table, *_excluded(bundle)))


def _facts(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Yield the facts of a bundle as name and value."""
    training, form = at(bundle, "training"), at(bundle, "instrument")
    yield "Cases", whole(at(training, "n_cases"))
    yield "Clients", whole(at(training, "n_clients"))
    yield "Clients whose treatment ended", whole(at(training, "n_closed"))
    yield "Dropouts", tally(at(training, "n_dropouts"))
    yield "Rows (sessions at risk)", whole(at(training, "n_rows"))
    yield "Rows that end in dropout", tally(at(training, "n_events"))
    yield "Therapists", tally(at(training, "n_therapists"))
    yield "Dates", f"{recorded(at(training, 'first_date'))} to {recorded(at(training, 'last_date'))}"
    yield "Sessions", " to ".join(whole(session) for session in rows_at(training, "sessions")) or NONE
    yield "Definition of dropout", _definition(bundle)
    yield "Instrument", f"{recorded(at(form, 'id'))}, scoring version {recorded(at(form, 'scoring_version'))}"
    yield (
        "Rating",
        f"{recorded(at(form, 'score'))} by the {recorded(at(form, 'rater'))}, {exact(at(form, 'low'))} to "
        f"{exact(at(form, 'high'))}",
    )
    yield (
        "Mean and SD of ratings",
        (f"{exact(at(bundle, 'reference', 'mean'))}, {exact(at(bundle, 'reference', 'sd'))}"),
    )
    yield "Kind of model", f"discrete-time hazard, {recorded(at(bundle, 'link'))} link"
    yield "Estimation", ESTIMATORS.get(str(at(bundle, "estimator")), recorded(at(bundle, "estimator")))
    yield "Predictors of its own", _covariates(bundle)
    yield "Threshold for REVIEW", _threshold(bundle)
    yield "Data, SHA-256", recorded(at(training, "data_sha256"))
    yield "Model file, SHA-256", recorded(at(bundle, "sha256"))
    yield (
        "Software",
        f"alliance {recorded(at(bundle, 'tool_version'))}, model of {recorded(at(bundle, 'created'))}",
    )
    yield "Seed", recorded(at(bundle, "seed"))


def _definition(bundle: Bundle) -> str:
    """Return the definition of dropout with what it was told."""
    settings = at(bundle, "definition", "settings") or {}
    told = ", ".join(f"{name} {value}" for name, value in sorted(settings.items()) if value is not None)
    name = recorded(at(bundle, "definition", "id"))
    return f"{name} ({told})" if told else name


def _covariates(bundle: Bundle) -> str:
    """Return the predictors a user added, demographic ones marked."""
    named = [
        f"{at(each, 'name')} ({at(each, 'kind')}{', demographic' if at(each, 'demographic') else ''})"
        for each in rows_at(bundle, "covariates")
    ]
    return ", ".join(named) or "none"


def _threshold(bundle: Bundle) -> str:
    """Return the threshold with the alarm budget it comes from."""
    if at(bundle, "threshold") is None:
        return "none set"
    budget = percent(at(bundle, "threshold", "budget"), 0)
    return f"hazard of {exact(at(bundle, 'threshold', 'value'))} or more, from an alarm budget of {budget}"


def _excluded(bundle: Bundle) -> tuple[Any, ...]:
    """Return who is left out, by reason, without giving a small count away."""
    reasons = at(bundle, "training", "n_excluded") or {}
    if not reasons:
        return (Text(text="No case was left out."),)
    rows = tuple(zip(map(str, reasons), counts(tuple(reasons.values())), strict=True))
    return (Table(caption="Cases left out, by reason.", head=("Reason", "Cases"), rows=rows),)


def limits_section(bundle: Bundle) -> Section:
    """Return what the model cannot do."""
    limits = tuple(str(limit) for limit in rows_at(bundle, "limits"))
    general = (
        "Nothing shows that acting on a flag prevents dropout.",
        "A case outside the range seen in training is outside what this model was built on.",
        "Dropout by this definition is not failure: some who leave have what they came for.",
    )
    return Section(id="limits", title="Limits", blocks=(Bullets(items=(*limits, *general)),))
