"""The paragraph of a manuscript that says what was done: every number from the manifest or a definition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alliance.citations.bibtex import SOFTWARE, escaped, method_entries, scale_entry

if TYPE_CHECKING:
    from alliance.citations.manifest import Manifest
    from alliance.scale import Scale

_ADDRESS = re.compile(r",? https?://[^\s;,]+")
_MARKS = re.compile(r"[\\`*_\[\]<>@$~^|#]")
Table = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Markup:
    """A language of manuscripts: plain text made safe, names of the command line, a citation of keys."""

    text: Callable[[str], str]
    code: Callable[[str], str]
    cite: Callable[[Iterable[str]], str]


def _marked(text: str) -> str:
    return _MARKS.sub(lambda found: f"\\{found[0]}", text)


MARKUPS: dict[str, Markup] = {
    "markdown": Markup(
        text=_marked,
        code=lambda text: _marked(text) if "`" in text else f"`{text}`",
        cite=lambda keys: f"[{'; '.join(f'@{key}' for key in keys)}]",
    ),
    "latex": Markup(
        text=escaped,
        code=lambda text: f"\\texttt{{{escaped(text)}}}",
        cite=lambda keys: f"\\cite{{{','.join(keys)}}}",
    ),
}


def methods_text(manifest: Manifest, scales: Mapping[str, Scale], markup: Markup) -> str:
    """Return the paragraphs, one sentence a line: the data, the forms, ruptures, dropout risk, checksums.

    Parameters
    ----------
    manifest : as `parse_manifest` returns it
    scales : id → definition, those of the manifest
    markup : one of MARKUPS
    """
    paragraphs = [
        [*_study(manifest, markup), *_forms(manifest, scales, markup), *_reading(manifest, markup)],
        list(_methods(manifest, markup)),
        list(_risk(manifest["risk"], markup)),
        list(_checksums(manifest, markup)),
    ]
    return "\n\n".join("\n".join(each) for each in paragraphs if each) + "\n"


def _study(manifest: Manifest, markup: Markup) -> Iterator[str]:
    version, counts = markup.text(manifest["alliance_version"]), manifest["counts"]
    cited = markup.cite([SOFTWARE])
    yield f"{counts['forms']} forms of {counts['cases']} cases were analysed with alliance {version} {cited}."
    if manifest["synthetic"]:
        yield "The data are synthetic: no real person is in them."


def _forms(manifest: Manifest, scales: Mapping[str, Scale], markup: Markup) -> Iterator[str]:
    for each in manifest["scales"]:
        scale = scales[each["id"]]
        cited = markup.cite([scale_entry(scale).key])
        key = "with a verified key" if each["status"] == "verified" else "with a provisional key"
        named = f"{markup.text(scale.name)} ({markup.code(scale.id)}) {cited}"
        yield f"{each['n_forms']} forms of the {named} were scored {key}."
        if each["status"] != "verified":
            yield "The key was not confirmed by its sources, and scores may change with it."
        yield _missing_rule(scale, markup)


def _missing_rule(scale: Scale, markup: Markup) -> str:
    """Return how many unanswered items each score tolerates."""
    by_count: dict[int, list[str]] = {}
    for name, formula in scale.formulas.items():
        by_count.setdefault(formula.missing_max, []).append(markup.text(name))
    groups = [f"{count} in {', '.join(names)}" for count, names in sorted(by_count.items())]
    said = f" ({markup.text(scale.missing_rule)})" if scale.missing_rule else ""
    return f"A score with more unanswered items than its key allows, {'; '.join(groups)}, is missing{said}."


def _reading(manifest: Manifest, markup: Markup) -> Iterator[str]:
    options = manifest["read_options"]
    mapping = options.get("mapping") or {}
    codes = [markup.text(str(code)) for code in (*mapping.get("missing", ()), *options.get("missing", ()))]
    if codes:
        yield f"In the file {', '.join(dict.fromkeys(codes))} stood for an item that was not answered."
    if options.get("on_error") == "drop":
        yield "What could not be used was left out of the analysis."
    keep, unfinished = (options.get(name) or mapping.get(name) for name in ("keep", "unfinished"))
    if keep:
        yield f"Of forms that were there twice and differed, the {markup.text(str(keep))} was kept."
    if unfinished == "drop":
        yield "Forms that were begun and not sent were left out."


def _methods(manifest: Manifest, markup: Markup) -> Iterator[str]:
    for each in manifest["methods"]:
        cited = markup.cite([entry.key for entry in method_entries(each["name"], each["source"])])
        source = markup.text(_ADDRESS.sub("", each["source"]))
        when = "judges a session by those before it" if each["online"] else "judges a course as a whole"
        yield (
            f"The method {markup.code(each['name'])} ({source}) {cited} {when}; it was applied to the score "
            f"{markup.code(each['score'])}, where a {markup.text(each['direction'])} is flagged."
        )
        yield _settings(each, manifest["alliance_version"], markup)
        yield from _norm(each, markup)
        yield _chance(each["chance"], markup)


def _settings(method: Table, version: str, markup: Markup) -> str:
    given = [f"{markup.code(name)} = {_value(value, markup)}" for name, value in method["settings"].items()]
    usual = f"the defaults of alliance {markup.text(version)}"
    return (
        f"Its settings were {', '.join(given)}, and else {usual}." if given else f"Its settings were {usual}."
    )


def _norm(method: Table, markup: Markup) -> Iterator[str]:
    norm = method["norm"] or {}
    facts = [f"{name} {_value(norm[key], markup)}" for name, key in _NORM if norm.get(key) is not None]
    if facts:
        source = f" ({markup.text(str(norm['source']))})" if norm.get("source") else ""
        yield f"It was given a norm{source}: {', '.join(facts)}."
    if method["within_sd"] is not None:
        yield f"It was given a within-person standard deviation of {_value(method['within_sd'], markup)}."


_NORM = (("SD", "sd"), ("reliability", "reliability"), ("standard error of measurement", "sem"))


def _chance(found: Table | None, markup: Markup) -> str:
    if found is None:
        return "What noise alone would flag was not computed."
    flagged, n = round(found["observed"] * found["n_series"]), found["n_series"]
    observed, expected, low, high = (
        _percent(found[name], markup) for name in ("observed", "expected", "low", "high")
    )
    found_in = f"{flagged} of {n} cases with enough data had a {markup.text(found['finding'])} ({observed})"
    spread = f"95 {_sign(markup)} of {found['replicates']} replicates lie from {low} to {high}"
    return f"{found_in}; noise alone would flag {expected} ({spread})."


def _risk(risk: Table, markup: Markup) -> Iterator[str]:
    if not risk["levels"]:
        return
    counts = ", ".join(f"{n} {markup.text(level.replace('_', ' '))}" for level, n in risk["levels"].items())
    day = f" as of {markup.text(risk['today'])}" if risk["today"] else ""
    yield f"Early dropout risk was listed{day} by the rules {markup.text(risk['rules'])}: {counts}."
    yield "These levels are ordinal and no probabilities."
    instrument, norms = risk["instrument"], "local norms" if risk["norms"] else "no local norms"
    cutoff = instrument["cutoff"]
    limit = "no cut-off" if cutoff is None else f"the cut-off {_value(cutoff, markup)}"
    yield f"The rules used {markup.code(instrument['scale'])} with {limit} and {norms}."
    if risk["model"]:
        model = {name: markup.text(risk["model"][name]) for name in ("status", "created")}
        sha256 = markup.code(risk["model"]["sha256"])
        yield f"A fitted model ({model['status']}, of {model['created']}, SHA-256 {sha256}) was applied."


def _checksums(manifest: Manifest, markup: Markup) -> Iterator[str]:
    for each in manifest["inputs"]:
        yield f"The SHA-256 checksum of {markup.text(each['name'])} is {markup.code(each['sha256'])}."
    yield "Equal inputs, definitions and settings give equal results, byte by byte."


def _value(value: Any, markup: Markup) -> str:
    return markup.text(f"{value:g}" if isinstance(value, float) else str(value))


def _percent(share: float, markup: Markup) -> str:
    return f"{share * 100:.0f} {_sign(markup)}"


def _sign(markup: Markup) -> str:
    return markup.text("%")
