"""Every definition against the facts as they were checked: tests/reference/scales.json, field by field."""

import json
from pathlib import Path

import numpy as np
import pytest

from alliance.scale import load_scale
from alliance.scoring import score_answers

FACTS = json.loads((Path(__file__).parent / "reference" / "scales.json").read_text("utf-8"))["forms"]
every_fact = pytest.mark.parametrize("name", sorted(FACTS))

# What the sheet marks as recalled only, and is therefore switched off here.
RECALLED_TOLERANCE = {"core-10": 1}
FACTORS = {"sum": ("sum", 1), "mean": ("mean", 1), "mean_x10": ("mean", 10), "sum_x2": ("sum", 2)}
FACTORS |= {"sum_x4": ("sum", 4), "mean_of_subscales": ("mean", 1)}


def kebab(name):
    return name.replace("_", "-")


def whole(name):
    """Return the definition with what is switched off switched on."""
    return load_scale(name).with_unconfirmed()


def score_name(fact):
    """Return our name of the score that a fact is about."""
    said = fact.get("scale", fact.get("scope", "total"))
    return "total" if said in {"all", "total_x10"} else kebab(said)


def status(fact):
    return "memory" if str(fact.get("confidence", "")).startswith("memory") else "published"


def test_all_forty_one_blocks_are_there():
    assert len(FACTS) == 41


@every_fact
def test_items_and_range(name):
    fact, scale = FACTS[name], whole(name)
    assert (scale.n_items, scale.min, scale.max) == (fact["items"], fact["min"], fact["max"])
    step = 0.1 if fact.get("decimals") == 1 else fact.get("step", 1)
    assert scale.step == step
    ranges = {int(item): tuple(bounds) for item, bounds in fact.get("item_ranges", {}).items()}
    assert scale.item_ranges == ranges


@every_fact
def test_subscales_and_what_is_in_none(name):
    fact, scale = FACTS[name], whole(name)
    expected = {**fact.get("subscales", {}), **fact.get("extra_subscales", {})}
    found = {part: sorted(items) for part, items in scale.subscales.items()}
    assert found == {kebab(part): sorted(items) for part, items in expected.items()}
    assert list(scale.unscored) == fact.get("unscored", [])


@every_fact
def test_reversal_and_its_scope(name):
    fact, scale = FACTS[name], whole(name)
    assert list(scale.reverse) == fact["reverse"]
    total_only = fact.get("reverse_scope") == "total_only"
    parts = [scale.formulas[part].keyed for part in scale.subscales]
    assert parts == [not total_only] * len(parts)
    assert scale.total is None or scale.total.keyed


@every_fact
def test_method_of_every_subscale(name):
    fact, scale = FACTS[name], whole(name)
    own = {kebab(part): method for part, method in fact.get("subscale_method", {}).items()}
    for part in scale.subscales:
        method, factor = FACTORS[own.get(part, fact["method"])]
        assert (scale.formulas[part].method, scale.formulas[part].factor) == (method, factor)


@every_fact
def test_how_the_total_is_formed_and_its_bounds(name):
    fact, scale = FACTS[name]["total"], whole(name)
    if fact["method"] == "none":
        assert scale.total is None
        return
    assert (scale.total.method, scale.total.factor) == FACTORS[fact["method"]]
    assert scale.total.offset == 0
    assert bool(scale.total.of) is (fact["method"] == "mean_of_subscales")
    assert scale.bounds("total") == pytest.approx((fact["min"], fact["max"]))


@every_fact
def test_direction_perspective_and_status(name):
    fact, scale = FACTS[name], load_scale(name)
    # A form with scores in both directions has that of its total.
    direction = {"mixed": "higher_is_better"}.get(fact.get("direction"), fact.get("direction"))
    assert scale.direction == (direction or "higher_is_better")
    side = fact["perspective"].split()[0]
    assert scale.perspective == {"child": "client", "self": "client"}.get(side, side)
    assert scale.status == fact["status"]


@every_fact
def test_unanswered_items_that_are_tolerated(name):
    fact, scale = FACTS[name], load_scale(name)
    if name == "ccaps-34":
        limits = {kebab(part): limit for part, limit in fact["missing_per_subscale"].items()}
        assert {part: scale.formulas[part].missing_max for part in limits} == limits
        assert scale.unscorable.missing_above == fact["missing_max"]
        return
    tolerated = fact["missing_max"] - RECALLED_TOLERANCE.get(name, 0)
    assert (scale.total.missing_max if scale.total else 0) == tolerated
    assert {scale.formulas[part].missing_max for part in scale.subscales} <= {0}


def expected_cutoffs(fact):
    """Yield score, edge, value and status of every cut-off, however the sheet writes it down."""
    for row in fact["cutoffs"]:
        score = score_name(row)
        if "norm_year" in row:
            for level in ("low", "high"):
                yield from (
                    (kebab(part), row["op"], value, "published") for part, value in row[level].items()
                )
        elif "by_gender" in row and row["scale"] != "all":
            yield from ((score, ">=", value, status(row)) for value in row["by_gender"].values())
        elif "value" in row:
            edge = row.get("op") or {"at_or_below": "<="}[row["direction"]]
            yield score, edge, row["value"], status(row)


@every_fact
def test_cutoffs_with_their_edges(name):
    found = sorted((row.score, row.op, row.value, row.status) for row in load_scale(name).cutoffs)
    assert found == sorted(expected_cutoffs(FACTS[name]))


def test_cutoffs_of_the_official_scorer_are_compared_after_rounding():
    rows = load_scale("ccaps-34").cutoffs
    assert {row.round for row in rows} == {2}
    assert {row.population for row in rows} == {"students, norm year 2025", "students, norm year 2019"}
    (high,) = [row.value for row in rows if (row.score, row.label) == ("depression", "high cut")
               and row.population.endswith("2019")]  # fmt: skip
    assert high == 1.83


@every_fact
def test_bands_with_both_edges(name):
    expected = []
    for row in FACTS[name]["cutoffs"]:
        steps = [tuple(step) for step in row.get("bands", [])]
        if "lower_bounds" in row:
            steps = [(low, None, label) for low, label in row["lower_bounds"][:-1]]
            low, label = row["lower_bounds"][-1]
            steps.append((low, FACTS[name]["total"]["max"], label))
        if steps:
            expected.append((score_name(row), steps, status(row)))
    found = [
        (row.score, [(step.low, step.high, step.label) for step in row.steps], row.status)
        for row in load_scale(name).bands
    ]
    assert found == expected


# Recalled reliable-change values of subscales that the sheet gives in a note.
IN_A_NOTE = {"oq-45": [10, 8, 7]}


@every_fact
def test_reliable_change_with_its_population(name):
    fact = FACTS[name].get("rci")
    rows = load_scale(name).reliable_change
    values = [] if fact is None else [fact["value"], *fact.get("alternatives", [])]
    assert [row.value for row in rows] == [*values, *IN_A_NOTE.get(name, [])]
    for row in rows[: len(values)]:
        assert row.status == status(fact)
        assert row.population == fact.get("population", "")
        assert row.score == score_name(fact)
    if fact is not None and str(fact.get("level")).startswith("9"):
        assert [row.level for row in rows] == [fact["level"]]


# Values that the sheet gives in its text, beside its machine-readable part.
IN_THE_TEXT = {
    "wai-s": [("total", 5.77, 1.20), ("total", 5.85, 1.09), ("total", 4.30, 1.27)],
    "wai-sr": [("total", 3.36, 0.8), ("bond", 3.8, 1.0), ("total", 3.64, 0.81), ("bond", 3.98, 0.94)],
}
# Bands and references of the DASS-21 are for doubled scores; the sheet gives these undoubled.
DOUBLED = {"dass-21": 2}


@every_fact
def test_reference_values_in_their_metric(name):
    scale = load_scale(name)
    times = DOUBLED.get(name, 1)
    expected = [
        (score_name(row), row["mean"] * times, (row["sd"] or 0) * times if "sd" in row else 0, status(row))
        for row in FACTS[name]["norms"]
    ]
    expected += [(*row, "published") for row in IN_THE_TEXT.get(name, [])]
    norms = [(score, norm.mean, norm.sd, norm.status) for score, norm in scale.norms.items() if norm.mean]
    found = [(row.score, row.mean, row.sd or 0, row.status) for row in scale.references] + norms
    assert [row[:1] + row[3:] for row in sorted(found)] == [row[:1] + row[3:] for row in sorted(expected)]
    for ours, theirs in zip(sorted(found), sorted(expected), strict=True):
        assert ours[1:3] == pytest.approx(theirs[1:3])
    item_means = {row["mean"] for row in FACTS[name]["norms"] if "item_mean" in row.get("metric", "")}
    item_means |= {row["mean"] for row in FACTS[name]["norms"] if row.get("scale") == "all"}
    formula = scale.total
    if formula is not None and (formula.method, formula.factor) != ("mean", 1):
        marked = {row.mean for row in scale.references if row.metric == "item mean"}
        assert marked == item_means | {mean for _, mean, _ in IN_THE_TEXT.get(name, [])}


STATISTICS = {"alpha": "alpha", "test_retest": "test-retest", "test_retest_icc": "test-retest ICC"}


@every_fact
def test_reliabilities(name):
    scale, expected = load_scale(name), []
    for row in FACTS[name]["reliability"]:
        low, _, high = str(row["value"]).partition("-")
        score = {"any": "total", "all scales": "total"}.get(
            score_name(row).replace("-", " "), score_name(row)
        )
        expected.append(
            (score, STATISTICS[row["statistic"]], float(low), float(high) if high else None, status(row))
        )
    found = [(row.score, row.statistic, row.value, row.high, row.status) for row in scale.reliabilities]
    in_norms = [(score, "alpha", norm.reliability, None, norm.status) for score, norm in scale.norms.items()]
    assert [*found, *in_norms] == expected


def test_rules_on_the_pattern_of_answers():
    rules = {name: fact["algorithm"] for name, fact in FACTS.items() if "algorithm" in fact}
    assert {name for name in FACTS if load_scale(name).criteria} == rules.keys() == {"phq-9", "pcl-5"}
    phq, major, other = rules["phq-9"], *load_scale("phq-9").criteria
    assert (phq["major"], phq["other"]) == ("core>=1 and count>=5", "core>=1 and count 2-4")
    assert [(need.at_least, need.at_most) for need in (*major.needs, *other.needs)] == [
        (1, 2),
        (5, 9),
        (1, 2),
        (2, 4),
    ]
    for core, count in (major.needs, other.needs):
        assert list(core.items) == phq["core_items"]
        assert count.items == tuple(range(1, 10))
        assert count.present_at == (*[phq["present_at"]] * 8, phq["risk_item_present_at"])
    pcl, (ptsd,) = rules["pcl-5"], load_scale("pcl-5").criteria
    assert pcl["rule"] == "B>=1 and C>=1 and D>=2 and E>=2"
    assert [need.at_least for need in ptsd.needs] == [1, 1, 2, 2]
    clusters = FACTS["pcl-5"]["subscales"]
    assert [list(need.items) for need in ptsd.needs] == [clusters[f"cluster_{part}"] for part in "bcde"]
    assert {at for need in ptsd.needs for at in need.present_at} == {pcl["present_at"]}


@every_fact
def test_alerts_and_which_are_told_when_not_answered(name):
    rows = FACTS[name]["alerts"]
    unanswered = {
        item for row in rows if row["op"] == "missing" for item in row.get("items", [row.get("item")])
    }
    expected = [
        (tuple(row.get("items", [row.get("item")])), row["value"], row["level"])
        for row in rows
        if row["op"] == ">="
    ]
    scale = load_scale(name)
    assert [(alert.items, alert.value, alert.level) for alert in scale.alerts] == expected
    assert {item for alert in scale.alerts if alert.unanswered for item in alert.items} == unanswered


@every_fact
def test_only_codes_that_were_seen(name):
    assert dict(load_scale(name).loinc) == (FACTS[name].get("loinc") or {})


def answers_of(scale, vector):
    if "all" in vector:
        return [vector["all"]] * scale.n_items
    width = int(scale.max - scale.min) + 1
    ends = {"all_min": 0, "all_max": 1}
    if vector["input"] in ends:
        return [bounds[ends[vector["input"]]] for bounds in scale.item_bounds]
    return [scale.min + place % width for place in range(scale.n_items)]


@every_fact
def test_vectors_of_the_sheet(name):
    # The key itself: the official rule that identical answers are not scored is tested elsewhere.
    from dataclasses import replace

    from alliance.scale import Unscorable

    scale = replace(whole(name), unscorable=Unscorable())
    for vector in FACTS[name]["vectors"]:
        answers = np.array(answers_of(scale, vector), dtype=float).reshape(-1, 1)
        found = score_answers(answers, np.isnan(answers), scale).scores
        expected = {kebab(part): value for part, value in vector.items() if part not in {"all", "input"}}
        given = {part: found[part][0] for part in expected}
        assert given == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("variant", "form", "same"),
    [
        ("k10-0-4", "k10", {"min": 0, "max": 4}),
        ("k6-1-5", "k6", {"min": 1, "max": 5}),
        ("csq-8-position", "csq-8", {"min": 1, "max": 4}),
        ("who-5-position", "who-5", {"min": 1, "max": 6}),
    ],
)
def test_another_printed_coding_is_a_definition_of_its_own(variant, form, same):
    one, other = load_scale(variant), load_scale(form)
    assert (one.n_items, one.construct, one.direction) == (other.n_items, other.construct, other.direction)
    assert {"min": one.min, "max": one.max} == same
    assert (one.min, one.max, one.reverse) != (other.min, other.max, other.reverse)


@pytest.mark.parametrize("flow", ["ceas-to-others", "ceas-from-others"])
def test_the_three_flows_of_compassion_have_one_key(flow):
    assert flow.replace("-", "_") in FACTS["ceas-self"]["same_key_for"]
    one, other = load_scale(flow), load_scale("ceas-self")
    assert (one.formulas, one.unscored, one.min, one.max) == (other.formulas, other.unscored, 1, 10)


def test_places_on_the_ccaps_follow_the_numbers_of_the_item_pool():
    pool = FACTS["ccaps-34"]["pool_ids"]
    assert pool == sorted(pool)
    # The critical items are 51 and 68 of the pool; 18 and 39 are turned.
    scale = load_scale("ccaps-34")
    assert [pool[item - 1] for alert in scale.alerts for item in alert.items] == [51, 68]
    assert [pool[item - 1] for item in scale.reverse] == [18, 39]


def test_what_was_published_for_one_coding_is_repeated_for_another_only_where_the_scores_are_equal():
    who, places = load_scale("who-5"), load_scale("who-5-position")
    assert (places.cutoffs, places.reliable_change) == (who.cutoffs, who.reliable_change)
    assert places.bounds("total") == who.bounds("total")
    for name in ("k10-0-4", "k6-1-5"):
        scale = load_scale(name)
        assert (scale.cutoffs, scale.bands, scale.reliable_change, scale.references) == ((), (), (), ())
