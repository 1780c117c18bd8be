"""FHIR resources made by hand, as small as they can be and still be valid."""

import json

HL7 = "http://hl7.org/fhir/StructureDefinition"
FORM = "http://example.org/Questionnaire/demo"


def weight(number, name="ordinalValue"):
    return [{"url": f"{HL7}/{name}", "valueDecimal": number}]


def coding(code="", display="", number=None, *, name="ordinalValue", system="urn:x"):
    """Return a coded answer; with a number, that number as its weight."""
    parts = {"system": system, "code": code, "display": display}
    found = {key: text for key, text in parts.items() if text}
    return {"valueCoding": found if number is None else {**found, "extension": weight(number, name)}}


def item(link, *answers, **fields):
    return {"linkId": link, **fields, **({"answer": list(answers)} if answers else {})}


def items(*numbers):
    """Return items q1, q2 and so on with whole numbers; None is an item that is not there."""
    return [item(f"q{n}", {"valueInteger": each}) for n, each in enumerate(numbers, 1) if each is not None]


def response(case="P1", day="2026-01-05", answers=(1, 2, 3), **fields):
    """Return a completed response; `answers` are numbers or items; a field of None is left out."""
    given = list(answers)
    whole = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": FORM,
        "status": "completed",
        "subject": {"reference": f"Patient/{case}"},
        "authored": f"{day}T10:00:00+01:00",
        "item": given if given and isinstance(given[0], dict) else items(*given),
        **fields,
    }
    return {key: value for key, value in whole.items() if value is not None}


def bundle(*resources, **fields):
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries, **fields}


def options(*words, name="ordinalValue", first=1, system="urn:x"):
    """Return the answers a, b, c … of an item, with weights from `first` upwards."""
    return [
        coding("abcdefg"[place], word, first + place, name=name, system=system)
        for place, word in enumerate(words)
    ]


def questionnaire(*questions, **fields):
    head = {"resourceType": "Questionnaire", "url": FORM, "status": "active"}
    return {**head, "item": list(questions), **fields}


def question(link, answers=(), **fields):
    given = {"answerOption": list(answers)} if answers else {}
    return {"linkId": link, "type": "choice", **given, **fields}


def text_of(value):
    return json.dumps(value, ensure_ascii=False, indent=1)


def lines_of(*resources):
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in resources)
