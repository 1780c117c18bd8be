"""The 27 items of TRIPOD+AI, filled from a bundle: what is reported here, and what its authors must write.

Item numbers and headings follow Collins et al. (2024), BMJ 385:e078378; the labels are our own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from alliance.report.blocks import Link, Section, Table, Text
from alliance.report.figures import NONE, at, fixed, recorded, rows_at, spread, tally, whole

Bundle = Mapping[str, Any]

HERE = "reported here"
PART = "in part"
AUTHORS = "not in the data: to be written by the authors"
LATER = "not yet: validate the model first"
STATUSES = (HERE, PART, LATER, AUTHORS)
SOURCE = "Collins et al. (2024), BMJ 385:e078378, doi:10.1136/bmj-2023-078378"


LABELS = (
    ("Title", "Study named as prediction, for whom, of what"),
    ("Abstract", "Summary by the abstract checklist"),
    ("Background", "Why this model, for whom and whom by; known inequalities"),
    ("Objectives", "Aims: building a model, testing it, or both"),
    ("Data", "Sources, dates, how typical"),
    ("Participants", "Setting, who was eligible, treatments"),
    ("Data preparation", "Cleaning and checks of the data"),
    ("Outcome", "What is predicted, when, judged how and by whom"),
    ("Predictors", "Which, why, measured when, by whom"),
    ("Sample size", "How many, and whether enough"),
    ("Missing data", "What was done where data are missing"),
    ("Analytical methods", "Model, building steps, resampling, clusters, measures"),
    ("Class imbalance", "Whether rare outcomes were re-balanced"),
    ("Fairness", "What was done for fairness, and why"),
    ("Model output", "What it puts out, and where thresholds come from"),
    ("Training versus evaluation", "How the two sets of data differ"),
    ("Ethical approval", "Approval and consent"),
    ("Open science", "Funding, interests, protocol, registration, data, code"),
    ("Patient and public involvement", "Whether clients had a say in the study"),
    ("Participants", "Flow and characteristics of those studied"),
    ("Model development", "How many in each analysis"),
    ("Model specification", "The whole model, for others to use"),
    ("Model performance", "Performance with intervals, also in groups and clusters"),
    ("Model updating", "What changed after testing"),
    ("Interpretation", "What it means, fairness included"),
    ("Limitations", "What limits it, and with what effect"),
    ("Usability in current care", "Poor input, skills needed, next steps"),
)
"""Heading of each item in order, and in our words what it asks for."""


class Said(NamedTuple):
    """What a run says of an item, and in which section; what it cannot say; what a validation will say."""

    here: str = ""
    section: str = ""
    authors: str = ""
    later: bool = False


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item: number, the statement's heading, our label, what the run says, what it cannot say.

    `here` is empty where the run says nothing, `authors` where it says all; `section` is where it says it.
    `later` marks what a validation will say, and there is none yet.
    """

    number: int
    heading: str
    label: str
    here: str = ""
    section: str = ""
    authors: str = ""
    later: bool = False

    @property
    def status(self) -> str:
        """Return whether the item is reported here, in part, not yet, or not at all."""
        if not self.here:
            return LATER if self.later else AUTHORS
        return PART if self.authors or self.later else HERE


def items(bundle: Bundle) -> tuple[Item, ...]:
    """Return the 27 items in order.

    Parameters
    ----------
    bundle : mapping
        A fitted model, validated or not. What needs a validation is left to a
        later run where there is none, and is never called reported.

    Returns
    -------
    tuple of Item
        Numbers 1 to 27, each once.

    References
    ----------
    Collins, G. S., et al. (2024). https://doi.org/10.1136/bmj-2023-078378
    """
    said = (*_opening(), *_design(bundle), *_analysis(bundle), *_openness(), *_results(bundle))
    all_said = (*said, *_discussion(bundle))
    return tuple(
        Item(number=number, heading=heading, label=label, **each._asdict())
        for number, ((heading, label), each) in enumerate(zip(LABELS, all_said, strict=True), 1)
    )


def tripod_section(bundle: Bundle) -> Section:
    """Return the checklist as a table, with how many items are reported."""
    found = items(bundle)
    n = {status: sum(item.status == status for item in found) for status in STATUSES}
    later = f", {n[LATER]} will be once the model is validated" if n[LATER] else ""
    said = (
        f"{n[HERE]} of {len(found)} items are reported here, {n[PART]} in part{later}, {n[AUTHORS]} not: "
        "what they ask for is not in the data. Labels are ours; "
        f"the statement's own text counts: {SOURCE}."
    )
    table = Table(
        caption="TRIPOD+AI, item by item.",
        head=("Item", "Heading", "Asks for", "Status", "In this report", "To be written by the authors"),
        rows=tuple(_row(item) for item in found),
        stacked=True,
    )
    return Section(id="tripod", title="Reporting checklist (TRIPOD+AI)", blocks=(Text(text=said), table))


def _row(item: Item) -> tuple[Any, ...]:
    where = Link(words=item.here, to=item.section) if item.here and item.section else item.here
    return (str(item.number), item.heading, item.label, item.status, where or "-", item.authors or "-")


def _tested(bundle: Bundle, words: str) -> str:
    """Return `words` if there is a validation, nothing otherwise."""
    return "" if at(bundle, "validation") is None else words


def _opening() -> tuple[Said, ...]:
    """Return items 1 to 4: title, abstract, background, objectives."""
    return (
        Said(authors="title"),
        Said(authors="abstract"),
        Said("intended use", "use", "context, earlier models, the care pathway, known health inequalities"),
        Said(authors="objectives of the study"),
    )


def _design(bundle: Bundle) -> tuple[Said, ...]:
    """Return items 5 to 11: data, participants, preparation, outcome, predictors, size, missing data."""
    training = at(bundle, "training")
    dates = f"dates {at(training, 'first_date') or NONE} to {at(training, 'last_date') or NONE}"
    left_out = f"left out, by reason: {len(at(training, 'n_excluded') or {})} reasons"
    dropout = f"definition {recorded(at(bundle, 'definition', 'id'))}, before the next session"
    names = ", ".join(str(at(term, "name")) for term in rows_at(bundle, "terms"))
    known = f"{names}; known by the end of each session"
    prepared = "scoring version and standardisation"
    missing = "level carried forward, missing ratings a term of their own; no session left out for it"
    return (
        Said(dates, "data", "source of the data, why these, how representative"),
        Said(left_out, "data", "setting, centres, eligibility, treatments given"),
        Said(prepared, "data", "checks made before, and whether they were alike in all groups"),
        Said(dropout, "data", "why this definition, who recorded the reasons, whether blind to ratings"),
        Said(known, "equation", "why these, and how ratings were collected"),
        _size(bundle),
        Said(missing, "equation", "why ratings are missing"),
    )


def _size(bundle: Bundle) -> Said:
    """Return item 10: sample size."""
    asked = whole(at(bundle, "validation", "sample_size", "riley"))
    there = whole(at(bundle, "training", "n_closed"))
    said = _tested(bundle, f"{asked} clients asked for, {there} there")
    return Said(said, "size", "how the number of cases came about", later=not said)


def _analysis(bundle: Bundle) -> tuple[Said, ...]:
    """Return items 12 to 17: methods, imbalance, fairness, output, differences, ethics."""
    tested = at(bundle, "validation")
    resampled = f"{whole(at(tested, 'folds'))} folds, {whole(at(tested, 'n_boot'))} bootstrap samples"
    method = _tested(bundle, resampled) or "not validated"
    model = f"discrete-time hazard, link {recorded(at(bundle, 'link'))}; {method}"
    threshold = at(bundle, "threshold", "value")
    output = "no threshold set" if threshold is None else f"REVIEW from {fixed(threshold, 4)}"
    return (
        Said(model, "performance", later=tested is None),
        Said("not re-balanced, by design", "method"),
        _fairness(bundle),
        Said(f"a probability; {output}", "equation"),
        _differences(bundle),
        Said(authors="ethics committee, consent or waiver"),
    )


def _fairness(bundle: Bundle) -> Said:
    """Return item 14: fairness."""
    added = any(at(each, "demographic") for each in rows_at(bundle, "covariates"))
    terms = "demographic terms, by request" if added else "no demographic terms"
    section = "data" if at(bundle, "validation") is None else "fairness"
    said = f"{terms}; {len(rows_at(bundle, 'fairness'))} groups compared"
    return Said(said, section, "which groups matter here, and why")


def _differences(bundle: Bundle) -> Said:
    """Return item 16: how the data it was made from and those it was tested on differ."""
    if rows_at(bundle, "external"):
        authors = "how the other data differ in setting, clients, outcome and predictors"
        return Said("other data beside its own", "external", authors)
    said = _tested(bundle, "the same cases, by resampling; no other data")
    return Said(said, "verdict", later=not said)


def _openness() -> tuple[Said, ...]:
    """Return items 18 and 19: open science, and the involvement of clients and the public."""
    authors = "funding, conflicts of interest, protocol, registration, access to data and code"
    return (
        Said("software and version, seed, hash of the data", "data", authors),
        Said(authors="involvement of clients and the public, or that there was none"),
    )


def _results(bundle: Bundle) -> tuple[Said, ...]:
    """Return items 20 to 24: participants, development, specification, performance, updating."""
    training, auc = at(bundle, "training"), at(bundle, "validation", "cv", "auc")
    flow = f"{whole(at(training, 'n_cases'))} cases, {tally(at(training, 'n_dropouts'))} dropouts"
    counted = f"{whole(at(training, 'n_rows'))} rows, {tally(at(training, 'n_events'))} events"
    scored = f"AUC {spread(at(auc, 'value'), at(auc, 'low'), at(auc, 'high'))}; calibration; net benefit"
    return (
        Said(flow, "data", "characteristics of clients, treatments, follow-up"),
        Said(counted, "data"),
        Said("formula with all numbers", "equation", "conditions of access and re-use"),
        Said(_tested(bundle, scored), "performance", later=at(bundle, "validation") is None),
        Said("intercept refitted" if rows_at(bundle, "recalibrations") else "not updated", "method"),
    )


def _discussion(bundle: Bundle) -> tuple[Said, ...]:
    """Return items 25 to 27: interpretation, limitations, usability."""
    limits = f"{len(rows_at(bundle, 'limits'))} limits of the model file, and general ones"
    poor = "missing ratings; cases outside the range seen"
    return (
        Said(authors="interpretation against aims and earlier studies"),
        Said(limits, "limits", "limits of this study, and what they do to the result"),
        Said(poor, "equation", "who uses it and with what training; next steps"),
    )
