"""Graphs as other tools write them, brought into the one form that everything else reads."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.simplify import name_nodes, simplify
from tests.support.small_fcn import write_foreign


def test_constants_become_initializers_and_every_node_has_a_name_of_its_own(tmp_path):
    model = load_graph(write_foreign(tmp_path / "foreign.onnx"))
    assert any(node.op_type == "Constant" for node in model.graph)
    simplify(model)
    name_nodes(model)
    assert not any(node.op_type == "Constant" for node in model.graph)
    assert model.graph.initializers["conv1.weight"].const_value.shape == (4, 3, 3, 3)
    names = [node.name for node in model.graph]
    assert names[4:7] == ["conv1", "relu1", "pool"]  # after their results
    assert len(set(names)) == len(names)


def test_a_name_that_two_nodes_bear_stays_with_the_first():
    def relu(name: str, source: str, target: str) -> onnx.NodeProto:
        return helper.make_node("Relu", [source], [target], name=name)

    nodes = [relu("b", "x", "a"), relu("b", "a", "b"), relu("c", "b", "c")]
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "c")]
    model = ir.from_proto(helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:])))
    name_nodes(model)
    assert [node.name for node in model.graph] == ["b", "b_2", "c"]


def test_weights_behind_identity_and_cast_become_initializers():
    """torch.onnx.export writes an Identity where two biases are equal, and casts weights that are stored in FP16."""
    weight = np.arange(12, dtype=np.float16).reshape(4, 3, 1, 1)
    nodes = [
        helper.make_node("Identity", ["b0"], ["b1"]),
        helper.make_node("Cast", ["w0"], ["w1"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "w1", "b0"], ["y"]),
        helper.make_node("Conv", ["x", "w1", "b1"], ["z"]),
    ]
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 4, 4]) for name in ("x", "y", "z")]
    constants = [numpy_helper.from_array(weight, "w0"), numpy_helper.from_array(np.ones(4, np.float32), "b0")]
    model = ir.from_proto(helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)))
    simplify(model)
    assert [node.op_type for node in model.graph] == ["Conv", "Conv"]
    stored = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    assert set(stored) == {"w1", "b0", "b1"}
    assert stored["w1"].dtype == np.float32
    assert np.array_equal(stored["w1"], weight)
    assert np.array_equal(stored["b1"], stored["b0"])
