"""What `evaluate` returns: the figures of every detector, and what must be told beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alliance.evaluation.figures import MUCH_UNDEFINED, Figure

ROWS = ("detector", "rater", "settings", "figure", "window", "value", "low", "high", "of", "note")


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one detector did on the courses of one rater.

    Attributes
    ----------
    detector, rater : str
    settings : (method, parameter, value) of everything that was turned to a wished rate
    reached : bool or None; whether that rate was reached; None = nothing was turned
    tuned_rate : float; the rate on the half it was turned on, NaN = nothing was turned
    figures : all figures
    kinds : kind of planted rupture → (planted, without any verdict within their window)
    n_cases, n_sessions, n_judged : int; cases, scored sessions, sessions with a verdict
    n_ruptures, n_blind : int; true ruptures, and those without any verdict within their window
    n_left_out, n_left_out_ruptures : int; labelled and scored sessions without a verdict, and those of them
        that are labelled a rupture
    n_other_alarms : int; alarms that are neither right nor false
    """

    detector: str
    rater: str
    settings: tuple[tuple[str, str, float], ...] = ()
    reached: bool | None = None
    tuned_rate: float = float("nan")
    figures: tuple[Figure, ...]
    kinds: dict[str, tuple[int, int]]
    n_cases: int
    n_sessions: int
    n_judged: int
    n_ruptures: int
    n_blind: int
    n_left_out: int
    n_left_out_ruptures: int
    n_other_alarms: int

    def figure(self, name: str, window: str = "window") -> Figure:
        """Return one figure by its name and window."""
        for each in self.figures:
            if (each.name, each.window) == (name, window):
                return each
        known = ", ".join(sorted({each.name for each in self.figures}))
        message = f"figure must be one of {known} with its window, got {name}, {window}"
        raise ValueError(message)

    @property
    def setting(self) -> str:
        """What was turned, in words."""
        return ", ".join(f"{method} {name} {value:g}" for method, name, value in self.settings)

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield one row for each count, and then for each figure; columns are ROWS."""
        who = {"detector": self.detector, "rater": self.rater, "settings": self.setting}
        counts = [("", name, count) for name, count in self.counts().items()]
        for kind, (planted, blind) in self.kinds.items():
            counts += [(kind, "ruptures", planted), (kind, "ruptures without a verdict", blind)]
        for kind, name, count in counts:
            yield {**who, "figure": name, "window": kind, "value": count, "note": ""}
        if self.reached is not None:
            note = "" if self.reached else "not the wished rate"
            yield {
                **who,
                "figure": "rate it was turned to",
                "window": "",
                "value": self.tuned_rate,
                "note": note,
            }
        for each in self.figures:
            yield {
                **who,
                "figure": each.name,
                "window": each.window,
                "value": each.value,
                "low": each.low,
                "high": each.high,
                "of": each.of,
                "note": note_of(each),
            }

    def counts(self) -> dict[str, int]:
        """Return what the figures were counted from, by its name."""
        return {
            "cases": self.n_cases,
            "scored sessions": self.n_sessions,
            "sessions with a verdict": self.n_judged,
            "ruptures": self.n_ruptures,
            "ruptures without a verdict": self.n_blind,
            "sessions left out": self.n_left_out,
            "rupture sessions left out": self.n_left_out_ruptures,
            "alarms neither right nor false": self.n_other_alarms,
        }


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How detectors did against a truth.

    Attributes
    ----------
    source : `planted` or `labels`
    within : int; sessions after a labelled onset within which a flag counts
    results : one for each detector and rater
    at_rate : float or None; false alarms per 100 sessions that the detectors were turned to
    n_tuned, n_tested : int; cases they were turned on, and those they were measured on
    seed, replicates : int; of the bootstrap and the split
    notes : what must be told
    """

    source: str
    within: int
    results: tuple[Result, ...]
    at_rate: float | None
    n_tuned: int
    n_tested: int
    seed: int
    replicates: int
    notes: tuple[str, ...]

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield one row for each detector, rater and figure; columns are ROWS."""
        for result in self.results:
            yield from result.rows()


def note_of(figure: Figure) -> str:
    """Return why a figure or its interval is missing, or what was left out of it."""
    if figure.value != figure.value:
        return "not enough data"
    if figure.low != figure.low:
        return "no interval: every sample of cases gives the same"
    if figure.undefined > MUCH_UNDEFINED:
        return f"interval without the {figure.undefined:.0%} of samples that have no value"
    return ""
