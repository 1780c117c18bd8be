"""A definition drafted from the items of a file without a scoring key: what is not said is not guessed."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any, Self

from alliance.definition import draft_definition
from alliance.errors import ScaleError
from alliance.exchange.envelope import Imported
from alliance.exchange.items import listed, several, shown
from alliance.scale import parse_definition, plain

UNSAID_STEP = Fraction(1, 10)
MOST_STEPS = 100
"""How far a row of answers is looked through for gaps."""
MISSING_CODES = frozenset(
    Fraction(sign * int(digit * length)) for sign in (1, -1) for digit in "6789" for length in range(1, 5)
)
"""Numbers that stand for no answer where they do not continue the row of the others: 9, 99, -99 and so on."""
KEY = "the file holds no scoring key: state reversed items, subscales and method"
CAUTION = (
    "no scoring key was in the file it comes from: nothing is reversed, there are no subscales, "
    "and that a score is a sum is an assumption"
)
UNSAID = (
    "whether a score is the sum or the mean is not said: the sum is taken",
    "who fills the form in, what it measures and which way is better are not said: client, alliance and "
    "higher is better are taken",
    "the item texts stay in the file: a definition holds no item wording",
)
CHANGED = (
    "the items of the file are not those of the definition in it: they were changed after the export, "
    "and the definition was taken as it is"
)
Bounds = tuple[Fraction, Fraction]


@dataclass(frozen=True, kw_only=True)
class ForeignItem:
    """One item as a foreign file describes it.

    Attributes
    ----------
    name : what the file calls it
    bounds : its lowest and highest answer
    step : what its answers are multiples of, counted from the lowest one
    words : answer → printed word, in the order of the file; empty for a line
    dropped : choices that are no answers: codes of a missing answer, and words without a number
    gaps : numbers between the answers that are none
    guessed : whether the file leaves the step open
    """

    name: str
    bounds: Bounds
    step: Fraction
    words: Mapping[Fraction, str]
    dropped: tuple[str, ...] = ()
    gaps: tuple[Fraction, ...] = ()
    guessed: bool = False

    @classmethod
    def of_choices(cls, name: str, pairs: Sequence[tuple[str, str]]) -> Self | None:
        """Return the item with these pairs of number and word; None if fewer than two are numbers."""
        numbers = {code: Fraction(code) for code, _ in pairs if is_number(code)}
        values = _scored(sorted(set(numbers.values())))
        if len(values) < 2:  # noqa: PLR2004  one answer tells nothing
            return None
        step = _common(values)
        n_steps = min(int((values[-1] - values[0]) / step), MOST_STEPS)
        row = [values[0] + step * place for place in range(n_steps + 1)]
        return cls(
            name=name,
            bounds=(values[0], values[-1]),
            step=step,
            words={numbers[code]: _tidy(word) for code, word in pairs if numbers.get(code) in values},
            dropped=tuple(code for code, _ in pairs if numbers.get(code) not in values),
            gaps=tuple(value for value in row if value not in values),
        )

    @classmethod
    def of_line(cls, name: str, low: str, high: str, *, places: int | None) -> Self | None:
        """Return the item with any number of `places` decimals in a range; None if there is no range."""
        if not (is_number(low) and is_number(high)):
            return None
        bounds = (Fraction(low), Fraction(high))
        step = UNSAID_STEP if places is None else Fraction(1, 10**places)
        fits = step <= bounds[1] - bounds[0]
        return cls(name=name, bounds=bounds, step=step, words={}, guessed=places is None) if fits else None

    @property
    def low(self) -> float:
        """The lowest answer."""
        return plain(float(self.bounds[0]))

    @property
    def high(self) -> float:
        """The highest answer."""
        return plain(float(self.bounds[1]))

    @property
    def falling(self) -> bool:
        """Whether its choices stand in the file from the highest number down."""
        return bool(self.words) and list(self.words) == sorted(self.words, reverse=True)

    @property
    def mirrored(self) -> dict[Fraction, str]:
        """Words of the item if its numbers ran the other way."""
        return {sum(self.bounds, Fraction()) - value: word for value, word in self.words.items()}


def is_number(text: str) -> bool:
    """Return whether `text` is a number of a form: no exponent, no infinity, at most nine digits a side."""
    return re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text) is not None


def slug(*names: str) -> str:
    """Return an id made of the first name that has a letter or a digit.

    >>> slug("", "My Form (2nd)")
    'my-form-2nd'
    """
    for name in names:
        ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        if words := re.findall(r"[a-z0-9]+", ascii_):
            return "-".join(words)
    return "imported-form"


def draft(
    items: Sequence[ForeignItem],
    *,
    id: str,
    name: str,
    source: str,
    told: Sequence[str] = (),
    **fields: Any,
) -> Imported:
    """Return a provisional definition of the foreign `items`, and what a person must be told of it.

    Parameters
    ----------
    items : sequence of ForeignItem
        In the order of the form. The most frequent range is that of the form; the others become ranges of
        their own.
    source : where the items were seen, as it stands in the definition
    told : what the reader of the file has to tell
    **fields : further fields of the definition; an empty one is not said

    Raises
    ------
    ScaleError
        If there is no item.
    """
    if not items:
        message = "the file holds no item with numeric answers"
        hint = "every answer needs its number: an ordinal value, a numeric code, or a lowest and highest one"
        raise ScaleError(message, where=told, hint=hint)
    usual = Counter(item.bounds for item in items).most_common(1)[0][0]
    step = reduce(_divisor, (item.step for item in items))
    words, worded = _words([(n, item) for n, item in enumerate(items, 1) if item.bounds == usual])
    down = [n for n, item in enumerate(items, 1) if item.falling]
    given = {
        "step": plain(float(step)) if step != 1 else None,
        "anchors": words,
        "descending": down,
        **fields,
    }
    said: dict[str, Any] = {field: value for field, value in given.items() if value}
    drafted = draft_definition(
        id=id, name=name, items=len(items), min=plain(float(usual[0])), max=plain(float(usual[1])),
        method="sum", citation=source, sources=[source], cautions=[CAUTION], **said,
    )  # fmt: skip
    notes = (KEY, *UNSAID, *worded, *_range_notes(items, usual), *_answer_notes(items), *told)
    return _with_own_ranges(drafted, items, usual), notes


def left_out(why: str, names: Sequence[str]) -> Iterator[str]:
    """Yield the sentence about what is left out, if anything is."""
    if names:
        yield f"left out, {why}: {listed(names)}"


def _scored(values: list[Fraction]) -> list[Fraction]:
    """Return the answers without the codes of a missing answer, which stand apart from the row."""
    core = [value for value in values if value not in MISSING_CODES]
    if len(core) < 2:  # noqa: PLR2004  a step needs two
        return values
    low, high, step = core[0], core[-1], _common(core)
    while high + step in values:
        high += step
    while low - step in values:
        low -= step
    return [value for value in values if low <= value <= high]


def _common(values: Sequence[Fraction]) -> Fraction:
    return reduce(_divisor, (value - values[0] for value in values[1:]))


def _divisor(one: Fraction, other: Fraction) -> Fraction:
    below = math.lcm(one.denominator, other.denominator)
    return Fraction(math.gcd(int(one * below), int(other * below)), below)


def _tidy(word: str) -> str:
    return " ".join(word.split())


def _words(items: Sequence[tuple[int, ForeignItem]]) -> tuple[dict[str, str], list[str]]:
    """Return the words that all items share, and what is to be told of items with others."""
    kinds = [(n, item, _folded(item.words)) for n, item in items if item.words]
    if not kinds:
        return {}, []
    usual = Counter(kind for _, _, kind in kinds).most_common(1)[0][0]
    turned = [n for n, item, kind in kinds if kind != usual and _folded(item.mirrored) == usual]
    other = [n for n, _, kind in kinds if kind != usual and n not in turned]
    notes = []
    if turned:
        notes.append(
            f"{several('item', turned)}: their words have the numbers of most items the other way round; "
            "if these are keyed already, do not reverse them again"
        )
    if other:
        notes.append(f"{several('item', other)}: other words than most items, no anchors are taken over")
        return {}, notes
    first = next(item for _, item, kind in kinds if kind == usual)
    said = {shown(float(value)): text for value, text in sorted(first.words.items())}
    return {number: text for number, text in said.items() if text and text != number}, notes


def _folded(words: Mapping[Fraction, str]) -> frozenset[tuple[Fraction, str]]:
    return frozenset((value, word.casefold()) for value, word in words.items())


def _range_notes(items: Sequence[ForeignItem], usual: Bounds) -> Iterator[str]:
    own = [n for n, item in enumerate(items, 1) if item.bounds != usual]
    if own:
        span = f"{shown(float(usual[0]))} to {shown(float(usual[1]))}"
        yield (
            f"{several('item', own)}: another range; before a score is formed, their answers are laid onto "
            f"{span}, the range of most items"
        )


def _answer_notes(items: Sequence[ForeignItem]) -> Iterator[str]:
    for n, item in enumerate(items, 1):
        if item.dropped:
            yield f"item {n} ({item.name}): not taken for answers: {listed(item.dropped)}"
        if item.gaps:
            missing = listed(shown(float(value)) for value in item.gaps)
            yield f"item {n} ({item.name}): there is no answer {missing}, which the range allows"
    guessed = [n for n, item in enumerate(items, 1) if item.guessed]
    if guessed:
        yield f"{several('item', guessed)}: how fine the answers are is not said: steps of 0.1 are taken"


def _with_own_ranges(drafted: dict[str, Any], items: Sequence[ForeignItem], usual: Bounds) -> dict[str, Any]:
    own = {str(n): [item.low, item.high] for n, item in enumerate(items, 1) if item.bounds != usual}
    if not own:
        return drafted
    ends = ([item.low for item in items], [item.high for item in items])
    vectors = [{**vector, "answers": end} for vector, end in zip(drafted["vectors"], ends, strict=True)]
    table = {**drafted, "item_ranges": own, "vectors": vectors}
    parse_definition(table, origin=str(table["id"]))
    return table
