"""The cells of an SPSS, Stata or SAS file as text, declared missing values told and left empty."""

from __future__ import annotations

import datetime
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from alliance.cells import LONGEST
from alliance.errors import DataError
from alliance.readers.opening import cell_text
from alliance.readers.problems import counted, told

Cells = list[Any]

FALLBACK = "Windows-1252"
_FIRST_DAY = datetime.date(1582, 10, 14)
_ENCODING = ("encoding", "character set")
"""What pyreadstat says where texts are not in the encoding they are said to be in."""
_NO_ENCODING = {"por"}
_NO_USER_MISSING = {"por", "xpt"}


def read_cells(raw: bytes, asked: dict[str, Any]) -> dict[str, Any]:
    """Return names, rows, value labels, variable labels, encoding and notes of a file.

    Parameters
    ----------
    raw : bytes
        The file.
    asked : dict
        `kind`: sav, por, dta, sas7bdat or xpt; `encoding`: that of its texts, None = what the file says.
    """
    columns, about, encoding = _opened(raw, asked["kind"], asked["encoding"])
    names = list(about.column_names)
    absent: Counter[str] = Counter()
    texts, levels = [], {}
    for name in names:
        words, is_absent = about.variable_value_labels.get(name, {}), _absence(name, about)
        counts = Counter(value for value in columns[name] if value is not None)
        gone = {value for value in counts if is_absent(value)}
        absent.update(_shown(counts, gone, words, dot="." if _is_special(name, about) else ""))
        codes = {cell_text(code): str(word) for code, word in words.items() if not is_absent(code)}
        levels.update({name: codes} if codes else {})
        cells = {value: "" if value in gone else cell_text(value) for value in counts} | {None: ""}
        texts.append([cells[value] for value in columns[name]])
    rows = [list(row) for row in zip(*texts, strict=True)]
    _refuse_long(rows)
    called = {name: label for name, label in about.column_names_to_labels.items() if label}
    notes = [*_told_missing(absent), *([f"the file is encoded in {encoding}"] if encoding else [])]
    return {
        "names": names,
        "rows": rows,
        "levels": levels,
        "labels": called,
        "encoding": encoding or about.file_encoding or "",
        "notes": notes,
    }


def _opened(raw: bytes, kind: str, encoding: str | None) -> tuple[Mapping[str, Cells], Any, str]:
    """Return the columns, what the file says of them, and the encoding where it is not the file's own."""
    import pyreadstat

    readers: dict[str, Callable[..., Any]] = {
        "sav": pyreadstat.read_sav,
        "por": pyreadstat.read_por,
        "dta": pyreadstat.read_dta,
        "sas7bdat": pyreadstat.read_sas7bdat,
        "xpt": pyreadstat.read_xport,
    }
    options: dict[str, Any] = {} if kind in _NO_USER_MISSING else {"user_missing": True}
    tried = [""] if kind in _NO_ENCODING else [encoding] if encoding else ["", FALLBACK]
    for each in tried:
        try:
            named = {"encoding": each} if each else {}
            columns, about = readers[kind](io.BytesIO(raw), output_format="dict", **options, **named)
        except (pyreadstat.ReadstatError, UnicodeDecodeError) as error:
            if not isinstance(error, UnicodeDecodeError) and not any(
                word in str(error) for word in _ENCODING
            ):
                raise
        except OverflowError:
            message = "a date in the file is beyond the year 9999"
            raise DataError(message, hint="correct it in its program, or save the file as CSV") from None
        else:
            return columns, about, "" if each == encoding else each
    message = f"the texts in the file cannot be read as {encoding or 'what it says they are'}"
    hint = "name their encoding with --encoding, such as --encoding cp850"
    raise DataError(message, hint="save it as .sav or CSV" if kind in _NO_ENCODING else hint)


def _absence(name: str, about: Any) -> Callable[[Any], bool]:
    """Return whether a value of a variable is one that its file declares as missing."""
    if _is_special(name, about):
        return lambda value: isinstance(value, str)
    ranges = [
        (_comparable(each["lo"]), _comparable(each["hi"])) for each in about.missing_ranges.get(name, ())
    ]

    def is_absent(value: Any) -> bool:
        own = _comparable(value)
        return any(
            isinstance(own, str) == isinstance(low, str) and low <= own <= high for low, high in ranges
        )

    return is_absent


def _is_special(name: str, about: Any) -> bool:
    """Return whether a variable of numbers has missing values that are letters, as Stata and SAS have."""
    return about.readstat_variable_types.get(name) != "string" and bool(about.missing_user_values.get(name))


def _comparable(value: Any) -> Any:
    """Return a value that has an order: of a day or time the seconds that passed."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.time):
        value = datetime.datetime.combine(_FIRST_DAY, value)
    elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if isinstance(value, datetime.datetime):
        return (value - datetime.datetime.combine(_FIRST_DAY, datetime.time())).total_seconds()
    return float(value)


def _shown(
    counts: Mapping[Any, int], gone: Iterable[Any], words: Mapping[Any, str], *, dot: str
) -> dict[str, int]:
    """Return each value that is `gone`, with its label, and in how many cells it stood."""
    labels = {value: f" ('{words[value]}')" if words.get(value) else "" for value in gone}
    return {f"{dot}{cell_text(value)}{labels[value]}": n for value, n in counts.items() if value in labels}


def _told_missing(absent: Mapping[str, int]) -> Iterator[str]:
    """Yield what must be told of the cells with codes that the file declares as missing."""
    n_cells = sum(absent.values())
    if len(absent) == 1:
        code = next(iter(absent))
        yield f"{counted(n_cells, 'cell')} with the declared missing code {code} read as unanswered"
    elif absent:
        what = f"{counted(n_cells, 'cell')} with declared missing codes read as unanswered"
        yield told(what, [f"{code}: {n}" for code, n in absent.items()])


def _refuse_long(rows: list[list[str]]) -> None:
    lines = [line for line, row in enumerate(rows, 1) if max(map(len, row), default=0) > LONGEST]
    if lines:
        what = f"a cell holds more than {LONGEST} characters"
        raise DataError(what, where=[f"line {line}" for line in lines], hint="shorten the cell")
