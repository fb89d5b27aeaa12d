"""The rewrites between the exporter's graph and ours, each on a graph small enough to read."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.errors import ExportError
from fcn_deploy.graph.naming import SCOPES_KEY, name_after_modules
from fcn_deploy.onnx_export.opset import lower_opset
from fcn_deploy.onnx_export.slices import merge_slices


def _model(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], opset: int = 18) -> ir.Model:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, "H", "W"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c", "d"])
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], initializers)
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]))


def _run(model: ir.Model, x: np.ndarray) -> np.ndarray:
    return onnx.reference.ReferenceEvaluator(ir.to_proto(model)).run(None, {"x": x})[0]


def _crop_twice(second_axis: int, *, use_between: bool = False) -> ir.Model:
    constants = {
        "s1": np.array([1]), "e1": np.array([4]), "a1": np.array([2]), "one": np.array([1]),
        "s2": np.array([0]), "e2": np.array([3]), "a2": np.array([second_axis]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["x", "s1", "e1", "a1", "one"], ["between"], name="first"),
        helper.make_node("Slice", ["between", "s2", "e2", "a2", "one"], ["cut"], name="second"),
        helper.make_node("Add", ["cut", "between"] if use_between else ["cut", "cut"], ["y"], name="add"),
    ]
    return _model(nodes, constants)


X = np.arange(2 * 2 * 5 * 3, dtype=np.float32).reshape(2, 2, 5, 3)


def test_slices_of_two_axes_become_one_with_the_same_result():
    model = _crop_twice(second_axis=3)
    before = _run(model, X)
    merge_slices(model)
    assert [node.op_type for node in model.graph] == ["Slice", "Add"]
    assert np.array_equal(_run(model, X), before)
    assert np.array_equal(before, 2 * X[:, :, 1:4, 0:3])


def test_slices_of_the_same_axis_are_left_alone():
    model = _crop_twice(second_axis=2)
    merge_slices(model)
    assert [node.op_type for node in model.graph] == ["Slice", "Slice", "Add"]


def test_a_slice_that_something_else_reads_is_left_alone():
    model = _crop_twice(second_axis=3, use_between=True)
    merge_slices(model)
    assert [node.op_type for node in model.graph] == ["Slice", "Slice", "Add"]


def _resize(**attributes: object) -> ir.Model:
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], name="up", mode="linear", **attributes)
    return _model([node], {"sizes": np.array([2, 2, 7, 9])})


def test_resize_loses_the_attributes_of_opset_18_and_keeps_its_result():
    model = _resize(antialias=0, keep_aspect_ratio_policy="stretch")
    before = _run(model, X)
    lower_opset(model)
    assert model.opset_imports[""] == 17
    assert set(model.graph[0].attributes) == {"mode"}
    onnx.checker.check_model(ir.to_proto(model))
    assert np.array_equal(_run(model, X), before)


def test_an_antialiased_resize_is_refused():
    with pytest.raises(ExportError, match="node up: Resize with antialias=1 does not exist in opset 17"):
        lower_opset(_resize(antialias=1))


def test_an_operator_of_another_domain_is_refused():
    node = helper.make_node("Gelu", ["x"], ["y"], name="g", domain="com.microsoft")
    with pytest.raises(ExportError, match=r"com\.microsoft\.Gelu"):
        lower_opset(_model([node], {}))


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
    model = _model(nodes, {"w": np.float32([1]), "other": np.float32([2])})
    name_after_modules(model, frozenset({"w"}))
    assert [node.name for node in model.graph] == ["stage1.relu", "fuse/Add", "fuse/Add_2", "shape/Mul"]
    assert model.graph[1].outputs[0].name == "fuse/Add"
    assert set(model.graph.initializers) == {"w", "const/0"}
    assert model.graph.outputs[0].name == "y"
