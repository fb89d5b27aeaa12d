"""Graft the contract onto a graph: uint8[N, H, W, 3] RGB in; labels uint8[N, H, W] and / or logits out.

It is added at the ONNX level because an exporter that traces from the uint8 image may take H and W for constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import ExportError, GraphError
from fcn_deploy.graph.card_fit import scores_behind
from fcn_deploy.graph.confidence import FULL
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.nodes import CONTRACT_PREFIX, add_constant, contract_node
from fcn_deploy.graph.resizing import TO_IMAGE_SIZE, TO_NETWORK_SIZE, Resizing
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.vocabulary import CONFIDENCE, INPUT, LABELS, LOGITS, InputKind

# The opset from which on the axes of a reduction are an operand.
_AXES_ARE_OPERANDS = {"ReduceMax": 18, "ReduceSum": 13}


def graft_contract(
    model: ir.Model, card: ModelCard, input_kind: InputKind, *, outputs: Sequence[str] = (LABELS, LOGITS)
) -> None:
    """Give a traced graph (`x` -> `logits`) its public input and outputs, in place.

    Args:
        model: one float32[N, 3, H, W] input, one float32[N, C, H, W] output.
        card: preprocessing and class count.
        input_kind: "uint8" for `image` uint8[N, H, W, 3] RGB; "float" for float32[N, 3, H, W], already in the card's
            channel order and normalised.
        outputs: of `OUTPUTS`, in that order.

    Raises:
        ExportError: the traced graph has not the form above.
    """
    graph = model.graph
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ExportError(
            f"the network has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; expected 1 and 1"
        )
    image, rows = graph.inputs[0], 2
    if input_kind == "uint8":
        image, rows = graft_image(graph, card), 1
    else:
        image.name, image.shape = INPUT, ir.Shape(["N", 3, "H", "W"])
        if card.sizing is not None:
            _graft_network_size(graph, card)
    logits = graph.outputs[0]
    if card.sizing is not None:
        logits = _to_image_size(graph, logits, image, rows)
    logits.name, logits.shape = "logits", ir.Shape(["N", card.num_classes, "H", "W"])
    remove_inner_shapes(graph)
    graph.outputs.append(graft_labels(graph, logits, card))
    if CONFIDENCE in outputs:
        graph.outputs.append(graft_confidence(graph, logits, model.opset_imports[""]))
    keep_outputs(model, outputs)


def keep_outputs(model: ir.Model, names: Sequence[str]) -> None:
    """Make `names` the graph's only outputs, in that order; what the others alone need is removed."""
    from onnx_ir.passes import common

    outputs = {value.name: value for value in model.graph.outputs}
    model.graph.outputs[:] = [outputs[name] for name in names]
    common.RemoveUnusedNodesPass()(model)


def remove_inner_shapes(graph: ir.Graph) -> None:
    """Remove inner shapes: they hold the exporter's formulas, and every reader infers its own."""
    for node in graph:
        for value in node.outputs:
            if value not in graph.outputs:
                value.shape = None


def graft_image(
    graph: ir.Graph,
    card: ModelCard,
    *,
    channels: int = 1,
    dtype: ir.DataType = ir.DataType.FLOAT,
    dims: Sequence[int | str] = ("N", "H", "W"),
) -> ir.Value:
    """Replace the graph's only input by `image` uint8[N, H, W, 3] RGB, in place.

    Adds image -> Cast -> Transpose -> (channels reversed) -> (Resize) -> Sub mean -> Div std -> (Cast); TensorRT wants
    the Cast first. A mean of 0 and a std of 1 add no node.

    Args:
        channels: the axis of the channels in the old input, 1 or 3.
        dtype: the type that the graph computes its input in.
        dims: N, H and W of the new input.

    Returns:
        The image as float32[N, H, W, 3], to ask for its sides: TensorRT reads bytes in a Cast alone.
    """
    old = graph.inputs[0]
    image = ir.Value(name=INPUT, type=ir.TensorType(ir.DataType.UINT8), shape=ir.Shape([*dims, 3]))
    nodes = [contract_node("to_float", "Cast", [image], {"to": ir.DataType.FLOAT.value})]
    if channels == 1:
        nodes.append(contract_node("to_nchw", "Transpose", nodes[-1].outputs, {"perm": [0, 3, 1, 2]}))
    if card.channel_order == "BGR":
        order = add_constant(graph, CONTRACT_PREFIX + "channel_order", np.array([2, 1, 0], np.int64))
        nodes.append(contract_node("to_bgr", "Gather", [nodes[-1].outputs[0], order], {"axis": channels}))
    if card.sizing is not None:
        if channels != 1:
            nodes.append(contract_node("network_nchw", "Transpose", nodes[-1].outputs, {"perm": [0, 3, 1, 2]}))
        nodes += _to_network_size(graph, nodes[0].outputs[0], nodes[-1].outputs[0], card, first=1)
        if channels != 1:
            nodes.append(contract_node("network_nhwc", "Transpose", nodes[-1].outputs, {"perm": [0, 2, 3, 1]}))
    shape = (1, 3, 1, 1) if channels == 1 else (3,)
    if card.mean != (0.0, 0.0, 0.0):
        mean = add_constant(graph, CONTRACT_PREFIX + "mean", np.array(card.mean, np.float32).reshape(shape))
        nodes.append(contract_node("subtract_mean", "Sub", [nodes[-1].outputs[0], mean]))
    if card.std != (1.0, 1.0, 1.0):
        std = add_constant(graph, CONTRACT_PREFIX + "std", np.array(card.std, np.float32).reshape(shape))
        nodes.append(contract_node("divide_std", "Div", [nodes[-1].outputs[0], std]))
    if dtype != ir.DataType.FLOAT:
        nodes.append(contract_node("to_half", "Cast", nodes[-1].outputs, {"to": dtype.value}))
    old.replace_all_uses_with(nodes[-1].outputs[0], replace_graph_outputs=False)  # arithmetic on its sides included
    graph.inputs[:] = [image]
    graph.insert_before(graph[0], nodes)
    return nodes[0].outputs[0]


def _graft_network_size(graph: ir.Graph, card: ModelCard) -> None:
    """Resize the graph's float input N, 3, H, W to the network's size, in place."""
    image = graph.inputs[0]
    readers = [(use.node, use.idx) for use in image.uses()]
    nodes = _to_network_size(graph, image, image, card, first=2)
    for node, index in readers:
        node.replace_input_with(index, nodes[-1].outputs[0])
    graph.insert_before(graph[0], nodes)


def _to_network_size(
    graph: ir.Graph, image: ir.Value, value: ir.Value, card: ModelCard, first: int
) -> Sequence[ir.Node]:
    """Return the nodes that resize `value` N, 3, H, W, of the size of `image`, whose rows are at dim `first`."""
    assert card.sizing is not None
    resizing = Resizing(graph)
    sides = resizing.network_sides(resizing.sides_of(TO_NETWORK_SIZE, image, first), card.sizing, card.divisor)
    resizing.resize(TO_NETWORK_SIZE, value, sides)
    return resizing.nodes


def _to_image_size(graph: ir.Graph, logits: ir.Value, image: ir.Value, first: int) -> ir.Value:
    """Append the resize of the logits to the size of `image`, whose rows are at dim `first`; return them."""
    resizing = Resizing(graph)
    resized = resizing.resize(TO_IMAGE_SIZE, logits, resizing.sides_of(TO_IMAGE_SIZE, image, first))
    graph.extend(resizing.nodes)
    logits.name = "network_logits"
    graph.outputs[0] = resized
    return resized


def graft_labels(
    graph: ir.Graph, logits: ir.Value, card: ModelCard, dims: Sequence[int | str] = ("N", "H", "W")
) -> ir.Value:
    """Append ArgMax over the classes of float32[N, C, H, W]; returns the labels."""
    node = contract_node("argmax", "ArgMax", [logits], {"axis": 1, "keepdims": 0})
    graph.append(node)
    return graft_label_type(graph, node.outputs[0], card, dims)


def graft_label_type(
    graph: ir.Graph, values: ir.Value, card: ModelCard, dims: Sequence[int | str] = ("N", "H", "W")
) -> ir.Value:
    """Append the cast of integers or floats [N, H, W] to labels, by way of float: TensorRT documents no INT64 -> UINT8.

    Returns:
        `labels` uint8[N, H, W], int32 above 255 classes.
    """
    target = ir.DataType.INT32 if card.wide_labels else ir.DataType.UINT8
    nodes: list[ir.Node] = []
    if not card.wide_labels and values.dtype != ir.DataType.FLOAT:
        nodes.append(contract_node("labels_as_float", "Cast", [values], {"to": ir.DataType.FLOAT.value}))
        values = nodes[-1].outputs[0]
    nodes.append(contract_node("to_labels", "Cast", [values], {"to": target.value}))
    labels = nodes[-1].outputs[0]
    labels.name, labels.dtype, labels.shape = "labels", target, ir.Shape(dims)
    graph.extend(nodes)
    return labels


def graft_confidence(
    graph: ir.Graph, logits: ir.Value, opset: int, dims: Sequence[int | str] = ("N", "H", "W")
) -> ir.Value:
    """Append the confidence of float32[N, C, H, W] logits; return it, uint8[N, H, W]."""
    full = add_constant(graph, CONTRACT_PREFIX + "confidence/full", np.array(FULL, np.float32))
    largest = _reduction(graph, "ReduceMax", logits, opset, keepdims=1)
    below = contract_node("confidence/below", "Sub", [logits, largest.outputs[0]])
    powers = contract_node("confidence/exp", "Exp", below.outputs)
    total = _reduction(graph, "ReduceSum", powers.outputs[0], opset, keepdims=0)
    share = contract_node("confidence/share", "Div", [full, total.outputs[0]])
    nearest = contract_node("confidence/nearest", "Round", share.outputs)
    to_byte = contract_node("to_confidence", "Cast", nearest.outputs, {"to": ir.DataType.UINT8.value})
    nodes = [largest, below, powers, total, share, nearest, to_byte]
    for node in nodes:
        node.outputs[0].dtype = ir.DataType.FLOAT
    confidence = to_byte.outputs[0]
    confidence.name, confidence.dtype, confidence.shape = CONFIDENCE, ir.DataType.UINT8, ir.Shape(dims)
    graph.extend(nodes)
    return confidence


def _reduction(graph: ir.Graph, op_type: str, value: ir.Value, opset: int, *, keepdims: int) -> ir.Node:
    """Return a reduction over the classes, dim 1."""
    name, attributes = f"confidence/{op_type}", {"keepdims": keepdims}
    if opset < _AXES_ARE_OPERANDS[op_type]:
        return contract_node(name, op_type, [value], {"axes": [1], **attributes})
    axes = add_constant(graph, f"{CONTRACT_PREFIX}{name}/axes", np.array([1], np.int64))
    return contract_node(name, op_type, [value, axes], attributes)


def write_scores(path: Path, target: Path) -> None:
    """Write the network of an ONNX file with its logits, as FP32, for the only output.

    Raises:
        GraphError: its labels are no arg max over the second axis.
    """
    model = load_graph(path)
    found = [scores for value in model.graph.outputs if (scores := scores_behind(value)) is not None]
    if not found:
        raise GraphError(f"{path}: nothing shows which scores its labels are made of")
    cast = contract_node("scores_as_float", "Cast", [found[0]], {"to": ir.DataType.FLOAT.value}, ir.DataType.FLOAT)
    model.graph.append(cast)
    logits = cast.outputs[0]
    logits.shape = ir.Shape(["N", "C", "H", "W"])
    if found[0].name == LOGITS:
        found[0].name = "own_logits"
    logits.name = LOGITS
    model.graph.outputs[:] = [logits]
    keep_outputs(model, (LOGITS,))
    save_graph(model, target)
