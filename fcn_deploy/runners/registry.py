"""Every runner by name. A new one is a file beside this one and a line in `RUNNERS`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.runners.base import Runner
from fcn_deploy.vocabulary import LABELS

if TYPE_CHECKING:
    from torch import nn

    from fcn_deploy.card import ModelCard
    from fcn_deploy.runners.ort.options import ProviderOptions


@dataclass(frozen=True)
class Entry:
    """Where a runner's class is, the package it stands on, its device where none is named, and what it opens.

    Attributes:
        types: what may be named beside the device for the runner to compute in, without another file.
    """

    location: str
    package: str
    device: str
    needs_onnx: bool
    types: tuple[str, ...] = ()


RUNNERS = {
    "pytorch": Entry("pytorch:TorchRunner", "torch", "cpu", needs_onnx=False),
    "onnxruntime": Entry("ort.runner:OrtRunner", "onnxruntime", "cpu", needs_onnx=True),
    "openvino": Entry("openvino:OpenVinoRunner", "openvino", "cpu", needs_onnx=True, types=("fp32", "bf16")),
    "tensorrt": Entry("trt.runner:TrtRunner", "pycuda", "", needs_onnx=True),
}


def entry(spec: str) -> Entry:
    """The registry line of "name" or "name:device"; UnknownNameError (with near matches) if there is none."""
    name = spec.partition(":")[0]
    if name not in RUNNERS:
        raise UnknownNameError.of("runner", name, RUNNERS)
    return RUNNERS[name]


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
    device = spec.partition(":")[2] or line.device
    module_name, _, class_name = line.location.partition(":")
    runner_class = getattr(importlib.import_module(f".{module_name}", __package__), class_name)
    given: dict[str, object] = {} if line.needs_onnx else {"load": load}
    if provider is not None:
        if line.package != "onnxruntime":
            raise RunnerError(f"{spec} has no providers; provider options are for onnxruntime:cuda|tensorrt|...")
        given["provider"] = provider
    runner: Runner = runner_class.open(spec, source, device=device, outputs=outputs, threads=threads, **given)
    return runner
