"""Graft the contract onto a graph: uint8[N, H, W, 3] RGB in; labels uint8[N, H, W] and / or logits out.

It is added at the ONNX level because an exporter that traces from the uint8 image may take H and W for constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import ExportError
from fcn_deploy.graph.nodes import add_constant, named_node
from fcn_deploy.vocabulary import INPUT, OUTPUTS, InputKind

CONTRACT_PREFIX = "contract/"


def graft_contract(model: ir.Model, card: ModelCard, input_kind: InputKind) -> None:
    """Give a traced graph (`x` -> `logits`) its public input and the outputs `labels` and `logits`, in place.

    Args:
        model: one float32[N, 3, H, W] input, one float32[N, C, H, W] output.
        card: preprocessing and class count.
        input_kind: "uint8" for `image` uint8[N, H, W, 3] RGB; "float" for float32[N, 3, H, W], already in the card's
            channel order and normalised.

    Raises:
        ExportError: the traced graph has not the form above.
    """
    graph = model.graph
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ExportError(
            f"the network has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; expected 1 and 1"
        )
    logits = graph.outputs[0]
    logits.name, logits.shape = "logits", ir.Shape(["N", card.num_classes, "H", "W"])
    _remove_inner_shapes(graph)
    if input_kind == "uint8":
        _graft_head(graph, card)
    else:
        graph.inputs[0].name, graph.inputs[0].shape = INPUT, ir.Shape(["N", 3, "H", "W"])
    graph.outputs.append(_labels(graph, logits, card))
    keep_outputs(model, OUTPUTS)


def keep_outputs(model: ir.Model, names: Sequence[str]) -> None:
    """Make `names` the graph's only outputs, in that order; what the others alone need is removed."""
    from onnx_ir.passes import common

    outputs = {value.name: value for value in model.graph.outputs}
    model.graph.outputs[:] = [outputs[name] for name in names]
    common.RemoveUnusedNodesPass()(model)


def _remove_inner_shapes(graph: ir.Graph) -> None:
    """Remove inner shapes: they hold the exporter's formulas, and every reader infers its own."""
    for node in graph:
        for value in node.outputs:
            if value is not graph.outputs[0]:
                value.shape = None


def _graft_head(graph: ir.Graph, card: ModelCard) -> None:
    """Add image -> Cast -> Transpose -> (channels reversed) -> Sub mean -> Div std; TensorRT wants the Cast first."""
    old = graph.inputs[0]
    image = ir.Value(name=INPUT, type=ir.TensorType(ir.DataType.UINT8), shape=ir.Shape(["N", "H", "W", 3]))
    cast = _node("to_float", "Cast", [image], {"to": ir.DataType.FLOAT.value})
    nodes = [cast, _node("to_nchw", "Transpose", cast.outputs, {"perm": [0, 3, 1, 2]})]
    if card.channel_order == "BGR":
        order = add_constant(graph, CONTRACT_PREFIX + "channel_order", np.array([2, 1, 0], np.int64))
        nodes.append(_node("to_bgr", "Gather", [nodes[-1].outputs[0], order], {"axis": 1}))
    mean = add_constant(graph, CONTRACT_PREFIX + "mean", np.array(card.mean, np.float32).reshape(1, 3, 1, 1))
    nodes.append(_node("subtract_mean", "Sub", [nodes[-1].outputs[0], mean]))
    if card.std != (1.0, 1.0, 1.0):
        std = add_constant(graph, CONTRACT_PREFIX + "std", np.array(card.std, np.float32).reshape(1, 3, 1, 1))
        nodes.append(_node("divide_std", "Div", [nodes[-1].outputs[0], std]))
    old.replace_all_uses_with(nodes[-1].outputs[0])  # arithmetic on the image's sides included
    graph.inputs[:] = [image]
    graph.insert_before(graph[0], nodes)


def _labels(graph: ir.Graph, logits: ir.Value, card: ModelCard) -> ir.Value:
    """Append ArgMax over classes and the cast to labels, by way of float: TensorRT documents no INT64 -> UINT8."""
    nodes = [_node("argmax", "ArgMax", [logits], {"axis": 1, "keepdims": 0})]
    target = ir.DataType.INT32 if card.wide_labels else ir.DataType.UINT8
    if not card.wide_labels:
        nodes.append(_node("labels_as_float", "Cast", nodes[-1].outputs, {"to": ir.DataType.FLOAT.value}))
    nodes.append(_node("to_labels", "Cast", nodes[-1].outputs, {"to": target.value}))
    labels = nodes[-1].outputs[0]
    labels.name, labels.dtype, labels.shape = "labels", target, ir.Shape(["N", "H", "W"])
    graph.extend(nodes)
    return labels


def _node(name: str, *definition: Any) -> ir.Node:
    return named_node(CONTRACT_PREFIX + name, *definition)
