"""Insert QuantizeLinear / DequantizeLinear pairs where the engine that will run the graph expects them.

Both targets quantise the inputs of convolutions, per tensor, and their weights, per output channel; nothing else.
- "tensorrt": int8 or float8, zero points 0, biases in float. A convolution left in float reads float: the pair is on
  the edge to the quantised reader, not on the tensor.
- "cpu": ONNX Runtime's fastest kernels: uint8 activations, int32 biases. The pair is on the tensor, for every
  reader, so that the convolution before it also ends in 8 bits (Conv, Relu, MaxPool and the pair become two kernels).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.float_layers import convolutions
from fcn_deploy.graph.nodes import (
    add_constant,
    constant,
    insert_behind,
    named_node,
    operand,
    producer,
    remove_unused_constants,
)
from fcn_deploy.vocabulary import Target

Range = tuple[float, float]
OLDEST_OPSET = 13  # per-channel scales


@dataclass(frozen=True)
class CodeType:
    """What 8 bits hold: integers, or floats of 4 bits of exponent and 3 of mantissa.

    Attributes:
        largest: the largest |x| that a code means, in units of the scale.
    """

    name: str
    dtype: ir.DataType
    largest: float


INT8 = CodeType("INT8", ir.DataType.INT8, 127.0)
FP8 = CodeType("FP8", ir.DataType.FLOAT8E4M3FN, 448.0)


def quantised_tensors(model: ir.Model, target: Target, kept: Collection[str], word: str = "INT8") -> list[str]:
    """Return the tensors that `insert_qdq` needs a range of.

    Args:
        kept: convolutions that stay in float.
        word: what the others become, for the messages.

    Raises:
        GraphError: all convolutions are kept, or the opset is too old for per-channel scales.
    """
    if model.opset_imports[""] < OLDEST_OPSET:
        raise GraphError(
            f"the graph is of opset {model.opset_imports['']}; expected {OLDEST_OPSET} or later for {word}; "
            "`fcn-deploy adopt` lifts it"
        )
    quantised = [node for node in convolutions(model) if node.name not in kept]
    if not quantised:
        raise GraphError(f"all {len(convolutions(model))} convolutions are kept in float; nothing is left for {word}")
    readers = quantised if target == "tensorrt" else _cpu_readers(model, kept)
    return list(dict.fromkeys(str(node.inputs[0].name) for node in readers if node.inputs[0] is not None))


def insert_qdq(
    model: ir.Model, target: Target, kept: Collection[str], ranges: Mapping[str, Range], codes: CodeType = INT8
) -> None:
    """Insert the pairs into `model` in place.

    Args:
        kept: convolutions that stay in float.
        ranges: tensor -> (low, high) that 8 bits cover, for each of `quantised_tensors`.
        codes: of the target "tensorrt"; FP8 needs opset 19.
    """
    pairs = {name: _activation_pair(model.graph, name, target, ranges, codes) for name in ranges}
    for node in convolutions(model):
        if node.name not in kept:
            _quantise_weights(model.graph, node, target, pairs, codes)
    readers = [node for node in convolutions(model) if node.name not in kept]
    for pair in pairs.values():
        _rewire(pair, None if target == "cpu" else readers)
        insert_behind(model.graph, pair.value, [pair.quantize, pair.dequantize])


def _cpu_readers(model: ir.Model, kept: Collection[str]) -> list[ir.Node]:
    """Return quantised convolutions, and kept ones that read what a quantised one gave."""
    found = []
    for node in convolutions(model):
        source = _source_convolution(node)
        if node.name not in kept or (source is not None and source.name not in kept):
            found.append(node)
    return found


def _source_convolution(node: ir.Node) -> ir.Node | None:
    """Return the convolution whose result `node` reads, through Relu and MaxPool alone."""
    source = producer(node)
    while source is not None and source.op_type in ("Relu", "MaxPool"):
        source = producer(source)
    return source if source is not None and source.op_type == "Conv" else None


class QdqPair:
    """Q and DQ nodes of one tensor, with the scale that they share."""

    def __init__(self, value: ir.Value, scale: ir.Value, zero_point: ir.Value) -> None:
        self.value = value
        self.scale = float(constant(scale))
        inputs = [value, scale, zero_point]
        self.quantize = named_node(f"{value.name}/q", "QuantizeLinear", inputs, dtype=zero_point.dtype)
        inputs = [self.quantize.outputs[0], scale, zero_point]
        self.dequantize = named_node(f"{value.name}/dq", "DequantizeLinear", inputs, dtype=ir.DataType.FLOAT)


def _activation_pair(
    graph: ir.Graph, name: str, target: Target, ranges: Mapping[str, Range], codes: CodeType
) -> QdqPair:
    value = ir.convenience.create_value_mapping(graph)[name]
    scale, zero_point = scale_and_zero_point(*ranges[name], target, codes)
    return QdqPair(
        value, add_constant(graph, f"{name}/scale", scale), add_constant(graph, f"{name}/zero_point", zero_point)
    )


def scale_and_zero_point(
    low: float, high: float, target: Target, codes: CodeType = INT8
) -> tuple[NDArray[np.float32], NDArray[np.generic]]:
    """Return the scalars of a range: int8 or float8 with zero point 0, or uint8 in which 0 is exact."""
    if target == "tensorrt":
        edge = max(-low, high)
        scale = edge / codes.largest if edge > 0 else 1.0
        return np.array(scale, np.float32), np.array(0, codes.dtype.numpy())
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 if high > low else 1.0
    return np.array(scale, np.float32), np.array(round(-low / scale), np.uint8)


def quantise_weight(
    weight: NDArray[np.float32], smallest: NDArray[np.floating] | float = 0.0, codes: CodeType = INT8
) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
    """Quantise float32[M, ...] to codes [M, ...] in -127..127 (FP8: -448..448) and float32[M] scales.

    Each scale is at least `smallest`. A channel of zeros gets the scale 1: scales must be positive.
    """
    largest = np.abs(weight.reshape(weight.shape[0], -1)).max(axis=1) / np.float32(codes.largest)
    scales = np.maximum(np.where(largest > 0, largest, 1.0), smallest).astype(np.float32)
    shaped = scales.reshape(-1, *[1] * (weight.ndim - 1))
    numbers = np.rint(weight / shaped) if codes is INT8 else weight / shaped
    return np.clip(numbers, -codes.largest, codes.largest).astype(codes.dtype.numpy()), scales


def _quantise_weights(
    graph: ir.Graph, node: ir.Node, target: Target, pairs: Mapping[str, QdqPair], kind: CodeType
) -> None:
    source, weight = node.inputs[0], node.inputs[1]
    bias = operand(node, 2) if target == "cpu" else None
    assert source is not None
    assert weight is not None
    input_scale = pairs[str(source.name)].scale
    # int32 biases are in units of input scale * weight scale: a tiny weight scale would overflow them.
    smallest = 0.0 if bias is None else np.abs(constant(bias)) / (input_scale * 2.0**30)
    codes, scales = quantise_weight(constant(weight), smallest, kind)
    node.replace_input_with(1, _dequantised(graph, node, str(weight.name), codes, scales))
    if bias is not None:
        bias_scales = scales * np.float32(input_scale)
        codes = np.rint(constant(bias) / bias_scales).astype(np.int32)
        node.replace_input_with(2, _dequantised(graph, node, str(bias.name), codes, bias_scales))
    remove_unused_constants(graph, (weight, bias))


def _dequantised(
    graph: ir.Graph, reader: ir.Node, name: str, codes: NDArray[np.generic], scales: NDArray[np.float32]
) -> ir.Value:
    """Return the stored codes behind a DequantizeLinear of axis 0, right before the node that reads them.

    A weight that several nodes share is stored for each, under the node's name.
    """
    name = name if f"{name}/scale" not in graph.initializers else f"{name}/{reader.name}"
    zero_points = np.zeros(scales.shape, codes.dtype)
    inputs = [
        add_constant(graph, f"{name}/{codes.dtype}", codes),
        add_constant(graph, f"{name}/scale", scales),
        add_constant(graph, f"{name}/zero_point", zero_points),
    ]
    node = named_node(f"{name}/dq", "DequantizeLinear", inputs, {"axis": 0}, ir.DataType.FLOAT)
    graph.insert_before(reader, node)
    return node.outputs[0]


def _rewire(pair: QdqPair, readers: list[ir.Node] | None) -> None:
    """Let `readers` of the tensor (None: all that compute with it) read the pair's result."""
    for use in list(pair.value.uses()):
        wanted = use.node is not pair.quantize and use.node.op_type != "Shape"
        if wanted and (readers is None or (use.node in readers and use.idx == 0)):
            use.node.replace_input_with(use.idx, pair.dequantize.outputs[0])
