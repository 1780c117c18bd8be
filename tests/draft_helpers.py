"""A drafted mapping, confirmed as a person would: questions switched on, dots filled in, and nothing else."""

from collections.abc import Iterable, Mapping

from readers_helpers import mapped

from alliance.readers.mapping import Mapping as ColumnMapping

QUESTION = "#? "


def entry_of(line: str) -> str:
    """Return the entry of a line of a draft without its evidence."""
    return line.removeprefix(QUESTION).split("  # ")[0]


def confirm(
    draft: str, switched: Iterable[str] = (), filled: Mapping[str, object] | None = None
) -> ColumnMapping:
    """Return the draft as a mapping, with questions switched on; `filled` is key → what stands for the dots.

    Every question that is named has to be there; of two that are the same the first is meant.
    """
    lines = draft.splitlines()
    for wanted in switched:
        place = next(
            (n for n, line in enumerate(lines) if line.startswith(QUESTION) and entry_of(line) == wanted),
            None,
        )
        assert place is not None, f"no question {wanted!r} in\n{draft}"
        lines[place] = lines[place].removeprefix(QUESTION)
    for key, value in (filled or {}).items():
        place = next((n for n, line in enumerate(lines) if entry_of(line).startswith(f"{key} = ")), None)
        assert place is not None, f"no dots {key!r} in\n{draft}"
        assert "…" in entry_of(lines[place]), lines[place]
        lines[place] = f"{key} = {value}"
    return mapped("\n".join(lines))


def questions(draft: str) -> list[str]:
    """Return every question of a draft without its evidence."""
    return [entry_of(line) for line in draft.splitlines() if line.startswith(QUESTION)]


def live(draft: str) -> list[str]:
    """Return every live line of a draft without its evidence."""
    return [entry_of(line) for line in draft.splitlines() if line and not line.startswith("#")]
