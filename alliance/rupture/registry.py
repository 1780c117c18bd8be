"""The registry of rupture methods, and what every method is told about the score it judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.claims import Norm
from alliance.errors import UsageError
from alliance.psychometrics import sem
from alliance.rupture.prior import NO_PRIOR, Prior
from alliance.rupture.verdict import Verdict

if TYPE_CHECKING:
    from alliance.courses import Courses
    from alliance.scale import Scale

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a method may know about a score, apart from the courses.

    Attributes
    ----------
    low, high : float; ends of the score's range, in score points; infinite = not known
    step : float; smallest change one answer can make
    norm : Norm or None; between-person spread and reliability
    within_sd : float or None; within-person standard deviation from elsewhere
    prior : Prior; spread of the caseload
    cutoff : float or None; score below which a rating is low
    at_cutoff : bool; whether the cut-off itself counts as low
    rising : bool; courses and measure are turned around: a fall of their values is a rise of the score
    caseload : method name → what that method learned from the caseload, apart from the prior
    """

    low: float = -np.inf
    high: float = np.inf
    step: float = 0.0
    norm: Norm | None = None
    within_sd: float | None = None
    prior: Prior = NO_PRIOR
    cutoff: float | None = None
    at_cutoff: bool = False
    rising: bool = False
    caseload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sem(self) -> float | None:
        """Standard error of measurement: `within_sd` if given, else from the norm, else None."""
        if self.within_sd is not None:
            return self.within_sd
        if self.norm is None or self.norm.sd is None or self.norm.reliability is None:
            return None
        return sem(self.norm.sd, self.norm.reliability)

    @property
    def min_drop(self) -> float:
        """Smallest fall worth a flag: the norm's SEM, else 6.25 % of the range.

        Raises
        ------
        UsageError
            If neither is known.
        """
        by_norm = None if self.norm is None else self.norm.sem
        if by_norm is not None:
            return by_norm
        if not np.isfinite(self.high - self.low):
            message = "the smallest fall worth a flag is not known: the range of the score is not given"
            raise UsageError(message, hint="give --min and --max, or --min-drop")
        return 0.0625 * (self.high - self.low)

    def turned(self) -> Measure:
        """Return the measure of the same score with its sign turned, for falls of which the rises count."""
        cutoff = None if self.cutoff is None else -self.cutoff
        return replace(self, low=-self.high, high=-self.low, cutoff=cutoff, rising=not self.rising)


def measure_of(scale: Scale, score: str = "total", *, norm: Norm | None = None) -> Measure:
    """Return what the definition says about one of its scores; a given `norm` replaces the definition's."""
    low, high = scale.bounds(score)
    published = scale.norms.get(score)
    if published is not None and published.status == "memory":
        published = None
    cutoff = scale.cutoff(score)
    low_is_bad = cutoff is not None and cutoff.op in {"<", "<="}
    return Measure(
        low=low,
        high=high,
        step=scale.score_step(score),
        norm=norm or published,
        cutoff=cutoff.value if cutoff is not None and low_is_bad else None,
        at_cutoff=cutoff is not None and cutoff.inclusive,
    )


Judge = Callable[..., Verdict]
Explain = Callable[[Any, Array], Sequence["Array | str"]]
Combine = Callable[[Sequence[Any]], Sequence[Any]]
Learn = Callable[["Courses", Measure], Any]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A registered rupture method.

    Attributes
    ----------
    name : str
    judge : function of Courses and Measure, parameters keyword-only, that returns a Verdict
    online : bool; whether a verdict never uses later sessions
    needs, finds, blind, source : texts; what it needs, what it finds, what it cannot see, who published it
    formula : tuple of str; the formulas of the documentation, one line each
    explain : function of Judged and flagged rows → their reason as parts of a sentence, each a text or an
        array of texts; None = by limit and reference
    finding : what a flag is called
    combine : for methods that judge two raters at once: the courses of all raters → the combined ones
    adapt : for combined courses: the measure of a single rater's score → theirs
    learn : what the method wants to know of the whole caseload, apart from the prior; a frozen dataclass
        with a method `as_json`
    recall : that knowledge from the JSON of a prior file
    learns : whether it wants to know that with some settings; None = with all
    shrinks : bool; whether the prior stands behind the limit and is told beside it
    two_sided : bool; whether it looks both ways by itself, so that a direction cannot be chosen
    warning : told beside every result
    """

    name: str
    judge: Judge
    online: bool
    needs: str
    finds: str
    source: str
    blind: str = ""
    formula: tuple[str, ...] = ()
    explain: Explain | None = None
    finding: str = "rupture"
    combine: Combine | None = None
    adapt: Callable[[Measure], Measure] | None = None
    learn: Learn | None = None
    recall: Callable[[Mapping[str, Any]], Any] = dict
    learns: Callable[[Mapping[str, Any]], bool] | None = None
    shrinks: bool = False
    two_sided: bool = False
    warning: str = ""


METHODS: dict[str, Method] = {}


def method(name: str, **facts: Any) -> Callable[[Judge], Judge]:
    """Register the decorated function as the method `name`; `facts` are the fields of `Method`."""

    def register(judge: Judge) -> Judge:
        METHODS[name] = Method(name=name, judge=judge, **facts)
        return judge

    return register
