"""Nodes named after the modules that they come from."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
from onnx import helper

from fcn_deploy.onnx_export.passes import SCOPES_KEY, name_after_modules
from tests.support.onnx_files import model_of


def _scoped(op_type: str, inputs: list[str], output: str, scopes: list[str]) -> onnx.NodeProto:
    node = helper.make_node(op_type, inputs, [output], name=f"node_{output}")
    node.metadata_props.add(key=SCOPES_KEY, value=str(scopes))
    return node


def test_a_module_with_one_node_names_it_and_several_nodes_share_its_name_as_a_prefix():
    nodes = [
        _scoped("Relu", ["x"], "a", ["", "stage1", "stage1.relu", "relu"]),
        _scoped("Add", ["a", "w"], "b", ["", "fuse", "add"]),
        _scoped("Add", ["b", "w"], "c", ["", "fuse", "add_1"]),
        _scoped("Mul", ["c", "other"], "y", ["", "mul"]),
    ]
    model = model_of(nodes, {"w": np.float32([1]), "other": np.float32([2])})
    name_after_modules(model, frozenset({"w"}))
    assert [node.name for node in model.graph] == ["stage1.relu", "fuse/Add", "fuse/Add_2", "shape/Mul"]
    assert model.graph[1].outputs[0].name == "fuse/Add"
    assert set(model.graph.initializers) == {"w", "const/0"}
    assert model.graph.outputs[0].name == "y"
