"""The key of the pseudonyms: a file of 32 random bytes that only its owner can read, away from the data."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from alliance.errors import DataError, UsageError

OTHERS = stat.S_IRWXG | stat.S_IRWXO
AWAY = "keep it in a folder that holds no data and lies in none that does"


def refuse_near(path: Path, folders: Iterable[Path], *, called: str) -> None:
    """Raise UsageError if `path` lies in one of `folders` or below: who gets the data must not get it."""
    place = path.resolve()
    for folder in folders:
        if place.is_relative_to(folder.resolve()):
            message = f"{called} '{path}' lies in the folder '{folder}', beside the data"
            raise UsageError(message, hint=AWAY)


def read_key(path: Path) -> bytes:
    """Return the key in a file that only its owner can read.

    Raises
    ------
    UsageError
        If there is none, or others can read it.
    DataError
        If it does not hold 32 bytes.
    """
    from alliance.pseudonyms import KEY_BYTES
    from alliance.report.files import cannot

    if not path.is_file():
        message = f"there is no key '{path}'"
        raise UsageError(
            message, hint="--new-key makes one; with another key the same client gets another code"
        )
    try:
        if os.name != "nt" and path.stat().st_mode & OTHERS:
            message = f"others than you can read the key '{path}'"
            raise UsageError(message, hint=f"take that away: chmod 600 '{path}'")
        key = path.read_bytes()
    except OSError as error:
        raise cannot("read", path, error) from None
    if len(key) != KEY_BYTES:
        message = f"'{path}' is no key: a key has {KEY_BYTES} bytes, this file has {len(key)}"
        raise DataError(message, hint="name the file that --new-key made")
    return key


def refuse_existing(path: Path) -> None:
    """Raise UsageError if a new key would take the place of a file."""
    if path.exists() or path.is_symlink():
        message = f"'{path}' exists, and a key is never overwritten"
        raise UsageError(message, hint="leave out --new-key to use it, or name another file")


def make_key(path: Path) -> bytes:
    """Write 32 random bytes into a new file that only its owner can read, and return them."""
    from alliance.pseudonyms import KEY_BYTES
    from alliance.report.files import OWNER_ONLY, cannot

    key = secrets.token_bytes(KEY_BYTES)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(handle, "wb") as file:
            file.write(key)
    except OSError as error:
        raise cannot("write", path, error) from None
    return key
