"""Who has seen which verdict: a log that is only added to, each line bound to the one before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

from alliance.errors import StoreError

FIRST = "0" * 64
"""Stands where the hash of the line before would be, in the first line."""

OWNER_ONLY = 0o600


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One acknowledgement. It holds no rating.

    Attributes
    ----------
    case : str; code of the case
    session : int; sessions attended when it was acknowledged
    rules : names of the rules that had fired
    on : date; day of the acknowledgement
    reason : str; what was done or found, in the reader's own words
    by : str; who, empty = not told
    until : date or None; day from which on it no longer holds
    """

    case: str
    session: int
    rules: tuple[str, ...]
    on: date
    reason: str
    by: str = ""
    until: date | None = None

    def __str__(self) -> str:
        """Return what stands beside the verdict."""
        until = "" if self.until is None else f", until {self.until}"
        return f"seen on {self.on}{until}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "case": self.case,
            "session": self.session,
            "rules": list(self.rules),
            "on": self.on.isoformat(),
            "by": self.by,
            "reason": self.reason,
            "until": None if self.until is None else self.until.isoformat(),
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Entry:
        """Return the entry in plain values; what is absent or no such value is a ValueError or KeyError."""
        until = table["until"]
        return cls(
            case=str(table["case"]),
            session=int(table["session"]),
            rules=tuple(map(str, table["rules"])),
            on=date.fromisoformat(table["on"]),
            by=str(table["by"]),
            reason=str(table["reason"]),
            until=None if until is None else date.fromisoformat(until),
        )


def seen(entries: Sequence[Entry], case: str, fired: Sequence[str], today: date | None) -> Entry | None:
    """Return the acknowledgement that still holds for a case, or None.

    It is the latest of the case. It holds until a rule fires that was not among those acknowledged, and if it
    has a day to end at, until that day: where today is not known it cannot be told, and counts as ended.
    A case for which nothing fires needs none.

    Parameters
    ----------
    entries : the log, oldest first
    case : code of the case
    fired : names of the rules that fire now
    today : date, optional

    Examples
    --------
    >>> day = date(2026, 3, 2)
    >>> log = [Entry(case="C7", session=3, rules=("LOW_LEVEL",), on=day, reason="spoke about goals")]
    >>> print(seen(log, "C7", ["LOW_LEVEL"], day))
    seen on 2026-03-02: spoke about goals
    >>> print(seen(log, "C7", ["LOW_LEVEL", "NO_SHOW_RECENT"], day))
    None
    """
    latest = next((entry for entry in reversed(entries) if entry.case == case), None)
    if latest is None or not fired or not set(fired) <= set(latest.rules):
        return None
    if latest.until is not None and (today is None or today >= latest.until):
        return None
    return latest


def told_snoozes(entries: Sequence[Entry], today: date | None) -> list[str]:
    """Return the note that entries with an end cannot be looked at without the day of the list, or none."""
    n_snoozed = len({entry.case for entry in entries if entry.until is not None})
    if today is not None or not n_snoozed:
        return []
    cases = "1 case is" if n_snoozed == 1 else f"{n_snoozed} cases are"
    return [f"not shown as seen: {cases} acknowledged until a day, and the day of this list is not given"]


def read_log(path: Path) -> tuple[Entry, ...]:
    """Return the entries of a log, oldest first.

    Raises
    ------
    StoreError
        If it cannot be read, or a line does not follow from the one before: it was changed, or is not whole.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise _cannot("read", path, problem) from problem
    return tuple(entry for entry, _ in _chain(content, path))


def append(path: Path, entry: Entry) -> None:
    """Add an entry to a log; the log is made, for its owner's eyes only, if it is not there.

    Raises
    ------
    StoreError
        If it cannot be written, or is broken: nothing is added then.
    """
    try:
        with _locked(path) as file:
            before = [sealed for _, sealed in _chain(file.read(), path)]
            file.write(_line(entry, before[-1] if before else FIRST))
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise _cannot("write", path, problem) from problem


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Open a log to read and add to it; where the system can, nobody else adds in the meantime."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, OWNER_ONLY)
    with os.fdopen(handle, "r+b") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _line(entry: Entry, before: str) -> bytes:
    table = {**entry.as_json(), "prev": before}
    return _plain({**table, "hash": _sealed(table)}).encode() + b"\n"


def _sealed(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(_plain(table).encode()).hexdigest()


def _plain(table: Mapping[str, Any]) -> str:
    return json.dumps(table, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _chain(content: bytes, path: Path) -> list[tuple[Entry, str]]:
    """Return each entry with its hash."""
    *lines, rest = content.split(b"\n")
    found: list[tuple[Entry, str]] = []
    before = FIRST
    for number, line in enumerate(lines, start=1):
        entry = _entry(line, before)
        if entry is None:
            raise _broken(path, number)
        found.append(entry)
        before = entry[1]
    if rest:
        raise _broken(path, len(lines) + 1)
    return found


def _entry(line: bytes, before: str) -> tuple[Entry, str] | None:
    """Return the entry in a line with its hash, None if it is no entry or does not follow from `before`."""
    try:
        table = json.loads(line)
        sealed = table.pop("hash")
        entry = Entry.from_json(table)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return (entry, sealed) if table.get("prev") == before and sealed == _sealed(table) else None


def _broken(path: Path, number: int) -> StoreError:
    return StoreError(
        f"the log '{path.name}' was changed after it was written, or is not whole",
        where=[f"line {number} does not follow from the lines before"],
        hint="go back to a copy of it, or begin a new one; nothing is added to a broken log",
    )


def _cannot(verb: str, path: Path, problem: OSError) -> StoreError:
    return StoreError(
        f"the log '{path}' cannot be {'read' if verb == 'read' else 'written'}: {problem.strerror}",
        hint="check the name and who may use it",
    )
