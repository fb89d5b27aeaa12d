"""Read from a quantised graph which tensors it holds in 8 bits, and the range of each."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from fcn_deploy.diagnosis.constants import quantised_range
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.simplify import name_nodes, simplify
from fcn_deploy.model_file import kind_of
from fcn_deploy.quantization.calibration.image_statistics import Range

_PASSED = ("Cast", "Identity")


def load_quantised(path: Path) -> tuple[ir.Model, dict[str, Range]]:
    """Return the graph and the ranges of its quantised tensors, named as before they are quantised.

    Raises:
        GraphError: an engine, another file than ONNX, or nothing in it is quantised.
    """
    if kind_of(str(path)) == "engine":
        raise GraphError(
            f"{path} is an engine, which shows none of its tensors; give the INT8 .onnx file that it was built from"
        )
    if kind_of(str(path)) != "onnx":
        raise GraphError(f"{path} is no .onnx file; give the INT8 file that `fcn-deploy quantize` wrote")
    model = load_graph(path)
    simplify(model)
    name_nodes(model)
    found = quantised_ranges(model)
    if not found:
        raise GraphError(
            f"{path} has no quantised tensor, so it has no calibration that images could fit; give the INT8 file "
            "(`fcn-deploy quantize --precision int8` writes one)"
        )
    return model, found


def quantised_ranges(model: ir.Model) -> dict[str, Range]:
    """Return tensor -> (low, high) of each QuantizeLinear with one scale, in the graph's order; weights have none.

    A pair before a MaxPool whose result is quantised too is left out: it is a copy of the pair behind, which the CPU's
    kernels need, and has the range of the pooled values, the only ones that calibration saw.
    """
    found: dict[str, Range] = {}
    for node in model.graph:
        covered = quantised_range(node) if node.op_type == "QuantizeLinear" and not _is_pooled(node) else None
        source = _source(node) if covered is not None else None
        if covered is not None and source is not None:
            found.setdefault(str(source.name), covered)
    return found


def _source(node: ir.Node) -> ir.Value | None:
    """Return the tensor that a QuantizeLinear reads, past casts; None for one that holds quantised values already."""
    value = node.inputs[0]
    while value is not None and (maker := value.producer()) is not None and maker.op_type in _PASSED:
        value = maker.inputs[0]
    if value is None or value.const_value is not None:
        return None
    return value


def _is_pooled(quantize: ir.Node) -> bool:
    """Return whether all that reads the pair of `quantize` is MaxPool whose result has a pair of its own."""
    pairs = [use.node for use in quantize.outputs[0].uses()]
    readers = [use.node for pair in pairs for use in pair.outputs[0].uses()]
    return bool(readers) and all(reader.op_type == "MaxPool" and _is_quantised(reader) for reader in readers)


def _is_quantised(node: ir.Node) -> bool:
    return any(use.node.op_type == "QuantizeLinear" for use in node.outputs[0].uses())
