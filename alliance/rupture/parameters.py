"""The parameters of every rupture method: one table for the command line, the documentation and the checks.

Nothing heavy is imported here: the command line builds its options from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alliance.errors import UsageError

REPAIR = ("tol", "in_time", "give_up", "repair_by")
"""Parameters of every method that follows episodes."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of one or more methods.

    Attributes
    ----------
    name : str; the keyword in Python; the option is `--` and the name with hyphens
    kind : float, int, bool or str
    methods : names of the methods that take it, empty = all
    help : what it does
    default : as the methods have it; None = see `help`
    symbol : its name in the formulas
    least, most : bounds, both allowed unless `open_ends`
    choices : the words allowed
    """

    name: str
    kind: type
    methods: tuple[str, ...]
    help: str
    default: Any = None
    symbol: str = ""
    least: float | None = None
    most: float | None = None
    open_ends: bool = False
    choices: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """The name on the command line."""
        return "--" + self.name.replace("_", "-")

    def check(self, value: Any) -> None:
        """Raise UsageError unless `value` is allowed."""
        if self.choices and value not in self.choices:
            message = f"{self.name} is one of {', '.join(self.choices)}, got '{value}'"
            raise UsageError(message, hint="see `alliance methods`")
        if self.kind in {int, float} and self._outside(value):
            message = f"{self.name} must be {self._range()}, got {value:g}"
            raise UsageError(message, hint=f"the default is {self.default}" if self.default else "see --help")

    def _outside(self, value: float) -> bool:
        if value != value:  # noqa: PLR0124  not a number
            return True
        low, high = self.least, self.most
        if self.open_ends:
            return (low is not None and value <= low) or (high is not None and value >= high)
        return (low is not None and value < low) or (high is not None and value > high)

    def _range(self) -> str:
        low, high = self.least, self.most
        if high is None:
            return f"above {low:g}" if self.open_ends else f"at least {low:g}"
        between = f"between {low:g} and {high:g}"
        return between if self.open_ends else f"from {low:g} to {high:g}"


def _positive(name: str, methods: tuple[str, ...], help: str, **facts: Any) -> Parameter:
    return Parameter(name=name, kind=float, methods=methods, help=help, least=0, open_ends=True, **facts)


LIMITS = ("predictive-limit", "divergence")
CHARTS = ("moving-range", "cusum", "ewma")

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        name="alpha",
        kind=float,
        methods=(*LIMITS, "forecast"),
        default=0.01,
        symbol="α",
        least=0,
        most=0.5,
        open_ends=True,
        help="error rate of a single verdict, one-sided (divergence: two-sided)",
    ),
    Parameter(
        name="window", kind=int, methods=LIMITS, default=8, least=2, help="reference scores looked back on"
    ),
    Parameter(name="min_ref", kind=int, methods=LIMITS, default=3, least=1, help="reference scores needed"),
    Parameter(
        name="min_drop",
        kind=float,
        methods=(*LIMITS, "level-shift"),
        least=0,
        help="smallest change that is flagged, in points; the SEM, else 6.25 % of the range",
    ),
    _positive(
        "criterion",
        ("reliable-drop", "best-drop", "split"),
        "cut of the reliable change index; 1.96, for variant HA 1.65",
    ),
    Parameter(
        name="last_scored",
        kind=bool,
        methods=("reliable-drop",),
        default=False,
        help="compare with the last score there is, however long ago",
    ),
    Parameter(
        name="variant",
        kind=str,
        methods=("reliable-drop",),
        default="JT",
        choices=("JT", "GLN", "HLL", "EN", "NK", "HA", "HLM", "Chelune", "Iverson", "SRB", "Crawford-Howell"),
        help="formula of the reliable change index",
    ),
    Parameter(
        name="r_post",
        kind=float,
        methods=("reliable-drop",),
        least=0,
        most=1,
        help="NK: reliability of the later score",
    ),
    Parameter(
        name="mode",
        kind=str,
        methods=("moving-range",),
        default="whole",
        choices=("whole", "baseline"),
        help="whole: the whole course. baseline: its first scores, then frozen",
    ),
    Parameter(
        name="baseline",
        kind=int,
        methods=CHARTS,
        default=5,
        symbol="b",
        least=2,
        help="scores of the baseline",
    ),
    Parameter(
        name="rules",
        kind=str,
        methods=("moving-range",),
        default="1",
        help="1 to 4 or WE1 to WE4 (Western Electric), N1 to N3 (Nelson), such as 1-4 or WE1,N3",
    ),
    Parameter(
        name="k", kind=float, methods=("cusum",), default=0.5, symbol="k", least=0, help="allowance, in SD"
    ),
    _positive("h", ("cusum",), "decision interval, in SD", default=5.0, symbol="h"),
    Parameter(
        name="weight",
        kind=float,
        methods=("ewma",),
        default=0.3,
        symbol="λ",
        least=0.01,
        most=1,
        help="weight of the newest score",
    ),
    _positive("width", ("ewma",), "width of the limits, in SD", default=2.7, symbol="L"),
    Parameter(
        name="known_centre",
        kind=bool,
        methods=("ewma",),
        default=False,
        help="leave the uncertainty of the centre out, as textbooks do",
    ),
    _positive("cut", ("sudden-loss",), "smallest loss in points; 1.96 √2 SEM"),
    Parameter(
        name="percent",
        kind=float,
        methods=("sudden-loss",),
        least=0,
        most=100,
        help="also a loss of so many percent of the distance to the scale's minimum",
    ),
    Parameter(
        name="test",
        kind=str,
        methods=("sudden-loss",),
        default="published",
        choices=("published", "corrected"),
        help="third criterion: as published, or a proper t test",
    ),
    Parameter(
        name="penalty",
        kind=str,
        methods=("level-shift",),
        default="MBIC",
        choices=("MBIC", "SIC", "BIC"),
        help="how a further change point is paid for",
    ),
    Parameter(
        name="min_segment",
        kind=int,
        methods=("level-shift",),
        default=2,
        least=1,
        help="fewest scores of a level",
    ),
    Parameter(
        name="max_shifts",
        kind=int,
        methods=("level-shift",),
        default=5,
        least=1,
        help="BIC: most change points",
    ),
    Parameter(
        name="hazard",
        kind=float,
        methods=("run-length",),
        default=0.05,
        least=0,
        most=1,
        open_ends=True,
        help="probability that the level changes before a score",
    ),
    _positive("alpha0", ("run-length",), "shape of the prior of the variance", default=2.0, symbol="α0"),
    _positive(
        "beta0",
        ("run-length",),
        "rate of the prior of the variance, in squared points; alpha0 times the prior variance",
        symbol="β0",
    ),
    _positive(
        "kappa0", ("run-length",), "scores that the prior of a level is worth", default=0.25, symbol="κ0"
    ),
    Parameter(
        name="threshold",
        kind=float,
        methods=("run-length",),
        default=0.5,
        least=0,
        most=1,
        help="probability of a new level above which is flagged",
    ),
    _positive("c", ("own-mean", "trend-residual"), "cut in own SD; 1 and 2", symbol="c"),
    Parameter(
        name="compare",
        kind=str,
        methods=("own-mean",),
        default="mean",
        choices=("mean", "previous"),
        help="mean: with the mean of the course. previous: with the session before",
    ),
    Parameter(
        name="model",
        kind=str,
        methods=("forecast",),
        default="intercept",
        choices=("intercept", "level"),
        help="intercept: mixed model with random intercept. level: local level (Kalman)",
    ),
    Parameter(
        name="clock",
        kind=str,
        methods=("forecast",),
        default="linear",
        choices=("linear", "log"),
        help="time of the mixed model: the session number, or its logarithm",
    ),
    Parameter(
        name="of_last", kind=int, methods=("split",), default=3, least=1, help="joint sessions looked at"
    ),
    Parameter(
        name="at_least",
        kind=int,
        methods=("split",),
        default=2,
        least=1,
        help="of these, sessions that must differ",
    ),
    Parameter(
        name="cutoff",
        kind=float,
        methods=("pcoms",),
        help="a score below it is low; the published cut-off of the form, with its own edge",
    ),
    _positive("fall", ("pcoms",), "fall since the last session that counts, in points", default=1.0),
    Parameter(
        name="tol",
        kind=float,
        methods=(),
        default=1.0,
        least=0,
        help="a score so many SD below the reference is a repair",
    ),
    Parameter(
        name="in_time",
        kind=int,
        methods=(),
        default=5,
        symbol="K",
        least=0,
        help="scored sessions within which a repair is in time",
    ),
    Parameter(
        name="give_up",
        kind=int,
        methods=(),
        default=6,
        symbol="R",
        least=1,
        help="scored sessions after which an episode ends unrepaired",
    ),
    Parameter(
        name="repair_by",
        kind=str,
        methods=(),
        default="level",
        choices=("level", "drop"),
        help="level: back near the reference. drop: a rise of 1.96 √2 SEM from the lowest score",
    ),
)

BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


def parameters_of(method: str) -> tuple[Parameter, ...]:
    """Return the parameters that a method takes, those of the repair included."""
    return tuple(each for each in PARAMETERS if not each.methods or method in each.methods)


def check_settings(method: str, settings: dict[str, Any]) -> None:
    """Raise UsageError where a setting does not belong to `method`, or its value is not allowed."""
    known = {parameter.name: parameter for parameter in parameters_of(method)}
    for name, value in settings.items():
        if name not in known:
            message = f"{method} has no parameter '{name}'"
            raise UsageError(message, hint=f"it takes {', '.join(known)}")
        if value is not None:
            known[name].check(value)
