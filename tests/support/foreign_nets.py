"""Small segmentation graphs as other tools write them, without a card: layouts, types, outputs and opsets vary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN, STD = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}
Dims = Sequence[int | str | None]


class Net:
    """Nodes and weights of one graph, in the order in which they are added."""

    def __init__(self, dtype: str = "float32", seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.dtype = np.float16 if dtype == "float16" else np.float32
        self._random = np.random.default_rng(seed)

    def add(self, op_type: str, *operands: str, to: str | None = None, **attributes: Any) -> str:
        name = to or f"{op_type.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(operands), [name], name=f"node_{name}", **attributes))
        return name

    def constant(self, array: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def conv(self, x: str, before: int, after: int, *, kernel: int = 3, stride: int = 1, to: str | None = None) -> str:
        weight = self._random.normal(size=(after, before, kernel, kernel)) * (2 / (before * kernel**2)) ** 0.5
        bias = self._random.normal(size=after) * 0.1
        operands = [x, self.constant(weight.astype(self.dtype)), self.constant(bias.astype(self.dtype))]
        return self.add("Conv", *operands, to=to, pads=[kernel // 2] * 4, strides=[stride] * 2)

    def save(
        self,
        path: Path,
        image: tuple[str, str, Dims],
        outputs: Sequence[tuple[str, int, Dims]],
        opset: int,
        ir: int = 8,
    ) -> Path:
        """Write the file; `image` is (name, dtype, dims), each of the outputs (name, type, dims)."""
        given = helper.make_tensor_value_info(image[0], TYPES[image[1]], image[2])
        made = [helper.make_tensor_value_info(*output) for output in outputs]
        graph = helper.make_graph(self.nodes, "foreign", [given], made, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
        model.producer_name = "pytorch"
        onnx.save(model, path)
        return path


def foreign_net(
    path: Path,
    *,
    image: str = "float32",
    layout: str = "NCHW",
    output: str = "logits",
    classes: int = 4,
    stride: int = 1,
    fixed: tuple[int, int] | None = None,
    opset: int = 17,
    ir: int = 8,
) -> Path:
    """Write a network of three convolutions.

    Args:
        image: its type; uint8 is normalised in the graph, by way of a Transpose before the Cast.
        output: "logits", "softmax", "sigmoid", "nhwc" logits, "labels" int64 [N, H, W], "labels1" [N, 1, H, W] or
            "aux", which is `aux` and then `out`.
        stride: image pixels a side to each score.
        fixed: H and W; None for named ones.
    """
    net = Net(image)
    x, half = "input", image == "float16"
    if image == "uint8":
        x = _normalised(net, x, layout)
    elif layout == "NHWC":
        x = net.add("Transpose", x, perm=[0, 3, 1, 2])
    x = net.add("Relu", net.conv(x, 3, 8, stride=stride))
    x = net.add("Relu", net.conv(x, 8, 8))
    score = net.conv(x, 8, classes, kernel=1)
    n, h, w = ("N", "H", "W") if fixed is None else (1, *fixed)
    dims: Dims = [n, 3, h, w] if layout == "NCHW" else [n, h, w, 3]
    floats = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    rows, columns = ("h", "w") if fixed is None else (h // stride, w // stride)  # type: ignore[operator]
    shapes: dict[str, tuple[int, Dims]] = {
        "labels": (TensorProto.INT64, [n, rows, columns]),
        "labels1": (TensorProto.INT64, [n, 1, rows, columns]),
        "nhwc": (floats, [n, rows, columns, classes]),
    }
    made = {
        "labels": lambda: net.add("ArgMax", score, to="mask", axis=1, keepdims=0),
        "labels1": lambda: net.add("ArgMax", score, to="mask", axis=1, keepdims=1),
        "nhwc": lambda: net.add("Transpose", score, to="scores", perm=[0, 2, 3, 1]),
        "softmax": lambda: net.add("Softmax", score, to="probabilities", axis=1),
        "sigmoid": lambda: net.add("Sigmoid", score, to="probabilities"),
        "logits": lambda: net.add("Identity", score, to="scores"),
        "aux": lambda: net.add("Identity", score, to="out"),
    }[output]()
    outputs = [(made, *shapes.get(output, (floats, [n, classes, rows, columns])))]
    if output == "aux":
        aux = net.conv(x, 8, classes, kernel=1, to="aux")
        outputs.insert(0, (aux, floats, [n, classes, rows, columns]))
    return net.save(path, ("input", image, dims), outputs, opset, ir)


def _normalised(net: Net, x: str, layout: str) -> str:
    """Transpose first and cast then, as some exporters do; (x - mean) / std in the graph."""
    if layout == "NHWC":
        x = net.add("Transpose", x, perm=[0, 3, 1, 2])
    net.nodes.append(helper.make_node("Cast", [x], ["image_as_float"], to=TensorProto.FLOAT))
    mean, std = (net.constant(np.array(values, np.float32).reshape(1, 3, 1, 1)) for values in (MEAN, STD))
    return net.add("Div", net.add("Sub", "image_as_float", mean), std)


def unet(path: Path, *, levels: int = 3, classes: int = 5, width: int = 8, labels: bool = False) -> Path:
    """Write a U-Net as segmentation-models-pytorch has it: nearest upsampling, Concat, multiples of 2^levels."""
    net = Net()
    x, skips, channels = "input", [], 3
    for level in range(levels):
        x = net.add("Relu", net.conv(x, channels, width << level))
        channels = width << level
        skips.append((x, channels))
        x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    for skip, skip_channels in reversed(skips):
        up = net.add(
            "Resize", x, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
        )
        x = net.add("Concat", up, skip, axis=1)
        x = net.add("Relu", net.conv(x, channels + skip_channels, skip_channels))
        channels = skip_channels
    score = net.conv(x, channels, classes, to="logits")
    outputs: list[tuple[str, int, Dims]] = [(score, TensorProto.FLOAT, ["batch_size", classes, "height", "width"])]
    if labels:
        mask = net.add("ArgMax", score, to="mask", axis=1, keepdims=0)
        outputs = [(mask, TensorProto.INT64, ["batch_size", "height", "width"])]
    return net.save(path, ("input", "float32", ["batch_size", 3, "height", "width"]), outputs, 17)
