"""Small sets of person-session rows, and models simple enough to be worked by hand."""

from dataclasses import dataclass, field

import numpy as np

from alliance.dropout.model.rows import Rows

NO_DAY = np.iinfo(np.int64).min


def rows_with(y, client, *, therapist=None, session=None, case=None, rating=None, **columns):
    """Rows with the given outcomes and clients; every client one case unless `case` is given."""
    n = len(y)
    client = np.asarray(client, dtype=np.int64)
    case = client if case is None else np.asarray(case, dtype=np.int64)
    rating = np.full(n, 5.0) if rating is None else np.asarray(rating, dtype=float)
    therapist = np.full(n, -1) if therapist is None else np.asarray(therapist)
    session = np.ones(n) if session is None else np.asarray(session)
    return Rows(
        case=case,
        client=client,
        therapist=therapist.astype(np.int64),
        session=session.astype(np.int64),
        visit=np.arange(n),
        day=np.full(n, NO_DAY),
        y=np.asarray(y, dtype=float),
        other=np.zeros(n),
        fate=columns.pop("fate", np.asarray(y, dtype=float)),
        window=np.full(n, 3),
        rating=rating,
        mean_rating=columns.pop("mean_rating", rating),
        change=np.zeros(n),
        no_shows=np.zeros(n),
        missing=np.isnan(rating).astype(float),
        **columns,
    )


@dataclass(frozen=True)
class Slope:
    """A term as a model has it."""

    name: str
    coef: float
    se: float


@dataclass(frozen=True)
class BaseRate:
    """A model that predicts the share of events it was trained on, for everybody."""

    share: float
    n_parameters: int = 1
    terms: tuple = field(default=())

    def hazard(self, rows):
        return np.full(len(rows), self.share)


def base_rate(rows):
    """Fit the model above."""
    return BaseRate(share=float(rows.y.mean()))


@dataclass(frozen=True)
class ByRating:
    """A model that predicts 10 / (20 + rating · 10), whatever it was trained on."""

    n_parameters: int = 1
    terms: tuple = (Slope(name="level", coef=-0.5, se=0.1),)

    def hazard(self, rows):
        return 10 / (20 + np.nan_to_num(rows.rating) * 10)


def by_rating(_rows):
    """Fit the model above, that is, ignore the rows."""
    return ByRating()
