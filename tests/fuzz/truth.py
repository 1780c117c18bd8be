"""A small study as it truly is, what a cell says by itself, and what was loaded, to lay one on the other."""

import datetime
import tomllib
from dataclasses import dataclass, field

import pandas as pd

from alliance.scale import parse_definition

WORDS = ("seldom", "sometimes", "fairly often", "very often", "always")
FORM = parse_definition(
    tomllib.loads("""
id = "demo"
name = "Demonstration form (4 items)"
perspective = "client"
construct = "alliance"
direction = "higher_is_better"
citation = "Invented for tests; not a real instrument."
licence = "CC0-1.0"
status = "verified"
items = 4
min = 1
max = 5
method = "mean"
sources = ["invented for tests"]
anchors = { 1 = "seldom", 2 = "sometimes", 3 = "fairly often", 4 = "very often", 5 = "always" }
vectors = [{ answers = [1, 2, 3, 4], scores = { total = 2.5 } }]
"""),
    origin="demo.toml",
)
N_ITEMS = 4
MONDAY = datetime.date(2026, 1, 5)
CODES = (
    "007", "7", "07", "1E5", "100000", "2024-03", "1.0", "1,0", "P;1", "a,b", 'say "x"', "Ü", "ß", "ss", "İ",
    "e\u0301", "é", "=A1", "+7", "-7", "'7", "A 1", "a 1", "x|y", "0x10", "True", "\uff11", "🙂", "1/2",
    "case", "q1", "#7", "A" * 60, "\uff19\uff19", "½", "C01", "c01",
)  # fmt: skip
"""Codes that somebody uses, most of which some program reads as something else."""
PLAIN_CODES = ("007", "7", "07", "1E5", "2024-03", "P1", "p1", "Ü", "A-1", "0x10", "C01", "c01", "A" * 40)
NO_ANSWER = ("", "NA", "n/a", "nan", ".", "-", "NULL")


@dataclass(frozen=True, kw_only=True)
class Written:
    """A study written in one shape: the file, what the user says of it, and what it is called by."""

    raw: bytes
    suffix: str = ".csv"
    said: dict = field(default_factory=dict)
    beside: dict = field(default_factory=dict)
    dated: bool = True


def study_of(random, codes=CODES, *, gaps=True):
    """Return (case, session) → date and answers, in the order of cases and sessions; one answer at least."""
    found = {}
    for case in random.sample(codes, random.randint(1, 4)):
        numbers = [n for n in range(1, 6) if not gaps or random.random() < 0.7] or [1]
        for session in numbers[: random.randint(1, 5)]:
            answers = [random.choice([None, 1, 2, 3, 4, 5, 5, 1]) for _ in range(N_ITEMS)]
            answers[random.randrange(N_ITEMS)] = random.randint(1, 5)
            found[case, session] = (MONDAY + datetime.timedelta(weeks=session - 1), tuple(answers))
    return found


def loaded_study(loaded):
    """Return what was loaded in the form of `study_of`."""
    forms = loaded.responses["demo"]
    answers = forms[[f"q{n}" for n in range(1, N_ITEMS + 1)]].to_numpy(dtype=float)
    rows = zip(forms["case"], forms["session"], forms["date"], answers.tolist(), strict=True)
    found = {
        (case, int(session)): (
            None if pd.isna(date) else date.date(),
            tuple(None if pd.isna(answer) else answer for answer in cells),
        )
        for case, session, date, cells in rows
    }
    assert len(found) == len(forms)
    return found


def without_dates(study):
    return {key: (None, answers) for key, (_, answers) in study.items()}


REFUSED = "refused"
CELLS = {
    "3": 3, " 3 ": 3, "3.0": 3, "3,0": 3, "03": 3, "+3": 3, "3.": 3, "Always": 5, " ALWAYS ": 5,
    "very  often": 4, "4 - very often": 4, "very often (4)": 4, "4 = anything": 4, "": None, "NA": None,
    "n/a": None, ".": None, "-": None, "None": None, "0": REFUSED, "6": REFUSED, "-1": REFUSED,
    "-3": REFUSED, "99": REFUSED, "2-3": REFUSED, "3?": REFUSED, "1.5": REFUSED, "1,5": REFUSED,
    "3 4": REFUSED, "3/4": REFUSED, "\uff13": REFUSED, "٣": REFUSED, "³": REFUSED, "iii": REFUSED,
    "1e0": REFUSED, "0x3": REFUSED, "3\0": REFUSED, "\x033": REFUSED, "3;": REFUSED, "4 - seldom": REFUSED,
    "alwayss": REFUSED, "3%": REFUSED, "--3": REFUSED, "=3": REFUSED, "@3": REFUSED, "inf": REFUSED,
    "1e999": REFUSED, "9" * 400: REFUSED, "true": REFUSED, "3\u200b": REFUSED, "2026-01-05": REFUSED,
    "3 3": REFUSED, "3,000.0": REFUSED, "3.0.0": REFUSED, "x": REFUSED, "?": REFUSED,
}  # fmt: skip
"""What a single answer cell says, by hand: a number of 1 to 5, no answer, or nothing that can be used."""
