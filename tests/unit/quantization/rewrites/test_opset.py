"""A graph restated in a later opset is valid there and computes the same, or is refused with the operator's name."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from fcn_deploy.errors import GraphError
from fcn_deploy.quantization.rewrites.opset import raise_opset
from tests.support.small_fcn import images, write_fcn


def _model(*nodes: onnx.NodeProto, outputs: tuple[str, ...] = ("y",)) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", "C", "H", "W"]) for name in ("x", *outputs)]
    graph = helper.make_graph(list(nodes), "g", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _raised(proto: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    model = ir.from_proto(proto)
    raise_opset(model, opset, "BF16")
    raised = ir.to_proto(model)
    onnx.checker.check_model(raised, full_check=True)
    assert raised.opset_import[0].version == opset
    return raised


@pytest.mark.parametrize("opset", [19, 22])
def test_a_network_computes_the_same(tmp_path, opset):
    proto = onnx.load(write_fcn(tmp_path / "fcn.onnx"))
    image = images(1)[0][:, :4, :6]
    before, after = (
        onnx.reference.ReferenceEvaluator(one).run(["logits"], {"image": image})[0]
        for one in (proto, _raised(proto, opset))
    )
    assert np.array_equal(before, after)


def test_a_reduction_takes_its_axes_as_an_input_and_a_split_says_in_how_many_parts():
    proto = _model(
        helper.make_node("ReduceMean", ["x"], ["m"], name="mean", axes=[2, 3]),
        helper.make_node("Split", ["m"], ["a", "b"], name="split", axis=1),
        outputs=("a", "b"),
    )
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 5)).astype(np.float32)
    found = onnx.reference.ReferenceEvaluator(_raised(proto, 19)).run(None, {"x": x})
    assert np.allclose(np.concatenate(found, axis=1), x.mean(axis=(2, 3), keepdims=True))


def test_an_operator_that_means_something_else_there_is_refused():
    proto = _model(helper.make_node("GridSample", ["x", "x"], ["y"], name="warp"))
    with pytest.raises(GraphError, match=r"BF16 needs opset 22, which defines GridSample \(node warp\) otherwise"):
        _raised(proto, 22)


def test_a_later_opset_is_left_alone():
    model = ir.from_proto(_model(helper.make_node("Relu", ["x"], ["y"])))
    raise_opset(model, 1, "FP16")
    assert (model.opset_imports[""], model.ir_version) == (17, 8)
