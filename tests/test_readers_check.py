"""What `check` says of a file, and the mapping it drafts."""

import re
import tomllib
from pathlib import Path

import pytest
from readers_helpers import DEMO, mapped, write

from alliance.errors import StoreError
from alliance.readers import ReadOptions, draft_mapping, inspect, load
from alliance.readers.check import Role
from alliance.readers.mapping import parse_mapping
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


def confirmed(draft, *names, **values):
    """Return the draft with the lines of `names` switched on, and `values` put in for the dots."""
    lines = []
    for line in draft.splitlines():
        match = re.match(r"#\? (\S+) = ", line)
        name = match[1].strip('"') if match else ""
        if name in names:
            lines.append(line.removeprefix("#? "))
        elif name in values:
            lines.append(f'"{name}" = {values[name]}')
        else:
            lines.append(line)
    return mapped("\n".join(lines))


def test_a_draft_is_a_mapping_with_its_evidence(tmp_path):
    assert draft_mapping(write(tmp_path, TEXT), DEMO) == (
        "# A draft: look at every line, correct it, and delete what does not hold.\n"
        'scale = "demo"\n'
        "header_row = 1  # the line with the column names\n"
        '#? fill_down = ["client"]  # 1 blank cell\n'
        '#? missing = ["8", "99"]  # outside the range: 8 (1 time), 99 (1 time)\n'
        "#? shift = 1  # added to every number, if the file counts from 0 and the form from 1\n"
        "\n"
        "[columns]\n"
        'case = "client"  # well-known name\n'
        'session = "session"  # exact name\n'
        '#? date = "…"\n'
        '#? therapist = "…"\n'
        '#? rater = "…"\n'
        'q1 = "x1"  # prefix and number\n'
        'q2 = "x2"  # prefix and number\n'
        'q3 = "x3"  # prefix and number\n'
        "# columns without a role: who, note\n"
        "\n"
        "[answers]\n"
        "# words nobody knows: give each its number, or move it to missing\n"
        '#? "often" = …  # 1 time\n'
    )


def test_a_confirmed_draft_loads(tmp_path):
    path = write(tmp_path, TEXT)
    mapping = confirmed(draft_mapping(path, DEMO), "fill_down", "missing", rater='"who"', often=6)
    loaded = load(path, DEMO, options=ReadOptions(mapping=mapping))
    assert loaded.responses["demo"][["q1", "q2", "q3"]].fillna(0).to_numpy().tolist() == [
        [1, 0, 6],
        [1, 1, 1],
        [0, 1, 1],
    ]


@pytest.mark.parametrize(
    ("file", "switched", "values", "n_forms"),
    [
        pytest.param("canonical.csv", (), {}, 19, id="long"),
        pytest.param("items_long.csv", (), {}, 19, id="one answer a row"),
        pytest.param("nasty/33_wide_ragged/wide.csv", (), {}, 28, id="wide"),
        pytest.param(
            "osf_wide_zero_based.csv", ("shift",), {"case": '"id"', "missing": "[-9]"}, 19, id="from 0"
        ),
        pytest.param("excel_clinic.xlsx", ("fill_down",), {}, 19, id="Excel"),
        pytest.param(
            "limesurvey_codes.csv",
            ("A1", "A2", "A3", "A4", "A5"),
            {"case": '"CODE"', "session": '"SESS"', "date": '"submitdate"'},
            19,
            id="answer codes",
        ),
    ],
)
def test_the_draft_of_a_sample_loads_once_confirmed(file, switched, values, n_forms):
    scale = load_scale("wai-sr")
    mapping = confirmed(draft_mapping(SAMPLES / file, scale), *switched, **values)
    loaded = load(SAMPLES / file, scale, options=ReadOptions(mapping=mapping))
    assert len(loaded.responses["wai-sr"]) == n_forms


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.csv")), ids=lambda path: path.stem)
def test_every_draft_is_a_valid_mapping(path):
    draft = draft_mapping(path, load_scale("wai-sr"))
    assert parse_mapping(tomllib.loads(draft), origin="draft").scale == "wai-sr"
