"""docs/architecture.md names the modules in the order in which data passes them: run the commands and watch."""

from __future__ import annotations

import inspect
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from click.testing import CliRunner
from PIL import Image

from fcn_deploy.cli.main import cli
from tests.support import folder_table
from tests.support.bench_model import save_small_model
from tests.support.folder_table import PACKAGE

pytestmark = pytest.mark.long
# These run in the child process that builds the engine, which is not watched.
IN_THE_CHILD = {"engine/builder/parse.py"}


def named_modules(heading: str) -> list[str]:
    """Return the modules that the steps under a heading name, in their order."""
    section = folder_table.PAGE.read_text(encoding="utf-8").partition(f"### {heading}\n")[2].partition("\n#")[0]
    steps = re.findall(r"^\d+\. (?:.+\n?)(?: {3,}.+\n?)*", section, re.MULTILINE)
    assert 8 <= len(steps) <= 10
    return re.findall(r"`((?:\w+/)*\w+\.py)`", "".join(steps))


@contextmanager
def watched(expected: list[str]) -> Iterator[list[str]]:
    """Yield those of the expected modules that are still to be called, each after the one before it.

    Calls while modules are imported do not count.
    """
    left = [*expected]
    paths = {str(PACKAGE / module): module for module in expected}

    def note(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        is_next = event == "call" and left and paths.get(code.co_filename) == left[0]
        if is_next and code.co_flags & inspect.CO_OPTIMIZED and not _importing(frame):
            left.pop(0)

    sys.setprofile(note)
    threading.setprofile(note)
    try:
        yield left
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(f"{PACKAGE}/"):
            return True
        frame = frame.f_back
    return False


def _follow(heading: str, *arguments: object) -> None:
    """Run a command; fail unless it calls the modules under the heading in their order."""
    expected = [module for module in named_modules(heading) if module not in IN_THE_CHILD]
    with watched(expected) as left:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert left == []


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = save_small_model(folder / "tiny.safetensors")
    _follow("A checkpoint through `export`", "export", checkpoint, "-o", folder / "tiny.onnx")
    return folder / "tiny.onnx"


def test_a_checkpoint_passes_the_modules_of_export_in_the_order_of_the_page(onnx_file):
    assert onnx_file.exists()


def test_an_image_passes_the_modules_of_predict_in_the_order_of_the_page(onnx_file, tmp_path):
    for index in range(3):
        Image.new("RGB", (47, 33), (90 * index, 10, 200)).save(tmp_path / f"{index}.png")
    _follow("An image through `predict`", "predict", onnx_file, tmp_path, "-o", tmp_path / "out", "--overlay")


def test_an_image_passes_the_modules_of_bench_in_the_order_of_the_page(onnx_file, tmp_path):
    data = ("--data", "synthetic:2:1:48x64", "--calib", "synthetic:2:3:48x64")
    runs = ("--runners", "pytorch,onnxruntime:int8", "--iterations", 3, "--seconds", 0.5, "--saturation", 0.1)
    _follow("An image through `bench`", "bench", onnx_file, *data, *runs, "--html", tmp_path / "report.html")


def test_an_onnx_file_passes_the_modules_of_build_engine_in_the_order_of_the_page(onnx_file, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    options = ("--opt", "1x48x64", "--precision", "fp16", "--calib", "synthetic:2:1:48x64", "-o", tmp_path / "e.engine")
    _follow("An ONNX file through `build-engine`", "build-engine", onnx_file, *options)
