"""Groups of columns that can be the items of a form: by a prefix and numbers, or by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.readers.answers import ANSWER, convert, is_blank, is_number, rules_for
from alliance.readers.columns import items_called
from alliance.readers.mapping import Mapping as ColumnMapping
from alliance.readers.table import TextTable
from alliance.recognition import item_runs
from alliance.scale import Scale

Array = np.ndarray[Any, Any]

FITTING, MOST = 0.9, 0.5
"""Share of the answers in a group of columns, and in a column by itself, that must be possible answers of a
form; the rest may be codes or slips."""
_MOST_FORMS = 8
_SIDES = {
    "client": "client klient klientin patient patientin pat pt c k p",
    "therapist": "therapist therapeut therapeutin therapeuta th t",
    "observer": "observer beobachter obs o",
}
_SIDE_OF = {word: side for side, words in _SIDES.items() for word in words.split()}


@dataclass(frozen=True, kw_only=True)
class Group:
    """Columns numbered 1 to n behind one prefix, and the forms that could be in them, best first.

    `items` is how they are called, such as `wai_{item}`; `side` is the rater that the prefix names, or "".
    """

    items: str
    columns: tuple[str, ...]
    forms: tuple[Scale, ...]
    side: str


def groups_of(table: TextTable, free: Collection[str], known: Mapping[str, Scale]) -> list[Group]:
    """Return the groups of filled columns among the names `free`, in the order of the file."""
    filled = [
        name
        for place, name in enumerate(table.names)
        if name in free and table.names.count(name) == 1 and not is_blank(table.columns[place]).all()
    ]
    found = []
    for columns in item_runs(filled).values():
        items = _called(columns)
        if set(items_called(table.names, items).values()) == set(columns):
            forms = tuple(fitting_forms(table, columns, known.values()))
            found.append(Group(items=items, columns=columns, forms=forms, side=_side(items)))
    return found


def fitting_forms(table: TextTable, columns: Sequence[str], forms: Iterable[Scale]) -> list[Scale]:
    """Return the forms of as many items that could have the answers in these columns, best first.

    A form that the columns are named after comes first, then the one whose range is least wide.
    """
    texts = texts_of(table, columns)
    named = "".join(word for word in _words(re.sub(r"\d+\]?$", "", columns[0])) if word not in _SIDE_OF)
    fitting = [form for form in forms if form.n_items == len(columns) and _fits(texts, form)]
    order = sorted(fitting, key=lambda form: (not _is_named_after(named, form), form.max - form.min, form.id))
    return order[:_MOST_FORMS]


def texts_of(table: TextTable, columns: Sequence[str]) -> Array:
    """Return the cells of the columns, shape (items, rows)."""
    places = [table.names.index(name) for name in columns]
    return np.array([table.columns[place] for place in places], dtype=object).reshape(len(places), -1)


def columns_by_position(table: TextTable, free: Sequence[int], scale: Scale) -> list[str]:
    """Return the columns among the places `free` that hold nothing but possible answers, in file order.

    If there are more of them than items, those that stand beside one another in the right number come first.
    """
    fitting = [place for place in free if _holds_answers(table, place, scale)]
    runs: list[list[int]] = []
    for place in fitting:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    whole = [run for run in runs if len(run) == scale.n_items]
    chosen = whole[0] if len(whole) == 1 else fitting
    return [table.names[place] for place in chosen] if len(chosen) >= scale.n_items else []


def _holds_answers(table: TextTable, place: int, scale: Scale) -> bool:
    """Return whether a column has answers within the range of the form, and numbers or known words only."""
    cells = table.columns[place]
    given = cells[~is_blank(cells)]
    kinds = convert(given, rules_for(scale, ColumnMapping())).kinds
    usable = kinds == ANSWER
    return bool(
        table.names[place] and len(given) and (usable | is_number(given)).all() and usable.mean() >= MOST
    )


def _fits(texts: Array, form: Scale) -> bool:
    answers = convert(texts, rules_for(form, ColumnMapping()))
    n_given = int(answers.given.sum())
    return n_given > 0 and bool((answers.kinds == ANSWER).sum() >= FITTING * n_given)


def _called(columns: Sequence[str]) -> str:
    """Return how the columns are called, with {item} for the number.

    >>> _called(["ALI[SQ001]", "ALI[SQ002]"])
    'ALI[SQ{item}]'
    """
    return re.sub(r"(?<!\d)0*(\d+)(\]?)$", r"{item}\2", columns[0])


def _side(items: str) -> str:
    """Return the rater that a word in the names of columns stands for, or an empty text.

    >>> _side("wai_t_{item}"), _side("patientWAI{item}"), _side("wai_{item}")
    ('therapist', 'client', '')
    """
    sides = [_SIDE_OF[word] for word in _words(items.replace("{item}", " ")) if word in _SIDE_OF]
    return sides[0] if sides else ""


def _words(name: str) -> list[str]:
    """Return the words in a column name, in lower case.

    >>> _words("patientWAI_sr1")
    ['patient', 'wai', 'sr1']
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", split.casefold()) if word]


def _is_named_after(letters: str, form: Scale) -> bool:
    """Return whether columns are called like the first word of the id of a form, or like all of it."""
    words = form.id.split("-")
    return bool(letters) and (letters in {_letters(words[0]), _letters("".join(words[:2]))})


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
