"""The words every renderer shares: levels, numbers, counts, and text from data made safe to show."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from alliance.report.view import CaseView, StudyView

FOOTER = (
    "NO FLAG does not mean low risk. Most clients flagged do not drop out.",
    "A level is a reason for a conversation about how the work is going, not a forecast about a person.",
    "Possible topics: goals; practical barriers; expectations. What is done is for the clinician to choose.",
    "Risk of harm is not assessed here. Not for diagnosis, treatment selection or crisis detection.",
)


@dataclass(frozen=True, kw_only=True)
class Level:
    """How a level is shown: its mark in ASCII and its word. Colour is never the only cue."""

    name: str
    mark: str
    word: str

    def __str__(self) -> str:
        """Return the mark and the word."""
        return f"{self.mark} {self.word}"


LEVELS = {
    level.name: level
    for level in (
        Level(name="REVIEW", mark="!!", word="REVIEW"),
        Level(name="WATCH", mark="!", word="WATCH"),
        Level(name="INSUFFICIENT_DATA", mark="?", word="INSUFFICIENT DATA"),
        Level(name="NO_FLAG", mark="-", word="NO FLAG"),
    )
}


def clean(text: str) -> str:
    r"""Return `text` on one line, without control, direction or unassigned characters.

    >>> clean("C7\x1b[31m")
    'C7[31m'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " * c.isspace() for c in text)


def number(value: float | None) -> str:
    """Return a score as people read it, with one or two decimals; empty where there is none.

    >>> number(34.0), number(3.8333), number(None)
    ('34.0', '3.83', '')
    """
    if value is None or math.isnan(value):
        return ""
    text = f"{value + 0.0:.2f}"
    return text[:-1] if text.endswith("0") else text


def chances(p_next: float, p_3: float) -> str:
    """Return the probabilities of a model in words; what rounds to none or all is not taken for it.

    >>> chances(0.071, 0.18), chances(0.004, math.nan)
    ('7 % before the next session, 18 % within three', 'below 1 % before the next session')
    """
    soon = f"{_percent(p_next)} before the next session"
    return soon if math.isnan(p_3) else f"{soon}, {_percent(p_3)} within three"


def _percent(p: float) -> str:
    if 100 * p < 1:
        return "below 1 %"
    return "above 99 %" if 100 * (1 - p) < 1 else f"{100 * p:.0f} %"


def count(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "case"), count(1200, "case")
    ('1 case', '1,200 cases')
    """
    return f"{n:,} {noun}" + "s" * (n != 1)


def size(view: StudyView) -> str:
    """Return how much was read, of which forms."""
    forms = f" of {view.forms}" if view.forms else ""
    return f"{count(view.n_cases, 'case')}, {count(view.n_forms, 'form')}{forms}."


def points(case: CaseView) -> str:
    """Return the points in words; a case that could not be judged has none, not zero."""
    if case.level == "INSUFFICIENT_DATA":
        return "no points"
    return count(case.points, "point")


def basis(case: CaseView) -> str:
    """Return what the last rating is, how many there are, and how old the newest is."""
    if case.last_rating is None:
        return "no rating"
    age = f", latest {count(case.rating_age, 'session')} old" if case.rating_age else ""
    return f"last rating {number(case.last_rating)} ({count(case.n_ratings, 'rating')}{age})"


def when(case: CaseView) -> str:
    """Return the session a case stands at."""
    return "no session" if case.session is None else f"session {case.session}"


def rupture(case: CaseView) -> str:
    """Return the rupture in one sentence that names its subject once."""
    text = clean(case.rupture).rstrip(". ") or "not evaluated"
    if text.lower().startswith("rupture"):
        return f"{text[:1].upper()}{text[1:]}."
    return f"Rupture: {text}."


def counts(levels: Iterable[str]) -> str:
    """Return how many cases there are at each level that occurs, in the order of urgency."""
    names = list(levels)
    found = [(names.count(name), level.word) for name, level in LEVELS.items()]
    return ", ".join(f"{n:,} {word}" for n, word in found if n)
