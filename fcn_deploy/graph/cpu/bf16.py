"""Compute a BF16 file where a runtime has no BF16 kernels: in FP32, with each result rounded to BF16.

That is what hardware does up to the order of the sums, which it keeps in FP32 too, and to what it fuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.nodes import named_node
from fcn_deploy.graph.weights import catch_write_errors, save_graph
from fcn_deploy.system.scratch import scratch_folder

BF16, FLOAT = ir.DataType.BFLOAT16, ir.DataType.FLOAT
NOTE = "no BF16 kernels on this device: computed in FP32, each result rounded to BF16"
# They give values that they were given, or 0: nothing to round again.
_EXACT = ("Relu", "MaxPool", "Identity", "Slice", "Concat", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten")


def holds_bf16(model: ir.Model) -> bool:
    """Return whether any node of the graph works on BF16 numbers."""
    return any(_casts_to_bf16(node) for node in model.graph) or any(
        value.dtype == BF16 for value in model.graph.initializers.values()
    )


@contextmanager
def rounded_in_fp32(path: Path) -> Iterator[Path]:
    """Yield a temporary file that computes `path` in FP32 with BF16 results; `path` itself if it has no BF16.

    Raises:
        GraphError: the file cannot be read.
        OutputError: the temporary file cannot be written.
    """
    model = load_graph(path)
    if not holds_bf16(model):
        yield path
        return
    with scratch_folder() as folder, catch_write_errors(folder):
        round_in_fp32(model)
        save_graph(model, Path(folder, path.name))
        yield Path(folder, path.name)


def round_in_fp32(model: ir.Model) -> None:
    """Rewrite `model` in place: values are FP32, and those that were BF16 hold BF16 numbers."""
    from onnx_ir.passes import common

    common.ShapeInferencePass()(model)
    for value in model.graph.initializers.values():
        if value.dtype == BF16 and value.const_value is not None:
            value.const_value = ir.tensor(value.const_value.numpy().astype(np.float32), name=value.name)
            value.dtype = FLOAT
    for node in list(model.graph):
        for output in [output for output in node.outputs if output.dtype == BF16]:
            output.dtype = FLOAT
            if node.op_type not in _EXACT:
                _round(model.graph, node, output)
        if _casts_to_bf16(node):
            node.attributes["to"] = ir.AttrInt64("to", FLOAT.value)


def _casts_to_bf16(node: ir.Node) -> bool:
    return node.op_type == "Cast" and node.attributes.get_int("to", 0) == BF16.value


def _round(graph: ir.Graph, node: ir.Node, output: ir.Value) -> None:
    narrow = named_node(f"{output.name}/rounded", "Cast", [output], {"to": BF16.value}, BF16)
    wide = named_node(f"{output.name}/widened", "Cast", narrow.outputs, {"to": FLOAT.value}, FLOAT)
    output.replace_all_uses_with(wide.outputs[0])
    narrow.replace_input_with(0, output)
    graph.insert_after(node, [narrow, wide])
