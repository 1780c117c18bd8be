"""A detector against the truth: planted ruptures, or sessions somebody labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import MAX_GAP_DAYS
from alliance.errors import UsageError
from alliance.evaluation.calibration import Calibration, calibrated, settings_of
from alliance.evaluation.counting import Counts, count
from alliance.evaluation.detectors import Detector, detectors, methods_of
from alliance.evaluation.figures import REPLICATES, Figure, figures_of
from alliance.evaluation.known import Known
from alliance.evaluation.labels import WINDOW
from alliance.evaluation.planted import Planted
from alliance.evaluation.results import ROWS, Evaluation, Result
from alliance.evaluation.truth import KINDS, Truth
from alliance.evaluation.tuning import Tuning, tune
from alliance.rupture.flagging import detect

if TYPE_CHECKING:
    import pandas as pd

    from alliance.rupture.flagging import Detection
    from alliance.rupture.frozen import Frozen
    from alliance.rupture.subject import Subject

__all__ = ["ROWS", "Calibration", "Evaluation", "Figure", "Planted", "Result", "calibrate", "evaluate"]

Array = np.ndarray[Any, Any]

DEFAULT = ("predictive-limit",)


def evaluate(
    scores: pd.DataFrame,
    subject: Subject,
    methods: Sequence[str] = DEFAULT,
    *,
    truth: pd.DataFrame | None = None,
    labels: str | pd.DataFrame | None = None,
    within: int = WINDOW,
    at_rate: float | None = None,
    seed: int = 1,
    replicates: int = REPLICATES,
    prior: Frozen | None = None,
    max_gap_days: float = MAX_GAP_DAYS,
    **settings: Any,
) -> Evaluation:
    """Hold detectors against planted ruptures, or against labels.

    Parameters
    ----------
    scores : DataFrame
        Scores, as `detect` takes them.
    subject : Subject
        The score that is judged.
    methods : sequence of str
        Registered methods; those joined by + are one detector that flags where any of them does.
    truth : DataFrame, optional
        One row per case: `case`, `rupture` (none, v1, v3, step, ramp), `onset`, and `reached` if it is there.
    labels : str or DataFrame, optional
        A column of `scores`, or a frame with `case`, `session` and the labels as its last column: 1 or 0, yes
        or no, true or false, or missing = not observed. A session has one label, whoever's row it stands in.
    within : int
        Sessions after a labelled onset within which a flag counts as a detection; planted ruptures have their
        own.
    at_rate : float, optional
        False alarms per 100 sessions that every detector is turned to on one half of the cases; what is
        reported is how it then does on the other half.
    seed, replicates : int
        Of the bootstrap over cases, and of the split.
    prior, max_gap_days, **settings
        As `detect` takes them. The caseload prior is that of all cases; it does not know the truth.

    Returns
    -------
    Evaluation
        One result for each detector and rater, every figure with its 95 % interval.

    Raises
    ------
    UsageError
        Unless there is one truth; if a method is unknown, or a number impossible.
    DataError
        If the truth or a label cannot be read, or does not fit the scores.
    """
    _require(within=within, rate=at_rate, replicates=replicates)
    known = Known.of(scores, truth, labels, within=within)
    if known is None:
        message = "evaluate needs a truth to hold the detectors against"
        raise UsageError(message, hint="give --truth FILE or --labels COLUMN; --calibrate needs neither")
    found = _detect(scores, subject, methods, prior=prior, max_gap_days=max_gap_days, **settings)
    tested = np.full(len(found.names), True)
    if at_rate is not None:
        tested = _test_half(len(found.names), seed)
    asked = detectors(found, methods)
    truths = [known.truth(each.courses, each.place, found.names) for each in asked]
    results = tuple(
        _result(each, facts, at_rate, tested[each.place], seed=seed, replicates=replicates)
        for each, facts in zip(asked, truths, strict=True)
    )
    return Evaluation(
        source=known.source,
        within=within,
        results=results,
        at_rate=at_rate,
        n_tuned=int((~tested).sum()),
        n_tested=int(tested.sum()),
        seed=seed,
        replicates=replicates,
        notes=known.notes(truths, found.names),
    )


def calibrate(
    scores: pd.DataFrame,
    subject: Subject,
    rate: float,
    methods: Sequence[str] = DEFAULT,
    *,
    truth: pd.DataFrame | None = None,
    labels: str | pd.DataFrame | None = None,
    within: int = WINDOW,
    seed: int = 1,
    replicates: int = REPLICATES,
    prior: Frozen | None = None,
    max_gap_days: float = MAX_GAP_DAYS,
    **settings: Any,
) -> tuple[Calibration, ...]:
    """Find the setting of each detector that gives `rate` false alarms per 100 scored sessions.

    Parameters
    ----------
    scores, subject, methods, within, seed, replicates, prior, max_gap_days, **settings
        As `evaluate` takes them.
    rate : float
        The wished rate, above 0.
    truth, labels : optional
        As `evaluate` takes them: then what is known to be free of rupture is calibrated on. Without them
        courses without ruptures are drawn that have the caseload's sessions, gaps, levels, spread and
        autocorrelation, as for what noise alone would flag.

    Returns
    -------
    tuple of Calibration
        One for each detector and rater.

    Raises
    ------
    UsageError, DataError
        As `evaluate` does.
    """
    _require(within=within, rate=rate, replicates=replicates)
    known = Known.of(scores, truth, labels, within=within)
    found = _detect(scores, subject, methods, prior=prior, max_gap_days=max_gap_days, **settings)
    return tuple(
        calibrated(
            each,
            None if known is None else known.truth(each.courses, each.place, found.names),
            rate,
            seed=seed,
            replicates=replicates,
        )
        for each in detectors(found, methods)
    )


def _require(*, within: int, rate: float | None, replicates: int) -> None:
    if within < 0:
        message = f"within must be at least 0, got {within}"
        raise UsageError(message, hint="2 is usual: the onset and the two sessions after it")
    if rate is not None and not 0 < rate < 100:  # noqa: PLR2004  per 100 sessions
        message = f"a rate must lie above 0 and below 100 false alarms per 100 sessions, got {rate:g}"
        raise UsageError(message, hint="1.0 is one false alarm per 100 sessions")
    if replicates < 0:
        message = f"replicates must be at least 0, got {replicates}"
        raise UsageError(message, hint="999 is usual, 0 leaves the intervals out")


def _detect(
    scores: pd.DataFrame,
    subject: Subject,
    methods: Sequence[str],
    **options: Any,
) -> Detection:
    names = list(dict.fromkeys(part for name in methods for part in methods_of(name)))
    return detect(scores, subject, names, **options)


def _test_half(n_cases: int, seed: int) -> Array:
    """Return which cases the detectors are measured on; they are turned on the others, half of them all."""
    tested = np.full(n_cases, True)
    tested[np.random.default_rng(seed).permutation(n_cases)[: n_cases // 2]] = False
    return tested


def _result(
    detector: Detector, truth: Truth, at_rate: float | None, tested: Array, *, seed: int, replicates: int
) -> Result:
    tuning = None if at_rate is None else _tuned(detector, truth, at_rate, ~tested)
    turned = tuning is not None and any(value is not None for value in tuning.knobs)
    if tuning is not None and turned:
        detector = detector.turned_to(tuning.knobs)
    counts = count(detector.courses, detector.verdict, truth).take(tested)
    return Result(
        detector=detector.name,
        rater=detector.rater,
        settings=() if tuning is None else settings_of(detector, tuning),
        reached=None if tuning is None else turned and tuning.reached,
        tuned_rate=np.nan if tuning is None else tuning.rate,
        figures=figures_of(counts, replicates=replicates, seed=seed),
        kinds=_kinds(counts),
        n_cases=len(counts.values),
        **_numbers(counts),
    )


def _tuned(detector: Detector, truth: Truth, rate: float, kept: Array) -> Tuning:
    """Return the setting of the wished rate on some of the cases: those without a planted rupture."""
    if truth.source == "planted":
        kept = kept & truth.quiet_series
    return tune(detector, detector.of(kept), truth.take(detector.courses, kept), rate)


def _numbers(counts: Counts) -> dict[str, int]:
    names = {
        "n_sessions": "sessions",
        "n_judged": "judged",
        "n_ruptures": "ruptures",
        "n_blind": "blind",
        "n_left_out": "left out",
        "n_left_out_ruptures": "left out ruptures",
        "n_other_alarms": "other alarms",
    }
    return {name: int(counts[column].sum()) for name, column in names.items()}


def _kinds(counts: Counts) -> dict[str, tuple[int, int]]:
    return {
        kind: (int(counts[f"{kind} planted"].sum()), int(counts[f"{kind} blind"].sum()))
        for kind in KINDS[1:]
        if f"{kind} planted" in counts.names
    }
