"""Carry out what a precision asks for: the ranges of its 8 bits, and the rewrites of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from fcn_deploy.quantization.calibration.histogram import choose_range
from fcn_deploy.quantization.calibration.measure import TensorStatistics
from fcn_deploy.quantization.options import QuantizeOptions
from fcn_deploy.quantization.rewrites.fp8 import to_fp8
from fcn_deploy.quantization.rewrites.half import HalfReport, to_half
from fcn_deploy.quantization.rewrites.int8 import to_int8
from fcn_deploy.quantization.rewrites.qdq import FP8, INT8, Range


def choose_ranges(seen: TensorStatistics, names: Sequence[str], options: QuantizeOptions) -> dict[str, Range]:
    """Return tensor -> (low, high) that its codes cover."""
    symmetric = options.target == "tensorrt"
    return {
        name: choose_range(
            seen.histograms[name], options.own_method, symmetric=symmetric, percentile=options.percentile
        )
        for name in names
    }


def rewrite(
    model: ir.Model,
    options: QuantizeOptions,
    kept: Mapping[str, str],
    ranges: Mapping[str, Range],
    wide: Mapping[str, str],
) -> HalfReport | None:
    """Rewrite `model` in place to the precision of the options.

    Args:
        kept: convolution -> why it stays in float.
        ranges: tensor -> (low, high) that 8 bits cover.
        wide: node -> why it stays in FP32 where the rest becomes FP16 or BF16.

    Returns:
        The result of converting the rest; None if it stays in FP32.
    """
    rest = None if options.half is None else wide
    if options.codes is INT8:
        return to_int8(model, options.target, kept, ranges, rest)
    if options.codes is FP8:
        return to_fp8(model, kept, ranges, rest)
    return None if options.half is None else to_half(model, wide, options.half)
