"""Bundle → whether there is enough to go by: sample size, learning curve, groups, other assumptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alliance.report.blocks import Bullets, Chart, Charts, Heading, Section, Table, Text, empty
from alliance.report.curves import Curve, axis, ceiling, draw
from alliance.report.figures import (
    NONE,
    at,
    counts,
    fixed,
    percent,
    real,
    recorded,
    rows_at,
    spread,
    tally,
    whole,
)

Bundle = Mapping[str, Any]

FAIR = {
    "oe": ("O/E", False),
    "auc": ("AUC", False),
    "flag_rate": ("Flag rate", True),
    "ppv": ("PPV", True),
    "miss_rate": ("Miss rate", True),
}


def size_section(bundle: Bundle) -> Section:
    """Return whether there are cases enough: the sample size asked for, and the learning curve."""
    asked = at(bundle, "validation", "sample_size")
    rows = (
        ("Clients asked for (Riley)", whole(at(asked, "riley"))),
        ("Clients whose treatment ended", whole(at(bundle, "training", "n_closed"))),
        *(_criterion(each) for each in rows_at(asked, "criteria")),
        ("Share that drops out", fixed(at(asked, "phi"))),
        ("Nagelkerke R2 assumed", fixed(at(asked, "r2_nagelkerke"))),
        ("Parameters", whole(at(asked, "parameters"))),
        ("Shrinkage aimed at", fixed(at(asked, "shrinkage"), 2)),
    )
    table = Table(caption="Sample size (Riley et al. 2019).", head=("What", "Value"), rows=rows)
    return Section(
        id="size",
        title="Sample size and learning curve",
        blocks=(table, Text(text=_enough(bundle)), *_learning(bundle)),
    )


def _criterion(each: Any) -> tuple[str, str]:
    """Return one criterion as a row: a number, or a mapping with words and a number."""
    if not isinstance(each, Mapping):
        return ("- one criterion", whole(each))
    return (f"- {recorded(at(each, 'what') or at(each, 'name'))}", whole(at(each, "n")))


def _enough(bundle: Bundle) -> str:
    """Say whether the cases are enough by the sample size asked for."""
    asked = real(at(bundle, "validation", "sample_size", "riley"))
    there = real(at(bundle, "training", "n_closed"))
    if asked is None or there is None:
        return "Whether there are clients enough cannot be said: not enough data."
    if there >= asked:
        return f"Enough: {whole(there)} clients whose treatment ended, where {whole(asked)} are asked for."
    return f"Not enough: {whole(asked - there)} more clients whose treatment ended are asked for."


def _learning(bundle: Bundle) -> tuple[Any, ...]:
    """Return the learning curve."""
    rows = [row for row in rows_at(bundle, "validation", "learning") if real(at(row, "cases")) is not None]
    points = tuple((float(at(row, "cases")), real(at(row, "auc"))) for row in rows)
    known = [(x, y) for x, y in points if y is not None]
    if not known:
        return (Text(text="No learning curve: not enough data."),)
    bars = tuple(
        (float(at(row, "cases")), low, high)
        for row in rows
        if (low := real(at(row, "auc_low"))) is not None and (high := real(at(row, "auc_high"))) is not None
    )
    low = min([0.4, *(y for _, y in known), *(bar[1] for bar in bars)])
    most = ceiling([x for x, _ in points], least=10)
    drawing = draw(
        "Learning curve: AUC by number of clients",
        f"AUC {fixed(known[0][1])} with {whole(known[0][0])} clients, {fixed(known[-1][1])} with "
        f"{whole(known[-1][0])}.",
        x=axis("clients fitted on", 0, most),
        y=axis("AUC on cases left out", low, 1),
        curves=(Curve(label="AUC, lowest and highest draw", style=0, points=points, bars=bars, dots=True),),
        guide=((0, 0.5), (most, 0.5)),
        guide_label="chance (0.5)",
    )
    table = Table(
        caption="Fitted on draws of the clients, tested on those left out; AUC with the range of draws.",
        head=("Clients", "Dropouts", "AUC", "Slope", "Calibration in the large"),
        rows=tuple(_learned(row) for row in rows),
    )
    note = "Still rising at the right: more clients would help. Level: they would not help much."
    chart = Chart(drawing=drawing, table=table, note=note)
    return (Heading(text="Would more clients help?"), Charts(charts=(chart,)))


def _learned(row: Any) -> tuple[str, ...]:
    return (
        whole(at(row, "cases")),
        tally(at(row, "dropouts")),
        spread(at(row, "auc"), at(row, "auc_low"), at(row, "auc_high")),
        fixed(at(row, "slope"), 2),
        fixed(at(row, "citl"), 2),
    )


def fairness_section(bundle: Bundle) -> Section:
    """Return how the model does in each declared group; groups too small to judge say so."""
    groups = rows_at(bundle, "fairness")
    if not groups:
        text = "No group was declared, so nothing is known of differences between groups of clients."
        return Section(id="fairness", title="Fairness", blocks=(Text(text=text),))
    table = Table(
        caption="Each declared group at the threshold, 95 % intervals by bootstrap.",
        head=("Group", "Rows", "Dropouts", *(called for called, _ in FAIR.values())),
        rows=tuple(_fair_rows(groups)),
    )
    words = (
        "Too few: fewer than 30 dropouts, or fewer than 30 rows without. Nothing is said of such a group, "
        "and the counts of those beside it are rounded.",
        "Miss rate: dropouts that were not flagged.",
        "No therapist is compared with another, and none is a predictor.",
    )
    return Section(id="fairness", title="Fairness", blocks=(table, Bullets(items=words)))


def _fair_rows(groups: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the fairness table, the counts of one variable hidden together."""
    for variable in dict.fromkeys(str(at(group, "group")) for group in groups):
        mine = [group for group in groups if str(at(group, "group")) == variable]
        sizes = counts([at(group, "n") for group in mine])
        events = counts([at(group, "events") for group in mine])
        for group, size, event in zip(mine, sizes, events, strict=True):
            few = str(at(group, "note") or NONE)
            cells = (few if cell == NONE else cell for cell in (size, event, *_fair_cells(group)))
            yield (f"{variable}: {at(group, 'level')}", *cells)


def _fair_cells(group: Any) -> Iterator[str]:
    """Yield the metrics of a group with their intervals, shares in percent."""
    for name, (_, share) in FAIR.items():
        value, low, high = (at(group, f"{name}{end}") for end in ("", "_low", "_high"))
        if not share:
            yield spread(value, low, high, 2)
        elif real(low) is None or real(high) is None:
            yield percent(value)
        else:
            yield f"{percent(value)} [{percent(low)}, {percent(high)}]"


def sensitivity_section(bundle: Bundle) -> Section:
    """Return the coefficients under other assumptions beside the model's own."""
    runs = rows_at(bundle, "validation", "sensitivity")
    if not runs:
        return empty("sensitivity", "Sensitivity", "no other assumption was tried.")
    names = [str(at(term, "name")) for term in rows_at(bundle, "terms")]
    rows = tuple((str(at(run, "what")), *(_shifted(run, name) for name in names)) for run in runs)
    table = Table(
        caption="Coefficients (standard errors) under other assumptions.",
        head=("Assumption", *names),
        rows=rows,
    )
    return Section(id="sensitivity", title="Sensitivity", blocks=(table,))


def _shifted(run: Any, name: str) -> str:
    """Return a coefficient with its standard error, if that is known."""
    coef, error = at(run, "terms", name), real(at(run, "se", name))
    return fixed(coef) if error is None else f"{fixed(coef)} ({fixed(error)})"
