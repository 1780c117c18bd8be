"""A definition as a FHIR R4 Questionnaire, and back: our own exactly, a foreign one as far as it tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from alliance.errors import ScaleError
from alliance.exchange.envelope import Imported, Table, Texts, json_object, pack, refuse_form, unpack
from alliance.exchange.foreign import CHANGED, ForeignItem, draft, is_number, left_out, slug
from alliance.exchange.items import choices, decimals, label, shown, word
from alliance.scale import parse_definition, plain

if TYPE_CHECKING:
    from alliance.scale import Scale

HL7 = "http://hl7.org/fhir/StructureDefinition"
ORDINAL = f"{HL7}/ordinalValue"
WEIGHTS = (ORDINAL, f"{HL7}/itemWeight", f"{HL7}/questionnaire-ordinalValue", f"{HL7}/valueset-ordinalValue")
"""The extensions that say which number an answer stands for, today's first."""
LOINC = "http://loinc.org"
DEFINITION = "urn:alliance:scale-definition"
CLOSED = ("choice", "open-choice", "coding")
LINES = ("integer", "decimal")
Object = Mapping[str, Any]


def to_fhir(table: Table, texts: Texts | None = None) -> str:
    """Return the definition `table` as a FHIR R4 Questionnaire, in JSON.

    Parameters
    ----------
    table : mapping
        The definition.
    texts : mapping, optional
        The user's own item texts, by item number; an item without one is called by its label or number.

    Returns
    -------
    str
        One item for each of the form, linkId q1 and so on. Few whole answers are options whose coding carries
        the printed number as its ordinal value, so that it travels with an answer; anything else is a number
        with its range. R4 has no place for a scoring key: an extension carries the whole definition.

    Raises
    ------
    ScaleError
        If the definition breaks the schema.
    """
    scale = parse_definition(table, origin=str(table.get("id", "definition")))
    resource = {
        "resourceType": "Questionnaire",
        "id": scale.id[:64],
        "extension": [{"url": DEFINITION, "valueString": pack(table)}],
        "url": f"urn:alliance:questionnaire:{scale.id}",
        **({"version": scale.version} if scale.version else {}),
        "name": f"Form{scale.id.title().replace('-', '')}",
        "title": scale.name,
        "status": "active" if scale.status == "verified" else "draft",
        "copyright": scale.licence,
        **({"code": [{"system": LOINC, "code": scale.loinc["panel"]}]} if "panel" in scale.loinc else {}),
        "item": [_item(scale, number, texts) for number in range(1, scale.n_items + 1)],
    }
    return json.dumps(resource, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def from_fhir(text: str, form: str | None = None) -> Imported:
    """Return the definition that a FHIR Questionnaire holds, as a table, and what must be told of it.

    Parameters
    ----------
    text : str
        A Questionnaire in JSON.

    Returns
    -------
    table, notes
        The very definition, where `to_fhir` wrote the file. Of a foreign one, a provisional definition of its
        items, groups taken apart, in their order, and nothing of its key.

    Raises
    ------
    ScaleError
        If the text is no Questionnaire, or has no item with numeric answers.
    """
    refuse_form(form)
    resource = json_object(text)
    kind = _said(resource, "resourceType")
    if kind != "Questionnaire":
        message = (
            f"the file is no FHIR Questionnaire but {f'a {kind}' if kind else 'no FHIR resource at all'}"
        )
        raise ScaleError(message, hint="give the Questionnaire itself, as JSON")
    entries = list(_flat(resource.get("item")))
    contained = {f"#{each.get('id')}": each for each in _objects(resource.get("contained"))}
    items = [(entry, _foreign_item(entry, contained)) for entry in entries]
    packed = _extension(resource, DEFINITION)
    if packed is not None:
        return _own(str(packed), [item for _, item in items if item])
    return _foreign(resource, items)


def _item(scale: Scale, number: int, texts: Texts | None) -> dict[str, Any]:
    values = choices(scale, number)
    return {
        "linkId": f"q{number}",
        "text": label(scale, number, texts),
        **({"required": False} if number in scale.not_applicable else {}),
        **(_closed(scale, number, values) if values else _line(scale, number)),
    }


def _closed(scale: Scale, number: int, values: Sequence[float]) -> dict[str, Any]:
    codings = [
        {
            "extension": [{"url": ORDINAL, "valueDecimal": plain(value)}],
            "code": shown(value),
            "display": word(scale, number, value),
        }
        for value in values
    ]
    return {"type": "choice", "answerOption": [{"valueCoding": coding} for coding in codings]}


def _line(scale: Scale, number: int) -> dict[str, Any]:
    bounds = scale.item_bounds[number - 1]
    places = max(map(decimals, (scale.step, *bounds)))
    kind = "decimal" if places else "integer"
    ends = zip(("minValue", "maxValue"), bounds, strict=True)
    extension = [{"url": f"{HL7}/{end}", f"value{kind.title()}": plain(value)} for end, value in ends]
    if places:
        extension.append({"url": f"{HL7}/maxDecimalPlaces", "valueInteger": places})
    return {"type": kind, "extension": extension}


def _own(packed: str, items: Sequence[ForeignItem]) -> Imported:
    """Return the definition carried by a file of ours, and whether its items are still those."""
    table = unpack(packed)
    scale = parse_definition(table, origin=DEFINITION)
    same = [(item.low, item.high) for item in items] == list(scale.item_bounds)
    return table, () if same else (CHANGED,)


def _foreign(resource: Object, items: Sequence[tuple[Object, ForeignItem | None]]) -> Imported:
    names = [_said(resource, key) for key in ("id", "name", "title")]
    told = left_out("no numeric answers", [_name(entry) for entry, item in items if item is None])
    panel = _panel(resource)
    source = f"FHIR Questionnaire {_said(resource, 'url') or slug(*names)}"
    return draft(
        [item for _, item in items if item],
        id=slug(*names),
        name=next(filter(None, reversed(names)), "FHIR Questionnaire"),
        source=source,
        told=list(told),
        licence=_said(resource, "copyright"),
        version=_said(resource, "version"),
        loinc={"panel": panel} if panel else {},
    )


def _panel(resource: Object) -> str:
    codes = (_said(code, "code") for code in _objects(resource.get("code")) if code.get("system") == LOINC)
    return next(codes, "")


def _flat(entries: object) -> Iterator[Object]:
    """Yield the questions in their order; groups are taken apart, texts and computed fields passed over."""
    ahead = _objects(entries)[::-1]
    while ahead:
        entry = ahead.pop()
        if entry.get("type") not in ("group", "display") and entry.get("readOnly") is not True:
            yield entry
        ahead += _objects(entry.get("item"))[::-1]


def _foreign_item(entry: Object, contained: Mapping[str, Object]) -> ForeignItem | None:
    kind = entry.get("type")
    options = _options(entry, contained)
    if entry.get("repeats") is True or kind not in (*CLOSED, *LINES):
        return None
    if options or kind in CLOSED:
        return ForeignItem.of_choices(_name(entry), [_choice(option) for option in options])
    places = 0 if kind == "integer" else _extension(entry, f"{HL7}/maxDecimalPlaces")
    ends = (_numeral(_extension(entry, f"{HL7}/{end}")) for end in ("minValue", "maxValue"))
    known = isinstance(places, int) and 0 <= places <= 9  # noqa: PLR2004  as many as a number may have
    return ForeignItem.of_line(_name(entry), *ends, places=places if known else None)


def _options(entry: Object, contained: Mapping[str, Object]) -> list[Object]:
    """Return the answers of an item: its own ones, or those of a value set that stands in the same file."""
    own = _objects(entry.get("answerOption")) or _objects(entry.get("option"))
    named = contained.get(str(entry.get("answerValueSet")), {})
    parts = _objects(_object(named.get("compose")).get("include"))
    listed = [concept for part in parts for concept in _objects(part.get("concept"))]
    listed = listed or _objects(_object(named.get("expansion")).get("contains"))
    return own or [{"valueCoding": concept} for concept in listed]


def _choice(option: Object) -> tuple[str, str]:
    """Return an answer as its number, or its code where it has none, and its word."""
    coding = _object(option.get("valueCoding"))
    weights = [_extension(place, url) for url in WEIGHTS for place in (coding, option)]
    numbers = [*weights, option.get("valueInteger")]
    number = next((number for number in numbers if number is not None), None)
    word = _said(coding, "display") or _said(option, "valueString")
    numeral = _numeral(number)
    return numeral if is_number(numeral) else f"'{word or _said(coding, 'code')}'", word


def _extension(place: Object, url: str) -> Any:
    """Return the value of an extension; None if it is not there."""
    found = [each for each in _objects(place.get("extension")) if each.get("url") == url]
    values = [value for each in found for key, value in each.items() if key.startswith("value")]
    return values[0] if values else None


def _numeral(value: object) -> str:
    """Return a JSON number as it would be typed; anything else is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f"{Decimal(repr(value)).normalize():f}"


def _objects(value: object) -> list[Object]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _said(place: Object, key: str) -> str:
    value = place.get(key)
    return value.strip() if isinstance(value, str) else ""


def _name(entry: Object) -> str:
    return _said(entry, "linkId") or "an item without linkId"
