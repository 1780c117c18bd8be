"""Columns and words of a Treatments file, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alliance.frames import END_REASONS, END_SOURCES, STATUSES
from alliance.readers.columns import SYNONYMS
from alliance.readers.problems import Kind

DATES = ("start_date", "planned_end_date", "observed_until")
WORDED = ("status", "end_reason", "end_reason_source")
ROLES = ("case", "episode", "therapist", *WORDED, *DATES, "planned_sessions")
NAMES: Mapping[str, tuple[str, ...]] = {
    **{role: SYNONYMS[role] for role in ("case", "therapist")},
    "episode": (*SYNONYMS["episode"], "treatment", "treatment_id"),
    "start_date": ("start", "started", "treatment_start", "date_start", "start_of_treatment", "begin"),
    "status": ("treatment_status", "episode_status"),
    "end_reason": ("reason", "reason_ended", "ending_reason", "termination_reason", "discharge_reason"),
    "end_reason_source": ("reason_source", "end_source", "coded_by", "end_coded_by"),
    "planned_sessions": ("sessions_planned", "n_planned", "planned"),
    "planned_end_date": ("planned_end",),
    "observed_until": ("data_cut", "data_cut_date", "cut_date", "censor_date", "data_until"),
}

EXPECTED = frozenset((*ROLES, *(name for names in NAMES.values() for name in names)))
"""Names by which the header of such a file is told."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "status": {
        **{code: code for code in STATUSES},
        "open": "ongoing", "active": "ongoing", "current": "ongoing", "running": "ongoing",
        "in_treatment": "ongoing", "in_therapy": "ongoing", "laufend": "ongoing",
        "closed": "ended", "finished": "ended", "discharged": "ended", "terminated": "ended",
        "completed": "ended", "inactive": "ended", "beendet": "ended", "abgeschlossen": "ended",
    },
    "end_reason": {
        **{code: code for code in END_REASONS},
        "mutual": "mutual_planned", "planned": "mutual_planned", "agreed": "mutual_planned",
        "completed": "mutual_planned", "by_agreement": "mutual_planned", "regular": "mutual_planned",
        "unilateral": "client_unilateral", "client": "client_unilateral", "dropout": "client_unilateral",
        "drop_out": "client_unilateral", "dropped_out": "client_unilateral",
        "ended_by_client": "client_unilateral", "client_ended": "client_unilateral",
        "abbruch": "client_unilateral",
        "therapist": "therapist_ended", "ended_by_therapist": "therapist_ended",
        "moved": "external", "moved_away": "external", "died": "external", "deceased": "external",
        "insurance": "external", "insurance_ended": "external", "service_ended": "external",
        "referred": "external", "referred_on": "external", "referral": "external",
        "not_known": "unknown", "unclear": "unknown", "unbekannt": "unknown",
    },
    "end_reason_source": {
        **{code: code for code in END_SOURCES},
        "clinician": "therapist", "therapeut": "therapist", "patient": "client", "klient": "client",
        "file": "record", "records": "record", "chart": "record", "akte": "record",
    },
}  # fmt: skip
"""Words that are understood, in the form of `key_of`; a word is never guessed."""


def _unknown(one: str, many: str, codes: Sequence[str]) -> Kind:
    known = f"{', '.join(codes[:-1])} or {codes[-1]}"
    return Kind(
        label=f"unknown {one}",
        one=f"{one} is no known word",
        many=f"{many} are no known words",
        hint=f"use {known}",
    )


UNKNOWN_WORD = {
    "status": _unknown("status", "statuses", STATUSES),
    "end_reason": _unknown("end_reason", "end_reasons", END_REASONS),
    "end_reason_source": _unknown("end_reason_source", "end_reason_sources", END_SOURCES),
}
NO_CASE = Kind(
    label="no case",
    one="treatment without a case",
    many="treatments without a case",
    hint="say whose treatment it is",
)
BAD_PLAN = Kind(
    label="no number of sessions",
    one="planned number of sessions is no whole number of 1 or more",
    many="planned numbers of sessions are no whole numbers of 1 or more",
    hint="leave it empty where no number was planned",
)
ONGOING_REASON = Kind(
    label="ongoing with a reason of its end",
    one="ongoing treatment has a reason of its end",
    many="ongoing treatments have a reason of their end",
    hint="correct the status, or take end_reason out",
)
EARLY_CUT = Kind(
    label="dates out of order",
    one="treatment starts after the data were cut off",
    many="treatments start after the data were cut off",
    hint="correct start_date or observed_until",
)
EARLY_END = Kind(
    label="dates out of order",
    one="treatment starts after its planned end",
    many="treatments start after their planned end",
    hint="correct start_date or planned_end_date",
)
NO_EPISODE_ID = Kind(
    label="no episode",
    one="row of a client with several treatments does not say which one",
    many="rows of clients with several treatments do not say which one",
    hint="give each treatment its own episode_id",
)
