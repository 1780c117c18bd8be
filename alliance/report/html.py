"""One self-contained page: no script, no network, every chart with its numbers as a table."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from alliance.report import chart, words
from alliance.report.view import StudyView

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "report.html.j2"


def page(view: StudyView) -> str:
    """Return a study as one HTML page that needs nothing beside itself.

    Parameters
    ----------
    view : StudyView
        The study; its cases are listed and drawn in the order given.

    Returns
    -------
    str
        The page, ending with a newline, the same for the same view. Text from
        the data is escaped, without control characters. The page asks the
        browser to refuse every script and every request.
    """
    source = resources.files("alliance").joinpath("report", TEMPLATE).read_text(encoding="utf-8")
    return _environment().from_string(source).render(view=view, footer=view.footer or words.FOOTER)


def _environment() -> Environment:
    """Return the template environment: everything escaped, an unknown name an error."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.globals.update(
        charts=chart.charts,
        frame=chart,
        levels=words.LEVELS,
        number=words.number,
        points=words.points,
        rupture=words.rupture,
        basis=words.basis,
        when=words.when,
        size=words.size,
        count=words.count,
    )
    return environment


def _shown(value: object) -> object:
    """Take control characters out of every text that reaches the page."""
    return words.clean(value) if isinstance(value, str) else value
