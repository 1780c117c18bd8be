"""What a reader finds on its way: cells and rows that cannot be used, and what a person must be told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.errors import DataError, Trouble
from alliance.frames import REJECTED

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]

PLACES_IN_NOTE = 5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of problem: its name in `rejected.csv`, its sentence for one and for many, and the way out."""

    label: str
    one: str
    many: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Log:
    """Everything found while one file is read; filled from top to bottom.

    `troubles` concern the file as a whole, `absences` what it lacks and one may do without, `problems`
    single cells and rows (columns of REJECTED and `column`, the file's own name); `notes` must be told.
    `contested` are roles whose column a trouble is about.
    """

    troubles: list[Trouble] = field(default_factory=list)
    absences: list[Trouble] = field(default_factory=list)
    problems: list[tuple[Kind, pd.DataFrame]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    contested: set[str] = field(default_factory=set)

    def trouble(self, what: str, *, where: Iterable[str] = (), hint: str = "") -> None:
        """Note down something that is wrong with the file as a whole."""
        self.troubles.append(Trouble(what=what, where=tuple(where), hint=hint))

    def absence(self, what: str, *, where: Iterable[str] = (), hint: str = "") -> None:
        """Note down what the file lacks; the rest can be used if the user says so."""
        self.absences.append(Trouble(what=what, where=tuple(where), hint=hint))

    def problem(self, kind: Kind, rows: pd.DataFrame, **cells: Any) -> None:
        """Note down `rows` (line, case, session, rater) not usable; `cells` add item, value, column."""
        if len(rows):
            filled = {"item": "", "value": "", "column": "", **cells}
            frame = rows[["line", "case", "session", "rater"]].assign(**filled, problem=kind.label)
            self.problems.append((kind, frame))

    def note(self, what: str, where: Iterable[str] = ()) -> None:
        """Note down something a person must be told, with the first few places."""
        self.notes.append(told(what, where))

    def all_troubles(self) -> list[Trouble]:
        """Return the troubles, then the problems grouped by kind, each with its places."""
        import pandas as pd

        grouped: dict[Kind, list[pd.DataFrame]] = {}
        for kind, frame in self.problems:
            grouped.setdefault(kind, []).append(frame)
        cells = [_as_trouble(kind, pd.concat(parts)) for kind, parts in grouped.items()]
        return [*self.troubles, *self.absences, *cells]

    def rejected(self) -> pd.DataFrame:
        """Return every cell and row that cannot be used, by line; columns of REJECTED."""
        import pandas as pd

        frames = [frame[list(REJECTED)] for _, frame in self.problems]
        table = pd.concat(frames, ignore_index=True) if frames else empty_rejected()
        return table.sort_values("line", kind="stable", ignore_index=True)


def stop_if_wrong(log: Log, on_error: str) -> None:
    """Raise DataError with all that is wrong, or only if the file as a whole is, under "drop"."""
    if log.troubles or (on_error == "stop" and (log.absences or log.problems)):
        raise DataError.of(log.all_troubles())


def empty_rejected() -> pd.DataFrame:
    """Return a REJECTED frame without rows."""
    import pandas as pd

    kinds = {"line": "int64", "session": "Int64"}
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "object")) for name in REJECTED})


def told(what: str, where: Iterable[str] = ()) -> str:
    """Return a sentence with the first few places it is about.

    >>> told("2 rows not read", ["line 3", "line 9"])
    '2 rows not read: line 3; line 9'
    """
    places = tuple(where)
    shown = "; ".join(places[:PLACES_IN_NOTE])
    more = f"; and {len(places) - PLACES_IN_NOTE} more" if len(places) > PLACES_IN_NOTE else ""
    return f"{what}: {shown}{more}" if places else what


def in_file(trouble: Trouble, name: str) -> Trouble:
    """Return the trouble with the name of the file at every place."""
    where = tuple(f"{name}, {place}" for place in trouble.where) or (name,)
    return Trouble(what=trouble.what, where=where, hint=trouble.hint, shown=trouble.shown)


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return the number with its noun.

    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: Sequence[str], *, most: int = 12) -> str:
    """Return the names with commas, the first `most` of them and a count of the rest.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def places(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return one place a row, as a person would point at it: line, case, session, and the cell if named."""
    return tuple(_place(row) for row in rows.to_dict("records"))


def _place(row: dict[Any, Any]) -> str:
    import pandas as pd

    parts = [f"case {row['case']}" if row["case"] else "no case"]
    if not pd.isna(row["session"]):
        parts.append(f"session {row['session']}")
    if row.get("item"):
        parts.append(_cell(row))
    return f"line {row['line']}: {', '.join(parts)}"


def _cell(row: dict[Any, Any]) -> str:
    item, column, value = row["item"], row.get("column", ""), row["value"]
    name = item if column in {"", item} else f"{column} ({item})"
    return f"{name} = {value}" if value else name


def _as_trouble(kind: Kind, rows: pd.DataFrame) -> Trouble:
    what = counted(len(rows), kind.one, kind.many)
    ordered = rows.sort_values("line", kind="stable")
    return Trouble(what=what, where=places(ordered), hint=kind.hint)
