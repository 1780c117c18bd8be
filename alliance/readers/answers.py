"""Answer cells → numbers: words, missing codes, decimal commas; no single answer, no guess."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

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

    `words` are those of the mapping, `spoken` those of one language (language → word → number); `levels` is
    what the file itself says, by item number: code → word, as in Export; `turned` are numbers of items whose
    cells were turned round before.
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
    codes: Table[str, float] = field(default_factory=dict)


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
    own = mapping.worded.get(scale.id, {})
    words = {**mapping.answers, **own.get("", {}), **own.get(plain(mapping.language), {})}
    return Rules(
        scale=scale,
        words=words,
        anchors={plain(text): value for value, text in scale.anchors.items()},
        missing=codes,
        missing_numbers=numbers,
        shift=mapping.shift,
        spoken={language: each for language, each in own.items() if language},
    )


def convert(texts: Array, rules: Rules) -> Answers:
    """Return the answers in an array of texts, first axis items; each different text is looked at once."""
    if texts.ndim == 2 and (alike := _groups_of_items(rules)):  # noqa: PLR2004  items by forms
        return _convert_by_item(texts, alike)
    codes, words = pd.factorize(texts.ravel())
    read = [read_answer(word, rules) for word in words]
    numbers = np.array([number for number, _ in read], dtype=float)
    kinds = np.array([kind for _, kind in read], dtype=np.int8)
    return Answers(numbers=numbers[codes].reshape(texts.shape), kinds=kinds[codes].reshape(texts.shape))


def convert_spoken(texts: Array, languages: Array, rules: Rules) -> Answers:
    """Return the answers of forms in several languages; `languages` has one for each form (second axis)."""
    found = convert(texts, rules)
    for language in pd.unique(languages):
        own = rules.spoken.get(plain(language))
        if own:
            forms = np.flatnonzero(languages == language)
            spoken = convert(texts[:, forms], replace(rules, words={**rules.words, **own}))
            found.numbers[:, forms], found.kinds[:, forms] = spoken.numbers, spoken.kinds
    return found


def _groups_of_items(rules: Rules) -> list[tuple[list[int], Rules]]:
    """Return the places of items that are read alike, with their rules; none if all items are."""
    if not (rules.scale.item_ranges or rules.levels or rules.turned):
        return []
    groups: dict[Any, list[int]] = {}
    for place, bounds in enumerate(rules.scale.item_bounds):
        levels = tuple(sorted(rules.levels.get(place + 1, {}).items()))
        groups.setdefault((bounds, levels, place + 1 in rules.turned), []).append(place)
    return [
        (items, _rules_of_item(rules, bounds, dict(levels), turned=turned))
        for (bounds, levels, turned), items in groups.items()
    ]


def _rules_of_item(
    rules: Rules, bounds: tuple[float, float], levels: dict[str, str], *, turned: bool
) -> Rules:
    low, high = bounds
    usual = bounds == (rules.scale.min, rules.scale.max)
    anchors = rules.anchors if usual else {}
    return replace(
        rules,
        scale=replace(rules.scale, min=low, max=high, item_ranges={}),
        anchors=anchors,
        levels={},
        turned=frozenset({1}) if turned else frozenset(),
        codes=numbers_of_levels(levels, anchors),
    )


def numbers_of_levels(levels: Table[str, str], anchors: Table[str, float]) -> dict[str, float]:
    """Return code or word → number, as far as a dictionary says it.

    A word stands for the number of its code; a code that is no number stands for the number of its word on
    the form.
    """
    found = {
        plain(word): number for code, word in levels.items() if (number := number_of(plain(code))) is not None
    }
    named = {plain(code): anchors[plain(word)] for code, word in levels.items() if plain(word) in anchors}
    return {code: number for code, number in named.items() if number_of(code) is None} | found


def _convert_by_item(texts: Array, groups: list[tuple[list[int], Rules]]) -> Answers:
    """Return the answers of a form whose items are not all read alike, group by group."""
    numbers = np.empty(texts.shape)
    kinds = np.empty(texts.shape, dtype=np.int8)
    for items, rules in groups:
        found = convert(texts[items], replace(rules, turned=frozenset()))
        around = rules.scale.min + rules.scale.max
        numbers[items] = around - found.numbers if rules.turned else found.numbers
        kinds[items] = found.kinds
    return Answers(numbers=numbers, kinds=kinds)


def read_answer(text: str, rules: Rules) -> tuple[float, int]:
    """Return the number and the kind of one cell; the number is NaN unless the kind is ANSWER.

    The mapping's words come first, then declared missing codes, the anchors of the form, what the file says
    of its codes, the usual words for missing, numbers, and a number beside its word.
    """
    word = plain(text)
    known = rules.words.get(word)
    if known is not None:
        return _checked(known, rules)
    number = number_of(word)
    if word in rules.missing or number in rules.missing_numbers:
        return math.nan, MISSING
    known = rules.anchors.get(word, rules.codes.get(word))
    if known is not None:
        return (math.nan, MISSING) if known in rules.missing_numbers else _checked(known, rules)
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
    codes, words = pd.factorize(texts.ravel())
    blank = np.array([plain(word) in MISSING_WORDS for word in words], dtype=bool)
    return np.asarray(blank[codes].reshape(texts.shape))


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
    if rules.scale.whole and abs(value - round(value)) > TOLERANCE:
        return math.nan, BROKEN
    return value, ANSWER
