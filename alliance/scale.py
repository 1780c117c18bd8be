"""One TOML definition of a form as printed → Scale; finds the bundled definitions and the user's own."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from alliance.errors import ScaleError, unknown_name
from alliance.schema import breaches


@dataclass(frozen=True, kw_only=True)
class Norm:
    """Spread and reliability of one score, from one source.

    `sd` is the between-person standard deviation in score points, `reliability` lies in [0, 1).
    """

    sd: float | None = None
    reliability: float | None = None
    mean: float | None = None
    n: int | None = None
    sample: str = ""
    status: str = "published"
    source: str = ""

    @property
    def sem(self) -> float | None:
        """Standard error of measurement in score points, sd * sqrt(1 - reliability); None if unknown."""
        if self.sd is None or self.reliability is None:
            return None
        return float(self.sd * (1 - self.reliability) ** 0.5)


@dataclass(frozen=True, kw_only=True)
class Cutoff:
    """A published cut-off of one score: its value, its edge rule, and whom it was found in."""

    score: str
    op: str
    value: float
    label: str
    population: str = ""
    status: str = "published"
    source: str = ""

    @property
    def inclusive(self) -> bool:
        """Whether the value itself counts as beyond the cut-off."""
        return self.op in {"<=", ">="}


@dataclass(frozen=True, kw_only=True)
class ReliableChange:
    """A published reliable-change value of one score, with its confidence level."""

    score: str
    value: float
    level: str
    status: str = "published"
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An item that is read before any total: answered at or above `value`, or not answered at all."""

    item: int
    value: float
    reason: str
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Total:
    """How the total is formed: of which items, or of the subscale scores; summed or averaged."""

    method: str
    of: str = "items"
    items: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A form scored by hand: `answers` in item order (None = unanswered) and the scores they must give."""

    answers: tuple[float | None, ...]
    scores: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The scoring definition of one form as printed. Items are numbered from 1; answers are as printed."""

    id: str
    name: str
    version: str
    perspective: str
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
    anchors: Mapping[float, str]
    labels: Mapping[int, str]
    subscales: Mapping[str, tuple[int, ...]]
    reverse: tuple[int, ...]
    method: str
    total: Total
    missing_max: int
    total_missing_max: int
    norms: Mapping[str, Norm]
    cutoffs: tuple[Cutoff, ...]
    reliable_change: tuple[ReliableChange, ...]
    alerts: tuple[Alert, ...]
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
        """Names of the scores: every subscale, then `total`."""
        return (*self.subscales, "total")

    @property
    def whole(self) -> bool:
        """Whether only whole numbers can be answered; otherwise any point of the line counts."""
        return self.step.is_integer() and self.min.is_integer()

    def bounds(self, score: str) -> tuple[float, float]:
        """Return the lowest and highest value `score` can take."""
        method, parts = (self.total.method, self._total_parts()) if score == "total" else (self.method, None)
        if parts is None:
            parts = [(self.min, self.max)] * len(self.subscales[score])
        low, high = (sum(part[side] for part in parts) for side in (0, 1))
        return (low, high) if method == "sum" else (low / len(parts), high / len(parts))

    def score_step(self, score: str) -> float:
        """Return the smallest change one answer can make to `score`: step, or step / k for a mean of k."""
        if score != "total":
            return self.step / (len(self.subscales[score]) if self.method == "mean" else 1)
        if self.total.of == "subscales":
            finest = min(self.score_step(name) for name in self.subscales)
            return finest / (len(self.subscales) if self.total.method == "mean" else 1)
        return self.step / (len(self.total.items) if self.total.method == "mean" else 1)

    def cutoff(self, score: str = "total") -> Cutoff | None:
        """Return the first published cut-off of `score`, or None: a cut-off is never made up."""
        return next((c for c in self.cutoffs if c.score == score and c.status == "published"), None)

    def _total_parts(self) -> list[tuple[float, float]]:
        if self.total.of == "subscales":
            return [self.bounds(name) for name in self.subscales]
        return [(self.min, self.max)] * len(self.total.items)


def bundled(kind: str) -> Path:
    """Return the folder of the bundled `scales` or `data`, in a wheel or in a checkout."""
    package = Path(__file__).parent
    shipped = package / "bundled" / kind
    return shipped if shipped.is_dir() else package.parent / kind


def user_folder() -> Path:
    """Return the folder in which a user's own definitions live."""
    import platformdirs

    return Path(platformdirs.user_config_dir("alliance", appauthor=False)) / "scales"


def find_scales(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Return id → file of every definition: bundled, the user's own, then `folders`.

    Raises
    ------
    ScaleError
        If a folder is missing, or one id is defined twice in different ways.
    """
    found: dict[str, Path] = {}
    for folder in (bundled("scales"), user_folder(), *folders):
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
        If nothing has that name, or the definition breaks the schema; every breach is listed.

    Examples
    --------
    >>> load_scale("wai-sr").subscales["goal"]
    (4, 6, 8, 11)
    """
    text = str(name)
    if text.endswith(".toml") or "/" in text or "\\" in text:
        return read_definition(Path(text))
    found = find_scales(folders)
    if text not in found:
        what, hint = unknown_name("scale", text, found)
        raise ScaleError(what, hint=f"{hint}; or give the path of a TOML definition")
    scale = read_definition(found[text])
    if scale.id != text:
        message = f"'{found[text]}' defines '{scale.id}', not '{text}'"
        raise ScaleError(message, hint="name the file after the id in it")
    return scale


def read_definition(path: Path) -> Scale:
    """Return the Scale defined in the TOML file `path`, checked against the schema."""
    try:
        raw = path.read_bytes()
        table = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        message = f"cannot read the scale definition '{path}': {error.strerror}"
        raise ScaleError(
            message, hint="give an id from `alliance scales list`, or the path of a file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"'{path.name}' is no TOML file: {error}"
        raise ScaleError(message, hint="`alliance scales new` writes a definition to start from") from None
    return parse_definition(table, origin=path.name, sha256=hashlib.sha256(raw).hexdigest())


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
    count = table["items"]
    total = table.get("total", {})
    return Scale(
        id=table["id"],
        name=table["name"],
        version=table.get("version", ""),
        perspective=table["perspective"],
        construct=table["construct"],
        direction=table["direction"],
        citation=table["citation"],
        doi=table.get("doi", ""),
        licence=table["licence"],
        status=table["status"],
        n_items=count,
        min=float(table["min"]),
        max=float(table["max"]),
        step=float(table.get("step", 1)),
        anchors={float(value): text for value, text in table.get("anchors", {}).items()},
        labels={int(item): text for item, text in table.get("labels", {}).items()},
        subscales={name: tuple(items) for name, items in table.get("subscales", {}).items()},
        reverse=tuple(sorted(table.get("reverse", ()))),
        method=table["method"],
        total=Total(
            method=total.get("method", table["method"]),
            of=total.get("of", "items"),
            items=tuple(total.get("items", range(1, count + 1))),
        ),
        missing_max=table.get("missing_max", 0),
        total_missing_max=table.get("total_missing_max", 0),
        norms={score: Norm(**norm) for score, norm in table.get("norms", {}).items()},
        cutoffs=tuple(Cutoff(**cutoff) for cutoff in table.get("cutoffs", ())),
        reliable_change=tuple(ReliableChange(**rc) for rc in table.get("reliable_change", ())),
        alerts=tuple(Alert(**alert) for alert in table.get("alerts", ())),
        sources=tuple(table["sources"]),
        notes=tuple(table.get("notes", ())),
        vectors=tuple(_vector(vector) for vector in table.get("vectors", ())),
        sha256=sha256,
    )


def _vector(table: Mapping[str, Any]) -> Vector:
    return Vector(
        answers=tuple(None if answer == "" else float(answer) for answer in table["answers"]),
        scores={name: None if score == "" else float(score) for name, score in table["scores"].items()},
    )
