"""Codes in place of names and record numbers, and study days in place of dates.

A code is a keyed hash: the same for one person in every file and run, and of no use without the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

KEY_BYTES = 32
CODE_LENGTH = 10
"""Characters of a code behind its prefix, 5 bits each: two of 100,000 clients share 50 bits in 4 of a
million runs [calc]; they are then told apart by more characters."""

CASE, THERAPIST = "case", "therapist"
_UNKNOWN = np.datetime64("NaT", "D")
PREFIXES = {CASE: "C", THERAPIST: "T"}


def normalised(text: str) -> str:
    """Return an identifier as it is hashed: composed letters (NFC), single blanks, none around it.

    Upper and lower case stay apart, and so do `7` and `007`: whether they are one client cannot be known.

    >>> normalised("  Anna   M. ")
    'Anna M.'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def digest(identifier: str, key: bytes, *, kind: str = CASE) -> str:
    """Return the keyed hash of an identifier as 52 base32 characters.

    Parameters
    ----------
    identifier : str
        As in the file; spaces are normalised.
    key : bytes
        32 random bytes. Without it nobody can tell from a code whose it is, not even by trying all names.
    kind : str
        "case" or "therapist": a therapist and a client of the same name get unlike codes.

    Returns
    -------
    str
        base32(HMAC-SHA-256(key, kind + NUL + identifier in UTF-8)), A to Z and 2 to 7.

    References
    ----------
    RFC 2104 (HMAC), RFC 4648 section 6 (base32).

    Examples
    --------
    >>> digest("P001", bytes(32))[:10]
    'RELOGR5U5Q'
    """
    if len(key) != KEY_BYTES:
        message = f"key must have {KEY_BYTES} bytes, got {len(key)}"
        raise ValueError(message)
    if kind not in PREFIXES:
        message = f"kind must be one of {', '.join(PREFIXES)}, got '{kind}'"
        raise ValueError(message)
    message_bytes = f"{kind}\0{normalised(identifier)}".encode()
    found = hmac.new(key, message_bytes, hashlib.sha256).digest()
    return base64.b32encode(found).decode().rstrip("=")


def codes(
    identifiers: Iterable[str], key: bytes, *, kind: str = CASE, length: int = CODE_LENGTH
) -> dict[str, str]:
    """Return the code of each different identifier, such as `C-RELOGR5U5Q`; an empty one stays empty.

    Parameters
    ----------
    identifiers : iterable of str
        As in the file. Those that are the same once their spaces are normalised get the same code.
    key : bytes
        32 random bytes.
    kind : str
        "case" (prefix C) or "therapist" (prefix T).
    length : int
        Characters behind the prefix, 1 to 52. Identifiers whose codes would be the same get the fewest
        more that tell them apart; all others keep theirs.

    Returns
    -------
    dict of str → str
        Identifier as given → code.

    Examples
    --------
    >>> codes(["P001", " P001 ", ""], bytes(32))
    {'P001': 'C-RELOGR5U5Q', ' P001 ': 'C-RELOGR5U5Q', '': ''}
    """
    given = dict.fromkeys(identifiers)
    plain = {text: normalised(text) for text in given}
    whole = {name: digest(name, key, kind=kind) for name in dict.fromkeys(plain.values()) if name}
    short = _told_apart(whole, length)
    return {text: f"{PREFIXES[kind]}-{short[name]}" if name else "" for text, name in plain.items()}


def _told_apart(whole: dict[str, str], length: int) -> dict[str, str]:
    """Return the first `length` characters of each digest, and more of those that would be the same."""
    short = {name: text[:length] for name, text in whole.items()}
    shared: dict[str, list[str]] = {}
    for name, code in short.items():
        shared.setdefault(code, []).append(name)
    for names in (each for each in shared.values() if len(each) > 1):
        short |= _told_apart({name: whole[name] for name in names}, length + 1)
    return short


def first_days(cases: Sequence[str], days: Array) -> dict[str, np.datetime64]:
    """Return the first day of every case.

    Parameters
    ----------
    cases : sequence of str, shape (rows,)
        Identifiers; spaces are normalised. Rows without one are left out.
    days : datetime64[D], shape (rows,)
        NaT = not known.

    Examples
    --------
    >>> first_days(["A", "A"], np.array(["2026-01-12", "2026-01-05"], dtype="datetime64[D]"))
    {'A': np.datetime64('2026-01-05')}
    """
    first: dict[str, np.datetime64] = {}
    for case, day in zip(map(normalised, cases), days, strict=True):
        if case and not np.isnat(day):
            first[case] = min(first.get(case, day), day)
    return first


def study_days(cases: Sequence[str], days: Array, first: Mapping[str, np.datetime64]) -> list[str]:
    """Return each date as days since the first day of its case, 0 on that day; empty where not known.

    Parameters
    ----------
    cases : sequence of str, shape (rows,)
        Identifiers; spaces are normalised.
    days : datetime64[D], shape (rows,)
        NaT = not known.
    first : mapping of str → datetime64[D]
        First day of each case, by its normalised identifier. A day before it is negative.

    Examples
    --------
    >>> days = np.array(["2026-01-05", "2026-01-12", "NaT"], dtype="datetime64[D]")
    >>> study_days(["A", "A", "A"], days, first_days(["A", "A", "A"], days))
    ['0', '7', '']
    """
    starts = [first.get(normalised(case), _UNKNOWN) for case in cases]
    return [
        "" if np.isnat(day) or np.isnat(start) else str((day - start).astype(int))
        for day, start in zip(days, starts, strict=True)
    ]
