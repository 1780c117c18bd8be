"""Files of SPSS, Stata and SAS: what a cell holds, not what it shows, and what its labels say."""

from __future__ import annotations

import importlib.util

from alliance.errors import DataError, UsageError
from alliance.readers.apart import read_apart
from alliance.readers.export import Export, Opened
from alliance.readers.sources import container
from alliance.readers.text import Records

_TASK = "alliance.readers.sources.statistics_cells:read_cells"
_NAMES = {"spss": "SPSS", "stata": "Stata", "sas": "SAS"}
_SAV = (b"$FL2", b"$FL3")
_PORTABLE = b"SPSS PORT FILE"
_PORTABLE_WITHIN = 500
_SAS7BDAT = bytes.fromhex("000000000000000000000000c2ea8160b31411cfbd92080009c7318c181f1011")
_TRANSPORT = b"HEADER RECORD*******LIB"
_STATA = b"<stata_dta>"
_OLD_STATA = range(104, 116)
"""The first byte of a file of Stata 5 to 12; 1 or 2 says how its numbers are written, then come 1 and 0."""
_SUFFIXES = {
    ".sav": "sav", ".zsav": "sav", ".por": "por", ".dta": "dta", ".sas7bdat": "sas7bdat", ".xpt": "xpt",
}  # fmt: skip
_PROGRAMS = {"sav": "spss", "por": "spss", "dta": "stata", "sas7bdat": "sas", "xpt": "sas"}


def _kind(opened: Opened) -> tuple[str, str]:
    """Return the kind of a file, such as sav, and what it is told by; empty texts if it is none of these."""
    raw = opened.raw
    if raw.startswith(_SAV):
        kind = "sav"
    elif _PORTABLE in raw[:_PORTABLE_WITHIN]:
        kind = "por"
    elif raw.startswith(_STATA) or _is_old_stata(raw[:4]):
        kind = "dta"
    elif raw.startswith(_SAS7BDAT):
        kind = "sas7bdat"
    elif raw.startswith(_TRANSPORT):
        kind = "xpt"
    else:
        return _SUFFIXES.get(opened.path.suffix.casefold(), ""), "its name"
    return kind, "its first bytes"


def _is_old_stata(start: bytes) -> bool:
    return len(start) == 4 and start[0] in _OLD_STATA and start[1] in {1, 2} and start[2:] == b"\x01\x00"  # noqa: PLR2004


def _is_spss(opened: Opened) -> bool:
    return _PROGRAMS.get(_kind(opened)[0]) == "spss"


def _is_stata(opened: Opened) -> bool:
    return _PROGRAMS.get(_kind(opened)[0]) == "stata"


def _is_sas(opened: Opened) -> bool:
    return _PROGRAMS.get(_kind(opened)[0]) == "sas"


@container("spss", title="an SPSS file", claims=_is_spss)
def read_spss(opened: Opened) -> Export:
    """Return the cases of a .sav, .zsav or .por file; declared missing values are empty cells."""
    return _read(opened, "spss", "sav")


@container("stata", title="a Stata file", claims=_is_stata)
def read_stata(opened: Opened) -> Export:
    """Return the observations of a .dta file; missing values .a to .z are empty cells."""
    return _read(opened, "stata", "dta")


@container("sas", title="a SAS file", claims=_is_sas)
def read_sas(opened: Opened) -> Export:
    """Return the observations of a .sas7bdat or .xpt file; missing values .A to .Z are empty cells."""
    return _read(opened, "sas", "sas7bdat")


def _read(opened: Opened, program: str, usual: str) -> Export:
    """Return what the file of one program holds; its first case counts as line 1."""
    if importlib.util.find_spec("pyreadstat") is None:
        message = f"a file of {_NAMES[program]} cannot be read without pyreadstat"
        raise UsageError(message, hint='pip install "alliance-toolkit[spss]"')
    kind, evidence = _kind(opened)
    asked = {"kind": kind if _PROGRAMS.get(kind) == program else usual, "encoding": opened.options.encoding}
    broken = DataError(
        f"the file looks like one of {_NAMES[program]}, and cannot be opened as such",
        hint=f"open it in {_NAMES[program]} and save it anew, or save it as CSV",
    )
    found = read_apart(_TASK, opened.raw, asked, broken=broken)
    rows = [found["names"], *found["rows"]]
    return Export(
        records=Records(
            rows=rows,
            lines=list(range(len(rows))),
            encoding=found["encoding"],
            headed=True,
            literal=True,
        ),
        source=program,
        evidence=f"{evidence}; line 1 is its first case",
        levels=found["levels"],
        labels=found["labels"],
        notes=tuple(found["notes"]),
    )
