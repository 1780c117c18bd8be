"""Bundle → the report of a fitted model: one self-contained page, or a summary for the terminal."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from alliance.report import curves, pages
from alliance.report.blocks import Bullets, Section, Table
from alliance.report.equation import equation_section, with_interval
from alliance.report.figures import at, exact, fixed, percent, recorded, rows_at, spread, tally, whole
from alliance.report.fitted import (
    answer,
    data_section,
    direction,
    gates_section,
    limits_section,
    status,
    terms_section,
    unmet,
    verdict,
    verdict_section,
)
from alliance.report.probast import probast_section
from alliance.report.terminal import NARROWEST, to_ascii, wrap
from alliance.report.tested import sections
from alliance.report.tripod import tripod_section
from alliance.report.words import clean

if TYPE_CHECKING:
    from jinja2 import Template

Bundle = Mapping[str, Any]

TEMPLATE = "validation.html.j2"
TITLE = "Early dropout: a fitted model"
MOST_LINES = 40
HEADLINES = {
    "auc": "AUC in sessions",
    "auc_pooled": "AUC pooled",
    "slope": "slope",
    "citl": "CITL",
    "oe": "O/E",
}
USE = (
    "Intended use: an aid for research and supervision. Not for diagnosis, treatment selection or crisis "
    "detection; risk of harm is not assessed. Whoever deploys it must assess it first."
)
CLOSING = "NO_FLAG does not mean low risk. Most clients flagged do not drop out."


def page(bundle: Bundle) -> str:
    """Return a fitted model's report as one HTML page that needs nothing beside itself.

    Parameters
    ----------
    bundle : mapping
        The model as JSON, validated or not. What is null or not there is shown
        as not enough data.

    Returns
    -------
    str
        The page, ending with a newline, the same for the same bundle. All text is
        escaped; the page asks the browser to refuse every script and every request.
        Counts of 1 to 4 cases are not shown.

    Examples
    --------
    >>> "not validated yet" in page({"status": "exploratory", "validation": None})
    True
    """
    return _template().render(
        title=TITLE,
        subtitle=subtitle(bundle),
        synthetic=bool(at(bundle, "training", "synthetic")),
        status=status(bundle),
        sections=parts(bundle),
        footer=(USE, CLOSING),
        frame=curves,
    )


@functools.cache
def _template() -> Template:
    return pages.environment().get_template(TEMPLATE)


def subtitle(bundle: Bundle) -> str:
    """Return what was fitted on what, in one sentence."""
    training = at(bundle, "training")
    form = at(bundle, "instrument", "id") or "an unnamed instrument"
    definition = at(bundle, "definition", "id") or "not recorded"
    return (
        f"{whole(at(training, 'n_cases'))} cases, {tally(at(training, 'n_dropouts'))} dropouts "
        f"(definition {definition}), ratings of {form}; model of {at(bundle, 'created') or 'an unknown day'}."
    )


def parts(bundle: Bundle) -> tuple[Section, ...]:
    """Return the sections of the page in order."""
    return (
        verdict_section(bundle),
        gates_section(bundle),
        terms_section(bundle),
        *sections(bundle),
        equation_section(bundle),
        data_section(bundle),
        method_section(bundle),
        limits_section(bundle),
        tripod_section(bundle),
        probast_section(bundle),
    )


METHOD = (
    "One row for each session attended after which another was planned and what came next is known; the "
    "outcome is dropout before that next session.",
    "Predictors use nothing dated after the end of the session.",
    "A session without a rating keeps its row: the level is carried forward, the change is 0, and a term of "
    "its own says that the rating is missing.",
    "Dropouts are not re-balanced: that would spoil the probabilities.",
    "Standard errors are robust to cases of one therapist (or client) being alike.",
)
UNCHANGED = "The model was not updated or recalibrated after it was tested."


def method_section(bundle: Bundle) -> Section:
    """Return how any such model is made, in words, and what was changed after it was tested."""
    notes = rows_at(bundle, "recalibrations")
    if not notes:
        return Section(id="method", title="How it was made", blocks=(Bullets(items=(*METHOD, UNCHANGED)),))
    table = Table(
        caption="The intercept was refitted to newer data, all slopes as they were.",
        head=("Data up to", "Intercept before", "Intercept after", "Rows", "Dropouts"),
        rows=tuple(
            (
                recorded(at(note, "last_date")),
                exact(at(note, "before")),
                exact(at(note, "after")),
                whole(at(note, "n_rows")),
                tally(at(note, "n_events")),
            )
            for note in notes
        ),
    )
    return Section(id="method", title="How it was made", blocks=(Bullets(items=METHOD), table))


def summary_text(bundle: Bundle, *, width: int = 80, unicode: bool = True) -> str:
    """Return status, gates and headline numbers as text for a terminal.

    Parameters
    ----------
    bundle : mapping
        The model as JSON, validated or not.
    width : int
        Terminal cells a line may take; below 30 it counts as 30.
    unicode : bool
        False gives ASCII only; characters from the data become their Python escapes.

    Returns
    -------
    str
        At most 40 lines, the last one ending with a newline, without colour.

    Examples
    --------
    >>> summary_text({"validation": None}).splitlines()[0]
    'Exploratory: fitted, not validated yet. It may be shown, and orders nothing.'
    """
    lines: list[str] = []
    for text, first, rest in _lines(bundle):
        said = clean(text)
        lines += wrap(said if unicode else to_ascii(said), first, rest, max(width, NARROWEST))
    closing = wrap(CLOSING, "", "", max(width, NARROWEST))
    if len(lines) + len(closing) > MOST_LINES:
        room = MOST_LINES - len(closing) - 1
        lines = [*lines[:room], "... the report has the rest"]
    return "\n".join((*lines, *closing)) + "\n"


def _lines(bundle: Bundle) -> Iterator[tuple[str, str, str]]:
    """Yield what a summary says: text, what stands before the first line, and before the others."""
    yield verdict(bundle), "", "  "
    yield subtitle(bundle), "", "  "
    if at(bundle, "training", "synthetic"):
        yield "Synthetic data: no real person.", "", ""
    yield from _elsewhere(rows_at(bundle, "external"))
    for gate in rows_at(bundle, "gates"):
        mark = {"passed": "ok", "failed": "NO"}.get(answer(at(gate, "passed")), "? ")
        found = at(gate, "found")
        yield f"{at(gate, 'id')} {found}", f"  {mark} ", "        "
    if unmet(bundle) and at(bundle, "validation") is not None:
        yield "ok: passed, NO: failed, ?: not enough data", "  ", "  "
    if at(bundle, "validation") is not None:
        yield from _numbers(at(bundle, "validation"))
    yield from _terms(rows_at(bundle, "terms"))


def _terms(terms: tuple[Any, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield the coefficient of every term, and which way it goes."""
    if terms:
        yield "Terms, coefficient with 95 % interval; open: the other way is not ruled out:", "", "  "
    for term in terms:
        way = direction(term).split(" ", 1)[0] if ";" not in direction(term) else "open"
        words = str(at(term, "words") or at(term, "name"))
        yield f"{with_interval(term)} {words}", f"  {way:<8}", " " * 10


def _elsewhere(found: tuple[Any, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield how the model did on the latest data that it was not made of; all else is of its own data."""
    if not found:
        return
    last = found[-1]
    rows = f"{whole(at(last, 'rows', 'n'))} sessions, {tally(at(last, 'rows', 'events'))} dropouts"
    yield f"On the latest other data ({rows}), as it is:", "", "  "
    for name, called in HEADLINES.items():
        each = at(last, "metrics", name)
        yield spread(at(each, "value"), at(each, "low"), at(each, "high")), f"  {called:<16}", " " * 18
    yield "On its own data:", "", "  "


def _numbers(tested: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the headline numbers of a validation."""
    cv, corrected = at(tested, "cv"), at(tested, "corrected")
    yield "Cross-validated, 95 % interval; corrected for optimism:", "", "  "
    for name, called in HEADLINES.items():
        found = at(cv, name)
        value = spread(at(found, "value"), at(found, "low"), at(found, "high"))
        yield f"{value}; {fixed(at(corrected, name))}", f"  {called:<16}", " " * 18
    yield f"{fixed(at(tested, 'drf1', 'auc'))} on the same rows", f"  {'DRF-1 AUC':<16}", " " * 18
    model = at(tested, "threshold")
    yield (
        (
            f"hazard {fixed(at(model, 'value'), 4)}: flags {percent(at(model, 'flag_rate'))} of sessions, "
            f"finds {percent(at(model, 'sens'))} of dropouts, {percent(at(model, 'ppv'))} of flags are right"
        ),
        f"  {'Threshold':<16}",
        " " * 18,
    )
