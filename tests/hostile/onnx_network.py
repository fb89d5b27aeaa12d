"""The ONNX file that hostile cases damage: one convolution, uint8 images in and labels out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.kind import Make
from tests.support.onnx_files import CARD, write_graph

SMALL = replace(CARD, options={"width": 0.02})  # PyTorch builds the card's network before it sees that weights differ


def network(path: Path) -> onnx.ModelProto:
    """Write a network of one convolution, uint8 images in and labels out, with a card; return its message."""
    model = onnx.load(write_graph(path, card=SMALL))
    weights = np.random.default_rng(0).standard_normal((3, 3, 3, 3)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "weight"))
    nodes = list(model.graph.node)
    at = next(index for index, node in enumerate(nodes) if node.op_type == "Mul")
    nodes[at].input[0] = "convolved"
    model.graph.node.insert(
        at, helper.make_node("Conv", ["normalised", "weight"], ["convolved"], name="conv", pads=[1] * 4)
    )
    onnx.save(model, path)
    return model


def changed(change: Callable[[onnx.ModelProto], None]) -> Make:
    """Return a case: the network, changed."""

    def make(folder: Path) -> Path:
        path = folder / "m.onnx"
        model = network(path)
        change(model)
        path.write_bytes(model.SerializeToString())
        return path

    return make


def initializer(model: onnx.ModelProto, name: str = "weight") -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def node(model: onnx.ModelProto, op_type: str) -> onnx.NodeProto:
    return next(each for each in model.graph.node if each.op_type == op_type)
