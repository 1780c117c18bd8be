"""SPSS: one .sav file a form, with labels, anchors and measurement levels."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance.errors import DataError, UsageError
from alliance.writers import Study, writer
from alliance.writers.study import TEXTS, forms_of, score_names

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

LONGEST_TEXT = 32_767
LONGEST_NAME = 60
"""SPSS allows 64; the rest is for a number."""
LONGEST_LABEL, LONGEST_WORD, LONGEST_TITLE = 256, 120, 64
"""Bytes that a variable label, a value label and a file label may have."""
_STAMP_AT, _STAMP = 92, b"01 Jan 8000:00:00"
_KEY_LABELS = {
    "case": "Case", "session": "Session number", "date": "Date of session", "therapist": "Therapist",
    "rater": "Rater", "scale": "Form", "n_missing": "Unanswered items", "note": "Note on the scores",
    "synthetic": "Whether no real person is in it",
}  # fmt: skip
_KEY_FORMATS = {"session": "F8.0", "n_missing": "F8.0", "date": "SDATE10"}
_RESERVED = {"ALL", "AND", "BY", "EQ", "GE", "GT", "LE", "LT", "NE", "NOT", "OR", "TO", "WITH"}


@writer("spss", title="SPSS", suffix=".sav")
def write_spss(study: Study) -> dict[str, bytes]:
    """Return a .sav file for each form; its file label is the id of the form.

    Items are labelled by the user's own texts or their number, answers by the anchors. A label that is longer
    than SPSS allows is cut. A missing value is system-missing.

    Raises
    ------
    UsageError
        If pyreadstat is not installed.
    DataError
        If a text is longer than SPSS allows.
    """
    try:
        import pyreadstat
    except ImportError:
        message = "SPSS files are written with pyreadstat, which is not installed"
        raise UsageError(message, hint='pip install "alliance-toolkit[spss]"') from None
    return {
        f"{name if study.several else study.name}.sav": _file(study, name, pyreadstat.write_sav)
        for name in study.responses
    }


def _file(study: Study, name: str, write: Any) -> bytes:
    scale, frame = study.scales[name], forms_of(study, name)
    called = _names(list(map(str, frame.columns)))
    words = {value: _cut(text, LONGEST_WORD) for value, text in scale.anchors.items()}
    worded = [item for place, item in enumerate(scale.items, 1) if place not in scale.item_ranges]
    labels, formats = _labels(study, name), _formats(scale)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.sav"
        write(
            _columns(frame).rename(columns=called),
            path,
            file_label=_cut(name, LONGEST_TITLE),
            column_labels={called[column]: labels[column] for column in called},
            variable_value_labels=dict.fromkeys(worded, words) if words else {},
            variable_measure={new: _measure(column, scale) for column, new in called.items()},
            variable_format={called[column]: formats[column] for column in called if column in formats},
        )
        return _without_clock(path.read_bytes())


def _names(columns: list[str]) -> dict[str, str]:
    """Return column → name of its variable: letters, digits and underscores, each another.

    >>> _names(["q1", "low-mood", "low_mood", "with"])
    {'q1': 'q1', 'low-mood': 'low_mood', 'low_mood': 'low_mood_2', 'with': 'with_'}
    """
    found: dict[str, str] = {}
    for column in columns:
        short = re.sub(r"\W", "_", column, flags=re.ASCII)[:LONGEST_NAME]
        short = short if short[:1].isalpha() else f"v_{short}"
        short = f"{short}_" if short.upper() in _RESERVED else short
        name, number = short, 1
        while name.casefold() in {each.casefold() for each in found.values()}:
            number += 1
            name = f"{short}_{number}"
        found[column] = name
    return found


def _columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with plain texts and numbers; a text that is too long is refused."""
    texts = [column for column in TEXTS if column in frame.columns]
    for column in texts:
        if frame[column].map(lambda text: len(text.encode())).max() > LONGEST_TEXT:
            message = f"a text in column '{column}' has more than {LONGEST_TEXT:,} bytes, the most of SPSS"
            raise DataError(message, hint="shorten it, or write csv or parquet")
    numbers = [column for column in frame.columns if column not in {*texts, "date"}]
    kinds = {**dict.fromkeys(texts, object), **dict.fromkeys(numbers, float)}
    return frame.astype({**kinds, "date": "datetime64[us]"})


def _labels(study: Study, name: str) -> dict[str, str]:
    from alliance.exchange.items import label

    scale = study.scales[name]
    items = {item: label(scale, place, study.texts.get(name)) for place, item in enumerate(scale.items, 1)}
    scores = {each: f"{scale.id}: {each}" for each in score_names(study, name)}
    return {key: _cut(text, LONGEST_LABEL) for key, text in {**items, **scores, **_KEY_LABELS}.items()}


def _measure(column: str, scale: Scale) -> str:
    if column in TEXTS:
        return "nominal"
    return "ordinal" if column == "session" or (column in scale.items and scale.whole) else "scale"


def _formats(scale: Scale) -> dict[str, str]:
    from alliance.exchange.items import decimals

    places = max(map(decimals, (scale.step, scale.min, scale.max)))
    items = dict.fromkeys(scale.items, f"F8.{places}")
    return {**dict.fromkeys(scale.scores, "F8.2"), **items, **_KEY_FORMATS}


def _cut(text: str, most: int) -> str:
    """Return as much of a text as fits into so many bytes."""
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "\u2026"


def _without_clock(raw: bytes) -> bytes:
    """Return the file with the time of writing taken out, so that equal studies give equal bytes."""
    return raw[:_STAMP_AT] + _STAMP + raw[_STAMP_AT + len(_STAMP) :]
