"""A synthetic service as rows of the risk set and as a cohort, straight from what was drawn."""

from dataclasses import replace

import numpy as np

from alliance.dropout.ends.cohort import COMPETING, DROPOUT, ONGOING, PLANNED, Cohort
from alliance.dropout.model.rows import HORIZON, Rows
from alliance.dropout.visits import Appointments, Ratings, visits_of
from alliance.frames import ATTENDANCE
from alliance.simulate.service import REASONS, service, session_dates

ENDS_OF_REASONS = {
    "": ONGOING,
    "mutual_planned": PLANNED,
    "client_unilateral": DROPOUT,
    "therapist_ended": COMPETING,
    "external": COMPETING,
}


def service_rows(n, seed, frailty_sd=0.45, **options):
    """Rows of a service of n clients: each attended session with one planned after it and a known sequel."""
    return rows_of_drawn(service(n, seed, frailty_sd=frailty_sd, **options))


def service_rows_latent(n, seed, frailty_sd=0.45, **options):
    """The same rows with the true level as mean rating and the true departure from it as change.

    Ratings are +1 and -1 in turn: mean 0 and spread 1, so that nothing is moved or scaled.
    """
    drawn = service(n, seed, frailty_sd=frailty_sd, **options)
    rows = rows_of_drawn(drawn)
    level = drawn.level[rows.case]
    return replace(
        rows,
        rating=np.where(np.arange(len(rows)) % 2 == 0, 1.0, -1.0),
        mean_rating=level,
        change=drawn.alliance[rows.case, rows.session - 1] - level,
    )


def rows_of_drawn(drawn):
    """Rows of the risk set: t < planned and not the last session of somebody still in treatment."""
    n, most = drawn.total.shape
    session = np.broadcast_to(np.arange(1, most + 1), (n, most))
    planned, last, ongoing = drawn.planned[:, None], drawn.last[:, None], drawn.ongoing[:, None]
    there = (session <= last) & (session < planned) & ~(ongoing & (session == last))
    rating = np.where(drawn.blank, np.nan, drawn.total)
    window = np.minimum(HORIZON, planned - session)
    fate = np.where(drawn.dropout[:, None] & (last - session < window), 1.0, 0.0)
    fate[np.broadcast_to(ongoing, fate.shape) & (last - session < window)] = np.nan
    shown = np.cumsum(1 + drawn.no_show, axis=1) - 1
    lengths = shown[np.arange(n), drawn.last - 1] + 1 + drawn.last_missed
    starts = np.cumsum(lengths) - lengths
    final = session == last
    columns = {
        "case": np.broadcast_to(np.arange(n)[:, None], (n, most)),
        "client": np.broadcast_to(np.arange(n)[:, None], (n, most)),
        "therapist": np.broadcast_to(drawn.therapist[:, None], (n, most)),
        "session": session,
        "visit": starts[:, None] + shown,
        "day": session_dates(drawn).astype(np.int64),
        "y": (final & drawn.dropout[:, None]).astype(float),
        "other": (final & (drawn.end > REASONS.index("client_unilateral"))[:, None]).astype(float),
        "fate": fate,
        "window": window,
        "rating": rating,
        "mean_rating": mean_so_far(rating),
        "change": change_from_before(rating),
        "no_shows": drawn.no_show.astype(float),
        "missing": drawn.blank.astype(float),
    }
    return Rows(**{name: np.ascontiguousarray(values[there]) for name, values in columns.items()})


def mean_so_far(rating):
    """Mean of all ratings up to each session, NaN before the first."""
    known = np.isfinite(rating)
    count = np.cumsum(known, axis=1)
    total = np.cumsum(np.where(known, rating, 0), axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def change_from_before(rating):
    """Each rating minus the mean of the earlier ones; 0 for the first and where there is none."""
    before = np.full_like(rating, np.nan)
    before[:, 1:] = mean_so_far(rating)[:, :-1]
    return np.nan_to_num(rating - before)


def service_cohort(n, seed, frailty_sd=0.45, **options):
    """The cohort of a service of n clients, one treatment each."""
    return cohort_of_drawn(service(n, seed, frailty_sd=frailty_sd, **options))


def cohort_of_drawn(drawn):
    """The cohort with its visits: what was attended or missed, the next appointment of nobody."""
    n = len(drawn.last)
    dates = session_dates(drawn)
    case, place = np.nonzero(drawn.attended)
    ratings = Ratings(
        case=case,
        session=place + 1,
        rating=np.where(drawn.blank, np.nan, drawn.total)[case, place],
        date=dates[case, place],
    )
    given = appointments_of(drawn, dates)
    visits = visits_of(ratings, given, n_cases=n)
    return Cohort(
        cases=np.array([f"C{number:05d}" for number in range(1, n + 1)], dtype=object),
        client=np.arange(n),
        therapist=drawn.therapist,
        end=np.array([ENDS_OF_REASONS[reason] for reason in REASONS], dtype=np.int8)[drawn.end],
        why=np.full(n, "", dtype=object),
        planned=drawn.planned.astype(float),
        visits=visits,
        day=given.date.astype("datetime64[D]").astype(np.int64),
    )


def appointments_of(drawn, dates):
    """Appointments in order: a missed one a week before its session, or after the last one."""
    week = np.timedelta64(7, "D")
    case, place = np.nonzero(drawn.attended)
    missed_case, missed = np.nonzero(drawn.attended & drawn.no_show)
    after = np.flatnonzero(drawn.last_missed)
    who = np.concatenate([case, missed_case, after])
    date = np.concatenate(
        [dates[case, place], dates[missed_case, missed] - week, dates[after, drawn.last[after] - 1] + week]
    )
    n_missed = len(missed) + len(after)
    order = np.lexsort((date, who))
    return Appointments(
        case=who[order],
        session=np.concatenate([place + 1.0, np.full(n_missed, np.nan)])[order],
        date=date[order],
        status=np.repeat([ATTENDANCE.index("attended"), ATTENDANCE.index("no_show")], [len(case), n_missed])[
            order
        ],
    )
