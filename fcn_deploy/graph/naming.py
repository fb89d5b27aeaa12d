"""Name nodes and values after the modules that made them, so that every report uses the model's names."""

from __future__ import annotations

import ast
from collections import Counter

import onnx_ir as ir

SCOPES_KEY = "pkg.torch.onnx.name_scopes"
CONSTANT_PREFIX = "const/"


def name_after_modules(model: ir.Model, weight_names: frozenset[str]) -> None:
    """Rename nodes, their outputs and the constants, in place.

    A module that made one node gives it its own name (`backbone.stage3.conv2`); one that made several gives
    `module/Op` and, from the second of a kind on, `module/Op_2`. Arithmetic on shapes goes under `shape/`. A node's
    only output bears the node's name. Initializers named in `weight_names` keep their names, the others become
    `const/0`, `const/1`, ...
    """
    nodes = list(model.graph)
    sizes = Counter(_module(node) for node in nodes if node.op_type != "Constant")
    used: Counter[str] = Counter()
    for node in nodes:
        module = _module(node)
        name = module if sizes[module] == 1 and module != "shape" else f"{module}/{node.op_type}"
        used[name] += 1
        node.name = name if used[name] == 1 else f"{name}_{used[name]}"
        for index, output in enumerate(node.outputs):
            if not output.is_graph_output():
                output.name = node.name if index == 0 else f"{node.name}:{index}"
    _name_constants(model.graph, weight_names)


def _module(node: ir.Node) -> str:
    """Return the path of the innermost module that made `node`; "shape" for integers, or if no module did."""
    if node.outputs[0].dtype == ir.DataType.INT64:
        return "shape"
    scopes = node.metadata_props.get(SCOPES_KEY)
    path = ast.literal_eval(scopes) if scopes else []
    modules = [scope for scope in path[:-1] if scope and not scope.startswith("_empty_nn_module")]
    return str(modules[-1]) if modules else "shape"


def _name_constants(graph: ir.Graph, weight_names: frozenset[str]) -> None:
    constants = [value for name, value in graph.initializers.items() if name not in weight_names]
    for value in constants:
        graph.initializers.pop(str(value.name))
    for index, value in enumerate(constants):
        value.name = f"{CONSTANT_PREFIX}{index}"
        graph.register_initializer(value)
