"""`alliance methods`: what each rupture method needs, finds, misses, and who published it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from alliance.cli.output import Format, FormatOption, emit

SHORT = {"false_alarms": "alarms", "cases_flagged": "cases"}


def methods(
    name: Annotated[
        str | None, typer.Argument(metavar="[METHOD]", help="One method, with formulas and parameters.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the rupture methods with their false alarms and power in our simulation, or explain one.

    Example: alliance methods predictive-limit
    """
    from alliance.rupture import get_method
    from alliance.rupture.handbook import FACTS, facts, handbook

    chosen = None if name is None else get_method(name).name
    rows = [row for row in facts() if chosen in {None, row["method"]}]
    if format is Format.TABLE:
        typer.echo("\n".join(_list(rows) if chosen is None else _card(rows[0])))
    elif format is Format.MD and chosen is None:
        typer.echo(handbook(), nl=False)
    else:
        emit(rows, columns=FACTS, format=format)


def _list(rows: list[dict[str, Any]]) -> Iterator[str]:
    from alliance.cli.output import table_text
    from alliance.rupture.handbook import COLUMNS, simulation

    shown = [{SHORT.get(name, name): _figure(name, row[name]) for name in COLUMNS} for row in rows]
    yield table_text(shown, [SHORT.get(name, name) for name in COLUMNS])
    text = (
        "alarms: false alarms per 100 sessions of cases without a rupture; cases: share of them ever "
        "flagged, %; v1, v3, step, ramp: share of ruptures of one session, three sessions, for good, and "
        f"slow ones found, %; delay in sessions. {simulation()['about']}. - was not simulated."
    )
    yield from _wrapped(text, "")


def _figure(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    return round(value, {"false_alarms": 2, "delay": 1}.get(name, 0))


def _card(row: Mapping[str, Any]) -> Iterator[str]:
    from alliance.rupture.handbook import COLUMNS

    kind = "online" if row["online"] else "looks at the whole course, never at today alone"
    yield f"{row['method']}: {kind}"
    yield ""
    for name in ("finds", "needs", "blind", "warning"):
        if row[name]:
            yield from _wrapped(row[name], f"{name}: ")
    yield ""
    for line in row["formula"]:
        yield from _wrapped(line, "    ", "       ")
    yield ""
    for line in row["parameters"]:
        yield from _wrapped(line, "  ")
    known = [name for name in COLUMNS[2:] if row[name] is not None]
    rates = [f"{SHORT.get(name, name)} {_figure(name, row[name]):g}" for name in known]
    if rates:
        yield ""
        yield from _wrapped(", ".join(rates), "simulated: ")
    yield from _wrapped(row["source"], "source: ")


def _wrapped(text: str, lead: str, indent: str = "   ") -> list[str]:
    import textwrap

    from alliance.cli.screen import width

    return textwrap.wrap(
        text,
        width(),
        initial_indent=lead,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
