"""Everything a reader can be asked of one file; whatever goes wrong must be an error in words."""

import tempfile
import tomllib
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from alliance.errors import AllianceError
from alliance.frames import check_responses
from alliance.readers import (
    ReadOptions,
    draft_mapping,
    inspect,
    load,
    loading,
    read_attendance,
    read_mapping,
    read_treatments,
)
from alliance.readers.fast import plain_blocks
from alliance.readers.layout import Odd, plain_layout
from alliance.readers.plain import open_file, read_series


def _inspect(path, scale, options):
    inspect(path, scale, options=options)


def _draft(path, scale, options):
    draft = draft_mapping(path, scale, options=options)
    tomllib.loads(draft)
    for line in draft.splitlines():
        if line.startswith("#? ") and "…" not in line:
            tomllib.loads(line.removeprefix("#? "))


def _load(path, scale, options):
    _check(load(path, scale, options=options))


def _load_the_rest(path, scale, options):
    _check(load(path, scale, options=_changed(options, on_error="drop")))


def _check(loaded):
    for name, forms in loaded.responses.items():
        check_responses(forms, loaded.scales[name])


def tolerant(path, scale, options):
    """Return what the tolerant lane reads of a file that another lane would take."""
    with mock.patch.object(loading, "_plain", side_effect=Odd("asked")):
        return load(path, scale, options=options)


def _lanes(path, scale, options):
    """What a fast lane takes, the tolerant one must take too, and give the same."""
    with mock.patch.object(loading, "explore", side_effect=Odd("left")):
        try:
            fast = load(path, scale, options=options)
        except Odd:
            return
    try:
        slow = tolerant(path, scale, options)
    except AllianceError as error:
        message = f"only the tolerant lane refuses: {error}"
        raise AssertionError(message) from None
    pd.testing.assert_frame_equal(fast.responses[scale.id], slow.responses[scale.id])
    pd.testing.assert_frame_equal(fast.cases, slow.cases)
    assert fast.notes == slow.notes
    assert (len(slow.rejected), fast.synthetic) == (0, slow.synthetic)


def _blocks(path, scale, options):
    """What the lane of blocks takes, the tolerant one must take too, and give the same."""
    try:
        layout = plain_layout(path, scale, options)
        blocks = list(plain_blocks(path, scale, layout, options))
    except Odd:
        return
    try:
        forms = tolerant(path, scale, options).responses[scale.id]
    except AllianceError as error:
        message = f"only the tolerant lane refuses: {error}"
        raise AssertionError(message) from None
    found = [row for block in blocks for row in _rows_of_block(block)]
    cells = forms[list(scale.items)].to_numpy(dtype=float).tolist()
    keys = zip(
        forms["case"], forms["session"], forms["date"], forms["therapist"], forms["rater"], strict=True
    )
    assert found == [
        (
            *key[:2],
            None if pd.isna(key[2]) else key[2].date(),
            *key[3:],
            *("" if np.isnan(a) else a for a in row),
        )
        for key, row in zip(keys, cells, strict=True)
    ]


def _rows_of_block(block):
    answers = np.where(block.missing, np.nan, block.answers.astype(float)).T.tolist()
    for place, row in enumerate(answers):
        yield (
            block.cases[block.case[place]],
            int(block.session[place]),
            block.date[place].astype(object),
            block.therapists[block.therapist[place]],
            block.raters[block.rater[place]],
            *("" if np.isnan(answer) else answer for answer in row),
        )


def _attendance(path, scale, options):
    read_attendance(path, options=options)


def _treatments(path, scale, options):
    read_treatments(path, options=_changed(options, on_error="drop"))


def _series(path, scale, options):
    opened = open_file(path, options=options)
    name = next((name for name in reversed(opened.table.names) if name), "q1")
    read_series(opened, [name], options=_changed(options, on_error="drop"))


def _mapping(path, scale, options):
    read_mapping(path)


def _changed(options, **changes):
    return ReadOptions(**{**vars(options), **changes})


FORMS = (_inspect, _draft, _load, _load_the_rest)
LANES = (_lanes, _blocks)
TABLES = (_attendance, _treatments, _series)
MAPPINGS = (_mapping,)


@contextmanager
def file_of(raw, suffix=".csv"):
    """Give the path of a file with these bytes, and take it away again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"study{suffix}"
        path.write_bytes(raw)
        yield path


def ask(calls, path, scale, options):
    """Make the calls on one file and return what each was refused for; only an AllianceError is a refusal."""
    refused = []
    for call in calls:
        try:
            call(path, scale, options)
        except AllianceError as error:
            refused.append(str(error))
    return refused
