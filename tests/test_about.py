"""What the tool says about its own use: shipped, shown, and the same in both places."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = (ROOT / "alliance" / "intended_use.md").read_text(encoding="utf-8")


def test_about_prints_the_text_that_ships_with_the_package(command):
    done = command("--about")
    assert (done.code, done.out, done.err) == (0, SHIPPED, "")


def test_about_comes_before_any_command(command):
    assert command("--about", "analyze").out == SHIPPED


def test_the_help_names_about(command):
    assert "--about               Show intended use, limits, privacy." in command("--help").out


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs a checkout")
def test_the_document_is_the_shipped_text():
    assert (ROOT / "docs" / "intended-use.md").read_text(encoding="utf-8") == SHIPPED


def test_it_is_short_and_fits_eighty_columns():
    lines = SHIPPED.splitlines()
    assert len(lines) < 120
    assert max(map(len, lines)) <= 80


def test_it_reads_as_plain_text():
    assert not re.search(r"\]\(|<[a-z/]|\*\*|\t|^\|", SHIPPED, re.MULTILINE)


@pytest.mark.parametrize(
    "words",
    [
        "research and supervision aid",
        "not legal or medical advice",
        "detection of crisis, suicidality or risk of harm: it assesses none of them",
        "diagnosis, or the choice of a treatment",
        "automated decisions, or automated contact",
        "rating, ranking or paying therapists",
        "NO_FLAG does not mean low risk",
        "Most clients flagged do not drop out",
        "There is no evidence that a dropout flag by itself reduces dropout",
        "odds ratio 1.19 (1.03 to 1.38; de Jong et al. 2021)",
        "d = .55 (Sharf, Primavera & Diener 2010, 11 studies)",
        "fewer than 1 % of clients (Xiao et al. 2023)",
        "MDCG 2019-11 Rev. 1 (June 2025)",
        "520(o)(1)(E)",
        "numbers from memory",
        "no network, no telemetry",
        "Pseudonymised data are still personal data",
        "`alliance pseudonymise`",
        "--study-days",
        "--allow-identifiers",
    ],
)
def test_it_says_what_must_be_said(words):
    assert words in " ".join(SHIPPED.split())
