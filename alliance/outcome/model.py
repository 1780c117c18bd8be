"""What follows on a score that is higher than usual: a mixed model with both parts of that score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance.courses import MAX_GAP_DAYS, TOLERANCE
from alliance.errors import UsageError
from alliance.outcome.describe import counted
from alliance.outcome.pairing import Pairs
from alliance.outcome.parts import CENTRES, case_means, detrended, deviations, split
from alliance.outcome.reml import Data
from alliance.outcome.second import Checked, fit_checked
from alliance.special import t_quantile, t_share

Array = np.ndarray[Any, Any]

CASES_NEEDED = 3
"""Two cases leave no degree of freedom beside their mean level and its coefficient."""

LEAST_SIGMA = 1e-6
"""Share of the SD within cases below which nothing is left for the residuals."""

FEW_CASES = 20
"""By design: below this many it is told that differences between cases are uncertain."""

WITHIN, BETWEEN, CONTEXT = "within", "between", "between - within"
PRIOR, SESSION, INTERCEPT = "before", "session", "intercept"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How alliance and outcome are brought together.

    Attributes
    ----------
    lag : int; session numbers from the alliance to the outcome
    reverse_lag : int; session numbers from the outcome to the alliance, in the model of the other direction.
        None: lag - 1, as the outcome is rated at the start of a session and the alliance at its end
    max_gap_days : float; sessions further apart are no neighbours
    centre : `mean`, the case's mean over its pairs, or `so-far`, over its earlier sessions
    detrend : bool; each case's own straight line is taken out of alliance and outcome
    autoregression : bool; the score before is in the model, and a pair without one is lost
    random_slope : bool; the effect of the within part differs between cases
    therapists : bool; therapists differ too
    """

    lag: int = 1
    reverse_lag: int | None = None
    max_gap_days: float = MAX_GAP_DAYS
    centre: str = "mean"
    detrend: bool = False
    autoregression: bool = True
    random_slope: bool = False
    therapists: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be, or not together."""
        lags = {"lag": self.lag, "reverse_lag": self.lag_back}
        for name, value in lags.items():
            if value < 0:
                message = f"{name} must be at least 0, got {value}"
                raise ValueError(message)
        if self.centre not in CENTRES:
            message = f"centre must be one of {', '.join(CENTRES)}, got {self.centre}"
            raise ValueError(message)
        if self.detrend and self.centre == "so-far":
            message = "a course is detrended by all its sessions, which 'so-far' rules out"
            raise UsageError(message, hint="leave out --detrend, or --centre so-far")
        if self.therapists and (self.detrend or self.random_slope):
            message = "therapists cannot be had together with a random slope or detrended courses"
            raise UsageError(message, hint="leave out --therapists, or --random-slope and --detrend")

    @property
    def lag_back(self) -> int:
        """Session numbers from the outcome to the alliance in the other direction."""
        return max(self.lag - 1, 0) if self.reverse_lag is None else self.reverse_lag


@dataclass(frozen=True, kw_only=True)
class Term:
    """One fixed effect; NaN = there is none.

    Attributes
    ----------
    name : within, between, between - within, before, session or intercept
    estimate, se : points of the later score for one point of this one (for the intercept: points)
    df : float; degrees of freedom of Student's t behind `p` and the 95 % interval
    per_sd : points of the later score for one SD of this one, of the same level
    standardised : the same in SDs of the later score, of the same level
    """

    name: str
    estimate: float
    se: float
    df: float
    t: float
    p: float
    low: float
    high: float
    per_sd: float = math.nan
    standardised: float = math.nan

    @property
    def told_from_zero(self) -> bool:
        """Whether the 95 % interval leaves 0 out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True)
class Model:
    """A mixed model of what follows; without `terms` where `reason` says why.

    Attributes
    ----------
    n_pairs, n_cases, n_therapists : int; the last is 0 without therapists
    terms : fixed effects
    case_sd, therapist_sd : SDs of the intercepts of cases and therapists
    slope_sd, trend_sd : SDs between cases of the within effect, and of points per session
    slope_correlation : of a case's intercept and its within effect
    sigma : SD within a case
    r2_within, r2_between : share of the variance of that level which the fixed effects explain
    deviance, second_deviance : -2 log restricted likelihood, ours and where statsmodels ended
    notes : what must be told
    reason : text; why there is no model, empty where there is one
    """

    n_pairs: int
    n_cases: int
    n_therapists: int = 0
    terms: tuple[Term, ...] = ()
    case_sd: float = math.nan
    therapist_sd: float = math.nan
    slope_sd: float = math.nan
    slope_correlation: float = math.nan
    trend_sd: float = math.nan
    sigma: float = math.nan
    r2_within: float = math.nan
    r2_between: float = math.nan
    deviance: float = math.nan
    second_deviance: float = math.nan
    notes: tuple[str, ...] = ()
    reason: str = ""

    def term(self, name: str) -> Term | None:
        """Return the term called `name`, or None."""
        return next((each for each in self.terms if each.name == name), None)


@dataclass(frozen=True, kw_only=True)
class _Design:
    """What goes into a model: columns by name, what differs between cases, and what each case costs.

    `spent` : degrees of freedom within cases that go to the cases' own means and lines
    `alive` : cases whose within part varies
    `sd` : SD of each term, and of the later score at both levels
    """

    columns: dict[str, Array]
    random: dict[str, Array]
    spent: int
    alive: int
    sd: dict[str, float]

    @property
    def fixed(self) -> Array:
        return np.column_stack(list(self.columns.values()))

    @property
    def of_sessions(self) -> list[str]:
        """Terms that vary within cases."""
        return [name for name in self.columns if name not in {INTERCEPT, BETWEEN}]


def model_of(pairs: Pairs, settings: Settings) -> Model:
    """Fit what follows on how a score differs from the case's usual level, and on that level.

    y = b0 + bw (x - usual) + bb (usual - mean) + bp before + bs session + a(case) [+ s(case) (x - usual)] + e

    Parameters
    ----------
    pairs : Pairs
    settings : Settings

    Returns
    -------
    Model
        By REML. The score before and the session number are less the case's own mean, as the within part is:
        with a random intercept alone, the within effects then equal those with a fixed effect for every
        case, whatever the intercepts do. With `detrend` within part and score before are less the case's own
        straight line, and the lines of the later score are random. Student's t has the between-within
        degrees of freedom (Schluchter & Elashoff 1990): pairs less cases less within terms; cases less 2; for
        an effect that differs between cases, the cases in which it can be seen less 1. R squared as in Rights
        & Sterba (2019), for cases' means over the pairs and without therapists; NaN otherwise.

    Raises
    ------
    UsageError
        If statsmodels is not installed.

    References
    ----------
    Curran, P. J., & Bauer, D. J. (2011). https://doi.org/10.1146/annurev.psych.093008.100356
    Rights, J. D., & Sterba, S. K. (2019). https://doi.org/10.1037/met0000184
    """
    n_cases = len(pairs.names)
    basis: dict[str, Any] = {"n_pairs": len(pairs.x), "n_cases": n_cases}
    reason = _too_few(pairs)
    if reason:
        return Model(**basis, reason=reason)
    design = _design(pairs, settings)
    reason = _too_flat(design, len(pairs.x), n_cases)
    if reason:
        return Model(**basis, reason=reason)
    therapist = None
    if settings.therapists:
        names, therapist = np.unique(pairs.therapist.astype(str), return_inverse=True)
        if len(names) < 2:  # noqa: PLR2004  a difference between therapists needs two
            return Model(**basis, reason="not enough data: 1 therapist of 2")
        basis["n_therapists"] = len(names)
    random = np.column_stack(list(design.random.values()))
    data = Data(y=pairs.y, x=design.fixed, z=random, case=pairs.case, therapist=therapist)
    checked = fit_checked(data)
    notes = tuple(_notes(checked, basis, pairs, settings))
    if math.sqrt(checked.found.residual) <= TOLERANCE + LEAST_SIGMA * design.sd["y within"]:
        return Model(**basis, reason="nothing is left to vary within cases")
    if not checked.converged:
        simpler = " Try it without the random slope." if len(design.random) > 1 else ""
        return Model(**basis, notes=notes, reason=f"the model did not converge.{simpler}")
    return _told(checked, design, settings, basis, notes)


def _too_few(pairs: Pairs) -> str:
    n, n_cases = len(pairs.x), len(pairs.names)
    if n == 0:
        return "not enough data: no pair"
    if n_cases < CASES_NEEDED:
        return f"not enough data: the pairs are of {counted(n_cases, 'case')}, of {CASES_NEEDED} needed"
    if n == n_cases:
        return "not enough data: one pair in each case, so nothing varies within"
    return ""


def _design(pairs: Pairs, settings: Settings) -> _Design:
    case, session = pairs.case, pairs.session
    lines = session if settings.detrend else None
    parts = split(pairs.x, case, session=lines, so_far=pairs.so_far if settings.centre == "so-far" else None)

    def apart(values: Array) -> Array:
        return detrended(values, session, case) if settings.detrend else deviations(values, case)

    columns = {INTERCEPT: np.ones(len(case)), WITHIN: parts.within, BETWEEN: parts.between}
    if settings.autoregression:
        columns[PRIOR] = apart(pairs.prior)
    columns[SESSION] = deviations(session.astype(float), case)
    random = {INTERCEPT: columns[INTERCEPT]}
    if settings.detrend:
        random[SESSION] = columns[SESSION]
    if settings.random_slope:
        random[WITHIN] = columns[WITHIN]
    size = np.bincount(case)
    spent = int(np.minimum(size, 2).sum()) if settings.detrend else len(size)
    left = max(len(case) - spent, 1)
    varying = {name: columns[name] for name in (WITHIN, PRIOR) if name in columns} | {
        "y within": apart(pairs.y)
    }
    sd = {name: math.sqrt(float(values @ values) / left) for name, values in varying.items()}
    if settings.centre == "so-far":
        sd[WITHIN] = float(parts.within.std(ddof=1))
    sd |= {
        BETWEEN: float(case_means(parts.between, case).std(ddof=1)),
        "y between": float(case_means(pairs.y, case).std(ddof=1)),
    }
    varies = np.bincount(case, weights=np.abs(parts.within)) > TOLERANCE
    return _Design(columns=columns, random=random, spent=spent, alive=int(varies.sum()), sd=sd)


def _too_flat(design: _Design, n: int, n_cases: int) -> str:
    """Return why these data carry no model, empty where they carry one."""
    reasons = {
        WITHIN: "the earlier score never varies within a case",
        BETWEEN: "the cases do not differ in their usual level",
        PRIOR: "the score before never varies within a case; leave it out (--no-autoregression)",
    }
    for name, reason in reasons.items():
        if name in design.columns and np.abs(design.columns[name]).max() <= TOLERANCE:
            return reason
    if _within_df(design, n) < 1:
        return f"not enough data: {n} pairs of {n_cases} cases leave no degree of freedom within cases"
    if n <= n_cases * len(design.random):
        return (
            f"not enough data: {n} pairs for {len(design.random)} random effects of each of {n_cases} cases"
        )
    if WITHIN in design.random and design.alive < 2:  # noqa: PLR2004  an SD between cases needs two
        return "not enough data: the earlier score varies within one case only"
    scaled = design.fixed / np.sqrt((design.fixed**2).mean(axis=0))
    if np.linalg.matrix_rank(scaled, tol=1e-7 * math.sqrt(n)) < scaled.shape[1]:
        return f"the terms {', '.join(design.columns)} cannot be told apart in these data"
    return ""


def _within_df(design: _Design, n: int) -> int:
    own_lines = SESSION in design.random
    return n - design.spent - len(design.of_sessions) + (1 if own_lines else 0)


def _told(
    checked: Checked, design: _Design, settings: Settings, basis: dict[str, Any], notes: tuple[str, ...]
) -> Model:
    found = checked.found
    spread = np.sqrt(np.diag(found.random))
    place = {name: number for number, name in enumerate(design.random)}
    slope_sd = float(spread[place[WITHIN]]) if WITHIN in place else math.nan
    correlation = math.nan
    if WITHIN in place and spread[0] * slope_sd > 0:
        correlation = float(found.random[0, place[WITHIN]] / (spread[0] * slope_sd))
    r2_within, r2_between = math.nan, math.nan
    if settings.centre == "mean" and not settings.therapists:
        r2_within, r2_between = _explained(checked, design)
    return Model(
        **basis,
        terms=tuple(_terms(checked, design, basis["n_pairs"], basis["n_cases"])),
        case_sd=float(spread[0]),
        therapist_sd=math.sqrt(found.therapist) if settings.therapists else math.nan,
        slope_sd=slope_sd,
        slope_correlation=correlation,
        trend_sd=float(spread[place[SESSION]]) if SESSION in place else math.nan,
        sigma=math.sqrt(found.residual),
        r2_within=r2_within,
        r2_between=r2_between,
        deviance=found.deviance,
        second_deviance=checked.deviance,
        notes=notes,
    )


def _terms(checked: Checked, design: _Design, n: int, n_cases: int) -> list[Term]:
    """Return the terms in the order of reading; the difference of the two parts stands behind them."""
    beta, covariance = checked.found.beta, checked.found.covariance
    place = {name: number for number, name in enumerate(design.columns)}
    df: dict[str, float] = dict.fromkeys(place, float(_within_df(design, n)))
    df[INTERCEPT] = df[BETWEEN] = float(n_cases - 2)
    for name in design.random:
        if name != INTERCEPT:
            df[name] = float((design.alive if name == WITHIN else n_cases) - 1)
    later = {WITHIN: "y within", PRIOR: "y within", BETWEEN: "y between"}
    found = {}
    for name, at in place.items():
        unit = design.sd.get(name, math.nan)
        sd = design.sd[later[name]] if name in later else math.nan
        found[name] = _term(name, float(beta[at]), math.sqrt(covariance[at, at]), df[name], unit, sd)
    contrast = np.zeros(len(beta))
    contrast[place[BETWEEN]], contrast[place[WITHIN]] = 1, -1
    error = math.sqrt(float(contrast @ covariance @ contrast))
    found[CONTEXT] = _term(
        CONTEXT, float(contrast @ beta), error, min(df[WITHIN], df[BETWEEN]), math.nan, math.nan
    )
    order = (WITHIN, BETWEEN, CONTEXT, PRIOR, SESSION, INTERCEPT)
    return [found[name] for name in order if name in found]


def _term(name: str, estimate: float, se: float, df: float, unit: float, sd: float) -> Term:  # noqa: PLR0917
    half = t_quantile(0.975, df) * se
    t = float(estimate / se)
    return Term(
        name=name,
        estimate=float(estimate),
        se=float(se),
        df=df,
        t=t,
        p=2 * t_share(-abs(t), df),
        low=float(estimate - half),
        high=float(estimate + half),
        per_sd=float(estimate * unit),
        standardised=float(estimate * unit / sd) if sd > 0 else math.nan,
    )


def _explained(checked: Checked, design: _Design) -> tuple[float, float]:
    """Return the shares of the variance within and between cases that the fixed effects explain."""
    beta = dict(zip(design.columns, checked.found.beta, strict=True))
    sessions = np.column_stack([design.columns[name] for name in design.of_sessions])
    weights = np.array([beta[name] for name in design.of_sessions])
    fixed = float(weights @ np.atleast_2d(np.cov(sessions, rowvar=False)) @ weights)
    random = np.column_stack(list(design.random.values()))
    slopes = float((checked.found.random * np.atleast_2d(np.cov(random, rowvar=False))).sum())
    between = beta[BETWEEN] ** 2 * float(design.columns[BETWEEN].var(ddof=1))
    shares = (
        (fixed, slopes + checked.found.residual),
        (between, float(checked.found.random[0, 0])),
    )
    within, across = (part / (part + rest) if part + rest > 0 else math.nan for part, rest in shares)
    return within, across


def _notes(checked: Checked, basis: dict[str, Any], pairs: Pairs, settings: Settings) -> list[str]:
    n, n_cases = basis["n_pairs"], basis["n_cases"]
    notes = list(checked.told)
    if checked.found.at_bound:
        several = "a variance between cases is 0, or a correlation -1 or 1: less random would say the same"
        alone = "cases do not differ beyond what their sessions explain: the variance between them is at 0"
        notes.append(several if settings.random_slope or settings.detrend or settings.therapists else alone)
    if n_cases < FEW_CASES:
        notes.append(f"{n_cases} cases: how they differ is uncertain (told below {FEW_CASES}, by design)")
    if settings.autoregression and settings.centre == "mean":
        per_case = n / n_cases
        notes.append(f"{per_case:.1f} pairs a case: {_dynamic_bias(checked.found.beta[3], per_case)}")
    if settings.detrend:
        short = int((np.bincount(pairs.case) < 3).sum())  # noqa: PLR2004  a line goes through any two points
        if short:
            notes.append(
                f"{counted(short, 'case')} with fewer than 3 pairs: detrended, nothing is left within"
            )
    return notes


def _dynamic_bias(estimate: float, per_case: float) -> str:
    """Return in words how far the coefficient of the score before is off, by Nickell's first term."""
    off = (1 + estimate) / max(per_case - 1, 1.0)
    return f"the coefficient of the score before is too low by about {off:.2f} (Nickell 1981)"
