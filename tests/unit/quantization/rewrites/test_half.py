"""An FP16-typed graph: what is converted, what stays, and what is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper

from fcn_deploy.card import CARD_KEY
from fcn_deploy.errors import GraphError, UnknownNameError
from fcn_deploy.graph.float_layers import KEEP_KEY, check_rewritable
from fcn_deploy.graph.load import load_graph
from fcn_deploy.onnx_export.proof import random_image
from fcn_deploy.quantization.rewrites.half import HalfReport, admits_half, to_half
from fcn_deploy.quantization.rewrites.half_type import BF16, DECONVOLUTION, nodes_beyond_fp16, nodes_kept_in_fp32
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
from fcn_deploy.quantization.rewrites.qdq import insert_qdq, quantised_tensors
from tests.support.contract_graphs import CARD as SIZED_CARD
from tests.support.contract_graphs import small_graph
from tests.support.small_fcn import CARD, images, small_weights, write_fcn, write_foreign


def _convert(path: Path, *keep: str, **extra: str) -> tuple[onnx.ModelProto, HalfReport]:
    model = load_graph(path)
    report = to_half(model, nodes_kept_in_fp32(model, keep) | extra)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return proto, report


def _run(proto: onnx.ModelProto, image: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": image}), strict=True))


def _types(proto: onnx.ModelProto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in proto.graph.initializer}


@pytest.fixture
def fcn(tmp_path: Path) -> Path:
    return write_fcn(tmp_path / "fcn.onnx")


def test_the_contract_the_names_and_the_card_survive(fcn):
    before = onnx.load(fcn)
    proto, _ = _convert(fcn)
    assert {n.name for n in before.graph.node} <= {n.name for n in proto.graph.node}
    assert set(_types(before)) == set(_types(proto))
    assert [(o.name, o.type.tensor_type.elem_type) for o in proto.graph.output] == [
        ("labels", TensorProto.UINT8),
        ("logits", TensorProto.FLOAT),
    ]
    assert proto.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert {p.key: p.value for p in proto.metadata_props}[CARD_KEY] == CARD.to_json()
    assert proto.opset_import[0].version == 17


def test_network_weights_become_fp16_and_the_normalisation_stays_exact(fcn):
    proto, report = _convert(fcn)
    types = _types(proto)
    assert types["conv1.weight"] == types["up.weight"] == types["score_fr.bias"] == TensorProto.FLOAT16
    assert types["contract/mean"] == types["contract/std"] == TensorProto.FLOAT
    assert report.kept == dict.fromkeys(
        ["contract/to_nchw", "contract/subtract_mean", "contract/divide_std"], "normalisation"
    )
    assert "up" in report.converted


def test_results_differ_by_rounding_alone(fcn):
    proto, _ = _convert(fcn)
    image = images(1)[0]
    expected, found = _run(onnx.load(fcn), image), _run(proto, image)
    # 11 bits of mantissa over five layers of at most 54 products: 5e-3 of the largest logit is ten times what it takes.
    assert np.abs(found["logits"] - expected["logits"]).max() < 5e-3 * np.abs(expected["logits"]).max()
    assert (found["labels"] == expected["labels"]).mean() > 0.99
    assert not np.array_equal(found["logits"], expected["logits"])


def test_a_node_asked_for_stays_in_fp32_with_its_weights_and_its_reason(fcn):
    proto, report = _convert(fcn, "score_*")
    assert report.kept["score_fr"] == report.kept["score_pool"] == "by request"
    assert _types(proto)["score_fr.weight"] == TensorProto.FLOAT
    node = next(node for node in proto.graph.node if node.name == "score_fr")
    assert {p.key: p.value for p in node.metadata_props}[KEEP_KEY] == "by request"
    assert node.input[0] == "relu3/fp32"


def test_one_cast_serves_all_readers_of_a_value(fcn):
    proto, _ = _convert(fcn, "conv2", "score_pool")
    assert sum(node.op_type == "Cast" and node.input[0] == "pool" for node in proto.graph.node) == 1


def test_resizes_and_confidence_of_the_contract_stay_in_fp32(tmp_path):
    card = replace(SIZED_CARD, network_size="0.5")
    ir.save(small_graph(card, outputs=("labels", "confidence", "logits"), gain=0.01), tmp_path / "half.onnx")
    proto, report = _convert(tmp_path / "half.onnx")
    assert report.converted == ("score",)
    image = random_image((1, 33, 47), 0)
    found, plain = _run(proto, image), _run(onnx.load(tmp_path / "half.onnx"), image)
    assert np.abs(found["logits"] - plain["logits"]).max() < 2e-3 * np.abs(plain["logits"]).max()
    assert np.abs(found["confidence"].astype(int) - plain["confidence"]).max() <= 1


def test_everything_kept_gives_the_same_logits_to_the_bit(fcn):
    proto, report = _convert(fcn, "*")
    image = images(1)[0]
    assert report.converted == ()
    assert np.array_equal(_run(proto, image)["logits"], _run(onnx.load(fcn), image)["logits"])


def test_a_weight_beyond_fp16_is_named_and_its_node_stays(tmp_path):
    weights = small_weights()
    weights["conv3.weight"][0, 0, 0, 0] = 70000.0
    _, report = _convert(write_fcn(tmp_path / "w.onnx", weights))
    assert report.overflowing == ("conv3.weight",)
    assert report.kept["conv3"] == "weight beyond FP16"


def test_the_share_of_weights_that_vanish_is_reported(tmp_path):
    weights = small_weights()
    weights["score_fr.weight"].reshape(-1)[:6] = 1e-9
    _, report = _convert(write_fcn(tmp_path / "w.onnx", weights))
    assert report.vanished == {"score_fr.weight": 6 / 18}


def test_an_activation_beyond_fp16_keeps_its_node_and_its_readers(fcn):
    model = load_graph(fcn)
    reasons = nodes_beyond_fp16(model, {"pool": 70000.0, "relu1": 65504.0})
    assert reasons == {
        "pool": "activation beyond FP16 (7e+04)",
        "conv2": "reads an activation beyond FP16",
        "score_pool": "reads an activation beyond FP16",
    }


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
def test_an_overflowing_network_stays_finite_with_its_nodes_kept(tmp_path):
    weights = small_weights()
    weights["conv1.weight"] *= 60000
    weights["conv2.weight"] /= 60000
    weights["score_pool.weight"] /= 60000
    path = write_fcn(tmp_path / "w.onnx", weights)
    image = images(1)[0]
    expected = _run(onnx.load(path), image)["logits"]
    broken, _ = _convert(path)
    # ONNX Runtime computes in FP32 on a CPU and would hide the overflow; the reference rounds after every node.
    logits = onnx.reference.ReferenceEvaluator(broken).run(["logits"], {"image": image[:, :4, :6]})[0]
    assert not np.isfinite(logits).all()
    largest = {"conv1": 1e5, "relu1": 1e5, "pool": 1e5}
    converted, _ = _convert(path, **nodes_beyond_fp16(load_graph(path), largest))
    assert np.abs(_run(converted, image)["logits"] - expected).max() < 5e-3 * np.abs(expected).max()


def test_a_name_that_is_not_there_is_answered_with_the_near_one(fcn):
    with pytest.raises(UnknownNameError, match="did you mean score_fr"):
        nodes_kept_in_fp32(load_graph(fcn), ["score_fx"])


def test_an_fp16_file_is_not_converted_again(fcn, tmp_path):
    proto, _ = _convert(fcn)
    with pytest.raises(GraphError, match="holds FP16 weights already; give the FP32 file"):
        check_rewritable(ir.from_proto(proto), "x.onnx")


def test_the_scales_of_resize_and_of_qdq_stay_float():
    nodes = [
        helper.make_node("Resize", ["x", "", "scales"], ["r"], name="resize", mode="linear"),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], name="dq"),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, "H", "W"]) for name in "xy"]
    constants = [
        helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2]),
        helper.make_tensor("s", TensorProto.FLOAT, [], [0.1]),
        helper.make_tensor("z", TensorProto.INT8, [], [0]),
    ]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert to_half(model, {}).converted == ("resize",)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    assert _types(proto) == {"scales": TensorProto.FLOAT, "s": TensorProto.FLOAT, "z": TensorProto.INT8}
    assert not admits_half(model.graph[-1], 17)


@pytest.mark.parametrize("opset", [13, 21])
@pytest.mark.parametrize("int8", [False, True], ids=["fp16", "int8+fp16"])
def test_a_file_of_another_tool_becomes_fp16_with_its_constants_and_scales_in_fp32(tmp_path, opset, int8):
    """From opset 19 on Q/DQ admit FP16 scales, and their operands must be of one type."""
    path = write_foreign(tmp_path / "foreign.onnx", opset=opset)
    model = load_rewritable(path)
    if int8:
        ranges = dict.fromkeys(quantised_tensors(model, "tensorrt", {}), (-4.0, 4.0))
        insert_qdq(model, "tensorrt", {}, ranges)
    to_half(model, {})
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    types = _types(proto)
    scales = {node.input[1] for node in proto.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    assert bool(scales) == int8
    assert {types[name] for name in scales} <= {TensorProto.FLOAT}
    assert types["up.weight"] == TensorProto.FLOAT16
    image = images(1)[0]
    before, after = _run(onnx.load(path), image)["labels"], _run(proto, image)["labels"]
    assert (before == after).mean() > 0.95  # 8 bits over a range that was not measured


def test_a_type_that_an_attribute_says_stays_as_it_is():
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.5])
    fill = ir.from_proto(helper.make_node("ConstantOfShape", ["shape"], ["filled"], value=value))
    fill.outputs[0].dtype = ir.DataType.FLOAT
    assert not admits_half(fill, 17)


def test_bf16_keeps_what_the_builder_cannot_and_the_scores_in_fp32(fcn):
    model = load_graph(fcn)
    kept = nodes_kept_in_fp32(model, half=BF16)
    assert (kept["score_fr"], kept["up"], kept["fuse"]) == ("score layer", DECONVOLUTION, "scores")
    assert not {"conv1", "relu1", "pool", "conv2", "conv3"} & set(kept)
    report = to_half(model, kept, BF16)
    assert {"conv1", "relu1", "pool", "conv2", "conv3", "relu3"} <= set(report.converted)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    assert (proto.opset_import[0].version, proto.ir_version) == (22, 10)
    types = _types(proto)
    assert types["conv1.weight"] == types["conv1.bias"] == TensorProto.BFLOAT16
    assert types["score_fr.weight"] == types["up.weight"] == TensorProto.FLOAT


def test_bf16_loses_no_range(tmp_path):
    weights = small_weights()
    weights["conv3.weight"][0, 0, 0, 0] = 70000.0
    model = load_graph(write_fcn(tmp_path / "w.onnx", weights))
    report = to_half(model, nodes_kept_in_fp32(model, half=BF16), BF16)
    assert (report.overflowing, report.vanished) == ((), {})
    assert "conv3" in report.converted


def test_a_bf16_file_is_not_converted_again(fcn):
    model = load_graph(fcn)
    to_half(model, {}, BF16)
    with pytest.raises(GraphError, match="holds BF16 weights already; give the FP32 file"):
        check_rewritable(model, "x.onnx")
