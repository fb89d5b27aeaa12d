"""Let what is computed from the logits of each pixel read the phases of an upsampling, before their shuffle.

The label of a pixel, and the sum that its confidence comes from, do not depend on where the pixel is. So they move
before DepthToSpace and the crops, which then move one number per pixel for each of them instead of C.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from fcn_deploy.graph.nodes import add_constant, constant, named_node, only_reader, operand, producer, replace_node

_CLASSES = 1  # the axis


def classify_before_shuffle(graph: ir.Graph, shuffle: ir.Node) -> None:
    """Move labels and confidence before the shuffle, unless more than they reads the logits behind it and its crops."""
    moves = _with_crops(shuffle)
    logits = moves[-1].outputs[0]
    readers = _readers(logits)
    if readers is None:
        return
    by_class, sides = _by_class(graph, shuffle)
    inner, ends = readers
    for value in (node.outputs[0] for node in inner):
        value.shape = None
    logits.replace_all_uses_with(by_class)
    for end in ends:
        _place(graph, end, sides, moves)
    graph.remove(moves[::-1], safe=True)


def _with_crops(shuffle: ir.Node) -> list[ir.Node]:
    """Return the shuffle and the crops that alone read it, one after the other."""
    moves = [shuffle]
    while (reader := only_reader(moves[-1].outputs[0])) is not None and _is_crop(reader):
        moves.append(reader)
    return moves


def _readers(logits: ir.Value) -> tuple[list[ir.Node], list[ir.Node]] | None:
    """Return the nodes behind the logits that keep the classes apart, and those that leave one number per pixel.

    None if there are none of these, or if the logits, or what has a number per class, go anywhere else.
    """
    inner: list[ir.Node] = []
    ends: list[ir.Node] = []
    values = [logits]
    for value in values:
        if value.is_graph_output():
            return None
        for node in dict.fromkeys(use.node for use in value.uses()):
            if node in inner or node in ends:
                continue
            if _leaves_one(node):
                ends.append(node)
            elif _keeps_classes(node):
                inner.append(node)
                values.append(node.outputs[0])
            else:
                return None
    known = all(source in values for node in inner if node.op_type == "Sub" for source in node.inputs)
    return (inner, ends) if ends and known else None


def _by_class(graph: ir.Graph, shuffle: ir.Node) -> tuple[ir.Value, ir.Value]:
    """Put float[N, C s^2, h, w] into the form float[N, C, s^2, h w]; return that, and the shape [0, s^2, h, w]."""
    phases, name = shuffle.inputs[0], str(shuffle.name)
    conv = producer(shuffle)
    assert conv is not None
    count = shuffle.attributes["blocksize"].as_int() ** 2
    shape_of = named_node(f"{name}/shape_of_phases", "Shape", [phases])
    sides = add_constant(graph, f"{name}/sides", np.array([2, 3]))
    size = named_node(f"{name}/size", "Gather", [shape_of.outputs[0], sides])  # opset 15 alone would let Shape do it
    leading = add_constant(graph, f"{name}/leading", np.array([0, count]))
    shape = named_node(f"{name}/shape", "Concat", [leading, size.outputs[0]], {"axis": 0})
    dims = add_constant(graph, f"{name}/by_class", np.array([0, len(constant(conv.inputs[1])) // count, count, -1]))
    flat = named_node(f"{name}/flat", "Reshape", [phases, dims])
    graph.insert_before(shuffle, [shape_of, size, shape, flat])
    return flat.outputs[0], shape.outputs[0]


def _place(graph: ir.Graph, end: ir.Node, sides: ir.Value, moves: Sequence[ir.Node]) -> None:
    """Let `end` compute its number for each phase, and put the numbers at the pixels' places as `moves` did logits."""
    name, whole = f"{moves[0].name}/{end.name}", end.op_type == "ArgMax"
    nodes = [named_node(f"{name}/by_phase", end.op_type, end.inputs, dict(end.attributes))]
    if whole:  # DepthToSpace takes no integers
        nodes.append(named_node(f"{name}/as_float", "Cast", nodes[-1].outputs, {"to": ir.DataType.FLOAT.value}))
    nodes.append(named_node(f"{name}/phases", "Reshape", [nodes[-1].outputs[0], sides]))
    for place, move in enumerate(moves):
        inputs = [nodes[-1].outputs[0], *move.inputs[1:]]
        nodes.append(named_node(f"{name}/move_{place}", move.op_type, inputs, dict(move.attributes)))
    axis = add_constant(graph, f"{name}/axis", np.array([_CLASSES]))
    nodes.append(named_node(f"{name}/squeeze", "Squeeze", [nodes[-1].outputs[0], axis]))
    if whole:
        nodes.append(named_node(f"{name}/whole", "Cast", nodes[-1].outputs, {"to": ir.DataType.INT64.value}))
    graph.insert_before(end, nodes)
    replace_node(graph, end, nodes[-1])


def _is_crop(node: ir.Node) -> bool:
    """Return whether a Slice cuts rows and columns alone."""
    axes = operand(node, 3) if node.op_type == "Slice" else None
    return axes is not None and axes.const_value is not None and set(constant(axes).tolist()) <= {2, 3}


def _leaves_one(node: ir.Node) -> bool:
    """Return whether a node is the contract's ArgMax, or a sum over the classes, that drops their axis."""
    if node.attributes.get_int("keepdims", 1) != 0:
        return False
    first = node.attributes.get_int("axis", 0) == _CLASSES and node.attributes.get_int("select_last_index", 0) == 0
    return first if node.op_type == "ArgMax" else node.op_type == "ReduceSum" and _is_over_classes(node)


def _keeps_classes(node: ir.Node) -> bool:
    """Return whether a node's result has the classes' axis, and is of each pixel by itself."""
    over_classes = node.op_type == "ReduceMax" and _is_over_classes(node)
    return node.op_type in ("Sub", "Exp") or (over_classes and node.attributes.get_int("keepdims", 1) == 1)


def _is_over_classes(node: ir.Node) -> bool:
    axes = operand(node, 1)
    stored = constant(axes).tolist() if axes is not None and axes.const_value is not None else None
    return (stored if axes is not None else list(node.attributes.get_ints("axes", []))) == [_CLASSES]
