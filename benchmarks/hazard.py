"""The dropout hazard, fitted and applied on a million rows, against statsmodels in one process, as ratios.

    python benchmarks/hazard.py
    python benchmarks/hazard.py --rows 100000

The rows are the risk set of a seeded synthetic service; seven slopes and an intercept, two of them of noise.
Ours is a Firth fit with the intercept refitted (FLIC) and errors clustered by therapist, from rows to model;
statsmodels is given the matrix and fits plain maximum likelihood, without clusters. Every round runs them one
after the other; ratios are taken inside the round. Our own maximum likelihood slopes are compared with the
peer's first: at a million rows Firth's penalty moves them by less than their printed digits.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from statsmodels.discrete.discrete_model import Logit

from alliance.dropout.model.design import matrix
from alliance.dropout.model.hazard import FitSettings, HazardModel, fit
from alliance.dropout.model.rows import Rows

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from service_helpers import service_rows

Array = np.ndarray[Any, Any]

ROWS = 1_000_000
ROUNDS = 7
NOISE = ("noise_1", "noise_2")
SETTINGS = FitSettings(covariates=NOISE, landmark=False)
CLOSE = 1e-3
"""Difference of a slope from which on the two fits are not the same."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """The rows of a service, and the matrix of the same predictors."""

    rows: Rows
    matrix: Array

    @classmethod
    def of(cls, n_rows: int) -> Task:
        """Return the task of a benchmark: about ten rows a client."""
        rng = np.random.default_rng(1)
        rows = service_rows(n_rows // 9 + 100, seed=1).take(np.arange(n_rows))
        rows = replace(rows, covariates={name: rng.standard_normal(n_rows) for name in NOISE})
        return cls(rows=rows, matrix=np.ascontiguousarray(matrix(fit(rows, SETTINGS).terms, rows)))

    def ours(self) -> HazardModel:
        """Return our model."""
        return fit(self.rows, SETTINGS)

    def peer(self) -> Array:
        """Return the coefficients of statsmodels, the intercept first."""
        found: Array = Logit(self.rows.y, self.matrix).fit(disp=0).params
        return found

    def difference(self) -> float:
        """Return the largest difference of a slope, of all predictors as both were given them."""
        slopes = np.array([term.coef for term in self.ours().terms])
        return float(np.abs(slopes - self.peer()[1:]).max())


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def rows(n_rows: int = ROWS) -> list[str]:
    """Return the lines of the table: ours, against, ratio, our time, its time."""
    task = Task.of(n_rows)
    difference = task.difference()
    if difference > CLOSE:
        sys.exit(f"a slope differs by {difference:.2g} from that of statsmodels")
    model, coefficients = task.ours(), task.peer()
    actions = (
        task.ours,
        lambda: model.hazard(task.rows),
        task.peer,
        lambda: 1 / (1 + np.exp(-(task.matrix @ coefficients))),
    )
    times = [tuple(timed(each) for each in actions) for _ in range(ROUNDS)]
    fitted, applied, peer, product = (list(side) for side in zip(*times, strict=True))
    size = f"{n_rows:,} rows of 8 columns"
    against = f"statsmodels Logit, ready matrix; slopes differ by {difference:.0e} at most"
    return [
        _row(f"hazard fit (Firth, FLIC, clustered errors), {size}", against, fitted, peer),
        _row(f"hazard apply, {size}", "product with a ready matrix", applied, product),
    ]


def _row(name: str, peer: str, ours: list[float], theirs: list[float]) -> str:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    cells = [name, peer, f"{statistics.median(ratios):.3f} [{min(ratios):.3f} to {max(ratios):.3f}]"]
    cells += [f"{statistics.median(side) * 1000:.0f} ms" for side in (ours, theirs)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the comparison and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    print("| ours | against | wall, ratio | ours | theirs |\n|---|---|---|---|---|")
    print("\n".join(rows(parser.parse_args().rows)))


if __name__ == "__main__":
    main()
