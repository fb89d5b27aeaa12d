"""Bad input of the commands that run a model, as a shell sees it: one line, exit code 1, no traceback."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.support.bench_model import save_small_model
from tests.support.onnx_files import write_graph

DATA = ["--data", "synthetic:2:5:33x47"]
TRAIN = ["train", *DATA, "--val", "synthetic:1:1:35x41", "--width", "0.02", "--epochs", "1", "--device", "cpu"]
QUICK = ["--iterations", "3", "--warmup", "0", "--no-memory"]
PYTORCH = ["--runners", "pytorch", *QUICK]


def negative(folder: Path) -> str:
    """An ONNX file that gives label -1 everywhere."""
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    labels = helper.make_tensor_value_info("labels", TensorProto.INT32, ["N", "H", "W"])
    nodes = [
        helper.make_node("Cast", ["image"], ["wide"], to=TensorProto.INT32),
        helper.make_node("ReduceMin", ["wide"], ["least"], axes=[3], keepdims=0),
        helper.make_node("Sub", ["least", "least"], ["zero"]),
        helper.make_node("Sub", ["zero", "one"], ["labels"]),
    ]
    one = helper.make_tensor("one", TensorProto.INT32, [1], [1])
    graph = helper.make_graph(nodes, "negative", [image], [labels], [one])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), folder / "negative.onnx")
    return str(folder / "negative.onnx")


def model(folder: Path) -> str:
    return str(save_small_model(folder / "small.safetensors"))


def carded(folder: Path) -> str:
    return str(write_graph(folder / "m.onnx"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (lambda folder: ["evaluate", str(folder / "none.pth")], "none.pth does not exist; expected an .onnx file"),
        (lambda folder: ["evaluate", str(folder)], "is a folder; expected an .onnx file, an engine, a checkpoint"),
        (lambda folder: ["evaluate", negative(folder), *DATA], "onnxruntime gives label -1, but there are 8 classes"),
        (lambda folder: ["evaluate", model(folder), "--model", "fcn8"], "unknown model 'fcn8'; did you mean fcn8s"),
        (lambda folder: ["evaluate", model(folder), "--model", "fcn16s"], "holds fcn8s (our own fcn8s), not fcn16s"),
        (
            lambda folder: ["evaluate", carded(folder), "--model", "fcn8s"],
            "m.onnx says in its model card what it holds",
        ),
        (lambda folder: ["evaluate", model(folder), "--data", str(folder / "none.txt")], "none.txt does not exist"),
        (lambda folder: ["bench", str(folder)], "is a folder; expected an .onnx file"),
        (
            lambda folder: ["bench", model(folder), *DATA, *PYTORCH, "--batch", "100000000"],
            "batches of 100000000 images",
        ),
        (lambda folder: ["bench", model(folder), *DATA, "--runners", "pytroch"], "unknown runner 'pytroch'; did you"),
        (lambda folder: [*TRAIN, "--scale", "1e-6,1e-6", "-o", str(folder / "run")], "crop 320x320 at scale 1e-06"),
        (lambda folder: [*TRAIN, "--crop", "60000x60000", "-o", str(folder / "run")], "crop 60000x60000 at scale"),
        (lambda folder: ["train", "--resume", "-o", str(folder / "run")], "to resume; to begin one"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(tmp_path, shell, arguments, words):
    code, out, err = shell(*arguments(tmp_path))
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith("error: ")
    assert words in err
    assert "Traceback" not in err


def test_a_runner_with_negative_labels_is_a_row_of_its_own(tmp_path, shell):
    code, out, err = shell("bench", negative(tmp_path), *DATA, *QUICK)
    assert code == 1
    assert "onnxruntime gives label -1, but there are 8 classes" in " ".join(out.split())
    assert "Traceback" not in err


def test_a_radius_beyond_the_image_is_that_of_the_image(tmp_path, shell):
    code, out, _ = shell("evaluate", model(tmp_path), *DATA, "--radius", "100000000000")
    assert code == 0
    assert "pixel accuracy" in out
