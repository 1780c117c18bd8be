"""`pcoms`: the rule that vendors of session-by-session feedback have published, for comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import TOLERANCE, Courses, three_valued
from alliance.errors import UsageError
from alliance.rupture.change import last_scored_rows, state_of
from alliance.rupture.episodes import RepairRule, follow_flags
from alliance.rupture.findings import number
from alliance.rupture.registry import Measure, method
from alliance.rupture.verdict import Episodes, Verdict, constant

if TYPE_CHECKING:
    from alliance.rupture.findings import Judged

Array = np.ndarray[Any, Any]

LOW, FELL, BEFORE, CUTOFF = "low", "fell", "score before", "cut-off"


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """The score below which a rating is low; `inclusive`: that score itself is low too."""

    value: float
    inclusive: bool

    def low(self, scores: Array) -> Array:
        below: Array = scores < self.value + (TOLERANCE if self.inclusive else -TOLERANCE)
        return below

    @property
    def healed(self) -> float:
        """The lowest score that is not low."""
        return self.value + 2 * TOLERANCE if self.inclusive else self.value


def _cut(measure: Measure, cutoff: float | None) -> _Cut:
    """Return the cut-off in the points the courses are in."""
    if cutoff is not None:
        return _Cut(value=-cutoff if measure.rising else cutoff, inclusive=False)
    if measure.cutoff is None or measure.rising:
        message = "pcoms needs the score below which a rating is low, and the definition has none"
        if measure.rising:
            message = "pcoms needs the score above which a rating is high, and the definition has none"
        raise UsageError(message, hint="give --cutoff")
    return _Cut(value=measure.cutoff, inclusive=measure.at_cutoff)


def _explain(judged: Judged, rows: Array) -> list[Array | str]:
    """Return which of the two it was, or that it was both."""
    details = {name: values[rows] for name, values in judged.verdict.details.items()}
    before, cutoff = judged.sign * details[BEFORE], judged.sign * details[CUTOFF]
    scores = judged.courses.values[rows]
    side, way = ("above", "rose") if judged.rising else ("below", "fell")
    on = np.where(np.abs(scores - cutoff) <= TOLERANCE, ", on", f", {side}").astype(object)
    low = on + number(" the cut-off ", cutoff)
    points = number(f", {way} ", np.abs(scores - before)) + number(" points since the score before (", before)
    return [
        number("scored ", scores),
        np.where(details[LOW] > 0, low, "").astype(object),
        np.where(details[FELL] > 0, points + ")", "").astype(object),
    ]


@method(
    "pcoms",
    online=True,
    needs="one score, and the published cut-off of the form",
    finds="low ratings, and falls of 1 point or more since the last session; for comparison",
    blind="how much this person's ratings vary anyway: for most, 1 point is within a normal week",
    source="OpenFIT, table of alerts, https://support.openfit.care/support/solutions/articles/204000069702",
    formula=(
        "low: y < cutoff; the form's own cut-off with its own edge rule, such as y <= 36",
        "fell: y_before - y >= fall, y_before = the last score before, fall = 1",
        "flagged: low or fell",
    ),
    explain=_explain,
    warning="a vendor's rule, for comparison: noise alone makes 94 % of cases fall 1 point or more within 6 "
    "sessions where scores vary by a within-person SD of 1.5 points",
)
def pcoms(
    courses: Courses,
    measure: Measure,
    *,
    cutoff: float | None = None,
    fall: float = 1.0,
    repair: RepairRule | None = None,
) -> Verdict:
    """Flag a session that scores below the form's cut-off, or a point or more below the session before.

    The rule as a vendor of session-by-session feedback has published it for the SRS. The session before is
    the last one with a score, however long ago; the first score of a case cannot have fallen.

    Parameters
    ----------
    courses : Courses
        One score of every series, higher = stronger alliance; NaN = not scored, and left out.
    measure : Measure
        Its `cutoff` is used if none is given; `at_cutoff` says whether that score itself is low.
    cutoff : float, optional
        A score below it is low; the score itself is not, as the vendor has it. Published guides disagree on
        that.
    fall : float
        A fall of so many points or more is flagged.
    repair : RepairRule, optional
        When an episode ends: at a score that is neither low nor `fall` or more below the score before the
        onset (tolerance below 1: nor more than that part of `fall` below it).

    Returns
    -------
    Verdict
        `limit` is the higher one of the cut-off and the score before less `fall`; `statistic` the distance
        from it in points; `reference` the score before where the score fell, else the cut-off. `sigma` is
        `fall`: the rule knows no measurement error. `met` is NaN only where there is no score.

    Raises
    ------
    UsageError
        If no cut-off is known. That of a definition is about low scores: for rises one must be given.

    Examples
    --------
    >>> pcoms(Courses.of([38, 37.5, 36.5, 36, 35.9]), Measure(), cutoff=36).met
    array([0., 0., 1., 0., 1.])
    """
    cut, rows = _cut(measure, cutoff), last_scored_rows(courses)
    before = np.where(rows >= 0, courses.values[rows], np.nan)
    low, fell = cut.low(courses.values), courses.values <= before - fall + TOLERANCE
    met = three_valued(np.isfinite(courses.values), low | fell)
    limit = np.where(np.isfinite(courses.values), np.fmax(before - fall, cut.value), np.nan)
    n_forms = len(met)
    details = {LOW: low, FELL: fell, BEFORE: before, CUTOFF: constant(cut.value, n_forms)}
    reference = np.where(fell, before, np.where(np.isnan(met), np.nan, cut.value))
    rule = repair or RepairRule()
    level = _level(np.where(fell, before, -np.inf), cut, fall, rule)
    return Verdict(
        met=met,
        statistic=courses.values - limit,
        limit=limit,
        reference=reference,
        sigma=constant(fall, n_forms),
        df=constant(np.nan, n_forms),
        n_reference=(rows >= 0).astype(np.int64),
        state=state_of(courses, met),
        needed=1,
        counted="scores",
        follow=lambda: _episodes(courses, met, level, reference, fall=fall, rule=rule),
        compared=lambda: rows[met == 1][:, None],
        details=details,
    )


def _level(fallen_from: Array, cut: _Cut, fall: float, rule: RepairRule) -> Array:
    """Return the score that ends an episode opened there: the rule no longer holds against `fallen_from`."""
    back = np.fmax(fallen_from - rule.tolerance * fall, fallen_from - fall + 2 * TOLERANCE)
    level: Array = np.fmax(back, cut.healed)
    return level


def _episodes(
    courses: Courses, met: Array, level: Array, reference: Array, *, fall: float, rule: RepairRule
) -> Episodes:
    found = follow_flags(courses, met, level, constant(0.0, len(level)), rule)
    return replace(found, reference=reference[found.onset], sigma=np.full(len(found.onset), fall))
