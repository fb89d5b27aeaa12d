"""Query inputs, outputs and profiles of the engine itself: an engine of another tool has no sidecar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fcn_deploy.errors import EngineError
from fcn_deploy.vocabulary import Profile, Shape

# TensorRT's name of a type -> NumPy's and ONNX's. Types that NumPy lacks (BF16, FP8) are not for a host to read.
TYPES = {
    "FLOAT": (np.float32, "tensor(float)"),
    "HALF": (np.float16, "tensor(float16)"),
    "UINT8": (np.uint8, "tensor(uint8)"),
    "INT8": (np.int8, "tensor(int8)"),
    "INT32": (np.int32, "tensor(int32)"),
    "INT64": (np.int64, "tensor(int64)"),
    "BOOL": (np.bool_, "tensor(bool)"),
}


@dataclass(frozen=True)
class EnginePort:
    """An input or output; `type` in ONNX's words ("tensor(uint8)"), `shape` with -1 for dims that vary."""

    name: str
    type: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_input: bool

    def images(self, shape: Sequence[int]) -> Shape:
        """Return N, H, W of an image tensor's shape: uint8[N, H, W, 3] or float[N, 3, H, W]."""
        height, width = (1, 2) if self.dtype == np.uint8 else (2, 3)
        return int(shape[0]), int(shape[height]), int(shape[width])

    def tensor_shape(self, images: Shape) -> tuple[int, ...]:
        """Return the shape of an image tensor for N, H, W."""
        count, height, width = images
        return (count, height, width, 3) if self.dtype == np.uint8 else (count, 3, height, width)


def ports_of(path: Path, trt: ModuleType, engine: Any) -> tuple[EnginePort, ...]:
    """Return inputs, then outputs, each in the engine's order.

    Raises:
        EngineError: a tensor that is not laid out row by row, or of a type that NumPy does not have.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    ports = [_port(path, trt, engine, name) for name in names]
    return tuple(sorted(ports, key=lambda port: not port.is_input))


def _port(path: Path, trt: ModuleType, engine: Any, name: str) -> EnginePort:
    type_name = str(engine.get_tensor_dtype(name)).rpartition(".")[2]
    if type_name not in TYPES:
        raise EngineError(f"{path}: '{name}' is {type_name}, which NumPy does not have; build it with float outputs")
    if engine.get_tensor_format(name) != trt.TensorFormat.LINEAR:
        layout = engine.get_tensor_format_desc(name)
        raise EngineError(f"{path}: '{name}' is laid out as {layout}; expected LINEAR: build it without I/O formats")
    dtype, onnx_type = TYPES[type_name]
    is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
    return EnginePort(name, onnx_type, tuple(engine.get_tensor_shape(name)), np.dtype(dtype), is_input)


def profiles_of(engine: Any, image: EnginePort) -> tuple[Profile, ...]:
    """Return the optimization profiles; an engine of one fixed shape has one profile of it."""
    if -1 not in image.shape:
        fixed = image.images(image.shape)
        return (Profile(fixed, fixed, fixed),)
    ranges = [engine.get_tensor_profile_shape(image.name, index) for index in range(engine.num_optimization_profiles)]
    return tuple(Profile(*(image.images(tuple(shape)) for shape in bounds)) for bounds in ranges)
