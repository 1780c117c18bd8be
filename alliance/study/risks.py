"""The risk list of a whole study: judged block by block, ordered once at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from alliance.dropout import Instrument, Ratings, risk_arrays, risk_columns, sides, visits_of
from alliance.dropout.verdicts import LEVELS, percentiles, triage_order
from alliance.dropout.visits import ATTENDED, Appointments
from alliance.frames import ATTENDANCE, RISK
from alliance.scale import Scale
from alliance.study.passes import Block, Spill

Array = np.ndarray[Any, Any]

MISSED = [ATTENDANCE.index(name) for name in ("no_show", "cancel_client_late", "cancel_client")]


@dataclass(frozen=True, kw_only=True)
class Booked:
    """All appointments of a study, by the name of the case."""

    names: Array
    table: Appointments

    def of(self, names: list[str]) -> Appointments:
        """Return the appointments of some cases, numbered as those are."""
        place = {name: number for number, name in enumerate(names)}
        code = np.array([place.get(name, -1) for name in self.names.tolist()], dtype=np.int64)
        rows = np.flatnonzero(code >= 0)
        table = self.table
        return Appointments(
            case=code[rows], session=table.session[rows], date=table.date[rows], status=table.status[rows]
        )

    def missed(self, name: str) -> tuple[int, ...]:
        """Return the session that each appointment missed by the client stands before, or its own number."""
        rows = np.flatnonzero(self.names == name)
        status, session = self.table.status[rows], self.table.session[rows]
        coming = np.cumsum(status == ATTENDED) + 1
        number = np.where(np.isnan(session), coming, session).astype(np.int64)
        return tuple(number[np.isin(status, MISSED)].tolist())


def appointments_of(frame: Any) -> Booked | None:
    """Return an Appointments frame as arrays; None where attendance is not known."""
    if frame is None:
        return None
    status = {name: place for place, name in enumerate(ATTENDANCE)}
    return Booked(
        names=frame["case"].to_numpy(dtype=object),
        table=Appointments(
            case=np.zeros(len(frame), dtype=np.int64),
            session=frame["session"].astype("Float64").to_numpy(dtype=float, na_value=np.nan),
            date=frame["date"].to_numpy().astype("datetime64[D]"),
            status=frame["attendance"].map(status).to_numpy(dtype=np.int64),
        ),
    )


@dataclass(kw_only=True)
class RiskList:
    """Verdicts of all cases, in the order of the file until `order` is asked for.

    `where` holds block and place of every case; block -1 is a case without any form.
    """

    instrument: Instrument
    scale: Scale
    today: date | None = None
    parts: list[dict[str, Array]] = field(default_factory=list)
    where: list[tuple[int, int]] = field(default_factory=list)

    def add(self, block: Block, booked: Booked | None) -> None:
        """Judge the cases of one block."""
        names = block.cases.tolist() if booked else []
        ratings = Ratings(
            case=block.case,
            session=block.session,
            rating=block.scores["total"],
            side=self._sides(block),
            date=block.date,
        )
        self._judge(ratings, booked.of(names) if booked else None, block.cases, number=len(self.parts))

    def add_absent(self, spill: Spill, booked: Booked | None) -> None:
        """Judge the cases that have appointments but not a single form."""
        if booked is None:
            return
        with_form = {name for number in range(len(spill)) for name in spill.names(number).tolist()}
        names = [name for name in dict.fromkeys(booked.names.tolist()) if name not in with_form]
        if names:
            nothing = np.zeros(0, dtype=np.int64)
            self._judge(
                Ratings(case=nothing, session=nothing, rating=np.zeros(0)),
                booked.of(names),
                np.array(names, dtype=object),
                number=-1,
            )

    @cached_property
    def columns(self) -> dict[str, Array]:
        """The Risk table in triage order; to be asked for once every case is in."""
        return {name: values[self.order] for name, values in self._merged.items()}

    @cached_property
    def order(self) -> Array:
        """The cases in triage order, as places in the order of the file."""
        table = self._merged
        return triage_order(_codes(table["level"]), table["points"], table["percentile"], table["session"])

    def _sides(self, block: Block) -> Array:
        return sides(np.array(block.raters), self.scale.perspective)[block.rater]

    def _judge(
        self, ratings: Ratings, appointments: Appointments | None, cases: Array, *, number: int
    ) -> None:
        visits = visits_of(ratings, appointments, n_cases=len(cases))
        verdicts = risk_arrays(visits, self.instrument, today=self.today)
        columns = risk_columns(verdicts, np.arange(len(cases)))
        columns["case"] = cases
        columns["key"] = np.full(len(cases), self.scale.status, dtype=object)
        self.parts.append({name: columns[name] for name in RISK})
        self.where += [(number, place) for place in range(len(cases))]

    @cached_property
    def _merged(self) -> dict[str, Array]:
        merged = {name: np.concatenate([part[name] for part in self.parts]) for name in RISK}
        merged["percentile"] = percentiles(merged["last_rating"].astype(float))
        return merged


def _codes(levels: Array) -> Array:
    code = np.zeros(len(levels), dtype=np.int64)
    for place, name in enumerate(LEVELS):
        code[levels == name] = place
    return code
