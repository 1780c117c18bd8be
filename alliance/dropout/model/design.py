"""Rows → the columns of a regression, standardised by numbers of the training rows alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance.dropout.model.rows import Rows
from alliance.errors import DataError, UsageError, unknown_name

Array = np.ndarray[Any, Any]

TIMES = ("log", "linear", "quadratic", "cubic", "dummies")
POWERS = ("session", "session_squared", "session_cubed")

MOST_DUMMIES = 8
LEAST_EVENTS = 10
"""A term for each session asks for this many dropouts after each one, by design."""

INDEPENDENT = 1e-6
"""Share of a column's length beyond what the columns before it explain, below which it says nothing new."""

ENOUGH = 50_000
"""Rows from which the percentiles of a column are known well enough."""

MISSING = "_missing"
_PERCENT_LOW, _PERCENT_HIGH = 1, 99

WORDS = {
    "log_session": "number of sessions attended (logarithm)",
    "session": "number of sessions attended",
    "session_squared": "number of sessions attended, squared",
    "session_cubed": "number of sessions attended, cubed",
    "level": "mean rating so far",
    "change": "latest rating against the mean of the earlier ones",
    "no_shows": "appointments missed without notice since the session before",
    "missing": "no rating for this session",
}

DEMOGRAPHIC = frozenset({
    "age", "sex", "gender", "ethnicity", "ethnic", "race", "nationality", "migration", "migrant", "country",
    "birthplace", "language", "religion", "education", "school", "schooling", "income", "occupation",
    "profession", "employment", "employed", "unemployed", "marital", "married", "relationship", "partnership",
    "children", "household", "housing", "disability", "disabled", "orientation", "insurance", "postcode",
    "zip", "neighbourhood", "neighborhood", "class", "caste", "birth", "birthdate", "birthyear", "pregnant",
})  # fmt: skip
"""Words that make the name of a covariate a demographic one."""

THERAPIST = frozenset({"therapist", "clinician", "counsellor", "counselor", "psychologist", "practitioner"})
"""Words that name who treats; never a predictor."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Mean and standard deviation of the ratings in the training rows, in score points."""

    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a design: the raw quantity minus `centre`, divided by `scale`.

    `low` and `high` are the 1st and 99th percentile of the raw quantity in the training rows.
    """

    name: str
    words: str
    centre: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Design:
    """The columns of a regression without its intercept, what they were taken from, and what was left out."""

    columns: tuple[Column, ...]
    reference: Reference
    limits: tuple[str, ...] = ()


def design_of(
    rows: Rows, *, time: str, covariates: Sequence[str] = (), strict: bool = True
) -> tuple[Design, Array]:
    """Return the design that these training rows allow, and its matrix over them.

    Parameters
    ----------
    rows : Rows
        The training rows. Their numbers, and no others, centre and scale the columns.
    time : {"log", "linear", "quadratic", "cubic", "dummies"}
        How the hazard may depend on the session number.
    covariates : names in `rows.covariates`
    strict : bool
        Whether to refuse sessions with too few dropouts for dummies, and covariates that say nothing new.
        Without it such columns are left out, as in a resample of rows that were accepted once.

    Raises
    ------
    UsageError
        If the time or a covariate is unknown, or a covariate may not be one.
    DataError
        If the data do not allow dummies, or a covariate says nothing new.
    """
    _check_time(time, rows, strict=strict)
    _check_covariates(covariates, rows)
    reference = _reference(rows)
    wanted = [*_time_columns(time, rows), *_own_columns(reference), *_covariate_columns(covariates, rows)]
    columns = matrix(wanted, rows)
    news = dependence(columns) > INDEPENDENT
    own = len(wanted) - _n_user(wanted, covariates)
    limits = _left_out(wanted, rows, news[1:], own=own, strict=strict)
    kept = [each for each, new in zip(wanted, news[1:], strict=True) if new]
    few = _some(rows)
    design = Design(
        columns=tuple(_with_range(each, few) for each in kept), reference=reference, limits=tuple(limits)
    )
    return design, columns if news.all() else columns.T[news].T


def matrix(columns: Sequence[Column], rows: Rows) -> Array:
    """Return the design with a leading column of ones, shape (rows, 1 + columns), one column after the other.

    What is not known is at its training mean: the level of a case never rated, a covariate not recorded.
    """
    across = np.empty((len(columns) + 1, len(rows)))
    across[0] = 1.0
    dummies = dummies_of(columns)
    for place, column in enumerate(columns, start=1):
        values_of(column, rows, dummies, out=across[place])
    return across.T


def values_of(column: Column, rows: Rows, dummies: Array, out: Array | None = None) -> Array:
    """Return one column, shape (rows,); `dummies` lists the sessions that have a term of their own.

    It is written into `out`, if that is given.
    """
    values = np.asarray(np.subtract(raw_of(column, rows, dummies), column.centre, out=out), dtype=float)
    values /= column.scale
    if column.name in POWERS:
        values **= POWERS.index(column.name) + 1
    else:
        np.copyto(values, 0.0, where=np.isnan(values))
    return values


def raw_of(column: Column, rows: Rows, dummies: Array) -> Array:
    """Return the raw quantity behind a column, shape (rows,), NaN = not known."""
    name = column.name
    if name == "log_session":
        return np.log(rows.session)
    if name in POWERS:
        return rows.session.astype(float)
    if name in _RAW:
        return np.asarray(getattr(rows, _RAW[name]))
    if name in rows.covariates:
        return rows.covariates[name]
    if name.removesuffix(MISSING) in rows.covariates:
        return np.isnan(rows.covariates[name.removesuffix(MISSING)]).astype(float)
    if session_of(name) is None:
        message = f"rows must hold the covariate {name}, got {', '.join(rows.covariates) or 'none'}"
        raise ValueError(message)
    place = np.searchsorted(dummies, rows.session, side="right") - 1
    reached = np.where(place >= 0, dummies[np.maximum(place, 0)], -1)
    return np.asarray(reached == session_of(name)).astype(float)


_RAW = {"level": "mean_rating", "change": "change", "no_shows": "no_shows", "missing": "missing"}


def dummies_of(columns: Sequence[Column]) -> Array:
    """Return the sessions that have a term of their own, ascending; a later one counts as the last one."""
    found = (session_of(each.name) for each in columns)
    return np.array(sorted(each for each in found if each is not None), dtype=np.int64)


def session_of(name: str) -> int | None:
    """Return the session that a term stands for alone, None for every other term.

    >>> session_of("session_4"), session_of("session_length"), session_of("4")
    (4, None, None)
    """
    number = name.removeprefix("session_")
    return int(number) if number != name and number.isdigit() else None


def is_demographic(name: str) -> bool:
    """Return whether a covariate's name is that of a demographic trait.

    >>> is_demographic("client_age"), is_demographic("agenda"), is_demographic("maritalStatus")
    (True, False, True)
    """
    return not DEMOGRAPHIC.isdisjoint(_words_of(name))


def is_therapist(name: str) -> bool:
    """Return whether a covariate's name says who treats."""
    return not THERAPIST.isdisjoint(_words_of(name))


def _words_of(name: str) -> set[str]:
    spaced = "".join(f" {each}" if each.isupper() else each if each.isalpha() else " " for each in name)
    return {*spaced.lower().split(), "".join(spaced.lower().split())}


def _check_time(time: str, rows: Rows, *, strict: bool) -> None:
    if time not in TIMES:
        what, hint = unknown_name("time", time, TIMES)
        raise UsageError(what, hint=hint)
    if time != "dummies" or not strict:
        return
    session, place = np.unique(rows.session, return_inverse=True)
    events = np.bincount(place, weights=rows.y, minlength=len(session))
    few = np.flatnonzero(events < LEAST_EVENTS)
    if len(session) > MOST_DUMMIES or len(few):
        what = (
            f"a term for each session needs at most {MOST_DUMMIES} sessions "
            f"with at least {LEAST_EVENTS} dropouts each"
        )
        raise DataError(
            what,
            where=[f"{len(session)} sessions in the data"] * (len(session) > MOST_DUMMIES)
            + [f"session {session[each]}: {int(events[each])} dropouts" for each in few],
            hint="choose log, linear, quadratic or cubic time",
        )


def _check_covariates(covariates: Sequence[str], rows: Rows) -> None:
    for name in covariates:
        if name not in rows.covariates:
            what, hint = unknown_name("covariate", name, rows.covariates)
            raise UsageError(what, hint=hint)
        if name in WORDS or session_of(name) is not None or name.endswith(MISSING):
            message = f"a covariate may not be called '{name}', the name of a term of the model"
            raise UsageError(message, hint="rename the column")
        if is_therapist(name):
            message = f"'{name}' says who treats, which is never a predictor of dropout here"
            raise UsageError(message, hint="leave it out; standard errors allow for therapists")
    doubled = sorted({name for name in covariates if list(covariates).count(name) > 1})
    if doubled:
        message = f"the covariate '{doubled[0]}' is given more than once"
        raise UsageError(message, hint="name each covariate once")


def _reference(rows: Rows) -> Reference:
    rating = rows.rating[np.isfinite(rows.rating)]
    mean = float(rating.mean()) if len(rating) else 0.0
    sd = float(rating.std(ddof=1)) if len(rating) > 1 else 0.0
    return Reference(mean=mean, sd=sd if sd > INDEPENDENT * max(1.0, abs(mean)) else 1.0)


def _time_columns(time: str, rows: Rows) -> Iterator[Column]:
    if time == "log":
        yield Column(name="log_session", words=WORDS["log_session"])
    elif time == "dummies":
        for session in np.unique(rows.session)[1:].tolist():
            yield Column(name=f"session_{session}", words=f"after session {session}")
    else:
        centre, scale = float(rows.session.mean()), float(rows.session.std()) or 1.0
        for name in POWERS[: TIMES.index(time)]:
            yield Column(name=name, words=WORDS[name], centre=centre, scale=scale)


def _own_columns(reference: Reference) -> Iterator[Column]:
    yield Column(name="level", words=WORDS["level"], centre=reference.mean, scale=reference.sd)
    yield Column(name="change", words=WORDS["change"], scale=reference.sd)
    yield Column(name="no_shows", words=WORDS["no_shows"])
    yield Column(name="missing", words=WORDS["missing"])


def _covariate_columns(covariates: Sequence[str], rows: Rows) -> Iterator[Column]:
    for name in covariates:
        values = rows.covariates[name]
        known = values[np.isfinite(values)]
        sd = float(known.std(ddof=1)) if len(known) > 1 else 0.0
        yield Column(
            name=name, words=name, centre=float(known.mean()) if len(known) else 0.0, scale=sd or 1.0
        )
        if len(known) < len(values):
            yield Column(name=f"{name}{MISSING}", words=f"{name} not recorded")


def _n_user(wanted: Sequence[Column], covariates: Sequence[str]) -> int:
    return sum(each.name.removesuffix(MISSING) in covariates for each in wanted)


def _left_out(wanted: Sequence[Column], rows: Rows, news: Array, *, own: int, strict: bool) -> list[str]:
    """Return what is told of the columns that say nothing new; the user's own ones are refused."""
    idle = [(place, wanted[place]) for place in np.flatnonzero(~news).tolist()]
    refused = [f"{each.name}: {_nothing_new(each, rows)}" for place, each in idle if place >= own and strict]
    if refused:
        message = "covariates from which nothing can be learned"
        raise DataError(message, where=refused, hint="leave them out")
    return [f"{each.name} ({each.words}) is left out: {_nothing_new(each, rows)}" for _, each in idle]


def _nothing_new(column: Column, rows: Rows) -> str:
    values = values_of(column, rows, dummies_of([column]))
    same = len(values) == 0 or np.ptp(values) <= INDEPENDENT
    return "the same in all rows" if same else "it follows from the other terms"


def dependence(columns: Array) -> Array:
    """Return the share of each column's length that the columns before it leave unexplained, 0 to 1.

    >>> dependence(np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 2.0], [1.0, 5.0, 6.0]])).round(3)
    array([1.   , 0.734, 0.   ])
    """
    products = columns.T @ columns
    length = np.sqrt(np.diag(products))
    length[length == 0] = 1.0
    rest, share = products / np.outer(length, length), np.zeros(len(length))
    for place in range(len(length)):
        share[place] = np.sqrt(max(rest[place, place], 0.0))
        if share[place] > INDEPENDENT:
            explained = np.outer(rest[:, place], rest[place])
            rest = rest - explained / rest[place, place]
    return share


def _some(rows: Rows) -> Rows:
    """Return the rows, or every so many of them where there are very many, for percentiles."""
    stride = len(rows) // ENOUGH + 1
    return rows if stride == 1 else rows.take(slice(None, None, stride))


def _with_range(column: Column, rows: Rows) -> Column:
    raw = raw_of(column, rows, dummies_of([column]))
    known = raw[np.isfinite(raw)]
    if not len(known):
        return column
    low, high = np.percentile(known, (_PERCENT_LOW, _PERCENT_HIGH), method="inverted_cdf")
    return replace(column, low=float(low), high=float(high))
