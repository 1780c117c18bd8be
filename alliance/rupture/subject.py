"""What is judged: one score of a form, or one column of a plain file of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.claims import DERIVED, Norm
from alliance.errors import UsageError
from alliance.rupture.registry import Measure, measure_of

if TYPE_CHECKING:
    from alliance.scale import Scale

Array = np.ndarray[Any, Any]

DIRECTIONS = ("fall", "rise")
MOST_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The score whose course is judged.

    Attributes
    ----------
    column : str; its column in Scores, and its name in Flags
    form : str; id of the form, empty = a plain file of scores
    key : str; status of the scoring key, empty = there is none
    measure : Measure; without prior
    direction : str; `fall` or `rise`, the change that is flagged
    spans : subscale → width of its range; the subscales that explain a flag
    """

    column: str = "total"
    form: str = ""
    key: str = ""
    measure: Measure
    direction: str = "fall"
    spans: Mapping[str, float] = field(default_factory=dict)

    @property
    def rising(self) -> bool:
        """Whether rises are flagged instead of falls."""
        return self.direction == "rise"

    def with_step(self, step: float) -> Subject:
        """Return the subject with the smallest change of its score."""
        return replace(self, measure=replace(self.measure, step=step))


def subject_of(
    scale: Scale | None,
    *,
    column: str = "total",
    direction: str = "fall",
    sd: float | None = None,
    reliability: float | None = None,
    within_sd: float | None = None,
    min: float | None = None,
    max: float | None = None,
    step: float | None = None,
) -> Subject:
    """Return what is known about the score to be judged.

    Parameters
    ----------
    scale : Scale or None
        The form the scores are from; None = a plain file of scores.
    column : str
        `total`, a subscale, or a column of a plain file.
    direction : str
        `fall`: falls of the score are flagged. `rise`: rises are, for sudden gains, or where higher is worse.
    sd, reliability : float, optional
        Between-person standard deviation and reliability, both or none; they replace the definition's.
    within_sd : float, optional
        Within-person standard deviation in score points, from elsewhere.
    min, max, step : float, optional
        Ends of the range and smallest change of the score, for a plain file only; the definition knows them.
        Without a step the unit the scores are written in is used, see `unit_of`.

    Raises
    ------
    UsageError
        If a number is impossible, is given beside a definition that knows it, or the form has no such score.
    """
    if direction not in DIRECTIONS:
        message = f"direction is fall or rise, got '{direction}'"
        raise UsageError(message, hint="fall: a fall of the score is flagged")
    norm = given_norm(sd, reliability)
    _above_zero("within_sd", within_sd)
    if scale is None:
        measure = plain_measure(low=min, high=max, step=step, norm=norm)
        return Subject(column=column, measure=replace(measure, within_sd=within_sd), direction=direction)
    if (min, max, step) != (None, None, None):
        message = f"the range and step of '{scale.id}' are those of its definition"
        raise UsageError(message, hint="leave min, max and step out")
    _require_score(scale, column)
    whole = column == "total"
    spans = {name: float(np.diff(scale.bounds(name))[0]) for name in scale.subscales} if whole else {}
    return Subject(
        column=column,
        form=scale.id,
        key=scale.status,
        measure=replace(measure_of(scale, column, norm=norm), within_sd=within_sd),
        direction=direction,
        spans=spans,
    )


def plain_measure(*, low: float | None, high: float | None, step: float | None, norm: Norm | None) -> Measure:
    """Return the measure of a plain column of scores."""
    _above_zero("step", step)
    if low is not None and high is not None and not low < high:
        message = f"min must lie below max, got {low:g} and {high:g}"
        raise UsageError(message, hint="give the ends of the score's range")
    return Measure(
        low=-np.inf if low is None else low,
        high=np.inf if high is None else high,
        step=step or 0.0,
        norm=norm,
    )


def unit_of(values: Array) -> float:
    """Return the largest of 1, 0.1, … 0.000001 that all values are multiples of; NaN is left out.

    >>> unit_of(np.array([48.0, 47.5, np.nan]))
    0.1
    """
    known = values[np.isfinite(values)]
    units = (10.0**-places for places in range(MOST_DECIMALS))
    whole = (unit for unit in units if np.allclose(known / unit, np.rint(known / unit), rtol=0, atol=1e-6))
    return next(whole, 10.0**-MOST_DECIMALS)


def given_norm(sd: float | None, reliability: float | None) -> Norm | None:
    """Return the norm that a user gives; one number alone is a usage error."""
    if sd is None and reliability is None:
        return None
    if sd is None or reliability is None or not 0 < sd < np.inf or not 0 <= reliability < 1:
        message = "--sd above 0 and --reliability from 0 to below 1 belong together"
        raise UsageError(message, hint="give both, or --within-sd alone")
    return Norm(sd=sd, reliability=reliability, status=DERIVED, source="given by the user")


def require_alliance(scale: Scale) -> None:
    """Raise UsageError unless falls of this form's scores can mean a rupture."""
    if not scale.measures_alliance:
        message = f"'{scale.id}' measures {scale.construct}: a fall of its score is no rupture"
        if scale.total is None:
            message = f"'{scale.id}' has no total: a fall of its scores cannot be judged"
        raise UsageError(message, hint="flag an alliance form, such as wai-sr or srs")


def _require_score(scale: Scale, column: str) -> None:
    if column not in scale.scores:
        message = f"'{scale.id}' has no score '{column}'"
        raise UsageError(message, hint=f"it has {', '.join(scale.scores)}")


def _above_zero(name: str, value: float | None) -> None:
    if value is not None and not 0 < value < np.inf:
        message = f"{name} must be above 0, got {value:g}"
        raise UsageError(message, hint="leave it out if it is not known")
