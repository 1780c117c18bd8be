"""The contract of every bundled definition: it loads, its own vectors prove it, it holds no wording."""

import copy
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from alliance.consistency import members, own, parts_of
from alliance.errors import ScaleError
from alliance.held import held_forms
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
        scale = parse_definition(table, origin="mutated.toml").with_unconfirmed()
    except ScaleError:
        return False
    answers = np.array([vector.answers for vector in scale.vectors], dtype=float).T
    scores = score_answers(answers, np.isnan(answers), scale).scores
    for place, vector in enumerate(scale.vectors):
        for name, said in vector.scores.items():
            given = None if np.isnan(scores[name][place]) else scores[name][place]
            if (given is None) != (said is None) or (said is not None and abs(given - said) > 1e-9):
                return False
    return True


def spans_the_range(table):
    """Whether the first two vectors answer all at the minimum and all at the maximum."""
    ranges = table.get("item_ranges", {})
    usual = [table["min"], table["max"]]
    ends = [[ranges.get(str(item), usual)[end] for item in range(1, table["items"] + 1)] for end in (0, 1)]
    return [vector["answers"] for vector in table["vectors"][:2]] == ends


def changed(table, **changes):
    return copy.deepcopy(table) | changes


def with_part(table, name, **changes):
    """Return a copy of `table` with one thing about one score changed."""
    if name == "total":
        return changed(table, total={**table.get("total", {}), **changes})
    part = {**own(table["subscales"][name]), **changes}
    return changed(table, subscales={**table["subscales"], name: part})


def scores_of(table):
    total = [] if table.get("total", {}).get("method") == "none" else ["total"]
    return [*table.get("subscales", {}), *total]


def mutations(table):
    """Yield a description and a copy of `table` with one thing about its key changed."""
    scored = {item for name in scores_of(table) for item in members(table, name)}
    for item in sorted(scored):
        turned = sorted(set(table.get("reverse", [])) ^ {item})
        yield f"reversal of item {item} toggled", changed(table, reverse=turned)
    yield from moves(table)
    yield from swaps(table)
    yield from ranges(table)
    for name in scores_of(table):
        yield from formulas(table, name)
    if table.get("reverse") and table.get("subscales"):
        now = table.get("reverse_scope", "every_score")
        other = {"every_score": "total_only", "total_only": "every_score"}[now]
        yield "scope of the reversal swapped", changed(table, reverse_scope=other)
    for rule in ("any_score", "all_alike"):
        if table.get("unscorable", {}).get(rule):
            yield (
                f"{rule} no longer unscorable",
                changed(table, unscorable={**table["unscorable"], rule: False}),
            )


def moves(table):
    """Yield every item dropped from a subscale, and every one moved to another or left out of the total."""
    for home, entry in table.get("subscales", {}).items():
        items = own(entry)["items"]
        for item in items:
            left = [each for each in items if each != item]
            yield f"item {item} dropped from {home}", with_part(table, home, items=left)
            for other in table["subscales"].keys() - {home}:
                there = own(table["subscales"][other])["items"]
                if item not in there:
                    moved = with_part(with_part(table, home, items=left), other, items=[*there, item])
                    yield f"item {item} moved from {home} to {other}", moved
    if "total" in scores_of(table) and "of" not in table.get("total", {}):
        items = members(table, "total")
        for item in items:
            left = [each for each in items if each != item]
            # Said to be unscored, lest the schema refuses what a vector has to catch.
            alone = not any(item in members(table, name) for name in table.get("subscales", {}))
            unscored = sorted([*table.get("unscored", []), *([item] if alone else [])])
            dropped = with_part(table, "total", items=left)
            yield f"item {item} left out of the total", changed(dropped, unscored=unscored)


def swaps(table):
    """Yield every exchange of two items between two subscales that share none."""
    subscales = {name: own(entry)["items"] for name, entry in table.get("subscales", {}).items()}
    for one, other in ((a, b) for a in subscales for b in subscales if a < b):
        if set(subscales[one]) & set(subscales[other]):
            continue
        for left, right in ((i, j) for i in subscales[one] for j in subscales[other]):
            first = [right if item == left else item for item in subscales[one]]
            second = [left if item == right else item for item in subscales[other]]
            exchanged = with_part(with_part(table, one, items=first), other, items=second)
            yield f"items {left} and {right} exchanged", exchanged


def ranges(table):
    for shift in (-1, 1):
        yield (
            f"range shifted by {shift}",
            changed(table, min=table["min"] + shift, max=table["max"] + shift),
        )
        for end in ("min", "max"):
            yield f"{end} moved by {shift}", changed(table, **{end: table[end] + shift})
    for item, (low, high) in table.get("item_ranges", {}).items():
        for new in ([low, high + 10], [low - 1, high]):
            own_ranges = {**table["item_ranges"], item: new}
            yield f"range of item {item} changed", changed(table, item_ranges=own_ranges)


def formulas(table, name):
    """Yield one score formed in every other way."""
    said = table.get("total", {}) if name == "total" else own(table["subscales"][name])
    method = said.get("method", table["method"])
    yield f"method of {name} swapped", with_part(table, name, method={"sum": "mean", "mean": "sum"}[method])
    factor = said.get("factor", table.get("factor", 1))
    yield f"factor of {name} doubled", with_part(table, name, factor=factor * 2)
    yield f"{name} off by one", with_part(table, name, offset=said.get("offset", 0) + 1)
    if parts_of(table, name):
        return  # a score of others stands or falls with them: its own tolerance cannot be told
    if name == "total":
        more = table.get("total_missing_max", 0) + 1
        yield "one more unanswered item tolerated in the total", changed(table, total_missing_max=more)
        if more > 1:
            yield "one fewer tolerated in the total", changed(table, total_missing_max=more - 2)
    else:
        tolerated = said.get("missing_max", table.get("missing_max", 0))
        if tolerated != LIMITED_BY_THE_FORM:
            yield f"one more tolerated in {name}", with_part(table, name, missing_max=tolerated + 1)


LIMITED_BY_THE_FORM = 17
"""Tolerance of the CCAPS distress index. The rule of the form limits it: no vector can tell 17 from 18."""


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


def test_every_cleared_form_is_there():
    family = ("wai", "wai-therapist", "wai-s", "wai-s-therapist", "wai-sr", "wai-o", "wai-o-s", "s-wai-6")
    alliance = ("wai-tech-sf", "srs", "gsrs", "csrs", "haq-2", "haq-2-therapist", "arm-5", "tasc-r")
    outcome = ("ors", "cors", "oq-45", "core-om", "core-10", "phq-9", "phq-8", "gad-7", "k10", "k6", "who-5")
    more = ("dass-21", "wsas", "pcl-5", "bsi-18", "ccaps-34", "csq-8", "care", "jspppe", "authenticity")
    person = ("scs", "scs-sf", "ceas-self", "ceas-to-others", "ceas-from-others", "ceq", "seq-5")
    codings = ("k10-0-4", "k6-1-5", "who-5-position", "csq-8-position")
    assert set(IDS) == {*family, *alliance, *outcome, *more, *person, *codings}


@every_form
def test_the_file_is_named_after_its_id_and_says_where_it_comes_from(path):
    scale = read_definition(path)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", scale.id)
    assert path.name == f"{scale.id}.toml"
    assert scale.sources
    assert scale.version


@every_form
def test_the_vectors_are_at_least_four_and_all_hold(path):
    table = table_of(path)
    assert len(table["vectors"]) >= 4
    assert holds(table)


@every_form
def test_the_first_vectors_answer_all_at_the_minimum_and_all_at_the_maximum(path):
    assert spans_the_range(table_of(path))


@every_form
def test_every_vector_gives_every_score(path):
    scale = read_definition(path).with_unconfirmed()
    assert all(set(vector.scores) == set(scale.scores) for vector in scale.vectors)


@every_form
def test_no_change_of_the_key_goes_unnoticed(path):
    mutated = mutations(table_of(path))
    assert [what for what, table in mutated if holds(table) and spans_the_range(table)] == []


@every_form
def test_a_tolerated_unanswered_item_has_its_rule(path):
    scale = read_definition(path)
    tolerant = any(formula.missing_max for formula in scale.formulas.values())
    assert bool(scale.missing_rule) is tolerant


@every_form
def test_a_licensed_form_says_its_licence_once_and_a_provisional_one_why(path):
    scale = read_definition(path)
    if scale.status == "provisional":
        assert any(note.startswith("Provisional") for note in scale.notes)
    if scale.licence.startswith("licensed"):
        assert any("licensed" in caution for caution in scale.cautions)


@every_form
def test_every_claim_has_a_source_that_fits_its_status(path):
    scale = read_definition(path)
    claims = [*scale.cutoffs, *scale.bands, *scale.criteria, *scale.reliable_change, *scale.references]
    for claim in [*claims, *scale.reliabilities, *scale.norms.values()]:
        assert (claim.status == "memory") is (claim.source == "Recalled; not seen in any source")
        assert claim.status in {"published", "memory"}


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
    labels = [row["label"] for kind in ("cutoffs", "criteria") for row in table.get(kind, [])]
    labels += [step[2] for row in table.get("bands", []) for step in row["steps"]]
    assert [text for text in labels if len(text.split()) > 10 or text.endswith(".")] == []
    assert [text for text in texts(table) if re.search(r"(?<![-\w])(I|my|me|we|us)\b", text)] == []


@pytest.mark.parametrize(
    "path", sorted((bundled("scales") / "held").glob("*.toml")), ids=lambda path: path.stem
)
def test_a_form_on_hold_holds_no_wording_either(path):
    table = table_of(path)
    assert [text for text in texts(table) if "?" in text] == []
    assert [text for text in texts(table) if re.search(r"(?<![-\w])(I|my|me|we|us)\b", text)] == []


@every_form
def test_comments_hold_no_wording_either(path):
    comments = re.findall(r"#(.*)", path.read_text("utf-8"))
    assert [text for text in comments if "?" in text or len(text.split()) > 18] == []


@every_form
def test_every_remembered_number_is_kept_out_of_the_default_cutoff(path):
    scale = read_definition(path)
    remembered = {row.value for row in scale.cutoffs if row.status == "memory"}
    assert scale.cutoff() is None or scale.cutoff().value not in remembered


WAI_FORMS = [name for name in IDS if name.startswith(("wai", "s-wai"))]


@pytest.mark.parametrize("name", WAI_FORMS)
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


def test_what_is_provisional_and_what_is_switched_off():
    scales = [read_definition(path) for path in FILES]
    assert [scale.id for scale in scales if scale.status == "provisional"] == [
        *("bsi-18", "ceas-from-others", "ceas-self", "ceas-to-others", "ceq", "haq-2-therapist", "haq-2"),
        *("jspppe", "oq-45", "s-wai-6", "seq-5", "tasc-r", "wai-o-s", "wai-o", "wai-s-therapist"),
        "wai-tech-sf",
    ]
    assert {scale.id: list(scale.unconfirmed) for scale in scales if scale.unconfirmed} == {
        "bsi-18": ["somatization", "depression", "anxiety"],
        "ceq": ["expectancy"],
        "oq-45": ["symptom-distress", "interpersonal-relations", "social-role"],
        "seq-5": ["depth", "positivity", "arousal"],
    }


def shipped_row(scale):
    off = f" (switched off: {', '.join(scale.unconfirmed)})" if scale.unconfirmed else ""
    worse = ", higher is worse" if scale.direction == "higher_is_worse" else ""
    about, answers = f"{scale.construct}{worse}", f"{scale.n_items}, {scale.range_text}"
    cells = (f"`{scale.id}`", scale.name, scale.status, about, answers, f"{', '.join(scale.scores)}{off}")
    return f"| {' | '.join((*cells, '; '.join(scale.sources)))} |"


def held_row(held):
    ids = ", ".join(f"`{name}`" for name in held.ids)
    cells = (ids, held.name, "on hold", held.why, held.release, "; ".join(held.sources))
    return f"| {' | '.join(cells)} |"


def rows_below(heading):
    section = DOC.read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_the_document_lists_every_form_with_its_status_and_sources_and_no_other():
    expected = [shipped_row(read_definition(path)) for path in FILES]
    assert sorted(rows_below("Forms that are bundled")) == sorted(expected)


def test_the_document_lists_every_form_on_hold_with_the_reason_and_no_other():
    assert rows_below("Forms on hold") == [held_row(held) for held in held_forms()]


def test_the_document_names_every_field_of_a_definition():
    from alliance.schema import OPTIONAL, REQUIRED

    rows = re.findall(r"^\| `([a-z_]+)` \| (yes|no) \|", DOC.read_text("utf-8"), re.MULTILINE)
    assert rows == [*((name, "yes") for name in REQUIRED), *((name, "no") for name in OPTIONAL)]


def test_the_example_in_the_document_is_a_sound_definition():
    (example,) = re.findall(r"```toml\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert holds(tomllib.loads(example))
