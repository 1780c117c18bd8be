"""Rating files, episodes and appointments put together, for commands that ask how treatments ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli.loading import alliance_form, tell_loaded, tell_notes
from alliance.errors import DataError, Trouble, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from alliance.cli.options import Source
    from alliance.dropout.ends.outcomes import Outcome
    from alliance.readers import Loaded, ReadOptions
    from alliance.scale import Scale

FORM = ["case", "rater", "session"]


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """All that is known of a study.

    Attributes
    ----------
    files : every input, in the order given: ratings, episodes, appointments
    scales : scale id → definition of every form in the rating files
    form : the alliance form
    scores : Scores of `form`; cases are treatments
    others : scale id → Scores of every other form
    appointments : Appointments, None where attendance is not known
    treatments : Treatments, None where nothing says how they ended
    synthetic : a file says that its rows are synthetic
    outcome_flags : `case session not_on_track`, imported from an outcome system
    """

    files: tuple[Path, ...]
    scales: dict[str, Scale]
    form: Scale
    scores: pd.DataFrame
    others: dict[str, pd.DataFrame]
    appointments: pd.DataFrame | None
    treatments: pd.DataFrame | None
    synthetic: bool
    outcome_flags: pd.DataFrame


def load_study(
    files: Sequence[Path],
    source: Source,
    *,
    episodes: Sequence[Path] | None = None,
    attendance: Sequence[Path] | None = None,
    quiet: bool = False,
) -> StudyData:
    """Return what several rating files say, with their treatments and appointments.

    Treatments come from the `episodes` files, or else from the rating files themselves; appointments from the
    `attendance` files, or else from the rating files. Notes are told on standard error.

    Raises
    ------
    DataError
        With every problem of a kind of files at once; a form that stands in two files is one.
    """
    from alliance.readers import read_attendance, read_treatments
    from alliance.readers.episodes import unplaced

    options = beside(source.options)
    treatments = read_treatments(episodes, options=options) if episodes else None
    loaded = list(_loaded(files, source, treatments))
    if not quiet:
        for each in loaded:
            tell_loaded(each)
    if treatments is None:
        treatments = _own_treatments(files, loaded, source.options)
    appointments = (
        read_attendance(attendance, options=options, treatments=treatments)
        if attendance
        else _own_appointments(loaded)
    )
    forms, appointments, flags = _numbered(loaded, appointments, treatments)
    forms = _without_early(files, forms, appointments, source.options, quiet=quiet)
    _refuse_doubles(files, forms)
    if treatments is not None and not quiet:
        cases = {case for each in forms for frame in each.values() for case in frame["case"]}
        cases |= set() if appointments is None else set(appointments["case"])
        tell_notes(filter(None, [unplaced(sorted(cases), treatments)]))
    scales = {name: scale for each in loaded for name, scale in each.scales.items()}
    scores = _scores(forms, scales)
    form = alliance_form(replace(loaded[0], scales=scales))
    marked = treatments is not None and "synthetic" in treatments and treatments["synthetic"].eq("true").any()
    return StudyData(
        files=(*files, *(episodes or ()), *(attendance or ())),
        scales=scales,
        form=form,
        scores=scores.pop(form.id),
        others=scores,
        appointments=appointments,
        treatments=treatments,
        synthetic=bool(marked) or any(each.synthetic for each in loaded),
        outcome_flags=flags,
    )


def outcome_of(data: StudyData, *, value: float | None = None, source: str | None = None) -> Outcome | None:
    """Return the first other form with a reliable-change value of its total, or None.

    The value is the one that was published, unless `value` is given with its `source`.
    """
    from alliance.dropout.ends.outcomes import Outcome

    for name, scores in data.others.items():
        outcome = Outcome(scores=scores, scale=data.scales[name], value=value, source=source or "")
        if data.scales[name].construct != "outcome":
            continue
        if value is not None:
            outcome.reliable()
        with contextlib.suppress(UsageError):
            outcome.reliable()
            return outcome
    return None


def beside(options: ReadOptions) -> ReadOptions:
    """Return the options for files beside the ratings: not the mapping, sheet or missing codes of these."""
    return replace(options, mapping=None, sheet=None, missing=(), keep=None)


def _loaded(files: Sequence[Path], source: Source, treatments: pd.DataFrame | None) -> Iterator[Loaded]:
    """Return every file as read; what is wrong with any of them is raised at once."""
    from alliance.readers import load
    from alliance.readers.problems import in_file

    found: list[Loaded] = []
    troubles: list[Trouble] = []
    for file in files:
        try:
            found.append(
                load(
                    file,
                    source.form,
                    options=source.options,
                    folders=tuple(source.scales or ()),
                    treatments=treatments,
                    renumber=False,
                )
            )
        except DataError as error:
            several = len(files) > 1
            troubles += [in_file(each, file.name) if several else each for each in error.troubles]
    if troubles:
        raise DataError.of(troubles)
    return iter(found)


def _own_treatments(
    files: Sequence[Path], loaded: Sequence[Loaded], options: ReadOptions
) -> pd.DataFrame | None:
    import pandas as pd

    from alliance.readers import treatments_of

    date_format = options.date_format or ""
    named = zip(files, loaded, strict=True)
    found = [treatments_of(each, name=file.name, date_format=date_format) for file, each in named]
    frames = [frame for frame in found if frame is not None]
    if not frames:
        return None
    together = pd.concat(frames, ignore_index=True)
    differ = together.drop_duplicates()
    twice = sorted(differ.loc[differ["case"].duplicated(), "case"])
    if twice:
        message = "files say different things of how a treatment went"
        where = [f"case {case}" for case in twice]
        raise DataError(
            message, where=where, hint="correct the files, or name one that holds with --episodes"
        )
    return differ.reset_index(drop=True)


def _own_appointments(loaded: Sequence[Loaded]) -> pd.DataFrame | None:
    """Return the appointments that the rating files tell themselves, each once."""
    import pandas as pd

    from alliance.readers.attendance import in_order

    frames = [each.appointments for each in loaded if len(each.appointments)]
    if len(frames) < 2:  # noqa: PLR2004  one file is in order already
        return frames[0] if frames else None
    rows = pd.concat(frames, ignore_index=True)
    placed = rows["session"].notna() | rows["date"].notna()
    rows = rows[~(rows.duplicated(["case", "session", "date", "attendance"]) & placed)]
    return in_order(rows.assign(line=range(len(rows)), shown=rows["session"]))


def _numbered(
    loaded: Sequence[Loaded], appointments: pd.DataFrame | None, treatments: pd.DataFrame | None
) -> tuple[list[dict[str, pd.DataFrame]], pd.DataFrame | None, pd.DataFrame]:
    """Return forms, appointments and flags with sessions from 1 in each treatment, all looked at together."""
    import pandas as pd

    from alliance.readers.episodes import number_from_one

    behind = pd.concat([each.cases for each in loaded]) if treatments is None else treatments
    frames = [frame for each in loaded for frame in each.responses.values()]
    booked = [] if appointments is None else [appointments]
    flags = pd.concat([each.outcome_flags for each in loaded], ignore_index=True)
    numbered = iter(number_from_one([*frames, flags, *booked], behind))
    forms = [{name: next(numbered) for name in each.responses} for each in loaded]
    flags = next(numbered)
    return forms, next(numbered) if booked else None, flags


def _without_early(
    files: Sequence[Path],
    forms: list[dict[str, pd.DataFrame]],
    appointments: pd.DataFrame | None,
    options: ReadOptions,
    *,
    quiet: bool,
) -> list[dict[str, pd.DataFrame]]:
    """Return the forms without those dated before the first attended session, which are refused or told."""
    from alliance.readers.episodes import BEFORE_FIRST, dated_before_first
    from alliance.readers.problems import counted

    if appointments is None:
        return forms
    early = [
        (file, frame[dated_before_first(frame, appointments)])
        for file, each in zip(files, forms, strict=True)
        for frame in each.values()
    ]
    where = [place for file, frame in early for place in _places(file, frame, dated=True)]
    if not where:
        return forms
    if options.on_error == "stop":
        what = counted(len(where), BEFORE_FIRST.one, BEFORE_FIRST.many)
        raise DataError(what, where=where, hint=BEFORE_FIRST.hint)
    if not quiet:
        tell_notes(f"left out, {place}: {BEFORE_FIRST.label}" for place in where)
    return [
        {name: frame[~dated_before_first(frame, appointments)] for name, frame in each.items()}
        for each in forms
    ]


def _places(file: Path, frame: pd.DataFrame, *, dated: bool = False) -> list[str]:
    rows = frame.reset_index()[["line", "case", "session", "date"]].to_dict("records")
    return [
        f"{file.name}, line {row['line']}: case {row['case']}, session {row['session']}"
        + (f", date = {row['date']:%Y-%m-%d}" if dated else "")
        for row in rows
    ]


def _refuse_doubles(files: Sequence[Path], forms: Sequence[dict[str, pd.DataFrame]]) -> None:
    """Raise DataError for forms that stand in more than one file, naming all of them."""
    import pandas as pd

    where: list[str] = []
    for name in {name: None for each in forms for name in each}:
        parts = [
            each[name].reset_index().assign(file=number) for number, each in enumerate(forms) if name in each
        ]
        rows = pd.concat(parts, ignore_index=True)
        twice = rows[rows.groupby(FORM)["file"].transform("nunique") > 1].sort_values(
            [*FORM, "file"], kind="stable"
        )
        for number, row in zip(twice["file"], twice.to_dict("records"), strict=True):
            where.append(
                f"{files[number].name}, line {row['line']}: case {row['case']}, session {row['session']}"
            )
    if where:
        message = "forms are there in more than one file"
        hint = "leave out one of the files, or number the sessions on through all of them"
        raise DataError(message, where=where, hint=hint)


def _scores(forms: Sequence[dict[str, pd.DataFrame]], scales: dict[str, Scale]) -> dict[str, pd.DataFrame]:
    import pandas as pd

    from alliance.scoring import score

    found: dict[str, pd.DataFrame] = {}
    for name, scale in scales.items():
        parts = [score(each[name], scale) for each in forms if name in each]
        frame = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
        first = frame.groupby("case", sort=False).ngroup()
        order = frame.assign(first=first).sort_values(["first", "rater", "session"], kind="stable").index
        found[name] = frame.loc[order].reset_index(drop=True)
    return found
