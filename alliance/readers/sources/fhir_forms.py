"""What a FHIR Questionnaire says of its items: their order, their texts, and the number of each answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from alliance.errors import DataError
from alliance.readers.opening import read_bytes
from alliance.readers.options import ReadOptions
from alliance.readers.sources.fhir_json import (
    FORM,
    Contents,
    Object,
    extension,
    number_of,
    obj,
    objects,
    read_contents,
    said,
)
from alliance.readers.text import decode

_HL7 = "http://hl7.org/fhir/StructureDefinition"
WEIGHTS = tuple(
    f"{_HL7}/{name}"
    for name in (
        "itemWeight",
        "ordinalValue",
        "questionnaire-ordinalValue",
        "valueset-ordinalValue",
        "codesystem-ordinalValue",
        "iso21090-CO-value",
    )
)
"""The extensions that say which number an answer stands for."""
_HINT = "give the Questionnaire that was answered, as JSON"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One answer of an item: its system and code, or its text, with its word and its numbers."""

    system: str = ""
    code: str
    word: str = ""
    numbers: tuple[Decimal, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Form:
    """A Questionnaire: linkId → text of its questions, in their order, and linkId → answers.

    `named` are the ways in which a response may name it.
    """

    url: str = ""
    version: str = ""
    named: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    options: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)

    def option(self, link: str, system: str, code: str) -> Option | None:
        """Return the answer meant by a code; None if there is none, or more than one."""
        if link not in self.options:
            return None
        found = [each for each in self.options[link] if each.code == code]
        found = [each for each in found if not (each.system and system) or each.system == system]
        return found[0] if len(found) == 1 else None


NO_FORM = Form()


def forms_in(contents: Contents) -> list[Form]:
    """Return every Questionnaire of a file."""
    sets = _value_sets([each.body for each in contents.resources])
    return [read_form(each.body, sets, url=each.url) for each in contents.resources if each.kind == FORM]


def form_within(response: Object, name: str) -> Form | None:
    """Return the Questionnaire that is contained in a response, `#` and its id being its `name`."""
    inside = objects(response.get("contained"))
    found = [each for each in inside if f"#{said(each, 'id')}" == name and said(each, "resourceType") == FORM]
    return read_form(found[0], _value_sets(inside)) if found else None


def form_of_dictionary(options: ReadOptions) -> Form | None:
    """Return the Questionnaire in the file that --dictionary names, if it names one.

    Raises
    ------
    DataError
        If the file holds no Questionnaire, or several.
    """
    if options.dictionary is None:
        return None
    name = f"'{options.dictionary.name}'"
    text, _ = decode(read_bytes(options.dictionary), encoding=None)
    forms = forms_in(read_contents(text, name=name))
    if len(forms) != 1:
        what = f"{name} holds {len(forms) or 'no'} FHIR Questionnaire{'s' if forms else ''}"
        raise DataError(what, hint=_HINT)
    return forms[0]


def read_form(body: Object, sets: Mapping[str, Object], *, url: str = "") -> Form:
    """Return what the Questionnaire `body` says; `sets` are value sets by name."""
    sets = {**sets, **_value_sets(objects(body.get("contained")))}
    labels: dict[str, str] = {}
    groups: set[str] = set()
    options: dict[str, tuple[Option, ...]] = {}
    for item in _questions(body):
        link = said(item, "linkId")
        if said(item, "type") in {"group", "display"}:
            groups.add(link)
        elif link:
            labels[link] = said(item, "text")
            options[link] = tuple(_options(item, sets))
    own = said(body, "url")
    named = frozenset(filter(None, (own, url, said(body, "id") and f"{FORM}/{said(body, 'id')}")))
    return Form(
        url=own,
        version=said(body, "version"),
        named=named,
        labels=labels,
        groups=frozenset(groups),
        options=options,
    )


def weights(*places: Object) -> tuple[Decimal, ...]:
    """Return the different numbers that extensions at the `places` say an answer stands for."""
    texts = [text for place in places if "extension" in place for text in extension(place, *WEIGHTS)]
    found = [number_of(text) for text in texts]
    return tuple(dict.fromkeys(number for number in found if number is not None))


def _questions(body: Object) -> Iterator[Object]:
    ahead = objects(body.get("item"))[::-1]
    while ahead:
        item = ahead.pop()
        yield item
        ahead += objects(item.get("item"))[::-1]


def _options(item: Object, sets: Mapping[str, Object]) -> Iterator[Option]:
    for option in objects(item.get("answerOption")):
        coding = obj(option.get("valueCoding"))
        if coding:
            yield _coded(coding, option)
        else:
            texts = (said(option, key) for key in option if key.startswith("value"))
            yield from (Option(code=text, word=text, numbers=weights(option)) for text in texts if text)
    named = sets.get(said(item, "answerValueSet").split("|")[0], {})
    yield from (_coded(concept) for concept in _concepts(named))


def _coded(coding: Object, *around: Object) -> Option:
    return Option(
        system=said(coding, "system"),
        code=said(coding, "code") or said(coding, "display"),
        word=said(coding, "display"),
        numbers=weights(coding, *around),
    )


def _concepts(value_set: Object) -> Iterator[Object]:
    expanded = objects(obj(value_set.get("expansion")).get("contains"))
    if expanded:
        yield from expanded
        return
    for part in objects(obj(value_set.get("compose")).get("include")):
        system = said(part, "system")
        yield from ({"system": system, **concept} for concept in objects(part.get("concept")))


def _value_sets(bodies: Sequence[Object]) -> dict[str, Object]:
    found = [body for body in bodies if body.get("resourceType") == "ValueSet"]
    by_id = {f"#{said(body, 'id')}": body for body in found}
    return by_id | {url: body for body in found if (url := said(body, "url"))}
