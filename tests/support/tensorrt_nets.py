"""A small net, its engine's profiles and its labels by ONNX Runtime, for the tests of the tensorrt runner."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fcn_deploy.runners.registry import open_runner
from fcn_deploy.vocabulary import Profile
from tests.support.onnx_files import write_graph

# Odd, unequal, overlapping: 2x40x60 lies in the first two, 1x70x90 in the last two.
PROFILES = (
    Profile((1, 1, 1), (1, 33, 47), (2, 64, 64)),
    Profile((1, 33, 33), (3, 65, 71), (4, 97, 99)),
    Profile((1, 65, 65), (1, 101, 157), (1, 131, 211)),
)
BOTH = ("labels", "logits")


def write_net(path: Path) -> Path:
    """Any N, H, W -> labels through FLOAT, as TensorRT's rules for UINT8 outputs want it, and logits."""
    model = onnx.load(write_graph(path, outputs=BOTH))
    cast = model.graph.node.pop()
    model.graph.node.extend(
        [
            helper.make_node("Cast", list(cast.input), ["labels_as_float"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["labels_as_float"], list(cast.output), to=TensorProto.UINT8),
        ]
    )
    onnx.save(model, path)
    return path


def write_float_net(path: Path) -> Path:
    """float32[N, 3, H, W] -> logits alone; without the labels' nodes, which TensorRT's parser would look at."""
    model = onnx.load(write_graph(path, image="float", outputs=("logits",)))
    del model.graph.node[-2:]
    onnx.save(model, path)
    return path


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write_net(tmp_path / "net.onnx")


@pytest.fixture
def reference(net: Path) -> Iterator[Callable[[np.ndarray], dict[str, np.ndarray]]]:
    """image -> labels and logits."""
    with open_runner("onnxruntime", str(net), outputs=BOTH, threads=1) as runner:
        yield lambda image: runner.infer({"image": image})


def noise(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """uint8[N, H, W, 3]"""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


def random_shape(generator: random.Random) -> tuple[int, int, int]:
    profile = generator.choice(PROFILES)
    n, height, width = (generator.randint(low, high) for low, high in zip(profile.min, profile.max, strict=True))
    return n, height, width
