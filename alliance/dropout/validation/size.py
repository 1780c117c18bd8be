"""How many clients a model needs: by formula before, by a learning curve after."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.dropout.model.rows import Rows
from alliance.dropout.validation.curves import Z_95
from alliance.dropout.validation.metrics import Predictions
from alliance.dropout.validation.resampling import Fit, Folds, Progress, quiet
from alliance.errors import AllianceError

Array = np.ndarray[Any, Any]

SHRINKAGE = 0.9
R2_NAGELKERKE = 0.11
"""Share of variance expected: 11 % in 3,902 outpatients (2021, doi:10.1080/10503307.2021.1930244)."""

OPTIMISM = 0.05
MARGIN = 0.05

FIRST_SIZE, LAST_SIZE, RUNS = 50, 3200, 5
"""The learning curve: its first size, the last it doubles to, and draws of clients at each (by design)."""

JUDGED = 200_000
"""Held-out rows that the learning curve judges at most, drawn at random."""


@dataclass(frozen=True, kw_only=True)
class SampleSize:
    """Clients needed to develop a model.

    Attributes
    ----------
    riley : int; the largest of the three criteria, rounded up
    shrinkage_n, optimism_n, risk_n : float; clients needed so that the coefficients shrink by 10 % or less,
        so that Nagelkerke's R² is at most 0.05 too good, and so that the overall risk is known within 0.05
    phi : float; share of clients that drop out
    r2_nagelkerke, r2_cox_snell : float; expected share of variance
    parameters : int; slopes of the model
    shrinkage : float
    """

    riley: int
    shrinkage_n: float
    optimism_n: float
    risk_n: float
    phi: float
    r2_nagelkerke: float
    r2_cox_snell: float
    parameters: int
    shrinkage: float

    def as_json(self) -> dict[str, Any]:
        """Return the numbers as plain values; `criteria` in words."""
        criteria = (
            ("coefficients shrink by 10 % or less", self.shrinkage_n),
            ("R² at most 0.05 too good", self.optimism_n),
            ("overall risk known within 0.05", self.risk_n),
        )
        return {
            "riley": self.riley,
            "criteria": [{"what": what, "n": math.ceil(n - 1e-9)} for what, n in criteria],
            "phi": self.phi,
            "r2_nagelkerke": self.r2_nagelkerke,
            "r2_cox_snell": self.r2_cox_snell,
            "parameters": self.parameters,
            "shrinkage": self.shrinkage,
        }


def riley_size(
    phi: float, *, parameters: int = 5, r2_nagelkerke: float = R2_NAGELKERKE, shrinkage: float = SHRINKAGE
) -> SampleSize:
    """Return the clients needed to develop a model for an outcome that comes or does not.

    With R² of Cox and Snell = R² of Nagelkerke · max, max = 1 - exp(2 (φ ln φ + (1 - φ) ln(1 - φ))):
    n₁ = k / ((S - 1) ln(1 - R² / S)); n₂ the same with S = R² / (R² + 0.05 max);
    n₃ = (1.96 / 0.05)² φ (1 - φ).

    Parameters
    ----------
    phi : float; share of clients that drop out, above 0 and below 1
    parameters : int; slopes of the model
    r2_nagelkerke : float; expected share of variance, above 0 and below 1
    shrinkage : float; S, above 0 and below 1

    Raises
    ------
    ValueError
        If a number is out of its range.

    References
    ----------
    Riley, R. D., et al. (2019). https://doi.org/10.1002/sim.7992

    Examples
    --------
    >>> riley_size(0.2).riley, riley_size(0.3, r2_nagelkerke=0.15).riley
    (622, 400)
    """
    for name, value in (("phi", phi), ("r2_nagelkerke", r2_nagelkerke), ("shrinkage", shrinkage)):
        if not 0 < value < 1:
            message = f"{name} must be above 0 and below 1, got {value:g}"
            raise ValueError(message)
    if parameters < 1:
        message = f"parameters must be at least 1, got {parameters}"
        raise ValueError(message)
    most = 1 - math.exp(2 * (phi * math.log(phi) + (1 - phi) * math.log(1 - phi)))
    r2 = r2_nagelkerke * most
    needed = (
        _shrinking(parameters, r2, shrinkage),
        _shrinking(parameters, r2, r2 / (r2 + OPTIMISM * most)),
        (Z_95 / MARGIN) ** 2 * phi * (1 - phi),
    )
    return SampleSize(
        riley=math.ceil(max(needed) - 1e-9),
        shrinkage_n=needed[0],
        optimism_n=needed[1],
        risk_n=needed[2],
        phi=phi,
        r2_nagelkerke=r2_nagelkerke,
        r2_cox_snell=r2,
        parameters=parameters,
        shrinkage=shrinkage,
    )


def _shrinking(parameters: int, r2: float, shrinkage: float) -> float:
    return parameters / ((shrinkage - 1) * math.log(1 - r2 / shrinkage))


def curve_sizes(n_clients: int) -> list[int]:
    """Return the sizes of the learning curve below `n_clients`: 50, 100, 200 … up to 3,200.

    >>> curve_sizes(450)
    [50, 100, 200, 400]
    """
    sizes = [FIRST_SIZE << step for step in range(16)]
    return [size for size in sizes if size < n_clients and size <= LAST_SIZE]


def learning_curve(
    rows: Rows, fit: Fit, folds: Folds, whole: Predictions, *, seed: int = 1, tell: Progress = quiet
) -> list[dict[str, float]]:
    """Return how well models of growing numbers of clients predict the groups held out.

    For each size that many clients are drawn from the training side of every fold, and the predictions of
    all folds are judged together (200,000 rows drawn from them, if there are more); five draws for each
    size. The last entry is the cross-validation itself.

    Parameters
    ----------
    rows : Rows
    fit : callable; training rows → model
    folds : Folds
    whole : Predictions; the cross-validated ones, from all training clients
    seed : int
    tell : callable, optional

    Returns
    -------
    list of dict
        `cases` (clients trained on), `dropouts` among them (mean), `auc` (headline, mean of the draws) with
        the lowest and highest draw as `auc_low` and `auc_high`, `slope` and `citl` (means).
    """
    arms = [_arm(rows, folds, k, seed) for k in range(folds.n)]
    sizes = curve_sizes(min(len(arm.clients) for arm in arms))
    found = []
    for done, size in enumerate(sizes):
        runs = [_run(rows, fit, arms, draw=(seed, size, run)) for run in range(RUNS)]
        found.append(_point(size, [each for each in runs if each is not None]))
        tell("learning curve", done + 1, len(sizes))
    trained = round(float(np.mean([len(arm.clients) for arm in arms])))
    dropouts = float(np.mean([rows.y[arm.train].sum() for arm in arms]))
    found.append(_point(trained, [(dropouts, whole.measure(points=1))]))
    return found


@dataclass(frozen=True, kw_only=True)
class _Arm:
    """One fold: places to train on, the client of each, all clients there, and the rows to test."""

    train: Array
    client: Array
    clients: Array
    test: Rows


def _arm(rows: Rows, folds: Folds, k: int, seed: int) -> _Arm:
    train, test = folds.split(k)
    most = -(-JUDGED // folds.n)
    if len(test) > most:
        test = np.sort(np.random.default_rng([seed, k]).permutation(test)[:most])
    client = folds.client[train]
    clients = np.flatnonzero(np.bincount(client, minlength=1))
    return _Arm(train=train, client=client, clients=clients, test=rows.take(test))


def _run(
    rows: Rows, fit: Fit, arms: list[_Arm], *, draw: tuple[int, int, int]
) -> tuple[float, dict[str, float]] | None:
    """Return mean dropouts and metrics of one draw of clients in every fold; None if one gives no model.

    `draw` is the seed, the number of clients, and the number of the run.
    """
    source = np.random.default_rng(draw)
    p, dropouts = [], []
    for arm in arms:
        chosen = np.zeros(int(arm.clients[-1]) + 1, dtype=bool)
        chosen[source.permutation(arm.clients)[: draw[1]]] = True
        some = rows.take(arm.train[chosen[arm.client]])
        try:
            p.append(fit(some).hazard(arm.test))
        except (AllianceError, np.linalg.LinAlgError):
            return None
        dropouts.append(some.y.sum())
    together = Predictions(
        y=np.concatenate([arm.test.y for arm in arms]),
        p=np.concatenate(p),
        session=np.concatenate([arm.test.session for arm in arms]),
        made_by=np.repeat(np.arange(len(arms)), [len(arm.test) for arm in arms]),
    )
    return float(np.mean(dropouts)), together.measure(points=1)


def _point(size: int, runs: list[tuple[float, dict[str, float]]]) -> dict[str, float]:
    """Return one entry of the learning curve; NaN where no draw gave a model."""
    aucs = [measured["auc"] for _, measured in runs]
    return {
        "cases": size,
        "dropouts": _mean([dropouts for dropouts, _ in runs]),
        "auc": _mean(aucs),
        "auc_low": min(aucs, default=float("nan")),
        "auc_high": max(aucs, default=float("nan")),
        "slope": _mean([measured["slope"] for _, measured in runs]),
        "citl": _mean([measured["citl"] for _, measured in runs]),
    }


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else float("nan")
