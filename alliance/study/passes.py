"""The two passes over a study: score every form and lay the courses aside; then judge them, block by block.

The second pass needs what only the whole caseload knows (the prior, the error of measurement), so courses
wait in a file without a name, and memory does not depend on how long the study is.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from alliance.courses import MAX_GAP_DAYS, Courses
from alliance.frames import Coded, Forms
from alliance.psychometrics import Spread, successive_spread
from alliance.rupture import Group
from alliance.rupture.groups import days
from alliance.scale import Scale
from alliance.scoring import alerts_in, note_codes, rater_differs, score_answers

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Scored forms of whole cases, rows in the order case, rater, session.

    Attributes
    ----------
    case, rater : int, shape (forms,); places in `cases` and `raters`
    session : int, shape (forms,)
    date : datetime64[D], shape (forms,)
    scores : score → float, shape (forms,)
    """

    case: Array
    cases: Array
    rater: Array
    raters: tuple[str, ...]
    session: Array
    date: Array
    scores: dict[str, Array]

    def groups(self, scale: Scale, max_gap_days: float = MAX_GAP_DAYS) -> Iterator[Group]:
        """Yield the courses of each rater, raters by name."""
        for place in sorted(range(len(self.raters)), key=self.raters.__getitem__):
            rows = slice(None) if len(self.raters) == 1 else np.flatnonzero(self.rater == place)
            case = self.case[rows]
            if len(case):
                total = self._courses(case, rows, max_gap_days)
                parts = {name: self.scores[name][rows] for name in scale.subscales}
                yield Group(rater=self.raters[place], place=case[total.starts], total=total, parts=parts)

    def _courses(self, case: Array, rows: Any, max_gap_days: float) -> Courses:
        return Courses(
            values=self.scores["total"][rows],
            session=self.session[rows],
            starts=np.flatnonzero(np.diff(case, prepend=-1)),
            day=days(self.date[rows]),
            max_gap_days=max_gap_days,
        )

    def first(self, n_forms: int) -> Block:
        """Return the first cases that have no more than `n_forms` forms together, one case at least."""
        if len(self.case) <= n_forms:
            return self
        return self.take(np.arange(max(int(self.case[n_forms]), 1)))

    def take(self, cases: Array) -> Block:
        """Return the forms of some cases only, renumbered in the order given."""
        wanted = np.full(len(self.cases), -1)
        wanted[cases] = np.arange(len(cases))
        rows = np.flatnonzero(wanted[self.case] >= 0)
        rows = rows[np.argsort(wanted[self.case[rows]], kind="stable")]
        return Block(
            case=wanted[self.case[rows]],
            cases=self.cases[cases],
            rater=self.rater[rows],
            raters=self.raters,
            session=self.session[rows],
            date=self.date[rows],
            scores={name: values[rows] for name, values in self.scores.items()},
        )


class Spill:
    """Blocks laid aside in a file that nobody else can see and that is gone with the run."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by `__exit__`
        self._kept: list[tuple[int, Array, tuple[str, ...], tuple[str, ...]]] = []

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self._kept)

    def append(self, block: Block) -> None:
        """Lay a block aside; the names of its cases stay in memory."""
        self._kept.append((self._file.tell(), block.cases, block.raters, tuple(block.scores)))
        for array in (
            block.case,
            block.rater,
            block.session,
            block.date.view(np.int64),
            *block.scores.values(),
        ):
            np.save(self._file, array)

    def block(self, number: int) -> Block:
        """Return a block as it was."""
        start, cases, raters, names = self._kept[number]
        self._file.seek(start)
        case, rater, session, date, *scores = (np.load(self._file) for _ in range(4 + len(names)))
        return Block(
            case=case,
            cases=cases,
            rater=rater,
            raters=raters,
            session=session,
            date=date.view("datetime64[D]"),
            scores=dict(zip(names, scores, strict=True)),
        )

    def names(self, number: int) -> Array:
        """Return the names of the cases of a block."""
        return self._kept[number][1]

    def __enter__(self) -> Self:
        """Return the spill itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file."""
        self._file.close()


@dataclass(kw_only=True)
class Tally:
    """What the first pass counts, and the spread of every course, by rater."""

    n_forms: int = 0
    n_cases: int = 0
    n_scored: int = 0
    n_alerts: Counter[str] = field(default_factory=Counter)
    latest: np.datetime64 = field(default_factory=lambda: np.datetime64("NaT", "D"))
    spreads: dict[str, list[Spread]] = field(default_factory=dict)

    def add(self, block: Block, scale: Scale, max_gap_days: float = MAX_GAP_DAYS) -> None:
        """Count a block, and measure the spread of its courses."""
        self.n_forms += len(block.case)
        self.n_cases += len(block.cases)
        self.n_scored += int(np.isfinite(block.scores["total"]).sum())
        known = block.date[~np.isnat(block.date)]
        if len(known):
            self.latest = np.fmax(self.latest, known.max())
        for group in block.groups(scale, max_gap_days):
            self.spreads.setdefault(group.rater, []).append(successive_spread(group.total))

    def add_notes(self, notes: Coded) -> None:
        """Count the forms on which each item that is read before the total was answered, or was not."""
        n_rows = np.bincount(notes.codes, minlength=len(notes.texts))
        for text, count in zip(notes.texts, n_rows.tolist(), strict=True):
            self.n_alerts.update({part: count for part in alerts_in(text) if count})

    def spread(self, rater: str) -> Spread:
        """Return the spread of all courses of one rater."""
        parts = self.spreads[rater]
        return Spread(
            variance=np.concatenate([part.variance for part in parts]),
            df=np.concatenate([part.df for part in parts]),
            pairs=np.concatenate([part.pairs for part in parts]),
        )


def score_forms(forms: Forms, scale: Scale) -> tuple[Block, dict[str, Any]]:
    """Return the scored block, and its rows of the scores table as columns."""
    scored = score_answers(forms.answers, forms.missing, scale)
    raters = tuple(forms.raters.tolist())
    differs = rater_differs(np.array(raters, dtype=object), scale)[forms.rater]
    codes, texts = note_codes(scored, forms.answers, forms.missing, differs, scale)
    block = Block(
        case=forms.case,
        cases=forms.cases,
        rater=forms.rater,
        raters=raters,
        session=forms.session,
        date=forms.date,
        scores=scored.scores,
    )
    columns: dict[str, Any] = {
        "scale": scale.id,
        "case": Coded(codes=forms.case, texts=forms.cases),
        "session": forms.session,
        "date": forms.date,
        "therapist": Coded(codes=forms.therapist, texts=forms.therapists),
        "rater": Coded(codes=forms.rater, texts=forms.raters),
        **scored.scores,
        "n_missing": scored.n_missing,
        "note": Coded(codes=codes, texts=np.array(texts, dtype=object)),
    }
    return block, columns


def forms_of(responses: Any, scale: Scale) -> Forms:
    """Return a Responses frame as Forms."""
    case, cases = responses["case"].factorize()
    rater, raters = responses["rater"].factorize(sort=True)
    therapist, therapists = responses["therapist"].factorize()
    answers = responses[list(scale.items)].to_numpy(dtype=float).T
    return Forms(
        case=case,
        cases=np.asarray(cases, dtype=object),
        session=responses["session"].to_numpy(dtype=np.int64),
        date=responses["date"].to_numpy().astype("datetime64[D]"),
        therapist=therapist,
        therapists=np.asarray(therapists, dtype=object),
        rater=rater,
        raters=np.asarray(raters, dtype=object),
        answers=answers,
        missing=np.isnan(answers),
    )


def chosen(spill: Spill, cases: Sequence[tuple[int, int]]) -> Iterator[tuple[list[int], Block]]:
    """Yield, for each block that holds some of `cases`, their places in `cases` and a block of them only."""
    for number in sorted({number for number, _ in cases}):
        places = [place for place, (block, _) in enumerate(cases) if block == number]
        yield places, spill.block(number).take(np.array([cases[place][1] for place in places]))
