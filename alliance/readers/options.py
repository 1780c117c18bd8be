"""How a file is to be read where it does not say so itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alliance.readers.mapping import Mapping


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a file is to be read where it does not say so itself.

    `missing` are codes for an unanswered item; `on_error` is to refuse the file ("stop") or to leave out
    what cannot be used ("drop"); `keep` chooses between forms that are there twice and differ;
    `allow_identifiers` reads a file although columns of it may say who a person is. `source` names the system
    the file is from, which is otherwise seen from the file; `dictionary` is a file of that system that says
    what its fields and codes mean; `unfinished` is whether forms that were begun and not sent are read.
    """

    mapping: Mapping | None = None
    missing: tuple[str, ...] = ()
    on_error: Literal["stop", "drop"] = "stop"
    keep: Literal["first", "last"] | None = None
    date_format: Literal["ymd", "dmy", "mdy"] | None = None
    sheet: str | None = None
    encoding: str | None = None
    allow_identifiers: bool = False
    source: str | None = None
    dictionary: Path | None = None
    unfinished: Literal["use", "drop"] | None = None
