"""Files that nobody should write: they are refused in words, or read as they stand; nothing else happens."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import calls, damage, seeds, tables
from fuzz.proof import holds
from fuzz.truth import FORM, study_of

from alliance.readers import ReadOptions

QUICK, SLOW = 5, 250
TEXT_KINDS = ("csv", "redcap", "qualtrics", "surveys", "bids", "fhir")
APART = ("excel", "spss")
"""Kinds that are read in a process of their own, which takes its time."""


def damaged(random, seed, others):
    """Return the bytes of a seed, damaged in a way of its kind or byte by byte."""
    raw = seed.raw
    if random.random() < 0.3:
        return damage.bytes_of(random, raw, others)
    if seed.suffix == ".xlsx":
        return damage.workbook_of(random, raw)
    if seed.suffix in {".json", ".ndjson"}:
        tree = json.loads(raw) if seed.suffix == ".json" else [json.loads(line) for line in raw.splitlines()]
        return damage.as_json(random, damage.tree_of(random, tree))
    if seed.suffix in {".csv", ".tsv", ".txt"}:
        return damage.as_text(random, damage.table_of(random, damage.rows_of(raw)))
    return damage.bytes_of(random, raw, others)


def nothing_but_refusals(kind, asked):
    own = seeds.of(kind)
    others = [seed.raw for seed in own]

    def claim(random):
        seed = random.choice(own)
        with calls.file_of(damaged(random, seed, others), seed.suffix) as path:
            calls.ask([random.choice(asked)], path, seeds.form(seed.scale), seed.options)

    return claim


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_a_damaged_file_is_read_or_refused_in_words(kind):
    holds(nothing_but_refusals(kind, calls.FORMS), QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_many_damaged_files_are_read_or_refused_in_words(kind):
    holds(nothing_but_refusals(kind, (*calls.FORMS, *calls.TABLES)), SLOW)


@pytest.mark.slow
@pytest.mark.parametrize("kind", APART)
def test_damaged_files_that_foreign_code_reads_are_read_or_refused_in_words(kind):
    holds(nothing_but_refusals(kind, (*calls.FORMS, *calls.TABLES)), SLOW // 10)


@pytest.mark.parametrize("kind", ["mapping", "csv"])
def test_a_damaged_mapping_is_read_or_refused_in_words(kind):
    holds(nothing_but_refusals(kind, calls.MAPPINGS), 20)


TOML_VALUES = (
    "1", "-1", "0", "1.5", "nan", "-inf", "true", '""', '"x"', '"{item}"', '"{session}{item}"', "[]",
    '["q1"]', "[1, 'x']", "{}", '{ q1 = "x" }', "{ x = 1 }", "{ x = { y = { z = 1 } } }", "2026-01-05",
    "0x" + "f" * 5000, "9" * 4000, "[[[]]]", '[{ scale = "demo" }]',
    '[{ scale = "demo", items = "q{item}" }]', '[{ scale = 1, columns = 2, pattern = 3 }]', '"demo"',
    '"first"', '"dmy"', '"csv"', '"no such"', '"\\u0000"', '"' + "x" * 3000 + '"', '"[("', '"/dev/zero"',
)  # fmt: skip
TOML_FIELDS = (
    "columns", "answers", "missing", "shift", "pattern", "header_row", "sheet", "fill_down", "skip_cases",
    "date_format", "scale", "rater", "total", "cases", "sessions", "turned", "forms", "keep", "unfinished",
    "language", "from", "other", "columns.case", "columns.session", "columns.date", "columns.q1",
    "columns.q2", "columns.language", "answers.demo.en", "answers.x",
)  # fmt: skip


def a_strange_mapping(random):
    lines = {name: random.choice(TOML_VALUES) for name in random.sample(TOML_FIELDS, random.randint(1, 4))}
    mapping = "\n".join(f"{name} = {value}" for name, value in lines.items())
    raw = tables.as_csv(tables.long_rows(random, study_of(random))).encode()
    with calls.file_of(mapping.encode(), ".toml") as said, calls.file_of(raw) as path:

        def read_with_it(path, scale, options):
            calls.FORMS[0](path, scale, ReadOptions(mapping=calls.read_mapping(said), on_error="drop"))
            calls.FORMS[3](path, scale, ReadOptions(mapping=calls.read_mapping(said)))

        calls.ask([read_with_it], path, FORM, ReadOptions())


def test_a_strange_mapping_is_obeyed_or_refused_in_words():
    holds(a_strange_mapping, 10)


@pytest.mark.slow
def test_many_strange_mappings_are_obeyed_or_refused_in_words():
    holds(a_strange_mapping, 800)


BESIDE = [
    pytest.param("redcap_repeating_raw.csv", "redcap_dictionary.csv", id="REDCap dictionary"),
    pytest.param("fhir_bundle.json", "fhir_questionnaire.json", id="FHIR Questionnaire"),
    pytest.param("bids/phenotype/alliance.tsv", "bids/phenotype/alliance.json", id="BIDS sidecar"),
]


def a_damaged_dictionary(file, dictionary):
    seed = seeds.Seed(name=file)
    told = seeds.Seed(name=dictionary)

    def claim(random):
        with calls.file_of(damaged(random, told, [told.raw]), told.suffix) as beside:
            options = ReadOptions(dictionary=beside, missing=("-99",))
            call = random.choice(calls.FORMS)
            calls.ask([call], seeds.SAMPLES / seed.name, seeds.form("wai-sr"), options)

    return claim


@pytest.mark.parametrize(("file", "dictionary"), BESIDE)
def test_a_damaged_dictionary_is_read_or_refused_in_words(file, dictionary):
    holds(a_damaged_dictionary(file, dictionary), QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "dictionary"), BESIDE)
def test_many_damaged_dictionaries_are_read_or_refused_in_words(file, dictionary):
    holds(a_damaged_dictionary(file, dictionary), SLOW // 2)


def both_lanes(random):
    rows = tables.long_rows(random, study_of(random))
    if random.random() < 0.5:
        for row in rows[1:]:
            row[3:3] = [
                random.choice(["T1", "T2", "", " T1"]),
                random.choice(["client", "therapist", "Client", "", "x"]),
            ]
        rows[0][3:3] = ["therapist", "rater"]
    if random.random() < 0.5:
        rows = damage.table_of(random, rows)
    quoting = random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    text = tables.as_csv(rows, random.choice(",;\t"), quoting, random.choice(["\n", "\r\n"]))
    raw = text.encode("utf-8", errors="surrogatepass")
    if random.random() < 0.5:
        raw = damage.bytes_of(random, raw)
    said = random.choice(
        [{}, {}, {"missing": ("5",)}, {"mapping": tables.mapped("shift = 1")}, {"keep": "first"}]
    )
    with calls.file_of(raw) as path:
        calls.ask(calls.LANES, path, FORM, ReadOptions(**said))


def test_a_fast_lane_gives_what_the_tolerant_one_gives_or_leaves_the_file():
    holds(both_lanes, 20)


@pytest.mark.slow
def test_a_fast_lane_never_differs_from_the_tolerant_one():
    holds(both_lanes, 1200)


GUIDED = Path(__file__).parent / "fuzz" / "run.py"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*seeds.SEEDS, "columnar"])
def test_a_guided_fuzzer_finds_nothing_but_refusals(kind):
    pytest.importorskip("atheris", reason="atheris, which guides the fuzzer, is not installed")
    runs = 40 if kind == "spss" else 250
    command = [sys.executable, str(GUIDED), kind, f"-runs={runs}", "-seed=5"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
