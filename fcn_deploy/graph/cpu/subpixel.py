"""Rewrite upsampling as the kernels of CPUs do it fastest: a convolution with a channel per output phase.

A transposed convolution of stride s and kernel k gives each of its s x s output phases from t x t input pixels,
t = ceil(k / s): an ordinary convolution with C s^2 output channels, then DepthToSpace (Shi et al., "Is the
deconvolution layer the same as a convolutional layer?", arXiv:1609.07009). ONNX Runtime's ConvTranspose scatters each
product into the output instead, which for the x8 upsampling of FCN-8s costs as much as a tenth of the INT8 network.
INT8 files for CPUs hold the rewrite; `opening.py` makes it of other files when a runner opens them.

The largest logit of a pixel does not depend on where the pixel is, so ArgMax moves before the shuffle, which then
moves one number per pixel instead of C.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.graph.float_layers import KEEP_KEY
from fcn_deploy.graph.nodes import (
    add_constant,
    constant,
    named_node,
    only_reader,
    operand,
    producer,
    remove_unused_constants,
    replace_node,
)

UPSAMPLING = "upsampling"
# Below, the shuffle costs what the transposed convolution does (stride 2 in FCN-8s: 0.1 ms of 120).
SMALLEST_STRIDE = 4
_TO_THE_END = np.iinfo(np.int64).max


def upsample_by_phases(model: ir.Model) -> list[str]:
    """Rewrite in place every transposed convolution of a stride of 4 or more, and the ArgMax that follows the last.

    Left as they are: groups, dilations, computed weights or biases, sides that differ. The new node bears the old
    one's name.

    Returns:
        Names of the rewritten nodes.
    """
    rewritten = []
    for node in list(model.graph):
        if node.op_type == "ConvTranspose" and node.domain == "" and _fits(node):
            shuffle = _by_phases(model.graph, node)
            _label_before_shuffle(model.graph, shuffle)
            rewritten.append(str(node.name))
    return rewritten


def phase_kernel(weight: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Turn a transposed convolution's float32[C_in, C_out, k, k] into a convolution's float32[C_out s^2, C_in, t, t].

    Output channel c s^2 + s r + q is phase (r, q) of channel c, the order of DepthToSpace's mode CRD.
    """
    inputs, outputs, kernel, _ = weight.shape
    taps = -(-kernel // stride)
    padded = np.zeros((inputs, outputs, taps * stride, taps * stride), weight.dtype)
    padded[:, :, :kernel, :kernel] = weight
    # An output at phase r sees the input pixel a places back through the weight at r + a s.
    split = padded.reshape(inputs, outputs, taps, stride, taps, stride)[:, :, ::-1, :, ::-1]
    return np.ascontiguousarray(split.transpose(1, 3, 5, 0, 2, 4).reshape(-1, inputs, taps, taps))


def _fits(node: ir.Node) -> bool:
    weight, bias = node.inputs[1], operand(node, 2)
    if weight is None or weight.const_value is None or weight.const_value.dtype != ir.DataType.FLOAT:
        return False
    if bias is not None and bias.const_value is None:
        return False
    strides, shape = _ints(node, "strides", [1, 1]), weight.const_value.shape.numpy()
    square = len(shape) == 4 and shape[2] == shape[3] and strides[0] == strides[1] >= SMALLEST_STRIDE
    plain = _ints(node, "dilations", [1, 1]) == [1, 1] and node.attributes.get_int("group", 1) == 1
    explicit = node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET" and "output_shape" not in node.attributes
    return square and plain and explicit and min(_crops(node)[1]) >= 0


def _crops(node: ir.Node) -> tuple[list[int], list[int]]:
    """Return rows and columns that the phases give beyond the node's result: before it, after it."""
    kernel, stride = constant(node.inputs[1]).shape[2], _ints(node, "strides", [1, 1])[0]
    pads, extra = _ints(node, "pads", [0] * 4), _ints(node, "output_padding", [0, 0])
    surplus = -(-kernel // stride) * stride - kernel
    return pads[:2], [surplus + pad - more for pad, more in zip(pads[2:], extra, strict=True)]


def _by_phases(graph: ir.Graph, node: ir.Node) -> ir.Node:
    """Put Conv, DepthToSpace and the crop in the node's place; gives the DepthToSpace."""
    source, weight, bias = node.inputs[0], node.inputs[1], operand(node, 2)
    name, stride = str(node.name), _ints(node, "strides", [1, 1])[0]
    kernel = phase_kernel(constant(weight), stride)
    inputs = [source, add_constant(graph, f"{name}/phases", kernel)]
    if bias is not None:
        inputs.append(add_constant(graph, f"{name}/phases/bias", np.repeat(constant(bias), stride**2)))
    taps = kernel.shape[2]
    conv = named_node(name, "Conv", inputs, {"kernel_shape": [taps] * 2, "pads": [taps - 1] * 4})
    conv.outputs[0].name = f"{name}/by_phase"  # the layer's own result, under its name, is behind the crop
    conv.metadata_props.update(node.metadata_props)
    conv.metadata_props[KEEP_KEY] = UPSAMPLING
    shuffle = named_node(f"{name}/shuffle", "DepthToSpace", conv.outputs, {"blocksize": stride, "mode": "CRD"})
    before, after = _crops(node)
    ends = [-count if count else _TO_THE_END for count in after]
    bounds = {"starts": before, "ends": ends, "axes": [2, 3]}
    crop_inputs = [add_constant(graph, f"{name}/crop/{key}", np.array(numbers)) for key, numbers in bounds.items()]
    crop = named_node(f"{name}/crop", "Slice", [shuffle.outputs[0], *crop_inputs])
    graph.insert_before(node, [conv, shuffle, crop])
    replace_node(graph, node, crop)
    remove_unused_constants(graph, (weight, bias))
    return shuffle


def _label_before_shuffle(graph: ir.Graph, shuffle: ir.Node) -> None:
    """Let ArgMax read the phases, if only crops come between the shuffle and an ArgMax over the classes."""
    moved = [shuffle.outputs[0]]
    while (reader := only_reader(moved[-1])) is not None and _is_crop(reader):
        moved.append(reader.outputs[0])
    if reader is None or not _picks_first_class(reader):
        return
    name = str(shuffle.name)
    shuffle.replace_input_with(0, _labels_of_phases(graph, shuffle))
    for value in moved:  # they hold labels now, no longer the logits that their names may say
        value.name, value.shape = f"{value.name}/labels", None
    squeeze = named_node(f"{name}/squeeze", "Squeeze", [moved[-1], add_constant(graph, f"{name}/axis", np.array([1]))])
    whole = named_node(f"{name}/whole", "Cast", squeeze.outputs, {"to": ir.DataType.INT64.value})
    graph.insert_before(reader, [squeeze, whole])
    replace_node(graph, reader, whole)


def _labels_of_phases(graph: ir.Graph, shuffle: ir.Node) -> ir.Value:
    """Take the ArgMax before DepthToSpace, which takes no integers: float[N, C s^2, h, w] -> float[N, s^2, h, w]."""
    phases, name = shuffle.inputs[0], str(shuffle.name)
    conv = producer(shuffle)
    assert conv is not None
    count = shuffle.attributes["blocksize"].as_int() ** 2
    shape_of = named_node(f"{name}/shape_of_phases", "Shape", [phases])
    sides = add_constant(graph, f"{name}/sides", np.array([2, 3]))
    size = named_node(f"{name}/size", "Gather", [shape_of.outputs[0], sides])  # opset 15 alone would let Shape do it
    leading = add_constant(graph, f"{name}/leading", np.array([0, count]))
    shape = named_node(f"{name}/shape", "Concat", [leading, size.outputs[0]], {"axis": 0})
    by_class = add_constant(graph, f"{name}/by_class", np.array([0, len(constant(conv.inputs[1])) // count, count, -1]))
    flat = named_node(f"{name}/flat", "Reshape", [phases, by_class])
    argmax = named_node(f"{name}/argmax", "ArgMax", flat.outputs, {"axis": 1, "keepdims": 0})
    as_float = named_node(f"{name}/argmax_as_float", "Cast", argmax.outputs, {"to": ir.DataType.FLOAT.value})
    labels = named_node(f"{name}/label_phases", "Reshape", [as_float.outputs[0], shape.outputs[0]])
    graph.insert_before(shuffle, [shape_of, size, shape, flat, argmax, as_float, labels])
    return labels.outputs[0]


def _is_crop(node: ir.Node) -> bool:
    """Return whether a Slice cuts rows and columns alone."""
    axes = operand(node, 3) if node.op_type == "Slice" else None
    return axes is not None and axes.const_value is not None and set(constant(axes).tolist()) <= {2, 3}


def _picks_first_class(node: ir.Node) -> bool:
    """Return whether a node is the contract's ArgMax over the classes."""
    return (
        node.op_type == "ArgMax"
        and node.attributes.get_int("axis", 0) == 1
        and node.attributes.get_int("keepdims", 1) == 0
        and node.attributes.get_int("select_last_index", 0) == 0
    )


def _ints(node: ir.Node, name: str, default: Sequence[int]) -> list[int]:
    return list(node.attributes.get_ints(name, default))
