"""Files of one transposed convolution and a crop, as an FCN ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IMAGE = (2, 3, 5, 7)

CASES = {
    "the x8 of FCN-8s": {"kernel_shape": [16, 16], "strides": [8, 8], "pads": [4, 4, 4, 4]},
    "no padding, as the authors have it": {"kernel_shape": [16, 16], "strides": [8, 8]},
    "a kernel that the stride does not divide": {"kernel_shape": [13, 13], "strides": [6, 6]},
    "a kernel smaller than the stride": {"kernel_shape": [5, 5], "strides": [7, 7]},
    "unequal padding and output padding": {
        "kernel_shape": [11, 11],
        "strides": [6, 6],
        "pads": [1, 0, 2, 3],
        "output_padding": [1, 2],
    },
}


def upsampling_file(path: Path, *, labels: bool, bias: bool = False, opset: int = 17, **attributes: object) -> Path:
    """Write ConvTranspose with 3 -> 4 channels, a crop to 29 x 41, then ArgMax or the logits themselves."""
    kernel = attributes["kernel_shape"][0]  # type: ignore[index]
    generator = np.random.default_rng(kernel)
    group = attributes.get("group", 1)
    weights = {"w": generator.normal(size=(3, 4 if group == 1 else 1, kernel, kernel)).astype(np.float32)}
    weights |= {"b": np.float32([0.5, -1, 2, 0])} if bias else {}
    weights |= {"starts": np.array([1, 2]), "ends": np.array([30, 43]), "axes": np.array([2, 3])}
    nodes = [
        helper.make_node("ConvTranspose", ["x", "w", *(["b"] if bias else [])], ["up"], name="up", **attributes),
        helper.make_node("Slice", ["up", "starts", "ends", "axes"], ["logits"], name="crop"),
    ]
    if labels:
        nodes.append(helper.make_node("ArgMax", ["logits"], ["labels"], name="argmax", axis=1, keepdims=0))
    kind = TensorProto.INT64 if labels else TensorProto.FLOAT
    dims = ["N", "Y", "X"] if labels else ["N", "C", "Y", "X"]
    result = helper.make_tensor_value_info("labels" if labels else "logits", kind, dims)
    graph = helper.make_graph(
        nodes,
        "up",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [result],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path
