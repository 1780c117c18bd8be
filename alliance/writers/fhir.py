"""FHIR R4: a QuestionnaireResponse for each form, and an Observation for each score."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alliance.writers import Study, writer
from alliance.writers.study import all_forms

if TYPE_CHECKING:
    from alliance.scale import Scale

SESSION, RATER, THERAPIST = "urn:alliance:session", "urn:alliance:rater", "urn:alliance:therapist"
"""Extensions that say what a QuestionnaireResponse has no place for."""
CASE, SCORE = "urn:alliance:case", "urn:alliance:score"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
TEST_DATA = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
Resource = dict[str, Any]
Row = Mapping[str, Any]


@writer("fhir", title="FHIR R4 Bundle", suffix=".json")
def write_fhir(study: Study) -> dict[str, bytes]:
    """Return one Bundle of type collection, an entry a line: each response, behind it its Observations."""
    entries = [
        {"fullUrl": _url(study, each["id"]), "resource": each}
        for response, scores in _resources(study, lambda id: _url(study, id))
        for each in (response, *scores)
    ]
    head = _compact({"resourceType": "Bundle", "type": "collection", **_tag(study)}).removesuffix("}")
    body = ",\n".join(map(_compact, entries))
    return {f"{study.name}.json": f'{head},"entry":[\n{body}\n]}}\n'.encode()}


@writer("fhir-ndjson", title="FHIR R4, one resource a line", suffix=".ndjson")
def write_ndjson(study: Study) -> dict[str, bytes]:
    """Return QuestionnaireResponse.ndjson, and Observation.ndjson where there are scores."""
    found = list(_resources(study, lambda id: f"QuestionnaireResponse/{id}"))
    files = {"QuestionnaireResponse.ndjson": _lines(response for response, _ in found)}
    if any(scores for _, scores in found):
        files["Observation.ndjson"] = _lines(each for _, scores in found for each in scores)
    return files


def _lines(resources: Iterator[Resource]) -> bytes:
    return "".join(f"{_compact(each)}\n" for each in resources).encode()


def _compact(value: Resource) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _resources(study: Study, refer: Callable[[str], str]) -> Iterator[tuple[Resource, list[Resource]]]:
    """Yield each response with its Observations, which point to it as `refer` says."""
    forms = all_forms(study)
    ids = forms["scale"] if study.several else [next(iter(study.responses))] * len(forms)
    items = {name: _items_of(study.scales[name]) for name in study.responses}
    for number, (row, name) in enumerate(zip(forms.to_dict("records"), ids, strict=True), 1):
        id, known = f"form-{number}", {str(key): value for key, value in row.items()}
        response = _response(study, name, items[name], known, id)
        scores = (
            []
            if study.scores.get(name) is None
            else list(_observations(study, study.scales[name], known, id, refer(id)))
        )
        yield response, scores


@dataclass(frozen=True, kw_only=True)
class _Item:
    """How an item is answered: by one of its `choices` (value → answer), or else by a number of a `kind`."""

    name: str
    kind: str
    choices: Mapping[float, Resource]


def _items_of(scale: Scale) -> list[_Item]:
    from alliance.exchange.items import choices, decimals

    found = []
    for number, (name, bounds) in enumerate(zip(scale.items, scale.item_bounds, strict=True), 1):
        places = max(map(decimals, (scale.step, *bounds)))
        coded = {value: _choice(scale, number, value) for value in choices(scale, number)}
        found.append(_Item(name=name, kind="valueDecimal" if places else "valueInteger", choices=coded))
    return found


def _choice(scale: Scale, number: int, value: float) -> Resource:
    from alliance.exchange.fhir import ORDINAL
    from alliance.exchange.items import shown, word
    from alliance.scale import plain

    weight = {"url": ORDINAL, "valueDecimal": plain(value)}
    return {
        "valueCoding": {
            "extension": [weight],
            "code": shown(value),
            "display": word(scale, number, value),
        }
    }


def _answered(item: _Item, value: float) -> Resource:
    """Return an item of a response; an unanswered one has no answer."""
    from alliance.scale import plain

    if value != value:  # noqa: PLR0124  NaN: not answered
        return {"linkId": item.name}
    return {"linkId": item.name, "answer": [item.choices.get(value) or {item.kind: plain(value)}]}


def _response(study: Study, name: str, items: Sequence[_Item], row: Row, id: str) -> Resource:
    extension = [{"url": SESSION, "valueInteger": int(row["session"])}]
    extension += [
        {"url": url, "valueString": row[key]}
        for url, key in ((RATER, "rater"), (THERAPIST, "therapist"))
        if row[key]
    ]
    return {
        "resourceType": "QuestionnaireResponse",
        "id": id,
        **_tag(study),
        "extension": extension,
        "questionnaire": f"urn:alliance:questionnaire:{name}",
        "status": "completed",
        "subject": _subject(row["case"]),
        **_dated("authored", row),
        "item": [_answered(item, row[item.name]) for item in items],
    }


def _observations(study: Study, scale: Scale, row: Row, id: str, response: str) -> Iterator[Resource]:
    note = [{"text": row["note"]}] if row["note"] else []
    for place, name in enumerate(scale.scores, 1):
        coding = [{"system": SCORE, "code": f"{scale.id}.{name}"}]
        if name in scale.loinc:
            coding.insert(0, {"system": "http://loinc.org", "code": scale.loinc[name]})
        yield {
            "resourceType": "Observation",
            "id": f"{id}-score-{place}",
            **_tag(study),
            "status": "final" if scale.status == "verified" else "preliminary",
            "code": {"coding": coding, "text": f"{scale.name} ({scale.id}): {name}"},
            "subject": _subject(row["case"]),
            **_dated("effectiveDateTime", row),
            **_value(row[name]),
            **({"note": note} if note else {}),
            "derivedFrom": [{"reference": response}],
        }


def _value(value: float) -> Resource:
    """Return a score, or that it was not formed."""
    from alliance.scale import plain

    if value != value:  # noqa: PLR0124  NaN: not scored
        reason = [{"system": ABSENT, "code": "not-performed"}]
        return {"dataAbsentReason": {"coding": reason, "text": "not scored"}}
    return {"valueQuantity": {"value": plain(value)}}


def _subject(case: str) -> Resource:
    """Return whose form it is: the code, and a reference where the code may be a FHIR id."""
    named = {"identifier": {"system": CASE, "value": case}}
    valid = re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", case)
    return {"reference": f"Patient/{case}", **named} if valid else named


def _dated(key: str, row: Row) -> Resource:
    return {} if row["date"] is None or row["date"] != row["date"] else {key: row["date"].date().isoformat()}


def _tag(study: Study) -> Resource:
    return {"meta": {"tag": [TEST_DATA]}} if study.synthetic else {}


def _url(study: Study, id: str) -> str:
    """Return a name for a resource within its bundle; nothing about a person goes into it."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:alliance:{study.name}:{id}')}"
