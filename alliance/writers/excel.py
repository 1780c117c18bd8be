"""A workbook: one sheet a form, and a sheet that says what they are."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from alliance import __version__
from alliance.cells import neutral
from alliance.errors import DataError, UsageError
from alliance.writers import Study, writer
from alliance.writers.study import TEXTS, forms_of

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

LONGEST_CELL = 32_767
MOST_ROWS = 1_048_576
LONGEST_NAME = 31
FIRST_DAY = date(1900, 3, 1)
"""Programs disagree on how days before it are counted."""
DAY_ONE = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive: a zip file knows none earlier."""

_STAMP = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]")
_TEXT, _DAY = "@", "yyyy-mm-dd"


@writer("excel", title="Excel workbook, one sheet a form", suffix=".xlsx")
def write_excel(study: Study) -> dict[str, bytes]:
    """Return one workbook: numbers as numbers, days as days, codes as text; there are no formulas.

    Raises
    ------
    UsageError
        If openpyxl is not installed.
    DataError
        If a text is longer than a cell may be or holds characters a workbook cannot, or a sheet is too long.
    """
    try:
        import openpyxl
    except ImportError:
        message = "workbooks are written with openpyxl, which is not installed"
        raise UsageError(message, hint='pip install "alliance-toolkit[excel-out]"') from None
    names = _sheet_names(list(study.responses))
    frames = {sheet: forms_of(study, name) for name, sheet in names.items()}
    facts = list(_about(study, names))
    for sheet, frame in frames.items():
        _refuse_misfits(frame, sheet)
    book = openpyxl.Workbook(write_only=True)
    for sheet, frame in frames.items():
        _fill(book.create_sheet(sheet), frame)
    about = book.create_sheet("about")
    for row in facts:
        about.append([_cell(about, _written(text), _TEXT) for text in row])
    out = io.BytesIO()
    book.save(out)
    return {f"{study.name}.xlsx": _without_clock(out.getvalue())}


def _sheet_names(names: Sequence[str]) -> dict[str, str]:
    """Return id → name of its sheet: the id, shortened and numbered where it must be."""
    found: dict[str, str] = {}
    for name in names:
        short, number = name[:LONGEST_NAME], 1
        while short in {*found.values(), "about"}:
            number += 1
            short = f"{name[: LONGEST_NAME - 1 - len(str(number))]}-{number}"
        found[name] = short
    return found


def _refuse_misfits(frame: pd.DataFrame, name: str) -> None:
    """Raise DataError if there are more forms than rows, or a text that no cell can hold."""
    if len(frame) >= MOST_ROWS:
        message = f"a sheet holds {MOST_ROWS - 1:,} forms at most, and '{name}' has {len(frame):,}"
        raise DataError(message, hint="write csv or parquet")
    for column in (column for column in TEXTS if column in frame.columns):
        texts = [_written(text) for text in frame[column].unique()]
        if any(len(text) > LONGEST_CELL for text in texts):
            most = f"{LONGEST_CELL:,} characters, the most of a cell"
            message = f"a text in column '{column}' has more than {most}"
            raise DataError(message, hint="shorten it, or write csv or parquet")
        if any(map(_FORBIDDEN.search, texts)):
            message = f"a text in column '{column}' holds a character that a workbook cannot hold"
            raise DataError(message, hint="take out control characters, or write csv or parquet")


def _fill(sheet: Any, frame: pd.DataFrame) -> None:
    sheet.freeze_panes = "A2"
    sheet.append([str(column) for column in frame.columns])
    columns = [_column(sheet, frame[column]) for column in frame.columns]
    for row in zip(*columns, strict=True):
        sheet.append(row)


def _column(sheet: Any, column: pd.Series[Any]) -> list[Any]:
    """Return the cells of a column; what is missing is an empty cell."""
    name = str(column.name)
    if name in TEXTS:
        return [_cell(sheet, _written(text), _TEXT) if text else None for text in column]
    if column.dtype.kind == "M":
        return [None if day is None else _day(sheet, day) for day in _days(column)]
    return [None if value != value else _number(value) for value in column.tolist()]  # noqa: PLR0124  NaN


def _days(column: pd.Series[Any]) -> list[Any]:
    return list(column.to_numpy().astype("datetime64[D]").tolist())


def _day(sheet: Any, day: date) -> Any:
    """Return a day, or its text where a workbook would count another."""
    return _cell(sheet, day, _DAY) if day >= FIRST_DAY else _cell(sheet, day.isoformat(), _TEXT)


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _written(text: str) -> str:
    """Return a text as it stands in the file, where _x0041_ would be an A."""
    return _ESCAPE.sub("_x005F_", neutral(text))


def _cell(sheet: Any, value: Any, number_format: str) -> Any:
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value=value)
    cell.number_format = number_format
    if isinstance(value, str):
        cell.data_type = "s"
    return cell


def _about(study: Study, names: dict[str, str]) -> Iterator[list[str]]:
    yield ["sheet", "scale", "name", "version", "licence", "key", "citation", "doi"]
    for name, sheet in names.items():
        yield [sheet, *_facts(study.scales[name])]
    yield ["written by", f"alliance {__version__}"]
    if study.synthetic:
        yield ["synthetic", "no real person"]


def _facts(scale: Scale) -> list[str]:
    return [scale.id, scale.name, scale.version, scale.licence, scale.status, scale.citation, scale.doi]


def _without_clock(raw: bytes) -> bytes:
    """Return the workbook with the time of writing taken out, so that equal studies give equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as before, zipfile.ZipFile(out, "w") as after:
        for entry in before.namelist():
            content = before.read(entry)
            if entry == "docProps/core.xml":
                content = _STAMP.sub(rb"\g<1>1980-01-01T00:00:00Z", content)
            info = zipfile.ZipInfo(entry, date_time=DAY_ONE)
            info.compress_type = zipfile.ZIP_DEFLATED
            after.writestr(info, content)
    return out.getvalue()
