"""The answers of one QuestionnaireResponse: linkId → cell, a number where one is known, or else a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from alliance.readers.sources.fhir_forms import Form, Option, weights
from alliance.readers.sources.fhir_json import Numeral, Object, clean, number_of, objects, said, shown

SEVERAL = " | "
"""Between different answers to one item, which no form of ours takes for an answer."""
_NUMBERS = {"Integer", "Decimal"}
_OBJECTS = {"Attachment", "Reference"}


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What one response says of its items, filled while it is read.

    Attributes
    ----------
    cells : linkId → different answers as text; none for an item that is there without one
    words : linkId → number → the word beside it
    labels : linkId → what is printed at the item
    groups : linkIds that hold other items
    breaches : what is not as FHIR has it
    """

    cells: dict[str, list[str]] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    breaches: list[str] = field(default_factory=list)

    def texts(self, links: Sequence[str]) -> list[str]:
        """Return one cell for each linkId; different answers to one item stand side by side in it."""
        return [SEVERAL.join(self.cells.get(link, ())) for link in links]


def read_answers(response: Object, form: Form) -> Answered:
    """Return the answers of a response to `form`, however deep its items are nested."""
    found = Answered()
    ahead = _listed(response, "item", "the response", found)[::-1]
    while ahead:
        item = ahead.pop()
        link = said(item, "linkId")
        if not link:
            found.breaches.append("an item without linkId")
            continue
        inner = _listed(item, "item", f"item {link}", found)
        answers = _listed(item, "answer", f"item {link}", found)
        if inner and not answers:
            found.groups.add(link)
        else:
            _take(link, item, answers, form, found)
        below = [each for answer in answers for each in _listed(answer, "item", f"item {link}", found)]
        ahead += [*inner, *below][::-1]
    return found


def _take(link: str, item: Object, answers: list[Object], form: Form, found: Answered) -> None:
    cells = found.cells.setdefault(link, [])
    found.labels.setdefault(link, said(item, "text"))
    for answer in answers:
        try:
            cell, word = _cell(answer, link, form)
        except _Breach as breach:
            found.breaches.append(f"item {link}: {breach}")
            continue
        if cell and cell not in cells:
            cells.append(cell)
        if word:
            found.words.setdefault(link, {}).setdefault(cell, word)


class _Breach(ValueError):
    """An answer is not as FHIR has it."""


def _cell(answer: Object, link: str, form: Form) -> tuple[str, str]:
    """Return an answer as text, and the word beside it where the text is the number it stands for."""
    keys = [key for key, value in answer.items() if key.startswith("value") and value is not None]
    if len(keys) > 1:
        message = f"{len(keys)} values in one answer"
        raise _Breach(message)
    if not keys:
        return "", ""
    kind, value = keys[0].removeprefix("value"), answer[keys[0]]
    if kind == "Coding":
        return _of_coding(value, answer, link, form)
    text = _text(kind, value)
    option = form.option(link, "", text)
    own = [number] if kind in _NUMBERS and (number := number_of(text)) is not None else []
    number = _agreed(own, weights(answer), option)
    return (text if number is None or own else _written(number)), ""


def _of_coding(value: Any, answer: Object, link: str, form: Form) -> tuple[str, str]:
    if not isinstance(value, dict):
        message = "valueCoding is no object"
        raise _Breach(message)
    code, word = said(value, "code"), said(value, "display")
    option = form.option(link, said(value, "system"), code or word)
    number = _agreed([], weights(value, answer), option)
    word = word or (option.word if option else "")
    return (word or code, "") if number is None else (_written(number), word)


def _agreed(own: list[Decimal], given: tuple[Decimal, ...], option: Option | None) -> Decimal | None:
    """Return the number that all places say; different ones are a breach."""
    numbers = list(dict.fromkeys([*own, *given, *(option.numbers if option else ())]))
    if len(numbers) > 1:
        listed = " and ".join(map(_written, numbers))
        message = f"different numbers for one answer, {listed}"
        raise _Breach(message)
    return numbers[0] if numbers else None


def _written(number: Decimal) -> str:
    return shown(str(number))


def _text(kind: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower() if kind == "Boolean" else _refuse(kind)
    if kind == "Quantity" and isinstance(value, dict):
        return shown(said(value, "value"))
    if kind in _OBJECTS and isinstance(value, dict):
        return f"[{kind}]"
    if not isinstance(value, str) or kind in {"Boolean", "Quantity", *_OBJECTS}:
        return _refuse(kind)
    return shown(clean(value)) if isinstance(value, Numeral) or kind in _NUMBERS else clean(value)


def _refuse(kind: str) -> str:
    message = f"value{kind[:40]} is not of its kind"
    raise _Breach(message)


def _listed(place: Object, key: str, name: str, found: Answered) -> list[Object]:
    """Return the objects of a list; what is no list, or no object in it, is a breach."""
    value = place.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        found.breaches.append(f"{key} of {name} is no list")
        return []
    entries = objects(value)
    if len(entries) < len(value):
        found.breaches.append(f"{key} of {name} holds something that is no object")
    return entries


def columns_of(answered: Sequence[Answered], forms: Sequence[Form]) -> list[str]:
    """Return each linkId that is a question, once: as the forms have them, then as they come."""
    groups = {link for each in answered for link in each.groups}
    groups |= {link for form in forms for link in form.groups}
    ordered = [link for form in forms for link in form.labels]
    ordered += [link for each in answered for link in each.cells]
    given = {link for each in answered for link, cells in each.cells.items() if cells}
    return [link for link in dict.fromkeys(ordered) if link in given or link not in groups]


def words_of(answered: Sequence[Answered], forms: Sequence[Form]) -> dict[str, dict[str, str]]:
    """Return linkId → number → word, as the forms say, or else as it was answered first."""
    found: dict[str, dict[str, str]] = {}
    for form in forms:
        for link, options in form.options.items():
            for option in options:
                if option.word and len(option.numbers) == 1:
                    found.setdefault(link, {}).setdefault(_written(option.numbers[0]), option.word)
    for each in answered:
        for link, words in each.words.items():
            found[link] = words | found.get(link, {})
    return found


def labels_of(answered: Sequence[Answered], forms: Sequence[Form]) -> dict[str, str]:
    """Return linkId → what is printed at the item."""
    found: dict[str, str] = {}
    for labels in (*(form.labels for form in forms), *(each.labels for each in answered)):
        found = {link: text for link, text in labels.items() if text} | found
    return found
