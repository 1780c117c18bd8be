"""The report of a fitted model: every number in words and tables, nothing given away, nothing pretended."""

import copy
import json
import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from test_report import CHROMIUM, HOSTILE, Outline, browse, colours, contrast

from alliance.report import curves, figures, fitted, leaving
from alliance.report.blocks import Charts, Formula, Link, Table
from alliance.report.probast import DOMAINS, questions
from alliance.report.tripod import AUTHORS, HERE, LATER, PART, items
from alliance.report.validation import CLOSING, USE, page, parts, summary_text

HERE_FOLDER = Path(__file__).parent
BUNDLE = json.loads((HERE_FOLDER / "reference" / "bundle.json").read_text(encoding="utf-8"))
"""An invented model with an invented validation; no number in it was computed from anything."""
GOLDEN = HERE_FOLDER / "golden" / "model.txt"
NA = None


def bundle(**changes):
    """The invented bundle with some keys replaced."""
    return {**copy.deepcopy(BUNDLE), **changes}


def unvalidated():
    return bundle(validation=None, fairness=None, gates=[], status="exploratory", threshold=None)


def with_tested(**changes):
    """The invented bundle with some keys of its validation replaced."""
    return bundle(validation={**copy.deepcopy(BUNDLE["validation"]), **changes})


def validated():
    gates = [{**gate, "passed": True} for gate in BUNDLE["gates"]]
    return bundle(status="validated", gates=gates)


def hollow(value):
    """The same bundle with every number null."""
    if isinstance(value, dict):
        return {key: hollow(each) for key, each in value.items()}
    if isinstance(value, list):
        return [hollow(each) for each in value]
    return None if isinstance(value, int | float) and not isinstance(value, bool) else value


def poisoned(value):
    """The same bundle with every text hostile."""
    if isinstance(value, dict):
        return {key: poisoned(each) for key, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each) for each in value]
    return HOSTILE if isinstance(value, str) else value


def words_of(text):
    return " ".join("".join(Outline(text).text).split())


def section(found, anchor):
    return next(each for each in parts(found) if each.id == anchor)


def tables(found, anchor):
    """Every table of a section, also those behind its charts."""
    result = []
    for block in section(found, anchor).blocks:
        if isinstance(block, Table):
            result.append(block)
        if isinstance(block, Charts):
            result += [table for chart in block.charts for table in (chart.table, *chart.more)]
    return result


def texts(found, anchor):
    """Everything a section says outside its tables."""
    said = []
    for block in section(found, anchor).blocks:
        said += [getattr(block, "text", ""), *getattr(block, "items", ()), *getattr(block, "lines", ())]
    return " ".join(said)


# the page as a page


@pytest.fixture(scope="module")
def shown():
    return page(BUNDLE)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(BUNDLE, id="validated data"),
        pytest.param(unvalidated(), id="fitted only"),
        pytest.param(hollow(BUNDLE), id="every number null"),
        pytest.param({}, id="nothing at all"),
        pytest.param(poisoned(BUNDLE), id="hostile text"),
    ],
)
def test_every_page_parses_and_every_link_and_label_has_its_target(found):
    outline = Outline(page(found))
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    named = {name for names in outline.names for name in names.split()}
    assert {link.removeprefix("#") for link in outline.links} | named <= set(outline.ids)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(outline.headings))


def test_the_page_refers_to_nothing_outside_itself(shown):
    assert not re.search(
        r"https?:|//|url\(|@import|<(script|img|iframe|object|embed|link|base|form)\b| on\w+=", shown
    )
    assert "default-src 'none'; style-src 'unsafe-inline'" in shown


def test_hostile_text_is_shown_and_never_executed():
    text = page(poisoned(BUNDLE))
    assert not {"script", "red"} & set(Outline(text).tags)
    assert "".join(Outline(text).text).count(HOSTILE) >= 30


def test_control_characters_do_not_reach_the_page():
    text = page(bundle(limits=["one\x00 \x1b[31msite\u202e"]))
    assert "<li>one [31msite</li>" in text


def test_equal_bundles_give_equal_bytes(shown):
    assert page(bundle()) == shown
    assert page(bundle(created="2026-11-25")) != shown


@pytest.mark.parametrize("start", [":root", "prefers-color-scheme: dark"])
def test_light_and_dark_have_their_own_colours_that_stand_out(shown, start):
    found = colours(shown, start)
    pairs = [(ink, "page") for ink in ("ink", "soft", "link", "client", "other", "repair")]
    faint = [pair for pair in [*pairs, ("ink", "panel")] if contrast(found[pair[0]], found[pair[1]]) < 4.5]
    assert faint == []


def test_the_page_shares_the_style_of_the_study_report(shown):
    from test_report import example
    from test_report import page as study_page

    style = re.search(r"<style>\n(.*?)</style>", study_page(example()), re.DOTALL).group(1)
    assert style in shown


def test_every_chart_has_a_title_a_text_a_key_and_its_numbers(shown):
    n_charts = shown.count('role="img"')
    assert n_charts == 7
    for part in ("<title id=", "<desc id=", "<details>", '<ul class="keys">'):
        assert shown.count(part) == n_charts


def test_every_axis_of_every_chart_is_named(shown):
    drawings = [
        chart.drawing
        for each in parts(BUNDLE)
        for block in each.blocks
        if isinstance(block, Charts)
        for chart in block.charts
    ]
    assert [(each.x_label, each.y_label) for each in drawings] == [
        ("forecast hazard", "dropouts observed"),
        ("session", "AUC within the session"),
        ("threshold: hazard from which a case is flagged", "net benefit for each row"),
        ("clients fitted on", "AUC on cases left out"),
        ("session", "dropouts for each session at risk"),
        ("session", "not dropped out"),
        ("session", "share of all cases"),
    ]
    assert all(each.x_ticks and each.y_ticks and each.description for each in drawings)


def test_the_page_ends_with_its_use_and_the_two_sentences(shown):
    said = words_of(shown)
    assert said.endswith(f"{USE} {CLOSING}")
    assert CLOSING == "NO_FLAG does not mean low risk. Most clients flagged do not drop out."
    assert words_of(page({})).endswith(CLOSING)


def test_no_client_and_no_therapist_is_listed(shown):
    assert "No therapist is compared with another" in shown
    assert not re.search(r"therapist (?:\d|T\d)", shown)


# every number


def numbers_of(value, path=()):
    """Every number of a bundle with where it stands."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from numbers_of(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from numbers_of(each, (*path, place))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def written(value):
    """The ways a number may stand on the page, made by hand apart from the code under test."""
    ways = {f"{value:.{digits}f}" for digits in range(2, 6)} | {f"{value:,.0f}", f"{value:.6g}"}
    return ways | {f"{100 * value:.{digits}f} %" for digits in range(3)} | {f"{value:+.3f}", f"{value:+.5f}"}


SMALL_OR_POOLED = {"at_risk", "events", "n", "hazard", "se_hazard", "survival", "dropout", "other", "session"}


def test_every_number_of_the_validation_stands_on_the_page(shown):
    said = words_of(shown)
    missing = [
        (path, value)
        for path, value in numbers_of(BUNDLE["validation"])
        if path[0] not in {"life_table", "incidence", "per_session", "n_failed"}
        and not any(way in said for way in written(value))
    ]
    assert missing == []


def test_every_number_of_the_model_stands_on_the_page(shown):
    said = words_of(shown)
    for key in ("reference", "intercept", "terms", "landmark", "competing", "threshold", "training"):
        for path, value in numbers_of(BUNDLE[key]):
            if path[0] != "n_excluded" and path[-1] not in {"low", "high"}:
                assert any(way in said for way in written(value)), (key, path, value)


def test_every_table_of_a_section_stands_on_the_page(shown):
    captions = [table.caption for each in parts(BUNDLE) for table in tables(BUNDLE, each.id)]
    assert len(captions) > 20
    said = words_of(shown)
    assert [caption for caption in captions if caption not in said] == []


def test_null_numbers_are_told_as_not_enough_data():
    said = words_of(page(hollow(BUNDLE)))
    assert not re.search(r"\bnan\b|\binf\b", said.lower())
    assert "None" not in said
    assert said.count("not enough data") > 60


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_any_part_may_be_null_and_the_page_still_stands(data):
    found = bundle()
    holder, key = found, data.draw(st.sampled_from(sorted(found)))
    while isinstance(holder[key], dict | list) and len(holder[key]) and data.draw(st.booleans()):
        holder = holder[key]
        key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    number = isinstance(holder[key], float)
    holder[key] = data.draw(st.sampled_from([None, math.nan, math.inf])) if number else None
    assert Outline(page(found)).open == []
    assert len(summary_text(found).splitlines()) <= 40


# verdict and gates


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(
            validated(), "Validated: every gate is passed, so the model may order the triage list.", id="all"
        ),
        pytest.param(
            BUNDLE,
            "Exploratory: gates not passed: G1, G7. The model may be shown, and orders nothing.",
            id="two",
        ),
        pytest.param(
            unvalidated(),
            "Exploratory: fitted, not validated yet. It may be shown, and orders nothing.",
            id="fitted only",
        ),
        pytest.param(
            bundle(status="validated", gates=[{"id": "G1", "passed": True}, {"id": "G7", "passed": None}]),
            "Validated: no gate failed, so the model may order the triage list; not yet tried: G7.",
            id="one not tried",
        ),
        pytest.param(
            bundle(status="validated"),
            "Exploratory: gates not passed: G1, G7. The model may be shown, and orders nothing.",
            id="a status that a failed gate belies",
        ),
        pytest.param(
            {**validated(), "status": "exploratory"},
            "Exploratory: put out of use though it had passed its gates; the limits say why.",
            id="put out of use",
        ),
        pytest.param(
            bundle(status="exploratory", gates=[]),
            "Exploratory: gates not passed: none recorded. The model may be shown, and orders nothing.",
            id="no gates",
        ),
    ],
)
def test_the_verdict_follows_the_truth_table(found, said):
    assert fitted.verdict(found) == said
    text = page(found)
    status = said.split(":")[0].lower()
    assert f'class="verdict {status}"' in text
    assert said in text


def test_each_gate_that_is_not_passed_has_a_way_out():
    gates = [{"id": f"G{i}", "asks": "much", "found": "little", "passed": False} for i in range(1, 8)]
    said = next(b.items for b in section(bundle(gates=gates), "verdict").blocks if hasattr(b, "items"))
    assert len(said) == 7
    for i, line in enumerate(said, 1):
        assert line.startswith(f"G{i}, failed: asks much; found little. ")
        assert len(line) > len(f"G{i}, failed: asks much; found little. ") + 30


def test_the_gates_are_listed_with_their_answers():
    (table,) = tables(BUNDLE, "gates")
    assert [row[0] for row in table.rows] == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
    assert [row[3] for row in table.rows] == ["failed", *["passed"] * 5, "not enough data"]


def test_a_model_that_was_only_fitted_says_so_and_shows_its_terms():
    text = page(unvalidated())
    said = words_of(text)
    assert "not validated yet" in said
    assert "No gate was tried" in said
    assert text.count('role="img"') == 0
    assert "-0.711 [-0.910, -0.513]" in said


# terms and formula


def test_a_term_is_told_in_words_and_numbers():
    # By hand: exp(-.450118) = .6376; -.450118 -+ 1.96 * .082341 = -.6115, -.2887; exp .5425, .7492.
    row = tables(BUNDLE, "terms")[0].rows[1]
    assert row == (
        "mean rating so far",
        "lowers the risk",
        "2.92 points higher (one SD)",
        "0.64 [0.54, 0.75]",
        "-0.450 [-0.612, -0.289]",
        "0.082",
        "29.10 to 40.00",
    )


@pytest.mark.parametrize(
    ("coef", "se", "said"),
    [
        pytest.param(0.5, 0.25, "raises the risk", id="just certain"),
        pytest.param(0.5, 0.2552, "raises the risk; the other way not ruled out", id="just uncertain"),
        pytest.param(-0.5, 0.25, "lowers the risk", id="the other sign"),
        pytest.param(
            -0.5, 0.3, "lowers the risk; the other way not ruled out", id="the other sign, uncertain"
        ),
        pytest.param(0.5, NA, "raises the risk; how surely is not known", id="no standard error"),
        pytest.param(0.0, 0.1, "changes nothing; the other way not ruled out", id="nothing"),
        pytest.param(NA, 0.1, "not enough data", id="no coefficient"),
    ],
)
def test_the_direction_of_a_term_follows_the_truth_table(coef, se, said):
    assert fitted.direction({"coef": coef, "se": se}) == said


def test_ratios_are_named_by_the_link():
    assert "Odds ratio per unit, 95 %" in tables(BUNDLE, "terms")[0].head
    assert "Hazard ratio per unit, 95 %" in tables(bundle(link="cloglog"), "terms")[0].head


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ({"name": "log_session", "scale": 1.0}, "one unit of ln(session), about 2.7 times as many sessions"),
        ({"name": "session", "scale": 4.2}, "4.2 sessions more"),
        ({"name": "session_squared", "scale": 4.2}, "one unit of the square"),
        ({"name": "session_4", "scale": 1.0}, "after session 4, against the first"),
        ({"name": "change", "scale": 2.9}, "2.9 points above the mean of the earlier ratings (one SD)"),
        ({"name": "missing", "scale": 1.0}, "no rating, against a rating"),
        ({"name": "distress", "scale": 6.5}, "6.5 more"),
        ({"name": "distress_missing", "scale": 1.0}, "not recorded, against recorded"),
    ],
)
def test_the_unit_of_a_term_is_named(term, said):
    assert fitted.unit(term) == said


def test_the_formula_holds_every_number():
    lines = section(BUNDLE, "equation").blocks[1].lines
    assert lines == (
        "linear = -2.68892",
        "         - 0.711432 * log_session",
        "         - 0.450118 * level",
        "         - 0.383906 * change",
        "         + 0.994871 * no_shows",
        "         + 0.289334 * missing",
        "hazard = 1 / (1 + exp(-linear))",
    )
    assert section(BUNDLE, "equation").blocks[2].lines == (
        "log_session = ln(number of sessions attended)",
        "level = (mean of all ratings so far - 36.5812) / 2.91735; 0 if there is none",
        "change = (latest rating less the mean of the earlier ones) / 2.91735; 0 if there is none of either",
        "no_shows = appointments missed without notice since the session before, at most 2",
        "missing = 1 if this session has no rating, else 0",
    )


def test_the_worked_example_is_right():
    # By hand: -2.688917 - .711432 ln 2 + .450118 + .8 * .383906 = -2.424801; 1 / (1 + e^2.424801) = .081301.
    lines = section(BUNDLE, "equation").blocks[5].lines
    assert [line.split() for line in lines] == [
        ["intercept", "-2.68892"],
        ["log_session", "0.693147", "-0.493127"],
        ["level", "-1", "0.450118"],
        ["change", "-0.8", "0.307125"],
        ["no_shows", "0", "0"],
        ["missing", "0", "0"],
        ["linear", "-2.4248"],
        ["hazard", "0.0813009"],
    ]


def example_of(terms, link="logit"):
    found = bundle(terms=terms, link=link, intercept={"coef": -2.0}, reference={"mean": 30.0, "sd": 5.0})
    formulas = [block for block in section(found, "equation").blocks if isinstance(block, Formula)]
    return formulas[1].lines, [line.split() for line in formulas[2].lines]


def test_powers_of_the_session_are_taken_after_scaling():
    # Session 2, centre 6, scale 4: -1, its square 1, its cube -1.
    terms = [
        {"name": "session", "coef": -0.5, "centre": 6.0, "scale": 4.0},
        {"name": "session_squared", "coef": 0.25, "centre": 6.0, "scale": 4.0},
        {"name": "session_cubed", "coef": 0.1, "centre": 6.0, "scale": 4.0},
    ]
    meanings, lines = example_of(terms, link="cloglog")
    assert meanings == (
        "session = (number of sessions attended - 6) / 4",
        "session_squared = ((number of sessions attended - 6) / 4)^2",
        "session_cubed = ((number of sessions attended - 6) / 4)^3",
    )
    # -2 + .5 + .25 - .1 = -1.35; 1 - exp(-exp(-1.35)) = 1 - exp(-.25924) = .22836
    assert lines[1:4] == [
        ["session", "-1", "0.5"],
        ["session_squared", "1", "0.25"],
        ["session_cubed", "-1", "-0.1"],
    ]
    assert lines[4] == ["linear", "-1.35"]
    assert float(lines[5][1]) == pytest.approx(0.228363, abs=5e-6)


def test_a_session_without_a_term_of_its_own_counts_as_the_last_one_before_it():
    terms = [{"name": "session_2", "coef": 0.5}, {"name": "session_3", "coef": 0.7}]
    meanings, lines = example_of(terms)
    assert meanings == (
        "session_2 = 1 after session 2, else 0",
        "session_3 = 1 after session 3 or any later one, else 0",
    )
    assert lines[1:3] == [["session_2", "1", "0.5"], ["session_3", "0", "0"]]
    assert example_of([{"name": "session_3", "coef": 0.7}])[1][1] == ["session_3", "0", "0"]


def test_a_covariate_is_scaled_and_stands_at_its_mean_in_the_example():
    term = {"name": "distress", "words": "distress", "coef": 0.3, "centre": 12.5, "scale": 4.0}
    meanings, lines = example_of([term])
    assert meanings == ("distress = (distress - 12.5) / 4; 0 if not recorded",)
    assert lines[1] == ["distress", "0", "0"]


def test_the_formula_of_cloglog_is_its_own():
    lines = section(bundle(link="cloglog"), "equation").blocks[1].lines
    assert lines[-1] == "hazard = 1 - exp(-exp(linear))"


def test_the_risk_of_the_next_sessions_and_other_ends_have_their_formulas():
    labels = [block.label for block in section(BUNDLE, "equation").blocks if isinstance(block, Formula)]
    assert labels[3:] == [
        "Risk of dropout within the next 3 sessions",
        "Hazard of another end before the next session",
    ]
    bare = bundle(landmark=None, competing=None)
    assert sum(isinstance(block, Formula) for block in section(bare, "equation").blocks) == 3


# performance


def test_the_headline_and_the_pooled_auc_stand_apart_with_the_reason():
    table = tables(BUNDLE, "performance")[0]
    assert table.rows[0] == (
        "AUC within sessions (headline)",
        "0.689",
        "+0.007",
        "0.682",
        "0.678 [0.649, 0.707]",
        "0.5 is chance, 1 is perfect",
    )
    assert table.rows[1][:5] == (
        "AUC over all rows (pooled)",
        "0.734",
        "+0.006",
        "0.727",
        "0.723 [0.699, 0.747]",
    )
    assert "differ because dropout is likelier early" in texts(BUNDLE, "performance")
    assert len(table.rows) == 11


def test_the_rules_stand_beside_the_model_on_the_same_rows():
    table = tables(BUNDLE, "performance")[1]
    assert table.rows == (
        ("AUC within sessions", "0.678 [0.649, 0.707]", "0.612"),
        ("AUC over all rows", "0.723", "0.640"),
        ("Rows flagged", "20.0 %", "23.9 %"),
        ("Sensitivity", "44.9 %", "42.6 %"),
        ("Specificity", "80.9 %", "77.5 %"),
        ("PPV", "8.2 %", "12.6 %"),
        ("Net benefit", "0.00763", "0.00420"),
    )


def test_the_risk_of_the_next_sessions_is_judged_if_it_was_tested():
    assert tables(BUNDLE, "performance")[2].rows[0] == ("AUC within sessions (headline)", "0.663")
    assert len(tables(with_tested(landmark=None), "performance")) == 2
    found = with_tested(landmark={"n": 50, "events": 9, "auc": {"value": 0.7, "low": 0.6, "high": 0.8}})
    assert tables(found, "performance")[2].rows == (
        ("AUC within sessions (headline)", "0.700 [0.600, 0.800]"),
    )


def test_other_data_have_a_section_of_their_own():
    external = {
        "method": "external, intervals drawing clients",
        "seed": 3,
        "rows": {"n": 900, "events": 41, "cases": 120},
        "metrics": {"auc": {"value": 0.66, "low": 0.58, "high": 0.73}, "slope": None},
    }
    found = bundle(external=[external, external])
    table, again = tables(found, "external")
    assert table == again
    assert (
        table.caption
        == "External, intervals drawing clients. Seed 3; 900 rows with 41 dropouts of 120 cases."
    )
    assert table.rows[0][:2] == ("AUC within sessions (headline)", "0.660 [0.580, 0.730]")
    assert table.rows[3][:2] == ("Calibration slope", "not enough data")
    assert answers(found)["Was it tested on other data?"] == "yes"
    assert items(found)[15].status == PART
    assert "No data of another service" not in words_of(page(found))
    assert Outline(page(found)).open == []
    assert "external" not in {each.id for each in parts(BUNDLE)}
    assert tables({**unvalidated(), "external": [external]}, "external") == [table]
    first = summary_text({**unvalidated(), "external": [{}, external]}).splitlines()
    place = first.index("On the latest other data (900 sessions, 41 dropouts), as it is:")
    assert first[place + 1] == "  AUC in sessions 0.660 [0.580, 0.730]"
    assert first[place + 3] == "  slope           not enough data"
    assert first[place + 6] == "On its own data:"
    assert "other data" not in summary_text(BUNDLE)


def test_a_refitted_intercept_is_told_with_what_it_was():
    note = {"before": -2.5, "after": -2.688917, "n_rows": 800, "n_events": 55, "last_date": "2026-10-31"}
    found = bundle(recalibrations=[note])
    assert tables(found, "method")[0].rows == (("2026-10-31", "-2.5", "-2.68892", "800", "55"),)
    assert "not updated or recalibrated" not in texts(found, "method")
    assert "not updated or recalibrated" in texts(BUNDLE, "method")
    assert [items(each)[23].here for each in (found, BUNDLE)] == ["intercept refitted", "not updated"]


def test_calibration_shows_groups_their_intervals_and_the_smooth_curve():
    groups, curve = tables(BUNDLE, "calibration")
    assert groups.rows[-1] == ("11.20 %", "11.80 % [8.76 %, 14.84 %]", "432")
    assert len(groups.rows) == 10
    assert len(curve.rows) == 36
    chart = section(BUNDLE, "calibration").blocks[0].charts[0]
    assert chart.drawing.guide == "M62 216L418 28"
    assert chart.drawing.strokes[1].dots.count("h0") == 10
    assert chart.drawing.strokes[1].bars.count("V") == 10
    assert chart.drawing.description == (
        "10 groups. Lowest: forecast 0.8 %, observed 0.6 %. Highest: forecast 11.2 %, observed 11.8 %. "
        "Fewer dropouts than forecast in 5 groups."
    )


def test_groups_with_fewer_dropouts_than_forecast_are_counted():
    groups = [
        {"predicted": p, "observed": y, "n": 99, "low": 0.0, "high": 0.5}
        for p, y in [(0.1, 0.05), (0.2, 0.2), (0.3, 0.4)]
    ]
    found = with_tested(calibration={"groups": groups, "smooth": []})
    assert "Fewer dropouts than forecast in 1 group." in page(found)
    many = with_tested(calibration={"groups": [*groups, {**groups[2], "observed": 0.1}], "smooth": []})
    assert "Fewer dropouts than forecast in 2 groups." in page(many)


def test_a_very_small_calibration_group_is_not_shown():
    calibration = {
        "groups": [{"predicted": 0.1, "observed": 0.25, "n": 4, "low": 0.0, "high": 0.7}],
        "smooth": [],
    }
    found = with_tested(calibration=calibration)
    assert texts(found, "calibration") == "Not enough data: no forecast was tested."
    groups = [*BUNDLE["validation"]["calibration"]["groups"], calibration["groups"][0]]
    table = tables(with_tested(calibration={"groups": groups, "smooth": []}), "calibration")[0]
    assert table.rows[-1] == ("10.00 %", "not shown", "fewer than 5")


def test_the_auc_of_a_session_hides_counts_that_give_a_small_one_away():
    # Sessions 10 (4 dropouts) and 11 (3) are one row of the life table, 13 to 16 (2, 3, 1, 2) another.
    rows = {row[0]: row for row in tables(BUNDLE, "discrimination")[0].rows}
    assert rows["1"] == ("1", "0.694", "612", "29")
    assert rows["10"] == ("10", "not shown", "291", "fewer than 5")
    assert rows["12"] == ("12", "0.701", "196", "5")
    sessions = [{"session": session, "n": 183, "events": 9, "auc": 0.7} for session in (9, 10, 11)]
    shown_events = [row[3] for row in tables(with_tested(per_session=sessions), "discrimination")[0].rows]
    assert shown_events == ["9", "not shown", "not shown"]


def test_the_auc_of_few_dropouts_is_neither_listed_nor_drawn():
    sessions = [
        {"session": 1, "n": 90, "events": 9, "auc": 0.7},
        {"session": 2, "n": 60, "events": 4, "auc": 0.9},
    ]
    found = with_tested(per_session=sessions)
    assert [row[1] for row in tables(found, "discrimination")[0].rows] == ["0.700", "not shown"]
    drawing = section(found, "discrimination").blocks[0].charts[0].drawing
    assert drawing.strokes[0].dots.count("h0") == 1
    assert drawing.description == (
        "1 of 2 sessions have at least 5 dropouts and are shown. AUC from 0.700 to 0.700."
    )


def test_the_decision_curve_says_where_the_model_serves_best():
    rows = [
        {"threshold": 0.1, "model": 0.02, "all": 0.03, "none": 0.0, "drf1": 0.01},
        {"threshold": 0.2, "model": 0.02, "all": 0.01, "none": 0.0, "drf1": 0.01},
        {"threshold": 0.3, "model": 0.01, "all": -0.2, "none": 0.0, "drf1": 0.01},
        {"threshold": 0.4, "model": 0.01, "all": -0.3, "none": 0.0, "drf1": None},
    ]
    chart = section(with_tested(decision=rows), "decision").blocks[0].charts[0]
    assert chart.drawing.description == (
        "The model has the highest net benefit at 2 of 4 thresholds, between 20.0 % and 40.0 %."
    )
    assert chart.table.rows[0] == ("10.0 %", "0.02000", "0.01000", "0.03000", "0.00000")
    worst = [{**row, "model": -0.5} for row in rows]
    chart = section(with_tested(decision=worst), "decision").blocks[0].charts[0]
    assert (
        chart.drawing.description == "At no threshold does the model have more net benefit than all others."
    )


def test_the_decision_chart_reaches_no_further_down_than_up():
    rows = [
        {"threshold": 0.1, "model": 0.02, "all": 0.01, "none": 0.0, "drf1": 0.01},
        {"threshold": 0.2, "model": 0.01, "all": -0.3, "none": 0.0, "drf1": -0.5},
    ]
    drawing = section(with_tested(decision=rows), "decision").blocks[0].charts[0].drawing
    assert [words for _, words in drawing.y_ticks] == ["-0.02", "-0.01", "0", "0.01", "0.02"]


@pytest.mark.parametrize(
    ("closed", "riley", "said"),
    [
        (571, 622, "Not enough: 51 more clients whose treatment ended are asked for."),
        (622, 622, "Enough: 622 clients whose treatment ended, where 622 are asked for."),
        (NA, 622, "Whether there are clients enough cannot be said: not enough data."),
    ],
)
def test_the_sample_size_is_compared_with_the_cases_there_are(closed, riley, said):
    found = with_tested(sample_size={"riley": riley})
    found["training"]["n_closed"] = closed
    assert said in texts(found, "size")


def test_each_criterion_of_the_sample_size_has_its_row():
    rows = tables(BUNDLE, "size")[0].rows
    assert ("- coefficients shrink by 10 % or less", "621") in rows
    assert ("- overall risk known within 0.05", "294") in rows
    assert ("- one criterion", "300") in tables(with_tested(sample_size={"criteria": [300]}), "size")[0].rows


def test_sensitivity_lists_each_assumption_with_its_standard_errors():
    table = tables(BUNDLE, "sensitivity")[0]
    assert table.head == ("Assumption", "log_session", "level", "change", "no_shows", "missing")
    assert table.rows[0][1:3] == ("-0.711 (0.101)", "-0.450 (0.082)")
    assert table.rows[1][:3] == ("missing ratings half an SD lower", "-0.723", "-0.456")


# small counts


def life(*rows):
    """A life table of (session, at risk, events), its survival worked out here."""
    table, survival = [], 1.0
    for session, n, events in rows:
        survival *= 1 - events / n
        table.append({"session": session, "at_risk": n, "events": events, "survival": survival})
    return table


@pytest.mark.parametrize(
    ("rows", "spans"),
    [
        pytest.param([(1, 40, 6), (2, 30, 5)], [("1", 6), ("2", 5)], id="enough everywhere"),
        pytest.param([(1, 40, 4), (2, 30, 1)], [("1 to 2", 5)], id="two small ones make 5"),
        pytest.param([(1, 40, 4), (2, 30, 6)], [("1 to 2", 10)], id="a small one joins the next"),
        pytest.param([(1, 40, 6), (2, 30, 4)], [("1 to 2", 10)], id="a small last one joins the one before"),
        pytest.param([(1, 40, 0), (2, 30, 5)], [("1", 0), ("2", 5)], id="none is nobody and is shown"),
        pytest.param([(1, 40, 6), (2, 30, 0), (3, 9, 1)], [("1 to 3", 7)], id="back over a session of none"),
        pytest.param([(1, 40, 6), (2, 4, 0)], [("1 to 2", 6)], id="few at risk"),
        pytest.param([(1, 40, 2), (2, 30, 2)], [], id="too few in all"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_a_life_table_puts_sessions_together_until_no_count_is_small(rows, spans):
    assert [(span.name, span.events) for span in leaving.spans(life(*rows))] == spans


def test_the_hazard_of_several_sessions_is_by_session_at_risk():
    # 4 of 40 and 1 of 30: 5 in 70 sessions at risk, .0714; error sqrt(.0714 * .9286 / 70) = .0308.
    (span,) = leaving.spans(life((1, 40, 4), (2, 30, 1)))
    assert (span.at_risk, span.exposed, span.events) == (40, 70, 5)
    assert span.hazard == pytest.approx(5 / 70)
    assert span.error == pytest.approx(0.0308, abs=5e-5)
    assert span.survival == pytest.approx(0.9 * 29 / 30)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)), max_size=12))
def test_no_count_of_a_life_table_is_small_and_none_is_lost(counted):
    rows = [(t, max(n, events), events) for t, (n, events) in enumerate(counted, 1)]
    found = leaving.spans(life(*rows))
    assert not any(0 < count < 5 for span in found for count in (span.at_risk, span.events))
    if found:
        assert sum(span.events for span in found) == sum(events for _, _, events in rows)
        assert [span.first for span in found[1:]] == [span.last + 1 for span in found[:-1]]


def test_the_life_table_of_the_page_and_the_incidence_end_at_the_same_sessions(shown):
    hazard, survival, incidence = tables(BUNDLE, "course")
    sessions = [row[0] for row in hazard.rows]
    assert sessions == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10 to 11", "12", "13 to 16"]
    assert [row[0] for row in survival.rows] == sessions
    assert [row[0] for row in incidence.rows] == [name.split(" to ")[-1] for name in sessions]
    # 4 + 3 of 291 + 241 sessions at risk: .0132
    assert hazard.rows[9][:4] == ("10 to 11", "291", "7", "0.0132")
    assert "Sessions are put together where fewer than 5" in words_of(shown)


def test_too_few_dropouts_give_no_life_table():
    assert "too few dropouts for a life table" in texts(with_tested(life_table=life((1, 40, 3))), "course")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param([120, 5, 0], ("120", "5", "0"), id="none is small"),
        pytest.param([123, 4], ("about 120", "fewer than 5"), id="a small one, the other rounded"),
        pytest.param([3, 5], ("fewer than 5", "about 10"), id="never rounded to none"),
        pytest.param([17, 1], ("about 20", "fewer than 5"), id="rounded to tens"),
        pytest.param([123, None], ("about 120", "not enough data"), id="a withheld one"),
        pytest.param([], (), id="nothing"),
    ],
)
def test_counts_that_belong_together_do_not_give_a_small_one_away(values, said):
    assert figures.counts(values) == said


def test_cases_left_out_are_counted_by_reason_without_small_counts():
    table = tables(BUNDLE, "data")[1]
    assert table.rows == (
        ("end reason unknown", "about 20"),
        ("presumed dropout", "fewer than 5"),
        ("never rated", "0"),
    )
    nobody = bundle(training={**BUNDLE["training"], "n_excluded": {}})
    assert "No case was left out." in texts(nobody, "data")


def test_a_group_with_too_few_dropouts_has_no_number():
    table = tables(BUNDLE, "fairness")[0]
    assert table.rows[0] == (
        "sex: female",
        "about 2,870",
        "about 100",
        "0.98 [0.81, 1.17]",
        "0.68 [0.63, 0.72]",
        "19.7 % [18.1 %, 21.4 %]",
        "13.1 % [10.2 %, 16.3 %]",
        "54.7 % [45.1 %, 64.0 %]",
    )
    assert table.rows[2] == ("sex: not recorded", *["too few"] * 7)


def test_without_declared_groups_nothing_is_known_of_fairness():
    assert texts(bundle(fairness=None), "fairness").startswith("No group was declared")


def test_few_dropouts_are_not_counted_out():
    training = {**BUNDLE["training"], "n_dropouts": 3, "n_events": 3}
    said = words_of(page(bundle(training=training, validation=None, gates=[])))
    assert "612 cases, fewer than 5 dropouts" in said
    assert "3 dropouts" not in said


# numbers in words


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: figures.fixed(0.12349), "0.123"),
        (lambda: figures.fixed(-0.00001), "0.000"),
        (lambda: figures.fixed(math.nan), "not enough data"),
        (lambda: figures.fixed(True), "not enough data"),
        (lambda: figures.signed(0.0002), "0.000"),
        (lambda: figures.signed(0.2), "+0.200"),
        (lambda: figures.signed(-0.2), "-0.200"),
        (lambda: figures.percent(0.0714), "7.1 %"),
        (lambda: figures.percent(0.2, 0), "20 %"),
        (lambda: figures.exact(1234567.0), "1.23457e+06"),
        (lambda: figures.whole(1234.6), "1,235"),
        (lambda: figures.spread(0.7, 0.6, None), "0.700 (no interval)"),
        (lambda: figures.spread(0.7, 0.6, 0.8, 1), "0.7 [0.6, 0.8]"),
        (lambda: figures.tally(4), "fewer than 5"),
        (lambda: figures.tally(5), "5"),
        (lambda: figures.tally(0), "0"),
    ],
)
def test_numbers_follow_the_truth_table(call, said):
    assert call() == said


# the geometry of a chart


def drawn(points, *, low=0.0, high=10.0, **changes):
    x = curves.Axis(label="x", low=0, high=10, ticks=())
    y = curves.Axis(label="y", low=low, high=high, ticks=())
    curve = curves.Curve(label="c", style=0, points=tuple(points), **changes)
    return curves.draw("t", "d", x=x, y=y, curves=[curve]).strokes[0]


def test_a_plot_puts_its_corners_where_the_axes_end():
    # x from 62 to 418, y from 216 up to 28
    assert drawn([(0, 0), (10, 10)]).line == "M62 216L418 28"


@pytest.mark.parametrize(
    ("points", "path"),
    [
        pytest.param([(0, 5), (5, 5), (10, 5)], "M62 122L240 122L418 122", id="one unbroken line"),
        pytest.param([(0, 5), (5, None), (10, 5)], "", id="no bridge over a gap"),
        pytest.param([(0, 0), (10, -10)], "M62 216L62 216", id="leaves at once"),
        pytest.param([(0, 10), (10, -10)], "M62 28L240 216", id="cut where it leaves below"),
        pytest.param([(0, 0), (10, 20)], "M62 216L240 28", id="cut where it leaves above"),
        pytest.param([(0, -5), (5, -5), (10, 5)], "M329 216L418 122", id="cut where it comes in"),
        pytest.param([(0, -10), (10, 30)], "M151 216L240 28", id="in and out"),
        pytest.param([(0, 5)], "", id="one point"),
        pytest.param([], "", id="none"),
    ],
)
def test_a_line_is_cut_at_the_edge_of_the_plot(points, path):
    assert drawn(points).line == path


def test_stairs_stay_level_until_the_next_point():
    assert drawn([(0, 10), (5, 5), (10, 0)], stairs=True).line == "M62 28L240 28L240 122L418 122L418 216"


def test_intervals_are_drawn_with_caps_and_cut_at_the_edge():
    assert drawn([], bars=((5.0, -5.0, 5.0),)).bars == "M240 216V122M237 216H243M237 122H243"


def test_a_dot_outside_the_plot_is_not_drawn():
    assert drawn([(0, 5), (5, 11)], dots=True, line=False).dots == "M62 122h0"


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        pytest.param(0, 1, 6, [0, 0.2, 0.4, 0.6, 0.8, 1], id="a share"),
        pytest.param(0.4, 1, 6, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1], id="an AUC"),
        pytest.param(-0.031, 0.04, 6, [-0.02, 0, 0.02, 0.04], id="over zero"),
    ],
)
def test_ticks_are_round_and_inside(low, high, most, ticks):
    assert [value for value, _ in curves.axis("x", low, high, most=most).ticks] == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("values", "least", "top"),
    [([0.13], 0.05, 0.15), ([0.01], 0.05, 0.05), ([None], 0.05, 0.05), ([0.2], 0.05, 0.2), ([612], 10, 800)],
)
def test_the_top_of_an_axis_is_round_and_holds_every_value(values, least, top):
    assert curves.ceiling(values, least=least) == pytest.approx(top)


# TRIPOD+AI and PROBAST+AI

HEADINGS = [
    "Title",
    "Abstract",
    "Background",
    "Objectives",
    "Data",
    "Participants",
    "Data preparation",
    "Outcome",
    "Predictors",
    "Sample size",
    "Missing data",
    "Analytical methods",
    "Class imbalance",
    "Fairness",
    "Model output",
    "Training versus evaluation",
    "Ethical approval",
    "Open science",
    "Patient and public involvement",
    "Participants",
    "Model development",
    "Model specification",
    "Model performance",
    "Model updating",
    "Interpretation",
    "Limitations",
    "Usability in current care",
]
"""Collins et al. (2024), BMJ 385:e078378, Table 2: the 27 items' headings in order."""


@pytest.mark.parametrize("found", [BUNDLE, unvalidated(), hollow(BUNDLE), {}])
def test_the_checklist_has_27_items_each_once(found):
    assert [item.number for item in items(found)] == list(range(1, 28))
    assert [item.heading for item in items(found)] == HEADINGS


@pytest.mark.parametrize("found", [BUNDLE, unvalidated(), {}])
def test_every_item_says_where_it_is_reported_or_that_authors_must_write_it(found):
    anchors = {each.id for each in parts(found)} | {"use"}
    for item in items(found):
        assert item.here or item.authors or item.later
        if item.here:
            assert item.section in anchors, item


def test_what_no_run_can_know_is_never_called_reported():
    status = {item.number: item.status for item in items(BUNDLE)}
    assert [number for number, said in status.items() if said == AUTHORS] == [1, 2, 4, 17, 19, 25]
    assert [number for number, said in status.items() if said == HERE] == [12, 13, 15, 16, 21, 23, 24]
    here = {item.number: item for item in items(BUNDLE)}
    assert "funding" in here[18].authors
    assert "eligibility" in here[6].authors


def test_without_a_validation_no_performance_is_called_reported():
    status = {item.number: item.status for item in items(unvalidated())}
    assert [number for number, said in status.items() if said == LATER] == [10, 16, 23]
    assert status[12] == PART
    assert "3 will be once the model is validated" in texts(unvalidated(), "tripod")


def test_the_output_is_a_probability_and_its_threshold_if_there_is_one():
    assert items(BUNDLE)[14].here == "a probability; REVIEW from 0.0582"
    assert items(unvalidated())[14].here == "a probability; no threshold set"


def test_the_checklist_links_to_what_it_names():
    table = tables(BUNDLE, "tripod")[0]
    assert len(table.rows) == 27
    assert table.rows[22][4] == Link(
        words="AUC 0.678 [0.649, 0.707]; calibration; net benefit", to="performance"
    )
    assert "7 of 27 items are reported here, 14 in part, 6 not" in texts(BUNDLE, "tripod")


def answers(found):
    return {question.asks: question.answer for question in questions(found)}


def test_the_self_check_covers_four_domains_and_answers_only_what_a_run_can_know():
    assert {question.domain for question in questions(BUNDLE)} == set(range(4))
    assert DOMAINS == ("Participants and data sources", "Predictors", "Outcome", "Analysis")
    found = answers(BUNDLE)
    assert set(found.values()) <= {"yes", "no", "unknown", "for the authors"}
    assert found["Do the data suit the question?"] == "for the authors"
    assert found["Was nobody in the data left out?"] == "no"
    assert found["Was it tested on other data?"] == "no"
    assert found["Were there cases and dropouts enough?"] == "no"
    assert found["Are the data real?"] == "no"
    assert found["Was it judged alike for all?"] == "unknown"


@pytest.mark.parametrize(
    ("changes", "question", "answer"),
    [
        ({"definition": {"id": "lt_k"}}, "Is the outcome free of the predictors?", "no"),
        ({"definition": {"id": "therapist"}}, "Is the outcome free of the predictors?", "yes"),
        ({"definition": {"id": "therapist"}}, "Was it judged alike for all?", "yes"),
        ({"validation": None}, "Was overfitting allowed for?", "no"),
        ({"fairness": None}, "Were groups of clients compared?", "no"),
        ({"gates": []}, "Were there cases and dropouts enough?", "unknown"),
        (
            {"gates": [{"id": "G1", "passed": True}, {"id": "G2", "passed": True}]},
            "Were there cases and dropouts enough?",
            "yes",
        ),
        (
            {"covariates": [{"name": "x", "kind": "number", "demographic": False}]},
            "Were terms chosen without looking at the outcome?",
            "for the authors",
        ),
    ],
)
def test_the_self_check_follows_the_run(changes, question, answer):
    assert answers(bundle(**changes))[question] == answer


# the terminal


def test_the_summary_reads_as_the_golden_file():
    assert summary_text(BUNDLE) == GOLDEN.read_text(encoding="utf-8")


def test_the_summary_of_a_model_only_fitted_says_so():
    assert summary_text(unvalidated()) == (
        "Exploratory: fitted, not validated yet. It may be shown, and orders nothing.\n"
        "612 cases, 158 dropouts (definition unilateral), ratings of srs; model of\n"
        "  2026-11-24.\n"
        "Synthetic data: no real person.\n"
        "Terms, coefficient with 95 % interval; open: the other way is not ruled out:\n"
        "  lowers  -0.711 [-0.910, -0.513] number of sessions attended (logarithm)\n"
        "  lowers  -0.450 [-0.612, -0.289] mean rating so far\n"
        "  lowers  -0.384 [-0.664, -0.104] latest rating against the mean of the earlier\n"
        "          ones\n"
        "  raises  0.995 [0.586, 1.403] appointments missed without notice since the\n"
        "          session before\n"
        "  open    0.289 [-0.248, 0.827] no rating for this session\n"
        "NO_FLAG does not mean low risk. Most clients flagged do not drop out.\n"
    )


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.integers(1, 140))
def test_a_summary_has_at_most_40_lines_none_wider_than_asked(text, width):
    gates = [{"id": text, "asks": text, "found": text, "passed": None}] * 9
    said = summary_text(bundle(gates=gates, created=text), width=width)
    assert len(said.splitlines()) <= 40
    assert all(cell_len(line) <= max(width, 30) for line in said.splitlines())
    assert " ".join(said.split()).endswith(CLOSING)


def test_a_summary_can_be_ascii():
    gates = [{"id": "G1", "asks": "", "found": "4 ≤ 5 Zoë", "passed": True}]
    said = summary_text(bundle(gates=gates), unicode=False)
    assert "ok G1 4 <= 5 Zo\\xeb" in said
    assert said.isascii()


# the page in a browser


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: install the package chromium")
def test_a_browser_shows_the_page_and_the_page_asks_for_nothing(tmp_path, shown):
    dom, asked = browse(shown, tmp_path / "report")
    assert Outline(dom).tags.count("svg") == Outline(shown).tags.count("svg")
    assert Outline(dom).ids == Outline(shown).ids
    assert asked == set()
