"""No answer is ever changed: what is loaded is what stands in the cell, however the file is dressed up."""

import pytest
from fuzz import calls, systems, tables
from fuzz.proof import holds
from fuzz.truth import CELLS, CODES, FORM, PLAIN_CODES, REFUSED, loaded_study, study_of, without_dates

from alliance.errors import DataError
from alliance.readers import ReadOptions, draft_mapping, load, read_mapping

QUICK, SLOW = 2, 150
SHAPES = [
    tables.plain_csv,
    tables.one_answer_a_row,
    tables.wide,
    tables.counted_from_zero,
    tables.in_words,
    tables.parquet,
    tables.feather,
    systems.redcap_raw,
    systems.redcap_labels,
    systems.redcap_eav,
    systems.redcap_events,
    systems.qualtrics,
    systems.limesurvey,
    systems.google_forms,
    systems.castor,
    systems.formr,
    systems.fhir,
    systems.bids,
]
APART = [tables.workbook, tables.spss]
TOKENS = [f"tok{code}" for code in PLAIN_CODES]
CODES_OF = {systems.formr: TOKENS, systems.bids: PLAIN_CODES, tables.spss: PLAIN_CODES}


def comes_back(write):
    """Return the claim that a study written in one shape is loaded as it truly is."""

    def claim(random):
        study = study_of(random, CODES_OF.get(write, CODES), gaps=write is not systems.formr)
        written = write(random, study)
        truth = study if written.dated else without_dates(study)
        with calls.file_of(written.raw, written.suffix) as path:
            for name, raw in written.beside.items():
                (path.parent / name).write_bytes(raw)
            assert loaded_study(load(path, FORM, options=ReadOptions(**written.said))) == truth

    return claim


@pytest.mark.parametrize("write", SHAPES, ids=lambda write: write.__name__)
def test_a_study_comes_back_from_every_shape(write):
    holds(comes_back(write), QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("write", SHAPES, ids=lambda write: write.__name__)
def test_many_studies_come_back_from_every_shape(write):
    holds(comes_back(write), SLOW)


@pytest.mark.slow
@pytest.mark.parametrize("write", APART, ids=lambda write: write.__name__)
def test_a_study_comes_back_from_files_that_foreign_code_reads(write):
    pytest.importorskip("pyreadstat" if write is tables.spss else "openpyxl")
    holds(comes_back(write), SLOW // 8)


def cells_as_forms(words):
    """Return rows with one strange cell each: session n of case C1 has the n-th word as its second answer."""
    rows = [["case", "session", "q1", "q2", "q3", "q4"]]
    return rows + [["C1", str(n), "2", word, "1", "5"] for n, word in enumerate(words, 1)]


def one_item_a_row(words):
    rows = [["case", "session", "item", "value"]]
    for n, word in enumerate(words, 1):
        rows += [
            ["C1", str(n), item, cell]
            for item, cell in zip(("q1", "q2", "q3", "q4"), ("2", word, "1", "5"), strict=True)
        ]
    return rows


@pytest.mark.parametrize("rows", [cells_as_forms, one_item_a_row])
def test_a_cell_says_what_it_says_and_nothing_else_changes(rows):
    words, meanings = list(CELLS), list(CELLS.values())
    with calls.file_of(tables.as_csv(rows(words)).encode()) as path:
        loaded = load(path, FORM, options=ReadOptions(on_error="drop"))
    answers = [None if meaning == REFUSED else meaning for meaning in meanings]
    assert loaded_study(loaded) == {
        ("C1", n): (None, (2, answer, 1, 5)) for n, answer in enumerate(answers, 1)
    }
    assert loaded.rejected["session"].tolist() == [n for n, each in enumerate(meanings, 1) if each == REFUSED]
    assert set(loaded.rejected["item"]) == {"q2"}


@pytest.mark.parametrize("word", [word for word, meaning in CELLS.items() if meaning == REFUSED][:6])
def test_a_file_with_one_cell_that_says_nothing_is_refused(word):
    with (
        calls.file_of(tables.as_csv(cells_as_forms([word])).encode()) as path,
        pytest.raises(DataError) as caught,
    ):
        load(path, FORM)
    assert caught.value.troubles[0].where == (f"line 2: case C1, session 1, q2 = {word}",)


def one_cell_corrupted(random):
    """A changed key moves its own form or has it refused; every other form stays as it is."""
    study = study_of(random, [code for code in CODES if code != "C02"])
    rows = tables.long_rows(random, study)
    place = random.randrange(len(study))
    (case, session), (date, answers) = list(study.items())[place]
    rest = {key: form for key, form in study.items() if key != (case, session)}
    role, cell, changed = random.choice(
        [
            ("case", "C02", {("C02", session): (date, answers)}),
            ("case", "", {}),
            ("case", "C\x0002", {}),
            ("session", "77", {(case, 77): (date, answers)}),
            ("session", "", {}),
            ("session", "two", {}),
            ("session", "1.5", {}),
            ("session", "-1", {}),
            ("date", "2026-13-45", {(case, session): (None, answers)}),
            ("date", "", {(case, session): (None, answers)}),
            ("date", "spring", {(case, session): (None, answers)}),
        ]
    )
    rows[place + 1][rows[0].index(role)] = cell
    with calls.file_of(tables.as_csv(rows).encode()) as path:
        assert loaded_study(load(path, FORM, options=ReadOptions(on_error="drop"))) == {**rest, **changed}


def test_a_changed_key_changes_its_own_form_only():
    holds(one_cell_corrupted, 12)


@pytest.mark.slow
def test_many_changed_keys_change_their_own_form_only():
    holds(one_cell_corrupted, 600)


def drafted(write):
    """Return the claim that a drafted mapping, taken as it is, changes nothing of what can be read."""

    def claim(random):
        study = study_of(random)
        written = write(random, study)
        with calls.file_of(written.raw, written.suffix) as path:
            before = loaded_study(load(path, FORM))
            draft = path.with_suffix(".toml")
            draft.write_text(draft_mapping(path, FORM), encoding="utf-8")
            options = ReadOptions(mapping=read_mapping(draft))
            assert loaded_study(load(path, FORM, options=options)) == before

    return claim


def plain_dates(random, study):
    rows = tables.dressed(random, tables.long_rows(random, study))
    return tables.Written(raw=tables.as_csv(rows, random.choice(",;\t")).encode())


DRAFTED = [plain_dates, tables.one_answer_a_row, tables.parquet, systems.redcap_events, systems.fhir]


@pytest.mark.parametrize("write", DRAFTED, ids=lambda write: write.__name__)
def test_a_draft_as_it_stands_changes_nothing(write):
    holds(drafted(write), QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("write", DRAFTED, ids=lambda write: write.__name__)
def test_no_draft_as_it_stands_changes_anything(write):
    holds(drafted(write), SLOW)
