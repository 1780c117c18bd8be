"""A study in other formats: what is written is read back, equal studies give equal bytes, nothing runs."""

import io
import json
import string
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from readers_helpers import DEMO

from alliance.cells import is_code
from alliance.errors import DataError, UsageError
from alliance.places import bundled
from alliance.readers import ReadOptions, load, read_mapping
from alliance.scale import find_scales, load_scale
from alliance.scoring import score
from alliance.writers import Study, find_writer, known_writers
from alliance.writers.bids import _participants
from alliance.writers.cells import delimited
from alliance.writers.study import all_forms

GOLDEN = Path(__file__).parent / "golden" / "writers"
WRITERS = sorted(known_writers())
NA = np.nan
OLD_DAYS = ("0894-01-08", "1582-10-15", "1899-12-31", "1900-01-01", "1900-02-28", "1900-03-01", "2400-01-01")
KEYS = ["case", "session", "date", "therapist", "rater"]
CODES = (
    "=1+1", "-5", "007", "1E5", "K-07/2", "ü", "a,b", 'a;b "c"', "'til", "'=1", "'-5", "''+x", "@x", "+49",
    "NA", "n.a.", "sub-01", "ses-1", "1.0", "2024-03", "true", "=", "'", "-", "ab", "a b", "AB", "_x0041_",
    "7", "\U0001f600",
)  # fmt: skip


def forms(rows, scale=DEMO):
    """Return Responses of rows (case, session, date, therapist, rater, answers…), typed as a reader does."""
    columns = [*KEYS, *scale.items]
    frame = pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows], columns=columns)
    kinds = {"case": object, "session": "int64", "therapist": object, "rater": object}
    frame["date"] = np.array([row[2] or "NaT" for row in rows], dtype="datetime64[s]")
    return frame.astype({**kinds, **dict.fromkeys(scale.items, float)})


def study_of(responses, *scales, **fields):
    given = responses if isinstance(responses, dict) else {scales[0].id: responses}
    return Study(name="study", scales={scale.id: scale for scale in scales}, responses=given, **fields)


def loaded_study(name, scale=None):
    found = load(bundled("data") / name, scale, options=ReadOptions())
    few = [f"C{n:02}" for n in range(1, 7)]
    frames = {
        id: frame[frame["case"].isin(few)].reset_index(drop=True) for id, frame in found.responses.items()
    }
    return Study(name="study", scales=found.scales, responses=frames, synthetic=found.synthetic)


def with_scores(study):
    scores = {name: score(frame, study.scales[name]) for name, frame in study.responses.items()}
    return replace(study, scores=scores)


def mixed():
    return study_of(
        forms(
            [
                ("C2", 1, "2026-01-31", "T1", "client", 1, NA, 7),
                ("C2", 2, None, "T2", "client", NA, NA, NA),
                ("C2", 10, "2026-02-28", "", "client", 4, 4, 4),
                ("C2", 1, "2026-01-31", "T1", "therapist", 7, 6, 5),
                ("C1", 0, None, "T1", "partner-a", 2, 3, 4),
                ("C1", 3, None, "T1", "partner-b", NA, 3, 4),
            ]
        ),
        DEMO,
    )


def plain_courses():
    """Return forms without a date or therapist, one rater, two sessions."""
    return study_of(
        forms([("a", 1, None, "", "client", 1, 2, 3), ("a", 2, None, "", "client", 3, 2, 1)]), DEMO
    )


def strange_codes():
    rows = [(code, 1, "2026-03-01", code, "client", 1, 2, n % 7 + 1) for n, code in enumerate(CODES)]
    return study_of(forms(rows), DEMO)


def strange_raters():
    rows = [("C1", 1, None, "T", rater, 1, 2, 3) for rater in sorted({*CODES} - {"NA", "n.a.", "-"})]
    return study_of(forms(rows), DEMO)


def every_scale(*names):
    """Return one study of every bundled form: all lowest, all highest, first item unanswered, blank."""
    scales = [load_scale(name) for name in names or find_scales()]
    return study_of({scale.id: _ends(scale) for scale in scales}, *scales)


def some_scales():
    """Return one study of a form of words, one with ranges of their own, one of lines."""
    return every_scale("wai-sr", "ceq", "ors")


def _ends(scale):
    low, high = (list(each) for each in zip(*scale.item_bounds, strict=True))
    answers = [low, high, [NA, *high[1:]], [NA] * scale.n_items]
    rows = [("C1", n, "2026-01-01", "T", scale.raters[0], *each) for n, each in enumerate(answers, 1)]
    return forms(rows, scale)


def lines():
    scale = load_scale("srs")
    rows = [("C1", n, None, "T", "client", 0, 10, n / 10, NA) for n in range(1, 100)]
    return study_of(forms(rows, scale), scale)


def old_days():
    rows = [("C1", n, day, "", "client", 1, 2, 3) for n, day in enumerate(OLD_DAYS, 1)]
    return study_of(forms(rows), DEMO)


def orders():
    """Return two forms whose cases begin at different places of one file."""
    first, second = load_scale("srs"), load_scale("ors")
    one = forms([(case, 1, None, "", "client", 1, 2, 3, 4) for case in ("b", "d", "a")], first)
    two = forms([(case, 1, None, "", "client", 1, 2, 3, 4) for case in ("c", "b", "a", "e")], second)
    return study_of({"srs": one, "ors": two}, first, second)


STUDIES = [
    pytest.param(lambda: loaded_study("wai-sr-study.csv", load_scale("wai-sr")), id="clients and therapists"),
    pytest.param(lambda: loaded_study("srs-ors-clinic.csv"), id="two forms of lines in one file"),
    pytest.param(mixed, id="blank forms, raters, missing days, a change of therapist"),
    pytest.param(plain_courses, id="no day and no therapist"),
    pytest.param(strange_codes, id="codes that are formulas, numbers, quotes"),
    pytest.param(strange_raters, id="raters that are formulas, numbers, quotes"),
    pytest.param(some_scales, id="forms of words, of several ranges, of lines"),
    pytest.param(lines, id="every tenth of a line"),
    pytest.param(old_days, id="days before spreadsheets knew any"),
    pytest.param(orders, id="cases in another order in each form"),
]


def data_file(folder, name, writer):
    """Return the file that holds the forms of a scale: called like it, or the only one of its kind."""
    found = [path for path in sorted(folder.rglob(f"*{writer.suffix}")) if path.stem != "Observation"]
    own = [path for path in found if path.stem == name]
    (only,) = own or found
    return only


def read_back(writer, study, folder):
    """Return what a reader makes of the files: the form is named only where nothing in them says it."""
    for name, content in writer.write(study).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    read = {}
    for name in study.responses:
        path, sheet = data_file(folder, name, writer), name if writer.suffix == ".xlsx" else None
        scale = None if study.several else study.scales[name]
        if (path, sheet) not in read:
            options = replace(options_beside(path), sheet=sheet, allow_identifiers=True)
            read[path, sheet] = load(path, scale, options=options).responses
    found = {name: frame for frames in read.values() for name, frame in frames.items()}
    return {name: frame.reset_index(drop=True) for name, frame in found.items()}


def options_beside(path):
    """Return how a file is to be read: by the mapping that was written beside it, if one was."""
    mapped = path.with_name(f"{path.stem}.map.toml")
    return ReadOptions(mapping=read_mapping(mapped) if mapped.exists() else None)


def assert_comes_back(name, study, folder):
    found = read_back(find_writer(name), study, folder)
    for scale, frame in study.responses.items():
        pd.testing.assert_frame_equal(found[scale], frame)
        pd.testing.assert_frame_equal(
            score(found[scale], study.scales[scale]), score(frame, study.scales[scale])
        )


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("make", STUDIES)
def test_what_is_written_is_read_back_cell_by_cell(name, make, tmp_path):
    assert_comes_back(name, make(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*WRITERS} - {"excel", "spss"}))
def test_every_bundled_form_is_read_back(name, tmp_path):
    # Workbooks and SPSS files are opened in a process of their own, one for each of 47 forms.
    assert_comes_back(name, with_scores(every_scale()), tmp_path)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("make", STUDIES[1:4])
def test_scores_beside_the_answers_change_nothing_that_is_read(name, make, tmp_path):
    assert_comes_back(name, with_scores(make()), tmp_path)


@pytest.mark.parametrize("name", WRITERS)
def test_equal_studies_give_equal_bytes(name, monkeypatch):
    import time

    first = find_writer(name).write(with_scores(mixed()))
    later = time.time() + 1e8
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(1e9))
    assert find_writer(name).write(with_scores(mixed())) == first


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_leaves_the_study_as_it_was(name):
    study = with_scores(mixed())
    before = {id: frame.copy() for id, frame in (study.responses | study.scores).items()}
    find_writer(name).write(study)
    for id, frame in (study.responses | study.scores).items():
        pd.testing.assert_frame_equal(frame, before[id])


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_says_what_it_is_and_names_its_files_by_its_suffix(name):
    writer = known_writers()[name]
    assert writer.name == name
    assert writer.title
    assert any(file.endswith(writer.suffix) for file in writer.write(plain_courses()))


@pytest.mark.parametrize("name", WRITERS)
def test_a_study_without_a_person_says_so_in_every_format(name, tmp_path):
    study = replace(plain_courses(), synthetic=True)
    assert_comes_back(name, study, tmp_path)
    writer = find_writer(name)
    content = data_file(tmp_path, "demo", writer).read_bytes()
    if writer.suffix in {".json", ".ndjson"}:
        assert b"HTEST" in content
    else:
        path = data_file(tmp_path, "demo", writer)
        assert load(path, DEMO, options=options_beside(path)).synthetic


SIGNS = st.characters(categories=("L", "N", "P", "S", "Zs"), codec="utf-8")
TEXT = st.one_of(
    st.sampled_from(CODES), st.text(SIGNS, min_size=1, max_size=8), st.text("'=+-@1a;,\"", min_size=1)
)
CODE = TEXT.filter(lambda text: text == text.strip() and is_code(text))
ANSWER = st.one_of(st.just(NA), st.integers(1, 7))
DAY = st.one_of(st.none(), st.dates().map(str))
THERAPIST = st.one_of(st.just(""), CODE.filter(lambda text: text.casefold() != "n/a"))
FORM = st.tuples(DAY, THERAPIST, ANSWER, ANSWER, ANSWER)
FORMS = st.dictionaries(
    st.tuples(CODE, st.sampled_from(["client", "therapist", "x"]), st.integers(0, 12)), FORM, min_size=1
)


@pytest.mark.parametrize("name", ["csv", "long", "wide", "bids", "fhir", "fhir-ndjson"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=FORMS)
def test_any_study_comes_back_from_a_format_of_text(name, made):
    cases = list(dict.fromkeys(case for case, _, _ in made))
    order = sorted(made, key=lambda key: (cases.index(key[0]), key[1], key[2]))
    rows = [(case, session, made[key][0], made[key][1], rater, *made[key][2:])
            for key in order for case, rater, session in [key]]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        assert_comes_back(name, study_of(forms(rows), DEMO), Path(folder))


# What the files look like


SMALL = [
    ("K-07/2", 1, "2026-01-31", "T1", "client", 1, NA, 7),
    ("K-07/2", 2, None, "T1", "client", NA, NA, NA),
    ("=1+1", 1, "2026-02-01", "", "client", 4, 4, 5),
]


def small():
    return with_scores(study_of(forms(SMALL), DEMO))


@pytest.mark.parametrize(
    ("name", "files"),
    [
        pytest.param("csv", ["study.csv"], id="csv"),
        pytest.param("long", ["study.csv"], id="long"),
        pytest.param("wide", ["demo.csv", "demo.map.toml"], id="wide"),
        pytest.param("bids", ["phenotype/demo.tsv", "phenotype/demo.json"], id="bids"),
        pytest.param("fhir", ["study.json"], id="fhir"),
        pytest.param("fhir-ndjson", ["QuestionnaireResponse.ndjson", "Observation.ndjson"], id="ndjson"),
    ],
)
def test_a_small_study_looks_as_it_did(name, files):
    written = find_writer(name).write(small())
    assert [file for file in written if file != "dataset_description.json"] == files
    for file in files:
        golden = GOLDEN / f"{name}_{Path(file).name}"
        assert written[file].decode() == golden.read_text(encoding="utf-8")


def test_texts_that_a_spreadsheet_would_run_get_an_apostrophe():
    frame = pd.DataFrame({"case": ["=1+1", "-5", "'=1", "@a"], "n": [1.5, NA, -2.0, 1e-7]})
    assert delimited(frame) == b"case,n\n'=1+1,1.5\n-5,\n''=1,-2\n'@a,0.0000001\n"


def test_a_cell_is_quoted_only_where_it_must_be():
    frame = pd.DataFrame({"a": ["x,y", 'x"y', "x\ry", "x\ty"], "b": ["1", "2", "3", "4"]})
    assert delimited(frame) == b'a,b\n"x,y",1\n"x""y",2\n"x\ry",3\nx\ty,4\n'
    assert delimited(frame, delimiter="\t") == b'a\tb\nx,y\t1\n"x""y"\t2\n"x\ry"\t3\n"x\ty"\t4\n'


def test_forms_of_several_scales_stand_by_case_and_session_with_their_scale():
    first, second = load_scale("srs"), load_scale("phq-8")
    one = forms([("a", 1, None, "", "client", 1, 2, 3, 4), ("b", 1, None, "", "client", 1, 2, 3, 4)], first)
    two = forms([("a", 1, None, "", "client", *[0] * 8), ("a", 2, None, "", "client", *[0] * 8)], second)
    found = all_forms(study_of({"srs": one, "phq-8": two}, first, second))
    assert list(found.columns) == [*KEYS, "scale", *(f"q{n}" for n in range(1, 9))]
    assert list(zip(found["case"], found["session"], found["scale"], strict=True)) == [
        ("a", 1, "srs"), ("a", 1, "phq-8"), ("a", 2, "phq-8"), ("b", 1, "srs"),
    ]  # fmt: skip


def test_cases_whose_orders_contradict_each_other_stand_as_they_first_appear():
    first, second = load_scale("srs"), load_scale("ors")
    one = forms([(case, 1, None, "", "client", 1, 2, 3, 4) for case in ("a", "b")], first)
    two = forms([(case, 1, None, "", "client", 1, 2, 3, 4) for case in ("b", "a")], second)
    found = all_forms(study_of({"srs": one, "ors": two}, first, second))
    assert list(found["case"]) == ["a", "a", "b", "b"]


def test_scores_of_other_rows_are_refused():
    study = small()
    wrong = replace(study, scores={"demo": study.scores["demo"].iloc[::-1]})
    with pytest.raises(ValueError, match=r"^Scores of demo must have the rows of its Responses, in the same"):
        find_writer("csv").write(wrong)


def test_an_unknown_format_is_answered_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        find_writer("spsss")
    assert str(caught.value) == (
        "error: unknown format 'spsss'\nhint: did you mean 'spss'? known: bids, csv, excel, fhir, "
        "fhir-ndjson, long, parquet, spss, wide"
    )


def test_parquet_has_whole_numbers_days_and_texts():
    content = find_writer("parquet").write(small())["study.parquet"]
    schema = parquet.read_schema(io.BytesIO(content))
    assert {field.name: str(field.type) for field in schema} == {
        "case": "string", "session": "int64", "date": "date32[day]", "therapist": "string",
        "rater": "string", "q1": "int64", "q2": "int64", "q3": "int64",
        "total": "double", "n_missing": "int64", "note": "string",
    }  # fmt: skip
    lines_file = find_writer("parquet").write(lines())["study.parquet"]
    assert str(parquet.read_schema(io.BytesIO(lines_file)).field("q1").type) == "double"


# Workbooks


def book_of(study):
    content = find_writer("excel").write(study)["study.xlsx"]
    return openpyxl.load_workbook(io.BytesIO(content))


def test_a_workbook_has_numbers_days_and_codes_as_what_they_are():
    sheet = book_of(small())["demo"]
    assert sheet.freeze_panes == "A2"
    header = [cell.value for cell in sheet[1]]
    assert header == [*KEYS, "q1", "q2", "q3", "total", "n_missing", "note"]
    cells = {cell.column_letter: (cell.value, cell.data_type, cell.number_format) for cell in sheet[4]}
    assert cells["A"] == ("'=1+1", "s", "@")
    assert cells["B"] == (1, "n", "General")
    assert (str(cells["C"][0]), *cells["C"][1:]) == ("2026-02-01 00:00:00", "d", "yyyy-mm-dd")
    assert cells["F"] == (4, "n", "General")
    assert cells["I"][0] == pytest.approx(13 / 3)
    assert [cell.value for cell in sheet[3]][2:8] == [None, "T1", "client", None, None, None]


def test_no_cell_of_a_workbook_is_a_formula():
    book = book_of(strange_codes())
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds


def test_a_workbook_says_what_its_forms_are():
    rows = [[cell.value for cell in row] for row in book_of(replace(small(), synthetic=True))["about"]]
    assert rows[0] == ["sheet", "scale", "name", "version", "licence", "key", "citation", "doi"]
    assert rows[1] == [
        "demo", "demo", "Demonstration form (3 items)", None, "CC0-1.0", "verified",
        "Invented for tests; not a real instrument.", None,
    ]  # fmt: skip
    assert rows[2][0] == "written by"
    assert rows[3][:2] == ["synthetic", "no real person"]


def test_sheets_of_long_or_taken_names_are_shortened_and_numbered():
    ids = ["a" * 40, "a" * 31, "about"]
    scales = [replace(DEMO, id=id) for id in ids]
    study = study_of({id: forms(SMALL) for id in ids}, *scales)
    assert book_of(study).sheetnames == ["a" * 31, f"{'a' * 29}-2", "about-2", "about"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "x" * 32_768,
            "error: a text in column 'therapist' has more than 32,767 characters, the most of a cell\n"
            "hint: shorten it, or write csv or parquet",
            id="one too long",
        ),
        pytest.param(
            f"={'x' * 32_766}",
            "error: a text in column 'therapist' has more than 32,767 characters, the most of a cell\n"
            "hint: shorten it, or write csv or parquet",
            id="too long with the apostrophe in front",
        ),
        pytest.param(
            "a\x07b",
            "error: a text in column 'therapist' holds a character that a workbook cannot hold\n"
            "hint: take out control characters, or write csv or parquet",
            id="a control character",
        ),
    ],
)
def test_a_text_that_no_cell_can_hold_is_refused(text, message):
    with pytest.raises(DataError) as caught:
        find_writer("excel").write(study_of(forms([("a", 1, None, text, "client", 1, 2, 3)]), DEMO))
    assert str(caught.value) == message


def test_a_text_as_long_as_a_cell_is_written():
    study = study_of(forms([("a", 1, None, "x" * 32_767, "client", 1, 2, 3)]), DEMO)
    assert len(book_of(study)["demo"]["D2"].value) == 32_767


def test_a_workbook_knows_no_time():
    content = find_writer("excel").write(small())["study.xlsx"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.read("docProps/core.xml").count(b"1980-01-01T00:00:00Z") == 2


def test_more_forms_than_a_sheet_has_rows_are_refused(monkeypatch):
    monkeypatch.setattr("alliance.writers.excel.MOST_ROWS", 3)
    with pytest.raises(DataError) as caught:
        find_writer("excel").write(small())
    assert str(caught.value) == (
        "error: a sheet holds 2 forms at most, and 'demo' has 3\nhint: write csv or parquet"
    )


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        (
            "excel",
            "openpyxl",
            "error: workbooks are written with openpyxl, which is not installed\n"
            'hint: pip install "alliance-toolkit[excel-out]"',
        ),
        (
            "spss",
            "pyreadstat",
            "error: SPSS files are written with pyreadstat, which is not installed\n"
            'hint: pip install "alliance-toolkit[spss]"',
        ),
    ],
)
def test_a_format_whose_package_is_not_there_says_how_to_get_it(monkeypatch, name, module, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as caught:
        find_writer(name).write(small())
    assert str(caught.value) == message


# SPSS


def sav_of(study, folder):
    ((_, content),) = find_writer("spss").write(study).items()
    path = folder / "study.sav"
    path.write_bytes(content)
    return pyreadstat.read_sav(path)


def test_spss_has_labels_anchors_levels_and_the_form_it_is(tmp_path):
    frame, about = sav_of(small(), tmp_path)
    assert about.file_label == "demo"
    assert about.column_names_to_labels == {
        "case": "Case", "session": "Session number", "date": "Date of session", "therapist": "Therapist",
        "rater": "Rater", "q1": "Item 1", "q2": "Item 2", "q3": "Item 3", "total": "demo: total",
        "n_missing": "Unanswered items", "note": "Note on the scores",
    }  # fmt: skip
    words = {1.0: "never", 4.0: "sometimes", 7.0: "always"}
    assert about.variable_value_labels == {"q1": words, "q2": words, "q3": words}
    assert about.variable_measure == {
        "case": "nominal", "session": "ordinal", "date": "scale", "therapist": "nominal", "rater": "nominal",
        "q1": "ordinal", "q2": "ordinal", "q3": "ordinal", "total": "scale", "n_missing": "scale",
        "note": "nominal",
    }  # fmt: skip
    assert about.original_variable_types["date"] == "SDATE10"
    assert about.original_variable_types["q1"] == "F8.0"
    assert list(frame["case"]) == ["K-07/2", "K-07/2", "=1+1"]
    assert [str(day) for day in frame["date"]] == ["2026-01-31", "nan", "2026-02-01"]


def test_lines_in_spss_have_decimals_and_are_a_scale(tmp_path):
    _, about = sav_of(lines(), tmp_path)
    assert about.original_variable_types["q1"] == "F8.1"
    assert about.variable_measure["q1"] == "scale"
    assert about.variable_value_labels == {}


def test_only_the_users_own_texts_label_items_and_they_are_cut_to_what_spss_holds(tmp_path):
    study = replace(small(), texts={"demo": {1: "my own text", 2: "ü" * 200}})
    _, about = sav_of(study, tmp_path)
    assert about.column_names_to_labels["q1"] == "my own text"
    assert about.column_names_to_labels["q2"] == "ü" * 126 + "…"
    assert about.column_names_to_labels["q3"] == "Item 3"


def test_a_label_as_long_as_spss_holds_is_whole(tmp_path):
    _, about = sav_of(replace(small(), texts={"demo": {1: "ü" * 128, 2: "x" * 257}}), tmp_path)
    assert about.column_names_to_labels["q1"] == "ü" * 128
    assert about.column_names_to_labels["q2"] == "x" * 253 + "…"


def test_an_item_with_a_range_of_its_own_has_no_words_of_the_form(tmp_path):
    scale = replace(DEMO, item_ranges={2: (0.0, 100.0)})
    _, about = sav_of(study_of(forms(SMALL, scale), scale), tmp_path)
    assert sorted(about.variable_value_labels) == ["q1", "q3"]


def test_long_codes_are_whole_in_spss(tmp_path):
    code = "ü" * 400
    frame, _ = sav_of(study_of(forms([(code, 1, None, "", "client", 1, 2, 3)]), DEMO), tmp_path)
    assert list(frame["case"]) == [code]


def test_a_code_that_is_too_long_for_spss_is_refused():
    study = study_of(forms([("a", 1, None, "ü" * 16_384, "client", 1, 2, 3)]), DEMO)
    with pytest.raises(DataError) as caught:
        find_writer("spss").write(study)
    assert str(caught.value) == (
        "error: a text in column 'therapist' has more than 32,767 bytes, the most of SPSS\n"
        "hint: shorten it, or write csv or parquet"
    )


def test_an_spss_file_knows_no_time():
    content = find_writer("spss").write(small())["study.sav"]
    assert content[92:109] == b"01 Jan 8000:00:00"


# BIDS


def test_participants_have_letters_and_digits_and_a_label_each():
    assert _participants(["a-b", "ab", "a.b", "007", "ü", "-", "ab"]) == {
        "ab": "ab", "007": "007", "a-b": "abx2", "a.b": "abx3", "ü": "x", "-": "xx2",
    }  # fmt: skip


def test_a_code_of_letters_and_digits_needs_no_column_of_its_own():
    written = find_writer("bids").write(plain_courses())["phenotype/demo.tsv"]
    assert written.splitlines()[0] == b"participant_id\tsession_id\trater\tq1\tq2\tq3"
    assert written.splitlines()[1] == b"sub-a\tses-1\tclient\t1\t2\t3"


def test_the_dataset_is_a_derivative_made_by_us():
    from alliance import __version__

    found = json.loads(find_writer("bids").write(small())["dataset_description.json"])
    assert found["DatasetType"] == "derivative"
    assert found["GeneratedBy"] == [{"Name": "alliance", "Version": __version__}]


def test_every_column_is_described_in_the_sidecar():
    study = with_scores(some_scales())
    files = find_writer("bids").write(replace(study, synthetic=True))
    for name in study.responses:
        header = files[f"phenotype/{name}.tsv"].splitlines()[0].decode().split("\t")
        described = json.loads(files[f"phenotype/{name}.json"])
        assert set(header) - set(described) == {"participant_id", "session_id"}
        assert described["total" if "total" in header else "n_missing"]["Derivative"] is True


# FHIR


def resources(study):
    bundle = json.loads(find_writer("fhir").write(study)["study.json"])
    return [entry["resource"] for entry in bundle["entry"]]


@pytest.mark.parametrize("make", [small, lines, strange_codes, some_scales], ids=lambda make: make.__name__)
def test_what_is_written_is_fhir(make):
    from fhir.resources.R4B.bundle import Bundle
    from fhir.resources.R4B.observation import Observation
    from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse

    study = replace(with_scores(make()), synthetic=True)
    Bundle.model_validate_json(find_writer("fhir").write(study)["study.json"])
    files = find_writer("fhir-ndjson").write(study)
    for kind in (QuestionnaireResponse, Observation):
        for line in files[f"{kind.__name__}.ndjson"].splitlines():
            kind.model_validate_json(line)


def test_ids_of_a_bundle_are_short_and_every_reference_in_it_leads_somewhere():
    bundle = json.loads(find_writer("fhir").write(with_scores(some_scales()))["study.json"])
    ids = [entry["resource"]["id"] for entry in bundle["entry"]]
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(ids)) == len(set(urls)) == len(ids)
    assert all(set(id) <= {*string.ascii_letters, *string.digits, "-", "."} and len(id) <= 64 for id in ids)
    sources = [entry["resource"].get("derivedFrom") for entry in bundle["entry"]]
    assert {each[0]["reference"] for each in sources if each} <= set(urls)


def test_a_subject_has_its_code_and_a_reference_only_where_that_is_a_fhir_id():
    subjects = {
        each["subject"]["identifier"]["value"]: each["subject"] for each in resources(strange_codes())
    }
    assert subjects["007"] == {
        "reference": "Patient/007", "identifier": {"system": "urn:alliance:case", "value": "007"},
    }  # fmt: skip
    assert subjects["=1+1"] == {"identifier": {"system": "urn:alliance:case", "value": "=1+1"}}
    assert "reference" not in subjects["K-07/2"]
    long = [("x" * n, 1, None, "", "client", 1, 2, 3) for n in (64, 65)]
    assert ["reference" in each["subject"] for each in resources(study_of(forms(long), DEMO))] == [
        True,
        False,
    ]


def test_a_score_of_a_provisional_key_is_preliminary_and_none_is_absent_with_a_reason():
    final = [each for each in resources(small()) if each["resourceType"] == "Observation"]
    assert [each["status"] for each in final] == ["final"] * 3
    assert "valueQuantity" not in final[0]
    assert final[0]["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert final[2]["valueQuantity"] == {"value": pytest.approx(13 / 3)}
    scale = replace(DEMO, status="provisional")
    early = resources(with_scores(study_of(forms(SMALL), scale)))
    assert [each["status"] for each in early if each["resourceType"] == "Observation"] == ["preliminary"] * 3


def test_a_score_with_a_loinc_code_carries_it():
    scale = load_scale("phq-9")
    study = with_scores(study_of(_ends(scale), scale))
    found = [each for each in resources(study) if each["resourceType"] == "Observation"]
    assert found[0]["code"] == {
        "coding": [
            {"system": "http://loinc.org", "code": "44261-6"},
            {"system": "urn:alliance:score", "code": "phq-9.total"},
        ],
        "text": f"{scale.name} (phq-9): total",
    }


# The command


CSV = "case,session,q1,q2,q3,q4\nK1,1,1,2,3,4\nK1,2,,2,3,4\n"


@pytest.fixture
def srs_file(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_one_file_is_written_as_it_is_named_for_its_owner_only(command, srs_file, tmp_path):
    target = tmp_path / "new" / "out.csv"
    done = command("convert", srs_file, "--scale", "srs", "--to", "csv", "-o", target)
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith(f"wrote {target}\n")
    assert target.read_text(encoding="utf-8") == (
        "case,session,date,therapist,rater,q1,q2,q3,q4\nK1,1,,,client,1,2,3,4\nK1,2,,,client,,2,3,4\n"
    )
    assert target.stat().st_mode & 0o777 == 0o600


def test_one_file_goes_into_a_folder_that_is_there_under_the_name_of_the_source(command, srs_file, tmp_path):
    (tmp_path / "out").mkdir()
    command("convert", srs_file, "--scale", "srs", "--to", "parquet", "-o", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["in.parquet"]


def test_several_files_go_into_a_folder_and_its_folders(command, srs_file, tmp_path):
    done = command("convert", srs_file, "--scale", "srs", "--to", "bids", "-o", tmp_path / "out")
    assert done.code == 0
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["dataset_description.json", "phenotype/srs.json", "phenotype/srs.tsv"]


def test_several_files_are_not_written_into_a_file(command, srs_file, tmp_path):
    target = tmp_path / "out"
    target.write_text("mine", encoding="utf-8")
    done = command("convert", srs_file, "--scale", "srs", "--to", "wide", "-o", target, "--force")
    assert done.code == 2
    assert (
        done.err == f"error: '{target}' is a file, and 2 files need a folder\nhint: name a folder with -o\n"
    )
    assert target.read_text(encoding="utf-8") == "mine"


def test_an_existing_file_is_replaced_only_with_force(command, srs_file, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "srs.csv").write_text("mine", encoding="utf-8")
    arguments = ("convert", srs_file, "--scale", "srs", "--to", "wide", "-o", folder)
    done = command(*arguments)
    assert done.code == 2
    assert done.err == (
        f"error: 1 file would be replaced\n  {folder / 'srs.csv'}\n"
        "hint: choose another name, or replace with --force\n"
    )
    assert [path.name for path in folder.iterdir()] == ["srs.csv"]
    assert command(*arguments, "--force").code == 0
    assert (folder / "srs.csv").read_text(encoding="utf-8") != "mine"


def test_scores_come_along_when_they_are_asked_for(command, srs_file, tmp_path):
    target = tmp_path / "out.csv"
    command("convert", srs_file, "--scale", "srs", "--to", "csv", "-o", target, "--with-scores")
    assert target.read_text(encoding="utf-8").splitlines()[1] == "K1,1,,,client,1,2,3,4,10,0,"


def test_own_texts_become_labels_and_belong_to_one_form(command, srs_file, tmp_path):
    texts = tmp_path / "texts.toml"
    texts.write_text('q1 = "how it was"', encoding="utf-8")
    target = tmp_path / "out.sav"
    command("convert", srs_file, "--scale", "srs", "--to", "spss", "-o", target, "--texts", texts)
    assert pyreadstat.read_sav(target)[1].column_names_to_labels["q1"] == "how it was"
    clinic = bundled("data") / "srs-ors-clinic.csv"
    done = command("convert", clinic, "--to", "spss", "-o", tmp_path / "both", "--texts", texts)
    assert done.code == 2
    assert done.err == (
        "error: --texts belongs to one form, and the file has srs, ors\nhint: name the form with --scale\n"
    )


def test_missed_appointments_are_told_since_they_are_not_written(command, tmp_path):
    clinic = bundled("data") / "srs-ors-clinic.csv"
    done = command("convert", clinic, "--to", "csv", "-o", tmp_path / "out.csv")
    assert "note: appointments without a form are not written (17)\n" in done.err
    done = command("convert", clinic, "--to", "csv", "-o", tmp_path / "quiet.csv", "--quiet")
    assert done.err == ""


def test_an_unknown_format_is_a_mistake_of_usage(command, srs_file, tmp_path):
    done = command("convert", srs_file, "--scale", "srs", "--to", "stata", "-o", tmp_path / "out")
    assert done.code == 2
    assert done.err.startswith("error: unknown format 'stata'\nhint: ")
    assert not (tmp_path / "out").exists()


def test_the_help_names_every_format(command):
    words = " ".join(command("convert", "--help").out.split())
    assert ", ".join(known_writers()) in words


HEAVY = ("pandas", "scipy", "pyarrow", "numpy", "jinja2", "openpyxl", "pyreadstat")


@pytest.mark.parametrize("name", ["convert", "cite"])
def test_help_waits_for_nothing_heavy(name):
    script = (
        "import sys\nfrom alliance.cli import app\n"
        f"sys.argv = ['alliance', '{name}', '--help']\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
