"""What the dropout rules may know about a form: its ceiling, cut-off, error of measurement, local norms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.errors import UsageError

if TYPE_CHECKING:
    from alliance.psychometrics import Spread
    from alliance.scale import Scale

Array = np.ndarray[Any, Any]

MIN_CASES_FOR_SEM = 50
MIN_PAIRS_FOR_SEM = 150


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """The numbers of one form that the rules compare with; what is None or absent is never made up.

    Attributes
    ----------
    id : str; id of the definition
    max : float; highest possible total, in score points
    cutoff : float or None; totals at it (if `inclusive`) or below it are low
    inclusive : bool; whether the cut-off itself counts as low
    sem : float or None; standard error of measurement of the total, in score points
    reference : session number → 16th percentile of the totals at that session
    areas : subscale → (mean, sd) of a reference sample, for all subscales or none
    """

    id: str
    max: float
    cutoff: float | None = None
    inclusive: bool = True
    sem: float | None = None
    reference: Mapping[int, float] = field(default_factory=dict)
    areas: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be compared with."""
        if self.sem is not None and not (isfinite(self.sem) and self.sem > 0):
            message = f"sem must be a positive number, got {self.sem:g}"
            raise ValueError(message)
        for session, limit in self.reference.items():
            if not isfinite(limit):
                message = f"reference must hold finite numbers, got {limit:g} for session {session}"
                raise ValueError(message)


def instrument_of(
    scale: Scale,
    *,
    sem: float | None = None,
    reference: Mapping[int, float] | None = None,
    inclusive: bool | None = None,
) -> Instrument:
    """Return what the definition of a form publishes, for the rules.

    Parameters
    ----------
    scale : Scale
        The scoring definition of an alliance form.
    sem : float, optional
        Standard error of measurement of the total; replaces the one that follows from the published
        standard deviation and reliability.
    reference : session number → score, optional
        16th percentile of the totals at each session, from at least 50 ratings each.
    inclusive : bool, optional
        Whether the cut-off itself counts as low; the definition says so if left out.

    Raises
    ------
    UsageError
        If the form does not measure the alliance, higher = better.

    Examples
    --------
    >>> from alliance.scale import load_scale
    >>> form = instrument_of(load_scale("wai-sr"), sem=0.3)
    >>> form.max, form.cutoff, form.sem
    (5.0, None, 0.3)
    """
    if not scale.measures_alliance:
        message = f"'{scale.id}' measures {scale.construct}: the dropout rules do not read its scores"
        raise UsageError(message, hint="judge an alliance form, such as wai-sr or srs")
    cutoff = scale.cutoff("total")
    low = cutoff if cutoff is not None and cutoff.op in {"<", "<="} else None
    return Instrument(
        id=scale.id,
        max=scale.bounds("total")[1],
        cutoff=None if low is None else float(low.value),
        inclusive=inclusive if inclusive is not None else low is None or low.inclusive,
        sem=sem if sem is not None else _published_sem(scale),
        reference=dict(reference or {}),
        areas=_published_areas(scale),
    )


def local_sem(spread: Spread) -> float | None:
    """Return the standard error of measurement that a caseload's own ratings give.

    Half the mean squared difference of neighbouring sessions, square root. It holds real change too, so
    limits made from it are wide. None unless at least 50 cases give 150 such pairs.

    Parameters
    ----------
    spread : Spread
        Successive-difference variance of the client's course in every case.
    """
    n_pairs = int(spread.pairs.sum())
    if int((spread.pairs > 0).sum()) < MIN_CASES_FOR_SEM or n_pairs < MIN_PAIRS_FOR_SEM:
        return None
    return float(np.sqrt(np.sum(spread.variance * spread.pairs) / n_pairs))


def _published_sem(scale: Scale) -> float | None:
    norm = scale.norms.get("total")
    return norm.sem if norm is not None and norm.status == "published" else None


def _published_areas(scale: Scale) -> dict[str, tuple[float, float]]:
    areas = {}
    for name in scale.subscales:
        norm = scale.norms.get(name)
        if norm is None or norm.status != "published" or norm.mean is None or not norm.sd:
            return {}
        areas[name] = (norm.mean, norm.sd)
    return areas
