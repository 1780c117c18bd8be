"""How a claim is tried on many files: the same ones in every run, or many more in a campaign."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
"""How many times as many examples as usual; above 1 they differ from run to run."""


def holds(claim, examples):
    """Try `claim`, which takes a source of choices that hypothesis makes smaller, on so many examples."""
    tried = settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    tried(given(random=st.randoms(use_true_random=False))(claim))()
