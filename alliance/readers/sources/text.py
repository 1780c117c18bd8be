"""CSV, TSV and other delimited text, in any usual encoding."""

from __future__ import annotations

from alliance.errors import DataError
from alliance.readers.export import Export, Opened
from alliance.readers.sources import container
from alliance.readers.text import read_text


def _claims(opened: Opened) -> bool:
    return False


@container("csv", title="delimited text", claims=_claims)
def read_csv(opened: Opened) -> Export:
    """Return the cells of a delimited text file; what no other kind of file claims is read as one."""
    start = opened.raw[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    json = opened.path.suffix.casefold() in {".json", ".ndjson"}
    if start.startswith((b"{", b"[{")) or json:
        message = "JSON that is no FHIR is not read"
        raise DataError(message, hint="export the answers as CSV, one row for each form")
    return Export(records=read_text(opened.raw, encoding=opened.options.encoding))
