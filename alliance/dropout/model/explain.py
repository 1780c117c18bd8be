"""Contributions of a model's terms → one line of words for each case."""

from __future__ import annotations

from typing import Any

import numpy as np

from alliance.dropout.model.design import MISSING, POWERS, session_of
from alliance.dropout.model.hazard import HazardModel, Term
from alliance.dropout.model.rows import Rows

Array = np.ndarray[Any, Any]

WIDTH = 100
"""Most characters of an explanation."""

SLIGHT = 0.05
"""Contributions to the linear predictor up to this size are not mentioned, by design."""

NOTHING = "near the average of the data this model was built on"
MORE = " …"

_TWO_SIDED = {
    "level": ("ratings below average", "ratings above average"),
    "change": ("latest rating lower than before", "latest rating higher than before"),
}
_ONE_SIDED = {"no_shows": "missed appointment", "missing": "no rating this session"}


def explain(model: HazardModel, rows: Rows) -> Array:
    """Return in words what raises and what lowers the probability of each row, object, shape (rows,).

    The biggest contribution comes first, then what works in the same direction, then the other direction;
    what would make the line longer than 100 characters is left to an ellipsis. Terms of the session number
    count as one. A contribution compares with the average rating, no missed appointment, and the first
    session. It is what the model adds up, no cause.

    Examples
    --------
    A line reads `raises: ratings below average, missed appointment; lowers: session 2`.
    """
    size, texts, lengths = _mentions(model, rows)
    if not len(size) or not len(rows):
        return np.full(len(rows), NOTHING, dtype=object)
    order = np.argsort(-np.abs(size), axis=0, kind="stable")
    size, texts, lengths = (np.take_along_axis(each, order, axis=0) for each in (size, texts, lengths))
    line = _Lines(len(rows))
    for raises in (size[0] > 0, size[0] <= 0):
        line.turn(raises)
        for each, text, length in zip(size, texts, lengths, strict=True):
            line.add(text, length, where=(np.abs(each) > SLIGHT) & ((each > 0) == raises))
    return np.where(line.text == "", NOTHING, np.where(line.full, line.text + MORE, line.text))


class _Lines:
    """Lines in the making, one for each row."""

    def __init__(self, n: int) -> None:
        self.text = np.full(n, "", dtype=object)
        self.length, self.full = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
        self.lead, self.lead_length = self.text, self.length

    def turn(self, raises: Array) -> None:
        """Begin with what raises, or lowers, the probability of each row."""
        begun = self.length > 0
        between = np.where(begun, "; ", "").astype(object)
        self.lead = between + np.where(raises, "raises: ", "lowers: ").astype(object)
        self.lead_length = np.where(begun, 2, 0) + len("raises: ")

    def add(self, text: Array, length: Array, *, where: Array) -> None:
        """Add a mention `where` it is wanted and there is room; no further one where there was none."""
        fits = self.length + self.lead_length + length <= WIDTH - len(MORE)
        now = where & fits & ~self.full
        self.text = np.where(now, self.text + self.lead + text, self.text)
        self.length = np.where(now, self.length + self.lead_length + length, self.length)
        self.lead, self.lead_length = np.where(now, ", ", self.lead), np.where(now, 2, self.lead_length)
        self.full |= where & ~fits


def _mentions(model: HazardModel, rows: Rows) -> tuple[Array, Array, Array]:
    """Return contributions worth a mention, their words and the lengths of those, (mentions, rows) each."""
    contributions = model.contributions(rows).T
    clock = np.array([_is_time(each) for each in model.terms], dtype=bool)
    sizes, texts, lengths = [], [], []
    if clock.any():
        known, place = np.unique(rows.session, return_inverse=True)
        names = np.array([f"session {each}" for each in known.tolist()], dtype=object)
        sizes.append(contributions[clock].sum(axis=0))
        texts.append(names[place])
        lengths.append(np.array([len(each) for each in names.tolist()], dtype=np.int64)[place])
    for term, size in zip(model.terms, contributions, strict=True):
        if not _is_time(term):
            low, high = _words(term)
            below = size * term.coef < 0
            sizes.append(size)
            texts.append(np.where(below, low, high).astype(object))
            lengths.append(np.where(below, len(low), len(high)))
    if not sizes:
        none = np.zeros((0, len(rows)))
        return none, none, none
    return np.stack(sizes), np.stack(texts), np.stack(lengths)


def _is_time(term: Term) -> bool:
    return term.name == "log_session" or term.name in POWERS or session_of(term.name) is not None


def _words(term: Term) -> tuple[str, str]:
    """Return the words for a case that stands below, and above, the average of the training data."""
    if term.name in _ONE_SIDED:
        return (_ONE_SIDED[term.name],) * 2
    if term.name.endswith(MISSING):
        return (f"{term.name.removesuffix(MISSING)} not recorded",) * 2
    return _TWO_SIDED.get(term.name, (f"{term.name} below average", f"{term.name} above average"))
