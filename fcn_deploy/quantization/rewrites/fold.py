"""Fold batch normalisation into the convolution before it, so that 8 bits or FP16 hold the weights that are used.

An exported file keeps them apart, because then each weight bears its state-dict name; every runtime folds them, but
none can once a DequantizeLinear comes between the stored weight and the convolution.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.graph.nodes import add_constant, constant, only_reader, operand, producer, remove_unused_constants

DEFAULT_EPSILON = 1e-5


def fold_batch_norms(model: ir.Model) -> tuple[str, ...]:
    """Rewrite `model` in place; returns the names of the BatchNormalization nodes that are gone.

    One is folded if it alone reads a convolution with stored weights that no other node shares, and its own four
    parameters are stored. The convolution keeps its name, its result takes over the name of the normalised one.
    """
    return tuple(
        node.name or "" for node in list(model.graph) if node.op_type == "BatchNormalization" and _fold(model, node)
    )


def _fold(model: ir.Model, norm: ir.Node) -> bool:
    conv = producer(norm)
    if conv is None or conv.op_type != "Conv" or only_reader(conv.outputs[0]) is None:
        return False
    weight, bias = conv.inputs[1], operand(conv, 2)
    own = [value for value in (weight, bias) if value is not None]
    if any(value.const_value is None or only_reader(value) is None for value in own) or weight is None:
        return False
    if any(value is None or value.const_value is None for value in norm.inputs[1:5]):
        return False
    gamma, beta, mean, variance = (_array(value) for value in norm.inputs[1:5])
    epsilon = norm.attributes.get_float("epsilon", DEFAULT_EPSILON)
    # In double precision: sqrt and quotient of small variances lose bits that the FP32 weights still have.
    factor = gamma / np.sqrt(variance + epsilon)
    weights = _array(weight)
    shift = beta + ((0.0 if bias is None else _array(bias)) - mean) * factor
    _store(weight, weights * factor.reshape(-1, *[1] * (weights.ndim - 1)))
    if bias is None:
        stem = str(weight.name).removesuffix(".weight")
        conv.resize_inputs(3)
        conv.replace_input_with(2, add_constant(model.graph, f"{stem}.bias", shift.astype(np.float32)))
    else:
        _store(bias, shift)
    _replace_norm(model.graph, conv, norm)
    return True


def _replace_norm(graph: ir.Graph, conv: ir.Node, norm: ir.Node) -> None:
    """Replace the normalised result by the convolution's, under its name; remove what only `norm` read."""
    old, new = norm.outputs[0], conv.outputs[0]
    name, parameters = str(old.name), norm.inputs[1:5]
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    graph.remove(norm, safe=True)
    new.name = name
    remove_unused_constants(graph, parameters)


def _store(value: ir.Value, array: NDArray[np.float64]) -> None:
    value.const_value = ir.tensor(array.astype(np.float32), name=value.name)


def _array(value: ir.Value | None) -> NDArray[np.float64]:
    return constant(value).astype(np.float64)
