"""Files that are read by foreign code, in a process of its own: what ends that process ends no run.

The readers of workbooks and of SPSS, Stata and SAS files are written in Rust and C; a damaged file can make
them stop the process they run in, or ask for all memory there is. The process gets the bytes, and gives back
JSON: it opens no file of the user's and writes none.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from alliance.errors import DataError

LONGEST_SECONDS = 600
LEAST_MEMORY = 3 << 30
MEMORY_PER_BYTE = 64
"""How much memory the process may ask for: so much, or so many times the size of the file."""
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from alliance.readers import apart
apart.main(*sys.argv[2:])
"""
_REFUSED = "refused"


def read_apart(task: str, raw: bytes, asked: dict[str, Any], *, broken: DataError) -> dict[str, Any]:
    """Return what a function makes of the bytes of a file, run in a process of its own.

    Parameters
    ----------
    task : str
        Module and function, such as `alliance.readers.sources.statistics_apart:read`. It takes the bytes and
        `asked`, and returns what JSON can hold.
    raw : bytes
        The file.
    asked : dict
        How it is to be read, as JSON can hold it.
    broken : DataError
        What is raised if the process ends badly, or takes longer than LONGEST_SECONDS.

    Raises
    ------
    DataError
        As the function raises it, or `broken`.
    """
    where = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
    command = [sys.executable, "-P", "-c", _START, json.dumps(where), task, json.dumps(asked)]
    try:
        done = subprocess.run(command, input=raw, check=False, capture_output=True, timeout=LONGEST_SECONDS)
        answer: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        raise broken from None
    if not answer:
        raise broken
    if _REFUSED in answer:
        raise DataError(**answer[_REFUSED])
    return answer


def main(task: str, asked: str) -> None:
    """Read the file on standard input as `asked` says, and write what it holds to standard output."""
    raw = sys.stdin.buffer.read()
    _limit(len(raw))
    module, name = task.split(":")
    try:
        answer = getattr(importlib.import_module(module), name)(raw, json.loads(asked))
    except DataError as error:
        trouble = error.troubles[0]
        answer = {_REFUSED: {"what": trouble.what, "where": trouble.where, "hint": trouble.hint}}
    sys.stdout.buffer.write(json.dumps(answer).encode())


def _limit(size: int) -> None:
    """Let this process have only so much memory, and leave no image of it on disk if it dies."""
    if os.name != "posix":
        return
    import resource

    most = max(LEAST_MEMORY, MEMORY_PER_BYTE * size)
    for what, limit in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (limit, resource.getrlimit(what)[1]))
