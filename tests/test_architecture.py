"""The layering: imports run one way, nothing heavy loads for help, no stray printing or asserting."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "alliance"

LAYERS = {
    "errors": {"cells"},
    "arrow": set(),
    "special": set(),
    "cells": set(),
    "places": set(),
    "claims": set(),
    "consistency": set(),
    "schema": {"claims", "consistency"},
    "held": {"errors", "places"},
    "scale": {"claims", "errors", "held", "places", "schema"},
    "frames": {"scale"},
    "courses": {"errors"},
    "psychometrics": {"courses"},
    "scoring": {"errors", "frames", "scale"},
    "definition": {"errors", "schema", "scale", "scoring"},
    "interpretation": {"claims", "courses", "scale"},
    "exchange": {"definition", "errors", "scale"},
    "reliable": {"courses", "special"},
    "shape": {"courses", "errors"},
    "dyads": {"courses", "errors", "special"},
    "rupture": {
        "special", "claims", "errors", "courses", "frames", "places", "psychometrics", "reliable", "scale",
    },
    "evaluation": {"courses", "errors", "frames", "psychometrics", "rupture", "scale"},
    "dropout": {"errors", "courses", "frames", "psychometrics", "scale", "special"},
    "outcome": {"courses", "errors", "frames", "psychometrics", "scale", "special"},
    "recognition": {"scale"},
    "texts": {"errors"},
    "pseudonyms": {"errors"},
    "readers": {"arrow", "cells", "errors", "frames", "recognition", "scale", "scoring"},
    "report": {"arrow", "cells", "errors", "frames"},
    "simulate": {"errors", "scale"},
    "study": {
        "claims", "courses", "dropout", "errors", "frames", "psychometrics", "readers", "report", "rupture",
        "scale", "scoring",
    },
    "citations": {"claims", "errors", "places", "rupture", "scale"},
    "writers": {"arrow", "cells", "errors", "exchange", "frames", "report", "scale"},
    "cli": {
        "cells", "citations", "claims", "courses", "definition", "dropout", "dyads", "errors", "evaluation",
        "exchange", "frames", "held", "interpretation", "outcome", "places", "pseudonyms", "readers",
        "report", "rupture", "scale", "schema", "scoring", "shape", "simulate", "study", "texts", "writers",
    },
}  # fmt: skip
"""Module → the modules it may import. Changing this table is how a change of layering is proposed."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem[0] != "_")


def layer_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "alliance":
            names = [f"alliance.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name for name in names if name.startswith("alliance."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_table_of_layers(path):
    layer = layer_of(path)
    others = {name.split(".")[1] for name in imported(path)} - {layer, "__version__"}
    assert others <= LAYERS[layer]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_stays_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_stay_short_and_say_nothing_on_their_own(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"assert at line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"print at line {node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            assert getattr(node.type, "id", "named") not in {"Exception", "BaseException"}
            assert node.type is not None, f"bare except at line {node.lineno}"
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 40, f"{node.name} has {length} lines"


HEAVY = ("pandas", "scipy", "pyarrow", "numpy", "jinja2", "python_calamine")


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], HEAVY),
        (["analyze", "--help"], HEAVY),
        (["scales", "list"], HEAVY),
        (["score", "--scale", "srs", "--answers", "9,9,9,9"], ("pandas", "scipy", "pyarrow", "jinja2")),
    ],
    ids=" ".join,
)
def test_light_commands_load_nothing_heavy(arguments, absent):
    script = (
        "import sys\nfrom alliance.cli import app\n"
        f"sys.argv = ['alliance', *{arguments!r}]\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {absent!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_run_over_a_plain_file_waits_for_neither_pandas_nor_scipy(tmp_path):
    lines = [f"C1,{session},9,9,9,{score}" for session, score in enumerate([9, 8, 9, 9, 9, 2, 9], 1)]
    file = tmp_path / "plain.csv"
    file.write_text("\n".join(["case,session,q1,q2,q3,q4", *lines]) + "\n", encoding="utf-8")
    script = (
        "import sys\nfrom alliance.cli import main\n"
        f"sys.argv = ['alliance', 'analyze', {str(file)!r}, '--scale', 'srs']\n"
        f"sys.argv += ['-o', {str(tmp_path / 'out')!r}]\n"
        "main_exit = 0\ntry:\n    main()\nexcept SystemExit as ended:\n    main_exit = ended.code\n"
        "print(main_exit, [name for name in ('pandas', 'scipy') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"


def test_importing_the_package_loads_nothing_heavy():
    script = f"import sys, alliance; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_load_on_first_use():
    import alliance

    for name in alliance.__all__:
        assert getattr(alliance, name)
    assert set(alliance.__all__) <= set(dir(alliance))
    with pytest.raises(AttributeError, match=r"module 'alliance' has no attribute 'scor'"):
        alliance.scor  # noqa: B018  the attribute is the point
