"""Opset 18, which the exporter writes, stated as opset 17, which every TensorRT since 8.6 documents."""

from __future__ import annotations

import onnx_ir as ir

from fcn_deploy.errors import ExportError

TARGET_OPSET = 17
# Attributes that opset 18 added to Resize, with the one value that means what opset 17 does.
_RESIZE_DEFAULTS = {"antialias": 0, "keep_aspect_ratio_policy": "stretch"}


def lower_opset(model: ir.Model) -> None:
    """Restate `model` in opset 17, in place.

    An operator whose definition did not change between its opset and 17 is kept; Resize loses the attributes that
    opset 18 added, which must hold their defaults.

    Raises:
        ExportError: an operator that opset 17 lacks or defines otherwise, named with its node.
    """
    found = model.opset_imports.get("", TARGET_OPSET)
    for node in model.graph.all_nodes():
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(f"node {node.name} uses {node.domain}.{node.op_type}, which is not a standard operator")
        if node.op_type == "Resize":
            _lower_resize(node)
        elif not _unchanged(node.op_type, found):
            raise ExportError(
                f"node {node.name} is a {node.op_type}, which opset {TARGET_OPSET} defines otherwise than opset "
                f"{found}; express it with other operators in the model"
            )
        node.version = None
    model.opset_imports[""] = TARGET_OPSET


def _unchanged(op_type: str, opset: int) -> bool:
    import onnx

    try:
        target = onnx.defs.get_schema(op_type, TARGET_OPSET)
        found = onnx.defs.get_schema(op_type, opset)
    except onnx.defs.SchemaError:
        return False
    return bool(target.since_version == found.since_version)


def _lower_resize(node: ir.Node) -> None:
    for name, default in _RESIZE_DEFAULTS.items():
        attribute = node.attributes.pop(name, None)
        if attribute is not None and attribute.value != default:
            raise ExportError(f"node {node.name}: Resize with {name}={attribute.value} does not exist in opset 17")
    if "axes" in node.attributes:
        raise ExportError(f"node {node.name}: Resize with axes does not exist in opset 17")
