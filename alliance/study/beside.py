"""What stands beside the forms of a study: appointments and treatments, from the same file or others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from alliance.dropout.ends.fates import NO_FATES, Fates, fates_of, known_on
from alliance.dropout.model.bundle import Bundle
from alliance.dropout.model.listing import told
from alliance.dropout.model.upkeep import kept_up

if TYPE_CHECKING:
    from alliance.readers import Loaded, ReadOptions
    from alliance.study import Request


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Appointments, None where attendance is not known, and Treatments, None where nothing tells of them."""

    appointments: Any = None
    treatments: Any = None


def read_treatments_of(request: Request, options: ReadOptions) -> Any:
    """Return the Treatments of the files of episodes; None without such files."""
    from alliance.readers import read_treatments

    return read_treatments(request.episodes, options=_beside(options)) if request.episodes else None


def beside_of(request: Request, loaded: Loaded, treatments: Any, options: ReadOptions) -> Beside:
    """Return what stands beside the forms; without files of their own, what the study file says itself."""
    from alliance.readers import read_attendance, treatments_of

    appointments = loaded.appointments if len(loaded.appointments) else None
    if request.attendance:
        appointments = read_attendance(request.attendance, options=_beside(options), treatments=treatments)
    if treatments is None:
        treatments = treatments_of(loaded, date_format=options.date_format or "")
    return Beside(appointments=appointments, treatments=treatments)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How treatments stand, and a model as it may be used on them, with what must be told of it."""

    fates: Fates = NO_FATES
    model: Bundle | None = None
    notes: tuple[str, ...] = ()


NOTHING = Standing()
"""Nothing is known beside the forms."""


def standing(loaded: Loaded, beside: Beside, request: Request) -> Standing:
    """Return how the treatments of the alliance form's cases stand, and whether a model still fits them."""
    from alliance.scoring import score

    form = next((each for each in loaded.scales.values() if each.measures_alliance), None)
    treatments, appointments, model = beside.treatments, beside.appointments, request.model
    if form is None or (treatments is None and model is None):
        return Standing(model=model)
    scores = score(loaded.responses[form.id], form)
    if request.today is not None:
        scores, treatments, appointments = known_on(request.today, scores, treatments, appointments)
    fates = fates_of(scores, form, treatments, appointments)
    if model is None:
        return Standing(fates=fates)
    kept, drift = kept_up(model, scores, form, treatments=treatments, appointments=appointments)
    return Standing(fates=fates, model=kept, notes=(told(kept), drift))


def _beside(options: ReadOptions) -> ReadOptions:
    """Return the options for files beside the ratings: not the mapping, sheet or missing codes of these."""
    return replace(options, mapping=None, sheet=None, missing=(), keep=None)
