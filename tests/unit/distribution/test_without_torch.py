"""Without PyTorch and onnxscript, as docs/edge.md installs: ONNX files run, and the rest says what it needs.

Runs in such an installation too: `make edge`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from fcn_deploy.system.optional import LEFT_OUT
from tests.support import ROOT
from tests.support.onnx_files import write_graph

HIDDEN = f"import sys\nfor name in {list(LEFT_OUT)}: sys.modules[name] = None\n"
PAGE = (ROOT / "docs" / "edge.md").read_text(encoding="utf-8")


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", HIDDEN + code], cwd=folder, capture_output=True, text=True)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(f"sys.argv = ['fcn-deploy', *{arguments!r}]\nfrom fcn_deploy.cli.main import main\nmain()", folder)


def _put_convolution(path: Path) -> None:
    """Replace the multiplication by one with a convolution that does the same, for commands that look for layers."""
    model = onnx.load(path)
    multiply = next(node for node in model.graph.node if node.op_type == "Mul")
    multiply.op_type, multiply.name, multiply.input[1] = "Conv", "layer", "weight"
    model.graph.initializer.append(numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, :, None, None], "weight"))
    onnx.save(model, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("edge")
    _put_convolution(write_graph(made / "model.onnx"))
    (made / "photos").mkdir()
    Image.new("RGB", (20, 10), (0, 200, 0)).save(made / "photos" / "green.png")
    return made


@pytest.mark.parametrize(("runner", "unneeded"), [("openvino", ["onnx", "onnxruntime"]), ("onnxruntime", ["onnx"])])
def test_load_runs_an_onnx_file_and_imports_no_more_than_its_runner(runner: str, unneeded: list[str], folder: Path):
    if runner == "openvino":
        pytest.importorskip("openvino")
    code = f"""
import fcn_deploy, numpy
image = numpy.full((4, 6, 3), (0, 200, 0), numpy.uint8)
image[0] = 200, 0, 0  # of one class the scores are looked at, by a file that onnx writes
with fcn_deploy.load("model.onnx", runner="{runner}") as model:
    labels = model(image)
print(labels.shape, labels.dtype, set(labels.ravel()) == {{0, 1}}, [name for name in {unneeded} if name in sys.modules])
"""
    done = python(code, folder)
    assert done.stdout == "(4, 6) uint8 True []\n", done.stderr


@pytest.mark.parametrize("arguments", [("predict", "model.onnx", "photos", "-o", "out"), ("inspect", "model.onnx"),
    ("audit", "model.onnx", "--size", "32x32"),
    ("quantize", "model.onnx", "--precision", "fp16", "-o", "half.onnx"),
    ("package", "model.onnx", "-o", "models"), ("evaluate", "model.onnx", "--data", "list.txt"),
])  # fmt: skip
def test_commands_take_an_onnx_file(arguments: tuple[str, ...], folder: Path):
    Image.new("L", (20, 10), 1).save(folder / "truth.png")
    (folder / "list.txt").write_text("photos/green.png truth.png\n")
    done = command(folder, *arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [("export", "demo"), ("predict", "demo", "photos", "-o", "out"),
    ("bench", "model.onnx", "--seconds", "0.1"), ("diagnose", "demo", "model.onnx", "--data", "photos"),
    ("train", "--data", "synthetic:4", "--val", "synthetic:4", "-o", "run"), ("inspect", "demo"),
])  # fmt: skip
def test_what_needs_pytorch_says_so_in_one_line(arguments: tuple[str, ...], folder: Path):
    done = command(folder, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: this needs PyTorch, which is not installed; try: pip install torch"
    assert "Traceback" not in done.stderr


def test_the_page_installs_every_dependency_but_those():
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    needed = {re.split("[>; ]", line)[0] for line in declared} - {*LEFT_OUT, "onnxruntime-gpu", "tomli"} | {"openvino"}
    (line,) = re.findall(r"^    pip install (numpy .*) -c constraints\.txt$", PAGE, re.MULTILINE)
    assert set(line.split()) == needed
