"""The scripts that the pages give to readers do what the pages say."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

import fcn_deploy
from fcn_deploy.recipe import Recipe, load_recipe
from tests.support import ROOT
from tests.support.bench_records import ROWS, with_rows


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def script(name: str, language: str, holds: str) -> str:
    """The only block of the page in that language with that text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if holds in block]
    return found


def run(block: str) -> None:
    exec(compile(block, "page", "exec"), {})


def test_the_gate_against_pytorch_passes_and_fails(monkeypatch: pytest.MonkeyPatch):
    gate = script("ci-gate.md", "python", "sys.exit")
    (call,) = [
        node
        for node in ast.walk(ast.parse(gate))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "fcn_deploy.bench"
    ]
    inspect.signature(fcn_deploy.bench).bind(*call.args, **{str(word.arg): None for word in call.keywords})
    reference, worse, *_ = ROWS
    monkeypatch.setattr(fcn_deploy, "bench", lambda *_, **__: with_rows(reference))
    run(gate)
    monkeypatch.setattr(fcn_deploy, "bench", lambda *_, **__: with_rows(reference, worse))
    with pytest.raises(SystemExit, match=r"onnxruntime is not within 0\.3 points of PyTorch's mIoU"):
        run(gate)


def test_the_recipe_of_the_page_is_one_and_its_table_has_every_field(tmp_path: Path):
    (tmp_path / "mine.toml").write_text(script("recipes.md", "toml", "name"), encoding="utf-8")
    assert load_recipe(tmp_path / "mine.toml").mean == (127.5, 127.5, 127.5)
    table = page("recipes.md").split("## Every field")[1].split("\n\n")[1]
    named = {name for line in table.splitlines()[2:] for name in re.findall(r"`\[*(\w+)\]*`", line.split("|")[1])}
    assert named == {field.name for field in fields(Recipe)} - {"path"}
