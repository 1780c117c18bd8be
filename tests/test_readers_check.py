"""What `check` says of a file."""

from pathlib import Path

import pytest
from readers_helpers import DEMO, mapped, write

from alliance.errors import StoreError
from alliance.readers import ReadOptions, inspect
from alliance.readers.check import Role
from alliance.scale import load_scale

SAMPLES = Path(__file__).parent / "samples"
TEXT = "client;session;who;x1;x2;x3;note\nA;1;client;1;8;often;fine\n;2;client;1;1;1;\nB;1;client;99;1;1;\n"


def test_an_inspection_tells_what_is_there_and_what_is_wrong(tmp_path):
    found = inspect(write(tmp_path, TEXT, encoding="cp1252"), DEMO)
    assert (found.rows, found.forms, found.cases, found.sessions) == (3, 2, 2, 2)
    assert (found.shape, found.encoding, found.delimiter, found.header_line) == (
        "long",
        "UTF-8",
        "semicolon",
        1,
    )
    assert found.scales == ("demo",)
    assert found.raters == ("client",)
    assert found.roles == (
        Role(role="case", column="client", evidence="well-known name"),
        Role(role="session", column="session", evidence="exact name"),
        Role(role="q1", column="x1", evidence="prefix and number"),
        Role(role="q2", column="x2", evidence="prefix and number"),
        Role(role="q3", column="x3", evidence="prefix and number"),
    )
    assert found.unused == ("who", "note")
    assert [(row["line"], row["item"], row["value"], row["problem"]) for row in found.problems] == [
        (2, "q3", "often", "no single answer"),
        (2, "q2", "8", "out of range"),
        (3, "", "", "no case"),
        (4, "q1", "99", "out of range"),
    ]
    assert [trouble.what for trouble in found.troubles] == [
        "1 form without a case",
        "1 answer is no number and no known word",
        "2 answers outside 1 to 7, the range of 'demo'",
    ]


def test_an_inspection_of_a_file_without_columns_we_know_still_tells_its_shape(tmp_path):
    found = inspect(write(tmp_path, "name,age\nErika,40\n"), DEMO)
    assert (found.rows, found.forms, found.unused) == (1, 0, ("name", "age"))
    assert len(found.troubles) == 3


def test_an_inspection_of_no_table_carries_the_refusal(tmp_path):
    found = inspect(write(tmp_path, b'{"resourceType": "Bundle"}'), DEMO)
    assert [trouble.what for trouble in found.troubles] == ["the file holds no QuestionnaireResponse"]


def test_an_inspection_of_no_file_is_an_error(tmp_path):
    with pytest.raises(StoreError):
        inspect(tmp_path / "no.csv", DEMO)


def test_an_inspection_names_the_system_and_what_it_was_seen_by():
    found = inspect(SAMPLES / "qualtrics_choicetext.csv", load_scale("wai-sr"))
    assert (found.source, found.evidence) == ("qualtrics", "a row of ImportIds under the column names")
    plainly = inspect(SAMPLES / "canonical.csv", load_scale("wai-sr"))
    assert (plainly.source, plainly.evidence) == ("", "")


def test_columns_that_a_mapping_uses_are_not_called_unused(tmp_path):
    text = "case,group,a1_s1,a2_s1,a3_s1,when_1,a1_s2,a2_s2,a3_s2,when_2,mean_2\n"
    path = write(tmp_path, text + "C01,x,1,2,3,2026-01-01,4,5,6,2026-01-08,5\n")
    mapping = mapped('pattern = "a{item}_s{session}"\n[columns]\ndate = "when_{session}"')
    found = inspect(path, DEMO, options=ReadOptions(mapping=mapping))
    assert found.troubles == ()
    assert found.unused == ("group", "mean_2")


def test_answers_are_judged_as_the_mapping_of_their_form_reads_them(tmp_path):
    rows = "".join(f"C{case:02},{case % 7},{(case + 1) % 7},{(case + 2) % 7}\n" for case in range(40))
    text = "case,a1,a2,a3\n" + rows
    path = write(tmp_path, text.replace("case,", "session,case,").replace("\nC", "\n1,C"))
    forms = '[[forms]]\nscale = "demo"\nitems = "a{item}"\n'
    moved = inspect(path, DEMO, options=ReadOptions(mapping=mapped(forms + "shift = 1")))
    assert (moved.doubts, moved.troubles) == ((), ())
    as_it_is = inspect(path, DEMO, options=ReadOptions(mapping=mapped(forms)))
    assert as_it_is.impossible
    assert as_it_is.doubts[0].startswith(
        "answers run from 0 to 6, 'demo' is answered 1 to 7: the file may count"
    )
