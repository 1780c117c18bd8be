"""A study as it is written: its forms in one order, each with its answers and, if wanted, its scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

TEXTS = ("case", "therapist", "rater", "scale", "note", "synthetic")
"""Columns of texts; all others are numbers and one date."""
SYNTHETIC = "true"


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is written: a name for its files, and by scale id the definition, Responses, Scores and texts.

    A form without Scores, or with None, is written as its answers alone. `texts` are the user's own item
    texts; without them items are called by their label or number. `synthetic`: no real person is in it, which
    every file says.
    """

    name: str
    scales: Mapping[str, Scale]
    responses: Mapping[str, pd.DataFrame]
    scores: Mapping[str, pd.DataFrame | None] = field(default_factory=dict)
    texts: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    synthetic: bool = False

    @property
    def several(self) -> bool:
        """Whether forms of more than one scale are in it, so that each must say which it is."""
        return len(self.responses) > 1


def score_names(study: Study, name: str) -> tuple[str, ...]:
    """Return the score columns of one form, `n_missing` and `note` at their end; none without Scores."""
    return () if study.scores.get(name) is None else (*study.scales[name].scores, "n_missing", "note")


def forms_of(study: Study, name: str) -> pd.DataFrame:
    """Return the forms of one scale: by case, then session, then as they stood.

    Columns are `case session date therapist rater`, `scale` in a study of several, q1 to qk, the scores, and
    `synthetic` where the study is.

    Raises
    ------
    ValueError
        If the Scores have other rows than the Responses.
    """
    from alliance.frames import KEYS

    scale, answers, scores = study.scales[name], study.responses[name], study.scores.get(name)
    frame = answers[[*KEYS, *scale.items]].reset_index(drop=True)
    if study.several:
        frame.insert(len(KEYS), "scale", name)
    if scores is not None:
        _require_same_rows(answers, scores, name)
        for column in score_names(study, name):
            frame[column] = scores[column].to_numpy()
    if study.synthetic:
        frame["synthetic"] = SYNTHETIC
    return in_order(frame, study)


def all_forms(study: Study) -> pd.DataFrame:
    """Return the forms of all scales below each other, by case and session; columns as in `forms_of`.

    Items and scores that a form does not have are missing.
    """
    import pandas as pd

    parts = [forms_of(study, name) for name in study.responses]
    columns = list(dict.fromkeys(column for part in parts for column in part.columns))
    ordered = sorted(columns, key=lambda column: _place(column, study))
    together = in_order(pd.concat(parts, ignore_index=True)[ordered], study)
    known = [column for column in TEXTS if column in together.columns]
    return together.assign(**{column: together[column].fillna("") for column in known})


def in_order(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return rows by case, then session; rows of one session stay as they stand.

    Cases come in an order that agrees with every frame of the study: it is the order they are read back in.
    """
    ranks = {case: rank for rank, case in enumerate(_cases(study))}
    keys = frame[["session"]].assign(rank=frame["case"].map(ranks))
    order = keys.reset_index(drop=True).sort_values(["rank", "session"], kind="stable").index
    return frame.iloc[order].reset_index(drop=True)


def _cases(study: Study) -> Iterable[str]:
    """Return all cases; each frame's own order is kept, unless the frames contradict each other."""
    orders = [list(dict.fromkeys(frame["case"])) for frame in study.responses.values()]
    if len(orders) == 1:
        return orders[0]
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for order in orders:
        for case in order[:1]:
            sorter.add(case)
        for before, after in pairwise(order):
            sorter.add(after, before)
    try:
        return list(sorter.static_order())
    except CycleError:
        return dict.fromkeys(case for order in orders for case in order)


def _place(column: str, study: Study) -> tuple[bool, int]:
    """Return where a column goes: items by number in front of the scores, all else as it came."""
    most = max(scale.n_items for scale in study.scales.values())
    items = {f"q{number}": number for number in range(1, most + 1)}
    keys = ("case", "session", "date", "therapist", "rater", "scale")
    if column in keys:
        return False, keys.index(column) - len(keys)
    return (False, items[column]) if column in items else (True, int(column == "synthetic"))


def _require_same_rows(answers: pd.DataFrame, scores: pd.DataFrame, name: str) -> None:
    keys = ["case", "rater", "session"]
    same = len(answers) == len(scores) and all(
        (answers[key].to_numpy() == scores[key].to_numpy()).all() for key in keys
    )
    if not same:
        message = f"Scores of {name} must have the rows of its Responses, in the same order"
        raise ValueError(message)
