"""What the reader tests share: a tiny form, and files written from text."""

import tomllib

import pytest

from alliance.errors import DataError
from alliance.readers import ReadOptions, load
from alliance.readers.mapping import parse_mapping
from alliance.scale import parse_definition

DEMO = parse_definition(
    tomllib.loads("""
id = "demo"
name = "Demonstration form (3 items)"
perspective = "client"
construct = "alliance"
direction = "higher_is_better"
citation = "Invented for tests; not a real instrument."
licence = "CC0-1.0"
status = "verified"
items = 3
min = 1
max = 7
method = "mean"
sources = ["invented for tests"]
anchors = { 1 = "never", 4 = "sometimes", 7 = "always" }
vectors = [{ answers = [1, 2, 3], scores = { total = 2.0 } }]
"""),
    origin="demo.toml",
)


def mapped(text):
    return parse_mapping(tomllib.loads(text), origin="map.toml")


def write(folder, text, *, name="study.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


def read_demo(folder, text, **options):
    path = write(folder, text)
    return load(path, DEMO, options=ReadOptions(**options))


def forms_of(folder, text, **options):
    return read_demo(folder, text, **options).responses["demo"]


def refusal(folder, text, **options):
    with pytest.raises(DataError) as caught:
        read_demo(folder, text, **options)
    return str(caught.value)
