"""Answer cells → numbers: words, missing codes, decimal commas; no single answer, no guess."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alliance.readers.mapping import Mapping, plain
from alliance.readers.problems import Kind
from alliance.scale import Scale

Array = np.ndarray[Any, Any]

ANSWER, BLANK, MISSING, UNREADABLE, OUTSIDE, BROKEN = range(6)
TOLERANCE = 1e-9
DASHES = "-\u2013\u2014"
MISSING_WORDS = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "null", "#null!", "none", ".", *DASHES, "k.a.", "[not completed]")
)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)")
_LETTERS = r"[^\W\d_]+(?:[ '\u2019\-][^\W\d_]+)*"
_DIGITS = r"([0-9]+(?:[.,][0-9]+)?)"
_NUMBER_WORD = re.compile(rf"\(?{_DIGITS}\)?(?: ?[{DASHES}=:] ?| \(|(?<=\)) ?)({_LETTERS})\)?")
_WORD_NUMBER = re.compile(rf"({_LETTERS})(?: \(| ?[{DASHES}=:] ){_DIGITS}\)?")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How the answer cells of one form are read.

    `words` are those of the mapping, `spoken` those for forms in one language (language → word → number; ""
    = another language). `levels` is what the file itself says, by item number: code → word, as in Export;
    `codes` is the same for a single item, as what a cell is read as. `turned` are numbers of items whose
    numbers were turned round before.
    """

    scale: Scale
    words: dict[str, float]
    anchors: dict[str, float]
    missing: frozenset[str]
    missing_numbers: frozenset[float]
    shift: float
    spoken: Table[str, Table[str, float]] = field(default_factory=dict)
    levels: Table[int, Table[str, str]] = field(default_factory=dict)
    turned: frozenset[int] = frozenset()
    codes: Table[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Cells as numbers (NaN = not answered, or not usable) with what each cell was; both of one shape."""

    numbers: Array
    kinds: Array

    @property
    def given(self) -> Array:
        """Where something was answered, usable or not."""
        return np.asarray((self.kinds == ANSWER) | (self.kinds >= UNREADABLE))


def rules_for(scale: Scale, mapping: Mapping, missing: tuple[str, ...] = ()) -> Rules:
    """Return the rules for the answers of `scale`; `missing` codes add to those of the mapping."""
    codes = frozenset(plain(code) for code in (*mapping.missing, *missing))
    numbers = frozenset(number for code in codes if (number := number_of(code)) is not None)
    own = mapping.worded.get(plain(scale.id), {})
    common = {**mapping.answers, **own.get("", {})}
    spoken = {language: {**common, **words} for language, words in own.items()}
    return Rules(
        scale=scale,
        words=spoken.get(plain(mapping.language), common),
        anchors={plain(text): value for value, text in scale.anchors.items()},
        missing=codes,
        missing_numbers=numbers,
        shift=mapping.shift,
        spoken=spoken,
    )


def convert(texts: Array, rules: Rules) -> Answers:
    """Return the answers in an array of texts, first axis items; each different text is looked at once."""
    if texts.ndim == 2 and (alike := _groups_of_items(rules)):  # noqa: PLR2004  items by forms
        return _convert_by_item(texts, alike)
    codes, words = _different(texts)
    read = [read_answer(word, rules) for word in words]
    numbers = np.array([number for number, _ in read], dtype=float)
    kinds = np.array([kind for _, kind in read], dtype=np.int8)
    return Answers(numbers=numbers[codes].reshape(texts.shape), kinds=kinds[codes].reshape(texts.shape))


def convert_spoken(texts: Array, languages: Array, rules: Rules) -> Answers:
    """Return the answers of forms in several languages; `languages` has one for each form (second axis).

    A form that does not say its language is read in that of the mapping; one in a language that has no words
    of its own is read by the words for all.
    """
    found = convert(texts, rules)
    for language in dict.fromkeys(languages) if rules.spoken else ():
        words = rules.spoken.get(plain(language), rules.spoken[""])
        if plain(language) not in MISSING_WORDS and words != rules.words:
            forms = np.flatnonzero(languages == language)
            spoken = convert(texts[:, forms], replace(rules, words=dict(words)))
            found.numbers[:, forms], found.kinds[:, forms] = spoken.numbers, spoken.kinds
    return found


def rules_of_item(rules: Rules, number: int) -> Rules:
    """Return the rules of item `number` (from 1) alone; `turned` is {1} or empty."""
    low, high = rules.scale.item_bounds[number - 1]
    usual = (low, high) == (rules.scale.min, rules.scale.max)
    own = replace(
        rules,
        scale=replace(rules.scale, min=low, max=high, item_ranges={}),
        anchors=rules.anchors if usual else {},
        levels={},
        turned=frozenset({1}) if number in rules.turned else frozenset(),
    )
    return replace(own, codes=_read_levels(rules.levels.get(number, {}), own))


def _groups_of_items(rules: Rules) -> list[tuple[list[int], Rules]]:
    """Return the places of items that are read alike, with their rules; none if all items are."""
    if not (rules.scale.item_ranges or rules.levels or rules.turned):
        return []
    groups: dict[Any, list[int]] = {}
    for place, bounds in enumerate(rules.scale.item_bounds):
        levels = tuple(sorted(rules.levels.get(place + 1, {}).items()))
        groups.setdefault((bounds, levels, place + 1 in rules.turned), []).append(place)
    return [(places, rules_of_item(rules, places[0] + 1)) for places in groups.values()]


def _read_levels(levels: Table[str, str], rules: Rules) -> dict[str, tuple[float, int]]:
    """Return word or code → number and kind, as far as a dictionary says it.

    A word stands for what its code is read as; a code that is neither a number nor a word of the mapping
    stands for what its word is. A word with two different codes stands for nothing, a number for itself.
    """
    found: dict[str, tuple[float, int]] = {}
    for code, text in levels.items():
        word, (number, kind) = plain(text), read_answer(code, rules)
        if kind == UNREADABLE and word in rules.anchors:
            found[plain(code)] = _checked(rules.anchors[word], rules)
        elif kind not in {UNREADABLE, BLANK} and number_of(word) is None and word not in MISSING_WORDS:
            same = found.get(word, (number, kind)) == (number, kind)
            found[word] = (number, kind) if same else (math.nan, UNREADABLE)
    return found


def _convert_by_item(texts: Array, groups: list[tuple[list[int], Rules]]) -> Answers:
    """Return the answers of a form whose items are not all read alike, group by group."""
    numbers = np.empty(texts.shape)
    kinds = np.empty(texts.shape, dtype=np.int8)
    for items, rules in groups:
        found = convert(texts[items], replace(rules, turned=frozenset()))
        turned = is_number(texts[items]) if rules.turned else False
        around = rules.scale.min + rules.scale.max
        numbers[items] = np.where(turned, around - found.numbers, found.numbers)
        kinds[items] = found.kinds
    return Answers(numbers=numbers, kinds=kinds)


def read_answer(text: str, rules: Rules) -> tuple[float, int]:
    """Return the number and the kind of one cell; the number is NaN unless the kind is ANSWER.

    The mapping's words come first, then declared missing codes, the anchors of the form, what the file says
    of its codes, the usual words for missing, numbers, and a number beside its word.
    """
    word = plain(text)
    known, number = rules.words.get(word), number_of(word)
    if known is None and (word in rules.missing or number in rules.missing_numbers):
        return math.nan, MISSING
    known = rules.anchors.get(word) if known is None else known
    if known is not None:
        return _checked(known, rules)
    if word in rules.codes:
        return rules.codes[word]
    if word in MISSING_WORDS:
        return math.nan, BLANK
    if number is not None:
        return _checked(number + rules.shift, rules)
    return _read_pair(word, rules)


def answer_kinds(scale: Scale) -> dict[int, Kind]:
    """Return what is said about the cells of `scale` that cannot be used."""
    around = f"{scale.range_text}, the range of '{scale.id}'"
    return {
        UNREADABLE: Kind(
            label="no single answer",
            one="answer is no number and no known word",
            many="answers are no number and no known word",
            hint="give each word its number under [answers] in a mapping, or declare it with --missing",
        ),
        OUTSIDE: Kind(
            label="out of range",
            one=f"answer outside {around}",
            many=f"answers outside {around}",
            hint="leave an unanswered item empty, or declare its code with --missing, such as --missing 99",
        ),
        BROKEN: Kind(
            label="no whole number",
            one=f"answer is no whole number, and '{scale.id}' has no other answers",
            many=f"answers are no whole numbers, and '{scale.id}' has no other answers",
            hint="correct the cell, or leave it empty",
        ),
    }


def is_blank(texts: Array) -> Array:
    """Return where a cell is empty or one of the usual words for missing."""
    codes, words = _different(texts)
    blank = np.array([plain(word) in MISSING_WORDS for word in words], dtype=bool)
    return np.asarray(blank[codes].reshape(texts.shape))


def is_number(texts: Array) -> Array:
    """Return where a cell is a plain number."""
    codes, words = _different(texts)
    numbers = np.array([number_of(plain(word)) is not None for word in words], dtype=bool)
    return np.asarray(numbers[codes].reshape(texts.shape))


def _different(texts: Array) -> tuple[Array, Array]:
    """Return a code for each cell, and the text of each code."""
    import pandas as pd

    return pd.factorize(texts.ravel())


def number_of(word: str) -> float | None:
    """Return the number a word is, with a decimal point or comma, or None."""
    return float(word.replace(",", ".")) if _NUMBER.fullmatch(word) else None


def _read_pair(word: str, rules: Rules) -> tuple[float, int]:
    """Return the answer in `4 - often` or `often (4)`; the word must not say something else."""
    match = _NUMBER_WORD.fullmatch(word)
    digits, name = match.groups() if match else ("", "")
    if not match and (match := _WORD_NUMBER.fullmatch(word)):
        name, digits = match.groups()
    if not match or name in MISSING_WORDS or name in rules.missing:
        return math.nan, UNREADABLE
    value = float(digits.replace(",", ".")) + rules.shift
    said = rules.words.get(name, rules.anchors.get(name))
    if said is not None and abs(said - value) > TOLERANCE:
        return math.nan, UNREADABLE
    return _checked(value, rules)


def _checked(value: float, rules: Rules) -> tuple[float, int]:
    if not rules.scale.min - TOLERANCE <= value <= rules.scale.max + TOLERANCE:
        return math.nan, OUTSIDE
    exact = min(max(value, rules.scale.min), rules.scale.max)
    if rules.scale.whole:
        exact = float(round(exact))
    return (exact, ANSWER) if abs(value - exact) <= TOLERANCE or value == exact else (math.nan, BROKEN)
