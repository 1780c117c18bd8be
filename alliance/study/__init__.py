"""The whole flow over a file: read, score, flag, risk, report; with the manifest that says what was run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.courses import MAX_GAP_DAYS
from alliance.dropout import Norms
from alliance.dropout.model.bundle import Bundle
from alliance.dropout.seen import read_log, told_snoozes
from alliance.dropout.verdicts import NO_ATTENDANCE, told_budget
from alliance.errors import DataError, UsageError
from alliance.frames import EPISODES, FLAGS, KEYS, REJECTED, Forms
from alliance.report.files import OutputFolder
from alliance.report.tables import WRITERS, TableFile
from alliance.report.view import StudyView
from alliance.rupture import Frozen, require_alliance
from alliance.rupture.chance import Chance, chance
from alliance.rupture.findings import episode_columns, flag_columns
from alliance.scale import Scale
from alliance.study import risks
from alliance.study.beside import NOTHING, Standing, beside_of, read_treatments_of, standing
from alliance.study.instrument import instrument_for
from alliance.study.judging import Judge, judge_of
from alliance.study.manifest import manifest_of, manifest_text
from alliance.study.passes import Spill, Tally, forms_of, score_forms
from alliance.study.summary import Facts, view_of

if TYPE_CHECKING:
    from alliance.readers import ReadOptions

Array = np.ndarray[Any, Any]
Progress = Callable[[str, int, int], None]

MANIFEST = "manifest.json"
TABLES = ("scores", "flags", "episodes", "risk", "rejected")
ALL_OUTPUTS = tuple(f"{table}.{kind}" for table in TABLES for kind in WRITERS)
CHANCE_FORMS = 10_000
CHANCE_SEED = 1
LATER = (
    "the risk list is as of {day}: forms dated later are not in it; scores and rupture findings hold all "
    "sessions"
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run is asked to do; everything that changes a number is in the manifest.

    `scale` is None when the file names its forms itself. `methods` are the rupture methods; reports are
    drawn from the first online one, tables hold all; `settings` are their parameters, `prior` is what an
    earlier run knew of the caseload. `sd`, `reliability` and `within_sd` are about the total, for the
    rupture methods; `sem` is the standard error of measurement for the dropout rules, `norms` are their local
    norms, made of the data if left out, and `seen` is the log of acknowledgements. `inclusive` says whether
    the form's cut-off itself counts as low, if not as the definition says; `today` is the day of the list,
    for the prompt on a missing next appointment and for acknowledgements that end. `episodes` are files that
    say how treatments stand, and `model` is a fitted model of dropout, which orders the list if it may.
    """

    path: Path
    scale: Scale | None
    folders: tuple[Path, ...] = ()
    read: ReadOptions | None = None
    attendance: tuple[Path, ...] = ()
    episodes: tuple[Path, ...] = ()
    methods: tuple[str, ...] = ("predictive-limit",)
    settings: Mapping[str, Any] = field(default_factory=dict)
    prior: Frozen | None = None
    max_gap_days: float = MAX_GAP_DAYS
    sd: float | None = None
    reliability: float | None = None
    within_sd: float | None = None
    sem: float | None = None
    norms: Norms | None = None
    seen: Path | None = None
    model: Bundle | None = None
    inclusive: bool | None = None
    today: date | None = None
    to: str = "csv"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run found: the view every report is drawn from, the manifest, and the tables for JSON."""

    view: StudyView
    manifest: dict[str, Any]
    notes: tuple[str, ...]


def analyze(
    request: Request, folder: Path, *, force: bool = False, progress: Progress | None = None
) -> Result:
    """Read, score, flag, list risk, and write every result file into `folder`, all or none.

    Parameters
    ----------
    request : Request
    folder : Path
        Results of an earlier run in it are replaced; other files of the same names only with `force`.
    progress : callable, optional
        Told the step, how much of it is done, and how much there is.

    Raises
    ------
    AllianceError
        If the file, the form or the folder cannot be used; nothing is written then.
    """
    tell = progress or (lambda _step, _done, _total: None)
    stale = _refuse_foreign(folder, request, force=force)
    with OutputFolder(folder) as out, ExitStack() as spills:
        run = _first_pass(request, out, spills, tell)
        if not any(part.tally.n_forms for part in run.parts):
            message = f"there is no form in '{request.path.name}'"
            raise DataError(message, hint="`alliance check` says what is in the file")
        result = _second_pass(request, run, out, tell)
        out.publish(last=MANIFEST, stale=stale)
    return result


def output_names(request: Request) -> list[str]:
    """Return the names of the files a run writes."""
    drops = request.read is not None and request.read.on_error == "drop"
    tables = TABLES if drops else TABLES[:-1]
    return [*(f"{name}.{request.to}" for name in tables), "report.html", MANIFEST]


def _refuse_foreign(folder: Path, request: Request, *, force: bool) -> list[str]:
    """Return the files of an earlier run that this one does not replace; refuse files that are not ours."""
    new = output_names(request)
    ours = (folder / MANIFEST).is_file() and b'"alliance_version"' in (folder / MANIFEST).read_bytes()[:4096]
    if ours:
        return [name for name in ALL_OUTPUTS if name not in new and (folder / name).exists()]
    there = [name for name in new if (folder / name).exists()]
    if there and not force:
        message = f"'{folder}' holds files that are not the results of an earlier run"
        raise UsageError(message, where=there, hint="choose another folder, or replace them with --force")
    return []


@dataclass(kw_only=True)
class _Part:
    """One form of the study: its courses laid aside, and what was counted."""

    scale: Scale
    spill: Spill
    tally: Tally = field(default_factory=Tally)


@dataclass(kw_only=True)
class _Run:
    """What the first pass leaves for the second."""

    parts: list[_Part]
    notes: tuple[str, ...]
    lane: str
    appointments: Any = None
    outcome_flags: Any = None
    standing: Standing = NOTHING
    synthetic: bool = False


def _first_pass(request: Request, out: OutputFolder, spills: ExitStack, tell: Progress) -> _Run:
    from alliance.readers.fast import Odd

    try:
        layout = _plain_layout(request)
        blocks = _plain_blocks(request, layout)
        part = _Part(scale=_require_scale(request), spill=spills.enter_context(Spill(out.folder)))
        with _scores_file(request, [part.scale], out) as table:
            _score_blocks(blocks, part, table, tell, _guessed_rows(request.path), request.max_gap_days)
        _write_rejected(request, out, {})
        synthetic = "synthetic" in layout.names
        return _Run(parts=[part], notes=layout.notes, lane="fast", synthetic=synthetic)
    except Odd as odd:
        spills.close()
        return _pass_at_once(request, out, spills, tell, str(odd))


def _plain_layout(request: Request) -> Any:
    from alliance.readers.fast import Odd, plain_layout

    beside = request.attendance or request.episodes or request.model is not None
    if request.scale is None or beside:
        raise Odd("options of its own")
    return plain_layout(request.path, request.scale, request.read)


def _plain_blocks(request: Request, layout: Any) -> Iterator[Forms]:
    from alliance.readers.fast import plain_blocks

    return plain_blocks(request.path, _require_scale(request), layout, request.read)


def _require_scale(request: Request) -> Scale:
    if request.scale is None:
        message = "the form is not named"
        raise UsageError(message, hint="say --scale ID; `alliance scales list` names them")
    return request.scale


def _pass_at_once(request: Request, out: OutputFolder, spills: ExitStack, tell: Progress, why: str) -> _Run:
    """Read the file as a whole, in the lane it allows; `why` says what kept it from the blocks."""
    from alliance.readers import ReadOptions, load

    options = request.read or ReadOptions()
    treatments = read_treatments_of(request, options)
    loaded = load(
        request.path, request.scale, options=options, folders=request.folders, treatments=treatments
    )
    beside = beside_of(request, loaded, treatments, options)
    parts = [
        _Part(scale=loaded.scales[name], spill=spills.enter_context(Spill(out.folder)))
        for name in loaded.responses
    ]
    with _scores_file(request, [part.scale for part in parts], out) as table:
        for part in parts:
            frame = loaded.responses[part.scale.id]
            blocks = iter([forms_of(frame, part.scale)] if len(frame) else [])
            _score_blocks(blocks, part, table, tell, len(frame), request.max_gap_days)
    _write_rejected(request, out, {name: loaded.rejected[name].to_numpy() for name in REJECTED})
    return _Run(
        parts=parts,
        notes=loaded.notes,
        lane=f"fast, at once: {why}" if loaded.lane == "fast" else loaded.lane,
        appointments=beside.appointments,
        standing=standing(loaded, beside, request),
        outcome_flags=loaded.outcome_flags,
        synthetic=_says_synthetic(request.path),
    )


def _write_rejected(request: Request, out: OutputFolder, columns: Mapping[str, Array]) -> None:
    """Write what was left out, if leaving out was asked for; nothing left out is an empty table."""
    if request.read is not None and request.read.on_error == "drop":
        with TableFile(out, "rejected", list(REJECTED), to=request.to) as table:
            table.write(columns)


def _scores_file(request: Request, scales: list[Scale], out: OutputFolder) -> TableFile:
    names = list(dict.fromkeys(name for scale in scales for name in scale.subscales))
    return TableFile(out, "scores", ["scale", *KEYS, *names, "total", "n_missing", "note"], to=request.to)


def _guessed_rows(path: Path) -> int:
    """Return about how many rows a text file has, by its size and the length of its first lines."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    return int(path.stat().st_size / max(len(head), 1) * head.count(b"\n"))


def _score_blocks(  # noqa: PLR0917  one caller: every part of a run
    blocks: Iterator[Forms],
    part: _Part,
    table: TableFile,
    tell: Progress,
    total: int,
    max_gap_days: float,
) -> None:
    for forms in blocks:
        block, columns = score_forms(forms, part.scale)
        table.write(columns)
        part.tally.add(block, part.scale, max_gap_days)
        part.tally.add_notes(columns["note"])
        part.spill.append(block)
        tell("scoring forms", part.tally.n_forms, total)


def _second_pass(request: Request, run: _Run, out: OutputFolder, tell: Progress) -> Result:
    from alliance.report.html import page

    notes = [*run.notes, *(caution for part in run.parts for caution in part.scale.told)]
    part = _alliance_part(run, notes)
    judge_block = judge_of(request, part)
    booked = risks.appointments_of(run.appointments)
    lists = _empty_list(request, run, part, booked, notes)
    _judge_blocks(request, booked, judge_block, lists, part.spill, out, tell)
    notes += filter(None, [told_budget(lists.counts)])
    facts = Facts(
        source=request.path.name,
        n_forms=sum(each.tally.n_forms for each in run.parts),
        scales=tuple(each.scale for each in run.parts),
        synthetic=run.synthetic,
        alerts=tuple(_alerts(run.parts)),
        notes=tuple(notes),
        chances=_chances(part, judge_block),
    )
    view = view_of(facts, lists, part.spill, judge_block, booked)
    out.write("report.html", page(view).encode())
    manifest = manifest_of(
        request=request,
        lane=run.lane,
        parts=run.parts,
        judge=judge_block,
        risks=lists,
        facts=facts,
        outputs=out.digests(),
    )
    out.write(MANIFEST, manifest_text(manifest))
    return Result(view=view, manifest=manifest, notes=tuple(notes))


def _alerts(parts: Sequence[_Part]) -> Iterator[str]:
    """Yield on how many forms each item that is read before any total was answered, or was not."""
    for part in parts:
        for alert, count in sorted(part.tally.n_alerts.items()):
            forms = "1 form" if count == 1 else f"{count} forms"
            yield f"{part.scale.id}, {alert}: {forms}, named in the note column of the scores"


def _judge_blocks(  # noqa: PLR0917  one caller: every part of a run
    request: Request,
    booked: risks.Booked | None,
    judge_block: Judge,
    lists: risks.RiskList,
    spill: Spill,
    out: OutputFolder,
    tell: Progress,
) -> None:
    """Write flags, episodes and risk, block by block."""
    with (
        TableFile(out, "flags", list(FLAGS), to=request.to) as flags,
        TableFile(out, "episodes", list(EPISODES), to=request.to) as episodes,
    ):
        for number in range(len(spill)):
            block = spill.block(number)
            judged = judge_block.all(block)
            flags.write(flag_columns(judged, block.cases))
            episodes.write(episode_columns(judged, block.cases))
            lists.add(block, booked)
            tell("judging blocks", number + 1, len(spill))
    lists.add_absent(spill, booked)
    with TableFile(out, "risk", list(lists.columns), to=request.to) as table:
        table.write(lists.columns)


def _alliance_part(run: _Run, notes: list[str]) -> _Part:
    """Return the form whose falls are ruptures; the others are scored only, and that is told."""
    able = [part for part in run.parts if part.scale.measures_alliance]
    if not able:
        require_alliance(run.parts[0].scale)
    chosen = able[0]
    for part in run.parts:
        if part is not chosen:
            notes.append(f"{part.scale.id} is scored only: ruptures and risk are judged on {chosen.scale.id}")
    if chosen.scale.status == "provisional":
        notes.append(f"{chosen.scale.id}: the key is provisional, not fully confirmed")
    return chosen


def _empty_list(
    request: Request, run: _Run, part: _Part, booked: risks.Booked | None, notes: list[str]
) -> risks.RiskList:
    """Return the risk list before any case is judged; what its reader must know is added to `notes`."""
    instrument, norms = instrument_for(request, part, booked, notes)
    log = None if request.seen is None else read_log(request.seen)
    notes += [] if booked else [NO_ATTENDANCE]
    notes += told_snoozes(log or (), request.today)
    notes += run.standing.notes
    if request.today is not None and part.tally.latest > np.datetime64(request.today, "D"):
        notes.append(LATER.format(day=request.today))
    return risks.RiskList(
        instrument=instrument,
        scale=part.scale,
        today=request.today,
        norms=norms,
        log=log,
        flags=risks.OutcomeFlags.of(run.outcome_flags),
        fates=run.standing.fates,
        model=run.standing.model,
    )


def _chances(part: _Part, judge_block: Judge) -> dict[str, Chance]:
    """Return for every method what noise alone would flag: from the caseload, or its first 10,000 forms."""
    sample = judge_block.sample(part.spill, CHANCE_FORMS)
    found: dict[str, Chance] = {}
    for run in judge_block.runs:
        rater = (
            part.scale.perspective if part.scale.perspective in run.measures else next(iter(run.measures), "")
        )
        for group in run.groups(sample):
            if group.rater == rater:
                told = chance(group.total, run.measures[rater], run, seed=CHANCE_SEED)
                found |= {run.method.name: told} if told.n_series else {}
    return found


def _says_synthetic(path: Path) -> bool:
    """Return whether a text file marks its rows as synthetic, in a column of that name."""
    with path.open("rb") as file:
        header = file.readline(1 << 16).lower()
    return b"synthetic" in header.translate(bytes.maketrans(b";\t", b",,"), b'"\r\n').split(b",")
