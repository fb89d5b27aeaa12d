"""Properties of the project as a whole: imports point one way, the command line starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fcn_deploy

PACKAGE = Path(fcn_deploy.__file__).parent
# Lower rows know nothing of higher ones; within a row, packages do not import each other.
ROWS = [
    {"errors", "optional", "version"},
    {"files", "progress", "spec", "recipe", "recipe_values", "contract", "values", "reading", "resident", "interrupt"}
    | {"streams", "children"},
    {"environment"},
    {"graph", "models", "metrics"},
    {"engine"},
    {"runners", "data"},
    {"inputs"},
    {"precision"},
    {"deploy", "tiling"},
    {"bench", "training", "diagnosis", "doctor", "inspection", "predict"},
    {"report"},
    {"cli"},
]
# Modules at the bottom may use each other.
LOOSE = ROWS[0] | ROWS[1]


def _row(part: str) -> int:
    return next(index for index, row in enumerate(ROWS) if part in row)


def _imports(path: Path) -> set[str]:
    """Parts of the package that a file imports, relative or absolute, at the top or inside a function."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = list(parts[: len(parts) - node.level]) if node.level else []
            full = base + (node.module.split(".") if node.module else [])
            names = [[*full, alias.name] for alias in node.names]
            found |= {name[1] for name in names if name[0] == "fcn_deploy" and len(name) > 1}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("fcn_deploy.")}
    return {part for part in found if not part.startswith("_")}


FILES = [path for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for part in _imports(path) - {own}:
        allowed = _row(part) < _row(own) or (part in LOOSE and own in LOOSE)
        assert allowed, f"{path.relative_to(PACKAGE)} imports {part}"


def test_the_import_test_sees_an_upward_import(tmp_path):
    assert _row("cli") > _row("graph") > _row("spec")
    assert "runners" in _imports(PACKAGE / "cli" / "export.py")


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom fcn_deploy.cli.main import cli\n"
        "result = CliRunner().invoke(cli, ['--help'])\nassert result.exit_code == 0, result.output\n"
        "print([name for name in ('torch', 'numpy', 'onnx', 'onnxruntime', 'rich', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_is_longer_than_a_reader_can_hold():
    long = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in long.items() if lines > 260} == {}
