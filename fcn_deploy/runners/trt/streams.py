"""Compute streams of an engine, each with an execution context of its own, with CUDA graphs where they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fcn_deploy.errors import MissingDependencyError, RunnerError
from fcn_deploy.runners.cuda.context import CudaDevice
from fcn_deploy.runners.cuda.slots import NON_BLOCKING
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.trt.context import Execution, RuntimeCache, create_context, runtime_config
from fcn_deploy.runners.trt.engine import LoadedEngine
from fcn_deploy.runners.trt.graphs import GraphedExecution, require_graphs


@dataclass
class ComputeStream:
    """Inferences in `execution`, one after another on `stream`."""

    stream: Any
    execution: Execution | GraphedExecution


class ComputeStreams:
    """`options.contexts` execution contexts, each with a CUDA stream. Make and close it inside `CudaDevice.active`.

    Attributes:
        notes: why there are no CUDA graphs by default, and what the runtime cache does.
    """

    def __init__(self, loaded: LoadedEngine, device: CudaDevice, options: TrtOptions) -> None:
        """Create the execution contexts.

        Raises:
            RunnerError: the activations of all do not fit into the GPU's memory, or TensorRT 8.6 was asked for
                several streams or for CUDA graphs.
            MissingDependencyError: CUDA graphs are asked for without cuda-bindings.
        """
        self.notes: tuple[str, ...] = ()
        self._loaded, self._device, self._options = loaded, device, options
        self._cache: RuntimeCache | None = None
        self._config: Any = None
        if options.contexts > 1 and loaded.flavor.traits.explicit_batch:
            raise RunnerError(f"{loaded.flavor.title} shares no profile between contexts; leave --contexts out")
        if loaded.flavor.traits.runtime_config:
            self._config, self._cache = runtime_config(loaded, device, options)
            self.notes += (self._cache.note,) if self._cache is not None and self._cache.note else ()
        self._graphs = self._config is None and self._captures()
        self.all: list[ComputeStream] = []
        try:
            for _ in range(options.contexts):
                self.all.append(ComputeStream(device.driver.Stream(NON_BLOCKING), self._execution()))
        except BaseException:
            self.close()
            raise

    def __getitem__(self, slot: int) -> ComputeStream:
        """Return the stream of a slot: neighbours have different ones."""
        return self.all[slot % len(self.all)]

    def save_cache(self) -> None:
        """Write the kernels that TensorRT for RTX compiled."""
        if self._cache is not None:
            self._cache.save()

    def close(self) -> None:
        """Let go of the contexts; nothing may be under way."""
        for one in self.all:
            one.execution.close()
        self.all.clear()
        self._cache = self._config = None

    def _captures(self) -> bool:
        """Return whether inferences become CUDA graphs here; by default where the library and a package allow it."""
        if self._options.cuda_graphs is not None:
            return self._options.cuda_graphs
        try:
            require_graphs(self._loaded)
        except (MissingDependencyError, RunnerError) as error:
            self.notes += (f"no CUDA graphs: {error}",)
            return False
        return True

    def _execution(self) -> Execution | GraphedExecution:
        if self._graphs:
            return GraphedExecution(self._loaded, self._device, strict=bool(self._options.cuda_graphs))
        config = () if self._config is None else (self._config,)
        return Execution(self._loaded, create_context(self._loaded, self._device, *config))
