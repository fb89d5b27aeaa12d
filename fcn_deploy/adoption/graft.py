"""Graft the contract onto a foreign graph: uint8 image in, labels and logits of the image's size out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from fcn_deploy.adoption.image_port import ImagePort
from fcn_deploy.adoption.score_meaning import ScoreMeaning
from fcn_deploy.adoption.score_port import ScorePort
from fcn_deploy.card import ModelCard
from fcn_deploy.graph.contract_io import (
    graft_confidence,
    graft_image,
    graft_label_type,
    graft_labels,
    remove_inner_shapes,
)
from fcn_deploy.graph.nodes import CONTRACT_PREFIX, add_constant, named_node
from fcn_deploy.vocabulary import INPUT, LOGITS, OUTPUTS

PREFIX = "scores/"
Dims = tuple[int | str, int | str, int | str]  # N, H and W of the image


def graft(
    model: ir.Model,
    image: ImagePort,
    score: ScorePort,
    meaning: ScoreMeaning,
    card: ModelCard,
    *,
    confidence: bool = False,
) -> None:
    """Rewrite `model` in place; `labels` and, unless the file gives labels alone, `logits` are its outputs then.

    Args:
        confidence: whether `confidence` is between them, made of the logits.
    """
    graph = model.graph
    value = next(out for out in graph.outputs if out.name == score.name)
    _free_names(graph)
    if meaning.activation:
        value = value.producer().inputs[0]  # type: ignore[union-attr, assignment]
    graph.outputs[:] = [value]
    remove_inner_shapes(graph)
    dims = image.dims if card.sizing is None else (image.dims[0], "H", "W")
    graft_image(graph, card, channels=image.channels, dtype=_float_type(image), dims=dims)
    tail, resize = _Tail(graph, value), score.scale > 1 or card.sizing is not None
    if score.is_labels:
        graph.outputs[:] = [_labels(tail, score, card, dims, resize)]
        return
    _to_nchw(tail, score)
    if resize:
        tail.resize("linear")
    n, h, w = dims
    if score.classes == 1:
        labels = _thresholded(tail, meaning, card, dims)
    else:
        tail.end_as_logits(ir.Shape([n, card.num_classes, h, w]))
        labels = graft_labels(graph, tail.value, card, dims)
    graph.outputs[:] = [labels, tail.value]
    if confidence:
        opset = model.opset_imports.get("", 1)
        graph.outputs[:] = [labels, graft_confidence(graph, tail.value, opset, dims), tail.value]


class _Tail:
    """Nodes appended to the graph one after the other; `value` is the last result."""

    def __init__(self, graph: ir.Graph, value: ir.Value) -> None:
        self.graph, self.value = graph, value

    def add(
        self, name: str, op_type: str, *operands: ir.Value, first: ir.Value | None = None, **attributes: Any
    ) -> ir.Value:
        node = named_node(PREFIX + name, op_type, [first or self.value, *operands], attributes)
        self.graph.append(node)
        self.value = node.outputs[0]
        return self.value

    def constant(self, name: str, array: Any) -> ir.Value:
        return add_constant(self.graph, PREFIX + name, np.asarray(array))

    def resize(self, mode: str) -> None:
        """Resize [N, C, h, w] to the image's sides, pixel centres aligned by half."""
        scores, image = self.value, next(iter(self.graph.inputs[0].uses())).node.outputs[0]
        sides = [self.constant(f"side_{number}", np.array([number], np.int64)) for number in (0, 1, 2, 3)]
        self.add("shape", "Shape")
        head = self.add("batch_and_channels", "Slice", sides[0], sides[2])
        self.add("image_shape", "Shape", first=image)  # of the float image: TensorRT can only cast uint8
        tail = self.add("image_sides", "Slice", sides[1], sides[3])
        size = self.add("size", "Concat", tail, first=head, axis=0)
        node = named_node(
            f"{PREFIX}resize", "Resize", [scores, None, None, size],
            {"mode": mode, "coordinate_transformation_mode": "half_pixel"},
        )  # fmt: skip
        self.graph.append(node)
        self.value = node.outputs[0]

    def end_as_logits(self, shape: ir.Shape) -> None:
        if self.value.producer() is None or self.value.is_graph_input():
            self.add("identity", "Identity")
        self.value.name, self.value.shape, self.value.dtype = LOGITS, shape, ir.DataType.FLOAT


def _float_type(image: ImagePort) -> ir.DataType:
    return ir.DataType.FLOAT if image.is_raw else image.dtype


def _to_nchw(tail: _Tail, score: ScorePort) -> None:
    if score.dtype != "float32":
        tail.add("to_float", "Cast", to=ir.DataType.FLOAT.value)
    if score.rank == 3:
        tail.add("unsqueeze", "Unsqueeze", tail.constant("unsqueeze_axis", np.array([1], np.int64)))
    elif score.axes == (0, 3, 1, 2):
        tail.add("to_nchw", "Transpose", perm=[0, 3, 1, 2])


def _labels(tail: _Tail, score: ScorePort, card: ModelCard, dims: Dims, resize: bool) -> ir.Value:
    """Append what makes the contract's labels of given ones."""
    tail.add("labels_as_float", "Cast", to=ir.DataType.FLOAT.value).dtype = ir.DataType.FLOAT
    if score.rank == 4 and score.axes == (0, 1, 2):
        tail.add("to_nchw", "Transpose", perm=[0, 3, 1, 2])
    axis = tail.constant("channel_axis", np.array([1], np.int64)) if score.rank == 4 or resize else None
    if resize:
        if score.rank == 3 and axis is not None:
            tail.add("unsqueeze", "Unsqueeze", axis)
        tail.resize("nearest")
    if axis is not None:
        tail.add("squeeze", "Squeeze", axis).dtype = ir.DataType.FLOAT
    return graft_label_type(tail.graph, tail.value, card, dims)


def _thresholded(tail: _Tail, meaning: ScoreMeaning, card: ModelCard, dims: Dims) -> ir.Value:
    """Append labels 0 and 1 of one channel, and two logits of which the second is the larger where the label is 1."""
    edge = tail.constant("edge", np.array(meaning.edge, np.float32))
    axis = tail.constant("channel_axis", np.array([1], np.int64))
    beyond = tail.add("beyond_edge", "Sub", edge)
    tail.add("is_class", "Greater", tail.constant("zero", np.array(0, np.float32)))
    tail.add("class_as_float", "Cast", to=ir.DataType.FLOAT.value)
    tail.add("squeeze", "Squeeze", axis).dtype = ir.DataType.FLOAT
    labels = graft_label_type(tail.graph, tail.value, card, dims)
    half = tail.add("half", "Mul", tail.constant("one_half", np.array(0.5, np.float32)), first=beyond)
    negative = tail.add("negative", "Neg")
    tail.add("two_logits", "Concat", half, first=negative, axis=1)
    n, h, w = dims
    tail.end_as_logits(ir.Shape([n, 2, h, w]))
    return labels


def _free_names(graph: ir.Graph) -> None:
    """Rename tensors and nodes that bear a name of the contract."""
    values = [*graph.inputs, *graph.initializers.values(), *(out for node in graph for out in node.outputs)]
    for value in values:
        if value.name in (INPUT, *OUTPUTS) or str(value.name).startswith(CONTRACT_PREFIX):
            value.name = f"given/{value.name}"
    for node in graph:
        if str(node.name).startswith(CONTRACT_PREFIX):
            node.name = f"given/{node.name}"
