"""A TensorRT engine loaded from its plan, after its sidecar said that it can run here.

Inputs, outputs and profiles are asked of the engine itself: an engine of another tool has no sidecar.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from fcn_deploy.engine.flavors import NAMES, REBUILD, Flavor, open_flavor
from fcn_deploy.engine.logger import LogMessages, capture_log, create
from fcn_deploy.engine.sidecar import DTYPES, PORTABLE, Sidecar, SidecarPort, sidecar_path
from fcn_deploy.errors import EngineError, GraphError, MissingDependencyError, restated
from fcn_deploy.graph.ports import GraphIO, describe_io
from fcn_deploy.runners.cuda.context import CudaDevice
from fcn_deploy.vocabulary import Profile, Shape


@dataclass(frozen=True)
class EnginePort(SidecarPort):
    """An input or output of an engine; dims that vary are -1."""

    is_input: bool

    def images(self, shape: Sequence[int]) -> Shape:
        """Return N, H, W of an image tensor's shape: uint8[N, H, W, 3] or float[N, 3, H, W]."""
        height, width = (1, 2) if self.dtype == "uint8" else (2, 3)
        return int(shape[0]), int(shape[height]), int(shape[width])

    def tensor_shape(self, images: Shape) -> tuple[int, ...]:
        """Return the shape of an image tensor for N, H, W."""
        count, height, width = images
        return (count, height, width, 3) if self.dtype == "uint8" else (count, 3, height, width)


@dataclass
class LoadedEngine:
    """An engine on a device.

    Attributes:
        path: its plan; sidecar: the file next to it, None for an engine of another tool.
        engine: the library's ICudaEngine; runtime: its IRuntime, which must outlive it.
        ports: inputs, then outputs; io: what they mean to a segmentation runner.
        profiles: in the engine's order.
    """

    path: Path
    flavor: Flavor
    sidecar: Sidecar | None
    runtime: Any
    engine: Any
    ports: tuple[EnginePort, ...]
    profiles: tuple[Profile, ...]
    io: GraphIO

    def close(self) -> None:
        """Let go of the library's objects, inside `CudaDevice.active` and after every execution context."""
        self.engine = self.runtime = None

    @property
    def outputs(self) -> tuple[EnginePort, ...]:
        return tuple(port for port in self.ports if not port.is_input)


def check_fit(path: Path, sidecar: Sidecar, flavor: Flavor, device: CudaDevice) -> None:
    """Check by its sidecar whether an engine can run with this library on this GPU.

    Raises:
        EngineError: another release of the library, another GPU architecture, or a plan without weights.
    """
    if sidecar.version != flavor.version and not sidecar.options.get("version_compatible"):
        raise EngineError(
            f"{path} was built with {sidecar.flavor} {sidecar.version}, here is {flavor.version}, and a plan runs with "
            f"the release that built it; pip install {sidecar.flavor}=={sidecar.version}, or {REBUILD}"
        )
    if sidecar.options.get("strip"):
        raise EngineError(f"{path} was built without its weights; build it again without --strip")
    built_for = sidecar.built_for.sm
    anywhere = not built_for or PORTABLE in built_for or sidecar.options.get("hardware_compatible")
    if not anywhere and device.sm not in built_for:
        raise EngineError(
            f"{path} was built for {', '.join(built_for)}; {device.name} is {device.sm}; build it for that with "
            "fcn-deploy build-engine"
        )


def load_engine(
    path: Path, plan: bytes, sidecar: Sidecar | None, device: CudaDevice, precision: str = ""
) -> LoadedEngine:
    """Compare the sidecar with this machine, load the library and deserialise.

    Args:
        plan, sidecar: what `read_plan` found at `path`.
        precision: what the sidecar must say ("fp16"); "" takes any.

    Raises:
        EngineError: the engine cannot be used here, in TensorRT's own words where it has some.
        MissingDependencyError: the library that built it is not installed.
    """
    found = "unknown precision, for want of a sidecar" if sidecar is None else sidecar.precision
    if precision not in ("", found):
        raise EngineError(f"{path} is of {found}; asked for was {precision}: build such an engine")
    if sidecar is not None:
        flavors = [open_flavor(sidecar.flavor)]
        check_fit(path, sidecar, flavors[0], device)
    else:
        flavors = _installed()
    with device.active(f"loading {path.name}"):
        flavor, runtime, engine = _deserialize(path, plan, sidecar, flavors)
        ports = ports_of(path, flavor.module, engine)
        io = _io(path, ports, sidecar)
        return LoadedEngine(path, flavor, sidecar, runtime, engine, ports, profiles_of(engine, ports[0]), io)


def _installed() -> list[Flavor]:
    """Return every library that loads; MissingDependencyError if none does."""
    flavors = []
    for name in NAMES:
        with suppress(MissingDependencyError):
            flavors.append(open_flavor(name))
    return flavors or [open_flavor()]


def _deserialize(
    path: Path, plan: bytes, sidecar: Sidecar | None, flavors: Sequence[Flavor]
) -> tuple[Flavor, Any, Any]:
    """Return flavor, runtime and engine; without a sidecar any library may have built the plan."""
    reasons = []
    for flavor in flavors:
        trt = flavor.module
        with capture_log(trt) as log:
            runtime = create(trt, trt.Runtime)
            if runtime is None:
                reasons.append(f"{flavor.title} cannot start: {_reason(log)}")
                continue
            if sidecar is not None and sidecar.options.get("version_compatible"):
                # Such a plan carries its own runtime as host code, which is loaded only where that is allowed.
                runtime.engine_host_code_allowed = True
            engine = runtime.deserialize_cuda_engine(plan)
            if engine is not None:
                return flavor, runtime, engine
            reasons.append(f"{flavor.title} cannot load it: {_reason(log)}{_diagnosis(trt, runtime, plan)}")
    lacking = "" if sidecar is not None else f"; {sidecar_path(path).name}, which says what built it, is missing"
    raise EngineError(f"{path}: {'; '.join(reasons)}{lacking}; {REBUILD}")


def _reason(log: LogMessages) -> str:
    """Return TensorRT's message; the lines that a missing driver adds to every call only if there are no others."""
    raw = [text for severity, text in log.messages if severity in ("INTERNAL_ERROR", "ERROR")]
    return log.reason(" ".join(raw[-1].split()) if raw else "the library gives no reason")


def _diagnosis(trt: Any, runtime: Any, plan: bytes) -> str:
    """Return what TensorRT for RTX finds wrong with a plan: " (VERSION_MISMATCH)"; "" if the library cannot say."""
    if not hasattr(runtime, "get_engine_validity"):
        return ""
    found = int(runtime.get_engine_validity(plan)[1])  # bits, one for each diagnosis
    names = [name for name, bit in trt.EngineInvalidityDiagnostics.__members__.items() if int(bit.value) & found]
    return f" ({', '.join(names)})" if names else ""


def _io(path: Path, ports: Sequence[EnginePort], sidecar: Sidecar | None) -> GraphIO:
    inputs = [port for port in ports if port.is_input]
    outputs = [port for port in ports if not port.is_input]
    with restated(EngineError, GraphError):
        return describe_io(str(path), inputs, outputs, sidecar.card if sidecar is not None else None)


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
    if type_name not in DTYPES:
        raise EngineError(f"{path}: '{name}' is {type_name}, which NumPy does not have; build it with float outputs")
    if engine.get_tensor_format(name) != trt.TensorFormat.LINEAR:
        layout = engine.get_tensor_format_desc(name)
        raise EngineError(f"{path}: '{name}' is laid out as {layout}; expected LINEAR: build it without I/O formats")
    is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
    return EnginePort(name, DTYPES[type_name], tuple(engine.get_tensor_shape(name)), is_input)


def profiles_of(engine: Any, image: EnginePort) -> tuple[Profile, ...]:
    """Return the optimization profiles; an engine of one fixed shape has one profile of it."""
    if -1 not in image.shape:
        fixed = image.images(image.shape)
        return (Profile(fixed, fixed, fixed),)
    ranges = [engine.get_tensor_profile_shape(image.name, index) for index in range(engine.num_optimization_profiles)]
    return tuple(Profile(*(image.images(tuple(shape)) for shape in bounds)) for bounds in ranges)
