"""A definition as a REDCap data dictionary: a field for each item, a calculation for each score."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from alliance.exchange.envelope import Table, Texts, pack
from alliance.exchange.formulas import calculations, can_be_calculated
from alliance.exchange.items import choices, decimals, label, listed, shown, word
from alliance.scale import parse_definition

if TYPE_CHECKING:
    from alliance.scale import Scale

COLUMNS = (
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note",
    "Text Validation Type OR Show Slider Number", "Text Validation Min", "Text Validation Max", "Identifier?",
    "Branching Logic (Show field only if...)", "Required Field?", "Custom Alignment",
    "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?", "Field Annotation",
)  # fmt: skip
FIELDS = (
    "field_name", "form_name", "section_header", "field_type", "field_label",
    "select_choices_or_calculations", "field_note", "text_validation_type_or_show_slider_number",
    "text_validation_min", "text_validation_max", "identifier", "branching_logic", "required_field",
    "custom_alignment", "question_number", "matrix_group_name", "matrix_ranking", "field_annotation",
)  # fmt: skip
"""The columns as REDCap calls them where a program asks for the dictionary."""
MARKER = "alliance-definition: "
FINEST = 4
"""The most decimals REDCap can check."""
Row = dict[str, str]


def to_redcap(table: Table, texts: Texts | None = None) -> str:
    """Return the definition `table` as a REDCap data dictionary.

    Parameters
    ----------
    table : mapping
        The definition.
    texts : mapping, optional
        The user's own item texts, by item number; an item without one is called by its label or number.

    Returns
    -------
    str
        CSV: a hidden field that carries the whole definition, a field `<form>_<number>` for each item, a
        calculated field `<form>_<score>` for each score. It comes first and is no text field, so that REDCap
        refuses the file as the dictionary of a whole project, in which the first field is the record's name.

    Raises
    ------
    ScaleError
        If the definition breaks the schema.
    """
    scale = parse_definition(table, origin=str(table.get("id", "definition")))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = [_definition_row(scale, table), *_item_rows(scale, texts), *_score_rows(scale)]
    writer.writerows([row.get(field, "") for field in FIELDS] for row in rows)
    return stream.getvalue()


def is_dictionary(text: str) -> bool:
    """Return whether `text` begins as a data dictionary does."""
    head = text.lstrip("\ufeff \t\r\n'\"")
    return head.startswith((COLUMNS[0], FIELDS[0]))


def form_name(id: str) -> str:
    """Return the name of the form: REDCap allows no hyphen, and a letter must come first.

    >>> form_name("wai-sr"), form_name("5-items")
    ('wai_sr', 'form_5_items')
    """
    name = id.replace("-", "_")
    return name if name[0].isalpha() else f"form_{name}"


def field_name(id: str, part: int | str) -> str:
    """Return the field of an item, or of a score; a score called like another field is told apart.

    >>> field_name("wai-sr", 3), field_name("wai-sr", "goal"), field_name("wai-sr", "3")
    ('wai_sr_3', 'wai_sr_goal', 'wai_sr_3_score')
    """
    name = f"{form_name(id)}_{str(part).replace('-', '_')}"
    taken = isinstance(part, str) and (part.isdigit() or part == "definition")
    return f"{name}_score" if taken else name


def _definition_row(scale: Scale, table: Table) -> Row:
    carried = f"@HIDDEN {MARKER}{_harmless(pack(table))}"
    return _row(scale, "", "descriptive", "\n".join(_facts(scale)), field_annotation=carried)


def _facts(scale: Scale) -> Iterator[str]:
    yield f"{scale.name}. Scoring key: definition '{scale.id}' of alliance; do not edit the annotation."
    yield f"Licence: {scale.licence}"
    yield from scale.cautions
    if scale.status == "provisional":
        yield "The key is provisional."
    if scale.unconfirmed:
        yield f"Not calculated, since not confirmed: {listed(scale.unconfirmed)}."
    if not can_be_calculated(scale):
        yield (
            "No score is calculated: when nothing of this form may be scored depends on all of its answers, "
            "which no calculation can say."
        )


def _harmless(packed: str) -> str:
    """Return JSON in which REDCap finds no action tag and no markup; it reads back the same."""
    for sign in "@<>&":
        packed = packed.replace(sign, f"\\u{ord(sign):04x}")
    return packed


def _item_rows(scale: Scale, texts: Texts | None) -> Iterator[Row]:
    for item in range(1, scale.n_items + 1):
        values = choices(scale, item)
        if values:
            words = " | ".join(f"{shown(value)}, {_plain(word(scale, item, value))}" for value in values)
            answers = {"field_type": "radio", "select_choices_or_calculations": words}
        else:
            answers = _line(scale, item)
        yield _row(scale, item, "text", label(scale, item, texts), **answers)


def _line(scale: Scale, item: int) -> Row:
    low, high = scale.item_bounds[item - 1]
    places = max(map(decimals, (scale.step, low, high)))
    kind = f"number_{places}dp" if places <= FINEST else "number"
    return {
        "text_validation_type_or_show_slider_number": kind if places else "integer",
        "text_validation_min": f"{low:.{places}f}",
        "text_validation_max": f"{high:.{places}f}",
    }


def _plain(text: str) -> str:
    """Return a word without the bar that parts choices."""
    return " ".join(text.replace("|", "/").split())


def _score_rows(scale: Scale) -> Iterator[Row]:
    if not can_be_calculated(scale):
        return
    status = " (provisional key)" if scale.status == "provisional" else ""
    for score, calculation in calculations(scale, lambda part: field_name(scale.id, part)).items():
        note = f"unanswered items it may have: {scale.formulas[score].missing_max}"
        cells = {"select_choices_or_calculations": calculation, "field_note": note}
        yield _row(scale, score, "calc", f"{scale.name}: {score}{status}", **cells)


def _row(scale: Scale, part: int | str, kind: str, label: str, **cells: str) -> Row:
    name = f"{form_name(scale.id)}_definition" if kind == "descriptive" else field_name(scale.id, part)
    own = {"field_name": name, "form_name": form_name(scale.id), "field_type": kind, "field_label": label}
    return own | cells
