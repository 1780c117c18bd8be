"""The parts of a workbook that is an archive: so many, so large, and none that fetches from elsewhere."""

from __future__ import annotations

import io
import lzma
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree as ET

from alliance.errors import DataError

MOST_PARTS = 10_000
MOST_BYTES = 512 << 20
LARGE_PART = 10 << 20
MOST_TIMES = 200
"""How many times its size in the file a large part may have when it is unpacked."""

Parts = Mapping[str, bytes]

_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, RuntimeError, ValueError, OSError,
)  # fmt: skip
_NEEDED = (".xml", ".rels", ".bin", "mimetype")
_NOT_NEEDED = re.compile(r"(^|/)(media|drawings|charts|embeddings|customXml|printerSettings|vbaProject)\b")
_ENCRYPTED = 0x1
_SAVE_ANEW = "open it in the spreadsheet program, and save it as .xlsx or .csv"
_ODS_LINKS = re.compile(
    rb"<(?:\w+:)?(table-source|cell-range-source|dde-source|dde-link)\b[^>]*?(?:href=\"([^\"]*)\"|>)"
)


def broken_workbook() -> DataError:
    """Return the error for a file that only looks like a workbook."""
    return DataError("the file looks like a workbook, and cannot be opened as one", hint=_SAVE_ANEW)


def protected_workbook() -> DataError:
    """Return the error for a workbook that a password keeps closed."""
    return DataError(
        "the workbook is protected by a password", hint="take off its password, or save it as .csv"
    )


def parts_of(raw: bytes) -> dict[str, bytes]:
    """Return name → bytes of the parts that say what stands in cells.

    Raises
    ------
    DataError
        If the file is no workbook, is damaged or protected, or would be too large unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if not all(archive.namelist()):
                raise broken_workbook()
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _refuse_bombs(entries)
            parts = {
                entry.filename: archive.read(entry)
                for entry in entries
                if entry.filename.endswith(_NEEDED) and not _NOT_NEEDED.search(entry.filename)
            }
    except _BROKEN:
        raise broken_workbook() from None
    if not any(name.endswith(("workbook.xml", "workbook.bin", "content.xml")) for name in parts):
        message = "the file is an archive that holds no workbook"
        raise DataError(message, hint="unpack it, and give the file in it")
    if b"encryption-data" in parts.get("META-INF/manifest.xml", b""):
        raise protected_workbook()
    return parts


def _refuse_bombs(entries: Sequence[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise protected_workbook()
    if any(name.startswith("/") or ".." in re.split(r"[/\\]", name) for name in names):
        _refuse("a part of the workbook is named as a file outside of it")
    if len(set(names)) < len(names):
        _refuse("a part of the workbook is there twice")
    if len(entries) > MOST_PARTS:
        _refuse(f"the workbook has {len(entries)} parts, more than {MOST_PARTS}")
    size = sum(entry.file_size for entry in entries)
    if size > MOST_BYTES:
        _refuse(f"the workbook is {size >> 20} MB unpacked, more than {MOST_BYTES >> 20} MB")
    for entry in entries:
        times = entry.file_size / max(entry.compress_size, 1)
        if entry.file_size > LARGE_PART and times > MOST_TIMES:
            _refuse(f"a part of the workbook is {times:.0f} times as large unpacked, more than {MOST_TIMES}")


def _refuse(what: str) -> None:
    raise DataError(what, hint="save the table as .csv, or delete what is not needed and save it anew")


def packed(parts: Parts) -> bytes:
    """Return the parts as an archive without compression: what is read is what was looked at."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def refuse_links(parts: Parts) -> None:
    """Refuse a workbook that takes cells from other files or from a database; hyperlinks are no such links.

    Raises
    ------
    DataError
        With the name of each file and connection.
    """
    places = [*_linked_books(parts), *_connections(parts), *_ods_links(parts)]
    if places:
        what = "the workbook takes values from elsewhere, and they may not be those of today"
        hint = "copy the table, paste it as values into a new workbook, and save that"
        raise DataError(what, where=list(dict.fromkeys(places)), hint=hint)


def _linked_books(parts: Parts) -> Iterator[str]:
    links = [name for name in parts if re.search(r"(^|/)externalLinks/[^/]+\.(xml|bin)$", name)]
    for name in links:
        targets = [each.get("Target", "") for each in _relations(parts, name)]
        yield from (f"link to '{_base(target)}'" for target in targets)
        if not targets:
            yield "link to another program or file"
    book = workbook_name(parts)
    if not links and _first(parse(parts.get(book, b"")), "externalReference") is not None:
        yield "link to another workbook"


def _connections(parts: Parts) -> Iterator[str]:
    for name in parts:
        if re.search(r"(^|/)connections\.xml$", name):
            root = parse(parts[name])
            found = [] if root is None else [each for each in root.iter() if _local(each) == "connection"]
            yield from (f"data connection '{each.get('name', '')}'" for each in found)
        elif re.search(r"(^|/)connections\.bin$", name):
            yield "data connection"


def _ods_links(parts: Parts) -> Iterator[str]:
    for found in _ODS_LINKS.finditer(parts.get("content.xml", b"")):
        target = (found[2] or b"").decode("utf-8", errors="replace")
        yield f"link to '{_base(target)}'" if target else "link to another program or file"


def _base(target: str) -> str:
    return re.split(r"[/\\]", target.rstrip("/\\"))[-1]


def workbook_name(parts: Parts) -> str:
    """Return the name of the part that lists the sheets; an empty text for a workbook of another kind."""
    for each in _relations(parts, ""):
        if each.get("Type", "").endswith("/officeDocument"):
            name = each.get("Target", "").lstrip("/")
            return name if name.endswith(".xml") and name in parts else ""
    return "xl/workbook.xml" if "xl/workbook.xml" in parts else ""


def sheet_of_book(parts: Parts, sheet: str) -> bytes:
    """Return the XML of the named sheet; empty where it is kept in another way."""
    book = workbook_name(parts)
    root = parse(parts.get(book, b""))
    targets = {each.get("Id", ""): each.get("Target", "") for each in _relations(parts, book)}
    for each in () if root is None else root.iter():
        if _local(each) == "sheet" and each.get("name") == sheet:
            ids = [value for key, value in each.items() if key.endswith("}id")]
            target = targets.get(ids[0], "") if ids else ""
            inside = posixpath.normpath(posixpath.join(posixpath.dirname(book), target))
            return parts.get(target.lstrip("/") if target.startswith("/") else inside, b"")
    return b""


def counts_from_1904(parts: Parts) -> bool:
    """Return whether days are counted from 1904, as old programs for the Macintosh did."""
    properties = _first(parse(parts.get(workbook_name(parts), b"")), "workbookPr")
    return properties is not None and properties.get("date1904", "") in {"1", "true"}


def _relations(parts: Parts, name: str) -> list[ET.Element]:
    folder, base = posixpath.split(name)
    root = parse(parts.get(posixpath.join(folder, "_rels", f"{base}.rels"), b""))
    return [] if root is None else list(root)


def parse(content: bytes) -> ET.Element | None:
    """Return the XML of a small part; None if it is none, or declares entities of its own."""
    if not content or b"<!DOCTYPE" in content:
        return None
    try:
        return ET.fromstring(content)
    except (ET.ParseError, LookupError, ValueError):
        return None


def _first(root: ET.Element | None, name: str) -> ET.Element | None:
    return next((each for each in root.iter() if _local(each) == name), None) if root is not None else None


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
