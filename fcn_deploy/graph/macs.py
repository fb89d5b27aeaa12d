"""Count the multiply-adds of the operators that do a network's arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir

from fcn_deploy.graph.sizes import TensorSize

# operator -> positions of its data input and of its weights.
OPERANDS = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"), (0, 1)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), (0, 3)),
}
_CONVOLUTIONS = ("Conv", "ConvInteger", "QLinearConv")


def operands(node: ir.Node) -> tuple[ir.Value, ir.Value] | None:
    """Return data and weights of a node that multiplies and adds; None for any other."""
    if node.op_type not in OPERANDS or node.domain not in ("", "ai.onnx"):
        return None
    positions = OPERANDS[node.op_type]
    if len(node.inputs) <= max(positions):
        return None
    data, weights = (node.inputs[position] for position in positions)
    return None if data is None or weights is None else (data, weights)


def multiply_adds(node: ir.Node, sizes: Mapping[str, TensorSize]) -> int | None:
    """Return multiply-adds of one node; None where a shape is not known. The bias is not counted.

    From the operators' definitions (ONNX operator specification), for weights [M, C/group, kh, kw] of a Conv and
    [C, M/group, kh, kw] of a ConvTranspose:

        Conv            N * M * Hout * Wout * (C / group) * kh * kw
        ConvTranspose   N * C * Hin * Win * (M / group) * kh * kw
        Gemm, MatMul    elements of the result * length of the dot products

    Padding counts as data; so do the products of a ConvTranspose that its pads crop away.
    """
    pair = operands(node)
    if pair is None:
        return None
    data, weights, result = (sizes[str(value.name)].shape for value in (*pair, node.outputs[0]))
    if data is None or weights is None or result is None:
        return None
    if node.op_type in _CONVOLUTIONS:
        return math.prod(result) * math.prod(weights[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(data) * math.prod(weights[1:])
    transposed = node.op_type == "Gemm" and bool(node.attributes.get_int("transA", False))
    return math.prod(result) * (data[0] if transposed else data[-1])
