"""Batch norms folded into convolutions: the same function in fewer nodes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.quantization.rewrites.fold import fold_batch_norms

GENERATOR = np.random.default_rng(0)
NORM = {
    "gamma": GENERATOR.normal(size=4),
    "beta": GENERATOR.normal(size=4),
    "mean": GENERATOR.normal(size=4),
    "variance": GENERATOR.uniform(0.01, 3, 4),
}


def _model(*, bias: bool = True, second_reader: bool = False, shared_weight: bool = False) -> onnx.ModelProto:
    constants = {"conv.weight": GENERATOR.normal(size=(4, 2, 3, 3)), "b": GENERATOR.normal(size=4)} | NORM
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", *(["b"] if bias else [])], ["c"], name="conv", pads=[1] * 4),
        helper.make_node("BatchNormalization", ["c", *NORM], ["n"], name="bn", epsilon=0.02),
        helper.make_node("Add", ["n", "c" if second_reader else "n"], ["y"], name="add"),
    ]
    if shared_weight:
        nodes[2] = helper.make_node("Conv", ["x", "conv.weight"], ["d"], name="other", pads=[1] * 4)
        nodes.append(helper.make_node("Add", ["n", "d"], ["y"], name="add"))
    if not bias:
        constants.pop("b")
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, "H", "W"]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, "H", "W"]),
    ]
    stored = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


@pytest.mark.parametrize("bias", [True, False])
def test_the_function_stays_and_the_node_goes(bias):
    before = _model(bias=bias)
    model = ir.from_proto(before)
    assert fold_batch_norms(model) == ("bn",)
    after = ir.to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    assert [node.name for node in after.graph.node] == ["conv", "add"]
    assert {tensor.name for tensor in after.graph.initializer} == {"conv.weight", "b" if bias else "conv.bias"}
    assert list(after.graph.node[0].output) == ["n"]
    x = GENERATOR.normal(size=(2, 2, 5, 7)).astype(np.float32)
    # float32 sums of 18 products in another order.
    np.testing.assert_allclose(_run(after, x), _run(before, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["second_reader", "shared_weight"])
def test_a_convolution_that_others_need_as_it_is_stays(kind):
    model = ir.from_proto(_model(**{kind: True}))
    assert fold_batch_norms(model) == ()
    assert "bn" in [node.name for node in model.graph]
