"""What the documents say is so: commands exist, blocks run, output is as shown."""

import re
import shlex
from pathlib import Path

import pytest

from alliance.frames import ATTENDANCE
from alliance.readers.mapping import Mapping
from alliance.rupture import METHODS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(not (ROOT / "data").is_dir(), reason="needs a checkout")


def test_the_readme_names_every_command(command):
    listed = re.findall(r"^  ([a-z]+) ", command("--help").out.split("Commands:")[1], re.MULTILINE)
    assert len(listed) >= 7
    for name in listed:
        assert f"`alliance {name}" in README, name


@pytest.mark.parametrize("block", re.findall(r"```console\n(.*?)```", README, re.DOTALL))
def test_the_terminal_output_is_what_a_person_sees(command, tmp_path, monkeypatch, block):
    monkeypatch.chdir(tmp_path)
    line, *shown = block.rstrip("\n").split("\n")
    words = shlex.split(line.removeprefix("$ alliance "))
    done = command(*(ROOT / word if word.startswith("data/") else word for word in words))
    text = done.out
    for part in "\n".join(shown).split("\n...\n"):
        assert part in text
        text = text[text.index(part) :]


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_python_example_runs(monkeypatch, block):
    monkeypatch.chdir(ROOT)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert len(names["flags"])
    assert len(names["risk"]) == 40


def test_each_command_for_a_fresh_machine_is_one_line():
    for name in ("run", "test"):
        found = re.search(rf"<!-- command: {name} -->\n```\n(.*?)\n```\n<!-- end -->", README, re.DOTALL)
        assert found
        assert "\n" not in found[1]
        assert found[1].startswith("python3 -m venv .venv && ")


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_the_methods_page_has_every_registered_method():
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for name, method in METHODS.items():
        assert f"## `{name}`" in text
        assert method.source in text


def test_the_formats_page_has_every_word_of_attendance_and_every_mapping_field():
    text = (ROOT / "docs" / "file-formats.md").read_text(encoding="utf-8")
    for word in ATTENDANCE:
        assert word in text
    for field in Mapping.__dataclass_fields__:
        assert {"worded": "answers", "source": "from"}.get(field, field) in text, field
