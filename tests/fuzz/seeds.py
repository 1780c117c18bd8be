"""The samples a fuzzer starts from, by kind of source, each with what a user would say to read it."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from alliance.readers import ReadOptions, read_mapping
from alliance.scale import load_scale

SAMPLES = Path(__file__).parent.parent / "samples"
MAPS = SAMPLES / "maps"


@dataclass(frozen=True, kw_only=True)
class Seed:
    """A sample: its bytes, the ending of its name, the form in it and what the user says of it."""

    name: str
    scale: str = "wai-sr"
    map: str = ""
    said: dict = field(default_factory=dict)

    @property
    def raw(self):
        return (SAMPLES / self.name).read_bytes()

    @property
    def suffix(self):
        return Path(self.name).suffix

    @property
    def options(self):
        path = MAPS / f"{self.map}.toml"
        mapping = read_mapping(path) if path.exists() else None
        return ReadOptions(mapping=mapping, **self.said)


@cache
def form(name):
    own = SAMPLES / "scales" / f"{name}.toml"
    return load_scale(own if own.exists() else name)


def nasty(case, file, **told):
    return Seed(name=f"nasty/{case}/{file}", scale="wa12", **told)


SEEDS = {
    "csv": [
        Seed(name="canonical.csv"),
        Seed(name="items_long.csv"),
        Seed(name="osf_wide_zero_based.csv", map="osf_wide_zero_based"),
        Seed(name="desktop_de_vas_cp1252.csv", scale="sr4", map="desktop_de_vas_cp1252"),
        Seed(name="excel_unicode_text_utf16.txt", map="excel_unicode_text_utf16"),
        nasty("01_bom_crlf", "sessions.csv"),
        nasty("07_line_breaks_in_cells", "sessions.csv"),
        nasty("08_sep_line_preamble_footer", "export.csv"),
        nasty("16_missing_codes", "sessions.csv", said={"missing": ("-99", "99")}),
        nasty("19_number_and_word_halves", "sessions.csv"),
        nasty("24_recorded_total_disagrees", "sessions.csv"),
        nasty("25_ids_are_text", "sessions.csv"),
        nasty("27_doubled_sessions", "conflicting.csv", said={"keep": "last"}),
        nasty("28_no_session_number_unsorted", "sessions.csv"),
        nasty("33_wide_ragged", "wide.csv", map="nasty_33"),
        nasty("34_long_and_redcap_repeating", "one_answer_a_row.csv"),
        nasty("35_two_raters", "sessions.csv"),
    ],
    "excel": [Seed(name="excel_clinic.xlsx", map="excel_clinic"), Seed(name="excel_clinic.xlsx")],
    "spss": [Seed(name="spss_long.sav")],
    "fhir": [
        Seed(name="fhir_bundle.json"),
        Seed(name="fhir_bulk.ndjson"),
        Seed(name="fhir_questionnaire.json"),
        nasty("40_fhir_bundle", "bundle.json"),
    ],
    "redcap": [
        Seed(name="redcap_repeating_raw.csv"),
        Seed(name="redcap_repeating_raw.csv", map="redcap_repeating", said={"missing": ("-99",)}),
        Seed(name="redcap_repeating_labels.csv", map="redcap_repeating"),
        Seed(name="redcap_eav.csv", said={"missing": ("-99",)}),
        Seed(name="redcap_longitudinal_events.csv"),
        nasty("34_long_and_redcap_repeating", "redcap_repeating.csv"),
        Seed(
            name="redcap_repeating_raw.csv",
            said={"missing": ("-99",), "dictionary": SAMPLES / "redcap_dictionary.csv"},
        ),
    ],
    "qualtrics": [
        Seed(name="qualtrics_numeric.csv", said={"keep": "first"}),
        Seed(name="qualtrics_choicetext.csv", said={"keep": "first"}),
        nasty("09_qualtrics_three_headers", "qualtrics.csv", map="nasty_09"),
    ],
    "surveys": [
        Seed(name="limesurvey_codes.csv", map="limesurvey_codes"),
        Seed(name="limesurvey_full_answers.csv", map="limesurvey_full_answers"),
        nasty("15_limesurvey_code_and_text", "limesurvey.csv", map="nasty_15"),
        Seed(name="google_forms.csv", map="google_forms"),
        Seed(name="castor_survey.csv", map="castor_survey"),
        Seed(name="formr_results.csv"),
    ],
    "bids": [Seed(name="bids/phenotype/alliance.tsv")],
    "mapping": [Seed(name=f"maps/{path.name}") for path in sorted(MAPS.glob("*.toml"))],
}
"""Kind of source → the samples of it."""


def of(*kinds):
    return [seed for kind in kinds for seed in SEEDS[kind]]
