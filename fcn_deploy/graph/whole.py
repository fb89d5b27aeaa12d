"""A graph that can be read to its end: every value is made somewhere, every node has the inputs it must have."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from fcn_deploy.errors import GraphError


def check_whole(model: ir.Model, path: Path) -> None:
    """Raise GraphError for what a damaged file, or one edited by hand, shows first; `path` is for the message.

    Less strict than ONNX's own checker: operators that nobody knows may pass.
    """
    made = {id(value) for value in (*model.graph.inputs, *model.graph.initializers.values())}
    for node in model.graph:
        try:
            ir.to_proto(node)
        except Exception as error:  # the library wraps whatever it met, down to broken characters
            raise GraphError(f"{path} is damaged: a {node.op_type} node cannot be read; export it again") from error
        for value in node.inputs:
            if value is not None and id(value) not in made and value.producer() is None:
                raise GraphError(f"{path} is damaged: node {node.name} reads {value.name}, which nothing makes")
        least_inputs, least_outputs = _least(node, model.opset_imports.get(node.domain, 1))
        if len(node.inputs) < least_inputs or len(node.outputs) < least_outputs:
            raise GraphError(
                f"{path} is damaged: node {node.name}, a {node.op_type}, has {len(node.inputs)} inputs and "
                f"{len(node.outputs)} outputs; needed are {least_inputs} and {least_outputs} at least"
            )


def _least(node: ir.Node, opset: int) -> tuple[int, int]:
    """The fewest inputs and outputs that ONNX allows a node; (0, 1) for an operator that it does not define."""
    try:
        schema = onnx.defs.get_schema(node.op_type, min(opset, onnx.defs.onnx_opset_version()), node.domain)
    except onnx.defs.SchemaError:
        return 0, 1
    return schema.min_input, max(1, schema.min_output)
