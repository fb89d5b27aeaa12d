"""Read an ONNX file of another tool in the form that the grafts rely on."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.complete import check_complete
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.graph.simplify import name_nodes, simplify
from fcn_deploy.graph.weights import catch_weight_errors

OLDEST_OPSET = 9
# Files of older opsets are lifted: INT8 needs 13, and Squeeze and Unsqueeze have taken their axes as inputs since.
KEPT_OPSET, TARGET_OPSET = 13, 17
# From here on Resize says how pixels are placed; onnx's converter writes the new default, which is another one.
RESIZE_OPSET = 11
ONNX_DOMAINS = ("", "ai.onnx")


def load_foreign(path: Path) -> ir.Model:
    """Read the file: functions inlined, constants among the initializers, every node with a name of its own.

    The opset is at least 13.

    Raises:
        GraphError: not ONNX, damaged, adopted or exported by us already, of an opset that cannot be lifted, with
            operators of another domain, or with external data that is missing or outside the file's folder.
    """
    model = load_graph(path)
    card = find_card(model, path)
    if card is not None:
        raise GraphError(
            f"{path} holds a model card already ({card.model}, {card.num_classes} classes); use it as it is"
        )
    model = _lifted(model, path)
    simplify(model)
    check_complete(model, path)
    _check_operators(model, path)
    for name in [value.name for value in model.graph.inputs if value.name in model.graph.initializers]:
        model.graph.inputs[:] = [value for value in model.graph.inputs if value.name != name]
    name_nodes(model)
    return model


def _lifted(model: ir.Model, path: Path) -> ir.Model:
    """Return the graph in an opset that quantize takes; onnx's converter lifts old ones, and the proof tries that."""
    opset = model.opset_imports.get("", model.opset_imports.get("ai.onnx", 1))
    if opset >= KEPT_OPSET:
        return model
    trouble = "expected 9 or later"
    if opset >= OLDEST_OPSET:
        from onnx import version_converter

        try:
            with catch_weight_errors(path):
                ir.external_data.load_to_model(model)
            lifted = ir.from_proto(version_converter.convert_version(ir.to_proto(model), TARGET_OPSET))
            if opset < RESIZE_OPSET:
                _place_pixels_as_before(lifted)
            return lifted
        except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
            trouble = (
                f"which onnx's converter cannot lift to {TARGET_OPSET} ({str(error).strip().splitlines()[0][:120]})"
            )
    raise GraphError(f"{path} is of opset {opset}, {trouble}; export it again with opset {TARGET_OPSET}")


def _place_pixels_as_before(model: ir.Model) -> None:
    """Say what Upsample and Resize meant before opset 11: pixels placed by their corners, and the lower of two."""
    for node in model.graph:
        if node.op_type == "Resize" and "coordinate_transformation_mode" not in node.attributes:
            node.attributes["coordinate_transformation_mode"] = ir.AttrString(
                "coordinate_transformation_mode", "asymmetric"
            )
            node.attributes["nearest_mode"] = ir.AttrString("nearest_mode", "floor")


def _check_operators(model: ir.Model, path: Path) -> None:
    unknown = {f"{node.domain}.{node.op_type}" for node in model.graph.all_nodes() if node.domain not in ONNX_DOMAINS}
    if unknown:
        raise GraphError(
            f"{path} has operators that ONNX does not define ({', '.join(sorted(unknown)[:3])}); export it without "
            "the optimisations or the plug-ins that made them"
        )
