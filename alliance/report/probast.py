"""A self-check along the four domains of PROBAST+AI: what the run can answer, and what a person must.

The questions are our own, shorter than the tool's 16 (development) and 18 (evaluation); a judgement of
risk of bias needs the tool itself, Moons et al. (2025), doi:10.1136/bmj-2024-082505, and a reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alliance.report.blocks import Section, Table, Text
from alliance.report.figures import at, exact, real, recorded, rows_at, tally, whole

Bundle = Mapping[str, Any]

DOMAINS = ("Participants and data sources", "Predictors", "Outcome", "Analysis")
YES, NO, UNKNOWN, AUTHORS = "yes", "no", "unknown", "for the authors"
BY_SESSIONS = frozenset({"lt_k", "median_split", "incomplete"})
"""Definitions of dropout that count sessions, which the model does too."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question: its domain (a place in DOMAINS), our words, the answer, and what it rests on."""

    domain: int
    asks: str
    answer: str
    why: str


def questions(bundle: Bundle) -> tuple[Question, ...]:
    """Return the questions by domain, answered yes, no or unknown where the run can know.

    Parameters
    ----------
    bundle : mapping
        A fitted model, validated or not.

    Returns
    -------
    tuple of Question
        By domain. `yes` speaks against bias, `no` for it.

    References
    ----------
    Moons, K. G. M., et al. (2025). https://doi.org/10.1136/bmj-2024-082505
    """
    return (*_participants(bundle), *_predictors(bundle), *_outcome(bundle), *_fit(bundle), *_test(bundle))


def probast_section(bundle: Bundle) -> Section:
    """Return the self-check as a table."""
    found = questions(bundle)
    said = (
        "A self-check along the tool's four domains, in questions of our own; no judgement of risk of bias. "
        "Yes speaks against bias, no for it. What no run can know is left to the authors. The tool: Moons et "
        "al. (2025), doi:10.1136/bmj-2024-082505."
    )
    table = Table(
        caption=f"{len(found)} questions in 4 domains.",
        head=("Domain", "Question", "Answer", "Because"),
        rows=tuple((DOMAINS[each.domain], each.asks, each.answer, each.why) for each in found),
        stacked=True,
    )
    return Section(id="probast", title="Self-check for bias (PROBAST+AI)", blocks=(Text(text=said), table))


def _ask(domain: int, asks: str, answer: bool | str | None, why: str) -> Question:
    """Return a question; True, False and None are yes, no and unknown."""
    word = answer if isinstance(answer, str) else {True: YES, False: NO, None: UNKNOWN}[answer]
    return Question(domain=domain, asks=asks, answer=word, why=why)


def _participants(bundle: Bundle) -> tuple[Question, ...]:
    """Return the questions on whom the data are of."""
    left_out = list((at(bundle, "training", "n_excluded") or {}).values())
    n = sum(real(value) or 0 for value in left_out)
    return (
        _ask(0, "Do the data suit the question?", AUTHORS, "Where the data come from is not in them."),
        _ask(0, "Were all eligible clients taken in?", AUTHORS, "Who never reached the data is not in them."),
        _ask(0, "Was nobody in the data left out?", n == 0, f"{tally(n)} cases left out, by reason above."),
        _ask(
            0,
            "Are the data real?",
            None if at(bundle, "training") is None else not at(bundle, "training", "synthetic"),
            "The model file says whether they are synthetic.",
        ),
    )


def _predictors(bundle: Bundle) -> tuple[Question, ...]:
    """Return the questions on what the forecast is made from."""
    added = rows_at(bundle, "covariates")
    form = at(bundle, "instrument")
    return (
        _ask(
            1,
            "Was each predictor scored alike for all?",
            at(form, "scoring_version") is not None or None,
            f"One instrument, {recorded(at(form, 'id'))}; one scoring version, "
            f"{recorded(at(form, 'scoring_version'))}.",
        ),
        _ask(1, "Were forms given alike to all?", AUTHORS, "How forms were given is not in the data."),
        _ask(
            1,
            "Were predictors measured before the outcome?",
            True if not added else AUTHORS,
            "Built-in terms use nothing dated after the end of the session."
            if not added
            else "Predictors of the user's own: when they were recorded is for the authors to say.",
        ),
        _ask(
            1,
            "Will they be known when the model is used?",
            True if not added else AUTHORS,
            "Each forecast uses what is on record at the end of that session."
            if not added
            else "Predictors of the user's own must be on record at each session.",
        ),
    )


def _outcome(bundle: Bundle) -> tuple[Question, ...]:
    """Return the questions on what is forecast."""
    name = recorded(at(bundle, "definition", "id"))
    known = at(bundle, "definition", "id") is not None
    counted = name in BY_SESSIONS
    alike = name != "unilateral"
    return (
        _ask(2, "Was dropout defined beforehand?", known or None, f"The named definition: {name}."),
        _ask(
            2,
            "Is the outcome free of the predictors?",
            not counted,
            "This definition counts sessions, and so does the model."
            if counted
            else "No predictor is part of this definition: it looks at what came after the session.",
        ),
        _ask(
            2,
            "Was it judged alike for all?",
            alike or None,
            "One rule for every case."
            if alike
            else "Where the reason is unknown, the last appointment decides; how often is not recorded.",
        ),
        _ask(2, "Did its judges not know the ratings?", AUTHORS, "Who recorded the ends is not in the data."),
    )


def _fit(bundle: Bundle) -> tuple[Question, ...]:
    """Return the questions on how the model was fitted."""
    gates = {at(gate, "id"): at(gate, "passed") for gate in rows_at(bundle, "gates")}
    enough = None if {gates.get("G1"), gates.get("G2")} & {None} else gates["G1"] and gates["G2"]
    added = rows_at(bundle, "covariates")
    competing = at(bundle, "competing") is not None or bool(rows_at(bundle, "validation", "incidence"))
    return (
        _ask(3, "Were there cases and dropouts enough?", enough, "Gates G1 and G2."),
        _ask(3, "Were ratings kept whole, not cut into classes?", True, "They enter as numbers."),
        _ask(
            3,
            "Were terms chosen without looking at the outcome?",
            True if not added else AUTHORS,
            "They are the same for every fit." if not added else "How the added predictors were chosen.",
        ),
        _ask(
            3,
            "Were missing ratings dealt with?",
            True,
            "Carried forward, with a term of their own; no session is left out for it.",
        ),
        _ask(3, "Was unfinished treatment dealt with?", True, "Rows end where the next session is unknown."),
        _ask(
            3,
            "Were other ends dealt with?",
            competing,
            "They are no dropout, and are shown beside it."
            if competing
            else "Neither modelled nor shown; fit with a hazard of other ends.",
        ),
        _ask(3, "Were the classes left as they are?", True, "No resampling to balance them."),
    )


def _test(bundle: Bundle) -> tuple[Question, ...]:
    """Return the questions on how the model was tested."""
    tested = at(bundle, "validation")
    there = tested is not None
    later = "Not validated yet."
    groups = len(rows_at(bundle, "fairness"))
    intervals = there and real(at(tested, "cv", "slope", "low")) is not None
    boots, folds = whole(at(tested, "n_boot")), whole(at(tested, "folds"))
    return (
        _ask(
            3,
            "Was overfitting allowed for?",
            there,
            f"Optimism from {boots} bootstrap samples, and {folds} folds." if there else later,
        ),
        _ask(
            3,
            "Were cases of one therapist or client kept together?",
            at(tested, "grouped_by") is not None,
            f"Folds by {recorded(at(tested, 'grouped_by'))}." if there else later,
        ),
        _ask(
            3,
            "Were discrimination and calibration both shown, with intervals?",
            intervals,
            "See performance." if intervals else later if not there else "Intervals are missing.",
        ),
        _ask(3, "Were groups of clients compared?", groups > 0, f"{exact(groups)} groups declared."),
        _ask(
            3,
            "Was it tested on other data?",
            bool(rows_at(bundle, "external")),
            "See On other data."
            if bool(rows_at(bundle, "external"))
            else "No other service, no later period.",
        ),
    )
