"""Every file, folder and module that a page or a docstring of the package names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support import ROOT
from tests.support.pages import PAGES

PACKAGE = ROOT / "fcn_deploy"
# graph/load.py, tests/unit/test_project.py; fcn_deploy.runners.registry, fcn_deploy.load
FILE = re.compile(r"(?<![\w/.<-])((?:[A-Za-z_]\w*/)+[a-z_0-9]+\.py)\b")
MODULE = re.compile(r"(?<![\w/.])(fcn_deploy(?:\.[a-z_]\w*)+)\b(?!=)")
IMPORT = re.compile(r"from (fcn_deploy[\w.]*) import (\w+(?:, \w+)*)")
# Keys in the metadata of an ONNX file look like modules.
METADATA = {"fcn_deploy.keep", "fcn_deploy.card", "fcn_deploy.precision"}


def _exists(path: str) -> bool:
    return any((base / path).is_file() for base in (ROOT, PACKAGE))


def _resolves(dotted: str) -> bool:
    """Whether `dotted` is a module of the package, or a name that one of its modules defines."""
    found = _module(dotted)
    if found is not None:
        return True
    owner, _, name = dotted.rpartition(".")
    path = _module(owner)
    return path is not None and re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) is not None


def _module(dotted: str) -> Path | None:
    inside = ROOT.joinpath(*dotted.split("."))
    return next((path for path in (inside.with_suffix(".py"), inside / "__init__.py") if path.is_file()), None)


def _docstrings() -> Iterator[tuple[Path, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
                yield path, text


def _wrong(text: str) -> list[str]:
    files = [path for path in FILE.findall(text) if not _exists(path)]
    imported = [f"{module}.{name}" for module, names in IMPORT.findall(text) for name in names.split(", ")]
    names = [name for name in [*MODULE.findall(text), *imported] if name not in METADATA and not _resolves(name)]
    return files + names


def test_pages_name_only_files_and_modules_that_exist():
    texts = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
    assert {page: wrong for page, text in texts.items() if (wrong := _wrong(text))} == {}


def test_docstrings_name_only_files_and_modules_that_exist():
    assert [(str(path.relative_to(ROOT)), wrong) for path, text in _docstrings() if (wrong := _wrong(text))] == []


def test_a_module_that_has_moved_is_found():
    text = "`graph/fp16.py`, fcn_deploy/files.py and `fcn_deploy.files.atomic_path`; `graph/load.py`, `fcn_deploy.load`"
    assert _wrong(text) == ["graph/fp16.py", "fcn_deploy/files.py", "fcn_deploy.files.atomic_path"]
    assert _wrong("from fcn_deploy.graph import load, weights, fp16") == ["fcn_deploy.graph.fp16"]


def _long_lines(page: Path) -> Iterator[str]:
    """Lines of prose over 120 columns; tables, pictures and code may be wider."""
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if len(line) > 120 and not fenced and not line.startswith(("|", "![", "    ")):
            yield line


def test_prose_on_the_pages_fits_in_120_columns():
    assert {str(page.relative_to(ROOT)): long for page in PAGES if (long := list(_long_lines(page)))} == {}
