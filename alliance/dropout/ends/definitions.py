"""Definitions of dropout: one decorated function each, from Facts to yes, no, cannot be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.dropout.ends.cohort import COMPETING, DROPOUT, EXCLUDED, ONGOING, PLANNED
from alliance.dropout.ends.facts import (
    MUTUAL,
    NO_DAY,
    NOT_GIVEN,
    SAID_BY_THERAPIST,
    STATUS_ONGOING,
    UNILATERAL,
    UNKNOWN,
    Facts,
)
from alliance.errors import DataError, UsageError, unknown_name

Array = np.ndarray[Any, Any]

DEFAULT = "unilateral"
PRESUMED_POLICIES = ("exclude", "dropout", "censor")
SETTINGS: Mapping[str, Any] = {"k": 3, "grace_days": 30, "presumed": "exclude"}
"""What a definition may be told, with what it is told otherwise; all three are design choices."""

LEAST: Mapping[str, int] = {"k": 1, "grace_days": 0}
ALWAYS_USED = ("presumed",)
OUTCOME_SETTINGS = ("outcome", "reliable_change", "reliable_change_source")
"""What `Cohort.settings` hold of the outcome measure, where the definition looks at one."""

NONE_ENDED = "no treatment has ended"
NONE_TOLD = "of no treatment that has ended it can be told how"

XIAO = "Xiao et al. 2023, doi:10.1080/10503307.2022.2082897 (definitions compared)"

NO_APPOINTMENT = "no appointment is on record"
NO_MISSED_DATE = "the appointment missed last has no date"
NOT_REACHED = "the data end within the grace period after the appointment missed last"
NO_REASON = "why the treatment ended is not known"
NOT_BY_THERAPIST = "the end was not coded by the therapist"
NO_PLAN = "the number of planned sessions is not known"
NO_CHANGE = "fewer than two scores of the outcome measure"
NO_STATUS = "whether the treatment has ended is not known"
NO_TREATMENT = "no row says how this treatment ended"

NEEDS: Mapping[str, str] = {
    "end_reason": "no end has a reason (end_reason)",
    "end_reason_source": "no end is coded by the therapist (end_reason_source)",
    "appointments": "no appointments on record",
    "planned_sessions": "no planned number of sessions (planned_sessions)",
    "outcome": "no outcome measure with a reliable-change value",
}
"""What a definition may need, and what is said where it is not there."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """An answer for each case: 1 = dropout, 0 = not, NaN = cannot be told, for the reason in `why`."""

    dropout: Array
    why: Array

    @classmethod
    def of(cls, yes: Array, *unknown: tuple[Array, str]) -> Told:
        """Return `yes`, with NaN and the sentence wherever one of `unknown` holds; the first one speaks."""
        why = np.full(len(yes), "", dtype=object)
        for where, text in reversed(unknown):
            why[where] = text
        return cls(dropout=np.where(why != "", np.nan, yes.astype(float)), why=why)


Judge = Callable[[Facts, Mapping[str, Any]], Told]


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A registered definition of dropout.

    `judge` answers for treatments that have ended neither by the therapist nor by outside circumstances; what
    it says of others is not used. `words` say what counts as dropout, `needs` are names in NEEDS, `note` says
    what the definition catches and what it misses, `warning` must be shown whenever it is used. `uses` are
    the settings that its answers depend on.
    """

    id: str
    judge: Judge
    words: str
    needs: tuple[str, ...]
    note: str
    source: str
    warning: str = ""
    uses: tuple[str, ...] = ALWAYS_USED


DEFINITIONS: dict[str, Definition] = {}


def definition(
    id: str,
    *,
    words: str,
    needs: tuple[str, ...],
    note: str,
    source: str,
    warning: str = "",
    uses: tuple[str, ...] = (),
) -> Callable[[Judge], Judge]:
    """Register the decorated function as the definition `id`; `uses` names settings beyond ALWAYS_USED."""

    def register(judge: Judge) -> Judge:
        DEFINITIONS[id] = Definition(
            id=id,
            judge=judge,
            words=words,
            needs=needs,
            note=note,
            source=source,
            warning=warning,
            uses=(*uses, *ALWAYS_USED),
        )
        return judge

    return register


def get_definition(id: str) -> Definition:
    """Return a definition; an unknown id is a usage error that names the known ones."""
    if id not in DEFINITIONS:
        what, hint = unknown_name("dropout definition", id, DEFINITIONS)
        raise UsageError(what, hint=hint)
    return DEFINITIONS[id]


def settings_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all settings, those `given` in place of the usual ones.

    Raises
    ------
    UsageError
        If a setting is unknown, or not a value it can have.

    Examples
    --------
    >>> settings_of({"k": 4})
    {'k': 4, 'grace_days': 30, 'presumed': 'exclude'}
    """
    for name in given or {}:
        if name not in SETTINGS:
            what, hint = unknown_name("setting of a dropout definition", name, SETTINGS)
            raise UsageError(what, hint=hint)
    settings = {**SETTINGS, **(given or {})}
    for name, least in LEAST.items():
        value = settings[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            message = f"{name} must be a whole number of {least} or more, got {value}"
            raise UsageError(message, hint=f"usual is {SETTINGS[name]}")
    if settings["presumed"] not in PRESUMED_POLICIES:
        message = f"presumed is one of {', '.join(PRESUMED_POLICIES)}, got '{settings['presumed']}'"
        raise UsageError(message, hint="exclude leaves them out until their status is confirmed")
    return settings


def ends_of(chosen: Definition, facts: Facts, settings: Mapping[str, Any]) -> tuple[Array, Array]:
    """Return how each treatment ended by one definition, and why it is excluded (empty = it is not).

    The rules that hold for every definition stand here: a treatment that is ongoing is censored, and one that
    the therapist or outside circumstances ended is a competing end, whatever the definition would say of it.

    Returns
    -------
    end : int8, shape (cases,); place in `ENDS`
    why : object, shape (cases,)

    Raises
    ------
    DataError
        If nothing in the data can answer; NEEDS has the sentences.
    """
    lacking = lacks(chosen, facts) if facts.ended.any() else []
    if lacking:
        message = f"the data cannot tell dropout by the definition '{chosen.id}'"
        raise DataError(message, where=lacking, hint="`alliance check` says which definitions they support")
    told = chosen.judge(facts, settings)
    open_, unknown = facts.status == STATUS_ONGOING, facts.status == NOT_GIVEN
    why = np.where(unknown, NO_STATUS, np.where(open_ | facts.competing, "", told.why))
    end = np.select(
        [unknown, open_, facts.competing, np.isnan(told.dropout), told.dropout == 1],
        [EXCLUDED, ONGOING, COMPETING, EXCLUDED, DROPOUT],
        PLANNED,
    )
    return end.astype(np.int8), why.astype(object)


def lacks(chosen: Definition, facts: Facts) -> list[str]:
    """Return a sentence for everything the definition needs and no treatment has."""
    there = {
        "end_reason": bool((facts.ended & (facts.reason != NOT_GIVEN) & (facts.reason != UNKNOWN)).any()),
        "end_reason_source": bool((facts.ended & (facts.source == SAID_BY_THERAPIST)).any()),
        "appointments": bool(facts.attendance_known.any()),
        "planned_sessions": bool(np.isfinite(facts.planned).any()),
        "outcome": facts.improved is not None,
    }
    return [NEEDS[need] for need in chosen.needs if not there[need]]


@definition(
    "unilateral",
    words="ended by the client alone, as recorded; where the reason is unknown, by the last appointment",
    needs=("end_reason",),
    uses=("grace_days",),
    note="the therapist's judgement, with attendance to fall back on",
    source=XIAO,
)
def unilateral(facts: Facts, settings: Mapping[str, Any]) -> Told:
    """Tell dropout from the recorded reason, or from `missed_last` where that is not known."""
    open_ = np.isin(facts.reason, (UNKNOWN, NOT_GIVEN))
    fallback = missed_last(facts, settings)
    why = np.where(open_ & (fallback.why != ""), f"{NO_REASON}, and " + fallback.why, "")
    return Told(
        dropout=np.where(open_, fallback.dropout, (facts.reason == UNILATERAL).astype(float)),
        why=why.astype(object),
    )


@definition(
    "therapist",
    words="ended by the client alone, as coded by the therapist",
    needs=("end_reason", "end_reason_source"),
    note="ends coded by anybody else, or of unknown reason, are left out",
    source=XIAO,
)
def therapist(facts: Facts, settings: Mapping[str, Any]) -> Told:
    """Tell dropout from the therapist's own coding of the end, and from nothing else."""
    return Told.of(
        facts.reason == UNILATERAL,
        (np.isin(facts.reason, (UNKNOWN, NOT_GIVEN)), NO_REASON),
        (facts.source != SAID_BY_THERAPIST, NOT_BY_THERAPIST),
    )


@definition(
    "missed_last",
    words="ended; the last appointment that was due was missed or cancelled by the client, and nothing was "
    "attended within the grace period after it",
    needs=("appointments",),
    uses=("grace_days",),
    note="objective; misses clients who take their leave",
    source=f"{XIAO}; the grace period of 30 days is our choice",
)
def missed_last(facts: Facts, settings: Mapping[str, Any]) -> Told:
    """Tell dropout from the last appointment that was due, and what the client attended after it.

    An attended session of another treatment of the same client counts as a return. Whether there was one is
    known only if the data reach the end of the grace period.
    """
    last = facts.missed_day + np.where(facts.missed_day == NO_DAY, 0, settings["grace_days"])
    dated = facts.missed_day != NO_DAY
    returned = dated & (facts.next_attended != NO_DAY) & (facts.next_attended <= last)
    reached = (facts.observed_until != NO_DAY) & (facts.observed_until >= last)
    missed = facts.missed == 1
    return Told.of(
        missed & ~returned,
        (np.isnan(facts.missed), NO_APPOINTMENT),
        (missed & ~dated, NO_MISSED_DATE),
        (missed & ~returned & ~reached, NOT_REACHED),
    )


@definition(
    "lt_k",
    words="ended with fewer than k attended sessions",
    needs=("appointments",),
    uses=("k",),
    note="a dose, not a choice",
    source=f"{XIAO}; k = 3 is our choice",
)
def lt_k(facts: Facts, settings: Mapping[str, Any]) -> Told:
    """Tell dropout from the number of attended sessions."""
    return Told.of(facts.attended < settings["k"], (~facts.attendance_known, NO_APPOINTMENT))


@definition(
    "incomplete",
    words="ended before the planned number of sessions, and not by agreement",
    needs=("planned_sessions",),
    note="dropout from a protocol; an unknown reason counts as no agreement",
    source=XIAO,
)
def incomplete(facts: Facts, settings: Mapping[str, Any]) -> Told:
    """Tell dropout from the sessions that were planned and not attended; an agreed end is never dropout."""
    agreed = facts.reason == MUTUAL
    return Told.of(~agreed & (facts.attended < facts.planned), (~agreed & np.isnan(facts.planned), NO_PLAN))


@definition(
    "no_rci",
    words="ended without reliable improvement on an outcome measure",
    needs=("outcome",),
    uses=OUTCOME_SETTINGS,
    note="failure, not dropout",
    source=XIAO,
    warning="no_rci tells treatments without reliable improvement, whoever ended them; that is failure, not "
    "dropout",
)
def no_rci(facts: Facts, settings: Mapping[str, Any]) -> Told:
    """Tell 'dropout' from the change between the first and the last score of an outcome measure."""
    improved = np.full(len(facts.status), np.nan) if facts.improved is None else facts.improved
    return Told.of(improved == 0, (np.isnan(improved), NO_CHANGE))


@definition(
    "median_split",
    words="ended with fewer attended sessions than the sample's median",
    needs=(),
    note="for the replication of older studies only",
    source=XIAO,
    warning="median_split calls about half of any sample dropouts, however treatments ended; use it to "
    "replicate older studies only",
)
def median_split(facts: Facts, settings: Mapping[str, Any]) -> Told:
    """Tell 'dropout' from the median of attended sessions over the treatments that are split.

    Those are the ended ones without a competing end.
    """
    split = facts.ended & ~facts.competing
    middle = float(np.median(facts.attended[split])) if split.any() else np.nan
    return Told.of(facts.attended < middle)
