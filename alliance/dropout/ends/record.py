"""Frames → Record: every treatment's visits, end to end, and the Facts that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.dropout.ends.facts import NO_DAY, NOT_GIVEN, Facts
from alliance.dropout.triage import appointment_arrays, days_of, sides
from alliance.dropout.visits import ATTENDED, CANCEL_CLINIC, Ratings, Visits, visits_of
from alliance.frames import END_REASONS, END_SOURCES, STATUSES

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Treatments with their visits, cases end to end.

    Attributes
    ----------
    cases : object, shape (cases,)
    client, therapist : int, shape (cases,); codes, therapist -1 = not known
    treated : bool, shape (cases,); a row of Treatments says how the case ended
    booked : bool, shape (cases,); any appointment of the case is on record
    visits : Visits
    day : int64, shape (visits,)
    row : int64, shape (cases,); row of the case in Treatments, -1 = none
    reach : int; latest day in the data, `NO_DAY` = no date at all, or every treatment says it itself
    """

    cases: Array
    client: Array
    therapist: Array
    treated: Array
    booked: Array
    visits: Visits
    day: Array
    row: Array
    reach: int

    def facts(self, treatments: pd.DataFrame, *, improved: Array | None = None) -> Facts:
        """Return what is recorded of each treatment."""
        observed = self.of_treatment(_days(treatments["observed_until"]), NO_DAY)
        observed = np.where(observed == NO_DAY, self.reach, observed)
        attended, last_attended, median_gap = self._sessions()
        missed, missed_day = self._last_due()
        following = self.visits.next_booked
        booked = np.full(len(self.cases), NO_DAY) if following is None else following
        return Facts(
            status=self.of_treatment(_codes(treatments["status"], STATUSES), NOT_GIVEN),
            reason=self.of_treatment(_codes(treatments["end_reason"], END_REASONS), NOT_GIVEN),
            source=self.of_treatment(_codes(treatments["end_reason_source"], END_SOURCES), NOT_GIVEN),
            planned=self.of_treatment(_numbers(treatments["planned_sessions"]), np.nan),
            attended=attended,
            attendance_known=self.booked,
            missed=missed,
            missed_day=missed_day,
            next_attended=self._next_attended(missed_day),
            observed_until=observed,
            last_attended=last_attended,
            median_gap=median_gap,
            booked=np.where(self.booked, ((booked != NO_DAY) & (booked >= observed)).astype(float), np.nan),
            improved=improved,
        )

    def of_treatment(self, values: Array, otherwise: Any) -> Array:
        """Return a column of Treatments by case, `otherwise` for a case without a row."""
        if not len(values):
            return np.full(len(self.cases), otherwise)
        return np.where(self.row >= 0, values[self.row], otherwise)

    def _sessions(self) -> tuple[Array, Array, Array]:
        """Return sessions attended, day of the last one, and the median gap between those with a date."""
        visits, n_cases = self.visits, len(self.cases)
        attended, last = np.zeros(n_cases, dtype=np.int64), np.full(n_cases, NO_DAY)
        np.maximum.at(attended, visits.case, visits.session)
        held = np.flatnonzero((visits.status == ATTENDED) & (self.day != NO_DAY))
        np.maximum.at(last, visits.case[held], self.day[held])
        case, day = visits.case[held], self.day[held]
        order = np.lexsort((day, case))
        neighbours = np.diff(case[order]) == 0
        gaps = np.diff(day[order])[neighbours]
        return attended, last, _medians(case[order][1:][neighbours], gaps, n_cases)

    def _last_due(self) -> tuple[Array, Array]:
        """Return whether the last appointment that was due was missed by the client, and its day."""
        visits = self.visits
        due = np.flatnonzero(visits.status != CANCEL_CLINIC)
        place = np.full(len(self.cases), -1, dtype=np.int64)
        np.maximum.at(place, visits.case[due], due)
        known = (place >= 0) & self.booked
        if not len(visits.status):
            return np.full(len(place), np.nan), np.full(len(place), NO_DAY)
        missed = np.where(known, (visits.status[place] != ATTENDED).astype(float), np.nan)
        return missed, np.where(missed == 1, self.day[place], NO_DAY)

    def _next_attended(self, day: Array) -> Array:
        """Return the first day after `day` on which the client attended a session of any treatment."""
        held = np.flatnonzero((self.visits.status == ATTENDED) & (self.day != NO_DAY))
        days = np.unique(self.day[held])
        if not len(held):
            return np.full(len(day), NO_DAY)
        width = len(days) + 1
        known = np.unique(self.client[self.visits.case[held]] * width + np.searchsorted(days, self.day[held]))
        wanted = self.client * width + np.searchsorted(days, day, side="right")
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        found = (known[place] >= wanted) & (known[place] // width == self.client) & (day != NO_DAY)
        return np.where(found, days[np.minimum(known[place] % width, len(days) - 1)], NO_DAY)


def record_of(
    forms: pd.DataFrame,
    scale: Scale,
    treatments: pd.DataFrame,
    appointments: pd.DataFrame | None,
    columns: Sequence[str],
) -> Record:
    """Return the record of all treatments, and of the cases that only have forms or appointments.

    `columns` of `forms` come along as parts of the visits.
    """
    import pandas as pd

    frames = [forms, treatments] if appointments is None else [forms, treatments, appointments]
    named = pd.concat([frame["case"].astype(object) for frame in frames], ignore_index=True)
    code, cases = pd.factorize(named)
    n_forms, n_rows = len(forms), len(treatments)
    booked = None if appointments is None else appointment_arrays(appointments, code[n_forms + n_rows :])
    visits = visits_of(_ratings(forms, scale, code[:n_forms], columns), booked, n_cases=len(cases))
    row = np.full(len(cases), -1, dtype=np.int64)
    row[code[n_forms : n_forms + n_rows]] = np.arange(n_rows)
    there = np.zeros(len(cases), dtype=bool)
    if booked is not None:
        there[booked.case] = True
    day = np.full(len(visits.rating), NO_DAY) if visits.day is None else visits.day
    names = np.asarray(cases, dtype=object)
    return Record(
        cases=names,
        client=_clients(names, treatments, row),
        therapist=_therapists(names, forms, treatments, row),
        treated=row >= 0,
        booked=there,
        visits=visits,
        day=day,
        row=row,
        reach=_reach(treatments, day),
    )


def _ratings(forms: pd.DataFrame, scale: Scale, code: Array, columns: Sequence[str]) -> Ratings:
    return Ratings(
        case=code,
        session=forms["session"].to_numpy(dtype=np.int64),
        rating=forms["total"].to_numpy(dtype=float),
        side=sides(forms["rater"].astype(object).fillna("").to_numpy().astype(str), scale.perspective),
        date=days_of(forms["date"]),
        parts={name: forms[name].to_numpy(dtype=float) for name in columns},
    )


def _clients(cases: Array, treatments: pd.DataFrame, row: Array) -> Array:
    import pandas as pd

    known = _texts(treatments["client"])
    names = cases.copy()
    if len(known):
        names = np.where((row >= 0) & (known[row] != ""), known[row], cases)
    return pd.factorize(names)[0].astype(np.int64)


def _therapists(cases: Array, forms: pd.DataFrame, treatments: pd.DataFrame, row: Array) -> Array:
    """Return a code for each case: as in Treatments, else the first one named on the forms of the case."""
    import pandas as pd

    named = forms.assign(therapist=_texts(forms["therapist"]))
    first = named[named["therapist"] != ""].drop_duplicates("case").set_index("case")["therapist"]
    names = first.reindex(cases).fillna("").to_numpy(dtype=object)
    said = _texts(treatments["therapist"])
    if len(said):
        names = np.where((row >= 0) & (said[row] != ""), said[row], names)
    codes: Array = pd.factorize(pd.Series(names, dtype=object).replace("", np.nan))[0]
    return codes.astype(np.int64)


def _reach(treatments: pd.DataFrame, day: Array) -> int:
    if len(treatments) and treatments["observed_until"].notna().all():
        return int(NO_DAY)
    latest = int(day.max(initial=NO_DAY))
    return max(latest, int(_days(treatments["start_date"]).max(initial=NO_DAY)))


def _medians(case: Array, values: Array, n_cases: int) -> Array:
    """Return the median of the values of each case, NaN without any."""
    order = np.lexsort((values, case))
    ordered, count = values[order].astype(float), np.bincount(case, minlength=n_cases)
    if not len(ordered):
        return np.full(n_cases, np.nan)
    first = np.cumsum(count) - count
    most = len(ordered) - 1
    low = ordered[np.minimum(first + np.maximum(count - 1, 0) // 2, most)]
    high = ordered[np.minimum(first + count // 2, most)]
    return np.where(count > 0, (low + high) / 2, np.nan)


def _codes(column: pd.Series[Any], known: Sequence[str]) -> Array:
    places = {name: place for place, name in enumerate(known)}
    return column.map(places).fillna(NOT_GIVEN).to_numpy(dtype=np.int64)


def _numbers(column: pd.Series[Any]) -> Array:
    return column.astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def _texts(column: pd.Series[Any]) -> Array:
    return column.astype(object).fillna("").to_numpy(dtype=object)


def _days(column: pd.Series[Any]) -> Array:
    return days_of(column).astype(np.int64)
