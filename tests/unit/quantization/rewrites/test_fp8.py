"""FP8: E4M3 pairs where INT8 has its own, in the scales and the opset of FP8, and computed as they say."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, numpy_helper

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.float_layers import KEEP_KEY, choose_float_layers
from fcn_deploy.graph.load import load_graph
from fcn_deploy.quantization.rewrites.fp8 import to_fp8
from fcn_deploy.quantization.rewrites.qdq import FP8, quantise_weight, quantised_tensors, scale_and_zero_point
from fcn_deploy.runners.registry import open_runner
from tests.support.small_fcn import images, write_fcn

E4M3 = ml_dtypes.float8_e4m3fn


@pytest.fixture
def fp8(tmp_path):
    model = load_graph(write_fcn(tmp_path / "fcn.onnx"))
    kept = choose_float_layers(model)
    ranges = dict.fromkeys(quantised_tensors(model, "tensorrt", kept), (0.0, 4.48))
    assert to_fp8(model, kept, ranges) is None
    ir.save(model, tmp_path / "fp8.onnx")
    return tmp_path / "fp8.onnx"


def test_the_largest_value_is_at_448_and_nothing_becomes_nan():
    scale, zero = scale_and_zero_point(-2.0, 4.48, "tensorrt", FP8)
    assert (scale, zero.dtype) == (np.float32(0.01), E4M3)
    weight = np.float32([[[[1.3, -0.5]]], [[[0.0, 0.0]]], [[[-1e30, 3e29]]]])
    codes, scales = quantise_weight(weight, codes=FP8)
    assert scales.tolist() == pytest.approx([1.3 / 448, 1.0, 1e30 / 448])
    values = codes.astype(np.float32)
    assert np.abs(values).max(axis=(1, 2, 3)).tolist() == [448.0, 0.0, 448.0]
    # three bits of mantissa: a sixteenth of the value at most
    assert np.abs(values * scales.reshape(-1, 1, 1, 1) - weight).max() <= 1e30 / 16


def test_the_file_is_valid_in_opset_19_with_the_reasons_of_what_is_left(fp8):
    proto = onnx.load(fp8)
    onnx.checker.check_model(proto, full_check=True)
    assert (proto.opset_import[0].version, proto.ir_version) == (19, 9)
    kinds = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    assert kinds["conv2.weight/float8_e4m3fn"] == kinds["pool/zero_point"] == TensorProto.FLOAT8E4M3FN
    assert kinds["pool/scale"] == kinds["conv1.weight"] == kinds["score_fr.weight"] == TensorProto.FLOAT
    reasons = {node.name: {p.key: p.value for p in node.metadata_props}.get(KEEP_KEY) for node in proto.graph.node}
    assert (reasons["conv1"], reasons["score_fr"], reasons["conv2"]) == ("first layer", "score layer", None)


def test_onnx_runtime_computes_what_the_arithmetic_says(fp8, tmp_path):
    """With its default optimisation it would drop the Relu before a pair."""
    proto = onnx.load(fp8)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            shape = (-1, 1, 1, 1)
            exact = stored[node.input[0]].astype(np.float32) * stored[node.input[1]].reshape(shape)
            stored[node.output[0]] = exact
    relu2, conv3 = _relu2(tmp_path, stored)
    rounded = (np.clip(relu2 / 0.01, -448, 448).astype(E4M3).astype(np.float32) * np.float32(0.01)).clip(0)
    expected = _conv(rounded, stored["conv3.weight/dq"])
    assert np.abs(conv3 - expected).max() < 1e-4


def _relu2(folder, stored):
    """Run the graph up to conv3 in the runner's kind of session."""
    from fcn_deploy.graph.session import open_cpu_session

    proto = onnx.load(folder / "fp8.onnx")
    proto.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in ("relu2", "conv3"))
    onnx.save(proto, folder / "more.onnx")
    return open_cpu_session(folder / "more.onnx").run(["relu2", "conv3"], {"image": images(1)[0]})


def _conv(image, weight):
    count, _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    found = np.zeros((count, weight.shape[0], height, width), np.float32)
    for row in range(3):
        for column in range(3):
            part = padded[:, :, row : row + height, column : column + width]
            found += np.einsum("nchw,oc->nohw", part, weight[:, :, row, column])
    return found


def test_the_runner_says_that_it_computes_in_fp32(fp8, tmp_path):
    image = images(1)[0]
    files = (str(fp8), str(tmp_path / "fcn.onnx"))
    with open_runner("onnxruntime", files[0]) as narrow, open_runner("onnxruntime", files[1]) as wide:
        assert any(note.startswith("no FP8 kernels") for note in narrow.notes)
        labels = [runner.infer({"image": image})["labels"] for runner in (narrow, wide)]
    assert (labels[0] == labels[1]).mean() > 0.9


def test_a_graph_of_an_old_opset_or_with_nothing_left_is_refused(tmp_path):
    old = load_graph(write_fcn(tmp_path / "old.onnx"))
    old.opset_imports[""] = 12
    with pytest.raises(GraphError, match="opset 12; expected 13 or later for FP8"):
        quantised_tensors(old, "tensorrt", {}, FP8.name)
    model = load_graph(write_fcn(tmp_path / "fcn.onnx"))
    everything = ("conv1", "conv2", "conv3", "score_fr", "score_pool")
    with pytest.raises(GraphError, match="nothing is left for FP8"):
        quantised_tensors(model, "tensorrt", everything, FP8.name)
