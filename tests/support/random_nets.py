"""Small chains of convolutions, pools and transposed convolutions whose output is cut to the image's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Layer:
    """One layer: "Conv", "MaxPool", "AveragePool" or "ConvTranspose"."""

    kind: str
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil: bool = False


def chain(layers: tuple[Layer, ...], *, offset: int = 0, seed: int = 0) -> ir.Model:
    """float32[N, 3, H, W] `x` through `layers`, 2 channels each, cut from `offset` on to [N, 2, H, W] `logits`."""
    generator = np.random.default_rng(seed)
    nodes, tensors, last, channels = [], {}, "x", 3
    for index, layer in enumerate(layers):
        name = f"{layer.kind}{index}"
        attributes: dict[str, object] = {
            "kernel_shape": [layer.kernel] * 2,
            "strides": [layer.stride] * 2,
            "pads": [layer.before] * 2 + [layer.after] * 2,
        }
        inputs = [last]
        if layer.kind in ("Conv", "ConvTranspose"):
            shape = (2, channels) if layer.kind == "Conv" else (channels, 2)
            weight = generator.normal(size=(*shape, layer.kernel, layer.kernel)) / layer.kernel
            tensors[f"{name}.weight"] = weight.astype(np.float32)
            inputs.append(f"{name}.weight")
            attributes["dilations"] = [layer.dilation] * 2
            channels = 2
        else:
            attributes["ceil_mode"] = int(layer.ceil)
        nodes.append(helper.make_node(layer.kind, inputs, [name], name=name, **attributes))
        last = name
    tensors |= {"starts": np.array([offset] * 2), "axes": np.array([2, 3])}
    nodes += [
        helper.make_node("Shape", ["x"], ["sides"], name="sides", start=2),
        helper.make_node("Add", ["sides", "starts"], ["ends"], name="ends"),
        helper.make_node("Slice", [last, "starts", "ends", "axes"], ["logits"], name="crop"),
    ]
    return model_of(nodes, tensors, channels=channels)


def model_of(nodes: list[onnx.NodeProto], tensors: dict[str, np.ndarray], *, channels: int = 2) -> ir.Model:
    """A graph from float32[N, 3, H, W] `x` to float32[N, channels, H, W] `logits`."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", channels, "H", "W"])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
