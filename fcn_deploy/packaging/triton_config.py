"""Triton's `config.pbtxt` of a segmentation network, as text in protobuf's format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fcn_deploy.engine.sidecar import SidecarPort
from fcn_deploy.errors import GraphError

# NumPy's names of types and Triton's (DataType in model_config.proto).
TYPES = {
    "bool": "TYPE_BOOL", "uint8": "TYPE_UINT8", "int8": "TYPE_INT8", "int32": "TYPE_INT32", "int64": "TYPE_INT64",
    "float16": "TYPE_FP16", "float32": "TYPE_FP32", "float64": "TYPE_FP64",
}  # fmt: skip


@dataclass(frozen=True)
class TritonOptions:
    """How the model is served.

    Attributes:
        name: of the model; None takes the file's.
        version: of this file under that name.
        max_batch: images that Triton may put together; None takes an engine's largest N, else 8. A file with a fixed N
            is served with that N and nothing is put together.
        instances: copies of the model on each GPU, or on the CPU.
        gpu: where an ONNX file runs; an engine runs on a GPU.
        queue_delay_us: microseconds that a request may wait for others of its size.
        warmup: sizes (H, W) that are run once before the model is ready; () takes an engine's usual ones, else 360x480.
        force: replace a model of that name.
    """

    name: str | None = None
    version: int = 1
    max_batch: int | None = None
    instances: int = 1
    gpu: bool = True
    queue_delay_us: int = 2000
    warmup: tuple[tuple[int, int], ...] = ()
    force: bool = False


@dataclass(frozen=True)
class ServedModel:
    """What Triton has to know of a model.

    Attributes:
        backend: "tensorrt" or "onnxruntime"; file: the model's name in its version folder.
        inputs, outputs: as the file has them, N included.
        batch: images that Triton may put together; 0 where the file fixes N.
        warmup: (H, W) of images that are run before the model is ready.
        profiles: optimization profiles of an engine.
        classes: names, index = label; () if they have no names.
    """

    backend: str
    file: str
    inputs: Sequence[SidecarPort]
    outputs: Sequence[SidecarPort]
    options: TritonOptions
    batch: int
    warmup: Sequence[tuple[int, int]]
    profiles: int = 0
    classes: Sequence[str] = ()


def config_text(name: str, served: ServedModel) -> str:
    """Return the configuration.

    Raises:
        GraphError: an input or output of a type that Triton has no name for.
    """
    delay = f"max_queue_delay_microseconds: {served.options.queue_delay_us}"
    parts = [
        f"name: {json.dumps(name)}",
        f'backend: "{served.backend}"',
        f'default_model_filename: "{served.file}"',
        f"max_batch_size: {served.batch}",
        *(_port("input", port, served, "") for port in served.inputs),
        *(_port("output", port, served, _label_file(port, served)) for port in served.outputs),
        _instances(served),
        *([f"dynamic_batching {{ {delay} }}"] if served.batch > 1 else []),
        *_warmups(served),
    ]
    return "\n".join(parts) + "\n"


def _label_file(port: SidecarPort, served: ServedModel) -> str:
    return ' label_filename: "labels.txt"' if served.classes and port.name == "labels" else ""


def _port(kind: str, port: SidecarPort, served: ServedModel, more: str) -> str:
    if port.dtype not in TYPES:
        raise GraphError(f"{kind} {port.name} is {port.dtype}, which Triton has no type for")
    dims = ", ".join(map(str, _dims(port, served)))
    return f"{kind} [ {{ name: {json.dumps(port.name)} data_type: {TYPES[port.dtype]} dims: [ {dims} ]{more} }} ]"


def _dims(port: SidecarPort, served: ServedModel) -> list[int]:
    """Return a port's dims as Triton wants them: without N if it may batch."""
    return [dim if dim > 0 else -1 for dim in (port.shape[1:] if served.batch else port.shape)]


def _instances(served: ServedModel) -> str:
    kind = "KIND_GPU" if served.options.gpu else "KIND_CPU"
    numbers = ", ".join(f'"{index}"' for index in range(served.profiles))
    # Without this line Triton runs the first profile alone and refuses the shapes of the others.
    profiles = f" profile: [ {numbers} ]" if served.profiles > 1 else ""
    return f"instance_group [ {{ count: {served.options.instances} kind: {kind}{profiles} }} ]"


def _warmups(served: ServedModel) -> Iterator[str]:
    """Yield one request a size: the first inference of a shape is the slow one."""
    for height, width in served.warmup:
        inputs = " ".join(
            f"inputs {{ key: {json.dumps(port.name)} value {{ data_type: {TYPES[port.dtype]} "
            f"dims: [ {', '.join(map(str, _filled(port, served, height, width)))} ] zero_data: true }} }}"
            for port in served.inputs
        )
        batch = f"batch_size: {min(1, served.batch)} "
        yield f'model_warmup [ {{ name: "{height}x{width}" {batch}{inputs} }} ]'


def _filled(port: SidecarPort, served: ServedModel, height: int, width: int) -> list[int]:
    """Return the dims with the size in the places that vary: rows first, then columns."""
    sides = iter((height, width))
    return [dim if dim > 0 else next(sides, 1) for dim in _dims(port, served)]
