"""The contract of the register of forms on hold: complete, found by every name, and without any key."""

import re
import tomllib
from collections import Counter
from dataclasses import MISSING, fields

import pytest

import alliance.places
from alliance.errors import ScaleError
from alliance.held import Held, find_held, held_forms, refusal
from alliance.places import bundled
from alliance.scale import load_scale
from alliance.schema import CONSTRUCTS

FILES = sorted((bundled("scales") / "held").glob("*.toml"))
BUNDLED = {path.stem for path in bundled("scales").glob("*.toml")}
IDS = [name for held in held_forms() for name in held.ids]
LISTS = {"ids", "sources"}
NAMED_ITEM = re.compile(r"\b(?:items?|numbers?|q) ?\d", re.IGNORECASE)
ITEM_RUN = re.compile(r"(?<![\w./])\d{1,2}(?:(?:,? and |,? or |, ?| ?; ?| ?/ ?| )\d{1,2}){2,}(?![\w])")
OWN = """\
id          = "star-p"
name        = "Three invented items"
perspective = "client"
construct   = "alliance"
direction   = "higher_is_better"
citation    = "Invented for tests."
licence     = "CC0-1.0"
status      = "verified"
items       = 3
min         = 0
max         = 4
reverse     = [3]
method      = "sum"
sources     = ["Invented for tests."]

[[vectors]]
answers = [4, 4, 4]
scores  = { total = 8 }
"""

NEVER_SCORED = ("ycors", "ycsrs")
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """Put the user's own folder where it is empty, and return it."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setattr(alliance.places, "user_folder", lambda: folder)
    return folder


def table_of(path):
    return tomllib.loads(path.read_text("utf-8"))


def texts_of(table):
    values = (value for name, value in table.items() if name != "scored")
    return [text for value in values for text in (value if isinstance(value, list) else [value])]


def test_the_register_is_not_empty():
    assert len(FILES) == len(held_forms()) >= 25


@every_file
def test_a_form_on_hold_has_exactly_the_fields_in_order_and_none_is_empty(path):
    table = table_of(path)
    needed = [field.name for field in fields(Held) if field.default is MISSING]
    assert list(table) == [*needed, *(["scored"] if path.stem in NEVER_SCORED else [])]
    assert {name for name, value in table.items() if isinstance(value, list)} == LISTS
    assert all(isinstance(table[name], str) for name in needed if name not in LISTS)
    assert all(table[name] for name in needed)
    assert table.get("scored", True) is (path.stem not in NEVER_SCORED)
    assert all(isinstance(text, str) and text for text in texts_of(table))


@every_file
def test_a_file_is_called_after_the_first_name_in_it(path):
    assert table_of(path)["ids"][0] == path.stem


@every_file
def test_names_are_lower_case_words_joined_by_hyphens(path):
    names = table_of(path)["ids"]
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []


def test_no_name_stands_for_two_forms():
    assert [name for name, n in Counter(IDS).items() if n > 1] == []
    assert sorted(BUNDLED.intersection(IDS)) == []


@every_file
def test_who_fills_it_in_and_what_it_measures_are_words_of_the_schema(path):
    table = table_of(path)
    raters = table["perspective"].split(", ")
    assert raters == [rater for rater in ("client", "therapist", "observer") if rater in raters]
    assert table["construct"] in CONSTRUCTS


@every_file
def test_the_reason_completes_the_sentence_it_stands_in(path):
    why = table_of(path)["why"]
    assert re.fullmatch(r"[a-z][^.;:!]*[\w']", why)
    assert re.search(r"\b(is|are|was|were)\b", why)
    assert len(why) <= 110


@every_file
def test_what_would_release_it_completes_the_sentence_it_stands_in(path):
    assert re.fullmatch(r"(?:[a-z]|PhenX ).*[^.!;:]", table_of(path)["release"])


@every_file
def test_texts_are_one_line_each_and_fit_a_table(path):
    texts = texts_of(table_of(path))
    assert [text for text in texts if re.search(r"\||\?|\s\s|\n|^\s|\s$", text)] == []


@every_file
def test_sources_are_told_in_words_not_in_codes(path):
    assert [text for text in texts_of(table_of(path)) if re.search(r"\b[SOP]\d{1,2}\b|\[", text)] == []


@every_file
def test_no_text_of_a_form_on_hold_gives_away_a_key(path):
    found = [text for text in texts_of(table_of(path)) if ITEM_RUN.search(text) or NAMED_ITEM.search(text)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("reverse 4 7 9", id="spaces"),
        pytest.param("scale A is 12, 13, 15 and 20", id="commas"),
        pytest.param("1,5,9", id="commas without spaces"),
        pytest.param("1 5 9 13 / 2 6 10 14", id="two scales"),
        pytest.param("7, 8 and 9 run the other way.", id="and"),
        pytest.param("item 3 is negative", id="one item"),
        pytest.param("items 30 to 32", id="a range of items"),
    ],
)
def test_a_key_would_be_noticed(text):
    assert ITEM_RUN.search(text) or NAMED_ITEM.search(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("24 items, 1 to 7, in four scales of 6", id="counts and range"),
        pytest.param("Journal 37(1), 85-95. doi:10.1017/S0033291706009299", id="a citation"),
        pytest.param("omega .97 and .95, alpha .86, .87 and .91", id="reliabilities"),
        pytest.param("papers of 2002, 2009 and 2014", id="years"),
        pytest.param("subscales of 6 + 3 + 3 items", id="counts that add up"),
    ],
)
def test_a_count_a_year_or_a_page_is_no_key(text):
    assert not ITEM_RUN.search(text)
    assert not NAMED_ITEM.search(text)


@pytest.mark.parametrize("name", IDS)
def test_a_form_on_hold_is_found_by_each_of_its_names_however_written(name):
    found = find_held(name)
    assert name in found.ids
    assert find_held(name.upper()) == find_held(name.title()) == found


@pytest.mark.parametrize("name", [*sorted(BUNDLED), "", "star p", "star-x", "held"])
def test_a_bundled_or_unknown_form_is_not_on_hold(name):
    assert find_held(name) is None


def test_the_forms_come_in_the_order_of_their_files_with_what_the_files_say():
    assert [held.ids[0] for held in held_forms()] == [path.stem for path in FILES]
    (star,) = (held for held in held_forms() if "star-p" in held.ids)
    assert star.ids == ("star", "star-p", "star-c")
    assert star.perspective == "client, therapist"
    assert "doi:10.1017/S0033291706009299" in star.citation
    assert isinstance(star.sources, tuple)


@pytest.mark.parametrize("name", NEVER_SCORED)
def test_nobody_is_told_to_score_what_is_never_scored(name):
    with pytest.raises(ScaleError) as refused:
        load_scale(name)
    assert str(refused.value).splitlines()[-1] == (
        f"hint: no definition can make a score of it; more: `alliance scales show {name}`"
    )


def test_using_a_form_on_hold_tells_why_not_and_the_way_out():
    with pytest.raises(ScaleError) as refused:
        load_scale("star-p")
    assert str(refused.value) == (
        "error: 'star-p' is on hold: its item numbers were not seen in any source\n"
        "  Scale to Assess Therapeutic Relationships, patient (STAR-P) and clinician (STAR-C)\n"
        "hint: if you own its manual, write a definition from it: `alliance scales new --id star-p`; "
        "more: `alliance scales show star-p`"
    )
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("name", IDS)
def test_every_name_on_hold_is_refused_with_its_own_reason(name, tmp_path):
    held = find_held(name)
    with pytest.raises(ScaleError) as refused:
        load_scale(name, folders=[tmp_path])
    assert str(refused.value) == str(refusal(held, name))
    assert f"error: '{name}' is on hold: {held.why}\n  {held.name}\n" in str(refused.value)


def test_ones_own_definition_wins_over_the_register(tmp_path):
    (tmp_path / "star-p.toml").write_text(OWN, encoding="utf-8")
    scale = load_scale("star-p", folders=[tmp_path])
    assert (scale.id, scale.n_items, scale.reverse) == ("star-p", 3, (3,))


def test_a_definition_in_ones_own_folder_wins_over_the_register(own_folder):
    (own_folder / "star-p.toml").write_text(OWN, encoding="utf-8")
    assert load_scale("star-p").name == "Three invented items"


def test_ones_own_definition_releases_no_other_name_of_the_family(tmp_path):
    (tmp_path / "star-p.toml").write_text(OWN, encoding="utf-8")
    with pytest.raises(ScaleError, match=r"^error: 'star-c' is on hold: its item numbers were not seen"):
        load_scale("star-c", folders=[tmp_path])


def test_a_name_in_capitals_is_answered_with_the_id_a_definition_can_have():
    with pytest.raises(ScaleError) as caught:
        load_scale("STAR-P")
    assert "`alliance scales new --id star-p`; more: `alliance scales show star-p`" in str(caught.value)
