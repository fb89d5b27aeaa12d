"""Bring a graph of any tool into one form, which all readers and rewrites rely on."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from fcn_deploy.errors import GraphError, restated
from fcn_deploy.graph.nodes import remove_unused_constants

FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)


def simplify(model: ir.Model) -> None:
    """Inline functions, put constants among the initializers and nodes in order, in place; names stay as they are.

    Weights that reach a layer by way of Identity, Cast or Constant are initializers afterwards.

    Raises:
        GraphError: the graph runs in a circle.
    """
    if model.functions:
        common.InlinePass()(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    with restated(GraphError, ValueError, prefix="the graph runs in a circle: "):
        model.graph.sort()
    _store_copied_weights(model.graph)


def _store_copied_weights(graph: ir.Graph) -> None:
    """Put what an Identity or a Cast between floats makes of an initializer among the initializers.

    Exporters write an Identity where two layers have equal weights, and a Cast where weights are stored in FP16.
    """
    copied: list[ir.Value] = []
    for node in list(graph):
        source = node.inputs[0] if node.op_type in ("Identity", "Cast") else None
        made = node.outputs[0]
        if source is None or source.const_value is None or source.name not in graph.initializers:
            continue
        tensor = source.const_value
        if made.is_graph_output() or tensor.dtype not in FLOATS or source.is_graph_input():
            continue
        if node.op_type == "Cast":
            target = ir.DataType(node.attributes["to"].as_int())
            if target not in FLOATS:
                continue
            tensor = ir.tensor(tensor.numpy().astype(target.numpy()), name=made.name)
        name = str(made.name)
        made.name = None
        stored = ir.val(name, const_value=tensor)
        graph.register_initializer(stored)
        made.replace_all_uses_with(stored)
        graph.remove(node, safe=True)
        copied.append(source)
    remove_unused_constants(graph, [value for value in copied if not value.is_graph_output()])


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
