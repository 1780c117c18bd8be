"""A definition from a REDCap data dictionary: our own one exactly, a foreign one as far as it tells."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import groupby

from alliance.errors import ScaleError
from alliance.exchange.dictionary import COLUMNS, FIELDS, MARKER, Row, field_name, is_dictionary
from alliance.exchange.envelope import Imported, unpack
from alliance.exchange.foreign import CHANGED, ForeignItem, draft, left_out, slug
from alliance.exchange.items import listed
from alliance.scale import parse_definition

CHOICES = ("radio", "dropdown")
SLIDER = ("0", "100")
"""The range of a slider that states none."""
Entry = tuple[Row, ForeignItem | None]
Entries = Sequence[Entry]


def from_redcap(text: str, form: str | None = None) -> Imported:
    """Return the definition that a REDCap data dictionary holds, as a table, and what must be told of it.

    Parameters
    ----------
    text : str
        The dictionary as CSV, as REDCap gives it for download or to programs.
    form : str, optional
        The name of the form in it; needed where several could be meant.

    Returns
    -------
    table, notes
        The very definition, where `to_redcap` wrote the form. Of a foreign form, a provisional definition of
        the neighbouring fields that share their choices or their range, and nothing of its key.

    Raises
    ------
    ScaleError
        If the text is no dictionary, there is no such form or no item in it, or several forms could be meant.
    """
    rows = _rows(text)
    forms = list(dict.fromkeys(row["form_name"] for row in rows))
    if form is not None and form not in forms:
        message = f"there is no form '{form}' in the dictionary"
        raise ScaleError(message, hint=f"known: {listed(forms)}")
    entries = [(row, _item(row)) for row in rows if form in {None, row["form_name"]}]
    ours = {row["form_name"]: row for row, _ in entries if MARKER in row["field_annotation"]}
    if ours:
        return _own(ours[_only(list(ours))], entries)
    named = form or _only([name for name in forms if _alike(_of_form(name, entries))])
    return _foreign(named, _of_form(named, entries))


def _rows(text: str) -> list[Row]:
    """Return the fields of the dictionary, each a mapping of the names that REDCap has for its columns."""
    if not is_dictionary(text):
        message = "the file is no REDCap data dictionary"
        hint = f"a dictionary is a CSV file whose first column is '{COLUMNS[0]}' or '{FIELDS[0]}'"
        raise ScaleError(message, hint=hint)
    text = text.removeprefix("\ufeff").lstrip()
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    try:
        header, *lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        message = f"the dictionary is no CSV file: {error}"
        raise ScaleError(message, hint="give the file as REDCap wrote it") from None
    _check_columns([cell.strip() for cell in header])
    padded = ([*line, *[""] * len(FIELDS)] for line in lines if any(line))
    return [dict(zip(FIELDS, (cell.strip() for cell in line), strict=False)) for line in padded]


def _check_columns(header: list[str]) -> None:
    wanted = COLUMNS if header[0] == COLUMNS[0] else FIELDS
    wrong = [
        f"column {place}: must be '{name}'"
        for place, name in enumerate(wanted, 1)
        if header[place - 1 : place] != [name]
    ]
    if wrong:
        message = "the columns of the dictionary are not the 18 of REDCap"
        raise ScaleError(message, where=wrong, hint="give the file as REDCap wrote it")


def _only(forms: Sequence[str]) -> str:
    """Return the one form there is; several are for the caller to choose from."""
    if len(forms) == 1:
        return forms[0]
    if forms:
        message = f"{len(forms)} forms of the dictionary hold items"
        raise ScaleError(message, where=forms, hint="name one with --form", shown=len(forms))
    message = "no form of the dictionary holds items: neighbouring fields with the same choices or range"
    raise ScaleError(message, hint="name the form with --form to take every field with numeric answers")


def _of_form(form: str, entries: Entries) -> list[Entry]:
    return [entry for entry in entries if entry[0]["form_name"] == form]


def _own(row: Row, entries: Entries) -> Imported:
    """Return the definition carried by a form of ours, and whether its items are still those."""
    packed = row["field_annotation"].partition(MARKER)[2]
    table = unpack(packed)
    scale = parse_definition(table, origin=row["field_name"])
    found = {field["field_name"]: item for field, item in _of_form(row["form_name"], entries) if item}
    items = [found.get(field_name(scale.id, number)) for number in range(1, scale.n_items + 1)]
    same = [(item.low, item.high) for item in items if item] == list(scale.item_bounds)
    return table, () if same else (CHANGED,)


def _foreign(form: str, entries: Entries) -> Imported:
    """Return what a form tells: its neighbours that are alike, or, if it has none, every single field."""
    scored = [item for _, item in entries if item]
    items = _alike(entries) or scored
    told = left_out("no neighbour has the same answers", [each.name for each in scored if each not in items])
    source = f"REDCap data dictionary, form {form}"
    return draft(items, id=slug(form), name=form, source=source, told=[*told, *_calculated(entries)])


def _alike(entries: Entries) -> list[ForeignItem]:
    """Return the items that share their answers with a neighbour; a text between them parts no neighbours."""
    fields = [entry for entry in entries if entry[0]["field_type"] != "descriptive"]
    groups = [[item for _, item in group if item] for _, group in groupby(fields, key=_answers)]
    return [item for group in groups if len(group) > 1 for item in group]


def _answers(entry: Entry) -> object:
    """Return what items have in common whose answers are the same, in whichever order they are numbered."""
    item = entry[1]
    return item and (
        item.bounds,
        item.step,
        sorted(item.words),
        sorted(map(str.casefold, item.words.values())),
    )


def _calculated(entries: Entries) -> list[str]:
    rows = [row for row, _ in entries if row["field_type"] == "calc"]
    if not rows:
        return []
    calls = " ".join(row["select_choices_or_calculations"] for row in rows)
    passing = re.search(r"\b(sum|mean) *\(", calls)
    trap = "; REDCap's sum() and mean() pass over unanswered items" if passing else ""
    return [f"calculated fields are not taken over: {listed(row['field_name'] for row in rows)}{trap}"]


def _item(row: Row) -> ForeignItem | None:
    """Return the item that a field is; None if its answers are no numbers, or have no lowest and highest."""
    kind, check = row["field_type"], row["text_validation_type_or_show_slider_number"]
    ends = [row[f"text_validation_{end}"].replace(",", ".") for end in ("min", "max")]
    if kind in CHOICES:
        return ForeignItem.of_choices(row["field_name"], _pairs(row["select_choices_or_calculations"]))
    if kind == "slider":
        low, high = (said or usual for said, usual in zip(ends, SLIDER, strict=True))
        return ForeignItem.of_line(row["field_name"], low, high, places=0)
    if kind == "text" and re.match("number|integer", check):
        return ForeignItem.of_line(row["field_name"], *ends, places=_places(check))
    return None


def _pairs(choices: str) -> list[tuple[str, str]]:
    """Return the choices as pairs of code and word.

    >>> _pairs("1, never | 2, now, and then")
    [('1', 'never'), ('2', 'now, and then')]
    """
    parts = (choice.partition(",") for choice in choices.split("|"))
    return [(code.strip(), word.strip()) for code, _, word in parts]


def _places(check: str) -> int | None:
    """Return the decimals of a checked number; None where any number of them is allowed.

    >>> _places("integer"), _places("number_2dp"), _places("number")
    (0, 2, None)
    """
    said = re.search("([0-9])dp", check)
    return int(said[1]) if said else 0 if check == "integer" else None
