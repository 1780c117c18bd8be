"""HazardModel ↔ JSON: the bundle, everything a model needs to be applied, judged and checked elsewhere."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from alliance.dropout.ends.cohort import COMPETING, DROPOUT, EXCLUDED, PLANNED, Cohort
from alliance.dropout.model.design import Reference, is_demographic
from alliance.dropout.model.estimate import n_distinct
from alliance.dropout.model.hazard import FitSettings, HazardModel, SideModel, Term
from alliance.dropout.model.rows import HORIZON, NO_DAY, Rows
from alliance.errors import DataError, StoreError

Array = np.ndarray[Any, Any]

SCHEMA = 1
KIND = "alliance-dropout-model"
EXPLORATORY, VALIDATED = "exploratory", "validated"

KEYS = (
    "schema", "kind", "tool_version", "created", "model", "link", "time", "estimator", "reference",
    "intercept", "terms", "landmark", "competing", "threshold", "definition", "instrument", "training",
    "covariates", "seed", "validation", "fairness", "gates", "status", "limits",
)  # fmt: skip
"""What a bundle holds beside its own checksum; further keys are kept."""

NOT_VALIDATED = "It has not been validated."

ALWAYS = (
    "This model ranks conversations to have; it is no diagnosis, and does not assess risk of harm.",
    "Most clients flagged do not drop out. A low probability does not mean low risk.",
    "It holds for the service, the form and the definition of dropout it was built on.",
)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A model as JSON values: `content` is everything but the checksum."""

    content: Mapping[str, Any]

    @cached_property
    def model(self) -> HazardModel:
        """The model, ready to be applied."""
        return _model_of(self.content)

    @property
    def status(self) -> str:
        """Whether every gate is passed: "validated", else "exploratory"."""
        return str(self.content["status"])

    @property
    def gates(self) -> Sequence[Mapping[str, Any]]:
        """The gates: id, what it asks, what was found, whether it is passed."""
        gates: Sequence[Mapping[str, Any]] = self.content["gates"]
        return gates

    @property
    def threshold(self) -> float | None:
        """The probability from which a case counts as REVIEW, None = there is none."""
        threshold = self.content["threshold"]
        return None if threshold is None or threshold["value"] is None else float(threshold["value"])

    @property
    def sha256(self) -> str:
        """Checksum of the content."""
        return checksum(self.content)

    def as_json(self) -> dict[str, Any]:
        """Return the bundle as plain JSON values, its checksum last."""
        return {**self.content, "sha256": self.sha256}

    @classmethod
    def from_json(cls, values: Any, *, name: str = "the model") -> Bundle:
        """Return the bundle of plain JSON values, if it is one and has not been changed.

        Raises
        ------
        StoreError
            If it is no model, or of a schema this version does not know.
        DataError
            If its content is not the content its checksum was made of, or something is not there.
        """
        if not isinstance(values, Mapping) or values.get("kind") != KIND:
            message = f"{name} is no dropout model"
            raise StoreError(message, hint="give the .json file that `alliance model fit` wrote")
        if values.get("schema") != SCHEMA:
            message = f"{name} has schema {values.get('schema')}, this version reads schema {SCHEMA}"
            raise StoreError(message, hint="update alliance, or fit the model again")
        content = {key: value for key, value in values.items() if key != "sha256"}
        _require_unchanged(content, values.get("sha256"), name)
        return cls(content=content)


def to_bytes(bundle: Bundle) -> bytes:
    """Return the bundle as the bytes of a JSON file; equal bundles give equal bytes."""
    text = json.dumps(bundle.as_json(), indent=1, allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode()


def from_bytes(content: bytes, *, name: str = "the model") -> Bundle:
    """Return the bundle in the bytes of a JSON file; `name` is what messages call it.

    Raises
    ------
    StoreError, DataError
        As `Bundle.from_json`, and StoreError if it is no JSON.
    """
    try:
        values = json.loads(content.decode())
    except (UnicodeDecodeError, json.JSONDecodeError):
        message = f"{name} cannot be read: it is no JSON file"
        raise StoreError(message, hint="give the .json file that `alliance model fit` wrote") from None
    return Bundle.from_json(values, name=name)


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the canonical JSON of `content`: sorted keys, no spaces, no NaN.

    >>> checksum({"b": 1, "a": [0.5]}) == checksum({"a": [0.5], "b": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def data_digest(rows: Rows) -> str:
    """Return the SHA-256 over the arrays of `rows`, the same on every machine.

    `visit` is not in it, since it depends on appointments beside the risk set.
    """
    digest = hashlib.sha256()
    arrays = {each.name: getattr(rows, each.name) for each in fields(rows)}
    arrays |= {f"covariate {name}": values for name, values in rows.covariates.items()}
    for name in sorted(arrays.keys() - {"covariates", "visit"}):
        values = np.asarray(arrays[name])
        whole = values.dtype.kind in "iub"
        # Adding 0 turns -0 into 0; every NaN gets the same bits.
        plain = values.astype("<i8") if whole else np.where(np.isnan(values), np.nan, values + 0.0)
        digest.update(f"{name}:{len(values)};".encode())
        digest.update(np.ascontiguousarray(plain, dtype="<i8" if whole else "<f8").tobytes())
    return digest.hexdigest()


def bundle_of(
    model: HazardModel,
    rows: Rows,
    cohort: Cohort,
    *,
    instrument: Mapping[str, Any],
    created: str,
    tool_version: str,
    seed: int = 1,
    synthetic: bool = False,
    validation: Mapping[str, Any] | None = None,
    limits: Sequence[str] = (),
) -> Bundle:
    """Return the bundle of a fitted model.

    Parameters
    ----------
    model : HazardModel
        As fitted to `rows`.
    rows : Rows
        Its training rows.
    cohort : Cohort
        Where the rows come from.
    instrument : mapping
        `id`, `scoring_version`, `score`, `rater`, `low`, `high` of the rating.
    created : str
        YYYY-MM-DD.
    tool_version : str
    seed : int
        Of folds and replicates.
    synthetic : bool
        Whether the data were made up; the bundle says so.
    validation : mapping, optional
        What `Validation.as_json` returns; its threshold, fairness and gates become the bundle's.
    limits : texts
        Further limits to state.
    """
    content = {
        "schema": SCHEMA,
        "kind": KIND,
        "tool_version": tool_version,
        "created": created,
        **_model_values(model),
        **validation_values(validation),
        "definition": {"id": cohort.definition, "settings": dict(cohort.settings)},
        "instrument": {"score": "total", "rater": "client", **instrument},
        "training": {**_training(model, rows, cohort), "synthetic": synthetic},
        "covariates": _covariates(model, rows),
        "seed": seed,
        "limits": _limits(model, synthetic=synthetic, validated=bool(validation), more=limits),
    }
    return Bundle(content=plain(content))


def changed(bundle: Bundle, **values: Any) -> Bundle:
    """Return the bundle with some of its content replaced."""
    return Bundle(content=plain({**bundle.content, **values}))


def with_validation(bundle: Bundle, validation: Mapping[str, Any], *, seed: int) -> Bundle:
    """Return the bundle with what a validation found, and the status that its gates give it.

    Parameters
    ----------
    bundle : Bundle
    validation : mapping
        What `Validation.as_json` returns; its threshold, fairness and gates become the bundle's. The
        threshold of a bundle with a refitted intercept stays, since the validation is of the earlier one.
    seed : int
        Of folds and replicates.
    """
    content, found = bundle.content, validation_values(validation)
    limits = [each for each in content["limits"] if each != NOT_VALIDATED]
    if content.get("recalibrations") and content["threshold"]:
        found["threshold"] = content["threshold"]
    return changed(bundle, **found, seed=seed, limits=limits)


def validation_values(validation: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the parts of a bundle that come from a validation, or stand there without one."""
    found = dict(validation or {})
    gates, fairness = found.pop("gates", None) or [], found.pop("fairness", None)
    threshold = found.get("threshold")
    return {
        "threshold": threshold and {key: threshold.get(key) for key in ("value", "budget", "net_benefit")},
        "validation": found or None,
        "fairness": fairness,
        "gates": gates,
        "status": status_of([each["passed"] for each in gates]),
    }


def plain(value: Any) -> Any:
    """Return `value` as plain JSON values: numpy unwrapped, NaN and infinity as None.

    >>> plain({"a": np.float64(1.5), "b": (float("nan"), np.int64(2))})
    {'a': 1.5, 'b': [None, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def status_of(passed: Sequence[bool | None]) -> str:
    """Return "validated" if there are gates and every one is passed, else "exploratory".

    >>> status_of([True, True]), status_of([True, None]), status_of([])
    ('validated', 'exploratory', 'exploratory')
    """
    return VALIDATED if passed and all(answer is True for answer in passed) else EXPLORATORY


def _limits(model: HazardModel, *, synthetic: bool, validated: bool, more: Sequence[str]) -> list[str]:
    told = [*ALWAYS, *model.limits]
    if synthetic:
        told.append("It was built on synthetic data and says nothing about real clients.")
    if not validated:
        told.append(NOT_VALIDATED)
    return [*told, *more]


def _model_values(model: HazardModel) -> dict[str, Any]:
    settings = model.settings
    return {
        "model": f"dt-{settings.link}",
        "link": settings.link,
        "time": settings.time,
        "estimator": settings.estimator,
        "reference": {"mean": model.reference.mean, "sd": model.reference.sd},
        "intercept": {
            "coef": model.intercept,
            "se": model.intercept_se,
            "before_flic": model.before_flic,
        },
        "terms": [_term(each) for each in model.terms],
        "n_parameters": model.n_parameters,
        "clustered_by": model.clustered_by,
        "log_likelihood": model.log_likelihood,
        "penalty": model.penalty,
        "penalty_given": settings.penalty,
        "landmark": model.landmark
        and {"horizon": HORIZON, **_side(model.landmark), "n_unknown": model.landmark.n_unknown}
        | {"ipcw": model.landmark.ipcw},
        "competing": model.competing and _side(model.competing),
    }


def _term(term: Term) -> dict[str, Any]:
    names = ("name", "words", "coef", "se", "centre", "scale", "low", "high")
    return {name: getattr(term, name) for name in names}


def _side(side: SideModel) -> dict[str, Any]:
    return {
        "intercept": side.intercept,
        "link": side.link,
        "terms": [{"name": each.name, "coef": each.coef, "se": each.se} for each in side.terms],
        "n_rows": side.n_rows,
        "n_events": side.n_events,
    }


def _training(model: HazardModel, rows: Rows, cohort: Cohort) -> dict[str, Any]:
    kept = cohort.end != EXCLUDED
    closed = np.isin(cohort.end, (DROPOUT, PLANNED, COMPETING))
    reasons, counts = np.unique(cohort.why[~kept].astype(str), return_counts=True)
    dated = rows.day[rows.day != NO_DAY]
    return {
        "n_cases": int(kept.sum()),
        "n_clients": n_distinct(cohort.client[kept]),
        "n_closed": n_distinct(cohort.client[closed]),
        "n_dropouts": int(rows.y.sum()),
        "n_rows": model.n_rows,
        "n_events": model.n_events,
        "n_therapists": model.n_therapists,
        "n_excluded": dict(zip(reasons.tolist(), counts.tolist(), strict=True)),
        "first_date": _date(dated.min()) if len(dated) else None,
        "last_date": _date(dated.max()) if len(dated) else None,
        "sessions": list(model.sessions),
        "data_sha256": data_digest(rows),
    }


def _date(day: Any) -> str:
    return str(np.datetime64(int(day), "D"))


def _covariates(model: HazardModel, rows: Rows) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "kind": "binary" if set(np.unique(rows.covariates[name])) <= {0.0, 1.0} else "number",
            "demographic": is_demographic(name),
        }
        for name in model.settings.covariates
    ]


def _require_unchanged(content: Mapping[str, Any], stated: Any, name: str) -> None:
    absent = [key for key in KEYS if key not in content]
    if absent:
        message = f"{name} is not complete"
        raise DataError(message, where=[f"{key} is not there" for key in absent], hint="fit the model again")
    if checksum(content) != stated:
        message = f"{name} has been changed: its content does not have the checksum it states"
        raise DataError(message, hint="use the file as `alliance model fit` wrote it, or fit the model again")


def _model_of(content: Mapping[str, Any]) -> HazardModel:
    terms = tuple(Term(**{**each, "se": _number(each["se"])}) for each in content["terms"])
    training, intercept = content["training"], content["intercept"]
    size = len(terms) + 1
    return HazardModel(
        settings=FitSettings(
            link=content["link"],
            time=content["time"],
            estimator=content["estimator"],
            covariates=tuple(each["name"] for each in content["covariates"]),
            landmark=content["landmark"] is not None,
            ipcw=bool(content["landmark"] and content["landmark"]["ipcw"]),
            competing=content["competing"] is not None,
            penalty=content.get("penalty_given"),
        ),
        reference=Reference(**content["reference"]),
        terms=terms,
        intercept=intercept["coef"],
        intercept_se=_number(intercept["se"]),
        before_flic=_number(intercept["before_flic"]),
        covariance=np.full((size, size), np.nan),
        clustered_by=content.get("clustered_by", "client"),
        log_likelihood=_number(content.get("log_likelihood")),
        penalty=content.get("penalty"),
        n_rows=training["n_rows"],
        n_events=training["n_events"],
        n_cases=training["n_cases"],
        n_clients=training["n_clients"],
        n_therapists=training["n_therapists"],
        sessions=(training["sessions"][0], training["sessions"][1]),
        landmark=_side_of(content["landmark"], terms),
        competing=_side_of(content["competing"], terms),
        limits=tuple(content["limits"]),
    )


def _side_of(values: Mapping[str, Any] | None, terms: Sequence[Term]) -> SideModel | None:
    if values is None:
        return None
    by_name = {each.name: each for each in terms}
    return SideModel(
        intercept=values["intercept"],
        terms=tuple(
            replace(by_name[each["name"]], coef=each["coef"], se=_number(each["se"]))
            for each in values["terms"]
        ),
        link=values["link"],
        n_rows=values["n_rows"],
        n_events=values["n_events"],
        n_unknown=values.get("n_unknown", 0),
        ipcw=values.get("ipcw", False),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
