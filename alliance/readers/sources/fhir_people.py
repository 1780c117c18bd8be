"""Whose a FHIR resource is and who answered, by code alone: nothing of a Patient is read but its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alliance.readers.sources.fhir_json import Object, extension, obj, objects, said

SESSION, RATER, THERAPIST = (f"urn:alliance:{name}" for name in ("session", "rater", "therapist"))
CASE = "urn:alliance:case"
_REASONS = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_THERAPISTS = {"Practitioner", "PractitionerRole"}


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody a resource refers to: the code, what kind of resource it is, and where that code is valid."""

    code: str = ""
    kind: str = ""
    place: str = ""


def person(response: Object, key: str, kinds: Mapping[str, str]) -> Person:
    """Return whom a response means by `key`; `kinds` is fullUrl → kind of the resources in the file.

    An identifier of our own comes first, then a reference, without its version, then any identifier. A person
    that is contained in the response has no code that holds beyond it, but may have an identifier.
    """
    told = obj(response.get(key))
    reference, kind = said(told, "reference"), said(told, "type").rsplit("/", 1)[-1]
    named = _identified(told.get("identifier"), kind)
    if named.code and named.place == CASE:
        return Person(code=named.code, kind=kind)
    if reference.startswith("#"):
        inside = next(
            (each for each in objects(response.get("contained")) if f"#{said(each, 'id')}" == reference), {}
        )
        own = inside.get("identifier")
        within = _identified(own[0] if isinstance(own, list) and len(own) == 1 else None, kind)
        return _of_kind(named if named.code else within, kind or said(inside, "resourceType"))
    if not reference:
        return named
    if reference.startswith("urn:"):
        return Person(code=reference.rsplit(":", 1)[-1], kind=kind or kinds.get(reference, ""))
    *place, code = reference.split("/_history/")[0].split("/")
    kind = kind or (place[-1] if place else "")
    return Person(code=code, kind=kind, place="/".join(place[:-1]))


def rater(response: Object, case: str, kinds: Mapping[str, str]) -> str:
    """Return who answered: as we wrote it, or by the source of the response; empty where it has none.

    A Patient that is not the subject, such as one of a couple, answers under the own code.
    """
    written = own_value(response, RATER)
    source = person(response, "source", kinds)
    if written or not source.code:
        return written
    if source.kind == "Patient" and source.code == case:
        return "client"
    return "therapist" if source.kind in _THERAPISTS else source.code


def own_value(response: Object, url: str) -> str:
    """Return what an extension or identifier of ours says; empty where there is none."""
    said_so = extension(response, url)
    identifiers = response.get("identifier")
    several = objects(identifiers if isinstance(identifiers, list) else [identifiers])
    named = [said(each, "value") for each in several if said(each, "system") == url]
    return next(iter([*said_so, *named]), "")


def is_test_data(resource: Object) -> bool:
    """Return whether a resource says that no real person is in it."""
    tags = objects(obj(resource.get("meta")).get("tag"))
    return any(said(tag, "system") == _REASONS and said(tag, "code") == "HTEST" for tag in tags)


def contradictions(people: Iterable[Person]) -> list[str]:
    """Return each code that stands for people of different kinds, or of different places."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for each in people:
        kinds, places = found.setdefault(each.code, (set(), set()))
        kinds.update({each.kind} - {""})
        places.update({each.place} - {""})
    return [
        f"{code}: {', '.join([*sorted(kinds), *sorted(places)])}"
        for code, (kinds, places) in found.items()
        if code and (len(kinds) > 1 or len(places) > 1)
    ]


def _identified(value: object, kind: str) -> Person:
    identifier = obj(value)
    return Person(code=said(identifier, "value"), kind=kind, place=said(identifier, "system"))


def _of_kind(found: Person, kind: str) -> Person:
    return Person(code=found.code, kind=kind, place=found.place)
