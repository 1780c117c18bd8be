"""One self-contained page: no script, no network, every chart with its numbers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alliance.report import chart, pages, words
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
    cases = list(enumerate(view.cases, start=1))
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            view=view,
            review=[entry for entry in cases if entry[1].level == "REVIEW"],
            more=[entry for entry in cases if entry[1].level != "REVIEW"],
            footer=view.footer or words.FOOTER,
        )
    )


def _environment() -> Environment:
    """Return the environment of pages, with the words and charts of a study."""
    environment = pages.environment()
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
        counts=words.counts,
    )
    return environment
