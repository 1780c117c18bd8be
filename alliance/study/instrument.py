"""What the risk rules of a run compare with: published numbers, and those its own caseload gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alliance.dropout import Instrument, Norms, instrument_of, local_sem
from alliance.dropout.instrument import taken_up
from alliance.dropout.norms import MIN_RATINGS
from alliance.study.risks import Booked, norms_of

if TYPE_CHECKING:
    from alliance.study import Request, _Part


def instrument_for(
    request: Request, part: _Part, booked: Booked | None, notes: list[str]
) -> tuple[Instrument, Norms | None]:
    """Return what the rules may compare with, and the local norms in it; what is made of the data is told."""
    bare = instrument_of(part.scale, sem=request.sem, inclusive=request.inclusive)
    rater = part.scale.perspective
    derived = local_sem(part.tally.spread(rater)) if rater in part.tally.spreads else None
    norms = request.norms
    if norms is None and part.tally.n_scored >= MIN_RATINGS:
        norms = norms_of(part.spill, part.scale, booked, high=bare.max, until=request.today)
    instrument, told = taken_up(bare, sem=derived, norms=norms, frozen=request.norms is not None)
    notes += told
    return instrument, norms if norms is not None and norms.n else None
