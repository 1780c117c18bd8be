"""What the answer cells of a form may mean: lines of a draft, each with what was counted."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from alliance.readers.answers import MISSING_WORDS, OUTSIDE, UNREADABLE, Rules, number_of
from alliance.readers.forms import Part
from alliance.readers.mapping import plain
from alliance.readers.problems import counted, listed
from alliance.readers.toml_text import asked, cut, listed_texts, quoted, remark
from alliance.recognition.evidence import TOLERANCE
from alliance.scale import Scale

Array = np.ndarray[Any, Any]
Counts = Mapping[str, int]

NO_ANSWER = frozenset(
    (
        "refused", "refuse", "don't know", "dont know", "do not know", "unknown", "no answer", "not answered",
        "prefer not to say", "prefer not to answer", "not applicable", "missing", "skipped", "declined",
        "keine angabe", "weiß nicht", "weiss nicht", "verweigert", "nicht beantwortet", "trifft nicht zu",
        "sans réponse", "ne sait pas", "refus", "no contesta", "no sabe", "sin respuesta", "geen antwoord",
        "weet niet", "non so", "nessuna risposta",
    )
)  # fmt: skip
"""Words for an item that was not answered, which a person has to confirm."""
_FAR = 1.0
_MANY = 30
_MOST_SHIFTS, _MOST_WORDS, _MOST_NUMBERS = 3, 60, 300
_FEWEST_FORMS, _FEWEST_CASES, _TURNED_R = 10, 8, 0.2


def cells_of(part: Part, kind: int) -> dict[str, int]:
    """Return the cells of one kind with their counts, the most frequent first."""
    counts = Counter(part.entries.texts[part.answers.kinds == kind].tolist())
    return dict(sorted(counts.items(), key=lambda cell: (-cell[1], cell[0])))


def shifts(part: Part, scale: Scale, rules: Rules) -> list[tuple[int, str]]:
    """Return the shifts that would bring every answer into the range of the form, with what speaks for each.

    Numbers that stand apart from the others, such as 99, are no answers here. A shift by one is named too
    where the answers fit as they are, if one end of the range was never used.
    """
    if not scale.whole or scale.item_ranges or rules.shift:
        return []
    said = _shift_of_labels(rules)
    if said is not None:
        return [said] if said[0] else []
    counts = _numbers(part, rules)
    low, high, n = _answered_range(counts, scale)
    if not n:
        return []
    inside = [each for each in counts if scale.min - TOLERANCE <= each <= scale.max + TOLERANCE]
    if low in inside and high in inside:
        near = [each for each in counts if 0 < max(scale.min - each, each - scale.max) <= _FAR + TOLERANCE]
        return [] if near else _shifts_that_fit_too(low, high, n, scale)
    least, most = math.ceil(scale.min - low - TOLERANCE), math.floor(scale.max - high + TOLERANCE)
    possible = sorted(range(least, most + 1), key=lambda step: (abs(step) != 1, step % 10 != 0, abs(step)))
    n_inside = _n_of([each for each in inside if low <= each <= high], counts)
    told = f"{counted(n, 'answer')} from {low:g} to {high:g}, {n - n_inside} of them not within "
    told += f"{scale.range_text} of '{scale.id}'"
    told += f"; {len(possible)} shifts would fit" if len(possible) > 1 else ""
    return [(step, told) for step in (possible if len(possible) <= _MOST_SHIFTS else possible[:1])]


def _shifts_that_fit_too(low: float, high: float, n: int, scale: Scale) -> list[tuple[int, str]]:
    steps = [1] * (high <= scale.max - 1 + TOLERANCE) + [-1] * (low >= scale.min + 1 - TOLERANCE)
    end = {1: scale.max, -1: scale.min}
    return [
        (step, f"no answer is {end[step]:g} among {n}: they fit as they are, and moved by {step} as well")
        for step in steps
        if n >= _MANY
    ]


def _shift_of_labels(rules: Rules) -> tuple[int, str] | None:
    """Return the shift that the labels of the file say, if they agree on one; 0 = none is needed."""
    found = {
        (round(rules.anchors[plain(word)] - number, 6), code, word)
        for told in rules.levels.values()
        for code, word in told.items()
        if plain(word) in rules.anchors and (number := number_of(plain(code))) is not None
    }
    steps = {step for step, _, _ in found}
    if len(steps) != 1 or not float(next(iter(steps))).is_integer():
        return None
    step, code, word = min(found)
    on_form = rules.anchors[plain(word)]
    return int(step), f"the file says that {code} means '{cut(word)}', which is {on_form:g} on the form"


def _numbers(part: Part, rules: Rules) -> dict[float, int]:
    """Return every number in the answer cells that is no declared code, with its count."""
    counts: Counter[float] = Counter()
    for cell, n in Counter(part.entries.texts.ravel().tolist()).items():
        number = number_of(plain(cell))
        if number is not None and number not in rules.missing_numbers:
            counts[number] += n
    return dict(counts.most_common(_MOST_NUMBERS))


def _answered_range(counts: Mapping[float, int], scale: Scale) -> tuple[float, float, int]:
    """Return the lowest and highest answer and their number: what most answers are, as wide as the form.

    The answers within the range of the form count, unless more are found elsewhere.
    """
    width = scale.max - scale.min + TOLERANCE
    windows = [(value, [each for each in counts if 0 <= each - value <= width]) for value in sorted(counts)]
    own = [value for value in counts if scale.min - TOLERANCE <= value <= scale.max + TOLERANCE]
    best = max((window for _, window in windows), key=lambda each: _n_of(each, counts), default=[])
    best = best if _n_of(best, counts) > _n_of(own, counts) else own
    return min(best, default=0.0), max(best, default=0.0), _n_of(best, counts)


def _n_of(values: Collection[float], counts: Mapping[float, int]) -> int:
    return sum(counts[value] for value in values)


def missing_lines(part: Part, scale: Scale, shift: int) -> Iterator[str]:
    """Yield what may be a code or a word for no answer: numbers far from the range, and known words."""
    outside = {cell: n for cell, n in cells_of(part, OUTSIDE).items() if not _fits_moved(cell, shift, scale)}
    codes = {cell: n for cell, n in outside.items() if _is_far(cell, shift, scale)}
    words = {cell: n for cell, n in cells_of(part, UNREADABLE).items() if plain(cell) in NO_ANSWER}
    told = [f"outside {scale.range_text}: {_told(codes)}"] * bool(codes)
    told += [f"words for no answer: {_told(words)}"] * bool(words)
    if told:
        yield asked(f"missing = {listed_texts([*codes, *words])}", "; ".join(told))
    near = {cell: n for cell, n in outside.items() if cell not in codes}
    if near:
        yield remark(
            f"just outside {scale.range_text}: {_told(near)}; correct the file, or add them to missing"
        )


def _told(counts: Counts) -> str:
    return listed([f"{cut(cell)} ({counted(n, 'time')})" for cell, n in counts.items()])


def _fits_moved(cell: str, shift: int, scale: Scale) -> bool:
    number = number_of(plain(cell))
    return bool(shift) and number is not None and scale.min <= number + shift <= scale.max


def _is_far(cell: str, shift: int, scale: Scale) -> bool:
    number = number_of(plain(cell))
    if number is None:
        return False
    return not scale.min - _FAR <= number + shift <= scale.max + _FAR


def word_lines(part: Part) -> dict[str, list[str]]:
    """Return language → a line for each word that fits no anchor; "" = in several languages or none is known.

    A code such as A4 stands for its number if all are such codes, in the range of the form. The words of
    labels are named beside their codes.
    """
    unread = part.answers.kinds == UNREADABLE
    item, form = np.nonzero(unread)
    cells = part.entries.texts[item, form]
    languages = part.entries.keys["language"].to_numpy(dtype=object)[form]
    counts: dict[str, Counter[str]] = {}
    for cell, language in zip(cells.tolist(), languages.tolist(), strict=True):
        if plain(cell) not in NO_ANSWER:
            counts.setdefault(cell, Counter())[language] += 1
    spoken = {plain(each) for each in part.entries.keys["language"]} - MISSING_WORDS
    numbers = _numbers_of_codes(list(counts), part.scale) if part.scale is not None else {}
    found: dict[str, list[str]] = {}
    for cell in sorted(counts, key=lambda word: (numbers.get(word, 0), -counts[word].total(), word)):
        for language, n in _by_language(counts[cell], several=len(spoken) > 1).items():
            evidence = [counted(n, "time"), *_label_of(cell, part)]
            evidence += [f"language {next(iter(spoken))}"] if len(spoken) == 1 else []
            line = asked(f"{quoted(cell)} = {numbers.get(cell, '…')}", ", ".join(evidence))
            found.setdefault(language, []).append(line)
    return {language: lines[:_MOST_WORDS] for language, lines in found.items()}


def _by_language(counts: Counter[str], *, several: bool) -> dict[str, int]:
    """Return language → count if forms are in several languages, or else everything under an empty text."""
    if not several:
        return {"": counts.total()}
    plainly: Counter[str] = Counter()
    for language, n in counts.items():
        plainly["" if plain(language) in MISSING_WORDS else plain(language)] += n
    return dict(plainly)


def _label_of(cell: str, part: Part) -> list[str]:
    told = {} if part.rules is None else part.rules.levels
    words = {each[cell] for each in told.values() if cell in each}
    return [f"the file calls it '{cut(words.pop())}'"] if len(words) == 1 else []


def _numbers_of_codes(cells: Sequence[str], scale: Scale) -> dict[str, int]:
    """Return code → the number behind its letters, if all are such codes, within the range of the form."""
    matches = [re.fullmatch(r"([A-Za-z]{1,3})_?0*(\d{1,3})", cell) for cell in cells]
    found = {match[0]: int(match[2]) for match in matches if match}
    letters = {match[1] for match in matches if match}
    if len(found) != len(cells) or len(letters) != 1:
        return {}
    return found if all(scale.min <= number <= scale.max for number in found.values()) else {}


def level_lines(parts: Collection[Part]) -> Iterator[str]:
    """Yield what the file itself says of the codes of the items, each different list once."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for part in parts:
        for number, told in ({} if part.rules is None else part.rules.levels).items():
            names = part.entries.called.get(number, ())
            found.setdefault(tuple(told.items()), []).extend(names[:1])
    for levels, columns in found.items():
        words = listed([f"{code} = {cut(word)}" for code, word in levels])
        yield remark(f"the file says of {listed(columns, most=2)}: {words}")


def turned_lines(part: Part, scale: Scale, asked_for: Sequence[str]) -> Iterator[str]:
    """Yield the choices for items that may have been turned round, the one that the answers speak for first.

    `asked_for` are columns of which the source system says so; an item that runs against the others, other
    than the key of the form has it, is one too.
    """
    called = {name: number for number, names in part.entries.called.items() for name in names}
    numbers = {called[name]: name for name in asked_for if name in called}
    against = against_the_key(part, scale)
    if not numbers and part.entries.keys["case"].nunique() >= _FEWEST_CASES:
        numbers = {
            number: part.entries.called.get(number, (f"q{number}",))[0]
            for number, (r, is_against) in against.items()
            if is_against
        }
    if not numbers:
        return
    names = [numbers[number] for number in sorted(numbers)]
    told = [f"{numbers[n]} {against[n][0]:.2f}" for n in sorted(numbers) if n in against]
    evidence = f"; correlation with the other items: {listed(told)}" if told else ""
    turned = f"these count as {scale.min + scale.max:g} minus the cell{evidence}"
    lines = [
        asked(f"turned = {listed_texts(names)}", turned),
        asked("turned = []", "the cells are the answers as they were ticked"),
    ]
    n_against = sum(against[n][1] for n in numbers if n in against)
    yield from lines if 2 * n_against >= len(numbers) or not told else lines[::-1]


def against_the_key(part: Part, scale: Scale) -> dict[int, tuple[float, bool]]:
    """Return item → its correlation with the other items, keyed, and whether it runs against the key.

    Only of forms that are complete, of ten or more; items that do not vary are left out.
    """
    numbers = part.answers.numbers
    complete = np.isfinite(numbers).all(axis=0)
    if scale.total is None or complete.sum() < _FEWEST_FORMS:
        return {}
    low, high = np.array(scale.item_bounds).T[:, :, np.newaxis]
    keyed = (numbers[:, complete] - low) / (high - low)
    keyed[[number - 1 for number in scale.reverse]] *= -1
    found = {}
    for place in range(len(keyed)):
        rest = np.delete(keyed, place, axis=0).sum(axis=0)
        if keyed[place].std() > TOLERANCE and rest.std() > TOLERANCE:
            r = float(np.corrcoef(keyed[place], rest)[0, 1])
            as_it_stands = -r if place + 1 in scale.reverse else r
            found[place + 1] = (as_it_stands, r < -_TURNED_R)
    return found
