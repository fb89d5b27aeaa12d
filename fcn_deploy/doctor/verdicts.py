"""Decide per capability whether it works here, from what the probes found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fcn_deploy.doctor.probes import Findings, ProbeResult
from fcn_deploy.runners.registry import RUNNERS


@dataclass(frozen=True)
class CapabilityVerdict:
    """Whether something can be done here.

    Attributes:
        capability: what, to stand behind "can".
        able: whether.
        reason: why not, with the fix; or what was tried.
        core: whether the project is broken without it.
    """

    capability: str
    able: bool
    reason: str = ""
    core: bool = False


ENGINES = {"RTX": "tensorrt_rtx", "TensorRT": "tensorrt"}
PROVIDERS = {"CUDA": "cuda", "TensorRT": "tensorrt provider", "TensorRT for RTX": "nvtensorrtrtx"}
# What the project is broken without, and the probes that it needs.
CORE = {
    "train and evaluate": ("torch", "image packages"),
    "export": ("torch", "export packages", "onnxruntime"),
    "audit and quantize": ("export packages", "onnxruntime", "image packages"),
    "bench on the CPU": ("torch", "onnxruntime", "image packages"),
}
Judgement = tuple[bool, str]  # able, reason


def verdicts(findings: Findings) -> tuple[CapabilityVerdict, ...]:
    """Return every capability, the core first."""
    judged = {
        **{f"build {title} engines": _builds(name, findings) for title, name in ENGINES.items()},
        **{f"run {title} engines": _runs(name, findings) for title, name in ENGINES.items()},
        "use PyTorch on CUDA": _torch_cuda(findings),
        **{f"use ONNX Runtime on {title}": _provider(name, findings) for title, name in PROVIDERS.items()},
        **{
            f"use {line.title}": _runner(line.title, findings[name])
            for name, line in RUNNERS.items()
            if not line.probes
        },
    }
    core = (CapabilityVerdict(name, *_core(findings, *needed), core=True) for name, needed in CORE.items())
    return (*core, *(CapabilityVerdict(capability, *judgement) for capability, judgement in judged.items()))


def _core(findings: Findings, *needed: str) -> Judgement:
    reasons = [f"{name}: {findings[name].error}" for name in needed if findings[name].error]
    return not reasons, "; ".join(reasons)


def _builds(name: str, findings: Findings) -> Judgement:
    found = findings[name]
    if not found.error:
        return True, f"built a small one with {found.facts['title']} in {found.facts['seconds']:.1f} s"
    no_gpu = _no_gpu(findings) if name == "tensorrt" else ""
    return False, found.error + (f"; it needs a GPU besides, and {no_gpu}" if no_gpu else "")


def _runs(name: str, findings: Findings) -> Judgement:
    library = findings[name]
    reasons = [_no_gpu(findings), library.error, findings["pycuda"].error]
    if trouble := library.facts.get("load_error"):
        reasons.append(f"{library.facts['title']} does not load its own engine here: {trouble}")
    reason = "; ".join(filter(None, reasons))
    return not reason, reason or f"on {_gpu_names(findings)}"


def _torch_cuda(findings: Findings) -> Judgement:
    found = findings["torch"]
    if found.error:
        return False, found.error
    version, cuda = found.facts["version"], found.facts["cuda"]
    if cuda is None:
        return False, f"torch {version} was built without CUDA; install a build for CUDA"
    if found.facts["gpu_error"]:
        return False, _no_gpu(findings) or f"torch {version}, built for CUDA {cuda}: {found.facts['gpu_error']}"
    return True, f"torch {version} on {_gpu_names(findings)}"


def _provider(name: str, findings: Findings) -> Judgement:
    found = findings[name]
    if not found.error:
        return True, "; ".join(["it ran a small file", *found.facts["notes"]])
    reason = found.error.partition(": ")[2] if found.error.startswith("onnxruntime:") else found.error
    if "was built without" in reason:
        return False, reason
    missing = findings["onnxruntime"].facts.get("missing_libraries") or ()
    if missing and name != "nvtensorrtrtx":  # which brings its own
        reason = f"onnxruntime does not find {', '.join(missing)}; try: pip install 'onnxruntime-gpu[cuda,cudnn]'"
    if wanted := re.search(r"libnvinfer\.so\.(\d+)", reason):
        major = int(wanted[1])
        reason += f"; it wants TensorRT {major}, try: pip install 'tensorrt>={major},<{major + 1}'"
    no_gpu = _no_gpu(findings)
    return False, no_gpu if no_gpu and "libcuda" in reason else "; ".join(filter(None, [no_gpu, reason]))


def _runner(title: str, found: ProbeResult) -> Judgement:
    """Decide whether it runs on at least one of its devices."""
    if found.error:
        return False, found.error
    failed, named = found.facts["failed"], " ".join(filter(None, [title, found.facts["version"]]))
    ran = [device for device in found.facts["devices"] if device not in failed]
    said = [f"{named} ran a small file on {', '.join(ran)}"] if ran else []
    said += [] if found.facts["devices"] else [f"{named} finds no device"]
    return bool(ran), "; ".join([*said, *failed.values()])


def _no_gpu(findings: Findings) -> str:
    """Return why no engine runs here, whatever is installed; "" if there is a GPU."""
    driver = findings["driver"]
    return driver.error or ("" if driver.facts["gpus"] else "the driver finds no GPU")


def _gpu_names(findings: Findings) -> str:
    """Return the GPUs; the driver's own probe may have failed where a package's did not."""
    found = findings["driver"].facts.get("gpus") or ()
    return ", ".join(f"{gpu['name']} ({gpu['sm']})" for gpu in found) or "a GPU that the driver does not tell of"
