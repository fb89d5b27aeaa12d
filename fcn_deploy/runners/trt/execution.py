"""One inference of an engine on one stream: profile, shape, addresses, enqueue; every answer is checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fcn_deploy.engine.logger import LogMessages, capture_log
from fcn_deploy.errors import RunnerError, ShapeError, one_line
from fcn_deploy.runners.cuda.slots import Layout
from fcn_deploy.runners.trt.engine import LoadedEngine
from fcn_deploy.vocabulary import Profile, Shape, shape_text


class Execution:
    """An execution context of `loaded`. Call its methods inside `CudaDevice.active`, on one stream for its life.

    Profile and shape stay set from one call to the next, because setting them costs more than a small inference.
    """

    def __init__(self, loaded: LoadedEngine, context: Any) -> None:
        self._loaded = loaded
        self._context = context
        self._image = loaded.ports[0]
        self._profile: int | None = None
        self._shape: tuple[int, ...] | None = None

    def prepare(self, shape: tuple[int, ...], stream: Any) -> dict[str, Layout]:
        """Set profile and input shape; the layouts of the outputs.

        Args:
            shape: of the image tensor as the engine takes it.

        Raises:
            ShapeError: no profile holds the shape.
            RunnerError: TensorRT refused.
        """
        index = choose_profile(self._loaded.profiles, self._image.images(shape))
        if index != self._profile:
            self._call("set_optimization_profile_async", index, stream.handle)
            self._profile, self._shape = index, None
        if shape != self._shape:
            self._call("set_input_shape", self._image.name, shape)
            self._infer_shapes()
            self._shape = shape
        return {port.name: self._layout(port.name, port.dtype) for port in self._loaded.outputs}

    def enqueue(self, addresses: Mapping[str, int], stream: Any) -> None:
        """Put one inference on `stream`, of the shape prepared last.

        Args:
            addresses: tensor name -> device address.
        """
        for name, address in addresses.items():
            self._call("set_tensor_address", name, address)
        self._call("execute_async_v3", stream.handle)

    def close(self) -> None:
        """Let go of the execution context and its activation memory."""
        self._context = None

    def _call(self, method: str, *arguments: Any) -> None:
        with self._refusals(method) as log:
            if not getattr(self._context, method)(*arguments):
                raise RunnerError(f"TensorRT refused {method}{_shown(arguments)}: {log.reason()}")

    def _infer_shapes(self) -> None:
        with self._refusals("infer_shapes") as log:
            missing: Sequence[str] = self._context.infer_shapes()
            if missing:
                raise RunnerError(f"TensorRT cannot infer the shapes: {', '.join(missing)} not set: {log.reason()}")

    def _layout(self, name: str, dtype: Any) -> Layout:
        shape = tuple(self._context.get_tensor_shape(name))
        if any(dim < 0 for dim in shape):
            raise RunnerError(f"'{name}' has a shape that depends on its values, {list(shape)}; expected a fixed one")
        return Layout(shape, dtype)

    @contextmanager
    def _refusals(self, method: str) -> Iterator[LogMessages]:
        """Turn what TensorRT raises into RunnerError with its message; after it, profile and shape are set again."""
        known = self._profile, self._shape
        self._profile = self._shape = None
        with capture_log(self._loaded.flavor.module) as log:
            try:
                yield log
            except RuntimeError as error:
                raise RunnerError(f"TensorRT failed in {method}: {log.reason(one_line(error))}") from error
        self._profile, self._shape = known


def choose_profile(profiles: Sequence[Profile], shape: Shape) -> int:
    """Return the profile that holds N, H, W and whose `opt`, which its kernels are tuned for, is nearest in pixels.

    Raises:
        ShapeError: none holds it; lists them.
    """
    holding = [index for index, profile in enumerate(profiles) if profile.accepts(shape)]
    if not holding:
        listed = "; ".join(map(str, profiles))
        raise ShapeError(
            f"no profile of the engine holds {shape_text(shape)} (N x H x W); it was built for {listed} "
            "(min .. opt .. max); resize the images, or build the engine with a profile that holds them"
        )
    pixels = math.prod(shape)
    return min(holding, key=lambda index: abs(math.log(pixels / math.prod(profiles[index].opt))))


def _shown(arguments: Sequence[Any]) -> str:
    return "(" + ", ".join(map(str, arguments)) + ")"
