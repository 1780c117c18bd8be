"""Lines of a drafted mapping: live ones, questions for a person, and remarks; always valid TOML."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_LABEL = 60
QUESTION = "#? "

_CONTROLS = {chr(code): f"\\u{code:04x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
_ESCAPES = _CONTROLS | {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(text: str) -> str:
    r"""Return `text` as a TOML string.

    >>> quoted('a "b"')
    '"a \\"b\\""'
    """
    return '"' + "".join(_sign(sign, _ESCAPES) for sign in text) + '"'


def listed_texts(texts: Sequence[str]) -> str:
    """Return texts as a TOML list.

    >>> listed_texts(["-9", "x"])
    '["-9", "x"]'
    """
    return f"[{', '.join(map(quoted, texts))}]"


def remark(text: str) -> str:
    """Return a line that says something and does nothing, controls made visible."""
    return f"# {_in_comment(text)}"


def said(entry: str, evidence: str) -> str:
    """Return a live line with its evidence."""
    return f"{entry}  # {_in_comment(evidence)}" if evidence else entry


def asked(entry: str, evidence: str) -> str:
    """Return a line that a person has to switch on, with its evidence."""
    return QUESTION + said(entry, evidence)


def cut(label: str) -> str:
    """Return a text in one line, of at most 60 characters.

    >>> cut("a " * 40)
    'a a a a a a a a a a a a a a a a a a a a a a a a a a a a a …'
    """
    text = " ".join(label.split())
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 2].rstrip() + " …"


def _in_comment(text: str) -> str:
    return "".join(_sign(sign, _CONTROLS) for sign in text)


def _sign(sign: str, table: dict[str, str]) -> str:
    """Return a character as TOML may hold it; half of a pair of UTF-16 is no character."""
    return "\ufffd" if "\ud800" <= sign <= "\udfff" else table.get(sign, sign)
