"""A hand-made FCN with a skip: two 3x3 layers, a score on each of two levels, a transposed convolution, labels out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.card import CARD_KEY, ModelCard

CLASSES = ("road", "car", "sky")
CARD = ModelCard("fcn8s", CLASSES, mean=(120.0, 110.0, 100.0), std=(60.0, 50.0, 55.0))


def small_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """By initializer name; the same for the same seed."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> NDArray[np.float32]:
        return (generator.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    return {
        "conv1.weight": normal(4, 3, 3, 3),
        "conv1.bias": normal(4),
        "conv2.weight": normal(6, 4, 3, 3),
        "conv2.bias": normal(6),
        "conv3.weight": normal(6, 6, 3, 3),
        "score_fr.weight": normal(3, 6, 1, 1),
        "score_fr.bias": normal(3),
        "score_pool.weight": normal(3, 4, 1, 1),
        "up.weight": np.ones((3, 3, 2, 2), np.float32) * np.eye(3, dtype=np.float32)[:, :, None, None],
    }


def write_fcn(
    path: Path, weights: dict[str, NDArray[np.float32]] | None = None, *, card: ModelCard | None = CARD, opset: int = 17
) -> Path:
    """Write it; H and W must be even. `pool` is read by conv2 and by the score layer score_pool."""
    stored = weights or small_weights()
    stored |= {
        "contract/mean": np.float32(CARD.mean).reshape(1, 3, 1, 1),
        "contract/std": np.float32(CARD.std).reshape(1, 3, 1, 1),
    }
    head = [
        _node("Cast", ["image"], "contract/to_float", to=TensorProto.FLOAT),
        _node("Transpose", ["contract/to_float"], "contract/to_nchw", perm=[0, 3, 1, 2]),
        _node("Sub", ["contract/to_nchw", "contract/mean"], "contract/subtract_mean"),
        _node("Div", ["contract/subtract_mean", "contract/std"], "contract/divide_std"),
    ]
    body = [
        _node("Conv", ["contract/divide_std", "conv1.weight", "conv1.bias"], "conv1", pads=[1] * 4),
        _node("Relu", ["conv1"], "relu1"),
        _node("MaxPool", ["relu1"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        _node("Conv", ["pool", "conv2.weight", "conv2.bias"], "conv2", pads=[1] * 4),
        _node("Relu", ["conv2"], "relu2"),
        _node("Conv", ["relu2", "conv3.weight"], "conv3", pads=[1] * 4),
        _node("Relu", ["conv3"], "relu3"),
        _node("Conv", ["relu3", "score_fr.weight", "score_fr.bias"], "score_fr"),
        _node("Conv", ["pool", "score_pool.weight"], "score_pool"),
        _node("Add", ["score_fr", "score_pool"], "fuse"),
        _node("ConvTranspose", ["fuse", "up.weight"], "logits", strides=[2, 2], name="up"),
    ]
    tail = [
        _node("ArgMax", ["logits"], "contract/argmax", axis=1, keepdims=0),
        _node("Cast", ["contract/argmax"], "contract/labels_as_float", to=TensorProto.FLOAT),
        _node("Cast", ["contract/labels_as_float"], "labels", to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        head + body + tail,
        "fcn8s",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])],
        [
            helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N", "H", "W"]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3, "H", "W"]),
        ],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if card is not None:
        helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.save(model, path)
    return path


def write_foreign(path: Path, *, opset: int = 13) -> Path:
    """The same network as other tools write it: no card, no names of nodes, weights in Constant nodes, int64 labels."""
    model = onnx.load(write_fcn(path, card=None, opset=opset))
    graph = model.graph
    constants = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in graph.initializer]
    nodes = [*constants, *graph.node[:-2]]
    nodes[-1].output[0] = "labels"
    graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    del graph.initializer[:], graph.node[:]
    for node in nodes:
        node.name = ""
    graph.node.extend(nodes)
    onnx.save(model, path)
    return path


def write_host_normalised(path: Path) -> Path:
    """The same network with a normalised float32[N, 3, H, W] as its input, as `--input float` exports it."""
    model = onnx.load(write_fcn(path))
    graph = model.graph
    del graph.node[:4]
    graph.node[0].input[0] = "image"
    graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"]))
    del graph.initializer[-2:]
    onnx.save(model, path)
    return path


def images(count: int, shape: tuple[int, int, int] = (2, 34, 46), seed: int = 1) -> list[NDArray[np.uint8]]:
    """uint8[N, H, W, 3] noise over gradients."""
    generator = np.random.default_rng(seed)
    n, height, width = shape
    ramp = np.linspace(0, 150, width)[None, None, :, None]
    return [(ramp + generator.integers(0, 106, (n, height, width, 3))).astype(np.uint8) for _ in range(count)]


def _node(op_type: str, inputs: list[str], output: str, *, name: str | None = None, **attributes: object) -> object:
    return helper.make_node(op_type, inputs, [output], name=name or output, **attributes)
