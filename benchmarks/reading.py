"""Reading a study into memory: both lanes beside a typed parse that does nothing else, and beside pandas.

    python benchmarks/reading.py
    python benchmarks/reading.py --forms 1000000

Every round runs each reader once in a process of its own, one after the other. Time is taken around the
reading alone, imports done before; the ratio is taken inside the round, against pyarrow parsing the needed
columns of the same file to 8-bit integers. Memory is the peak of the process beyond its imports. What both
lanes read is compared first, cell by cell.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from run import write_study

from alliance.readers import load, loading
from alliance.readers.layout import Odd
from alliance.scale import load_scale

FORMS = 200_000
ROUNDS = 5

TIMED = """
import json, sys, time
items = [f"q{{i}}" for i in range(1, 13)]
{before}
def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
start, wall, cpu = peak(), time.perf_counter(), time.process_time()
{action}
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, peak() - start]))
"""

ARROW = """
import pyarrow as pa, pyarrow.csv as c
types = {**dict.fromkeys(items, pa.int8()), "session": pa.int16(), "case": pa.string()}
options = c.ConvertOptions(include_columns=["case", "session", *items], column_types=types, null_values=[""])
"""
PANDAS = """
import pandas as pd
types = {**dict.fromkeys(items, "float64"), "session": "int64", "case": object}
"""
OURS = """
from pathlib import Path
import pyarrow.csv
from alliance.readers import load, loading, sources
from alliance.readers.layout import Odd
from alliance.scale import load_scale
sources.known_sources()
form = load_scale("wai-sr")
def closed(*_):
    raise Odd("the benchmark says so")
"""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One way to read the file: what it imports, and what is timed."""

    name: str
    before: str
    action: str

    def script(self) -> str:
        """Return the program of its process."""
        return TIMED.format(before=self.before, action=self.action)


FLOOR = Reader(
    name="floor: pyarrow, int8, needed columns",
    before=ARROW,
    action="c.read_csv(sys.argv[1], convert_options=options)",
)
READERS = (
    FLOOR,
    Reader(
        name="the same, as a pandas frame of floats",
        before=ARROW + "import pandas\nfloats = dict.fromkeys(items, float)",
        action="c.read_csv(sys.argv[1], convert_options=options).to_pandas().astype(floats)",
    ),
    Reader(
        name="pandas.read_csv, typed",
        before=PANDAS,
        action="pd.read_csv(sys.argv[1], dtype=types)",
    ),
    Reader(
        name="pandas.read_csv, engine pyarrow",
        before=PANDAS,
        action="pd.read_csv(sys.argv[1], dtype=types, engine='pyarrow')",
    ),
    Reader(
        name="load, fast lane",
        before=OURS,
        action="assert load(Path(sys.argv[1]), form).lane == 'fast'",
    ),
    Reader(
        name="load, tolerant lane",
        before=OURS + "loading.read_whole = closed",
        action="load(Path(sys.argv[1]), form)",
    ),
)


def timed(reader: Reader, path: Path) -> list[float]:
    """Return wall and CPU seconds and the peak in MiB of one reader, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", reader.script(), str(path)], capture_output=True, text=True, check=True
    )
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def require_same(path: Path) -> None:
    """Stop unless both lanes read the file alike, to the bit."""
    form, read = load_scale("wai-sr"), loading.read_whole

    def closed(*_: object) -> None:
        raise Odd("the benchmark says so")

    fast = load(path, form).responses[form.id]
    loading.read_whole = closed  # type: ignore[assignment]
    tolerant = load(path, form).responses[form.id]
    loading.read_whole = read
    pd.testing.assert_frame_equal(fast, tolerant, check_exact=True)


def rows(path: Path, n_rounds: int) -> list[str]:
    """Return the lines of the table: the reader, wall and CPU against the floor, its seconds and memory."""
    rounds = [{reader.name: timed(reader, path) for reader in READERS} for _ in range(n_rounds + 1)][1:]
    return [_row(reader.name, rounds) for reader in READERS]


def _row(name: str, rounds: list[dict[str, list[float]]]) -> str:
    wall, cpu = ([each[name][n] / each[FLOOR.name][n] for each in rounds] for n in (0, 1))
    cells = [
        name,
        *(
            f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"
            for ratios in (wall, cpu)
        ),
    ]
    cells.append(f"{statistics.median(each[name][0] for each in rounds):.2f} s")
    cells.append(f"{max(each[name][2] for each in rounds):.0f} MiB")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write a study, compare what is read, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--forms", type=int, default=FORMS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.csv"
        write_study(path, n_forms=asked.forms)
        require_same(path)
        print("| reader | wall, ratio to the floor | CPU, ratio | wall | memory |\n|---|---|---|---|---|")
        print("\n".join(rows(path, asked.rounds)))
    print(f"\n{asked.forms:,} forms of 12 items, {os.cpu_count()} cores, {asked.rounds} rounds.")


if __name__ == "__main__":
    main()
