"""Crops as one Slice: the exporter writes one a side, and each copies the whole tensor."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fcn_deploy.graph.weights import add_constant


def merge_slices(model: ir.Model) -> None:
    """Replace `Slice(Slice(x, axes=[2]), axes=[3])` by one Slice over both axes, in place.

    Merged are pairs with constant axes and steps, different axes, and no other use of the value between them; starts
    and ends may be computed.
    """
    for node in list(model.graph):
        first = node.inputs[0].producer() if node.op_type == "Slice" and node.inputs[0] is not None else None
        if first is not None and first.op_type == "Slice" and _mergeable(first, node):
            _merge(model.graph, first, node)


def _mergeable(first: ir.Node, second: ir.Node) -> bool:
    between = first.outputs[0]
    axes = [_constant(first, 3), _constant(second, 3)]
    steps = [_constant(first, 4), _constant(second, 4)]
    if any(value is None for value in axes + steps) or between.is_graph_output() or len(between.uses()) != 1:
        return False
    return not set(axes[0] or ()) & set(axes[1] or ())


def _constant(node: ir.Node, position: int) -> tuple[int, ...] | None:
    """Return the integers of a constant input; None if it is absent, computed, or not told as axes >= 0."""
    value = node.inputs[position] if position < len(node.inputs) else None
    if value is None or value.const_value is None:
        return None
    numbers = tuple(int(number) for number in value.const_value.numpy().reshape(-1))
    return numbers if min(numbers, default=0) >= 0 else None


def _merge(graph: ir.Graph, first: ir.Node, second: ir.Node) -> None:
    new_nodes: list[ir.Node] = []
    operands = [_join(graph, first, second, position, new_nodes) for position in (1, 2, 3, 4)]
    graph.insert_before(second, new_nodes)
    second.replace_input_with(0, first.inputs[0])
    for position, operand in enumerate(operands, start=1):
        second.replace_input_with(position, operand)
    graph.remove(first, safe=True)


def _join(graph: ir.Graph, first: ir.Node, second: ir.Node, position: int, new_nodes: list[ir.Node]) -> ir.Value:
    """Return one operand for both slices: a constant where both are constants, else a Concat of the two."""
    parts = [first.inputs[position], second.inputs[position]]
    constants = [part.const_value for part in parts if part is not None]
    if all(constant is not None for constant in constants):
        joined = np.concatenate([constant.numpy().reshape(-1) for constant in constants if constant is not None])
        return add_constant(graph, f"{second.name}/operand_{position}", joined)
    concat = ir.node("Concat", parts, {"axis": 0}, metadata_props=dict(second.metadata_props))
    concat.outputs[0].dtype = ir.DataType.INT64
    concat.outputs[0].name = f"{second.name}/operand_{position}"
    new_nodes.append(concat)
    return concat.outputs[0]
