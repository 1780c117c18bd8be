"""Independent writers of the exports of source systems, as their help pages and samples have them."""

import csv
import json

from fuzz.tables import as_csv, cell, day, dressed, encoded, mapped
from fuzz.truth import N_ITEMS, WORDS, Written

NUMBERS = range(1, N_ITEMS + 1)
ALI = [f"ali_{n}" for n in NUMBERS]


def word(answer):
    return "" if answer is None else WORDS[answer - 1]


def at(date, time="15:06:00"):
    return f"{date.isoformat()} {time}"


def cases_of(study):
    return list(dict.fromkeys(case for case, _ in study))


def redcap_raw(random, study):
    header = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance", "arm", "intake_complete",
              "session_date", *ALI, "alliance_complete"]  # fmt: skip
    rows = [header]
    for case in cases_of(study):
        rows.append([case, "", "", random.choice("12"), "2", "", *[""] * N_ITEMS, ""])
        for (whose, session), (date, answers) in study.items():
            if whose == case:
                cells = [cell(random, answer, ("", "-99")) for answer in answers]
                rows.append([case, "alliance", str(session), "", "", day(date), *cells, "2"])
    return Written(raw=encoded(random, as_csv(rows), ("utf-8", "utf-8-sig")), said={"missing": ("-99",)})


def redcap_labels(random, study):
    own = ["Study ID", "Repeat Instrument", "Repeat Instance", "Treatment arm", "Complete?", "Session date"]
    rows = [[*own, *(f"Alliance item {n}" for n in NUMBERS), "Complete?"]]
    for case in cases_of(study):
        rows.append([case, "", "", "TAU", "Complete", "", *[""] * N_ITEMS, ""])
        for (whose, session), (date, answers) in study.items():
            if whose == case:
                rows.append(
                    [
                        case,
                        "Alliance",
                        str(session),
                        "",
                        "",
                        f"{date:%d-%m-%Y}",
                        *map(word, answers),
                        "Complete",
                    ]
                )
    said = {"mapping": mapped('[columns]\ncase = "Study ID"\ndate = "Session date"'), "date_format": "dmy"}
    return Written(raw=encoded(random, as_csv(rows), ("utf-8", "utf-8-sig")), said=said)


def redcap_eav(random, study):
    """Fields that were never filled in have no row; at least one row is there of every field."""
    own = ["redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"]
    rows = [["record", *own, "field_name", "value"]]
    asked = set()
    for case in cases_of(study):
        rows += [[case, "", "", "", "record_id", case], [case, "", "", "", "arm", "1"]]
        for (whose, session), (date, answers) in study.items():
            if whose == case:
                cells = dict(zip(ALI, ["" if a is None else str(a) for a in answers], strict=True))
                kept = {name: value for name, value in cells.items() if value or name not in asked}
                asked |= kept.keys()
                kept = {"session_date": day(date), **kept, "alliance_complete": "2"}
                rows += [[case, "", "alliance", str(session), *each] for each in kept.items()]
    return Written(raw=encoded(random, as_csv(rows), ("utf-8",)))


def redcap_events(random, study):
    rows = [["record_id", "redcap_event_name", "arm", "session_date", *ALI, "alliance_complete"]]
    for case in cases_of(study):
        rows.append([case, "baseline_arm_1", "2", "", *[""] * N_ITEMS, ""])
        for (whose, session), (date, answers) in study.items():
            if whose == case:
                cells = [cell(random, answer, ("",)) for answer in answers]
                rows.append([case, f"session_{session}_arm_1", "", day(date), *cells, "2"])
        rows.append([case, "session_9_arm_1", "", "", *[""] * N_ITEMS, "0"])
    return Written(raw=encoded(random, as_csv(rows), ("utf-8",)))


def qualtrics(random, study):
    own = [
        "StartDate",
        "EndDate",
        "Status",
        "Progress",
        "Finished",
        "RecordedDate",
        "ResponseId",
        "ExternalReference",
    ]
    names = [*own, *(f"Q3_{n}" for n in NUMBERS), "session"]
    texts = [*own, *(f"Please rate. - Item {n}" for n in NUMBERS), "session"]
    ids = [json.dumps({"ImportId": name}) for name in names]
    as_text = random.random() < 0.5
    rows = [names, texts, ids]
    for place, ((case, session), (date, answers)) in enumerate(study.items()):
        cells = [word(a) if as_text else "" if a is None else str(a + 20) for a in answers]
        status, finished = ("IP Address", "True") if as_text else ("0", "1")
        rows.append(
            [
                at(date),
                at(date),
                status,
                "100",
                finished,
                at(date),
                f"R_{place:04d}",
                case,
                *cells,
                str(session),
            ]
        )
        if random.random() < 0.2:
            preview = "Survey Preview" if as_text else "1"
            rows.append(
                [
                    at(date),
                    at(date),
                    preview,
                    "100",
                    finished,
                    at(date),
                    f"R_p{place:03d}",
                    case,
                    *["Always" if as_text else "25"] * N_ITEMS,
                    str(session),
                ]
            )
    said = {} if as_text else {"mapping": mapped("shift = -20")}
    return Written(raw=as_csv(rows).encode("utf-8-sig"), said=said)


def limesurvey(random, study):
    own = ["id", "submitdate", "lastpage", "startlanguage", "seed", "startdate", "datestamp", "CODE", "SESS"]
    rows = [[*own, *(f"ALI[SQ00{n}]" for n in NUMBERS)]]
    as_text = random.random() < 0.5
    for place, ((case, session), (date, answers)) in enumerate(study.items(), 1):
        cells = [word(a) if as_text else "" if a is None else f"A{a}" for a in answers]
        number = random.choice([f"{session}.0000000000", str(session)])
        rows.append([str(place), at(date), "2", "en", "1", at(date), at(date), case, number, *cells])
    codes = "\n".join(f"A{n} = {n}" for n in range(1, 6))
    said = {"mapping": mapped(f'[columns]\ncase = "CODE"\nsession = "SESS"\n[answers]\n{codes}')}
    text = as_csv(rows, random.choice(",;"), csv.QUOTE_ALL)
    return Written(raw=text.encode("utf-8-sig"), said=said)


def google_forms(random, study):
    asked = [f"Thinking of today's session: [Alliance item {n}]" for n in NUMBERS]
    rows = [["Timestamp", "Your code (from your therapist)", "Which session was this?", *asked]]
    for (case, session), (date, answers) in study.items():
        words = [random.choice([str.title, str.upper, str])(word(a)) for a in answers]
        rows.append([f"{date:%Y/%m/%d} 3:06:01 PM GMT+1", case, str(session), *words])
    columns = '[columns]\ncase = "Your code (from your therapist)"\nsession = "Which session was this?"\n'
    columns += "\n".join(f'q{n} = "{name}"' for n, name in zip(NUMBERS, asked, strict=True))
    return Written(raw=as_csv(rows, ending="\r\n").encode(), said={"mapping": mapped(columns)})


CASTOR = (
    "Castor Participant ID", "Participant Status", "Site Abbreviation", "Survey Instance ID",
    "Survey Creation Date", "Survey Sent Date", "Survey Progress", "Survey Completed On", "Survey Parent",
    "Survey Package Name", "Survey Package ID",
)  # fmt: skip


def castor(random, study):
    rows = [[*CASTOR, *ALI]]
    for place, ((case, session), (date, answers)) in enumerate(study.items()):
        created, sent, done = (f"{date:%d-%m-%Y} {time}" for time in ("14:55:00", "14:56:00", "15:06:00"))
        own = [
            case,
            "Not Locked",
            "NLA",
            f"INST{place:04d}",
            created,
            sent,
            "100",
            done,
            f"Session {session}",
        ]
        rows.append([*own, "Alliance", "PKG01", *(cell(random, answer, ("",)) for answer in answers)])
    said = {"mapping": mapped('[columns]\nsession = "Survey Parent"')}
    return Written(raw=as_csv(rows, ";").encode(random.choice(["utf-8", "utf-8-sig"])), said=said)


def formr(random, study):
    names = ["ali_1", "ali_2R", "ali_3", "ali_4"]
    rows = [["session", "created", "modified", "ended", "expired", *names]]
    for (case, _), (date, answers) in study.items():
        cells = ["" if a is None else str(6 - a if place == 1 else a) for place, a in enumerate(answers)]
        rows.append([case, at(date), at(date), at(date), "", *cells])
    said = {"mapping": mapped('turned = ["ali_2R"]')}
    return Written(raw=as_csv(dressed(random, rows)).encode(), said=said)


def response(random, place, key, form, kind):
    (case, session), (date, answers) = key, form
    items = []
    for number, answer in enumerate(answers, 1):
        item = {"linkId": str(number), "text": f"Item {number}"}
        if answer is not None:
            value = {"valueInteger": answer}
            if kind == "coding":
                value = {
                    "valueCoding": {
                        "system": "http://example.org/a",
                        "code": f"a{answer}",
                        "display": WORDS[answer - 1],
                    }
                }
            if kind == "decimal":
                value = {"valueDecimal": float(answer)}
            items.append({**item, "answer": [value]})
        elif random.random() < 0.5:
            items.append(item)
    items = random.sample(items, len(items))
    grouped = [{"linkId": "g", "item": items}] if random.random() < 0.5 else items
    return {
        "resourceType": "QuestionnaireResponse",
        "id": f"r{place}",
        "questionnaire": "http://example.org/Questionnaire/demo",
        "status": random.choice(["completed", "amended"]),
        "subject": {"identifier": {"system": "http://example.org/codes", "value": case}},
        "authored": f"{date.isoformat()}T15:06:00+01:00",
        "extension": [{"url": "urn:alliance:session", "valueInteger": session}],
        "item": grouped,
    }


def fhir(random, study):
    kind = random.choice(["integer", "decimal", "coding"])
    forms = [response(random, place, key, form, kind) for place, (key, form) in enumerate(study.items())]
    if random.random() < 0.3:
        forms.append({**forms[0], "id": "withdrawn", "status": "entered-in-error"})
    forms = random.sample(forms, len(forms))
    if random.random() < 0.5:
        return Written(raw="\n".join(map(json.dumps, forms)).encode(), suffix=".ndjson")
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": form} for form in forms]}
    return Written(raw=json.dumps(bundle, ensure_ascii=False, indent=1).encode(), suffix=".json")


def bids(random, study):
    rows = [["participant_id", "session_id", *ALI]]
    for (case, session), (_, answers) in study.items():
        rows.append(
            [f"sub-{case}", f"ses-{session:02d}", *(cell(random, answer, ("n/a",)) for answer in answers)]
        )
    levels = {str(n): text for n, text in enumerate(WORDS, 1)}
    sidecar = {name: {"Description": "Rating", "Levels": levels} for name in ALI}
    beside = {"study.json": json.dumps(sidecar).encode()} if random.random() < 0.7 else {}
    return Written(raw=as_csv(rows, "\t").encode(), suffix=".tsv", beside=beside, dated=False)
