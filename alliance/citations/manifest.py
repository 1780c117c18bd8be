"""The manifest of an analysis, checked as far as it is cited, and the definitions it was made with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from alliance.errors import DataError

if TYPE_CHECKING:
    from alliance.scale import Scale

SCHEMA = 1
HINT = "give the manifest.json that `alliance analyze` writes"
Manifest = Mapping[str, Any]
_NEEDED: dict[str, type] = {
    "alliance_version": str,
    "inputs": list,
    "read_options": dict,
    "scales": list,
    "methods": list,
    "risk": dict,
    "counts": dict,
    "synthetic": bool,
}
_PARTS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "inputs": {"name": str, "sha256": str},
    "scales": {"id": str, "status": str, "sha256": str, "n_forms": int},
    "methods": {
        "name": str,
        "online": bool,
        "source": str,
        "score": str,
        "direction": str,
        "settings": dict,
        "norm": (dict, type(None)),
        "within_sd": (int, float, type(None)),
        "chance": (dict, type(None)),
    },
    "counts": {"cases": int, "forms": int},
    "risk": {
        "rules": str,
        "instrument": dict,
        "norms": (dict, type(None)),
        "levels": dict,
        "model": (dict, type(None)),
        "today": (str, type(None)),
    },
}
_CHANCE: dict[str, type | tuple[type, ...]] = {
    "n_series": int,
    "observed": (int, float),
    "expected": (int, float),
    "low": (int, float),
    "high": (int, float),
    "replicates": int,
    "finding": str,
}
_MODEL: dict[str, type | tuple[type, ...]] = {"sha256": str, "status": str, "created": str}
_INSTRUMENT: dict[str, type | tuple[type, ...]] = {"scale": str, "cutoff": (int, float, type(None))}


def parse_manifest(text: str, *, origin: str) -> Manifest:
    """Return the manifest in `text`; `origin` is the name of its file.

    Raises
    ------
    DataError
        If it is no manifest of an analysis, of another schema, or lacks what is cited.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not {"alliance_version", "scales", "methods", "inputs"} <= set(found):
        message = f"'{origin}' is no manifest of an analysis"
        raise DataError(message, hint=HINT)
    if found.get("schema") != SCHEMA:
        message = f"'{origin}' has schema {found.get('schema')!r}, not {SCHEMA}"
        raise DataError(message, hint="another version of alliance wrote it: cite with that one")
    wrong = list(_breaches(found))
    if wrong:
        message = f"'{origin}' is no whole manifest"
        raise DataError(message, where=wrong, hint=HINT)
    return found


def scales_of(manifest: Manifest, load: Callable[[str], Scale]) -> dict[str, Scale]:
    """Return id → definition of every form of the manifest; `load` finds a definition by id.

    Raises
    ------
    DataError
        If a definition is not the one that the analysis was made with.
    """
    found = {each["id"]: load(each["id"]) for each in manifest["scales"]}
    changed = [each["id"] for each in manifest["scales"] if found[each["id"]].sha256 != each["sha256"]]
    if changed:
        message = "a definition is not the one of the manifest"
        hint = "give the folder of that definition with --scales, or run the analysis again"
        raise DataError(message, where=changed, hint=hint)
    return found


def _breaches(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _missing(found, _NEEDED, "")
    for name, fields in _PARTS.items():
        value = found.get(name)
        parts = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
        for place, part in enumerate(parts, 1):
            where = f"{name} {place}: " if isinstance(value, list) else f"{name}: "
            yield from _missing(part, fields, where)
            yield from _within(part, where)


def _within(part: Any, where: str) -> Iterator[str]:
    """Yield what is wrong with tables inside a part."""
    table = part if isinstance(part, dict) else {}
    for name, fields in (("chance", _CHANCE), ("model", _MODEL), ("instrument", _INSTRUMENT)):
        if isinstance(table.get(name), dict):
            yield from _missing(table[name], fields, f"{where}{name}: ")
    levels = table.get("levels")
    if isinstance(levels, dict) and not all(isinstance(count, int) for count in levels.values()):
        yield f"{where}levels must be counts"


def _missing(table: Any, fields: Mapping[str, type | tuple[type, ...]], where: str) -> Iterator[str]:
    if not isinstance(table, dict):
        yield f"{where}must be a table"
        return
    for name, kind in fields.items():
        if name not in table or not isinstance(table[name], kind):
            yield f"{where}{name} is missing, or of another kind"
