"""`tensorrt` and `tensorrt_rtx` whose engines are ONNX files that ONNX Runtime computes in a fake GPU's memory.

A plan is a real header, a line of JSON (library, release, profiles) and the ONNX file's bytes.
"""

from __future__ import annotations

import enum
import json
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fcn_deploy.engine.flavors import FLAVORS, HEADER_BYTES
from fcn_deploy.vocabulary import Profile
from tests.support.fakes.gpu import Gpu, IllegalAccessError, Work

VERSIONS = {"tensorrt": "10.3.0", "tensorrt_rtx": "1.7.1"}
MAGIC = b"FAKEPLAN"
ACTIVATION_BYTES = 1000


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity


class DataType(enum.Enum):
    FLOAT, HALF, INT8, INT32, BOOL, UINT8, FP8, BF16, INT64 = range(9)


class TensorIOMode(enum.Enum):
    NONE, INPUT, OUTPUT = range(3)


class TensorFormat(enum.Enum):
    LINEAR, CHW4 = range(2)


class ExecutionContextAllocationStrategy(enum.Enum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class CudaGraphStrategy(enum.Enum):
    DISABLED, WHOLE_GRAPH_CAPTURE = range(2)


class EngineInvalidityDiagnostics(enum.Enum):
    VERSION_MISMATCH, MALFORMED_ENGINE = 1, 32


ONNX_TYPES = {
    "tensor(float)": DataType.FLOAT,
    "tensor(float16)": DataType.HALF,
    "tensor(uint8)": DataType.UINT8,
    "tensor(int32)": DataType.INT32,
    "tensor(int64)": DataType.INT64,
}


def write_plan(path: Path, onnx: Path, profiles: Sequence[Profile], flavor: str, version: str | None = None) -> Path:
    """A plan that the fake library of that name loads."""
    header = {
        "flavor": flavor,
        "version": version or VERSIONS[flavor],
        "profiles": [[p.min, p.opt, p.max] for p in profiles],
    }
    content = MAGIC + json.dumps(header).encode() + b"\n" + onnx.read_bytes()
    path.write_bytes(plan_header(flavor, HEADER_BYTES + len(content)) + content)
    return path


def plan_header(flavor: str, plan_bytes: int) -> bytes:
    """The first bytes of a plan of that many bytes, as the real library writes them."""
    tag = next(tag for tag, name in FLAVORS.items() if name == flavor)
    return tag + bytes(12) + plan_bytes.to_bytes(8, "little") + bytes([10, 3, 0, 26])


@cache
def _session(onnx: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


class Engine:
    def __init__(self, gpu: Gpu, logger: Any, header: dict[str, Any], onnx: bytes) -> None:
        self.gpu, self.logger = gpu, logger
        self.profiles = header["profiles"]
        self.session = _session(onnx)
        self.inputs = {port.name: port for port in self.session.get_inputs()}
        self.outputs = {port.name: port for port in self.session.get_outputs()}
        self.names = [*self.outputs, *self.inputs]  # an engine's order is its own
        self.num_io_tensors = len(self.names)
        self.num_optimization_profiles = len(self.profiles)
        self.device_memory_size_v2 = ACTIVATION_BYTES
        if "rtx" in header["flavor"]:
            self.create_runtime_config = lambda: RuntimeConfig(gpu)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return ONNX_TYPES[self._port(name).type]

    def get_tensor_format(self, name: str) -> TensorFormat:
        return TensorFormat.LINEAR

    def get_tensor_format_desc(self, name: str) -> str:
        return "4 wide"

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(dim if isinstance(dim, int) else -1 for dim in self._port(name).shape)

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
        nchw = self.get_tensor_dtype(name) != DataType.UINT8
        return [(n, 3, h, w) if nchw else (n, h, w, 3) for n, h, w in self.profiles[index]]

    def create_execution_context(self, how: Any = ExecutionContextAllocationStrategy.STATIC) -> Context | None:
        if self.gpu.fails("create_execution_context"):
            self.logger.log(Severity.ERROR, "OutOfMemory: requested size was not met")
            return None
        address = None
        if how is not ExecutionContextAllocationStrategy.USER_MANAGED:
            address = self.gpu.allocate(ACTIVATION_BYTES)
            if address is None:
                self.logger.log(Severity.ERROR, "OutOfMemory: requested size was not met")
                return None
        return Context(self, address)

    def _port(self, name: str) -> Any:
        return self.inputs.get(name) or self.outputs[name]


class Context:
    """An execution context that forgets its shape with every change of profile, as the real one does."""

    def __init__(self, engine: Engine, activations: int | None) -> None:
        self._engine, self._gpu = engine, engine.gpu
        self._own = self._activations = activations
        self._profile: int | None = None
        self._shape: tuple[int, ...] | None = None
        self._addresses: dict[str, int] = {}
        self._settled: tuple[Any, ...] | None = None
        self._changes = 0

    def __del__(self) -> None:
        if self._own is not None:
            self._gpu.free(self._own)

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= ACTIVATION_BYTES
        self._activations = memory

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        if self._refused("set_optimization_profile_async") or not 0 <= index < len(self._engine.profiles):
            return False
        assert stream in self._gpu.streams
        self._changes += 1
        self._profile, self._shape = index, None
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if self._refused("set_input_shape") or self._profile is None:
            return False
        low, _, high = self._engine.get_tensor_profile_shape(name, self._profile)
        if not all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True)):
            self._log(f"IExecutionContext::setInputShape: {shape} is not in profile {self._profile}")
            return False
        self._changes += 1
        self._shape = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        failing = self._gpu.fails("infer_shapes")
        return list(self._engine.inputs) if failing or self._shape is None else []

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert self._shape is not None
        (port,) = self._engine.inputs.values()
        n, h, w = self._shape[:3] if port.type == "tensor(uint8)" else (self._shape[0], *self._shape[2:])
        shape = self._engine.get_tensor_shape(name)
        return (n, h, w) if len(shape) == 3 else (n, shape[1], h, w)

    def set_tensor_address(self, name: str, address: int) -> bool:
        if self._refused("set_tensor_address"):
            return False
        self._changes += 1
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if self._refused("execute_async_v3") or self._shape is None or set(self._addresses) != set(self._engine.names):
            self._log("IExecutionContext::enqueueV3: shapes or addresses are not set")
            return False
        state = self._gpu.streams[stream]
        now = (self._profile, self._shape)
        if state.captured is not None and self._settled != now:
            self._log("enqueueV3: a new shape cannot be captured before it ran once")
            return False
        self._settled = now
        capturing, changes = state.captured is not None, self._changes
        shape, addresses = self._shape, dict(self._addresses)

        alive = weakref.ref(self)

        def run() -> None:
            context = alive()
            if context is None:
                raise IllegalAccessError("the execution context was destroyed before its kernels ran")
            if capturing and context._changes != changes:
                raise IllegalAccessError("the execution context was changed after its graph was captured")
            context._run(shape, addresses)

        self._gpu.put(state, Work(run=run))
        return True

    def _run(self, shape: tuple[int, ...], addresses: dict[str, int]) -> None:
        self._gpu.view(self._activations or 0, ACTIVATION_BYTES)[:] = 0
        (name,) = self._engine.inputs
        dtype = np.float32 if self._engine.inputs[name].type == "tensor(float)" else np.uint8
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        image = self._gpu.view(addresses[name], nbytes).copy().view(dtype).reshape(shape)
        for output, array in zip(self._engine.outputs, self._engine.session.run(None, {name: image}), strict=True):
            self._gpu.view(addresses[output], array.nbytes)[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def _refused(self, name: str) -> bool:
        """Count a call; if it is to fail, say so and forget profile and shape, which nobody may rely on then."""
        refused = self._gpu.fails(name)
        if refused:
            self._profile = self._shape = None
            self._log(f"IExecutionContext::{name}: Error Code 3: API Usage Error (injected)")
        return refused

    def _log(self, text: str) -> None:
        self._engine.logger.log(Severity.ERROR, text)


class RuntimeCache:
    KERNELS = b"kernels of the fake GPU"
    loaded = b""

    def deserialize(self, blob: bytes) -> bool:
        self.loaded = blob if blob == self.KERNELS else b""
        return bool(self.loaded)

    def serialize(self) -> bytes:
        return self.KERNELS


class RuntimeConfig:
    def __init__(self, gpu: Gpu) -> None:
        self.cuda_graph_strategy = CudaGraphStrategy.DISABLED
        self.cache: RuntimeCache | None = None
        gpu.configs.append(self)

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache()

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        self.cache = cache
        return True


def library(name: str, gpu: Gpu) -> ModuleType:
    """The module `name`, "tensorrt" or "tensorrt_rtx", for engines on `gpu`."""
    module = ModuleType(name)

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self._logger = logger

        @property
        def engine_host_code_allowed(self) -> bool:
            raise NotImplementedError

        @engine_host_code_allowed.setter
        def engine_host_code_allowed(self, allowed: bool) -> None:
            gpu.made["host code allowed"] += allowed

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            if gpu.fails("deserialize_cuda_engine"):
                self._logger.log(
                    Severity.ERROR, "IRuntime::deserializeCudaEngine: Error Code 2: OutOfMemory (injected)"
                )
                return None
            if self._diagnosis(plan):
                self._logger.log(Severity.ERROR, "IRuntime::deserializeCudaEngine: Error Code 1: Serialization")
                return None
            header, _, onnx = plan[HEADER_BYTES:].removeprefix(MAGIC).partition(b"\n")
            return Engine(gpu, self._logger, json.loads(header), onnx)

        def _diagnosis(self, plan: bytes) -> int:
            plan = plan[HEADER_BYTES:]
            if not plan.startswith(MAGIC):
                return EngineInvalidityDiagnostics.MALFORMED_ENGINE.value
            header = json.loads(plan.removeprefix(MAGIC).partition(b"\n")[0])
            fits = (header["flavor"], header["version"]) == (name, VERSIONS[name])
            return 0 if fits else EngineInvalidityDiagnostics.VERSION_MISMATCH.value

    if name == "tensorrt_rtx":
        Runtime.get_engine_validity = lambda self, plan: ("INVALID", self._diagnosis(plan))  # type: ignore[attr-defined]
    kinds = (ILogger, DataType, TensorIOMode, TensorFormat, ExecutionContextAllocationStrategy, CudaGraphStrategy)
    vars(module).update({kind.__name__: kind for kind in (*kinds, EngineInvalidityDiagnostics, Runtime)})
    module.__version__ = VERSIONS[name]  # type: ignore[attr-defined]
    return module
