"""Graphs as other tools write them, brought into the one form that everything else reads."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.simplify import name_nodes, simplify
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
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


def test_what_nothing_makes_is_told_before_a_rewrite(tmp_path):
    path = write_foreign(tmp_path / "foreign.onnx")
    model = onnx.load(path)
    (bias,) = [node for node in model.graph.node if node.output[0] == "conv1.bias"]
    model.graph.node.remove(bias)
    onnx.save(model, path)
    with pytest.raises(GraphError, match=r"reads conv1\.bias, which nothing makes"):
        load_rewritable(path)


def test_external_data_that_is_cut_is_told_before_a_rewrite(tmp_path):
    path = write_foreign(tmp_path / "foreign.onnx")
    model = onnx.load(path)
    weights = [node for node in model.graph.node if node.op_type == "Constant"]
    arrays = {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in weights}
    for node in weights:
        model.graph.node.remove(node)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.save(model, path, save_as_external_data=True, location="data.bin", size_threshold=0)
    data = tmp_path / "data.bin"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    with pytest.raises(GraphError, match=f"must hold {len(whole)} bytes for .*, found {len(whole) - 1} bytes"):
        load_rewritable(path)
    data.unlink()
    with pytest.raises(GraphError, match=r"data\.bin must hold .* found no such file"):
        load_rewritable(path)
