"""The two sides of `alliance outcome`: alliance and outcome, from one file or several, answers or scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli.loading import score_file, tell_notes
from alliance.cli.options import Source
from alliance.errors import DataError, UsageError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from alliance.readers.plain import OpenFile
    from alliance.scale import Scale

BETTER = {"higher_is_better": "higher", "higher_is_worse": "lower"}


@dataclass(frozen=True, kw_only=True)
class Side:
    """Alliance or outcome: scores of one rater, the column, the form (None: a plain file), a name."""

    scores: pd.DataFrame
    column: str
    form: Scale | None
    name: str


@dataclass(frozen=True, kw_only=True)
class Files:
    """What the files hold: scores of plain files by column, scores of forms, and their definitions."""

    plain: dict[str, list[pd.DataFrame]]
    forms: dict[str, Scale]
    scores: dict[str, pd.DataFrame]

    @classmethod
    def of(
        cls,
        files: Sequence[Path],
        source: Source,
        asked: tuple[str | None, str | None],
        columns: tuple[str | None, str | None],
        *,
        quiet: bool,
    ) -> Files:
        """Return what the files hold; `asked` are the ids, `columns` the scores of alliance and outcome."""
        from alliance.readers.plain import read_series

        plain: dict[str, list[pd.DataFrame]] = {}
        forms: dict[str, Scale] = {}
        frames: dict[str, list[pd.DataFrame]] = {}
        for number, path in enumerate(files):
            opened, named, has = _looked_into(path, source, asked, columns)
            if has:
                read = read_series(opened, has, options=source.options)
                if not quiet:
                    tell_notes(read.notes)
                for each in has:
                    plain.setdefault(each, []).append(read.frame)
                continue
            form = source.form or (None if named else _form_of(number, asked, source))
            loaded, found = score_file(path, replace(source, form=form), quiet=quiet)
            forms |= loaded.scales
            for name, frame in found.items():
                frames.setdefault(name, []).append(frame)
        return cls(
            plain=plain,
            forms=forms,
            scores={name: _joined(each) for name, each in frames.items()},
        )

    def side(self, kind: str, asked: str | None, column: str | None, rater: str) -> Side:
        """Return one side of the question."""
        if column is not None and column in self.plain:
            scores = _of_rater(_joined(self.plain[column]), kind, rater)
            return Side(scores=scores, column=column, form=None, name=column)
        form = self._form(kind, asked, rater)
        name = column or "total"
        if name not in form.scores:
            what, hint = unknown_name(f"score of {form.id}", name, form.scores)
            raise UsageError(what, hint=hint)
        if kind == "alliance" and form.formulas[name].direction != "higher_is_better":
            message = f"{name} of {form.id} is no alliance: a higher score is not a stronger one"
            raise UsageError(message, hint="--alliance names the alliance form, --outcome the other one")
        provisional = " (PROVISIONAL key)" if form.status == "provisional" else ""
        scores = _of_rater(self.scores[form.id], kind, rater)
        return Side(scores=scores, column=name, form=form, name=f"{form.id} {name}{provisional}")

    def _form(self, kind: str, asked: str | None, rater: str) -> Scale:
        option = f"--{kind}"
        if asked is not None:
            if asked in self.forms:
                return self.forms[asked]
            what, hint = unknown_name(f"form in these files, {option}", asked, self.forms)
            raise UsageError(what, hint=hint)
        able = {
            name: form
            for name, form in self.forms.items()
            if (form.measures_alliance if kind == "alliance" else form.construct == kind)
        }
        rated = {name: form for name, form in able.items() if (self.scores[name]["rater"] == rater).any()}
        if len(rated or able) == 1:
            return next(iter((rated or able).values()))
        if able:
            message = f"several {kind} forms: {', '.join(sorted(rated or able))}"
            raise UsageError(message, hint=f"say which with {option} ID")
        there = f"forms: {', '.join(sorted(self.forms))}" if self.forms else "no file with answers to a form"
        flag = "--column" if kind == "alliance" else "--outcome-column"
        message = f"no {kind} form in these files"
        raise UsageError(
            message, where=[there], hint=f"name a form with {option} ID, or a column with {flag}"
        )


def _looked_into(
    path: Path,
    source: Source,
    asked: tuple[str | None, str | None],
    columns: tuple[str | None, str | None],
) -> tuple[OpenFile | Path, bool, list[str]]:
    """Return a file, whether it says which form each row is, and which columns of scores it has.

    Standard input can be read only once: it holds scores if two columns are named and no form is.
    """
    from alliance.readers.plain import open_file

    wanted = [name for name in dict.fromkeys(columns) if name is not None]
    if str(path) == "-" and (any(asked) or source.form is not None or not all(columns)):
        return path, True, []
    opened = open_file(path, options=source.options)
    return opened, opened.has("scale"), [name for name in wanted if opened.has(name)]


def _form_of(number: int, asked: tuple[str | None, str | None], source: Source) -> Scale | None:
    """Return the form that the first or second file holds, where it does not say so itself."""
    from alliance.scale import load_scale

    if number >= len(asked) or (name := asked[number]) is None:
        return None
    return load_scale(name, folders=tuple(source.scales or ()))


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of several files; a session that stands in two of them is refused."""
    import pandas as pd

    if len(frames) == 1:
        return frames[0]
    frame = pd.concat(frames, ignore_index=True)
    keys = ["case", "session", "rater"]
    doubled = frame[frame.duplicated(keys)]
    if len(doubled):
        rows = doubled[keys].itertuples(index=False)
        where = [f"case {case}, session {session}, {rater}" for case, session, rater in rows]
        message = "the same session stands in several files"
        raise DataError(message, where=where, hint="give each session once")
    return frame


def _of_rater(scores: pd.DataFrame, kind: str, rater: str) -> pd.DataFrame:
    rows = scores[scores["rater"] == rater]
    if not len(rows):
        option = "--rater" if kind == "alliance" else "--outcome-rater"
        known = ", ".join(sorted(map(str, scores["rater"].unique()))) or "none"
        message = f"no {kind} rated by '{rater}'"
        raise DataError(message, where=[f"raters: {known}"], hint=f"name one with {option}")
    return rows


def better_of(side: Side, asked: str | None) -> str | None:
    """Return which way the outcome is better: a form knows, of a plain column it is said."""
    if side.form is None:
        return asked
    if asked is not None:
        message = "--better belongs to a plain column: a form knows its direction"
        raise UsageError(message, hint="leave it out")
    return BETTER.get(side.form.formulas[side.column].direction)
