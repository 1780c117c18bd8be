"""What is said about every method: its entry in the registry, its parameters, its rates in our simulation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alliance.places import bundled
from alliance.rupture.catalogue import METHODS
from alliance.rupture.parameters import Parameter, parameters_of
from alliance.rupture.registry import Method

TABLE = "detectors.json"
SHAPES = ("v1", "v3", "step", "ramp")
COLUMNS = ("method", "online", "false_alarms", "cases_flagged", *SHAPES, "delay")
FACTS = (
    *COLUMNS, "finding", "needs", "finds", "blind", "formula", "parameters", "source", "warning",
)  # fmt: skip


def simulation() -> dict[str, Any]:
    """Return the table that `benchmarks/detectors.py` made: its seed, its settings, one row a detector."""
    content: dict[str, Any] = json.loads((bundled("data") / TABLE).read_text(encoding="utf-8"))
    return content


def facts() -> list[dict[str, Any]]:
    """Return one row for each method, with its rates at its own defaults where they were simulated."""
    rates = {row["method"]: row for row in simulation()["rows"] if row["default"]}
    return [_facts(method, rates.get(name, {})) for name, method in METHODS.items()]


def _facts(method: Method, rates: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": method.name,
        "online": method.online,
        **{name: rates.get(name) for name in COLUMNS[2:]},
        "finding": method.finding,
        "needs": method.needs,
        "finds": method.finds,
        "blind": method.blind,
        "formula": list(method.formula),
        "parameters": [_parameter(each) for each in parameters_of(method.name) if each.methods],
        "source": method.source,
        "warning": method.warning,
    }


def _parameter(parameter: Parameter) -> str:
    symbol = f" ({parameter.symbol})" if parameter.symbol and parameter.symbol != parameter.name else ""
    default = "" if parameter.default in {None, False} else f" [{parameter.default}]"
    return f"{parameter.name}{symbol}: {parameter.help}{default}"


def handbook() -> str:
    """Return the chapter on the methods as Markdown: a table, then each method with its formulas."""
    lines = ["<!-- made by `alliance methods --format md`; a test compares them -->", ""]
    lines += [*_overview(), "", *_rates(), ""]
    for row in facts():
        lines += [*_chapter(row), ""]
    return "\n".join(lines).rstrip() + "\n"


def _overview() -> Iterator[str]:
    yield "| method | online | needs | finds |"
    yield "|---|---|---|---|"
    for row in facts():
        yield f"| `{row['method']}` | {'yes' if row['online'] else 'no'} | {row['needs']} | {row['finds']} |"


def _rates() -> Iterator[str]:
    """Yield the simulation table, and how it was made."""
    table = simulation()
    yield f"Rates in our simulation ({table['about']}):"
    yield ""
    yield from rate_lines(table["rows"])


def rate_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield rows of the simulation table as Markdown."""
    heads = ("detector", "false alarms per 100 sessions", "cases falsely flagged", "V1", "V3", "step", "ramp")
    yield f"| {' | '.join(heads)} | delay |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        shares = " | ".join(f"{row[name]:.0f} %" for name in SHAPES)
        yield (
            f"| {row['detector']} | {row['false_alarms']:.2f} | {row['cases_flagged']:.0f} % | {shares} "
            f"| {row['delay']:.1f} |"
        )


def _chapter(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"## `{row['method']}` ({'online' if row['online'] else 'looks at the whole course'})"
    yield ""
    yield f"Finds {row['finds']}. Needs {row['needs']}."
    yield ""
    yield from (f"    {line}" for line in row["formula"])
    yield ""
    yield from (f"* {line}." for line in row["parameters"])
    yield f"* Blind: {row['blind']}."
    if row["warning"]:
        yield f"* Warning: {row['warning']}."
    yield f"* Source: {row['source']}."
