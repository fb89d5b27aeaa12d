"""docs/python.md names every public function, calls them as their signatures allow, and runs from top to bottom."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import fcn_deploy
from tests.support import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def _calls() -> list[tuple[str, ast.Call]]:
    """Return each call of a name of fcn_deploy in the blocks."""
    nodes = [node for block in BLOCKS for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    return [(node.func.attr, node) for node in nodes if ast.unparse(node.func).startswith("fcn_deploy.")]


def test_the_page_calls_every_public_function_and_no_other():
    assert {name for name, _ in _calls()} <= set(fcn_deploy.__all__)
    functions = {name for name in fcn_deploy.__all__ if inspect.isfunction(getattr(fcn_deploy, name))}
    assert functions <= {name for name, _ in _calls()}


def test_arguments_fit_the_signatures():
    for name, call in _calls():
        keywords = {str(keyword.arg): None for keyword in call.keywords}
        inspect.signature(getattr(fcn_deploy, name)).bind(*call.args, **keywords)


@pytest.mark.long
def test_the_blocks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tensorrt_rtx")
    monkeypatch.chdir(tmp_path)
    small = re.sub(r"synthetic:\d+:(\d)", r"synthetic:2:\1:48x64", "\n".join(BLOCKS))
    small = small.replace("epochs=40", "epochs=1").replace("seconds=5", "seconds=0.2, saturation=0, memory=False")
    exec(compile(small, "docs/python.md", "exec"), {})
    assert (tmp_path / "masks" / "photo.overlay.jpg").exists()


def test_docstrings_name_each_argument_by_itself():
    """The Python reference is made from them, and one entry for two arguments is none of either."""
    wrong = []
    for name in fcn_deploy.__all__:
        function = getattr(fcn_deploy, name)
        found = re.search(r"^Args:\n((?:    .*\n|\n)+)", inspect.getdoc(function) or "", re.MULTILINE)
        if inspect.isfunction(function) and found:
            entries = re.findall(r"^    (\w[^:]*):", found[1], re.MULTILINE)
            wrong += [(name, entry) for entry in entries if entry not in inspect.signature(function).parameters]
    assert wrong == []
