"""Bundle → what the report says of the model's performance, each chart with its numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alliance.report.blocks import Block, Bullets, Chart, Charts, Section, Table, Text, empty
from alliance.report.curves import Curve, axis, ceiling, draw, sessions_axis
from alliance.report.enough import fairness_section, sensitivity_section, size_section
from alliance.report.figures import (
    FEW,
    LEAST,
    at,
    exact,
    fixed,
    percent,
    real,
    recorded,
    rows_at,
    signed,
    small,
    spread,
    tally,
    whole,
)
from alliance.report.leaving import course_section, lone_sessions
from alliance.report.words import count

Bundle = Mapping[str, Any]

METRICS = {
    "auc": ("AUC within sessions (headline)", "0.5 is chance, 1 is perfect"),
    "auc_pooled": ("AUC over all rows (pooled)", "0.5 is chance, 1 is perfect"),
    "citl": ("Calibration in the large", "0 is right, above 0 too low forecasts"),
    "slope": ("Calibration slope", "1 is right, below 1 too extreme forecasts"),
    "oe": ("Observed / expected dropouts", "1 is right"),
    "brier": ("Brier score", "lower is better"),
    "brier_scaled": ("Scaled Brier score", "0 is no better than the mean, 1 is perfect"),
    "ici": ("ICI, mean miscalibration", "0 is right"),
    "e50": ("E50, median miscalibration", "0 is right"),
    "e90": ("E90, 90th percentile of miscalibration", "0 is right"),
    "nb": ("Net benefit at the threshold", "higher is better"),
}
DIGITS = {"brier": 5, "ici": 4, "e50": 4, "e90": 4, "nb": 5}


def sections(bundle: Bundle) -> tuple[Section, ...]:
    """Return every section that needs a validation; one that says so where there is none."""
    if at(bundle, "validation") is None:
        missing = "Not validated yet: alliance model validate tests the model on cases it was not fitted on."
        later = Section(id="performance", title="Performance", blocks=(Text(text=missing),))
        return (later, *_elsewhere(bundle))
    return (
        performance_section(bundle),
        calibration_section(bundle),
        discrimination_section(bundle),
        decision_section(bundle),
        size_section(bundle),
        course_section(bundle),
        fairness_section(bundle),
        sensitivity_section(bundle),
        *_elsewhere(bundle),
    )


def performance_section(bundle: Bundle) -> Section:
    """Return every metric four ways, and DRF-1 on the same rows."""
    tested = at(bundle, "validation")
    table = Table(
        caption=_method(tested),
        head=(
            "Metric",
            "Apparent",
            "Optimism",
            "Corrected",
            "Grouped cross-validation, 95 %",
            "How to read it",
        ),
        rows=tuple(_metric(tested, name) for name in METRICS),
    )
    words = (
        "Apparent: on the rows the model was fitted on. Optimism: what the whole fit, repeated on resampled "
        "data, gains on its own rows. Corrected: apparent less optimism.",
        "Headline and pooled AUC differ because dropout is likelier early: the pooled one also credits the "
        "model with knowing the session. The headline compares clients at one session, and weights sessions "
        "by their dropouts.",
    )
    blocks: tuple[Block, ...] = (table, Bullets(items=words), _rules(tested), *_ahead(tested))
    return Section(id="performance", title="Performance", blocks=blocks)


def _method(tested: Any) -> str:
    """Return how the model was tested, on how many rows."""
    rows = at(tested, "rows")
    called = str(at(tested, "method") or "method not recorded")
    n, events, cases = whole(at(rows, "n")), tally(at(rows, "events")), whole(at(rows, "cases"))
    said = f"{called[:1].upper()}{called[1:]}. Seed {recorded(at(tested, 'seed'))}"
    return f"{said}; {n} rows with {events} dropouts of {cases} cases."


def _metric(tested: Any, name: str) -> tuple[str, ...]:
    """Return one metric as a row."""
    called, reading = METRICS[name]
    digits = DIGITS.get(name, 3)
    cv = at(tested, "cv", name)
    return (
        called,
        fixed(at(tested, "apparent", name), digits),
        signed(at(tested, "optimism", name), digits),
        fixed(at(tested, "corrected", name), digits),
        spread(at(cv, "value"), at(cv, "low"), at(cv, "high"), digits),
        reading,
    )


def _rules(tested: Any) -> Table:
    """Return the model and DRF-1 beside each other, on the same rows."""
    model, rules = at(tested, "threshold"), at(tested, "drf1")
    auc = at(tested, "cv", "auc")
    rows = (
        (
            "AUC within sessions",
            spread(at(auc, "value"), at(auc, "low"), at(auc, "high")),
            fixed(at(rules, "auc")),
        ),
        ("AUC over all rows", fixed(at(tested, "cv", "auc_pooled", "value")), fixed(at(rules, "auc_pooled"))),
        ("Rows flagged", percent(at(model, "flag_rate")), percent(at(rules, "flag_rate"))),
        ("Sensitivity", percent(at(model, "sens")), percent(at(rules, "sens"))),
        ("Specificity", percent(at(model, "spec")), percent(at(rules, "spec"))),
        ("PPV", percent(at(model, "ppv")), percent(at(rules, "ppv"))),
        ("Net benefit", fixed(at(model, "net_benefit"), 5), fixed(at(rules, "net_benefit"), 5)),
    )
    caption = "The model at its threshold and the rules (DRF-1, REVIEW) on the same rows."
    return Table(caption=caption, head=("What", "Model", "DRF-1"), rows=rows)


def _ahead(tested: Any) -> tuple[Table, ...]:
    """Return how good the risk of the next sessions is, if it was tested."""
    found = at(tested, "landmark")
    if found is None:
        return ()
    named = [(called, name) for name, (called, _) in METRICS.items() if at(found, name) is not None]
    rows = tuple((called, _plain(found[name], DIGITS.get(name, 3))) for called, name in named)
    caption = (
        f"The risk of the next sessions (landmark model), cross-validated: {whole(at(found, 'n'))} rows "
        f"whose fate is known, {tally(at(found, 'events'))} with dropout."
    )
    return (Table(caption=caption, head=("Metric", "Value"), rows=rows),)


def _elsewhere(bundle: Bundle) -> tuple[Section, ...]:
    """Return how the model did on other data, one table for each time it was tried on some."""
    found = rows_at(bundle, "external")
    if not found:
        return ()
    words = Text(text="The model as it is, on data it was not made from; nothing was fitted again.")
    blocks: tuple[Block, ...] = (words, *(_external(each) for each in found))
    return (Section(id="external", title="On other data", blocks=blocks),)


def _external(found: Any) -> Table:
    """Return every metric of the model on one set of other data."""
    rows = tuple(
        (called, _plain(at(found, "metrics", name), DIGITS.get(name, 3)), reading)
        for name, (called, reading) in METRICS.items()
    )
    head = ("Metric", "Value, 95 %", "How to read it")
    return Table(caption=_method(found), head=head, rows=rows)


def _plain(value: Any, digits: int) -> str:
    """Return a metric given as a number, or as a mapping with its interval."""
    if isinstance(value, Mapping):
        return spread(at(value, "value"), at(value, "low"), at(value, "high"), digits)
    return fixed(value, digits)


def calibration_section(bundle: Bundle) -> Section:
    """Return forecast against what happened: groups with intervals, smooth curve, diagonal."""
    tested = at(bundle, "validation", "calibration")
    groups = [group for group in rows_at(tested, "groups") if not small(at(group, "n"))]
    smooth = tuple(_pairs(rows_at(tested, "smooth")))
    dots = tuple((x, real(at(group, "observed"))) for group in groups if (x := _x(group)) is not None)
    if not dots and not smooth:
        return empty("calibration", "Calibration", "no forecast was tested.")
    bars = _bars(groups)
    seen = [*(x for x, _ in dots), *(y for _, y in dots), *(high for _, _, high in bars)]
    top = ceiling(seen or [x for x, _ in smooth], least=0.05)
    drawn = tuple((x, y) for x, y in smooth if x <= top)
    curves = (
        Curve(label="smooth curve", style=1, points=drawn),
        Curve(label="groups, 95 % interval", style=0, points=dots, bars=bars, line=False, dots=True),
    )
    drawing = draw(
        "Calibration: forecast against what happened",
        _calibrated(dots),
        x=axis("forecast hazard", 0, top, share=True),
        y=axis("dropouts observed", 0, top, share=True),
        curves=curves,
        guide=((0, 0), (top, top)),
        guide_label="perfect calibration",
    )
    table = Table(
        caption="Rows in groups of equal size by their cross-validated forecast.",
        head=("Mean forecast", "Observed, 95 %", "Rows"),
        rows=tuple(_group(group) for group in rows_at(tested, "groups")),
    )
    curve = Table(
        caption="The smooth curve (lowess).",
        head=("Forecast", "Observed"),
        rows=tuple((exact(x), exact(y)) for x, y in smooth),
    )
    note = (
        "Below the diagonal: fewer dropouts than forecast. An interval across it: the forecast may be right."
    )
    if len(drawn) < len(smooth):
        note += f" Forecasts above {percent(top)} are left out of the drawing; the numbers hold them."
    chart = Chart(drawing=drawing, table=table, note=note, more=(curve,) if smooth else ())
    return Section(id="calibration", title="Calibration", blocks=(Charts(charts=(chart,)),))


def _x(group: Any) -> float | None:
    return real(at(group, "predicted"))


def _pairs(points: Sequence[Any]) -> Iterator[tuple[float, float | None]]:
    """Yield the points whose place is known."""
    for point in points:
        if isinstance(point, list | tuple) and real(point[0]) is not None:
            yield float(point[0]), real(point[-1])


def _bars(groups: Sequence[Any]) -> tuple[tuple[float, float, float], ...]:
    """Return the intervals of groups that have one."""
    found = ((real(at(each, "predicted")), real(at(each, "low")), real(at(each, "high"))) for each in groups)
    return tuple((x, a, b) for x, a, b in found if x is not None and a is not None and b is not None)


def _group(group: Any) -> tuple[str, ...]:
    """Return one calibration group as a row; a very small one is not shown."""
    if small(at(group, "n")):
        return (percent(at(group, "predicted"), 2), "not shown", FEW)
    low, high = at(group, "low"), at(group, "high")
    observed = percent(at(group, "observed"), 2)
    ends = "" if real(low) is None or real(high) is None else f" [{percent(low, 2)}, {percent(high, 2)}]"
    return (percent(at(group, "predicted"), 2), observed + ends, whole(at(group, "n")))


def _calibrated(dots: Sequence[tuple[float, float | None]]) -> str:
    """Say in words what the calibration chart shows."""
    known = [(x, y) for x, y in dots if y is not None]
    if not known:
        return "No group has enough rows."
    below = sum(y < x for x, y in known)
    (first, start), (last, end) = known[0], known[-1]
    return (
        f"{len(known)} groups. Lowest: forecast {percent(first)}, observed {percent(start)}. Highest: "
        f"forecast {percent(last)}, observed {percent(end)}. Fewer dropouts than forecast in "
        f"{count(below, 'group')}."
    )


def discrimination_section(bundle: Bundle) -> Section:
    """Return the AUC of every session."""
    sessions = rows_at(bundle, "validation", "per_session")
    points = tuple(
        (float(x), _shown_auc(row)) for row in sessions if (x := real(at(row, "session"))) is not None
    )
    known = [y for _, y in points if y is not None]
    alone = lone_sessions(bundle)
    table = Table(
        caption="AUC of the cross-validated forecasts by session.",
        head=("Session", "AUC", "Rows", "Dropouts"),
        rows=tuple(_session(row, alone) for row in sessions),
    )
    if not known:
        return empty("discrimination", "AUC by session", "no session has enough dropouts.")
    low = min(0.4, *known)
    drawing = draw(
        "AUC by session",
        f"{len(known)} of {len(points)} sessions have at least {LEAST} dropouts and are shown. "
        f"AUC from {fixed(min(known))} to {fixed(max(known))}.",
        x=sessions_axis([int(x) for x, _ in points]),
        y=axis("AUC within the session", low, 1),
        curves=(Curve(label="cross-validated AUC", style=0, points=points, dots=True),),
        guide=((points[0][0] - 0.5, 0.5), (points[-1][0] + 0.5, 0.5)),
        guide_label="chance (0.5)",
    )
    headline = fixed(at(bundle, "validation", "cv", "auc", "value"))
    note = f"The mean of all sessions, weighted by their dropouts, is the headline AUC: {headline}."
    return Section(
        id="discrimination",
        title="AUC by session",
        blocks=(Charts(charts=(Chart(drawing=drawing, table=table, note=note),)),),
    )


def _session(row: Any, alone: frozenset[int] | None) -> tuple[str, ...]:
    """Return one session as a row; counts that give a small one away are not shown."""
    session = real(at(row, "session"))
    shown = alone is None or session in alone
    events = FEW if small(at(row, "events")) else whole(at(row, "events")) if shown else "not shown"
    auc = "not shown" if small(at(row, "events")) else fixed(at(row, "auc"))
    return (whole(session), auc, tally(at(row, "n")), events)


def _shown_auc(row: Any) -> float | None:
    """Return the AUC of a session, none where so few dropped out that it would tell of single clients."""
    return None if small(at(row, "events")) else real(at(row, "auc"))


def decision_section(bundle: Bundle) -> Section:
    """Return net benefit over thresholds for the model, for all, for none, and for DRF-1."""
    rows = [
        row for row in rows_at(bundle, "validation", "decision") if real(at(row, "threshold")) is not None
    ]
    if not rows:
        return empty("decision", "Decision curve", "no threshold was tried.")
    names = {"model": "model", "drf1": "DRF-1, REVIEW", "all": "flag all", "none": "flag none"}
    values = {name: [(float(at(row, "threshold")), real(at(row, name))) for row in rows] for name in names}
    seen = [y for name in ("model", "drf1", "none") for _, y in values[name]]
    top = ceiling([y for points in values.values() for _, y in points], least=0.001)
    low = max(min((y for y in seen if y is not None), default=0.0), -top)
    curves = tuple(
        Curve(label=label, style=style, points=tuple(values[name]))
        for style, (name, label) in enumerate(names.items())
    )
    thresholds = [x for x, _ in values["model"]]
    drawing = draw(
        "Decision curve: net benefit over thresholds",
        _decided(values),
        x=axis("threshold: hazard from which a case is flagged", thresholds[0], thresholds[-1], share=True),
        y=axis("net benefit for each row", min(low, -0.1 * top), top),
        curves=curves,
    )
    table = Table(
        caption="Net benefit for each row: true flags less false ones, weighted by the threshold's odds.",
        head=("Threshold", *(name.capitalize() for name in names.values())),
        rows=tuple(
            (percent(at(row, "threshold")), *(fixed(at(row, name), 5) for name in names)) for row in rows
        ),
    )
    note = "The highest line at a threshold serves best there. Lines are cut where they leave the chart."
    blocks = (Charts(charts=(Chart(drawing=drawing, table=table, note=note),)), _threshold(bundle))
    return Section(id="decision", title="Decision curve and threshold", blocks=blocks)


def _decided(values: Mapping[str, Sequence[tuple[float, float | None]]]) -> str:
    """Say over which thresholds the model serves best."""
    best = [
        x
        for i, (x, y) in enumerate(values["model"])
        if y is not None and all(y > (values[name][i][1] or 0.0) for name in ("all", "none", "drf1"))
    ]
    if not best:
        return "At no threshold does the model have more net benefit than all others."
    n = len(values["model"])
    return (
        f"The model has the highest net benefit at {len(best)} of {n} thresholds, between "
        f"{percent(min(best))} and {percent(max(best))}."
    )


def _threshold(bundle: Bundle) -> Table:
    """Return the threshold and what it does."""
    found = at(bundle, "validation", "threshold")
    rows = (
        ("Threshold (hazard)", exact(at(found, "value"))),
        ("Alarm budget", percent(at(found, "budget"), 0)),
        ("Rows flagged", percent(at(found, "flag_rate"))),
        ("Sensitivity", percent(at(found, "sens"))),
        ("PPV", percent(at(found, "ppv"))),
        ("Net benefit", fixed(at(found, "net_benefit"), 5)),
    )
    caption = "The threshold that keeps to the alarm budget, and what it does."
    return Table(caption=caption, head=("What", "Value"), rows=rows)
