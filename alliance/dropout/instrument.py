"""What the dropout rules may know about a form: its ceiling, cut-off, error of measurement, local norms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.dropout.norms import Area, Norms
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
    local_areas : session number → subscale → (mean, sd) of this caseload; goes before `areas`
    """

    id: str
    max: float
    cutoff: float | None = None
    inclusive: bool = True
    sem: float | None = None
    reference: Mapping[int, float] = field(default_factory=dict)
    areas: Mapping[str, Area] = field(default_factory=dict)
    local_areas: Mapping[int, Mapping[str, Area]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be compared with."""
        if self.sem is not None and not (isfinite(self.sem) and self.sem > 0):
            message = f"sem must be a positive number, got {self.sem:g}"
            raise ValueError(message)
        for session, limit in self.reference.items():
            if not isfinite(limit):
                message = f"reference must hold finite numbers, got {limit:g} for session {session}"
                raise ValueError(message)

    @property
    def compared(self) -> tuple[str, ...]:
        """The subscales that have a mean and a standard deviation to be compared with."""
        return tuple(
            dict.fromkeys([*self.areas, *(name for each in self.local_areas.values() for name in each)])
        )

    def with_norms(self, norms: Norms) -> Instrument:
        """Return the instrument with local norms.

        Raises
        ------
        DataError
            If they are about another score.
        """
        norms.require(self.id)
        return replace(self, reference=dict(norms.p16), local_areas=dict(norms.areas))


def instrument_of(
    scale: Scale,
    *,
    sem: float | None = None,
    reference: Mapping[int, float] | Norms | None = None,
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
    reference : Norms, or session number → score, optional
        Local norms; or the 16th percentile of the totals at each session, from at least 50 ratings each.
    inclusive : bool, optional
        Whether the cut-off itself counts as low; the definition says so if left out.

    Raises
    ------
    UsageError
        If the form does not measure the alliance, higher = better.
    DataError
        If the norms are of another form.

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
    norms = reference if isinstance(reference, Norms) else None
    bare = Instrument(
        id=scale.id,
        max=scale.bounds("total")[1],
        cutoff=None if low is None else float(low.value),
        inclusive=inclusive if inclusive is not None else low is None or low.inclusive,
        sem=sem if sem is not None else _published_sem(scale),
        reference={} if reference is None or isinstance(reference, Norms) else dict(reference),
        areas=_published_areas(scale),
    )
    return bare if norms is None else bare.with_norms(norms)


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


def told_sem(derived: float) -> str:
    """Return what a reader must know of an error of measurement that `local_sem` derived."""
    return (
        f"the standard error of measurement for the risk rules, {derived:.3g}, is derived from this "
        "caseload's neighbouring sessions; it holds real change, so the limits are wide"
    )


def taken_up(
    instrument: Instrument, *, sem: float | None, norms: Norms | None, frozen: bool
) -> tuple[Instrument, list[str]]:
    """Return the instrument with what a caseload gives, and what a reader must know of it.

    Parameters
    ----------
    instrument : Instrument
        What is published, or was given.
    sem : float, optional
        Standard error of measurement derived from the caseload; taken only where there is no other.
    norms : Norms, optional
        Local norms; without any session they are left out.
    frozen : bool
        The norms are of an earlier caseload.
    """
    notes = []
    if instrument.sem is None and sem:
        notes.append(told_sem(sem))
        instrument = replace(instrument, sem=sem)
    if norms is not None and norms.n:
        notes.append(told_norms(norms, derived=not frozen))
        instrument = instrument.with_norms(norms)
    return instrument, notes


def told_norms(norms: Norms, *, derived: bool) -> str:
    """Return what a reader must know of local norms: of this caseload (`derived`), or frozen earlier."""
    whose = "derived from this caseload" if derived else "taken from a file"
    return f"local norms for the risk rules (lowest 16 % at each session) are {whose}: {norms}"


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
