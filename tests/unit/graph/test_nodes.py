"""Nodes made, replaced and read."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fcn_deploy.graph.nodes import (
    add_constant,
    constant,
    insert_behind,
    named_node,
    only_reader,
    operand,
    producer,
    remove_unused_constants,
    replace_node,
    schema_of,
)


def chain() -> tuple[ir.Graph, list[ir.Node]]:
    """x -> Relu -> Add (with a constant) -> y."""
    x = ir.val("x", ir.DataType.FLOAT, [1, 3])
    relu = named_node("relu", "Relu", [x], dtype=ir.DataType.FLOAT)
    add = named_node("y", "Add", [relu.outputs[0], None], dtype=ir.DataType.FLOAT)
    graph = ir.Graph([x], add.outputs, nodes=[relu, add], opset_imports={"": 17})
    add.replace_input_with(1, add_constant(graph, "shift", np.array([2], np.float32)))
    return graph, [relu, add]


def test_a_named_nodes_result_bears_its_name_and_type():
    _, (relu, _) = chain()
    assert (relu.name, relu.outputs[0].name, relu.outputs[0].dtype) == ("relu", "relu", ir.DataType.FLOAT)


def test_operands_and_their_producers_are_none_where_a_node_leaves_them_out():
    graph, (relu, add) = chain()
    assert producer(add) is relu
    assert producer(add, 1) is None
    assert operand(add, 1) is graph.initializers["shift"]
    assert operand(add, 2) is producer(add, 2) is None
    assert constant(operand(add, 1)).tolist() == [2]


def test_a_result_that_the_graph_hands_out_has_no_only_reader():
    graph, (relu, add) = chain()
    assert only_reader(relu.outputs[0]) is add
    graph.outputs.append(relu.outputs[0])
    assert only_reader(relu.outputs[0]) is None
    assert only_reader(add.outputs[0]) is None


def test_a_node_is_replaced_under_its_name_and_its_constant_goes():
    graph, (relu, add) = chain()
    exp = named_node("exp", "Exp", relu.outputs)
    insert_behind(graph, relu.outputs[0], [exp])
    shift = operand(add, 1)
    replace_node(graph, add, exp)
    remove_unused_constants(graph, [shift, shift, None])
    assert [node.op_type for node in graph] == ["Relu", "Exp"]
    assert [value.name for value in graph.outputs] == ["y"]
    assert exp.outputs[0].dtype == ir.DataType.FLOAT
    assert not graph.initializers


def test_what_follows_an_input_comes_first():
    graph, _ = chain()
    insert_behind(graph, graph.inputs[0], [named_node("neg", "Neg", [graph.inputs[0]])])
    assert [node.op_type for node in graph] == ["Neg", "Relu", "Add"]


def test_an_operator_is_defined_as_of_its_opset_or_of_the_newest():
    _, (relu, _) = chain()
    assert schema_of(relu, 13).since_version == 13
    assert schema_of(relu, 10_000).since_version >= 14
    assert schema_of(ir.node("FusedConv", relu.inputs, domain="com.microsoft"), 1) is None
