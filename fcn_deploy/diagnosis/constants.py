"""Read the constants of a graph: weights behind Q/DQ pairs and casts, and the normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.graph.nodes import operand

Values = NDArray[np.float64]
_ARITHMETIC = ("Sub", "Add", "Mul", "Div")
_PASSED = ("Cast", "Identity", "Transpose")


@dataclass(frozen=True)
class Parameters:
    """Weight float64[...] and bias float64[M] of a layer; None where it has none stored."""

    weight: Values
    bias: Values | None


@dataclass(frozen=True)
class Normalisation:
    """(x[order] - mean) / std, each float64[3], of RGB in 0..255."""

    order: tuple[int, ...]
    mean: Values
    std: Values

    @classmethod
    def of_card(cls, card: ModelCard) -> Normalisation:
        order = (2, 1, 0) if card.channel_order == "BGR" else (0, 1, 2)
        return cls(order, np.array(card.mean, np.float64), np.array(card.std, np.float64))


def constant_value(value: ir.Value | None) -> Values | None:
    """Return the numbers of a constant, dequantised; None if the value is computed from anything else."""
    if value is None:
        return None
    if value.const_value is not None:
        return value.const_value.numpy().astype(np.float64)
    node = value.producer()
    if node is None or node.op_type not in ("DequantizeLinear", "Cast", "Identity"):
        return None
    data = constant_value(node.inputs[0])
    return data if data is None or node.op_type != "DequantizeLinear" else _dequantised(node, data)


def quantised_range(node: ir.Node) -> tuple[float, float] | None:
    """Return the (low, high) that a QuantizeLinear with one stored scale can tell apart; None for others."""
    scale = constant_value(node.inputs[1])
    zero = operand(node, 2)
    zero_point = constant_value(zero)
    signed = zero is not None and zero.dtype == ir.DataType.INT8
    if scale is None or scale.size != 1 or (zero is not None and zero_point is None):
        return None
    codes = (-128, 127) if signed else (0, 255)
    origin = 0.0 if zero_point is None else float(zero_point.reshape(-1)[0])
    low, high = ((code - origin) * float(scale.reshape(-1)[0]) for code in codes)
    return low, high


def parameters(node: ir.Node) -> Parameters | None:
    """Return weight and bias of a node that multiplies with a stored weight; None for others."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return None
    weight = constant_value(node.inputs[1])
    return None if weight is None else Parameters(weight, constant_value(operand(node, 2)))


def normalisation(model: ir.Model) -> Normalisation | None:
    """Return the arithmetic between a uint8 image and the first layer, as one formula; None without a uint8 input."""
    if model.graph.inputs[0].dtype != ir.DataType.UINT8:
        return None
    order, factor, shift = np.arange(3), np.ones(3), np.zeros(3)
    for node in _image_path(model):
        if node.op_type == "Gather":
            index = constant_value(node.inputs[1])
            assert index is not None
            order, factor, shift = (array[index.astype(int)] for array in (order, factor, shift))
        elif node.op_type in _ARITHMETIC:
            constant = _channelwise(node)
            assert constant is not None
            factor, shift = _applied(node.op_type, factor, shift, constant)
    return Normalisation(tuple(int(index) for index in order), 0.0 - shift / factor, 1 / factor)


def normalised_image(model: ir.Model) -> str:
    """Return the tensor in which the image is normalised: what its arithmetic gives, or the input where it has none."""
    nodes = [node for node in _image_path(model) if node.op_type != "Cast"]
    return str(nodes[-1].outputs[0].name if nodes else model.graph.inputs[0].name)


def _image_path(model: ir.Model) -> list[ir.Node]:
    """Return the nodes, one after the other, that prepare the image before the network."""
    value = model.graph.inputs[0]
    path: list[ir.Node] = []
    while True:
        readers = [use.node for use in value.uses() if use.node.op_type != "Shape"]
        if len(readers) != 1 or not _prepares(readers[0]):
            return path
        path.append(readers[0])
        value = readers[0].outputs[0]


def _prepares(node: ir.Node) -> bool:
    if node.op_type == "Gather":
        index = constant_value(node.inputs[1])
        return index is not None and index.size == 3
    return node.op_type in _PASSED or (node.op_type in _ARITHMETIC and _channelwise(node) is not None)


def _channelwise(node: ir.Node) -> Values | None:
    constant = constant_value(node.inputs[1])
    if constant is None or constant.size not in (1, 3):
        return None
    return np.broadcast_to(constant.reshape(-1), 3)


def _applied(op_type: str, factor: Values, shift: Values, constant: Values) -> tuple[Values, Values]:
    if op_type in ("Sub", "Add"):
        return factor, shift + (constant if op_type == "Add" else -constant)
    scale = constant if op_type == "Mul" else 1 / constant
    return factor * scale, shift * scale


def _dequantised(node: ir.Node, codes: Values) -> Values | None:
    scale, zero = constant_value(node.inputs[1]), operand(node, 2)
    zero_point = np.zeros(1) if zero is None else constant_value(zero)
    if scale is None or zero_point is None:
        return None
    axis = node.attributes.get_int("axis", 1)
    return (codes - _along(zero_point, axis, codes.ndim)) * _along(scale, axis, codes.ndim)


def _along(array: Values, axis: int, rank: int) -> Values:
    """Reshape per-channel numbers so that they broadcast against the weights; a single one as it is."""
    if array.size == 1:
        return array.reshape(())
    shape = [1] * rank
    shape[axis] = array.size
    return array.reshape(shape)
