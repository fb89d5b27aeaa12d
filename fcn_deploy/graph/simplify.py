"""Bring a graph of any tool into one form, which all readers and rewrites rely on."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from fcn_deploy.errors import GraphError, restated


def simplify(model: ir.Model) -> None:
    """Inline functions, put constants among the initializers and nodes in order, in place; names stay as they are.

    Raises:
        GraphError: the graph runs in a circle.
    """
    if model.functions:
        common.InlinePass()(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    with restated(GraphError, ValueError, prefix="the graph runs in a circle: "):
        model.graph.sort()


def name_nodes(model: ir.Model) -> None:
    """Give each node without a name, or with one that an earlier node bears, that of its first result, in place.

    ONNX asks for neither names nor for differing ones; who lists nodes and their settings needs both.
    """
    used: set[str] = set()
    for node in model.graph:
        stem = node.name if node.name and node.name not in used else str(node.outputs[0].name)
        name, count = stem, 1
        while name in used:
            count += 1
            name = f"{stem}_{count}"
        node.name = name
        used.add(name)
