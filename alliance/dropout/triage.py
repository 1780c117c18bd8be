"""Scores and Appointments → Risk: the dropout rules on frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import MAX_GAP_DAYS, Courses
from alliance.dropout.instrument import Instrument, instrument_of, local_sem
from alliance.dropout.norms import Norms, NormTally
from alliance.dropout.verdicts import Verdicts, risk_arrays, risk_columns
from alliance.dropout.visits import CLIENT, OTHER_SIDE, OUTSIDER, Appointments, Ratings, Visits, visits_of
from alliance.frames import ATTENDANCE, RISK, check_appointments, check_scores
from alliance.psychometrics import successive_spread

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
    reference: Mapping[int, float] | Norms | None = None,
    inclusive: bool | None = None,
    as_of: str = "last",
    not_on_track: Any = None,
    today: date | None = None,
    ended: Collection[str] = (),
    to_confirm: Collection[str] = (),
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
    reference : Norms, or session number → score, optional
        Local norms, as `local_norms` makes them; or the 16th percentile of the total at each session, from
        at least 50 ratings each. Norms of the whole caseload look ahead for all but today's list.
    inclusive : bool, optional
        Whether the cut-off itself counts as low; as in the definition if left out.
    as_of : {"last", "every"}
        One row per case, in triage order; or one per appointment, in order.
    not_on_track : array, optional
        One entry per row of `scores`, 1 or 0 from an outcome system, NaN = not known.
    today : date, optional
        Day of the list: nothing dated later is known, and the prompt NO_NEXT_APPOINTMENT counts from it.
    ended : collection of str
        Cases whose treatment has ended, as recorded: no next appointment is missed there.
    to_confirm : collection of str
        Cases that are ongoing on record and presumed over, for the prompt CONFIRM_STATUS of today's list.

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
    instrument = instrument_of(scale, sem=sem, reference=reference, inclusive=inclusive)
    return judge(
        scores,
        scale,
        instrument,
        appointments=appointments,
        as_of=as_of,
        not_on_track=not_on_track,
        today=today,
        ended=ended,
        to_confirm=to_confirm,
    ).frame()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Verdicts with the names of the cases, and the appointments they are about."""

    verdicts: Verdicts
    visits: Visits
    cases: Array
    scale: Scale

    def frame(self) -> pd.DataFrame:
        """Return Risk, in triage order."""
        return _frame(risk_columns(self.verdicts), self.cases, self.scale.status)


def judge(
    scores: pd.DataFrame,
    scale: Scale,
    instrument: Instrument,
    *,
    appointments: pd.DataFrame | None = None,
    as_of: str = "last",
    not_on_track: Any = None,
    today: date | None = None,
    ended: Collection[str] = (),
    to_confirm: Collection[str] = (),
) -> Judged:
    """Return the verdicts of `risk` as arrays, for who needs more than the table."""
    check_scores(scores, scale.scores)
    visits, cases = _visits(scores, scale, appointments, not_on_track, until=today)
    visits = visits.with_fates(cases, ended=ended, to_confirm=to_confirm)
    return Judged(
        verdicts=risk_arrays(visits, instrument, as_of=as_of, today=today),
        visits=visits,
        cases=cases,
        scale=scale,
    )


def local_norms(
    scores: pd.DataFrame,
    scale: Scale,
    *,
    appointments: pd.DataFrame | None = None,
    until: date | None = None,
) -> Norms:
    """Return the local norms of a caseload: what its own clients scored at each session.

    For every number of sessions attended with at least 50 ratings: the 16th percentile of the clients'
    totals, and mean and standard deviation of the subscales. One rating per case and session enters; cases
    rated by somebody the rules do not know are left out. To be given to `risk` as `reference=`.

    Parameters
    ----------
    scores : DataFrame
        Scores of one form, higher = better; NaN = not scored.
    scale : Scale
        The scoring definition of an alliance form.
    appointments : DataFrame, optional
        Appointments, as for `risk`: they tell which session a form belongs to.
    until : date, optional
        Forms dated later are left out.

    Returns
    -------
    Norms
        A session whose 16th percentile is the highest possible total has none: low ratings do not stand out.

    Raises
    ------
    UsageError
        If the form does not measure the alliance, higher = better.
    ValueError
        If a frame is not what it should be, or a session of a case has two client forms.

    Examples
    --------
    >>> import pandas as pd
    >>> from alliance.scale import load_scale
    >>> keys = {"session": 1, "date": pd.NaT, "therapist": "", "rater": "client"}
    >>> scores = pd.DataFrame({"case": range(50), "total": [30.0] * 10 + [38.0] * 40, **keys})
    >>> print(local_norms(scores, load_scale("srs")))
    session 1, from 50 ratings each
    """
    check_scores(scores, scale.scores)
    instrument = instrument_of(scale)
    visits, _ = _visits(scores, scale, appointments, None, until=until)
    tally = NormTally(parts=tuple(scale.subscales))
    tally.add(visits)
    return tally.norms(scale.id, high=instrument.max)


def caseload_sem(scores: pd.DataFrame, scale: Scale, *, max_gap_days: float = MAX_GAP_DAYS) -> float | None:
    """Return the standard error of measurement that the clients' neighbouring sessions give, or None.

    See `local_sem`: None unless at least 50 cases give 150 pairs.
    """
    by_client = sides(_raters(scores), scale.perspective) == CLIENT
    rows = scores[by_client].assign(_case=scores.loc[by_client, "case"].factorize()[0])
    rows = rows.sort_values(["_case", "session"], kind="stable")
    day = days_of(rows["date"])
    total = Courses(
        values=rows["total"].to_numpy(dtype=float),
        session=rows["session"].to_numpy(dtype=np.int64),
        starts=np.flatnonzero(np.diff(rows["_case"].to_numpy(), prepend=-1)),
        day=np.where(np.isnat(day), np.nan, day.astype(np.int64).astype(float)),
        max_gap_days=max_gap_days,
    )
    return local_sem(successive_spread(total))


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
    appointments: pd.DataFrame | None,
    not_on_track: Any,
    *,
    until: date | None = None,
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
        side=sides(_raters(scores), scale.perspective),
        date=days_of(scores["date"]),
        not_on_track=_flags(not_on_track, len(scores)),
        parts={name: scores[name].to_numpy(dtype=float) for name in scale.subscales},
    )
    booked = None if appointments is None else appointment_arrays(appointments, code[len(scores) :])
    return visits_of(ratings, booked, n_cases=len(cases), until=until), np.asarray(cases, dtype=object)


def _raters(scores: pd.DataFrame) -> Array:
    return scores["rater"].astype(object).fillna("").to_numpy().astype(str)


def appointment_arrays(frame: pd.DataFrame, code: Array) -> Appointments:
    """Return an Appointments frame as arrays; `code` numbers the case of each row."""
    names = {name: place for place, name in enumerate(ATTENDANCE)}
    return Appointments(
        case=code,
        session=frame["session"].astype(object).to_numpy(dtype=float, na_value=np.nan),
        date=days_of(frame["date"]),
        status=frame["attendance"].map(names).to_numpy(dtype=np.int64),
    )


def days_of(column: pd.Series[Any]) -> Array:
    """Return a column of dates as datetime64[D], NaT = not known."""
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
