"""Faults planted into ONNX files: constants changed, channels swapped, a node taken out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Change = Callable[[Any], Any]


def with_constants(source: Path, target: Path, changes: dict[str, Change]) -> Path:
    """A copy whose initializers are changed; each keeps its type and shape."""
    model = onnx.load(source)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, change in changes.items():
        old = numpy_helper.to_array(stored[name])
        new = np.asarray(change(old), old.dtype)
        assert new.shape == old.shape
        assert not np.array_equal(new, old)
        stored[name].CopyFrom(numpy_helper.from_array(new, name))
    onnx.save(model, target)
    return target


def with_swapped_channels(source: Path, target: Path) -> Path:
    """A copy that reverses the channels before the mean is subtracted."""
    model = onnx.load(source)
    nodes = list(model.graph.node)
    index = next(i for i, node in enumerate(nodes) if node.name == "contract/subtract_mean")
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "order"))
    swap = helper.make_node("Gather", [nodes[index].input[0], "order"], ["swapped"], "contract/to_bgr", axis=1)
    nodes[index].input[0] = "swapped"
    nodes.insert(index, swap)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, target)
    return target


def without_node(source: Path, target: Path, name: str) -> Path:
    """A copy in which the readers of a node read what it read."""
    model = onnx.load(source)
    gone = next(node for node in model.graph.node if node.name == name)
    for node in model.graph.node:
        for index, read in enumerate(node.input):
            if read == gone.output[0]:
                node.input[index] = gone.input[0]
    model.graph.node.remove(gone)
    onnx.save(model, target)
    return target
