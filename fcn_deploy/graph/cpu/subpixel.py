"""Rewrite upsampling as the kernels of CPUs do it fastest: a convolution with a channel per output phase.

A transposed convolution of stride s and kernel k gives each of its s x s output phases from t x t input pixels,
t = ceil(k / s): an ordinary convolution with C s^2 output channels, then DepthToSpace (Shi et al., "Is the
deconvolution layer the same as a convolutional layer?", arXiv:1609.07009). ONNX Runtime's ConvTranspose scatters each
product into the output instead, which for the x8 upsampling of FCN-8s costs as much as a tenth of the INT8 network.
INT8 files for CPUs hold the rewrite; `opening.py` makes it of other files when a runner opens them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.graph.cpu.before_shuffle import classify_before_shuffle
from fcn_deploy.graph.float_layers import KEEP_KEY
from fcn_deploy.graph.nodes import (
    add_constant,
    constant,
    named_node,
    operand,
    remove_unused_constants,
    replace_node,
)

UPSAMPLING = "upsampling"
# Below, the shuffle costs what the transposed convolution does (stride 2 in FCN-8s: 0.1 ms of 120).
SMALLEST_STRIDE = 4
_TO_THE_END = np.iinfo(np.int64).max


def upsample_by_phases(model: ir.Model) -> list[str]:
    """Rewrite in place every transposed convolution of a stride of 4 or more, with the labels and confidence behind it.

    Left as they are: groups, dilations, computed weights or biases, sides that differ. The new node bears the old
    one's name.

    Returns:
        Names of the rewritten nodes.
    """
    rewritten = []
    for node in list(model.graph):
        if node.op_type == "ConvTranspose" and node.domain == "" and _fits(node):
            shuffle = _by_phases(model.graph, node)
            classify_before_shuffle(model.graph, shuffle)
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


def _ints(node: ir.Node, name: str, default: Sequence[int]) -> list[int]:
    return list(node.attributes.get_ints(name, default))
