"""Weights of the landmark model: how likely the fate of each row within its window was to be known."""

from __future__ import annotations

from typing import Any

import numpy as np

from alliance.dropout.model.rows import Rows

Array = np.ndarray[Any, Any]


def inverse_known(rows: Rows) -> Array:
    """Return one over the probability that the fate of each row is known, shape (rows,); 1 at least.

    Sessions at which a treatment still running was cut off give a censoring hazard for each session number:
    those cut off there over all that attended it. A row is there because its case was not cut off at its own
    session; for its fate to be known it has to escape from the next session up to the last one after which
    dropout would count, or to the one after which it ended. Rows without a known fate have NaN.

    References
    ----------
    Robins, J. M., & Finkelstein, D. M. (2000). https://doi.org/10.1111/j.0006-341X.2000.00779.x
    """
    last, total, cut = _histories(rows)
    longest = int(total.max(initial=0)) + 1
    reached = np.cumsum(np.bincount(total[last], minlength=longest + 1)[::-1])[::-1]
    stopped = np.bincount(total[last & cut], minlength=longest + 1)
    kept = np.cumsum(np.log1p(-np.minimum(stopped / np.maximum(reached, 1), 1 - 1e-12)))
    settled = np.minimum(rows.session + rows.window - 1, total)
    weight = np.exp(kept[rows.session] - kept[np.maximum(settled, rows.session)])
    return np.where(np.isfinite(rows.fate), weight, np.nan)


def _histories(rows: Rows) -> tuple[Array, Array, Array]:
    """Return for each row if it is its case's last, how many sessions the case attended, if it was cut off.

    After a last row without an end one more session took place; the case was cut off there if its fate stayed
    open. A case drawn twice counts twice.
    """
    other = (np.diff(rows.case) != 0) | (np.diff(rows.session) <= 0)
    last = np.append(other, True) if len(rows) else np.zeros(0, dtype=bool)
    ended = (rows.y == 1) | (rows.other == 1)
    n_rows = np.diff(np.append(-1, np.flatnonzero(last)))
    total = np.repeat((rows.session + ~ended)[last], n_rows)
    cut = np.repeat((np.isnan(rows.fate) & ~ended)[last], n_rows)
    return last, total, cut
