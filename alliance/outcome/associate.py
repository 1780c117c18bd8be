"""Alliance and outcome of a study, within and between persons, and which comes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from alliance.outcome.describe import (
    Correlation,
    Spread,
    between_correlation,
    spread,
    within_correlation,
)
from alliance.outcome.model import Model, Settings, Term, model_of
from alliance.outcome.pairing import Pairs, Ratings, Sessions, pair
from alliance.outcome.words import BETTER, reading

if TYPE_CHECKING:
    import pandas as pd

FORWARD, REVERSE = "alliance, then outcome", "outcome, then alliance"


@dataclass(frozen=True, kw_only=True)
class Direction:
    """One direction: pairs, correlations without a model, and the model; None where none was asked for."""

    name: str
    reverse: bool
    pairs: Pairs
    spreads: Mapping[str, Spread]
    correlations: tuple[Correlation, ...]
    model: Model | None


@dataclass(frozen=True, kw_only=True)
class Association:
    """How alliance goes with outcome. Nothing of it says that one makes the other.

    Attributes
    ----------
    settings : Settings
    better : `higher` or `lower`, which way the outcome is better; None = not known
    directions : alliance before outcome, then outcome before alliance if asked for
    """

    settings: Settings
    better: str | None
    directions: tuple[Direction, ...]

    @property
    def pairs(self) -> pd.DataFrame:
        """How many ratings are in a pair, and why the others are not: `direction lag reason n`."""
        rows = []
        for each in self.directions:
            basis = {"direction": each.name, "lag": each.pairs.lag}
            rows.append({**basis, "reason": "", "n": len(each.pairs.x)})
            rows += [{**basis, "reason": reason, "n": n} for reason, n in each.pairs.lost.items()]
        return _frame(rows, ("direction", "lag", "reason", "n"))

    @property
    def spreads(self) -> pd.DataFrame:
        """Mean, SDs between and within cases, and ICC of both scores over the pairs."""
        rows = [
            {"direction": each.name, "score": name, **vars(found)}
            for each in self.directions
            for name, found in each.spreads.items()
        ]
        return _frame(rows, ("direction", "score", *_names(Spread)))

    @property
    def correlations(self) -> pd.DataFrame:
        """Correlations within and between cases, without a model."""
        rows = [
            {"direction": each.name, **vars(found)} for each in self.directions for found in each.correlations
        ]
        return _frame(rows, ("direction", *_names(Correlation)))

    @property
    def terms(self) -> pd.DataFrame:
        """Fixed effects of the models, with `reads`, which way they point."""
        rows = [
            {"direction": each.name, **vars(term), "reads": reading(term, self.better, reverse=each.reverse)}
            for each in self.directions
            if each.model is not None
            for term in each.model.terms
        ]
        return _frame(rows, ("direction", *_names(Term), "reads"))

    @property
    def models(self) -> pd.DataFrame:
        """SDs, explained variance, likelihoods, notes and reasons of the models."""
        rows = [
            {"direction": each.name, **{name: getattr(each.model, name) for name in _names(Model)}}
            for each in self.directions
            if each.model is not None
        ]
        return _frame(rows, ("direction", *(name for name in _names(Model) if name != "terms")))


def associate(
    alliance: pd.DataFrame | Ratings,
    outcome: pd.DataFrame | Ratings,
    *,
    column: str = "total",
    outcome_column: str = "total",
    settings: Settings | None = None,
    better: str | None = None,
    reverse: bool = True,
    models: bool = True,
) -> Association:
    """Return how alliance at session t goes with outcome at session t + lag, within and between persons.

    Retrospective, and about a study, not about a case in it.

    Parameters
    ----------
    alliance, outcome : Ratings, or Scores frames (`case session date therapist rater`, scores) of one rater
        Score points; alliance higher = stronger, NaN = not scored.
    column, outcome_column : str
        The score in each frame.
    settings : Settings, optional
        Lag, centring, and what is in the model.
    better : `higher` or `lower`, optional
        Which way the outcome is better.
    reverse : bool
        Also whether outcome goes with later alliance.
    models : bool
        Fit the mixed models, which need statsmodels; without them pairs, spreads and correlations remain.

    Returns
    -------
    Association

    Raises
    ------
    UsageError
        If statsmodels is not installed.
    ValueError
        If a case has two ratings of one kind at one session, or `better` is not known.

    References
    ----------
    Falkenström, F., Granström, F., & Holmqvist, R. (2013). https://doi.org/10.1037/a0032258

    Examples
    --------
    >>> import numpy as np
    >>> case, session = np.repeat(["A", "B", "C"], 4), np.tile([1, 2, 3, 4], 3)
    >>> wai = Ratings(case=case, session=session, value=np.array([4, 5, 6, 5, 2, 4, 3, 5, 6, 6, 7, 6.0]))
    >>> scores = np.array([20, 21, 24, 27, 9, 8, 14, 13, 30, 31, 33, 34.0])
    >>> ors = Ratings(case=case, session=session, value=scores)
    >>> found = associate(wai, ors, models=False, reverse=False)
    >>> found.correlations[["level", "n", "r"]].round(3).to_dict("list")
    {'level': ['within', 'between'], 'n': [9, 3], 'r': [0.938, 1.0]}
    """
    if better is not None and better not in BETTER:
        message = f"better must be one of {', '.join(BETTER)}, got {better}"
        raise ValueError(message)
    settings = settings or Settings()
    sessions = Sessions.of(
        _ratings(alliance, column), _ratings(outcome, outcome_column), max_gap_days=settings.max_gap_days
    )
    ways = (False, True) if reverse else (False,)
    directions = tuple(_direction(sessions, settings, reverse=way, models=models) for way in ways)
    return Association(settings=settings, better=better, directions=directions)


def _ratings(given: pd.DataFrame | Ratings, column: str) -> Ratings:
    return given if isinstance(given, Ratings) else Ratings.of_frame(given, column)


def _direction(sessions: Sessions, settings: Settings, *, reverse: bool, models: bool) -> Direction:
    pairs = pair(
        sessions,
        lag=settings.lag_back if reverse else settings.lag,
        reverse=reverse,
        prior=settings.autoregression,
        so_far=settings.centre == "so-far",
        therapists=settings.therapists,
    )
    first, second = ("outcome", "alliance") if reverse else ("alliance", "outcome")
    return Direction(
        name=REVERSE if reverse else FORWARD,
        reverse=reverse,
        pairs=pairs,
        spreads={first: spread(pairs.x, pairs.case), second: spread(pairs.y, pairs.case)},
        correlations=(
            within_correlation(pairs.x, pairs.y, pairs.case),
            between_correlation(pairs.x, pairs.y, pairs.case),
        ),
        model=model_of(pairs, settings) if models else None,
    )


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns))
