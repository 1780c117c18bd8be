"""What a coefficient says, in words that know which way an outcome is better."""

from __future__ import annotations

from alliance.outcome.model import BETWEEN, WITHIN, Term

BETTER = ("higher", "lower")
"""Which way an outcome is better; None where nobody said."""

OPEN = "open"
"""The 95 % interval holds 0: neither the one nor the other can be told."""


def reading(term: Term, better: str | None, *, reverse: bool = False) -> str:
    """Return which way a term points, in a word or two; empty for what is not alliance or outcome.

    Parameters
    ----------
    term : Term
    better : `higher` or `lower`, which way the outcome is better; None = not known
    reverse : bool
        The term is the outcome's and what follows is alliance.

    Returns
    -------
    str
        `better` or `worse`: the outcome that goes with more alliance. In reverse `more` or `less`: the
        alliance that goes with a better outcome. Without `better` the plain direction of the numbers.
    """
    if term.name not in {WITHIN, BETWEEN}:
        return ""
    if not term.told_from_zero:
        return OPEN
    up = term.estimate > 0
    if better is None:
        return "higher" if up else "lower"
    good = up == (better == "higher")
    words = ("more", "less") if reverse else ("better", "worse")
    return words[0] if good else words[1]


def sentence(term: Term, better: str | None, *, lag: int, reverse: bool = False) -> str:
    """Return what a within or between term says, as a sentence; empty for the other terms.

    Examples
    --------
    >>> term = Term(name="within", estimate=-0.5, se=0.1, df=20, t=-5.0, p=0.0, low=-0.7, high=-0.3)
    >>> sentence(term, "lower", lag=1)
    'A session with more alliance than usual goes with a better outcome at the next session.'
    """
    word = reading(term, better, reverse=reverse)
    if not word:
        return ""
    first = _more(better, reverse=reverse)
    follows = {0: "at the same session", 1: "at the next session"}.get(lag, f"{lag} sessions later")
    when, who = f" {follows}", f"A session with {first} than usual goes"
    if term.name == BETWEEN:
        when, who = "", f"Cases with {first} on the whole go"
    noun = "alliance" if reverse else "outcome"
    if word == OPEN:
        return f"{who} with neither a higher nor a lower {noun}{when} that could be told from chance."
    article = "" if reverse and better is not None else "a "
    return f"{who} with {article}{word} {noun}{when}."


def _more(better: str | None, *, reverse: bool) -> str:
    if not reverse:
        return "more alliance"
    return "a higher outcome" if better is None else "a better outcome"
