"""Channels equalised between layers: the same bits in FP32, and one large channel no longer costs the others theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.errors import DataError, GraphError
from fcn_deploy.quantization.calibration.channels import measure_channels
from fcn_deploy.quantization.rewrites.bias import correct_biases
from fcn_deploy.quantization.rewrites.equalize import EQUALIZED, channel_links, equalize, spreads, weight_ranges
from fcn_deploy.quantization.rewrites.qdq import quantise_weight

GENERATOR = np.random.default_rng(3)


def _weights(*shape: int) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(np.float32)


def _model(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], outputs: tuple[str, ...] = ("y",)
) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, "H", "W"])]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs]
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", ports, results, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _conv(
    name: str, source: str, result: str, *, bias: bool = True, op: str = "Conv", **attributes: int
) -> onnx.NodeProto:
    inputs = [source, f"{name}.w", *([f"{name}.b"] if bias else [])]
    return helper.make_node(op, inputs, [result], name=name, **attributes)


def _chain(middle: str = "Relu") -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Return conv a, `middle`, MaxPool, depthwise b, then a plain and a transposed convolution whose sum is y."""
    nodes = [
        _conv("a", "x", "a"),
        helper.make_node(middle, ["a"], ["r"], name="r"),
        helper.make_node("MaxPool", ["r"], ["p"], name="p", kernel_shape=[2, 2], strides=[2, 2]),
        _conv("b", "p", "b", group=4),
        helper.make_node("Relu", ["b"], ["s"], name="s"),
        _conv("c", "s", "c", bias=False),
        _conv("t", "s", "t", op="ConvTranspose", bias=False),
        helper.make_node("Add", ["c", "t"], ["y"], name="sum"),
    ]
    constants = {
        "a.w": _weights(4, 2, 1, 1), "a.b": _weights(4), "b.w": _weights(4, 1, 1, 1), "b.b": _weights(4),
        "c.w": _weights(3, 4, 1, 1), "t.w": _weights(4, 3, 1, 1),
    }  # fmt: skip
    constants["a.w"][1] *= 300
    constants["a.b"][1] *= 300
    constants["b.w"][1] /= 300
    return nodes, constants


def _run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


def _images(count: int = 2) -> list[dict[str, np.ndarray]]:
    return [{"x": GENERATOR.normal(size=(1, 2, 8, 6)).astype(np.float32)} for _ in range(count)]


def _largest(model: onnx.ModelProto, folder: Path) -> dict[str, np.ndarray]:
    path = folder / "m.onnx"
    onnx.save(model, path)
    names = [link.name for link in channel_links(ir.from_proto(model))]
    return dict(measure_channels(path, _images(), names).largest)


def test_fp32_gives_the_same_bits_and_the_large_channel_is_gone(tmp_path):
    before = _model(*_chain())
    model = ir.from_proto(before)
    found = equalize(model, _largest(before, tmp_path))
    assert [each.name for each in found] == ["a", "b"]
    assert found[0].spread >= 64
    after = ir.to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    x = GENERATOR.normal(size=(3, 2, 10, 14)).astype(np.float32)
    np.testing.assert_array_equal(_run(after, x), _run(before, x))
    again = _largest(after, tmp_path)[f"a{EQUALIZED}"]
    assert again.max() / again.min() < 32


def test_a_channel_that_stands_out_shows_in_the_weights_already():
    nodes, constants = _chain()
    model = ir.from_proto(_model(nodes, constants))
    assert spreads(model, weight_ranges(model))["a"] >= 64
    for part in ("a.w", "a.b"):
        constants[part][1] /= 300
    constants["b.w"][1] *= 300
    healthy = ir.from_proto(_model(nodes, constants))
    assert spreads(healthy, weight_ranges(healthy))["a"] <= 16


def test_a_tensor_with_other_numbers_bears_another_name(tmp_path):
    model = ir.from_proto(_model(*_chain()))
    equalize(model, _largest(ir.to_proto(model), tmp_path), least_spread=64)
    names = {str(output.name) for node in model.graph for output in node.outputs}
    assert names == {f"{name}{EQUALIZED}" for name in "arp"} | set("bscty")


def test_below_the_least_spread_nothing_changes(tmp_path):
    before = _model(*_chain())
    model = ir.from_proto(before)
    assert equalize(model, _largest(before, tmp_path), least_spread=1e9) == []
    assert ir.to_proto(model).graph.initializer == before.graph.initializer


@pytest.mark.parametrize("middle", ["Sigmoid", "Softplus"])
def test_what_keeps_no_factor_ends_the_chain(middle):
    assert [link.name for link in channel_links(ir.from_proto(_model(*_chain(middle))))] == ["b"]


def test_a_tensor_that_something_else_reads_or_the_graph_hands_out_stays():
    nodes, constants = _chain()
    handed_out = ir.from_proto(_model(nodes, constants, ("y", "r")))
    assert [link.name for link in channel_links(handed_out)] == ["b"]
    read = [
        *nodes[:-1],
        helper.make_node("ReduceMax", ["s"], ["m"], keepdims=1),
        helper.make_node("Add", ["c", "m"], ["y"]),
    ]
    assert [link.name for link in channel_links(ir.from_proto(_model(read, constants)))] == ["a"]


def test_weights_that_two_layers_share_stay():
    nodes, constants = _chain()
    constants["d.w"] = constants["a.w"]
    shared = helper.make_node("Conv", ["x", "a.w"], ["d"], name="d")
    model = ir.from_proto(_model([*nodes, shared], constants, ("y", "d")))
    assert [link.name for link in channel_links(model)] == ["b"]


def test_channels_that_are_always_zero_keep_their_factor(tmp_path):
    nodes, constants = _chain()
    constants["a.w"][2], constants["a.b"][2] = 0, 0
    before = _model(nodes, constants)
    model = ir.from_proto(before)
    equalize(model, _largest(before, tmp_path))
    x = _images(1)[0]["x"]
    np.testing.assert_array_equal(_run(ir.to_proto(model), x), _run(before, x))


def test_measuring_needs_an_image_and_finite_values(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(_model(*_chain()), path)
    with pytest.raises(DataError, match="no calibration image"):
        measure_channels(path, [], ["a"])
    with pytest.raises(GraphError, match="a is NaN or infinite on calibration image 1"):
        measure_channels(path, [{"x": np.full((1, 2, 4, 4), np.inf, np.float32)}], ["a"])


@pytest.mark.parametrize(("group", "bias"), [(1, True), (1, False), (2, True)])
def test_a_corrected_bias_takes_back_the_mean_error_of_the_weights(tmp_path, group, bias):
    constants = {"a.w": _weights(4, 2 // group, 3, 3), **({"a.b": _weights(4)} if bias else {})}
    before = _model([_conv("a", "x", "y", bias=bias, group=group)], constants)
    # Even images: each window of the kernel then has the mean of the whole.
    images = [{"x": np.broadcast_to(_weights(1, 2, 1, 1) + 2, (1, 2, 8, 6)).copy()} for _ in range(20)]
    path = tmp_path / "m.onnx"
    onnx.save(before, path)
    model = ir.from_proto(before)
    means = measure_channels(path, images, ["x"]).mean
    assert correct_biases(model, ["a"], means) == {}
    changes = correct_biases(model, [], means)
    assert list(changes) == ["a"]

    def quantised(of: onnx.ModelProto) -> onnx.ModelProto:
        copy = onnx.ModelProto.FromString(of.SerializeToString())
        stored = next(tensor for tensor in copy.graph.initializer if tensor.name == "a.w")
        codes, scales = quantise_weight(numpy_helper.to_array(stored))
        stored.CopyFrom(numpy_helper.from_array((codes * scales.reshape(-1, 1, 1, 1)).astype(np.float32), "a.w"))
        return copy

    def mean_error(of: onnx.ModelProto) -> float:
        errors = [(_run(quantised(of), **feed) - _run(before, **feed)).mean(axis=(0, 2, 3)) for feed in images]
        return float(np.abs(np.mean(errors, axis=0)).max())

    assert mean_error(ir.to_proto(model)) < 1e-5 < mean_error(before)
