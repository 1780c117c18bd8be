"""What `alliance check` says of dropout: which definitions the data support, and the life table of one."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from alliance.cli.options import Source
    from alliance.cli.treatments import StudyData
    from alliance.dropout.ends.build import Support, Supports
    from alliance.readers import Inspection, ReadOptions

DEFINITIONS = ("definition", "dropout", "planned", "competing", "ongoing", "excluded", "why")
WIDTH = 80
FEWEST = 10
"""Treatments that two definitions must both judge before their agreement is listed; JSON has all."""

PERIODS = ("session", "at_risk", "events", "hazard", "survival")


def says_ends(file: Path, source: Source, found: Inspection) -> bool:
    """Return whether a file of alliance forms says itself how treatments ended, and can be read again."""
    from alliance.readers.treatments import carries_treatments
    from alliance.scale import load_scale

    if str(file) == "-" or not carries_treatments(found.unused):
        return False
    folders = tuple(source.scales or ())
    forms = [source.form] if source.form else [load_scale(name, folders=folders) for name in found.scales]
    return any(form.measures_alliance for form in forms)


def episodes_of(ends: dict[str, Any], options: ReadOptions) -> pd.DataFrame | None:
    """Return the treatments of the files of episodes, None without one."""
    from alliance.cli.treatments import beside
    from alliance.readers import read_treatments

    return read_treatments(ends["episodes"], options=beside(options)) if ends["episodes"] else None


def ends_of_study(
    file: Path,
    source: Source,
    ends: dict[str, Any],
) -> dict[str, Any] | None:
    """Return what the data say of dropout as plain values; None if nothing says how treatments ended.

    `ends` are the options of the group TREATMENTS.
    """
    from alliance.cli.treatments import load_study, outcome_of
    from alliance.dropout.ends.build import cohort_of, definitions_supported
    from alliance.dropout.ends.definitions import get_definition, settings_of
    from alliance.dropout.model.lifetable import life_table_of
    from alliance.dropout.model.rows import rows_of

    if str(file) == "-":
        message = "check reads standard input once, and needs a file to look at treatments too"
        raise UsageError(message, hint="write the ratings to a file")
    chosen = get_definition(ends["dropout_def"])
    settings = settings_of({name: ends[name] for name in ("k", "grace_days", "presumed")})
    data = load_study([file], source, episodes=ends["episodes"], attendance=ends["attendance"])
    if data.treatments is None:
        return None
    known: dict[str, Any] = {
        "treatments": data.treatments,
        "appointments": data.appointments,
        "settings": settings,
        "others": data.others,
        "outcome": outcome_of(data, value=ends["rci"], source=ends["rci_source"]),
    }
    found = definitions_supported(data.scores, data.form, **known)
    supported = next(each for each in found.definitions if each.definition is chosen)
    table: list[dict[str, Any]] = []
    if supported.supported:
        cohort = cohort_of(data.scores, data.form, definition=chosen.id, **known)
        table = _periods(life_table_of(rows_of(cohort)))
    return {
        **_values(found, data),
        "definition": chosen.id,
        "presumed_as": settings["presumed"],
        "life_table": table,
    }


def _values(found: Supports, data: StudyData) -> dict[str, Any]:
    return {
        "treatments": found.n_cases,
        "clients": 0 if data.treatments is None else int(data.treatments["client"].nunique()),
        "synthetic": data.synthetic,
        "observed_until": found.observed_until or None,
        "definitions": [_support(each) for each in found.definitions],
        "agreement": [
            {"first": first, "second": second, "n": n, "kappa": None if math.isnan(kappa) else kappa}
            for first, second, n, kappa in found.kappas
        ],
        "presumed": found.n_presumed,
        "presumed_unclear": found.n_unclear,
    }


def _support(each: Support) -> dict[str, Any]:
    return {
        "id": each.definition.id,
        "words": each.definition.words,
        "supported": each.supported,
        "lacks": list(each.lacks),
        "counts": dict(each.counts),
        "excluded": dict(each.excluded),
        "note": each.definition.note,
        "warning": each.definition.warning,
        "source": each.definition.source,
    }


def _periods(table: Any) -> list[dict[str, Any]]:
    columns = {name: values.tolist() for name, values in vars(table).items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [
        {
            ("session" if name == "period" else name): None
            if isinstance(value, float) and math.isnan(value)
            else value
            for name, value in row.items()
        }
        for row in rows
    ]


def ends_text(values: dict[str, Any]) -> Iterator[str]:
    """Yield the same for a person to read, a paragraph each."""
    from alliance.cli.output import table_text

    yield _intro(values)
    rows = [_row(each) for each in values["definitions"]]
    yield table_text(rows, DEFINITIONS, "dropout by every definition, in treatments").rstrip()
    lines = list(_agreement(values))
    if lines:
        title = "agreement of definitions (Cohen's kappa, dropout against planned end)"
        yield "\n".join([f"{title}, from {FEWEST} treatments on:", *lines])
    yield _presumed(values)
    chosen = next(each for each in values["definitions"] if each["id"] == values["definition"])
    if not chosen["supported"]:
        lacks = "; ".join(chosen["lacks"])
        text = f"no life table: the data cannot tell dropout by '{chosen['id']}': {lacks}"
        yield textwrap.fill(text, WIDTH)
        return
    title = textwrap.fill(f"life table by '{chosen['id']}': {chosen['words']}", WIDTH)
    yield table_text(values["life_table"], PERIODS, title).rstrip()
    if chosen["warning"]:
        yield textwrap.fill(f"warning: {chosen['warning']}", WIDTH)


def _intro(values: dict[str, Any]) -> str:
    from alliance.readers.problems import counted

    line = f"{counted(values['treatments'], 'treatment')} of {counted(values['clients'], 'client')}"
    if not values["observed_until"]:
        return line
    reach = f"the data are taken to reach {values['observed_until']}, the latest date in them"
    return textwrap.fill(f"{line}; where no row says otherwise, {reach}", WIDTH)


def _row(each: dict[str, Any]) -> dict[str, Any]:
    excluded = [f"{n} {_short(reason)}" for reason, n in each["excluded"].items()]
    why = "; ".join(f"not supported: {lack}" for lack in each["lacks"]) or "; ".join(excluded)
    return {"definition": each["id"], **each["counts"], "why": why}


def _short(reason: str) -> str:
    """Return a reason as the table has it: what is presumed is told in a line of its own."""
    from alliance.dropout.ends.presumed import TO_CONFIRM

    return "to be confirmed" if reason == TO_CONFIRM else reason


def _agreement(values: dict[str, Any]) -> Iterator[str]:
    from alliance.readers.problems import counted

    for each in values["agreement"]:
        if each["n"] < FEWEST:
            continue
        text = "not known" if each["kappa"] is None else f"{each['kappa']:.2f}"
        yield f"  {each['first']}, {each['second']}: {text} ({counted(each['n'], 'treatment')})"


def _presumed(values: dict[str, Any]) -> str:
    from alliance.readers.problems import counted

    n, unclear = values["presumed"], values["presumed_unclear"]
    line = "no ongoing treatment is long not seen with nothing booked"
    if n:
        line = f"{counted(n, 'ongoing treatment')} long not seen with nothing booked: confirm the status"
        line += f" (--presumed {values['presumed_as']})"
    if unclear:
        line += f"; of {counted(unclear, 'further one')} that cannot be told"
    return textwrap.fill(line, WIDTH)
