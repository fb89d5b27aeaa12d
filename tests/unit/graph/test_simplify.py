"""Graphs as other tools write them, brought into the one form that everything else reads."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx import helper

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
