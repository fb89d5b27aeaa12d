"""Quantise one convolution and leave the rest in float, as the part of the graph from that convolution on.

What stands before a layer computes the same whether or not the layer is quantised. So its tensors are computed once,
and the layer's own effect needs no more than the part behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from fcn_deploy.graph.float_layers import convolutions
from fcn_deploy.graph.subgraph import extract_subgraph, live_tensors_before
from fcn_deploy.quantization.rewrites.int8 import to_int8
from fcn_deploy.quantization.rewrites.qdq import Range
from fcn_deploy.vocabulary import Target

ALONE = "another layer is measured"


def candidates(model: ir.Model, kept: Mapping[str, str]) -> list[str]:
    """Return the convolutions that would be INT8, in the order of the graph, in which each has a name of its own."""
    return [str(node.name) for node in convolutions(model) if node.name not in kept]


def tensors_before(model: ir.Model, layer: str, target: Target) -> list[str]:
    """Return the FP32 tensors from which the network with `layer` alone in INT8 can be computed to its end.

    For "tensorrt" the graph is cut right before the layer. For "cpu" every reader of the layer's input reads 8 bits, so
    the cut is before the first of them.
    """
    node = next(node for node in model.graph if node.name == layer)
    source = node.inputs[0]
    if target == "tensorrt" or source is None:
        return live_tensors_before(model, layer)
    readers = {use.node for use in source.uses() if use.node.op_type != "Shape"}
    return live_tensors_before(model, str(next(node.name for node in model.graph if node in readers)))


def quantise_one_layer(
    model: ir.Model,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layer: str,
    target: Target,
    ranges: Mapping[str, Range],
) -> ir.Model:
    """Return the part of `model` between two sets of tensors with `layer` alone in INT8; `model` stays as it is.

    Args:
        ranges: tensor -> (low, high), as for `to_int8`.
    """
    part = extract_subgraph(model, inputs, outputs)
    kept = {node.name or "": ALONE for node in convolutions(part) if node.name != layer}
    to_int8(part, target, kept, ranges)
    return part
