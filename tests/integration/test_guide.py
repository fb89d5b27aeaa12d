"""docs/guide.md can be followed: its `sh` blocks run in order in an empty folder and give what the page says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

GUIDE = ROOT / "docs" / "guide.md"
# What the page promises of each command, as the command prints it, each run of blanks as one.
PROMISED = (
    "mean IoU 60.44",
    "within 0.3 points with no layer left in float",
    "INT8 96.4 %",
    "no step diverges",
    "built as INT8 96.4 %",
)
WRITTEN = (
    "masks/00000.png",
    "masks/00000.overlay.jpg",
    "masks/00007.png",
    "areas.csv",
    "demo.engine.json",
    "models/demo/config.pbtxt",
    "models/demo/labels.txt",
    "models/demo/1/model.onnx",
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def environment(folder: Path) -> dict[str, str]:
    """One in which `fcn-deploy` and `python` are this checkout's."""
    folder.mkdir()
    for name, given in (("fcn-deploy", " -m fcn_deploy"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{given} "$@"\n')
        (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def test_every_step_has_a_block_that_is_run():
    text = GUIDE.read_text(encoding="utf-8")
    steps = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len(steps) == 7
    assert all("```sh\n" in step for step in steps)


def test_the_client_asks_for_what_the_package_serves():
    (client,) = blocks("python")
    texts = {node.value for node in ast.walk(ast.parse(client)) if isinstance(node, ast.Constant)}
    assert {"demo", "image", "UINT8", "labels"} <= texts


def test_every_picture_is_there():
    pictures = re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", GUIDE.read_text(encoding="utf-8"))
    assert len(pictures) == 3
    assert all((GUIDE.parent / name).is_file() for name in pictures)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="the page's blocks are for a POSIX shell")
def test_the_guide_can_be_followed(tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="step 4 builds an engine")
    work, around = tmp_path / "work", environment(tmp_path / "bin")
    work.mkdir()
    said = ""
    for block in blocks("sh"):
        done = subprocess.run(
            ["sh", "-e", "-c", block], cwd=work, env=around, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said += " ".join(done.stdout.split()) + "\n"
    assert [promise for promise in PROMISED if promise not in said] == []
    assert [name for name in WRITTEN if not (work / name).is_file()] == []
