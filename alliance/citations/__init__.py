"""What to cite: scales, methods and the software as BibTeX, and the paragraph that says what was done."""

from __future__ import annotations

from alliance.citations.bibtex import Entry, bibliography, method_entries, scale_entry, software_entry
from alliance.citations.manifest import parse_manifest, scales_of
from alliance.citations.prose import MARKUPS, Markup, methods_text

__all__ = [
    "MARKUPS",
    "Entry",
    "Markup",
    "bibliography",
    "method_entries",
    "methods_text",
    "parse_manifest",
    "scale_entry",
    "scales_of",
    "software_entry",
]
