"""Rewrite an FP32 graph to FP8 (E4M3): pairs of opset 19 where those of INT8 for TensorRT are."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from fcn_deploy.graph.float_layers import write_keep_reasons
from fcn_deploy.quantization.rewrites.half import HalfReport, to_half
from fcn_deploy.quantization.rewrites.opset import raise_opset
from fcn_deploy.quantization.rewrites.qdq import FP8, Range, insert_qdq, quantised_tensors

# The first whose QuantizeLinear and DequantizeLinear take floats of 8 bits.
OPSET = 19


def to_fp8(
    model: ir.Model, kept: Mapping[str, str], ranges: Mapping[str, Range], wide: Mapping[str, str] | None = None
) -> HalfReport | None:
    """Rewrite `model` in place; arguments and result as for `int8.to_int8` with the target "tensorrt".

    Raises:
        GraphError: the graph cannot be restated in opset 19.
    """
    raise_opset(model, OPSET, FP8.name)
    names = quantised_tensors(model, "tensorrt", kept, FP8.name)
    insert_qdq(model, "tensorrt", kept, {name: ranges[name] for name in names}, FP8)
    write_keep_reasons(model, kept)
    return None if wide is None else to_half(model, wide)
