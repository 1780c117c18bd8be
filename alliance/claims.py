"""What a definition claims about its scores: norms, cut-offs, bands, reliable change, alerts.

Every claim has its source. Its `status` is published, derived (computed by us; the source says from what), or
memory (recalled, seen in no source: never printed unless asked for).
"""

from __future__ import annotations

from dataclasses import dataclass

PUBLISHED, DERIVED, MEMORY = "published", "derived", "memory"
STATUSES = (PUBLISHED, DERIVED, MEMORY)
LEVELS = ("high", "medium", "info")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that claims authority: where it stands, and whether it was published."""

    status: str = PUBLISHED
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class ScoreClaim(Claim):
    """A claim about one score."""

    score: str


@dataclass(frozen=True, kw_only=True)
class Norm(Claim):
    """Spread and reliability of one score, from one source.

    `sd` is the between-person standard deviation in score points, `reliability` lies in [0, 1).
    """

    sd: float | None = None
    reliability: float | None = None
    mean: float | None = None
    n: int | None = None
    sample: str = ""

    @property
    def sem(self) -> float | None:
        """Standard error of measurement in score points, sd * sqrt(1 - reliability); None if unknown."""
        if self.sd is None or self.reliability is None:
            return None
        return float(self.sd * (1 - self.reliability) ** 0.5)


@dataclass(frozen=True, kw_only=True)
class Reference(ScoreClaim):
    """What a sample scored: for comparison by a reader, never for a verdict.

    `metric` is "score", or "item mean" where the paper gives the mean per item and the score is another.
    `session` or `week` says when in the treatment, if that is known.
    """

    sample: str
    mean: float
    sd: float | None = None
    n: int | None = None
    metric: str = "score"
    session: int | None = None
    week: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reliability(ScoreClaim):
    """A reliability coefficient of one score; `high` is there where a source gives a range."""

    statistic: str
    value: float
    high: float | None = None
    sample: str = ""


@dataclass(frozen=True, kw_only=True)
class Cutoff(ScoreClaim):
    """A cut-off of one score: its value, its edge rule, and whom it was found in.

    `round` is the number of decimals to which its authors round a score before they compare it.
    """

    op: str
    value: float
    label: str
    population: str = ""
    round: int | None = None

    @property
    def inclusive(self) -> bool:
        """Whether the value itself counts as beyond the cut-off."""
        return self.op in {"<=", ">="}


@dataclass(frozen=True, kw_only=True)
class Band:
    """One step of a set of bands, from `low` to `high`, both inside; `high` None: up to the next step."""

    low: float
    label: str
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Bands(ScoreClaim):
    """A set of bands of one score. Two sets may disagree: the name of the set belongs to its labels."""

    steps: tuple[Band, ...]
    name: str = ""
    population: str = ""


@dataclass(frozen=True, kw_only=True)
class ReliableChange(ScoreClaim):
    """A reliable-change value of one score, with its confidence level and the population it was found in."""

    value: float
    level: str
    population: str = ""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Items that are read before any total: answered at or above `value`, or not answered at all."""

    items: tuple[int, ...]
    value: float
    reason: str
    level: str = "high"
    unanswered: bool = True
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Need:
    """How many of some items must be present for a criterion; an item is present from its value on."""

    items: tuple[int, ...]
    present_at: tuple[float, ...]
    at_least: int
    at_most: int


@dataclass(frozen=True, kw_only=True)
class Criterion(Claim):
    """A published rule on the pattern of answers: it is met where every need is."""

    label: str
    needs: tuple[Need, ...]
