"""The registry of rupture methods, and what every method is told about the score it judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from alliance.claims import Norm
from alliance.errors import UsageError, unknown_name
from alliance.psychometrics import sem
from alliance.rupture.prior import NO_PRIOR, Prior
from alliance.rupture.verdict import Verdict
from alliance.scale import Scale


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a method may know about a score, apart from the courses.

    Attributes
    ----------
    low, high : float; ends of the score's range, in score points
    step : float; smallest change one answer can make
    norm : Norm or None; between-person spread and reliability
    within_sd : float or None; within-person standard deviation from elsewhere
    prior : Prior; spread of the caseload
    """

    low: float
    high: float
    step: float
    norm: Norm | None = None
    within_sd: float | None = None
    prior: Prior = NO_PRIOR

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
        """Smallest fall worth a flag: the norm's SEM, else 6.25 % of the range."""
        by_norm = None if self.norm is None else self.norm.sem
        return by_norm if by_norm is not None else 0.0625 * (self.high - self.low)


def measure_of(scale: Scale, score: str = "total", *, norm: Norm | None = None) -> Measure:
    """Return what the definition says about one of its scores; a given `norm` replaces the definition's."""
    low, high = scale.bounds(score)
    published = scale.norms.get(score)
    if published is not None and published.status == "memory":
        published = None
    return Measure(low=low, high=high, step=scale.score_step(score), norm=norm or published)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A registered rupture method."""

    name: str
    judge: Callable[..., Verdict]
    online: bool
    needs: str
    finds: str
    source: str


METHODS: dict[str, Method] = {}

Judge = Callable[..., Verdict]


def method(name: str, *, online: bool, needs: str, finds: str, source: str) -> Callable[[Judge], Judge]:
    """Register the decorated function as the method `name`; `online` verdicts never use later sessions."""

    def register(judge: Judge) -> Judge:
        METHODS[name] = Method(name=name, judge=judge, online=online, needs=needs, finds=finds, source=source)
        return judge

    return register


def get_method(name: str) -> Method:
    """Return the method called `name`; an unknown name is answered with the known ones."""
    if name not in METHODS:
        what, hint = unknown_name("method", name, METHODS)
        raise UsageError(what, hint=hint)
    return METHODS[name]
