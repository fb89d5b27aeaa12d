"""Restate a graph in a later opset, which has the types that a rewrite needs."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.nodes import add_constant, operand, schema_of

# The IR version that came with an opset; a file of an older one is refused.
IR_VERSIONS = {19: 9, 22: 10}


# Opset 18 lets a Split without sizes say in how many parts, and takes the axes of all reductions as an input.
AXES_AS_INPUT = 18


def raise_opset(model: ir.Model, opset: int, wanted_for: str) -> None:
    """Restate `model` in `opset` in place, unless it is of that one or a later one.

    An operator whose definition only took more types, or optional inputs and attributes, is kept as it is.

    Args:
        opset: one of `IR_VERSIONS`, or one that every graph has.
        wanted_for: what needs it, for the message.

    Raises:
        GraphError: an operator that the later opset defines otherwise.
    """
    found = model.opset_imports.get("", 1)
    if found >= opset:
        return
    for node in model.graph.all_nodes():
        if node.domain in ("", "ai.onnx"):
            if found < AXES_AS_INPUT <= opset:
                _restate(model.graph, node)
            if not _means_the_same(node, found, opset):
                raise GraphError(
                    f"{wanted_for} needs opset {opset}, which defines {node.op_type} (node {node.name}) otherwise than "
                    f"the graph's opset {found}; export the model again in opset {opset}"
                )
        node.version = None
    model.opset_imports[""] = opset
    model.ir_version = max(model.ir_version, IR_VERSIONS[opset])


def _restate(graph: ir.Graph, node: ir.Node) -> None:
    if node.op_type == "Split" and operand(node, 1) is None:
        node.attributes["num_outputs"] = ir.AttrInt64("num_outputs", len(node.outputs))
    if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and "axes" in node.attributes:
        axes = np.array(node.attributes.pop("axes").as_ints())
        node.resize_inputs(2)
        node.replace_input_with(1, add_constant(graph, f"{node.name}/axes", axes))


def _means_the_same(node: ir.Node, found: int, opset: int) -> bool:
    """Return whether the later definition takes the node as it is, and with the same meaning."""
    before, after = schema_of(node, found), schema_of(node, opset)
    if before is None or after is None:
        return False
    if before.since_version == after.since_version:
        return True
    optional = onnx.defs.OpSchema.FormalParameterOption.Optional
    options = [port.option for port in before.inputs]
    inputs = [port.option for port in after.inputs]
    if inputs[: len(options)] != options or any(option != optional for option in inputs[len(options) :]):
        return False
    if not set(node.attributes) <= set(after.attributes):
        return False
    for name, old in before.attributes.items():
        new = after.attributes.get(name)
        if (
            name not in node.attributes
            and old.default_value.type
            and (new is None or new.default_value != old.default_value)
        ):
            return False
    return not any(new.required and name not in before.attributes for name, new in after.attributes.items())
