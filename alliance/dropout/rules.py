"""The rules and prompts of DRF-1: one decorated function each, from a State to yes, no, not evaluable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import TOLERANCE, three_valued
from alliance.dropout.state import State
from alliance.errors import UsageError, unknown_name

Array = np.ndarray[Any, Any]
Judge = Callable[[State], Array]

EARLY = 3
"""Sessions attended from which on a missed appointment weighs less."""

IDLE_DAYS = 14
SRS_FALL = 1.0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A registered rule.

    `judge` returns 1, 0 or NaN (not evaluable) per entry of a State. `text` says in words why it fired; a
    name in braces is an attribute of State, and `values` are those that it stands on. `basis` names the kind
    of data it looks at. At least one of the `core` rules must be evaluable for a case to count as looked at;
    `needs` says what one lacks that is not.
    """

    name: str
    judge: Judge
    points: int
    source: str
    text: str
    values: tuple[str, ...] = ()
    basis: str = "ratings"
    core: bool = False
    needs: str = ""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A registered prompt: a remark without points that never changes a level."""

    name: str
    judge: Judge
    source: str
    text: str


RULES: dict[str, Rule] = {}
PROMPTS: dict[str, Prompt] = {}


def rule(
    name: str,
    *,
    points: int,
    source: str,
    text: str,
    values: tuple[str, ...],
    basis: str = "ratings",
    core: bool = False,
    needs: str = "",
) -> Callable[[Judge], Judge]:
    """Register the decorated function as the rule `name`, worth `points`."""

    def register(judge: Judge) -> Judge:
        RULES[name] = Rule(
            name=name,
            judge=judge,
            points=points,
            source=source,
            text=text,
            values=values,
            basis=basis,
            core=core,
            needs=needs,
        )
        return judge

    return register


def prompt(name: str, *, source: str, text: str) -> Callable[[Judge], Judge]:
    """Register the decorated function as the prompt `name`."""

    def register(judge: Judge) -> Judge:
        PROMPTS[name] = Prompt(name=name, judge=judge, source=source, text=text)
        return judge

    return register


def get_rule(name: str) -> Rule | Prompt:
    """Return the rule or prompt called `name`; an unknown name is answered with the known ones."""
    known: dict[str, Rule | Prompt] = {**RULES, **PROMPTS}
    if name not in known:
        what, hint = unknown_name("rule", name, known)
        raise UsageError(what, hint=hint)
    return known[name]


@rule(
    "VERY_LOW",
    points=2,
    source="weak alliance and dropout: Sharf et al. 2010, doi:10.1037/a0021175; lowest 16 % by design",
    text="latest rating is among the lowest 16 % at session {rated_session} ({last}, limit {p16})",
    values=("last", "p16", "rated_session"),
)
def very_low(state: State) -> Array:
    """Latest rating at or below the 16th percentile of its session; not evaluable without a reference."""
    return three_valued(state.usable & np.isfinite(state.p16), state.last <= state.p16 + TOLERANCE)


@rule(
    "LOW_LEVEL",
    points=1,
    source="weak alliance and dropout: Sharf et al. 2010, doi:10.1037/a0021175; cut-off of the form",
    text="latest rating is {edge}, the cut-off of this form ({last})",
    values=("last", "cutoff"),
    core=True,
    needs="a cut-off or local norms",
)
def low_level(state: State) -> Array:
    """Latest rating low by the form's cut-off, unless it is very low by the reference.

    Where there is a reference but no cut-off the level was looked at, so the answer is no.
    """
    referenced = np.isfinite(state.p16)
    evaluable = state.usable & (referenced | (state.instrument.cutoff is not None))
    return three_valued(evaluable, state.low(state.last) & (very_low(state) != 1))


@rule(
    "PERSISTENT_LOW",
    points=1,
    source="one session is not reliable enough: Crits-Christoph et al. 2011, PMC3111943",
    text="the rating before was {edge} as well ({previous} → {last})",
    values=("last", "previous", "cutoff"),
)
def persistent_low(state: State) -> Array:
    """Latest and previous rating low by the cut-off where no reference is known; needs two ratings."""
    again = (low_level(state) == 1) & np.isnan(state.p16)
    evaluable = state.usable & (state.instrument.cutoff is not None) & ~(again & np.isnan(state.previous))
    return three_valued(evaluable, again & state.low(state.previous))


@rule(
    "RELIABLE_DROP",
    points=2,
    source="change of the rated alliance: Zilcha-Mano et al. 2016, doi:10.1037/ccp0000058; limit by design",
    text="latest rating fell more than measurement error can explain ({course})",
    values=("last", "change", "drop_limit", "sem"),
    core=True,
    needs="a standard error of measurement and two ratings",
)
def reliable_drop(state: State) -> Array:
    """Latest rating minus the mean of all k earlier ones at or below -1.96 SEM sqrt(1 + 1/k)."""
    evaluable = state.usable & np.isfinite(state.drop_limit)
    return three_valued(evaluable, state.change <= state.drop_limit + TOLERANCE)


@rule(
    "STEADY_DECLINE",
    points=1,
    source="alliance rising early and more sessions: Research Consortium archive; threshold by design",
    text="three ratings in a row went down ({third}, {previous} → {last})",
    values=("last", "previous", "third", "sem"),
    core=True,
    needs="a standard error of measurement and three ratings",
)
def steady_decline(state: State) -> Array:
    """Latest three ratings strictly falling, by at least one SEM in all."""
    sem = np.nan if state.instrument.sem is None else state.instrument.sem
    evaluable = state.usable & np.isfinite(state.third) & np.isfinite(sem)
    falling = (state.third - state.previous > TOLERANCE) & (state.previous - state.last > TOLERANCE)
    return three_valued(evaluable, falling & (state.third - state.last >= sem - TOLERANCE))


@rule(
    "NO_SHOW_EARLY",
    points=2,
    source="no-shows before the third session: Xiao et al. 2017, doi:10.1037/pst0000103 (outcome: symptoms)",
    text="an appointment missed without notice before the third attended session",
    values=("since_no_show", "session"),
    basis="attendance",
)
def no_show_early(state: State) -> Array:
    """No-show among the latest three scheduled appointments, fewer than three sessions attended."""
    return three_valued(state.attendance_known, state.recent_no_show & (state.session < EARLY))


@rule(
    "NO_SHOW_RECENT",
    points=1,
    source="no-shows: Xiao et al. 2017, doi:10.1037/pst0000103 (outcome: symptoms)",
    text="one of the latest three appointments was missed without notice",
    values=("since_no_show", "session"),
    basis="attendance",
)
def no_show_recent(state: State) -> Array:
    """No-show among the latest three scheduled appointments, three or more sessions attended."""
    return three_valued(state.attendance_known, state.recent_no_show & (state.session >= EARLY))


@rule(
    "NOT_ON_TRACK",
    points=1,
    source="cases at risk leave more often: PBHI ALERT manual",
    text="the outcome measure reports not on track",
    values=("off_track",),
    basis="imported flag",
)
def not_on_track(state: State) -> Array:
    """Flag of an outcome system at the latest session; not evaluable where none was imported."""
    return three_valued(np.isfinite(state.off_track), state.off_track == 1)


@prompt(
    "SRS_DROP_1PT",
    source="practice of SRS users, without points: it fires often when nothing has changed",
    text="SRS practice is to ask about a fall of 1 point or more ({previous} → {last})",
)
def srs_drop(state: State) -> Array:
    """SRS only: latest rating at least 1 point below the one before."""
    evaluable = state.usable & (state.n_ratings > 1) & (state.instrument.id == "srs")
    return three_valued(evaluable, state.last - state.previous <= -SRS_FALL + TOLERANCE)


@prompt(
    "CEILING",
    source="Reese et al. 2013, doi:10.1002/jclp.21946; Meier 2022, doi:10.3389/fpsyg.2022.949326",
    text="the latest two ratings are at the top of the scale and cannot show a rise (no sign of risk)",
)
def ceiling(state: State) -> Array:
    """Latest two ratings both at the highest possible total."""
    top = state.instrument.max - TOLERANCE
    return three_valued(state.usable & (state.n_ratings > 1), (state.last >= top) & (state.previous >= top))


@prompt("DATA_GAP", source="by design", text="no rating for session {session}")
def data_gap(state: State) -> Array:
    """Latest attended session has no rating."""
    return three_valued(state.session > 0, (state.n_ratings == 0) | (state.rated_session < state.session))


@prompt(
    "LOWEST_FACET", source="by design: something to talk about, no score", text="lowest area: {lowest_area}"
)
def lowest_facet(state: State) -> Array:
    """Subscale furthest below its mean, in standard deviations; local norms go before published ones."""
    known = state.usable & (state.lowest_area != "")
    return three_valued(known, known)


@prompt("NO_NEXT_APPOINTMENT", source="by design", text="no next appointment on record")
def no_next_appointment(state: State) -> Array:
    """Last session attended more than 14 days before today and nothing booked."""
    return three_valued(np.isfinite(state.idle_days), (state.idle_days > IDLE_DAYS) & ~state.booked)


@prompt(
    "CONFIRM_STATUS",
    source="by design",
    text="confirm the status: ongoing on record, but not seen for long and nothing booked",
)
def confirm_status(state: State) -> Array:
    """Presumed over: ongoing, nothing booked, and not seen for longer than this client's gaps explain."""
    return three_valued(np.ones(len(state.to_confirm), dtype=bool), state.to_confirm)


@prompt("ONE_RATING", source="by design", text="based on one rating")
def one_rating(state: State) -> Array:
    """Exactly one rating so far."""
    return three_valued(np.ones(len(state.n_ratings), dtype=bool), state.n_ratings == 1)
