"""One TOML definition of a form as printed → Scale; finds the bundled definitions and the user's own."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from alliance import places
from alliance.claims import (
    Alert,
    Band,
    Bands,
    Criterion,
    Cutoff,
    Need,
    Norm,
    Reference,
    Reliability,
    ReliableChange,
)
from alliance.errors import ScaleError, toml_fault, unknown_name
from alliance.held import find_held, refusal
from alliance.schema import breaches

TOTAL = "total"


@dataclass(frozen=True, kw_only=True)
class Formula:
    """How one score is formed: the sum or mean of items, or of other scores, times `factor` plus `offset`.

    Attributes
    ----------
    items : the items that enter, also those that enter through other scores
    of : names of the scores it is formed of; empty where it is formed of items
    keyed : whether reversed items are turned in it
    missing_max : unanswered items it may have and still be scored
    direction : higher_is_better, higher_is_worse or neither
    """

    items: tuple[int, ...]
    of: tuple[str, ...] = ()
    method: str
    factor: float = 1.0
    offset: float = 0.0
    keyed: bool = True
    missing_max: int = 0
    direction: str


@dataclass(frozen=True, kw_only=True)
class Unscorable:
    """When nothing of a form is scored, whatever its single scores tolerate.

    `missing_above`: more unanswered items than that; `any_score`: one of its scores is not there;
    `all_alike`: every answer is the same.
    """

    missing_above: int | None = None
    any_score: bool = False
    all_alike: bool = False


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A form scored by hand: `answers` in item order (None = unanswered) and the scores they must give."""

    answers: tuple[float | None, ...]
    scores: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The scoring definition of one form as printed. Items are numbered from 1; answers are as printed.

    `formulas` holds every score that is given out: the subscales in the order of the file, then the total, if
    the form has one. `unconfirmed` holds the subscales whose key was not confirmed; they stay switched off
    until `with_unconfirmed`.
    """

    id: str
    name: str
    version: str
    perspective: str
    raters: tuple[str, ...]
    construct: str
    direction: str
    citation: str
    doi: str
    licence: str
    status: str
    n_items: int
    min: float
    max: float
    step: float
    item_ranges: Mapping[int, tuple[float, float]]
    anchors: Mapping[float, str]
    labels: Mapping[int, str]
    formulas: Mapping[str, Formula]
    unconfirmed: Mapping[str, Formula]
    reverse: tuple[int, ...]
    descending: tuple[int, ...]
    not_applicable: tuple[int, ...]
    unscored: tuple[int, ...]
    unscorable: Unscorable
    missing_rule: str
    norms: Mapping[str, Norm]
    references: tuple[Reference, ...]
    reliabilities: tuple[Reliability, ...]
    cutoffs: tuple[Cutoff, ...]
    bands: tuple[Bands, ...]
    reliable_change: tuple[ReliableChange, ...]
    alerts: tuple[Alert, ...]
    criteria: tuple[Criterion, ...]
    loinc: Mapping[str, str]
    cautions: tuple[str, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    vectors: tuple[Vector, ...]
    sha256: str = field(default="", compare=False)

    @cached_property
    def items(self) -> tuple[str, ...]:
        """Column names of the answers, q1 to qk."""
        return tuple(f"q{number}" for number in range(1, self.n_items + 1))

    @cached_property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores: every subscale, then `total` where the form has one."""
        return tuple(self.formulas)

    @cached_property
    def subscales(self) -> dict[str, tuple[int, ...]]:
        """Subscale → its items, in the order of the file."""
        return {name: formula.items for name, formula in self.formulas.items() if name != TOTAL}

    @property
    def total(self) -> Formula | None:
        """How the total is formed; None where the form has none."""
        return self.formulas.get(TOTAL)

    @property
    def whole(self) -> bool:
        """Whether only whole numbers can be answered; otherwise any point of the line counts."""
        return self.step.is_integer() and self.min.is_integer()

    @property
    def measures_alliance(self) -> bool:
        """Whether a fall of the total can mean a rupture: an alliance form with a total, higher = better."""
        about = self.construct in {"alliance", "session"}
        return about and self.direction == "higher_is_better" and TOTAL in self.formulas

    @cached_property
    def item_bounds(self) -> tuple[tuple[float, float], ...]:
        """Lowest and highest answer of every item, in item order."""
        usual = (self.min, self.max)
        return tuple(self.item_ranges.get(number, usual) for number in range(1, self.n_items + 1))

    @property
    def range_text(self) -> str:
        """The range of the answers in words, with the items that have one of their own."""
        parts = [f"{self.min:g} to {self.max:g}"]
        for bounds in dict.fromkeys(self.item_ranges.values()):
            named = [str(item) for item, each in self.item_ranges.items() if each == bounds]
            parts.append(f"items {' '.join(named)}: {bounds[0]:g} to {bounds[1]:g}")
        return "; ".join(parts)

    @property
    def told(self) -> tuple[str, ...]:
        """What must be told once, whenever the form is used."""
        cautions = [f"{self.id}: {caution}" for caution in self.cautions]
        if self.unconfirmed:
            names = ", ".join(self.unconfirmed)
            cautions.append(f"{self.id}: {names} not scored: not confirmed (--include-unverified)")
        return tuple(cautions)

    def with_unconfirmed(self) -> Scale:
        """Return the same form with the unconfirmed subscales switched on."""
        if not self.unconfirmed:
            return self
        total = {name: formula for name, formula in self.formulas.items() if name == TOTAL}
        subscales = {name: formula for name, formula in self.formulas.items() if name != TOTAL}
        return replace(self, formulas={**subscales, **self.unconfirmed, **total}, unconfirmed={})

    def bounds(self, score: str) -> tuple[float, float]:
        """Return the lowest and highest value `score` can take."""
        formula = self.formulas[score]
        parts = [self.bounds(name) for name in formula.of] or [(self.min, self.max)] * len(formula.items)
        low, high = (sum(part[side] for part in parts) for side in (0, 1))
        scaled = formula.factor / (1 if formula.method == "sum" else len(parts))
        return low * scaled + formula.offset, high * scaled + formula.offset

    def score_step(self, score: str) -> float:
        """Return the smallest change one answer can make to `score`: step, or step / k for a mean of k."""
        formula = self.formulas[score]
        finest = min([self.score_step(name) for name in formula.of] or map(self._item_step, formula.items))
        n_parts = len(formula.of or formula.items) if formula.method == "mean" else 1
        return finest * formula.factor / n_parts

    def cutoff(self, score: str = TOTAL) -> Cutoff | None:
        """Return the first published cut-off of `score`, or None: a cut-off is never made up."""
        return next((c for c in self.cutoffs if c.score == score and c.status == "published"), None)

    def _item_step(self, item: int) -> float:
        low, high = self.item_bounds[item - 1]
        return self.step * (self.max - self.min) / (high - low)


def find_scales(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Return id → file of every definition: bundled, the user's own, then `folders`.

    Raises
    ------
    ScaleError
        If a folder is missing, or one id is defined twice in different ways.
    """
    found: dict[str, Path] = {}
    for folder in (places.bundled("scales"), places.user_folder(), *folders):
        if folder in folders and not folder.is_dir():
            message = f"no folder '{folder}'"
            raise ScaleError(message, hint="--scales takes a folder of TOML definitions")
        for path in sorted(folder.glob("*.toml")):
            known = found.setdefault(path.stem, path)
            if known != path and known.read_bytes() != path.read_bytes():
                message = f"scale '{path.stem}' is defined twice"
                raise ScaleError(message, where=[str(known), str(path)], hint="give one of them another id")
    return found


def load_scale(name: str | Path, *, folders: Sequence[Path] = ()) -> Scale:
    """Return the Scale called `name`, a bundled or own id, or the path of a TOML file.

    Raises
    ------
    ScaleError
        If nothing has that name, its key is on hold, or the definition breaks the schema, with every breach.

    Examples
    --------
    >>> load_scale("wai-sr").subscales["goal"]
    (4, 6, 8, 11)
    """
    path = find_definition(name, folders=folders)
    scale = read_definition(path)
    if path != Path(name) and scale.id != str(name):
        message = f"'{path}' defines '{scale.id}', not '{name}'"
        raise ScaleError(message, hint="name the file after the id in it")
    return scale


def find_definition(name: str | Path, *, folders: Sequence[Path] = ()) -> Path:
    """Return the file that defines the form called `name`, an id or itself the path of a file.

    Raises
    ------
    ScaleError
        If nothing has that name, or its key is on hold.
    """
    text = str(name)
    if text.endswith(".toml") or "/" in text or "\\" in text:
        return Path(text)
    found = find_scales(folders)
    if text not in found:
        if held := find_held(text):
            raise refusal(held, text)
        what, hint = unknown_name("scale", text, found)
        raise ScaleError(what, hint=f"{hint}; or give the path of a TOML definition")
    return found[text]


def read_definition(path: Path) -> Scale:
    """Return the Scale defined in the TOML file `path`, checked against the schema."""
    table, sha256 = read_table(path)
    return parse_definition(table, origin=path.name, sha256=sha256)


def read_table(path: Path) -> tuple[dict[str, Any], str]:
    """Return the TOML file `path` as a table, not yet checked, and its SHA-256."""
    try:
        raw = path.read_bytes()
        table = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        message = f"cannot read the scale definition '{path}': {error.strerror}"
        raise ScaleError(
            message, hint="give an id from `alliance scales list`, or the path of a file"
        ) from None
    except (ValueError, RecursionError) as error:
        message = f"'{path.name}' is no TOML file: {toml_fault(error)}"
        raise ScaleError(message, hint="`alliance scales new` writes a definition to start from") from None
    return table, hashlib.sha256(raw).hexdigest()


def parse_definition(table: Mapping[str, Any], *, origin: str, sha256: str = "") -> Scale:
    """Return the Scale that `table`, a parsed TOML definition, describes.

    Raises
    ------
    ScaleError
        With one trouble for every breach of the schema, all at once.
    """
    found = breaches(table)
    if found:
        message = f"'{origin}' is no valid scale definition"
        hint = "`alliance scales check FILE` explains the definition; docs/scales.md has the fields"
        raise ScaleError(message, where=found, hint=hint, shown=len(found))
    return _build(table, sha256)


def _build(table: Mapping[str, Any], sha256: str) -> Scale:
    formulas = _formulas(table)
    unconfirmed = table.get("unconfirmed", ())
    return Scale(
        **_identity(table),
        **_answers(table),
        **_claims(table),
        formulas={name: formula for name, formula in formulas.items() if name not in unconfirmed},
        unconfirmed={name: formulas[name] for name in unconfirmed},
        reverse=tuple(sorted(table.get("reverse", ()))),
        unscored=tuple(sorted(table.get("unscored", ()))),
        unscorable=Unscorable(**table.get("unscorable", {})),
        missing_rule=table.get("missing_rule", ""),
        vectors=tuple(_vector(vector) for vector in table.get("vectors", ())),
        sha256=sha256,
    )


def _identity(table: Mapping[str, Any]) -> dict[str, Any]:
    needed = ("id", "name", "perspective", "construct", "direction", "citation", "licence", "status")
    return {
        **{name: table[name] for name in needed},
        "version": table.get("version", ""),
        "doi": table.get("doi", ""),
        "raters": tuple(table.get("raters", (table["perspective"],))),
        "loinc": dict(table.get("loinc", {})),
        "cautions": tuple(table.get("cautions", ())),
        "sources": tuple(table["sources"]),
        "notes": tuple(table.get("notes", ())),
    }


def _answers(table: Mapping[str, Any]) -> dict[str, Any]:
    ranges = table.get("item_ranges", {})
    return {
        "n_items": table["items"],
        "min": float(table["min"]),
        "max": float(table["max"]),
        "step": float(table.get("step", 1)),
        "item_ranges": {int(item): (float(low), float(high)) for item, (low, high) in ranges.items()},
        "anchors": {float(value): text for value, text in table.get("anchors", {}).items()},
        "labels": {int(item): text for item, text in table.get("labels", {}).items()},
        "descending": tuple(sorted(table.get("descending", ()))),
        "not_applicable": tuple(sorted(table.get("not_applicable", ()))),
    }


def _formulas(table: Mapping[str, Any]) -> dict[str, Formula]:
    """Return every score with how it is formed: what it does not say itself is said by the form."""
    every = table.get("reverse_scope", "every_score") == "every_score"
    usual = {"method": table["method"], "factor": table.get("factor", 1), "direction": table["direction"]}
    found: dict[str, Formula] = {}
    for name, entry in table.get("subscales", {}).items():
        own = entry if isinstance(entry, Mapping) else {"items": entry}
        tolerated = {"missing_max": table.get("missing_max", 0)}
        found[name] = _formula({**usual, **tolerated, **own}, found, keyed=every)
    total = table.get(TOTAL, {})
    if total.get("method") != "none":
        entering = [item for item in range(1, table["items"] + 1) if item not in table.get("unscored", ())]
        tolerated = {"missing_max": table.get("total_missing_max", 0)}
        found[TOTAL] = _formula({"items": entering, **usual, **tolerated, **total}, found, keyed=True)
    return found


def _formula(entry: Mapping[str, Any], known: Mapping[str, Formula], *, keyed: bool) -> Formula:
    parts = tuple(known) if entry.get("of") == "subscales" else tuple(entry.get("of", ()))
    entering = {item for name in parts for item in known[name].items}
    return Formula(
        items=tuple(sorted(entering)) if parts else tuple(entry["items"]),
        of=parts,
        method=entry["method"],
        factor=float(entry["factor"]),
        offset=float(entry.get("offset", 0)),
        keyed=keyed,
        missing_max=entry["missing_max"],
        direction=entry["direction"],
    )


def _claims(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "norms": {score: Norm(**norm) for score, norm in table.get("norms", {}).items()},
        "references": tuple(Reference(**row) for row in table.get("references", ())),
        "reliabilities": tuple(Reliability(**row) for row in table.get("reliabilities", ())),
        "cutoffs": tuple(Cutoff(**row) for row in table.get("cutoffs", ())),
        "bands": tuple(_bands(row) for row in table.get("bands", ())),
        "reliable_change": tuple(ReliableChange(**row) for row in table.get("reliable_change", ())),
        "alerts": tuple(Alert(**{**row, "items": tuple(row["items"])}) for row in table.get("alerts", ())),
        "criteria": tuple(_criterion(row) for row in table.get("criteria", ())),
    }


def _bands(row: Mapping[str, Any]) -> Bands:
    steps = tuple(Band(low=low, label=label, high=high) for low, high, label in row["steps"])
    return Bands(**{**row, "steps": tuple(replace(step, high=_blank(step.high)) for step in steps)})


def _criterion(row: Mapping[str, Any]) -> Criterion:
    sooner = row.get("item_present_at", {})
    needs = tuple(
        Need(
            items=tuple(need["items"]),
            present_at=tuple(sooner.get(str(item), row["present_at"]) for item in need["items"]),
            at_least=need["at_least"],
            at_most=need.get("at_most", len(need["items"])),
        )
        for need in row["needs"]
    )
    return Criterion(label=row["label"], needs=needs, status=row["status"], source=row["source"])


def _vector(table: Mapping[str, Any]) -> Vector:
    return Vector(
        answers=tuple(_blank(answer) for answer in table["answers"]),
        scores={name: _blank(score) for name, score in table["scores"].items()},
    )


def plain(value: float) -> float:
    """Return a whole number as one.

    >>> plain(3.0), plain(2.5)
    (3, 2.5)
    """
    return int(value) if float(value).is_integer() else value


def _blank(value: Any) -> float | None:
    """Return a number, or None for the empty text that stands for nothing in TOML."""
    return None if value in {"", None} else float(value)
