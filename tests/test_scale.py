import shutil
from pathlib import Path

import pytest

import alliance.places
import alliance.scale
from alliance.claims import Cutoff, Norm
from alliance.errors import ScaleError
from alliance.places import bundled, user_folder
from alliance.scale import (
    Formula,
    Vector,
    find_definition,
    find_scales,
    load_scale,
    parse_definition,
    read_definition,
)

TABLE = {
    "id": "demo",
    "name": "Demonstration form",
    "perspective": "client",
    "construct": "alliance",
    "direction": "higher_is_better",
    "citation": "Invented for tests.",
    "licence": "CC0-1.0",
    "status": "verified",
    "items": 5,
    "min": 1,
    "max": 7,
    "method": "mean",
    "sources": ["Invented for tests."],
    "subscales": {"bond": [1, 3], "task": [2, 4, 5]},
    "vectors": [],
}


@pytest.fixture(autouse=True)
def no_own_definitions(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(alliance.places, "user_folder", lambda: tmp_path_factory.mktemp("own"))


def demo(**changes):
    return parse_definition(TABLE | changes, origin="demo.toml")


def test_a_definition_is_read_field_by_field():
    scale = load_scale("wai-s")
    assert (scale.n_items, scale.min, scale.max, scale.step) == (12, 1.0, 7.0, 1.0)
    assert scale.items == tuple(f"q{number}" for number in range(1, 13))
    assert scale.scores == ("goal", "task", "bond", "total")
    assert scale.reverse == (4, 10)
    assert scale.anchors[7.0] == "always"
    assert scale.total == Formula(
        items=tuple(range(1, 13)), method="sum", keyed=True, direction="higher_is_better"
    )
    assert len(scale.sha256) == 64


def test_defaults_are_none_missing_whole_steps_and_no_claims():
    scale = demo()
    assert [formula.missing_max for formula in scale.formulas.values()] == [0, 0, 0]
    assert scale.reverse == ()
    assert (scale.norms, scale.cutoffs, scale.reliable_change, scale.alerts) == ({}, (), (), ())
    assert scale.whole


def test_an_empty_answer_or_score_of_a_vector_is_none():
    scale = demo(vectors=[{"answers": [1, "", 2, 3, 4], "scores": {"task": "", "bond": 1.5}}])
    assert scale.vectors == (Vector(answers=(1, None, 2, 3, 4), scores={"task": None, "bond": 1.5}),)


@pytest.mark.parametrize(
    ("changes", "bounds", "steps"),
    [
        pytest.param({}, ((1, 7), (1, 7)), (1 / 3, 1 / 5), id="means"),
        pytest.param({"method": "sum"}, ((3, 21), (5, 35)), (1, 1), id="sums"),
        pytest.param({"total": {"method": "sum"}}, ((1, 7), (5, 35)), (1 / 3, 1), id="summed total of items"),
        pytest.param(
            {"total": {"of": "subscales", "method": "sum"}},
            ((1, 7), (2, 14)),
            (1 / 3, 1 / 3),
            id="sum of means",
        ),
        pytest.param({"total": {"of": "subscales"}}, ((1, 7), (1, 7)), (1 / 3, 1 / 6), id="mean of means"),
        pytest.param({"total": {"items": [1, 2]}}, ((1, 7), (1, 7)), (1 / 3, 1 / 2), id="total of two items"),
        pytest.param(
            {"min": 0, "method": "sum", "step": 0.5}, ((0, 21), (0, 35)), (0.5, 0.5), id="half steps"
        ),
    ],
)
def test_bounds_and_the_smallest_step_of_task_and_total(changes, bounds, steps):
    scale = demo(**changes)
    assert (scale.bounds("task"), scale.bounds("total")) == bounds
    assert (scale.score_step("task"), scale.score_step("total")) == pytest.approx(steps)


@pytest.mark.parametrize(
    ("name", "score", "bounds", "step"),
    [
        pytest.param("who-5-position", "total", (0, 100), 4, id="times 4, minus 20"),
        pytest.param("dass-21", "stress", (0, 42), 2, id="a doubled sum"),
        pytest.param("core-om", "total", (0, 40), 10 / 34, id="a mean times 10"),
        pytest.param("scs", "total", (1, 5), 1 / 5 / 6, id="a mean of means of 4 or 5 items"),
        pytest.param("ceq", "credibility", (3, 27), 1, id="a sum of items on one range"),
        pytest.param("ceq", "expectancy", (1, 9), 0.08 / 3, id="a percentage is finer"),
    ],
)
def test_bounds_and_steps_of_bundled_scores(name, score, bounds, step):
    scale = load_scale(name).with_unconfirmed()
    assert scale.bounds(score) == pytest.approx(bounds)
    assert scale.score_step(score) == pytest.approx(step)


def test_the_range_in_words_names_items_with_their_own():
    assert load_scale("ceq").range_text == "1 to 9; items 4 6: 0 to 100"
    assert load_scale("srs").range_text == "0 to 10"


@pytest.mark.parametrize("name", ["here/form", "here\\form", "form.toml"])
def test_what_looks_like_a_path_is_one(name):
    assert find_definition(name) == Path(name)


@pytest.mark.parametrize(
    ("changes", "able"),
    [
        pytest.param({}, True, id="an alliance form"),
        pytest.param({"construct": "session"}, True, id="a session form"),
        pytest.param({"construct": "outcome"}, False, id="an outcome form"),
        pytest.param({"direction": "higher_is_worse"}, False, id="higher is worse"),
        pytest.param({"total": {"method": "none"}}, False, id="no total"),
    ],
)
def test_only_a_total_of_an_alliance_form_can_tell_a_rupture(changes, able):
    assert demo(**changes).measures_alliance is able


@pytest.mark.parametrize(
    ("changes", "whole"),
    [
        pytest.param({"step": 1}, True, id="ones"),
        pytest.param({"step": 2}, True, id="twos"),
        pytest.param({"step": 0.1}, False, id="a line"),
        pytest.param({"step": 1.5}, False, id="one and a half"),
        pytest.param({"min": 0.5, "max": 5.5}, False, id="ones from a half"),
    ],
)
def test_whole_is_whether_only_whole_numbers_can_be_answered(changes, whole):
    assert demo(**changes).whole is whole


def test_the_error_of_measurement_needs_spread_and_reliability():
    assert Norm(sd=7.5, reliability=0.84).sem == pytest.approx(3.0)
    assert Norm(sd=7.5).sem is None
    assert Norm(reliability=0.84).sem is None


def test_a_cutoff_is_the_first_published_one_and_never_a_remembered_one():
    ors = load_scale("ors")
    assert [row.value for row in ors.cutoffs] == [25, 28]
    assert ors.cutoff().value == 25
    only_remembered = demo(
        cutoffs=[{"score": "total", "op": "<", "value": 3, "label": "x", "status": "memory", "source": "x"}]
    )
    assert only_remembered.cutoff() is None
    assert load_scale("wai").cutoff() is None


@pytest.mark.parametrize(("op", "inclusive"), [("<", False), ("<=", True), (">", False), (">=", True)])
def test_the_edge_of_a_cutoff_is_stated(op, inclusive):
    assert Cutoff(score="total", op=op, value=1, label="x").inclusive is inclusive


def test_bundled_folders_are_found_in_a_checkout_and_in_a_wheel(monkeypatch, tmp_path):
    assert (bundled("scales") / "wai-sr.toml").is_file()
    (tmp_path / "bundled" / "scales").mkdir(parents=True)
    monkeypatch.setattr(alliance.places, "__file__", str(tmp_path / "scale.py"))
    assert bundled("scales") == tmp_path / "bundled" / "scales"
    assert bundled("data") == tmp_path.parent / "data"


def test_the_users_folder_is_named_after_the_program(monkeypatch):
    monkeypatch.undo()
    assert user_folder().parts[-2:] == ("alliance", "scales")


def test_an_own_folder_adds_to_the_bundled_forms(tmp_path):
    own = (bundled("scales") / "srs.toml").read_text("utf-8").replace('"srs"', '"my-srs"')
    (tmp_path / "my-srs.toml").write_text(own, "utf-8")
    found = find_scales([tmp_path])
    assert found["my-srs"] == tmp_path / "my-srs.toml"
    assert {"srs", "wai-sr"} < found.keys()
    assert load_scale("my-srs", folders=[tmp_path]).id == "my-srs"


def test_the_same_definition_twice_is_no_conflict(tmp_path):
    shutil.copy(bundled("scales") / "srs.toml", tmp_path)
    assert find_scales([tmp_path])["srs"] == bundled("scales") / "srs.toml"


def test_two_different_definitions_of_one_id_are_refused(tmp_path):
    bundled_one = bundled("scales") / "srs.toml"
    (tmp_path / "srs.toml").write_text(bundled_one.read_text("utf-8") + "\n# changed\n", "utf-8")
    with pytest.raises(ScaleError) as caught:
        find_scales([tmp_path])
    assert str(caught.value) == (
        "error: scale 'srs' is defined twice\n"
        f"  {bundled_one}\n  {tmp_path / 'srs.toml'}\n"
        "hint: give one of them another id"
    )


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ScaleError) as caught:
        find_scales([tmp_path / "none"])
    assert str(caught.value) == (
        f"error: no folder '{tmp_path / 'none'}'\nhint: --scales takes a folder of TOML definitions"
    )


def test_a_file_named_after_another_form_is_refused(tmp_path):
    shutil.copy(bundled("scales") / "srs.toml", tmp_path / "mine.toml")
    with pytest.raises(ScaleError) as caught:
        load_scale("mine", folders=[tmp_path])
    assert str(caught.value) == (
        f"error: '{tmp_path / 'mine.toml'}' defines 'srs', not 'mine'\nhint: name the file after the id in it"
    )


def test_a_path_is_read_as_it_is(tmp_path):
    path = tmp_path / "copy.toml"
    shutil.copy(bundled("scales") / "srs.toml", path)
    assert load_scale(path) == load_scale(str(path)) == load_scale("srs")


def test_an_unknown_scale_is_answered_with_the_nearest_and_all_known(monkeypatch):
    monkeypatch.setattr(
        alliance.scale, "find_scales", lambda folders: {"srs": Path("a"), "wai-sr": Path("b")}
    )
    with pytest.raises(ScaleError) as caught:
        load_scale("wai-rs")
    assert str(caught.value) == (
        "error: unknown scale 'wai-rs'\n"
        "hint: did you mean 'wai-sr'? known: srs, wai-sr; or give the path of a TOML definition"
    )
    assert caught.value.exit_code == 4


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ScaleError) as caught:
        read_definition(tmp_path / "none.toml")
    assert str(caught.value) == (
        f"error: cannot read the scale definition '{tmp_path / 'none.toml'}': No such file or directory\n"
        "hint: give an id from `alliance scales list`, or the path of a file"
    )


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path):
    (tmp_path / "x.toml").write_text("id = \n", "utf-8")
    with pytest.raises(ScaleError) as caught:
        read_definition(tmp_path / "x.toml")
    assert str(caught.value) == (
        "error: 'x.toml' is no TOML file: Invalid value (at line 1, column 6)\n"
        "hint: `alliance scales new` writes a definition to start from"
    )


def test_a_byte_order_mark_is_no_obstacle(tmp_path):
    text = (bundled("scales") / "srs.toml").read_text("utf-8")
    (tmp_path / "srs.toml").write_text(text, "utf-8-sig")
    assert read_definition(tmp_path / "srs.toml") == load_scale("srs")


def test_all_breaches_are_reported_however_many():
    with pytest.raises(ScaleError) as caught:
        parse_definition({"id": "x"}, origin="x.toml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "error: 'x.toml' is no valid scale definition"
    absent = (
        "name perspective construct direction citation licence status items min max method sources vectors"
    )
    assert lines[1:-1] == [f"  {name}: missing" for name in absent.split()]
    assert (
        lines[-1]
        == "hint: `alliance scales check FILE` explains the definition; docs/scales.md has the fields"
    )
