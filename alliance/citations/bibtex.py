"""Citations of scales, methods and the software as BibTeX.

Nothing is made up: what a citation does not say in a form that can be read has no field, and the citation
stands as it is in a note.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import alliance

if TYPE_CHECKING:
    from alliance.scale import Scale

SOFTWARE = "alliance"
VERBATIM = ("doi", "url")
"""Fields that BibTeX passes on as they are."""
OTHERS = "others"
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\textbraceleft{}", "}": r"\textbraceright{}", "&": r"\&", "%": r"\%",
    "_": r"\_", "#": r"\#", "$": r"\$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
_LETTERS = str.maketrans({"ø": "o", "ß": "ss", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d"})

_WORD = r"[A-ZÀ-Þ][A-Za-zÀ-ÿ'\u2019-]*[a-zà-ÿ][A-Za-zÀ-ÿ'\u2019-]*"
"""A part of a surname: a capital, and a small letter somewhere, which an abbreviation has not."""
_NAME = rf"{_WORD}(?: {_WORD})?"
_AUTHORS = rf"(?P<authors>{_NAME}(?:, {_NAME})*(?: & {_NAME})?(?: et al\.)?)"
_ARTICLE = re.compile(
    rf"{_AUTHORS} \((?P<year>\d{{4}})\)\. (?P<journal>[^\d.]+?) "
    r"(?P<volume>\d+)(?:\((?P<number>\d+)\))?, (?P<pages>\d+(?:-\d+)?)\."
)
_WORK = re.compile(rf"{_AUTHORS} \((?P<year>\d{{4}})\)(?:, https://doi\.org/(?P<doi>[^\s;,]+))?")
_ADDRESS = re.compile(r"https?://[^\s;,]+")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a bibliography; `fields` are name → plain text, authors as surnames with `and`."""

    key: str
    kind: str
    fields: Mapping[str, str]

    def __str__(self) -> str:
        """Return the entry in BibTeX."""
        width = max(map(len, self.fields))
        lines = [f"  {name:{width}} = {_braced(name, text)}," for name, text in self.fields.items()]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"]) + "\n"


def scale_entry(scale: Scale) -> Entry:
    """Return where a scale was published.

    An article if the citation is the authors, year, journal, volume and pages of one, which makes its key;
    else the citation as a note under `scale-` and the id. The DOI is that of the definition. The title of an
    article is in no definition and has to be added.
    """
    doi = {"doi": scale.doi} if scale.doi else {}
    found = _ARTICLE.fullmatch(scale.citation)
    if found is None:
        fields = {"title": scale.name, "note": scale.citation, **doi}
        return Entry(key=f"scale-{scale.id}", kind="misc", fields=fields)
    parts = {name: text for name, text in found.groupdict().items() if text}
    page = parts["pages"].split("-")[0]
    key = f"{_first(parts['authors'])}-{parts['year']}-{parts['volume']}-{page}"
    fields = {
        "author": _authors(parts.pop("authors")),
        **{name: text.replace("-", "--") if name == "pages" else text for name, text in parts.items()},
        **doi,
    }
    return Entry(key=key, kind="article", fields=fields)


def method_entries(name: str, source: str) -> tuple[Entry, ...]:
    """Return the works that the source of a method names by authors and year; or else the source as a note.

    >>> [entry.key for entry in method_entries("cusum", "Page (1954); spread as in Smyth (2004)")]
    ['page-1954', 'smyth-2004']
    """
    works = tuple(_work(found) for found in _WORK.finditer(source))
    if works:
        return works
    address = _ADDRESS.search(source)
    url = {"url": address[0]} if address else {}
    fields = {"title": f"Rupture method {name}", "note": source, **url}
    return (Entry(key=f"method-{name}", kind="misc", fields=fields),)


def software_entry(version: str = alliance.__version__) -> Entry:
    """Return this software, in one version."""
    fields = {
        "author": "{The alliance developers}",
        "title": f"alliance {version}",
        "version": version,
        "note": f"{(alliance.__doc__ or '').splitlines()[0]} MIT licence.",
    }
    return Entry(key=SOFTWARE, kind="misc", fields=fields)


def bibliography(entries: Iterable[Entry]) -> str:
    """Return the entries in BibTeX, each key once; of two that name one work, all fields either has."""
    found: dict[str, Entry] = {}
    for entry in entries:
        before = found.get(entry.key)
        found[entry.key] = entry if before is None else _merged(before, entry)
    return "\n".join(map(str, found.values()))


def _merged(first: Entry, second: Entry) -> Entry:
    """Return the fields of both; of two lists of authors the one that is whole."""
    fields = {**second.fields, **first.fields}
    if OTHERS in first.fields.get("author", "").split(" and ") and "author" in second.fields:
        fields["author"] = second.fields["author"]
    order = [*first.fields, *(name for name in second.fields if name not in first.fields)]
    return replace(first, fields={name: fields[name] for name in order})


def _work(found: re.Match[str]) -> Entry:
    doi = {"doi": found["doi"]} if found["doi"] else {}
    fields = {"author": _authors(found["authors"]), "year": found["year"], **doi}
    return Entry(key=f"{_first(found['authors'])}-{found['year']}", kind="misc", fields=fields)


def _names(authors: str) -> Iterator[str]:
    yield from re.split(r", | & ", authors.removesuffix(" et al."))
    if authors.endswith(" et al."):
        yield OTHERS


def _authors(authors: str) -> str:
    """Return authors as BibTeX joins them; a surname of two words is kept together by braces."""
    return " and ".join(f"{{{name}}}" if " " in name else name for name in _names(authors))


def _first(authors: str) -> str:
    """Return the first surname as a part of a key."""
    name = next(_names(authors)).casefold().translate(_LETTERS)
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", name))


def escaped(text: str) -> str:
    r"""Return a text with everything that LaTeX would obey made plain; other letters stay as they are.

    >>> print(escaped("50 % of {q_1} & ü"))
    50 \% of \textbraceleft{}q\_1\textbraceright{} \& ü
    """
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def _braced(name: str, text: str) -> str:
    if name in VERBATIM:
        return f"{{{text}}}"
    if name == "author":
        return f"{{{re.sub(r'[^{}]+', lambda part: escaped(part[0]), text)}}}"
    return f"{{{{{escaped(text)}}}}}" if name == "title" else f"{{{escaped(text)}}}"
