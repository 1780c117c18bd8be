"""What every test may use: the command line, run in this process as a user would run it."""

import sys
from dataclasses import dataclass

import pytest

from alliance.cli import main


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command gave: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys, monkeypatch):
    """Run `alliance` with the arguments given, at 80 columns, and return what it gave."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["alliance", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Done(code=ended.value.code or 0, out=captured.out, err=captured.err)

    hook = sys.excepthook
    yield run
    sys.excepthook = hook
