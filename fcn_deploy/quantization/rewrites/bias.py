"""Correct biases for the mean error that 8-bit weights cause.

Bias correction (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2): with the weights' error dW and the mean input E[x] of each channel, measured on the calibration images,
output channel o is off by the sum over c and the kernel of dW[o, c, k] * E[x_c] on average; the bias takes that back.
Pixels beyond the image's edge, which are 0, are counted as if they were inside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.graph.float_layers import convolutions
from fcn_deploy.graph.nodes import add_constant, constant, only_reader, operand
from fcn_deploy.quantization.rewrites.qdq import quantise_weight


def correctable(model: ir.Model, kept: Collection[str]) -> list[ir.Node]:
    """Return the quantised convolutions whose bias is stored for them alone, or which have none."""
    return [
        node
        for node in convolutions(model)
        if node.name not in kept
        and ((bias := operand(node, 2)) is None or (bias.const_value is not None and only_reader(bias) is not None))
    ]


def correct_biases(
    model: ir.Model, kept: Collection[str], means: Mapping[str, NDArray[np.floating]]
) -> dict[str, float]:
    """Rewrite the biases of `model`, whose weights are still in FP32, in place.

    Args:
        kept: convolutions that stay in float.
        means: tensor -> float[C] mean of each channel, of each input of `correctable`.

    Returns:
        Convolution -> largest change of a bias.
    """
    changes = {}
    for node in correctable(model, kept):
        source, weight = node.inputs[0], constant(node.inputs[1])
        assert source is not None
        codes, scales = quantise_weight(weight)
        error = codes * scales.reshape(-1, *[1] * (weight.ndim - 1)).astype(np.float64) - weight
        mean = means[str(source.name)].reshape(node.attributes.get_int("group", 1), -1)
        change = _mean_errors(error.reshape(*error.shape[:2], -1).sum(axis=2), mean)
        _subtract(model.graph, node, change)
        changes[str(node.name)] = float(np.abs(change).max())
    return changes


def _mean_errors(errors: NDArray[np.float64], mean: NDArray[np.floating]) -> NDArray[np.float64]:
    """Multiply float64[M, C / groups] with the means [groups, C / groups] of the group that each output reads."""
    groups = mean.shape[0]
    by_group = errors.reshape(groups, -1, errors.shape[1])
    found: NDArray[np.float64] = np.einsum("gmc,gc->gm", by_group, mean).reshape(-1)
    return found


def _subtract(graph: ir.Graph, node: ir.Node, change: NDArray[np.float64]) -> None:
    bias = operand(node, 2)
    if bias is None:
        node.resize_inputs(3)
        node.replace_input_with(2, add_constant(graph, f"{node.name}/bias", (-change).astype(np.float32)))
    else:
        bias.const_value = ir.tensor((constant(bias) - change).astype(np.float32), name=bias.name)
