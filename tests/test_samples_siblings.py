"""One study in the files of many systems: a draft, confirmed by a person, gives the same Responses of each.

The table says for each file which questions of its draft are switched on. Nothing else is said.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from draft_helpers import confirm

from alliance.errors import DataError
from alliance.readers import ReadOptions, draft_mapping, load
from alliance.scale import load_scale

SAMPLES = Path(__file__).parent / "samples"

with (SAMPLES / "canonical.csv").open(encoding="utf-8", newline="") as file:
    TRUTH = list(csv.DictReader(file))

DAYS = [row["date"] for row in TRUTH]
PERSONS = [row["client_id"] for row in TRUTH]
ANSWERS = np.array([[float(row[f"ali_{n}"] or "nan") for n in range(1, 13)] for row in TRUTH])
ITEMS = [f"q{item}" for item in range(1, 13)]


@dataclass(frozen=True, kw_only=True)
class Sibling:
    """A file of the study: what a person confirms, how its cases are called, and whether it has dates.

    `case` has {person} for P001 and {number} for the 1 of it.
    """

    file: str
    switched: tuple[str, ...] = ()
    case: str = "{person}"
    dated: bool = True
    dictionary: str = ""


SIBLINGS = [
    Sibling(file="canonical.csv"),
    Sibling(file="items_long.csv"),
    Sibling(
        file="osf_wide_zero_based.csv",
        switched=('case = "id"', "shift = 1", 'missing = ["-9"]'),
        dated=False,
    ),
    Sibling(file="redcap_repeating_raw.csv", switched=('missing = ["-99"]',), case="{number}"),
    Sibling(
        file="redcap_repeating_raw.csv",
        switched=('missing = ["-99"]',),
        case="{number}",
        dictionary="redcap_dictionary.csv",
    ),
    Sibling(file="redcap_repeating_labels.csv", switched=('missing = ["Refused"]',), case="{number}"),
    Sibling(file="redcap_eav.csv", switched=('missing = ["-99"]',), case="{number}"),
    Sibling(file="redcap_longitudinal_events.csv", case="{number}"),
    Sibling(file="qualtrics_numeric.csv", switched=("shift = -20",)),
    Sibling(file="qualtrics_choicetext.csv"),
    Sibling(
        file="limesurvey_codes.csv",
        switched=(
            'case = "CODE"',
            'session = "SESS"',
            '"A1" = 1',
            '"A2" = 2',
            '"A3" = 3',
            '"A4" = 4',
            '"A5" = 5',
        ),
    ),
    Sibling(file="limesurvey_full_answers.csv"),
    Sibling(
        file="google_forms.csv",
        switched=(
            'case = "Your code (from your therapist)"',
            'session = "Which session was this?"',
            '"p001" = "P001"',
            '"P-001" = "P001"',
            '"P 002" = "P002"',
            '"p003" = "P003"',
            '"PO04" = "P004"',
            '"first" = 1',
            '"Session 3" = 3',
            '"5th" = 5',
        ),
    ),
    Sibling(file="excel_unicode_text_utf16.txt", switched=('missing = ["999"]',)),
    Sibling(file="excel_clinic.xlsx", switched=('fill_down = ["Client"]', 'skip_cases = ["Mean"]')),
    Sibling(file="castor_survey.csv", case="NL-00{number}"),
    Sibling(file="fhir_bundle.json", switched=('keep = "first"',)),
    Sibling(file="fhir_bulk.ndjson", switched=('keep = "first"',)),
    Sibling(file="bids/phenotype/alliance.tsv", dated=False),
    Sibling(
        file="formr_results.csv",
        switched=('turned = ["ali_4R", "ali_10R"]',),
        case="tok{person}XXXXXXXX",
    ),
    Sibling(file="spss_long.sav", switched=('case = "ID"', 'session = "sess"')),
]


def read_drafted(sibling, switched):
    scale, path = load_scale("wai-sr"), SAMPLES / sibling.file
    dictionary = SAMPLES / sibling.dictionary if sibling.dictionary else None
    draft = draft_mapping(path, scale, options=ReadOptions(dictionary=dictionary))
    mapping = confirm(draft, switched)
    return load(path, scale, options=ReadOptions(mapping=mapping, dictionary=dictionary)).responses["wai-sr"]


each_sibling = pytest.mark.parametrize(
    "sibling", SIBLINGS, ids=lambda each: f"{each.file} {each.dictionary}".strip()
)


@each_sibling
def test_a_file_of_any_system_gives_the_same_study_once_its_draft_is_confirmed(sibling):
    responses = read_drafted(sibling, sibling.switched)
    cases = [sibling.case.format(person=person, number=person[-1]) for person in PERSONS]
    assert responses["case"].tolist() == cases
    assert responses["session"].tolist() == [int(row["session"]) for row in TRUTH]
    assert set(responses["rater"]) == {"client"}
    np.testing.assert_array_equal(responses[ITEMS], ANSWERS)
    days = responses["date"].dt.strftime("%Y-%m-%d").tolist()
    assert days == DAYS if sibling.dated else responses["date"].isna().all()


@each_sibling
def test_a_draft_that_nobody_confirmed_changes_no_answer(sibling):
    try:
        responses = read_drafted(sibling, ())
    except DataError:
        assert sibling.switched
        return
    np.testing.assert_array_equal(responses[ITEMS], ANSWERS)


def test_every_sample_of_the_study_is_in_the_table():
    files = {
        str(path.relative_to(SAMPLES)).replace("\\", "/")
        for path in SAMPLES.rglob("*")
        if path.is_file() and path.suffix in {".csv", ".json", ".ndjson", ".tsv", ".txt", ".xlsx", ".sav"}
    }
    others = {"redcap_dictionary.csv", "fhir_questionnaire.json", "bids/phenotype/alliance.json"}
    named = {each.file for each in SIBLINGS} | {"desktop_de_vas_cp1252.csv"} | others
    assert {name for name in files if not name.startswith(("nasty/", "scales/", "maps/"))} == named


# Case, session, day, and four lines of ten centimetres, read off the file; - is the code 999.
LINES = """
P001 1 2026-01-05 8.3 9.2 7.5 7.5
P001 2 2026-01-12 6.7 8.3 8.3 7.5
P001 3 2026-01-19 9.2 8.3 8.3 9.2
P001 4 2026-01-26 8.3 7.5 9.2 9.2
P001 5 2026-02-02 9.2 8.3 8.3 10.0
P001 6 2026-02-09 9.2 9.2 9.2 10.0
P002 1 2026-01-06 7.5 7.5 7.5 7.5
P002 2 2026-01-13 6.7 5.8 7.5 7.5
P002 3 2026-01-20 7.5 7.5 8.3 7.5
P002 4 2026-01-27 3.3 3.3 5.0 5.0
P002 5 2026-02-03 9.2 8.3 8.3 -
P002 6 2026-02-10 8.3 6.7 8.3 9.2
P003 1 2026-01-07 6.7 5.8 4.2 6.7
P003 2 2026-01-14 5.0 4.2 5.0 5.0
P004 1 2026-01-08 9.2 8.3 8.3 8.3
P004 2 2026-01-15 9.2 10.0 7.5 9.2
P004 3 2026-01-22 6.7 6.7 6.7 5.8
P004 4 2026-01-29 9.2 9.2 9.2 10.0
P004 5 2026-02-05 8.3 9.2 9.2 9.2
"""


def test_a_desktop_program_with_decimal_commas_gives_its_lines():
    scale, path = load_scale(SAMPLES / "scales" / "sr4.toml"), SAMPLES / "desktop_de_vas_cp1252.csv"
    switched = [
        'case = "Kürzel"',
        'session = "Sitzung"',
        'date = "Datum"',
        'q1 = "Beziehung"',
        'q2 = "Ziele"',
        'q3 = "Vorgehen"',
        'q4 = "Gesamt"',
        'missing = ["999"]',
    ]
    mapping = confirm(draft_mapping(path, scale), switched)
    found = load(path, scale, options=ReadOptions(mapping=mapping)).responses["sr4"]
    shown = found.assign(date=found["date"].dt.strftime("%Y-%m-%d"))
    rows = shown[["case", "session", "date", "q1", "q2", "q3", "q4"]].to_numpy().tolist()
    told = [" ".join("-" if pd.isna(cell) else str(cell) for cell in row) for row in rows]
    assert told == LINES.strip().splitlines()
