"""Refuse a loaded graph that is damaged or of another time: versions, order, operands and attributes."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from fcn_deploy.errors import GraphError, one_line, restated
from fcn_deploy.graph.nodes import schema_of
from fcn_deploy.graph.precheck.scan import MOST_PIXELS

# Attributes of convolutions and pools -> the least value of each of their numbers.
LEAST_VALUES = {"strides": 1, "dilations": 1, "kernel_shape": 1, "pads": -MOST_PIXELS}


def check_versions(model: ir.Model, path: Path) -> None:
    """Raise GraphError for a version of the format or of ONNX's operators that the installed onnx does not know."""
    opset = model.opset_imports.get("", model.opset_imports.get("ai.onnx", 0))
    newest = onnx.defs.onnx_opset_version()
    for what, found, most in (("IR version", model.ir_version, onnx.IR_VERSION), ("opset", opset, newest)):
        if not 1 <= found <= most:
            raise GraphError(
                f"{path} is of ONNX's {what} {found}; the installed onnx {onnx.__version__} knows 1 to {most}; export "
                "it again, or install a newer onnx"
            )


def check_order(model: ir.Model, path: Path) -> None:
    """Put nodes behind those whose results they read, where they are not; GraphError if that is not possible."""
    seen: set[int] = set()
    for node in model.graph:
        if any(value is not None and value.producer() is not None and id(value) not in seen for value in node.inputs):
            with restated(GraphError, ValueError, prefix=f"{path} is damaged: the graph runs in a circle: "):
                model.graph.sort()
            return
        seen.update(map(id, node.outputs))


def check_complete(model: ir.Model, path: Path) -> None:
    """Raise GraphError if a value is made by no node, or a node lacks inputs; `path` is for the message.

    Less strict than ONNX's own checker: unknown operators may pass.
    """
    made = {id(value) for value in (*model.graph.inputs, *model.graph.initializers.values())}
    checker = onnx.checker.C.CheckerContext()
    checker.ir_version, checker.opset_imports = model.ir_version, dict(model.opset_imports)
    for node in model.graph:
        schema = schema_of(node, model.opset_imports.get(node.domain, 1))
        _check_attributes(node, schema, checker, path)
        for value in node.inputs:
            if value is not None and id(value) not in made and value.producer() is None:
                raise GraphError(f"{path} is damaged: node {node.name} reads {value.name}, which nothing makes")
        least_inputs, least_outputs = (0, 1) if schema is None else (schema.min_input, max(1, schema.min_output))
        if len(node.inputs) < least_inputs or len(node.outputs) < least_outputs:
            raise GraphError(
                f"{path} is damaged: node {node.name}, a {node.op_type}, has {len(node.inputs)} inputs and "
                f"{len(node.outputs)} outputs; expected {least_inputs} and {least_outputs} at least"
            )
    for value in model.graph.outputs:
        if id(value) not in made and value.producer() is None:
            raise GraphError(f"{path} is damaged: nothing makes its output {value.name}")


def _check_attributes(
    node: ir.Node, schema: onnx.defs.OpSchema | None, checker: onnx.checker.C.CheckerContext, path: Path
) -> None:
    """Raise GraphError for attributes that the operator's definition or any arithmetic excludes."""
    try:
        proto = ir.to_proto(node)
    except Exception as error:  # the library wraps whatever it met, down to broken characters
        raise GraphError(f"{path} is damaged: a {node.op_type} node cannot be read; export it again") from error
    for name, least in LEAST_VALUES.items():
        attribute = node.attributes.get(name)
        if attribute is None or attribute.type != ir.AttributeType.INTS:
            continue
        if not all(least <= number <= MOST_PIXELS for number in attribute.as_ints()):
            raise GraphError(
                f"{path} is damaged: node {node.name}, a {node.op_type}, has {name} {list(attribute.as_ints())[:8]}; "
                f"expected {least} to {MOST_PIXELS}"
            )
    nested = any(attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
                 for attribute in node.attributes.values())  # fmt: skip
    if nested or schema is None:
        return
    try:
        onnx.checker.check_node(proto, checker)
    except onnx.checker.ValidationError as error:
        raise GraphError(f"{path} is damaged: {one_line(error)}") from error
