"""Links of a yes/no outcome: probabilities, what a row gives to a Fisher step, and blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FAR = 300.0
"""Linear predictors are cut off here: beyond it a probability is 0 or 1 to the last bit."""

BLOCK = 4_096
"""Most rows of a block: its columns and the working arrays fit into the cache of one core."""

PRODUCT = 250_000
"""Most multiplications of one product, below the size from which libraries start threads for it."""

_LOGS = 32


def mean_of(linear: Array, link: str) -> Array:
    """Return the probability at each linear predictor.

    >>> mean_of(np.array([-800.0, 0.0]), "logit"), mean_of(np.array([0.0]), "cloglog").round(6)
    (array([5.14820022e-131, 5.00000000e-001]), array([0.632121]))
    """
    linear = np.clip(linear, -FAR, FAR)
    with np.errstate(under="ignore"):
        if link == "cloglog":
            return np.asarray(-np.expm1(-np.exp(linear)))
        return np.asarray(1 / (1 + np.exp(-linear)))


@dataclass(frozen=True, kw_only=True)
class Working:
    """What each row gives to a Fisher step, at its linear predictor eta.

    Attributes
    ----------
    residual : float, shape (rows,); derivative of the log-likelihood
    weight : float, shape (rows,); expected information
    pull : float, shape (rows,); half the derivative of log weight
    log_likelihood : float; of all rows
    """

    residual: Array
    weight: Array
    pull: Array
    log_likelihood: float


def working_logit(linear: Array, y: Array, weights: Array | None = None) -> Working:
    """Return the working values of the logit link, exact however far `linear` lies from 0."""
    far = np.exp(-np.abs(linear))
    whole = 1 + far
    above = np.maximum(linear, 0)
    if weights is None:
        log_likelihood = float(y @ linear - above.sum() - _sum_log(whole))
    else:
        log_likelihood = float(weights @ (y * linear - above - np.log(whole)))
    far /= whole
    weight = far / whole
    mean = np.where(linear >= 0, 1 - far, far)
    return Working(residual=y - mean, weight=weight, pull=0.5 - mean, log_likelihood=log_likelihood)


def working_cloglog(linear: Array, y: Array, weights: Array | None = None) -> Working:
    """Return the working values of the cloglog link.

    With r = exp(eta) and mu = 1 - exp(-r): score y r/mu - r, weight r^2 exp(-r)/mu, and
    d log weight / d eta = 2 - r/mu.
    """
    rate = np.exp(np.clip(linear, -FAR, FAR))
    mean = -np.expm1(-rate)
    odds = rate / mean
    each = np.where(y > 0, np.log(mean), -rate)
    return Working(
        residual=y * odds - rate,
        weight=rate * np.exp(-rate) * odds,
        pull=1 - odds / 2,
        log_likelihood=float(each.sum() if weights is None else weights @ each),
    )


def _sum_log(values: Array) -> float:
    """Return the sum of the logarithms of values from 1 to 2, one logarithm for the product of each 32."""
    even = len(values) // _LOGS * _LOGS
    products = np.multiply.reduce(values[:even].reshape(_LOGS, -1), axis=0)
    return float(np.log(products).sum() + np.log(values[even:]).sum())


WORKING = {"logit": working_logit, "cloglog": working_cloglog}


def blocks(n: int, size: int = 7) -> Iterator[slice]:
    """Yield the rows of each block of a design with `size` columns."""
    length = block_length(size)
    return (slice(begin, begin + length) for begin in range(0, n, length))


def block_length(size: int) -> int:
    """Return the rows of a block of `size` columns."""
    return max(min(BLOCK, PRODUCT // (size * (size + 1))), 64)
