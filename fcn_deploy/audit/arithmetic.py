"""Read from the types around a node the precision in which a strongly typed engine computes it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir

from fcn_deploy.graph.float_layers import INTEGER_OPERATORS, KEEP_KEY
from fcn_deploy.graph.macs import operands
from fcn_deploy.graph.nodes import producer
from fcn_deploy.graph.sizes import TensorSize

NAMES = {
    ir.DataType.FLOAT: "FP32",
    ir.DataType.FLOAT16: "FP16",
    ir.DataType.BFLOAT16: "BF16",
    ir.DataType.DOUBLE: "FP64",
    ir.DataType.INT8: "INT8",
    ir.DataType.UINT8: "INT8",
    ir.DataType.FLOAT8E4M3FN: "FP8",
    ir.DataType.FLOAT8E5M2: "FP8",
}
UNKNOWN = "unknown"
_NARROW = ("INT8", "FP8")
# A compiler moves a dequantisation of the data past these; the TensorRT for RTX builder was seen to do so.
_MOVABLE = ("Cast", "Identity", "Transpose", "Reshape", "Slice", "MaxPool", "Squeeze", "Unsqueeze", "Flatten")
# Behind these a scale per channel is still at the same axis.
_SAME_AXES = ("Cast", "Identity")


def has_quantisation(model: ir.Model) -> bool:
    """Return whether any node of the graph is about quantised numbers."""
    kinds = (*INTEGER_OPERATORS, "DequantizeLinear")
    return any(node.op_type in kinds for node in model.graph)


def precision(node: ir.Node, sizes: Mapping[str, TensorSize], quantised: bool) -> tuple[str, str]:
    """Return the precision of a node's multiplications, and why it is not INT8 in an otherwise `quantised` graph.

    Conv, Gemm and MatMul are computed in INT8 (FP8) if both operands come from a DequantizeLinear of INT8 (FP8), the
    data with one scale, the weights with one or one for each output. Otherwise, and at every ConvTranspose, the type
    of the data counts: then a DequantizeLinear only costs time.

    Returns:
        "INT8", "FP8", "FP16", "BF16", "FP32", "FP64" or "unknown"; the reason, "" if there is none to give.
    """
    pair = operands(node)
    if pair is None:
        return UNKNOWN, ""
    data, weights = pair
    kept = node.metadata_props.get(KEEP_KEY, "")
    if node.op_type in INTEGER_OPERATORS:
        return _name(data, sizes), kept
    why_not = _why_not_narrow(node, data, weights, sizes)
    if not why_not:
        return _name(_source(data, _MOVABLE).inputs[0], sizes), kept  # type: ignore[union-attr]
    return _name(data, sizes), kept or (why_not if quantised else "")


def _why_not_narrow(node: ir.Node, data: ir.Value, weights: ir.Value, sizes: Mapping[str, TensorSize]) -> str:
    """Return what keeps a node from integer arithmetic; "" if nothing does."""
    before, constant = _source(data, _MOVABLE), _source(weights, _SAME_AXES)
    if before is None and constant is None:
        return "not quantised"
    if before is None:
        return "input is not quantised"
    if constant is None:
        return "weights are not quantised"
    if node.op_type == "ConvTranspose":
        return "quantised, but TensorRT has no integer ConvTranspose"
    kinds = [_name(dequantise.inputs[0], sizes) for dequantise in (before, constant)]
    if kinds[0] != kinds[1] or kinds[0] not in _NARROW:
        return f"input is quantised to {kinds[0]}, weights to {kinds[1]}"
    if _scales(before, sizes) != 1:
        return "input has a scale for each channel; one is needed"
    axis = _axis(constant, sizes)
    if _scales(constant, sizes) != 1 and axis != _output_axis(node, constant, sizes):
        return f"weights have scales along axis {axis}, not that of the outputs"
    return ""


def _source(value: ir.Value, past: tuple[str, ...]) -> ir.Node | None:
    """Return the DequantizeLinear that a value comes from, going back through the operators in `past`; None if none."""
    node = value.producer()
    while node is not None and node.op_type in past:
        node = producer(node)
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def _scales(dequantise: ir.Node, sizes: Mapping[str, TensorSize]) -> int:
    """Return number of scales; 0 if it is not known."""
    scale = dequantise.inputs[1]
    shape = None if scale is None else sizes[str(scale.name)].shape
    return 0 if shape is None else math.prod(shape)


def _axis(dequantise: ir.Node, sizes: Mapping[str, TensorSize]) -> int:
    axis = dequantise.attributes.get_int("axis", 1)
    return axis + _rank(dequantise, sizes) if axis < 0 else axis


def _output_axis(node: ir.Node, dequantise: ir.Node, sizes: Mapping[str, TensorSize]) -> int:
    """Return the axis of the weights that runs over the node's outputs."""
    if node.op_type == "Conv" or (node.op_type == "Gemm" and node.attributes.get_int("transB", False)):
        return 0
    return 1 if node.op_type == "Gemm" else _rank(dequantise, sizes) - 1


def _rank(dequantise: ir.Node, sizes: Mapping[str, TensorSize]) -> int:
    value = dequantise.inputs[0]
    return len((None if value is None else sizes[str(value.name)].shape) or ())


def _name(value: ir.Value | None, sizes: Mapping[str, TensorSize]) -> str:
    dtype = None if value is None else sizes[str(value.name)].dtype
    return UNKNOWN if dtype is None else NAMES.get(dtype, dtype.name)
