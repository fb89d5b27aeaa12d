"""INT8: which layers, which scales, and whether ONNX Runtime computes what the arithmetic says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.float_layers import (
    KEEP_KEY,
    check_rewritable,
    choose_float_layers,
    write_keep_reasons,
)
from fcn_deploy.graph.load import load_graph
from fcn_deploy.quantization.calibration.histogram import choose_range
from fcn_deploy.quantization.calibration.measure import calibrate
from fcn_deploy.quantization.rewrites.half import to_half
from fcn_deploy.quantization.rewrites.half_type import nodes_kept_in_fp32
from fcn_deploy.quantization.rewrites.qdq import insert_qdq, quantise_weight, quantised_tensors, scale_and_zero_point
from fcn_deploy.vocabulary import TARGETS, Target
from tests.support.small_fcn import images, small_weights, write_fcn


def _quantise(path: Path, target: Target, kept: dict[str, str] | None = None) -> ir.Model:
    model = load_graph(path)
    kept = choose_float_layers(model, first=target == "tensorrt") if kept is None else kept
    names = quantised_tensors(model, target, kept)
    seen = calibrate(path, [{"image": image} for image in images(4)], histograms=names)
    ranges = {name: choose_range(seen.histograms[name], "minmax", symmetric=target == "tensorrt") for name in names}
    insert_qdq(model, target, kept, ranges)
    write_keep_reasons(model, kept)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    return model


def _run(proto: onnx.ModelProto, image: np.ndarray, level: int = 99) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
    # Without VNNI pairs of 8-bit products are added in 16 bits, which overflow in a network as small as this one.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["labels", "logits"], {"image": image})


def _node(model: ir.Model, name: str) -> ir.Node:
    return next(node for node in model.graph if node.name == name)


@pytest.fixture
def fcn(tmp_path: Path) -> Path:
    return write_fcn(tmp_path / "fcn.onnx")


def test_weights_are_scaled_by_output_channel_and_a_channel_of_zeros_by_one():
    weight = np.float32([[[[1.27, -0.5]]], [[[0.0, 0.0]]], [[[-254.0, 3.0]]]])
    codes, scales = quantise_weight(weight)
    assert scales == pytest.approx([0.01, 1.0, 2.0])
    # 3 / 2 = 1.5 rounds to the even 2, as ONNX's QuantizeLinear does.
    assert codes.reshape(3, 2).tolist() == [[127, -50], [0, 0], [-127, 2]]
    assert codes.dtype == np.int8


def test_the_scalars_of_a_range():
    assert scale_and_zero_point(-1.0, 2.54, "tensorrt") == (np.float32(0.02), 0)
    assert scale_and_zero_point(0.0, 2.55, "cpu") == (np.float32(0.01), 0)
    assert scale_and_zero_point(-0.55, 2.0, "cpu") == (np.float32(0.01), 55)
    for target in TARGETS:
        assert scale_and_zero_point(0.0, 0.0, target)[0] == 1.0


def test_tensorrt_gets_int8_with_zero_points_0_and_float_biases(fcn):
    model = _quantise(fcn, "tensorrt")
    stored = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    for node in model.graph:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero_point, scale = stored[node.inputs[2].name], stored[node.inputs[1].name]
            assert zero_point.dtype == np.int8
            assert not zero_point.any()
            assert (scale > 0).all()
    assert _node(model, "conv2").inputs[2].name == "conv2.bias"
    assert stored["conv2.bias"].dtype == np.float32
    assert _node(model, "conv2.weight/dq").attributes["axis"].value == 0
    assert stored["conv2.weight/scale"].shape == (6,)
    assert "conv2.weight" not in stored


def test_tensorrt_quantises_conv_inputs_and_nothing_else(fcn):
    model = _quantise(fcn, "tensorrt")
    assert [n.name for n in model.graph if n.op_type == "QuantizeLinear"] == ["pool/q", "relu2/q"]
    assert _node(model, "conv2").inputs[0].name == "pool/dq"
    # The score layer reads the same tensor and stays in float, its input too.
    assert _node(model, "score_pool").inputs[0].name == "pool"
    assert _node(model, "relu2").inputs[0].name == "conv2"
    assert _node(model, "up").inputs[1].name == "up.weight"
    assert _node(model, "conv1").metadata_props[KEEP_KEY] == "first layer"
    assert _node(model, "score_pool").metadata_props[KEEP_KEY] == "score layer"


def test_the_quantised_convolution_is_the_integer_one(fcn):
    """ONNX Runtime's unoptimised result against integer arithmetic written out for one pixel."""
    model = _quantise(fcn, "tensorrt")
    proto = ir.to_proto(model)
    proto.graph.output.extend([helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("pool", "conv2")])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    pool, conv2 = session.run(["pool", "conv2"], {"image": images(1)[0]})
    stored = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    scale = stored["pool/scale"]
    codes = np.clip(np.rint(pool[1, :, 4:7, 8:11] / scale), -128, 127).astype(np.int64)
    sums = (codes * stored["conv2.weight/int8"].astype(np.int64)).sum((1, 2, 3))
    expected = sums * scale * stored["conv2.weight/scale"] + stored["conv2.bias"]
    assert conv2[1, :, 5, 9] == pytest.approx(expected, rel=1e-5, abs=1e-6)  # float32 sums of 36 products


@pytest.mark.parametrize("target", TARGETS)
def test_labels_and_logits_stay_near_those_of_fp32(fcn, target):
    proto = ir.to_proto(_quantise(fcn, target))
    image = images(1, seed=9)[0]
    labels, logits = _run(proto, image)
    expected_labels, expected = _run(onnx.load(fcn), image)
    # 8 bits are 1/254 of the range a layer, and rounding errors of many products cancel: 5 % holds with ease.
    assert np.abs(logits - expected).max() < 0.05 * np.abs(expected).max()
    assert (labels == expected_labels).mean() > 0.95
    assert not np.array_equal(logits, expected)


def test_the_cpu_target_becomes_integer_kernels_from_the_image_on(fcn, tmp_path):
    path = tmp_path / "q.onnx"
    ir.save(_quantise(fcn, "cpu"), path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == 3
    assert kinds.count("QuantizeLinear") == 1
    assert "Relu" not in kinds


def test_the_cpu_target_has_uint8_activations_and_int32_biases(fcn):
    model = _quantise(fcn, "cpu")
    stored = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    assert stored["pool/zero_point"].dtype == np.uint8
    assert stored["pool/zero_point"] == 0
    assert 0 < stored["contract/divide_std/zero_point"] < 255
    weights = small_weights()
    units = stored["conv2.bias/int32"] * stored["conv2.bias/scale"]
    assert units == pytest.approx(weights["conv2.bias"], abs=float(stored["conv2.bias/scale"].max()))
    assert stored["conv2.bias/scale"] == pytest.approx(stored["pool/scale"] * stored["conv2.weight/scale"])
    # The score layers, in float, read the quantised tensor: the pool before them then ends in 8 bits.
    assert _node(model, "score_pool").inputs[0].name == "pool/dq"


def test_a_bias_far_above_its_weights_does_not_overflow_int32(tmp_path):
    weights = small_weights()
    weights["conv2.weight"][0] = 1e-12
    weights["conv2.bias"][0] = 4.0
    path = write_fcn(tmp_path / "w.onnx", weights)
    model = _quantise(path, "cpu")
    bias = model.graph.initializers["conv2.bias/int32"].const_value.numpy()
    scale = model.graph.initializers["conv2.bias/scale"].const_value.numpy()
    assert bias[0] * scale[0] == pytest.approx(4.0, rel=1e-6)


def test_a_weight_that_two_convolutions_share_serves_both(tmp_path):
    path = write_fcn(tmp_path / "fcn.onnx")
    model = onnx.load(path)
    next(node for node in model.graph.node if node.name == "conv3").input[1] = "shared.weight"
    next(node for node in model.graph.node if node.name == "relu3").input[0] = "again"
    model.graph.initializer.append(numpy_helper.from_array(small_weights()["conv3.weight"], "shared.weight"))
    again = helper.make_node("Conv", ["conv3", "shared.weight"], ["again"], name="again", pads=[1] * 4)
    index = [node.name for node in model.graph.node].index("conv3")
    model.graph.node.insert(index + 1, again)
    onnx.save(model, path)
    for target in TARGETS:
        quantised = _quantise(path, target)
        assert "shared.weight" not in quantised.graph.initializers
        _run(ir.to_proto(quantised), images(1)[0])


def test_int8_with_fp16_keeps_scales_in_fp32_behind_casts(fcn):
    model = _quantise(fcn, "tensorrt")
    to_half(model, nodes_kept_in_fp32(model))
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    types = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    assert types["pool/scale"] == types["conv2.weight/scale"] == TensorProto.FLOAT
    assert types["conv2.bias"] == types["score_fr.weight"] == TensorProto.FLOAT16
    inputs = {node.name: list(node.input) for node in proto.graph.node}
    assert inputs["conv2"] == ["pool/dq/fp16", "conv2.weight/dq/fp16", "conv2.bias"]
    assert inputs["pool/q"][0] == "pool/fp32"
    image = images(1, seed=9)[0]
    assert (_run(proto, image)[0] == _run(onnx.load(fcn), image)[0]).mean() > 0.95


@pytest.mark.parametrize("target", ["tensorrt", "cpu"])
def test_a_convolution_whose_bias_is_computed_stays_in_float_and_says_so(fcn, target):
    proto = onnx.load(fcn)
    (conv,) = [node for node in proto.graph.node if node.name == "conv2"]
    conv.input[2] = "computed"
    proto.graph.node.insert(0, onnx.helper.make_node("Neg", ["conv2.bias"], ["computed"], name="negated"))
    onnx.save(proto, fcn)
    model = _quantise(fcn, target)
    assert "computed, not stored" in _node(model, "conv2").metadata_props[KEEP_KEY]
    assert _node(model, "conv2").inputs[2].name == "computed"


def test_nothing_left_to_quantise_is_an_error(fcn):
    model = load_graph(fcn)
    with pytest.raises(GraphError, match="all 5 convolutions are kept in float"):
        quantised_tensors(model, "tensorrt", choose_float_layers(model, ["conv*"]))


def test_a_quantised_graph_is_not_quantised_again(fcn):
    with pytest.raises(GraphError, match=r"quantised already \(6 nodes such as"):
        check_rewritable(_quantise(fcn, "tensorrt"), "x.onnx")


def test_an_opset_without_per_channel_scales_is_refused(tmp_path):
    model = load_graph(write_fcn(tmp_path / "old.onnx"))
    model.opset_imports[""] = 12
    with pytest.raises(GraphError, match="opset 12; expected 13 or later"):  # before any image is run
        quantised_tensors(model, "tensorrt", {})
