"""Scores and Appointments → Risk: the dropout rules on frames."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.dropout.instrument import Instrument, instrument_of
from alliance.dropout.verdicts import risk_arrays, risk_columns
from alliance.dropout.visits import CLIENT, OTHER_SIDE, OUTSIDER, Appointments, Ratings, Visits, visits_of
from alliance.frames import ATTENDANCE, RISK, check_appointments, check_scores

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

Array = np.ndarray[Any, Any]


def risk(
    scores: pd.DataFrame,
    scale: Scale,
    *,
    appointments: pd.DataFrame | None = None,
    sem: float | None = None,
    reference: Mapping[int, float] | None = None,
    inclusive: bool | None = None,
    as_of: str = "last",
    not_on_track: Any = None,
    today: date | None = None,
) -> pd.DataFrame:
    """Return Risk: a level, its points and its reasons for every case, by the rules of DRF-1.

    Online: a verdict uses nothing that came after its appointment. It is an ordinal level, never a
    probability, and NO_FLAG does not mean low risk.

    Parameters
    ----------
    scores : DataFrame
        Scores of one form. Only the client's are rated (`client`, or no rater on a client form); forms of
        the therapist or an observer show that a session was attended. A case rated by anybody else is not
        evaluable. Higher totals = better; NaN = not scored.
    scale : Scale
        The scoring definition, for the cut-off and the error of measurement of the total.
    appointments : DataFrame, optional
        Appointments `case session date attendance`, those of a case in order; the session may be missing.
        Without it no-shows are not evaluable.
    sem : float, optional
        Standard error of measurement of the total, in score points, where the definition publishes none.
    reference : session number → score, optional
        16th percentile of the total at each session, from at least 50 ratings each.
    inclusive : bool, optional
        Whether the cut-off itself counts as low; as in the definition if left out.
    as_of : {"last", "every"}
        One row per case, in triage order; or one per appointment, in order.
    not_on_track : array, optional
        One entry per row of `scores`, 1 or 0 from an outcome system, NaN = not known.
    today : date, optional
        Day of the list, for the prompt NO_NEXT_APPOINTMENT.

    Returns
    -------
    DataFrame
        Columns `frames.RISK`. `session` is the number of sessions attended; `percentile` (0 to 100) places
        the latest rating among the cases' latest ratings.

    Raises
    ------
    UsageError
        If the form does not measure the alliance, higher = better.
    ValueError
        If a frame is not what it should be, or a session of a case has two client forms.
    """
    check_scores(scores, scale.scores)
    instrument = instrument_of(scale, sem=sem, reference=reference, inclusive=inclusive)
    visits, cases = _visits(scores, scale, instrument, appointments, not_on_track)
    return _frame(
        risk_columns(risk_arrays(visits, instrument, as_of=as_of, today=today)), cases, scale.status
    )


def sides(rater: Array, perspective: str) -> Array:
    """Return who each rater code is: CLIENT, OTHER_SIDE or OUTSIDER; an empty one is the form's own side.

    >>> sides(np.array(["client", "", "therapist", "partner-a"]), "client").tolist()
    [0, 0, 1, 2]
    """
    known = np.select(
        [rater == "client", np.isin(rater, ["therapist", "observer"])], [CLIENT, OTHER_SIDE], OUTSIDER
    )
    own = CLIENT if perspective == "client" else OTHER_SIDE
    return np.where(rater == "", own, known)


def _visits(
    scores: pd.DataFrame,
    scale: Scale,
    instrument: Instrument,
    appointments: pd.DataFrame | None,
    not_on_track: Any,
) -> tuple[Visits, Array]:
    import pandas as pd

    ids = [scores["case"].astype(object)]
    if appointments is not None:
        check_appointments(appointments)
        ids.append(appointments["case"].astype(object))
    code, cases = pd.factorize(pd.concat(ids, ignore_index=True))
    ratings = Ratings(
        case=code[: len(scores)],
        session=scores["session"].to_numpy(dtype=np.int64),
        rating=scores["total"].to_numpy(dtype=float),
        side=sides(scores["rater"].astype(object).fillna("").to_numpy().astype(str), scale.perspective),
        date=_dates(scores["date"]),
        not_on_track=_flags(not_on_track, len(scores)),
        parts={name: scores[name].to_numpy(dtype=float) for name in instrument.areas},
    )
    booked = None if appointments is None else _appointments(appointments, code[len(scores) :])
    return visits_of(ratings, booked, n_cases=len(cases)), np.asarray(cases, dtype=object)


def _appointments(frame: pd.DataFrame, code: Array) -> Appointments:
    names = {name: place for place, name in enumerate(ATTENDANCE)}
    return Appointments(
        case=code,
        session=frame["session"].astype(object).to_numpy(dtype=float, na_value=np.nan),
        date=_dates(frame["date"]),
        status=frame["attendance"].map(names).to_numpy(dtype=np.int64),
    )


def _dates(column: pd.Series[Any]) -> Array:
    import pandas as pd

    return pd.to_datetime(column).to_numpy().astype("datetime64[D]")


def _flags(not_on_track: Any, n_forms: int) -> Array | None:
    if not_on_track is None:
        return None
    import pandas as pd

    flags = pd.array(not_on_track).to_numpy(dtype=float, na_value=np.nan)
    if flags.shape != (n_forms,):
        message = f"not_on_track must have one entry per row of scores ({n_forms}), got {flags.shape[0]}"
        raise ValueError(message)
    return np.asarray(flags)


def _frame(columns: dict[str, Array], cases: Array, key: str) -> pd.DataFrame:
    import pandas as pd

    columns["case"] = cases[columns["case"]]
    frame = pd.DataFrame(columns, columns=list(RISK)).assign(key=key)
    return frame.astype({"rating_age": "Int64"})
