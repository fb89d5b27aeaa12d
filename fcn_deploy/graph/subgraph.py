"""Extract the part of a graph between two sets of tensors, and run it on stored tensors."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.weights import catch_write_errors, save_graph

Tensors = Mapping[str, NDArray[Any]]


def live_tensors_before(model: ir.Model, node_name: str) -> list[str]:
    """Return the tensors from which the network can be computed from `node_name` on, without the nodes before it.

    They are made by the graph's inputs or by nodes before that node in the graph's order, and read by it or by a later
    node, or are outputs of the graph; weights are not among them.

    Raises:
        GraphError: there is no such node.
    """
    nodes = list(model.graph)
    start = next((index for index, node in enumerate(nodes) if node.name == node_name), None)
    if start is None:
        raise GraphError(f"the graph has no node {node_name}")
    made = [*model.graph.inputs, *(output for node in nodes[:start] for output in node.outputs)]
    later = set(nodes[start:])
    return [
        str(value.name) for value in made if value.is_graph_output() or any(use.node in later for use in value.uses())
    ]


def extract_subgraph(model: ir.Model, inputs: Sequence[str], outputs: Sequence[str]) -> ir.Model:
    """Copy the nodes between `inputs` and `outputs` to a new model; `model` gains the types that it lacked.

    Weights are shared with `model`, not copied. Outputs that are inputs too are left out: nothing computes them.

    Raises:
        GraphError: there is no such tensor, or `outputs` need more than `inputs`.
    """
    wanted = [name for name in outputs if name not in inputs]
    read = _read(model, inputs, wanted)
    values = ir.convenience.create_value_mapping(model.graph)
    if any(values[name].dtype is None for name in (*read, *wanted)):
        common.ShapeInferencePass()(model)
    try:
        graph = ir.convenience.extract(model.graph, read, wanted)
    except ValueError as error:
        raise GraphError(
            f"the graph cannot be cut between {', '.join(inputs)} and {', '.join(wanted)}: {error}"
        ) from error
    _own_types(graph)
    return ir.Model(graph, ir_version=model.ir_version)


def copy_model(model: ir.Model) -> ir.Model:
    """Return a copy whose rewriting leaves `model` as it is; weights are shared, not copied."""
    copied = model.clone()
    _own_types(copied.graph)
    return copied


class Subgraph:
    """A part of a graph, open in ONNX Runtime on the CPU.

    Attributes:
        inputs: tensors that `run` needs.
        outputs: tensors that it gives.
    """

    def __init__(self, model: ir.Model, folder: Path, *, threads: int | None = None) -> None:
        """Open a model of `extract_subgraph`; its file is written into `folder` and removed again."""
        with catch_write_errors(folder), tempfile.TemporaryDirectory(dir=folder) as own:
            path = Path(own, "part.onnx")
            save_graph(model, path)
            self._session = open_cpu_session(path, threads=threads, shown="a part of the graph")
        self.inputs = tuple(str(value.name) for value in model.graph.inputs)
        self.outputs = tuple(str(value.name) for value in model.graph.outputs)

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """Feed `inputs`, out of tensors that may be more, and give every one of `outputs`."""
        feeds = {name: tensors[name] for name in self.inputs}
        return dict(zip(self.outputs, self._session.run(list(self.outputs), feeds), strict=True))


def _own_types(graph: ir.Graph) -> None:
    """Give each value its own type object: a clone shares them, and `dtype = ...` would change both."""
    outputs = [output for node in graph for output in node.outputs]
    for value in (*graph.inputs, *graph.initializers.values(), *outputs):
        value.type = copy.copy(value.type)


def _read(model: ir.Model, inputs: Sequence[str], outputs: Collection[str]) -> list[str]:
    """Return those of `inputs` on which `outputs` depend; a part must not have inputs that it does not read."""
    values = ir.convenience.create_value_mapping(model.graph)
    missing = [name for name in (*inputs, *outputs) if name not in values]
    if missing:
        raise GraphError(f"the graph has no tensor {missing[0]}")
    edge = {values[name] for name in inputs}
    seen: set[ir.Value] = set()
    todo = [values[name] for name in outputs]
    while todo:
        value = todo.pop()
        if value in seen:
            continue
        seen.add(value)
        producer = None if value in edge else value.producer()
        todo.extend(operand for operand in (producer.inputs if producer is not None else ()) if operand is not None)
    return [name for name in inputs if values[name] in seen]
