"""Result files: written under no name, owner-only, and given their names once every one of them is whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

import numpy as np

from alliance import arrow
from alliance.cells import FORMULA, neutral
from alliance.errors import StoreError, UsageError
from alliance.frames import Coded

if TYPE_CHECKING:
    from io import BufferedRandom

OWNER_ONLY = 0o600
PART_PREFIX = ".alliance-part-"
NAMELESS: int | None = getattr(os, "O_TMPFILE", None)
"""How this system opens a file that has no name yet, if it can."""


class OutputFolder:
    """A folder that receives its files all at the end: a run that is killed leaves none, or whole ones.

    Where the system can, files have no name while they are written, so that nothing outlives a killed run;
    elsewhere they have a hidden name that the next run removes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool = ThreadPoolExecutor(max_workers=1)
        self._files: dict[str, tuple[IO[bytes], Path | None]] = {}

    def __enter__(self) -> Self:
        """Make the folder, and clear what a killed run may have left in it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(f"{PART_PREFIX}*"):
                left.unlink()
        except OSError as error:
            raise cannot("write", self.folder, error) from None
        return self

    def __exit__(self, *_: object) -> None:
        """Forget every file that was not published."""
        self.pool.shutdown(cancel_futures=True)
        for name in list(self._files):
            self._forget(name)

    def open(self, name: str) -> IO[bytes]:
        """Return a binary file that will be called `name`; an earlier one of that name is forgotten."""
        self._forget(name)
        try:
            self._files[name] = unnamed_file(self.folder)
        except OSError as error:
            raise cannot("write", self.folder / name, error) from None
        return self._files[name][0]

    def _forget(self, name: str) -> None:
        file, path = self._files.pop(name, (None, None))
        if file is not None:
            file.close()
        if path is not None:
            path.unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file that will be called `name`."""
        self.open(name).write(content)

    def digests(self) -> dict[str, str]:
        """Return name → SHA-256 of every file written so far."""
        import hashlib

        found = {}
        for name, (file, _) in sorted(self._files.items()):
            file.flush()
            file.seek(0)
            found[name] = hashlib.file_digest(cast("BufferedRandom", file), "sha256").hexdigest()
        return found

    def publish(self, *, last: str = "", stale: Iterable[str] = ()) -> None:
        """Give every file its name; a file called `last` comes last, and its old version goes first.

        Files called `stale` go with it: they belong to an earlier run, and would be taken for this one's.
        """
        try:
            for name in (last, *stale) if last else ():
                (self.folder / name).unlink(missing_ok=True)
            for name in sorted(self._files, key=lambda name: name == last):
                file, path = self._files[name]
                file.flush()
                give_name(file, path, self.folder / name)
        except OSError as error:
            raise cannot("write", self.folder, error) from None


def unnamed_file(folder: Path) -> tuple[IO[bytes], Path | None]:
    """Return an open owner-only file in `folder`, and its hidden path where it must have one."""
    if NAMELESS is not None:
        with contextlib.suppress(OSError):
            handle = os.open(folder, NAMELESS | os.O_RDWR, OWNER_ONLY)
            return os.fdopen(handle, "w+b"), None
    handle, path = tempfile.mkstemp(prefix=PART_PREFIX, dir=folder)
    return os.fdopen(handle, "w+b"), Path(path)


def give_name(file: IO[bytes], path: Path | None, target: Path) -> None:
    """Let `target` be the finished `file`; whatever had that name is replaced in one step."""
    if path is None:
        path = target.with_name(f"{PART_PREFIX}{os.getpid()}-{target.name}")
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.link(f"/proc/self/fd/{file.fileno()}", path.name, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)
    elif os.name == "nt":
        file.close()
    path.replace(target)


def write_file(target: Path, content: bytes, *, force: bool = False) -> None:
    """Write one owner-only file in one step; an existing one is replaced only with `force`."""
    if target.exists() and not force:
        message = f"'{target}' exists"
        raise UsageError(message, hint="choose another name, or replace it with --force")
    with OutputFolder(target.parent) as folder:
        folder.write(target.name, content)
        folder.publish()


def cannot(verb: str, path: Path, error: OSError) -> StoreError:
    """Return the error for a file or folder the system does not let us use."""
    return StoreError(f"cannot {verb} '{path}': {error.strerror}", hint="check the path and its permissions")


def csv_header(names: Sequence[str]) -> bytes:
    """Return the header line of a CSV file."""
    return (",".join(names) + "\n").encode()


def csv_rows(columns: Mapping[str, Any]) -> Any:
    """Return columns as the bytes of CSV lines, as a buffer.

    Parameters
    ----------
    columns : mapping
        Name → a text for all rows, a Coded column, or an array of numbers, days or texts. NaN and NaT are
        empty cells, nothing is rounded, texts are quoted where they must be. All have the same length.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = _folded([as_text(values) for values in columns.values()])
    cells[-1] = pc.binary_join_element_wise(cells[-1], arrow.one("\n"), arrow.one(""))
    lines = pc.binary_join_element_wise(*cells, arrow.one(","))
    if isinstance(lines, pa.Scalar):
        return str(lines.as_py()).encode()
    offsets, data = lines.buffers()[1:]
    places = np.frombuffer(offsets, dtype=np.int32)
    start, end = int(places[lines.offset]), int(places[lines.offset + len(lines)])
    return data[start:end] if data is not None else b""


def _folded(cells: list[Any]) -> list[Any]:
    """Return the cells of a line with neighbours that are the same in every line joined into one."""
    import pyarrow as pa

    folded: list[Any] = []
    for cell in cells:
        if folded and isinstance(cell, pa.Scalar) and isinstance(folded[-1], pa.Scalar):
            folded[-1] = arrow.one(f"{folded[-1].as_py()},{cell.as_py()}")
        else:
            folded.append(cell)
    return folded


def as_text(values: Any) -> Any:
    """Return a column as texts ready for a CSV line: an Arrow array, or one text if all cells are the same.

    Texts that a spreadsheet would take for a formula are neutralised. Each different number is put into
    words once: most columns have few.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, str):
        return _cells(arrow.texts([values]))[0]
    if isinstance(values, Coded):
        kinds, codes = _cells(arrow.texts(values.texts)), arrow.column(values.codes)
    elif not isinstance(values, pa.Array) and values.dtype == object:
        return _cells(arrow.texts(values))
    else:
        encoded = pc.dictionary_encode(values if isinstance(values, pa.Array) else arrow.column(values))
        kinds, codes = encoded.dictionary.cast(pa.string()), encoded.indices
    if len(kinds) == 0:
        return arrow.one("")
    if len(kinds) == 1 and not codes.null_count:
        return kinds[0]
    cells = kinds.take(codes)
    return pc.fill_null(cells, arrow.one("")) if cells.null_count else cells


def _cells(texts: Any) -> Any:
    """Return texts as cells of a CSV line: what a spreadsheet would run neutralised, then quoted."""
    import pyarrow.compute as pc

    if pc.any(pc.match_substring_regex(texts, FORMULA)).as_py():
        texts = arrow.texts(list(map(neutral, texts.to_pylist())))
    return _quoted(texts)


def _quoted(texts: Any) -> Any:
    import pyarrow.compute as pc

    special = pc.match_substring_regex(texts, '[",\r\n]')
    if not pc.any(special).as_py():
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    mark, nothing = arrow.one('"'), arrow.one("")
    return pc.if_else(special, pc.binary_join_element_wise(mark, doubled, mark, nothing), texts)


def chunks(n_rows: int, size: int) -> Iterator[slice]:
    """Yield slices that cover `n_rows` rows, `size` at a time."""
    for first in range(0, n_rows, size):
        yield slice(first, min(first + size, n_rows))
