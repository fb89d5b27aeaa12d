"""The child side of `doctor`: one probe per process, because a package can crash or hang while it is imported."""

from __future__ import annotations

import ctypes
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fcn_deploy.doctor.driver import ask_driver
from fcn_deploy.errors import FcnDeployError, RunnerError, first_line
from fcn_deploy.model_file import DEMO
from fcn_deploy.runners.registry import RUNNERS, class_of, entry
from fcn_deploy.system.optional import require
from fcn_deploy.system.process import answer_parent

Facts = dict[str, Any]


@dataclass(frozen=True)
class ProbeResult:
    """What one probe found.

    Attributes:
        facts: by name, as the probe returns them; empty if it failed.
        error: why it failed, in one line; "" if it did not.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


Findings = Mapping[str, ProbeResult]

# What onnxruntime's CUDA and TensorRT providers are linked with.
CUDA_LIBRARIES = (
    "libcudart.so.{cuda}",
    "libcublasLt.so.{cuda}",
    "libcublas.so.{cuda}",
    "libcurand.so.10",
    "libcudnn.so.9",
)


def torch() -> Facts:
    """Return the build of PyTorch, a convolution on the CPU, and one on the GPU if it was built for CUDA."""
    pytorch = require("torch")
    image = pytorch.ones(1, 3, 5, 7)
    pytorch.nn.functional.conv2d(image, pytorch.ones(2, 3, 3, 3))
    facts = {"version": pytorch.__version__, "cuda": pytorch.version.cuda, "gpu_error": ""}
    if pytorch.version.cuda is not None:
        try:
            pytorch.nn.functional.conv2d(image.cuda(), pytorch.ones(2, 3, 3, 3).cuda()).cpu()
        except Exception as error:  # whatever PyTorch, CUDA or cuDNN raise is the finding
            facts["gpu_error"] = first_line(error)
    return facts


def onnx_packages() -> Facts:
    """Return what reads and rewrites ONNX files."""
    import onnx
    import onnx_ir  # noqa: F401

    return {"ir_version": onnx.IR_VERSION, "opset": onnx.defs.onnx_opset_version()}


def tracer() -> Facts:
    """Return what PyTorch traces a network with."""
    require("onnxscript")
    return {}


def image_packages() -> Facts:
    """Return what reads images and checkpoints."""
    import PIL.Image  # noqa: F401
    import safetensors.numpy  # noqa: F401

    return {}


def onnxruntime() -> Facts:
    """Build and providers, a small file on the CPU, a file of onnx's newest IR, and the CUDA libraries it wants."""
    from fcn_deploy.graph.session import load_onnxruntime
    from fcn_deploy.runners.ort.placement import short_names

    ort = load_onnxruntime()
    version = getattr(ort, "cuda_version", "") or ""
    facts: Facts = {
        "version": ort.__version__,
        "providers": short_names(ort.get_available_providers()),
        "cuda": version or None,
        "reads_newest_ir": True,
        "missing_libraries": _missing_libraries(ort, version.partition(".")[0]) if version else [],
    }
    _run("onnxruntime:cpu", None)
    import onnx  # only now: if it is broken, its own probe reports that

    facts["newest_ir"] = onnx.IR_VERSION
    try:
        _run("onnxruntime:cpu", onnx.IR_VERSION)
    except FcnDeployError:
        facts["reads_newest_ir"] = False
    return facts


def _missing_libraries(ort: Any, cuda: str) -> list[str]:
    """Return CUDA libraries that onnxruntime does not find, neither on the system nor in Python packages."""
    from fcn_deploy.runners.ort.printed import captured_output

    if sys.platform == "win32":
        return []  # the names differ with every release; the providers' own attempt says what is missing
    with captured_output():
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
    missing = []
    for name in (template.format(cuda=cuda) for template in CUDA_LIBRARIES):
        try:
            ctypes.CDLL(name)
        except OSError:
            missing.append(name)
    return missing


def provider(name: str) -> Facts:
    """Run a small file on a provider: the one proof that it starts."""
    from fcn_deploy.graph.session import load_onnxruntime

    load_onnxruntime()
    return {"notes": _run(f"onnxruntime:{name}", None)}


def runner(name: str) -> Facts:
    """Return the devices of a runner that are here, each of which runs the small file, and the types of the CPU."""
    line = RUNNERS[name]
    package = require(line.package)
    found = class_of(name).find_devices()
    devices = list(line.devices if found is None else found)
    failed = {}
    for device in filter(line.devices.__contains__, devices):
        try:
            _run(f"{name}:{device}", None)
        except FcnDeployError as error:
            failed[device] = str(error)
    types = (found or {}).get("cpu", ())
    return {
        "version": str(getattr(package, "__version__", "")).partition("-")[0],
        "devices": devices,
        "failed": failed,
        "types": [kind for kind in ("FP32", "BF16", "FP16", "INT8") if kind in types],
    }


def _run(spec: str, ir_version: int | None) -> list[str]:
    """Open a small file in a runner and run it; returns the runner's notes. A runner of networks gets the demo."""
    import numpy as np

    from fcn_deploy.doctor.probe_model import IMAGE, LABELS
    from fcn_deploy.runners.registry import open_runner

    with tempfile.TemporaryDirectory() as folder:
        tiny = entry(spec).opens == "onnx"
        source = str(_tiny(folder, ir_version)) if tiny else DEMO
        with open_runner(spec, source, threads=1) as opened:
            labels = opened.infer({"image": np.array(IMAGE, np.uint8)})["labels"]
            notes = list(opened.notes)
    if tiny and labels.tolist() != LABELS:
        raise RunnerError(f"{spec} computes wrong labels: {labels.tolist()} in place of {LABELS}")
    return notes


def _tiny(folder: str, ir_version: int | None = None) -> Path:
    """Return the small file; RunnerError where it is onnx that is broken, not what is asked about."""
    from fcn_deploy.doctor.probe_model import write_tiny

    try:
        return write_tiny(Path(folder) / "tiny.onnx", ir_version)
    except ImportError as error:
        raise RunnerError(f"it cannot be tried without onnx: {first_line(error)}") from error


def pycuda() -> Facts:
    """Import pycuda with its driver module, which needs libcuda."""
    require("pycuda")
    cuda = require("pycuda.driver")
    cuda.init()
    return {"devices": cuda.Device.count()}


def flavor(name: str) -> Facts:
    """Build a small engine with a TensorRT library and, where a GPU is, load it."""
    from fcn_deploy.doctor.probe_model import build_tiny, load_error
    from fcn_deploy.engine.flavors import open_flavor
    from fcn_deploy.engine.gpus import gpus

    library = open_flavor(name)
    with tempfile.TemporaryDirectory() as folder:
        onnx_file = _tiny(folder)
        started = time.perf_counter()
        plan = build_tiny(library, onnx_file)
        seconds = time.perf_counter() - started
    return {
        "version": library.version,
        "title": library.title,
        "seconds": seconds,
        "plan_bytes": len(plan),
        "load_error": load_error(library, plan) if gpus() else "",
    }


PROBES: dict[str, Callable[[], Facts]] = {
    "driver": ask_driver,
    "torch": torch,
    "onnx packages": onnx_packages,
    "onnxscript": tracer,
    "image packages": image_packages,
    "onnxruntime": onnxruntime,
    "cuda": partial(provider, "cuda"),
    "tensorrt provider": partial(provider, "tensorrt"),
    "nvtensorrtrtx": partial(provider, "nvtensorrtrtx"),
    "pycuda": pycuda,
    "tensorrt_rtx": partial(flavor, "tensorrt_rtx"),
    "tensorrt": partial(flavor, "tensorrt"),
}


def probes() -> dict[str, Callable[[], Facts]]:
    """Return every probe by its name; a runner without probes of its own is opened on a small file."""
    return PROBES | {name: partial(runner, name) for name, line in RUNNERS.items() if not line.probes}


def probe(name: str) -> ProbeResult:
    """Run one probe by its name."""
    try:
        return ProbeResult(probes()[name]())
    except FcnDeployError as error:
        return ProbeResult(error=str(error))
    except Exception as error:  # a broken package raises what it likes, and that is the finding
        return ProbeResult(error=f"{type(error).__name__}: {first_line(error)}")


if __name__ == "__main__":
    answer_parent(lambda name, send: probe(name))
