"""The contract of every bundled definition: it loads, its own vectors prove it, it holds no wording."""

import copy
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from alliance.errors import ScaleError
from alliance.places import bundled
from alliance.scale import load_scale, parse_definition, read_definition
from alliance.scoring import score_answers

FILES = sorted(bundled("scales").glob("*.toml"))
IDS = [path.stem for path in FILES]
DOC = Path(__file__).parent.parent / "docs" / "scales.md"

every_form = pytest.mark.parametrize("path", FILES, ids=IDS)


def holds(table):
    """Whether `table` passes the schema and every one of its vectors agrees, to 1e-9."""
    try:
        scale = parse_definition(table, origin="mutated.toml")
    except ScaleError:
        return False
    for vector in scale.vectors:
        answers = np.array(vector.answers, dtype=float).reshape(-1, 1)
        scores = score_answers(answers, np.isnan(answers), scale).scores
        for name, said in vector.scores.items():
            given = None if np.isnan(scores[name][0]) else scores[name][0]
            if (given is None) != (said is None) or (said is not None and abs(given - said) > 1e-9):
                return False
    return True


def spans_the_range(table):
    """Whether the first two vectors answer all at the minimum and all at the maximum."""
    ends = [[table[end]] * table["items"] for end in ("min", "max")]
    return [vector["answers"] for vector in table["vectors"][:2]] == ends


def mutations(table):
    """Yield a description and a copy of `table` with one thing about its key changed."""

    def changed(**changes):
        return copy.deepcopy(table) | changes

    for item in range(1, table["items"] + 1):
        turned = sorted(set(table.get("reverse", [])) ^ {item})
        yield f"reversal of item {item} toggled", changed(reverse=turned)
    for home, items in table.get("subscales", {}).items():
        for item in items:
            for other in table["subscales"].keys() - {home}:
                moved = copy.deepcopy(table["subscales"])
                moved[home].remove(item)
                moved[other].append(item)
                yield f"item {item} moved from {home} to {other}", changed(subscales=moved)
    yield from swaps(table)
    for shift in (-1, 1):
        yield f"range shifted by {shift}", changed(min=table["min"] + shift, max=table["max"] + shift)
        for end in ("min", "max"):
            yield f"{end} moved by {shift}", changed(**{end: table[end] + shift})
    other = {"sum": "mean", "mean": "sum"}[table["method"]]
    yield "method swapped", changed(method=other)
    yield "method of the total swapped", changed(total={**table.get("total", {}), "method": other})
    yield (
        "one more unanswered item tolerated",
        changed(total_missing_max=table.get("total_missing_max", 0) + 1),
    )


def swaps(table):
    """Yield every exchange of two items between two subscales."""
    subscales = table.get("subscales", {})
    for one, other in ((a, b) for a in subscales for b in subscales if a < b):
        for left, right in ((i, j) for i in subscales[one] for j in subscales[other]):
            swapped = copy.deepcopy(table)
            swapped["subscales"][one] = [right if item == left else item for item in subscales[one]]
            swapped["subscales"][other] = [left if item == right else item for item in subscales[other]]
            yield f"items {left} and {right} exchanged", swapped


def texts(value):
    """Yield every text below `value`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts(entry)


def table_of(path):
    return tomllib.loads(path.read_text("utf-8"))


def test_the_first_set_of_forms_is_there():
    assert set(IDS) >= {
        *("wai-sr", "wai-s", "wai", "wai-therapist", "srs", "ors", "haq-2", "arm-5"),
        *("phq-9", "gad-7", "core-10"),
    }


@every_form
def test_the_file_is_named_after_its_id_and_says_where_it_comes_from(path):
    scale = read_definition(path)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", scale.id)
    assert path.name == f"{scale.id}.toml"
    assert scale.sources
    assert scale.version


@every_form
def test_the_vectors_are_at_least_three_and_all_hold(path):
    table = table_of(path)
    assert len(table["vectors"]) >= 3
    assert holds(table)


@every_form
def test_the_first_vectors_answer_all_at_the_minimum_and_all_at_the_maximum(path):
    assert spans_the_range(table_of(path))


@every_form
def test_every_vector_gives_every_score(path):
    scale = read_definition(path)
    assert all(set(vector.scores) == set(scale.scores) for vector in scale.vectors)


@every_form
def test_no_change_of_the_key_goes_unnoticed(path):
    mutated = mutations(table_of(path))
    assert [what for what, table in mutated if holds(table) and spans_the_range(table)] == []


@pytest.mark.parametrize(
    ("name", "answer", "scores"),
    [
        pytest.param("wai", 7, {"task": 54, "bond": 66, "goal": 48, "total": 168}, id="wai, all 7"),
        pytest.param("wai", 1, {"task": 42, "bond": 30, "goal": 48, "total": 120}, id="wai, all 1"),
        pytest.param(
            "wai-therapist", 7, {"task": 54, "bond": 66, "goal": 48, "total": 168}, id="wai-therapist"
        ),
        pytest.param("wai-s", 7, {"task": 28, "bond": 28, "goal": 16, "total": 72}, id="wai-s, all 7"),
        pytest.param("wai-s", 1, {"task": 4, "bond": 4, "goal": 16, "total": 24}, id="wai-s, all 1"),
        pytest.param("wai-sr", 5, {"task": 5, "bond": 5, "goal": 5, "total": 5}, id="wai-sr, all 5"),
        pytest.param("srs", 10, {"total": 40}, id="srs, all 10"),
        pytest.param("ors", 10, {"total": 40}, id="ors, all 10"),
        pytest.param("haq-2", 6, {"total": 89}, id="haq-2, all 6"),
        pytest.param("haq-2", 1, {"total": 44}, id="haq-2, all 1"),
        pytest.param("arm-5", 7, {"total": 5.8}, id="arm-5, all 7"),
        pytest.param("arm-5", 1, {"total": 2.2}, id="arm-5, all 1"),
        pytest.param("phq-9", 3, {"total": 27}, id="phq-9, all 3"),
        pytest.param("gad-7", 3, {"total": 21}, id="gad-7, all 3"),
        pytest.param("core-10", 0, {"total": 8}, id="core-10, all 0"),
        pytest.param("core-10", 4, {"total": 32}, id="core-10, all 4"),
    ],
)
def test_a_form_answered_alike_throughout_scores_as_worked_by_hand(name, answer, scores):
    scale = load_scale(name)
    answers = np.full((scale.n_items, 1), answer)
    found = score_answers(answers, np.zeros(answers.shape, dtype=bool), scale).scores
    assert {name: values[0] for name, values in found.items()} == pytest.approx(scores)


@pytest.mark.parametrize(("name", "total"), [("phq-9", 12), ("gad-7", 9), ("core-10", 22), ("ors", 6)])
def test_answers_that_climb_and_start_again_score_as_worked_by_hand(name, total):
    scale = load_scale(name)
    width = int(scale.max - scale.min) + 1
    answers = np.array([[scale.min + place % width] for place in range(scale.n_items)])
    found = score_answers(answers, np.zeros(answers.shape, dtype=bool), scale).scores
    assert found["total"].tolist() == [total]


@every_form
def test_no_question_and_no_sentence_stands_where_an_item_could(path):
    table = table_of(path)
    short = [*texts(table.get("anchors", {})), *texts(table.get("labels", {}))]
    short += [alert["reason"] for alert in table.get("alerts", [])]
    assert [text for text in texts(table) if "?" in text] == []
    assert [text for text in short if len(text.split()) > 6 or text.endswith(".")] == []
    assert [text for text in short if re.search(r"\b(I|my|me)\b", text)] == []


@every_form
def test_comments_hold_no_wording_either(path):
    comments = re.findall(r"#(.*)", path.read_text("utf-8"))
    assert [text for text in comments if "?" in text or len(text.split()) > 18] == []


@every_form
def test_every_remembered_number_is_kept_out_of_the_default_cutoff(path):
    scale = read_definition(path)
    remembered = {row.value for row in scale.cutoffs if row.status == "memory"}
    assert scale.cutoff() is None or scale.cutoff().value not in remembered


@pytest.mark.parametrize("name", ["wai", "wai-therapist", "wai-s", "wai-sr"])
def test_wai_forms_have_no_cutoff_and_say_so(name):
    scale = load_scale(name)
    assert scale.cutoffs == ()
    assert any(note.startswith("No cut-off exists") for note in scale.notes)


@pytest.mark.parametrize(
    ("name", "op", "value"),
    [("srs", "<=", 36), ("ors", "<", 25), ("phq-9", ">=", 10), ("gad-7", ">=", 10), ("core-10", ">=", 11)],
)
def test_the_published_cutoff_has_its_edge(name, op, value):
    cutoff = load_scale(name).cutoff()
    assert (cutoff.op, cutoff.value) == (op, value)


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("phq-9", 6, "rule of NHS Talking Therapies, confidence level not stated"),
        ("gad-7", 4, "rule of NHS Talking Therapies, confidence level not stated"),
        ("core-10", 6, "90%"),
        ("ors", 5, "confidence level not stated"),
    ],
)
def test_a_reliable_change_value_carries_its_level(name, value, level):
    (row,) = load_scale(name).reliable_change
    assert (row.value, row.level, row.status) == (value, level, "published")


def test_only_the_haq_2_is_provisional_so_far():
    assert [path.stem for path in FILES if table_of(path)["status"] == "provisional"] == ["haq-2"]


def test_the_document_lists_every_form_with_its_status_and_no_other():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| [^|]+ \| (\w+) \|", DOC.read_text("utf-8"), re.MULTILINE)
    assert dict(rows) == {path.stem: table_of(path)["status"] for path in FILES}


def test_the_document_names_every_field_of_a_definition():
    from alliance.schema import OPTIONAL, REQUIRED

    rows = re.findall(r"^\| `([a-z_]+)` \| (yes|no) \|", DOC.read_text("utf-8"), re.MULTILINE)
    assert rows == [*((name, "yes") for name in REQUIRED), *((name, "no") for name in OPTIONAL)]


def test_the_example_in_the_document_is_a_sound_definition():
    (example,) = re.findall(r"```toml\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert holds(tomllib.loads(example))
