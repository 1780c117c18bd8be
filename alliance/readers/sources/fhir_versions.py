"""Which QuestionnaireResponses of a file count: by status, by version, and by the questionnaire chosen."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from alliance.errors import DataError
from alliance.readers.problems import counted, told
from alliance.readers.sources.fhir_forms import NO_FORM, Form, form_within
from alliance.readers.sources.fhir_json import Contents, Object, Resource, obj, said

OWN = "urn:alliance:questionnaire:"
IN_PROGRESS = "in-progress"
_IN_ERROR = "entered-in-error"
_STATUSES = {IN_PROGRESS, "completed", "amended", _IN_ERROR, "stopped"}
_LONGEST_NUMBER = 18


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response that counts: the resource, the questionnaire it answers, and the version of that."""

    resource: Resource
    name: str
    version: str
    inner: Form | None = None

    @property
    def body(self) -> Object:
        """The response itself."""
        return self.resource.body

    def is_called(self, wanted: str) -> bool:
        """Return whether its questionnaire is the `wanted` one: all of its name, or the last part."""
        return wanted in {self.name, f"{self.name}|{self.version}", re.split(r"[/:]", self.name)[-1]}


def sound(responses: Sequence[Resource], contents: Contents) -> list[Resource]:
    """Return the responses whose status is one of FHIR; the others are breaches."""
    found = []
    for each in responses:
        status = said(each.body, "status")
        if status in _STATUSES:
            found.append(each)
        else:
            what = f"status '{status[:40]}' is none of FHIR" if status else "no status"
            contents.breaches.append((each.number, what))
    return found


def latest(responses: Sequence[Resource], contents: Contents, notes: list[str]) -> list[Resource]:
    """Return the last version of each response, without those withdrawn or stopped; the rest is told.

    The last one is that of the highest meta.versionId, or the latest meta.lastUpdated, or the last in the
    file.

    Raises
    ------
    DataError
        If one id is given to different subjects and nothing says that these are versions.
    """
    groups: dict[str, list[Resource]] = {}
    for each in responses:
        groups.setdefault(each.key, []).append(each)
    gone = {key for key, group in groups.items() if key in contents.deleted or _in_error(group)}
    left = [group for key, group in groups.items() if key not in gone]
    _refuse_shared_ids(left, contents)
    last = [_last(group) for group in left]
    withdrawn = [each for key in gone for each in groups[key]]
    older = [each for group, kept in zip(left, last, strict=True) for each in group if each is not kept]
    stopped = [each for each in last if said(each.body, "status") == "stopped"]
    for found, why in (
        (withdrawn, "entered in error or deleted, with all versions"),
        (older, "replaced by a later version"),
        (stopped, "stopped before the end"),
    ):
        if found:
            where = [contents.place(number) for number in sorted(each.number for each in found)]
            notes.append(told(f"{counted(len(found), 'response')} not read, {why}", where))
    return sorted((each for each in last if each not in stopped), key=lambda each: each.number)


def choose(
    responses: Sequence[Response], wanted: str, contents: Contents, notes: list[str]
) -> list[Response]:
    """Return the responses to the questionnaire that is `wanted`, or all of them if they may stand together.

    Raises
    ------
    DataError
        If there is none to that one; or none is wanted, and there are several that are not our own.
    """
    names = Counter(each.name for each in responses)
    known = [f"{name or '(no questionnaire said)'}: {counted(n, 'response')}" for name, n in names.items()]
    if wanted:
        chosen = [each for each in responses if each.is_called(wanted)]
        if not chosen:
            message = f"there is no response to the questionnaire '{wanted}'"
            raise DataError(message, where=known, hint="name one of these with --sheet")
        if len(chosen) < len(responses):
            others = counted(len(responses) - len(chosen), "response")
            notes.append(told(f"{others} to other questionnaires not read", sorted(names - _names(chosen))))
        responses, names = chosen, _names(chosen)
    if len(names) > 1 and not all(name.startswith(OWN) for name in names):
        message = f"the file has responses to {len(names)} questionnaires"
        hint = 'name one with --sheet, or in a mapping: sheet = "…"; read the others one by one'
        raise DataError(message, where=known, hint=hint, shown=len(known))
    return list(responses)


def response_of(resource: Resource) -> Response:
    """Return the response with the questionnaire that it says it answers."""
    value = resource.body.get("questionnaire")
    text = said(resource.body, "questionnaire") or said(obj(value), "reference")
    inner = form_within(resource.body, text) if text.startswith("#") else None
    if inner is not None and inner.url:
        return Response(resource=resource, name=inner.url, version=inner.version, inner=inner)
    name, _, version = text.partition("|")
    return Response(resource=resource, name=name, version=version, inner=inner)


def match_forms(
    responses: Sequence[Response], forms: Sequence[Form], dictionary: Form | None, notes: list[str]
) -> list[Form]:
    """Return the Questionnaire of each response: of the dictionary, contained, or in the same file, if any.

    Raises
    ------
    DataError
        If the dictionary is another Questionnaire than the ones that were answered.
    """
    if dictionary is not None and not any(_answers(each, dictionary) for each in responses):
        message = f"--dictionary is the Questionnaire '{dictionary.url}', which no response answers"
        answered = sorted({each.name for each in responses})
        raise DataError(message, where=answered, hint="give the one that was answered")
    found, other = [], []
    for each in responses:
        if dictionary is not None and _answers(each, dictionary):
            form = dictionary
        else:
            form = each.inner or _form_of(each, forms)
        found.append(form)
        if each.version and form.version not in {"", each.version}:
            other.append(f"{each.version}, read by {form.version}")
    if other:
        what = f"{counted(len(other), 'response')} to another version of the questionnaire than is at hand"
        notes.append(told(what, sorted(set(other))))
    return found


def _answers(response: Response, form: Form) -> bool:
    return not form.url or not response.name or response.name in form.named


def _form_of(response: Response, forms: Sequence[Form]) -> Form:
    """Return the one Questionnaire that a response names; with its version, where there are several."""
    found = [form for form in forms if response.name in form.named]
    if len(found) > 1 or response.version:
        found = [form for form in found if form.version in {"", response.version}]
    return found[0] if len(found) == 1 else NO_FORM


def _names(responses: Sequence[Response]) -> Counter[str]:
    return Counter(each.name for each in responses)


def _in_error(group: Sequence[Resource]) -> bool:
    return any(said(each.body, "status") == _IN_ERROR for each in group)


def _last(group: Sequence[Resource]) -> Resource:
    ranks = _ranks(group) or [0] * len(group)
    return group[max(range(len(group)), key=lambda place: (ranks[place], place))]


def _ranks(group: Sequence[Resource]) -> list[float] | None:
    """Return what meta says of the order of versions; None if it does not say it of each."""
    metas = [obj(each.body.get("meta")) for each in group]
    versions = [said(meta, "versionId") for meta in metas]
    if all(text.isdecimal() and len(text) <= _LONGEST_NUMBER for text in versions):
        return [int(text) for text in versions]
    moments = [_moment(said(meta, "lastUpdated")) for meta in metas]
    known = [moment for moment in moments if moment is not None]
    return known if len(known) == len(moments) else None


def _moment(text: str) -> float | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()


def _refuse_shared_ids(groups: Sequence[Sequence[Resource]], contents: Contents) -> None:
    """Raise DataError where one id stands for responses of several subjects, and no version tells why."""
    shared = [group for group in groups if len(_subjects(group)) > 1 and _ranks(group) is None]
    if shared:
        message = f"{counted(len(shared), 'id is', 'ids are')} given to responses of different subjects"
        where = [", ".join(contents.place(each.number) for each in group) for group in shared]
        hint = "export them with meta.versionId if these are versions, or else with an id for each"
        raise DataError(message, where=where, hint=hint)


def _subjects(group: Sequence[Resource]) -> set[str]:
    subjects = [obj(each.body.get("subject")) for each in group]
    return {said(each, "reference") or said(obj(each.get("identifier")), "value") for each in subjects}
