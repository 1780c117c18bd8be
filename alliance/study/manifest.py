"""The manifest: what was run on what, so that equal manifests mean equal bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance import __version__
from alliance.rupture import Frozen, Run

if TYPE_CHECKING:
    from alliance.dropout.model.bundle import Bundle
    from alliance.rupture.chance import Chance
    from alliance.study import Request, _Part
    from alliance.study.judging import Judge
    from alliance.study.risks import RiskList
    from alliance.study.summary import Facts


def manifest_of(
    *,
    request: Request,
    lane: str,
    parts: list[_Part],
    judge: Judge,
    risks: RiskList,
    facts: Facts,
    outputs: dict[str, str],
) -> dict[str, Any]:
    """Return the manifest of a run. It holds no clock, no path and no client data.

    Names of the input files are their base names. `prior` holds what the methods knew of the caseload, by
    rater: the manifest can be given to a later run as its prior.
    """
    return {
        "alliance_version": __version__,
        "schema": 1,
        "inputs": [_file(path) for path in _inputs(request)],
        "reader": lane,
        "read_options": _read_options(request),
        "scales": [
            {
                "id": part.scale.id,
                "status": part.scale.status,
                "sha256": part.scale.sha256,
                "n_forms": part.tally.n_forms,
                "latest_date": None if np.isnat(part.tally.latest) else str(part.tally.latest),
            }
            for part in parts
        ],
        "methods": [_method(run, facts.chances.get(run.method.name)) for run in judge.runs],
        "prior": Frozen.of(judge.runs, until=_until(parts)).as_json(),
        "risk": {
            "rules": "DRF-1",
            "instrument": _instrument(risks),
            "norms": None if risks.norms is None else risks.norms.as_json(),
            "levels": risks.counts,
            "model": None if risks.model is None else _model(risks.model),
            "today": None if risks.today is None else risks.today.isoformat(),
        },
        "counts": {"cases": len(risks.where), "forms": facts.n_forms},
        "synthetic": facts.synthetic,
        "outputs": outputs,
    }


def _inputs(request: Request) -> list[Path]:
    return [
        request.path,
        *request.attendance,
        *request.episodes,
        *([] if request.seen is None else [request.seen]),
    ]


def _model(model: Bundle) -> dict[str, Any]:
    return {"sha256": model.sha256, "status": model.status, "created": model.content["created"]}


def _method(run: Run, chance: Chance | None) -> dict[str, Any]:
    norm = run.subject.measure.norm
    return {
        "name": run.method.name,
        "online": run.method.online,
        "source": run.method.source,
        "score": run.subject.column,
        "direction": run.subject.direction,
        "settings": dict(run.given),
        "norm": None if norm is None else asdict(norm),
        "within_sd": run.subject.measure.within_sd,
        "chance": None if chance is None else asdict(chance),
    }


def _until(parts: list[_Part]) -> str:
    """Return the day of the latest form, empty without dates."""
    latest = [part.tally.latest for part in parts if not np.isnat(part.tally.latest)]
    return str(max(latest)) if latest else ""


def manifest_text(manifest: dict[str, Any]) -> bytes:
    """Return a manifest as JSON, keys in a fixed order."""
    return (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _file(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _read_options(request: Request) -> dict[str, Any]:
    return {} if request.read is None else json.loads(json.dumps(asdict(request.read), default=_name))


def _name(path: Path) -> str:
    return path.name


def _instrument(risks: RiskList) -> dict[str, Any]:
    instrument = risks.instrument
    return {
        "scale": instrument.id,
        "cutoff": instrument.cutoff,
        "inclusive": instrument.inclusive,
        "sem": instrument.sem,
        "reference": {str(session): value for session, value in instrument.reference.items()},
    }
