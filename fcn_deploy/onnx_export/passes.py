"""Rewrite what the exporter writes: crops as one Slice each, opset 18 as opset 17, nodes named after modules.

The exporter crops each side by a Slice of its own, and each copies the whole tensor. Every TensorRT since 8.6 documents
opset 17.
"""

from __future__ import annotations

import ast
from collections import Counter

import numpy as np
import onnx_ir as ir

from fcn_deploy.errors import ExportError
from fcn_deploy.graph.load import CONSTANT_PREFIX
from fcn_deploy.graph.nodes import add_constant, constant, named_node, only_reader, operand, producer, schema_of

TARGET_OPSET = 17
# Attributes that opset 18 added to Resize, with the one value that means what opset 17 does.
_RESIZE_DEFAULTS = {"antialias": 0, "keep_aspect_ratio_policy": "stretch"}
SCOPES_KEY = "pkg.torch.onnx.name_scopes"


def merge_slices(model: ir.Model) -> None:
    """Replace `Slice(Slice(x, axes=[2]), axes=[3])` by one Slice over both axes, in place.

    Merged are pairs with constant axes and steps, different axes, and no other use of the value between them; starts
    and ends may be computed.
    """
    for node in list(model.graph):
        first = producer(node) if node.op_type == "Slice" else None
        if first is not None and first.op_type == "Slice" and _mergeable(first, node):
            _merge(model.graph, first, node)


def _mergeable(first: ir.Node, second: ir.Node) -> bool:
    axes = [_constant(first, 3), _constant(second, 3)]
    steps = [_constant(first, 4), _constant(second, 4)]
    if any(value is None for value in axes + steps) or only_reader(first.outputs[0]) is None:
        return False
    return not set(axes[0] or ()) & set(axes[1] or ())


def _constant(node: ir.Node, position: int) -> tuple[int, ...] | None:
    """Return the integers of a constant input; None if it is absent, computed, or has axes below 0."""
    value = operand(node, position)
    if value is None or value.const_value is None:
        return None
    numbers = tuple(int(number) for number in constant(value).reshape(-1))
    return numbers if min(numbers, default=0) >= 0 else None


def _merge(graph: ir.Graph, first: ir.Node, second: ir.Node) -> None:
    new_nodes: list[ir.Node] = []
    operands = [_join(graph, first, second, position, new_nodes) for position in (1, 2, 3, 4)]
    graph.insert_before(second, new_nodes)
    second.replace_input_with(0, first.inputs[0])
    for position, value in enumerate(operands, start=1):
        second.replace_input_with(position, value)
    graph.remove(first, safe=True)


def _join(graph: ir.Graph, first: ir.Node, second: ir.Node, position: int, new_nodes: list[ir.Node]) -> ir.Value:
    """Return one operand for both slices: a constant where both are constants, else a Concat of the two."""
    parts = [first.inputs[position], second.inputs[position]]
    name = f"{second.name}/operand_{position}"
    if all(part is not None and part.const_value is not None for part in parts):
        return add_constant(graph, name, np.concatenate([constant(part).reshape(-1) for part in parts]))
    concat = named_node(name, "Concat", parts, {"axis": 0}, ir.DataType.INT64)
    concat.metadata_props.update(second.metadata_props)
    new_nodes.append(concat)
    return concat.outputs[0]


def lower_opset(model: ir.Model) -> None:
    """Restate `model` in opset 17, in place.

    An operator whose definition did not change between its opset and 17 is kept; Resize loses the attributes that
    opset 18 added, which must hold their defaults.

    Raises:
        ExportError: an operator that opset 17 lacks or defines otherwise, named with its node.
    """
    found = model.opset_imports.get("", TARGET_OPSET)
    for node in model.graph.all_nodes():
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(f"node {node.name} uses {node.domain}.{node.op_type}, which is not a standard operator")
        if node.op_type == "Resize":
            _lower_resize(node)
        elif _is_global_mean(node):
            node.op_type = "GlobalAveragePool"
            node.resize_inputs(1)
            node.attributes.clear()
        elif not _unchanged(node, found):
            raise ExportError(
                f"node {node.name} is a {node.op_type}, which opset {TARGET_OPSET} defines otherwise than opset "
                f"{found}; express it with other operators in the model"
            )
        node.version = None
    model.opset_imports[""] = TARGET_OPSET


def _unchanged(node: ir.Node, opset: int) -> bool:
    target, found = schema_of(node, TARGET_OPSET), schema_of(node, opset)
    return target is not None and found is not None and target.since_version == found.since_version


def _is_global_mean(node: ir.Node) -> bool:
    """Tell whether `node` is the mean over H and W of N, C, H, W, which is an operator of its own in every opset."""
    axes, image = operand(node, 1), operand(node, 0)
    return (
        node.op_type == "ReduceMean"
        and node.attributes.get_int("keepdims", 1) == 1
        and image is not None
        and image.shape is not None
        and len(image.shape) == 4
        and axes is not None
        and axes.const_value is not None
        and {int(axis) % 4 for axis in constant(axes).reshape(-1)} == {2, 3}
    )


def _lower_resize(node: ir.Node) -> None:
    for name, default in _RESIZE_DEFAULTS.items():
        attribute = node.attributes.pop(name, None)
        if attribute is not None and attribute.value != default:
            raise ExportError(f"node {node.name}: Resize with {name}={attribute.value} does not exist in opset 17")
    if "axes" in node.attributes:
        raise ExportError(f"node {node.name}: Resize with axes does not exist in opset 17")


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
