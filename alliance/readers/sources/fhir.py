"""FHIR R4: QuestionnaireResponses in a Bundle, one a line, in a list or alone → a table, one row each.

A line of the table is the number of a resource, unless each has a line of its own in the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alliance.errors import DataError
from alliance.readers.columns import key_of
from alliance.readers.export import Export, Opened
from alliance.readers.problems import counted, listed, told
from alliance.readers.sources import container
from alliance.readers.sources.fhir_answers import (
    Answered,
    columns_of,
    labels_of,
    read_answers,
    words_of,
)
from alliance.readers.sources.fhir_forms import Form, form_of_dictionary, forms_in
from alliance.readers.sources.fhir_json import (
    FORM,
    RESPONSE,
    Contents,
    Object,
    Resource,
    clean,
    objects,
    read_contents,
    said,
)
from alliance.readers.sources.fhir_people import (
    SESSION,
    THERAPIST,
    Person,
    contradictions,
    is_test_data,
    own_value,
    person,
    rater,
)
from alliance.readers.sources.fhir_versions import (
    IN_PROGRESS,
    OWN,
    Response,
    choose,
    latest,
    match_forms,
    response_of,
    sound,
)
from alliance.readers.text import Records, decode, uncollected

_SUFFIXES = {".json", ".ndjson"}
_XML = b"http://hl7.org/fhir"
_OUTCOME = "OperationOutcome"
_PLAIN_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_SERIOUS = ("fatal", "error", "warning")


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A response as read: its number, the cells of its roles, and its answers."""

    number: int
    roles: dict[str, str]
    who: Person
    answered: Answered
    unfinished: bool


def _claims(opened: Opened) -> bool:
    raw = opened.raw.replace(b"\0", b"") if b"\0" in opened.raw[:64] else opened.raw
    start = raw[:4096].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start.startswith(b"<"):
        return _XML in raw[:65_536]
    json = start.startswith((b"{", b"[")) or opened.path.suffix.casefold() in _SUFFIXES
    return json and b"resourceType" in raw


@container("fhir", title="FHIR QuestionnaireResponses", claims=_claims)
def read_fhir(opened: Opened) -> Export:
    """Return one row for each response that counts, with a column for each linkId.

    Raises
    ------
    DataError
        If the file is no JSON, holds no response, or says what contradicts itself.
    """
    with uncollected():
        return _read(opened)


def _read(opened: Opened) -> Export:
    text, encoding = decode(opened.raw, encoding=opened.options.encoding)
    if text.lstrip().startswith("<"):
        message = "FHIR in XML is not read"
        raise DataError(message, hint="ask its server for JSON: Accept: application/fhir+json")
    contents = read_contents(text)
    notes = [] if encoding == "UTF-8" else [f"the file is encoded in {encoding}"]
    notes += _around(contents)
    responses = latest(sound(_responses(contents), contents), contents, notes)
    wanted = opened.options.sheet or opened.mapping.sheet
    chosen = choose([response_of(each) for each in responses], wanted, contents, notes)
    forms = match_forms(chosen, forms_in(contents), form_of_dictionary(opened.options), notes)
    rows = _rows(chosen, forms, contents)
    notes += _breaches(contents, opened.options.on_error)
    broken = {number for number, _ in contents.breaches}
    rows = [row for row in rows if row.number not in broken]
    if not rows:
        message = "no response in the file counts"
        raise DataError(message, where=notes, hint="export those that were completed")
    _refuse_contradictions(rows)
    own = list({id(form): form for form in forms}.values())
    return replace(_export(rows, own), evidence=_evidence(contents), notes=tuple(notes))


def _responses(contents: Contents) -> list[Resource]:
    found = [each for each in contents.resources if each.kind == RESPONSE]
    if found or contents.breaches:
        return found
    kinds = Counter(each.kind for each in contents.resources)
    if set(kinds) == {FORM}:
        message = f"the file holds a {FORM}: it is the form, not its answers"
        raise DataError(
            message,
            hint="export its QuestionnaireResponses; give the form with --dictionary, or to "
            "`alliance scales import`",
        )
    message = f"the file holds no {RESPONSE}"
    hint = "export the QuestionnaireResponses of the study"
    raise DataError(message, where=_counts(kinds), hint=hint)


def _around(contents: Contents) -> list[str]:
    """Return what is to be told of all that is no response."""
    kinds = Counter(each.kind for each in contents.resources)
    notes = [_page(page, kinds[RESPONSE]) for page in contents.pages]
    outcomes = [each for each in contents.resources if each.kind == _OUTCOME]
    issues = Counter(
        said(issue, "severity") for each in outcomes for issue in objects(each.body.get("issue"))
    )
    serious = [counted(issues[name], name) for name in _SERIOUS if issues[name]]
    if serious:
        notes.append(f"the server says of its answer (OperationOutcome): {', '.join(serious)}")
    others = {kind: n for kind, n in kinds.items() if kind not in {RESPONSE, FORM, _OUTCOME}}
    if others:
        notes.append(f"nothing but their kind was read of other resources: {listed(_counts(others))}")
    return notes


def _page(bundle: Object, n_responses: int) -> str:
    total = said(bundle, "total")
    of = f"; the search found {total} resources in all" if total else ""
    return (
        f"the file is one page of a search, with {counted(n_responses, 'response')}{of}: "
        "load the pages behind its link 'next' too"
    )


def _counts(kinds: Mapping[str, int]) -> list[str]:
    return [f"{n} {clean(kind)[:40]}" for kind, n in sorted(kinds.items())]


def _breaches(contents: Contents, on_error: str) -> list[str]:
    """Return a note about what is not as FHIR has it; raise DataError unless it is to be left out."""
    if not contents.breaches:
        return []
    found = sorted(contents.breaches)
    where = [f"{contents.place(number)}: {what}" for number, what in found]
    n = len({number for number, _ in found})
    what = counted(n, f"{contents.unit} is", f"{contents.unit}s are") + " not as FHIR R4 has it"
    if on_error == "drop":
        return [told(f"{what}, left out", where)]
    raise DataError(what, where=where, hint="export it again, or load the rest with --on-error drop")


def _evidence(contents: Contents) -> str:
    n = counted(len(contents.resources), "resource")
    if contents.shape == "lines":
        return f"{n}, one a line"
    return f"{contents.shape} of {n}; a line is the number of a resource in the file"


def _rows(chosen: Sequence[Response], forms: Sequence[Form], contents: Contents) -> list[_Row]:
    kinds = {each.url: each.kind for each in contents.resources if each.url}
    rows = [_row(each, form, kinds) for each, form in zip(chosen, forms, strict=True)]
    contents.breaches.extend((row.number, what) for row in rows for what in row.answered.breaches)
    return rows


def _row(response: Response, form: Form, kinds: Mapping[str, str]) -> _Row:
    body = response.body
    who = person(body, "subject", kinds)
    roles = {
        "case": who.code,
        "session": own_value(body, SESSION),
        "date": said(body, "authored"),
        "therapist": own_value(body, THERAPIST),
        "rater": rater(body, who.code, kinds),
        "scale": response.name.removeprefix(OWN) if response.name.startswith(OWN) else "",
        "synthetic": "true" if is_test_data(body) else "",
    }
    return _Row(
        number=response.resource.number,
        roles=roles,
        who=who,
        answered=read_answers(body, form),
        unfinished=said(body, "status") == IN_PROGRESS,
    )


def _refuse_contradictions(rows: Sequence[_Row]) -> None:
    found = contradictions(row.who for row in rows)
    if found:
        message = f"{counted(len(found), 'code stands', 'codes stand')} for more than one subject"
        hint = "read what comes from one place, or is about one kind of subject, on its own"
        raise DataError(message, where=found, hint=hint)


def _export(rows: Sequence[_Row], forms: Sequence[Form]) -> Export:
    """Return the columns and cells: the roles that any response has, then one column for each linkId."""
    answered = [row.answered for row in rows]
    roles = [role for role in rows[0].roles if role == "case" or any(row.roles[role] for row in rows)]
    links = columns_of(answered, forms)
    names = {link: f"{link} (item)" if key_of(link) in roles else link for link in links}
    cells = [[*(row.roles[role] for role in roles), *row.answered.texts(links)] for row in rows]
    one_form = len({row.roles["scale"] for row in rows}) == 1
    words = words_of(answered, forms) if one_form else {}
    labels = labels_of(answered, forms)
    return Export(
        records=Records(
            rows=[[*roles, *names.values()], *cells],
            lines=[0, *(row.number for row in rows)],
            headed=True,
            literal=True,
        ),
        source="fhir",
        columns={f"q{link}": name for link, name in names.items() if _PLAIN_NUMBER.fullmatch(link)},
        levels={names[link]: each for link, each in words.items() if link in names},
        labels={names[link]: text for link, text in labels.items() if link in names},
        date_format="ymd",
        unfinished=frozenset(row.number for row in rows if row.unfinished),
    )
