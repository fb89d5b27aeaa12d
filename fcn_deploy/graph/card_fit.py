"""Find the scores that a graph makes labels of, and compare their channels with a model card's classes."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.nodes import operand, producer
from fcn_deploy.graph.ports import dims_of
from fcn_deploy.vocabulary import LOGITS

# Operators that keep the number of channels of their first operand.
KEEPING = {
    "Cast", "Identity", "Squeeze", "Slice", "Resize", "Mul", "Add", "Sub", "Div", "Relu", "Clip", "Sigmoid", "Softmax",
    "LogSoftmax", "BatchNormalization", "Pad", "QuantizeLinear", "DequantizeLinear", "MaxPool", "AveragePool",
}  # fmt: skip


def check_card_fits(card: ModelCard, model: ir.Model, path: Path) -> None:
    """Raise GraphError if the scores have another number of channels than the card has classes."""
    channels = score_channels(model)
    if channels is not None and channels != card.num_classes:
        raise GraphError(
            f"{path}: its model card names {card.num_classes} classes, and its scores have {channels} channels; "
            "export it again with the card of its own network"
        )


def score_channels(model: ir.Model) -> int | None:
    """Return the channels of the logits, or of what an ArgMax over the second axis takes; None if nothing shows it."""
    for value in model.graph.outputs:
        dims = dims_of(value) or ()
        if value.name == LOGITS and len(dims) == 4 and isinstance(dims[1], int):
            return dims[1]
        scores = scores_behind(value)
        if scores is not None:
            return _channels(scores.producer())
    return None


def scores_behind(labels: ir.Value) -> ir.Value | None:
    """Return the value whose arg max over the second axis `labels` are; None where they are made in another way."""
    node = labels.producer()
    while node is not None and node.op_type in ("Cast", "Identity", "Squeeze"):
        node = producer(node)
    if node is None or node.op_type != "ArgMax" or node.attributes.get_int("axis", 0) != 1:
        return None
    return node.inputs[0]


def _channels(node: ir.Node | None) -> int | None:
    """Return the channels of a node's result, by the weights of the last convolution."""
    while node is not None and node.op_type in KEEPING:
        node = producer(node)
    if node is None or node.op_type not in ("Conv", "ConvTranspose"):
        return None
    weight = _weight(node)
    dims = None if weight is None else dims_of(weight)
    if dims is None and weight is not None and weight.const_value is not None:
        dims = tuple(int(dim) for dim in weight.const_value.shape.numpy())
    if not dims or len(dims) < 2:
        return None
    transposed = node.op_type == "ConvTranspose"
    found = dims[1] if transposed else dims[0]
    return found * (node.attributes.get_int("group", 1) if transposed else 1) if isinstance(found, int) else None


def _weight(node: ir.Node) -> ir.Value | None:
    """Return a convolution's weights, behind what stores them in fewer bits."""
    value = operand(node, 1)
    while value is not None and value.producer() is not None:
        maker = value.producer()
        if maker is None or maker.op_type not in ("DequantizeLinear", "QuantizeLinear", "Cast", "Identity"):
            return None
        value = operand(maker, 0)
    return value
