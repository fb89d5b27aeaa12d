"""The functions of `fcn_deploy`: light to import, typed, with examples that run, and the command line's defaults."""

from __future__ import annotations

import ast
import doctest
import inspect
import subprocess
import sys

import pytest

import fcn_deploy

FUNCTIONS = [name for name in fcn_deploy.__all__ if name[0].islower()]
SECTIONS = {"Returns:", "Raises:", "Example:"}


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, fcn_deploy\nprint([name for name in ('torch', 'numpy', 'onnx', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_type_checkers_see_the_names_that_are_imported_lazily():
    tree = ast.parse(inspect.getsource(fcn_deploy))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    seen = {alias.name: line.module for line in block.body for alias in line.names}  # type: ignore[attr-defined]
    assert seen == fcn_deploy._MODULES
    assert fcn_deploy.__all__ == sorted([*seen, "__version__"])
    assert set(seen) <= set(dir(fcn_deploy))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fcn_deploy' has no attribute 'evalute'"):
        fcn_deploy.evalute  # noqa: B018


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_docstring_says_what_comes_back_and_what_is_raised_and_its_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function = getattr(fcn_deploy, name)
    text = inspect.getdoc(function) or ""
    assert set(text.splitlines()) >= SECTIONS
    parameters = inspect.signature(function).parameters.keys() - {"progress"}
    assert [parameter for parameter in parameters if parameter not in text] == []
    (example,) = doctest.DocTestFinder(recurse=False).find(function, name)
    assert example.examples
    report: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert failed == 0, "".join(report)
