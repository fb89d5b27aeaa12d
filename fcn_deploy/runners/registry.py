"""Every runner by name. A new one is a file beside this one and a line in `RUNNERS`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.model_file import Kind, kind_of
from fcn_deploy.runners.base import Runner
from fcn_deploy.vocabulary import LABELS, PRECISIONS

if TYPE_CHECKING:
    from torch import nn

    from fcn_deploy.card import ModelCard
    from fcn_deploy.runners.ort.options import ProviderOptions


Opens = Literal["network", "onnx", "engine"]
WHAT: dict[Opens, str] = {"network": "PyTorch networks", "onnx": ".onnx files", "engine": "engines"}


@dataclass(frozen=True)
class Entry:
    """What a runner opens and can do.

    Attributes:
        location: its module in this package, and its class.
        package: the module that it needs.
        opens: a PyTorch network (of a checkpoint, a recipe, an exported .onnx file or "demo"), an .onnx file or an
            engine.
        device: where it runs if the user names no device; "" if it has one device alone.
        types: what may be named next to the device for the runner to compute in, without another file.
        lanes: whether several of it over one model's weights do more on a CPU than one that has all cores.
    """

    location: str
    package: str
    opens: Opens
    device: str = "cpu"
    types: tuple[str, ...] = ()
    lanes: bool = False


# The first of those that open a kind of file is the default for it.
RUNNERS = {
    "pytorch": Entry("pytorch:TorchRunner", "torch", "network", lanes=True),
    "onnxruntime": Entry("ort.runner:OrtRunner", "onnxruntime", "onnx", lanes=True),
    "openvino": Entry("openvino:OpenVinoRunner", "openvino", "onnx", types=("fp32", "bf16")),
    "tensorrt": Entry("trt.runner:TrtRunner", "pycuda", "engine", device=""),
}


def entry(spec: str) -> Entry:
    """The registry line of "name" or "name:device"; UnknownNameError (with near matches) if there is none."""
    name = spec.partition(":")[0]
    if name not in RUNNERS:
        raise UnknownNameError.of("runner", name, RUNNERS)
    return RUNNERS[name]


def default_runner(kind: Kind) -> str:
    """The runner that opens a file of this kind as it is: tensorrt, onnxruntime, or pytorch for a network."""
    opens = kind if kind in ("onnx", "engine") else "network"
    return next(name for name, line in RUNNERS.items() if line.opens == opens)


def device_of(spec: str) -> str:
    """ "openvino:fp32" -> "cpu", "onnxruntime:cuda" -> "cuda"; "" where the runner has one device alone."""
    line = entry(spec)
    named = [part for part in spec.split(":")[1:] if part not in line.types]
    return named[0] if named else line.device


def open_runner(
    spec: str,
    source: str,
    *,
    outputs: tuple[str, ...] = (LABELS,),
    threads: int | None = None,
    load: Callable[[], tuple[nn.Module, ModelCard]] | None = None,
    provider: ProviderOptions | None = None,
) -> Runner:
    """Open `source` in the runner `spec`, "pytorch[:cpu|cuda]", "onnxruntime[:cpu|cuda|tensorrt|...]",
    "openvino[:cpu|gpu|npu][:fp32|bf16]" or "tensorrt[:precision of the engine]".

    Args:
        source: "demo", an .onnx file, for pytorch any checkpoint file, for tensorrt an engine.
        outputs: "labels", "logits" or both.
        threads: CPU threads of one inference; None leaves the backend's own choice.
        load: gives the network of `source` to a runner of PyTorch networks, in place of reading it; None reads it.
        provider: GPU number, profiles and cache for one of onnxruntime's GPU providers.

    Raises:
        UnknownNameError: no such runner, or none of its devices has that name.
        RunnerError: the device is not there, or not for this file; never another device in silence.
        CheckpointError, GraphError, EngineError: `source` cannot be read or used.
    """
    line = entry(spec)
    _check_types(spec, line)
    _check_kind(spec, line, source)
    device = spec.partition(":")[2] or line.device
    module_name, _, class_name = line.location.partition(":")
    runner_class = getattr(importlib.import_module(f".{module_name}", __package__), class_name)
    given: dict[str, object] = {"load": load} if line.opens == "network" else {}
    if provider is not None:
        if line.package != "onnxruntime":
            raise RunnerError(f"{spec} has no providers; provider options are for onnxruntime:cuda|tensorrt|...")
        given["provider"] = provider
    runner: Runner = runner_class.open(spec, source, device=device, outputs=outputs, threads=threads, **given)
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
        raise RunnerError(f"{source} is an engine, and {spec} runs {WHAT[line.opens]}; leave --runner out")
    maker = "build-engine" if line.opens == "engine" else "export"
    raise RunnerError(f"{spec} runs {WHAT[line.opens]}, not {source}; fcn-deploy {maker} makes one of it")
