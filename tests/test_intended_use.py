"""What alliance alone can tell of dropout: the figures of the texts, by the normal model they come from."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

ROOT = Path(__file__).parent.parent
EFFECT = 0.55
"""Clients who drop out rate the alliance lower by so many standard deviations (Sharf et al. 2010)."""


def flagging(base, lowest):
    """Sensitivity, specificity, PPV and NPV of flagging the share `lowest` of ratings, equal variances."""

    def surplus(cut):
        return base * norm.cdf(cut + EFFECT) + (1 - base) * norm.cdf(cut) - lowest

    cut = brentq(surplus, -8, 8)
    sens, spec = norm.cdf(cut + EFFECT), norm.sf(cut)
    return sens, spec, base * sens / lowest, (1 - base) * spec / (1 - lowest)


@pytest.mark.parametrize(
    ("base", "lowest", "published"),
    [
        (0.10, 0.16, (0.30, 0.86, 0.19, 0.92)),
        (0.20, 0.10, (0.19, 0.92, 0.38, 0.82)),
        (0.20, 0.16, (0.28, 0.87, 0.35, 0.83)),
        (0.20, 0.24, (0.39, 0.80, 0.32, 0.84)),
        (0.35, 0.16, (0.25, 0.89, 0.55, 0.69)),
        (0.47, 0.16, (0.23, 0.90, 0.67, 0.57)),
    ],
)
def test_flagging_the_lowest_ratings_catches_what_the_normal_model_says(base, lowest, published):
    assert flagging(base, lowest) == pytest.approx(published, abs=0.0051)


@pytest.mark.parametrize("text", ["docs/intended-use.md", "alliance/intended_use.md", "README.md"])
def test_the_texts_state_the_figures_of_the_normal_model(text):
    area = norm.cdf(EFFECT / np.sqrt(2))
    sens, _, ppv, _ = flagging(0.20, 0.16)
    assert area == pytest.approx(0.651, abs=5e-4)
    written = " ".join((ROOT / text).read_text(encoding="utf-8").split())
    assert f"lowest 16 % of ratings hold{'' if text == 'README.md' else 's'} {100 * sens:.0f} % of" in written
    assert f"{100 * ppv:.0f} % of those flagged drop out" in written
    if text != "README.md":
        assert "d = .55" in written
        assert f"an area under the curve of {area:.2f}".replace("0.", ".") in written
        assert "where 20 of 100 clients drop out" in written
