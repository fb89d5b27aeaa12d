"""Labels and confidence are computed before the shuffle of an upsampling, and stay what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fcn_deploy.card import ModelCard
from fcn_deploy.graph.contract_io import graft_confidence, graft_labels, keep_outputs
from fcn_deploy.graph.cpu.subpixel import upsample_by_phases
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.runners.registry import open_runner
from tests.conftest import tiny_model
from tests.support.upsampling_graphs import CASES, IMAGE, upsampling_file

CARD = ModelCard("fcn8s", ("a", "b", "c", "d"))
X8 = CASES["the x8 of FCN-8s"]


def _model(folder: Path, attributes: dict, outputs: tuple[str, ...], opset: int = 17) -> ir.Model:
    """An upsampling whose logits labels and confidence read."""
    model = load_graph(upsampling_file(folder / "logits.onnx", labels=False, opset=opset, **attributes))
    (logits,) = model.graph.outputs
    model.graph.outputs.append(graft_labels(model.graph, logits, CARD))
    model.graph.outputs.append(graft_confidence(model.graph, logits, opset))
    keep_outputs(model, outputs)
    return model


def _run(model: ir.Model, path: Path) -> list[np.ndarray]:
    save_graph(model, path)
    onnx.checker.check_model(str(path), full_check=True)
    image = np.random.default_rng(3).normal(size=IMAGE).astype(np.float32)
    return open_cpu_session(path).run(None, {"x": image})


def _shuffled(model: ir.Model) -> list[str]:
    """What makes the tensors that are shuffled: Conv for logits, Reshape for a number per pixel."""
    return [node.inputs[0].producer().op_type for node in model.graph if node.op_type == "DepthToSpace"]


@pytest.mark.parametrize("attributes", CASES.values(), ids=CASES)
@pytest.mark.parametrize("opset", [13, 18])  # before and after the axes of ReduceMax became an operand
def test_labels_stay_the_same_and_confidence_but_for_the_order_of_sums(
    tmp_path: Path, attributes: dict, opset: int
) -> None:
    model = _model(tmp_path, attributes, ("labels", "confidence"), opset)
    before = _run(model, tmp_path / "before.onnx")
    upsample_by_phases(model)
    labels, confidence = _run(model, tmp_path / "after.onnx")
    assert _shuffled(model) == ["Reshape", "Reshape"]
    assert np.array_equal(labels, before[0])
    assert len(np.unique(confidence)) > 20
    assert np.abs(confidence.astype(int) - before[1]).max() <= 1
    assert (confidence != before[1]).mean() < 0.01


@pytest.mark.parametrize("opset", [13, 17])
def test_labels_alone_are_chosen_before_the_shuffle(tmp_path: Path, opset: int) -> None:
    model = load_graph(upsampling_file(tmp_path / "up.onnx", labels=True, opset=opset, **X8))
    before = _run(model, tmp_path / "before.onnx")
    upsample_by_phases(model)
    assert _shuffled(model) == ["Reshape"]
    assert np.array_equal(_run(model, tmp_path / "after.onnx"), before)


@pytest.mark.parametrize("reader", ["an output", "another node", "another tensor"])
def test_logits_that_something_else_reads_are_shuffled_themselves(tmp_path: Path, reader: str) -> None:
    outputs = ("labels", "confidence", "logits") if reader == "an output" else ("labels", "confidence")
    model = _model(tmp_path, X8, outputs)
    below = next(node for node in model.graph if node.op_type == "Sub")
    if reader == "another node":  # in place of the logits
        relu = ir.node("Relu", [below.inputs[0]], name="relu")
        model.graph.insert_before(below, relu)
        below.replace_input_with(0, relu.outputs[0])
    elif reader == "another tensor":  # in place of the largest, a number of each place
        below.replace_input_with(1, ir.val("y", dtype=ir.DataType.FLOAT, shape=ir.Shape(["N", 1, "Y", "X"])))
        model.graph.inputs.append(below.inputs[1])
    upsample_by_phases(model)
    assert _shuffled(model) == ["Conv"]


@pytest.fixture(scope="module")
def confident_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("confident") / "m.onnx"
    network, card = tiny_model("fcn8s", head="pool5")
    export_model(network, card, path, outputs=("labels", "confidence"), shapes=((1, 33, 47),))
    return path


@pytest.mark.parametrize("runner", ["onnxruntime", "openvino:fp32"])
def test_runners_give_the_confidence_of_the_file(runner: str, confident_file: Path) -> None:
    pytest.importorskip(runner.partition(":")[0])
    image = np.random.default_rng(5).integers(0, 256, (1, 45, 70, 3), np.uint8)
    labels, confidence = open_cpu_session(confident_file).run(None, {"image": image})
    with open_runner(runner, str(confident_file), outputs=("labels", "confidence")) as opened:
        found = opened.infer({"image": image})
        assert [note for note in opened.notes if "output phase" in note]
    assert (labels == found["labels"]).mean() > 0.999
    assert np.abs(confidence.astype(int) - found["confidence"]).max() <= 1
