"""Which truth there is about a caseload, and what must be told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import Courses
from alliance.errors import UsageError
from alliance.evaluation.labels import Labels, label_values, labelled
from alliance.evaluation.planted import Planted
from alliance.evaluation.truth import Truth

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Known:
    """The truth about a caseload: what was planted, or what somebody labelled; one of the two is None."""

    planted: Planted | None
    labels: Labels | None
    within: int
    n_strange: int = 0

    @classmethod
    def of(
        cls,
        scores: pd.DataFrame,
        truth: pd.DataFrame | None,
        labels: str | pd.DataFrame | None,
        *,
        within: int,
    ) -> Known | None:
        """Return the truth, or None if there is none.

        Raises
        ------
        UsageError
            If there are two, or no such column.
        DataError
            If it cannot be read.
        """
        if truth is not None and labels is not None:
            message = "a planted truth and labels cannot be used at once"
            raise UsageError(message, hint="give --truth or --labels")
        if truth is not None:
            return cls(planted=Planted.of(truth), labels=None, within=within)
        if labels is None:
            return None
        frame, name = (scores, labels) if isinstance(labels, str) else (labels, labels.columns[-1])
        if name not in frame.columns:
            message = f"there is no column '{name}' with labels"
            raise UsageError(message, hint=f"there are {', '.join(map(str, frame.columns))}")
        return cls._labelled(scores, frame, str(name), within)

    @classmethod
    def _labelled(cls, scores: pd.DataFrame, frame: pd.DataFrame, name: str, within: int) -> Known:
        import pandas as pd

        value = label_values(frame[name], frame)
        place = pd.Index(scores["case"].unique()).get_indexer(pd.Index(frame["case"]))
        mine = place >= 0
        strange = int(np.isfinite(value[~mine]).sum())
        labels = Labels.of(frame[mine], np.asarray(place[mine], dtype=np.int64), value[mine])
        return cls(planted=None, labels=labels, within=within, n_strange=strange)

    @property
    def source(self) -> str:
        """`planted` or `labels`."""
        return "labels" if self.planted is None else "planted"

    def truth(self, courses: Courses, place: Array, names: Array) -> Truth:
        """Return the truth about courses whose series belong to the cases `names[place]`."""
        if self.planted is not None:
            return self.planted.truth(courses, names[place])
        if self.labels is None:
            message = "known must hold a truth, got none"
            raise ValueError(message)
        return labelled(courses, self.labels.rows(courses, place), within=self.within)

    def notes(self, truths: Sequence[Truth], names: Array) -> tuple[str, ...]:
        """Return what must be told of the truth: what is not said, and what there is no score for."""
        if self.planted is not None:
            absent = len(set(self.planted.case.tolist()) - {str(name) for name in names})
            return (f"{_many(absent, 'case')} of the truth have no form",) if absent else ()
        notes = []
        blank = max((int(np.isnan(truth.label).sum()) for truth in truths), default=0)
        if blank:
            notes.append(f"{_many(blank, 'session')} without a label left out")
        used = max((int(np.isfinite(truth.label).sum()) for truth in truths), default=0)
        n_labels = 0 if self.labels is None else len(self.labels.value)
        unused = n_labels - used + self.n_strange
        if unused:
            notes.append(f"{_many(unused, 'label')} of sessions without a form left out")
        return tuple(notes)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
