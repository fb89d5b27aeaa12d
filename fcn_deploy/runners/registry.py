"""Name every runner and say what it can do. A new one is a file next to this one and an entry in `RUNNERS`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.model_file import Kind, kind_of
from fcn_deploy.runners.checks.scores import ScoreCheck
from fcn_deploy.vocabulary import LABELS, LOGITS, PRECISIONS, Target

if TYPE_CHECKING:
    from torch import nn

    from fcn_deploy.card import ModelCard
    from fcn_deploy.runners.base import Runner
    from fcn_deploy.runners.engine_options import TrtOptions
    from fcn_deploy.runners.ort.options import ProviderOptions


Opens = Literal["network", "onnx", "engine"]
WHAT: dict[Opens, str] = {"network": "PyTorch networks", "onnx": ".onnx files", "engine": "engines"}


@dataclass(frozen=True)
class Entry:
    """What a runner opens and can do: all that the rest of the program knows of it.

    Attributes:
        title: its name for people.
        location: its module in this package, and its class.
        package: the module that it imports to run.
        opens: a PyTorch network (of a checkpoint, a recipe, an exported .onnx file or "demo"), an .onnx file or an
            engine.
        distributions: the packages whose versions belong to a measurement of it.
        devices: those that may be named after it, the default first; () if it has one device alone.
        types: what may be named next to the device for the runner to compute in or by, without another file.
        rows: its rows of a benchmark of an FP32 model that names no runners, by the precision of each; "" is as it is.
        found_by: modules of which one must be installed for these rows; () if fcn-deploy requires its package.
        lanes: whether several of it over one model's weights do more on a CPU than one that has all cores.
        plans_lanes: whether it must know at opening how many of it there will be.
        fp16_on_x86: whether its CPU kernels compute an FP16 network in FP16 on x86, and not in FP32.
        provider_options: whether it takes `ProviderOptions`.
        numbered: the devices of which one is chosen by its number: "onnxruntime:cuda:1"; "" for its only one.
        probes: the names of the doctor's own probes for it; () has the doctor run a small file on each device.
    """

    title: str
    location: str
    package: str
    opens: Opens
    distributions: tuple[str, ...]
    devices: tuple[str, ...] = ("cpu",)
    types: tuple[str, ...] = ()
    rows: tuple[str, ...] = ("",)
    found_by: tuple[str, ...] = ()
    lanes: bool = False
    plans_lanes: bool = False
    fp16_on_x86: bool = True
    provider_options: bool = False
    numbered: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """Where it runs if the user names no device; "" if it has one device alone."""
        return next(iter(self.devices), "")


# The first of those that open a kind of file is the default for it.
RUNNERS = {
    "pytorch": Entry(
        "PyTorch", "pytorch:TorchRunner", "torch", "network", ("torch",),
        devices=("cpu", "cuda"), types=("fp16", "bf16", "compile"), lanes=True, numbered=("cuda",),
        probes=("torch",),
    ),
    "onnxruntime": Entry(
        "ONNX Runtime", "ort.runner:OrtRunner", "onnxruntime", "onnx", ("onnxruntime-gpu", "onnxruntime"),
        devices=("cpu", "cuda"), rows=("", "int8"), lanes=True, fp16_on_x86=False, provider_options=True,
        numbered=("cuda", "tensorrt", "nvtensorrtrtx"),
        probes=("onnxruntime", "cuda", "tensorrt provider", "nvtensorrtrtx"),
    ),
    "openvino": Entry(
        "OpenVINO", "openvino:OpenVinoRunner", "openvino", "onnx", ("openvino",),
        devices=("cpu", "gpu", "npu"), types=("fp32", "bf16"), rows=("", "int8"), found_by=("openvino",),
        lanes=True, plans_lanes=True,
    ),
    "tensorrt": Entry(
        "TensorRT", "trt.runner:TrtRunner", "pycuda", "engine", ("tensorrt", "tensorrt-rtx"),
        devices=(), numbered=("",), rows=("fp16", "int8+fp16"), found_by=("tensorrt_rtx", "tensorrt"),
        probes=("pycuda", "tensorrt_rtx", "tensorrt"),
    ),
}  # fmt: skip
# Its labels, computed as a user's own program does, are those that the rows of a benchmark are compared with.
REFERENCE = "pytorch"


def entry(spec: str) -> Entry:
    """Return the registry line of "name" or "name:device"; UnknownNameError (with near matches) if there is none."""
    name = spec.partition(":")[0]
    if name not in RUNNERS:
        raise UnknownNameError.of("runner", name, RUNNERS)
    return RUNNERS[name]


def is_plain(spec: str) -> bool:
    """Return whether a spec names no type: the runner computes as it does by itself."""
    return not set(spec.split(":")[1:]) & set(entry(spec).types)


def default_runner(kind: Kind) -> str:
    """Return the runner that opens a file of this kind as it is: tensorrt, onnxruntime, or pytorch for a network."""
    opens = kind if kind in ("onnx", "engine") else "network"
    return next(name for name, line in RUNNERS.items() if line.opens == opens)


def distributions() -> tuple[str, ...]:
    """Return the packages whose versions belong to a measurement, in the order of the runners."""
    return tuple(dict.fromkeys(name for line in RUNNERS.values() for name in line.distributions))


def int8_target(spec: str) -> Target:
    """Whose INT8 kernels run a file in the runner `spec`: the CPU's, or those of TensorRT on any other device."""
    return "cpu" if device_of(spec) == "cpu" else "tensorrt"


def class_of(name: str) -> type[Runner]:
    """Import the class of the runner `name`; MissingDependencyError or ImportError if its package is not there."""
    module, _, class_name = RUNNERS[name].location.partition(":")
    found: type[Runner] = getattr(importlib.import_module(f".{module}", __package__), class_name)
    return found


def device_of(spec: str) -> str:
    """Return the device: "openvino:fp32" -> "cpu", "onnxruntime:cuda" -> "cuda"; "" if the runner has only one."""
    line = entry(spec)
    named = [part for part in spec.split(":")[1:] if part not in line.types and not part.isdecimal()]
    return named[0] if named else line.device


def gpu_of(spec: str) -> int | None:
    """ "tensorrt:fp16:1" -> 1, the number of the GPU as CUDA_VISIBLE_DEVICES leaves them; None if it names none.

    Raises:
        RunnerError: two numbers, or one of a device that has none.
    """
    numbers = [part for part in spec.split(":")[1:] if part.isdecimal()]
    line = entry(spec)
    place = device_of(spec) if line.devices else ""
    if len(numbers) > 1 or (numbers and place not in line.numbered):
        raise RunnerError(
            f"'{spec}': a single number names a GPU of tensorrt, onnxruntime:cuda or pytorch:cuda; for other runners "
            "set CUDA_VISIBLE_DEVICES"
        )
    return int(numbers[0]) if numbers else None


def open_runner(
    spec: str,
    source: str,
    *,
    outputs: tuple[str, ...] = (LABELS,),
    threads: int | None = None,
    load: Callable[[], tuple[nn.Module, ModelCard]] | None = None,
    provider: ProviderOptions | None = None,
    engine: TrtOptions | None = None,
    lanes: int = 1,
) -> Runner:
    """Open `source` in the runner `spec`, "pytorch[:cpu|cuda][:fp16|bf16][:compile]",
    "onnxruntime[:cpu|cuda|tensorrt|...]", "openvino[:cpu|gpu|npu][:fp32|bf16]" or "tensorrt[:precision of the engine]".

    A number chooses the GPU: "tensorrt:1", "onnxruntime:cuda:1", "pytorch:cuda:1".

    Args:
        source: "demo", an .onnx file, for pytorch any checkpoint file, for tensorrt an engine.
        outputs: of "labels", "confidence", "logits" and "probabilities".
        threads: CPU threads of one inference; None leaves the backend's own choice.
        load: gives the network of `source` to a runner of PyTorch networks, in place of reading it; None reads it.
        provider: GPU number, profiles and cache for one of onnxruntime's GPU providers.
        engine: contexts, slots and CUDA graphs for tensorrt.
        lanes: how many runners there will be with the clones of this one, each with `threads`.

    Raises:
        UnknownNameError: no such runner, or none of its devices has that name.
        RunnerError: the device is not there, or not for this file; it never takes another device silently.
        CheckpointError, GraphError, EngineError: `source` cannot be read or used.
    """
    line = entry(spec)
    _check_types(spec, line)
    _check_kind(spec, line, source)
    device = ":".join(part for part in spec.split(":")[1:] if not part.isdecimal()) or line.device
    given: dict[str, object] = {"load": load} if line.opens == "network" else {}
    if lanes > 1 and line.plans_lanes:
        given["lanes"] = lanes
    gpu = gpu_of(spec)
    if gpu is not None and line.provider_options:
        from fcn_deploy.runners.ort.options import ProviderOptions

        provider = replace(provider or ProviderOptions(), device_id=gpu)
    elif gpu is not None:
        given["gpu"] = gpu
    if engine is not None:
        if line.opens != "engine":
            raise RunnerError(f"{spec} runs no engine; contexts, slots, CUDA graphs and preallocation are for tensorrt")
        given["engine"] = engine
    if provider is not None:
        if not line.provider_options:
            raise RunnerError(f"{spec} has no providers; provider options are for onnxruntime:cuda|tensorrt|...")
        given["provider"] = provider
    runner_class: Any = class_of(spec.partition(":")[0])
    given |= {"device": device, "threads": threads}
    runner: Runner = runner_class.open(spec, source, outputs=outputs, **given)
    runner.score_check = ScoreCheck(source, lambda file: runner_class.open(spec, file, outputs=(LOGITS,), **given))
    return runner


def _check_types(spec: str, line: Entry) -> None:
    """Raise UnknownNameError if an .onnx file is to run in a precision that only another file has."""
    name, *parts = spec.split(":")
    other = [part for part in parts if part in PRECISIONS and part not in line.types]
    if other and line.opens == "onnx":
        raise UnknownNameError(
            f"'{spec}': {name} runs a file in the types that it has; rewrite it first: "
            f"fcn-deploy quantize --precision {other[0]}"
        )


def _check_kind(spec: str, line: Entry, source: str) -> None:
    """Raise RunnerError if `source` is no file that the runner opens."""
    kind = kind_of(source)
    found = kind if kind in ("onnx", "engine") else "network"
    if found == line.opens or (line.opens == "network" and found == "onnx"):
        return
    if kind == "checkpoint" and not Path(source).is_file():
        return  # the runner says what it lacks
    if kind == "engine":
        raise RunnerError(f"{source} is an engine, and {spec} runs {WHAT[line.opens]}; use {default_runner(kind)}")
    maker = "build-engine" if line.opens == "engine" else "export"
    raise RunnerError(f"{spec} runs {WHAT[line.opens]}, not {source}; fcn-deploy {maker} makes one of it")
