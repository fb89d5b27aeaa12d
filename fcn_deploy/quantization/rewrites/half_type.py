"""Define FP16 and BF16, and say which nodes of a graph cannot be in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fcn_deploy.graph.float_layers import REQUESTED, SCORE, match_names, score_layers
from fcn_deploy.graph.nodes import CONTRACT_PREFIX, constant

LARGEST_HALF = 65504.0
NORMALISATION, WEIGHT_OVERFLOW = "normalisation", "weight beyond FP16"
ACTIVATION_OVERFLOW, READS_OVERFLOW = "activation beyond FP16", "reads an activation beyond FP16"
BEHIND_SCORES = "scores"
DECONVOLUTION = "TensorRT for RTX builds no ConvTranspose in BF16"


@dataclass(frozen=True)
class HalfType:
    """A floating-point type of 16 bits.

    Attributes:
        name: "fp16" or "bf16"; admitted: as operators' definitions write it.
        opset: the first that defines convolutions of this type.
        largest: the largest |x| that it holds, where FP32 holds larger ones; None for the range of FP32.
    """

    name: str
    dtype: ir.DataType
    admitted: str
    opset: int
    largest: float | None


FP16 = HalfType("fp16", ir.DataType.FLOAT16, "tensor(float16)", 1, LARGEST_HALF)
BF16 = HalfType("bf16", ir.DataType.BFLOAT16, "tensor(bfloat16)", 22, None)


def nodes_kept_in_fp32(model: ir.Model, patterns: Sequence[str] = (), half: HalfType = FP16) -> dict[str, str]:
    """Return node -> why it stays in FP32: the contract's normalisation, what cannot be in the type, the user's choice.

    That is weights beyond FP16; for BF16 transposed convolutions, score layers and all behind them: the builder of
    TensorRT for RTX does not build the former, and scores of 8 bits would often be equal.
    """
    reasons = {}
    for node in model.graph:
        name = node.name or ""
        if name.startswith(CONTRACT_PREFIX) and node.op_type not in ("Cast", "ArgMax"):
            reasons[name] = NORMALISATION
        elif any(overflows(value, half) for value in node.inputs if value is not None):
            reasons[name] = WEIGHT_OVERFLOW
    reasons |= _scores(model) if half is BF16 else {}
    return reasons | dict.fromkeys(match_names(patterns, model.graph), REQUESTED)


def _scores(model: ir.Model) -> dict[str, str]:
    """Return node -> reason: transposed convolutions, score layers, and what is behind them but before no other."""
    leading: set[ir.Node] = set()
    for node in reversed(model.graph):
        if any(reader.op_type == "Conv" or reader in leading for reader in node.successors()):
            leading.add(node)
    last, found = set(score_layers(model)), dict[ir.Node, str]()
    for node in model.graph:
        if node.op_type == "ConvTranspose":
            found[node] = DECONVOLUTION
        elif node.name in last:
            found[node] = SCORE
        elif node.op_type in ("Conv", "Shape") or node in leading:
            continue
        elif any(before in found for before in node.predecessors()):
            found[node] = BEHIND_SCORES
    return {node.name or "": reason for node, reason in found.items()}


def nodes_beyond_fp16(model: ir.Model, largest: Mapping[str, float]) -> dict[str, str]:
    """Return node -> why it must stay in FP32, judged by the largest |x| of each tensor that images have shown.

    A node whose result passes 65504 stays, and so do its readers: a Cast of that result would be infinite.
    """
    reasons: dict[str, str] = {}
    for node in model.graph:
        top = max((largest.get(str(output.name), 0.0) for output in node.outputs), default=0.0)
        if top > LARGEST_HALF:
            reasons[node.name or ""] = f"{ACTIVATION_OVERFLOW} ({top:.3g})"
            for reader in node.successors():
                reasons.setdefault(reader.name or "", READS_OVERFLOW)
    return reasons


def is_stored(value: ir.Value) -> bool:
    """Return whether a value is an initializer with numbers."""
    return value.producer() is None and value.const_value is not None


def overflows(value: ir.Value, half: HalfType) -> bool:
    """Return whether a stored FP32 value has numbers beyond the type."""
    if half.largest is None or not is_stored(value) or value.dtype != ir.DataType.FLOAT:
        return False
    array = constant(value)
    return array.size > 0 and bool(np.abs(array).max() > half.largest)
