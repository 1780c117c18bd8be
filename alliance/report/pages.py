"""What every page shares: one template environment, one style, nothing unescaped."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from alliance.report.words import clean

if TYPE_CHECKING:
    from jinja2 import Environment


def environment() -> Environment:
    """Return the template environment: everything escaped, an unknown name an error.

    Templates include each other by file name. Control characters are taken out of
    every text that reaches a page.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        autoescape=True,
        loader=FunctionLoader(_source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )


def _source(name: str) -> str:
    """Return the text of a template that lies beside this module."""
    return resources.files("alliance").joinpath("report", name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    """Take control characters out of every text that reaches the page; what a macro made is clean."""
    return clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
