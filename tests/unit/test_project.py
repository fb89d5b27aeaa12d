"""Properties of the project as a whole: imports point one way, the command line starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import fcn_deploy

PACKAGE = Path(fcn_deploy.__file__).parent
UNIT = Path(__file__).parent
# Not after a module: doubles in tests/api, pages, the distribution, benchmarks/, the package as a whole.
NOT_OF_A_MODULE = {"api", "docs", "distribution", "benchmarks", "test_project.py", "test_api.py"}
# Lower rows know nothing of higher ones; within a row, packages do not import each other.
ROWS = [
    {"errors", "version"},
    {"vocabulary"},
    {"system", "network_size"},
    {"card", "model_file"},
    {"contract", "recipe", "page"},
    {"metrics", "data", "graph"},
    {"models", "audit"},
    {"onnx_export", "engine"},
    {"runners"},
    {"sources", "tiling"},
    {"quantization"},
    {"engine_build"},
    {
        "adoption",
        "data_check",
        "packaging",
        "evaluation",
        "diagnosis",
        "doctor",
        "inspection",
        "prediction",
        "training",
    },
    {"benchmark", "drift"},
    {"choice"},
    {"cli"},
]


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


def test_imports_point_down():
    upward = []
    for path in FILES:
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        upward += [
            f"{path.relative_to(PACKAGE)} imports {part}" for part in _imports(path) - {own} if _row(part) >= _row(own)
        ]
    assert upward == []


def test_the_import_test_sees_an_upward_import(tmp_path):
    assert _row("cli") > _row("graph") > _row("card")
    assert "onnx_export" in _imports(PACKAGE / "cli" / "commands" / "export.py")


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom fcn_deploy.cli.main import cli\n"
        "for command in ((), *((name,) for name in cli.commands)):\n"
        "    result = CliRunner().invoke(cli, [*command, '--help'])\n    assert result.exit_code == 0, result.output\n"
        "print([name for name in ('torch', 'numpy', 'onnx', 'onnxruntime', 'rich', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_is_longer_than_a_reader_can_hold():
    long = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in long.items() if lines > 250} == {}


def test_no_folder_has_more_modules_than_a_reader_can_hold():
    modules = Counter(str(path.parent.relative_to(PACKAGE)) for path in FILES)
    assert {folder: count for folder, count in modules.items() if count > 16} == {}


def _imported_files(path: Path) -> set[Path]:
    """Modules of the package that a file imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("fcn_deploy"):
            module = PACKAGE.parent.joinpath(*node.module.split("."))
            names = [module / f"{alias.name}.py" for alias in node.names]
            found |= {file for file in (module.with_suffix(".py"), *names) if file.is_file()}
    return found - {path}


def test_imports_have_no_circle():
    waiting = {path: _imported_files(path) for path in FILES}
    while done := [path for path, needs in waiting.items() if not needs & waiting.keys()]:
        for path in done:
            del waiting[path]
    assert sorted(str(path.relative_to(PACKAGE)) for path in waiting) == []


def test_the_circle_test_sees_imports_inside_functions():
    assert PACKAGE / "benchmark" / "bench.py" in FILES
    assert PACKAGE / "benchmark" / "run.py" in _imported_files(PACKAGE / "benchmark" / "bench.py")


def _tested_module(test: Path) -> Path | None:
    """The module that a test file's place and name stand for: test_<module>.py or test_<module>_<aspect>.py."""
    words = test.stem.split("_")[1:]
    names = ["_".join(words[:count]) + ".py" for count in range(len(words), 0, -1)]
    folder = PACKAGE / test.parent.relative_to(UNIT)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def test_each_unit_test_is_where_its_module_is():
    tests = [test for test in UNIT.rglob("test_*.py") if test.relative_to(UNIT).parts[0] not in NOT_OF_A_MODULE]
    lost = [str(test.relative_to(UNIT)) for test in tests if _tested_module(test) is None]
    assert lost == [], "call it tests/unit/FOLDER/test_MODULE[_ASPECT].py, after fcn_deploy/FOLDER/MODULE.py"


def test_each_integration_test_is_named_after_a_command():
    """test_<command>[_<aspect>].py, but for what runs several commands."""
    several = {
        "test_bad_input",
        "test_checkpoint_kinds",
        "test_data_paths",
        "test_guide",
        "test_model_kinds",
        "test_tensorrt_bindings",
    }
    commands = [path.stem for path in (PACKAGE / "cli" / "commands").glob("*.py")]
    stems = {path.stem for path in (UNIT.parent / "integration").glob("test_*.py")} - several
    assert {stem for stem in stems if not any(f"{stem}_".startswith(f"test_{name}_") for name in commands)} == set()


def test_no_two_classes_of_the_package_have_one_name():
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_plain_data_and_text_of_results_have_their_modules():
    """The convention of CONTRIBUTING: `to_plain` belongs to the result, `render` to text.py or bench's report."""
    places: dict[str, set[str]] = {"to_plain": set(), "render": set()}
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name in places:
                places[node.name].add(str(path.relative_to(PACKAGE)))
    assert {name for name in places["to_plain"] if not name.endswith("/plain.py")} == set()
    rendering = {name for name in places["render"] if not name.endswith("/text.py")}
    assert {name for name in rendering if not name.startswith("benchmark/report/")} == set()
