"""A coverage-guided fuzzer of the readers: `python tests/fuzz/run.py KIND [flags of libFuzzer]`.

The first two bytes of an input choose how it is read, the rest is the file. The corpus is made of the
samples, in a folder that is gone afterwards. Only `alliance` is instrumented. Every input has to be done with
within ten seconds and 1,500 MB. Exit code 0: nothing but refusals in words; what else was found is printed.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
BOUNDS = ("-max_len=16384", "-timeout=10", "-rss_limit_mb=1500", "-malloc_limit_mb=1000")
LONGEST_SEED = 6000


def kinds():
    """Return kind → its seeds (bytes, ending, form, options) and what is asked of a file."""
    from fuzz import calls, seeds, tables

    asked = dict.fromkeys(seeds.SEEDS, (*calls.FORMS, *calls.TABLES)) | {"mapping": calls.MAPPINGS}
    found = {kind: ([_plain(seed) for seed in own], asked[kind]) for kind, own in seeds.SEEDS.items()}
    found["csv"] = (found["csv"][0], (*asked["csv"], *calls.LANES))
    return found | {"columnar": (list(_columnar(tables)), asked["csv"])}


def _plain(seed):
    from fuzz import seeds

    return seed.raw, seed.suffix, seeds.form(seed.scale), seed.options


def _columnar(tables):
    """Yield small Parquet and Arrow files."""
    import random

    from alliance.readers import ReadOptions
    from fuzz.truth import FORM, study_of

    for number in range(8):
        choices = random.Random(number)
        written = (tables.parquet, tables.feather)[number % 2](choices, study_of(choices))
        yield written.raw, written.suffix, FORM, ReadOptions()


def write_corpus(folder, seeds, asked):
    for place, (raw, *_) in enumerate(seeds):
        short = raw if len(raw) <= LONGEST_SEED or place % 2 else raw[:LONGEST_SEED]
        for call in range(len(asked)):
            (folder / f"{place}-{call}").write_bytes(bytes([place, call]) + short)


def read_in_process():
    """Have workbooks read in this process, so that it is watched; a panic in the foreign code ends nothing.

    The foreign code for SPSS files may end its process, which is why it has one of its own and keeps it.
    """
    import importlib

    from alliance.errors import DataError
    from alliance.readers.sources import excel

    def read(task, raw, asked, *, broken):
        module, name = task.split(":")
        try:
            return getattr(importlib.import_module(module), name)(raw, asked)
        except DataError:
            raise
        except BaseException as error:
            if type(error).__name__ == "PanicException":
                raise broken from None
            raise

    excel.read_apart = read


def fuzz(kind, folder, flags):
    """Run the fuzzer in this process, which it ends."""
    import atheris

    with atheris.instrument_imports(include=["alliance"]):
        from alliance.readers import sources
        from fuzz import calls

        sources.known_sources()
    read_in_process()
    seeds, asked = kinds()[kind]
    warnings.simplefilter("error")

    def try_one(data):
        if len(data) > 2:
            _, suffix, scale, options = seeds[data[0] % len(seeds)]
            with calls.file_of(data[2:], suffix) as path:
                calls.ask([asked[data[1] % len(asked)]], path, scale, options)

    corpus = folder / "corpus"
    if not corpus.exists():
        corpus.mkdir()
        write_corpus(corpus, seeds, asked)
    atheris.Setup([sys.argv[0], *BOUNDS, f"-artifact_prefix={folder}/", *flags, str(corpus)], try_one)
    atheris.Fuzz()


def main(kind, *flags):
    """Run the fuzzer in a process of its own, print what it found, and return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--inside", kind, folder, *flags]
        done = subprocess.run(command, check=False, env={**os.environ, "TMPDIR": folder})
        for path in Path(folder).iterdir():
            if path.is_file():
                sys.stdout.write(f"{path.name}: {path.read_bytes()!r}\n")
        return done.returncode


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    if sys.argv[1:2] == ["--inside"]:
        fuzz(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    elif len(sys.argv) > 1:
        sys.exit(main(*sys.argv[1:]))
    else:
        sys.stdout.write(__doc__)
