"""What is cited: nothing made up, keys that stay, and a paragraph whose numbers are those of the manifest."""

import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from readers_helpers import DEMO

from alliance import __version__
from alliance.citations import (
    MARKUPS,
    bibliography,
    method_entries,
    methods_text,
    parse_manifest,
    scale_entry,
    scales_of,
    software_entry,
)
from alliance.citations.bibtex import escaped
from alliance.errors import DataError
from alliance.places import bundled
from alliance.rupture import METHODS
from alliance.scale import find_scales, load_scale

GOLDEN = Path(__file__).parent / "golden" / "citations"
SCALES = {name: load_scale(name) for name in find_scales()}
METHOD = {
    "name": "cusum",
    "online": True,
    "source": "Page (1954), https://doi.org/10.1093/biomet/41.1-2.100; spread shrunk as in Smyth (2004)",
    "score": "total",
    "direction": "fall",
    "settings": {"k": 0.5, "in_time": 3},
    "norm": {"sd": 0.9, "reliability": 0.84, "source": "a_b & c", "status": "published"},
    "within_sd": 0.25,
    "chance": {
        "n_series": 40, "observed": 0.25, "expected": 0.0697, "low": 0.0, "high": 0.1613,
        "replicates": 475, "finding": "rupture",
    },
}  # fmt: skip
MANIFEST = {
    "alliance_version": "0.1.0",
    "schema": 1,
    "inputs": [{"name": "study_1.csv", "bytes": 7, "sha256": "ab12"}],
    "read_options": {
        "mapping": {"missing": ["-9"], "keep": "first"}, "missing": ["99"], "on_error": "drop",
        "keep": None, "unfinished": "drop",
    },
    "scales": [
        {"id": "srs", "status": "verified", "sha256": SCALES["srs"].sha256, "n_forms": 12},
        {"id": "wai-tech-sf", "status": "provisional", "sha256": SCALES["wai-tech-sf"].sha256, "n_forms": 30},
    ],
    "methods": [METHOD, {**METHOD, "name": "level-shift", "online": False, "settings": {}, "norm": None,
                         "within_sd": None, "chance": None, "source": METHODS["level-shift"].source}],
    "risk": {
        "rules": "DRF-1", "instrument": {"scale": "srs", "cutoff": 36.0}, "norms": {"n": 1},
        "levels": {"REVIEW": 1, "INSUFFICIENT_DATA": 31}, "today": "2026-03-02",
        "model": {"sha256": "cd34", "status": "exploratory", "created": "2026-01-01"},
    },
    "counts": {"cases": 40, "forms": 42},
    "synthetic": True,
}  # fmt: skip


def changed(**fields):
    return {**copy.deepcopy(MANIFEST), **fields}


def prose(manifest, markup="markdown"):
    scales = {each["id"]: SCALES[each["id"]] for each in manifest["scales"]}
    return methods_text(manifest, scales, MARKUPS[markup])


def refusal(text, origin="manifest.json"):
    with pytest.raises(DataError) as caught:
        parse_manifest(text if isinstance(text, str) else json.dumps(text), origin=origin)
    return str(caught.value)


# BibTeX


@pytest.mark.parametrize(
    ("citation", "kind", "key", "fields"),
    [
        pytest.param(
            "Hatcher & Gillaspy (2006). Psychotherapy Research 16(1), 12-25.",
            "article",
            "hatcher-2006-16-12",
            {
                "author": "Hatcher and Gillaspy",
                "year": "2006",
                "journal": "Psychotherapy Research",
                "volume": "16",
                "number": "1",
                "pages": "12--25",
            },
            id="an article",
        ),
        pytest.param(
            "Gilbert et al. (2017). Journal of Compassionate Health Care 4, 4.",
            "article",
            "gilbert-2017-4-4",
            {
                "author": "Gilbert and others",
                "year": "2017",
                "journal": "Journal of Compassionate Health Care",
                "volume": "4",
                "pages": "4",
            },
            id="others, no number, one page",
        ),
        pytest.param(
            "Østergaard, Van Gucht & Löwe (2015). Acta 3, 1-2.",
            "article",
            "ostergaard-2015-3-1",
            {
                "author": "Østergaard and {Van Gucht} and Löwe",
                "year": "2015",
                "journal": "Acta",
                "volume": "3",
                "pages": "1--2",
            },
            id="letters of other alphabets, a surname of two words",
        ),
        pytest.param("Neff (2003), manual.", "misc", "scale-demo", None, id="no journal"),
        pytest.param(
            "A (2003). Acta 3, 1-2. B (2004). Acta 4, 5-6.", "misc", "scale-demo", None, id="two works"
        ),
        pytest.param("WHO (2003). Acta 3, 1-2.", "misc", "scale-demo", None, id="no surname"),
        pytest.param("Neff (2003). Acta 3, 1-2. Revised.", "misc", "scale-demo", None, id="more behind it"),
        pytest.param("As in Neff (2003). Acta 3, 1-2.", "misc", "scale-demo", None, id="more before it"),
    ],
)
def test_a_citation_is_taken_apart_only_where_it_is_one_article(citation, kind, key, fields):
    entry = scale_entry(replace(DEMO, citation=citation))
    assert (entry.kind, entry.key) == (kind, key)
    assert entry.fields == (fields or {"title": "Demonstration form (3 items)", "note": citation})


def test_a_doi_is_that_of_the_definition():
    assert scale_entry(load_scale("wai-sr")).fields["doi"] == "10.1080/10503300500352500"
    assert scale_entry(load_scale("bsi-18")).fields["doi"] == "10.1186/s12874-016-0283-3"
    assert "doi" not in scale_entry(load_scale("ors")).fields


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.id)
def test_nothing_is_in_an_entry_that_is_not_in_the_definition(scale):
    fields = dict(scale_entry(scale).fields)
    said = f"{scale.citation} {scale.doi} {scale.name}"
    for word in re.findall(r"\w+", " ".join(fields.values())):
        assert word in {"and", "others"} or word in said


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_nothing_is_in_an_entry_that_is_not_in_the_source_of_the_method(method):
    for entry in method_entries(method.name, method.source):
        for name, text in entry.fields.items():
            words = [] if name == "title" else re.findall(r"\w+", text)
            assert {word for word in words if word not in method.source} <= {"and", "others"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param(
            "criterion of Jacobson & Truax (1991), https://doi.org/10.1037/0022-006X.59.1.12, on two",
            [
                (
                    "jacobson-1991",
                    {"author": "Jacobson and Truax", "year": "1991", "doi": "10.1037/0022-006X.59.1.12"},
                )
            ],
            id="words around the work",
        ),
        pytest.param(
            "optimal, Killick & Eckley (2012); MBIC, Zhang et al. (2007), https://doi.org/10.1111/x_y",
            [
                ("killick-2012", {"author": "Killick and Eckley", "year": "2012"}),
                ("zhang-2007", {"author": "Zhang and others", "year": "2007", "doi": "10.1111/x_y"}),
            ],
            id="two works, an abbreviation is no author",
        ),
        pytest.param(
            "OpenFIT, table, https://a.example/b_c",
            [
                (
                    "method-demo",
                    {
                        "title": "Rupture method demo",
                        "note": "OpenFIT, table, https://a.example/b_c",
                        "url": "https://a.example/b_c",
                    },
                )
            ],
            id="no work",
        ),
        pytest.param(
            "own work",
            [("method-demo", {"title": "Rupture method demo", "note": "own work"})],
            id="no address",
        ),
    ],
)
def test_works_are_taken_from_the_source_of_a_method(source, found):
    assert [(entry.key, dict(entry.fields)) for entry in method_entries("demo", source)] == found


def test_one_key_is_one_work():
    entries = [scale_entry(scale) for scale in SCALES.values()]
    entries += [entry for each in METHODS.values() for entry in method_entries(each.name, each.source)]
    by_key = {}
    for entry in entries:
        by_key.setdefault(entry.key, []).append(entry)
    for key, same in by_key.items():
        first = {entry.fields.get("author", "").split(" and ")[0] for entry in same}
        dois = {entry.fields["doi"] for entry in same if "doi" in entry.fields}
        assert len(first) == 1, key
        assert len(dois) <= 1, key
        assert re.fullmatch(r"[a-z0-9-]+", key)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a & b", r"a \& b"),
        ("50 %", r"50 \%"),
        ("q_1 #2 $3", r"q\_1 \#2 \$3"),
        ("{x}", r"\textbraceleft{}x\textbraceright{}"),
        ("a{b", r"a\textbraceleft{}b"),
        ("\\x ~ ^", r"\textbackslash{}x \textasciitilde{} \textasciicircum{}"),
        ("Löwe, Ø", "Löwe, Ø"),
    ],
)
def test_what_latex_would_obey_is_escaped(text, written):
    assert escaped(text) == written
    assert written.count("{") == written.count("}")


def test_a_doi_stays_as_it_is_and_a_note_does_not():
    scale = replace(DEMO, citation="50 % & a_b {c", doi="10.1/a_b")
    assert str(scale_entry(scale)) == (
        "@misc{scale-demo,\n"
        "  title = {{Demonstration form (3 items)}},\n"
        "  note  = {50 \\% \\& a\\_b \\textbraceleft{}c},\n"
        "  doi   = {10.1/a_b},\n"
        "}\n"
    )


def test_the_software_is_cited_in_its_version():
    assert str(software_entry("9.8")).startswith(
        "@misc{alliance,\n  author  = {{The alliance developers}},\n  title   = {{alliance 9.8}},\n"
    )


def test_two_entries_of_one_work_become_one_with_all_authors_and_the_doi():
    short = replace(DEMO, citation="Luborsky et al. (1996). Acta 5(3), 260-271.", doi="10.1/x")
    long = replace(DEMO, citation="Luborsky, Barber & Daley (1996). Acta 5(3), 260-271.")
    for order in ([short, long], [long, short]):
        text = bibliography(map(scale_entry, order))
        assert text.count("@article") == 1
        assert "author  = {Luborsky and Barber and Daley}" in text
        assert "doi     = {10.1/x}" in text


def test_the_bibliography_of_everything_looks_as_it_did():
    chosen = ["wai-sr", "raes", "bsi-18", "srs", "wai", "wai-therapist"]
    entries = [scale_entry(SCALES[name]) for name in chosen if name in SCALES]
    entries += [entry for each in METHODS.values() for entry in method_entries(each.name, each.source)]
    assert bibliography(entries) == (GOLDEN / "works.bib").read_text(encoding="utf-8")


# The paragraph


@pytest.mark.parametrize(("markup", "suffix"), [("markdown", "md"), ("latex", "tex")])
def test_the_paragraph_looks_as_it_did(markup, suffix):
    assert prose(MANIFEST, markup) == (GOLDEN / f"methods.{suffix}").read_text(encoding="utf-8")


def test_every_number_of_the_paragraph_is_in_the_manifest_or_the_definitions():
    known = json.dumps(MANIFEST) + "".join(SCALES[each["id"]].name for each in MANIFEST["scales"])
    derived = {"10", "25", "7", "16", "95", "256"}
    cited = re.sub(r"\[@[^\]]*\]", "", prose(MANIFEST))
    for number in re.findall(r"\d+(?:\.\d+)?", cited):
        assert number in known or number in derived, number


def test_every_key_of_the_paragraph_is_in_the_bibliography(command, tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(MANIFEST), encoding="utf-8")
    works = command("cite", path).out
    keys = re.findall(r"@([a-z0-9-]+)", command("cite", path, "--format", "markdown").out)
    assert set(keys) == set(re.findall(r"^@\w+\{([^,]+),", works, re.MULTILINE))
    latex = command("cite", path, "--format", "latex").out
    assert {key for group in re.findall(r"\\cite\{([^}]*)\}", latex) for key in group.split(",")} == set(keys)


def test_a_provisional_key_is_said_to_be_provisional():
    text = prose(MANIFEST)
    assert "[@herrero-2020-17-6169] were scored with a provisional key.\n" in text
    assert "The key was not confirmed by its sources, and scores may change with it.\n" in text
    assert text.count("provisional") == 1
    assert "[@duncan-2003-3-3] were scored with a verified key.\n" in text


def test_what_was_not_done_is_not_said():
    risk = {**MANIFEST["risk"], "levels": {}}
    text = prose(changed(read_options={}, synthetic=False, methods=[], risk=risk))
    for word in ("synthetic", "stood for", "left out", "kept", "method", "risk", "model"):
        assert word not in text
    risk = {**MANIFEST["risk"], "model": None, "norms": None, "today": None,
            "instrument": {"scale": "srs", "cutoff": None}}  # fmt: skip
    text = prose(changed(risk=risk))
    assert "Early dropout risk was listed by the rules DRF-1: 1 REVIEW, 31 INSUFFICIENT DATA.\n" in text
    assert "The rules used `srs` with no cut-off and no local norms.\n" in text
    assert "model" not in text


def test_how_many_unanswered_items_a_score_tolerates_is_told_with_the_rule_of_the_definition():
    scales = [{"id": "core-om", "status": "verified", "sha256": "", "n_forms": 1}]
    text = prose(changed(scales=scales))
    assert "is missing (up to 3 unanswered items of 34 in the total (a public implementation)" in text
    assert "A score with more unanswered items than its key allows, " in text


def test_names_that_markup_would_read_are_escaped():
    inputs = [{"name": "a_b*[c]@d & 50 %.csv", "sha256": "ab"}]
    assert r"The SHA-256 checksum of a\_b\*\[c\]\@d & 50 %.csv is `ab`." in prose(changed(inputs=inputs))
    assert r"checksum of a\_b*[c]@d \& 50 \%.csv is \texttt{ab}." in prose(changed(inputs=inputs), "latex")


# Manifests that are none


def test_a_manifest_of_an_analysis_is_read():
    assert parse_manifest(json.dumps(MANIFEST), origin="manifest.json") == MANIFEST


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("case,session", id="no JSON"),
        pytest.param("[1]", id="a list"),
        pytest.param('{"alliance_prior": 1, "form": "srs"}', id="a prior"),
        pytest.param('{"schema": 1, "bundle": {}}', id="a model"),
        pytest.param("[" * 100_000, id="too deep"),
    ],
)
def test_a_file_of_another_kind_is_refused(text):
    assert refusal(text, origin="x.json") == (
        "error: 'x.json' is no manifest of an analysis\n"
        "hint: give the manifest.json that `alliance analyze` writes"
    )


def test_a_manifest_of_another_version_is_refused():
    assert refusal(changed(schema=2)) == (
        "error: 'manifest.json' has schema 2, not 1\n"
        "hint: another version of alliance wrote it: cite with that one"
    )


def test_a_manifest_that_was_changed_is_refused_with_every_breach():
    broken = changed(counts={"cases": "40"}, synthetic=None)
    broken["methods"][0].pop("online")
    broken["methods"][0]["chance"]["low"] = "0"
    broken["scales"][1] = 7
    broken["risk"]["levels"] = {"REVIEW": "one"}
    broken["risk"]["model"] = {"sha256": "x", "status": "y"}
    assert refusal(broken) == (
        "error: 'manifest.json' is no whole manifest\n"
        "  synthetic is missing, or of another kind\n"
        "  scales 2: must be a table\n"
        "  methods 1: online is missing, or of another kind\n"
        "  methods 1: chance: low is missing, or of another kind\n"
        "  counts: cases is missing, or of another kind\n"
        "  and 3 more\n"
        "hint: give the manifest.json that `alliance analyze` writes"
    )


def test_a_definition_that_is_not_the_one_of_the_analysis_is_refused():
    other = changed(scales=[{**MANIFEST["scales"][0], "sha256": "00"}, MANIFEST["scales"][1]])
    with pytest.raises(DataError) as caught:
        scales_of(other, SCALES.__getitem__)
    assert str(caught.value) == (
        "error: a definition is not the one of the manifest\n  srs\n"
        "hint: give the folder of that definition with --scales, or run the analysis again"
    )
    assert list(scales_of(MANIFEST, SCALES.__getitem__)) == ["srs", "wai-tech-sf"]


# The command


def test_a_real_analysis_is_cited(command, tmp_path):
    study = bundled("data") / "srs-ors-clinic.csv"
    command("analyze", study, "-o", tmp_path / "out", "--method", "cusum")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    done = command("cite", tmp_path / "out" / "manifest.json", "--format", "markdown")
    assert (done.code, done.err) == (0, "")
    first = done.out.splitlines()[0]
    assert first == f"280 forms of 12 cases were analysed with alliance {__version__} [@alliance]."
    assert f"is `{manifest['inputs'][0]['sha256']}`.\n" in done.out
    works = command("cite", tmp_path / "out" / "manifest.json").out
    assert re.findall(r"^@\w+\{([^,]+),", works, re.MULTILINE) == [
        "alliance", "duncan-2003-3-3", "miller-2003-2-91", "page-1954", "smyth-2004",
    ]  # fmt: skip


def test_forms_and_methods_are_cited_without_an_analysis(command):
    done = command("cite", "--scale", "wai-tech-sf", "--method", "run-length")
    assert done.code == 0
    assert re.findall(r"^@\w+\{([^,]+),", done.out, re.MULTILINE) == [
        "alliance", "herrero-2020-17-6169", "adams-2007",
    ]  # fmt: skip
    assert done.err == ("note: the key of 'wai-tech-sf' is provisional; say so where its scores are used\n")


def test_nothing_named_cites_the_software(command):
    assert command("cite").out == str(software_entry())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("--scale", "srs", "--format", "latex"),
            "error: --format latex tells of an analysis\n"
            "hint: give its manifest.json, or use --format bibtex\n",
            id="a paragraph without an analysis",
        ),
        pytest.param(
            ("manifest.json", "--scale", "srs"),
            "error: a manifest names its own forms and methods\n"
            "hint: leave out --scale and --method, or the manifest\n",
            id="a manifest and a form",
        ),
    ],
)
def test_what_cannot_be_cited_together_is_a_mistake_of_usage(command, arguments, message):
    done = command("cite", *arguments)
    assert (done.code, done.err) == (2, message)


def test_a_manifest_that_is_not_there_is_told(command, tmp_path):
    done = command("cite", tmp_path / "none.json")
    assert (done.code, done.err) == (
        5, f"error: cannot read '{tmp_path / 'none.json'}': No such file or directory\n"
        "hint: check the name and the folder\n",
    )  # fmt: skip
