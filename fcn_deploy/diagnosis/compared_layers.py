"""Run each layer of a graph alone, fed with another network's tensors, to see its own error.

Run as a whole, every layer behind a faulty one looks faulty too. Fed with the tensors that the other network had at
the same places, a layer shows its own error alone, and errors before it neither hide it nor blame it. A layer is what
lies between tensors that both networks know by name; Q/DQ pairs and casts on the way belong to the layer that reads
them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common

from fcn_deploy.graph.macs import OPERANDS
from fcn_deploy.graph.nodes import only_reader
from fcn_deploy.graph.subgraph import Subgraph, extract_subgraph
from fcn_deploy.vocabulary import LayerPrecision

FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
HALVES: dict[ir.DataType, LayerPrecision] = {ir.DataType.FLOAT16: "fp16", ir.DataType.BFLOAT16: "bf16"}
FED = "fed:"
SHAPES = "shape/"  # under which arithmetic on shapes goes, see naming
# What a layer is named after, where it holds one of these; other operators only carry or reshape.
_MULTIPLYING = tuple(OPERANDS)
_PASS_THROUGH = ("Cast", "Identity", "QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class ComparedLayer:
    """What makes one tensor out of the nearest ones that both networks know.

    Attributes:
        name, op_type: of the node that does the work.
        tensor: its result.
        reads: the tensors that it is fed, in no order.
        precision: the narrowest type on the way.
        nodes: all nodes between, in the graph's order.
    """

    name: str
    op_type: str
    tensor: str
    reads: tuple[str, ...]
    precision: LayerPrecision
    nodes: tuple[ir.Node, ...]


def comparable_tensors(model: ir.Model, labels: str | None) -> list[str]:
    """Return the results that networks have in common, in the graph's order: floats before the arg max, and `labels`.

    `model` gains the types that it lacked.
    """
    common.ShapeInferencePass()(model)
    after: set[ir.Node] = set()
    found = []
    for node in model.graph:
        if node.op_type == "ArgMax" or any(before in after for before in node.predecessors()):
            after.add(node)
        for output in node.outputs:
            if output.name == labels or (output.dtype in FLOATS and node not in after):
                found.append(str(output.name))
    return found


def carrying_value(value: ir.Value) -> ir.Value:
    """Return the value that carries this tensor: itself, or the output of the Q/DQ pair that is its only reader.

    ONNX Runtime's quantiser drops a ReLU if the pair behind it clips at 0, and gives the ReLU's name to the result of
    the convolution. A convolution whose result bears another name than its own shows this.
    """
    producer = value.producer()
    if producer is None or producer.op_type not in _MULTIPLYING or producer.name == value.name:
        return value
    quantize = only_reader(value)
    dequantize = None if quantize is None else only_reader(quantize.outputs[0])
    pair = quantize is not None and quantize.op_type == "QuantizeLinear"
    return dequantize.outputs[0] if pair and dequantize is not None else value


def find_layers(model: ir.Model, shared: Collection[str]) -> list[ComparedLayer]:
    """Return the layers that make `shared`, tensors that nodes of `model` give, in the graph's order."""
    known = set(shared)
    order = {node: index for index, node in enumerate(model.graph)}
    made = [output for node in model.graph for output in node.outputs if output.name in known]
    return [_layer(value, known, order) for value in made]


class IsolatedLayers:
    """The layers of a graph in ONNX Runtime, each fed from outside and not by the layer before it.

    `model` is rewired in place: read `layers` off it before.
    """

    def __init__(self, model: ir.Model, shared: Collection[str]) -> None:
        """Cut the graph at the tensors `shared`."""
        self._model = model
        self._inputs = [str(value.name) for value in model.graph.inputs]
        values = ir.convenience.create_value_mapping(model.graph)
        self._types = {}
        for name in shared:
            fed = ir.Value(name=FED + name, type=values[name].type)
            model.graph.inputs.append(fed)
            self._inputs.append(FED + name)
            for use in list(values[name].uses()):
                use.node.replace_input_with(use.idx, fed)
            dtype = values[name].dtype
            self._types[name] = np.float16 if dtype == ir.DataType.FLOAT16 else np.float32

    def open(self, layers: Sequence[ComparedLayer], folder: Path, *, threads: int | None = None) -> Subgraph:
        """Return those layers as one session; its inputs bear the prefix `FED` but for the graph's own."""
        return Subgraph(
            extract_subgraph(self._model, self._inputs, [layer.tensor for layer in layers]), folder, threads=threads
        )

    def feeds(self, part: Subgraph, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Select the inputs of `part` from tensors by name, converted to this graph's types."""
        feeds = {}
        for name in part.inputs:
            tensor = name.removeprefix(FED)
            fed = name.startswith(FED)
            with np.errstate(over="ignore"):
                feeds[name] = tensors[tensor].astype(self._types[tensor], copy=False) if fed else tensors[tensor]
        return feeds


def _layer(value: ir.Value, known: Collection[str], order: Mapping[ir.Node, int]) -> ComparedLayer:
    nodes: set[ir.Node] = set()
    reads: dict[str, None] = {}
    todo = [value]
    while todo:
        producer = todo.pop().producer()
        if producer is None or producer in nodes:
            continue
        nodes.add(producer)
        for operand in producer.inputs:
            if operand is None or operand.const_value is not None:
                continue
            if operand.name in known or operand.is_graph_input():
                reads[str(operand.name)] = None
            else:
                todo.append(operand)
    ordered = tuple(sorted(nodes, key=lambda node: order[node]))
    worker = _main_node(ordered)
    return ComparedLayer(worker.name or "", worker.op_type, str(value.name), tuple(reads), _precision(ordered), ordered)


def _main_node(nodes: Sequence[ir.Node]) -> ir.Node:
    """Return the node that names a layer: the last that multiplies with weights, else the last that computes."""
    weighted = [node for node in nodes if node.op_type in _MULTIPLYING]
    computing = [
        node for node in nodes if node.op_type not in _PASS_THROUGH and not (node.name or "").startswith(SHAPES)
    ]
    return (weighted or computing or nodes)[-1]


def _precision(nodes: Sequence[ir.Node]) -> LayerPrecision:
    if any(
        node.op_type == "DequantizeLinear" or "Integer" in node.op_type or "QLinear" in node.op_type for node in nodes
    ):
        return "fp8" if ir.DataType.FLOAT8E4M3FN in _types(nodes) else "int8"
    return next((word for dtype, word in HALVES.items() if dtype in _types(nodes)), "fp32")


def _types(nodes: Sequence[ir.Node]) -> set[ir.DataType | None]:
    return {value.dtype for node in nodes for value in (*node.inputs, *node.outputs) if value is not None}
