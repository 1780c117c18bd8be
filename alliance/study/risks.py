"""The risk list of a whole study: judged block by block, ordered once at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from alliance.dropout import (
    Instrument,
    Norms,
    NormTally,
    Ratings,
    risk_arrays,
    risk_columns,
    sides,
    visits_of,
)
from alliance.dropout.ends.fates import NO_FATES, Fates
from alliance.dropout.model.bundle import Bundle
from alliance.dropout.model.listing import (
    MODEL_COLUMNS,
    Opinion,
    firing,
    level_codes,
    may_order,
    model_order,
    opinion,
    with_opinion,
)
from alliance.dropout.seen import Entry, seen
from alliance.dropout.verdicts import LEVELS, percentiles, triage_order
from alliance.dropout.visits import ATTENDED, Appointments, Visits
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


@dataclass(frozen=True, kw_only=True)
class OutcomeFlags:
    """The flags of an outcome system, by case and session: 1 = not on track, 0 = on track."""

    table: dict[tuple[str, int], float]

    @classmethod
    def of(cls, frame: Any) -> OutcomeFlags | None:
        """Return a frame `case session not_on_track`; None where no flag was imported."""
        if frame is None or not len(frame):
            return None
        keys = zip(frame["case"].tolist(), frame["session"].tolist(), strict=True)
        return cls(table=dict(zip(keys, frame["not_on_track"].astype(float).tolist(), strict=True)))

    def at(self, block: Block) -> Array:
        """Return the flag of each form of a block, NaN = none."""
        keys = zip(block.cases[block.case].tolist(), block.session.tolist(), strict=True)
        return np.array([self.table.get(key, np.nan) for key in keys], dtype=float)


def ratings_of(block: Block, scale: Scale, flags: OutcomeFlags | None = None) -> Ratings:
    """Return the forms of a block as the risk rules read them."""
    return Ratings(
        case=block.case,
        session=block.session,
        rating=block.scores["total"],
        side=sides(np.array(block.raters), scale.perspective)[block.rater],
        date=block.date,
        not_on_track=None if flags is None else flags.at(block),
        parts={name: block.scores[name] for name in scale.subscales},
    )


def norms_of(
    spill: Spill, scale: Scale, booked: Booked | None, *, high: float, until: date | None = None
) -> Norms:
    """Return the local norms of all blocks together; the same in whatever blocks the cases come.

    Forms dated after `until` are left out.
    """
    tally = NormTally(parts=tuple(scale.subscales))
    for number in range(len(spill)):
        block = spill.block(number)
        given = booked.of(block.cases.tolist()) if booked else None
        tally.add(visits_of(ratings_of(block, scale), given, n_cases=len(block.cases), until=until))
    return tally.norms(scale.id, high=high)


@dataclass(kw_only=True)
class RiskList:
    """Verdicts of all cases, in the order of the file until `order` is asked for.

    `where` holds block and place of every case; block -1 is a case without any form. `norms` are the local
    norms in the instrument, None without; `log` the acknowledgements, None without a log; `fates` how the
    treatments stand. A `model` has its columns beside the rules', and orders the list if it may.
    """

    instrument: Instrument
    scale: Scale
    today: date | None = None
    norms: Norms | None = None
    log: tuple[Entry, ...] | None = None
    flags: OutcomeFlags | None = None
    fates: Fates = NO_FATES
    model: Bundle | None = None
    parts: list[dict[str, Array]] = field(default_factory=list)
    where: list[tuple[int, int]] = field(default_factory=list)

    def add(self, block: Block, booked: Booked | None) -> None:
        """Judge the cases of one block."""
        given = booked.of(block.cases.tolist()) if booked else None
        self._judge(ratings_of(block, self.scale, self.flags), given, block.cases, number=len(self.parts))

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
        """The Risk table in triage order; to be asked for once every case is in.

        With a log of acknowledgements it has the column `seen`.
        """
        columns = {name: values[self.order] for name, values in self._merged.items()}
        return columns if self.log is None else {**columns, "seen": seen_texts(columns, self.log, self.today)}

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many cases there are at each level."""
        return {level: int((self._merged["level"] == level).sum()) for level in LEVELS}

    @cached_property
    def order(self) -> Array:
        """The cases in triage order, as places in the order of the file."""
        table = self._merged
        rules = "rules_level" if self.model is not None else "level"
        order = triage_order(
            level_codes(table[rules]), table["points"], table["percentile"], table["session"]
        )
        if not self.orders:
            return order
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return model_order(level_codes(table["level"]), table["p_next"], rank)

    @property
    def orders(self) -> bool:
        """Whether a model orders the list."""
        return self.model is not None and may_order(self.model)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the table, the one of acknowledgements not counted."""
        return (*RISK, *(MODEL_COLUMNS if self.model is not None else ()))

    def _judge(
        self, ratings: Ratings, appointments: Appointments | None, cases: Array, *, number: int
    ) -> None:
        visits = visits_of(ratings, appointments, n_cases=len(cases), until=self.today)
        visits = visits.with_fates(cases, ended=self.fates.ended, to_confirm=self.fates.to_confirm)
        verdicts = risk_arrays(visits, self.instrument, today=self.today)
        columns = risk_columns(verdicts, np.arange(len(cases)))
        columns["case"] = cases
        columns["key"] = np.full(len(cases), self.scale.status, dtype=object)
        if self.model is not None:
            columns = with_opinion(columns, self._opinion(self.model, visits, cases))
        self.parts.append({name: columns[name] for name in self.names})
        self.where += [(number, place) for place in range(len(cases))]

    def _opinion(self, model: Bundle, visits: Visits, cases: Array) -> Opinion:
        planned = [self.fates.planned.get(case, np.nan) for case in cases.astype(str).tolist()]
        return opinion(
            model,
            visits,
            instrument=self.scale.id,
            scoring_version=self.scale.sha256,
            planned=np.array(planned, dtype=float),
        )

    @cached_property
    def _merged(self) -> dict[str, Array]:
        merged = {name: np.concatenate([part[name] for part in self.parts]) for name in self.names}
        merged["percentile"] = percentiles(merged["last_rating"].astype(float))
        return merged


def seen_texts(columns: Mapping[str, Array], log: Sequence[Entry], today: date | None) -> Array:
    """Return what stands beside each verdict of a Risk table: when it was acknowledged; empty = not."""
    texts = np.full(len(columns["case"]), "", dtype=object)
    logged = {entry.case for entry in log}
    fired = firing(columns)
    for place, case in enumerate(columns["case"].tolist()):
        if case in logged:
            entry = seen(log, case, fired[place], today)
            texts[place] = "" if entry is None else str(entry)
    return texts
