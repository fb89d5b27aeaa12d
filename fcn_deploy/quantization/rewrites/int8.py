"""Run the rewrites from an FP32 file to the INT8 graph that is written, in the order that they need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.graph.complete import check_complete
from fcn_deploy.graph.cpu.subpixel import upsample_by_phases
from fcn_deploy.graph.float_layers import check_rewritable, write_keep_reasons
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.nodes import producer
from fcn_deploy.graph.simplify import name_nodes, simplify
from fcn_deploy.quantization.rewrites.blocks import split_wide_convolutions
from fcn_deploy.quantization.rewrites.fold import fold_batch_norms
from fcn_deploy.quantization.rewrites.half import HalfReport, to_half
from fcn_deploy.quantization.rewrites.qdq import QdqPair, Range, insert_qdq, quantised_tensors
from fcn_deploy.vocabulary import Target


def load_rewritable(path: Path) -> ir.Model:
    """Read an FP32 file, simplified and with its batch norms folded; every node has a name of its own.

    Raises:
        GraphError: not ONNX, damaged, quantised or FP16 already, without a convolution, or without its external data.
    """
    model = load_graph(path)
    simplify(model)
    check_complete(model, path)
    check_rewritable(model, path)
    name_nodes(model)
    fold_batch_norms(model)
    return model


def to_int8(
    model: ir.Model,
    target: Target,
    kept: Mapping[str, str],
    ranges: Mapping[str, Range],
    wide: Mapping[str, str] | None = None,
) -> HalfReport | None:
    """Rewrite `model` in place.

    Args:
        kept: convolution -> why it stays in float.
        ranges: tensor -> (low, high) that 8 bits cover, of each of `qdq.quantised_tensors` at least.
        wide: node -> why it stays in FP32 where the rest becomes FP16; None to leave the rest in FP32.

    Returns:
        The result of converting the rest to FP16; None if it stays in FP32.
    """
    insert_qdq(model, target, kept, {name: ranges[name] for name in quantised_tensors(model, target, kept)})
    write_keep_reasons(model, kept)
    if target == "cpu":
        quantise_before_pools(model)
        split_wide_convolutions(model)
        upsample_by_phases(model)
    return None if wide is None else to_half(model, wide)


def quantise_before_pools(model: ir.Model) -> list[str]:
    """Put a pair like the one behind it before each MaxPool whose result is quantised, in place: it pools in 8 bits.

    A convolution whose result goes through MaxPool to its pair writes floats, four or two bytes for each that is kept.
    The largest of the quantised values is the quantised largest value, so nothing changes. ONNX Runtime finds that by
    itself; OpenVINO does not: full-width FCN-8s takes 85 ms in place of 89.

    The pair behind stays: ONNX Runtime takes a MaxPool between two pairs for one of 8 bits, and no other.

    Returns:
        Names of those nodes.
    """
    found = []
    for node in list(model.graph):
        quantize = _pair_behind(node)
        if quantize is not None:
            _put_before(model.graph, node, quantize)
            found.append(str(node.name))
    return found


def _pair_behind(node: ir.Node) -> ir.Node | None:
    """Return the QuantizeLinear of a float MaxPool's result; None if there is none, or its input has a pair already."""
    source = producer(node)
    if node.op_type != "MaxPool" or (source is not None and source.op_type == "DequantizeLinear"):
        return None
    readers = [use.node for use in node.outputs[0].uses()]
    return next((reader for reader in readers if reader.op_type == "QuantizeLinear"), None)


def _put_before(graph: ir.Graph, pool: ir.Node, behind: ir.Node) -> None:
    value, scale, zero_point = pool.inputs[0], *behind.inputs[1:]
    assert value is not None
    assert scale is not None
    assert zero_point is not None
    pair = QdqPair(value, scale, zero_point)
    graph.insert_before(pool, [pair.quantize, pair.dequantize])
    pool.replace_input_with(0, pair.dequantize.outputs[0])
