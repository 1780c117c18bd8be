"""What a run knew of its caseload, frozen: so that next month's data do not rewrite last month's verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from alliance.errors import DataError
from alliance.rupture.catalogue import METHODS
from alliance.rupture.prior import Prior

if TYPE_CHECKING:
    from alliance.rupture.detection import Run

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """Priors and other lessons of a caseload, by rater.

    Attributes
    ----------
    form, column, direction : what they are about
    until : ISO date of the latest session they were learned from
    priors : rater → Prior
    lessons : (method, rater) → what the method learned
    """

    form: str
    column: str
    direction: str
    until: str
    priors: Mapping[str, Prior]
    lessons: Mapping[tuple[str, str], Any]

    @classmethod
    def of(cls, runs: Sequence[Run], *, until: str) -> Frozen:
        """Return what the runs knew."""
        subject = runs[0].subject
        priors = {rater: measure.prior for run in runs for rater, measure in run.measures.items()}
        lessons = {
            (run.method.name, rater): measure.caseload[run.method.name]
            for run in runs
            for rater, measure in run.measures.items()
            if run.learns
        }
        return cls(
            form=subject.form,
            column=subject.column,
            direction=subject.direction,
            until=until,
            priors=priors,
            lessons=lessons,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the content of a prior file."""
        lessons: dict[str, dict[str, Any]] = {}
        for (method, rater), lesson in sorted(self.lessons.items()):
            lessons.setdefault(method, {})[rater] = lesson.as_json()
        return {
            "alliance_prior": SCHEMA,
            "form": self.form,
            "column": self.column,
            "direction": self.direction,
            "until": self.until,
            "priors": {rater: asdict(prior) for rater, prior in sorted(self.priors.items())},
            "lessons": lessons,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Frozen:
        """Return what a prior file, or the manifest of an analysis, holds.

        Raises
        ------
        DataError
            If it is neither, or was written by a later version.
        """
        table = content.get("prior", content)
        if not isinstance(table, Mapping) or table.get("alliance_prior") != SCHEMA:
            message = "this is no prior file of this version"
            raise DataError(message, hint="give a file of --write-prior, or the manifest.json of an analysis")
        try:
            priors = {rater: Prior(**numbers) for rater, numbers in table["priors"].items()}
            lessons = {
                (method, rater): METHODS[method].recall(lesson)
                for method, raters in table["lessons"].items()
                for rater, lesson in raters.items()
            }
            names = {name: str(table[name]) for name in ("form", "column", "direction", "until")}
        except (KeyError, TypeError, AttributeError) as problem:
            message = "this prior file is damaged"
            raise DataError(message, hint="write it again with --write-prior") from problem
        return cls(**names, priors=priors, lessons=lessons)

    def prior(self, run: Run, rater: str) -> Prior:
        """Return the prior of a rater.

        Raises
        ------
        DataError
            If it is about another score, or holds no such rater.
        """
        subject = run.subject
        ours = (subject.form, subject.column, subject.direction)
        if ours != (self.form, self.column, self.direction):
            message = f"the prior is about {self._about(self.form, self.column, self.direction)}"
            raise DataError(message, hint=f"this run judges {self._about(*ours)}")
        if rater not in self.priors:
            message = f"the prior holds no courses of the rater '{rater}'"
            raise DataError(message, hint=f"it holds {', '.join(sorted(self.priors))}")
        return self.priors[rater]

    def lesson(self, run: Run, rater: str) -> Any:
        """Return what the method learned, None if it learns nothing.

        Raises
        ------
        DataError
            If the method learns and the file holds nothing of it.
        """
        if not run.learns:
            return None
        if (run.method.name, rater) not in self.lessons:
            message = f"the prior holds nothing for {run.method.name}"
            raise DataError(message, hint="write it with a run of that method")
        return self.lessons[run.method.name, rater]

    @staticmethod
    def _about(form: str, column: str, direction: str) -> str:
        return f"{direction}s of {column}{f' of {form}' if form else ''}"
