"""Columns, types and keys of the frames, one checker each, and the arrays behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

KEYS = ("case", "session", "date", "therapist", "rater")
FLAGS = (
    "case",
    "session",
    "rater",
    "subscale",
    "method",
    "finding",
    "severity",
    "statistic",
    "limit",
    "reason",
    "key",
)
EPISODES = (
    "case", "rater", "subscale", "method", "onset", "end", "outcome", "depth", "nadir", "lag",
    "reference", "nadir_session", "depth_sigma", "partial", "key",
)  # fmt: skip
RISK = (
    "case", "session", "level", "points", "reasons", "not_evaluable",
    "basis", "prompts", "percentile", "last_rating", "n_ratings", "rating_age", "key",
)  # fmt: skip
APPOINTMENTS = ("case", "session", "date", "attendance")
TREATMENTS = (
    "case", "client", "episode", "therapist", "start_date", "status", "end_reason", "end_reason_source",
    "planned_sessions", "planned_end_date", "observed_until",
)  # fmt: skip
"""Columns of a Treatments frame: one treatment episode a row. Further columns are baseline covariates."""
REJECTED = ("line", "case", "session", "rater", "item", "value", "problem")

ATTENDANCE = ("attended", "no_show", "cancel_client_late", "cancel_client", "cancel_clinic", "scheduled")
STATUSES = ("ongoing", "ended")
END_REASONS = ("mutual_planned", "client_unilateral", "therapist_ended", "external", "unknown")
END_SOURCES = ("therapist", "client", "record")


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A column of texts as a code for each row, and the text of each code (an object array)."""

    codes: np.ndarray[Any, Any]
    texts: np.ndarray[Any, Any]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Coded:
        """Return some rows; the texts stay."""
        return Coded(codes=self.codes[rows], texts=self.texts)


@dataclass(frozen=True, kw_only=True)
class Forms:
    """Completed forms as arrays: whole cases, rows in the order case, rater, session.

    Attributes
    ----------
    case, rater, therapist : int, shape (forms,); codes into `cases`, `raters`, `therapists` (texts)
    session : int64, shape (forms,)
    date : datetime64[D], shape (forms,); NaT = not known
    answers : float or small int, shape (items, forms), as printed on the form
    missing : bool, shape (items, forms); where True the value in `answers` means nothing
    """

    case: np.ndarray[Any, Any]
    cases: np.ndarray[Any, Any]
    session: np.ndarray[Any, Any]
    date: np.ndarray[Any, Any]
    therapist: np.ndarray[Any, Any]
    therapists: np.ndarray[Any, Any]
    rater: np.ndarray[Any, Any]
    raters: np.ndarray[Any, Any]
    answers: np.ndarray[Any, Any]
    missing: np.ndarray[Any, Any]


def check_responses(responses: pd.DataFrame, scale: Scale) -> None:
    """Raise ValueError unless `responses` is a Responses frame of `scale`.

    Columns `case session date therapist rater q1 … qk`; one row per completed form; answers are numbers
    the form allows, or missing; (case, rater, session) names one row.
    """
    _require(responses, (*KEYS, *scale.items), "Responses")
    answers = responses[list(scale.items)].to_numpy(dtype=float)
    low, high = np.array(scale.item_bounds).T
    outside = (answers < low) | (answers > high)
    if outside.any():
        message = f"answers must lie in {scale.range_text}, got {answers[outside][0]:g}"
        raise ValueError(message)
    broken = scale.whole & np.isfinite(answers) & (answers % 1 != 0)
    if broken.any():
        message = f"answers must be whole numbers, got {answers[broken][0]:g}"
        raise ValueError(message)
    _require_unique(responses, ("case", "rater", "session"), "Responses")


def check_scores(scores: pd.DataFrame, columns: tuple[str, ...]) -> None:
    """Raise ValueError unless `scores` is a Scores frame with the score `columns`."""
    _require(scores, (*KEYS, *columns), "Scores")
    _require_unique(scores, ("case", "rater", "session"), "Scores")
    values = scores[list(columns)].to_numpy(dtype=float)
    if np.isinf(values).any():
        message = "scores must be finite or missing, got inf"
        raise ValueError(message)


def check_appointments(appointments: pd.DataFrame) -> None:
    """Raise ValueError unless `appointments` is an Appointments frame: one row per appointment, in order."""
    _require(appointments, APPOINTMENTS, "Appointments")
    unknown = sorted(set(appointments["attendance"]) - set(ATTENDANCE))
    if unknown:
        message = f"attendance must be one of {', '.join(ATTENDANCE)}, got {unknown[0]}"
        raise ValueError(message)


def check_treatments(treatments: pd.DataFrame) -> None:
    """Raise ValueError unless `treatments` is a Treatments frame, a row per case; empty texts = not known."""
    _require(treatments, TREATMENTS, "Treatments")
    for column, known in (
        ("status", STATUSES),
        ("end_reason", END_REASONS),
        ("end_reason_source", END_SOURCES),
    ):
        unknown = sorted(set(treatments[column].astype(object).fillna("")) - {*known, ""})
        if unknown:
            message = f"{column} must be one of {', '.join(known)}, or empty, got {unknown[0]}"
            raise ValueError(message)
    _require_unique(treatments, ("case",), "Treatments")


def _require(frame: pd.DataFrame, columns: tuple[str, ...], noun: str) -> None:
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        message = f"{noun} must have the column {absent[0]}, got {', '.join(map(str, frame.columns))}"
        raise ValueError(message)


def _require_unique(frame: pd.DataFrame, keys: tuple[str, ...], noun: str) -> None:
    doubled = frame.duplicated(list(keys))
    if doubled.any():
        message = f"{noun} must have one row for each {', '.join(keys)}, got {int(doubled.sum())} doubles"
        raise ValueError(message)
