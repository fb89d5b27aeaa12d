"""Make execution contexts of an engine, and run inferences in them; every answer of TensorRT is checked.

TensorRT for RTX compiles kernels on first use; they are kept in a file next to the engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from fcn_deploy.engine.logger import LogMessages, capture_log
from fcn_deploy.errors import OutputError, RunnerError, ShapeError, one_line
from fcn_deploy.runners.cuda.context import CudaDevice
from fcn_deploy.runners.cuda.memory import MIB
from fcn_deploy.runners.cuda.slots import Layout
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.trt.engine import LoadedEngine
from fcn_deploy.system.files import write_bytes
from fcn_deploy.vocabulary import Profile, Shape, shape_text


def runtime_cache_path(engine: Path, sm: str) -> Path:
    """Return the path <engine>.sm89.cache of compiled kernels for one GPU architecture."""
    return engine.with_name(f"{engine.name}.{sm.lower()}.cache")


class RuntimeCache:
    """The kernels compiled so far, filled from `path` if it holds such for this library and GPU.

    Attributes:
        note: what a user should know of the file, "" if nothing.
    """

    def __init__(self, config: Any, path: Path) -> None:
        self._path = path
        self._cache = config.create_runtime_cache()
        self._loaded, accepted = path.read_bytes() if path.is_file() else b"", False
        with suppress(RuntimeError):
            accepted = bool(self._loaded) and self._cache.deserialize(self._loaded)
        self.note = ""
        if self._loaded and not accepted:
            self.note = f"{path.name} is of another GPU, driver or release and is written again"
            self._loaded = b""
        if not config.set_runtime_cache(self._cache):
            raise RunnerError(f"TensorRT takes no runtime cache for {path.name}; open the runner without runtime_cache")

    def save(self) -> None:
        """Write what was compiled since. A folder that cannot be written costs the next start its compiling again."""
        memory = self._cache.serialize()
        kernels = b"" if memory is None else bytes(memory)
        if kernels and kernels != self._loaded:
            with suppress(OutputError):
                write_bytes(self._path, kernels)


def create_context(loaded: LoadedEngine, device: CudaDevice, *arguments: Any) -> Any:
    """Return an execution context; `arguments` go to `create_execution_context`.

    Raises:
        RunnerError: the activations do not fit into the GPU's memory, or TensorRT refused for another reason.
    """
    # Some releases raise where others give None; the log has the reason either way.
    with capture_log(loaded.flavor.module) as log, suppress(RuntimeError):
        context = loaded.engine.create_execution_context(*arguments)
        if context is not None:
            return context
    needed = activation_bytes(loaded.engine)
    free, total = device.free_bytes()
    raise RunnerError(
        f"{loaded.path}: TensorRT makes no execution context: {log.reason()}; its activations need "
        f"{needed / MIB:.1f} MiB, {free / MIB:.1f} of {total / MIB:.1f} MiB of {device.name} are free; "
        "if that is too little, build the engine with a smaller largest shape"
    )


def runtime_config(loaded: LoadedEngine, device: CudaDevice, options: TrtOptions) -> tuple[Any, RuntimeCache | None]:
    """Return what contexts of TensorRT for RTX are created from: it captures CUDA graphs itself, and keeps kernels."""
    config = loaded.engine.create_runtime_config()
    if options.cuda_graphs is not False:
        config.cuda_graph_strategy = loaded.flavor.module.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    cache = RuntimeCache(config, runtime_cache_path(loaded.path, device.sm)) if options.runtime_cache else None
    return config, cache


def activation_bytes(engine: Any) -> int:
    """Return the device memory of the activations, the largest over all profiles (`device_memory_size` until 10.0)."""
    newer = hasattr(engine, "device_memory_size_v2")
    return int(engine.device_memory_size_v2 if newer else engine.device_memory_size)


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
            with self._refusals("infer_shapes") as log:
                if missing := self._context.infer_shapes():
                    raise RunnerError(f"TensorRT cannot infer the shapes: {', '.join(missing)} not set: {log.reason()}")
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
                raise RunnerError(f"TensorRT refused {method}({', '.join(map(str, arguments))}): {log.reason()}")

    def _layout(self, name: str, dtype: str) -> Layout:
        shape = tuple(self._context.get_tensor_shape(name))
        if any(dim < 0 for dim in shape):
            raise RunnerError(f"'{name}' has a shape that depends on its values, {list(shape)}; expected a fixed one")
        return Layout(shape, np.dtype(dtype))

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
