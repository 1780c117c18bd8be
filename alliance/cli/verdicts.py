"""A file of forms → the verdicts of the dropout rules on its cases, and a model's beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance.cli.loading import read_values
from alliance.cli.modelling import read_model
from alliance.cli.options import Source, cutoff_edge

if TYPE_CHECKING:
    from alliance.cli.treatments import StudyData
    from alliance.dropout import Norms
    from alliance.dropout.ends.fates import Fates
    from alliance.dropout.model.listing import Opinion
    from alliance.dropout.triage import Judged


@dataclass(frozen=True, kw_only=True)
class Found:
    """The verdicts on a file, the local norms they were made with, and what must be told of the list.

    `said` is what a model says of the cases, `definition` the dropout definition it was built on. `left_out`
    are cases that are not listed.
    """

    data: StudyData
    judged: Judged
    norms: Norms | None
    notes: tuple[str, ...]
    fates: Fates
    said: Opinion | None = None
    definition: str | None = None
    left_out: frozenset[str] = frozenset()

    def table(self) -> dict[str, Any]:
        """Return the list, cases in its order."""
        from alliance.dropout.model.listing import listed

        columns = listed(self.judged, self.said)
        kept = [case not in self.left_out for case in columns["case"].astype(str).tolist()]
        return {name: values[kept] for name, values in columns.items()}


def risk_of(
    file: Path,
    source: Source,
    *,
    attendance: Sequence[Path] | None = None,
    episodes: Sequence[Path] | None = None,
    sem: float | None = None,
    norms: Norms | None = None,
    style: str = "published",
    today: date | None = None,
    quiet: bool = False,
) -> Found:
    """Return the verdicts on the cases of a file; what is taken up from the caseload is among the notes."""
    from alliance.cli.treatments import load_study
    from alliance.dropout import caseload_sem, instrument_of, judge, local_norms
    from alliance.dropout.ends.fates import fates_of
    from alliance.dropout.instrument import taken_up
    from alliance.dropout.verdicts import NO_ATTENDANCE

    data = load_study([file], source, episodes=episodes, attendance=attendance, quiet=quiet)
    data, later = _as_of(data, today)
    form = data.form
    known = norms or local_norms(data.scores, form, appointments=data.appointments, until=today)
    instrument, notes = taken_up(
        instrument_of(form, sem=sem, inclusive=cutoff_edge(style, form)),
        sem=caseload_sem(data.scores, form),
        norms=known,
        frozen=norms is not None,
    )
    fates = fates_of(data.scores, form, data.treatments, data.appointments)
    judged = judge(
        data.scores,
        form,
        instrument,
        appointments=data.appointments,
        not_on_track=_flags(data),
        today=today,
        ended=fates.ended,
        to_confirm=fates.to_confirm,
    )
    told = [*later, *notes, *([] if data.appointments is not None else [NO_ATTENDANCE])]
    return Found(data=data, judged=judged, norms=known if known.n else None, notes=tuple(told), fates=fates)


def _as_of(data: StudyData, today: date | None) -> tuple[StudyData, list[str]]:
    """Return the study as it was known on a day, and how many forms are dated later.

    Later appointments stay, as booked: `visits_of` sees to that.
    """
    if today is None:
        return data, []
    from alliance.dropout.ends.fates import known_on

    known = known_on(today, data.scores, data.treatments, data.appointments)
    n = len(data.scores) - len(known[0])
    cut = replace(data, scores=known[0], treatments=known[1], appointments=known[2])
    return cut, [f"{n} forms are dated after {today} and left out: the list is as of that day"] if n else []


def with_model(found: Found, path: Path) -> Found:
    """Return the verdicts with what a model says beside them."""
    import numpy as np

    from alliance.dropout.model.listing import opinion, told
    from alliance.dropout.model.upkeep import kept_up

    data, form, judged = found.data, found.data.form, found.judged
    bundle, drift = kept_up(
        read_model(path),
        data.scores,
        form,
        treatments=data.treatments,
        appointments=data.appointments,
    )
    planned = [found.fates.planned.get(case, np.nan) for case in judged.cases.astype(str).tolist()]
    said = opinion(
        bundle,
        judged.visits,
        instrument=form.id,
        scoring_version=form.sha256,
        planned=np.array(planned, dtype=float),
    )
    definition = bundle.content["definition"]["id"]
    return replace(found, said=said, definition=definition, notes=(*found.notes, told(bundle), drift))


def of_today(found: Found, *, ongoing: bool) -> Found:
    """Return the verdicts without treatments that have ended on record, or a note that they are in."""
    ended = found.fates.ended & frozenset(found.judged.cases.astype(str).tolist())
    if ongoing:
        return replace(found, left_out=ended)
    if not ended:
        return found
    n = len(found.judged.cases)
    note = f"{len(ended)} of {n} treatments have ended on record; --ongoing leaves them out"
    return replace(found, notes=(*found.notes, note))


def read_norms(path: Path | None) -> Norms | None:
    """Return the norms of a file of --write-norms, or of the manifest of an analysis; None without one."""
    if path is None:
        return None
    from alliance.dropout import Norms

    return Norms.from_json(read_values(path))


def _flags(data: StudyData) -> Any:
    """Return the imported flag of each form, or None where there is none at all."""
    if not len(data.outcome_flags):
        return None
    keys = ["case", "session"]
    return data.scores[keys].merge(data.outcome_flags, on=keys, how="left")["not_on_track"].to_numpy()
