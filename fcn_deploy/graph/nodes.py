"""Make, replace and read the nodes and constants of a graph, and find how ONNX defines an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

CONTRACT_PREFIX = "contract/"


def named_node(
    name: str,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, Any] | None = None,
    dtype: ir.DataType | None = None,
) -> ir.Node:
    """Return a node with one result, which bears the node's name; `dtype` is the result's, None to leave it open."""
    return ir.node(op_type, inputs, attributes, outputs=[ir.val(name, dtype)], name=name)


def contract_node(name: str, *definition: Any) -> ir.Node:
    """Return a node of the contract; takes what `named_node` takes."""
    return named_node(CONTRACT_PREFIX + name, *definition)


def insert_behind(graph: ir.Graph, value: ir.Value, nodes: Sequence[ir.Node]) -> None:
    """Insert nodes right behind the one that makes `value`, or first where it is an input or a constant."""
    origin = value.producer()
    if origin is None:
        graph.insert_before(graph[0], nodes)
    else:
        graph.insert_after(origin, nodes)


def replace_node(graph: ir.Graph, old: ir.Node, new: ir.Node) -> None:
    """Replace a node: the new node's result takes the old one's name, type and place, and the old node is removed."""
    name, result = old.outputs[0].name, new.outputs[0]
    result.type, result.shape = old.outputs[0].type, old.outputs[0].shape
    old.outputs[0].replace_all_uses_with(result, replace_graph_outputs=True)
    graph.remove(old, safe=True)
    result.name = name


def only_reader(value: ir.Value | None) -> ir.Node | None:
    """Return the one node that reads `value`, once; None if others do, or the graph hands it out."""
    uses = () if value is None or value.is_graph_output() else value.uses()
    return next(iter(uses)).node if len(uses) == 1 else None


def operand(node: ir.Node, position: int) -> ir.Value | None:
    """Return an operand of a node; None if the node leaves it out."""
    return node.inputs[position] if position < len(node.inputs) else None


def producer(node: ir.Node, position: int = 0) -> ir.Node | None:
    """Return the node that makes an operand; None if it is an input or a constant, or left out."""
    value = operand(node, position)
    return None if value is None else value.producer()


def schema_of(node: ir.Node, opset: int) -> onnx.defs.OpSchema | None:
    """Return ONNX's definition of a node's operator at an opset, or at the newest known one; None if it has none."""
    try:
        return onnx.defs.get_schema(node.op_type, min(opset, onnx.defs.onnx_opset_version()), node.domain)
    except onnx.defs.SchemaError:
        return None


def add_constant(graph: ir.Graph, name: str, array: NDArray[np.generic]) -> ir.Value:
    """Return a new initializer with the type and the shape of `array`."""
    value = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.register_initializer(value)
    return value


def constant(value: ir.Value | None) -> NDArray[Any]:
    """Return the numbers of an operand that is known to be stored."""
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy()


def remove_unused_constants(graph: ir.Graph, values: Sequence[ir.Value | None]) -> None:
    """Remove those of the initializers `values` that no node reads any more."""
    for value in dict.fromkeys(values):
        if value is not None and not value.uses():
            graph.initializers.pop(str(value.name))
