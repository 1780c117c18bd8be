"""REDCap's data dictionary: the fields of a project, their labels, their choices and their forms."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from pathlib import Path

from alliance.errors import DataError
from alliance.readers.columns import key_of
from alliance.readers.mapping import plain
from alliance.readers.opening import read_bytes
from alliance.readers.sources.sheet import sheet_of
from alliance.readers.text import read_text

SYSTEM_COLUMNS = (
    "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group",
    "redcap_survey_identifier",
)  # fmt: skip
"""The columns that REDCap adds; where headers are labels it writes `Event Name` and so on."""
STATUS, TIMESTAMP = "complete?", "survey timestamp"
"""The headers of the columns that stand beside every form, where headers are labels."""

_HEADERS = {
    "name": ("variable_field_name", "field_name"),
    "form": ("form_name",),
    "kind": ("field_type",),
    "label": ("field_label",),
    "choices": ("choices_calculations_or_slider_labels", "select_choices_or_calculations"),
    "validation": ("text_validation_type_or_show_slider_number",),
    "identifier": ("identifier",),
}
"""What we read → its column, as REDCap calls it in a download, and where a program asks for it."""
_REQUIRED = ("name", "kind", "label")
_TAG = re.compile(r"</?[A-Za-z][^>]*>")
_WITHOUT_COLUMN = ("descriptive",)
_ONE_CHOICE = ("radio", "dropdown")
_FIXED = {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of the project; `choices` is code → label, `dated`: it holds a date of no person's life."""

    name: str
    form: str
    kind: str
    label: str
    choices: Table[str, str]
    dated: bool

    @property
    def levels(self) -> Table[str, str]:
        """What its codes mean where a cell holds one of them; empty for fields of other kinds."""
        return self.choices if self.kind in {*_ONE_CHOICE, *_FIXED} else {}

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield the columns it has in an export, each with its label: a checkbox has one for each choice."""
        if self.kind == "checkbox":
            for code, word in self.choices.items():
                yield checkbox_column(self.name, code), f"{self.label} (choice={word})"
        elif self.kind not in _WITHOUT_COLUMN:
            yield self.name, self.label


@dataclass(frozen=True, kw_only=True)
class Named:
    """A header in field names: `fields` is column → its field, `unclear` are labels of several fields."""

    names: tuple[str, ...]
    fields: Table[str, Field] = field(default_factory=dict)
    unclear: tuple[str, ...] = ()


def checkbox_column(name: str, code: str) -> str:
    """Return the column of one choice of a checkbox.

    >>> checkbox_column("mood", "3"), checkbox_column("mood", "-99")
    ('mood___3', 'mood____99')
    """
    return f"{name}___{code.replace('-', '_').casefold()}"


def read_dictionary(path: Path) -> tuple[Field, ...]:
    """Return the fields of a data dictionary, in its order.

    Raises
    ------
    StoreError
        If the file cannot be opened.
    DataError
        If it is no data dictionary.
    """
    raw = read_bytes(path)
    try:
        sheet = sheet_of(read_text(raw))
    except DataError:
        raise _no_dictionary(path) from None
    found = {part: sheet.named(*keys) for part, keys in _HEADERS.items()}
    if not all(found[part] for part in _REQUIRED):
        raise _no_dictionary(path)
    cells = {part: sheet.cells(name) or [""] * len(sheet.rows) for part, name in found.items()}
    rows = (dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))
    fields = tuple(_field(row) for row in rows if row["name"])
    if not fields:
        raise _no_dictionary(path)
    return fields


def _no_dictionary(path: Path) -> DataError:
    message = f"'{path.name}' is no REDCap data dictionary"
    hint = "download it from REDCap as CSV: Project Setup, Download the current Data Dictionary"
    return DataError(message, hint=hint)


def _field(row: Table[str, str]) -> Field:
    kind = row["kind"].casefold()
    known_by = row["identifier"].casefold() in {"y", "yes"}
    return Field(
        name=row["name"],
        form=row["form"],
        kind=kind,
        label=row["label"],
        choices=_FIXED.get(kind) or dict(_choices(row["choices"])),
        dated=row["validation"].casefold().startswith(("date_", "datetime_")) and not known_by,
    )


def _choices(text: str) -> Iterator[tuple[str, str]]:
    """Yield code and label of `1, Never | 2, Now, and then`: the first comma ends the code."""
    for choice in text.split("|"):
        code, comma, word = choice.partition(",")
        if comma and code.strip():
            yield code.strip(), shown(word)


def shown(label: str) -> str:
    r"""Return a label as a person sees it: without markup, on one line.

    >>> shown("<b>Today</b> we\nagreed")
    'Today we agreed'
    """
    return " ".join(html.unescape(_TAG.sub(" ", label)).split())


def _compared(label: str) -> str:
    """Return a label as it is compared: neither markup nor blanks nor case count."""
    return "".join(html.unescape(_TAG.sub("", label)).split()).casefold()


def name_columns(names: Sequence[str], fields: Sequence[Field], *, kept: Collection[str] = ()) -> Named:
    """Return the header with field names in place of labels.

    A label that several fields have is matched in the order of the dictionary, if all of them are there; if
    not, it stays as it is. Headers in `kept`, in lower case, stay as well: the mapping calls them so.
    """
    by_name: dict[str, tuple[str, Field]] = {}
    by_label: dict[str, list[tuple[str, Field]]] = {}
    for each in fields:
        for name, label in each.columns():
            by_name.setdefault(name.casefold(), (name, each))
            by_label.setdefault(_compared(label), []).append((name, each))
    found: dict[int, tuple[str, Field]] = {
        place: by_name[name.casefold()] for place, name in enumerate(names) if name.casefold() in by_name
    }
    taken = {name for name, _ in found.values()}
    unclear = []
    for label, open_places in _places_of_labels(names, found, kept).items():
        known = [(name, each) for name, each in by_label.get(label, ()) if name not in taken]
        if len(known) == len(open_places):
            found.update(zip(open_places, known, strict=True))
        elif known:
            unclear.append(names[open_places[0]])
    renamed = [found[place][0] if place in found else name for place, name in enumerate(names)]
    forms = {place: each.form for place, (_, each) in found.items()}
    return Named(
        names=tuple(_with_system_names(renamed, forms, kept)),
        fields=dict(found.values()),
        unclear=tuple(unclear),
    )


def _places_of_labels(
    names: Sequence[str], found: Table[int, object], kept: Collection[str]
) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name and place not in found and name.casefold() not in kept:
            places.setdefault(_compared(name), []).append(place)
    return places


def _with_system_names(names: Sequence[str], forms: Table[int, str], kept: Collection[str]) -> Iterator[str]:
    """Yield the names with those that REDCap gives its own columns, where they are labels.

    The status of a form stands behind its fields, the time stamp of a survey before them.
    """
    used = set(names)
    reserved = {name.removeprefix("redcap_"): name for name in SYSTEM_COLUMNS}
    for place, name in enumerate(names):
        own = name if place in forms else reserved.get(key_of(name), name)
        if plain(name) == STATUS and min(forms, default=place) < place:
            own = f"{forms[max(at for at in forms if at < place)]}_complete"
        elif plain(name) == TIMESTAMP and max(forms, default=place) > place:
            own = f"{forms[min(at for at in forms if at > place)]}_timestamp"
        chosen = name if own in used or name.casefold() in kept else own
        used.add(chosen)
        yield chosen


def require_fit(named: Named, fields: Sequence[Field], path: Path) -> None:
    """Raise DataError if no column is a field of the dictionary, apart from the name of the record."""
    first = fields[0].name if len(fields) > 1 else ""
    if not any(each.name != first for each in named.fields.values()):
        message = f"the data dictionary '{path.name}' does not fit the file: it has none of its columns"
        raise DataError(message, hint="download the dictionary of the project that the file is from")
