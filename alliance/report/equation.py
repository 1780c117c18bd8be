"""Bundle → the whole model as formulas that anybody can calculate by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from alliance.report.blocks import Formula, Heading, Section, Table, Text
from alliance.report.figures import (
    LARGEST,
    NONE,
    NORMAL,
    at,
    exact,
    fixed,
    real,
    rows_at,
    spread,
    tally,
    whole,
)
from alliance.report.words import clean

Bundle = Mapping[str, Any]

LINKS = {
    "logit": ("odds ratio", "hazard = 1 / (1 + exp(-linear))"),
    "cloglog": ("hazard ratio", "hazard = 1 - exp(-exp(linear))"),
}
RAW = {
    "log_session": ("ln(number of sessions attended)", ""),
    "session": ("number of sessions attended", ""),
    "session_squared": ("number of sessions attended", ""),
    "session_cubed": ("number of sessions attended", ""),
    "level": ("mean of all ratings so far", "; 0 if there is none"),
    "change": ("latest rating less the mean of the earlier ones", "; 0 if there is none of either"),
    "no_shows": ("appointments missed without notice since the session before, at most 2", ""),
    "missing": ("1 if this session has no rating, else 0", ""),
}
"""Name of a term -> the quantity it is made of, and what it is where that is not known."""
POWERS = {"session": 1, "session_squared": 2, "session_cubed": 3}
SESSION = 2
"""Session of the worked example."""


def link(bundle: Bundle) -> tuple[str, str]:
    """Return what exp(coefficient) is called, and the formula from linear to hazard."""
    return LINKS.get(str(at(bundle, "link")), LINKS["logit"])


def with_interval(term: Any) -> str:
    """Return a coefficient with its 95 % interval, alone where its standard error is not known."""
    coef, error = real(at(term, "coef")), real(at(term, "se"))
    if coef is None or error is None:
        return fixed(coef)
    return spread(coef, coef - NORMAL * error, coef + NORMAL * error)


def coefficient(value: Any) -> float | None:
    """Return a coefficient given as a number or as a mapping with `coef`."""
    return real(at(value, "coef")) if isinstance(value, Mapping) else real(value)


def _linear(intercept: Any, terms: tuple[Any, ...]) -> Iterator[str]:
    """Yield the lines of a linear predictor, one term a line."""
    yield f"linear = {exact(coefficient(intercept))}"
    for term in terms:
        coef = real(at(term, "coef"))
        sign = "-" if coef is not None and coef < 0 else "+"
        size = NONE if coef is None else exact(abs(coef))
        yield f"         {sign} {size} * {at(term, 'name')}"


def _meanings(terms: tuple[Any, ...]) -> Iterator[str]:
    """Yield how each name of the formula is worked out."""
    last = max((period for term in terms if (period := period_of(term)) is not None), default=None)
    for term in terms:
        name, period = str(at(term, "name")), period_of(term)
        if period is not None:
            later = " or any later one" if period == last else ""
            yield f"{name} = 1 after session {period}{later}, else 0"
        else:
            raw, unknown = RAW.get(name, (str(at(term, "words") or name), "; 0 if not recorded"))
            yield f"{name} = {_standard(raw, term)}{unknown}"


def period_of(term: Any) -> int | None:
    """Return the session a term stands for, None if it is no term of one session.

    >>> period_of({"name": "session_3"}), period_of({"name": "session_squared"})
    (3, None)
    """
    period = str(at(term, "name")).removeprefix("session_")
    return int(period) if period.isdecimal() else None


def _standard(raw: str, term: Any) -> str:
    """Return a raw quantity as the formula takes it: less the centre, over the scale, to its power."""
    centre, scale = real(at(term, "centre")) or 0.0, real(at(term, "scale")) or 1.0
    moved = raw if centre == 0 else f"{raw} - {exact(centre)}"
    said = moved if scale == 1 else f"({moved}) / {exact(scale)}"
    power = POWERS.get(str(at(term, "name")), 1)
    return said if power == 1 else f"({said})^{power}"


def _value(term: Any, terms: tuple[Any, ...], bundle: Bundle) -> float:
    """Return what a term is in the worked example; one that is not named there is 0."""
    name = str(at(term, "name"))
    period = period_of(term)
    if period is not None:
        reached = [other for each in terms if (other := period_of(each)) is not None and other <= SESSION]
        return float(bool(reached) and period == max(reached))
    mean, sd = (real(at(bundle, "reference", key)) or 0.0 for key in ("mean", "sd"))
    raw = {
        "log_session": math.log(SESSION),
        **dict.fromkeys(POWERS, float(SESSION)),
        "level": mean - sd,
        "change": -0.8 * sd,
        "no_shows": 0.0,
        "missing": 0.0,
    }
    if name not in raw:
        return 0.0
    centre, scale = real(at(term, "centre")) or 0.0, real(at(term, "scale")) or 1.0
    return float(((raw[name] - centre) / scale) ** POWERS.get(name, 1))


def _example(bundle: Bundle) -> Iterator[str]:
    """Yield one forecast worked out: session 2, ratings a spread below the mean, the latest lower still."""
    total = coefficient(at(bundle, "intercept"))
    terms = rows_at(bundle, "terms")
    yield f"{'intercept':<28}{exact(total):>12}"
    for term in terms:
        name, coef = clean(str(at(term, "name"))), real(at(term, "coef"))
        value = _value(term, terms, bundle)
        part = None if coef is None else coef * value
        total = None if total is None or part is None else total + part
        yield f"{name:<18}{exact(value):>10}{exact(part):>12}"
    yield f"{'linear':<28}{exact(total):>12}"
    yield f"{'hazard':<28}{exact(_hazard(total, str(at(bundle, 'link')))):>12}"


def _hazard(linear: float | None, called: str) -> float | None:
    if linear is None or abs(linear) > LARGEST:
        return None
    return 1 - math.exp(-math.exp(linear)) if called == "cloglog" else 1 / (1 + math.exp(-linear))


def equation_section(bundle: Bundle) -> Section:
    """Return the whole model as formulas that anybody can calculate by hand."""
    terms = rows_at(bundle, "terms")
    lines = (*_linear(at(bundle, "intercept"), terms), link(bundle)[1])
    blocks: list[Any] = [
        Text(
            text="The hazard is the probability of dropout before the next session, at the end of this one."
        ),
        Formula(label="Hazard of dropout before the next session", lines=lines),
        Formula(label="What the names stand for", lines=tuple(_meanings(terms))),
        Text(
            text=f"{_intercept(bundle)} Six digits are shown; the model file has all.",
            tone="soft",
        ),
        Text(
            text="Worked example: second session, ratings one SD below the mean of the training data, the "
            "latest 0.8 SD below the one before, no appointment missed; any other term at 0."
        ),
        Formula(label="Worked example: term, value, value times coefficient", lines=tuple(_example(bundle))),
    ]
    blocks += _landmark(bundle)
    blocks += _competing(bundle)
    return Section(id="equation", title="The model, in full", blocks=tuple(blocks))


def _intercept(bundle: Bundle) -> str:
    """Say what is known of the intercept; after a recalibration neither error nor former value are."""
    if rows_at(bundle, "recalibrations"):
        return "Intercept: refitted to newer rows, without a standard error."
    error = fixed(at(bundle, "intercept", "se"))
    before = exact(at(bundle, "intercept", "before_flic"))
    return f"Intercept: SE {error}; {before} before it was refitted alone (FLIC)."


def _landmark(bundle: Bundle) -> list[Any]:
    """Return the model of the next sessions, if there is one."""
    model = at(bundle, "landmark")
    if model is None:
        return []
    horizon = whole(at(model, "horizon"))
    title = f"Risk of dropout within the next {horizon} sessions"
    weights = "weighted by the inverse probability of a known fate" if at(model, "ipcw") else "left out"
    said = (
        f"A logistic model of its own on {whole(at(model, 'n_rows'))} rows, fewer sessions ahead where fewer "
        f"are planned. Rows whose fate is unknown ({tally(at(model, 'n_unknown'))}): {weights}."
    )
    lines = (*_linear(at(model, "intercept"), rows_at(model, "terms")), "risk = 1 / (1 + exp(-linear))")
    return [Heading(text=title), Text(text=said), Formula(label=title, lines=lines), _errors(model)]


def _competing(bundle: Bundle) -> list[Any]:
    """Return the model of other ends, if there is one."""
    model = at(bundle, "competing")
    if model is None:
        return []
    title = "Hazard of another end before the next session"
    said = "Ends by the therapist or by outside circumstances compete with dropout; they have this hazard."
    lines = (*_linear(at(model, "intercept"), rows_at(model, "terms")), link(bundle)[1])
    return [Heading(text=title), Text(text=said), Formula(label=title, lines=lines), _errors(model)]


def _errors(model: Any) -> Table:
    """Return the standard errors of a further model."""
    rows = tuple(
        (str(at(term, "name")), with_interval(term), fixed(at(term, "se")))
        for term in rows_at(model, "terms")
    )
    caption = "Its coefficients with 95 % intervals and standard errors."
    return Table(caption=caption, head=("Term", "Coefficient, 95 %", "SE"), rows=rows)
