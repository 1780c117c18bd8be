"""Measure `alliance` against named peers and floors, side by side in one run, as ratios.

    python benchmarks/run.py                 all benchmarks, table on the terminal
    python benchmarks/run.py --write         also into benchmarks/README.md
    python benchmarks/run.py help            one benchmark

Every round runs ours and the peer one after the other as whole processes; the ratio is taken inside the
round, so that a busy machine slows both. Medians and the spread of the rounds are printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MARK = "<!-- table -->"
KERNELS = "<!-- kernels -->"

FLOOR = """
import sys, pyarrow as pa, pyarrow.csv as c
items = [f"q{i}" for i in range(1, 13)]
types = {**dict.fromkeys(items, pa.int8()), "session": pa.int16(), "case": pa.string()}
options = c.ConvertOptions(include_columns=["case", "session", *items], column_types=types, null_values=[""])
c.read_csv(sys.argv[1], convert_options=options)
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one process took: wall and CPU seconds, peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Ours beside a peer, over several interleaved rounds."""

    name: str
    peer: str
    ours: list[Cost]
    theirs: list[Cost]

    def row(self) -> str:
        """Return one line of the table."""
        wall, cpu = (
            [getattr(a, field) / getattr(b, field) for a, b in zip(self.ours, self.theirs, strict=True)]
            for field in ("wall", "cpu")
        )
        cells = [self.name, self.peer, _spread(wall), _spread(cpu)]
        cells += [
            f"{statistics.median(each.wall for each in side):.2f} s" for side in (self.ours, self.theirs)
        ]
        cells.append(f"{max(each.peak for each in self.ours):.0f} MiB")
        return f"| {' | '.join(cells)} |"


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"


def run(command: list[str]) -> Cost:
    """Run a process to its end and return what it took."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{told.decode()}")
    return Cost(
        wall=time.perf_counter() - start, cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss / 1024
    )


def compare(name: str, ours: list[str], peer: str, theirs: list[str], *, rounds: int) -> Comparison:
    """Run both in turn, once to warm up and then `rounds` times."""
    pairs = [(run(ours), run(theirs)) for _ in range(rounds + 1)][1:]
    return Comparison(name=name, peer=peer, ours=[a for a, _ in pairs], theirs=[b for _, b in pairs])


def write_study(path: Path, *, n_forms: int, seed: int = 1) -> None:
    """Write a seeded WAI-SR study: 5 to 35 sessions a case, 2 % of answers missing, a fall in a quarter."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 36, n_forms // 15 + 100)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), n_forms)) + 1]
    lengths[-1] -= lengths.sum() - n_forms
    case = np.repeat(np.arange(len(lengths)), lengths)
    session = np.arange(n_forms) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    level = np.repeat(rng.normal(3.8, 0.6, len(lengths)), lengths)
    onset = np.repeat(
        np.where(rng.random(len(lengths)) < 0.25, rng.integers(4, 20, len(lengths)), 99), lengths
    )
    level = level - 1.2 * ((session == onset) | (session == onset + 1))
    answers = np.clip(np.rint(level[:, None] + rng.normal(0, 0.7, (n_forms, 12))), 1, 5).astype(np.int8)
    missing = rng.random((n_forms, 12)) < 0.02
    texts = np.where(missing, b"", answers.astype("S1"))
    with path.open("wb") as file:
        file.write(b"case,session," + b",".join(b"q%d" % i for i in range(1, 13)) + b"\n")
        for row in range(n_forms):
            file.write(b"C%06d,%d," % (case[row], session[row]) + b",".join(texts[row]) + b"\n")


def analyze(folder: Path, rounds: int, n_forms: int) -> list[Comparison]:
    """Compare the main job, with every result file, with parsing the needed columns alone."""
    study = folder / "study.csv"
    make = f"import run, pathlib; run.write_study(pathlib.Path({str(study)!r}), n_forms={n_forms})"
    subprocess.run([sys.executable, "-c", make], cwd=HERE, check=True)
    ours = [
        sys.executable,
        "-m",
        "alliance",
        "analyze",
        str(study),
        "--scale",
        "wai-sr",
        "-o",
        str(folder / "out"),
    ]
    floor = [sys.executable, "-c", FLOOR, str(study)]
    name = f"analyze, {n_forms:,} forms of 12 items"
    return [compare(name, ours, "pyarrow parse, int8, needed columns", floor, rounds=rounds)]


def cold_start(_folder: Path, rounds: int, _n_forms: int) -> list[Comparison]:
    """Compare `--help` and one form with importing what they are made of."""
    alliance = [sys.executable, "-m", "alliance"]
    form = [*alliance, "score", "--scale", "wai-sr", "--answers", "4,3,5,4,4,5,3,4,4,5,4,4"]
    imports = [sys.executable, "-c", "import typer, rich"]
    numbers = [sys.executable, "-c", "import numpy, rich"]
    return [
        compare("--help", [*alliance, "--help"], "import typer, rich", imports, rounds=rounds * 3),
        compare("score one form", form, "import numpy, rich", numbers, rounds=rounds * 3),
    ]


def kernels(n_forms: int) -> str:
    """Return the table of kernels against the peers a researcher would use, in one process."""
    import hazard
    import level_shift
    import rules

    return "\n".join([*rules.table(n_forms), *level_shift.rows(n_forms), *hazard.rows(n_forms)])


BENCHMARKS = {"analyze": analyze, "help": cold_start}


def table(comparisons: list[Comparison], rounds: int) -> str:
    """Return the table and one line about the machine."""
    head = "| ours | against | wall, ratio | CPU, ratio | our wall | its wall | our peak memory |"
    lines = [head, "|---|---|---|---|---|---|---|", *(each.row() for each in comparisons)]
    machine = (
        f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {rounds} rounds; median [least to most]."
    )
    return "\n".join([*lines, "", machine])


def main() -> None:
    """Run what was asked for, print the table, and keep it if wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} or kernels; all by default"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--forms", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    asked = parser.parse_args()
    names = asked.names or [*BENCHMARKS, "kernels"]
    with tempfile.TemporaryDirectory() as folder:
        found = [
            comparison
            for name in names
            if name in BENCHMARKS
            for comparison in BENCHMARKS[name](Path(folder), asked.rounds, asked.forms)
        ]
    if found:
        keep(MARK, table(found, asked.rounds), write=asked.write)
    if "kernels" in names:
        keep(KERNELS, kernels(asked.forms), write=asked.write)


def keep(mark: str, text: str, *, write: bool) -> None:
    """Print a table, and put it between its marks in the README if wanted."""
    print(text)
    if write:
        readme = HERE / "README.md"
        before, _, after = readme.read_text(encoding="utf-8").split(mark)
        readme.write_text(f"{before}{mark}\n{text}\n{mark}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
